//! Why a step is armed no longer.

use super::Status;
use crate::name::{Principal, WatchId};
use serde::{Deserialize, Serialize};

/// Why a step is armed no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Cause {
    /// It was armed too long ago.
    Lapsed,
    /// A gate is not as it must be.
    Gate { watch: WatchId, status: Status, why: String },
    /// A shadow said no.
    Objected { by: Principal },
    /// A shadow took their yes back.
    Withdrawn { by: Principal },
    /// The lead let go.
    Disarmed,
    /// What would run is not what was checked.
    BytesChanged { what: String },
    /// A parameter or a command was changed since.
    Changed { what: String },
    /// The preview says something else than people checked.
    PreviewChanged { was: String, now: String },
    /// The preview, run again, did not say what was expected, or nothing.
    PreviewFailed { why: String },
    /// The line was stopped.
    Andon,
    /// The poll is go no more.
    NotGo { why: String },
    /// Another lead.
    HandedOver,
    /// The clock stepped.
    ClockJumped,
    /// Somebody who had checked it was let in again with another key.
    Readmitted { who: Principal },
    /// The hub was asked to stop.
    HubStops,
    /// The hub restarted before the run was intended.
    Restarted,
}
impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::Lapsed => write!(f, "it lapsed"),
            Cause::Gate { watch, status, why } => {
                write!(f, "gate {watch} is {}: {why}", status.word())
            }
            Cause::Objected { by } => write!(f, "{by} objected"),
            Cause::Withdrawn { by } => write!(f, "{by} withdrew the check"),
            Cause::Disarmed => write!(f, "the lead disarmed it"),
            Cause::BytesChanged { what } => write!(f, "what would run changed: {what}"),
            Cause::Changed { what } => write!(f, "{what}"),
            Cause::PreviewChanged { was, now } => write!(f, "preview said {was}, now says {now}"),
            Cause::PreviewFailed { why } => write!(f, "preview: {why}"),
            Cause::Andon => write!(f, "the line was stopped"),
            Cause::NotGo { why } => write!(f, "the poll is not go: {why}"),
            Cause::HandedOver => write!(f, "the lead was handed over"),
            Cause::ClockJumped => write!(f, "the clock jumped"),
            Cause::Readmitted { who } => write!(f, "{who} had checked it with a key that is lost"),
            Cause::HubStops => write!(f, "the hub was asked to stop"),
            Cause::Restarted => write!(f, "the hub restarted"),
        }
    }
}

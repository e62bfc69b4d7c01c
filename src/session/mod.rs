//! What the crew has agreed so far: a pure fold of events in number order. Equal events give equal sessions.
//!
//! [`Session::open`] takes the first line, [`Session::apply`] every further one; it always succeeds and never starts
//! anything. [`decide()`] says what a request becomes, events or a [`Refusal`], and [`observe()`] what something the hub saw
//! becomes. None of them reads a clock, a file or a random source: time and author come stamped from outside.

mod arming;
pub mod batches;
mod checks;
mod decide;
pub mod drift;
mod earlier;
mod fold;
mod freezing;
pub mod glass;
mod guard;
pub mod kept;
pub mod left;
mod line;
mod look;
mod notify;
mod observe;
pub mod people;
pub mod phase;
pub mod preflight;
mod preview;
pub mod probe;
pub mod readback;
pub mod readmit;
mod recovery;
pub mod refusal;
mod rehearsal;
pub mod request;
mod rollback;
mod running;
pub mod settling;
pub mod signing;
pub mod skip;
pub mod steps;
mod story;
#[cfg(test)]
mod tests;
pub mod tried;
pub(crate) mod twin;
pub mod typing;
pub mod verify;
pub mod waiting;
pub mod waive;

pub use arming::typed_step;
pub(crate) use decide::on_record;
pub use decide::{decide, may};
pub use earlier::Leftover;
pub use line::LineState;
pub use notify::{Due, FAILURES_EVERY, Place, Telling, WAITING_MAX};
pub use observe::{Fact, observe};
pub use preflight::Preflight;
pub use preview::Unfrozen;
pub use recovery::{Stands, WayBack, price};
pub use refusal::Refusal;
pub use request::{Author, Request};
pub use story::{stops, story};

use crate::clock::At;
use crate::event::{Anchor, Attention, Earlier, Event, Flown, Outcome, Reading, Role, Status};
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId};
use crate::plan::{Params, Plan};
use crate::transcript::record::{Head, Line};
use crate::trust::allowed::{Allowed, AllowedError};
use crate::trust::key::PublicKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use steps::StepState;

/// Things said, and lines of the story, kept for late joiners. The transcript holds all of them.
const KEPT: usize = 200;
/// Readings kept per watch for its sparkline.
const HISTORY: usize = 60;
/// Refusals of one principal that reach the transcript in one [`REFUSAL_WINDOW`]; further ones are only answered.
pub const REFUSALS_PER_WINDOW: u32 = 20;
/// See [`REFUSALS_PER_WINDOW`].
pub const REFUSAL_WINDOW: Duration = Duration::from_secs(60);

/// One live run of a plan, as far as its transcript says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Number of the last event folded.
    pub seq: u64,
    /// The hash of its line.
    pub hash: Hash,
    /// Its time.
    pub at: At,
    /// The session's id.
    pub id: String,
    /// When it opened.
    pub opened: At,
    /// What is flown.
    #[serde(with = "plan_text")]
    pub plan: Arc<Plan>,
    /// Who may sign what, where the plan names a file for it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "allowed_text")]
    pub allowed: Option<Arc<Allowed>>,
    /// The parameters' values.
    pub params: Params,
    /// The same as they were when it opened.
    #[serde(default, skip_serializing_if = "Params::is_empty")]
    pub given: Params,
    /// The hub's machine.
    pub host: String,
    /// Who the hub runs as.
    pub user: String,
    /// The plan's folder.
    pub folder: String,
    /// Who leads.
    pub lead: Principal,
    /// What the session of this plan before this one left open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
    /// What ran of each step the last time that the plan was flown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flown: Vec<Flown>,
    /// What was said before the first critical step.
    #[serde(default)]
    #[serde(rename = "before")]
    pub preflight: Preflight,
    /// Since when the lead is gone, once everyone was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_gone: Option<At>,
    /// Who shall be let in again with another key, as one of the two said who have to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readmitting: Option<readmit::HalfReadmit>,
    /// Every time the lead was taken over from somebody who was gone: told for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<people::Taken>,
    /// A hand-over that only one half of the two has agreed to.
    pub handover: Option<Handover>,
    /// Everyone who ever joined.
    pub people: BTreeMap<Principal, Person>,
    /// Every watch of the plan.
    pub watches: BTreeMap<WatchId, WatchState>,
    /// Every step of the plan.
    pub steps: BTreeMap<StepId, StepState>,
    /// The way back people were told still stands, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<String>,
    /// Every time the glass was broken: marked for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub glass: Vec<glass::Glass>,
    /// Whether anything may start.
    pub line: LineState,
    /// Since when fewer eligible shadows are connected than the next critical step needs.
    pub short_since: Option<At>,
    /// The hub's own key, in a session whose acts are signed.
    pub hub_key: Option<PublicKey>,
    /// Who vouched for it, as lead.
    pub vouched: Option<Principal>,
    /// The latest checkpoint.
    pub checkpoint: Checkpoint,
    /// Whether everyone was told that the plan's file is another one now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plan_changed: bool,
    /// In what it differs from the one that is flown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan_differs: String,
    /// Since when the hub is to stop, as it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<At>,
    /// Set once the lead called the end.
    pub closing: Option<Closing>,
    /// What was said, newest last.
    pub notes: VecDeque<Said>,
    /// The story in short sentences, newest last.
    pub recent: VecDeque<Told>,
    /// Refusals counted for the rate limit.
    pub refusals: BTreeMap<Principal, (At, u32)>,
    /// Set once it is over.
    pub closed: Option<Outcome>,
    /// Whom outside the crew something is still to be told, and how that went so far.
    #[serde(default, skip_serializing_if = "Telling::is_empty")]
    pub telling: Telling,
    /// What commands left running, and still runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<left::Remains>,
}

/// How far the hub has signed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Number of the `CheckpointSigned` line; 0 before the first.
    pub seq: u64,
    /// Its time.
    pub at: At,
    /// Whether something happened since that calls for the next one at once.
    pub wanted: bool,
}

/// The end, being signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// The `CloseCalled` line: what everyone signs.
    pub line: Head,
    /// When.
    pub at: At,
    /// How it ends.
    pub outcome: Outcome,
    /// The lead's words.
    pub note: String,
    /// Who has signed.
    pub signed: BTreeSet<Principal>,
}

/// What a person's key is worth, in the words of every screen.
pub fn vouching(vouched: bool) -> &'static str {
    if vouched { "key vouched for by allowed_signers" } else { "invited, key not vouched for" }
}

/// Somebody who joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// What they may do.
    pub role: Role,
    /// Their key, bound by their first connection.
    pub key: String,
    /// The latest other key that came by their link and was not let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knocked: Option<String>,
    /// Keys of theirs that are out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// That they were let in again with another key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readmitted: Option<readmit::Readmitted>,
    /// Whether allowed_signers gives them that key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vouched: bool,
    /// Open connections.
    pub connections: BTreeSet<u64>,
    /// Those of them by which nothing is heard, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub silent: BTreeMap<u64, At>,
    /// What they look at.
    pub attention: Attention,
    /// Since when they look at it.
    pub since: At,
    /// Since when no connection is left.
    pub gone: Option<At>,
}

impl Person {
    /// Whether anything is heard of them: they are connected, and not by frozen links alone.
    pub fn is_heard(&self) -> bool {
        self.connections.iter().any(|connection| !self.silent.contains_key(connection))
    }
    /// Since when nothing is heard of somebody who is connected all the same.
    pub fn silent_since(&self) -> Option<At> {
        if self.is_heard() { None } else { self.silent.values().max().copied() }
    }
}

/// A watch in a session.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchState {
    /// The latest reading.
    pub reading: Option<Reading>,
    /// When it began.
    pub began: At,
    /// The status people were told: the reading's, or unknown once it is stale.
    pub status: Option<Status>,
    /// Numbers read, newest last.
    pub history: VecDeque<(At, f64)>,
    /// What is needed of its topic, where it is a watch that counts that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
    /// Whether a planned purge of its topic ended well since: what is left is to be counted anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anchor_moves: bool,
}

/// One half of a hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// Who shall lead.
    pub to: Principal,
    /// Who said so: the lead, or the one who shall; or, where the lead is gone, one more of the crew.
    pub agreed: Principal,
    /// When.
    #[serde(default)]
    pub at: At,
}

/// Something said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// When.
    pub at: At,
    /// By whom.
    pub by: Principal,
    /// What.
    pub text: String,
}

/// One sentence of the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The event's number.
    pub seq: u64,
    /// When.
    pub at: At,
    /// The sentence.
    pub text: String,
}

/// Why a transcript's first line opens no session.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something else stands first.
    #[error("a transcript starts with SessionOpened; this one starts with {0}")]
    Kind(&'static str),
    /// Its plan cannot be read by this version.
    #[error("the plan in the transcript cannot be read by this version: {0}")]
    Plan(#[from] crate::plan::PlanError),
    /// Its signers cannot be read by this version.
    #[error("allowed_signers in the transcript cannot be read by this version: {0}")]
    Allowed(#[from] AllowedError),
    /// What the plan asks for and what the line holds are not the same.
    #[error("{0}")]
    Policy(&'static str),
}

impl Session {
    /// The session that a first line opens.
    pub fn open(line: &Line, hash: Hash) -> Result<Session, OpenError> {
        let Event::SessionOpened {
            session,
            plan,
            params,
            host,
            user,
            folder,
            rehearsal,
            earlier,
            flown,
            hub_key,
            allowed_signers,
            allowed_signers_digest,
            ..
        } = &line.event
        else {
            return Err(OpenError::Kind(line.event.kind()));
        };
        let plan = Arc::new(arming::opened(Plan::parse("plan in the transcript", plan)?, params, rehearsal.as_deref()));
        let allowed = allowed_signers.as_deref().map(Allowed::parse).transpose()?.map(Arc::new);
        rehearsal::agrees(session, rehearsal.as_deref()).map_err(OpenError::Policy)?;
        // The plan decides, not the line, whether keys are vouched for: a line without its signers must not read as a
        // session that never asked for them.
        if plan.crew.allowed_signers.is_some() != allowed.is_some() {
            return Err(OpenError::Policy(
                "the plan and the first line do not agree on whether there is allowed_signers",
            ));
        }
        if allowed.as_ref().map(|allowed| allowed.digest()) != *allowed_signers_digest {
            return Err(OpenError::Policy(
                "allowed_signers in the first line has another SHA-256 than stands beside it",
            ));
        }
        let mut state = Session {
            seq: line.seq,
            hash,
            at: line.at,
            hub_key: hub_key.clone(),
            vouched: None,
            checkpoint: Checkpoint { wanted: true, ..Checkpoint::default() },
            plan_changed: false,
            plan_differs: String::new(),
            stopping: None,
            closing: None,
            id: session.clone(),
            opened: line.at,
            lead: plan.crew.lead.first().cloned().unwrap_or_else(Principal::hub), // a plan without a lead does not parse
            allowed,
            params: params.clone(),
            given: params.clone(),
            host: host.clone(),
            user: user.clone(),
            folder: folder.clone(),
            earlier: earlier.as_deref().cloned(),
            flown: flown.clone(),
            preflight: Preflight::default(),
            lead_gone: None,
            readmitting: None,
            taken: vec![],
            handover: None,
            people: BTreeMap::new(),
            watches: plan.watches.iter().map(|watch| (watch.id.clone(), WatchState::default())).collect(),
            steps: plan.steps.iter().map(|step| (step.id.clone(), StepState::default())).collect(),
            way_back: None,
            glass: vec![],
            line: LineState::default(),
            short_since: None,
            notes: VecDeque::new(),
            recent: VecDeque::new(),
            refusals: BTreeMap::new(),
            closed: None,
            telling: Telling::default(),
            left: vec![],
            plan,
        };
        state.short_since = state.shadows_short().then_some(line.at);
        state.tell(line);
        state.tell_others(line);
        Ok(state)
    }
}

/// In a snapshot the signers are their text.
mod allowed_text {
    use super::*;
    pub fn serialize<S: serde::Serializer>(allowed: &Option<Arc<Allowed>>, to: S) -> Result<S::Ok, S::Error> {
        allowed.as_ref().map(|allowed| allowed.text()).serialize(to)
    }
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Arc<Allowed>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let allowed = text.as_deref().map(Allowed::parse).transpose().map_err(serde::de::Error::custom)?;
        Ok(allowed.map(Arc::new))
    }
}

/// In a snapshot a plan is its text, and what was changed of it.
mod plan_text {
    use super::*;
    use crate::plan::Changes;
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Snapshot {
        text: String,
        #[serde(default, skip_serializing_if = "Changes::is_empty")]
        changes: Changes,
    }
    pub fn serialize<S: serde::Serializer>(plan: &Arc<Plan>, to: S) -> Result<S::Ok, S::Error> {
        Snapshot { text: plan.text.to_string(), changes: plan.changes.clone() }.serialize(to)
    }
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Arc<Plan>, D::Error> {
        let Snapshot { text, changes } = Snapshot::deserialize(from)?;
        let plan = Plan::parse("plan in the snapshot", &text).map_err(serde::de::Error::custom)?;
        Ok(Arc::new(if changes.is_empty() { plan } else { plan.changed(changes) }))
    }
}

//! What people did beside the usual way, which a report tells first: the glass broken, gates waived, steps left out.

use crate::clock::At;
use crate::event::{Event, Status};
use crate::name::{Principal, StepId, WatchId};
use crate::transcript::record::Line;
use serde::Serialize;

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Exception {
    pub at: At,
    pub by: Principal,
    pub step: StepId,
    pub why: String,
    pub kind: Kind,
}

/// Which.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Kind {
    /// The lead alone cleared it.
    BreakGlass { attempt: u32, missing: u32 },
    /// A gate was waived for that attempt.
    Waived { attempt: u32, watch: WatchId, status: Status },
    /// It was left out, and who said so first.
    Skipped { agreed: Principal },
}

/// What a line says of that kind.
pub(super) fn exception(line: &Line) -> Option<Exception> {
    let (step, why, kind) = match &line.event {
        Event::BreakGlass { step, attempt, missing, why, .. } => {
            (step, why, Kind::BreakGlass { attempt: *attempt, missing: *missing })
        }
        Event::GateWaived { step, attempt, watch, status, why, .. } => {
            (step, why, Kind::Waived { attempt: *attempt, watch: watch.clone(), status: *status })
        }
        Event::StepSkipped { step, agreed, why, .. } => (step, why, Kind::Skipped { agreed: agreed.clone() }),
        _ => return None,
    };
    Some(Exception { at: line.at, by: line.by.clone(), step: step.clone(), why: why.clone(), kind })
}

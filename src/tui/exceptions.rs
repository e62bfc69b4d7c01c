//! Waiving a gate, leaving a step out, breaking the glass: what is told of it on every screen.

use super::app::Purpose;
use crate::session::Session;
use crate::session::steps::Phase;

/// The mark that stays in the first row for ever.
pub(super) fn mark(session: &Session) -> Option<String> {
    let steps: std::collections::BTreeSet<_> =
        session.glass.iter().map(|glass| session.numbered(&glass.step)).collect();
    let glass =
        (!steps.is_empty()).then(|| format!("GLASS BROKEN {}", steps.into_iter().collect::<Vec<_>>().join(" ")));
    let taken = session.taken.last().map(|taken| format!("LEAD TAKEN OVER {}", taken.at.clock()));
    let marks: Vec<_> = glass.into_iter().chain(taken).collect();
    (!marks.is_empty()).then(|| marks.join(" · "))
}

/// Whether a line typed for one of them is about something that is no more, and so closes.
pub(super) fn is_over(purpose: &Purpose, session: &Session) -> bool {
    let state = |step| session.steps.get(step);
    match purpose {
        Purpose::Waive { step, attempt, .. } => {
            state(step).is_none_or(|state| state.attempt + 1 != *attempt || state.phase == Phase::Skipped)
        }
        Purpose::Skip { step } => state(step).is_none_or(|state| state.phase != Phase::Planned),
        Purpose::BreakGlass { step, attempt, .. } => {
            state(step).is_none_or(|state| state.phase != Phase::Armed || state.attempt != *attempt)
        }
        _ => false,
    }
}

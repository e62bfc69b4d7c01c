//! Waiving a gate, leaving a step out, breaking the glass: what is told of it on every screen.

use super::app::Purpose;
use crate::clock::{At, human};
use crate::name::shown;
use crate::session::Session;
use crate::session::steps::{Phase, StepState};

/// What fills the second row while a step that was cleared by breaking the glass is not over.
pub(super) fn glass(session: &Session) -> Option<String> {
    let open = |state: &StepState| !state.phase.is_over() && state.phase != Phase::Planned;
    let glass = session.glass.iter().rev().find(|glass| {
        session.steps.get(&glass.step).is_some_and(|state| state.attempt == glass.attempt && open(state))
    })?;
    Some(format!(
        "{} was cleared by {} alone, {} missing: {}",
        session.numbered(&glass.step),
        glass.by.short(),
        glass.missing,
        shown(&glass.why)
    ))
}

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

/// That the lead is gone for so long that others may take the lead, and how.
pub(super) fn lead_gone(session: &Session, now: At) -> Option<String> {
    let since = session.gone_since(&session.lead).filter(|_| session.is_gone(&session.lead, now))?;
    let half = session.handover.as_ref().and_then(|half| session.half_handover(&half.to, now));
    let half = half.filter(|half| session.may_take_lead(&half.to, now));
    let how = match half {
        Some(half) => format!("{} says that {} shall lead; one more has to (H)", half.agreed.short(), half.to.short()),
        None => "one who may lead and one more take the lead over (H)".to_owned(),
    };
    Some(format!("{} for {}; {how}", session.lead.short(), human(now.since(since))))
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

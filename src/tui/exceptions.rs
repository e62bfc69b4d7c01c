//! Waiving a gate, leaving a step out, breaking the glass: whether this person may now, and what is told of it on every screen.

use super::app::Purpose;
use super::facts::numbered;
use crate::client::view::View;
use crate::clock::At;
use crate::name::shown;
use crate::plan::{Gate, Step};
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
        numbered(session, &glass.step),
        glass.by.short(),
        glass.missing,
        shown(&glass.why)
    ))
}

/// The mark that stays in the first row for ever.
pub(super) fn mark(session: &Session) -> Option<String> {
    let steps: std::collections::BTreeSet<_> =
        session.glass.iter().map(|glass| numbered(session, &glass.step)).collect();
    (!steps.is_empty()).then(|| format!("GLASS BROKEN {}", steps.into_iter().collect::<Vec<_>>().join(" ")))
}

/// The first gate of the step that does not pass: what `w` would waive.
fn held<'a>(session: &Session, step: &'a Step, at: At) -> Option<&'a Gate> {
    step.gates.iter().find(|gate| !session.gate_passes(&step.id, gate, at))
}

/// What `w` waives.
pub(super) fn waive(view: &View, at: At) -> Result<Purpose, String> {
    let session = &*view.session;
    if view.leads() {
        return Err("it takes a second person: a shadow waives".into());
    }
    if !session.is_shadow(&view.me) {
        return Err("only a shadow may".into());
    }
    let Some((step, state)) = session.current_step() else { return Err("no step is left".into()) };
    let number = numbered(session, &step.id);
    if !matches!(state.phase, Phase::Planned | Phase::SettledFailed) {
        return Err(format!("{number} is {}: a gate is waived before its step is armed", state.phase.word()));
    }
    let Some(gate) = held(session, step, at) else { return Err(format!("every gate of {number} passes")) };
    let status = session.status(&gate.watch, at);
    Ok(Purpose::Waive { step: step.id.clone(), attempt: state.attempt + 1, watch: gate.watch.clone(), status })
}

/// What `S` leaves out.
pub(super) fn skip(view: &View, (step, state): (&Step, &StepState)) -> Result<Purpose, String> {
    if !view.leads() && !view.session.is_shadow(&view.me) {
        return Err("the lead and one shadow skip a step".into());
    }
    match state.phase {
        Phase::Planned => Ok(Purpose::Skip { step: step.id.clone() }),
        phase => Err(format!("{} is {}", numbered(&view.session, &step.id), phase.word())),
    }
}

/// What `B` clears.
pub(super) fn break_glass(view: &View) -> Result<Purpose, String> {
    let session = &*view.session;
    if !view.leads() {
        return Err(format!("only the lead ({}) may", session.lead.short()));
    }
    if !session.may_break_glass(&view.me) {
        return Err("the plan does not let you".into());
    }
    let Some((step, state, armed)) = session.open_step().filter(|(_, state, _)| state.phase == Phase::Armed) else {
        return Err("nothing is armed that waits for checks".into());
    };
    let able = session.could_check(armed);
    if able.len() >= armed.missing() as usize {
        let names: Vec<_> = able.into_iter().map(|who| who.short()).collect();
        return Err(format!("{} can check it", names.join(", ")));
    }
    Ok(Purpose::BreakGlass { step: step.id.clone(), attempt: state.attempt, digest: armed.digest() })
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

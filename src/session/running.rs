//! Starting what is cleared, and interrupting what runs.

use super::guard::{self, Ask, Reasons};
use super::phase::Phase;
use super::refusal::Refusal;
use super::steps::StepState;
use super::{batches, twin, waiting};
use crate::event::{Event, WaitEnd};
use crate::plan::Step;

/// It has its quorum and was not started yet.
pub(super) fn is_cleared(ask: &Ask, no: &mut Reasons) {
    let (Some(armed), Some((step, state))) = (ask.armed(), ask.step()) else { return };
    match state.phase {
        Phase::Cleared => {}
        Phase::Starting if twin::broken(6) => {}
        Phase::Armed => no.because(Refusal::Quorum { missing: armed.missing() }),
        phase => no.because(Refusal::Phase { step: step.id.clone(), phase, wanted: "cleared" }),
    }
}

/// The line is free, or held by the hub alone for want of people, and the glass was broken.
pub(super) fn line_lets_run(ask: &Ask, no: &mut Reasons) {
    let glass = ask.armed().is_some_and(|armed| armed.glass);
    if !(glass && ask.session.line.pulled.is_empty()) {
        guard::line_is_free(ask, no);
    }
}

/// A person does it, no command.
pub(super) fn is_done_by_hand(ask: &Ask, no: &mut Reasons) {
    let Some(id) = ask.request.step() else { return };
    if ask.session.plan.step(id).is_none_or(|step| step.by_hand().is_none()) {
        no.because(Refusal::NotByHand { step: id.clone() });
    }
}

/// Whether something of that step can be interrupted or given up.
pub(super) fn goes_on(state: &StepState) -> bool {
    matches!(state.phase, Phase::Waiting | Phase::BetweenBatches)
        || state.goes_on()
        || state.phase.is_live()
        || (state.phase == Phase::Unknown && state.still_running())
}

/// Something of it runs, waits or goes on.
pub(super) fn something_goes_on(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if !goes_on(state) && ask.session.left_by(&step.id).next().is_none() {
        no.because(Refusal::NotRunning { step: step.id.clone() });
    }
}

/// The last check, or none at all: it is cleared, and started where the plan says so.
pub(super) fn cleared(step: &Step, attempt: u32) -> impl Iterator<Item = Event> {
    let cleared = Event::StepCleared { step: step.id.clone(), attempt };
    let asked = Event::RunRequested { step: step.id.clone(), attempt, note: String::new() };
    std::iter::once(cleared).chain(step.run_on_clear().then_some(asked))
}

pub(super) fn run(ask: &Ask, note: &str) -> Result<Vec<Event>, Refusal> {
    let asked = |(step, state): (&Step, &StepState)| Event::RunRequested {
        step: step.id.clone(),
        attempt: state.attempt,
        note: note.to_owned(),
    };
    Ok(ask.step().map(asked).into_iter().collect())
}

/// A wait is given up, batches end after the one that was; what runs gets its signal.
pub(super) fn interrupt(ask: &Ask, force: bool) -> Result<Vec<Event>, Refusal> {
    let Some((step, state)) = ask.step() else { return Ok(vec![]) };
    let end = match state.phase {
        Phase::Waiting => waiting::end(ask.session, step, state, WaitEnd::GivenUp, ask.at),
        Phase::BetweenBatches => batches::end(state, &step.id, format!("given up by {}", ask.who())),
        _ => Some(Event::RunInterrupted { step: step.id.clone(), attempt: state.attempt, force }),
    };
    Ok(end.into_iter().collect())
}

//! Arming: when a step may be frozen, and whether what the hub froze is what the session would have people check.

use super::guard::{Ask, Reasons, void};
use super::phase::Phase;
use super::refusal::Refusal;
use super::request::Request;
use super::{arming, guard, running, waive};
use crate::event::{Cause, Covers, Event, Frozen};
use crate::transcript::record::LINE_BYTES_MAX;

/// The longest JSON text of what is armed: with the rest of its line it must fit into one message to every client, or
/// nobody could read it, and nobody could come back past it.
const ARMED_BYTES_MAX: usize = LINE_BYTES_MAX - 4 * 1024;

/// The line is free, or held by the hub alone for want of people, and the lead is one who may break the glass.
pub(super) fn line_lets_arm(ask: &Ask, no: &mut Reasons) {
    let under_hold = ask.step().is_some_and(|(step, _)| ask.session.arms_under_hold(ask.who(), step));
    if !under_hold {
        guard::line_is_free(ask, no);
    }
}

/// It is still to be done.
pub(super) fn is_to_be_done(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if !matches!(state.phase, Phase::Planned | Phase::SettledFailed) {
        no.because(Refusal::Phase { step: step.id.clone(), phase: state.phase, wanted: "planned" });
    }
}

/// One step at a time.
pub(super) fn nothing_else_is_armed(ask: &Ask, no: &mut Reasons) {
    if let Some((other, state, _)) = ask.session.open_step() {
        no.because(Refusal::Busy { other: other.id.clone(), phase: state.phase });
    }
}

/// What comes before it is over.
pub(super) fn those_before_are_over(ask: &Ask, no: &mut Reasons) {
    let Some((step, _)) = ask.step() else { return };
    for (after, phase) in ask.session.stands_behind(step) {
        let (step, after) = (step.id.clone(), after.clone());
        no.because(match phase {
            Phase::SettledFailed => Refusal::NotDone { step, after },
            phase => Refusal::After { step, after, phase },
        });
    }
}

/// Somebody said why it differs from the plan, and somebody can check it.
pub(super) fn deviation_is_accounted_for(ask: &Ask, no: &mut Reasons) {
    if let Some((step, _)) = ask.step() {
        no.unless(arming::may_be_armed(ask.session, step));
    }
}

/// What the hub froze is what the session would have people check, and everyone can be shown it.
pub(super) fn what_was_frozen_fits(ask: &Ask, no: &mut Reasons) {
    let (Some(covers), Some((step, _))) = (covers(ask), ask.step()) else { return };
    if !is_current(ask, covers) {
        return no
            .because(Refusal::CannotFreeze("the session moved on while the step was frozen; arm it again".into()));
    }
    match Frozen::new(covers.clone()) {
        Err(error) => no.because(Refusal::CannotFreeze(error.to_string())),
        Ok(frozen) if frozen.text().len() > ARMED_BYTES_MAX => {
            no.because(Refusal::CannotFreeze(format!(
                "what the crew would have to read for step {} takes {} KiB, and {} KiB is the most; let it name fewer or smaller files",
                step.id,
                frozen.text().len() / 1024,
                ARMED_BYTES_MAX / 1024
            )));
        }
        Ok(_) => {}
    }
}

fn covers<'a>(ask: &'a Ask) -> Option<&'a Covers> {
    match ask.request {
        Request::Arm { covers, .. } | Request::AdHoc { covers, .. } => covers.as_deref(),
        _ => None,
    }
}

/// Whether that is what the session, as it stands, would have people check.
fn is_current(ask: &Ask, covers: &Covers) -> bool {
    let session = ask.session;
    let Some((step, state)) = ask.step() else { return false };
    covers.step == step.id
        && covers.attempt == state.attempt + 1
        && covers.plan == session.plan.digest
        && session.is_its_own(covers)
        && covers.checks >= step.checks
        && waive::same(session, step, covers, ask.at)
        && step.readback.iter().eq(covers.readback.iter().map(|field| &field.name))
        && covers.deviations == step.deviations
        && covers.settled == session.settled_beside(&step.id)
        && covers.left == session.left_beside(&step.id)
        && covers.each.is_none_or(|each| each.done == session.lines_done(&step.id, &covers.command))
        && covers.params.iter().all(|(name, value)| session.params.get(name) == Some(value))
}

/// Without what was frozen the answer is only whether it may be: the hub then freezes the step and asks again.
pub(super) fn arm(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let (Some(covers), Some((step, state))) = (covers(ask), ask.step()) else { return Ok(vec![]) };
    let frozen = Frozen::new(covers.clone()).map_err(|error| Refusal::CannotFreeze(error.to_string()))?;
    let (id, attempt) = (step.id.clone(), state.attempt + 1);
    let lapses = ask.at.after(ask.session.plan.lapse_of(step));
    let mut events = vec![];
    if let Request::AdHoc { run, why, .. } = ask.request {
        events.push(Event::StepAdded { step: id.clone(), run: run.trim().to_owned(), why: why.trim().to_owned() });
    }
    events.push(Event::StepArmed { step: id, attempt, lapses, covers: frozen });
    if covers.checks == 0 {
        events.extend(running::cleared(step, attempt));
    }
    Ok(events)
}

pub(super) fn disarm(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let step = ask.step();
    Ok(step.map(|(step, state)| void(&step.id, state.attempt, Cause::Disarmed)).into_iter().collect())
}

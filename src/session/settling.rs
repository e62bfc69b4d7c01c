//! Taking note of how a step ended, and the end of the session.

use super::guard::{Ask, Reasons, void_open};
use super::refusal::Refusal;
use super::request::Request;
use super::steps::{Phase, StepState};
use crate::event::{Cause, Event, Outcome, Settled};
use crate::name::StepId;

/// Whoever armed it stays its lead, handed over or not: nobody is lead and shadow of one step.
pub(super) fn is_not_its_lead(ask: &Ask, no: &mut Reasons) {
    let (who, armed_by) = (ask.who(), ask.step().and_then(|(_, state)| state.armed.as_ref()).map(|armed| &armed.by));
    if *who == ask.session.lead || armed_by == Some(who) {
        no.because(Refusal::LeadMayNot { who: who.clone() });
    }
}

/// They are a shadow, or hold a seat.
pub(super) fn may_take_note(ask: &Ask, no: &mut Reasons) {
    if !ask.session.may_acknowledge(ask.who()) && *ask.who() != ask.session.lead {
        no.because(Refusal::ShadowOrSeat { who: ask.who().clone() });
    }
}

/// A word on it is owed.
pub(super) fn a_word_is_owed(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if !state.phase.owes_acknowledgement() {
        let wanted = "failed, degraded, undecided, unknown or rolled back";
        no.because(Refusal::Phase { step: step.id.clone(), phase: state.phase, wanted });
    }
}

/// No process of it is alive.
pub(super) fn process_is_gone(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if state.still_running() {
        no.because(Refusal::StillRunning { step: step.id.clone() });
    }
}

/// How it counts is plain. One that failed or was undone is not done; of the others somebody says which.
pub(super) fn outcome_is_plain(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if !matches!(state.phase, Phase::Failed | Phase::RolledBack) && state.phase.owes_acknowledgement() {
        no.because(Refusal::SayWhich { step: step.id.clone() });
    }
}

/// What a rollback leaves to be done is done.
pub(super) fn rollbacks_are_contained(ask: &Ask, no: &mut Reasons) {
    for (step, contain) in ask.session.contain_owed() {
        no.because(Refusal::Contain { step: step.clone(), contain: contain.clone() });
    }
}

/// The lead called the end.
pub(super) fn end_is_called(ask: &Ask, no: &mut Reasons) {
    if ask.session.closing.is_none() {
        no.because(Refusal::NotCalled);
    }
}

pub(super) fn settle(ask: &Ask, outcome: Settled, why: &str) -> Result<Vec<Event>, Refusal> {
    let Some((step, state)) = ask.step() else { return Ok(vec![]) };
    let (step, attempt, why) = (step.id.clone(), state.attempt, why.to_owned());
    Ok(vec![Event::Acknowledged { step, attempt, outcome, why, signed: ask.sign()? }])
}

pub(super) fn close(ask: &Ask, note: &str) -> Result<Vec<Event>, Refusal> {
    let session = ask.session;
    // What was typed and never ran is nothing that is left to do.
    let unrun = |(id, state): &(&StepId, &StepState)| {
        (state.phase.is_open() || state.phase == Phase::Planned) && session.plan.step(id).is_some_and(|step| step.adhoc)
    };
    let left = |(id, state): &(&StepId, &StepState)| !state.phase.is_done() && session.is_wanted(id);
    let complete = !session.steps.iter().filter(|step| !unrun(step)).any(|step| left(&step));
    let mut events: Vec<_> = void_open(session, Cause::Disarmed).into_iter().collect();
    let outcome = if complete { Outcome::Complete } else { Outcome::Partial };
    let note = note.to_owned();
    events.push(match session.hub_key {
        Some(_) => Event::CloseCalled { outcome, note },
        None => Event::SessionClosed { outcome, note, signed: None },
    });
    Ok(events)
}

pub(super) fn sign(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    if ask.session.closing.as_ref().is_some_and(|closing| closing.signed.contains(ask.who())) {
        return Ok(vec![]);
    }
    let signed = ask.sign()?.ok_or(Refusal::NotCalled)?;
    debug_assert!(matches!(ask.request, Request::SignClose));
    Ok(vec![Event::CloseSigned { signed }])
}

//! Taking note of how a step ended, and the end of the session.
//!
//! That it is not done one person says who does not lead. That it is done though it ended badly the lead and one more say,
//! and of what was undone nobody does.

use super::Session;
use super::guard::{Ask, Reasons, void_open};
use super::kept::HalfDone;
use super::phase::Phase;
use super::refusal::Refusal;
use super::request::Request;
use super::steps::StepState;
use crate::clock::At;
use crate::event::{Cause, Event, Outcome, Settled, SettledSeen};
use crate::name::{Principal, StepId};

impl Session {
    /// Who said that this step is done though it ended badly and waits for a second person, at that time.
    pub fn half_done(&self, step: &StepId, at: At) -> Option<&HalfDone> {
        let (planned, state) = (self.plan.step(step)?, self.steps.get(step)?);
        state.half_done.as_ref().filter(|half| at.since(half.at) < self.plan.lapse_of(planned))
    }

    /// The other steps that ended badly, and how people say that they count: who checks that step has to know.
    pub fn settled_beside(&self, step: &StepId) -> Vec<SettledSeen> {
        let others = self.plan.steps.iter().filter(|other| other.id != *step);
        let settled = others.filter_map(|other| {
            let state = self.steps.get(&other.id)?;
            let note = state.settled.as_ref()?;
            // One that was left out had been settled as not done, if it ever was: else it would be over already.
            let is_settled = matches!(state.phase, Phase::SettledDone | Phase::SettledFailed | Phase::Skipped);
            is_settled.then(|| SettledSeen {
                step: other.id.clone(),
                done: state.phase.is_done(),
                undone: state.is_undone(),
                skipped: state.phase == Phase::Skipped,
                by: note.agreed.iter().chain([&note.by]).cloned().collect(),
                why: note.text.clone(),
            })
        });
        settled.collect()
    }

    /// Whether those are the lead and one more person who may say with them that a step is done.
    fn are_two(&self, one: &Principal, other: &Principal, at: At) -> bool {
        let with = |who: &Principal| self.may_acknowledge(who, at);
        (*one == self.lead && with(other)) || (*other == self.lead && with(one))
    }
}

/// Whether that line settles a step as done as the lead and one more person said, as the session stood before it. One without
/// `agreed` is of an early version, which asked for one person.
pub fn holds(session: &Session, by: &Principal, step: &StepId, agreed: &Principal, at: At) -> Result<(), String> {
    let half = session.half_done(step, at).is_some_and(|half| half.by == *agreed);
    let undone = session.steps.get(step).is_none_or(|state| state.phase == Phase::RolledBack);
    match half && !undone && session.are_two(by, agreed, at) {
        true => Ok(()),
        false => Err(format!("step {step} is settled as done without the lead and one more person having said so")),
    }
}

/// Whoever armed it stays its lead, handed over or not: nobody is lead and shadow of one step.
pub(super) fn is_not_its_lead(ask: &Ask, no: &mut Reasons) {
    let (who, armed_by) = (ask.who(), ask.step().and_then(|(_, state)| state.armed.as_ref()).map(|armed| &armed.by));
    if *who == ask.session.lead || armed_by == Some(who) {
        no.because(Refusal::LeadMayNot { who: who.clone() });
    }
}

/// The lead says that it is done, and a second person who is neither the lead nor whoever armed it.
pub(super) fn may_say_done(ask: &Ask, no: &mut Reasons) {
    if *ask.who() != ask.session.lead {
        is_not_its_lead(ask, no);
        may_take_note(ask, no);
    }
}

/// What was undone, and verified to be as before, is not done.
pub(super) fn was_not_undone(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if state.phase == Phase::RolledBack {
        no.because(Refusal::Undone { step: step.id.clone() });
    }
}

/// They are a shadow, or hold a seat.
pub(super) fn may_take_note(ask: &Ask, no: &mut Reasons) {
    if !ask.session.may_acknowledge(ask.who(), ask.at) && *ask.who() != ask.session.lead {
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

pub(super) fn not_done(ask: &Ask, why: &str) -> Result<Vec<Event>, Refusal> {
    let Some((step, state)) = ask.step() else { return Ok(vec![]) };
    let (step, attempt, why) = (step.id.clone(), state.attempt, why.to_owned());
    let outcome = Settled::Failed;
    Ok(vec![Event::Acknowledged { step, attempt, outcome, agreed: None, why, signed: ask.sign()? }])
}

pub(super) fn done(ask: &Ask, why: &str) -> Result<Vec<Event>, Refusal> {
    let (session, who) = (ask.session, ask.who());
    let Some((step, state)) = ask.step() else { return Ok(vec![]) };
    let (step, attempt, why) = (step.id.clone(), state.attempt, why.to_owned());
    Ok(match session.half_done(&step, ask.at) {
        Some(half) if half.by == *who => vec![], // said already
        Some(half) if session.are_two(&half.by, who, ask.at) => {
            let (agreed, outcome) = (Some(half.by.clone()), Settled::Done);
            vec![Event::Acknowledged { step, attempt, outcome, agreed, why, signed: ask.sign()? }]
        }
        _ => vec![Event::SettleAgreed { step, attempt, why, signed: ask.sign()? }],
    })
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

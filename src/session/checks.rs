//! Cross-checks: opening the panel, yes, no, and taking a yes back.

use super::guard::{Ask, Reasons, void};
use super::phase::Phase;
use super::refusal::Refusal;
use super::steps::Armed;
use super::{readback, running, twin, waive};
use crate::event::{Cause, Event};
use crate::name::Principal;

/// Nobody checks a step that they armed or lead.
pub(super) fn is_not_their_own(ask: &Ask, no: &mut Reasons) {
    let (Some(armed), Some(step)) = (ask.armed(), ask.request.step()) else { return };
    let who = ask.who();
    if !twin::broken(1) && (*who == armed.by || *who == ask.session.lead) {
        no.because(Refusal::OwnStep { who: who.clone(), step: step.clone() });
    }
}

/// They are a shadow of the plan.
pub(super) fn may_check(ask: &Ask, no: &mut Reasons) {
    let who = ask.who();
    // Of the lead something else was said already.
    let own = *who == ask.session.lead || ask.armed().is_some_and(|armed| armed.by == *who);
    if !twin::broken(1) && !own && !ask.session.may_check(who) {
        no.because(Refusal::ShadowOnly { who: ask.who().clone() });
    }
}

/// One person counts once.
pub(super) fn has_not_checked(ask: &Ask, no: &mut Reasons) {
    if ask.armed().is_some_and(|armed| armed.checks.contains_key(ask.who())) {
        no.because(Refusal::CheckedAlready { who: ask.who().clone() });
    }
}

/// It still waits for checks.
pub(super) fn waits_for_checks(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step().filter(|_| ask.armed().is_some()) else { return };
    if state.phase != Phase::Armed {
        no.because(Refusal::Phase { step: step.id.clone(), phase: state.phase, wanted: "armed" });
    }
}

/// One key counts once: two names with it are one person.
pub(super) fn key_counts_once(ask: &Ask, no: &mut Reasons) {
    let Some(armed) = ask.armed().filter(|_| !twin::broken(1)) else { return };
    if let Some(other) = holder_of_key(ask, armed) {
        no.because(Refusal::SameKey { other: other.clone() });
    }
}

/// Somebody who leads this step or checked it already with the key that the author proved.
fn holder_of_key<'a>(ask: &'a Ask, armed: &'a Armed) -> Option<&'a Principal> {
    let (session, author) = (ask.session, ask.author);
    let leads = [&armed.by, &session.lead].into_iter();
    let with_key = |lead: &&Principal| session.people.get(*lead).is_some_and(|person| person.key == author.key);
    let checked = armed.checks.iter().find(|(_, check)| check.key == author.key).map(|(who, _)| who);
    leads.filter(with_key).find(|lead| **lead != author.principal).or(checked)
}

/// They opened its panel.
pub(super) fn panel_was_opened(ask: &Ask, no: &mut Reasons) {
    let (Some(armed), Some(step)) = (ask.armed(), ask.request.step()) else { return };
    if !armed.opened.contains_key(ask.who()) {
        no.because(Refusal::NotOpened { step: step.clone() });
    }
}

/// They typed what they have to read back.
pub(super) fn was_read_back(ask: &Ask, no: &mut Reasons) {
    if let Some(armed) = ask.armed() {
        no.unless(readback::done(armed, ask.who()));
    }
}

/// Whoever waived a gate of it is not all who check it.
pub(super) fn waiver_is_checked_by_another(ask: &Ask, no: &mut Reasons) {
    let Some(armed) = ask.armed().filter(|armed| armed.missing() <= 1) else { return };
    no.unless(waive::checked_by_another(armed, armed.checks.keys().chain([ask.who()])));
}

/// There is a yes of theirs to take back.
pub(super) fn has_checked(ask: &Ask, no: &mut Reasons) {
    if ask.armed().is_some_and(|armed| !armed.checks.contains_key(ask.who())) {
        no.because(Refusal::NotChecked { who: ask.who().clone() });
    }
}

pub(super) fn open(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let (Some(armed), Some((step, state))) = (ask.armed(), ask.step()) else { return Ok(vec![]) };
    Ok(match armed.opened.contains_key(ask.who()) {
        true => vec![],
        false => vec![Event::CheckOpened { step: step.id.clone(), attempt: state.attempt }],
    })
}

pub(super) fn check(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let (Some(armed), Some((step, state))) = (ask.armed(), ask.step()) else { return Ok(vec![]) };
    let (id, attempt, key, signed) = (step.id.clone(), state.attempt, ask.author.key.clone(), ask.sign()?);
    let mut events = vec![Event::CrossChecked { step: id, attempt, digest: armed.digest(), key, signed }];
    if armed.missing() <= 1 {
        events.extend(running::cleared(step, attempt));
    }
    Ok(events)
}

pub(super) fn object(ask: &Ask, why: &str) -> Result<Vec<Event>, Refusal> {
    let (Some(armed), Some((step, state))) = (ask.armed(), ask.step()) else { return Ok(vec![]) };
    let (id, attempt, digest, why) = (step.id.clone(), state.attempt, armed.digest(), why.to_owned());
    let by = ask.who().clone();
    let objected = Event::Objected { step: id, attempt, digest, why, signed: ask.sign()? };
    Ok(vec![objected, void(&step.id, attempt, Cause::Objected { by })])
}

pub(super) fn withdraw(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let Some((step, state)) = ask.step() else { return Ok(vec![]) };
    let withdrawn = Event::Withdrawn { step: step.id.clone(), attempt: state.attempt, signed: ask.sign()? };
    Ok(vec![withdrawn, void(&step.id, state.attempt, Cause::Withdrawn { by: ask.who().clone() })])
}

//! Break-glass: where the plan allows it, the lead alone clears what is armed, because nobody is there who could check it.
//!
//! It takes the place of the checks that are missing and of nothing else: gates, bytes and the andon stop it as ever, and the
//! lead still presses run. While shadows who could check are here it is refused. The hub's own hold for missing shadows is no
//! reason against it (that is what it is for), so a lead whom the plan names may arm under it. It is on record for ever.

use super::Session;
use super::guard::{Ask, Reasons};
use super::refusal::Refusal;
use super::request::Request;
use super::steps::Armed;
use crate::clock::At;
use crate::event::{Attention, Event};
use crate::name::{Principal, StepId};
use crate::plan::Step;
use serde::{Deserialize, Serialize};

/// The glass was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Glass {
    /// For which step.
    pub step: StepId,
    /// For which attempt.
    pub attempt: u32,
    /// When.
    pub at: At,
    /// By whom.
    pub by: Principal,
    /// Why.
    pub why: String,
    /// How many checks were missing.
    pub missing: u32,
}

impl Session {
    /// Whether this lead may clear a step alone, as the plan says.
    pub fn may_break_glass(&self, who: &Principal) -> bool {
        *who == self.lead && self.plan.break_glass.contains(who)
    }
    /// Whether what is armed was cleared by breaking the glass.
    pub fn is_glass_broken(&self) -> bool {
        self.open_step().is_some_and(|(_, _, armed)| armed.glass)
    }
    /// Shadows who are here, not away, and could still check what is armed.
    pub fn could_check(&self, armed: &Armed) -> Vec<&Principal> {
        let present = |who: &Principal| self.people.get(who).is_some_and(|person| person.attention != Attention::Away);
        let able = |who: &Principal| present(who) && !armed.checks.contains_key(who) && !armed.is_out(who);
        self.shadows_here().filter(|who| **who != armed.by && able(who)).collect()
    }
    /// What stops an attempt that was cleared: the andon always, the hub's hold unless the glass was broken for it.
    pub fn is_stopped_for(&self, armed: &Armed) -> bool {
        !self.line.pulled.is_empty() || (self.line.held.is_some() && !armed.glass)
    }
    /// Whether the hub's hold does not keep that person from arming that step.
    pub fn arms_under_hold(&self, who: &Principal, step: &Step) -> bool {
        step.checks > 0 && self.line.pulled.is_empty() && self.may_break_glass(who)
    }
}

/// The plan names them.
pub(super) fn plan_lets_them(ask: &Ask, no: &mut Reasons) {
    if !ask.session.plan.break_glass.contains(ask.who()) {
        no.because(Refusal::NoGlass { who: ask.who().clone() });
    }
}

/// The step's id was typed.
pub(super) fn id_was_typed(ask: &Ask, no: &mut Reasons) {
    if let Request::BreakGlass { step, confirm, .. } = ask.request
        && confirm != step.as_str()
    {
        no.because(Refusal::NotConfirmed { step: step.clone() });
    }
}

/// Nobody stopped the line. The hub's own hold is no reason against it.
pub(super) fn andon_is_not_pulled(ask: &Ask, no: &mut Reasons) {
    if let Some(puller) = ask.session.line.pulled.keys().next() {
        no.because(Refusal::LineStopped { why: format!("andon by {puller}") });
    }
}

/// Too few are here who could check it.
pub(super) fn nobody_else_is_there(ask: &Ask, no: &mut Reasons) {
    let Some(armed) = ask.armed() else { return };
    let able = ask.session.could_check(armed);
    if able.len() >= armed.missing() as usize {
        no.because(Refusal::NotAlone { who: able.into_iter().cloned().collect() });
    }
}

pub(super) fn break_it(ask: &Ask, why: &str) -> Result<Vec<Event>, Refusal> {
    let (Some(armed), Some((step, state))) = (ask.armed(), ask.step()) else { return Ok(vec![]) };
    let (step, attempt, digest, missing) = (step.id.clone(), state.attempt, armed.digest(), armed.missing());
    let (why, signed) = (why.to_owned(), ask.sign()?);
    Ok(vec![
        Event::BreakGlass { step: step.clone(), attempt, digest, missing, why, signed },
        Event::StepCleared { step, attempt },
    ])
}

/// Whether the plan allowed that line, as the session stood before it.
pub fn holds(session: &Session, by: &Principal, step: &StepId) -> Result<(), String> {
    let armed = session.steps.get(step).and_then(|state| state.armed.as_ref());
    match armed.is_some_and(|armed| armed.by == *by) && session.may_break_glass(by) {
        true => Ok(()),
        false => Err(format!("{by} broke the glass for step {step}, and the plan does not allow it")),
    }
}

impl std::fmt::Display for Glass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Glass { step, attempt, at, by, why, missing } = self;
        let s = if *missing == 1 { "" } else { "s" };
        write!(
            f,
            "BREAK GLASS: {by} cleared step {step} (attempt {attempt}) alone at {at}, {missing} cross-check{s} missing: {why}"
        )
    }
}

//! Leaving a step out: the lead and one more person say so, and why. It never counts as done.

use super::Session;
use super::guard::{Ask, Reasons};
use super::refusal::Refusal;
use super::steps::Phase;
use crate::clock::At;
use crate::event::Event;
use crate::name::{Principal, StepId};
use serde::{Deserialize, Serialize};

/// One of the two said so. It waits for the other for as long as a step stays armed, and ends when the step is armed or the
/// lead handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalfSkip {
    /// When.
    pub at: At,
    /// Who.
    pub by: Principal,
    /// Why.
    pub why: String,
}

impl Session {
    /// Who said that this step be left out and waits for a second person, at that time.
    pub fn half_skip(&self, step: &StepId, at: At) -> Option<&HalfSkip> {
        let (planned, state) = (self.plan.step(step)?, self.steps.get(step)?);
        state.skip.as_ref().filter(|half| at.since(half.at) < self.plan.lapse_of(planned))
    }
}

/// It was not begun.
pub(super) fn is_planned(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if state.phase != Phase::Planned {
        no.because(Refusal::Phase { step: step.id.clone(), phase: state.phase, wanted: "planned" });
    }
}

pub(super) fn skip(ask: &Ask, why: &str) -> Result<Vec<Event>, Refusal> {
    let (session, who) = (ask.session, ask.who());
    let Some((step, _)) = ask.step() else { return Ok(vec![]) };
    let (step, why) = (step.id.clone(), why.to_owned());
    Ok(match session.half_skip(&step, ask.at) {
        Some(half) if half.by == *who => vec![], // said already
        // Two shadows are two people, and neither of them leads.
        Some(half) if (half.by == session.lead) != (*who == session.lead) => {
            vec![Event::StepSkipped { step, agreed: half.by.clone(), why, signed: ask.sign()? }]
        }
        _ => vec![Event::SkipAgreed { step, why, signed: ask.sign()? }],
    })
}

/// Whether that line skips a step that the other of the two had agreed to leave out, as the session stood before it.
pub fn holds(session: &Session, by: &Principal, step: &StepId, agreed: &Principal, at: At) -> Result<(), String> {
    let half = session.half_skip(step, at).filter(|half| half.by == *agreed);
    let lead = &session.lead;
    let two = (by == lead && session.is_shadow(agreed)) || (agreed == lead && session.is_shadow(by));
    match session.steps.get(step).map(|state| state.phase) {
        Some(Phase::Planned) if half.is_some() && two => Ok(()),
        _ => Err(format!("step {step} is skipped without the lead and one more person having said so")),
    }
}

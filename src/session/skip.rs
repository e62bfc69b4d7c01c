//! Leaving a step out: the lead and one more person say so, and why. It never counts as done.

use super::request::{Author, Refusal, Request};
use super::signing::accept;
use super::steps::Phase;
use super::{Session, waive};
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

pub(super) fn decide(session: &Session, at: At, author: &Author, request: &Request) -> Result<Vec<Event>, Refusal> {
    let Request::Skip { step: id, why } = request else { return Ok(vec![]) };
    let who = &author.principal;
    let Some(state) = session.steps.get(id) else { return Err(Refusal::NoSuchStep { step: id.clone() }) };
    if *who != session.lead {
        waive::second_person(session, author, at)?;
    }
    if state.phase != Phase::Planned {
        return Err(Refusal::Phase { step: id.clone(), phase: state.phase, wanted: "planned" });
    }
    let (step, why) = (id.clone(), why.clone());
    match session.half_skip(id, at) {
        Some(half) if half.by == *who => Ok(vec![]), // said already
        // Two shadows are two people, and neither of them leads.
        Some(half) if (half.by == session.lead) != (*who == session.lead) => {
            let agreed = half.by.clone();
            Ok(vec![Event::StepSkipped { step, agreed, why, signed: accept(session, at, author, request)? }])
        }
        _ => Ok(vec![Event::SkipAgreed { step, why, signed: accept(session, at, author, request)? }]),
    }
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

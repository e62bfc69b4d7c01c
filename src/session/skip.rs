//! Leaving a step out: the lead and one more person say so, and why. It never counts as done.
//!
//! One that is settled as not done is left out in the same way, and not otherwise does anything begin behind it.

use super::Session;
use super::guard::{Ask, Reasons};
use super::kept::HalfSkip;
use super::phase::Phase;
use super::refusal::Refusal;
use super::twin;
use crate::clock::At;
use crate::event::Event;
use crate::name::{Principal, StepId};
use crate::plan::Step;
use std::collections::BTreeSet;

impl Session {
    /// Who said that this step be left out and waits for a second person, at that time.
    pub fn half_skip(&self, step: &StepId, at: At) -> Option<&HalfSkip> {
        let (planned, state) = (self.plan.step(step)?, self.steps.get(step)?);
        state.skip.as_ref().filter(|half| at.since(half.at) < self.plan.lapse_of(planned))
    }

    /// The steps before that one behind which it may not begin. In the place of one that was left out stand those before it: who
    /// leaves out a step says nothing of them.
    pub fn stands_behind(&self, step: &Step) -> Vec<(&StepId, Phase)> {
        let (mut ahead, mut seen) = (step.after.iter().collect::<Vec<_>>(), BTreeSet::new());
        let mut found = vec![];
        while let Some(id) = ahead.pop() {
            let state = self.steps.get(id);
            let phase = state.map_or(Phase::Planned, |state| state.phase);
            let Some(before) = self.plan.step(id).filter(|_| seen.insert(id)) else { continue };
            // What the plan wants done once that one was undone begins because it is not done.
            let contains = before.rollback.as_ref().is_some_and(|rollback| rollback.contain.contains(&step.id));
            if contains && phase.is_over() && state.is_some_and(|state| state.was_rolled_back) {
                continue;
            }
            if phase == Phase::Skipped {
                ahead.extend(&before.after);
            } else if !(phase.lets_others_begin() || twin::broken(16) && phase.is_over()) {
                found.push((&before.id, phase));
            }
        }
        found.sort_by_key(|(id, _)| self.plan.steps.iter().position(|step| step.id == **id));
        found
    }

    /// The step that is settled as not done, where that one may not begin for it.
    pub fn not_done_before(&self, step: &Step) -> Option<&StepId> {
        let behind = self.stands_behind(step);
        behind.into_iter().find(|(_, phase)| *phase == Phase::SettledFailed).map(|(id, _)| id)
    }
}

/// It was not begun, or is settled as not done.
pub(super) fn is_not_done(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if !matches!(state.phase, Phase::Planned | Phase::SettledFailed) {
        let wanted = "planned, or settled: not done";
        no.because(Refusal::Phase { step: step.id.clone(), phase: state.phase, wanted });
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
        Some(Phase::Planned | Phase::SettledFailed) if half.is_some() && two => Ok(()),
        _ => Err(format!("step {step} is skipped without the lead and one more person having said so")),
    }
}

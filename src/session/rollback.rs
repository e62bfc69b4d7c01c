//! Undoing a step: by the plan itself where it says `automatic`, else by the lead. Pure.
//!
//! What undoes a step was armed, shown and cross-checked together with it, so nothing more is asked: gates do not hold it, and
//! its right stands until somebody has taken note of how the step ended. Only its bytes are looked at again, by the hub, between
//! the intent and the process.

use super::Session;
use super::guard::{Ask, Reasons};
use super::phase::Phase;
use super::refusal::Refusal;
use super::steps::StepState;
use crate::event::{Event, Part, RunEnd, Verdict};
use crate::name::{Principal, StepId};
use crate::plan::Step;

/// The plan says how.
pub(super) fn is_planned(ask: &Ask, no: &mut Reasons) {
    let Some((step, _)) = ask.step() else { return };
    if step.rollback.is_none() {
        no.because(Refusal::NoRollback { step: step.id.clone() });
    }
}

/// It ended badly, and nobody has settled it.
pub(super) fn may_be_undone(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if !state.phase.may_roll_back() {
        let wanted = "failed, degraded, undecided, unknown or rollback failed";
        no.because(Refusal::Phase { step: step.id.clone(), phase: state.phase, wanted });
    }
}

/// What the lead's wish to undo a step becomes.
pub(super) fn roll_back(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let intended = ask.step().map(|(step, state)| Event::RollbackIntended {
        step: step.id.clone(),
        attempt: state.attempt,
        automatic: false,
        why: format!("asked for by the lead; the step was {}", state.phase.word()),
    });
    Ok(intended.into_iter().collect())
}

/// The rollback that the plan itself asks for now: after an exit code other than 0 or a turn to the worse, never after a
/// timeout, an interrupt, *cannot tell* or a crash. While the andon is pulled it waits. `verified` is what time alone says of
/// the run that is being verified, at this very moment: asked twice at one time, a session says nothing new.
pub(super) fn due(session: &Session, verified: Option<&Event>) -> Option<Event> {
    let worse = match verified {
        Some(Event::VerifyEnded { step, part: Part::Step, verdict: Verdict::Worse, .. }) => {
            session.plan.step(step).zip(session.steps.get(step))
        }
        _ => None,
    };
    let worse = worse.filter(|(step, state)| may(step, state)).map(|(step, state)| (step, state, WORSE.to_owned()));
    let (step, state, why) = worse.or_else(|| wanted(session))?;
    session.line.pulled.is_empty().then(|| Event::RollbackIntended {
        step: step.id.clone(),
        attempt: state.attempt,
        automatic: true,
        why,
    })
}

fn wanted(session: &Session) -> Option<(&Step, &StepState, String)> {
    let (step, state) = session.owing_step().filter(|(step, state)| may(step, state))?;
    let run = state.run.as_ref()?;
    let why = match (state.phase, &run.end) {
        (Phase::Failed, Some(RunEnd::Exited { code })) if run.interrupted.is_none() => format!("exit {code}"),
        (Phase::Degraded, _) => WORSE.to_owned(),
        _ => return None,
    };
    Some((step, state, why))
}

const WORSE: &str = "worse than before";

/// Whether the plan may have that step undone by itself.
fn may(step: &Step, state: &StepState) -> bool {
    step.rollback.as_ref().is_some_and(|rollback| rollback.automatic) && !state.by_hand && state.rollback.is_none()
}

impl Session {
    /// What a rollback calls for and is not done: which step was undone, and which has to follow.
    pub fn contain_owed(&self) -> impl Iterator<Item = (&StepId, &StepId)> {
        let undone =
            self.plan.steps.iter().filter(|step| self.steps.get(&step.id).is_some_and(|state| state.was_rolled_back));
        let owed =
            undone.flat_map(|step| step.rollback.iter().flat_map(|it| &it.contain).map(move |id| (&step.id, id)));
        owed.filter(|(_, id)| !self.steps.get(*id).is_some_and(|state| state.phase.is_done()))
    }

    /// Why a rollback that the plan asks for does not start by itself: who pulled the andon. The lead may start it all the same.
    pub fn rollback_held(&self) -> Option<(&Step, &Principal)> {
        let (step, ..) = wanted(self)?;
        Some((step, self.line.pulled.keys().next()?))
    }

    /// Whether that step is to be flown as things stand: one that only contains what a rollback leaves is wanted once that
    /// rollback ran.
    pub fn is_wanted(&self, id: &StepId) -> bool {
        let contains = |step: &&Step| step.rollback.as_ref().is_some_and(|rollback| rollback.contain.contains(id));
        let mut contained = self.plan.steps.iter().filter(contains).peekable();
        contained.peek().is_none()
            || contained.any(|step| self.steps.get(&step.id).is_some_and(|state| state.was_rolled_back))
            || self.steps.get(id).is_some_and(|state| state.phase != Phase::Planned)
    }
}

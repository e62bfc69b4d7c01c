//! The command that informs who decides how a step counts (`probe`). Pure, like the fold.
//!
//! It runs because somebody asks for it, on the checks of the step it belongs to, and its bytes are those that were frozen
//! then. It changes nothing of how the step stands; an andon does not hold it, because it only looks.

use super::Session;
use super::guard::{Ask, Reasons};
use super::refusal::Refusal;
use super::steps::RunState;
use crate::event::{Event, Part, RunEnd};
use crate::hash::Hash;
use crate::name::StepId;

/// The plan has one for it.
pub(super) fn is_planned(ask: &Ask, no: &mut Reasons) {
    let Some((step, _)) = ask.step() else { return };
    if step.probe.is_none() {
        no.because(Refusal::NoProbe { step: step.id.clone() });
    }
}

/// There is something to judge.
pub(super) fn something_is_to_be_judged(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if !state.phase.owes_acknowledgement() {
        let wanted = "failed, degraded, undecided or unknown";
        no.because(Refusal::Phase { step: step.id.clone(), phase: state.phase, wanted });
    }
}

/// It does not run already.
pub(super) fn is_not_running(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if running(state.run.as_ref()) {
        no.because(Refusal::Probing { step: step.id.clone() });
    }
}

pub(super) fn probe(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let intended =
        ask.step().map(|(step, state)| Event::ProbeIntended { step: step.id.clone(), attempt: state.attempt });
    Ok(intended.into_iter().collect())
}

fn running(run: Option<&RunState>) -> bool {
    run.and_then(|run| run.probe.as_ref()).is_some_and(|probe| probe.ended.is_none())
}

/// What one that is over becomes; nothing where nobody waits for it any more.
pub(super) fn over(
    session: &Session,
    (id, attempt): (&StepId, u32),
    end: &RunEnd,
    says: &str,
    output: Option<(u32, Hash)>,
) -> Vec<Event> {
    let state = session.steps.get(id).filter(|state| state.attempt == attempt);
    let Some(run) = state.and_then(|state| state.run.as_ref()).filter(|run| running(Some(run))) else { return vec![] };
    let step = || id.clone();
    let offset = run.probe_bytes;
    let part = Part::Probe;
    let output =
        output.map(|(length, hash)| Event::OutputWritten { step: step(), attempt, part, offset, length, hash });
    let ended = Event::ProbeEnded { step: step(), attempt, end: end.clone(), says: says.to_owned() };
    output.into_iter().chain([ended]).collect()
}

/// What the latest probe of a run came to, in a sentence.
pub fn told(run: &RunState) -> Option<String> {
    let probe = run.probe.as_ref()?;
    Some(match &probe.ended {
        None => "runs".to_owned(),
        Some((at, end, says)) if says.is_empty() => format!("{end} at {}, and said nothing", at.clock()),
        Some((at, end, says)) => format!("{end} at {}: {says}", at.clock()),
    })
}

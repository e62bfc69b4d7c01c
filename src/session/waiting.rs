//! Steps that are done only once a watch reads ok (`until`): a job that returns at once and works on, or a step that runs
//! nothing and waits for something to drain. And steps that a person does (`manual`). Pure, like the fold.
//!
//! A wait ends by a reading that began after it did; unknown never ends it. It has no end of its own but the plan's `within`,
//! and anyone who may interrupt a command may give it up: then people say how the step counts.

use super::Session;
use super::kept::ByHand;
use super::steps::StepState;
use super::verify;
use crate::clock::{At, human};
use crate::event::{Event, Part, Status, WaitEnd};
use crate::plan::{Does, Step};

/// The start of the wait, where the plan asks for one.
pub(super) fn start(step: &Step, at: At, attempt: u32, anew: bool) -> Option<Event> {
    let until = step.until()?;
    Some(Event::WaitStarted {
        step: step.id.clone(),
        attempt,
        watch: until.watch.clone(),
        until: until.within.map(|within| at.after(within)),
        anew,
    })
}

/// What follows a run that ended well: the wait, else what it did is held against what was before.
pub(super) fn after_run(step: &Step, at: At, attempt: u32) -> Option<Event> {
    start(step, at, attempt, false).or_else(|| verify::start(step, at, attempt, Part::Step, false))
}

/// What follows the intent of a step that runs no command; nothing where it runs one.
pub(super) fn instead_of_run(step: &Step, at: At, attempt: u32, said: Option<&ByHand>) -> Vec<Event> {
    let done = |said: &ByHand| Event::DoneByHand {
        step: step.id.clone(),
        attempt,
        by: said.by.clone(),
        note: said.note.clone(),
    };
    let by_hand = match step.does {
        Does::Runs(_) => return vec![],
        Does::ByHand { .. } => said.map(done),
        Does::Waits { .. } => None,
    };
    by_hand.into_iter().chain(start(step, at, attempt, false)).collect()
}

/// What is due at that time on the step that waits: its start, where a crash cut that off, or its end.
pub(super) fn due(session: &Session, at: At) -> Vec<Event> {
    let Some((step, state)) = session.waiting_step() else { return vec![] };
    let wait = state.run.as_ref().and_then(|run| run.wait.as_ref());
    let (Some(until), Some(wait)) = (step.until(), wait) else { return vec![] };
    let Some(since) = wait.since else {
        return start(step, at, state.attempt, true).into_iter().collect();
    };
    let began = session.watches.get(&until.watch).filter(|watch| watch.reading.is_some()).map(|watch| watch.began);
    let anew = began.is_some_and(|began| began >= since);
    match anew && session.status(&until.watch, at) == Status::Ok {
        true => {
            let met = end(session, step, state, WaitEnd::Met, at);
            met.into_iter().chain(verify::start(step, at, state.attempt, Part::Step, false)).collect()
        }
        false if wait.until.is_some_and(|until| at >= until) => {
            end(session, step, state, WaitEnd::TimedOut, at).into_iter().collect()
        }
        false => vec![],
    }
}

/// The end of a wait, with what its watch says.
pub(super) fn end(session: &Session, step: &Step, state: &StepState, end: WaitEnd, at: At) -> Option<Event> {
    let until = step.until()?;
    let why = format!("{}: {}", session.status(&until.watch, at).word(), session.why(&until.watch, at));
    Some(Event::WaitEnded { step: step.id.clone(), attempt: state.attempt, end, why })
}

impl Session {
    /// The one step that waits for its watch.
    pub fn waiting_step(&self) -> Option<(&Step, &StepState)> {
        self.find(|state| state.phase == super::steps::Phase::Waiting)
    }

    /// What that step waits for, in the words of every screen; nothing where it does not wait.
    pub fn waits_for(&self, step: &Step, at: At) -> Option<String> {
        let wait = self.steps.get(&step.id).filter(|state| state.phase == super::steps::Phase::Waiting)?;
        let wait = wait.run.as_ref()?.wait.as_ref()?;
        let watch = &step.until()?.watch;
        let time = match (wait.until, wait.since) {
            (Some(until), _) => format!("{} left", human(until.since(at))),
            (None, Some(since)) => format!("for {}, without a limit", human(at.since(since))),
            (None, None) => "since just now".to_owned(),
        };
        Some(format!("waits for {watch} ({time}): {}: {}", self.status(watch, at).word(), self.why(watch, at)))
    }
}

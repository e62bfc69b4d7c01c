//! What commands left running: who it is, while it lives. Pure, like the fold.
//!
//! A step is over when everything in its command's process session has ended. What left that session is named when the step
//! ends. Where the plan has a word on it (`leaves`), the step counts as its command's exit code says. Where it has none,
//! nobody knows whether the step is done: a job that daemonised itself may be half-way through the data. Then the step is
//! undecided, and a rollback has failed, whatever the exit code: the lead and a shadow say how it counts.

use super::Session;
use super::steps::StepState;
use crate::event::{Event, LeftBeside, LeftSeen, Part, Process, ProcessSeen, RunEnd};
use crate::name::StepId;
use serde::{Deserialize, Serialize};

/// A process that a run left behind, and that still lives as far as everyone was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remains {
    /// Of which step.
    pub step: StepId,
    /// Which try of it.
    pub attempt: u32,
    /// Which of its commands.
    #[serde(default, skip_serializing_if = "Part::is_step")]
    pub part: Part,
    /// That command.
    pub of: Process,
    /// Its keeper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<Process>,
    /// Who it is.
    pub seen: ProcessSeen,
}

impl StepState {
    /// Whether the plan says that this command leaves something running, as it was frozen.
    pub fn may_leave(&self, part: Part) -> bool {
        let armed = self.armed.as_ref().map(|armed| armed.covers.covers());
        armed.and_then(|covers| covers.command_of(part)).is_some_and(|command| command.leaves.is_some())
    }
    /// Whether the latest run of that command left something of which the plan says nothing.
    pub fn left_unsaid(&self, part: Part) -> bool {
        self.run_of(part).is_some_and(|run| run.left_unsaid)
    }
    /// What the latest run of that command left and still runs, in words; nothing where there is none.
    pub fn left_words(&self, part: Part) -> Option<String> {
        let left = &self.run_of(part)?.left;
        (!left.is_nothing()).then(|| left.to_string())
    }
    /// What the end of its command is still waited for by: how that ended, and who runs on.
    pub fn awaits(&self) -> Option<String> {
        let (end, of) = self.latest_run()?.awaits.as_ref()?;
        Some(awaited(end, of))
    }

    pub(super) fn others_awaited(&mut self, part: Part, end: &RunEnd, of: &LeftSeen) {
        if let Some(run) = self.run_of_mut(part) {
            run.awaits = Some((end.clone(), of.clone()));
        }
    }
}

/// How the command ended, and who runs on.
fn awaited(end: &RunEnd, of: &LeftSeen) -> String {
    format!("the command ended ({end}); still runs: {of}")
}

impl Session {
    /// What that step left and still runs.
    pub fn left_by(&self, step: &StepId) -> impl Iterator<Item = &Remains> {
        self.left.iter().filter(move |remains| remains.step == *step)
    }
    /// What other steps left running: who checks that step has to know.
    pub fn left_beside(&self, step: &StepId) -> Vec<LeftBeside> {
        let others = self.plan.steps.iter().filter(|other| other.id != *step);
        let left = others.filter_map(|other| {
            let all: Vec<_> = self.left_by(&other.id).map(|remains| remains.seen.to_string()).collect();
            let state = self.steps.get(&other.id)?;
            let planned = self.left_by(&other.id).all(|remains| state.may_leave(remains.part));
            (!all.is_empty()).then(|| LeftBeside { step: other.id.clone(), what: all.join(", "), planned })
        });
        left.collect()
    }

    pub(super) fn left_behind(&mut self, step: &StepId, attempt: u32, part: Part, of: &LeftSeen) {
        let same = |it: &&Remains| (&it.step, it.attempt, it.part) == (step, attempt, part);
        let earlier = self.left.iter().find(same).map(|it| (it.of.clone(), it.keeper.clone()));
        let Some(state) = self.steps.get_mut(step) else { return };
        let unsaid = !state.may_leave(part);
        let run = if state.attempt == attempt { state.run_of_mut(part) } else { None };
        let run = run.and_then(|run| {
            run.left.named.extend(of.named.iter().cloned());
            run.left.more = run.left.more.saturating_add(of.more);
            run.left.unseen = of.unseen.clone().or(run.left.unseen.take());
            run.left_unsaid |= unsaid;
            Some((run.process.clone()?, run.keeper.clone()))
        });
        let Some((command, keeper)) = run.or(earlier) else { return };
        self.left.extend(of.named.iter().map(|seen| Remains {
            step: step.clone(),
            attempt,
            part,
            of: command.clone(),
            keeper: keeper.clone(),
            seen: seen.clone(),
        }));
    }

    pub(super) fn left_gone(&mut self, step: &StepId, part: Part, processes: &[ProcessSeen]) {
        let gone = |seen: &ProcessSeen| processes.iter().any(|it| it.process == seen.process);
        self.left.retain(|remains| remains.step != *step || !gone(&remains.seen));
        if let Some(run) = self.steps.get_mut(step).and_then(|state| state.run_of_mut(part)) {
            run.left.named.retain(|seen| !gone(seen));
        }
    }
}

/// What a run was seen to leave, as far as nobody was told; nothing where nobody knows of such a run.
pub(super) fn behind(session: &Session, step: &StepId, attempt: u32, part: Part, of: &LeftSeen) -> Option<Event> {
    let state = session.steps.get(step).filter(|state| state.attempt == attempt);
    let run = state.and_then(|state| state.run_of(part)).filter(|run| run.process.is_some());
    let same = |it: &Remains| (&it.step, it.attempt, it.part) == (step, attempt, part);
    if run.is_none() && !session.left.iter().any(same) {
        return None;
    }
    let known = |seen: &ProcessSeen| session.left.iter().any(|remains| remains.seen.process == seen.process);
    let named = of.named.iter().filter(|seen| !known(seen)).cloned().collect();
    let of = LeftSeen { named, ..of.clone() };
    (!of.is_nothing()).then(|| Event::LeftBehind { step: step.clone(), attempt, part, of })
}

/// What of that was seen to have ended, an event for each run that had left some.
pub(super) fn gone(session: &Session, processes: &[Process]) -> Vec<Event> {
    let mut events: Vec<Event> = vec![];
    for remains in session.left.iter().filter(|remains| processes.contains(&remains.seen.process)) {
        let (id, n, of) = (&remains.step, remains.attempt, remains.part);
        let same = events.iter_mut().find_map(|event| match event {
            Event::LeftGone { step, attempt, part, processes } if (&*step, *attempt, *part) == (id, n, of) => {
                Some(processes)
            }
            _ => None,
        });
        match same {
            Some(processes) => processes.push(remains.seen.clone()),
            None => {
                let processes = vec![remains.seen.clone()];
                events.push(Event::LeftGone { step: id.clone(), attempt: n, part: of, processes });
            }
        }
    }
    events
}

fn of_part(step: &str, part: Part) -> String {
    if part.is_step() { step.to_owned() } else { format!("the {} of {step}", part.word()) }
}

/// A step that waits for more than its command, as a sentence.
pub(super) fn awaits_story(step: &str, part: Part, end: &RunEnd, of: &LeftSeen) -> String {
    format!("{} is not over: {}", of_part(step, part), awaited(end, of))
}

/// What a step left, as a sentence.
pub(super) fn behind_story(session: &Session, event: &Event, step: &str, part: Part, of: &LeftSeen) -> String {
    let state = event.step().and_then(|id| session.steps.get(id));
    let what = of_part(step, part);
    match state.is_some_and(|state| state.may_leave(part)) {
        true => format!("{what} leaves running, as the plan says: {of}"),
        false => format!("{what} LEFT RUNNING, and the plan does not say so: {of}; `interrupt` and `kill` reach it"),
    }
}

/// That it ended, as a sentence.
pub(super) fn gone_story(step: &str, part: Part, processes: &[ProcessSeen]) -> String {
    let all: Vec<_> = processes.iter().map(ToString::to_string).collect();
    format!("what {} left running has ended: {}", of_part(step, part), all.join(", "))
}

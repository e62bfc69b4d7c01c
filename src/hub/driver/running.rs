//! The process of the step that runs.

use super::super::crash::{self, Moment};
use super::super::fanout::binary_frame;
use super::{Driver, Incoming, Live};
use crate::clock::At;
use crate::event::{LeftSeen, Part, ProcessSeen, RunEnd};
use crate::exec::{self, Emulator, Frame};
use crate::name::StepId;
use crate::protocol::Screen;
use crate::secret::Given;
use crate::session::Fact;
use crate::session::steps::StepState;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the system is asked whom those started whom a run had left.
const LOOKED_AT: Duration = Duration::from_secs(1);

/// Which lines of its input that run gets; all of it where it is no batch. What undoes a step gets all that were begun.
fn dealt(state: &StepState, part: Part) -> Option<Range<u32>> {
    match part {
        Part::Step => Some(state.each()?.batch(state.batch()?.0)),
        Part::Rollback => state.begun_lines().filter(|_| state.undoes_lines()),
        Part::Preview | Part::Probe => None,
    }
}

/// That end, where nothing changed meanwhile of what people had checked.
pub(super) fn as_it_was_checked(end: RunEnd, changed: Option<String>) -> RunEnd {
    match (end, changed) {
        (RunEnd::Exited { code }, Some(what)) => RunEnd::Changed { code, what },
        (end, _) => end,
    }
}

impl Driver {
    /// Starts what was intended; what became of it.
    pub(super) fn start(&mut self, step: &StepId, attempt: u32, part: Part) -> Fact {
        let not_started =
            |why: String| Fact::Ended { step: step.clone(), attempt, part, end: RunEnd::NotStarted { why } };
        let session = self.sequencer.session();
        let state = session.steps.get(step);
        let armed = state.and_then(|state| state.armed.as_ref());
        // What undoes a step was not asked for by whoever stopped the line, and the lead may want it because of that.
        let stopped = armed.map_or(session.line.is_stopped(), |armed| session.is_stopped_for(armed));
        if part == Part::Step && stopped {
            return not_started("the line was stopped before it started".to_owned());
        }
        let seen = armed.and_then(|armed| armed.covers.covers().command_of(part));
        let planned = session.plan.step(step).and_then(|planned| planned.command_of(part));
        let (Some(state), Some(seen), Some(planned)) = (state, seen, planned) else {
            return not_started("nothing is armed".to_owned());
        };
        let written = state.run_of(part).map_or(0, |run| run.output_bytes);
        let (reports, mut reported) = mpsc::channel(16);
        let note = self.journal.note(step, attempt, part);
        let env = self.secret_env.take().filter(|(id, n, _)| id == step && *n == attempt);
        let given = Given { env: env.map(|(_, _, env)| env).unwrap_or_default(), needles: self.vault.needles() };
        let lines = dealt(state, part);
        let first = part == Part::Step && state.batch().is_none_or(|(batch, _)| batch <= 1);
        let named = if first { exec::named_unchanged(seen) } else { Ok(()) };
        let running = named.and_then(|()| exec::open(seen, planned, &session.params)).and_then(|mut opened| {
            lines.map_or(Ok(()), |lines| opened.only_lines(lines))?;
            crash::here(Moment::Before, "exec");
            exec::start(opened, self.size, reports, note.as_deref(), &given)
        });
        let running = match running {
            Ok(running) => running,
            Err(error) => return not_started(self.vault.text(error.to_string())),
        };
        let (inputs, id) = (self.inputs.clone(), step.clone());
        // The only wait between a PTY and the journal: its bytes queue here while a sync is under way.
        std::thread::spawn(move || {
            while let Some(report) = reported.blocking_recv() {
                if inputs.blocking_send(Incoming::Run { step: id.clone(), attempt, part, report }).is_err() {
                    return;
                }
            }
        });
        let (process, keeper) = (running.process.clone(), running.keeper.clone());
        let quiet = super::typing::Quiet::new(self.shared.now(), seen.input.is_none());
        let emulator = self.emulate(step, attempt, part);
        self.live = Some(Live { step: step.clone(), attempt, part, running, emulator, written, quiet });
        let (step, cols, rows) = (step.clone(), self.size.cols, self.size.rows);
        Fact::Started { step, attempt, part, process, keeper, cols, rows }
    }

    /// The end of the running command; where what people checked of it did not stay as it was, nobody knows what that end is of.
    pub(super) fn as_it_was_checked(&self, end: RunEnd) -> RunEnd {
        let changed = self.live.as_ref().and_then(|live| live.running.changed());
        as_it_was_checked(end, changed.map(|what| self.vault.text(what)))
    }

    /// Has everything watched with the parameters as they are now, where that one decides what is looked at.
    pub(super) fn watch_anew(&mut self, param: &str) {
        let session = self.sequencer.session();
        if session.plan.watches_with(param).is_empty() {
            return;
        }
        self.watching_since = self.shared.now();
        let anchors = super::super::anchors(session);
        self.monitor = self.monitor.anew(&session.plan.watches, &session.params, &self.folder, &anchors);
    }

    /// An emulator whose screens go to everyone; without one (no thread to be had) the command runs all the same.
    fn emulate(&mut self, step: &StepId, attempt: u32, part: Part) -> Option<Emulator> {
        let (frames, mut framed) = watch::channel::<Option<Frame>>(None);
        let (shared, step) = (self.shared.clone(), step.clone());
        self.screens += 1;
        let base = self.screens << 32;
        self.runtime.spawn(async move {
            while framed.changed().await.is_ok() {
                let Some(frame) = framed.borrow_and_update().clone() else { continue };
                let screen = Screen {
                    step: step.clone(),
                    attempt,
                    part,
                    number: base + frame.number,
                    cols: frame.size.cols,
                    rows: frame.size.rows,
                    bytes: frame.bytes,
                };
                shared.ring.show(binary_frame(&screen.encode()));
            }
        });
        Emulator::start(self.size, frames)
            .inspect_err(|error| tracing::warn!("no screen for this command: {error}"))
            .ok()
    }

    pub(super) fn interrupt(&self, step: &StepId, force: bool) {
        let live = self.live.as_ref().filter(|live| live.step == *step);
        if let Some(live) = live {
            if let Err(error) = live.running.interrupt(force) {
                tracing::warn!("step {step} cannot be interrupted: {error}");
            }
            return;
        }
        let session = self.sequencer.session();
        let run = session.steps.get(step).and_then(|state| state.latest_run());
        let orphan =
            run.filter(|run| run.still_running).and_then(|run| Some((run.process.clone()?, run.keeper.clone())));
        let left = session.left_by(step).map(|remains| (remains.of.clone(), remains.keeper.clone()));
        let all: BTreeMap<u32, _> = orphan.into_iter().chain(left).map(|(of, keeper)| (of.pid, (of, keeper))).collect();
        all.values().for_each(|(of, keeper)| exec::signal_left(of, keeper.as_ref(), force));
    }

    /// The step whose process outlived an earlier hub, once it and all in its session are gone.
    pub(super) fn vanished(&self) -> Option<(StepId, u32)> {
        let (step, state) = self.sequencer.session().owing_step()?;
        let run = state.latest_run().filter(|run| run.still_running)?;
        let gone = run.process.as_ref().is_none_or(|process| !exec::still_runs(process, run.keeper.as_ref()));
        gone.then(|| (step.id.clone(), state.attempt))
    }

    /// What runs left behind: who of them has ended, and whom those started who are gone.
    pub(super) fn look_at_what_is_left(&mut self, now: At) -> Vec<Fact> {
        if self.sequencer.session().left.is_empty() {
            return vec![];
        }
        let due = now.since(self.looked) >= LOOKED_AT;
        if due {
            self.looked = now;
        }
        let session = self.sequencer.session();
        let gone = session.left.iter().map(|remains| &remains.seen.process).filter(|process| !exec::is_alive(process));
        let mut facts: Vec<Fact> = vec![];
        let runs: BTreeMap<u32, _> = session.left.iter().map(|remains| (remains.of.pid, remains)).collect();
        for left in runs.values().filter(|_| due) {
            let Some(keeper) = &left.keeper else { continue };
            let of = self.named(LeftSeen::of(exec::left(&left.of, keeper)));
            facts.push(Fact::LeftBehind { step: left.step.clone(), attempt: left.attempt, part: left.part, of });
        }
        let processes: Vec<_> = gone.cloned().collect();
        if !processes.is_empty() {
            facts.push(Fact::LeftGone { processes });
        }
        facts
    }

    /// Those processes, with no secret in their words.
    pub(super) fn named(&self, of: LeftSeen) -> LeftSeen {
        let named = of.named.into_iter();
        let named = named.map(|seen| ProcessSeen { command: self.vault.text(seen.command), ..seen }).collect();
        LeftSeen { named, ..of }
    }
}

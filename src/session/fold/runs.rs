//! A step from the press of run to its end: requested, intended, started, printing, waiting, over or lost.

use super::Now;
use crate::clock::At;
use crate::event::{Part, Process, RunEnd, WaitEnd};
use crate::name::{Principal, StepId};
use crate::plan::Step;
use crate::session::Session;
use crate::session::kept::Probe;
use crate::session::kept::Verifying;
use crate::session::kept::{ByHand, Waited, Waiting};
use crate::session::steps::{Move, RunState, Starting, StepState};
use crate::session::verify;

/// Something to fold readings into, where that part of the step is verified.
pub(super) fn to_verify(planned: Option<&Step>, part: Part) -> Option<Verifying> {
    planned.and_then(|step| step.verify_of(part)).map(|_| Verifying::default())
}

fn waits(planned: Option<&Step>) -> bool {
    planned.is_some_and(|step| step.until().is_some())
}

impl Session {
    pub(super) fn run_requested(&mut self, now: Now, step: &StepId, note: &str) {
        let planned = self.plan.step(step);
        let gates = planned.map(|step| step.gates.iter().map(|gate| gate.watch.clone()).collect()).unwrap_or_default();
        let by_hand = planned.is_some_and(|step| step.by_hand().is_some());
        let Some(state) = self.steps.get_mut(step) else { return };
        if let Some(armed) = &mut state.armed {
            let said = by_hand.then(|| ByHand { by: now.by.clone(), note: note.to_owned() });
            armed.starting = Some(Starting { seq: now.line.seq, at: now.at, pending: gates, said });
        }
        state.go(Move::Request, now.at);
    }

    pub(super) fn run_intended(&mut self, at: At, step: &StepId) {
        let planned = self.plan.step(step);
        let before = planned.map(|step| verify::before(self, step, at)).unwrap_or_default();
        let (waits, verify) = (waits(planned), to_verify(planned, Part::Step));
        let Some(state) = self.steps.get_mut(step) else { return };
        let starting = state.armed.as_mut().and_then(|armed| armed.starting.take());
        state.waivers.clear();
        state.run = Some(RunState {
            by_hand: starting.and_then(|starting| starting.said),
            wait: waits.then(Waiting::default),
            batch: u32::from(state.each().is_some()),
            ..RunState::intended(at, verify)
        });
        state.before = before;
        state.go(Move::Intend, at);
    }

    pub(super) fn batch_intended(&mut self, at: At, step: &StepId, batch: u32) {
        let verify = to_verify(self.plan.step(step), Part::Step);
        let Some(state) = self.steps.get_mut(step) else { return };
        // All batches print into one file.
        let new = RunState { batch, ..RunState::intended(at, verify) };
        state.run = Some(match state.run.take() {
            Some(RunState { intended, output_bytes, probe_bytes, .. }) => {
                RunState { intended, output_bytes, probe_bytes, ..new }
            }
            None => new,
        });
        state.go(Move::Intend, at);
    }

    pub(super) fn done_by_hand(&mut self, now: Now, step: &StepId) {
        let waits = waits(self.plan.step(step));
        let Some(state) = self.steps.get_mut(step) else { return };
        if let Some(run) = &mut state.run {
            run.ended = Some(now.at);
            run.ended_by = Some(now.line);
        }
        state.go(if waits { Move::EndToWait } else { Move::EndWell }, now.at);
    }

    pub(super) fn resized(&mut self, size: (u16, u16)) {
        if let Some((_, state)) = self.steps.iter_mut().find(|(_, state)| state.phase.is_live())
            && let Some(run) = state.latest_run_mut()
        {
            run.size = size;
        }
    }
}

impl StepState {
    pub(super) fn batches_ended(&mut self, at: At, why: &str) {
        if let Some(run) = &mut self.run {
            run.cut = Some(why.to_owned());
        }
        self.go(Move::BatchesOver, at);
    }

    pub(super) fn started(
        &mut self,
        at: At,
        part: Part,
        (process, keeper): (&Process, Option<&Process>),
        size: (u16, u16),
    ) {
        if let Some(run) = self.run_of_mut(part) {
            run.process = Some(process.clone());
            run.keeper = keeper.cloned();
            run.started = Some(at);
            run.size = size;
        }
        self.go(Move::Start, at);
    }

    pub(super) fn printed(&mut self, part: Part, upto: u64) {
        let run = if part == Part::Probe { self.run.as_mut() } else { self.run_of_mut(part) };
        if let Some(run) = run {
            *(if part == Part::Probe { &mut run.probe_bytes } else { &mut run.output_bytes }) = upto;
        }
    }

    pub(super) fn interrupted(&mut self, by: &Principal) {
        // Of a run that is over only what it left was interrupted.
        let goes_on = self.phase.is_live() || self.phase.is_settling() || self.still_running();
        if let Some(run) = self.latest_run_mut().filter(|_| goes_on) {
            run.interrupted = Some(by.clone());
        }
    }

    pub(super) fn run_ended(&mut self, now: Now, end: &RunEnd) {
        if let Some(run) = &mut self.run {
            run.ended = Some(now.at);
            run.ended_by = Some(now.line);
            run.end = Some(end.clone());
            run.awaits = None;
        }
        let waits = self.run.as_ref().is_some_and(|run| run.wait.is_some());
        let verified = self.run.as_ref().is_some_and(|run| run.verify.is_some());
        let done = self.counts(Part::Step, end).is_done();
        let by = match end {
            RunEnd::NotStarted { .. } => Move::NotStarted,
            RunEnd::Changed { .. } => Move::EndUnclear,
            _ if self.left_too_early(Part::Step, end) => Move::EndUnclear,
            _ if done && waits => Move::EndToWait,
            _ if done && verified => Move::EndToVerify,
            _ if done => Move::EndWell,
            _ => Move::EndBadly,
        };
        self.go(by, now.at);
    }

    pub(super) fn lost(
        &mut self,
        now: Now,
        part: Part,
        (process, keeper): (Option<&Process>, Option<&Process>),
        still_running: bool,
        end: Option<&RunEnd>,
    ) {
        if let Some(run) = self.run_of_mut(part) {
            run.end = end.cloned();
            run.process = run.process.take().or_else(|| process.cloned());
            run.keeper = run.keeper.take().or_else(|| keeper.cloned());
            run.awaits = None;
            run.ended = Some(now.at);
            run.ended_by = Some(now.line);
            run.still_running = still_running;
        }
        self.go(Move::Lose, now.at);
    }

    pub(super) fn process_gone(&mut self) {
        if let Some(run) = self.latest_run_mut() {
            run.still_running = false;
        }
    }

    pub(super) fn probe_intended(&mut self, now: Now) {
        if let Some(run) = &mut self.run {
            run.probe = Some(Probe { by: now.by.clone(), at: now.at, ended: None });
        }
    }

    pub(super) fn probe_ended(&mut self, at: At, end: &RunEnd, says: &str) {
        if let Some(probe) = self.run.as_mut().and_then(|run| run.probe.as_mut()) {
            probe.ended = Some((at, end.clone(), says.to_owned()));
        }
    }

    pub(super) fn wait_started(&mut self, at: At, until: Option<At>) {
        if let Some(wait) = self.run.as_mut().and_then(|run| run.wait.as_mut()) {
            *wait = Waiting { since: Some(at), until };
        }
        self.go(Move::EndToWait, at); // of a step that runs nothing; every other waits already
    }

    pub(super) fn wait_ended(&mut self, now: Now, end: WaitEnd, why: &str) {
        let verified = self.run.as_ref().is_some_and(|run| run.verify.is_some());
        if let Some(run) = &mut self.run {
            run.wait = None;
            run.waited = Some(Waited { end, why: why.to_owned() });
            run.ended.get_or_insert(now.at);
            run.ended_by.get_or_insert(now.line);
        }
        let by = match end {
            WaitEnd::Met if verified => Move::WaitMetToVerify,
            WaitEnd::Met => Move::WaitMet,
            WaitEnd::TimedOut | WaitEnd::GivenUp => Move::WaitOver,
        };
        self.go(by, now.at);
    }
}

//! The fold itself: what each event makes of a session.

use super::glass::Glass;
use super::people::Taken;
use super::readmit::{HalfReadmit, Readmitted};
use super::settling::HalfDone;
use super::skip::HalfSkip;
use super::steps::{Armed, Check, Move, Note, Phase, RunState, Starting, StepState};
use super::verify::Verifying;
use super::waive::Waiver;
use super::{
    Checkpoint, Closing, HISTORY, Handover, KEPT, Person, REFUSAL_WINDOW, Said, Session, Told,
    probe::Probe,
    signing, step_of, story, verify,
    waiting::{ByHand, Waited, Waiting},
};
use crate::clock::At;
use crate::event::{Attention, Event, Part, Reading, RunEnd, Settled, Status, Verdict, WaitEnd, WaivedSeen};
use crate::hash::Hash;
use crate::name::WatchId;
use crate::plan::Step;
use crate::transcript::record::{Head, Line};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

impl Session {
    /// Folds one event in; `hash` is that of its line. Always succeeds: what may happen was decided before it was numbered.
    pub fn apply(&mut self, line: &Line, hash: Hash) {
        self.tell(line);
        self.seq = line.seq;
        self.hash = hash;
        self.checkpoint.wanted |= signing::calls_for_checkpoint(&line.event);
        self.at = line.at;
        let (at, by) = (line.at, &line.by);
        // Asked of what begins alone: most lines are output.
        let critical = matches!(&line.event, Event::RunIntended { step, .. } if self.is_checked(step));
        self.before.take(line.seq, at, by, &line.event, critical);
        match &line.event {
            Event::SessionOpened { .. } => {}
            Event::Recovered { .. } => {
                self.stopping = None;
                for person in self.people.values_mut().filter(|person| !person.connections.is_empty()) {
                    person.connections.clear();
                    person.silent.clear();
                    person.gone = Some(at);
                }
                // A probe that was under way told nobody anything; it can be asked for again.
                for run in self.steps.values_mut().filter_map(|state| state.run.as_mut()) {
                    run.probe = run.probe.take().filter(|probe| probe.ended.is_some());
                }
                // After a restart nothing is undone by itself.
                self.steps.values_mut().for_each(|state| state.by_hand |= state.run.is_some());
            }
            Event::PlanChanged { .. } => self.plan_changed = true,
            Event::StopAsked {} => self.stopping = Some(at),
            Event::ClockJumped { .. } => {}
            Event::SessionClosed { outcome, .. } => self.closed = Some(*outcome),
            Event::CloseCalled { outcome, note } => {
                self.closing = Some(Closing {
                    line: Head { seq: line.seq, hash },
                    at,
                    outcome: *outcome,
                    note: note.clone(),
                    signed: BTreeSet::new(),
                });
            }
            Event::CloseSigned { .. } => {
                if let Some(closing) = &mut self.closing {
                    closing.signed.insert(by.clone());
                }
            }
            Event::HubVouched { .. } => self.vouched = Some(by.clone()),
            Event::CheckpointSigned { .. } => {
                self.checkpoint = Checkpoint { seq: line.seq, at, wanted: false };
            }
            Event::Joined { principal, role, key, connection, vouched } => {
                let person = self.people.entry(principal.clone()).or_insert_with(|| Person {
                    role: *role,
                    key: key.clone(),
                    vouched: *vouched,
                    connections: BTreeSet::new(),
                    silent: BTreeMap::new(),
                    knocked: None,
                    lost: vec![],
                    readmitted: None,
                    attention: Attention::Here,
                    since: at,
                    gone: None,
                });
                person.vouched = *vouched;
                person.connections.insert(*connection);
                person.gone = None;
                if *principal == self.lead {
                    self.lead_gone = None;
                }
            }
            Event::Left { principal, connection, .. } => {
                if let Some(person) = self.people.get_mut(principal) {
                    person.connections.remove(connection);
                    person.silent.remove(connection);
                    if person.connections.is_empty() {
                        person.gone = Some(at);
                    }
                }
            }
            Event::KeyRefused { principal, key } => {
                if let Some(person) = self.people.get_mut(principal) {
                    person.knocked = Some(key.clone());
                }
            }
            Event::ReadmitAgreed { principal, key, .. } => {
                let (by, who, key) = (by.clone(), principal.clone(), key.clone());
                self.readmitting = Some(HalfReadmit { at, by, who, key });
            }
            Event::Readmitted { principal, key, agreed, .. } => {
                self.readmitting = None;
                if let Some(person) = self.people.get_mut(principal) {
                    person.lost.push(std::mem::replace(&mut person.key, key.clone()));
                    person.knocked = None;
                    person.readmitted = Some(Readmitted { at, by: [agreed.clone(), by.clone()] });
                    // Whoever still holds the lost key is nobody.
                    if !person.connections.is_empty() {
                        person.connections.clear();
                        person.silent.clear();
                        person.gone = Some(at);
                    }
                }
            }
            Event::LinkSilent { principal, connection, since } => {
                if let Some(person) = self.people.get_mut(principal) {
                    match since {
                        Some(since) => person.silent.insert(*connection, *since),
                        None => person.silent.remove(connection),
                    };
                }
            }
            Event::AttentionChanged { principal, attention } => {
                if let Some(person) = self.people.get_mut(principal) {
                    person.attention = attention.clone();
                    person.since = at;
                }
            }
            Event::HandoverAgreed { to } => {
                self.handover = Some(Handover { to: to.clone(), agreed: by.clone(), at });
            }
            Event::LeadGone { since, .. } => self.lead_gone = Some(*since),
            Event::LeadHandedOver { from, to, agreed } => {
                if let Some(agreed) = agreed {
                    let (from, to, by) = (from.clone(), to.clone(), [agreed.clone(), by.clone()]);
                    self.taken.push(Taken { at, from, to, by });
                }
                self.lead = to.clone();
                self.lead_gone = None;
                self.handover = None;
                // They were given to, and with, the lead before.
                for state in self.steps.values_mut() {
                    state.waivers.clear();
                    state.skip = None;
                    state.half_done = None;
                }
            }
            Event::Noted { text } => push(&mut self.notes, Said { at, by: by.clone(), text: text.clone() }, KEPT),
            Event::Marked { .. } => {}
            Event::Refused { principal, .. } => {
                let count = self.refusals.entry(principal.clone()).or_insert((at, 0));
                if at.since(count.0) >= REFUSAL_WINDOW {
                    *count = (at, 0);
                }
                count.1 += 1;
            }
            Event::ReadingTaken { watch, reading, began, asked } => {
                let state = self.watches.entry(watch.clone()).or_default();
                if let Some(value) = reading.value {
                    push(&mut state.history, (at, value), HISTORY);
                }
                state.reading = Some(reading.clone());
                state.began = *began;
                self.sample(watch, reading, *began, at);
                if let Some(starting) = self.starting_mut()
                    && starting.waits_for(watch, *began, *asked)
                {
                    starting.pending.remove(watch);
                }
            }
            Event::GateTurned { watch, to, .. } => {
                self.watches.entry(watch.clone()).or_default().status = Some(*to);
            }
            Event::AnchorTaken { watch, anchor } => {
                let state = self.watches.entry(watch.clone()).or_default();
                state.anchor = Some(anchor.clone());
                state.anchor_moves = false;
            }
            Event::ParamSet { name, value, why } => self.set_param(by, name, value, why),
            Event::StepEdited { step, run, why } => self.edit_step(by, step, run, why),
            Event::StepAdded { step, run, why } => self.add_step(by, step, run, why),
            Event::RecoveryTurned { to, .. } => self.way_back = to.clone(),
            Event::AndonPulled { .. } => self.line.pull(by, at, Head { seq: line.seq, hash }),
            Event::AndonReleased { freed, .. } => self.line.release(by, *freed),
            Event::LineHeld { why } => self.line.held = Some(why.clone()),
            Event::LineFreed { .. } => self.line.held = None,
            Event::Resized { cols, rows } => {
                if let Some((_, state)) = self.steps.iter_mut().find(|(_, state)| state.phase.is_live())
                    && let Some(run) = state.latest_run_mut()
                {
                    run.size = (*cols, *rows);
                }
            }
            event => self.apply_to_step(line, hash, event),
        }
        for watch in self.purged_by(&line.event) {
            self.watches.entry(watch).or_default().anchor_moves = true;
        }
        let short = self.shadows_short();
        self.short_since = if short { self.short_since.or(Some(at)) } else { None };
        self.tell_others(line);
    }

    fn apply_to_step(&mut self, line: &Line, hash: Hash, event: &Event) {
        let (at, by) = (line.at, &line.by);
        let gates: BTreeSet<WatchId> = match event {
            Event::RunRequested { step, .. } => self
                .plan
                .step(step)
                .map(|step| step.gates.iter().map(|gate| gate.watch.clone()).collect())
                .unwrap_or_default(),
            _ => BTreeSet::new(),
        };
        // Asked where it matters alone: most lines are output.
        let planned = |what: fn(&Step) -> bool| step_of(event).and_then(|id| self.plan.step(id)).is_some_and(what);
        let waits = || planned(|step| step.until.is_some());
        let before = match event {
            Event::RunIntended { step, .. } => {
                self.plan.step(step).map(|step| verify::before(self, step, at)).unwrap_or_default()
            }
            _ => BTreeMap::new(),
        };
        let verify = |part: Part| {
            let verified = step_of(event).and_then(|id| self.plan.step(id)).and_then(|step| step.verify_of(part));
            verified.map(|_| Verifying::default())
        };
        let Some(state) = step_of(event).and_then(|id| self.steps.get_mut(id)) else { return };
        let go = |state: &mut StepState, by: Move| {
            let Some(next) = state.phase.next_or_once(by) else { return };
            let under_way = |phase: Phase| phase.is_live() || phase.is_settling();
            let over = under_way(state.phase) && !under_way(next);
            if let Some(run) = state.run_of_mut(state.phase.part()).filter(|_| over) {
                run.finished = Some(at);
            }
            state.phase = next;
        };
        match event {
            Event::StepArmed { attempt, lapses, covers, .. } => {
                state.attempt = *attempt;
                state.voided = None;
                state.skip = None;
                state.half_done = None;
                // One that lapsed before it was armed must not come back to life now.
                let seen = |watch: &WatchId| {
                    covers.covers().gates.iter().any(|gate| gate.watch == *watch && gate.waived.is_some())
                };
                state.waivers.retain(|watch, _| seen(watch));
                state.run = None;
                state.rollback = None;
                state.by_hand = false;
                state.armed = Some(Armed {
                    line: Head { seq: line.seq, hash },
                    at,
                    lapses: *lapses,
                    by: by.clone(),
                    covers: covers.clone(),
                    opened: BTreeMap::new(),
                    checks: BTreeMap::new(),
                    readers: BTreeMap::new(),
                    glass: false,
                    starting: None,
                });
                go(state, Move::Arm);
            }
            Event::CheckOpened { .. } => {
                if let Some(armed) = &mut state.armed {
                    armed.opened.entry(by.clone()).or_insert(at);
                    armed.seat(by);
                }
            }
            Event::ReadBack { field, right, .. } => {
                if let Some(armed) = &mut state.armed {
                    armed.read_back(by, field, *right);
                }
            }
            Event::CrossChecked { key, .. } => {
                if let Some(armed) = &mut state.armed {
                    let opened = armed.opened.get(by).copied().unwrap_or(at);
                    let looked_ms = u64::try_from(at.since(opened).as_millis()).unwrap_or(u64::MAX);
                    armed.checks.insert(by.clone(), Check { at, key: key.clone(), looked_ms });
                    armed.move_from_seat_of(by);
                }
            }
            Event::Withdrawn { .. } => {
                if let Some(armed) = &mut state.armed {
                    armed.checks.remove(by);
                }
            }
            Event::StepVoided { cause, .. } => {
                state.voided = Some(cause.to_string());
                state.waivers.clear();
                state.armed = None;
                go(state, Move::Void);
            }
            Event::GateWaived { watch, status, why, .. } => {
                let waived = WaivedSeen { by: by.clone(), status: *status, why: why.clone() };
                state.waivers.insert(watch.clone(), Waiver { at, waived });
            }
            Event::SkipAgreed { why, .. } => state.skip = Some(HalfSkip { at, by: by.clone(), why: why.clone() }),
            Event::StepSkipped { .. } => {
                state.skip = None;
                state.waivers.clear();
                go(state, Move::Skip);
            }
            Event::BreakGlass { step, attempt, missing, why, .. } => {
                if let Some(armed) = &mut state.armed {
                    armed.glass = true;
                }
                let (step, by, why) = (step.clone(), by.clone(), why.clone());
                self.glass.push(Glass { step, attempt: *attempt, at, by, why, missing: *missing });
            }
            Event::StepCleared { .. } => go(state, Move::Clear),
            Event::RunRequested { note, .. } => {
                if let Some(armed) = &mut state.armed {
                    let said =
                        planned(|step| step.manual.is_some()).then(|| ByHand { by: by.clone(), note: note.clone() });
                    armed.starting = Some(Starting { seq: line.seq, at, pending: gates, said });
                }
                go(state, Move::Request);
            }
            Event::RunIntended { .. } => {
                let starting = state.armed.as_mut().and_then(|armed| armed.starting.take());
                state.waivers.clear();
                state.run = Some(RunState {
                    by_hand: starting.and_then(|starting| starting.said),
                    wait: waits().then(Waiting::default),
                    batch: u32::from(state.each().is_some()),
                    ..RunState::intended(at, verify(Part::Step))
                });
                state.before = before;
                go(state, Move::Intend);
            }
            Event::BatchIntended { batch, .. } => {
                // All batches print into one file.
                let new = RunState { batch: *batch, ..RunState::intended(at, verify(Part::Step)) };
                state.run = Some(match state.run.take() {
                    Some(RunState { intended, output_bytes, probe_bytes, .. }) => {
                        RunState { intended, output_bytes, probe_bytes, ..new }
                    }
                    None => new,
                });
                go(state, Move::Intend);
            }
            Event::BatchesEnded { why, .. } => {
                if let Some(run) = &mut state.run {
                    run.cut = Some(why.clone());
                }
                go(state, Move::BatchesOver);
            }
            Event::RunStarted { part, process, cols, rows, .. } => {
                if let Some(run) = state.run_of_mut(*part) {
                    run.process = Some(process.clone());
                    run.started = Some(at);
                    run.size = (*cols, *rows);
                }
                go(state, Move::Start);
            }
            Event::OutputWritten { part, offset, length, .. } => {
                let run = if *part == Part::Probe { state.run.as_mut() } else { state.run_of_mut(*part) };
                if let Some(run) = run {
                    let bytes = if *part == Part::Probe { &mut run.probe_bytes } else { &mut run.output_bytes };
                    *bytes = offset + u64::from(*length);
                }
            }
            Event::RunInterrupted { .. } => {
                if let Some(run) = state.latest_run_mut() {
                    run.interrupted = Some(by.clone());
                }
            }
            Event::RunEnded { end, .. } => {
                if let Some(run) = &mut state.run {
                    run.ended = Some(at);
                    run.ended_by = Some(Head { seq: line.seq, hash });
                    run.end = Some(end.clone());
                }
                let waits = state.run.as_ref().is_some_and(|run| run.wait.is_some());
                let verified = state.run.as_ref().is_some_and(|run| run.verify.is_some());
                let done = state.counts(Part::Step, end).is_done();
                go(
                    state,
                    match end {
                        RunEnd::NotStarted { .. } => Move::NotStarted,
                        RunEnd::Changed { .. } => Move::EndUnclear,
                        _ if done && waits => Move::EndToWait,
                        _ if done && verified => Move::EndToVerify,
                        _ if done => Move::EndWell,
                        _ => Move::EndBadly,
                    },
                );
            }
            Event::RollbackIntended { .. } => {
                // A second try goes on in the file of the first one.
                let output_bytes = state.rollback.as_ref().map_or(0, |run| run.output_bytes);
                state.rollback = Some(RunState { output_bytes, ..RunState::intended(at, verify(Part::Rollback)) });
                state.was_rolled_back = true;
                state.half_done = None; // it was said of what is undone now
                state.done = state.lines_before();
                state.by_hand |= !by.is_hub();
                go(state, Move::RollBack);
            }
            Event::RollbackEnded { end, .. } => {
                let mut verified = false;
                if let Some(run) = &mut state.rollback {
                    run.ended = Some(at);
                    run.ended_by = Some(Head { seq: line.seq, hash });
                    run.end = Some(end.clone());
                    verified = run.verify.is_some();
                }
                let done = state.counts(Part::Rollback, end).is_done();
                go(
                    state,
                    match done {
                        true if verified => Move::RollbackToVerify,
                        true => Move::RollbackWell,
                        false => Move::RollbackBadly,
                    },
                );
            }
            Event::OutcomeUnknown { part, process, still_running, end, .. } => {
                if let Some(run) = state.run_of_mut(*part) {
                    run.end = end.clone();
                    run.process = run.process.take().or_else(|| process.clone());
                    run.ended = Some(at);
                    run.ended_by = Some(Head { seq: line.seq, hash });
                    run.still_running = *still_running;
                }
                go(state, Move::Lose);
            }
            Event::ProcessGone { .. } => {
                if let Some(run) = state.latest_run_mut() {
                    run.still_running = false;
                }
            }
            Event::ProbeIntended { .. } => {
                if let Some(run) = &mut state.run {
                    run.probe = Some(Probe { by: by.clone(), at, ended: None });
                }
            }
            Event::ProbeEnded { end, says, .. } => {
                if let Some(probe) = state.run.as_mut().and_then(|run| run.probe.as_mut()) {
                    probe.ended = Some((at, end.clone(), says.clone()));
                }
            }
            Event::DoneByHand { .. } => {
                if let Some(run) = &mut state.run {
                    run.ended = Some(at);
                    run.ended_by = Some(Head { seq: line.seq, hash });
                }
                go(state, if waits() { Move::EndToWait } else { Move::EndWell });
            }
            Event::WaitStarted { until, .. } => {
                if let Some(wait) = state.run.as_mut().and_then(|run| run.wait.as_mut()) {
                    *wait = Waiting { since: Some(at), until: *until };
                }
                go(state, Move::EndToWait); // of a step that runs nothing; every other waits already
            }
            Event::WaitEnded { end, why, .. } => {
                let verified = state.run.as_ref().is_some_and(|run| run.verify.is_some());
                if let Some(run) = &mut state.run {
                    run.wait = None;
                    run.waited = Some(Waited { end: *end, why: why.clone() });
                    run.ended.get_or_insert(at);
                    run.ended_by.get_or_insert(Head { seq: line.seq, hash });
                }
                go(
                    state,
                    match end {
                        WaitEnd::Met if verified => Move::WaitMetToVerify,
                        WaitEnd::Met => Move::WaitMet,
                        WaitEnd::TimedOut | WaitEnd::GivenUp => Move::WaitOver,
                    },
                );
            }
            Event::VerifyStarted { part, until, anew, .. } => {
                if let Some(verifying) = state.run_of_mut(*part).and_then(|run| run.verify.as_mut()) {
                    verifying.after.clear();
                    verifying.span = Some((at, *until));
                    verifying.anew |= *anew;
                }
            }
            Event::VerifyEnded { part, verdict, compared, .. } => {
                if let Some(run) = state.run_of_mut(*part) {
                    // What it was made of has done its work; the verdict stays.
                    run.verify = None;
                    run.verdict = Some((*verdict, compared.clone()));
                }
                let well = part.is_step() && matches!(verdict, Verdict::Better | Verdict::Same);
                let whole = state.run.as_ref().is_some_and(|run| run.interrupted.is_none());
                if let Some(done) = state.done_lines().filter(|_| well && whole) {
                    state.done = Some(done);
                }
                go(
                    state,
                    match verdict {
                        Verdict::Better | Verdict::Same if well && state.has_more() => Move::VerifyBatch,
                        Verdict::Better | Verdict::Same => Move::VerifyWell,
                        Verdict::Worse => Move::VerifyWorse,
                        Verdict::CannotTell => Move::VerifyUnclear,
                    },
                );
            }
            Event::SettleAgreed { why, .. } => {
                state.half_done = Some(HalfDone { at, by: by.clone(), why: why.clone() });
            }
            Event::Acknowledged { outcome, agreed, why, .. } => {
                let (by, agreed) = (by.clone(), agreed.clone());
                state.settled = Some(Note { by, agreed, at, outcome: *outcome, text: why.clone() });
                state.half_done = None;
                go(
                    state,
                    match outcome {
                        Settled::Done => Move::SettleDone,
                        Settled::Failed => Move::SettleFailed,
                    },
                );
            }
            _ => {}
        }
    }

    /// Keeps a reading for the run that is being verified. One that began before the run ended says nothing about after.
    fn sample(&mut self, watch: &WatchId, reading: &Reading, began: At, at: At) {
        let stale = self.plan.watch(watch).is_none_or(|watch| at.since(began) > watch.stale_after);
        let Some(state) = self.steps.values_mut().find(|state| state.phase.is_verifying()) else { return };
        let known = state.before.contains_key(watch);
        let part = state.phase.part();
        let Some(verifying) = state.run_of_mut(part).and_then(|run| run.verify.as_mut()) else { return };
        if known && verifying.span.is_some_and(|(from, _)| began >= from) {
            let status = if stale { Status::Unknown } else { reading.status };
            let value = reading.value.filter(|_| !stale);
            verifying.after.entry(watch.clone()).or_default().push(status, value, &reading.unit);
        }
    }

    pub(super) fn tell(&mut self, line: &Line) {
        if let Some(text) = story(self, line) {
            push(&mut self.recent, Told { seq: line.seq, at: line.at, text }, KEPT);
        }
    }

    fn starting_mut(&mut self) -> Option<&mut Starting> {
        self.steps.values_mut().find(|state| state.phase == Phase::Starting)?.armed.as_mut()?.starting.as_mut()
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, kept: usize) {
    if queue.len() >= kept {
        queue.pop_front();
    }
    queue.push_back(item);
}

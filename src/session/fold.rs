//! The fold itself: what each event makes of a session. [`Session::apply`] names every kind there is, those that change
//! nothing too, so that a new one does not compile until somebody decided; what it does stands with its like, a file below
//! for each.

mod arming;
mod checks;
mod people;
mod runs;
mod settling;
mod watches;

use super::phase::{Move, Phase};
use super::steps::StepState;
use super::{Checkpoint, Closing, KEPT, Said, Session, Told, signing, story};
use crate::clock::At;
use crate::event::{Event, Outcome};
use crate::hash::Hash;
use crate::name::{Principal, StepId};
use crate::transcript::record::{Head, Line};
use std::collections::{BTreeSet, VecDeque};

/// The line that is folded: where it stands, when it was written, and by whom.
#[derive(Clone, Copy)]
struct Now<'a> {
    line: Head,
    at: At,
    by: &'a Principal,
}

impl Session {
    /// Folds one event in; `hash` is that of its line. Always succeeds: what may happen was decided before it was numbered.
    pub fn apply(&mut self, line: &Line, hash: Hash) {
        self.tell(line);
        self.seq = line.seq;
        self.hash = hash;
        self.checkpoint.wanted |= signing::calls_for_checkpoint(&line.event);
        self.at = line.at;
        // Asked of what begins alone: most lines are output.
        let critical = matches!(&line.event, Event::RunIntended { step, .. } if self.is_checked(step));
        self.preflight.take(line.seq, line.at, &line.by, &line.event, critical);
        let now = Now { line: Head { seq: line.seq, hash }, at: line.at, by: &line.by };
        self.fold(now, &line.event);
        for watch in self.purged_by(&line.event) {
            self.watches.entry(watch).or_default().anchor_moves = true;
        }
        let short = self.shadows_short();
        self.short_since = if short { self.short_since.or(Some(line.at)) } else { None };
        self.tell_others(line);
    }

    /// One line for each kind of event.
    fn fold(&mut self, now: Now, event: &Event) {
        let (at, by) = (now.at, now.by);
        match event {
            // What the first line says, `open` has taken; a jump of the clock and a mark are told, and change nothing.
            Event::SessionOpened { .. } | Event::ClockJumped { .. } | Event::Marked { .. } => {}
            // Folded by what stands before the first critical step.
            Event::SeatTaken { .. }
            | Event::ChecklistAnswered { .. }
            | Event::AvailabilityStated { .. }
            | Event::PollCalled { .. }
            | Event::PollAnswered { .. } => {}
            // Folded by what tells others.
            Event::Notified { .. } | Event::NotifyFailed { .. } => {}
            // A no voids by a line of its own; what was typed, or is waited for, is in the transcript, and moves no step.
            Event::Objected { .. }
            | Event::InputWritten { .. }
            | Event::InputLost { .. }
            | Event::AnswerAwaited { .. } => {}

            Event::Recovered { .. } => self.recovered(at),
            Event::PlanChanged { what, .. } => {
                self.plan_changed = true;
                self.plan_differs.clone_from(what);
            }
            Event::StopAsked {} => self.stopping = Some(at),
            Event::CloseCalled { outcome, note } => self.close_called(now, *outcome, note),
            Event::CloseSigned { .. } => self.close_signed(by),
            Event::SessionClosed { outcome, .. } => self.closed = Some(*outcome),
            Event::HubVouched { .. } => self.vouched = Some(by.clone()),
            Event::CheckpointSigned { .. } => {
                self.checkpoint = Checkpoint { seq: now.line.seq, at, wanted: false };
            }

            Event::Joined { principal, role, key, connection, vouched } => {
                self.joined(at, principal, (*role, key), *connection, *vouched);
            }
            Event::Left { principal, connection, .. } => self.left(at, principal, *connection),
            Event::AttentionChanged { principal, attention } => self.looks_at(at, principal, attention),
            Event::KeyRefused { principal, key } => self.key_refused(principal, key),
            Event::ReadmitAgreed { principal, key, .. } => self.readmit_agreed(now, principal, key),
            Event::Readmitted { principal, key, agreed, .. } => self.readmitted(now, principal, key, agreed),
            Event::LinkSilent { principal, connection, since } => self.link_silent(principal, *connection, *since),
            Event::HandoverAgreed { to } => self.handover_agreed(now, to),
            Event::LeadGone { since, .. } => self.lead_gone = Some(*since),
            Event::LeadHandedOver { from, to, agreed } => self.handed_over(now, from, to, agreed.as_ref()),
            Event::Noted { text } => push(&mut self.notes, Said { at, by: by.clone(), text: text.clone() }, KEPT),
            Event::Refused { principal, .. } => self.was_refused(at, principal),

            Event::ReadingTaken { watch, reading, began, asked } => {
                self.reading_taken(at, watch, reading, *began, *asked);
            }
            Event::GateTurned { watch, to, .. } => self.watches.entry(watch.clone()).or_default().status = Some(*to),
            Event::AnchorTaken { watch, anchor } => self.anchor_taken(watch, anchor),
            Event::RecoveryTurned { to, .. } => self.way_back = to.clone(),

            Event::ParamSet { name, value, why } => self.set_param(by, name, value, why),
            Event::StepEdited { step, run, why } => self.edit_step(by, step, run, why),
            Event::StepAdded { step, run, why } => self.add_step(by, step, run, why),

            Event::StepArmed { step, attempt, lapses, covers } => {
                self.of(step, |state| state.arm(now, *attempt, *lapses, covers));
            }
            Event::StepVoided { step, cause, .. } => self.of(step, |state| state.void(at, cause)),
            Event::GateWaived { step, watch, status, why, .. } => {
                self.of(step, |state| state.waive(now, watch, *status, why));
            }
            Event::SkipAgreed { step, why, .. } => self.of(step, |state| state.half_skip(now, why)),
            Event::StepSkipped { step, .. } => self.of(step, |state| state.left_out(at)),
            Event::BreakGlass { step, attempt, missing, why, .. } => {
                self.glass_broken(now, step, *attempt, *missing, why);
            }
            Event::StepCleared { step, .. } => self.of(step, |state| state.go(Move::Clear, at)),

            Event::CheckOpened { step, .. } => self.of(step, |state| state.check_opened(now)),
            Event::ReadBack { step, field, right, .. } => self.of(step, |state| state.was_read_back(by, field, *right)),
            Event::CrossChecked { step, key, .. } => self.of(step, |state| state.checked(now, key)),
            Event::Withdrawn { step, .. } => self.of(step, |state| state.withdrawn(by)),

            Event::RunRequested { step, note, .. } => self.run_requested(now, step, note),
            Event::RunIntended { step, .. } => self.run_intended(at, step),
            Event::BatchIntended { step, batch, .. } => self.batch_intended(at, step, *batch),
            Event::BatchesEnded { step, why, .. } => self.of(step, |state| state.batches_ended(at, why)),
            Event::RunStarted { step, part, process, keeper, cols, rows, .. } => {
                self.of(step, |state| state.started(at, *part, (process, keeper.as_ref()), (*cols, *rows)));
            }
            Event::OthersAwaited { step, part, end, of, .. } => {
                self.of(step, |state| state.others_awaited(*part, end, of));
            }
            Event::LeftBehind { step, attempt, part, of } => self.left_behind(step, *attempt, *part, of),
            Event::LeftGone { step, part, processes, .. } => self.left_gone(step, *part, processes),
            Event::OutputWritten { step, part, offset, length, .. } => {
                self.of(step, |state| state.printed(*part, offset + u64::from(*length)));
            }
            Event::Resized { cols, rows } => self.resized((*cols, *rows)),
            Event::RunInterrupted { step, .. } => self.of(step, |state| state.interrupted(by)),
            Event::RunEnded { step, end, .. } => self.of(step, |state| state.run_ended(now, end)),
            Event::OutcomeUnknown { step, part, process, keeper, still_running, end, .. } => {
                let who = (process.as_ref(), keeper.as_ref());
                self.of(step, |state| state.lost(now, *part, who, *still_running, end.as_ref()));
            }
            Event::ProcessGone { step, .. } => self.of(step, StepState::process_gone),
            Event::ProbeIntended { step, .. } => self.of(step, |state| state.probe_intended(now)),
            Event::ProbeEnded { step, end, says, .. } => self.of(step, |state| state.probe_ended(at, end, says)),
            Event::DoneByHand { step, .. } => self.done_by_hand(now, step),
            Event::WaitStarted { step, until, .. } => self.of(step, |state| state.wait_started(at, *until)),
            Event::WaitEnded { step, end, why, .. } => self.of(step, |state| state.wait_ended(now, *end, why)),

            Event::VerifyStarted { step, part, until, anew, .. } => {
                self.of(step, |state| state.verify_started(at, *part, *until, *anew));
            }
            Event::VerifyEnded { step, part, verdict, compared, .. } => {
                self.of(step, |state| state.verify_ended(at, *part, *verdict, compared));
            }
            Event::RollbackIntended { step, .. } => self.rollback_intended(now, step),
            Event::RollbackEnded { step, end, .. } => self.of(step, |state| state.rollback_ended(now, end)),
            Event::SettleAgreed { step, why, .. } => self.of(step, |state| state.settle_agreed(now, why)),
            Event::Acknowledged { step, outcome, agreed, why, .. } => {
                self.of(step, |state| state.acknowledged(now, *outcome, agreed.as_ref(), why));
            }

            Event::AndonPulled { .. } => self.line.pull(by, at, now.line),
            Event::AndonReleased { freed, .. } => self.line.release(by, *freed),
            Event::LineHeld { why } => self.line.held = Some(why.clone()),
            Event::LineFreed { .. } => self.line.held = None,
        }
    }

    /// What an event makes of its step, where the session has one of that name.
    fn of(&mut self, step: &StepId, then: impl FnOnce(&mut StepState)) {
        if let Some(state) = self.steps.get_mut(step) {
            then(state);
        }
    }

    /// Another hub took it up.
    fn recovered(&mut self, at: At) {
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

    fn close_called(&mut self, now: Now, outcome: Outcome, note: &str) {
        self.closing =
            Some(Closing { line: now.line, at: now.at, outcome, note: note.to_owned(), signed: BTreeSet::new() });
    }

    fn close_signed(&mut self, by: &Principal) {
        if let Some(closing) = &mut self.closing {
            closing.signed.insert(by.clone());
        }
    }

    pub(super) fn tell(&mut self, line: &Line) {
        if let Some(text) = story(self, line) {
            push(&mut self.recent, Told { seq: line.seq, at: line.at, text }, KEPT);
        }
    }
}

impl StepState {
    /// Moves it, where the table of moves has that; what runs no more is over for its run too.
    fn go(&mut self, by: Move, at: At) {
        let Some(next) = self.phase.next_or_once(by) else { return };
        let under_way = |phase: Phase| phase.is_live() || phase.is_settling();
        let over = under_way(self.phase) && !under_way(next);
        if let Some(run) = self.run_of_mut(self.phase.part()).filter(|_| over) {
            run.finished = Some(at);
        }
        self.phase = next;
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, kept: usize) {
    if queue.len() >= kept {
        queue.pop_front();
    }
    queue.push_back(item);
}

//! What follows a run: it is verified, undone, and taken note of.

use super::Now;
use super::runs::to_verify;
use crate::clock::At;
use crate::event::{Compared, Part, RunEnd, Settled, Verdict};
use crate::name::{Principal, StepId};
use crate::session::Session;
use crate::session::kept::{HalfDone, Note};
use crate::session::steps::{Move, RunState, StepState};

impl StepState {
    pub(super) fn verify_started(&mut self, at: At, part: Part, until: At, anew: bool) {
        if let Some(verifying) = self.run_of_mut(part).and_then(|run| run.verify.as_mut()) {
            verifying.after.clear();
            verifying.span = Some((at, until));
            verifying.anew |= anew;
        }
    }

    pub(super) fn verify_ended(&mut self, at: At, part: Part, verdict: Verdict, compared: &[Compared]) {
        if let Some(run) = self.run_of_mut(part) {
            // What it was made of has done its work; the verdict stays.
            run.verify = None;
            run.verdict = Some((verdict, compared.to_vec()));
        }
        let well = part.is_step() && matches!(verdict, Verdict::Better | Verdict::Same);
        let whole = self.run.as_ref().is_some_and(|run| run.interrupted.is_none());
        if let Some(done) = self.done_lines().filter(|_| well && whole) {
            self.done = Some(done);
        }
        let by = match verdict {
            Verdict::Better | Verdict::Same if well && self.has_more() => Move::VerifyBatch,
            Verdict::Better | Verdict::Same => Move::VerifyWell,
            Verdict::Worse => Move::VerifyWorse,
            Verdict::CannotTell => Move::VerifyUnclear,
        };
        self.go(by, at);
    }

    pub(super) fn rollback_ended(&mut self, now: Now, end: &RunEnd) {
        let mut verified = false;
        if let Some(run) = &mut self.rollback {
            run.ended = Some(now.at);
            run.ended_by = Some(now.line);
            run.end = Some(end.clone());
            run.awaits = None;
            verified = run.verify.is_some();
        }
        let by = match self.counts(Part::Rollback, end).is_done() {
            true if verified => Move::RollbackToVerify,
            true => Move::RollbackWell,
            false => Move::RollbackBadly,
        };
        self.go(by, now.at);
    }

    pub(super) fn settle_agreed(&mut self, now: Now, why: &str) {
        self.half_done = Some(HalfDone { at: now.at, by: now.by.clone(), why: why.to_owned() });
    }

    pub(super) fn acknowledged(&mut self, now: Now, outcome: Settled, agreed: Option<&Principal>, why: &str) {
        let (by, agreed) = (now.by.clone(), agreed.cloned());
        self.settled = Some(Note { by, agreed, at: now.at, outcome, text: why.to_owned() });
        self.half_done = None;
        let by = match outcome {
            Settled::Done => Move::SettleDone,
            Settled::Failed => Move::SettleFailed,
        };
        self.go(by, now.at);
    }
}

impl Session {
    pub(super) fn rollback_intended(&mut self, now: Now, step: &StepId) {
        let verify = to_verify(self.plan.step(step), Part::Rollback);
        let Some(state) = self.steps.get_mut(step) else { return };
        // A second try goes on in the file of the first one.
        let output_bytes = state.rollback.as_ref().map_or(0, |run| run.output_bytes);
        state.rollback = Some(RunState { output_bytes, ..RunState::intended(now.at, verify) });
        state.was_rolled_back = true;
        state.half_done = None; // it was said of what is undone now
        state.done = state.lines_before();
        state.by_hand |= !now.by.is_hub();
        state.go(Move::RollBack, now.at);
    }
}

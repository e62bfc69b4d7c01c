//! The life of a step, as one table.

use crate::event::Part;
use serde::{Deserialize, Serialize};

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not begun, or voided.
    Planned,
    /// Frozen, waiting for checks.
    Armed,
    /// Has its quorum, waits for the lead.
    Cleared,
    /// Run was pressed; gates and bytes are read anew.
    Starting,
    /// The intent is on disk; the process may exist.
    Intended,
    /// The process exists.
    Running,
    /// Ended with exit 0 (or ran nothing), and is done once its watch reads ok.
    Waiting,
    /// Ended with exit 0; what it did is held against what was before.
    Verifying,
    /// A batch of its lines left things well, and others are left.
    BetweenBatches,
    /// Ended well.
    Done,
    /// Ended badly.
    Failed,
    /// Ended with exit 0, and things are worse than before.
    Degraded,
    /// Ended with exit 0, and nobody can tell what it did.
    Undecided,
    /// The hub died in between.
    Unknown,
    /// The intent to undo it is on disk; its rollback's process may exist.
    RollingBack,
    /// Its rollback ended with exit 0; whether that brought back what was before is looked at.
    VerifyingRollback,
    /// Undone.
    RolledBack,
    /// Its rollback ended badly, or did not bring back what was before.
    RollbackFailed,
    /// Somebody says its effect is there.
    SettledDone,
    /// Somebody says its effect is not there; it may be armed again, or left out.
    SettledFailed,
    /// Left out; never done.
    Skipped,
}

/// What moves a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Move {
    /// `StepArmed`
    Arm,
    /// `StepCleared`
    Clear,
    /// `StepVoided`
    Void,
    /// `RunRequested`
    Request,
    /// `RunIntended`
    Intend,
    /// `RunStarted`
    Start,
    /// `RunEnded` without a process
    NotStarted,
    /// `RunEnded` with exit 0, and nothing to wait for or to verify; `DoneByHand`
    EndWell,
    /// The same, and something to wait for; `WaitStarted` where nothing runs
    EndToWait,
    /// `WaitEnded`: the watch read ok, and there is nothing to verify
    WaitMet,
    /// `WaitEnded`: the watch read ok, and there is something to verify
    WaitMetToVerify,
    /// `WaitEnded` otherwise
    WaitOver,
    /// `RunEnded` with exit 0, and something to verify
    EndToVerify,
    /// `VerifyEnded` with *better* or *same*, and lines are left
    VerifyBatch,
    /// `BatchesEnded`
    BatchesOver,
    /// `VerifyEnded`: better or same
    VerifyWell,
    /// `VerifyEnded`: worse
    VerifyWorse,
    /// `VerifyEnded`: cannot tell
    VerifyUnclear,
    /// `RunEnded` of what was changed while it ran, or left something running of which the plan says nothing
    EndUnclear,
    /// `RunEnded` otherwise
    EndBadly,
    /// `OutcomeUnknown`
    Lose,
    /// `RollbackIntended`
    RollBack,
    /// `RollbackEnded` with exit 0, and nothing to verify
    RollbackWell,
    /// `RollbackEnded` with exit 0, and something to verify
    RollbackToVerify,
    /// `RollbackEnded` otherwise, also without a process
    RollbackBadly,
    /// `Acknowledged` as done
    SettleDone,
    /// `Acknowledged` as failed
    SettleFailed,
    /// `StepSkipped`
    Skip,
}

use Move::*;
use Phase::*;

/// Every transition there is. A test fails where a row is never taken, or where a step moves outside it.
pub const TABLE: &[(Phase, Move, Phase)] = &[
    (Planned, Arm, Armed),
    (SettledFailed, Arm, Armed),
    (Planned, Skip, Skipped),
    (SettledFailed, Skip, Skipped),
    (Armed, Clear, Cleared),
    (Armed, Void, Planned),
    (Cleared, Void, Planned),
    (Starting, Void, Planned),
    (Cleared, Request, Starting),
    (Starting, Intend, Intended),
    (Intended, Start, Running),
    (Intended, NotStarted, Failed),
    (Running, EndWell, Done),
    (Intended, EndWell, Done),
    (Intended, EndToWait, Waiting),
    (Running, EndToWait, Waiting),
    (Waiting, WaitMet, Done),
    (Waiting, WaitMetToVerify, Verifying),
    (Waiting, WaitOver, Undecided),
    (Running, EndToVerify, Verifying),
    (Verifying, VerifyWell, Done),
    (Verifying, VerifyBatch, BetweenBatches),
    (BetweenBatches, Intend, Intended),
    (BetweenBatches, BatchesOver, Undecided),
    (Verifying, VerifyWorse, Degraded),
    (Verifying, VerifyUnclear, Undecided),
    (Running, EndBadly, Failed),
    (Running, EndUnclear, Undecided),
    (Intended, Lose, Unknown),
    (Running, Lose, Unknown),
    (Failed, SettleDone, SettledDone),
    (Failed, SettleFailed, SettledFailed),
    (Degraded, SettleDone, SettledDone),
    (Degraded, SettleFailed, SettledFailed),
    (Undecided, SettleDone, SettledDone),
    (Undecided, SettleFailed, SettledFailed),
    (Unknown, SettleDone, SettledDone),
    (Unknown, SettleFailed, SettledFailed),
    (Failed, RollBack, RollingBack),
    (Degraded, RollBack, RollingBack),
    (Undecided, RollBack, RollingBack),
    (Unknown, RollBack, RollingBack),
    (RollbackFailed, RollBack, RollingBack),
    (RollingBack, RollbackWell, RolledBack),
    (RollingBack, RollbackToVerify, VerifyingRollback),
    (RollingBack, RollbackBadly, RollbackFailed),
    (RollingBack, Lose, Unknown),
    (VerifyingRollback, VerifyWell, RolledBack),
    (VerifyingRollback, VerifyWorse, RollbackFailed),
    (VerifyingRollback, VerifyUnclear, RollbackFailed),
    (RolledBack, SettleFailed, SettledFailed),
    (RollbackFailed, SettleDone, SettledDone),
    (RollbackFailed, SettleFailed, SettledFailed),
];

/// What early hubs wrote and no hub writes any more: their transcripts are read as they were meant.
pub const ONCE: &[(Phase, Move, Phase)] = &[(RolledBack, SettleDone, SettledDone)];

impl Phase {
    /// Where that move leads from here, if it is allowed.
    pub fn next(self, by: Move) -> Option<Phase> {
        TABLE.iter().find(|(from, row, _)| *from == self && *row == by).map(|(_, _, to)| *to)
    }
    /// The same, or what it once led to.
    pub(super) fn next_or_once(self, by: Move) -> Option<Phase> {
        let once = || ONCE.iter().find(|(from, row, _)| *from == self && *row == by).map(|(_, _, to)| *to);
        self.next(by).or_else(once)
    }
    /// Frozen and not yet intended: what a void ends.
    pub fn is_open(self) -> bool {
        matches!(self, Armed | Cleared | Starting)
    }
    /// A process exists or may exist.
    pub fn is_live(self) -> bool {
        matches!(self, Intended | Running | RollingBack)
    }
    /// What a command did is held against what was before it.
    pub fn is_verifying(self) -> bool {
        matches!(self, Verifying | VerifyingRollback)
    }
    /// Which of its commands runs, may run, or is being verified.
    pub fn part(self) -> Part {
        if matches!(self, RollingBack | VerifyingRollback) { Part::Rollback } else { Part::Step }
    }
    /// It may be undone from here, where the plan says how.
    pub fn may_roll_back(self) -> bool {
        self.next(RollBack).is_some()
    }
    /// Somebody has to take note before anything else starts.
    pub fn owes_acknowledgement(self) -> bool {
        matches!(self, Failed | Degraded | Undecided | Unknown | RolledBack | RollbackFailed)
    }
    /// No process is there any more, and it is not over all the same.
    pub fn is_settling(self) -> bool {
        matches!(self, Waiting | BetweenBatches) || self.is_verifying()
    }
    /// Nobody has to do anything about it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Done | SettledDone | SettledFailed | Skipped)
    }
    /// What comes after it may begin. Behind what is settled as not done it may not: somebody has to say so.
    pub fn lets_others_begin(self) -> bool {
        self.is_over() && self != SettledFailed
    }
    /// Its effect is there.
    pub fn is_done(self) -> bool {
        matches!(self, Done | SettledDone)
    }
    /// The word on screens.
    pub fn word(self) -> &'static str {
        match self {
            Planned => "planned",
            Armed => "armed",
            Cleared => "cleared",
            Starting => "starting",
            Intended => "intended",
            Running => "running",
            Waiting => "waiting",
            Verifying => "verifying",
            BetweenBatches => "between batches",
            Done => "done",
            Failed => "failed",
            Degraded => "degraded",
            Undecided => "undecided",
            Unknown => "unknown",
            RollingBack => "rolling back",
            VerifyingRollback => "verifying rollback",
            RolledBack => "rolled back",
            RollbackFailed => "rollback failed",
            SettledDone => "settled: done",
            SettledFailed => "settled: not done",
            Skipped => "skipped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_state_and_move_leads_to_two_states() {
        for (index, (from, by, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[index + 1..].iter().all(|(f, b, _)| (f, b) != (from, by)), "{from:?} {by:?} stands twice");
        }
    }
}

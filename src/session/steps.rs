//! The life of a step, as one table.

use super::batches::DoneLines;
use super::probe::Probe;
use super::readback::Reader;
use super::settling::HalfDone;
use super::skip::HalfSkip;
use super::tried::Tried;
use super::verify::{Sampled, Verifying};
use super::waiting::{ByHand, Waited, Waiting};
use super::waive::Waiver;
use crate::clock::At;
use crate::event::{Compared, Ending, Exits, Frozen, LeftSeen, Part, Process, RunEnd, Settled, Verdict};
use crate::hash::Hash;
use crate::name::{Principal, WatchId};
use crate::transcript::record::Head;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

/// A step in a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepState {
    /// Where it stands.
    pub phase: Phase,
    /// How often it was armed.
    pub attempt: u32,
    /// What is armed, from `StepArmed` until it is voided; kept while it runs and afterwards, for who asks what ran.
    pub armed: Option<Armed>,
    /// The latest run, from `RunIntended`.
    pub run: Option<RunState>,
    /// What its watches said when that run was intended: what it and its rollback are held against.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub before: BTreeMap<WatchId, Sampled>,
    /// The latest rollback of that run, from `RollbackIntended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RunState>,
    /// Whether the plan may still have it undone by itself: not once a person or a crash came in between.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// Whether any attempt of it was undone: what the plan says must follow is owed before the session ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_rolled_back: bool,
    /// How somebody settled it.
    pub settled: Option<Note>,
    /// Why the last attempt was voided.
    pub voided: Option<String>,
    /// The attempt before this one, and the last one that ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
    /// Exceptions to its gates, for its next attempt or the one that is open.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waivers: BTreeMap<crate::name::WatchId, Waiver>,
    /// Lines of its file that need not be done again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<DoneLines>,
    /// Who said that it be left out, and waits for a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<HalfSkip>,
    /// Who said that it is done though it ended badly, and waits for a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_done: Option<HalfDone>,
}
impl Default for StepState {
    fn default() -> Self {
        Self {
            phase: Phase::Planned,
            attempt: 0,
            armed: None,
            run: None,
            before: BTreeMap::new(),
            rollback: None,
            by_hand: false,
            was_rolled_back: false,
            settled: None,
            voided: None,
            tried: vec![],
            waivers: BTreeMap::new(),
            done: None,
            skip: None,
            half_done: None,
        }
    }
}
impl StepState {
    /// The latest run of one of its commands.
    pub fn run_of(&self, part: Part) -> Option<&RunState> {
        match part {
            Part::Step => self.run.as_ref(),
            Part::Rollback => self.rollback.as_ref(),
            Part::Preview | Part::Probe => None, // they move nothing
        }
    }
    pub(super) fn run_of_mut(&mut self, part: Part) -> Option<&mut RunState> {
        match part {
            Part::Step => self.run.as_mut(),
            Part::Rollback => self.rollback.as_mut(),
            Part::Preview | Part::Probe => None,
        }
    }
    /// How the end of one of its commands counts, as it was frozen; never as done where it left something unsaid.
    pub fn counts(&self, part: Part, end: &RunEnd) -> Ending {
        if self.left_unsaid(part) { Ending::Badly } else { self.exits(part).count(end) }
    }
    /// Whether it would count as done, had it left nothing.
    pub(super) fn left_too_early(&self, part: Part, end: &RunEnd) -> bool {
        self.left_unsaid(part) && self.exits(part).count(end).is_done()
    }
    /// The end of one of its commands in words, with how it counts where the code alone does not say it.
    pub fn end_words(&self, part: Part, end: &RunEnd) -> String {
        let words = self.exits(part).words(end);
        match self.left_too_early(part, end) {
            true => format!("{words}, and what it LEFT RUNNING the plan does not say"),
            false => words,
        }
    }
    fn exits(&self, part: Part) -> Exits {
        let armed = self.armed.as_ref().map(|armed| armed.covers.covers());
        armed.and_then(|covers| covers.command_of(part)).map_or_else(Exits::default, |command| command.exits.clone())
    }
    /// What runs, or was started last.
    pub fn latest_run(&self) -> Option<&RunState> {
        self.rollback.as_ref().or(self.run.as_ref())
    }
    pub(super) fn latest_run_mut(&mut self) -> Option<&mut RunState> {
        self.rollback.as_mut().or(self.run.as_mut())
    }
    /// Whether its latest run was undone, and nothing spoke against that.
    pub fn is_undone(&self) -> bool {
        self.rollback.as_ref().is_some_and(|run| {
            let ended = run.end.as_ref().is_some_and(|end| self.counts(Part::Rollback, end).is_done());
            ended && run.verdict.as_ref().is_none_or(|(verdict, _)| matches!(verdict, Verdict::Better | Verdict::Same))
        })
    }
    /// Whether a process of it outlived the hub that started it.
    pub fn still_running(&self) -> bool {
        self.latest_run().is_some_and(|run| run.still_running)
    }
}

/// An armed step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Armed {
    /// The `StepArmed` line: what checks are given on.
    pub line: Head,
    /// When.
    pub at: At,
    /// Until when.
    pub lapses: At,
    /// The lead who armed it.
    pub by: Principal,
    /// What exactly would run.
    pub covers: Frozen,
    /// Who opened the panel, and when first.
    pub opened: BTreeMap<Principal, At>,
    /// Who said yes.
    pub checks: BTreeMap<Principal, Check>,
    /// Who has to type what before their yes counts, and how far they are; nobody where nothing is read back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub readers: BTreeMap<Principal, Reader>,
    /// The lead was handed over since: what a gate of it was waived for counts no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handed: bool,
    /// Cleared by breaking the glass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub glass: bool,
    /// Set while starting: number of the `RunRequested` line, and gates whose new reading has not come yet.
    pub starting: Option<Starting>,
}
impl Armed {
    /// The digest that is checked.
    pub fn digest(&self) -> Hash {
        self.covers.digest()
    }
    /// How many more checks are needed.
    pub fn missing(&self) -> u32 {
        self.covers.covers().checks.saturating_sub(u32::try_from(self.checks.len()).unwrap_or(u32::MAX))
    }
}

/// Between `RunRequested` and `RunIntended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Starting {
    /// Number of the `RunRequested` line.
    pub seq: u64,
    /// Its time.
    pub at: At,
    /// Gates not read anew yet.
    pub pending: BTreeSet<WatchId>,
    /// In a step that a person does: who says that it is done, and what else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<ByHand>,
}
impl Starting {
    /// Whether that reading is one it waits for: asked for by the request, or begun after it. The second kind matters
    /// where a periodic reading overtakes a slow one that was asked for, which is then too old to count.
    pub fn waits_for(&self, watch: &WatchId, began: At, asked: Option<u64>) -> bool {
        self.pending.contains(watch) && (asked == Some(self.seq) || began > self.at)
    }
}

impl RunState {
    pub(super) fn intended(at: At, verify: Option<Verifying>) -> RunState {
        RunState {
            intended: at,
            process: None,
            keeper: None,
            awaits: None,
            left: LeftSeen::default(),
            left_unsaid: false,
            started: None,
            ended: None,
            finished: None,
            ended_by: None,
            end: None,
            still_running: false,
            interrupted: None,
            output_bytes: 0,
            probe: None,
            probe_bytes: 0,
            cut: None,
            batch: 0,
            size: (80, 24),
            by_hand: None,
            wait: None,
            waited: None,
            verify,
            verdict: None,
        }
    }
}

/// A yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// When.
    pub at: At,
    /// With which key.
    pub key: String,
    /// How long the panel had been open.
    pub looked_ms: u64,
}

/// One run of one of a step's commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// When it was intended.
    pub intended: At,
    /// The process, once it existed.
    pub process: Option<Process>,
    /// Its keeper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<Process>,
    /// How the command itself ended, where others of its process session are waited for; and who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<(RunEnd, LeftSeen)>,
    /// What it left and still runs.
    #[serde(default, skip_serializing_if = "LeftSeen::is_nothing")]
    pub left: LeftSeen,
    /// It left something of which the plan says nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_unsaid: bool,
    /// When the process started.
    pub started: Option<At>,
    /// When it ended, or was lost.
    pub ended: Option<At>,
    /// When the step was over with it, verified and all: done, or for people to judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<At>,
    /// The line that says so.
    pub ended_by: Option<Head>,
    /// How it ended.
    pub end: Option<RunEnd>,
    /// After a crash of the hub: whether its process was still alive.
    pub still_running: bool,
    /// Who had it interrupted.
    pub interrupted: Option<Principal>,
    /// Bytes printed.
    pub output_bytes: u64,
    /// The latest probe, asked for by who has to judge it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// Bytes that probes printed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub probe_bytes: u64,
    /// Why no batch was begun after this one, though lines are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// Which batch of the step's lines it is, from 1; 0 where it is none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub batch: u32,
    /// Columns and rows of its terminal.
    pub size: (u16, u16),
    /// Who did it, where no command did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<ByHand>,
    /// What it waits for, where the plan says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Waiting>,
    /// What that came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<Waited>,
    /// Readings since it ended, where the plan has it held against what was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verifying>,
    /// What that came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<(Verdict, Vec<Compared>)>,
}

fn is_none(n: &u32) -> bool {
    *n == 0
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A word of a person on a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Who.
    pub by: Principal,
    /// Who said so first, where it takes two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<Principal>,
    /// When.
    pub at: At,
    /// How it counts.
    pub outcome: Settled,
    /// Their words.
    pub text: String,
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

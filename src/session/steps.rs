//! The life of a step, as one table.

use super::probe::Probe;
use super::verify::Verifying;
use super::waiting::{ByHand, Waited, Waiting};
use crate::clock::At;
use crate::event::{Compared, Frozen, Process, RunEnd, Settled, Verdict};
use crate::hash::Hash;
use crate::name::Principal;
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
    /// Somebody says its effect is there.
    SettledDone,
    /// Somebody says its effect is not there; it may be armed again.
    SettledFailed,
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
    /// `VerifyEnded`: better or same
    VerifyWell,
    /// `VerifyEnded`: worse
    VerifyWorse,
    /// `VerifyEnded`: cannot tell
    VerifyUnclear,
    /// `RunEnded` otherwise
    EndBadly,
    /// `OutcomeUnknown`
    Lose,
    /// `Acknowledged` as done
    SettleDone,
    /// `Acknowledged` as failed
    SettleFailed,
}

use Move::*;
use Phase::*;

/// Every transition there is. A test fails where a row is never taken, or where a step moves outside it. Rollback
/// adds its rows here.
pub const TABLE: &[(Phase, Move, Phase)] = &[
    (Planned, Arm, Armed),
    (SettledFailed, Arm, Armed),
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
    (Verifying, VerifyWorse, Degraded),
    (Verifying, VerifyUnclear, Undecided),
    (Running, EndBadly, Failed),
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
];

impl Phase {
    /// Where that move leads from here, if it is allowed.
    pub fn next(self, by: Move) -> Option<Phase> {
        TABLE.iter().find(|(from, row, _)| *from == self && *row == by).map(|(_, _, to)| *to)
    }
    /// Frozen and not yet intended: what a void ends.
    pub fn is_open(self) -> bool {
        matches!(self, Armed | Cleared | Starting)
    }
    /// A process exists or may exist.
    pub fn is_live(self) -> bool {
        matches!(self, Intended | Running)
    }
    /// Somebody has to take note before anything else starts.
    pub fn owes_acknowledgement(self) -> bool {
        matches!(self, Failed | Degraded | Undecided | Unknown)
    }
    /// No process is there any more, and it is not over all the same.
    pub fn is_settling(self) -> bool {
        matches!(self, Waiting | Verifying)
    }
    /// What comes after it may begin.
    pub fn is_over(self) -> bool {
        matches!(self, Done | SettledDone | SettledFailed)
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
            Done => "done",
            Failed => "failed",
            Degraded => "degraded",
            Undecided => "undecided",
            Unknown => "unknown",
            SettledDone => "settled: done",
            SettledFailed => "settled: not done",
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
    /// How somebody settled it.
    pub settled: Option<Note>,
    /// Why the last attempt was voided.
    pub voided: Option<String>,
}
impl Default for StepState {
    fn default() -> Self {
        Self { phase: Phase::Planned, attempt: 0, armed: None, run: None, settled: None, voided: None }
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
    pub pending: BTreeSet<crate::name::WatchId>,
    /// In a step that a person does: who says that it is done, and what else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<ByHand>,
}
impl Starting {
    /// Whether that reading is one it waits for: asked for by the request, or begun after it. The second kind matters
    /// where a periodic reading overtakes a slow one that was asked for, which is then too old to count.
    pub fn waits_for(&self, watch: &crate::name::WatchId, began: At, asked: Option<u64>) -> bool {
        self.pending.contains(watch) && (asked == Some(self.seq) || began > self.at)
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

/// One run of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// When it was intended.
    pub intended: At,
    /// The process, once it existed.
    pub process: Option<Process>,
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
    /// What it is held against, where the plan says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verifying>,
    /// What that came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<(Verdict, Vec<Compared>)>,
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

//! What a session knows of each step: where it stands, what is armed, and what came of its runs.

use super::kept::{
    ByHand, DoneLines, HalfDone, HalfSkip, Note, Probe, Reader, Sampled, Tried, Verifying, Waited, Waiting, Waiver,
};
pub use super::phase::{Move, ONCE, Phase, TABLE};
use crate::clock::At;
use crate::event::{Compared, Ending, Exits, Frozen, LeftSeen, Part, Process, RunEnd, Verdict};
use crate::hash::Hash;
use crate::name::{Principal, WatchId};
use crate::transcript::record::Head;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

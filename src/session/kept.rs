//! What a step's state keeps of each feature: plain data, below everything that reads or changes it. What it means stands
//! with its feature, whose file has the functions.

use super::phase::Phase;
use crate::clock::At;
use crate::event::{Frozen, RunEnd, Settled, Status, WaitEnd, WaivedSeen};
use crate::hash::Hash;
use crate::name::{Principal, WatchId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Lines at the start of what a command is fed that were done, and looked well afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoneLines {
    /// What it works on ([`works_on`](crate::event::CommandSeen::works_on)): the same lines for another host are to be done.
    pub of: Hash,
    /// So many of them.
    pub lines: u32,
}

/// The latest probe of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Who asked for it.
    pub by: Principal,
    /// When.
    pub at: At,
    /// When and how it ended, and the first it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<(At, RunEnd, String)>,
}

/// Somebody who has to read back before they may check.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    /// Which share of the fields is theirs.
    pub seat: u32,
    /// The fields they typed right.
    pub right: BTreeSet<String>,
    /// How often they typed something else.
    pub wrong: u32,
}

/// One of the two said that a step is done though it ended badly. It waits for the other for as long as a step stays armed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalfDone {
    /// When.
    pub at: At,
    /// Who.
    pub by: Principal,
    /// How they know.
    pub why: String,
}

/// One of the two said so. It waits for the other for as long as a step stays armed, and ends when the step is armed or the
/// lead handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalfSkip {
    /// When.
    pub at: At,
    /// Who.
    pub by: Principal,
    /// Why.
    pub why: String,
}

/// An attempt that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// Which.
    pub attempt: u32,
    /// When it was armed.
    pub at: At,
    /// What it was of.
    pub covers: Frozen,
    /// Where it stood when it was over.
    pub phase: Phase,
    /// How its command ended, where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<RunEnd>,
    /// Whether it was undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undone: bool,
    /// Why it was voided, where it never ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided: Option<String>,
    /// Who settled it, and with which words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Note>,
}

/// What one watch said, oldest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampled {
    /// Statuses.
    pub statuses: Vec<Status>,
    /// Numbers.
    pub values: Vec<f64>,
    /// Their unit.
    pub unit: String,
}

/// A run that is being verified, or will be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verifying {
    /// Readings since it ended, by watch.
    pub after: BTreeMap<WatchId, Sampled>,
    /// Set by `VerifyStarted`: from when on readings count, and until when it is looked.
    pub span: Option<(At, At)>,
    /// The hub died in between: what it missed it cannot vouch for.
    pub anew: bool,
}

/// A run that waits for its watch, or will.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// From when on readings count; none before `WaitStarted`.
    pub since: Option<At>,
    /// Until when it waits, where the plan says so.
    pub until: Option<At>,
}

/// What a wait came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waited {
    /// How it ended.
    pub end: WaitEnd,
    /// What the watch said then.
    pub why: String,
}

/// What a person said when they had done a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByHand {
    /// Who.
    pub by: Principal,
    /// Their words.
    pub note: String,
}

/// An exception to a gate, for the next attempt of its step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// When.
    pub at: At,
    /// By whom, on what, and why.
    pub waived: WaivedSeen,
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

//! How things stand after a run, held against how they stood before it.

use super::Status;
use crate::name::WatchId;
use serde::{Deserialize, Serialize};

/// How things stand after a run, held against how they stood before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something got better, nothing worse.
    Better,
    /// As before.
    Same,
    /// Something got worse.
    Worse,
    /// Something was not known; that is for people to judge.
    CannotTell,
}
impl Verdict {
    /// The words on screens.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Better => "better",
            Verdict::Same => "same as before",
            Verdict::Worse => "worse than before",
            Verdict::CannotTell => "cannot tell",
        }
    }
}

/// One watch, before and after a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// Which.
    pub watch: WatchId,
    /// Before the run.
    pub before: Side,
    /// After it.
    pub after: Side,
    /// The unit of both numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// What that comes to.
    pub verdict: Verdict,
    /// In a few words.
    pub why: String,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// The status that counts.
    pub status: Status,
    /// The median of its numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// How many numbers.
    pub samples: usize,
}

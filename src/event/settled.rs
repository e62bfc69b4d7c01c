//! What people said of a step that ended badly, as whoever checks a later step is shown it.

use crate::name::{Principal, StepId, shown};
use serde::{Deserialize, Serialize};

/// A step that did not end well by itself, and how people say that it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettledSeen {
    /// The step.
    pub step: StepId,
    /// Whether they say that its effect is there.
    pub done: bool,
    /// It was undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undone: bool,
    /// It was left out afterwards, so that what comes after it may begin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Who say so.
    pub by: Vec<Principal>,
    /// Their words.
    pub why: String,
}

impl std::fmt::Display for SettledSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = match (self.done, self.undone) {
            (true, _) => "ended badly, and is done all the same",
            (false, true) => "was undone, and is NOT done",
            (false, false) => "ended badly, and is NOT done",
        };
        let how = if self.skipped { format!("{how} (the lead and a shadow skipped it)") } else { how.to_owned() };
        let by = self.by.iter().map(Principal::as_str).collect::<Vec<_>>().join(" and ");
        write!(f, "{} {how}, say{} {by}: {}", self.step, if self.by.len() == 1 { "s" } else { "" }, shown(&self.why))
    }
}

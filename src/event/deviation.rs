//! In what a step differs from the plan that was reviewed.

use crate::name::Principal;
use serde::{Deserialize, Serialize};

/// One difference. It stands in what people check, so it stays with the step for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum Deviation {
    /// A parameter has another value than the plan's default. `by` nobody: it was given when the session opened.
    Param {
        name: String,
        planned: String,
        value: String,
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Principal>,
    },
    /// Another command was typed in the place of the planned one.
    Edited { planned: String, run: String, why: String, by: Principal },
    /// The plan has no such step at all.
    AdHoc { why: String, by: Principal },
}

impl Deviation {
    /// Why, in its author's words; empty where nobody said yet.
    pub fn why(&self) -> &str {
        match self {
            Deviation::Param { why, .. } | Deviation::Edited { why, .. } | Deviation::AdHoc { why, .. } => why,
        }
    }
    /// Who caused it, where that was somebody.
    pub fn by(&self) -> Option<&Principal> {
        match self {
            Deviation::Param { by, .. } => by.as_ref(),
            Deviation::Edited { by, .. } | Deviation::AdHoc { by, .. } => Some(by),
        }
    }
}

/// What differs, without who and why. Not for a terminal as it is: people wrote it.
impl std::fmt::Display for Deviation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Deviation::Param { name, planned, value, .. } => {
                write!(f, "parameter {name} is {value:?}, the plan says {planned:?}")
            }
            Deviation::Edited { planned, run, .. } => {
                write!(f, "the command was typed: {run}; the plan says {planned}")
            }
            Deviation::AdHoc { .. } => write!(f, "the command was typed; the plan has no such step"),
        }
    }
}

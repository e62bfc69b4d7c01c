//! What the session of a plan before this one left open.

use crate::clock::At;
use serde::{Deserialize, Serialize};

/// The latest session of the same plan in the same environment, as its transcript tells when another one opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// Its id.
    pub session: String,
    /// Its last line's time.
    pub at: At,
    /// What it left open, in sentences; nothing where it left nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<String>,
}

impl Earlier {
    /// Which session that was, and how much it left, in words.
    pub fn words(&self) -> String {
        let (id, at) = (crate::name::short_id(&self.session), self.at.to_string());
        let at: String = at.chars().take(16).collect::<String>().replace('T', " ");
        match self.open.len() {
            0 => format!("the session before, {id}, of {at} UTC, left nothing open"),
            1 => format!("the session before, {id}, of {at} UTC, left 1 thing open"),
            count => format!("the session before, {id}, of {at} UTC, left {count} things open"),
        }
    }
}

//! How a process ended.

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum RunEnd {
    /// It left by itself.
    Exited { code: i32 },
    /// A signal ended it; `asked`: after somebody had it interrupted.
    Signalled { signal: i32, asked: bool },
    /// It took longer than the plan allows, and was ended.
    TimedOut { after_ms: u64 },
    /// It left by itself; what people had checked of it was changed while it ran, so nobody knows what it did.
    Changed { code: i32, what: String },
    /// It never started.
    NotStarted { why: String },
}
impl std::fmt::Display for RunEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RunEnd::Exited { code } => write!(f, "exit {code}"),
            RunEnd::Signalled { signal, asked } => {
                let name = nix::sys::signal::Signal::try_from(*signal).map_or("a signal", |s| s.as_str());
                write!(f, "ended by {name} ({signal}){}", if *asked { ", as asked" } else { "" })
            }
            RunEnd::TimedOut { after_ms } => {
                write!(f, "timed out after {}", crate::clock::human(std::time::Duration::from_millis(*after_ms)))
            }
            RunEnd::Changed { code, what } => {
                write!(f, "exit {code}, and NOBODY KNOWS WHAT RAN: while it ran, {what}")
            }
            RunEnd::NotStarted { why } => write!(f, "not started: {why}"),
        }
    }
}

//! How a process, a wait and a step ended.

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

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (`/proc/PID/stat` field 22; elsewhere seconds since 1970).
    pub start_time: u64,
    /// The boot it belongs to.
    pub boot_id: String,
}

/// How a wait for a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitEnd {
    /// The watch read ok.
    Met,
    /// It did not within the time that the plan gives.
    TimedOut,
    /// Somebody gave it up.
    GivenUp,
}

/// How a step counts once somebody took note of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// Its effect is there.
    Done,
    /// Its effect is not there; it may be armed again.
    Failed,
}

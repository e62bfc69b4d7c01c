//! Processes that outlive the command which started them.

use super::Process;
use crate::clock::At;
use crate::name::StepId;
use serde::{Deserialize, Serialize};

/// So many are named; of the rest how many there are.
const NAMED: usize = 16;

/// A process and its command line, as far as the system shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSeen {
    /// Which.
    pub process: Process,
    /// Its words, or its name in brackets where it shows none.
    pub command: String,
    /// When it started, as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<At>,
}

/// The processes that run on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftSeen {
    /// Who they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<ProcessSeen>,
    /// So many more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
    /// Why it cannot be said who they all are, or whether there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl LeftSeen {
    /// Those, the first of them by name.
    pub fn of(mut all: Vec<ProcessSeen>) -> LeftSeen {
        let more = u32::try_from(all.len().saturating_sub(NAMED)).unwrap_or(u32::MAX);
        all.truncate(NAMED);
        LeftSeen { named: all, more, unseen: None }
    }
    /// Nobody can tell, for that reason.
    pub fn unseen(why: impl Into<String>) -> LeftSeen {
        LeftSeen { unseen: Some(why.into()), ..LeftSeen::default() }
    }
    /// Whether nothing is left, and that is known.
    pub fn is_nothing(&self) -> bool {
        self.named.is_empty() && self.more == 0 && self.unseen.is_none()
    }
}

/// What another step left running, as whoever checks a later one is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftBeside {
    /// The step.
    pub step: StepId,
    /// What still ran when this was armed.
    pub what: String,
    /// Whether the plan says that it is left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub planned: bool,
}

impl std::fmt::Display for LeftBeside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = if self.planned { "as the plan says" } else { "which the plan does NOT say" };
        write!(f, "{} left this running, {how}: {}", self.step, crate::name::shown(&self.what))
    }
}

impl std::fmt::Display for ProcessSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = self.since.map_or_else(String::new, |since| format!(", since {}", since.clock()));
        write!(f, "{} (pid {}{since})", self.command, self.process.pid)
    }
}

impl std::fmt::Display for LeftSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = self.named.iter().map(ToString::to_string);
        let more = (self.more > 0).then(|| format!("{} more", self.more));
        let all: Vec<_> = named.chain(more).chain(self.unseen.clone()).collect();
        write!(f, "{}", all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_counted_and_what_is_not_known_is_said() {
        let seen =
            |pid| ProcessSeen { process: crate::fixture::process(pid), command: format!("job {pid}"), since: None };
        assert_eq!(LeftSeen::of(vec![seen(7), seen(8)]).to_string(), "job 7 (pid 7), job 8 (pid 8)");
        let many = LeftSeen::of((1..=20).map(seen).collect());
        assert_eq!((many.named.len(), many.more), (16, 4));
        assert!(many.to_string().ends_with("job 16 (pid 16), 4 more"), "{many}");
        assert!(LeftSeen::default().is_nothing());
        let unseen = LeftSeen::unseen("something that does not show who it is");
        assert!(!unseen.is_nothing());
        assert_eq!(unseen.to_string(), "something that does not show who it is");
    }
}

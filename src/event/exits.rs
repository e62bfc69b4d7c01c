//! Which exit codes of a command count as done. `rsync` and `diff` say more with theirs than whether they failed.

use super::RunEnd;
use serde::{Deserialize, Serialize};

/// Exit codes that count as done, and those that do with a warning; every other, and every other end, counts as failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exits {
    /// Done.
    pub ok: Vec<u8>,
    /// Done, and worth a look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warn: Vec<u8>,
}

/// How a command's end counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Done.
    Well,
    /// Done, with a warning.
    Warned,
    /// Failed.
    Badly,
}

impl Ending {
    /// Whether it counts as done.
    pub fn is_done(self) -> bool {
        self != Ending::Badly
    }
}

impl Default for Exits {
    /// 0, as everywhere.
    fn default() -> Self {
        Exits { ok: vec![0], warn: vec![] }
    }
}

impl Exits {
    /// Whether that is what every command has.
    pub fn is_usual(&self) -> bool {
        *self == Exits::default()
    }
    /// How that end counts.
    pub fn count(&self, end: &RunEnd) -> Ending {
        let RunEnd::Exited { code } = end else { return Ending::Badly };
        let among = |codes: &[u8]| codes.iter().any(|known| i32::from(*known) == *code);
        match (among(&self.ok), among(&self.warn)) {
            (true, _) => Ending::Well,
            (false, true) => Ending::Warned,
            (false, false) => Ending::Badly,
        }
    }
    /// That end in words, with how it counts where the code alone does not say it.
    pub fn words(&self, end: &RunEnd) -> String {
        let usual = Exits::default().count(end);
        match self.count(end) {
            Ending::Warned => format!("{end}, which counts as done with a WARNING"),
            Ending::Well if usual != Ending::Well => format!("{end}, which counts as done"),
            Ending::Badly if usual == Ending::Well => format!("{end}, which counts as failed here"),
            _ => end.to_string(),
        }
    }
}

impl std::fmt::Display for Exits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |codes: &[u8]| codes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "exit {} counts as done", list(&self.ok))?;
        match self.warn.is_empty() {
            true => write!(f, "; every other as failed"),
            false => write!(f, "; {} as done with a warning; every other as failed", list(&self.warn)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_counts_as_the_plan_says_and_no_signal_ever_does() {
        let exits = Exits { ok: vec![0, 3], warn: vec![2] };
        let exited = |code| RunEnd::Exited { code };
        let counts = [0, 3, 2, 1, -1, 256 + 3].map(|code| exits.count(&exited(code)));
        assert_eq!(counts, [Ending::Well, Ending::Well, Ending::Warned, Ending::Badly, Ending::Badly, Ending::Badly]);
        for end in [RunEnd::Signalled { signal: 3, asked: false }, RunEnd::TimedOut { after_ms: 3 }] {
            assert_eq!(exits.count(&end), Ending::Badly);
        }
        assert_eq!(Exits::default().count(&exited(0)), Ending::Well);
        let words = [0, 3, 2, 1].map(|code| exits.words(&exited(code)));
        let done = "which counts as done";
        assert_eq!(
            words,
            ["exit 0".into(), format!("exit 3, {done}"), format!("exit 2, {done} with a WARNING"), "exit 1".into()]
        );
        let grep = Exits { ok: vec![1], warn: vec![] };
        assert_eq!(grep.words(&exited(0)), "exit 0, which counts as failed here");
        assert_eq!(exits.to_string(), "exit 0, 3 counts as done; 2 as done with a warning; every other as failed");
    }
}

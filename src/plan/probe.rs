//! `probe`: a harmless command that tells people how things stand, where nobody knows what a step did.

use super::command;
use super::table::Value;
use super::{Command, Io};
use std::time::Duration;

/// What it may be given; it is behind a pipe, and nobody types to it.
const KEYS: &[&str] = &["run", "env", "cwd", "stdin", "sealed", "files", "timeout", "on", "pipefail"];
/// How long one may take where its plan says nothing, and at most: somebody waits for it to decide.
const USUAL: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(300);

/// `probe = ["./status", "{{ index }}"]`, a text for a shell, or a table with the keys of a command; in the folder of its step
/// unless it says otherwise.
pub(super) fn read(value: &Value<'_>, beside: Option<&Command>) -> Option<Command> {
    let command = match value.is_table() {
        true => command::read_with(&value.table("a probe", KEYS, &["io", "input", "exits", "leaves"])?, Io::Pipe)?,
        false => Command::of(value.run()?),
    };
    if !command.secrets().is_empty() {
        return value.wrong("a secret in a `probe`", "expected a command that needs none");
    }
    let timeout = command.timeout.unwrap_or(USUAL);
    if timeout > LONGEST {
        return value.wrong("a `probe` that may take too long", "expected at most \"5m\": somebody waits for it");
    }
    Some(Command { io: Io::Pipe, timeout: Some(timeout), ..command.in_folder_of(beside) })
}

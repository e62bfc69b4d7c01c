//! What a plan runs, and all it is given: the keys that a step shares with every other command of its. Start at [`read`].

use super::table::{Table, Value};
use super::units::is_identifier;
use super::{Command, Io, Stdin, Template};
use std::collections::BTreeMap;

/// The keys of a command; a table that holds one may have more.
pub(super) const KEYS: &[&str] = &["run", "env", "cwd", "stdin", "sealed", "files", "timeout", "io", "input"];

/// The command among a table's keys.
pub(super) fn read(table: &Table<'_>) -> Option<Command> {
    if let Some(input) = table.get("input").filter(|input| input.peek() != Some("none")) {
        input.cx.refuse(input.span(), "`input` other than \"none\" in a step");
    }
    let io = table.get("io").and_then(|io| io.choice(&[("pty", Io::Pty), ("pipe", Io::Pipe)])).unwrap_or(Io::Pty);
    read_with(table, io)
}

/// The command among the keys of a table that does not say what it is run with.
pub(super) fn read_with(table: &Table<'_>, io: Io) -> Option<Command> {
    let run = table.require("run", "expected run = [\"command\", \"word\"]").and_then(|run| run.run());
    let files = table.get("files").map_or_else(
        || Some(vec![]),
        |files| {
            let items: Vec<_> = files.items("paths")?.iter().map(|file| file.template(false)).collect();
            items.into_iter().collect()
        },
    );
    let env = table.get("env").map_or_else(|| Some(BTreeMap::new()), |env| read_env(&env));
    Some(Command {
        cwd: table.template("cwd"),
        stdin: table.get("stdin").and_then(|stdin| read_stdin(&stdin)),
        sealed: table.boolean("sealed").unwrap_or(false),
        timeout: table.duration("timeout"),
        io,
        run: run?,
        env: env?,
        files: files?,
    })
}

fn read_stdin(value: &Value<'_>) -> Option<Stdin> {
    if !value.is_table() {
        return value.template(true).map(Stdin::Text);
    }
    let table = value.table("a standard input", &["file"], &[])?;
    table.require("file", "expected file = \"a path\"")?.template(false).map(Stdin::File)
}

fn read_env(value: &Value<'_>) -> Option<BTreeMap<String, Template>> {
    let entries = value.entries()?.into_iter().map(|(span, name, value)| {
        if !is_identifier(name) {
            let message = format!("a variable cannot be called `{name}`");
            value.cx.problem(span, message, "expected letters, digits and _");
            return None;
        }
        let template = value.secret_template()?;
        if !template.secrets().is_empty() && decides_what_runs(name) {
            let message = format!("`{name}` cannot be a secret");
            value.cx.problem(value.span(), message, "it decides what runs, and people must see that");
        }
        Some((name.to_owned(), template))
    });
    entries.collect::<Vec<_>>().into_iter().collect()
}

/// Variables by which something else runs than the command line says.
fn decides_what_runs(name: &str) -> bool {
    ["PATH", "HOME", "ENV", "BASH_ENV", "SHELL", "IFS"].contains(&name)
        || name.starts_with("LD_")
        || name.starts_with("DYLD_")
}

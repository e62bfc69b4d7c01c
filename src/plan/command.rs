//! What a plan runs, and all it is given: the keys that a step shares with every other command of its. Start at [`read`].

use super::table::{Table, Value};
use super::units::is_identifier;
use super::{Host, Input, Io, Params, RenderError, Stdin, Template, hosts};
use crate::event::Exits;
use std::collections::BTreeMap;
use std::time::Duration;

/// Something a plan runs, and all it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The words.
    pub run: Run,
    /// Extra environment, values may be templates, and alone of all may name secrets.
    pub env: BTreeMap<String, Template>,
    /// Where it runs; relative to the plan's folder. The plan's folder where none is given.
    pub cwd: Option<Template>,
    /// What is fed to it; nothing (`/dev/null`) where none is given and nobody may type.
    pub stdin: Option<Stdin>,
    /// Whether its script runs from a sealed copy of what was hashed, under the name of that copy; where nothing is said, under its
    /// own name, if it can.
    pub sealed: Option<bool>,
    /// Files hashed when armed, relative to `cwd`.
    pub files: Vec<Template>,
    /// When it is ended by force.
    pub timeout: Option<Duration>,
    /// Which of its exit codes count as done.
    pub exits: Exits,
    /// What it leaves running on purpose, and why: it ends with the command itself, and not with all of its session.
    pub leaves: Option<String>,
    /// A terminal or a pipe.
    pub io: Io,
    /// Whether the lead may type to it while it runs.
    pub input: Input,
    /// A part of a pipeline in a text for a shell that fails, fails it.
    pub pipefail: bool,
    /// The machine it runs on, where that is another one than the hub's.
    pub on: Option<Host>,
}

impl Command {
    /// That command line, which is given nothing.
    pub fn of(run: Run) -> Command {
        Command {
            run,
            env: BTreeMap::new(),
            cwd: None,
            stdin: None,
            sealed: None,
            files: vec![],
            timeout: None,
            exits: Exits::default(),
            leaves: None,
            io: Io::Pty,
            input: Input::None,
            pipefail: true,
            on: None,
        }
    }
    /// The same in the folder of that one, where it names none of its own and runs on the same machine.
    pub(super) fn in_folder_of(self, beside: Option<&Command>) -> Command {
        let folder = beside.filter(|beside| self.cwd.is_none() && beside.on == self.on).and_then(|it| it.cwd.clone());
        Command { cwd: self.cwd.or(folder), ..self }
    }
    /// Where it runs, below that folder, and its variables, for a command beside the steps.
    pub fn surroundings(
        &self,
        params: &Params,
        folder: &std::path::Path,
    ) -> Result<(std::path::PathBuf, Vec<(String, String)>), RenderError> {
        let cwd = self.cwd.as_ref().map(|cwd| cwd.render(params)).transpose()?;
        let env = self.env.iter().map(|(name, value)| Ok((name.clone(), value.render(params)?)));
        Ok((cwd.map_or_else(|| folder.to_owned(), |cwd| folder.join(cwd)), env.collect::<Result<_, _>>()?))
    }
    /// The keys of the secrets its environment names, each once.
    pub fn secrets(&self) -> std::collections::BTreeSet<String> {
        self.env.values().flat_map(Template::secrets).collect()
    }
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// Executed as it is.
    Argv(Vec<Template>),
    /// `sh -eu -c TEXT`; where it has a pipeline, by a shell that knows `pipefail`, unless the plan turns that off.
    Shell(Template),
}
impl Run {
    /// Whether that is what is executed for it: which shell takes a text is known only where it runs.
    pub fn gives(&self, argv: &[String], params: &Params) -> bool {
        self.argv(params).is_ok_and(|planned| match self {
            Run::Argv(_) => planned == argv,
            Run::Shell(_) => planned.last() == argv.last(),
        })
    }
    /// Whether a part of it that fails would be missed by a shell that looks at the last one alone.
    pub fn has_pipeline(&self, argv: &[String]) -> bool {
        // Rather too often than too seldom: a `|` in quotes asks for the same shell.
        let pipes = |text: &String| text.replace("||", "").contains('|');
        matches!(self, Run::Shell(_)) && argv.last().is_some_and(pipes)
    }
    /// The argument vector that is executed of what runs beside the steps: there too a part of a pipeline that fails, fails it.
    pub fn argv_beside(&self, params: &Params, pipefail: bool) -> Result<Vec<String>, RenderError> {
        let argv = self.argv(params)?;
        Ok(match pipefail && self.has_pipeline(&argv) {
            true => ["sh", "-c", BY_PIPEFAIL].map(str::to_owned).into_iter().chain(argv.into_iter().last()).collect(),
            false => argv,
        })
    }
    /// The argument vector that is executed, by `sh` where it is a text.
    pub fn argv(&self, params: &Params) -> Result<Vec<String>, RenderError> {
        match self {
            Run::Argv(words) => words.iter().map(|word| word.render(params)).collect(),
            Run::Shell(text) => Ok(vec!["sh".into(), "-eu".into(), "-c".into(), text.render(params)?]),
        }
    }
}

/// The keys of a command that the hub runs for itself: nobody checks what it is fed, and it has limits of its own.
const BESIDE_KEYS: &[&str] = &["run", "env", "cwd", "pipefail"];

/// Runs its `$0` by a shell in which a part of a pipeline that fails, fails it: `sh` where it can, else `bash`. A step's shell is looked
/// up before, and stands on the panel; beside the steps nobody checks, and the shells find out by themselves.
const BY_PIPEFAIL: &str =
    "(set -o pipefail) 2>/dev/null && exec sh -eu -o pipefail -c \"$0\"; exec bash -eu -o pipefail -c \"$0\"";

/// Such a command: its words, a text for a shell, or a table.
pub(super) fn read_beside(value: &Value<'_>) -> Option<Command> {
    if !value.is_table() {
        return Some(Command { io: Io::Pipe, ..Command::of(value.run()?) });
    }
    let table = value.table("a command beside the steps", BESIDE_KEYS, &[])?;
    let run = table.require("run", "expected run = [\"command\", \"word\"]").and_then(|run| run.run());
    let env = table.get("env").map_or_else(|| Some(BTreeMap::new()), |env| read_env(&env));
    let pipefail = read_pipefail(&table, run.as_ref())?;
    let command = Command { cwd: table.template("cwd"), env: env?, io: Io::Pipe, pipefail, ..Command::of(run?) };
    match command.secrets().is_empty() {
        true => Some(command),
        false => value.wrong("a secret in the `env` of a command beside the steps", "expected one that needs none"),
    }
}

/// The keys of a command; a table that holds one may have more.
pub(super) const KEYS: &[&str] =
    &["run", "env", "cwd", "stdin", "sealed", "files", "timeout", "exits", "leaves", "io", "input", "on", "pipefail"];

/// The command of a step among its keys: what the lead may type to is a step's alone.
pub(super) fn read(table: &Table<'_>) -> Option<Command> {
    let leaves = table.offered("leaves");
    let given = table.offered("io").and_then(|io| io.choice(&[("pty", Io::Pty), ("pipe", Io::Pipe)]));
    if let Some(value) = table.offered("io").filter(|_| leaves.is_some() && given == Some(Io::Pty)) {
        value.wrong::<()>("io = \"pty\" with `leaves`", "a terminal that closes hangs up on what is left in it");
    }
    let io = given.unwrap_or(if leaves.is_some() { Io::Pipe } else { Io::Pty });
    let inputs = [Input::None, Input::Lead, Input::HiddenOnly].map(|input| (input.word(), input));
    let input = table.offered("input").map_or(Some(Input::None), |input| input.choice(&inputs));
    if let Some(value) = table.offered("input").filter(|_| input.is_some_and(|input| input != Input::None)) {
        if io == Io::Pipe {
            let what = if leaves.is_some() { "`input` with `leaves`" } else { "`input` with io = \"pipe\"" };
            value.wrong::<()>(what, "only at a terminal something can be typed");
        } else if table.get("stdin").is_some_and(|stdin| !stdin.is_table()) {
            value.wrong::<()>("`input` and `stdin` in one step", "the end of that text is the end of all input");
        }
    }
    Some(Command { input: input?, ..read_with(table, io)? })
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
    let on = hosts::on(table);
    let secret = env.iter().flat_map(BTreeMap::values).any(|value| !value.secrets().is_empty());
    if let Some(value) = table.get("on").filter(|_| secret) {
        value.wrong::<()>("a secret in a command on another host", "it would stand in the script that everybody reads");
    }
    Some(Command {
        pipefail: read_pipefail(table, run.as_ref())?,
        on: on?,
        input: Input::None,
        cwd: table.template("cwd"),
        stdin: table.get("stdin").and_then(|stdin| read_stdin(&stdin)),
        sealed: table.boolean("sealed"),
        timeout: table.duration("timeout"),
        exits: read_exits(table)?,
        leaves: table.offered("leaves").and_then(|leaves| leaves.words()),
        io,
        run: run?,
        env: env?,
        files: files?,
    })
}

fn read_pipefail(table: &Table<'_>, run: Option<&Run>) -> Option<bool> {
    if let Some(value) = table.get("pipefail").filter(|_| matches!(run, Some(Run::Argv(_)))) {
        return value.wrong("`pipefail` beside a list of words", "expected a text: a list is executed without a shell");
    }
    Some(table.boolean("pipefail").unwrap_or(true))
}

/// `exits = { ok = [0, 3], warn = [2] }`.
fn read_exits(table: &Table<'_>) -> Option<Exits> {
    let Some(given) = table.offered("exits") else { return Some(Exits::default()) };
    let codes = given.table("exit codes", &["ok", "warn"], &[])?;
    let read = |key: &'static str| {
        codes.get(key).map(|value| {
            let codes = value.items("exit codes")?.into_iter().map(|item| u8::try_from(item.integer(0..=255)?).ok());
            codes.collect::<Option<Vec<u8>>>()
        })
    };
    let ok = read("ok").unwrap_or_else(|| Some(vec![0]))?;
    let warn = read("warn").unwrap_or_else(|| Some(vec![]))?;
    let all: Vec<u8> = ok.iter().chain(&warn).copied().collect();
    if all.is_empty() {
        return given.wrong("no exit code counts as done", "expected ok = [0], or other codes");
    }
    if let Some(twice) = all.iter().enumerate().find(|(index, code)| all[..*index].contains(code)) {
        return given.wrong(format!("exit code {} stands twice", twice.1), "expected each code once, in ok or in warn");
    }
    // Of ssh, not of the command: the link was lost, and nobody knows what became of it.
    if table.get("on").is_some() && all.contains(&255) {
        return given.wrong("exit code 255 of a command on another host", "ssh says 255 when the link is lost");
    }
    Some(Exits { ok, warn })
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

#[cfg(test)]
mod tests {
    use crate::event::Exits;
    use crate::plan::Plan;

    fn parsed(step: &str) -> Result<Plan, Vec<String>> {
        let text = format!(
            "crosscheck = 1\nname = \"p\"\nenvironment = \"e\"\n[crew]\nlead = [\"l@e\"]\n[[step]]\nid = \"s\"\nrun = [\"./s\"]\n{step}\n"
        );
        Plan::parse("p.toml", &text).map_err(|error| error.problems.iter().map(|it| it.message.clone()).collect())
    }

    #[test]
    fn exit_codes_count_as_the_plan_says() {
        let exits = |step: &str| parsed(step).map(|plan| plan.steps[0].command().unwrap().exits.clone());
        assert_eq!(exits(""), Ok(Exits { ok: vec![0], warn: vec![] }));
        assert_eq!(exits("exits = { ok = [0, 3], warn = [2] }"), Ok(Exits { ok: vec![0, 3], warn: vec![2] }));
        assert_eq!(exits("exits = { warn = [24] }"), Ok(Exits { ok: vec![0], warn: vec![24] }), "0 stays done");
        for (wrong, message) in [
            ("exits = { ok = [0, 256] }", "out of range"),
            ("exits = { ok = [-1] }", "out of range"),
            ("exits = { ok = [] }", "no exit code counts as done"),
            ("exits = { ok = [0, 2], warn = [2] }", "exit code 2 stands twice"),
            ("exits = [0, 1]", "exits"),
            ("exits = { fine = [0] }", "fine"),
        ] {
            let problems = exits(wrong).expect_err(wrong);
            assert!(problems.iter().any(|problem| problem.contains(message)), "{wrong}: {problems:?}");
        }
    }
}

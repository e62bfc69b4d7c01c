//! What exactly a step would run, frozen: the object that people check.

use super::{Deviation, Exits, InheritedSeen, LeftBeside, Part, Reading, SettledSeen, Status};
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId, escaped};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// What exactly a step would run. People check the digest of this object's JSON text, and the hub compares every field
/// but `gates` and `left` again before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covers {
    /// The step.
    pub step: StepId,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Its title in the plan.
    pub title: String,
    /// `routine`, `critical` or `irreversible`.
    pub class: String,
    /// Cross-checks needed.
    pub checks: u32,
    /// What is run; left out where no command is.
    #[serde(default = "CommandSeen::nothing", skip_serializing_if = "CommandSeen::is_nothing")]
    pub command: CommandSeen,
    /// What undoes it: its checks hold for that as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackSeen>,
    /// What its preview said, and what was run to hear it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewSeen>,
    /// That it is only rehearsed, and what it would run live. No live step has it, so that no check of one is a check of
    /// the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<RehearsalSeen>,
    /// In what it differs from the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<Deviation>,
    /// The values of the parameters that its commands name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// What tells people how things stand where nobody knows what it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<CommandSeen>,
    /// The lines it works through, a batch at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<EachSeen>,
    /// What a person does in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
    /// The plan.
    pub plan: Hash,
    /// The gates as they were when it was armed.
    pub gates: Vec<GateSeen>,
    /// Other steps that ended badly, and how people say that they count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<SettledSeen>,
    /// What other steps left running, and still ran then. What ends or comes until this one runs is told, and voids nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftBeside>,
    /// The plan's words on what it touches, how it is undone, what stays half-way, where the data remains.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<String, String>,
    /// Nothing after it can be undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub point_of_no_return: bool,
    /// What shadows type from their own copy of the runbook before they may check it, in the plan's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readback: Vec<FieldSeen>,
    /// Only a security key that was touched may check it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_touch: bool,
}

impl Covers {
    /// The first thing in which the two differ, gates left out: what `StepVoided` says when bytes changed.
    pub fn difference(&self, now: &Covers) -> Option<String> {
        self.difference_in_bytes(now).or_else(|| {
            let (was, is) = self.preview_difference(now)?;
            Some(format!("preview said {was}, now says {is}"))
        })
    }

    /// Whether what undoes it is given the lines that were begun, and nothing else.
    pub fn feeds_begun_lines(&self) -> bool {
        let fed = self.rollback.as_ref().and_then(|rollback| rollback.command.stdin_file.as_ref());
        let same = fed.zip(self.command.stdin_file.as_ref()).is_some_and(|(fed, file)| fed.path == file.path);
        self.each.is_some() && same
    }
    /// The same for everything but what the preview said.
    pub fn difference_in_bytes(&self, now: &Covers) -> Option<String> {
        if let Some(what) = self.command.difference_at_first(&now.command) {
            return Some(what);
        }
        if let (Some(rollback), Some(now)) = (&self.rollback, &now.rollback)
            && let Some(what) = rollback.command.difference(&now.command)
        {
            return Some(format!("its rollback's {what}"));
        }
        if let (Some(probe), Some(now)) = (&self.probe, &now.probe)
            && let Some(what) = probe.difference(now)
        {
            return Some(format!("its probe: {what}"));
        }
        let mut same = Covers { gates: self.gates.clone(), left: self.left.clone(), ..now.clone() };
        // What is only recorded of them may have changed.
        if let (Some(was), Some(is)) = (&self.rollback, &mut same.rollback) {
            (is.command.named, is.absent) = (was.command.named.clone(), was.absent.clone());
        }
        if let (Some(was), Some(is)) = (&self.probe, &mut same.probe) {
            is.named.clone_from(&was.named);
        }
        if let (Some(was), Some(is)) = (&self.preview, &mut same.preview) {
            if let Some(what) = was.command.difference(&is.command) {
                return Some(format!("preview: {what}"));
            }
            (is.output, is.sha256, is.value) = (was.output.clone(), was.sha256, was.value.clone());
        }
        (*self != same).then(|| "the step as the plan describes it".into())
    }

    /// What the two previews said where they differ: their last lines, or the first line that is another one.
    pub fn preview_difference(&self, now: &Covers) -> Option<(String, String)> {
        let (was, is) = (self.preview.as_ref()?, now.preview.as_ref()?);
        if was.sha256 == is.sha256 {
            return None;
        }
        let ends = (was.last_line(), is.last_line());
        let (one, other) = if ends.0 != ends.1 {
            ends
        } else {
            let count = was.output.lines().count().max(is.output.lines().count());
            let line = |seen: &'_ PreviewSeen, index| seen.output.lines().nth(index).map(str::to_owned);
            let differ = (0..count).map(|index| (line(was, index), line(is, index))).find(|(a, b)| a != b);
            let (one, other) = differ.unwrap_or_default();
            return Some((quoted(one.as_deref()), quoted(other.as_deref())));
        };
        Some((quoted(Some(one)), quoted(Some(other))))
    }
}

/// A line as a sentence quotes it.
fn quoted(line: Option<&str>) -> String {
    const CHARS: usize = 120;
    let Some(line) = line else { return "nothing".to_owned() };
    match line.char_indices().nth(CHARS) {
        Some((cut, _)) => format!("{:?}…", &line[..cut]),
        None => format!("{line:?}"),
    }
}

/// How a step works through the lines of the file on its command's standard input. Batches are numbered from 1 in each attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EachSeen {
    /// Lines of the file.
    pub lines: u32,
    /// Lines of the first batch.
    pub first: u32,
    /// Lines of every other.
    pub then: u32,
    /// So many lines at its start were done by earlier attempts, and are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub done: u32,
}

fn is_zero(lines: &u32) -> bool {
    *lines == 0
}

impl EachSeen {
    /// The lines of that batch, counted from 0; empty past the last.
    pub fn batch(&self, number: u32) -> Range<u32> {
        let before = |number: u32| match number {
            0 => 0,
            number => self.first.saturating_add(self.then.saturating_mul(number - 1)),
        };
        let end = |number: u32| self.done.saturating_add(before(number)).min(self.lines);
        end(number.saturating_sub(1))..end(number)
    }
    /// How many batches there are.
    pub fn batches(&self) -> u32 {
        let left = self.lines.saturating_sub(self.done);
        match left {
            0 => 0,
            left => 1 + left.saturating_sub(self.first).div_ceil(self.then.max(1)),
        }
    }
    /// In words, for who checks it.
    pub fn words(&self) -> String {
        let done = match self.done {
            0 => String::new(),
            done => format!(", the first {done} of which are done"),
        };
        let (batches, first) = (self.batches(), self.batch(1).len());
        let then = match batches {
            1 => "in one batch".to_owned(),
            _ => format!("{first} first, then {} at a time, {batches} batches; worse stops", self.then),
        };
        format!("{} lines of its input{done}: {then}", self.lines)
    }
}

/// What a step's preview said: shown whole to whoever checks the step, and the same when it is run again, or the step is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewSeen {
    /// What was run.
    pub command: CommandSeen,
    /// What was expected of it, in words.
    pub expect: String,
    /// All that it printed, secrets taken out.
    pub output: String,
    /// SHA-256 of that.
    pub sha256: Hash,
    /// What counts of it: the number, or the last line.
    pub value: String,
}

impl PreviewSeen {
    /// The last line that is not blank.
    pub fn last_line(&self) -> &str {
        last_line(&self.output).unwrap_or_default()
    }
}

/// The last line that is not blank, without the blanks around it.
pub fn last_line(output: &str) -> Option<&str> {
    output.lines().rev().map(str::trim).find(|line| !line.is_empty())
}

impl Covers {
    /// Everything that may run on the checks of it.
    pub fn commands(&self) -> impl Iterator<Item = (Part, &CommandSeen)> {
        let step = Some((Part::Step, &self.command)).filter(|(_, command)| !command.is_nothing());
        let preview = self.preview.iter().map(|preview| (Part::Preview, &preview.command));
        let rollback = self.rollback.iter().map(|rollback| (Part::Rollback, &rollback.command));
        let probe = self.probe.iter().map(|probe| (Part::Probe, probe));
        step.into_iter().chain(preview).chain(rollback).chain(probe)
    }
    pub(crate) fn commands_mut(&mut self) -> impl Iterator<Item = &mut CommandSeen> {
        let preview = self.preview.iter_mut().map(|preview| &mut preview.command);
        let rollback = self.rollback.iter_mut().map(|rollback| &mut rollback.command);
        let step = Some(&mut self.command).filter(|command| !command.is_nothing());
        step.into_iter().chain(preview).chain(rollback).chain(&mut self.probe)
    }
    /// One of them.
    pub fn command_of(&self, part: Part) -> Option<&CommandSeen> {
        self.commands().find(|(other, _)| *other == part).map(|(_, command)| command)
    }
}

impl CommandSeen {
    /// A command of these words and nothing else: what tests and benchmarks start from.
    #[doc(hidden)]
    pub fn bare(argv: impl IntoIterator<Item = impl Into<String>>, exe: FileSeen) -> CommandSeen {
        CommandSeen {
            argv: argv.into_iter().map(Into::into).collect(),
            exe,
            interpreter: None,
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            cwd: "/".into(),
            folder: None,
            stdin: None,
            stdin_file: None,
            sealed: false,
            script: None,
            io: "pty".into(),
            input: None,
            timeout_ms: None,
            exits: Exits::default(),
            leaves: None,
            session_only: false,
            files: vec![],
            named: None,
            host: "host".into(),
            user: "user".into(),
            inherited: None,
            remote: false,
        }
    }
    /// No command: what stands in a step that a person does, or that only waits. No process can come of it.
    pub fn nothing() -> CommandSeen {
        let exe = FileSeen { path: String::new(), sha256: Hash::ZERO, size: 0, text: None };
        CommandSeen {
            cwd: String::new(),
            io: String::new(),
            host: String::new(),
            user: String::new(),
            ..Self::bare([""; 0], exe)
        }
    }
    /// What it works on: its words, what the plan gives it, where, and the bytes of its input and of the files it opens. Not the
    /// bytes of the script itself (one that was mended goes on where the one before stopped), nor what every command gets.
    pub fn works_on(&self) -> Hash {
        const USUAL: [&str; 5] = ["PATH", "HOME", "USER", "LANG", "TERM"];
        let env: Vec<_> = self.env.iter().filter(|(name, _)| !USUAL.contains(&name.as_str())).collect();
        let read: Vec<_> = self.files.iter().chain(&self.stdin_file).map(|file| (&file.path, file.sha256)).collect();
        let all = (&self.argv, env, &self.cwd, &self.host, &self.user, &self.stdin, read);
        Hash::of(&serde_json::to_vec(&all).unwrap_or_default()) // texts and hashes: JSON takes them
    }
    /// Whether that is what it is.
    pub fn is_nothing(&self) -> bool {
        self.argv.is_empty() && self.exe.path.is_empty()
    }
    /// The first thing in which the two differ, where what arguments name is held too.
    pub fn difference_at_first(&self, now: &CommandSeen) -> Option<String> {
        let named = |seen: &CommandSeen| {
            seen.named.as_ref().map(|named| named.iter().map(|it| (it.path.clone(), it.sha256)).collect::<Vec<_>>())
        };
        self.difference(now).or_else(|| (named(self) != named(now)).then(|| "a file that an argument names".to_owned()))
    }
    /// The first thing in which the two differ; what arguments name may have changed where it is only recorded.
    pub fn difference(&self, now: &CommandSeen) -> Option<String> {
        let quote = |a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| format!("{a:?} is now {b:?}");
        let file = |a: &FileSeen, b: &FileSeen| {
            (a != b).then(|| match a.path == b.path {
                true => format!("{} changed: SHA-256 {} is now {}", a.path, a.sha256.short(), b.sha256.short()),
                false => format!("{} is now {}", a.path, b.path),
            })
        };
        if self.argv != now.argv {
            return Some(format!("arguments: {}", quote(&self.argv, &now.argv)));
        }
        if self.cwd != now.cwd {
            return Some(format!("working folder: {}", quote(&self.cwd, &now.cwd)));
        }
        if self.folder != now.folder {
            return Some(format!("working folder: {} is another folder of that name now", self.cwd));
        }
        if let Some(what) = file(&self.exe, &now.exe) {
            return Some(format!("executable: {what}"));
        }
        let maybe = |a: &Option<FileSeen>, b: &Option<FileSeen>| match (a, b) {
            (Some(a), Some(b)) => file(a, b),
            (None, None) => None,
            (Some(a), None) => Some(format!("{} is none any more", a.path)),
            (None, Some(b)) => Some(format!("there was none, and now it is {}", b.path)),
        };
        if let Some(what) = maybe(&self.interpreter, &now.interpreter) {
            return Some(format!("interpreter: {what}"));
        }
        if self.stdin != now.stdin {
            return Some("what is fed to its standard input".into());
        }
        if let Some(what) = maybe(&self.stdin_file, &now.stdin_file) {
            return Some(format!("standard input: {what}"));
        }
        // An older version held arguments among the files: of those only what is held now is compared.
        let looser = self.named.is_none() && now.named.is_some();
        let held = |seen: &&FileSeen| !looser || now.files.iter().any(|other| other.path == seen.path);
        let files: Vec<_> = self.files.iter().filter(held).collect();
        if files.len() != now.files.len() {
            return Some("the list of files".into());
        }
        if let Some(what) = files.into_iter().zip(&now.files).find_map(|(a, b)| file(a, b)) {
            return Some(format!("file: {what}"));
        }
        let changed = |(key, hash): &(&String, &Hash)| now.secrets.get(*key).is_some_and(|now| now != *hash);
        if let Some((key, _)) = self.secrets.iter().find(changed) {
            return Some(format!("secret {key} changed"));
        }
        let names = self.env.keys().chain(now.env.keys());
        if let Some(name) = names.into_iter().find(|name| self.env.get(*name) != now.env.get(*name)) {
            return Some(format!("environment: {name}"));
        }
        if self.host != now.host || self.user != now.user {
            return Some("host or user".into());
        }
        if let (Some(was), Some(is)) = (&self.inherited, &now.inherited)
            && let Some(what) = was.difference(is)
        {
            return Some(format!("{what}; the hub was started otherwise, start it again as it was then"));
        }
        // An older version did not look at what it inherits.
        let inherited = self.inherited.as_ref().and(now.inherited.clone());
        let script = self.script.as_ref().and(now.script.clone());
        let (named, files) = (self.named.clone(), self.files.clone());
        (*self != CommandSeen { named, files, inherited, script, ..now.clone() }).then(|| "how it is run".into())
    }
}

/// A step in a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearsalSeen {
    /// On which data.
    pub data: String,
    /// The argument vector that a live session would run. It is only shown.
    pub live: Vec<String>,
    /// Whether the plan has no command to rehearse it with, so that what would run is printed and nothing more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub printed: bool,
}

impl RehearsalSeen {
    /// What is run in the place of the live command.
    pub fn words(&self) -> &'static str {
        match self.printed {
            _ if self.live.is_empty() => {
                "no command would run live either; here nobody does it, and nobody waits for it"
            }
            true => "that would run live; here it is only printed, the plan has no `rehearse` for it",
            false => "that would run live; here the plan's `rehearse` is run in its place",
        }
    }
}

/// What undoes a step, as it was when the step was armed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackSeen {
    /// What is run.
    pub command: CommandSeen,
    /// Whether it runs by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// Steps that must be done after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contain: Vec<StepId>,
    /// Programs and scripts that its text for a shell runs by their path, and that are not there yet: the step has to make them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
}

/// One command as it was when frozen: everything that decides what its process does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSeen {
    /// The argument vector as it is executed.
    pub argv: Vec<String>,
    /// The file that is executed.
    pub exe: FileSeen,
    /// What its `#!` line names, where it is a script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<FileSeen>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// What stands for the value of each secret that `env` names as `secret:KEY`: SHA-256 of a private salt and `KEY=value`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Hash>,
    /// The working folder, absolute.
    pub cwd: String,
    /// Which folder that was: another one may get its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<FolderSeen>,
    /// What is fed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// The file it reads as its standard input, in place of `stdin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_file: Option<FileSeen>,
    /// Whether its script runs from a sealed copy of what was hashed instead of from its file, under the name of that copy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// How its script gets to its interpreter otherwise; nothing where it has none, or an older version froze it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptSeen>,
    /// `pty` or `pipe`.
    pub io: String,
    /// Whether the lead may type to it: `lead`, or `hidden-only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// When it is ended by force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Which of its exit codes count as done.
    #[serde(default, skip_serializing_if = "Exits::is_usual")]
    pub exits: Exits,
    /// What it leaves running on purpose, in the plan's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<String>,
    /// The hub's system does not tell what leaves a process session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub session_only: bool,
    /// The files the plan names, and arguments that are files where those are held too.
    pub files: Vec<FileSeen>,
    /// Arguments that are files, as they were: told to people, and free to change, because a step before may be there to change
    /// them. Nothing where arguments are held as the plan's files are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<Vec<FileSeen>>,
    /// The machine it runs on.
    pub host: String,
    /// Who it runs as.
    pub user: String,
    /// Its umask and limits; nothing where another machine gives them, or an older version froze it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited: Option<InheritedSeen>,
    /// Whether that machine is another one, reached over ssh: the end of the link is not the end of the command.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remote: bool,
}

/// How a script gets to the interpreter that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScriptSeen {
    /// From a copy that nobody can change, as if it were the file.
    Copied {
        /// It may do something with its own file, by its name.
        names_itself: bool,
    },
    /// Its interpreter reads the file whole before it runs any of it.
    Whole,
    /// Its interpreter reads the file while it runs it.
    AsItGoes {
        /// Why it is given no copy.
        why: String,
    },
}

impl ScriptSeen {
    /// Whether a change to its file while it runs can be one to what runs.
    pub fn is_by_name(&self) -> bool {
        !matches!(self, ScriptSeen::Copied { names_itself: false })
    }
    /// In words, for who checks it.
    pub fn words(&self) -> String {
        const CHANGE: &str = "a change to it while it runs ends this undecided";
        match self {
            ScriptSeen::Copied { names_itself: false } => {
                "run from a copy in memory that nobody can change; its name and its folder are those of the file"
                    .to_owned()
            }
            ScriptSeen::Copied { names_itself: true } => format!(
                "run from a copy in memory that nobody can change; it names itself ($0), and may so do something with its file: {CHANGE}"
            ),
            ScriptSeen::Whole => format!("read whole by its interpreter before any of it runs; {CHANGE}"),
            ScriptSeen::AsItGoes { why } => format!(
                "READ WHILE IT RUNS ({why}): {CHANGE}. `sealed = true` has it run from a copy, under the name of the copy"
            ),
        }
    }
}

/// A parameter that is read back, with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldSeen {
    /// Its name in the plan.
    pub name: String,
    /// What was filled in for it.
    pub value: String,
}
impl FieldSeen {
    /// Of names and values.
    pub fn all(fields: Vec<(String, String)>) -> Vec<FieldSeen> {
        fields.into_iter().map(|(name, value)| FieldSeen { name, value }).collect()
    }
}

/// A file as it was when looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSeen {
    /// Absolute path, links resolved.
    pub path: String,
    /// Its bytes.
    pub sha256: Hash,
    /// Its length.
    pub size: u64,
    /// Its text to 64 KiB, for files the plan names; nothing where it is not UTF-8 text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl FileSeen {
    /// Its text for people, line by line with every character that is none of its own marked, and what they have to know besides:
    /// that it is cut, is no text, or has no end of line at its end.
    pub fn shown_lines(&self) -> (Vec<String>, Option<String>) {
        let Some(text) = &self.text else {
            return (vec![], Some("its text is not kept (no text, too long, or not listed in `files` of the plan): its hash is checked".to_owned()));
        };
        let whole = text.len() as u64 >= self.size;
        let mut lines: Vec<_> = text.split('\n').map(escaped).collect();
        let rest = lines.pop().filter(|rest| !rest.is_empty());
        let note = match (whole, rest) {
            (false, _) => Some(format!("cut here: {} of {} bytes are shown", text.len(), self.size)),
            (true, None) => None,
            (true, Some(rest)) => {
                lines.push(rest);
                Some("no end of line at its end".to_owned())
            }
        };
        (lines, note)
    }
}

/// What tells a folder from a later one that got its name: where it is stored, and when it was made, because the place of
/// one that was removed is soon used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderSeen {
    /// Number of the file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970, where the file system keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born_ns: Option<u64>,
}

/// A gate as it was when its step was armed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateSeen {
    /// The watch.
    pub watch: WatchId,
    /// Its latest reading.
    pub reading: Reading,
    /// How old that was.
    pub age_ms: u64,
    /// The exception that was made to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<WaivedSeen>,
}

/// An exception to a gate: by whom, on what it read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaivedSeen {
    /// Who.
    pub by: Principal,
    /// What it read.
    pub status: Status,
    /// Their words.
    pub why: String,
}

/// `covers` together with its text, byte for byte as it stands in the line: that text is what the digest is taken of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Box<serde_json::value::RawValue>", into = "Box<serde_json::value::RawValue>")]
pub struct Frozen {
    text: Box<serde_json::value::RawValue>,
    covers: std::sync::Arc<Covers>,
    digest: Hash,
}
impl Frozen {
    /// Freezes it: from here on only the text counts.
    pub fn new(covers: Covers) -> Result<Self, serde_json::Error> {
        let text = serde_json::value::RawValue::from_string(crate::transcript::record::to_text(&covers)?)?;
        Ok(Self { digest: Hash::of(text.get().as_bytes()), text, covers: covers.into() })
    }
    /// What it says.
    pub fn covers(&self) -> &Covers {
        &self.covers
    }
    /// SHA-256 of the text.
    pub fn digest(&self) -> Hash {
        self.digest
    }
    /// The text.
    pub fn text(&self) -> &str {
        self.text.get()
    }
}
impl PartialEq for Frozen {
    fn eq(&self, other: &Self) -> bool {
        self.text.get() == other.text.get()
    }
}
impl TryFrom<Box<serde_json::value::RawValue>> for Frozen {
    type Error = serde_json::Error;
    fn try_from(text: Box<serde_json::value::RawValue>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            covers: std::sync::Arc::new(serde_json::from_str(text.get())?),
            digest: Hash::of(text.get().as_bytes()),
            text,
        })
    }
}
impl From<Frozen> for Box<serde_json::value::RawValue> {
    fn from(frozen: Frozen) -> Self {
        frozen.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_shown_with_all_that_would_be_missed() {
        let shown = |text: &str, size: u64| FileSeen { size, ..crate::fixture::file("").saying(text) }.shown_lines();
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(shown("a\n\nb\n", 5), (lines(&["a", "", "b"]), None));
        assert_eq!(
            shown("a\r\nb\r\n", 6).0,
            lines(&["a\\r", "b\\r"]),
            "a line end of another system is part of the line"
        );
        let (without, note) = shown("a\nb", 3);
        assert_eq!((without, note.as_deref()), (lines(&["a", "b"]), Some("no end of line at its end")));
        // A number that is cut in two is another number.
        let (cut, note) = shown("10\n12", 1000);
        assert_eq!((cut, note.as_deref()), (lines(&["10"]), Some("cut here: 5 of 1000 bytes are shown")));
        assert_eq!(shown("", 0), (vec![], None));
    }
}

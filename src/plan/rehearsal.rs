//! `rehearse`: what a rehearsal runs in the place of a command, and what becomes of a plan that is only rehearsed.
//!
//! A rehearsal flies another plan: in it no command of the live one is left that could be started ([`rehearsed`] is the last
//! thing that is done to the steps, after typed commands stand in their places). So no rule further down has to ask.

use super::command;
use super::table::Table;
use super::{Command, Gate, Io, NotifyBy, Plan, Run, Step, Template, WatchKind};
use crate::name::is_hidden;
use std::collections::BTreeMap;

/// Letters of the words on the data at most: they stand in a row of every screen.
pub const DATA_CHARS_MAX: usize = 200;
/// What a rehearsal without a command of its own prints first.
const NOT_RUN: &str = "REHEARSAL: nothing is run here. Live, this would run:";

/// Whether that text says on which data a rehearsal is.
pub fn data(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("say on which data the rehearsal is, such as \"masked copy, 10 % sample of 2026-11-01\"".to_owned());
    }
    if let Some(hidden) = text.chars().find(|c| is_hidden(*c) || c.is_control()) {
        return Err(format!("the words on the data hold the hidden character {}", hidden.escape_unicode()));
    }
    match text.chars().count() {
        0..=DATA_CHARS_MAX => Ok(text.to_owned()),
        count => Err(format!("the words on the data have {count} characters; {DATA_CHARS_MAX} is the most")),
    }
}

/// `rehearse = ["./drop", "--dry-run"]`, a text for the shell, or a table with the keys of a command, for the command beside
/// it. It gets nothing of that one's environment, secrets, input and files: those decide what is touched. Where it runs, for
/// how long and in what it shares, unless it says otherwise.
pub(super) fn read(table: &Table<'_>, live: Option<&Command>) -> Option<Option<Command>> {
    read_with(table, command::KEYS, live)
}

/// The same for a preview, which has fewer keys.
pub(super) fn read_preview(table: &Table<'_>, live: Option<&Command>) -> Option<Option<Command>> {
    read_with(table, &["run", "env", "cwd", "stdin", "sealed", "files"], live)
}

fn read_with(table: &Table<'_>, keys: &[&'static str], live: Option<&Command>) -> Option<Option<Command>> {
    let Some(given) = table.get("rehearse") else { return Some(None) };
    let io = live.map_or(Io::Pty, |live| live.io);
    let command = match given.is_table() {
        false => Command { ..bare(given.run()?, io) },
        true => {
            let table = given.table("a rehearsal's command", keys, &[])?;
            match table.get("io") {
                Some(_) => command::read(&table)?,
                None => command::read_with(&table, io)?,
            }
        }
    };
    let (cwd, timeout) = live.map_or((None, None), |live| (live.cwd.clone(), live.timeout));
    Some(Some(Command { cwd: command.cwd.or(cwd), timeout: command.timeout.or(timeout), ..command }))
}

fn bare(run: Run, io: Io) -> Command {
    Command { run, env: BTreeMap::new(), cwd: None, stdin: None, sealed: false, files: vec![], timeout: None, io }
}

/// A command that prints what that one would run, word by word, and does nothing else. It has neither its environment nor its
/// secrets, so none is fetched for it.
fn printed(live: &Command) -> Command {
    let literal = |words: [&str; 3]| words.map(Template::literal);
    let words: Vec<Template> = match &live.run {
        Run::Argv(words) => words.clone(),
        Run::Shell(text) => literal(["sh", "-eu", "-c"]).into_iter().chain([text.clone()]).collect(),
    };
    let printing = literal(["printf", "%s\\n", NOT_RUN]).into_iter().chain(words).collect();
    Command { cwd: live.cwd.clone(), timeout: live.timeout, ..bare(Run::Argv(printing), live.io) }
}

/// What a rehearsal flies of that plan.
pub(super) fn rehearsed(plan: &mut Plan) {
    let asks_for_one: Vec<_> = plan
        .watches
        .iter()
        .filter(|watch| matches!(&watch.kind, WatchKind::Session(flown) if flown.rehearsal))
        .map(|watch| watch.id.clone())
        .collect();
    for step in &mut plan.steps {
        rehearse(step);
        // A rehearsal that waited for a rehearsal could never be the first one.
        step.gates.retain(|Gate { watch, .. }| !asks_for_one.contains(watch));
    }
    // What a command does that tells others, nobody knows; a webhook's text says that it is a rehearsal.
    for notify in &mut plan.notify {
        if matches!(notify.by, NotifyBy::Command(_)) {
            notify.on.clear();
        }
    }
}

/// What a rehearsal flies of that step: nothing of what it would run live.
pub(super) fn rehearse(step: &mut Step) {
    let edited = step.deviations.iter().any(|deviation| matches!(deviation, crate::event::Deviation::Edited { .. }));
    // A typed command has no rehearsal of its own, and the planned one's would be another thing than was typed.
    let own = step.rehearse.take().filter(|_| !edited);
    let live = std::mem::replace(&mut step.command, bare(Run::Argv(vec![]), Io::Pty));
    step.live = Some(Live { run: live.run.clone(), printed: own.is_none() });
    step.command = own.unwrap_or_else(|| printed(&live));
    if let Some(rollback) = &mut step.rollback {
        rollback.command = rollback.rehearse.take().unwrap_or_else(|| printed(&rollback.command));
    }
    // It looks at what the live command would touch, and people would take its number for one of the rehearsal's data.
    step.preview = step.preview.take().and_then(|mut preview| {
        preview.command = preview.rehearse.take()?;
        Some(preview)
    });
}

/// What a step that is rehearsed would run live.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// That.
    pub run: Run,
    /// Whether it is only printed, because the plan has no `rehearse` for it.
    pub printed: bool,
}

impl Plan {
    /// On which data it is rehearsed; nothing where it is flown live.
    pub fn rehearsal(&self) -> Option<&str> {
        self.changes.rehearsal.as_deref()
    }

    /// The commands that a rehearsal could only print: steps, and what undoes them.
    pub fn without_rehearsal(&self) -> Vec<String> {
        let step = |step: &Step| step.rehearse.is_none().then(|| step.id.to_string());
        let rollback = |step: &Step| {
            let rollback = step.rollback.as_ref().filter(|rollback| rollback.rehearse.is_none())?;
            Some(rollback).map(|_| format!("the rollback of {}", step.id))
        };
        self.steps.iter().flat_map(|it| [step(it), rollback(it)]).flatten().collect()
    }
}

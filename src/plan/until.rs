//! What a step does: it runs, it waits for a watch (`until`), or a person does it (`manual`).

use super::command;
use super::readers::known_watch;
use super::table::{Table, Value};
use super::{Command, Template, Until};

/// `until = "counts-equal"`, or `until = { watch = "counts-equal", within = "2h" }`.
pub(super) fn read_until(value: &Value<'_>, watches: &[&str]) -> Option<Until> {
    if !value.is_table() {
        return known_watch(value, watches).map(|watch| Until { watch, within: None });
    }
    let table = value.table("a wait", &["watch", "within"], &[])?;
    let watch = table.require("watch", "expected watch = \"the id of a watch\"")?;
    let within = table.duration("within");
    Some(Until { watch: known_watch(&watch, watches)?, within })
}

/// What a step does, before what follows it is read.
pub(super) enum Act {
    Runs(Box<Command>),
    ByHand(Template),
    Waits,
}

/// Its command, or the words of what a person does, or nothing but to wait.
pub(super) fn read_act(table: &Table<'_>) -> Option<Act> {
    let (run, until) = (table.get("run"), table.get("until"));
    let Some(manual) = table.get("manual") else {
        return match (run, until) {
            (None, Some(_)) => nothing_runs(table, "it only waits").map(|()| Act::Waits),
            _ => command::read(table).map(|command| Act::Runs(Box::new(command))),
        };
    };
    if let Some(run) = run {
        let message = "a step with `manual` and with `run`";
        return run.wrong(message, "a person does it, or a command: expected one of the two");
    }
    let words = manual.template(true);
    if words.as_ref().is_some_and(|words| words.text().trim().is_empty()) {
        return manual.wrong("`manual` is empty", "expected what is to be done, in words");
    }
    if let Some(verify) = table.get("verify") {
        let help = "`until = \"watch\"` waits for a watch after somebody said that it is done";
        let message = "`verify` on a manual step";
        verify.cx.problem_with_help(
            verify.span(),
            message,
            "nobody knows when it was done, and so what was before",
            help,
        );
        return None;
    }
    if let Some(verify) = table.get("rollback").and_then(|rollback| rollback.field("verify")) {
        return verify.wrong(
            "`verify` in the rollback of a manual step",
            "nobody knows when it was done, and so what was before",
        );
    }
    if let Some(starts) = table.get("run_on_clear").filter(|starts| starts.is_true()) {
        return starts.wrong("`run_on_clear` on a manual step", "only who did it can say that it is done");
    }
    nothing_runs(table, "a person does it")?;
    words.map(Act::ByHand)
}

/// No command, and so none of what is given to one.
fn nothing_runs(table: &Table<'_>, why: &str) -> Option<()> {
    match command::KEYS.iter().find_map(|key| Some((key, table.get(key)?))) {
        Some((key, value)) => {
            value.wrong(format!("`{key}` in a step without `run`"), format!("{why}, and no command runs"))
        }
        None => Some(()),
    }
}

//! `rehearse`: what a rehearsal runs in the place of a command, and what becomes of a plan that is only rehearsed.
//!
//! A rehearsal flies another plan: in it no command of the live one is left that could be started ([`rehearsed`] is the last
//! thing that is done to the steps, after typed commands stand in their places). So no rule further down has to ask.

use super::command;
use super::table::Table;
use super::{
    Changes, Command, Does, Gate, Goes, Input, NotifyBy, Params, Plan, RenderError, Run, Runs, Step, Template,
    WatchKind,
};
use crate::event::RehearsalSeen;
use crate::name::is_hidden;

/// Letters of the words on the data at most: they stand in a row of every screen.
pub const DATA_CHARS_MAX: usize = 200;
/// What a rehearsal without a command of its own prints first.
const NOT_RUN: &str = "REHEARSAL: nothing is run here. Live, this would run:";
/// What stands before the words of what a person does.
const NOT_DONE: &str = "REHEARSAL, do not do it, only say that you would: ";

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

/// Nothing is rehearsed where nothing runs.
pub(super) fn refuse(table: &Table<'_>) -> Option<()> {
    match table.get("rehearse") {
        Some(given) => {
            given.wrong("`rehearse` in a step without `run`", "a rehearsal shows what it would do, and does nothing")
        }
        None => Some(()),
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
    read_with(table, &["run", "env", "cwd", "stdin", "sealed", "files", "on", "pipefail"], live)
}

fn read_with(table: &Table<'_>, keys: &[&'static str], live: Option<&Command>) -> Option<Option<Command>> {
    let Some(given) = table.get("rehearse") else { return Some(None) };
    let (command, io) = match given.is_table() {
        false => (Command::of(given.run()?), None),
        true => {
            let refused: Vec<_> = command::KEYS.iter().copied().filter(|key| !keys.contains(key)).collect();
            let table = given.table("a rehearsal's command", keys, &refused)?;
            let command = command::read(&table)?;
            // Only at a terminal something can be typed, and there is none elsewhere.
            let own = table.offered("io").is_some()
                || command.leaves.is_some()
                || command.input != Input::None
                || command.on.is_some();
            let io = own.then_some(command.io);
            (command, io)
        }
    };
    let Some(live) = live else { return Some(Some(command)) };
    Some(Some(Command {
        cwd: command.cwd.or_else(|| here(live).filter(|_| command.on.is_none())),
        timeout: command.timeout.or(live.timeout),
        pipefail: command.pipefail && live.pipefail,
        io: io.unwrap_or(live.io),
        ..command
    }))
}

/// The folder that command runs in, where it is one of the hub's machine.
fn here(live: &Command) -> Option<Template> {
    live.cwd.clone().filter(|_| live.on.is_none())
}

/// A command that prints what that one would run, word by word, and does nothing else. It has neither its environment nor its
/// secrets, so none is fetched for it.
fn printed(live: &Command) -> Command {
    let printing = ["printf", "%s\\n", NOT_RUN].map(Template::literal);
    let printing = printing.into_iter().chain(live.run.templates().iter().cloned()).collect();
    let (cwd, timeout, io) = (here(live), live.timeout, live.io);
    Command { cwd, timeout, io, ..Command::of(Run::Argv(printing)) }
}

/// What parameters are of themselves in a rehearsal: no deviation, since the plan says so.
pub(super) fn values(plan: &mut Plan) {
    for param in plan.params.values_mut() {
        param.default = param.rehearsal.take().or(param.default.take());
    }
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
    let printed_alone = step.runs().is_none_or(|runs| edited || runs.rehearse.is_none());
    step.live = Some(Live { run: step.command().map(|live| live.run.clone()), printed: printed_alone });
    // Batches are of the same lines, for a command that is fed nothing else; what is only printed is printed once.
    let mut begun = None;
    match &mut step.does {
        Does::ByHand { words, until } => (*words, *until) = (words.with_prefix(NOT_DONE), None),
        // What it waits for comes of what is live: it may never come, or be there already.
        Does::Waits { until, verify, run_on_clear } => {
            let waits = Template::literal(&format!("wait until {} is ok", until.watch));
            let command = printed(&Command::of(Run::Argv(vec![waits])));
            let goes = Goes::Once { until: None, verify: verify.take() };
            step.does = Does::Runs(Box::new(Runs { command, rehearse: None, goes, run_on_clear: *run_on_clear }));
        }
        Does::Runs(runs) => {
            // A typed command has no rehearsal of its own, and the planned one's would be another thing than was typed.
            let own = runs.rehearse.take().filter(|_| !edited);
            match (&mut runs.goes, &own) {
                (Goes::InBatches(each, _), Some(own)) if may_be_fed(own) => begun = Some(each.clone()),
                (Goes::InBatches(_, verify), _) => {
                    runs.goes = Goes::Once { until: None, verify: Some(verify.clone()) };
                }
                (Goes::Once { .. }, Some(_)) => {}
                (Goes::Once { until, .. }, None) => *until = None, // it may never come, or be there already
            }
            let command = own.unwrap_or_else(|| printed(&runs.command));
            runs.command = begun.as_ref().map_or(command.clone(), |each| each.feeds(command));
        }
    }
    if let Some(rollback) = &mut step.rollback {
        let own = rollback.rehearse.take();
        let begun = begun.filter(|_| own.as_ref().is_some_and(may_be_fed));
        let command = own.unwrap_or_else(|| printed(&rollback.command));
        rollback.command = begun.map_or(command.clone(), |each| each.feeds(command));
    }
    // Both look at what the live command would touch, and people would take what they say for the rehearsal's.
    step.probe = None;
    step.preview = step.preview.take().and_then(|mut preview| {
        preview.command = preview.rehearse.take()?;
        Some(preview)
    });
}

fn may_be_fed(own: &Command) -> bool {
    own.stdin.is_none() && own.on.is_none() && own.input == Input::None
}

/// What a step that is rehearsed would run live.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// That; nothing where a person does it, or it only waits.
    pub run: Option<Run>,
    /// Whether it is only printed, or said, because the plan has no `rehearse` for it.
    pub printed: bool,
}

impl Step {
    /// What is checked of a rehearsal of it: on which data, and what would be run live. Nothing where it is flown live.
    pub fn rehearsal_seen(&self, plan: &Plan, params: &Params) -> Result<Option<RehearsalSeen>, RenderError> {
        let Some((data, live)) = plan.rehearsal().zip(self.live.as_ref()) else { return Ok(None) };
        let argv = live.run.as_ref().map_or_else(|| Ok(vec![]), |run| run.argv(params))?;
        Ok(Some(RehearsalSeen { data: data.to_owned(), live: argv, printed: live.printed }))
    }
}

impl Plan {
    /// The same plan, rehearsed on those data.
    pub fn rehearsed_on(&self, data: &str) -> Plan {
        self.changed(Changes { rehearsal: Some(data.to_owned()), ..Changes::default() })
    }

    /// On which data it is rehearsed; nothing where it is flown live.
    pub fn rehearsal(&self) -> Option<&str> {
        self.changes.rehearsal.as_deref()
    }

    /// The commands that a rehearsal could only print: steps, and what undoes them.
    pub fn without_rehearsal(&self) -> Vec<String> {
        let step = |step: &Step| step.runs().is_some_and(|runs| runs.rehearse.is_none()).then(|| step.id.to_string());
        let rollback = |step: &Step| {
            let rollback = step.rollback.as_ref().filter(|rollback| rollback.rehearse.is_none())?;
            Some(rollback).map(|_| format!("the rollback of {}", step.id))
        };
        self.steps.iter().flat_map(|it| [step(it), rollback(it)]).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Principal;
    use crate::plan::{Expect, Io, Typed, lint};

    const PLAN: &str = r#"
crosscheck = 1
name = "n"
environment = "e"
[crew]
lead = ["ana@x"]
shadow = ["bo@x", "cy@x"]
[params.table]
default = "old"
[secrets]
KEY = { env = "K" }
[[watch]]
id = "rehearsed"
kind = "session"
environment = "e"
transcripts = "/t"
within = "7d"
rehearsal = true
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
[[step]]
id = "load"
run = ["./LIVE", "{{ table }}", "%s\\n"]
cwd = "db"
timeout = "5m"
io = "pipe"
env = { KEY = "{{ secret.KEY }}" }
files = ["LIVE.json"]
stdin = "LIVE"
rehearse = ["./dry", "{{ table }}"]
gates = ["rehearsed", "api"]
rollback = { run = ["./LIVE-undo"], rehearse = { run = ["./dry-undo"], env = { A = "b" } } }
preview = { run = ["./LIVE-count"], expect = "1..9", rehearse = "./dry-count" }
[[step]]
id = "drop"
class = "critical"
run = "./LIVE {{ table }} | tee 'x y'"
cwd = "db"
env = { KEY = "{{ secret.KEY }}" }
rollback = { run = ["./LIVE-undo"], automatic = true }
preview = { run = ["./LIVE-count"], expect = "1..9" }
[[notify]]
on = ["opened"]
run = ["./LIVE-tell"]
[[notify]]
on = ["opened"]
webhook = "https://chat.example.org/hook"
"#;

    fn parsed() -> Plan {
        Plan::parse("p", PLAN).unwrap()
    }
    fn params() -> Params {
        Params::from([("table".to_owned(), "old".to_owned())])
    }
    fn flown(mut changes: Changes) -> Plan {
        changes.rehearsal = Some("masked copy".to_owned());
        parsed().changed(changes)
    }

    #[test]
    fn no_command_of_the_live_plan_is_left() {
        let typed = |run: &str| Typed { run: run.into(), why: "w".into(), by: Principal::new("ana@x").unwrap() };
        let id = |id: &str| crate::name::StepId::new(id).unwrap();
        let edited = Changes {
            edited: [(id("load"), typed("./LIVE-edited now"))].into(),
            added: vec![(id("adhoc-1"), typed("./LIVE-typed; rm x"))],
            ..Changes::default()
        };
        for plan in [flown(Changes::default()), flown(edited)] {
            for step in &plan.steps {
                for command in step.commands() {
                    let argv = command.run.argv(&params()).unwrap();
                    let printed = argv.starts_with(&["printf", "%s\\n", NOT_RUN].map(str::to_owned));
                    assert!(printed || argv.iter().any(|word| word.starts_with("./dry")), "{argv:?}");
                    assert!(command.secrets().is_empty() && command.stdin.is_none() && command.files.is_empty());
                    assert!(!command.env.contains_key("KEY"), "the live one's environment says where it goes");
                }
                assert!(step.runs().is_none_or(|runs| runs.rehearse.is_none()) && step.live.is_some());
            }
            assert!(plan.notify[0].on.is_empty(), "nobody knows what a command does that tells others");
            assert_eq!(plan.notify[1].on.len(), 1);
            assert_eq!(plan.rehearsal(), Some("masked copy"));
            assert_eq!(plan.digest, parsed().digest, "it is the same plan that is rehearsed");
        }
        assert_eq!(parsed().rehearsal(), None);
    }

    #[test]
    fn what_is_rehearsed_runs_where_the_live_one_does_and_what_is_not_is_printed_word_by_word() {
        let plan = flown(Changes::default());
        let [load, drop] = &plan.steps[..] else { panic!("two steps") };
        assert_eq!(load.command().unwrap().run.argv(&params()).unwrap(), ["./dry", "old"]);
        assert_eq!(load.command().unwrap().cwd.as_ref().map(Template::text), Some("db"));
        assert_eq!(
            (load.command().unwrap().timeout, load.command().unwrap().io),
            (Some(std::time::Duration::from_secs(300)), Io::Pipe)
        );
        let undo = &load.rollback.as_ref().unwrap().command;
        assert_eq!((undo.run.text().as_str(), undo.env.len()), ("./dry-undo", 1));
        let preview = load.preview.as_ref().unwrap();
        assert_eq!(preview.command.run.text(), "./dry-count");
        assert_eq!(preview.expect, Expect::Range { from: Some(1.0), to: Some(9.0) });
        let seen = load.rehearsal_seen(&plan, &params()).unwrap().unwrap();
        assert_eq!((seen.live, seen.printed), (vec!["./LIVE".into(), "old".into(), "%s\\n".into()], false));
        let gates: Vec<_> = load.gates.iter().map(|gate| gate.watch.as_str()).collect();
        assert_eq!(gates, ["api"], "a rehearsal does not wait for a rehearsal");

        let printed = ["printf", "%s\\n", NOT_RUN, "./LIVE old | tee 'x y'"];
        assert_eq!(drop.command().unwrap().run.argv(&params()).unwrap(), printed);
        assert_eq!(drop.preview, None, "it would look at what is live");
        assert!(drop.rollback.as_ref().unwrap().automatic);
        assert!(drop.rehearsal_seen(&plan, &params()).unwrap().unwrap().printed);
        assert_eq!(parsed().without_rehearsal(), ["drop", "the rollback of drop"]);
    }

    #[test]
    fn a_person_does_nothing_live_nobody_waits_for_it_and_no_other_host_is_asked() {
        const MORE: &str = r#"
[hosts.db]
address = "db.example.org"
user = "release"
host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZk0kFzHn0vn7yRmcVgcS8dNlUaUc5kpwVtc5SlUmzN"
[[step]]
id = "tell"
manual = "Tell support that {{ table }} goes"
[[step]]
id = "drain"
until = "api"
[[step]]
id = "far"
run = ["./LIVE-far"]
on = "db"
cwd = "/srv/LIVE"
until = "api"
probe = ["./LIVE-status"]
[[step]]
id = "near"
run = ["./LIVE-near"]
until = "api"
rehearse = { run = ["./dry"], input = "lead" }
"#;
        let text = PLAN.replacen("[[notify]]", &format!("{MORE}[[notify]]"), 1);
        let plan = match Plan::parse("p", &text) {
            Ok(plan) => plan.changed(Changes { rehearsal: Some("masked".into()), ..Changes::default() }),
            Err(error) => panic!("{error}"),
        };
        let [tell, drain, far, near] = &plan.steps[2..] else { panic!("four more") };
        let words = tell.by_hand().unwrap().render(&params()).unwrap();
        assert_eq!(words, format!("{NOT_DONE}Tell support that old goes"));
        let seen = |step: &Step| step.rehearsal_seen(&plan, &params()).unwrap().unwrap();
        assert!(tell.runs().is_none() && seen(tell).words().contains("nobody does it"));
        assert_eq!(
            drain.command().unwrap().run.argv(&params()).unwrap(),
            ["printf", "%s\\n", NOT_RUN, "wait until api is ok"]
        );
        assert!(drain.until().is_none() && far.until().is_none() && far.probe.is_none());
        let Command { on, cwd, input, .. } = far.command().unwrap();
        assert_eq!((on, cwd, *input), (&None, &None, Input::None), "its folder is one of the other machine");
        assert_eq!(far.command().unwrap().run.argv(&params()).unwrap()[3..], ["./LIVE-far"]);
        assert!(near.until().is_some() && near.command().unwrap().input == Input::Lead);
        assert_eq!(plan.digest, Plan::parse("p", &text).unwrap().digest);
        let told =
            Plan::parse("p", &text.replacen("manual = ", "rehearse = [\"x\"]\nmanual = ", 1)).unwrap_err().to_string();
        assert!(told.contains("`rehearse` in a step without `run`"), "{told}");
    }

    #[test]
    fn lint_names_what_could_only_be_printed_where_anything_is_rehearsed() {
        let told: Vec<_> = lint(&parsed()).into_iter().map(|warning| warning.message).collect();
        for words in
            ["step drop has no `rehearse`", "the rollback of step drop has no", "the preview of step drop has no"]
        {
            assert!(told.iter().any(|told| told.starts_with(words)), "{words}: {told:?}");
        }
        assert!(!told.iter().any(|told| told.contains("load has no `rehearse`")), "{told:?}");
        let never = PLAN
            .replacen("rehearse = [\"./dry\", \"{{ table }}\"]\n", "", 1)
            .replacen(", rehearse = { run = [\"./dry-undo\"], env = { A = \"b\" } }", "", 1)
            .replacen(", rehearse = \"./dry-count\"", "", 1);
        let told = lint(&Plan::parse("p", &never).unwrap());
        assert!(!told.iter().any(|told| told.message.contains("`rehearse`")), "{told:?}");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (value, words) in
            [("5", "text"), ("[]", "rehearse"), ("{ env = {} }", "run"), ("{ run = \"x\", gates = [] }", "gates")]
        {
            let text = PLAN.replacen("rehearse = [\"./dry\", \"{{ table }}\"]", &format!("rehearse = {value}"), 1);
            let told = Plan::parse("p", &text).unwrap_err().to_string();
            assert!(told.contains(words), "{value}: {told}");
        }
        let text = PLAN.replacen("./dry\", \"{{ table }}", "./dry\", \"{{ tabel }}", 1);
        assert!(Plan::parse("p", &text).unwrap_err().to_string().contains("tabel"));
        for wrong in ["", "  ", "a\u{202e}b", "a\nb", &"x".repeat(201)] {
            assert!(data(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(data(" masked ").unwrap(), "masked");
    }

    #[test]
    fn a_preview_s_rehearsal_may_be_a_table() {
        let plan = |keys: &str| {
            let text = PLAN
                .replace("rehearse = \"./dry-count\" }", &format!("rehearse = {{ run = [\"./dry-count\"]{keys} }} }}"));
            assert_ne!(text, PLAN);
            Plan::parse("p", &text).map_err(|error| error.to_string())
        };
        let preview = plan(", cwd = \"dry\"").unwrap().steps[0].preview.clone().unwrap();
        assert_eq!(preview.rehearse.unwrap().cwd.unwrap().text(), "dry");
        assert!(plan(", io = \"pty\"").unwrap_err().contains("`io`"));
    }
}

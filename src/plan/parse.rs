//! From the file to a [`Plan`]: size, hidden characters, syntax and format first, each alone, since what follows would
//! only repeat them; then everything else in one go. Start at [`parse`].

use super::problem::{PlanError, Problem};
use super::readers::read_principals;
use super::table::{Context, Table, Value};
use super::units::is_identifier;
use super::{
    Changes, Crew, Observers, Param, Pattern, Plan, Recovery, SecretSource, ShadowLost, Step, Watch, WatchKind,
    command, hosts, notify, people, preflight, recovery, steps, watches,
};
use crate::hash::Hash;
use crate::name::{WatchId, is_hidden};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use toml::Spanned;
use toml::de::DeTable;

/// A plan is written and read by people; the transcript keeps it whole.
const TEXT_BYTES_MAX: usize = 96 * 1024;
/// More than a crew can fly in a day, and few enough to draw.
const STEPS_MAX: usize = 500;
/// Each watch is a task with a connection of its own.
const WATCHES_MAX: usize = 200;
/// A ladder of more rungs is read by nobody in a hurry.
const RECOVERY_MAX: usize = 20;
const PARAMS_MAX: usize = 200;
/// Each is looked for in every byte that a command prints, in many forms.
const SECRETS_MAX: usize = 20;
/// One file that is all hidden characters is told a few times, not a million times.
const HIDDEN_TOLD_MAX: usize = 20;

/// The format this version reads.
const FORMAT: u64 = 1;
const LAPSE: Duration = Duration::from_secs(5 * 60);
const SHADOW_GRACE: Duration = Duration::from_secs(90);
const LEAD_GRACE: Duration = Duration::from_secs(120);

const KEYS: &[&str] = &[
    "crosscheck",
    "name",
    "environment",
    "expected",
    "lapse",
    "on_shadow_lost",
    "shadow_grace",
    "lead_grace",
    "break_glass",
    "crew",
    "poll",
    "checklist",
    "params",
    "secrets",
    "hosts",
    "recovery",
    "watch",
    "step",
    "notify",
];
const REFUSED: &[&str] = &[];
const CREW_KEYS: &[&str] = &["allowed_signers", "lead", "shadow", "observer", "seat"];

pub(super) fn parse(origin: &str, text: &str) -> Result<Plan, PlanError> {
    if text.len() > TEXT_BYTES_MAX {
        let problem = Problem {
            span: 0..0,
            message: format!("the plan has {} bytes", text.len()),
            label: format!("expected at most {TEXT_BYTES_MAX}"),
            help: None,
        };
        return Err(PlanError::new(origin, text.lines().next().unwrap_or("").get(..80).unwrap_or(""), vec![problem]));
    }
    let hidden = hidden_characters(text);
    if !hidden.is_empty() {
        return Err(PlanError::new(origin, text, hidden));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(PlanError::new(origin, text, errors.iter().map(|error| syntax(text, error)).collect()));
    }
    let cx = Context::new(text);
    let plan = read(&cx, &root);
    let mut problems = cx.into_problems();
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => {
            if problems.is_empty() {
                // Every reader that returns nothing has said why; should one forget, the plan is refused all the same.
                let message = "the plan cannot be read".to_owned();
                problems.push(Problem { span: 0..0, message, label: "refused".to_owned(), help: None });
            }
            Err(PlanError::new(origin, text, problems))
        }
    }
}

/// A character that cannot be seen could make the plan that was reviewed and the plan that flies differ.
fn hidden_characters(text: &str) -> Vec<Problem> {
    let line_end = |at: usize| text[at..].starts_with("\r\n");
    text.char_indices()
        .filter(|(at, c)| is_hidden(*c) && !matches!(c, '\n' | '\t') && !line_end(*at))
        .take(HIDDEN_TOLD_MAX)
        .map(|(at, c)| Problem {
            span: at..at + c.len_utf8(),
            message: format!("the plan holds the hidden character {}", c.escape_unicode()),
            label: "expected characters that can be seen".to_owned(),
            help: None,
        })
        .collect()
}

fn syntax(text: &str, error: &toml::de::Error) -> Problem {
    let (message, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
    let label = match expected {
        "" => "not TOML".to_owned(),
        expected => format!("expected {expected}"),
    };
    Problem { span: error.span().unwrap_or(text.len()..text.len()), message: message.to_owned(), label, help: None }
}

fn read<'a>(cx: &'a Context<'a>, root: &'a Spanned<DeTable<'a>>) -> Option<Plan> {
    if !format_is_known(cx, root.get_ref()) {
        return None;
    }
    let top = Table::new(cx, 0..0, "the plan", root.get_ref(), KEYS, REFUSED);
    // Parameters and secrets first: every template after them is checked against their names.
    let params = top.get("params").map_or_else(|| Some(BTreeMap::new()), |value| read_params(&value));
    let secrets = top.get("secrets").map_or_else(|| Some(BTreeMap::new()), |value| read_secrets(&value));
    let params_of_secrets = cx.used_since(0);
    let hosts = hosts::read(&top);
    cx.hosts.replace(hosts.clone().unwrap_or_default());
    let crew = read_crew(&top);
    let checklist = preflight::read_checklist(&top, crew.as_ref());
    let poll = preflight::read_poll(&top, crew.as_ref(), checklist.as_deref());
    let watch_tables = top.tables("watch", WATCHES_MAX);
    let (mut watches, params_of_watches) = read_watches(&watch_tables);
    let recovery = read_recovery(&top.tables("recovery", RECOVERY_MAX), &watch_tables);
    let steps = read_steps(&top.tables("step", STEPS_MAX), &watch_tables, crew.as_ref());

    let notify = notify::read(&top.tables("notify", notify::TABLES_MAX));
    let name = top.require("name", "expected name = \"what this release is called\"").and_then(|v| v.words());
    let environment = top.require("environment", "expected environment = \"where it happens\"").and_then(|v| v.words());
    let expected = top.duration("expected");
    if let Some(watches) = &mut watches {
        watches::credential::outlive(&watch_tables, watches, expected);
        watches::session::of_plan(watches, name.as_deref().unwrap_or_default());
    }
    let break_glass = people::break_glass(&top, crew.as_ref());
    let lost = [("hold", ShadowLost::Hold), ("warn", ShadowLost::Warn)];
    hosts?;
    Some(Plan {
        text: cx.text.into(),
        digest: Hash::of(cx.text.as_bytes()),
        expected,
        lapse: top.duration("lapse").unwrap_or(LAPSE),
        on_shadow_lost: top.get("on_shadow_lost").and_then(|v| v.choice(&lost)).unwrap_or(ShadowLost::Hold),
        shadow_grace: top.duration("shadow_grace").unwrap_or(SHADOW_GRACE),
        lead_grace: top.duration("lead_grace").unwrap_or(LEAD_GRACE),
        break_glass: break_glass?,
        name: name?,
        environment: environment?,
        crew: crew?,
        checklist: checklist?,
        poll: poll?,
        params: params?,
        secrets: secrets?,
        recovery: recovery?,
        watches: watches?,
        steps: steps?,
        notify: notify?,
        params_of_secrets,
        params_of_watches,
        limits: super::limits::of(cx.text),
        changes: Changes::default(),
    })
}

/// Another format is one problem and not a hundred: its keys are none of this version's business.
fn format_is_known(cx: &Context<'_>, root: &DeTable<'_>) -> bool {
    let label = format!("expected crosscheck = {FORMAT}");
    let Some(value) = root.get("crosscheck") else {
        let help = format!("begin the plan with crosscheck = {FORMAT}, the format it is written in");
        cx.problem_with_help(0..0, "the plan does not name its format", label, help);
        return false;
    };
    match value.get_ref().as_integer().map(|n| i128::from_str_radix(n.as_str(), n.radix())) {
        Some(Ok(n)) if n == i128::from(FORMAT) => return true,
        Some(Ok(n)) => {
            let message = format!("the plan is in format {n}; this version of crosscheck reads format {FORMAT}");
            cx.problem(value.span(), message, label);
        }
        _ => cx.problem(value.span(), "the format is a whole number", label),
    }
    false
}

fn read_params(value: &Value<'_>) -> Option<BTreeMap<String, Param>> {
    let mut params = BTreeMap::new();
    let entries = value.entries()?;
    if entries.len() > PARAMS_MAX {
        return value.wrong(format!("more than {PARAMS_MAX} parameters"), format!("there are {}", entries.len()));
    }
    // Words the template engine keeps for itself would never be filled in.
    let kept = [
        "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else", "loop", "self",
    ];
    for (span, name, value) in entries {
        value.cx.declare(name);
        if !is_identifier(name) || kept.contains(&name) || name == "secret" {
            let label = "expected letters, digits and _, and no reserved word";
            value.cx.problem(span, format!("a parameter cannot be called `{name}`"), label);
        }
        let Some(table) = value.table("a parameter", &["default", "pattern", "rehearsal"], &[]) else { continue };
        let pattern = table.get("pattern").and_then(|pattern| {
            Pattern::new(pattern.text()?)
                .map_err(|why| {
                    pattern.wrong::<()>(format!("`pattern` does not compile: {why}"), "expected a regular expression")
                })
                .ok()
        });
        let own = |key: &'static str, words: &str| {
            let value = table.get(key)?;
            let text = value.text()?;
            match pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
                Some(pattern) => value.wrong(
                    format!("the {words} of `{name}` does not match its own pattern"),
                    format!("expected the whole of it to match {:?}", pattern.text),
                ),
                None => Some(text.to_owned()),
            }
        };
        let (default, rehearsal) = (own("default", "default"), own("rehearsal", "value in a rehearsal"));
        if let Some(same) = table.get("rehearsal").filter(|_| rehearsal.is_some() && rehearsal == default) {
            same.wrong::<()>(
                format!("`{name}` is the same in a rehearsal"),
                "expected what watches look at then, and never live",
            );
        }
        params.insert(name.to_owned(), Param { default, pattern, rehearsal });
    }
    Some(params)
}

fn read_secrets(value: &Value<'_>) -> Option<BTreeMap<String, SecretSource>> {
    let mut secrets = BTreeMap::new();
    let entries = value.entries()?;
    if entries.len() > SECRETS_MAX {
        return value.wrong(format!("more than {SECRETS_MAX} secrets"), format!("there are {}", entries.len()));
    }
    for (span, key, value) in entries {
        value.cx.declare_secret(key);
        if !is_identifier(key) {
            let message = format!("a secret cannot be called `{key}`");
            value.cx.problem(span, message, "expected letters, digits and _");
        }
        let expected = "expected one of { command = [\"…\"] }, { env = \"NAME\" }, { file = \"path\" }";
        if value.is_text() {
            let message = "a secret's value does not stand in a plan";
            let help = "everybody reads the plan; let the hub fetch the value";
            value.cx.problem_with_help(value.span(), message, expected, help);
            continue;
        }
        let Some(table) = value.table("a secret", &["command", "env", "file"], &[]) else { continue };
        let given = [table.get("command"), table.get("env"), table.get("file")];
        let source = match given {
            [Some(command), None, None] => command::read_beside(&command).map(Box::new).map(SecretSource::Command),
            [None, Some(name), None] => name.text().and_then(|text| match is_identifier(text) {
                true => Some(SecretSource::Env(text.to_owned())),
                false => name.wrong("`env` names no variable", "expected letters, digits and _"),
            }),
            [None, None, Some(path)] => path.words().and_then(|_| path.template(false)).map(SecretSource::File),
            _ => value.wrong(format!("secret `{key}` comes from one place"), expected),
        };
        secrets.extend(source.map(|source| (key.to_owned(), source)));
    }
    Some(secrets)
}

fn read_crew(top: &Table<'_>) -> Option<Crew> {
    let label = "expected a table [crew] with lead = [\"…\"]";
    let crew = top.require("crew", label)?.table("the crew", CREW_KEYS, &[])?;
    let lead = crew.require("lead", "expected lead = [\"somebody@example.org\"]").and_then(|lead| {
        let names = read_principals(&lead)?;
        if names.is_empty() { lead.wrong("nobody may lead", "expected at least one name") } else { Some(names) }
    });
    let shadow = crew.get("shadow").map_or_else(|| Some(vec![]), |shadow| read_principals(&shadow));
    let observer = match crew.get("observer") {
        None => Some(Observers::None),
        Some(value) if value.is_text() => value.choice(&[("link", ()), ("none", ())]).map(|()| match value.peek() {
            Some("link") => Observers::Link,
            _ => Observers::None,
        }),
        Some(value) => read_principals(&value).map(Observers::Named),
    };
    let allowed_signers = match crew.get("allowed_signers") {
        None => Some(None),
        Some(value) => value.words().map(Some), // a plan that names an empty file must not fly without any
    };
    let seats = preflight::read_seats(&crew);
    Some(Crew { allowed_signers: allowed_signers?, lead: lead?, shadow: shadow?, observer: observer?, seats: seats? })
}

/// The watches, and the parameters that decide what each of them looks at.
fn read_watches(tables: &[Value<'_>]) -> (Option<Vec<Watch>>, BTreeMap<WatchId, BTreeSet<String>>) {
    told_twice(tables, "watch");
    let ids: Vec<_> = tables.iter().map(id_of).collect();
    let mut params = BTreeMap::new();
    let mut read = vec![];
    for (table, id) in tables.iter().zip(&ids) {
        let before = table.cx.used();
        read.push(watches::read(table));
        params.extend(id.clone().map(|id| (id, table.cx.used_since(before))));
    }
    watches::compare::resolve(tables, &ids, &mut read);
    let read: Option<Vec<Watch>> = read.into_iter().collect();
    // What is compared comes from other watches, which may be compares themselves.
    for _ in read.iter().flatten() {
        for watch in read.iter().flatten() {
            let WatchKind::Compare(compare) = &watch.kind else { continue };
            let named = compare.formula.watches().into_iter().filter_map(|id| params.get(id)).flatten();
            let named: Vec<_> = named.cloned().collect();
            params.entry(watch.id.clone()).or_default().extend(named);
        }
    }
    (read, params)
}

fn read_recovery(tables: &[Value<'_>], watches: &[Value<'_>]) -> Option<Vec<Recovery>> {
    let names: Vec<_> = watches.iter().map(id_of).collect();
    let ids: Vec<&str> = names.iter().flatten().map(WatchId::as_str).collect();
    recovery::read(tables, &ids)
}

fn read_steps(tables: &[Value<'_>], watches: &[Value<'_>], crew: Option<&Crew>) -> Option<Vec<Step>> {
    told_twice(tables, "step");
    let (watch_names, step_names): (Vec<_>, Vec<_>) =
        (watches.iter().map(id_of).collect(), tables.iter().map(id_of).collect());
    let watch_ids: Vec<&str> = watch_names.iter().flatten().map(WatchId::as_str).collect();
    let step_ids: Vec<Option<&str>> = step_names.iter().map(|id| id.as_ref().map(WatchId::as_str)).collect();
    let around = steps::Around { watches: &watch_ids, steps: &step_ids, crew };
    let read: Vec<_> = tables.iter().enumerate().map(|(index, table)| steps::read(table, index, &around)).collect();
    let mut steps: Vec<Step> = read.into_iter().collect::<Option<_>>()?;
    // What only contains a rollback stands in nobody's way: by itself it waits for nothing, and nothing waits for it.
    let contained: BTreeSet<_> = steps.iter().flat_map(|step| &step.rollback).flat_map(|r| r.contain.clone()).collect();
    let mut above = None;
    for (step, table) in steps.iter_mut().zip(tables) {
        let contains = contained.contains(&step.id);
        if table.field("after").is_none() {
            step.after = above.clone().filter(|_| !contains).into_iter().collect();
        }
        if !contains {
            above = Some(step.id.clone());
        }
    }
    Some(steps)
}

/// The id of a step or watch, before the rest of it is read: gates and `after` may name what turns out to be wrong, and
/// should not be told so twice.
///
/// As the name's own type writes it: two ids that differ only in how an accent is composed are one.
fn id_of(table: &Value<'_>) -> Option<WatchId> {
    WatchId::new(table.field("id")?.peek()?).ok()
}

/// Reports ids that stand twice: a gate or an `after` could mean either.
fn told_twice(tables: &[Value<'_>], what: &str) {
    let mut seen = BTreeSet::new();
    for table in tables {
        let (Some(id), Some(value)) = (id_of(table), table.field("id")) else { continue };
        if seen.contains(&id) {
            value.wrong::<()>(format!("two {what} tables have the id \"{id}\""), "expected an id of its own");
        }
        seen.insert(id);
    }
}

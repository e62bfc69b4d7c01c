//! `[[step]]`: what is done, how much is asked before it, and what it waits for. Start at [`read`].

use super::people;
use super::preview;
use super::readers::{known_watch, non_empty, unknown_id};
use super::rehearsal;
use super::table::{Table, Value};
use super::until::Act;
use super::{Class, Command, Crew, Does, Gate, Goes, Input, Rollback, Runs, Step, Verified, Verify, Worse};
use super::{command, each, probe, until};
use crate::name::StepId;
use std::collections::BTreeSet;
use std::time::Duration;

const KEYS: &[&str] = &[
    "gates",
    "after",
    "checks",
    "lapse",
    "expected",
    "verify",
    "rollback",
    "preview",
    "rehearse",
    "until",
    "each",
    "manual",
    "probe",
    "point_of_no_return",
    "expects_loss",
    "run_on_clear",
    "readback",
    "require_touch",
    "touches",
    "undo",
    "half_way",
    "remains_in",
];

/// What a step may refer to.
pub(super) struct Around<'p> {
    /// The ids of all watches.
    pub watches: &'p [&'p str],
    /// The ids of all steps in the plan's order; nothing where one has none.
    pub steps: &'p [Option<&'p str>],
    /// Who could cross-check; nothing where the crew itself is wrong.
    pub crew: Option<&'p Crew>,
}

pub(super) fn read(value: &Value<'_>, index: usize, around: &Around<'_>) -> Option<Step> {
    let table = value.table("a step", &[&["id", "title", "class"], command::KEYS, KEYS].concat(), &[])?;
    let id: Option<StepId> = table.require("id", "expected id = \"a-short-name\"").and_then(|id| id.name());
    let act = until::read_act(&table);
    let beside = match &act {
        Some(Act::Runs(command)) => Some(&**command),
        Some(Act::ByHand(_) | Act::Waits) | None => None,
    };
    let rehearse = match &act {
        Some(Act::ByHand(_) | Act::Waits) => rehearsal::refuse(&table).map(|()| None),
        Some(Act::Runs(_)) | None => rehearsal::read(&table, beside),
    };
    let classes = [Class::Routine, Class::Critical, Class::Irreversible].map(|class| (class.word(), class));
    let class = table.get("class").map_or(Some(Class::Routine), |class| class.choice(&classes));
    let checks = class.and_then(|class| read_checks(&table, class, around.crew));
    let point_of_no_return = table.boolean("point_of_no_return").unwrap_or(false);
    let rollback =
        table.get("rollback").map(|rollback| read_rollback(&rollback, point_of_no_return, index, around, beside));
    let expects_loss = table.get("expects_loss").map_or_else(
        || Some(vec![]),
        |topics| {
            let items: Vec<_> = topics.items("topics")?.iter().map(non_empty).collect();
            items.into_iter().collect()
        },
    );
    let readback = people::read_back(&table, checks);
    let gates = table.get("gates").map_or_else(|| Some(vec![]), |gates| read_gates(&gates, around.watches));
    let after = read_after(&table, index, around.steps);

    let preview = match table.get("preview") {
        Some(given) => preview::read(&given, beside).map(Some),
        None => Some(None),
    };
    let probe = table.get("probe").and_then(|probe| probe::read(&probe, beside));
    let each = table.get("each").map(|each| each::read(&each, &table));
    let mut rollback = rollback.map_or(Some(None), |rollback| rollback.map(Some));
    if let Some(Some(each)) = &each {
        if let (Some(Some(undo)), Some(value)) = (&rollback, table.get("rollback")) {
            let elsewhere = undo.command.stdin.is_none()
                && (undo.command.on.is_some() || beside.is_some_and(|command| command.cwd != undo.command.cwd));
            if elsewhere {
                return value.wrong(
                    "the rollback of a step with `each` in another place",
                    "expected no `on` and the same `cwd`: it is given the lines that were begun; or a `stdin` of its own",
                );
            }
        }
        // What undoes it gets the lines that were begun, unless the plan gives it something else.
        if let Some(Some(undo)) =
            rollback.as_mut().filter(|undo| undo.as_ref().is_some_and(|undo| undo.command.stdin.is_none()))
        {
            undo.command = each.feeds(undo.command.clone());
        }
    }
    let title = table.words("title").or_else(|| Some(id.as_ref()?.to_string()));
    let verify = table.get("verify").and_then(|verify| read_verify(&verify, around.watches));
    let until = table.get("until").and_then(|until| until::read_until(&until, around.watches));
    let run_on_clear = table.boolean("run_on_clear").unwrap_or(false);
    let each = each.map_or(Some(None), |each| each.map(Some))?;
    let does = match act? {
        Act::Runs(command) => {
            let (command, goes) = match each {
                Some(each) => (each.feeds(*command), Goes::InBatches(each, verify?)),
                None => (*command, Goes::Once { until, verify }),
            };
            Does::Runs(Box::new(Runs { command, rehearse: rehearse?, goes, run_on_clear }))
        }
        Act::ByHand(words) => Does::ByHand { words, until },
        Act::Waits => Does::Waits { until: until?, verify, run_on_clear },
    };
    Some(Step {
        class: class?,
        checks: checks?,
        expected: table.duration("expected"),
        rollback: rollback?,
        preview: preview?,
        lapse: table.duration("lapse"),
        point_of_no_return,
        live: None,
        adhoc: false,
        deviations: vec![],
        require_touch: table.boolean("require_touch").unwrap_or(false),
        touches: table.words("touches"),
        undo: table.words("undo"),
        half_way: table.words("half_way"),
        remains_in: table.words("remains_in"),
        id: id?,
        title: title?,
        does,
        probe,
        expects_loss: expects_loss?,
        readback: readback?,
        gates: gates?,
        after: after?,
    })
}

/// How many cross-checks the step needs, and whether the plan names enough people to give them.
fn read_checks(table: &Table<'_>, class: Class, crew: Option<&Crew>) -> Option<u32> {
    let (least, usual) = match class {
        Class::Routine => (0, 0),
        Class::Critical => (1, 1),
        Class::Irreversible => (1, 2),
    };
    let given = table.get("checks");
    let checks = match &given {
        Some(value) => u32::try_from(value.integer(0..=u64::from(u16::MAX))?).ok()?,
        None => usual,
    };
    if let Some(value) = given.filter(|_| checks < least) {
        let message = format!("a step of class {:?} needs a cross-check", class.word());
        return value.wrong(message, format!("expected at least {least}"));
    }
    let Some(crew) = crew else { return Some(checks) };
    let leader = crew.lead.first();
    let able = crew.shadow.iter().filter(|shadow| Some(*shadow) != leader).count();
    if able < checks as usize {
        let at = given.or(table.get("class")).or(table.get("id")).map_or(table.span.clone(), |value| value.span());
        let message = format!("the step needs {}, but the plan names {}", people(checks as usize), shadows(able));
        let help = match leader.filter(|leader| crew.shadow.contains(leader)) {
            Some(leader) => {
                format!("name more people in crew.shadow; {leader} leads and cannot cross-check the same step")
            }
            None => "name more people in crew.shadow, or ask for fewer with `checks`".to_owned(),
        };
        table.cx.problem_with_help(at, message, "nobody could clear this step", help);
        return None;
    }
    Some(checks)
}

fn people(checks: usize) -> String {
    format!("{checks} cross-check{}", if checks == 1 { "" } else { "s" })
}

fn shadows(able: usize) -> String {
    match able {
        0 => "no shadow beside the lead".to_owned(),
        1 => "only 1 shadow beside the lead".to_owned(),
        n => format!("only {n} shadows beside the lead"),
    }
}

/// `rollback = { run = […], automatic = true, verify = {…}, contain = ["a step"] }`, with every key of a command; or only its
/// words, or its text. In the folder of its step, unless it says otherwise.
fn read_rollback(
    value: &Value<'_>,
    point_of_no_return: bool,
    index: usize,
    around: &Around<'_>,
    beside: Option<&Command>,
) -> Option<Rollback> {
    if !value.is_table() {
        let command = Command::of(value.run()?).in_folder_of(beside);
        return Some(Rollback { command, rehearse: None, automatic: false, verify: None, contain: vec![] });
    }
    let keys = [command::KEYS, &["automatic", "verify", "contain", "rehearse"]].concat();
    let table = value.table("a rollback", &keys, &[])?;
    if let Some(automatic) = table.get("automatic").filter(|automatic| point_of_no_return && automatic.is_true()) {
        automatic.wrong::<()>("an automatic rollback on a point of no return", "nothing can be undone after this step");
    }
    let known: Vec<&str> = around.steps.iter().copied().flatten().collect();
    let contain = table.get("contain").map_or_else(
        || Some(vec![]),
        |steps| {
            let known_step = |item: Value<'_>| {
                let id: StepId = item.name()?;
                if !known.contains(&id.as_str()) {
                    let label = unknown_id(item.cx, id.as_str(), &known);
                    return item.wrong(format!("there is no step {:?}", id.as_str()), label);
                }
                if around.steps.get(index).copied().flatten() == Some(id.as_str()) {
                    return item.wrong("a step cannot contain its own rollback", "expected another step");
                }
                Some(id)
            };
            steps.items("step ids")?.into_iter().map(known_step).collect()
        },
    );
    let command = command::read(&table)?.in_folder_of(beside);
    if let Some(value) = table.get("input").filter(|_| command.input != Input::None) {
        return value
            .wrong("`input` in a rollback", "expected a command that answers by itself: it may run with nobody there");
    }
    let rehearse = rehearsal::read(&table, Some(&command))?;
    if let Some(value) = table.get("rehearse").filter(|_| rehearse.as_ref().is_some_and(|it| it.input != Input::None)) {
        return value
            .wrong("`input` in a rollback", "expected a command that answers by itself: it may run with nobody there");
    }
    Some(Rollback {
        rehearse,
        automatic: table.boolean("automatic").unwrap_or(false),
        verify: table.get("verify").and_then(|verify| read_verify(&verify, around.watches)),
        command,
        contain: contain?,
    })
}

fn read_gates(value: &Value<'_>, watches: &[&str]) -> Option<Vec<Gate>> {
    let mut seen = BTreeSet::new();
    let gates = value.items("watch ids")?.into_iter().map(|item| {
        let (name, allow_warn) = if item.is_table() {
            let table = item.table("a gate", &["watch", "allow"], &[])?;
            let allow = table.get("allow").map_or(Some(false), |allow| allow.choice(&[("warn", true)]));
            (table.require("watch", "expected watch = \"the id of a watch\"")?, allow?)
        } else {
            (item, false)
        };
        let watch = known_watch(&name, watches)?;
        if !seen.insert(watch.clone()) {
            return name.wrong(format!("{watch} is a gate twice"), "expected each watch once");
        }
        Some(Gate { watch, allow_warn })
    });
    gates.collect::<Vec<_>>().into_iter().collect()
}

/// `verify = { watches = ["api", { watch = "rows", worse = "down" }], for = "60s" }`.
fn read_verify(value: &Value<'_>, watches: &[&str]) -> Option<Verify> {
    let table = value.table("a verification", &["watches", "for"], &[])?;
    let time = table.require("for", "expected for = \"60s\"").and_then(|time| match time.duration()? {
        Duration::ZERO => time.wrong("`for` is no time at all", "expected some readings' worth, such as \"60s\""),
        duration => Some(duration),
    });
    let list = table.require("watches", "expected watches = [\"the id of a watch\"]")?;
    let mut seen = BTreeSet::new();
    let items = list.items("watch ids")?;
    if items.is_empty() {
        return list.wrong("`watches` is empty", "expected at least one: nothing would be verified");
    }
    let each = items.into_iter().map(|item| {
        let (name, worse) = if item.is_table() {
            let table = item.table("a verified watch", &["watch", "worse"], &[])?;
            let words = [("up", Worse::Up), ("down", Worse::Down), ("status", Worse::Status)];
            let worse = table.get("worse").map_or(Some(None), |worse| worse.choice(&words).map(Some));
            (table.require("watch", "expected watch = \"the id of a watch\"")?, worse?)
        } else {
            (item, None)
        };
        let watch = known_watch(&name, watches)?;
        if !seen.insert(watch.clone()) {
            return name.wrong(format!("{watch} is verified twice"), "expected each watch once");
        }
        Some(Verified { watch, worse })
    });
    let watches = each.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>();
    Some(Verify { watches: watches?, time: time? })
}

/// Steps may only wait for steps above them. That is how people read a plan, and no plan can wait in a circle.
fn read_after(table: &Table<'_>, index: usize, steps: &[Option<&str>]) -> Option<Vec<StepId>> {
    let (above, below) = steps.split_at(index.min(steps.len()));
    let Some(value) = table.get("after") else {
        // A step above whose id is wrong has been told so; the plan is refused anyway.
        let before = above.last().copied().flatten().and_then(|id| StepId::new(id).ok());
        return Some(before.into_iter().collect());
    };
    let mut seen = BTreeSet::new();
    let after = value.items("step ids")?.into_iter().map(|item| {
        let id: StepId = item.name()?;
        let is = |step: &Option<&str>| *step == Some(id.as_str());
        if !seen.insert(id.clone()) {
            return item.wrong(format!("{id} is waited for twice"), "expected each step once");
        }
        if above.iter().any(is) {
            return Some(id);
        }
        if below.first().is_some_and(is) {
            return item.wrong("a step cannot wait for itself", "expected a step above this one");
        }
        if below.iter().any(is) {
            let help =
                "move one of the two: the plan's order is the order they are flown in, so nothing can wait in a circle";
            let message = format!("the step would wait for {:?}, which comes later", id.as_str());
            item.cx.problem_with_help(item.span(), message, "expected a step above this one", help);
            return None;
        }
        let known: Vec<&str> = above.iter().copied().flatten().collect();
        item.wrong(format!("there is no step {:?}", id.as_str()), unknown_id(item.cx, id.as_str(), &known))
    });
    after.collect::<Vec<_>>().into_iter().collect()
}

//! What is armed in a few lines, before all of it: where it runs, in what it differs and from what, how the gates stand, what
//! follows, what undoes it.

use super::armed::{BY_HAND, From, Item, Loud, Text};
use super::command::command_line;
use super::since::MORE;
use crate::clock::{At, age};
use crate::event::{Covers, RollbackSeen, Status};
use crate::name::WatchId;
use crate::plan::WatchKind;
use crate::session::Session;
use crate::session::tried::afterwards;
use std::time::Duration;

/// A text of so many lines stands below the summary, so that the summary is on the first page.
const LINES: usize = 6;
/// The same in characters, for an argument vector.
const CHARS: usize = 400;
/// Words of what undoes it that are told here.
const WORDS: usize = 160;

/// A line each, `since` being what differs ([`super::since`]). What is armed is masked before, where somebody must not see all
/// of it yet.
pub fn items(covers: &Covers, session: &Session, at: At, since: Vec<Item>) -> Vec<Item> {
    let command = &covers.command;
    let on = match command.is_nothing() {
        true => session.plan.environment.clone(),
        false => format!("{}: {} as {}, in {}", session.plan.environment, command.host, command.user, command.cwd),
    };
    let mut all = vec![Item::words("on", on).loud(Loud::Look)];
    if covers.deviations.is_empty() {
        all.push(Item::words("the plan", "nothing differs from it".to_owned()));
    }
    all.extend(since);
    all.push(gates(covers, session, at));
    all.extend(backups(covers, session, at));
    let verified = session.plan.step(&covers.step).and_then(|step| step.verify());
    let after = verified.map_or_else(|| "nothing is compared with before".to_owned(), afterwards);
    all.push(Item::words("afterwards", after));
    all.push(undo(covers));
    // How long a way back stands changes by the second; the clock says that.
    if !session.plan.recovery.is_empty() {
        let best = session.ways_back(at).next();
        let told = match &best {
            Some(way) if way.is_too_slow() => {
                Item::words("way back", format!("{}, too slow by now", way.recovery.name)).loud(Loud::Danger)
            }
            Some(way) => Item::words("way back", way.recovery.name.clone()),
            None => Item::words("way back", "none stands".to_owned()).loud(Loud::Danger),
        };
        all.push(told.live());
    }
    all.extend(covers.preview.iter().map(|preview| {
        Item::words("preview", format!("it touches {} (expected: {})", preview.value, preview.expect)).loud(Loud::Look)
    }));
    all
}

/// The items of the first section with the summary among them: right behind the words of what runs and in what those differ
/// from the plan. What runs stands below it where it is long, which is said in its place.
pub fn among(section: Vec<Item>, summary: Vec<Item>) -> Vec<Item> {
    let runs = |item: &Item| item.label == "command" || item.label == BY_HAND;
    let at = section.iter().position(runs).map_or(0, |at| at + 1);
    let (mut first, rest) = {
        let mut first = section;
        let rest = first.split_off(at);
        (first, rest)
    };
    let mut last = first.pop();
    // What is named in the summary is not said twice within a few rows.
    let whole = !summary.iter().any(|item| matches!(&item.text, Text::Words(words) if words.starts_with(MORE)));
    if let Some(command) = last.as_mut().filter(|_| whole) {
        command.differs.retain(|difference| difference.from == From::Plan);
    }
    // Why it is not as planned is told behind what it is.
    let (deviations, mut all): (Vec<_>, Vec<_>) = first.into_iter().partition(|item| item.label == "DEVIATION");
    let long = last.as_ref().and_then(long);
    match (&last, &long) {
        (Some(command), Some(said)) => {
            let words = Item::words(&command.label, said.clone());
            all.push(Item { loud: command.loud, ..words });
        }
        (Some(_), None) => all.extend(last.clone()),
        (None, _) => {}
    }
    all.extend(deviations);
    all.extend(summary);
    if long.is_some() {
        all.extend(last);
    }
    all.extend(rest);
    all
}

/// What is said in its place, where it is long.
fn long(item: &Item) -> Option<String> {
    match &item.text {
        Text::Script { by, lines, .. } if lines.len() > LINES => Some(format!("{by}, of {} lines: below", lines.len())),
        Text::Command(argv) if command_line(argv).chars().count() > CHARS => {
            Some(format!("{} and {} arguments: below", argv.first()?, argv.len() - 1))
        }
        _ => None,
    }
}

/// The worst of them as it reads now, and what it is held to.
fn gates(covers: &Covers, session: &Session, at: At) -> Item {
    let rank = |status: &Status| match status {
        Status::Ok => 0,
        Status::Warn => 1,
        Status::Unknown => 2,
        Status::Fail => 3,
    };
    let of = covers.gates.len();
    let read = covers.gates.iter().rev().map(|gate| (&gate.watch, session.status(&gate.watch, at)));
    let Some((watch, status)) = read.max_by_key(|(_, status)| rank(status)) else {
        return Item::words("gates", "it has none".to_owned());
    };
    let (head, loud) = match status {
        Status::Ok if of == 1 => (format!("{watch} is ok"), Loud::Plain),
        Status::Ok => (format!("all {of} ok; {watch}"), Loud::Plain),
        Status::Warn => (format!("{watch} is warn, the worst of {of}"), Loud::Look),
        Status::Fail | Status::Unknown => (format!("{watch} is {}, the worst of {of}", status.word()), Loud::Warning),
    };
    Item::words("gates", format!("{head}: {}{}", session.why(watch, at), limits(session, watch))).loud(loud).live()
}

fn limits(session: &Session, watch: &WatchId) -> String {
    match session.plan.limits(watch) {
        "" => String::new(),
        limits => format!("; limit: {limits}"),
    }
}

/// Whether a watch is about a backup.
pub fn is_backup(kind: &WatchKind) -> bool {
    matches!(kind, WatchKind::File { .. } | WatchKind::Restic(_) | WatchKind::PgDump(_))
}

/// How old the backups are on which this step or a way back relies.
fn backups(covers: &Covers, session: &Session, at: At) -> Vec<Item> {
    let gated = |watch: &WatchId| covers.gates.iter().any(|gate| gate.watch == *watch);
    let relied = |watch: &WatchId| gated(watch) || session.plan.recovery.iter().any(|way| way.watch == *watch);
    let all = session.plan.watches.iter().filter(|watch| is_backup(&watch.kind) && relied(&watch.id));
    let told = all.map(|watch| {
        let reading = session.watches.get(&watch.id).and_then(|state| state.reading.as_ref());
        let old = reading.filter(|reading| reading.unit == "s").and_then(|reading| reading.value);
        let since = session.age(&watch.id, at).unwrap_or_default();
        let status = session.status(&watch.id, at);
        let age_of = |old: f64| age(Duration::try_from_secs_f64(old).unwrap_or_default() + since);
        let text = match old {
            Some(old) if status != Status::Unknown => format!("{}: {} old", watch.id, age_of(old)),
            _ => format!("{}: {}", watch.id, session.why(&watch.id, at)),
        };
        let loud = if status == Status::Ok { Loud::Plain } else { Loud::Warning };
        Item::words("backup", format!("{text}{}", limits(session, &watch.id))).loud(loud).live()
    });
    told.collect()
}

/// What undoes it: a command that is checked with it, the plan's words, or nothing.
fn undo(covers: &Covers) -> Item {
    let cut = |text: String| match text.char_indices().nth(WORDS) {
        Some((at, _)) => format!("{}… (4 shows it whole)", &text[..at]),
        None => text,
    };
    let mut item = match (&covers.rollback, covers.words.get("undo")) {
        (Some(RollbackSeen { command, automatic, .. }), _) => {
            let by = if *automatic { ", by itself" } else { "" };
            let words = super::command::words("", &command.argv).text.short();
            Item::words("undone by", cut(format!("{words}{by}"))).loud(Loud::Look)
        }
        (None, Some(words)) => Item::words("undo", cut(words.clone())),
        (None, None) => Item::words("undo", "none: the plan does not say how".to_owned()).loud(Loud::Look),
    };
    if covers.point_of_no_return {
        item.aside = Some("POINT OF NO RETURN".to_owned());
        item.loud = Loud::Warning;
    }
    item
}

//! In what a step that is armed differs from its last attempt here and from its last flight: found once, named for the summary,
//! and marked on the items themselves.

use super::armed::{Difference, From, Item, Loud, SECTIONS, Section, Text, against, sections};
use super::item::Change;
use crate::event::{CommandSeen, Covers, Flown};
use crate::name::short_id;
use crate::plan::Step;
use crate::session::Session;
use crate::session::readback::masked_covers;
use crate::session::tried::afterwards;
use std::collections::BTreeMap;

/// So many differences are named before it is said how many more there are, and where.
const ROWS: usize = 6;
/// What that row begins with.
pub(super) const MORE: &str = "and besides them ";

/// Everything that is armed, and rows on what came before it. `hidden` is what of `covers` was masked for somebody.
pub fn told(covers: &Covers, session: &Session, hidden: &BTreeMap<String, String>) -> ([Section; SECTIONS], Vec<Item>) {
    let mut all = sections(covers, Some(session));
    let mut rows = vec![];
    let as_then = |was: &Covers| sections(&comparable(&masked_then(was, hidden), covers), Some(session));
    let nothing = |which: &str| match hidden.is_empty() {
        true => Item::words("since then", format!("nothing differs from {which}")),
        false => {
            let text = format!("nothing differs from {which} but perhaps what you read back");
            Item::words("since then", text).loud(Loud::Look)
        }
    };

    let tried = session.steps.get(&covers.step).map_or(&[][..], |state| &state.tried);
    let last = tried.len().saturating_sub(1);
    for (index, tried) in tried.iter().enumerate() {
        let name = format!("attempt {}", tried.attempt);
        rows.push(Item::words(&name, tried.words()).loud(Loud::Look));
        if index == last {
            all = against(all, &as_then(tried.covers.covers()), From::LastAttempt);
            let named = named(&all, From::LastAttempt, vec![]);
            rows.extend(if named.is_empty() { vec![nothing(&name)] } else { named });
        }
    }

    let step = session.plan.step(&covers.step).filter(|step| !step.adhoc);
    let Some(step) = step else { return (all, rows) };
    let Some(flown) = session.flown.iter().find(|flown| flown.step == covers.step) else {
        rows.push(Item::words("last flight", never(session).to_owned()));
        return (all, rows);
    };
    let rehearsed = flown.covers.as_ref().is_some_and(|then| then.rehearsal.is_some());
    let (from, name) = match rehearsed {
        true => (From::LastRehearsal, "last rehearsal"),
        false => (From::LastFlight, "last flight"),
    };
    let mut head = Item::words(name, which(flown));
    let Some(then) = &flown.covers else {
        let text = "what ran then is too long to be kept here; its report tells it".to_owned();
        rows.extend([head, Item::words("since then", text).loud(Loud::Look)]);
        return (all, rows);
    };
    // A rehearsal runs something else: what it would have run live is compared, and what it was given.
    let then = match (rehearsed, covers.rehearsal.is_some()) {
        (true, false) => {
            if let Text::Words(words) = &mut head.text {
                words.push_str("; never flown live");
            }
            as_rehearsed(then, covers)
        }
        _ => (**then).clone(),
    };
    all = against(all, &as_then(&then), from);
    let named = named(&all, from, of_plan(flown, step, session));
    rows.push(head);
    rows.extend(if named.is_empty() { vec![nothing(&format!("the {name}"))] } else { named });
    (all, rows)
}

fn never(session: &Session) -> &'static str {
    match (&session.earlier, session.flown.is_empty()) {
        (None, true) => "never flown before",
        _ => "this step was never flown before, as far as is known here",
    }
}

fn which(flown: &Flown) -> String {
    let minute: String = flown.at.to_string().chars().take(16).collect::<String>().replace('T', " ");
    let ended = if flown.done { "done" } else { "it did not end well" };
    format!("{minute} UTC, {}, {ended}", short_id(&flown.session))
}

/// A row for each difference from there, and for those that no item has.
fn named(all: &[Section; SECTIONS], from: From, more: Vec<(String, Change)>) -> Vec<Item> {
    let mut rows = vec![];
    let mut places = vec![];
    for (index, section) in all.iter().enumerate() {
        // What is read back is a parameter, and told as that.
        let items = section.items.iter().filter(|item| !item.label.starts_with("read back "));
        for item in items {
            for difference in item.differs.iter().filter(|difference| difference.from == from) {
                rows.push(row(&item.label, difference));
                places.push(index + 1);
            }
        }
    }
    let own = more.into_iter().map(|(label, change)| row(&label, &Difference { from, change }));
    let mut own: Vec<Item> = own.collect();
    let left = rows.len().saturating_sub(ROWS);
    if left > 0 {
        let mut places = places.split_off(ROWS);
        places.dedup();
        let places: Vec<_> = places.iter().map(usize::to_string).collect();
        rows.truncate(ROWS);
        let text = format!("{MORE}{left} more, each marked where it stands: section {}", places.join(", "));
        rows.push(Item::words("differs", text).loud(Loud::Warning));
    }
    rows.append(&mut own);
    rows
}

fn row(label: &str, difference: &Difference) -> Item {
    let between = if difference.change.part.is_empty() { ": " } else { " " };
    Item::words("differs", format!("{label}{between}{}", difference.told())).loud(Loud::Warning)
}

/// What the plan holds its gates to, and what it compares afterwards, where that is another than then.
fn of_plan(flown: &Flown, step: &Step, session: &Session) -> Vec<(String, Change)> {
    let mut all = vec![];
    let change = |is: String, was: String| Change {
        part: String::new(),
        is: Some(if is.is_empty() { "none".to_owned() } else { is }),
        was: Some(if was.is_empty() { "none".to_owned() } else { was }),
    };
    for gate in &step.gates {
        let now = session.plan.limits(&gate.watch).to_owned();
        if let Some(was) = flown.limits.get(&gate.watch).filter(|was| **was != now) {
            all.push((format!("limit of gate {}", gate.watch), change(now, was.clone())));
        }
    }
    let verified = step.verify().map(afterwards).unwrap_or_default();
    if verified != flown.verify {
        all.push(("afterwards".to_owned(), change(verified, flown.verify.clone())));
    }
    all
}

/// What may not be seen yet may not be seen as it was then either.
fn masked_then(was: &Covers, hidden: &BTreeMap<String, String>) -> Covers {
    let read = |name: &String| was.readback.iter().find(|field| field.name == *name).map(|field| field.value.clone());
    let then = |name: &String| was.params.get(name).cloned().or_else(|| read(name));
    let then: BTreeMap<_, _> = hidden.keys().filter_map(|name| Some((name.clone(), then(name)?))).collect();
    masked_covers(was, &then)
}

/// The same but for what is another one each time, or told elsewhere.
fn comparable(was: &Covers, now: &Covers) -> Covers {
    let mut was = was.clone();
    was.plan = now.plan;
    was.settled.clone_from(&now.settled);
    was.deviations.clone_from(&now.deviations);
    was.rehearsal.clone_from(&now.rehearsal);
    let of = |was: &mut CommandSeen, now: &CommandSeen| {
        if was.cwd == now.cwd {
            was.folder = now.folder;
        }
        // Their salt is the session's own.
        for (key, hash) in &mut was.secrets {
            *hash = now.secrets.get(key).copied().unwrap_or(*hash);
        }
        was.inherited = was.inherited.take().or_else(|| now.inherited.clone());
    };
    of(&mut was.command, &now.command);
    if let (Some(was), Some(now)) = (&mut was.rollback, &now.rollback) {
        of(&mut was.command, &now.command);
    }
    if let (Some(was), Some(now)) = (&mut was.probe, &now.probe) {
        of(was, now);
    }
    if let (Some(was), Some(now)) = (&mut was.preview, &now.preview) {
        of(&mut was.command, &now.command);
        (was.sha256, was.output) = (now.sha256, now.output.clone());
    }
    was
}

/// What is armed with what a rehearsal says of it.
fn as_rehearsed(then: &Covers, now: &Covers) -> Covers {
    let mut was = now.clone();
    if let Some(rehearsal) = then.rehearsal.as_ref().filter(|rehearsal| !rehearsal.live.is_empty()) {
        was.command.argv.clone_from(&rehearsal.live);
    }
    was.params.clone_from(&then.params);
    was.words.clone_from(&then.words);
    was.manual.clone_from(&then.manual);
    was.gates.clone_from(&then.gates);
    was.readback.clone_from(&then.readback);
    (was.title, was.class, was.checks) = (then.title.clone(), then.class.clone(), then.checks);
    was
}

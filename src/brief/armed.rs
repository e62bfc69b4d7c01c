//! What is armed: everything that people check, in five sections, said once for every screen and for the report.
//!
//! Whatever stands in [`Covers`] is in one of the items. Each type is taken apart whole, so that a field that is added to what
//! is armed does not compile until it is decided how it is shown; a test changes every leaf and looks for it on every screen.

use super::command::{self, time};
use super::differs::changes;
pub use super::item::Change;
use super::item::quoted;
pub use super::item::{Difference, From, Item, Loud, Name, SECTIONS, Section, Text, variables};
use crate::event::{
    CommandSeen, Covers, Deviation, EachSeen, FieldSeen, GateSeen, PreviewSeen, Reading, RehearsalSeen, RollbackSeen,
    Status, WaivedSeen,
};
use crate::hash::Hash;
use crate::name::escaped;
use crate::session::Session;

/// What a person does in a command's place is called so.
pub(super) const BY_HAND: &str = "BY HAND, no command runs";

/// Everything that is armed. `session` tells where values come from, where it is at hand; what of `covers` somebody must not
/// see yet is masked before.
pub fn sections(covers: &Covers, session: Option<&Session>) -> [Section; SECTIONS] {
    // Taken apart whole: a field that is added does not compile here until somebody decided how it is shown.
    let Covers {
        step,
        attempt,
        title,
        class,
        checks,
        command,
        rollback,
        preview,
        rehearsal,
        deviations,
        settled,
        left,
        params,
        probe,
        each,
        manual,
        plan,
        gates,
        words,
        point_of_no_return,
        readback,
        require_touch,
    } = covers;
    let runs = what_runs(command, manual.as_deref(), deviations);
    let own = if command.is_nothing() { vec![] } else { command::items("", command) };
    let mut first: Vec<Item> = rehearsal.iter().flat_map(rehearsed).collect();
    first.extend(deviations.iter().map(deviation));
    first.extend(settled.iter().map(|seen| Item::words("SETTLED", seen.to_string()).loud(Loud::Warning)));
    first.extend(left.iter().map(|left| {
        let loud = if left.planned { Loud::Look } else { Loud::Warning };
        Item::words("STILL RUNS", left.to_string()).loud(loud)
    }));
    let again = session.into_iter().flat_map(Session::readmissions);
    first.extend(again.map(|told| Item::words("READMITTED", told).loud(Loud::Warning)));
    first.extend(runs);
    first.extend(probe.iter().flat_map(|probe| probed(probe, &own)));

    let mut files = vec![
        Item { aside: Some(format!("attempt {attempt}")), ..Item::words("step", format!("{step}, {class}: {title}")) },
        of_plan(*plan, session),
    ];
    files.extend(params.iter().map(|(name, value)| parameter(name, value, deviations, session)));
    let read = preview.iter().map(|preview| ("preview", &preview.command));
    let undone = rollback.iter().map(|rollback| ("rollback", &rollback.command));
    let step_s = (!command.is_nothing()).then_some(("", command));
    let all = step_s.into_iter().chain(read).chain(undone).chain(probe.iter().map(|probe| ("probe", probe)));
    files.extend(all.flat_map(|(of, command)| command::files(of, command)));

    let mut undo: Vec<Item> = preview.iter().flat_map(|preview| previewed(preview, &own)).collect();
    undo.extend(each.iter().map(batches));
    let batched = each.as_ref().map(EachSeen::words);
    const ORDER: [&str; 4] = ["touches", "undo", "half_way", "remains_in"];
    let mut said: Vec<_> = words.iter().filter(|(_, words)| Some(*words) != batched.as_ref()).collect();
    said.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
    undo.extend(said.into_iter().map(|(name, words)| Item::words(&name.replace('_', " "), words.clone())));
    undo.extend(rollback.iter().flat_map(|rollback| rolled_back(rollback, &own, covers.feeds_begun_lines())));
    if words.is_empty() && rollback.is_none() {
        let text = "the plan says nothing on what it touches or how it is undone".to_owned();
        undo.push(Item::words("undo", text).loud(Loud::Warning));
    }
    if *point_of_no_return {
        let text = "AFTER THIS NOTHING CAN BE UNDONE".to_owned();
        undo.push(Item::words("POINT OF NO RETURN", text).loud(Loud::Danger));
    }

    let mut crew = vec![Item::words("cross-checks needed", checks.to_string())];
    if *require_touch {
        let text = "only a security key that was touched may check it".to_owned();
        crew.push(Item::words("touch", text).loud(Loud::Look));
    }
    crew.extend(readback.iter().map(read_back));

    let gates = gates.iter().flat_map(gate).collect();
    let mut items = [first, files, gates, undo, crew].into_iter();
    Name::ALL.map(|name| Section { name, items: items.next().unwrap_or_default() })
}

/// What runs, or what a person does in its place.
fn what_runs(command: &CommandSeen, manual: Option<&str>, deviations: &[Deviation]) -> Vec<Item> {
    let by_hand = manual.map(|words| Item::words(BY_HAND, words.to_owned()).loud(Loud::Look));
    let mut all: Vec<Item> = by_hand.into_iter().collect();
    if command.is_nothing() {
        if all.is_empty() {
            all.push(Item::words("command", "nothing runs; it only waits".to_owned()));
        }
        return all;
    }
    let mut items = command::items("", command);
    let planned = deviations.iter().find_map(|deviation| match deviation {
        Deviation::Edited { planned, .. } => Some(planned.clone()),
        Deviation::AdHoc { .. } => Some("no such step".to_owned()),
        Deviation::Param { .. } => None,
    });
    if let (Some(what), Some(first)) = (planned, items.first_mut()) {
        first.differs.push(Difference::whole(From::Plan, what));
        first.loud = Loud::Warning;
    }
    all.extend(items);
    all
}

fn rehearsed(seen: &RehearsalSeen) -> Vec<Item> {
    let RehearsalSeen { data, live, printed: _ } = seen; // `words` says it
    let mut all = vec![Item::words("REHEARSAL", format!("nothing live is run; data: {data}")).loud(Loud::Warning)];
    if !live.is_empty() {
        all.push(command::words("NOT RUN, live", live).loud(Loud::Look));
    }
    all.push(Item::words("instead", seen.words().to_owned()));
    all
}

fn deviation(deviation: &Deviation) -> Item {
    let (why, by) = match deviation {
        Deviation::Param { name: _, planned: _, value: _, why, by } => (why, by.as_ref()),
        Deviation::Edited { planned: _, run: _, why, by } => (why, Some(by)),
        Deviation::AdHoc { why, by } => (why, Some(by)),
    };
    let by = by.map_or_else(|| "given when the session opened".to_owned(), ToString::to_string);
    let why = if why.is_empty() { "no reason yet" } else { why };
    Item::words("DEVIATION", format!("{deviation}: {why} ({by})")).loud(Loud::Warning)
}

fn of_plan(plan: Hash, session: Option<&Session>) -> Item {
    let mut item = Item::words("plan", format!("SHA-256 {plan}"));
    if let Some(session) = session.filter(|session| session.plan.digest != plan) {
        let what = format!("the session flies another: SHA-256 {}", session.plan.digest.short());
        item.differs.push(Difference::whole(From::Plan, what));
        item.loud = Loud::Danger;
    }
    item
}

fn parameter(name: &str, value: &str, deviations: &[Deviation], session: Option<&Session>) -> Item {
    let mut item = Item::words(&format!("parameter {name}"), quoted(value));
    item.differs = deviations
        .iter()
        .filter_map(|deviation| match deviation {
            Deviation::Param { name: of, planned, .. } if of == name => {
                Some(Difference::whole(From::Plan, quoted(planned)))
            }
            _ => None,
        })
        .collect();
    item.loud = if item.differs.is_empty() { Loud::Plain } else { Loud::Warning };
    let Some(session) = session else { return item };
    let default = session.plan.params.get(name).and_then(|param| param.default.as_ref());
    let set = session.plan.changes.params.get(name).and_then(|set| set.by.as_ref());
    item.aside = match (default, set) {
        (Some(default), _) if default == value => Some("the plan's default".to_owned()),
        (Some(_), _) => None, // told as a difference
        (None, Some(by)) => Some(format!("set by {by}")),
        (None, None) => Some("given when the session opened".to_owned()),
    };
    item
}

fn probed(probe: &CommandSeen, own: &[Item]) -> Vec<Item> {
    let text = "tells how things stand where the step ended badly; it is run when somebody asks for it".to_owned();
    let mut all = vec![Item::words("probe", text)];
    all.extend(command::items_beside("probe", probe, own));
    all
}

fn gate(seen: &GateSeen) -> Vec<Item> {
    let GateSeen { watch, reading, age_ms, waived } = seen;
    let Reading { status, value, unit, why } = reading;
    let value = match (value, unit.as_str()) {
        (None, "") => String::new(),
        (None, unit) => format!(", {unit}"),
        (Some(value), "") => format!(", {value}"),
        (Some(value), unit) => format!(", {value} {unit}"),
    };
    let text = format!("{} when armed, read {} before{value}: {why}", status.word(), time(*age_ms));
    let loud = match status {
        Status::Ok => Loud::Plain,
        Status::Warn => Loud::Look,
        Status::Fail | Status::Unknown => Loud::Warning,
    };
    let mut all = vec![Item::words(&format!("gate {watch}"), text).loud(loud)];
    all.extend(waived.iter().map(|waived| {
        let WaivedSeen { by, status, why } = waived;
        let text = format!("for this attempt, by {by}, when it was {}: {why}", status.word());
        Item::words(&format!("GATE {watch} IS WAIVED"), text).loud(Loud::Warning)
    }));
    all
}

fn previewed(seen: &PreviewSeen, own: &[Item]) -> Vec<Item> {
    let PreviewSeen { command, expect, output, sha256, value } = seen;
    let mut all = command::items_beside("preview", command, own);
    all.push(Item::words("preview says", format!("{value} (expected: {expect})")).loud(Loud::Look));
    let (lines, _) = command::lines(output);
    let head = format!("SHA-256 {sha256}");
    all.push(Item::new("preview printed", Text::Lines { head, lines, note: None }));
    all
}

fn batches(each: &EachSeen) -> Item {
    let EachSeen { lines: _, first: _, then: _, done: _ } = each; // `words` says them
    Item::words("batches", each.words())
}

fn rolled_back(seen: &RollbackSeen, own: &[Item], begun_lines: bool) -> Vec<Item> {
    let RollbackSeen { command, automatic, contain, absent } = seen;
    let (when, loud) = match automatic {
        true => ("runs BY ITSELF if the step fails or makes something worse", Loud::Warning),
        false => ("runs when the lead asks for it after the step ended badly", Loud::Plain),
    };
    let mut all = vec![Item::words("rollback, checked together with it", when.to_owned()).loud(loud)];
    all.extend(command::items_beside("rollback", command, own));
    if begun_lines {
        let text = "of that input it gets only the lines that this attempt began".to_owned();
        all.push(Item::words("rollback input", text).loud(Loud::Look));
    }
    let made = |path: &String| {
        let text = format!("{}: the step has to make it, and nobody has seen it", escaped(path));
        Item::words("rollback: NOT THERE", text).loud(Loud::Danger)
    };
    all.extend(absent.iter().map(made));
    let owed = |step| Item::words("after a rollback", format!("step {step} has to be done before the end"));
    all.extend(contain.iter().map(owed));
    all
}

fn read_back(field: &FieldSeen) -> Item {
    let FieldSeen { name, value } = field;
    Item::words(&format!("read back {name}"), quoted(value))
}

/// The same sections with every item marked that says something else than it did in another time of the step. Gates are read
/// anew each time: of those only which there are is compared.
pub fn against(mut now: [Section; SECTIONS], before: &[Section; SECTIONS], from: From) -> [Section; SECTIONS] {
    for (section, before) in now.iter_mut().zip(before) {
        let gates = section.name == Name::Gates;
        let mut left: Vec<&Item> = before.items.iter().collect();
        // What is there as it was takes its own first: of two files one may be new.
        let mut changed: Vec<&mut Item> = vec![];
        for item in &mut section.items {
            match left.iter().position(|old| old.label == item.label && (gates || old.text == item.text)) {
                Some(index) => _ = left.remove(index),
                None => changed.push(item),
            }
        }
        for item in changed {
            // Of several files the one that lies there.
            let same_path = |old: &&Item| path(old).is_some() && path(old) == path(item);
            let like = |old: &&Item| old.label == item.label;
            let index = left.iter().position(|old| like(old) && same_path(old)).or_else(|| left.iter().position(like));
            match index {
                Some(index) => {
                    let changes = changes(&item.text, &left.remove(index).text);
                    item.differs.extend(changes.into_iter().map(|change| Difference { from, change }));
                }
                None => item.differs.push(Difference::whole(from, "nothing of that".to_owned())),
            }
            item.loud = item.loud.max(Loud::Look);
        }
        section.items.extend(left.into_iter().map(|old| Item {
            differs: vec![Difference::whole(from, old.text.short())],
            ..Item::words(&old.label, "not there any more".to_owned()).loud(Loud::Look)
        }));
    }
    now
}

fn path(item: &Item) -> Option<&str> {
    match &item.text {
        Text::File { path, .. } => Some(path),
        _ => None,
    }
}

/// Whether nothing differs from there.
pub fn is_same(sections: &[Section; SECTIONS], from: From) -> bool {
    let mut items = sections.iter().flat_map(|section| &section.items);
    !items.any(|item| item.differs.iter().any(|difference| difference.from == from))
}

//! What is armed in a few lines, before all of it: where it runs, what differs, how the gates stand, what follows.

use super::armed::{BY_HAND, Item, Loud};
use crate::clock::{At, human};
use crate::event::{Covers, Deviation, Status};
use crate::session::Session;

/// A line each. What is armed is masked before, where somebody must not see all of it yet.
pub fn items(covers: &Covers, session: &Session, at: At) -> Vec<Item> {
    let command = &covers.command;
    let on = match command.is_nothing() {
        true => session.plan.environment.clone(),
        false => format!("{}: {} as {}, in {}", session.plan.environment, command.host, command.user, command.cwd),
    };
    let mut all = vec![Item::words("on", on).loud(Loud::Look), differs(covers), gates(covers, session, at)];
    let verify = session.plan.step(&covers.step).and_then(|step| step.verify());
    let after = verify.map_or_else(
        || "nothing is compared with before".to_owned(),
        |verify| {
            let watches: Vec<_> = verify.watches.iter().map(|verified| verified.watch.to_string()).collect();
            format!("compared with before, for {}: {}", human(verify.time), watches.join(", "))
        },
    );
    all.push(Item::words("afterwards", after));
    // How long a way back stands changes by the second; the clock says that.
    if !session.plan.recovery.is_empty() {
        let best = session.ways_back(at).next();
        all.push(match &best {
            Some(way) if way.is_too_slow() => {
                Item::words("way back", format!("{}, too slow by now", way.recovery.name)).loud(Loud::Danger)
            }
            Some(way) => Item::words("way back", way.recovery.name.clone()),
            None => Item::words("way back", "none stands".to_owned()).loud(Loud::Danger),
        });
    }
    all.extend(covers.preview.iter().map(|preview| Item::words("preview", format!("answered {}", preview.value))));
    all
}

/// The items of the first section with the summary among them: right behind the words of what runs, which nothing is before
/// but that it is a rehearsal or not as planned.
pub fn among(mut section: Vec<Item>, summary: Vec<Item>) -> Vec<Item> {
    let runs = section.iter().position(|item| item.label == "command" || item.label == BY_HAND);
    let at = runs.map_or(0, |at| at + 1);
    section.splice(at..at, summary);
    section
}

fn differs(covers: &Covers) -> Item {
    let what = covers.deviations.iter().map(|deviation| match deviation {
        Deviation::Param { name, .. } => format!("parameter {name}"),
        Deviation::Edited { .. } => "the command".to_owned(),
        Deviation::AdHoc { .. } => "the whole step".to_owned(),
    });
    let what: Vec<_> = what.collect();
    match what.is_empty() {
        true => Item::words("differs", "nothing differs from the plan".to_owned()),
        false => Item::words("differs", format!("from the plan: {}", what.join(", "))).loud(Loud::Warning),
    }
}

/// The worst of them, as it reads now.
fn gates(covers: &Covers, session: &Session, at: At) -> Item {
    let rank = |status: &Status| match status {
        Status::Ok => 0,
        Status::Warn => 1,
        Status::Unknown => 2,
        Status::Fail => 3,
    };
    let read = covers.gates.iter().map(|gate| (&gate.watch, session.status(&gate.watch, at)));
    match read.max_by_key(|(_, status)| rank(status)) {
        None => Item::words("gates", "it has none".to_owned()),
        Some((_, Status::Ok)) => Item::words("gates", format!("all of them ok: {}", covers.gates.len())),
        Some((watch, status)) => {
            let loud = if status == Status::Warn { Loud::Look } else { Loud::Warning };
            Item::words("gates", format!("{watch} is {}, the worst of {}", status.word(), covers.gates.len()))
                .loud(loud)
        }
    }
}

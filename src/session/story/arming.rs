//! What is changed of the plan, armed, read back and checked.

use super::{quoted, shown};
use crate::clock::human;
use crate::event::{Event, Frozen};
use crate::hash::Hash;
use crate::name::Principal;
use crate::session::Session;
use crate::session::readback::TRIES;
use crate::session::steps::Phase;
use crate::transcript::record::Line;
use std::time::Duration;

pub(super) fn set(session: &Session, by: &Principal, name: &str, value: &str, why: &str) -> String {
    let default = session.plan.params.get(name).and_then(|param| param.default.as_ref());
    let word = match default {
        Some(default) if default != value => format!(", DEVIATION from the plan's {default:?}"),
        _ => String::new(),
    };
    format!("{by} set {} to {}{}", shown(name), shown(&format!("{value:?}{word}")), quoted(why))
}

/// What to add where a step is left out that was flown and is not done: what comes after it begins all the same.
pub(super) fn not_done(session: &Session, event: &Event) -> &'static str {
    let phase = event.step().and_then(|step| session.steps.get(step)).map(|state| state.phase);
    if phase == Some(Phase::SettledFailed) { ", though it is NOT done; what comes after it may begin" } else { "" }
}

pub(super) fn edited(by: &Principal, step: &str, run: &str, why: &str) -> String {
    match run.is_empty() {
        true => format!("{by} gave {step} the plan's command again{}", quoted(why)),
        false => format!("{by} typed another command for {step}, DEVIATION: {}{}", shown(run), quoted(why)),
    }
}

pub(super) fn added(session: &Session, by: &Principal, step: &str, run: &str, why: &str) -> String {
    let word = if session.plan.steps.iter().any(|step| !step.adhoc) { ", DEVIATION" } else { "" };
    format!("{by} typed a command{word}: {step}: {}{}", shown(run), quoted(why))
}

pub(super) fn armed(by: &Principal, step: &str, attempt: u32, covers: &Frozen) -> String {
    let word = if covers.covers().deviations.is_empty() { "" } else { ", DEVIATES from the plan" };
    format!("{by} armed {step} (attempt {attempt}, digest {}){word}", covers.digest().short())
}

pub(super) fn read_back_wrong(session: &Session, by: &Principal, step: &str, field: &str) -> String {
    let before = session.open_step().and_then(|(_, _, armed)| armed.readers.get(by)).map_or(0, |it| it.wrong);
    let out = match before + 1 >= TRIES {
        true => format!(" for the third time: {by} cannot check this attempt any more"),
        false => String::new(),
    };
    format!("{by} read back {} of {step} WRONG{out}", shown(field))
}

pub(super) fn checked(session: &Session, line: &Line, step: &str, digest: &Hash) -> String {
    let by = &line.by;
    let opened = session.open_step().and_then(|(_, _, armed)| armed.opened.get(by));
    let looked = opened.map_or(Duration::ZERO, |opened| line.at.since(*opened));
    format!("{by} cross-checked {step} ({}, looked {})", digest.short(), human(looked))
}

pub(super) fn glass(by: &Principal, step: &str, missing: u32, why: &str) -> String {
    let s = if missing == 1 { "" } else { "s" };
    format!("BREAK GLASS: {by} cleared {step} alone, {missing} cross-check{s} missing{}", quoted(why))
}

//! What has to be in order before the first critical step: `[[crew.seat]]`, `[[checklist]]`, `poll`. Start at [`read_seats`].

use super::Crew;
use super::readers::{read_principals, unknown_id};
use super::table::{Table, Value};
use crate::name::{ItemId, Principal};
use std::collections::BTreeSet;
use unicode_width::UnicodeWidthStr;

/// More stations than that are no crew.
const SEATS_MAX: usize = 30;
/// More than that is answered without being read.
const CHECKLIST_MAX: usize = 100;
/// The widest name of a seat: it stands in a column of every screen.
const SEAT_COLUMNS: usize = 32;

const SEAT_KEYS: &[&str] = &["name", "who"];
const ITEM_KEYS: &[&str] = &["id", "ask", "answer", "seat"];

/// A station that must be filled before the first critical step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// What people call it.
    pub name: String,
    /// Who may take it.
    pub who: Vec<Principal>,
}

/// Something that is asked, and answered on record, before the first critical step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// The question.
    pub ask: String,
    /// What counts as an answer.
    pub answer: Asked,
    /// The seat that owns it; anyone of the crew where none is named.
    pub seat: Option<String>,
}

/// What counts as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// `yes`; a `no` is kept, and holds.
    Yes,
    /// Some words.
    Text,
    /// A time.
    Time,
}
impl Asked {
    /// The word in a plan.
    pub fn word(self) -> &'static str {
        match self {
            Asked::Yes => "yes",
            Asked::Text => "text",
            Asked::Time => "time",
        }
    }
}

/// The seats of `[crew]`; their names tell them apart.
pub(super) fn read_seats(crew: &Table<'_>) -> Option<Vec<Seat>> {
    let mut seen = BTreeSet::new();
    let read: Vec<_> = crew.tables("seat", SEATS_MAX).iter().map(|table| read_seat(table, &mut seen)).collect();
    read.into_iter().collect()
}

fn read_seat(value: &Value<'_>, seen: &mut BTreeSet<String>) -> Option<Seat> {
    let table = value.table("a seat", SEAT_KEYS, &[])?;
    let name = table.require("name", "expected name = \"status page\"").and_then(|name| {
        let words = name.words()?.trim().to_owned();
        if words.width() > SEAT_COLUMNS {
            return name.wrong("the seat's name is too long", format!("expected at most {SEAT_COLUMNS} columns"));
        }
        match seen.insert(words.clone()) {
            true => Some(words),
            false => {
                name.wrong(format!("two [[crew.seat]] tables have the name {words:?}"), "expected a name of its own")
            }
        }
    });
    let who = table.require("who", "expected who = [\"somebody@example.org\"]").and_then(|who| {
        let names = read_principals(&who)?;
        match names.is_empty() {
            true => who.wrong("nobody may take the seat", "expected at least one name"),
            false => Some(names),
        }
    });
    Some(Seat { name: name?, who: who? })
}

/// The checklist. `crew` is nothing where the crew itself is wrong: then nothing is said of its seats.
pub(super) fn read_checklist(top: &Table<'_>, crew: Option<&Crew>) -> Option<Vec<Item>> {
    let mut seen = BTreeSet::new();
    let tables = top.tables("checklist", CHECKLIST_MAX);
    let read: Vec<_> = tables.iter().map(|table| read_item(table, crew, &mut seen)).collect();
    read.into_iter().collect()
}

fn read_item(value: &Value<'_>, crew: Option<&Crew>, seen: &mut BTreeSet<ItemId>) -> Option<Item> {
    let table = value.table("a checklist item", ITEM_KEYS, &[])?;
    let id = table.require("id", "expected id = \"a-short-name\"").and_then(|value| {
        let id: ItemId = value.name()?;
        match seen.insert(id.clone()) {
            true => Some(id),
            false => {
                let message = format!("two checklist tables have the id {:?}", id.as_str());
                value.wrong(message, "expected an id of its own")
            }
        }
    });
    let ask = table.require("ask", "expected ask = \"what has to be known?\"").and_then(|ask| ask.words());
    let kinds = [Asked::Yes, Asked::Text, Asked::Time].map(|asked| (asked.word(), asked));
    let expected = "expected answer = \"yes\", \"text\" or \"time\"";
    let answer = table.require("answer", expected).and_then(|answer| answer.choice(&kinds));
    let seat = table.get("seat").map_or(Some(None), |seat| {
        let name = seat.words()?.trim().to_owned();
        let Some(crew) = crew else { return Some(Some(name)) };
        let known: Vec<&str> = crew.seats.iter().map(|seat| seat.name.as_str()).collect();
        if !known.contains(&name.as_str()) {
            let label = unknown_id(seat.cx, &name, &known);
            let help = "who would have to answer it? name the station in [[crew.seat]]";
            seat.cx.problem_with_help(seat.span(), format!("there is no seat {name:?}"), label, help);
            return None;
        }
        Some(Some(name))
    });
    Some(Item { id: id?, ask: ask?, answer: answer?, seat: seat? })
}

/// Whether there is a poll: where the plan says so, and wherever it has seats or a checklist.
pub(super) fn read_poll(top: &Table<'_>, crew: Option<&Crew>, checklist: Option<&[Item]>) -> Option<bool> {
    let seats = crew.is_some_and(|crew| !crew.seats.is_empty());
    let implied = seats || checklist.is_some_and(|items| !items.is_empty());
    let Some(value) = top.get("poll") else { return Some(implied) };
    match value.boolean()? {
        false if implied => {
            let what = if seats { "seats" } else { "a checklist" };
            let message = format!("a plan with {what} is polled");
            let help = "leave `poll` out, or take seats and checklist out";
            value.cx.problem_with_help(value.span(), message, "cannot be false", help);
            None
        }
        poll => Some(poll),
    }
}

//! Read-back: before a check of such a step counts, its giver types fields of the step from their own copy of the runbook.
//!
//! Who types what is dealt by seats, one for each check that is needed, so that those who clear a step have typed all of its
//! fields between them. Whoever opens the panel takes the seat that fewest hold and nobody has checked from; once somebody
//! checks, the others of that seat move on. Until then the values stay hidden from who has to type them ([`hidden`]): what
//! stands beside the question is copied, not known.

use super::Session;
use super::guard::{Ask, Reasons};
use super::kept::Reader;
use super::phase::Phase;
use super::refusal::Refusal;
use super::request::{Request, TEXT_CHARS_MAX};
use super::steps::Armed;
use crate::event::{Covers, Deviation, Event, FieldSeen};
use crate::name::{Principal, StepId};
use std::collections::{BTreeMap, BTreeSet};

/// So many wrong values by one person, and they are out of that attempt.
pub const TRIES: u32 = 3;

impl Armed {
    /// The fields that this person still has to type before their check counts; those of the seat they would take, where
    /// they have not opened the panel yet.
    pub fn owes_read_back(&self, who: &Principal) -> Vec<&FieldSeen> {
        let reader = self.readers.get(who);
        let seat = reader.map_or_else(|| self.free_seat(), |reader| reader.seat);
        let typed = |field: &&FieldSeen| reader.is_some_and(|reader| reader.right.contains(&field.name));
        self.of_seat(seat).into_iter().filter(|field| !typed(field)).collect()
    }
    /// Whether this person was wrong too often to check this attempt.
    pub fn is_out(&self, who: &Principal) -> bool {
        self.readers.get(who).is_some_and(|reader| reader.wrong >= TRIES)
    }
    /// What this person typed right, as their approval says it; `none` in any other statement.
    pub(super) fn was_read_back(&self, who: &Principal, approves: bool) -> Vec<String> {
        let right = self.readers.get(who).filter(|_| approves).map(|reader| &reader.right);
        let fields = self.covers.covers().readback.iter();
        let said: Vec<_> = fields
            .filter(|field| right.is_some_and(|right| right.contains(&field.name)))
            .map(|field| format!("{}={}", field.name, field.value))
            .collect();
        if said.is_empty() { vec!["none".to_owned()] } else { said }
    }

    fn seats(&self) -> u32 {
        self.covers.covers().checks.max(1)
    }
    /// Every field is of one seat at least: of more fields than seats each seat gets several, of fewer some are typed twice.
    fn of_seat(&self, seat: u32) -> Vec<&FieldSeen> {
        let fields = &self.covers.covers().readback;
        let (seat, seats) = (seat as usize, self.seats() as usize);
        match fields.len() {
            0 => vec![],
            of if of < seats => fields.get(seat % of).into_iter().collect(),
            _ => fields.iter().skip(seat % seats).step_by(seats).collect(),
        }
    }
    /// The seat that fewest hold among those that nobody has checked from.
    fn free_seat(&self) -> u32 {
        let checked: BTreeSet<u32> =
            self.readers.iter().filter(|(who, _)| self.checks.contains_key(*who)).map(|(_, it)| it.seat).collect();
        let held = |seat: u32| self.readers.values().filter(|it| it.seat == seat && it.wrong < TRIES).count();
        // Where every seat was checked from, nothing is needed any more.
        (0..self.seats()).filter(|seat| !checked.contains(seat)).min_by_key(|seat| held(*seat)).unwrap_or(0)
    }
    pub(super) fn seat(&mut self, who: &Principal) {
        if !self.covers.covers().readback.is_empty() && !self.readers.contains_key(who) {
            let seat = self.free_seat();
            self.readers.insert(who.clone(), Reader { seat, ..Reader::default() });
        }
    }
    pub(super) fn read_back(&mut self, who: &Principal, field: &str, right: bool) {
        if let Some(reader) = self.readers.get_mut(who) {
            match right {
                true => _ = reader.right.insert(field.to_owned()),
                false => reader.wrong += 1,
            }
        }
    }
    /// Somebody checked: their share of the fields is done, and who held the same takes another.
    pub(super) fn move_from_seat_of(&mut self, who: &Principal) {
        let Some(seat) = self.readers.get(who).map(|reader| reader.seat) else { return };
        let same = |(other, reader): &(&Principal, &Reader)| reader.seat == seat && !self.checks.contains_key(*other);
        let others: Vec<_> = self.readers.iter().filter(same).map(|(other, _)| other.clone()).collect();
        for other in others {
            let free = self.free_seat();
            if let Some(reader) = self.readers.get_mut(&other) {
                reader.seat = free;
            }
        }
    }
}

/// The field and the value that somebody typed.
fn typed<'a>(ask: &'a Ask) -> Option<(&'a str, &'a str)> {
    match ask.request {
        Request::ReadBack { field, value, .. } => Some((field, value)),
        _ => None,
    }
}

/// The step asks for it.
pub(super) fn something_is_read_back(ask: &Ask, no: &mut Reasons) {
    let (Some(armed), Some(step)) = (ask.armed(), ask.request.step()) else { return };
    if armed.covers.covers().readback.is_empty() {
        no.because(Refusal::NothingToReadBack { step: step.clone() });
    }
}

/// They were not wrong too often.
pub(super) fn is_not_out(ask: &Ask, no: &mut Reasons) {
    if ask.armed().is_some_and(|armed| armed.is_out(ask.who())) {
        no.because(Refusal::ReadBackSpent { who: ask.who().clone() });
    }
}

/// What they typed is theirs to type; whatever was right already stays so.
fn asked<'a>(ask: &'a Ask) -> Option<(&'a Reader, Vec<&'a FieldSeen>)> {
    let (armed, (field, _)) = (ask.armed()?, typed(ask)?);
    let reader = armed.readers.get(ask.who()).filter(|reader| !reader.right.contains(field))?;
    Some((reader, armed.of_seat(reader.seat)))
}

/// The field is theirs.
pub(super) fn field_is_theirs(ask: &Ask, no: &mut Reasons) {
    let (Some((_, fields)), Some((field, _))) = (asked(ask), typed(ask)) else { return };
    if !fields.iter().any(|asked| asked.name == field) {
        let fields = fields.iter().map(|field| field.name.clone()).collect();
        no.because(Refusal::OtherField { who: ask.who().clone(), field: field.chars().take(100).collect(), fields });
    }
}

/// What is typed has an end.
pub(super) fn value_fits(ask: &Ask, no: &mut Reasons) {
    let length = typed(ask).map_or(0, |(_, value)| value.chars().count());
    if length > TEXT_CHARS_MAX {
        no.because(Refusal::TooLong(length));
    }
}

/// It is what is armed.
pub(super) fn value_is_right(ask: &Ask, no: &mut Reasons) {
    let (Some((reader, fields)), Some((field, value))) = (asked(ask), typed(ask)) else { return };
    let Some(asked) = fields.iter().find(|asked| asked.name == field) else { return };
    if value.trim() != asked.value.trim() {
        let (who, field) = (ask.who().clone(), field.to_owned());
        no.because(match TRIES.saturating_sub(reader.wrong + 1) {
            0 => Refusal::ReadBackOut { who, field },
            left => Refusal::ReadBackWrong { who, field, left },
        });
    }
}

pub(super) fn read_back(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let (Some(_), Some((step, state)), Some((field, _))) = (asked(ask), ask.step(), typed(ask)) else {
        return Ok(vec![]); // said already
    };
    Ok(vec![Event::ReadBack { step: step.id.clone(), attempt: state.attempt, field: field.to_owned(), right: true }])
}

/// The fact that a wrong value leaves.
pub(super) fn wrong(request: &Request, refusal: &Refusal) -> Option<Event> {
    match (request, refusal) {
        (
            Request::ReadBack { step, attempt, field, .. },
            Refusal::ReadBackWrong { .. } | Refusal::ReadBackOut { .. },
        ) => Some(Event::ReadBack { step: step.clone(), attempt: *attempt, field: field.clone(), right: false }),
        _ => None,
    }
}

/// Whether this person has typed what they have to.
pub(super) fn done(armed: &Armed, who: &Principal) -> Result<(), Refusal> {
    if armed.is_out(who) {
        return Err(Refusal::ReadBackSpent { who: who.clone() });
    }
    let fields: Vec<_> = armed.owes_read_back(who).into_iter().map(|field| field.name.clone()).collect();
    if fields.is_empty() { Ok(()) } else { Err(Refusal::ReadBackOwed { fields }) }
}

/// What this person's screens must not show of a step, by parameter: every field that is read back, for as long as they
/// have to type one. Who cannot check, or has, reads along.
pub fn hidden(session: &Session, step: &StepId, who: &Principal) -> BTreeMap<String, String> {
    let (Some(planned), Some(state)) = (session.plan.step(step), session.steps.get(step)) else {
        return BTreeMap::new();
    };
    if planned.readback.is_empty() || !session.is_shadow(who) || session.closed.is_some() {
        return BTreeMap::new();
    }
    match (&state.armed, state.phase) {
        (Some(armed), Phase::Armed) => {
            let types = session.may_check(who) && !armed.checks.contains_key(who) && !armed.is_out(who);
            if !types || armed.owes_read_back(who).is_empty() {
                return BTreeMap::new();
            }
            let fields = armed.covers.covers().readback.iter();
            fields.map(|field| (field.name.clone(), field.value.clone())).collect()
        }
        // Before it is armed, so that nobody has it from there.
        (_, Phase::Planned | Phase::SettledFailed) => {
            let value = |name: &String| Some((name.clone(), session.params.get(name)?.clone()));
            planned.readback.iter().filter_map(value).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// A text with `<name>` wherever one of these values stands.
pub fn masked(text: &str, hidden: &BTreeMap<String, String>) -> String {
    // The longest first: one may be part of another.
    let mut values: Vec<_> = hidden.iter().filter(|(_, value)| !value.trim().is_empty()).collect();
    values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    values.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(value.trim(), &format!("<{name}>")))
}

/// What is armed as such a screen shows it: the same, but for these values.
pub fn masked_covers(covers: &Covers, hidden: &BTreeMap<String, String>) -> Covers {
    let mut covers = covers.clone();
    if hidden.is_empty() {
        return covers;
    }
    let mask = |text: &mut String| *text = masked(text, hidden);
    for command in covers.commands_mut() {
        let files = command.files.iter_mut().chain(&mut command.stdin_file).filter_map(|file| file.text.as_mut());
        let texts = command.argv.iter_mut().chain(command.env.values_mut()).chain(&mut command.stdin);
        texts.chain(files).for_each(mask);
    }
    // What else says it: what the preview answered, and in what the step differs from the plan.
    let said = covers.preview.iter_mut().flat_map(|it| [&mut it.output, &mut it.value, &mut it.expect]);
    let differs = covers.deviations.iter_mut().flat_map(|deviation| match deviation {
        Deviation::Param { planned, value, why, .. } => vec![planned, value, why],
        Deviation::Edited { planned, run, why, .. } => vec![planned, run, why],
        Deviation::AdHoc { why, .. } => vec![why],
    });
    let live = covers.rehearsal.iter_mut().flat_map(|rehearsal| &mut rehearsal.live);
    let fields = covers.readback.iter_mut().map(|field| &mut field.value);
    let given = covers.params.values_mut().chain(fields);
    said.chain(differs).chain(&mut covers.manual).chain(live).chain(given).for_each(mask);
    covers
}

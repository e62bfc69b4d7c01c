//! Before the first critical step: a checklist with owners, seats that must be filled, who is fit to fly and until when, and
//! the go/no-go poll. Silence is no-go, and so is everything that nobody can tell. Start at [`Session::poll_locks`].
//!
//! Nothing here is ever "set to go": whether the poll is go follows anew from what was said and from who is here. So whoever
//! leaves, takes over, changes an answer or turns no-go takes the go away at once, and nobody has to think of doing it.

use super::guard::{Ask, Reasons, void};
use super::refusal::{Refusal, in_words};
use super::request::Request;
use super::{Person, Session, twin};
use crate::clock::At;
use crate::event::{Cause, Event, Role, about};
use crate::name::{ItemId, Principal, StepId};
use crate::plan::{Asked, Item, Seat, Step, parse_duration};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Nobody is available for longer at a stretch: more is a mistyped number.
const FIT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// What was said before the first critical step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preflight {
    /// The latest answer to each checklist item.
    pub answers: BTreeMap<ItemId, ItemAnswer>,
    /// Number of the line with the latest of them; 0 before the first. A go counts only for what was known when it was said.
    pub board: u64,
    /// Who holds each seat.
    pub seats: BTreeMap<String, Taken>,
    /// The latest poll.
    pub poll: Option<Poll>,
    /// Who is fit to fly, and until when.
    pub availability: BTreeMap<Principal, Availability>,
    /// Who has tried the andon, and when first.
    pub tried: BTreeMap<Principal, At>,
    /// When the first step was begun: the plan's expected time counts from there.
    pub started: Option<At>,
    /// When the first critical step was begun: the poll has done its work.
    pub over: Option<At>,
}

/// An answer to a checklist item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ItemAnswer {
    pub by: Principal,
    pub at: At,
    pub answer: String,
}

/// Somebody in a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Taken {
    pub by: Principal,
    pub at: At,
}

/// A go/no-go round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// Its number, from 1.
    pub number: u32,
    /// When it was called.
    pub at: At,
    /// Everyone's latest answer.
    pub answers: BTreeMap<Principal, Word>,
}

/// Go, or no-go and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Word {
    /// The number of its line.
    pub seq: u64,
    pub at: At,
    pub go: bool,
    pub why: String,
}

/// What somebody said of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Availability {
    pub at: At,
    pub fit: bool,
    pub until: Option<At>,
    pub why: String,
}

impl Preflight {
    /// Folds an event in; those that are about something else change nothing.
    pub(super) fn take(&mut self, seq: u64, at: At, by: &Principal, event: &Event, critical: bool) {
        match event {
            Event::SeatTaken { seat } => {
                self.seats.insert(seat.clone(), Taken { by: by.clone(), at });
            }
            Event::ChecklistAnswered { item, answer } => {
                self.answers.insert(item.clone(), ItemAnswer { by: by.clone(), at, answer: answer.clone() });
                self.board = seq;
            }
            Event::PollCalled { poll } => self.poll = Some(Poll { number: *poll, at, answers: BTreeMap::new() }),
            Event::PollAnswered { go, why, .. } => {
                if let Some(poll) = &mut self.poll {
                    poll.answers.insert(by.clone(), Word { seq, at, go: *go, why: why.clone() });
                }
            }
            Event::AvailabilityStated { fit, until, why } => {
                let said = Availability { at, fit: *fit, until: *until, why: why.clone() };
                self.availability.insert(by.clone(), said);
            }
            Event::AndonPulled { .. } => {
                self.tried.entry(by.clone()).or_insert(at);
            }
            Event::RunIntended { .. } => {
                self.started.get_or_insert(at);
                if critical {
                    self.over.get_or_insert(at);
                }
            }
            Event::RunRequested { .. }
            | Event::BatchIntended { .. }
            | Event::BatchesEnded { .. }
            | Event::RunStarted { .. }
            | Event::OutputWritten { .. }
            | Event::InputWritten { .. }
            | Event::InputLost { .. }
            | Event::AnswerAwaited { .. }
            | Event::Resized { .. }
            | Event::RunInterrupted { .. }
            | Event::RunEnded { .. }
            | Event::OutcomeUnknown { .. }
            | Event::ProcessGone { .. }
            | Event::OthersAwaited { .. }
            | Event::LeftBehind { .. }
            | Event::LeftGone { .. }
            | Event::DoneByHand { .. }
            | Event::WaitStarted { .. }
            | Event::WaitEnded { .. }
            | Event::AndonReleased { .. }
            | Event::LineHeld { .. }
            | Event::LineFreed { .. }
            | about::session!()
            | about::crew!()
            | about::said!()
            | about::watches!()
            | about::changes!()
            | about::check!()
            | about::after!()
            | about::evidence!()
            | about::told!() => {}
        }
    }

    /// The number of the latest poll; 0 before the first.
    pub fn number(&self) -> u32 {
        self.poll.as_ref().map_or(0, |poll| poll.number)
    }

    /// The word of that person in the latest poll, where they gave one.
    pub fn word(&self, who: &Principal) -> Option<&Word> {
        self.poll.as_ref()?.answers.get(who)
    }

    /// Whether that person said go, knowing every answer there is.
    pub fn says_go(&self, who: &Principal) -> bool {
        self.word(who).is_some_and(|word| word.go && word.seq > self.board)
    }
}

/// How an answer to an item counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// It is an answer.
    Yes,
    /// It is one, and says that it is not so.
    No,
}

/// Whether that is an answer to the item, and which; what would be one otherwise.
pub fn counts(item: &Item, answer: &str, at: At) -> Result<Counts, &'static str> {
    let first: String = answer.trim().chars().take_while(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    match (item.answer, first.as_str()) {
        (Asked::Yes, "yes") => Ok(Counts::Yes),
        (Asked::Yes, "no") => Ok(Counts::No),
        (Asked::Yes, _) => Err("yes, or no and why"),
        (Asked::Text, _) if answer.trim().is_empty() => Err("some words"),
        (Asked::Text, _) => Ok(Counts::Yes),
        (Asked::Time, _) => match At::typed(answer, at) {
            Some(_) => Ok(Counts::Yes),
            None => Err("a time: 16:30, 2026-11-21 or 2026-11-21 16:30, all UTC, or RFC 3339"),
        },
    }
}

impl Session {
    /// Whether the first critical step still waits for a poll.
    pub fn is_polled(&self) -> bool {
        self.plan.poll && self.preflight.over.is_none() && self.closed.is_none()
    }

    /// Everything that keeps the first critical step locked, the worst first; empty where the poll is go, is over, or was
    /// never asked for.
    pub fn poll_locks(&self) -> Vec<String> {
        locks(self, &self.preflight)
    }

    /// Whose word the poll waits for: the lead, every shadow who is here, and whoever holds a seat; each once.
    pub fn asked(&self) -> Vec<&Principal> {
        asked(self, &self.preflight)
    }

    /// The seats that person may take.
    pub fn seats_of<'a>(&'a self, who: &'a Principal) -> impl Iterator<Item = &'a str> {
        self.plan.crew.seats.iter().filter(move |seat| seat.who.contains(who)).map(|seat| seat.name.as_str())
    }

    /// Whether that person holds a seat.
    pub fn holds_seat(&self, who: &Principal) -> bool {
        self.preflight.seats.values().any(|taken| taken.by == *who)
    }

    /// Whether that person may answer the item: whoever holds the seat that owns it, or anyone of the crew where none does.
    pub fn owns(&self, who: &Principal, item: &Item) -> bool {
        match &item.seat {
            Some(seat) => self.preflight.seats.get(seat).is_some_and(|taken| taken.by == *who),
            None => self.role(who) != Role::Observer,
        }
    }

    /// Until when it goes on, by the plan's expected time: from its first step on, or from now where none has begun.
    pub fn expected_end(&self, at: At) -> Option<At> {
        let end = self.preflight.started.unwrap_or(at).after(self.plan.expected?);
        Some(end.max(at))
    }

    /// Whose time is too short for the plan's, in sentences; those who said no time are not among them.
    pub fn time_warnings(&self, at: At) -> Vec<String> {
        time_warnings(self, &self.preflight, at)
    }

    /// Whether somebody is connected, and heard of.
    pub fn is_here(&self, who: &Principal) -> bool {
        self.people.get(who).is_some_and(Person::is_heard)
    }
}

fn asked<'a>(session: &'a Session, preflight: &'a Preflight) -> Vec<&'a Principal> {
    let mut seen = BTreeSet::new();
    let seats =
        session.plan.crew.seats.iter().filter_map(|seat| preflight.seats.get(&seat.name)).map(|taken| &taken.by);
    let all = std::iter::once(&session.lead).chain(session.shadows_here()).chain(seats);
    all.filter(|who| seen.insert(*who)).collect()
}

fn time_warnings(session: &Session, preflight: &Preflight, at: At) -> Vec<String> {
    let (Some(end), None) = (session.expected_end(at), session.closed) else { return vec![] };
    let of =
        asked(session, preflight).into_iter().filter_map(|who| Some((who, preflight.availability.get(who)?.until?)));
    of.filter(|(_, until)| *until < end)
        .map(|(who, until)| {
            format!("{who} is available until {} only, and the plan expects until {}", until.clock(), end.clock())
        })
        .collect()
}

fn locks(session: &Session, preflight: &Preflight) -> Vec<String> {
    if !session.plan.poll || preflight.over.is_some() || twin::broken(13) {
        return vec![];
    }
    let mut locks = vec![];
    let asked = asked(session, preflight);
    // A no-go stands when its giver leaves: it is taken back by a go of theirs, or by another poll.
    for (who, word) in preflight.poll.iter().flat_map(|poll| &poll.answers).filter(|(_, word)| !word.go) {
        locks.push(format!("NO-GO by {who}: {}", word.why));
    }
    for who in &asked {
        if let Some(said) = preflight.availability.get(*who).filter(|said| !said.fit) {
            locks.push(format!("{who} is not fit to fly: {}", said.why));
        }
    }
    for seat in &session.plan.crew.seats {
        match preflight.seats.get(&seat.name) {
            None => locks.push(format!("the seat {} is empty", seat.name)),
            Some(taken) if !session.is_here(&taken.by) => {
                locks.push(format!("the seat {} is empty: {} is gone", seat.name, taken.by));
            }
            Some(_) => {}
        }
    }
    for item in &session.plan.checklist {
        let owner = item.seat.as_ref().map_or(String::new(), |seat| format!(" ({seat})"));
        match preflight.answers.get(&item.id) {
            None => locks.push(format!("{} is not answered{owner}", item.id)),
            Some(answer) if counts(item, &answer.answer, answer.at) != Ok(Counts::Yes) => {
                locks.push(format!("{} was answered by {}: {}", item.id, answer.by, answer.answer));
            }
            Some(_) => {}
        }
    }
    let next = session.plan.steps.iter().find(|step| step.checks > 0);
    let needed = next.map_or(0, |step| step.checks as usize);
    let shadows = session.shadows_here().count();
    if shadows < needed {
        locks.push(format!("{} more shadow(s) have to be here", needed - shadows));
    }
    if preflight.poll.is_none() {
        locks.push("the poll was not called".to_owned());
        return locks;
    }
    let open = |who: &&&Principal| preflight.word(who).is_none_or(|word| word.go) && !preflight.says_go(who);
    let (late, silent): (Vec<_>, Vec<_>) = asked.iter().filter(open).partition(|who| preflight.word(who).is_some());
    let names = |who: Vec<&&Principal>| who.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if !silent.is_empty() {
        locks.push(format!("no answer from {}", names(silent)));
    }
    if !late.is_empty() {
        locks.push(format!("the checklist changed since the go of {}", names(late)));
    }
    locks
}

/// The poll is go, where the step takes checks and the plan has a poll.
pub(super) fn poll_is_go(ask: &Ask, no: &mut Reasons) {
    let Some((step, _)) = ask.step() else { return };
    let asked = match ask.request {
        Request::Arm { covers, .. } | Request::AdHoc { covers, .. } => covers.as_deref().map(|covers| covers.checks),
        _ => ask.armed().map(|armed| armed.covers.covers().checks),
    };
    no.0.extend(not_go(ask.session, &step.id, asked.unwrap_or(0).max(step.checks)));
}

/// Why the poll keeps a step from being armed that so many people check.
fn not_go(session: &Session, step: &StepId, checks: u32) -> Option<Refusal> {
    let locks = locks_of(session, checks);
    (!locks.is_empty()).then(|| Refusal::NotGo { step: step.clone(), locks })
}

impl Session {
    /// Why the poll keeps that step locked; none where it does not.
    pub fn poll_lock(&self, step: &Step) -> Option<Refusal> {
        not_go(self, &step.id, u32::from(self.is_checked(&step.id)))
    }
}

/// What is left of the locks in one sentence; none where there are none.
fn why(locks: &[String]) -> Option<String> {
    (!locks.is_empty()).then(|| in_words(locks))
}

/// Everything that keeps a step locked that so many people check.
pub(super) fn locks_of(session: &Session, checks: u32) -> Vec<String> {
    if checks == 0 { vec![] } else { session.poll_locks() }
}

/// Why a step that so many people check is locked; none where the poll lets it pass.
pub(super) fn lock(session: &Session, checks: u32) -> Option<String> {
    why(&locks_of(session, checks))
}

/// The event, and the end of what is armed where the poll is go no more with it.
fn with_void(ask: &Ask, event: Event) -> Vec<Event> {
    let session = ask.session;
    let mut next = session.preflight.clone();
    next.take(session.seq + 1, ask.at, ask.who(), &event, false);
    let locked = why(&locks(session, &next));
    let open = session.open_step().filter(|(_, _, armed)| armed.covers.covers().checks > 0);
    let void = open.zip(locked).map(|((step, state, _), why)| void(&step.id, state.attempt, Cause::NotGo { why }));
    std::iter::once(event).chain(void).collect()
}

/// The plan has a poll.
pub(super) fn poll_is_planned(ask: &Ask, no: &mut Reasons) {
    if !ask.session.plan.poll {
        no.because(Refusal::NoPoll);
    }
}

/// The first critical step was not begun.
pub(super) fn poll_is_not_over(ask: &Ask, no: &mut Reasons) {
    if ask.session.preflight.over.is_some() {
        no.because(Refusal::PollOver);
    }
}

/// There is a poll, and it is the one that was meant.
pub(super) fn poll_is_that_one(ask: &Ask, no: &mut Reasons) {
    let (Request::Go { poll, .. } | Request::NoGo { poll, .. }) = ask.request else { return };
    match ask.session.preflight.number() {
        0 => no.because(Refusal::NotCalledYet { lead: ask.session.lead.clone() }),
        now if now != *poll => no.because(Refusal::OtherPoll { asked: *poll, now }),
        _ => {}
    }
}

/// A go names what its author had read, so that it never counts for more.
pub(super) fn board_was_read(ask: &Ask, no: &mut Reasons) {
    if let Request::Go { board, .. } = ask.request
        && *board != ask.session.preflight.board
    {
        no.because(Refusal::BoardChanged);
    }
}

/// They are one of those who are asked.
pub(super) fn is_asked(ask: &Ask, no: &mut Reasons) {
    if !ask.session.asked().contains(&ask.who()) {
        no.because(Refusal::NotAsked { who: ask.who().clone() });
    }
}

/// The plan has that seat, and names them for it.
pub(super) fn seat_is_theirs(ask: &Ask, no: &mut Reasons) {
    let Request::Seat { seat: name } = ask.request else { return };
    match ask.session.plan.seat(name) {
        None => {
            let known = ask.session.plan.crew.seats.iter().map(|seat| seat.name.clone()).collect();
            no.because(Refusal::NoSuchSeat { seat: name.clone(), known });
        }
        // Nobody who was named for it is there: whoever says go to the poll sees who sits there instead.
        Some(seat) if is_orphan(ask.session, seat, ask.at) && may_stand_in(ask) => {}
        Some(seat) if !seat.who.contains(ask.who()) => {
            no.because(Refusal::NotYourSeat { seat: seat.name.clone(), who: seat.who.clone() });
        }
        Some(_) => {}
    }
}

/// Whether everyone who is named for it is gone for too long.
fn is_orphan(session: &Session, seat: &Seat, at: At) -> bool {
    seat.who.iter().all(|who| session.is_gone(who, at))
}

fn may_stand_in(ask: &Ask) -> bool {
    *ask.who() != ask.session.lead && ask.session.is_crew(ask.who())
}

/// The item that is answered, and how.
fn answered<'a>(ask: &Ask<'a>) -> Option<(&'a Item, &'a str)> {
    let Request::Answer { item, answer } = ask.request else { return None };
    Some((ask.session.plan.item(item)?, answer))
}

/// The checklist has the item.
pub(super) fn item_is_known(ask: &Ask, no: &mut Reasons) {
    if let (Request::Answer { item, .. }, None) = (ask.request, answered(ask)) {
        no.because(Refusal::NoSuchItem { item: item.clone() });
    }
}

/// It is theirs to answer.
pub(super) fn item_is_theirs(ask: &Ask, no: &mut Reasons) {
    let Some((item, _)) = answered(ask).filter(|(item, _)| !ask.session.owns(ask.who(), item)) else { return };
    no.because(Refusal::NotYourItem { item: item.id.clone(), seat: item.seat.clone().unwrap_or_default() });
}

/// It is an answer.
pub(super) fn is_an_answer(ask: &Ask, no: &mut Reasons) {
    let Some((item, answer)) = answered(ask) else { return };
    if let Err(wanted) = counts(item, answer, ask.at) {
        no.because(Refusal::NotAnAnswer { item: item.id.clone(), wanted });
    }
}

/// The time that is said is still to come.
pub(super) fn time_is_to_come(ask: &Ask, no: &mut Reasons) {
    if let Request::Available { until: Some(until), .. } = ask.request
        && *until <= ask.at
    {
        no.because(Refusal::TimePassed { time: *until });
    }
}

/// The lead calls the poll; the one before it is forgotten.
pub(super) fn call(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    Ok(with_void(ask, Event::PollCalled { poll: ask.session.preflight.number() + 1 }))
}

/// Somebody's word in the poll: go, or no-go and why.
pub(super) fn answer_poll(ask: &Ask, no_go: Option<&str>) -> Result<Vec<Event>, Refusal> {
    let (preflight, who) = (&ask.session.preflight, ask.who());
    let (go, why) = (no_go.is_none(), no_go.unwrap_or_default().to_owned());
    // Said twice it is no news.
    let same = |word: &Word| word.go == go && word.why == why;
    if preflight.word(who).is_some_and(same) && (!go || preflight.says_go(who)) {
        return Ok(vec![]);
    }
    Ok(with_void(ask, Event::PollAnswered { poll: preflight.number(), go, why }))
}

/// Somebody takes a seat, of somebody else too: it has one holder at a time.
pub(super) fn seat(ask: &Ask, name: &str) -> Result<Vec<Event>, Refusal> {
    if ask.session.preflight.seats.get(name).is_some_and(|taken| taken.by == *ask.who()) {
        return Ok(vec![]);
    }
    Ok(with_void(ask, Event::SeatTaken { seat: name.to_owned() }))
}

/// Somebody answers a checklist item.
pub(super) fn answer(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let Some((item, answer)) = answered(ask) else { return Ok(vec![]) };
    let (id, answer) = (item.id.clone(), answer.trim().to_owned());
    let said = ask.session.preflight.answers.get(&id);
    if said.is_some_and(|said| said.by == *ask.who() && said.answer == answer) {
        return Ok(vec![]);
    }
    Ok(with_void(ask, Event::ChecklistAnswered { item: id, answer }))
}

/// Somebody says whether they are fit to fly, and until when.
pub(super) fn available(ask: &Ask, fit: bool, until: Option<At>, why: &str) -> Result<Vec<Event>, Refusal> {
    Ok(with_void(ask, Event::AvailabilityStated { fit, until, why: why.trim().to_owned() }))
}

/// The end of `fit until 16:30` or `fit for 2h`; none where nothing is said.
pub fn until(rest: &str, now: At) -> Result<Option<At>, String> {
    let usage = "fit is written: fit, fit until 16:30 (UTC), or fit for 2h";
    match rest.split_once(char::is_whitespace) {
        None if rest.is_empty() => Ok(None),
        Some(("until", time)) => At::typed(time, now).map(Some).ok_or_else(|| usage.to_owned()),
        Some(("for", time)) => {
            let time = parse_duration(time.trim()).filter(|time| *time <= FIT_MAX);
            time.map(|time| Some(now.after(time))).ok_or_else(|| usage.to_owned())
        }
        _ => Err(usage.to_owned()),
    }
}

/// The story of these events, told with what the session was just before.
pub(super) fn story(session: &Session, seq: u64, at: At, by: &Principal, event: &Event) -> Option<String> {
    let mut next = session.preflight.clone();
    next.take(seq, at, by, event, false);
    let stands = || match why(&locks(session, &next)) {
        Some(why) => format!("not go yet: {why}"),
        None => "the poll is GO".to_owned(),
    };
    let warned = |text: String| match time_warnings(session, &next, at).join("; ") {
        warning if warning.is_empty() => text,
        warning => format!("{text}; WARNING: {warning}"),
    };
    Some(match event {
        Event::SeatTaken { seat } => match session.preflight.seats.get(seat) {
            Some(taken) => format!("{by} takes the seat {seat} over from {}", taken.by),
            None => format!("{by} takes the seat {seat}"),
        },
        Event::ChecklistAnswered { item, answer } => {
            let again = session.preflight.poll.iter().flat_map(|poll| poll.answers.values()).any(|word| word.go);
            let again = if again { "; whoever said go has to say it again" } else { "" };
            format!("{by} answers {item}: {answer}{again}")
        }
        Event::PollCalled { poll } => warned(format!("{by} called poll {poll}, silence is no-go; {}", stands())),
        Event::PollAnswered { go: true, .. } => warned(format!("{by} says GO; {}", stands())),
        Event::PollAnswered { go: false, why, .. } => format!("{by} says NO-GO: {why}"),
        Event::AvailabilityStated { fit: false, why, .. } => format!("{by} is NOT FIT to fly: {why}"),
        Event::AvailabilityStated { fit: true, until, .. } => match until {
            Some(until) => warned(format!("{by} is fit to fly, until {}", until.clock())),
            None => warned(format!("{by} is fit to fly")),
        },
        about::session!()
        | about::crew!()
        | about::said!()
        | about::watches!()
        | about::changes!()
        | about::check!()
        | about::run!()
        | about::after!()
        | about::line!()
        | about::evidence!()
        | about::told!() => return None,
    })
}

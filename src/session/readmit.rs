//! Letting somebody in again from another machine. A personal link stays with the first key that used it; where that key is
//! lost, two of the crew, neither of them the person, let in the very key that knocked. The old one is out from that line on.

use super::Session;
use super::guard::{Ask, Reasons, void};
use super::refusal::Refusal;
use super::request::Request;
use crate::clock::At;
use crate::event::{Cause, Event};
use crate::name::Principal;
use serde::{Deserialize, Serialize};

/// One of the two said so; it waits for the other for as long as a step stays armed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // their names say it
pub struct HalfReadmit {
    pub at: At,
    pub by: Principal,
    pub who: Principal,
    pub key: String,
}

/// That somebody was let in again: whoever looks at what they check is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Readmitted {
    pub at: At,
    pub by: [Principal; 2],
}

impl Session {
    /// What one of two said of that person and that key, and still counts.
    pub fn half_readmit(&self, who: &Principal, key: &str, at: At) -> Option<&HalfReadmit> {
        let half = self.readmitting.as_ref().filter(|half| half.who == *who && half.key == key);
        half.filter(|half| at.since(half.at) < self.plan.lapse)
    }

    /// Everyone who was let in again with another key, in sentences.
    pub fn readmissions(&self) -> impl Iterator<Item = String> {
        self.people.iter().filter_map(|(who, person)| {
            let Readmitted { at, by: [one, other] } = person.readmitted.as_ref()?;
            Some(format!("{who} with another key ({}), by {one} and {other} at {}", person.key, at.clock()))
        })
    }

    /// Whether those two, neither of whom is the person, may let them in again.
    fn may_readmit(&self, [one, other]: [&Principal; 2], who: &Principal) -> bool {
        let key = |who: &Principal| self.people.get(who).map(|person| person.key.as_str());
        let two = one != other && key(one).is_some() && key(one) != key(other);
        two && [one, other].iter().all(|by| *by != who && self.is_crew(by))
    }
}

fn asked<'a>(ask: &Ask<'a>) -> Option<(&'a Principal, &'a str)> {
    match ask.request {
        Request::Readmit { who, key } => Some((who, key)),
        _ => None,
    }
}

/// A key in whose place another one was let in says nothing any more, over whatever connection.
pub(super) fn key_is_not_out(ask: &Ask, no: &mut Reasons) {
    if ask.session.people.get(ask.who()).is_some_and(|person| person.lost.contains(&ask.author.key)) {
        no.because(Refusal::KeyOut { who: ask.who().clone() });
    }
}

/// Somebody else of the crew says so.
pub(super) fn is_another_of_the_crew(ask: &Ask, no: &mut Reasons) {
    let Some((who, _)) = asked(ask) else { return };
    if ask.who() == who || !ask.session.is_crew(ask.who()) {
        no.because(Refusal::NotTheirs { who: who.clone() });
    }
}

/// That key knocked, and it is nobody else's, nor one that is out.
pub(super) fn key_has_knocked(ask: &Ask, no: &mut Reasons) {
    let Some((who, key)) = asked(ask) else { return };
    let person = ask.session.people.get(who);
    if person.is_none_or(|person| person.knocked.as_deref() != Some(key) || person.lost.iter().any(|lost| lost == key))
    {
        no.because(Refusal::NobodyKnocked { who: who.clone() });
    }
    let theirs = ask.session.people.iter().find(|(other, person)| *other != who && person.key == key);
    if let Some((other, _)) = theirs {
        no.because(Refusal::SameKey { other: other.clone() });
    }
}

/// The two have two keys.
pub(super) fn those_who_say_so_are_two(ask: &Ask, no: &mut Reasons) {
    let Some((who, key)) = asked(ask) else { return };
    let half = ask.session.half_readmit(who, key, ask.at).map(|half| &half.by).filter(|by| *by != ask.who());
    if let Some(by) = half.filter(|by| ask.session.people.get(*by).is_some_and(|it| it.key == ask.author.key)) {
        no.because(Refusal::SameKey { other: by.clone() });
    }
}

pub(super) fn readmit(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let (Some((who, key)), session) = (asked(ask), ask.session) else { return Ok(vec![]) };
    let (principal, key) = (who.clone(), key.to_owned());
    match session.half_readmit(who, &key, ask.at) {
        Some(half) if half.by == *ask.who() => Ok(vec![]), // said already
        Some(half) if session.may_readmit([&half.by, ask.who()], who) => {
            let was = session.people.get(who).map_or_else(String::new, |person| person.key.clone());
            let agreed = half.by.clone();
            let mut events = vec![Event::Readmitted { principal, was, key, agreed, signed: ask.sign()? }];
            // What the lost key said yes to, nobody said yes to.
            let checked = session.open_step().filter(|(_, _, armed)| armed.checks.contains_key(who));
            events.extend(
                checked.map(|(step, state, _)| void(&step.id, state.attempt, Cause::Readmitted { who: who.clone() })),
            );
            Ok(events)
        }
        _ => Ok(vec![Event::ReadmitAgreed { principal, key, signed: ask.sign()? }]),
    }
}

/// Whether that line lets somebody in as two of the crew said, as the session stood before it.
pub fn holds(session: &Session, by: &Principal, event: &Event, at: At) -> Result<(), String> {
    let Event::Readmitted { principal, was, key, agreed, .. } = event else { return Ok(()) };
    let half = session.half_readmit(principal, key, at).is_some_and(|half| half.by == *agreed);
    let theirs = session.people.get(principal).is_some_and(|person| person.key == *was);
    match half && theirs && session.may_readmit([agreed, by], principal) {
        true => Ok(()),
        false => Err(format!("{principal} was let in with another key without two of the crew having said so")),
    }
}

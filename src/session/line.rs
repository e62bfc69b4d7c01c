//! The andon: anyone stops the line, two different people let it go on.

use super::guard::{Ask, Reasons, void_open};
use super::refusal::Refusal;
use super::{Session, twin};
use crate::clock::At;
use crate::event::{Cause, Event, Role};
use crate::name::Principal;
use crate::transcript::record::Head;
use crate::trust::allowed::Why;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A puller gone for so long need not release any more; the lead and any shadow do it instead.
pub const PULLER_GONE: Duration = Duration::from_secs(120);

/// Whether anything may start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineState {
    /// Who pulled the andon, and when first.
    pub pulled: BTreeMap<Principal, At>,
    /// Who agreed to go on since the latest pull.
    pub released: BTreeSet<Principal>,
    /// The latest pull: what a release answers.
    pub latest: Option<Head>,
    /// Why the hub holds it.
    pub held: Option<String>,
}

impl LineState {
    /// Whether nothing may start.
    pub fn is_stopped(&self) -> bool {
        !self.pulled.is_empty() || self.held.is_some()
    }
    /// A pull takes back every release given before it: they answered another question.
    pub(super) fn pull(&mut self, by: &Principal, at: At, line: Head) {
        self.latest = Some(line);
        self.pulled.entry(by.clone()).or_insert(at);
        self.released.clear();
    }
    pub(super) fn release(&mut self, by: &Principal, freed: bool) {
        self.released.insert(by.clone());
        if freed {
            self.pulled.clear();
            self.released.clear();
        }
    }
}

/// There is an andon to release. What the hub holds goes on by itself.
pub(super) fn is_pulled(ask: &Ask, no: &mut Reasons) {
    let line = &ask.session.line;
    if line.pulled.is_empty() {
        no.because(match &line.held {
            Some(why) => Refusal::LineHeld { why: why.clone() },
            None => Refusal::NotStopped,
        });
    }
}

/// Observers and seats release what they pulled themselves, and nothing else.
pub(super) fn is_theirs_to_release(ask: &Ask, no: &mut Reasons) {
    let who = ask.who();
    if ask.session.line.pulled.is_empty() || ask.session.line.pulled.contains_key(who) {
        return;
    }
    match ask.role() {
        Role::Observer => no.because(Refusal::Observer { who: who.clone() }),
        Role::Seat => no.because(Refusal::SeatOnly { who: who.clone() }),
        Role::Lead | Role::Shadow => {}
    }
}

pub(super) fn pull(ask: &Ask, why: &str) -> Result<Vec<Event>, Refusal> {
    let (line, who) = (&ask.session.line, ask.who());
    if line.pulled.contains_key(who) && !line.released.contains(who) {
        return Ok(vec![]); // pressed twice: the line is stopped already
    }
    let void = void_open(ask.session, Cause::Andon).filter(|_| !twin::broken(7));
    Ok(std::iter::once(Event::AndonPulled { why: why.to_owned() }).chain(void).collect())
}

pub(super) fn release(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let mut released = ask.session.line.released.clone();
    let again = !released.insert(ask.who().clone());
    let freed = ask.session.release_needs(ask.at, &released).is_empty() && released.len() >= 2;
    // Said twice it is no news, unless it has become enough meanwhile: the puller who was waited for is gone by now.
    if again && !freed {
        return Ok(vec![]);
    }
    Ok(vec![Event::AndonReleased { freed, signed: ask.sign()? }])
}

impl Session {
    /// Who has still to release, in words; empty where `released` is enough.
    ///
    /// Every puller who is here (or was until less than `PULLER_GONE` ago) releases, and the lead does; where that
    /// would be one person only, any shadow is the second.
    pub fn release_needs(&self, at: At, released: &BTreeSet<Principal>) -> Vec<String> {
        let mut needs = vec![];
        if !released.contains(&self.lead) {
            needs.push(format!("the lead ({})", self.lead));
        }
        let pullers = self.line.pulled.keys().filter(|puller| **puller != self.lead && !puller.is_hub());
        let waiting: Vec<_> = pullers.filter(|puller| !self.is_long_gone(puller, at)).collect();
        needs.extend(waiting.iter().filter(|puller| !released.contains(**puller)).map(|puller| puller.to_string()));
        if waiting.is_empty() && !released.iter().any(|who| self.is_shadow(who)) {
            needs.push("any shadow".into());
        }
        needs
    }

    fn is_long_gone(&self, who: &Principal, at: At) -> bool {
        self.people.get(who).and_then(|person| person.gone).is_some_and(|gone| at.since(gone) >= PULLER_GONE)
    }

    /// A shadow of the plan who does not lead.
    pub fn is_shadow(&self, who: &Principal) -> bool {
        *who != self.lead && self.plan.crew.shadow.contains(who)
    }

    /// Whether that person may take note of how a step ended: a shadow, or whoever holds a seat, who does not lead. Where all of
    /// these are gone, whoever else of the crew does not lead.
    pub fn may_acknowledge(&self, who: &Principal, at: At) -> bool {
        let usual = |who: &Principal| self.is_shadow(who) || (*who != self.lead && self.holds_seat(who));
        let seats = self.plan.crew.seats.iter().flat_map(|seat| &seat.who);
        let left = || self.plan.crew.shadow.iter().chain(seats).any(|who| usual(who) && !self.is_gone(who, at));
        usual(who) || (*who != self.lead && self.is_crew(who) && !left())
    }

    /// Whether allowed_signers gives that principal that key (its fingerprint) for signatures in that namespace, at that
    /// time; `false` where the session has none.
    pub fn vouches(&self, who: &Principal, key: &str, namespace: &str, at: At) -> Result<bool, Why> {
        match &self.allowed {
            Some(allowed) => allowed.is_signer_with(who, key, namespace, at).map(|()| true),
            None => Ok(false),
        }
    }

    /// Whether that principal may be here only with a key that is vouched for. The read-only link, where the plan gives
    /// one, is for anyone: who comes by it goes by a name that nobody in the plan has.
    pub fn must_be_vouched(&self, who: &Principal) -> bool {
        self.allowed.is_some() && self.plan.principals().contains(&who)
    }

    /// What that principal may do now.
    pub fn role(&self, who: &Principal) -> Role {
        match self {
            _ if *who == self.lead => Role::Lead,
            _ if self.plan.crew.shadow.contains(who) => Role::Shadow,
            _ if self.seats_of(who).next().is_some() => Role::Seat,
            _ => Role::Observer,
        }
    }
}

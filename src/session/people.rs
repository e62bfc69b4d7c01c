//! Who leads, what people look at and say, and who vouches for the hub.
//!
//! The lead hands over together with the next one. Once they have been gone for the plan's `lead_grace`, two others of the crew
//! take it over in their place: one who may lead, and one more, with two keys.

use super::guard::{Ask, Reasons, void_open};
use super::refusal::Refusal;
use super::request::Request;
use super::{Handover, Session};
use crate::clock::At;
use crate::event::{Attention, Cause, Event};
use crate::name::Principal;
use serde::{Deserialize, Serialize};

/// The lead was taken over from somebody who was gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// When.
    pub at: At,
    /// Who was gone.
    pub from: Principal,
    /// Who leads since.
    pub to: Principal,
    /// The two who said so.
    pub by: [Principal; 2],
}
impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Taken { at, from, to, by: [one, other] } = self;
        write!(f, "LEAD TAKEN OVER at {} by {to}, as {one} and {other} said: {from} was gone", at.clock())
    }
}

impl Session {
    /// Since when that person is not connected; since the session opened where they never were. None where they are.
    pub fn gone_since(&self, who: &Principal) -> Option<At> {
        match self.people.get(who) {
            Some(person) if !person.connections.is_empty() => None,
            Some(person) => Some(person.gone.unwrap_or(self.opened)),
            None => Some(self.opened),
        }
    }

    /// Whether that person has been gone for so long that others may stand in for them.
    pub fn is_gone(&self, who: &Principal, at: At) -> bool {
        self.gone_since(who).is_some_and(|since| at.since(since) >= self.plan.lead_grace)
    }

    /// Whether that person may take the lead over from one who is gone: whom the plan lets lead; a shadow where every one of
    /// those is gone as well.
    pub fn may_take_lead(&self, who: &Principal, at: At) -> bool {
        let crew = &self.plan.crew;
        let others = || crew.lead.iter().any(|other| *other != self.lead && !self.is_gone(other, at));
        *who != self.lead && (crew.lead.contains(who) || (crew.shadow.contains(who) && !others()))
    }

    /// The plan names them, and not as an observer.
    pub fn is_crew(&self, who: &Principal) -> bool {
        self.plan.crew.lead.contains(who) || self.plan.crew.shadow.contains(who) || self.seats_of(who).next().is_some()
    }

    /// What one of two has said of that person as the next lead, and still counts: an armed step's time long, and where the lead
    /// is gone only what was said since.
    pub fn half_handover(&self, to: &Principal, at: At) -> Option<&Handover> {
        let gone = self.gone_since(&self.lead);
        let counts = |half: &&Handover| match gone {
            Some(gone) => half.at >= gone && at.since(half.at) < self.plan.lapse,
            None => true,
        };
        self.handover.as_ref().filter(|half| half.to == *to).filter(counts)
    }

    /// Whether those two may make `to`, who is one of them, the lead in the place of one who is gone. Two names with one key are
    /// one person.
    fn take_over(&self, [one, other]: [&Principal; 2], to: &Principal, at: At) -> bool {
        let key = |who: &Principal| self.people.get(who).map(|person| person.key.as_str());
        let apart = |a: &Principal, b: &Principal| a != b && (key(a).is_none() || key(a) != key(b));
        self.is_gone(&self.lead, at)
            && self.may_take_lead(to, at)
            && (one == to || other == to)
            && [one, other].iter().all(|who| self.is_crew(who) && apart(who, &self.lead))
            && apart(one, other)
    }
}

/// Whether that line hands over the lead as two of the crew said, as the session stood before it.
pub fn holds(session: &Session, by: &Principal, to: &Principal, agreed: &Principal, at: At) -> Result<(), String> {
    let half = session.half_handover(to, at).is_some_and(|half| half.agreed == *agreed);
    match half && session.take_over([agreed, by], to, at) {
        true => Ok(()),
        false => Err(format!("{to} leads without two of the crew having said so, or while {} was there", session.lead)),
    }
}

/// That everyone is told once that the lead is gone for too long.
pub(super) fn lead_gone(session: &Session, at: At) -> Option<Event> {
    let since = session.gone_since(&session.lead).filter(|_| session.is_gone(&session.lead, at))?;
    (session.lead_gone.is_none() && session.closing.is_none())
        .then(|| Event::LeadGone { lead: session.lead.clone(), since })
}

fn to<'a>(ask: &Ask<'a>) -> Option<&'a Principal> {
    match ask.request {
        Request::Handover { to } => Some(to),
        _ => None,
    }
}

/// The plan names them as lead or shadow.
pub(super) fn heir_is_of_the_crew(ask: &Ask, no: &mut Reasons) {
    let Some(to) = to(ask) else { return };
    let crew = &ask.session.plan.crew;
    if !crew.lead.contains(to) && !crew.shadow.contains(to) {
        no.because(Refusal::NotCrew { to: to.clone() });
    }
}

/// Somebody else leads.
pub(super) fn heir_does_not_lead(ask: &Ask, no: &mut Reasons) {
    if let Some(to) = to(ask).filter(|to| **to == ask.session.lead) {
        no.because(Refusal::LeadsAlready { to: to.clone() });
    }
}

/// The one who leads, or who shall, says so; anyone of the crew where the lead is gone.
pub(super) fn is_theirs_to_agree(ask: &Ask, no: &mut Reasons) {
    let (Some(to), session, who) = (to(ask), ask.session, ask.who()) else { return };
    if *who == session.lead || who == to {
        return;
    }
    let lead = session.lead.clone();
    match session.gone_since(&lead) {
        Some(since) if session.is_crew(who) && !session.is_gone(&lead, ask.at) => {
            no.because(Refusal::LeadNotGone { lead, gone: ask.at.since(since), grace: session.plan.lead_grace });
        }
        Some(_) if session.is_crew(who) => {}
        _ => no.because(Refusal::NotYours { lead, to: to.clone() }),
    }
}

/// Where others than the lead agree on it, it is on one who may take it.
pub(super) fn heir_may_take_it(ask: &Ask, no: &mut Reasons) {
    let (Some(to), session, who) = (to(ask), ask.session, ask.who()) else { return };
    if *who != session.lead && who != to && !session.may_take_lead(to, ask.at) {
        let leads = session.plan.crew.lead.iter().filter(|other| **other != session.lead).cloned().collect();
        no.because(Refusal::OthersLead { to: to.clone(), leads });
    }
}

/// Two names with one key are one person, and whoever has the key of the one who is gone is them.
pub(super) fn those_who_take_it_are_two(ask: &Ask, no: &mut Reasons) {
    let (Some(to), session, who) = (to(ask), ask.session, ask.who()) else { return };
    if *who == session.lead || session.gone_since(&session.lead).is_none() {
        return;
    }
    let half = session.half_handover(to, ask.at).map(|half| &half.agreed).filter(|agreed| *agreed != who);
    let same = |other: &&Principal| session.people.get(*other).is_some_and(|person| person.key == ask.author.key);
    if let Some(other) = [Some(&session.lead), half].into_iter().flatten().find(same) {
        no.because(Refusal::SameKey { other: other.clone() });
    }
}

/// Nobody who checked a step that runs becomes its lead.
pub(super) fn heir_checked_nothing_that_runs(ask: &Ask, no: &mut Reasons) {
    let (Some(to), session) = (to(ask), ask.session) else { return };
    let lost = session.owing_step().filter(|(_, state)| state.still_running());
    if let Some((step, state)) = session.busy_step().or(lost)
        && state.armed.as_ref().is_some_and(|armed| armed.checks.contains_key(to))
    {
        no.because(Refusal::CheckedRunning { to: to.clone(), step: step.id.clone() });
    }
}

pub(super) fn hand_over(ask: &Ask, to: &Principal) -> Result<Vec<Event>, Refusal> {
    let (session, who) = (ask.session, ask.who());
    let half = session.half_handover(to, ask.at).map(|half| &half.agreed);
    let agreed = match half {
        Some(other) if other == who => return Ok(vec![]), // said already
        Some(other) if [other, who].contains(&&session.lead) && [other, who].contains(&to) => None,
        Some(other) if session.take_over([other, who], to, ask.at) => Some(other.clone()),
        _ => return Ok(vec![Event::HandoverAgreed { to: to.clone() }]),
    };
    let handed = Event::LeadHandedOver { from: session.lead.clone(), to: to.clone(), agreed };
    Ok(std::iter::once(handed).chain(void_open(session, Cause::HandedOver)).collect())
}

pub(super) fn attend(ask: &Ask, attention: &Attention) -> Result<Vec<Event>, Refusal> {
    let who = ask.who();
    Ok(match ask.session.people.get(who) {
        Some(person) if person.attention != *attention => {
            vec![Event::AttentionChanged { principal: who.clone(), attention: attention.clone() }]
        }
        _ => vec![],
    })
}

/// The pane of the lead gives what runs its size.
pub(super) fn resize(ask: &Ask, (cols, rows): (u16, u16)) -> Result<Vec<Event>, Refusal> {
    let (cols, rows) = (cols.clamp(20, 500), rows.clamp(4, 300));
    Ok(match ask.session.live_step() {
        Some((_, state)) if state.latest_run().is_some_and(|run| run.size != (cols, rows)) => {
            vec![Event::Resized { cols, rows }]
        }
        _ => vec![],
    })
}

pub(super) fn vouch(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    if ask.session.vouched.as_ref() == Some(ask.who()) {
        return Ok(vec![]); // said already
    }
    Ok(ask.sign()?.map(|signed| Event::HubVouched { signed }).into_iter().collect())
}

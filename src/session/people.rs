//! Who leads, what people look at and say, and who vouches for the hub.

use super::guard::{Ask, Reasons, void_open};
use super::refusal::Refusal;
use super::request::Request;
use crate::event::{Attention, Cause, Event};
use crate::name::Principal;

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

/// The one who leads, or who shall, says so.
pub(super) fn is_theirs_to_agree(ask: &Ask, no: &mut Reasons) {
    let Some(to) = to(ask) else { return };
    if *ask.who() != ask.session.lead && ask.who() != to {
        no.because(Refusal::NotYours { lead: ask.session.lead.clone(), to: to.clone() });
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
    Ok(match &session.handover {
        Some(half) if half.to == *to && half.agreed != *who => {
            let mut events = vec![Event::LeadHandedOver { from: session.lead.clone(), to: to.clone() }];
            events.extend(void_open(session, Cause::HandedOver));
            events
        }
        Some(half) if half.to == *to => vec![],
        _ => vec![Event::HandoverAgreed { to: to.clone() }],
    })
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

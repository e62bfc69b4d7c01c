//! Waivers: a second person's signed exception to one gate, once, with a reason.
//!
//! A waiver is given by a shadow, before the step is armed, on a gate that does not hold; it counts for the next attempt of
//! that step and ends with it, with a hand-over, and after the step's lapse where nobody armed it. It excuses what was seen
//! and nothing worse: a gate waived at `fail` that turns unknown voids. It is frozen into what people check, so that nobody
//! checks past one unawares; one given later needs another arming. Its giver may check too, but never alone: somebody else
//! has to have looked at what the gate would have stopped.

use super::Session;
use super::request::{Author, Refusal, Request};
use super::signing::accept;
use super::steps::{Armed, Phase};
use crate::clock::At;
use crate::event::{Covers, Event, Status, WaivedSeen};
use crate::name::{Principal, StepId, WatchId};
use crate::plan::{Gate, Step};
use crate::trust::allowed::APPROVE;
use serde::{Deserialize, Serialize};

/// An exception to a gate, for the next attempt of its step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// When.
    pub at: At,
    /// By whom, on what, and why.
    pub waived: WaivedSeen,
}

impl WaivedSeen {
    /// Whether it excuses that status: the one that was seen, or a better one. Not knowing is excused by nothing else.
    pub fn excuses(&self, status: Status) -> bool {
        match self.status {
            Status::Unknown => status == Status::Unknown,
            seen => status != Status::Unknown && status <= seen,
        }
    }
}

impl Session {
    /// The waiver of that gate of that step, where one counts at that time.
    pub fn waiver(&self, step: &StepId, watch: &WatchId, at: At) -> Option<&WaivedSeen> {
        let (planned, state) = (self.plan.step(step)?, self.steps.get(step)?);
        let waiver = state.waivers.get(watch)?;
        // Once armed it is part of what was armed, and lapses with that.
        let counts = state.phase.is_open() || at.since(waiver.at) < self.plan.lapse_of(planned);
        counts.then_some(&waiver.waived)
    }
    /// Whether a gate in that status is waived for that step at that time.
    pub fn is_waived(&self, step: &StepId, watch: &WatchId, status: Status, at: At) -> bool {
        self.waiver(step, watch, at).is_some_and(|waived| waived.excuses(status))
    }
    /// Whether a gate lets that step pass at that time: it holds, or is waived.
    pub fn gate_passes(&self, step: &StepId, gate: &Gate, at: At) -> bool {
        self.gate_holds(gate, at) || self.is_waived(step, &gate.watch, self.status(&gate.watch, at), at)
    }
}

/// Whether what was frozen holds the waivers that count, and no other.
pub(super) fn same(session: &Session, step: &Step, covers: &Covers, at: At) -> bool {
    let frozen = covers.gates.iter().filter_map(|gate| Some((&gate.watch, gate.waived.as_ref()?)));
    let counts = step.gates.iter().filter_map(|gate| Some((&gate.watch, session.waiver(&step.id, &gate.watch, at)?)));
    frozen.eq(counts)
}

/// Whoever waived a gate may not be all who checked what it would have stopped.
pub fn checked_by_another<'a>(
    armed: &Armed,
    checkers: impl Iterator<Item = &'a Principal> + Clone,
) -> Result<(), Refusal> {
    if checkers.clone().next().is_none() {
        return Ok(()); // nobody is asked
    }
    for gate in &armed.covers.covers().gates {
        if let Some(waived) = &gate.waived
            && !checkers.clone().any(|who| *who != waived.by)
        {
            return Err(Refusal::WaivedAlone { who: waived.by.clone(), watch: gate.watch.clone() });
        }
    }
    Ok(())
}

pub(super) fn decide(session: &Session, at: At, author: &Author, request: &Request) -> Result<Vec<Event>, Refusal> {
    let Request::Waive { step: id, attempt, watch, status, why } = request else { return Ok(vec![]) };
    let who = &author.principal;
    let (Some(step), Some(state)) = (session.plan.step(id), session.steps.get(id)) else {
        return Err(Refusal::NoSuchStep { step: id.clone() });
    };
    second_person(session, author, at)?;
    if !matches!(state.phase, Phase::Planned | Phase::SettledFailed) {
        return Err(Refusal::Phase {
            step: id.clone(),
            phase: state.phase,
            wanted: "planned: a gate is waived before its step is armed",
        });
    }
    if *attempt != state.attempt + 1 {
        return Err(Refusal::Attempt { step: id.clone(), asked: *attempt, now: state.attempt + 1 });
    }
    let Some(gate) = step.gates.iter().find(|gate| gate.watch == *watch) else {
        let gates = step.gates.iter().map(|gate| gate.watch.to_string()).collect();
        return Err(Refusal::NoSuchGate { step: id.clone(), watch: watch.clone(), gates });
    };
    let now = session.status(watch, at);
    if session.gate_holds(gate, at) {
        return Err(Refusal::GateHolds { watch: watch.clone(), status: now.word() });
    }
    if now != *status {
        return Err(Refusal::GateTurned { watch: watch.clone(), seen: status.word(), now: now.word() });
    }
    if let Some(waived) = session.waiver(id, watch, at).filter(|waived| waived.excuses(now)) {
        return if waived.by == *who {
            Ok(vec![])
        } else {
            Err(Refusal::Waived { watch: watch.clone(), by: waived.by.clone() })
        };
    }
    let signed = accept(session, at, author, request)?;
    let (step, watch, why) = (id.clone(), watch.clone(), why.clone());
    Ok(vec![Event::GateWaived { step, attempt: *attempt, watch, status: now, why, signed }])
}

/// A shadow who is another person than the lead, with a key that is vouched for where the session asks for that.
pub(super) fn second_person(session: &Session, author: &Author, at: At) -> Result<(), Refusal> {
    let who = &author.principal;
    if *who == session.lead {
        return Err(Refusal::SecondPerson { who: who.clone() });
    }
    if !session.is_shadow(who) {
        return Err(Refusal::ShadowOnly { who: who.clone() });
    }
    if let Err(why) = session.vouches(who, &author.key, APPROVE, at) {
        return Err(Refusal::NotVouched { who: who.clone(), why });
    }
    match session.people.get(&session.lead).filter(|lead| lead.key == author.key) {
        Some(_) => Err(Refusal::SameKey { other: session.lead.clone() }),
        None => Ok(()),
    }
}

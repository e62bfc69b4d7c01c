//! Waivers: a second person's signed exception to one gate, once, with a reason.
//!
//! A waiver is given by a shadow, before the step is armed, on a gate that does not hold; it counts for the next attempt of
//! that step and ends with it, with a hand-over, and after the step's lapse where nobody armed it. It excuses what was seen
//! and nothing worse: a gate waived at `fail` that turns unknown voids. It is frozen into what people check, so that nobody
//! checks past one unawares; one given later needs another arming. Its giver may check too, but never alone: somebody else
//! has to have looked at what the gate would have stopped.

use super::Session;
use super::guard::{self, Ask, Reasons};
use super::phase::Phase;
use super::refusal::Refusal;
use super::request::Request;
use super::steps::Armed;
use crate::clock::At;
use crate::event::{Covers, Event, Status, WaivedSeen};
use crate::name::{Principal, StepId, WatchId};
use crate::plan::{Gate, Step};

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

/// It is not armed: a gate is waived before its step is.
pub(super) fn is_not_armed(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if !matches!(state.phase, Phase::Planned | Phase::SettledFailed) {
        let wanted = "planned: a gate is waived before its step is armed";
        no.because(Refusal::Phase { step: step.id.clone(), phase: state.phase, wanted });
    }
}

/// It is the next attempt that is meant.
pub(super) fn attempt_is_next(ask: &Ask, no: &mut Reasons) {
    let Some((asked, (step, state))) = ask.request.attempt().zip(ask.step()) else { return };
    if asked != state.attempt + 1 {
        no.because(Refusal::Attempt { step: step.id.clone(), asked, now: state.attempt + 1 });
    }
}

/// The gate that is meant, and what it read when its author looked.
fn gate<'a>(ask: &'a Ask) -> Option<(&'a Step, &'a Gate, Status)> {
    let Request::Waive { watch, status, .. } = ask.request else { return None };
    let (step, _) = ask.step()?;
    Some((step, step.gates.iter().find(|gate| gate.watch == *watch)?, *status))
}

/// The step has that gate.
pub(super) fn gate_is_known(ask: &Ask, no: &mut Reasons) {
    let (Request::Waive { watch, .. }, Some((step, _)), None) = (ask.request, ask.step(), gate(ask)) else { return };
    let gates = step.gates.iter().map(|gate| gate.watch.to_string()).collect();
    no.because(Refusal::NoSuchGate { step: step.id.clone(), watch: watch.clone(), gates });
}

/// There is something to waive.
pub(super) fn gate_does_not_hold(ask: &Ask, no: &mut Reasons) {
    let Some((_, gate, _)) = gate(ask).filter(|(_, gate, _)| ask.session.gate_holds(gate, ask.at)) else { return };
    let status = ask.session.status(&gate.watch, ask.at).word();
    no.because(Refusal::GateHolds { watch: gate.watch.clone(), status });
}

/// It reads what its author saw.
pub(super) fn gate_reads_as_seen(ask: &Ask, no: &mut Reasons) {
    let Some((_, gate, seen)) = gate(ask) else { return };
    let now = ask.session.status(&gate.watch, ask.at);
    if now != seen && !ask.session.gate_holds(gate, ask.at) {
        no.because(Refusal::GateTurned { watch: gate.watch.clone(), seen: seen.word(), now: now.word() });
    }
}

/// Nobody else has waived it.
pub(super) fn is_not_waived_by_another(ask: &Ask, no: &mut Reasons) {
    let (Some((_, gate, _)), Some(waived)) = (gate(ask), waived(ask)) else { return };
    if waived.by != *ask.who() {
        no.because(Refusal::Waived { watch: gate.watch.clone(), by: waived.by.clone() });
    }
}

fn waived<'a>(ask: &'a Ask) -> Option<&'a WaivedSeen> {
    let (step, gate, seen) = gate(ask)?;
    ask.session.waiver(&step.id, &gate.watch, ask.at).filter(|waived| waived.excuses(seen))
}

pub(super) fn waive(ask: &Ask, why: &str) -> Result<Vec<Event>, Refusal> {
    let Some((step, gate, status)) = gate(ask).filter(|_| waived(ask).is_none()) else { return Ok(vec![]) }; // said already
    let (step, watch) = (step.id.clone(), gate.watch.clone());
    let attempt = ask.request.attempt().unwrap_or_default(); // a waiver has one
    Ok(vec![Event::GateWaived { step, attempt, watch, status, why: why.to_owned(), signed: ask.sign()? }])
}

/// What takes a second person is not for the lead.
pub(super) fn is_not_the_lead(ask: &Ask, no: &mut Reasons) {
    if *ask.who() == ask.session.lead {
        no.because(Refusal::SecondPerson { who: ask.who().clone() });
    }
}

/// The second person is a shadow of the plan.
pub(super) fn second_is_a_shadow(ask: &Ask, no: &mut Reasons) {
    if *ask.who() != ask.session.lead && !ask.session.is_shadow(ask.who()) {
        no.because(Refusal::ShadowOnly { who: ask.who().clone() });
    }
}

/// The second person has a key that is vouched for, where the session asks for that.
pub(super) fn second_is_vouched_for(ask: &Ask, no: &mut Reasons) {
    if *ask.who() != ask.session.lead {
        guard::key_is_vouched_for(ask, no);
    }
}

/// The second person is another one than the lead: two names with one key are one person.
pub(super) fn second_has_a_key_of_their_own(ask: &Ask, no: &mut Reasons) {
    let lead = &ask.session.lead;
    let same = ask.session.people.get(lead).is_some_and(|person| person.key == ask.author.key);
    if same && ask.who() != lead {
        no.because(Refusal::SameKey { other: lead.clone() });
    }
}

//! Guards: what has to hold before a request is granted. Each is one small function with one refusal; the list of a
//! request's guards stands in [`super::decide`], most in the way first.
//!
//! `decide` stops at the first that says no, [`super::may`] hears all of them: so what a screen says about a key and what
//! the hub answers cannot differ. A guard whose question does not arise (no step of that name, nothing armed) says
//! nothing: another one of the same list has said why. This file holds what several requests share and knows none of
//! them; a feature's own guards stand with the feature.

use super::phase::Phase;
use super::refusal::Refusal;
use super::request::{Author, Request, TEXT_CHARS_MAX};
use super::steps::{Armed, StepState};
use super::{Session, twin};
use crate::clock::At;
use crate::event::{Cause, Event, Role};
use crate::name::{Principal, StepId};
use crate::plan::Step;
use crate::trust::allowed::APPROVE;

/// A request, and everything its answer follows from.
pub struct Ask<'a> {
    /// As things stand.
    pub session: &'a Session,
    /// The time.
    pub at: At,
    /// Who asks.
    pub author: &'a Author,
    /// For what.
    pub request: &'a Request,
    /// The step that a typed command would be.
    typed: Option<(Step, StepState)>,
}

impl<'a> Ask<'a> {
    /// That request by that person at that time.
    /// `typed`: the step that a typed command would be.
    pub fn new(session: &'a Session, at: At, author: &'a Author, request: &'a Request, typed: Option<Step>) -> Ask<'a> {
        Ask { session, at, author, request, typed: typed.map(|step| (step, StepState::default())) }
    }
    /// Who asks.
    pub fn who(&self) -> &'a Principal {
        &self.author.principal
    }
    /// As what.
    pub fn role(&self) -> Role {
        self.session.role(self.who())
    }
    /// The step that is meant, with its state; none where the plan has none of that name.
    pub fn step(&self) -> Option<(&Step, &StepState)> {
        if let Some((step, state)) = &self.typed {
            return Some((step, state));
        }
        let id = self.request.step()?;
        self.session.plan.step(id).zip(self.session.steps.get(id))
    }
    /// What is armed, where it is that attempt of that step.
    pub fn armed(&self) -> Option<&'a Armed> {
        let state = self.session.steps.get(self.request.step()?)?;
        let attempt = self.request.attempt()?;
        state.armed.as_ref().filter(|_| state.phase.is_open() && state.attempt == attempt)
    }
}

/// Why not.
pub struct Reasons(pub(super) Vec<Refusal>);

impl Reasons {
    /// One more.
    pub(super) fn because(&mut self, refusal: Refusal) {
        self.0.push(refusal);
    }
    /// The same, where there is one.
    pub(super) fn unless(&mut self, held: Result<(), Refusal>) {
        self.0.extend(held.err());
    }
}

/// One thing that has to hold.
pub(super) type Guard = fn(&Ask, &mut Reasons);

/// Nothing happens any more once it is closed.
pub(super) fn session_is_open(ask: &Ask, no: &mut Reasons) {
    if ask.session.closed.is_some() {
        no.because(Refusal::Closed);
    }
}

/// Once the lead called the end only signatures and talk are left.
pub(super) fn end_is_not_called(ask: &Ask, no: &mut Reasons) {
    let goes_on =
        matches!(ask.request, Request::SignClose | Request::Attend { .. } | Request::Say { .. } | Request::Vouch);
    if ask.session.closing.is_some() && !goes_on {
        no.because(Refusal::Closing);
    }
}

/// What is typed has an end.
pub(super) fn words_fit(ask: &Ask, no: &mut Reasons) {
    let chars = ask.request.text().map_or(0, |text| text.chars().count());
    if chars > TEXT_CHARS_MAX {
        no.because(Refusal::TooLong(chars));
    }
}

/// What needs a reason has one.
pub(super) fn words_are_there(ask: &Ask, no: &mut Reasons) {
    let optional = matches!(
        ask.request,
        Request::Close { .. } | Request::Andon { .. } | Request::Available { fit: true, .. } | Request::Did { .. }
    );
    if !optional && ask.request.text().is_some_and(|text| text.trim().is_empty()) {
        no.because(Refusal::NoReason);
    }
}

/// What is open to everyone who is here.
fn open_to_observers(request: &Request) -> bool {
    matches!(request, Request::Andon { .. } | Request::Release | Request::Attend { .. } | Request::Handover { .. })
}

/// Observers only watch and pull the andon.
pub(super) fn observers_only_watch(ask: &Ask, no: &mut Reasons) {
    // Who may lead and does not is none of them where nobody else is left to take note.
    let takes_note = matches!(ask.request, Request::Ack { .. } | Request::Settle { .. } | Request::Probe { .. });
    let stands_in = takes_note && ask.session.may_acknowledge(ask.who(), ask.at);
    if ask.role() == Role::Observer && !open_to_observers(ask.request) && !stands_in {
        no.because(Refusal::Observer { who: ask.who().clone() });
    }
}

/// A seat has a few things of its own.
pub(super) fn a_seat_has_its_own(ask: &Ask, no: &mut Reasons) {
    let open_to_seats = matches!(
        ask.request,
        Request::Seat { .. }
            | Request::Answer { .. }
            | Request::Available { .. }
            | Request::Go { .. }
            | Request::NoGo { .. }
            | Request::Ack { .. }
            | Request::Settle { .. }
            | Request::Probe { .. }
            | Request::Say { .. }
            | Request::Readmit { .. }
    );
    if ask.role() == Role::Seat && !open_to_observers(ask.request) && !open_to_seats {
        no.because(Refusal::SeatOnly { who: ask.who().clone() });
    }
}

/// Only the lead drives.
pub(super) fn by_the_lead(ask: &Ask, no: &mut Reasons) {
    if *ask.who() != ask.session.lead {
        no.because(Refusal::LeadOnly { lead: ask.session.lead.clone() });
    }
}

/// Only a shadow says yes or no.
pub(super) fn by_a_shadow(ask: &Ask, no: &mut Reasons) {
    if ask.role() != Role::Shadow && !twin::broken(1) {
        no.because(Refusal::ShadowOnly { who: ask.who().clone() });
    }
}

/// The plan has the step.
pub(super) fn step_is_known(ask: &Ask, no: &mut Reasons) {
    if let (Some(step), None) = (ask.request.step(), ask.step()) {
        no.because(Refusal::NoSuchStep { step: step.clone() });
    }
}

/// What is armed is that attempt of that step.
pub(super) fn attempt_is_open(ask: &Ask, no: &mut Reasons) {
    let (Some(id), Some(attempt), None) = (ask.request.step(), ask.request.attempt(), ask.armed()) else { return };
    let Some(state) = ask.session.steps.get(id) else { return no.because(Refusal::NoSuchStep { step: id.clone() }) };
    let step = id.clone();
    no.because(match &state.voided {
        _ if state.armed.is_some() && state.phase.is_open() => {
            Refusal::Attempt { step, asked: attempt, now: state.attempt }
        }
        Some(why) if state.phase == Phase::Planned => Refusal::NotArmedAnyMore { step, why: why.clone() },
        _ => Refusal::Phase { step, phase: state.phase, wanted: "armed" },
    });
}

/// It is that attempt, whatever became of it.
pub(super) fn attempt_is_the_latest(ask: &Ask, no: &mut Reasons) {
    let Some((asked, (step, state))) = ask.request.attempt().zip(ask.step()) else { return };
    if state.attempt != asked {
        no.because(Refusal::Attempt { step: step.id.clone(), asked, now: state.attempt });
    }
}

/// The digest that was read is the one that is armed.
pub(super) fn digest_is_armed(ask: &Ask, no: &mut Reasons) {
    let Some((asked, armed)) = ask.request.digest().zip(ask.armed()) else { return };
    if asked != armed.digest() && !(twin::broken(2) && matches!(ask.request, Request::Check { .. })) {
        no.because(Refusal::Digest { asked, now: armed.digest() });
    }
}

/// Their key is one that allowed_signers gives them, where the session asks for that.
pub(super) fn key_is_vouched_for(ask: &Ask, no: &mut Reasons) {
    if let Err(why) = ask.session.vouches(ask.who(), &ask.author.key, APPROVE, ask.at) {
        no.because(Refusal::NotVouched { who: ask.who().clone(), why });
    }
}

/// Nobody stopped the line, and the hub does not hold it.
pub(super) fn line_is_free(ask: &Ask, no: &mut Reasons) {
    if let Some(refusal) = stopped(ask.session).filter(|_| !twin::broken(7)) {
        no.because(refusal);
    }
}

/// The hub was not asked to stop.
pub(super) fn hub_goes_on(ask: &Ask, no: &mut Reasons) {
    if ask.session.stopping.is_some() {
        no.because(Refusal::Stopping);
    }
}

/// Nothing starts while something runs, waits or is verified.
pub(super) fn nothing_runs(ask: &Ask, no: &mut Reasons) {
    if let Some((step, state)) = ask.session.busy_step() {
        no.because(Refusal::Busy { other: step.id.clone(), phase: state.phase });
    }
}

/// Nothing starts while a word on how something ended is owed.
pub(super) fn nothing_is_owed(ask: &Ask, no: &mut Reasons) {
    if let Some((step, state)) = ask.session.owing_step() {
        no.because(Refusal::Owed { step: step.id.clone(), phase: state.phase });
    }
}

/// Every gate of the step reads as it must, or is waived.
pub(super) fn gates_hold(ask: &Ask, no: &mut Reasons) {
    let (session, at) = (ask.session, ask.at);
    let Some((step, _)) = ask.step() else { return };
    for gate in step.gates.iter().filter(|gate| !session.gate_passes(&step.id, gate, at)) {
        no.because(Refusal::Gate {
            watch: gate.watch.clone(),
            status: session.status(&gate.watch, at).word(),
            why: session.why(&gate.watch, at),
        });
    }
}

impl Session {
    /// What stops everything; none where the line is free, or held only for want of people and the glass was broken.
    pub fn line_lock(&self) -> Option<Refusal> {
        stopped(self).filter(|_| !(self.is_glass_broken() && self.line.pulled.is_empty()))
    }
}

/// What keeps everything from starting; none where the line is free.
pub(super) fn stopped(session: &Session) -> Option<Refusal> {
    match (session.line.pulled.keys().next(), &session.line.held) {
        (Some(who), _) => Some(Refusal::LineStopped { why: format!("andon by {who}") }),
        (None, Some(why)) => Some(Refusal::LineHeld { why: why.clone() }),
        (None, None) => None,
    }
}

/// The end of what is armed, where something is.
pub(super) fn void_open(session: &Session, cause: Cause) -> Option<Event> {
    session.open_step().map(|(step, state, _)| void(&step.id, state.attempt, cause))
}

pub(super) fn void(step: &StepId, attempt: u32, cause: Cause) -> Event {
    Event::StepVoided { step: step.clone(), attempt, cause }
}

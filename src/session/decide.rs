//! What a request becomes: events or a refusal. Pure, like the fold.

use super::request::{Author, Refusal, Request, TEXT_CHARS_MAX};
use super::signing::accept;
use super::steps::{Armed, Phase, StepState};
use super::{
    REFUSAL_WINDOW, REFUSALS_PER_WINDOW, Session, arming, batches, before, glass, probe, readback, rollback, skip,
    twin, typing, waiting, waive,
};
use crate::clock::At;
use crate::event::{Attention, Cause, Covers, Event, Frozen, Outcome, Role, Settled, WaitEnd};
use crate::hash::Hash;
use crate::name::{Principal, StepId};
use crate::plan::Step;
use crate::trust::allowed::APPROVE;

/// The longest JSON text of what is armed: with the rest of its line it must fit into one message to every client, or
/// nobody could read it, and nobody could come back past it.
const ARMED_BYTES_MAX: usize = crate::protocol::HUB_BYTES_MAX - 4 * 1024;

/// What a request becomes at that time.
///
/// `Request::Arm` without `covers` asks whether the step may be armed at all: yes is an empty list, upon which the hub
/// freezes the step and asks again with `covers`.
pub fn decide(session: &Session, at: At, author: &Author, request: &Request) -> Result<Vec<Event>, Refusal> {
    let who = &author.principal;
    if session.closed.is_some() {
        return Err(Refusal::Closed);
    }
    let goes_on = matches!(request, Request::SignClose | Request::Attend { .. } | Request::Say { .. } | Request::Vouch);
    if session.closing.is_some() && !goes_on {
        return Err(Refusal::Closing);
    }
    if let Some(text) = request.text() {
        let length = text.chars().count();
        if length > TEXT_CHARS_MAX {
            return Err(Refusal::TooLong(length));
        }
        let optional = matches!(
            request,
            Request::Close { .. } | Request::Andon { .. } | Request::Available { fit: true, .. } | Request::Did { .. }
        );
        if text.trim().is_empty() && !optional {
            return Err(Refusal::NoReason);
        }
    }
    let role = session.role(who);
    let open_to_observers =
        matches!(request, Request::Andon { .. } | Request::Release | Request::Attend { .. } | Request::Handover { .. });
    if role == Role::Observer && !open_to_observers {
        return Err(Refusal::Observer { who: who.clone() });
    }
    let open_to_seats = matches!(
        request,
        Request::Seat { .. }
            | Request::Answer { .. }
            | Request::Available { .. }
            | Request::Go { .. }
            | Request::NoGo { .. }
            | Request::Ack { .. }
            | Request::Settle { .. }
            | Request::Probe { .. }
            | Request::Say { .. }
    );
    if role == Role::Seat && !open_to_observers && !open_to_seats {
        return Err(Refusal::SeatOnly { who: who.clone() });
    }
    match request {
        Request::Waive { .. } => waive::decide(session, at, author, request),
        Request::Skip { .. } => skip::decide(session, at, author, request),
        Request::BreakGlass { step, attempt, .. } => {
            lead_only(session, who)?;
            let armed = open_attempt(session, step, *attempt)?;
            let Some(planned) = session.plan.step(step) else { return Err(Refusal::NoSuchStep { step: step.clone() }) };
            gates_hold(session, planned, at)?;
            glass::decide(session, at, author, request, (armed, state_of(session, step)?.phase))
        }
        Request::Arm { step, covers } => {
            lead_only(session, who)?;
            let state = state_of(session, step)?;
            let Some(step) = session.plan.step(step) else { return Err(Refusal::NoSuchStep { step: step.clone() }) };
            arm(session, at, who, (step, state), covers.as_deref())
        }
        Request::Set { name, value, why } => arming::set(session, who, (name, value, why)),
        Request::Edit { step, run, why } => arming::edit(session, who, (step, run, why)),
        Request::AdHoc { run, why, covers } => {
            let step = arming::adhoc(session, who, run, why)?;
            let mut events = arm(session, at, who, (&step, &StepState::default()), covers.as_deref())?;
            if !events.is_empty() {
                let (run, why) = (run.trim().to_owned(), why.trim().to_owned());
                events.insert(0, Event::StepAdded { step: step.id, run, why });
            }
            Ok(events)
        }
        Request::Disarm { step, attempt } => {
            lead_only(session, who)?;
            open_attempt(session, step, *attempt)?;
            Ok(vec![void(step, *attempt, Cause::Disarmed)])
        }
        Request::OpenCheck { step, attempt } => {
            if role != Role::Shadow && !twin::broken(1) {
                return Err(Refusal::ShadowOnly { who: who.clone() });
            }
            let armed = open_attempt(session, step, *attempt)?;
            Ok(match armed.opened.contains_key(who) {
                true => vec![],
                false => vec![Event::CheckOpened { step: step.clone(), attempt: *attempt }],
            })
        }
        Request::ReadBack { step, attempt, field, value } => {
            let armed = open_attempt(session, step, *attempt)?;
            readback::decide(session, who, armed, (step, *attempt), (field, value))
        }
        Request::Check { step, attempt, digest } => check(session, at, author, request, (step, *attempt, *digest)),
        Request::Object { step, attempt, digest, why } => {
            let armed = open_attempt(session, step, *attempt)?;
            if *digest != armed.digest() {
                return Err(Refusal::Digest { asked: *digest, now: armed.digest() });
            }
            if role != Role::Shadow {
                return Err(Refusal::ShadowOnly { who: who.clone() });
            }
            let signed = accept(session, at, author, request)?;
            Ok(vec![
                Event::Objected { step: step.clone(), attempt: *attempt, digest: *digest, why: why.clone(), signed },
                void(step, *attempt, Cause::Objected { by: who.clone() }),
            ])
        }
        Request::Withdraw { step, attempt } => {
            let armed = open_attempt(session, step, *attempt)?;
            if !armed.checks.contains_key(who) {
                return Err(Refusal::NotChecked { who: who.clone() });
            }
            let signed = accept(session, at, author, request)?;
            Ok(vec![
                Event::Withdrawn { step: step.clone(), attempt: *attempt, signed },
                void(step, *attempt, Cause::Withdrawn { by: who.clone() }),
            ])
        }
        Request::Run { step, attempt } => {
            lead_only(session, who)?;
            run(session, at, step, *attempt, "")
        }
        Request::Did { step, attempt, note } => {
            lead_only(session, who)?;
            if session.plan.step(step).is_none_or(|step| step.manual.is_none()) {
                return Err(Refusal::NotByHand { step: step.clone() });
            }
            run(session, at, step, *attempt, note)
        }
        Request::Probe { step } => probe::asked(session, step),
        Request::Type { step, attempt, text, hidden } => {
            typing::typed(session, author, (step, *attempt), text, *hidden)
        }
        Request::TryRun { step, attempt } => {
            lead_only(session, who)?;
            run(session, at, step, *attempt, "").map(|_| vec![])
        }
        Request::Interrupt { step, force } => {
            let state = state_of(session, step)?;
            if state.phase == Phase::Waiting {
                let planned = session.plan.step(step);
                let end = planned.and_then(|step| waiting::end(session, step, state, WaitEnd::GivenUp, at));
                return Ok(end.into_iter().collect());
            }
            if state.phase == Phase::BetweenBatches {
                return Ok(batches::end(state, step, format!("given up by {who}")).into_iter().collect());
            }
            let goes_on = state.phase == Phase::Verifying && state.has_more();
            let alive = goes_on || state.phase.is_live() || (state.phase == Phase::Unknown && state.still_running());
            match alive {
                true => Ok(vec![Event::RunInterrupted { step: step.clone(), attempt: state.attempt, force: *force }]),
                false => Err(Refusal::NotRunning { step: step.clone() }),
            }
        }
        Request::Rollback { step, attempt } => {
            lead_only(session, who)?;
            rollback::ask(session, step, *attempt)
        }
        Request::Ack { step, why } => {
            // Whoever takes note of these says how the step counts; one that failed or was undone is not done.
            if !matches!(state_of(session, step)?.phase, Phase::Failed | Phase::RolledBack)
                && state_of(session, step)?.phase.owes_acknowledgement()
            {
                return Err(Refusal::SayWhich { step: step.clone() });
            }
            settle(session, at, author, request, (step, Settled::Failed, why))
        }
        Request::Settle { step, outcome, why } => settle(session, at, author, request, (step, *outcome, why)),
        Request::Andon { why } => {
            if session.line.pulled.contains_key(who) && !session.line.released.contains(who) {
                return Ok(vec![]); // pressed twice: the line is stopped already
            }
            let mut events = vec![Event::AndonPulled { why: why.clone() }];
            if !twin::broken(7) {
                events.extend(void_open(session, Cause::Andon));
            }
            Ok(events)
        }
        Request::Release => release(session, at, author, request, role),
        Request::Poll => {
            lead_only(session, who)?;
            before::call(session, at, who)
        }
        Request::Go { poll, board } => before::answer_poll(session, at, author, *poll, Ok(*board)),
        Request::NoGo { poll, why } => before::answer_poll(session, at, author, *poll, Err(why)),
        Request::Seat { seat } => before::seat(session, at, who, seat),
        Request::Answer { item, answer } => before::answer(session, at, who, item, answer),
        Request::Available { fit, until, why } => before::available(session, at, who, *fit, *until, why),
        Request::Handover { to } => handover(session, who, to),
        Request::Say { text } => Ok(vec![Event::Noted { text: text.clone() }]),
        Request::Mark { text } => Ok(vec![Event::Marked { text: text.clone() }]),
        Request::Attend { attention } => attend(session, who, attention),
        Request::Resize { cols, rows } => {
            lead_only(session, who)?;
            let (cols, rows) = ((*cols).clamp(20, 500), (*rows).clamp(4, 300));
            Ok(match session.live_step() {
                Some((_, state)) if state.latest_run().is_some_and(|run| run.size != (cols, rows)) => {
                    vec![Event::Resized { cols, rows }]
                }
                _ => vec![],
            })
        }
        Request::Close { note } => {
            lead_only(session, who)?;
            close(session, note)
        }
        Request::SignClose => match &session.closing {
            Some(closing) if closing.signed.contains(who) => Ok(vec![]),
            Some(_) => {
                let signed = accept(session, at, author, request)?;
                signed.map(|signed| vec![Event::CloseSigned { signed }]).ok_or(Refusal::NotCalled)
            }
            None => Err(Refusal::NotCalled),
        },
        Request::Vouch => {
            lead_only(session, who)?;
            if session.vouched.as_ref() == Some(who) {
                return Ok(vec![]); // said already
            }
            let signed = accept(session, at, author, request)?;
            Ok(signed.map(|signed| Event::HubVouched { signed }).into_iter().collect())
        }
    }
}

/// What a refused request leaves in the transcript, and by whom. Most leave that they were refused; a wrong read-back is a
/// fact of its own, which counts however many there were of late.
pub(crate) fn on_record(
    session: &Session,
    at: At,
    who: &Principal,
    request: &Request,
    refusal: &Refusal,
) -> Option<(Principal, Event)> {
    let wrong = readback::wrong(request, refusal).map(|event| (who.clone(), event));
    wrong.or_else(|| {
        let event = refused(session, at, who, request.describe(), refusal.to_string());
        event.map(|event| (Principal::hub(), event))
    })
}

/// The event that keeps a refusal in the transcript; none where this principal has had too many of late.
pub(crate) fn refused(session: &Session, at: At, who: &Principal, request: String, reason: String) -> Option<Event> {
    let (since, count) = session.refusals.get(who).copied().unwrap_or((at, 0));
    let room = count < REFUSALS_PER_WINDOW || at.since(since) >= REFUSAL_WINDOW;
    (session.closed.is_none() && room).then(|| Event::Refused { principal: who.clone(), request, reason })
}

fn arm(
    session: &Session,
    at: At,
    who: &Principal,
    (step, state): (&Step, &StepState),
    covers: Option<&Covers>,
) -> Result<Vec<Event>, Refusal> {
    lead_only(session, who)?;
    let id = &step.id;
    if !session.arms_under_hold(who, step) {
        line_free(session)?;
    }
    if !matches!(state.phase, Phase::Planned | Phase::SettledFailed) {
        return Err(Refusal::Phase { step: id.clone(), phase: state.phase, wanted: "planned" });
    }
    if let Some((other, state, _)) = session.open_step() {
        return Err(Refusal::Busy { other: other.id.clone(), phase: state.phase });
    }
    nothing_pending(session)?;
    for after in &step.after {
        let phase = session.steps.get(after).map_or(Phase::Planned, |state| state.phase);
        if !phase.is_over() {
            return Err(Refusal::After { step: id.clone(), after: after.clone(), phase });
        }
    }
    arming::may_be_armed(session, step)?;
    gates_hold(session, step, at)?;
    before::holds(session, id, covers.map_or(step.checks, |covers| covers.checks.max(step.checks)))?;
    let Some(covers) = covers else { return Ok(vec![]) };
    let attempt = state.attempt + 1;
    if covers.step != *id
        || covers.attempt != attempt
        || covers.plan != session.plan.digest
        || !session.is_its_own(covers)
        || covers.checks < step.checks
        || !waive::same(session, step, covers, at)
        || !step.readback.iter().eq(covers.readback.iter().map(|field| &field.name))
        || covers.deviations != step.deviations
        || covers.each.is_some_and(|each| each.done != session.lines_done(id, &covers.command))
        || covers.params.iter().any(|(name, value)| session.params.get(name) != Some(value))
    {
        return Err(Refusal::CannotFreeze("the session moved on while the step was frozen; arm it again".into()));
    }
    let frozen = Frozen::new(covers.clone()).map_err(|error| Refusal::CannotFreeze(error.to_string()))?;
    if frozen.text().len() > ARMED_BYTES_MAX {
        return Err(Refusal::CannotFreeze(format!(
            "what the crew would have to read for step {id} takes {} KiB, and {} KiB is the most; let it name fewer or smaller files",
            frozen.text().len() / 1024,
            ARMED_BYTES_MAX / 1024
        )));
    }
    if frozen.text().len() > crate::transcript::record::LINE_BYTES_MAX - 4096 {
        return Err(Refusal::CannotFreeze(
            "what would run is too long to be shown whole; move it into a file that the step names".into(),
        ));
    }
    let lapses = at.after(session.plan.lapse_of(step));
    let mut events = vec![Event::StepArmed { step: id.clone(), attempt, lapses, covers: frozen }];
    if covers.checks == 0 {
        events.push(Event::StepCleared { step: id.clone(), attempt });
        if step.run_on_clear {
            events.push(Event::RunRequested { step: id.clone(), attempt, note: String::new() });
        }
    }
    Ok(events)
}

fn check(
    session: &Session,
    at: At,
    author: &Author,
    request: &Request,
    (id, attempt, digest): (&StepId, u32, Hash),
) -> Result<Vec<Event>, Refusal> {
    let who = &author.principal;
    let armed = open_attempt(session, id, attempt)?;
    if !twin::broken(2) && digest != armed.digest() {
        return Err(Refusal::Digest { asked: digest, now: armed.digest() });
    }
    if !twin::broken(1) && (*who == armed.by || *who == session.lead) {
        return Err(Refusal::OwnStep { who: who.clone(), step: id.clone() });
    }
    if !twin::broken(1) && !session.may_check(who) {
        return Err(Refusal::ShadowOnly { who: who.clone() });
    }
    if let Err(why) = session.vouches(who, &author.key, APPROVE, at) {
        return Err(Refusal::NotVouched { who: who.clone(), why });
    }
    let state = state_of(session, id)?;
    if armed.checks.contains_key(who) {
        return Err(Refusal::CheckedAlready { who: who.clone() });
    }
    if state.phase != Phase::Armed {
        return Err(Refusal::Phase { step: id.clone(), phase: state.phase, wanted: "armed" });
    }
    if let Some(other) = holder_of_key(session, armed, author).filter(|_| !twin::broken(1)) {
        return Err(Refusal::SameKey { other: other.clone() });
    }
    if !armed.opened.contains_key(who) {
        return Err(Refusal::NotOpened { step: id.clone() });
    }
    readback::done(armed, who)?;
    line_free(session)?;
    let Some(step) = session.plan.step(id) else { return Err(Refusal::NoSuchStep { step: id.clone() }) };
    gates_hold(session, step, at)?;
    before::holds(session, id, armed.covers.covers().checks)?;
    if armed.missing() <= 1 {
        waive::checked_by_another(armed, armed.checks.keys().chain([who]))?;
    }
    let signed = accept(session, at, author, request)?;
    let key = author.key.clone();
    let mut events = vec![Event::CrossChecked { step: id.clone(), attempt, digest: armed.digest(), key, signed }];
    if armed.missing() <= 1 {
        events.push(Event::StepCleared { step: id.clone(), attempt });
        if step.run_on_clear {
            events.push(Event::RunRequested { step: id.clone(), attempt, note: String::new() });
        }
    }
    Ok(events)
}

/// Somebody who leads this step or checked it already with the key that the author proved: two names, one person.
fn holder_of_key<'a>(session: &'a Session, armed: &'a Armed, author: &Author) -> Option<&'a Principal> {
    let leads = [&armed.by, &session.lead].into_iter();
    let with_key = |lead: &&Principal| session.people.get(*lead).is_some_and(|person| person.key == author.key);
    let checked = armed.checks.iter().find(|(_, check)| check.key == author.key).map(|(who, _)| who);
    leads.filter(with_key).find(|lead| **lead != author.principal).or(checked)
}

fn run(session: &Session, at: At, id: &StepId, attempt: u32, note: &str) -> Result<Vec<Event>, Refusal> {
    let armed = open_attempt(session, id, attempt)?;
    let state = state_of(session, id)?;
    match state.phase {
        Phase::Cleared => {}
        Phase::Starting if twin::broken(6) => {}
        Phase::Armed => return Err(Refusal::Quorum { missing: armed.missing() }),
        phase => return Err(Refusal::Phase { step: id.clone(), phase, wanted: "cleared" }),
    }
    if !(armed.glass && session.line.pulled.is_empty()) {
        line_free(session)?;
    }
    nothing_pending(session)?;
    let Some(step) = session.plan.step(id) else { return Err(Refusal::NoSuchStep { step: id.clone() }) };
    gates_hold(session, step, at)?;
    before::holds(session, id, armed.covers.covers().checks)?;
    Ok(vec![Event::RunRequested { step: id.clone(), attempt, note: note.to_owned() }])
}

fn settle(
    session: &Session,
    at: At,
    author: &Author,
    request: &Request,
    (id, outcome, why): (&StepId, Settled, &str),
) -> Result<Vec<Event>, Refusal> {
    let who = &author.principal;
    let state = state_of(session, id)?;
    // Whoever armed it stays its lead, handed over or not: nobody is lead and shadow of one step.
    if *who == session.lead || state.armed.as_ref().is_some_and(|armed| armed.by == *who) {
        return Err(Refusal::LeadMayNot { who: who.clone() });
    }
    if !session.may_acknowledge(who) {
        return Err(Refusal::ShadowOrSeat { who: who.clone() });
    }
    if !state.phase.owes_acknowledgement() {
        return Err(Refusal::Phase {
            step: id.clone(),
            phase: state.phase,
            wanted: "failed, degraded, undecided, unknown or rolled back",
        });
    }
    if state.still_running() {
        return Err(Refusal::StillRunning { step: id.clone() });
    }
    let signed = accept(session, at, author, request)?;
    Ok(vec![Event::Acknowledged { step: id.clone(), attempt: state.attempt, outcome, why: why.to_owned(), signed }])
}

fn release(session: &Session, at: At, author: &Author, request: &Request, role: Role) -> Result<Vec<Event>, Refusal> {
    let who = &author.principal;
    if session.line.pulled.is_empty() {
        return Err(match &session.line.held {
            Some(why) => Refusal::LineHeld { why: why.clone() },
            None => Refusal::NotStopped,
        });
    }
    if !session.line.pulled.contains_key(who) {
        match role {
            Role::Observer => return Err(Refusal::Observer { who: who.clone() }),
            Role::Seat => return Err(Refusal::SeatOnly { who: who.clone() }),
            Role::Lead | Role::Shadow => {}
        }
    }
    let mut released = session.line.released.clone();
    let again = !released.insert(who.clone());
    let freed = session.release_needs(at, &released).is_empty() && released.len() >= 2;
    // Said twice it is no news, unless it has become enough meanwhile: the puller who was waited for is gone by now.
    if again && !freed {
        return Ok(vec![]);
    }
    let signed = accept(session, at, author, request)?;
    Ok(vec![Event::AndonReleased { freed, signed }])
}

fn handover(session: &Session, who: &Principal, to: &Principal) -> Result<Vec<Event>, Refusal> {
    if !session.plan.crew.lead.contains(to) && !session.plan.crew.shadow.contains(to) {
        return Err(Refusal::NotCrew { to: to.clone() });
    }
    if *to == session.lead {
        return Err(Refusal::LeadsAlready { to: to.clone() });
    }
    if *who != session.lead && who != to {
        return Err(Refusal::NotYours { lead: session.lead.clone(), to: to.clone() });
    }
    let lost = session.owing_step().filter(|(_, state)| state.still_running());
    if let Some((step, state)) = session.busy_step().or(lost)
        && state.armed.as_ref().is_some_and(|armed| armed.checks.contains_key(to))
    {
        return Err(Refusal::CheckedRunning { to: to.clone(), step: step.id.clone() });
    }
    match &session.handover {
        Some(half) if half.to == *to && half.agreed != *who => {
            let mut events = vec![Event::LeadHandedOver { from: session.lead.clone(), to: to.clone() }];
            events.extend(void_open(session, Cause::HandedOver));
            Ok(events)
        }
        Some(half) if half.to == *to => Ok(vec![]),
        _ => Ok(vec![Event::HandoverAgreed { to: to.clone() }]),
    }
}

fn attend(session: &Session, who: &Principal, attention: &Attention) -> Result<Vec<Event>, Refusal> {
    Ok(match session.people.get(who) {
        Some(person) if person.attention != *attention => {
            vec![Event::AttentionChanged { principal: who.clone(), attention: attention.clone() }]
        }
        _ => vec![],
    })
}

fn close(session: &Session, note: &str) -> Result<Vec<Event>, Refusal> {
    if let Some((step, state)) = session.busy_step() {
        return Err(Refusal::Busy { other: step.id.clone(), phase: state.phase });
    }
    if let Some((step, state)) = session.owing_step() {
        return Err(Refusal::Owed { step: step.id.clone(), phase: state.phase });
    }
    rollback::contained(session)?;
    // What was typed and never ran is nothing that is left to do.
    let unrun = |(id, state): &(&StepId, &StepState)| {
        (state.phase.is_open() || state.phase == Phase::Planned) && session.plan.step(id).is_some_and(|step| step.adhoc)
    };
    let left = |(id, state): &(&StepId, &StepState)| !state.phase.is_done() && session.is_wanted(id);
    let complete = !session.steps.iter().filter(|step| !unrun(step)).any(|step| left(&step));
    let mut events: Vec<_> = void_open(session, Cause::Disarmed).into_iter().collect();
    let outcome = if complete { Outcome::Complete } else { Outcome::Partial };
    let note = note.to_owned();
    events.push(match session.hub_key {
        Some(_) => Event::CloseCalled { outcome, note },
        None => Event::SessionClosed { outcome, note, signed: None },
    });
    Ok(events)
}

fn gates_hold(session: &Session, step: &Step, at: At) -> Result<(), Refusal> {
    match step.gates.iter().find(|gate| !session.gate_passes(&step.id, gate, at)) {
        Some(gate) => Err(Refusal::Gate {
            watch: gate.watch.clone(),
            status: session.status(&gate.watch, at).word(),
            why: session.why(&gate.watch, at),
        }),
        None => Ok(()),
    }
}

fn line_free(session: &Session) -> Result<(), Refusal> {
    let refusal = match (session.line.pulled.keys().next(), &session.line.held) {
        (Some(who), _) => Refusal::LineStopped { why: format!("andon by {who}") },
        (None, Some(why)) => Refusal::LineHeld { why: why.clone() },
        (None, None) => return Ok(()),
    };
    if twin::broken(7) { Ok(()) } else { Err(refusal) }
}

/// Nothing starts while something runs, or while a word on what failed is owed.
pub(super) fn nothing_pending(session: &Session) -> Result<(), Refusal> {
    if let Some((step, state)) = session.busy_step() {
        return Err(Refusal::Busy { other: step.id.clone(), phase: state.phase });
    }
    match session.owing_step() {
        Some((step, state)) => Err(Refusal::Owed { step: step.id.clone(), phase: state.phase }),
        None => Ok(()),
    }
}

pub(super) fn lead_only(session: &Session, who: &Principal) -> Result<(), Refusal> {
    if *who == session.lead { Ok(()) } else { Err(Refusal::LeadOnly { lead: session.lead.clone() }) }
}

pub(super) fn state_of<'a>(session: &'a Session, id: &StepId) -> Result<&'a StepState, Refusal> {
    session.steps.get(id).ok_or_else(|| Refusal::NoSuchStep { step: id.clone() })
}

/// What is armed, if it is that attempt of that step.
fn open_attempt<'a>(session: &'a Session, id: &StepId, attempt: u32) -> Result<&'a Armed, Refusal> {
    let state = state_of(session, id)?;
    match &state.armed {
        Some(armed) if state.phase.is_open() && state.attempt == attempt => Ok(armed),
        Some(_) if state.phase.is_open() => {
            Err(Refusal::Attempt { step: id.clone(), asked: attempt, now: state.attempt })
        }
        _ => Err(match &state.voided {
            Some(why) if state.phase == Phase::Planned => {
                Refusal::NotArmedAnyMore { step: id.clone(), why: why.clone() }
            }
            _ => Refusal::Phase { step: id.clone(), phase: state.phase, wanted: "armed" },
        }),
    }
}

pub(super) fn void(step: &StepId, attempt: u32, cause: Cause) -> Event {
    Event::StepVoided { step: step.clone(), attempt, cause }
}

pub(super) fn void_open(session: &Session, cause: Cause) -> Option<Event> {
    session.open_step().map(|(step, state, _)| void(&step.id, state.attempt, cause))
}

//! The session in short sentences: the events pane, plain mode and the report tell the same story. [`story`] names every kind
//! of event; a sentence that takes thought stands with its like, a file below for each.

mod arming;
mod people;
mod runs;

pub use people::stops;

use super::{Session, left, preflight, recovery, twin};
use crate::event::{Attention, Event, Part, RunEnd, Settled};
use crate::plan::Step;
use crate::transcript::record::Line;

/// One sentence on that event, told with what the session was just before it; none for events that are no news by
/// themselves (readings, output, attention).
pub fn story(session: &Session, line: &Line) -> Option<String> {
    let by = &line.by;
    let number = |event: &Event| {
        event.step().map(|id| match session.plan.number(id) {
            Some(number) => format!("{number:02} {id}"),
            None => id.to_string(),
        })
    };
    let step = number(&line.event).unwrap_or_default();
    Some(match &line.event {
        Event::SessionOpened { plan_name, environment, rehearsal, earlier, .. } => {
            people::opened((plan_name, environment), rehearsal.as_deref(), earlier.as_deref())
        }
        Event::Recovered { note, .. } => format!("the hub took the session up again: {}", shown(note)),
        Event::PlanChanged { what, .. } => {
            format!("the PLAN'S FILE CHANGED, {}; this session flies it as it was opened", shown(what))
        }
        Event::StopAsked {} => format!("HUB STOPS: {}", stops(session)),
        Event::ClockJumped { by_ms } => format!("the clock jumped by {by_ms} ms"),
        Event::CloseCalled { note, .. } => format!("{by} called the end{}; those who are here sign it", quoted(note)),
        Event::CloseSigned { .. } => format!("{by} signed the end"),
        Event::HubVouched { .. } => format!("{by} vouched for the hub's key"),
        Event::CheckpointSigned { .. } => return None,
        Event::SessionClosed { outcome, note, .. } => people::closed(by, *outcome, note),
        Event::Joined { principal, role, key, vouched, .. } => {
            let by = if *vouched { ", vouched for by allowed_signers" } else { "" };
            format!("{principal} joined as {} with {}{by}", role.word(), shown(key))
        }
        Event::Left { principal, why, connection } => people::left(session, principal, *connection, why),
        Event::KeyRefused { principal, key } => people::key_refused(principal, key),
        Event::ReadmitAgreed { principal, key, .. } => {
            format!("{by} agrees that {principal} is let in again with another key ({})", shown(key))
        }
        Event::Readmitted { principal, key, agreed, .. } => people::readmitted(principal, key, agreed, by),
        Event::LinkSilent { principal, connection, since } => {
            people::silent(session, principal, *connection, since.map(|since| line.at.since(since)))
        }
        Event::AttentionChanged { principal, attention } => match attention {
            Attention::Away => format!("{principal} is away"),
            _ => return None,
        },
        Event::SeatTaken { .. }
        | Event::ChecklistAnswered { .. }
        | Event::AvailabilityStated { .. }
        | Event::PollCalled { .. }
        | Event::PollAnswered { .. } => shown(&preflight::story(session, line.seq, line.at, by, &line.event)?),
        Event::HandoverAgreed { to } => format!("{by} agrees that {to} shall lead"),
        Event::LeadHandedOver { from, to, agreed: None } => format!("{from} handed the lead to {to}"),
        Event::LeadHandedOver { from, to, agreed: Some(agreed) } => {
            format!("LEAD TAKEN OVER: {to} leads, as {agreed} and {by} say; {from} is gone")
        }
        Event::LeadGone { lead, since } => people::lead_gone(lead, line.at.since(*since)),
        Event::Noted { text } => format!("{by} says: {}", shown(text)),
        Event::Marked { text } => format!("{by} marks: {}", shown(text)),
        Event::Refused { principal, request, reason } => {
            format!("refused to {principal}: {}: {}", shown(request), shown(reason))
        }
        Event::ReadingTaken { .. } | Event::OutputWritten { .. } | Event::Resized { .. } => return None,
        Event::GateTurned { watch, to, why, .. } => format!("watch {watch} is {}: {}", to.word(), shown(why)),
        Event::AnchorTaken { watch, anchor } => {
            format!("watch {watch} counts from here what is needed of {}", shown(&anchor.topic))
        }
        Event::RecoveryTurned { from, to, why } => shown(&recovery::turn(session, from.as_deref(), to.as_deref(), why)),
        Event::ParamSet { name, value, why } => arming::set(session, by, name, value, why),
        Event::StepEdited { run, why, .. } => arming::edited(by, &step, run, why),
        Event::StepAdded { run, why, .. } => arming::added(session, by, &step, run, why),
        Event::StepArmed { covers, attempt, .. } => arming::armed(by, &step, *attempt, covers),
        Event::CheckOpened { .. } => format!("{by} opened the check of {step}"),
        Event::ReadBack { field, right: true, .. } => format!("{by} read back {} of {step}", shown(field)),
        Event::ReadBack { field, right: false, .. } => arming::read_back_wrong(session, by, &step, field),
        Event::CrossChecked { digest, .. } => arming::checked(session, line, &step, digest),
        Event::Objected { why, .. } => format!("{by} objected to {step}{}", quoted(why)),
        Event::Withdrawn { .. } => format!("{by} withdrew the check of {step}"),
        Event::StepVoided { cause, .. } => format!("{step} is not armed any more: {}", shown(&cause.to_string())),
        Event::GateWaived { watch, status, why, .. } => {
            format!(
                "WAIVED: {by} waived gate {watch} ({}) for the next attempt of {step}{}",
                status.word(),
                quoted(why)
            )
        }
        Event::SkipAgreed { why, .. } => {
            format!("{by} agrees to skip {step}{}{}", arming::not_done(session, &line.event), quoted(why))
        }
        Event::StepSkipped { agreed, why, .. } => {
            let not_done = arming::not_done(session, &line.event);
            format!("{step} is SKIPPED{not_done}, by {agreed} and {by}{}", quoted(why))
        }
        Event::BreakGlass { missing, why, .. } => arming::glass(by, &step, *missing, why),
        Event::StepCleared { .. } => format!("{step} is cleared"),
        Event::RunRequested { note, .. } => runs::requested(planned(session, &line.event), by, &step, note),
        Event::RunIntended { .. } => match planned(session, &line.event).is_some_and(|step| step.runs().is_none()) {
            true => format!("{step} counts from here; no command runs"),
            false => format!("{step} will run"),
        },
        Event::RunStarted { part: Part::Step, process, .. } => format!("{step} runs, process {}", process.pid),
        Event::RunStarted { part, process, .. } => {
            format!("the {} of {step} runs, process {}", part.word(), process.pid)
        }
        Event::InputWritten { chars, text, .. } => match text {
            Some(text) => format!("{by} typed to {step}: {}", shown(text)),
            None => format!("{by} typed {chars} characters to {step}, hidden"),
        },
        Event::AnswerAwaited { part, line, .. } => {
            let what = if *part == Part::Step { step.clone() } else { format!("the {} of {step}", part.word()) };
            format!(
                "{what} WAITS FOR AN ANSWER NOBODY MAY GIVE: {:?}; interrupt it, and give the answer in its arguments (input = \"lead\" \
                 in the plan lets the lead type)",
                shown(line)
            )
        }
        Event::OthersAwaited { part, end, of, .. } => shown(&left::awaits_story(&step, *part, end, of)),
        Event::LeftBehind { part, of, .. } => shown(&left::behind_story(session, &line.event, &step, *part, of)),
        Event::LeftGone { part, processes, .. } => shown(&left::gone_story(&step, *part, processes)),
        Event::InputLost { why, .. } => format!("{step} did not take what was typed: {}", shown(why)),
        Event::RunInterrupted { force, .. } => {
            format!("{by} had {step} {}", if *force { "killed" } else { "interrupted" })
        }
        Event::RunEnded { end, .. } => runs::ended(session, &line.event, &step, end),
        Event::RollbackIntended { automatic, why, .. } => match automatic {
            true => format!("ROLLBACK of {step}, as the plan says: {}", shown(why)),
            false => format!("ROLLBACK of {step} by {by}: {}", shown(why)),
        },
        Event::RollbackEnded { end, .. } => runs::rollback_ended(session, &line.event, &step, end),
        Event::OutcomeUnknown { part, still_running, end, .. } => {
            runs::unknown(&step, *part, *still_running, end.as_ref())
        }
        Event::ProcessGone { .. } => format!("the process of {step} is gone"),
        Event::ProbeIntended { .. } => format!("{by} has the probe of {step} run"),
        Event::ProbeEnded { end, says, .. } => {
            format!("the probe of {step} is over: {}{}", shown(&end.to_string()), quoted(says))
        }
        Event::DoneByHand { by, note, .. } => format!("{step} was done by hand by {by}{}", quoted(note)),
        Event::BatchIntended { batch, .. } => {
            format!("{step} goes on with batch {batch}{}", runs::batch_lines(session, &line.event))
        }
        Event::BatchesEnded { done, of, why, .. } => {
            format!("{step} goes no further, {done} of {of} batches are done: {}", shown(why))
        }
        Event::WaitStarted { watch, until, anew, .. } => runs::wait_started(&step, watch, *until, *anew),
        Event::WaitEnded { end, why, .. } => runs::wait_ended(by, &step, *end, why),
        Event::VerifyStarted { part, until, anew, .. } => runs::verify_started(step, *part, *until, *anew),
        Event::VerifyEnded { part, verdict, compared, .. } => runs::verified(&step, *part, *verdict, compared),
        Event::SettleAgreed { why, .. } => {
            format!("{by} says that {step} is done though it ended badly{}", quoted(why))
        }
        Event::Acknowledged { outcome, agreed, why, .. } => {
            let agreed = agreed.as_ref().map_or_else(String::new, |agreed| format!("{agreed} and "));
            let word = match outcome {
                Settled::Done => "DONE, though it ended badly",
                Settled::Failed => "not done",
            };
            format!("{agreed}{by} settled {step} as {word}{}", quoted(why))
        }
        Event::AndonPulled { why } => format!("ANDON: {by} stopped the line{}", quoted(why)),
        Event::AndonReleased { freed: true, .. } => format!("{by} released the line; it goes on"),
        Event::AndonReleased { freed: false, .. } => format!("{by} released the line; not everyone has yet"),
        Event::LineHeld { why } => format!("the line is held: {}", shown(why)),
        Event::LineFreed { why } => format!("the line is free: {}", shown(why)),
        Event::Notified { notify, of, .. } => {
            // Told every time it would double the story; what people need to know is that it works again.
            session.telling.places.get(notify)?.failing.as_ref()?;
            format!("{} can be told again: line {of}", shown(session.place_name(*notify)))
        }
        Event::NotifyFailed { notify, of, why, .. } => people::not_told(session, *notify, of, why),
    })
}

fn planned<'a>(session: &'a Session, event: &Event) -> Option<&'a Step> {
    event.step().and_then(|id| session.plan.step(id))
}

fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {}", shown(text)) }
}

/// Whether that end counts as done, and the end in words.
fn counted(session: &Session, event: &Event, part: Part, end: &RunEnd) -> (bool, String) {
    let state = event.step().and_then(|id| session.steps.get(id));
    let words = state.map_or_else(|| end.to_string(), |state| state.end_words(part, end));
    (state.is_some_and(|state| state.counts(part, end).is_done()), shown(&words))
}

/// Every text from outside goes through here.
fn shown(text: &str) -> String {
    if twin::broken(10) { text.to_owned() } else { crate::name::shown(text) }
}

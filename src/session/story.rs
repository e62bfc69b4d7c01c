//! The session in short sentences: the events pane, plain mode and the report tell the same story.

use super::readback::TRIES;
use super::{Session, before, recovery, twin};
use crate::clock::human;
use crate::event::{Attention, Event, Outcome, Part, RunEnd, Settled, Verdict, WaitEnd};
use crate::plan::Step;
use crate::transcript::record::Line;
use std::time::Duration;

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
            let opened = match rehearsal {
                Some(data) => format!("REHEARSAL opened, on {}", shown(data)),
                None => "session opened".to_owned(),
            };
            let left = earlier.as_ref().filter(|earlier| !earlier.open.is_empty());
            let left = left.map_or_else(String::new, |earlier| format!("; {}", shown(&earlier.words())));
            format!("{opened}: {} on {}{left}", shown(plan_name), shown(environment))
        }
        Event::Recovered { note, .. } => format!("the hub took the session up again: {}", shown(note)),
        Event::ClockJumped { by_ms } => format!("the clock jumped by {by_ms} ms"),
        Event::CloseCalled { note, .. } => format!("{by} called the end{}; those who are here sign it", quoted(note)),
        Event::CloseSigned { .. } => format!("{by} signed the end"),
        Event::HubVouched { .. } => format!("{by} vouched for the hub's key"),
        Event::CheckpointSigned { .. } => return None,
        Event::SessionClosed { outcome, note, .. } => {
            let word = match outcome {
                Outcome::Complete => "complete",
                Outcome::Partial => "with steps left",
            };
            match by.is_hub() {
                true => format!("session closed, {word}{}", quoted(note)),
                false => format!("session closed by {by}, {word}{}", quoted(note)),
            }
        }
        Event::Joined { principal, role, key, vouched, .. } => {
            let by = if *vouched { ", vouched for by allowed_signers" } else { "" };
            format!("{principal} joined as {} with {}{by}", role.word(), shown(key))
        }
        Event::Left { principal, why, .. } => format!("{principal} left ({})", shown(why)),
        Event::AttentionChanged { principal, attention } => match attention {
            Attention::Away => format!("{principal} is away"),
            _ => return None,
        },
        Event::SeatTaken { .. }
        | Event::ChecklistAnswered { .. }
        | Event::AvailabilityStated { .. }
        | Event::PollCalled { .. }
        | Event::PollAnswered { .. } => shown(&before::story(session, line.seq, line.at, by, &line.event)?),
        Event::HandoverAgreed { to } => format!("{by} agrees that {to} shall lead"),
        Event::LeadHandedOver { from, to } => format!("{from} handed the lead to {to}"),
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
        Event::ParamSet { name, value, why } => {
            let default = session.plan.params.get(name).and_then(|param| param.default.as_ref());
            let word = match default {
                Some(default) if default != value => format!(", DEVIATION from the plan's {default:?}"),
                _ => String::new(),
            };
            format!("{by} set {} to {}{}", shown(name), shown(&format!("{value:?}{word}")), quoted(why))
        }
        Event::StepEdited { run, why, .. } => match run.is_empty() {
            true => format!("{by} gave {step} the plan's command again{}", quoted(why)),
            false => format!("{by} typed another command for {step}, DEVIATION: {}{}", shown(run), quoted(why)),
        },
        Event::StepAdded { run, why, .. } => {
            let word = if session.plan.steps.iter().any(|step| !step.adhoc) { ", DEVIATION" } else { "" };
            format!("{by} typed a command{word}: {step}: {}{}", shown(run), quoted(why))
        }
        Event::StepArmed { covers, attempt, .. } => {
            let word = if covers.covers().deviations.is_empty() { "" } else { ", DEVIATES from the plan" };
            format!("{by} armed {step} (attempt {attempt}, digest {}){word}", covers.digest().short())
        }
        Event::CheckOpened { .. } => format!("{by} opened the check of {step}"),
        Event::ReadBack { field, right: true, .. } => format!("{by} read back {} of {step}", shown(field)),
        Event::ReadBack { field, right: false, .. } => {
            let before = session.open_step().and_then(|(_, _, armed)| armed.readers.get(by)).map_or(0, |it| it.wrong);
            let out = match before + 1 >= TRIES {
                true => format!(" for the third time: {by} cannot check this attempt any more"),
                false => String::new(),
            };
            format!("{by} read back {} of {step} WRONG{out}", shown(field))
        }
        Event::CrossChecked { digest, .. } => {
            let opened = session.open_step().and_then(|(_, _, armed)| armed.opened.get(by));
            let looked = opened.map_or(Duration::ZERO, |opened| line.at.since(*opened));
            format!("{by} cross-checked {step} ({}, looked {})", digest.short(), human(looked))
        }
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
        Event::SkipAgreed { why, .. } => format!("{by} agrees to skip {step}{}", quoted(why)),
        Event::StepSkipped { agreed, why, .. } => format!("{step} is SKIPPED, by {agreed} and {by}{}", quoted(why)),
        Event::BreakGlass { missing, why, .. } => {
            let s = if *missing == 1 { "" } else { "s" };
            format!("BREAK GLASS: {by} cleared {step} alone, {missing} cross-check{s} missing{}", quoted(why))
        }
        Event::StepCleared { .. } => format!("{step} is cleared"),
        Event::RunRequested { note, .. } => match planned(session, &line.event) {
            Some(planned) if planned.manual.is_some() => {
                format!("{by} says that {step} is done by hand{}; its gates are read again", quoted(note))
            }
            Some(planned) if !planned.runs() => format!("{by} let {step} begin; its gates are read again"),
            _ => format!("{by} pressed run on {step}; gates and bytes are read again"),
        },
        Event::RunIntended { .. } => match planned(session, &line.event).is_some_and(|step| !step.runs()) {
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
        Event::InputLost { why, .. } => format!("{step} did not take what was typed: {}", shown(why)),
        Event::RunInterrupted { force, .. } => {
            format!("{by} had {step} {}", if *force { "killed" } else { "interrupted" })
        }
        Event::RunEnded { end, .. } => {
            let verified =
                planned(session, &line.event).is_some_and(|step| step.verify.is_some() || step.until.is_some());
            let (done, words) = counted(session, &line.event, Part::Step, end);
            let word = match (done, verified) {
                (true, true) => "ended",
                (true, false) => "done",
                _ if matches!(end, RunEnd::Changed { .. }) => "UNDECIDED",
                _ => "failed",
            };
            format!("{step} {word}: {words}")
        }
        Event::RollbackIntended { automatic, why, .. } => match automatic {
            true => format!("ROLLBACK of {step}, as the plan says: {}", shown(why)),
            false => format!("ROLLBACK of {step} by {by}: {}", shown(why)),
        },
        Event::RollbackEnded { end, .. } => {
            let verified =
                line.event.step().and_then(|id| session.plan.step(id)).and_then(|s| s.verify_of(Part::Rollback));
            let (done, words) = counted(session, &line.event, Part::Rollback, end);
            match (done, verified) {
                (true, None) => format!("{step} is rolled back: {words}"),
                (true, Some(_)) => format!("the rollback of {step} ended: {words}"),
                (false, _) => format!("the ROLLBACK of {step} FAILED: {words}"),
            }
        }
        Event::OutcomeUnknown { part, end: Some(end), .. } => {
            let what = if part.is_step() {
                format!("{step} is unknown")
            } else {
                format!("the {} of {step} is unknown", part.word())
            };
            format!("{what}: the link to its host was lost ({})", shown(&end.to_string()))
        }
        Event::OutcomeUnknown { part, still_running, .. } => {
            format!(
                "{step} is unknown: the hub died while {} ran{}",
                if part.is_step() { "it" } else { "its rollback" },
                if *still_running { "; its process is still alive" } else { "" }
            )
        }
        Event::ProcessGone { .. } => format!("the process of {step} is gone"),
        Event::ProbeIntended { .. } => format!("{by} has the probe of {step} run"),
        Event::ProbeEnded { end, says, .. } => {
            format!("the probe of {step} is over: {}{}", shown(&end.to_string()), quoted(says))
        }
        Event::DoneByHand { by, note, .. } => format!("{step} was done by hand by {by}{}", quoted(note)),
        Event::BatchIntended { batch, .. } => {
            format!("{step} goes on with batch {batch}{}", batch_lines(session, &line.event))
        }
        Event::BatchesEnded { done, of, why, .. } => {
            format!("{step} goes no further, {done} of {of} batches are done: {}", shown(why))
        }
        Event::WaitStarted { watch, until, anew, .. } => {
            let until =
                until.map_or_else(|| ", without a limit".to_owned(), |until| format!(", until {}", until.clock()));
            let anew = if *anew { "; anew: the hub was away" } else { "" };
            format!("{step} waits for {watch} to read ok{until}{anew}")
        }
        Event::WaitEnded { end, why, .. } => match end {
            WaitEnd::Met => format!("{step} waits no longer: {}", shown(why)),
            WaitEnd::TimedOut => format!("{step} waited too long: {}", shown(why)),
            WaitEnd::GivenUp => format!("{by} gave up waiting in {step}: {}", shown(why)),
        },
        Event::VerifyStarted { part, until, anew, .. } => {
            let anew = if *anew { ", anew: the hub was away" } else { "" };
            let what = if part.is_step() { step } else { format!("the rollback of {step}") };
            format!("{what} is held against what was before, until {}{anew}", until.clock())
        }
        Event::VerifyEnded { part, verdict, compared, .. } => {
            let telling = compared.iter().filter(|compared| compared.verdict == *verdict);
            let words: Vec<_> = telling.map(|it| format!("{}: {}", it.watch, shown(&it.why))).collect();
            let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join("; ")) };
            match (part, verdict) {
                (Part::Step, _) => format!("{step} verified: {}{words}", verdict.word()),
                (_, Verdict::Better | Verdict::Same) => format!("{step} is rolled back: {}{words}", verdict.word()),
                _ => format!("the ROLLBACK of {step} did not bring back what was before: {}{words}", verdict.word()),
            }
        }
        Event::Acknowledged { outcome, why, .. } => {
            let word = match outcome {
                Settled::Done => "done",
                Settled::Failed => "not done",
            };
            format!("{by} settled {step} as {word}{}", quoted(why))
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
        Event::NotifyFailed { notify, of, why, .. } => {
            let lines = of.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            let s = if of.len() == 1 { "" } else { "s" };
            format!("NOT TOLD: {} of line{s} {lines}: {}", shown(session.place_name(*notify)), shown(why))
        }
    })
}

fn planned<'a>(session: &'a Session, event: &Event) -> Option<&'a Step> {
    event.step().and_then(|id| session.plan.step(id))
}

/// Which lines a batch holds, counted from 1 as editors do.
fn batch_lines(session: &Session, event: &Event) -> String {
    let (Event::BatchIntended { batch, .. }, Some(id)) = (event, event.step()) else { return String::new() };
    let Some(each) = session.steps.get(id).and_then(|state| state.each()) else { return String::new() };
    let lines = each.batch(*batch);
    format!(" of {}: lines {} to {}", each.batches(), lines.start + 1, lines.end)
}

fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {}", shown(text)) }
}

/// Every text from outside goes through here.
/// Whether that end counts as done, and the end in words.
fn counted(session: &Session, event: &Event, part: Part, end: &RunEnd) -> (bool, String) {
    let state = event.step().and_then(|id| session.steps.get(id));
    let words = state.map_or_else(|| end.to_string(), |state| state.end_words(part, end));
    (state.is_some_and(|state| state.counts(part, end).is_done()), shown(&words))
}

fn shown(text: &str) -> String {
    if twin::broken(10) { text.to_owned() } else { crate::name::shown(text) }
}

//! How a step runs, waits, ends, is verified and undone.

use super::{counted, planned, quoted, shown};
use crate::clock::At;
use crate::event::{Compared, Event, Part, RunEnd, Verdict, WaitEnd};
use crate::name::{Principal, WatchId};
use crate::plan::{Does, Step};
use crate::session::Session;

pub(super) fn requested(planned: Option<&Step>, by: &Principal, step: &str, note: &str) -> String {
    match planned.map(|planned| &planned.does) {
        Some(Does::ByHand { .. }) => {
            format!("{by} says that {step} is done by hand{}; its gates are read again", quoted(note))
        }
        Some(Does::Waits { .. }) => format!("{by} let {step} begin; its gates are read again"),
        Some(Does::Runs(_)) | None => format!("{by} pressed run on {step}; gates and bytes are read again"),
    }
}

pub(super) fn ended(session: &Session, event: &Event, step: &str, end: &RunEnd) -> String {
    let verified = planned(session, event).is_some_and(|step| step.verify().is_some() || step.until().is_some());
    let (done, words) = counted(session, event, Part::Step, end);
    let word = match (done, verified) {
        (true, true) => "ended",
        (true, false) => "done",
        _ if matches!(end, RunEnd::Changed { .. }) || left_unsaid(session, event) => "UNDECIDED",
        _ => "failed",
    };
    format!("{step} {word}: {words}")
}

/// It would be done, had it left nothing running of which the plan says nothing.
fn left_unsaid(session: &Session, event: &Event) -> bool {
    let state = event.step().and_then(|id| session.steps.get(id));
    let Event::RunEnded { end, .. } = event else { return false };
    state.is_some_and(|state| state.left_too_early(Part::Step, end))
}

pub(super) fn rollback_ended(session: &Session, event: &Event, step: &str, end: &RunEnd) -> String {
    let verified = planned(session, event).and_then(|step| step.verify_of(Part::Rollback));
    let (done, words) = counted(session, event, Part::Rollback, end);
    match (done, verified) {
        (true, None) => format!("{step} is rolled back: {words}"),
        (true, Some(_)) => format!("the rollback of {step} ended: {words}"),
        (false, _) => format!("the ROLLBACK of {step} FAILED: {words}"),
    }
}

pub(super) fn unknown(step: &str, part: Part, still_running: bool, end: Option<&RunEnd>) -> String {
    let Some(end) = end else {
        return format!(
            "{step} is unknown: the hub died while {} ran{}",
            if part.is_step() { "it" } else { "its rollback" },
            if still_running { "; its process is still alive" } else { "" }
        );
    };
    let what =
        if part.is_step() { format!("{step} is unknown") } else { format!("the {} of {step} is unknown", part.word()) };
    format!("{what}: the link to its host was lost ({})", shown(&end.to_string()))
}

pub(super) fn wait_started(step: &str, watch: &WatchId, until: Option<At>, anew: bool) -> String {
    let until = until.map_or_else(|| ", without a limit".to_owned(), |until| format!(", until {}", until.clock()));
    let anew = if anew { "; anew: the hub was away" } else { "" };
    format!("{step} waits for {watch} to read ok{until}{anew}")
}

pub(super) fn wait_ended(by: &Principal, step: &str, end: WaitEnd, why: &str) -> String {
    match end {
        WaitEnd::Met => format!("{step} waits no longer: {}", shown(why)),
        WaitEnd::TimedOut => format!("{step} waited too long: {}", shown(why)),
        WaitEnd::GivenUp => format!("{by} gave up waiting in {step}: {}", shown(why)),
    }
}

pub(super) fn verify_started(step: String, part: Part, until: At, anew: bool) -> String {
    let anew = if anew { ", anew: the hub was away" } else { "" };
    let what = if part.is_step() { step } else { format!("the rollback of {step}") };
    format!("{what} is held against what was before, until {}{anew}", until.clock())
}

pub(super) fn verified(step: &str, part: Part, verdict: Verdict, compared: &[Compared]) -> String {
    let telling = compared.iter().filter(|compared| compared.verdict == verdict);
    let words: Vec<_> = telling.map(|it| format!("{}: {}", it.watch, shown(&it.why))).collect();
    let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join("; ")) };
    match (part, verdict) {
        (Part::Step, _) => format!("{step} verified: {}{words}", verdict.word()),
        (_, Verdict::Better | Verdict::Same) => format!("{step} is rolled back: {}{words}", verdict.word()),
        _ => format!("the ROLLBACK of {step} did not bring back what was before: {}{words}", verdict.word()),
    }
}

/// Which lines a batch holds, counted from 1 as editors do.
pub(super) fn batch_lines(session: &Session, event: &Event) -> String {
    let (Event::BatchIntended { batch, .. }, Some(id)) = (event, event.step()) else { return String::new() };
    let Some(each) = session.steps.get(id).and_then(|state| state.each()) else { return String::new() };
    let lines = each.batch(*batch);
    format!(" of {}: lines {} to {}", each.batches(), lines.start + 1, lines.end)
}

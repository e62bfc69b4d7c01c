//! How it stands, in words: phases, watches and gates, what a run came to, and the worst there is to say. Each with its tone,
//! which says what it means and leaves to the front end how that looks.

use super::acts::Act;
use super::sight::{Reach, Sight};
use crate::clock::{At, age, human};
use crate::event::{Part, Status, WaitEnd};
use crate::name::{StepId, WatchId, shown};
use crate::plan::{Class, Gate, Step};
use crate::session::Session;
use crate::session::steps::{Phase, RunState, StepState};
use std::time::Duration;

/// What a word means. A front end gives it a colour, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are the meaning
pub enum Tone {
    Text,
    Dim,
    Strong,
    Pass,
    Warn,
    Hold,
    Fail,
    Stale,
    Unknown,
    Waiting,
    Running,
    Done,
    Skipped,
    Changed,
    Destructive,
    Andon,
}

/// A sentence with its loudness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// How it is meant.
    pub tone: Tone,
    /// The word in front.
    pub word: &'static str,
    /// The sentence.
    pub text: String,
    /// Whether it fills its row from edge to edge.
    pub loud: bool,
}

/// The sign, the word and the tone of a phase. The sign alone never says it.
pub fn phase(phase: Phase) -> (&'static str, &'static str, Tone) {
    match phase {
        Phase::Planned => ("◦", "planned", Tone::Waiting),
        Phase::Armed => ("◇", "ARMED", Tone::Hold),
        Phase::Cleared => ("◆", "CLEARED", Tone::Pass),
        Phase::Starting => ("▸", "STARTING", Tone::Running),
        Phase::Intended => ("▸", "STARTS", Tone::Running),
        Phase::Running => ("▶", "RUNNING", Tone::Running),
        Phase::Waiting => ("▷", "WAITING", Tone::Running),
        Phase::Verifying => ("▷", "VERIFYING", Tone::Running),
        Phase::BetweenBatches => ("▷", "BETWEEN BATCHES", Tone::Running),
        Phase::Done => ("✓", "done", Tone::Done),
        Phase::Failed => ("✗", "FAILED", Tone::Fail),
        Phase::Degraded => ("✗", "DEGRADED", Tone::Fail),
        Phase::Undecided => ("?", "UNDECIDED", Tone::Unknown),
        Phase::Unknown => ("?", "UNKNOWN", Tone::Unknown),
        Phase::RollingBack => ("◀", "ROLLING BACK", Tone::Running),
        Phase::VerifyingRollback => ("◁", "VERIFYING ROLLBACK", Tone::Running),
        Phase::RolledBack => ("↩", "ROLLED BACK", Tone::Hold),
        Phase::RollbackFailed => ("✗", "ROLLBACK FAILED", Tone::Fail),
        Phase::SettledDone => ("≈", "SETTLED DONE", Tone::Warn),
        Phase::SettledFailed => ("✗", "settled not done", Tone::Skipped),
        Phase::Skipped => ("–", "SKIPPED", Tone::Skipped),
    }
}

/// The sign, the word and the tone of a watch at that time. A watch that is too old is STALE, whatever it read last.
pub fn watch(session: &Session, id: &WatchId, at: At) -> (&'static str, &'static str, Tone) {
    let read = session.watches.get(id).and_then(|state| state.reading.as_ref());
    match (session.status(id, at), read) {
        (Status::Ok, _) => ("✓", "ok", Tone::Pass),
        (Status::Warn, _) => ("!", "WARN", Tone::Warn),
        (Status::Fail, _) => ("✗", "FAIL", Tone::Fail),
        (Status::Unknown, Some(reading)) if reading.status != Status::Unknown => ("?", "STALE", Tone::Stale),
        (Status::Unknown, _) => ("?", "unknown", Tone::Unknown),
    }
}

/// PASS or HOLD, and its tone: how a gate stands for its step at that time.
pub fn gate(session: &Session, step: &StepId, gate: &Gate, at: At) -> (&'static str, &'static str, Tone) {
    let (_, word, tone) = watch(session, &gate.watch, at);
    match (session.gate_holds(gate, at), session.status(&gate.watch, at)) {
        (true, Status::Ok) => ("✓", "PASS", Tone::Pass),
        (true, _) => ("!", "PASS", Tone::Warn),
        (false, status) if session.is_waived(step, &gate.watch, status, at) => ("!", "WAIVED", Tone::Warn),
        (false, Status::Unknown) => ("?", word, tone),
        (false, _) => ("✗", "HOLD", Tone::Hold),
    }
}

/// The class of a step where it is worth a word, and its tone.
pub fn class(class: Class) -> (&'static str, Tone) {
    match class {
        Class::Routine => ("", Tone::Dim),
        Class::Critical => ("CRITICAL", Tone::Changed),
        Class::Irreversible => ("IRREVERSIBLE", Tone::Destructive),
    }
}

/// The worst thing there is to say at that time; what the second row shows.
pub fn alarm(sight: &Sight) -> Alarm {
    let (session, now) = (sight.session, sight.at);
    let say = |tone, word, text: String, loud| Alarm { tone, word, text, loud };
    if let Reach::Dying { why } = sight.reach {
        return say(Tone::Fail, "HUB LOST ITS TRANSCRIPT", format!("nothing can start any more: {}", shown(why)), true);
    }
    if session.stopping.is_some() && session.closed.is_none() {
        return say(Tone::Fail, "HUB STOPS", crate::session::stops(session), true);
    }
    if !session.line.pulled.is_empty() {
        return say(Tone::Andon, "ANDON", andon_text(session, now), true);
    }
    if let Reach::Lost { since, why, tries } = sight.reach {
        let text = format!("for {}: {} (try {tries}); what is shown is that old", age(since), shown(why));
        return say(Tone::Stale, "LINK LOST", text, true);
    }
    if let Some(glass) = glass(session) {
        return say(Tone::Fail, "BREAK GLASS", glass, true);
    }
    if let Some(why) = &session.line.held {
        return say(Tone::Hold, "LINE HELD", format!("{}. It frees itself once that is over.", shown(why)), true);
    }
    if let Some(outcome) = session.closed {
        let text = match outcome {
            crate::event::Outcome::Complete => "complete: nothing is left to do",
            crate::event::Outcome::Partial => "with steps left",
        };
        return say(Tone::Strong, "SESSION CLOSED", text.into(), false);
    }
    if let Some(gone) = lead_gone(sight) {
        return say(Tone::Fail, "LEAD GONE", gone, true);
    }
    if let Some((step, state)) = session.owing_step() {
        let (_, word, tone) = phase(state.phase);
        let undo = if state.phase.may_roll_back() && step.rollback.is_some() {
            format!(", or the lead rolls it back{}", sight.how(Act::Rollback))
        } else {
            String::new()
        };
        let text = match (state.still_running(), session.rollback_held()) {
            (true, _) => format!("{}: its process is still alive; nothing starts", session.numbered(&step.id)),
            (false, Some((_, who))) => format!(
                "{}: its AUTOMATIC ROLLBACK IS HELD by the andon of {}; it starts once the line is released, or the lead starts it{}",
                session.numbered(&step.id),
                who.short(),
                sight.how(Act::Rollback)
            ),
            (false, None) => format!(
                "{} {}: nothing starts until a shadow settles it{}{undo}",
                session.numbered(&step.id),
                // What is left undone comes before how well the rest went.
                state
                    .batches_cut()
                    .filter(|_| state.rollback.is_none())
                    .map(|cut| shown(&cut))
                    .or_else(|| verification(state, now).map(|said| format!("{}{said}", made(state))))
                    .or_else(|| run_result(state))
                    .unwrap_or_default(),
                sight.how(Act::Settle)
            ),
        };
        return say(tone, word, text, false);
    }
    if let Some((step, state)) = session.current_step().filter(|(_, state)| !state.phase.part().is_step()) {
        let (_, word, tone) = phase(state.phase);
        let why = verification(state, now).or_else(|| run_result(state)).unwrap_or_default();
        return say(tone, word, format!("{} {why}", session.numbered(&step.id)), false);
    }
    let polled = session.poll_locks();
    if let Some(no) = polled.first().filter(|lock| lock.starts_with("NO-GO") || lock.contains("is not fit")) {
        let text = shown(no.strip_prefix("NO-GO ").unwrap_or(no));
        return say(Tone::Fail, "NO-GO", format!("{}{}", session.shortened(&text), sight.how(Act::Before)), false);
    }
    if let Some((step, _)) = session.current_step()
        && let Some(held) = step.gates.iter().find(|gate| !session.gate_passes(&step.id, gate, now))
    {
        let (_, word, tone) = gate(session, &step.id, held, now);
        let why = shown(&session.why(&held.watch, now));
        return say(tone, word, format!("{} gate {}: {why}", session.numbered(&step.id), held.watch), false);
    }
    let bad = session.plan.watches.iter().map(|watch| (watch, session.status(&watch.id, now)));
    let worst = bad.rev().filter(|(_, status)| *status > Status::Warn).max_by_key(|(_, status)| *status);
    if let Some((bad, _)) = worst {
        let (_, word, tone) = watch(session, &bad.id, now);
        return say(tone, word, format!("{}: {}", bad.id, shown(&session.why(&bad.id, now))), false);
    }
    if let Some((who, since)) = silent(session) {
        let text = format!("{who} for {}: the link is open, and nothing comes", human(now.since(since)));
        return say(Tone::Warn, "SILENT", text, false);
    }
    if let Some(warning) = session.time_warnings(now).first() {
        return say(Tone::Warn, "TIME", format!("{}{}", session.shortened(warning), sight.how(Act::Before)), false);
    }
    if let Some(lock) = polled.first() {
        let more = if polled.len() > 1 { format!(", and {} more", polled.len() - 1) } else { String::new() };
        return say(
            Tone::Hold,
            "NOT GO",
            format!("{}{more}{}", shown(&session.shortened(lock)), sight.how(Act::Before)),
            false,
        );
    }
    if let Some(left) = session.left.first() {
        let more = session.left.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        let text = format!("{} left running: {}{more}", session.numbered(&left.step), shown(&left.seen.to_string()));
        return say(Tone::Warn, "STILL RUNS", text, false);
    }
    let untold: Vec<_> = session.untold().collect();
    if let Some((place, why)) = untold.first() {
        let more = if untold.len() > 1 { format!(" (and {} more)", untold.len() - 1) } else { String::new() };
        return say(Tone::Warn, "NOT TOLD", format!("{}: {}{more}", shown(place), shown(why)), false);
    }
    if let Some((who, half)) = knocked(session, now) {
        let how = match half {
            Some(by) => format!("{by} says it is them; one more lets them in{}", sight.how(Act::Readmit)),
            None => format!("is it really them? two of the crew let them in{}", sight.how(Act::Readmit)),
        };
        return say(Tone::Warn, "ANOTHER KEY", format!("somebody came as {who} with another key; {how}"), false);
    }
    if session.plan_changed {
        let text = format!("changed on disk; flown as it was opened ({})", shown(&session.plan_differs));
        return say(Tone::Warn, "PLAN FILE", text, false);
    }
    if let Some(taken) = session.taken.last() {
        let text = taken.to_string();
        let text = text.strip_prefix("LEAD TAKEN OVER ").unwrap_or(&text);
        return say(Tone::Warn, "LEAD TAKEN OVER", session.shortened(text), false);
    }
    no_return(session)
}

/// Where the session stands towards its point of no return.
pub fn no_return(session: &Session) -> Alarm {
    let say = |tone, text: String| Alarm { tone, word: "POINT OF NO RETURN", text, loud: false };
    let marked: Vec<_> = session.plan.steps.iter().filter(|step| step.point_of_no_return).collect();
    let begun =
        |step: &&&Step| session.steps.get(&step.id).is_some_and(|state| state.run.is_some() || state.phase.is_done());
    if let Some(step) = marked.iter().rev().find(begun) {
        let left = if session.plan.recovery.is_empty() {
            "nothing from there on can be undone"
        } else {
            "only the way back is left"
        };
        let text = format!("passed with step {}; {left}", session.numbered(&step.id));
        return say(Tone::Destructive, text);
    }
    let Some(step) = marked.first() else {
        return Alarm { tone: Tone::Dim, word: "no point of no return", text: "in this plan".into(), loud: false };
    };
    let here = session.current_step().and_then(|(step, _)| session.plan.number(&step.id)).unwrap_or(0);
    let there = session.plan.number(&step.id).unwrap_or(0);
    let number = session.numbered(&step.id);
    match there.saturating_sub(here) {
        0 if session.plan.recovery.is_empty() => {
            say(Tone::Destructive, format!("this step, {number}: after it nothing can be undone"))
        }
        0 => say(Tone::Destructive, format!("this step, {number}: after it only the way back is left")),
        1 => say(Tone::Hold, format!("next: before step {number}")),
        ahead => say(Tone::Text, format!("{ahead} steps ahead, before step {number}")),
    }
}

/// Who pulled the andon, why, and what releases it.
pub fn andon_text(session: &Session, now: At) -> String {
    let who: Vec<_> =
        session.line.pulled.iter().map(|(who, at)| format!("{} {} ago", who.short(), age(now.since(*at)))).collect();
    let needs = session.release_needs(now, &session.line.released);
    let needs = match needs.is_empty() {
        true => "a second person".to_owned(),
        false => session.shortened(&needs.join(" and ")),
    };
    let why = andon_why(session).map_or_else(String::new, |why| format!(" · {why}"));
    format!("line stopped by {} · to go on, A by {needs}{why}", who.join(", "))
}

/// The reason given with the latest pull, as the story tells it; the session keeps no other copy.
fn andon_why(session: &Session) -> Option<String> {
    let told = session.recent.iter().rev().find(|told| told.text.starts_with("ANDON: "))?;
    let (_, why) = told.text.split_once("stopped the line: ")?;
    Some(shown(why))
}

/// How the latest run of a step stands, and what undid it: `exit 0 after 0:31`, `exit 1 after 2 s; rollback: exit 0 after 1 s`.
pub fn run_result(state: &StepState) -> Option<String> {
    let lost = |part: Part| match state.phase {
        Phase::Unknown | Phase::SettledDone | Phase::SettledFailed => true,
        phase => phase.part() != part || phase.owes_acknowledgement(),
    };
    let last = if state.rollback.is_some() { Part::Rollback } else { Part::Step };
    let result = |part: Part| {
        let run = state.run_of(part)?;
        let took = run.ended.map(|ended| ended.since(run.started.unwrap_or(run.intended)));
        let after = took.map_or_else(String::new, |took| format!(" after {}", human(took)));
        let left = state.left_words(part).map_or_else(String::new, |left| format!("; still runs: {}", shown(&left)));
        Some(match &run.end {
            Some(end) if state.phase == Phase::Unknown && part == last => {
                format!("outcome unknown: link lost, {}{after}", shown(&end.to_string()))
            }
            Some(end) => format!("{}{after}{left}", shown(&state.end_words(part, end))),
            None if lost(part) => "outcome unknown: the hub died while it ran".into(),
            None if state.phase == Phase::Waiting => "waits".into(),
            None => state.awaits().map_or_else(|| "runs".into(), |awaits| shown(&awaits)),
        })
    };
    let run = match state.run.as_ref().and_then(without_process) {
        Some(words) => words,
        None => result(Part::Step)?,
    };
    let run = match state.batches_cut() {
        Some(cut) => format!("{}; the last one {run}", shown(&cut)),
        None => format!("{}{run}", batch(state)),
    };
    Some(match result(Part::Rollback) {
        Some(rollback) => format!("{run}; rollback: {rollback}"),
        None => run,
    })
}

/// How the verification of the latest run stands: what is left of it and what was seen so far, or what it came to.
pub fn verification(state: &StepState, now: At) -> Option<String> {
    let run = state.latest_run()?;
    if let Some((verdict, compared)) = &run.verdict {
        let telling = compared.iter().filter(|compared| compared.verdict == *verdict);
        let words: Vec<_> = telling.map(|it| format!("{} {}", it.watch, shown(&it.why))).collect();
        return Some(match words.is_empty() {
            true => verdict.word().to_owned(),
            false => format!("{}: {}", verdict.word(), words.join("; ")),
        });
    }
    let verifying = run.verify.as_ref()?;
    let (_, until) = verifying.span?;
    let seen = state.before.keys().map(|watch| {
        let after = verifying.after.get(watch).map_or(&[][..], |sampled| &sampled.statuses);
        match after.last() {
            Some(status) => format!("{watch} {} ({} read)", status.word(), after.len()),
            None => format!("{watch} not read yet"),
        }
    });
    Some(format!("{} left; {}", human(until.since(now)), seen.collect::<Vec<_>>().join(", ")))
}

/// What a step that was undone had made of things, before what its rollback came to.
fn made(state: &StepState) -> String {
    let verdict = state.run.as_ref().and_then(|run| run.verdict.as_ref()).filter(|_| state.rollback.is_some());
    verdict.map_or_else(String::new, |(verdict, compared)| {
        let telling = compared.iter().find(|compared| compared.verdict == *verdict);
        let why = telling.map_or_else(String::new, |it| format!(" ({} {})", it.watch, shown(&it.why)));
        format!("{}{why}; rolled back: ", verdict.word())
    })
}

/// Which batch of its lines a step is at; nothing where it has none.
pub fn batch(state: &StepState) -> String {
    state.batch().map_or_else(String::new, |(batch, of)| format!("batch {batch} of {of}, "))
}

/// What became of a run by a person, or of the wait after it.
fn without_process(run: &RunState) -> Option<String> {
    if let Some(waited) = &run.waited {
        let word = match waited.end {
            WaitEnd::Met => "waited until",
            WaitEnd::TimedOut => "waited too long for",
            WaitEnd::GivenUp => "waiting was given up for",
        };
        return Some(format!("{word} {}", shown(&waited.why)));
    }
    let said = run.by_hand.as_ref()?;
    let note = if said.note.is_empty() { String::new() } else { format!(": {}", shown(&said.note)) };
    Some(format!("done by hand by {}{note}", said.by.short()))
}

/// That the lead is gone for so long that others may take the lead, and how.
fn lead_gone(sight: &Sight) -> Option<String> {
    let (session, now, how) = (sight.session, sight.at, sight.how(Act::Handover));
    let since = session.gone_since(&session.lead).filter(|_| session.is_gone(&session.lead, now))?;
    let half = session.handover.as_ref().and_then(|half| session.half_handover(&half.to, now));
    let way = match half.filter(|half| session.may_take_lead(&half.to, now)) {
        Some(half) => format!("{} says that {} shall lead; one more has to{how}", half.agreed.short(), half.to.short()),
        None => {
            let heirs = session.people.keys().filter(|who| session.is_here(who) && session.may_take_lead(who, now));
            let heirs: Vec<_> = heirs.map(|who| who.short()).collect();
            match heirs.is_empty() {
                true => format!("one who may lead and one more take the lead over{how}"),
                false => format!("{} can take the lead over, with one more{how}", heirs.join(" or ")),
            }
        }
    };
    Some(format!("{} for {}; {way}", session.lead.short(), human(now.since(since))))
}

/// Who came with a key that their link does not stay with and is not here otherwise; and who said already that it is them.
pub(super) fn knocked(session: &Session, now: At) -> Option<(&str, Option<&str>)> {
    let (who, key) = session.people.iter().find_map(|(who, person)| {
        let key = person.knocked.as_ref().filter(|_| person.connections.is_empty())?;
        Some((who, key))
    })?;
    Some((who.short(), session.half_readmit(who, key, now).map(|half| half.by.short())))
}

/// Of whom nothing is heard though their link is open, and on whom something hangs: the lead first.
fn silent(session: &Session) -> Option<(&str, At)> {
    let silent = session.people.iter().filter_map(|(who, person)| Some((who, person.silent_since()?)));
    let theirs = silent.filter(|(who, _)| session.is_crew(who));
    theirs.min_by_key(|(who, _)| **who != session.lead).map(|(who, since)| (who.short(), since))
}

/// What fills the second row while a step that was cleared by breaking the glass is not over.
fn glass(session: &Session) -> Option<String> {
    let open = |state: &StepState| !state.phase.is_over() && state.phase != Phase::Planned;
    let glass = session.glass.iter().rev().find(|glass| {
        session.steps.get(&glass.step).is_some_and(|state| state.attempt == glass.attempt && open(state))
    })?;
    Some(format!(
        "{} was cleared by {} alone, {} missing: {}",
        session.numbered(&glass.step),
        glass.by.short(),
        glass.missing,
        shown(&glass.why)
    ))
}

/// How long a step has been in what it is in, where that is worth a column.
pub fn step_time(state: &StepState, now: At) -> Option<Duration> {
    match (state.latest_run(), &state.armed, state.phase) {
        (_, Some(armed), phase) if phase.is_open() => Some(now.since(armed.at)),
        (Some(run), _, phase) if phase.is_settling() => Some(now.since(run.started.unwrap_or(run.intended))),
        // Of batches from the first one on.
        (Some(run), _, _) if run.batch > 1 => Some(run.finished.or(run.ended).unwrap_or(now).since(run.intended)),
        (Some(run), _, _) => Some(run.ended.unwrap_or(now).since(run.started.unwrap_or(run.intended))),
        _ => None,
    }
}

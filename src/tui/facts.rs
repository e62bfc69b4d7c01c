//! What a screen says about a session, in words: pure functions that every pane, the panel and the tests share.

use super::app::{Now, Panel};
use super::theme::Ink;
use crate::client::view::{Link, View};
use crate::clock::{At, age, human};
use crate::event::{CommandSeen, Part, Role, Status, WaitEnd};
use crate::name::{Principal, StepId, WatchId, shown};
use crate::plan::{Class, Command, Step, WatchKind};
use crate::session::steps::{Phase, RunState, StepState};
use crate::session::{Request, Session};
use std::time::Duration;

/// A sentence with its loudness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// How it is drawn.
    pub ink: Ink,
    /// The word in front.
    pub word: &'static str,
    /// The sentence.
    pub text: String,
    /// Whether it fills its row from edge to edge.
    pub loud: bool,
}

/// The sign, the word and the ink of a phase. The sign alone never says it.
pub fn phase(phase: Phase) -> (&'static str, &'static str, Ink) {
    match phase {
        Phase::Planned => ("◦", "planned", Ink::Waiting),
        Phase::Armed => ("◇", "ARMED", Ink::Hold),
        Phase::Cleared => ("◆", "CLEARED", Ink::Pass),
        Phase::Starting => ("▸", "STARTING", Ink::Running),
        Phase::Intended => ("▸", "STARTS", Ink::Running),
        Phase::Running => ("▶", "RUNNING", Ink::Running),
        Phase::Waiting => ("▷", "WAITING", Ink::Running),
        Phase::Verifying => ("▷", "VERIFYING", Ink::Running),
        Phase::BetweenBatches => ("▷", "BETWEEN BATCHES", Ink::Running),
        Phase::Done => ("✓", "done", Ink::Done),
        Phase::Failed => ("✗", "FAILED", Ink::Fail),
        Phase::Degraded => ("✗", "DEGRADED", Ink::Fail),
        Phase::Undecided => ("?", "UNDECIDED", Ink::Unknown),
        Phase::Unknown => ("?", "UNKNOWN", Ink::Unknown),
        Phase::RollingBack => ("◀", "ROLLING BACK", Ink::Running),
        Phase::VerifyingRollback => ("◁", "VERIFYING ROLLBACK", Ink::Running),
        Phase::RolledBack => ("↩", "ROLLED BACK", Ink::Hold),
        Phase::RollbackFailed => ("✗", "ROLLBACK FAILED", Ink::Fail),
        Phase::SettledDone => ("≈", "SETTLED DONE", Ink::Warn),
        Phase::SettledFailed => ("✗", "settled not done", Ink::Skipped),
        Phase::Skipped => ("–", "SKIPPED", Ink::Skipped),
    }
}

/// The sign, the word and the ink of a watch at that time. A watch that is too old is STALE, whatever it read last.
pub fn watch(session: &Session, id: &WatchId, at: At) -> (&'static str, &'static str, Ink) {
    let read = session.watches.get(id).and_then(|state| state.reading.as_ref());
    match (session.status(id, at), read) {
        (Status::Ok, _) => ("✓", "ok", Ink::Pass),
        (Status::Warn, _) => ("!", "WARN", Ink::Warn),
        (Status::Fail, _) => ("✗", "FAIL", Ink::Fail),
        (Status::Unknown, Some(reading)) if reading.status != Status::Unknown => ("?", "STALE", Ink::Stale),
        (Status::Unknown, _) => ("?", "unknown", Ink::Unknown),
    }
}

/// The value of a watch as it may be shown at that time: `?` once it is too old or was never read.
pub fn watch_value(session: &Session, id: &WatchId, at: At) -> String {
    let reading = session.watches.get(id).and_then(|state| state.reading.as_ref());
    match reading {
        Some(reading) if session.status(id, at) != Status::Unknown => {
            reading.value.map_or_else(String::new, |value| super::text::value(value, &reading.unit))
        }
        _ => "?".into(),
    }
}

/// The age of a watch's latest reading in a word; `-` where there is none.
pub fn watch_age(session: &Session, id: &WatchId, at: At) -> String {
    session.age(id, at).map_or_else(|| "-".into(), age)
}

/// PASS or HOLD, and its ink: how a gate stands for its step at that time.
pub fn gate(session: &Session, step: &StepId, gate: &crate::plan::Gate, at: At) -> (&'static str, &'static str, Ink) {
    let (_, word, ink) = watch(session, &gate.watch, at);
    match (session.gate_holds(gate, at), session.status(&gate.watch, at)) {
        (true, Status::Ok) => ("✓", "PASS", Ink::Pass),
        (true, _) => ("!", "PASS", Ink::Warn),
        (false, status) if session.is_waived(step, &gate.watch, status, at) => ("!", "WAIVED", Ink::Warn),
        (false, Status::Unknown) => ("?", word, ink),
        (false, _) => ("✗", "HOLD", Ink::Hold),
    }
}

/// Whether a watch belongs in the lag pane.
pub fn is_kafka(kind: &WatchKind) -> bool {
    matches!(kind, WatchKind::KafkaLag { .. } | WatchKind::KafkaRetention(_))
}

/// Whether a watch is about a backup.
pub fn is_backup(kind: &WatchKind) -> bool {
    matches!(kind, WatchKind::File { .. } | WatchKind::Restic(_) | WatchKind::PgDump(_))
}

/// The argument vector that a step would run or did run, and whether it is frozen. Where a parameter is missing the
/// template is shown as it stands, marked as not frozen.
pub fn argv(session: &Session, step: &Step) -> (Vec<String>, bool) {
    if let Some((state, armed)) = session.steps.get(&step.id).and_then(|state| Some((state, state.armed.as_ref()?))) {
        let covers = armed.covers.covers();
        // While a step is being undone, that is what runs.
        let command = covers.command_of(state.phase.part()).unwrap_or(&covers.command);
        return (command.argv.clone(), true);
    }
    if !step.runs() {
        return (vec![], false);
    }
    let argv = step.command.run.argv(&session.params).unwrap_or_else(|_| match &step.command.run {
        crate::plan::Run::Argv(words) => words.iter().map(|word| word.text().to_owned()).collect(),
        crate::plan::Run::Shell(text) => vec!["sh".into(), "-eu".into(), "-c".into(), text.text().to_owned()],
    });
    (argv, false)
}

/// What a person does in a step that has no command, filled in; or that it only waits.
pub fn without_command(session: &Session, step: &Step) -> Option<String> {
    let armed = session.steps.get(&step.id).and_then(|state| state.armed.as_ref());
    if let Some(words) = armed.and_then(|armed| armed.covers.covers().manual.clone()) {
        return Some(words);
    }
    match &step.manual {
        Some(words) => Some(words.render(&session.params).unwrap_or_else(|_| words.text().to_owned())),
        None if step.runs() => None,
        None => Some("nothing runs; it only waits".to_owned()),
    }
}

/// Names and values of the parameters that decide what a step does.
pub fn params_used(session: &Session, step: &Step) -> Vec<(String, String)> {
    let value = |name: &String| session.params.get(name).cloned().unwrap_or_else(|| "(no value yet)".into());
    step.params().iter().map(|name| (name.clone(), value(name))).collect()
}

/// `PROD-…` environments are drawn louder.
pub fn environment(session: &Session) -> (String, Ink) {
    let name = shown(&session.plan.environment);
    let ink = if name.to_lowercase().contains("prod") { Ink::EnvProd } else { Ink::EnvOther };
    (name.to_uppercase(), ink)
}

/// What that person is to this session, in a word.
pub fn role_word(session: &Session, who: &Principal) -> (&'static str, Ink) {
    match session.role(who) {
        Role::Lead => ("LEAD", Ink::Lead),
        Role::Shadow => ("SHADOW", Ink::Shadow),
        Role::Seat => ("SEAT", Ink::Shadow),
        Role::Observer => ("OBSERVER", Ink::Observer),
    }
}

/// The class of a step where it is worth a word, and its ink.
pub fn class(class: Class) -> (&'static str, Ink) {
    match class {
        Class::Routine => ("", Ink::Dim),
        Class::Critical => ("CRITICAL", Ink::Changed),
        Class::Irreversible => ("IRREVERSIBLE", Ink::Destructive),
    }
}

/// The worst thing there is to say at that time; what the second row shows.
pub fn alarm(view: &View, now: At, wall: At) -> Alarm {
    let session = &*view.session;
    let say = |ink, word, text: String, loud| Alarm { ink, word, text, loud };
    if let Some(why) = &view.dying {
        return say(Ink::Fail, "HUB LOST ITS TRANSCRIPT", format!("nothing can start any more: {}", shown(why)), true);
    }
    if session.stopping.is_some() && session.closed.is_none() {
        return say(Ink::Fail, "HUB STOPS", crate::session::stops(session), true);
    }
    if !session.line.pulled.is_empty() {
        return say(Ink::Andon, "ANDON", andon_text(session, now), true);
    }
    if let Link::Lost { since, why, tries } = &view.link {
        let text = format!("for {}: {} (try {tries}); what is shown is that old", age(wall.since(*since)), shown(why));
        return say(Ink::Stale, "LINK LOST", text, true);
    }
    if let Some(glass) = super::exceptions::glass(session) {
        return say(Ink::Fail, "BREAK GLASS", glass, true);
    }
    if let Some(why) = &session.line.held {
        return say(Ink::Hold, "LINE HELD", format!("{}. It frees itself once that is over.", shown(why)), true);
    }
    if let Some(outcome) = session.closed {
        let text = match outcome {
            crate::event::Outcome::Complete => "complete: nothing is left to do",
            crate::event::Outcome::Partial => "with steps left",
        };
        return say(Ink::Strong, "SESSION CLOSED", text.into(), false);
    }
    if let Some(gone) = super::exceptions::lead_gone(session, now) {
        return say(Ink::Fail, "LEAD GONE", gone, true);
    }
    if let Some((step, state)) = session.owing_step() {
        let (_, word, ink) = phase(state.phase);
        let undo =
            if state.phase.may_roll_back() && step.rollback.is_some() { ", or the lead rolls it back (R)" } else { "" };
        let text = match (state.still_running(), session.rollback_held()) {
            (true, _) => format!("{}: its process is still alive; nothing starts", session.numbered(&step.id)),
            (false, Some((_, who))) => format!(
                "{}: its AUTOMATIC ROLLBACK IS HELD by the andon of {}; it starts once the line is released, or the lead starts it (R)",
                session.numbered(&step.id),
                who.short()
            ),
            (false, None) => format!(
                "{} {}: nothing starts until a shadow settles it (k){undo}",
                session.numbered(&step.id),
                // What is left undone comes before how well the rest went.
                state
                    .batches_cut()
                    .filter(|_| state.rollback.is_none())
                    .map(|cut| shown(&cut))
                    .or_else(|| verification(state, now).map(|said| format!("{}{said}", made(state))))
                    .or_else(|| run_result(state))
                    .unwrap_or_default()
            ),
        };
        return say(ink, word, text, false);
    }
    if let Some((step, state)) = session.current_step().filter(|(_, state)| !state.phase.part().is_step()) {
        let (_, word, ink) = phase(state.phase);
        let why = verification(state, now).or_else(|| run_result(state)).unwrap_or_default();
        return say(ink, word, format!("{} {why}", session.numbered(&step.id)), false);
    }
    let polled = session.poll_locks();
    if let Some(no) = polled.first().filter(|lock| lock.starts_with("NO-GO") || lock.contains("is not fit")) {
        let text = shown(no.strip_prefix("NO-GO ").unwrap_or(no));
        return say(Ink::Fail, "NO-GO", format!("{} (b)", session.shortened(&text)), false);
    }
    if let Some((step, _)) = session.current_step()
        && let Some(held) = step.gates.iter().find(|gate| !session.gate_passes(&step.id, gate, now))
    {
        let (_, word, ink) = gate(session, &step.id, held, now);
        let why = shown(&session.why(&held.watch, now));
        return say(ink, word, format!("{} gate {}: {why}", session.numbered(&step.id), held.watch), false);
    }
    let bad = session.plan.watches.iter().map(|watch| (watch, session.status(&watch.id, now)));
    let worst = bad.filter(|(_, status)| matches!(status, Status::Fail)).chain(
        session.plan.watches.iter().map(|w| (w, session.status(&w.id, now))).filter(|(_, s)| *s == Status::Unknown),
    );
    if let Some((bad, _)) = worst.into_iter().next() {
        let (_, word, ink) = watch(session, &bad.id, now);
        return say(ink, word, format!("{}: {}", bad.id, shown(&session.why(&bad.id, now))), false);
    }
    if let Some(warning) = session.time_warnings(now).first() {
        return say(Ink::Warn, "TIME", format!("{} (b)", session.shortened(warning)), false);
    }
    if let Some(lock) = polled.first() {
        let more = if polled.len() > 1 { format!(", and {} more", polled.len() - 1) } else { String::new() };
        return say(Ink::Hold, "NOT GO", format!("{}{more} (b)", shown(&session.shortened(lock))), false);
    }
    let untold: Vec<_> = session.untold().collect();
    if let Some((place, why)) = untold.first() {
        let more = if untold.len() > 1 { format!(" (and {} more)", untold.len() - 1) } else { String::new() };
        return say(Ink::Warn, "NOT TOLD", format!("{}: {}{more}", shown(place), shown(why)), false);
    }
    if let Some(taken) = session.taken.last() {
        let text = taken.to_string();
        let text = text.strip_prefix("LEAD TAKEN OVER ").unwrap_or(&text);
        return say(Ink::Warn, "LEAD TAKEN OVER", session.shortened(text), false);
    }
    no_return(session)
}

/// Where the session stands towards its point of no return.
pub fn no_return(session: &Session) -> Alarm {
    let say = |ink, text: String| Alarm { ink, word: "POINT OF NO RETURN", text, loud: false };
    let marked: Vec<_> = session.plan.steps.iter().filter(|step| step.point_of_no_return).collect();
    let begun =
        |step: &&&Step| session.steps.get(&step.id).is_some_and(|state| state.run.is_some() || state.phase.is_done());
    if let Some(step) = marked.iter().rev().find(begun) {
        let text = format!("passed with step {}; nothing from there on can be undone", session.numbered(&step.id));
        return say(Ink::Destructive, text);
    }
    let Some(step) = marked.first() else {
        return Alarm { ink: Ink::Dim, word: "no point of no return", text: "in this plan".into(), loud: false };
    };
    let here = session.current_step().and_then(|(step, _)| session.plan.number(&step.id)).unwrap_or(0);
    let there = session.plan.number(&step.id).unwrap_or(0);
    let number = session.numbered(&step.id);
    match there.saturating_sub(here) {
        0 => say(Ink::Destructive, format!("this step, {number}: after it nothing can be undone")),
        1 => say(Ink::Hold, format!("next: before step {number}")),
        ahead => say(Ink::Text, format!("{ahead} steps ahead, before step {number}")),
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
        Some(match &run.end {
            Some(end) if state.phase == Phase::Unknown && part == last => {
                format!("outcome unknown: link lost, {}{after}", shown(&end.to_string()))
            }
            Some(end) => format!("{}{after}", shown(&end.to_string())),
            None if lost(part) => "outcome unknown: the hub died while it ran".into(),
            None if state.phase == Phase::Waiting => "waits".into(),
            None => "runs".into(),
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

/// Environment entries that differ from what every command gets.
pub fn env_differences(seen: &CommandSeen, planned: Option<&Command>) -> Vec<(String, String)> {
    let declared = |name: &str| planned.is_some_and(|planned| planned.env.contains_key(name));
    let usual = ["PATH", "HOME", "USER", "LANG", "TERM", "LC_ALL", "LOGNAME", "SHELL"];
    let differs = |name: &String| declared(name) || !usual.contains(&name.as_str());
    seen.env.iter().filter(|(name, _)| differs(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Everything that keeps this person from saying yes to what the panel shows; empty where `y` counts.
pub fn check_locks(panel: &Panel, view: &View, now: Now) -> Vec<String> {
    let (step, attempt, digest) = (panel.step.clone(), panel.attempt, panel.digest);
    let reasons = view.sight(view.now(now.wall)).may(&Request::Check { step, attempt, digest });
    let mut locks: Vec<String> = reasons.into_iter().map(|why| why.short).collect();
    let unseen = panel.unseen();
    if !unseen.is_empty() {
        let list: Vec<_> = unseen.iter().map(usize::to_string).collect();
        let (s, numbers) = (if unseen.len() == 1 { "" } else { "s" }, list.join(", "));
        locks.push(format!("section{s} {numbers} not seen"));
    }
    if panel.sent {
        locks.push("your check is on its way".into());
    }
    locks
}

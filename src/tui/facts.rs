//! What `brief` says of a session, in this screen's inks; and what only this screen asks.

use super::app::{Now, Panel};
use super::theme::Ink;
use crate::brief::stands::{self, Tone};
use crate::client::view::View;
use crate::clock::{At, age};
use crate::event::{Role, Status};
use crate::name::{Principal, StepId, WatchId, shown};
use crate::plan::{Class, Does, Gate, Step, WatchKind};
use crate::session::steps::Phase;
use crate::session::{Request, Session};

pub use crate::brief::stands::{batch, run_result, step_time, verification};

/// A word of [`stands`] in this screen's ink.
fn inked((sign, word, tone): (&'static str, &'static str, Tone)) -> (&'static str, &'static str, Ink) {
    (sign, word, tone.into())
}

/// See [`stands::phase`].
pub fn phase(phase: Phase) -> (&'static str, &'static str, Ink) {
    inked(stands::phase(phase))
}

/// See [`stands::watch`].
pub fn watch(session: &Session, id: &WatchId, at: At) -> (&'static str, &'static str, Ink) {
    inked(stands::watch(session, id, at))
}

/// See [`stands::gate`].
pub fn gate(session: &Session, step: &StepId, gate: &Gate, at: At) -> (&'static str, &'static str, Ink) {
    inked(stands::gate(session, step, gate, at))
}

/// See [`stands::class`].
pub fn class(class: Class) -> (&'static str, Ink) {
    let (word, tone) = stands::class(class);
    (word, tone.into())
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

/// Whether a watch belongs in the lag pane.
pub fn is_kafka(kind: &WatchKind) -> bool {
    matches!(kind, WatchKind::KafkaLag { .. } | WatchKind::KafkaRetention(_))
}

pub use crate::brief::summary::is_backup;

/// The argument vector that a step would run or did run, and whether it is frozen. Where a parameter is missing the
/// template is shown as it stands, marked as not frozen.
pub fn argv(session: &Session, step: &Step) -> (Vec<String>, bool) {
    if let Some((state, armed)) = session.steps.get(&step.id).and_then(|state| Some((state, state.armed.as_ref()?))) {
        let covers = armed.covers.covers();
        // While a step is being undone, that is what runs.
        let command = covers.command_of(state.phase.part()).unwrap_or(&covers.command);
        return (command.argv.clone(), true);
    }
    let Some(command) = step.command() else { return (vec![], false) };
    let argv = command.run.argv(&session.params).unwrap_or_else(|_| match &command.run {
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
    match &step.does {
        Does::ByHand { words, .. } => Some(words.render(&session.params).unwrap_or_else(|_| words.text().to_owned())),
        Does::Runs(_) => None,
        Does::Waits { .. } => Some("nothing runs; it only waits".to_owned()),
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

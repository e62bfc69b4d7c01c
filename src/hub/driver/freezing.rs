//! Reading everything that decides what a step would do, off the driver's thread.

use super::preview;
use super::{Driver, Incoming};
use crate::clock::At;
use crate::event::{self, CommandSeen, Covers, GateSeen, LeftBeside, Part, PreviewSeen, SettledSeen};
use crate::exec;
use crate::hash::Hash;
use crate::name::{Principal, StepId};
use crate::plan::Step;
use crate::secret::{self, Needles, SecretEnv, Value, Values, Vault};
use crate::session::kept::DoneLines;
use crate::session::steps::{Phase, StepState};
use crate::session::{self, Request, Session, Unfrozen};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

impl Driver {
    /// What freezing takes before that request, which may be granted, can be decided; none where it can be without.
    pub(super) fn to_freeze(&self, request: &Request, who: &Principal) -> Option<Result<Freezing, String>> {
        match request {
            Request::Arm { step, .. } => Some(self.freezing(step, |state| state.attempt + 1, None)),
            Request::AdHoc { run, why, .. } => {
                let step = session::typed_step(self.sequencer.session(), who, run, why);
                Some(self.freezing_of(step, 1, None))
            }
            _ => None,
        }
    }

    /// What freezing that step takes; an error where the plan has no such step, or nothing can stand for its secrets.
    pub(super) fn freezing(
        &self,
        step: &StepId,
        attempt: impl Fn(&StepState) -> u32,
        checked: Option<event::Frozen>,
    ) -> Result<Freezing, String> {
        let session = self.sequencer.session();
        let (Some(state), Some(step)) = (session.steps.get(step), session.plan.step(step).cloned()) else {
            return Err("the plan has no such step".to_owned());
        };
        self.freezing_of(step, attempt(state), checked)
    }

    fn freezing_of(&self, step: Step, attempt: u32, checked: Option<event::Frozen>) -> Result<Freezing, String> {
        let session = self.sequencer.session();
        let at = self.shared.now();
        let salt = match step.secrets().is_empty() {
            true => String::new(),
            false => self.journal.secret_salt().map_err(|error| error.to_string())?,
        };
        let gates = step.gates.iter().filter_map(|gate| gate_seen(session, &step.id, gate, at)).collect();
        Ok(Freezing {
            session: (session.plan.clone(), session.params.clone()),
            folder: self.folder.clone(),
            attempt,
            settled: session.settled_beside(&step.id),
            left: session.left_beside(&step.id),
            done: session.steps.get(&step.id).and_then(|state| state.done.clone()),
            step,
            gates,
            salt,
            checked,
            vault: self.vault.clone(),
        })
    }
}

/// Freezes one command of a step alone, for a run of it that needs no other: what the step itself ran may be gone by now.
pub(super) async fn frozen_part(
    work: Result<Freezing, String>,
    part: Part,
) -> Result<(CommandSeen, SecretEnv), String> {
    let frozen = off_thread(work, move |work| {
        let command = work.step.command_of(part).ok_or_else(|| format!("the plan has no {} for it", part.word()))?;
        let (values, commitments) = fetched(work, command.secrets())?;
        let (_, params) = &work.session;
        let seen =
            exec::freeze_part(&work.step, part, params, &work.folder, &commitments).map_err(|e| e.to_string())?;
        let seen = seen.ok_or_else(|| format!("the plan has no {} for it", part.word()))?;
        let env = SecretEnv::fill(command, params, &values).map_err(|error| error.to_string())?;
        Ok((seen, env))
    });
    frozen.await.map_err(|why| why.to_string())
}

/// One job.
pub(super) struct Freezing {
    session: (Arc<crate::plan::Plan>, crate::plan::Params),
    folder: PathBuf,
    step: Step,
    attempt: u32,
    gates: Vec<GateSeen>,
    settled: Vec<SettledSeen>,
    left: Vec<LeftBeside>,
    salt: String,
    /// What people checked, where it is about to run: nothing else is run to hear what it would touch.
    checked: Option<event::Frozen>,
    vault: Arc<Vault>,
    /// What of its lines was done by earlier attempts.
    done: Option<DoneLines>,
}

/// What people check, and what they do not see.
pub(super) type Frozen = (Box<Covers>, SecretEnv);

/// Freezes off the driver's thread: hashing a large file or asking for a secret must not hold up the session.
pub(super) async fn frozen(work: Result<Freezing, String>) -> Result<Frozen, Unfrozen> {
    off_thread(work, freeze).await
}

async fn off_thread<T: Send + 'static>(
    work: Result<Freezing, String>,
    freeze: impl FnOnce(&Freezing) -> Result<T, Unfrozen> + Send + 'static,
) -> Result<T, Unfrozen> {
    let work = work?;
    let vault = work.vault.clone();
    let frozen = match tokio::task::spawn_blocking(move || freeze(&work)).await {
        Ok(frozen) => frozen,
        Err(error) => Err(format!("freezing failed: {error}").into()),
    };
    frozen.map_err(|why| why.map(|why| vault.text(why)))
}

/// Those secrets, and what stands for their values.
fn fetched(work: &Freezing, keys: BTreeSet<String>) -> Result<(Values, BTreeMap<String, Hash>), String> {
    let (plan, params) = &work.session;
    let mut values = Values::new();
    for key in keys {
        let Some(source) = plan.secrets.get(&key) else { return Err(format!("the plan declares no secret {key}")) };
        let value = secret::fetch(&key, source, params, &work.folder).map_err(|error| error.to_string())?;
        values.insert(key, value);
    }
    work.vault.add(&values)?;
    let stand = |(key, value): (&String, &Value)| (key.clone(), secret::commitment(&work.salt, key, value));
    let commitments = values.iter().map(stand).collect();
    Ok((values, commitments))
}

/// Secrets first: fetching one may take a while, and the bytes shall be read as late as can be.
fn freeze(work: &Freezing) -> Result<Frozen, Unfrozen> {
    let (plan, params) = &work.session;
    let (values, commitments) = fetched(work, work.step.secrets())?;
    let bytes = || {
        let gates = work.gates.clone();
        let frozen = exec::freeze(plan, &work.step, params, &work.folder, work.attempt, gates, &commitments);
        let frozen = frozen.map(|covers| Covers { settled: work.settled.clone(), left: work.left.clone(), ..covers });
        frozen.map_err(|error| error.to_string()).and_then(|covers| left_to_do(covers, work.done.as_ref()))
    };
    let covers = shown(work, bytes()?, &values)?;
    let covers = match &work.step.preview {
        None => covers,
        // What was changed is not run, and what runs after it is read as late as can be.
        Some(_) if work.checked.as_ref().is_some_and(|was| was.covers().difference_in_bytes(&covers).is_some()) => {
            covers
        }
        Some(preview) => {
            let mut said = covers.preview;
            if let Some(said) = &mut said {
                preview::look(preview, said, params, &values, &work.vault).map_err(Unfrozen::Preview)?;
            }
            let again = if work.checked.is_some() { bytes()? } else { Covers { preview: None, ..covers } };
            let read = again.preview.map(|preview| preview.command);
            let preview = said.map(|said| PreviewSeen { command: read.unwrap_or(said.command), ..said });
            shown(work, Covers { preview, ..again }, &values)?
        }
    };
    let env = match work.step.command() {
        Some(command) => SecretEnv::fill(command, params, &values).map_err(|error| error.to_string())?,
        None => SecretEnv::default(),
    };
    Ok((Box::new(covers), env))
}

/// The same without the lines that were done before.
fn left_to_do(mut covers: Covers, done: Option<&DoneLines>) -> Result<Covers, String> {
    if let Some(each) = &mut covers.each {
        each.done = done.map_or(0, |done| done.of(&covers.command));
        let again = done.filter(|_| each.done == 0).map_or(0, |done| done.lines);
        if each.batches() == 0 {
            return Err("every line of its input is done".to_owned());
        }
        let again = match again {
            0 => String::new(),
            lines => {
                format!("; {lines} LINES WERE DONE before with another command, place or file: all are done AGAIN")
            }
        };
        covers.words.insert("batches".to_owned(), format!("{}{again}", each.words()));
    }
    Ok(covers)
}

/// The same, if all of it may be shown to everybody.
fn shown(work: &Freezing, covers: Covers, values: &Values) -> Result<Covers, String> {
    if let Some((what, key)) = work.vault.needles().and_then(|needles| exposed(&covers, &needles)) {
        return Err(format!(
            "{what} holds the value of secret {key}, and everybody would see it; let the command read it from `env` alone"
        ));
    }
    if let Some((path, key)) = hashed(&covers, values) {
        return Err(format!(
            "{path} holds secret {key}, and its hash would stand where everybody could try guesses against it; keep the file \
             outside of the working folder, and out of `files`"
        ));
    }
    Ok(covers)
}

/// A file that is a secret's value: hashes of files are not salted.
fn hashed(covers: &Covers, values: &Values) -> Option<(String, String)> {
    values.iter().find_map(|(key, value)| {
        let hashes = ["", "\n", "\r\n"].map(|end| Hash::of_parts([value.expose().as_bytes(), end.as_bytes()]));
        let mut files =
            covers.commands().flat_map(|(_, command)| command.files.iter().chain(command.named.iter().flatten()));
        let file = files.find(|file| hashes.contains(&file.sha256))?;
        Some((file.path.clone(), key.clone()))
    })
}

/// A secret's value in what people are about to be shown: where, and whose.
fn exposed(covers: &Covers, needles: &Needles) -> Option<(String, String)> {
    covers.commands().find_map(|(part, command)| {
        let words = command.argv.iter().enumerate().map(|(index, word)| (format!("argument {index}"), word));
        let env = command.env.iter().map(|(name, value)| (format!("environment variable {name}"), value));
        let stdin = command.stdin.iter().map(|text| ("stdin".to_owned(), text));
        let files = command.files.iter().filter_map(|file| Some((file.path.clone(), file.text.as_ref()?)));
        let mut shown = words.chain(env).chain(stdin).chain(files);
        let (what, key) = shown.find_map(|(what, text)| Some((what, needles.find(text)?.to_owned())))?;
        Some((if part == Part::Step { what } else { format!("{what} of its {}", part.word()) }, key))
    })
}

fn gate_seen(session: &Session, step: &StepId, gate: &crate::plan::Gate, at: At) -> Option<GateSeen> {
    let waived = session.waiver(step, &gate.watch, at).cloned();
    let reading = session.watches.get(&gate.watch).and_then(|state| state.reading.clone());
    // One that was never read passes only where it is waived, and then it has to be seen.
    let reading = reading.or_else(|| waived.is_some().then(|| crate::event::Reading::unknown("not read yet")))?;
    let age = session.age(&gate.watch, at).unwrap_or_default();
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    Some(GateSeen { watch: gate.watch.clone(), reading, age_ms, waived })
}

impl Driver {
    /// The intent of what was not just frozen is on disk: its bytes are looked at once more, and its secrets fetched, before
    /// its process.
    pub(super) fn freeze_part(&self, step: &StepId, attempt: u32, part: Part) {
        let work = self.freezing(step, |state| state.attempt, None);
        let (inputs, step) = (self.inputs.clone(), step.clone());
        self.runtime.spawn(async move {
            let now = frozen_part(work, part).await.map(Box::new);
            let _ = inputs.send(Incoming::PartFrozen { step, attempt, part, now }).await;
        });
    }

    /// Whether what was frozen just now is what was checked, and still wanted; the secrets of it.
    pub(super) fn still_meant(
        &self,
        step: &StepId,
        attempt: u32,
        part: Part,
        frozen: Result<Box<(CommandSeen, SecretEnv)>, String>,
    ) -> Result<SecretEnv, String> {
        let session = self.sequencer.session();
        let state = session.steps.get(step);
        let intended = if part == Part::Rollback { Phase::RollingBack } else { Phase::Intended };
        let state = state.filter(|state| state.phase == intended && state.attempt == attempt);
        let Some(state) = state else { return Err("it is not meant any more".to_owned()) };
        // What the plan does by itself stops with the line; what the lead asked for does not.
        let asked_for = part == Part::Rollback && state.by_hand;
        if !asked_for && !session.line.pulled.is_empty() {
            return Err("the line was stopped before it started".to_owned());
        }
        if state.run_of(part).is_some_and(|run| run.interrupted.is_some()) {
            return Err("it was interrupted before it started".to_owned());
        }
        let checked = state.armed.as_ref().and_then(|armed| armed.covers.covers().command_of(part));
        let Some(checked) = checked else { return Err("nothing of the kind was checked".to_owned()) };
        let batch = session.plan.step(step).filter(|_| part == Part::Step);
        if let Some(why) = batch.and_then(|step| session.batch_held(step, self.shared.now())) {
            return Err(format!("it was held before it started: {why}"));
        }
        let (now, env) = *frozen?;
        match checked.difference(&now) {
            Some(what) => Err(format!("what would run is not what was checked: {what}")),
            None => Ok(env),
        }
    }
}

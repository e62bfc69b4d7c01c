//! Reading everything that decides what a step would do, off the driver's thread.

use super::Driver;
use crate::clock::At;
use crate::event::{Covers, GateSeen, Part};
use crate::exec;
use crate::hash::Hash;
use crate::name::StepId;
use crate::plan::Step;
use crate::secret::{self, Needles, SecretEnv, Values, Vault};
use crate::session::Session;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

impl Driver {
    /// What freezing that step takes; an error where the plan has no such step, or nothing can stand for its secrets.
    pub(super) fn freezing(
        &self,
        step: &StepId,
        attempt: impl Fn(&crate::session::steps::StepState) -> u32,
    ) -> Result<Freezing, String> {
        let session = self.sequencer.session();
        let at = self.shared.now();
        let (Some(state), Some(step)) = (session.steps.get(step), session.plan.step(step).cloned()) else {
            return Err("the plan has no such step".to_owned());
        };
        let salt = match step.secrets().is_empty() {
            true => String::new(),
            false => self.journal.secret_salt().map_err(|error| error.to_string())?,
        };
        let gates = step.gates.iter().filter_map(|gate| gate_seen(session, gate, at)).collect();
        Ok(Freezing {
            session: (session.plan.clone(), session.params.clone()),
            folder: self.folder.clone(),
            attempt: attempt(state),
            step,
            gates,
            salt,
            vault: self.vault.clone(),
        })
    }
}

/// One job.
pub(super) struct Freezing {
    session: (Arc<crate::plan::Plan>, crate::plan::Params),
    folder: PathBuf,
    step: Step,
    attempt: u32,
    gates: Vec<GateSeen>,
    salt: String,
    vault: Arc<Vault>,
}

/// What people check, and what they do not see.
pub(super) type Frozen = (Box<Covers>, SecretEnv);

/// Freezes off the driver's thread: hashing a large file or asking for a secret must not hold up the session.
pub(super) async fn frozen(work: Result<Freezing, String>) -> Result<Frozen, String> {
    let work = work?;
    let vault = work.vault.clone();
    let frozen = match tokio::task::spawn_blocking(move || freeze(work)).await {
        Ok(frozen) => frozen,
        Err(error) => Err(format!("freezing failed: {error}")),
    };
    frozen.map_err(|why| vault.text(why))
}

/// Secrets first: fetching one may take a while, and the bytes shall be read as late as can be.
fn freeze(work: Freezing) -> Result<Frozen, String> {
    let (plan, params) = &work.session;
    let mut values = Values::new();
    for key in work.step.secrets() {
        let Some(source) = plan.secrets.get(&key) else { return Err(format!("the plan declares no secret {key}")) };
        let value = secret::fetch(&key, source, params, &work.folder).map_err(|error| error.to_string())?;
        values.insert(key, value);
    }
    work.vault.add(&values)?;
    let commitments: BTreeMap<_, _> =
        values.iter().map(|(key, value)| (key.clone(), secret::commitment(&work.salt, key, value))).collect();
    let covers = exec::freeze(plan, &work.step, params, &work.folder, work.attempt, work.gates, &commitments)
        .map_err(|error| error.to_string())?;
    if let Some((what, key)) = work.vault.needles().and_then(|needles| exposed(&covers, &needles)) {
        return Err(format!(
            "{what} holds the value of secret {key}, and everybody would see it; let the command read it from `env` alone"
        ));
    }
    if let Some((path, key)) = hashed(&covers, &values) {
        return Err(format!(
            "{path} holds secret {key}, and its hash would stand where everybody could try guesses against it; keep the file \
             outside of the working folder, and out of `files`"
        ));
    }
    let env = SecretEnv::fill(&work.step.command, params, &values).map_err(|error| error.to_string())?;
    Ok((Box::new(covers), env))
}

/// A file that is a secret's value: hashes of files are not salted.
fn hashed(covers: &Covers, values: &Values) -> Option<(String, String)> {
    values.iter().find_map(|(key, value)| {
        let hashes = ["", "\n", "\r\n"].map(|end| Hash::of_parts([value.expose().as_bytes(), end.as_bytes()]));
        let mut files = covers.commands().flat_map(|(_, command)| &command.files);
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

fn gate_seen(session: &Session, gate: &crate::plan::Gate, at: At) -> Option<GateSeen> {
    let reading = session.watches.get(&gate.watch)?.reading.clone()?;
    let age_ms = u64::try_from(session.age(&gate.watch, at)?.as_millis()).unwrap_or(u64::MAX);
    Some(GateSeen { watch: gate.watch.clone(), reading, age_ms })
}

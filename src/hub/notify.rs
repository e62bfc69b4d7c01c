//! Tells those outside what is due: one message at a time for each place, in tasks of their own, so that a dead hook costs
//! nobody but itself.
//!
//! The queue is the session's ([`crate::session::Telling`]) and so on disk: nothing is told of a line that is not durable, and
//! what a killed hub had not told yet, the next one tells. This module remembers only what is under way and which failures
//! are not written down yet.

mod message;

use super::incoming::{Incoming, Outcome};
use super::shared::{LastWord, Shared};
use crate::clock::At;
use crate::monitor::tell::{self, Again, NotTold};
use crate::name::shown;
use crate::plan::{Notify, NotifyBy, Params, SecretSource};
use crate::secret::{self, Values, Vault};
use crate::session::{Due, Fact, Session};
use message::{Message, Subject, message};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long is waited after each try that failed; there is one try more than there are waits.
const BACK_OFF: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];
/// The longest wait that an answer can ask for.
const AFTER_MAX: Duration = Duration::from_secs(60);
/// How long a hub whose session is closed waits for the last of it.
pub const LAST_WORDS: Duration = Duration::from_secs(5);

/// See the module.
pub struct Notifier {
    places: Vec<Place>,
    around: Arc<Around>,
    inputs: mpsc::Sender<Incoming>,
    runtime: tokio::runtime::Handle,
}

struct Place {
    number: u32,
    notify: Notify,
    /// The line that is being told, and the task that does it.
    busy: Option<(u64, JoinHandle<Outcome>)>,
    /// Lines that could not be told, and are not written down yet; with how many tries, and why.
    failed: (Vec<u64>, u32, String),
}

/// What every task needs.
struct Around {
    subject: Subject,
    params: Params,
    secrets: BTreeMap<String, SecretSource>,
    folder: PathBuf,
    shared: Arc<Shared>,
    vault: Arc<Vault>,
    /// Values in use: fetched once, and again after an answer that was a no.
    values: Mutex<Values>,
}

impl Notifier {
    /// One that has told nothing yet.
    pub fn new(
        session: &Session,
        folder: PathBuf,
        shared: Arc<Shared>,
        vault: Arc<Vault>,
        inputs: mpsc::Sender<Incoming>,
        runtime: tokio::runtime::Handle,
    ) -> Notifier {
        let place = |(number, notify): (u32, &Notify)| Place {
            number,
            notify: notify.clone(),
            busy: None,
            failed: (vec![], 0, String::new()),
        };
        let around = Around {
            subject: Subject {
                session: session.id.clone(),
                plan: session.plan.name.clone(),
                environment: session.plan.environment.clone(),
                rehearsal: session.rehearsal().map(str::to_owned),
            },
            params: session.params.clone(),
            secrets: session.plan.secrets.clone(),
            folder,
            shared,
            vault,
            values: Mutex::default(),
        };
        Notifier {
            places: (1..).zip(&session.plan.notify).map(place).collect(),
            around: Arc::new(around),
            inputs,
            runtime,
        }
    }

    /// Begins to tell what is due and not under way. Everything in that session must be durable.
    pub fn pump(&mut self, session: &Session) {
        for place in self.places.iter_mut().filter(|place| place.busy.is_none()) {
            let next = session.due_for(place.number).find(|(seq, _)| !place.failed.0.contains(seq));
            let Some((seq, due)) = next else { continue };
            let work = telling(self.around.clone(), place.number, place.notify.clone(), seq, due.clone());
            let (inputs, notify) = (self.inputs.clone(), place.number);
            let task = self.runtime.spawn(async move {
                let outcome = work.await;
                let _ = inputs.send(Incoming::Told { notify, of: seq, outcome: outcome.clone() }).await;
                outcome
            });
            place.busy = Some((seq, task));
        }
    }

    /// A message came to its end: the fact, where it arrived.
    pub fn ended(&mut self, notify: u32, of: u64, outcome: Outcome) -> Option<Fact> {
        let place = self.places.iter_mut().find(|place| place.number == notify)?;
        place.busy.take_if(|(seq, _)| *seq == of);
        match outcome {
            Ok(tries) => Some(Fact::Told { notify, of, tries }),
            Err((tries, why)) => {
                tracing::warn!("{} could not be told of line {of}: {}", shown(&place.notify.name), shown(&why));
                place.failed.0.push(of);
                (place.failed.1, place.failed.2) = (tries, why);
                None
            }
        }
    }

    /// The failures that may be written down at that time: the one at which they will be.
    pub fn failures(&mut self, session: &Session, now: At) -> Vec<Fact> {
        let may = |place: &&mut Place| !place.failed.0.is_empty() && session.failure_may_be_written(place.number, now);
        let failed = self.places.iter_mut().filter(may).map(|place| {
            let (of, tries, why) = std::mem::take(&mut place.failed);
            Fact::NotTold { notify: place.number, of, tries, why }
        });
        failed.collect()
    }

    /// The session is closed: everything still due is told at once. What is under way has [`LAST_WORDS`] to arrive.
    pub fn last(&mut self, session: &Session) -> Vec<LastWord> {
        let mut last = vec![];
        for place in &mut self.places {
            let busy = place.busy.take();
            let under_way = busy.as_ref().map(|(seq, _)| *seq);
            let what = |seq: u64| format!("{} of line {seq}", shown(&place.notify.name));
            last.extend(busy.map(|(seq, task)| LastWord { what: what(seq), task }));
            let left = session.due_for(place.number);
            let left = left.filter(|(seq, _)| Some(*seq) != under_way && !place.failed.0.contains(seq));
            last.extend(left.map(|(seq, due)| LastWord {
                what: what(seq),
                task: self.runtime.spawn(telling(
                    self.around.clone(),
                    place.number,
                    place.notify.clone(),
                    seq,
                    due.clone(),
                )),
            }));
        }
        last
    }
}

/// Waits for the last messages, and says what did not arrive: no line can.
pub async fn finish(last: Vec<LastWord>) {
    let until = Instant::now() + LAST_WORDS;
    for mut word in last {
        match tokio::time::timeout_at(until, &mut word.task).await {
            Ok(Ok(Ok(_))) => {}
            Ok(Ok(Err((_, why)))) => tracing::warn!("{} could not be told: {}", word.what, shown(&why)),
            Ok(Err(error)) => tracing::warn!("{} was not told: {error}", word.what),
            Err(_) => {
                word.task.abort();
                tracing::warn!("{} had not been told when the hub ended", word.what);
            }
        }
    }
}

/// Tells one line to one place, with a few tries.
async fn telling(around: Arc<Around>, number: u32, notify: Notify, seq: u64, due: Due) -> Outcome {
    for (index, wait) in BACK_OFF.iter().map(Some).chain([None]).enumerate() {
        let tries = u32::try_from(index + 1).unwrap_or(u32::MAX); // a handful
        let clean = |text: String| around.vault.text(text);
        let told =
            once(&around, &notify, &message(&around.subject, number, seq, &due, around.shared.now(), clean)).await;
        let NotTold { why, again } = match told {
            Ok(()) => return Ok(tries),
            Err(not_told) => not_told,
        };
        let wait = match (again, wait) {
            (Again::Never, _) | (_, None) => {
                // The address may be another one by now.
                around.values.lock().unwrap_or_else(PoisonError::into_inner).clear();
                return Err((tries, around.vault.text(why)));
            }
            (Again::Later, Some(wait)) => *wait,
            (Again::After(asked), Some(wait)) => asked.clamp(*wait, AFTER_MAX),
        };
        tokio::time::sleep(wait).await;
    }
    Err((0, "it was not tried".to_owned())) // the last round returns
}

async fn once(around: &Arc<Around>, notify: &Notify, message: &Message) -> Result<(), NotTold> {
    let never = |why: String| NotTold { why, again: Again::Never };
    let body = serde_json::to_string(message).map_err(|error| never(error.to_string()))?;
    match &notify.by {
        NotifyBy::Webhook(url) => {
            let values = around.fetched(url.secrets()).await.map_err(never)?;
            let url = secret::filled(url, &around.params, &values).map_err(|error| never(error.to_string()))?;
            tell::post(url.trim(), body, notify.timeout).await
        }
        NotifyBy::Command(command) => {
            let argv =
                command.run.argv_beside(&around.params, command.pipefail).map_err(|error| never(error.to_string()))?;
            let around = command.surroundings(&around.params, &around.folder);
            let (folder, own) = around.map_err(|error| never(error.to_string()))?;
            let own = own.into_iter().map(|(name, value)| (name.into(), value.into()));
            let env = own.chain(environment(message)).collect();
            tell::run(argv, &folder, env, body, notify.timeout).await
        }
    }
}

/// The few variables a command gets, for those that do not want to read JSON.
fn environment(message: &Message) -> Vec<(OsString, OsString)> {
    let Message { text, crosscheck: content } = message;
    let seq = content.seq.to_string();
    let variables = [
        ("CROSSCHECK_ID", content.id.as_str()),
        ("CROSSCHECK_SESSION", &content.session),
        ("CROSSCHECK_PLAN", &content.plan),
        ("CROSSCHECK_ENVIRONMENT", &content.environment),
        ("CROSSCHECK_OCCASION", content.occasion.word()),
        ("CROSSCHECK_SEQ", &seq),
        ("CROSSCHECK_STEP", content.step.as_deref().unwrap_or_default()),
        ("CROSSCHECK_SENTENCE", &content.sentence),
        ("CROSSCHECK_TEXT", text),
    ];
    variables.map(|(name, value)| (name.into(), value.into())).into()
}

impl Around {
    /// The values of these secrets, fetched now where they are not known yet; every one of them is looked for in whatever is
    /// printed from then on.
    async fn fetched(self: &Arc<Self>, keys: Vec<String>) -> Result<Values, String> {
        let known = self.values.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if keys.iter().all(|key| known.contains_key(key)) {
            return Ok(known);
        }
        let around = self.clone();
        let fetched = tokio::task::spawn_blocking(move || {
            let mut values = Values::new();
            for key in keys {
                let source = around.secrets.get(&key).ok_or_else(|| format!("the plan declares no secret {key}"))?;
                let value = secret::fetch(&key, source, &around.params, &around.folder);
                values.insert(key, value.map_err(|error| error.to_string())?);
            }
            around.vault.add(&values)?;
            Ok::<_, String>(values)
        });
        let values = fetched.await.map_err(|error| format!("the secret could not be fetched: {error}"))??;
        let mut known = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(values);
        Ok(known.clone())
    }
}

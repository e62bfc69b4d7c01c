//! Performs what the sequencer decides. One thread, one loop:
//!
//! take in everything that waits → decide, number → output bytes and lines to disk, one sync → show → act.
//!
//! Nothing is shown or started before the sync returned. A failed sync ends the hub's right to run commands: the loop
//! goes on only to read out a command that runs, then ends.

mod dying;
mod freezing;
mod joining;
mod preview;
mod probing;
mod running;
mod typing;

use super::crash::{self, Moment};
use super::fanout::{Outbox, binary_frame, close_frame};
use super::incoming::Incoming;
use super::joining::{Base, Joining, NotIn};
use super::journal::{Journal, JournalError};
use super::notify::Notifier;
use super::sequencer::{Numbered, Sequencer, SequencerError};
use super::shared::Shared;
use crate::clock::{At, Clock};
use crate::event::{Event, Part, RunEnd, about};
use crate::exec::{Emulator, Report, Running, Size};
use crate::identity::Key;
use crate::monitor::{Monitor, Sample};
use crate::name::StepId;
use crate::protocol::{FromHub, Refused};
use crate::secret::{SecretEnv, Vault};
use crate::session::request::Typed;
use crate::session::steps::Phase;
use crate::session::{Author, Fact, Refusal, Request, signing};
use crate::transcript::output::OutputPiece;
use crate::trust::statement::{Signed, Statement};
use bytes::Bytes;
use freezing::frozen;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// Inputs that may wait. The PTY reader waits here for the journal, and only here.
pub const INPUTS: usize = 256;
/// Inputs taken into one batch. 256 chunks of output are 4 MiB: one sync a batch, and no answer waits long.
const BATCH: usize = 256;
/// How often time alone is looked at.
pub const TICK: Duration = Duration::from_millis(200);
/// Connections of one principal at a time.
pub const CONNECTIONS_PER_PRINCIPAL: usize = 3;
/// People a session remembers: observers choose their names, and each name stays in every snapshot.
const PEOPLE_MAX: usize = 4096;

/// How a driver ended.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The transcript could not be written; what runs was read out.
    #[error("the transcript can no longer be written, so nothing may run: {0}")]
    Journal(#[from] JournalError),
    /// The sequencer cannot go on.
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
}

/// Why a driver ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The session is closed.
    Closed,
    /// It was told to stop.
    Stopped,
}

struct Live {
    step: StepId,
    attempt: u32,
    part: Part,
    running: Running,
    emulator: Option<Emulator>,
    written: u64,
    quiet: typing::Quiet,
}

/// See the module.
pub struct Driver {
    sequencer: Sequencer,
    journal: Box<dyn Journal>,
    shared: Arc<Shared>,
    inputs: mpsc::Sender<Incoming>,
    runtime: tokio::runtime::Handle,
    monitor: Monitor,
    /// Readings begun before that are about something else.
    watching_since: At,
    folder: PathBuf,
    /// The session's own key.
    key: Key,
    /// What newcomers get: the session as the latest checkpoint made while nothing was armed has it. From there on they
    /// read every line themselves, and so the very line that they may be asked to sign.
    base: Arc<Base>,
    live: Option<Live>,
    /// The `RunRequested` whose bytes are being read again.
    rechecking: Option<u64>,
    /// Every secret fetched so far: they are taken out of what is printed and read.
    vault: Arc<Vault>,
    /// Those outside who are told.
    notifier: Notifier,
    /// The secrets of the run that may be intended in this batch.
    secret_env: Option<(StepId, u32, SecretEnv)>,
    /// Lines the lead typed that are on their way to the command, by the number of their event.
    typed: Vec<(u64, Typed, bool)>,
    connections: u64,
    /// Everyone who was let in, by the fingerprint of their key.
    inside: Vec<(String, Weak<Outbox>)>,
    screens: u64,
    /// The size that the lead's pane asked for last.
    size: Size,
    /// When it was last looked at whom those started whom runs had left.
    looked: At,
}

/// What one batch leads to once it is durable.
#[derive(Default)]
struct Batch {
    lines: Vec<Numbered>,
    pieces: Vec<OutputPiece>,
    answers: Vec<(Weak<Outbox>, u64, String, FromHub)>,
    joins: Vec<(Joining, u64)>,
    emulate: Vec<Bytes>,
    finished: bool,
    /// What was frozen after its intent, and starts once this batch is on disk.
    starts: Option<(StepId, u32, Part)>,
}

impl Driver {
    /// A driver for a session whose first lines are durable already.
    pub fn new(
        sequencer: Sequencer,
        journal: Box<dyn Journal>,
        shared: Arc<Shared>,
        inputs: mpsc::Sender<Incoming>,
        runtime: tokio::runtime::Handle,
        monitor: Monitor,
        key: Key,
    ) -> Driver {
        let folder = PathBuf::from(&sequencer.session().folder);
        // Connection numbers go on above every one the transcript knows.
        let connections = sequencer.head().seq;
        let size = Size { cols: 80, rows: 24 };
        let base = Base::new(sequencer.session().clone());
        let vault: Arc<Vault> = Arc::default();
        let notifier = Notifier::new(
            sequencer.session(),
            folder.clone(),
            shared.clone(),
            vault.clone(),
            inputs.clone(),
            runtime.clone(),
        );
        Driver {
            notifier,
            key,
            base,
            sequencer,
            journal,
            shared,
            inputs,
            runtime,
            monitor,
            watching_since: At::default(),
            folder,
            live: None,
            rechecking: None,
            vault,
            secret_env: None,
            typed: vec![],
            connections,
            inside: vec![],
            screens: 0,
            size,
            looked: At::default(),
        }
    }

    /// Runs until the session closes, it is told to stop, or the transcript fails.
    pub fn run(mut self, mut inputs: mpsc::Receiver<Incoming>) -> Result<Ended, DriverError> {
        let mut waiting = Vec::with_capacity(BATCH);
        let mut own = VecDeque::new();
        loop {
            if own.is_empty() && inputs.blocking_recv_many(&mut waiting, BATCH) == 0 {
                return Ok(Ended::Stopped);
            }
            while waiting.len() < BATCH {
                match inputs.try_recv() {
                    Ok(input) => waiting.push(input),
                    Err(_) => break,
                }
            }
            let mut batch = Batch::default();
            for fact in own.drain(..) {
                let lines = self.sequencer.observe(self.shared.now(), &fact)?;
                batch.lines.extend(lines);
            }
            let (mut asked, mut force) = (false, false);
            for input in waiting.drain(..) {
                if let Incoming::Stop { force: forced } = input {
                    (asked, force) = (true, force || forced);
                }
                self.take(input, &mut batch)?;
            }
            self.look_at_clock(&mut batch)?;
            self.sign_what_is_due(&mut batch)?;
            if let Err(error) = self.journal_batch(&batch) {
                self.die(&error, batch, inputs);
                return Err(error.into());
            }
            own = self.show_and_act(batch);
            if self.sequencer.session().closed.is_some() {
                self.journal.close()?;
                return Ok(Ended::Closed);
            }
            // Asked only now: the batch may just have started something, or ended it.
            let session = self.sequencer.session();
            if force || (session.stopping.is_some() && session.busy_step().is_none() && own.is_empty()) {
                return Ok(Ended::Stopped);
            }
            if let (true, Some((step, state))) = (asked, session.busy_step()) {
                tracing::warn!(
                    "step {} is {} and is let run; the hub ends by itself afterwards",
                    step.id,
                    state.phase.word()
                );
            }
        }
    }

    fn take(&mut self, input: Incoming, batch: &mut Batch) -> Result<(), SequencerError> {
        let now = self.shared.now();
        match input {
            Incoming::Join(joining) => self.join(joining, now, batch)?,
            Incoming::Silent { principal, connection, quiet } => {
                let ago = |quiet: Duration| i64::try_from(quiet.as_micros()).unwrap_or(0);
                let since = quiet.map(|quiet| At::from_micros(now.micros().saturating_sub(ago(quiet))));
                batch.lines.extend(self.sequencer.observe(now, &Fact::Silent { principal, connection, since })?);
            }
            Incoming::Left { principal, connection, why } => {
                batch.lines.extend(self.sequencer.observe(now, &Fact::Left { principal, connection, why })?);
            }
            Incoming::DoorRefused { principal, reason } => {
                batch.lines.extend(self.sequencer.observe(now, &Fact::DoorRefused { principal, reason })?);
            }
            Incoming::Ask { author, id, request, outbox, .. } => self.ask(*author, id, request, outbox, now, batch)?,
            Incoming::Frozen { author, id, mut request, covers, outbox } => match covers {
                Ok(frozen) => {
                    if let Request::Arm { covers, .. } | Request::AdHoc { covers, .. } = &mut request {
                        *covers = Some(frozen);
                    }
                    let answer = self.sequencer.request(now, &author, &request)?;
                    self.answer(id, &request, answer, outbox, batch);
                }
                Err(why) => {
                    let answer = self.sequencer.refuse(now, &author, &request, Refusal::CannotFreeze(why))?;
                    self.answer(id, &request, answer, outbox, batch);
                }
            },
            Incoming::Rechecked { step, attempt, now: now_checked } => {
                self.rechecking = None;
                let covers = now_checked.map(|(covers, env)| {
                    self.secret_env = Some((step.clone(), attempt, env));
                    covers
                });
                batch.lines.extend(self.sequencer.observe(now, &Fact::Rechecked { step, attempt, now: covers })?);
            }
            // What was begun with other values of the parameters was about something else.
            Incoming::Sample(sample) if sample.began < self.watching_since => {}
            Incoming::Sample(sample) => {
                let Sample { watch, mut reading, began, asked, anchor } = sample;
                if let Some(anchor) = anchor {
                    batch.lines.extend(self.sequencer.observe(now, &Fact::Anchor { watch: watch.clone(), anchor })?);
                }
                if let Some(needles) = self.vault.needles() {
                    reading.why = needles.text(&reading.why);
                    reading.value = reading.value.filter(|value| needles.find(&value.to_string()).is_none());
                }
                batch.lines.extend(self.sequencer.observe(now, &Fact::Reading { watch, reading, began, asked })?);
            }
            Incoming::Run { step, attempt, part, report } => self.report(step, attempt, part, report, now, batch)?,
            Incoming::PartFrozen { step, attempt, part, now: frozen } => {
                match self.still_meant(&step, attempt, part, frozen) {
                    Ok(env) => {
                        self.secret_env = Some((step.clone(), attempt, env));
                        batch.starts = Some((step, attempt, part));
                    }
                    Err(why) => {
                        let end = RunEnd::NotStarted { why };
                        let ended = Fact::Ended { step, attempt, part, end };
                        batch.lines.extend(self.sequencer.observe(now, &ended)?);
                    }
                }
            }
            Incoming::Told { notify, of, outcome } => {
                if let Some(fact) = self.notifier.ended(notify, of, outcome) {
                    batch.lines.extend(self.sequencer.observe(now, &fact)?);
                }
            }
            Incoming::Probed { step, attempt, end, output } => self.probed((step, attempt), end, output, now, batch)?,
            Incoming::Tick => {
                batch.lines.extend(self.sequencer.observe(now, &Fact::Tick)?);
                for fact in self.notifier.failures(self.sequencer.session(), now) {
                    batch.lines.extend(self.sequencer.observe(now, &fact)?);
                }
                for fact in self.look_at_what_is_left(now) {
                    batch.lines.extend(self.sequencer.observe(now, &fact)?);
                }
                if let Some((step, attempt)) = self.vanished() {
                    batch.lines.extend(self.sequencer.observe(now, &Fact::ProcessGone { step, attempt })?);
                }
                let asks = self.asks(now).map(|fact| self.sequencer.observe(now, &fact)).transpose()?;
                batch.lines.extend(asks.unwrap_or_default());
            }
            Incoming::PlanChanged { digest, what } => {
                batch.lines.extend(self.sequencer.observe(now, &Fact::PlanChanged { digest, what })?);
            }
            Incoming::Stop { force: true } => {} // its end is sudden, as a crash is
            Incoming::Stop { force: false } => batch.lines.extend(self.sequencer.observe(now, &Fact::StopAsked)?),
        }
        Ok(())
    }

    fn ask(
        &mut self,
        author: Author,
        id: u64,
        request: Request,
        outbox: Weak<Outbox>,
        now: At,
        batch: &mut Batch,
    ) -> Result<(), SequencerError> {
        if let Request::Resize { cols, rows } = request
            && author.principal == self.sequencer.session().lead
        {
            self.size = Size { cols, rows }.clamped();
        }
        if let Request::Type { .. } = request {
            return self.type_line(author, id, request, outbox, now, batch);
        }
        let answer = self.sequencer.request(now, &author, &request)?;
        if let (Some(work), None) = (self.to_freeze(&request, &author.principal), &answer.refusal) {
            // It may be armed: freeze it, and decide again with what it really is.
            batch.lines.extend(answer.lines);
            let inputs = self.inputs.clone();
            self.runtime.spawn(async move {
                let covers = frozen(work).await.map(|(covers, _)| covers).map_err(|why| why.to_string());
                let _ = inputs.send(Incoming::Frozen { author, id, request, covers, outbox }).await;
            });
            return Ok(());
        }
        self.answer(id, &request, answer, outbox, batch);
        Ok(())
    }

    fn answer(
        &self,
        id: u64,
        request: &Request,
        answer: super::sequencer::Answer,
        outbox: Weak<Outbox>,
        batch: &mut Batch,
    ) {
        batch.lines.extend(answer.lines);
        let refusal = answer.refusal.map(|refusal| Refused {
            request: request.describe(),
            reason: refusal.to_string(),
            hint: refusal.hint().map(str::to_owned),
        });
        let answer = FromHub::Answer { id, head: self.sequencer.head().seq, refusal };
        batch.answers.push((outbox, id, request.describe(), answer));
    }

    fn report(
        &mut self,
        step: StepId,
        attempt: u32,
        part: Part,
        report: Report,
        now: At,
        batch: &mut Batch,
    ) -> Result<(), SequencerError> {
        match report {
            Report::Output(bytes) => {
                let bytes = Bytes::from(bytes);
                let Some(live) =
                    self.live.as_mut().filter(|live| (&live.step, live.attempt, live.part) == (&step, attempt, part))
                else {
                    return Ok(());
                };
                let offset = live.written;
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX); // a chunk has at most 16 KiB
                live.written += u64::from(length);
                live.quiet.printed(&bytes, now);
                let hash = self.journal.salted_hash(&bytes);
                let fact = Fact::Output { step: step.clone(), attempt, part, offset, length, hash };
                batch.lines.extend(self.sequencer.observe(now, &fact)?);
                batch.pieces.push(OutputPiece { step, attempt, part, offset, bytes: bytes.clone() });
                batch.emulate.push(bytes);
            }
            Report::Waits(end, of) => {
                let of = self.named(of);
                batch.lines.extend(self.sequencer.observe(now, &Fact::Awaits { step, attempt, part, end, of })?);
            }
            Report::Left(of) => {
                let of = self.named(of);
                batch.lines.extend(self.sequencer.observe(now, &Fact::LeftBehind { step, attempt, part, of })?);
            }
            Report::Ended(end) => {
                let end = self.as_it_was_checked(end);
                batch.lines.extend(self.sequencer.observe(now, &Fact::Ended { step, attempt, part, end })?);
                batch.finished = true;
            }
        }
        Ok(())
    }

    fn look_at_clock(&mut self, batch: &mut Batch) -> Result<(), SequencerError> {
        let jumped = {
            let mut clock = self.shared.clock.lock().unwrap_or_else(PoisonError::into_inner);
            let drift = clock.drift_micros();
            let jumped = drift.unsigned_abs() > u64::try_from(Clock::JUMP.as_micros()).unwrap_or(u64::MAX);
            if jumped {
                clock.reset();
            }
            jumped.then_some(drift / 1000)
        };
        if let Some(by_ms) = jumped {
            batch.lines.extend(self.sequencer.observe(self.shared.now(), &Fact::ClockJumped { by_ms })?);
        }
        Ok(())
    }

    fn journal_batch(&mut self, batch: &Batch) -> Result<(), JournalError> {
        if batch.lines.is_empty() {
            return Ok(());
        }
        batch.lines.iter().for_each(|line| crash::here(Moment::Before, line.line.event.kind()));
        self.journal.append(&batch.lines, &batch.pieces)?;
        batch.lines.iter().for_each(|line| crash::here(Moment::After, line.line.event.kind()));
        Ok(())
    }

    /// Everything in the batch is durable: shows it, then acts on it. Returns what acting led to at once.
    fn show_and_act(&mut self, batch: Batch) -> VecDeque<Fact> {
        self.shared.ring.publish(&batch.lines);
        for (outbox, _, _, answer) in &batch.answers {
            if let Some(outbox) = outbox.upgrade() {
                outbox.push(&binary_frame(&answer.encode()));
            }
        }
        self.let_in(batch.joins);
        if let Some(emulator) = self.live.as_ref().and_then(|live| live.emulator.as_ref()) {
            batch.emulate.iter().for_each(|bytes| emulator.push(bytes));
        }
        let mut facts = VecDeque::new();
        for numbered in &batch.lines {
            facts.extend(self.act(&numbered.line.event, numbered.line.seq));
        }
        if batch.finished
            && let Some(live) = self.live.take()
        {
            if let Some(emulator) = &live.emulator {
                emulator.finish();
            }
            self.shared.reader_waits.fetch_add(live.running.waits(), std::sync::atomic::Ordering::Relaxed);
        }
        if let Some((step, attempt, part)) = batch.starts {
            facts.push_back(self.start(&step, attempt, part));
        }
        // Where the run was not intended after all, nobody needs them.
        self.secret_env = None;
        self.recheck_if_ready();
        let session = self.sequencer.session();
        match session.closed {
            None => self.notifier.pump(session),
            Some(_) => {
                let last = self.notifier.last(session);
                self.shared.last_words.lock().unwrap_or_else(PoisonError::into_inner).extend(last);
            }
        }
        facts
    }

    /// Checkpoints, and the end: the last line of a batch, durable with it and shown before anything acts on the batch.
    fn sign_what_is_due(&mut self, batch: &mut Batch) -> Result<(), SequencerError> {
        let (key, base, now) = (&self.key, &mut self.base, self.shared.now());
        let sign = |statement: Statement| Signed {
            signature: key.sign_sshsig(statement.purpose().namespace(), statement.text().as_bytes()),
            statement: statement.text().to_owned(),
        };
        let lines = self.sequencer.sign(now, |session, at| {
            if session.close_due(at) {
                let closing = session.closing.as_ref()?;
                return Some(Fact::Close { signed: sign(signing::close(session, closing.outcome, &closing.note, at)) });
            }
            if !session.checkpoint_due(at) {
                return None;
            }
            if session.open_step().is_none() {
                *base = Base::new(session.clone());
            }
            Some(Fact::Checkpoint { signed: sign(signing::checkpoint(session, at)) })
        })?;
        batch.lines.extend(lines);
        Ok(())
    }

    /// The effect of one durable event, if it has one.
    fn act(&mut self, event: &Event, seq: u64) -> Option<Fact> {
        match event {
            Event::Readmitted { was, .. } => {
                let frame = close_frame(1008, "another key was let in for this link; this one is out");
                let theirs =
                    self.inside.iter().filter(|(key, _)| key == was).filter_map(|(_, outbox)| outbox.upgrade());
                theirs.for_each(|outbox| outbox.close(&frame));
                None
            }
            Event::RunRequested { step, .. } => {
                let gates = self.sequencer.session().plan.step(step).map(|step| step.gates.clone()).unwrap_or_default();
                gates.iter().for_each(|gate| self.monitor.read_now(&gate.watch, seq));
                None
            }
            Event::RunEnded { step, .. }
                if self.sequencer.session().steps.get(step).is_some_and(crate::session::steps::StepState::goes_on) =>
            {
                let gates = self.sequencer.session().plan.step(step).map(|step| step.gates.clone()).unwrap_or_default();
                gates.iter().for_each(|gate| self.monitor.read_now(&gate.watch, seq));
                None
            }
            Event::RunEnded { .. }
            | Event::DoneByHand { .. }
            | Event::WaitEnded { .. }
            | Event::Acknowledged { .. } => {
                let purged = self.sequencer.session().purged_by(event);
                purged.iter().for_each(|watch| self.monitor.reanchor(watch));
                None
            }
            Event::RunIntended { step, attempt } => {
                let runs = self.sequencer.session().plan.step(step).is_none_or(|step| step.runs().is_some());
                runs.then(|| self.start(step, *attempt, Part::Step))
            }
            Event::RollbackIntended { step, attempt, .. } => {
                self.freeze_part(step, *attempt, Part::Rollback);
                None
            }
            Event::BatchIntended { step, attempt, .. } => {
                self.freeze_part(step, *attempt, Part::Step);
                None
            }
            Event::ParamSet { name, .. } => {
                self.watch_anew(name);
                None
            }
            Event::RunInterrupted { step, force, .. } => {
                self.interrupt(step, *force);
                None
            }
            Event::ProbeIntended { step, attempt } => self.probe(step, *attempt),
            Event::InputWritten { step, attempt, .. } => self.typed(step, *attempt, seq),
            Event::Resized { cols, rows } => {
                if let Some(live) = &self.live {
                    let size = Size { cols: *cols, rows: *rows };
                    if let Err(error) = live.running.resize(size) {
                        tracing::warn!("the command's terminal cannot be resized: {error}");
                    }
                    if let Some(emulator) = &live.emulator {
                        emulator.resize(size);
                    }
                }
                None
            }
            Event::Joined { .. }
            | Event::Left { .. }
            | Event::KeyRefused { .. }
            | Event::ReadmitAgreed { .. }
            | Event::LinkSilent { .. }
            | Event::AttentionChanged { .. }
            | Event::HandoverAgreed { .. }
            | Event::LeadHandedOver { .. }
            | Event::LeadGone { .. }
            | Event::StepEdited { .. }
            | Event::StepAdded { .. }
            | Event::BatchesEnded { .. }
            | Event::RunStarted { .. }
            | Event::OutputWritten { .. }
            | Event::InputLost { .. }
            | Event::AnswerAwaited { .. }
            | Event::OutcomeUnknown { .. }
            | Event::ProcessGone { .. }
            | Event::OthersAwaited { .. }
            | Event::LeftBehind { .. }
            | Event::LeftGone { .. }
            | Event::WaitStarted { .. }
            | Event::ProbeEnded { .. }
            | Event::VerifyStarted { .. }
            | Event::VerifyEnded { .. }
            | Event::RollbackEnded { .. }
            | Event::SettleAgreed { .. }
            | about::session!()
            | about::preflight!()
            | about::said!()
            | about::watches!()
            | about::check!()
            | about::line!()
            | about::evidence!()
            | about::told!() => None,
        }
    }

    /// Once every gate of a starting step was read anew, its bytes are, last.
    fn recheck_if_ready(&mut self) {
        let Some((step, state, armed)) = self.sequencer.session().open_step() else { return };
        let Some(starting) = armed.starting.as_ref().filter(|_| state.phase == Phase::Starting) else { return };
        if !starting.pending.is_empty() || self.rechecking == Some(starting.seq) {
            return;
        }
        let (id, attempt, seq) = (step.id.clone(), state.attempt, starting.seq);
        let checked = Some(armed.covers.clone());
        let work = self.freezing(&id, |state| state.attempt, checked);
        self.rechecking = Some(seq);
        let inputs = self.inputs.clone();
        self.runtime.spawn(async move {
            let now = frozen(work).await;
            let _ = inputs.send(Incoming::Rechecked { step: id, attempt, now }).await;
        });
    }
}

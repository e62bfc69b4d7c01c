//! What a session was, as one typed value folded from its transcript; one file per format writes it down.
//!
//! [`Report::of_file`] is the usual door: it judges the chain, folds the lines that hold, and looks at the output beside
//! them. Nothing here is decided anew; where the transcript ends or breaks, the report ends and says so.

mod armed;
mod attempt;
mod deviations;
pub mod evidence;
pub mod markdown;
mod people;
pub mod preflight;
pub mod replay;
pub mod text;

pub use attempt::{Attempt, Checked, Ran, RolledBack, TAIL_LINES, Tail, VERY_QUICK, WaitReport};
pub use markdown::write_beside;
pub use people::{Exception, Kind};
pub use preflight::PreflightReport;

use crate::clock::At;
use crate::event::{Event, Exits, Outcome, Part, Role, Status, about};
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId};
use crate::plan::{Notify, Occasion, Typed};
use crate::session::drift::Drift;
use crate::session::people::Taken;
use crate::session::steps::Phase;
use crate::session::{OpenError, Said, Session, Told, price, story};
use crate::transcript::output;
use crate::transcript::read::{ReadError, Reader, Source};
use crate::transcript::record::Line;
use crate::transcript::verify::{Integrity, OutputIntegrity, verify, verify_output};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The transcript cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its first line opens no session.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no line in it that holds.
    #[error("the transcript holds no line to report on: {0}")]
    Empty(Integrity),
    /// The report cannot be written.
    #[error("cannot write the report {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A session, told from its transcript.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What the release is called.
    pub plan_name: String,
    /// Where it happened.
    pub environment: String,
    /// How long the plan expects the whole to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<u64>,
    /// The plan's digest.
    pub plan_digest: Hash,
    /// SHA-256 of the allowed_signers file, where the plan names one.
    pub allowed_signers: Option<Hash>,
    /// On which data it was only a rehearsal; nothing where it was live.
    pub rehearsal: Option<String>,
    /// The parameters' values.
    pub params: BTreeMap<String, String>,
    /// The session's id.
    pub session: String,
    /// The hub's machine.
    pub host: String,
    /// Who the hub ran as.
    pub user: String,
    /// The plan's folder.
    pub folder: String,
    /// The version of the hub that opened it.
    pub version: String,
    /// The first line's time.
    pub opened: At,
    /// The last line's time.
    pub ended: At,
    /// How it was closed, if it was.
    pub closed: Option<Closed>,
    /// Who led at the end.
    pub lead: Principal,
    /// What the chain check says of the whole file.
    pub verdict: Integrity,
    /// What is left of the output; none where only the lines were at hand.
    pub output: Option<OutputIntegrity>,
    /// Everyone who joined, in the order in which they came.
    pub crew: Vec<Member>,
    /// What was said before the first critical step.
    #[serde(rename = "before")]
    pub preflight: PreflightReport,
    /// Every step of the plan.
    pub steps: Vec<StepReport>,
    /// Every watch of the plan.
    pub watches: Vec<WatchReport>,
    /// The plan's ways back, best first.
    pub ways_back: Vec<WayBackReport>,
    /// Every change of the best one that stood.
    pub turns_back: Vec<TurnBack>,
    /// Exceptions, steps left out, steps cleared by one person alone.
    pub exceptions: Vec<Exception>,
    /// Every time the lead was taken over from somebody who was gone.
    pub taken: Vec<Taken>,
    /// Every time the line was stopped.
    pub stops: Vec<Stop>,
    /// Everyone outside the crew whom the plan has told.
    pub told: Vec<PlaceReport>,
    /// Every request that was refused.
    pub refusals: Vec<Refused>,
    /// Everything that was said.
    pub said: Vec<Said>,
    /// The story in sentences.
    pub timeline: Vec<Told>,
}

/// How a session was closed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Closed {
    pub at: At,
    pub by: Principal,
    pub outcome: Outcome,
    pub note: String,
}

/// Somebody who joined.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Member {
    pub principal: Principal,
    pub role: Role,
    /// The key that their first connection proved.
    pub key: String,
    /// Whether allowed_signers gave them that key when they last came.
    pub vouched: bool,
    pub joined: At,
    /// How often a connection of theirs was made.
    pub connections: u32,
}

/// A step, and every time it was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct StepReport {
    pub number: usize,
    pub id: StepId,
    pub title: String,
    pub phase: Phase,
    /// How long the plan expects it to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<u64>,
    pub attempts: Vec<Attempt>,
}

impl StepReport {
    /// How long it took: all its runs together, each to the end of its wait and its verification; nothing where none ended.
    pub fn took(&self) -> Option<Duration> {
        self.attempts.iter().filter_map(Attempt::took).reduce(|sum, took| sum.saturating_add(took))
    }
    /// What that is against what the plan expects.
    pub fn drift(&self) -> Option<Drift> {
        Some(Drift::between(self.took()?, Duration::from_millis(self.expected_ms?)))
    }
}

/// A watch over the whole session.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct WatchReport {
    pub id: WatchId,
    /// Readings that reached the transcript.
    pub readings: u64,
    /// Every change of its status.
    pub turns: Vec<(At, Status, Status, String)>,
    /// The sentence of the last reading.
    pub last: Option<(Status, String)>,
}

/// A way back that the plan names.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct WayBackReport {
    pub name: String,
    pub watch: WatchId,
    /// What it takes and loses, in a clause.
    pub price: String,
}

/// Another way back became the best one that stands; none where there was none any more.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct TurnBack {
    pub at: At,
    pub from: Option<String>,
    pub to: Option<String>,
    pub why: String,
}

/// Once, the line stood.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Stop {
    /// Who stopped it (the hub, where it held it), when and why; several may.
    pub pulls: Vec<Said>,
    pub releases: Vec<(At, Principal)>,
    pub freed: Option<At>,
}

/// A place outside the crew that the plan has told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PlaceReport {
    /// Its number in the plan, from 1.
    pub number: u32,
    pub name: String,
    /// `webhook` or `command`.
    pub by: &'static str,
    pub on: Vec<Occasion>,
    /// Lines that it was told of.
    pub told: u64,
    pub failures: Vec<NotTold>,
    /// Lines of which nothing says whether it was told.
    pub open: Vec<(u64, Occasion)>,
}

/// Lines that somebody outside could not be told of.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct NotTold {
    pub at: At,
    pub of: Vec<u64>,
    pub tries: u32,
    pub why: String,
}

impl PlaceReport {
    fn new(number: u32, notify: &Notify) -> PlaceReport {
        PlaceReport {
            number,
            name: notify.name.clone(),
            by: notify.by.word(),
            on: notify.on.iter().copied().collect(),
            told: 0,
            failures: vec![],
            open: vec![],
        }
    }
}

/// A request that was refused.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Refused {
    pub at: At,
    pub principal: Principal,
    pub request: String,
    pub reason: String,
}

impl Report {
    /// The report on a transcript and the output beside it. Takes no lock: the session may be live.
    pub fn of_file(transcript: &Path) -> Result<Report, ReportError> {
        let file = File::open(transcript).map_err(|source| ReadError::Open { path: transcript.to_owned(), source })?;
        let mut report = Report::of_source(&file)?;
        report.output = Some(verify_output(transcript)?);
        for step in &mut report.steps {
            for attempt in &mut step.attempts {
                let number = attempt.attempt;
                // Every try of a rollback printed into one file: its last lines are told once.
                let rollback = attempt.rollbacks.last_mut().map(|rollback| (Part::Rollback, &mut rollback.run));
                let runs = std::iter::once((Part::Step, &mut attempt.run)).chain(rollback);
                for (part, run) in runs.filter(|(_, run)| run.output_bytes > 0) {
                    let path = output::path(transcript, &step.id, number, part);
                    run.output_tail = match attempt::tail(&path, run.output_bytes) {
                        Tail::Missing if output::expired(transcript).is_some() => Tail::Expired,
                        tail => tail,
                    };
                }
            }
        }
        Ok(report)
    }

    /// The report on the lines alone. Goes through them twice: once for the verdict, once for the story.
    pub fn of_source<S: Source + Copy>(source: S) -> Result<Report, ReportError> {
        let verdict = verify(Reader::new(source), None);
        let mut folded: Option<(Session, Report)> = None;
        for next in Reader::new(source) {
            let Ok((line, _, head)) = next else { break }; // the verdict says why
            match &mut folded {
                None => {
                    let session = Session::open(&line, head.hash)?;
                    let report = Report::open(&session, &line, verdict.clone());
                    folded = Some((session, report));
                }
                Some((session, report)) => {
                    report.take(session, &line);
                    session.apply(&line, head.hash);
                }
            }
        }
        let Some((session, mut report)) = folded else { return Err(ReportError::Empty(verdict)) };
        report.lead = session.lead.clone();
        for place in &mut report.told {
            place.open = session.due_for(place.number).map(|(seq, due)| (seq, due.occasion)).collect();
        }
        for step in &mut report.steps {
            step.phase = session.steps.get(&step.id).map_or(Phase::Planned, |state| state.phase);
        }
        Ok(report)
    }

    /// How long it took, as far as the transcript goes.
    pub fn duration(&self) -> Duration {
        self.ended.since(self.opened)
    }

    fn open(session: &Session, line: &Line, verdict: Integrity) -> Report {
        let version = match &line.event {
            Event::SessionOpened { version, .. } => version.clone(),
            _ => String::new(), // `Session::open` accepts nothing else
        };
        let steps = session.plan.steps.iter().enumerate().map(|(index, step)| StepReport {
            number: index + 1,
            id: step.id.clone(),
            title: step.title.clone(),
            phase: Phase::Planned,
            expected_ms: step.expected.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            attempts: vec![],
        });
        let watches = session.plan.watches.iter().map(|watch| WatchReport {
            id: watch.id.clone(),
            readings: 0,
            turns: vec![],
            last: None,
        });
        let ways_back = session.plan.recovery.iter().map(|recovery| WayBackReport {
            name: recovery.name.clone(),
            watch: recovery.watch.clone(),
            price: price(recovery),
        });
        Report {
            plan_name: session.plan.name.clone(),
            environment: session.plan.environment.clone(),
            expected_ms: session.plan.expected.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            plan_digest: session.plan.digest,
            allowed_signers: session.allowed.as_ref().map(|allowed| allowed.digest()),
            rehearsal: session.rehearsal().map(str::to_owned),
            params: session.params.clone(),
            session: session.id.clone(),
            host: session.host.clone(),
            user: session.user.clone(),
            folder: session.folder.clone(),
            version,
            opened: line.at,
            ended: line.at,
            closed: None,
            lead: session.lead.clone(),
            verdict,
            output: None,
            crew: vec![],
            preflight: PreflightReport::open(session),
            steps: steps.collect(),
            watches: watches.collect(),
            ways_back: ways_back.collect(),
            turns_back: vec![],
            exceptions: vec![],
            taken: vec![],
            stops: vec![],
            told: (1..).zip(&session.plan.notify).map(|(number, notify)| PlaceReport::new(number, notify)).collect(),
            refusals: vec![],
            said: vec![],
            timeline: session.recent.iter().cloned().collect(),
        }
    }

    /// Takes one line in; `before` is the session just before it.
    fn take(&mut self, before: &Session, line: &Line) {
        let (at, by) = (line.at, line.by.clone());
        self.ended = at;
        if let Some(text) = story(before, line) {
            self.timeline.push(Told { seq: line.seq, at, text });
        }
        self.exceptions.extend(people::exception(line));
        self.preflight.take(before, line);
        let said = |text: &str| Said { at, by: by.clone(), text: text.to_owned() };
        match &line.event {
            Event::LeadHandedOver { from, to, agreed: Some(agreed) } => {
                self.taken.push(Taken { at, from: from.clone(), to: to.clone(), by: [agreed.clone(), by] });
            }
            Event::SessionClosed { outcome, note, .. } => {
                self.closed = Some(Closed { at, by, outcome: *outcome, note: note.clone() });
            }
            Event::Joined { principal, role, key, vouched, .. } => {
                match self.crew.iter_mut().find(|member| member.principal == *principal) {
                    Some(member) => {
                        member.connections += 1;
                        member.vouched = *vouched;
                    }
                    None => self.crew.push(Member {
                        principal: principal.clone(),
                        role: *role,
                        key: key.clone(),
                        vouched: *vouched,
                        joined: at,
                        connections: 1,
                    }),
                }
            }
            Event::ParamSet { name, value, .. } => {
                self.params.insert(name.clone(), value.clone());
            }
            Event::StepAdded { step, run, why } => {
                let typed = Typed { run: run.clone(), why: why.clone(), by };
                let title = before.plan.adhoc(step.clone(), &typed).title;
                let number = self.steps.len() + 1;
                self.steps.push(StepReport {
                    number,
                    id: step.clone(),
                    title,
                    expected_ms: None,
                    phase: Phase::Planned,
                    attempts: vec![],
                });
            }
            Event::Noted { text } => self.said.push(said(text)),
            Event::Refused { principal, request, reason } => self.refusals.push(Refused {
                at,
                principal: principal.clone(),
                request: request.clone(),
                reason: reason.clone(),
            }),
            Event::ReadingTaken { watch, reading, .. } => {
                if let Some(watch) = self.watches.iter_mut().find(|seen| seen.id == *watch) {
                    watch.readings += 1;
                    watch.last = Some((reading.status, reading.why.clone()));
                }
            }
            Event::GateTurned { watch, from, to, why } => {
                if let Some(watch) = self.watches.iter_mut().find(|seen| seen.id == *watch) {
                    watch.turns.push((at, *from, *to, why.clone()));
                }
            }
            Event::RecoveryTurned { from, to, why } => {
                self.turns_back.push(TurnBack { at, from: from.clone(), to: to.clone(), why: why.clone() })
            }
            Event::AndonPulled { why } | Event::LineHeld { why } => match self.open_stop() {
                Some(stop) => stop.pulls.push(said(why)),
                None => self.stops.push(Stop { pulls: vec![said(why)], releases: vec![], freed: None }),
            },
            Event::AndonReleased { freed, .. } => {
                let held = before.line.held.is_some();
                if let Some(stop) = self.open_stop() {
                    stop.releases.push((at, by));
                    stop.freed = (*freed && !held).then_some(at);
                }
            }
            Event::LineFreed { .. } => {
                let pulled = !before.line.pulled.is_empty();
                if let Some(stop) = self.open_stop() {
                    stop.freed = (!pulled).then_some(at);
                }
            }
            Event::Notified { notify, .. } => {
                if let Some(place) = self.told.iter_mut().find(|place| place.number == *notify) {
                    place.told += 1;
                }
            }
            Event::NotifyFailed { notify, of, tries, why } => {
                if let Some(place) = self.told.iter_mut().find(|place| place.number == *notify) {
                    place.failures.push(NotTold { at, of: of.clone(), tries: *tries, why: why.clone() });
                }
            }
            // About a step.
            event @ (Event::StepEdited { .. } | about::check!() | about::run!() | about::after!()) => {
                self.take_step(line, event)
            }
            Event::SessionOpened { .. }
            | Event::Recovered { .. }
            | Event::StopAsked { .. }
            | Event::PlanChanged { .. }
            | Event::ClockJumped { .. }
            | Event::CloseCalled { .. }
            | Event::CloseSigned { .. }
            | Event::Left { .. }
            | Event::KeyRefused { .. }
            | Event::ReadmitAgreed { .. }
            | Event::Readmitted { .. }
            | Event::LinkSilent { .. }
            | Event::AttentionChanged { .. }
            | Event::HandoverAgreed { .. }
            | Event::LeadHandedOver { .. }
            | Event::LeadGone { .. }
            | Event::Marked { .. }
            | Event::AnchorTaken { .. }
            | about::preflight!()
            | about::evidence!() => {}
        }
    }

    fn open_stop(&mut self) -> Option<&mut Stop> {
        self.stops.last_mut().filter(|stop| stop.freed.is_none())
    }

    fn take_step(&mut self, line: &Line, event: &Event) {
        let (at, by) = (line.at, line.by.clone());
        let Some(step) = event.step().and_then(|id| self.steps.iter_mut().find(|step| step.id == *id)) else {
            return;
        };
        if let Event::StepArmed { attempt, covers, .. } = event {
            step.attempts.push(Attempt::new(line, *attempt, covers));
            return;
        }
        if let Event::LeftBehind { attempt, part, .. } | Event::LeftGone { attempt, part, .. } = event {
            // What was left of an earlier try is told of that one.
            let attempt = step.attempts.iter_mut().find(|it| it.attempt == *attempt);
            if let Some(attempt) = attempt {
                let leaves = attempt.covers.covers().command_of(*part).and_then(|command| command.leaves.clone());
                attempt.ran_of_mut(*part).leaves = leaves;
                attempt.ran_of_mut(*part).take(at, by, event);
            }
            return;
        }
        let Some(attempt) = step.attempts.last_mut() else { return };
        match event {
            Event::CheckOpened { .. } => {
                attempt.opened.entry(by).or_insert(at);
            }
            Event::ReadBack { field, right, .. } => attempt.read_back.push((at, by, field.clone(), *right)),
            Event::CrossChecked { digest, key, .. } => {
                let opened = attempt.opened.get(&by).copied().unwrap_or(at);
                let looked_ms = u64::try_from(at.since(opened).as_millis()).unwrap_or(u64::MAX);
                attempt.checks.push(Checked { at, by, key: key.clone(), digest: *digest, looked_ms });
            }
            Event::Objected { why, .. } => attempt.objections.push(Said { at, by, text: why.clone() }),
            Event::Withdrawn { .. } => attempt.withdrawn.push((at, by)),
            Event::StepVoided { cause, .. } => attempt.voided = Some((at, cause.to_string())),
            Event::StepCleared { .. } => attempt.cleared = Some(at),
            Event::RunRequested { .. } => attempt.requested = Some((at, by)),
            Event::RunIntended { .. } => attempt.run.intended = Some(at),
            Event::BatchIntended { .. } => {
                // All batches print into one file.
                let next = Ran { intended: Some(at), output_bytes: attempt.run.output_bytes, ..Ran::default() };
                attempt.batches.push(std::mem::replace(&mut attempt.run, next));
            }
            Event::BatchesEnded { done, of, why, .. } => {
                attempt.batches_ended = Some((at, format!("{done} of {of} batches are done: {why}")));
            }
            Event::RollbackIntended { automatic, why, .. } => {
                // A second try goes on in the file of the first one.
                let output_bytes = attempt.rollbacks.last().map_or(0, |rollback| rollback.run.output_bytes);
                let run = Ran { intended: Some(at), output_bytes, ..Ran::default() };
                attempt.rollbacks.push(RolledBack { by, automatic: *automatic, why: why.clone(), run });
            }
            event => {
                if let Event::RunEnded { .. } | Event::RollbackEnded { .. } = event {
                    let part = if matches!(event, Event::RunEnded { .. }) { Part::Step } else { Part::Rollback };
                    let command = attempt.covers.covers().command_of(part);
                    let exits = command.map_or_else(Exits::default, |command| command.exits.clone());
                    attempt.ran_mut().exits = exits;
                }
                attempt.ran_mut().take(at, by, event);
            }
        }
        if let Event::Acknowledged { outcome, agreed, why, .. } = event {
            attempt.agreed = agreed.clone();
            attempt.settled = Some((*outcome, Said { at, by: line.by.clone(), text: why.clone() }));
        }
    }
}

#[cfg(test)]
mod tests;

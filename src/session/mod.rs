//! What the crew has agreed so far: a pure fold of events in number order. Equal events give equal sessions.
//!
//! [`Session::open`] takes the first line, [`Session::apply`] every further one; it always succeeds and never starts
//! anything. [`decide()`] says what a request becomes, events or a [`Refusal`], and [`observe()`] what something the hub saw
//! becomes. None of them reads a clock, a file or a random source: time and author come stamped from outside.

mod decide;
mod line;
mod look;
mod observe;
mod recovery;
pub mod request;
pub mod signing;
pub mod steps;
mod story;
#[cfg(test)]
mod tests;
pub(crate) mod twin;
pub mod verify;

pub use decide::decide;
pub(crate) use decide::refused;
pub use line::LineState;
pub use observe::{Fact, observe};
pub use recovery::{Stands, WayBack, price};
pub use request::{Author, Refusal, Request};
pub use story::story;

use crate::clock::At;
use crate::event::{Anchor, Attention, Event, Outcome, Reading, Role, RunEnd, Settled, Status, Verdict};
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId};
use crate::plan::{Params, Plan};
use crate::transcript::record::{Head, Line};
use crate::trust::allowed::{Allowed, AllowedError};
use crate::trust::key::PublicKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use steps::{Armed, Check, Move, Note, Phase, RunState, Starting, StepState};

/// Things said, and lines of the story, kept for late joiners. The transcript holds all of them.
const KEPT: usize = 200;
/// Readings kept per watch for its sparkline.
const HISTORY: usize = 60;
/// Refusals of one principal that reach the transcript in one [`REFUSAL_WINDOW`]; further ones are only answered.
pub const REFUSALS_PER_WINDOW: u32 = 20;
/// See [`REFUSALS_PER_WINDOW`].
pub const REFUSAL_WINDOW: Duration = Duration::from_secs(60);

/// One live run of a plan, as far as its transcript says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Number of the last event folded.
    pub seq: u64,
    /// The hash of its line.
    pub hash: Hash,
    /// Its time.
    pub at: At,
    /// The session's id.
    pub id: String,
    /// When it opened.
    pub opened: At,
    /// What is flown.
    #[serde(with = "plan_text")]
    pub plan: Arc<Plan>,
    /// Who may sign what, where the plan names a file for it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "allowed_text")]
    pub allowed: Option<Arc<Allowed>>,
    /// The parameters' values.
    pub params: Params,
    /// The hub's machine.
    pub host: String,
    /// Who the hub runs as.
    pub user: String,
    /// The plan's folder.
    pub folder: String,
    /// Who leads.
    pub lead: Principal,
    /// A hand-over that only one half of the two has agreed to.
    pub handover: Option<Handover>,
    /// Everyone who ever joined.
    pub people: BTreeMap<Principal, Person>,
    /// Every watch of the plan.
    pub watches: BTreeMap<WatchId, WatchState>,
    /// Every step of the plan.
    pub steps: BTreeMap<StepId, StepState>,
    /// The way back people were told still stands, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<String>,
    /// Whether anything may start.
    pub line: LineState,
    /// Since when fewer eligible shadows are connected than the next critical step needs.
    pub short_since: Option<At>,
    /// The hub's own key, in a session whose acts are signed.
    pub hub_key: Option<PublicKey>,
    /// Who vouched for it, as lead.
    pub vouched: Option<Principal>,
    /// The latest checkpoint.
    pub checkpoint: Checkpoint,
    /// Set once the lead called the end.
    pub closing: Option<Closing>,
    /// What was said, newest last.
    pub notes: VecDeque<Said>,
    /// The story in short sentences, newest last.
    pub recent: VecDeque<Told>,
    /// Refusals counted for the rate limit.
    pub refusals: BTreeMap<Principal, (At, u32)>,
    /// Set once it is over.
    pub closed: Option<Outcome>,
}

/// How far the hub has signed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Number of the `CheckpointSigned` line; 0 before the first.
    pub seq: u64,
    /// Its time.
    pub at: At,
    /// Whether something happened since that calls for the next one at once.
    pub wanted: bool,
}

/// The end, being signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// The `CloseCalled` line: what everyone signs.
    pub line: Head,
    /// When.
    pub at: At,
    /// How it ends.
    pub outcome: Outcome,
    /// The lead's words.
    pub note: String,
    /// Who has signed.
    pub signed: BTreeSet<Principal>,
}

/// What a person's key is worth, in the words of every screen.
pub fn vouching(vouched: bool) -> &'static str {
    if vouched { "key vouched for by allowed_signers" } else { "invited, key not vouched for" }
}

/// Somebody who joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// What they may do.
    pub role: Role,
    /// Their key, bound by their first connection.
    pub key: String,
    /// Whether allowed_signers gives them that key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vouched: bool,
    /// Open connections.
    pub connections: BTreeSet<u64>,
    /// What they look at.
    pub attention: Attention,
    /// Since when they look at it.
    pub since: At,
    /// Since when no connection is left.
    pub gone: Option<At>,
}

/// A watch in a session.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchState {
    /// The latest reading.
    pub reading: Option<Reading>,
    /// When it began.
    pub began: At,
    /// The status people were told: the reading's, or unknown once it is stale.
    pub status: Option<Status>,
    /// Numbers read, newest last.
    pub history: VecDeque<(At, f64)>,
    /// What is needed of its topic, where it is a watch that counts that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
    /// Whether a planned purge of its topic ended well since: what is left is to be counted anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anchor_moves: bool,
}

/// One half of a hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// Who shall lead.
    pub to: Principal,
    /// Who said so: the lead, or the one who shall.
    pub agreed: Principal,
}

/// Something said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// When.
    pub at: At,
    /// By whom.
    pub by: Principal,
    /// What.
    pub text: String,
}

/// One sentence of the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The event's number.
    pub seq: u64,
    /// When.
    pub at: At,
    /// The sentence.
    pub text: String,
}

/// Why a transcript's first line opens no session.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something else stands first.
    #[error("a transcript starts with SessionOpened; this one starts with {0}")]
    Kind(&'static str),
    /// Its plan cannot be read by this version.
    #[error("the plan in the transcript cannot be read by this version: {0}")]
    Plan(#[from] crate::plan::PlanError),
    /// Its signers cannot be read by this version.
    #[error("allowed_signers in the transcript cannot be read by this version: {0}")]
    Allowed(#[from] AllowedError),
    /// What the plan asks for and what the line holds are not the same.
    #[error("{0}")]
    Policy(&'static str),
}

impl Session {
    /// The session that a first line opens.
    pub fn open(line: &Line, hash: Hash) -> Result<Session, OpenError> {
        let Event::SessionOpened {
            session,
            plan,
            params,
            host,
            user,
            folder,
            hub_key,
            allowed_signers,
            allowed_signers_digest,
            ..
        } = &line.event
        else {
            return Err(OpenError::Kind(line.event.kind()));
        };
        let plan = Arc::new(Plan::parse("plan in the transcript", plan)?);
        let allowed = allowed_signers.as_deref().map(Allowed::parse).transpose()?.map(Arc::new);
        // The plan decides, not the line, whether keys are vouched for: a line without its signers must not read as a
        // session that never asked for them.
        if plan.crew.allowed_signers.is_some() != allowed.is_some() {
            return Err(OpenError::Policy(
                "the plan and the first line do not agree on whether there is allowed_signers",
            ));
        }
        if allowed.as_ref().map(|allowed| allowed.digest()) != *allowed_signers_digest {
            return Err(OpenError::Policy(
                "allowed_signers in the first line has another SHA-256 than stands beside it",
            ));
        }
        let mut state = Session {
            seq: line.seq,
            hash,
            at: line.at,
            hub_key: hub_key.clone(),
            vouched: None,
            checkpoint: Checkpoint { wanted: true, ..Checkpoint::default() },
            closing: None,
            id: session.clone(),
            opened: line.at,
            lead: plan.crew.lead.first().cloned().unwrap_or_else(Principal::hub), // a plan without a lead does not parse
            allowed,
            params: params.clone(),
            host: host.clone(),
            user: user.clone(),
            folder: folder.clone(),
            handover: None,
            people: BTreeMap::new(),
            watches: plan.watches.iter().map(|watch| (watch.id.clone(), WatchState::default())).collect(),
            steps: plan.steps.iter().map(|step| (step.id.clone(), StepState::default())).collect(),
            way_back: None,
            line: LineState::default(),
            short_since: None,
            notes: VecDeque::new(),
            recent: VecDeque::new(),
            refusals: BTreeMap::new(),
            closed: None,
            plan,
        };
        state.short_since = state.shadows_short().then_some(line.at);
        state.tell(line);
        Ok(state)
    }

    /// Folds one event in; `hash` is that of its line. Always succeeds: what may happen was decided before it was numbered.
    pub fn apply(&mut self, line: &Line, hash: Hash) {
        self.tell(line);
        self.seq = line.seq;
        self.hash = hash;
        self.checkpoint.wanted |= signing::calls_for_checkpoint(&line.event);
        self.at = line.at;
        let (at, by) = (line.at, &line.by);
        match &line.event {
            Event::SessionOpened { .. } => {}
            Event::Recovered { .. } => {
                for person in self.people.values_mut().filter(|person| !person.connections.is_empty()) {
                    person.connections.clear();
                    person.gone = Some(at);
                }
            }
            Event::ClockJumped { .. } => {}
            Event::SessionClosed { outcome, .. } => self.closed = Some(*outcome),
            Event::CloseCalled { outcome, note } => {
                self.closing = Some(Closing {
                    line: Head { seq: line.seq, hash },
                    at,
                    outcome: *outcome,
                    note: note.clone(),
                    signed: BTreeSet::new(),
                });
            }
            Event::CloseSigned { .. } => {
                if let Some(closing) = &mut self.closing {
                    closing.signed.insert(by.clone());
                }
            }
            Event::HubVouched { .. } => self.vouched = Some(by.clone()),
            Event::CheckpointSigned { .. } => {
                self.checkpoint = Checkpoint { seq: line.seq, at, wanted: false };
            }
            Event::Joined { principal, role, key, connection, vouched } => {
                let person = self.people.entry(principal.clone()).or_insert_with(|| Person {
                    role: *role,
                    key: key.clone(),
                    vouched: *vouched,
                    connections: BTreeSet::new(),
                    attention: Attention::Here,
                    since: at,
                    gone: None,
                });
                person.vouched = *vouched;
                person.connections.insert(*connection);
                person.gone = None;
            }
            Event::Left { principal, connection, .. } => {
                if let Some(person) = self.people.get_mut(principal) {
                    person.connections.remove(connection);
                    if person.connections.is_empty() {
                        person.gone = Some(at);
                    }
                }
            }
            Event::AttentionChanged { principal, attention } => {
                if let Some(person) = self.people.get_mut(principal) {
                    person.attention = attention.clone();
                    person.since = at;
                }
            }
            Event::HandoverAgreed { to } => {
                self.handover = Some(Handover { to: to.clone(), agreed: by.clone() });
            }
            Event::LeadHandedOver { to, .. } => {
                self.lead = to.clone();
                self.handover = None;
            }
            Event::Noted { text } => push(&mut self.notes, Said { at, by: by.clone(), text: text.clone() }, KEPT),
            Event::Marked { .. } => {}
            Event::Refused { principal, .. } => {
                let count = self.refusals.entry(principal.clone()).or_insert((at, 0));
                if at.since(count.0) >= REFUSAL_WINDOW {
                    *count = (at, 0);
                }
                count.1 += 1;
            }
            Event::ReadingTaken { watch, reading, began, asked } => {
                let state = self.watches.entry(watch.clone()).or_default();
                if let Some(value) = reading.value {
                    push(&mut state.history, (at, value), HISTORY);
                }
                state.reading = Some(reading.clone());
                state.began = *began;
                self.sample(watch, reading, *began, at);
                if let Some(starting) = self.starting_mut()
                    && starting.waits_for(watch, *began, *asked)
                {
                    starting.pending.remove(watch);
                }
            }
            Event::GateTurned { watch, to, .. } => {
                self.watches.entry(watch.clone()).or_default().status = Some(*to);
            }
            Event::AnchorTaken { watch, anchor } => {
                let state = self.watches.entry(watch.clone()).or_default();
                state.anchor = Some(anchor.clone());
                state.anchor_moves = false;
            }
            Event::RecoveryTurned { to, .. } => self.way_back = to.clone(),
            Event::AndonPulled { .. } => self.line.pull(by, at, Head { seq: line.seq, hash }),
            Event::AndonReleased { freed, .. } => self.line.release(by, *freed),
            Event::LineHeld { why } => self.line.held = Some(why.clone()),
            Event::LineFreed { .. } => self.line.held = None,
            Event::Resized { cols, rows } => {
                if let Some((_, state)) = self.steps.iter_mut().find(|(_, state)| state.phase.is_live())
                    && let Some(run) = &mut state.run
                {
                    run.size = (*cols, *rows);
                }
            }
            event => self.apply_to_step(line, hash, event),
        }
        for watch in self.purged_by(&line.event) {
            self.watches.entry(watch).or_default().anchor_moves = true;
        }
        let short = self.shadows_short();
        self.short_since = if short { self.short_since.or(Some(at)) } else { None };
    }

    fn apply_to_step(&mut self, line: &Line, hash: Hash, event: &Event) {
        let (at, by) = (line.at, &line.by);
        let gates: BTreeSet<WatchId> = match event {
            Event::RunRequested { step, .. } => self
                .plan
                .step(step)
                .map(|step| step.gates.iter().map(|gate| gate.watch.clone()).collect())
                .unwrap_or_default(),
            _ => BTreeSet::new(),
        };
        let verify = match event {
            Event::RunIntended { step, .. } => self.plan.step(step).and_then(|step| verify::before(self, step, at)),
            _ => None,
        };
        let Some(state) = step_of(event).and_then(|id| self.steps.get_mut(id)) else { return };
        let go = |state: &mut StepState, by: Move| {
            if let Some(next) = state.phase.next(by) {
                state.phase = next;
            }
        };
        match event {
            Event::StepArmed { attempt, lapses, covers, .. } => {
                state.attempt = *attempt;
                state.voided = None;
                state.run = None;
                state.armed = Some(Armed {
                    line: Head { seq: line.seq, hash },
                    at,
                    lapses: *lapses,
                    by: by.clone(),
                    covers: covers.clone(),
                    opened: BTreeMap::new(),
                    checks: BTreeMap::new(),
                    starting: None,
                });
                go(state, Move::Arm);
            }
            Event::CheckOpened { .. } => {
                if let Some(armed) = &mut state.armed {
                    armed.opened.entry(by.clone()).or_insert(at);
                }
            }
            Event::CrossChecked { key, .. } => {
                if let Some(armed) = &mut state.armed {
                    let opened = armed.opened.get(by).copied().unwrap_or(at);
                    let looked_ms = u64::try_from(at.since(opened).as_millis()).unwrap_or(u64::MAX);
                    armed.checks.insert(by.clone(), Check { at, key: key.clone(), looked_ms });
                }
            }
            Event::Withdrawn { .. } => {
                if let Some(armed) = &mut state.armed {
                    armed.checks.remove(by);
                }
            }
            Event::StepVoided { cause, .. } => {
                state.voided = Some(cause.to_string());
                state.armed = None;
                go(state, Move::Void);
            }
            Event::StepCleared { .. } => go(state, Move::Clear),
            Event::RunRequested { .. } => {
                if let Some(armed) = &mut state.armed {
                    armed.starting = Some(Starting { seq: line.seq, at, pending: gates });
                }
                go(state, Move::Request);
            }
            Event::RunIntended { .. } => {
                state.run = Some(RunState {
                    intended: at,
                    process: None,
                    started: None,
                    ended: None,
                    ended_by: None,
                    end: None,
                    still_running: false,
                    interrupted: None,
                    output_bytes: 0,
                    size: (80, 24),
                    verify,
                    verdict: None,
                });
                if let Some(armed) = &mut state.armed {
                    armed.starting = None;
                }
                go(state, Move::Intend);
            }
            Event::RunStarted { process, cols, rows, .. } => {
                if let Some(run) = &mut state.run {
                    run.process = Some(process.clone());
                    run.started = Some(at);
                    run.size = (*cols, *rows);
                }
                go(state, Move::Start);
            }
            Event::OutputWritten { offset, length, .. } => {
                if let Some(run) = &mut state.run {
                    run.output_bytes = offset + u64::from(*length);
                }
            }
            Event::RunInterrupted { .. } => {
                if let Some(run) = &mut state.run {
                    run.interrupted = Some(by.clone());
                }
            }
            Event::RunEnded { end, .. } => {
                if let Some(run) = &mut state.run {
                    run.ended = Some(at);
                    run.ended_by = Some(Head { seq: line.seq, hash });
                    run.end = Some(end.clone());
                }
                let verified = state.run.as_ref().is_some_and(|run| run.verify.is_some());
                go(
                    state,
                    match end {
                        RunEnd::NotStarted { .. } => Move::NotStarted,
                        end if end.is_success() && verified => Move::EndToVerify,
                        end if end.is_success() => Move::EndWell,
                        _ => Move::EndBadly,
                    },
                );
            }
            Event::OutcomeUnknown { process, still_running, .. } => {
                if let Some(run) = &mut state.run {
                    run.process = run.process.take().or_else(|| process.clone());
                    run.ended = Some(at);
                    run.ended_by = Some(Head { seq: line.seq, hash });
                    run.still_running = *still_running;
                }
                go(state, Move::Lose);
            }
            Event::ProcessGone { .. } => {
                if let Some(run) = &mut state.run {
                    run.still_running = false;
                }
            }
            Event::VerifyStarted { until, anew, .. } => {
                if let Some(verifying) = state.run.as_mut().and_then(|run| run.verify.as_mut()) {
                    verifying.after.clear();
                    verifying.span = Some((at, *until));
                    verifying.anew |= *anew;
                }
            }
            Event::VerifyEnded { verdict, compared, .. } => {
                if let Some(run) = &mut state.run {
                    // What it was made of has done its work; the verdict stays.
                    run.verify = None;
                    run.verdict = Some((*verdict, compared.clone()));
                }
                go(
                    state,
                    match verdict {
                        Verdict::Better | Verdict::Same => Move::VerifyWell,
                        Verdict::Worse => Move::VerifyWorse,
                        Verdict::CannotTell => Move::VerifyUnclear,
                    },
                );
            }
            Event::Acknowledged { outcome, why, .. } => {
                state.settled = Some(Note { by: by.clone(), at, outcome: *outcome, text: why.clone() });
                go(
                    state,
                    match outcome {
                        Settled::Done => Move::SettleDone,
                        Settled::Failed => Move::SettleFailed,
                    },
                );
            }
            _ => {}
        }
    }

    /// Keeps a reading for the run that is being verified. One that began before the run ended says nothing about after.
    fn sample(&mut self, watch: &WatchId, reading: &Reading, began: At, at: At) {
        let stale = self.plan.watch(watch).is_none_or(|watch| at.since(began) > watch.stale_after);
        let Some(state) = self.steps.values_mut().find(|state| state.phase == Phase::Verifying) else { return };
        let Some(verifying) = state.run.as_mut().and_then(|run| run.verify.as_mut()) else { return };
        if verifying.span.is_some_and(|(from, _)| began >= from) && verifying.before.contains_key(watch) {
            let status = if stale { Status::Unknown } else { reading.status };
            let value = reading.value.filter(|_| !stale);
            verifying.after.entry(watch.clone()).or_default().push(status, value, &reading.unit);
        }
    }

    fn tell(&mut self, line: &Line) {
        if let Some(text) = story(self, line) {
            push(&mut self.recent, Told { seq: line.seq, at: line.at, text }, KEPT);
        }
    }

    fn starting_mut(&mut self) -> Option<&mut Starting> {
        self.steps.values_mut().find(|state| state.phase == Phase::Starting)?.armed.as_mut()?.starting.as_mut()
    }
}

/// The step an event is about.
pub fn step_of(event: &Event) -> Option<&StepId> {
    match event {
        Event::StepArmed { step, .. }
        | Event::CheckOpened { step, .. }
        | Event::CrossChecked { step, .. }
        | Event::Objected { step, .. }
        | Event::Withdrawn { step, .. }
        | Event::StepVoided { step, .. }
        | Event::StepCleared { step, .. }
        | Event::RunRequested { step, .. }
        | Event::RunIntended { step, .. }
        | Event::RunStarted { step, .. }
        | Event::OutputWritten { step, .. }
        | Event::RunInterrupted { step, .. }
        | Event::RunEnded { step, .. }
        | Event::OutcomeUnknown { step, .. }
        | Event::ProcessGone { step, .. }
        | Event::VerifyStarted { step, .. }
        | Event::VerifyEnded { step, .. }
        | Event::Acknowledged { step, .. } => Some(step),
        _ => None,
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, kept: usize) {
    if queue.len() >= kept {
        queue.pop_front();
    }
    queue.push_back(item);
}

/// In a snapshot the signers are their text.
mod allowed_text {
    use super::*;
    pub fn serialize<S: serde::Serializer>(allowed: &Option<Arc<Allowed>>, to: S) -> Result<S::Ok, S::Error> {
        allowed.as_ref().map(|allowed| allowed.text()).serialize(to)
    }
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Arc<Allowed>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let allowed = text.as_deref().map(Allowed::parse).transpose().map_err(serde::de::Error::custom)?;
        Ok(allowed.map(Arc::new))
    }
}

/// In a snapshot a plan is its text.
mod plan_text {
    use super::*;
    pub fn serialize<S: serde::Serializer>(plan: &Arc<Plan>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&plan.text)
    }
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Arc<Plan>, D::Error> {
        let text = String::deserialize(from)?;
        Plan::parse("plan in the snapshot", &text).map(Arc::new).map_err(serde::de::Error::custom)
    }
}

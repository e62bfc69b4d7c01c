//! What the hub saw or did becomes events: time that went by, readings, connections, commands that start and end, a
//! crash that was survived. Pure, like the fold.

use super::decide::refused;
use super::guard::{void, void_open};
use super::phase::Phase;
use super::steps::RunState;
use super::{
    Closing, Session, Unfrozen, batches, left, notify, people, preflight, preview, probe, recovery, rollback, twin,
    verify, waiting,
};
use crate::clock::At;
use crate::event::{Anchor, Cause, Covers, Event, LeftSeen, Part, Process, Reading, Role, RunEnd, Status};
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId};
use crate::plan::{ShadowLost, Step};
use crate::trust::allowed::JOIN;
use crate::trust::statement::Signed;
use std::time::Duration;

/// Something the hub saw or did, as far as a session cares.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Fact {
    /// Time went by. Given before everything else, so that what lapsed or went stale meanwhile is so already.
    Tick,
    /// A connection proved who it is.
    Joined { principal: Principal, role: Role, key: String, connection: u64 },
    /// A connection ended.
    Left { principal: Principal, connection: u64, why: String },
    /// Somebody came with another key than the one their link stays with.
    KeyRefused { principal: Principal, key: String },
    /// Nothing was heard by a connection since then; without a time it is heard again.
    Silent { principal: Principal, connection: u64, since: Option<At> },
    /// Somebody was not let in.
    DoorRefused { principal: Principal, reason: String },
    /// A watch was read.
    Reading { watch: WatchId, reading: Reading, began: At, asked: Option<u64> },
    /// A watch counted what is needed of its topic from here on.
    Anchor { watch: WatchId, anchor: Anchor },
    /// Before a run, what would run was frozen once more.
    Rechecked { step: StepId, attempt: u32, now: Result<Box<Covers>, Unfrozen> },
    /// The process exists.
    Started { step: StepId, attempt: u32, part: Part, process: Process, keeper: Option<Process>, cols: u16, rows: u16 },
    /// The command itself has ended so, and these of its process session run on.
    Awaits { step: StepId, attempt: u32, part: Part, end: RunEnd, of: LeftSeen },
    /// A run left these behind.
    LeftBehind { step: StepId, attempt: u32, part: Part, of: LeftSeen },
    /// Of what runs left behind these have ended.
    LeftGone { processes: Vec<Process> },
    /// The command printed something, which lies on disk.
    Output { step: StepId, attempt: u32, part: Part, offset: u64, length: u32, hash: Hash },
    /// A probe is over; `output`: length and hash of what it printed, which lies on disk.
    Probed { step: StepId, attempt: u32, end: RunEnd, says: String, output: Option<(u32, Hash)> },
    /// The command did not take what was typed.
    InputLost { step: StepId, attempt: u32, why: String },
    /// It prints nothing and waits for keys at its terminal; the last line that it printed.
    AnswerAwaited { step: StepId, attempt: u32, part: Part, line: String },
    /// The process is gone, or never was.
    Ended { step: StepId, attempt: u32, part: Part, end: RunEnd },
    /// The plan's file says something else than the session was opened with.
    PlanChanged { digest: Hash, what: String },
    /// The hub was asked to stop.
    StopAsked,
    /// The wall clock stepped.
    ClockJumped { by_ms: i64 },
    /// A hub takes the session up again. `alive`: the process of a live step, if it or what it started in its session still
    /// is; found by other means, and its keeper too, where the crash cut off its `RunStarted`.
    Recovered { version: String, torn_bytes: u64, note: String, alive: Option<Process>, keeper: Option<Process> },
    /// The process of an unknown run is gone.
    ProcessGone { step: StepId, attempt: u32 },
    /// The hub signed how far the transcript goes, as [`Session::checkpoint_due`] asked for.
    Checkpoint { signed: Signed },
    /// Somebody outside was told of that line.
    Told { notify: u32, of: u64, tries: u32 },
    /// Somebody outside could not be told of those lines.
    NotTold { notify: u32, of: Vec<u64>, tries: u32, why: String },
    /// The hub signed the end, as [`Session::close_due`] asked for.
    Close { signed: Signed },
}
impl Fact {
    /// This and what time alone does, in their order: what lapsed or went stale meanwhile is so before anything is decided.
    /// But a hub that takes a session up again says so first: a verdict or a rollback that fell due while no hub was there is
    /// not decided from what the dead one had seen.
    pub fn with_time(&self) -> Vec<&Fact> {
        match self {
            Fact::Tick => vec![self],
            Fact::Recovered { .. } => vec![self, &Fact::Tick],
            _ => vec![&Fact::Tick, self],
        }
    }
}

/// What something the hub saw becomes at that time. Never fails: what the session does not care about is no event.
pub fn observe(session: &Session, at: At, fact: &Fact) -> Vec<Event> {
    if session.closed.is_some() && !matches!(fact, Fact::Left { .. }) {
        return vec![];
    }
    match fact {
        Fact::Tick => tick(session, at),
        Fact::Joined { principal, role, key, connection } => match session.vouches(principal, key, JOIN, at) {
            Err(why) if session.must_be_vouched(principal) => {
                refused(session, at, principal, "join".to_owned(), why.to_string()).into_iter().collect()
            }
            vouched => vec![Event::Joined {
                principal: principal.clone(),
                role: *role,
                key: key.clone(),
                connection: *connection,
                vouched: vouched == Ok(true),
            }],
        },
        Fact::Left { principal, connection, why } => {
            let here = session.people.get(principal).is_some_and(|person| person.connections.contains(connection));
            if here && session.closed.is_none() {
                let mut events =
                    vec![Event::Left { principal: principal.clone(), connection: *connection, why: why.clone() }];
                events.extend(void_open(session, Cause::Restarted).filter(|_| twin::broken(11)));
                events
            } else {
                vec![]
            }
        }
        Fact::KeyRefused { principal, key } => {
            // Strangers with a stolen link can try many: the crew alone is told, and of each key once in a row.
            let person = session.people.get(principal).filter(|_| session.is_crew(principal));
            let new = person.is_some_and(|it| it.knocked.as_ref() != Some(key) && !it.lost.contains(key));
            match new && refused(session, at, principal, String::new(), String::new()).is_some() {
                true => vec![Event::KeyRefused { principal: principal.clone(), key: key.clone() }],
                false => vec![],
            }
        }
        Fact::Silent { principal, connection, since } => {
            // A hundred people who only watch may lie in one train, and nothing hangs on them.
            let person = session.people.get(principal).filter(|_| session.is_crew(principal));
            let person = person.filter(|person| person.connections.contains(connection));
            match person.is_some_and(|person| person.silent.contains_key(connection) != since.is_some()) {
                true => {
                    vec![Event::LinkSilent { principal: principal.clone(), connection: *connection, since: *since }]
                }
                false => vec![],
            }
        }
        Fact::DoorRefused { principal, reason } => {
            refused(session, at, principal, "join".to_owned(), reason.clone()).into_iter().collect()
        }
        Fact::Reading { watch, reading, began, asked } => read(session, at, watch, reading, *began, *asked),
        Fact::Anchor { watch, anchor } => match session.wants_anchor(watch) {
            true => vec![Event::AnchorTaken { watch: watch.clone(), anchor: anchor.clone() }],
            false => vec![],
        },
        Fact::Rechecked { step, attempt, now } => rechecked(session, at, step, *attempt, now),
        Fact::Started { step, attempt, part, process, keeper, cols, rows } => {
            match live(session, step, *attempt, *part) {
                Some(run) if run.process.is_none() => {
                    vec![Event::RunStarted {
                        step: step.clone(),
                        attempt: *attempt,
                        part: *part,
                        process: process.clone(),
                        keeper: keeper.clone(),
                        cols: *cols,
                        rows: *rows,
                    }]
                }
                _ => vec![],
            }
        }
        Fact::Output { step, attempt, part, offset, length, hash } => match live(session, step, *attempt, *part) {
            Some(_) => vec![Event::OutputWritten {
                step: step.clone(),
                attempt: *attempt,
                part: *part,
                offset: *offset,
                length: *length,
                hash: *hash,
            }],
            None => vec![],
        },
        Fact::Probed { step, attempt, end, says, output } => probe::over(session, (step, *attempt), end, says, *output),
        Fact::InputLost { step, attempt, why } => match session.steps.get(step) {
            // It may have ended in the very batch in which it did not take it.
            Some(state) if state.attempt == *attempt => {
                vec![Event::InputLost { step: step.clone(), attempt: *attempt, why: why.clone() }]
            }
            _ => vec![],
        },
        Fact::AnswerAwaited { step, attempt, part, line } => match live(session, step, *attempt, *part) {
            Some(_) => {
                let (step, line) = (step.clone(), line.clone());
                vec![Event::AnswerAwaited { step, attempt: *attempt, part: *part, line }]
            }
            None => vec![],
        },
        Fact::Awaits { step, attempt, part, end, of } => match live(session, step, *attempt, *part) {
            Some(_) => {
                let (step, end, of) = (step.clone(), end.clone(), of.clone());
                vec![Event::OthersAwaited { step, attempt: *attempt, part: *part, end, of }]
            }
            None => vec![],
        },
        Fact::LeftBehind { step, attempt, part, of } => {
            left::behind(session, step, *attempt, *part, of).into_iter().collect()
        }
        Fact::LeftGone { processes } => left::gone(session, processes),
        Fact::Ended { step, attempt, part, end } => {
            let unstarted = matches!(end, RunEnd::NotStarted { .. });
            match live(session, step, *attempt, *part) {
                Some(run) if run.process.is_some() && link_lost(session, step, *part, end) => {
                    let (step, attempt, part) = (step.clone(), *attempt, *part);
                    let end = Some(end.clone());
                    let (process, keeper) = (None, None);
                    vec![Event::OutcomeUnknown { step, attempt, part, process, keeper, still_running: false, end }]
                }
                Some(run) if unstarted == run.process.is_none() => {
                    let (step, attempt, end) = (step.clone(), *attempt, end.clone());
                    let done = session.steps.get(&step).is_some_and(|state| state.counts(*part, &end).is_done());
                    let well = session.plan.step(&step).filter(|_| done);
                    let (ended, then) = match part {
                        Part::Step => {
                            let then = well.and_then(|step| waiting::after_run(step, at, attempt));
                            (Event::RunEnded { step, attempt, end }, then)
                        }
                        Part::Rollback => {
                            let then = well.and_then(|step| verify::start(step, at, attempt, *part, false));
                            (Event::RollbackEnded { step, attempt, end }, then)
                        }
                        Part::Preview | Part::Probe => return vec![], // no run of their own
                    };
                    std::iter::once(ended).chain(then).collect()
                }
                _ => vec![],
            }
        }
        Fact::PlanChanged { .. } if session.plan_changed => vec![],
        Fact::PlanChanged { digest, what } => {
            vec![Event::PlanChanged { digest: *digest, what: what.clone() }]
        }
        Fact::StopAsked if session.stopping.is_some() => vec![],
        Fact::StopAsked => std::iter::once(Event::StopAsked {}).chain(void_open(session, Cause::HubStops)).collect(),
        Fact::ClockJumped { by_ms } => {
            let mut events = vec![Event::ClockJumped { by_ms: *by_ms }];
            events.extend(void_open(session, Cause::ClockJumped));
            events
        }
        Fact::Recovered { version, torn_bytes, note, alive, keeper } => recovered(
            session,
            at,
            Event::Recovered { version: version.clone(), torn_bytes: *torn_bytes, note: note.clone() },
            (alive.as_ref(), keeper.as_ref()),
        ),
        Fact::ProcessGone { step, attempt } => match session.steps.get(step) {
            Some(state) if state.attempt == *attempt && state.still_running() => {
                vec![Event::ProcessGone { step: step.clone(), attempt: *attempt }]
            }
            _ => vec![],
        },
        Fact::Checkpoint { signed } => {
            vec![Event::CheckpointSigned { size: session.seq, head: session.hash, signed: signed.clone() }]
        }
        Fact::Told { notify, of, tries } => notify::told(session, *notify, *of, *tries),
        Fact::NotTold { notify, of, tries, why } => notify::not_told(session, at, *notify, of, *tries, why),
        Fact::Close { signed } => match &session.closing {
            Some(Closing { outcome, note, .. }) => {
                vec![Event::SessionClosed { outcome: *outcome, note: note.clone(), signed: Some(signed.clone()) }]
            }
            None => vec![],
        },
    }
}

/// What time alone does: armed steps lapse, readings go stale, missing shadows hold the line.
fn tick(session: &Session, at: At) -> Vec<Event> {
    let mut events = vec![];
    for watch in &session.plan.watches {
        // It went stale, or a crash cut off the line that would have told.
        let told = session.watches.get(&watch.id).and_then(|state| state.status).unwrap_or(Status::Unknown);
        let now = session.status(&watch.id, at);
        if now != told {
            events.push(turned(session, &watch.id, now, session.why(&watch.id, at)));
        }
    }
    if let Some((step, state, armed)) = session.open_step() {
        if at >= armed.lapses {
            events.push(void(&step.id, state.attempt, Cause::Lapsed));
        } else if let Some(cause) = gate_cause(session, step, at).filter(|_| !twin::broken(3)) {
            events.push(void(&step.id, state.attempt, cause));
        }
    }
    events.extend(waiting::due(session, at));
    let verified = verify::due(session, at);
    let undone = rollback::due(session, verified.as_ref());
    let next = batches::due(session, at, verified.as_ref());
    events.extend(verified.into_iter().chain(undone).chain(next));
    match (&session.line.held, session.short_since) {
        (None, Some(since))
            if session.plan.on_shadow_lost == ShadowLost::Hold && at.since(since) >= session.plan.shadow_grace =>
        {
            events
                .push(Event::LineHeld { why: "fewer shadows are connected than the next critical step needs".into() });
            let voided = events.iter().any(|event| matches!(event, Event::StepVoided { .. }));
            if !voided && !session.is_glass_broken() {
                events.extend(void_open(session, Cause::Andon));
            }
        }
        (Some(_), None) => events.push(Event::LineFreed { why: "enough shadows are connected again".into() }),
        _ => {}
    }
    events.extend(people::lead_gone(session, at));
    events.extend(recovery::turned(session, at));
    events.extend(notify::given_up(session));
    events
}

fn read(session: &Session, at: At, id: &WatchId, reading: &Reading, began: At, asked: Option<u64>) -> Vec<Event> {
    let (Some(watch), Some(before)) = (session.plan.watch(id), session.watches.get(id)) else { return vec![] };
    let repeat_after = Duration::from_secs(30).min(watch.stale_after / 2);
    // JSON has no NaN and no infinity: as a line it would come back as another reading, and no snapshot of it at all.
    let reading = Reading { value: reading.value.filter(|value| value.is_finite()), ..reading.clone() };
    let unchanged = before.reading.as_ref() == Some(&reading) && at.since(before.began) < repeat_after;
    let starting = session.open_step().and_then(|(_, _, armed)| armed.starting.as_ref());
    let waited_for = starting.is_some_and(|starting| starting.waits_for(id, began, asked));
    // Every reading counts while a run is held against what was before it, the same ones too.
    let sampled = session.verifying_step().is_some_and(|(_, state)| state.before.contains_key(id));
    // So does the first one since a step began to wait for it.
    let wait = session.waiting_step().filter(|(step, _)| step.until().is_some_and(|until| until.watch == *id));
    let wait = wait.and_then(|(_, state)| state.run.as_ref()?.wait.as_ref()?.since);
    let batch = session.verifying_step().or_else(|| session.between_batches()).filter(|(_, state)| state.has_more());
    let batch = batch.filter(|(step, _)| step.gates.iter().any(|gate| gate.watch == *id));
    let batch = batch.and_then(|(_, state)| state.run.as_ref()?.ended);
    let sampled = sampled || batch.is_some_and(|ended| before.began < ended && began >= ended);
    let sampled = sampled || wait.is_some_and(|since| before.began < since && began >= since);
    if (unchanged && !waited_for && !sampled) || began < before.began {
        return vec![];
    }
    // One that took longer than readings are good for is stale when it comes.
    let stale = at.since(began) > watch.stale_after && !twin::broken(9);
    let status = if stale { Status::Unknown } else { reading.status };
    let why = match stale {
        true => format!("it took {}; {}", crate::clock::human(at.since(began)), reading.why),
        false => reading.why.clone(),
    };
    let said = reading.status;
    let mut events = vec![Event::ReadingTaken { watch: id.clone(), reading, began, asked }];
    if before.status != Some(status) {
        events.push(turned(session, id, status, why.clone()));
    }
    if twin::broken(3) || (twin::broken(4) && waited_for) {
        return events;
    }
    if let Some((step, state, _)) = session.open_step()
        && let Some(gate) = step.gates.iter().find(|gate| gate.watch == *id)
        // Whoever excused that nobody knows did not excuse what an old reading says.
        && let Some(status) = [status, said].into_iter().find(|status| {
            !(*status == Status::Ok
                || (*status == Status::Warn && gate.allow_warn)
                || session.is_waived(&step.id, id, *status, at))
        })
    {
        let cause = Cause::Gate { watch: id.clone(), status, why };
        events.push(void(&step.id, state.attempt, cause));
    }
    events
}

fn turned(session: &Session, id: &WatchId, to: Status, why: String) -> Event {
    let from = session.watches.get(id).and_then(|state| state.status).unwrap_or(Status::Unknown);
    Event::GateTurned { watch: id.clone(), from, to, why }
}

/// The last look before the intent: gates as they are now, and every byte as it was checked.
fn rechecked(session: &Session, at: At, id: &StepId, attempt: u32, now: &Result<Box<Covers>, Unfrozen>) -> Vec<Event> {
    let Some(step) = session.plan.step(id) else { return vec![] };
    let Some(state) = session.steps.get(id).filter(|state| state.attempt == attempt) else { return vec![] };
    let Some(armed) = &state.armed else { return vec![] };
    if state.phase != Phase::Starting && !(twin::broken(6) && state.phase.is_live()) {
        return vec![]; // voided meanwhile, or intended already
    }
    let pending = armed.starting.as_ref().and_then(|starting| starting.pending.first().cloned());
    let cause = match (pending, now) {
        (Some(watch), _) if !twin::broken(4) => Some(Cause::Gate {
            watch,
            status: Status::Unknown,
            why: "it was not read again after run was pressed".into(),
        }),
        (_, Err(why)) => Some(why.cause()),
        (_, Ok(now)) => preview::changed(armed.covers.covers(), now).filter(|_| !twin::broken(2)),
    };
    let checks = armed.covers.covers().checks;
    let polled = || preflight::lock(session, checks).map(|why| Cause::NotGo { why });
    let gate = || gate_cause(session, step, at).filter(|_| !twin::broken(4) && !twin::broken(3));
    let stopped = || (session.is_stopped_for(armed) && !twin::broken(7)).then_some(Cause::Andon);
    match cause.or_else(gate).or_else(stopped).or_else(polled) {
        Some(cause) => vec![void(id, attempt, cause)],
        None => {
            let said = armed.starting.as_ref().and_then(|starting| starting.said.as_ref());
            let mut events = vec![Event::RunIntended { step: id.clone(), attempt }];
            events.extend(waiting::instead_of_run(step, at, attempt, said));
            events
        }
    }
}

fn recovered(
    session: &Session,
    at: At,
    recovered: Event,
    (alive, keeper): (Option<&Process>, Option<&Process>),
) -> Vec<Event> {
    let mut events = vec![recovered];
    // Without an intent on disk no process exists. Armed and cleared steps end too: the crash may have cut off the very
    // StepVoided that followed an objection, a withdrawal, an andon or a hand-over, and what stands in its place would run.
    if !twin::broken(12) {
        events.extend(void_open(session, Cause::Restarted));
    }
    if let Some((step, state)) = session.waiting_step() {
        events.extend(waiting::start(step, at, state.attempt, true));
    }
    // What it missed of the readings it cannot vouch for: they are taken anew.
    if let Some((step, state)) = session.verifying_step() {
        events.extend(verify::start(step, at, state.attempt, state.phase.part(), true));
    }
    if let Some((step, state)) = session.between_batches() {
        events.extend(batches::end(state, &step.id, "the hub was away".to_owned()));
    }
    if let Some((step, state)) = session.live_step()
        && !twin::broken(12)
    {
        let part = state.phase.part();
        if step.runs().is_none() && part == Part::Step {
            // Nothing ran, and so nothing was lost but the lines that follow an intent.
            let said = state.run.as_ref().and_then(|run| run.by_hand.as_ref());
            events.extend(waiting::instead_of_run(step, at, state.attempt, said));
            return events;
        }
        let process = state.run_of(part).and_then(|run| run.process.clone()).or_else(|| alive.cloned());
        events.push(Event::OutcomeUnknown {
            step: step.id.clone(),
            attempt: state.attempt,
            part,
            process,
            keeper: keeper.cloned(),
            still_running: alive.is_some(),
            end: None,
        });
    }
    events
}

/// Whether what ended is ssh and not the command: it may run on at the other end, or never have begun. 255 is what ssh says
/// of itself.
fn link_lost(session: &Session, step: &StepId, part: Part, end: &RunEnd) -> bool {
    let armed = session.steps.get(step).and_then(|state| state.armed.as_ref());
    let remote = armed.and_then(|armed| armed.covers.covers().command_of(part)).is_some_and(|command| command.remote);
    remote && !matches!(end, RunEnd::Exited { code: 0..=254 })
}

fn gate_cause(session: &Session, step: &Step, at: At) -> Option<Cause> {
    let gate = step.gates.iter().find(|gate| !session.gate_passes(&step.id, gate, at))?;
    let (status, why) = (session.status(&gate.watch, at), session.why(&gate.watch, at));
    Some(Cause::Gate { watch: gate.watch.clone(), status, why })
}

/// The run of that command, where it is the one that runs or may run.
fn live<'a>(session: &'a Session, id: &StepId, attempt: u32, part: Part) -> Option<&'a RunState> {
    let state = session.steps.get(id).filter(|state| state.attempt == attempt && state.phase.is_live())?;
    state.run_of(part).filter(|_| state.phase.part() == part)
}

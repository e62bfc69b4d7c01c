//! What is signed, by whom, and what exactly the signature must say.
//!
//! In a session that names the hub's key in its first line, these acts count only with their author's signature:
//! cross-check, objection, withdrawal, release of the andon, acknowledgement, waiver, skipping a step, breaking the glass, letting somebody in again, vouching for the hub, and the end. A
//! statement names the hash of the line it answers, and that line commits to everything before it: so each of these
//! signatures is also one over the transcript so far. The same text is built here three times over: by the client from
//! what it has folded, by the hub before the act counts, and by whoever verifies the transcript later.

use super::guard::Ask;
use super::refusal::Refusal;
use super::rehearsal::about;
use super::request::{Author, Request};
use super::{Closing, Session};
use crate::clock::At;
use crate::event::{Event, Outcome, Role, Settled, Status, about};
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId};
use crate::transcript::record::{Head, Line};
use crate::trust::allowed::Why;
use crate::trust::sshsig;
use crate::trust::statement::{Purpose, Signed, Statement, StatementError};
use std::time::Duration;

/// A checkpoint is due after so many lines,
const CHECKPOINT_LINES: u64 = 64;
/// or after so long.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// How long the end waits for the signatures of those who are here.
pub const CLOSE_WAITS: Duration = Duration::from_secs(20);
/// How old a signature may be when it comes: a security key waits for a touch, and a person looks for theirs.
const SIGNED_WITHIN: Duration = Duration::from_secs(10 * 60);
/// How far a client's idea of the hub's time may be ahead of it.
const AHEAD: Duration = Duration::from_secs(60);

/// An act that is signed, with what is not in the session yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act<'a> {
    /// A shadow's word on what is armed.
    Check(&'a StepId, CrossCheck<'a>),
    /// An exception to a gate that reads so, for that attempt.
    Waive(&'a StepId, u32, &'a WatchId, Status, &'a str),
    /// Leave a step out.
    Skip(&'a StepId, &'a str),
    /// Clear what is armed alone.
    Glass(&'a StepId, &'a str),
    /// Let the line go on.
    Release,
    /// Let somebody in again, with that key.
    Readmit(&'a Principal, &'a str),
    /// How a step counts.
    Acknowledge(&'a StepId, Settled, &'a str),
    /// The lead vouches for the hub's key.
    Vouch,
    /// Present at the end.
    Close,
}

/// See [`Act::Check`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum CrossCheck<'a> {
    Approve,
    Object(&'a str),
    Withdraw,
}

impl<'a> Act<'a> {
    /// The act that a request is, where it is one that is signed.
    pub fn of_request(request: &'a Request) -> Option<Act<'a>> {
        Some(match request {
            Request::Check { step, .. } => Act::Check(step, CrossCheck::Approve),
            Request::Object { step, why, .. } => Act::Check(step, CrossCheck::Object(why)),
            Request::Withdraw { step, .. } => Act::Check(step, CrossCheck::Withdraw),
            Request::Waive { step, attempt, watch, status, why } => Act::Waive(step, *attempt, watch, *status, why),
            Request::Skip { step, why } => Act::Skip(step, why),
            Request::BreakGlass { step, why, .. } => Act::Glass(step, why),
            Request::Release => Act::Release,
            Request::Readmit { who, key } => Act::Readmit(who, key),
            Request::Ack { step, why } => Act::Acknowledge(step, Settled::Failed, why),
            Request::Settle { step, outcome, why } => Act::Acknowledge(step, *outcome, why),
            Request::Vouch => Act::Vouch,
            Request::SignClose => Act::Close,
            // Who asked is known by their connection, and nothing more is needed.
            Request::Arm { .. }
            | Request::Set { .. }
            | Request::Edit { .. }
            | Request::AdHoc { .. }
            | Request::Disarm { .. }
            | Request::OpenCheck { .. }
            | Request::ReadBack { .. }
            | Request::Run { .. }
            | Request::Did { .. }
            | Request::TryRun { .. }
            | Request::Probe { .. }
            | Request::Type { .. }
            | Request::Interrupt { .. }
            | Request::Rollback { .. }
            | Request::Andon { .. }
            | Request::Poll
            | Request::Go { .. }
            | Request::NoGo { .. }
            | Request::Seat { .. }
            | Request::Answer { .. }
            | Request::Available { .. }
            | Request::Handover { .. }
            | Request::Say { .. }
            | Request::Mark { .. }
            | Request::Attend { .. }
            | Request::Resize { .. }
            | Request::Close { .. } => return None,
        })
    }

    /// The act that an event keeps, with its signature.
    pub fn of_event(event: &'a Event) -> Option<(Act<'a>, Option<&'a Signed>)> {
        Some(match event {
            Event::CrossChecked { step, signed, .. } => (Act::Check(step, CrossCheck::Approve), signed.as_ref()),
            Event::Objected { step, why, signed, .. } => (Act::Check(step, CrossCheck::Object(why)), signed.as_ref()),
            Event::Withdrawn { step, signed, .. } => (Act::Check(step, CrossCheck::Withdraw), signed.as_ref()),
            Event::GateWaived { step, attempt, watch, status, why, signed } => {
                (Act::Waive(step, *attempt, watch, *status, why), signed.as_ref())
            }
            Event::SkipAgreed { step, why, signed } | Event::StepSkipped { step, why, signed, .. } => {
                (Act::Skip(step, why), signed.as_ref())
            }
            Event::BreakGlass { step, why, signed, .. } => (Act::Glass(step, why), signed.as_ref()),
            Event::ReadmitAgreed { principal, key, signed } | Event::Readmitted { principal, key, signed, .. } => {
                (Act::Readmit(principal, key), signed.as_ref())
            }
            Event::AndonReleased { signed, .. } => (Act::Release, signed.as_ref()),
            Event::SettleAgreed { step, why, signed, .. } => {
                (Act::Acknowledge(step, Settled::Done, why), signed.as_ref())
            }
            Event::Acknowledged { step, outcome, why, signed, .. } => {
                (Act::Acknowledge(step, *outcome, why), signed.as_ref())
            }
            Event::HubVouched { signed } => (Act::Vouch, Some(signed)),
            Event::CloseSigned { signed } => (Act::Close, Some(signed)),
            // The hub signs these, or nobody does.
            Event::SessionOpened { .. }
            | Event::Recovered { .. }
            | Event::StopAsked { .. }
            | Event::PlanChanged { .. }
            | Event::ClockJumped { .. }
            | Event::CloseCalled { .. }
            | Event::SessionClosed { .. }
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::KeyRefused { .. }
            | Event::LinkSilent { .. }
            | Event::AttentionChanged { .. }
            | Event::HandoverAgreed { .. }
            | Event::LeadHandedOver { .. }
            | Event::LeadGone { .. }
            | Event::StepArmed { .. }
            | Event::CheckOpened { .. }
            | Event::ReadBack { .. }
            | Event::StepVoided { .. }
            | Event::StepCleared { .. }
            | Event::ProbeIntended { .. }
            | Event::ProbeEnded { .. }
            | Event::VerifyStarted { .. }
            | Event::VerifyEnded { .. }
            | Event::RollbackIntended { .. }
            | Event::RollbackEnded { .. }
            | Event::AndonPulled { .. }
            | Event::LineHeld { .. }
            | Event::LineFreed { .. }
            | Event::CheckpointSigned { .. }
            | about::preflight!()
            | about::said!()
            | about::watches!()
            | about::changes!()
            | about::run!()
            | about::told!() => return None,
        })
    }
}

/// How what a request answers stands in a session, as far as a client has folded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is here, and can be signed.
    Here,
    /// The request names something newer than what is here: it is on its way.
    Ahead,
    /// Nothing like it is here. It may be on its way, or the request is a mistake.
    NotYet,
    /// It is not what stands there any more, or no act that is signed: the hub knows what to say to that.
    Gone,
}

/// See [`Standing`]. Only what is `Here` may be signed: [`statement`] would take an earlier attempt for the one that is meant.
pub fn standing(session: &Session, request: &Request) -> Standing {
    let here = |is: bool, otherwise| if is { Standing::Here } else { otherwise };
    let armed = |step: &StepId, attempt: u32, digest: Option<&Hash>| {
        let Some(state) = session.steps.get(step) else { return Standing::NotYet };
        match &state.armed {
            _ if attempt > state.attempt => Standing::Ahead,
            Some(armed) if attempt == state.attempt => {
                here(digest.is_none_or(|digest| *digest == armed.digest()), Standing::Gone)
            }
            _ => Standing::Gone,
        }
    };
    // The attempt and the digest that are meant stand in the request alone: a statement takes them from what is armed.
    let (attempt, digest) = match request {
        Request::Check { attempt, digest, .. }
        | Request::Object { attempt, digest, .. }
        | Request::BreakGlass { attempt, digest, .. } => (*attempt, Some(digest)),
        Request::Withdraw { attempt, .. } => (*attempt, None),
        _ => (0, None), // no word on what is armed
    };
    let Some(act) = Act::of_request(request) else { return Standing::Gone };
    match act {
        Act::Check(step, _) | Act::Glass(step, _) => armed(step, attempt, digest),
        Act::Acknowledge(step, ..) => match session.steps.get(step) {
            None => Standing::NotYet,
            Some(state) if state.phase.is_over() => Standing::Gone,
            Some(state) => here(
                state.phase.owes_acknowledgement() && state.latest_run().is_some_and(|run| run.ended_by.is_some()),
                Standing::NotYet,
            ),
        },
        Act::Skip(step, _) => here(session.steps.contains_key(step), Standing::NotYet),
        // The last one that was released is still known, and is not the one that is meant.
        Act::Release => here(!session.line.pulled.is_empty(), Standing::NotYet),
        Act::Waive(..) => Standing::Here,
        Act::Readmit(who, key) => {
            let knocked = session.people.get(who).and_then(|person| person.knocked.as_deref());
            here(knocked == Some(key), Standing::Gone)
        }
        Act::Vouch => here(session.hub_key.is_some(), Standing::Gone),
        Act::Close => here(session.closing.is_some(), Standing::Gone),
    }
}

/// What somebody signs for an act, as that session stands; none where there is nothing to answer (nothing armed, no
/// andon). `key` is their fingerprint.
pub fn statement(session: &Session, act: Act, who: &Principal, key: &str, at: At) -> Option<Statement> {
    let begin = |purpose| about(session, purpose);
    let answers = |statement: Statement, line: Head| {
        statement.field("request-seq", line.seq).hash("request-hash", Some(line.hash))
    };
    let end = |statement: Statement| statement.field("signed-at", at);
    let signer = |statement: Statement| statement.field("approver", who).field("approver-key", key);
    Some(match act {
        Act::Check(id, check) => {
            let state = session.steps.get(id)?;
            let armed = state.armed.as_ref()?;
            let covers = armed.covers.covers();
            let (word, words) = match check {
                CrossCheck::Approve => ("approve", None),
                CrossCheck::Object(why) => ("object", Some(why)),
                CrossCheck::Withdraw => ("withdraw", None),
            };
            let statement = answers(begin(Purpose::Approve), armed.line)
                .field("step", id)
                .field("attempt", state.attempt)
                .field("verdict", word)
                .field("proposer", &armed.by);
            let env = covers.command.env.iter().map(|(name, value)| format!("{name}={value}\0")).collect::<String>();
            let argv = covers.command.argv.iter().flat_map(|argument| [argument.as_bytes(), b"\0"]);
            let files =
                covers.command.files.iter().map(|file| format!("{} {}\n", file.sha256, file.path)).collect::<String>();
            let gates = serde_json::to_vec(&covers.gates).unwrap_or_default(); // plain data
            let rollback = covers.rollback.as_ref().map(|rollback| serde_json::to_vec(rollback).unwrap_or_default());
            end(signer(statement)
                .field("host", &covers.command.host)
                .field("user", &covers.command.user)
                .field("cwd", &covers.command.cwd)
                .values("argv", &covers.command.argv)
                .hash("argv-hash", Some(Hash::of_parts(argv)))
                .hash("env-hash", Some(Hash::of(env.as_bytes())))
                .hash("stdin", covers.command.stdin.as_ref().map(|text| Hash::of(text.as_bytes())))
                .hash("exe-hash", (!covers.command.is_nothing()).then_some(covers.command.exe.sha256))
                .hash("state-hash", Some(Hash::of(&gates)))
                .field("state-at", armed.at)
                .hash("plan-hash", Some(covers.plan))
                .hash("policy-hash", session.policy_digest())
                .values("readback", armed.was_read_back(who, check == CrossCheck::Approve))
                .hash("files-hash", (!covers.command.files.is_empty()).then(|| Hash::of(files.as_bytes())))
                .hash("rollback-hash", rollback.map(|rollback| Hash::of(&rollback)))
                .hash("preview-hash", covers.preview.as_ref().map(|preview| preview.sha256))
                .hash("digest", Some(armed.digest()))
                .hash("words-hash", words.map(|words| Hash::of(words.as_bytes()))))
            .field("expires", armed.lapses)
        }
        Act::Waive(id, attempt, watch, status, why) => {
            let statement = begin(Purpose::Approve)
                .hash("plan-hash", Some(session.plan.digest))
                .field("step", id)
                .field("attempt", attempt)
                .field("verdict", "waive")
                .field("gate", watch)
                .field("status", status.word())
                .hash("words-hash", Some(Hash::of(why.as_bytes())));
            end(signer(statement))
        }
        Act::Skip(id, why) => {
            let statement = begin(Purpose::Approve)
                .hash("plan-hash", Some(session.plan.digest))
                .field("step", id)
                .field("attempt", session.steps.get(id)?.attempt)
                .field("verdict", "skip")
                .hash("words-hash", Some(Hash::of(why.as_bytes())));
            end(signer(statement))
        }
        Act::Glass(id, why) => {
            let state = session.steps.get(id)?;
            let armed = state.armed.as_ref()?;
            let statement = answers(begin(Purpose::Approve), armed.line)
                .field("step", id)
                .field("attempt", state.attempt)
                .field("verdict", "break-glass")
                .field("missing", armed.missing())
                .hash("digest", Some(armed.digest()))
                .hash("words-hash", Some(Hash::of(why.as_bytes())));
            end(signer(statement))
        }
        Act::Release => {
            let statement = answers(begin(Purpose::Approve), session.line.latest?).field("verdict", "release");
            end(signer(statement))
        }
        Act::Readmit(other, new) => {
            let statement = begin(Purpose::Approve)
                .hash("plan-hash", Some(session.plan.digest))
                .field("verdict", "readmit")
                .field("person", other)
                .field("person-key", new);
            end(signer(statement))
        }
        Act::Acknowledge(id, outcome, why) => {
            let state = session.steps.get(id)?;
            let word = match outcome {
                Settled::Done => "settled-done",
                Settled::Failed => "settled-failed",
            };
            let statement = answers(begin(Purpose::Approve), state.latest_run()?.ended_by?)
                .field("step", id)
                .field("attempt", state.attempt)
                .field("verdict", word)
                .hash("words-hash", Some(Hash::of(why.as_bytes())));
            end(signer(statement))
        }
        Act::Vouch => {
            let statement = begin(Purpose::Hub)
                .field("hub-key", session.hub_key.as_ref()?.fingerprint())
                .hash("plan-hash", Some(session.plan.digest))
                .field("environment", &session.plan.environment);
            end(statement.field("lead", who).field("lead-key", key))
        }
        Act::Close => {
            let Closing { line, outcome, note, .. } = session.closing.as_ref()?;
            end(signer(closing(begin(Purpose::Close), *line, *outcome, note)))
        }
    })
}

fn closing(statement: Statement, line: Head, outcome: Outcome, note: &str) -> Statement {
    let word = match outcome {
        Outcome::Complete => "complete",
        Outcome::Partial => "partial",
    };
    statement
        .field("size", line.seq)
        .hash("head", Some(line.hash))
        .field("outcome", word)
        .hash("words-hash", Some(Hash::of(note.as_bytes())))
}

/// What the hub signs to say how far the transcript goes.
pub fn checkpoint(session: &Session, at: At) -> Statement {
    about(session, Purpose::Checkpoint)
        .field("size", session.seq)
        .hash("head", Some(session.hash))
        .field("signed-at", at)
}

/// What the hub signs at the end: everything but the last line itself, which says no more than this.
pub fn close(session: &Session, outcome: Outcome, note: &str, at: At) -> Statement {
    let head = Head { seq: session.seq, hash: session.hash };
    closing(about(session, Purpose::Close), head, outcome, note).field("approver", "hub").field("signed-at", at)
}

/// Whether that event calls for a checkpoint at once: what is about to matter, has just mattered, or who of the crew is here.
pub(super) fn calls_for_checkpoint(event: &Event) -> bool {
    match event {
        // A hundred people who only watch may come in one minute, and nothing hangs on them.
        Event::Joined { role, .. } => *role != Role::Observer,
        Event::Left { principal, .. } => !principal.as_str().starts_with("observer:"),
        Event::StepArmed { .. }
        | Event::RunIntended { .. }
        | Event::BatchIntended { .. }
        | Event::RunEnded { .. }
        | Event::RollbackIntended { .. }
        | Event::RollbackEnded { .. }
        | Event::OutcomeUnknown { .. }
        | Event::Recovered { .. }
        | Event::CloseCalled { .. } => true,
        Event::SessionOpened { .. }
        | Event::StopAsked { .. }
        | Event::PlanChanged { .. }
        | Event::ClockJumped { .. }
        | Event::CloseSigned { .. }
        | Event::SessionClosed { .. }
        | Event::KeyRefused { .. }
        | Event::ReadmitAgreed { .. }
        | Event::Readmitted { .. }
        | Event::LinkSilent { .. }
        | Event::AttentionChanged { .. }
        | Event::HandoverAgreed { .. }
        | Event::LeadHandedOver { .. }
        | Event::LeadGone { .. }
        | Event::CheckOpened { .. }
        | Event::ReadBack { .. }
        | Event::CrossChecked { .. }
        | Event::Objected { .. }
        | Event::Withdrawn { .. }
        | Event::StepVoided { .. }
        | Event::GateWaived { .. }
        | Event::SkipAgreed { .. }
        | Event::StepSkipped { .. }
        | Event::BreakGlass { .. }
        | Event::StepCleared { .. }
        | Event::RunRequested { .. }
        | Event::BatchesEnded { .. }
        | Event::RunStarted { .. }
        | Event::OutputWritten { .. }
        | Event::InputWritten { .. }
        | Event::InputLost { .. }
        | Event::AnswerAwaited { .. }
        | Event::Resized { .. }
        | Event::RunInterrupted { .. }
        | Event::ProcessGone { .. }
        | Event::OthersAwaited { .. }
        | Event::LeftBehind { .. }
        | Event::LeftGone { .. }
        | Event::DoneByHand { .. }
        | Event::WaitStarted { .. }
        | Event::WaitEnded { .. }
        | Event::ProbeIntended { .. }
        | Event::ProbeEnded { .. }
        | Event::VerifyStarted { .. }
        | Event::VerifyEnded { .. }
        | Event::SettleAgreed { .. }
        | Event::Acknowledged { .. }
        | about::preflight!()
        | about::said!()
        | about::watches!()
        | about::changes!()
        | about::line!()
        | about::evidence!()
        | about::told!() => false,
    }
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum SigningError {
    #[error("it is not signed")]
    Missing,
    #[error("the plan does not let {who} say that")]
    NotTheirs { who: Principal },
    #[error("there is nothing that it could answer")]
    Nothing,
    #[error(transparent)]
    Statement(#[from] StatementError),
    #[error(transparent)]
    NotVouched(#[from] Why),
    #[error("it is signed with the key {found}, and {who} joined with {expected}")]
    Key { who: String, expected: String, found: String },
    #[error("it was signed at {signed}, too far from now ({now}); is a clock wrong?")]
    Time { signed: At, now: At },
    #[error("this step wants a security key that was touched, and this signature was made without a touch")]
    Touch,
    #[error("it is about {said} lines, and stands after {found}, or is about other ones")]
    Size { said: u64, found: u64 },
}

/// Whether that is the signature of that act by that key, as the session stands; `now` is the time by the hub's clock.
fn check(
    session: &Session,
    act: Act,
    (who, key): (&Principal, &str),
    signed: &Signed,
    now: At,
) -> Result<sshsig::Signed, SigningError> {
    // Rights are held against the plan here too: `decide` asked the same, but who verifies need not believe that it did.
    let entitled = match act {
        Act::Check(id, _) => {
            let armed_by = session.steps.get(id).and_then(|state| state.armed.as_ref()).map(|armed| &armed.by);
            session.is_shadow(who) && armed_by != Some(who)
        }
        Act::Acknowledge(_, Settled::Done, _) => *who == session.lead || session.may_acknowledge(who, now),
        Act::Acknowledge(_, Settled::Failed, _) => session.may_acknowledge(who, now),
        Act::Waive(..) => session.is_shadow(who),
        Act::Skip(..) => *who == session.lead || session.is_shadow(who),
        Act::Glass(..) => session.may_break_glass(who),
        Act::Vouch => *who == session.lead,
        Act::Readmit(other, _) => session.is_crew(who) && who != other,
        Act::Release | Act::Close => true,
    };
    if !entitled {
        return Err(SigningError::NotTheirs { who: who.clone() });
    }
    let approves = !matches!(act, Act::Vouch | Act::Close);
    if approves && session.must_be_vouched(who) {
        session.vouches(who, key, Purpose::Approve.namespace(), now)?;
    }
    let at = signed.at().ok_or(StatementError::NoTime)?;
    let expected = statement(session, act, who, key, at).ok_or(SigningError::Nothing)?;
    let proof = signed.check(&expected)?;
    let found = proof.key.fingerprint();
    if found != key {
        return Err(SigningError::Key { who: who.to_string(), expected: key.to_owned(), found });
    }
    if let Act::Check(id, CrossCheck::Approve) | Act::Glass(id, _) = act
        && let Some(armed) = session.steps.get(id).and_then(|state| state.armed.as_ref())
        && armed.covers.covers().require_touch
        && !proof.touched()
    {
        return Err(SigningError::Touch);
    }
    Ok(proof)
}

impl Ask<'_> {
    /// The author's signature, where the act is one that is signed. It is looked at last: what else is in the way is
    /// told first.
    pub fn sign(&self) -> Result<Option<Signed>, Refusal> {
        accept(self.session, self.at, self.author, self.request)
    }
}

/// The hub's look at a request's signature, before the act counts: what the event keeps of it.
pub(super) fn accept(session: &Session, at: At, author: &Author, request: &Request) -> Result<Option<Signed>, Refusal> {
    let Some(act) = Act::of_request(request).filter(|_| session.hub_key.is_some()) else { return Ok(None) };
    let refuse = |error: SigningError| Refusal::Signature(error.to_string());
    let signed = author.signed.as_ref().ok_or(SigningError::Missing).map_err(refuse)?;
    let signed_at = signed.at().ok_or(StatementError::NoTime).map_err(|error| refuse(error.into()))?;
    if signed_at.since(at) > AHEAD || at.since(signed_at) > SIGNED_WITHIN {
        return Err(refuse(SigningError::Time { signed: signed_at, now: at }));
    }
    check(session, act, (&author.principal, &author.key), signed, at).map_err(refuse)?;
    Ok(Some(signed.clone()))
}

/// Holds the next line's signature, if it must have one, against the session before it; the proof, where a person signed.
/// Every client does so with every line it folds, and `verify` with a whole transcript.
pub fn verify_line(session: &Session, line: &Line) -> Result<Option<sshsig::Signed>, SigningError> {
    let Some(hub_key) = &session.hub_key else { return Ok(None) };
    let by_hub = |signed: &Signed, expected: &dyn Fn(At) -> Statement| {
        // What the hub signs and writes in one go bears one time and its own name; the last line has nothing after it
        // that would hold these fast.
        let proof = signed.check(&expected(line.at))?;
        if !line.by.is_hub() {
            return Err(SigningError::Nothing);
        }
        match proof.key == *hub_key {
            true => Ok(None),
            false => Err(SigningError::Key {
                who: "the hub".to_owned(),
                expected: hub_key.fingerprint(),
                found: proof.key.fingerprint(),
            }),
        }
    };
    if let Some((act, signed)) = Act::of_event(&line.event) {
        let key = &session.people.get(&line.by).ok_or(SigningError::Nothing)?.key;
        return check(session, act, (&line.by, key), signed.ok_or(SigningError::Missing)?, line.at).map(Some);
    }
    match &line.event {
        Event::CheckpointSigned { size, head, signed } => {
            if (*size, *head) != (session.seq, session.hash) {
                return Err(SigningError::Size { said: *size, found: session.seq });
            }
            by_hub(signed, &|at| checkpoint(session, at))
        }
        Event::SessionClosed { outcome, note, signed } => {
            let signed = signed.as_ref().ok_or(SigningError::Missing)?;
            by_hub(signed, &|at| close(session, *outcome, note, at))
        }
        // What people sign was looked at above.
        Event::SessionOpened { .. }
        | Event::Recovered { .. }
        | Event::StopAsked { .. }
        | Event::PlanChanged { .. }
        | Event::ClockJumped { .. }
        | Event::CloseCalled { .. }
        | Event::CloseSigned { .. }
        | Event::HubVouched { .. }
        | about::crew!()
        | about::preflight!()
        | about::said!()
        | about::watches!()
        | about::changes!()
        | about::check!()
        | about::run!()
        | about::after!()
        | about::line!()
        | about::told!() => Ok(None),
    }
}

impl Session {
    /// Whether the hub should sign now how far the transcript goes.
    pub fn checkpoint_due(&self, at: At) -> bool {
        let since = self.seq - self.checkpoint.seq.min(self.seq);
        self.hub_key.is_some()
            && self.closed.is_none()
            && since > 0
            && (self.checkpoint.wanted || since >= CHECKPOINT_LINES || at.since(self.checkpoint.at) >= CHECKPOINT_EVERY)
    }

    /// Whether everyone who is here has signed the end, or has had the time to.
    pub fn close_due(&self, at: At) -> bool {
        let Some(closing) = self.closing.as_ref().filter(|_| self.closed.is_none()) else { return false };
        at.since(closing.at) >= CLOSE_WAITS || self.owes_close().is_empty()
    }

    /// The crew who are here and have not signed the end yet.
    pub fn owes_close(&self) -> Vec<&Principal> {
        let Some(closing) = &self.closing else { return vec![] };
        let here = self.people.iter().filter(|(_, person)| !person.connections.is_empty());
        let crew = here.map(|(who, _)| who).filter(|who| **who == self.lead || self.plan.crew.shadow.contains(*who));
        crew.filter(|who| !closing.signed.contains(*who)).collect()
    }

    /// The digest of who may sign what; none where personal links say who is who.
    pub fn policy_digest(&self) -> Option<Hash> {
        self.allowed.as_ref().map(|allowed| allowed.digest())
    }
}

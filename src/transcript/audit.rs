//! What a transcript proves: its bytes, its signatures, and whether what ran had its quorum. Pure but for the output
//! beside it; nothing is believed that the hub alone could have written unsigned.
//!
//! | what is found | verdict |
//! |---|---|
//! | a link, a line or a signature that does not hold; a critical step that ran without its quorum | BROKEN at n |
//! | another head of the same size is known to be signed, or was shown to somebody | FORK |
//! | all holds, the session is one whose acts are not signed | UNSIGNED |
//! | all holds, the session is not closed, lines after the last signature | UNSIGNED TAIL from n |
//! | all holds, not closed, or closed without the signature of somebody who was there | INCOMPLETE |
//! | all holds, closed and signed by everyone there, output deleted | OUTPUT EXPIRED |
//! | all holds, closed and signed by everyone there | COMPLETE |

use super::read::{ReadError, Reader, Source};
use super::record::{Head, Line, LinkError};
use super::verify::OutputIntegrity;
use crate::clock::At;
use crate::event::{Event, Settled, about};
use crate::hash::Hash;
use crate::name::{Principal, StepId};
use crate::session::glass::Glass;
use crate::session::signing::{self, Act, CrossCheck};
use crate::session::{Session, batches, glass, people, readmit, settling, skip, waive};
use crate::trust::sshsig;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Everything holds, to the end.
    Complete,
    /// Everything there holds, but it does not come to its end.
    Incomplete {
        /// What is missing.
        why: String,
    },
    /// Something is not what was written, signed or allowed.
    Broken {
        /// The number of the line.
        at: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The hub showed two histories.
    Fork {
        /// The size at which they differ.
        at: u64,
        /// The hash that somebody else holds for it.
        held: Hash,
        /// The hash found here.
        found: Hash,
    },
    /// Nothing in this session is signed.
    Unsigned,
    /// Lines that no signature covers.
    UnsignedTail {
        /// The first of them.
        from: u64,
    },
    /// Everything holds, but output was deleted.
    OutputExpired {
        /// Pieces that are gone.
        pieces: u64,
    },
}

impl Proof {
    /// The words that `verify` prints first.
    pub fn word(&self) -> &'static str {
        match self {
            Proof::Complete => "COMPLETE",
            Proof::Incomplete { .. } => "INCOMPLETE",
            Proof::Broken { .. } => "BROKEN",
            Proof::Fork { .. } => "FORK",
            Proof::Unsigned => "UNSIGNED",
            Proof::UnsignedTail { .. } => "UNSIGNED TAIL",
            Proof::OutputExpired { .. } => "OUTPUT EXPIRED",
        }
    }
    /// The number that goes with it.
    pub fn number(&self) -> Option<u64> {
        match self {
            Proof::Broken { at, .. } | Proof::Fork { at, .. } => Some(*at),
            Proof::UnsignedTail { from } => Some(*from),
            Proof::OutputExpired { pieces } => Some(*pieces),
            Proof::Complete | Proof::Incomplete { .. } | Proof::Unsigned => None,
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::Complete => write!(f, "COMPLETE: every line and signature holds, and everyone there signed the end"),
            Proof::Incomplete { why } => write!(f, "INCOMPLETE: what is there holds, but {why}"),
            Proof::Broken { at, why } => write!(f, "BROKEN at {at}: {why}"),
            Proof::Fork { at, held, found } => {
                write!(
                    f,
                    "FORK at {at}: somebody holds {held} for it, here it is {found}: the hub showed two histories"
                )
            }
            Proof::Unsigned => {
                write!(f, "UNSIGNED: the lines hold together, but nobody signed anything in this session")
            }
            Proof::UnsignedTail { from } => {
                write!(f, "UNSIGNED TAIL from {from}: what is there holds together, but no signature covers the rest")
            }
            Proof::OutputExpired { pieces } => {
                write!(f, "OUTPUT EXPIRED: every line and signature holds, {pieces} pieces of output were deleted")
            }
        }
    }
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignedAct {
    /// Its line.
    pub seq: u64,
    /// The time of that line.
    pub at: At,
    /// Who.
    pub by: Principal,
    /// With which key.
    pub key: String,
    /// The key's kind, as OpenSSH names it.
    pub kind: String,
    /// Whether it is a security key that was touched.
    pub touched: bool,
    /// What it says: `approve`, `object`, `withdraw`, `release`, `settled`, `vouch`, `close`.
    pub act: &'static str,
    /// The step it is about.
    pub step: Option<StepId>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// The answer.
    pub proof: Proof,
    /// The session's id.
    pub session: String,
    /// On which data it was only a rehearsal; nothing where it was live.
    pub rehearsal: Option<String>,
    /// Lines that hold.
    pub lines: u64,
    /// The hash of the last of them.
    pub head: Hash,
    /// Lines up to here are covered by a signature.
    pub signed_to: u64,
    /// Checkpoints among them.
    pub checkpoints: u64,
    /// The lead who vouched for the hub's key.
    pub vouched: Option<Principal>,
    /// Every time the lead cleared a step alone.
    pub broken_glass: Vec<Glass>,
    /// Every person's signature, in order.
    pub acts: Vec<SignedAct>,
}

/// Goes through a transcript. `held`: sizes and hashes that somebody outside knows; `output`: what is left beside it.
pub fn audit<S: Source>(reader: Reader<S>, held: &[Head], output: Option<&OutputIntegrity>) -> Audit {
    let mut auditor = Auditor { held: held.iter().map(|head| (head.seq, head.hash)).collect(), ..Auditor::default() };
    let found = auditor.read(reader);
    let proof = match found {
        Err(proof) => proof,
        Ok(()) => auditor.end(output),
    };
    let session = auditor.session.as_ref();
    Audit {
        proof,
        session: session.map(|session| session.id.clone()).unwrap_or_default(),
        rehearsal: session.and_then(|session| session.rehearsal().map(str::to_owned)),
        lines: auditor.head.seq,
        head: auditor.head.hash,
        signed_to: auditor.signed_to,
        checkpoints: auditor.checkpoints,
        vouched: session.and_then(|session| session.vouched.clone()),
        broken_glass: session.map(|session| session.glass.clone()).unwrap_or_default(),
        acts: auditor.acts,
    }
}

struct Auditor {
    held: BTreeMap<u64, Hash>,
    session: Option<Session>,
    head: Head,
    signed_to: u64,
    checkpoints: u64,
    acts: Vec<SignedAct>,
    /// Who was there when it was closed and has not signed that.
    missing: BTreeSet<Principal>,
    torn: bool,
}
impl Default for Auditor {
    fn default() -> Self {
        Auditor {
            held: BTreeMap::new(),
            session: None,
            head: Head::START,
            signed_to: 0,
            checkpoints: 0,
            acts: vec![],
            missing: BTreeSet::new(),
            torn: false,
        }
    }
}

impl Auditor {
    fn read<S: Source>(&mut self, reader: Reader<S>) -> Result<(), Proof> {
        for next in reader {
            let (line, bytes, head) = match next {
                Ok(next) => next,
                Err(ReadError::Torn { .. }) => {
                    self.torn = true;
                    return Ok(());
                }
                Err(ReadError::Link(error)) => {
                    let at = match &error {
                        LinkError::Malformed { seq, .. }
                        | LinkError::UnknownKind { seq, .. }
                        | LinkError::Link { seq, .. } => *seq,
                        LinkError::Number { expected, .. } => *expected,
                    };
                    return Err(Proof::Broken { at, why: error.to_string() });
                }
                Err(error) => return Err(Proof::Broken { at: self.head.seq + 1, why: error.to_string() }),
            };
            if let Some(held) = self.held.get(&head.seq).filter(|held| **held != head.hash) {
                return Err(Proof::Fork { at: head.seq, held: *held, found: head.hash });
            }
            match &mut self.session {
                None => {
                    let session = Session::open(&line, head.hash);
                    self.session = Some(session.map_err(|error| Proof::Broken { at: 1, why: error.to_string() })?);
                }
                Some(session) => {
                    let broken = |why: String| Proof::Broken { at: line.seq, why };
                    let proof = signing::verify_line(session, &line)
                        .map_err(|error| broken(format!("this {} does not count: {error}", line.event.kind())))?;
                    match &line.event {
                        Event::RunIntended { step, .. } => quorum(session, step).and_then(|()| polled(session, step)),
                        Event::BatchIntended { step, batch, .. } => batches::follows(session, step, *batch),
                        Event::StepSkipped { step, agreed, .. } => {
                            skip::holds(session, &line.by, step, agreed, line.at)
                        }
                        Event::Acknowledged { step, outcome: Settled::Done, agreed: Some(agreed), .. } => {
                            settling::holds(session, &line.by, step, agreed, line.at)
                        }
                        Event::LeadHandedOver { to, agreed: Some(agreed), .. } => {
                            people::holds(session, &line.by, to, agreed, line.at)
                        }
                        Event::Readmitted { .. } => readmit::holds(session, &line.by, &line.event, line.at),
                        Event::BreakGlass { step, .. } => glass::holds(session, &line.by, step),
                        Event::Joined { .. }
                        | Event::Left { .. }
                        | Event::KeyRefused { .. }
                        | Event::ReadmitAgreed { .. }
                        | Event::LinkSilent { .. }
                        | Event::AttentionChanged { .. }
                        | Event::HandoverAgreed { .. }
                        | Event::LeadHandedOver { .. }
                        | Event::LeadGone { .. }
                        | Event::StepArmed { .. }
                        | Event::CheckOpened { .. }
                        | Event::ReadBack { .. }
                        | Event::CrossChecked { .. }
                        | Event::Objected { .. }
                        | Event::Withdrawn { .. }
                        | Event::StepVoided { .. }
                        | Event::GateWaived { .. }
                        | Event::SkipAgreed { .. }
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
                        | Event::RunEnded { .. }
                        | Event::OutcomeUnknown { .. }
                        | Event::ProcessGone { .. }
                        | Event::OthersAwaited { .. }
                        | Event::LeftBehind { .. }
                        | Event::LeftGone { .. }
                        | Event::DoneByHand { .. }
                        | Event::WaitStarted { .. }
                        | Event::WaitEnded { .. }
                        | about::session!()
                        | about::preflight!()
                        | about::said!()
                        | about::watches!()
                        | about::changes!()
                        | about::after!()
                        | about::line!()
                        | about::evidence!()
                        | about::told!() => Ok(()),
                    }
                    .map_err(broken)?;
                    self.acts.extend(proof.and_then(|proof| signed_act(&line, &proof)));
                    match &line.event {
                        Event::CheckpointSigned { size, .. } => {
                            (self.signed_to, self.checkpoints) = (line.seq.max(*size), self.checkpoints + 1);
                        }
                        // No link holds its bytes fast, so they must be the only ones that say what the hub signed.
                        Event::SessionClosed { .. } if line.encode().is_ok_and(|own| *own.bytes() != bytes) => {
                            return Err(broken("it is not written as a hub writes it".to_owned()));
                        }
                        Event::SessionClosed { .. } => {
                            self.missing = session.owes_close().into_iter().cloned().collect();
                            self.signed_to = line.seq;
                        }
                        _ => {}
                    }
                    session.apply(&line, head.hash);
                }
            }
            self.head = head;
        }
        Ok(())
    }

    fn end(&self, output: Option<&OutputIntegrity>) -> Proof {
        let Some(session) = &self.session else {
            return Proof::Broken { at: 1, why: "there is no line".to_owned() };
        };
        if let Some((size, _)) = self.held.range(self.head.seq + 1..).next_back() {
            return Proof::Incomplete {
                why: format!("it ends at line {}, and somebody has seen line {size}", self.head.seq),
            };
        }
        if let Some(line) = output.and_then(|output| output.altered.first()) {
            return Proof::Broken { at: *line, why: "the output it stands for is not what was printed".to_owned() };
        }
        let tail = (self.signed_to < self.head.seq).then_some(self.signed_to + 1);
        let people = |who: &BTreeSet<Principal>| who.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match (&session.hub_key, session.closed, tail) {
            (None, _, _) => Proof::Unsigned,
            (_, _, Some(from)) => Proof::UnsignedTail { from },
            (_, None, None) => Proof::Incomplete {
                why: match self.torn {
                    true => "an unfinished write stands at its end, and the session is not closed".to_owned(),
                    false => "the session is not closed".to_owned(),
                },
            },
            (_, Some(_), None) if session.vouched.is_none() => {
                Proof::Incomplete { why: "no lead vouched for the hub's key".to_owned() }
            }
            (_, Some(_), None) if !self.missing.is_empty() => {
                Proof::Incomplete { why: format!("{} did not sign the end", people(&self.missing)) }
            }
            (_, Some(_), None) => match output.map_or((0, 0), |output| (output.missing, output.expired)) {
                (0, 0) => Proof::Complete,
                (0, pieces) => Proof::OutputExpired { pieces },
                (pieces, _) => Proof::Incomplete {
                    why: format!("{pieces} pieces of output are gone, and not because somebody had them expire"),
                },
            },
        }
    }
}

/// What runs has as many signatures as it was armed to need, of different people with different keys, none of them who
/// armed it.
fn quorum(session: &Session, step: &StepId) -> Result<(), String> {
    let Some(armed) = session.steps.get(step).and_then(|state| state.armed.as_ref()) else {
        return Err(format!("step {step} runs without having been armed"));
    };
    if !session.is_its_own(armed.covers.covers()) {
        return Err(format!(
            "step {step} runs, and what was checked is of a rehearsal where this is none, or the other way round"
        ));
    }
    let planned = session.plan.step(step).map_or(0, |step| step.checks);
    let lead_keys: Vec<_> = [&armed.by, &session.lead]
        .iter()
        .filter_map(|who| session.people.get(*who))
        .map(|person| &person.key)
        .collect();
    let keys: BTreeSet<_> = armed
        .checks
        .iter()
        .filter(|(who, check)| **who != armed.by && !lead_keys.contains(&&check.key))
        .map(|(_, check)| &check.key)
        .collect();
    // The plan allowed it, and its line was held against that; what else the glass does not replace.
    if armed.glass {
        return Ok(());
    }
    if let Err(refusal) = waive::checked_by_another(armed, armed.checks.keys()) {
        return Err(format!("step {step} runs, though {refusal}"));
    }
    if let Some((who, _)) =
        armed.checks.iter().find(|(who, _)| !armed.owes_read_back(who).is_empty() || armed.is_out(who))
    {
        return Err(format!("step {step} runs on the check of {who}, who had not read back what they had to"));
    }
    let planned_fields = session.plan.step(step).map_or(&[][..], |step| &step.readback);
    if !planned_fields.iter().eq(armed.covers.covers().readback.iter().map(|field| &field.name)) {
        return Err(format!("step {step} was armed with other fields to read back than the plan has"));
    }
    let needed = planned.max(armed.covers.covers().checks);
    match u32::try_from(keys.len()).unwrap_or(u32::MAX) >= needed {
        true => Ok(()),
        false => Err(format!("step {step} runs with {} of {needed} cross-checks", keys.len())),
    }
}

/// The first critical step runs only while the poll is go, by who was there and what was said.
fn polled(session: &Session, step: &StepId) -> Result<(), String> {
    match session.poll_locks().first().filter(|_| session.is_checked(step)) {
        Some(lock) => Err(format!("step {step} runs though the poll is not go: {lock}")),
        None => Ok(()),
    }
}

fn signed_act(line: &Line, proof: &sshsig::Signed) -> Option<SignedAct> {
    let (act, _) = Act::of_event(&line.event)?;
    Some(SignedAct {
        seq: line.seq,
        at: line.at,
        by: line.by.clone(),
        key: proof.key.fingerprint(),
        kind: proof.key.kind().to_owned(),
        touched: proof.touched(),
        act: match act {
            Act::Check(_, CrossCheck::Approve) => "approve",
            Act::Check(_, CrossCheck::Object(_)) => "object",
            Act::Check(_, CrossCheck::Withdraw) => "withdraw",
            Act::Waive(..) => "waive",
            Act::Skip(..) => "skip",
            Act::Glass(..) => "break-glass",
            Act::Release => "release",
            Act::Readmit(..) => "readmit",
            Act::Acknowledge(..) => "settled",
            Act::Vouch => "vouch",
            Act::Close => "close",
        },
        step: line.event.step().cloned(),
    })
}

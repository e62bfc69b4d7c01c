//! Every fact a transcript can hold; the only persisted vocabulary.
//!
//! Events are past facts. Their names and fields are frozen once released: a transcript is read years later. Order,
//! time, author and hash link stand around the event (`transcript::record`), never in it.

pub(crate) mod about;
mod anchor;
mod cause;
mod compared;
mod covers;
mod deviation;
mod earlier;
mod ended;
mod exits;
mod flown;
mod inherited;
mod left;
mod settled;
mod step;

pub use about::About;
pub use anchor::{Anchor, Mark};
pub use cause::Cause;
pub use compared::{Compared, Side, Verdict};
pub use covers::{
    CommandSeen, Covers, EachSeen, FieldSeen, FileSeen, FolderSeen, Frozen, GateSeen, PreviewSeen, RehearsalSeen,
    RollbackSeen, ScriptSeen, WaivedSeen, last_line,
};
pub use deviation::Deviation;
pub use earlier::Earlier;
pub use ended::{Process, RunEnd, Settled, WaitEnd};
pub use exits::{Ending, Exits};
pub use flown::Flown;
pub use inherited::{InheritedSeen, LimitSeen};
pub use left::{LeftBeside, LeftSeen, ProcessSeen};
pub use settled::SettledSeen;

use crate::clock::At;
use crate::hash::Hash;
pub use crate::name::Part;
use crate::name::{ItemId, Principal, StepId, WatchId};
use crate::trust::key::PublicKey;
use crate::trust::statement::Signed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One fact. In JSON the variant is the key: `{"StepCleared":{…}}` (decodes faster than an inner tag, and a field can
/// never collide with the envelope's).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // the fields' names are the vocabulary; each variant says what happened
#[allow(clippy::large_enum_variant)] // the first line is one of thousands, and events are not kept in numbers
pub enum Event {
    // ── session ──────────────────────────────────────────────────────────────────────────────────────────────────
    /// The first line: what is flown, where, by which program.
    SessionOpened {
        session: String,
        plan_name: String,
        environment: String,
        /// The plan file, whole.
        plan: String,
        plan_digest: Hash,
        params: BTreeMap<String, String>,
        host: String,
        user: String,
        /// The folder the plan lies in: where relative paths start.
        folder: String,
        version: String,
        /// The data that the plan is only rehearsed on: nothing that it would run live is run. Nothing in a live session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rehearsal: Option<String>,
        /// What the session of this plan before this one left open, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earlier: Option<Box<Earlier>>,
        /// What ran of each step the last time that this plan was flown here, or else rehearsed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        flown: Vec<Flown>,
        /// The session's own key, `ssh-ed25519 AAAA…`, which signs checkpoints. In a session that has one, every act listed
        /// at [`crate::session::signing`] carries its author's signature.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hub_key: Option<PublicKey>,
        /// The `allowed_signers` file that the plan names, whole: who may sign what in this session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allowed_signers: Option<String>,
        /// SHA-256 of that text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allowed_signers_digest: Option<Hash>,
    },
    /// A hub took the session up again after another one stopped.
    Recovered { version: String, torn_bytes: u64, note: String },
    /// The hub was asked to stop. What runs is let run, nothing else starts, and then it ends; the session stays open.
    StopAsked {},
    /// The plan's file says something else than the session was opened with, which flies on as it was.
    PlanChanged { digest: Hash, what: String },
    /// The wall clock stepped against the boot clock.
    ClockJumped { by_ms: i64 },
    /// The lead called the end: nothing may happen any more but that those who are here sign it.
    CloseCalled { outcome: Outcome, note: String },
    /// Somebody who was here at the end signed it.
    CloseSigned { signed: Signed },
    /// The last line; signed by the hub.
    SessionClosed {
        outcome: Outcome,
        note: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },

    // ── people ───────────────────────────────────────────────────────────────────────────────────────────────────
    /// A connection proved who it is. The first one of a principal binds their key for the session.
    Joined {
        principal: Principal,
        role: Role,
        key: String,
        connection: u64,
        /// Whether allowed_signers gives that principal that key.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        vouched: bool,
    },
    /// A connection ended.
    Left { principal: Principal, connection: u64, why: String },
    /// Somebody came by a personal link with another key than the one it stays with, and was not let in.
    KeyRefused { principal: Principal, key: String },
    /// One half of letting somebody in again whose key is lost: with that key.
    ReadmitAgreed {
        principal: Principal,
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// Two of the crew let somebody in again with another key; `agreed` said so first. The one before is out from here on.
    Readmitted {
        principal: Principal,
        was: String,
        key: String,
        agreed: Principal,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// Nothing was heard by a connection since then, though it is open; without a time: it is heard again.
    LinkSilent {
        principal: Principal,
        connection: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<At>,
    },
    /// What a person looks at changed.
    AttentionChanged { principal: Principal, attention: Attention },
    /// Somebody took a seat.
    SeatTaken { seat: String },
    /// A checklist item was answered.
    ChecklistAnswered { item: ItemId, answer: String },
    /// Somebody said whether they are fit to fly, and until when they are available.
    AvailabilityStated {
        fit: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<At>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// The lead asks for go or no-go; what was answered to an earlier poll counts no more.
    PollCalled { poll: u32 },
    /// Go, or no-go and why.
    PollAnswered {
        poll: u32,
        go: bool,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// One half of a hand-over: this person said that `to` shall lead.
    HandoverAgreed { to: Principal },
    /// Both said so. Or the lead was gone, and two of the crew took the lead over: `agreed` said so first.
    LeadHandedOver {
        from: Principal,
        to: Principal,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agreed: Option<Principal>,
    },
    /// The lead has not been connected since then, for as long as the plan lets them: two others may take the lead.
    LeadGone { lead: Principal, since: At },
    /// Somebody said something.
    Noted { text: String },
    /// Somebody put a mark on the timeline.
    Marked { text: String },
    /// A request was refused.
    Refused { principal: Principal, request: String, reason: String },

    // ── watches ──────────────────────────────────────────────────────────────────────────────────────────────────
    /// A watch was read.
    ReadingTaken {
        watch: WatchId,
        reading: Reading,
        /// When the reading began.
        began: At,
        /// The number of the `RunRequested` that asked for it, where one did: such a reading began after the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<u64>,
    },
    /// A watch's status changed, going stale included.
    GateTurned { watch: WatchId, from: Status, to: Status, why: String },
    /// What is needed of a topic from here on was counted: when the session opened, and again after a purge that was planned.
    AnchorTaken { watch: WatchId, anchor: Anchor },
    /// The best way back that still stands is another one, or there is none any more.
    RecoveryTurned {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        why: String,
    },

    // ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────
    /// The lead gave a parameter a value. `why` is there where that differs from the plan's default.
    ParamSet {
        name: String,
        value: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// The lead typed a command in the place of the planned one; an empty one gives the planned one back.
    StepEdited { step: StepId, run: String, why: String },
    /// The lead typed a command that the plan does not have: a step of that id from here on.
    StepAdded {
        step: StepId,
        run: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// The lead froze a step. The digest that people check is the SHA-256 of `covers` as it stands in this line.
    StepArmed { step: StepId, attempt: u32, lapses: At, covers: Frozen },
    /// A shadow opened the cross-check panel.
    CheckOpened { step: StepId, attempt: u32 },
    /// A shadow typed a field of the step from their own copy of the runbook. What they typed is not kept: where it is
    /// right it is the value in `covers`, and where it is wrong it is nobody's business.
    ReadBack { step: StepId, attempt: u32, field: String, right: bool },
    /// A shadow's yes to exactly that digest.
    CrossChecked {
        step: StepId,
        attempt: u32,
        digest: Hash,
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// A shadow's no.
    Objected {
        step: StepId,
        attempt: u32,
        digest: Hash,
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// A shadow took their yes back.
    Withdrawn {
        step: StepId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// What was armed is so no longer; checks on it are gone.
    StepVoided { step: StepId, attempt: u32, cause: Cause },
    /// A second person's exception to one gate, for the next attempt of one step. It excuses that status and better ones.
    GateWaived {
        step: StepId,
        attempt: u32,
        watch: WatchId,
        status: Status,
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// One half of leaving a step out.
    SkipAgreed {
        step: StepId,
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// The lead and one more person leave a step out; `agreed` said so first.
    StepSkipped {
        step: StepId,
        agreed: Principal,
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// The lead alone clears what is armed, in place of so many checks.
    BreakGlass {
        step: StepId,
        attempt: u32,
        digest: Hash,
        missing: u32,
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// Quorum is reached (or none is asked).
    StepCleared { step: StepId, attempt: u32 },

    // ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────
    /// The lead pressed run.
    RunRequested {
        step: StepId,
        attempt: u32,
        /// What the lead says of it, where they did it themselves.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// The point of no return of one run: everything was read again and still holds.
    RunIntended { step: StepId, attempt: u32 },
    /// The same for another batch of lines than the first, the one before having left things as well as they were.
    BatchIntended { step: StepId, attempt: u32, batch: u32 },
    /// No further batch is begun, though lines are left.
    BatchesEnded { step: StepId, attempt: u32, done: u32, of: u32, why: String },
    /// The process exists.
    RunStarted {
        step: StepId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Part::is_step")]
        part: Part,
        process: Process,
        /// Its keeper, below which everything is found that it starts; none where the system has no such thing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<Process>,
        cols: u16,
        rows: u16,
    },
    /// Bytes a command printed; they lie beside the transcript.
    OutputWritten { step: StepId, attempt: u32, part: Part, offset: u64, length: u32, hash: Hash },
    /// The lead typed a line to the running command. `text` is left out where its terminal hid what was typed.
    InputWritten {
        step: StepId,
        attempt: u32,
        chars: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// The command took none of the line that was typed last, or not all of it.
    InputLost { step: StepId, attempt: u32, why: String },
    /// The command waits for keys that nobody may press; the last line that it printed.
    AnswerAwaited { step: StepId, attempt: u32, part: Part, line: String },
    /// The command itself has ended so, and its step has not: these of its process session run on.
    OthersAwaited {
        step: StepId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Part::is_step")]
        part: Part,
        end: RunEnd,
        of: LeftSeen,
    },
    /// The run is over, or is in this very moment, and these run on: they left its process session, or the plan has them left.
    LeftBehind {
        step: StepId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Part::is_step")]
        part: Part,
        of: LeftSeen,
    },
    /// Of what a run left behind these have ended.
    LeftGone {
        step: StepId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Part::is_step")]
        part: Part,
        processes: Vec<ProcessSeen>,
    },
    /// The command's terminal changed its size.
    Resized { cols: u16, rows: u16 },
    /// Somebody had the running command interrupted (`force`: killed).
    RunInterrupted { step: StepId, attempt: u32, force: bool },
    /// The process is gone, or never was.
    RunEnded { step: StepId, attempt: u32, end: RunEnd },
    /// Nobody knows how it ended: the hub died between intent and end, or the link to the machine it runs on was lost (`end`:
    /// how ssh ended).
    OutcomeUnknown {
        step: StepId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Part::is_step")]
        part: Part,
        process: Option<Process>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<Process>,
        still_running: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<RunEnd>,
    },
    /// The process of an unknown run was seen to be gone.
    ProcessGone { step: StepId, attempt: u32 },
    /// A person did what the step asks for; no command ran.
    DoneByHand {
        step: StepId,
        attempt: u32,
        by: Principal,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// The step is done once this watch reads ok, by a reading that begins from here on. `anew`: a hub took the session up
    /// again meanwhile.
    WaitStarted {
        step: StepId,
        attempt: u32,
        watch: WatchId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<At>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        anew: bool,
    },
    /// It waits no longer; `why` is what the watch said.
    WaitEnded { step: StepId, attempt: u32, end: WaitEnd, why: String },
    /// Somebody who has to judge a step asked for its probe.
    ProbeIntended { step: StepId, attempt: u32 },
    /// The probe is over; `says` is the beginning of what it printed.
    ProbeEnded { step: StepId, attempt: u32, end: RunEnd, says: String },
    /// A run ended well; until then it is held against what was before it. `anew`: by a hub that took the session up again
    /// meanwhile.
    VerifyStarted {
        step: StepId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Part::is_step")]
        part: Part,
        until: At,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        anew: bool,
    },
    /// What that came to, watch by watch.
    VerifyEnded {
        step: StepId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Part::is_step")]
        part: Part,
        verdict: Verdict,
        compared: Vec<Compared>,
    },
    /// The point of no return of one rollback, asked for by the lead, or by the plan (`automatic`).
    RollbackIntended { step: StepId, attempt: u32, automatic: bool, why: String },
    /// The process of a rollback is gone, or never was.
    RollbackEnded { step: StepId, attempt: u32, end: RunEnd },
    /// One half of saying that a step which ended badly is done all the same.
    SettleAgreed {
        step: StepId,
        attempt: u32,
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// Somebody other than the lead took note of how a step ended: it is not done. Or the lead and one more person say that
    /// it is; `agreed` said so first. (A transcript of an early version may hold a `done` of one person.)
    Acknowledged {
        step: StepId,
        attempt: u32,
        outcome: Settled,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agreed: Option<Principal>,
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },

    // ── line ─────────────────────────────────────────────────────────────────────────────────────────────────────
    /// Somebody stopped the line.
    AndonPulled { why: String },
    /// Somebody agreed to go on; `freed` where that was the last one needed.
    AndonReleased {
        freed: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// The hub stopped the line.
    LineHeld { why: String },
    /// What made the hub stop it is over.
    LineFreed { why: String },

    // ── evidence ─────────────────────────────────────────────────────────────────────────────────────────────────
    /// The lead vouched for the hub's key with their own.
    HubVouched { signed: Signed },
    /// The hub signed how far the transcript goes: `size` lines, the last of which hashes to `head`.
    CheckpointSigned { size: u64, head: Hash, signed: Signed },

    // ── others ───────────────────────────────────────────────────────────────────────────────────────────────────
    /// Somebody outside the crew was told of line `of`, as that `[[notify]]` of the plan says (its place there, from 1).
    Notified { notify: u32, of: u64, tries: u32 },
    /// Nobody could be told of those lines that way. Without any tries: given up behind too many others.
    NotifyFailed { notify: u32, of: Vec<u64>, tries: u32, why: String },
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step is done or settled as done.
    Complete,
    /// Closed with steps left.
    Partial,
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May lead.
    Lead,
    /// May cross-check.
    Shadow,
    /// May take a seat of the plan, and answer for it.
    Seat,
    /// May watch, speak nothing, pull the andon.
    Observer,
}
impl Role {
    /// The word on screens.
    pub fn word(self) -> &'static str {
        match self {
            Role::Lead => "lead",
            Role::Shadow => "shadow",
            Role::Seat => "seat",
            Role::Observer => "observer",
        }
    }
}

/// What a person looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// The main screen.
    Here,
    /// The cross-check panel of a step.
    Inspecting(StepId),
    /// Nothing pressed for a while.
    Away,
}

/// Result of looking at a watch; in their one order, from the best to the worst. A definite failure outranks what is not
/// known: both lock a gate, and the failure is what people have to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warn,
    /// Not known: no answer, no data, or too old. Never counts as ok.
    Unknown,
    /// Bad.
    Fail,
}
impl Status {
    /// The word on screens and in plain mode.
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
            Status::Unknown => "unknown",
        }
    }
}

/// One look at a watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The verdict.
    pub status: Status,
    /// The number behind it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Its unit: `ms`, `s`, `B`, `messages`, `%`; empty for counts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// A sentence: what was seen and what it is held against.
    pub why: String,
}
impl Reading {
    /// Nothing is known, for this reason.
    pub fn unknown(why: impl Into<String>) -> Self {
        Reading { status: Status::Unknown, value: None, unit: String::new(), why: why.into() }
    }
}

//! What people ask for, and the answers that are not yes.

use crate::clock::At;
use crate::event::{Attention, Covers, Settled, Status};
use crate::hash::Hash;
use crate::name::{ItemId, Principal, StepId, WatchId, shown};
use crate::trust::statement::Signed;
use serde::{Deserialize, Serialize};

/// The longest line a terminal takes at once is 4096 bytes with its end.
pub const TYPED_BYTES_MAX: usize = 4000;
/// The longest text a person may send in one request: chat, reasons, marks.
pub const TEXT_CHARS_MAX: usize = 2000;

/// A wish. What is meant is said whole (step, attempt, digest), so that a late or repeated request can never mean
/// something newer than its author saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub enum Request {
    /// Freeze that step. `covers` is filled in by the hub, never by a client.
    Arm {
        step: StepId,
        #[serde(skip)]
        covers: Option<Box<Covers>>,
    },
    /// Give a parameter a value; `why` where that is not the plan's default.
    Set { name: String, value: String, why: String },
    /// Put another command in the place of a step's; an empty one gives the plan's back.
    Edit { step: StepId, run: String, why: String },
    /// Arm a command that the plan does not have. `covers` is filled in by the hub, never by a client.
    AdHoc {
        run: String,
        why: String,
        #[serde(skip)]
        covers: Option<Box<Covers>>,
    },
    /// Let go of what is armed.
    Disarm { step: StepId, attempt: u32 },
    /// The panel was opened.
    OpenCheck { step: StepId, attempt: u32 },
    /// What a field of the armed step is, typed from one's own copy of the runbook.
    ReadBack { step: StepId, attempt: u32, field: String, value: String },
    /// Yes to exactly that digest.
    Check { step: StepId, attempt: u32, digest: Hash },
    /// No to exactly that digest.
    Object { step: StepId, attempt: u32, digest: Hash, why: String },
    /// Take a yes back.
    Withdraw { step: StepId, attempt: u32 },
    /// Start what is cleared.
    Run { step: StepId, attempt: u32 },
    /// Say that what the cleared step asks a person to do is done.
    Did { step: StepId, attempt: u32, note: String },
    /// Start what a screen shows as locked. Never starts anything: it puts on record that somebody tried, and why not.
    TryRun { step: StepId, attempt: u32 },
    /// Make an exception to a gate that reads so, for the next attempt of its step.
    Waive { step: StepId, attempt: u32, watch: WatchId, status: Status, why: String },
    /// Agree that the step is left out.
    Skip { step: StepId, why: String },
    /// Clear what is armed alone; `confirm` is the step's id, typed.
    BreakGlass { step: StepId, attempt: u32, digest: Hash, confirm: String, why: String },
    /// Run the probe of a step that has to be judged.
    Probe { step: StepId },
    /// A line for the command that runs. `hidden` is filled in by the hub, never by a client.
    Type {
        step: StepId,
        attempt: u32,
        text: Typed,
        #[serde(skip)]
        hidden: Option<bool>,
    },
    /// Interrupt (or kill) what runs.
    Interrupt { step: StepId, force: bool },
    /// Undo a step that ended badly.
    Rollback { step: StepId, attempt: u32 },
    /// Take note that a step failed.
    Ack { step: StepId, why: String },
    /// Take note of how a step counts.
    Settle { step: StepId, outcome: Settled, why: String },
    /// Stop the line.
    Andon { why: String },
    /// Agree to go on.
    Release,
    /// Call the poll.
    Poll,
    /// Go, in the poll of that number; `board`: the number of the latest checklist answer that its author has seen.
    Go { poll: u32, board: u64 },
    /// No-go, and why.
    NoGo { poll: u32, why: String },
    /// Take a seat.
    Seat { seat: String },
    /// Answer a checklist item.
    Answer { item: ItemId, answer: String },
    /// Say whether one is fit to fly, and until when.
    Available { fit: bool, until: Option<At>, why: String },
    /// Agree that this person shall lead.
    Handover { to: Principal },
    /// Agree that this person is let in again, with that key.
    Readmit { who: Principal, key: String },
    /// Say something.
    Say { text: String },
    /// Mark the timeline.
    Mark { text: String },
    /// What this person looks at.
    Attend { attention: Attention },
    /// The lead's pane changed its size.
    Resize { cols: u16, rows: u16 },
    /// End the session.
    Close { note: String },
    /// Sign the end.
    SignClose,
    /// Vouch for the hub's key.
    Vouch,
}

/// A typed line, and the reason behind its last ` # `, as a shell has comments.
fn reasoned(text: &str) -> (&str, &str) {
    match text.rsplit_once(" # ") {
        Some((text, why)) => (text.trim(), why.trim()),
        None => (text.trim(), ""),
    }
}

impl Request {
    /// What `NAME=VALUE # WHY` asks for.
    pub fn set(text: &str) -> Result<Request, String> {
        let (text, why) = reasoned(text);
        let (name, value) =
            text.split_once('=').ok_or("set is written: set NAME=VALUE, with # WHY where it deviates")?;
        Ok(Request::Set { name: name.trim().to_owned(), value: value.trim().to_owned(), why: why.to_owned() })
    }
    /// What `COMMAND # WHY` asks for, for that step; `# WHY` alone gives the plan's command back.
    pub fn edit(step: StepId, text: &str) -> Result<Request, String> {
        if let Some(why) = text.trim().strip_prefix('#') {
            return Ok(Request::Edit { step, run: String::new(), why: why.trim().to_owned() });
        }
        let (run, why) = reasoned(text);
        match run {
            "" => Err("edit is written: edit ID COMMAND # WHY".to_owned()),
            run => Ok(Request::Edit { step, run: run.to_owned(), why: why.to_owned() }),
        }
    }
    /// What `COMMAND # WHY` asks for, as a step of its own.
    pub fn adhoc(text: &str) -> Request {
        let (run, why) = reasoned(text);
        Request::AdHoc { run: run.to_owned(), why: why.to_owned(), covers: None }
    }
    /// The verb, as plain mode spells it.
    pub fn verb(&self) -> &'static str {
        match self {
            Request::Arm { .. } => "arm",
            Request::Set { .. } => "set",
            Request::Edit { .. } => "edit",
            Request::AdHoc { .. } => "adhoc",
            Request::Disarm { .. } => "disarm",
            Request::OpenCheck { .. } => "open",
            Request::ReadBack { .. } => "readback",
            Request::Check { .. } => "check",
            Request::Object { .. } => "object",
            Request::Withdraw { .. } => "withdraw",
            Request::Run { .. } | Request::Did { .. } | Request::TryRun { .. } => "run",
            Request::Waive { .. } => "waive",
            Request::Skip { .. } => "skip",
            Request::BreakGlass { .. } => "break-glass",
            Request::Probe { .. } => "probe",
            Request::Type { .. } => "type",
            Request::Interrupt { .. } => "interrupt",
            Request::Rollback { .. } => "rollback",
            Request::Ack { .. } => "ack",
            Request::Settle { .. } => "settle",
            Request::Andon { .. } => "andon",
            Request::Release => "release",
            Request::Poll => "poll",
            Request::Go { .. } => "go",
            Request::NoGo { .. } => "no-go",
            Request::Seat { .. } => "seat",
            Request::Answer { .. } => "answer",
            Request::Available { fit: true, .. } => "fit",
            Request::Available { fit: false, .. } => "unfit",
            Request::Handover { .. } => "handover",
            Request::Readmit { .. } => "readmit",
            Request::Say { .. } => "say",
            Request::Mark { .. } => "mark",
            Request::Attend { .. } => "attend",
            Request::Resize { .. } => "resize",
            Request::Close { .. } => "close",
            Request::SignClose => "sign the end",
            Request::Vouch => "vouch",
        }
    }
    /// The step that it names.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Request::Arm { step, .. }
            | Request::Edit { step, .. }
            | Request::Disarm { step, .. }
            | Request::OpenCheck { step, .. }
            | Request::ReadBack { step, .. }
            | Request::Check { step, .. }
            | Request::Object { step, .. }
            | Request::Withdraw { step, .. }
            | Request::Run { step, .. }
            | Request::Did { step, .. }
            | Request::TryRun { step, .. }
            | Request::Waive { step, .. }
            | Request::Skip { step, .. }
            | Request::BreakGlass { step, .. }
            | Request::Probe { step }
            | Request::Type { step, .. }
            | Request::Interrupt { step, .. }
            | Request::Rollback { step, .. }
            | Request::Ack { step, .. }
            | Request::Settle { step, .. } => Some(step),
            Request::Set { .. }
            | Request::AdHoc { .. }
            | Request::Andon { .. }
            | Request::Release
            | Request::Poll
            | Request::Go { .. }
            | Request::NoGo { .. }
            | Request::Seat { .. }
            | Request::Answer { .. }
            | Request::Available { .. }
            | Request::Handover { .. }
            | Request::Readmit { .. }
            | Request::Say { .. }
            | Request::Mark { .. }
            | Request::Attend { .. }
            | Request::Resize { .. }
            | Request::Close { .. }
            | Request::SignClose
            | Request::Vouch => None,
        }
    }
    /// The attempt that it names. That of a waiver is the next one.
    pub fn attempt(&self) -> Option<u32> {
        match self {
            Request::Disarm { attempt, .. }
            | Request::OpenCheck { attempt, .. }
            | Request::ReadBack { attempt, .. }
            | Request::Check { attempt, .. }
            | Request::Object { attempt, .. }
            | Request::Withdraw { attempt, .. }
            | Request::Run { attempt, .. }
            | Request::Did { attempt, .. }
            | Request::TryRun { attempt, .. }
            | Request::Waive { attempt, .. }
            | Request::BreakGlass { attempt, .. }
            | Request::Type { attempt, .. }
            | Request::Rollback { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }
    /// The digest that its author read.
    pub fn digest(&self) -> Option<Hash> {
        match self {
            Request::Check { digest, .. } | Request::Object { digest, .. } | Request::BreakGlass { digest, .. } => {
                Some(*digest)
            }
            _ => None,
        }
    }
    /// What the refusal of it names: verb and step.
    pub fn describe(&self) -> String {
        match self {
            // Never what was typed: where it is wrong it may be anything.
            Request::ReadBack { step, field, .. } => format!("readback {step} {field}"),
            Request::Waive { step, watch, .. } => format!("waive {watch} of {step}"),
            Request::Handover { to } => format!("handover {to}"),
            Request::Readmit { who, .. } => format!("readmit {who}"),
            Request::Answer { item, .. } => format!("answer {item}"),
            Request::Set { name, .. } => format!("set {}", shown(name)),
            _ => self.step().map_or_else(|| self.verb().to_owned(), |step| format!("{} {step}", self.verb())),
        }
    }
    /// The words in it that a person typed.
    pub fn text(&self) -> Option<&str> {
        match self {
            Request::Object { why, .. }
            | Request::Waive { why, .. }
            | Request::Skip { why, .. }
            | Request::BreakGlass { why, .. }
            | Request::Ack { why, .. }
            | Request::Settle { why, .. }
            | Request::NoGo { why, .. }
            | Request::Available { why, .. }
            | Request::Andon { why } => Some(why),
            Request::Seat { seat: text } | Request::Answer { answer: text, .. } => Some(text),
            Request::Say { text }
            | Request::Mark { text }
            | Request::Close { note: text }
            | Request::Did { note: text, .. } => Some(text),
            _ => None,
        }
    }
}

/// What the lead types to a command: it may be a password, so no log and no panic shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Typed(pub String);
impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} characters", self.0.chars().count())
    }
}
impl Drop for Typed {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// Who asks: taken from the connection, never from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Who.
    pub principal: Principal,
    /// Fingerprint of the key that the connection proved.
    pub key: String,
    /// What they signed for this request, where it is one that is signed.
    pub signed: Option<Signed>,
}
impl Author {
    /// Somebody who signs nothing.
    pub fn new(principal: Principal, key: impl Into<String>) -> Author {
        Author { principal, key: key.into(), signed: None }
    }
}

//! What people ask for, and the answers that are not yes.

use crate::event::{Attention, Covers, Settled};
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId, shown};
use crate::session::steps::Phase;
use crate::trust::allowed::Why;
use crate::trust::statement::Signed;
use serde::{Deserialize, Serialize};

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
    /// Let go of what is armed.
    Disarm { step: StepId, attempt: u32 },
    /// The panel was opened.
    OpenCheck { step: StepId, attempt: u32 },
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
    /// Take note that a step failed.
    Ack { step: StepId, why: String },
    /// Take note of how a step counts.
    Settle { step: StepId, outcome: Settled, why: String },
    /// Stop the line.
    Andon { why: String },
    /// Agree to go on.
    Release,
    /// Agree that this person shall lead.
    Handover { to: Principal },
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

impl Request {
    /// The verb, as plain mode spells it.
    pub fn verb(&self) -> &'static str {
        match self {
            Request::Arm { .. } => "arm",
            Request::Disarm { .. } => "disarm",
            Request::OpenCheck { .. } => "open",
            Request::Check { .. } => "check",
            Request::Object { .. } => "object",
            Request::Withdraw { .. } => "withdraw",
            Request::Run { .. } | Request::Did { .. } | Request::TryRun { .. } => "run",
            Request::Probe { .. } => "probe",
            Request::Type { .. } => "type",
            Request::Interrupt { .. } => "interrupt",
            Request::Ack { .. } => "ack",
            Request::Settle { .. } => "settle",
            Request::Andon { .. } => "andon",
            Request::Release => "release",
            Request::Handover { .. } => "handover",
            Request::Say { .. } => "say",
            Request::Mark { .. } => "mark",
            Request::Attend { .. } => "attend",
            Request::Resize { .. } => "resize",
            Request::Close { .. } => "close",
            Request::SignClose => "sign the end",
            Request::Vouch => "vouch",
        }
    }
    /// What the refusal of it names: verb and step.
    pub fn describe(&self) -> String {
        match self {
            Request::Arm { step, .. }
            | Request::Disarm { step, .. }
            | Request::OpenCheck { step, .. }
            | Request::Check { step, .. }
            | Request::Object { step, .. }
            | Request::Withdraw { step, .. }
            | Request::Run { step, .. }
            | Request::Did { step, .. }
            | Request::TryRun { step, .. }
            | Request::Probe { step }
            | Request::Type { step, .. }
            | Request::Interrupt { step, .. }
            | Request::Ack { step, .. }
            | Request::Settle { step, .. } => format!("{} {step}", self.verb()),
            Request::Handover { to } => format!("handover {to}"),
            _ => self.verb().to_owned(),
        }
    }
    /// The words in it that a person typed.
    pub fn text(&self) -> Option<&str> {
        match self {
            Request::Object { why, .. }
            | Request::Ack { why, .. }
            | Request::Settle { why, .. }
            | Request::Andon { why } => Some(why),
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

/// An answer that is not yes. Nothing changed. Its text goes to terminals as it is, so what a watch or a file said is
/// made harmless here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    #[error("the session is closed")]
    Closed,
    #[error("the lead called the end; nothing else happens any more")]
    Closing,
    #[error("the lead has not called the end")]
    NotCalled,
    #[error("its signature does not count: {}", shown(.0))]
    Signature(String),
    #[error("{who} is an observer here, and observers only watch and pull the andon")]
    Observer { who: Principal },
    #[error("only the lead ({lead}) may do that")]
    LeadOnly { lead: Principal },
    #[error("only a shadow may do that, and {who} is none")]
    ShadowOnly { who: Principal },
    #[error("the plan has no step {step}")]
    NoSuchStep { step: StepId },
    #[error("step {step} is {}, not {wanted}", phase.word())]
    Phase { step: StepId, phase: Phase, wanted: &'static str },
    #[error("step {step} is not armed any more: {}", shown(why))]
    NotArmedAnyMore { step: StepId, why: String },
    #[error("step {step} waits for step {after}, which is {}", phase.word())]
    After { step: StepId, after: StepId, phase: Phase },
    #[error("step {other} is {}; one step at a time", phase.word())]
    Busy { other: StepId, phase: Phase },
    #[error("step {step} is {}: somebody other than the lead has to take note first", phase.word())]
    Owed { step: StepId, phase: Phase },
    #[error("gate {watch} is {status}: {}", shown(why))]
    Gate { watch: WatchId, status: &'static str, why: String },
    #[error("that was attempt {asked} of step {step}; now it is attempt {now}")]
    Attempt { step: StepId, asked: u32, now: u32 },
    #[error("that was another digest: checked {asked}, armed is {now}", asked = asked.short(), now = now.short())]
    Digest { asked: Hash, now: Hash },
    #[error("{who} armed step {step}, and nobody checks their own step")]
    OwnStep { who: Principal, step: StepId },
    #[error("{who} may not cross-check with this key: {why}")]
    NotVouched { who: Principal, why: Why },
    #[error("{who} has checked it already; one person counts once, over however many connections")]
    CheckedAlready { who: Principal },
    #[error("that is the key of {other}, who leads or has checked it; one key counts once")]
    SameKey { other: Principal },
    #[error("open the panel of step {step} and read it first")]
    NotOpened { step: StepId },
    #[error("{who} has not checked it")]
    NotChecked { who: Principal },
    #[error("it needs {missing} more cross-check{}", if *missing == 1 { "" } else { "s" })]
    Quorum { missing: u32 },
    #[error("the line is stopped ({})", shown(why))]
    LineStopped { why: String },
    #[error("the andon is not pulled")]
    NotStopped,
    #[error("step {step} runs a command; nobody does it by hand")]
    NotByHand { step: StepId },
    #[error("the plan has no probe for step {step}")]
    NoProbe { step: StepId },
    #[error("the probe of step {step} runs already")]
    Probing { step: StepId },
    #[error("nobody types to step {step}: its plan says no `input`")]
    TakesNoInput { step: StepId },
    #[error("the terminal of step {step} shows what is typed, and this step takes text only while it hides it")]
    EchoOn { step: StepId },
    #[error("a typed line may have at most {max} bytes, this one has {0}", max = super::typing::TYPED_BYTES_MAX)]
    TypedTooLong(usize),
    #[error("a typed line is text: it may hold no control character")]
    TypedControl,
    #[error("nothing runs in step {step}")]
    NotRunning { step: StepId },
    #[error("the process of step {step} is still alive; interrupt it, or wait until it is gone")]
    StillRunning { step: StepId },
    #[error("{who} leads, and somebody else has to take note")]
    LeadMayNot { who: Principal },
    #[error("say whether what step {step} does is there: settle {step} done WHY, or settle {step} failed WHY")]
    SayWhich { step: StepId },
    #[error("{to} checked the running step {step}, and may not lead it")]
    CheckedRunning { to: Principal, step: StepId },
    #[error("{to} is not in the plan's crew as lead or shadow")]
    NotCrew { to: Principal },
    #[error("{to} leads already")]
    LeadsAlready { to: Principal },
    #[error("only the lead ({lead}) and {to} can agree on that")]
    NotYours { lead: Principal, to: Principal },
    #[error("a reason is needed")]
    NoReason,
    #[error("a text may have at most {TEXT_CHARS_MAX} characters, this one has {0}")]
    TooLong(usize),
    #[error("{}", shown(.0))]
    CannotFreeze(String),
    #[error("{} is not in this version of crosscheck", shown(.0))]
    NotInThisVersion(String),
}

impl Refusal {
    /// What the person can do about it, in one line.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Refusal::NotVouched { .. } => {
                Some("the session keeps the file as it was when it opened; another shadow can check")
            }
            Refusal::OwnStep { .. } => Some("another crew member has to check it"),
            Refusal::Digest { .. } | Refusal::Attempt { .. } => Some("it was armed anew since; read it again"),
            Refusal::NotArmedAnyMore { .. } => Some("the lead can arm it again"),
            Refusal::Gate { .. } => Some("it clears by itself once the watch reads ok"),
            Refusal::LineStopped { .. } => Some("say `release` once it is safe to go on"),
            Refusal::EchoOn { .. } => Some("wait until it asks for a password, and type it then"),
            Refusal::Owed { .. } => Some("a shadow says `ack WHY`, or `settle ID done|failed WHY`"),
            _ => None,
        }
    }
}

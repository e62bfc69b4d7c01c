//! What people ask for, and the answers that are not yes.

use crate::clock::At;
use crate::event::{Attention, Covers, Settled, Status};
use crate::hash::Hash;
use crate::name::{ItemId, Principal, StepId, WatchId, shown};
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
    #[error("{who} has a seat here and no more: seat, answer, fit, go, no-go, ack, settle, say, andon")]
    SeatOnly { who: Principal },
    #[error("step {step} is locked until the poll is go: {}", shown(why))]
    NotGo { step: StepId, why: String },
    #[error("the plan asks for no poll")]
    NoPoll,
    #[error("the poll is over: the first critical step was begun")]
    PollOver,
    #[error("the lead ({lead}) has not called the poll")]
    NotCalledYet { lead: Principal },
    #[error("that was poll {asked}; now it is poll {now}")]
    OtherPoll { asked: u32, now: u32 },
    #[error("the checklist was answered anew since; read it again")]
    BoardChanged,
    #[error("the poll does not ask {who}")]
    NotAsked { who: Principal },
    #[error("the plan has no seat {:?}; it has: {}", shown(seat), known.join(", "))]
    NoSuchSeat { seat: String, known: Vec<String> },
    #[error("the seat {seat} is for {}", who.iter().map(Principal::as_str).collect::<Vec<_>>().join(", "))]
    NotYourSeat { seat: String, who: Vec<Principal> },
    #[error("the checklist has no {item}")]
    NoSuchItem { item: ItemId },
    #[error("{item} is for whoever holds the seat {seat}")]
    NotYourItem { item: ItemId, seat: String },
    #[error("that is no answer to {item}: it takes {wanted}")]
    NotAnAnswer { item: ItemId, wanted: &'static str },
    #[error("{time} is past")]
    TimePassed { time: At },
    #[error("only the lead ({lead}) may do that")]
    LeadOnly { lead: Principal },
    #[error("only a shadow may do that, and {who} is none")]
    ShadowOnly { who: Principal },
    #[error("only a shadow, or whoever holds a seat, may do that, and {who} does not")]
    ShadowOrSeat { who: Principal },
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
    #[error("{who} leads, and that takes a second person")]
    SecondPerson { who: Principal },
    #[error("step {step} has no gate {watch}; it has {}", if gates.is_empty() { "none".to_owned() } else { gates.join(", ") })]
    NoSuchGate { step: StepId, watch: WatchId, gates: Vec<String> },
    #[error("gate {watch} is {status}, and there is nothing to waive")]
    GateHolds { watch: WatchId, status: &'static str },
    #[error("gate {watch} was {seen} when you looked, and is {now} now")]
    GateTurned { watch: WatchId, seen: &'static str, now: &'static str },
    #[error("gate {watch} is waived already, by {by}")]
    Waived { watch: WatchId, by: Principal },
    #[error("{who} waived gate {watch}, and cannot be the only one to check what it would have stopped")]
    WaivedAlone { who: Principal, watch: WatchId },
    #[error("the plan does not let {who} break the glass")]
    NoGlass { who: Principal },
    #[error("to break the glass the step's id is typed, and that is {step}")]
    NotConfirmed { step: StepId },
    #[error("the glass is for when nobody else is there: {} can check it", list(who))]
    NotAlone { who: Vec<Principal> },
    #[error("nothing is read back for step {step}")]
    NothingToReadBack { step: StepId },
    #[error("{who} reads back {}, and {} is another's or no field of this step", fields.join(", "), shown(field))]
    OtherField { who: Principal, field: String, fields: Vec<String> },
    #[error("that is not what {} is in the armed step; {left} more {} before {who} is out of this attempt", shown(field), if *left == 1 { "try" } else { "tries" })]
    ReadBackWrong { who: Principal, field: String, left: u32 },
    #[error(
        "that is not what {} is in the armed step, for the third time: {who} cannot check this attempt any more",
        shown(field)
    )]
    ReadBackOut { who: Principal, field: String },
    #[error("{who} read back wrong three times, and cannot check this attempt any more")]
    ReadBackSpent { who: Principal },
    #[error("first read back {}, each from your own copy of the runbook", fields.join(" and "))]
    ReadBackOwed { fields: Vec<String> },
    #[error("{who} has not checked it")]
    NotChecked { who: Principal },
    #[error("it needs {missing} more cross-check{}", if *missing == 1 { "" } else { "s" })]
    Quorum { missing: u32 },
    #[error("the line is stopped ({})", shown(why))]
    LineStopped { why: String },
    #[error("the line is held ({})", shown(why))]
    LineHeld { why: String },
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
    #[error("the plan says nothing of how step {step} is undone")]
    NoRollback { step: StepId },
    #[error("step {step} was rolled back, and after that step {contain} has to be done before the end")]
    Contain { step: StepId, contain: StepId },
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
    Param(String),
    #[error("{}", shown(.0))]
    Typed(String),
    #[error("a deviation from the plan needs a reason: {}", shown(what))]
    DeviationWhy { what: String },
    #[error("what deviates from the plan needs {checks} cross-check{}, and {}", if *checks == 1 { "" } else { "s" }, able_words(*able))]
    NobodyChecks { checks: u32, able: usize },
    #[error("{}", shown(.0))]
    CannotFreeze(String),
    #[error("{} is not in this version of crosscheck", shown(.0))]
    NotInThisVersion(String),
}

fn able_words(able: usize) -> String {
    match able {
        0 => "the plan names no shadow beside the lead".to_owned(),
        1 => "the plan names only 1 shadow beside the lead".to_owned(),
        n => format!("the plan names only {n} shadows beside the lead"),
    }
}

impl Refusal {
    /// What the person can do about it, in one line.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Refusal::NotVouched { .. } => {
                Some("the session keeps the file as it was when it opened; another shadow can check")
            }
            Refusal::DeviationWhy { .. } => Some("put it behind a # at the end, such as: set NAME=VALUE # WHY"),
            Refusal::OwnStep { .. } => Some("another crew member has to check it"),
            Refusal::Digest { .. } | Refusal::Attempt { .. } => Some("it was armed anew since; read it again"),
            Refusal::NotArmedAnyMore { .. } => Some("the lead can arm it again"),
            Refusal::Gate { .. } => Some("it clears by itself once the watch reads ok"),
            Refusal::Contain { .. } => Some("arm and run it; what was undone could be done again by itself without it"),
            Refusal::WaivedAlone { .. } => Some("somebody else has to check it as well"),
            Refusal::NoGlass { .. } => Some("`break_glass` in the plan names the leads who may"),
            Refusal::GateTurned { .. } => Some("look again, and waive what it is now"),
            Refusal::ReadBackWrong { .. } => Some("if your runbook is right, object: something else is armed"),
            Refusal::ReadBackOut { .. } | Refusal::ReadBackSpent { .. } => {
                Some("another shadow can check it; or object, if it is not what your runbook says")
            }
            Refusal::NotGo { .. } => {
                Some("seats and checklist first, then the lead says `poll` and everyone asked says `go`")
            }
            Refusal::PollOver => Some("whoever sees a reason to stop says `andon`"),
            Refusal::NotAsked { .. } => Some("it asks the lead, the shadows, and whoever took a seat: `seat NAME`"),
            Refusal::NotYourItem { .. } => Some("take the seat first: `seat NAME`"),
            Refusal::LineStopped { .. } => Some("say `release` once it is safe to go on"),
            // Nobody pulled it, so nobody can release it.
            Refusal::LineHeld { .. } => Some("it goes on by itself once that is over"),
            Refusal::EchoOn { .. } => Some("wait until it asks for a password, and type it then"),
            Refusal::Owed { .. } => Some("a shadow or a seat says `ack WHY`, or `settle ID done|failed WHY`"),
            _ => None,
        }
    }
}

fn list(people: &[Principal]) -> String {
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

//! The answers that are not yes: each with its sentence, a short form, and where there is one a hint.

use super::Session;
use super::phase::Phase;
use super::request::{TEXT_CHARS_MAX, TYPED_BYTES_MAX};
use crate::clock::{At, human};
use crate::hash::Hash;
use crate::name::{ItemId, Principal, StepId, WatchId, shown};
use crate::trust::allowed::Why;
use std::time::Duration;

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
    #[error("step {step} is locked until the poll is go: {}", shown(&in_words(locks)))]
    NotGo { step: StepId, locks: Vec<String> },
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
    #[error("step {step} comes after step {after}, which is settled as NOT done")]
    NotDone { step: StepId, after: StepId },
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
    #[error("the hub was asked to stop; nothing else starts, and once nothing runs it ends")]
    Stopping,
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
    #[error("a typed line may have at most {max} bytes, this one has {0}", max = TYPED_BYTES_MAX)]
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
    #[error("step {step} was undone, and what was undone is not done")]
    Undone { step: StepId },
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
    #[error("{lead} leads, and has been gone for {} only; after {} two others may take the lead", human(*gone), human(*grace))]
    LeadNotGone { lead: Principal, gone: Duration, grace: Duration },
    #[error("{to} may take the lead only where nobody else may lead; the plan names {}", list(leads))]
    OthersLead { to: Principal, leads: Vec<Principal> },
    #[error("another key was let in for {who}; this one is out")]
    KeyOut { who: Principal },
    #[error("others of the crew let {who} in again, two of them")]
    NotTheirs { who: Principal },
    #[error("nobody came as {who} with another key")]
    NobodyKnocked { who: Principal },
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
    #[error("step {step} runs no command; `adhoc` types one")]
    RunsNothing { step: StepId },
    #[error("a deviation from the plan needs a reason: {}", shown(what))]
    DeviationWhy { what: String },
    #[error("what deviates from the plan needs {checks} cross-check{}, and {}", if *checks == 1 { "" } else { "s" }, able_words(*able))]
    NobodyChecks { checks: u32, able: usize },
    #[error("{}", shown(.0))]
    CannotFreeze(String),
    #[error("{} is not in this version of crosscheck", shown(.0))]
    NotInThisVersion(String),
}

/// Of more locks than these only the number is told: it is a sentence, not the list.
const LOCKS_TOLD: usize = 4;

/// Locks in one sentence.
pub(super) fn in_words(locks: &[String]) -> String {
    let told = locks.iter().take(LOCKS_TOLD).cloned().collect::<Vec<_>>().join("; ");
    match locks.len().saturating_sub(LOCKS_TOLD) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
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
            Refusal::Stopping => Some("`crosscheck serve` with this plan takes the session up again"),
            Refusal::LeadOnly { .. } => {
                Some("where the lead is gone, one who may lead and one more take it over: both say `handover WHO`")
            }
            Refusal::LineStopped { .. } => Some("say `release` once it is safe to go on"),
            // Nobody pulled it, so nobody can release it.
            Refusal::LineHeld { .. } => Some("it goes on by itself once that is over"),
            Refusal::EchoOn { .. } => Some("wait until it asks for a password, and type it then"),
            Refusal::Owed { .. } => Some(
                "a shadow or a seat says `ack WHY` or `settle ID failed WHY`; that it is done takes the lead as well",
            ),
            Refusal::NotDone { .. } => Some(
                "the lead arms that one again; or the lead and one shadow leave it out, each with a reason: `skip ID WHY`",
            ),
            Refusal::Undone { .. } => Some("a shadow or a seat says `ack WHY`; then it can be armed again, or left so"),
            _ => None,
        }
    }
}

fn list(people: &[Principal]) -> String {
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Refusal {
    /// Whether it is about the words that were typed. Before anything is typed it is no reason yet.
    pub fn is_of_words(&self) -> bool {
        matches!(
            self,
            Refusal::TooLong(_)
                | Refusal::NoReason
                | Refusal::Param(_)
                | Refusal::Typed(_)
                | Refusal::DeviationWhy { .. }
                | Refusal::NotAnAnswer { .. }
                | Refusal::TimePassed { .. }
                | Refusal::NotConfirmed { .. }
                | Refusal::ReadBackWrong { .. }
                | Refusal::ReadBackOut { .. }
                | Refusal::EchoOn { .. }
                | Refusal::TypedTooLong(_)
                | Refusal::TypedControl
                | Refusal::SayWhich { .. }
        )
    }

    /// The same in a few words, for a footer or a list of locks: steps by their number, people by their short names. It is
    /// told to whoever asks.
    pub fn short(&self, session: &Session) -> String {
        let number = |step: &StepId| session.numbered(step);
        let text = match self {
            Refusal::Closing => "the lead called the end".to_owned(),
            Refusal::Signature(_) => "its signature does not count".to_owned(),
            Refusal::Observer { .. } => "observers only watch and pull the andon".to_owned(),
            Refusal::SeatOnly { .. } => "not for who holds a seat".to_owned(),
            Refusal::NotGo { locks, .. } => {
                let more = locks.len().saturating_sub(1);
                let more = if more == 0 { String::new() } else { format!(", and {more} more") };
                format!("LOCKED until the poll is go: {}{more}", locks.first().map_or("", String::as_str))
            }
            Refusal::NotCalledYet { .. } => "the poll is not called".to_owned(),
            Refusal::BoardChanged => "the checklist changed; read it again".to_owned(),
            Refusal::NotAsked { .. } => "the poll does not ask you".to_owned(),
            Refusal::LeadOnly { lead } => format!("only the lead ({}) may", lead.short()),
            Refusal::ShadowOnly { .. } => "only a shadow may".to_owned(),
            Refusal::ShadowOrSeat { .. } => "only a shadow or a seat may".to_owned(),
            Refusal::Phase { step, phase: Phase::Planned, wanted: "armed" } => {
                format!("{} is not armed", number(step))
            }
            Refusal::Phase { step, phase, .. } => format!("{} is {}", number(step), phase.word()),
            Refusal::NotArmedAnyMore { step, .. } => format!("{} is not armed any more", number(step)),
            Refusal::After { after, .. } => format!("{} comes first", number(after)),
            Refusal::NotDone { after, .. } => format!("{} is NOT done: arm it again, or skip it", number(after)),
            Refusal::Busy { other, phase } => format!("{} is {}", number(other), phase.word()),
            Refusal::Owed { step, phase } => {
                format!("{} is {}: a shadow has to settle it", number(step), phase.word())
            }
            Refusal::Gate { watch, status, .. } => format!("gate {watch} {}", status.to_uppercase()),
            Refusal::Attempt { .. } | Refusal::Digest { .. } => "it was armed anew; read it again".to_owned(),
            Refusal::OwnStep { .. } => "nobody checks their own step".to_owned(),
            Refusal::NotVouched { .. } => "your key is not vouched for".to_owned(),
            Refusal::CheckedAlready { .. } => "you have checked it".to_owned(),
            Refusal::SameKey { other } => format!("your key is that of {}", other.short()),
            Refusal::NotOpened { .. } => "the panel was not opened".to_owned(),
            Refusal::SecondPerson { .. } => "it takes a second person".to_owned(),
            Refusal::GateHolds { watch, .. } => format!("gate {watch} holds"),
            Refusal::NoGlass { .. } => "the plan does not let you".to_owned(),
            Refusal::NotAlone { who } => {
                format!("{} can check it", who.iter().map(Principal::short).collect::<Vec<_>>().join(", "))
            }
            Refusal::NothingToReadBack { .. } => "nothing is read back here".to_owned(),
            Refusal::ReadBackSpent { .. } => "you read back wrong three times".to_owned(),
            Refusal::ReadBackOwed { fields } => format!("read back {}", fields.join(", ")),
            Refusal::NotChecked { .. } => "you have not checked it".to_owned(),
            Refusal::Quorum { missing } => format!("{missing} check{} missing", if *missing == 1 { "" } else { "s" }),
            Refusal::LineStopped { why } => why.clone(),
            Refusal::LineHeld { why } => format!("line held: {why}"),
            Refusal::NotByHand { step } => format!("{} runs a command", number(step)),
            Refusal::NoProbe { step } => format!("{} has no probe", number(step)),
            Refusal::Probing { step } => format!("the probe of {} runs", number(step)),
            Refusal::TakesNoInput { step } => format!("nobody types to {}: its plan says no input", number(step)),
            Refusal::NotRunning { step } => format!("nothing runs in {}", number(step)),
            Refusal::StillRunning { .. } => "its process is still alive".to_owned(),
            Refusal::NoRollback { step } => format!("the plan says nothing of how {} is undone", number(step)),
            Refusal::Contain { contain, .. } => format!("{} has to be done first", number(contain)),
            Refusal::Stopping => "the hub stops".to_owned(),
            Refusal::Undone { step } => format!("{} was undone", number(step)),
            Refusal::LeadMayNot { .. } => "somebody other than its lead has to".to_owned(),
            Refusal::CheckedRunning { to, .. } => format!("{} checked what runs", to.short()),
            _ => self.to_string(),
        };
        session.shortened(&shown(&text))
    }
}

//! What unit tests are made of, said once: names and times, plans, sessions, and what a hub freezes, reads and sees in them. Used as
//! `a`, so that a test reads as a sentence: `a::reading(Status::Ok).of(12.0, "ms")`, `a::attempt("drop", 1).started()`.
//!
//! Every type here is made whole in one place. A new field is given its usual value there, and no test has to be touched that is
//! not about it; `tests/suite/tidy.rs` keeps it so.

mod opening;
mod plan;
mod seen;
mod tries;

pub(crate) use opening::opening;
pub(crate) use plan::{PlanText, plan, watching};
pub(crate) use seen::{covers, covers_of, file, gate, process, reading, rollback, waived};
pub(crate) use tries::{Try, attempt, joined, left, read, recovered};

use crate::clock::At;
use crate::event::Event;
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId};
use crate::transcript::record::{FORMAT, Line};

/// A person of that name.
pub(crate) fn who(name: &str) -> Principal {
    Principal::new(name).expect("a name")
}
/// The step of that name.
pub(crate) fn step(id: &str) -> StepId {
    StepId::new(id).expect("a step's name")
}
/// The watch of that name.
pub(crate) fn watch(id: &str) -> WatchId {
    WatchId::new(id).expect("a watch's name")
}
/// When sessions of tests are opened.
pub(crate) fn start() -> At {
    At::from_micros(1_795_219_200_000_000)
}
/// A line of a transcript whose hashes are not looked at.
pub(crate) fn line(seq: u64, at: At, by: &Principal, event: Event) -> Line {
    Line { v: FORMAT, seq, prev: Hash::ZERO, at, by: by.clone(), event }
}

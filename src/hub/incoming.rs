//! Everything the driver takes in: from connections, from watches, from commands, and from what it set to work itself.

use super::fanout::Outbox;
use super::joining::Joining;
use crate::event::{CommandSeen, Covers, Part, RunEnd};
use crate::exec::Report;
use crate::hash::Hash;
use crate::monitor::Sample;
use crate::name::{Principal, StepId};
use crate::secret::SecretEnv;
use crate::session::{Author, Request, Unfrozen};
use std::sync::Weak;
use std::time::Duration;

/// How telling one line to one place ended: so many tries, and why not.
pub type Outcome = Result<u32, (u32, String)>;

/// Everything the driver takes in.
#[allow(missing_docs)]
pub enum Incoming {
    /// A client proved its key.
    Join(Joining),
    /// A connection ended.
    Left { principal: Principal, connection: u64, why: String },
    /// Nothing is heard by a connection for so long; without a time it is heard again.
    Silent { principal: Principal, connection: u64, quiet: Option<Duration> },
    /// Somebody was not let in.
    DoorRefused { principal: Principal, reason: String },
    /// A request.
    Ask { author: Box<Author>, connection: u64, id: u64, request: Request, outbox: Weak<Outbox> },
    /// A step was frozen for arming.
    Frozen { author: Author, id: u64, request: Request, covers: Result<Box<Covers>, String>, outbox: Weak<Outbox> },
    /// What would run was frozen once more.
    Rechecked { step: StepId, attempt: u32, now: Result<(Box<Covers>, SecretEnv), Unfrozen> },
    /// A watch was read.
    Sample(Sample),
    /// A command said something.
    Run { step: StepId, attempt: u32, part: Part, report: Report },
    /// What undoes a step, or does its next batch, was frozen once more, its intent being on disk.
    PartFrozen { step: StepId, attempt: u32, part: Part, now: Result<Box<(CommandSeen, SecretEnv)>, String> },
    /// Telling those outside of a line came to its end.
    Told { notify: u32, of: u64, outcome: Outcome },
    /// A probe is over.
    Probed { step: StepId, attempt: u32, end: RunEnd, output: Vec<u8> },
    /// Look at the clock.
    Tick,
    /// End, the session unclosed. Where a command runs, only `force` ends the hub: the command would lose its terminal, and
    /// its outcome would be unknown.
    Stop { force: bool },
    /// The plan's file says something else now.
    PlanChanged { digest: Hash, what: String },
}

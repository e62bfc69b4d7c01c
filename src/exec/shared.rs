//! What the threads of a run have in common, and what a run has to say.

use super::keeper::Family;
use crate::event::{LeftSeen, RunEnd};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a run has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Bytes it printed: at most 16 KiB, cut on a character border unless they are not UTF-8.
    Output(Vec<u8>),
    /// The command itself has ended so, and others of its session run on: these, from now on.
    Waits(RunEnd, LeftSeen),
    /// These run on although the run is over: they left its session, or the plan has them left.
    Left(LeftSeen),
    /// It is over. The last report, and only after all output.
    Ended(RunEnd),
}

/// What the threads of a run have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
    /// See [`Running::waits`].
    pub(super) waits: AtomicU64,
}
impl Shared {
    /// Nothing that holds this lock can panic, so a poisoned one would still hold a valid value.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Closes the last of the hub's descriptors: what is left in the terminal learns that nobody reads any more.
    pub(super) fn close(&self) {
        self.state().terminal = None;
    }
}

/// Where it stands.
#[derive(Debug)]
pub(super) struct State {
    pub family: Family,
    /// The command itself has ended.
    pub gone: bool,
    /// So has everything that its end waits for.
    pub over: bool,
    /// Some of it runs on all the same.
    pub left: bool,
    pub asked: bool,
    pub forced: bool,
    pub timed_out: bool,
    pub terminal: Option<OwnedFd>,
}
impl State {
    pub(super) fn end(&self, status: &io::Result<ExitStatus>, timeout_ms: Option<u64>) -> RunEnd {
        match (status.as_ref().map(|status| (status.code(), status.signal())), timeout_ms) {
            (_, Some(after_ms)) if self.timed_out => RunEnd::TimedOut { after_ms },
            (Ok((Some(code), _)), _) => RunEnd::Exited { code },
            (Ok((None, Some(signal))), _) => RunEnd::Signalled { signal, asked: self.asked },
            // Whoever could be asked how it ended was killed. It has ended: anything but success.
            _ => RunEnd::Exited { code: -1 },
        }
    }
}

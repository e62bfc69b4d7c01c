//! What the driver shares with the rest of the hub.

use super::fanout::Ring;
use super::incoming::Outcome;
use crate::clock::{At, Clock};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// See the module.
pub struct Shared {
    /// Live lines.
    pub ring: Arc<Ring>,
    /// The hub's clock.
    pub clock: Arc<Mutex<Clock>>,
    /// Times a PTY reader waited for anything but the journal. Must stay 0.
    pub reader_waits: std::sync::atomic::AtomicU64,
    /// What was being told when the session closed.
    pub last_words: Mutex<Vec<LastWord>>,
}
impl Shared {
    /// The hub's time.
    pub fn now(&self) -> At {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).now()
    }
}

/// A message under way when the session closed; no line can say any more what became of it.
pub struct LastWord {
    /// Which.
    pub what: String,
    /// Who is at it.
    pub task: JoinHandle<Outcome>,
}

//! Where the transcript goes, behind one small interface: append a batch durably.

use super::sequencer::Numbered;
use crate::event::Part;
use crate::hash::Hash;
use crate::name::StepId;
use bytes::Bytes;

/// Bytes a command printed, on their way to the disk.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Which step.
    pub step: StepId,
    /// Which attempt.
    pub attempt: u32,
    /// Which command of it.
    pub part: Part,
    /// Where they go.
    pub offset: u64,
    /// The bytes.
    pub bytes: Bytes,
}

/// A batch that is not durable; no further one will be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JournalError(pub String);

/// See the module.
pub trait Journal: Send {
    /// Makes output and lines durable, output first. After an error every further call fails.
    fn append(&mut self, lines: &[Numbered], pieces: &[Piece]) -> Result<(), JournalError>;
    /// The hash of output as a line states it.
    fn salted_hash(&self, bytes: &[u8]) -> Hash;
}

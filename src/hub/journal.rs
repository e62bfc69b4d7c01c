//! Where the transcript goes, behind one small interface: append a batch durably. A file is the one implementation yet.

use super::sequencer::Numbered;
use crate::event::Part;
use crate::hash::Hash;
use crate::name::StepId;
use crate::transcript::file::Transcript;
use crate::transcript::output::{self, OutputPiece};
use std::path::PathBuf;

/// A batch that is not durable; no further one will be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JournalError(pub String);

/// See the module.
pub trait Journal: Send {
    /// Makes output and lines durable, output first. After an error every further call fails.
    fn append(&mut self, lines: &[Numbered], pieces: &[OutputPiece]) -> Result<(), JournalError>;
    /// The hash of output as a line states it.
    fn salted_hash(&self, bytes: &[u8]) -> Hash;
    /// Where a command notes its process, beside its output, so that a hub that dies at once leaves a trace of it.
    fn note(&self, step: &StepId, attempt: u32, part: Part) -> Option<PathBuf>;
    /// The salt of what stands for secrets in lines.
    fn secret_salt(&self) -> Result<String, JournalError>;
    /// Nothing more will come.
    fn close(self: Box<Self>) -> Result<(), JournalError>;
}

impl Journal for Transcript {
    fn append(&mut self, lines: &[Numbered], pieces: &[OutputPiece]) -> Result<(), JournalError> {
        let lines: Vec<_> = lines.iter().map(|line| line.encoded.clone()).collect();
        Transcript::append(self, &lines, pieces).map_err(told)
    }
    fn salted_hash(&self, bytes: &[u8]) -> Hash {
        Transcript::salted_hash(self, bytes)
    }
    fn note(&self, step: &StepId, attempt: u32, part: Part) -> Option<PathBuf> {
        Some(output::note(self.path(), step, attempt, part))
    }
    fn secret_salt(&self) -> Result<String, JournalError> {
        output::secret_salt(self.path()).map_err(|error| JournalError(format!("the salt for secrets: {error}")))
    }
    fn close(self: Box<Self>) -> Result<(), JournalError> {
        Transcript::close(*self).map_err(told)
    }
}

/// The whole chain of causes: it is what people read when nothing may run any more.
fn told(error: impl std::error::Error) -> JournalError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    JournalError(text)
}

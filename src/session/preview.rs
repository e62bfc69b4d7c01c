//! What became of a step's preview between the check and the run.

use crate::event::{Cause, Covers};

/// Why a step could not be frozen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfrozen {
    /// Something of what would run cannot be read, or not be shown.
    #[error("{0}")]
    Bytes(String),
    /// Its preview says nothing, or not what is expected of it.
    #[error("preview: {0}")]
    Preview(String),
}

impl From<String> for Unfrozen {
    fn from(why: String) -> Self {
        Unfrozen::Bytes(why)
    }
}

impl Unfrozen {
    /// The same with other words.
    pub fn map(self, words: impl FnOnce(String) -> String) -> Self {
        match self {
            Unfrozen::Bytes(why) => Unfrozen::Bytes(words(why)),
            Unfrozen::Preview(why) => Unfrozen::Preview(words(why)),
        }
    }
    /// Why a step that was about to run is armed no longer.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Unfrozen::Bytes(what) => Cause::BytesChanged { what: what.clone() },
            Unfrozen::Preview(why) => Cause::PreviewFailed { why: why.clone() },
        }
    }
}

/// What voids a step about to run that was frozen once more. Bytes come first: where they changed, the preview was not run.
pub(super) fn changed(checked: &Covers, now: &Covers) -> Option<Cause> {
    match checked.difference_in_bytes(now) {
        Some(what) => Some(Cause::BytesChanged { what }),
        None => checked.preview_difference(now).map(|(was, now)| Cause::PreviewChanged { was, now }),
    }
}

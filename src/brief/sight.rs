//! Who looks at a session, from where, and what they are told.

use crate::clock::At;
use crate::hash::Hash;
use crate::name::{ItemId, Principal, StepId};
use crate::session::Session;
use std::time::Duration;

/// Whether the hub can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<'a> {
    /// It answers.
    Live,
    /// It does not.
    Lost {
        /// For how long.
        since: Duration,
        /// Why.
        why: &'a str,
        /// How often it was tried again.
        tries: u32,
    },
    /// It lost its transcript: all that it still takes is an andon.
    Dying {
        /// How.
        why: &'a str,
    },
    /// There is none: this is a transcript, read again.
    Replay,
}

/// Who looks at which session, when, and how far they reach.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// The session, as far as it is folded.
    pub session: &'a Session,
    /// Who looks.
    pub me: &'a Principal,
    /// The hub's time.
    pub at: At,
    /// Whether the hub can be asked.
    pub reach: Reach<'a>,
}

/// One reason why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// In a sentence: the hub's own, where it is the hub that would refuse.
    pub sentence: String,
    /// In a few words, for a footer or a list.
    pub short: String,
    /// What can be done about it.
    pub hint: Option<&'static str>,
}

impl Why {
    /// A reason that lies on this side of the hub.
    pub(super) fn here(words: impl Into<String>) -> Why {
        let words = words.into();
        Why { sentence: words.clone(), short: words, hint: None }
    }
}

impl Sight<'_> {
    /// Whether they lead.
    pub fn leads(&self) -> bool {
        *self.me == self.session.lead
    }
}

/// What its author has picked or read on their screen.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    /// The step picked in the plan, where it is not the current one.
    pub step: Option<StepId>,
    /// The panel that was read: the armed step, the attempt, and the digest.
    pub read: Option<(StepId, u32, Hash)>,
    /// The poll and the board that were read.
    pub poll: Option<(u32, u64)>,
    /// The checklist item.
    pub item: Option<ItemId>,
}

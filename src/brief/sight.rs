//! Who looks at a session, from where, and what they are told.

use super::acts::{Act, Place};
use super::keys::Keys;
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
    /// The keys of their screen; none without one, where acts are verbs.
    pub keys: Option<&'a Keys>,
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

impl<'a> Sight<'a> {
    /// The same on a screen with these keys.
    pub fn with_keys(self, keys: &'a Keys) -> Sight<'a> {
        Sight { keys: Some(keys), ..self }
    }
    /// How they do it, for the end of a sentence: ` (R)` where a key of the main screen does it, ` (rollback)` where a verb does,
    /// nothing where there is no way.
    pub fn how(&self, act: Act) -> String {
        let way = match self.keys {
            Some(keys) => keys.first(act, Place::Main),
            None => act.row().map_or("", |row| row.verb()),
        };
        if way.is_empty() { String::new() } else { format!(" ({way})") }
    }
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

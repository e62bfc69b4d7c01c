//! What a screen draws from: the session as folded so far, and how it came here. Live or from a replay, the same value.

use crate::brief::{Reach, Sight};
use crate::clock::At;
use crate::event::Role;
use crate::name::Principal;
use crate::protocol::Screen;
use crate::session::Session;
use std::sync::Arc;
use std::time::Duration;

/// Everything a cockpit knows at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// The session.
    pub session: Arc<Session>,
    /// Who looks.
    pub me: Principal,
    /// As what the hub let them in. Who leads *now* is in the session.
    pub role: Role,
    /// The connection to the hub, or the replay.
    pub link: Link,
    /// The newest screen of the command that runs, or ran last.
    pub screen: Option<Arc<Screen>>,
    /// Set once the hub lost its transcript: nothing can start any more.
    pub dying: Option<String>,
    /// Hub time minus this machine's wall clock, in microseconds, estimated from pings.
    pub hub_ahead_micros: i64,
}

/// How a view comes here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// From a hub that answered the last ping after so long.
    Live {
        /// Round trip.
        rtt: Duration,
    },
    /// The hub does not answer; what is shown is as old as that.
    Lost {
        /// Since when, by this machine's wall clock.
        since: At,
        /// Why.
        why: String,
        /// How often it was tried again.
        tries: u32,
    },
    /// From a transcript.
    Replay {
        /// The line shown.
        at: u64,
        /// How many there are.
        of: u64,
        /// What the chain check said.
        verdict: String,
    },
}

impl View {
    /// The hub's time at this machine's time `wall`; in a replay the time of the line shown.
    pub fn now(&self, wall: At) -> At {
        match self.link {
            Link::Replay { .. } => self.session.at,
            _ => At::from_micros(wall.micros().saturating_add(self.hub_ahead_micros)),
        }
    }
    /// Who looks, at the hub's time `at`, and how far they reach.
    pub fn sight(&self, at: At) -> Sight<'_> {
        let reach = match (&self.dying, &self.link) {
            (_, Link::Replay { .. }) => Reach::Replay,
            (Some(why), _) => Reach::Dying { why },
            (None, Link::Lost { since, why, tries }) => {
                let wall = At::from_micros(at.micros().saturating_sub(self.hub_ahead_micros));
                Reach::Lost { since: wall.since(*since), why, tries: *tries }
            }
            (None, Link::Live { .. }) => Reach::Live,
        };
        Sight { session: &self.session, me: &self.me, at, reach, keys: None }
    }
    /// Whether this person leads.
    pub fn leads(&self) -> bool {
        self.me == self.session.lead
    }
}

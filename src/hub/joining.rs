//! What a client that proved its key hands the driver, and what the driver lets it in with.

use super::fanout::{Outbox, binary_frame};
use crate::event::Role;
use crate::protocol::snapshot;
use crate::session::{Author, Session};
use crate::transcript::record::Head;
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::oneshot;

/// A client that proved its key and waits to be let in.
pub struct Joining {
    /// Who.
    pub author: Author,
    /// The last line it holds and can go on from.
    pub have: Option<Head>,
    /// Where its answers go.
    pub outbox: Weak<Outbox>,
    /// The connection's number and what it needs, or why not.
    pub reply: oneshot::Sender<Result<(u64, Welcome), NotIn>>,
}

/// Why a client that proved its key is not let in.
#[derive(Debug)]
pub struct NotIn {
    /// For the person.
    pub reason: String,
    /// Whether it may be let in later: a client that comes back by itself goes on trying only then.
    pub retry: bool,
}

/// What the driver lets a proved client in with.
pub struct Welcome {
    /// As what.
    pub role: Role,
    /// The last line in `session`.
    pub head: Head,
    /// The last line on disk at that moment.
    pub upto: u64,
    /// The line the client goes on from, where it can.
    pub resume: Option<Head>,
    /// What a newcomer gets.
    pub base: Arc<Base>,
}

/// The session that newcomers begin with, and its frames, which are the same for all of them.
#[derive(Debug)]
pub struct Base {
    session: Session,
    frames: OnceLock<Option<Vec<bytes::Bytes>>>,
}
impl Base {
    /// From a session.
    pub fn new(session: Session) -> Arc<Base> {
        Arc::new(Base { session, frames: OnceLock::new() })
    }
    /// Its last line.
    pub fn head(&self) -> Head {
        Head { seq: self.session.seq, hash: self.session.hash }
    }
    /// The snapshot, framed; made when the first one asks for it. None where the session cannot be written.
    pub fn frames(&self) -> Option<Vec<bytes::Bytes>> {
        let make = || {
            let parts = snapshot(&self.session, self.head()).ok()?;
            Some(parts.iter().map(|part| binary_frame(&part.encode())).collect())
        };
        self.frames.get_or_init(make).clone()
    }
}

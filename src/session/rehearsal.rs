//! A rehearsal: the same plan, crew and rules, and nothing that is live is run.
//!
//! What it flies is another plan, made of the same text ([`crate::plan::Changes::rehearsal`]), so every rule finds the
//! commands that are rehearsed where it looks for commands. Here is what keeps such a session from being taken for a live one.

use super::Session;
use crate::event::Covers;
use crate::name::REHEARSAL;
use crate::trust::statement::{Purpose, Statement};

/// What a session's first line says of itself twice, its id and the data, must agree.
pub(super) fn agrees(session: &str, data: Option<&str>) -> Result<(), &'static str> {
    match (session.starts_with(REHEARSAL), data) {
        (true, Some(data)) if crate::plan::rehearsal_data(data).as_deref() == Ok(data) => Ok(()),
        (true, Some(_)) => Err("the first line does not say in plain words on which data the rehearsal was"),
        (true, None) => Err("the session's id says that it is a rehearsal, and the rest of the first line does not"),
        (false, Some(_)) => Err("the first line says that this is a rehearsal, and the session's id does not"),
        (false, None) => Ok(()),
    }
}

/// The head of whatever is signed in that session. What is signed in a rehearsal says so, and so holds nowhere else.
pub(super) fn about(session: &Session, purpose: Purpose) -> Statement {
    let statement = Statement::new(purpose).field("session", &session.id);
    match session.rehearsal() {
        Some(data) => statement.field("rehearsal", data),
        None => statement,
    }
}

impl Session {
    /// On which data it is a rehearsal; nothing where it is live.
    pub fn rehearsal(&self) -> Option<&str> {
        self.plan.rehearsal()
    }

    /// What was frozen as a rehearsal of those data is armed in no other session, nor is anything live in a rehearsal.
    pub(crate) fn is_its_own(&self, covers: &Covers) -> bool {
        covers.rehearsal.as_ref().map(|seen| seen.data.as_str()) == self.rehearsal()
    }
}

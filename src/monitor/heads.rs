//! Where a branch or tag stands, against where it should: the same for every store whose data have branches.

use super::{Findings, excerpt};
use crate::event::Status;
use crate::plan::OnMove;

/// Digits of a commit that are shown.
const SHORT: usize = 12;

/// What is expected of a head, and where it was first seen.
pub(super) struct Heads {
    pub(super) expected: Option<String>,
    pub(super) on_move: OnMove,
    /// The head at the first reading of this hub.
    first: Option<String>,
}

impl Heads {
    pub(super) fn new(expected: Option<String>, on_move: OnMove) -> Self {
        Heads { expected, on_move, first: None }
    }

    /// Holds a head against where it was and where it has to be.
    pub(super) fn judge(&mut self, head: &str, findings: &mut Findings) {
        let first = self.first.get_or_insert_with(|| head.to_owned());
        if first != head {
            let status = match self.on_move {
                OnMove::Ok => Status::Ok,
                OnMove::Warn => Status::Warn,
                OnMove::Fail => Status::Fail,
            };
            findings.add(status, format!("moved from {} since the hub first looked", short(first)));
        }
        if let Some(wanted) = self.expected.as_ref().filter(|wanted| *wanted != head) {
            findings.add(Status::Fail, format!("{} was expected", short(wanted)));
        }
    }
}

/// A commit as it is shown.
pub(super) fn short(head: &str) -> String {
    excerpt(&head.chars().take(SHORT).collect::<String>(), SHORT)
}

//! Cross-checks: the panel, what is read back, yes, and a yes that is taken back.

use super::Now;
use crate::name::Principal;
use crate::session::steps::{Check, StepState};

impl StepState {
    pub(super) fn check_opened(&mut self, now: Now) {
        if let Some(armed) = &mut self.armed {
            armed.opened.entry(now.by.clone()).or_insert(now.at);
            armed.seat(now.by);
        }
    }

    pub(super) fn was_read_back(&mut self, by: &Principal, field: &str, right: bool) {
        if let Some(armed) = &mut self.armed {
            armed.read_back(by, field, right);
        }
    }

    pub(super) fn checked(&mut self, now: Now, key: &str) {
        let (at, by) = (now.at, now.by);
        if let Some(armed) = &mut self.armed {
            let opened = armed.opened.get(by).copied().unwrap_or(at);
            let looked_ms = u64::try_from(at.since(opened).as_millis()).unwrap_or(u64::MAX);
            armed.checks.insert(by.clone(), Check { at, key: key.to_owned(), looked_ms });
            armed.move_from_seat_of(by);
        }
    }

    pub(super) fn withdrawn(&mut self, by: &Principal) {
        if let Some(armed) = &mut self.armed {
            armed.checks.remove(by);
        }
    }
}

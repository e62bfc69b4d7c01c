//! What the watches read, and what of it a step that starts or is verified goes by.

use super::push;
use crate::clock::At;
use crate::event::{Anchor, Reading, Status};
use crate::name::WatchId;
use crate::session::steps::{Phase, Starting};
use crate::session::{HISTORY, Session};

impl Session {
    pub(super) fn reading_taken(&mut self, at: At, watch: &WatchId, reading: &Reading, began: At, asked: Option<u64>) {
        let state = self.watches.entry(watch.clone()).or_default();
        if let Some(value) = reading.value {
            push(&mut state.history, (at, value), HISTORY);
        }
        state.reading = Some(reading.clone());
        state.began = began;
        self.sample(watch, reading, began, at);
        if let Some(starting) = self.starting_mut()
            && starting.waits_for(watch, began, asked)
        {
            starting.pending.remove(watch);
        }
    }

    pub(super) fn anchor_taken(&mut self, watch: &WatchId, anchor: &Anchor) {
        let state = self.watches.entry(watch.clone()).or_default();
        state.anchor = Some(anchor.clone());
        state.anchor_moves = false;
    }

    /// Keeps a reading for the run that is being verified. One that began before the run ended says nothing about after.
    fn sample(&mut self, watch: &WatchId, reading: &Reading, began: At, at: At) {
        let stale = self.plan.watch(watch).is_none_or(|watch| at.since(began) > watch.stale_after);
        let Some(state) = self.steps.values_mut().find(|state| state.phase.is_verifying()) else { return };
        let known = state.before.contains_key(watch);
        let part = state.phase.part();
        let Some(verifying) = state.run_of_mut(part).and_then(|run| run.verify.as_mut()) else { return };
        if known && verifying.span.is_some_and(|(from, _)| began >= from) {
            let status = if stale { Status::Unknown } else { reading.status };
            let value = reading.value.filter(|_| !stale);
            verifying.after.entry(watch.clone()).or_default().push(status, value, &reading.unit);
        }
    }

    fn starting_mut(&mut self) -> Option<&mut Starting> {
        self.steps.values_mut().find(|state| state.phase == Phase::Starting)?.armed.as_mut()?.starting.as_mut()
    }
}

//! What is armed, and what people say of it beside a check: waivers, skips, the glass.

use super::Now;
use crate::clock::At;
use crate::event::{Cause, Frozen, Status, WaivedSeen};
use crate::name::{StepId, WatchId};
use crate::session::Session;
use crate::session::glass::Glass;
use crate::session::kept::HalfSkip;
use crate::session::kept::Waiver;
use crate::session::steps::{Armed, Move, StepState};
use std::collections::BTreeMap;

impl StepState {
    pub(super) fn arm(&mut self, now: Now, attempt: u32, lapses: At, covers: &Frozen) {
        self.put_by(None);
        self.attempt = attempt;
        self.voided = None;
        self.skip = None;
        self.half_done = None;
        // One that lapsed before it was armed must not come back to life now.
        let seen =
            |watch: &WatchId| covers.covers().gates.iter().any(|gate| gate.watch == *watch && gate.waived.is_some());
        self.waivers.retain(|watch, _| seen(watch));
        self.run = None;
        self.rollback = None;
        self.by_hand = false;
        self.armed = Some(Armed {
            line: now.line,
            at: now.at,
            lapses,
            by: now.by.clone(),
            covers: covers.clone(),
            opened: BTreeMap::new(),
            checks: BTreeMap::new(),
            readers: BTreeMap::new(),
            handed: false,
            glass: false,
            starting: None,
        });
        self.go(Move::Arm, now.at);
    }

    pub(super) fn void(&mut self, at: At, cause: &Cause) {
        self.put_by(Some(cause.to_string()));
        self.voided = Some(cause.to_string());
        self.waivers.clear();
        self.go(Move::Void, at);
    }

    pub(super) fn waive(&mut self, now: Now, watch: &WatchId, status: Status, why: &str) {
        let waived = WaivedSeen { by: now.by.clone(), status, why: why.to_owned() };
        self.waivers.insert(watch.clone(), Waiver { at: now.at, waived });
    }

    pub(super) fn half_skip(&mut self, now: Now, why: &str) {
        self.skip = Some(HalfSkip { at: now.at, by: now.by.clone(), why: why.to_owned() });
    }

    pub(super) fn left_out(&mut self, at: At) {
        self.skip = None;
        self.waivers.clear();
        self.go(Move::Skip, at);
    }
}

impl Session {
    pub(super) fn glass_broken(&mut self, now: Now, step: &StepId, attempt: u32, missing: u32, why: &str) {
        let Some(state) = self.steps.get_mut(step) else { return };
        if let Some(armed) = &mut state.armed {
            armed.glass = true;
        }
        let (step, by, why) = (step.clone(), now.by.clone(), why.to_owned());
        self.glass.push(Glass { step, attempt, at: now.at, by, why, missing });
    }
}

//! What a session knows of the first records it needs, carried between the hub and the collectors that count them.

use crate::clock::At;
use crate::event::Anchor;
use crate::name::WatchId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the transcript already says, given to a monitor when it starts: a restart of the hub moves no anchor.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    /// When the session opened; where there is no session, the monitor's start counts.
    pub opened: Option<At>,
    /// The anchors that stand in the transcript.
    pub held: BTreeMap<WatchId, Anchor>,
    /// Those of them that are to be taken anew, since a planned purge ended well.
    pub moves: Vec<WatchId>,
}

impl Anchors {
    /// The place where that watch's loop and its collector meet.
    pub(super) fn slot(&self, watch: &WatchId) -> Slot {
        let inner = Inner { held: self.held.get(watch).cloned(), moves: self.moves.contains(watch), taken: None };
        Slot(Arc::new(Mutex::new(inner)))
    }
}

#[derive(Debug, Default)]
struct Inner {
    held: Option<Anchor>,
    moves: bool,
    taken: Option<Anchor>,
}

/// Where a collector's thread leaves the anchor it took, and the hub its wish for another one.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Inner>>);

// Without Kafka no collector takes anchors.
#[cfg_attr(not(feature = "kafka"), allow(dead_code))]
impl Slot {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is one assignment, so a thread that died holding the lock left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The anchor as it stands, and whether another one is wanted. Asked before anything is looked at: what a purge left
    /// is only counted by a reading that begins after it.
    pub(super) fn look(&self) -> (Option<Anchor>, bool) {
        let mut inner = self.inner();
        (inner.held.clone(), std::mem::take(&mut inner.moves))
    }

    /// The anchor could not be taken: it is still wanted.
    pub(super) fn still_wanted(&self) {
        self.inner().moves = true;
    }

    /// Leaves an anchor.
    pub(super) fn put(&self, anchor: Anchor) {
        let mut inner = self.inner();
        inner.held = Some(anchor.clone());
        inner.taken = Some(anchor);
    }

    /// Asks for another anchor.
    pub(super) fn want(&self) {
        self.inner().moves = true;
    }

    /// The anchor that was left since, once.
    pub(super) fn taken(&self) -> Option<Anchor> {
        self.inner().taken.take()
    }
}

//! What was read last, for collectors that hold readings of other watches against each other; and a way to ask for newer.
//!
//! Every loop pins its reading up before it goes anywhere else. Nobody waits for a reader of the board, so a collector that
//! asks others cannot hold them up; and a plan in which one rests on itself is refused, so that asking always ends.

use super::Ask;
use crate::clock::At;
use crate::event::Reading;
use crate::name::WatchId;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// A reading and when it began.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Taken {
    pub(super) reading: Reading,
    pub(super) began: At,
}

/// One watch on the board.
struct Entry {
    latest: watch::Receiver<Option<Taken>>,
    asks: mpsc::UnboundedSender<Ask>,
}

/// The latest reading of every watch.
pub(super) struct Board {
    entries: BTreeMap<WatchId, Entry>,
    /// Before any reading began.
    pub(super) opened: At,
}

/// Where a loop pins its readings up.
pub(super) type Pin = watch::Sender<Option<Taken>>;
/// What a loop is asked.
pub(super) type Asks = mpsc::UnboundedReceiver<Ask>;

impl Board {
    /// A board for these watches, and each one's place on it.
    pub(super) fn new<'w>(
        watches: impl Iterator<Item = &'w WatchId>,
        opened: At,
    ) -> (Arc<Board>, BTreeMap<WatchId, (Pin, Asks)>) {
        let (mut entries, mut places) = (BTreeMap::new(), BTreeMap::new());
        for id in watches {
            // Unbounded is safe here: the hub asks once per gate of a step that somebody pressed run on, and a collector
            // asks again only once it was answered.
            let (asks, asked) = mpsc::unbounded_channel();
            let (pin, latest) = watch::channel(None);
            entries.insert(id.clone(), Entry { latest, asks });
            places.insert(id.clone(), (pin, asked));
        }
        (Arc::new(Board { entries, opened }), places)
    }

    /// The latest reading of a watch; nothing before its first one.
    pub(super) fn latest(&self, watch: &WatchId) -> Option<Taken> {
        self.entries.get(watch)?.latest.borrow().clone()
    }

    /// Waits for the first reading of a watch.
    pub(super) async fn first(&self, watch: &WatchId) {
        if let Some(entry) = self.entries.get(watch) {
            let _ = entry.latest.clone().wait_for(Option::is_some).await; // fails where its loop has ended
        }
    }

    /// A reading of that watch that begins after this call.
    pub(super) async fn anew(&self, watch: &WatchId) -> Option<Taken> {
        let (answer, taken) = oneshot::channel();
        self.ask(watch, Ask::Collector(answer)).ok()?;
        taken.await.ok()
    }

    /// Hands a question to a watch's loop, or says why it cannot be answered.
    pub(super) fn ask(&self, watch: &WatchId, ask: Ask) -> Result<(), &'static str> {
        let entry = self.entries.get(watch).ok_or("the plan has no such watch")?;
        entry.asks.send(ask).map_err(|_| "the collector of this watch has stopped")
    }
}

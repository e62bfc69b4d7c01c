//! Whether the plan's file still says what the session was opened with. The session flies on as it was opened; people are
//! told once, since whoever looks into the file would believe something else.

use super::incoming::Incoming;
use crate::hash::Hash;
use crate::plan::differs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// More is no plan.
const BYTES_MAX: u64 = 4 << 20;

/// What a file is known again by without reading it.
type Known = (u64, u64, i64, i64);

fn known(path: &Path) -> Option<Known> {
    let it = std::fs::metadata(path).ok()?;
    Some((it.ino(), it.size(), it.mtime(), it.mtime_nsec()))
}

/// Looks until the file says something else, and tells the driver of that. One that is gone says nothing: an editor may be
/// about to put another in its place, and what is written in pieces is waited for.
pub(super) async fn watch(path: PathBuf, text: String, inputs: mpsc::Sender<Incoming>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut same, mut last) = (None, None);
    loop {
        every.tick().await;
        let (path, text, before) = (path.clone(), text.clone(), (same, last));
        let look = tokio::task::spawn_blocking(move || {
            let now = known(&path)?;
            if before.0 == Some(now) || before.1 != Some(now) {
                return Some((now, None)); // read already, or still being written
            }
            if now.1 > BYTES_MAX {
                let what = format!("it holds {} bytes, and is no plan any more", now.1);
                return Some((now, Some((Hash::of(what.as_bytes()), what))));
            }
            let bytes = std::fs::read(&path).ok()?;
            let what = (bytes != text.as_bytes())
                .then(|| (Hash::of(&bytes), differs(&text, &String::from_utf8_lossy(&bytes))));
            Some((now, what.or(Some((Hash::ZERO, String::new())))))
        });
        match look.await.ok().flatten() {
            Some((now, Some((_, what)))) if what.is_empty() => (same, last) = (Some(now), Some(now)),
            Some((_, Some((digest, what)))) => {
                let _ = inputs.send(Incoming::PlanChanged { digest, what }).await; // a hub that is gone tells nobody
                return;
            }
            Some((now, None)) => last = Some(now),
            None => {}
        }
    }
}

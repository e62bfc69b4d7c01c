//! A thread that owns what may block: file systems, `/proc`, librdkafka.
//!
//! Not `spawn_blocking`: a call that hangs there keeps the runtime from ending, and a second one would start beside it.
//! Here a hung call costs one thread, later readings wait for it and time out as unknown, and at the end nobody joins it.

use crate::event::Reading;
use crate::name::WatchId;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// When the collector has to be done, and where what it found goes.
type Job<T> = (Instant, oneshot::Sender<T>);

/// The loop's end of the thread, which finds a reading, or what a collector makes one of.
pub(super) struct Worker<T = Reading> {
    jobs: mpsc::Sender<Job<T>>,
    /// A job whose reader gave up. At most one exists, so the queue never grows.
    abandoned: Option<oneshot::Receiver<T>>,
}

impl Worker {
    /// Has the thread take a reading; as [`Worker::look`].
    pub(super) async fn read(&mut self, limit: Duration) -> Reading {
        self.look(limit).await.unwrap_or_else(Reading::unknown)
    }
}

impl<T: Send + 'static> Worker<T> {
    /// Starts the thread; it ends when the worker is dropped and the last call returns.
    pub(super) fn start(watch: &WatchId, mut read: impl FnMut(Instant) -> T + Send + 'static) -> Result<Self, String> {
        let (jobs, queue) = mpsc::channel::<Job<T>>();
        std::thread::Builder::new()
            .name(format!("watch {watch}"))
            .spawn(move || {
                for (deadline, answer) in queue {
                    let _ = answer.send(read(deadline)); // nobody may be left to hear a late one
                }
            })
            .map_err(|error| format!("no thread to read with: {error}"))?;
        Ok(Worker { jobs, abandoned: None })
    }

    /// Has the thread read once. May be dropped half-way: the next call first waits for what is still going on, and
    /// throws its outcome away, since that was looked at too early.
    pub(super) async fn look(&mut self, limit: Duration) -> Result<T, &'static str> {
        const STOPPED: &str = "the collector of this watch has stopped";
        let began = Instant::now();
        if let Some(earlier) = &mut self.abandoned {
            let _ = earlier.await;
        }
        self.abandoned = None;
        let (answer, reading) = oneshot::channel();
        // A collector that keeps time itself can say more than "no answer", so it gets a little less than the loop.
        let deadline = began + limit.mul_f64(0.9);
        if self.jobs.send((deadline, answer)).is_err() {
            return Err(STOPPED);
        }
        let found = self.abandoned.insert(reading).await;
        self.abandoned = None;
        found.map_err(|_| STOPPED)
    }
}

//! From the journal to every participant: a ring of pre-framed lines, and one writer per connection with nothing but a
//! cursor into it. A participant that stalls costs its cursor; nobody waits for it.
//!
//! Unmasked server frames are the same bytes for everyone, so they are framed once, when they are published. What one
//! connection alone gets (answers, pongs, the handshake) goes through its [`Outbox`]; the same one writer sends both,
//! whole frame by whole frame.

use super::sequencer::Numbered;
use crate::event::Event;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, watch};

/// Bytes of framed lines kept in memory. Who falls further behind reads from the transcript. 4 MiB hold some 10,000
/// lines: minutes of a busy session.
pub const RING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What one writer takes at a time: large enough that a laggard catches up in few calls, small enough that its own
/// answers do not wait long.
const TAKE_BYTES: usize = 128 * 1024;
/// Answers and control frames one connection may owe its reader. A client that asks on without reading is let go.
const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A connection that takes nothing for so long is closed (it comes back and resumes).
pub const STALL: Duration = Duration::from_secs(10);

/// A text frame, unmasked, final.
pub fn text_frame(into: &mut BytesMut, payload: &[u8]) {
    frame(into, 0x81, payload);
}

/// A binary frame, unmasked, final.
pub fn binary_frame(payload: &[u8]) -> Bytes {
    let mut into = BytesMut::with_capacity(payload.len() + 10);
    frame(&mut into, 0x82, payload);
    into.freeze()
}

/// A ping.
pub fn ping_frame() -> Bytes {
    Bytes::from_static(&[0x89, 0])
}

/// A close frame with its code and a short reason.
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.bytes().take(120));
    let mut into = BytesMut::new();
    frame(&mut into, 0x88, &payload);
    into.freeze()
}

fn frame(into: &mut BytesMut, head: u8, payload: &[u8]) {
    into.reserve(payload.len() + 10);
    into.put_u8(head);
    match payload.len() {
        // The lengths of RFC 6455, section 5.2; each cast is inside the range just matched.
        n @ 0..=125 => into.put_u8(n as u8),
        n @ 126..=65535 => {
            into.put_u8(126);
            into.put_u16(n as u16);
        }
        n => {
            into.put_u8(127);
            into.put_u64(n as u64);
        }
    }
    into.put_slice(payload);
}

/// Lines of one batch, framed.
#[derive(Debug, Clone)]
struct Segment {
    /// Number of the first line.
    first: u64,
    /// Where each line's frame starts.
    starts: Vec<u32>,
    frames: Bytes,
}
impl Segment {
    fn last(&self) -> u64 {
        self.first + self.starts.len() as u64 - 1
    }
}

/// The newest published lines.
#[derive(Debug)]
pub struct Ring {
    inner: RwLock<Kept>,
    /// The last line published; set once `inner` holds it.
    head: AtomicU64,
    published: watch::Sender<()>,
    quiet: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    segments: VecDeque<Segment>,
    bytes: usize,
}

/// How often lines that are no news wake everybody: a command that prints as fast as it can makes some thousand batches
/// a second, and waking a hundred writers for each costs more than the command does.
const QUIET: Duration = Duration::from_millis(33);

impl Ring {
    /// An empty ring; `head` is the last line published before.
    pub fn new(head: u64) -> Arc<Ring> {
        Arc::new(Ring {
            inner: RwLock::default(),
            head: head.into(),
            published: watch::Sender::new(()),
            quiet: Notify::new(),
        })
    }

    /// Shows a batch of durable lines to everyone. Never waits. Where all of them only say that a command printed or a
    /// watch was read, those who wait are woken by [`pace`](Self::pace), a moment later.
    pub fn publish(&self, lines: &[Numbered]) {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return };
        let mut frames = BytesMut::with_capacity(lines.iter().map(|line| line.bytes.len() + 10).sum());
        let mut starts = Vec::with_capacity(lines.len());
        for line in lines {
            starts.push(u32::try_from(frames.len()).unwrap_or(u32::MAX)); // a batch is far below 4 GiB
            text_frame(&mut frames, &line.bytes);
        }
        let segment = Segment { first: first.line.seq, starts, frames: frames.freeze() };
        {
            let mut kept = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            kept.bytes += segment.frames.len();
            kept.segments.push_back(segment);
            while kept.bytes > RING_BYTES_MAX && kept.segments.len() > 1 {
                let gone = kept.segments.pop_front().map_or(0, |segment| segment.frames.len());
                kept.bytes -= gone;
            }
        }
        self.head.store(last.line.seq, Ordering::Release);
        // After the ring holds it: a writer that wakes finds the line. Both remember a wake-up that nobody waited for, so
        // none is lost between a writer's look and its wait.
        match lines.iter().all(|line| is_quiet(&line.line.event)) {
            true => self.quiet.notify_one(),
            false => self.published.send_modify(|()| ()),
        }
    }

    /// Wakes participants for quiet lines: at once for the first, then at most every `QUIET`. Never ends.
    pub async fn pace(&self) {
        loop {
            self.quiet.notified().await;
            self.published.send_replace(());
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Wakes when there are lines to send. What the ring holds by then may be more.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.published.subscribe()
    }

    /// Number of the last published line.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Framed lines after `cursor`, up to some `TAKE_BYTES`, and the new cursor. `None` where the ring no longer (or not
    /// yet) holds the next line.
    pub fn after(&self, cursor: u64, out: &mut Vec<Bytes>) -> Option<u64> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let index = inner.segments.partition_point(|segment| segment.last() <= cursor);
        let first = inner.segments.get(index).filter(|segment| segment.first <= cursor + 1)?;
        let start = first.starts.get(usize::try_from(cursor + 1 - first.first).ok()?)?;
        out.push(first.frames.slice(*start as usize..));
        let (mut last, mut bytes) = (first.last(), first.frames.len());
        for segment in inner.segments.iter().skip(index + 1) {
            if bytes >= TAKE_BYTES {
                break;
            }
            bytes += segment.frames.len();
            out.push(segment.frames.clone());
            last = segment.last();
        }
        Some(last)
    }
}

/// Whether a line is nothing that anybody waits for: the screen shows what was printed, and its command's end is loud.
fn is_quiet(event: &Event) -> bool {
    matches!(event, Event::OutputWritten { .. } | Event::ReadingTaken { asked: None, .. })
}

/// What one connection alone gets, whole frames only.
#[derive(Debug, Default)]
pub struct Outbox {
    inner: Mutex<Waiting>,
    wake: Notify,
}
#[derive(Debug, Default)]
struct Waiting {
    frames: BytesMut,
    closing: bool,
    overflow: bool,
    failure: Option<String>,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Queues whole frames. Never waits; past its limit the connection is marked for closing.
    pub fn push(&self, frames: &[u8]) {
        let mut waiting = self.lock();
        if waiting.closing {
            return;
        }
        if waiting.frames.len() + frames.len() > OUTBOX_BYTES_MAX {
            waiting.overflow = true;
        } else {
            waiting.frames.extend_from_slice(frames);
        }
        drop(waiting);
        self.wake.notify_one();
    }
    /// Queues last frames; the writer sends them and ends.
    pub fn close(&self, frames: &[u8]) {
        self.push(frames);
        self.lock().closing = true;
        self.wake.notify_one();
    }
    /// Keeps why the writer gave the connection up.
    pub fn fail(&self, why: String) {
        self.lock().failure = Some(why);
    }
    /// Why it did, where it did.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }
    fn take(&self) -> io::Result<(Bytes, bool)> {
        let mut waiting = self.lock();
        if waiting.overflow {
            return Err(io::Error::other("it asked faster than it read the answers"));
        }
        Ok((std::mem::take(&mut waiting.frames).freeze(), waiting.closing))
    }
}

/// The newest screen, framed; `None` before the first command.
pub type Screens = watch::Receiver<Option<Bytes>>;

/// Where lines that the ring has lost come from.
pub trait Past: Send + Sync {
    /// Framed lines after `cursor`, as many as fit well, and the new cursor.
    fn after(&self, cursor: u64) -> io::Result<(Bytes, u64)>;
}

/// What a writer sends besides its outbox, once its client is welcome.
pub struct Feed {
    /// Frames that come before every line: a newcomer's snapshot.
    pub first: Vec<Bytes>,
    /// Live lines.
    pub ring: Arc<Ring>,
    /// Older ones.
    pub past: Arc<dyn Past>,
    /// The last line the client has.
    pub cursor: u64,
    /// Screens.
    pub screens: Screens,
}

impl Feed {
    /// The next framed lines, from the ring or, where it has lost them, from the transcript.
    async fn next(&mut self, pieces: &mut Vec<Bytes>) -> io::Result<()> {
        self.cursor = match self.ring.after(self.cursor, pieces) {
            Some(last) => last,
            None => {
                let (past, cursor) = (self.past.clone(), self.cursor);
                let read = tokio::task::spawn_blocking(move || past.after(cursor));
                let (frames, last) = read.await.map_err(io::Error::other)??;
                pieces.push(frames);
                last
            }
        };
        Ok(())
    }
}

/// At most so many screens a second to one participant.
const SCREEN_PERIOD: Duration = Duration::from_millis(33);

/// Sends what stands in the outbox, and from the moment a feed arrives also lines and screens, until the outbox is
/// closed or the connection takes nothing for [`STALL`].
pub async fn write_all<W: AsyncWrite + Unpin>(
    mut to: W,
    outbox: Arc<Outbox>,
    feed: tokio::sync::oneshot::Receiver<Feed>,
) -> io::Result<()> {
    let mut waiting_feed = Some(feed);
    let mut feed: Option<(Feed, watch::Receiver<()>)> = None;
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut next_screen = tokio::time::Instant::now();
    loop {
        let (own, closing) = outbox.take()?;
        if !closing && !own.is_empty() {
            send(&mut to, &mut vec![own.clone()]).await?;
        }
        let mut screen_later = None;
        if let Some((feed, published)) = &mut feed {
            send(&mut to, &mut std::mem::take(&mut feed.first)).await?;
            published.borrow_and_update(); // before the look, so that what comes after it wakes again
            let head = feed.ring.head();
            while feed.cursor < head {
                feed.next(&mut pieces).await?;
                send(&mut to, &mut pieces).await?;
                if !closing {
                    break; // own answers first, then further lines
                }
            }
            if feed.cursor < head {
                continue;
            }
        }
        if closing {
            send(&mut to, &mut vec![own]).await?; // the close frame comes after the last line
            return to.shutdown().await;
        }
        if let Some((feed, _)) = &mut feed
            && feed.screens.has_changed().unwrap_or(false)
        {
            if tokio::time::Instant::now() >= next_screen {
                next_screen = tokio::time::Instant::now() + SCREEN_PERIOD;
                let screen = feed.screens.borrow_and_update().clone();
                if let Some(screen) = screen {
                    send(&mut to, &mut vec![screen]).await?;
                }
                continue;
            }
            screen_later = Some(next_screen);
        }
        match &mut feed {
            None => tokio::select! {
                () = outbox.wake.notified() => {}
                arrived = async { match &mut waiting_feed { Some(feed) => feed.await.ok(), None => std::future::pending().await } } => {
                    waiting_feed = None;
                    feed = arrived.map(|mut feed| {
                        feed.screens.mark_changed(); // a newcomer wants the screen as it is
                        let published = feed.ring.subscribe();
                        (feed, published)
                    });
                }
            },
            // Biased, because a fair draw costs each of many writers more than it gives: after every branch all is looked at.
            Some((feed, published)) => tokio::select! {
                biased;
                () = outbox.wake.notified() => {}
                changed = published.changed() => changed.map_err(|_| io::Error::other("the hub ended"))?,
                () = async { match screen_later { Some(at) => tokio::time::sleep_until(at).await, None => std::future::pending().await } } => {}
                changed = feed.screens.changed(), if screen_later.is_none() => {
                    changed.map_err(|_| io::Error::other("the hub ended"))?;
                    feed.screens.mark_changed(); // waiting for it counts as having seen it; it is yet to be sent
                }
            },
        }
    }
}

/// Writes pieces in order, in as few calls as the system takes them.
async fn send<W: AsyncWrite + Unpin>(to: &mut W, pieces: &mut Vec<Bytes>) -> io::Result<()> {
    let mut first = 0;
    pieces.retain(|piece| !piece.is_empty());
    while first < pieces.len() {
        let mut written = match &pieces[first..] {
            // By far the most frequent: the system takes one piece a little faster than a list of one.
            [piece] => patiently(to.write(piece)).await?,
            several => {
                let slices: Vec<_> = several.iter().take(64).map(|piece| io::IoSlice::new(piece)).collect();
                patiently(to.write_vectored(&slices)).await?
            }
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while written > 0 {
            let piece = &mut pieces[first];
            let part = written.min(piece.len());
            let _ = piece.split_to(part);
            written -= part;
            if piece.is_empty() {
                first += 1;
            }
        }
    }
    pieces.clear();
    patiently(to.flush()).await
}

/// Gives a connection [`STALL`] to take something. Nearly always it does at once, and then no clock is asked.
async fn patiently<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let mut work = pin!(work);
    if let Poll::Ready(done) = futures_util::poll!(work.as_mut()) {
        return done;
    }
    let stalled = |_| io::Error::new(io::ErrorKind::TimedOut, "it took nothing for 10 s");
    tokio::time::timeout(STALL, work).await.map_err(stalled)?
}

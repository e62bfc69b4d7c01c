//! From the journal to every participant: a ring of pre-framed lines, and one writer per connection with nothing but a
//! cursor into it. A participant that stalls costs its cursor; nobody waits for it.
//!
//! Unmasked server frames are the same bytes for everyone, so they are framed once, when they are published. What one
//! connection alone gets (answers, pongs, the handshake) goes through its [`Outbox`]; the same one writer sends both,
//! whole frame by whole frame.

use super::sequencer::Numbered;
use crate::event::Event;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::Instant;

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

/// What everyone sees: the newest published lines, and the newest screen.
#[derive(Debug)]
pub struct Ring {
    inner: RwLock<Kept>,
    /// The last line published; set once `inner` holds it.
    head: AtomicU64,
    /// The last line that participants are to be woken for.
    announced: AtomicU64,
    /// The newest screen, framed; `None` before the first command.
    screen: Mutex<Option<Bytes>>,
    /// How many screens were shown.
    screens: AtomicU64,
    /// Those who are in.
    present: Mutex<Vec<Weak<Outbox>>>,
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
            announced: head.into(),
            screen: Mutex::default(),
            screens: 0.into(),
            present: Mutex::default(),
            quiet: Notify::new(),
        })
    }

    /// Wakes that participant's writer from now on. Forgotten when the outbox is.
    pub fn admit(&self, outbox: Weak<Outbox>) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.retain(|outbox| outbox.strong_count() > 0);
        present.push(outbox);
    }

    /// Calls with everyone who is in.
    pub fn everyone(&self, each: impl FnMut(Arc<Outbox>)) {
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.iter().filter_map(Weak::upgrade).for_each(each);
    }

    /// Shows a batch of durable lines to everyone. Never waits. Where all of them only say that a command printed or a
    /// watch was read, those who wait are woken by [`pace`](Self::pace), a moment later.
    pub fn publish(&self, lines: &[Numbered]) {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return };
        let mut frames = BytesMut::with_capacity(lines.iter().map(|line| line.bytes().len() + 10).sum());
        let mut starts = Vec::with_capacity(lines.len());
        for line in lines {
            starts.push(u32::try_from(frames.len()).unwrap_or(u32::MAX)); // a batch is far below 4 GiB
            text_frame(&mut frames, line.bytes());
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
        match lines.iter().all(|line| is_quiet(&line.line.event)) {
            true => self.quiet.notify_one(),
            false => self.announce(),
        }
    }

    /// Shows a screen to everyone in place of the last one.
    pub fn show(&self, screen: Bytes) {
        *self.screen.lock().unwrap_or_else(PoisonError::into_inner) = Some(screen);
        self.screens.fetch_add(1, Ordering::Release);
        self.everyone(|outbox| outbox.waker.wake());
    }

    /// Announces quiet lines: at once the first, then at most every `QUIET`. Never ends.
    pub async fn pace(&self) {
        loop {
            self.quiet.notified().await;
            self.announce();
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Wakes everyone for all that is published. A writer registers to be woken and looks then, and this tells and wakes
    /// then: whichever is first, the line is seen.
    fn announce(&self) {
        self.announced.fetch_max(self.head(), Ordering::AcqRel);
        self.everyone(|outbox| outbox.waker.wake());
    }

    /// Number of the last published line.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Framed lines after `cursor`, up to some `TAKE_BYTES`, and the new cursor. `None` where the ring no longer (or not
    /// yet) holds the next line.
    pub fn after(&self, cursor: u64, out: &mut Vec<Bytes>) -> Option<u64> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let newest = inner.segments.len().saturating_sub(1);
        let index = match inner.segments.get(newest) {
            Some(segment) if segment.first == cursor + 1 => newest, // as for all who keep up
            _ => inner.segments.partition_point(|segment| segment.last() <= cursor),
        };
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

/// What one connection alone gets, whole frames only, and what wakes its writer.
#[derive(Debug, Default)]
#[repr(C)] // what is looked at for every line stands together: with a thousand participants each cache line counts
pub struct Outbox {
    waker: AtomicWaker,
    /// Whether `inner` holds anything for the writer; set after it does.
    filled: AtomicBool,
    inner: Mutex<Waiting>,
}
#[derive(Debug, Default)]
struct Waiting {
    frames: BytesMut,
    /// Lines and screens too from now on; until the writer takes it.
    feed: Option<Feed>,
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
        self.fill();
    }
    fn fill(&self) {
        self.filled.store(true, Ordering::Release);
        self.waker.wake();
    }
    /// Has the writer send lines and screens from now on.
    pub fn feed(&self, feed: Feed) {
        self.lock().feed = Some(feed);
        self.fill();
    }
    /// Queues last frames; the writer sends them and ends.
    pub fn close(&self, frames: &[u8]) {
        self.push(frames);
        self.lock().closing = true;
        self.fill();
    }
    /// Keeps why the writer gave the connection up.
    pub fn fail(&self, why: String) {
        self.lock().failure = Some(why);
    }
    /// Why it did, where it did.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }
}

/// Where lines that the ring has lost come from.
pub trait Past: Send + Sync {
    /// Framed lines after `cursor`, as many as fit well, and the new cursor.
    fn after(&self, cursor: u64) -> io::Result<(Bytes, u64)>;
}

/// What a writer sends besides its outbox, once its client is welcome.
pub struct Feed {
    first: Vec<Bytes>,
    ring: Arc<Ring>,
    past: Arc<dyn Past>,
    /// The last line the client has.
    cursor: u64,
    /// The last screen it has, of those counted by the ring.
    screen: u64,
    /// When it may have the next one.
    next_screen: Instant,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed {{ cursor: {}, screen: {} }}", self.cursor, self.screen)
    }
}

impl Feed {
    /// The newest screen and every line after `cursor`: from the ring, and from the past where the ring has lost them.
    /// `first` are frames that come before every line: a newcomer's snapshot.
    pub fn new(first: Vec<Bytes>, ring: Arc<Ring>, past: Arc<dyn Past>, cursor: u64) -> Feed {
        Feed { first, ring, past, cursor, screen: 0, next_screen: Instant::now() }
    }

    /// The next framed lines, from the ring or, where it has lost them, from the transcript.
    async fn lines(&mut self, pieces: &mut Vec<Bytes>) -> io::Result<()> {
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

    fn has_lines(&self) -> bool {
        self.cursor < self.ring.announced.load(Ordering::Acquire)
    }

    fn has_screen(&self) -> bool {
        self.screen < self.ring.screens.load(Ordering::Acquire)
    }

    /// The newest screen. Counted first: a screen that comes in between is sent now and once more.
    fn screen(&mut self) -> Option<Bytes> {
        self.screen = self.ring.screens.load(Ordering::Acquire);
        self.next_screen = Instant::now() + SCREEN_PERIOD;
        self.ring.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// At most so many screens a second to one participant.
const SCREEN_PERIOD: Duration = Duration::from_millis(33);

/// Sends what stands in the outbox, and from the moment a feed arrives also lines and screens, until the outbox is
/// closed or the connection takes nothing for [`STALL`].
pub async fn write_all<W: AsyncWrite + Unpin>(mut to: W, outbox: Arc<Outbox>) -> io::Result<()> {
    let mut feed: Option<Feed> = None;
    let mut pieces: Vec<Bytes> = Vec::new();
    loop {
        let mut closing = false;
        if outbox.filled.swap(false, Ordering::AcqRel) {
            let mut waiting = outbox.lock();
            if waiting.overflow {
                return Err(io::Error::other("it asked faster than it read the answers"));
            }
            closing = waiting.closing;
            pieces.push(std::mem::take(&mut waiting.frames).freeze());
            if let Some(mut new) = waiting.feed.take() {
                pieces.append(&mut new.first);
                feed = Some(new);
            }
        }
        if closing {
            // What it is closed with comes after the last line and the last screen.
            let mut last = std::mem::take(&mut pieces);
            if let Some(feed) = &mut feed {
                let head = feed.ring.head();
                while feed.cursor < head {
                    feed.lines(&mut pieces).await?;
                    send(&mut to, &mut pieces).await?;
                }
                pieces.extend(feed.has_screen().then(|| feed.screen()).flatten());
            }
            pieces.append(&mut last);
            send(&mut to, &mut pieces).await?;
            return to.shutdown().await;
        }
        let mut screen_at = None;
        if let Some(feed) = &mut feed {
            if feed.has_lines() {
                feed.lines(&mut pieces).await?;
            } else if feed.has_screen() {
                match feed.next_screen {
                    due if due <= Instant::now() => pieces.extend(feed.screen()),
                    later => screen_at = Some(later),
                }
            }
        }
        send(&mut to, &mut pieces).await?;
        let news = poll_fn(|cx| {
            outbox.waker.register(cx.waker());
            let lines = feed.as_ref().is_some_and(|feed| feed.has_lines());
            let screen = screen_at.is_none() && feed.as_ref().is_some_and(|feed| feed.has_screen());
            match lines || screen || outbox.filled.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        match screen_at {
            None => news.await,
            Some(at) => _ = tokio::time::timeout_at(at, news).await,
        }
    }
}

/// Writes pieces in order, in as few calls as the system takes them.
async fn send<W: AsyncWrite + Unpin>(to: &mut W, pieces: &mut Vec<Bytes>) -> io::Result<()> {
    pieces.retain(|piece| !piece.is_empty());
    if pieces.is_empty() {
        return Ok(());
    }
    let mut first = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::At;
    use crate::hash::Hash;
    use crate::name::Principal;
    use crate::transcript::record::Encoded;
    use crate::transcript::record::Line;
    use tokio::io::AsyncReadExt as _;

    struct NoPast;
    impl Past for NoPast {
        fn after(&self, _: u64) -> io::Result<(Bytes, u64)> {
            Err(io::Error::other("all of it fits into the ring"))
        }
    }

    fn line(seq: u64, event: Event) -> Numbered {
        let line = Line { v: 1, seq, prev: Hash::ZERO, at: At::from_micros(0), by: Principal::hub(), event };
        let bytes = Bytes::from(format!("{seq} {}", "x".repeat(100 + (seq % 50) as usize)));
        Numbered { line, encoded: Encoded::new(seq, bytes) }
    }
    fn loud(seq: u64) -> Numbered {
        line(seq, Event::Noted { text: String::new() })
    }
    fn quiet(seq: u64) -> Numbered {
        let step = crate::name::StepId::new("print").unwrap();
        let part = crate::event::Part::Step;
        line(seq, Event::OutputWritten { step, attempt: 1, part, offset: 0, length: 0, hash: Hash::ZERO })
    }

    /// One frame: its kind and payload.
    async fn frame(from: &mut tokio::io::DuplexStream) -> (u8, Vec<u8>) {
        let head = [from.read_u8().await.unwrap(), from.read_u8().await.unwrap()];
        let length = match head[1] {
            126 => usize::from(from.read_u16().await.unwrap()),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        from.read_exact(&mut payload).await.unwrap();
        (head[0], payload)
    }

    fn writer(room: usize) -> (Arc<Ring>, Arc<Outbox>, tokio::io::DuplexStream) {
        let (near, far) = tokio::io::duplex(room);
        let (ring, outbox) = (Ring::new(0), Arc::new(Outbox::default()));
        ring.admit(Arc::downgrade(&outbox));
        tokio::spawn(write_all(near, outbox.clone()));
        outbox.feed(Feed::new(vec![], ring.clone(), Arc::new(NoPast), 0));
        (ring, outbox, far)
    }

    /// A reader that is now faster and now slower than what comes gets every line once, in order, between them its own
    /// answers whole, and the last line and the last screen without anything after them.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whatever_the_pace_the_last_line_and_the_last_screen_come() {
        const LINES: u64 = 3000;
        let (ring, outbox, mut far) = writer(2000);
        let paced = ring.clone();
        tokio::spawn(async move { paced.pace().await });
        let publishing = tokio::spawn(async move {
            for seq in 1..=LINES {
                ring.publish(&[if seq % 3 == 0 || seq == LINES { quiet(seq) } else { loud(seq) }]);
                if seq % 7 == 0 {
                    outbox.push(&ping_frame());
                }
                if seq % 10 == 0 {
                    ring.show(binary_frame(format!("screen {seq}").as_bytes()));
                }
                if seq % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            (ring, outbox)
        });
        let (mut next, mut pings, mut screen) = (1, 0, String::new());
        let last = format!("screen {LINES}");
        while next <= LINES || pings < LINES / 7 || screen != last {
            let read = tokio::time::timeout(Duration::from_secs(20), frame(&mut far)).await;
            let (kind, payload) = read.unwrap_or_else(|_| panic!("line {next}, {pings} pings, {screen}: then nothing"));
            match kind {
                0x81 => {
                    assert!(payload.starts_with(format!("{next} ").as_bytes()), "line {next} comes next");
                    next += 1;
                }
                0x82 => screen = String::from_utf8(payload).unwrap(),
                _ => pings += 1,
            }
        }
        assert_eq!(pings, LINES / 7);
        publishing.await.unwrap();
    }

    /// Who is closed still gets the last line and the last screen, before the close frame.
    #[tokio::test]
    async fn closing_comes_after_the_last_line_and_screen() {
        let (ring, outbox, mut far) = writer(64 * 1024);
        ring.publish(&[loud(1)]);
        assert_eq!(frame(&mut far).await.0, 0x81);
        ring.publish(&[quiet(2)]); // nobody announces it
        ring.show(binary_frame(b"one"));
        outbox.close(&close_frame(1000, "over"));
        ring.show(binary_frame(b"last"));
        let mut kinds = vec![];
        let mut shown = vec![];
        loop {
            let (kind, payload) = frame(&mut far).await;
            kinds.push(kind);
            match kind {
                0x82 => shown = payload,
                0x88 => break,
                _ => {}
            }
        }
        assert_eq!((kinds.as_slice(), shown.as_slice()), (&[0x81, 0x82, 0x88][..], &b"last"[..]));
    }
}

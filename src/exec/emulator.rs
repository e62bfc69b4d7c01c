//! A screen on its own thread: takes output at any speed, gives at most 30 states a second.
//!
//! Whoever feeds it never waits for it: when it cannot keep up, the oldest output is skipped on the screen (not in the
//! transcript) and counted. The newest state is always published in the end, without any further event.

use super::screen::Screen;
use super::starting::Size;
use bytes::Bytes;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// At most 30 a second: more than anybody reads, few enough that a hundred participants cost little.
const FRAME_TIME: Duration = Duration::from_micros(33_334);
/// More output than this between two states is skipped: 15 MB a second are drawn whole. Drawing all that a terminal can
/// carry takes a core, which the command then lacks.
const BACKLOG_MAX: usize = 512 * 1024;
/// What is kept then; more than the largest screen shows of plain text.
const BACKLOG_KEPT: usize = 64 * 1024;
/// CAN: ends whatever escape sequence was cut off in front of a gap, or it would swallow what follows.
const CANCEL: u8 = 0x18;

/// A state of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Counts the states published on one channel, from 1, across commands.
    pub number: u64,
    /// The screen's size.
    pub size: Size,
    /// What draws it on a new [`Screen`] of that size.
    pub bytes: Bytes,
}

/// The screen of a running command. Dropping it publishes the last state, as [`finish`](Self::finish) does.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}
impl Shared {
    /// Held only to move bytes in or out, so nobody waits here for the emulator's work; nothing under it panics.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    size: Option<Size>,
    finish: bool,
    skipped: u64,
}

impl Emulator {
    /// Starts with an empty screen, which is not published. `frames` may be shared by one command after the other.
    pub fn start(size: Size, frames: watch::Sender<Option<Frame>>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let screen = Screen::new(size);
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("screen".into()).spawn(move || run(screen, &theirs, &frames))?;
        Ok(Self { shared })
    }
    /// Output to draw. Never waits.
    pub fn push(&self, bytes: &[u8]) {
        let mut waiting = self.shared.waiting();
        let idle = waiting.bytes.is_empty();
        waiting.push(bytes);
        drop(waiting);
        // Where something waited already, the thread knows, and sleeps until the next state is due.
        if idle {
            self.shared.changed.notify_one();
        }
    }
    /// A new size; the newest one counts.
    pub fn resize(&self, size: Size) {
        self.shared.waiting().size = Some(size);
        self.shared.changed.notify_one();
    }
    /// Publishes the last state at once and ends; what is pushed afterwards is ignored. Does not wait for it.
    pub fn finish(&self) {
        self.shared.waiting().finish = true;
        self.shared.changed.notify_one();
    }
    /// How many bytes of output were never drawn.
    pub fn skipped(&self) -> u64 {
        self.shared.waiting().skipped
    }
}
impl Drop for Emulator {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Waiting {
    fn push(&mut self, bytes: &[u8]) {
        if self.finish {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() <= BACKLOG_MAX {
            return;
        }
        // The rest begins after a line end, so that no line is shown without its start; where there is none, anywhere.
        let from = self.bytes.len() - BACKLOG_KEPT;
        let line = self.bytes[from..].iter().position(|byte| *byte == b'\n');
        let from = from + line.map_or(0, |at| at + 1);
        self.skipped += from as u64;
        self.bytes.splice(..from, [CANCEL]);
    }
}

fn run(mut screen: Screen, shared: &Shared, frames: &watch::Sender<Option<Frame>>) {
    let mut due = Instant::now();
    loop {
        let mut waiting = shared.waiting();
        // What is not shown yet need not be drawn yet: of what a flood brings between two states, only the newest is.
        while !waiting.finish {
            let now = Instant::now();
            waiting = match waiting.bytes.is_empty() && waiting.size.is_none() {
                true => shared.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                false if due <= now => break,
                false => {
                    let result = shared.changed.wait_timeout(waiting, due - now);
                    result.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let (bytes, size, finish) = (std::mem::take(&mut waiting.bytes), waiting.size.take(), waiting.finish);
        drop(waiting);
        if let Some(size) = size {
            screen.resize(size);
        }
        screen.feed(&bytes);
        if size.is_some() || !bytes.is_empty() {
            publish(&screen, frames);
            due = Instant::now() + FRAME_TIME;
        }
        if finish {
            return; // nothing is taken in after `finish`, so this was the last
        }
    }
}

fn publish(screen: &Screen, frames: &watch::Sender<Option<Frame>>) {
    let bytes = Bytes::from(screen.frame());
    frames.send_modify(|frame| {
        let number = frame.as_ref().map_or(0, |frame| frame.number) + 1;
        *frame = Some(Frame { number, size: screen.size(), bytes });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { cols: 20, rows: 4 };

    fn shown(frame: &Frame) -> String {
        let mut screen = Screen::new(frame.size);
        screen.feed(&frame.bytes);
        (0..frame.size.rows).map(|row| screen.row(row)).collect::<Vec<_>>().join("|")
    }

    /// The first state that holds `text`; the last one seen, where it never comes.
    async fn wait_for(frames: &mut watch::Receiver<Option<Frame>>, text: &str) -> Frame {
        let wanted = frames.wait_for(|frame| frame.as_ref().is_some_and(|frame| shown(frame).contains(text)));
        if let Ok(Ok(frame)) = tokio::time::timeout(Duration::from_secs(20), wanted).await {
            return frame.clone().unwrap();
        }
        panic!("{text:?} never came, the last state is {:?}", frames.borrow().as_ref().map(shown));
    }

    #[tokio::test]
    async fn the_newest_state_comes_without_a_further_event_and_rarely() {
        let (sender, mut frames) = watch::channel(None);
        let emulator = Emulator::start(SIZE, sender).unwrap();
        let begin = Instant::now();
        for line in 0..20_000 {
            emulator.push(format!("line {line}\r\n").as_bytes());
        }
        emulator.push(b"last");
        let frame = wait_for(&mut frames, "last").await;
        let most = begin.elapsed().as_micros() / FRAME_TIME.as_micros() + 2;
        assert!(u128::from(frame.number) <= most, "{} states in {:?}", frame.number, begin.elapsed());
    }

    #[tokio::test]
    async fn finish_publishes_the_last_state_and_a_shared_channel_counts_on() {
        let (sender, mut frames) = watch::channel(None);
        for round in 1..=2 {
            let emulator = Emulator::start(SIZE, sender.clone()).unwrap();
            emulator.push(b"first");
            emulator.push(format!(" {round}").as_bytes());
            emulator.resize(Size { cols: 1, rows: 9 });
            emulator.resize(Size { cols: 9, rows: 9 });
            emulator.finish();
            emulator.push(b"never");
            let frame = wait_for(&mut frames, &round.to_string()).await;
            assert_eq!((frame.size.cols, frame.number >= round), (9, true));
        }
        drop(sender);
        while frames.changed().await.is_ok() {}
        assert!(!shown(frames.borrow().as_ref().unwrap()).contains("never"));
    }

    #[test]
    fn a_backlog_keeps_its_newest_lines_whole_and_ends_a_cut_sequence() {
        let mut waiting = Waiting::default();
        let title = b"\x1b]0;a title that never ends ";
        waiting.push(title);
        let mut pushed = title.len() as u64;
        let line = b"0123456789 0123456789\r\n";
        while waiting.skipped == 0 {
            waiting.push(line);
            pushed += line.len() as u64;
        }
        assert_eq!(pushed, waiting.skipped + waiting.bytes.len() as u64 - 1);
        assert!(waiting.bytes.len() <= BACKLOG_KEPT + 1 && waiting.bytes.len() > BACKLOG_KEPT - 64);
        assert!(waiting.bytes.starts_with(b"\x180123456789"));
        let mut screen = Screen::new(SIZE);
        screen.feed(b"\x1b]0;a title");
        screen.feed(&waiting.bytes);
        assert!((0..4).any(|row| screen.row(row).contains("0123456789")), "the title swallowed it");
        waiting.push(&vec![b'x'; BACKLOG_MAX]);
        assert!(waiting.bytes.len() <= BACKLOG_KEPT + 1);
    }
}

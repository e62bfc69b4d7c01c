//! Reads what a command prints and hands it on in chunks; feeds it its input in between.
//!
//! One thread, one `poll`. It waits for the command and for room in the report channel, which is the journal, and for
//! nothing else: no lock, no disk, no participant. Every other wait would be counted (see `Running::waits`).

use super::shared::{Report, Shared};
use crate::event::RunEnd;
use crate::secret::{Needles, Redactor, WAIT};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use zeroize::Zeroizing;

/// The largest chunk: what one line of the journal may be about.
const CHUNK_MAX: usize = 16 * 1024;
/// How long output may wait for more to come, so that a command that prints byte by byte does not cost a line each.
const CHUNK_TIME: Duration = Duration::from_millis(20);
/// After the command itself has ended: how long something it left behind may be silent before it is not waited for.
const SILENCE_AFTER_END: Duration = Duration::from_millis(500);
/// After the command itself has ended: how long is read at most.
const READING_AFTER_END: Duration = Duration::from_secs(2);
/// A terminal that every process has closed may be opened again while the command lives: how often that is looked at.
const CLOSED_TERMINAL: Duration = Duration::from_millis(100);

/// Bytes still to be fed to a command.
pub(super) struct Feeder {
    to: OwnedFd,
    bytes: Vec<u8>,
    written: usize,
}
impl Feeder {
    /// Closing `to` once all is written is the end of the input (or the bytes hold it, as a terminal's do).
    pub(super) fn new(to: OwnedFd, bytes: Vec<u8>) -> Self {
        Self { to, bytes, written: 0 }
    }
    /// Writes what there is room for; whether there is more.
    fn write(&mut self) -> bool {
        match nix::unistd::write(&self.to, &self.bytes[self.written..]) {
            Ok(n) => self.written += n,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => return false, // nobody reads it: the command's own choice
        }
        self.written < self.bytes.len()
    }
}

/// The reading side of a run.
pub(super) struct Reader {
    output: OwnedFd,
    input: Option<Feeder>,
    /// Closed by the other side when the run is over.
    wake: io::PipeReader,
    end: mpsc::Receiver<RunEnd>,
    reports: Sender<Report>,
    shared: Arc<Shared>,
    terminal: bool,
    /// What may be shown: read, and rid of secrets.
    buffer: Vec<u8>,
    /// Takes the secrets out; with none to take out, bytes are read into `buffer` directly.
    redaction: Option<Redaction>,
    /// When the oldest byte in the buffer that is not held back came.
    since: Option<Instant>,
    /// Whether there can be more output, and if not, when to look again.
    open: Open,
    /// Set once the run is over.
    over: Option<Over>,
}

struct Redaction {
    redactor: Redactor,
    /// What was just read.
    raw: Zeroizing<Vec<u8>>,
    /// When that was.
    latest: Instant,
}
impl Redaction {
    /// When to show that something came, where all of it waits.
    fn until(&self) -> Option<Instant> {
        self.redactor.waits().then(|| self.latest + WAIT)
    }
}

enum Open {
    Yes,
    Again(Instant),
    No,
}

/// When to stop reading after the command's own end. Something it left in the background may hold the terminal or
/// pipe open for days, and the step must not wait for that.
struct Over {
    silent: Instant,
    at_most: Instant,
}
impl Over {
    fn from(now: Instant) -> Self {
        Self { silent: now + SILENCE_AFTER_END, at_most: now + READING_AFTER_END }
    }
    fn until(&self) -> Instant {
        self.silent.min(self.at_most)
    }
}

impl Reader {
    pub(super) fn new(
        output: OwnedFd,
        input: Option<Feeder>,
        wake: io::PipeReader,
        end: mpsc::Receiver<RunEnd>,
        reports: Sender<Report>,
        shared: Arc<Shared>,
        terminal: bool,
    ) -> Self {
        let buffer = Vec::with_capacity(CHUNK_MAX);
        let (redaction, since, open, over) = (None, None, Open::Yes, None);
        Self { output, input, wake, end, reports, shared, terminal, buffer, redaction, since, open, over }
    }

    /// Takes these out of everything that is read.
    pub(super) fn without(self, needles: Option<Arc<Needles>>) -> Self {
        let redaction = |needles| Redaction {
            redactor: Redactor::new(needles),
            raw: Zeroizing::new(Vec::with_capacity(CHUNK_MAX)),
            latest: Instant::now(),
        };
        Self { redaction: needles.map(redaction), ..self }
    }

    /// Reads to the end.
    pub(super) fn run(mut self) {
        // With it a read or write that would wait says so instead. Without it, it may wait for the command, nobody else.
        for fd in [Some(&self.output), self.input.as_ref().map(|input| &input.to)].into_iter().flatten() {
            let _ = fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        }
        while !self.is_over() {
            let (readable, writable, woken) = self.wait();
            if woken && self.over.is_none() {
                self.over = Some(Over::from(Instant::now()));
                self.input = None;
                if matches!(self.open, Open::Again(_)) {
                    self.open = Open::Yes; // it may have been opened again since, for a last word
                }
            }
            if writable && self.input.as_mut().is_some_and(|input| !input.write()) {
                self.input = None;
            }
            if readable {
                self.read();
            }
            if let Some(redaction) = &mut self.redaction
                && redaction.until().is_some_and(|until| until <= Instant::now())
            {
                redaction.redactor.show_early(&mut self.buffer);
                self.since = self.since.or(Some(Instant::now()));
            }
            if self.buffer.len() >= CHUNK_MAX || self.since.is_some_and(|since| since.elapsed() >= CHUNK_TIME) {
                self.flush();
            }
        }
        if let Some(redaction) = &mut self.redaction {
            redaction.redactor.finish(&mut self.buffer);
        }
        self.send(self.buffer.len()); // the end: nothing more can complete a character
        let end = self.end.try_recv().or_else(|_| {
            self.shared.waits.fetch_add(1, Ordering::Relaxed); // the end is sent before the wake, so this does not happen
            self.end.recv()
        });
        let Reader { output, reports, shared, .. } = self;
        let left = shared.state().left;
        if !left {
            shared.close();
        }
        // Without a sender the waiting thread died of a bug; the command counts as failed rather than as running for ever.
        let _ = reports.blocking_send(Report::Ended(end.unwrap_or(RunEnd::Exited { code: -1 })));
        drop(reports);
        // What runs on may still print. It is not to die of that, nor to stop in a full pipe: it is read on, to nowhere.
        if left {
            let mut sink = [0; 4096];
            loop {
                let mut ready = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
                match poll(&mut ready, PollTimeout::NONE).and_then(|_| nix::unistd::read(&output, &mut sink)) {
                    Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Ok(0) | Err(_) => break,
                }
            }
            shared.close();
        }
    }

    fn is_over(&mut self) -> bool {
        if matches!(self.open, Open::Again(when) if when <= Instant::now()) {
            self.open = Open::Yes;
        }
        match &self.over {
            Some(over) => !matches!(self.open, Open::Yes) || over.until() <= Instant::now(),
            None => false,
        }
    }

    /// Waits until there is something to do; says what (output, room for input, the end).
    fn wait(&self) -> (bool, bool, bool) {
        let again = match self.open {
            Open::Again(when) => Some(when),
            _ => None,
        };
        let early = self.redaction.as_ref().and_then(Redaction::until);
        let until = [self.since.map(|since| since + CHUNK_TIME), self.over.as_ref().map(Over::until), again, early];
        let timeout = match until.into_iter().flatten().min() {
            // One more than whole milliseconds, or the last fraction of one would be spent turning.
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now()).as_millis() + 1;
                PollTimeout::from(u16::try_from(left).unwrap_or(u16::MAX))
            }
            None => PollTimeout::NONE,
        };
        let mut fds = Vec::with_capacity(3);
        let mut place = |fd: Option<_>, flags| fd.map(|fd| (fds.push(PollFd::new(fd, flags)), fds.len() - 1).1);
        let output = place(matches!(self.open, Open::Yes).then(|| self.output.as_fd()), PollFlags::POLLIN);
        let input = place(self.input.as_ref().map(|input| input.to.as_fd()), PollFlags::POLLOUT);
        let wake = place(self.over.is_none().then(|| self.wake.as_fd()), PollFlags::POLLIN);
        if poll(&mut fds, timeout).is_err() {
            return (false, false, false); // interrupted: asked again
        }
        let ready = |place: Option<usize>| place.is_some_and(|place| fds[place].any().unwrap_or(true));
        (ready(output), ready(input), ready(wake))
    }

    fn read(&mut self) {
        let filled = self.redaction.as_ref().map(|_| 0); // what was read before was taken in whole
        let into = match &mut self.redaction {
            Some(redaction) => &mut *redaction.raw,
            None => &mut self.buffer,
        };
        let filled = filled.unwrap_or(into.len());
        into.resize(CHUNK_MAX, 0); // there is room: a full buffer has been flushed
        let result = nix::unistd::read(&self.output, &mut into[filled..]);
        into.truncate(filled + *result.as_ref().unwrap_or(&0));
        match result {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // A terminal's end is EIO, a pipe's is nothing to read.
            Ok(0) | Err(_) if self.terminal => self.open = Open::Again(Instant::now() + CLOSED_TERMINAL),
            Ok(0) | Err(_) => self.open = Open::No,
            Ok(_) => {
                let now = Instant::now();
                if let Some(redaction) = &mut self.redaction {
                    redaction.latest = now;
                    redaction.redactor.push(&redaction.raw, &mut self.buffer);
                }
                if !self.buffer.is_empty() {
                    self.since = self.since.or(Some(now));
                }
                if let Some(over) = &mut self.over {
                    over.silent = now + SILENCE_AFTER_END;
                }
            }
        }
    }

    /// Hands on all but a character that is not whole yet.
    fn flush(&mut self) {
        self.send(border(&self.buffer));
        self.since = None; // what is held back waits for its rest, however long
    }

    fn send(&mut self, mut length: usize) {
        // A name may be longer than the secret it stands for, and what waited comes at once.
        while length > CHUNK_MAX {
            let cut = border(&self.buffer[..CHUNK_MAX]);
            self.send_chunk(cut);
            length -= cut;
        }
        if length > 0 {
            self.send_chunk(length);
        }
    }

    fn send_chunk(&mut self, length: usize) {
        let rest = self.buffer.split_off(length);
        let chunk = std::mem::replace(&mut self.buffer, rest);
        let before = Instant::now();
        // Where nobody listens any more the command is still read to its end: it must not stop because of the hub.
        let _ = self.reports.blocking_send(Report::Output(chunk));
        if let Some(over) = &mut self.over {
            // The journal's time is not the command's: without this a slow disk would cut off the last words.
            over.silent += before.elapsed();
            over.at_most += before.elapsed();
        }
    }
}

/// How much of this ends on a character border: all of it, but for a UTF-8 character that has begun and may go on.
/// Bytes that are not UTF-8 are never held back.
fn border(bytes: &[u8]) -> usize {
    for back in 1..=3.min(bytes.len()) {
        let start = bytes.len() - back;
        if bytes[start] & 0b1100_0000 != 0b1000_0000 {
            let incomplete = std::str::from_utf8(&bytes[start..]).is_err_and(|error| error.error_len().is_none());
            return if incomplete { start } else { bytes.len() };
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::border;
    use proptest::prelude::*;

    #[test]
    fn a_begun_character_is_held_back_and_nonsense_is_not() {
        for (bytes, length) in [
            (&b""[..], 0),
            (b"abc", 3),
            ("aé".as_bytes(), 3),
            (b"a\xc3", 1),
            (b"a\xe2\x82", 1),
            (b"a\xf0\x9f\x98", 1),
            (b"a\xe2\x28", 3),
            (b"a\xff", 2),
            (b"\x80\x80\x80\x80", 4),
            (b"a\xed\xa0", 3), // the start of a surrogate: no UTF-8, whatever follows
        ] {
            assert_eq!(border(bytes), length, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn text_cut_anywhere_is_text_up_to_the_border(text in ".{0,20}", cut in 0usize..90) {
            let bytes = &text.as_bytes()[..cut.min(text.len())];
            let length = border(bytes);
            prop_assert!(std::str::from_utf8(&bytes[..length]).is_ok() && bytes.len() - length <= 3);
        }
        #[test]
        fn at_most_three_bytes_are_held_back(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            prop_assert!(bytes.len() - border(&bytes) <= 3);
        }
    }
}

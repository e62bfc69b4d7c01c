//! The shortest way out: while a connection keeps up and wants nothing of its own, one task writes new lines to all such
//! connections in a row, as the barest loop would. Waking a task for each costs as much as the write itself.
//!
//! A connection has one writer at a time. Its own task hands it over by [`Direct::rest`], with everything sent up to a
//! cursor, and has it back from [`Direct::take_back`] on. What a write did not get rid of is handed back too, so that a frame
//! that was begun is finished before anything else is sent.

use super::fanout::{Looked, Outbox, Ring};
use bytes::{Bytes, BytesMut};
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A connection that can be written to without its writer.
#[derive(Debug)]
pub(super) struct Direct {
    /// The same socket as the writer's, which is set not to block.
    stream: TcpStream,
    /// To wake the writer.
    outbox: Arc<Outbox>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether the connection is handed over.
    resting: bool,
    /// The last line sent or in `rest`.
    cursor: u64,
    /// The last line known to be sent whole.
    sent: u64,
    /// What was begun and is yet to be sent.
    rest: Bytes,
    failed: Option<io::Error>,
}

impl Direct {
    /// A connection that is its writer's, with every line up to `cursor` sent.
    pub(super) fn new(stream: TcpStream, outbox: Arc<Outbox>, cursor: u64) -> Arc<Direct> {
        let state = State { resting: false, cursor, sent: cursor, rest: Bytes::new(), failed: None };
        Arc::new(Direct { stream, outbox, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer hands the connection over, everything up to `cursor` sent. False where there is more to send already:
    /// then it stays the writer's.
    pub(super) fn rest(&self, cursor: u64, ring: &Ring) -> bool {
        {
            let mut state = self.state();
            state.cursor = cursor;
            state.sent = cursor;
            state.resting = true;
        }
        // A line published before this look is seen by it; one published after it finds the connection resting.
        if ring.head() == cursor {
            return true;
        }
        let mut state = self.state();
        let untouched = state.cursor == cursor && state.rest.is_empty();
        state.resting &= !untouched;
        state.resting
    }

    /// The writer takes the connection back: the last line that is sent, but for these bytes that have to go first.
    pub(super) fn take_back(&self) -> io::Result<(u64, Bytes)> {
        let mut state = self.state();
        state.resting = false;
        match state.failed.take() {
            Some(error) => Err(error),
            None => Ok((state.cursor, std::mem::take(&mut state.rest))),
        }
    }

    /// The last line known to be sent whole.
    pub(super) fn sent(&self) -> u64 {
        self.state().sent
    }

    /// Sends what the ring has for this connection, if it is handed over, as far as the system takes it at once.
    pub(super) fn offer(&self, ring: &Ring, same: &mut Looked) {
        let mut state = self.state();
        if !state.resting {
            return; // its writer is awake, and looks before it rests
        }
        while state.resting && state.cursor < ring.head() {
            let Some((pieces, last)) = same.up(ring, state.cursor) else {
                state.resting = false; // its writer reads the transcript
                break;
            };
            state.cursor = last;
            match write_whole(&self.stream, pieces) {
                Ok(rest) if rest.is_empty() => state.sent = last,
                Ok(rest) => {
                    state.rest = rest;
                    state.resting = false;
                }
                Err(error) => {
                    state.failed = Some(error);
                    state.resting = false;
                }
            }
        }
        if !state.resting {
            drop(state);
            self.outbox.wake.notify_one();
        }
    }
}

/// Writes as much as the system takes at once; what is left is returned.
fn write_whole(mut stream: &TcpStream, pieces: &[Bytes]) -> io::Result<Bytes> {
    for (index, piece) in pieces.iter().enumerate() {
        let written = match stream.write(piece) {
            Ok(written) if written == piece.len() => continue,
            Ok(written) => written,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(error) => return Err(error),
        };
        let mut rest = BytesMut::from(&piece[written..]);
        pieces[index + 1..].iter().for_each(|piece| rest.extend_from_slice(piece));
        return Ok(rest.freeze());
    }
    Ok(Bytes::new())
}

#[cfg(test)]
mod tests {
    use super::super::fanout::{Feed, Past, write_all};
    use super::super::sequencer::Numbered;
    use super::*;
    use crate::clock::At;
    use crate::event::Event;
    use crate::hash::Hash;
    use crate::name::Principal;
    use crate::transcript::record::Line;
    use tokio::io::AsyncReadExt as _;

    struct NoPast;
    impl Past for NoPast {
        fn after(&self, _: u64) -> io::Result<(Bytes, u64)> {
            Err(io::Error::other("all of it fits into the ring"))
        }
    }

    /// A reader that is now faster and now slower than the lines come has every one once, in order, and never half a frame
    /// of one writer inside a frame of the other.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_writers_of_one_connection_never_mix() {
        const LINES: u64 = 3000;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut reader = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stream = listener.accept().await.unwrap().0.into_std().unwrap();
        let same = stream.try_clone().unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let (ring, outbox) = (Ring::new(0), Arc::new(Outbox::default()));
        let (_screens, seen) = tokio::sync::watch::channel(None);
        let (feed, fed) = tokio::sync::oneshot::channel();
        tokio::spawn(write_all(stream, Some(same), outbox.clone(), fed));
        let delivering = ring.clone();
        tokio::spawn(async move { delivering.deliver().await });
        let all = Feed { first: vec![], ring: ring.clone(), past: Arc::new(NoPast), cursor: 0, screens: seen };
        assert!(feed.send(all).is_ok());

        let publishing = tokio::spawn(async move {
            for seq in 1..=LINES {
                let event = Event::Noted { text: String::new() };
                let line = Line { v: 1, seq, prev: Hash::ZERO, at: At::from_micros(0), by: Principal::hub(), event };
                let payload = format!("{seq} {}", "x".repeat(1000 + usize::try_from(seq % 300).unwrap()));
                ring.publish(&[Numbered { line, bytes: payload.into() }]);
                if seq % 7 == 0 {
                    outbox.push(&super::super::fanout::ping_frame());
                }
                if seq % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
        let (mut bytes, mut next, mut pings) = (BytesMut::new(), 1, 0);
        while next <= LINES || pings < LINES / 7 {
            let read = reader.read_buf(&mut bytes);
            let read =
                tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("the next bytes come");
            assert!(read.unwrap() > 0, "the connection stays open");
            // Short frames of 16-bit lengths, and pings without a payload.
            while bytes.len() >= 4 {
                if bytes.starts_with(&[0x89, 0]) {
                    let _ = bytes.split_to(2);
                    pings += 1;
                    continue;
                }
                assert_eq!(bytes[..2], [0x81, 126], "a frame begins where the last one ended");
                let length = 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
                if bytes.len() < length {
                    break;
                }
                let frame = bytes.split_to(length);
                assert!(frame[4..].starts_with(format!("{next} ").as_bytes()), "line {next} comes next");
                next += 1;
            }
            if bytes.starts_with(&[0x89, 0]) && bytes.len() == 2 {
                bytes.clear();
                pings += 1;
            }
            if next % 5 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(pings, LINES / 7);
        publishing.await.unwrap();
    }
}

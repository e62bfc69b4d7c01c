//! A thousand participants: what the hub's way out costs beside the barest thing that could do it, one write per message
//! and connection. Only the sender's processor time counts; the receiver is another process. Measured over plain sockets,
//! which shows the ring itself, and over TLS, which is what participants get.

mod support;

use bytes::Bytes;
use crosscheck::clock::At;
use crosscheck::event::Event;
use crosscheck::hash::Hash;
use crosscheck::hub::fanout::{Feed, Outbox, Past, Ring, text_frame, write_all};
use crosscheck::hub::sequencer::Numbered;
use crosscheck::name::Principal;
use crosscheck::tls::{self, Certificate};
use crosscheck::transcript::record::{Encoded, Line};
use std::io::{self, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use support::{Goal, Other};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio_rustls::TlsAcceptor;

const PARTICIPANTS: usize = 1000;
const PAYLOAD: usize = 200;
const FRAME: u64 = PAYLOAD as u64 + 4;
const RUNS: usize = 9;
/// 50,000 deliveries a second in all.
const RATE: Duration = Duration::from_millis(20);
const RATE_MESSAGES: u64 = 75;
/// Each run of the race: as many messages as take about a second.
const RACE_RAW: u64 = 150;
const RACE_RING: u64 = 6400;
/// Lines in one publication of the race, as in a batch of the hub.
const RACE_BATCH: u64 = 64;
/// How far the slowest participant may be behind in the race: well inside the ring, so that all come from it.
const RACE_BEHIND: u64 = 8000;

fn main() {
    match support::role().as_deref() {
        Some("receiver") => return receiver(),
        Some(role) => panic!("no role {role}"),
        None => {}
    }
    support::headline(
        "fanout",
        "1000 participants on loopback, 200 B a line, deliveries per core-second of the sender",
    );
    if !support::open_files(4 * PARTICIPANTS as u64) {
        println!("fanout: skipped, this machine does not let a process open {} files", 4 * PARTICIPANTS);
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut receiver = Other::start("receiver");
    receiver.say(&listener.local_addr().expect("an address").port().to_string());
    let certificate = Certificate::make().expect("a certificate");
    let acceptor = certificate.acceptor().expect("a certificate that can be used");
    let accept = |receiver: &mut Other, how: &str| accept(&listener, receiver, how);
    let connect = "connect".to_owned();
    let mut raw = Raw::new(accept(&mut receiver, &connect));
    let mut ring = Shared::new(accept(&mut receiver, &connect));
    let (calm, race) = compare(&mut receiver, ["0", "1"], &mut raw, &mut ring);
    told("", &calm, &race);
    support::report("fanout at 50k deliveries/s, ring / raw loop", &calm.ratios(), Goal::AtLeast(0.8));
    support::report("fanout as fast as possible, ring / raw loop", &race.ratios(), Goal::AtLeast(3.0));
    drop((raw, ring));

    let connect = format!("connect {}", certificate.fingerprint());
    let mut raw = Raw::secure(accept(&mut receiver, &connect), &acceptor);
    let mut ring = Shared::secure(accept(&mut receiver, &connect), &acceptor);
    let (calm, race) = compare(&mut receiver, ["2", "3"], &mut raw, &mut ring);
    told(" over TLS", &calm, &race);
    support::report("fanout over TLS at 50k deliveries/s, ring / raw loop", &calm.ratios(), Goal::None);
    support::report("fanout over TLS as fast as possible, ring / raw loop", &race.ratios(), Goal::None);
}

/// As many connections as participants, which the receiver makes and reads.
fn accept(listener: &TcpListener, receiver: &mut Other, how: &str) -> Vec<TcpStream> {
    receiver.say(how);
    let accepted = (0..PARTICIPANTS).map(|_| {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("a live socket");
        stream.write_all(b"x").expect("a live socket"); // the next one connects
        stream
    });
    let accepted = accepted.collect();
    assert_eq!(receiver.hear(), "connected");
    accepted
}

/// Deliveries per core-second of the raw loop and of the ring, by run.
#[derive(Default)]
struct Pair {
    raw: Vec<f64>,
    ring: Vec<f64>,
}
impl Pair {
    fn ratios(&self) -> Vec<f64> {
        support::ratios(&self.ring, &self.raw)
    }
}

/// Both in turn, at a steady rate and as fast as they can.
fn compare<W: Write>(receiver: &mut Other, sets: [&str; 2], raw: &mut Raw<W>, ring: &mut Shared) -> (Pair, Pair) {
    let (mut calm, mut race) = (Pair::default(), Pair::default());
    for _ in 0..RUNS {
        let before = (support::cpu(), raw.sent);
        raw.calmly(RATE_MESSAGES);
        receiver.check(sets[0], raw.sent);
        calm.raw.push(per_core(before, raw.sent));
        let before = (support::cpu(), ring.sent);
        ring.calmly(RATE_MESSAGES);
        receiver.check(sets[1], ring.sent);
        calm.ring.push(per_core(before, ring.sent));
        let before = (support::cpu(), raw.sent);
        raw.race(RACE_RAW);
        receiver.check(sets[0], raw.sent);
        race.raw.push(per_core(before, raw.sent));
        let before = (support::cpu(), ring.sent);
        ring.race(RACE_RING);
        receiver.check(sets[1], ring.sent);
        race.ring.push(per_core(before, ring.sent));
    }
    (calm, race)
}

fn told(how: &str, calm: &Pair, race: &Pair) {
    let thousands = |values: &[f64]| support::median(values) / 1000.0;
    println!(
        "fanout{how}: at 50k/s raw {:.0}k, ring {:.0}k; as fast as possible raw {:.0}k, ring {:.0}k",
        thousands(&calm.raw),
        thousands(&calm.ring),
        thousands(&race.raw),
        thousands(&race.ring)
    );
}

fn per_core((cpu, sent): (Duration, u64), now: u64) -> f64 {
    ((now - sent) * PARTICIPANTS as u64) as f64 / (support::cpu() - cpu).as_secs_f64()
}

impl Other {
    /// Everything sent has arrived, at all: nothing is counted that was not delivered.
    fn check(&mut self, set: &str, sent: u64) {
        let wanted = sent * PARTICIPANTS as u64 * FRAME;
        assert_eq!(self.ask(&format!("{set} {wanted}")), wanted.to_string(), "bytes received");
    }
}

/// Calls at a steady rate.
fn steadily(count: u64, mut each: impl FnMut()) {
    let mut next = Instant::now();
    for _ in 0..count {
        each();
        next += RATE;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// The floor: one write per message and connection, in a loop.
struct Raw<W> {
    streams: Vec<W>,
    frame: Vec<u8>,
    sent: u64,
}
/// The barest TLS: what is written is encrypted and sent at once.
type Encrypted = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;
impl Raw<Encrypted> {
    fn secure(streams: Vec<TcpStream>, acceptor: &TlsAcceptor) -> Raw<Encrypted> {
        let secure = |mut stream: TcpStream| {
            let mut connection = rustls::ServerConnection::new(acceptor.config().clone()).expect("a connection");
            while connection.is_handshaking() {
                connection.complete_io(&mut stream).expect("a handshake");
            }
            rustls::StreamOwned::new(connection, stream)
        };
        Raw::new(streams.into_iter().map(secure).collect())
    }
}
impl<W: Write> Raw<W> {
    fn new(streams: Vec<W>) -> Raw<W> {
        let mut frame = bytes::BytesMut::new();
        text_frame(&mut frame, &[b'x'; PAYLOAD]);
        Raw { streams, frame: frame.to_vec(), sent: 0 }
    }
    fn message(&mut self) {
        for stream in &mut self.streams {
            stream.write_all(&self.frame).expect("the receiver reads");
        }
        self.sent += 1;
    }
    fn calmly(&mut self, count: u64) {
        steadily(count, || self.message());
    }
    fn race(&mut self, count: u64) {
        (0..count).for_each(|_| self.message());
    }
}

/// The hub's way: a ring, and a writer per connection.
struct Shared {
    runtime: tokio::runtime::Runtime,
    ring: Arc<Ring>,
    taken: Arc<Vec<AtomicU64>>,
    _outboxes: Vec<Arc<Outbox>>,
    sent: u64,
}
impl Shared {
    fn new(streams: Vec<TcpStream>) -> Shared {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let inside = runtime.enter();
        let streams = streams.into_iter().map(tokio_stream).collect();
        drop(inside);
        Shared::over::<tokio::net::TcpStream>(runtime, streams)
    }
    /// Each connection in two halves, as in the hub, whose other half reads.
    fn secure(streams: Vec<TcpStream>, acceptor: &TlsAcceptor) -> Shared {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let streams = streams.into_iter().map(|stream| {
            runtime.block_on(async {
                let mut stream = acceptor.accept(tokio_stream(stream)).await.expect("a handshake");
                tls::channel(stream.get_mut().1, Hash::ZERO).expect("our protocol");
                let (mut read, write) = tokio::io::split(stream);
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut tokio::io::sink()).await });
                write
            })
        });
        let streams = streams.collect();
        Shared::over(runtime, streams)
    }
    fn over<W: AsyncWrite + Unpin + Send + 'static>(runtime: tokio::runtime::Runtime, streams: Vec<W>) -> Shared {
        let ring = Ring::new(0);
        let taken: Arc<Vec<AtomicU64>> = Arc::new((0..streams.len()).map(|_| AtomicU64::new(0)).collect());
        let outboxes = {
            let _inside = runtime.enter();
            let outboxes = streams.into_iter().enumerate().map(|(number, stream)| {
                let outbox = Arc::new(Outbox::default());
                let counted = Counted { stream, taken: taken.clone(), number };
                runtime.spawn(write_all(counted, outbox.clone()));
                ring.admit(Arc::downgrade(&outbox));
                outbox.feed(Feed::new(vec![], ring.clone(), Arc::new(NoPast), 0));
                outbox
            });
            outboxes.collect()
        };
        Shared { runtime, ring, taken, _outboxes: outboxes, sent: 0 }
    }
    fn publish(&mut self, count: u64) {
        let event = Event::Noted { text: String::new() };
        let line = Line { v: 1, seq: 0, prev: Hash::ZERO, at: At::from_micros(0), by: Principal::hub(), event };
        let lines: Vec<_> = (1..=count)
            .map(|n| {
                let line = Line { seq: self.sent + n, ..line.clone() };
                let encoded = Encoded::new(line.seq, Bytes::from_static(&[b'x'; PAYLOAD]));
                Numbered { line, encoded }
            })
            .collect();
        // From inside: from outside, a runtime of one thread is woken by one more call to the system for each writer, where
        // the hub's is woken once.
        self.runtime.block_on(async { self.ring.publish(&lines) });
        self.sent += count;
    }
    /// Lets the writers work until the slowest is at most so many lines behind.
    fn until_behind(&self, lines: u64) {
        let wanted = self.sent.saturating_sub(lines) * FRAME;
        let taken = self.taken.clone();
        self.runtime.block_on(async move {
            while taken.iter().any(|bytes| bytes.load(Ordering::Relaxed) < wanted) {
                tokio::task::yield_now().await;
            }
        });
    }
    fn calmly(&mut self, count: u64) {
        let mut next = Instant::now();
        for _ in 0..count {
            self.publish(1);
            next += RATE;
            self.runtime.block_on(async move { tokio::time::sleep_until(next.into()).await });
        }
        self.until_behind(0);
    }
    fn race(&mut self, count: u64) {
        for _ in 0..count / RACE_BATCH {
            self.publish(RACE_BATCH);
            self.until_behind(RACE_BEHIND);
        }
        self.until_behind(0);
    }
}

/// Counts what a connection has taken, so that the race can go as fast as the slowest.
struct Counted<W> {
    stream: W,
    taken: Arc<Vec<AtomicU64>>,
    number: usize,
}
impl<W> Counted<W> {
    fn count(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &result {
            self.taken[self.number].fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        result
    }
}
impl<W: AsyncWrite + Unpin> AsyncWrite for Counted<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(result)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count(result)
    }
    fn is_write_vectored(&self) -> bool {
        true
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

struct NoPast;
impl Past for NoPast {
    fn after(&self, _: u64) -> io::Result<(Bytes, u64)> {
        panic!("nobody falls off the ring here");
    }
}

/// The other process: reads everything, counts bytes by set of connections, and answers how many came.
fn receiver() {
    support::open_files(4 * PARTICIPANTS as u64);
    let mut lines = io::stdin().lines().map(|line| line.expect("the bench speaks"));
    let port: u16 = lines.next().expect("a port").parse().expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (handle, counts) = (runtime.handle().clone(), [(); 4].map(|()| Arc::new(AtomicU64::new(0))));
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    let mut sets = 0;
    for line in lines {
        if let Some(pin) = line.strip_prefix("connect") {
            let connector = pin.trim().parse().ok().map(|pin| tls::connector(pin).expect("a client"));
            for _ in 0..PARTICIPANTS {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the bench listens");
                stream.read_exact(&mut [0]).expect("a live socket");
                stream.set_nonblocking(true).expect("a live socket");
                let (counted, connector) = (counts[sets].clone(), connector.clone());
                handle.spawn(async move {
                    let stream = tokio::net::TcpStream::from_std(stream).expect("a live socket");
                    match connector {
                        None => count(stream, counted).await,
                        Some(connector) => {
                            let stream = connector.connect(tls::server_name(), stream).await.expect("a handshake");
                            count(stream, counted).await;
                        }
                    }
                });
            }
            sets += 1;
            println!("connected");
            continue;
        }
        let (set, wanted) = line.split_once(' ').expect("two words");
        let count = &counts[set.parse::<usize>().expect("a number")];
        let wanted = wanted.parse().expect("a number");
        let begin = Instant::now();
        while count.load(Ordering::Relaxed) < wanted && begin.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("{}", count.load(Ordering::Relaxed));
    }
}

async fn count(mut stream: impl AsyncRead + Unpin, count: Arc<AtomicU64>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

fn tokio_stream(stream: TcpStream) -> tokio::net::TcpStream {
    stream.set_nonblocking(true).expect("a live socket");
    tokio::net::TcpStream::from_std(stream).expect("a live socket")
}

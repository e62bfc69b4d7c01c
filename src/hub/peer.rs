//! One websocket: the door, then requests in and answers out. Everything a client sends is bounded before it is read.
//!
//! A connection's TLS has two users, the one that reads here and the one writer. Its halves share a lock that is held for one
//! poll at a time and across no wait: a client that takes nothing stops its writer, and its reader reads on.

use super::arrivals::{Arrival, source};
use super::fanout::{self, Feed, Outbox, Past, Ring, binary_frame, close_frame, ping_frame};
use super::incoming::Incoming;
use super::joining::{Joining, NotIn, Welcome};
use crate::hash::Hash;
use crate::identity::{Key, random_hex};
use crate::name::{NameError, Principal};
use crate::protocol::{
    CLIENT_BYTES_MAX, Channel, FromClient, FromHub, PATH, PRE_AUTH_BYTES_MAX, SUBPROTOCOL, VERSIONS, hello_statement,
    join_statement,
};
use crate::session::Author;
use crate::tls;
use crate::transcript::record::Head;
use crate::trust::allowed::Allowed;
use crate::trust::key::PublicKey;
use crate::trust::sshsig;
use crate::trust::statement::Purpose;
use futures_util::StreamExt as _;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{
    Error, Message,
    error::{CapacityError, ProtocolError},
};

/// From the TCP connection to the encrypted one.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// From there to the upgraded one.
const UPGRADE: Duration = Duration::from_secs(5);
/// From the TCP connection to a proved key.
const AUTH: Duration = Duration::from_secs(10);
/// From a personal link to the proof of a key that is vouched for.
const PROOF: Duration = Duration::from_secs(75);
/// Bytes of an upgrade request at most; ours is a tenth of that.
const HEADER_BYTES_MAX: usize = 8 * 1024;
const TOO_LONG: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// Bytes from there to a proved key at most, whatever they are: two messages and some control frames fit twice.
const UNPROVED_BYTES_MAX: usize = 4 * PRE_AUTH_BYTES_MAX;
/// How often the hub looks whether a client is heard of.
const LOOK: Duration = Duration::from_secs(1);
/// Whoever says nothing for so long is pinged at every look.
const QUIET: Duration = Duration::from_secs(3);
/// Whoever says nothing, not even pong, for so long is told to everyone as silent,
const SILENT: Duration = Duration::from_secs(7);
/// and after so long is gone.
const DEAD: Duration = Duration::from_secs(18);
/// How long a connection that is over may take to hear about it.
const LINGER: Duration = Duration::from_secs(2);
/// Messages a second, sustained; a burst of twice that passes at once. Faster clients are read slower.
const MESSAGES_PER_SECOND: f64 = 20.0;
const BURST: f64 = 40.0;

/// What every connection of a hub shares.
pub struct Door {
    /// The session's id.
    pub session: String,
    /// The hub's side of TLS.
    pub acceptor: TlsAcceptor,
    /// SHA-256 of its certificate.
    pub certificate: Hash,
    /// The session's own key.
    pub key: Key,
    /// Who each secret belongs to.
    pub secrets: super::links::Secrets,
    /// Whose keys are vouched for, where the session asks for that.
    pub allowed: Option<Arc<Allowed>>,
    /// To the driver.
    pub inputs: mpsc::Sender<Incoming>,
    /// Live lines.
    pub ring: Arc<Ring>,
    /// Older lines.
    pub past: Arc<dyn Past>,
    /// Tells whether a client's last line is one of ours.
    pub holds: Arc<dyn Fn(Head) -> bool + Send + Sync>,
    /// The hub's time.
    pub now: Arc<dyn Fn() -> crate::clock::At + Send + Sync>,
}

/// The reading side of a connection, whose writing side is the outbox: what tungstenite wants to send (the handshake's
/// response, pongs) joins the one writer's queue as whole frames.
struct Io {
    read: ReadHalf<TlsStream<TcpStream>>,
    outbox: Arc<Outbox>,
    /// Bytes that may still come, until a key is proved; afterwards the websocket has limits of its own.
    allowance: Option<usize>,
}
impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.read).poll_read(cx, buf);
        if let Some(allowance) = &mut self.allowance {
            match allowance.checked_sub(buf.filled().len() - before) {
                Some(rest) => *allowance = rest,
                None => return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into())),
            }
        }
        read
    }
}
impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.outbox.push(buf);
        Poll::Ready(Ok(buf.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Tells the driver that a connection is over, however it ends.
struct Departure {
    inputs: mpsc::Sender<Incoming>,
    outbox: Arc<Outbox>,
    principal: Principal,
    connection: u64,
    /// Known where the conversation came to its end; otherwise the writer knows.
    why: Option<String>,
}
impl Drop for Departure {
    fn drop(&mut self) {
        let why = self.why.take().or_else(|| self.outbox.failure());
        let left = Incoming::Left {
            principal: self.principal.clone(),
            connection: self.connection,
            why: why.unwrap_or_else(|| "connection lost".to_owned()),
        };
        // The channel is bounded and this cannot wait: a full one gets its own task.
        if let Err(mpsc::error::TrySendError::Full(left)) = self.inputs.try_send(left) {
            let inputs = self.inputs.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { inputs.send(left).await });
            }
        }
    }
}

/// Serves one connection until it ends. `arrival` is given back once the client has proved who it is.
pub async fn serve(door: Arc<Door>, stream: TcpStream, from: IpAddr, arrival: Arrival) {
    let accepted = Instant::now();
    let _ = stream.set_nodelay(true);
    // Boxed, as the rest of the way in: see `converse`. Split in there, so that the task keeps no room for it.
    let secured = async { secure(&door, stream).await.map(|(stream, channel)| (tokio::io::split(stream), channel)) };
    let Ok(((read, write), channel)) = Box::pin(secured).await else { return };
    let way_in = WayIn { accepted, from, channel, _arrival: arrival };
    let outbox = Arc::new(Outbox::default());
    let mut writer = tokio::spawn({
        let outbox = outbox.clone();
        async move {
            if let Err(error) = fanout::write_all(write, outbox.clone()).await {
                outbox.fail(error.to_string());
            }
        }
    });
    let mut io = Io { read, outbox: outbox.clone(), allowance: Some(HEADER_BYTES_MAX) };
    let ended = tokio::select! {
        close = converse(&door, &mut io, &outbox, way_in) => Some(close),
        _ = &mut writer => None, // the departure's drop has told the driver
    };
    if let Some(close) = ended {
        outbox.close(&close);
        // The last frames get a moment; a client that takes nothing is cut off. What it still sends is read and dropped
        // meanwhile: closing a socket with unread bytes resets it, and the reset would overtake the close frame.
        let last = async {
            let _ = (&mut writer).await;
            drain(&mut io.read).await;
        };
        let _ = timeout(LINGER, last).await;
    }
    writer.abort();
}

/// A connection that is not proved yet, and where it is on its way in.
struct WayIn {
    accepted: Instant,
    from: IpAddr,
    channel: Channel,
    _arrival: Arrival,
}

/// TLS with whoever is there.
async fn secure(door: &Door, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Channel)> {
    let mut stream = timeout(HANDSHAKE, door.acceptor.accept(stream)).await??;
    let channel = tls::channel(stream.get_mut().1, door.certificate).map_err(io::Error::other)?;
    Ok((stream, channel))
}

/// Reads until the other side closes.
async fn drain(from: &mut (impl AsyncRead + Unpin)) {
    let mut nothing = vec![0; 4096]; // not in the task itself, which would hold it from the start
    while tokio::io::AsyncReadExt::read(from, &mut nothing).await.is_ok_and(|count| count > 0) {}
}

/// One connection too many: says so as HTTP does, without looking at what was asked, and hangs up.
pub async fn turn_away(door: &Door, stream: TcpStream) {
    let Ok((mut stream, _)) = secure(door, stream).await else { return };
    let response = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let _ = timeout(LINGER, async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        drain(&mut stream).await;
        io::Result::Ok(())
    })
    .await;
}

/// A connection whose client is known and let in.
struct Entered<'a> {
    socket: WebSocketStream<&'a mut Io>,
    author: Author,
    departure: Departure,
    welcome: Welcome,
}

/// The conversation; returns the close frame to end it with.
async fn converse(door: &Arc<Door>, io: &mut Io, outbox: &Arc<Outbox>, way_in: WayIn) -> bytes::Bytes {
    // Boxed, because a task keeps room for the largest thing it ever waited for: the way in takes several times what all
    // the hours take in which somebody only looks, and is given back.
    let (mut socket, author, mut departure) = match Box::pin(arrive(door, io, outbox, way_in)).await {
        Ok(Entered { socket, author, departure, welcome }) => {
            match greet(door, outbox, &author, departure.connection, welcome) {
                Ok(()) => (socket, author, departure),
                Err(close) => return close,
            }
        }
        Err(close) => return close,
    };
    let (why, close) = listen(door, &mut socket, outbox, &author, departure.connection).await;
    departure.why = Some(why);
    close
}

/// From the upgrade request to the driver's yes, or the close frame.
async fn arrive<'a>(
    door: &Arc<Door>,
    io: &'a mut Io,
    outbox: &Arc<Outbox>,
    way_in: WayIn,
) -> Result<Entered<'a>, bytes::Bytes> {
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = 512; // the default is 128 KiB a client; nearly all it sends is shorter than this
    config.write_buffer_size = 4096;
    config.max_write_buffer_size = 256 * 1024;
    config.max_message_size = Some(CLIENT_BYTES_MAX);
    config.max_frame_size = Some(CLIENT_BYTES_MAX);
    let upgrade = tokio_tungstenite::accept_hdr_async_with_config(io, gatekeeper, Some(config));
    let until = way_in.accepted + AUTH;
    let mut socket = match timeout_at(until.min(Instant::now() + UPGRADE), upgrade).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(Error::Io(error))) if error.kind() == io::ErrorKind::QuotaExceeded => {
            return Err(bytes::Bytes::from_static(TOO_LONG));
        }
        _ => return Err(bytes::Bytes::new()), // no websocket: no close frame to send
    };
    socket.get_mut().allowance = Some(UNPROVED_BYTES_MAX);
    match enter(door, &mut socket, outbox, &way_in, until).await {
        Ok((author, departure, welcome)) => {
            socket.get_mut().allowance = None;
            Ok(Entered { socket, author, departure, welcome })
        }
        Err(NotProved::Refused(refusal)) => {
            outbox.push(&binary_frame(&refusal.encode()));
            Err(close_frame(1008, "refused"))
        }
        Err(NotProved::Late) => Err(close_frame(1008, "no proof of a key in time")),
    }
}

/// Tells a client as what it is let in, gives it the session where it holds none, and starts its lines.
fn greet(door: &Door, outbox: &Outbox, author: &Author, connection: u64, welcome: Welcome) -> Result<(), bytes::Bytes> {
    let cursor = welcome.resume.map_or(welcome.head.seq, |have| have.seq);
    let message = FromHub::Welcome {
        principal: author.principal.clone(),
        role: welcome.role,
        connection,
        at: (door.now)(),
        head: welcome.head,
        upto: welcome.upto,
        from: cursor + 1,
        snapshot: welcome.resume.is_none(),
    };
    outbox.push(&binary_frame(&message.encode()));
    let mut first = vec![];
    if welcome.resume.is_none() {
        // Not through the outbox: its limit is for clients that ask without reading, and a session may be larger.
        first = welcome.base.frames().ok_or_else(|| close_frame(1011, "the session cannot be written"))?;
    }
    outbox.feed(Feed::new(first, door.ring.clone(), door.past.clone(), cursor));
    Ok(())
}

/// The rules of the upgrade request: no browser, no query, our path and subprotocol.
#[allow(clippy::result_large_err)] // the library's signature
fn gatekeeper(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let refuse = |status: StatusCode, why: &str| {
        let mut response = ErrorResponse::new(Some(why.to_owned()));
        *response.status_mut() = status;
        response
    };
    if request.headers().contains_key("origin") {
        return Err(refuse(StatusCode::FORBIDDEN, "crosscheck does not talk to browsers"));
    }
    if request.uri().path() != PATH || request.uri().query().is_some() {
        return Err(refuse(StatusCode::NOT_FOUND, "there is nothing here"));
    }
    let offered = request.headers().get("sec-websocket-protocol").and_then(|value| value.to_str().ok()).unwrap_or("");
    if !offered.split(',').any(|protocol| protocol.trim() == SUBPROTOCOL) {
        return Err(refuse(StatusCode::BAD_REQUEST, "this hub speaks crosscheck.v1"));
    }
    response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

/// Why a client is not let in.
enum NotProved {
    /// It is told why.
    Refused(FromHub),
    /// It took too long.
    Late,
}
impl From<FromHub> for NotProved {
    fn from(refusal: FromHub) -> Self {
        NotProved::Refused(refusal)
    }
}

async fn enter(
    door: &Arc<Door>,
    socket: &mut WebSocketStream<&mut Io>,
    outbox: &Arc<Outbox>,
    way_in: &WayIn,
    until: Instant,
) -> Result<(Author, Departure, Welcome), NotProved> {
    let refuse = |reason: &str| NotProved::Refused(FromHub::Refuse { reason: reason.to_owned(), retry: false });
    let FromClient::Knock { versions, token } =
        timeout_at(until, hear(socket)).await.map_err(|_| NotProved::Late)??
    else {
        return Err(refuse("the first message must be Knock"));
    };
    let source = source(way_in.from);
    let Some(owner) = door.secrets.open(&token, source) else {
        door.note_refusal(Principal::hub(), format!("a link with a wrong secret, from {}", way_in.from)).await;
        // A guesser waits; the generic text tells nothing.
        tokio::time::sleep(Duration::from_millis(500)).await;
        return Err(refuse("not let in: the link's secret is wrong, or belongs to another session"));
    };
    let Some(version) = versions.iter().copied().filter(|version| VERSIONS.contains(version)).max() else {
        let theirs = &versions[..versions.len().min(8)];
        let who = owner.unwrap_or_else(Principal::hub);
        door.note_refusal(who, format!("a client that speaks protocol {theirs:?}, this hub {VERSIONS:?}")).await;
        return Err(refuse(&format!(
            "this hub speaks protocol {VERSIONS:?}, the client {theirs:?}; use the same version of crosscheck"
        )));
    };
    let nonce = random_hex(32).map_err(|error| refuse(&error.to_string()))?;
    let hub_key = door.key.public().clone();
    let statement = hello_statement(&way_in.channel, &door.session, &nonce, &hub_key);
    let signature = door.key.sign_sshsig(Purpose::Hello.namespace(), statement.as_bytes());
    let (session, principal) = (door.session.clone(), owner.clone());
    let keys = owner.as_ref().zip(door.allowed.as_ref());
    let keys = keys.map(|(who, allowed)| allowed.keys_of(who, Purpose::Join.namespace(), (door.now)()));
    // Their own key may ask for a touch or a yes; whoever has a personal link to such a session gets the time for it.
    let until = if keys.is_some() { Instant::now() + PROOF } else { until };
    let hello = FromHub::Hello { version, session, principal, nonce: nonce.clone(), keys, hub_key, signature };
    outbox.push(&binary_frame(&hello.encode()));
    let heard = timeout_at(until, hear(socket)).await.map_err(|_| NotProved::Late)??;
    let FromClient::Auth { key, principal, nonce: client_nonce, have, signature } = heard else {
        return Err(refuse("the second message must be Auth"));
    };
    let public = key.parse::<PublicKey>().map_err(|error| refuse(&error.to_string()))?;
    // A personal link says who it is; an observer's name is chosen, and marked so that it can be nobody else's.
    let principal = match owner {
        Some(owner) => owner,
        None => observer(&principal).map_err(|error| refuse(&error.to_string()))?,
    };
    let statement = join_statement(&way_in.channel, &door.session, &nonce, &client_nonce, &principal, have);
    let proof = sshsig::verify(&signature, Purpose::Join.namespace(), statement.as_bytes());
    if !proof.is_ok_and(|proof| proof.key == public) {
        door.secrets.failed(source);
        door.note_refusal(principal, "the key was not proved".to_owned()).await;
        return Err(refuse("not let in: the key was not proved"));
    }
    let author = Author::new(principal.clone(), public.fingerprint());
    let have = match have {
        Some(have) if (door.holds)(have) => Some(have),
        _ => None,
    };
    let (reply, answered) = oneshot::channel();
    let joining = Joining { author: author.clone(), have, outbox: Arc::downgrade(outbox), reply };
    door.inputs.send(Incoming::Join(joining)).await.map_err(|_| gone())?;
    let (connection, welcome) =
        answered.await.map_err(|_| gone())?.map_err(|NotIn { reason, retry }| FromHub::Refuse { reason, retry })?;
    let departure = Departure { inputs: door.inputs.clone(), outbox: outbox.clone(), principal, connection, why: None };
    Ok((author, departure, welcome))
}

/// The name of an observer who goes by that one, marked or not yet.
fn observer(chosen: &Principal) -> Result<Principal, NameError> {
    let name = chosen.short();
    Principal::new(&format!("observer:{}", name.strip_prefix("observer:").unwrap_or(name)))
}

fn gone() -> FromHub {
    FromHub::Refuse { reason: "the hub is ending".to_owned(), retry: true }
}

impl Door {
    async fn note_refusal(&self, principal: Principal, reason: String) {
        let _ = self.inputs.send(Incoming::DoorRefused { principal, reason }).await;
    }
}

/// One message before the client is known.
async fn hear(socket: &mut WebSocketStream<&mut Io>) -> Result<FromClient, FromHub> {
    let refuse = |reason: &str| FromHub::Refuse { reason: reason.to_owned(), retry: false };
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) if text.len() <= PRE_AUTH_BYTES_MAX => {
                return serde_json::from_str(text.as_str())
                    .map_err(|_| refuse("a message that this protocol does not have"));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Text(_))) => return Err(refuse("the message is too large")),
            _ => return Err(refuse("a message that this protocol does not have")),
        }
    }
}

/// Requests, until the connection ends: why it did, and the close frame.
async fn listen(
    door: &Arc<Door>,
    socket: &mut WebSocketStream<&mut Io>,
    outbox: &Arc<Outbox>,
    author: &Author,
    connection: u64,
) -> (String, bytes::Bytes) {
    let mut heard = Instant::now();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut looked, mut silent) = (Instant::now(), false);
    let told = |quiet: Option<Duration>| {
        door.inputs.send(Incoming::Silent { principal: author.principal.clone(), connection, quiet })
    };
    let (mut tokens, mut filled) = (BURST, Instant::now());
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            _ = look.tick() => {
                // The hub itself was stopped or starved meanwhile: nobody was silent, nobody was listened to.
                if looked.elapsed() > LOOK * 3 {
                    heard = Instant::now();
                }
                looked = Instant::now();
                let quiet = heard.elapsed();
                if quiet > DEAD {
                    let why = format!("silent for {} s", DEAD.as_secs());
                    let frame = close_frame(1001, &why);
                    return (why, frame);
                }
                if quiet > SILENT && !silent {
                    silent = true;
                    let _ = told(Some(quiet)).await; // a hub that ended tells nobody
                }
                if quiet > QUIET {
                    outbox.push(&ping_frame());
                }
                continue;
            }
        };
        heard = Instant::now();
        if std::mem::take(&mut silent) {
            let _ = told(None).await;
        }
        // Control frames too: each ping costs an answer.
        tokens = (tokens + filled.elapsed().as_secs_f64() * MESSAGES_PER_SECOND).min(BURST);
        filled = Instant::now();
        if tokens < 1.0 {
            tokio::time::sleep(Duration::from_secs_f64((1.0 - tokens) / MESSAGES_PER_SECOND)).await;
        }
        tokens -= 1.0;
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_))) | None => return ("left".to_owned(), close_frame(1000, "")),
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                return ("sent a message over 64 KiB".to_owned(), close_frame(1009, "at most 64 KiB a message"));
            }
            Some(Ok(_)) => return ("sent a binary message".to_owned(), close_frame(1003, "text messages only")),
            Some(Err(Error::Utf8(_))) => {
                return ("sent a text message that is not UTF-8".to_owned(), close_frame(1007, "not UTF-8"));
            }
            Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::Io(_))) => {
                return ("connection lost".to_owned(), close_frame(1002, ""));
            }
            Some(Err(_)) => {
                return ("broke the websocket protocol".to_owned(), close_frame(1002, "not the websocket protocol"));
            }
        };
        match serde_json::from_str(text.as_str()) {
            Ok(FromClient::Ask { id, request, signed }) => {
                let author = Box::new(Author { signed, ..author.clone() });
                let ask = Incoming::Ask { author, connection, id, request, outbox: Arc::downgrade(outbox) };
                if door.inputs.send(ask).await.is_err() {
                    return ("the hub ended".to_owned(), close_frame(1001, "the hub ended"));
                }
            }
            Ok(FromClient::Ping { id, .. }) => {
                outbox.push(&binary_frame(&FromHub::Pong { id, at: (door.now)() }.encode()));
            }
            Ok(_) => return ("spoke out of turn".to_owned(), close_frame(1002, "out of turn")),
            Err(_) => {
                return (
                    "sent a message this protocol does not have".to_owned(),
                    close_frame(1007, "not a message of this protocol"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observer_is_marked_once_and_cannot_be_anybody_else() {
        let named = |name: &str| observer(&Principal::new(name).unwrap()).unwrap().to_string();
        assert_eq!(named("kim"), "observer:kim");
        assert_eq!(named("kim@example.org"), "observer:kim");
        // What a client that marks its name itself has signed.
        assert_eq!(named("observer:kim"), "observer:kim");
    }
}

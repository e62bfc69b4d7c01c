//! A participant: connects, proves who it is, folds what comes, and publishes the newest state.
//!
//! The lines it folds are the bytes the hub hashed: number and link of each are checked before it counts. When the
//! connection breaks it comes back with growing patience and resumes after the last line it holds.

pub mod connect;
pub mod view;

use crate::clock::{self, At};
use crate::identity::{Key, random_hex};
use crate::name::Principal;
use crate::protocol::{Binary, FromClient, FromHub, Refused, VERSIONS, join_statement};
use crate::session::{Request, Session, story};
use crate::transcript::record::{Head, Line};
use connect::{ConnectError, Socket};
use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};
use view::{Link, View};

/// How often the hub is pinged.
const PING: Duration = Duration::from_secs(3);
/// A hub that says nothing for so long is lost; it answers every ping.
const SILENT: Duration = Duration::from_secs(9);
/// From connecting to the first state.
const GREETING: Duration = Duration::from_secs(20);
/// The shortest time between two published states, but for the last of a burst, which is never held back longer.
const PUBLISH: Duration = Duration::from_millis(33);
/// Notices that may wait for a reader; then the client reads no further, and the hub lets it fall behind.
const NOTICES: usize = 1024;

/// How to join.
pub struct Options {
    /// Where, and with which secret.
    pub link: crate::link::Link,
    /// The name an observer goes by.
    pub name: Option<Principal>,
    /// The key to prove.
    pub key: Key,
    /// `USER@BASTION`: reach the hub through `ssh -W`.
    pub via: Option<String>,
}

/// Something that happened, in order.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A line that is news was folded.
    Line {
        /// The line.
        line: Arc<Line>,
        /// Its sentence.
        told: String,
    },
    /// An answer; everything up to `head` is folded and published.
    Answer {
        /// Which request.
        id: u64,
        /// Why not.
        refusal: Option<Refused>,
    },
    /// The connection changed its state.
    Link(Link),
    /// The hub lost its transcript.
    Dying(String),
    /// It is over: the session is closed (`None`), or there is no way back in.
    Over(Option<String>),
}

/// Why somebody could not join.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum JoinError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{reason}")]
    Refused { reason: String, retry: bool },
    #[error("the hub does not keep to the protocol: {0}")]
    Protocol(String),
    #[error("the hub shows another history than before: {0}\nhint: do not go on; compare transcripts with the crew")]
    Fork(String),
    #[error(transparent)]
    Key(#[from] crate::identity::KeyError),
}
impl JoinError {
    fn is_final(&self) -> bool {
        use ConnectError::OtherCertificate;
        matches!(
            self,
            JoinError::Refused { retry: false, .. } | JoinError::Fork(_) | JoinError::Connect(OtherCertificate { .. })
        )
    }
}

/// A joined client. Dropping it leaves.
pub struct Client {
    /// The newest state.
    pub view: watch::Receiver<View>,
    /// What happens, in order. Must be read on, or the client falls behind.
    pub notices: mpsc::Receiver<Notice>,
    asks: mpsc::Sender<(u64, Request)>,
    next_id: u64,
    task: tokio::task::JoinHandle<()>,
}

/// Asks on behalf of a client.
#[derive(Clone)]
pub struct Asker(mpsc::Sender<(u64, Request)>);
impl Asker {
    /// Sends a request whose answer nobody waits for by number.
    pub fn ask(&self, request: Request) -> bool {
        self.0.try_send((0, request)).is_ok()
    }
}

impl Client {
    /// Connects, proves the key and waits for the first state.
    pub async fn join(options: Options) -> Result<Client, JoinError> {
        let (socket, welcomed) = greet(&options, None).await?;
        let (view_out, view) = watch::channel(welcomed.view());
        let (notice, notices) = mpsc::channel(NOTICES);
        let (asks, asked) = mpsc::channel(64);
        let run = Run { options, state: welcomed, view: view_out, notice, asked };
        let task = tokio::spawn(run.run(socket));
        Ok(Client { view, notices, asks, next_id: 0, task })
    }

    /// Sends a request; its answer comes as a notice with this number.
    pub async fn ask(&mut self, request: Request) -> u64 {
        self.next_id += 1;
        let _ = self.asks.send((self.next_id, request)).await; // a client that is over says so by its last notice
        self.next_id
    }

    /// A handle that asks.
    pub fn asker(&self) -> Asker {
        Asker(self.asks.clone())
    }
}
impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a client knows.
struct State {
    me: Principal,
    role: crate::event::Role,
    session: Session,
    head: Head,
    link: Link,
    screen: Option<Arc<crate::protocol::Screen>>,
    dying: Option<String>,
    hub_ahead_micros: i64,
}
impl State {
    fn view(&self) -> View {
        View {
            session: Arc::new(self.session.clone()),
            me: self.me.clone(),
            role: self.role,
            link: self.link.clone(),
            screen: self.screen.clone(),
            dying: self.dying.clone(),
            hub_ahead_micros: self.hub_ahead_micros,
        }
    }
}

async fn say(socket: &mut Socket, message: &FromClient) -> Result<(), JoinError> {
    let text = serde_json::to_string(message).map_err(|error| JoinError::Protocol(error.to_string()))?;
    let sent = timeout(GREETING, socket.send(Message::text(text))).await;
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ConnectError::Lost(lost(&error)).into()),
        Err(_) => Err(ConnectError::Lost("the hub takes nothing".to_owned()).into()),
    }
}

const BROKE_OFF: &str = "the connection broke off";

/// Why a connection ended. What a hub that died or a network that broke looks like has one name here; the libraries' words
/// for it are about frames and records.
fn lost(error: &Error) -> String {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => BROKE_OFF.to_owned(),
        Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => BROKE_OFF.to_owned(),
        error => error.to_string(),
    }
}

async fn hear(socket: &mut Socket) -> Result<FromHub, JoinError> {
    loop {
        return match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => match Binary::decode(&bytes) {
                Ok(Binary::Message(FromHub::Refuse { reason, retry })) => {
                    Err(JoinError::Refused { reason: crate::name::shown(&reason), retry })
                }
                Ok(Binary::Message(message)) => Ok(message),
                Ok(Binary::Screen(_)) => continue,
                Err(error) => Err(JoinError::Protocol(error.to_string())),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map(|frame| crate::name::shown(frame.reason.as_str())).unwrap_or_default();
                Err(ConnectError::Lost(format!("the hub closed the connection {why}")).into())
            }
            Some(Ok(_)) => Err(JoinError::Protocol("a line before the welcome".to_owned())),
            Some(Err(error)) => Err(ConnectError::Lost(lost(&error)).into()),
            None => Err(ConnectError::Lost("the hub closed the connection".to_owned()).into()),
        };
    }
}

/// From nothing to a state: a fresh one from a snapshot, or `before` where the hub goes on from it.
async fn greet(options: &Options, before: Option<&State>) -> Result<(Socket, State), JoinError> {
    match timeout(GREETING, greet_in_time(options, before)).await {
        Ok(greeted) => greeted,
        Err(_) => Err(ConnectError::Lost(format!("no welcome within {} s", GREETING.as_secs())).into()),
    }
}

async fn greet_in_time(options: &Options, before: Option<&State>) -> Result<(Socket, State), JoinError> {
    let (mut socket, channel) = connect::connect(&options.link, options.via.as_deref()).await?;
    let unexpected = |what: &FromHub| JoinError::Protocol(format!("{what:.80?} out of turn"));
    say(&mut socket, &FromClient::Knock { versions: VERSIONS.to_vec(), token: options.link.token.clone() }).await?;
    let (session, named, hub_nonce) = match hear(&mut socket).await? {
        FromHub::Hello { version, session, principal, nonce } if VERSIONS.contains(&version) => {
            (session, principal, nonce)
        }
        other => return Err(unexpected(&other)),
    };
    if session != options.link.session {
        let reason = "the hub at this address flies another session than the link names".to_owned();
        return Err(JoinError::Refused { reason, retry: false });
    }
    let public = options.key.public();
    let chosen = options.name.clone().or_else(|| options.link.principal.clone());
    let principal = match (named, chosen) {
        (Some(named), Some(chosen)) if named != chosen => {
            let reason = format!("this personal link is for {named}, not for {chosen}");
            return Err(JoinError::Refused { reason, retry: false });
        }
        (Some(named), _) => named,
        // Observers choose a name; the hub marks it so that it can be nobody else's.
        (None, chosen) => {
            let digest = crate::hash::Hash::of(public.to_string().as_bytes()).to_string();
            let name = chosen.map_or_else(|| digest[..8].to_owned(), |name| name.short().to_owned());
            let name = name.strip_prefix("observer:").unwrap_or(&name);
            Principal::new(&format!("observer:{name}")).map_err(|error| JoinError::Protocol(error.to_string()))?
        }
    };
    let have = before.map(|state| state.head);
    let nonce = random_hex(32)?;
    let statement = join_statement(&channel, &session, &hub_nonce, &nonce, &principal, have);
    let auth = FromClient::Auth {
        key: public.to_string(),
        principal: principal.clone(),
        nonce,
        have,
        signature: options.key.sign(&statement),
    };
    say(&mut socket, &auth).await?;
    let (role, at, head, snapshot, from) = match hear(&mut socket).await? {
        FromHub::Welcome { role, at, head, snapshot, from, .. } => (role, at, head, snapshot, from),
        other => return Err(unexpected(&other)),
    };
    let hub_ahead_micros = at.micros() - clock::wall().micros();
    let link = Link::Live { rtt: Duration::ZERO };
    let state =
        |session, head| State { me: principal, role, session, head, link, screen: None, dying: None, hub_ahead_micros };
    match (snapshot, before) {
        (false, Some(before)) if from == before.head.seq + 1 => {
            let mut state = state(before.session.clone(), before.head);
            state.screen = before.screen.clone();
            Ok((socket, state))
        }
        (true, Some(before)) => Err(JoinError::Fork(match head.seq < before.head.seq {
            true => format!("it ends at line {}, but it showed line {} before", head.seq, before.head.seq),
            false => format!("its line {} is not the one it showed before", before.head.seq),
        })),
        (true, None) => {
            let session = receive_snapshot(&mut socket, head).await?;
            Ok((socket, state(session, head)))
        }
        (false, _) => Err(JoinError::Protocol("it goes on from a line nobody named".to_owned())),
    }
}

async fn receive_snapshot(socket: &mut Socket, expected: Head) -> Result<Session, JoinError> {
    /// Parts of one snapshot at most: 64 MiB, a hundred times the largest session that was ever seen.
    const PARTS_MAX: u32 = 1024;
    let mut text = String::new();
    let mut next = 0;
    loop {
        match hear(socket).await? {
            FromHub::Snapshot { head, part, parts, text: piece }
                if head == expected && part == next && parts <= PARTS_MAX =>
            {
                text.push_str(&piece);
                next += 1;
                if next == parts {
                    return serde_json::from_str(&text)
                        .map_err(|error| JoinError::Protocol(format!("its snapshot cannot be read: {error}")));
                }
            }
            other => return Err(JoinError::Protocol(format!("{other:.80?} out of turn"))),
        }
    }
}

/// How a connection ended.
enum End {
    /// The session is closed.
    Closed,
    /// Nobody listens to this client any more.
    Dropped,
    /// Try again.
    Lost(String),
    /// Do not.
    Final(String),
}

struct Run {
    options: Options,
    state: State,
    view: watch::Sender<View>,
    notice: mpsc::Sender<Notice>,
    asked: mpsc::Receiver<(u64, Request)>,
}

impl Run {
    async fn run(mut self, socket: Socket) {
        let mut socket = Some(socket);
        loop {
            let end = match socket.take() {
                Some(socket) => self.stay(socket).await,
                None => return,
            };
            match end {
                End::Dropped => return,
                End::Closed => return self.over(None).await,
                End::Final(why) => return self.over(Some(why)).await,
                End::Lost(why) => match self.come_back(why).await {
                    Ok(again) => socket = Some(again),
                    Err(End::Final(why)) => return self.over(Some(why)).await,
                    Err(_) => return,
                },
            }
        }
    }

    async fn over(&mut self, why: Option<String>) {
        if let Some(why) = &why {
            self.state.link = Link::Lost { since: clock::wall(), why: why.clone(), tries: 0 };
        }
        self.publish();
        let _ = self.notice.send(Notice::Over(why)).await;
    }

    fn publish(&self) {
        self.view.send_replace(self.state.view());
    }

    /// Tries again, half a second at first, ten at most, each time a little differently so that a crew does not come
    /// back in one blow.
    async fn come_back(&mut self, why: String) -> Result<Socket, End> {
        let since = clock::wall();
        let mut wait = Duration::from_millis(500);
        let mut why = crate::name::shown(&why);
        for tries in 0.. {
            self.state.link = Link::Lost { since, why: why.clone(), tries };
            self.publish();
            if self.notice.send(Notice::Link(self.state.link.clone())).await.is_err() {
                return Err(End::Dropped);
            }
            let until = Instant::now() + wait.mul_f64(0.75 + 0.5 * jitter());
            wait = (wait * 2).min(Duration::from_secs(10));
            loop {
                tokio::select! {
                    () = sleep_until(until) => break,
                    ask = self.asked.recv() => match ask {
                        Some((id, request)) => self.answer_lost(id, &request, "the hub cannot be reached").await,
                        None => return Err(End::Dropped),
                    },
                }
            }
            match greet(&self.options, Some(&self.state)).await {
                Ok((socket, state)) => {
                    self.state = state;
                    self.publish();
                    let _ = self.notice.send(Notice::Link(self.state.link.clone())).await;
                    return Ok(socket);
                }
                Err(error) if error.is_final() => return Err(End::Final(error.to_string())),
                Err(error) => why = crate::name::shown(&error.to_string()),
            }
        }
        Err(End::Dropped)
    }

    async fn answer_lost(&self, id: u64, request: &Request, why: &str) {
        let refusal = Refused {
            request: request.describe(),
            reason: why.to_owned(),
            hint: Some("what the session shows once it is back is what happened".to_owned()),
        };
        let _ = self.notice.send(Notice::Answer { id, refusal: Some(refusal) }).await;
    }

    /// One connection, until it ends.
    async fn stay(&mut self, mut socket: Socket) -> End {
        let mut pending: Vec<(u64, Request)> = vec![];
        let end = self.exchange(&mut socket, &mut pending).await;
        self.publish();
        for (id, request) in pending {
            self.answer_lost(id, &request, "the connection was lost before the answer came").await;
        }
        end
    }

    async fn exchange(&mut self, socket: &mut Socket, pending: &mut Vec<(u64, Request)>) -> End {
        let mut ping = tokio::time::interval(PING);
        let (mut pinged, mut pings) = (Instant::now(), 0);
        let (mut heard, mut published, mut dirty) = (Instant::now(), Instant::now(), false);
        let mut answers: Vec<(u64, u64, Option<Refused>)> = vec![];
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                () = sleep_until(published + PUBLISH), if dirty => {
                    (published, dirty) = (Instant::now(), false);
                    self.publish();
                    continue;
                }
                ask = self.asked.recv() => {
                    let Some((id, request)) = ask else { return End::Dropped };
                    if let Err(error) = say(socket, &FromClient::Ask { id, request: request.clone() }).await {
                        pending.push((id, request));
                        return End::Lost(error.to_string());
                    }
                    // Nobody waits for the answer of number 0.
                    if id != 0 {
                        pending.push((id, request));
                    }
                    continue;
                }
                _ = ping.tick() => {
                    if heard.elapsed() > SILENT {
                        return End::Lost(format!("the hub said nothing for {} s", SILENT.as_secs()));
                    }
                    (pinged, pings) = (Instant::now(), pings + 1);
                    if let Err(error) = say(socket, &FromClient::Ping { id: pings, head: self.state.head }).await {
                        return End::Lost(error.to_string());
                    }
                    continue;
                }
            };
            heard = Instant::now();
            match message {
                Some(Ok(Message::Text(text))) => match self.fold(text.as_str().as_bytes()).await {
                    Ok(()) => dirty = true,
                    Err(end) => return end,
                },
                Some(Ok(Message::Binary(bytes))) => match Binary::decode(&bytes) {
                    Ok(Binary::Screen(screen)) => {
                        self.state.screen = Some(Arc::new(screen));
                        dirty = true;
                    }
                    Ok(Binary::Message(FromHub::Answer { id, head, refusal })) => answers.push((id, head, refusal)),
                    Ok(Binary::Message(FromHub::Pong { id, at })) if id == pings => {
                        self.measure(pinged.elapsed(), at);
                        dirty = true;
                    }
                    Ok(Binary::Message(FromHub::Pong { .. })) => {}
                    Ok(Binary::Message(FromHub::Dying { why })) => {
                        let why = crate::name::shown(&why);
                        self.state.dying = Some(why.clone());
                        dirty = true;
                        let _ = self.notice.send(Notice::Dying(why)).await;
                    }
                    Ok(Binary::Message(FromHub::Refuse { reason, .. })) => {
                        return End::Final(crate::name::shown(&reason));
                    }
                    Ok(Binary::Message(other)) => return End::Lost(format!("{other:.80?} out of turn")),
                    Err(error) => return End::Lost(error.to_string()),
                },
                Some(Ok(_)) if self.state.session.closed.is_some() => return End::Closed,
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|frame| frame.reason.as_str().to_owned()).unwrap_or_default();
                    return End::Lost(format!("the hub closed the connection: {why}"));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None if self.state.session.closed.is_some() => return End::Closed,
                Some(Err(error)) => return End::Lost(lost(&error)),
                None => return End::Lost(BROKE_OFF.to_owned()),
            }
            // An answer counts once everything it led to is folded and shown.
            while let Some(index) = answers.iter().position(|(_, head, _)| *head <= self.state.head.seq) {
                let (id, _, refusal) = answers.swap_remove(index);
                pending.retain(|(waiting, _)| *waiting != id);
                self.publish();
                (published, dirty) = (Instant::now(), false);
                if id == 0 {
                    continue;
                }
                if self.notice.send(Notice::Answer { id, refusal }).await.is_err() {
                    return End::Dropped;
                }
            }
            if dirty && published.elapsed() >= PUBLISH {
                (published, dirty) = (Instant::now(), false);
                self.publish();
            }
        }
    }

    fn measure(&mut self, rtt: Duration, hub: At) {
        self.state.link = Link::Live { rtt };
        let half = i64::try_from(rtt.as_micros() / 2).unwrap_or(0);
        self.state.hub_ahead_micros = hub.micros() + half - clock::wall().micros();
    }

    async fn fold(&mut self, bytes: &[u8]) -> Result<(), End> {
        let (line, head) = Line::decode(bytes, self.state.head).map_err(|error| {
            let text = error.to_string();
            match error {
                crate::transcript::record::LinkError::UnknownKind { .. } => End::Final(text),
                _ => End::Final(format!("the hub sent a line that does not follow from the ones before: {text}")),
            }
        })?;
        let told = story(&self.state.session, &line);
        self.state.session.apply(&line);
        self.state.head = head;
        match told {
            Some(told) => {
                let notice = Notice::Line { line: Arc::new(line), told };
                match self.notice.try_send(notice) {
                    Ok(()) => Ok(()),
                    Err(mpsc::error::TrySendError::Closed(_)) => Err(End::Dropped),
                    Err(mpsc::error::TrySendError::Full(notice)) => {
                        // The reader may be waiting for the state that goes with a line it has: without this each
                        // would wait for the other.
                        self.publish();
                        self.notice.send(notice).await.map_err(|_| End::Dropped)
                    }
                }
            }
            None => Ok(()),
        }
    }
}

/// A number from 0 to 1.
fn jitter() -> f64 {
    random_hex(1).ok().and_then(|hex| u8::from_str_radix(&hex, 16).ok()).map_or(0.5, |byte| f64::from(byte) / 255.0)
}

//! A participant: connects, proves who it is, folds what comes, and publishes the newest state.
//!
//! The lines it folds are the bytes the hub hashed: number and link of each are checked before it counts. When the
//! connection breaks it comes back with growing patience and resumes after the last line it holds.

pub mod asks;
pub mod connect;
mod greet;
pub mod heads;
pub mod view;

use crate::clock::{self, At};
use crate::event::Event;
use crate::identity::Key;
use crate::identity::random_hex;
use crate::name::Principal;
use crate::protocol::{Binary, FromClient, FromHub, Refused};
use crate::session::signing::{self, Act, Standing};
use crate::session::{Request, Session, story};
use crate::transcript::record::{Head, Line, LinkError};
use crate::trust::key::PublicKey;
use crate::trust::signer::Signer;
use crate::trust::statement::{Signed, Statement};
use asks::{Asker, Pending, in_words};
use connect::{ConnectError, Socket};
use futures_util::StreamExt as _;
use greet::{BROKE_OFF, greet, lost, say};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use view::{Link, View};

/// How often the hub is pinged.
const PING: Duration = Duration::from_secs(3);
/// A hub that says nothing for so long is lost; it answers every ping.
const SILENT: Duration = Duration::from_secs(9);
/// The shortest time between two published states, but for the last of a burst, which is never held back longer.
const PUBLISH: Duration = Duration::from_millis(33);
/// How often a signed head is kept at most.
const KEEP: Duration = Duration::from_secs(2);
/// Notices that may wait for a reader; then the client reads no further, and the hub lets it fall behind.
const NOTICES: usize = 1024;

/// How to join.
pub struct Options {
    /// Where, and with which secret.
    pub link: crate::link::Link,
    /// The name an observer goes by.
    pub name: Option<Principal>,
    /// Who signs.
    pub keys: Keys,
    /// `USER@BASTION`: reach the hub through `ssh -W`.
    pub via: Option<String>,
    /// Where the last head that the hub signed is kept, beyond this process: a hub that later shows less, or something
    /// else in its place, is found out.
    pub heads: Option<PathBuf>,
}

/// Where a client's key comes from.
pub enum Keys {
    /// It is given.
    Given(Arc<Signer>),
    /// It is looked for once the hub has said whose keys it knows.
    Find {
        /// The file that the person named.
        file: Option<PathBuf>,
        /// Where the key made for one session is kept, for sessions that take any.
        own: PathBuf,
    },
}

impl Keys {
    /// The key to join with. `known`: fingerprints of this person's keys, where only those count.
    async fn choose(&self, known: Option<&[String]>) -> Result<Arc<Signer>, JoinError> {
        Ok(match (self, known) {
            (Keys::Given(signer), _) => signer.clone(),
            (Keys::Find { file: None, own }, None) => Signer::Own(Key::load_or_make(own)?).into(),
            (Keys::Find { file, .. }, known) => {
                let wanted = |key: &PublicKey| known.is_none_or(|known| known.contains(&key.fingerprint()));
                let found = Signer::find(file.as_deref(), wanted).await;
                let signer = found.map_err(|error| JoinError::Signature(error.to_string()))?;
                signer.ready().await.map_err(|error| JoinError::Signature(error.to_string()))?.into()
            }
        })
    }
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
    /// An answer, of the hub or for want of one; everything it led to is folded and published.
    Answer {
        /// Which request, by its number.
        id: u64,
        /// What was asked.
        request: Request,
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
    #[error("{0}")]
    Signature(String),
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
    asker: Asker,
    key: String,
    task: tokio::task::JoinHandle<()>,
}

impl Client {
    /// Connects, proves the key and waits for the first state.
    pub async fn join(options: Options) -> Result<Client, JoinError> {
        let (socket, welcomed) = greet(&options, None).await?;
        let key = welcomed.signer.describe();
        let (view_out, view) = watch::channel(welcomed.view());
        let (notice, notices) = mpsc::channel(NOTICES);
        let (asks, asked) = mpsc::channel(64);
        let run =
            Run { options, state: welcomed, view: view_out, notice, asked, offered: (None, false), kept_at: None };
        let task = tokio::spawn(run.run(socket));
        Ok(Client { view, notices, asker: Asker::new(asks), key, task })
    }

    /// Which key signs for this person, in words for them.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Sends a request; its answer comes as a notice with this number.
    pub async fn ask(&mut self, request: Request) -> u64 {
        self.asker.ask_in_turn(request).await
    }

    /// A handle that asks.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }
}
impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a client knows.
struct State {
    /// Who signs for this person.
    signer: Arc<Signer>,
    /// The head that this machine kept of an earlier visit.
    kept: Option<Head>,
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
    /// Folds the next line in, and tells it: its link, its number and its signature hold, or it does not count.
    fn fold(&mut self, bytes: &[u8]) -> Result<(Line, Option<String>), String> {
        let (line, head) = Line::decode(bytes, self.head).map_err(|error| match error {
            LinkError::UnknownKind { .. } => error.to_string(),
            _ => format!("the hub sent a line that does not follow from the ones before: {error}"),
        })?;
        signing::verify_line(&self.session, &line)
            .map_err(|error| format!("the hub sent line {}, a {}, and {error}", line.seq, line.event.kind()))?;
        if let Some(kept) = self.kept.filter(|kept| kept.seq == head.seq && kept.hash != head.hash) {
            return Err(format!(
                "the hub shows another history than before: line {} is not the one it signed when this machine was here",
                kept.seq
            ));
        }
        let told = story(&self.session, &line);
        self.session.apply(&line, head.hash);
        self.head = head;
        Ok((line, told))
    }

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

/// A request whose signature was made, or could not be.
type Signing = (u64, Request, Result<Option<Signed>, String>);

struct Run {
    options: Options,
    state: State,
    view: watch::Sender<View>,
    notice: mpsc::Sender<Notice>,
    asked: mpsc::Receiver<(u64, Request)>,
    /// What was signed on this connection without being asked for: for which lead the hub's key, and the end.
    offered: (Option<Principal>, bool),
    /// When a head was kept last.
    kept_at: Option<Instant>,
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
        // Whoever asked while the end came has nobody else to hear it from; from here on nothing more is taken.
        self.asked.close();
        while let Some((id, request)) = self.asked.recv().await {
            self.answer_lost(id, request, why.as_deref().unwrap_or("the session is closed")).await;
        }
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
                        Some((id, request)) => self.answer_lost(id, request, UNREACHABLE).await,
                        None => return Err(End::Dropped),
                    },
                }
            }
            let greeted = {
                let greeting = greet(&self.options, Some(&self.state));
                tokio::pin!(greeting);
                loop {
                    // A greeting may take as long as a person looks for their key: nobody waits that long for an answer.
                    tokio::select! {
                        greeted = &mut greeting => break greeted,
                        ask = self.asked.recv() => match ask {
                            Some((id, request)) => answer_lost(&self.notice, id, request, UNREACHABLE).await,
                            None => return Err(End::Dropped),
                        },
                    }
                }
            };
            match greeted {
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

    async fn answer_lost(&self, id: u64, request: Request, why: &str) {
        answer_lost(&self.notice, id, request, why).await;
    }

    /// One connection, until it ends.
    async fn stay(&mut self, mut socket: Socket) -> End {
        let mut pending = Pending::default();
        self.offered = (None, false);
        let end = self.exchange(&mut socket, &mut pending).await;
        self.publish();
        for asked in pending.into_lost() {
            self.answer_lost(asked.id, asked.request, "the connection was lost before the answer came").await;
        }
        end
    }

    async fn exchange(&mut self, socket: &mut Socket, pending: &mut Pending) -> End {
        let mut ping = tokio::time::interval(PING);
        let (mut pinged, mut pings) = (Instant::now(), 0);
        let (mut heard, mut published, mut dirty) = (Instant::now(), Instant::now(), false);
        let mut answers: Vec<(u64, u64, Option<Refused>)> = vec![];
        // A key may be in an agent that asks its person first: the session goes on meanwhile.
        let mut signing: JoinSet<Signing> = JoinSet::new();
        loop {
            if let Some(request) = self.owed() {
                self.start_signing(&mut signing, 0, request);
            }
            for (id, request) in pending.ready(&self.state.session) {
                if let Err(end) = self.send(socket, &mut signing, id, request).await {
                    return end;
                }
            }
            let due = pending.due();
            let message = tokio::select! {
                message = socket.next() => message,
                () = sleep_until(published + PUBLISH), if dirty => {
                    (published, dirty) = (Instant::now(), false);
                    self.publish();
                    continue;
                }
                ask = self.asked.recv() => {
                    let Some((id, request)) = ask else { return End::Dropped };
                    if !pending.add(&self.state.session, id, &request, Instant::now())
                        && let Err(end) = self.send(socket, &mut signing, id, request).await
                    {
                        return end;
                    }
                    continue;
                }
                () = sleep_until(due.unwrap_or(published)), if due.is_some() => {
                    let now = Instant::now();
                    for (asked, refusal) in pending.in_vain(&self.state.session, now) {
                        self.answer(asked.id, asked.request, Some(refusal)).await;
                    }
                    for (id, request) in pending.late(&self.state.session, now) {
                        if let Err(end) = self.send(socket, &mut signing, id, request).await {
                            return end;
                        }
                    }
                    continue;
                }
                Some(Ok((id, request, signed))) = signing.join_next() => {
                    match signed {
                        Ok(signed) => {
                            let ask = FromClient::Ask { id, request, signed };
                            if let Err(error) = say(socket, &ask).await {
                                return End::Lost(error.to_string());
                            }
                        }
                        Err(why) => {
                            pending.take(id);
                            self.answer_unsigned(id, request, why).await;
                        }
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
                let (id, _, refusal) = answers.remove(index); // in the order they came
                self.publish();
                (published, dirty) = (Instant::now(), false);
                // What the client asked by itself nobody waits for.
                let Some(asked) = pending.take(id) else { continue };
                let refusal = refusal.map(|refusal| in_words(&asked.request, refusal));
                if !self.answer(id, asked.request, refusal).await {
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

    /// What this person signs without being asked: the lead vouches for the hub's key, the crew who are here sign the end.
    fn owed(&mut self) -> Option<Request> {
        let session = &self.state.session;
        let me = &self.state.me;
        if *me == session.lead && session.vouched.as_ref() != Some(me) && self.offered.0.as_ref() != Some(me) {
            self.offered.0 = Some(me.clone());
            return Some(Request::Vouch);
        }
        if !self.offered.1 && session.owes_close().contains(&me) {
            self.offered.1 = true;
            return Some(Request::SignClose);
        }
        None
    }

    /// Sends a request, signed first where it is an act whose object is here. Where that is gone there is nothing to sign,
    /// and the hub says why better than this client.
    async fn send(
        &self,
        socket: &mut Socket,
        signing: &mut JoinSet<Signing>,
        id: u64,
        request: Request,
    ) -> Result<(), End> {
        if signing::standing(&self.state.session, &request) == Standing::Here {
            self.start_signing(signing, id, request);
            return Ok(());
        }
        let asked = say(socket, &FromClient::Ask { id, request, signed: None }).await;
        asked.map_err(|error| End::Lost(error.to_string()))
    }

    /// Whether anybody is left to hear it.
    async fn answer(&self, id: u64, request: Request, refusal: Option<Refused>) -> bool {
        self.notice.send(Notice::Answer { id, request, refusal }).await.is_ok()
    }

    /// Signs what this client itself has folded and shows: never what the hub says is to be signed.
    fn start_signing(&self, signing: &mut JoinSet<Signing>, id: u64, request: Request) {
        let (session, me, signer) = (&self.state.session, &self.state.me, self.state.signer.clone());
        let at = At::from_micros(clock::wall().micros() + self.state.hub_ahead_micros);
        let statement = Act::of_request(&request)
            .and_then(|act| signing::statement(session, act, me, &signer.public().fingerprint(), at));
        signing.spawn(async move {
            let signed = match statement {
                Some(statement) => made(&signer, &statement).await.map(Some),
                None => Ok(None), // there is nothing to answer, and the hub says why better than this client
            };
            (id, request, signed)
        });
    }

    async fn answer_unsigned(&self, id: u64, request: Request, why: String) {
        let hint = Some("nothing was sent; try again once the key can sign".to_owned());
        let refusal = Refused { request: request.describe(), reason: crate::name::shown(&why), hint };
        if id != 0 {
            self.answer(id, request, Some(refusal)).await;
        }
    }

    async fn fold(&mut self, bytes: &[u8]) -> Result<(), End> {
        let (line, told) = self.state.fold(bytes).map_err(End::Final)?;
        if let (Event::CheckpointSigned { size, head, .. }, Some(path)) = (&line.event, &self.options.heads)
            && (self.kept_at.is_none_or(|at| at.elapsed() > KEEP) || self.state.session.closing.is_some())
        {
            self.kept_at = Some(Instant::now());
            heads::keep(path.clone(), Head { seq: *size, hash: *head });
        }
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

/// Why there is no answer while the hub is looked for.
const UNREACHABLE: &str = "the hub cannot be reached";

/// The answer to what no hub will answer.
async fn answer_lost(notice: &mpsc::Sender<Notice>, id: u64, request: Request, why: &str) {
    let refusal = Refused {
        request: request.describe(),
        reason: why.to_owned(),
        hint: Some("what the session shows once it is back is what happened".to_owned()),
    };
    let _ = notice.send(Notice::Answer { id, request, refusal: Some(refusal) }).await;
}

async fn made(signer: &Signer, statement: &Statement) -> Result<Signed, String> {
    let signature = signer.sign(statement.purpose().namespace(), statement.text().as_bytes()).await;
    let signature = signature.map_err(|error| error.to_string())?;
    Ok(Signed { statement: statement.text().to_owned(), signature })
}

/// A number from 0 to 1.
fn jitter() -> f64 {
    random_hex(1).ok().and_then(|hex| u8::from_str_radix(&hex, 16).ok()).map_or(0.5, |byte| f64::from(byte) / 255.0)
}

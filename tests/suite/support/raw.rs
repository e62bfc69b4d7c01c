//! A participant without the program's own client: what somebody else's client, or an attacker's, could send.

use super::wait::PATIENCE;
use crosscheck::client::connect::{self, Socket, Way, connect};
use crosscheck::hub::{Config, Hub};
use crosscheck::identity::{Key, random_hex};
use crosscheck::link::Link;
use crosscheck::name::Principal;
use crosscheck::plan::Plan;
use crosscheck::protocol::{Binary, Channel, FromClient, FromHub, Refused, VERSIONS, join_statement};
use crosscheck::session::signing::{self, Act};
use crosscheck::session::{Request, Session};
use crosscheck::transcript::record::{Head, Line};
use crosscheck::trust::statement::{Purpose, Signed};
use futures_util::{SinkExt as _, StreamExt as _};
use std::path::Path;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

/// A hub in this process, flying that plan in that folder.
pub async fn hub(folder: &Path, plan: &str) -> Hub {
    hub_of(folder, plan, None).await
}

/// The same, or one that rehearses it on those data.
pub async fn hub_of(folder: &Path, plan: &str, data: Option<&str>) -> Hub {
    let config = Config {
        plan: Plan::parse("plan", plan).unwrap(),
        folder: folder.to_owned(),
        params: Default::default(),
        rehearsal: data.map(str::to_owned),
        transcripts: folder.join("transcripts"),
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: None,
        max_participants: 64,
        new: false,
        certificate: None,
    };
    Hub::start(config).await.unwrap()
}

/// One connection that folds what it hears.
pub struct Raw {
    pub socket: Socket,
    /// The session, from the snapshot and the lines after it.
    pub session: Session,
    /// The last line heard.
    pub head: Head,
    /// Every line heard, as its bytes came.
    pub lines: Vec<(u64, String)>,
    /// Every byte heard after the welcome, whatever it was.
    pub heard: Vec<u8>,
    /// What draws the newest screen.
    pub screen: bytes::Bytes,
    me: Principal,
    key: Key,
    answers: Vec<(u64, Option<Refused>)>,
    next: u64,
}

/// What ended a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// A close frame with its code.
    Closed(u16),
    /// The end of the stream, or an error.
    Lost,
}

pub async fn send(socket: &mut Socket, message: &FromClient) {
    let text = serde_json::to_string(message).expect("plain data");
    socket.send(Message::text(text)).await.expect("the hub takes it");
}

/// The next message of a hub that is no line.
pub async fn hear(socket: &mut Socket) -> Result<FromHub, End> {
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("the hub says something in time") {
            Some(Ok(Message::Binary(bytes))) => match Binary::decode(&bytes).expect("the hub keeps to the protocol") {
                Binary::Message(message) => return Ok(message),
                Binary::Screen(_) => {}
            },
            Some(Ok(Message::Close(frame))) => return Err(End::Closed(frame.map_or(0, |frame| frame.code.into()))),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(End::Lost),
        }
    }
}

/// Reads on until the connection ends.
pub async fn end(socket: &mut Socket) -> End {
    loop {
        if let Err(end) = hear(socket).await {
            return end;
        }
    }
}

/// As whom, and from where on.
pub struct Entry {
    pub me: Principal,
    /// The line that a snapshot includes last.
    pub head: Head,
    /// The last line on disk.
    pub upto: u64,
}

/// Up to the welcome; the refusal's text where there is none.
pub async fn enter(link: &str, key: &Key, name: Option<&str>) -> Result<(Socket, Entry), String> {
    let link: Link = link.parse().expect("a link");
    let (socket, channel) = connect(&link, None).await.map_err(|error| error.to_string())?;
    greet(socket, &channel, &link, key, name).await
}

/// The same over a connection that was made otherwise.
pub async fn enter_over(
    stream: tokio::net::TcpStream,
    link: &Link,
    key: &Key,
    name: Option<&str>,
) -> Result<(Socket, Entry), String> {
    let (socket, channel) = upgrade(stream, link).await;
    greet(socket, &channel, link, key, name).await
}

/// TLS over that connection, nothing said inside yet.
pub async fn secure(stream: tokio::net::TcpStream, link: &Link) -> (TlsStream<Way>, Channel) {
    connect::secure(Way::Direct(stream), link, None).await.expect("TLS with the hub")
}

/// A websocket over that connection, nothing said yet.
pub async fn upgrade(stream: tokio::net::TcpStream, link: &Link) -> (Socket, Channel) {
    let (stream, channel) = secure(stream, link).await;
    (connect::upgrade(stream, link).await.expect("an upgrade"), channel)
}

async fn greet(
    mut socket: Socket,
    channel: &Channel,
    link: &Link,
    key: &Key,
    name: Option<&str>,
) -> Result<(Socket, Entry), String> {
    send(&mut socket, &FromClient::Knock { versions: VERSIONS.to_vec(), token: link.token.clone() }).await;
    let (session, named, hub_nonce) = match hear(&mut socket).await {
        Ok(FromHub::Hello { session, principal, nonce, .. }) => (session, principal, nonce),
        Ok(FromHub::Refuse { reason, .. }) => return Err(reason),
        other => return Err(format!("{other:?}")),
    };
    let principal = named.unwrap_or_else(|| Principal::new(&format!("observer:{}", name.unwrap_or("raw"))).unwrap());
    let nonce = random_hex(32).unwrap();
    let statement = join_statement(channel, &session, &hub_nonce, &nonce, &principal, None);
    let signature = key.sign_sshsig(Purpose::Join.namespace(), statement.as_bytes());
    let auth = FromClient::Auth { key: key.public().to_string(), principal, nonce, have: None, signature };
    send(&mut socket, &auth).await;
    match hear(&mut socket).await {
        Ok(FromHub::Welcome { principal, head, upto, .. }) => Ok((socket, Entry { me: principal, head, upto })),
        Ok(FromHub::Refuse { reason, .. }) => Err(reason),
        other => Err(format!("{other:?}")),
    }
}

impl Raw {
    /// Joins and takes the snapshot.
    pub async fn join(link: &str, key: &Key) -> Result<Raw, String> {
        Raw::join_as(link, key, None).await
    }

    /// The same, as an observer of that name.
    pub async fn join_as(link: &str, key: &Key, name: Option<&str>) -> Result<Raw, String> {
        let (mut socket, Entry { me, head, upto }) = enter(link, key, name).await?;
        let mut text = String::new();
        loop {
            match hear(&mut socket).await {
                Ok(FromHub::Snapshot { part, parts, text: piece, .. }) => {
                    text.push_str(&piece);
                    if part + 1 == parts {
                        break;
                    }
                }
                other => return Err(format!("{other:?}")),
            }
        }
        let session = serde_json::from_str(&text).expect("a snapshot is a session");
        let (lines, heard, screen, key) = (vec![], text.into_bytes(), bytes::Bytes::new(), key.clone());
        let mut raw = Raw { socket, session, head, lines, heard, screen, me, key, answers: vec![], next: 0 };
        while raw.head.seq < upto {
            raw.read().await.map_err(|end| format!("{end:?}"))?;
        }
        raw.lines.clear();
        Ok(raw)
    }

    /// Sends a request without waiting for anything.
    pub async fn ask(&mut self, request: Request) -> u64 {
        let signed = self.signed(&request);
        self.ask_with(request, signed).await
    }

    /// Sends a request with whatever somebody signed for it.
    pub async fn ask_with(&mut self, request: Request, signed: Option<Signed>) -> u64 {
        self.next += 1;
        send(&mut self.socket, &FromClient::Ask { id: self.next, request, signed }).await;
        self.next
    }

    /// What this participant signs for it, where it is a request that is signed.
    pub fn signed(&self, request: &Request) -> Option<Signed> {
        let at = crosscheck::clock::wall();
        let act = Act::of_request(request)?;
        let statement = signing::statement(&self.session, act, &self.me, &self.key.public().fingerprint(), at)?;
        let signature = self.key.sign_sshsig(statement.purpose().namespace(), statement.text().as_bytes());
        Some(Signed { statement: statement.text().to_owned(), signature })
    }

    /// The answer to it, read on for.
    pub async fn answer(&mut self, id: u64) -> Option<Refused> {
        loop {
            if let Some(index) = self.answers.iter().position(|(answered, _)| *answered == id) {
                return self.answers.remove(index).1;
            }
            self.read().await.expect("the connection holds until the answer");
        }
    }

    /// Asks and waits; the reason where it is refused.
    pub async fn refusal(&mut self, request: Request) -> Option<String> {
        let id = self.ask(request).await;
        self.answer(id).await.map(|refused| refused.reason)
    }

    /// The same, with whatever somebody signed for it.
    pub async fn refusal_of(&mut self, request: Request, signed: Option<Signed>) -> Option<String> {
        let id = self.ask_with(request, signed).await;
        self.answer(id).await.map(|refused| refused.reason)
    }

    /// Reads on until the session is so.
    pub async fn until(&mut self, what: &str, so: impl Fn(&Session) -> bool) {
        while !so(&self.session) {
            if let Err(end) = self.read().await {
                panic!("{end:?} before {what}");
            }
        }
    }

    /// One message; a line must follow from the one before.
    pub async fn read(&mut self) -> Result<(), End> {
        match timeout(PATIENCE, self.socket.next()).await.expect("the hub says something in time") {
            Some(Ok(Message::Text(text))) => {
                self.heard.extend_from_slice(text.as_bytes());
                let (line, head) = Line::decode(text.as_str().as_bytes(), self.head).expect("the next line");
                self.session.apply(&line, head.hash);
                self.head = head;
                self.lines.push((head.seq, text.as_str().to_owned()));
            }
            Some(Ok(Message::Binary(bytes))) => {
                self.heard.extend_from_slice(&bytes);
                match Binary::decode(&bytes) {
                    Ok(Binary::Message(FromHub::Answer { id, refusal, .. })) => self.answers.push((id, refusal)),
                    Ok(Binary::Screen(screen)) => self.screen = screen.bytes,
                    _ => {}
                }
            }
            Some(Ok(Message::Close(frame))) => return Err(End::Closed(frame.map_or(0, |frame| frame.code.into()))),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(End::Lost),
        }
        Ok(())
    }
}

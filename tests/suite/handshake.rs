//! Who may talk to whom: a client to the hub that its link names and nobody in between, a hub to who proves a key on this
//! very connection. Set E of the tests of trust; each case is one thing that somebody could try.

use crate::support::cases::Cases;
use crate::support::program::Stage;
use crate::support::raw::{self, End, Raw, hear, send};
use crate::support::tls::{acceptor, certificate_of, connect, plain_server, relay};
use crate::support::wait::PATIENCE;
use crosscheck::client::connect::{self as connecting, ConnectError, Socket};
use crosscheck::client::{Client, JoinError, Keys, Notice, Options};
use crosscheck::hash::Hash;
use crosscheck::identity::{Key, random_hex};
use crosscheck::link::Link;
use crosscheck::name::Principal;
use crosscheck::protocol::{Channel, FromClient, FromHub, VERSIONS, join_statement};
use crosscheck::session::Request;
use crosscheck::tls::{ALPN, Certificate};
use crosscheck::transcript::record::Head;
use crosscheck::trust::signer::Signer;
use crosscheck::trust::statement::Purpose;
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::version::{TLS12, TLS13};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const PLAN: &str = r#"
crosscheck = 1
name = "Handshake"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
observer = "link"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_e_who_may_talk_to_whom() {
    let stage = Stage::new(PLAN);
    let standing = Certificate::make().unwrap();
    let _hub = stage.serve(&standing_files(&stage, &standing).each_ref().map(String::as_str));
    let link: Link = stage.links()[LEAD].parse().unwrap();
    let cases = Cases::default();
    who_answers_there(&stage, &link, &cases).await;
    who_is_in_between(&stage, &link, &standing, &cases).await;
    what_is_spoken(&link, &cases).await;
    what_is_said_before_a_proof(&stage, &cases).await;
    what_is_proved(&stage, &cases).await;
    guessing(&stage, &cases).await;
    cases.finish("E", 70);
}

/// The hub gets a certificate that the test has the key of, for what somebody could do who stole it.
fn standing_files(stage: &Stage, certificate: &Certificate) -> [String; 4] {
    let pem = |name: &str, kind: &str, der: &[u8]| stage.pem(name, kind, der).display().to_string();
    let (der, key) = certificate.to_der();
    let (cert, key) = (pem("cert.pem", "CERTIFICATE", der), pem("key.pem", "PRIVATE KEY", key));
    ["--tls-cert".to_owned(), cert, "--tls-key".to_owned(), key]
}

fn address(link: &Link) -> SocketAddr {
    format!("{}:{}", link.host, link.port).parse().unwrap()
}

async fn dial(link: &Link) -> TcpStream {
    TcpStream::connect(address(link)).await.expect("the hub listens")
}

/// What the program's own client says of such a link.
async fn join(link: Link) -> Result<Client, JoinError> {
    let options = Options {
        link,
        name: None,
        keys: Keys::Given(Arc::new(Signer::Own(Key::fresh().unwrap()))),
        via: None,
        heads: None,
    };
    timeout(PATIENCE, Client::join(options)).await.expect("an answer in time")
}

async fn refused(link: Link) -> JoinError {
    join(link).await.err().expect("nobody is joined")
}

/// Whether it was told that somebody else is there, in words that say what to do.
fn is_other_certificate(error: &JoinError) -> bool {
    let text = error.to_string();
    matches!(error, JoinError::Connect(ConnectError::OtherCertificate { .. }))
        && text.contains("somebody is in between")
        && text.contains("do not go on")
}

/// The client's side: whoever answers at the address, it goes on with the hub of its link alone.
async fn who_answers_there(stage: &Stage, link: &Link, cases: &Cases) {
    let at = |port| Link { port, ..link.clone() };
    let mut pin = link.clone();
    pin.certificate = Hash::of(b"another");
    cases.hold(is_other_certificate(&refused(pin).await), "the hub itself, by a link with another pin");

    let theirs = Certificate::make().unwrap();
    let (their_der, their_key) = theirs.to_der();
    let hub_der = certificate_of(address(link)).await;
    assert_eq!(Hash::of(&hub_der), link.certificate);
    let port = relay(acceptor(their_der, their_key, &TLS13, &[ALPN]), address(link)).await;
    cases.hold(is_other_certificate(&refused(at(port)).await), "a relay with a certificate of its own");
    let port = relay(acceptor(&hub_der, their_key, &TLS13, &[ALPN]), address(link)).await;
    cases.hold(
        is_other_certificate(&refused(at(port)).await),
        "a relay that shows the hub's certificate without its key",
    );

    let pinned = |port| Link { port, certificate: theirs.fingerprint(), ..link.clone() };
    let port = relay(acceptor(their_der, their_key, &TLS12, &[ALPN]), address(link)).await;
    let error = refused(pinned(port)).await;
    cases.hold(matches!(error, JoinError::Connect(ConnectError::NoHub { .. })), "a server with TLS 1.2 at most");
    let port = relay(acceptor(their_der, their_key, &TLS13, &[]), address(link)).await;
    let error = refused(pinned(port)).await;
    cases.hold(error.to_string().contains("did not ask for crosscheck/1"), "a server that does not say what it speaks");
    let port = relay(acceptor(their_der, their_key, &TLS13, &[b"h2"]), address(link)).await;
    let error = refused(pinned(port)).await;
    cases.hold(matches!(error, JoinError::Connect(ConnectError::NoHub { .. })), "a server that speaks something else");

    for banner in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2\r\n"] {
        let error = refused(at(plain_server(banner, true).await)).await;
        cases.hold(error.to_string().contains("does not speak TLS"), "a server without TLS");
    }
    let error = refused(at(plain_server(b"", false).await)).await;
    cases.hold(error.to_string().contains("no crosscheck hub"), "a server that hangs up");
    let began = Instant::now();
    let error = refused(at(plain_server(b"", true).await)).await;
    let silent = matches!(error, JoinError::Connect(ConnectError::Silent { .. })) && began.elapsed().as_secs() < 30;
    cases.hold(silent, "a server that says nothing");

    let old = link.to_string().replace(&format!("&fp=sha256:{}", link.certificate), "");
    let error = old.parse::<Link>().unwrap_err().to_string();
    cases.hold(error.contains("ask the lead for a new link"), "a link of a hub without TLS");
    cases.hold(stage.events("Joined").is_empty(), "nobody got in by any of these");
}

/// Whoever is in between has two connections, and what the hub signs for the one does not hold on the other. (What the hub
/// makes of a client that does not mind is in `what_is_proved`.)
async fn who_is_in_between(stage: &Stage, link: &Link, standing: &Certificate, cases: &Cases) {
    let theirs = Certificate::make().unwrap();
    let unproved =
        |error: &JoinError| error.to_string().contains("does not prove the session's key over this very connection");
    let (der, key) = theirs.to_der();
    let port = relay(acceptor(der, key, &TLS13, &[ALPN]), address(link)).await;
    let forged = Link { port, certificate: theirs.fingerprint(), ..link.clone() };
    cases.hold(unproved(&refused(forged).await), "a relay with a link that names its own certificate");
    let (der, key) = standing.to_der();
    let port = relay(acceptor(der, key, &TLS13, &[ALPN]), address(link)).await;
    cases.hold(
        unproved(&refused(Link { port, ..link.clone() }).await),
        "a relay that stole the hub's certificate and key",
    );
    cases.hold(stage.events("Joined").is_empty(), "nobody got in through a relay");

    // One that carries what it cannot read is a network. When it turns, a client that was in does not go on either.
    let honest = crate::reconnect::Proxy::start(link).await;
    let mut client = join(honest.link(link)).await.expect("through a network");
    cases.hold(stage.events("Joined").len() == 1, "through a network");
    let theirs_too = relay(acceptor(theirs.to_der().0, theirs.to_der().1, &TLS13, &[ALPN]), address(link)).await;
    honest.turn_to(SocketAddr::from(([127, 0, 0, 1], theirs_too)));
    let over = loop {
        let notice = timeout(PATIENCE, client.notices.recv()).await.expect("in time").expect("a last word");
        if let Notice::Over(why) = notice {
            break why.unwrap_or_default();
        }
    };
    cases.hold(over.contains("somebody is in between"), "a network that turned while the client was away");
}

/// Whether the hub hangs up, and what it said until then.
async fn hung_up(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut said = vec![];
    let _ = timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the hub hangs up");
    said
}

/// The hub's side: TLS 1.3 with our protocol inside, and an upgrade as only our client asks for it.
async fn what_is_spoken(link: &Link, cases: &Cases) {
    let old = connect(dial(link).await, &TLS12, &[ALPN]).await.unwrap_err();
    cases.hold(old.to_string().contains("ProtocolVersion"), "a client with TLS 1.2");
    let other = connect(dial(link).await, &TLS13, &[b"http/1.1"]).await;
    let said = match other {
        Ok(stream) => hung_up(stream).await,
        Err(_) => vec![],
    };
    cases.hold(said.is_empty(), "a client that speaks something else inside");
    let mut stream = connect(dial(link).await, &TLS13, &[]).await.unwrap();
    let _ = stream.write_all(upgrade("/v1", SPEAKS).as_bytes()).await;
    cases.hold(hung_up(stream).await.is_empty(), "a client that does not say what it speaks");

    let random: Vec<u8> = (0..600).map(|n| (n * 7919 % 251) as u8).collect();
    let client_hello_of_ssl2 = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10";
    for (bytes, what) in [
        (upgrade("/v1", SPEAKS).as_bytes(), "an upgrade without TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "a client of something else"),
        (&random, "garbage"),
        (&[0; 5000], "zeros"),
        (b"\x16\x03\x01\xff\xff", "a record longer than records are"),
        (client_hello_of_ssl2, "SSL 2"),
    ] {
        let mut stream = dial(link).await;
        stream.write_all(bytes).await.unwrap();
        let began = Instant::now();
        let said = hung_up(stream).await;
        // At most an alert, which begins with 21.
        let alert = said.is_empty() || (said[0] == 21 && said.len() < 16);
        cases.hold(alert && began.elapsed() < Duration::from_secs(4), what);
    }

    let (stream, _) = raw::secure(dial(link).await, link).await;
    cases.hold(stream.get_ref().1.alpn_protocol() == Some(ALPN), "our own client says what it speaks");
    for (request, status) in [
        (upgrade("/v1", &format!("{SPEAKS}Origin: https://evil.example\r\n")), "403"),
        (upgrade("/v1", &format!("{SPEAKS}Origin: null\r\n")), "403"),
        (upgrade(&format!("/v1?t={}", link.token), SPEAKS), "404"),
        (upgrade("/v1?", SPEAKS), "404"),
        (upgrade("/", SPEAKS), "404"),
        (upgrade("/v1/", SPEAKS), "404"),
        (upgrade("/v1", ""), "400"),
        (upgrade("/v1", "Sec-WebSocket-Protocol: crosscheck.v2\r\n"), "400"),
    ] {
        let (mut stream, _) = raw::secure(dial(link).await, link).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let said = String::from_utf8_lossy(&hung_up(stream).await).into_owned();
        cases.hold(said.starts_with(&format!("HTTP/1.1 {status} ")), &format!("{request:?}: {said:?}"));
    }
    let (mut stream, _) = raw::secure(dial(link).await, link).await;
    stream.write_all(upgrade("/v1", SPEAKS).replace("GET", "POST").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    cases.hold(!hung_up(stream).await.starts_with(b"HTTP/1.1 101"), "another method");
}

const SPEAKS: &str = "Sec-WebSocket-Protocol: crosscheck.v1\r\n";

fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A connection that was told what to sign.
struct Met {
    socket: Socket,
    channel: Channel,
    session: String,
    principal: Principal,
    nonce: String,
}

async fn meet(link: &Link) -> Met {
    let (mut socket, channel) = connecting::connect(link, None).await.unwrap();
    send(&mut socket, &knock(&link.token)).await;
    match hear(&mut socket).await {
        Ok(FromHub::Hello { session, principal, nonce, .. }) => {
            Met { socket, channel, session, principal: principal.expect("a personal link"), nonce }
        }
        other => panic!("{other:?}"),
    }
}

fn knock(token: &str) -> FromClient {
    FromClient::Knock { versions: VERSIONS.to_vec(), token: token.to_owned() }
}

/// A signed `Auth` with this statement's parts.
fn auth(key: &Key, met: &Met, nonce: &str, statement: &str) -> FromClient {
    FromClient::Auth {
        key: key.public().to_string(),
        principal: met.principal.clone(),
        nonce: nonce.to_owned(),
        have: None,
        signature: key.sign_sshsig(Purpose::Join.namespace(), statement.as_bytes()),
    }
}

/// Why the hub does not let that in, once it has hung up with the right code.
async fn turned_down(socket: &mut Socket) -> String {
    let reason = loop {
        match hear(socket).await {
            Ok(FromHub::Hello { .. }) => {}
            Ok(FromHub::Refuse { reason, .. }) => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(raw::end(socket).await, End::Closed(1008), "{reason}");
    reason
}

/// Before a key is proved nothing but the two messages that prove it is heard, each in its place.
async fn what_is_said_before_a_proof(stage: &Stage, cases: &Cases) {
    let link: Link = stage.links()[DBA].parse().unwrap();
    let key = Key::fresh().unwrap();
    let ask = FromClient::Ask { id: 1, request: Request::Release, signed: None };
    let ping = FromClient::Ping { id: 1, head: Head::START };
    let empty_auth = FromClient::Auth {
        key: key.public().to_string(),
        principal: Principal::new(DBA).unwrap(),
        nonce: "00".repeat(32),
        have: None,
        signature: key.sign_sshsig(Purpose::Join.namespace(), b"nothing"),
    };
    let text = |message: &FromClient| Message::text(serde_json::to_string(message).unwrap());
    for (message, what) in [(&ask, "Ask"), (&ping, "Ping"), (&empty_auth, "Auth")] {
        let (mut socket, _) = connecting::connect(&link, None).await.unwrap();
        socket.send(text(message)).await.unwrap();
        let reason = turned_down(&mut socket).await;
        cases.hold(reason.contains("the first message must be Knock"), &format!("{what} first: {reason}"));
    }
    for (message, what) in [(&ask, "Ask"), (&ping, "Ping"), (&knock(&link.token), "Knock")] {
        let mut met = meet(&link).await;
        met.socket.send(text(message)).await.unwrap();
        let reason = turned_down(&mut met.socket).await;
        cases.hold(reason.contains("the second message must be Auth"), &format!("{what} second: {reason}"));
    }
    for (message, words, what) in [
        (Message::text("{}"), "a message that this protocol does not have", "an empty object"),
        (Message::text("\u{1b}]0;x\u{7}"), "a message that this protocol does not have", "garbage"),
        (Message::text("[".repeat(4000)), "a message that this protocol does not have", "deep nesting"),
        (Message::text(r#"{"Knock":{"versions":[1],"token":"","sudo":1}}"#), "does not have", "an unknown field"),
        (Message::binary(vec![b'j', b'{', b'}']), "a message that this protocol does not have", "a binary message"),
        (text(&knock(&"x".repeat(4096))), "the message is too large", "a long message"),
        (Message::text("x".repeat(60_000)), "does not have", "a message longer than all that may come"),
    ] {
        let (mut socket, _) = connecting::connect(&link, None).await.unwrap();
        socket.send(message).await.unwrap();
        let reason = turned_down(&mut socket).await;
        cases.hold(reason.contains(words), &format!("{what}: {reason}"));
    }
}

/// The proof is of this key, on this connection, for this session and name, now.
async fn what_is_proved(stage: &Stage, cases: &Cases) {
    let link: Link = stage.links()[DBA].parse().unwrap();
    let key = Key::fresh().unwrap();
    let joined = stage.events("Joined").len();
    let nonce = random_hex(32).unwrap();
    // An earlier connection, watched and kept: all of it is of no use on the next one.
    let mut before = meet(&link).await;
    let statement = join_statement(&before.channel, &before.session, &before.nonce, &nonce, &before.principal, None);
    let recorded = auth(&key, &before, &nonce, &statement);
    let statement_of = |met: &Met, change: &str| {
        let mut channel = met.channel;
        let (mut session, mut hub_nonce, mut principal) =
            (met.session.clone(), met.nonce.clone(), met.principal.clone());
        match change {
            "an old nonce of the hub" => hub_nonce.clone_from(&before.nonce),
            "the binding of another connection" => channel.binding = before.channel.binding,
            "another certificate" => channel.certificate = Hash::of(b"another"),
            "no binding" => channel.binding = Hash::ZERO,
            "another session" => session = "0".repeat(32),
            "another name" => principal = Principal::new(LEAD).unwrap(),
            "another nonce" => {
                return join_statement(&channel, &session, &hub_nonce, &"0".repeat(64), &principal, None);
            }
            "a head it does not claim" => {
                return join_statement(&channel, &session, &hub_nonce, &nonce, &principal, Some(Head::START));
            }
            "the statement of a hub without TLS" => {
                let now = join_statement(&channel, &session, &hub_nonce, &nonce, &principal, None);
                let old = now.lines().filter(|line| !line.starts_with("certificate:") && !line.starts_with("binding:"));
                return old.map(|line| format!("{line}\n")).collect();
            }
            "nothing" => return String::new(),
            _ => {}
        }
        join_statement(&channel, &session, &hub_nonce, &nonce, &principal, None)
    };
    let mut again = meet(&link).await;
    send(&mut again.socket, &recorded).await;
    let reason = turned_down(&mut again.socket).await;
    cases.hold(reason.contains("the key was not proved"), &format!("a recorded Auth: {reason}"));
    for what in [
        "an old nonce of the hub",
        "the binding of another connection",
        "another certificate",
        "no binding",
        "another session",
        "another name",
        "another nonce",
        "a head it does not claim",
        "the statement of a hub without TLS",
        "nothing",
    ] {
        let mut met = meet(&link).await;
        let message = auth(&key, &met, &nonce, &statement_of(&met, what));
        send(&mut met.socket, &message).await;
        let reason = turned_down(&mut met.socket).await;
        cases.hold(reason.contains("the key was not proved"), &format!("{what} signed: {reason}"));
    }
    let other = Key::fresh().unwrap();
    for (what, public, signature) in [
        ("somebody else's key", Some(other.public().to_string()), None),
        ("no signature", None, Some(String::new())),
        ("a signature that is none", None, Some("not base64".to_owned())),
        ("a signature cut short", None, Some("AAAA".to_owned())),
    ] {
        let mut met = meet(&link).await;
        let mut message = auth(&key, &met, &nonce, &statement_of(&met, ""));
        let FromClient::Auth { key: shown, signature: signed, .. } = &mut message else { unreachable!() };
        if let Some(public) = public {
            *shown = public;
        }
        if let Some(signature) = signature {
            *signed = signature;
        }
        send(&mut met.socket, &message).await;
        let reason = turned_down(&mut met.socket).await;
        cases.hold(reason.contains("the key was not proved"), &format!("{what}: {reason}"));
    }
    cases.hold(stage.events("Joined").len() == joined, "nobody got in by any of these");

    // The recorded one was good where and when it was made; once is enough.
    send(&mut before.socket, &recorded).await;
    let welcome = hear(&mut before.socket).await;
    cases.hold(matches!(welcome, Ok(FromHub::Welcome { .. })), &format!("the same Auth in its place: {welcome:?}"));
    send(&mut before.socket, &recorded).await;
    cases.hold(raw::end(&mut before.socket).await == End::Closed(1002), "and once more");
}

/// A hundred wrong secrets take a while, let nobody in, and keep nobody out who comes from this machine with a right one.
async fn guessing(stage: &Stage, cases: &Cases) {
    let link: Link = stage.links()[DBA].parse().unwrap();
    let joined = stage.events("Joined").len();
    let began = Instant::now();
    let guesses = futures_util::stream::iter(0..100).map(|number| {
        let mut link = link.clone();
        link.token = match number {
            0 => String::new(),
            1 => link.token[..31].to_owned(),
            2 => format!("{}0", link.token),
            3 => link.token.to_uppercase(),
            _ => random_hex(16).unwrap(),
        };
        async move {
            let (mut socket, _) = connecting::connect(&link, None).await.unwrap();
            send(&mut socket, &knock(&link.token)).await;
            turned_down(&mut socket).await
        }
    });
    let reasons: Vec<String> = guesses.buffer_unordered(20).collect().await;
    // Each is answered half a second late, and 32 at most are under way: 64 guesses a second, of 2^128.
    let took = began.elapsed();
    assert!(reasons.iter().all(|reason| reason.contains("the link's secret is wrong")), "{reasons:?}");
    cases.hold((2..50).contains(&took.as_secs()), &format!("100 wrong secrets took {took:?}"));
    cases.hold(stage.events("Joined").len() == joined, "and let nobody in");
    let different: std::collections::BTreeSet<_> = reasons.iter().collect();
    cases.hold(different.len() == 1, "a guesser learns nothing from the words");
    let observer = Raw::join(&stage.links()["observer"], &Key::fresh().unwrap()).await;
    cases.hold(observer.is_ok(), "who has a right link still gets in");
}

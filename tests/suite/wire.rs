//! Clients that do not keep to the protocol, byte by byte: each is shown the door with the right code, within the limits
//! the hub promises, and nobody else notices.

use crate::support::program::Stage;
use crate::support::raw::{self, End, Raw};
use crate::support::wait::PATIENCE;
use crosscheck::identity::Key;
use crosscheck::link::Link;
use crosscheck::protocol::{FromClient, FromHub, VERSIONS};
use crosscheck::session::Request;
use futures_util::SinkExt as _;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

const LEAD: &str = "lead@example.org";
const PLAN: &str = r#"
crosscheck = 1
name = "Wire"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
observer = "link"
"#;

async fn dial(link: &Link) -> TcpStream {
    TcpStream::connect((link.host.as_str(), link.port)).await.expect("the hub listens")
}

/// Sends these bytes and returns all that comes back until the hub hangs up.
async fn exchange(link: &Link, bytes: &[u8]) -> Vec<u8> {
    let (mut stream, _) = raw::secure(dial(link).await, link).await;
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = vec![];
    // A reset after the answer is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the hub hangs up");
    answer
}

fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

const SPEAKS: &str = "Sec-WebSocket-Protocol: crosscheck.v1\r\n";

#[tokio::test]
async fn only_our_own_upgrade_is_answered_with_one() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let link: Link = stage.links()[LEAD].parse().unwrap();
    let status = |answer: Vec<u8>| String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    let browser = format!("{SPEAKS}Origin: https://evil.example\r\n");
    for (request, code) in [
        (upgrade("/v1", &browser), "403"),
        (upgrade("/v1?token=x", SPEAKS), "404"),
        (upgrade("/", SPEAKS), "404"),
        (upgrade("/v1", ""), "400"),
        (upgrade("/v1", "Sec-WebSocket-Protocol: chat\r\n"), "400"),
    ] {
        let answer = status(exchange(&link, request.as_bytes()).await);
        assert!(answer.contains(code), "{answer:?} to {request:?}");
    }
    assert_eq!(exchange(&link, b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await, b"", "no websocket, no answer");
    Raw::join(&stage.links()[LEAD], &Key::fresh().unwrap()).await.expect("others still get in");
}

#[tokio::test]
async fn before_a_key_is_proved_nothing_else_is_heard() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let link: Link = stage.links()[LEAD].parse().unwrap();
    let knock = |token: &str| {
        let knock = FromClient::Knock { versions: VERSIONS.to_vec(), token: token.to_owned() };
        serde_json::to_string(&knock).unwrap()
    };
    let ask = serde_json::to_string(&FromClient::Ask { id: 1, request: Request::Release, signed: None }).unwrap();
    for (messages, words) in [
        (vec![Message::text("{}")], "a message that this protocol does not have"),
        (vec![Message::text("not json")], "a message that this protocol does not have"),
        (vec![Message::binary(vec![1, 2, 3])], "a message that this protocol does not have"),
        (vec![Message::text(ask.clone())], "the first message must be Knock"),
        (vec![Message::text(knock(&"x".repeat(5000)))], "the message is too large"),
        (vec![Message::text(knock(&link.token)), Message::text(ask)], "the second message must be Auth"),
    ] {
        let (mut socket, _) = raw::upgrade(dial(&link).await, &link).await;
        for message in messages {
            socket.send(message).await.unwrap();
        }
        let reason = loop {
            match raw::hear(&mut socket).await {
                Ok(FromHub::Hello { .. }) => {}
                Ok(FromHub::Refuse { reason, .. }) => break reason,
                other => panic!("{other:?}"),
            }
        };
        assert!(reason.contains(words), "{reason:?}, not {words:?}");
        assert_eq!(raw::end(&mut socket).await, End::Closed(1008));
    }
    // A proof for another name, or of another key, is none.
    let key = Key::fresh().unwrap();
    let (mut socket, _) = raw::upgrade(dial(&link).await, &link).await;
    raw::send(&mut socket, &FromClient::Knock { versions: VERSIONS.to_vec(), token: link.token.clone() }).await;
    let _hello = raw::hear(&mut socket).await.unwrap();
    let auth = FromClient::Auth {
        key: key.public().to_string(),
        principal: LEAD.parse_principal(),
        nonce: "00".repeat(32),
        have: None,
        signature: key.sign_sshsig("crosscheck-join", b"something else"),
    };
    raw::send(&mut socket, &auth).await;
    assert!(
        matches!(raw::hear(&mut socket).await, Ok(FromHub::Refuse { reason, .. }) if reason.contains("not proved"))
    );
    assert_eq!(stage.events("Joined").len(), 0);
    assert_eq!(stage.events("Refused").len(), 1);
}

trait ParsePrincipal {
    fn parse_principal(&self) -> crosscheck::name::Principal;
}
impl ParsePrincipal for str {
    fn parse_principal(&self) -> crosscheck::name::Principal {
        crosscheck::name::Principal::new(self).unwrap()
    }
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_told_how() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let link = &stage.links()[LEAD];
    let key = Key::fresh().unwrap();
    let huge = "x".repeat(65 * 1024);
    for (message, code, why) in [
        (Message::text(huge), 1009, "sent a message over 64 KiB"),
        (Message::binary(vec![0; 10]), 1003, "sent a binary message"),
        (Message::text("{\"Ask\":"), 1007, "sent a message this protocol does not have"),
        (Message::text("{\"Sudo\":{}}"), 1007, "sent a message this protocol does not have"),
        (Message::text("{\"Knock\":{\"versions\":[1],\"token\":\"\"}}"), 1002, "spoke out of turn"),
    ] {
        let mut client = Raw::join(link, &key).await.unwrap();
        client.socket.send(message).await.unwrap();
        assert_eq!(until_end(&mut client).await, End::Closed(code), "{why}");
        left(&stage, why).await;
    }
    // Frames that no websocket library would send: not masked, of an unknown kind, a control frame too long, no UTF-8, a
    // length that nobody has.
    let long_ping = [&b"\x89\xfe\x01\x00\0\0\0\0"[..], &[b'x'; 256]].concat();
    for (frame, code) in [
        (&b"\x81\x05hello"[..], 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (&long_ping, 1002),
        (b"\x81\x82\0\0\0\0\xff\xfe", 1007),
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1009),
    ] {
        let mut client = Raw::join(link, &key).await.unwrap();
        let stream = client.socket.get_mut();
        stream.write_all(frame).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(until_end(&mut client).await, End::Closed(code), "{frame:?}");
    }
    let mut lead = Raw::join(link, &key).await.unwrap();
    assert_eq!(lead.refusal(Request::Say { text: "still here".into() }).await, None);
}

async fn until_end(client: &mut Raw) -> End {
    loop {
        if let Err(end) = client.read().await {
            return end;
        }
    }
}

/// Waits until somebody left for that reason.
async fn left(stage: &Stage, why: &str) {
    let gone = || stage.events("Left").iter().any(|left| left["why"] == why).then_some(());
    crate::support::wait::poll(PATIENCE, gone).unwrap_or_else(|| panic!("nobody left because of {why:?}"));
}

#[tokio::test]
async fn those_who_say_nothing_are_few_and_do_not_stay() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let link: Link = stage.links()[LEAD].parse().unwrap();
    let began = Instant::now();
    let mut silent = vec![];
    for _ in 0..32 {
        silent.push(dial(&link).await);
    }
    // The 33rd is turned away at once, while the others still may speak.
    let answer = exchange(&link, b"").await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "the machine is too slow for this test");
    for stream in &mut silent {
        let mut nothing = vec![];
        timeout(PATIENCE, stream.read_to_end(&mut nothing)).await.expect("the hub hangs up").unwrap();
        assert_eq!(nothing, b"");
    }
    let took = began.elapsed();
    assert!((4..20).contains(&took.as_secs()), "hung up after {took:?}");
    Raw::join(&stage.links()[LEAD], &Key::fresh().unwrap()).await.expect("there is room again");
}

#[tokio::test]
async fn who_talks_fast_is_heard_slowly_and_whole() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let mut lead = Raw::join(&stage.links()[LEAD], &Key::fresh().unwrap()).await.unwrap();
    const MANY: usize = 120;
    let began = Instant::now();
    let mut asked = vec![];
    for n in 0..MANY {
        asked.push(lead.ask(Request::Say { text: format!("number {n}") }).await);
    }
    for id in asked {
        assert_eq!(lead.answer(id).await, None);
    }
    // 40 at once, 20 a second afterwards.
    assert!(began.elapsed() >= Duration::from_millis(3800), "{:?}", began.elapsed());
    let said: Vec<_> = stage.events("Noted").iter().map(|noted| noted["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(said, (0..MANY).map(|n| format!("number {n}")).collect::<Vec<_>>());
}

//! Every limit that a stranger or a participant meets, kept to and then exceeded by one: what is over it is refused or let go
//! with a reason, and nobody else notices. Set H of the tests of trust. Limits that need another address than this machine's
//! are tested where they are counted (`hub::arrivals`, `hub::links`).

use crate::support::cases::Cases;
use crate::support::program::Stage;
use crate::support::raw::{self, End, Raw, hear, send};
use crate::support::wait::{PATIENCE, poll};
use crosscheck::client::connect::{self as connecting, ConnectError, Socket};
use crosscheck::hub::driver::CONNECTIONS_PER_PRINCIPAL;
use crosscheck::identity::Key;
use crosscheck::link::Link;
use crosscheck::name::StepId;
use crosscheck::protocol::{CLIENT_BYTES_MAX, FromClient, FromHub, PRE_AUTH_BYTES_MAX, VERSIONS};
use crosscheck::session::Request;
use crosscheck::session::request::TEXT_CHARS_MAX;
use crosscheck::session::steps::Phase;
use futures_util::{SinkExt as _, StreamExt as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const UNPROVED: usize = 32;
const PLAN: &str = r#"
crosscheck = 1
name = "Limits"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
observer = "link"
[[step]]
id = "quick"
title = "Do next to nothing"
run = ["true"]
[[step]]
id = "crowded"
title = "The same, before a crowd that says and reads nothing"
run = ["true"]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_h_each_limit_exceeded_by_one() {
    let cases = Cases::default();
    time(&cases).await;
    bytes(&cases).await;
    numbers(&cases).await;
    cases.finish("H", 31);
}

async fn dial(link: &Link) -> TcpStream {
    let address: SocketAddr = format!("{}:{}", link.host, link.port).parse().unwrap();
    TcpStream::connect(address).await.expect("the hub listens")
}

/// Reads until the hub hangs up: what it said, and after how long.
async fn hung_up(mut stream: impl tokio::io::AsyncRead + Unpin, since: Instant) -> (Vec<u8>, Duration) {
    let mut said = vec![];
    let _ = timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the hub hangs up");
    (said, since.elapsed())
}

/// Over the limit, and not by much: the machine may be busy.
fn about(took: Duration, seconds: u64) -> bool {
    took >= Duration::from_secs(seconds) - Duration::from_millis(300) && took < Duration::from_secs(seconds + 6)
}

fn knock(token: &str) -> FromClient {
    FromClient::Knock { versions: VERSIONS.to_vec(), token: token.to_owned() }
}

/// Everyone has so long and no longer. All at once: most of it is waiting.
async fn time(cases: &Cases) {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let link: Link = stage.links()[LEAD].parse().unwrap();
    let no_bytes = async {
        let began = Instant::now();
        let (said, took) = hung_up(dial(&link).await, began).await;
        cases.hold(said.is_empty() && about(took, 5), &format!("who says nothing: {took:?}"));
    };
    let half_a_hello = async {
        let began = Instant::now();
        let mut stream = dial(&link).await;
        stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
        let (_, took) = hung_up(stream, began).await;
        cases.hold(about(took, 5), &format!("who begins a handshake and stops: {took:?}"));
    };
    let no_upgrade = async {
        let (stream, _) = raw::secure(dial(&link).await, &link).await;
        let (said, took) = hung_up(stream, Instant::now()).await;
        cases.hold(said.is_empty() && about(took, 5), &format!("who speaks TLS and asks for nothing: {took:?}"));
    };
    let byte_by_byte = async {
        // Each byte comes in time, all of them do not.
        let (mut stream, _) = raw::secure(dial(&link).await, &link).await;
        let began = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        for byte in b"GET /v1 HTTP/1.1\r\nHost: a-name-that-takes-its-time.example.org\r\n".iter().cycle().take(300) {
            ticks.tick().await;
            let wrote = async {
                stream.write_all(&[*byte]).await?;
                stream.flush().await
            };
            if wrote.await.is_err() {
                break;
            }
        }
        cases.hold(about(began.elapsed(), 5), &format!("who asks a byte at a time: {:?}", began.elapsed()));
    };
    let no_knock = async {
        let began = Instant::now();
        let (mut socket, _) = connecting::connect(&link, None).await.unwrap();
        assert_eq!(raw::end(&mut socket).await, End::Closed(1008));
        cases.hold(about(began.elapsed(), 10), &format!("who does not knock: {:?}", began.elapsed()));
    };
    let no_proof = async {
        let began = Instant::now();
        let (mut socket, _) = connecting::connect(&link, None).await.unwrap();
        send(&mut socket, &knock(&link.token)).await;
        assert!(matches!(hear(&mut socket).await, Ok(FromHub::Hello { .. })));
        assert_eq!(raw::end(&mut socket).await, End::Closed(1008));
        cases.hold(about(began.elapsed(), 10), &format!("who does not prove a key: {:?}", began.elapsed()));
    };
    let no_sign_of_life = async {
        // Reads, and answers nothing: the websocket library answers pings only when it writes.
        let (socket, _) = raw::enter(&stage.links()[DBA], &Key::fresh().unwrap(), None).await.unwrap();
        let began = Instant::now();
        let mut stream = socket.into_inner();
        let mut nothing = [0; 4096];
        while timeout(PATIENCE, stream.read(&mut nothing)).await.expect("the hub hangs up").is_ok_and(|count| count > 0)
        {
        }
        let took = began.elapsed();
        cases.hold((17..40).contains(&took.as_secs()), &format!("who shows no sign of life: {took:?}"));
        let left = || stage.events("Left").iter().any(|left| left["why"] == "silent for 18 s").then_some(());
        cases.hold(poll(PATIENCE, left).is_some(), "it is written down why");
    };
    tokio::join!(no_bytes, half_a_hello, no_upgrade, byte_by_byte, no_knock, no_proof, no_sign_of_life);
}

/// A request for the upgrade with a header so long that all of it has this many bytes.
fn request(length: usize) -> Vec<u8> {
    let start = "GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: crosscheck.v1\r\nX-Filling: ";
    let end = "\r\n\r\n";
    format!("{start}{}{end}", "x".repeat(length - start.len() - end.len())).into_bytes()
}

async fn first_line(link: &Link, request: &[u8]) -> String {
    let (mut stream, _) = raw::secure(dial(link).await, link).await;
    stream.write_all(request).await.unwrap();
    stream.flush().await.unwrap();
    let mut said = vec![0; 64];
    let count = timeout(PATIENCE, stream.read(&mut said)).await.expect("an answer").unwrap_or(0);
    String::from_utf8_lossy(&said[..count]).lines().next().unwrap_or_default().to_owned()
}

/// Knocks with a message of exactly so many bytes, and says why it was turned down.
async fn knock_of(link: &Link, length: usize) -> String {
    let (mut socket, _) = connecting::connect(link, None).await.unwrap();
    let empty = serde_json::to_string(&knock("")).unwrap().len();
    send(&mut socket, &knock(&"x".repeat(length - empty))).await;
    match hear(&mut socket).await {
        Ok(FromHub::Refuse { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Sends that to a hub that knows who it is from; how it ends.
async fn after(link: &str, key: &Key, messages: Vec<Message>) -> End {
    let (mut socket, _) = raw::enter(link, key, None).await.unwrap();
    for message in messages {
        socket.send(message).await.unwrap();
    }
    raw::end(&mut socket).await
}

/// A message in two frames, each below the limit of a frame.
fn in_two(length: usize) -> Vec<Message> {
    let part = |length, code, last| Message::Frame(Frame::message(vec![b' '; length], OpCode::Data(code), last));
    vec![part(length / 2, Data::Text, false), part(length - length / 2, Data::Continue, true)]
}

async fn bytes(cases: &Cases) {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let links = stage.links();
    let link: Link = links[DBA].parse().unwrap();
    let key = Key::fresh().unwrap();
    cases.hold(first_line(&link, &request(8 * 1024)).await.starts_with("HTTP/1.1 101 "), "a header of 8 KiB");
    cases.hold(first_line(&link, &request(8 * 1024 + 1)).await.starts_with("HTTP/1.1 431 "), "one byte more");

    cases.hold(
        knock_of(&link, PRE_AUTH_BYTES_MAX).await.contains("secret is wrong"),
        "a first message of 4 KiB is read",
    );
    cases.hold(knock_of(&link, PRE_AUTH_BYTES_MAX + 1).await.contains("too large"), "one byte more is not");
    // Nothing else may come instead, however small each is: 16 KiB in all.
    for (pings, hello) in [(120, true), (160, false)] {
        let (mut socket, _) = connecting::connect(&link, None).await.unwrap();
        let began = Instant::now();
        for _ in 0..pings {
            let _ = socket.send(Message::Ping(vec![0; 100].into())).await; // the hub may have had enough
        }
        let _ = socket.send(Message::text(serde_json::to_string(&knock(&link.token)).unwrap())).await;
        let heard = hear(&mut socket).await;
        let so = matches!(heard, Ok(FromHub::Hello { .. })) == hello && began.elapsed() < Duration::from_secs(8);
        cases.hold(so, &format!("{pings} pings before the first word: {heard:?}"));
    }

    // What is over the limit is told so; what is at it is read, and is then no message of ours.
    cases.hold(
        after(&links[DBA], &key, vec![Message::text(" ".repeat(CLIENT_BYTES_MAX))]).await == End::Closed(1007),
        "a message at or over its limit",
    );
    assert_eq!(
        after(&links[DBA], &key, vec![Message::text(" ".repeat(CLIENT_BYTES_MAX + 1))]).await,
        End::Closed(1009)
    );
    cases.hold(
        after(&links[DBA], &key, in_two(CLIENT_BYTES_MAX)).await == End::Closed(1007),
        "a message at or over its limit",
    );
    cases.hold(
        after(&links[DBA], &key, in_two(CLIENT_BYTES_MAX + 1)).await == End::Closed(1009),
        "a message at or over its limit",
    );
    assert_eq!(
        after(&links[DBA], &key, vec![Message::Ping(vec![0; 125].into()), Message::text("x")]).await,
        End::Closed(1007)
    );
    // One that no library sends.
    let (mut socket, _) = raw::enter(&links[DBA], &key, None).await.unwrap();
    let long_ping = [&b"\x89\xfe\x00\x7e\0\0\0\0"[..], &[0; 126]].concat();
    socket.get_mut().write_all(&long_ping).await.unwrap();
    socket.get_mut().flush().await.unwrap();
    cases.hold(raw::end(&mut socket).await == End::Closed(1002), "a ping of 126 bytes");

    let mut dba = Raw::join(&links[DBA], &key).await.unwrap();
    let said = dba.refusal(Request::Say { text: "\u{1f600}".repeat(TEXT_CHARS_MAX) }).await;
    cases.hold(said.is_none(), "a text as long as may be");
    let refusal = dba.refusal(Request::Say { text: "x".repeat(TEXT_CHARS_MAX + 1) }).await;
    let told = refusal.as_ref().is_some_and(|why| why.contains("at most 2000 characters"));
    cases.hold(told, &format!("{refusal:?}"));
}

async fn numbers(cases: &Cases) {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&["--max-participants", "80"]);
    let links = stage.links();
    let link: Link = links[LEAD].parse().unwrap();
    let lead_key = Key::fresh().unwrap();
    let mut lead = Raw::join(&links[LEAD], &lead_key).await.unwrap();

    // Those who have proved nothing: 32, then as many are told to come back, and the next is not even told.
    let mut silent = vec![];
    for _ in 0..UNPROVED {
        silent.push(dial(&link).await);
    }
    let next = connecting::connect(&link, None).await;
    cases.hold(matches!(next, Err(ConnectError::TooMany { .. })), "the 33rd");
    let mut told = vec![];
    for _ in 0..UNPROVED {
        told.push(dial(&link).await);
    }
    let (said, took) = hung_up(dial(&link).await, Instant::now()).await;
    cases.hold(said.is_empty() && took < Duration::from_secs(3), &format!("the 65th is dropped at once: {took:?}"));
    // Who is in notices nothing of all these.
    let quick = run(&mut lead, "quick").await;
    drop((silent, told));

    // Connections of one person.
    let dba = Key::fresh().unwrap();
    // The hub takes a moment to see that the crowd at its door is gone.
    let patience = Instant::now() + PATIENCE;
    let first = loop {
        match enter(&links[DBA], &dba).await {
            Ok(first) => break first,
            Err(why) => assert!(Instant::now() < patience, "{why}"),
        }
    };
    let mut mine = vec![first];
    for _ in 1..CONNECTIONS_PER_PRINCIPAL {
        mine.push(enter(&links[DBA], &dba).await.unwrap());
    }
    let refusal = enter(&links[DBA], &dba).await.err().expect("one too many");
    cases.hold(refusal.contains("has 3 connections already; leave one of them"), &refusal);
    drop(mine.pop());
    poll(PATIENCE, || (!stage.events("Left").is_empty()).then_some(())).expect("one is seen to leave");
    let again = enter(&links[DBA], &dba).await;
    cases.hold(again.is_ok(), "there is room again");
    mine.extend(again);

    // One thing at a time: what is armed cannot be armed again.
    let crowded = StepId::new("crowded").unwrap();
    assert_eq!(lead.refusal(Request::Arm { step: crowded.clone(), covers: None }).await, None);
    let again = lead.refusal(Request::Arm { step: crowded.clone(), covers: None }).await;
    cases.hold(again.is_some(), "armed twice");
    assert_eq!(lead.refusal(Request::Disarm { step: crowded.clone(), attempt: 1 }).await, None);

    // A crowd that is in and reads nothing, and strangers who say nothing: a command does not wait for them.
    let mut crowd = vec![];
    while crowd.len() + 1 + CONNECTIONS_PER_PRINCIPAL + UNPROVED < 80 {
        let name = format!("observer{}", crowd.len());
        crowd.push(raw::enter(&links["observer"], &Key::fresh().unwrap(), Some(&name)).await.unwrap());
    }
    let mut strangers = vec![];
    for _ in 0..UNPROVED {
        strangers.push(dial(&link).await);
    }
    let busy = run(&mut lead, "crowded").await;
    println!("a command took {quick:?} before strangers, {busy:?} before {} who read nothing", crowd.len());
    cases.hold(busy < quick * 2 + Duration::from_millis(250), &format!("{busy:?}, not {quick:?}"));
    // All places are taken now, those of strangers included.
    let next = connecting::connect(&link, None).await;
    cases.hold(matches!(next, Err(ConnectError::TooMany { .. })), "the 81st");
    drop(strangers);

    // Who talks fast is heard at their pace and no faster, in whatever way they talk.
    for (what, message) in [
        ("words", serde_json::to_string(&FromClient::Ping { id: 7, head: lead.head }).map(Message::text).unwrap()),
        ("pings", Message::Ping(vec![1].into())),
    ] {
        const MANY: usize = 100;
        let mut socket = re_enter(&links[LEAD], &lead_key).await;
        let began = Instant::now();
        for _ in 0..MANY {
            socket.send(message.clone()).await.unwrap();
        }
        cases.hold(answers(&mut socket, MANY).await == MANY, &format!("{what} are all answered"));
        // 40 at once, 20 a second afterwards; a little has come by by itself.
        cases.hold(began.elapsed() >= Duration::from_millis(2500), &format!("{what}: {:?}", began.elapsed()));
    }
}

async fn enter(link: &str, key: &Key) -> Result<(Socket, crosscheck::transcript::record::Head), String> {
    raw::enter(link, key, None).await.map(|(socket, entry)| (socket, entry.head))
}

/// Counts the answers to messages and to pings, up to so many.
async fn answers(socket: &mut Socket, wanted: usize) -> usize {
    let mut count = 0;
    while count < wanted {
        match timeout(PATIENCE, socket.next()).await.expect("the hub answers") {
            Some(Ok(Message::Pong(_))) => count += 1,
            Some(Ok(Message::Binary(bytes))) if bytes.windows(4).any(|word| word == b"Pong") => count += 1,
            Some(Ok(_)) => {}
            _ => break,
        }
    }
    count
}

/// Arms and runs a step; from the wish to run it to its end.
async fn run(lead: &mut Raw, step: &str) -> Duration {
    let step = StepId::new(step).unwrap();
    assert_eq!(lead.refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
    lead.until("the line that says so", |session| session.steps[&step].phase == Phase::Cleared).await;
    let attempt = lead.session.steps[&step].attempt;
    let began = Instant::now();
    assert_eq!(lead.refusal(Request::Run { step: step.clone(), attempt }).await, None);
    lead.until("the end of the command", |session| session.steps[&step].phase == Phase::Done).await;
    began.elapsed()
}

/// Enters once the hub has noticed that a place is free.
async fn re_enter(link: &str, key: &Key) -> Socket {
    let patience = Instant::now() + PATIENCE;
    loop {
        match raw::enter(link, key, None).await {
            Ok((socket, _)) => return socket,
            Err(error) => assert!(error.contains("no more connections") && Instant::now() < patience, "{error}"),
        }
    }
}

//! A command that prints much, in front of people who read nothing: it is not slowed, the others miss nothing, and those
//! who take nothing are let go.

use crate::support::raw::{End, Raw, enter_over, hub};
use crosscheck::identity::{Key, random_hex};
use crosscheck::link::Link;
use crosscheck::name::StepId;
use crosscheck::session::Request;
use crosscheck::session::steps::Phase;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;

const PLAN: &str = r#"
crosscheck = 1
name = "Fan-out"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
observer = "link"
[[step]]
id = "go"
title = "Print 24 MB"
run = "yes 'a line of output that is neither short nor very long, sixty-four.' | head -c 24000000; echo; echo THE-LAST-LINE"
pipefail = false # `head` cuts the pipe
"#;
const BYTES: u64 = 24_000_000;
const LAST: &[u8] = b"THE-LAST-LINE";
const STALLED: usize = 20;
const FAST: usize = 4;
/// Long: a debug build on a busy machine hashes and draws all of it.
const LONG: Duration = Duration::from_secs(240);

/// Joins and never reads again; its kernel takes as little as it can be made to, so that the hub feels it soon.
async fn stalled(link: &Link) -> crosscheck::client::connect::Socket {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(format!("{}:{}", link.host, link.port).parse().unwrap()).await.unwrap();
    let name = random_hex(4).unwrap();
    enter_over(stream, link, &Key::fresh().unwrap(), Some(&name)).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn much_output_before_people_who_read_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(folder.path(), PLAN).await;
    let observer: Link = hub.links["observer"].parse().unwrap();
    let mut sleepers = vec![];
    for _ in 0..STALLED {
        sleepers.push(stalled(&observer).await);
    }
    let mut lead = Raw::join(&hub.links["lead@example.org"], &Key::fresh().unwrap()).await.unwrap();
    let step = StepId::new("go").unwrap();
    let ended = {
        let step = step.clone();
        move |session: &crosscheck::session::Session| matches!(session.steps[&step].phase, Phase::Done | Phase::Failed)
    };
    let mut fast = vec![];
    for _ in 0..FAST {
        let name = random_hex(4).unwrap();
        let mut raw = Raw::join_as(&hub.links["observer"], &Key::fresh().unwrap(), Some(&name)).await.unwrap();
        let ended = ended.clone();
        fast.push(tokio::spawn(async move {
            raw.until("the end of the command", ended).await;
            while !raw.screen.windows(LAST.len()).any(|text| text == LAST) {
                raw.read().await.expect("the last screen comes without any further event");
            }
            raw
        }));
    }
    assert_eq!(lead.refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
    assert_eq!(lead.refusal(Request::Run { step: step.clone(), attempt: 1 }).await, None);
    timeout(LONG, lead.until("the end of the command", ended)).await.expect("the command ends");

    let state = &lead.session.steps[&step];
    assert_eq!(state.phase, Phase::Done, "{state:?}");
    // A terminal writes CR LF for each LF.
    assert!(state.run.as_ref().is_some_and(|run| run.output_bytes >= BYTES), "{state:?}");
    assert_eq!(hub.shared.reader_waits.load(Ordering::Relaxed), 0, "the command waited for somebody");
    // The last line reaches everyone who reads, without any further event.
    for reader in fast {
        let reader = timeout(LONG, reader).await.expect("the last line comes").unwrap();
        assert_eq!(reader.session.steps[&step].phase, Phase::Done);
        let numbers: Vec<_> = reader.lines.iter().map(|(seq, _)| *seq).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no gaps");
    }
    // Nobody who reads nothing stays. Those who read have left by themselves.
    let gone = |session: &crosscheck::session::Session| {
        let observers = session.people.iter().filter(|(who, _)| who.as_str().starts_with("observer:"));
        observers.filter(|(_, person)| person.gone.is_some()).count() >= STALLED + FAST
    };
    timeout(LONG, lead.until("the stalled ones to leave", gone)).await.expect("they are let go");
    // What one connection is let go for depends on how much of it the kernel took: nothing taken for 10 s, or no pong.
    let why = |words: &str| lead.lines.iter().filter(|(_, line)| line.contains(words)).count();
    let (stalled, silent) = (why("it took nothing for 10 s"), why("silent for 18 s"));
    assert!(stalled > 0 && stalled + silent >= STALLED, "{stalled} for taking nothing, {silent} for saying nothing");
    drop(sleepers);
    hub.stop().await;
    hub.wait().await.unwrap();
    let end = loop {
        if let Err(end) = lead.read().await {
            break end;
        }
    };
    assert_eq!(end, End::Closed(1001), "who reads hears the hub go");
}

//! The network breaks, stalls and comes back: nobody misses a line, nobody sees one twice, and whoever comes late knows
//! what those know who were always there.

use crate::support::program::Stage;
use crate::support::raw::Raw;
use crate::support::wait::PATIENCE;
use crosscheck::client::view::Link as Connection;
use crosscheck::client::{Client, Keys, Notice, Options};
use crosscheck::identity::Key;
use crosscheck::link::Link;
use crosscheck::session::{Request, Session, story};
use crosscheck::transcript::record::{Head, Line};
use crosscheck::trust::signer::Signer;
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

const PLAN: &str = r#"
crosscheck = 1
name = "Reconnect"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
observer = "link"
[[watch]]
id = "lag"
kind = "command"
run = "date +0.%N"
every = "150ms"
[[step]]
id = "go"
class = "critical"
title = "Print"
run = "echo hello; echo ran >> ran.txt"
"#;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Net {
    Fine,
    /// Connections stay open; nothing comes through.
    Stalled,
    /// What clients send comes through; what the hub sends waits.
    Late,
    /// What was open is torn, and nothing new is let through.
    Cut,
}

/// A network to break. Connections opened while it is fine are carried until it changes.
pub struct Proxy {
    port: u16,
    net: watch::Sender<Net>,
    to: watch::Sender<SocketAddr>,
}

impl Proxy {
    pub async fn start(to: &Link) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (net, state) = watch::channel(Net::Fine);
        let (to, hub) = watch::channel(format!("{}:{}", to.host, to.port).parse().unwrap());
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if *state.borrow() == Net::Cut {
                    continue; // closed at once
                }
                let mut moved = hub.clone();
                let at = *moved.borrow_and_update();
                if let Ok(hub) = TcpStream::connect(at).await {
                    let state = state.clone();
                    tokio::spawn(async move {
                        let ((mut cr, mut cw), (mut hr, mut hw)) = (client.into_split(), hub.into_split());
                        let mut cut = state.clone();
                        tokio::select! {
                            () = carry(&mut cr, &mut hw, state.clone(), &[Net::Stalled]) => {}
                            () = carry(&mut hr, &mut cw, state, &[Net::Stalled, Net::Late]) => {}
                            _ = cut.wait_for(|net| *net == Net::Cut) => {}
                            Ok(()) = moved.changed() => {}
                        }
                    });
                }
            }
        });
        Proxy { port, net, to }
    }

    pub fn link(&self, to: &Link) -> Link {
        Link { port: self.port, ..to.clone() }
    }

    /// Tears what is open, and lets nothing new through.
    pub fn cut(&self) {
        self.net.send_replace(Net::Cut);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.net.send_replace(Net::Fine);
    }

    /// Tears what is open; new connections are led there.
    pub fn turn_to(&self, to: SocketAddr) {
        self.to.send_replace(to);
    }
}

async fn carry(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    mut net: watch::Receiver<Net>,
    waits: &[Net],
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if net.wait_for(|net| !waits.contains(net)).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

fn options(link: Link) -> Options {
    Options {
        link,
        name: None,
        keys: Keys::Given(Arc::new(Signer::Own(Key::fresh().unwrap()))),
        via: None,
        heads: None,
    }
}

/// Reads notices until one is wanted; numbers of the lines told go to `seen`.
async fn until(client: &mut Client, seen: &mut Vec<(u64, String)>, what: &str, wanted: impl Fn(&Notice) -> bool) {
    loop {
        let next = timeout(PATIENCE, client.notices.recv()).await;
        let notice = next.unwrap_or_else(|_| panic!("no {what} in time")).expect("the client goes on");
        if let Notice::Line { line, told } = &notice {
            seen.push((line.seq, told.clone()));
        }
        if wanted(&notice) {
            return;
        }
    }
}

fn said(text: &str) -> impl Fn(&Notice) -> bool {
    let text = format!("says: {text}");
    move |notice| matches!(notice, Notice::Line { told, .. } if told.ends_with(&text))
}

/// What a transcript tells between two numbers.
fn told(stage: &Stage, from: u64, to: u64) -> Vec<(u64, String)> {
    let bytes = std::fs::read(stage.transcript_file()).unwrap();
    let (mut session, mut head, mut told): (Option<Session>, _, _) = (None, Head::START, vec![]);
    for bytes in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.len() > 1) {
        let (line, next) = Line::decode(bytes, head).expect("the chain holds");
        head = next;
        match &mut session {
            None => session = Some(Session::open(&line, head.hash).unwrap()),
            Some(session) => {
                told.extend(story(session, &line).map(|text| (line.seq, text)));
                session.apply(&line, head.hash);
            }
        }
    }
    told.retain(|(seq, _)| (from..=to).contains(seq));
    told
}

/// The client was told everything from its first line on, once and in order.
fn complete(stage: &Stage, seen: &[(u64, String)]) {
    let (first, last) = (seen.first().expect("it saw something").0, seen.last().expect("it saw something").0);
    assert_eq!(seen, told(stage, first, last));
}

/// Waits until both stand at the same line, and compares all they know.
async fn equal(a: &Client, b: &Client) {
    let same = async {
        loop {
            let (a, b) = (a.view.borrow().session.clone(), b.view.borrow().session.clone());
            if a.seq == b.seq {
                return (serde_json::to_string(&*a).unwrap(), serde_json::to_string(&*b).unwrap());
            }
            tokio::task::yield_now().await;
        }
    };
    let (a, b) = timeout(PATIENCE, same).await.expect("they meet");
    assert_eq!(a, b);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_network_costs_nobody_a_line_and_late_comers_know_the_same() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let link: Link = stage.links()[DBA].parse().unwrap();
    let proxy = Proxy::start(&link).await;
    let lead = stage.join(LEAD);
    let mut client = Client::join(options(proxy.link(&link))).await.unwrap();
    let mut seen = vec![];
    for round in 0..3 {
        lead.ok(&format!("say before {round}"));
        until(&mut client, &mut seen, "what was said", said(&format!("before {round}"))).await;
        proxy.net.send_replace(Net::Cut);
        until(&mut client, &mut seen, "LOST", |n| matches!(n, Notice::Link(Connection::Lost { .. }))).await;
        for n in 0..10 {
            lead.ok(&format!("say meanwhile {round} {n}"));
        }
        proxy.net.send_replace(Net::Fine);
        until(&mut client, &mut seen, "a live link", |n| matches!(n, Notice::Link(Connection::Live { .. }))).await;
        until(&mut client, &mut seen, "the rest", said(&format!("meanwhile {round} 9"))).await;
    }
    complete(&stage, &seen);

    // Somebody armed, checked and ran something meanwhile; then a newcomer comes by snapshot.
    lead.ok("arm go");
    until(
        &mut client,
        &mut seen,
        "the arming",
        |n| matches!(n, Notice::Line { told, .. } if told.contains("armed 01 go")),
    )
    .await;
    let newcomer = Client::join(options(stage.links()["search@example.org"].parse().unwrap())).await.unwrap();
    equal(&client, &newcomer).await;
    lead.ok("disarm");
    lead.ok("say the end");
    until(&mut client, &mut seen, "the end", said("the end")).await;
    complete(&stage, &seen);
    let observer = Client::join(options(stage.links()["observer"].parse().unwrap())).await.unwrap();
    equal(&client, &observer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_network_is_noticed_and_survived() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let link: Link = stage.links()[DBA].parse().unwrap();
    let proxy = Proxy::start(&link).await;
    let lead = stage.join(LEAD);
    let mut client = Client::join(options(proxy.link(&link))).await.unwrap();
    let mut seen = vec![];
    lead.ok("say before");
    until(&mut client, &mut seen, "what was said", said("before")).await;
    proxy.net.send_replace(Net::Stalled);
    for n in 0..5 {
        lead.ok(&format!("say meanwhile {n}"));
    }
    until(&mut client, &mut seen, "LOST", |n| matches!(n, Notice::Link(Connection::Lost { .. }))).await;
    // What is asked for now is answered, not kept for later.
    let id = client.ask(Request::Say { text: "into the void".into() }).await;
    until(
        &mut client,
        &mut seen,
        "an answer",
        |n| matches!(n, Notice::Answer { id: answered, refusal: Some(_), .. } if *answered == id),
    )
    .await;
    proxy.net.send_replace(Net::Fine);
    until(&mut client, &mut seen, "a live link", |n| matches!(n, Notice::Link(Connection::Live { .. }))).await;
    until(&mut client, &mut seen, "the rest", said("meanwhile 4")).await;
    complete(&stage, &seen);
}

/// Somebody acts on what a colleague's screen shows: their own client has not folded yet what they sign.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_is_waited_for_and_what_does_not_come_is_said() {
    let stage = Stage::new(&PLAN.replace("class = \"critical\"\n", "").replace("echo hello", "exit 3"));
    let _hub = stage.serve(&[]);
    let link: Link = stage.links()[DBA].parse().unwrap();
    let proxy = Proxy::start(&link).await;
    let lead = stage.join(LEAD);
    let mut client = Client::join(options(proxy.link(&link))).await.unwrap();
    let mut seen = vec![];
    let step = crosscheck::name::StepId::new("go").unwrap();
    let settle = || Request::Settle {
        step: step.clone(),
        outcome: crosscheck::event::Settled::Failed,
        why: "seen on the lead's screen".into(),
    };

    // It comes in time.
    lead.ok("say before");
    until(&mut client, &mut seen, "what was said", said("before")).await;
    proxy.net.send_replace(Net::Late);
    lead.ok("arm go");
    lead.ok("run");
    lead.expect("01 go failed: exit 3");
    let id = client.ask(settle()).await;
    proxy.mend();
    let refusal = answer(&mut client, id).await;
    assert_eq!(refusal, None, "it was signed once it was here");
    assert_eq!(stage.events("Acknowledged").len(), 1);

    // It does not: nothing is signed for what this client has not seen, and the person is told.
    proxy.net.send_replace(Net::Late);
    lead.ok("arm go");
    let check = Request::Check { step: step.clone(), attempt: 2, digest: crosscheck::hash::Hash::ZERO };
    let id = client.ask(check).await;
    let refusal = answer(&mut client, id).await.expect("it is refused");
    assert!(refusal.reason.contains("has not come to this client within 2 s"), "{refusal:?}");
    assert!(refusal.hint.unwrap().contains("ask again"));
    proxy.mend();
    // What is a mistake the hub calls so, in its own words.
    let id = client.ask(Request::Release).await;
    let refusal = answer(&mut client, id).await.expect("it is refused");
    assert_eq!(refusal.reason, "the andon is not pulled");
    assert!(stage.events("Refused").iter().all(|refused| !refused["reason"].as_str().unwrap().contains("not signed")));
}

/// The same in plain mode: the step still runs there, and ended on everybody else's screen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_elsewhere_is_taken_note_of_once_it_is_here() {
    let stage =
        Stage::new(&PLAN.replace("class = \"critical\"\n", "").replace("echo hello", "read line < fifo; exit 3"));
    nix::unistd::mkfifo(&stage.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _hub = stage.serve(&[]);
    let link: Link = stage.links()[DBA].parse().unwrap();
    let proxy = Proxy::start(&link).await;
    let (lead, dba) = (stage.join(LEAD), stage.join_by(DBA, &proxy.link(&link).to_string()));
    dba.expect("joined session");
    lead.ok("arm go");
    lead.ok("run");
    dba.expect("01 go runs");
    proxy.net.send_replace(Net::Late);
    std::fs::write(stage.path("fifo"), "on\n").unwrap();
    lead.expect("01 go failed: exit 3");
    dba.say("ack seen");
    assert_eq!(dba.answer_within(Duration::from_millis(300)), None, "it waits");
    proxy.mend();
    let answer = dba.answer();
    assert!(answer.starts_with("ok "), "{answer}");
}

/// Whoever asks while the end comes hears from somebody too: nothing that was taken in is left without an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_whenever_the_end_comes() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    let mut client = Client::join(options(stage.links()[DBA].parse().unwrap())).await.unwrap();
    let asker = client.asker();
    let asking = tokio::spawn(async move {
        let mut ids = vec![];
        // Not faster than the hub reads; it ends with the client, which then takes nothing more.
        let mut pace = tokio::time::interval(Duration::from_millis(60));
        while let Ok(id) = asker.ask(Request::Say { text: "still here".into() }) {
            ids.push(id);
            pace.tick().await;
        }
        ids
    });
    until(&mut client, &mut vec![], "a word", said("still here")).await;
    lead.ok("close");
    let mut answered = vec![1]; // the first one's answer may have come before its line was waited for
    loop {
        match timeout(PATIENCE, client.notices.recv()).await.expect("an end in time") {
            Some(Notice::Answer { id, .. }) => answered.push(id),
            Some(Notice::Over(why)) => assert_eq!(why, None),
            Some(_) => {}
            None => break,
        }
    }
    let asked = asking.await.unwrap();
    assert!(asked.len() > 1);
    answered.dedup();
    assert_eq!(answered, asked, "each once and in order");
}

/// What became of a request.
async fn answer(client: &mut Client, id: u64) -> Option<crosscheck::protocol::Refused> {
    loop {
        let next = timeout(PATIENCE, client.notices.recv()).await.expect("an answer in time");
        match next.expect("the client goes on") {
            Notice::Answer { id: answered, refusal, .. } if answered == id => return refusal,
            _ => {}
        }
    }
}

#[test]
fn a_hub_that_stands_still_is_shown_as_lost() {
    let stage = Stage::new(PLAN);
    let hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    lead.ok("say before");
    hub.signal(Signal::SIGSTOP);
    lead.expect("link: LOST (the hub said nothing for 9 s); what is shown is old until it is back");
    hub.signal(Signal::SIGCONT);
    lead.expect("link: connected again");
    lead.ok("say after");
    let told: Vec<_> = lead.printed().lines().filter(|line| line.contains(" says: ")).map(str::to_owned).collect();
    assert_eq!(told.len(), 2, "{told:?}");
}

/// A client's reader that takes its time: it waits for the state that goes with a line it was told of, while more lines
/// come than fit between the two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_and_its_client_do_not_wait_for_each_other() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let links = stage.links();
    let mut client = Client::join(options(links["observer"].parse().unwrap())).await.unwrap();
    let mut talkers = vec![];
    for who in [LEAD, DBA, "search@example.org"] {
        let key = Key::fresh().unwrap();
        for _ in 0..3 {
            talkers.push(Raw::join(&links[who], &key).await.unwrap());
        }
    }
    const EACH: usize = 130;
    for n in 0..EACH {
        for talker in &mut talkers {
            talker.ask(Request::Say { text: format!("{n}") }).await;
        }
    }
    let mut said = 0;
    while said < EACH * 9 {
        let notice = timeout(PATIENCE, client.notices.recv()).await.expect("in time").expect("the client goes on");
        let Notice::Line { line, told } = notice else { continue };
        said += usize::from(told.contains(" says: "));
        let folded = timeout(Duration::from_secs(20), client.view.wait_for(|view| view.session.seq >= line.seq)).await;
        folded.unwrap_or_else(|_| panic!("line {} was told and its state never shown", line.seq)).unwrap();
    }
}

/// A machine that saw a hub sign so many lines finds out a hub that later shows fewer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_shows_less_than_it_signed_is_found_out() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let link: Link = stage.links()[LEAD].parse().unwrap();
    let heads = stage.path("heads/session.json");
    let signer = Arc::new(Signer::Own(Key::fresh().unwrap()));
    let options = || Options { keys: Keys::Given(signer.clone()), heads: Some(heads.clone()), ..options(link.clone()) };
    let mut client = Client::join(options()).await.unwrap();
    let mut seen = vec![];
    let vouched = |notice: &Notice| matches!(notice, Notice::Line { told, .. } if told.contains("vouched"));
    until(&mut client, &mut seen, "the hub's key", vouched).await;
    // The next checkpoint comes with the next person.
    let _dba = Raw::join(&stage.links()[DBA], &Key::fresh().unwrap()).await.unwrap();
    let kept = timeout(PATIENCE, async {
        loop {
            match std::fs::read(&heads).ok().and_then(|bytes| serde_json::from_slice::<Head>(&bytes).ok()) {
                Some(head) => return head,
                None => tokio::task::yield_now().await,
            }
        }
    });
    let kept = kept.await.expect("the head is kept");
    drop(client);
    assert!(Client::join(options()).await.is_ok(), "the same history");
    let more = Head { seq: kept.seq + 100_000, ..kept };
    std::fs::write(&heads, serde_json::to_vec(&more).unwrap()).unwrap();
    let error = Client::join(options()).await.err().expect("it shows less").to_string();
    assert!(error.contains("another history") && error.contains(&more.seq.to_string()), "{error}");
}

//! The loop, and the collectors that need one, against real loopback servers and real little programs.

use super::*;
use crate::fixture as a;
use crate::plan::{HostLimits, Http, OutputRules, Run, Template};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) fn template(text: &str) -> Template {
    Template::new(text).unwrap()
}
fn watch(kind: WatchKind, every: Duration) -> Watch {
    a::watching("w", kind, every)
}
fn page(url: &str) -> WatchKind {
    WatchKind::Http(Http::page(template(url)))
}
fn shell(script: &str, timeout: Duration) -> WatchKind {
    WatchKind::Command { run: Run::Shell(template(script)), timeout, answer: OutputRules::default() }
}
/// A clock that moves by one microsecond with every look, so that "after" is never a matter of luck.
fn counting() -> (Now, Arc<AtomicI64>) {
    let ticks = Arc::new(AtomicI64::new(0));
    let count = ticks.clone();
    (Arc::new(move || At::from_micros(count.fetch_add(1, Ordering::SeqCst))), ticks)
}
/// Reads that kind once, without the loop but with its limit.
pub(super) async fn once(kind: WatchKind) -> Reading {
    once_in(kind, Path::new("/")).await
}
async fn once_in(kind: WatchKind, folder: &Path) -> Reading {
    let watch = watch(kind, Duration::from_secs(5));
    let limit = limit(&watch);
    let (params, now, slot) = (Params::new(), counting().0, anchor::Slot::default());
    let around = Around { params: &params, folder, opened: now(), now: &now, slot: &slot };
    let mut collector = Collector::new(&watch, &around);
    match tokio::time::timeout(limit, collector.read(limit, false)).await {
        Ok((reading, _)) => reading,
        Err(_) => Reading::unknown("late"),
    }
}
/// Takes a request off a connection.
pub(super) async fn request(stream: &mut TcpStream) -> String {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.unwrap();
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}
pub(super) fn response(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{more}\r\n{body}", body.len())
}
/// A server that gives every request the same answer.
pub(super) async fn server(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = request(&mut stream).await;
            let _ = stream.write_all(answer(&request).as_bytes()).await; // a client may leave early
        }
    });
    format!("http://{address}")
}
/// An address nobody listens on.
pub(super) async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

// ── tcp ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_port_is_open_refused_or_not_known() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = |address: &str| WatchKind::Tcp { address: template(address), within: None };
    let reading = once(tcp(&listener.local_addr().unwrap().to_string())).await;
    assert_eq!((reading.status, &*reading.unit), (Status::Ok, "ms"), "{}", reading.why);
    assert!(reading.value.is_some());
    let reading = once(tcp(&nobody().await)).await;
    assert_eq!((reading.status, reading.value), (Status::Fail, None), "{}", reading.why);
    for (address, why) in [
        ("no-port", "no-port is no address: "),
        ("127.0.0.1:99999", "127.0.0.1:99999 is no address: "),
        ("name.invalid:1", "the name name.invalid does not resolve: "),
    ] {
        let reading = once(tcp(address)).await;
        assert_eq!((reading.status, reading.value), (Status::Unknown, None));
        assert!(reading.why.starts_with(why), "{}", reading.why);
    }
}

// Elsewhere a kernel may refuse what it has no room for.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_port_that_says_neither_yes_nor_no_is_unknown_by_the_limit() {
    // A queue of one that nobody empties: once it is full the kernel drops what else asks to connect.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = vec![];
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue has an end");
    }
    let began = std::time::Instant::now();
    let within = Some(Duration::from_millis(100));
    let reading = once(WatchKind::Tcp { address: template(&address.to_string()), within }).await;
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert!(reading.why.contains("says neither yes nor no within 1.0 s"), "{}", reading.why);
    assert!(began.elapsed() < Duration::from_secs(4));
}

// ── command ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn the_exit_decides_and_the_first_line_is_shown() {
    let long = Duration::from_secs(20);
    for (script, status, value, why) in [
        ("echo 42", Status::Ok, Some(42.0), "42"),
        // What is not a number from end to end is none, and what is not shown is counted.
        ("echo 42 rows; echo more", Status::Ok, None, "42 rows, and 1 more lines"),
        ("exit 0", Status::Ok, None, "exit 0"),
        ("echo 3; exit 1", Status::Fail, Some(3.0), "exit 1: 3"),
        ("echo no server >&2; exit 2", Status::Unknown, None, "exit 2: no server"),
        ("echo 7; exit 3", Status::Unknown, None, "exit 3: 7"),
        ("kill -9 $$", Status::Unknown, None, "ended by SIGKILL"),
        ("echo nan", Status::Ok, None, "nan"),
        ("printf '\\033[31mred'", Status::Ok, None, "\\u{1b}[31mred"),
        // More than a pipe holds: it must not block.
        ("head -c 300000 /dev/zero | tr '\\0' y >&2; echo 1", Status::Ok, Some(1.0), "1"),
        // A part of a pipeline that fails is no reading; who wants `head` to cut one says so.
        ("yes | head -c 30 >&2; echo 1", Status::Unknown, None, "exit 141: y"),
        ("set +o pipefail; yes | head -c 30 >&2; echo 1", Status::Ok, Some(1.0), "1"),
    ] {
        let reading = once(shell(script, long)).await;
        assert_eq!((reading.status, reading.value, &*reading.why), (status, value, why), "{script}");
    }
    let none = WatchKind::Command {
        run: Run::Argv(vec![template("./no-such-program")]),
        timeout: long,
        answer: OutputRules::default(),
    };
    let reading = once(none).await;
    assert_eq!(reading.status, Status::Unknown);
    assert!(reading.why.contains("cannot run it: ./no-such-program"), "{}", reading.why);
}

#[tokio::test]
async fn it_runs_in_the_plans_folder_with_few_variables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let reading = once_in(shell("pwd", Duration::from_secs(20)), &path).await;
    assert_eq!(reading.why, path.to_string_lossy());
    // cargo sets this for the test; a watch must not depend on who started the hub.
    let reading = once_in(shell("echo ${CARGO_MANIFEST_DIR:-none}", Duration::from_secs(20)), &path).await;
    assert_eq!(reading.why, "none");
}

#[tokio::test]
async fn a_time_out_ends_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    // The grandchild holds the pipe open for reading; once nobody does, opening it for writing fails.
    let script = "mkfifo held; (exec 3<>held; echo ready; sleep 1000) & wait";
    let reading = once_in(shell(script, Duration::from_millis(700)), folder.path()).await;
    assert_eq!(reading.status, Status::Unknown);
    assert_eq!(reading.why, "ended by force after 0.7 s: ready");
    use nix::fcntl::{OFlag, open};
    let held = || open(&folder.path().join("held"), OFlag::O_WRONLY | OFlag::O_NONBLOCK, nix::sys::stat::Mode::empty());
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while held().is_ok() {
        assert!(std::time::Instant::now() < until, "the grandchild is still alive");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_a_command_leaves_behind_does_not_hold_its_reading() {
    let began = std::time::Instant::now();
    let reading = once(shell("sleep 5 & echo 1", Duration::from_secs(20))).await;
    assert_eq!((reading.status, reading.value), (Status::Ok, Some(1.0)), "{}", reading.why);
    assert!(began.elapsed() < Duration::from_secs(4));
}

// ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn an_asked_reading_begins_after_the_question_even_if_one_is_in_progress() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kind = page(&format!("http://{}", listener.local_addr().unwrap()));
    let watch = watch(kind, Duration::from_secs(10));
    let (now, _) = counting();
    let (samples, mut seen) = mpsc::channel(8);
    let monitor = Monitor::start(std::slice::from_ref(&watch), &Params::new(), Path::new("/"), now.clone(), samples);
    // The periodic reading is in progress: its request has come and has no answer yet.
    let (mut first, _) = listener.accept().await.unwrap();
    request(&mut first).await;
    let question = now();
    monitor.read_now(&watch.id, 7);
    monitor.read_now(&watch.id, 8);
    first.write_all(response("200 OK", "", "").as_bytes()).await.unwrap();
    let sample = seen.recv().await.unwrap();
    assert_eq!((sample.asked, sample.reading.status), (None, Status::Ok));
    assert!(sample.began < question);
    // One fresh reading answers both: it began after both were asked.
    let (mut second, _) = listener.accept().await.unwrap();
    request(&mut second).await;
    second.write_all(response("500 Oops", "", "").as_bytes()).await.unwrap();
    for number in [7, 8] {
        let sample = seen.recv().await.unwrap();
        assert_eq!((sample.asked, sample.reading.status), (Some(number), Status::Fail));
        assert!(sample.began > question);
    }
    drop(monitor);
    assert!(seen.recv().await.is_none(), "dropping the monitor ends its tasks");
}

#[tokio::test(start_paused = true)]
async fn periods_are_kept_on_tokios_clock_and_late_ones_are_not_made_up_for() {
    let watch = watch(page("not a url"), Duration::from_secs(60));
    let (samples, mut seen) = mpsc::channel(1);
    let began = tokio::time::Instant::now();
    let at = Arc::new(move || At::from_micros(i64::try_from(began.elapsed().as_micros()).unwrap()));
    let _monitor = Monitor::start(&[watch], &Params::new(), Path::new("/"), at, samples);
    for minute in 0..3_i64 {
        let sample = seen.recv().await.unwrap();
        assert_eq!(sample.began.micros() / 60_000_000, minute);
    }
    // Nobody takes samples for ten periods: then the next come a period apart, not all at once.
    tokio::time::sleep(Duration::from_secs(600)).await;
    let mut begins = vec![];
    for _ in 0..5 {
        begins.push(seen.recv().await.unwrap().began.micros() / 1_000_000);
    }
    assert!(begins[3] - begins[2] >= 59 && begins[4] - begins[3] >= 59, "{begins:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_hangs_is_unknown_after_its_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kind = page(&format!("http://{}", listener.local_addr().unwrap()));
    let watch = watch(kind, Duration::from_secs(30));
    assert_eq!(limit(&watch), Duration::from_secs(10));
    let (samples, mut seen) = mpsc::channel(8);
    let monitor = Monitor::start(std::slice::from_ref(&watch), &Params::new(), Path::new("/"), counting().0, samples);
    monitor.read_now(&watch.id, 1);
    let sample = seen.recv().await.unwrap();
    let sample = if sample.asked.is_none() { seen.recv().await.unwrap() } else { sample };
    assert_eq!((sample.asked, sample.reading.status), (Some(1), Status::Unknown));
    assert!(sample.reading.why.ends_with(" said nothing within 9.0 s"), "{}", sample.reading.why);
}

#[tokio::test]
async fn a_question_about_no_watch_or_a_dead_one_is_answered_too() {
    let (samples, mut seen) = mpsc::channel(8);
    let monitor = Monitor::start(&[], &Params::new(), Path::new("/"), counting().0, samples);
    let id = WatchId::new("gone").unwrap();
    monitor.read_now(&id, 3);
    let sample = seen.recv().await.unwrap();
    assert_eq!((sample.watch, sample.asked, sample.reading.status), (id, Some(3), Status::Unknown));
}

#[tokio::test]
async fn every_kind_reads_through_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("backup"), "x").unwrap();
    let kinds = [
        shell("echo 5", Duration::from_secs(20)),
        WatchKind::File {
            path: template("back*"),
            max_age: None,
            min_size_ratio: None,
            min_size: Some(1),
            sha256: None,
        },
        WatchKind::Host(HostLimits { disk_free_below: Some(0), ..HostLimits::default() }),
        WatchKind::Tcp { address: template("{{ missing }}"), within: None },
    ];
    let named = |(index, kind)| Watch {
        id: WatchId::new(&format!("w{index}")).unwrap(),
        ..watch(kind, Duration::from_secs(5))
    };
    let watches: Vec<Watch> = kinds.into_iter().enumerate().map(named).collect();
    let (samples, mut seen) = mpsc::channel(8);
    let _monitor = Monitor::start(&watches, &Params::new(), folder.path(), counting().0, samples);
    let mut found = BTreeMap::new();
    while found.len() < watches.len() {
        let sample = seen.recv().await.unwrap();
        found.insert(sample.watch.to_string(), (sample.reading.status, sample.reading.why));
    }
    for ok in ["w0", "w1", "w2"] {
        assert_eq!(found[ok].0, Status::Ok, "{found:?}");
    }
    assert_eq!(found["w3"].0, Status::Unknown);
    assert!(found["w3"].1.contains("--param missing="), "{found:?}");
}

#[test]
fn bytes_read_as_people_say_them() {
    for (count, text) in [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (u64::MAX, "18446.7 PB")] {
        assert_eq!(bytes(count), text);
    }
}

#[cfg(not(feature = "kafka"))]
#[tokio::test]
async fn the_small_build_knows_no_lag_and_says_so() {
    let reading = once(WatchKind::KafkaLag(crate::plan::KafkaLag {
        brokers: template("b:1"),
        group: template("g"),
        topics: vec![],
        warn_above: None,
        fail_above: None,
        drained: false,
        residual: 0,
        client: vec![],
    }))
    .await;
    assert_eq!((reading.status, &*reading.why), (Status::Unknown, "this build has no Kafka"));
}

//! The loop, and the collectors that need one, against real loopback servers and real little programs.

use super::*;
use crate::plan::{Answer, HostLimits, Run, Template};
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn template(text: &str) -> Template {
    Template::new(text).unwrap()
}
fn watch(kind: WatchKind, every: Duration) -> Watch {
    Watch { id: WatchId::new("w").unwrap(), kind, every, stale_after: every * 3 }
}
fn page(url: &str) -> WatchKind {
    WatchKind::Http { url: template(url), status: None, contains: None, within: None, value: None }
}
fn shell(script: &str, timeout: Duration) -> WatchKind {
    WatchKind::Command { run: Run::Shell(template(script)), timeout, answer: Answer::default() }
}
/// A clock that moves by one microsecond with every look, so that "after" is never a matter of luck.
fn counting() -> (Now, Arc<AtomicI64>) {
    let ticks = Arc::new(AtomicI64::new(0));
    let count = ticks.clone();
    (Arc::new(move || At::from_micros(count.fetch_add(1, Ordering::SeqCst))), ticks)
}
/// Reads that kind once, without the loop but with its limit.
async fn once(kind: WatchKind) -> Reading {
    once_in(kind, Path::new("/")).await
}
async fn once_in(kind: WatchKind, folder: &Path) -> Reading {
    let watch = watch(kind, Duration::from_secs(5));
    let limit = limit(&watch);
    let mut collector = Collector::new(&watch, &Params::new(), folder);
    match tokio::time::timeout(limit, collector.read(limit)).await {
        Ok(reading) => reading,
        Err(_) => Reading::unknown("late"),
    }
}
/// Takes a request off a connection.
async fn request(stream: &mut TcpStream) -> String {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.unwrap();
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}
fn response(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{more}\r\n{body}", body.len())
}
/// A server that gives every request the same answer.
async fn server(answer: impl Fn(&str) -> String + Send + 'static) -> String {
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
async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

// ── http ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_page_as_expected_is_ok_and_shows_its_time_or_its_number() {
    let url = server(|request| {
        assert!(request.contains(concat!("user-agent: crosscheck/", env!("CARGO_PKG_VERSION"))), "{request}");
        response("200 OK", "", r#"{"status":"green","count":1204,"none":null}"#)
    })
    .await;
    let reading = once(page(&url)).await;
    assert_eq!((reading.status, &*reading.unit), (Status::Ok, "ms"), "{}", reading.why);
    assert!(reading.value.is_some_and(|ms| ms > 0.0));
    let at = |value: &str| WatchKind::Http {
        url: template(&url),
        status: Some(200),
        contains: Some("green".into()),
        within: Some(Duration::from_secs(5)),
        value: Some(value.into()),
    };
    let reading = once(at("/count")).await;
    assert_eq!((reading.status, reading.value), (Status::Ok, Some(1204.0)), "{}", reading.why);
    let reading = once(at("/status")).await;
    assert_eq!((reading.status, reading.value), (Status::Ok, None));
    assert!(reading.why.contains("green"), "{}", reading.why);
    for missing in ["/none", "/nothing"] {
        let reading = once(at(missing)).await;
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
    }
}

#[tokio::test]
async fn a_bad_page_fails_and_is_quoted_harmlessly() {
    let long = format!("red \u{1b}[31m{}", "x".repeat(500));
    let url = server(move |_| response("503 Service Unavailable", "", &long)).await;
    let reading = once(page(&url)).await;
    assert_eq!(reading.status, Status::Fail);
    assert!(reading.why.contains("503") && reading.why.contains("2xx was expected: red"), "{}", reading.why);
    assert!(!reading.why.chars().any(crate::name::is_hidden) && reading.why.len() < 250, "{}", reading.why);
    let url = server(|_| response("200 OK", "", "yellow")).await;
    let WatchKind::Http { url, status, within, value, .. } = page(&url) else { unreachable!() };
    let reading = once(WatchKind::Http { url, status, contains: Some("green".into()), within, value }).await;
    assert_eq!(reading.status, Status::Fail);
    assert!(reading.why.contains(r#"no "green" in it: yellow"#), "{}", reading.why);
}

#[tokio::test]
async fn what_does_not_answer_is_unknown() {
    let reading = once(page(&format!("http://{}", nobody().await))).await;
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert!(reading.why.to_lowercase().contains("connection refused"), "{}", reading.why);
    let cut = server(|_| "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf".into()).await;
    assert_eq!(once(page(&cut)).await.status, Status::Unknown);
    let plain = server(|_| "no http at all\r\n\r\n".into()).await;
    assert_eq!(once(page(&plain)).await.status, Status::Unknown);
    // No TLS on the other side. On a machine without roots this also has to fail when it is read, not when it is made.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { listener.accept().await.unwrap().0.write_all(b"SSH-2.0-x\r\n").await });
    let reading = once(page(&url)).await;
    assert_eq!(reading.status, Status::Unknown);
    assert!(reading.why.starts_with("no answer: "), "{}", reading.why);
    for bad in ["ftp://example.org", "not a url", "http://{{ host }}/"] {
        assert_eq!(once(page(bad)).await.status, Status::Unknown, "{bad}");
    }
}

#[tokio::test]
async fn a_slow_answer_fails_and_no_answer_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(60)).await; // the slowness that is under test
        stream.write_all(response("200 OK", "", "").as_bytes()).await.unwrap();
        let hung = listener.accept().await.unwrap(); // answers nothing, and stays open
        std::future::pending::<()>().await;
        drop(hung);
    });
    let within = Some(Duration::from_millis(20));
    let kind = || WatchKind::Http { url: template(&url), status: None, contains: None, within, value: None };
    let reading = once(kind()).await;
    assert_eq!(reading.status, Status::Fail);
    assert!(reading.why.contains("slower than"), "{}", reading.why);
    assert_eq!(once(kind()).await.status, Status::Unknown);
    held.abort();
}

#[tokio::test]
async fn redirects_are_named_and_have_an_end() {
    let url = server(|request| match request.starts_with("GET /login?") {
        true => response("200 OK", "", "please log in"),
        false => response("302 Found", "location: /login?token=secret\r\n", ""),
    })
    .await;
    let reading = once(page(&url)).await;
    assert_eq!(reading.status, Status::Ok);
    assert!(reading.why.ends_with("/login, redirected"), "{}", reading.why);
    let round = server(|_| response("302 Found", "location: /\r\n", "")).await;
    let reading = once(page(&round)).await;
    assert_eq!(reading.status, Status::Fail);
    assert!(reading.why.contains("more than 3 times"), "{}", reading.why);
}

#[tokio::test]
async fn an_endless_body_is_cut_and_proves_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        }
    });
    let kind = |contains: Option<&str>, value: Option<&str>| WatchKind::Http {
        url: template(&url),
        status: None,
        contains: contains.map(str::to_owned),
        within: None,
        value: value.map(str::to_owned),
    };
    assert_eq!(once(kind(Some("xxx"), None)).await.status, Status::Ok);
    assert_eq!(once(kind(Some("green"), None)).await.status, Status::Unknown);
    assert_eq!(once(kind(None, Some("/count"))).await.status, Status::Unknown);
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
    for address in ["no-port", "name.invalid:1"] {
        assert_eq!(once(tcp(address)).await.status, Status::Unknown, "{address}");
    }
}

// ── command ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn the_exit_decides_and_the_first_line_is_shown() {
    let long = Duration::from_secs(20);
    for (script, status, value, why) in [
        ("echo 42 rows; echo more", Status::Ok, Some(42.0), "42 rows"),
        ("exit 0", Status::Ok, None, "exit 0"),
        ("echo 3 left; exit 1", Status::Fail, Some(3.0), "exit 1: 3 left"),
        ("echo no server >&2; exit 2", Status::Unknown, None, "exit 2: no server"),
        ("echo 7; exit 3", Status::Unknown, None, "exit 3: 7"),
        ("kill -9 $$", Status::Unknown, None, "ended by SIGKILL"),
        ("echo nan", Status::Ok, None, "nan"),
        ("printf '\\033[31mred'", Status::Ok, None, "\\u{1b}[31mred"),
        // More than a pipe holds: it must not block.
        ("yes | head -c 300000 >&2; echo 1", Status::Ok, Some(1.0), "1"),
    ] {
        let reading = once(shell(script, long)).await;
        assert_eq!((reading.status, reading.value, &*reading.why), (status, value, why), "{script}");
    }
    let none = WatchKind::Command {
        run: Run::Argv(vec![template("./no-such-program")]),
        timeout: long,
        answer: Answer::default(),
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
    assert_eq!(sample.reading.why, "no answer within 10 s");
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
    let (brokers, group) = (template("b:1"), template("g"));
    let reading =
        once(WatchKind::KafkaLag { brokers, group, topics: vec![], warn_above: None, fail_above: None }).await;
    assert_eq!((reading.status, &*reading.why), (Status::Unknown, "this build has no Kafka"));
}

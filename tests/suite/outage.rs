//! What is watched breaks in every way and comes back: no reading that began meanwhile is ok, all are fresh soon after, and
//! what is well is read on.

use crate::support::faulty::{Faulty, Mode};
use crate::support::program::{Hub, Stage};
use crate::support::real::installed;
use crate::support::wait::{PATIENCE, poll};
use crosscheck::clock::{At, wall};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long after an outage a reading may begin that is ok again: what hangs ends by its limit of 2 s, and the next one
/// begins half a second later. The rest is for a machine that does something else.
const FRESH: Duration = Duration::from_secs(10);
/// The longest pause of a watch that is well and read five times a second.
const PAUSE: Duration = Duration::from_secs(5);

fn plan(watches: &str) -> String {
    format!(
        "crosscheck = 1\nname = \"outage\"\nenvironment = \"test\"\n[crew]\nlead = [\"lead@example.org\"]\nshadow = []\n{watches}"
    )
}

/// One reading of one watch, from the transcript.
#[derive(Debug)]
struct Taken {
    began: At,
    /// When the hub took it.
    at: At,
    status: String,
    value: Option<f64>,
    why: String,
}

fn readings(stage: &Stage, watch: &str) -> Vec<Taken> {
    let time = |value: &Value| At::try_from(value.as_str().unwrap_or_default().to_owned()).expect("a time");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |line: &Value| {
        let taken = line["event"].get("ReadingTaken").filter(|taken| taken["watch"] == watch)?;
        Some(Taken {
            began: time(&taken["began"]),
            at: time(&line["at"]),
            status: text(&taken["reading"]["status"]),
            value: taken["reading"]["value"].as_f64(),
            why: text(&taken["reading"]["why"]),
        })
    };
    stage.transcript().iter().filter_map(of).collect()
}

/// Waits for a reading that began after that moment and is like that.
fn after(stage: &Stage, hub: &Hub, watch: &str, since: At, wanted: impl Fn(&Taken) -> bool) -> Taken {
    let found =
        poll(PATIENCE, || readings(stage, watch).into_iter().find(|taken| taken.began > since && wanted(taken)));
    found.unwrap_or_else(|| {
        let seen: Vec<_> = readings(stage, watch).into_iter().filter(|taken| taken.began > since).collect();
        panic!("{watch} never came to it after {since}: {seen:#?}\n{}", hub.printed())
    })
}

/// While that is broken the watches must not be ok; and soon after it is mended they are.
fn outage(stage: &Stage, hub: &Hub, what: &str, watches: &[(&str, &str)], breaks: impl FnOnce(), mends: impl FnOnce()) {
    breaks();
    let broken = wall();
    for (watch, why) in watches {
        after(stage, hub, watch, broken, |taken| taken.status == "unknown" && taken.why.contains(why));
    }
    let end = wall();
    mends();
    let mended = wall();
    for (watch, _) in watches {
        let taken = after(stage, hub, watch, mended, |taken| taken.status == "ok");
        let late = taken.began.since(mended);
        assert!(late < FRESH, "{what}: {watch} was ok again only after {late:?}");
        let all = readings(stage, watch);
        let false_ok = all.iter().find(|taken| taken.began > broken && taken.at < end && taken.status == "ok");
        assert!(false_ok.is_none(), "{what}: {watch} was ok in the middle of it: {false_ok:?}");
    }
}

/// No pause between the readings of a watch that was well all the time.
fn assert_read_on(stage: &Stage, watch: &str, least: usize) {
    let all = readings(stage, watch);
    assert!(all.len() >= least && all.iter().all(|taken| taken.status == "ok"), "{} readings: {all:#?}", all.len());
    let pauses = all.windows(2).map(|pair| pair[1].began.since(pair[0].began));
    let longest = pauses.max().expect("more than one");
    println!("{watch}: {} readings, the longest pause {longest:?}", all.len());
    assert!(longest < PAUSE, "{watch} was not read for {longest:?}");
}

fn vector(value: &str) -> Mode {
    let series = match value {
        "" => String::new(),
        value => format!(r#"{{"metric":{{}},"value":[1,"{value}"]}}"#),
    };
    let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#);
    Mode::Answers("200 OK", body)
}

#[test]
fn whatever_hangs_refuses_or_lies_is_never_ok_and_holds_up_nobody() {
    let well = || Mode::Answers("200 OK", "green".to_owned());
    let (mut page, mut metrics) = (Faulty::start(well()), Faulty::start(vector("3")));
    let steady = Faulty::start(well());
    let stage = Stage::new(&plan(&format!(
        r#"
[[watch]]
id = "page"
kind = "http"
url = "http://{page}/"
every = "500ms"
expect = {{ present = ["green"], within = "1s" }}
[[watch]]
id = "lag"
kind = "prometheus"
url = "http://{metrics}"
query = "lag"
fail_above = 10
every = "500ms"
[[watch]]
id = "both"
kind = "compare"
assert = "lag < 5"
every = "500ms"
[[watch]]
id = "nowhere"
kind = "http"
url = "http://name.invalid/"
every = "500ms"
[[watch]]
id = "nowhere-port"
kind = "tcp"
address = "name.invalid:80"
every = "500ms"
[[watch]]
id = "steady"
kind = "tcp"
address = "{steady}"
every = "200ms"
"#,
        page = page.address,
        metrics = metrics.address,
        steady = steady.address
    )));
    let mut hub = stage.serve(&[]);
    let began = At::default();
    for watch in ["page", "lag", "both", "steady"] {
        after(&stage, &hub, watch, began, |taken| taken.status == "ok");
    }
    let error = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#.to_owned();
    for (page_is, page_says, lag_is, lag_says) in [
        (Mode::Silent, "said nothing within", vector(""), "no data"),
        (Mode::Headless, "200 came and 0 B of its body, but no end", vector("NaN"), "no number but NaN"),
        (Mode::Trickles, "200 came and", Mode::Silent, "said nothing within"),
        (Mode::BreaksOff, "broke off after 4 B", Mode::Answers("503 Oops", error), "Prometheus says timeout"),
    ] {
        let (what, both) =
            (format!("{page_is:?}, {lag_is:?}"), [("page", page_says), ("lag", lag_says), ("both", "lag is unknown")]);
        let breaks = || {
            page.is(page_is);
            metrics.is(lag_is);
        };
        let mends = || {
            page.is(well());
            metrics.is(vector("3"));
        };
        outage(&stage, &hub, &what, &both, breaks, mends);
    }
    let servers = std::cell::RefCell::new((&mut page, &mut metrics));
    let refused = [("page", "connection refused"), ("lag", "connection refused"), ("both", "lag is unknown")];
    let stop = || {
        let mut servers = servers.borrow_mut();
        servers.0.stop();
        servers.1.stop();
    };
    let resume = || {
        let mut servers = servers.borrow_mut();
        servers.0.resume();
        servers.1.resume();
    };
    outage(&stage, &hub, "refusing", &refused, stop, resume);

    for watch in ["nowhere", "nowhere-port"] {
        let all = readings(&stage, watch);
        assert!(
            !all.is_empty() && all.iter().all(|taken| taken.status == "unknown" && taken.value.is_none()),
            "{all:?}"
        );
        assert!(all[0].why.contains("name.invalid does not resolve"), "{all:?}");
    }
    assert_read_on(&stage, "steady", 20);
    assert!(!hub.has_ended(), "{}", hub.printed());
}

/// A Prometheus server of this test's own.
struct Prometheus {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Prometheus {
    fn new(target: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            "global:\n  scrape_interval: 500ms\n  scrape_timeout: 400ms\nscrape_configs:\n  - job_name: t\n    static_configs:\n      - targets: ['{target}']\n"
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("written");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        Prometheus { folder, port, child: None }
    }

    fn start(&mut self) {
        let path = |name: &str| -> String { Path::join(self.folder.path(), name).display().to_string() };
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("prometheus starts"));
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().expect("it runs").id();
        kill(Pid::from_raw(pid.try_into().expect("a pid")), signal).expect("it is there");
    }

    /// Stops it, every thread of it: the signal alone is on its way when `kill` returns.
    fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.child.as_ref().expect("it runs").id());
        let stopped = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            Some(stat.rsplit(") ").next()?.starts_with('T'))
        };
        let all = || std::fs::read_dir(&tasks).ok()?.all(|task| stopped(task) == Some(true)).then_some(());
        poll(PATIENCE, all).expect("it stops");
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn a_real_prometheus_empty_frozen_and_killed_is_never_ok_and_comes_back() {
    let Some(()) = installed("prometheus", "--version") else { return };
    let exports = |value: &str| Mode::Answers("200 OK", format!("# TYPE lag gauge\nlag{{group=\"g\"}} {value}\n"));
    let mut exporter = Faulty::start(exports("3"));
    let mut prometheus = Prometheus::new(&exporter.address.to_string());
    prometheus.start();
    let watch = |id: &str, query: &str| {
        let port = prometheus.port;
        let url = format!("url = \"http://127.0.0.1:{port}\"\nquery = '{query}'\nfail_above = 10\nevery = \"500ms\"\n");
        format!("[[watch]]\nid = \"{id}\"\nkind = \"prometheus\"\n{url}")
    };
    let watches = [
        ("lag", "lag"),
        ("sum", "scalar(sum(lag))"),
        ("absent", "no_such_metric"),
        ("nan", "lag / 0 - lag / 0"),
        ("range", "lag[1m]"),
        ("wrong", "sum("),
    ];
    let watches: String = watches.iter().map(|(id, query)| watch(id, query)).collect();
    let stage = Stage::new(&plan(&watches));
    let mut hub = stage.serve(&[]);
    for watch in ["lag", "sum"] {
        let taken = after(&stage, &hub, watch, At::default(), |taken| taken.status == "ok");
        assert_eq!(taken.value, Some(3.0), "{}", taken.why);
    }
    for (watch, why) in [
        ("absent", "no data: the query found no series"),
        ("nan", "is no number but NaN"),
        ("range", "a range of values"),
        ("wrong", "Prometheus says bad_data"),
    ] {
        after(&stage, &hub, watch, At::default(), |taken| taken.why.contains(why));
    }
    exporter.is(exports("12"));
    let red = after(&stage, &hub, "lag", At::default(), |taken| taken.status == "fail");
    assert_eq!(red.value, Some(12.0));
    assert!(red.why.contains("group=\"g\"") && red.why.ends_with("12 is above 10"), "{}", red.why);
    exporter.is(exports("3"));
    after(&stage, &hub, "lag", red.began, |taken| taken.status == "ok");

    // Its target gone: from the next scrape on there is no data.
    exporter.stop();
    for (watch, why) in [("lag", "no data"), ("sum", "is no number but NaN")] {
        after(&stage, &hub, watch, red.began, |taken| taken.status == "unknown" && taken.why.contains(why));
    }
    let gone = wall();
    exporter.resume();
    after(&stage, &hub, "lag", gone, |taken| taken.status == "ok");

    let silent = [("lag", "said nothing within"), ("sum", "said nothing within")];
    let freeze = || prometheus.freeze();
    let thaw = || prometheus.signal(Signal::SIGCONT);
    outage(&stage, &hub, "frozen", &silent, freeze, thaw);
    let killed = std::cell::RefCell::new(&mut prometheus);
    let refused = [("lag", "connection refused"), ("sum", "connection refused")];
    outage(&stage, &hub, "killed", &refused, || killed.borrow_mut().end(), || killed.borrow_mut().start());

    for watch in ["absent", "nan", "range", "wrong"] {
        let all = readings(&stage, watch);
        let false_ok = all.iter().find(|taken| taken.status != "unknown" || taken.value.is_some());
        assert!(false_ok.is_none(), "{watch}: {false_ok:?}");
    }
    assert!(!hub.has_ended(), "{}", hub.printed());
}

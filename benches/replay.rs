//! Reading a transcript back (number, link and kind of every line checked, every event folded) beside doing nothing but
//! decoding its JSON into the same types.

mod support;

use crosscheck::clock::At;
use crosscheck::event::{Event, Part, Reading, RunEnd, Status};
use crosscheck::hash::Hash;
use crosscheck::name::{Principal, StepId, WatchId};
use crosscheck::plan::{Params, Plan};
use crosscheck::session::Session;
use crosscheck::transcript::read::Reader;
use crosscheck::transcript::record::{FORMAT, Head, Line};
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;
use support::Goal;

const EVENTS: u64 = 200_000;
const RUNS: usize = 7;

const PLAN: &str = r#"
crosscheck = 1
name = "Reindex the products"
environment = "bench"
[crew]
lead = ["dana@example.org"]
shadow = ["kim@example.org", "lee@example.org"]
observer = "link"
[[watch]]
id = "health"
kind = "command"
run = ["true"]
[[watch]]
id = "lag"
kind = "command"
run = ["true"]
[[step]]
id = "build"
title = "Build the new index"
run = ["true"]
[[step]]
id = "switch"
title = "Point the alias at it"
class = "critical"
run = ["true"]
gates = ["health"]
"#;

fn main() {
    let folder = support::folder();
    let path = folder.path().join("long.jsonl");
    let bytes = generate(&path);
    let what = format!("{EVENTS} events, {} MB in the page cache, processor time", bytes / 1_000_000);
    support::headline("replay", &what);
    let (mut ours, mut bare, mut read) = (vec![], vec![], vec![]);
    for _ in 0..RUNS {
        bare.push(timed(|| decode(&path)));
        read.push(timed(|| check(&path)));
        ours.push(timed(|| replay(&path)));
    }
    let rate = |times: &[f64]| EVENTS as f64 / support::median(times) / 1e6;
    println!(
        "replay: decode only {:.2}M events/s, chain checked {:.2}M, folded too {:.2}M",
        rate(&bare),
        rate(&read),
        rate(&ours)
    );
    support::report("replay with chain check, without fold / bare decode", &support::ratios(&bare, &read), Goal::None);
    support::report(
        "replay with chain check and fold / bare decode",
        &support::ratios(&bare, &ours),
        Goal::AtLeast(0.6),
    );
}

/// Seconds of processor time: neighbours disturb it less than the clock on the wall.
fn timed(work: impl FnOnce() -> u64) -> f64 {
    let begin = support::cpu();
    assert_eq!(work(), EVENTS, "events read");
    (support::cpu() - begin).as_secs_f64()
}

fn decode(path: &Path) -> u64 {
    let mut reader = BufReader::with_capacity(64 * 1024, File::open(path).expect("the file"));
    let (mut line, mut count) = (vec![], 0);
    while reader.read_until(b'\n', &mut line).expect("the file") > 0 {
        let decoded: Line = serde_json::from_slice(&line).expect("a line");
        count += u64::from(std::hint::black_box(decoded).seq > 0);
        line.clear();
    }
    count
}

fn check(path: &Path) -> u64 {
    Reader::open(path).expect("the file").inspect(|line| assert!(line.is_ok())).count() as u64
}

fn replay(path: &Path) -> u64 {
    let mut session: Option<Session> = None;
    for next in Reader::open(path).expect("the file") {
        let (line, _, head) = next.expect("a line");
        match &mut session {
            Some(session) => session.apply(&line, head.hash),
            None => session = Some(Session::open(&line, head.hash).expect("a first line")),
        }
    }
    session.map_or(0, |session| session.seq)
}

/// A long session: of ten events six are readings, three are output, and one is what somebody said, did or ran.
fn generate(path: &Path) -> u64 {
    let plan = Plan::parse("bench", PLAN).expect("a plan");
    let params: Params = plan.params(&Params::default()).expect("no parameters");
    let (dana, kim) = (principal("dana@example.org"), principal("kim@example.org"));
    let (build, health, lag) = (
        StepId::new("build").expect("an id"),
        WatchId::new("health").expect("an id"),
        WatchId::new("lag").expect("an id"),
    );
    let mut out = BufWriter::new(File::create(path).expect("a file"));
    let (mut head, mut bytes) = (Head::START, 0);
    let mut attempt = 1;
    while head.seq < EVENTS {
        let n = head.seq;
        let at = At::from_micros(1_700_000_000_000_000).after(Duration::from_millis(37 * n));
        let (by, event) = match n % 10 {
            _ if n == 0 => (Principal::hub(), opened(&plan, &params)),
            0 => match n / 10 % 5 {
                0 => (
                    dana.clone(),
                    Event::Noted { text: format!("shard {} of 4000 is copied, all as it should be", n / 10) },
                ),
                1 => (
                    kim.clone(),
                    Event::Noted { text: "I see the same on the dashboard; \"green\" since 14:02".into() },
                ),
                2 => {
                    attempt += 1;
                    (dana.clone(), Event::RunIntended { step: build.clone(), attempt })
                }
                3 => (
                    Principal::hub(),
                    Event::RunEnded { step: build.clone(), attempt, end: RunEnd::Exited { code: 0 } },
                ),
                _ => (kim.clone(), Event::Marked { text: "half of it".into() }),
            },
            1..=6 => {
                let (watch, value) = if n % 2 == 0 { (&health, 11.0) } else { (&lag, 1200.0) };
                let value = value + (n % 97) as f64 / 8.0;
                let why = format!("answered 200 in {value} ms, within 1 s");
                let (status, value, unit) = (Status::Ok, Some(value), "ms".into());
                let reading = Reading { status, value, unit, ..Reading::unknown(why) };
                (Principal::hub(), Event::ReadingTaken { watch: watch.clone(), reading, began: at, asked: None })
            }
            _ => {
                let hash = Hash::of(&n.to_le_bytes());
                let event = Event::OutputWritten {
                    step: build.clone(),
                    attempt,
                    part: Part::Step,
                    offset: n * 100,
                    length: 812,
                    hash,
                };
                (Principal::hub(), event)
            }
        };
        let line = Line { v: FORMAT, seq: n + 1, prev: head.hash, at, by, event };
        let encoded = line.encode().expect("a line");
        out.write_all(encoded.bytes()).expect("a disk");
        bytes += encoded.bytes().len() as u64;
        head = encoded.head();
    }
    out.flush().expect("a disk");
    bytes
}

fn principal(name: &str) -> Principal {
    Principal::new(name).expect("a name")
}

fn opened(plan: &Plan, params: &Params) -> Event {
    // As its line has it: a key that a session need not have is not given.
    let opened = serde_json::json!({ "SessionOpened": {
        "session": "0".repeat(32),
        "plan_name": plan.name,
        "environment": plan.environment,
        "plan": plan.text.to_string(),
        "plan_digest": plan.digest,
        "params": params,
        "host": "bench",
        "user": "bench",
        "folder": "/",
        "version": env!("CARGO_PKG_VERSION"),
    } });
    serde_json::from_value(opened).expect("a first line")
}

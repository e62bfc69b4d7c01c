//! Watches flown on what the tools of today write, by the built program: inputs as they were met, each with the one status
//! that is true of it. They lie in `tests/data/watches`; times in them are filled in when they are read.

use crate::support::program::program;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The folder of each, the statuses that are true of it, and words of the sentence beside it.
const CASES: &[(&str, &[&str], &str)] = &[
    // `run_results.json` of `dbt docs generate`: nothing was built and nothing tested.
    ("01-dbt-docs", &["fail"], "`dbt docs generate`, which tests and builds nothing"),
    // Two paths of one host; the newest snapshot of one of them is ten days old.
    ("02-restic-old-path", &["fail"], "db1:/srv/b: 10d old"),
    // A state that is red on a cluster with `green` in its name; the plan asks for the state.
    ("03-http-evergreen", &["fail"], "/status is \"red\", not \"green\""),
    // A report of 17 days ago, its time without a zone, copied here just now.
    ("04-junit-without-zone", &["fail"], "older than 24h"),
    // The suite counts five tests, two are in the file.
    ("05-junit-lost-cases", &["unknown"], "counts 5 tests, and 2 are there"),
    // An error of the suite itself, after a skipped case.
    ("06-junit-suite-error", &["fail"], "1 failed: a whole suite"),
    // A number for each of two shards, the second one bad.
    ("07-command-two-lines", &["fail"], "line 2: 12 is more than 5"),
    // An interval of a database where a number is expected.
    ("08-command-not-a-number", &["unknown"], "\"1 day 02:00:00\" is no number"),
    // An answer that says itself that it is not whole.
    ("09-prometheus-partial", &["unknown"], "its answer is not whole"),
    // A report in UTF-16.
    ("10-results-utf16", &["ok"], "1 tests in report.xml"),
    // A result that passed, with NaN among its figures.
    ("11-gx-nan", &["ok"], "1 tests in gx.json"),
    // A list in which the last item is good and an earlier one is not.
    ("12-list-all-items", &["fail"], "/connector/1/state is \"FAILED\", not \"RUNNING\""),
    // The same over an empty list: nothing was judged.
    ("13-list-empty", &["unknown"], "no item is there"),
];

/// A copy of a case with its times and the port filled in.
fn filled(from: &Path, to: &Path, port: u16) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the case is there") {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("it is listed");
        if from.is_dir() {
            filled(&from, &to, port);
            continue;
        }
        std::fs::copy(&from, &to).expect("copied"); // with its right to be run
        if let Ok(text) = std::fs::read_to_string(&from) {
            std::fs::write(&to, moments(&text).replace("@PORT@", &port.to_string())).expect("written");
        }
    }
}

/// `@NOW-3d@` is a time in UTC, `@LOCAL-3d@` one without a zone, `@EPOCH@` seconds.
fn moments(text: &str) -> String {
    let now = jiff::Timestamp::now();
    let mut parts = text.split('@');
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut rest = parts.peekable();
    while let Some(part) = rest.next() {
        let (word, back) = part.split_once('-').unwrap_or((part, "0h"));
        let unit = back.len().saturating_sub(1);
        let hours = back[..unit].parse::<i64>().map(|count| match &back[unit..] {
            "d" => count * 24,
            _ => count,
        });
        let then = hours.map(|hours| now - jiff::SignedDuration::from_hours(hours)).unwrap_or(now);
        let civil = then.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        match word {
            "NOW" => out += &then.to_string(),
            "LOCAL" => out += &civil.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            "EPOCH" => out += &now.as_second().to_string(),
            _ => {
                out += &format!("@{part}"); // no placeholder
                continue;
            }
        }
        out += rest.next().unwrap_or_default();
    }
    out
}

/// Serves the files of a folder until the test is over, whatever the method.
fn serve(listener: TcpListener, folder: PathBuf) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &folder); // who left gets nothing
        }
    });
}

fn answer(stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(count) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = count.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink())?;
    let path = first.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/").to_owned();
    let (status, body) = match std::fs::read(folder.join(path.trim_start_matches('/'))) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", vec![]),
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.get_mut().write_all(&[head.as_bytes(), &body].concat())
}

#[test]
fn what_was_met_in_the_field_reads_as_it_is() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/watches");
    let folders = std::fs::read_dir(&data).expect("the cases are there").count();
    assert_eq!(folders, CASES.len(), "every case is flown");
    let mut wrong = vec![];
    for (name, wanted, words) in CASES {
        let folder = tempfile::tempdir().expect("a folder");
        let case = folder.path().join("case");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        filled(&data.join(name), &case, listener.local_addr().expect("it is bound").port());
        serve(listener, case.join("www"));
        let mut watch = program(folder.path());
        watch.args(["watch", case.join("plan.toml").to_str().expect("a path of text"), "--once", "--json"]);
        let path = format!("{}:{}", case.join("bin").display(), std::env::var("PATH").expect("there is one"));
        let output = watch.env("PATH", path).stdin(Stdio::null()).output().expect("it runs");
        let seen: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{name}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
        let (status, why) = (seen["watches"][0]["status"].as_str(), seen["watches"][0]["why"].as_str());
        if !(status.is_some_and(|status| wanted.contains(&status)) && why.is_some_and(|why| why.contains(words))) {
            wrong.push(format!("{name}: {}, wanted {wanted:?} and {words:?}", seen["watches"][0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

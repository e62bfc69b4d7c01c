//! `watch`: a plan's watches without a session, once and live, for people and for scripts.

use crate::support::program::{program, run};
use crate::support::wait::{PATIENCE, poll};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn schema() -> jsonschema::Validator {
    let text = std::fs::read_to_string(root().join("tests/schemas/watch.json")).expect("the schema is there");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("it is JSON")).expect("it is a schema")
}

/// What one call prints as JSON, held against the schema and against its own exit status.
fn once(plan: &Path, args: &[&str]) -> Value {
    let home = tempfile::tempdir().expect("a folder");
    let begin = Instant::now();
    let all = [&["watch", plan.to_str().expect("a path of text"), "--once", "--json"], args].concat();
    let (status, out, err) = run(home.path(), &all);
    // Not a measurement: what scripts rely on.
    assert!(begin.elapsed() < Duration::from_secs(30), "{}", plan.display());
    let found: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let wrong: Vec<_> = schema().iter_errors(&found).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{}: {wrong:?}\n{out}", plan.display());
    let all_ok = found["watches"].as_array().unwrap().iter().all(|watch| watch["status"] == "ok");
    assert_eq!(status, Some(if all_ok { 0 } else { 1 }), "{out}{err}");
    found
}

fn of(found: &Value, id: &str) -> Value {
    found["watches"].as_array().unwrap().iter().find(|watch| watch["id"] == id).cloned().expect("it is listed")
}

fn plan(folder: &Path, watches: &str) -> std::path::PathBuf {
    let path = folder.join("plan.toml");
    let text = format!(
        "crosscheck = 1\nname = \"Look\"\nenvironment = \"test\"\n[crew]\nlead = [\"lead@example.org\"]\n{watches}"
    );
    std::fs::write(&path, text).expect("the plan is written");
    path
}

#[test]
fn every_sample_plan_can_be_watched_by_a_script() {
    let plans = std::fs::read_dir(root().join("sessions")).expect("there are plans");
    let plans = plans.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let mut seen = 0;
    for path in plans {
        let found = once(&path, &[]);
        seen += found["watches"].as_array().unwrap().len();
        println!("{}: {}", path.file_name().unwrap().to_string_lossy(), found);
    }
    assert!(seen >= 4, "the sample plans watch something");
    for template in crosscheck::plan::SAMPLES {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new.toml");
        std::fs::write(&path, crosscheck::plan::sample(template, "new").expect("a template")).unwrap();
        once(&path, &[]);
    }
}

#[test]
fn a_schema_that_is_broken_is_noticed() {
    let row = serde_json::json!({"id": "a", "kind": "tcp", "status": "ok", "value": 1.0, "unit": "ms", "why": "w", "source": "h:1", "age_ms": 3});
    let of = |row: &Value| serde_json::json!({"watches": [row]});
    assert!(schema().is_valid(&of(&row)));
    for (key, value) in [
        ("status", Value::from("OK")),
        ("age_ms", Value::Null),
        ("why", Value::from("")),
        ("status", Value::from("unknown")), // with a number beside it
    ] {
        let mut wrong = row.clone();
        wrong[key] = value;
        assert!(!schema().is_valid(&of(&wrong)), "{wrong}");
    }
}

#[test]
fn what_hangs_is_unknown_in_time_and_the_rest_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    // Accepts connections (the system does) and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().unwrap().port();
    let path = plan(
        folder.path(),
        &format!(
            r#"
[[watch]]
id = "silent"
kind = "http"
url = "http://127.0.0.1:{port}/"
every = "60s"
stale_after = "5m"
[[watch]]
id = "hangs"
kind = "command"
run = ["sleep", "3600"]
timeout = "1h"
[[watch]]
id = "open"
kind = "tcp"
address = "127.0.0.1:{port}"
"#
        ),
    );
    let found = once(&path, &[]);
    for id in ["silent", "hangs"] {
        let watch = of(&found, id);
        assert!(watch["status"] == "unknown" && watch["value"].is_null(), "{watch}");
    }
    assert_eq!(of(&found, "hangs")["why"], "not read yet");
    assert_eq!(of(&found, "open")["status"], "ok");
}

#[test]
fn a_parameter_is_asked_for_and_reaches_the_watch() {
    let folder = tempfile::tempdir().expect("a folder");
    let watches = r#"
[[watch]]
id = "unfilled"
kind = "tcp"
address = "{{ host }}:1"
[params.host]
pattern = "[a-z.]+"
"#;
    let path = plan(folder.path(), watches);
    let unfilled = of(&once(&path, &[]), "unfilled");
    assert!(unfilled["status"] == "unknown" && unfilled["why"].as_str().unwrap().contains("host"), "{unfilled}");
    let filled = of(&once(&path, &["--param", "host=localhost"]), "unfilled");
    assert!(filled["why"].as_str().unwrap().contains("localhost:1"), "{filled}");
}

#[test]
fn live_it_says_what_turned_and_stops_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let watched = folder.path().join("dump");
    let path = plan(folder.path(), "[[watch]]\nid = \"backup\"\nkind = \"file\"\npath = \"dump\"\nevery = \"100ms\"\n");
    let mut command = program(folder.path());
    command.arg("watch").arg(&path).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.expect("text"));
    let mut until = |text: &str| lines.find(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text:?}"));
    until("backup FAIL: no file matches");
    std::fs::write(&watched, "something").unwrap();
    until("backup ok");
    std::fs::remove_file(&watched).unwrap();
    until("backup FAIL");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    let status = poll(PATIENCE, || child.try_wait().expect("a child can be asked"));
    assert!(status.expect("it ends").success());
}

#[test]
fn a_compare_has_its_operands_read_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = |id: &str| {
        format!(
            "[[watch]]\nid = \"{id}\"\nkind = \"command\"\nrun = \"sleep 1; echo '{{\\\"n\\\": 7}}'\"\nvalue = \"/n\"\nevery = \"1h\"\n"
        )
    };
    let both = "[[watch]]\nid = \"equal\"\nkind = \"compare\"\nassert = \"new == old\"\nevery = \"1h\"\n";
    let path = plan(folder.path(), &format!("{both}{}{}", count("new"), count("old")));
    let found = of(&once(&path, &[]), "equal");
    assert_eq!(found["status"], "ok", "{found}");
}

//! `demo --plain`: a whole release by the built program, without anything installed and with nobody at the keyboard.

use crate::support::inherited::fresh;
use crosscheck::event::{Event, RunEnd};
use crosscheck::transcript::read::Reader;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is promised to scripts.
const PROMISED: Duration = Duration::from_secs(120);
/// The gate that is red at first.
const RED: &str = if cfg!(feature = "kafka") { "ingest-lag" } else { "search-api" };

#[test]
fn the_demo_flies_itself_and_leaves_a_whole_transcript() {
    let home = tempfile::tempdir().unwrap();
    let transcripts = home.path().join("transcripts");
    let began = Instant::now();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_crosscheck"));
    let output = fresh(&mut demo)
        .args(["demo", "--plain", "--transcripts"])
        .arg(&transcripts)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
        .env("TMPDIR", home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (told, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{told}\n{complaints}");
    assert!(began.elapsed() < PROMISED, "took {:?}", began.elapsed());

    let mut last = told.lines().rev();
    assert!(last.next().is_some_and(|line| line.starts_with("report ")), "{told}");
    let transcript = last.next().and_then(|line| line.strip_prefix("transcript ")).unwrap();
    assert!(Path::new(transcript).starts_with(&transcripts), "{transcript}");
    let lines: Vec<_> = Reader::open(Path::new(transcript)).unwrap().map(|line| line.unwrap().0).collect();
    assert!(matches!(lines.last().unwrap().event, Event::SessionClosed { .. }), "{told}");
    let at = |what: &str, found: &dyn Fn(&Event, &str) -> bool| {
        let found = lines.iter().position(|line| found(&line.event, &line.by.to_string()));
        found.unwrap_or_else(|| panic!("no {what} in the transcript\n{told}"))
    };
    let refused = at(
        "refusal by the red gate",
        &|event, _| matches!(event, Event::Refused { request, reason, .. } if request == "arm drop" && reason.contains(RED)),
    );
    let checked = at("cross-check", &|event, by| {
        matches!(event, Event::CrossChecked { step, .. } if step.as_str() == "drop") && by == "demo-shadow@example.org"
    });
    let ended = at(
        "run of the drop",
        &|event, _| matches!(event, Event::RunEnded { step, end: RunEnd::Exited { code: 0 }, .. } if step.as_str() == "drop"),
    );
    assert!(refused < checked && checked < ended, "{told}");

    let Event::SessionOpened { folder, .. } = &lines[0].event else { panic!("{:?}", lines[0]) };
    let folder = Path::new(folder);
    assert!(folder.join("demo.toml").exists() && folder.join("customers_v42.index").exists());
    assert!(!folder.join("customers_v41.index").exists());
    assert_eq!(std::fs::read_dir(folder.join("exports")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(folder.join("backups")).unwrap().count(), 1);
}

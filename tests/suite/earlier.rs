//! What the session of a plan before this one left open is told before anything else is done.

use crate::support::program::{Stage, run, transcript_files, transcript_lines};
use crate::support::tmux::Terminals;
use crate::support::wait::{PATIENCE, poll};
use std::path::PathBuf;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

const PLAN: &str = r#"
crosscheck = 1
name = "Purge"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[[checklist]]
id = "told"
ask = "Is support told?"
answer = "yes"
[[watch]]
id = "page"
kind = "command"
run = "exit 1"
every = "200ms"
[[step]]
id = "purge"
run = "exit 3"
[[step]]
id = "look"
run = "true"
gates = ["page"]
after = []
[[step]]
id = "tidy"
run = "true"
after = []
"#;

#[test]
fn what_was_left_open_is_shown_until_another_session_leaves_less() {
    let stage = Stage::new(PLAN);
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    assert!(!lead.printed().contains("earlier:"), "there was none: {}", lead.printed());
    lead.ok("arm purge");
    lead.ok("run");
    lead.expect("01 purge failed");
    dba.ok("settle purge failed the disk is full");
    dba.ok("answer told no, they sleep");
    poll(PATIENCE, || (!stage.events("ReadingTaken").is_empty()).then_some(())).expect("the page is read");
    dba.ok("waive page we know why");
    lead.ok("arm tidy");
    lead.ok("run");
    lead.expect("03 tidy done");
    lead.ok("close");
    assert!(hub.wait().success());

    let mut hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    for open in [
        "left 4 things open",
        "open: step 01 purge is settled: not done",
        "open: step 02 look is planned",
        "open: checklist told was answered by dba@example.org: no, they sleep",
        "open: WAIVED: dba@example.org waived gate page",
    ] {
        lead.expect(open);
    }
    // On the page as well, at every size.
    let terminals = Terminals::new(&stage);
    let terminal = terminals.open(&stage, DBA);
    terminal.join();
    for (cols, rows) in [(120, 40), (80, 24), (60, 16)] {
        terminal.resize(cols, rows);
        terminal.press(&["b"]);
        terminal.until("the page", |screen| screen.contains("BEFORE"));
        terminal.press(&["PageDown"]);
        terminal.until("what is open", |screen| screen.contains("purge is settled: not done"));
        terminal.press(&["Escape"]);
        terminal.until("the page is gone", |screen| !screen.contains("BEFORE"));
    }
    lead.ok("close");
    assert!(hub.wait().success());
    // Both may have been opened in one second, and are named by it.
    let files = transcript_files(&stage.path("transcripts"));
    let opened = |file: &PathBuf| transcript_lines(file)[0]["event"]["SessionOpened"].clone();
    let second = files.iter().find(|file| opened(file)["earlier"].is_object()).expect("one knows of the other");
    let opened = opened(second);
    assert_eq!(opened["earlier"]["open"].as_array().map(Vec::len), Some(4), "{opened}");
    let (_, report, _) = run(&stage.home(LEAD), &["report", &second.display().to_string()]);
    assert!(report.contains("- open: step 01 purge is settled: not done"), "{report}");

    // A rehearsal is no earlier session of the live plan, and the other way round; one that cannot be read says so.
    let hub = stage.serve(&["--rehearse", "--data", "masked copy"]);
    assert!(!stage.join(LEAD).printed().contains("earlier:"));
    drop(hub);
    let mut bytes = std::fs::read(second).expect("it is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(second, bytes).expect("it is written");
    let hub = stage.serve(&["--new"]);
    stage.join(LEAD).expect("open: the rest of its transcript cannot be read");
    drop(hub);
}

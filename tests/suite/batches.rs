//! A step that works through the lines of a file in batches, on the built program: each is verified, worse stops, what was
//! done is left out of the next try, and what undoes it gets the lines that were begun.

use crate::support::program::{Plain, Stage, run};
use crate::support::wait::{PATIENCE, poll};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

/// Seven lines, one first and then three at a time; a line that says `bad` breaks the page.
fn stage(lines: &str) -> Stage {
    let stage = Stage::new(PLAN);
    std::fs::write(stage.path("page"), "fine\n").expect("it is written");
    std::fs::write(stage.path("lines"), lines).expect("it is written");
    stage
}

const PLAN: &str = r#"
crosscheck = 1
name = "Update"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[[watch]]
id = "page"
kind = "command"
run = ["grep", "-q", "fine", "page"]
every = "100ms"
[[step]]
id = "update"
title = "Put the new data"
class = "critical"
run = "cat > batch; cat batch >> put; if grep -q bad batch; then echo broken > page; fi"
each = { file = "lines", first = 1, then = 3 }
verify = { watches = ["page"], for = "1s" }
gates = ["page"]
rollback = { run = "cat > undone; echo fine > page", automatic = true }
"#;

/// Armed, checked and run, the page having been read before.
fn fly(stage: &Stage, lead: &Plain, dba: &Plain, seen: &str) {
    poll(PATIENCE, || (!stage.events("ReadingTaken").is_empty()).then_some(())).expect("the page is read");
    lead.ok("arm update");
    dba.expect(seen);
    dba.expect("--- digest");
    dba.ok("check");
    lead.ok("run");
}

fn text(stage: &Stage, file: &str) -> String {
    std::fs::read_to_string(stage.path(file)).expect("it is read")
}

fn intact(stage: &Stage) {
    let transcript = stage.transcript_file().display().to_string();
    let (_, out, _) = run(&stage.home(LEAD), &["verify", &transcript]);
    assert!(out.contains("hold") && !out.contains("ALTERED") && !out.contains("BROKEN"), "{out}");
}

#[test]
fn every_line_is_done_once_and_each_batch_is_looked_at() {
    let stage = stage("a\nb\nc\nd\ne\nf\ng");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba, "batches: 7 lines of its input: 1 first, then 3 at a time, 3 batches; worse stops");
    dba.expect("01 update goes on with batch 2 of 3: lines 2 to 4");
    dba.expect("01 update goes on with batch 3 of 3: lines 5 to 7");
    dba.expect("01 update verified: same as before");
    assert_eq!(text(&stage, "put"), "a\nb\nc\nd\ne\nf\ng");
    assert_eq!((stage.events("RunStarted").len(), stage.events("VerifyEnded").len()), (3, 3));
    lead.ok("close");
    assert!(hub.wait().success());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    assert!(
        report.contains("**batch 1 of 3**, lines 1 to 1") && report.contains("**batch 3 of 3**, lines 5 to 7"),
        "{report}"
    );
    intact(&stage);
}

#[test]
fn a_batch_that_makes_things_worse_stops_and_what_was_begun_is_undone() {
    let stage = stage("a\nb\nbad\nd\ne\nf\ng\n");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba, "3 batches");
    lead.expect("verified: worse than before");
    lead.expect("ROLLBACK of 01 update, as the plan says: worse than before");
    lead.expect("01 update is rolled back: same as before");
    assert!(dba.printed().contains("of that input it gets only the lines that this attempt began"));
    assert_eq!((text(&stage, "put"), text(&stage, "undone")), ("a\nb\nbad\nd\n".into(), "a\nb\nbad\nd\n".into()));
    assert_eq!(stage.events("BatchIntended").len(), 1, "the third never began");
    assert!(lead.refused("arm update").contains("rolled back"));
    dba.ok("ack the page says fine again");
    lead.ok("close");
    assert!(hub.wait().success());
    intact(&stage);
}

#[test]
fn what_is_held_or_cut_off_between_batches_goes_on_where_it_was() {
    let stage = stage("a\nb\nc\nd\ne\nf\ng\n");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba, "3 batches");
    lead.expect("01 update runs, process");
    dba.ok("andon is that right?");
    lead.expect("01 update verified");
    poll(PATIENCE, || (stage.events("VerifyEnded").len() == 1).then_some(())).expect("it is verified");
    // It is held there, and then its hub dies.
    hub.kill();
    let mut hub = stage.serve(&[]);
    lead.expect("01 update goes no further, 1 of 3 batches are done: the hub was away");
    dba.expect("01 update goes no further, 1 of 3 batches are done: the hub was away");
    lead.forget_answers();
    dba.forget_answers();
    let ended = poll(PATIENCE, || stage.events("BatchesEnded").first().cloned()).expect("it goes no further");
    assert_eq!((ended["done"].as_u64(), ended["of"].as_u64()), (Some(1), Some(3)), "{ended}");
    assert_eq!(text(&stage, "put"), "a\n");
    lead.ok("release");
    dba.ok("release");
    assert!(lead.refused("arm update").contains("undecided"));
    dba.ok("settle update failed the rest is to be done");
    fly(
        &stage,
        &lead,
        &dba,
        "7 lines of its input, the first 1 of which are done: 1 first, then 3 at a time, 3 batches",
    );
    lead.expect("01 update goes on with batch 3 of 3: lines 6 to 7");
    lead.expect("01 update verified: same as before");
    assert_eq!(text(&stage, "put"), "a\nb\nc\nd\ne\nf\ng\n");
    lead.ok("close");
    assert!(hub.wait().success());
    intact(&stage);
}

#[test]
fn who_interrupts_a_batch_gets_no_other_one_and_its_lines_are_not_done() {
    let slow = "trap 'exit 0' INT; head -n 1 >> put; touch begun; while [ ! -e go ]; do sleep 0.1; done";
    let plan = PLAN.replace("cat > batch; cat batch >> put; if grep -q bad batch; then echo broken > page; fi", slow);
    let stage = Stage::new(&plan.replace("first = 1", "first = 2"));
    std::fs::write(stage.path("page"), "fine\n").expect("it is written");
    std::fs::write(stage.path("lines"), "a\nb\nc\nd\n").expect("it is written");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba, "2 batches");
    poll(PATIENCE, || stage.path("begun").exists().then_some(())).expect("it runs");
    lead.ok("interrupt update");
    // It says exit 0, and did half of what it was given.
    lead.expect("01 update ended: exit 0");
    lead.expect("01 update goes no further, 1 of 2 batches are done: interrupted by lead@example.org");
    assert_eq!(stage.events("BatchIntended").len(), 0);
    dba.expect("01 update goes no further");
    dba.ok("settle update failed it did the first line");
    std::fs::write(stage.path("go"), "").expect("it is written");
    fly(&stage, &lead, &dba, "batches: 4 lines of its input: 2 first, then 3 at a time, 2 batches");
    lead.expect("01 update goes on with batch 2 of 2: lines 3 to 4");
    lead.expect("01 update verified: same as before");
    lead.ok("close");
    assert!(hub.wait().success());
    intact(&stage);
}

#[test]
fn a_gate_that_turns_between_batches_holds_and_in_the_end_stops_them() {
    let door = "[[watch]]\nid = \"door\"\nkind = \"command\"\nrun = \"test -e open\"\nevery = \"100ms\"\n[[step]]";
    let plan = PLAN.replace("[[step]]", door).replace("gates = [\"page\"]", "gates = [\"door\"]\nlapse = \"4s\"");
    let stage = Stage::new(&plan.replace("cat > batch;", "rm -f open; cat > batch;"));
    std::fs::write(stage.path("page"), "fine\n").expect("it is written");
    std::fs::write(stage.path("lines"), "a\nb\nc\nd\ne\n").expect("it is written");
    std::fs::write(stage.path("open"), "").expect("it is written");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    let open = || stage.events("GateTurned").into_iter().any(|turn| turn["watch"] == "door" && turn["to"] == "ok");
    poll(PATIENCE, || open().then_some(())).expect("the door is read");
    fly(&stage, &lead, &dba, "3 batches");
    lead.expect("01 update verified: same as before");
    // The first batch shut it. Nothing begins until it is open again.
    assert!(stage.events("BatchIntended").is_empty());
    std::fs::write(stage.path("open"), "").expect("it is written");
    lead.expect("01 update goes on with batch 2 of 3: lines 2 to 4");
    // So does the second, and nobody opens it any more.
    lead.expect("01 update goes no further, 2 of 3 batches are done: waited too long: door is fail");
    assert_eq!(text(&stage, "put"), "a\nb\nc\nd\n");
    assert!(lead.refused("arm update").contains("undecided"));
    dba.expect("01 update goes no further");
    dba.ok("settle update failed the rest is for tomorrow");
    lead.ok("close");
    assert!(hub.wait().success());
    intact(&stage);
}

#[test]
fn a_file_that_the_batches_write_is_free_to_change() {
    let run = r#"run = "cat > batch; cat batch >> put; if grep -q bad batch; then echo broken > page; fi""#;
    let stage = Stage::new(&PLAN.replace(run, r#"run = ["sh", "each.sh", "put"]"#));
    for (file, text) in
        [("page", "fine\n"), ("lines", "a\nb\nc\nd\ne\n"), ("put", "before\n"), ("each.sh", "cat >> \"$1\"\n")]
    {
        std::fs::write(stage.path(file), text).expect("it is written");
    }
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba, "an argument names it; it may change before this runs");
    dba.expect("01 update goes on with batch 3 of 3");
    dba.expect("01 update verified: same as before");
    assert_eq!(text(&stage, "put"), "before\na\nb\nc\nd\ne\n");
    lead.ok("close");
    assert!(hub.wait().success());
    intact(&stage);
}

#[test]
fn lines_that_are_not_what_they_look_like_are_told_before() {
    let stage = stage("a\nb\r\nc\na\n");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(
        &stage,
        &lead,
        &dba,
        "odd lines: line 2: END IN A CARRIAGE RETURN, which is part of what is read; line 4 as 1: COMES TWICE",
    );
    dba.expect("01 update goes on with batch 2 of 2");
    dba.expect("01 update verified: same as before");
    lead.ok("close");
    assert!(hub.wait().success());
    // An empty one is refused, unless the plan says what it is.
    let stage = self::stage("a\n\nb\n  \n");
    let _hub = stage.serve(&[]);
    let refused = stage.join(LEAD).refused("arm update");
    assert!(refused.contains("has empty lines: lines 2, 4") && refused.contains("empty = "), "{refused}");
    let stage = Stage::new(&PLAN.replace("then = 3 }", "then = 3, empty = \"line\" }"));
    for (file, text) in [("page", "fine\n"), ("lines", "a\n\nb\n")] {
        std::fs::write(stage.path(file), text).expect("it is written");
    }
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba, "odd lines: line 2: EMPTY");
    dba.expect("01 update goes on with batch 2 of 2");
    dba.expect("01 update verified: same as before");
    assert_eq!(text(&stage, "put"), "a\n\nb\n");
}

//! What is done beside the usual way, on the built program: a gate waived, a step left out, the glass broken.

use crate::support::program::{Stage, run};
use crate::support::wait::{PATIENCE, poll};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SEARCH: &str = "search@example.org";

fn plan(more: &str, checks: u32) -> String {
    format!(
        r#"
crosscheck = 1
name = "Purge"
environment = "test"
{more}
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
[[watch]]
id = "quiet"
kind = "command"
run = ["test", "-e", "quiet"]
every = "100ms"
[[step]]
id = "purge"
title = "Purge it"
class = "critical"
checks = {checks}
run = "echo purged > purged"
gates = ["quiet"]
[[step]]
id = "tell"
title = "Tell everyone"
run = "echo told > told"
"#
    )
}

/// Waits until the watch was read: before, its gate is unknown.
fn read(stage: &Stage) {
    poll(PATIENCE, || (!stage.events("ReadingTaken").is_empty()).then_some(())).expect("the watch is read");
}

fn verify(stage: &Stage) -> String {
    let transcript = stage.transcript_file();
    let (status, out, err) = run(&stage.home(LEAD), &["verify", transcript.to_str().expect("a path")]);
    assert_eq!(status, Some(0), "{out}{err}");
    out
}

fn report(stage: &Stage) -> String {
    std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report")
}

#[test]
fn a_gate_is_waived_by_a_second_person_for_one_attempt() {
    let stage = Stage::new(&plan("", 1));
    let mut hub = stage.serve(&[]);
    let [lead, dba, search] = [LEAD, DBA, SEARCH].map(|who| stage.join(who));
    read(&stage);
    assert!(lead.refused("arm purge").contains("gate quiet is fail"));
    assert!(lead.refused("waive quiet it is Sunday").contains("takes a second person"));
    assert!(dba.refused("waive loud it is Sunday").contains("has no gate loud; it has quiet"));
    dba.ok("waive quiet nobody reads on a Sunday");
    lead.expect("WAIVED: dba@example.org waived gate quiet (fail)");
    lead.ok("arm purge");
    search.expect(
        "GATE quiet IS WAIVED: for this attempt, by dba@example.org, when it was fail: nobody reads on a Sunday",
    );
    let covers = &stage.events("StepArmed")[0]["covers"]["gates"][0];
    assert_eq!(covers["waived"]["by"], DBA, "{covers}");
    // It is one attempt's.
    lead.ok("disarm");
    assert!(lead.refused("arm purge").contains("gate quiet is fail"));
    dba.ok("waive quiet nobody reads on a Sunday");
    lead.ok("arm purge");
    dba.expect("armed 01 purge (attempt 2");
    assert!(dba.refused("check").contains("cannot be the only one"));
    search.expect("armed 01 purge (attempt 2");
    search.ok("check");
    lead.ok("run");
    lead.expect("01 purge done");
    assert!(stage.path("purged").exists());
    lead.ok("close");
    assert!(hub.wait().success());
    assert!(verify(&stage).starts_with("COMPLETE"));
    let report = report(&stage);
    let first = report.lines().nth(2).unwrap_or_default();
    assert!(first.starts_with("> **Waived: gate quiet, fail**, for attempt 1 of step 01 purge"), "{report}");
}

#[test]
fn a_step_is_left_out_by_the_lead_and_one_more_and_is_not_done() {
    let stage = Stage::new(&plan("", 1));
    let mut hub = stage.serve(&[]);
    let [lead, dba] = [LEAD, DBA].map(|who| stage.join(who));
    assert!(lead.refused("arm tell").contains("waits for step purge"));
    lead.ok("skip purge it was purged last week");
    assert!(lead.refused("arm tell").contains("waits for step purge"), "half of it is nothing");
    dba.expect("lead@example.org agrees to skip 01 purge: it was purged last week");
    dba.ok("skip purge I looked, it is empty");
    lead.expect("01 purge is SKIPPED, by lead@example.org and dba@example.org: I looked, it is empty");
    assert!(lead.refused("arm purge").contains("purge is skipped"));
    lead.ok("arm tell");
    lead.ok("run");
    lead.expect("02 tell done");
    lead.ok("close");
    assert!(hub.wait().success());
    assert_eq!(stage.events("SessionClosed")[0]["outcome"], "partial");
    assert!(verify(&stage).starts_with("COMPLETE"));
    assert!(report(&stage).contains("> **Skipped: step 01 purge**, by lead@example.org and dba@example.org"));
    assert!(!stage.path("purged").exists());
}

#[test]
fn the_lead_breaks_the_glass_where_the_plan_says_so_and_nobody_else_is_there() {
    let stage = Stage::new(&plan("break_glass = [\"lead@example.org\"]\nshadow_grace = \"300ms\"", 2));
    std::fs::write(stage.path("quiet"), "").expect("it is written");
    let mut hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    // The hub holds the line, since nobody is there: that is what the glass is for.
    poll(PATIENCE, || (!stage.events("LineHeld").is_empty()).then_some(())).expect("the line is held");
    read(&stage);
    lead.ok("arm purge");
    assert!(lead.refused("run").contains("2 more cross-checks"));
    assert!(lead.refused("break-glass tell the disk is full").contains("the step's id"));
    lead.ok("break-glass purge the disk is full in ten minutes");
    lead.expect("BREAK GLASS: lead@example.org cleared 01 purge alone, 2 cross-checks missing");
    lead.ok("run");
    lead.expect("01 purge done");
    assert!(stage.path("purged").exists());
    lead.ok("close");
    assert!(hub.wait().success());
    let verified = verify(&stage);
    let mut lines = verified.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("COMPLETE")), "{verified}");
    assert!(
        lines.next().is_some_and(|line| line.starts_with("BREAK GLASS: lead@example.org cleared step purge")),
        "{verified}"
    );
    let report = report(&stage);
    let first = report.lines().nth(2).unwrap_or_default();
    assert!(first.starts_with("> **BREAK GLASS: step 01 purge was cleared by lead@example.org alone**"), "{report}");
}

#[test]
fn the_glass_holds_where_the_plan_says_nothing_or_somebody_could_check() {
    let stage = Stage::new(&plan("break_glass = [\"lead@example.org\"]", 1));
    std::fs::write(stage.path("quiet"), "").expect("it is written");
    let _hub = stage.serve(&[]);
    let [lead, dba] = [LEAD, DBA].map(|who| stage.join(who));
    read(&stage);
    lead.ok("arm purge");
    assert!(lead.refused("break-glass purge in a hurry").contains("dba@example.org can check it"));
    assert!(dba.refused("break-glass purge in a hurry").contains("only the lead"));
    let closed = Stage::new(&plan("on_shadow_lost = \"warn\"", 1));
    std::fs::write(closed.path("quiet"), "").expect("it is written");
    let _other = closed.serve(&[]);
    let alone = closed.join(LEAD);
    read(&closed);
    alone.ok("arm purge");
    assert!(alone.refused("break-glass purge in a hurry").contains("the plan does not let"));
}

//! The probe of a step informs who has to judge it, on the built program.

use crate::support::program::Stage;
use crate::support::wait::{PATIENCE, poll};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

const PLAN: &str = r#"
crosscheck = 1
name = "Drop"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[[step]]
id = "drop"
class = "critical"
run = "echo begun > state; exec sleep 600"
probe = "cat state missing"
[[step]]
id = "loud"
run = "exit 1"
probe = { run = "while :; do echo spam spam spam spam; done", timeout = "20s" }
after = []
[[step]]
id = "slow"
run = "exit 1"
probe = { run = "echo looking; exec sleep 600", timeout = "1s" }
after = []
"#;

#[test]
fn who_judges_an_unknown_outcome_is_told_how_things_stand() {
    let stage = Stage::new(PLAN);
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm drop");
    dba.expect("probe: tells how things stand");
    dba.expect("probe command: a script, run by sh -eu -c:");
    dba.expect("  | cat state missing");
    dba.ok("check");
    lead.ok("run");
    poll(PATIENCE, || stage.path("state").exists().then_some(())).expect("it has begun");
    assert!(dba.refused("probe drop").contains("is running, not failed"));
    hub.kill();
    let mut hub = stage.serve(&[]);
    lead.expect("01 drop is unknown");
    lead.forget_answers();
    dba.expect("01 drop is unknown");
    dba.forget_answers();
    dba.ok("probe drop");
    lead.expect("dba@example.org has the probe of 01 drop run");
    let told = lead.expect("the probe of 01 drop is over: exit 1: begun / cat: missing");
    assert!(told.contains("No such file"), "{told}");
    dba.expect("the probe of 01 drop is over"); // each reads at a pace of their own
    dba.say("status");
    dba.expect("its probe: exit 1 at ");
    let written = stage.events("OutputWritten");
    let probe = written.iter().find(|event| event["part"] == "probe").expect("its output is kept");
    assert!(probe["length"].as_u64() > Some(6), "{probe}");
    // Its terminal is gone with the first hub, and so is it in a moment.
    poll(PATIENCE, || dba.ask("settle drop failed the table is still there").starts_with("ok").then_some(()))
        .expect("it is settled once its process is gone");

    // It is bounded: in what it says, and in time.
    for (step, end) in [("loud", "ended by SIGKILL"), ("slow", "timed out after 1")] {
        lead.ok(&format!("arm {step}"));
        lead.ok("run");
        dba.expect(&format!("{step} failed: exit 1"));
        dba.ok(&format!("probe {step}"));
        dba.expect(&format!("{step} is over: {end}"));
        dba.ok("ack seen");
    }
    lead.ok("close");
    assert!(hub.wait().success());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    assert!(report.contains("probe: exit 1; `begun / cat: missing"), "{report}");
}

//! What a step did is held against what was before it, on the built program: same, worse, and what nobody can tell.

use crate::support::program::Stage;
use crate::support::wait::{PATIENCE, poll};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

/// The page is what people look at; `time` is how long it is looked at after a step.
fn plan(time: &str) -> String {
    format!(
        r#"
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
id = "harmless"
title = "Put the same again"
class = "critical"
run = "echo still fine > page"
verify = {{ watches = ["page"], for = "{time}" }}
[[step]]
id = "worse"
title = "Put something that breaks the page"
class = "critical"
run = "echo broken > page"
verify = {{ watches = ["page"], for = "{time}" }}
[[step]]
id = "after"
title = "What comes after"
run = "echo after > after"
"#
    )
}

fn stage(time: &str) -> Stage {
    let stage = Stage::new(&plan(time));
    std::fs::write(stage.path("page"), "fine").expect("it is written");
    stage
}

/// Waits until the page was read: what was not known before cannot be compared.
fn read(stage: &Stage) {
    poll(PATIENCE, || (!stage.events("ReadingTaken").is_empty()).then_some(())).expect("the page is read");
}

#[test]
fn a_step_that_made_things_worse_is_not_done() {
    let stage = stage("2s");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    let fly = |step: &str| {
        lead.ok(&format!("arm {step}"));
        dba.expect(" armed 0");
        dba.ok("check");
        lead.ok("run");
        lead.expect("is held against what was before");
    };
    read(&stage);
    fly("harmless");
    lead.expect("verified: same as before");
    fly("worse");
    // Long before its time is over: it failed twice running.
    lead.expect("verified: worse than before (page: ok before, fail after)");
    let ended = &stage.events("VerifyEnded")[1];
    assert_eq!(ended["verdict"], "worse", "{ended}");
    let compared = &ended["compared"][0];
    assert!(compared["before"]["status"] == "ok" && compared["after"]["status"] == "fail", "{compared}");
    assert!(lead.refused("arm after").contains("worse is degraded"));
    assert!(lead.refused("close").contains("degraded"));
    let which = dba.refused("ack seen");
    assert!(which.contains("settle"), "{which}");
    assert!(lead.refused("settle worse failed it is fine").contains("lead"));
    dba.ok("settle worse failed the page is broken, put back by hand");
    lead.ok("close");
    assert!(hub.wait().success());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    for words in ["verified: **same as before**", "verified: **worse than before**", "page: ok → fail"] {
        assert!(report.contains(words), "{words}: {report}");
    }
    assert!(!stage.path("after").exists());
}

#[test]
fn what_a_hub_missed_it_does_not_vouch_for() {
    let stage = stage("4s");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    read(&stage);
    lead.ok("arm harmless");
    dba.expect("armed 01 harmless");
    dba.ok("check");
    lead.ok("run");
    lead.expect("is held against what was before");
    hub.kill();
    let mut hub = stage.serve(&[]);
    lead.expect("anew: the hub was away");
    lead.expect("verified: cannot tell");
    lead.forget_answers();
    dba.expect("verified: cannot tell");
    dba.forget_answers();
    assert!(lead.refused("arm worse").contains("harmless is undecided"));
    dba.ok("settle harmless done the page is as it was");
    lead.ok("settle harmless done I see the same");
    lead.ok("close");
    assert!(hub.wait().success());
}

//! Steps that wait for a watch and steps that a person does, on the built program.

use crate::support::program::{Stage, run};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

const PLAN: &str = r#"
crosscheck = 1
name = "Reindex"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[[watch]]
id = "counts-equal"
kind = "command"
run = "test -f built"
every = "100ms"
[[watch]]
id = "drained"
kind = "command"
run = "test -f drained"
every = "100ms"
[[step]]
id = "build"
title = "Start the build"
class = "critical"
run = "rm -f built; echo begun"
until = "counts-equal"
[[step]]
id = "drain"
title = "Wait for the consumers"
until = { watch = "drained", within = "1s" }
[[step]]
id = "tell"
title = "Tell support"
manual = "call support, and say that search is new"
"#;

fn touch(stage: &Stage, name: &str) {
    std::fs::write(stage.path(name), "").expect("it is written");
}

#[test]
fn a_job_that_works_on_is_done_once_its_watch_says_so_and_a_person_can_be_a_step() {
    let stage = Stage::new(PLAN);
    touch(&stage, "built"); // what was true before the run says nothing
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm build");
    dba.expect("done once: counts-equal reads ok, without a limit");
    dba.ok("check");
    lead.ok("run");
    lead.expect("01 build ended: exit 0");
    lead.expect("01 build waits for counts-equal to read ok, without a limit");
    assert!(lead.refused("arm drain").contains("build is waiting"));
    lead.say("status");
    lead.expect("waits for counts-equal (for ");
    // A hub that dies waits on.
    hub.kill();
    let mut hub = stage.serve(&[]);
    lead.expect("waits for counts-equal to read ok, without a limit; anew: the hub was away");
    touch(&stage, "built");
    lead.expect("01 build waits no longer: ok: ");
    lead.forget_answers();
    dba.expect("01 build waits no longer");
    dba.forget_answers();

    // Nothing runs, and it waits too long.
    lead.ok("arm drain");
    lead.expect("nothing runs; it only waits");
    lead.ok("run");
    lead.expect("02 drain waited too long: fail: ");
    assert!(lead.refused("arm tell").contains("drain is undecided"));
    dba.ok("settle drain failed the consumers are slow today");
    lead.ok("arm drain");
    lead.ok("run");
    touch(&stage, "drained");
    lead.expect("02 drain waits no longer: ok: ");

    lead.ok("arm tell");
    lead.expect("BY HAND, no command runs: call support, and say that search is new");
    lead.ok("run kim took the call");
    dba.expect("03 tell was done by hand by lead@example.org: kim took the call");
    lead.ok("close");
    assert!(hub.wait().success());
    assert_eq!(stage.events("RunStarted").len(), 1, "one command ran");
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    for words in [
        "waited until it read ok: ",
        "**waited too long**, it read fail: ",
        "BY HAND, no command runs",
        "call support",
        "**done by hand** by lead@example.org: kim took the call",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    let file = stage.transcript_file();
    let (status, said, _) = run(&stage.home("auditor"), &["verify", file.to_str().expect("a path of text")]);
    assert!(status == Some(0) && said.contains("COMPLETE"), "{said}");
}

#[test]
fn a_wait_is_given_up_by_who_may_interrupt() {
    let stage = Stage::new(PLAN);
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm build");
    dba.expect("armed 01 build");
    dba.ok("check");
    lead.ok("run");
    lead.expect("01 build waits for counts-equal");
    dba.ok("andon something is odd");
    lead.ok("interrupt build");
    dba.expect("lead@example.org gave up waiting in 01 build: ");
    dba.ok("settle build failed the job died");
    lead.ok("release");
    lead.ok("close given up");
    assert!(hub.wait().success());
}

//! Seats, checklist and poll on the built program: what locks the first critical step, what frees it, and that one
//! environment is flown in by one hub at a time.

use crate::support::program::{Plain, Stage, program, run};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SUPPORT: &str = "support@example.org";

fn plan(name: &str, environment: &str) -> String {
    format!(
        r#"
crosscheck = 1
name = "{name}"
environment = "{environment}"
expected = "2h"
[crew]
lead = ["{LEAD}"]
shadow = ["{DBA}"]
[[crew.seat]]
name = "status page"
who = ["{SUPPORT}"]
[[checklist]]
id = "restored"
ask = "The backup was restored by whom, when?"
answer = "text"
seat = "status page"
[[checklist]]
id = "told"
ask = "Are the stakeholders told?"
answer = "yes"
[[step]]
id = "look"
run = "true"
[[step]]
id = "drop"
class = "critical"
run = "echo dropped > dropped"
undo = "none"
"#
    )
}

fn locked(lead: &Plain, why: &str) {
    let said = lead.refused("arm drop");
    assert!(said.contains("is locked until the poll is go") && said.contains(why), "{said}");
}

#[test]
fn the_first_critical_step_waits_for_everyone_s_go() {
    let stage = Stage::new(&plan("Drop", "test"));
    let mut hub = stage.serve(&[]);
    assert!(stage.links().contains_key(SUPPORT), "a seat has a link of its own");
    let (lead, dba, support) = (stage.join(LEAD), stage.join(DBA), stage.join(SUPPORT));
    assert!(support.printed().contains("(seat)"), "{}", support.printed());
    // A routine step is none of the poll's business.
    lead.ok("arm look");
    lead.ok("run");
    lead.expect("look done");
    locked(&lead, "the seat status page is empty");
    lead.expect("hint: seats and checklist first");
    assert!(support.refused("answer restored by me").contains("whoever holds the seat"));
    assert!(dba.refused("seat status page").contains(SUPPORT));
    support.ok("seat status page");
    support.ok("answer restored by sam, last night");
    assert!(dba.refused("answer told perhaps").contains("yes, or no and why"));
    dba.ok("answer told no, legal is not");
    assert!(support.refused("go").contains("has not called the poll"));
    assert!(dba.refused("poll").contains("only the lead"));
    locked(&lead, "told was answered by dba@example.org: no, legal is not");
    dba.say("status");
    dba.expect("checklist told (anyone of the crew) Are the stakeholders told?: dba@example.org: no, legal is not");
    dba.expect("poll 0: NOT GO");
    dba.expect("locked: the poll was not called");
    assert!(!hub.has_ended());
}

#[test]
fn a_no_go_names_who_and_why_and_a_go_arms() {
    let stage = Stage::new(&plan("Drop", "test"));
    let mut hub = stage.serve(&[]);
    let (lead, dba, support) = (stage.join(LEAD), stage.join(DBA), stage.join(SUPPORT));
    lead.ok("arm look");
    lead.ok("run");
    lead.expect("look done");
    support.ok("seat status page");
    support.ok("answer restored by sam, last night");
    dba.ok("answer told yes");
    // Who is fit until when, and whether that is long enough, everybody reads.
    lead.ok("fit for 3h");
    dba.ok("fit for 30m");
    support.expect("WARNING: dba@example.org is available until");
    lead.ok("poll");
    dba.expect("called poll 1, silence is no-go");
    lead.ok("go");
    dba.ok("go");
    locked(&lead, "no answer from support@example.org");
    support.ok("no-go the bank batch runs until 15:20");
    lead.expect("support@example.org says NO-GO: the bank batch runs until 15:20");
    locked(&lead, "NO-GO by support@example.org: the bank batch runs until 15:20");
    // The hub is killed in the middle of the poll: what was said was said.
    hub.kill();
    let mut hub = stage.serve(&[]);
    for who in [&lead, &dba, &support] {
        who.expect("link: connected again");
        who.forget_answers();
    }
    locked(&lead, "NO-GO by support@example.org");
    support.ok("go");
    lead.expect("support@example.org says GO; the poll is GO");
    lead.ok("arm drop");
    dba.expect("armed 02 drop");
    dba.ok("check");
    // Changed in the last moment: nobody said go to that.
    dba.ok("answer told no, legal is not");
    lead.expect("02 drop is not armed any more: the poll is not go: told was answered by dba@example.org: no, legal");
    locked(&lead, "told was answered by");
    dba.ok("answer told yes");
    locked(&lead, "the checklist changed since the go of");
    for who in [&lead, &dba, &support] {
        who.ok("go");
    }
    lead.expect("the poll is GO");
    lead.ok("arm drop");
    dba.expect("armed 02 drop");
    dba.ok("check");
    lead.ok("run");
    lead.expect("drop done");
    assert!(stage.path("dropped").exists());
    assert!(lead.refused("poll").contains("the poll is over"));
    lead.ok("close");
    assert!(hub.wait().success());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    for words in [
        "## Before",
        "| status page |",
        "restored (status page): The backup was restored by whom, when?",
        "by sam, last night",
        "poll 1 called by lead@example.org",
        "support@example.org: **no-go**: the bank batch runs until 15:20",
        "**too short**",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    let file = stage.transcript_file();
    let (_, out, err) = run(&stage.home("auditor"), &["verify", file.to_str().expect("a path of text")]);
    assert!(out.contains("COMPLETE"), "{out}{err}");
}

#[test]
fn one_environment_is_flown_in_by_one_hub() {
    let stage = Stage::new(&plan("Drop", "prod-eu1"));
    let mut hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    let second = |plan: &str, args: &[&str]| {
        let path = stage.path("second.toml");
        std::fs::write(&path, plan).expect("written");
        let mut command = program(&stage.home("second"));
        command.arg("serve").arg(path).arg("--transcripts").arg(stage.path("transcripts")).args(args);
        let output = command.output().expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (other, args) in [("Purge", &[][..]), ("Purge", &["--new"]), ("Drop", &["--new"])] {
        let (code, said) = second(&plan(other, "prod-eu1"), args);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(&format!("another hub (process {})", hub.pid())), "{said}");
        assert!(said.contains(stage.transcript_file().to_str().expect("a path of text")), "{said}");
        assert!(said.contains("hint: "), "{said}");
    }
    lead.ok("say still here");
    // Once that hub is gone, however it went, the environment is free.
    hub.kill();
    let free = Stage::new(&plan("Purge", "prod-eu1"));
    std::fs::remove_file(stage.path("second.toml")).expect("it was written");
    std::fs::copy(free.plan(), stage.plan()).expect("copied");
    let mut hub = stage.serve(&[]);
    assert!(!hub.has_ended());
}

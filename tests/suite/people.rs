//! Who is gone, and who stands in for them: on the built program, with processes of their own.

use crate::support::program::{Plain, Stage, program, run};
use crate::support::wait::{PATIENCE, poll};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SEARCH: &str = "search@example.org";

/// One may lead; a page that the step breaks, and a rollback that nobody starts by themselves.
const PLAN: &str = r#"
crosscheck = 1
name = "Update"
environment = "test"
lead_grace = "3s"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
[[watch]]
id = "page"
kind = "command"
run = ["grep", "-q", "fine", "page"]
every = "100ms"
[[step]]
id = "update"
title = "Put the new data"
class = "critical"
run = "echo broken > page"
verify = { watches = ["page"], for = "2s" }
rollback = { run = "echo fine > page" }
"#;

fn stage() -> Stage {
    let stage = Stage::new(PLAN);
    std::fs::write(stage.path("page"), "fine\n").expect("it is written");
    stage
}

/// The step is degraded.
fn degraded(stage: &Stage, lead: &Plain, dba: &Plain) {
    poll(PATIENCE, || (!stage.events("ReadingTaken").is_empty()).then_some(())).expect("the page is read");
    lead.ok("arm update");
    dba.expect("armed 01 update");
    dba.ok("check");
    lead.ok("run");
    dba.expect("verified: worse than before");
}

#[test]
fn a_lead_whose_machine_died_is_replaced_by_two_who_undo_settle_and_close() {
    let stage = stage();
    let mut hub = stage.serve(&[]);
    let (mut lead, dba, search) = (stage.join(LEAD), stage.join(DBA), stage.join(SEARCH));
    degraded(&stage, &lead, &dba);
    dba.forget_answers();
    assert!(dba.refused("handover search@example.org").contains("only the lead"));
    lead.kill();
    dba.expect("lead@example.org left");
    assert!(dba.refused("rollback update").contains("only the lead"), "nobody undoes anything meanwhile");
    search.expect("LEAD GONE: lead@example.org");
    dba.ok("handover dba@example.org");
    search.expect("dba@example.org agrees that dba@example.org shall lead");
    assert!(stage.events("LeadHandedOver").is_empty(), "one alone takes no lead");
    search.ok("handover dba@example.org");
    dba.expect("LEAD TAKEN OVER: dba@example.org leads");
    dba.ok("rollback update");
    search.expect("01 update is rolled back");
    assert!(dba.refused("ack it is back").contains("somebody else has to take note"));
    search.ok("ack it is back");

    // Whoever was gone comes back as what else the plan says of them: here as nobody who may act.
    let back = stage.join(LEAD);
    back.say("status");
    back.expect("LEAD TAKEN OVER at");
    assert!(back.refused("close").contains("observer"));
    dba.ok("close");
    assert!(hub.wait().success());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    let top: String = report.lines().take(6).collect::<Vec<_>>().join("\n");
    assert!(top.contains("**LEAD TAKEN OVER** at"), "{report}");
    let transcript = stage.transcript_file().display().to_string();
    let (_, verified, _) = run(&stage.home(LEAD), &["verify", &transcript]);
    assert!(!verified.contains("BROKEN"), "{verified}");
}

#[test]
fn whoever_lost_their_machine_comes_back_from_another_one_when_two_of_the_crew_say_so() {
    let stage = stage();
    let _hub = stage.serve(&[]);
    let (lead, mut dba, search) = (stage.join(LEAD), stage.join(DBA), stage.join(SEARCH));
    poll(PATIENCE, || (!stage.events("ReadingTaken").is_empty()).then_some(())).expect("the page is read");
    lead.ok("arm update");
    dba.expect("--- digest");
    dba.ok("check");
    // The machine dies with its key. Another home is another machine.
    dba.kill();
    lead.expect("dba@example.org left");
    let (link, another) = (stage.links()[DBA].clone(), stage.home("another machine"));
    let knock = || program(&another).args(["join", "--plain", &link]).output().expect("it runs");
    let turned_away = knock();
    assert!(!turned_away.status.success());
    assert!(String::from_utf8_lossy(&turned_away.stderr).contains("ask two of the crew for `readmit`"));
    search.expect("somebody came as dba@example.org with another key");
    search.ok("readmit dba@example.org");
    assert!(!knock().status.success(), "one alone lets nobody in");
    lead.ok("readmit dba@example.org");
    search.expect("READMITTED: dba@example.org with another key");
    search.expect("01 update is not armed any more: dba@example.org had checked it with a key that is lost");
    let mut command = program(&another);
    command.args(["join", "--plain", &link]);
    let back = Plain::start("dba on another machine", command);
    back.expect("as dba@example.org (shadow)");
    lead.ok("arm update");
    search.expect("READMITTED: dba@example.org with another key");
    back.expect("--- digest");
    back.ok("check");
    lead.ok("run");
    lead.expect("01 update runs");
    // The lost key is out, whoever has it.
    let stolen = program(&stage.home(DBA)).args(["join", "--plain", &link]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&stolen.stderr).contains("this one is out"), "{stolen:?}");
}

#[test]
fn a_frozen_link_is_told_as_silent_and_then_as_gone_and_nobody_counts_on_it() {
    let stage = stage();
    let _hub = stage.serve(&[]);
    let (lead, dba, search) = (stage.join(LEAD), stage.join(DBA), stage.join(SEARCH));
    poll(PATIENCE, || (!stage.events("ReadingTaken").is_empty()).then_some(())).expect("the page is read");
    search.signal(Signal::SIGSTOP);
    let frozen = Instant::now();
    for somebody in [&lead, &dba] {
        somebody.expect("search@example.org is silent for");
    }
    assert!(frozen.elapsed() < Duration::from_secs(10), "{:?}", frozen.elapsed());
    lead.say("status");
    lead.expect("crew search@example.org shadow silent");
    dba.expect("search@example.org left (silent for 18 s)");
    assert!(frozen.elapsed() < Duration::from_secs(20), "{:?}", frozen.elapsed());
    search.signal(Signal::SIGCONT);
    dba.expect("search@example.org joined");
    // A short stall is over with the next word.
    search.signal(Signal::SIGSTOP);
    dba.expect("search@example.org is silent for");
    search.signal(Signal::SIGCONT);
    dba.expect("search@example.org is heard again");
    assert_eq!(stage.events("LinkSilent").len(), 3, "no line but these");
}

#[test]
fn whoever_changes_the_plans_file_changes_nothing_of_the_session_and_everyone_is_told_once() {
    let stage = stage();
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    std::fs::write(stage.plan(), PLAN.replace("echo broken > page", "echo worse > page")).expect("it is written");
    for somebody in [&lead, &dba] {
        let told = somebody.expect("PLAN'S FILE CHANGED");
        assert!(told.contains(": step.update.run; this session flies it as it was opened"), "{told}");
    }
    std::fs::write(stage.plan(), PLAN.replace("echo broken > page", "echo other > page")).expect("it is written");
    lead.ok("arm update");
    dba.expect("echo broken > page");
    assert_eq!(stage.events("PlanChanged").len(), 1, "once");
}

#[test]
fn lint_says_who_stands_in_for_the_only_one_who_may_lead() {
    let stage = stage();
    let lint = |plan: &str| {
        std::fs::write(stage.plan(), plan).expect("it is written");
        let output = program(stage.path("").as_path()).arg("lint").arg(stage.plan()).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let two = lint(PLAN);
    assert!(two.contains("dba@example.org or search@example.org and one more take the lead over"), "{two}");
    let one = lint(&PLAN.replace(", \"search@example.org\"", ""));
    assert!(one.contains("nobody can: taking the lead over takes two others"), "{one}");
    let leads = lint(&PLAN.replace("[\"lead@example.org\"]", "[\"lead@example.org\", \"other@example.org\"]"));
    assert!(!leads.contains("may lead"), "{leads}");
}

#[test]
fn what_was_undone_is_never_settled_as_done_and_what_is_said_to_be_done_stands_on_every_later_panel() {
    let plan = format!("{PLAN}[[step]]\nid = \"drop\"\nclass = \"irreversible\"\nchecks = 1\nrun = \"echo dropped\"\n");
    let stage = Stage::new(&plan);
    std::fs::write(stage.path("page"), "fine\n").expect("it is written");
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    degraded(&stage, &lead, &dba);
    lead.expect("verified: worse than before");
    lead.ok("rollback update");
    dba.expect("01 update is rolled back");
    for somebody in [&lead, &dba] {
        assert!(somebody.refused("settle update done I say so").contains("was undone"));
    }
    dba.ok("ack the page is as it was");
    assert!(lead.refused("arm drop").contains("step drop comes after step update, which is settled as NOT done"));

    degraded(&stage, &lead, &dba);
    dba.ok("settle update done that page is meant to say so");
    lead.expect("says that 01 update is done though it ended badly");
    assert!(lead.refused("arm drop").contains("degraded"), "one of the two is not enough");
    lead.ok("settle update done I see the same");
    lead.ok("arm drop");
    dba.expect("SETTLED: update ended badly, and is done all the same, say dba@example.org and lead@example.org");
}

//! A step that ended badly is undone, on the built program: by the plan itself, by the lead, and where that goes wrong too.

use crate::support::program::{Plain, Stage, run};
use crate::support::wait::{PATIENCE, poll};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

/// A page that the step breaks, and a rollback with these keys.
fn plan(run: &str, rollback: &str) -> String {
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
id = "update"
title = "Put the new data"
class = "critical"
run = "{run}"
verify = {{ watches = ["page"], for = "2s" }}
rollback = {{ {rollback} }}
[[step]]
id = "pause"
title = "Pause the job that would do it again"
run = "echo paused > paused"
[[step]]
id = "next"
title = "What comes after"
run = "echo next > next"
"#
    )
}

fn stage(run: &str, rollback: &str) -> Stage {
    let stage = Stage::new(&plan(run, rollback));
    std::fs::write(stage.path("page"), "fine\n").expect("it is written");
    std::fs::write(stage.path("undo.sh"), "#!/bin/sh\necho putting it back\necho fine > page\n")
        .expect("it is written");
    stage
}

/// Armed, checked and run, the page having been read before.
fn fly(stage: &Stage, lead: &Plain, dba: &Plain) {
    poll(PATIENCE, || (!stage.events("ReadingTaken").is_empty()).then_some(())).expect("the page is read");
    lead.ok("arm update");
    lead.expect("rollback, checked together with it");
    dba.expect("armed 01 update");
    dba.ok("check");
    lead.ok("run");
}

fn page(stage: &Stage) -> String {
    std::fs::read_to_string(stage.path("page")).expect("it is read").trim().to_owned()
}

/// When that happened, by the hub's clock: the first line of that kind that says this word.
fn at(stage: &Stage, kind: &str, word: &str) -> jiff::SignedDuration {
    let lines = stage.transcript();
    let line = lines.iter().find(|line| line["event"][kind].to_string().contains(word)).expect(kind);
    let at: jiff::Timestamp = line["at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    at.duration_since(jiff::Timestamp::UNIX_EPOCH)
}

fn intact(stage: &Stage) {
    let transcript = stage.transcript_file().display().to_string();
    let (_, out, _) = run(&stage.home(LEAD), &["verify", &transcript]);
    assert!(out.contains("hold") && !out.contains("ALTERED") && !out.contains("BROKEN"), "{out}");
}

#[test]
fn the_plan_undoes_what_made_things_worse_and_somebody_takes_note() {
    let stage = stage("echo broken > page", "run = ['sh', 'undo.sh'], automatic = true, contain = ['pause']");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba);
    lead.expect("verified: worse than before");
    lead.expect("ROLLBACK of 01 update, as the plan says: worse than before");
    lead.expect("the rollback of 01 update runs, process");
    dba.expect("putting it back");
    lead.expect("01 update is rolled back: same as before");
    assert_eq!(page(&stage), "fine");
    // In the hub's own time: from the verdict to the intent, and to the process.
    let took = at(&stage, "RunStarted", "rollback") - at(&stage, "VerifyEnded", "worse");
    assert!(took < jiff::SignedDuration::from_secs(2), "{took}");
    assert!(lead.refused("arm next").contains("rolled back"));
    assert!(lead.refused("ack all is well").contains("lead"));
    dba.expect("01 update is rolled back");
    dba.ok("ack the page says fine again");
    let refused = lead.refused("close");
    assert!(refused.contains("pause has to be done before the end"), "{refused}");
    lead.ok("arm pause");
    lead.ok("run");
    lead.expect("02 pause done");
    lead.ok("close");
    assert!(hub.wait().success());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    for words in ["**Rolled back at", "as the plan says**: worse than before", "putting it back", "runs BY ITSELF"] {
        assert!(report.contains(words), "{words}: {report}");
    }
    intact(&stage);
}

#[test]
fn andon_holds_the_plan_and_the_lead_decides() {
    let stage = stage("echo broken > page; sleep 1; exit 3", "run = ['sh', 'undo.sh'], automatic = true");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba);
    lead.expect("update runs, process");
    dba.ok("andon wait, I want to see the page first");
    lead.expect("failed: exit 3");
    // Time goes by, readings come in, and it is still held.
    let read = stage.events("GateTurned").len();
    poll(PATIENCE, || (stage.events("GateTurned").len() >= read.max(2)).then_some(())).expect("the page is read");
    assert!(stage.events("RollbackIntended").is_empty() && page(&stage) == "broken");
    assert!(dba.refused("rollback update").contains("only the lead"));
    lead.ok("rollback update");
    lead.expect("ROLLBACK of 01 update by lead@example.org");
    lead.expect("01 update is rolled back");
    assert_eq!(page(&stage), "fine");
    dba.expect("01 update is rolled back");
    dba.ok("ack seen");
    dba.ok("release");
    lead.ok("release");
    lead.ok("close");
    assert!(hub.wait().success());
}

#[test]
fn a_rollback_whose_bytes_changed_does_not_run_until_they_are_back() {
    let stage = stage("echo broken > page; mv undo.sh gone.sh; exit 1", "run = ['sh', 'undo.sh'], automatic = true");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba);
    lead.expect("the ROLLBACK of 01 update FAILED: not started");
    assert_eq!(page(&stage), "broken");
    assert!(dba.refused("ack seen").contains("settle"), "nobody can tell whether it is undone");
    std::fs::write(stage.path("undo.sh"), "echo harmful\n").expect("it is written");
    lead.ok("rollback update");
    lead.expect("what would run is not what was checked");
    std::fs::rename(stage.path("gone.sh"), stage.path("undo.sh")).expect("it is put back");
    lead.ok("rollback update");
    lead.expect("01 update is rolled back");
    assert_eq!(page(&stage), "fine");
    dba.expect("01 update is rolled back");
    dba.ok("ack the page says fine again");
    lead.ok("close");
    assert!(hub.wait().success());
}

#[test]
fn a_hub_killed_while_it_undoes_leaves_the_choice_to_the_lead() {
    let undo = "run = 'echo half > page; while [ ! -e go ]; do sleep 0.1; done; echo fine > page', automatic = true";
    let stage = stage("echo broken > page; exit 1", undo);
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba);
    lead.expect("the rollback of 01 update runs, process");
    poll(PATIENCE, || (page(&stage) == "half").then_some(())).expect("it runs");
    hub.kill();
    let mut hub = stage.serve(&[]);
    lead.expect("update is unknown: the hub died while its rollback ran");
    lead.forget_answers();
    dba.forget_answers();
    // Whether its process lived on is known, and nothing is undone twice at the same time, nor by itself.
    std::fs::write(stage.path("go"), "").expect("it is written");
    let gone =
        || stage.events("OutcomeUnknown")[0]["still_running"] == false || !stage.events("ProcessGone").is_empty();
    poll(PATIENCE, || gone().then_some(())).expect("its process ends");
    assert_eq!(stage.events("RollbackIntended").len(), 1);
    lead.ok("rollback update");
    lead.expect("01 update is rolled back");
    assert_eq!(stage.events("RollbackIntended").len(), 2);
    assert_eq!(page(&stage), "fine");
    dba.expect("01 update is rolled back");
    dba.ok("ack the page says fine again");
    lead.ok("close");
    assert!(hub.wait().success());
    intact(&stage);
}

#[test]
fn a_copy_that_the_step_itself_makes_is_a_way_back() {
    // Words that name files are free to change: the step is there to change them.
    let stage = stage("cp page old; echo broken > page", "run = ['cp', 'old', 'page'], automatic = true");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba);
    assert!(lead.printed().contains("an argument names it; it may change") && !lead.printed().contains("NOT THERE"));
    lead.expect("verified: worse than before");
    lead.expect("01 update is rolled back: same as before");
    assert_eq!(page(&stage), "fine");
    dba.expect("01 update is rolled back");
    dba.ok("ack the page says fine again");
    lead.ok("close");
    assert!(hub.wait().success());
    intact(&stage);
}

#[test]
fn a_script_that_the_step_makes_is_told_to_be_unseen_and_runs() {
    let stage = stage("echo 'echo fine > page' > back.sh; echo broken > page", "run = 'sh back.sh', automatic = true");
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&stage, &lead, &dba);
    assert!(lead.printed().contains("NOT THERE: back.sh: the step has to make it"), "{}", lead.described());
    lead.expect("01 update is rolled back: same as before");
    assert_eq!(page(&stage), "fine");
}

#[test]
fn a_way_back_that_will_not_run_is_an_error_before() {
    for (rollback, why) in [
        ("run = ['./restore.sh']", "restore.sh does not exist"),
        ("run = ['sh', 'restore.sh']", "script "),
        ("run = ['no-such-tool', 'x']", "is in no folder of the step's PATH"),
        ("run = 'no-such-tool x; echo fine > page'", "is in no folder of the step's PATH"),
        ("run = ['./page']", "cannot be executed"),
        ("run = './page'", "cannot be executed"),
        ("run = ['sh', 'undo.sh'], cwd = 'nowhere'", "working folder"),
        ("run = ['sh', 'undo.sh'], files = ['gone.json']", "gone.json"),
    ] {
        let stage = stage("echo broken > page", rollback);
        let (_, out, err) = run(&stage.home("x"), &["lint", &stage.plan().display().to_string()]);
        assert!(out.contains("the rollback of update could not run: ") && out.contains(why), "{rollback}: {out}{err}");
        let (code, out, _) = run(&stage.home("x"), &["doctor", &stage.plan().display().to_string()]);
        assert!(code == Some(1) && out.contains("rollback of update") && out.contains(why), "{rollback}: {out}");
        let _hub = stage.serve(&[]);
        let lead = stage.join(LEAD);
        let refused = lead.refused("arm update");
        assert!(refused.contains("its rollback") && refused.contains(why), "{rollback}: {refused}");
    }
}

#[test]
fn what_undoes_a_step_stands_in_its_folder_and_may_be_only_words() {
    for rollback in [
        "['./restore.sh']",
        "'./restore.sh'",
        "{ run = ['./restore.sh'] }",
        "{ run = ['../work/restore.sh'], cwd = 'other' }",
    ] {
        let plan = plan("echo broken > ../page", "run = 'X'")
            .replace("rollback = { run = 'X' }", &format!("rollback = {rollback}"));
        let plan = plan.replace("class = \"critical\"", "class = \"critical\"\ncwd = \"work\"\nprobe = ['./state.sh']");
        let stage = Stage::new(&plan);
        std::fs::write(stage.path("page"), "fine\n").expect("it is written");
        for folder in ["work", "other"] {
            std::fs::create_dir(stage.path(folder)).expect("a folder");
        }
        for (script, text) in
            [("restore.sh", "#!/bin/sh\necho fine > ../page\n"), ("state.sh", "#!/bin/sh\necho in; pwd\n")]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = stage.path("work").join(script);
            std::fs::write(&file, text).expect("it is written");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("it is marked");
        }
        let _hub = stage.serve(&[]);
        let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
        fly(&stage, &lead, &dba);
        lead.expect("verified: worse than before");
        lead.ok("probe update");
        lead.expect("/work");
        lead.ok("rollback update");
        lead.expect("01 update is rolled back: same as before");
        assert_eq!(page(&stage), "fine");
    }
}

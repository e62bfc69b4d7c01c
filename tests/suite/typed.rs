//! What the lead types to a running command, on the built program: seen and recorded, or hidden and known to nobody.

use crate::support::program::{Stage, run};
use crate::support::wait::{PATIENCE, poll};
use crosscheck::event::Part;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

const PLAN: &str = r#"
crosscheck = 1
name = "Questions"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[[step]]
id = "ask"
run = """
printf 'sure? '; read -r answer; echo "got <$answer>"
stty -echo; printf 'password: '; read -r password; stty echo; echo
printf %s "$password" | wc -c
"""
input = "lead"
[[step]]
id = "sudo"
class = "critical"
run = "printf 'name: '; sleep 2; stty -echo; printf 'password: '; read -r p; stty echo; test \"$p\" = 'correct horse'"
input = "hidden-only"
[[step]]
id = "deaf"
run = "echo begun; exec sleep 60"
input = "lead"
[[step]]
id = "none"
run = "echo begun; read -r x < /dev/tty"
"#;

/// What that step printed, once that is part of it.
fn output(stage: &Stage, step: &str, text: &str) -> String {
    let path = crosscheck::transcript::output::path(&stage.transcript_file(), &step.parse().unwrap(), 1, Part::Step);
    let printed = || {
        let bytes = std::fs::read(&path).unwrap_or_default();
        Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|printed| printed.contains(text))
    };
    poll(PATIENCE, printed).unwrap_or_else(|| panic!("{step} never printed {text:?}"))
}

/// Whether these bytes stand in any file below that folder.
fn found(folder: &std::path::Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut hits = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => hits.extend(found(&path, text)),
            false if path.file_name().is_some_and(|name| name == "plan.toml") => {}
            false => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    hits.push(path);
                }
            }
        }
    }
    hits
}

#[test]
fn what_is_typed_is_seen_by_all_and_what_a_terminal_hides_is_seen_by_nobody() {
    let stage = Stage::new(PLAN);
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    assert!(lead.ask("type early").contains("nothing runs"));
    lead.ok("arm ask");
    lead.expect("typed to it while it runs: lead");
    lead.ok("run");
    lead.expect("01 ask runs");
    assert!(dba.refused("type yes").contains("only the lead"));
    output(&stage, "ask", "sure? ");
    lead.ok("type yes, all of it");
    dba.expect("lead@example.org typed to 01 ask: yes, all of it");
    output(&stage, "ask", "password: ");
    lead.ok("type hunter2 hunter2");
    dba.expect("lead@example.org typed 15 characters to 01 ask, hidden");
    lead.expect("01 ask done: exit 0");
    let printed = output(&stage, "ask", "15");
    assert!(printed.contains("got <yes, all of it>"), "{printed}");

    // The whole session knows nothing of it: no line, no output, no file of the hub, no other terminal.
    assert_eq!(found(&stage.path(""), "hunter2"), Vec::<std::path::PathBuf>::new());
    assert!(!dba.printed().contains("hunter2") && !hub.printed().contains("hunter2"));
    let typed = stage.events("InputWritten");
    assert!(typed[0]["text"] == "yes, all of it" && typed[0]["chars"] == 14, "{typed:?}");
    assert!(typed[1].get("text").is_none() && typed[1]["chars"] == 15, "{typed:?}");

    lead.ok("arm sudo");
    dba.expect("typed to it while it runs: hidden-only");
    dba.ok("check");
    lead.ok("run");
    output(&stage, "sudo", "name: ");
    let told = lead.refused("type correct horse");
    assert!(told.contains("only while it hides it"), "{told}");
    output(&stage, "sudo", "password: ");
    lead.ok("type correct horse");
    lead.expect("02 sudo done: exit 0");
    assert_eq!(found(&stage.path(""), "correct horse").len(), 1, "the plan in the first line alone names it");

    // A command that reads nothing takes so much and no more, and nobody waits for it.
    lead.ok("arm deaf");
    lead.ok("run");
    output(&stage, "deaf", "begun");
    // The kernel keeps 64 KiB for it.
    for _ in 0..60 {
        if !stage.events("InputLost").is_empty() {
            break;
        }
        lead.ok(&format!("type {}", "x".repeat(1990)));
    }
    dba.expect("03 deaf did not take what was typed: ");
    lead.ok("kill deaf");
    lead.expect("03 deaf failed");
    dba.expect("03 deaf failed");
    lead.forget_answers();
    dba.forget_answers();
    dba.ok("ack seen");
    for somebody in [&lead, &dba] {
        somebody.ok("skip deaf it never listens");
    }

    lead.ok("arm none");
    lead.ok("run");
    output(&stage, "none", "begun");
    assert!(lead.refused("type x").contains("its plan says no `input`"));
    lead.ok("interrupt none");
    lead.expect("04 none failed");
    dba.ok("ack seen");
    lead.ok("close");
    assert!(hub.wait().success());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    assert!(report.contains("typed: `yes, all of it`") && report.contains("typed: 15 characters, hidden"), "{report}");
    let file = stage.transcript_file();
    let (status, said, _) = run(&stage.home("auditor"), &["verify", file.to_str().expect("a path of text")]);
    assert!(status == Some(0) && said.contains("COMPLETE"), "{said}");
}

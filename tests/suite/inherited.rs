//! Umask and limits are part of what people check: shown where they would surprise, given to the command, and held against
//! those of the hub that runs it.

use crate::support::program::{Hub, Stage};
use crate::support::wait::{PATIENCE, poll};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

const PLAN: &str = r#"
crosscheck = 1
name = "Update"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[[step]]
id = "update"
class = "critical"
run = "umask > mask; ulimit -n > files; ulimit -f >> files; exit 1"
rollback = { run = "umask > undone" }
"#;

/// In this moment everybody may write to what the hub makes, and what it starts may open few files and write no large one.
const ODD: &str = "umask 000; ulimit -S -n 200; ulimit -f 204800";

fn written(stage: &Stage, name: &str) -> String {
    std::fs::read_to_string(stage.path(name)).expect("the command wrote it")
}

/// Another hub of the same session, started from a shell that did this before.
fn again(stage: &Stage, hub: &mut Hub, line: &str) -> Hub {
    hub.kill();
    let next = stage.serve_after(line);
    stage.wait_for_links();
    next
}

#[test]
fn what_a_command_inherits_is_shown_given_and_held() {
    let stage = Stage::new(PLAN);
    let mut hub = stage.serve_after(ODD);
    stage.wait_for_links();
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm update");
    for who in [&lead, &dba] {
        who.expect("umask and limits: umask 000; limits: ");
        who.expect("UNUSUAL: umask 000: everybody may write to the files that it makes");
        who.expect("cross-checks needed");
        let told = who.printed();
        assert!(
            told.contains("nofile 200 (may be raised to ") && told.contains("nofile 200: files open at once"),
            "{told}"
        );
        assert!(told.contains("fsize 104857600: bytes at most in a file that it writes"), "{told}");
        assert!(told.contains("rollback else: as the step's own: ") && !told.contains("rollback UNUSUAL"), "{told}");
    }
    dba.ok("check");
    lead.ok("run");
    lead.expect("failed: exit 1");
    assert_eq!((written(&stage, "mask").trim(), written(&stage, "files").as_str()), ("0000", "200\n204800\n"));

    // What undoes it was checked with them as well.
    for (line, says) in [
        ("umask 022; ulimit -S -n 200; ulimit -f 204800", "umask: 000 is now 022; the hub was started otherwise"),
        ("umask 000; ulimit -S -n 201; ulimit -f 204800", "limit nofile: 200 (may be raised to "),
        ("umask 000; ulimit -S -n 200", "limit fsize: 104857600 is now unlimited"),
    ] {
        hub = again(&stage, &mut hub, line);
        lead.expect("link: connected again");
        lead.forget_answers();
        lead.ok("rollback update");
        lead.expect("the ROLLBACK of 01 update FAILED: not started: what would run is not what was checked: ");
        let told = poll(PATIENCE, || {
            let last = stage.events("RollbackEnded").pop().map(|event| event.to_string())?;
            last.contains(says).then_some(last)
        });
        assert!(told.is_some(), "{line}: {:?}", stage.events("RollbackEnded"));
        assert!(!stage.path("undone").exists());
    }
    hub = again(&stage, &mut hub, ODD);
    lead.expect("link: connected again");
    lead.forget_answers();
    lead.ok("rollback update");
    lead.expect("01 update is rolled back");
    assert_eq!(written(&stage, "undone").trim(), "0000");
    dba.forget_answers();
    dba.ok("ack it is as it was");
    lead.ok("close");
    assert!(hub.wait().success());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    assert!(report.contains("UNUSUAL: umask 000: everybody may write"), "{report}");
}

#[test]
fn a_login_s_umask_and_limits_are_one_line_and_no_warning() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    lead.ok("arm update");
    lead.expect("umask and limits: umask 022; limits: core 0");
    lead.expect("cross-checks needed");
    assert!(!lead.printed().contains("UNUSUAL"), "{}", lead.described());
}

/// A hub under nohup outlives its terminal; what it starts shall hear a signal all the same.
#[test]
fn nothing_that_a_hub_starts_goes_on_ignoring_a_signal() {
    let note = |name: &str| format!("grep SigIgn /proc/self/status > {name}.new; mv {name}.new {name}.ignored");
    let stage = Stage::new(&format!(
        r#"
crosscheck = 1
name = "Update"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[secrets]
KEY = {{ command = "{}; echo some-secret-value" }}
[[notify]]
name = "log"
on = ["opened"]
run = "cat > /dev/null; {}"
[[watch]]
id = "watch"
kind = "command"
run = "{}"
[[step]]
id = "update"
run = "{}"
env = {{ KEY = "{{{{ secret.KEY }}}}" }}
preview = {{ run = "{}; echo 1", expect = "1" }}
"#,
        note("secret"),
        note("notify"),
        note("watch"),
        note("step"),
        note("preview"),
    ));
    let _hub = stage.serve_after("trap '' HUP INT QUIT USR1 USR2 ALRM TERM CHLD");
    stage.wait_for_links();
    let lead = stage.join(LEAD);
    lead.ok("arm update");
    lead.ok("run");
    lead.expect("update done: exit 0");
    for name in ["secret", "notify", "watch", "step", "preview"] {
        let file = stage.path(format!("{name}.ignored"));
        let said = poll(PATIENCE, || std::fs::read_to_string(&file).ok()).expect("it ran");
        let mask = u64::from_str_radix(said.trim().rsplit('\t').next().unwrap_or_default(), 16).expect("a mask");
        // 32 and 33 belong to the C library, which lets nobody change them.
        assert_eq!(mask & !(0b11 << 31), 0, "{name}: {said}");
    }
}

//! What a command leaves behind, on the built program: plans as people write them, and every screen says who still runs.

use crate::support::program::{Stage, run};
use crate::support::wait::{PATIENCE, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const VIEW: &str = "view@example.org";
/// Two forks, a session of its own, nothing kept of what would tell whose it is.
const DAEMON: &str = "(env -i setsid sh -c 'echo $$ > PID; exec sleep 600 < /dev/null > /dev/null 2>&1' &) ; until test -s PID; do sleep 0.02; done";

fn plan(keys: &str) -> String {
    format!(
        r#"
crosscheck = 1
name = "Reindex"
environment = "test"
[crew]
lead = ["{LEAD}"]
shadow = ["{DBA}"]
observer = ["{VIEW}"]
[[step]]
id = "go"
class = "critical"
{keys}
[[step]]
id = "next"
class = "critical"
run = "true"
"#
    )
}

fn pid(stage: &Stage) -> Pid {
    let text = poll(PATIENCE, || std::fs::read_to_string(stage.path("PID")).ok().filter(|it| it.ends_with('\n')));
    Pid::from_raw(text.expect("it says who it is").trim().parse().expect("a number"))
}

fn ends(pid: Pid) {
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    };
    poll(PATIENCE, || (!alive()).then_some(())).unwrap_or_else(|| panic!("{pid} lives on"));
}

fn lives(pid: Pid) {
    assert!(kill(pid, None).is_ok(), "{pid} is gone");
}

/// A background job that ends once there is a file of that name.
fn job(io: &str) -> String {
    format!("run = \"{{ until test -e done; do sleep 0.05; done; echo reindexed; }} &\"\nio = \"{io}\"")
}

#[test]
fn a_step_waits_for_all_of_its_session_and_says_for_whom() {
    for io in ["pty", "pipe"] {
        let stage = Stage::new(&plan(&job(io)));
        let _hub = stage.serve(&[]);
        let (lead, dba, view) = (stage.join(LEAD), stage.join(DBA), stage.join(VIEW));
        lead.ok("arm go");
        dba.expect("armed 01 go");
        dba.ok("check");
        lead.ok("run");
        for who in [&lead, &dba, &view] {
            let told = who.expect("01 go is not over: the command ended (exit 0); still runs: ");
            assert!(told.contains("until test -e done") && told.contains("(pid "), "{told}");
        }
        lead.say("status");
        lead.expect("next: 01: the command ended (exit 0); still runs: ");
        assert!(stage.events("RunEnded").is_empty(), "{io}");
        std::fs::write(stage.path("done"), "").expect("it is written");
        view.expect("01 go done: exit 0");
        assert!(lead.printed().contains("reindexed"), "{io}: what it prints meanwhile is the step's");
        assert!(stage.events("LeftBehind").is_empty());
    }
}

#[test]
fn nohup_is_waited_for_and_ends_with_an_interrupt() {
    // Neither Ctrl-C nor a hang-up reaches it.
    let keys = "run = 'nohup sh -c \"echo \\$\\$ > PID; exec sleep 600\" > nohup.out 2>&1 & exit 0'";
    let stage = Stage::new(&plan(keys));
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("armed 01 go");
    dba.ok("check");
    lead.ok("run");
    lead.expect("still runs: sleep 600 (pid ");
    let job = pid(&stage);
    lives(job);
    lead.ok("interrupt go");
    lead.expect("01 go done: exit 0");
    ends(job);
}

#[test]
fn what_left_is_named_everywhere_and_the_step_is_undecided() {
    for io in ["pty", "pipe"] {
        let stage = Stage::new(&plan(&format!("run = \"\"\"{DAEMON}\"\"\"\nio = \"{io}\"")));
        let mut hub = stage.serve(&[]);
        let (lead, dba, view) = (stage.join(LEAD), stage.join(DBA), stage.join(VIEW));
        lead.ok("arm go");
        dba.expect("armed 01 go");
        dba.ok("check");
        lead.ok("run");
        let daemon = pid(&stage);
        for who in [&lead, &dba, &view] {
            who.expect(&format!("01 go LEFT RUNNING, and the plan does not say so: sleep 600 (pid {daemon}, since "));
            who.expect("01 go UNDECIDED: exit 0, and what it LEFT RUNNING the plan does not say");
        }
        lives(daemon);
        assert!(lead.refused("arm next").contains("undecided"), "nothing starts before somebody said how it counts");
        lead.ok("settle go done the daemon is the new one");
        dba.ok("settle go done it is");
        lead.expect("settled 01 go as DONE");
        // Whoever checks a later step sees it.
        lead.ok("arm next");
        dba.expect(&format!("STILL RUNS: go left this running, which the plan does NOT say: sleep 600 (pid {daemon}"));
        // It is in reach though the step is over.
        lead.ok("interrupt go");
        ends(daemon);
        view.expect("what 01 go left running has ended: sleep 600");
        lead.ok("disarm");
        lead.ok("close");
        assert!(hub.wait().success());
        let file = stage.transcript_file().display().to_string();
        let (_, report, _) = run(&stage.home("x"), &["report", &file]);
        let named = format!("LEFT RUNNING, and the plan does not say so**: `sleep 600 (pid {daemon}");
        assert!(report.contains(&named), "{report}");
        assert!(report.contains("what was left has ended: `sleep 600"), "{report}");
        let left: Vec<Value> = stage.events("LeftBehind");
        let process = &left[0]["of"]["named"][0]["process"];
        assert!(process["pid"] == daemon.as_raw() && process["start_time"].as_u64() > Some(0), "{left:?}");
        let (code, out, err) = run(&stage.home("x"), &["verify", &file]);
        assert_eq!(code, Some(0), "{out}{err}");
    }
}

#[test]
fn interrupt_kill_and_timeout_reach_what_left_too() {
    for (how, keys, end) in [
        ("interrupt go", "", "01 go failed: ended by SIGINT (2), as asked"),
        ("kill go", "", "01 go failed: ended by SIGKILL (9), as asked"),
        ("", "timeout = \"4s\"", "01 go failed: timed out after 4.0 s"),
    ] {
        let stage = Stage::new(&plan(&format!("run = \"\"\"{DAEMON}; exec sleep 601\"\"\"\n{keys}")));
        let _hub = stage.serve(&[]);
        let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
        lead.ok("arm go");
        dba.expect("armed 01 go");
        dba.ok("check");
        lead.ok("run");
        let daemon = pid(&stage);
        if !how.is_empty() {
            lead.ok(how);
        }
        lead.expect(end);
        ends(daemon);
        assert!(stage.events("LeftBehind").is_empty(), "{how}");
    }
}

#[test]
fn with_the_plan_s_word_the_step_is_done_and_says_what_stays() {
    let keys = "run = 'sh -c \"echo \\$\\$ > PID; exec sleep 600\" > warm.log 2>&1 &'\nleaves = \"the warmer, until the cache is full\"";
    let stage = Stage::new(&plan(keys));
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("leaves: the warmer, until the cache is full");
    dba.expect("in a pipe");
    dba.ok("check");
    lead.ok("run");
    dba.expect("01 go leaves running, as the plan says: sleep 600 (pid ");
    dba.expect("01 go done: exit 0");
    let warmer = pid(&stage);
    lives(warmer);
    lead.ok("arm next");
    dba.expect("STILL RUNS: go left this running, as the plan says: sleep 600");
    dba.ok("check");
    lead.ok("run");
    lead.expect("02 next done");
    lead.ok("close");
    assert!(hub.wait().success());
    lives(warmer);
    let file = stage.transcript_file().display().to_string();
    let (_, report, _) = run(&stage.home("x"), &["report", &file]);
    assert!(report.contains("left running, as the plan says (the warmer, until the cache is full)"), "{report}");
    assert!(report.contains("as far as this transcript says it still runs**: `sleep 600"), "{report}");
    kill(warmer, Signal::SIGKILL).expect("it is there");
    // A terminal would hang up on it.
    let stage = Stage::new(&plan(&format!("{keys}\nio = \"pty\"")));
    let (code, out, err) = run(&stage.home("x"), &["lint", &stage.plan().display().to_string()]);
    assert!(code == Some(1) && format!("{out}{err}").contains("with `leaves`"), "{out}{err}");
}

#[test]
fn a_hub_that_starts_again_knows_what_was_left() {
    let stage = Stage::new(&plan(&format!("run = \"\"\"{DAEMON}\"\"\"")));
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("armed 01 go");
    dba.ok("check");
    lead.ok("run");
    lead.expect("01 go UNDECIDED");
    let daemon = pid(&stage);
    hub.kill();
    lives(daemon);
    let _hub = stage.serve(&[]);
    lead.expect(&format!("what was left still runs: sleep 600 (pid {daemon}"));
    lead.forget_answers();
    poll(PATIENCE, || lead.ask("interrupt go").starts_with("ok").then_some(())).expect("it is in reach");
    ends(daemon);
    lead.expect("what 01 go left running has ended: sleep 600");
}

#[test]
fn a_hub_that_died_before_the_end_finds_what_its_command_started() {
    // The command itself is gone by then, and the job of its session is not.
    let stage =
        Stage::new(&plan("run = 'sh -c \"echo \\$\\$ > PID; exec sleep 600\" > /dev/null 2>&1 &'\nio = \"pipe\""));
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("armed 01 go");
    dba.ok("check");
    lead.ok("run");
    lead.expect("still runs: sleep 600");
    let job = pid(&stage);
    hub.kill();
    lives(job);
    let _hub = stage.serve(&[]);
    lead.expect("01 go is unknown: the hub died while it ran; its process is still alive");
    lead.forget_answers();
    dba.expect("01 go is unknown");
    dba.forget_answers();
    assert!(dba.refused("settle go failed lost it").contains("still alive"));
    lead.ok("interrupt go");
    ends(job);
    lead.expect("the process of 01 go is gone");
    dba.ok("settle go failed it was interrupted");
}

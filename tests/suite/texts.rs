//! Texts for a shell, as people write them, on the built program: what a value may hold there, and which part of a pipeline fails it.

use crate::support::program::{Stage, run};
use crate::support::wait::{PATIENCE, poll};

const LEAD: &str = "lead@example.org";

fn plan(params: &str, keys: &str) -> String {
    format!(
        r#"
crosscheck = 1
name = "Update"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
{params}
[[step]]
id = "clean"
{keys}
"#
    )
}

#[test]
fn a_value_is_no_program() {
    const BAD: &str = "a; touch pwned";
    let text = "run = 'echo \"removed /data/{{ x }}\"'";
    // In the plan, at the start, and while it is flown.
    let stage = Stage::new(&plan("[params.x]\ndefault = 'a; touch pwned'", text));
    let file = stage.plan().display().to_string();
    for verb in ["lint", "serve", "doctor"] {
        let (code, out, err) = run(&stage.home("x"), &[verb, &file]);
        let said = format!("{out}{err}");
        assert!(code == Some(1), "{verb}: {said}");
        assert!(verb == "doctor" || said.contains("default of `x` stands in a text for a shell"), "{verb}: {said}");
    }
    let stage = Stage::new(&plan("[params.x]", text));
    let file = stage.plan().display().to_string();
    let (code, _, err) = run(&stage.home("x"), &["serve", &file, "--param", &format!("x={BAD}")]);
    assert!(code != Some(0) && err.contains("as a list of words"), "{err}");
    let mut hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    for value in [BAD, "a b", "$(touch pwned)", "`touch pwned`", "a\"; touch pwned; \"", "a|b", "*", "a'b", "a\\b"] {
        let refused = lead.refused(&format!("set x={value}"));
        assert!(refused.contains("text for a shell") && refused.contains("as a list of words"), "{value}: {refused}");
    }
    lead.ok("set x=customers_v42");
    lead.ok("arm clean");
    lead.ok("run");
    lead.expect("removed /data/customers_v42");
    lead.expect("clean done");
    lead.ok("close");
    assert!(hub.wait().success());
    assert!(!stage.path("pwned").exists());
}

#[test]
fn a_list_takes_any_value_and_a_pattern_may_name_a_sign() {
    let stage = Stage::new(&plan("[params.x]", "run = ['echo', 'removed /data/{{ x }}']"));
    let _hub = stage.serve(&["--param", "x=a; touch pwned"]);
    let lead = stage.join(LEAD);
    lead.ok("arm clean");
    lead.ok("run");
    lead.expect("removed /data/a; touch pwned");
    // `.*` names none.
    for (pattern, taken) in [("[a-z ]+", true), (".*", false)] {
        let stage = Stage::new(&plan(&format!("[params.x]\npattern = '{pattern}'"), "run = 'echo {{ x }}'"));
        let _hub = stage.serve(&[]);
        let lead = stage.join(LEAD);
        let answer = lead.ask("set x=a b");
        assert_eq!(answer.starts_with("ok "), taken, "{pattern}: {answer}");
        let (_, out, _) = run(&stage.home("x"), &["lint", &stage.plan().display().to_string()]);
        assert_eq!(out.contains("the pattern of x"), !taken, "{out}");
    }
}

#[test]
fn a_part_of_a_pipeline_that_fails_fails_it() {
    let dump = "run = 'sh -c \"echo half; exit 3\" | cat > dump'";
    for (keys, end) in [
        (dump.to_owned(), "clean failed: exit 3"),
        (format!("{dump}\npipefail = false"), "clean done"),
        ("run = 'cat lines | head -n 1 > first'\npipefail = false".to_owned(), "clean done"),
    ] {
        let stage = Stage::new(&plan("", &keys));
        std::fs::write(stage.path("lines"), "a line\n".repeat(100_000)).expect("it is written");
        let _hub = stage.serve(&[]);
        let lead = stage.join(LEAD);
        lead.ok("arm clean");
        // Which shell runs it is told before.
        lead.expect(if keys.contains("pipefail") { "run by sh -eu -c" } else { "-eu -o pipefail -c" });
        lead.ok("run");
        lead.expect(end);
    }
}

#[test]
fn where_no_shell_can_it_is_told_before() {
    let stage = Stage::new(&plan("", "run = 'false | cat'\nenv = { PATH = 'bin' }"));
    std::fs::create_dir(stage.path("bin")).expect("a folder");
    // A shell of which nobody could say that it knows the word.
    std::fs::copy("/bin/true", stage.path("bin/sh")).expect("it is copied");
    let (code, out, _) = run(&stage.home("x"), &["doctor", &stage.plan().display().to_string()]);
    assert!(code == Some(1) && out.contains("install bash, or set pipefail = false"), "{out}");
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    assert!(lead.refused("arm clean").contains("install bash, or set pipefail = false"));
}

#[test]
fn every_known_trap_is_named_by_the_built_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traps");
    let mut plans: Vec<_> =
        std::fs::read_dir(&folder).expect("a folder").map(|it| it.expect("a plan").path()).collect();
    plans.sort();
    assert!(plans.len() >= 30);
    let stage = Stage::new("");
    let plans: Vec<_> = plans.iter().map(|plan| plan.display().to_string()).collect();
    let args: Vec<_> = std::iter::once("lint").chain(plans.iter().map(String::as_str)).collect();
    let (code, out, err) = run(&stage.home("x"), &args);
    assert_eq!(code, Some(0), "{err}");
    for plan in plans {
        let told = out.lines().filter(|line| line.starts_with(&format!("{plan}: One trap "))).collect::<Vec<_>>();
        assert!(matches!(told[..], [line] if line.contains(", 1 warnings")), "{plan}: {told:?}");
    }
}

#[test]
fn a_command_that_asks_gets_no_answer_or_everyone_sees_that_it_waits() {
    // What it reads ends at once: `rm -i` takes that for a no, and leaves.
    let stage = Stage::new(&plan("", "run = ['rm', '-i', 'kept']"));
    std::fs::write(stage.path("kept"), "x").expect("it is written");
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    lead.ok("arm clean");
    lead.ok("run");
    lead.expect("clean done");
    assert!(stage.path("kept").exists());
    // What reads the terminal itself waits.
    for ask in [
        "printf 'Password for app: ' ; stty -echo </dev/tty; read x </dev/tty",
        "printf 'Password for app: '; read x </dev/tty",
    ] {
        let stage = Stage::new(&plan("", &format!("run = \"\"\"{ask}\"\"\"")));
        let mut hub = stage.serve(&[]);
        let (lead, dba) = (stage.join(LEAD), stage.join("dba@example.org"));
        lead.ok("arm clean");
        lead.ok("run");
        for who in [&lead, &dba] {
            who.expect("WAITS FOR AN ANSWER NOBODY MAY GIVE: \"Password for app:\"; interrupt it");
        }
        lead.ok("interrupt clean");
        lead.expect("01 clean");
        lead.expect("failed");
        assert_eq!(stage.events("AnswerAwaited").len(), 1);
        dba.ok("settle clean failed it asked");
        lead.ok("close");
        assert!(hub.wait().success());
        let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
        assert!(report.contains("**waited for an answer that nobody may give**: `Password for app:`"), "{report}");
    }
    // Where the lead may type there is somebody to answer.
    let stage = Stage::new(&plan("", "run = \"\"\"printf 'Sure? '; read x; echo got $x\"\"\"\ninput = 'lead'"));
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    lead.ok("arm clean");
    lead.ok("run");
    lead.expect("clean runs, process");
    lead.ok("type yes");
    lead.expect("got yes");
}

/// One rule for every text of a plan, whoever runs it.
#[test]
fn a_part_of_a_pipeline_that_fails_fails_every_text() {
    let beside = r#"
[secrets]
STRICT = { command = "false | echo some-secret-value" }
LOOSE = { command = { run = "false | echo another-secret-value", pipefail = false } }
[[notify]]
name = "strict"
on = ["opened"]
run = "cat >/dev/null; echo tried >> tried; false | echo told; echo went >> strict"
[[notify]]
name = "loose"
on = ["opened"]
run = { run = "cat >/dev/null; false | echo told; echo went >> loose", pipefail = false }
[[watch]]
id = "strict"
kind = "command"
run = "false | echo 5"
every = "100ms"
[[watch]]
id = "loose"
kind = "command"
run = "set +o pipefail; false | echo 5"
every = "100ms"
[[watch]]
id = "login"
kind = "credential"
command = "false | echo 5"
must_outlive = "1m"
every = "100ms"
[[step]]
id = "secretive"
run = ["true"]
env = { KEY = "{{ secret.STRICT }}" }
[[step]]
id = "looked"
run = ["true"]
preview = { run = "false | echo 5", expect = "5" }
after = []
[[step]]
id = "probed"
run = "exit 1"
env = { KEY = "{{ secret.LOOSE }}" }
probe = "false | echo seen"
after = []
"#;
    let stage = Stage::new(&plan(beside, "run = ['true']\nafter = []"));
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    let turned = |watch: &str, to: &str| {
        stage.events("GateTurned").iter().any(|turned| turned["watch"] == watch && turned["to"] == to)
    };
    poll(PATIENCE, || (turned("strict", "fail") && turned("loose", "ok")).then_some(())).expect("both are read");
    let read = |watch: &str| {
        stage.events("ReadingTaken").into_iter().find(|taken| taken["watch"] == watch).map(|taken| taken.to_string())
    };
    let login = poll(PATIENCE, || read("login")).expect("it is read");
    assert!(login.contains("unknown") && login.contains("exit 1"), "{login}");
    let refused = lead.refused("arm secretive");
    assert!(refused.contains("STRICT") && refused.contains("failed (exit status: 1)"), "{refused}");
    let refused = lead.refused("arm looked");
    assert!(refused.contains("it failed (exit 1)"), "{refused}");
    lead.ok("arm probed");
    lead.ok("run");
    lead.expect("probed failed: exit 1");
    lead.ok("probe probed");
    lead.expect("the probe of 03 probed is over: exit 1: seen");
    // Who is not told is tried again: by then the first try is over.
    let lines = |name: &str| std::fs::read_to_string(stage.path(name)).unwrap_or_default().lines().count();
    let over = || lines("loose") == 1 && (lines("tried") > 1 || !stage.events("NotifyFailed").is_empty());
    poll(PATIENCE, || over().then_some(())).expect("both are tried");
    assert_eq!(lines("strict"), 0);
}

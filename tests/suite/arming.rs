//! What is settled when a step is armed, on the built program: previews, parameters, and what is not in the plan.

use crate::support::program::{Hub, Plain, Stage};
use crate::support::wait::{PATIENCE, poll};
use std::cell::RefCell;
use std::time::{Duration, Instant};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

fn plan(rest: &str) -> String {
    format!(
        r#"
crosscheck = 1
name = "Drop rows"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[params.host]
default = "db-1"
pattern = "db-[0-9]"
[params.table]
pattern = "t[0-9]+"
{rest}
"#
    )
}

const PREVIEW: &str = r#"
[[step]]
id = "drop"
class = "critical"
after = []
run = "echo dropped > dropped"
preview = { run = ["./count"], files = ["rows"], expect = "1..100", timeout = "2s" }
[[step]]
id = "after"
after = []
run = ["true"]
"#;

/// A preview that counts what stands in `rows`, and leaves a line in `counted` each time.
const COUNT: &str = "#!/bin/sh\necho x >> counted\necho looking\necho \"$(cat rows) rows\"\n";

struct Flight {
    stage: Stage,
    hub: RefCell<Hub>,
    lead: Plain,
    dba: Plain,
}

impl Flight {
    fn new(rest: &str, files: &[(&str, &str)]) -> Flight {
        let stage = Stage::new(&plan(rest));
        for (name, text) in files {
            script(&stage, name, text);
        }
        let hub = RefCell::new(stage.serve(&[]));
        let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
        Flight { stage, hub, lead, dba }
    }
    fn counted(&self) -> usize {
        std::fs::read_to_string(self.stage.path("counted")).unwrap_or_default().lines().count()
    }
    fn clear(&self, verb: &str) {
        self.lead.ok(verb);
        self.dba.expect("--- digest");
        self.dba.ok("check");
        self.lead.expect("is cleared");
    }
    /// Why the step that run was pressed on is not armed any more.
    fn voided(&self) -> serde_json::Value {
        poll(PATIENCE, || self.stage.events("StepVoided").pop()).expect("it is voided")["cause"].clone()
    }
    fn end(&self) -> String {
        self.lead.ok("close");
        assert!(self.hub.borrow_mut().wait().success());
        std::fs::read_to_string(self.stage.transcript_file().with_extension("md")).expect("a report")
    }
}

fn script(stage: &Stage, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(stage.path(name), text).expect("written");
    std::fs::set_permissions(stage.path(name), std::fs::Permissions::from_mode(0o755)).expect("made executable");
}

#[test]
fn a_preview_is_shown_whole_and_run_again_before_the_run() {
    let flight = Flight::new(PREVIEW, &[("count", COUNT), ("rows", "41")]);
    flight.lead.ok("arm drop");
    for shown in ["preview argument 0: ./count", "preview says: 41 (expected: 1 to 100)", "| looking", "| 41 rows"] {
        flight.dba.expect(shown);
    }
    let covers = &flight.stage.events("StepArmed")[0]["covers"];
    assert_eq!(covers["preview"]["output"], "looking\n41 rows\n", "{covers}");
    assert_eq!(covers["preview"]["value"], "41");
    assert_eq!(flight.counted(), 1);
    flight.dba.ok("check");
    let statement = flight.stage.events("CrossChecked")[0]["signed"]["statement"].to_string();
    let hash = covers["preview"]["sha256"].as_str().expect("a hash");
    assert!(statement.contains("preview-hash") && statement.contains(hash), "{statement}");
    flight.lead.ok("run");
    flight.lead.expect("done: exit 0");
    assert_eq!(flight.counted(), 2, "asked again between run and intent");
    let report = flight.end();
    assert!(report.contains("- preview says: 41 (expected: 1 to 100)"), "{report}");
}

#[test]
fn a_preview_that_says_something_else_before_the_run_voids_it_naming_both() {
    // Its own bytes stay: what it counts is in a file that nobody named.
    let step = PREVIEW.replace("files = [\"rows\"], ", "");
    let flight = Flight::new(&step, &[("count", COUNT), ("rows", "41")]);
    flight.clear("arm drop");
    script(&flight.stage, "rows", "42");
    flight.lead.ok("run");
    flight.lead.expect("preview said \"41 rows\", now says \"42 rows\"");
    assert_eq!(flight.voided()["preview_changed"]["now"], "\"42 rows\"");
    // Out of its range by now: not even armed.
    script(&flight.stage, "rows", "0");
    let refused = flight.lead.refused("arm drop");
    assert!(refused.contains("\"0 rows\"") && refused.contains("1 to 100"), "{refused}");
    script(&flight.stage, "rows", "7");
    flight.clear("arm drop");
    script(&flight.stage, "rows", "700");
    flight.lead.ok("run");
    flight.lead.expect("preview: it says \"700 rows\", and 1 to 100 was expected");
    assert!(!flight.stage.path("dropped").exists());
    let report = flight.end();
    assert!(report.contains("now says"), "{report}");
}

#[test]
fn a_preview_whose_bytes_changed_is_not_run_again() {
    let flight = Flight::new(PREVIEW, &[("count", COUNT), ("rows", "41")]);
    flight.clear("arm drop");
    script(&flight.stage, "count", &COUNT.replace("looking", "looking; touch harm"));
    flight.lead.ok("run");
    flight.lead.expect("what would run changed: preview: executable");
    assert_eq!(flight.counted(), 1, "what nobody checked was run");
    script(&flight.stage, "count", COUNT);
    flight.clear("arm drop");
    script(&flight.stage, "rows", "43");
    flight.lead.ok("run");
    flight.lead.expect("what would run changed: preview: file");
    assert_eq!(flight.counted(), 2);
}

#[test]
fn a_preview_that_hangs_fails_or_says_too_much_arms_nothing() {
    let flight = Flight::new(PREVIEW, &[("count", COUNT), ("rows", "41")]);
    for (text, words) in [
        ("echo 5; exit 3", "exit 3"),
        ("echo no such table >&2; exit 1", "no such table"),
        ("true", "it printed nothing"),
        ("echo none", "no number"),
        ("head -c 70000 /dev/zero | tr '\\0' 5", "more than 64 KiB"),
        ("printf '\\377\\n5\\n'", "not UTF-8"),
        ("sleep 60 & echo 5", "still holds its output open"),
        ("kill -9 $$", "SIGKILL"),
    ] {
        script(&flight.stage, "count", &format!("#!/bin/sh\n{text}\n"));
        let refused = flight.lead.refused("arm drop");
        assert!(refused.contains("preview") && refused.contains(words), "{text}: {refused}");
    }
    // Nothing of it is left once it was given up, children included.
    script(&flight.stage, "count", "#!/bin/sh\necho $$ > pid\nsleep 300 &\necho $! >> pid\nsleep 300\n");
    let began = Instant::now();
    let refused = flight.lead.refused("arm drop");
    assert!(refused.contains("did not end within"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(30));
    let pids = std::fs::read_to_string(flight.stage.path("pid")).expect("it wrote its numbers");
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        };
        poll(PATIENCE, gone).unwrap_or_else(|| panic!("{pid} is still there"));
    }
    // What acts on a terminal is written out.
    script(&flight.stage, "count", "#!/bin/sh\nprintf '\\033]0;owned\\007\\n5\\n'\n");
    flight.lead.ok("arm drop");
    let shown = flight.dba.expect("--- digest");
    assert!(!flight.dba.printed().contains('\u{1b}'), "{shown:?}");
    assert!(flight.stage.events("StepArmed").len() == 1 && flight.stage.events("RunRequested").is_empty());
}

#[test]
fn a_preview_never_shows_a_secret() {
    let step = r#"
[secrets]
KEY = { file = "secret" }
[[step]]
id = "drop"
class = "critical"
run = ["true"]
preview = { run = "echo $TOKEN; echo 5", env = { TOKEN = "{{ secret.KEY }}" }, expect = "5" }
"#;
    let outside = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(outside.path(), "hunter2-hunter2").expect("written");
    let step = step.replace("\"secret\"", &format!("{:?}", outside.path()));
    let flight = Flight::new(&step, &[]);
    flight.clear("arm drop");
    assert!(flight.dba.printed().contains("| [secret KEY]"), "{}", flight.dba.printed());
    flight.lead.ok("run");
    flight.lead.expect("done: exit 0");
    let text = std::fs::read_to_string(flight.stage.transcript_file()).expect("a transcript");
    assert!(!text.contains("hunter2"), "the transcript holds it");
}

const PARAMS: &str = r#"
[[step]]
id = "look"
after = []
run = ["echo", "{{ host }}", "{{ table }}"]
[[step]]
id = "other"
after = []
run = ["true"]
"#;

#[test]
fn a_wrong_host_in_a_parameter_is_caught_by_its_pattern() {
    let flight = Flight::new(PARAMS, &[]);
    let missing = flight.lead.refused("arm look");
    assert!(missing.contains("\"table\"") && missing.contains("set table="), "{missing}");
    let wrong = flight.lead.refused("set host=prod-db # moved");
    assert!(wrong.contains("prod-db") && wrong.contains("db-[0-9]"), "{wrong}");
    assert!(flight.lead.refused("set hots=db-2 # moved").contains("host, table"));
    assert!(flight.dba.refused("set table=t1").contains("only the lead"));
    // What the plan leaves open is no deviation: the lead alone runs a routine step.
    flight.lead.ok("set table=t1");
    flight.lead.ok("arm look");
    flight.lead.expect("is cleared");
    flight.dba.expect("--- digest");
    // A parameter set anew voids what is armed.
    flight.lead.ok("set table=t2");
    flight.lead.expect("parameter table was set to \"t2\"");
    // Another value than the plan's needs a reason, and then a second person.
    assert!(flight.lead.refused("set host=db-2").contains("needs a reason"));
    flight.lead.ok("set host=db-2 # db-1 is down");
    flight.lead.ok("arm look");
    flight.dba.expect("DEVIATION: parameter host is \"db-2\", the plan says \"db-1\": db-1 is down (lead@example.org)");
    assert!(flight.lead.refused("run").contains("1 more cross-check"));
    flight.dba.ok("check");
    flight.lead.ok("run");
    flight.lead.expect("done: exit 0");
    flight.lead.ok("arm other");
    let covers = flight.stage.events("StepArmed").pop().expect("it is armed")["covers"].clone();
    assert!(covers["deviations"].is_null(), "it uses none of them: {covers}");
    flight.lead.ok("run");
    flight.lead.expect("02 other done");
    let report = flight.end();
    for words in ["## Deviations from the plan", "db-1 is down", "it ran"] {
        assert!(report.contains(words), "{words}: {report}");
    }
}

#[test]
fn what_was_set_outlives_the_hub_and_what_was_given_at_the_start_needs_a_reason() {
    let stage = Stage::new(&plan(PARAMS));
    let mut hub = stage.serve(&["--param", "host=db-3"]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("set table=t7");
    let unsaid = lead.refused("arm look");
    assert!(unsaid.contains("needs a reason") && unsaid.contains("db-3"), "{unsaid}");
    lead.ok("set host=db-3 # the replica");
    hub.kill();
    let _hub = stage.serve(&["--param", "host=db-3"]);
    lead.expect("took the session up again");
    lead.forget_answers();
    dba.expect("took the session up again");
    dba.forget_answers();
    lead.ok("arm look");
    dba.expect("argument 2: t7");
    dba.expect("DEVIATION: parameter host is \"db-3\", the plan says \"db-1\": the replica");
}

#[test]
fn an_edited_command_is_marked_and_cross_checked() {
    let flight = Flight::new(PARAMS, &[]);
    assert!(flight.lead.refused("edit other echo hi").contains("needs a reason"));
    assert!(flight.dba.refused("edit other echo hi # why").contains("only the lead"));
    assert!(flight.lead.refused("edit nothing echo hi # why").contains("no step"));
    flight.lead.ok("edit other echo {{ host }} > said # true does nothing");
    flight.lead.ok("arm other");
    flight.dba.expect("DEVIATION: the command was typed: echo {{ host }} > said; the plan says true: true does nothing (lead@example.org)");
    assert!(flight.lead.refused("run").contains("1 more cross-check"));
    flight.dba.ok("check");
    flight.lead.ok("run");
    flight.lead.expect("done: exit 0");
    let said = std::fs::read_to_string(flight.stage.path("said")).expect("it ran");
    assert_eq!(said, "{{ host }}\n", "what is typed is not filled in");
    // The plan's own comes back without a mark.
    flight.lead.ok("set table=t1");
    flight.lead.ok("edit look false # wrong one");
    flight.lead.ok("edit look # back to the plan");
    flight.lead.ok("arm look");
    flight.lead.expect("01 look is cleared");
    let covers = flight.stage.events("StepArmed").pop().expect("it is armed")["covers"].clone();
    assert!(covers["deviations"].is_null(), "{covers}");
}

#[test]
fn an_ad_hoc_command_flies_as_a_step_of_its_own() {
    let flight = Flight::new(PARAMS, &[("fix", "#!/bin/sh\necho fixed > fixed\n")]);
    assert!(flight.lead.refused("adhoc ./fix").contains("needs a reason"));
    assert!(flight.lead.refused("adhoc ./nothing # try").contains("./nothing"));
    assert!(flight.stage.events("StepAdded").is_empty(), "what cannot be armed is no step");
    flight.lead.ok("adhoc ./fix # a row hangs");
    flight.dba.expect("DEVIATION: the command was typed; the plan has no such step: a row hangs (lead@example.org)");
    let covers = flight.stage.events("StepArmed")[0]["covers"].clone();
    assert_eq!(covers["command"]["argv"], serde_json::json!(["./fix"]), "its file is hashed: {covers}");
    flight.dba.ok("object not like this");
    flight.lead.expect("adhoc-1 is not armed any more");
    flight.lead.ok("arm adhoc-1");
    flight.dba.expect("attempt 2");
    flight.dba.ok("check");
    flight.lead.ok("run");
    flight.lead.expect("03 adhoc-1 done");
    assert!(flight.stage.path("fixed").exists());
    let late = flight.stage.join("dba@example.org");
    late.expect("step 03 adhoc-1 [critical] done: ad hoc: ./fix");
    let file = flight.stage.transcript_file();
    let home = flight.stage.home("auditor");
    let report = flight.end();
    assert!(report.contains("**03 adhoc-1**, attempt 2 (it ran)"), "{report}");
    let (code, said, _) = crate::support::program::run(&home, &["verify", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let evidence = home.join("evidence");
    let out = evidence.to_str().unwrap();
    let (code, _, said) =
        crate::support::program::run(&home, &["evidence", file.to_str().unwrap(), "adhoc-1", "--out", out]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn without_a_plan_every_command_is_typed_armed_and_cross_checked() {
    let stage = Stage::new("");
    let mut hub = stage.serve_without_plan(&["--adhoc", "lab \"1\"", "--lead", LEAD, "--shadow", DBA]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("adhoc echo one > one");
    let panel = dba.expect("--- digest");
    assert!(!dba.printed().contains("DEVIATION"), "there is no plan to deviate from: {panel}");
    assert!(lead.refused("run").contains("1 more cross-check"));
    dba.ok("check");
    lead.ok("run");
    lead.expect("01 adhoc-1 done");
    lead.ok("adhoc echo two");
    dba.expect("02 adhoc-2");
    let opened = &stage.events("SessionOpened")[0];
    assert_eq!(opened["environment"], "lab \"1\"");
    assert!(opened["plan"].as_str().is_some_and(|plan| plan.contains("There is no plan")), "{opened}");
    lead.ok("close");
    assert!(hub.wait().success());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    assert!(report.contains("ad hoc: echo one") && report.contains("complete"), "{report}");
    // A crew is needed, and a plan or none.
    let home = stage.home("other");
    for (args, words) in [
        (vec!["serve"], "PLAN"),
        (vec!["serve", "--adhoc", "lab"], "--lead"),
        (vec!["serve", "--adhoc", "lab", "--lead", "a@x"], "--shadow"),
        (vec!["serve", "plan.toml", "--adhoc", "lab", "--lead", "a@x", "--shadow", "b@x"], "--adhoc"),
    ] {
        let (code, _, said) = crate::support::program::run(&home, &args);
        assert!(code == Some(2) && said.contains(words), "{args:?}: {code:?} {said}");
    }
}

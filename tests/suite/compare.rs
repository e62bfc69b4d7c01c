//! A gate that rests on other watches: what it says when run is pressed was read after that.

use crate::support::program::Stage;
use crate::support::wait::{PATIENCE, poll};
use crosscheck::clock::At;
use serde_json::Value;

/// The operands are read when the session opens, and then in an hour.
const PLAN: &str = r#"
crosscheck = 1
name = "compare"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = []
[[watch]]
id = "new-count"
kind = "command"
run = ["cat", "new"]
every = "1h"
[[watch]]
id = "old-count"
kind = "command"
run = ["cat", "old"]
every = "1h"
[[watch]]
id = "counts-equal"
kind = "compare"
assert = "new-count == old-count"
every = "1s"
[[watch]]
id = "over"
kind = "compare"
assert = "counts-equal == 0"
every = "1s"
[[step]]
id = "go"
title = "Go"
run = ["touch", "went"]
gates = ["over"]
"#;

#[test]
fn a_gate_of_readings_is_read_anew_down_to_the_last_of_them() {
    let stage = Stage::new(PLAN);
    let put = |name: &str, text: &str| std::fs::write(stage.path(name), text).expect("written");
    put("new", "1204");
    put("old", "1204");
    let hub = stage.serve(&[]);
    let lead = stage.join("lead@example.org");
    let is = |status: &str| {
        let turned = || stage.events("GateTurned").into_iter().rfind(|turned| turned["watch"] == "over");
        let found = poll(PATIENCE, || turned().filter(|turned| turned["to"] == status));
        found.unwrap_or_else(|| panic!("over never was {status}\n{}", hub.printed()))
    };
    is("ok");
    lead.ok("arm go");
    put("new", "1203");
    // Every reading so far says that all is well, and none of the four watches is due before an hour is over.
    lead.ok("run");
    let voided = poll(PATIENCE, || stage.events("StepVoided").pop()).expect("the gate stops it");
    let cause = &voided["cause"]["gate"];
    assert_eq!((&cause["watch"], &cause["status"]), (&Value::from("over"), &Value::from("fail")), "{voided}");
    assert!(!stage.path("went").exists() && stage.events("RunIntended").is_empty());
    let lines = stage.transcript();
    let pressed = lines.iter().find(|line| line["event"].get("RunRequested").is_some()).expect("run was pressed");
    let time = |value: &Value| At::try_from(value.as_str().unwrap_or_default().to_owned()).expect("a time");
    // What did not change is read anew as well and not written down again.
    for watch in ["new-count", "over"] {
        let last =
            stage.events("ReadingTaken").into_iter().rfind(|taken| taken["watch"] == watch).expect("it was read");
        assert!(time(&last["began"]) > time(&pressed["at"]), "{watch} was read before run was pressed: {last}");
    }
    assert!(lead.refused("arm go").contains("over"), "the gate holds");
}

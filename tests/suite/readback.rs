//! Read-back on the built program: values hidden until they are typed, different ones per shadow, and paste refused.

use crate::support::program::{Stage, run};
use crate::support::real::installed;
use crate::support::tmux::{Terminal, Terminals};
use crate::support::wait::{PATIENCE, poll};
use std::time::Duration;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SEARCH: &str = "search@example.org";
const SPARE: &str = "spare@example.org";

const PLAN: &str = r#"
crosscheck = 1
name = "Drop"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org", "spare@example.org"]
[params.old_index]
default = "customers_v41"
[params.place]
default = "eu-west"
[[step]]
id = "drop"
title = "Drop the old index"
class = "irreversible"
run = ["echo", "dropped {{ old_index }} in {{ place }}"]
readback = ["old_index", "place"]
"#;

#[test]
fn shadows_read_back_different_fields_and_see_the_values_only_then() {
    let stage = Stage::new(PLAN);
    let mut hub = stage.serve(&[]);
    let [lead, dba, search, spare] = [LEAD, DBA, SEARCH, SPARE].map(|who| stage.join(who));
    lead.ok("arm drop");
    dba.expect("argument 1: dropped <old_index> in <place>");
    dba.expect("READ BACK from your own copy of the runbook");
    lead.expect("dropped customers_v41 in eu-west");
    // Who opened first is a race of three; the refusal says what is theirs.
    let opened = || (stage.events("CheckOpened").len() == 3).then_some(());
    poll(PATIENCE, opened).expect("three panels are open");
    let field_of = |who: &crate::support::program::Plain| {
        let refused = who.refused("check");
        match (refused.contains("old_index"), refused.contains("place")) {
            (true, false) => ("old_index", "customers_v41"),
            (false, true) => ("place", "eu-west"),
            _ => panic!("one of the two: {refused}"),
        }
    };
    let fields = [&dba, &search, &spare].map(field_of);
    assert!(fields.contains(&("place", "eu-west")) && fields.contains(&("old_index", "customers_v41")), "{fields:?}");
    let other = if fields[0].0 == "place" { "old_index" } else { "place" };
    assert!(dba.refused(&format!("readback {other} x")).contains("another's or no field"));
    let wrong = dba.refused(&format!("readback {} customers_v40", fields[0].0));
    assert!(wrong.contains("2 more tries") && !wrong.contains("customers_v4"), "{wrong}");
    dba.ok(&format!("readback {} {}", fields[0].0, fields[0].1));
    dba.expect("argument 1: dropped customers_v41 in eu-west");
    dba.ok("check");
    // Another than dba's share is left for both, whatever each had at first.
    let (field, value) = field_of(&search);
    assert_ne!(field, fields[0].0);
    for _ in 0..2 {
        assert!(spare.refused(&format!("readback {field} nonsense")).contains("more"));
    }
    assert!(spare.refused(&format!("readback {field} nonsense")).contains("third time"));
    lead.expect(&format!("{SPARE} read back {field} of 01 drop WRONG for the third time"));
    assert!(spare.refused("check").contains("three times"));
    search.ok(&format!("readback {field} {value}"));
    search.ok("check");
    lead.expect("01 drop is cleared");
    lead.ok("run");
    lead.expect("01 drop done");
    lead.ok("close");
    assert!(hub.wait().success());
    let transcript = stage.transcript_file();
    let text = std::fs::read_to_string(&transcript).expect("a transcript");
    assert!(!text.contains("nonsense") && !text.contains("customers_v40"), "what was typed wrong is not kept");
    let (status, out, err) = run(&stage.home(LEAD), &["verify", transcript.to_str().expect("a path")]);
    assert!(status == Some(0) && out.starts_with("COMPLETE"), "{out}{err}");
    let signed = stage.events("CrossChecked");
    let statements: String = signed.iter().map(|check| check["signed"]["statement"].to_string()).collect();
    for field in ["readback: old_index=customers_v41", "readback: place=eu-west"] {
        assert!(statements.contains(field), "{statements}");
    }
    let report = std::fs::read_to_string(transcript.with_extension("md")).expect("a report");
    assert!(report.contains("**read back wrong**: ") && report.contains("read back: old_index"), "{report}");
}

#[test]
fn the_cockpit_takes_typed_keys_and_neither_paste_nor_a_burst() {
    if installed("tmux", "-V").is_none() {
        return;
    }
    let stage = Stage::new(&PLAN.replace("class = \"irreversible\"", "class = \"irreversible\"\nchecks = 1"));
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    let terminals = Terminals::new(&stage);
    let dba = terminals.open(&stage, DBA);
    dba.join();
    dba.shows("SHADOW");
    lead.ok("arm drop");
    dba.shows("CHECK WANTED");
    assert!(!dba.screen().contains("customers_v41"), "{}", dba.screen());
    dba.press(&["x"]);
    dba.shows("<old_index>");
    for (cols, rows) in [(80, 24), (120, 40)] {
        dba.resize(cols, rows);
        dba.until("what is to be typed", |screen| screen.contains("read back old_index, place"));
        assert!(!dba.screen().contains("customers_v41"));
    }
    dba.press(&["r"]);
    dba.shows("READ BACK old_index");
    // A burst, as a terminal without bracketed paste sends it.
    dba.press(&["-l", "customers_v41"]);
    dba.shows("faster than anybody types");
    // Closed and opened anew: then all of the burst was taken in, however slowly, and what is typed now is not counted to it.
    dba.press(&["Escape"]);
    dba.until("the line closed", |screen| !screen.contains("READ BACK old_index"));
    dba.press(&["r"]);
    dba.shows("READ BACK old_index");
    type_in(&dba, "customers_v41");
    dba.press(&["Enter"]);
    poll(PATIENCE, || (stage.events("ReadBack").len() == 1).then_some(())).expect("it is read back");
    dba.press(&["r"]);
    dba.shows("READ BACK place");
    type_in(&dba, "eu-west");
    dba.press(&["Enter"]);
    dba.shows("dropped customers_v41");
    dba.press(&["5"]);
    dba.shows("read back old_index, place");
    let done = |stage: &Stage| !stage.events("StepCleared").is_empty();
    dba.press_until(
        "a check",
        |screen| if screen.contains("NOT SEEN") || screen.contains("not seen") { "Space" } else { "y" },
        done,
    );
}

/// The time between two keys of somebody who types fast. What is tested is a pace, so this one wait is for time itself: a
/// quick machine shows a key within 5 ms, and five of those are a burst and rightly refused.
const BETWEEN_KEYS: Duration = Duration::from_millis(50);

/// Key by key, each once the one before is on screen and a person could have pressed it.
fn type_in(terminal: &Terminal<'_>, text: &str) {
    for end in 1..=text.len() {
        std::thread::sleep(BETWEEN_KEYS);
        terminal.press(&["-l", &text[end - 1..end]]);
        terminal.until("the key", |screen| screen.contains(&format!("> {}", &text[..end])));
    }
}

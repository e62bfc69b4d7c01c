//! The cockpit as people use it: a lead and two shadows, each in a terminal of their own, fly a plan with keys alone while
//! their terminals change size.

use crate::support::program::Stage;
use crate::support::real::installed;
use crate::support::tmux::{Terminal, Terminals};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SEARCH: &str = "search@example.org";

const PLAN: &str = r#"
crosscheck = 1
name = "Purge old exports"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
[[step]]
id = "fill"
title = "Make files"
run = "mkdir exports; touch exports/1.csv exports/2.csv; ls exports"
[[step]]
id = "purge"
title = "Delete them"
class = "irreversible"
point_of_no_return = true
run = ["rm", "-rv", "exports"]
touches = "2 files"
undo = "none"
"#;

#[test]
fn a_release_is_flown_with_keys_in_three_terminals() {
    if installed("tmux", "-V").is_none() {
        return;
    }
    let stage = Stage::new(PLAN);
    let mut hub = stage.serve(&[]);
    let terminals = Terminals::new(&stage);
    let [lead, dba, search] = [LEAD, DBA, SEARCH].map(|who| terminals.open(&stage, who));
    let before = lead.modes();
    for terminal in [&lead, &dba, &search] {
        terminal.join();
    }
    lead.shows("LEAD");
    dba.shows("SHADOW");

    // A routine step needs nobody else, but the number has to be typed: a slip of the finger starts nothing.
    lead.press(&["a"]);
    happens(&stage, "StepCleared", "fill", 1);
    lead.shows(" r run");
    lead.press(&["r"]);
    lead.enter("2");
    lead.shows("that is not 01");
    lead.press(&["C-u"]);
    lead.enter("1");
    happens(&stage, "RunEnded", "fill", 1);
    assert!(stage.path("exports/1.csv").exists());
    search.until("the output of the command", |screen| screen.contains("2.csv"));

    // Sizes: on all of them the essence stays on screen, and nothing is left over afterwards.
    for (cols, rows) in [(80, 24), (60, 16), (120, 40)] {
        dba.resize(cols, rows);
        let essence = |screen: &str| {
            let fits = screen.lines().all(|line| line.chars().count() <= usize::from(cols));
            fits && screen.contains("SHADOW") && screen.contains("ANDON") && screen.contains("Delete them")
        };
        dba.until(&format!("cockpit of {cols}x{rows}"), essence);
    }
    dba.until("seven panes", |screen| {
        ["1 Plan", "2 Command", "5 Crew", "6 Chat", "7 Events"].iter().all(|p| screen.contains(p))
    });

    // Anyone stops the line with one key; what was armed is so no longer.
    lead.press(&["a"]);
    happens(&stage, "StepArmed", "purge", 1);
    search.shows("ARMED");
    search.press(&["!"]);
    for terminal in [&lead, &dba, &search] {
        terminal.shows("line stopped by search");
    }
    happens(&stage, "StepVoided", "purge", 1);
    lead.press(&["a"]); // refused, on the screen at the latest
    for terminal in [&lead, &search] {
        terminal.press(&["A"]);
    }
    lead.until("the line is free", |screen| !screen.contains("line stopped by"));
    assert_eq!(stage.events("StepArmed").iter().filter(|armed| armed["step"] == "purge").count(), 1);

    // Both check, each on a small screen where the panel has to be paged through.
    lead.press(&["a"]);
    happens(&stage, "StepArmed", "purge", 2);
    for (shadow, who, (cols, rows)) in [(&dba, DBA, (60, 16)), (&search, SEARCH, (80, 24))] {
        shadow.resize(cols, rows);
        shadow.shows("ARMED");
        shadow.press(&["x"]);
        let panel = shadow.shows("CHECK 02 of 02");
        assert!(panel.contains("rm -rv exports"), "the command comes first:\n{panel}");
        shadow.press(&["y"]); // not everything was seen yet, so it counts for nothing
        shadow.shows("not seen");
        assert!(!checked(&stage, who));
        check(shadow, who);
        shadow.resize(120, 40);
    }
    happens(&stage, "StepCleared", "purge", 2);
    lead.shows(" r run");
    assert!(stage.path("exports").exists());
    lead.press(&["r"]);
    lead.enter("2");
    happens(&stage, "RunEnded", "purge", 2);
    assert!(!stage.path("exports").exists());

    // Leaving the screen leaves the session, and the terminal as it was.
    lead.press(&["q"]);
    lead.shows("Leave?");
    lead.press(&["l"]);
    lead.shows("left; the session goes on");
    lead.is_back();
    assert_eq!(lead.modes(), before);
    // So does being ended from outside.
    kill(Pid::from_raw(search.child()), Signal::SIGTERM).expect("it runs");
    search.is_back();
    assert_eq!(search.modes(), before);

    lead.join();
    lead.press(&["Q"]);
    lead.enter("close");
    assert!(hub.wait().success(), "{}", hub.printed());
    assert_eq!(stage.events("SessionClosed")[0]["outcome"], "complete");
    for terminal in [&lead, &dba] {
        terminal.until("the end", |screen| screen.to_lowercase().contains("closed"));
        terminal.press(&["q"]);
        terminal.shows("the session is closed");
        terminal.is_back();
    }
    assert_eq!(dba.modes(), before);
}

const LOCKED: &str = r#"
crosscheck = 1
name = "Locks that hold"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
observer = "link"
[[watch]]
id = "flag"
kind = "file"
path = "flag"
every = "100ms"
[[step]]
id = "go"
title = "Leave a trace"
class = "irreversible"
point_of_no_return = true
run = "echo ran >> ran.txt"
gates = ["flag"]
lapse = "25s"
"#;

/// Every refusal, seen by whoever pressed the key and by whoever reads the transcript.
#[test]
fn what_is_refused_is_told_on_the_screen_and_in_the_transcript() {
    if installed("tmux", "-V").is_none() {
        return;
    }
    let stage = Stage::new(LOCKED);
    std::fs::write(stage.path("flag"), "up\n").unwrap();
    let _hub = stage.serve(&[]);
    let terminals = Terminals::new(&stage);
    let [lead, dba, search] = [LEAD, DBA, SEARCH].map(|who| terminals.open(&stage, who));
    let (twice, observer) = (terminals.open_as(&stage, DBA, "dba-again"), terminals.open(&stage, "observer"));
    for terminal in [&lead, &dba, &search, &twice, &observer] {
        terminal.join();
    }
    let refused = |terminal: &Terminal<'_>, key: &'static str, why: &str| {
        let by = |stage: &Stage| stage.events("Refused").iter().any(|e| e["reason"].as_str().unwrap().contains(why));
        terminal.press_until(why, |screen| if screen.contains("not seen") { "Space" } else { key }, by);
        terminal.until(why, |screen| screen.contains("refused"));
    };
    // The gate has to be ok first: until then arming is refused.
    lead.press_until("armed", |_| "a", |stage| !stage.events("StepArmed").is_empty());
    refused(&observer, "a", "observers only watch");
    refused(&dba, "a", "only the lead");
    refused(&lead, "r", "it needs 2 more cross-checks");
    lead.press(&["x"]);
    lead.shows("CHECK 01 of 01");
    refused(&lead, "y", "nobody checks their own step");
    lead.press(&["Escape"]);
    // One person on two connections counts once.
    for terminal in [&dba, &twice] {
        terminal.press(&["x"]);
        terminal.shows("CHECK 01 of 01");
    }
    check(&dba, DBA);
    refused(&twice, "y", "one person counts once");
    // The andon, then a gate that turned: both void what was armed, and run is refused.
    search.press(&["!"]);
    happens(&stage, "StepVoided", "go", 1);
    refused(&lead, "r", "andon");
    lead.press_until("released by the lead", |_| "A", |stage| stage.events("AndonReleased").len() == 1);
    search.press_until("released by the puller", |_| "A", |stage| stage.events("AndonReleased").len() == 2);
    lead.press_until("armed again", |_| "a", |stage| stage.events("StepArmed").len() == 2);
    std::fs::remove_file(stage.path("flag")).unwrap();
    happens(&stage, "StepVoided", "go", 2);
    refused(&lead, "r", "flag");
    refused(&lead, "a", "gate flag");
    // What lapsed can be checked no more.
    std::fs::write(stage.path("flag"), "up\n").unwrap();
    lead.press_until("armed once more", |_| "a", |stage| stage.events("StepArmed").len() == 3);
    search.press_until("panel", |_| "x", |stage| stage.events("CheckOpened").iter().any(|e| e["attempt"] == 3));
    search.until("the whole panel", |screen| {
        search.press(&["Space"]);
        !screen.contains("not seen")
    });
    happens(&stage, "StepVoided", "go", 3);
    assert!(!stage.path("ran.txt").exists(), "nothing of all that ran");
    let told = stage.events("Refused");
    println!("refused on screen and in the transcript: {}", told.len());
    for refused in told {
        println!("  {}: {}", refused["principal"].as_str().unwrap(), refused["reason"].as_str().unwrap());
    }
}

/// Looks at every part of the panel, and says yes once nothing is left unseen.
fn check(shadow: &Terminal<'_>, who: &'static str) {
    let key = |screen: &str| if screen.contains("not seen") { "Space" } else { "y" };
    shadow.press_until("checked", key, |stage| checked(stage, who));
}

fn checked(stage: &Stage, who: &str) -> bool {
    stage.transcript().iter().any(|line| line["by"] == who && line["event"].get("CrossChecked").is_some())
}

/// Waits until the transcript holds that event of that attempt.
fn happens(stage: &Stage, kind: &str, step: &str, attempt: u64) {
    let found = crate::support::wait::poll(crate::support::wait::PATIENCE, || {
        let events = stage.events(kind);
        events.iter().any(|event| event["step"] == step && event["attempt"] == attempt).then_some(())
    });
    assert!(found.is_some(), "no {kind} of {step}, attempt {attempt}: {:#?}", stage.events(kind));
}

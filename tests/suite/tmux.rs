//! The cockpit as people use it: a lead and two shadows, each in a terminal of their own, fly a plan with keys alone while
//! their terminals change size.

use crate::support::program::Stage;
use crate::support::real::installed;
use crate::support::tmux::{Terminal, Terminals};
use crate::support::wait::{PATIENCE, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;

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
shadow = ["dba@example.org", "search@example.org", "sre@example.org"]
observer = "link"
[params.level]
default = "1"
pattern = "[0-3]"
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
run = "echo ran >> ran.txt; echo {{ level }}"
gates = ["flag"]
[[step]]
id = "fail"
title = "Go wrong"
run = "exit 3"
after = []
"#;
const SRE: &str = "sre@example.org";

/// Somebody at a terminal, and what the hub says to them.
struct Asking<'a> {
    stage: &'a Stage,
    terminal: &'a Terminal<'a>,
    who: &'a str,
}

impl Asking<'_> {
    /// Presses that key until the hub has refused what it asks for, and reads the hub's own sentence on the screen. Whatever of
    /// a panel was not seen is looked at first.
    fn key(&self, key: &'static str, what: &str, why: &str) {
        self.refused(what, why, |screen| {
            self.terminal.press(&[if screen.contains("not seen") { "Space" } else { key }]);
        });
    }

    /// The same for words that are typed.
    fn typed(&self, key: &'static str, words: &str, what: &str, why: &str) {
        self.refused(what, why, |_| {
            self.terminal.press(&[key]);
            self.terminal.enter(words);
        });
    }

    fn refused(&self, what: &str, why: &str, act: impl Fn(&str)) {
        let before = self.stage.events("Refused").len();
        let newest = || {
            let refused = self.stage.events("Refused").into_iter().skip(before);
            let mut fitting = refused.filter(|refused| refused["principal"] == self.who && refused["request"] == what);
            fitting.find_map(|refused| Some(refused["reason"].as_str()?.to_owned()).filter(|told| told.contains(why)))
        };
        let reason = poll(PATIENCE, || {
            act(&self.terminal.screen());
            poll(Duration::from_secs(1), newest)
        });
        let reason = reason.unwrap_or_else(|| {
            panic!("{} was never refused {what} for {why}:\n{}", self.who, self.terminal.screen());
        });
        // Nothing else on the screen begins so: the story says to whom something was refused.
        let told = format!("refused: {what}: {reason}");
        self.terminal.until(&told, |screen| words(screen).contains(&words(&told)));
    }
}

/// The words on a screen, or on the panel that lies over it: what is longer than a row is wrapped.
fn words(screen: &str) -> String {
    let framed: Vec<_> = screen.lines().filter_map(|line| line.split('║').nth(1)).collect();
    let text = if framed.is_empty() { screen.to_owned() } else { framed.join(" ") };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every refusal, seen by whoever pressed the key in the words that stand in the transcript.
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
    borrow_key(&stage, DBA, SRE);
    let sre = terminals.open(&stage, SRE);
    sre.join();
    let people = [(&lead, LEAD), (&search, SEARCH), (&twice, DBA), (&sre, SRE)];
    let [by_lead, by_search, by_twice, by_sre] = people.map(|(terminal, who)| Asking { stage: &stage, terminal, who });
    let by_dba = Asking { stage: &stage, terminal: &dba, who: DBA };

    // What is typed goes to the hub as it was typed.
    by_lead.typed("p", "level=9 # a try", "set level", "level");
    by_lead.typed("e", "echo something else", "edit go", "needs a reason");
    // The lead went to somebody while they typed that they want it.
    search.press(&["H"]);
    search.shows("hand over to");
    let (second, third) = (stage.join(LEAD), stage.join(SEARCH));
    second.ok(&format!("handover {SEARCH}"));
    third.ok(&format!("handover {SEARCH}"));
    search.shows("LEAD");
    by_search.refused("handover search@example.org", "leads already", |screen| {
        if !screen.contains("hand over to") {
            return search.press(&["H"]);
        }
        search.enter("search");
    });
    third.ok(&format!("handover {LEAD}"));
    second.ok(&format!("handover {LEAD}"));
    lead.shows("LEAD");

    // The gate has to be ok first: until then arming is refused.
    lead.press_until("armed", |_| "a", |stage| !stage.events("StepArmed").is_empty());
    let joined = stage.events("Joined");
    let names = joined.iter().filter_map(|joined| joined["principal"].as_str());
    let observes = names.into_iter().find(|name| name.starts_with("observer:")).expect("they joined");
    Asking { stage: &stage, terminal: &observer, who: observes }.key("a", "arm go", "observers only watch");
    by_dba.key("a", "arm go", "only the lead");
    by_lead.key("r", "run go", "it needs 2 more cross-checks");
    lead.press(&["x"]);
    lead.shows("CHECK 01 of 02");
    by_lead.key("y", "check go", "nobody checks their own step");
    lead.press(&["Escape"]);
    // One person on two connections counts once, and so does one key.
    for terminal in [&dba, &twice, &sre] {
        terminal.press(&["x"]);
        terminal.shows("CHECK 01 of 02");
    }
    check(&dba, DBA);
    by_twice.key("y", "check go", "one person counts once");
    by_sre.key("y", "check go", "one key counts once");
    sre.until("a panel that waits for nothing", |screen| !screen.contains("on its way"));
    sre.press(&["Escape"]);
    // The andon, then a gate that turned: both void what was armed, and run is refused.
    search.press(&["!"]);
    happens(&stage, "StepVoided", "go", 1);
    by_lead.key("r", "run go", "the line was stopped");
    lead.press_until("released by the lead", |_| "A", |stage| stage.events("AndonReleased").len() == 1);
    search.press_until("released by the puller", |_| "A", |stage| stage.events("AndonReleased").len() == 2);
    by_search.key("A", "release", "the andon is not pulled");
    lead.press_until("armed again", |_| "a", |stage| stage.events("StepArmed").len() == 2);
    std::fs::remove_file(stage.path("flag")).unwrap();
    happens(&stage, "StepVoided", "go", 2);
    by_lead.key("r", "run go", "flag");
    by_lead.key("a", "arm go", "gate flag");
    // Something went wrong while the end was typed.
    lead.press(&["Q"]);
    lead.shows("END THE SESSION");
    second.ok("arm fail");
    second.ok("run");
    happens(&stage, "RunEnded", "fail", 1);
    by_lead.refused("close", "has to take note", |screen| {
        if screen.contains("END THE SESSION") {
            lead.enter("close");
        }
    });
    assert!(!stage.path("ran.txt").exists(), "nothing of all that ran");
}

/// Gives somebody the key that another one joined with: two names, one person.
fn borrow_key(stage: &Stage, from: &str, to: &str) {
    let keys = |who: &str| stage.home(who).join("state/crosscheck/keys");
    let found = std::fs::read_dir(keys(from)).expect("they have one").flatten().map(|entry| entry.path());
    let key = found.into_iter().find(|path| path.to_string_lossy().ends_with(".key")).expect("it is there");
    let name = key.file_name().expect("it has a name").to_string_lossy().replace(from, to);
    std::fs::create_dir_all(keys(to)).expect("a folder");
    std::fs::copy(&key, keys(to).join(name)).expect("it is copied");
}

/// A check that is under way when the hub dies is no check, and its author is told.
#[test]
fn a_check_that_is_lost_with_the_hub_is_told_and_not_waited_for() {
    if installed("tmux", "-V").is_none() {
        return;
    }
    let stage = Stage::new(LOCKED);
    std::fs::write(stage.path("flag"), "up\n").unwrap();
    let mut hub = stage.serve(&[]);
    let terminals = Terminals::new(&stage);
    let (lead, dba) = (stage.join(LEAD), terminals.open(&stage, DBA));
    dba.join();
    let armed = poll(PATIENCE, || lead.ask("arm go").starts_with("ok").then_some(()));
    assert!(armed.is_some(), "{}", lead.printed());
    dba.shows("CHECK WANTED");
    dba.press(&["x"]);
    dba.until("the whole panel", |screen| {
        dba.press(&["Space"]);
        screen.contains("READY")
    });
    hub.signal(Signal::SIGSTOP);
    dba.press(&["y"]);
    dba.shows("your check is on its way");
    hub.kill();
    let lost = "refused: check go: the connection was lost before the answer came";
    let screen = dba.until(lost, |screen| words(screen).contains(lost));
    assert!(!screen.contains("on its way"), "{screen}");
    assert!(!checked(&stage, DBA));
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
    let found = poll(PATIENCE, || {
        let events = stage.events(kind);
        events.iter().any(|event| event["step"] == step && event["attempt"] == attempt).then_some(())
    });
    assert!(found.is_some(), "no {kind} of {step}, attempt {attempt}: {:#?}", stage.events(kind));
}

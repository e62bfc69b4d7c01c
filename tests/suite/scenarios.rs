//! Every file in `tests/scenarios` is flown on the built program, and together they reach every row of the transition table.
//!
//! `CROSSCHECK_SCENARIOS=trap-03` flies only the files whose name holds that, and says nothing of the rows.

use crate::support::flight::{Flown, fly};
use crate::support::scenario::Scenario;
use crate::support::wait::PATIENCE;
use crosscheck::session::steps::TABLE;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Flights at the same time. Most of one is waiting.
const AT_ONCE: usize = 6;
/// Traps that the project promises to have a scenario for.
const TRAPS: usize = 12;

/// What came of a file, and how long that took.
type Ended = (Result<Option<Flown>, String>, Duration);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("there are scenarios");
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned()
}

#[test]
fn every_scenario_flies_as_it_is_written_and_every_row_is_taken() {
    let only = std::env::var("CROSSCHECK_SCENARIOS").unwrap_or_default();
    let files: Vec<_> = files().into_iter().filter(|path| name(path).contains(&only)).collect();
    assert!(!files.is_empty(), "no scenario is called like {only:?}");
    let waiting = Mutex::new(files.iter());
    let flown: Mutex<BTreeMap<String, Ended>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(path) = waiting.lock().ok().and_then(|mut files| files.next()) {
                    let began = Instant::now();
                    let flight = || Scenario::read(path).and_then(|scenario| fly(&scenario, PATIENCE));
                    // By its name, under which it says what it has to leave out. A helper that panics says why.
                    let thread = std::thread::Builder::new().name(name(path)).spawn_scoped(scope, flight);
                    let result = thread.expect("a thread").join();
                    let result = result.unwrap_or_else(|panic| Err(format!("{}: {}", path.display(), said(&*panic))));
                    flown.lock().expect("no thread panics").insert(name(path), (result, began.elapsed()));
                }
            });
        }
    });
    let flown = flown.into_inner().expect("no thread panicked");
    let failed: Vec<_> = flown.values().filter_map(|(result, _)| result.as_ref().err().cloned()).collect();
    assert!(failed.is_empty(), "{} of {} scenarios failed:\n\n{}", failed.len(), files.len(), failed.join("\n\n"));
    let (mut rows, mut whole) = (BTreeSet::new(), 0);
    for (name, (result, took)) in &flown {
        // One that needs a part that is not here has said so.
        let Some(flown) = result.as_ref().expect("none of them failed") else { continue };
        rows.extend(flown.rows.iter().copied());
        whole += 1;
        println!("{name}: {} lines, {} rows, {:.1} s", flown.lines, flown.rows.len(), took.as_secs_f64());
    }
    if !only.is_empty() {
        return;
    }
    // Not by println: what a passing test prints is swallowed.
    let _ = writeln!(
        std::io::stderr(),
        "set S: {} scenarios flown, {} of {} rows of the transition table",
        whole,
        rows.len(),
        TABLE.len()
    );
    let missing = TABLE.iter().enumerate().filter(|(row, _)| !rows.contains(row));
    let missing: Vec<_> = missing.map(|(_, (from, by, to))| format!("{from:?} --{by:?}--> {to:?}")).collect();
    assert!(missing.is_empty(), "no scenario takes these rows:\n{}", missing.join("\n"));
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

#[test]
fn every_trap_has_its_file() {
    let names: Vec<_> = files().iter().map(|path| name(path)).collect();
    let missing = (1..=TRAPS).map(|number| format!("trap-{number:02}-")).filter(|trap| {
        let of_it = names.iter().filter(|name| name.starts_with(trap.as_str()));
        of_it.count() == 0
    });
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<String>::new());
    let readme = std::fs::read_to_string(folder().join("README.md")).expect("the vocabulary is written down");
    let unnamed: Vec<_> = names.iter().filter(|name| !readme.contains(&format!("`{name}`"))).collect();
    assert!(unnamed.is_empty(), "tests/scenarios/README.md does not list {unnamed:?}");
}

/// A flight that goes well, for the tests below to break.
const GOOD: &str = "\
about = 'Somebody says something.'
add = '''
crosscheck = 1
name = \"Talk\"
environment = \"test\"
[crew]
lead = [\"lead@example.org\"]
shadow = [\"dba@example.org\"]
'''
story = '''
hub starts
lead and dba join
lead: say good morning
dba sees good morning
lead: run
    error: no step is armed
file page is absent
lead: close
hub ends
'''
transcript = '''
Noted by=lead text~morning
SessionClosed outcome=complete
'''
never = '''
RunIntended
'''
";

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse("talk.toml", text, &folder().join("plans"))
}

#[test]
fn a_scenario_that_is_not_understood_is_an_error_with_its_line() {
    assert!(parse(GOOD).is_ok(), "{:?}", parse(GOOD));
    let without = |text: &str| GOOD.replace("dba sees good morning\n", "").replace("file page is absent\n", text);
    for (broken, line, words) in [
        (GOOD.replace("about =", "abuot ="), 1, "unknown field `abuot`"),
        (GOOD.replace("add =", "plan = 'nothing'\nadd ="), 1, "the plan \"nothing\""),
        (format!("change = [['Walk', 'Run']]\n{GOOD}"), 1, "\"Walk\" stands 0 times"),
        (GOOD.replace("dba sees", "dba smells"), 14, "no such line in a story"),
        (GOOD.replace("lead and dba join", "lead & dba join"), 12, "nobody's name"),
        (GOOD.replace("hub starts", "hub begins"), 11, "a hub starts, waits"),
        (GOOD.replace("hub starts", "hub starts and dies after RunItended"), 11, "RunItended"),
        (GOOD.replace("    error: no", "    fails: no"), 16, "expected `refused: WORDS`"),
        (GOOD.replace("file page is absent", "file page is blue"), 17, "a file is absent, reads TEXT"),
        (GOOD.replace("hub ends", "    unanswered yes"), 19, "expected `refused: WORDS`"),
        (GOOD.replace("Noted by", "Nodded by"), 22, "there is no event \"Nodded\""),
        (GOOD.replace("outcome=complete", "outcome"), 23, "expected field=value"),
        (GOOD.replace("\nRunIntended", "\nRunIntended step=\"a"), 26, "a quote is not closed"),
        (without("").replace("    error: no step is armed\n", ""), 10, "nobody sees anything"),
        (GOOD.replace("Noted by=lead text~morning\nSessionClosed outcome=complete\n", ""), 21, "asks nothing"),
    ] {
        let error = parse(&broken).expect_err(words);
        assert!(error.starts_with(&format!("talk.toml:{line}: ")) && error.contains(words), "{line} {words}: {error}");
    }
}

#[test]
fn what_does_not_come_is_told_with_its_line_and_with_what_came() {
    let patience = Duration::from_secs(2);
    let flies = |text: &str| parse(text).and_then(|scenario| fly(&scenario, patience));
    for (broken, line, expected, seen) in [
        (
            GOOD.replace("sees good morning", "sees good evening"),
            14,
            "good evening",
            "lead@example.org says: good morning",
        ),
        (GOOD.replace("no step is armed", "two steps are armed"), 15, "two steps are armed", "error: no step is armed"),
        (GOOD.replace("file page is absent", "file page has 1 line"), 17, "page to have 1 lines", "Noted"),
        (
            GOOD.replace("text~morning", "text~evening"),
            22,
            "such a line in the transcript",
            "\"text\":\"good morning\"",
        ),
        (GOOD.replace("\nRunIntended", "\nCloseCalled"), 26, "no such line", "CloseCalled"),
        (
            GOOD.replace("about =", "verify = 'INCOMPLETE'\nabout ="),
            0,
            "`crosscheck verify` to say INCOMPLETE",
            "COMPLETE",
        ),
    ] {
        let error = flies(&broken).expect_err(expected);
        let place = if line == 0 { "talk.toml: ".to_owned() } else { format!("talk.toml:{line}: ") };
        let tells = error.starts_with(&place) && error.contains(expected) && error.contains(seen);
        assert!(tells, "{place} {expected}: {error}");
    }
}

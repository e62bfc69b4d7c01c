//! Reads the sources: what a reader relies on holds for every file, and stays so.

use crate::support::program::run;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lines of a file, tests left out. Past 500 look for the noun that hides in it; past this it is no longer read.
const LINES_MAX: usize = 700;

/// What each part of the program may use; dependencies run one way. `record` is `transcript::record`, the bytes of a line,
/// on which more depends than on the files they are kept in.
const MAY_USE: &[(&str, &str)] = &[
    ("name", ""),
    ("hash", ""),
    ("clock", ""),
    ("baseline", ""),
    ("trust", "name hash clock identity"),
    ("identity", "hash trust"),
    ("link", "name hash"),
    ("tls", "hash protocol"),
    ("plan", "name hash event"), // of the facts only how a step differs from its plan
    ("secret", "name hash clock plan"),
    ("event", "trust name hash clock record"), // the text of a frozen step is that of a line
    ("record", "name hash clock event"),
    ("session", "trust name hash clock baseline plan event record"),
    ("brief", "name hash clock plan event session record"),
    ("transcript", "trust name hash clock plan event session record"),
    ("protocol", "trust name hash clock event session record"),
    ("exec", "name hash clock plan secret event"), // of the clock only how a time is said
    ("monitor", "baseline trust name hash clock plan event transcript"), // what a flight elsewhere proves, what an agent holds
    (
        "hub",
        "trust name hash clock link tls identity plan secret event session transcript record protocol exec monitor",
    ),
    ("client", "trust name hash clock link tls identity event session brief record protocol"),
    ("report", "trust name hash clock plan event session brief transcript record"),
    ("tui", "name hash clock plan event session brief record protocol exec client"),
    (
        "cli",
        "trust name hash clock link tls identity plan event session brief transcript record protocol exec monitor hub client report tui",
    ),
];

/// The core: a pure state machine and what it is made of.
const CORE: &[&str] = &[
    "name.rs",
    "hash.rs",
    "baseline.rs",
    "trust/allowed.rs",
    "trust/allowed",
    "trust/blob.rs",
    "trust/key.rs",
    "trust/sshsig.rs",
    "trust/statement.rs",
    "plan",
    "event.rs",
    "event",
    "session",
    "brief",
    "protocol.rs",
    "transcript/record.rs",
    "hub/sequencer.rs",
];
/// What the core knows nothing of: a runtime, files, processes, the environment, a clock, chance.
const OUTSIDE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "Instant",
    "SystemTime",
    "clock::wall",
    "ring::rand",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What tests take from `src/fixture.rs`: the types that get new fields most often.
const MADE_THERE: &[&str] = &[
    "Plan",
    "Step",
    "Watch",
    "Covers",
    "CommandSeen",
    "RollbackSeen",
    "FileSeen",
    "GateSeen",
    "WaivedSeen",
    "Reading",
    "Process",
    "Event::SessionOpened",
    "Fact::Joined",
    "Fact::Reading",
    "Fact::Rechecked",
    "Fact::Started",
    "Fact::Output",
    "Fact::Ended",
    "Fact::Recovered",
];
/// Where one is made whole elsewhere all the same, and why.
const MADE_HERE: &[(&str, &str)] = &[
    // Everything that can be armed, each thing there: a new field has to be filled in, or its change could not be looked for.
    ("src/tui/tests/armed.rs", "Covers CommandSeen RollbackSeen GateSeen WaivedSeen Reading"),
    // The virtual hub draws what it sees, each part of it.
    (
        "src/hub/generated/world.rs",
        "Process Fact::Joined Fact::Reading Fact::Rechecked Fact::Started Fact::Output Fact::Ended Fact::Recovered",
    ),
    // What a watch on a process expects, which has the name of a process.
    ("src/monitor/process.rs", "Process"),
];

/// The modules that only tests have, without their ending.
fn test_modules(all: &[(PathBuf, String)]) -> BTreeSet<PathBuf> {
    let mut tests: BTreeSet<PathBuf> = BTreeSet::new();
    for (path, text) in all {
        // A module's children lie in the folder of its name; those of `mod.rs`, `lib.rs` and `main.rs` lie beside it.
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a source has a name");
        let folder = path.parent().expect("a source lies in a folder");
        let children = if matches!(stem, "mod" | "lib" | "main") { folder.to_owned() } else { folder.join(stem) };
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]") {
            let named = pair[1].trim().strip_suffix(';').and_then(|line| line.rsplit_once("mod "));
            tests.extend(named.map(|(_, name)| children.join(name)));
        }
    }
    tests
}

fn is_test(path: &Path, tests: &BTreeSet<PathBuf>) -> bool {
    tests.iter().any(|test| path.starts_with(test) || path.with_extension("") == *test)
}

/// Sources by their path below a folder, in order; test modules left out.
fn program_sources() -> BTreeMap<String, String> {
    let all = sources(&root().join("src"));
    let tests = test_modules(&all);
    let below = |path: &Path| path.strip_prefix(root().join("src")).expect("below src").display().to_string();
    let kept = all.iter().filter(|(path, _)| !is_test(path, &tests));
    kept.map(|(path, text)| (below(path), without_tests(text).to_owned())).collect()
}

/// What only tests have, by their path: unit tests, the suite's and the benchmarks.
fn test_sources() -> BTreeMap<String, String> {
    let all = sources(&root().join("src"));
    let tests = test_modules(&all);
    let below = |path: &Path| path.strip_prefix(root()).expect("below the root").display().to_string();
    let unit = all.into_iter().map(|(path, text)| match is_test(&path, &tests) {
        true => (below(&path), text),
        false => (below(&path), text[without_tests(&text).len()..].to_owned()),
    });
    let others = ["tests/suite", "benches"].map(|folder| sources(&root().join(folder))).into_iter().flatten();
    unit.chain(others.map(|(path, text)| (below(&path), text))).collect()
}

/// The code with what stands in texts and comments taken out, so that its braces can be counted.
fn without_texts(source: &str) -> String {
    let (mut code, mut rest) = (String::new(), source);
    while let Some(next) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|raw| raw.trim_start_matches('#')).filter(|raw| raw.starts_with('"'));
        let name = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = raw.filter(|_| !name) {
            let end = format!("\"{}", "#".repeat(rest.len() - raw.len() - 1));
            let start = rest.len() - raw.len() + 1;
            rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
        } else if next == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let end = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                end
            });
            end.map_or(rest.len(), |at| at + 2)
        } else if ["'{'", "'}'", "'\"'", "'('", "')'"].iter().any(|quoted| rest.starts_with(quoted)) {
            3
        } else if rest.starts_with("'\\\"'") {
            4
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        code.push('_');
        rest = &rest[length..];
    }
    code
}

/// How often a value of that type is written out with all that it has, or taken apart so: what a new field would touch.
fn written_out(code: &str, name: &str) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let begins = format!("{name} {{");
    let found = code.match_indices(&begins).filter(|(at, _)| {
        let before = &code[..*at];
        let path = before.rsplit(|c: char| !word(c) && c != ':').next().unwrap_or_default();
        // A variant of that name is of another type; what follows these words is no value.
        let variant = path.chars().next().is_some_and(char::is_uppercase);
        let other = ["struct ", "enum ", "impl ", "for ", "-> ", "mod "]
            .iter()
            .any(|other| before.trim_end_matches('&').ends_with(other));
        (path.is_empty() || path.ends_with("::")) && !variant && !other
    });
    let whole = found.filter(|(at, text)| {
        let (mut depth, mut last) = (1, '{');
        let mut inside = code[at + text.len()..].chars().peekable();
        while let Some(c) = inside.next() {
            match c {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth -= 1,
                '.' if depth == 1 && matches!(last, '{' | ',') && inside.peek() == Some(&'.') => return false,
                _ => {}
            }
            if depth == 0 {
                return true;
            }
            if !c.is_whitespace() {
                last = c;
            }
        }
        true
    });
    whole.count()
}

/// A new field of what most tests need is given its usual value in the fixture, once. Written out in every test it would be
/// added by hand in dozens of files, and what a test is about would drown in it.
#[test]
fn tests_take_what_they_need_from_the_fixture() {
    let sources = test_sources();
    let (mut wrong, mut there) = (vec![], BTreeSet::new());
    for (path, text) in &sources {
        let code = without_texts(text);
        let here = MADE_HERE.iter().filter(|(file, _)| file == path).flat_map(|(_, types)| types.split(' '));
        let here: BTreeSet<&str> = here.collect();
        // The suite's own types of the same name are other ones.
        let unit = path.starts_with("src/");
        for name in MADE_THERE.iter().filter(|name| unit || name.contains("::") || ["Covers", "Reading"].contains(name))
        {
            match written_out(&code, name) {
                0 => {}
                _ if path.starts_with("src/fixture") => _ = there.insert(*name),
                _ if here.contains(name) => {}
                count => wrong.push(format!("{path}: {count} times {name} {{ … }}")),
            }
        }
    }
    assert!(wrong.is_empty(), "take it from src/fixture.rs, or `..` what it is not about:\n{}", wrong.join("\n"));
    assert!(there.len() > 10, "this test finds what is written out: {there:?}");
    for (file, _) in MADE_HERE {
        assert!(sources.contains_key(*file), "{file} is not there any more");
    }
}

/// Unit tests sit at the end of their file.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |at| &text[..at])
}

/// The code of a line, its comment left out.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

#[test]
fn every_source_says_what_it_holds() {
    let mut silent = vec![];
    for folder in ["src", "tests/suite"] {
        let says = |text: &str| text.starts_with("//! ") || text.starts_with("#![doc = include_str!");
        let all = sources(&root().join(folder));
        assert!(!all.is_empty());
        silent.extend(all.into_iter().filter(|(_, text)| !says(text)).map(|(path, _)| path));
    }
    assert!(silent.is_empty(), "no module comment in the first line: {silent:?}");
}

#[test]
fn every_source_can_be_read_in_one_sitting() {
    let mut long: Vec<_> = program_sources().into_iter().map(|(path, text)| (text.lines().count(), path)).collect();
    long.retain(|(lines, _)| *lines > LINES_MAX);
    assert!(long.is_empty(), "more than {LINES_MAX} lines, tests left out: {long:?}");
}

#[test]
fn dependencies_run_one_way() {
    let may_use: BTreeMap<&str, BTreeSet<&str>> =
        MAY_USE.iter().map(|(part, uses)| (*part, uses.split(' ').collect())).collect();
    let mut wrong = vec![];
    for (path, text) in program_sources() {
        let part = match path.as_str() {
            "main.rs" | "lib.rs" => continue,
            "transcript/record.rs" => "record",
            path => path.split('/').next().expect("a first part").trim_end_matches(".rs"),
        };
        let uses = may_use.get(part).unwrap_or_else(|| panic!("src/{path}: say in MAY_USE what `{part}` may use"));
        for (number, line) in text.lines().enumerate() {
            for (at, _) in code(line).match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                assert!(!rest.starts_with('{'), "src/{path}:{}: one `use crate::…` a part", number + 1);
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let used = if rest.starts_with("transcript::record") { "record" } else { &rest[..end] };
                if used != part && !uses.contains(used) {
                    wrong.push(format!("src/{path}:{}: {part} may not use {used}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_knows_no_runtime_file_or_clock() {
    let sources = program_sources();
    let mut wrong = vec![];
    for core in CORE {
        let folder = format!("{core}/");
        let of_it: Vec<_> = sources.iter().filter(|(path, _)| *path == core || path.starts_with(&folder)).collect();
        assert!(!of_it.is_empty(), "src/{core} is not there any more");
        for (path, text) in of_it {
            for (number, line) in text.lines().enumerate() {
                let words = OUTSIDE.iter().filter(|word| mentions(code(line), word));
                wrong.extend(words.map(|word| format!("src/{path}:{}: {word}", number + 1)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the word stands there as a word: `Instantly` is no `Instant`.
fn mentions(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next()))
}

/// Text from outside reaches a terminal through the screen or through `cli::out`, and no other way.
#[test]
fn whatever_is_printed_passes_the_sink() {
    let mut wrong = vec![];
    for (path, text) in program_sources() {
        let in_cli = path.starts_with("cli/");
        for (number, line) in text.lines().enumerate().map(|(number, line)| (number + 1, code(line))) {
            let prints = ["println!", "eprintln!", "print!", "eprint!"].iter().any(|word| mentions(line, word));
            // Whether it is a terminal is asked of the stream itself; what was drawn harmless is printed as it is.
            let stream = ["io::stdout(", "io::stderr("].iter().any(|word| line.contains(word));
            let may = line.contains("is_terminal") || line.contains("out::drawn(");
            let sink = ["cli/out.rs", "tui/terminal.rs"].contains(&path.as_str());
            if (prints && !in_cli) || mentions(line, "eprint!") || (stream && !may && !sink) {
                wrong.push(format!("src/{path}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "print with the macros of cli::out:\n{}", wrong.join("\n"));
    // A macro counts from where it is defined: before every file that could take the standard one instead.
    let cli = program_sources().remove("cli/mod.rs").expect("there is cli/mod.rs");
    let first = cli.lines().find(|line| line.contains("mod ") && !line.starts_with("//"));
    assert_eq!(first, Some("pub mod out;"), "its macros must come first in src/cli/mod.rs");
    assert!(cli.contains("#[macro_use]\npub mod out;"));
}

#[test]
fn every_plan_in_sessions_can_be_flown() {
    let home = tempfile::tempdir().expect("a folder");
    let plans = files(&root().join("sessions"), "toml");
    assert!(plans.len() >= 2, "{plans:?}");
    for plan in plans {
        let (status, out, err) = run(home.path(), &["lint", plan.to_str().expect("a path of text")]);
        assert_eq!(status, Some(0), "{}: {out}{err}", plan.display());
        assert!(out.trim_end().ends_with(" 0 warnings"), "{}: {out}", plan.display());
    }
}

#[test]
fn every_theme_can_be_loaded() {
    let themes = files(&root().join("themes"), "toml");
    assert!(!themes.is_empty());
    for path in themes {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        if let Err(error) = crosscheck::tui::theme::Theme::parse(&path.display().to_string(), &text) {
            panic!("{}: {error}", path.display());
        }
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found.sort();
    found
}

/// Every Rust source in a folder and below.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source is text");
            found.push((path, text));
        }
    }
    found.sort();
    found
}

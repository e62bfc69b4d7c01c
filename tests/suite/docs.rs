//! README and the manual: every plan in them is one, every key of a plan is in the reference and no other, every command and
//! option exists, and every link leads somewhere. `tutorial` types what they say.

use crate::support::pages::{Block, blocks, page, pages, root};
use crate::support::program::run;
use crosscheck::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// README is read before anybody knows whether they want more.
const README_BYTES_MAX: usize = 8192;

// ── plans ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn every_plan_and_every_part_of_one_is_what_a_plan_may_hold() {
    let home = tempfile::tempdir().expect("a folder");
    let (mut whole, mut parts) = (0, 0);
    for (path, text) in pages() {
        for block in blocks(&text).into_iter().filter(|block| block.kind == "toml") {
            if block.text.starts_with("crosscheck = 1") {
                whole += 1;
                let plan = home.path().join("plan.toml");
                std::fs::write(&plan, &block.text).expect("it is written");
                let (status, out, err) = run(home.path(), &["lint", plan.to_str().expect("a path of text")]);
                assert_eq!(status, Some(0), "{path}: {out}{err}");
            } else {
                parts += 1;
                let plan = completed(&block);
                Plan::parse(&path, &plan).unwrap_or_else(|error| panic!("{error}\n{plan}"));
            }
        }
    }
    assert!(whole >= 1 && parts >= 20, "{whole} plans and {parts} parts of plans");
}

/// A part of a plan with what it needs around it. `with: watch a b; param c` in the comment before it names what it refers to.
fn completed(block: &Block) -> String {
    let (mut top, mut tables) = ("crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n".to_owned(), String::new());
    for named in block.note.strip_prefix("with:").unwrap_or_default().split(';') {
        let mut words = named.split_whitespace();
        let kind = words.next().unwrap_or_default();
        if kind == "expected" {
            top += "expected = \"45m\"\n";
        }
        for name in words {
            tables += &match kind {
                "watch" => format!("[[watch]]\nid = \"{name}\"\nkind = \"tcp\"\naddress = \"localhost:1\"\n"),
                "step" => format!("[[step]]\nid = \"{name}\"\nrun = [\"true\"]\n"),
                "param" => format!("[params.{name}]\ndefault = \"x\"\n"),
                other => panic!("what is {other} in the comment {:?}?", block.note),
            };
        }
    }
    let at = block.text.lines().take_while(|line| !line.starts_with('[')).map(|line| line.len() + 1).sum();
    let (keys, rest) = block.text.split_at(at);
    let crew = "[crew]\nlead = [\"lead@example.org\"]\nshadow = [\"dba@example.org\", \"search@example.org\"]\n";
    format!("{top}{keys}{crew}{tables}{rest}")
}

// ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A key that no table has: whatever reads one says which it may have.
const WRONG: &str = "zzz";

/// Every table that a plan may hold, once, with a key that it does not have. Watches are told by their kinds.
const TABLES: &str = r#"
crosscheck = 1
zzz = 1
[crew]
zzz = 1
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
[[crew.seat]]
zzz = 1
[[checklist]]
zzz = 1
[params.p]
zzz = 1
[secrets]
S = { zzz = 1 }
T = { command = { zzz = 1 } }
[hosts.h]
zzz = 1
[[recovery]]
zzz = 1
[[notify]]
zzz = 1
on = ["zzz"]
run = ["true"]
[[watch]]
id = "w"
kind = "tcp"
address = "localhost:1"
[[watch]]
zzz = 1
[[step]]
zzz = 1
[[step]]
id = "gate"
run = ["true"]
gates = [{ watch = "w", zzz = 1 }]
[[step]]
id = "stdin"
run = ["true"]
stdin = { zzz = 1 }
[[step]]
id = "exits"
run = ["true"]
exits = { zzz = 1 }
[[step]]
id = "verify"
run = ["true"]
verify = { zzz = 1, watches = [{ watch = "w", zzz = 1 }], for = "1s" }
[[step]]
id = "rollback"
run = ["true"]
rollback = { zzz = 1 }
[[step]]
id = "preview"
run = ["true"]
preview = { zzz = 1, run = ["true"], expect = { zzz = 1 } }
[[step]]
id = "probe"
run = ["true"]
probe = { zzz = 1 }
[[step]]
id = "each"
run = ["true"]
each = { zzz = 1 }
[[step]]
id = "until"
run = ["true"]
until = { zzz = 1 }
[[step]]
id = "rehearse"
run = ["true"]
rehearse = { zzz = 1 }
"#;

/// What the plan's reader says of the keys of each table, by the table's name in its errors.
fn known_to_the_code() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = told(TABLES);
    let head = "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\nexpected = \"1m\"\n[crew]\nlead = [\"a@b\"]\n";
    let all: BTreeSet<String> = known["a watch"].clone();
    for kind in kinds() {
        let watch = |keys: &str| format!("{head}[[watch]]\nid = \"w\"\nkind = \"{kind}\"\n{keys}");
        let keys = told(&watch("zzz = 1\n")).remove("this watch").expect("it says what this watch may have");
        if keys.contains("expect") {
            let expect = told(&watch("expect = { zzz = 1 }\n")).remove("expect");
            known.extend(expect.map(|keys| (format!("expect: {kind}"), keys)));
        }
        if keys.contains("client") {
            known.extend(told(&watch("client = { zzz = \"x\" }\n")).remove_entry("client"));
            let elsewhere = told(&watch("client = { \"client.id\" = { zzz = 1 } }\n"));
            known.extend(elsewhere.into_iter().filter(|(table, _)| table == "a setting from elsewhere"));
        }
        if keys.contains("headers") {
            let elsewhere = told(&watch("headers = { X-A = { zzz = 1 } }\n"));
            known.extend(elsewhere.into_iter().filter(|(table, _)| table == "a header from elsewhere"));
        }
        if keys.contains("secret_access_key") {
            let elsewhere = told(&watch("secret_access_key = { zzz = 1 }\n"));
            known.extend(elsewhere.into_iter().filter(|(table, _)| table == "a secret key from elsewhere"));
        }
        if keys.contains("postgres") {
            known.extend(told(&watch("postgres = { zzz = 1 }\n")).remove_entry("postgres"));
            let elsewhere = told(&watch("postgres = { password = { zzz = 1 } }\n"));
            known.extend(elsewhere.into_iter().filter(|(table, _)| table == "a password from elsewhere"));
        }
        known.insert(format!("this watch: {kind}"), &keys - &all);
    }
    known
}

fn told(plan: &str) -> BTreeMap<String, BTreeSet<String>> {
    let error = Plan::parse("plan.toml", plan).expect_err("it holds keys that no plan has");
    let lists = error.problems.iter().filter_map(|problem| {
        let (of, list) = problem.help.as_deref()?.split_once(": ")?;
        let of = match of {
            "an occasion is one of" => "an occasion",
            "the settings on how brokers are reached" => "client",
            _ if problem.message.contains(WRONG) => of.strip_suffix(" may have")?,
            _ => return None,
        };
        Some((of.to_owned(), list.split(", ").map(str::to_owned).collect()))
    });
    lists.collect()
}

/// The kinds of watches, as the error of one without a kind lists them.
fn kinds() -> Vec<String> {
    let error = Plan::parse("plan.toml", TABLES).expect_err("it holds a watch without a kind");
    let list = error.problems.iter().find_map(|problem| problem.label.strip_prefix("expected kind = "));
    list.expect("the kinds are listed").split(", ").map(|kind| kind.trim_matches('"').to_owned()).collect()
}

/// The keys in the first column of each table that a comment names: `<!-- keys: a step -->`.
fn in_the_reference() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for path in ["docs/src/reference/plan.md", "docs/src/reference/watches.md"] {
        let text = page(path);
        for section in text.split("<!-- keys: ").skip(1) {
            let (name, rest) = section.split_once(" -->\n").expect("the comment ends");
            let rows = rest.lines().take_while(|line| line.starts_with('|')).skip(2);
            let cells = rows.map(|row| row.split('|').nth(1).unwrap_or_default());
            // Every second piece stands between two backticks.
            let keys = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
            assert!(found.insert(name.to_owned(), keys).is_none(), "{path} has two tables of {name}");
        }
    }
    found
}

#[test]
fn the_reference_has_every_key_of_a_plan_and_no_other() {
    let (code, pages) = (known_to_the_code(), in_the_reference());
    let names = |tables: &BTreeMap<String, BTreeSet<String>>| tables.keys().cloned().collect::<BTreeSet<_>>();
    let (missing, none) = (&names(&code) - &names(&pages), &names(&pages) - &names(&code));
    assert!(missing.is_empty(), "docs/src/reference has no table `<!-- keys: … -->` of {missing:?}");
    assert!(none.is_empty(), "the reference has tables that no plan has: {none:?}");
    for (table, keys) in &code {
        let written = &pages[table];
        assert!(!keys.is_empty(), "{table}");
        assert_eq!(keys - written, BTreeSet::new(), "keys of {table} that the reference does not have");
        assert_eq!(written - keys, BTreeSet::new(), "keys that the reference gives to {table}, and the code does not");
    }
}

/// A table that is read somewhere in the plan's sources and not tried above would be in no reference, and nobody would know.
#[test]
fn every_table_that_a_plan_may_hold_is_asked_for_its_keys() {
    let known = known_to_the_code();
    let mut folders = vec![root().join("src/plan")];
    let mut tables = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source is text");
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let named = text.split("table(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                tables.extend(named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    tables.retain(|table| !known.keys().any(|known| known == table || known.starts_with(&format!("{table}: "))));
    assert!(tables.is_empty(), "give them a place in TABLES, and one in docs/src/reference: {tables:?}");
}

#[test]
fn the_reference_has_every_command_and_option() {
    let home = tempfile::tempdir().expect("a folder");
    let text = page("docs/src/reference/command-line.md");
    let section = |name: &str| {
        let (_, rest) = text.split_once(&format!("\n### {name}\n"))?;
        rest.split("\n#").next().map(str::to_owned)
    };
    let (_, help, _) = run(home.path(), &["--help"]);
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    // A name stands two columns in; what goes on from the line before stands further in.
    let names = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).filter(|n| *n != "help").collect();
    assert!(names.len() >= 14, "{names:?}");
    for name in names {
        let listed = text.contains(&format!("\n| `{name}` |")) || text.contains(&format!("\n| `{name} "));
        assert!(listed, "{name} is not in the table of commands");
        let (_, help, _) = run(home.path(), &[name, "--help"]);
        let mut written = section(name).unwrap_or_default();
        if written.contains("The same as `host`") {
            written += &section("host").expect("there is host");
        }
        if written.contains("(#a-screen)") {
            written += &section("a screen").expect("there is a screen");
        }
        let words = help.lines().filter_map(|line| line.split_whitespace().find(|w| w.starts_with("--")));
        for option in words.filter(|option| *option != "--help" && !option.contains('`')) {
            assert!(written.contains(option), "{name} {option} is not in command-line.md");
        }
    }
}

// ── links ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn every_link_leads_somewhere() {
    let mut texts = pages();
    texts.extend(["ARCHITECTURE.md", "CHANGELOG.md"].map(|path| (path.to_owned(), page(path))));
    let (mut links, mut wrong) = (0, vec![]);
    for (path, text) in &texts {
        for target in targets(text) {
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let from = Path::new(path).parent().expect("a page lies in a folder");
            let to = if file.is_empty() { PathBuf::from(path) } else { plain(&from.join(file)) };
            let exists = root().join(&to).exists();
            let there = anchor.is_empty() || (exists && anchors(&page(&to.display().to_string())).contains(anchor));
            if !exists || !there {
                wrong.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(links > 100, "{links} links");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_summary_has_every_page_once() {
    let listed = targets(&page("docs/src/SUMMARY.md"));
    let unique: BTreeSet<String> = listed.iter().map(|target| format!("docs/src/{target}")).collect();
    assert_eq!(unique.len(), listed.len(), "a page is listed twice");
    let pages = pages().into_keys().filter(|path| !["README.md", "docs/src/SUMMARY.md"].contains(&path.as_str()));
    assert_eq!(unique, pages.collect());
}

/// Where the links of a page lead, those to the web left out; what stands in code is no link.
fn targets(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        if in_block {
            continue;
        }
        let ends = line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        found.extend(ends.filter(|target| !target.contains("://")));
    }
    found
}

/// The anchors of a page's headings, as forges and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let headings = text.lines().filter(|line| {
        in_block ^= line.starts_with("```");
        !in_block && line.starts_with('#')
    });
    let kept = |c: char| (c.is_alphanumeric() || "-_ ".contains(c)).then_some(if c == ' ' { '-' } else { c });
    headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().chars().filter_map(kept).collect()).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn the_readme_is_read_in_one_sitting() {
    let length = page("README.md").len();
    assert!(length <= README_BYTES_MAX, "README.md has {length} bytes; it links to what is in the manual");
    // Whatever is asked is two links away: the questions are one from the first screen, and each has its page.
    let first: String = page("README.md").lines().take(24).map(|line| format!("{line}\n")).collect();
    assert!(targets(&first).contains(&"docs/src/questions.md".to_owned()), "{first}");
    let questions = page("docs/src/questions.md");
    let questions: Vec<_> = questions.lines().filter(|line| line.starts_with("- ")).collect();
    assert!(questions.len() >= 20, "{questions:?}");
    let answered = |line: &&&str| line.contains("? [") && targets(line).len() == 1;
    assert_eq!(questions.iter().filter(answered).count(), questions.len(), "{questions:?}");
}

// ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// Whoever copies a command out of a page gets what it promises: its subcommands and options exist.
#[test]
fn the_commands_of_every_page_exist() {
    let home = tempfile::tempdir().expect("a folder");
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let mut missing = vec![];
    for (path, text) in pages() {
        for command in commands(&text) {
            let mut words = command.split_whitespace().skip(1);
            let Some(name) = words.next().filter(|name| name.chars().all(|c| c.is_ascii_lowercase())) else { continue };
            let help = helps.entry(name.to_owned()).or_insert_with(|| {
                let (status, out, err) = run(home.path(), &[name, "--help"]);
                assert_eq!(status, Some(0), "{path} says `{command}`: {err}");
                out
            });
            let options = words.map(|word| word.split(['=', ',', '.', ';']).next().unwrap_or(word));
            let unknown = options.filter(|word| word.starts_with("--") && !help.split([' ', '\n']).any(|w| w == *word));
            missing.extend(unknown.map(|option| format!("{path}: {command}: no {option}")));
        }
    }
    assert!(helps.len() >= 10, "the pages show more commands than {:?}", helps.keys());
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    for script in ["tests/run", ".ci/run"] {
        assert!(page("docs/src/how/build.md").contains(script) && root().join(script).is_file(), "{script}");
    }
}

/// Command lines of the program in code blocks and in inline code.
fn commands(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut in_block = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            found.push(line.split(" #").next().unwrap_or(line).trim().to_owned());
        } else {
            // Every second piece stands between two backticks.
            found.extend(line.split('`').skip(1).step_by(2).map(|span| span.trim().to_owned()));
        }
    }
    found.retain(|command| command.starts_with("crosscheck "));
    found
}

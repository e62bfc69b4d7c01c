//! Types what README and the tutorial say: their commands, the tutorial's verbs and its keys.

use crate::support::pages::{Block, blocks, page};
use crate::support::program::{Plain, Stage, program};
use crate::support::real::installed;
use crate::support::tmux::Terminals;
use crate::support::wait::{PATIENCE, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

/// How long a screen is given to answer a key before the key is pressed again.
const ANSWER: Duration = Duration::from_millis(500);

#[test]
fn what_the_readme_says_can_be_typed() {
    let mut walk = Walk::new();
    walk.through("README.md");
    assert!(walk.ran >= 3, "{} commands", walk.ran);
}

#[test]
fn the_tutorial_flies_its_release() {
    let mut walk = Walk::new();
    walk.through("docs/src/tutorial.md");
    assert!(walk.ran >= 10 && walk.people.len() == 2, "{} commands, {:?}", walk.ran, walk.people.keys());
    assert!(!walk.folder.path().join("exports").exists() && walk.folder.path().join("copies/exports.tar").exists());
}

/// The table of keys in the tutorial flies the tutorial's plan, each row as soon as the one before is on the screen.
#[test]
fn the_tutorial_s_keys_fly_it_as_well() {
    if installed("tmux", "-V").is_none() {
        return;
    }
    let text = page("docs/src/tutorial.md");
    let plan = blocks(&text).into_iter().find(|block| block.note == "file: first.toml").expect("the plan is there");
    let stage = Stage::new(&plan.text);
    for file in ["exports/1.csv", "exports/2.csv"] {
        std::fs::create_dir_all(stage.path("exports")).expect("a folder");
        std::fs::write(stage.path(file), "1\n").expect("it is written");
    }
    let mut hub = stage.serve(&[]);
    let terminals = Terminals::new(&stage);
    let people = ["lead", "dba"].map(|who| (who, terminals.open(&stage, &format!("{who}@example.org"))));
    people.iter().for_each(|(_, terminal)| terminal.join());

    let (_, table) = text.split_once("<!-- pressed -->\n").expect("the table is there");
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).skip(2).collect();
    assert!(rows.len() >= 10, "{rows:?}");
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, who, keys, says, _] = cells[..] else { panic!("{row}: three cells") };
        let (_, terminal) =
            people.iter().find(|(name, _)| *name == who).unwrap_or_else(|| panic!("{row}: who is {who}?"));
        // One key is pressed again where nothing came of it: what is pressed before its cause is on that screen, or before the
        // panel could be read, counts for nothing.
        let pressed = match keys.split_once(", again") {
            Some((key, _)) => vec![key],
            None if keys.starts_with("nothing") => vec![],
            None => keys.split(' ').map(|key| key.trim_matches('`')).collect(),
        };
        let [key] = pressed[..] else {
            pressed.iter().for_each(|key| terminal.press(&[key]));
            terminal.shows(says);
            continue;
        };
        let shown = poll(PATIENCE, || {
            terminal.press(&[key]);
            poll(ANSWER, || terminal.screen().contains(says).then_some(()))
        });
        assert!(shown.is_some(), "{row}:\n{}", terminal.screen());
    }
    assert!(hub.wait().success(), "{}", hub.printed());
    assert!(!stage.path("exports").exists() && stage.path("copies/exports.tar").exists());
}

/// Does what a page says, block by block, in an empty folder. A `sh` block is run line by line; what stands below a line of a
/// `console` block that begins with `$` is what it prints, `…` for more. `crosscheck host` and `join` stay, in plain mode, and say
/// what a `flown` block has them say.
struct Walk {
    folder: tempfile::TempDir,
    people: BTreeMap<String, Plain>,
    /// How much each had printed before the last verb that was accepted.
    from: BTreeMap<String, usize>,
    ran: usize,
}

impl Walk {
    fn new() -> Walk {
        let folder = tempfile::Builder::new().prefix("crosscheck-docs-").tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join(".home/bin")).expect("a folder");
        let program = folder.path().join(".home/bin/crosscheck");
        symlink(env!("CARGO_BIN_EXE_crosscheck"), program).expect("the program is linked");
        Walk { folder, people: BTreeMap::new(), from: BTreeMap::new(), ran: 0 }
    }

    fn through(&mut self, path: &str) {
        for Block { kind, text, note } in blocks(&page(path)) {
            match (kind.as_str(), note.as_str()) {
                (_, note) if note.starts_with("no-run: ") => {}
                (_, note) if note.starts_with("file: ") => {
                    std::fs::write(self.folder.path().join(&note["file: ".len()..]), text).expect("it is written");
                }
                ("sh", _) => text.lines().for_each(|line| self.sh(line)),
                ("console", note) => {
                    let status = note.strip_prefix("exit: ").map_or(0, |status| status.parse().expect("a status"));
                    let calls = text.strip_prefix("$ ").expect("it begins with a command");
                    calls.split("\n$ ").for_each(|call| self.console(call, status));
                }
                (_, "flown") => text.lines().for_each(|line| self.flown(line)),
                _ => {}
            }
        }
    }

    fn command(&self, line: &str) -> Command {
        let home = self.folder.path().join(".home");
        let environment = program(&home);
        let mut command = Command::new("sh");
        command.arg("-euc").arg(line).current_dir(self.folder.path()).env_clear();
        command.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
        command.env("PATH", format!("{}:{path}", home.join("bin").display()));
        command
    }

    fn sh(&mut self, line: &str) {
        if ["crosscheck host ", "crosscheck join "].iter().any(|start| line.starts_with(start)) {
            self.ran += 1;
            let line = line.split(" #").next().unwrap_or(line);
            let person = Plain::start(line, self.command(&format!("exec {line} --plain")));
            let joined = person.expect("joined session");
            let name = joined.split(" as ").nth(1).and_then(|rest| rest.split('@').next()).expect("it says as whom");
            self.people.insert(name.to_owned(), person);
        } else {
            self.console(line, 0);
        }
    }

    fn console(&mut self, call: &str, status: i32) {
        self.ran += 1;
        let (line, expected) = call.split_once('\n').unwrap_or((call, ""));
        let done = self.command(line).stdin(std::process::Stdio::null()).output().expect("a shell starts");
        let printed = [done.stdout, done.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert_eq!(done.status.code(), Some(status), "{line}\n{printed}");
        for wanted in expected.lines().filter(|wanted| *wanted != "…") {
            assert!(printed.lines().any(|line| line.contains(wanted)), "{line} does not say {wanted:?}:\n{printed}");
        }
    }

    /// `lead: run`, `lead is refused: run`, `lead sees: TEXT`.
    fn flown(&mut self, line: &str) {
        let (subject, words) = line.split_once(": ").expect("WHO: WHAT");
        let (who, how) = subject.split_once(' ').unwrap_or((subject, ""));
        let person = self.people.get(who).unwrap_or_else(|| panic!("{line}: {who} has not joined"));
        match how {
            "" => {
                self.from = self.people.iter().map(|(who, person)| (who.clone(), person.printed().len())).collect();
                person.ok(words);
            }
            "is refused" => drop(person.refused(words)),
            "sees" => {
                let from = self.from.get(who).copied().unwrap_or_default();
                let seen = poll(PATIENCE, || person.printed()[from..].contains(words).then_some(()));
                assert!(seen.is_some(), "{line}: it was not printed\n{}", person.described());
            }
            other => panic!("{line}: what is {other:?}?"),
        }
    }
}

/// A hub that `host` started goes on after its cockpit. It says in its lock who it is; that the number is still its own, its
/// environment tells.
impl Drop for Walk {
    fn drop(&mut self) {
        self.people.clear();
        for folder in ["log", ".home/state/crosscheck"] {
            let Ok(entries) = std::fs::read_dir(self.folder.path().join(folder)) else { continue };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let is_lock = path.extension().is_some_and(|extension| extension == "lock");
                let Some(text) = std::fs::read(&path).ok().filter(|_| is_lock) else { continue };
                let Ok(lock) = serde_json::from_slice::<serde_json::Value>(&text) else { continue };
                let Some(pid) = lock["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()) else { continue };
                let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                let ours = self.folder.path().display().to_string();
                if String::from_utf8_lossy(&environment).contains(&ours) {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
        }
    }
}

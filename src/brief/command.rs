//! One command as people read it: its words or its script, and everything that decides what its process does.

use super::item::{Item, Loud, Text};
pub use super::item::{command_line, quoted};
use crate::event::{CommandSeen, FileSeen, FolderSeen, InheritedSeen, ScriptSeen};
use crate::name::{escaped, shown};
use std::time::Duration;

/// What every command gets.
const USUAL: [&str; 8] = ["PATH", "HOME", "USER", "LANG", "TERM", "LC_ALL", "LOGNAME", "SHELL"];

/// A text that a shell runs, as a plan's `run = "…"` becomes one: which shell, and the text.
pub fn script(argv: &[String]) -> Option<(String, &str)> {
    let (text, shell) = argv.split_last()?;
    let shell: Vec<&str> = shell.iter().map(String::as_str).collect();
    match shell.as_slice() {
        ["sh", "-eu", "-c"] | ["sh" | "bash", "-eu", "-o", "pipefail", "-c"] => Some((shell.join(" "), text)),
        _ => None,
    }
}

/// A text line by line as it is written, every hidden character marked, and what cannot be seen of its end.
pub fn lines(text: &str) -> (Vec<String>, Option<&'static str>) {
    let (body, ended) = text.strip_suffix('\n').map_or((text, false), |body| (body, true));
    let lines: Vec<_> = if text.is_empty() { vec![] } else { body.split('\n').map(escaped).collect() };
    let note = match (lines.len(), ended) {
        (0, _) => Some("empty"),
        (1, true) => Some("with an end of line"),
        (1, false) | (_, true) => None,
        (_, false) => Some("no end of line at its end"),
    };
    (lines, note)
}

/// The words or the script of a command, in one item.
pub(super) fn words(label: &str, argv: &[String]) -> Item {
    let text = match script(argv) {
        Some((by, text)) => {
            let (lines, note) = lines(text);
            Text::Script { by: format!("a script, run by {by}"), lines, note: note.map(str::to_owned) }
        }
        None => Text::Command(argv.to_vec()),
    };
    Item::new(label, text)
}

/// Everything of one command but its files, which are many lines; `of` says whose it is where it is not the step's own.
pub(super) fn items(of: &str, seen: &CommandSeen) -> Vec<Item> {
    // Taken apart whole: a field that is added does not compile here until somebody decided how it is shown.
    let CommandSeen {
        argv,
        exe,
        interpreter,
        env,
        secrets,
        cwd,
        folder,
        stdin,
        stdin_file: _, // with the files
        sealed,
        script,
        io,
        input,
        timeout_ms,
        exits,
        leaves,
        session_only,
        files: _, // below
        named,
        host,
        user,
        inherited,
        remote,
    } = seen;
    let label = |name: &str| labelled(of, name);
    let mut all = vec![words(&label("command"), argv)];
    // What every command gets comes last, so that what the plan gives stands out.
    let (usual, mut variables): (Vec<_>, Vec<_>) = env
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .partition(|(name, _)| USUAL.contains(&name.as_str()));
    variables.extend(usual);
    if !variables.is_empty() {
        all.push(Item::new(&label("environment"), Text::Variables(variables)));
    }
    for (key, hash) in secrets {
        let words = format!("{key} is fetched by the hub and not shown; its salted hash is {hash}");
        all.push(Item::words(&label("secret"), words));
    }
    let reached = if *remote { ", reached over ssh: the end of the link is not the end of the command" } else { "" };
    all.push(Item::words(&label("host"), format!("{host}, user {user}{reached}")));
    all.push(Item::words(&label("folder"), format!("{cwd}{}", folder.as_ref().map_or_else(String::new, which))));
    match inherited {
        Some(inherited) => all.extend(inherits(of, inherited)),
        None if *remote => {
            let words = format!("as {host} gives them to {user}; not known here, and no part of what is checked");
            all.push(Item::words(&label("umask and limits"), words));
        }
        None => {} // armed by a version that did not look
    }
    let from =
        if *sealed { "its script runs from a sealed copy of its bytes, under the name of that copy" } else { "" };
    all.push(file(&label("executable"), exe, from));
    all.extend(interpreter.iter().map(|seen| file(&label("interpreter"), seen, "")));
    if let Some(script) = script {
        let loud = if matches!(script, ScriptSeen::AsItGoes { .. }) { Loud::Look } else { Loud::Plain };
        all.push(Item::words(&label("script"), script.words()).loud(loud));
    }
    if let Some(text) = stdin {
        let (lines, note) = lines(text);
        let head = String::new();
        all.push(Item::new(&label("input"), Text::Lines { head, lines, note: note.map(str::to_owned) }));
    }
    if let Some(input) = input {
        let words = match input.as_str() {
            "lead" => "lead; whatever the lead types while it runs",
            "hidden-only" => "hidden-only; what the lead types where its terminal shows nothing, a password say",
            other => other,
        };
        all.push(Item::words(&label("typed to it while it runs"), words.to_owned()).loud(Loud::Look));
    }
    let may_change = "an argument names it; it may change before this runs";
    all.extend(named.iter().flatten().map(|seen| file(&label("named"), seen, may_change)));
    if !exits.is_usual() {
        all.push(Item::words(&label("exit codes"), exits.to_string()).loud(Loud::Look));
    }
    all.extend(
        left(leaves.as_deref(), *remote, *session_only)
            .map(|(words, loud)| Item::words(&label("leaves"), words).loud(loud)),
    );
    let limit =
        timeout_ms.map_or_else(|| "without a time limit".to_owned(), |ms| format!("ended by force after {}", time(ms)));
    all.push(Item::words(&label("runs"), format!("in a {io}, {limit}")));
    all
}

/// Its umask and limits: all in one line, and what people would not reckon with once more with what comes of it.
fn inherits(of: &str, seen: &InheritedSeen) -> impl Iterator<Item = Item> {
    let unusual = seen.unusual();
    let all = Item::words(&labelled(of, "umask and limits"), seen.words());
    let loud =
        (!unusual.is_empty()).then(|| Item::words(&labelled(of, "UNUSUAL"), unusual.join("; ")).loud(Loud::Warning));
    std::iter::once(all).chain(loud)
}

/// What it leaves running, by the plan's word, and what of that cannot be seen from here.
fn left(leaves: Option<&str>, remote: bool, session_only: bool) -> impl Iterator<Item = (String, Loud)> {
    let words = |words| format!("{}; it ends with its command, and what stays is named then", shown(words));
    let over_there = "what it leaves running over there cannot be seen from here";
    let elsewhere = "the hub's system does not tell what leaves its process session: nobody would know of it";
    let said = leaves.map(|leaves| (words(leaves), Loud::Look));
    let over_there = remote.then(|| (over_there.to_owned(), Loud::Plain));
    said.into_iter().chain(over_there).chain(session_only.then(|| (elsewhere.to_owned(), Loud::Look)))
}

/// The same beside the step's own command, `own` being its items: what is as it is there is named and not said again.
pub(super) fn items_beside(of: &str, seen: &CommandSeen, own: &[Item]) -> Vec<Item> {
    let mut same = vec![];
    let mut all = items(of, seen);
    all.retain_mut(|item| {
        let name = item.label.strip_prefix(of).unwrap_or(&item.label).trim_start().to_owned();
        let mut of_own = own.iter().filter(|own| own.label == name && name != "command");
        let (Some(own), None) = (of_own.next(), of_own.next()) else { return true };
        if let (Text::Variables(all), Text::Variables(own)) = (&mut item.text, &own.text) {
            let kept = |(name, _): &(String, String)| all.iter().any(|(other, _)| other == name);
            if all != own && own.iter().all(kept) && all.iter().any(|variable| own.contains(variable)) {
                all.retain(|variable| !own.contains(variable));
                item.aside = Some("else as the step's own".to_owned());
                return true;
            }
        }
        let is_same = item.text == own.text;
        if is_same {
            same.push(name);
        }
        !is_same
    });
    if !same.is_empty() {
        all.push(Item::words(&labelled(of, "else"), format!("as the step's own: {}", same.join(", "))));
    }
    all
}

/// The files that it reads, each whole.
pub(super) fn files(of: &str, seen: &CommandSeen) -> impl Iterator<Item = Item> {
    let input = seen.stdin_file.iter().map(|seen| whole(&labelled(of, "input from file"), seen));
    let (of, files) = (of.to_owned(), &seen.files);
    input.chain(files.iter().map(move |seen| whole(&labelled(&of, "file"), seen)))
}

fn labelled(of: &str, name: &str) -> String {
    if of.is_empty() { name.to_owned() } else { format!("{of} {name}") }
}

/// A file that a plan names: where its text is not kept, that is said.
fn whole(label: &str, seen: &FileSeen) -> Item {
    match seen.text {
        None if seen.size > 0 => {
            let note = seen.shown_lines().1;
            file_of(label, seen, "", (vec![], note))
        }
        _ => file(label, seen, ""),
    }
}

fn file(label: &str, seen: &FileSeen, aside: &str) -> Item {
    let shown = if seen.text.is_some() { seen.shown_lines() } else { (vec![], None) };
    file_of(label, seen, aside, shown)
}

fn file_of(label: &str, seen: &FileSeen, aside: &str, (lines, note): (Vec<String>, Option<String>)) -> Item {
    let FileSeen { path, sha256, size, text: _ } = seen; // `shown_lines` of it
    let text = Text::File { path: path.clone(), sha256: *sha256, size: *size, aside: aside.to_owned(), lines, note };
    Item::new(label, text)
}

/// What tells the folder from a later one of that name.
fn which(folder: &FolderSeen) -> String {
    let FolderSeen { device, inode, born_ns } = folder;
    let born = born_ns.map_or_else(String::new, |ns| format!(", made at {ns} ns"));
    format!(" (device {device}, inode {inode}{born})")
}

/// A time as people read it, and to the millisecond where that says less.
pub(super) fn time(ms: u64) -> String {
    let human = crate::clock::human(Duration::from_millis(ms));
    let said = if ms < 10_000 { ms.is_multiple_of(100) } else { ms.is_multiple_of(1000) };
    if said { human } else { format!("{human} ({ms} ms)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_read_as_they_are_executed() {
        assert_eq!(quoted("a/b-c=1"), "a/b-c=1");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("a\nb\u{202e}\\"), r"$'a\nb\u202e\\'");
        assert_eq!(quoted("\u{1b}[31m"), r"$'\x1b[31m'");
    }

    #[test]
    fn a_text_for_a_shell_is_its_lines_and_nothing_else_is() {
        let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let text = |words: &[&str]| super::words("command", &argv(words)).text;
        let written = text(&["sh", "-eu", "-c", "cd /srv\n\tdrop 'it' # \u{202e}\n"]);
        let Text::Script { by, lines, note } = written else { panic!("a script: {written:?}") };
        assert_eq!((by.as_str(), note), ("a script, run by sh -eu -c", None));
        assert_eq!(lines, [r"cd /srv", r"\tdrop 'it' # \u{202e}"]);
        for other in [&["sh", "-c", "x", "y"][..], &["bash", "-eu", "-c", "x"], &["sh", "-eu", "-c", "x", "y"]] {
            assert_eq!(text(other), Text::Command(argv(other)), "exact, as arguments");
        }
    }

    #[test]
    fn the_end_of_a_text_is_no_secret() {
        let texts = ["", "a", "a\n", "a\n\n", "a\nb", "a\nb\n", "\n", "\n\n", "a\r\n"];
        let seen: std::collections::BTreeSet<_> = texts.iter().map(|text| format!("{:?}", lines(text))).collect();
        assert_eq!(seen.len(), texts.len(), "no two of them read the same: {seen:?}");
    }

    #[test]
    fn a_time_that_is_rounded_is_told_to_the_millisecond() {
        assert_eq!(time(60_000), "1:00");
        assert_eq!(time(60_001), "1:00 (60001 ms)");
        assert_eq!(time(2_800), "2.8 s");
        assert_eq!(time(2_801), "2.8 s (2801 ms)");
    }
}

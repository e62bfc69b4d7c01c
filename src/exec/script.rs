//! What an interpreter is given to run, and whether what a text for a shell runs is there.

use super::lookup;
use super::unfrozen::FreezeError;
use crate::event::CommandSeen;
use crate::plan::shell::{self, Join};
use std::path::{Path, PathBuf};

/// What one letter or word among an interpreter's options means for the words behind it.
struct Options {
    /// The program is text in the arguments: there is no script.
    text: &'static [&'static str],
    /// The next word is the option's own.
    takes: &'static [&'static str],
}

/// The interpreters whose first word that is no option is a script.
fn options(program: &str) -> Option<Options> {
    let versioned = |name: &str| {
        program.strip_prefix(name).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
    };
    let options = match program {
        _ if shell::is_shell(program) => Options { text: &["c", "s"], takes: &["o", "O"] },
        _ if versioned("python") => Options { text: &["c", "m"], takes: &["W", "X"] },
        _ if versioned("perl") => Options { text: &["e", "E"], takes: &["I"] },
        _ if versioned("ruby") => Options { text: &["e"], takes: &["I", "r"] },
        "node" => Options { text: &["e", "p"], takes: &["r"] },
        "php" => Options { text: &["r"], takes: &["c", "d"] },
        _ => return None,
    };
    Some(options)
}

/// Whether an interpreter reads a script whole before it runs any of it.
pub(super) fn reads_whole(program: &str) -> bool {
    let program = program.rsplit('/').next().unwrap_or_default();
    options(program).is_some() && !shell::is_shell(program)
}

/// The place of the word among an interpreter's arguments that names the script it runs.
pub(super) fn word_at(argv: &[String]) -> Option<usize> {
    let program = argv.first()?.rsplit('/').next()?;
    let options = options(program)?;
    let mut words = argv.iter().map(String::as_str).enumerate().skip(1);
    while let Some((at, word)) = words.next() {
        if word == "--" {
            return words.next().map(|(at, _)| at);
        }
        let Some(flags) = word.strip_prefix(['-', '+']).filter(|flags| !flags.is_empty()) else {
            return Some(at).filter(|_| !["-", ""].contains(&word));
        };
        if flags.starts_with('-') {
            continue; // a long one; none of these takes a word of its own
        }
        if options.text.iter().any(|flag| flags.contains(flag)) {
            return None;
        }
        if options.takes.iter().any(|flag| flags.ends_with(*flag)) {
            words.next();
        }
    }
    None
}

/// The script that those words have an interpreter run; an error where it is not there.
pub(super) fn of(argv: &[String], path: &str, cwd: &Path) -> Result<Option<PathBuf>, FreezeError> {
    let Some(word) = word_at(argv).map(|at| &argv[at]) else { return Ok(None) };
    let file = cwd.join(word);
    if file.is_file() {
        return Ok(Some(file.canonicalize().unwrap_or(file)));
    }
    // A folder or an archive may be a program to some of them, and some look on PATH as well.
    if file.exists() {
        return Ok(None);
    }
    if let (false, Ok(found)) = (word.contains('/'), lookup::find(word, path, cwd)) {
        return Ok(Some(found.canonicalize().unwrap_or(found)));
    }
    Err(FreezeError::NoScript { word: word.to_owned(), path: file, cwd: cwd.to_owned() })
}

/// Words of a text that only a shell can follow: after them nothing certain can be said of what it runs.
const UNCERTAIN: &[&str] =
    &["cd", "pushd", "alias", "eval", "source", ".", "function", "hash", "which", "type", "unset"];
/// What every shell runs itself.
const BUILTIN: &[&str] = &[
    ":", "[", "[[", "echo", "printf", "test", "true", "false", "exit", "export", "set", "shift", "read", "return",
    "trap", "umask", "wait", "local", "declare", "readonly", "break", "continue", "kill", "pwd", "ulimit", "let",
    "shopt", "times", "jobs", "fg", "bg",
];

/// Whether the programs that a text for a shell names could run now. What it names by a path that leads nowhere is given back:
/// something before it may make that. What is in no folder of its PATH, or may not be executed, is an error.
pub(super) fn absent(command: &CommandSeen) -> Result<Vec<String>, FreezeError> {
    let program = command.argv.first().and_then(|word| word.rsplit('/').next()).unwrap_or_default();
    let Some(text) = shell::inner(program, command.argv.iter().skip(1).map(String::as_str)) else { return Ok(vec![]) };
    let (path, cwd) = (command.env.get("PATH").map_or("", String::as_str), Path::new(&command.cwd));
    let mut absent = vec![];
    if text.contains("PATH=") || text.contains("()") || text.contains("command -v") {
        return Ok(absent);
    }
    for simple in shell::commands(text) {
        let Some(first) = simple.words.first() else { continue };
        let word = first.text.as_str();
        if UNCERTAIN.contains(&word) {
            break;
        }
        // Whoever writes `a || b` reckons with `a` not being there.
        let either = simple.maybe || simple.before == Join::Or || simple.after == Join::Or;
        if first.filled || first.splits || either || word.is_empty() || BUILTIN.contains(&word) {
            continue;
        }
        match lookup::find(word, path, cwd) {
            Ok(_) => {}
            Err(FreezeError::NoSuchFile { .. }) => absent.push(word.to_owned()),
            Err(error) => return Err(error),
        }
        if simple.words.iter().any(|word| word.filled || word.splits) {
            continue;
        }
        let words: Vec<_> = simple.words.iter().map(|word| word.text.clone()).collect();
        if let Err(FreezeError::NoScript { word, .. }) = of(&words, path, cwd) {
            absent.push(word);
        }
    }
    absent.dedup();
    Ok(absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_among_an_interpreter_s_words_is_found() {
        for (line, script) in [
            ("sh do.sh a", Some("do.sh")),
            ("/bin/bash -eu -o pipefail do.sh", Some("do.sh")),
            ("bash -euo pipefail do.sh", Some("do.sh")),
            ("bash --norc do.sh", Some("do.sh")),
            ("sh -- do.sh", Some("do.sh")),
            ("sh -c do.sh", None),
            ("sh -s do.sh", None),
            ("python3.11 -u -W error do.py", Some("do.py")),
            ("python3 -m http.server", None),
            ("perl -ne print x", None),
            ("ruby -I lib do.rb", Some("do.rb")),
            ("node do.js", Some("do.js")),
            ("cp old.txt page.txt", None),
            ("pythonic do.py", None),
            ("sh", None),
        ] {
            let argv: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(word_at(&argv).map(|at| argv[at].as_str()), script, "{line}");
        }
    }
}

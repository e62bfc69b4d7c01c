//! How a script reaches its interpreter: from a copy that nobody can change, wherever the script cannot tell; else by its name,
//! and then people are told why.
//!
//! A shell reads a script while it runs it. What the copy must not change is what scripts build on: `$0`, and so the folder
//! of the script and what it sources from there, its arguments, its lines' numbers, `exit`, `return`, traps, and
//! `exec "$0"`. Two ways do that. Most shells keep their `$0` and their arguments in a file that they read with `.`, so
//! `sh -c '. /proc/self/fd/N' NAME ARGUMENTS` is the script. In bash such a file may `return`, which a script may not;
//! but since 5.0 it can be told its name: the copy begins with that, on the first line. What bash cannot be told is
//! `BASH_SOURCE`; a script that asks for it, or that reads in others which may ask, stays a file. Other interpreters read
//! a script whole before they run any of it.

use super::files::{self, SEALED_MAX};
use super::lookup::{self, Kind};
use super::script;
use super::spawn::Program;
use super::starting::StartError;
use crate::event::{CommandSeen, FileSeen, ScriptSeen};
use crate::hash::Hash;
use crate::name::escaped;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Shells that keep `$0` and the arguments in what they read with `.`.
const BY_DOT: &[&str] = &["dash", "ash", "busybox", "mksh", "lksh", "ksh93"];
/// The letters of options that change nothing in how a script is read.
const LETTERS: &str = "eufvxCabmEPpo";

/// A script, and what its interpreter is given with it.
struct Given<'a> {
    interpreter: &'a FileSeen,
    script: &'a FileSeen,
    /// The interpreter's name and options.
    words: Vec<String>,
    /// What the script knows as `$0`.
    name: String,
    /// Its arguments.
    rest: &'a [String],
}

enum Way {
    Dot,
    Told,
}

/// The script of a command: the file that is executed (`kind` is what its first line says), or the one that its interpreter
/// is given.
fn given<'a>(seen: &'a CommandSeen, found: &Path, kind: &Kind) -> Option<Given<'a>> {
    if let (Some(interpreter), Kind::Script(word, rest)) = (&seen.interpreter, kind) {
        // What stands behind the interpreter in the #! line is one argument; `env` would only look up its one word.
        let words = match word.ends_with("/env") {
            true => vec![rest.clone()],
            false => [word, rest].into_iter().filter(|word| !word.is_empty()).cloned().collect(),
        };
        let name = found.to_string_lossy().into_owned();
        return Some(Given {
            interpreter,
            script: &seen.exe,
            words,
            name,
            rest: seen.argv.get(1..).unwrap_or_default(),
        });
    }
    let at = script::word_at(&seen.argv)?;
    let file = Path::new(&seen.cwd).join(&seen.argv[at]).canonicalize().ok()?;
    let script = seen.files.iter().find(|seen| Path::new(&seen.path) == file)?;
    let words = seen.argv[..at].to_vec();
    Some(Given { interpreter: &seen.exe, script, words, name: seen.argv[at].clone(), rest: &seen.argv[at + 1..] })
}

/// How the script of what was just frozen will reach its interpreter; nothing where it has none, or where the plan has it
/// run under the name of its copy.
pub(super) fn seen(seen: &CommandSeen, found: &Path, wanted: Option<bool>) -> io::Result<Option<ScriptSeen>> {
    let kind = lookup::kind(found)?;
    let Some(given) = given(seen, found, &kind).filter(|_| !seen.sealed) else { return Ok(None) };
    let text = std::fs::read(&given.script.path)?;
    if Hash::of(&text) != given.script.sha256 {
        return Err(io::Error::other("it was written to while it was read; wait until nobody does"));
    }
    let text = String::from_utf8_lossy(&text);
    if script::reads_whole(&given.interpreter.path) {
        return Ok(Some(ScriptSeen::Whole));
    }
    Ok(Some(match way(&given, &text, wanted) {
        Ok(_) => ScriptSeen::Copied { names_itself: names_itself(&text) },
        Err(why) => ScriptSeen::AsItGoes { why },
    }))
}

/// How it can be run from a copy without being able to tell, or why it cannot.
fn way(given: &Given<'_>, text: &str, wanted: Option<bool>) -> Result<Way, String> {
    let program = given.interpreter.path.rsplit('/').next().unwrap_or_default();
    if wanted == Some(false) {
        return Err("sealed = false".to_owned());
    }
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return Err("copies that nobody can change need Linux".to_owned());
    }
    if given.script.size > SEALED_MAX {
        return Err("it is too large for a copy in memory".to_owned());
    }
    if given.name.contains('\n') {
        return Err("its name has two lines".to_owned());
    }
    if let Some(word) = given.words.iter().skip(1).find(|word| !is_plain(word)) {
        return Err(format!("{program} is given {}", escaped(word)));
    }
    if BY_DOT.contains(&program) {
        return Ok(Way::Dot);
    }
    if program != "bash" {
        return Err(format!("{program} cannot be told the name of a copy"));
    }
    let knows = std::fs::read(&given.interpreter.path).is_ok_and(|bytes| holds(&bytes, b"BASH_ARGV0"));
    if !knows {
        return Err("this bash is older than 5.0, and cannot be told the name of a copy".to_owned());
    }
    if text.contains("BASH_SOURCE") {
        return Err("it asks for BASH_SOURCE, which bash cannot be told for a copy".to_owned());
    }
    let first = |line: &str| line.split(['&', '|', ';', '{', '(']).any(|part| reads_in(part.trim_start()));
    if text.lines().any(first) {
        return Err("it reads in other files, which may ask for BASH_SOURCE, and bash cannot be told that for a copy"
            .to_owned());
    }
    Ok(Way::Told)
}

/// An option that changes nothing in how a script is read, or what follows `-o`.
fn is_plain(word: &str) -> bool {
    let letters = word.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty());
    let plain = letters.is_some_and(|letters| letters.chars().all(|letter| LETTERS.contains(letter)));
    plain || ["--", "pipefail", "errexit", "nounset", "xtrace", "--norc", "--noprofile", "--posix"].contains(&word)
}

/// Whether that part of a line may be a command that reads in another file.
fn reads_in(part: &str) -> bool {
    let words = ["then ", "do ", "else ", "builtin ", "command ", "! "];
    let part = words.iter().fold(part, |part, word| part.strip_prefix(word).unwrap_or(part).trim_start());
    [". ", ".\t", "source ", "source\t"].iter().any(|word| part.starts_with(word))
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// Whether a script may do something with its own file by its name, and not only ask for its folder or its last word.
fn names_itself(text: &str) -> bool {
    const HARMLESS: &[&str] = &[
        "dirname \"$0\"",
        "dirname -- \"$0\"",
        "dirname $0",
        "dirname \"${0}\"",
        "basename \"$0\"",
        "basename -- \"$0\"",
        "basename $0",
        "${0%/*}",
        "${0##*/}",
    ];
    let rest = HARMLESS.iter().fold(text.to_owned(), |text, harmless| text.replace(harmless, ""));
    rest.contains("$0") || rest.contains("${0")
}

/// What is executed of a command whose script runs from a copy under its own name.
pub(super) fn program(
    covers: &CommandSeen,
    found: &Path,
    copied: impl Fn(&FileSeen) -> Result<File, StartError>,
    unchanged: impl Fn(&FileSeen) -> Result<File, StartError>,
) -> Result<(Program, Vec<String>, Option<File>), StartError> {
    let changed = |what: String| StartError::Changed { what };
    let error = |error: io::Error| changed(format!("{}: {error}", escaped(&found.to_string_lossy())));
    // Of the copy, not of the file: what is looked at is what runs.
    let own = covers.interpreter.is_some().then(|| copied(&covers.exe)).transpose()?;
    let kind = own.as_ref().map_or(Ok(Kind::Binary), lookup::kind_of).map_err(error)?;
    let gone = || changed(format!("{} is no script any more", escaped(&found.to_string_lossy())));
    let given = given(covers, found, &kind).ok_or_else(gone)?;
    let mut copy = own.map_or_else(|| copied(given.script), Ok)?;
    let mut text = vec![];
    File::open(files::inherited(&copy)).and_then(|mut read| read.read_to_end(&mut text)).map_err(error)?;
    let way = way(&given, &String::from_utf8_lossy(&text), None).map_err(changed)?;
    let interpreter = unchanged(given.interpreter)?;
    let mut argv = given.words;
    match way {
        Way::Dot => {
            argv.retain(|word| word != "--");
            argv.extend(["-c".to_owned(), format!(". {}", files::inherited(&copy)), given.name]);
        }
        Way::Told => {
            let told = format!("BASH_ARGV0='{}'; ", given.name.replace('\'', "'\\''"));
            copy = files::sealed_copy(told.as_bytes().chain(&*text)).map_err(error)?;
            argv.push(files::inherited(&copy));
        }
    }
    argv.extend(given.rest.iter().cloned());
    Ok((Program::Open(interpreter), argv, Some(copy)))
}

/// The same for a script that an interpreter is given, and that runs under the name of its copy.
pub(super) fn under_its_copy_s_name(
    covers: &CommandSeen,
    copied: impl Fn(&FileSeen) -> Result<File, StartError>,
    unchanged: impl Fn(&FileSeen) -> Result<File, StartError>,
) -> Result<(Program, Vec<String>, Option<File>), StartError> {
    let none = || StartError::Changed { what: "it is given no script any more".to_owned() };
    let given = given(covers, &PathBuf::new(), &Kind::Binary).ok_or_else(none)?;
    let (copy, program) = (copied(given.script)?, unchanged(given.interpreter)?);
    let mut argv = given.words;
    argv.push(files::inherited(&copy));
    argv.extend(given.rest.iter().cloned());
    Ok((Program::Open(program), argv, Some(copy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_asks_for_its_folder_does_nothing_with_its_file() {
        for text in [
            "cd \"$(dirname \"$0\")\"",
            "cd \"$(dirname -- \"$0\")\" && pwd",
            "here=${0%/*}",
            "echo \"${0##*/}: done\"",
            "echo $1 ${10}",
        ] {
            assert!(!names_itself(text), "{text}");
        }
        for text in
            ["exec \"$0\" again", "tail -n +3 \"$0\" | tar x", "grep '^#' ${0}", "dirname \"$(readlink -f \"$0\")\""]
        {
            assert!(names_itself(text), "{text}");
        }
    }

    #[test]
    fn what_reads_in_another_file_is_seen() {
        let sees = |line: &str| line.split(['&', '|', ';', '{', '(']).any(|part| reads_in(part.trim_start()));
        for line in [
            ". ./lib.sh",
            "source lib",
            "  set -e; . lib",
            "[ -e x ] && . x",
            "if a; then . x; fi",
            "f() { source x; }",
        ] {
            assert!(sees(line), "{line}");
        }
        for line in ["./lib.sh", "find . -name x", "echo source of it", "cd ..", "sources x"] {
            assert!(!sees(line), "{line}");
        }
    }
}

//! A script that runs from a copy cannot tell, and nothing that is written into its file reaches its interpreter.

use super::run::Watched;
use super::*;
use crate::event::RunEnd;
use crate::event::ScriptSeen;
use crate::exec::open;

/// What scripts build on. `SHELL` is put in the place of the shell.
const SCRIPT: &str = r#"#!SHELL -u
set -e
echo "0=$0 args=$* n=$#"
. "$(dirname "$0")/lib.sh"; from_lib zero
f() { echo "in f 0=$0 $1"; }
f one
cat <<HERE
here $0 $((1 + 1))
HERE
( return 0 2>/dev/null ) && echo "return is taken" || echo "return is refused"
trap 'echo trapped $?' EXIT
cd "$(dirname "$0")"; pwd
shift; echo "now $*"
case "${1:-}" in
  again) shift; exec "$0" a "$@";;
  three) exit 3;;
  input) read line; echo "read $line"; exit 0;;
  unset) echo "$not_set_anywhere";;
esac
false
echo not reached
"#;

/// The same without what a bash that runs a copy cannot be told: it reads in no other file.
fn script(shell: &str) -> String {
    let text = SCRIPT.replace("SHELL", shell);
    match shell.ends_with("bash") {
        true => text.replace(". \"$(dirname \"$0\")/lib.sh\"; from_lib zero", "echo \"line $LINENO of $BASH_LINENO\""),
        false => text,
    }
}

/// Shells that are here, by their paths as `#!` lines have them.
fn shells() -> Vec<String> {
    let names = ["sh", "dash", "bash", "ash", "mksh", "ksh93"];
    let folders = ["/bin", "/usr/bin", "/usr/local/bin"];
    let all = names.into_iter().filter_map(|name| {
        folders.iter().map(|folder| format!("{folder}/{name}")).find(|path| Path::new(path).exists())
    });
    all.collect()
}

/// A shell that complains of a line calls the copy by its descriptor: that is all that differs.
fn without_complaints(text: &str) -> Vec<&str> {
    let complaints = ["not_set_anywhere", "not found", "No such file"];
    text.lines().filter(|line| !complaints.iter().any(|complaint| line.contains(complaint))).collect()
}

#[tokio::test]
async fn a_script_cannot_tell_that_it_runs_from_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    write(&dir, "sub/lib.sh", "from_lib() { echo \"lib from $1\"; }\n", 0o644);
    let mut compared = 0;
    for shell in shells() {
        write(&dir, "sub/it's do.sh", script(&shell), 0o755);
        for words in [&["./sub/it's do.sh"][..], &[&shell, "-u", "sub/it's do.sh"], &[&shell, "--", "sub/it's do.sh"]] {
            for rest in [&["a", "b c"][..], &["a", "again", "x"], &["a", "three"], &["a", "input"], &["a", "unset"]] {
                let all: Vec<&str> = words.iter().chain(rest).copied().collect();
                let mut by_name = command(Io::Pipe, &all);
                by_name.stdin = Some(Stdin::Text(template("fed\n")));
                by_name.sealed = Some(false);
                let from_copy = Command { sealed: None, ..by_name.clone() };
                let covers = frozen(&from_copy, &dir).unwrap();
                // `exec "$0"` is in it.
                assert_eq!(covers.script, Some(ScriptSeen::Copied { names_itself: true }), "{all:?}");
                let seen = frozen(&by_name, &dir).unwrap().script;
                assert!(matches!(seen, Some(ScriptSeen::AsItGoes { why }) if why == "sealed = false"));
                let (one, other) = (ended(&by_name, &dir).await, ended(&from_copy, &dir).await);
                assert_eq!(without_complaints(&one.0), without_complaints(&other.0), "{all:?}");
                assert_eq!(one.1, other.1, "{all:?}: {}", one.0);
                assert!(one.0.contains("0=") && one.0.contains("it's do.sh"), "{all:?}: {}", one.0);
                compared += 1;
            }
        }
    }
    assert!(compared >= 15, "{compared}");
}

async fn ended(command: &Command, dir: &Path) -> (String, RunEnd) {
    let covers = frozen(command, dir).unwrap();
    let params = params();
    Watched::opened(open(&covers, command, &params).unwrap()).unwrap().end().await
}

#[tokio::test]
async fn what_is_written_into_a_running_script_reaches_no_shell() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    // Longer than what a shell reads at once, in the middle of which it waits.
    let filler = "# nothing to see on this line, and it is only there to be long\n".repeat(500);
    for shell in shells() {
        let text = format!("#!{shell}\necho begun\nwhile [ ! -e go ]; do sleep 0.02; done\n{filler}echo checked\n");
        for words in [&["./do.sh"][..], &[&shell, "do.sh"]] {
            let _ = std::fs::remove_file(dir.join("go"));
            write(&dir, "do.sh", &text, 0o755);
            let command = command(Io::Pipe, words);
            let covers = frozen(&command, &dir).unwrap();
            assert_eq!(covers.script, Some(ScriptSeen::Copied { names_itself: false }), "{shell}");
            let params = params();
            let mut running = Watched::opened(open(&covers, &command, &params).unwrap()).unwrap();
            running.until("begun").await;
            std::fs::write(dir.join("do.sh"), text.replace("echo checked", "echo swapped")).unwrap();
            std::fs::write(dir.join("go"), "").unwrap();
            assert_eq!(running.end().await, ("begun\nchecked\n".to_owned(), RunEnd::Exited { code: 0 }), "{shell}");
        }
    }
}

#[test]
fn where_there_is_no_copy_the_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let bash = shells().into_iter().find(|shell| shell.ends_with("/bash"));
    let told = |text: &str, words: &[&str]| {
        write(dir, "do.sh", text, 0o755);
        let mut command = command(Io::Pipe, words);
        command.env.insert("PATH".into(), template("/usr/local/bin:/usr/bin:/bin"));
        frozen(&command, dir).unwrap().script.map(|script| script.words()).unwrap_or_default()
    };
    let own: &[&str] = &["./do.sh"];
    for (text, says) in [
        ("#!/usr/bin/awk -f\n", "cannot be told the name of a copy"),
        ("#!/bin/sh -s\n", "is given -s"),
        ("#!/bin/sh\nexec \"$0\"\n", "names itself ($0)"),
        ("#!/bin/sh\n", "its name and its folder are those of the file"),
    ] {
        assert!(told(text, own).contains(says), "{text}: {}", told(text, own));
    }
    if let Some(bash) = bash {
        for (text, says) in [
            ("echo ${BASH_SOURCE[0]}\n", "BASH_SOURCE, which bash cannot be told"),
            ("[ -e x ] && source ./lib\n", "reads in other files"),
            ("echo fine\n", "copy in memory"),
        ] {
            let told = told(&format!("#!{bash}\n{text}"), own);
            assert!(told.contains(says), "{text}: {told}");
        }
    }
    // What is read whole needs no copy, and what is no script is none.
    for program in ["python3", "perl", "ruby", "node"] {
        if crate::exec::lookup::find(program, "/usr/local/bin:/usr/bin:/bin", dir).is_ok() {
            assert!(told("", &[program, "do.sh"]).contains("read whole"), "{program}");
        }
    }
    assert_eq!(told("", &["sh", "-c", "true"]), "");
    assert_eq!(told("", &["cat", "do.sh"]), "");
}

#[tokio::test]
async fn a_script_that_an_interpreter_is_given_can_run_under_its_copy_s_name() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    write(&dir, "do.sh", "cat \"$0\" | wc -l; echo $1; (echo evil >> \"$0\") 2>/dev/null || echo sealed\n", 0o644);
    let command = Command { sealed: Some(true), ..command(Io::Pipe, &["sh", "-e", "do.sh", "a b"]) };
    let covers = frozen(&command, &dir).unwrap();
    assert!(covers.sealed && covers.script.is_none());
    let params = params();
    let opened = open(&covers, &command, &params).unwrap();
    write(&dir, "do.sh", "echo evil\n", 0o644);
    let end = Watched::opened(opened).unwrap().end().await;
    assert_eq!(end, ("1\na b\nsealed\n".to_owned(), RunEnd::Exited { code: 0 }));
}

//! Names that lead elsewhere between the last look and the run: what was hashed runs, or nothing does.

use super::run::Watched;
use super::*;
use crate::event::RunEnd;
use crate::exec::{StartError, open};
use std::path::PathBuf;

/// Puts another file under a name, as somebody who wants it to go unnoticed would.
fn swap(folder: &Path, name: &str, bytes: impl AsRef<[u8]>, mode: u32) {
    write(folder, "swapped.tmp", bytes, mode);
    std::fs::rename(folder.join("swapped.tmp"), folder.join(name)).unwrap();
}

/// A copy of the shell: a binary of our own that can be swapped.
fn shell_at(folder: &Path, name: &str) -> PathBuf {
    std::fs::copy(Path::new("/bin/sh").canonicalize().unwrap(), folder.join(name)).unwrap();
    folder.join(name)
}

/// Opens the command, does that, and starts it.
async fn between(command: &Command, folder: &Path, change: impl FnOnce()) -> Result<(String, RunEnd), StartError> {
    let covers = frozen(command, folder).unwrap();
    let params = params();
    let opened = open(&covers, command, &params)?;
    change();
    Ok(Watched::opened(opened)?.end().await)
}

/// What was checked is set in the child: whatever became of the hub's own in the moment between is of no account.
#[tokio::test]
async fn umask_and_limits_are_those_that_were_checked() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    let command = shell(Io::Pipe, "umask; ulimit -Sn");
    let mut covers = frozen(&command, &dir).unwrap();
    let checked = covers.inherited.take().unwrap();
    let params = params();
    let mut opened = open(&covers, &command, &params).unwrap();
    let mut less = checked.clone();
    less.umask = "017".into();
    less.limits.entry("nofile".into()).and_modify(|limit| limit.soft = Some(99));
    opened.image.given = crate::exec::inherited::given(&less);
    let (text, end) = Watched::opened(opened).unwrap().end().await;
    assert_eq!((text.as_str(), end), ("0017\n99\n", DONE));
    // And nothing is opened for a command that was checked with others.
    covers.inherited = Some(less);
    let what = open(&covers, &command, &params).map(|_| ()).unwrap_err().to_string();
    assert!(what.starts_with(&format!("umask: 017 is now {}", checked.umask)), "{what}");
}

const DONE: RunEnd = RunEnd::Exited { code: 0 };

#[tokio::test]
async fn a_binary_runs_from_the_descriptor_it_was_hashed_from() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    let evil = std::fs::read("/bin/false").unwrap();
    for io in [Io::Pty, Io::Pipe] {
        shell_at(&dir, "tool");
        let command = command(io, &["./tool", "-c", "echo $0; cat /proc/$$/environ | tr '\\0' '\\n' | grep -c ="]);
        let (text, end) = between(&command, &dir, || swap(&dir, "tool", &evil, 0o755)).await.unwrap();
        assert_eq!(
            (text.as_str(), end),
            ("./tool\n5\n", DONE),
            "the name it was given, and nothing in its environment but five"
        );
        // Gone altogether: the same.
        shell_at(&dir, "tool");
        let (text, end) = between(&command, &dir, || std::fs::remove_file(dir.join("tool")).unwrap()).await.unwrap();
        assert_eq!((text.as_str(), end), ("./tool\n5\n", DONE));
    }
}

#[tokio::test]
async fn a_working_folder_is_the_one_that_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    write(&dir, "work/which", "the checked one\n", 0o644);
    write(&dir, "other/which", "another one\n", 0o644);
    let command = Command { cwd: Some(template("work")), ..command(Io::Pipe, &["cat", "which"]) };
    let exchange = || {
        std::fs::rename(dir.join("work"), dir.join("moved")).unwrap();
        std::fs::rename(dir.join("other"), dir.join("work")).unwrap();
    };
    let covers = frozen(&command, &dir).unwrap();
    let (text, end) = between(&command, &dir, exchange).await.unwrap();
    assert_eq!((text.as_str(), end), ("the checked one\n", DONE));
    // Exchanged before the last look it is noticed, although its path is the same.
    let what = open(&covers, &command, &params()).map(|_| ()).unwrap_err().to_string();
    assert!(what.contains("work is another folder"), "{what}");
    assert!(covers.difference(&frozen(&command, &dir).unwrap()).unwrap().contains("another folder of that name"));
    // So is one that was removed and made again.
    let covers = frozen(&command, &dir).unwrap();
    std::fs::remove_dir_all(dir.join("work")).unwrap();
    write(&dir, "work/which", "another one\n", 0o644);
    let what = open(&covers, &command, &params()).map(|_| ()).unwrap_err().to_string();
    assert!(what.contains("work is another folder"), "{what}");
}

#[tokio::test]
async fn a_sealed_script_runs_from_its_copy_and_its_interpreter_from_its_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    let sh = shell_at(&dir, "mysh");
    for (first, options) in [(format!("#!{} -e", sh.display()), "eBhs"), ("#!/usr/bin/env mysh".to_owned(), "hB")] {
        shell_at(&dir, "mysh");
        let _ = options;
        write(
            &dir,
            "script",
            format!("{first}\necho checked $1; cat $0 | wc -l; (echo evil >> $0) 2>/dev/null || echo sealed\n"),
            0o755,
        );
        let mut command = Command { sealed: Some(true), ..command(Io::Pipe, &["./script", "a b"]) };
        command.env.insert("PATH".into(), template(&format!("{}:/usr/bin:/bin", dir.display())));
        let (text, end) = between(&command, &dir, || {
            swap(&dir, "script", "#!/bin/sh\necho evil\n", 0o755);
            swap(&dir, "mysh", "#!/bin/sh\necho evil\n", 0o755);
        })
        .await
        .unwrap();
        assert_eq!((text.as_str(), end), ("checked a b\n2\nsealed\n", DONE), "{first}");
    }
    // Options of the first line arrive: -e ends it at the first failure.
    write(&dir, "script", "#!/bin/sh -e\nfalse\necho went on\n", 0o755);
    let command = Command { sealed: Some(true), ..command(Io::Pipe, &["./script"]) };
    assert_eq!(between(&command, &dir, || {}).await.unwrap(), (String::new(), RunEnd::Exited { code: 1 }));
}

#[tokio::test]
async fn a_file_on_standard_input_is_a_copy_of_what_was_hashed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    for io in [Io::Pty, Io::Pipe] {
        write(&dir, "drop.sql", "drop index old;\n", 0o644);
        let mut command = shell(io, "cat; test -t 0 || echo no terminal; (: </dev/tty) 2>/dev/null && echo tty; true");
        command.stdin = Some(Stdin::File(template("drop.sql")));
        let covers = frozen(&command, &dir).unwrap();
        assert_eq!(covers.stdin_file.as_ref().unwrap().text.as_deref(), Some("drop index old;\n"));
        // Written into, not only exchanged: the file itself has other bytes then.
        let write_into = || std::fs::write(dir.join("drop.sql"), "drop index new;\n").unwrap();
        let (text, end) = between(&command, &dir, write_into).await.unwrap();
        let tty = if io == Io::Pty { "tty\n" } else { "" };
        assert_eq!((text, end), (format!("drop index old;\nno terminal\n{tty}"), DONE));
        let what = open(&covers, &command, &params()).map(|_| ()).unwrap_err().to_string();
        assert!(what.contains("drop.sql changed"), "{what}");
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_stops_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    let link = |to: &str, name: &str| {
        let _ = std::fs::remove_file(dir.join(name));
        std::os::unix::fs::symlink(to, dir.join(name)).unwrap();
    };
    write(&dir, "a", "1", 0o644);
    write(&dir, "b", "2", 0o644);
    shell_at(&dir, "sh-a");
    std::fs::copy("/bin/true", dir.join("sh-b")).unwrap();
    write(&dir, "script", format!("#!{}/sh\n", dir.display()), 0o755);
    write(&dir, "x/tool", "#!/bin/sh\n", 0o755);
    write(&dir, "early/empty", "", 0o644);
    let mut command = command(Io::Pipe, &["./script", "arg"]);
    command.files = vec![template("named")];
    let mut by_path = super::command(Io::Pipe, &["tool"]);
    by_path.env.insert("PATH".into(), template("early:x"));
    for (wanted, names) in [("/b", "named"), ("/b", "arg"), ("sh-b", "sh")] {
        link("a", "named");
        link("a", "arg");
        link("sh-a", "sh");
        let covers = frozen(&command, &dir).unwrap();
        assert!(open(&covers, &command, &params()).is_ok());
        link(wanted.trim_start_matches('/'), names);
        let what = open(&covers, &command, &params()).map(|_| ()).unwrap_err();
        assert!(matches!(what, StartError::Changed { .. }) && what.to_string().contains(wanted), "{names}: {what}");
    }
    let covers = frozen(&by_path, &dir).unwrap();
    write(&dir, "early/tool", "#!/bin/sh\necho evil\n", 0o755);
    let what = open(&covers, &by_path, &params()).map(|_| ()).unwrap_err().to_string();
    assert!(what.contains("x/tool, and is now") && what.contains("early/tool"), "{what}");
}

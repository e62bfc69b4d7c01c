//! What is frozen, and what is refused.

use super::*;
use crate::exec::freeze::base_environment;

fn refused(command: &Command, folder: &Path) -> String {
    frozen(command, folder).map(|covers| covers.exe.path).unwrap_err().to_string()
}

#[test]
fn everything_that_decides_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    write(&dir, "work/bin/tool", "#!/usr/bin/env sh\necho\n", 0o755);
    write(&dir, "work/drop-old.sql", "drop index old;\n", 0o644);
    write(&dir, "work/data", "1", 0o644);
    write(&dir, "outside", "2", 0o644);
    let mut command =
        command(Io::Pipe, &["tool", "--name={{ index }}", "--data=data", "drop-old.sql", "../outside", "work"]);
    command.cwd = Some(template("work"));
    command.env.insert("PATH".into(), template("bin:/usr/bin:/bin"));
    command.env.insert("INDEX".into(), template("{{ index }}"));
    command.files = vec![template("drop-{{ index }}.sql")];
    command.stdin = Some(Stdin::Text(template("yes\n")));
    command.timeout = Some(Duration::from_secs(2));
    let covers = frozen(&command, &dir).unwrap();
    assert_eq!(covers.argv, ["tool", "--name=old", "--data=data", "drop-old.sql", "../outside", "work"]);
    assert_eq!(Path::new(&covers.cwd), dir.join("work"));
    assert_eq!(Path::new(&covers.exe.path), dir.join("work/bin/tool"));
    assert_eq!(covers.exe.sha256, Hash::of(b"#!/usr/bin/env sh\necho\n"));
    assert_eq!(Path::new(&covers.interpreter.unwrap().path), Path::new("/bin/sh").canonicalize().unwrap());
    let file = |name: &str| covers.files.iter().find(|file| file.path.ends_with(name));
    assert_eq!(file("/drop-old.sql").unwrap().text.as_deref(), Some("drop index old;\n"));
    assert_eq!((file("/data").unwrap().text.as_deref(), file("/outside")), (None, None));
    assert!(covers.files.len() == 3, "env itself is the third: {:?}", covers.files);
    assert_eq!(covers.stdin.as_deref(), Some("yes\n"));
    assert_eq!((covers.timeout_ms, covers.io.as_str(), covers.env["TERM"].as_str()), (Some(2000), "pipe", "dumb"));
    assert_eq!(whole(&command, &dir).unwrap().words, BTreeMap::from([("touches".to_owned(), "index old".to_owned())]));
    let names: Vec<_> = covers.env.keys().map(String::as_str).collect();
    assert_eq!(names, ["HOME", "INDEX", "LANG", "PATH", "TERM", "USER"]);
    assert!(covers.user.starts_with(&format!("{}:", nix::unistd::geteuid())), "{}", covers.user);
}

#[test]
fn a_change_of_anything_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    write(dir, "tool", "#!./sh\n", 0o755);
    write(dir, "arg", "1", 0o644);
    write(dir, "named", "1", 0o644);
    std::fs::copy("/bin/sh", dir.join("sh")).unwrap();
    let command = Command { files: vec![template("named")], ..command(Io::Pipe, &["./tool", "arg"]) };
    let before = frozen(&command, dir).unwrap();
    assert_eq!(before.difference(&frozen(&command, dir).unwrap()), None);
    let other = std::fs::read("/bin/cat").unwrap();
    let changes: [(&str, &[u8], u32, &str); 4] = [
        ("arg", b"2", 0o644, "arg changed"),
        ("named", b"2", 0o644, "named changed"),
        ("sh", &other, 0o755, "interpreter"),
        ("tool", b"#!./sh\n#", 0o755, "tool changed"),
    ];
    for (name, bytes, mode, says) in changes {
        let whole = std::fs::read(dir.join(name)).unwrap();
        write(dir, name, bytes, mode);
        let what = before.difference(&frozen(&command, dir).unwrap()).unwrap_or_default();
        assert!(what.contains(says), "{name}: {what:?}");
        write(dir, name, whole, mode);
    }
    std::fs::remove_file(dir.join("arg")).unwrap();
    assert!(before.difference(&frozen(&command, dir).unwrap()).is_some());
}

#[test]
fn only_five_names_come_from_the_hub_and_each_has_a_default() {
    let hub = |name: &str| (name == "PATH").then(|| "/opt/bin".to_owned());
    let env = base_environment(Io::Pty, hub);
    assert_eq!(env.keys().collect::<Vec<_>>(), ["HOME", "LANG", "PATH", "TERM", "USER"]);
    assert_eq!((env["PATH"].as_str(), env["TERM"].as_str()), ("/opt/bin", "xterm-256color"));
    assert!(env.values().all(|value| !value.is_empty()), "{env:?}");
}

#[test]
fn refusals_name_the_thing_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    write(dir, "plain", "echo\n", 0o644);
    write(dir, "no-first-line", "echo\n", 0o755);
    write(dir, "lost", "#!/nowhere/perl\n", 0o755);
    write(dir, "lost-env", "#!/usr/bin/env no-such-language\n", 0o755);
    write(dir, "loop", "#!./loop\n", 0o755);
    write(dir, "script", "#!/bin/sh\n", 0o755);
    write(dir, "options", "#!/usr/bin/env -S sh -e\n", 0o755);
    write(dir, "twice", format!("#!{}/script\n", dir.display()), 0o755);
    let sealed = |name: &str| Command { sealed: Some(true), ..command(Io::Pipe, &[name]) };
    let true_ = || command(Io::Pipe, &["true"]);
    let cases: Vec<(Command, &[&str])> = vec![
        (command(Io::Pipe, &["no-such-tool"]), &["no-such-tool", "PATH", "install"]),
        (command(Io::Pipe, &["./nothing"]), &["nothing", "does not exist"]),
        (command(Io::Pipe, &["./plain"]), &["plain", "chmod +x"]),
        (command(Io::Pipe, &["./no-first-line"]), &["no-first-line", "#!", "name its interpreter"]),
        (command(Io::Pipe, &["./lost"]), &["lost", "/nowhere/perl"]),
        (command(Io::Pipe, &["./lost-env"]), &["lost-env", "no-such-language"]),
        (command(Io::Pipe, &["./loop"]), &["loop", "deep"]),
        (command(Io::Pipe, &["/"]), &["not a regular file"]),
        (command(Io::Pipe, &[""]), &["no command"]),
        (command(Io::Pipe, &[]), &["no command"]),
        (command(Io::Pipe, &["true", "{{ nope }}"]), &["nope", "--param"]),
        (command(Io::Pipe, &["true", "a\u{202e}b"]), &["argument 1", "\\u{202e}"]),
        (Command { cwd: Some(template("gone")), ..true_() }, &["gone", "create it"]),
        (Command { cwd: Some(template("plain")), ..true_() }, &["plain", "not a folder"]),
        (Command { files: vec![template("gone.sql")], ..true_() }, &["gone.sql", "No such file"]),
        (Command { files: vec![template(".")], ..true_() }, &["not a regular file"]),
        (Command { stdin: Some(Stdin::Text(template("a\u{1b}[2J"))), ..true_() }, &["stdin", "\\u{1b}", "character 2"]),
        (command(Io::Pipe, &["true", "a\u{a0}b"]), &["argument 1", "\\u{a0}", "looks like a blank"]),
        (sealed("true"), &["true", "no script", "leave `sealed` out"]),
        (sealed("./options"), &["options", "env", "name the interpreter itself"]),
        (sealed("./twice"), &["twice", "interpreted by a script"]),
        (
            Command { stdin: Some(Stdin::File(template("gone"))), ..true_() },
            &["standard input", "gone", "No such file"],
        ),
        (Command { stdin: Some(Stdin::File(template("."))), ..true_() }, &["standard input", "not a regular file"]),
        (Command { env: [("A".into(), template("\u{200b}"))].into(), ..true_() }, &["variable A", "\\u{200b}"]),
        (Command { env: [("A=B".into(), template(""))].into(), ..true_() }, &["A=B", "rename"]),
        (
            Command {
                stdin: Some(Stdin::Text(template(&format!("a\n{}\n", "x".repeat(4096))))),
                ..command(Io::Pty, &["true"])
            },
            &["line 2", "4096", "pipe"],
        ),
    ];
    for (command, says) in cases {
        let error = refused(&command, dir);
        assert!(says.iter().all(|text| error.contains(text)), "{:?}: {error}", command.run);
        assert!(!error.chars().any(crate::name::is_hidden), "{error:?}");
    }
    // A line end in a shell text is no hidden character.
    assert!(frozen(&shell(Io::Pipe, "true\n\ttrue"), dir).is_ok());
    let error = refused(&true_(), &dir.join("gone"));
    assert!(error.contains("gone"), "{error}");
}

#[test]
fn a_hidden_character_in_a_file_s_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a\u{200b}b", "", 0o644);
    std::os::unix::fs::symlink("a\u{200b}b", folder.path().join("link")).unwrap();
    let command = Command { files: vec![template("link")], ..command(Io::Pipe, &["true"]) };
    let error = refused(&command, folder.path());
    assert!(error.contains("a\\u{200b}b"), "{error}");
    // In the name of the folder it runs in, or of what is executed, just as well.
    let cwd = folder.path().join("c\u{ad}d");
    write(&cwd, "tool", "#!/bin/sh\n", 0o755);
    let error = refused(&step_in("c\u{ad}d"), folder.path());
    assert!(error.contains("path of the working folder") && error.contains("c\\u{ad}d"), "{error}");
    std::os::unix::fs::symlink(cwd.join("tool"), folder.path().join("tool")).unwrap();
    let error = refused(&super::command(Io::Pipe, &["./tool"]), folder.path());
    assert!(error.contains("path of the program") && error.contains("c\\u{ad}d"), "{error}");
}

fn step_in(cwd: &str) -> Command {
    Command { cwd: Some(template(cwd)), ..command(Io::Pipe, &["true"]) }
}

//! `doctor`: what is in the way of a release is found before it is flown, and comes with what to do.

use crate::support::program::{program, run};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

const HEAD: &str = "crosscheck = 1\nname = \"Look\"\nenvironment = \"test\"\n[crew]\nlead = [\"lead@example.org\"]\nshadow = [\"dba@example.org\"]\n";

struct Said {
    status: Option<i32>,
    text: String,
}
impl Said {
    /// The words behind that verdict and subject, and what to do about it.
    fn line(&self, verdict: &str, what: &str) -> String {
        let begins = |line: &&str| line.strip_prefix(verdict).is_some_and(|rest| rest.trim_start().starts_with(what));
        let mut lines = self.text.lines().skip_while(|line| !begins(line));
        let first = lines.next().unwrap_or_else(|| panic!("no {verdict} for {what}:\n{}", self.text));
        let help = lines.next().filter(|line| line.trim_start().starts_with("do: ")).unwrap_or_default();
        format!("{first} {}", help.trim())
    }
}

fn doctor(folder: &Path, plan: &str, env: &[(&str, &str)], args: &[&str]) -> Said {
    let path = folder.join("plan.toml");
    std::fs::write(&path, format!("{HEAD}{plan}")).expect("the plan is written");
    let mut command = program(folder);
    command.arg("doctor").arg(&path).args(args).stdin(Stdio::null());
    command.envs(env.iter().copied());
    let output = command.output().expect("the program starts");
    Said { status: output.status.code(), text: String::from_utf8_lossy(&output.stdout).into_owned() }
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, text).expect("it is written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn a_machine_alone_is_looked_at() {
    let home = tempfile::tempdir().expect("a folder");
    let (status, out, err) = run(home.path(), &["doctor"]);
    assert_eq!(status, Some(0), "{out}{err}");
    let said = Said { status, text: out };
    assert!(said.line("ok", "transcripts").contains("GB free"), "{}", said.text);
    assert!(said.line("warn", "ssh-agent").contains("do: eval $(ssh-agent)"));
    // Looking leaves nothing behind.
    assert!(!home.path().join("state").exists(), "the folder for transcripts is made by a hub");
    // A folder that cannot be one.
    std::fs::write(home.path().join("file"), "").unwrap();
    let (status, out, _) = run(home.path(), &["doctor", "--transcripts", "/proc/nowhere"]);
    assert_eq!(status, Some(1));
    let said = Said { status, text: out };
    assert!(said.line("FAIL", "transcripts").contains("cannot be written"), "{}", said.text);
}

#[test]
fn what_keeps_a_plan_from_being_flown_here_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let open = port.local_addr().unwrap().port();
    script(&folder.path().join("works"), "#!/bin/sh\ntouch was-run\n");
    // Rules that let one command through, as `sudo -n -l` tells them.
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    script(
        &bin.join("sudo"),
        "#!/bin/sh\n[ \"$*\" = '-n -l -- systemctl stop ingest' ] || { echo 'sudo: a password is required' >&2; exit 1; }\n",
    );
    let plan = format!(
        r#"
[params.index]
pattern = "[a-z]+"
[secrets]
THERE = {{ env = "THERE" }}
GONE = {{ env = "GONE" }}
FILED = {{ file = "token" }}
ASKED = {{ command = ["no-such-store", "show"] }}
[[step]]
id = "fine"
title = "Fine"
run = ["./works"]
env = {{ A = "{{{{ secret.THERE }}}}" }}
[[step]]
id = "missing"
title = "Missing"
run = ["no-such-program"]
[[step]]
id = "later"
title = "Made later"
run = ["./made-later"]
[[step]]
id = "open"
title = "Open"
run = ["./works", "{{{{ index }}}}"]
[[step]]
id = "allowed"
title = "Allowed"
run = ["sudo", "systemctl", "stop", "ingest"]
[[step]]
id = "asks"
title = "Asks"
run = ["sudo", "-u", "postgres", "dropdb", "shop"]
[[watch]]
id = "up"
kind = "tcp"
address = "127.0.0.1:{open}"
[[watch]]
id = "down"
kind = "http"
url = "http://127.0.0.1:1/"
[[watch]]
id = "red"
kind = "file"
path = "*.dump"
"#
    );
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let said = doctor(folder.path(), &plan, &[("PATH", &path), ("THERE", "hunter2")], &[]);
    assert_eq!(said.status, Some(1), "{}", said.text);
    for (verdict, what, words) in [
        ("ok", "step fine", "would run"),
        ("FAIL", "step missing", "install it, or name it by its path"),
        ("warn", "step later", "do: fine where a step before it makes it"),
        ("unknown", "step open", "--param index=VALUE"),
        ("ok", "sudo for allowed", "without a password"),
        ("FAIL", "sudo for asks", "do: add a NOPASSWD rule"),
        ("ok", "secret THERE", "is set"),
        ("FAIL", "secret GONE", "do: set it where the hub is started"),
        ("FAIL", "secret FILED", "cannot be read"),
        ("FAIL", "secret ASKED", "no-such-store"),
        ("ok", "watch up", "says ok"),
        ("FAIL", "watch down", "connection refused by 127.0.0.1:1"),
        ("ok", "watch red", "says fail"),
        ("warn", "allowed_signers", "whoami"),
    ] {
        let line = said.line(verdict, what);
        assert!(line.contains(words), "{what}: {line}");
    }
    assert!(!said.text.contains("hunter2"), "a secret is not shown");
    assert!(!folder.path().join("was-run").exists(), "no step is run");
    // With what it asked for, the open step can be frozen.
    let given = doctor(folder.path(), &plan, &[("PATH", &path)], &["--param", "index=orders"]);
    assert!(given.line("ok", "step open").contains("would run"));
    // Nothing in the way: the answer is yes.
    let yes = doctor(folder.path(), "[[step]]\nid = \"fine\"\ntitle = \"Fine\"\nrun = [\"./works\"]\n", &[], &[]);
    assert_eq!(yes.status, Some(0), "{}", yes.text);
    let broken = doctor(folder.path(), "[[step]]\nid = 3\n", &[], &[]);
    assert_eq!(broken.status, Some(1));
    assert!(broken.line("FAIL", "plan").contains("do: crosscheck lint"), "{}", broken.text);
}

//! Ways in: through a bastion, and what `whoami` says of the key that was used.

use super::support::program::{Stage, program, run};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const PLAN: &str = r#"
crosscheck = 1
name = "Joining"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[[step]]
id = "go"
run = ["true"]
"#;

/// Stands in for the ssh client: notes what it was asked for, and connects its input and output to that place.
const SSH: &str = r#"#!/bin/bash
printf '%s\n' "$@" >"$SSH_LOG"
while [ $# -gt 0 ]; do case "$1" in -W) place=$2; shift 2 ;; *) shift ;; esac; done
exec 3<>"/dev/tcp/${place%:*}/${place##*:}"
cat <&3 &
cat >&3
kill %1
"#;

#[test]
fn through_a_bastion_the_session_is_the_same() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let (tools, log) = (stage.path("tools"), stage.path("ssh.log"));
    std::fs::create_dir(&tools).unwrap();
    std::fs::write(tools.join("ssh"), SSH).unwrap();
    std::fs::set_permissions(tools.join("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
    let link = stage.links()["dba@example.org"].clone();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());

    let mut client = program(&stage.home("dba@example.org"))
        .args(["join", "--plain", "--via", "me@bastion", &link])
        .env("PATH", path)
        .env("SSH_LOG", &log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(b"say over the bastion\n").unwrap();
    let out = client.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && printed.contains("ok say"), "{printed}");
    assert_eq!(stage.events("Noted")[0]["text"], "over the bastion");

    // What ssh is asked for: a plain forward to the hub, and a host that can never be taken for an option.
    let asked = std::fs::read_to_string(&log).unwrap();
    let place = link.strip_prefix("crosscheck://").unwrap().split('/').next().unwrap();
    assert!(asked.ends_with(&format!("-W\n{place}\n--\nme@bastion\n")), "{asked}");
    let (status, _, error) = run(&stage.home("x"), &["join", "--via", "-oProxyCommand=true", &link]);
    assert_eq!(status, Some(2), "{error}");
}

#[test]
fn whoami_names_the_key_that_joined() {
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    let dba = stage.join("dba@example.org");
    let home = stage.home("dba@example.org");
    let (status, by_link, _) = run(&home, &["whoami", &stage.links()["dba@example.org"]]);
    let (_, all, _) = run(&home, &["whoami"]);
    assert_eq!(status, Some(0));
    assert!(by_link.starts_with("dba@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"), "{by_link}");
    assert!(all.starts_with(by_link.trim()), "{all}");
    drop(dba);
}

//! Ways in: through a bastion, and what `whoami` says of the key that was used.

use super::support::program::{Stage, program, run};
use super::support::real::installed;
use super::support::wait::{PATIENCE, poll};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

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

/// Through a real sshd: what is signed for the connection holds at its far end, whoever carries the bytes.
#[test]
fn through_a_real_bastion_with_a_key_that_is_vouched_for() {
    const SSHD: &str = "/usr/sbin/sshd";
    if installed(SSHD, "-V").is_none() {
        return;
    }
    let plan = PLAN.replace("[crew]", "[crew]\nallowed_signers = \"allowed_signers\"");
    let stage = Stage::new(&plan);
    let path = |name: &str| stage.path(name).display().to_string();
    for name in ["host_key", "me", "dba"] {
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(name)]).status();
        assert!(made.unwrap().success());
    }
    let public = |name: &str| std::fs::read_to_string(stage.path(format!("{name}.pub"))).unwrap();
    let lines = format!("lead@example.org {}dba@example.org {}", public("me"), public("dba"));
    std::fs::write(stage.path("allowed_signers"), lines).unwrap();
    let _hub = stage.serve(&[]);

    // A bastion on a port of its own, that knows one key; and a client configured for it.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::copy(stage.path("me.pub"), stage.path("authorized")).unwrap();
    std::fs::write(
        stage.path("sshd_config"),
        format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n",
            path("host_key"),
            path("authorized")
        ),
    )
    .unwrap();
    let _ = std::fs::create_dir_all("/run/sshd"); // wanted where it runs as root
    let mut sshd = Command::new(SSHD);
    sshd.args(["-D", "-e", "-f", &path("sshd_config")]).stderr(std::fs::File::create(stage.path("sshd.log")).unwrap());
    let mut sshd = Ended(sshd.spawn().unwrap());
    poll(PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).expect("the bastion listens");
    std::fs::write(stage.path("known"), format!("[127.0.0.1]:{port} {}", public("host_key"))).unwrap();
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    let tools = stage.path("tools");
    std::fs::create_dir(&tools).unwrap();
    let ssh = format!(
        "#!/bin/sh\nexec /usr/bin/ssh -F /dev/null -o HostName=127.0.0.1 -o Port={port} -o IdentityFile={} -o IdentitiesOnly=yes -o UserKnownHostsFile={} -o StrictHostKeyChecking=yes \"$@\"\n",
        path("me"),
        path("known")
    );
    std::fs::write(tools.join("ssh"), ssh).unwrap();
    std::fs::set_permissions(tools.join("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
    let tools = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());

    let began = std::time::Instant::now();
    let key = path("dba");
    let args = ["--key", &key, "--via", &format!("{user}@127.0.0.1")];
    let dba = stage.join_with("dba@example.org", &[("PATH", &tools)], &args);
    dba.expect("signing with the ssh-ed25519 key in ");
    dba.expect("joined session");
    println!("from the link to the session, through a bastion: {:?}", began.elapsed());
    dba.ok("say over a real bastion");
    assert_eq!(stage.events("Noted")[0]["text"], "over a real bastion");
    assert_eq!(stage.events("Joined")[0]["vouched"], true);
    sshd.0.kill().unwrap();
    let log = std::fs::read_to_string(stage.path("sshd.log")).unwrap();
    assert!(log.contains("Accepted publickey"), "{log}");
}

/// A child that ends with its test.
struct Ended(std::process::Child);
impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! A step on another machine, over a real OpenSSH server on loopback: its host key is pinned, its script goes in on standard
//! input, and a link that is lost is an unknown outcome. Without an OpenSSH server the tests say that they are left out.

use crate::support::program::Stage;
use crate::support::wait::{PATIENCE, poll};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SSHD: &str = "/usr/sbin/sshd";

/// A server of its own, ended with this value.
struct Server {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Server {
    fn start() -> Option<Server> {
        if !Path::new(SSHD).exists() {
            println!("left out: there is no {SSHD}");
            return None;
        }
        let _ = std::fs::create_dir_all("/run/sshd"); // its own folder, where it runs as root; it says so if that is missing
        let folder = tempfile::Builder::new().prefix("crosscheck-sshd-").tempdir().expect("a folder");
        for name in ["host", "other", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.path().join(name));
            assert!(keygen.status().expect("ssh-keygen").success());
        }
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it is bound").port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nLogLevel ERROR\n",
            path("host"),
            path("user.pub"),
        );
        std::fs::write(folder.path().join("config"), config).expect("it is written");
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(folder.path().join("config"))
            .stderr(std::fs::File::create(folder.path().join("log")).expect("a log"))
            .stdin(Stdio::null())
            .spawn()
            .expect("sshd starts");
        let server = Server { child, folder, port };
        let up = poll(PATIENCE, || TcpStream::connect(("127.0.0.1", port)).ok());
        let log = std::fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
        assert!(up.is_some(), "sshd answers: {log}");
        Some(server)
    }

    /// A table for a plan, with that public key as the host's.
    fn table(&self, name: &str, key: &str) -> String {
        let file = self.folder.path().join(format!("{key}.pub"));
        let key = std::fs::read_to_string(file).expect("a public key");
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().expect("a user").name;
        format!(
            "[hosts.{name}]\naddress = \"127.0.0.1\"\nport = {}\nuser = \"{user}\"\nhost_key = \"{}\"\nidentity = \"{}\"\n",
            self.port,
            key.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
            self.folder.path().join("user").display()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plan(server: &Server, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"
crosscheck = 1
name = "Elsewhere"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[params.index]
default = "it's $HOME"
{}{}
[[step]]
id = "words"
class = "critical"
run = ["printf", "<%s>", "{{{{ index }}}}", "a  b"]
env = {{ KEY = "val ue" }}
cwd = "{folder}"
on = "db1"
[[step]]
id = "text"
run = "pwd; printf '%s ' \"${{SSH_CONNECTION:+over ssh}}\"; echo $$ > pid; cat; exit 3"
cwd = "{folder}"
on = "db1"
after = []
[[step]]
id = "cut"
run = "echo $$ > cut; sleep 600; echo never > never"
cwd = "{folder}"
on = "db1"
after = []
[[step]]
id = "wrong"
run = "echo never > never"
cwd = "{folder}"
on = "db2"
after = []
"#,
        server.table("db1", "host"),
        server.table("db2", "other"),
    )
}

#[test]
fn a_step_runs_on_the_host_whose_key_is_pinned_and_a_lost_link_is_unknown() {
    let Some(server) = Server::start() else { return };
    let stage = Stage::new("");
    let there = stage.path("there");
    std::fs::create_dir(&there).expect("a folder");
    std::fs::write(stage.plan(), plan(&server, &there)).expect("it is written");
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));

    // What is checked is the whole of it: the pinned key, and the script.
    lead.ok("arm words");
    dba.expect("KnownHostsCommand=/bin/echo db1 ssh-ed25519 AAAA");
    dba.expect("host: db1, user ");
    dba.expect("umask and limits: as db1 gives them to ");
    dba.expect("export KEY='val ue'");
    dba.ok("check");
    lead.ok("run");
    lead.expect("01 words done: exit 0");
    lead.expect("<it's $HOME><a  b>");

    // Its own exit is its own.
    lead.ok("arm text");
    lead.ok("run");
    lead.expect("02 text failed: exit 3");
    lead.expect("over ssh");
    dba.ok("ack seen");

    // The link dies while it runs.
    lead.ok("arm cut");
    lead.ok("run");
    let pid = poll(PATIENCE, || std::fs::read_to_string(there.join("cut")).ok().filter(|pid| pid.ends_with('\n')));
    let pid: i32 = pid.expect("it runs there").trim().parse().expect("a number");
    let shell = nix::unistd::Pid::from_raw(pid);
    let link = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
    let parent =
        link.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok()).expect("a parent");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(parent), nix::sys::signal::Signal::SIGKILL)
        .expect("the link is cut");
    let told = lead.expect("03 cut is unknown: the link to its host was lost (exit 255)");
    assert!(!told.contains("failed"), "{told}");
    assert!(nix::sys::signal::kill(shell, None).is_ok(), "it runs on over there, which is why nobody can know");
    lead.forget_answers();
    dba.forget_answers();
    assert!(lead.refused("arm wrong").contains("cut is unknown"));
    assert!(dba.refused("ack seen").contains("settle"), "whether its effect is there has to be said");
    dba.ok("settle cut failed looked over there");
    let _ =
        nix::sys::signal::killpg(nix::unistd::getpgid(Some(shell)).unwrap_or(shell), nix::sys::signal::Signal::SIGKILL);

    // Whoever answers with another key gets nothing to run.
    lead.ok("arm wrong");
    lead.ok("run");
    lead.expect("04 wrong is unknown: the link to its host was lost (exit 255)");
    dba.ok("settle wrong failed another machine answered");
    lead.ok("close");
    assert!(hub.wait().success());
    assert!(!there.join("never").exists());
    let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
    assert!(report.contains("the link to its host was lost (exit 255)"), "{report}");
    assert!(report.contains("Host key verification failed") || report.contains("host key"), "{report}");
}

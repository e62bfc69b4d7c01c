//! People sign with the keys they have: three real ones of three types, in agents and in a file, fly a step that needs four
//! eyes; the evidence is checked where this program does not exist. And what joining says where no key will do.

use crate::support::program::{Plain, Stage, run};
use crate::support::real::installed;
use crate::support::wait::{PATIENCE, poll};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SEARCH: &str = "search@example.org";

const PLAN: &str = r#"
crosscheck = 1
name = "Real keys"
environment = "test"
[crew]
allowed_signers = "allowed_signers"
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
[[step]]
id = "drop"
title = "Drop it"
class = "irreversible"
point_of_no_return = true
run = "echo dropped > dropped.txt"
"#;

/// An agent with one key in it. It ends, by its process number, when it goes out of scope.
struct Agent {
    child: Child,
    socket: PathBuf,
}
impl Agent {
    fn start(socket: PathBuf, key: &Path) -> Agent {
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("ssh-agent starts");
        let agent = Agent { child, socket };
        let add = || {
            let mut add = Command::new("ssh-add");
            add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &agent.socket).stderr(Stdio::null());
            add.status().expect("ssh-add starts").success().then_some(())
        };
        poll(PATIENCE, add).expect("the agent takes the key");
        agent
    }
}
impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make(stage: &Stage, name: &str, kind: &[&str]) -> PathBuf {
    let path = stage.path(name);
    let made = Command::new("ssh-keygen").args(["-q", "-N", "", "-C", name, "-f"]).arg(&path).args(kind).status();
    assert!(made.expect("ssh-keygen starts").success());
    path
}

/// Their line of allowed_signers, as `whoami` prints it.
fn line(stage: &Stage, who: &str, key: &Path) -> String {
    let (status, line, _) = run(&stage.home(who), &["whoami", "--as", who, "--key", key.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{line}");
    line
}

fn join(stage: &Stage, who: &str, agent: Option<&Agent>, args: &[&str]) -> Plain {
    let socket = agent.map(|agent| agent.socket.to_str().unwrap().to_owned());
    let env: Vec<(&str, &str)> = socket.iter().map(|socket| ("SSH_AUTH_SOCK", socket.as_str())).collect();
    stage.join_with(who, &env, args)
}

#[test]
fn a_four_eye_step_is_flown_by_three_real_keys_and_checked_by_a_stranger() {
    if installed("ssh-agent", "-?").is_none() {
        return;
    }
    let stage = Stage::new(PLAN);
    let keys = [
        make(&stage, "lead_key", &["-t", "ed25519"]),
        make(&stage, "dba_key", &["-t", "ecdsa", "-b", "384"]),
        make(&stage, "search_key", &["-t", "rsa", "-b", "3072"]),
    ];
    let lines: String = [LEAD, DBA, SEARCH].iter().zip(&keys).map(|(who, key)| line(&stage, who, key)).collect();
    std::fs::write(stage.path("allowed_signers"), &lines).unwrap();
    let first = Agent::start(stage.path("agent-1"), &keys[0]);
    let second = Agent::start(stage.path("agent-2"), &keys[2]);
    let mut hub = stage.serve(&[]);

    let lead = join(&stage, LEAD, Some(&first), &[]);
    lead.expect("signing with the agent's ssh-ed25519 key SHA256:");
    let dba = join(&stage, DBA, None, &["--key", keys[1].to_str().unwrap()]);
    dba.expect("signing with the ecdsa-sha2-nistp384 key in ");
    let search = join(&stage, SEARCH, Some(&second), &[]);
    search.expect("signing with the agent's ssh-rsa key SHA256:");
    for plain in [&lead, &dba, &search] {
        plain.expect("joined session");
    }
    lead.ok("arm drop");
    for shadow in [&dba, &search] {
        shadow.expect("lead@example.org armed 01 drop");
        shadow.ok("check");
    }
    lead.ok("run");
    lead.expect("done: exit 0");
    lead.ok("close");
    assert!(hub.wait().success());
    assert!(stage.path("dropped.txt").exists());

    // COMPLETE, by whom, with which kinds of keys.
    let transcript = stage.transcript_file();
    let file = transcript.to_str().unwrap();
    let (status, found, error) = run(&stage.home("auditor"), &["verify", file]);
    assert_eq!(status, Some(0), "{found}{error}");
    assert!(found.starts_with("COMPLETE"), "{found}");
    for (who, act, kind) in [
        (LEAD, "vouch", "ssh-ed25519"),
        (DBA, "approve drop", "ecdsa-sha2-nistp384"),
        (SEARCH, "approve drop", "ssh-rsa"),
        (LEAD, "close", "ssh-ed25519"),
    ] {
        let is = |line: &&str| line.contains(&format!("{who} signed {act} with ")) && line.contains(kind);
        assert!(found.lines().any(|line| is(&line)), "{who} {act} {kind}\n{found}");
    }
    let evidence = stage.path("evidence");
    let (status, _, error) =
        run(&stage.home("auditor"), &["evidence", file, "drop", "--out", evidence.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{error}");
    let tools = crate::evidence::only(&["sh", "ssh-keygen", "sha256sum", "sed", "grep", "sort", "wc"]);
    // The auditor's own list of keys in place of the one that came along.
    std::fs::write(evidence.join("allowed_signers"), &lines).unwrap();
    let checked = crate::evidence::check(&evidence, tools.path());
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.contains("QUORUM: 2 people with 2 keys"), "{said}");
    println!("{said}");
}

#[test]
fn where_no_key_will_do_joining_says_so_in_one_line() {
    if installed("ssh-agent", "-?").is_none() {
        return;
    }
    let stage = Stage::new(PLAN);
    let [mine, theirs, past] = ["mine", "theirs", "past"].map(|name| make(&stage, name, &["-t", "ed25519"]));
    let text = [(LEAD, &mine), (DBA, &theirs)].map(|(who, key)| line(&stage, who, key)).concat();
    let public = std::fs::read_to_string(past.with_extension("pub")).unwrap();
    let text = format!("{text}{SEARCH} valid-before=\"20200101Z\" {public}");
    std::fs::write(stage.path("allowed_signers"), text).unwrap();
    let _hub = stage.serve(&[]);
    let fails = |who: &str, agent: Option<&Agent>, args: &[&str], why: &str| {
        let mut plain = join(&stage, who, agent, args);
        assert_eq!(plain.wait().code(), Some(3), "{why}");
        // Its last words may come after its end.
        let told = poll(PATIENCE, || plain.printed().contains(why).then_some(()));
        assert!(told.is_some(), "{why}: {}", plain.printed());
    };
    // No agent, no file.
    fails(LEAD, None, &[], "no ssh-agent runs");
    // An agent with somebody else's key.
    let agent = Agent::start(stage.path("agent"), &theirs);
    fails(LEAD, Some(&agent), &[], "no key of yours is one that this session knows: the agent holds 1 key");
    // A key that is named, and is another's; one that has expired; one that is not there.
    fails(LEAD, None, &["--key", theirs.to_str().unwrap()], "not let in");
    fails(SEARCH, None, &["--key", past.to_str().unwrap()], "not let in");
    fails(LEAD, None, &["--key", "/nowhere/key"], "cannot be read");
    let refused = stage.events("Refused");
    let reason = |why: &str| refused.iter().any(|refused| refused["reason"].as_str().unwrap().contains(why));
    assert!(reason("gives the key to somebody else") && reason("expired"), "the transcript says which: {refused:#?}");
    // And the right one.
    join(&stage, LEAD, None, &["--key", mine.to_str().unwrap()]).expect("joined session");
}

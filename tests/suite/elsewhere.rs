//! Watches of what a release rests on beside backups: that its plan was flown elsewhere, and that a key outlives it.

use crate::support::program::run;
use crate::support::raw::{Raw, hub};
use crate::support::real::installed;
use crate::support::wait::{PATIENCE, poll};
use crate::support::watch::{Watch, in_hub, plan, says};
use crosscheck::event::Status;
use crosscheck::identity::Key;
use crosscheck::name::StepId;
use crosscheck::session::Request;
use crosscheck::session::steps::Phase;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

// ── session ──────────────────────────────────────────────────────────────────────────────────────────────────────

const FLOWN: &str = "kind = \"session\"\nenvironment = \"production\"\ntranscripts = \"transcripts\"\nwithin = \"7d\"";
const STEPS: &str = "[[step]]\nid = \"purge\"\nrun = \"echo purged\"\n[[step]]\nid = \"count\"\nrun = \"echo 0\"\n";

/// Flies so many of the plan's two steps in that folder, and closes.
async fn fly(folder: &Path, text: &str, steps: usize) -> PathBuf {
    let hub = hub(folder, text).await;
    let path = hub.transcript.clone();
    let mut lead = Raw::join(&hub.links["lead@example.org"], &Key::fresh().expect("a key")).await.expect("they join");
    assert_eq!(lead.refusal(Request::Vouch).await, None);
    for id in ["purge", "count"].into_iter().take(steps) {
        let step = StepId::new(id).expect("a name");
        assert_eq!(lead.refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
        assert_eq!(lead.refusal(Request::Run { step, attempt: 1 }).await, None);
        lead.until("done", |session| session.steps[id].phase == Phase::Done).await;
    }
    assert_eq!(lead.refusal(Request::Close { note: "over".into() }).await, None);
    lead.until("the end is called", |session| session.closing.is_some()).await;
    assert_eq!(lead.refusal(Request::SignClose).await, None);
    lead.until("closed", |session| session.closed.is_some()).await;
    hub.wait().await.expect("it ends");
    path
}

#[test]
fn a_plan_counts_as_flown_only_where_its_transcript_proves_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let text = plan("", &format!("{FLOWN}\n{STEPS}"));
    let lines = format!("{FLOWN}\n{STEPS}");
    let mut watch = Watch::start(folder.path(), &lines);
    says(&watch.read(), Status::Unknown, "there is no folder");
    std::fs::create_dir(folder.path().join("transcripts")).expect("a folder");
    says(&watch.read(), Status::Fail, "Purge exports was never flown COMPLETE in production");

    let partial = runtime.block_on(fly(folder.path(), &text, 1));
    says(&watch.read(), Status::Fail, "it was closed with steps left");
    let whole = runtime.block_on(fly(folder.path(), &text, 2));
    says(&watch.read(), Status::Ok, "exactly this plan was flown in production");
    assert_ne!(partial, whole);
    // The transcript is not touched: no lock, no new time, no byte.
    let (status, out, _) = run(folder.path(), &["verify", whole.to_str().expect("a path of text")]);
    assert_eq!(status, Some(0), "{out}");

    let other = Watch::start(folder.path(), FLOWN).read();
    says(&other, Status::Ok, "another text of this plan was flown in production");
    let elsewhere = FLOWN.replace("\"production\"", "\"staging\"");
    says(&Watch::start(folder.path(), &elsewhere).read(), Status::Fail, "was never flown COMPLETE in staging");
    let named = |name: &str| Watch::start(folder.path(), &format!("{FLOWN}\nplan = \"{name}\"")).read();
    says(&named("Purge exports"), Status::Ok, "was flown");
    says(&named("Another"), Status::Fail, "Another was never flown COMPLETE");
    let within = FLOWN.replace("7d", "1ms");
    says(&Watch::start(folder.path(), &within).read(), Status::Fail, "longer ago than");

    // Cut off before its end, then with one byte changed in the middle: neither proves anything.
    let bytes = std::fs::read(&whole).expect("it can be read");
    let ends: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    std::fs::write(&whole, &bytes[..=ends[ends.len() - 2]]).expect("it is ours");
    says(&watch.read(), Status::Fail, "does not count: NOT CLOSED");
    let at = bytes.len() - bytes.len() / 3;
    let mut changed = bytes.clone();
    changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
    std::fs::write(&whole, &changed).expect("it is ours");
    let reading = watch.read();
    says(&reading, Status::Fail, "does not count: ");
    assert!(reading.why.contains("BROKEN") || reading.why.contains("roken"), "{reading:?}");
    std::fs::write(&whole, &bytes).expect("it is ours");
    says(&watch.read(), Status::Ok, "exactly this plan");
}

// ── credential ───────────────────────────────────────────────────────────────────────────────────────────────────

/// A program that ends when it goes out of scope.
struct Running(Child);
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_key_in_an_agent_outlives_the_release_or_not() {
    let tools = ["ssh-agent", "ssh-add", "ssh-keygen"].map(|tool| installed(tool, "-?"));
    if tools.contains(&None) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let ran = |command: &mut Command| {
        let output = command.stdin(Stdio::null()).output().expect("it starts");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for (name, kind) in
        [("ca", "ed25519"), ("long", "ed25519"), ("short", "ecdsa"), ("over", "rsa"), ("bare", "ed25519")]
    {
        ran(Command::new("ssh-keygen").args(["-q", "-N", "", "-C", name, "-t", kind, "-f"]).arg(path(name)));
    }
    for (name, validity) in [("long", "-1h:+8h"), ("short", "-1h:+10m"), ("over", "-8h:-1h")] {
        let public = path(&format!("{name}.pub"));
        ran(Command::new("ssh-keygen")
            .args(["-q", "-I", "id", "-n", "lead", "-V", validity, "-s"])
            .arg(path("ca"))
            .arg(public));
    }
    let socket = path("agent");
    let mut command = Command::new("ssh-agent");
    command.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
    let agent = Running(command.spawn().expect("it starts"));
    let add = |name: &str| {
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(path(name)).env("SSH_AUTH_SOCK", &socket).stdin(Stdio::null()).stderr(Stdio::null());
        add.status().expect("it starts").success().then_some(())
    };
    for name in ["long", "short", "over", "bare"] {
        poll(PATIENCE, || add(name)).expect("the agent takes the key");
    }
    let reads = |key: &str, status: &str, words: &str| {
        let like = |reading: &Value| reading["status"] == status && reading["why"].to_string().contains(words);
        let lines = format!("kind = \"credential\"\nagent = \"{key}\"\nmust_outlive = \"1h\"\nevery = \"500ms\"");
        let socket = socket.to_str().expect("a path of text");
        in_hub(&[("SSH_AUTH_SOCK", socket)], &lines, &[], like)
    };
    let long = reads("long", "ok", "the key's certificate is good for another 7:59:");
    assert_eq!(long["unit"], "s");
    reads("short", "fail", "1:00:00 are needed");
    reads("over", "fail", "the key's certificate is expired 1:00:");
    reads("bare", "ok", "the agent holds the key");
    reads("nobody", "fail", "the agent does not hold nobody");
    // By its fingerprint, as ssh-add prints it, of key and certificate alike.
    let listed = ran(Command::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", &socket));
    let fingerprint = |name: &str| {
        let line = listed.lines().find(|line| line.contains(&format!(" {name} "))).expect("it is in the agent");
        line.split(' ').nth(1).expect("a fingerprint").to_owned()
    };
    reads(&fingerprint("short"), "fail", "1:00:00 are needed");
    reads(&fingerprint("bare"), "ok", "the agent holds the key");
    ran(Command::new("ssh-add").args(["-q", "-D"]).env("SSH_AUTH_SOCK", &socket));
    reads("bare", "fail", "the agent holds no key");
    drop(agent);
    reads("bare", "unknown", "cannot be reached");
}

//! What is left of a session afterwards: that nothing in it can be changed unseen, and that a stranger without this
//! program can check a step's signatures.

use crate::support::raw::{Raw, hub};
use crate::support::real::installed;
use crosscheck::identity::Key;
use crosscheck::name::StepId;
use crosscheck::report::evidence::Evidence;
use crosscheck::session::steps::Phase;
use crosscheck::session::{Request, Session};
use crosscheck::transcript::audit::{Audit, Proof, audit};
use crosscheck::transcript::read::Reader;
use crosscheck::transcript::record::{Head, Line};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PLAN: &str = r#"
crosscheck = 1
name = "Evidence"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
[[step]]
id = "drop"
title = "Drop it, \"checks\":9 of it"
class = "irreversible"
run = ["/bin/sh", "-c", "echo dropped \"$0\"", "a b"]
point_of_no_return = true
"#;

struct Flight {
    path: PathBuf,
    keys: Vec<Key>,
}

/// One irreversible step, armed by the lead, checked by two, run, talked about, closed and signed by all three.
async fn fly(folder: &Path, words: usize) -> Flight {
    let hub = hub(folder, PLAN).await;
    let path = hub.transcript.clone();
    let keys: Vec<_> = (0..3).map(|_| Key::fresh().unwrap()).collect();
    let mut crew = vec![];
    for (who, key) in ["lead@example.org", "dba@example.org", "search@example.org"].iter().zip(&keys) {
        crew.push(Raw::join(&hub.links[*who], key).await.unwrap());
    }
    let step = StepId::new("drop").unwrap();
    assert_eq!(crew[0].refusal(Request::Vouch).await, None);
    assert_eq!(crew[0].refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
    for shadow in [1, 2] {
        let raw = &mut crew[shadow];
        raw.until("armed", |session| session.steps["drop"].phase == Phase::Armed).await;
        let digest = raw.session.steps["drop"].armed.as_ref().unwrap().digest();
        assert_eq!(raw.refusal(Request::OpenCheck { step: step.clone(), attempt: 1 }).await, None);
        assert_eq!(raw.refusal(Request::Check { step: step.clone(), attempt: 1, digest }).await, None);
    }
    assert_eq!(crew[0].refusal(Request::Run { step, attempt: 1 }).await, None);
    crew[0].until("done", |session| session.steps["drop"].phase == Phase::Done).await;
    for word in 0..words {
        // No faster than a hub lets anybody talk.
        let text = format!("word {word}");
        assert_eq!(crew[word % 3].refusal(Request::Say { text }).await, None);
    }
    assert_eq!(crew[0].refusal(Request::Close { note: "over".into() }).await, None);
    for raw in &mut crew {
        raw.until("the end is called", |session| session.closing.is_some()).await;
        assert_eq!(raw.refusal(Request::SignClose).await, None);
    }
    crew[0].until("closed", |session| session.closed.is_some()).await;
    hub.wait().await.unwrap();
    Flight { path, keys }
}

fn flown(words: usize) -> (tempfile::TempDir, Flight) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let flight = runtime.block_on(fly(folder.path(), words));
    (folder, flight)
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.len() > 1).map(<[u8]>::to_vec).collect()
}

fn judge(bytes: &[u8]) -> Audit {
    audit(Reader::new(bytes), &[], None)
}

/// The lines with their numbers and links made anew, as somebody who knows the format but none of the keys would.
fn relinked(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut head = Head::START;
    let mut out = vec![];
    for line in lines {
        let mut line: Line = serde_json::from_slice(line).unwrap();
        (line.seq, line.prev) = (head.seq + 1, head.hash);
        let encoded = line.encode().unwrap();
        head = encoded.head();
        out.extend_from_slice(encoded.bytes());
    }
    out
}

/// Test set F: whatever is changed in a transcript is found.
#[test]
fn nothing_in_a_transcript_can_be_changed_unseen() {
    let (_folder, flight) = flown(150);
    let bytes = std::fs::read(&flight.path).unwrap();
    let whole = judge(&bytes);
    assert_eq!(whole.proof, Proof::Complete, "{whole:?}");
    assert_eq!(whole.acts.iter().filter(|act| act.act == "approve").count(), 2);
    let lines = lines(&bytes);
    let mut cases = 0;
    let mut never_complete = |what: String, bytes: &[u8]| {
        let proof = judge(bytes).proof;
        assert_ne!(proof, Proof::Complete, "{what}");
        cases += 1;
        proof
    };
    for n in 0..lines.len() {
        let without: Vec<_> = lines.iter().enumerate().filter(|(i, _)| *i != n).map(|(_, line)| line.clone()).collect();
        never_complete(format!("line {} deleted", n + 1), &without.concat());
        never_complete(format!("line {} deleted, the rest linked anew", n + 1), &relinked(&without));
        let mut twice = lines.clone();
        twice.insert(n, lines[n].clone());
        never_complete(format!("line {} twice", n + 1), &twice.concat());
        never_complete(format!("line {} twice, linked anew", n + 1), &relinked(&twice));
        if n + 1 < lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(n, n + 1);
            never_complete(format!("lines {} and the next swapped", n + 1), &swapped.concat());
            if n > 0 {
                never_complete(format!("lines {} and the next swapped, linked anew", n + 1), &relinked(&swapped));
            }
            never_complete(format!("cut after line {}", n + 1), &lines[..=n].concat());
        }
    }
    // Signatures dropped, exchanged, made with another key, and all of them stripped.
    let with = |change: &dyn Fn(&mut Value)| -> Vec<u8> {
        let changed = lines.iter().map(|line| {
            let mut value: Value = serde_json::from_slice(line).unwrap();
            change(&mut value["event"]);
            serde_json::from_value::<Line>(value).unwrap().encode().unwrap().bytes().to_vec()
        });
        relinked(&changed.collect::<Vec<_>>())
    };
    for kind in ["CrossChecked", "SessionClosed"] {
        let proof = never_complete(
            format!("{kind} without its signature"),
            &with(&|event| {
                if let Some(fields) = event.get_mut(kind).and_then(Value::as_object_mut) {
                    fields.remove("signed");
                }
            }),
        );
        assert!(matches!(proof, Proof::Broken { .. }), "{kind}: {proof}");
    }
    let stranger = Key::fresh().unwrap();
    for (kind, namespace) in [("CrossChecked", "crosscheck-approve"), ("CheckpointSigned", "crosscheck-checkpoint")] {
        let proof = never_complete(
            format!("{kind} signed anew by a stranger"),
            &with(&|event| {
                if let Some(signed) = event.get_mut(kind).and_then(|fields| fields.get_mut("signed")) {
                    let statement = signed["statement"].as_str().unwrap().to_owned();
                    signed["signature"] = stranger.sign_sshsig(namespace, statement.as_bytes()).into();
                }
            }),
        );
        assert!(matches!(proof, Proof::Broken { .. }), "{kind}: {proof}");
    }
    let stripped = never_complete(
        "every signature stripped, and the policy with them".to_owned(),
        &with(&|event| {
            for fields in event.as_object_mut().unwrap().values_mut().filter_map(Value::as_object_mut) {
                if fields.contains_key("outcome") || fields.contains_key("digest") {
                    fields.remove("signed");
                }
                fields.remove("hub_key");
            }
        }),
    );
    assert_eq!(stripped, Proof::Unsigned);
    // Two heads of one size; a head beyond the end; somebody who was there and did not sign.
    let held = Head { seq: 5, hash: crosscheck::hash::Hash::of(b"another history") };
    let forked = audit(Reader::new(bytes.as_slice()), &[held], None).proof;
    assert!(matches!(forked, Proof::Fork { at: 5, .. }), "{forked}");
    let beyond = Head { seq: 10_000, ..held };
    let cut = audit(Reader::new(bytes.as_slice()), &[beyond], None).proof;
    assert!(matches!(cut, Proof::Incomplete { .. }), "{cut}");
    let _ = writeln!(std::io::stderr(), "set F: {} cases in {} lines", cases + 2, lines.len());
    assert!(cases >= 800);
}

/// The rest of test set F: every byte.
#[test]
fn no_byte_of_a_transcript_can_be_changed_unseen() {
    let (_folder, flight) = flown(0);
    let text = lines(&std::fs::read(&flight.path).unwrap()).concat();
    assert_eq!(judge(&text).proof, Proof::Complete);
    std::thread::scope(|scope| {
        for first in 0..4 {
            let text = &text;
            scope.spawn(move || {
                for at in (first..text.len()).step_by(4) {
                    let mut changed = text.clone();
                    changed[at] ^= 1 << (at % 7);
                    assert_ne!(judge(&changed).proof, Proof::Complete, "byte {at} flipped");
                }
            });
        }
    });
    let _ = writeln!(std::io::stderr(), "set F: each of {} bytes flipped", text.len());
}

/// A folder in which only these programs can be found.
pub fn only(tools: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for tool in tools {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|path| path.join(tool))
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("{tool} is needed for this test"));
        std::os::unix::fs::symlink(found, folder.path().join(tool)).unwrap();
    }
    folder
}

pub fn check(evidence: &Path, tools: &Path) -> Output {
    let mut command = Command::new(tools.join("sh"));
    command.arg("check.sh").current_dir(evidence).env_clear().env("PATH", tools).output().unwrap()
}

/// Test set M: a stranger with a shell, ssh-keygen and sha256sum checks a four-eye step, and is not fooled.
#[test]
fn a_stranger_checks_a_step_and_rejects_forgeries() {
    if installed("ssh-keygen", "-?").is_none() {
        return;
    }
    let (folder, flight) = flown(0);
    let (lead, dba, search) = (&flight.keys[0], &flight.keys[1], &flight.keys[2]);
    let tools = only(&["sh", "ssh-keygen", "sha256sum", "sed", "grep", "sort", "wc"]);
    let step = StepId::new("drop").unwrap();
    let genuine = folder.path().join("genuine");
    Evidence::of_step(&flight.path, &step).unwrap().write(&genuine).unwrap();
    let checked = check(&genuine, tools.path());
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{said}{}", String::from_utf8_lossy(&checked.stderr));
    assert!(said.contains("QUORUM: 2 people with 2 keys approved line"), "{said}");
    assert_eq!(said.matches("holds: ").count(), 2, "{said}");
    let files: BTreeSet<_> = std::fs::read_dir(&genuine).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(files.contains(std::ffi::OsStr::new("README")), "{files:?}");
    // What README tells by hand works as well.
    let readme = std::fs::read_to_string(genuine.join("README")).unwrap();
    let by_hand = readme.lines().map(str::trim).find(|line| line.starts_with("ssh-keygen")).unwrap();
    let done = Command::new(tools.path().join("sh")).args(["-c", by_hand]).current_dir(&genuine).output().unwrap();
    assert!(done.status.success(), "{by_hand}");

    let (a, b) = ("01-dba@example.org", "02-search@example.org");
    let read = |dir: &Path, name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let put = |dir: &Path, name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    let approve = "crosscheck-approve";
    type Forgery<'a> = (&'a str, &'a dyn Fn(&Path));
    let forgeries: &[Forgery] = &[
        ("a statement with another command", &|dir| {
            let text = read(dir, &format!("{a}.stmt")).replace("argv: ", "argv: x");
            put(dir, &format!("{a}.stmt"), &text);
        }),
        ("the same, signed anew by a stranger who is listed under the name", &|dir| {
            let mallory = Key::fresh().unwrap();
            let text = read(dir, &format!("{a}.stmt"));
            let old = dba.public().fingerprint();
            let text = text.replace(&old, &mallory.public().fingerprint());
            put(dir, &format!("{a}.sig"), &mallory.sign_sshsig(approve, text.as_bytes()));
            put(dir, &format!("{a}.stmt"), &text);
            let keys = read(dir, "allowed_signers").replace(&dba.public().to_string(), &mallory.public().to_string());
            put(dir, "allowed_signers", &keys);
        }),
        ("one person under two names", &|dir| {
            let text = read(dir, &format!("{a}.stmt")).replace("approver: dba@", "approver: search@");
            put(dir, &format!("{b}.sig"), &dba.sign_sshsig(approve, text.as_bytes()));
            put(dir, &format!("{b}.stmt"), &text);
            let keys = read(dir, "allowed_signers").replace(&search.public().to_string(), &dba.public().to_string());
            put(dir, "allowed_signers", &keys);
        }),
        ("one approval of two taken away", &|dir| {
            let index = read(dir, "index");
            put(dir, "index", &format!("{}\n", index.lines().next().unwrap()));
        }),
        ("one approval counted twice", &|dir| {
            let index = read(dir, "index");
            let first = index.lines().next().unwrap();
            put(dir, "index", &format!("{first}\n{first}\n"));
        }),
        ("signatures exchanged", &|dir| {
            let (one, two) = (read(dir, &format!("{a}.sig")), read(dir, &format!("{b}.sig")));
            put(dir, &format!("{a}.sig"), &two);
            put(dir, &format!("{b}.sig"), &one);
        }),
        ("a line whose command was changed", &|dir| {
            put(dir, "lines.jsonl", &read(dir, "lines.jsonl").replace("echo dropped", "echo spared"));
        }),
        ("the last line, which nothing follows, changed: the command's exit code", &|dir| {
            put(dir, "lines.jsonl", &read(dir, "lines.jsonl").replace("\"code\":0", "\"code\":1"));
        }),
        ("a line taken out", &|dir| {
            let text = read(dir, "lines.jsonl");
            let lines: Vec<_> = text.lines().collect();
            put(dir, "lines.jsonl", &format!("{}\n{}\n", lines[0], lines[2..].join("\n")));
        }),
        ("lines changed and linked anew: one check is enough", &|dir| {
            let text = read(dir, "lines.jsonl").replace("\"checks\":2", "\"checks\":1");
            let lines: Vec<_> = text.split_inclusive('\n').map(|line| line.as_bytes().to_vec()).collect();
            let first: Line = serde_json::from_slice(&lines[0]).unwrap();
            let mut head = Head { seq: first.seq - 1, hash: first.prev };
            let mut out = vec![];
            for line in &lines {
                let mut line: Line = serde_json::from_slice(line).unwrap();
                line.prev = head.hash;
                let encoded = line.encode().unwrap();
                head = encoded.head();
                out.extend_from_slice(encoded.bytes());
            }
            std::fs::write(dir.join("lines.jsonl"), out).unwrap();
            put(dir, "index", &format!("{}\n", read(dir, "index").lines().next().unwrap()));
        }),
        ("other line ends", &|dir| {
            put(dir, &format!("{a}.stmt"), &read(dir, &format!("{a}.stmt")).replace('\n', "\r\n"));
        }),
        ("a signature made for another purpose", &|dir| {
            let text = read(dir, &format!("{a}.stmt"));
            put(dir, &format!("{a}.sig"), &dba.sign_sshsig("crosscheck-close", text.as_bytes()));
        }),
        ("an approval by the lead who armed it", &|dir| {
            let text = read(dir, &format!("{b}.stmt"))
                .replace("approver: search@", "approver: lead@")
                .replace(&search.public().fingerprint(), &lead.public().fingerprint());
            put(dir, &format!("{b}.sig"), &lead.sign_sshsig(approve, text.as_bytes()));
            put(dir, &format!("{b}.stmt"), &text);
            put(dir, "index", &read(dir, "index").replace(" search@", " lead@"));
            let mut keys = read(dir, "allowed_signers");
            keys += &format!("lead@example.org namespaces=\"{approve}\" {}\n", lead.public());
            put(dir, "allowed_signers", &keys);
        }),
        ("an approval of another step", &|dir| put(dir, "step", "keep\n")),
    ];
    for (number, (what, forge)) in forgeries.iter().enumerate() {
        let forged = folder.path().join(format!("forged-{number}"));
        Evidence::of_step(&flight.path, &step).unwrap().write(&forged).unwrap();
        forge(&forged);
        let checked = check(&forged, tools.path());
        assert!(!checked.status.success(), "{what} was accepted: {}", String::from_utf8_lossy(&checked.stdout));
        let why = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(why.contains("FAILED: "), "{what}: rejected by the check, not by an accident: {why}");
        println!("set M: rejected {what}: {}", why.trim());
    }
    let _ = writeln!(std::io::stderr(), "set M: {} cases", forgeries.len() + 1);
}

/// The session's own fold of the bytes it is judged on: what `verify` says is said about the state everyone saw.
#[test]
fn every_line_of_a_flight_is_covered_by_a_signature() {
    let (_folder, flight) = flown(0);
    let found = audit(Reader::open(&flight.path).unwrap(), &[], None);
    assert_eq!(
        (found.signed_to, found.vouched.map(|who| who.to_string())),
        (found.lines, Some("lead@example.org".into()))
    );
    let mut session: Option<Session> = None;
    for next in Reader::open(&flight.path).unwrap() {
        let (line, _, head) = next.unwrap();
        match &mut session {
            None => session = Some(Session::open(&line, head.hash).unwrap()),
            Some(session) => session.apply(&line, head.hash),
        }
    }
    assert!(session.unwrap().owes_close().is_empty());
    assert!(!flight.path.with_extension("key").exists(), "the hub's key is gone once the session is closed");
}

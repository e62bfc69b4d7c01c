//! Secrets through the built program: a command prints its own in every way that a shell has, and nobody ever sees it.
//! And what is left once output has expired.

use crate::support::program::{Hub, Plain, Stage, run, transcript_files};
use crate::support::raw::Raw;
use crate::support::wait::{PATIENCE, poll};
use crosscheck::identity::Key;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What every tool has to quote somehow.
const VALUE: &str = "k\"y'z/+<&>?\\9~ zz";

const PLAN: &str = r#"
crosscheck = 1
name = "Secrets"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
observer = "link"
[secrets]
KEY = { file = "key" }
[[watch]]
id = "leak"
kind = "command"
run = "test -e leak && cat key || echo nothing"
every = "200ms"
[[step]]
id = "print"
title = "Print it"
class = "critical"
run = ["sh", "leak.sh"]
env = { TOKEN = "{{ secret.KEY }}", AUTH = "Basic user:{{ secret.KEY }}" }
[[step]]
id = "hash"
title = "A file whose hash people check"
run = ["cat", "key"]
env = { TOKEN = "{{ secret.KEY }}" }
after = []
[[step]]
id = "after"
after = ["print"]
title = "A command that was given none"
run = "cat key"
"#;

/// Prints `$TOKEN` in every way, each in pieces of five bytes, then waits to be looked at.
const SCRIPT: &str = r#"
pieces() { fold -b -w 5 | while IFS= read -r piece || [ -n "$piece" ]; do printf '%s' "$piece"; done; echo; }
say() { printf '%s' "$TOKEN"; }
say | pieces
say | base64 | pieces
say | base64 | tr -d = | pieces
say | base64 | tr '+/' '-_' | pieces
echo "$TOKEN" | base64 | pieces
printf 'u%s' "$TOKEN" | base64 | pieces
printf 'u:%s' "$TOKEN" | base64 | pieces
say | od -An -v -tx1 | tr -d ' \n' | pieces
say | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F | pieces
say | od -An -v -tx1
say | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g' | pieces
say | od -An -v -tx1 | tr -d '\n' | sed 's/ /\\x/g' | pieces
say | sed 's/\\/\\\\/g; s/"/\\"/g' | pieces
say | sed "s/'/'\\\\''/g" | pieces
say | sed "s/'/''/g" | pieces
say | sed 's/"/""/g' | pieces
say | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g' | pieces
say | tr a-z A-Z | pieces
say | rev | pieces
echo "AUTH is $AUTH" >&2
printf '\033[1m%s\033[0m\n' "$TOKEN"
cat gate
"#;

/// The value in the forms that the script prints, and its beginning and its end: neither may be seen either.
const FORMS: &[&str] = &[
    VALUE,
    "k\"y'z/+",
    "?\\9~ zz",
    "ayJ5J3ovKzwmPj9cOX4genp6",
    "ayJ5J3ov",
    "IneivPCY",
    "6b227927",
    "6B227927",
    "6b 22 79 27",
    "%6b%22%79%27",
    "\\x6b\\x22",
    "k\\\"y'z/",
    "k\"y'\\''z/",
    "k\"y''z/",
    "k\"\"y'z/",
    "k&quot;y'z/",
    "K\"Y'Z/",
    "zz ~9\\?",
];

fn stage() -> Stage {
    let stage = Stage::new(PLAN);
    std::fs::write(stage.path("key"), format!("{VALUE}\n")).unwrap();
    std::fs::write(stage.path("leak.sh"), SCRIPT).unwrap();
    nix::unistd::mkfifo(&stage.path("gate"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    stage
}

fn serve(stage: &Stage) -> Hub {
    let hub = stage.serve_with(&[("CROSSCHECK_LOG", "trace"), ("RUST_LOG", "trace")], &[]);
    stage.wait_for_links();
    hub
}

fn clear(lead: &Plain, shadow: &Plain) {
    lead.ok("arm print");
    shadow.expect("--- digest");
    shadow.ok("check");
}

/// Every file below a folder that is one.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        match kind {
            kind if kind.is_dir() => files(&path, found),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}

fn holds_none(what: &str, bytes: &[u8]) {
    for form in FORMS {
        let at = bytes.windows(form.len()).position(|window| window == form.as_bytes());
        assert_eq!(
            at,
            None,
            "{what} holds {form:?}: {:?}",
            String::from_utf8_lossy(&bytes[at.unwrap_or(0)..]).get(..80)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_its_command_prints_in_every_way_is_nowhere() {
    let stage = stage();
    let mut hub = serve(&stage);
    let link = stage.links()["observer"].clone();
    let key = Key::load_or_make(&stage.path("raw.key")).unwrap();
    let mut raw = Raw::join_as(&link, &key, Some("early")).await.unwrap();
    let (lead, shadow) = (stage.join("lead@example.org"), stage.join("dba@example.org"));
    clear(&lead, &shadow);
    assert!(shadow.printed().contains("secret: KEY is fetched by the hub and not shown"));
    lead.ok("run");

    // While it runs, what `ps` shows of it and of the hub.
    let started = poll(PATIENCE, || stage.events("RunStarted").pop()).expect("it starts");
    let pid = started["process"]["pid"].as_u64().unwrap();
    let out = stage.transcript_file().with_extension("out").join("print-1-step");
    let bold = poll(PATIENCE, || std::fs::read(&out).ok().filter(|out| out.ends_with(b"\x1b[0m\r\n")));
    assert!(bold.is_some(), "all is printed: {:?}", std::fs::read_to_string(&out));
    for pid in [pid, u64::from(hub.pid())] {
        for file in ["cmdline", "comm", "stat"] {
            holds_none(file, &std::fs::read(format!("/proc/{pid}/{file}")).unwrap());
        }
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().next(), Some("0"), "a crash leaves no dump");
    }
    std::fs::write(stage.path("gate"), "").unwrap();
    lead.expect("print done");

    // A later command, and a watch, print what they found for themselves: it is known by now.
    lead.ok("arm after");
    lead.ok("run");
    lead.expect("after done");
    std::fs::write(stage.path("leak"), "").unwrap();
    let redacted = poll(PATIENCE, || {
        let readings = stage.events("ReadingTaken");
        readings.iter().any(|reading| reading["reading"]["why"] == "[secret KEY]").then_some(())
    });
    assert!(redacted.is_some(), "{:?}", stage.events("ReadingTaken").last());
    let mut late = Raw::join_as(&link, &key, Some("late")).await.unwrap();
    lead.ok("close seen enough");
    assert!(hub.wait().success(), "{}", hub.printed());
    for raw in [&mut raw, &mut late] {
        while raw.read().await.is_ok() {}
        assert!(raw.session.closed.is_some());
        assert!(raw.heard.len() > 1000);
        holds_none("the wire", &raw.heard);
    }

    let printed = std::fs::read_to_string(&out).unwrap();
    let count = printed.matches("[secret KEY]").count();
    assert!(count >= 21, "{count}: {printed}");
    assert_eq!(std::fs::read_to_string(out.with_file_name("after-1-step")).unwrap(), "[secret KEY]\r\n");
    let mut all = vec![];
    files(&stage.path(""), &mut all);
    all.retain(|path| *path != stage.path("key"));
    assert!(all.iter().any(|path| path.ends_with("secret-salt")) && all.len() > 8, "{all:?}");
    for path in &all {
        holds_none(&path.display().to_string(), &std::fs::read(path).unwrap());
    }
    for (who, printed) in [("hub", hub.printed()), ("lead", lead.printed()), ("shadow", shadow.printed())] {
        holds_none(who, printed.as_bytes());
    }
    let covers = &stage.events("StepArmed")[0]["covers"];
    assert_eq!(covers["command"]["env"]["TOKEN"], "secret:KEY");
    assert_eq!(covers["command"]["env"]["AUTH"], "Basic user:secret:KEY");
    let salt = std::fs::read_to_string(out.with_file_name("secret-salt")).unwrap();
    let committed = crosscheck::hash::Hash::of(format!("{salt}KEY={VALUE}").as_bytes());
    assert_eq!(covers["command"]["secrets"]["KEY"], committed.to_string());
    let _ = writeln!(std::io::stderr(), "set J: {count} secrets printed, {} files, {} forms", all.len(), FORMS.len());
}

#[test]
fn a_secret_that_changed_voids_and_one_that_cannot_be_had_refuses() {
    let stage = stage();
    let _hub = serve(&stage);
    let (lead, shadow) = (stage.join("lead@example.org"), stage.join("dba@example.org"));
    clear(&lead, &shadow);
    std::fs::write(stage.path("key"), "another-secret\n").unwrap();
    lead.ok("run");
    lead.expect("secret KEY changed");
    assert_eq!(stage.events("RunIntended").len(), 0);

    let refusal = lead.refused("arm hash");
    assert!(refusal.contains("/key holds secret KEY, and its hash"), "{refusal}");
    for (value, says) in [("hunt", "fewer than 6 characters"), ("", "it is empty")] {
        std::fs::write(stage.path("key"), value).unwrap();
        let refusal = lead.refused("arm print");
        assert!(refusal.contains("secret KEY: ") && refusal.contains(says), "{refusal}");
    }
    std::fs::remove_file(stage.path("key")).unwrap();
    let refusal = lead.refused("arm print");
    assert!(refusal.contains("No such file"), "{refusal}");
    // In plain sight it is no secret.
    std::fs::write(stage.path("key"), "leak.sh").unwrap();
    let refusal = lead.refused("arm print");
    assert!(refusal.contains("argument 1 holds the value of secret KEY"), "{refusal}");
    assert_eq!(stage.events("StepArmed").len(), 1);
}

const SHORT: &str = r#"
crosscheck = 1
name = "Expire"
environment = "test"
[crew]
lead = ["lead@example.org"]
[[step]]
id = "say"
title = "Say something personal"
run = "cat person"
"#;

#[test]
fn expired_output_is_gone_and_the_transcript_is_whole() {
    let stage = Stage::new(SHORT);
    std::fs::write(stage.path("person"), "Ada Lovelace\n").unwrap();
    let mut hub = stage.serve(&[]);
    let lead = stage.join("lead@example.org");
    let transcripts = stage.path("transcripts");
    let folder = transcripts.to_str().unwrap();
    let expire = |args: &[&str]| run(stage.path("home-hub").as_path(), &[&["expire"], args].concat());

    lead.ok("arm say");
    lead.ok("run");
    lead.expect("say done");
    let file = stage.transcript_file();
    let name = file.to_str().unwrap();
    let (status, out, err) = expire(&[name]);
    assert_eq!((status, out.as_str()), (Some(1), ""), "a hub has it: {err}");
    assert!(err.contains("another hub"), "{err}");
    lead.ok("close done");
    assert!(hub.wait().success());

    let session = stage.events("SessionOpened")[0]["session"].as_str().unwrap().to_owned();
    let lines = std::fs::read(&file).unwrap();
    let report = file.with_extension("md");
    assert!(std::fs::read_to_string(&report).unwrap().contains("Ada Lovelace"));
    // Questions that delete nothing.
    assert_eq!(expire(&[folder]).0, Some(2), "of which sessions?");
    assert_eq!(expire(&[folder, "--session", "0"]).0, Some(2));
    assert_eq!(expire(&[folder, "--session", "ffffffffffffffff"]).0, Some(1));
    assert_eq!(expire(&[folder, "--older-than", "soon"]).0, Some(2));
    assert_eq!(expire(&[stage.path("nowhere").to_str().unwrap(), "--older-than", "1d"]).0, Some(3));
    assert_eq!(expire(&[folder, "--older-than", "1d"]), (Some(0), String::new(), String::new()), "it is not that old");
    let (status, out, _) = expire(&[folder, "--session", &session[..8], "--dry-run"]);
    assert!(status == Some(0) && out.contains("would delete") && out.contains("say-1-step"), "{out}");
    assert!(file.with_extension("out").join("say-1-step").exists());

    let (status, out, err) = expire(&[folder, "--older-than", "1ms"]);
    assert_eq!(status, Some(0), "{out}{err}");
    assert!(out.contains(&session[..8]) && out.contains("deleted") && out.contains("say-1-step"), "{out}");
    let mut left = vec![];
    files(&transcripts, &mut left);
    for path in &left {
        let bytes = std::fs::read(path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("Ada Lovelace"), "{}", path.display());
    }
    assert!(file.with_extension("out").join("expired").exists());
    assert!(left.iter().all(|path| !path.ends_with("salt") && !path.ends_with("say-1-step")), "{left:?}");
    assert_eq!(std::fs::read(&file).unwrap(), lines);
    let text = std::fs::read_to_string(&report).unwrap();
    assert!(text.contains("OUTPUT EXPIRED: "), "{text}");
    assert_eq!(run(stage.path("home-hub").as_path(), &["report", name]).1, text);
    assert_eq!(expire(&[folder, "--session", &session]), (Some(0), String::new(), String::new()), "once is enough");

    // A report that somebody has written into is theirs.
    let mut hub = stage.serve(&["--new"]);
    let lead = stage.join("lead@example.org");
    lead.ok("arm say");
    lead.ok("run");
    lead.expect("say done");
    lead.ok("close done");
    assert!(hub.wait().success());
    let second = transcript_files(&transcripts).into_iter().find(|path| *path != file).unwrap();
    let report = second.with_extension("md");
    let edited = std::fs::read_to_string(&report).unwrap() + "\nWhat we learnt: …\n";
    std::fs::write(&report, &edited).unwrap();
    let (status, out, err) = expire(&[folder, "--older-than", "1ms"]);
    assert!(status == Some(1) && err.contains("was changed by hand") && out.contains("say-1-step"), "{out}{err}");
    assert!(!second.with_extension("out").join("say-1-step").exists());
    assert_eq!(std::fs::read_to_string(&report).unwrap(), edited);
}

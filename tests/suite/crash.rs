//! The hub is killed wherever it hurts, and started again: nobody lost what they had been shown, what may have run is
//! unknown, and nothing runs twice.

use crate::support::program::{Hub, Plain, Stage, program, transcript_files};
use crate::support::raw::Raw;
use crate::support::wait::{PATIENCE, poll};
use crosscheck::identity::Key;
use crosscheck::session::{Session, story};
use crosscheck::transcript::record::{Head, Line};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

fn plan(run: &str, io: &str) -> String {
    format!(
        r#"
crosscheck = 1
name = "Crash"
environment = "test"
[crew]
lead = ["{LEAD}"]
shadow = ["{DBA}", "search@example.org"]
observer = "link"
[[step]]
id = "go"
title = "Leave a trace"
class = "critical"
io = "{io}"
run = """{run}"""
[[step]]
id = "next"
title = "Something else"
class = "critical"
after = []
run = "true"
"#
    )
}

fn runs(stage: &Stage) -> usize {
    std::fs::read_to_string(stage.path("ran.txt")).map_or(0, |text| text.lines().count())
}

/// The transcript that holds lines: a hub killed before its first one leaves an empty file behind.
fn lines(stage: &Stage) -> Vec<String> {
    let whole = |file: &std::path::PathBuf| {
        let text = String::from_utf8(std::fs::read(file).unwrap()).unwrap();
        text.split_inclusive('\n').filter(|line| line.len() > 1).map(str::to_owned).collect::<Vec<_>>()
    };
    transcript_files(&stage.path("transcripts")).iter().map(whole).find(|lines| !lines.is_empty()).unwrap_or_default()
}

fn kinds(lines: &[String]) -> Vec<String> {
    let value = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap();
    lines.iter().map(|line| value(line)["event"].as_object().unwrap().keys().next().unwrap().clone()).collect()
}

/// What the transcript tells, by number.
fn told(lines: &[String]) -> BTreeMap<u64, String> {
    let (mut session, mut head, mut told): (Option<Session>, _, _) = (None, Head::START, BTreeMap::new());
    for bytes in lines {
        let (line, next) = Line::decode(bytes.as_bytes(), head).expect("the chain holds");
        head = next;
        match &mut session {
            None => session = Some(Session::open(&line, head.hash).unwrap()),
            Some(session) => {
                told.extend(
                    story(session, &line).map(|text| (line.seq, format!("{} #{} {text}", line.at.clock(), line.seq))),
                );
                session.apply(&line, head.hash);
            }
        }
    }
    told
}

/// Everything that client printed of the session stands in the transcript, once, word for word.
fn nothing_lost(client: &Plain, lines: &[String]) {
    let told = told(lines);
    let mut last = 0;
    for printed in client.printed().lines() {
        let Some(seq) = printed.split(" #").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok()) else {
            continue;
        };
        assert_eq!(told.get(&seq).map(String::as_str), Some(printed), "line {seq} as it was shown");
        assert!(seq > last, "line {seq} was shown again");
        last = seq;
    }
}

fn raw_kept(raw: &Raw, lines: &[String]) {
    for (seq, text) in &raw.lines {
        let index = usize::try_from(*seq).unwrap() - 1;
        assert_eq!(lines.get(index), Some(text), "line {seq} byte for byte");
    }
}

/// Waits for a text of that client, or for the hub's end; whether the text came.
fn sees(hub: &mut Hub, client: &Plain, text: &str) -> bool {
    let look = || {
        let seen = client.printed().contains(text);
        (seen || hub.has_ended()).then_some(seen)
    };
    poll(PATIENCE, look).unwrap_or_else(|| panic!("neither {text:?} nor the hub's end"))
}

fn fly_on(lead: &Plain, dba: &Plain) {
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    lead.ok("run");
    lead.expect("go done");
}

/// Kills a hub at that point, starts another one, and looks at what everyone knows.
fn crash_at(moment: &str, kind: &str) {
    let point = format!("{moment}:{kind}");
    let stage = Stage::new(&plan("echo ran >> ran.txt", "pty"));
    let mut hub = stage.serve_with(&[("CROSSCHECK_CRASH", &point)], &[]);
    let mut clients = None;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut raw = None;
    if kind != "SessionOpened" {
        stage.wait_for_links();
        let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
        let link = stage.links()["search@example.org"].clone();
        raw = Some(runtime.block_on(async { Raw::join(&link, &Key::fresh().unwrap()).await.unwrap() }));
        lead.say("arm go");
        let _ = sees(&mut hub, &dba, "--- digest")
            && sees(&mut hub, &lead, "opened the check")
            && {
                dba.say("check");
                sees(&mut hub, &lead, "go is cleared")
            }
            && {
                lead.say("run");
                sees(&mut hub, &lead, "go done")
            };
        clients = Some((lead, dba));
    }
    let status = hub.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{point}: {}", hub.printed());
    if let Some(raw) = &mut raw {
        runtime.block_on(async { while raw.read().await.is_ok() {} });
    }
    let before = lines(&stage);
    let ran = runs(&stage);

    let mut hub = stage.serve(&[]);
    let (lead, dba) = match clients {
        Some((lead, dba)) => {
            lead.expect("link: connected again");
            dba.expect("link: connected again");
            // Whatever was asked at the moment of the crash was answered before the client came back.
            lead.forget_answers();
            dba.forget_answers();
            (lead, dba)
        }
        None => (stage.join(LEAD), stage.join(DBA)),
    };
    let after = lines(&stage);
    assert!(after.starts_with(&before), "{point}: the first hub's lines stay as they are");
    nothing_lost(&lead, &after);
    nothing_lost(&dba, &after);
    raw.iter().for_each(|raw| raw_kept(raw, &after));
    let (was, is) = (kinds(&before), kinds(&after));
    let had = |kind: &str| was.iter().any(|k| k == kind);
    assert_eq!(had(kind), moment == "after", "{point}: {was:?}");
    let unknown = had("RunIntended") && !had("RunEnded");
    assert_eq!(is.contains(&"OutcomeUnknown".to_owned()), unknown, "{point}: {is:?}");
    assert_eq!(is.contains(&"Recovered".to_owned()), !before.is_empty(), "{point}");
    assert!(ran <= 1, "{point}: it ran {ran} times");
    assert!(had("RunIntended") || ran == 0, "{point}: it ran without an intent");

    // Nothing starts by itself, however long one looks: the lead gets an answer, and every line before it is folded.
    if unknown {
        let answer = lead.refused("arm go");
        assert!(answer.contains("go is unknown"), "{point}: {answer}");
        poll(PATIENCE, || dba.ask("settle go failed the hub died").starts_with("ok").then_some(())).expect("settled");
    }
    assert!(runs(&stage) <= 1 && kinds(&lines(&stage)).iter().filter(|kind| *kind == "RunIntended").count() <= 1);
    if !had("RunEnded") {
        let ran = runs(&stage);
        fly_on(&lead, &dba);
        assert_eq!(runs(&stage), ran + 1, "{point}");
    }
    lead.ok("close");
    assert!(hub.wait().success());
    nothing_lost(&lead, &lines(&stage));
}

#[test]
fn killed_at_every_point_of_a_run() {
    let kinds = ["SessionOpened", "StepArmed", "CheckOpened", "CrossChecked", "RunIntended", "RunStarted", "RunEnded"];
    // Most of each is waiting for clients to come back, so they wait at the same time.
    let points: Vec<_> = kinds.iter().flat_map(|kind| [("before", *kind), ("after", *kind)]).collect();
    let passed: Vec<_> = std::thread::scope(|scope| {
        let crash = |(moment, kind)| move || crash_at(moment, kind);
        let threads: Vec<_> = points.iter().map(|point| scope.spawn(crash(*point))).collect();
        threads.into_iter().map(|thread| thread.join().is_ok()).collect()
    });
    let failed: Vec<_> = points.iter().zip(&passed).filter(|(_, passed)| !**passed).collect();
    // Not by println: what a passing test prints is swallowed.
    let survived = passed.iter().filter(|passed| **passed).count();
    let _ = writeln!(std::io::stderr(), "set I: {survived} of {} points at which the hub is killed", points.len());
    assert!(failed.is_empty(), "{failed:?}");
}

/// A command that lives on without its hub, until something is written into `fifo`. `recorded`: whether the hub lived long
/// enough to record its start; if not, the note that the command left of itself is all there is.
fn outlives_its_hub(io: &str, recorded: bool) {
    let stage = Stage::new(&plan("trap '' HUP; echo ran >> ran.txt; read line < fifo", io));
    nix::unistd::mkfifo(&stage.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut hub = match recorded {
        true => stage.serve(&[]),
        // It waits there for ever: it is killed once the command has come far enough to ignore the end of its terminal.
        false => {
            let held = stage.path("held");
            nix::unistd::mkfifo(&held, nix::sys::stat::Mode::S_IRWXU).unwrap();
            stage.serve_with(&[("CROSSCHECK_PAUSE", &format!("before:RunStarted:{}", held.display()))], &[])
        }
    };
    stage.wait_for_links();
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    lead.ok("run");
    poll(PATIENCE, || (runs(&stage) == 1).then_some(())).expect("it runs");
    if recorded {
        lead.expect("go runs");
    }
    hub.kill();
    assert_eq!(stage.events("RunStarted").len(), usize::from(recorded));

    let _hub = stage.serve(&[]);
    lead.expect("go is unknown: the hub died while it ran; its process is still alive");
    dba.expect("link: connected again");
    assert_eq!(stage.events("OutcomeUnknown")[0]["still_running"], true);
    assert!(lead.refused("arm next").contains("step go is unknown: somebody other than the lead has to take note"));
    assert!(lead.refused("run").contains("unknown"));
    assert!(dba.refused("settle go failed lost it").contains("still alive; interrupt it, or wait until it is gone"));
    assert!(stage.events("ProcessGone").is_empty());

    std::fs::OpenOptions::new().write(true).open(stage.path("fifo")).unwrap().write_all(b"go\n").unwrap();
    lead.expect("the process of 01 go is gone");
    assert!(lead.refused("settle go failed mine").contains("somebody else has to take note"));
    dba.ok("settle go failed lost it");
    lead.ok("arm go");
    assert_eq!(runs(&stage), 1);
}

#[test]
fn a_command_behind_pipes_outlives_its_hub() {
    outlives_its_hub("pipe", true);
}

#[test]
fn a_command_in_a_terminal_that_ignores_hangups_outlives_its_hub() {
    outlives_its_hub("pty", true);
}

#[test]
fn a_command_whose_start_nobody_recorded_is_found_all_the_same() {
    outlives_its_hub("pipe", false);
    outlives_its_hub("pty", false);
}

#[test]
fn an_orphan_can_still_be_killed() {
    let stage = Stage::new(&plan("trap '' HUP INT; echo ran >> ran.txt; read line < fifo", "pipe"));
    nix::unistd::mkfifo(&stage.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    lead.ok("run");
    lead.expect("go runs");
    hub.kill();
    let _hub = stage.serve(&[]);
    lead.expect("link: connected again");
    lead.expect("its process is still alive");
    lead.ok("kill go");
    lead.expect("the process of 01 go is gone");
}

#[test]
fn a_lost_terminal_ends_neither_hub_nor_command() {
    let stage = Stage::new(&plan("echo ran >> ran.txt; read line < fifo; echo end >> ran.txt", "pty"));
    nix::unistd::mkfifo(&stage.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _end = EndHubs(&stage);
    let mut host = stage.host();
    host.expect("joined session");
    let dba = stage.join(DBA);
    host.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    host.ok("run");
    host.expect("go runs");
    host.signal(Signal::SIGHUP);
    host.wait();
    dba.expect("lead@example.org left");
    assert!(!stage.transcript().is_empty() && stage.events("RunEnded").is_empty());

    let host = stage.host();
    host.expect("attached to the running hub");
    host.expect("joined session");
    std::fs::OpenOptions::new().write(true).open(stage.path("fifo")).unwrap().write_all(b"go\n").unwrap();
    host.expect("go done: exit 0");
    assert_eq!(runs(&stage), 2, "its beginning and its end");
    let log = std::fs::read_dir(stage.path("transcripts")).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    for log in log.filter(|path| path.extension().is_some_and(|ending| ending == "log")) {
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&log).unwrap());
        assert_eq!(mode & 0o077, 0, "links stand in {}", log.display());
    }
    host.ok("close");
    host.expect("the session is closed");
}

/// Hubs that `host` started are nobody's children: ends those of that stage.
struct EndHubs<'a>(&'a Stage);
impl Drop for EndHubs<'_> {
    fn drop(&mut self) {
        let plan = self.0.plan().display().to_string();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<_> = command.split(|byte| *byte == 0).collect();
            if words.get(1) == Some(&&b"serve"[..]) && words.get(2) == Some(&plan.as_bytes()) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

#[test]
fn a_hub_that_is_asked_to_end_leaves_a_running_command_in_peace() {
    let stage = Stage::new(&plan("echo ran >> ran.txt; read line < fifo; echo end >> ran.txt", "pty"));
    nix::unistd::mkfifo(&stage.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    lead.ok("run");
    lead.expect("go runs");
    hub.signal(Signal::SIGHUP);
    hub.signal(Signal::SIGTERM);
    hub.expect("step go is running and is let run; the hub ends by itself afterwards");
    // Everyone is told, with what will happen.
    for somebody in [&lead, &dba] {
        somebody.expect("HUB STOPS: it ends once 01 go has ended, which is let run; nothing else starts");
    }
    hub.signal(Signal::SIGTERM);
    assert!(lead.refused("adhoc echo more # because").contains("the hub was asked to stop"));
    assert!(!hub.has_ended(), "asked twice it still lets it run");
    std::fs::OpenOptions::new().write(true).open(stage.path("fifo")).unwrap().write_all(b"go\n").unwrap();
    lead.expect("go done: exit 0");
    assert!(hub.wait().success(), "it ends by itself");
    assert_eq!(stage.events("StopAsked").len(), 1);
    // The next hub takes the session up as if nothing had been asked.
    let mut hub = stage.serve(&[]);
    for somebody in [&lead, &dba] {
        somebody.expect("the hub took the session up again");
        somebody.forget_answers();
    }
    hub.signal(Signal::SIGTERM);
    dba.expect("HUB STOPS: nothing runs, so it ends now; the session stays open");
    assert!(hub.wait().success());
}

#[test]
fn under_nohup_a_hub_survives_a_hang_up_and_its_commands_begin_afresh() {
    let stage = Stage::new(&plan("grep SigIgn /proc/self/status >> ran.txt", "pipe"));
    let hub = stage.serve_after("trap '' HUP QUIT");
    stage.wait_for_links();
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    hub.signal(Signal::SIGHUP);
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    lead.ok("run");
    lead.expect("go done: exit 0");
    let ignored = std::fs::read_to_string(stage.path("ran.txt")).unwrap();
    let mask = u64::from_str_radix(ignored.trim().rsplit('\t').next().unwrap(), 16).unwrap();
    assert_eq!(mask & 0b101, 0, "hang-up and quit are ignored by the hub alone: {ignored}");
}

#[test]
fn a_second_hub_keeps_away() {
    let stage = Stage::new(&plan("true", "pty"));
    let hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    let home = stage.home("second");
    let second = |folder: &Path| {
        let mut command = program(&home);
        command.arg("serve").arg(stage.plan()).arg("--transcripts").arg(folder);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = second(&stage.path("transcripts"));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&format!("another hub (process {}) has this session", hub.pid())), "{said}");
    assert!(said.contains("hint: "), "{said}");
    lead.ok("say still here");
    assert_eq!(kinds(&lines(&stage)).iter().filter(|kind| *kind == "Recovered").count(), 0);
}

//! What must be refused, is: seen by whoever asked, and on record. Nothing that was refused ran.

use crate::support::program::{Stage, program};
use crate::support::raw::{self, Raw};
use crate::support::wait::{PATIENCE, poll};
use crosscheck::identity::Key;
use crosscheck::protocol::{FromClient, FromHub};
use crosscheck::session::Request;
use crosscheck::session::steps::Phase;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SEARCH: &str = "search@example.org";

/// A plan with one step of that class, gates and further keys.
fn plan(class: &str, more: &str) -> String {
    format!(
        r#"
crosscheck = 1
name = "Refusals"
environment = "test"
[crew]
lead = ["{LEAD}"]
shadow = ["{DBA}", "{SEARCH}"]
observer = "link"
[[watch]]
id = "flag"
kind = "file"
path = "flag"
every = "100ms"
[[watch]]
id = "asked"
kind = "command"
run = "test -e flag"
every = "1h"
[[step]]
id = "go"
title = "Leave a trace"
class = "{class}"
run = ["./go.sh"]
{more}
"#
    )
}

fn stage(class: &str, more: &str) -> Stage {
    let stage = Stage::new(&plan(class, more));
    write_script(&stage, "echo ran >> ran.txt");
    std::fs::write(stage.path("flag"), "up\n").unwrap();
    stage
}

fn write_script(stage: &Stage, body: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = stage.path("go.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// How often the step's command ran.
fn runs(stage: &Stage) -> usize {
    std::fs::read_to_string(stage.path("ran.txt")).map_or(0, |text| text.lines().count())
}

/// The refusal is on record, with this in its reason.
fn on_record(stage: &Stage, who: &str, request: &str, reason: &str) {
    let refused = stage.events("Refused");
    let is = |event: &&serde_json::Value| {
        event["principal"] == who
            && event["request"] == request
            && event["reason"].as_str().is_some_and(|text| text.contains(reason))
    };
    assert!(refused.iter().any(|event| is(&event)), "no {request:?} of {who} refused for {reason:?} in {refused:#?}");
}

/// Waits until that watch was read as ok. It may have been before anybody joined.
fn reads_ok(stage: &Stage, watch: &str) {
    let is_ok = |turned: &serde_json::Value| turned["watch"] == watch && turned["to"] == "ok";
    poll(PATIENCE, || stage.events("GateTurned").iter().any(is_ok).then_some(())).expect("the watch reads ok");
}

#[test]
fn nobody_checks_their_own_step_and_nothing_runs_before_its_quorum() {
    let stage = stage("irreversible", "");
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    assert!(lead.refused("check").contains("nobody checks their own step"));
    on_record(&stage, LEAD, "check go", "nobody checks their own step");
    assert!(lead.refused("run").contains("needs 2 more cross-checks"));

    dba.expect("--- digest");
    dba.ok("check");
    assert!(lead.refused("run").contains("needs 1 more cross-check"));
    on_record(&stage, LEAD, "run go", "it needs 1 more cross-check");

    // The same person once more, over a second connection with the same key.
    let again = stage.join(DBA);
    again.expect("--- digest");
    assert!(again.refused("check").contains("one person counts once"));
    on_record(&stage, DBA, "check go", "has checked it already");
    assert!(lead.refused("run").contains("needs 1 more cross-check"));
    assert_eq!((runs(&stage), stage.events("RunRequested").len()), (0, 0));
}

#[tokio::test]
async fn one_key_under_two_names_is_one_person() {
    let stage = stage("irreversible", "");
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    let (links, key) = (stage.links(), Key::fresh().unwrap());
    let mut dba = Raw::join(&links[DBA], &key).await.unwrap();
    let mut search = Raw::join(&links[SEARCH], &key).await.unwrap();
    lead.ok("arm go");
    let mut answers = vec![];
    for who in [&mut dba, &mut search] {
        who.until("it is armed", |session| session.open_step().is_some()).await;
        let (step, attempt, digest) = panel(who);
        assert_eq!(who.refusal(Request::OpenCheck { step: step.clone(), attempt }).await, None);
        answers.push(who.refusal(Request::Check { step, attempt, digest }).await);
    }
    assert_eq!(answers[0], None);
    assert!(answers[1].as_ref().is_some_and(|why| why.contains("one key counts once")), "{answers:?}");
    on_record(&stage, SEARCH, "check go", "one key counts once");
}

fn panel(raw: &Raw) -> (crosscheck::name::StepId, u32, crosscheck::hash::Hash) {
    let (step, state, armed) = raw.session.open_step().expect("a step is armed");
    (step.id.clone(), state.attempt, armed.digest())
}

#[test]
fn a_gate_that_turned_stops_the_run() {
    let stage = stage("critical", r#"gates = ["flag"]"#);
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    reads_ok(&stage, "flag");
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    std::fs::remove_file(stage.path("flag")).unwrap();
    lead.expect("go is not armed any more: gate flag is ");
    assert!(lead.refused("run").contains("gate flag is "));
    on_record(&stage, LEAD, "run go", "gate flag is ");
    dba.expect("go is not armed any more");
    assert!(dba.refused("check").contains("gate flag is "), "a check of what is void");
    assert!(lead.refused("arm go").contains("gate flag is "));
    assert_eq!(runs(&stage), 0);

    std::fs::write(stage.path("flag"), "up\n").unwrap();
    lead.expect("watch flag is ok");
    lead.ok("arm go");
    assert!(lead.refused("run").contains("needs 1 more"), "the check went with the attempt");
}

#[test]
fn a_gate_is_read_anew_between_run_and_intent() {
    let stage = stage("critical", r#"gates = ["asked"]"#);
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    reads_ok(&stage, "asked");
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    // Nothing reads this watch within the hour, so only the reading that the run asks for can see it.
    std::fs::remove_file(stage.path("flag")).unwrap();
    lead.ok("run");
    lead.expect("go is not armed any more: gate asked is fail");
    assert_eq!(stage.events("RunRequested").len(), 1);
    assert_eq!((stage.events("RunIntended").len(), runs(&stage)), (0, 0));
    assert!(lead.refused("run").contains("gate asked is fail"));
    on_record(&stage, LEAD, "run go", "not armed any more: gate asked is fail");
}

#[tokio::test]
async fn a_check_counts_for_what_was_read_and_nothing_newer() {
    let stage = stage("critical", "");
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    let mut dba = Raw::join(&stage.links()[DBA], &Key::fresh().unwrap()).await.unwrap();
    lead.ok("arm go");
    dba.until("it is armed", |session| session.open_step().is_some()).await;
    let (step, first, old) = panel(&dba);
    lead.ok("disarm");
    write_script(&stage, "echo more >> ran.txt; echo ran >> ran.txt");
    lead.ok("arm go");
    dba.until("it is armed again", |session| session.open_step().is_some_and(|(_, state, _)| state.attempt == 2)).await;
    let (_, second, new) = panel(&dba);
    assert_ne!(old, new);
    assert_eq!(dba.refusal(Request::OpenCheck { step: step.clone(), attempt: second }).await, None);
    let late = dba.refusal(Request::Check { step: step.clone(), attempt: first, digest: old }).await;
    assert!(
        late.as_ref().is_some_and(|why| why.contains("that was attempt 1 of step go; now it is attempt 2")),
        "{late:?}"
    );
    let forged = dba.refusal(Request::Check { step, attempt: second, digest: old }).await;
    assert!(forged.as_ref().is_some_and(|why| why.contains("that was another digest")), "{forged:?}");
    on_record(&stage, DBA, "check go", "that was another digest");
    on_record(&stage, DBA, "check go", "that was attempt 1");
    assert!(lead.refused("run").contains("needs 1 more"));
}

#[test]
fn what_lapsed_is_armed_no_longer() {
    let stage = stage("critical", r#"lapse = "1s""#);
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.expect("go is not armed any more: it lapsed");
    assert!(dba.refused("check").contains("not armed any more: it lapsed"));
    on_record(&stage, DBA, "check go", "it lapsed");
    assert!(lead.refused("run").contains("it lapsed"));
    on_record(&stage, LEAD, "run go", "it lapsed");
}

#[test]
fn while_the_line_is_stopped_nothing_starts() {
    let stage = stage("critical", "");
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    dba.ok("andon smoke");
    lead.expect("ANDON: dba@example.org stopped the line: smoke");
    assert!(lead.refused("run").contains("the line was stopped"));
    assert!(lead.refused("arm go").contains("the line is stopped (andon by dba@example.org)"));
    on_record(&stage, LEAD, "run go", "the line was stopped");
    on_record(&stage, LEAD, "arm go", "the line is stopped");
    assert_eq!((stage.events("RunRequested").len(), runs(&stage)), (0, 0));
}

#[tokio::test]
async fn two_runs_in_one_batch_are_one_run() {
    let stage = stage("routine", "");
    let _hub = stage.serve(&[]);
    let mut lead = Raw::join(&stage.links()[LEAD], &Key::fresh().unwrap()).await.unwrap();
    let step = crosscheck::name::StepId::new("go").unwrap();
    assert_eq!(lead.refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
    lead.until("it is cleared", |session| {
        session.open_step().is_some_and(|(_, state, _)| state.phase == Phase::Cleared)
    })
    .await;
    let run = || Request::Run { step: step.clone(), attempt: 1 };
    // Ten, back to back; the hub takes what waits into one batch.
    let mut asked = vec![];
    for _ in 0..10 {
        asked.push(lead.ask(run()).await);
    }
    let mut refused = 0;
    for id in asked {
        refused += u32::from(lead.answer(id).await.is_some());
    }
    assert_eq!(refused, 9);
    lead.until("it is done", |session| session.steps[&step].phase == Phase::Done).await;
    let late = lead.refusal(run()).await;
    assert!(late.as_ref().is_some_and(|why| why.contains("step go is done")), "{late:?}");
    on_record(&stage, LEAD, "run go", "step go is ");
    on_record(&stage, LEAD, "run go", "step go is done, not armed");
    assert_eq!((stage.events("RunIntended").len(), runs(&stage)), (1, 1));
}

#[test]
fn observers_watch_and_stop_the_line_and_nothing_else() {
    let stage = stage("critical", "");
    let _hub = stage.serve(&[]);
    let (lead, dba, observer) = (stage.join(LEAD), stage.join(DBA), stage.join("observer"));
    lead.ok("arm go");
    observer.expect("--- digest");
    let verbs = [
        "arm go",
        "disarm",
        "check",
        "object no",
        "withdraw",
        "run",
        "interrupt go",
        "kill go",
        "settle go done so",
        "say hello",
        "mark here",
        "close",
        "handover lead@example.org",
        "release",
    ];
    for verb in verbs {
        observer.refused(verb);
    }
    observer.say("ack so");
    assert!(observer.answer().contains("no step waits"));
    let refused = stage.events("Refused");
    assert_eq!(refused.len(), verbs.len(), "{refused:#?}");
    assert!(refused.iter().all(|event| event["principal"].as_str().is_some_and(|who| who.starts_with("observer:"))));
    assert!(stage.events("Noted").is_empty() && stage.events("StepVoided").is_empty());

    observer.ok("andon it smells");
    lead.expect("stopped the line: it smells");
    dba.expect("go is not armed any more: the line was stopped");
}

#[test]
fn the_lead_does_not_settle() {
    let stage = stage("critical", "");
    write_script(&stage, "exit 3");
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    lead.ok("run");
    lead.expect("go failed: exit 3");
    assert!(lead.refused("settle go failed it is fine").contains("leads, and somebody else has to take note"));
    on_record(&stage, LEAD, "settle go", "somebody else has to take note");
    assert!(lead.refused("arm go").contains("is failed, not planned"));
    dba.expect("go failed");
    dba.ok("settle go failed seen it");
    lead.expect("settled 01 go as not done: seen it");
    lead.ok("arm go");
}

#[test]
fn what_changed_after_it_was_checked_does_not_run() {
    let stage = stage("critical", "");
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm go");
    dba.expect("--- digest");
    dba.ok("check");
    write_script(&stage, "echo evil >> ran.txt");
    lead.ok("run");
    lead.expect("go is not armed any more: what would run changed");
    assert_eq!((stage.events("RunIntended").len(), runs(&stage)), (0, 0));
    let voided = stage.events("StepVoided");
    let what = voided[0]["cause"]["bytes_changed"]["what"].as_str().unwrap_or_default();
    assert!(what.contains("go.sh changed: SHA-256"), "{voided:?}");
    assert!(lead.refused("run").contains("what would run changed"));
    on_record(&stage, LEAD, "run go", "what would run changed");
}

#[test]
fn a_personal_link_stays_with_its_first_key() {
    let stage = stage("critical", "");
    let _hub = stage.serve(&[]);
    let dba = stage.join(DBA);
    let stranger = program(&stage.home("stranger")).args(["join", &stage.links()[DBA], "--plain"]).output().unwrap();
    assert_eq!(stranger.status.code(), Some(3));
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(said.contains("used with another key first"), "{said}");
    dba.expect("refused to dba@example.org: join: this personal link was used with another key first");
    on_record(&stage, DBA, "join", "another key first");
}

#[tokio::test]
async fn wrong_links_and_unknown_versions_stay_outside() {
    let stage = stage("critical", "");
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    let mut link: crosscheck::link::Link = stage.links()[DBA].parse().unwrap();
    let token = std::mem::replace(&mut link.token, "0".repeat(32));
    let guess = program(&stage.home("guess")).args(["join", &link.to_string(), "--plain"]).output().unwrap();
    assert_eq!(guess.status.code(), Some(3));
    let said = String::from_utf8_lossy(&guess.stderr).into_owned();
    assert!(said.contains("the link's secret is wrong, or belongs to another session"), "{said}");
    lead.expect("refused to hub: join: a link with a wrong secret, from 127.0.0.1");
    on_record(&stage, "hub", "join", "wrong secret");

    let (mut socket, _) = crosscheck::client::connect::connect(&link, None).await.unwrap();
    raw::send(&mut socket, &FromClient::Knock { versions: vec![99], token }).await;
    match raw::hear(&mut socket).await {
        Ok(FromHub::Refuse { reason, .. }) => {
            assert!(reason.contains("this hub speaks protocol [1], the client [99]; use the same version"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(raw::end(&mut socket).await, raw::End::Closed(1008));
    lead.expect("a client that speaks protocol [99]");
    on_record(&stage, DBA, "join", "protocol [99]");
}

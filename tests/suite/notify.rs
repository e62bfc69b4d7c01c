//! Those outside are told: once, of what the plan says, whatever becomes of the hub; and whatever becomes of them, the
//! session flies on.

use crate::support::hook::{Answer, Hook};
use crate::support::program::{Hub, Plain, Stage, transcript_files};
use crate::support::wait::{PATIENCE, poll};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

fn plan(notify: &str) -> String {
    format!(
        r#"
crosscheck = 1
name = "Tell <others>"
environment = "test"
[crew]
lead = ["{LEAD}"]
shadow = ["{DBA}"]
{notify}
[[step]]
id = "look"
title = "Look"
run = "true"
[[step]]
id = "drop"
title = "Drop it"
class = "critical"
point_of_no_return = true
run = "true"
[[step]]
id = "fail"
title = "Fail"
run = "exit 3"
"#
    )
}

fn hook(address: std::net::SocketAddr, on: &str, more: &str) -> String {
    format!("[[notify]]\nname = \"chat\"\non = [{on}]\nwebhook = \"http://{address}/hook\"\n{more}\n")
}

const ALL: &str = r#""opened", "recovered", "waiting", "objected", "cleared", "running", "done", "failed", "acknowledged",
    "point-of-no-return", "andon", "released", "closed""#;

/// Everything that can happen on a small flight.
fn fly(lead: &Plain, dba: &Plain) {
    lead.ok("arm look");
    lead.ok("run");
    lead.expect("look done");
    dba.ok("andon is crosscheck://host:1/#t=hidden&p=dba <!channel> ok?");
    lead.expect("stopped the line");
    lead.ok("release");
    dba.ok("release");
    lead.ok("arm drop");
    dba.expect("armed 02 drop");
    dba.expect("--- digest");
    dba.ok("check");
    lead.expect("drop is cleared");
    lead.ok("run");
    lead.expect("drop done");
    lead.ok("arm fail");
    lead.ok("run");
    lead.expect("fail failed");
    dba.expect("fail failed");
    dba.ok("ack it always does");
    lead.expect("settled");
}

fn close(lead: &Plain, hub: &mut Hub) {
    lead.ok("close");
    assert!(hub.wait().success(), "{}", hub.printed());
}

#[track_caller]
fn valid(body: &Value) {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas/notify.json"));
    let schema = serde_json::from_str(&text.expect("the schema is there")).expect("it is JSON");
    let schema = jsonschema::validator_for(&schema).expect("it is a schema");
    let wrong: Vec<_> = schema.iter_errors(body).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}: {body}");
}

/// Waits until everything due was told or is known not to have been.
#[track_caller]
fn settled(stage: &Stage, results: usize) {
    let of = |event: &Value| event["of"].as_array().map_or(1, Vec::len);
    let come =
        || ["Notified", "NotifyFailed"].iter().flat_map(|kind| stage.events(kind)).map(|e| of(&e)).sum::<usize>();
    poll(PATIENCE, || (come() >= results).then_some(())).unwrap_or_else(|| panic!("{} of {results}", come()));
}

#[test]
fn everything_asked_for_is_told_once_and_nothing_else() {
    let hook_ = Hook::start(Answer::Trickles); // a yes is a yes, whatever follows it
    let stage = Stage::new(&plan(&hook(hook_.address, ALL, "")));
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&lead, &dba);
    settled(&stage, 13);
    close(&lead, &mut hub);
    let told: Vec<_> = hook_.posts();
    let occasions: Vec<_> = told.iter().map(|post| post.body["crosscheck"]["occasion"].as_str().unwrap()).collect();
    assert_eq!(
        occasions,
        [
            "opened",
            "running",
            "done",
            "andon",
            "released",
            "waiting",
            "cleared",
            "point-of-no-return",
            "running",
            "done",
            "running",
            "failed",
            "acknowledged",
            "closed"
        ]
        .as_slice()
    );
    let lines = stage.transcript();
    for post in &told {
        valid(&post.body);
        assert_eq!(post.request, "POST /hook HTTP/1.1");
        assert!(post.head.iter().any(|line| line.eq_ignore_ascii_case("content-type: application/json")), "{post:?}");
        let content = &post.body["crosscheck"];
        // What is told stands in the transcript, word for word.
        let line = &lines[usize::try_from(content["seq"].as_u64().unwrap()).unwrap() - 1];
        assert!(line["event"].get(content["event"].as_str().unwrap()).is_some(), "{content}: {line}");
        assert!(line["at"] == content["at"] && line["by"] == content["by"], "{content}: {line}");
    }
    let ids: std::collections::BTreeSet<_> =
        told.iter().map(|post| post.body["crosscheck"]["id"].to_string()).collect();
    assert_eq!(ids.len(), told.len(), "{ids:?}");
    let waiting = hook_.told("waiting");
    assert_eq!(waiting["crosscheck"]["waited_for"], serde_json::json!([DBA]));
    assert_eq!(waiting["crosscheck"]["step"], "drop");
    let andon = hook_.told("andon");
    assert_eq!(andon["crosscheck"]["waited_for"], serde_json::json!([LEAD, DBA]));
    let text = andon["text"].as_str().unwrap();
    assert!(text.starts_with("[test] Tell &lt;others&gt; · andon: ANDON: dba@example.org stopped the line"), "{text}");
    assert!(text.contains("is [link] &lt;!channel&gt; ok?"), "{text}");
    // All but the last line's, which no line can follow.
    assert_eq!(stage.events("Notified").len(), told.len() - 1);
    assert!(stage.events("NotifyFailed").is_empty());
}

/// How long the commands of a flight took, from request to end, in its transcript.
fn steps_took(stage: &Stage) -> Vec<Duration> {
    let lines = stage.transcript();
    let at = |line: &Value| line["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let times = |kind: &str| lines.iter().filter(|line| line["event"].get(kind).is_some()).map(at).collect::<Vec<_>>();
    let ms = |(from, to): (&i64, &i64)| Duration::from_millis(u64::try_from(to - from).unwrap());
    times("RunRequested").iter().zip(&times("RunEnded")).map(ms).collect()
}

/// Flies with that hook, and says how long its commands and all of it took.
fn flown(notify: &str, results: usize) -> (Stage, Vec<Duration>, Duration) {
    let stage = Stage::new(&plan(notify));
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    let began = Instant::now();
    fly(&lead, &dba);
    let took = began.elapsed();
    settled(&stage, results);
    close(&lead, &mut hub);
    let steps = steps_took(&stage);
    (stage, steps, took)
}

#[test]
fn a_dead_hook_holds_nobody_and_is_seen() {
    let silent = Hook::start(Answer::Hangs);
    let broken = Hook::start(Answer::status("500 Internal Server Error"));
    let elsewhere = Hook::start(Answer::status("200 OK"));
    let points = format!("Location: http://{}/elsewhere/SECRET-PATH\r\n", elsewhere.address);
    let redirects = Hook::start(Answer::Says("307 Temporary Redirect", points, String::new()));
    let none = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(); // and closed again
    let andon = "\"andon\"";
    let flights = [
        ("hangs", hook(silent.address, andon, "timeout = \"300ms\""), "said nothing within"),
        ("500", hook(broken.address, andon, ""), "answered 500"),
        ("redirects", hook(redirects.address, andon, ""), "redirects are not followed"),
        ("refused", hook(none, andon, ""), "connection refused"),
    ];
    let flights = std::thread::scope(|scope| {
        let alone = scope.spawn(|| flown("", 0));
        let flights = flights.map(|(name, notify, why)| (name, why, scope.spawn(move || flown(&notify, 1))));
        let (_, steps, took) = alone.join().expect("it flies");
        eprintln!("without a hook: {steps:?}, all of it {took:?}");
        flights.map(|(name, why, flight)| (name, why, flight.join().expect("it flies")))
    });
    for (name, why, (stage, steps, took)) in flights {
        eprintln!("hook {name}: {steps:?}, all of it {took:?}");
        let failed = stage.events("NotifyFailed");
        assert!(failed.len() == 1 && failed[0]["why"].as_str().unwrap().contains(why), "{name}: {failed:?}");
        assert_eq!(failed[0]["of"].as_array().unwrap().len(), 1);
        let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
        assert!(report.contains("## Told to others") && report.contains(why), "{name}: {report}");
        assert!(!report.contains("SECRET-PATH"), "{name}: {report}");
    }
    assert_eq!(broken.posts().len(), 4, "a few tries, and no more");
    assert_eq!((redirects.posts().len(), elsewhere.posts().len()), (1, 0));
    let waits: Vec<_> = broken.posts().windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(waits[0] < waits[1] && waits[1] < waits[2], "longer and longer: {waits:?}");
    let ids: std::collections::BTreeSet<_> =
        broken.posts().iter().map(|post| post.body["crosscheck"]["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "the same thing told again has the same id: {ids:?}");
}

#[test]
fn what_a_killed_hub_had_not_told_the_next_one_tells() {
    let chat = Hook::start(Answer::status("200 OK"));
    let stage = Stage::new(&plan(&hook(chat.address, "\"opened\", \"andon\", \"recovered\"", "")));
    let mut hub = stage.serve_with(&[("CROSSCHECK_CRASH", "after:AndonPulled")], &[]);
    stage.wait_for_links();
    let dba = stage.join(DBA);
    chat.told("opened");
    poll(PATIENCE, || (stage.events("Notified").len() == 1).then_some(())).expect("it is written down");
    dba.say("andon stop");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&hub.wait()), Some(9));
    assert!(chat.about("andon").is_empty(), "it died before it told anybody");
    assert_eq!(stage.events("AndonPulled").len(), 1);
    let _hub = stage.serve(&[]);
    chat.told("andon");
    chat.told("recovered");
    poll(PATIENCE, || (stage.events("Notified").len() == 3).then_some(())).expect("both are written down");
    let told: Vec<_> = chat.posts().iter().map(|post| post.body["crosscheck"]["occasion"].clone()).collect();
    assert_eq!(told, ["opened", "andon", "recovered"], "each once");
}

#[test]
fn what_was_told_and_not_written_down_is_told_again_by_the_same_id() {
    let chat = Hook::start(Answer::status("200 OK"));
    let stage = Stage::new(&plan(&hook(chat.address, "\"opened\"", "")));
    let mut hub = stage.serve_with(&[("CROSSCHECK_CRASH", "before:Notified")], &[]);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&hub.wait()), Some(9));
    assert_eq!(chat.posts().len(), 1);
    let _hub = stage.serve(&[]);
    poll(PATIENCE, || (stage.events("Notified").len() == 1).then_some(())).expect("it is written down");
    let ids: Vec<_> = chat.posts().iter().map(|post| post.body["crosscheck"]["id"].clone()).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
}

#[test]
fn a_hook_that_works_again_is_told_and_says_so() {
    let chat = Hook::start(Answer::Says("404 Not Found", String::new(), "no_service\n".into()));
    let stage = Stage::new(&plan(&hook(chat.address, "\"opened\", \"andon\"", "")));
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    poll(PATIENCE, || (stage.events("NotifyFailed").len() == 1).then_some(())).expect("it is written down");
    lead.say("status");
    lead.expect("notify chat (webhook): FAILED");
    chat.is(Answer::status("200 OK"));
    dba.ok("andon stop");
    lead.expect("chat can be told again");
    lead.say("status");
    lead.expect("notify chat (webhook): 1 told, 1 not");
    assert_eq!(chat.about("opened").len(), 1, "a no is a no");
}

#[test]
fn a_command_gets_the_same_on_its_standard_input() {
    let tell = "[[notify]]\non = [\"opened\", \"closed\"]\nrun = [\"./tell.sh\", \"a word\"]\n";
    let stage = Stage::new(&plan(tell));
    let script = "#!/bin/sh\ncat > told-$CROSSCHECK_OCCASION.json\n\
                  echo \"$1 $CROSSCHECK_SEQ $CROSSCHECK_ENVIRONMENT $CROSSCHECK_ID\" > env-$CROSSCHECK_OCCASION\n";
    std::fs::write(stage.path("tell.sh"), script).unwrap();
    std::fs::set_permissions(stage.path("tell.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    settled(&stage, 1);
    close(&lead, &mut hub);
    for (occasion, event) in [("opened", "SessionOpened"), ("closed", "SessionClosed")] {
        let text = std::fs::read_to_string(stage.path(format!("told-{occasion}.json"))).expect("it was told");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        valid(&told);
        assert_eq!(told["crosscheck"]["event"], event);
        let env = std::fs::read_to_string(stage.path(format!("env-{occasion}"))).unwrap();
        let (seq, id) = (&told["crosscheck"]["seq"], told["crosscheck"]["id"].as_str().unwrap());
        assert_eq!(env.trim(), format!("a word {seq} test {id}"));
    }
}

#[test]
fn a_command_may_be_a_text_or_a_table_with_its_folder_and_variables() {
    let tell = "[[notify]]\non = [\"opened\"]\nrun = { run = \"cat > told; echo $WHERE > where\", cwd = \"out\", env = { WHERE = \"here\" } }\n";
    let stage = Stage::new(&plan(tell));
    std::fs::create_dir(stage.path("out")).unwrap();
    let mut hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    settled(&stage, 1);
    close(&lead, &mut hub);
    let read = |file: &str| std::fs::read_to_string(stage.path("out").join(file)).expect("it was told");
    valid(&serde_json::from_str(&read("told")).expect("JSON"));
    assert_eq!(read("where"), "here\n");
}

#[test]
fn the_end_waits_five_seconds_for_a_dead_hook_and_no_longer() {
    let silent = Hook::start(Answer::Hangs);
    let stage = Stage::new(&plan(&hook(silent.address, "\"closed\"", "timeout = \"60s\"")));
    let mut hub = stage.serve(&[]);
    let mut lead = stage.join(LEAD);
    let began = Instant::now();
    lead.ok("close");
    lead.expect("the session is closed");
    lead.wait();
    let told = began.elapsed();
    assert!(hub.wait().success());
    let ended = began.elapsed();
    eprintln!("closed for the crew after {told:?}, the hub ended after {ended:?}");
    assert!(told + Duration::from_secs(2) < ended, "the crew does not wait for it: {told:?}, {ended:?}");
    assert!(ended > Duration::from_secs(5) && ended < Duration::from_secs(30), "{ended:?}");
    assert!(hub.printed().contains("chat of line"), "{}", hub.printed());
    assert!(hub.printed().contains("had not been told when the hub ended"), "{}", hub.printed());
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_secret_in_an_address_is_in_no_file_and_no_log() {
    const TOKEN: &str = "T0kenThatNobodyMaySee";
    // It says the address in its answer, as a helpful server might.
    let chat = Hook::start(Answer::Says("404 Not Found", String::new(), format!("no such hook /services/{TOKEN}\n")));
    let notify = format!(
        "[secrets]\nHOOK = {{ file = \"hook\" }}\n[[notify]]\nname = \"chat\"\non = [\"opened\", \"andon\"]\n\
         webhook = \"http://{}/services/{{{{ secret.HOOK }}}}\"\n",
        chat.address
    );
    let stage = Stage::new(&plan(&notify));
    std::fs::write(stage.path("hook"), format!("{TOKEN}\n")).unwrap();
    let mut hub = stage.serve_with(&[("CROSSCHECK_LOG", "trace"), ("RUST_LOG", "trace")], &[]);
    stage.wait_for_links();
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    poll(PATIENCE, || (stage.events("NotifyFailed").len() == 1).then_some(())).expect("it is written down");
    // What somebody types is rid of it too.
    chat.is(Answer::status("200 OK"));
    dba.ok(&format!("andon is it {TOKEN}?"));
    let andon = chat.told("andon");
    assert!(andon["text"].as_str().unwrap().contains("is it [secret HOOK]?"), "{andon}");
    lead.say("status");
    lead.expect("notify chat");
    settled(&stage, 2);
    lead.ok("release");
    dba.ok("release");
    close(&lead, &mut hub);
    assert!(chat.posts().iter().all(|post| post.request.contains(TOKEN)), "the address itself is whole");
    let failed = &stage.events("NotifyFailed")[0];
    assert!(failed["why"].as_str().unwrap().contains("[secret HOOK]"), "{failed}");
    let said = format!("andon is it {TOKEN}?");
    for file in files(&stage.path("")) {
        if file == stage.path("hook") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        // What dba typed stands where dba typed it; nothing else holds it.
        let text = text.replace(&format!("is it {TOKEN}?"), "");
        assert!(!text.contains(TOKEN), "{} holds it", file.display());
    }
    for printed in [hub.printed(), lead.printed(), dba.printed()] {
        let printed = printed.replace(&said[6..], "");
        assert!(!printed.contains(TOKEN), "{printed}");
    }
    assert!(transcript_files(&stage.path("transcripts")).len() == 1);
}

#[test]
fn lint_knows_what_can_be_told_and_warns_of_a_token() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("plan.toml");
    let lint = |notify: &str| {
        std::fs::write(&file, plan(notify)).unwrap();
        crate::support::program::run(home.path(), &["lint", file.to_str().unwrap()])
    };
    let (status, _, err) = lint("[[notify]]\non = [\"anden\"]\nwebhook = \"https://chat.example.org/x\"");
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("did you mean \"andon\"?") && err.contains("rollback-failed, acknowledged"), "{err}");
    let (status, out, err) =
        lint("[[notify]]\non = [\"andon\"]\nwebhook = \"https://hooks.slack.com/services/T00/B00/abcdef\"");
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("this looks like a secret in a webhook's address"), "{out}");
}

//! `sessions/drop-index.toml` flown on real parts: a PostgreSQL server, a Kafka broker and a web service, with a lead and two
//! shadows as separate processes. What the session says is held against what the parts themselves say.

use crate::support::kafka::Topic;
use crate::support::program::{Plain, Stage};
use crate::support::real::{Database, Service, part};
use crate::support::wait::{PATIENCE, poll};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::process::Command;

const PLAN: &str = include_str!("../../sessions/drop-index.toml");
/// More than the plan's `fail_above`.
const BEHIND: usize = 12_000;

#[test]
fn an_unused_index_is_dropped_on_a_real_database() {
    let (Some(server), Some(brokers)) = (part("CROSSCHECK_TEST_PG"), part("CROSSCHECK_TEST_KAFKA")) else { return };
    let database = Database::new(&server, "shop");
    database.query(
        "create table orders (id serial primary key, customer int, note text);
         insert into orders (customer, note) select n % 100, 'order ' || n from generate_series(1, 10000) n;
         create index orders_customer_old_idx on orders (customer)",
    );
    let topic = Topic::new(&brokers, 3);
    let reader = topic.reader();
    topic.produce(300);
    reader.read(300);
    assert_eq!(
        (reader.partitions().len(), topic.lag()),
        (3, 0),
        "one reader has all partitions and has read everything"
    );
    topic.produce(BEHIND); // and now it pauses
    let service = Service::start();

    let stage = Stage::new(PLAN);
    std::fs::create_dir(stage.path("backups")).expect("a folder for backups");
    let params = [
        format!("pg={server}"),
        format!("database={}", database.name),
        format!("brokers={brokers}"),
        format!("group={}", topic.group),
        format!("topic={}", topic.name),
        format!("health_url=http://{}/health", service.address),
        format!("backup_dir={}", stage.path("backups").display()),
    ];
    let args: Vec<&str> = params.iter().flat_map(|param| ["--param", param.as_str()]).collect();
    let mut hub = stage.serve(&args);
    let lead = stage.join("lead@example.org");
    let shadows = [stage.join("dba@example.org"), stage.join("search@example.org")];

    fly(&lead, "backup");
    let dumps: Vec<_> = std::fs::read_dir(stage.path("backups")).expect("it is there").flatten().collect();
    assert_eq!(dumps.len(), 1, "one whole dump and nothing beside it");
    let listed = listing(&dumps[0].path());
    assert!(listed.contains("TABLE DATA public orders") && listed.contains("orders_customer_old_idx"), "{listed}");
    fly(&lead, "check-unused");
    lead.expect("| 0 scans");

    // Nobody drops anything while there is no backup.
    let aside = stage.path("aside.dump");
    std::fs::rename(dumps[0].path(), &aside).expect("one folder, one file system");
    reading(&stage, "backup", |reading| reading["status"] == "fail");
    let refusal = lead.refused("arm drop-index");
    assert!(refusal.contains("backup"), "the gate is named: {refusal}");
    std::fs::rename(&aside, dumps[0].path()).expect("and back");
    reading(&stage, "backup", |reading| reading["status"] == "ok");

    // Nor while the consumer is behind; and what is said of it is what the broker says.
    assert_eq!(topic.lag(), BEHIND as i64);
    let red = reading(&stage, "order-lag", |reading| reading["status"] == "fail");
    assert_eq!(red["value"], BEHIND as f64, "{red}");
    let refusal = lead.refused("arm drop-index");
    assert!(refusal.contains("order-lag"), "the gate is named: {refusal}");
    reader.read(BEHIND / 2 + 17);
    let left = topic.lag();
    assert_eq!(left, (BEHIND - BEHIND / 2 - 17) as i64);
    let warned = reading(&stage, "order-lag", |reading| reading["value"] == left as f64);
    assert_eq!(warned["status"], "warn");
    assert!(lead.refused("arm drop-index").contains("order-lag"), "a warning is not ok");
    reader.read(left as usize);
    assert_eq!(topic.lag(), 0);
    reading(&stage, "order-lag", |reading| reading["status"] == "ok" && reading["value"] == 0.0);

    lead.ok("arm drop-index");
    for shadow in &shadows {
        shadow.expect(&format!("dbname={}", database.name));
        shadow.expect("argument 6: -c");
        shadow.expect("argument 7: DROP INDEX <index>");
        shadow.ok("readback index orders_customer_old_idx");
        shadow.expect("argument 7: DROP INDEX orders_customer_old_idx");
        shadow.expect("AFTER THIS NOTHING CAN BE UNDONE");
        assert_eq!(indexes(&database), "1");
        lead.refused("run");
        shadow.ok("check");
    }
    lead.ok("run");
    lead.expect("drop-index done");
    assert_eq!(indexes(&database), "0", "it is really gone");
    fly(&lead, "verify");
    lead.ok("close nobody missed it");
    assert!(hub.wait().success(), "{}", hub.printed());

    assert_eq!(database.query("select count(*) from orders"), "10000");
    let closed = stage.events("SessionClosed");
    assert_eq!((closed.len(), &closed[0]["outcome"]), (1, &Value::from("complete")));
    let last = stage.transcript().pop().expect("it has lines");
    assert!(last["event"].get("SessionClosed").is_some(), "nothing follows the end: {last}");
    assert_links(&stage.transcript_file());
    assert_armed_as_checked(&stage);
}

/// Arms and runs a step that needs nobody else.
fn fly(lead: &Plain, step: &str) {
    lead.ok(&format!("arm {step}"));
    lead.ok("run");
    lead.expect(&format!("{step} done"));
}

fn indexes(database: &Database) -> String {
    database.query("select count(*) from pg_indexes where indexname = 'orders_customer_old_idx'")
}

/// What the dump holds, by the tool that would restore it.
fn listing(dump: &Path) -> String {
    let output = Command::new("pg_restore").arg("--list").arg(dump).output().expect("pg_restore starts");
    assert!(output.status.success(), "{}: {}", dump.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until the latest reading of a watch is like that.
fn reading(stage: &Stage, watch: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut latest = Value::Null;
    let found = poll(PATIENCE, || {
        let taken = stage.events("ReadingTaken");
        latest = taken.into_iter().rev().find(|taken| taken["watch"] == watch)?["reading"].clone();
        wanted(&latest).then(|| latest.clone())
    });
    found.unwrap_or_else(|| panic!("{watch} never came to it; the last reading is {latest}"))
}

/// Every line names the SHA-256 of the line before, computed here without any of the program's code.
fn assert_links(transcript: &Path) {
    let bytes = std::fs::read(transcript).expect("the transcript can be read");
    let mut before = "0".repeat(64);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line.last(), Some(&b'\n'), "a closed transcript ends with a whole line");
        let value: Value = serde_json::from_slice(line).expect("a line is JSON");
        assert_eq!(value["seq"], index + 1);
        assert_eq!(value["prev"], before.as_str(), "line {} links to the one before", index + 1);
        before = Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect();
    }
    // And once by the tool that an auditor has.
    let output = Command::new("sha256sum").arg(transcript).output().expect("sha256sum starts");
    let whole: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&whole));
}

/// What two different people checked is the digest of the very bytes that stand in the transcript.
fn assert_armed_as_checked(stage: &Stage) {
    let text = std::fs::read_to_string(stage.transcript_file()).expect("it is text");
    let line =
        text.lines().rfind(|line| line.contains("{\"StepArmed\":{\"step\":\"drop-index\"")).expect("it was armed");
    let covers = line.split_once("\"covers\":").expect("it says what it covers").1;
    let covers = covers.strip_suffix("}}}").expect("covers is the last field");
    let digest: String = Sha256::digest(covers).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut people = vec![];
    for line in stage.transcript() {
        if let Some(check) = line["event"].get("CrossChecked") {
            assert_eq!(check["digest"], digest.as_str());
            people.push(line["by"].as_str().expect("somebody").to_owned());
        }
    }
    assert_eq!(people, ["dba@example.org", "search@example.org"]);
}

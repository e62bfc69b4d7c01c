//! The watch `nessie` on a real Project Nessie, and what the sample plans need of OpenSearch and Redis.

use crate::support::parts::{Page, Server, redis};
use crate::support::wait::{PATIENCE, poll};
use crate::support::watch::{Watch, says};
use crosscheck::event::Status;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

#[test]
fn a_branch_of_a_real_nessie_is_seen_to_stand_to_move_and_to_be_gone() {
    let Some(nessie) = Server::nessie() else { return };
    nessie.commit("main", "seed", "file:/seed/1");
    nessie.branch("ingest", "main");
    nessie.branch("team/blue", "main");
    let folder = tempfile::tempdir().expect("a folder");
    let lines = |more: &str| format!("kind = \"nessie\"\nuri = \"{}\"\nevery = \"1s\"\n{more}", nessie.url("/api/v2"));
    let watch = |more: &str| Watch::start(folder.path(), &lines(more));

    let mut ingest = watch("ref = \"ingest\"\nmax_behind = 0\non_move = \"warn\"");
    says(&ingest.read(), Status::Ok, "0 ahead, 0 behind");
    let head = nessie.commit("ingest", "sales", "file:/sales/1");
    let moved = ingest.read();
    says(&moved, Status::Warn, "1 ahead, 0 behind; moved from");
    assert_eq!((moved.value, moved.unit.as_str()), (Some(1.0), "commits"));
    assert!(moved.why.contains(&format!("branch ingest at {}", &head[..12])), "{}", moved.why);
    says(&watch("ref = \"ingest\"\nmax_ahead = 0").read(), Status::Fail, "1 commits ahead of");
    says(&watch(&format!("ref = \"ingest\"\nexpect_head = \"{head}\"")).read(), Status::Ok, "at");
    says(&watch(&format!("ref = \"main\"\nexpect_head = \"{head}\"")).read(), Status::Fail, "was expected");
    let mut blue = watch("ref = \"team/blue\"\nsame_head_as = \"main\"");
    says(&blue.read(), Status::Ok, "branch team/blue at");
    nessie.commit("main", "seed", "file:/seed/2");
    says(&blue.read(), Status::Fail, "main is at");
    says(&ingest.read(), Status::Fail, "1 commits behind");

    // A branch that is gone is bad; a page that is no API of Nessie is not known.
    let at = nessie.head("ingest");
    nessie.ok("DELETE", &format!("/api/v2/trees/ingest@{at}"), "");
    says(&ingest.read(), Status::Fail, "no branch or tag \"ingest\"");
    let elsewhere = nessie.url("/nothing/api/v2");
    let elsewhere = format!("kind = \"nessie\"\nref = \"main\"\nuri = \"{elsewhere}\"");
    says(&Watch::start(folder.path(), &elsewhere).read(), Status::Unknown, "no answer of Nessie");

    // Silent, then gone: never ok.
    let mut main = watch("ref = \"main\"");
    says(&main.read(), Status::Ok, "branch main at");
    nessie.signal(Signal::SIGSTOP);
    says(&main.read(), Status::Unknown, "within");
    nessie.signal(Signal::SIGCONT);
    assert!(poll(PATIENCE, || (main.read().status == Status::Ok).then_some(())).is_some(), "it comes back");
    drop(nessie);
    says(&main.read(), Status::Unknown, "connection refused");
}

/// What the plan of a reindex rests on: a job that returns at once, counts, and an alias that changes hands in one step.
#[test]
fn a_real_search_engine_reindexes_by_itself_and_switches_an_alias() {
    let Some(search) = Server::search() else { return };
    let settings = json!({ "settings": { "number_of_shards": 1, "number_of_replicas": 0 } }).to_string();
    search.ok("PUT", "/customers_v41", &settings);
    search.ok("PUT", "/customers_v42", &settings);
    let bulk: String =
        (1..=500).map(|n| format!("{{\"index\":{{\"_id\":\"{n}\"}}}}\n{{\"name\":\"c{n}\"}}\n")).collect();
    search.ok("POST", "/customers_v41/_bulk?refresh=true", &bulk);
    let alias = |verb: &str, index: &str| json!({ verb: { "index": index, "alias": "customers" } });
    search.ok("POST", "/_aliases", &json!({ "actions": [alias("add", "customers_v41")] }).to_string());
    let job = json!({ "source": { "index": "customers_v41" }, "dest": { "index": "customers_v42" } });
    let started = search.ok("POST", "/_reindex?wait_for_completion=false", &job.to_string());
    let task = started["task"].as_str().expect("a task").to_owned();
    let done = || (search.ok("GET", &format!("/_tasks/{task}"), "")["completed"] == true).then_some(());
    assert!(poll(PATIENCE, done).is_some(), "the job ends");
    search.ok("POST", "/customers_v42/_refresh", "");
    assert_eq!(search.ok("GET", "/customers_v42/_count", "")["count"], 500);
    let actions = json!({ "actions": [alias("remove", "customers_v41"), alias("add", "customers_v42")] });
    search.ok("POST", "/_aliases", &actions.to_string());
    let holders = search.ok("GET", "/_alias/customers", "");
    assert_eq!(
        holders.as_object().map(|holders| holders.keys().collect::<Vec<_>>()),
        Some(vec![&"customers_v42".into()])
    );
    search.ok("DELETE", "/customers_v41", "");
    assert_eq!(search.get("/customers_v41/_count").map(|(status, _)| status), Some(404));
    assert_eq!(search.ok("GET", "/customers/_count", "")["count"], Value::from(500));
}

/// What the plan of a conditional update rests on: a page that shows what is in the store, before and after.
#[test]
fn a_page_shows_what_a_real_redis_has() {
    let Some(store) = Server::redis() else { return };
    let page = Page::of(store.port);
    let folder = tempfile::tempdir().expect("a folder");
    let lines = format!(
        "kind = \"http\"\nevery = \"1s\"\nurl = \"http://{}/price:1\"\nexpect = {{ present = \"EUR\" }}",
        page.address
    );
    let mut watch = Watch::start(folder.path(), &lines);
    says(&watch.read(), Status::Fail, "no such page");
    redis(store.port, &["SET", "price:1", "12 EUR"]).expect("it is set");
    says(&watch.read(), Status::Ok, "200 in");
    redis(store.port, &["SET", "price:1", "12"]).expect("it is set");
    says(&watch.read(), Status::Fail, "\"EUR\"");
    drop(store);
    says(&watch.read(), Status::Fail, "refused");
}

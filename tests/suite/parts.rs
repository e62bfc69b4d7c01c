//! The watch `nessie` on a real Project Nessie, `lakefs` on a server that speaks its API, and what the sample plans need of OpenSearch and Redis.

use crate::support::parts::{LAKEFS, Page, Server, redis};
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

/// Not lakeFS itself: a server of the tests' own, whose requests and answers are those of lakeFS's SDK.
#[test]
fn a_branch_of_lakefs_is_seen_to_stand_to_move_and_to_be_gone() {
    let Some(lakefs) = Server::lakefs() else { return };
    let seed = lakefs.holds("main", "sales", "1");
    lakefs.shop("POST", "/branches", r#"{"name":"ingest","source":"main"}"#);
    lakefs.shop("POST", "/tags", r#"{"id":"before","ref":"main"}"#);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), format!("{}\n", LAKEFS.1)).expect("written");
    std::fs::write(folder.path().join("wrong"), "hunter3").expect("written");
    let lines = |more: &str| {
        format!(
            "kind = \"lakefs\"\nuri = \"{}\"\nrepository = \"shop\"\nevery = \"1s\"\naccess_key_id = \"{}\"\n\
             secret_access_key = {{ file = \"secret\" }}\n{more}",
            lakefs.url("/api/v1"),
            LAKEFS.0
        )
    };
    let watch = |more: &str| Watch::start(folder.path(), &lines(more));
    let read = |more: &str| watch(more).read();

    let mut ingest =
        watch("ref = \"ingest\"\nbase = \"main\"\nmax_behind = 0\nmax_uncommitted = 0\non_move = \"warn\"");
    let still = ingest.read();
    says(&still, Status::Ok, "0 ahead of main, 0 behind main, 0 uncommitted");
    assert_eq!((still.value, still.unit.as_str()), (Some(0.0), "commits"));
    lakefs.shop("POST", "/branches/ingest/objects?path=sales", "2");
    says(&ingest.read(), Status::Fail, "1 uncommitted, at most 0 allowed");
    let head = lakefs.holds("ingest", "sales", "2");
    let moved = ingest.read();
    says(&moved, Status::Warn, "1 ahead of main, 0 behind main, 0 uncommitted; moved from");
    assert!(moved.value == Some(1.0) && moved.why.contains(&format!("branch ingest at {}", &head[..12])), "{moved:?}");
    says(&read("ref = \"ingest\"\nbase = \"main\"\nmax_ahead = 0"), Status::Fail, "1 ahead of main, at most 0");
    says(&read(&format!("ref = \"ingest\"\nexpect_head = \"{head}\"")), Status::Ok, "at");
    says(&read(&format!("ref = \"main\"\nexpect_head = \"{head}\"")), Status::Fail, "was expected");
    let mut tag = watch("ref = \"before\"\nsame_head_as = \"main\"\nmax_uncommitted = 0");
    says(&tag.read(), Status::Ok, &format!("tag before at {}", &seed[..12]));

    // A merge on main: the branch lacks the merge alone, and nothing of it is ahead.
    lakefs.shop("POST", "/refs/ingest/merge/main", "{}");
    says(&ingest.read(), Status::Fail, "0 ahead of main, 1 behind main");
    says(&tag.read(), Status::Fail, "main is at");
    // More commits than one page: asked for until the logs meet.
    for n in 0..60 {
        lakefs.holds("main", "more", &n.to_string());
    }
    says(&ingest.read(), Status::Fail, "0 ahead of main, 61 behind main");
    says(&read("ref = \"main\"\nbase = \"ingest\""), Status::Ok, "61 ahead of ingest, 0 behind ingest");
    says(&read("ref = \"main\"\nbase = \"before\""), Status::Ok, "62 ahead of before, 0 behind before");

    // Rules.
    says(&read("ref = \"main\"\nprotected = true"), Status::Fail, "not protected; protected was expected");
    lakefs.shop("PUT", "/settings/branch_protection", r#"[{"pattern":"release-*"},{"pattern":"ma?n"}]"#);
    says(&read("ref = \"main\"\nprotected = true"), Status::Ok, ", protected");
    says(&read("ref = \"ingest\"\nprotected = true"), Status::Fail, "not protected");
    says(&read("ref = \"before\"\nprotected = true"), Status::Unknown, "a tag is protected by no rule");

    // What is gone is bad; who is not let in, and a page that is no API of lakeFS, know nothing.
    lakefs.shop("DELETE", "/branches/ingest", "");
    says(&ingest.read(), Status::Fail, "no branch or tag \"ingest\"");
    says(&read("ref = \"main\"\nbase = \"ingest\""), Status::Fail, "no \"ingest\" to measure it against");
    says(&read("ref = \"main\"\nsame_head_as = \"ingest\""), Status::Fail, "no \"ingest\" to hold it against");
    let main = lines("ref = \"main\"");
    for (was, is, words) in [
        ("file = \"secret\"", "file = \"wrong\"", "(status 401): error authenticating request"),
        ("file = \"secret\"", "file = \"gone\"", "no secret_access_key to ask with"),
        ("\"shop\"", "\"shap\"", "lakeFS says: repository not found"),
        ("/api/v1", "/ui/api/v1", "no answer of lakeFS"),
    ] {
        let reading = Watch::start(folder.path(), &main.replace(was, is)).read();
        says(&reading, Status::Unknown, words);
        assert!(reading.value.is_none() && !reading.why.contains("hunter"), "{reading:?}");
    }

    // Silent, then gone: never ok.
    let mut main = watch("ref = \"main\"");
    says(&main.read(), Status::Ok, "branch main at");
    lakefs.signal(Signal::SIGSTOP);
    says(&main.read(), Status::Unknown, "within");
    lakefs.signal(Signal::SIGCONT);
    assert!(poll(PATIENCE, || (main.read().status == Status::Ok).then_some(())).is_some(), "it comes back");
    drop(lakefs);
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

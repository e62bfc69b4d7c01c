//! The releases of `sessions/`, rehearsed on real parts: each to its end, and those that can be undone through that as well. What
//! is live lies beside what the rehearsal is on, and is afterwards what it was before.

use crate::samples::{behind_alias, count, customers, has, lies, list, named};
use crate::support::crew::{Crew, sample};
use crate::support::parts::{LAKEFS, Page, Server, redis};
use crate::support::program::run;
use crate::support::real::{Database, part, psql, unique};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file names of a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_search_index() {
    let Some(search) = Server::search() else { return };
    customers(&search, "");
    customers(&search, "rehearsal_");
    let live = || {
        let found = ["v41", "v42"].map(|version| search.get(&format!("/customers_{version}/_count")));
        (behind_alias(&search, ""), count(&search, "customers/_count?q=name:smith"), found)
    };
    let before = live();
    let crew = Crew::rehearse(sample("reindex"), &[("url", &search.url(""))], &[]);
    crew.go();
    crew.fly("create");
    crew.fly("copy");
    // As many documents, and readers find nobody who is called Smith.
    named(&search, "rehearsal_customers_v42", ["Jones", "Jones"]);
    crew.start("swap");
    crew.is_undone("swap", "readers");
    assert_eq!(behind_alias(&search, "rehearsal_"), ["rehearsal_customers_v41"]);
    crew.dba.expect("is rolled back");
    crew.dba.ok("ack nobody is found by name");
    named(&search, "rehearsal_customers_v42", ["Smith", "Jones"]);
    crew.by_hand("tell", "we would tell support and the shop");
    crew.fly("swap");
    assert_eq!(behind_alias(&search, "rehearsal_"), ["rehearsal_customers_v42"]);
    crew.reads("old-unused", "ok", "");
    crew.fly("drop");
    assert_eq!(search.get("/rehearsal_customers_v41/_count").map(|(status, _)| status), Some(404));
    crew.close("");
    assert_eq!(live(), before);
}

#[test]
fn a_column() {
    let Some(server) = part("CROSSCHECK_TEST_PG") else { return };
    let database = Database::new(&server, "shop");
    database.query(
        "create table orders (id serial primary key, customer int, note text);
         insert into orders (customer, note) select n % 100, 'order ' || n from generate_series(1, 1000) n;
         create schema rehearsal; create table rehearsal.orders as select * from orders where id <= 100",
    );
    let stage = sample("drop-column");
    let backups = stage.path("backups");
    std::fs::create_dir_all(backups.join("rehearsal")).expect("folders for backups");
    let columns = |schema: &str| {
        database.query(&format!(
            "select string_agg(column_name, ' ' order by ordinal_position) from information_schema.columns
             where table_schema = '{schema}' and table_name = 'orders'"
        ))
    };
    let live = || {
        let rows = database.query("select count(*), count(note), max(xmin::text::int) from public.orders");
        (columns("public"), rows, names(&backups))
    };
    let before = live();
    let (address, reads) = (database.address(), Arc::new(AtomicBool::new(true)));
    let still = reads.clone();
    let page = Page::showing(move |_| {
        let columns = if still.load(Ordering::SeqCst) { "id, note" } else { "id, customer" };
        psql(&address, &format!("select {columns} from rehearsal.orders limit 1"))
            .map_or_else(|error| (500, error), |row| (200, row))
    });
    let (pg, page_at, folder) = (database.address(), page.url("/orders"), backups.display().to_string());
    let crew = Crew::rehearse(stage, &[("pg", &pg), ("backup_dir", &folder), ("page", &page_at)], &[]);
    crew.go();
    crew.fly("backup");
    crew.fly("drill");
    crew.lead.expect("came back: 100 rows, 100 values; are there: 100 rows, 100 values");
    crew.start("hide");
    crew.is_undone("hide", "shop");
    assert_eq!(columns("rehearsal"), "id customer note");
    crew.dba.expect("is rolled back");
    crew.dba.ok("ack the page reads it");
    reads.store(false, Ordering::SeqCst);
    crew.fly("hide");
    assert_eq!(columns("rehearsal"), "id customer note_hidden");
    crew.by_hand("reports", "we would start them");
    crew.fly("drop");
    assert_eq!(columns("rehearsal"), "id customer");
    crew.fly("gone");
    // Before the folder goes with the crew.
    assert_eq!(live(), before);
    assert_eq!(names(&backups.join("rehearsal")).len(), 2, "a dump and what the drill says");
    crew.close("");
}

#[test]
fn values_behind_pages() {
    let Some(store) = Server::redis() else { return };
    let stage = sample("update");
    let file = stage.path("update/prices.tsv");
    let good = std::fs::read_to_string(&file).expect("the list");
    let lines = list(&good);
    for before in ["", "rehearsal:"] {
        for [key, old, _] in &lines {
            redis(store.port, &["SET", &format!("{before}{key}"), old]).expect("it is set");
        }
    }
    // One without its currency.
    std::fs::write(&file, good.replace("17 EUR", "17")).expect("written");
    let page = Page::of(store.port);
    let (port, at) = (store.port.to_string(), page.url(""));
    let crew = Crew::rehearse(stage, &[("host", "127.0.0.1"), ("port", &port), ("page", &at)], &[]);
    crew.go();
    crew.start("update");
    crew.is_undone("update", "pages");
    let rehearsed = |of: usize| {
        for line in &lines {
            assert_eq!(has(&store, &format!("rehearsal:{}", line[0])).as_ref(), Some(&line[of]), "{}", line[0]);
        }
    };
    rehearsed(1);
    crew.dba.expect("is rolled back");
    crew.dba.ok("ack one price had no currency");
    std::fs::write(&file, &good).expect("written");
    crew.fly("pause");
    crew.start("update");
    crew.lead.expect("01 update goes on with batch 3 of 3");
    crew.fly("left");
    rehearsed(2);
    crew.close("");
    for [key, old, _] in &lines {
        assert_eq!(has(&store, key).as_ref(), Some(old), "live, {key} is what it was");
    }
    assert_eq!(has(&store, "import:paused"), None, "and the import is not paused");
    assert!(has(&store, "rehearsal:import:paused").is_some());
}

#[test]
fn a_data_branch() {
    let Some(nessie) = Server::nessie() else { return };
    const BRANCHES: [&str; 5] = ["main", "blue", "green", "live", "ingest"];
    nessie.commit("main", "sales", "file:/lake/sales/1");
    for branch in &BRANCHES[1..] {
        nessie.branch(branch, "main");
    }
    nessie.commit("ingest", "sales", "file:/lake/sales/2");
    for branch in BRANCHES {
        nessie.branch(&format!("rehearsal-{branch}"), branch);
    }
    let live = || BRANCHES.map(|branch| nessie.head(branch));
    let before = live();
    // Readers of what is live cannot read what is new, at first.
    let (port, denied) = (nessie.port, Arc::new(AtomicBool::new(true)));
    let denies = denied.clone();
    let page = Page::showing(move |path| {
        let branch = path.split_once("?ref=").map_or("main", |(_, branch)| branch);
        match crate::support::parts::ask(port, "GET", &format!("/api/v2/trees/{branch}/contents/sales"), "") {
            Some((200, found)) => match found["content"]["metadataLocation"].as_str() {
                Some(new) if new.ends_with('2') && branch.ends_with("live") && denies.load(Ordering::SeqCst) => {
                    (500, format!("{new}: access denied"))
                }
                place => (200, place.unwrap_or_default().to_owned()),
            },
            _ => (502, format!("no table on {branch}")),
        }
    });
    let (uri, smoke) = (nessie.url("/api/v2"), page.url("/smoke"));
    let params = [("uri", uri.as_str()), ("smoke", &smoke), ("green", "green"), ("blue", "blue")];
    let crew = Crew::rehearse(sample("promote"), &params, &[]);
    crew.go();
    crew.fly("look");
    crew.fly("merge");
    crew.fly("stage");
    crew.start("switch");
    crew.is_undone("switch", "live-page");
    assert_eq!(nessie.head("rehearsal-live"), nessie.head("rehearsal-blue"));
    crew.dba.expect("is rolled back");
    crew.dba.ok("ack readers may not read the new place");
    denied.store(false, Ordering::SeqCst);
    crew.fly("switch");
    assert_eq!(nessie.head("rehearsal-live"), nessie.head("rehearsal-main"));
    assert_eq!(lies(&nessie, "rehearsal-live"), "file:/lake/sales/2");
    crew.close("");
    assert_eq!(live(), before);
    assert_eq!(lies(&nessie, "live"), "file:/lake/sales/1");
}

#[test]
fn a_branch_of_lakefs() {
    let Some(lakefs) = Server::lakefs() else { return };
    lakefs.holds("main", "sales", r#"{"good":true,"day":1}"#);
    lakefs.shop("PUT", "/settings/branch_protection", r#"[{"pattern":"main"},{"pattern":"rehearsal-main"}]"#);
    lakefs.shop("POST", "/branches", r#"{"name":"ingest","source":"main"}"#);
    lakefs.holds("ingest", "sales", r#"{"good":false,"day":2}"#);
    for branch in ["main", "ingest"] {
        lakefs.shop("POST", "/branches", &format!(r#"{{"name":"rehearsal-{branch}","source":"{branch}"}}"#));
    }
    let live = || ["main", "ingest"].map(|branch| lakefs.stands(branch));
    let before = live();
    let day = |of: &str| lakefs.shop("GET", &format!("/refs/{of}/objects?path=sales"), "")["day"].clone();
    let page = Page::of_lakefs(lakefs.port, "sales");
    let (uri, smoke) = (lakefs.url("/api/v1"), page.url("/smoke"));
    let params =
        [("uri", uri.as_str()), ("smoke", &smoke), ("repository", "shop"), ("tag", "before-2"), ("key", LAKEFS.0)];
    let crew = Crew::rehearse(sample("promote-lakefs"), &params, &[("LAKEFS_SECRET_ACCESS_KEY", LAKEFS.1)]);
    crew.go();
    crew.fly("look");
    crew.fly("tag");
    crew.start("merge");
    crew.is_undone("merge", "live-page");
    assert_eq!((day("rehearsal-main"), day("rehearsal-ingest")), (1.into(), 2.into()));
    crew.dba.expect("is rolled back");
    crew.dba.ok("ack readers may not read the new format");
    crew.close("what was ingested has to be written anew");
    assert_eq!(live(), before);
    let tag = crate::support::parts::lakefs(lakefs.port, "GET", "/repositories/shop/tags/before-2", "");
    assert_eq!(tag.map(|(status, _)| status), Some(404), "only the rehearsal's own is there");
}

/// The smallest one: nothing but a folder, and no poll.
#[test]
fn a_folder() {
    let folder = std::path::PathBuf::from(format!("/tmp/{}", unique("crosscheck-purge").replace('_', "-")));
    let scratch = std::path::PathBuf::from(format!("{}-rehearsal", folder.display()));
    std::fs::create_dir_all(folder.join("exports")).expect("folders");
    std::fs::write(folder.join("exports/1.csv"), "live\n").expect("written");
    let at = folder.display().to_string();
    let crew = Crew::rehearse(sample("purge-files"), &[("folder", &at)], &[]);
    for step in ["fill", "backup", "purge", "gone"] {
        crew.fly(step);
    }
    crew.close("");
    assert_eq!((names(&folder), names(&folder.join("exports"))), (vec!["exports".to_owned()], vec!["1.csv".into()]));
    let left = names(&scratch);
    assert!(left.len() == 1 && left[0].starts_with("exports-"), "{left:?}");
    for folder in [folder, scratch] {
        std::fs::remove_dir_all(folder).expect("it was made here");
    }
}

/// What is a rehearsal's is never looked at live.
#[test]
fn a_live_session_does_not_take_the_values_of_a_rehearsal() {
    for name in ["demo", "drop-column", "drop-index", "promote", "purge-files", "purge", "reindex", "update"] {
        let stage = sample(name);
        let text = std::fs::read_to_string(stage.plan()).expect("the plan");
        let plan = crosscheck::plan::Plan::parse("plan.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let scratch = plan.params["scratch"].rehearsal.clone().expect("a value");
        let (file, param) = (stage.plan().display().to_string(), format!("scratch={scratch}"));
        let (code, _, err) = run(&stage.home("x"), &["serve", &file, "--param", &param]);
        assert!(code != Some(0) && err.contains("is its value in a rehearsal"), "{name}: {err}");
    }
}

#[cfg(feature = "kafka")]
mod kafka {
    use super::*;
    use crate::samples::purge::{left, topics, with_tools};
    use crate::support::kafka::Topic;
    use crate::support::program::Stage;
    use crate::support::real::Service;
    use crate::support::writer::Writer;
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
    use rdkafka::mocking::MockCluster;
    use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

    #[test]
    fn two_topics() {
        let (Some(brokers), Some(jars)) = (part("CROSSCHECK_TEST_KAFKA"), part("CROSSCHECK_TEST_KAFKA_JARS")) else {
            return;
        };
        let (raw, long, group) = (unique("raw"), unique("long"), unique("readers"));
        let beside = topics(&brokers, [&raw, &long], "delete");
        let live = || beside.each_ref().map(|log| (log.marks(0), log.marks(1), log.setting("max.message.bytes")));
        let before = live();
        let practised = topics(&brokers, [&format!("rehearsal-{raw}"), &format!("rehearsal-{long}")], "delete");
        let is_closed = || practised.each_ref().map(|log| log.setting("max.message.bytes").as_deref() == Some("1"));
        let writer = Writer::to(&brokers, &practised[0].name);
        let (stage, path) = with_tools(&jars);
        let (archive, page) = (stage.path("archive").display().to_string(), writer.page.url("/"));
        let params = [
            ("brokers", brokers.as_str()),
            ("raw", &raw),
            ("long", &long),
            ("group", &group),
            ("archive", &archive),
            ("writer", &page),
        ];
        let crew = Crew::rehearse(stage, &params, &[("PATH", &path)]);
        crew.go();
        crew.start("close");
        crew.is_undone("close", "writers");
        assert_eq!(is_closed(), [false, false]);
        crew.dba.expect("is rolled back");
        crew.dba.ok("ack the writers keep nothing");
        writer.keep();
        crew.fly("close");
        assert_eq!(is_closed(), [true, true]);
        crew.fly("drain");
        for log in &practised {
            log.commit_all(&format!("rehearsal-{group}"), 2);
        }
        crew.fly("purge-raw");
        crew.fly("purge-long");
        assert_eq!(practised.each_ref().map(left), [0, 0]);
        crew.fly("empty");
        crew.fly("open");
        assert_eq!(is_closed(), [false, false]);
        crew.close("");
        assert_eq!(live(), before);
    }

    #[test]
    fn a_database_index() {
        let (Some(server), Some(brokers)) = (part("CROSSCHECK_TEST_PG"), part("CROSSCHECK_TEST_KAFKA")) else { return };
        let database = Database::new(&server, "shop");
        database.query(
            "create table orders (id serial primary key, customer int);
             insert into orders (customer) select n % 100 from generate_series(1, 1000) n;
             create index orders_customer_old_idx on orders (customer);
             create schema rehearsal; create table rehearsal.orders as select * from orders where id <= 100;
             create index orders_customer_old_idx on rehearsal.orders (customer)",
        );
        let topic = Topic::new(&brokers, 1);
        topic.produce(10);
        topic.reader().read(10);
        let service = Service::start();
        let stage = sample("drop-index");
        let backups = stage.path("backups");
        std::fs::create_dir_all(backups.join("rehearsal")).expect("folders for backups");
        let indices = |schema: &str| {
            database.query(&format!(
                "select count(*) from pg_indexes where schemaname = '{schema}' and tablename = 'orders'"
            ))
        };
        let live = || (indices("public"), names(&backups));
        let before = live();
        let (folder, health) = (backups.display().to_string(), format!("http://{}/health", service.address));
        let params = [
            ("pg", server.as_str()),
            ("database", &database.name),
            ("brokers", &brokers),
            ("group", &topic.group),
            ("topic", &topic.name),
            ("health_url", &health),
            ("backup_dir", &folder),
        ];
        let crew = Crew::rehearse(stage, &params, &[]);
        assert_eq!(indices("rehearsal"), "1");
        for step in ["backup", "check-unused", "drop-index", "verify"] {
            crew.fly(step);
        }
        assert_eq!(indices("rehearsal"), "0");
        assert_eq!(live(), before);
        assert_eq!(names(&backups.join("rehearsal")).len(), 1, "one dump");
        crew.close("");
    }

    /// Beside what it destroys, and on the parts that the demo starts: a broker in this process and a page.
    #[test]
    fn the_demo() {
        const TOPIC: &str = "customers.changed";
        let cluster = MockCluster::new(1).expect("a broker");
        cluster.create_topic(TOPIC, 3, 1).expect("a topic");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "search-ingest");
        let consumer: BaseConsumer = config.set("enable.metrics.push", "false").create().expect("a consumer");
        let mut read = TopicPartitionList::new();
        for partition in 0..3 {
            read.add_partition_offset(TOPIC, partition, Offset::Offset(0)).expect("an offset");
        }
        consumer.commit(&read, CommitMode::Sync).expect("the commit is taken");
        let page = Page::showing(|_| (200, "{\"status\":\"green\",\"old_exports\":2}".to_owned()));

        let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("sessions");
        let stage = Stage::new(&std::fs::read_to_string(sessions.join("demo.toml")).expect("the plan"));
        std::fs::copy(sessions.join("demo-drop.sh"), stage.path("demo-drop.sh")).expect("copied");
        for folder in ["", "rehearsal"] {
            std::fs::create_dir_all(stage.path(folder).join("exports")).expect("a folder");
            // More than a backup that is no copy of nothing needs.
            let records = "1,Customer 1,Riga\n".repeat(1000);
            for file in ["exports/1.csv", "exports/2.csv", "customers_v41.index"] {
                std::fs::write(stage.path(folder).join(file), &records).expect("written");
            }
        }
        let live = || {
            (names(&stage.path("exports")), stage.path("customers_v41.index").exists(), stage.path("backups").exists())
        };
        let before = live();
        let (api, brokers) = (format!("api={}", page.url("")), format!("brokers={}", cluster.bootstrap_servers()));
        let data = ["--rehearse", "--data", "two exports", "--param", &api, "--param", &brokers];
        let mut hub = stage.serve(&data);
        let (lead, shadow) = (stage.join("lead@example.org"), stage.join("demo-shadow@example.org"));
        for step in ["backup", "count", "drop", "verify"] {
            let armed = crate::support::wait::poll(crate::support::wait::PATIENCE, || {
                crate::support::program::bare(&lead.ask(&format!("arm {step}"))).starts_with("ok ").then_some(())
            });
            assert!(armed.is_some(), "{step} is not armed\n{}", lead.printed());
            if step == "drop" {
                shadow.expect("--- digest");
                shadow.ok("check");
            }
            lead.ok("run");
            lead.expect(&format!("{step} done"));
        }
        lead.ok("close");
        assert!(hub.wait().success(), "{}", hub.printed());
        assert_eq!(live(), before);
        assert_eq!(
            (names(&stage.path("rehearsal/exports")).len(), names(&stage.path("rehearsal/backups")).len()),
            (0, 1)
        );
    }
}

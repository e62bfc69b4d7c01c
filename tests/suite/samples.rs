//! The releases of `sessions/`, flown on real parts: each once to its end, and once through its failure, which is a real one. What
//! the session says is held against what the parts themselves say.

use crate::support::crew::{Crew, sample};
use crate::support::parts::{LAKEFS, Page, Server, redis};
use crate::support::program::Stage;
use crate::support::real::{Database, part, psql};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

// --- search: a new index behind an alias -------------------------------------------------------------------------------

/// 500 customers behind an alias, half of which are called Smith.
pub fn customers(search: &Server, before: &str) {
    let index = json!({ "settings": { "number_of_shards": 1, "number_of_replicas": 0 },
        "mappings": { "properties": { "name": { "type": "text" } } } });
    search.ok("PUT", &format!("/{before}customers_v41"), &index.to_string());
    named(search, &format!("{before}customers_v41"), ["Smith", "Jones"]);
    let add = json!({ "index": format!("{before}customers_v41"), "alias": format!("{before}customers") });
    search.ok("POST", "/_aliases", &json!({ "actions": [{ "add": add }] }).to_string());
}

/// Those 500 are called that by turns.
pub fn named(search: &Server, index: &str, names: [&str; 2]) {
    let line = |n: usize| format!("{{\"index\":{{\"_id\":\"{n}\"}}}}\n{{\"name\":\"{} {n}\"}}\n", names[n % 2]);
    search.ok("POST", &format!("/{index}/_bulk?refresh=true"), &(0..500).map(line).collect::<String>());
}

pub fn count(search: &Server, of: &str) -> Value {
    search.ok("GET", &format!("/{of}"), "")["count"].clone()
}

/// Which index readers get.
pub fn behind_alias(search: &Server, before: &str) -> Vec<String> {
    let holders = search.ok("GET", &format!("/_alias/{before}customers"), "");
    holders.as_object().expect("indices by name").keys().cloned().collect()
}

#[test]
fn an_index_is_built_anew_and_the_old_one_dropped() {
    let Some(search) = Server::search() else { return };
    customers(&search, "");
    let crew = Crew::board(sample("reindex"), &[("url", &search.url(""))], &[]);
    crew.go();
    crew.fly("create");
    crew.fly("copy");
    assert_eq!(behind_alias(&search, ""), ["customers_v41"]);
    // Nobody drops what readers get.
    assert!(crew.lead.refused("arm drop").contains("swap"));
    crew.fly("swap");
    assert_eq!(behind_alias(&search, ""), ["customers_v42"]);
    assert_eq!((count(&search, "customers/_count"), count(&search, "customers_v41/_count")), (500.into(), 500.into()));
    crew.reads("old-unused", "ok", "");
    crew.fly("drop");
    assert_eq!(search.get("/customers_v41/_count").map(|(status, _)| status), Some(404), "it is really gone");
    assert_eq!(count(&search, "customers/_count?q=name:smith"), 250);
    crew.close("");
}

#[test]
fn an_index_in_which_nobody_finds_anything_is_taken_back() {
    let Some(search) = Server::search() else { return };
    customers(&search, "");
    let stage = sample("reindex");
    // As many documents, and no reader's search finds one: the field holds whole names now.
    let index = std::fs::read_to_string(stage.path("reindex/index.json")).expect("it is there");
    assert!(index.contains("\"text\""));
    std::fs::write(stage.path("reindex/index.json"), index.replace("\"text\"", "\"keyword\"")).expect("written");
    let crew = Crew::board(stage, &[("url", &search.url(""))], &[]);
    crew.go();
    crew.fly("create");
    crew.fly("copy");
    crew.start("swap");
    crew.is_undone("swap", "readers");
    assert_eq!(behind_alias(&search, ""), ["customers_v41"]);
    assert_eq!(count(&search, "customers/_count?q=name:smith"), 250);
    assert_eq!(
        (count(&search, "customers_v42/_count"), count(&search, "customers_v42/_count?q=name:smith")),
        (500.into(), 0.into())
    );
    crew.owes_a_word("swap", "drop", "rolled back");
    crew.dba.expect("is rolled back");
    crew.dba.ok("ack name is mapped as a keyword; readers have the old index");
    // Another try is possible. Nothing is dropped behind a swap that is not done; and where two leave that out, not what readers get.
    let refused = crew.lead.refused("arm drop");
    assert!(refused.contains("swap, which is settled as NOT done"), "{refused}");
    crew.arm("swap");
    crew.lead.ok("disarm");
    crew.leave_out("swap", "the old index stays");
    let refused = crew.lead.refused("arm drop");
    assert!(refused.contains("old-unused"), "{refused}");
    // Whoever was told that search is new has to hear that it is not.
    let refused = crew.lead.refused("close");
    assert!(refused.contains("tell has to be done before the end"), "{refused}");
    crew.by_hand("tell", "support and the shop know");
    let report = crew.close("mapping to be mended; the old index serves");
    assert!(report.contains("as the plan says**: worse than before"), "{report}");
}

// --- PostgreSQL: a column that nothing reads ---------------------------------------------------------------------------

const ROWS: &str = "1000 1000"; // rows, and rows in which the column says something

struct Shop {
    database: Database,
    page: Page,
    backups: PathBuf,
}

/// A table, and a page that reads these columns of it.
fn shop(server: &str, stage: &Stage, columns: &str) -> Shop {
    let database = Database::new(server, "shop");
    database.query(
        "create table orders (id serial primary key, customer int, note text);
         insert into orders (customer, note) select n % 100, 'order ' || n from generate_series(1, 1000) n",
    );
    let (address, sql) = (database.address(), format!("select {columns} from orders limit 1"));
    let page = Page::showing(move |_| psql(&address, &sql).map_or_else(|error| (500, error), |row| (200, row)));
    let backups = stage.path("backups");
    std::fs::create_dir(&backups).expect("a folder for backups");
    Shop { database, page, backups }
}

impl Shop {
    fn crew(&self, stage: Stage) -> Crew {
        let backups = self.backups.display().to_string();
        let (pg, page) = (self.database.address(), self.page.url("/orders"));
        Crew::board(stage, &[("pg", &pg), ("backup_dir", &backups), ("page", &page)], &[])
    }
    fn columns(&self) -> String {
        self.database.query(
            "select string_agg(column_name, ' ' order by ordinal_position) from information_schema.columns
             where table_name = 'orders'",
        )
    }
    fn dump(&self) -> PathBuf {
        let files = std::fs::read_dir(&self.backups).expect("it is there").flatten().map(|entry| entry.path());
        let mut dumps: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "dump")).collect();
        assert_eq!(dumps.len(), 1, "one whole dump: {dumps:?}");
        dumps.remove(0)
    }
}

fn written_at(file: &Path, hours_ago: u64) {
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(hours_ago * 3600);
    let file = std::fs::File::options().write(true).open(file).expect("it is there");
    file.set_modified(then).expect("its time is set");
}

#[test]
fn a_column_that_nobody_reads_is_hidden_and_then_dropped() {
    let Some(server) = part("CROSSCHECK_TEST_PG") else { return };
    let stage = sample("drop-column");
    let shop = shop(&server, &stage, "id, customer");
    let crew = shop.crew(stage);
    crew.go();
    crew.fly("backup");
    crew.fly("drill");
    crew.lead.expect("came back: 1000 rows, 1000 values; are there: 1000 rows, 1000 values");
    crew.fly("hide");
    assert_eq!(shop.columns(), "id customer note_hidden");
    assert!(crew.lead.refused("arm drop").contains("reports"));
    crew.by_hand("reports", "all ended well, in /reports/today");
    // The way back from here on is the dump: not without a young one, nor once it is old between check and run.
    let dump = shop.dump();
    written_at(&dump, 2);
    crew.reads("backup", "fail", "");
    assert!(crew.lead.refused("arm drop").contains("backup"));
    written_at(&dump, 0);
    crew.arm("drop");
    crew.clear("drop");
    written_at(&dump, 2);
    crew.lead.ask("run"); // either the gate turned already, or it is found out when it is read for the run
    crew.lead.expect("05 drop is not armed any more");
    assert_eq!(shop.columns(), "id customer note_hidden");
    written_at(&dump, 0);
    crew.fly("drop");
    assert_eq!(shop.columns(), "id customer", "it is really gone");
    crew.fly("gone");
    assert_eq!(shop.database.query("select count(*) from orders"), "1000");
    let report = crew.close("");
    assert!(report.contains("What stands in it that stands nowhere else?"), "{report}");
}

#[test]
fn a_column_that_a_page_still_reads_gets_its_name_back() {
    let Some(server) = part("CROSSCHECK_TEST_PG") else { return };
    let stage = sample("drop-column");
    let shop = shop(&server, &stage, "id, note");
    let crew = shop.crew(stage);
    crew.go();
    crew.fly("backup");
    crew.fly("drill");
    crew.start("hide");
    crew.is_undone("hide", "shop");
    assert_eq!(shop.columns(), "id customer note");
    assert_eq!(shop.database.query("select count(*) || ' ' || count(note) from orders"), ROWS);
    crew.owes_a_word("hide", "drop", "rolled back");
    crew.search.expect("is rolled back");
    crew.search.ok("ack the order page reads it; its name is back");
    // Nothing is hidden, so there is nothing that could be dropped, whatever is left out on the way there.
    crew.arm("hide");
    crew.lead.ok("disarm");
    for step in ["reports", "hide"] {
        let refused = crew.lead.refused("arm drop");
        assert!(!refused.contains("preview"), "{refused}");
        crew.leave_out(step, "nothing is hidden");
    }
    let refused = crew.lead.refused("arm drop");
    assert!(refused.contains("preview") && refused.contains("no column note_hidden"), "{refused}");
    crew.close("the order page first");
    assert_eq!(shop.columns(), "id customer note");
}

// --- Redis: values behind pages ----------------------------------------------------------------------------------------

/// Key, old and new value of every line of a list.
pub fn list(text: &str) -> Vec<[String; 3]> {
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().expect("three"))
        .collect()
}

fn update(store: &Server, stage: Stage, lines: &[[String; 3]]) -> (Crew, Page) {
    for [key, old, _] in lines {
        redis(store.port, &["SET", key, old]).expect("it is set");
    }
    let page = Page::of(store.port);
    let (port, at) = (store.port.to_string(), page.url(""));
    let crew = Crew::board(stage, &[("host", "127.0.0.1"), ("port", &port), ("page", &at)], &[]);
    crew.go();
    (crew, page)
}

pub fn has(store: &Server, key: &str) -> Option<String> {
    redis(store.port, &["GET", key]).expect("it answers")
}

#[test]
fn values_behind_pages_are_changed() {
    let Some(store) = Server::redis() else { return };
    let stage = sample("update");
    let lines = list(&std::fs::read_to_string(stage.path("update/prices.tsv")).expect("the list"));
    let (crew, _page) = update(&store, stage, &lines);
    crew.start("update");
    for batch in ["2 of 3: lines 3 to 5", "3 of 3: lines 6 to 6"] {
        crew.lead.expect("01 update verified: same as before");
        crew.lead.expect(&format!("01 update goes on with batch {batch}"));
    }
    crew.lead.expect("01 update verified: same as before");
    for [key, _, new] in &lines {
        assert_eq!(has(&store, key).as_ref(), Some(new), "{key}");
    }
    crew.fly("left");
    crew.close("");
    assert_eq!(has(&store, "import:paused"), None, "nothing was undone, so nothing had to be paused");
}

#[test]
fn a_value_that_breaks_a_page_is_put_back_with_all_others() {
    let Some(store) = Server::redis() else { return };
    let stage = sample("update");
    let file = stage.path("update/prices.tsv");
    let text = std::fs::read_to_string(&file).expect("the list").replace("17 EUR", "17");
    std::fs::write(&file, &text).expect("written");
    let lines = list(&text);
    let (crew, _page) = update(&store, stage, &lines);
    crew.start("update");
    // It stands in the second batch: the third is never begun.
    crew.lead.expect("01 update goes on with batch 2 of 3");
    crew.is_undone("update", "pages");
    for [key, old, _] in &lines {
        assert_eq!(has(&store, key).as_ref(), Some(old), "{key}");
    }
    crew.owes_a_word("update", "left", "rolled back");
    crew.search.expect("is rolled back");
    crew.search.ok("ack one price had no currency; all are as they were");
    let refused = crew.lead.refused("arm left");
    assert!(refused.contains("update, which is settled as NOT done"), "{refused}");
    crew.leave_out("update", "we look how many are left");
    crew.arm("left");
    crew.lead.ok("disarm");
    // The job that would set them again has to be stopped before anybody goes home.
    let refused = crew.lead.refused("close");
    assert!(refused.contains("pause has to be done before the end"), "{refused}");
    crew.fly("pause");
    assert!(has(&store, "import:paused").is_some());
    crew.close("the list has to be mended");
}

#[test]
fn a_value_that_somebody_else_changed_is_theirs() {
    let Some(store) = Server::redis() else { return };
    let stage = sample("update");
    let lines = list(&std::fs::read_to_string(stage.path("update/prices.tsv")).expect("the list"));
    let (crew, _page) = update(&store, stage, &lines);
    let theirs = &lines[4][0];
    redis(store.port, &["SET", theirs, "99 EUR"]).expect("it is set");
    crew.start("update");
    crew.lead.expect("ROLLBACK of 01 update, as the plan says: exit 1");
    crew.lead.expect("01 update is rolled back");
    for [key, old, _] in &lines {
        let wanted = if key == theirs { "99 EUR" } else { old };
        assert_eq!(has(&store, key).as_deref(), Some(wanted), "{key}");
    }
    crew.owes_a_word("update", "left", "rolled back");
    crew.dba.expect("is rolled back");
    crew.dba.ok("ack the shop changed one by hand");
    crew.fly("pause");
    crew.close("the list is out of date");
}

// --- Nessie: a data branch -------------------------------------------------------------------------------------------

/// A catalog in which blue is live; what was ingested lies there.
fn lake(ingested: &str) -> Option<(Server, Page)> {
    let nessie = Server::nessie()?;
    nessie.commit("main", "sales", "file:/lake/sales/1");
    for branch in ["blue", "green", "live", "ingest"] {
        nessie.branch(branch, "main");
    }
    nessie.commit("ingest", "sales", ingested);
    let page = Page::reading(nessie.port, "sales");
    Some((nessie, page))
}

fn promote(nessie: &Server, page: &Page) -> Crew {
    let (uri, smoke) = (nessie.url("/api/v2"), page.url("/smoke"));
    let params = [("uri", uri.as_str()), ("smoke", &smoke), ("green", "green"), ("blue", "blue")];
    let crew = Crew::board(sample("promote"), &params, &[]);
    crew.go();
    crew.fly("look");
    crew.fly("merge");
    crew.fly("stage");
    crew
}

pub fn lies(nessie: &Server, branch: &str) -> Value {
    nessie.ok("GET", &format!("/api/v2/trees/{branch}/contents/sales"), "")["content"]["metadataLocation"].clone()
}

#[test]
fn a_data_branch_goes_live() {
    let Some((nessie, page)) = lake("file:/lake/sales/2") else { return };
    let before = nessie.head("live");
    let crew = promote(&nessie, &page);
    assert_eq!((nessie.head("live"), nessie.head("green")), (before.clone(), nessie.head("main")), "staged, not live");
    crew.fly("switch");
    assert_eq!(nessie.head("live"), nessie.head("main"));
    assert_eq!((nessie.head("blue"), lies(&nessie, "live")), (before, "file:/lake/sales/2".into()));
    crew.close("");
}

#[test]
fn data_that_readers_cannot_read_goes_back() {
    // Staging may read there; readers may not.
    let Some((nessie, page)) = lake("s3://private/sales/2") else { return };
    let before = nessie.head("live");
    let crew = promote(&nessie, &page);
    crew.reads("staging-page", "ok", "");
    crew.start("switch");
    crew.is_undone("switch", "live-page");
    assert_eq!((nessie.head("live"), nessie.head("blue")), (before.clone(), before));
    assert_eq!(
        (lies(&nessie, "live"), lies(&nessie, "green")),
        ("file:/lake/sales/1".into(), "s3://private/sales/2".into())
    );
    crew.owes_a_word("switch", "switch", "rolled back");
    crew.dba.expect("is rolled back");
    crew.dba.ok("ack readers may not read the new place; live is blue again");
    crew.arm("switch");
    crew.lead.ok("disarm");
    crew.close("the place has to be readable first");
}

// --- Kafka: personal data in topics ------------------------------------------------------------------------------------

#[cfg(feature = "kafka")]
pub mod purge {
    use super::*;
    use crate::support::log::Log;
    use crate::support::real::unique;
    use crate::support::wait::{PATIENCE, poll};
    use crate::support::writer::Writer;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const DAYS_1: (&str, &str) = ("retention.ms", "86400000");
    const DAYS_14: (&str, &str) = ("retention.ms", "1209600000");
    /// So that a young record lies in the segment of an old one, which is then kept.
    const ONE_SEGMENT: (&str, &str) = ("segment.ms", "31536000000");

    struct Events {
        raw: Log,
        long: Log,
        group: String,
        writer: Writer,
        crew: Crew,
    }

    /// Two topics that hold records for longer than they may.
    pub fn topics(brokers: &str, names: [&str; 2], policy: &str) -> [Log; 2] {
        let made = |name: &str, limit, policy, ago| {
            let log = Log::named(brokers, name, 2, &[("retention.ms", "-1"), ONE_SEGMENT]);
            for partition in 0..2 {
                log.write(partition, 30, ago);
                log.write(partition, 1, Duration::ZERO);
            }
            // Limit and policy come last: the broker might look between the old records and the young one, and takes no
            // record without a key where it compacts.
            log.configure(&[limit, ONE_SEGMENT, ("cleanup.policy", policy)]);
            log
        };
        [made(names[0], DAYS_1, "delete", 2 * DAY), made(names[1], DAYS_14, policy, 20 * DAY)]
    }

    /// The plan with what it needs, and the `PATH` for its hub.
    pub fn with_tools(jars: &str) -> (Stage, String) {
        let stage = sample("purge");
        // Kafka's own tools, which a distribution starts by scripts of these names.
        std::fs::create_dir(stage.path("bin")).expect("a folder");
        for (name, class) in [
            ("kafka-get-offsets.sh", "org.apache.kafka.tools.GetOffsetShell"),
            ("kafka-delete-records.sh", "org.apache.kafka.tools.DeleteRecordsCommand"),
            ("kafka-configs.sh", "kafka.admin.ConfigCommand"),
        ] {
            let java =
                "java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error";
            let script = stage.path("bin").join(name);
            std::fs::write(&script, format!("#!/bin/sh\nexec {java} -cp '{jars}/*' {class} \"$@\"\n"))
                .expect("written");
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("made executable");
        }
        std::fs::create_dir(stage.path("archive")).expect("a folder");
        std::fs::write(stage.path("archive/today.jsonl"), "{\"orders\": 62}\n").expect("written");
        let path = format!("{}:{}", stage.path("bin").display(), std::env::var("PATH").expect("a PATH"));
        (stage, path)
    }

    /// Records of both partitions that can still be read.
    pub fn left(log: &Log) -> i64 {
        (0..2).map(|partition| log.marks(partition)).map(|(first, next)| next - first).sum()
    }

    /// The same two, and a service that writes to the first.
    fn events(policy: &str) -> Option<Events> {
        let (brokers, jars) = (part("CROSSCHECK_TEST_KAFKA")?, part("CROSSCHECK_TEST_KAFKA_JARS")?);
        let [raw, long] = topics(&brokers, [&unique("log"), &unique("log")], policy);
        let writer = Writer::to(&brokers, &raw.name);
        let (stage, path) = with_tools(&jars);
        let group = unique("readers");
        let (archive, page) = (stage.path("archive").display().to_string(), writer.page.url("/"));
        let params = [
            ("brokers", brokers.as_str()),
            ("raw", &raw.name),
            ("long", &long.name),
            ("group", &group),
            ("archive", &archive),
            ("writer", &page),
        ];
        let crew = Crew::board(stage, &params, &[("PATH", &path)]);
        Some(Events { raw, long, group, writer, crew })
    }

    impl Events {
        fn is_closed(&self) -> [bool; 2] {
            [&self.raw, &self.long].map(|log| log.setting("max.message.bytes").as_deref() == Some("1"))
        }
        fn everything_is_read(&self) {
            self.raw.commit_all(&self.group, 2);
            self.long.commit_all(&self.group, 2);
        }
    }

    #[test]
    fn two_topics_are_purged_while_nobody_writes() {
        let Some(events) = events("delete") else { return };
        let crew = &events.crew;
        events.writer.keep();
        crew.go();
        crew.reads("raw-window", "fail", "still holds a record of 2 d");
        crew.reads("long-window", "fail", "still holds a record of 20 d");
        crew.fly("close");
        assert_eq!(events.is_closed(), [true, true]);
        crew.start("drain");
        crew.lead.expect("02 drain waits for readers");
        let refused = crew.lead.refused("arm purge-raw");
        assert!(refused.contains("drain is waiting"), "{refused}");
        events.everything_is_read();
        crew.has_waited("drain");
        let (raw, long) = (left(&events.raw), left(&events.long));
        assert!(raw >= 62 && long == 62, "{raw} {long}");
        crew.fly("purge-raw");
        assert_eq!((left(&events.raw), left(&events.long)), (0, 62), "one is really empty");
        crew.reads("raw-window", "ok", "");
        crew.fly("purge-long");
        assert_eq!(left(&events.long), 0, "the other one too");
        crew.fly("empty");
        assert!(events.writer.kept() > 0, "what could not be written meanwhile was kept");
        crew.fly("open");
        assert_eq!(events.is_closed(), [false, false]);
        poll(PATIENCE, || (events.writer.kept() == 0).then_some(())).expect("what was kept is written");
        assert!(left(&events.raw) > 0);
        // Losing them was the aim, so it is no alarm.
        crew.reads("raw-window", "ok", "");
        let report = events.crew.close("");
        assert!(report.contains("For which request or law is this"), "{report}");
    }

    #[test]
    fn writers_that_lose_what_they_have_open_the_topics_and_a_purge_that_fails_half_way_is_seen() {
        // The brokers delete no record of a compacted topic on request.
        let Some(events) = events("compact") else { return };
        let crew = &events.crew;
        crew.go();
        crew.start("close");
        crew.is_undone("close", "writers");
        assert_eq!(events.is_closed(), [false, false]);
        let before = left(&events.raw);
        poll(PATIENCE, || (left(&events.raw) > before).then_some(())).expect("records are taken again");
        crew.owes_a_word("close", "open", "rolled back");
        crew.dba.expect("is rolled back");
        crew.dba.ok("ack the writers keep nothing; the topics are open");

        events.writer.keep();
        crew.fly("close");
        events.everything_is_read();
        crew.fly("drain");
        crew.fly("purge-raw");
        crew.start("purge-long");
        assert_ne!(crew.ended("purge-long")["code"], 0);
        assert_eq!((left(&events.raw), left(&events.long)), (0, 62), "half of it is done");
        crew.owes_a_word("purge-long", "open", "failed");
        crew.dba.expect("purge-long failed");
        assert_eq!(crew.probe("purge-long"), "62", "what a person decides on");
        crew.dba.ok("settle purge-long failed that topic is compacted: it takes tombstones");
        let refused = crew.lead.refused("arm empty");
        assert!(refused.contains("purge-long, which is settled as NOT done"), "{refused}");
        crew.leave_out("purge-long", "it has to be purged otherwise");
        let refused = crew.lead.refused("arm empty");
        assert!(refused.contains("long-window"), "{refused}");
        crew.fly("open");
        assert_eq!(events.is_closed(), [false, false]);
        events.crew.close("the long-lived topic has to be purged by tombstones");
    }
}

// --- lakeFS: a data branch -------------------------------------------------------------------------------------------

/// A protected main that readers read, and what was ingested beside it.
fn protected_lake(ingested: &str) -> Option<(Server, Page, Crew)> {
    let lakefs = Server::lakefs()?;
    lakefs.holds("main", "sales", r#"{"good":true,"day":1}"#);
    lakefs.shop("PUT", "/settings/branch_protection", r#"[{"pattern":"main"}]"#);
    lakefs.shop("POST", "/branches", r#"{"name":"ingest","source":"main"}"#);
    lakefs.holds("ingest", "sales", ingested);
    let page = Page::of_lakefs(lakefs.port, "sales");
    let (uri, smoke) = (lakefs.url("/api/v1"), page.url("/smoke"));
    let params =
        [("uri", uri.as_str()), ("smoke", &smoke), ("repository", "shop"), ("tag", "before-2"), ("key", LAKEFS.0)];
    let crew = Crew::board(sample("promote-lakefs"), &params, &[("LAKEFS_SECRET_ACCESS_KEY", LAKEFS.1)]);
    crew.go();
    crew.fly("look");
    crew.fly("tag");
    Some((lakefs, page, crew))
}

fn sales(lakefs: &Server, of: &str) -> Value {
    lakefs.shop("GET", &format!("/refs/{of}/objects?path=sales"), "")
}

#[test]
fn what_was_ingested_in_lakefs_is_merged_whole() {
    let Some((lakefs, _page, crew)) = protected_lake(r#"{"good":true,"day":2}"#) else { return };
    let before = lakefs.stands("main");
    assert_eq!(lakefs.shop("GET", "/tags/before-2", "")["commit_id"], before.as_str());
    // What somebody left uncommitted would not be merged, and nobody would be told: the gate is closed until it is gone.
    lakefs.shop("POST", "/branches/ingest/objects?path=more", "left behind");
    crew.reads("ingested", "fail", "1 uncommitted, at most 0 allowed");
    assert!(crew.lead.refused("arm merge").contains("ingested"));
    lakefs.holds("ingest", "more", "not left behind");
    // The branch moved since the hub looked first, which is what `on_move` is for; the crew opens the session anew.
    crew.reads("ingested", "fail", "moved from");
    drop(crew);
    let (uri, page) = (lakefs.url("/api/v1"), Page::of_lakefs(lakefs.port, "sales"));
    let smoke = page.url("/smoke");
    let params =
        [("uri", uri.as_str()), ("smoke", &smoke), ("repository", "shop"), ("tag", "before-2"), ("key", LAKEFS.0)];
    let crew = Crew::board(sample("promote-lakefs"), &params, &[("LAKEFS_SECRET_ACCESS_KEY", LAKEFS.1)]);
    crew.go();
    for step in ["look", "tag", "merge"] {
        crew.fly(step);
    }
    assert_eq!(sales(&lakefs, "main")["day"], 2);
    assert_eq!(sales(&lakefs, "before-2")["day"], 1);
    let merge = lakefs.shop("GET", "/refs/main/commits?amount=1", "")["results"][0].clone();
    assert_eq!(merge["parents"], serde_json::json!([before, lakefs.stands("ingest")]));
    crew.close("");
}

#[test]
fn what_readers_of_lakefs_cannot_read_is_reverted() {
    let Some((lakefs, _page, crew)) = protected_lake(r#"{"good":false,"day":2}"#) else { return };
    let before = lakefs.stands("main");
    crew.reads("branch-page", "ok", "");
    crew.start("merge");
    crew.is_undone("merge", "live-page");
    assert_eq!((&sales(&lakefs, "main")["day"], &sales(&lakefs, "ingest")["day"]), (&1.into(), &2.into()));
    // Nothing is forgotten: the merge and what reverts it are commits.
    let log = lakefs.shop("GET", "/refs/main/commits?amount=10", "");
    let message = log["results"][0]["message"].as_str().expect("a message");
    assert!(message.starts_with("Revert ") && lakefs.stands("main") != before, "{log}");
    crew.owes_a_word("merge", "merge", "rolled back");
    crew.dba.expect("is rolled back");
    crew.dba.ok("ack readers may not read the new format; main is as it was");
    crew.close("what was ingested has to be written anew");
}

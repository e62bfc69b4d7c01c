//! `[[watch]]`: what is looked at, how often, and the limits of each kind. Start at [`read`].

pub(super) mod bounds;
pub(super) mod command;
pub(super) mod compare;
pub(super) mod credential;
pub(super) mod formula;
pub(super) mod headers;
pub(super) mod http;
pub(super) mod kafka_client;
pub(super) mod kafka_lag;
mod kafka_retention;
pub(super) mod lakefs;
pub(super) mod nessie;
pub(super) mod pg_dump;
pub(super) mod process;
pub(super) mod prometheus;
pub(super) mod restic;
pub(super) mod results;
pub(super) mod session;
mod source;
pub(super) mod sql;

pub use kafka_retention::{KafkaRetention, NeededFrom};

use super::readers::non_empty;
use super::table::{Table, Value};
use super::{Checksum, HostLimits, Template, Watch, WatchKind};
use crate::name::WatchId;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(5);
/// A faster watch is load and not insight.
const EVERY_MIN: Duration = Duration::from_millis(100);
const STALE_AFTER_MIN: Duration = Duration::from_secs(10);
/// What changes by the day, and costs a program and a look through files: asked less often where the plan says nothing.
const EVERY_EVIDENCE: Duration = Duration::from_secs(60);
const EVIDENCE: &[&str] = &["restic", "pg-dump", "results", "session", "credential"];

const COMMON: &[&str] = &["id", "kind", "every", "stale_after"];

/// Each kind, its keys, and the keys of later versions.
const KINDS: &[(&str, &[&str], &[&str])] = &[
    ("http", http::KEYS, &[]),
    ("tcp", &["address", "expect", "within"], &[]),
    ("command", command::KEYS, &[]),
    ("file", &["path", "max_age", "min_size_ratio", "min_size", "sha256", "sha256_file"], &[]),
    ("kafka-lag", kafka_lag::KEYS, &[]),
    ("kafka-retention", kafka_retention::KEYS, &[]),
    (
        "host",
        &["load_per_core_above", "memory_free_below", "disk_free_below", "disk_full_within", "path", "process"],
        &[],
    ),
    ("compare", &["assert", "within"], &[]),
    ("prometheus", prometheus::KEYS, &[]),
    ("process", &["name", "pid_file", "user", "max_restarts"], &[]),
    ("restic", restic::KEYS, &[]),
    ("pg-dump", pg_dump::KEYS, &[]),
    ("results", results::KEYS, &[]),
    ("session", session::KEYS, &[]),
    ("credential", credential::KEYS, &[]),
    ("nessie", nessie::KEYS, &[]),
    ("lakefs", lakefs::KEYS, &[]),
    ("sql", sql::KEYS, &[]),
];

pub(super) fn read(value: &Value<'_>) -> Option<Watch> {
    let kind = match value.field("kind") {
        Some(kind) => kind,
        None => {
            // Without a kind nothing else can be judged; a value that is no table says so itself.
            value.table("a watch", COMMON, &all_keys())?.require("kind", &format!("expected kind = {}", kinds()));
            return None;
        }
    };
    let known: Vec<_> = KINDS.iter().map(|(name, ..)| (*name, *name)).collect();
    let word = kind.choice(&known)?;
    let (_, keys, refused) = KINDS.iter().find(|(name, ..)| *name == word)?;
    let table = value.table("this watch", &[COMMON, keys].concat(), refused)?;

    let id: Option<WatchId> = table.require("id", "expected id = \"a-short-name\"").and_then(|id| id.name());
    let every_default = if EVIDENCE.contains(&word) { EVERY_EVIDENCE } else { EVERY };
    let every = table.get("every").map_or(Some(every_default), |every| match every.duration()? {
        duration if duration < EVERY_MIN => every.wrong("`every` is too often", "expected at least \"100ms\""),
        duration => Some(duration),
    });
    let stale_after = match (table.get("stale_after"), every) {
        (None, every) => every.map(|every| (every * 3).max(STALE_AFTER_MIN)),
        (Some(stale), every) => stale.duration().and_then(|duration| match every {
            Some(every) if duration <= every => {
                stale.wrong("every reading would be stale before the next one", format!("expected more than {every:?}"))
            }
            _ => Some(duration),
        }),
    };
    let kind = match word {
        "http" => http::read(&table),
        "tcp" => tcp(&table),
        "command" => command::read(&table),
        "restic" => restic::read(&table),
        "pg-dump" => pg_dump::read(&table),
        "results" => results::read(&table),
        "session" => session::read(&table),
        "credential" => credential::read(&table),
        "file" => file(&table),
        "kafka-lag" => kafka_lag::read(&table),
        "kafka-retention" => kafka_retention::read(&table),
        "compare" => compare::read(&table),
        "prometheus" => prometheus::read(&table),
        "nessie" => nessie::read(&table),
        "lakefs" => lakefs::read(&table),
        "sql" => sql::read(&table),
        "process" => process::read(&table),
        _ => host(&table),
    };
    Some(Watch { id: id?, kind: kind?, every: every?, stale_after: stale_after? })
}

fn kinds() -> String {
    KINDS.iter().map(|(name, ..)| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

fn all_keys() -> Vec<&'static str> {
    KINDS.iter().flat_map(|(_, keys, refused)| keys.iter().chain(*refused).copied()).collect()
}

fn tcp(table: &Table<'_>) -> Option<WatchKind> {
    let address = table.require("address", "expected address = \"host:port\"").and_then(|address| {
        let template = address.template(false)?;
        let port = template.text().rsplit_once(':').map(|(_, port)| port);
        let port_is_fine = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        // With parameters in it the address is only known when the session opens.
        if template.names().is_empty() && !port.is_some_and(port_is_fine) {
            return address.wrong("`address` has no port", "expected \"host:port\"");
        }
        Some(template)
    });
    let expect = table.get("expect").and_then(|expect| expect.table("expect", &["within"], &[]));
    let nested = expect.as_ref().and_then(|expect| expect.get("within"));
    if let (Some(within), Some(_)) = (table.get("within"), nested) {
        within.wrong::<()>("`within` is given twice", "expected it here or in `expect`");
    }
    let within = table.get("within").or(nested).and_then(|within| within.duration());
    Some(WatchKind::Tcp { address: address?, within })
}

fn file(table: &Table<'_>) -> Option<WatchKind> {
    let path = filled(table, "path", "expected path = \"/where/the/files/*.dump\"");
    Some(WatchKind::File {
        max_age: table.duration("max_age"),
        min_size_ratio: table.get("min_size_ratio").and_then(|ratio| ratio.number(1.0)),
        min_size: table.get("min_size").and_then(|size| size.bytes()),
        sha256: checksum(table),
        path: path?,
    })
}

fn checksum(table: &Table<'_>) -> Option<Checksum> {
    let sum = table.get("sha256").and_then(|sum| match sum.text()?.parse() {
        Ok(hash) => Some(Checksum::Given(hash)),
        Err(_) => sum.wrong("`sha256` is not a SHA-256", "expected 64 digits, 0-9 and a-f, as sha256sum prints them"),
    });
    let file = table.get("sha256_file").and_then(|file| non_empty(&file)).map(Checksum::File);
    match (sum, file) {
        (Some(_), Some(_)) => table
            .get("sha256_file")
            .and_then(|second| second.wrong("the checksum is given twice", "expected `sha256` or `sha256_file`")),
        (sum, file) => sum.or(file),
    }
}

fn host(table: &Table<'_>) -> Option<WatchKind> {
    let limits = HostLimits {
        load_per_core_above: table.get("load_per_core_above").and_then(|load| load.number(1000.0)),
        memory_free_below: table.get("memory_free_below").and_then(|share| share.number(1.0)),
        disk_free_below: table.get("disk_free_below").and_then(|size| size.bytes()),
        disk_full_within: table.duration("disk_full_within"),
        path: table.get("path").and_then(|path| non_empty(&path)),
        process: table.get("process").and_then(|process| non_empty(&process)),
    };
    let given = ["load_per_core_above", "memory_free_below", "disk_free_below", "disk_full_within", "process"];
    if given.iter().all(|key| table.get(key).is_none()) {
        let label = format!("expected one of: {}", given.join(", "));
        table.cx.problem(table.span.clone(), "this watch has no limit and would always be ok", label);
    }
    let of_a_disk = table.get("disk_free_below").or(table.get("disk_full_within"));
    if let (Some(path), None) = (table.get("path"), of_a_disk) {
        path.wrong::<()>("`path` says which disk, but there is no `disk_free_below`", "expected a limit for it");
    }
    Some(WatchKind::Host(limits))
}

fn filled(table: &Table<'_>, key: &'static str, label: &str) -> Option<Template> {
    table.require(key, label).and_then(|value| non_empty(&value))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HEAD, errors};
    use super::*;
    use crate::plan::Plan;

    fn watch(lines: &str) -> String {
        format!("{HEAD}[[watch]]\nid = \"w\"\n{lines}\n")
    }
    fn read(lines: &str) -> Watch {
        let text = watch(lines).replacen("[crew]", "expected = \"45m\"\n[crew]", 1);
        Plan::parse("plan.toml", &text).unwrap_or_else(|error| panic!("{error}")).watches.remove(0)
    }

    #[test]
    fn evidence_is_looked_at_once_a_minute() {
        let restic = read("kind = \"restic\"\nrepository = \"/srv/restic/search\"\nverified_within = \"7d\"");
        assert_eq!((restic.every, restic.stale_after), (EVERY_EVIDENCE, EVERY_EVIDENCE * 3));
        let WatchKind::Restic(restic) = restic.kind else { panic!("{restic:?}") };
        let stamps = [&restic.check_stamp, &restic.restore_stamp].map(|stamp| stamp.as_ref().map(Template::text));
        assert_eq!(stamps, [Some("w.checked"), Some("w.restored")], "where the plan names none");
        let WatchKind::Credential(token) = read("kind = \"credential\"\nfile = \"token\"").kind else { panic!() };
        assert_eq!(token.must_outlive, Duration::from_secs(45 * 60), "as long as the plan says it takes");
        let lines = "kind = \"session\"\nenvironment = \"staging\"\ntranscripts = \"t\"\nwithin = \"7d\"";
        let WatchKind::Session(flown) = read(lines).kind else { panic!() };
        assert_eq!((flown.plan, flown.name.as_str()), (None, "n"));
    }

    #[test]
    fn what_could_never_turn_red_or_means_two_things_is_an_error() {
        let command = "kind = \"command\"\nrun = \"x\"";
        let restic = "kind = \"restic\"\nrepository = \"/r\"";
        for (lines, at, says) in [
            (format!("{command}\nvalue = \"count\""), "\"count\"", "not a JSON pointer"),
            (format!("{command}\nage = \"/a\""), "\"/a\"", "any age would be ok"),
            (format!("{command}\nmax_age = \"1h\""), "\"1h\"", "there is no `age`"),
            (format!("{command}\nage_zone = \"UTC\""), "\"UTC\"", "there is no `age`"),
            (format!("{command}\nage_zone = \"CET\"\nage = \"/a\"\nmax_age = \"1h\""), "\"CET\"", "cannot be"),
            (format!("{command}\nexpect = {{ \"a\" = 1 }}"), "\"a\"", "not a JSON pointer"),
            (format!("{command}\nexpect = {{ \"/a\" = [1] }}"), "[1]", "wrong type"),
            (format!("{command}\nexpect = {{ \"/a\" = 1 }}\nfail_above = 2"), "2", "limits of no number"),
            (format!("{command}\nwarn_above = 3\nfail_above = 2"), "3", "`warn_above` is above `fail_above`"),
            (format!("{command}\nfail_above = \"2\""), "\"2\"", "wrong type"),
            (format!("{restic}\npassword_file = \"a\"\npassword_command = \"b\""), "\"b\"", "given twice"),
            (format!("{restic}\ncheck_stamp = \"a\""), "\"a\"", "any age would be ok"),
            (format!("{restic}\npassword = \"a\""), "password", "unknown key"),
            ("kind = \"pg-dump\"\npath = \"\"".into(), "\"\"", "is empty"),
            ("kind = \"results\"\npath = \"a\"\nformat = \"trx\"".into(), "\"trx\"", "cannot be"),
            ("kind = \"session\"\nenvironment = \"e\"\ntranscripts = \"t\"".into(), "[[watch]]", "no `within`"),
            ("kind = \"credential\"\nmust_outlive = \"1h\"".into(), "[[watch]]", "where the credential is"),
            (
                "kind = \"credential\"\nmust_outlive = \"1h\"\nfile = \"a\"\nagent = \"b\"".into(),
                "\"b\"",
                "named twice",
            ),
            (
                "kind = \"credential\"\nmust_outlive = \"1h\"\nagent = \"b\"\nexpires = \"/a\"".into(),
                "\"/a\"",
                "which an agent does not answer",
            ),
            ("kind = \"credential\"\nfile = \"a\"".into(), "[[watch]]", "how long this credential has to be good"),
            ("kind = \"file\"\npath = \"a\"\nsha256 = \"12\"".into(), "\"12\"", "not a SHA-256"),
        ] {
            let text = watch(&lines);
            let problems = errors(&text).problems;
            assert!(problems.len() == 1 && problems[0].message.contains(says), "{lines}: {problems:?}");
            assert_eq!(&text[problems[0].span.clone()], at, "{lines}: {problems:?}");
        }
    }
}

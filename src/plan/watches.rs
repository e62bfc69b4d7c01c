//! `[[watch]]`: what is looked at, how often, and the limits of each kind. Start at [`read`].

pub(super) mod compare;
pub(super) mod formula;
pub(super) mod http;
pub(super) mod kafka_client;
pub(super) mod kafka_lag;
mod kafka_retention;
pub(super) mod process;
pub(super) mod prometheus;

pub use kafka_retention::{KafkaRetention, NeededFrom};

use super::table::{Table, Value};
use super::{HostLimits, Template, Watch, WatchKind};
use crate::name::WatchId;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(5);
/// A faster watch is load and not insight.
const EVERY_MIN: Duration = Duration::from_millis(100);
const STALE_AFTER_MIN: Duration = Duration::from_secs(10);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

const COMMON: &[&str] = &["id", "kind", "every", "stale_after"];

/// Each kind, its keys, and the keys of later versions.
const KINDS: &[(&str, &[&str], &[&str])] = &[
    ("http", &["url", "urls", "samples", "expect", "value", "slower_than_baseline"], &[]),
    ("tcp", &["address", "expect", "within"], &[]),
    ("command", &["run", "timeout"], &[]),
    ("file", &["path", "max_age", "min_size_ratio", "min_size"], &[]),
    ("kafka-lag", kafka_lag::KEYS, &[]),
    ("kafka-retention", kafka_retention::KEYS, &[]),
    (
        "host",
        &["load_per_core_above", "memory_free_below", "disk_free_below", "disk_full_within", "path", "process"],
        &[],
    ),
    ("compare", &["assert", "within"], &[]),
    ("prometheus", PROMETHEUS, &[]),
    ("process", &["name", "pid_file", "user", "max_restarts"], &[]),
];
const PROMETHEUS: &[&str] =
    &["url", "query", "warn_above", "fail_above", "warn_below", "fail_below", "unit", "token_file"];
const KINDS_REFUSED: &[&str] = &["restic", "pg-dump", "results", "session", "credential", "lakefs"];

pub(super) fn read(value: &Value<'_>) -> Option<Watch> {
    let kind = match value.field("kind") {
        Some(kind) => kind,
        None => {
            // Without a kind nothing else can be judged; a value that is no table says so itself.
            value.table("a watch", COMMON, &all_keys())?.require("kind", &format!("expected kind = {}", kinds()));
            return None;
        }
    };
    let word = kind.text()?;
    if KINDS_REFUSED.contains(&word) {
        kind.cx.refuse(kind.span(), &format!("watch kind \"{word}\""));
        return None;
    }
    let known: Vec<_> = KINDS.iter().map(|(name, ..)| (*name, *name)).collect();
    let word = kind.choice(&known)?;
    let (_, keys, refused) = KINDS.iter().find(|(name, ..)| *name == word)?;
    let table = value.table("this watch", &[COMMON, keys].concat(), refused)?;

    let id: Option<WatchId> = table.require("id", "expected id = \"a-short-name\"").and_then(|id| id.name());
    let every = table.get("every").map_or(Some(EVERY), |every| match every.duration()? {
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
        "command" => command(&table),
        "file" => file(&table),
        "kafka-lag" => kafka_lag::read(&table),
        "kafka-retention" => kafka_retention::read(&table),
        "compare" => compare::read(&table),
        "prometheus" => prometheus::read(&table),
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

fn command(table: &Table<'_>) -> Option<WatchKind> {
    let run = table.require("run", "expected run = [\"command\", \"word\"]").and_then(|run| run.run());
    Some(WatchKind::Command { timeout: table.duration("timeout").unwrap_or(COMMAND_TIMEOUT), run: run? })
}

fn file(table: &Table<'_>) -> Option<WatchKind> {
    let path = filled(table, "path", "expected path = \"/where/the/files/*.dump\"");
    Some(WatchKind::File {
        max_age: table.duration("max_age"),
        min_size_ratio: table.get("min_size_ratio").and_then(|ratio| ratio.number(1.0)),
        min_size: table.get("min_size").and_then(|size| size.bytes()),
        path: path?,
    })
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

pub(super) fn non_empty(value: &Value<'_>) -> Option<Template> {
    let template = value.template(false)?;
    match template.text().trim() {
        "" => value.wrong(format!("`{}` is empty", value.key), "expected some text"),
        _ => Some(template),
    }
}

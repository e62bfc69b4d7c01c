//! `kind = "pg-dump"`: the newest archive that matches, held against what `pg_restore` can read of it.

use super::super::table::Table;
use super::super::{Template, WatchKind};
use super::{filled, non_empty};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

/// The kind's own keys.
pub(super) const KEYS: &[&str] = &["path", "max_age", "min_size_ratio", "min_size", "tables", "whole", "timeout"];

/// Which archives, and what is expected of the newest.
#[derive(Debug, Clone, PartialEq)]
pub struct PgDump {
    /// A path; `*` and `?` in its last part match as a shell's do. Relative to the plan's folder.
    pub path: Template,
    /// The oldest it may be.
    pub max_age: Option<Duration>,
    /// The smallest size as a share of the one before.
    pub min_size_ratio: Option<f64>,
    /// The smallest size in bytes.
    pub min_size: Option<u64>,
    /// Tables whose data must be in it, as `table` or `schema.table`.
    pub tables: Vec<Template>,
    /// Each archive is read to its end once: a list of contents stands at its beginning and says nothing of the rest.
    pub whole: bool,
    /// How long `pg_restore --list` may take.
    pub timeout: Duration,
}

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let path = filled(table, "path", "expected path = \"/where/the/archives/*.dump\"");
    let tables = table.get("tables").and_then(|tables| tables.items("tables")).unwrap_or_default();
    Some(WatchKind::PgDump(PgDump {
        max_age: table.duration("max_age"),
        min_size_ratio: table.get("min_size_ratio").and_then(|ratio| ratio.number(1.0)),
        min_size: table.get("min_size").and_then(|size| size.bytes()),
        tables: tables.iter().filter_map(non_empty).collect(),
        whole: table.boolean("whole").unwrap_or(true),
        timeout: table.duration("timeout").unwrap_or(TIMEOUT),
        path: path?,
    }))
}

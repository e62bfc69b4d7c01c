//! `kind = "restic"`: the newest snapshot of a repository, and whether anybody ever restored one.

use super::super::table::Table;
use super::super::{Template, WatchKind};
use super::{filled, non_empty};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

/// The kind's own keys.
pub(super) const KEYS: &[&str] = &[
    "repository",
    "password_file",
    "password_command",
    "host",
    "tags",
    "paths",
    "max_age",
    "min_size_ratio",
    "verified_within",
    "check_stamp",
    "restore_stamp",
    "timeout",
];

/// Which repository, and what is expected of its newest snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Restic {
    /// Where it is, as `restic -r` takes it.
    pub repository: Template,
    /// How it is opened; as the hub's own environment says where the plan does not.
    pub password: Option<ResticPassword>,
    /// Only snapshots of this host.
    pub host: Option<Template>,
    /// Only snapshots with all of these tags.
    pub tags: Vec<Template>,
    /// Only snapshots of all of these paths.
    pub paths: Vec<Template>,
    /// The oldest the newest one may be.
    pub max_age: Option<Duration>,
    /// Its smallest size as a share of the one before.
    pub min_size_ratio: Option<f64>,
    /// How long ago the last check and the last restore test may be.
    pub verified_within: Option<Duration>,
    /// A file that is touched when `restic check` passed; relative to the plan's folder.
    pub check_stamp: Option<Template>,
    /// A file that is touched when a restored copy was found good; relative to the plan's folder.
    pub restore_stamp: Option<Template>,
    /// After this `restic` is killed and the reading is unknown.
    pub timeout: Duration,
}

/// Where restic gets the password from. It is given to it in its environment, never on its command line.
#[derive(Debug, Clone, PartialEq)]
pub enum ResticPassword {
    /// This file; relative to the plan's folder.
    File(Template),
    /// What this command prints, as restic splits it into words.
    Command(Template),
}

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let repository = filled(table, "repository", "expected repository = \"/srv/restic/…\"");
    let some = |key| table.get(key).and_then(|value| non_empty(&value));
    let list = |key: &'static str| {
        let items = table.get(key).and_then(|value| value.items(key)).unwrap_or_default();
        items.iter().filter_map(non_empty).collect::<Vec<_>>()
    };
    let password = match (some("password_file"), some("password_command")) {
        (Some(_), Some(_)) => table.get("password_command").and_then(|second| {
            second.wrong("the password is given twice", "expected `password_file` or `password_command`")
        }),
        (Some(file), None) => Some(ResticPassword::File(file)),
        (None, Some(command)) => Some(ResticPassword::Command(command)),
        (None, None) => None,
    };
    for key in ["check_stamp", "restore_stamp"] {
        if let (Some(stamp), None) = (table.get(key), table.get("verified_within")) {
            stamp.wrong::<()>(format!("`{key}` has no limit: any age would be ok"), "expected a `verified_within`");
        }
    }
    let (check_stamp, restore_stamp) = match table.get("verified_within").is_some() {
        true if table.get("check_stamp").or(table.get("restore_stamp")).is_none() => default_stamps(table),
        _ => (some("check_stamp"), some("restore_stamp")),
    };
    Some(WatchKind::Restic(Box::new(Restic {
        repository: repository?,
        password,
        host: some("host"),
        tags: list("tags"),
        paths: list("paths"),
        max_age: table.duration("max_age"),
        min_size_ratio: table.get("min_size_ratio").and_then(|ratio| ratio.number(1.0)),
        verified_within: table.duration("verified_within"),
        check_stamp,
        restore_stamp,
        timeout: table.duration("timeout").unwrap_or(TIMEOUT),
    })))
}

/// Where nothing is named both stamps count, beside the plan and under the watch's id.
fn default_stamps(table: &Table<'_>) -> (Option<Template>, Option<Template>) {
    let id = table.get("id").and_then(|id| id.peek()).unwrap_or_default();
    let stamp = |what: &str| Template::new(&format!("{id}.{what}")).ok();
    (stamp("checked"), stamp("restored"))
}

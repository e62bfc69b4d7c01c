//! `kind = "session"`: a plan was flown, to its end, somewhere else and not long ago.

use super::super::table::Table;
use super::super::{Template, Watch, WatchKind};
use super::filled;
use crate::hash::Hash;
use std::time::Duration;

/// The kind's own keys.
pub(super) const KEYS: &[&str] = &["plan", "environment", "transcripts", "within", "rehearsal"];

/// Which flight is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Flown {
    /// The plan's name; that of this plan where none is given.
    pub plan: Option<Template>,
    /// The name of the plan that this watch stands in.
    pub name: String,
    /// Where it was flown.
    pub environment: Template,
    /// The folder with its transcript; relative to the plan's folder.
    pub transcripts: Template,
    /// Whether it is a rehearsal that is looked for; one never counts as a flight, nor a flight as one.
    pub rehearsal: bool,
    /// How long ago it may have been closed.
    pub within: Duration,
    /// The digest of the plan that this watch stands in.
    pub digest: Hash,
}

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let plan = table.get("plan").map(|plan| super::non_empty(&plan));
    let environment = filled(table, "environment", "expected environment = \"where it was flown\"");
    let transcripts = filled(table, "transcripts", "expected transcripts = \"/folder/with/the/transcripts\"");
    let within = table.require("within", "expected within = \"7d\"").and_then(|within| within.duration());
    Some(WatchKind::Session(Flown {
        plan: plan.map_or(Some(None), |plan| plan.map(Some))?,
        name: String::new(), // told once the whole plan is read, by `of_plan`
        environment: environment?,
        transcripts: transcripts?,
        within: within?,
        rehearsal: table.boolean("rehearsal").unwrap_or(false),
        digest: Hash::of(table.cx.text.as_bytes()),
    }))
}

/// What these watches have to know of the plan they stand in.
pub(in crate::plan) fn of_plan(watches: &mut [Watch], name: &str) {
    for watch in watches {
        if let WatchKind::Session(flown) = &mut watch.kind {
            name.clone_into(&mut flown.name);
        }
    }
}

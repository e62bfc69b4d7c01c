//! `[[recovery]]`: the ways back, best first. Start at [`read`].

use super::readers::unknown_id;
use super::table::Value;
use crate::name::WatchId;
use std::collections::BTreeSet;
use std::time::Duration;

const KEYS: &[&str] = &["name", "watch", "takes", "loses"];

/// One way back: what it would take, what it would lose, and the watch that tells whether it still stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// What people call it.
    pub name: String,
    /// The watch without which it does not stand.
    pub watch: WatchId,
    /// How long going back would take.
    pub takes: Duration,
    /// What would be lost, in words; nothing where none are given.
    pub loses: Option<String>,
}

/// Reads all of them; their watches must exist, and their names tell them apart in the story.
pub(super) fn read(tables: &[Value<'_>], watches: &[&str]) -> Option<Vec<Recovery>> {
    let mut seen = BTreeSet::new();
    let read: Vec<_> = tables.iter().map(|table| read_one(table, watches, &mut seen)).collect();
    read.into_iter().collect()
}

fn read_one(value: &Value<'_>, watches: &[&str], seen: &mut BTreeSet<String>) -> Option<Recovery> {
    let table = value.table("a way back", KEYS, &[])?;
    let name = table.require("name", "expected name = \"how to get back\"").and_then(|name| {
        let words = name.words()?;
        match seen.insert(words.clone()) {
            true => Some(words),
            false => {
                name.wrong(format!("two [[recovery]] tables have the name {words:?}"), "expected a name of its own")
            }
        }
    });
    let watch = table.require("watch", "expected watch = \"the id of a watch\"").and_then(|watch| {
        let id: WatchId = watch.name()?;
        if !watches.contains(&id.as_str()) {
            let label = unknown_id(watch.cx, id.as_str(), watches);
            return watch.wrong(format!("there is no watch {:?}", id.as_str()), label);
        }
        Some(id)
    });
    let takes = table.require("takes", "expected takes = \"40m\"").and_then(|takes| takes.duration());
    let loses = table.get("loses").map_or(Some(None), |loses| loses.words().map(Some));
    Some(Recovery { name: name?, watch: watch?, takes: takes?, loses: loses? })
}

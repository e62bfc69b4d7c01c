//! What is needed of a topic.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is needed of a topic, and what it was held against, as they were at one moment: a restart of the hub must not
/// move them, or what was lost meanwhile would be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The topic.
    pub topic: String,
    /// How long it kept records, in milliseconds; -1 for ever; nothing where that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_ms: Option<i64>,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, Mark>,
}

/// One partition of an [`Anchor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The first offset that is needed.
    pub needed: u64,
    /// The first offset there was.
    pub low: u64,
    /// The offset of the next record.
    pub end: u64,
    /// The time of the first record there was, in milliseconds since 1970, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<i64>,
}

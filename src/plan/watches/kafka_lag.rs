//! `kind = "kafka-lag"`: how far a consumer group is behind, and where that goes.

use super::kafka_client::{self, KafkaSetting};
use super::{filled, non_empty};
use crate::plan::table::Table;
use crate::plan::{Template, WatchKind};

/// What a `kafka-lag` watch reads, and what it holds it against.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaLag {
    /// Bootstrap brokers, `host:port,…`.
    pub brokers: Template,
    /// The group.
    pub group: Template,
    /// Its topics; every topic it has commits on where none is named.
    pub topics: Vec<Template>,
    /// More than this, over all partitions, is `warn`.
    pub warn_above: Option<u64>,
    /// More than this, over all partitions, is `fail`.
    pub fail_above: Option<u64>,
    /// Only a group that has read everything is ok.
    pub drained: bool,
    /// So many messages on each partition count as nothing left: markers of transactions are never read.
    pub residual: u64,
    /// How the brokers are reached.
    pub client: Vec<KafkaSetting>,
}

pub(super) const KEYS: &[&str] =
    &["brokers", "group", "topics", "warn_above", "fail_above", "drained", "residual", "client"];

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let brokers = filled(table, "brokers", "expected brokers = \"host:port,…\"");
    let group = filled(table, "group", "expected group = \"a consumer group\"");
    let topics = table.get("topics").map_or(Some(vec![]), |topics| {
        let items = topics.items("topics")?;
        if items.is_empty() {
            return topics.wrong("`topics` is empty", "expected at least one; leave it out for all the group reads");
        }
        items.iter().map(non_empty).collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()
    });
    let limit = |key| table.get(key).and_then(|limit| limit.integer(0..=u64::MAX));
    let (warn_above, fail_above) = (limit("warn_above"), limit("fail_above"));
    if let (Some(warn), Some(fail), Some(value)) = (warn_above, fail_above, table.get("warn_above"))
        && warn > fail
    {
        value.wrong::<()>("`warn_above` is above `fail_above`", format!("expected at most {fail}"));
    }
    let client = kafka_client::read(table);
    Some(WatchKind::KafkaLag(KafkaLag {
        brokers: brokers?,
        group: group?,
        topics: topics?,
        warn_above,
        fail_above,
        drained: table.boolean("drained").unwrap_or(false),
        residual: limit("residual").unwrap_or(0),
        client: client?,
    }))
}

//! `kafka-retention`: how long the first record that is still needed will stay in its topic.

use super::super::table::{Table, Value};
use super::super::units::parse_duration;
use super::super::{Template, WatchKind};
use super::kafka_client::{self, KafkaSetting};
use super::{filled, non_empty};
use std::time::Duration;

pub(super) const KEYS: &[&str] =
    &["brokers", "topic", "group", "needed_from", "must_cover", "must_not_exceed", "goal", "client"];

/// A `kafka-retention` watch.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaRetention {
    /// Bootstrap brokers, `host:port,…`.
    pub brokers: Template,
    /// The topic.
    pub topic: Template,
    /// Settings of the client library, for TLS and SASL above all.
    pub client: Vec<KafkaSetting>,
    /// A group that reads it: until when its own next record stays is told too.
    pub group: Option<Template>,
    /// Which record is the first one needed.
    pub needed_from: NeededFrom,
    /// The shortest window.
    pub must_cover: Option<Duration>,
    /// The longest time a record may be kept, such as a legal limit.
    pub must_not_exceed: Option<Duration>,
    /// Whether this watch is there to see a purge: then it is ok once the low mark rose, and its value is that mark.
    pub rises: bool,
}

/// Which record of a topic is the first one needed to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeededFrom {
    /// The first one written after the session opened.
    Opening,
    /// The first one written in so long before the session opened.
    Before(Duration),
    /// The first one the group had not read when the session opened.
    Committed,
    /// The oldest one there was when the session opened.
    Low,
}

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let brokers = filled(table, "brokers", "expected brokers = \"host:port,…\"");
    let topic = filled(table, "topic", "expected topic = \"a topic\"");
    let group = table.get("group").map_or(Some(None), |group| non_empty(&group).map(Some));
    let rises = table.get("goal").map_or(Some(false), |goal| goal.choice(&[("rises", true)]));
    let (must_cover, must_not_exceed) = (table.duration("must_cover"), table.duration("must_not_exceed"));
    if let (Some(least), Some(most), Some(value)) = (must_cover, must_not_exceed, table.get("must_cover"))
        && least > most
    {
        value.wrong::<()>("`must_cover` is longer than `must_not_exceed`", "no topic could satisfy both");
    }
    for key in ["must_cover", "group", "needed_from"] {
        if let (Some(true), Some(value)) = (rises, table.get(key)) {
            let message = format!("`{key}` beside goal = \"rises\"");
            let help = "a watch that waits for a purge has no window to keep; give the window a watch of its own";
            value.cx.problem_with_help(value.span(), message, "the two contradict each other", help);
        }
    }
    let needed_from = match table.get("needed_from") {
        None => match (rises, &group) {
            (Some(true), _) => Some(NeededFrom::Low),
            (_, Some(Some(_))) => Some(NeededFrom::Committed),
            _ => Some(NeededFrom::Opening),
        },
        Some(value) => read_needed_from(&value, table.get("group").is_some()),
    };
    let client = kafka_client::read(table);
    Some(WatchKind::KafkaRetention(KafkaRetention {
        client: client?,
        brokers: brokers?,
        topic: topic?,
        group: group?,
        needed_from: needed_from?,
        must_cover,
        must_not_exceed,
        rises: rises?,
    }))
}

fn read_needed_from(value: &Value<'_>, group: bool) -> Option<NeededFrom> {
    let text = value.text()?;
    if parse_duration(text).is_some() {
        return value.duration().map(NeededFrom::Before);
    }
    let words = [("opening", NeededFrom::Opening), ("low", NeededFrom::Low), ("committed", NeededFrom::Committed)];
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, NeededFrom::Committed)) if !group => {
            value.wrong("`needed_from` is what a group committed, but there is no `group`", "expected `group` too")
        }
        Some((_, from)) => Some(*from),
        None => {
            let label = "expected \"opening\", \"low\", \"committed\", or how long before the opening, such as \"26h\"";
            value.wrong(format!("`needed_from` cannot be {text:?}"), label)
        }
    }
}

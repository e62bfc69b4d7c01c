//! The lag of a consumer group: how many messages it has not read yet.
//!
//! Nearly every tool turns "not known" into zero somewhere. Here every number of every partition is [`Fact::Known`] or
//! [`Fact::Unknown`], and the sum exists only where all parts do. Within a cycle the order is low, committed, end: so
//! committed can only be behind end, and a committed offset beyond it is a finding rather than a race, and in the same
//! way one before low is a loss. [`evaluate`] is pure; [`cycle`] drives a [`KafkaSource`]; `client` is the real one.

mod client;
mod retention;

pub(super) use retention::Retention;

use super::{Findings, excerpt, text};
use crate::event::{Reading, Status};
use crate::plan::{Params, WatchKind};
use std::sync::Arc;
use std::time::Instant;

/// Partitions per call: the client's lists cost time that grows with their square, and each call costs a round trip.
const CHUNK: usize = 1000;
/// Findings of one kind that are named; the others are counted. A topic may have thousands of partitions.
const NAMED: usize = 3;

/// A number that was read, or why it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fact<T> {
    Known(T),
    Unknown(Arc<str>),
}

/// What the group has committed on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Committed {
    /// It goes on reading here.
    At(u64),
    /// It never committed, or the commit expired.
    Never,
}

/// Which partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    topic: Arc<str>,
    partition: i32,
}

/// One partition as one cycle saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Partition {
    place: Place,
    low: Fact<u64>,
    committed: Fact<Committed>,
    end: Fact<u64>,
}

/// One cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Snapshot {
    partitions: Vec<Partition>,
    /// Topics whose partitions could not even be counted, and why.
    missing: Vec<(Arc<str>, String)>,
}

/// What the lag is held against.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    warn_above: Option<u64>,
    fail_above: Option<u64>,
}

/// Reads of one group, each within a deadline. An error is a sentence; a list is answered in its own order and length.
trait KafkaSource: Send {
    /// The partitions of a topic, each with the reason why it cannot be read, where it has no leader.
    fn partitions(&mut self, topic: &str, deadline: Instant) -> Result<Vec<(i32, Option<String>)>, String>;
    /// The first offset that is still there.
    fn low(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<u64>>, String>;
    /// What the group committed.
    fn committed(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<Committed>>, String>;
    /// The offset of the next message.
    fn end(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<u64>>, String>;
    /// What the client complained about since it was last asked: why a call got no answer.
    fn complaint(&mut self) -> Option<String>;
}

/// Makes the source on the thread that will own it.
type Connect = Box<dyn FnMut() -> Result<Box<dyn KafkaSource>, String> + Send>;

/// A `kafka-lag` watch.
pub(super) struct Lag {
    connect: Connect,
    source: Option<Box<dyn KafkaSource>>,
    topics: Vec<Arc<str>>,
    limits: Limits,
    /// What the client complained about last. It does not repeat itself, so it is kept until something is known again.
    complaint: Option<String>,
}

impl Lag {
    /// Takes a `kafka-lag` watch; any other kind is an error. Nothing is connected before the first reading.
    pub(super) fn new(kind: &WatchKind, params: &Params) -> Result<Self, String> {
        let WatchKind::KafkaLag { brokers, group, topics, warn_above, fail_above } = kind else {
            return Err("not a kafka-lag watch".into());
        };
        let (brokers, group) = (brokers.render(params).map_err(text)?, group.render(params).map_err(text)?);
        let topics: Result<Vec<Arc<str>>, _> = topics.iter().map(|topic| topic.render(params).map(Arc::from)).collect();
        let limits = Limits { warn_above: *warn_above, fail_above: *fail_above };
        let connect: Connect = Box::new(move || match client::GroupReads::connect(&brokers, &group) {
            Ok(source) => Ok(Box::new(source)),
            Err(error) => Err(error),
        });
        Ok(Lag { connect, source: None, topics: topics.map_err(text)?, limits, complaint: None })
    }

    /// Reads once; every call it makes ends by the deadline, unless the client hangs.
    pub(super) fn read(&mut self, deadline: Instant) -> Reading {
        let source = match &mut self.source {
            Some(source) => source,
            none => match (self.connect)() {
                Ok(source) => none.insert(source),
                Err(why) => return Reading::unknown(format!("no Kafka client: {}", excerpt(&why, 200))),
            },
        };
        let snapshot = cycle(source.as_mut(), &self.topics, deadline);
        let mut reading = evaluate(&snapshot, &self.limits);
        // Asked in every cycle, or what it has to say would pile up.
        self.complaint = source.complaint().or(self.complaint.take()).filter(|_| reading.status == Status::Unknown);
        if let Some(why) = &self.complaint {
            reading.why += &format!(" ({})", excerpt(why, 160));
        }
        reading
    }
}

/// Reads every partition of the topics once: metadata, low, committed, end.
fn cycle(source: &mut dyn KafkaSource, topics: &[Arc<str>], deadline: Instant) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let mut readable = vec![];
    for topic in topics {
        match source.partitions(topic, deadline) {
            Ok(partitions) if partitions.is_empty() => {
                snapshot.missing.push((topic.clone(), "it has no partitions".into()));
            }
            Ok(partitions) => {
                for (partition, why) in partitions {
                    let place = Place { topic: topic.clone(), partition };
                    match why {
                        None => readable.push(place),
                        Some(why) => snapshot.partitions.push(Partition::unknown(place, &why)),
                    }
                }
            }
            Err(why) => snapshot.missing.push((topic.clone(), why)),
        }
    }
    let low = chunked(&readable, |places| source.low(places, deadline));
    let committed = chunked(&readable, |places| source.committed(places, deadline));
    let end = chunked(&readable, |places| source.end(places, deadline));
    let facts = low.into_iter().zip(committed).zip(end);
    let read = readable.into_iter().zip(facts);
    snapshot.partitions.extend(read.map(|(place, ((low, committed), end))| Partition { place, low, committed, end }));
    snapshot.partitions.sort_by(|a, b| a.place.cmp(&b.place));
    snapshot
}

/// Asks for all places, so many at a time. What a call did not answer is unknown, one by one.
fn chunked<T: Clone>(places: &[Place], mut call: impl FnMut(&[Place]) -> Result<Vec<Fact<T>>, String>) -> Vec<Fact<T>> {
    let mut facts = Vec::with_capacity(places.len());
    for chunk in places.chunks(CHUNK) {
        match call(chunk) {
            Ok(answer) if answer.len() == chunk.len() => facts.extend(answer),
            // A list of another length cannot be matched up, and a guess would put one partition's offset on another.
            Ok(_) => facts.extend(vec![Fact::Unknown("the answer is incomplete".into()); chunk.len()]),
            Err(why) => facts.extend(vec![Fact::Unknown(why.into()); chunk.len()]),
        }
    }
    facts
}

/// What one partition comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// So many messages are left to read.
    Lag(u64),
    /// So many messages were deleted before the group read them.
    Lost(u64),
    /// Offsets contradict each other.
    Ahead,
    Unknown(String),
}

impl Partition {
    fn unknown(place: Place, why: &str) -> Self {
        let why: Arc<str> = why.into();
        Partition {
            place,
            low: Fact::Unknown(why.clone()),
            committed: Fact::Unknown(why.clone()),
            end: Fact::Unknown(why),
        }
    }

    /// Two numbers are enough for a loss or a contradiction; a lag takes all three.
    fn verdict(&self) -> Verdict {
        use Fact::{Known, Unknown};
        match (&self.low, &self.committed, &self.end) {
            (Known(low), Known(Committed::At(at)), _) if at < low => Verdict::Lost(low - at),
            (_, Known(Committed::At(at)), Known(end)) if at > end => Verdict::Ahead,
            (Known(low), _, Known(end)) if end < low => Verdict::Ahead,
            (Known(_), Known(Committed::At(at)), Known(end)) => Verdict::Lag(end - at),
            (Known(low), Known(Committed::Never), Known(end)) if low == end => Verdict::Lag(0),
            (Known(low), Known(Committed::Never), Known(end)) => {
                Verdict::Unknown(format!("no commit, up to {} messages to read", end - low))
            }
            (Unknown(why), _, _) | (_, Unknown(why), _) | (_, _, Unknown(why)) => Verdict::Unknown(why.to_string()),
        }
    }
}

/// The verdict on a cycle. Losses and contradictions fail even where other partitions are not known; the sum exists only
/// where every partition is.
fn evaluate(snapshot: &Snapshot, limits: &Limits) -> Reading {
    let several = snapshot.partitions.first().is_some_and(|first| {
        !snapshot.missing.is_empty() || snapshot.partitions.iter().any(|p| p.place.topic != first.place.topic)
    });
    let name = |place: &Place| match several {
        true => format!("{} p{}", excerpt(&place.topic, 60), place.partition),
        false => format!("p{}", place.partition),
    };
    let (mut sum, mut known, mut worst) = (0_u64, 0_usize, None);
    let (mut lost, mut ahead, mut unknown) = (vec![], vec![], vec![]);
    for partition in &snapshot.partitions {
        let place = &partition.place;
        match partition.verdict() {
            Verdict::Lag(lag) => {
                known += 1;
                sum = sum.saturating_add(lag);
                if worst.is_none_or(|(most, _)| lag > most) {
                    worst = Some((lag, place));
                }
            }
            Verdict::Lost(count) => lost.push(format!("lost {count} records on {}", name(place))),
            Verdict::Ahead => ahead.push(format!("{} is ahead: topic recreated or truncated?", name(place))),
            Verdict::Unknown(why) => unknown.push(format!("{}: {}", name(place), excerpt(&why, 100))),
        }
    }
    let mut findings = Findings::default();
    let broken = lost.len() + ahead.len();
    add(&mut findings, Status::Fail, lost);
    add(&mut findings, Status::Fail, ahead);
    let missing = snapshot.missing.iter().map(|(topic, why)| format!("{}: {}", excerpt(topic, 60), excerpt(why, 100)));
    let unknown: Vec<String> = missing.chain(unknown).collect();
    let of = snapshot.partitions.len();
    if !unknown.is_empty() {
        let counted = match (known, snapshot.missing.is_empty()) {
            (0, _) => "lag not known".to_owned(),
            (_, true) => format!("lag at least {sum}, {known} of {of} partitions known"),
            (_, false) => format!("lag at least {sum}, {known} partitions known"),
        };
        findings.add(Status::Unknown, counted);
        add(&mut findings, Status::Unknown, unknown);
    }
    let Some((most, place)) = worst.filter(|_| findings.0.is_empty()) else {
        if of == 0 && findings.0.is_empty() {
            return Reading::unknown("lag not known: no partitions"); // an empty sum is not a lag of zero
        }
        // No number where some of it is lost or contradicts itself: it would look like an answer.
        debug_assert!(broken > 0 || findings.worst() == Status::Unknown);
        return findings.reading("", None, "");
    };
    match (limits.warn_above, limits.fail_above) {
        (_, Some(limit)) if sum > limit => findings.add(Status::Fail, format!("more than {limit}")),
        (Some(limit), _) if sum > limit => findings.add(Status::Warn, format!("more than {limit}")),
        _ => {}
    }
    let mut seen = format!("lag {sum} on {of} partition{}", if of == 1 { "" } else { "s" });
    if of > 1 && most > 0 {
        seen += &format!(", most on {}: {most}", name(place));
    }
    findings.reading(&seen, Some(sum as f64), "messages") // exact up to 2^53 messages
}

/// Names the first few and counts the rest.
fn add(findings: &mut Findings, status: Status, sentences: Vec<String>) {
    let rest = sentences.len().saturating_sub(NAMED);
    for sentence in sentences.into_iter().take(NAMED) {
        findings.add(status, sentence);
    }
    if rest > 0 {
        findings.add(status, format!("and {rest} more partitions like that"));
    }
}

#[cfg(test)]
mod tests;

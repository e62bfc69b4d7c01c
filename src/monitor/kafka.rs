//! The lag of a consumer group: how many messages it has not read yet, and where that goes.
//!
//! Nearly every tool turns "not known" into zero somewhere. Here every number of every partition is [`Fact::Known`] or
//! [`Fact::Unknown`], and the sum exists only where all parts do. Within a cycle the order is low, committed, end: so
//! committed can only be behind end, and a committed offset beyond it is a finding rather than a race, and in the same
//! way one before low is a loss. [`trend`] judges each partition over time and `verdict` all of them; both are pure.
//! `cycle` drives a `KafkaSource`; `client` is the real one, `scope` says which topics.

mod client;
mod group;
mod retention;
mod scope;
mod settings;
pub mod trend;

pub(super) use retention::Retention;

use super::{excerpt, text};
use crate::event::{Reading, Status};
use crate::plan::{Params, Watch, WatchKind};
use group::Limits;
use scope::Scope;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trend::{Track, Trend};

pub(super) use settings::refused;

/// Partitions per question. The client cuts it into calls; what one question does not answer leaves time for the next.
const CHUNK: usize = 5000;
/// Findings of one kind that are named; the others are counted. A topic may have thousands of partitions.
const NAMED: usize = 3;

/// A number that was read, or why it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// It was read.
    Known(T),
    /// It was not, for this reason.
    Unknown(Arc<str>),
}

/// What the group has committed on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It goes on reading here.
    At(u64),
    /// It never committed, or the commit expired.
    Never,
}

/// Which partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Of this topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
}

/// One partition as one cycle saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Which one.
    pub place: Place,
    /// The first offset that is still there.
    pub low: Fact<u64>,
    /// What the group has committed.
    pub committed: Fact<Committed>,
    /// The offset of the next message.
    pub end: Fact<u64>,
}

/// One cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Snapshot {
    partitions: Vec<Partition>,
    /// Topics whose partitions could not even be counted, and why.
    missing: Vec<(Arc<str>, String)>,
}

/// Reads of one group, each within a deadline. An error is a sentence; a list is answered in its own order and length.
trait KafkaSource: Send {
    /// The partitions of a topic.
    fn partitions(&mut self, topic: &str, deadline: Instant) -> Result<Partitions, String>;
    /// Those of every topic there is.
    fn listed(&mut self, deadline: Instant) -> Result<BTreeMap<Arc<str>, Result<Partitions, String>>, String>;
    /// The first offset that is still there.
    fn low(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<u64>>, String>;
    /// What the group committed.
    fn committed(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<Committed>>, String>;
    /// The offset of the next message.
    fn end(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<u64>>, String>;
    /// What the brokers call a group that has committed nothing, where that says more than its name.
    fn kind(&mut self, _deadline: Instant) -> Option<String> {
        None
    }
    /// What the client complained about since it was last asked: why a call got no answer.
    fn complaint(&mut self) -> Option<String>;
}

/// The partitions of a topic, each with the reason why it cannot be read, where it has no leader.
type Partitions = Vec<(i32, Option<String>)>;

/// Makes the source on the thread that will own it.
type Connect = Box<dyn FnMut() -> Result<Box<dyn KafkaSource>, String> + Send>;

/// A `kafka-lag` watch. Its calls block: it belongs on a thread of its own.
pub struct Lag {
    connect: Connect,
    source: Option<Box<dyn KafkaSource>>,
    scope: Scope,
    limits: Limits,
    every: Duration,
    started: Instant,
    /// What the last cycle saw.
    partitions: Vec<Partition>,
    /// What is remembered of each partition.
    tracks: BTreeMap<Place, Track>,
    /// What the client complained about last. It does not repeat itself, so it is kept until something is known again.
    complaint: Option<String>,
    /// When the brokers were asked last what the group is, and what they said.
    kind: Option<(Duration, Option<String>)>,
}

/// How often brokers are asked what a group is that commits nothing.
const KIND_AGAIN: Duration = Duration::from_secs(30);

impl Lag {
    /// Takes a `kafka-lag` watch; any other kind is an error. Nothing is connected before the first reading.
    pub fn new(watch: &Watch, params: &Params, folder: &Path) -> Result<Self, String> {
        let WatchKind::KafkaLag(kind) = &watch.kind else {
            return Err("not a kafka-lag watch".into());
        };
        let (brokers, group) = (kind.brokers.render(params).map_err(text)?, kind.group.render(params).map_err(text)?);
        let topics: Result<Vec<Arc<str>>, _> =
            kind.topics.iter().map(|topic| topic.render(params).map(Arc::from)).collect();
        let limits = Limits {
            warn_above: kind.warn_above,
            fail_above: kind.fail_above,
            drained: kind.drained,
            residual: kind.residual,
        };
        let settings = settings::Settings::new(&kind.client, params, folder)?;
        let connect: Connect = Box::new(move || {
            let source = client::GroupReads::connect(&brokers, &group, &settings.read()?)?;
            Ok(Box::new(source))
        });
        Ok(Lag::with(connect, Scope::new(topics.map_err(text)?), limits, watch.every))
    }

    fn with(connect: Connect, scope: Scope, limits: Limits, every: Duration) -> Self {
        let (tracks, started) = (BTreeMap::new(), Instant::now());
        Lag {
            connect,
            source: None,
            scope,
            limits,
            every,
            started,
            partitions: vec![],
            tracks,
            complaint: None,
            kind: None,
        }
    }

    /// Reads once; every call it makes ends by the deadline, unless the client hangs.
    pub fn read(&mut self, deadline: Instant) -> Reading {
        let source = match &mut self.source {
            Some(source) => source,
            none => match (self.connect)() {
                Ok(source) => none.insert(source),
                Err(why) => return Reading::unknown(format!("no Kafka client: {}", excerpt(&why, 200))),
            },
        };
        let snapshot = cycle(source.as_mut(), &mut self.scope, self.started.elapsed(), deadline);
        let complaint = source.complaint();
        let mut reading = self.judge(&snapshot, self.started.elapsed());
        // Asked in every cycle, or what it has to say would pile up.
        self.complaint =
            client::telling(complaint, self.complaint.take()).filter(|_| reading.status == Status::Unknown);
        if let Some(why) = &self.complaint {
            reading.why += &format!(" ({})", excerpt(why, 160));
        }
        if reading.status == Status::Unknown && uncommitted(&snapshot) {
            let at = self.started.elapsed();
            if self.kind.as_ref().is_none_or(|(asked, _)| at.saturating_sub(*asked) >= KIND_AGAIN) {
                let kind = self.source.as_mut().and_then(|source| source.kind(deadline));
                self.kind = Some((at, kind));
            }
            if let Some((_, Some(kind))) = &self.kind {
                reading.why += &format!("; {}", excerpt(kind, 160));
            }
        }
        self.partitions = snapshot.partitions;
        reading
    }

    /// Each partition as the last reading saw it, in order.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Takes what a cycle saw into what is remembered.
    fn judge(&mut self, snapshot: &Snapshot, at: Duration) -> Reading {
        let verdicts: Vec<Trend> = snapshot
            .partitions
            .iter()
            .map(|part| {
                let track = self.tracks.entry(part.place.clone());
                let track = track.or_insert_with(|| Track::new(self.every, self.limits.residual));
                track.see(at, &part.low, &part.committed, &part.end)
            })
            .collect();
        group::reading(snapshot, &verdicts, &self.limits)
    }
}

/// Whether the group has committed nowhere, as far as that is known.
fn uncommitted(snapshot: &Snapshot) -> bool {
    let never = |part: &Partition| matches!(part.committed, Fact::Known(Committed::Never));
    match &snapshot.partitions[..] {
        [] => snapshot.missing.iter().any(|(_, why)| why == scope::NOWHERE),
        parts => parts.iter().all(never),
    }
}

/// Reads every partition once: metadata, low, committed, end.
fn cycle(source: &mut dyn KafkaSource, scope: &mut Scope, at: Duration, deadline: Instant) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let mut readable = vec![];
    for (topic, partitions) in scope.partitions(source, at, deadline) {
        match partitions {
            Ok(partitions) if partitions.is_empty() => {
                snapshot.missing.push((topic, "it has no partitions".into()));
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
            Err(why) => snapshot.missing.push((topic, why)),
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

impl Partition {
    /// Messages to read, where every number is known and none contradicts another.
    pub fn lag(&self) -> Option<u64> {
        match (&self.low, &self.committed, &self.end) {
            (Fact::Known(low), Fact::Known(Committed::At(at)), Fact::Known(end)) if low <= at => end.checked_sub(*at),
            (Fact::Known(low), Fact::Known(Committed::Never), Fact::Known(end)) if low == end => Some(0),
            _ => None,
        }
    }

    fn unknown(place: Place, why: &str) -> Self {
        let why: Arc<str> = why.into();
        Partition {
            place,
            low: Fact::Unknown(why.clone()),
            committed: Fact::Unknown(why.clone()),
            end: Fact::Unknown(why),
        }
    }
}

#[cfg(test)]
mod tests;

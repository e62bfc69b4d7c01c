//! How long the first record that is still needed will stay in its topic: the recovery window, as a lower bound.
//!
//! Kafka deletes whole segments, oldest first, once the *newest* record of one is older than `retention.ms`. So the time of the
//! first record needed plus `retention.ms` is the earliest moment at which it can vanish by time; the window is what is left
//! until then, less a margin. Everything that makes this no promise has a state of its own, and none of them shows a
//! number that could be taken for one. [`evaluate`](evaluate::evaluate) is pure; [`Retention`] asks; `probe` is the real log.

mod evaluate;
mod probe;

use super::super::{Around, anchor::Slot, excerpt, text};
use super::{Committed, Fact, KafkaSource, Place, chunked, client, settings};
use crate::clock::At;
use crate::event::{Anchor, Mark, Reading, Status};
use crate::plan::{KafkaRetention, NeededFrom};
use evaluate::{Config, Drain, Facts, First, Limits, Seen, evaluate};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More partitions than this would make an anchor that no line can hold.
const PARTITIONS_MAX: usize = 2000;
/// How far back the drain of a group is looked at.
const DRAIN_WINDOW: Duration = Duration::from_secs(300);
/// What is shorter tells nothing about a rate: commits come in bursts.
const DRAIN_LEAST: Duration = Duration::from_secs(30);
/// Readings for which an anchor waits for the configuration to be readable; it may never be (an ACL of its own).
const CONFIG_AWAITED: u32 = 5;
/// The group's name where the plan names none: an offset cannot be assigned without one. Nothing is ever committed or joined.
const NO_GROUP: &str = "crosscheck";

/// Reads of the log itself.
trait LogSource: Send {
    /// The first offset at or after a time; none where nothing is that young.
    fn at_time(&mut self, places: &[Place], ms: i64, deadline: Instant) -> Result<Vec<Fact<Option<u64>>>, String>;
    /// What the topic's configuration says.
    fn config(&mut self, topic: &str, deadline: Instant) -> Result<Config, String>;
    /// What the first record at or after each place says of its time.
    fn first(&mut self, wanted: &[(Place, u64)], deadline: Instant) -> Vec<Fact<First>>;
    /// What the client complained about since it was last asked.
    fn complaint(&mut self) -> Option<String>;
}

/// The two clients of one watch.
struct Sources {
    offsets: Box<dyn KafkaSource>,
    log: Box<dyn LogSource>,
}

/// Makes the clients on the thread that will own them.
type Connect = Box<dyn FnMut() -> Result<Sources, String> + Send>;

/// A `kafka-retention` watch.
pub(in crate::monitor) struct Retention {
    connect: Connect,
    sources: Option<Sources>,
    topic: Arc<str>,
    needed_from: NeededFrom,
    limits: Limits,
    opened: At,
    now: super::super::Now,
    slot: Slot,
    /// Times of first records by partition and offset: a record that stays does not change its time.
    times: BTreeMap<(i32, u64), First>,
    /// Low and end of the cycle before: where one of them went back, it is another topic.
    before: BTreeMap<i32, (u64, u64)>,
    /// What the group had left to read, oldest first.
    lags: VecDeque<(At, u64)>,
    /// The first anchor, while it waits for the configuration to stand beside it, and for how many readings it has.
    pending: Option<(Anchor, u32)>,
    complaint: Option<String>,
}

impl Retention {
    /// Nothing is connected before the first reading.
    pub(in crate::monitor) fn new(kind: &KafkaRetention, around: &Around<'_>) -> Result<Self, String> {
        let params = around.params;
        let (brokers, topic) = (kind.brokers.render(params).map_err(text)?, kind.topic.render(params).map_err(text)?);
        let group = kind.group.as_ref().map(|group| group.render(params)).transpose().map_err(text)?;
        let named = group.clone();
        let settings = settings::Settings::new(&kind.client, params, around.folder)?;
        let connect: Connect = Box::new(move || {
            let (group, settings) = (named.as_deref().unwrap_or(NO_GROUP), settings.read()?);
            Ok(Sources {
                offsets: Box::new(client::GroupReads::connect(&brokers, group, &settings)?),
                log: Box::new(probe::Log::connect(&brokers, NO_GROUP, &settings)?),
            })
        });
        let limits =
            Limits { must_cover: kind.must_cover, must_not_exceed: kind.must_not_exceed, group, rises: kind.rises };
        Ok(Retention {
            connect,
            sources: None,
            topic: topic.into(),
            needed_from: kind.needed_from,
            limits,
            opened: around.opened,
            now: around.now.clone(),
            slot: around.slot.clone(),
            times: BTreeMap::new(),
            before: BTreeMap::new(),
            lags: VecDeque::new(),
            pending: None,
            complaint: None,
        })
    }

    /// Reads once; every call it makes ends by the deadline, unless the client hangs.
    pub(in crate::monitor) fn read(&mut self, deadline: Instant) -> Reading {
        let mut sources = match self.sources.take() {
            Some(sources) => sources,
            None => match (self.connect)() {
                Ok(sources) => sources,
                Err(why) => return Reading::unknown(format!("no Kafka client: {}", excerpt(&why, 200))),
            },
        };
        let mut reading = self.look(&mut sources, deadline);
        let told = client::telling(sources.offsets.complaint(), sources.log.complaint());
        self.sources = Some(sources);
        self.complaint = client::telling(told, self.complaint.take()).filter(|_| reading.status == Status::Unknown);
        if let Some(why) = &self.complaint {
            reading.why += &format!(" ({})", excerpt(why, 160));
        }
        reading
    }

    fn look(&mut self, sources: &mut Sources, deadline: Instant) -> Reading {
        let (held, moves) = self.slot.look();
        let now = (self.now)();
        let (facts, anchor) = match self.cycle(sources, held.as_ref(), moves, now, deadline) {
            Ok(seen) => seen,
            Err(why) => {
                if moves {
                    self.slot.still_wanted();
                }
                return Reading::unknown(format!("{}: {}", excerpt(&self.topic, 60), excerpt(&why, 200)));
            }
        };
        match (&anchor, moves) {
            (Some(anchor), _) if self.pending.is_none() => self.slot.put(anchor.clone()),
            (None, true) => self.slot.still_wanted(),
            _ => {}
        }
        evaluate(&facts, anchor.as_ref().or(held.as_ref()), &self.limits)
    }

    /// One look at every partition, low before committed before end; and the anchor, where one is to be taken and
    /// everything it is made of is known.
    fn cycle(
        &mut self,
        sources: &mut Sources,
        held: Option<&Anchor>,
        moves: bool,
        now: At,
        deadline: Instant,
    ) -> Result<(Facts, Option<Anchor>), String> {
        let listed = sources.offsets.partitions(&self.topic, deadline)?;
        if listed.is_empty() {
            return Err("it has no partitions".into());
        }
        if listed.len() > PARTITIONS_MAX {
            return Err(format!("{} partitions, and this watch reads at most {PARTITIONS_MAX}", listed.len()));
        }
        let place = |partition: i32| Place { topic: self.topic.clone(), partition };
        let (readable, dead): (Vec<_>, Vec<_>) = listed.into_iter().partition(|(_, why)| why.is_none());
        let places: Vec<Place> = readable.into_iter().map(|(partition, _)| place(partition)).collect();
        let low = chunked(&places, |places| sources.offsets.low(places, deadline));
        let committed: Vec<Option<Fact<Committed>>> = match &self.limits.group {
            Some(_) => {
                let read = chunked(&places, |places| sources.offsets.committed(places, deadline));
                read.into_iter().map(Some).collect()
            }
            None => vec![None; places.len()],
        };
        let end = chunked(&places, |places| sources.offsets.end(places, deadline));
        let read = places.iter().zip(low).zip(committed).zip(end);
        let mut seen: Vec<Seen> = read
            .map(|(((place, low), committed), end)| Seen::new(place.partition, low, committed, end))
            .chain(dead.into_iter().map(|(partition, why)| Seen::unknown(partition, &why.unwrap_or_default())))
            .collect();
        seen.sort_by_key(|seen| seen.partition);
        self.forget_another_topic(&seen);
        let (mut anchor, waited) = match (held, self.pending.take()) {
            (None, Some((anchor, waited))) => (Some(anchor), waited),
            (None, None) => (self.first_anchor(sources, &seen, deadline), 0),
            (Some(held), _) if moves => (moved(held, &seen), CONFIG_AWAITED),
            (Some(_), _) => (None, 0),
        };
        let marks = anchor.as_ref().or(held).map(|anchor| anchor.partitions.clone()).unwrap_or_default();
        // The configuration gets its share even where the log does not answer.
        let share = deadline.saturating_duration_since(Instant::now()).mul_f64(0.6);
        self.read_times(sources, &mut seen, &marks, Instant::now() + share);
        let config = sources.log.config(&self.topic, deadline);
        if let Some(anchor) = &mut anchor {
            for seen in &seen {
                if let (Fact::Known(First::At(ms)), Some(mark)) =
                    (&seen.oldest, anchor.partitions.get_mut(&seen.partition))
                {
                    mark.oldest_ms = mark.oldest_ms.or(Some(*ms));
                }
            }
            match &config {
                Ok(config) => anchor.retention_ms = Some(config.retention_ms),
                Err(_) if waited < CONFIG_AWAITED => self.pending = Some((anchor.clone(), waited + 1)),
                Err(_) => {}
            }
        }
        let drain = self.drain(&seen, now);
        let facts = Facts { now_ms: now.micros() / 1000, config, partitions: seen, drain };
        Ok((facts, anchor))
    }

    /// A topic that was deleted and made again has other records at the same offsets.
    fn forget_another_topic(&mut self, seen: &[Seen]) {
        let mut another = false;
        for seen in seen {
            if let (Fact::Known(low), Fact::Known(end)) = (&seen.low, &seen.end) {
                let before = self.before.insert(seen.partition, (*low, *end));
                another |= before.is_some_and(|(was_low, was_end)| *low < was_low || *end < was_end);
            }
        }
        if another {
            self.times.clear();
        }
    }

    /// What is needed from here on; nothing while a part of it is not known, for a guess would stay for good.
    fn first_anchor(&self, sources: &mut Sources, seen: &[Seen], deadline: Instant) -> Option<Anchor> {
        let since = match self.needed_from {
            NeededFrom::Opening => Some(self.opened),
            NeededFrom::Before(time) => {
                Some(At::from_micros(self.opened.micros() - i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 2)))
            }
            NeededFrom::Committed | NeededFrom::Low => None,
        };
        let places: Vec<Place> =
            seen.iter().map(|seen| Place { topic: self.topic.clone(), partition: seen.partition }).collect();
        let young: Vec<Fact<Option<u64>>> = match since {
            Some(since) => chunked(&places, |places| sources.log.at_time(places, since.micros() / 1000, deadline)),
            None => vec![Fact::Known(None); places.len()],
        };
        let mut partitions = BTreeMap::new();
        for (seen, young) in seen.iter().zip(young) {
            let (Fact::Known(low), Fact::Known(end), Fact::Known(young)) = (&seen.low, &seen.end, young) else {
                return None;
            };
            let needed = match (since, &seen.committed) {
                // Nothing that young was there when it was asked for, which was after the end was: so nothing before that
                // end is needed.
                (Some(_), _) => young.map_or(*end, |young| young.min(*end)),
                (None, Some(Fact::Known(Committed::At(at)))) if self.needed_from == NeededFrom::Committed => *at,
                (None, Some(Fact::Unknown(_))) if self.needed_from == NeededFrom::Committed => return None,
                (None, _) => *low,
            };
            // What was gone before is not lost in this session, but to a group that had not read it, it is.
            let needed = if self.needed_from == NeededFrom::Committed { needed } else { needed.max(*low) };
            partitions.insert(seen.partition, Mark { needed, low: *low, end: *end, oldest_ms: None });
        }
        Some(Anchor { topic: self.topic.to_string(), retention_ms: None, partitions })
    }

    /// Looks at the times of the oldest record, the first needed, and the group's next one, where they are not known yet.
    fn read_times(&mut self, sources: &mut Sources, seen: &mut [Seen], marks: &BTreeMap<i32, Mark>, deadline: Instant) {
        // Three rounds at most: a partition can be read at one place at a time.
        let place_of = |round: usize, seen: &Seen| -> Option<u64> {
            let (Fact::Known(low), Fact::Known(_)) = (&seen.low, &seen.end) else { return None };
            match round {
                0 => Some(marks.get(&seen.partition).map_or(*low, |mark| mark.needed.max(*low))),
                1 => Some(*low),
                _ => match &seen.committed {
                    Some(Fact::Known(Committed::At(at))) => Some((*at).max(*low)),
                    Some(Fact::Known(Committed::Never)) => Some(*low),
                    _ => None,
                },
            }
        };
        let mut used = BTreeMap::new();
        for round in 0..3 {
            let mut wanted = vec![];
            for seen in seen.iter() {
                let (Some(offset), Fact::Known(end)) = (place_of(round, seen), &seen.end) else { continue };
                let key = (seen.partition, offset);
                if offset < *end && !self.times.contains_key(&key) {
                    wanted.push((Place { topic: self.topic.clone(), partition: seen.partition }, offset));
                }
            }
            let read = if wanted.is_empty() { vec![] } else { sources.log.first(&wanted, deadline) };
            let mut failed = BTreeMap::new();
            for ((place, offset), fact) in wanted.into_iter().zip(read) {
                match fact {
                    Fact::Known(first) => drop(self.times.insert((place.partition, offset), first)),
                    Fact::Unknown(why) => drop(failed.insert(place.partition, why)),
                }
            }
            for seen in seen.iter_mut() {
                let fact = match (place_of(round, seen), &seen.end) {
                    (Some(offset), Fact::Known(end)) if offset >= *end => Fact::Known(First::Nothing),
                    (Some(offset), _) => match self.times.get(&(seen.partition, offset)) {
                        Some(first) => {
                            used.insert((seen.partition, offset), *first);
                            Fact::Known(*first)
                        }
                        None => {
                            let why = failed.get(&seen.partition).cloned();
                            Fact::Unknown(why.unwrap_or_else(|| "its time was not read".into()))
                        }
                    },
                    (None, _) => Fact::Unknown("its place is not known".into()),
                };
                match round {
                    0 => seen.needed = fact,
                    1 => seen.oldest = fact,
                    _ => seen.unread = seen.committed.is_some().then_some(fact),
                }
            }
        }
        // A place where nothing readable stood may have got a record since.
        used.retain(|_, first| *first != First::Nothing);
        self.times = used;
    }

    /// How fast the group reads up what it has left, from its own lags of the last minutes.
    fn drain(&mut self, seen: &[Seen], now: At) -> Drain {
        let mut lag = 0_u64;
        for seen in seen {
            let from = match (&seen.committed, &seen.low, &seen.end) {
                (Some(Fact::Known(Committed::At(at))), _, Fact::Known(end)) => end.saturating_sub(*at),
                (Some(Fact::Known(Committed::Never)), Fact::Known(low), Fact::Known(end)) => end.saturating_sub(*low),
                _ => return Drain::NotKnown,
            };
            lag = lag.saturating_add(from);
        }
        while self.lags.front().is_some_and(|(at, _)| now.since(*at) > DRAIN_WINDOW) {
            self.lags.pop_front();
        }
        self.lags.push_back((now, lag));
        if lag == 0 {
            return Drain::Drained;
        }
        let Some((then, was)) = self.lags.front().copied() else { return Drain::NotKnown };
        let time = now.since(then);
        if time < DRAIN_LEAST {
            return Drain::NotKnown;
        }
        match was.checked_sub(lag).filter(|read| *read > 0) {
            // A lag is a count of records, so far below what a float loses.
            Some(read) => Drain::In(
                Duration::try_from_secs_f64(time.as_secs_f64() * lag as f64 / read as f64).unwrap_or(Duration::MAX),
            ),
            None => Drain::Grows,
        }
    }
}

/// The anchor after a planned purge: what it deleted is needed no longer, everything else is.
fn moved(held: &Anchor, seen: &[Seen]) -> Option<Anchor> {
    let mut partitions = BTreeMap::new();
    for seen in seen {
        let (Fact::Known(low), Fact::Known(end)) = (&seen.low, &seen.end) else { return None };
        let needed = held.partitions.get(&seen.partition).map_or(*low, |mark| mark.needed.max(*low));
        partitions.insert(seen.partition, Mark { needed, low: *low, end: *end, oldest_ms: None });
    }
    Some(Anchor { topic: held.topic.clone(), retention_ms: held.retention_ms, partitions })
}

#[cfg(test)]
mod tests;

//! The real source: a consumer that never subscribes, with the group's name, of which only reads can be reached.
//!
//! librdkafka's admin calls would read the same and abort the whole process when a broker drops; a consumer's do not. It
//! joins no group: the members do not notice it. It says why a call got no answer only through events, so these are
//! taken off its queue every cycle.

use super::{Committed, Fact, KafkaSource, Partitions, Place};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One call's share of a cycle, so that one broker that is silent leaves time for the others.
const CALL: Duration = Duration::from_millis(2500);
/// Partitions per call: the client's lists cost time that grows with their square, and each call costs a round trip.
const CALL_MAX: usize = 1250;
/// Calls under way at the same time, so that brokers far away are waited for once and not one call after the other.
const AT_ONCE: usize = 4;
/// Events taken off the queue per cycle at most.
const EVENTS_MAX: usize = 1000;
/// An event that the client handles by itself looks like an empty queue, so a few of these in a row mean empty.
const EMPTY: usize = 16;

/// What is complained when every broker is gone. librdkafka counts them in a way of its own ("6/6 brokers" of three).
const NOBODY: &str = "no broker can be reached";

/// Of a complaint and the one before it, the one that says more: that nobody can be reached follows every real cause.
pub(super) fn telling(new: Option<String>, before: Option<String>) -> Option<String> {
    new.filter(|new| before.is_none() || new != NOBODY).or(before)
}

/// Keeps the last complaint instead of printing it.
#[derive(Default)]
pub(super) struct Listener(Mutex<Option<String>>);

impl Listener {
    pub(super) fn kept(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        // A poisoned lock guards a text that is only shown; whatever is in it is fine.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl ClientContext for Listener {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        let text = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => NOBODY.to_owned(),
            _ if reason.is_empty() => short(&error),
            _ => reason.to_owned(),
        };
        let mut kept = self.kept();
        let before = kept.take();
        *kept = telling(Some(text), before);
    }
}
impl ConsumerContext for Listener {}

/// Reads about one group, and nothing else: a stray `subscribe` or `commit` would hit the real one.
pub(super) struct GroupReads {
    consumer: BaseConsumer<Listener>,
    group: String,
}

impl GroupReads {
    /// Makes the client. It connects in the background; only nonsense is an error.
    pub(super) fn connect(brokers: &str, group: &str, settings: &[(String, String)]) -> Result<Self, String> {
        let mut config = ClientConfig::new();
        for (name, value) in settings {
            config.set(name, value);
        }
        let consumer = config
            .set("bootstrap.servers", brokers)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("allow.auto.create.topics", "false")
            // The default would make the end the last stable offset, and hide what an open transaction holds back.
            .set("isolation.level", "read_uncommitted")
            .set("enable.metrics.push", "false")
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            .create_with_context(Listener::default())
            .map_err(|error: KafkaError| error.to_string())?;
        Ok(GroupReads { consumer, group: group.to_owned() })
    }

    fn call<T>(&self, deadline: Instant, ask: impl Fn(Duration) -> KafkaResult<T>) -> Result<T, String> {
        call(deadline, ask)
    }

    fn offsets(&self, places: &[Place], of: Offset, deadline: Instant) -> Result<Vec<Fact<u64>>, String> {
        let ask = |places: &[Place]| {
            let answer = self.call(deadline, |time| self.consumer.offsets_for_times(list(places, of)?, time))?;
            Ok(matched(places, &answer, |error, offset| match (error, offset) {
                (Some(why), _) => Fact::Unknown(why.into()),
                (None, Offset::Offset(offset)) => known(offset, |offset| offset),
                // A partition that was not answered comes back as what it was asked with.
                (None, other) => Fact::Unknown(format!("no offset but {other:?}").into()),
            }))
        };
        at_once(places, ask)
    }
}

impl KafkaSource for GroupReads {
    fn partitions(&mut self, topic: &str, deadline: Instant) -> Result<Partitions, String> {
        // Through the consumer: the same question on a producer's handle creates the topic.
        let metadata = self.call(deadline, |time| self.consumer.fetch_metadata(Some(topic), time))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or("the brokers do not list it")?;
        partitions(&metadata, found)
    }

    fn listed(&mut self, deadline: Instant) -> Result<BTreeMap<Arc<str>, Result<Partitions, String>>, String> {
        let metadata = self.call(deadline, |time| self.consumer.fetch_metadata(None, time))?;
        Ok(metadata.topics().iter().map(|found| (found.name().into(), partitions(&metadata, found))).collect())
    }

    fn low(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<u64>>, String> {
        self.offsets(places, Offset::Beginning, deadline)
    }

    fn committed(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<Committed>>, String> {
        let ask = |places: &[Place]| {
            let asked = |time| self.consumer.committed_offsets(list(places, Offset::Invalid)?, time);
            let answer = self.call(deadline, asked)?;
            Ok(matched(places, &answer, |error, offset| match (error, offset) {
                (Some(why), _) => Fact::Unknown(why.into()),
                (None, Offset::Invalid) => Fact::Known(Committed::Never),
                (None, Offset::Offset(offset)) => known(offset, Committed::At),
                (None, other) => Fact::Unknown(format!("no offset but {other:?}").into()),
            }))
        };
        at_once(places, ask)
    }

    fn end(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<u64>>, String> {
        self.offsets(places, Offset::End, deadline)
    }

    /// Asked as classic groups are, brokers list every group of that name, and describe one of a newer kind as dead: one that
    /// does not exist is not listed at all.
    fn kind(&mut self, deadline: Instant) -> Option<String> {
        let listed = self.call(deadline, |time| self.consumer.fetch_group_list(Some(&self.group), time)).ok()?;
        match listed.groups().iter().find(|group| group.name() == self.group).map(|group| group.state()) {
            None => Some("the brokers know no group of that name".into()),
            Some("Dead") => Some(
                "the brokers know it as no classic group: a share group commits no offsets, so read it with \
                 kafka-share-groups.sh; any other has not committed yet"
                    .into(),
            ),
            Some(_) => None,
        }
    }

    fn complaint(&mut self) -> Option<String> {
        let mut empty = 0;
        for _ in 0..EVENTS_MAX {
            // The listener heard an error before it comes out here, and no message ever does: nothing is assigned.
            empty = if self.consumer.poll(Duration::ZERO).is_some() { 0 } else { empty + 1 };
            if empty == EMPTY {
                break;
            }
        }
        self.consumer.context().kept().take()
    }
}

/// Calls with what time is left, twice where the first answer is an error: the first call after a change of leaders
/// fails as a whole, the next one partition by partition.
pub(super) fn call<T>(deadline: Instant, call: impl Fn(Duration) -> KafkaResult<T>) -> Result<T, String> {
    let left = || deadline.saturating_duration_since(Instant::now()).min(CALL);
    let mut failed = None;
    for _ in 0..2 {
        let time = left();
        // librdkafka counts whole milliseconds, and some of its calls take a zero for "for ever".
        if time < Duration::from_millis(5) {
            break;
        }
        match call(time) {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                let text = short(&error);
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) {
                    return Err(text); // the time it had is spent
                }
                failed = Some(text);
            }
        }
    }
    Err(failed.unwrap_or_else(|| "no time left in this cycle".into()))
}

/// The partitions of a topic, as far as it has any.
fn partitions(metadata: &Metadata, topic: &MetadataTopic) -> Result<Partitions, String> {
    if let Some(error) = topic.error() {
        return Err(RDKafkaErrorCode::from(error).to_string());
    }
    let leader = |id: i32| metadata.brokers().iter().any(|broker| broker.id() == id);
    let partitions = topic.partitions().iter().map(|partition| {
        let why = match partition.error() {
            _ if !leader(partition.leader()) => Some("no leader".to_owned()),
            Some(error) => Some(RDKafkaErrorCode::from(error).to_string()),
            None => None,
        };
        (partition.id(), why)
    });
    Ok(partitions.collect())
}

/// Asks about all places, in calls of a size that suits the client, some of them at the same time. A call that fails leaves
/// its own places unknown and no others.
fn at_once<T: Send>(
    places: &[Place],
    ask: impl Fn(&[Place]) -> Result<Vec<Fact<T>>, String> + Sync,
) -> Result<Vec<Fact<T>>, String> {
    if places.len() <= CALL_MAX {
        return ask(places);
    }
    let failed = |places: &[Place], why: &str| -> Vec<Fact<T>> {
        let why: Arc<str> = why.into();
        places.iter().map(|_| Fact::Unknown(why.clone())).collect()
    };
    let calls: Vec<&[Place]> = places.chunks(CALL_MAX).collect();
    let mut facts = Vec::with_capacity(places.len());
    for calls in calls.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let mut under_way = vec![];
            for places in calls {
                under_way.push((*places, std::thread::Builder::new().spawn_scoped(scope, || ask(places))));
            }
            for (places, call) in under_way {
                let answer = match call.map(std::thread::ScopedJoinHandle::join) {
                    Ok(joined) => joined.unwrap_or_else(|_| Err("the client failed".into())),
                    Err(_) => ask(places), // the system has no thread to spare: then one after the other
                };
                match answer {
                    Ok(answer) if answer.len() == places.len() => facts.extend(answer),
                    Ok(_) => facts.extend(failed(places, "the answer is incomplete")),
                    Err(why) => facts.extend(failed(places, &why)),
                }
            }
        });
    }
    Ok(facts)
}

/// A list for one call.
fn list(places: &[Place], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for place in places {
        list.add_partition_offset(&place.topic, place.partition, offset)?;
    }
    Ok(list)
}

/// An answer in the order of what was asked.
pub(super) fn matched<T>(
    places: &[Place],
    answer: &TopicPartitionList,
    fact: impl Fn(Option<String>, Offset) -> Fact<T>,
) -> Vec<Fact<T>> {
    let elements = answer.elements();
    let by_place: std::collections::HashMap<(&str, i32), _> =
        elements.iter().map(|element| ((element.topic(), element.partition()), element)).collect();
    let find = |place: &Place| match by_place.get(&(&*place.topic, place.partition)) {
        Some(element) => fact(element.error().err().map(|error| short(&error)), element.offset()),
        None => Fact::Unknown("not in the answer".into()),
    };
    places.iter().map(find).collect()
}

/// An offset, unless it is one of librdkafka's signs for "none": those are negative.
fn known<T>(offset: i64, fact: impl Fn(u64) -> T) -> Fact<T> {
    match u64::try_from(offset) {
        Ok(offset) => Fact::Known(fact(offset)),
        Err(_) => Fact::Unknown("no offset".into()),
    }
}

/// The broker's words without the call's name, which says nothing to whoever reads the panel; and plain words for the two
/// that an outage brings up in every row.
pub(super) fn short(error: &KafkaError) -> String {
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    };
    match code {
        Some(RDKafkaErrorCode::OperationTimedOut) => "no answer in time".to_owned(),
        Some(RDKafkaErrorCode::BrokerTransportFailure) => "no connection".to_owned(),
        Some(code) => code.to_string(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;

//! The real log: a consumer of its own that looks at single records, and an admin client that reads the configuration.
//!
//! The consumer reads one record of a partition and drops it unread; it subscribes to nothing and commits nothing. Of the
//! admin client only `describe_configs` is used: what it would ask a group's coordinator for aborts the process when a
//! broker drops, and metadata asked of it creates the topic.

use super::super::client::{Listener, call, short};
use super::super::{Fact, Place};
use super::{Config, First, LogSource};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Message, Timestamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One call's share of a cycle.
const CALL: Duration = Duration::from_millis(2500);
/// librdkafka counts whole milliseconds, and nothing comes back in fewer.
const LEAST: Duration = Duration::from_millis(5);

/// See the module.
pub(super) struct Log {
    consumer: BaseConsumer<Listener>,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    complaint: Option<String>,
    /// The configuration was asked for and did not come: the client may wait for a broker that is gone.
    astray: bool,
}

impl Log {
    /// Makes the clients. They connect in the background; only nonsense is an error.
    pub(super) fn connect(brokers: &str, group: &str, settings: &[(String, String)]) -> Result<Self, String> {
        let text = |error: KafkaError| error.to_string();
        let mut common = ClientConfig::new();
        for (name, value) in settings {
            common.set(name, value);
        }
        common
            .set("bootstrap.servers", brokers)
            .set("enable.metrics.push", "false")
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true");
        let consumer = common
            .clone()
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("allow.auto.create.topics", "false")
            .set("isolation.level", "read_uncommitted")
            // The end of a partition without a readable record (there may be only transaction marks) is an answer.
            .set("enable.partition.eof", "true")
            // Where an offset is gone meanwhile, another one is no answer to what was asked.
            .set("auto.offset.reset", "error")
            // One record is wanted; a broker sends one batch at least, whatever its size.
            .set("max.partition.fetch.bytes", "16384")
            .set("fetch.wait.max.ms", "100")
            .create_with_context(Listener::default())
            .map_err(text)?;
        let admin = common.create().map_err(text)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|e| e.to_string())?;
        Ok(Log { consumer, admin, runtime, complaint: None, astray: false })
    }

    /// Reads until every partition has answered or the time is up.
    fn read(&mut self, wanted: &[(Place, u64)], deadline: Instant) -> KafkaResult<BTreeMap<i32, First>> {
        let mut list = TopicPartitionList::with_capacity(wanted.len());
        for (place, offset) in wanted {
            let offset = Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
            list.add_partition_offset(&place.topic, place.partition, offset)?;
        }
        self.consumer.assign(&list)?;
        // A pause outlives its assignment.
        self.consumer.resume(&list)?;
        let from: BTreeMap<i32, i64> = wanted
            .iter()
            .map(|(place, offset)| (place.partition, i64::try_from(*offset).unwrap_or(i64::MAX)))
            .collect();
        let mut answers = BTreeMap::new();
        while answers.len() < wanted.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.consumer.poll(left.min(Duration::from_millis(100))) {
                None => {}
                Some(Ok(message)) => {
                    let partition = message.partition();
                    // What was still on its way from an earlier place is no answer.
                    if from.get(&partition).is_none_or(|from| message.offset() < *from) {
                        continue;
                    }
                    let first = match message.timestamp() {
                        Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) if ms >= 0 => First::At(ms),
                        _ => First::NoTime,
                    };
                    answers.entry(partition).or_insert(first);
                    if let Some((place, _)) = wanted.iter().find(|(place, _)| place.partition == partition) {
                        let mut one = TopicPartitionList::with_capacity(1);
                        one.add_partition(&place.topic, partition);
                        self.consumer.pause(&one)?;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) if from.contains_key(&partition) => {
                    answers.entry(partition).or_insert(First::Nothing);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => self.complaint = Some(short(&error)),
            }
        }
        Ok(answers)
    }
}

impl LogSource for Log {
    fn at_time(&mut self, places: &[Place], ms: i64, deadline: Instant) -> Result<Vec<Fact<Option<u64>>>, String> {
        let mut list = TopicPartitionList::with_capacity(places.len());
        for place in places {
            list.add_partition_offset(&place.topic, place.partition, Offset::Offset(ms.max(0)))
                .map_err(|e| short(&e))?;
        }
        let answer = call(deadline, |time| self.consumer.offsets_for_times(list.clone(), time))?;
        Ok(super::super::client::matched(places, &answer, |error, offset| match (error, offset) {
            (Some(why), _) => Fact::Unknown(why.into()),
            (None, Offset::End) => Fact::Known(None),
            (None, Offset::Offset(offset)) => match u64::try_from(offset) {
                Ok(offset) => Fact::Known(Some(offset)),
                Err(_) => Fact::Unknown("no offset".into()),
            },
            (None, other) => Fact::Unknown(format!("no offset but {other:?}").into()),
        }))
    }

    fn config(&mut self, topic: &str, deadline: Instant) -> Result<Config, String> {
        let left = || deadline.saturating_duration_since(Instant::now()).min(CALL);
        if self.astray && left() > LEAST {
            // It asks the broker that it took for the controller, and learns of another one in minutes; or from this. Of
            // every topic: asked about one of them it would make that.
            let _ = self.admin.inner().fetch_metadata(None, left() / 2);
        }
        let time = left();
        if time < LEAST {
            return Err("no time left in this cycle".into());
        }
        let options = AdminOptions::new().request_timeout(Some(time)).operation_timeout(Some(time));
        let resource = [ResourceSpecifier::Topic(topic)];
        let asked = self.admin.describe_configs(&resource, &options);
        // The client keeps time itself; a little more than that, in case it does not.
        let patience = time + Duration::from_millis(200);
        let answer = self.runtime.block_on(async { tokio::time::timeout(patience, asked).await });
        self.astray = !matches!(answer, Ok(Ok(_)));
        let answers = answer.map_err(|_| "timed out".to_owned())?.map_err(|error| short(&error))?;
        let resource = answers.into_iter().next().ok_or("the answer is empty")?.map_err(|code| code.to_string())?;
        let value = |name: &str| {
            let entry = resource.entries.iter().find(|entry| entry.name == name);
            entry.and_then(|entry| entry.value.clone()).ok_or_else(|| format!("the answer has no {name}"))
        };
        let number = |name: &str| {
            let text = value(name)?;
            text.parse::<i64>().map_err(|_| format!("{name} is no number: {text:?}"))
        };
        Ok(Config {
            retention_ms: number("retention.ms")?,
            retention_bytes: number("retention.bytes")?,
            cleanup_policy: value("cleanup.policy")?,
            timestamp_type: value("message.timestamp.type")?,
        })
    }

    fn first(&mut self, wanted: &[(Place, u64)], deadline: Instant) -> Vec<Fact<First>> {
        let read = self.read(wanted, deadline);
        // Nothing is fetched between two looks.
        let _ = self.consumer.unassign();
        let failed = match &read {
            Ok(_) => self.complaint.clone().unwrap_or_else(|| "no record came in time".into()),
            Err(error) => short(error),
        };
        let answers = read.unwrap_or_default();
        let answer = |(place, _): &(Place, u64)| match answers.get(&place.partition) {
            Some(first) => Fact::Known(*first),
            None => Fact::Unknown(failed.as_str().into()),
        };
        wanted.iter().map(answer).collect()
    }

    fn complaint(&mut self) -> Option<String> {
        // Nothing is assigned now, so what comes out of the queue are events.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        self.complaint.take().or_else(|| self.consumer.context().kept().take())
    }
}

//! A topic on a real broker whose log a test writes, ages, cuts and configures.

use super::real::unique;
use super::wait::{PATIENCE, poll};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, SystemTime};

/// See the module.
pub struct Log {
    brokers: String,
    /// Its name.
    pub name: String,
    consumer: BaseConsumer,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Log {
    /// Makes it with these settings, and waits until every partition has a leader.
    pub fn new(brokers: &str, partitions: i32, settings: &[(&str, &str)]) -> Self {
        Log::named(brokers, &unique("log"), partitions, settings)
    }

    /// The same, with that name.
    pub fn named(brokers: &str, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        let log = Log {
            brokers: brokers.to_owned(),
            name: name.to_owned(),
            consumer: config.clone().set("group.id", "watermarks").create().expect("a consumer"),
            admin: config.create().expect("an admin client"),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
        };
        let mut topic = NewTopic::new(&log.name, partitions, TopicReplication::Fixed(1));
        topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let made = log.runtime.block_on(log.admin.create_topics([&topic], &options())).expect("the broker answers");
        made.into_iter().for_each(|result| drop(result.expect("the topic is made")));
        let led = poll(PATIENCE, || {
            let metadata = log.consumer.fetch_metadata(Some(&log.name), Duration::from_secs(5)).ok()?;
            let found = metadata.topics().first()?.partitions();
            (found.len() == partitions as usize && found.iter().all(|p| p.leader() >= 0)).then_some(())
        });
        assert!(led.is_some(), "every partition of {} has a leader", log.name);
        log
    }

    /// Writes so many records to a partition, as if they had been written so long ago.
    pub fn write(&self, partition: i32, count: usize, ago: Duration) {
        let config: &mut ClientConfig = &mut ClientConfig::new();
        let producer: BaseProducer = config.set("bootstrap.servers", &self.brokers).create().expect("a producer");
        let then = SystemTime::UNIX_EPOCH.elapsed().expect("it is later than 1970").saturating_sub(ago);
        let ms = i64::try_from(then.as_millis()).expect("a time of this age");
        for number in 0..count {
            let payload = format!("record {number}");
            let record = BaseRecord::<(), str>::to(&self.name).partition(partition).payload(&payload).timestamp(ms);
            producer.send(record).map_err(|(error, _)| error).expect("the queue has room");
        }
        producer.flush(PATIENCE).expect("everything is delivered");
    }

    /// Sets the topic's configuration; what is not given goes back to its default.
    pub fn configure(&self, settings: &[(&str, &str)]) {
        let change = AlterConfig::new(ResourceSpecifier::Topic(&self.name));
        let change = settings.iter().fold(change, |change, (key, value)| change.set(key, value));
        let done = self.runtime.block_on(self.admin.alter_configs([&change], &options())).expect("the broker answers");
        done.into_iter().for_each(|result| drop(result.expect("the configuration is taken")));
    }

    /// Deletes what stands before an offset, as `kafka-delete-records` does.
    pub fn delete_before(&self, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name, partition, Offset::Offset(offset)).expect("an offset");
        let done = self.runtime.block_on(self.admin.delete_records(&list, &options())).expect("the broker answers");
        done.elements().iter().for_each(|place| place.error().expect("the records are deleted"));
    }

    /// A group has read everything: it commits where each partition ends.
    pub fn commit_all(&self, group: &str, partitions: i32) {
        let mut config = ClientConfig::new();
        let config = config.set("bootstrap.servers", &self.brokers).set("group.id", group);
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut places = TopicPartitionList::new();
        for partition in 0..partitions {
            let end = Offset::Offset(self.marks(partition).1);
            places.add_partition_offset(&self.name, partition, end).expect("an offset");
        }
        consumer.commit(&places, CommitMode::Sync).expect("the commit is taken");
    }

    /// What the brokers have set for the topic.
    pub fn setting(&self, key: &str) -> Option<String> {
        let topic = ResourceSpecifier::Topic(&self.name);
        let found =
            self.runtime.block_on(self.admin.describe_configs([&topic], &options())).expect("the broker answers");
        let found = found.into_iter().next().expect("an answer for the one topic").expect("it is described");
        found.get(key).and_then(|entry| entry.value.clone())
    }

    /// The first offset there is, and the next one.
    pub fn marks(&self, partition: i32) -> (i64, i64) {
        self.consumer.fetch_watermarks(&self.name, partition, PATIENCE).expect("the broker answers")
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

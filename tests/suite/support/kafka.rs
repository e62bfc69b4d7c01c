//! A topic, its producer and its consumer group on a real broker.

use super::real::unique;
use super::wait::PATIENCE;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A topic of its own with its one consumer group.
pub struct Topic {
    brokers: String,
    /// Its name.
    pub name: String,
    /// The group that reads it.
    pub group: String,
    partitions: i32,
}

impl Topic {
    /// Makes it, and waits until every partition has a leader.
    pub fn new(brokers: &str, partitions: i32) -> Self {
        Self::copied(brokers, partitions, 1)
    }

    /// The same, with so many copies of each partition.
    pub fn copied(brokers: &str, partitions: i32, copies: i32) -> Self {
        let topic = Topic { brokers: brokers.to_owned(), name: unique("orders"), group: unique("readers"), partitions };
        topic.make(copies);
        topic
    }

    /// Another topic that the same group reads.
    pub fn beside(&self, partitions: i32) -> Self {
        let name = format!("{}_too", self.name);
        let topic = Topic { brokers: self.brokers.clone(), name, group: self.group.clone(), partitions };
        topic.make(1);
        topic
    }

    /// Deletes it, and makes one of the same name.
    pub fn recreate(&self) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("an admin client");
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        let deleted = runtime().block_on(admin.delete_topics(&[&self.name], &options)).expect("the broker answers");
        deleted.into_iter().for_each(|result| drop(result.expect("the topic is deleted")));
        self.make(1);
    }

    fn make(&self, copies: i32) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("an admin client");
        let new = NewTopic::new(&self.name, self.partitions, TopicReplication::Fixed(copies));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        // Where one of that name was deleted, the brokers need a moment.
        let made = super::wait::poll(PATIENCE, || {
            let made = runtime().block_on(admin.create_topics([&new], &options)).expect("the broker answers");
            match made.into_iter().next().expect("an answer for the one topic") {
                Ok(_) => Some(()),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
                Err((name, error)) => panic!("{name} is not made: {error}"),
            }
        });
        assert!(made.is_some(), "{} is made", self.name);
        // Asked anew each time: a client remembers a topic that is gone.
        let led = super::wait::poll(PATIENCE, || {
            let asking: BaseConsumer = self.config().create().expect("a client");
            let metadata = asking.fetch_metadata(Some(&self.name), Duration::from_secs(5)).ok()?;
            let found = metadata.topics().first()?.partitions();
            (found.len() == self.partitions as usize && found.iter().all(|p| p.leader() >= 0)).then_some(())
        });
        assert!(led.is_some(), "every partition of {} has a leader", self.name);
    }

    /// Writes so many messages to partition 0 in one transaction, and ends it like that.
    pub fn transaction(&self, count: usize, commit: bool) {
        let mut config = self.config();
        let producer: BaseProducer = config.set("transactional.id", unique("writer")).create().expect("a producer");
        producer.init_transactions(PATIENCE).expect("the broker takes transactions");
        producer.begin_transaction().expect("one begins");
        for _ in 0..count {
            producer.send(BaseRecord::<(), str>::to(&self.name).partition(0).payload("paid")).expect("it is queued");
        }
        producer.flush(PATIENCE).expect("everything is delivered");
        match commit {
            true => producer.commit_transaction(PATIENCE).expect("it is committed"),
            false => producer.abort_transaction(PATIENCE).expect("it is aborted"),
        }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// Writes so many messages, spread over all partitions.
    pub fn produce(&self, count: usize) {
        let producer: BaseProducer = self.config().set("linger.ms", "5").create().expect("a producer");
        for number in 0..count {
            let payload = format!("order {number}");
            let partition = number as i32 % self.partitions;
            let mut record = BaseRecord::<(), str>::to(&self.name).partition(partition).payload(&payload);
            while let Err((error, same)) = producer.send(record) {
                let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                assert!(full, "{error}");
                producer.poll(Duration::from_millis(50)); // its queue has room again once some are delivered
                record = same;
            }
        }
        producer.flush(PATIENCE).expect("everything is delivered");
    }

    /// A member of the group, waiting: it reads only in [`Reader::read`].
    pub fn reader(&self) -> Reader {
        self.reader_with("classic")
    }

    /// The same, by that protocol: `classic`, or `consumer` for KIP-848.
    pub fn reader_with(&self, protocol: &str) -> Reader {
        let mut config = self.config();
        config.set("group.protocol", protocol);
        config.set("group.id", &self.group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.subscribe(&[&self.name]).expect("it subscribes");
        Reader { consumer }
    }

    /// End offsets minus committed offsets, summed up, as `kafka-consumer-groups --describe` has it: read by a client of the
    /// test's own.
    pub fn lag(&self) -> i64 {
        let consumer: BaseConsumer = self.config().set("group.id", &self.group).create().expect("a consumer");
        let mut places = TopicPartitionList::new();
        places.add_partition_range(&self.name, 0, self.partitions - 1);
        let committed = consumer.committed_offsets(places, PATIENCE).expect("the broker knows what is committed");
        let mut lag = 0;
        for place in committed.elements() {
            let (_, end) =
                consumer.fetch_watermarks(&self.name, place.partition(), PATIENCE).expect("the broker answers");
            match place.offset() {
                Offset::Offset(at) => lag += end - at,
                other => panic!("partition {} has no commit: {other:?}", place.partition()),
            }
        }
        lag
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A member of a consumer group.
pub struct Reader {
    consumer: BaseConsumer,
}

impl Reader {
    /// Reads so many messages and commits where it stands on every partition it read.
    pub fn read(&self, count: usize) {
        let end = Instant::now() + PATIENCE;
        let mut read = 0;
        while read < count {
            assert!(Instant::now() < end, "only {read} of {count} messages came");
            match self.consumer.poll(Duration::from_millis(200)) {
                None => {}
                Some(Ok(message)) => {
                    read += usize::from(message.payload().is_some());
                }
                Some(Err(error)) => panic!("the consumer: {error}"),
            }
        }
        // Where the application stands, not where the client has fetched to.
        self.consumer.commit_consumer_state(CommitMode::Sync).expect("the commit is taken");
    }

    /// Partitions it was given.
    pub fn partitions(&self) -> BTreeSet<i32> {
        let given = self.consumer.assignment().expect("it has an assignment");
        given.elements().iter().map(|place| place.partition()).collect()
    }
}

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
        let topic = Topic { brokers: brokers.to_owned(), name: unique("orders"), group: unique("readers"), partitions };
        let admin: AdminClient<DefaultClientContext> = topic.config().create().expect("an admin client");
        let new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        let made = runtime.block_on(admin.create_topics([&new], &options)).expect("the broker answers");
        made.into_iter().for_each(|result| drop(result.expect("the topic is made")));
        let led = super::wait::poll(PATIENCE, || {
            let metadata = admin.inner().fetch_metadata(Some(&topic.name), Duration::from_secs(5)).ok()?;
            let found = metadata.topics().first()?.partitions();
            (found.len() == partitions as usize && found.iter().all(|p| p.leader() >= 0)).then_some(())
        });
        assert!(led.is_some(), "every partition of {} has a leader", topic.name);
        topic
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
                let full = error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull);
                assert!(full, "{error}");
                producer.poll(Duration::from_millis(50)); // its queue has room again once some are delivered
                record = same;
            }
        }
        producer.flush(PATIENCE).expect("everything is delivered");
    }

    /// A member of the group, waiting: it reads only in [`Reader::read`].
    pub fn reader(&self) -> Reader {
        let mut config = self.config();
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

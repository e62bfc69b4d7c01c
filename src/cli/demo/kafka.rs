//! The demo's topic: librdkafka's own mock broker in this process, a real producer, and a real consumer whose group falls
//! behind until somebody lets it read on. The lag that the watch reads is the one that is there.

use super::Trouble;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::Message as _;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The topic and the group that the plan names.
const TOPIC: &str = "customers.changed";
const GROUP: &str = "search-ingest";
const PARTITIONS: i32 = 3;
/// Messages there are before anybody looks: above the plan's `fail_above`.
const BACKLOG: u64 = 2400;
/// While nobody reads no more than these are written: a person may take an hour over the first step.
const BACKLOG_MAX: u64 = 8000;
/// One message a beat is written, [`READ`] a beat are read: the backlog takes some five seconds to drain, and is seen to.
const BEAT: Duration = Duration::from_millis(50);
const READ: usize = 25;

/// The broker and its two clients. Dropping it ends them, the clients first.
pub struct Ingest {
    /// Where the broker answers.
    pub brokers: String,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    // Dropped after `drop` below joined the threads, so no client is left to complain that its broker is gone.
    _cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Ingest {
    /// Starts the broker, fills the topic, and lets the group stand still as long as the trouble holds.
    pub fn start(trouble: Trouble) -> anyhow::Result<Ingest> {
        let cluster = MockCluster::new(1)?;
        cluster.create_topic(TOPIC, PARTITIONS, 1)?;
        let brokers = cluster.bootstrap_servers();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &brokers).set("enable.metrics.push", "false");
        let producer: BaseProducer = config.create()?;
        for number in 0..BACKLOG {
            write(&producer, number)?;
        }
        producer.flush(Duration::from_secs(10))?;
        let consumer: BaseConsumer =
            config.set("group.id", GROUP).set("enable.auto.commit", "false").set("fetch.wait.max.ms", "50").create()?;
        let begin = list(&[Some(0); PARTITIONS as usize])?;
        // Partitions are assigned by hand: one member needs no group protocol, and nobody waits for a rebalance.
        consumer.assign(&begin)?;
        // A group that never committed has no lag, only an unknown.
        consumer.commit(&begin, CommitMode::Sync)?;

        let stop = Arc::new(AtomicBool::new(false));
        let mut ingest = Ingest { brokers, stop: stop.clone(), threads: vec![], _cluster: cluster };
        let (stopped, held) = (stop.clone(), trouble.clone());
        ingest.spawn("demo-producer", move || {
            let mut number = BACKLOG;
            while !stopped.load(Ordering::Relaxed) {
                // A message that could not be queued is one that was never written: nothing to mend.
                if (!held.holds() || number < BACKLOG_MAX) && write(&producer, number).is_ok() {
                    number += 1;
                }
                producer.poll(Duration::ZERO);
                std::thread::sleep(BEAT);
            }
        })?;
        ingest.spawn("demo-consumer", move || {
            let mut next = [None; PARTITIONS as usize];
            while !stop.load(Ordering::Relaxed) {
                if !trouble.holds() {
                    read(&consumer, &mut next);
                }
                std::thread::sleep(BEAT);
            }
        })?;
        Ok(ingest)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(())
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // each looks at `stop` every beat; one that panicked is over too
        }
    }
}

fn write(producer: &BaseProducer, number: u64) -> KafkaResult<()> {
    let partition = i32::try_from(number % PARTITIONS as u64).unwrap_or(0); // 0, 1 or 2
    let payload = format!("{{\"customer\":{number}}}");
    let record = BaseRecord::<(), str>::to(TOPIC).partition(partition).payload(&payload);
    producer.send(record).map_err(|(error, _)| error)
}

/// Reads some messages and commits that they were read. What fails is tried again with the next beat.
fn read(consumer: &BaseConsumer, next: &mut [Option<i64>; PARTITIONS as usize]) {
    for _ in 0..READ {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(5)) else { break };
        if let Some(next) = usize::try_from(message.partition()).ok().and_then(|at| next.get_mut(at)) {
            *next = Some(message.offset() + 1);
        }
    }
    if let Ok(read) = list(next)
        && read.count() > 0
    {
        // Not waited for: a broker that is slow must not keep this thread from ending.
        let _ = consumer.commit(&read, CommitMode::Async);
    }
}

fn list(offsets: &[Option<i64>]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in (0..).zip(offsets) {
        if let Some(offset) = offset {
            list.add_partition_offset(TOPIC, partition, Offset::Offset(*offset))?;
        }
    }
    Ok(list)
}

//! What one cycle of a `kafka-lag` watch costs: requests and time, for one group on 10,000 partitions of librdkafka's own mock
//! brokers, each answer 20 ms away. Beside it the loop one would write first, which asks partition by partition; it is
//! measured on fewer partitions and counted up, since it would take minutes.
#![allow(unsafe_code)] // one call that the client's safe interface leaves out: which requests the brokers were sent

mod support;

use crosscheck::event::Status;
use crosscheck::monitor::kafka::Lag;
use crosscheck::plan::{Params, Plan};
use rdkafka::ClientConfig;
use rdkafka::bindings as rdsys;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaApiKey;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Goal, cpu, headline, median, report_as};

const PARTITIONS: usize = 10_000;
const RTT: Duration = Duration::from_millis(20);
const CYCLES: usize = 7;
/// Partitions that the loop is measured on.
const LOOPED: usize = 100;
const REQUESTS_MAX: f64 = 8.0;
const SECONDS_MAX: f64 = 1.0;

fn main() {
    headline("lagcost", "one cycle over 1 group x 10,000 partitions, 3 brokers, 20 ms away");
    for topics in [1, 10] {
        measure(topics);
    }
}

fn measure(topics: usize) {
    let mut config = ClientConfig::new();
    let brokers: BaseProducer = config.set("test.mock.num.brokers", "3").create().expect("mock brokers");
    let cluster = brokers.client().mock_cluster().expect("they are there");
    let names: Vec<String> = (0..topics).map(|n| format!("events-{n}")).collect();
    let each = i32::try_from(PARTITIONS / topics).expect("a small number");
    names.iter().for_each(|name| cluster.create_topic(name, each, 3).expect("a topic"));
    let addresses = cluster.bootstrap_servers();
    commit(&addresses, &names, each);
    cluster.broker_round_trip_time(-1, RTT).expect("a distance");

    let listed: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    let plan = format!(
        "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\n\
         shadow = [\"dba@example.org\"]\n[[watch]]\nid = \"lag\"\nkind = \"kafka-lag\"\nbrokers = \"{addresses}\"\n\
         group = \"ingest\"\ntopics = [{}]\nfail_above = 1\n",
        listed.join(", ")
    );
    let plan = Plan::parse("plan.toml", &plan).expect("a plan");
    let mut lag = Lag::new(&plan.watches[0], &Params::new(), Path::new(".")).expect("a watch");
    let mut cycle = || {
        let begin = Instant::now();
        let reading = lag.read(begin + Duration::from_secs(60));
        (begin.elapsed().as_secs_f64(), reading)
    };
    // The first one finds the brokers and the coordinator.
    while cycle().1.status != Status::Ok {}
    let requests = Requests::track(&brokers);
    let (mut seconds, mut asked, mut busy) = (vec![], vec![], vec![]);
    for _ in 0..CYCLES {
        requests.taken();
        let before = cpu();
        let (took, reading) = cycle();
        busy.push((cpu() - before).as_secs_f64());
        assert_eq!((reading.status, reading.value), (Status::Ok, Some(0.0)), "{}", reading.why);
        seconds.push(took);
        asked.push(requests.taken() as f64 * 1000.0 / PARTITIONS as f64);
    }
    let of = format!("lagcost, {topics} topic{}", if topics == 1 { "" } else { "s" });
    report_as(&of, "requests per 1,000 partitions", &asked, Goal::AtMost(REQUESTS_MAX));
    report_as(&of, "seconds a cycle", &seconds, Goal::AtMost(SECONDS_MAX));
    report_as(&of, "processor seconds a cycle, the brokers' included", &busy, Goal::None);

    let looped = by_partition(&addresses, &names[0]) * PARTITIONS as f64 / LOOPED as f64;
    println!(
        "{of}: one by one it would take {looped:.0} s (measured on {LOOPED} partitions, counted up), {:.0} times as long",
        looped / median(&seconds)
    );
}

/// What a member would have committed: everything, which is nothing.
fn commit(addresses: &str, topics: &[String], each: i32) {
    let mut config = ClientConfig::new();
    let member: BaseConsumer =
        config.set("bootstrap.servers", addresses).set("group.id", "ingest").create().expect("a member");
    for topic in topics {
        for from in (0..each).step_by(1000) {
            let mut list = TopicPartitionList::new();
            for partition in from..(from + 1000).min(each) {
                list.add_partition_offset(topic, partition, Offset::Offset(0)).expect("an offset");
            }
            member.commit(&list, CommitMode::Sync).expect("a commit");
        }
    }
}

/// Seconds for the committed offset and the two ends of each partition, asked one by one.
fn by_partition(addresses: &str, topic: &str) -> f64 {
    let mut config = ClientConfig::new();
    let consumer: BaseConsumer =
        config.set("bootstrap.servers", addresses).set("group.id", "ingest").create().expect("a client");
    let ask = |partition: i32| {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        consumer.committed_offsets(list, Duration::from_secs(10)).expect("a commit");
        consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).expect("two ends");
    };
    (0..3).for_each(ask); // it finds brokers and coordinator
    let begin = Instant::now();
    (0..LOOPED as i32).for_each(ask);
    begin.elapsed().as_secs_f64()
}

/// The requests that the mock brokers were sent.
struct Requests<'a>(&'a BaseProducer);

impl<'a> Requests<'a> {
    fn track(brokers: &'a BaseProducer) -> Self {
        let requests = Requests(brokers);
        // SAFETY: the cluster belongs to that client, which outlives this.
        unsafe { rdsys::rd_kafka_mock_start_request_tracking(requests.cluster()) };
        requests
    }

    fn cluster(&self) -> *mut rdsys::rd_kafka_mock_cluster_t {
        // SAFETY: the client is alive; it was made with mock brokers, so the pointer is not null.
        unsafe { rdsys::rd_kafka_handle_mock_cluster(self.0.client().native_ptr()) }
    }

    /// How many came since it was last asked, the handshakes of new connections left out.
    fn taken(&self) -> usize {
        let handshake = RDKafkaApiKey::ApiVersion as i16;
        let mut count = 0;
        // SAFETY: the list is ours until it is given back with the count that came with it.
        unsafe {
            let list = rdsys::rd_kafka_mock_get_requests(self.cluster(), &mut count);
            let key = |at: usize| rdsys::rd_kafka_mock_request_api_key(*list.add(at));
            let asked = (0..count).filter(|at| key(*at) != handshake).count();
            rdsys::rd_kafka_mock_request_destroy_array(list, count);
            rdsys::rd_kafka_mock_clear_requests(self.cluster());
            asked
        }
    }
}

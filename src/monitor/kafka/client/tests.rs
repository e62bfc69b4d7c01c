//! Against librdkafka's own mock brokers: real sockets, real protocol, real failures.

use super::super::Lag;
use super::*;
use crate::event::{Reading, Status};
use crate::plan::{KafkaLag, Params, Template, WatchKind};
use rdkafka::consumer::CommitMode;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// Three brokers, and a topic of two partitions with ten messages in each.
fn cluster() -> Cluster {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic("events", 2, 3).unwrap();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    for partition in [0, 1] {
        for _ in 0..10 {
            producer.send(BaseRecord::<(), str>::to("events").partition(partition).payload("x")).unwrap();
        }
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    cluster
}

/// What a member of the group would do.
fn commit(cluster: &Cluster, offsets: &[(i32, i64)]) {
    let member: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "ingest")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset("events", *partition, Offset::Offset(*offset)).unwrap();
    }
    member.commit(&list, CommitMode::Sync).unwrap();
}

fn lag(brokers: &str, topics: &[&str]) -> Lag {
    let text = |text: &str| Template::new(text).unwrap();
    let kind = WatchKind::KafkaLag(KafkaLag {
        brokers: text(brokers),
        group: text("ingest"),
        topics: topics.iter().copied().map(text).collect(),
        warn_above: None,
        fail_above: Some(15),
        drained: false,
        residual: 0,
        client: vec![],
    });
    let watch = crate::fixture::watching("lag", kind, Duration::from_secs(5));
    Lag::new(&watch, &Params::new(), std::path::Path::new(".")).unwrap()
}

fn read(lag: &mut Lag) -> Reading {
    lag.read(Instant::now() + Duration::from_secs(8))
}

#[test]
fn the_lag_is_what_the_group_has_left_to_read() {
    let cluster = cluster();
    let mut lag = lag(&cluster.bootstrap_servers(), &["events"]);
    let reading = read(&mut lag);
    assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
    assert!(reading.why.contains("no commit, up to 10 messages"), "{}", reading.why);
    commit(&cluster, &[(0, 10), (1, 3)]);
    let reading = read(&mut lag);
    assert_eq!((reading.status, reading.value), (Status::Ok, Some(7.0)), "{}", reading.why);
    commit(&cluster, &[(0, 2), (1, 2)]);
    let reading = read(&mut lag);
    assert_eq!((reading.status, reading.value), (Status::Fail, Some(16.0)), "{}", reading.why);
    commit(&cluster, &[(0, 11)]);
    let reading = read(&mut lag);
    assert_eq!((reading.status, reading.value), (Status::Fail, None), "{}", reading.why);
    assert!(reading.why.contains("p0 is ahead"), "{}", reading.why);
}

#[test]
fn a_topic_that_is_not_there_is_unknown_and_stays_uncreated() {
    let cluster = cluster();
    commit(&cluster, &[(0, 10), (1, 10)]);
    let mut lag = lag(&cluster.bootstrap_servers(), &["events", "typo"]);
    for _ in 0..2 {
        let reading = read(&mut lag);
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
        assert!(reading.why.contains("typo: "), "{}", reading.why);
    }
}

#[test]
fn brokers_that_are_down_read_unknown_within_the_deadline_and_come_back() {
    let cluster = cluster();
    commit(&cluster, &[(0, 10), (1, 10)]);
    let mut lag = lag(&cluster.bootstrap_servers(), &["events"]);
    assert_eq!(read(&mut lag).value, Some(0.0));
    cluster.broker_down(-1).unwrap();
    for _ in 0..2 {
        let began = Instant::now();
        let reading = lag.read(began + Duration::from_secs(2));
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
        assert!(began.elapsed() < Duration::from_secs(3), "took {:?}", began.elapsed());
    }
    cluster.broker_up(-1).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let reading = read(&mut lag);
        if reading.value == Some(0.0) {
            break;
        }
        assert!(Instant::now() < until, "never came back: {reading:?}");
    }
}

#[test]
fn a_partition_without_a_leader_is_named_and_the_rest_is_counted() {
    let cluster = cluster();
    commit(&cluster, &[(0, 4), (1, 10)]);
    cluster.partition_leader("events", 1, None).unwrap();
    let reading = read(&mut lag(&cluster.bootstrap_servers(), &["events"]));
    assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
    assert!(reading.why.contains("lag at least 6, 1 of 2 partitions known; p1: no leader"), "{}", reading.why);
}

#[test]
fn nobody_listening_is_unknown_and_says_so() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let began = Instant::now();
    let reading = lag(&format!("127.0.0.1:{port}"), &["events"]).read(began + Duration::from_secs(1));
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert!(reading.why.contains("refused"), "{}", reading.why);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn many_partitions_are_asked_about_at_once_and_a_failure_stays_where_it_was() {
    let places: Vec<_> = (0..6001).map(|partition| Place { topic: "events".into(), partition }).collect();
    let ask = |part: &[Place]| match part[0].partition {
        1250 => Err("no answer".to_owned()),
        2500 => Ok(vec![]), // shorter than what was asked: a guess would put one offset on another partition
        _ => Ok(part.iter().map(|place| Fact::Known(place.partition)).collect()),
    };
    let facts = at_once(&places, ask).unwrap();
    assert_eq!(facts.len(), places.len());
    for (place, fact) in places.iter().zip(facts) {
        match (place.partition, fact) {
            (1250..2500, Fact::Unknown(why)) => assert_eq!(&*why, "no answer"),
            (2500..3750, Fact::Unknown(why)) => assert!(why.contains("incomplete")),
            (partition, fact) => assert_eq!(fact, Fact::Known(partition)),
        }
    }
    assert_eq!(at_once(&places[1250..1300], ask), Err("no answer".into()));
}

#[test]
fn a_topic_of_thousands_of_partitions_is_read_whole() {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic("events", 3000, 3).unwrap();
    let all: Vec<_> = (0..3000).map(|partition| (partition, 0)).collect();
    all.chunks(1000).for_each(|some| commit(&cluster, some));
    let reading = read(&mut lag(&cluster.bootstrap_servers(), &["events"]));
    assert_eq!((reading.status, reading.value), (Status::Ok, Some(0.0)), "{}", reading.why);
    assert!(reading.why.starts_with("lag 0 on 3000 partitions"), "{}", reading.why);
}

#[test]
fn why_nobody_is_there_is_not_forgotten_over_that_nobody_is() {
    let listener = Listener::default();
    let down = |text: &str| listener.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), text);
    down("6/6 brokers are down");
    assert_eq!(listener.kept().take().as_deref(), Some(NOBODY));
    listener.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "b:1: Connection refused");
    down("6/6 brokers are down");
    let said = listener.kept().take();
    assert_eq!(said.as_deref(), Some("b:1: Connection refused"));
    // In the cycles after it the client says only that.
    down("6/6 brokers are down");
    let kept = telling(listener.kept().take(), said);
    assert_eq!(kept.as_deref(), Some("b:1: Connection refused"));
    assert_eq!(telling(Some("b:1: timed out".into()), kept).as_deref(), Some("b:1: timed out"), "a new cause is told");
    assert_eq!(telling(None, None), None);
}

#[test]
fn an_outage_is_told_in_plain_words() {
    let words = |code| [short(&KafkaError::MetadataFetch(code)), short(&KafkaError::AdminOp(code))];
    assert_eq!(words(RDKafkaErrorCode::OperationTimedOut), ["no answer in time"; 2]);
    assert_eq!(words(RDKafkaErrorCode::BrokerTransportFailure), ["no connection"; 2]);
    assert!(words(RDKafkaErrorCode::GroupAuthorizationFailed).iter().all(|said| said.contains("authoriz")));
}

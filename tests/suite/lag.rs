//! `kafka-lag` against real brokers: its numbers are those of Kafka's own `kafka-consumer-groups`, and no outage makes it say
//! a zero or an ok that is not true.

use crate::support::brokers::{Brokers, described, jars, tool};
use crate::support::kafka::{Reader, Topic};
use crate::support::program::run;
use crate::support::real::part;
use crate::support::wait::{PATIENCE, poll};
use crosscheck::event::{Reading, Status};
use crosscheck::monitor::kafka::Lag;
use crosscheck::monitor::{Monitor, Sample};
use crosscheck::plan::{Params, Plan, Watch};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A watch as a plan has it.
fn watch(brokers: &str, group: &str, more: &str) -> Watch {
    let text = format!(
        "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\n\
         shadow = [\"dba@example.org\"]\n\
         [[watch]]\nid = \"lag\"\nkind = \"kafka-lag\"\nevery = \"1s\"\nbrokers = \"{brokers}\"\ngroup = \"{group}\"\n{more}\n"
    );
    Plan::parse("plan.toml", &text).unwrap_or_else(|error| panic!("{error}")).watches.remove(0)
}

fn lag(brokers: &str, group: &str, more: &str) -> Lag {
    Lag::new(&watch(brokers, group, more), &Params::new(), Path::new(".")).expect("a watch")
}

fn read(lag: &mut Lag) -> Reading {
    lag.read(Instant::now() + Duration::from_secs(9))
}

/// The first reading that is not unknown for want of an answer: a client needs a moment to find its brokers.
fn settled(lag: &mut Lag) -> Reading {
    let reading = poll(PATIENCE, || {
        read(lag);
        let whole = !lag.partitions().is_empty() && lag.partitions().iter().all(|part| part.lag().is_some());
        whole.then(|| read(lag))
    });
    reading.expect("every partition becomes known")
}

/// What the watch has seen, as the tool would print it.
fn seen(lag: &Lag) -> BTreeMap<(String, i32), Option<u64>> {
    let row = |part: &crosscheck::monitor::kafka::Partition| {
        ((part.place.topic.to_string(), part.place.partition), part.lag())
    };
    lag.partitions().iter().map(row).collect()
}

fn topics(topic: &Topic) -> String {
    format!("topics = [\"{}\"]\nfail_above = 1000000", topic.name)
}

/// A share group (KIP-932) commits nothing that could be read: what it is, is said, and no number.
#[test]
fn a_share_group_is_named_by_what_it_is() {
    let (Some(brokers), Some(jars)) = (part("CROSSCHECK_TEST_KAFKA"), jars()) else { return };
    let topic = Topic::new(&brokers, 1);
    topic.produce(3);
    let at = ["--bootstrap-server", &brokers];
    let upgrade = ["upgrade", "--feature", "share.version=1"];
    tool(&jars, &[&["org.apache.kafka.tools.FeatureCommand"], &at[..], &upgrade].concat());
    let consumer = "org.apache.kafka.tools.consumer.ConsoleShareConsumer";
    let group = format!("{}-sharers", topic.name);
    let words = ["--topic", &topic.name, "--group", &group, "--timeout-ms", "3000"];
    tool(&jars, &[&[consumer], &at[..], &words].concat());
    for (group, topics, told) in [
        (group.as_str(), topics(&topic), "the brokers know it as no classic group: a share group commits no offsets"),
        (group.as_str(), "fail_above = 9".to_owned(), "a share group commits no offsets"),
        ("nobody-is-called-so", topics(&topic), "the brokers know no group of that name"),
    ] {
        let mut lag = lag(&brokers, group, &topics);
        let reading = poll(PATIENCE, || Some(read(&mut lag)).filter(|reading| reading.why.contains("no commit")));
        let reading = reading.expect("the brokers answer");
        assert!(reading.status == Status::Unknown && reading.value.is_none(), "{reading:?}");
        assert!(reading.why.contains(told), "{group}: {reading:?}");
    }
}

#[test]
fn the_lag_of_each_partition_is_what_kafka_s_own_tool_prints() {
    let (Some(jars), Some(brokers)) = (jars(), part("CROSSCHECK_TEST_KAFKA")) else { return };
    let mut compared = 0;
    for protocol in ["classic", "consumer"] {
        let topic = Topic::new(&brokers, 3);
        let reader = topic.reader_with(protocol);
        topic.produce(301);
        reader.read(301);
        topic.produce(100); // 34, 33, 33
        let mut lag = lag(&brokers, &topic.group, &topics(&topic));
        let reading = settled(&mut lag);
        let printed = described(&jars, &brokers, &topic.group);
        assert_eq!(printed.len(), 3, "{protocol}: {printed:?}");
        assert_eq!(seen(&lag), printed, "{protocol} with a member: {}", reading.why);
        assert_eq!(reading.value, Some(100.0));
        // The same once the member is gone and nobody is left in the group.
        drop(reader);
        let reading = settled(&mut lag);
        assert_eq!(seen(&lag), described(&jars, &brokers, &topic.group), "{protocol}, empty: {}", reading.why);
        // And without topics: the group knows them.
        let mut whole = self::lag(&brokers, &topic.group, "fail_above = 1000000");
        settled(&mut whole);
        assert_eq!(seen(&whole), printed, "{protocol}: every topic of the group");
        compared += printed.len() * 3;
    }
    println!("lag: {compared} partitions compared with kafka-consumer-groups");
}

#[test]
fn a_group_of_two_topics_is_read_whole_and_no_other_group_with_it() {
    let (Some(jars), Some(brokers)) = (jars(), part("CROSSCHECK_TEST_KAFKA")) else { return };
    let (topic, other) = (Topic::new(&brokers, 2), Topic::new(&brokers, 1));
    let too = topic.beside(1);
    for (topic, messages, left) in [(&topic, 20, 6), (&too, 10, 3), (&other, 5, 1)] {
        let reader = topic.reader();
        topic.produce(messages);
        reader.read(messages);
        topic.produce(left);
    }
    let mut whole = lag(&brokers, &topic.group, "fail_above = 100");
    let mut another = lag(&brokers, &other.group, "fail_above = 100");
    assert_eq!((settled(&mut whole).value, settled(&mut another).value), (Some(9.0), Some(1.0)));
    assert_eq!(seen(&whole), described(&jars, &brokers, &topic.group));
    let mut nobody = lag(&brokers, "nobody-by-this-name", "fail_above = 100");
    let said =
        poll(PATIENCE, || Some(read(&mut nobody)).filter(|reading| reading.why.contains("no commits on any topic")));
    assert_eq!(said.expect("it finds nothing").status, Status::Unknown, "a group that is not there has no lag of zero");
}

#[test]
fn what_transactions_leave_is_shown_and_may_be_allowed() {
    let (Some(jars), Some(brokers)) = (jars(), part("CROSSCHECK_TEST_KAFKA")) else { return };
    let topic = Topic::new(&brokers, 1);
    let reader = topic.reader();
    topic.transaction(10, true);
    reader.read(10);
    topic.transaction(5, false); // aborted: nobody will ever be given them
    let mut lag = lag(&brokers, &topic.group, &topics(&topic));
    let reading = settled(&mut lag);
    let printed = described(&jars, &brokers, &topic.group);
    assert_eq!(seen(&lag), printed, "{}", reading.why);
    let left = printed.into_values().next().expect("one partition").expect("a number");
    println!("lag: a reader of everything in transactions is left with {left}");
    assert!(left >= 6, "five that were aborted, and the marker that says so: {left}");
    let strict = drained(&brokers, &topic, "");
    assert!(strict.is_err_and(|why| why.contains(&format!("lag {left}")) && why.contains("not drained")));
    let allowed = drained(&brokers, &topic, &format!("residual = {left}")).expect("what is left is allowed");
    assert!(allowed.contains(&format!("{left} of it may stay")), "allowed is not hidden: {allowed}");
}

/// Looks five times, as a plan with `drained` does: the words of the first reading that is ok, or of the last one.
fn drained(brokers: &str, topic: &Topic, more: &str) -> Result<String, String> {
    let mut lag = lag(brokers, &topic.group, &format!("topics = [\"{}\"]\ndrained = true\n{more}", topic.name));
    settled(&mut lag);
    let mut last = Err("never read".to_owned());
    for _ in 0..5 {
        let reading = read(&mut lag);
        match reading.status {
            Status::Ok => return Ok(reading.why),
            _ => last = Err(reading.why),
        }
    }
    last
}

#[test]
fn drained_opens_once_a_real_group_has_read_everything_and_shuts_again() {
    let Some(brokers) = part("CROSSCHECK_TEST_KAFKA") else { return };
    let topic = Topic::new(&brokers, 2);
    let reader = topic.reader();
    topic.produce(10);
    reader.read(10);
    topic.produce(30);
    let why = drained(&brokers, &topic, "").expect_err("thirty are left");
    assert!(why.contains("lag 30 on 2 partitions") && why.contains("not drained"), "{why}");
    reader.read(30);
    let mut lag = lag(&brokers, &topic.group, &format!("topics = [\"{}\"]\ndrained = true", topic.name));
    let readings: Vec<Reading> = (0..20).map(|_| read(&mut lag)).collect();
    let at = readings.iter().position(|reading| reading.status == Status::Ok).expect("it is drained");
    assert!(at >= 2, "not before the third look: {}", readings[at].why);
    assert!(readings[at].why.starts_with("lag 0 on 2 partitions, drained "), "{}", readings[at].why);
    topic.produce(1);
    let reading = settled(&mut lag);
    assert_eq!((reading.status, reading.value), (Status::Warn, Some(1.0)), "{}", reading.why);
}

#[test]
fn a_topic_made_anew_is_not_taken_for_a_drained_one() {
    let (Some(jars), Some(brokers)) = (jars(), part("CROSSCHECK_TEST_KAFKA")) else { return };
    let topic = Topic::new(&brokers, 1);
    let reader = topic.reader();
    topic.produce(50);
    reader.read(20);
    drop(reader); // else it would commit on the new one
    let mut lag = lag(&brokers, &topic.group, &topics(&topic));
    assert_eq!(settled(&mut lag).value, Some(30.0));
    topic.recreate();
    let printed = described(&jars, &brokers, &topic.group);
    println!("lag: of a recreated topic kafka-consumer-groups prints {printed:?}");
    let mut said = Reading::unknown("");
    let failed = poll(PATIENCE, || {
        said = read(&mut lag);
        assert_ne!(said.status, Status::Ok, "{}", said.why);
        assert_eq!(said.value, None, "{}", said.why);
        (said.status == Status::Fail).then_some(())
    });
    assert!(failed.is_some() && said.why.contains("recreated or truncated"), "{}", said.why);
    // A watch that never knew the old one is held against the tool.
    let mut fresh = self::lag(&brokers, &topic.group, &topics(&topic));
    let reading = poll(PATIENCE, || {
        let reading = read(&mut fresh);
        (!reading.why.contains("not known")).then_some(reading)
    });
    let reading = reading.expect("the new topic can be read");
    match printed.values().next().copied().flatten() {
        Some(lag) => assert_eq!(reading.value, Some(lag as f64), "{}", reading.why),
        None => assert!(reading.value.is_none_or(|value| value == 0.0), "nothing is in it: {}", reading.why),
    }
    // Once the group reads the new one, it is an ordinary topic again.
    let reader = topic.reader();
    topic.produce(8);
    reader.read(5);
    assert_eq!(settled(&mut lag).value, Some(3.0));
}

/// A broker that makes topics when they are asked about makes none for a watch.
#[test]
fn a_mistyped_topic_is_unknown_and_is_not_made() {
    let Some(brokers) = Brokers::start(1, "auto.create.topics.enable=true") else { return };
    let addresses = brokers.addresses();
    let mut lag = lag(&addresses, "readers", "topics = [\"tpyo\"]\nfail_above = 1");
    let reading = poll(PATIENCE, || Some(read(&mut lag)).filter(|reading| reading.why.contains("tpyo: ")));
    let reading = reading.expect("it says what is wrong with the topic");
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    (0..5).for_each(|_| drop(read(&mut lag)));
    let asking: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &addresses).create().expect("a client of the test's own");
    let metadata = asking.fetch_metadata(None, PATIENCE).expect("the broker answers");
    let names: Vec<_> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
    assert!(!names.iter().any(|name| name == "tpyo"), "{names:?}");
    // The broker would: the same question on a producer's handle makes the topic. That is why a consumer asks.
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &addresses).create().expect("a producer");
    let made = poll(PATIENCE, || {
        let _ = producer.client().fetch_metadata(Some("asked-by-a-producer"), Duration::from_secs(5));
        let metadata = asking.fetch_metadata(None, PATIENCE).expect("the broker answers");
        metadata.topics().iter().any(|topic| topic.name() == "asked-by-a-producer").then_some(())
    });
    assert!(made.is_some(), "this broker makes no topics for anybody, so the test shows nothing");
}

/// A hub that could never look does not fly; whoever wrote the plan is told at once.
#[test]
fn a_plan_that_needs_tls_is_refused_by_a_build_that_has_none() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("plan.toml");
    let text = "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\n\
                shadow = [\"dba@example.org\"]\n[[watch]]\nid = \"lag\"\nkind = \"kafka-lag\"\nbrokers = \"k:9093\"\n\
                group = \"g\"\nfail_above = 1\nclient = { \"security.protocol\" = \"SSL\" }\n";
    std::fs::write(&path, text).expect("it can be written");
    let (status, out, err) = run(home.path(), &["lint", path.to_str().expect("a path of text")]);
    let flies = cfg!(feature = "kafka-tls");
    assert_eq!(status, Some(if flies { 0 } else { 1 }), "{out}{err}");
    assert_eq!(err.contains("watch lag: security.protocol = \"SSL\" needs TLS for Kafka"), !flies, "{out}{err}");
}

#[cfg(feature = "kafka-tls")]
fn pem(what: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

/// TLS and a password, from the settings of a plan; and what is said where one of them is wrong.
#[cfg(feature = "kafka-tls")]
#[test]
fn a_broker_behind_tls_and_a_password_is_read_and_a_wrong_one_is_told() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (pem, key) = (pem("CERTIFICATE", made.cert.der()), pem("PRIVATE KEY", &made.signing_key.serialize_der()));
    let one_line = |pem: &str| pem.trim().replace("\r", "").replace('\n', "\\n");
    let settings = format!(
        "listeners=PLAINTEXT://127.0.0.1:PORT,SASL_SSL://127.0.0.1:SECURE,CONTROLLER://127.0.0.1:CONTROLLER\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:PORT,SASL_SSL://127.0.0.1:SECURE\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         ssl.keystore.type=PEM\nssl.keystore.certificate.chain={}\nssl.keystore.key={}\n\
         sasl.enabled.mechanisms=PLAIN\nlistener.name.sasl_ssl.plain.sasl.jaas.config=\
         org.apache.kafka.common.security.plain.PlainLoginModule required user_watch=\"open sesame\";",
        one_line(&pem),
        one_line(&key)
    );
    let Some(brokers) = Brokers::start(1, &settings) else { return };
    let topic = Topic::new(&brokers.addresses(), 2);
    let reader = topic.reader();
    topic.produce(10);
    reader.read(10);
    topic.produce(4);

    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("it can be written");
    write("ca.pem", &pem);
    write("password", "open sesame\n");
    write("wrong", "open barley\n");
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    write("other.pem", &self::pem("CERTIFICATE", other.cert.der()));
    let lag = |ca: &str, password: &str| {
        let client = format!(
            "client = {{ \"security.protocol\" = \"SASL_SSL\", \"sasl.mechanism\" = \"PLAIN\", \"sasl.username\" = \
             \"watch\", \"sasl.password\" = {{ file = \"{password}\" }}, \"ssl.ca.location\" = \"{ca}\" }}"
        );
        let watch = watch(&brokers.secure(), &topic.group, &format!("{}\n{client}", topics(&topic)));
        Lag::new(&watch, &Params::new(), folder.path()).expect("a watch")
    };
    assert_eq!(settled(&mut lag("ca.pem", "password")).value, Some(4.0));
    for (ca, password, said) in [("ca.pem", "wrong", "uthentication"), ("other.pem", "password", "certificate")] {
        let mut lag = lag(ca, password);
        let mut reading = Reading::unknown("");
        let told = poll(PATIENCE, || {
            reading = lag.read(Instant::now() + Duration::from_secs(3));
            assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
            reading.why.contains(said).then_some(())
        });
        assert!(told.is_some(), "{ca}, {password}: {}", reading.why);
        assert!(!reading.why.contains("open"), "no password is shown: {}", reading.why);
    }
}

/// What was done to a broker, and how it is undone.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Kill,
    Freeze,
}

/// Brokers are killed and frozen in turn, two at once now and then, and come back. In the meantime somebody writes and
/// nobody reads, so that the lag is known to the test: it only grows. Every reading is held against it.
#[test]
fn no_outage_makes_a_zero_or_an_ok_that_is_not_true() {
    let Some(mut brokers) = Brokers::start(3, "") else { return };
    let long = std::env::var_os("CROSSCHECK_RUNS").is_some();
    let addresses = brokers.addresses();
    let topic = Topic::copied(&addresses, 6, 3);
    let reader: Reader = topic.reader();
    topic.produce(60);
    reader.read(60);
    drop(reader);
    topic.produce(12);
    let written = Arc::new(AtomicU64::new(12));
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (addresses, name) = (addresses.clone(), topic.name.clone());
        let (written, stop) = (written.clone(), stop.clone());
        move || write(&addresses, &name, &written, &stop)
    });

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (samples, mut readings) = tokio::sync::mpsc::channel::<Sample>(10_000);
    let watched = watch(&addresses, &topic.group, &format!("topics = [\"{}\"]\nfail_above = 5", topic.name));
    let strict = Watch {
        id: "gate".parse().expect("a name"),
        ..watch(&addresses, &topic.group, &format!("topics = [\"{}\"]\ndrained = true", topic.name))
    };
    let monitor = runtime.block_on(async {
        let now: crosscheck::monitor::Now = Arc::new(crosscheck::clock::wall);
        Monitor::start(&[watched, strict], &Params::new(), Path::new("."), now, samples)
    });

    let (mut seen, mut unknown, mut recovered) = (0, 0, vec![]);
    let mut take = |within: Duration, until: &dyn Fn(&Sample) -> bool| {
        let end = Instant::now() + within;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let sample = runtime.block_on(async { tokio::time::timeout(left, readings.recv()).await });
            let Ok(sample) = sample else { return false };
            let sample = sample.expect("the watches go on");
            let most = written.load(Ordering::SeqCst) as f64;
            let reading = &sample.reading;
            // At least twelve messages are unread from the beginning to the end, and nobody reads.
            assert_ne!(reading.status, Status::Ok, "{}: {}", sample.watch, reading.why);
            if let Some(value) = reading.value {
                assert!((12.0..=most).contains(&value), "{}: {} of {most}: {}", sample.watch, value, reading.why);
            }
            seen += 1;
            unknown += usize::from(reading.status == Status::Unknown);
            if until(&sample) {
                return true;
            }
        }
        false
    };
    let fresh = |sample: &Sample| sample.watch.as_str() == "lag" && sample.reading.value.is_some();
    assert!(take(PATIENCE, &fresh), "nothing was read before the first blow");

    let rounds: u64 = if long { 20 } else { 4 };
    for round in 0..rounds {
        let one = (round % 3) as usize;
        let blow = if round % 2 == 0 { Blow::Freeze } else { Blow::Kill };
        // In every fourth round all three at once.
        let hit: Vec<usize> = if round % 4 == 3 { vec![0, 1, 2] } else { vec![one] };
        for index in &hit {
            match blow {
                Blow::Freeze => brokers.freeze(*index),
                Blow::Kill => brokers.kill(*index),
            }
        }
        take(Duration::from_secs(8), &|_| false);
        for index in &hit {
            match blow {
                Blow::Freeze => brokers.thaw(*index),
                Blow::Kill => brokers.launch(*index),
            }
        }
        if let Blow::Kill = blow {
            hit.iter().for_each(|index| brokers.until_serving(*index));
        }
        let back = Instant::now();
        assert!(take(PATIENCE, &fresh), "round {round}, {blow:?} {hit:?}: nothing was read afterwards");
        recovered.push(back.elapsed());
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().expect("the writer ends");
    drop(monitor);
    let slowest = recovered.iter().max().copied().unwrap_or_default();
    println!("lag: {rounds} outages, {seen} readings, {unknown} unknown, none ok; fresh again within {slowest:?}");
    assert!(seen as u64 > rounds * 8 && unknown > 0, "the outages were felt: {seen} readings, {unknown} unknown");
    assert!(slowest < Duration::from_secs(15), "fresh again only after {slowest:?}");
}

/// Writes now and then, and counts what may have been written before it is.
fn write(addresses: &str, topic: &str, written: &AtomicU64, stop: &AtomicBool) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", addresses)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", "0")
        .create()
        .expect("a producer");
    let mut next = 0;
    while !stop.load(Ordering::SeqCst) {
        written.fetch_add(1, Ordering::SeqCst);
        let _ = producer.send(BaseRecord::<(), str>::to(topic).partition(next % 6).payload("more"));
        next += 1;
        producer.poll(Duration::from_millis(100));
    }
    producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
}

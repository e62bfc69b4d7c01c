//! Cycles against scripted sources: what becomes of offsets that are known, unknown, lost and contradictory.

use super::*;
use crate::monitor::anchor::Slot;
use crate::monitor::worker::Worker;
use crate::name::WatchId;
use proptest::prelude::*;
use std::time::Duration;

const NEVER: Fact<Committed> = Fact::Known(Committed::Never);

fn place(partition: i32) -> Place {
    Place { topic: "events".into(), partition }
}
fn at(offset: u64) -> Fact<Committed> {
    Fact::Known(Committed::At(offset))
}
fn known(partition: i32, low: u64, committed: Fact<Committed>, end: u64) -> Partition {
    Partition { place: place(partition), low: Fact::Known(low), committed, end: Fact::Known(end) }
}
/// The reading of a single cycle: nothing is known of a trend yet, so without a limit there is nothing to judge by.
fn once(snapshot: &Snapshot, limits: Limits) -> Reading {
    let connect: Connect = Box::new(|| Err("nothing is connected here".into()));
    Lag::with(connect, Scope::new(vec!["events".into()]), limits, Duration::from_secs(5))
        .judge(snapshot, Duration::ZERO)
}
fn read(partitions: Vec<Partition>, limits: Limits) -> Reading {
    once(&Snapshot { partitions, missing: vec![] }, limits)
}
/// Limits that everything is within.
const WIDE: Limits = Limits { warn_above: None, fail_above: Some(u64::MAX), drained: false, residual: 0 };

#[test]
fn the_sum_of_known_parts_is_held_against_the_limits() {
    let parts = || vec![known(0, 0, at(90), 100), known(1, 5, at(70), 100), known(2, 7, NEVER, 7)];
    for (warn_above, fail_above, expected) in [
        (None, None, Status::Unknown),
        (Some(40), Some(50), Status::Ok),
        (Some(39), None, Status::Warn),
        (Some(10), Some(39), Status::Fail),
        (None, Some(39), Status::Fail),
    ] {
        let reading = read(parts(), Limits { warn_above, fail_above, ..Limits::default() });
        assert_eq!((reading.status, reading.value, &*reading.unit), (expected, Some(40.0), "messages"));
        assert!(reading.why.contains("lag 40 on 3 partitions, trend not known yet, most on p1: 30"), "{}", reading.why);
    }
}

#[test]
fn losses_and_contradictions_fail_and_show_no_number() {
    for (partition, said) in [
        (known(7, 50, at(30), 100), "lost 20 records on p7"),
        (known(7, 0, at(101), 100), "p7 is ahead (committed 101, end 100): topic recreated or truncated?"),
        (known(7, 9, NEVER, 3), "p7 is contradictory (first 9, end 3)"),
        // Two numbers are enough to know that records are gone.
        (Partition { end: Fact::Unknown("no leader".into()), ..known(7, 5, at(1), 0) }, "lost 4 records on p7"),
    ] {
        let reading = read(vec![known(0, 0, at(1), 2), partition], Limits::default());
        assert_eq!((reading.status, reading.value), (Status::Fail, None), "{}", reading.why);
        assert!(reading.why.contains(said), "{}", reading.why);
    }
}

#[test]
fn what_is_missing_makes_the_whole_unknown() {
    let dark = Partition { end: Fact::Unknown("no leader".into()), ..known(1, 0, at(0), 0) };
    let reading = read(
        vec![known(0, 0, at(1), 6), dark],
        Limits { warn_above: Some(1), fail_above: Some(2), ..Limits::default() },
    );
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert_eq!(reading.why, "lag at least 5, 1 of 2 partitions known; p1: no leader");
    let reading = read(vec![known(0, 3, NEVER, 8)], Limits::default());
    assert_eq!(reading.why, "lag not known; p0: no commit, up to 5 messages to read");
    assert_eq!(read(vec![], Limits::default()).status, Status::Unknown);
    let missing = vec![("typo".into(), "unknown topic".into())];
    let reading = once(&Snapshot { partitions: vec![known(0, 0, at(1), 6)], missing }, Limits::default());
    assert_eq!(reading.status, Status::Unknown);
    assert!(reading.why.contains("at least 5") && reading.why.contains("typo: unknown topic"), "{}", reading.why);
}

#[test]
fn a_thousand_findings_are_counted_and_not_listed() {
    let reading = read((0..1000).map(|p| known(p, 5, at(1), 9)).collect(), Limits::default());
    assert!(reading.why.ends_with("and 997 more partitions like that"), "{}", reading.why);
}

fn eta(soonest: u64, latest: u64) -> Trend {
    let [soonest, likely, latest] = [soonest, soonest.midpoint(latest), latest].map(Duration::from_secs);
    Trend::Draining(trend::Eta { soonest, likely, latest })
}

/// The sentence and the status of partitions that came to these verdicts.
fn said(parts: &[(u64, Trend)], limits: Limits) -> (Status, String) {
    let partitions = (0..).zip(parts).map(|(p, (lag, _))| known(p, 0, at(100), 100 + lag)).collect();
    let verdicts: Vec<Trend> = parts.iter().map(|(_, verdict)| verdict.clone()).collect();
    let reading = group::reading(&Snapshot { partitions, missing: vec![] }, &verdicts, &limits);
    assert_eq!(reading.value, Some(parts.iter().map(|(lag, _)| *lag as f64).sum()), "{}", reading.why);
    (reading.status, reading.why)
}

#[test]
fn the_worst_partition_decides_and_the_slowest_one_says_when() {
    let seconds = Duration::from_secs;
    let drained = || (0, Trend::Drained(seconds(40)));
    let gate = Limits { drained: true, ..Limits::default() };
    let spare = Limits { residual: 1, ..gate };
    for (parts, limits, status, why) in [
        (
            vec![(1200, eta(170, 250)), (4, eta(1, 9)), drained()],
            WIDE,
            Status::Ok,
            "lag 1204 on 3 partitions, draining, 3–4 min left (slowest p0)",
        ),
        (vec![(5, eta(0, 20))], WIDE, Status::Ok, "lag 5 on 1 partition, draining, up to 20 s left"),
        (
            vec![(5, eta(20, 30)), (9, Trend::Stalled(seconds(94)))],
            WIDE,
            Status::Fail,
            "lag 14 on 2 partitions, draining, no time to tell (p1 stalled), most on p1: 9; p1 stalled 94 s",
        ),
        (
            vec![(5, eta(20, 30)), (9, Trend::Growing(12.34))],
            gate,
            Status::Warn,
            "lag 14 on 2 partitions, draining, no time to tell (p1 growing), most on p1: 9; p1 grows by 12/s; not drained",
        ),
        (
            vec![(5, Trend::Steady), (9, Trend::Rewound(30))],
            WIDE,
            Status::Warn,
            "lag 14 on 2 partitions, most on p1: 9; p1 went back by 30 messages",
        ),
        (vec![(5, Trend::Steady)], WIDE, Status::Ok, "lag 5 on 1 partition, steady"),
        (vec![(5, Trend::Steady)], gate, Status::Warn, "lag 5 on 1 partition, steady; not drained"),
        (
            vec![(5, Trend::Warming)],
            Limits::default(),
            Status::Unknown,
            "lag 5 on 1 partition, trend not known yet; no limit is set, and the trend is not known yet",
        ),
        (vec![drained(), (0, Trend::Drained(seconds(15)))], gate, Status::Ok, "lag 0 on 2 partitions, drained 15 s"),
        // One that has nothing left, not yet for long, does not hide when the others will be done.
        (
            vec![(60, eta(60, 60)), (0, Trend::Steady)],
            WIDE,
            Status::Ok,
            "lag 60 on 2 partitions, draining, 60 s left (slowest p0)",
        ),
        (
            vec![(1, Trend::Drained(seconds(15))), drained()],
            spare,
            Status::Ok,
            "lag 1 on 2 partitions, drained 15 s, most on p0: 1 (1 of it may stay: residual 1)",
        ),
        (
            vec![(1, Trend::Stalled(seconds(150)))],
            gate,
            Status::Fail,
            "lag 1 on 1 partition; p0 stalled 2 min at 1 (a transaction's marker? `residual = 1` allows it); not drained",
        ),
    ] {
        assert_eq!(said(&parts, limits), (status, why.to_owned()));
    }
}

#[test]
fn a_group_s_topics_are_found_by_its_commits_and_a_topic_that_vanishes_is_missed() {
    let topic = |name: &str| (Arc::from(name), Ok(vec![(0, None)]));
    let mut fake = Fake { topics: [topic("a"), topic("b")].into(), never: vec!["b".into()], ..Fake::default() };
    let mut scope = Scope::new(vec![]);
    let seconds = Duration::from_secs;
    let reading = once(&cycle(&mut fake, &mut scope, seconds(0), Instant::now()), WIDE);
    assert_eq!((reading.value, &*reading.why), (Some(2.0), "lag 2 on 1 partition, trend not known yet"));
    // It begins to read another one, and then one of its topics is deleted.
    fake.never.clear();
    assert_eq!(once(&cycle(&mut fake, &mut scope, seconds(5), Instant::now()), WIDE).value, Some(4.0));
    fake.topics.remove("a");
    let reading = once(&cycle(&mut fake, &mut scope, seconds(10), Instant::now()), WIDE);
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert!(reading.why.contains("a: gone, though the group had commits on it"), "{}", reading.why);
}

#[test]
fn a_group_of_which_nothing_is_found_or_not_all_could_be_asked_is_unknown() {
    let topics: BTreeMap<Arc<str>, _> = [(Arc::from("a"), Ok(vec![(0, None)]))].into();
    let mut none = Fake { topics: topics.clone(), never: vec!["a".into()], ..Fake::default() };
    let reading = once(&cycle(&mut none, &mut Scope::new(vec![]), Duration::ZERO, Instant::now()), WIDE);
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert!(reading.why.contains("no commits on any topic"), "{}", reading.why);
    let mut deaf = Fake { topics, silent: Some("committed"), ..Fake::default() };
    let reading = once(&cycle(&mut deaf, &mut Scope::new(vec![]), Duration::ZERO, Instant::now()), WIDE);
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert!(reading.why.contains("the group's other topics: timed out"), "{}", reading.why);
}

#[test]
fn every_topic_of_a_large_cluster_is_asked_about_once_a_minute() {
    let many = |name: &str, count: i32| (Arc::from(name), Ok((0..count).map(|p| (p, None)).collect()));
    let topics = [many("mine", 10), many("others", 5000)].into();
    let mut fake = Fake { topics, never: vec!["others".into()], ..Fake::default() };
    let mut scope = Scope::new(vec![]);
    let mut asked = |at: u64| {
        fake.asked.clear();
        let reading = once(&cycle(&mut fake, &mut scope, Duration::from_secs(at), Instant::now()), WIDE);
        assert_eq!(reading.value, Some(20.0), "{}", reading.why);
        fake.asked.iter().filter(|(call, _)| *call == "committed").map(|(_, places)| places).sum::<usize>()
    };
    assert_eq!([asked(0), asked(5), asked(59), asked(60), asked(65)], [5020, 10, 10, 5020, 10]);
}

fn fact() -> impl Strategy<Value = Fact<u64>> {
    prop_oneof![4 => (0..20_u64).prop_map(Fact::Known), 1 => Just(Fact::Unknown("dark".into()))]
}
fn partition() -> impl Strategy<Value = Partition> {
    let committed = prop_oneof![
        4 => (0..20_u64).prop_map(|o| Fact::Known(Committed::At(o))),
        1 => Just(NEVER),
        1 => Just(Fact::Unknown("dark".into())),
    ];
    (fact(), committed, fact()).prop_map(|(low, committed, end)| Partition { place: place(0), low, committed, end })
}
/// As many as asked for, each with a number of its own.
fn partitions(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Partition>> {
    let number = |(number, part): (i32, Partition)| Partition { place: place(number), ..part };
    prop::collection::vec(partition(), count).prop_map(move |parts| (0..).zip(parts).map(number).collect())
}

proptest! {
    #[test]
    fn a_number_is_shown_only_where_every_part_of_it_is_known(parts in partitions(0..6)) {
        let reading = read(parts.clone(), WIDE);
        let lag = |p: &Partition| match (&p.low, &p.committed, &p.end) {
            (Fact::Known(low), Fact::Known(Committed::At(at)), Fact::Known(end)) => (low <= at && at <= end).then(|| end - at),
            (Fact::Known(low), Fact::Known(Committed::Never), Fact::Known(end)) => (low == end).then_some(0),
            _ => None,
        };
        let sum = parts.iter().map(lag).sum::<Option<u64>>().filter(|_| !parts.is_empty());
        prop_assert_eq!(reading.value, sum.map(|sum| sum as f64));
        prop_assert_eq!(reading.status == Status::Ok, sum.is_some());
        prop_assert!(!reading.why.is_empty());
    }

    #[test]
    fn hiding_a_number_never_makes_a_reading_better(parts in partitions(1..6), which in 0..6_usize) {
        let limits = Limits { warn_above: Some(5), fail_above: Some(30), ..Limits::default() };
        let before = read(parts.clone(), limits);
        let mut parts = parts;
        let index = which % parts.len();
        parts[index] = Partition::unknown(parts[index].place.clone(), "dark");
        let after = read(parts, limits);
        prop_assert!(matches!(after.status, Status::Unknown | Status::Fail), "{:?} then {:?}", before, after);
        prop_assert_eq!(after.value, None);
    }
}

/// Answers as told and writes down what it was asked.
#[derive(Default)]
struct Fake {
    partitions: i32,
    asked: Vec<(&'static str, usize)>,
    silent: Option<&'static str>,
    short: bool,
    topics: BTreeMap<Arc<str>, Result<Partitions, String>>,
    /// Topics without a commit.
    never: Vec<Arc<str>>,
    /// What the group is.
    kind: Option<&'static str>,
}
impl Fake {
    fn answer<T: Clone>(&mut self, call: &'static str, places: &[Place], fact: T) -> Result<Vec<Fact<T>>, String> {
        self.asked.push((call, places.len()));
        match self.silent == Some(call) {
            true => Err("timed out".into()),
            false => Ok(vec![Fact::Known(fact); places.len() - usize::from(self.short)]),
        }
    }
}
impl KafkaSource for Fake {
    fn partitions(&mut self, _: &str, _: Instant) -> Result<Partitions, String> {
        self.asked.push(("metadata", 1));
        Ok((0..self.partitions).map(|p| (p, (p == 3).then(|| "no leader".to_owned()))).collect())
    }
    fn listed(&mut self, _: Instant) -> Result<BTreeMap<Arc<str>, Result<Partitions, String>>, String> {
        self.asked.push(("listed", 1));
        Ok(self.topics.clone())
    }
    fn low(&mut self, places: &[Place], _: Instant) -> Result<Vec<Fact<u64>>, String> {
        self.answer("low", places, 0)
    }
    fn committed(&mut self, places: &[Place], _: Instant) -> Result<Vec<Fact<Committed>>, String> {
        let committed = self.answer("committed", places, Committed::At(4))?;
        let never = |place: &Place| self.never.contains(&place.topic);
        let facts = places.iter().zip(committed).map(|(place, fact)| if never(place) { NEVER } else { fact });
        Ok(facts.collect())
    }
    fn end(&mut self, places: &[Place], _: Instant) -> Result<Vec<Fact<u64>>, String> {
        self.answer("end", places, 6)
    }
    fn kind(&mut self, _: Instant) -> Option<String> {
        self.kind.map(str::to_owned)
    }
    fn complaint(&mut self) -> Option<String> {
        self.silent.map(|call| format!("refused {call}"))
    }
}

#[test]
fn a_cycle_asks_in_order_and_in_chunks_and_leaves_out_what_has_no_leader() {
    let mut fake = Fake { partitions: 5101, ..Fake::default() };
    let snapshot = cycle(&mut fake, &mut Scope::new(vec!["events".into()]), Duration::ZERO, Instant::now());
    let two = |call| [(call, 5000), (call, 100)];
    assert_eq!(fake.asked, [&[("metadata", 1)][..], &two("low"), &two("committed"), &two("end")].concat());
    let reading = once(&snapshot, Limits::default());
    assert_eq!(reading.status, Status::Unknown);
    assert_eq!(reading.why, "lag at least 10200, 5100 of 5101 partitions known; p3: no leader");
}

#[test]
fn a_silent_call_or_a_short_answer_is_unknown_and_says_why() {
    for (silent, short) in [(Some("low"), false), (Some("committed"), false), (Some("end"), false), (None, true)] {
        let connect: Connect = Box::new(move || Ok(Box::new(Fake { partitions: 2, silent, short, ..Fake::default() })));
        let mut lag = Lag::with(connect, Scope::new(vec!["events".into()]), WIDE, Duration::from_secs(5));
        let reading = lag.read(Instant::now());
        assert_eq!((reading.status, reading.value), (Status::Unknown, None));
        let said = silent.map_or("incomplete".to_owned(), |call| format!("timed out (refused {call})"));
        assert!(reading.why.contains(&said), "{}", reading.why);
    }
}

#[test]
fn a_group_that_commits_nothing_anywhere_is_named_by_what_it_is() {
    let kind = Some("a share group");
    for (never, topics, told) in [
        (vec!["events".into()], vec!["events".into()], true),
        (vec!["events".into()], vec![], true),
        (vec![], vec!["events".into()], false),
    ] {
        let fake = move |never: &Vec<Arc<str>>| {
            let topics = BTreeMap::from([("events".into(), Ok(vec![(0, None)]))]);
            Fake { partitions: 1, kind, never: never.clone(), topics, ..Fake::default() }
        };
        let connect: Connect = Box::new(move || Ok(Box::new(fake(&never))));
        let mut lag = Lag::with(connect, Scope::new(topics), Limits::default(), Duration::from_secs(5));
        let reading = lag.read(Instant::now());
        assert_eq!(reading.why.ends_with("; a share group"), told, "{}", reading.why);
        assert!(!told || reading.status == Status::Unknown);
    }
}

/// A call that does not come back until the test lets it.
struct Hanging(Fake, std::sync::mpsc::Receiver<()>);
impl KafkaSource for Hanging {
    fn partitions(&mut self, topic: &str, deadline: Instant) -> Result<Partitions, String> {
        let _ = self.1.recv(); // ends for good once the test drops the other end
        self.0.partitions(topic, deadline)
    }
    fn listed(&mut self, deadline: Instant) -> Result<BTreeMap<Arc<str>, Result<Partitions, String>>, String> {
        self.0.listed(deadline)
    }
    fn low(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<u64>>, String> {
        self.0.low(places, deadline)
    }
    fn committed(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<Committed>>, String> {
        self.0.committed(places, deadline)
    }
    fn end(&mut self, places: &[Place], deadline: Instant) -> Result<Vec<Fact<u64>>, String> {
        self.0.end(places, deadline)
    }
    fn complaint(&mut self) -> Option<String> {
        None
    }
}

fn lag_of(brokers: &str, group: &str) -> crate::plan::KafkaLag {
    let text = |text: &str| crate::plan::Template::new(text).unwrap();
    crate::plan::KafkaLag {
        brokers: text(brokers),
        group: text(group),
        topics: vec![],
        warn_above: None,
        fail_above: None,
        drained: false,
        residual: 0,
        client: vec![],
    }
}

#[tokio::test]
async fn a_hung_client_reads_unknown_in_time_and_recovers() {
    use crate::monitor::{Ask, Collector, Desk, limit};
    let (release, hung) = std::sync::mpsc::channel();
    let mut source = Some(Hanging(Fake { partitions: 2, ..Fake::default() }, hung));
    let connect: Connect = Box::new(move || match source.take() {
        Some(source) => Ok(Box::new(source)),
        None => Err("connected twice".into()),
    });
    let mut lag = Lag::with(connect, Scope::new(vec!["events".into()]), WIDE, Duration::from_secs(1));
    let id = WatchId::new("lag").unwrap();
    let collector = Collector::Worker(Worker::start(&id, move |deadline| lag.read(deadline)).unwrap());
    let every = Duration::from_secs(1);
    let kind = WatchKind::KafkaLag(lag_of("b", "g"));
    let watch = crate::plan::Watch { stale_after: every, ..crate::fixture::watching("lag", kind, every) };
    let (samples, mut seen) = tokio::sync::mpsc::channel(8);
    let (ask, asked) = tokio::sync::mpsc::unbounded_channel();
    let (pin, _) = tokio::sync::watch::channel(None);
    let desk = Desk {
        limit: limit(&watch),
        watch,
        now: std::sync::Arc::new(crate::clock::wall),
        samples,
        pin,
        slot: Slot::default(),
    };
    let task = tokio::spawn(desk.keep_reading(collector, asked));
    ask.send(Ask::Hub(1)).unwrap();
    let sample = seen.recv().await.unwrap();
    assert_eq!((sample.asked, sample.reading.status), (Some(1), Status::Unknown));
    assert!(sample.reading.why.contains("no answer within"), "{}", sample.reading.why);
    // Still hanging: a second question is answered too, and by no second call beside the first.
    ask.send(Ask::Hub(2)).unwrap();
    let sample = seen.recv().await.unwrap();
    assert_eq!((sample.asked, sample.reading.status), (Some(2), Status::Unknown));
    drop(release);
    ask.send(Ask::Hub(3)).unwrap();
    let sample = loop {
        let sample = seen.recv().await.unwrap();
        if sample.asked == Some(3) {
            break sample;
        }
    };
    assert_eq!((sample.reading.status, sample.reading.value), (Status::Ok, Some(4.0)), "{}", sample.reading.why);
    task.abort();
}

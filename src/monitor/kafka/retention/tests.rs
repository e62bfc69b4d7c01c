//! The verdict in every state, and the collector against a scripted topic.

use super::*;
use crate::monitor::kafka::Partitions;
use crate::name::WatchId;
use crate::plan::Template;
use proptest::prelude::*;
use std::path::Path;
use std::sync::{Mutex, atomic::AtomicI64, atomic::Ordering};

const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const HOURS: Duration = Duration::from_secs(3600);

fn config() -> Config {
    Config {
        retention_ms: 7 * DAY,
        retention_bytes: -1,
        cleanup_policy: "delete".into(),
        timestamp_type: "CreateTime".into(),
    }
}
/// A partition whose records from `low` on are `age` old.
fn seen(partition: i32, low: u64, end: u64, age: i64) -> Seen {
    let at = Fact::Known(if low < end { First::At(NOW - age) } else { First::Nothing });
    Seen { oldest: at.clone(), needed: at, ..Seen::new(partition, Fact::Known(low), None, Fact::Known(end)) }
}
fn facts(partitions: Vec<Seen>) -> Facts {
    Facts { now_ms: NOW, config: Ok(config()), partitions, drain: Drain::NotKnown }
}
fn with(partitions: Vec<Seen>, change: impl FnOnce(&mut Config)) -> Facts {
    let mut all = facts(partitions);
    change(all.config.as_mut().unwrap());
    all
}
fn mark(needed: u64, low: u64, end: u64) -> Mark {
    Mark { needed, low, end, oldest_ms: Some(NOW - HOUR) }
}
fn anchor(marks: &[Mark]) -> Anchor {
    let partitions = marks.iter().enumerate().map(|(p, mark)| (p as i32, *mark)).collect();
    Anchor { topic: "events".into(), retention_ms: Some(7 * DAY), partitions }
}
fn verdict(facts: &Facts, anchor: Option<&Anchor>) -> Reading {
    evaluate(facts, anchor, &Limits::default())
}
fn covers(hours: u64) -> Limits {
    Limits { must_cover: Some(HOURS * hours as u32), ..Limits::default() }
}

#[test]
fn a_window_that_stands_is_the_least_of_all_partitions_less_the_margin() {
    let two = facts(vec![seen(0, 0, 10, DAY), seen(1, 0, 10, 2 * DAY)]);
    let reading = evaluate(&two, None, &covers(6));
    assert_eq!((reading.status, reading.value, &*reading.unit), (Status::Ok, Some((5 * DAY / 1000 - 300) as f64), "s"));
    assert_eq!(reading.why, "first needed record stays at least 4 d 23 h, on p1 of 2 partitions");
    let reading = evaluate(&two, None, &covers(120));
    assert_eq!((reading.status, reading.value.is_some()), (Status::Fail, true));
    assert!(reading.why.ends_with("must cover 5 d 0 h"), "{}", reading.why);
    // Where nothing needed is there yet, what comes is younger than now.
    let reading = verdict(&facts(vec![seen(0, 7, 7, 0)]), Some(&anchor(&[mark(7, 7, 7)])));
    assert_eq!((reading.status, reading.value), (Status::Ok, Some((7 * DAY / 1000 - 300) as f64)));
    assert!(reading.why.starts_with("nothing needed is there yet"), "{}", reading.why);
}

#[test]
fn what_was_needed_and_is_gone_is_lost_and_has_no_number() {
    let held = anchor(&[mark(5, 0, 10), mark(5, 0, 10)]);
    let reading = verdict(&facts(vec![seen(0, 9, 12, HOUR), seen(1, 5, 12, HOUR)]), Some(&held));
    assert_eq!((reading.status, reading.value), (Status::Fail, None));
    assert!(reading.why.starts_with("LOST 4 needed records; p0 lost 4"), "{}", reading.why);
    // Also where another partition is dark, and where everything is gone.
    let dark = Seen::unknown(1, "no leader");
    let reading = verdict(&facts(vec![seen(0, 12, 12, 0), dark]), Some(&held));
    assert_eq!((reading.status, reading.value), (Status::Fail, None));
    assert!(reading.why.contains("LOST 7") && reading.why.contains("p1: no leader"), "{}", reading.why);
}

#[test]
fn what_is_due_is_overdue_and_never_a_positive_number() {
    let late = facts(vec![seen(0, 0, 10, 7 * DAY + 2 * HOUR), seen(1, 0, 10, DAY)]);
    let reading = evaluate(&late, None, &covers(6));
    assert_eq!((reading.status, reading.value), (Status::Fail, Some(0.0)));
    assert!(
        reading.why.starts_with("OVERDUE: may vanish at any time; p0: its first needed record is overdue by 2:00:00"),
        "{}",
        reading.why
    );
    // Inside the margin nothing is promised either.
    let close = facts(vec![seen(0, 0, 10, 7 * DAY - 200_000)]);
    let reading = verdict(&close, None);
    assert_eq!((reading.status, reading.value), (Status::Fail, Some(0.0)));
    assert_eq!(reading.why, "less than the margin of 5:00 is left on p0: 3:20");
}

#[test]
fn size_compaction_and_no_limit_have_states_of_their_own() {
    let one = || vec![seen(0, 0, 10, DAY)];
    let reading = verdict(&with(one(), |c| c.retention_bytes = 5_000_000_000), None);
    assert_eq!((reading.status, reading.value), (Status::Warn, Some((6 * DAY / 1000 - 300) as f64)));
    assert!(reading.why.contains("stays at most") && reading.why.contains("5.0 GB"), "{}", reading.why);
    for policy in ["compact", "compact,delete"] {
        let reading = verdict(&with(one(), |c| c.cleanup_policy = policy.into()), None);
        assert_eq!((reading.status, reading.value), (Status::Warn, None), "{}", reading.why);
        assert!(reading.why.contains("compacted"), "{}", reading.why);
    }
    let reading = evaluate(&with(one(), |c| c.retention_ms = -1), None, &covers(1000));
    assert_eq!((reading.status, reading.value, &*reading.why), (Status::Ok, None, "kept without a limit of time"));
    let reading = verdict(&with(one(), |c| (c.retention_ms, c.retention_bytes) = (-1, 1)), None);
    assert_eq!((reading.status, reading.value), (Status::Warn, None));
}

#[test]
fn what_cannot_be_read_is_unknown_and_says_what_is_known() {
    let mut closed = facts(vec![seen(0, 0, 10, DAY)]);
    closed.config = Err("Broker: Topic authorization failed".into());
    let reading = verdict(&closed, None);
    assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    assert_eq!(
        reading.why,
        "retention not readable: Broker: Topic authorization failed; the first needed record is 24:00:00 old"
    );
    let dark = facts(vec![seen(0, 0, 10, DAY), Seen::unknown(1, "no leader")]);
    assert_eq!((verdict(&dark, None).status, verdict(&dark, None).value), (Status::Unknown, None));
    for blind in [Fact::Unknown("timed out".into()), Fact::Known(First::NoTime)] {
        let one = Seen { needed: blind, ..seen(1, 0, 10, DAY) };
        let reading = verdict(&facts(vec![seen(0, 0, 10, DAY), one]), None);
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
    }
    // What is unknown takes the number from what is overdue, too, but not its colour.
    let both = facts(vec![seen(0, 0, 10, 8 * DAY), Seen::unknown(1, "no leader")]);
    assert_eq!((verdict(&both, None).status, verdict(&both, None).value), (Status::Fail, None));
}

#[test]
fn what_changed_since_the_anchor_is_an_alarm() {
    let held = anchor(&[mark(5, 0, 10)]);
    let now = |low, end| facts(vec![seen(0, low, end, HOUR)]);
    assert_eq!(verdict(&now(0, 11), Some(&held)).status, Status::Ok);
    let mut lowered = now(0, 11);
    lowered.config.as_mut().unwrap().retention_ms = DAY;
    let reading = verdict(&lowered, Some(&held));
    assert_eq!((reading.status, reading.value.is_some()), (Status::Warn, true));
    assert!(reading.why.contains("retention lowered from 7 d 0 h to 24:00:00"), "{}", reading.why);
    let reading = verdict(&now(3, 11), Some(&held));
    assert_eq!(reading.status, Status::Warn);
    assert!(
        reading.why.contains("p0: 3 records deleted before their time, 2 before the first needed one"),
        "{}",
        reading.why
    );
    // By time it goes when it is due, and that is no alarm.
    let due = anchor(&[Mark { oldest_ms: Some(NOW - 8 * DAY), ..mark(5, 0, 10) }]);
    assert_eq!(verdict(&now(3, 11), Some(&due)).status, Status::Ok);
    for (facts, says) in
        [(now(0, 9), "end went back from 10 to 9"), (facts(vec![seen(1, 0, 11, HOUR)]), "1 of 1 partitions are gone")]
    {
        let reading = verdict(&facts, Some(&held));
        assert_eq!((reading.status, reading.value), (Status::Fail, None));
        assert!(reading.why.contains(says), "{}", reading.why);
    }
    let reading = verdict(&now(0, 20), Some(&anchor(&[mark(5, 2, 10)])));
    assert!(reading.why.contains("low went back from 2 to 0"), "{}", reading.why);
    let reading = verdict(&facts(vec![seen(0, 0, 11, HOUR), seen(1, 0, 3, HOUR)]), Some(&held));
    assert_eq!((reading.status, reading.value.is_some()), (Status::Warn, true));
    assert!(reading.why.contains("1 partitions became 2"), "{}", reading.why);
}

#[test]
fn clocks_that_cannot_be_right_are_named() {
    let reading = verdict(&facts(vec![seen(0, 0, 10, -2 * HOUR)]), None);
    assert_eq!((reading.status, reading.value), (Status::Warn, Some((7 * DAY / 1000 - 300) as f64)), "{}", reading.why);
    assert!(reading.why.contains("producer clock suspect: a record on p0 is 2:00:00 ahead"), "{}", reading.why);
    let ancient = with(vec![seen(0, 0, 10, NOW)], |c| c.timestamp_type = "LogAppendTime".into());
    let reading = verdict(&ancient, None);
    assert_eq!((reading.status, reading.value), (Status::Fail, Some(0.0)));
    assert!(reading.why.contains("broker clock suspect"), "{}", reading.why);
    // A little ahead is the clocks' skew, and widens the margin.
    let reading = verdict(&facts(vec![seen(0, 0, 10, -30_000)]), None);
    assert_eq!((reading.status, reading.value), (Status::Ok, Some((7 * DAY / 1000 - 330) as f64)));
}

#[test]
fn a_legal_maximum_is_kept_by_the_setting_and_by_the_oldest_record() {
    let most = |hours: u32| Limits { must_not_exceed: Some(HOURS * hours), ..Limits::default() };
    let one = || vec![seen(0, 0, 10, DAY)];
    assert_eq!(evaluate(&facts(one()), None, &most(168)).status, Status::Ok);
    for (facts, says) in [
        (with(one(), |c| c.retention_ms = 8 * DAY), "records are kept 8 d 0 h, at most 7 d 0 h is allowed"),
        (with(one(), |c| c.retention_ms = -1), "records are kept for ever"),
        (with(one(), |c| c.cleanup_policy = "compact".into()), "compaction keeps the last record of a key for ever"),
        (facts(vec![seen(0, 0, 10, 9 * DAY)]), "p0 still holds a record of 9 d 0 h ago"),
    ] {
        let reading = evaluate(&facts, None, &most(168));
        assert_eq!(reading.status, Status::Fail);
        assert!(reading.why.contains(says), "{}", reading.why);
    }
    let blind = Seen { oldest: Fact::Unknown("timed out".into()), ..seen(0, 0, 10, DAY) };
    assert_eq!(evaluate(&facts(vec![blind]), None, &most(168)).status, Status::Unknown);
}

#[test]
fn a_group_that_reads_too_slowly_is_red_before_its_records_go() {
    let limits = Limits { group: Some("readers".into()), ..Limits::default() };
    let behind = |committed, age: i64, drain| {
        let unread = Some(Fact::Known(First::At(NOW - age)));
        let seen = Seen { committed: Some(Fact::Known(Committed::At(committed))), unread, ..seen(0, 2, 10, HOUR) };
        Facts { drain, ..facts(vec![seen]) }
    };
    let day = 7 * DAY - HOUR;
    for (facts, status, says) in [
        (behind(5, day, Drain::In(HOURS / 2)), Status::Ok, "what readers reads next on p0 stays 1:00:00"),
        (
            behind(5, day, Drain::In(HOURS * 2)),
            Status::Fail,
            "readers needs 2:00:00 for what it has not read, and on p0 it goes in 1:00:00",
        ),
        (behind(5, day, Drain::Grows), Status::Warn, "does not catch up"),
        (behind(5, 8 * DAY, Drain::NotKnown), Status::Fail, "what readers reads next on p0 is overdue by 24:00:00"),
        (behind(1, HOUR, Drain::NotKnown), Status::Fail, "1 records were deleted before the group read them"),
    ] {
        let reading = evaluate(&facts, None, &limits);
        assert_eq!(reading.status, status, "{}", reading.why);
        assert!(reading.why.contains(says), "{}", reading.why);
    }
    let dark = Seen { committed: Some(Fact::Unknown("no coordinator".into())), ..seen(0, 0, 10, HOUR) };
    assert_eq!(evaluate(&facts(vec![dark]), None, &limits).status, Status::Unknown);
}

#[test]
fn a_purge_is_seen_by_its_low_mark() {
    let limits = Limits { rises: true, ..Limits::default() };
    let held = anchor(&[mark(0, 0, 10), mark(4, 4, 4)]);
    let reading = evaluate(&facts(vec![seen(0, 0, 12, HOUR), seen(1, 4, 4, 0)]), Some(&held), &limits);
    assert_eq!((reading.status, reading.value), (Status::Warn, Some(4.0)));
    assert_eq!(reading.why, "low 4, end 16, 0 deleted on 2 partitions; the low mark has not risen on p0");
    let reading = evaluate(&facts(vec![seen(0, 12, 12, 0), seen(1, 4, 4, 0)]), Some(&held), &limits);
    assert_eq!((reading.status, reading.value, &*reading.unit), (Status::Ok, Some(16.0), ""));
    assert_eq!(reading.why, "low 16, end 16, 12 deleted on 2 partitions");
    let dark = facts(vec![seen(0, 12, 12, 0), Seen::unknown(1, "no leader")]);
    assert_eq!(evaluate(&dark, Some(&held), &limits).status, Status::Unknown);
    assert_eq!(evaluate(&facts(vec![seen(0, 12, 12, 0)]), None, &limits).status, Status::Unknown);
}

fn any_fact() -> impl Strategy<Value = Fact<u64>> {
    prop_oneof![5 => (0..20_u64).prop_map(Fact::Known), 1 => Just(Fact::Unknown("dark".into()))]
}
fn any_first() -> impl Strategy<Value = Fact<First>> {
    prop_oneof![
        1 => Just(Fact::Known(First::Nothing)),
        6 => any::<i64>().prop_map(|ms| Fact::Known(First::At(ms % (20 * DAY) + NOW))),
        1 => any::<i64>().prop_map(|ms| Fact::Known(First::At(ms.max(0)))),
        1 => Just(Fact::Known(First::NoTime)),
        1 => Just(Fact::Unknown("dark".into())),
    ]
}
prop_compose! {
    fn any_seen()(partition in 0..4_i32, low in any_fact(), end in any_fact(), oldest in any_first(), needed in any_first()) -> Seen {
        Seen { oldest, needed, ..Seen::new(partition, low, None, end) }
    }
}

proptest! {
    /// A number is only shown where everything is known, nothing is lost and nothing is due; ok is stricter still.
    #[test]
    fn no_number_where_it_would_be_no_promise(
        mut partitions in prop::collection::vec(any_seen(), 1..4),
        retention_ms in prop_oneof![Just(-1), 0..10 * DAY, any::<i64>()],
        retention_bytes in prop_oneof![3 => Just(-1_i64), 1 => 0..1000_i64],
        marks in prop::option::of(prop::collection::vec((0..20_u64, 0..20_u64, 0..20_u64), 1..4)),
    ) {
        partitions.dedup_by_key(|seen| seen.partition);
        let held = marks.map(|marks| anchor(&marks.iter().map(|(n, l, e)| mark(*n, *l, *e)).collect::<Vec<_>>()));
        let all = with(partitions, |c| (c.retention_ms, c.retention_bytes) = (retention_ms, retention_bytes));
        let reading = verdict(&all, held.as_ref());
        let known = all.partitions.iter().all(|seen| {
            matches!((&seen.low, &seen.end), (Fact::Known(low), Fact::Known(end)) if low <= end)
        });
        let lost = all.partitions.iter().any(|seen| {
            let needed = held.as_ref().and_then(|held| held.partitions.get(&seen.partition)).map(|mark| mark.needed);
            matches!((&seen.low, needed), (Fact::Known(low), Some(needed)) if *low > needed)
        });
        let due = retention_ms >= 0 && all.partitions.iter().any(|seen| {
            matches!(seen.needed, Fact::Known(First::At(ms)) if ms.min(NOW).saturating_add(retention_ms) <= NOW)
        });
        if let Some(value) = reading.value {
            prop_assert!(known && !lost && retention_ms >= 0, "{reading:?}");
            prop_assert!(value >= 0.0 && (!due || value == 0.0), "{reading:?}");
            prop_assert!(value * 1000.0 <= retention_ms as f64, "{reading:?}");
        }
        if reading.status == Status::Ok {
            prop_assert!(known && !lost && !due && retention_bytes < 0, "{reading:?}");
        }
        prop_assert!(!reading.why.is_empty());
    }
}

/// A topic of one partition that a test changes between readings.
#[derive(Default)]
struct Topic {
    low: u64,
    /// The times of its records by offset.
    times: Vec<i64>,
    committed: Option<u64>,
    retention_ms: i64,
    /// Nothing answers.
    down: bool,
    /// The configuration is not for us.
    closed: bool,
    probed: Vec<u64>,
}
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Topic>>);
impl Script {
    fn ask<T>(&self, answer: impl FnOnce(&mut Topic) -> T) -> Result<T, String> {
        let mut topic = self.0.lock().unwrap();
        if topic.down { Err("timed out".into()) } else { Ok(answer(&mut topic)) }
    }
    fn set(&self, change: impl FnOnce(&mut Topic)) {
        change(&mut self.0.lock().unwrap());
    }
}
impl KafkaSource for Script {
    fn partitions(&mut self, _: &str, _: Instant) -> Result<Vec<(i32, Option<String>)>, String> {
        self.ask(|_| vec![(0, None)])
    }
    fn listed(&mut self, _: Instant) -> Result<BTreeMap<Arc<str>, Result<Partitions, String>>, String> {
        Err("this watch names its topic".into())
    }
    fn low(&mut self, _: &[Place], _: Instant) -> Result<Vec<Fact<u64>>, String> {
        self.ask(|topic| vec![Fact::Known(topic.low)])
    }
    fn committed(&mut self, _: &[Place], _: Instant) -> Result<Vec<Fact<Committed>>, String> {
        self.ask(|topic| vec![Fact::Known(topic.committed.map_or(Committed::Never, Committed::At))])
    }
    fn end(&mut self, _: &[Place], _: Instant) -> Result<Vec<Fact<u64>>, String> {
        self.ask(|topic| vec![Fact::Known(topic.times.len() as u64)])
    }
    fn complaint(&mut self) -> Option<String> {
        None
    }
}
impl LogSource for Script {
    fn at_time(&mut self, _: &[Place], ms: i64, _: Instant) -> Result<Vec<Fact<Option<u64>>>, String> {
        self.ask(|topic| {
            let first = (topic.low..topic.times.len() as u64).find(|at| topic.times[*at as usize] >= ms);
            vec![Fact::Known(first)]
        })
    }
    fn config(&mut self, _: &str, _: Instant) -> Result<Config, String> {
        self.ask(|topic| (topic.closed, Config { retention_ms: topic.retention_ms, ..config() }))
            .and_then(|(closed, config)| if closed { Err("Topic authorization failed".into()) } else { Ok(config) })
    }
    fn first(&mut self, wanted: &[(Place, u64)], _: Instant) -> Vec<Fact<First>> {
        let read = self.ask(|topic| {
            topic.probed.extend(wanted.iter().map(|(_, offset)| *offset));
            wanted.iter().map(|(_, offset)| Fact::Known(First::At(topic.times[*offset as usize]))).collect()
        });
        read.unwrap_or_else(|why| vec![Fact::Unknown(why.into()); wanted.len()])
    }
    fn complaint(&mut self) -> Option<String> {
        None
    }
}

struct Bench {
    script: Script,
    clock: Arc<AtomicI64>,
    slot: Slot,
    retention: Retention,
}
impl Bench {
    /// The topic holds ten records, the oldest nine hours old; a reader looks at it from now on.
    fn new(group: bool, needed_from: NeededFrom, held: Option<Anchor>) -> Bench {
        let script = Script::default();
        script.set(|topic| {
            topic.times = (0..10).map(|n| NOW - (9 - n) * HOUR).collect();
            (topic.retention_ms, topic.committed) = (7 * DAY, Some(4));
        });
        let watch = WatchId::new("window").unwrap();
        let anchors = super::super::super::Anchors {
            opened: Some(At::from_micros((NOW - HOUR) * 1000)),
            held: held.into_iter().map(|anchor| (watch.clone(), anchor)).collect(),
            moves: vec![],
        };
        let clock = Arc::new(AtomicI64::new(NOW));
        let hub = clock.clone();
        let now: super::super::super::Now = Arc::new(move || At::from_micros(hub.load(Ordering::SeqCst) * 1000));
        let slot = anchors.slot(&watch);
        let text = |text: &str| Template::new(text).unwrap();
        let kind = KafkaRetention {
            client: vec![],
            brokers: text("h:1"),
            topic: text("events"),
            group: group.then(|| text("readers")),
            needed_from,
            must_cover: None,
            must_not_exceed: None,
            rises: false,
        };
        let params = crate::plan::Params::new();
        let opened = anchors.opened.unwrap();
        let around = Around { params: &params, folder: Path::new("/"), opened, now: &now, slot: &slot };
        let mut retention = Retention::new(&kind, &around).unwrap();
        let scripted = script.clone();
        retention.connect =
            Box::new(move || Ok(Sources { offsets: Box::new(scripted.clone()), log: Box::new(scripted.clone()) }));
        Bench { script, clock, slot, retention }
    }
    fn read(&mut self) -> Reading {
        self.retention.read(Instant::now() + Duration::from_secs(5))
    }
    fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }
    fn needed(&self) -> Option<u64> {
        self.slot.look().0.map(|anchor| anchor.partitions[&0].needed)
    }
}

#[test]
fn the_first_reading_counts_what_is_needed_and_later_ones_hold_it() {
    for (group, from, needed) in [
        (false, NeededFrom::Opening, 8),
        (false, NeededFrom::Before(3 * HOURS), 5),
        (true, NeededFrom::Committed, 4),
        (false, NeededFrom::Low, 0),
    ] {
        let mut bench = Bench::new(group, from, None);
        bench.script.set(|topic| topic.down = true);
        assert_eq!((bench.read().status, bench.needed()), (Status::Unknown, None), "nothing is guessed");
        bench.script.set(|topic| topic.down = false);
        let reading = bench.read();
        assert_eq!(reading.status, Status::Ok, "{}", reading.why);
        assert_eq!(bench.needed(), Some(needed), "{from:?}");
        let taken = bench.slot.taken().unwrap();
        assert_eq!(taken.partitions[&0], Mark { needed, low: 0, end: 10, oldest_ms: Some(NOW - 9 * HOUR) });
        bench.script.set(|topic| topic.times.push(NOW));
        bench.read();
        assert_eq!((bench.needed(), bench.slot.taken()), (Some(needed), None), "it is taken once");
    }
    // Where nothing was written since the session opened, what is needed begins at the end.
    let mut bench = Bench::new(false, NeededFrom::Opening, None);
    bench.script.set(|topic| topic.times.iter_mut().for_each(|ms| *ms -= 2 * HOUR));
    assert!(bench.read().why.starts_with("nothing needed is there yet"));
    assert_eq!(bench.needed(), Some(10));
}

#[test]
fn an_anchor_from_the_transcript_is_held_and_its_losses_stay_losses() {
    let mut bench = Bench::new(false, NeededFrom::Opening, Some(anchor(&[mark(3, 0, 10)])));
    bench.script.set(|topic| topic.low = 7); // while no hub was there
    let reading = bench.read();
    assert_eq!((reading.status, bench.slot.taken()), (Status::Fail, None));
    assert!(reading.why.contains("LOST 4"), "{}", reading.why);
    // A purge that was planned ended well: what is left is what counts, and it is counted by a reading that begins later.
    bench.slot.want();
    bench.script.set(|topic| topic.down = true);
    assert_eq!(bench.read().status, Status::Unknown);
    bench.script.set(|topic| topic.down = false);
    assert_eq!(bench.read().status, Status::Ok, "the wish outlived the outage");
    assert_eq!(bench.slot.taken().unwrap().partitions[&0].needed, 7);
    bench.script.set(|topic| topic.low = 8);
    assert!(bench.read().why.contains("LOST 1"));
}

#[test]
fn a_record_that_stays_is_looked_at_once() {
    let mut bench = Bench::new(false, NeededFrom::Opening, None);
    for _ in 0..5 {
        bench.read();
    }
    let probed = std::mem::take(&mut bench.script.0.lock().unwrap().probed);
    assert_eq!(probed, [8, 0], "the first needed and the oldest");
    bench.script.set(|topic| topic.low = 2);
    bench.read();
    assert_eq!(bench.script.0.lock().unwrap().probed, [2]);
}

#[test]
fn a_drain_is_held_against_the_time_that_is_left() {
    let mut bench = Bench::new(true, NeededFrom::Committed, None);
    // Six records to read, the next one gone in an hour.
    bench.script.set(|topic| topic.times.iter_mut().for_each(|ms| *ms -= 7 * DAY - 6 * HOUR));
    assert!(bench.read().why.contains("what readers reads next on p0 stays 1:00:00"), "{}", bench.read().why);
    bench.pass(60_000);
    let reading = bench.read();
    assert_eq!(reading.status, Status::Warn);
    assert!(reading.why.contains("does not catch up"), "{}", reading.why);
    // One record in a minute: five minutes for the rest.
    bench.script.set(|topic| topic.committed = Some(5));
    let reading = bench.read();
    assert!(reading.why.contains("reads next on p0 stays 1:59:00"), "{}", reading.why);
}

#[test]
fn the_largest_anchor_fits_in_a_line() {
    let largest = Mark { needed: u64::MAX, low: u64::MAX, end: u64::MAX, oldest_ms: Some(i64::MAX) };
    let marks = vec![largest; PARTITIONS_MAX];
    let topic = "t".repeat(249); // as long as Kafka lets one be
    let anchor = Anchor { topic, ..anchor(&marks) };
    let event = crate::event::Event::AnchorTaken { watch: WatchId::new(&"w".repeat(30)).unwrap(), anchor };
    let length = serde_json::to_string(&event).unwrap().len();
    // What stands around the event in its line is far less than that.
    assert!(length + 1024 <= 256 * 1024, "{length} bytes");
}

#[test]
fn an_anchor_does_not_wait_for_ever_for_a_configuration_that_may_not_be_read() {
    let mut bench = Bench::new(false, NeededFrom::Low, None);
    bench.script.set(|topic| topic.closed = true);
    for n in 0..u64::from(CONFIG_AWAITED) {
        bench.script.set(|topic| topic.low = n % 2);
        let (reading, said) =
            (bench.read(), ["Topic authorization failed; the first needed record is 9:00:00 old", "LOST 1"]);
        // What is lost meanwhile is seen all the same: the offsets are those of the first reading.
        assert!(reading.why.contains(said[n as usize % 2]), "{}", reading.why);
        assert_eq!((reading.value, bench.needed()), (None, None));
    }
    bench.read();
    assert_eq!(bench.needed(), Some(0));
    assert_eq!(bench.slot.taken().unwrap().retention_ms, None);
    // One that can be read a moment later stands beside it.
    let mut bench = Bench::new(false, NeededFrom::Low, None);
    bench.script.set(|topic| topic.closed = true);
    bench.read();
    bench.script.set(|topic| topic.closed = false);
    bench.read();
    assert_eq!(bench.slot.taken().unwrap().retention_ms, Some(7 * DAY));
}

/// librdkafka's mock brokers have records with times, but no configuration to describe and no lookup by time.
mod mock {
    use super::*;
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};

    fn cluster() -> MockCluster<'static, DefaultProducerContext> {
        let cluster = MockCluster::new(3).unwrap();
        cluster.create_topic("events", 3, 3).unwrap();
        let brokers = cluster.bootstrap_servers();
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
        for partition in [0, 1] {
            for n in 0..10_i64 {
                let record = BaseRecord::<(), str>::to("events").partition(partition).payload("x");
                producer.send(record.timestamp(NOW + n + i64::from(partition) * 100)).unwrap();
            }
        }
        producer.flush(Duration::from_secs(10)).unwrap();
        cluster
    }
    fn soon(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn the_probe_reads_times_where_it_was_told_to_again_and_again() {
        let cluster = cluster();
        let mut log = probe::Log::connect(&cluster.bootstrap_servers(), NO_GROUP, &[]).unwrap();
        let place = |partition| Place { topic: "events".into(), partition };
        // Forth and back, one and several: nothing of an earlier look is taken for an answer.
        for (first, second) in [(0, 0), (7, 3), (2, 9), (9, 0), (0, 5)] {
            let read = log.first(&[(place(0), first), (place(1), second)], soon(20));
            let at = |ms: u64| Fact::Known(First::At(NOW + ms as i64));
            assert_eq!(read, [at(first), at(second + 100)]);
            assert_eq!(log.first(&[(place(1), first)], soon(20)), [at(first + 100)]);
        }
        assert_eq!(log.first(&[(place(2), 0)], soon(20)), [Fact::Known(First::Nothing)], "an empty partition");
        // An offset that is not there is no answer, and a moment later others are answered again.
        assert!(matches!(log.first(&[(place(0), 99)], soon(2))[0], Fact::Unknown(_)));
        assert_eq!(log.first(&[(place(0), 4)], soon(20)), [Fact::Known(First::At(NOW + 4))]);
    }

    #[test]
    fn brokers_that_are_down_read_unknown_within_the_deadline() {
        let cluster = cluster();
        let brokers = cluster.bootstrap_servers();
        let mut bench = Bench::new(false, NeededFrom::Low, None);
        bench.retention.connect = Box::new(move || {
            Ok(Sources {
                offsets: Box::new(client::GroupReads::connect(&brokers, NO_GROUP, &[])?),
                log: Box::new(probe::Log::connect(&brokers, NO_GROUP, &[])?),
            })
        });
        // These brokers never describe a configuration: what is known is said, and no number is shown.
        let reading = bench.retention.read(soon(10));
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
        assert!(reading.why.contains("retention not readable"), "{}", reading.why);
        assert!(reading.why.contains("the first needed record is 0.0 s old"), "{}", reading.why);
        cluster.broker_down(-1).unwrap();
        for _ in 0..2 {
            let began = Instant::now();
            let reading = bench.retention.read(soon(2));
            assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
            assert!(began.elapsed() < Duration::from_secs(4), "took {:?}", began.elapsed());
        }
        cluster.broker_up(-1).unwrap();
        let until = soon(30);
        while !bench.retention.read(soon(4)).why.contains("the first needed record is 0.0 s old") {
            assert!(Instant::now() < until, "never came back");
        }
    }
}

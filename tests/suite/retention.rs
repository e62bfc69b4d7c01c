//! `kafka-retention` on a real broker that really deletes: by time, on request, and while no hub looks.

use crate::support::brokers::Brokers;
use crate::support::kafka::Topic;
use crate::support::log::Log;
use crate::support::program::Stage;
use crate::support::real::part;
use crate::support::wait::{PATIENCE, poll};
use crosscheck::clock::{At, wall};
use serde_json::Value;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A plan with these watches on one topic each; the rest is the same for all.
fn plan(brokers: &str, watches: &[(&str, &Log, &str)], rest: &str) -> String {
    let head = "crosscheck = 1\nname = \"Retention\"\nenvironment = \"test\"\n[crew]\nlead = [\"lead@example.org\"]\n";
    let watch = |(id, log, more): &(&str, &Log, &str)| {
        let topic = &log.name;
        format!(
            "[[watch]]\nid = \"{id}\"\nkind = \"kafka-retention\"\nbrokers = \"{brokers}\"\ntopic = \"{topic}\"\n\
             every = \"1s\"\n{more}\n"
        )
    };
    format!("{head}{}{rest}\n", watches.iter().map(watch).collect::<String>())
}

/// Waits until the latest reading of a watch is like that.
fn reading(stage: &Stage, watch: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut latest = Value::Null;
    let found = poll(PATIENCE, || {
        let taken = stage.events("ReadingTaken");
        latest = taken.into_iter().rev().find(|taken| taken["watch"] == watch)?["reading"].clone();
        wanted(&latest).then(|| latest.clone())
    });
    found.unwrap_or_else(|| panic!("{watch} never came to it; the last reading is {latest}"))
}
fn says(reading: &Value, words: &str) -> bool {
    reading["why"].as_str().is_some_and(|why| why.contains(words))
}
fn is(status: &str, words: &str) -> impl Fn(&Value) -> bool {
    move |reading| reading["status"] == status && says(reading, words)
}

/// Where each partition's need begins, by the anchors that stand in the transcript.
fn needed(stage: &Stage, watch: &str) -> Vec<Vec<u64>> {
    let taken = stage.events("AnchorTaken").into_iter().filter(|taken| taken["watch"] == watch);
    let marks = |taken: Value| {
        let partitions = taken["anchor"]["partitions"].as_object().expect("it has partitions").clone();
        partitions.values().map(|mark| mark["needed"].as_u64().expect("an offset")).collect()
    };
    taken.map(marks).collect()
}

#[test]
fn retention_that_really_deletes_turns_the_window_to_lost() {
    let Some(brokers) = part("CROSSCHECK_TEST_KAFKA") else { return };
    let log = Log::new(&brokers, 2, &[("retention.ms", "604800000")]);
    for partition in [0, 1] {
        log.write(partition, 50, Duration::ZERO);
    }
    let ladder = "[[recovery]]\nname = \"replay\"\nwatch = \"window\"\ntakes = \"40m\"\n";
    let stage = Stage::new(&plan(&brokers, &[("window", &log, "needed_from = \"low\"\nmust_cover = \"1h\"")], ladder));
    let _hub = stage.serve(&[]);
    let lead = stage.join("lead@example.org");
    let stands = reading(&stage, "window", is("ok", "first needed record stays at least 6 d 23 h"));
    let left = stands["value"].as_f64().expect("a number");
    assert!((604_000.0..604_500.0).contains(&left) && stands["unit"] == "s", "seven days less the margin: {stands}");
    assert_eq!(needed(&stage, "window"), [[0, 0]]);
    // Told when it came to stand, or, to who joined after that, as one that stands.
    lead.expect("way back: replay");

    // Lowered, it is an alarm before anything is gone.
    log.configure(&[("retention.ms", "7200000")]);
    let lowered = reading(&stage, "window", is("warn", "retention lowered from 7 d 0 h to 2:00:00"));
    let left = lowered["value"].as_f64().expect("a number");
    assert!((6_000.0..6_900.0).contains(&left), "two hours less the margin: {lowered}");

    // Nobody writes any more, and still everything goes: the one segment is the active one, is rolled and deleted.
    log.configure(&[("retention.ms", "2000")]);
    let lost = reading(&stage, "window", is("fail", "LOST 100 needed records; p0 lost 50; p1 lost 50"));
    assert_eq!(lost.get("value"), None, "no number stands beside a loss: {lost}");
    assert_eq!((log.marks(0), log.marks(1)), ((50, 50), (50, 50)));
    lead.expect("NO WAY BACK is left: replay fell");
    let turns = stage.events("RecoveryTurned");
    assert_eq!((turns.len(), &turns[1]["from"], turns[1].get("to")), (2, &Value::from("replay"), None));
}

#[test]
fn what_is_overdue_stands_while_its_segment_has_younger_records() {
    let Some(brokers) = part("CROSSCHECK_TEST_KAFKA") else { return };
    // The limit comes last: the broker might look between the old records and the young one. And they are less than
    // `segment.ms` (a week) apart, for a record that is further from the first one of a segment begins another.
    let log = Log::new(&brokers, 1, &[("retention.ms", "-1")]);
    log.write(0, 3, 2 * DAY);
    log.write(0, 1, Duration::ZERO);
    log.configure(&[("retention.ms", "86400000")]);
    let limits = "needed_from = \"low\"\nmust_not_exceed = \"1d\"";
    let stage = Stage::new(&plan(&brokers, &[("window", &log, limits)], ""));
    let _hub = stage.serve(&[]);
    let late = reading(&stage, "window", is("fail", "OVERDUE: may vanish at any time; p0: its first needed record"));
    assert_eq!(late["value"], 0.0, "never a positive number: {late}");
    assert!(says(&late, "overdue by 24:0") && says(&late, "p0 still holds a record of 2 d 0 h ago"), "{late}");
    // The broker looks every second. Once five more readings are on record (one that only repeats is kept every few seconds),
    // it has looked, and the old records are still there: the newest one of their segment keeps them.
    let before = stage.events("ReadingTaken").len();
    let more = poll(PATIENCE * 2, || (stage.events("ReadingTaken").len() >= before + 5).then_some(()));
    assert!(more.is_some(), "it goes on reading");
    assert_eq!(log.marks(0), (0, 4));
}

#[test]
fn deleted_records_are_noticed_and_a_restart_moves_no_anchor() {
    let Some(brokers) = part("CROSSCHECK_TEST_KAFKA") else { return };
    let log = Log::new(&brokers, 1, &[]);
    log.write(0, 10, Duration::from_secs(3600));
    log.write(0, 30, Duration::from_secs(600));
    let watches = [("window", &log, "needed_from = \"30m\""), ("purge", &log, "goal = \"rises\"")];
    let step = format!("[[step]]\nid = \"purge\"\nrun = [\"true\"]\nexpects_loss = [\"{}\"]\n", log.name);
    let stage = Stage::new(&plan(&brokers, &watches, &step));
    let mut hub = stage.serve(&[]);
    reading(&stage, "window", is("ok", "first needed record stays at least 6 d 23 h, on p0"));
    assert_eq!(needed(&stage, "window"), [[10]], "the first one written in the half hour before");
    reading(&stage, "purge", is("warn", "low 0, end 40, 0 deleted on 1 partition; the low mark has not risen on p0"));

    // Somebody deletes what is not needed, long before it is due.
    log.delete_before(0, 4);
    reading(&stage, "window", is("warn", "p0: 4 records deleted before their time, 6 before the first needed one"));
    let risen = reading(&stage, "purge", is("ok", "low 4, end 40, 4 deleted"));
    assert_eq!(risen["value"], 4.0);

    // And what is needed, while no hub looks.
    hub.kill();
    log.delete_before(0, 25);
    let _hub = stage.serve(&[]);
    reading(&stage, "window", is("fail", "LOST 15 needed records; p0 lost 15"));
    assert_eq!(needed(&stage, "window"), [[10]], "the one of the first hub");

    // The purge of a step that says so is no loss once it ended well.
    let lead = stage.join("lead@example.org");
    lead.ok("arm purge");
    lead.ok("run");
    lead.expect("purge done");
    reading(&stage, "window", is("ok", "first needed record stays at least"));
    assert_eq!(needed(&stage, "window"), [[10], [25]]);
    reading(&stage, "purge", is("ok", "low 25, end 40, 25 deleted"));
    assert_eq!(needed(&stage, "purge").len(), 1, "what shows the purge goes on counting from where it began");
}

#[test]
fn every_setting_that_makes_the_window_no_promise_is_read_from_the_broker() {
    let Some(brokers) = part("CROSSCHECK_TEST_KAFKA") else { return };
    let made = |settings: &[(&str, &str)]| {
        let log = Log::new(&brokers, 1, settings);
        log.write(0, 5, Duration::from_secs(3600));
        log
    };
    let logs = [
        made(&[("cleanup.policy", "compact")]),
        made(&[("retention.bytes", "1000000000")]),
        made(&[("retention.ms", "-1")]),
        made(&[("retention.ms", "691200000")]),
        made(&[]),
    ];
    let watches = [
        ("compacted", &logs[0], "needed_from = \"low\""),
        ("by-size", &logs[1], "needed_from = \"low\""),
        ("unlimited", &logs[2], "needed_from = \"low\""),
        ("too-long", &logs[3], "must_not_exceed = \"7d\""),
        ("nothing-yet", &logs[4], "must_cover = \"6h\""),
    ];
    let missing =
        "[[watch]]\nid = \"missing\"\nkind = \"kafka-retention\"\ntopic = \"no_such_topic\"\nevery = \"1s\"\n";
    let stage = Stage::new(&plan(&brokers, &watches, &format!("{missing}brokers = \"{brokers}\"\n")));
    let _hub = stage.serve(&[]);
    reading(&stage, "compacted", is("warn", "compacted (cleanup.policy compact)"));
    let at_most = reading(&stage, "by-size", is("warn", "retention.bytes is 1.0 GB a partition"));
    assert!(says(&at_most, "stays at most 6 d 22 h") && at_most["value"].is_number(), "{at_most}");
    let unlimited = reading(&stage, "unlimited", is("ok", "kept without a limit of time"));
    assert_eq!(unlimited.get("value"), None);
    reading(&stage, "too-long", is("fail", "records are kept 8 d 0 h, at most 7 d 0 h is allowed"));
    // By default what is needed begins with the session, and nothing was written since.
    reading(&stage, "nothing-yet", is("ok", "nothing needed is there yet; what comes stays at least 6 d 23 h"));
    assert_eq!(needed(&stage, "nothing-yet"), [[5]]);
    logs[4].write(0, 1, Duration::ZERO);
    reading(&stage, "nothing-yet", is("ok", "first needed record stays at least 6 d 23 h, on p0"));
    reading(&stage, "missing", is("unknown", "no_such_topic"));
}

#[test]
fn what_a_group_reads_next_is_held_against_the_time_it_stays() {
    let Some(brokers) = part("CROSSCHECK_TEST_KAFKA") else { return };
    let topic = Topic::new(&brokers, 3);
    let reader = topic.reader();
    topic.produce(30);
    reader.read(30);
    topic.produce(9);
    let head = plan(&brokers, &[], "");
    let watch = format!(
        "[[watch]]\nid = \"unread\"\nkind = \"kafka-retention\"\nbrokers = \"{brokers}\"\ntopic = \"{}\"\ngroup = \"{}\"\n\
         every = \"1s\"\n",
        topic.name, topic.group
    );
    let stage = Stage::new(&(head + &watch));
    let _hub = stage.serve(&[]);
    reading(&stage, "unread", is("ok", &format!("what {} reads next on p", topic.group)));
    assert_eq!(needed(&stage, "unread"), [[10, 10, 10]], "where it stood when the session opened");
    reader.read(9);
    let read = reading(&stage, "unread", |reading| !says(reading, "reads next"));
    assert!(is("ok", "first needed record stays at least 6 d 23 h")(&read), "{read}");
    assert_eq!(needed(&stage, "unread").len(), 1, "the group went on, what is needed did not");
}

/// An ok reading that begins from now on.
fn ok_soon(ok_since: &impl Fn(At) -> Option<At>) -> Option<At> {
    let now = wall();
    poll(PATIENCE, || ok_since(now))
}

/// Any broker of several may be gone: what is left has the records and the configuration. A client that only asks for
/// configurations goes on asking the one that it took for the controller, which is any of them, and learns better by a new
/// connection or after minutes: so it is first made to have one to each.
#[test]
fn no_single_dead_broker_keeps_the_window_unknown() {
    let Some(mut brokers) = Brokers::start(3, "") else { return };
    let topic = Topic::copied(&brokers.addresses(), 2, 3);
    topic.produce(20);
    let stage = Stage::new(&format!(
        "crosscheck = 1\nname = \"Retention\"\nenvironment = \"test\"\n[crew]\nlead = [\"lead@example.org\"]\n\
         [[watch]]\nid = \"window\"\nkind = \"kafka-retention\"\nbrokers = \"{}\"\ntopic = \"{}\"\nevery = \"1s\"\n\
         needed_from = \"low\"\nmust_cover = \"1h\"\n",
        brokers.addresses(),
        topic.name
    ));
    let _hub = stage.serve(&[]);
    let time = |value: &Value| At::try_from(value.as_str().unwrap_or_default().to_owned()).expect("a time");
    let ok_since = |since: At| {
        let taken = stage.events("ReadingTaken");
        let began = |taken: Value| (taken["reading"]["status"] == "ok").then(|| time(&taken["began"]));
        taken.into_iter().filter_map(began).find(|began| *began >= since)
    };
    ok_soon(&ok_since).expect("it is read");
    (0..3).for_each(|index| brokers.kill(index));
    (0..3).for_each(|index| brokers.launch(index));
    (0..3).for_each(|index| brokers.until_serving(index));
    for index in 0..3 {
        ok_soon(&ok_since).expect("all three are there");
        brokers.kill(index);
        let killed = wall();
        // By then the others have noticed, and have shared its partitions out among them.
        let settled = At::from_micros(killed.micros() + 12_000_000);
        let again = poll(PATIENCE, || ok_since(settled));
        let latest = || stage.events("ReadingTaken").pop();
        let late = again.unwrap_or_else(|| panic!("without broker {index}: {:?}", latest())).since(killed);
        println!("retention: without broker {index} it is read {late:?} after");
        assert!(late < Duration::from_secs(25), "without broker {index} it was ok again only after {late:?}");
        brokers.launch(index);
        brokers.until_serving(index);
    }
}

//! Compares through the loop, with commands that read files as their operands; and every way not to know.

use super::*;
use crate::fixture as a;
use crate::monitor::{Monitor, Sample};
use crate::plan::{Formula as Parsed, OutputRules, Params, Run, Template, WatchKind};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::mpsc;

fn id(text: &str) -> WatchId {
    WatchId::new(text).unwrap()
}
fn formula(text: &str, within: Option<f64>) -> Formula {
    Formula { text: text.to_owned(), formula: Parsed::parse(text).unwrap(), within }
}
fn compare(name: &str, text: &str, every: Duration) -> Watch {
    a::watching(name, WatchKind::Compare(formula(text, None)), every)
}
fn command(name: &str, script: &str, timeout: Duration) -> Watch {
    let kind =
        WatchKind::Command { run: Run::Shell(Template::new(script).unwrap()), timeout, answer: OutputRules::default() };
    a::watching(name, kind, Duration::from_secs(3600))
}
fn counting() -> super::super::Now {
    let ticks = AtomicI64::new(0);
    Arc::new(move || At::from_micros(ticks.fetch_add(1, Ordering::SeqCst)))
}
/// The next reading of that watch that is like that.
async fn until(seen: &mut mpsc::Receiver<Sample>, watch: &str, wanted: impl Fn(&Sample) -> bool) -> Sample {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), seen.recv()).await;
        let sample = next.expect("it comes in time").expect("the monitor runs");
        if sample.watch.as_str() == watch && wanted(&sample) {
            return sample;
        }
    }
}

#[tokio::test]
async fn asked_it_reads_its_operands_anew_through_every_rung() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("new", "5");
    put("old", "5");
    let (second, fast) = (Duration::from_secs(20), Duration::from_millis(100));
    let watches = [
        compare("over", "both == 0", fast),
        compare("both", "new == old", fast),
        command("new", "cat new", second),
        command("old", "cat old", second),
    ];
    let (samples, mut seen) = mpsc::channel(8);
    let now = counting();
    let monitor = Monitor::start(&watches, &Params::new(), folder.path(), now.clone(), samples);
    // No reading before the operands' first: not even an unknown one.
    let first = until(&mut seen, "over", |_| true).await;
    assert_eq!((first.reading.status, first.reading.value), (Status::Ok, Some(0.0)), "{}", first.reading.why);
    put("new", "7");
    // On their own the operands are next read in an hour. Asked at the top, all below is read after the question.
    for (watch, number) in [("over", 1), ("both", 2)] {
        let question = now();
        monitor.read_now(&id(watch), number);
        let sample = until(&mut seen, watch, |sample| sample.asked == Some(number)).await;
        assert_eq!((sample.reading.status, sample.reading.value), (Status::Fail, Some(2.0)), "{}", sample.reading.why);
        assert!(sample.began > question, "as old as the oldest reading it rests on");
    }
    // Without a question it says what was read last, and how old that is.
    put("new", "5");
    let began =
        until(&mut seen, "both", |sample| sample.asked.is_none() && sample.reading.value == Some(2.0)).await.began;
    let again = until(&mut seen, "both", |sample| sample.asked.is_none()).await;
    assert_eq!((again.began, again.reading.value), (began, Some(2.0)));
    // Two questions at once, at both rungs, while periods go on.
    monitor.read_now(&id("over"), 3);
    monitor.read_now(&id("both"), 4);
    let sample = until(&mut seen, "over", |sample| sample.asked == Some(3)).await;
    assert_eq!(sample.reading.status, Status::Ok, "{}", sample.reading.why);
}

#[tokio::test]
async fn an_operand_that_hangs_makes_it_unknown_and_holds_up_nobody() {
    let watches = [
        compare("both", "well == hung", Duration::from_millis(100)),
        command("well", "echo 1", Duration::from_secs(20)),
        command("hung", "sleep 100", Duration::from_millis(300)),
    ];
    let (samples, mut seen) = mpsc::channel(8);
    let monitor = Monitor::start(&watches, &Params::new(), Path::new("/"), counting(), samples);
    monitor.read_now(&id("both"), 1);
    monitor.read_now(&id("well"), 2);
    until(&mut seen, "well", |sample| sample.asked == Some(2) && sample.reading.status == Status::Ok).await;
    let sample = until(&mut seen, "both", |sample| sample.asked == Some(1)).await;
    assert_eq!((sample.reading.status, sample.reading.value), (Status::Unknown, None));
    assert!(sample.reading.why.starts_with("hung is unknown: ended by force"), "{}", sample.reading.why);
    // Readings of one watch never begin before the one before did.
    let mut last = sample.began;
    for _ in 0..3 {
        let sample = until(&mut seen, "both", |_| true).await;
        assert!(sample.began >= last && sample.reading.status == Status::Unknown);
        last = sample.began;
    }
}

#[test]
fn the_limit_leaves_room_for_what_it_asks() {
    let watches = [
        compare("over", "both == 0", Duration::from_secs(1)),
        compare("both", "slow == 0", Duration::from_secs(1)),
        command("slow", "true", Duration::from_secs(9)),
    ];
    let limit = |watch: &Watch| super::super::limit_among(watch, &watches, super::super::RUNGS_MAX).as_secs();
    assert_eq!(watches.iter().map(limit).collect::<Vec<_>>(), [43, 21, 10]);
}

#[test]
fn whatever_is_not_known_of_an_operand_is_not_known_of_it() {
    let second = Duration::from_secs(1);
    let watches = [command("a", "x", second), command("b", "x", second)];
    let (board, _places) = Board::new(watches.iter().map(|watch| &watch.id), At::default());
    let judge = |text: &str, within, a: Option<Reading>, b: Option<Reading>, age: Duration| {
        let compare = Compare::new(&formula(text, within), &watches, board.clone(), counting());
        let taken = [("a", a), ("b", b)]
            .into_iter()
            .filter_map(|(name, reading)| Some((id(name), Taken { reading: reading?, began: At::from_micros(1) })));
        compare.judge(&taken.collect(), At::from_micros(1).after(age))
    };
    let of = |value: Option<f64>, unit: &str, status| {
        Some(Reading { value, unit: unit.to_owned(), ..a::reading(status).because("as it was\u{1b}[31m") })
    };
    let number = |value: f64| of(Some(value), "", Status::Ok);
    for (a, b, why) in [
        (number(1.0), None, "b has not been read"),
        (of(None, "", Status::Ok), number(1.0), "a has no number: as it was"),
        (of(Some(1.0), "", Status::Unknown), number(1.0), "a is unknown: as it was"),
        (of(Some(f64::NAN), "", Status::Ok), number(1.0), "a has no number"),
        (of(Some(1.0), "s", Status::Ok), of(Some(1.0), "messages", Status::Ok), "s and messages do not go together"),
    ] {
        let reading = judge("a == b", None, a, b, second);
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
        assert!(reading.why.starts_with(why), "{}", reading.why);
        assert!(!reading.why.chars().any(crate::name::is_hidden));
    }
    let stale = judge("a == b", None, number(1.0), number(1.0), Duration::from_secs(3 * 3600 + 1));
    assert_eq!((stale.status, &*stale.why), (Status::Unknown, "a was last read 3:00:01 ago"));
    // A red reading has a number all the same.
    let fail = judge("a < b", None, of(Some(1204.5), "B", Status::Fail), number(1000.0), second);
    assert_eq!((fail.status, fail.value, &*fail.unit), (Status::Fail, Some(204.5), "B"));
    assert_eq!(fail.why, "1204.5 B < 1000 B does not hold: a < b");
    let near = judge("a == b", Some(0.01), number(100.0), number(99.5), second);
    assert_eq!((near.status, &*near.why), (Status::Ok, "100 == 99.5"));
    let apart = judge("a == b", Some(0.01), number(100.0), number(90.0), second);
    assert_eq!((apart.status, &*apart.why), (Status::Fail, "100 == 90 does not hold within 1%: a == b"));
    let digits = judge("a == b", None, number(1.00001), number(1.00002), second);
    assert!(digits.why.starts_with("1.00001 == 1.00002 does not hold"), "{}", digits.why);
}

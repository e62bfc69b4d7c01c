//! Series of looks at one partition: made-up groups of which the truth is known, and each rule by itself.

use super::*;
use proptest::prelude::*;

#[path = "../../../../benches/support/series.rs"]
mod series;
use series::{Look, SHAPES, Shape, Truth};

const EVERY: Duration = Duration::from_secs(5);

fn track() -> Track {
    Track::new(EVERY, 0)
}
fn see(track: &mut Track, at: u64, low: u64, committed: u64, end: u64) -> Trend {
    let at = Duration::from_secs(at);
    track.see(at, &Fact::Known(low), &Fact::Known(Committed::At(committed)), &Fact::Known(end))
}
fn dark(track: &mut Track, at: u64) -> Trend {
    let dark = || Fact::Unknown("dark".into());
    track.see(Duration::from_secs(at), &dark(), &Fact::Unknown("dark".into()), &dark())
}

/// Wrong verdicts and all that were judged; errors of the time left as shares of it.
fn fly(shape: Shape, cadence: f64, seed: u64) -> (usize, usize, Vec<f64>) {
    let (mut track, mut wrong, mut judged, mut errors) = (track(), 0, 0, vec![]);
    for Look { at, committed, end, truth, left } in series::series(shape, cadence, EVERY.as_secs_f64(), seed) {
        let verdict = track.see(at, &Fact::Known(0), &Fact::Known(Committed::At(committed)), &Fact::Known(end));
        if let (Trend::Draining(eta), Some(left)) = (&verdict, left) {
            errors.push((eta.likely.as_secs_f64() - left).abs() / left);
        }
        let right = match (&verdict, truth) {
            (Trend::Warming, _) | (_, None) => continue,
            (verdict, Some(Truth::Stalled)) => matches!(verdict, Trend::Stalled(_)),
            (verdict, Some(Truth::Growing)) => matches!(verdict, Trend::Growing(_)),
            // Between two commits there may be nothing left for a moment.
            (verdict, Some(Truth::Steady)) => matches!(verdict, Trend::Steady | Trend::Drained(_)),
            (verdict, Some(Truth::Draining)) => matches!(verdict, Trend::Draining(_)),
            (verdict, Some(Truth::Drained)) => matches!(verdict, Trend::Drained(_)),
        };
        judged += 1;
        wrong += usize::from(!right);
    }
    (wrong, judged, errors)
}

#[test]
fn made_up_groups_are_judged_as_they_are() {
    for cadence in [5.0, 30.0, 60.0] {
        let mut errors = vec![];
        for shape in SHAPES {
            let (mut wrong, mut judged) = (0, 0);
            for seed in 1..=4 {
                let (some, of, off) = fly(shape, cadence, seed);
                (wrong, judged) = (wrong + some, judged + of);
                errors.extend(off);
            }
            assert!(judged > 100 || shape == Shape::Slow, "commits every {cadence} s, {shape:?}: only {judged}");
            assert!(wrong * 100 <= judged * 5, "commits every {cadence} s, {shape:?}: {wrong} of {judged} are wrong");
        }
        errors.sort_by(f64::total_cmp);
        let p90 = errors[errors.len() * 9 / 10];
        assert!(p90 <= 0.2, "commits every {cadence} s: the time left is off by {p90:.2}");
    }
}

#[test]
fn a_slow_topic_that_is_read_at_once_is_never_called_stalled_or_growing() {
    for (cadence, seed) in [(5.0, 1), (30.0, 2), (60.0, 3), (60.0, 4)] {
        let mut track = track();
        for look in series::series(Shape::Slow, cadence, EVERY.as_secs_f64(), seed) {
            let committed = Fact::Known(Committed::At(look.committed));
            let verdict = track.see(look.at, &Fact::Known(0), &committed, &Fact::Known(look.end));
            let fine = matches!(verdict, Trend::Warming | Trend::Steady | Trend::Draining(_) | Trend::Drained(_));
            assert!(fine, "commits every {cadence} s: {verdict:?} at {:?}", look.at);
        }
    }
}

#[test]
fn time_in_which_nothing_was_seen_is_no_stall() {
    let mut track = track();
    for n in 0..4 {
        see(&mut track, n * 5, 0, 10 + n, 100);
    }
    // Two minutes of darkness, then the same commit: ten seconds of waiting are known, no more.
    see(&mut track, 20, 0, 13, 100);
    assert_eq!(dark(&mut track, 25), Trend::Unknown("dark".into()));
    dark(&mut track, 140);
    assert_eq!(see(&mut track, 145, 0, 13, 100), Trend::Warming);
    let mut at = 145;
    let verdict = loop {
        at += 5;
        match see(&mut track, at, 0, 13, 100) {
            Trend::Warming => assert!(at < 400, "never stalled"),
            verdict => break verdict,
        }
    };
    assert_eq!((verdict, at), (Trend::Stalled(Duration::from_secs(30)), 170));
    // A cycle that came very late was darkness too.
    assert_eq!(see(&mut track, 1000, 0, 13, 100), Trend::Stalled(Duration::from_secs(30)));
}

#[test]
fn a_group_that_never_commits_stalls_after_two_minutes_of_looking() {
    let mut track = track();
    for n in 0..24 {
        assert_eq!(see(&mut track, n * 5, 0, 3, 10), Trend::Warming, "at {} s", n * 5);
    }
    assert_eq!(see(&mut track, 120, 0, 3, 10), Trend::Stalled(Duration::from_secs(120)));
    assert_eq!(see(&mut track, 125, 0, 4, 10), Trend::Warming, "it moves again");
}

#[test]
fn drained_takes_three_looks_without_a_break() {
    let mut track = track();
    assert_eq!(see(&mut track, 0, 0, 10, 10), Trend::Steady);
    assert_eq!(see(&mut track, 5, 0, 10, 10), Trend::Steady);
    assert_eq!(see(&mut track, 10, 0, 10, 10), Trend::Drained(Duration::from_secs(10)));
    dark(&mut track, 15);
    assert_eq!(see(&mut track, 20, 0, 10, 10), Trend::Steady, "who looked away begins again");
    see(&mut track, 25, 0, 10, 10);
    assert_eq!(see(&mut track, 30, 0, 10, 10), Trend::Drained(Duration::from_secs(10)));
    assert_eq!(see(&mut track, 35, 0, 10, 11), Trend::Steady, "one message is not nothing");
    let mut allowed = Track::new(EVERY, 1);
    see(&mut allowed, 0, 0, 10, 11);
    see(&mut allowed, 5, 0, 10, 11);
    assert_eq!(see(&mut allowed, 10, 0, 10, 11), Trend::Drained(Duration::from_secs(10)), "unless that is allowed");
}

#[test]
fn drained_takes_two_of_the_group_s_own_rhythms() {
    let mut track = track();
    let mut at = 0;
    // A commit a minute that leaves a little; then one that leaves nothing.
    for n in 0..5 {
        for _ in 0..12 {
            see(&mut track, at, 0, 10 + n, 100);
            at += 5;
        }
    }
    let since = at;
    let drained = loop {
        match see(&mut track, at, 0, 100, 100) {
            Trend::Drained(time) => break time,
            _ => assert!(at - since < 300, "never drained"),
        }
        at += 5;
    };
    assert_eq!(drained, Duration::from_secs(120));
}

#[test]
fn offsets_that_go_back_are_asked_again_and_then_called_so() {
    let mut track = track();
    see(&mut track, 0, 0, 90, 100);
    assert!(matches!(see(&mut track, 5, 0, 90, 97), Trend::Unknown(_)), "a new leader may know less for a moment");
    assert_eq!(see(&mut track, 10, 0, 90, 101), Trend::Warming, "and then it knows as much");
    // Made anew: empty, and the commits are gone. That is nothing to read and still not what it was.
    let anew = |track: &mut Track, at| {
        let never = Fact::Known(Committed::Never);
        track.see(Duration::from_secs(at), &Fact::Known(0), &never, &Fact::Known(0))
    };
    assert!(matches!(anew(&mut track, 15), Trend::Unknown(_)));
    for at in [20, 25, 30, 35] {
        let Trend::Ahead(how) = anew(&mut track, at) else { panic!("it would pass for drained") };
        assert!(how.contains("went back from 101 to 0"), "{how}");
    }
    // Until the group reads what is there now.
    assert_eq!(see(&mut track, 40, 0, 2, 5), Trend::Warming);
    assert_eq!(see(&mut track, 45, 0, 3, 5), Trend::Warming);
}

#[test]
fn a_group_that_goes_back_is_said_to_and_its_rates_begin_again() {
    let mut track = track();
    for n in 0..20 {
        see(&mut track, n * 5, 0, 1000 + n * 100, 10_000);
    }
    assert!(matches!(see(&mut track, 100, 0, 3000, 10_000), Trend::Draining(_)));
    assert_eq!(see(&mut track, 105, 0, 500, 10_000), Trend::Rewound(2500));
    assert_eq!(see(&mut track, 110, 0, 600, 10_000), Trend::Rewound(2500));
    for n in 0..8 {
        see(&mut track, 115 + n * 5, 0, 700 + n * 100, 10_000);
    }
    assert!(matches!(see(&mut track, 155, 0, 1500, 10_000), Trend::Draining(_)));
}

#[test]
fn a_loss_and_a_missing_commit_are_said_with_two_numbers() {
    let mut track = track();
    assert_eq!(see(&mut track, 0, 50, 30, 100), Trend::Lost(20));
    let unknown = || Fact::Unknown("no leader".into());
    let committed = Fact::Known(Committed::At(30));
    assert_eq!(track.see(EVERY, &Fact::Known(50), &committed, &unknown()), Trend::Lost(20));
    let never = Fact::Known(Committed::Never);
    assert_eq!(Track::new(EVERY, 0).see(EVERY, &Fact::Known(3), &never, &Fact::Known(8)), Trend::NoCommit(5));
    assert!(matches!(see(&mut track, 10, 0, 30, 20), Trend::Ahead(_)));
}

fn number() -> impl Strategy<Value = Fact<u64>> {
    prop_oneof![
        12 => (0..8_u64).prop_map(Fact::Known),
        1 => any::<u64>().prop_map(Fact::Known),
        2 => Just(Fact::Unknown("dark".into())),
    ]
}
fn commit() -> impl Strategy<Value = Fact<Committed>> {
    let known = |fact| match fact {
        Fact::Known(at) => Fact::Known(Committed::At(at)),
        Fact::Unknown(why) => Fact::Unknown(why),
    };
    prop_oneof![8 => number().prop_map(known), 1 => Just(Fact::Known(Committed::Never))]
}

proptest! {
    #[test]
    fn whatever_is_seen_nothing_unknown_passes_for_drained_or_draining(
        looks in prop::collection::vec((0..90_u64, number(), commit(), number()), 1..60),
        residual in 0..3_u64,
    ) {
        let mut track = Track::new(EVERY, residual);
        let (mut at, mut quiet) = (0, 0);
        for (pause, low, committed, end) in looks {
            at += pause;
            let verdict = track.see(Duration::from_secs(at), &low, &committed, &end);
            let lag = match (&low, &committed, &end) {
                (Fact::Known(low), Fact::Known(Committed::At(at)), Fact::Known(end)) if low <= at => end.checked_sub(*at),
                (Fact::Known(low), Fact::Known(Committed::Never), Fact::Known(end)) if low == end => Some(0),
                _ => None,
            };
            quiet = if lag.is_some_and(|lag| lag <= residual) { quiet + 1 } else { 0 };
            match verdict {
                Trend::Drained(_) => prop_assert!(quiet >= DRAINED_CYCLES),
                Trend::Draining(eta) => {
                    prop_assert!(eta.soonest <= eta.likely && eta.likely <= eta.latest && eta.latest <= ETA_MAX);
                    prop_assert!(lag.is_some());
                }
                Trend::Stalled(_) => prop_assert!(lag.is_some_and(|lag| lag > residual)),
                Trend::Growing(by) => prop_assert!(lag.is_some() && by > 0.0),
                Trend::Steady | Trend::Warming | Trend::Rewound(_) => prop_assert!(lag.is_some()),
                Trend::Lost(_) | Trend::Ahead(_) | Trend::Unknown(_) | Trend::NoCommit(_) => {}
            }
        }
    }
}

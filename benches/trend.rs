//! The trend of a lag, judged on made-up groups of which the truth is known: how often the verdict is wrong, and how far off
//! the time that is left. Nine shapes, twelve seeds each, for groups that commit every 5, 30 and 60 s and are looked at
//! every 5 s. Nothing here depends on the machine.

#[path = "support/series.rs"]
mod series;
mod support;

use crosscheck::monitor::kafka::trend::{Track, Trend};
use crosscheck::monitor::kafka::{Committed, Fact};
use series::{SHAPES, Shape, Truth, series};
use std::time::Duration;
use support::headline;

const SEEDS: u64 = 12;
const EVERY: Duration = Duration::from_secs(5);
const WRONG_MAX: f64 = 0.05;
const OFF_MAX: f64 = 0.2;

/// What came of the series of one shape and one rhythm.
#[derive(Default)]
struct Score {
    wrong: usize,
    judged: usize,
    /// Looks whose truth is known and of which nothing was said yet.
    warming: usize,
    /// Errors of the time left, as shares of it.
    off: Vec<f64>,
}

fn main() {
    headline("trend", "verdicts and times left, against the truth of made-up groups");
    println!(
        "{:>9} {:<14} {:>8} {:>8} {:>9} {:>10} {:>9}",
        "commits", "shape", "judged", "wrong", "warming", "eta p50", "eta p90"
    );
    let mut missed = vec![];
    for cadence in [5.0, 30.0, 60.0] {
        let mut all = Score::default();
        for shape in SHAPES {
            let mut score = Score::default();
            (1..=SEEDS).for_each(|seed| fly(shape, cadence, seed, &mut score));
            line(&format!("{cadence} s"), &format!("{shape:?}"), &mut score);
            if score.wrong as f64 > WRONG_MAX * score.judged as f64 {
                missed.push(format!("{shape:?} at {cadence} s"));
            }
            all.wrong += score.wrong;
            all.judged += score.judged;
            all.warming += score.warming;
            all.off.append(&mut score.off);
        }
        line(&format!("{cadence} s"), "all", &mut all);
        if quantile(&mut all.off, 0.9) > OFF_MAX {
            missed.push(format!("time left at {cadence} s"));
        }
    }
    let verdict = if missed.is_empty() { "pass".to_owned() } else { format!("MISS: {}", missed.join(", ")) };
    println!("trend: wrong at most 5 % of each shape, time left off by at most 20 % in nine of ten: {verdict}");
    println!("(looks at which nothing is true yet are not judged; times under 30 s are not counted)");
}

fn fly(shape: Shape, cadence: f64, seed: u64, score: &mut Score) {
    let mut track = Track::new(EVERY, 0);
    for look in series(shape, cadence, EVERY.as_secs_f64(), seed) {
        let committed = Fact::Known(Committed::At(look.committed));
        let verdict = track.see(look.at, &Fact::Known(0), &committed, &Fact::Known(look.end));
        if let (Trend::Draining(eta), Some(left)) = (&verdict, look.left) {
            score.off.push((eta.likely.as_secs_f64() - left).abs() / left);
        }
        let Some(truth) = look.truth else {
            // Nothing but this is known of a slow topic that is read at once.
            if shape == Shape::Slow {
                score.judged += 1;
                score.wrong += usize::from(matches!(verdict, Trend::Stalled(_) | Trend::Growing(_)));
            }
            continue;
        };
        let right = match verdict {
            Trend::Warming => {
                score.warming += 1;
                continue;
            }
            Trend::Stalled(_) => truth == Truth::Stalled,
            Trend::Growing(_) => truth == Truth::Growing,
            Trend::Steady => truth == Truth::Steady,
            Trend::Draining(_) => truth == Truth::Draining,
            // Between two commits there may be nothing left for a moment.
            Trend::Drained(_) => matches!(truth, Truth::Drained | Truth::Steady),
            _ => false,
        };
        score.judged += 1;
        score.wrong += usize::from(!right);
    }
}

fn line(cadence: &str, shape: &str, score: &mut Score) {
    let share = |part: usize, of: usize| match of {
        0 => "-".to_owned(),
        of => format!("{:.1} %", 100.0 * part as f64 / of as f64),
    };
    let off = |score: &mut Score, at: f64| match score.off.is_empty() {
        true => "-".to_owned(),
        false => format!("{:.0} %", 100.0 * quantile(&mut score.off, at)),
    };
    let (wrong, warming) = (share(score.wrong, score.judged), share(score.warming, score.warming + score.judged));
    let (middle, most) = (off(score, 0.5), off(score, 0.9));
    println!("{cadence:>9} {shape:<14} {:>8} {wrong:>8} {warming:>9} {middle:>10} {most:>9}", score.judged);
}

fn quantile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * at) as usize).copied().unwrap_or(f64::NAN)
}

//! Made-up groups: what a watch would have seen of a partition, and what was really going on. Used by the benchmark of the
//! trend and by its test; knows nothing of the code it judges.
#![allow(dead_code)] // each of the two uses some of it

use std::time::Duration;

/// What the group really does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    Stalled,
    Growing,
    Steady,
    Draining,
    Drained,
}

/// What happens to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A backlog, no producers.
    DrainAlone,
    /// A backlog, and producers that go on.
    DrainAgainst,
    /// More comes than is read.
    Growing,
    /// Read as it comes.
    KeepingUp,
    /// A backlog that stays as it is.
    SteadyBehind,
    /// Read as it comes, until the reader stops.
    Stalling,
    /// A backlog; it comes in bursts and is read faster than it comes.
    DrainBursts,
    /// A message every few seconds, read at once.
    Slow,
    /// It is read too slowly until half-time, then twice as fast as it comes.
    Turning,
}

pub const SHAPES: [Shape; 9] = [
    Shape::DrainAlone,
    Shape::DrainAgainst,
    Shape::Growing,
    Shape::KeepingUp,
    Shape::SteadyBehind,
    Shape::Stalling,
    Shape::DrainBursts,
    Shape::Slow,
    Shape::Turning,
];

/// One look at a partition.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub at: Duration,
    pub committed: u64,
    pub end: u64,
    /// What is true at that time, where it is clear: not while one thing turns into another.
    pub truth: Option<Truth>,
    /// Seconds until the backlog is gone, where it drains.
    pub left: Option<f64>,
}

/// A small generator of chance (SplitMix64): the same series for a seed, on every machine.
pub struct Chance(pub u64);
impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// At least `low`, less than `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

const STEP: f64 = 0.1;
/// How long each series is, in seconds.
const LONG: f64 = 1500.0;

/// A series: commits about every `cadence` seconds, looks about every `every` seconds.
pub fn series(shape: Shape, cadence: f64, every: f64, seed: u64) -> Vec<Look> {
    let mut chance = Chance(seed.wrapping_mul(0x1234_5678_9abc_def1) ^ (shape as u64) << 32 ^ cadence as u64);
    let scale = chance.between(0.5, 2.0);
    let half = LONG / 2.0;
    // Messages a second that come, and that could be read.
    let rates = |time: f64| match shape {
        Shape::DrainAlone => (0.0, 50.0 * scale),
        Shape::DrainAgainst => (40.0 * scale, 58.0 * scale),
        Shape::Growing => (60.0 * scale, 48.0 * scale),
        Shape::KeepingUp => (50.0 * scale, 200.0 * scale),
        Shape::SteadyBehind => (50.0 * scale, 50.0 * scale),
        Shape::Stalling => (50.0 * scale, if time < half { 200.0 * scale } else { 0.0 }),
        Shape::DrainBursts => (if time % 20.0 < 5.0 { 160.0 * scale } else { 0.0 }, 60.0 * scale),
        Shape::Slow => (0.2 * scale, 200.0),
        Shape::Turning => (50.0 * scale, if time < half { 40.0 * scale } else { 100.0 * scale }),
    };
    let backlog = match shape {
        Shape::DrainAlone => 50.0 * scale * chance.between(300.0, 1400.0),
        Shape::DrainAgainst => 18.0 * scale * chance.between(500.0, 1400.0),
        Shape::DrainBursts => 20.0 * scale * chance.between(500.0, 1400.0),
        Shape::SteadyBehind => 20_000.0 * scale,
        Shape::Growing | Shape::Turning => 2_000.0 * scale,
        Shape::KeepingUp | Shape::Stalling | Shape::Slow => 0.0,
    };
    let (mut end, mut read, mut committed) = (backlog + 10_000.0, 10_000.0, 10_000.0_f64);
    let (mut next_commit, mut next_look) = (chance.between(0.0, cadence), chance.between(0.0, every));
    let (mut noise_in, mut noise_out, mut next_noise) = (1.0, 1.0, 0.0);
    let (mut looks, mut gone): (Vec<Look>, Option<f64>) = (vec![], None);
    // What comes in two seconds is no backlog any more; and it is over when the group has committed that it has read it.
    let few = 2.0 * (0..200).map(|n| rates(half + f64::from(n) * STEP).0).sum::<f64>() / 200.0;
    let mut caught_up = false;
    let mut time = 0.0;
    while time < LONG {
        if time >= next_noise {
            // Every second another rate, up to a quarter more or less.
            (noise_in, noise_out) = (chance.between(0.75, 1.25), chance.between(0.75, 1.25));
            next_noise += 1.0;
        }
        let (comes, reads) = rates(time);
        end += match shape {
            Shape::Slow => f64::from(u8::from(chance.between(0.0, 1.0) < comes * STEP)),
            _ => comes * noise_in * STEP,
        };
        read = f64::min(end.floor(), read + reads * noise_out * STEP);
        caught_up |= backlog > 0.0 && end - read < few.max(1.0);
        if time >= next_commit {
            committed = f64::max(committed, read.floor());
            next_commit += cadence * chance.between(0.9, 1.1);
            if gone.is_none() && caught_up {
                gone = Some(time);
            }
        }
        if time >= next_look {
            let at = Duration::from_secs_f64(time);
            looks.push(Look { at, committed: committed as u64, end: end.floor() as u64, truth: None, left: None });
            next_look += every * chance.between(0.9, 1.1);
        }
        time += STEP;
    }
    for look in &mut looks {
        judge(shape, cadence, gone, look);
    }
    looks
}

/// What is true at a time. Whoever judges from the past is given the longest window there is, and the group's rhythm, before
/// a change has to be seen.
fn judge(shape: Shape, cadence: f64, gone: Option<f64>, look: &mut Look) {
    let (time, half) = (look.at.as_secs_f64(), LONG / 2.0);
    let settled = f64::max(180.0, 4.0 * cadence) + 3.0 * cadence;
    let drains = |from: f64| match gone {
        Some(gone) if time < gone - 3.0 * cadence => (time > from).then_some(Truth::Draining),
        _ => None,
    };
    look.truth = match shape {
        Shape::DrainAlone => match gone {
            Some(gone) if time > gone + 3.0 * cadence + 30.0 => Some(Truth::Drained),
            _ => drains(0.0),
        },
        Shape::DrainAgainst | Shape::DrainBursts => drains(0.0),
        Shape::Growing => Some(Truth::Growing),
        Shape::KeepingUp | Shape::SteadyBehind => Some(Truth::Steady),
        Shape::Slow => None, // read at once: drained between two messages, steady while one waits
        Shape::Stalling if time < half => Some(Truth::Steady),
        Shape::Stalling => (time > half + f64::max(60.0, 5.0 * cadence)).then_some(Truth::Stalled),
        Shape::Turning if time < half => Some(Truth::Growing),
        Shape::Turning => drains(half + settled),
    };
    if look.truth == Some(Truth::Draining) {
        look.left = gone.map(|gone| gone - time).filter(|left| *left > 30.0);
    }
}

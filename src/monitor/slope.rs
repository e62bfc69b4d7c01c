//! How fast something rises or falls: the median of the slopes between all pairs of points (Theil and Sen), which a few
//! wild points do not bend. Pure.

use crate::baseline::median;
use std::collections::VecDeque;
use std::time::Duration;

/// Points kept; all their pairs are looked at with every reading.
const POINTS_MAX: usize = 60;
/// Fewer points, or points closer together in time, say nothing.
const POINTS_MIN: usize = 5;
const SPAN_MIN: Duration = Duration::from_secs(20);
/// The share of pairs that have to point the same way: noise points both ways.
const AGREED: f64 = 0.75;

/// The last values of something and when they were seen.
#[derive(Debug, Clone)]
pub(super) struct Slope {
    /// Seconds, and the value then.
    points: VecDeque<(f64, f64)>,
    /// How far back points count.
    window: Duration,
}

impl Slope {
    pub(super) fn new(window: Duration) -> Self {
        Slope { points: VecDeque::new(), window }
    }

    /// Takes in what was seen `at` that time since some beginning. Times never run backwards.
    pub(super) fn add(&mut self, at: Duration, value: f64) {
        let (at, window) = (at.as_secs_f64(), self.window.as_secs_f64());
        // Points come no closer than the window has room for, so that it is always a whole window that is looked at. The
        // newest stands in for one that came too early.
        let apart = window / POINTS_MAX as f64;
        let last_but_one = self.points.len().checked_sub(2).and_then(|index| self.points.get(index));
        if last_but_one.is_some_and(|(before, _)| self.points.back().is_some_and(|(last, _)| last - before < apart)) {
            self.points.pop_back();
        }
        self.points.push_back((at, value));
        while self.points.len() > POINTS_MAX || self.points.front().is_some_and(|(first, _)| at - first > window) {
            self.points.pop_front();
        }
    }

    /// Change per second; nothing while too little was seen, or where the points do not agree on a direction.
    pub(super) fn per_second(&self) -> Option<f64> {
        if !self.is_warm() {
            return None;
        }
        let mut slopes = vec![];
        for (index, (at, value)) in self.points.iter().enumerate() {
            let later = self.points.iter().skip(index + 1).filter(|(later, _)| later > at);
            slopes.extend(later.map(|(later, next)| (next - value) / (later - at)));
        }
        let slope = median(slopes.iter().copied())?;
        let agreed = slopes.iter().filter(|other| other.signum() == slope.signum() && **other != 0.0).count();
        (agreed as f64 >= AGREED * slopes.len() as f64).then_some(slope)
    }

    /// Whether enough was seen to say anything.
    pub(super) fn is_warm(&self) -> bool {
        let span = self.points.back().zip(self.points.front()).map_or(0.0, |((last, _), (first, _))| last - first);
        self.points.len() >= POINTS_MIN && span >= SPAN_MIN.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope(points: impl Iterator<Item = (u64, f64)>) -> Slope {
        let mut slope = Slope::new(Duration::from_secs(600));
        points.for_each(|(at, value)| slope.add(Duration::from_secs(at), value));
        slope
    }

    #[test]
    fn a_steady_fall_is_found_under_wild_points() {
        let wild = |n: u64| if n % 10 == 3 { 1e9 } else { 0.0 };
        let found = slope((0..60).map(|n| (n * 5, 1e6 - 250.0 * (n * 5) as f64 + wild(n)))).per_second().unwrap();
        assert!((found + 250.0).abs() < 25.0, "{found}");
    }

    #[test]
    fn noise_rest_and_a_short_look_say_nothing() {
        let mut seed = 1_u64;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f64
        };
        assert_eq!(slope((0..60).map(|n| (n * 5, noise()))).per_second(), None);
        assert_eq!(slope((0..60).map(|n| (n * 5, 7.0))).per_second(), None);
        assert_eq!(slope((0..4).map(|n| (n * 60, n as f64))).per_second(), None, "too few");
        assert_eq!(slope((0..10).map(|n| (n, n as f64))).per_second(), None, "too short");
        assert_eq!(slope((0..10).map(|_| (5, 1.0))).per_second(), None);
    }

    #[test]
    fn it_forgets_what_lies_outside_its_window_and_keeps_the_whole_of_it() {
        // Ten minutes of rise, then fall: after the window only the fall is left.
        let points = (0..1200).map(|n: u64| (n, if n < 600 { n as f64 } else { 1200.0 - n as f64 }));
        let slope = slope(points);
        assert_eq!(slope.per_second().map(f64::round), Some(-1.0));
        assert!(slope.points.len() <= POINTS_MAX && slope.points.len() > POINTS_MAX / 2, "{}", slope.points.len());
        let (first, last) = (slope.points[0].0, slope.points.back().unwrap().0);
        assert!(last - first > 550.0 && last == 1199.0, "{first} {last}");
    }
}

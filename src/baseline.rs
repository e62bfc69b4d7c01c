//! What is usual: the median of the last values and the median of their distances from it (MAD). Both stand still while up
//! to half of the values are wild, which a mean and a standard deviation do not. Pure; whoever uses it decides what it may
//! learn from.

use std::collections::VecDeque;

/// The last values of one measurement.
#[derive(Debug, Clone)]
pub struct Baseline {
    values: VecDeque<f64>,
    least: usize,
    most: usize,
}

/// The middle of what was learned, and how far from it values usually lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    /// The median.
    pub middle: f64,
    /// The median of the distances from it. About two thirds of a standard deviation where values are normal.
    pub spread: f64,
}

impl Baseline {
    /// One that says what is usual from `least` values on and remembers the last `most`.
    pub fn new(least: usize, most: usize) -> Self {
        let least = least.max(1);
        Baseline { values: VecDeque::new(), least, most: most.max(least) }
    }

    /// Takes a value in. One that is no number teaches nothing.
    pub fn learn(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if self.values.len() == self.most {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    /// How many values it has, and how many it needs before it says anything.
    pub fn learned(&self) -> (usize, usize) {
        (self.values.len(), self.least)
    }

    /// What is usual; nothing while there are too few values to say.
    pub fn usual(&self) -> Option<Usual> {
        if self.values.len() < self.least {
            return None;
        }
        let middle = median(self.values.iter().copied())?;
        let spread = median(self.values.iter().map(|value| (value - middle).abs()))?;
        Some(Usual { middle, spread })
    }
}

impl Usual {
    /// Whether a value lies above the middle by more than `times` the spread, and by more than `floor`: where values hardly
    /// differ, the smallest step is many spreads wide and still nothing.
    pub fn is_above(&self, value: f64, times: f64, floor: f64) -> bool {
        value - self.middle > (times * self.spread).max(floor)
    }

    /// The same on the other side.
    pub fn is_below(&self, value: f64, times: f64, floor: f64) -> bool {
        self.middle - value > (times * self.spread).max(floor)
    }
}

/// The value in the middle, or between the two there; nothing where there is no value, or one that is no number.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    if values.iter().any(|value| value.is_nan()) {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(low + (high - low) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_needs_numbers() {
        for (values, middle) in [
            (&[][..], None),
            (&[3.0], Some(3.0)),
            (&[4.0, 1.0], Some(2.5)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[1.0, f64::NAN], None),
        ] {
            assert_eq!(median(values.iter().copied()), middle, "{values:?}");
        }
    }

    #[test]
    fn it_says_nothing_before_it_has_learned_enough_and_forgets_what_is_old() {
        let mut baseline = Baseline::new(3, 4);
        for value in [100.0, f64::NAN, f64::INFINITY, 100.0] {
            baseline.learn(value);
            assert_eq!(baseline.usual(), None);
        }
        assert_eq!(baseline.learned(), (2, 3));
        baseline.learn(130.0);
        assert_eq!(baseline.usual(), Some(Usual { middle: 100.0, spread: 0.0 }));
        [10.0, 20.0, 30.0, 40.0].into_iter().for_each(|value| baseline.learn(value));
        assert_eq!(baseline.usual(), Some(Usual { middle: 25.0, spread: 10.0 }));
        assert_eq!(baseline.learned(), (4, 3));
    }

    #[test]
    fn wild_values_do_not_move_it_and_small_steps_are_nothing() {
        let mut baseline = Baseline::new(5, 100);
        (0..60).for_each(|n| baseline.learn(120.0 + f64::from(n % 7) * 5.0)); // 120 to 150
        let calm = baseline.usual().unwrap();
        (0..25).for_each(|_| baseline.learn(1e9));
        let usual = baseline.usual().unwrap();
        assert!((usual.middle - calm.middle).abs() <= 10.0 && usual.spread <= 20.0, "{calm:?} {usual:?}");
        assert!(usual.is_above(480.0, 3.0, 50.0) && !usual.is_above(160.0, 3.0, 50.0));
        assert!(usual.is_below(-480.0, 3.0, 50.0) && !usual.is_below(110.0, 3.0, 50.0));
        // One and two milliseconds: many spreads, yet below what anybody notices.
        let still = Usual { middle: 1.0, spread: 0.01 };
        assert!(still.is_above(2.0, 3.0, 0.0) && !still.is_above(2.0, 3.0, 50.0));
        assert!(!still.is_above(f64::NAN, 3.0, 0.0));
    }
}

//! How far a session is behind what its plan expects of its steps (`expected`). Pure; says nothing where the plan says nothing.

use super::Session;
use super::steps::StepState;
use crate::clock::{At, human};
use crate::plan::Step;
use std::time::Duration;

/// Time over what was expected, or under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drift {
    /// In milliseconds; below 0 it went faster.
    pub ms: i64,
}

impl Drift {
    /// What something took against what it was expected to take.
    pub fn between(took: Duration, expected: Duration) -> Drift {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Drift { ms: ms(took).saturating_sub(ms(expected)) }
    }
    /// Whether it is behind by as much as people count in.
    pub fn is_behind(self) -> bool {
        self.ms >= 1000
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = human(Duration::from_millis(self.ms.unsigned_abs()));
        match self.ms {
            -999..=999 => f.write_str("on time"),
            1000.. => write!(f, "{time} behind"),
            _ => write!(f, "{time} ahead"),
        }
    }
}

/// The drift of one step's latest run; while it runs it is never ahead, because nobody knows yet.
pub fn of_step(step: &Step, state: &StepState, at: At) -> Option<Drift> {
    let (expected, run) = (step.expected?, state.run.as_ref()?);
    let drift = Drift::between(run.finished.unwrap_or(at).since(run.intended), expected);
    match run.finished {
        Some(_) => Some(drift),
        None => Some(Drift { ms: drift.ms.max(0) }),
    }
}

impl Session {
    /// The sum over all steps that ran and of which the plan says how long they should take; none before the first.
    pub fn drift(&self, at: At) -> Option<Drift> {
        let of = |step: &Step| of_step(step, self.steps.get(&step.id)?, at);
        let steps = self.plan.steps.iter().filter_map(of);
        steps.reduce(|sum, drift| Drift { ms: sum.ms.saturating_add(drift.ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_is_told_in_whole_seconds() {
        let of = |took: u64, expected: u64| {
            Drift::between(Duration::from_millis(took), Duration::from_millis(expected)).to_string()
        };
        assert_eq!(of(60_000, 60_000), "on time");
        assert_eq!(of(60_999, 60_000), "on time");
        assert_eq!(of(190_000, 60_000), format!("{} behind", human(Duration::from_secs(130))));
        assert_eq!(of(20_000, 60_000), format!("{} ahead", human(Duration::from_secs(40))));
        assert!(Drift { ms: 1000 }.is_behind() && !Drift { ms: 999 }.is_behind() && !Drift { ms: -5000 }.is_behind());
    }
}

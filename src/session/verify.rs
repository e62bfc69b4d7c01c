//! Whether a release made something worse: what its watches said before a run, held against what they say after it. Pure;
//! the samples are the readings in the transcript, so whoever folds it comes to the same verdict.
//!
//! A status counts first (a watch knows its own limits). Where it stayed the same and the plan or the kind says which way is
//! worse, numbers are compared: the median after the run against the median before it. A shift counts where it exceeds three
//! times the usual spread before the run (1.4826 × the median absolute deviation, which is the standard deviation of a normal
//! distribution), a tenth of the median, and 5 ms where it is a time: Hampel's rule with floors, because a quiet service has no spread.
//! What was not read, before or after, cannot be told, and *cannot tell* is for people: it never counts as well.

use super::Session;
use super::kept::{Sampled, Verifying};
use crate::baseline::{Baseline, median};
use crate::clock::At;
use crate::event::{Compared, Event, Part, Side, Status, Verdict};
use crate::name::WatchId;
use crate::plan::{Step, Worse};
use std::collections::BTreeMap;
use std::time::Duration;

/// Numbers older than this say nothing about "just before".
const BEFORE: Duration = Duration::from_secs(600);
/// Fewer numbers make no median worth comparing.
const BEFORE_MIN: usize = 5;
const AFTER_MIN: usize = 3;
/// A shift of so many spreads counts. The spread is the median distance from the median; 1.4826 of it are the standard
/// deviation of a normal distribution, and three of those are what nobody sees by chance.
const SPREADS: f64 = 3.0 * 1.4826;
/// Shifts below this are nobody's business, in milliseconds.
const FLOOR_MS: f64 = 5.0;

/// The most readings of one watch that are kept while a run is verified; the newest ones count.
const SAMPLES: usize = 600;

impl Sampled {
    pub(super) fn push(&mut self, status: Status, value: Option<f64>, unit: &str) {
        if self.statuses.len() >= SAMPLES {
            self.statuses.remove(0);
        }
        self.statuses.push(status);
        if let Some(value) = value {
            if self.values.len() >= SAMPLES {
                self.values.remove(0);
            }
            self.values.push(value);
            self.unit = unit.to_owned();
        }
    }

    /// The status that counts: the worst of the later half, so that the moment of the change itself is forgiven.
    fn counts(&self) -> Option<Status> {
        self.statuses[self.statuses.len() / 2..].iter().copied().max()
    }
}

/// What a step's watches say now, those of its rollback included; taken when its run is intended.
pub(super) fn before(session: &Session, step: &Step, at: At) -> BTreeMap<WatchId, Sampled> {
    let sampled = |id: &WatchId| {
        let state = session.watches.get(id);
        let unit = state.and_then(|state| state.reading.as_ref()).map(|reading| reading.unit.clone());
        let history = state.into_iter().flat_map(|state| &state.history);
        let values = history.filter(|(taken, _)| at.since(*taken) <= BEFORE).map(|(_, value)| *value).collect();
        Sampled { statuses: vec![session.status(id, at)], values, unit: unit.unwrap_or_default() }
    };
    let verified = Part::ALL.into_iter().filter_map(|part| step.verify_of(part)).flat_map(|verify| &verify.watches);
    verified.map(|watched| (watched.watch.clone(), sampled(&watched.watch))).collect()
}

/// The start of verifying a run that just ended well, where the plan asks for it.
pub(super) fn start(step: &Step, at: At, attempt: u32, part: Part, anew: bool) -> Option<Event> {
    let verify = step.verify_of(part)?;
    Some(Event::VerifyStarted { step: step.id.clone(), attempt, part, until: at.after(verify.time), anew })
}

/// What is due at that time on the run that is being verified: its start, where a crash cut that off, or its verdict.
pub(super) fn due(session: &Session, at: At) -> Option<Event> {
    let (step, state) = session.verifying_step()?;
    let part = state.phase.part();
    let verifying = state.run_of(part)?.verify.as_ref()?;
    let Some((_, until)) = verifying.span else {
        return start(step, at, state.attempt, part, true);
    };
    let compared: Vec<Compared> = step
        .verify_of(part)
        .into_iter()
        .flat_map(|verify| &verify.watches)
        .map(|watched| {
            let kind = session.plan.watch(&watched.watch).map(|watch| &watch.kind);
            let worse = watched.worse.or_else(|| kind.and_then(|kind| kind.worse())).unwrap_or(Worse::Status);
            let mut compared = compare(&watched.watch, state.before.get(&watched.watch), verifying, worse);
            // Read well at first, and not any more.
            if compared.verdict != Verdict::Worse && session.status(&watched.watch, at) == Status::Unknown {
                (compared.verdict, compared.why) = (Verdict::CannotTell, session.why(&watched.watch, at));
            }
            compared
        })
        .collect();
    // What has failed twice running will not be waited for: the sooner it is undone, the less it costs.
    let fails = |compared: &Compared| {
        let after = verifying.after.get(&compared.watch).map_or(&[][..], |sampled| &sampled.statuses);
        compared.verdict == Verdict::Worse && after.ends_with(&[Status::Fail, Status::Fail])
    };
    if at < until && !compared.iter().any(fails) {
        return None;
    }
    let verdict = overall(&compared, verifying.anew);
    Some(Event::VerifyEnded { step: step.id.clone(), attempt: state.attempt, part, verdict, compared })
}

/// The worst of all counts; what cannot be told outranks what is well.
fn overall(compared: &[Compared], anew: bool) -> Verdict {
    let any = |wanted| compared.iter().any(|compared| compared.verdict == wanted);
    match () {
        () if any(Verdict::Worse) => Verdict::Worse,
        () if anew || compared.is_empty() || any(Verdict::CannotTell) => Verdict::CannotTell,
        () if any(Verdict::Better) => Verdict::Better,
        () => Verdict::Same,
    }
}

fn compare(watch: &WatchId, before: Option<&Sampled>, verifying: &Verifying, worse: Worse) -> Compared {
    let nothing = Sampled::default();
    let before = before.unwrap_or(&nothing);
    let after = verifying.after.get(watch).unwrap_or(&nothing);
    let (was, is) = (before.counts().unwrap_or(Status::Unknown), after.counts().unwrap_or(Status::Unknown));
    let side = |status: Status, sampled: &Sampled| Side {
        status,
        value: middle(&sampled.values),
        samples: sampled.values.len(),
    };
    let (verdict, why) = match (was, is) {
        _ if after.statuses.is_empty() => (Verdict::CannotTell, "not read since the run".to_owned()),
        (_, Status::Unknown) => (Verdict::CannotTell, "unknown after the run".to_owned()),
        (Status::Unknown, _) => (Verdict::CannotTell, "unknown before the run".to_owned()),
        (was, is) if is > was => (Verdict::Worse, format!("{} before, {} after", was.word(), is.word())),
        (was, is) if is < was => (Verdict::Better, format!("{} before, {} after", was.word(), is.word())),
        (_, is) => numbers(before, after, worse).unwrap_or_else(|| (Verdict::Same, format!("{} as before", is.word()))),
    };
    Compared {
        watch: watch.clone(),
        before: side(was, before),
        after: side(is, after),
        unit: after.unit.clone(),
        verdict,
        why,
    }
}

/// The verdict of the numbers, where there are enough of them and they can be worse.
fn numbers(before: &Sampled, after: &Sampled, worse: Worse) -> Option<(Verdict, String)> {
    if worse == Worse::Status {
        return None;
    }
    if before.values.len() < BEFORE_MIN || after.values.len() < AFTER_MIN || before.unit != after.unit {
        return None;
    }
    let mut usual = Baseline::new(BEFORE_MIN, SAMPLES);
    before.values.iter().for_each(|value| usual.learn(*value));
    let (usual, is) = (usual.usual()?, middle(&after.values)?);
    let floor = if after.unit == "ms" { FLOOR_MS } else { 0.0 }.max(usual.middle.abs() / 10.0);
    let (more, less) = (usual.is_above(is, SPREADS, floor), usual.is_below(is, SPREADS, floor));
    let unit = if after.unit.is_empty() { String::new() } else { format!(" {}", after.unit) };
    let words = format!("{is:.0}{unit}, {:.0}{unit} before", usual.middle);
    match (more, less, worse) {
        (true, _, Worse::Up) | (_, true, Worse::Down) => Some((Verdict::Worse, words)),
        (true, _, _) | (_, true, _) => Some((Verdict::Better, words)),
        _ => Some((Verdict::Same, words)),
    }
}

fn middle(values: &[f64]) -> Option<f64> {
    median(values.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(statuses: &[Status], values: &[f64]) -> Sampled {
        Sampled { statuses: statuses.to_vec(), values: values.to_vec(), unit: "ms".into() }
    }

    fn verdict(before: Sampled, after: Sampled) -> (Verdict, String) {
        let id = WatchId::new("web").unwrap();
        let verifying = Verifying { after: BTreeMap::from([(id.clone(), after)]), span: None, anew: false };
        let compared = compare(&id, Some(&before), &verifying, Worse::Up);
        (compared.verdict, compared.why)
    }

    #[test]
    fn a_status_counts_before_numbers_and_the_moment_of_the_change_is_forgiven() {
        use Status::{Fail, Ok, Unknown, Warn};
        let calm = [100.0, 102.0, 98.0, 101.0, 99.0];
        for (before, after, wanted) in [
            (Ok, vec![Ok; 4], Verdict::Same),
            (Ok, vec![Fail, Fail, Ok, Ok], Verdict::Same),
            (Ok, vec![Ok, Ok, Warn, Ok], Verdict::Worse),
            (Ok, vec![Ok, Ok, Ok, Fail], Verdict::Worse),
            (Warn, vec![Ok; 4], Verdict::Better),
            (Fail, vec![Fail; 4], Verdict::Same),
            (Ok, vec![Ok, Ok, Unknown, Ok], Verdict::CannotTell),
            (Unknown, vec![Ok; 4], Verdict::CannotTell),
            (Unknown, vec![Fail; 4], Verdict::CannotTell),
            (Ok, vec![], Verdict::CannotTell),
        ] {
            let found = verdict(sampled(&[before], &calm), sampled(&after, &calm[..3]));
            assert_eq!(found.0, wanted, "{before:?} {after:?}: {}", found.1);
        }
    }

    #[test]
    fn numbers_are_worse_beyond_their_usual_spread_and_never_for_a_trifle() {
        let ok = [Status::Ok; 3];
        for (before, after, wanted) in [
            (vec![100.0, 102.0, 98.0, 101.0, 99.0], vec![120.0, 121.0, 119.0], Verdict::Worse),
            (vec![100.0, 102.0, 98.0, 101.0, 99.0], vec![109.0, 109.0, 109.0], Verdict::Same),
            (vec![100.0, 102.0, 98.0, 101.0, 99.0], vec![60.0, 61.0, 60.0], Verdict::Better),
            // A service that always swings: the same shift says nothing.
            (vec![100.0, 180.0, 40.0, 150.0, 60.0], vec![130.0, 131.0, 129.0], Verdict::Same),
            // No spread at all, and milliseconds that nobody feels.
            (vec![1.0; 5], vec![4.0; 3], Verdict::Same),
            // Too few to say anything.
            (vec![100.0; 4], vec![900.0; 3], Verdict::Same),
        ] {
            let found = verdict(sampled(&[Status::Ok], &before), sampled(&ok, &after));
            assert_eq!(found.0, wanted, "{before:?} {after:?}: {}", found.1);
        }
    }

    #[test]
    fn what_cannot_be_told_never_counts_as_well() {
        let of = |verdict| Compared {
            watch: WatchId::new("w").unwrap(),
            before: Side { status: Status::Ok, value: None, samples: 0 },
            after: Side { status: Status::Ok, value: None, samples: 0 },
            unit: String::new(),
            verdict,
            why: String::new(),
        };
        use Verdict::{Better, CannotTell, Same, Worse};
        for (all, anew, wanted) in [
            (vec![Same, Better], false, Better),
            (vec![Same, CannotTell, Better], false, CannotTell),
            (vec![CannotTell, Worse], false, Worse),
            (vec![Same, Better], true, CannotTell),
            (vec![Worse], true, Worse),
            (vec![], false, CannotTell),
        ] {
            let compared: Vec<_> = all.iter().map(|verdict| of(*verdict)).collect();
            assert_eq!(overall(&compared, anew), wanted, "{all:?} {anew}");
        }
    }
}

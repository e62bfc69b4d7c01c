//! What takes two people, beside cross-checks.

use super::super::evidence::Evidence;
use super::ensure;
use crate::event::{Event, Part, Settled, Verdict};
use crate::transcript::record::Line;

/// That a step which ended badly is done all the same the lead and one more person say, of the very run that ended; of what
/// was undone nobody does.
pub(super) fn invariant_06_done_by_two(e: &Evidence, index: usize, line: &Line) -> Result<(), String> {
    let Event::Acknowledged { step, attempt, outcome: Settled::Done, agreed, .. } = &line.event else { return Ok(()) };
    let agreed = agreed.as_ref().ok_or_else(|| format!("{step} was settled as done by {} alone", line.by))?;
    let lead = e.lead(index);
    ensure((line.by == lead) != (*agreed == lead), || {
        format!("{step} was settled as done by {agreed} and {}", line.by)
    })?;
    let half = |line: &Line| matches!(&line.event, Event::SettleAgreed { step: s, attempt: a, .. } if s == step && a == attempt && line.by == *agreed);
    let said = e.last(index, half).ok_or_else(|| format!("{agreed} never said that {step} is done"))?;
    let undone = e.of(index, "RollbackIntended", step, *attempt);
    ensure(undone.is_none_or(|undone| undone < said), || {
        format!("{step} was undone after {agreed} said that it is done")
    })?;
    let held = e.last(index, |line| match &line.event {
        Event::RollbackEnded { step: s, attempt: a, end } => {
            let verified = e.step(s).ok().and_then(|step| step.verify_of(Part::Rollback)).is_some();
            s == step && a == attempt && end.is_success() && !verified
        }
        Event::VerifyEnded { step: s, attempt: a, part: Part::Rollback, verdict, .. } => {
            s == step && a == attempt && matches!(verdict, Verdict::Better | Verdict::Same)
        }
        _ => false,
    });
    ensure(held.is_none(), || format!("{step} was undone, and settled as done"))
}

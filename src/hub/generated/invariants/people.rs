//! What takes two people, beside cross-checks.

use super::super::evidence::Evidence;
use super::ensure;
use crate::event::{Event, Exits, Part, Settled, Verdict};
use crate::name::Principal;
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
            s == step && a == attempt && Exits::default().count(end).is_done() && !verified
        }
        Event::VerifyEnded { step: s, attempt: a, part: Part::Rollback, verdict, .. } => {
            s == step && a == attempt && matches!(verdict, Verdict::Better | Verdict::Same)
        }
        _ => false,
    });
    ensure(held.is_none(), || format!("{step} was undone, and settled as done"))
}

/// Somebody is let in with another key, one that had knocked, by two of the crew with two keys, neither of whom they are. What
/// the lost key said yes to is not armed any more.
pub(super) fn let_in_by_two(e: &Evidence, index: usize, line: &Line) -> Result<(), String> {
    let Event::Readmitted { principal, was, key, agreed, .. } = &line.event else { return Ok(()) };
    let two = [agreed, &line.by];
    let crew = |who: &&Principal| e.plan.crew().contains(who);
    ensure(two.iter().all(crew) && agreed != &line.by && !two.contains(&principal), || {
        format!("{principal} was let in by {agreed} and {}", line.by)
    })?;
    ensure(e.key(index, agreed) != e.key(index, &line.by), || format!("{principal} was let in with one key"))?;
    ensure(e.key(index, principal) == Some(was), || format!("{was} is not the key of {principal}"))?;
    let said = |line: &Line| matches!(&line.event, Event::ReadmitAgreed { principal: p, key: k, .. } if p == principal && k == key && line.by == *agreed);
    ensure(e.last(index, said).is_some(), || format!("{agreed} never said that {principal} is let in"))?;
    let knocked =
        |line: &Line| matches!(&line.event, Event::KeyRefused { principal: p, key: k } if p == principal && k == key);
    ensure(e.last(index, knocked).is_some(), || format!("{key} never knocked"))
}

/// Nothing is armed behind a step that is settled as not done. In the place of one that was skipped stand those before it.
pub(super) fn invariant_06_behind_what_is_done(e: &Evidence, index: usize, line: &Line) -> Result<(), String> {
    let Event::StepArmed { step, .. } = &line.event else { return Ok(()) };
    let mut ahead: Vec<_> = e.plan.step(step).map_or_else(Vec::new, |step| step.after.clone());
    while let Some(before) = ahead.pop() {
        let undo = e.plan.step(&before).and_then(|before| before.rollback.as_ref());
        if undo.is_some_and(|undo| undo.contain.contains(step)) {
            continue; // it is what is wanted once that one was undone
        }
        let last = e.last(index, |line| {
            let says =
                matches!(line.event, Event::Acknowledged { .. } | Event::StepSkipped { .. } | Event::StepArmed { .. });
            says && line.event.step() == Some(&before)
        });
        match last.map(|last| &e.lines[last].event) {
            Some(Event::Acknowledged { outcome: Settled::Failed, .. }) => {
                return Err(format!("{step} was armed behind {before}, which is settled as not done"));
            }
            Some(Event::StepSkipped { .. }) => {
                ahead.extend(e.plan.step(&before).into_iter().flat_map(|step| step.after.clone()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The lead changes hands by two people with two names: the old lead and the next one; or, where the old one was gone for the
/// plan's time, the next one and one more of the crew, with two keys, neither of which is that of the one who was gone.
pub(super) fn lead_by_two(e: &Evidence, index: usize, line: &Line) -> Result<(), String> {
    let Event::LeadHandedOver { from, to, agreed } = &line.event else { return Ok(()) };
    ensure(*from == e.lead(index), || format!("{from} did not lead"))?;
    let half = |line: &Line| matches!(&line.event, Event::HandoverAgreed { to: other } if other == to);
    let said = e.last(index, half).ok_or_else(|| format!("nobody agreed that {to} shall lead"))?;
    let one = &e.lines[said].by;
    let two = [one, &line.by];
    let Some(agreed) = agreed else {
        let both = two.contains(&from) && two.contains(&to) && from != to;
        return ensure(both, || format!("{one} and {} handed the lead from {from} to {to}", line.by));
    };
    ensure(agreed == one && *one != line.by, || format!("{agreed} said nothing of {to}"))?;
    ensure(two.contains(&to) && !two.contains(&from), || format!("{one} and {} took the lead for {to}", line.by))?;
    let key = |who: &Principal| e.key(index, who).map(str::to_owned);
    let keys = [key(one), key(&line.by), key(from)];
    let same = |a: usize, b: usize| keys[a].is_some() && keys[a] == keys[b];
    ensure(!same(0, 1) && !same(0, 2) && !same(1, 2), || format!("{to} took the lead with one key: {keys:?}"))?;
    let crew = &e.plan.crew;
    let crewed = |who: &&Principal| {
        crew.lead.contains(who) || crew.shadow.contains(who) || crew.seats.iter().any(|seat| seat.who.contains(who))
    };
    ensure(two.iter().all(crewed), || format!("{two:?} are not of the crew"))?;
    // Since when nobody of that name was connected.
    let (mut here, mut gone) = (std::collections::BTreeSet::new(), e.lines[0].at);
    for line in &e.lines[..index] {
        match &line.event {
            Event::Joined { principal, connection, .. } if principal == from => {
                here.insert(*connection);
            }
            Event::Left { principal, connection, .. } if principal == from => {
                here.remove(connection);
                gone = line.at;
            }
            Event::Recovered { .. } if !here.is_empty() => {
                here.clear();
                gone = line.at;
            }
            _ => {}
        }
    }
    ensure(here.is_empty() && line.at.since(gone) >= e.plan.lead_grace, || {
        format!("{to} took the lead from {from}, who was there until {gone}, at {}", line.at)
    })
}

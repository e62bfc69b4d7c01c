//! The twelfth: what a hub may do, and has to, that took a session up again.

use super::super::evidence::{Evidence, Kind, New, attempt_of};
use super::{ensure, intent};
use crate::event::{Event, Exits, Part, RunEnd, Settled, WaitEnd};
use crate::plan::Occasion;
use crate::transcript::record::Line;

/// After `Recovered` nothing is open and nothing is live any more: open attempts are voided, runs without an end are
/// unknown. No process comes from an intent of an earlier life, and while one may still be alive nothing is settled or armed.
/// Nobody outside is told of what is not on disk, nothing counts as told twice, and no restart forgets what is due.
pub fn invariant_12_recovery(e: &Evidence, new: &New) -> Result<(), String> {
    told_outside(e, new)?;
    for output in e.outputs[new.outputs.clone()].iter().filter(|output| output.kind == Kind::Recover && !output.cut) {
        let end = output.lines.end;
        let open = e.open_before(end).map(|(step, ..)| step);
        ensure(open.is_none(), || format!("{open:?} is open after a restart"))?;
        let intents = e.lines[..end].iter().enumerate();
        for (at, line) in intents
            .filter(|(_, line)| matches!(line.event.kind(), "RunIntended" | "BatchIntended" | "RollbackIntended"))
        {
            let (Some(step), Some(attempt)) = (line.event.step(), attempt_of(&line.event)) else { continue };
            let ends: &[_] = match line.event.kind() {
                "RunIntended" | "BatchIntended" => &["RunEnded", "DoneByHand", "WaitStarted", "OutcomeUnknown"],
                _ => &["RollbackEnded", "OutcomeUnknown"],
            };
            let over = ends.iter().any(|kind| e.of(end, kind, step, attempt).is_some_and(|over| over > at));
            ensure(over, || format!("{step} attempt {attempt} was intended in an earlier life and is not unknown"))?;
        }
    }
    for spawn in &e.spawns[new.spawns.clone()] {
        ensure(e.step(&spawn.step)?.runs().is_some(), || {
            format!("{} runs nothing, and a process came of it", spawn.step)
        })?;
    }
    let life = |index: usize| e.outputs.iter().find(|output| output.lines.contains(&index)).map(|output| output.life);
    for spawn in &e.spawns[new.spawns.clone()] {
        let intent = intent(e, e.lines.len(), spawn);
        let of = intent.and_then(life);
        ensure(of.is_none_or(|of| of == spawn.life), || {
            format!("{} was spawned in life {} from an intent of life {of:?}", spawn.step, spawn.life)
        })?;
    }
    for (index, line) in e.new_lines(new) {
        if let Event::RunIntended { step, attempt } = &line.event {
            let requested = e.of(index, "RunRequested", step, *attempt).and_then(life);
            ensure(requested == life(index), || format!("{step} was intended from a request of another life"))?;
        }
        // Of a command on another machine only its own exit is known.
        if let Event::RunEnded { step, end, .. } = &line.event {
            let own = matches!(end, RunEnd::Exited { code: 0..=254 } | RunEnd::NotStarted { .. });
            ensure(own || e.step(step)?.command().is_none_or(|command| command.on.is_none()), || {
                format!("{step} is told to have ended: {end}")
            })?;
        }
        // A probe belongs to a step that has to be judged, and to this life of the hub.
        if let Event::ProbeEnded { step, attempt, .. } = &line.event {
            let asked = e.of(index, "ProbeIntended", step, *attempt);
            ensure(asked.and_then(life) == life(index), || format!("the probe of {step} ended in another life"))?;
        }
        // No hub moves an anchor, a new one included, but after a planned purge that ended well.
        if let Event::AnchorTaken { watch, .. } = &line.event {
            let of = |line: &Line| matches!(&line.event, Event::AnchorTaken { watch: w, .. } if w == watch);
            let purged = |line: &Line| match &line.event {
                Event::RunEnded { step, end, .. } if Exits::default().count(end).is_done() => {
                    e.step(step).is_ok_and(|step| !step.expects_loss.is_empty() && step.until().is_none())
                }
                Event::WaitEnded { step, end: WaitEnd::Met, .. } => {
                    e.step(step).is_ok_and(|step| !step.expects_loss.is_empty())
                }
                Event::Acknowledged { step, outcome: Settled::Done, .. } => {
                    e.step(step).is_ok_and(|step| !step.expects_loss.is_empty())
                }
                _ => false,
            };
            let moved = e.last(index, of).is_none_or(|before| e.last(index, purged).is_some_and(|at| at > before));
            ensure(moved, || format!("the anchor of {watch} moved, and nothing was purged"))?;
        }
        if matches!(line.event, Event::StepArmed { .. } | Event::Acknowledged { .. } | Event::RollbackIntended { .. }) {
            let lost = e.last(index, |line| matches!(line.event, Event::OutcomeUnknown { still_running: true, .. }));
            if let Some(lost) = lost {
                let (Some(step), Some(attempt)) = (e.lines[lost].event.step(), attempt_of(&e.lines[lost].event)) else {
                    continue;
                };
                let gone = e.of(index, "ProcessGone", step, attempt).is_some_and(|gone| gone > lost);
                ensure(gone, || format!("{} while the process of {step} may be alive", line.event.kind()))?;
            }
        }
    }
    Ok(())
}

fn told_outside(e: &Evidence, new: &New) -> Result<(), String> {
    let of = |event: &Event| match event {
        Event::Notified { notify, of, .. } => Some((*notify, vec![*of])),
        Event::NotifyFailed { notify, of, .. } => Some((*notify, of.clone())),
        _ => None,
    };
    let over = |before: usize, place: u32, seq: u64| {
        let lines = e.lines[..before].iter().filter_map(|line| of(&line.event));
        lines.filter(|(notify, of)| *notify == place && of.contains(&seq)).count()
    };
    for (index, line) in e.new_lines(new) {
        for (place, seq) in
            of(&line.event).into_iter().flat_map(|(place, of)| of.into_iter().map(move |of| (place, of)))
        {
            ensure(seq < line.seq, || {
                format!("place {place} was told of line {seq}, which line {} precedes", line.seq)
            })?;
            ensure(over(index, place, seq) == 0, || format!("place {place} was told of line {seq} twice"))?;
        }
        // Kinds that are an occasion whatever came before them.
        if !matches!(line.event, Event::Recovered { .. }) {
            continue;
        }
        for (place, notify) in (1..).zip(&e.plan.notify) {
            for due in e.lines[..index].iter().filter(|line| match &line.event {
                Event::Recovered { .. } => notify.on.contains(&Occasion::Recovered),
                Event::RunStarted { part: Part::Step, .. } => notify.on.contains(&Occasion::Running),
                Event::RollbackIntended { .. } => notify.on.contains(&Occasion::RollingBack),
                Event::OutcomeUnknown { .. } => notify.on.contains(&Occasion::Unknown),
                _ => false,
            }) {
                let known = e.owed.contains(&(place, due.seq)) || over(index, place, due.seq) > 0;
                ensure(known, || format!("line {} was to be told to place {place}, and is forgotten", due.seq))?;
            }
        }
    }
    Ok(())
}

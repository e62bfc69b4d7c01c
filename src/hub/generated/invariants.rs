//! The twelve invariants of ARCHITECTURE.md, each computed from [`Evidence`] alone and checked after every batch.

mod people;
mod recovery;

use super::evidence::{Evidence, Kind, New, Spawn, attempt_of};
use crate::event::{Cause, Event, Exits, Part, RunEnd, Status, Verdict, WaitEnd};
use crate::hash::Hash;
use crate::name::{Principal, StepId, is_hidden};
use crate::plan::{Gate, Input, Plan};
use crate::transcript::record::Line;
use std::collections::{BTreeMap, BTreeSet};

type Check = fn(&Evidence, &New) -> Result<(), String>;

/// All of them, by number.
pub const ALL: [(u8, &str, Check); 12] = [
    (1, "no critical command starts without its quorum, nor before the poll is go", invariant_01_quorum),
    (2, "what starts is byte for byte what was cross-checked", invariant_02_same_bytes),
    (3, "a cross-check is spent once; a gate's turn voids", invariant_03_spent_once),
    (4, "gates are read again between run and intent", invariant_04_gates_again),
    (5, "the intent is durable before the process exists", invariant_05_intent_first),
    (6, "no step runs twice from one clearance", invariant_06_runs_once),
    (7, "nothing is intended while the andon is pulled", invariant_07_andon),
    (8, "numbers are gapless, the chain holds, clients are equal", invariant_08_one_log),
    (9, "an old reading is unknown, and unknown is never ok", invariant_09_stale_is_unknown),
    (10, "no text acts on another terminal", invariant_10_harmless_text),
    (11, "leaving changes presence only", invariant_11_presence_only),
    (12, "recovery repeats nothing and guesses nothing", recovery::invariant_12_recovery),
];

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Each `RunIntended` stands on checks of enough people with different names and different keys, all of them shadows,
/// none of them (nor their key) the lead who armed it or leads now. And nothing critical is armed, cleared, requested or
/// intended while the poll is not go.
pub fn invariant_01_quorum(e: &Evidence, new: &New) -> Result<(), String> {
    for (index, line) in e.new_lines(new) {
        if let ("StepArmed" | "CrossChecked" | "StepCleared" | "RunRequested" | "RunIntended", Some(step)) =
            (line.event.kind(), line.event.step())
            && e.step(step)?.checks > 0
            && let Some(why) = e.no_go(index)
        {
            return Err(format!("{} of {step} though the poll was not go: {why}", line.event.kind()));
        }
        let Event::RunIntended { step, attempt } = &line.event else { continue };
        let armed = e.armed(index, step, *attempt)?;
        let (mut people, mut keys) = (BTreeSet::<&Principal>::new(), BTreeSet::new());
        let leads = [&e.lines[armed].by, &e.lead(index)];
        for later in &e.lines[armed..index] {
            match &later.event {
                Event::CrossChecked { step: s, attempt: a, key, .. } if s == step && a == attempt => {
                    let who = &later.by;
                    ensure(!leads.contains(&who), || format!("{who} leads {step} and checked it"))?;
                    ensure(e.plan.crew.shadow.contains(who), || format!("{who} is no shadow and checked {step}"))?;
                    let of_lead = leads.iter().any(|lead| e.key(index, lead) == Some(key));
                    ensure(!of_lead, || format!("{who} checked {step} with the key of its lead"))?;
                    people.insert(who);
                    keys.insert(key);
                }
                Event::Withdrawn { step: s, .. } if s == step => {
                    people.remove(&later.by);
                }
                Event::Objected { step: s, .. } if s == step => {
                    return Err(format!("{} objected to {step}, and it was intended all the same", later.by));
                }
                _ => {}
            }
        }
        if e.glass(index, step, *attempt) {
            continue; // nobody stands for it but the lead, as the plan allows, and as everyone was told
        }
        invariant_01_read_back(e, index, (step, *attempt, armed), &people)?;
        for gate in &e.step(step)?.gates {
            if let Some((given, _)) = e.waived(index, step, *attempt, &gate.watch) {
                let by = &e.lines[given].by;
                let others = people.iter().any(|who| *who != by);
                ensure(people.is_empty() || others, || format!("{by} waived {} and is all who checked", gate.watch))?;
            }
        }
        let wanted = e.wanted(armed, step)? as usize;
        ensure(people.len() >= wanted && keys.len() >= people.len(), || {
            format!("{step} needs {wanted} checks and was intended with {people:?}, keys {keys:?}")
        })?;
    }
    Ok(())
}

/// Who clears a step has read back its fields between them before each checked, and none of them was wrong three times.
fn invariant_01_read_back(
    e: &Evidence,
    index: usize,
    (step, attempt, armed): (&StepId, u32, usize),
    people: &BTreeSet<&Principal>,
) -> Result<(), String> {
    let fields: BTreeSet<&String> = e.step(step)?.readback.iter().collect();
    let (mut typed, mut wrong) = (BTreeSet::<(&Principal, &String)>::new(), BTreeMap::<&Principal, u32>::new());
    for line in &e.lines[armed..index] {
        match &line.event {
            Event::ReadBack { step: s, attempt: a, field, right } if s == step && *a == attempt => match right {
                true => _ = typed.insert((&line.by, field)),
                false => *wrong.entry(&line.by).or_default() += 1,
            },
            Event::CrossChecked { step: s, .. } if s == step && !fields.is_empty() => {
                let read = typed.iter().any(|(who, _)| **who == line.by);
                ensure(read, || format!("{} checked {step} and had read back nothing", line.by))?;
                ensure(wrong.get(&line.by).is_none_or(|times| *times < 3), || format!("{} was wrong thrice", line.by))?;
            }
            _ => {}
        }
    }
    let all: BTreeSet<&String> =
        typed.iter().filter(|(who, _)| people.contains(who)).map(|(_, field)| *field).collect();
    ensure(people.is_empty() || all.is_superset(&fields), || format!("{step}: {all:?} of {fields:?} were read back"))
}

/// In a rehearsal nothing runs but a `rehearse` of the plan, as it stands in the first line's text, and what only prints.
fn invariant_02_rehearsed(e: &Evidence, new: &New) -> Result<(), String> {
    let Some(Event::SessionOpened { rehearsal: Some(_), plan, .. }) = e.lines.first().map(|line| &line.event) else {
        return Ok(());
    };
    let spawns = &e.spawns[new.spawns.clone()];
    let plan = if spawns.is_empty() { return Ok(()) } else { Plan::parse("plan", plan) };
    let plan = plan.map_err(|error| error.to_string())?;
    let own: BTreeSet<String> = plan
        .steps
        .iter()
        .flat_map(|step| {
            [
                step.runs().and_then(|runs| runs.rehearse.as_ref()),
                step.rollback.as_ref().and_then(|undo| undo.rehearse.as_ref()),
            ]
        })
        .flatten()
        .filter_map(|command| command.run.text().split(' ').next().map(str::to_owned))
        .collect();
    for spawn in spawns {
        let ran = spawn.ran.command_of(spawn.part).ok_or("it ran what was not frozen")?;
        let printed = ran.argv.first().is_some_and(|word| word == "printf");
        let rehearsed = ran.argv.iter().any(|word| own.contains(word)) && !printed;
        let first = ran.argv.join(" ");
        ensure(printed || rehearsed, || format!("a rehearsal of {} ran what is live: {first}", spawn.step))?;
    }
    Ok(())
}

/// Each process is what the line of its `StepArmed` says, whose text hashes to the digest that was checked.
pub fn invariant_02_same_bytes(e: &Evidence, new: &New) -> Result<(), String> {
    for (index, line) in e.new_lines(new) {
        let Event::CrossChecked { step, attempt, digest, .. } = &line.event else { continue };
        let armed = e.armed(index, step, *attempt)?;
        // The object's text is cut out of the durable bytes: from the key to the two braces that close event and line.
        let text = std::str::from_utf8(&e.bytes[armed]).map_err(|error| error.to_string())?;
        let from = text.find("\"covers\":").ok_or("StepArmed without covers")? + "\"covers\":".len();
        let stands = Hash::of(&text.as_bytes()[from..text.len() - "}}}\n".len()]);
        ensure(stands == *digest, || format!("{step}: {} was checked, {} is armed", digest.short(), stands.short()))?;
        if let Some(asked) = e.granted.get(&line.seq) {
            ensure(asked == digest, || {
                format!("{step}: a check of {} counts as one of {}", asked.short(), digest.short())
            })?;
        }
    }
    invariant_02_rehearsed(e, new)?;
    for spawn in &e.spawns[new.spawns.clone()] {
        let armed = e.armed(e.lines.len(), &spawn.step, spawn.attempt)?;
        let Event::StepArmed { covers, .. } = &e.lines[armed].event else { continue };
        let (mut checked, mut ran) = (covers.covers().clone(), spawn.ran.clone());
        (checked.gates, ran.gates) = (vec![], vec![]);
        if spawn.part == Part::Rollback {
            let (checked, ran) = (checked.rollback, ran.rollback);
            ensure(checked.is_some() && checked == ran, || {
                format!("the rollback of {} was armed as {checked:?} and ran as {ran:?}", spawn.step)
            })?;
            continue;
        }
        ensure(checked == ran, || format!("{} was armed as {checked:?} and ran as {ran:?}", spawn.step))?;
        ensure(ran.plan == Hash::of(e.plan.text.as_bytes()), || "another plan".into())?;
    }
    Ok(())
}

/// Attempts count up by one; checks stand in an open attempt; a gate that turns to a status that is not allowed voids what
/// is open at once, and nothing whose gate ever was so is intended; a gate that is allowed voids nothing.
pub fn invariant_03_spent_once(e: &Evidence, new: &New) -> Result<(), String> {
    for (index, line) in e.new_lines(new) {
        match &line.event {
            Event::StepArmed { step, attempt, .. } => {
                let before =
                    e.lines[..index].iter().filter(|l| l.event.kind() == "StepArmed" && l.event.step() == Some(step));
                let before = before.count();
                ensure(*attempt as usize == before + 1, || format!("{step} was armed {before} times, now {attempt}"))?;
                ensure(e.open_before(index).is_none(), || "two steps are armed at once".into())?;
            }
            Event::CrossChecked { step, attempt, .. } => {
                ensure(e.open_before(index).is_some_and(|(s, a, _)| s == step && a == *attempt), || {
                    format!("a check of {step} attempt {attempt}, which is not open")
                })?
            }
            Event::StepVoided { step, cause: Cause::Gate { watch, .. }, attempt } => {
                let gate = e.step(step)?.gates.iter().find(|gate| gate.watch == *watch).ok_or("no gate of its")?;
                // One that came too late counts as unknown, and whoever excused that did not excuse what it says.
                let said = e.lines[..index].iter().rev().find_map(|line| match &line.event {
                    Event::ReadingTaken { watch: w, reading, .. } if w == watch => Some(reading.status),
                    _ => None,
                });
                let passes = |status| e.step(step).is_ok_and(|step| e.passes(index, (step, *attempt), gate, status));
                let fresh = passes(e.reads(index, watch, line.at)) && said.is_none_or(passes);
                let requested = e.of(index, "RunRequested", step, *attempt);
                ensure(!fresh || requested.is_some(), || format!("{watch} is as it must be, and yet voids {step}"))?;
            }
            Event::RunIntended { step, attempt } => {
                let armed = e.armed(index, step, *attempt)?;
                for later in &e.lines[armed..index] {
                    let turn = match &later.event {
                        Event::ReadingTaken { watch, reading, .. } => Some((watch, reading.status)),
                        Event::GateTurned { watch, to, .. } => Some((watch, *to)),
                        _ => None,
                    };
                    let Some((watch, status)) = turn else { continue };
                    let planned = e.step(step)?;
                    let stands = |g: &Gate| e.passes(index, (planned, *attempt), g, status);
                    let bad = planned.gates.iter().any(|g| g.watch == *watch && !stands(g));
                    ensure(!bad, || format!("{watch} was {status:?} since {step} was armed, and it was intended"))?;
                }
            }
            _ => {}
        }
    }
    for output in e.outputs[new.outputs.clone()].iter().filter(|output| !output.cut && !output.lines.is_empty()) {
        let turned = output.lines.clone().any(|i| matches!(e.lines[i].event, Event::GateTurned { .. }));
        if let Some((step, attempt, _)) = e.open_before(output.lines.end).filter(|_| turned) {
            let bad = e.bad_gates(output.lines.end, e.step(step)?, attempt, e.lines[output.lines.end - 1].at);
            ensure(bad.is_empty(), || format!("{step} is still armed, though {bad:?}"))?;
        }
    }
    Ok(())
}

/// Between `RunRequested` and `RunIntended` stands for each gate a reading that began after the request, and each gate
/// holds at the intent.
pub fn invariant_04_gates_again(e: &Evidence, new: &New) -> Result<(), String> {
    for (index, line) in e.new_lines(new) {
        let Event::RunIntended { step, attempt } = &line.event else { continue };
        let requested = e.of(index, "RunRequested", step, *attempt).ok_or("intended without a request")?;
        let since = e.lines[requested].at;
        for gate in &e.step(step)?.gates {
            let anew = e.lines[requested..index].iter().any(|line| {
                matches!(&line.event, Event::ReadingTaken { watch, began, .. } if *watch == gate.watch && *began >= since)
            });
            ensure(anew, || format!("{} was not read again before {step} was intended", gate.watch))?;
        }
        let bad = e.bad_gates(index, e.step(step)?, *attempt, line.at);
        ensure(bad.is_empty(), || format!("{step} was intended, though {bad:?}"))?;
    }
    Ok(())
}

/// Whenever a process came to be, the `RunIntended` of its attempt was among the durable lines.
pub fn invariant_05_intent_first(e: &Evidence, new: &New) -> Result<(), String> {
    for spawn in &e.spawns[new.spawns.clone()] {
        let durable = spawn.durable.min(e.lines.len());
        let intent = intent(e, durable, spawn);
        ensure(intent.is_some(), || format!("{} attempt {} runs without a durable intent", spawn.step, spawn.attempt))?;
    }
    Ok(())
}

/// The kinds that say a command of that part was intended, the later one first.
fn intents_of(part: Part) -> &'static [&'static str] {
    match part {
        Part::Step => &["BatchIntended", "RunIntended"],
        Part::Rollback => &["RollbackIntended"],
        Part::Preview => &["StepArmed"],
        Part::Probe => &["ProbeIntended"],
    }
}

fn intent(e: &Evidence, before: usize, spawn: &Spawn) -> Option<usize> {
    intents_of(spawn.part).iter().find_map(|kind| e.of(before, kind, &spawn.step, spawn.attempt))
}

/// A step is left out by the lead and one shadow, who both said so, and nothing happens to it any more.
fn invariant_06_skipped_by_two(e: &Evidence, index: usize, line: &Line) -> Result<(), String> {
    if let Event::StepSkipped { step, agreed, .. } = &line.event {
        let lead = e.lead(index);
        let shadow = |who: &Principal| *who != lead && e.plan.crew.shadow.contains(who);
        let two = (line.by == lead && shadow(agreed)) || (*agreed == lead && shadow(&line.by));
        ensure(two, || format!("{step} was skipped by {agreed} and {}, and {lead} leads", line.by))?;
        let half =
            |line: &Line| matches!(&line.event, Event::SkipAgreed { step: s, .. } if s == step && line.by == *agreed);
        ensure(e.last(index, half).is_some(), || format!("{agreed} never agreed to skip {step}"))?;
    } else if let Some(step) = line.event.step() {
        let skipped = e.last(index, |line| matches!(&line.event, Event::StepSkipped { step: s, .. } if s == step));
        ensure(skipped.is_none(), || format!("{} of {step}, which was skipped", line.event.kind()))?;
    }
    Ok(())
}

/// One clearance: at most one request, one intent, one process; and each of them after a clearance that was not voided. A
/// rollback follows a run of its attempt that ended badly and nobody has settled, one process for each intent; the plan
/// starts it by itself once, after an exit code or a turn to the worse, never after a restart.
pub fn invariant_06_runs_once(e: &Evidence, new: &New) -> Result<(), String> {
    for (index, line) in e.new_lines(new) {
        invariant_06_skipped_by_two(e, index, line)?;
        people::invariant_06_done_by_two(e, index, line)?;
        people::lead_by_two(e, index, line)?;
        people::let_in_by_two(e, index, line)?;
        people::invariant_06_behind_what_is_done(e, index, line)?;
        if let Event::RollbackIntended { step, attempt, automatic, .. } = &line.event {
            rolls_back_rightly(e, index, step, *attempt, *automatic)?;
        }
        if let Event::BatchIntended { step, attempt, batch } = &line.event {
            goes_on_rightly(e, index, step, *attempt, *batch)?;
        }
        let of_step = matches!(line.event, Event::RunStarted { part: Part::Step, .. });
        if !of_step && !matches!(line.event, Event::RunRequested { .. } | Event::RunIntended { .. }) {
            continue;
        }
        let (Some(step), Some(attempt)) = (line.event.step(), attempt_of(&line.event)) else { continue };
        let same = |other: &&Line| {
            let rollback = matches!(other.event, Event::RunStarted { part: Part::Rollback, .. });
            other.event.kind() == line.event.kind() && !rollback && about(other) == about(line)
        };
        let times = e.lines[..=index].iter().filter(same).count();
        let most = if of_step { 1 + e.count(index, "BatchIntended", step, attempt) } else { 1 };
        ensure(times <= most, || format!("{} of {step} attempt {attempt} stands {times} times", line.event.kind()))?;
        let cleared = e.of(index, "StepCleared", step, attempt).is_some();
        let voided = e.of(index, "StepVoided", step, attempt).is_some();
        ensure(cleared && !voided, || format!("{} of {step}: cleared {cleared}, voided {voided}", line.event.kind()))?;
    }
    for spawn in &e.spawns[new.spawns.clone()] {
        let same = |s: &&Spawn| (&s.step, s.attempt, s.part) == (&spawn.step, spawn.attempt, spawn.part);
        let times = e.spawns.iter().filter(same).count();
        let count = |kind: &&str| e.count(e.lines.len(), kind, &spawn.step, spawn.attempt);
        let most = match spawn.part {
            Part::Step => 1 + e.count(e.lines.len(), "BatchIntended", &spawn.step, spawn.attempt),
            part => intents_of(part).iter().map(count).sum(),
        };
        ensure(times <= most, || format!("{} attempt {} was spawned {times} times", spawn.step, spawn.attempt))?;
    }
    Ok(())
}

/// A batch follows the one before it, which left things well, in the same life of the hub; and there are lines for it.
fn goes_on_rightly(e: &Evidence, index: usize, step: &StepId, attempt: u32, batch: u32) -> Result<(), String> {
    let begun = 1 + e.count(index, "BatchIntended", step, attempt);
    ensure(batch as usize == begun + 1, || format!("batch {batch} of {step} comes after {begun}"))?;
    let Event::StepArmed { covers, .. } = &e.lines[e.armed(index, step, attempt)?].event else { return Ok(()) };
    let lines = covers.covers().each.as_ref().map_or(0..0, |each| each.batch(batch));
    ensure(!lines.is_empty(), || format!("batch {batch} of {step} has no lines"))?;
    let well = e.of(index, "VerifyEnded", step, attempt).filter(|at| {
        let verdict = match &e.lines[*at].event {
            Event::VerifyEnded { verdict, part: Part::Step, .. } => Some(*verdict),
            _ => None,
        };
        let ended = e.of(index, "RunEnded", step, attempt).is_some_and(|ended| ended < *at);
        let since = e.lines[*at..index].iter().any(|line| matches!(line.event, Event::Recovered { .. }));
        ended && !since && matches!(verdict, Some(Verdict::Better | Verdict::Same))
    });
    ensure(well.is_some(), || format!("batch {batch} of {step} begins, and the one before did not end well"))?;
    let ended = e.of(index, "RunEnded", step, attempt).ok_or_else(|| format!("no batch of {step} ended"))?;
    let asked = |line: &Line| matches!(&line.event, Event::RunInterrupted { step: s, .. } if s == step);
    let began = e.of(ended, "RunStarted", step, attempt).unwrap_or(ended);
    ensure(!e.lines[began..index].iter().any(asked), || format!("batch {batch} of {step} begins after an interrupt"))?;
    for gate in e.step(step)?.gates.iter().filter(|gate| e.waived(index, step, attempt, &gate.watch).is_none()) {
        let read = e.lines[ended..index].iter().any(|line| {
            matches!(&line.event, Event::ReadingTaken { watch, began, .. }
                if *watch == gate.watch && *began >= e.lines[ended].at)
        });
        let holds = e.passes(index, (e.step(step)?, attempt), gate, e.reads(index, &gate.watch, e.lines[index].at));
        ensure(read && holds, || format!("batch {batch} of {step} begins, and {} was not read since", gate.watch))?;
    }
    Ok(())
}

fn about(line: &Line) -> (Option<&StepId>, Option<u32>) {
    (line.event.step(), attempt_of(&line.event))
}

fn rolls_back_rightly(e: &Evidence, index: usize, step: &StepId, attempt: u32, automatic: bool) -> Result<(), String> {
    let intent = e.of(index, "RunIntended", step, attempt).ok_or_else(|| format!("{step} is undone and never ran"))?;
    let since = &e.lines[intent..index];
    let settled = since.iter().any(|line| matches!(line.event, Event::Acknowledged { .. }));
    ensure(!settled && e.step(step)?.rollback.is_some(), || format!("{step} is undone once it is settled"))?;
    let last = since.iter().rfind(|line| {
        let kind = line.event.kind();
        matches!(
            kind,
            "RunEnded"
                | "BatchIntended"
                | "BatchesEnded"
                | "WaitEnded"
                | "VerifyEnded"
                | "RollbackEnded"
                | "OutcomeUnknown"
                | "RollbackIntended"
        )
    });
    let ended_badly = match last.map(|line| &line.event) {
        Some(Event::RunEnded { end, .. } | Event::RollbackEnded { end, .. }) => !Exits::default().count(end).is_done(),
        Some(Event::VerifyEnded { verdict, .. }) => !matches!(verdict, Verdict::Better | Verdict::Same),
        Some(Event::WaitEnded { end, .. }) => *end != WaitEnd::Met,
        Some(Event::OutcomeUnknown { .. } | Event::BatchesEnded { .. }) => true,
        _ => false,
    };
    ensure(ended_badly, || format!("{step} is undone after {last:?}"))?;
    if !automatic {
        return Ok(());
    }
    let away = since.iter().any(|line| matches!(line.event, Event::Recovered { .. } | Event::RollbackIntended { .. }));
    let called_for = match last.map(|line| &line.event) {
        Some(Event::RunEnded { end: RunEnd::Exited { code }, .. }) => *code != 0,
        Some(Event::VerifyEnded { verdict, part: Part::Step, .. }) => *verdict == Verdict::Worse,
        _ => false,
    };
    let asked = e.step(step)?.rollback.as_ref().is_some_and(|rollback| rollback.automatic);
    ensure(called_for && asked && !away, || format!("{step} is undone by itself after {last:?}"))
}

/// No `RunIntended` (nor a check, a clearance, a request) while the line is stopped by the rule of release; and lines say
/// that it is free exactly when the rule does.
pub fn invariant_07_andon(e: &Evidence, new: &New) -> Result<(), String> {
    for (index, line) in e.new_lines(new) {
        match &line.event {
            Event::RunIntended { .. }
            | Event::BatchIntended { .. }
            | Event::RunRequested { .. }
            | Event::StepCleared { .. }
            | Event::StepArmed { .. } => {
                ensure(e.pulled(index).is_none(), || format!("{} while the andon is pulled", line.event.kind()))?;
                // Arming, and going on once the glass is broken, is what a lead may do then whom the plan lets.
                let (step, attempt) = (line.event.step(), attempt_of(&line.event));
                let glass = match &line.event {
                    Event::StepArmed { .. } => e.plan.break_glass.contains(&line.by),
                    _ => step.zip(attempt).is_some_and(|(step, attempt)| e.glass(index, step, attempt)),
                };
                ensure(glass || !e.held(index), || format!("{} while the line is held", line.event.kind()))?;
            }
            Event::RollbackIntended { automatic: true, .. } => {
                ensure(e.pulled(index).is_none(), || "undone by itself while the andon is pulled".into())?;
            }
            Event::AndonReleased { freed, .. } => {
                let pulled = e.pulled(index + 1);
                ensure(*freed == pulled.is_none(), || format!("released, freed {freed}, but by the rule: {pulled:?}"))?;
            }
            _ => {}
        }
    }
    for output in e.outputs[new.outputs.clone()].iter().filter(|output| !output.cut) {
        let stops = |i: &usize| matches!(e.lines[*i].event, Event::AndonPulled { .. } | Event::LineHeld { .. });
        let Some(stopped) = output.lines.clone().rfind(stops) else { continue };
        let pulled = e.pulled(output.lines.end).is_some();
        // Under the hub's own hold a lead who may break the glass goes on, and may arm anew.
        let open = e.open_before(output.lines.end).filter(|(step, attempt, armed)| {
            pulled || (*armed < stopped && !e.glass(output.lines.end, step, *attempt))
        });
        ensure(open.is_none(), || "something is armed past an andon".into())?;
    }
    Ok(())
}

/// Numbers without gaps, each line linked to the bytes of the one before, time never backwards, and whoever stands at
/// the same number holds the same session.
pub fn invariant_08_one_log(e: &Evidence, new: &New) -> Result<(), String> {
    for (index, line) in e.new_lines(new) {
        ensure(line.seq == index as u64 + 1, || format!("line {} says it is line {}", index + 1, line.seq))?;
        let (prev, at) = match index {
            0 => (Hash::ZERO, line.at),
            _ => (Hash::of(&e.bytes[index - 1]), e.lines[index - 1].at),
        };
        ensure(line.prev == prev, || format!("line {} does not link to the one before", line.seq))?;
        ensure(line.at >= at, || format!("time runs backwards at line {}", line.seq))?;
    }
    e.unequal.first().map_or(Ok(()), |what| Err(what.clone()))
}

/// Nothing is armed, checked, cleared, requested or intended on a gate whose reading is missing or too old; and people
/// were told so by the time anything else is written.
pub fn invariant_09_stale_is_unknown(e: &Evidence, new: &New) -> Result<(), String> {
    for (index, line) in e.new_lines(new) {
        let kind = line.event.kind();
        let acts = ["StepArmed", "CrossChecked", "StepCleared", "RunRequested", "RunIntended", "BatchIntended"];
        if let Some(step) = line.event.step().filter(|_| acts.contains(&kind)) {
            let step = e.step(step)?;
            let attempt = attempt_of(&line.event).unwrap_or(0);
            let waived = |gate: &&Gate| e.passes(index, (step, attempt), gate, Status::Unknown);
            let unknown =
                step.gates.iter().find(|gate| e.reads(index, &gate.watch, line.at) == Status::Unknown && !waived(gate));
            ensure(unknown.is_none(), || format!("{kind} of {}, though {unknown:?} is unknown", step.id))?;
        }
        if let Event::VerifyEnded { step, attempt, part, verdict: Verdict::Better | Verdict::Same, .. } = &line.event {
            // From where on it is verified: the end of the wait where there was one, else of the run.
            let run = match part.is_step() {
                true => e.of(index, "WaitEnded", step, *attempt).or_else(|| e.of(index, "RunEnded", step, *attempt)),
                false => e.of(index, "RollbackEnded", step, *attempt),
            };
            let since = &e.lines[run.ok_or_else(|| format!("{step} was verified and never ended"))?..index];
            let away = since.iter().any(|line| matches!(line.event, Event::Recovered { .. }));
            ensure(!away, || format!("{step} is well though the hub was away"))?;
            for watched in e.step(step)?.verify_of(*part).into_iter().flat_map(|verify| &verify.watches) {
                let read = since
                    .iter()
                    .any(|line| matches!(&line.event, Event::ReadingTaken { watch, .. } if *watch == watched.watch));
                let known = e.reads(index, &watched.watch, line.at) != Status::Unknown;
                ensure(read && known, || format!("{step} is well though {} is not known", watched.watch))?;
            }
        }
        if let Event::WaitEnded { step, attempt, end: WaitEnd::Met, .. } = &line.event {
            let began = e.of(index, "WaitStarted", step, *attempt).ok_or_else(|| format!("{step} never waited"))?;
            let watch = &e.step(step)?.until().ok_or_else(|| format!("{step} has nothing to wait for"))?.watch;
            let anew = e.lines[began..index].iter().any(|line| {
                matches!(&line.event, Event::ReadingTaken { watch: w, reading, began: b, .. }
                    if w == watch && *b >= e.lines[began].at && reading.status == Status::Ok)
            });
            let known = e.reads(index, watch, line.at) == Status::Ok;
            ensure(anew && known, || format!("{step} waits no longer, though {watch} was not read ok since"))?;
        }
        // The way back that people are told of is the first whose watch reads ok or warn at that moment.
        if let Event::RecoveryTurned { to, .. } = &line.event {
            let stands = |watch| matches!(e.reads(index, watch, line.at), Status::Ok | Status::Warn);
            let best = e.plan.recovery.iter().find(|recovery| stands(&recovery.watch)).map(|recovery| &recovery.name);
            ensure(best == to.as_ref(), || format!("told to go back by {to:?}, and what stands is {best:?}"))?;
        }
    }
    for output in e.outputs[new.outputs.clone()].iter().filter(|output| !output.cut && !output.lines.is_empty()) {
        let at = e.lines[output.lines.end - 1].at;
        for watch in &e.plan.watches {
            let told = e.lines[..output.lines.end].iter().rev().find_map(|line| match &line.event {
                Event::GateTurned { watch: w, to, .. } if *w == watch.id => Some(*to),
                _ => None,
            });
            let reads = e.reads(output.lines.end, &watch.id, at);
            ensure(told.unwrap_or(Status::Unknown) == reads || output.kind == Kind::Open, || {
                format!("{} is {reads:?} at line {}, and people were told {told:?}", watch.id, output.lines.end)
            })?;
        }
    }
    Ok(())
}

/// (What is typed to a step that takes only hidden text is in no line.) No line and no sentence holds a character that a terminal obeys or that turns text around.
pub fn invariant_10_harmless_text(e: &Evidence, new: &New) -> Result<(), String> {
    let bidi =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    for index in new.lines.clone() {
        let text = std::str::from_utf8(&e.bytes[index]).map_err(|error| error.to_string())?;
        let text = text.strip_suffix('\n').ok_or("a line without LF")?;
        if let Event::InputWritten { step, text, .. } = &e.lines[index].event {
            let input = e.step(step)?.command().map_or(Input::None, |command| command.input);
            ensure(input != Input::None, || format!("{step} takes no input"))?;
            ensure(input == Input::Lead || text.is_none(), || {
                format!("{step}: what was hidden is in line {}", index + 1)
            })?;
        }
        let bad = text.chars().find(|c| c.is_control() || bidi(*c));
        ensure(bad.is_none(), || format!("line {} holds {bad:?}", index + 1))?;
    }
    for told in &e.told[new.told.clone()] {
        let bad = told.chars().find(|c| is_hidden(*c));
        ensure(bad.is_none(), || format!("{told:?} holds {bad:?}"))?;
    }
    Ok(())
}

/// Joining, leaving and looking lead to one line about exactly that and change nothing else; the line is held only where
/// shadows have been missing for the plan's grace.
pub fn invariant_11_presence_only(e: &Evidence, new: &New) -> Result<(), String> {
    for output in &e.outputs[new.outputs.clone()] {
        let wanted = match output.kind {
            Kind::Join => "Joined",
            Kind::Leave => "Left",
            Kind::Attend => "AttentionChanged",
            _ => continue,
        };
        let other =
            output.lines.clone().map(|i| e.lines[i].event.kind()).find(|kind| *kind != wanted && *kind != "Refused");
        ensure(other.is_none(), || format!("{:?} led to {other:?}", output.kind))?;
        ensure(output.besides.is_none(), || {
            format!("{:?} changed more than presence: {:?}", output.kind, output.besides)
        })?;
    }
    for (index, line) in e.new_lines(new) {
        if !matches!(line.event, Event::LineHeld { .. } | Event::LineFreed { .. }) {
            continue;
        }
        let since = short_since(e, index).map(|since| line.at.since(since));
        match &line.event {
            Event::LineHeld { .. } => ensure(since.is_some_and(|since| since >= e.plan.shadow_grace), || {
                format!("held, though shadows have been missing for {since:?}")
            })?,
            _ => ensure(since.is_none(), || format!("freed, though shadows have been missing for {since:?}"))?,
        }
    }
    Ok(())
}

/// Since when fewer shadows are here than the next critical step needs, just before that index.
fn short_since(e: &Evidence, before: usize) -> Option<crate::clock::At> {
    let mut since = None;
    let waits = |step: &crate::name::StepId| e.plan.step(step).is_some_and(|step| step.until().is_some());
    let verified = |step: &crate::name::StepId| e.plan.step(step).is_some_and(|step| step.verify().is_some());
    for index in 1..=before {
        let here = e.heard(index);
        let lead = e.lead(index);
        let done = |step: &crate::name::StepId| {
            let last = e.last(index, |line| {
                line.event.step() == Some(step)
                    && matches!(
                        line.event,
                        Event::RunEnded { .. }
                            | Event::DoneByHand { .. }
                            | Event::WaitEnded { .. }
                            | Event::VerifyStarted { .. }
                            | Event::VerifyEnded { .. }
                            | Event::RollbackIntended { .. }
                            | Event::Acknowledged { .. }
                            | Event::StepArmed { .. }
                            | Event::StepSkipped { .. }
                    )
            });
            last.is_some_and(|last| match &e.lines[last].event {
                Event::RunEnded { end, .. } => Exits::default().count(end).is_done() && !waits(step) && !verified(step),
                Event::DoneByHand { .. } => !waits(step) && !verified(step),
                Event::WaitEnded { end, .. } => *end == WaitEnd::Met && !verified(step),
                Event::VerifyEnded { verdict, part: Part::Step, attempt, .. } => {
                    matches!(verdict, Verdict::Better | Verdict::Same) && !e.has_more(index, step, *attempt)
                }
                Event::Acknowledged { outcome, .. } => *outcome == crate::event::Settled::Done,
                Event::StepSkipped { .. } => true,
                _ => false,
            })
        };
        let needed = e.plan.steps.iter().find(|step| step.checks > 0 && !done(&step.id)).map_or(0, |step| step.checks);
        let able = here.iter().filter(|who| **who != lead && e.plan.crew.shadow.contains(who)).count();
        match able < needed as usize {
            true => since = since.or(Some(e.lines[index - 1].at)),
            false => since = None,
        }
    }
    since
}

/// Everything that is broken, by number.
pub fn check(e: &Evidence, new: &New) -> Vec<(u8, String)> {
    ALL.iter()
        .filter_map(|(number, name, check)| check(e, new).err().map(|what| (*number, format!("{name}: {what}"))))
        .collect()
}

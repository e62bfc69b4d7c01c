//! What an invariant may look at: the durable lines as an outsider reads them, and what the virtual hub did in the world
//! (spawned, said, published). Nothing here asks `session` what it thinks.

use crate::clock::At;
use crate::event::{Covers, Event, Status};
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId};
use crate::plan::{Plan, Step};
use crate::session::step_of;
use crate::transcript::record::Line;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What kind of input led to some lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Open,
    Ask,
    Join,
    Leave,
    Attend,
    Tick,
    Fact,
    Recover,
}

/// The lines of one input, by index.
#[derive(Debug, Clone)]
pub struct Output {
    pub lines: Range<usize>,
    pub kind: Kind,
    /// A crash kept only the first of them.
    pub cut: bool,
    /// Which life of the hub.
    pub life: u32,
    /// What changed in the session besides presence, where the kind is about presence.
    pub besides: Option<String>,
}

/// A process that came to be.
#[derive(Debug, Clone)]
pub struct Spawn {
    pub step: StepId,
    pub attempt: u32,
    /// What really ran.
    pub ran: Covers,
    /// How many lines were durable at that moment.
    pub durable: usize,
    pub life: u32,
}

/// Everything an invariant may look at.
#[derive(Debug)]
pub struct Evidence {
    pub plan: Arc<Plan>,
    /// The durable bytes, line by line.
    pub bytes: Vec<bytes::Bytes>,
    /// The same, read.
    pub lines: Vec<Line>,
    pub outputs: Vec<Output>,
    pub spawns: Vec<Spawn>,
    /// Digests that granted checks asked for, by the number of the `CrossChecked` line.
    pub granted: BTreeMap<u64, Hash>,
    /// Sentences that some terminal shows as they are: story and refusals.
    pub told: Vec<String>,
    /// Differences between clients (and the hub) that stand at the same number.
    pub unequal: Vec<String>,
}

/// What came since the last check.
#[derive(Debug, Clone)]
pub struct New {
    pub lines: Range<usize>,
    pub outputs: Range<usize>,
    pub spawns: Range<usize>,
    pub told: Range<usize>,
}

impl Evidence {
    /// New lines with their index.
    pub fn new_lines<'a>(&'a self, new: &New) -> impl Iterator<Item = (usize, &'a Line)> {
        new.lines.clone().map(|index| (index, &self.lines[index]))
    }
    pub fn step(&self, id: &StepId) -> Result<&Step, String> {
        self.plan.step(id).ok_or_else(|| format!("the plan has no step {id}"))
    }
    /// Index of the last line before `before` that satisfies it.
    pub fn last(&self, before: usize, wanted: impl Fn(&Line) -> bool) -> Option<usize> {
        self.lines[..before].iter().rposition(wanted)
    }
    /// Index of the `StepArmed` of that attempt.
    pub fn armed(&self, before: usize, step: &StepId, attempt: u32) -> Result<usize, String> {
        self.last(
            before,
            |line| matches!(&line.event, Event::StepArmed { step: s, attempt: a, .. } if s == step && *a == attempt),
        )
        .ok_or_else(|| format!("{step} attempt {attempt} was never armed"))
    }
    /// Index of the last line of that kind about that attempt.
    pub fn of(&self, before: usize, kind: &str, step: &StepId, attempt: u32) -> Option<usize> {
        self.last(before, |line| {
            line.event.kind() == kind && step_of(&line.event) == Some(step) && attempt_of(&line.event) == Some(attempt)
        })
    }
    pub fn count(&self, before: usize, kind: &str, step: &StepId, attempt: u32) -> usize {
        let is = |line: &&Line| {
            line.event.kind() == kind && step_of(&line.event) == Some(step) && attempt_of(&line.event) == Some(attempt)
        };
        self.lines[..before].iter().filter(is).count()
    }
    /// What is armed and neither voided nor intended just before that index.
    pub fn open_before(&self, before: usize) -> Option<(&StepId, u32, usize)> {
        let index = self.last(before, |line| matches!(line.event, Event::StepArmed { .. }))?;
        let Event::StepArmed { step, attempt, .. } = &self.lines[index].event else { return None };
        let over = self.lines[index..before].iter().any(|line| {
            matches!(&line.event, Event::StepVoided { step: s, attempt: a, .. } | Event::RunIntended { step: s, attempt: a }
                if s == step && a == attempt)
        });
        (!over).then_some((step, *attempt, index))
    }
    /// Who leads just before that index.
    pub fn lead(&self, before: usize) -> Principal {
        self.lines[..before]
            .iter()
            .rev()
            .find_map(|line| match &line.event {
                Event::LeadHandedOver { to, .. } => Some(to.clone()),
                _ => None,
            })
            .unwrap_or_else(|| self.plan.crew.lead[0].clone())
    }
    /// The key a principal is bound to.
    pub fn key(&self, before: usize, who: &Principal) -> Option<&str> {
        self.lines[..before].iter().find_map(|line| match &line.event {
            Event::Joined { principal, key, .. } if principal == who => Some(key.as_str()),
            _ => None,
        })
    }
    /// Open connections just before that index, and since when everyone else who ever came has been gone.
    pub fn presence(&self, before: usize) -> (BTreeMap<Principal, BTreeSet<u64>>, BTreeMap<Principal, At>) {
        let (mut here, mut gone) = (BTreeMap::<Principal, BTreeSet<u64>>::new(), BTreeMap::new());
        for line in &self.lines[..before] {
            match &line.event {
                Event::Joined { principal, connection, .. } => {
                    here.entry(principal.clone()).or_default().insert(*connection);
                    gone.remove(principal);
                }
                Event::Left { principal, connection, .. } => {
                    let open = here.entry(principal.clone()).or_default();
                    open.remove(connection);
                    if open.is_empty() {
                        here.remove(principal);
                        gone.entry(principal.clone()).or_insert(line.at);
                    }
                }
                Event::Recovered { .. } => {
                    for principal in std::mem::take(&mut here).into_keys() {
                        gone.insert(principal, line.at);
                    }
                }
                _ => {}
            }
        }
        (here, gone)
    }
    /// A gate's status by its latest reading before that index, at that time: unknown without one or once it is too old.
    pub fn reads(&self, before: usize, watch: &WatchId, at: At) -> Status {
        let limit = self.plan.watch(watch).map_or(Duration::ZERO, |watch| watch.stale_after);
        let latest = self.lines[..before].iter().rev().find_map(|line| match &line.event {
            Event::ReadingTaken { watch: w, reading, began, .. } if w == watch => Some((reading.status, *began)),
            _ => None,
        });
        match latest {
            Some((status, began)) if at.micros() - began.micros() <= micros(limit) => status,
            _ => Status::Unknown,
        }
    }
    /// Gates of that step that do not hold just before that index at that time.
    pub fn bad_gates(&self, before: usize, step: &Step, at: At) -> Vec<String> {
        let gates = step.gates.iter().map(|gate| (gate, self.reads(before, &gate.watch, at)));
        gates
            .filter(|(gate, status)| !allowed(gate.allow_warn, *status))
            .map(|(g, s)| format!("{} is {s:?}", g.watch))
            .collect()
    }
    /// Whether the andon is pulled just before that index; judged by the rule of release, not by what lines say of it.
    pub fn pulled(&self, before: usize) -> Option<Pull> {
        let mut pull: Option<Pull> = None;
        for (index, line) in self.lines[..before].iter().enumerate() {
            match &line.event {
                Event::AndonPulled { .. } => {
                    let pull = pull.get_or_insert_with(Pull::default);
                    pull.by.insert(line.by.clone());
                    pull.released.clear();
                }
                Event::AndonReleased { .. } => {
                    let Some(now) = &mut pull else { continue };
                    now.released.insert(line.by.clone());
                    if self.released_enough(index, line.at, now) {
                        pull = None;
                    }
                }
                _ => {}
            }
        }
        pull
    }
    /// DESIGN 5.7: every puller and the lead; the lead and any shadow where that would be one person, or the pullers
    /// have been gone for two minutes.
    fn released_enough(&self, before: usize, at: At, pull: &Pull) -> bool {
        let lead = self.lead(before);
        let (here, gone) = self.presence(before);
        let long_gone = |who: &Principal| {
            !here.contains_key(who) && gone.get(who).is_some_and(|gone| at.since(*gone) >= Duration::from_secs(120))
        };
        let owed: Vec<_> = pull.by.iter().filter(|who| **who != lead && !long_gone(who)).collect();
        let shadow = pull.released.iter().any(|who| *who != lead && self.plan.crew.shadow.contains(who));
        pull.released.contains(&lead)
            && pull.released.len() >= 2
            && if owed.is_empty() { shadow } else { owed.iter().all(|who| pull.released.contains(*who)) }
    }
    /// Why the hub holds the line just before that index.
    pub fn held(&self, before: usize) -> bool {
        let last = self.last(before, |line| matches!(line.event, Event::LineHeld { .. } | Event::LineFreed { .. }));
        last.is_some_and(|index| matches!(self.lines[index].event, Event::LineHeld { .. }))
    }
}

/// Who pulled the andon, and who agreed to go on since.
#[derive(Debug, Clone, Default)]
pub struct Pull {
    pub by: BTreeSet<Principal>,
    pub released: BTreeSet<Principal>,
}

/// Whether a gate passes on that status.
pub fn allowed(allow_warn: bool, status: Status) -> bool {
    status == Status::Ok || (allow_warn && status == Status::Warn)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// The attempt an event is about.
pub fn attempt_of(event: &Event) -> Option<u32> {
    match event {
        Event::StepArmed { attempt, .. }
        | Event::CheckOpened { attempt, .. }
        | Event::CrossChecked { attempt, .. }
        | Event::Objected { attempt, .. }
        | Event::Withdrawn { attempt, .. }
        | Event::StepVoided { attempt, .. }
        | Event::StepCleared { attempt, .. }
        | Event::RunRequested { attempt, .. }
        | Event::RunIntended { attempt, .. }
        | Event::RunStarted { attempt, .. }
        | Event::OutputWritten { attempt, .. }
        | Event::InputWritten { attempt, .. }
        | Event::RunInterrupted { attempt, .. }
        | Event::RunEnded { attempt, .. }
        | Event::OutcomeUnknown { attempt, .. }
        | Event::ProbeIntended { attempt, .. }
        | Event::ProbeEnded { attempt, .. }
        | Event::DoneByHand { attempt, .. }
        | Event::WaitStarted { attempt, .. }
        | Event::WaitEnded { attempt, .. }
        | Event::ProcessGone { attempt, .. }
        | Event::Acknowledged { attempt, .. } => Some(*attempt),
        _ => None,
    }
}

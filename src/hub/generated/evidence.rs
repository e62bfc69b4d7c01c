//! What an invariant may look at: the durable lines as an outsider reads them, and what the virtual hub did in the world
//! (spawned, said, published). Nothing here asks `session` what it thinks.

use crate::clock::At;
use crate::event::{Covers, Event, Part, Status};
use crate::hash::Hash;
use crate::name::{Principal, StepId, WatchId};
use crate::plan::{Gate, Plan, Step, Typed};
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
    pub part: Part,
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
    /// Steps that were typed while it was flown.
    pub typed: BTreeMap<StepId, Step>,
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
    /// Requests whose answer was foretold.
    pub foretold: usize,
    /// What a hub that took the session up again last knew was still to be told: the place in the plan, the line.
    pub owed: BTreeSet<(u32, u64)>,
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
        self.plan.step(id).or_else(|| self.typed.get(id)).ok_or_else(|| format!("the plan has no step {id}"))
    }
    /// Takes in what was typed in these lines.
    pub fn typed(&mut self, lines: Range<usize>) {
        for line in &self.lines[lines] {
            if let Event::StepAdded { step, run, why } = &line.event {
                let typed = Typed { run: run.clone(), why: why.clone(), by: line.by.clone() };
                self.typed.insert(step.clone(), self.plan.adhoc(step.clone(), &typed));
            }
        }
    }
    /// How many checks what was armed in that line needs by the plan's text alone: what differs from it needs one.
    pub fn wanted(&self, armed: usize, id: &StepId) -> Result<u32, String> {
        let step = self.step(id)?;
        let Event::StepArmed { covers, .. } = &self.lines[armed].event else { return Err("not armed".into()) };
        let covers = covers.covers();
        let defaults = self.plan.params.iter().filter_map(|(name, param)| Some((name.clone(), param.default.clone()?)));
        let mut params: BTreeMap<_, _> = defaults.collect();
        let open = |name: &String| self.plan.params.get(name).is_some_and(|param| param.default.is_none());
        params.extend(covers.params.iter().filter(|(name, _)| open(name)).map(|(n, v)| (n.clone(), v.clone())));
        // What the plan's command needs and this one was not given is one more difference.
        let planned = step.command().map_or(Some(vec![]), |command| command.run.argv(&params).ok());
        let differs = step.adhoc || planned.as_ref() != Some(&covers.command.argv);
        match differs && covers.deviations.iter().all(|deviation| deviation.why().trim().is_empty()) {
            true => Err(format!("{id} differs from the plan, and nothing says so: {:?}", covers.command.argv)),
            false => Ok(step.checks.max(u32::from(differs))),
        }
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
            line.event.kind() == kind && line.event.step() == Some(step) && attempt_of(&line.event) == Some(attempt)
        })
    }
    pub fn count(&self, before: usize, kind: &str, step: &StepId, attempt: u32) -> usize {
        let is = |line: &&Line| {
            line.event.kind() == kind && line.event.step() == Some(step) && attempt_of(&line.event) == Some(attempt)
        };
        self.lines[..before].iter().filter(is).count()
    }
    /// Whether lines of that attempt were left after the batch that ran last.
    pub fn has_more(&self, before: usize, step: &StepId, attempt: u32) -> bool {
        let armed = self.of(before, "StepArmed", step, attempt).map(|armed| &self.lines[armed].event);
        let Some(Event::StepArmed { covers, .. }) = armed else { return false };
        let begun = 1 + self.count(before, "BatchIntended", step, attempt);
        covers.covers().each.as_ref().is_some_and(|each| (begun as u32) < each.batches())
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
        let readmitted = self.lines[..before].iter().rev().find_map(|line| match &line.event {
            Event::Readmitted { principal, key, .. } if principal == who => Some(key.as_str()),
            _ => None,
        });
        let first = || {
            self.lines[..before].iter().find_map(|line| match &line.event {
                Event::Joined { principal, key, .. } if principal == who => Some(key.as_str()),
                _ => None,
            })
        };
        readmitted.or_else(first)
    }
    /// Whom something is heard of just before that index: over at least one of their connections.
    pub fn heard(&self, before: usize) -> BTreeSet<Principal> {
        let (here, _) = self.presence(before);
        let silent = |who: &Principal, connection: u64| {
            let last = self.lines[..before].iter().rev().find_map(|line| match &line.event {
                Event::LinkSilent { principal, connection: c, since } if principal == who && *c == connection => {
                    Some(since.is_some())
                }
                // A number is given out once in a life of the hub.
                Event::Joined { connection: c, .. } if *c == connection => Some(false),
                _ => None,
            });
            last.unwrap_or(false)
        };
        let heard = here.into_iter().filter(|(who, over)| over.iter().any(|connection| !silent(who, *connection)));
        heard.map(|(who, _)| who).collect()
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
                Event::Readmitted { principal, .. } if here.remove(principal).is_some() => {
                    gone.insert(principal.clone(), line.at);
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
            Event::ReadingTaken { watch: w, reading, began, .. } if w == watch => Some(Some((reading.status, *began))),
            // From here on it looks at something else.
            Event::ParamSet { name, .. } if self.plan.watches_with(name).contains(watch) => Some(None),
            _ => None,
        });
        match latest.flatten() {
            Some((status, began)) if at.micros() - began.micros() <= micros(limit) => status,
            _ => Status::Unknown,
        }
    }
    /// The status that somebody excused a gate of that attempt for; of what a lead gave, or gave to another lead, nothing.
    pub fn waived(&self, before: usize, step: &StepId, attempt: u32, watch: &WatchId) -> Option<(usize, Status)> {
        let handed = self.last(before, |line| matches!(line.event, Event::LeadHandedOver { .. }));
        // It counts until the step's lapse; what was armed by then, holds it.
        let used = self.of(before, "StepArmed", step, attempt).unwrap_or(before).min(self.lines.len() - 1);
        let lapse = self.step(step).map(|step| self.plan.lapse_of(step)).unwrap_or_default();
        let fresh = |index: usize| self.lines[used].at.since(self.lines[index].at) < lapse;
        self.lines[..before].iter().enumerate().rev().find_map(|(index, line)| match &line.event {
            Event::GateWaived { step: s, attempt: a, watch: w, status, .. }
                if s == step && *a == attempt && w == watch =>
            {
                let second = line.by != self.lead(index) && self.plan.crew.shadow.contains(&line.by);
                (second && fresh(index) && handed.is_none_or(|handed| handed < index)).then_some((index, *status))
            }
            _ => None,
        })
    }
    /// Whether a gate of that attempt may read that: allowed, or excused.
    pub fn passes(&self, before: usize, (step, attempt): (&Step, u32), gate: &Gate, status: Status) -> bool {
        let excused = |seen: Status| match (seen, status) {
            (Status::Unknown, status) => status == Status::Unknown,
            (_, Status::Unknown) => false,
            (seen, status) => status <= seen,
        };
        allowed(gate.allow_warn, status)
            || self.waived(before, &step.id, attempt, &gate.watch).is_some_and(|(_, seen)| excused(seen))
    }
    /// Whether the glass was broken for that attempt, by the lead who armed it and whom the plan lets.
    pub fn glass(&self, before: usize, step: &StepId, attempt: u32) -> bool {
        let Some(broken) = self.of(before, "BreakGlass", step, attempt) else { return false };
        let by = &self.lines[broken].by;
        let armed = self.armed(broken, step, attempt).is_ok_and(|armed| self.lines[armed].by == *by);
        armed && *by == self.lead(broken) && self.plan.break_glass.contains(by)
    }
    /// Gates of that attempt that do not pass just before that index at that time.
    pub fn bad_gates(&self, before: usize, step: &Step, attempt: u32, at: At) -> Vec<String> {
        let gates = step.gates.iter().map(|gate| (gate, self.reads(before, &gate.watch, at)));
        gates
            .filter(|(gate, status)| !self.passes(before, (step, attempt), gate, *status))
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
    /// Why the poll is not go just before that index; none where it is, is over, or the plan has none.
    pub fn no_go(&self, before: usize) -> Option<String> {
        let critical = |line: &Line| match &line.event {
            Event::RunIntended { step, .. } => self.step(step).is_ok_and(|step| step.checks > 0),
            _ => false,
        };
        if !self.plan.poll || self.last(before, critical).is_some() {
            return None;
        }
        let Some(called) = self.last(before, |line| matches!(line.event, Event::PollCalled { .. })) else {
            return Some("it was not called".into());
        };
        let board = self.last(before, |line| matches!(line.event, Event::ChecklistAnswered { .. })).unwrap_or(0);
        let here = self.heard(before);
        let mut asked = BTreeSet::from([self.lead(before)]);
        asked.extend(here.iter().filter(|who| self.plan.crew.shadow.contains(who)).cloned());
        let holder = |seat: &str, before: usize| {
            let took = self.last(before, |line| matches!(&line.event, Event::SeatTaken { seat: s } if s == seat))?;
            Some(self.lines[took].by.clone())
        };
        for seat in &self.plan.crew.seats {
            match holder(&seat.name, before).filter(|who| seat.who.contains(who) && here.contains(who)) {
                Some(who) => asked.insert(who),
                None => return Some(format!("nobody is in the seat {}", seat.name)),
            };
        }
        for item in &self.plan.checklist {
            let of = |line: &Line| matches!(&line.event, Event::ChecklistAnswered { item: i, .. } if *i == item.id);
            let Some(index) = self.last(before, of) else { return Some(format!("{} is not answered", item.id)) };
            let by = Some(self.lines[index].by.clone());
            let owned = item.seat.as_ref().is_none_or(|seat| holder(seat, index) == by);
            let Event::ChecklistAnswered { answer, .. } = &self.lines[index].event else { continue };
            if !owned || (item.answer == crate::plan::Asked::Yes && !answer.starts_with("yes")) {
                return Some(format!("{} is answered {answer:?} by {by:?}", item.id));
            }
        }
        let last_word = |who: &Principal| {
            let of = |line: &Line| matches!(line.event, Event::PollAnswered { .. }) && line.by == *who;
            let index = self.last(before, of).filter(|index| *index > called)?;
            match &self.lines[index].event {
                Event::PollAnswered { go, .. } => Some((index, *go)),
                _ => None,
            }
        };
        let no = self.lines[called..before].iter().find(|line| last_word(&line.by).is_some_and(|(_, go)| !go));
        if let Some(no) = no {
            return Some(format!("{} says no-go", no.by));
        }
        for who in &asked {
            let unfit = |line: &Line| line.by == *who && matches!(line.event, Event::AvailabilityStated { .. });
            let said = self.last(before, unfit).map(|index| &self.lines[index].event);
            if matches!(said, Some(Event::AvailabilityStated { fit: false, .. })) {
                return Some(format!("{who} is not fit"));
            }
            if !last_word(who).is_some_and(|(index, go)| go && index > board) {
                return Some(format!("{who} has not said go"));
            }
        }
        None
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
        | Event::ReadBack { attempt, .. }
        | Event::CrossChecked { attempt, .. }
        | Event::Objected { attempt, .. }
        | Event::Withdrawn { attempt, .. }
        | Event::StepVoided { attempt, .. }
        | Event::GateWaived { attempt, .. }
        | Event::BreakGlass { attempt, .. }
        | Event::StepCleared { attempt, .. }
        | Event::RunRequested { attempt, .. }
        | Event::RunIntended { attempt, .. }
        | Event::BatchIntended { attempt, .. }
        | Event::BatchesEnded { attempt, .. }
        | Event::RunStarted { attempt, .. }
        | Event::OutputWritten { attempt, .. }
        | Event::InputWritten { attempt, .. }
        | Event::RunInterrupted { attempt, .. }
        | Event::RunEnded { attempt, .. }
        | Event::RollbackIntended { attempt, .. }
        | Event::RollbackEnded { attempt, .. }
        | Event::VerifyStarted { attempt, .. }
        | Event::VerifyEnded { attempt, .. }
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

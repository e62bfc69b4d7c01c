//! What a session says when asked: which step people look at, how a watch stands, who may check. Reads, never changes.

use super::phase::Phase;
use super::steps::{Armed, StepState};
use super::{Session, twin};
use crate::clock::At;
use crate::event::Status;
use crate::name::{Principal, StepId, WatchId};
use crate::plan::{Gate, Step};
use std::time::Duration;

impl Session {
    /// The one step that is armed, cleared or starting.
    pub fn open_step(&self) -> Option<(&Step, &StepState, &Armed)> {
        self.plan.steps.iter().find_map(|step| {
            let state = self.steps.get(&step.id)?;
            Some((step, state, state.armed.as_ref()?)).filter(|(_, state, _)| state.phase.is_open())
        })
    }

    /// The one step whose process exists or may exist.
    pub fn live_step(&self) -> Option<(&Step, &StepState)> {
        self.find(|state| state.phase.is_live())
    }

    /// The one step whose run is held against what was before it.
    pub fn verifying_step(&self) -> Option<(&Step, &StepState)> {
        self.find(|state| state.phase.is_verifying())
    }

    /// The step that keeps every other from starting: it runs, waits for its watch, or is being verified.
    pub fn busy_step(&self) -> Option<(&Step, &StepState)> {
        self.live_step().or_else(|| self.find(|state| state.phase.is_settling()))
    }

    /// The step somebody owes a word on.
    pub fn owing_step(&self) -> Option<(&Step, &StepState)> {
        self.find(|state| state.phase.owes_acknowledgement())
    }

    /// The step people look at: what is armed or runs, else what owes a word, else the first that is not over.
    pub fn current_step(&self) -> Option<(&Step, &StepState)> {
        self.find(|state| state.phase.is_open() || state.phase.is_live() || state.phase.is_settling())
            .or_else(|| self.owing_step())
            .or_else(|| self.next_step())
    }

    /// The first step that is not over and is wanted as things stand; where it may not begin because one before it is settled
    /// as not done, that one.
    pub fn next_step(&self) -> Option<(&Step, &StepState)> {
        let mut steps = self.plan.steps.iter().filter_map(|step| Some((step, self.steps.get(&step.id)?)));
        let next = steps
            .find(|(step, state)| !state.phase.is_over() && self.is_wanted(&step.id) && !self.is_idle_adhoc(&step.id));
        let in_the_way = next.and_then(|(step, _)| self.not_done_before(step));
        in_the_way.and_then(|id| Some((self.plan.step(id)?, self.steps.get(id)?))).or(next)
    }

    /// A step by the number people know it by: `07`; by its id where the plan has none of that name.
    pub fn numbered(&self, id: &StepId) -> String {
        self.plan.number(id).map_or_else(|| id.to_string(), |number| format!("{number:02}"))
    }

    /// A sentence with the crew's names short, where those are unique: in a narrow column they tell as much.
    pub fn shortened(&self, text: &str) -> String {
        let crew = self.plan.principals();
        let unique = |who: &&&Principal| crew.iter().filter(|other| other.short() == who.short()).count() == 1;
        crew.iter().filter(unique).fold(text.to_owned(), |text, who| text.replace(who.as_str(), who.short()))
    }

    pub(super) fn find(&self, wanted: impl Fn(&StepState) -> bool) -> Option<(&Step, &StepState)> {
        self.plan.steps.iter().find_map(|step| {
            let state = self.steps.get(&step.id)?;
            wanted(state).then_some((step, state))
        })
    }

    /// A watch's status at that time: unknown without a reading, and once the reading is older than its limit.
    pub fn status(&self, watch: &WatchId, at: At) -> Status {
        match (self.watches.get(watch).and_then(|state| state.reading.as_ref()), self.age(watch, at)) {
            (Some(reading), Some(age)) if !self.is_stale(watch, age) => reading.status,
            _ => Status::Unknown,
        }
    }

    /// How old a watch's latest reading is; none where there is none.
    pub fn age(&self, watch: &WatchId, at: At) -> Option<Duration> {
        let state = self.watches.get(watch)?;
        state.reading.as_ref().map(|_| at.since(state.began))
    }

    fn is_stale(&self, watch: &WatchId, age: Duration) -> bool {
        !twin::broken(9) && self.plan.watch(watch).is_none_or(|watch| age > watch.stale_after)
    }

    /// The sentence behind a watch's status at that time.
    pub fn why(&self, watch: &WatchId, at: At) -> String {
        match (self.watches.get(watch).and_then(|state| state.reading.as_ref()), self.age(watch, at)) {
            (Some(reading), Some(age)) if self.is_stale(watch, age) => {
                format!("stale for {}; last: {}", crate::clock::human(age), reading.why)
            }
            (Some(reading), _) => reading.why.clone(),
            (None, _) => "not read yet".into(),
        }
    }

    /// Whether a gate lets its step pass at that time. Unknown never does.
    pub fn gate_holds(&self, gate: &Gate, at: At) -> bool {
        match self.status(&gate.watch, at) {
            Status::Ok => true,
            Status::Warn => gate.allow_warn,
            Status::Fail | Status::Unknown => false,
        }
    }

    /// Whether this principal may cross-check what is armed: a shadow of the plan who neither leads nor armed it.
    pub fn may_check(&self, principal: &Principal) -> bool {
        self.plan.crew.shadow.contains(principal)
            && *principal != self.lead
            && self.open_step().is_none_or(|(_, _, armed)| armed.by != *principal)
    }

    /// Whether a step takes cross-checks: by what is armed, or by the plan where nothing is.
    pub fn is_checked(&self, id: &StepId) -> bool {
        let armed = self.steps.get(id).and_then(|state| state.armed.as_ref()).map(|armed| armed.covers.covers().checks);
        armed.or_else(|| self.plan.step(id).map(|step| step.checks)).is_some_and(|checks| checks > 0)
    }

    /// Shadows who are connected and heard of, the lead left out.
    pub fn shadows_here(&self) -> impl Iterator<Item = &Principal> {
        self.people
            .iter()
            .filter(|(principal, person)| {
                person.is_heard() && **principal != self.lead && self.plan.crew.shadow.contains(principal)
            })
            .map(|(principal, _)| principal)
    }

    /// Whether fewer shadows are connected than the next critical step needs.
    pub(super) fn shadows_short(&self) -> bool {
        let next = self.plan.steps.iter().find(|step| {
            step.checks > 0
                && !self.is_idle_adhoc(&step.id)
                && !self.steps.get(&step.id).is_some_and(|s| s.phase.is_done() || s.phase == Phase::Skipped)
                && self.is_wanted(&step.id)
        });
        next.is_some_and(|step| self.shadows_here().count() < step.checks as usize)
    }
}

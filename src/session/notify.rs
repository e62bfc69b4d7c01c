//! Whom outside the crew a line is told to: what is due follows from the lines and the plan's `[[notify]]`, and from
//! nothing else. So a hub that was killed before it told anybody knows afterwards what it owes.
//!
//! A line is due to be told from when it is folded until `Notified` or `NotifyFailed` names it. A hub that was killed between telling
//! and writing so down tells again: everybody is told at least once, and the same again by the same id.

use super::Session;
use crate::clock::At;
use crate::event::{Event, about};
use crate::name::{Principal, StepId};
use crate::plan::Occasion;
use crate::session::steps::Phase;
use crate::transcript::record::Line;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Failures of one place are written down at most so often; those in between stand together in the next line.
pub const FAILURES_EVERY: Duration = Duration::from_secs(60);
/// What may wait for one place. Whoever is not told for so long is better told of what happens now: the older half is given
/// up, in one line.
pub const WAITING_MAX: usize = 40;
/// The longest reason that is kept.
const WHY_CHARS_MAX: usize = 300;

/// What is owed to those outside, and how it went so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telling {
    /// What is to be told, by the number of its line.
    pub due: BTreeMap<u64, Due>,
    /// Each place's past, by its number in the plan, from 1.
    pub places: BTreeMap<u32, Place>,
}
impl Telling {
    /// Whether nobody is, or ever was, to be told of anything.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty() && self.places.is_empty()
    }
}

/// One line that is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// What it is about.
    pub occasion: Occasion,
    /// The event's kind.
    pub event: String,
    /// When.
    pub at: At,
    /// Who did it.
    pub by: Principal,
    /// The step it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Which attempt of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The sentence of the story.
    pub sentence: String,
    /// Who is waited for.
    pub waited_for: Vec<Principal>,
    /// The places that are still to be told, by their number in the plan.
    pub to: BTreeSet<u32>,
}

/// How telling one place went so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Lines that it was told of.
    pub told: u64,
    /// Lines that it could not be told of.
    pub failed: u64,
    /// The last time it was told of something.
    pub last_told: Option<At>,
    /// The last time it was written down that it could not be told.
    pub last_failed: Option<At>,
    /// Why the latest try came to nothing; nothing where it went well.
    pub failing: Option<String>,
}

impl Session {
    /// What that place of the plan (from 1) is still to be told, oldest first.
    pub fn due_for(&self, notify: u32) -> impl Iterator<Item = (u64, &Due)> {
        self.telling.due.iter().filter(move |(_, due)| due.to.contains(&notify)).map(|(seq, due)| (*seq, due))
    }

    /// Whether it may be written down now that this place could not be told: a dead hook does not fill the transcript.
    pub fn failure_may_be_written(&self, notify: u32, at: At) -> bool {
        let last = self.telling.places.get(&notify).and_then(|place| place.last_failed);
        self.closing.is_some() || last.is_none_or(|last| at.since(last) >= FAILURES_EVERY)
    }

    /// Places whose latest try came to nothing: their name in the plan, and why.
    pub fn untold(&self) -> impl Iterator<Item = (&str, &str)> {
        let places = self.telling.places.iter();
        places.filter_map(|(number, place)| Some((self.place_name(*number), place.failing.as_deref()?)))
    }

    /// What people call that place of the plan.
    pub fn place_name(&self, notify: u32) -> &str {
        let index = usize::try_from(notify).ok().and_then(|number| number.checked_sub(1));
        index.and_then(|index| self.plan.notify.get(index)).map_or("a place that the plan does not name", |it| &it.name)
    }

    /// After a line was folded: whether anybody is to be told of it, or has been.
    pub(super) fn tell_others(&mut self, line: &Line) {
        match &line.event {
            Event::Notified { notify, of, .. } => {
                self.told_of(*notify, *of);
                let place = self.telling.places.entry(*notify).or_default();
                place.told += 1;
                place.last_told = Some(line.at);
                place.failing = None;
            }
            Event::NotifyFailed { notify, of, why, .. } => {
                of.iter().for_each(|of| self.told_of(*notify, *of));
                let place = self.telling.places.entry(*notify).or_default();
                place.failed += of.len() as u64;
                place.last_failed = Some(line.at);
                place.failing = Some(why.clone());
            }
            _ => self.fall_due(line),
        }
    }

    fn told_of(&mut self, notify: u32, of: u64) {
        if let Some(due) = self.telling.due.get_mut(&of) {
            due.to.remove(&notify);
            if due.to.is_empty() {
                self.telling.due.remove(&of);
            }
        }
    }

    fn fall_due(&mut self, line: &Line) {
        if self.plan.notify.is_empty() {
            return;
        }
        let wanted = |occasion: Occasion| {
            let places = (1..).zip(&self.plan.notify).filter(|(_, notify)| notify.on.contains(&occasion));
            places.map(|(number, _)| number).collect::<BTreeSet<u32>>()
        };
        let Some((occasion, to)) = self.occasion(line).map(|it| (it, wanted(it))).filter(|(_, to)| !to.is_empty())
        else {
            return;
        };
        let step = line.event.step().cloned();
        let due = Due {
            occasion,
            event: line.event.kind().to_owned(),
            at: line.at,
            by: line.by.clone(),
            attempt: step.as_ref().and_then(|step| self.steps.get(step)).map(|state| state.attempt),
            waited_for: self.waited_for(occasion, step.as_ref()),
            step,
            sentence: self
                .recent
                .back()
                .filter(|told| told.seq == line.seq)
                .map_or_else(|| occasion.to_string(), |told| told.text.clone()),
            to,
        };
        self.telling.due.insert(line.seq, due);
    }

    /// The occasion that a line is, the session being what it made of it.
    fn occasion(&self, line: &Line) -> Option<Occasion> {
        let phase = line.event.step().and_then(|step| self.steps.get(step)).map(|state| state.phase);
        let planned = line.event.step().and_then(|step| self.plan.step(step));
        let ended = match phase {
            Some(Phase::Done) => Some(Occasion::Done),
            Some(Phase::Failed) => Some(Occasion::Failed),
            Some(Phase::Degraded) => Some(Occasion::Degraded),
            Some(Phase::Undecided) => Some(Occasion::Undecided),
            Some(Phase::RolledBack) => Some(Occasion::RolledBack),
            Some(Phase::RollbackFailed) => Some(Occasion::RollbackFailed),
            _ => None, // it is verified first
        };
        match &line.event {
            Event::SessionOpened { .. } => Some(Occasion::Opened),
            Event::Recovered { .. } => Some(Occasion::Recovered),
            Event::StepArmed { covers, .. } => (covers.covers().checks > 0).then_some(Occasion::Waiting),
            Event::Objected { .. } => Some(Occasion::Objected),
            Event::StepCleared { .. } => {
                let asked = planned.is_some_and(|step| step.checks > 0 && !step.run_on_clear());
                asked.then_some(Occasion::Cleared)
            }
            Event::RunIntended { .. } => {
                planned.is_some_and(|step| step.point_of_no_return).then_some(Occasion::PointOfNoReturn)
            }
            Event::RunStarted { step, part, .. } => {
                // Of batches the first one.
                let run = self.steps.get(step).and_then(|state| state.run.as_ref());
                let begins = part.is_step() && run.is_none_or(|run| run.batch <= 1);
                begins.then_some(Occasion::Running)
            }
            Event::RollbackIntended { .. } => Some(Occasion::RollingBack),
            Event::RunEnded { .. }
            | Event::DoneByHand { .. }
            | Event::WaitEnded { .. }
            | Event::BatchesEnded { .. }
            | Event::RollbackEnded { .. }
            | Event::VerifyEnded { .. } => ended,
            Event::OutcomeUnknown { .. } => Some(Occasion::Unknown),
            Event::Acknowledged { .. } => Some(Occasion::Acknowledged),
            // Who pulls it again says nothing new.
            Event::AndonPulled { .. } => (self.line.pulled.get(&line.by) == Some(&line.at)).then_some(Occasion::Andon),
            Event::AndonReleased { freed, .. } => freed.then_some(Occasion::Released),
            Event::LineHeld { .. } => Some(Occasion::Held),
            Event::LineFreed { .. } => Some(Occasion::Freed),
            Event::LeadHandedOver { .. } => Some(Occasion::HandedOver),
            Event::SessionClosed { .. } => Some(Occasion::Closed),
            Event::StopAsked { .. }
            | Event::PlanChanged { .. }
            | Event::ClockJumped { .. }
            | Event::CloseCalled { .. }
            | Event::CloseSigned { .. }
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::KeyRefused { .. }
            | Event::ReadmitAgreed { .. }
            | Event::Readmitted { .. }
            | Event::LinkSilent { .. }
            | Event::AttentionChanged { .. }
            | Event::HandoverAgreed { .. }
            | Event::LeadGone { .. }
            | Event::CheckOpened { .. }
            | Event::ReadBack { .. }
            | Event::CrossChecked { .. }
            | Event::Withdrawn { .. }
            | Event::StepVoided { .. }
            | Event::GateWaived { .. }
            | Event::SkipAgreed { .. }
            | Event::StepSkipped { .. }
            | Event::BreakGlass { .. }
            | Event::RunRequested { .. }
            | Event::BatchIntended { .. }
            | Event::OutputWritten { .. }
            | Event::InputWritten { .. }
            | Event::InputLost { .. }
            | Event::AnswerAwaited { .. }
            | Event::Resized { .. }
            | Event::RunInterrupted { .. }
            | Event::ProcessGone { .. }
            | Event::OthersAwaited { .. }
            | Event::LeftBehind { .. }
            | Event::LeftGone { .. }
            | Event::WaitStarted { .. }
            | Event::ProbeIntended { .. }
            | Event::ProbeEnded { .. }
            | Event::VerifyStarted { .. }
            | Event::SettleAgreed { .. }
            | about::preflight!()
            | about::said!()
            | about::watches!()
            | about::changes!()
            | about::evidence!()
            | about::told!() => None,
        }
    }

    /// Who has to do something so that it goes on; everyone who may, where one of several would do.
    fn waited_for(&self, occasion: Occasion, step: Option<&StepId>) -> Vec<Principal> {
        let armed = step.and_then(|step| self.steps.get(step)?.armed.as_ref());
        let shadows = || {
            let able = self.plan.crew.shadow.iter().filter(|who| self.is_shadow(who));
            able.filter(|who| armed.is_none_or(|armed| armed.by != **who)).cloned().collect::<Vec<_>>()
        };
        match occasion {
            Occasion::Waiting
            | Occasion::Failed
            | Occasion::Degraded
            | Occasion::Undecided
            | Occasion::Unknown
            | Occasion::RolledBack
            | Occasion::RollbackFailed => shadows(),
            Occasion::Cleared | Occasion::HandedOver => vec![self.lead.clone()],
            Occasion::Andon => {
                let pullers = self.line.pulled.keys().filter(|who| **who != self.lead).cloned();
                let others: Vec<_> = pullers.collect();
                let others = if others.is_empty() { shadows() } else { others };
                [self.lead.clone()].into_iter().chain(others).collect()
            }
            Occasion::Held => {
                let here: BTreeSet<_> = self.shadows_here().collect();
                shadows().into_iter().filter(|who| !here.contains(who)).collect()
            }
            _ => vec![],
        }
    }
}

/// Somebody was told: an event where that was still owed.
pub(super) fn told(session: &Session, notify: u32, of: u64, tries: u32) -> Vec<Event> {
    match session.telling.due.get(&of).is_some_and(|due| due.to.contains(&notify)) {
        true => vec![Event::Notified { notify, of, tries }],
        false => vec![],
    }
}

/// Somebody could not be told: an event for what of it was still owed.
pub(super) fn not_told(session: &Session, at: At, notify: u32, of: &[u64], tries: u32, why: &str) -> Vec<Event> {
    let owed = |of: &&u64| session.telling.due.get(of).is_some_and(|due| due.to.contains(&notify));
    let of: Vec<u64> = of.iter().filter(owed).copied().collect();
    if of.is_empty() || !session.failure_may_be_written(notify, at) {
        return vec![];
    }
    let why = why.chars().take(WHY_CHARS_MAX).collect();
    vec![Event::NotifyFailed { notify, of, tries, why }]
}

/// What waits for too long behind too much of its kind is given up. The oldest may be under way, and stays.
pub(super) fn given_up(session: &Session) -> Vec<Event> {
    let places = (1..).zip(&session.plan.notify).map(|(number, _)| number);
    let given_up = places.filter_map(|notify: u32| {
        let due: Vec<u64> = session.due_for(notify).map(|(seq, _)| seq).collect();
        let of = (due.len() > WAITING_MAX).then(|| due[1..=WAITING_MAX / 2].to_vec())?;
        let why = format!("more than {WAITING_MAX} were waiting to be told; the older ones are not told any more");
        Some(Event::NotifyFailed { notify, of, tries: 0, why })
    });
    given_up.collect()
}

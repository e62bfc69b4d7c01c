//! Attempts of a step that are over: what they were of, and what they came to. Whoever checks the next one is told in what it
//! differs.

use super::kept::{Note, Tried};
use super::phase::Phase;
use super::steps::StepState;
use crate::clock::human;
use crate::event::{Flown, Part};
use crate::name::StepId;
use crate::plan::Verify;
use crate::session::Session;

impl Tried {
    /// What it came to, in a sentence. Not harmless yet: people wrote parts of it.
    pub fn words(&self) -> String {
        if let Some(why) = &self.voided {
            return format!("never ran: {why}");
        }
        let exits = &self.covers.covers().command.exits;
        let mut all =
            vec![self.end.as_ref().map_or_else(|| "nobody saw how it ended".to_owned(), |end| exits.words(end))];
        if self.undone {
            all.push("was undone".to_owned());
        }
        if let Some(Note { by, agreed, text, .. }) = &self.settled {
            let by: Vec<_> = agreed.iter().chain([by]).map(|who| who.short()).collect();
            let word = if self.phase == Phase::SettledDone { "settled as done" } else { "settled as NOT done" };
            all.push(format!("{word} by {}: {text}", by.join(" and ")));
        }
        all.join("; ")
    }
}

/// What is compared after a step, and for how long.
pub fn afterwards(verify: &Verify) -> String {
    let watches: Vec<_> = verify.watches.iter().map(|verified| verified.watch.to_string()).collect();
    format!("{} compared with before, for {}", watches.join(", "), human(verify.time))
}

impl StepState {
    /// Keeps what is armed as an attempt that is over: the last one, and the last one that ran.
    pub(super) fn put_by(&mut self, voided: Option<String>) {
        let Some(armed) = self.armed.take() else { return };
        let ran = self.run.is_some();
        self.tried.retain(|tried| !ran && tried.voided.is_none());
        self.tried.push(Tried {
            attempt: self.attempt,
            at: armed.at,
            covers: armed.covers,
            phase: self.phase,
            end: self.run.as_ref().and_then(|run| run.end.clone()),
            undone: self.rollback.is_some(),
            voided,
            settled: self.settled.clone().filter(|_| ran),
        });
    }
}

impl Session {
    /// The last attempt of each step that ran here: what the next flight of this plan is compared with.
    pub fn has_flown(&self) -> Vec<Flown> {
        let of = |id: &StepId| {
            let state = self.steps.get(id)?;
            let (at, attempt, covers) = match (&state.armed, &state.run) {
                (Some(armed), Some(_)) => (armed.at, state.attempt, &armed.covers),
                _ => {
                    let tried = state.tried.iter().rfind(|tried| tried.voided.is_none())?;
                    (tried.at, tried.attempt, &tried.covers)
                }
            };
            let gates = covers.covers().gates.iter().map(|gate| &gate.watch);
            let verify = self.plan.step(id).and_then(|step| step.verify_of(Part::Step));
            Some(Flown {
                session: self.id.clone(),
                step: id.clone(),
                attempt,
                at,
                done: state.phase.is_done(),
                digest: covers.digest(),
                covers: Some(Box::new(covers.covers().clone())),
                limits: gates.map(|watch| (watch.clone(), self.plan.limits(watch).to_owned())).collect(),
                verify: verify.map(afterwards).unwrap_or_default(),
            })
        };
        self.plan.steps.iter().filter(|step| !step.adhoc).filter_map(|step| of(&step.id)).collect()
    }
}

//! Reading everything that decides what a step would do, off the driver's thread.

use super::Driver;
use crate::clock::At;
use crate::event::{Covers, GateSeen};
use crate::exec;
use crate::name::StepId;
use crate::plan::Step;
use crate::session::Session;
use std::path::PathBuf;
use std::sync::Arc;

impl Driver {
    /// What freezing that step takes; nothing where the plan has no such step.
    pub(super) fn freezing(
        &self,
        step: &StepId,
        attempt: impl Fn(&crate::session::steps::StepState) -> u32,
    ) -> Option<Freezing> {
        let session = self.sequencer.session();
        let at = self.shared.now();
        let (state, step) = (session.steps.get(step)?, session.plan.step(step)?.clone());
        let gates = step.gates.iter().filter_map(|gate| gate_seen(session, gate, at)).collect();
        Some(Freezing {
            session: (session.plan.clone(), session.params.clone()),
            folder: self.folder.clone(),
            attempt: attempt(state),
            step,
            gates,
        })
    }
}

/// One job.
pub(super) struct Freezing {
    session: (Arc<crate::plan::Plan>, crate::plan::Params),
    folder: PathBuf,
    step: Step,
    attempt: u32,
    gates: Vec<GateSeen>,
}

/// Freezes off the driver's thread: hashing a large file must not hold up the session.
pub(super) async fn frozen(work: Option<Freezing>) -> Result<Box<Covers>, String> {
    let Some(work) = work else { return Err("the plan has no such step".to_owned()) };
    let frozen = tokio::task::spawn_blocking(move || {
        let (plan, params) = &work.session;
        exec::freeze(plan, &work.step, params, &work.folder, work.attempt, work.gates)
    });
    match frozen.await {
        Ok(Ok(covers)) => Ok(Box::new(covers)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(format!("freezing failed: {error}")),
    }
}

fn gate_seen(session: &Session, gate: &crate::plan::Gate, at: At) -> Option<GateSeen> {
    let reading = session.watches.get(&gate.watch)?.reading.clone()?;
    let age_ms = u64::try_from(session.age(&gate.watch, at)?.as_millis()).unwrap_or(u64::MAX);
    Some(GateSeen { watch: gate.watch.clone(), reading, age_ms })
}

//! A step that works through the lines of a file, a batch at a time (`each`). Pure.
//!
//! People check all of it once, before the first batch; each further one is begun by itself when the one before left things
//! as well as they were, the line runs, and every gate holds. Whatever else becomes of a batch ends the step as a run does:
//! worse is degraded, and undone with all the lines that were begun where its plan says so. A restart of the hub, whoever
//! interrupts it, and too long a wait end it as undecided: what was done was done well, and people say how the step counts.
//! Lines that an earlier attempt did well are left out of the next one, as long as that one works on the same.

use super::Session;
use super::kept::DoneLines;
use super::phase::Phase;
use super::steps::StepState;
use crate::clock::At;
use crate::event::{CommandSeen, EachSeen, Event, Part, RunEnd, Verdict};
use crate::name::{StepId, WatchId};
use crate::plan::{Gate, Step};
use std::ops::Range;

impl DoneLines {
    /// So many, where that command works on the same.
    pub fn of(&self, command: &CommandSeen) -> u32 {
        if self.of == command.works_on() { self.lines } else { 0 }
    }
}

impl StepState {
    /// The batches of what is armed, or was run last.
    pub fn each(&self) -> Option<&EachSeen> {
        self.armed.as_ref()?.covers.covers().each.as_ref()
    }
    /// That lines are left, and why, where no batch was begun for them: what is told before anything else of such a step.
    pub fn batches_cut(&self) -> Option<String> {
        let (run, each, (batch, of)) = (self.run.as_ref()?, self.each()?, self.batch()?);
        let (why, done) = (run.cut.as_ref()?, each.batch(batch).end);
        Some(format!("{batch} of {of} batches, lines to {done} of {}: {why}", each.lines))
    }
    /// The number of the batch that runs or ran last, and how many there are.
    pub fn batch(&self) -> Option<(u32, u32)> {
        Some((self.run.as_ref()?.batch, self.each()?.batches()))
    }
    /// Whether batches are left after that one.
    pub(super) fn has_more(&self) -> bool {
        self.batch().is_some_and(|(batch, of)| batch < of)
    }
    /// Whether another batch may follow once what ran is verified.
    pub fn goes_on(&self) -> bool {
        self.phase == Phase::Verifying && self.has_more()
    }
    /// What is done once the batch that ran last left things well.
    pub(super) fn done_lines(&self) -> Option<DoneLines> {
        let (batch, _) = self.batch()?;
        self.lines_through(batch)
    }
    /// What was done before this attempt, which is what is left of it when it was undone by what is given its lines; nobody
    /// knows what any other rollback leaves.
    pub(super) fn lines_before(&self) -> Option<DoneLines> {
        self.lines_through(0).filter(|done| done.lines > 0 && self.undoes_lines())
    }
    /// Whether its rollback is fed the lines that were begun.
    pub fn undoes_lines(&self) -> bool {
        self.armed.as_ref().is_some_and(|armed| armed.covers.covers().feeds_begun_lines())
    }
    /// The lines that this attempt began; those of a batch whose command never started are not among them.
    pub fn begun_lines(&self) -> Option<Range<u32>> {
        let (each, run) = (self.each()?, self.run.as_ref()?);
        let unstarted = matches!(run.end, Some(RunEnd::NotStarted { .. }));
        Some(each.done..each.batch(run.batch.saturating_sub(u32::from(unstarted))).end)
    }
    fn lines_through(&self, batch: u32) -> Option<DoneLines> {
        let covers = self.armed.as_ref()?.covers.covers();
        Some(DoneLines { of: covers.command.works_on(), lines: covers.each.as_ref()?.batch(batch).end })
    }
}

impl Session {
    /// The one step that is between two batches.
    pub fn between_batches(&self) -> Option<(&Step, &StepState)> {
        self.find(|state| state.phase == Phase::BetweenBatches)
    }
    /// What keeps the next batch of that step from beginning.
    pub fn batch_held(&self, step: &Step, at: At) -> Option<String> {
        let armed = self.steps.get(&step.id)?.armed.as_ref()?;
        if self.is_stopped_for(armed) {
            return Some("the line is stopped".to_owned());
        }
        // Its waivers are part of what was armed, and hold for all of it, until another one leads.
        let waived = |gate: &Gate| {
            let seen = armed.covers.covers().gates.iter().find(|seen| seen.watch == gate.watch);
            let waived = seen.and_then(|seen| seen.waived.as_ref()).filter(|_| !armed.handed);
            waived.is_some_and(|waived| waived.excuses(self.status(&gate.watch, at)))
        };
        if let Some(gate) = step.gates.iter().find(|gate| !self.gate_holds(gate, at) && !waived(gate)) {
            let (status, why) = (self.status(&gate.watch, at).word(), self.why(&gate.watch, at));
            return Some(format!("{} is {status}: {why}", gate.watch));
        }
        let old = step.gates.iter().find(|gate| !waived(gate) && !self.read_since_batch(step, &gate.watch));
        Some(format!("{} was not read since the batch before", old?.watch))
    }
    /// Whether that watch was read since the batch that ran last ended; what it said before says nothing of after.
    pub(super) fn read_since_batch(&self, step: &Step, watch: &WatchId) -> bool {
        let run = self.steps.get(&step.id).and_then(|state| state.run.as_ref());
        let began = self.watches.get(watch).filter(|state| state.reading.is_some()).map(|state| state.began);
        run.and_then(|run| run.ended).is_none_or(|ended| began.is_some_and(|began| began >= ended))
    }
    /// So many lines of what that command is fed need not be done again by that step.
    pub fn lines_done(&self, step: &StepId, command: &CommandSeen) -> u32 {
        self.steps.get(step).and_then(|state| state.done.as_ref()).map_or(0, |done| done.of(command))
    }
}

/// What is due between two batches: the next one, or the end of waiting for it. `verified` is what time alone says of the
/// batch that is being verified, at this very moment.
pub(super) fn due(session: &Session, at: At, verified: Option<&Event>) -> Option<Event> {
    let just_now = match verified {
        Some(Event::VerifyEnded { step, part: Part::Step, verdict: Verdict::Better | Verdict::Same, .. }) => {
            session.plan.step(step).zip(session.steps.get(step)).filter(|(_, state)| state.has_more())
        }
        Some(_) => return None,
        None => session.between_batches(),
    };
    let (step, state) = just_now?;
    // Whoever asked a batch to end did not ask for another one.
    if let Some(who) = state.run.as_ref().and_then(|run| run.interrupted.as_ref()) {
        return end(state, &step.id, format!("interrupted by {who}"));
    }
    if session.stopping.is_some() {
        return end(state, &step.id, "the hub was asked to stop".to_owned());
    }
    match session.batch_held(step, at) {
        None => {
            let (batch, _) = state.batch()?;
            Some(Event::BatchIntended { step: step.id.clone(), attempt: state.attempt, batch: batch + 1 })
        }
        // What people agreed to was agreed to under what they saw then.
        Some(why) if state.run.as_ref()?.ended.is_some_and(|ended| at.since(ended) >= waits(session, step)) => {
            end(state, &step.id, format!("waited too long: {why}"))
        }
        Some(_) => None,
    }
}

/// Whether that batch is the next one of a step that is between two: what whoever reads a transcript holds against it.
pub(crate) fn follows(session: &Session, step: &StepId, batch: u32) -> Result<(), String> {
    let state = session.steps.get(step).filter(|state| state.phase == Phase::BetweenBatches);
    match state.and_then(StepState::batch) {
        Some((before, of)) if before < of && batch == before + 1 => Ok(()),
        Some((before, of)) => Err(format!("batch {batch} of {step} is said to follow batch {before} of {of}")),
        None => Err(format!("batch {batch} of {step} begins, and the step is not between two")),
    }
}

/// How long a batch may wait for what holds it, from the end of the one before: its time to be verified, and the lapse.
fn waits(session: &Session, step: &Step) -> std::time::Duration {
    session.plan.lapse_of(step) + step.verify().map_or_else(Default::default, |verify| verify.time)
}

/// No further batch is begun.
pub(super) fn end(state: &StepState, step: &StepId, why: String) -> Option<Event> {
    let (done, of) = state.batch()?;
    Some(Event::BatchesEnded { step: step.clone(), attempt: state.attempt, done, of, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture as a;

    fn fed(argv: &[&str], script: &[u8], lines: &[u8]) -> CommandSeen {
        let command = CommandSeen::bare(argv.iter().copied(), a::file("/bin/put").of(script));
        CommandSeen { stdin_file: Some(a::file("/lines").of(lines)), ..command }
    }

    #[test]
    fn lines_that_were_done_elsewhere_are_not_done_here() {
        let command = fed(&["put", "db-1"], b"script", b"a\nb\n");
        let done = DoneLines { of: command.works_on(), lines: 1 };
        assert_eq!(done.of(&command), 1);
        assert_eq!(done.of(&fed(&["put", "db-1"], b"mended", b"a\nb\n")), 1, "what was done stays done");
        assert_eq!(done.of(&fed(&["put", "db-2"], b"script", b"a\nb\n")), 0);
        assert_eq!(done.of(&fed(&["put", "db-1"], b"script", b"b\na\n")), 0);
        let elsewhere = CommandSeen { cwd: "/other".to_owned(), ..command };
        assert_eq!(done.of(&elsewhere), 0);
    }

    #[test]
    fn batches_hold_every_line_that_is_left_once_and_in_order() {
        for (lines, first, then, done) in (0..400_u32).map(|n| (n % 13, 1 + n % 5, 1 + n % 7, n % 14)) {
            let each = EachSeen { lines, first, then, done };
            let dealt: Vec<u32> = (1..=each.batches()).flat_map(|batch| each.batch(batch)).collect();
            assert_eq!(dealt, (done.min(lines)..lines).collect::<Vec<_>>(), "{each:?}");
            assert!((1..=each.batches()).all(|batch| !each.batch(batch).is_empty()), "{each:?}");
            assert!(each.batch(each.batches() + 1).is_empty(), "{each:?}");
        }
        let huge = EachSeen { lines: u32::MAX, first: u32::MAX, then: u32::MAX, done: 1 };
        assert_eq!((huge.batches(), huge.batch(1)), (1, 1..u32::MAX));
    }
}

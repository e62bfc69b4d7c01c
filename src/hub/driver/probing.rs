//! The probe of a step: a short command beside everything else, bounded in time and in what it may say.

use super::running::as_it_was_checked;
use super::{Batch, Driver, Incoming};
use crate::clock::At;
use crate::event::{Part, RunEnd};
use crate::exec::{self, Report};
use crate::hub::sequencer::SequencerError;
use crate::name::StepId;
use crate::secret::Given;
use crate::session::Fact;
use crate::transcript::output::OutputPiece;
use bytes::Bytes;
use tokio::sync::mpsc;

/// The most of its output that is kept: one piece of a transcript's output. One that says more is ended.
const OUTPUT_MAX: usize = 16 * 1024;
/// The most of it that stands in the line that tells its end.
const SAYS_CHARS: usize = 300;

impl Driver {
    /// Starts the probe that was asked for; a fact where it cannot be.
    pub(super) fn probe(&self, step: &StepId, attempt: u32) -> Option<Fact> {
        let not_started = |why: String| {
            let end = RunEnd::NotStarted { why };
            Some(Fact::Probed { step: step.clone(), attempt, end, says: String::new(), output: None })
        };
        let session = self.sequencer.session();
        let armed = session.steps.get(step).and_then(|state| state.armed.as_ref());
        let frozen = armed.and_then(|armed| armed.covers.covers().probe.as_ref());
        let (Some(frozen), Some(planned)) = (frozen, session.plan.step(step).and_then(|step| step.probe.as_ref()))
        else {
            return not_started("no probe was frozen with the step".to_owned());
        };
        let (reports, mut reported) = mpsc::channel(16);
        let given = Given { env: crate::secret::SecretEnv::default(), needles: self.vault.needles() };
        let started = exec::open(frozen, planned, &session.params)
            .and_then(|opened| exec::start(opened, self.size, reports, None, &given));
        let running = match started {
            Ok(running) => running,
            Err(error) => return not_started(self.vault.text(error.to_string())),
        };
        let (inputs, id, vault) = (self.inputs.clone(), step.clone(), self.vault.clone());
        // Ends with the process, which its time limit ends at the latest.
        std::thread::spawn(move || {
            let mut output = vec![];
            while let Some(report) = reported.blocking_recv() {
                match report {
                    Report::Output(bytes) => {
                        let room = OUTPUT_MAX - output.len();
                        output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                        if bytes.len() > room {
                            let _ = running.interrupt(true); // an error: it has ended already
                        }
                    }
                    // A probe only looks: what it starts ends with it.
                    Report::Waits(..) | Report::Left(_) => {
                        let _ = running.interrupt(true);
                    }
                    Report::Ended(end) => {
                        let end = as_it_was_checked(end, running.changed().map(|what| vault.text(what)));
                        let _ = inputs.blocking_send(Incoming::Probed { step: id, attempt, end, output });
                        return;
                    }
                }
            }
        });
        None
    }

    /// One is over: what it said is kept like every output, and told.
    pub(super) fn probed(
        &mut self,
        (step, attempt): (StepId, u32),
        end: RunEnd,
        output: Vec<u8>,
        now: At,
        batch: &mut Batch,
    ) -> Result<(), SequencerError> {
        let bytes = Bytes::from(output);
        let run = self.sequencer.session().steps.get(&step).and_then(|state| state.run.as_ref());
        let offset = run.map_or(0, |run| run.probe_bytes);
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let says = lines.join(" / ").chars().take(SAYS_CHARS).collect();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX); // at most OUTPUT_MAX
        let kept = (length > 0).then(|| (length, self.journal.salted_hash(&bytes)));
        let fact = Fact::Probed { step: step.clone(), attempt, end, says, output: kept };
        let lines = self.sequencer.observe(now, &fact)?;
        let written = lines.iter().any(|line| line.line.event.kind() == "OutputWritten");
        batch.lines.extend(lines);
        if written {
            batch.pieces.push(OutputPiece { step, attempt, part: Part::Probe, offset, bytes });
        }
        Ok(())
    }
}

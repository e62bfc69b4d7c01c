//! The end of a hub that lost its transcript.

use super::super::fanout::{Outbox, binary_frame};
use super::super::journal::JournalError;
use super::{Batch, Driver, Incoming, NotIn};
use crate::event::Role;
use crate::exec::Report;
use crate::protocol::{FromHub, Refused};
use crate::session::Request;
use std::sync::Weak;
use tokio::sync::mpsc;

impl Driver {
    /// The transcript failed. Says so to everyone, reads out what runs, and ends.
    pub(super) fn die(&mut self, error: &JournalError, batch: Batch, mut inputs: mpsc::Receiver<Incoming>) {
        tracing::error!("{error}");
        let dying = binary_frame(&FromHub::Dying { why: error.to_string() }.encode());
        self.shared.ring.everyone(|outbox| outbox.push(&dying));
        let refuse = |outbox: &Weak<Outbox>, id, request: String| {
            let refusal = Some(Refused { request, reason: error.to_string(), hint: None });
            let answer = FromHub::Answer { id, head: self.shared.ring.head(), refusal };
            if let Some(outbox) = outbox.upgrade() {
                outbox.push(&binary_frame(&answer.encode()));
            }
        };
        // What was decided in this batch never happened. Who asked is told so, or would wait for an answer for as long as
        // the command runs, and could not ask to have it interrupted.
        for (outbox, id, request, _) in batch.answers {
            refuse(&outbox, id, request);
        }
        drop(batch.joins);
        let mut lost = 0_u64;
        while let Some(live) = &self.live {
            match inputs.blocking_recv() {
                Some(Incoming::Run { report: Report::Output(bytes), .. }) => lost += bytes.len() as u64,
                Some(Incoming::Run { step, report: Report::Ended(end), .. }) if step == live.step => {
                    tracing::error!("step {step}: {end}; {lost} bytes of its output are not in the transcript");
                    self.live = None;
                }
                Some(Incoming::Join(joining)) => {
                    let reason = "the hub lost its transcript and is ending".to_owned();
                    let _ = joining.reply.send(Err(NotIn { reason, retry: true }));
                }
                Some(Incoming::Ask { author, id, request, outbox, .. }) => match &request {
                    // Interrupting what runs stays possible for the crew: it needs no transcript to be right.
                    Request::Interrupt { step, force }
                        if *step == live.step && self.sequencer.session().role(&author.principal) != Role::Observer =>
                    {
                        self.interrupt(step, *force);
                        let answer = FromHub::Answer { id, head: self.shared.ring.head(), refusal: None };
                        if let Some(outbox) = outbox.upgrade() {
                            outbox.push(&binary_frame(&answer.encode()));
                        }
                    }
                    request => refuse(&outbox, id, request.describe()),
                },
                // What runs is left alone until somebody insists, as in a hub that is well.
                Some(Incoming::Stop { force: true }) => return,
                Some(Incoming::Stop { force: false }) => {
                    tracing::warn!(
                        "step {} runs; the hub ends when it has ended, or at once when asked again",
                        live.step
                    );
                }
                Some(_) => {}
                None => return,
            }
        }
    }
}

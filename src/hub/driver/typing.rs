//! What the lead types to the command that runs: on record first, then typed.

use super::super::fanout::Outbox;
use super::super::sequencer::SequencerError;
use super::{Batch, Driver};
use crate::clock::At;
use crate::event::{Event, Part};
use crate::name::StepId;
use crate::session::request::Typed;
use crate::session::{Author, Fact, Request};
use std::sync::Weak;

impl Driver {
    /// Asks whether that line may be typed, now that it is known whether the terminal hides it.
    pub(super) fn type_line(
        &mut self,
        author: Author,
        id: u64,
        request: Request,
        outbox: Weak<Outbox>,
        now: At,
        batch: &mut Batch,
    ) -> Result<(), SequencerError> {
        let Request::Type { step, attempt, text, .. } = request else { return Ok(()) };
        let live =
            self.live.as_ref().filter(|live| (&live.step, live.attempt, live.part) == (&step, attempt, Part::Step));
        let hidden = live.and_then(|live| live.running.hides_typing());
        // A secret that is known has its own mark in all that is shown; what is typed is it all the same.
        let shown = match hidden {
            Some(false) => Typed(self.vault.text(text.0.clone())),
            _ => text.clone(),
        };
        let request = Request::Type { step, attempt, text: shown, hidden };
        let answer = self.sequencer.request(now, &author, &request)?;
        let written = answer.lines.iter().find(|line| matches!(line.line.event, Event::InputWritten { .. }));
        if let Some(written) = written {
            self.typed.push((written.line.seq, text, hidden == Some(true)));
        }
        self.answer(id, &request, answer, outbox, batch);
        Ok(())
    }

    /// The line with that number is durable: types it.
    pub(super) fn typed(&mut self, step: &StepId, attempt: u32, seq: u64) -> Option<Fact> {
        let index = self.typed.iter().position(|(of, ..)| *of == seq)?;
        let (_, text, hidden) = self.typed.swap_remove(index);
        let live =
            self.live.as_ref().filter(|live| (&live.step, live.attempt, live.part) == (step, attempt, Part::Step));
        let typed = match live {
            Some(live) => live.running.type_line(&text.0, hidden).map_err(|error| error.to_string()),
            None => Err("it has ended".to_owned()),
        };
        typed.err().map(|why| Fact::InputLost { step: step.clone(), attempt, why })
    }
}

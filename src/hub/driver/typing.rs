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
use std::time::Duration;

/// So long a command has to be quiet before it is asked whether it waits for keys; and so long between two looks.
const QUIET: Duration = Duration::from_secs(2);
/// The most that is kept of the line it printed last.
const LINE_BYTES: usize = 400;

/// Since when a command has printed nothing, and what it printed last.
pub(super) struct Quiet {
    since: At,
    /// Looked at once it was quiet for that long.
    next: Duration,
    /// Nobody may type to it, and nobody was told yet that it waits.
    watched: bool,
    tail: Vec<u8>,
}

impl Quiet {
    pub(super) fn new(now: At, watched: bool) -> Quiet {
        Quiet { since: now, next: QUIET, watched, tail: vec![] }
    }
    /// It printed that.
    pub(super) fn printed(&mut self, bytes: &[u8], now: At) {
        (self.since, self.next) = (now, QUIET);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(LINE_BYTES)..]);
        self.tail.drain(..self.tail.len().saturating_sub(LINE_BYTES));
    }
    /// The last line that is not blank, without what moves a cursor or colours it.
    fn line(&self) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                    while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
                }
                '\r' | '\n' => plain.push('\n'),
                c if c.is_control() => {}
                c => plain.push(c),
            }
        }
        crate::event::last_line(&plain).unwrap_or_default().to_owned()
    }
}

impl Driver {
    /// That the running command waits for keys which nobody may press: told once.
    pub(super) fn asks(&mut self, now: At) -> Option<Fact> {
        let live = self.live.as_mut().filter(|live| live.quiet.watched)?;
        if now.since(live.quiet.since) < live.quiet.next {
            return None;
        }
        live.quiet.next += QUIET;
        if !live.running.waits_for_keys() {
            return None;
        }
        live.quiet.watched = false;
        let (step, attempt, part, line) = (live.step.clone(), live.attempt, live.part, live.quiet.line());
        Some(Fact::AnswerAwaited { step, attempt, part, line })
    }

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

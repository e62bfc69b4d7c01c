//! What a session leaves open for the next one of its plan: folded from its lines, so that nobody has to remember it.

use super::phase::Phase;
use super::preflight::{Counts, counts};
use super::{Session, story};
use crate::event::{Earlier, Event, Flown};
use crate::hash::Hash;
use crate::transcript::record::Line;

/// More is a transcript to be read, not a list to be worked off.
const OPEN_MAX: usize = 50;
/// A person's words in one of them.
const WORDS_CHARS: usize = 300;

/// A session being gone through for what it leaves open.
pub struct Leftover {
    session: Session,
    /// Exceptions that were made, in sentences.
    exceptions: Vec<String>,
}

impl Leftover {
    /// Of the session that this line opens; nothing where it opens none.
    pub fn open(line: &Line, hash: Hash) -> Option<Leftover> {
        Some(Leftover { session: Session::open(line, hash).ok()?, exceptions: vec![] })
    }

    /// Takes one line in.
    pub fn take(&mut self, line: &Line, hash: Hash) {
        if matches!(line.event, Event::GateWaived { .. } | Event::BreakGlass { .. }) {
            self.exceptions.extend(story(&self.session, line));
        }
        self.session.apply(line, hash);
    }

    /// What ran of each of its steps.
    pub fn flown(&self) -> Vec<Flown> {
        self.session.has_flown()
    }

    /// What it left open; `unread`: why the rest of it could not be read.
    pub fn ends(self, unread: Option<String>) -> Earlier {
        let session = &self.session;
        let mut open = vec![];
        open.extend(unread.map(|why| format!("the rest of its transcript cannot be read: {why}")));
        if session.closed.is_none() {
            open.push("it was never closed".to_owned());
        }
        for (index, step) in session.plan.steps.iter().enumerate() {
            let Some(state) = session.steps.get(&step.id) else { continue };
            if !matches!(state.phase, Phase::Done | Phase::SettledDone) && !session.is_idle_adhoc(&step.id) {
                open.push(format!("step {:02} {} is {}", index + 1, step.id, state.phase.word()));
            }
        }
        for item in &session.plan.checklist {
            match session.preflight.answers.get(&item.id) {
                None => open.push(format!("checklist {} was not answered", item.id)),
                Some(said) if counts(item, &said.answer, said.at) != Ok(Counts::Yes) => {
                    open.push(format!("checklist {} was answered by {}: {}", item.id, said.by, said.answer));
                }
                Some(_) => {}
            }
        }
        open.extend(self.exceptions);
        let more = open.len().saturating_sub(OPEN_MAX);
        open.truncate(OPEN_MAX);
        if more > 0 {
            open.push(format!("and {more} more; `crosscheck report` on its transcript tells all"));
        }
        let cut = |text: String| match text.char_indices().nth(WORDS_CHARS) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        };
        let open = open.into_iter().map(|text| crate::name::shown(&cut(text))).collect();
        Earlier { session: session.id.clone(), at: session.at, open }
    }
}

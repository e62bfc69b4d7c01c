//! What the lead types to a running command (`input`). Pure, like the fold.
//!
//! Text that the command's terminal shows is in the transcript, word for word. While the terminal hides it (a password is
//! asked for), only how many characters were typed is known to anyone but the command: the text is in no event, no refusal
//! and no log. The hub says which of the two it is, by the terminal's echo at that moment.

use super::request::{Author, Refusal, Typed};
use super::steps::Phase;
use super::{Session, decide};
use crate::event::Event;
use crate::name::StepId;
use crate::plan::Input;

/// The longest line a terminal takes at once is 4096 bytes with its end.
pub const TYPED_BYTES_MAX: usize = 4000;

/// A line for the command that runs. `hidden`: whether its terminal hides what is typed, filled in by the hub.
pub(super) fn typed(
    session: &Session,
    author: &Author,
    (id, attempt): (&StepId, u32),
    text: &Typed,
    hidden: Option<bool>,
) -> Result<Vec<Event>, Refusal> {
    decide::lead_only(session, &author.principal)?;
    let state = decide::state_of(session, id)?;
    let input = session.plan.step(id).map_or(Input::None, |step| step.command.input);
    if input == Input::None {
        return Err(Refusal::TakesNoInput { step: id.clone() });
    }
    if state.attempt != attempt {
        return Err(Refusal::Attempt { step: id.clone(), asked: attempt, now: state.attempt });
    }
    let (Phase::Running, Some(hidden)) = (state.phase, hidden) else {
        return Err(Refusal::NotRunning { step: id.clone() });
    };
    if input == Input::HiddenOnly && !hidden {
        return Err(Refusal::EchoOn { step: id.clone() });
    }
    if text.0.len() > TYPED_BYTES_MAX {
        return Err(Refusal::TypedTooLong(text.0.len()));
    }
    if text.0.chars().any(char::is_control) {
        return Err(Refusal::TypedControl);
    }
    let chars = u32::try_from(text.0.chars().count()).unwrap_or(u32::MAX);
    let shown = (!hidden).then(|| text.0.clone());
    Ok(vec![Event::InputWritten { step: id.clone(), attempt, chars, text: shown }])
}

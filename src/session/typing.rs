//! What the lead types to a running command (`input`). Pure, like the fold.
//!
//! Text that the command's terminal shows is in the transcript, word for word. While the terminal hides it (a password is
//! asked for), only how many characters were typed is known to anyone but the command: the text is in no event, no refusal
//! and no log. The hub says which of the two it is, by the terminal's echo at that moment.

use super::guard::{Ask, Reasons};
use super::phase::Phase;
use super::refusal::Refusal;
use super::request::{Request, TYPED_BYTES_MAX};
use crate::event::Event;
use crate::plan::Input;

fn typed<'a>(ask: &Ask<'a>) -> Option<(&'a str, Option<bool>)> {
    match ask.request {
        Request::Type { text, hidden, .. } => Some((&text.0, *hidden)),
        _ => None,
    }
}

fn input(ask: &Ask) -> Input {
    ask.step().and_then(|(step, _)| step.command()).map_or(Input::None, |command| command.input)
}

/// The plan lets the lead type to it.
pub(super) fn takes_input(ask: &Ask, no: &mut Reasons) {
    if let (Some(step), Input::None) = (ask.request.step(), input(ask)) {
        no.because(Refusal::TakesNoInput { step: step.clone() });
    }
}

/// It runs, in a terminal that can be typed to.
pub(super) fn is_running(ask: &Ask, no: &mut Reasons) {
    let (Some((step, state)), Some((_, hidden))) = (ask.step(), typed(ask)) else { return };
    if state.phase != Phase::Running || hidden.is_none() {
        no.because(Refusal::NotRunning { step: step.id.clone() });
    }
}

/// Its terminal hides what is typed, where the plan asks for that.
pub(super) fn is_hidden_where_it_must_be(ask: &Ask, no: &mut Reasons) {
    let (Some((step, _)), Some((_, Some(false)))) = (ask.step(), typed(ask)) else { return };
    if input(ask) == Input::HiddenOnly {
        no.because(Refusal::EchoOn { step: step.id.clone() });
    }
}

/// A terminal takes it as one line of text.
pub(super) fn is_a_line_of_text(ask: &Ask, no: &mut Reasons) {
    let Some((text, _)) = typed(ask) else { return };
    if text.len() > TYPED_BYTES_MAX {
        no.because(Refusal::TypedTooLong(text.len()));
    }
    if text.chars().any(char::is_control) {
        no.because(Refusal::TypedControl);
    }
}

/// What is kept of it: the text where its terminal shows it, else how long it was.
pub(super) fn written(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let (Some((step, state)), Some((text, hidden))) = (ask.step(), typed(ask)) else { return Ok(vec![]) };
    let chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let shown = (hidden == Some(false)).then(|| text.to_owned());
    Ok(vec![Event::InputWritten { step: step.id.clone(), attempt: state.attempt, chars, text: shown }])
}

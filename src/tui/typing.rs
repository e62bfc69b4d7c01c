//! A line being typed: editing, pasting, and the request it becomes once Enter is pressed.

use super::app::{App, Field, Now, Overlay, Purpose};
use super::update::Action;
use crate::client::view::{Link, View};
use crate::event::Settled;
use crate::name::{Principal, StepId, shown};
use crate::session::Request;
use crate::session::request::{TEXT_CHARS_MAX, Typed};
use crate::session::steps::Phase;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

/// Takes pasted text in, or says why not.
pub(super) fn paste(app: &mut App, text: &str, now: Now) {
    let field = match &mut app.overlay {
        Overlay::Field(field) => Some(field),
        Overlay::Panel(panel) => panel.field.as_mut(),
        _ => None,
    };
    match field {
        Some(field) if field.purpose.takes_paste() => {
            for c in shown(text).chars() {
                insert(&mut field.input, c);
            }
        }
        Some(_) => app.toast("pasted text is not taken here: type it", true, now.mono),
        None => app.toast("pasted text is dropped: c opens the chat", true, now.mono),
    }
}

fn insert(input: &mut Input, c: char) {
    if input.value().chars().count() < TEXT_CHARS_MAX && !crate::name::is_hidden(c) {
        input.handle(InputRequest::InsertChar(c));
    }
}

/// A key while a line is typed.
pub(super) fn key(app: &mut App, key: KeyEvent, view: &View, now: Now, actions: &mut Vec<Action>) {
    let on_panel = matches!(app.overlay, Overlay::Panel(_));
    let field = match &mut app.overlay {
        Overlay::Field(field) => field,
        Overlay::Panel(panel) => match &mut panel.field {
            Some(field) => field,
            None => return,
        },
        _ => return,
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if let (Purpose::Settle { outcome: outcome @ None, .. }, KeyCode::Char(c)) = (&mut field.purpose, key.code) {
        // First the choice, by a letter of its own; only then the sentence.
        match c {
            'd' | 'в' if !control => *outcome = Some(Settled::Done),
            'f' | 'а' if !control => *outcome = Some(Settled::Failed),
            'c' if control => app.overlay = Overlay::None,
            _ => {}
        }
        return;
    }
    let edit = match key.code {
        KeyCode::Esc => {
            close_field(app, on_panel);
            return;
        }
        KeyCode::Char('c') if control => {
            // It leaves the line, like everywhere; whoever meant the command is told which key that is.
            let typed = matches!(field.purpose, Purpose::Type { .. });
            close_field(app, on_panel);
            if typed {
                app.toast("left the command's terminal; i interrupts the command", false, now.mono);
            }
            return;
        }
        KeyCode::Enter => match submit(field, view) {
            Ok(request) => {
                match field.purpose {
                    // The next question may be waiting: only Esc leaves.
                    Purpose::Type { .. } => field.input.reset(),
                    _ => close_field(app, on_panel),
                }
                actions.push(Action::Ask(request));
                return;
            }
            Err(why) => {
                field.error = Some(why);
                return;
            }
        },
        KeyCode::Char('u') if control => InputRequest::DeleteFromStart,
        KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
        KeyCode::Char('a') if control => InputRequest::GoToStart,
        KeyCode::Char('e') if control => InputRequest::GoToEnd,
        KeyCode::Char(c) if !control => {
            field.error = None;
            insert(&mut field.input, c);
            return;
        }
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        _ => return,
    };
    field.input.handle(edit);
}

fn close_field(app: &mut App, on_panel: bool) {
    match &mut app.overlay {
        Overlay::Panel(panel) if on_panel => panel.field = None,
        overlay => *overlay = Overlay::None,
    }
}

fn is_manual(view: &View, step: &StepId) -> bool {
    view.session.plan.step(step).is_some_and(|step| step.manual.is_some())
}

/// The request that a typed line becomes, or what is wrong with it.
fn submit(field: &Field, view: &View) -> Result<Request, String> {
    if !matches!(view.link, Link::Live { .. }) {
        return Err("not sent: the link is lost".into()); // the text stays until it is back
    }
    let text = field.input.value().trim().to_owned();
    let needed = |what: &str| match text.is_empty() {
        true => Err(what.to_owned()),
        false => Ok(text.clone()),
    };
    Ok(match &field.purpose {
        Purpose::Say => Request::Say { text: needed("nothing typed; Esc closes")? },
        Purpose::Mark => Request::Mark { text: needed("nothing typed; Esc closes")? },
        Purpose::Run { step, attempt, number } if is_manual(view, step) => {
            let (typed, note) = text.split_once(' ').unwrap_or((&text, ""));
            match typed.parse::<usize>() {
                Ok(typed) if *number > 0 && typed == *number => {
                    Request::Did { step: step.clone(), attempt: *attempt, note: note.trim().to_owned() }
                }
                _ => return Err(format!("that does not begin with {number:02}")),
            }
        }
        Purpose::Run { step, attempt, number } => match text.parse::<usize>() {
            Ok(typed) if *number > 0 && typed == *number => Request::Run { step: step.clone(), attempt: *attempt },
            _ => return Err(format!("that is not {number:02}")),
        },
        // As it was typed, blanks and all: an empty line is an answer too.
        Purpose::Type { step, attempt } => Request::Type {
            step: step.clone(),
            attempt: *attempt,
            text: Typed(field.input.value().to_owned()),
            hidden: None,
        },
        Purpose::Interrupt { step } => match text.strip_prefix("kill ") {
            Some(id) if id.trim() == step.as_str() => Request::Interrupt { step: step.clone(), force: true },
            None if text == step.as_str() => Request::Interrupt { step: step.clone(), force: false },
            _ => return Err(format!("that is neither {step} nor kill {step}")),
        },
        Purpose::Object { step, attempt, digest } => Request::Object {
            step: step.clone(),
            attempt: *attempt,
            digest: *digest,
            why: needed("say why: the lead has to know what to change")?,
        },
        Purpose::Settle { step, outcome } => {
            let why = needed("say how you know")?;
            let phase = view.session.steps.get(step).map(|state| state.phase);
            match (outcome, phase) {
                (None, _) => return Err("first d or f".into()),
                (Some(Settled::Failed), Some(Phase::Failed)) => Request::Ack { step: step.clone(), why },
                (Some(outcome), _) => Request::Settle { step: step.clone(), outcome: *outcome, why },
            }
        }
        Purpose::Handover { names } => {
            let mut fitting = names.iter().filter(|name| name.as_str() == text || name.short() == text);
            match (fitting.next(), fitting.next()) {
                (Some(to), None) => Request::Handover { to: to.clone() },
                (Some(_), Some(_)) => return Err("more than one is called that; type the whole name".into()),
                _ => {
                    let names: Vec<_> = names.iter().map(Principal::short).collect();
                    return Err(format!("type one of: {}", names.join(", ")));
                }
            }
        }
        Purpose::Close => match text.strip_prefix("close") {
            Some(note) if note.is_empty() || note.starts_with(' ') => Request::Close { note: note.trim().into() },
            _ => return Err("that is not the word close".into()),
        },
    })
}

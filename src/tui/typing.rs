//! A line being typed: editing, pasting, and the request it becomes once Enter is pressed.

use super::app::{App, Field, Now, Overlay, Purpose};
use super::happened::Action;
use crate::brief::acts::{Act, Place};
use crate::client::view::{Link, View};
use crate::event::Settled;
use crate::name::{Principal, StepId, shown};
use crate::session::Request;
use crate::session::preflight::until;
use crate::session::request::{TEXT_CHARS_MAX, Typed};
use crate::session::steps::Phase;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

/// Takes pasted text in, or says why not.
pub(super) fn paste(app: &mut App, text: &str, now: Now) {
    match open_field(app) {
        Some(field) if field.purpose.takes_paste() => {
            for c in shown(text).chars() {
                insert(&mut field.input, c);
            }
        }
        Some(Field { purpose: Purpose::ReadBack { .. }, error, .. }) => {
            *error = Some("paste is refused: type it from your own copy of the runbook".into());
        }
        // Where one looks while typing: a command would take the next Enter for an empty answer.
        Some(field) => field.error = Some("pasted text is not taken here: type it".into()),
        None => {
            let chat = app.keys.first(Act::Say, Place::Main);
            app.toast(format!("pasted text is dropped: {chat} opens the chat"), true, now.mono);
        }
    }
}

/// A line is to be typed, where one is on: on the panel, on the page, or over the main screen.
pub(super) fn begin(app: &mut App, field: Field) {
    match &mut app.overlay {
        Overlay::Panel(panel) => panel.field = Some(field),
        Overlay::Preflight(page) => page.field = Some(field),
        overlay => *overlay = Overlay::Field(field),
    }
}

/// The line that is typed just now.
pub(super) fn open_field(app: &mut App) -> Option<&mut Field> {
    match &mut app.overlay {
        Overlay::Field(field) => Some(field),
        Overlay::Panel(panel) => panel.field.as_mut(),
        Overlay::Preflight(page) => page.field.as_mut(),
        _ => None,
    }
}

fn insert(input: &mut Input, c: char) {
    if input.value().chars().count() < TEXT_CHARS_MAX && !crate::name::is_hidden(c) {
        input.handle(InputRequest::InsertChar(c));
    }
}

/// A key while a line is typed.
pub(super) fn key(app: &mut App, key: KeyEvent, view: &View, now: Now, actions: &mut Vec<Action>) {
    let field = match &mut app.overlay {
        Overlay::Field(field) => field,
        Overlay::Panel(panel) => match &mut panel.field {
            Some(field) => field,
            None => return,
        },
        Overlay::Preflight(page) => match &mut page.field {
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
            close_field(app);
            return;
        }
        KeyCode::Char('c') if control => {
            // It leaves the line, like everywhere; whoever meant the command is told which key that is.
            let typed = matches!(field.purpose, Purpose::Type { .. });
            close_field(app);
            if typed {
                let interrupt = app.keys.first(Act::Interrupt, Place::Main);
                let text = format!("left the command's terminal; {interrupt} interrupts the command");
                app.toast(text, false, now.mono);
            }
            return;
        }
        KeyCode::Enter => match submit(field, view, now) {
            Ok(request) => {
                match field.purpose {
                    // The next question may be waiting: only Esc leaves.
                    Purpose::Type { .. } => field.input.reset(),
                    _ => close_field(app),
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
            if matches!(field.purpose, Purpose::ReadBack { .. }) && field.pace.is_burst(now.mono) {
                field.input.reset();
                field.error = Some("that came faster than anybody types: not taken; type it from your own copy".into());
                return;
            }
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

fn close_field(app: &mut App) {
    match &mut app.overlay {
        Overlay::Panel(panel) => panel.field = None,
        Overlay::Preflight(page) => page.field = None,
        overlay => *overlay = Overlay::None,
    }
}

fn is_manual(view: &View, step: &StepId) -> bool {
    view.session.plan.step(step).is_some_and(|step| step.by_hand().is_some())
}

/// The request that a typed line becomes, or what is wrong with it.
fn submit(field: &Field, view: &View, now: Now) -> Result<Request, String> {
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
        Purpose::Rollback { step, attempt, number } => match text.parse::<usize>() {
            Ok(typed) if *number > 0 && typed == *number => Request::Rollback { step: step.clone(), attempt: *attempt },
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
        Purpose::ReadBack { step, attempt, field } => Request::ReadBack {
            step: step.clone(),
            attempt: *attempt,
            field: field.clone(),
            value: needed("type it from your own copy of the runbook; Esc goes back")?,
        },
        Purpose::Settle { step, outcome } => {
            let why = needed("say how you know")?;
            let phase = view.session.steps.get(step).map(|state| state.phase);
            match (outcome, phase) {
                (None, _) => return Err("first d or f".into()),
                (Some(Settled::Failed), Some(Phase::Failed | Phase::RolledBack)) => {
                    Request::Ack { step: step.clone(), why }
                }
                (Some(outcome), _) => Request::Settle { step: step.clone(), outcome: *outcome, why },
            }
        }
        Purpose::Waive { step, attempt, watch, status } => Request::Waive {
            step: step.clone(),
            attempt: *attempt,
            watch: watch.clone(),
            status: *status,
            why: needed("say why this gate need not hold")?,
        },
        Purpose::Skip { step } => Request::Skip { step: step.clone(), why: needed("say why it is left out")? },
        Purpose::BreakGlass { step, attempt, digest } => {
            let (id, why) = text.split_once(' ').unwrap_or((text.as_str(), ""));
            if id != step.as_str() || why.trim().is_empty() {
                return Err(format!("type {step} and then why nobody else can check it"));
            }
            let (confirm, why) = (id.to_owned(), why.trim().to_owned());
            Request::BreakGlass { step: step.clone(), attempt: *attempt, digest: *digest, confirm, why }
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
        Purpose::Readmit { who, key } => match *text == *who.as_str() || *text == *who.short() {
            true => Request::Readmit { who: who.clone(), key: key.clone() },
            false => return Err(format!("that is not {}", who.short())),
        },
        Purpose::NoGo { poll } => Request::NoGo { poll: *poll, why: needed("say why: everyone has to know")? },
        Purpose::Answer { item } => {
            Request::Answer { item: item.clone(), answer: needed("nothing typed; Esc closes")? }
        }
        Purpose::Fit => match text.strip_prefix("unfit") {
            Some(why) => Request::Available { fit: false, until: None, why: why.trim().to_owned() },
            None => {
                let until = until(&text, view.now(now.wall))?;
                Request::Available { fit: true, until, why: String::new() }
            }
        },
        Purpose::Seat { seats } => match seats.iter().find(|seat| **seat == text) {
            Some(seat) => Request::Seat { seat: seat.clone() },
            None => return Err(format!("type one of: {}", seats.join(", "))),
        },
        Purpose::Set => Request::set(&needed("nothing typed; Esc closes")?)?,
        Purpose::Edit { step } => Request::edit(step.clone(), &needed("nothing typed; Esc closes")?)?,
        Purpose::AdHoc => Request::adhoc(&needed("nothing typed; Esc closes")?),
        Purpose::Close => match text.strip_prefix("close") {
            Some(note) if note.is_empty() || note.starts_with(' ') => Request::Close { note: note.trim().into() },
            _ => return Err("that is not the word close".into()),
        },
    })
}

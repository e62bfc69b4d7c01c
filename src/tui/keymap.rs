//! One table of what can be done: the footer, the help and the keys all come from it. What cannot be done now stays
//! listed, with its reason.

use super::app::{App, Overlay, Pane};
use super::{exceptions, facts};
use crate::client::view::{Link, View};
use crate::clock::At;
use crate::event::Role;
use crate::plan::{Input, Step};
use crate::session::steps::{Phase, StepState};
use crate::session::{Request, Session};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Something a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // `help` says what each does
pub enum Verb {
    Andon,
    Arm,
    Run,
    Open,
    Disarm,
    Withdraw,
    Interrupt,
    Type,
    Probe,
    Settle,
    Rollback,
    Waive,
    Skip,
    BreakGlass,
    Release,
    Handover,
    Set,
    Edit,
    AdHoc,
    Say,
    Mark,
    Close,
    Quit,
    Help,
    Zoom,
    Theme,
    Pane(u8),
    NextPane,
    PrevPane,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Back,
    Yes,
    No,
    ReadBack,
    NextUnseen,
    Play,
    Rewind,
    Forward,
    PrevEvent,
    NextEvent,
    PrevStep,
    NextStep,
    Slower,
    Faster,
    Tenth(u8),
    Before,
    Poll,
    Go,
    NoGo,
    Seat,
    Answer,
    Fit,
}

/// Where a key was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The main screen of a live session.
    Main,
    /// The cross-check panel.
    Panel,
    /// The page on what has to be in order before the first critical step.
    Before,
    /// The main screen of a replay.
    Replay,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The key as people read it.
    pub key: &'static str,
    /// What it does.
    pub verb: Verb,
    /// In two words, for the footer; empty where it is not worth the room.
    pub short: &'static str,
    /// In a sentence, for the help.
    pub help: &'static str,
}

macro_rules! entries {
    ($($key:literal $verb:expr, $short:literal, $help:literal;)*) => {
        &[$(Entry { key: $key, verb: $verb, short: $short, help: $help }),*]
    };
}

/// What the main screen of a live session offers, the most wanted first.
pub const MAIN: &[Entry] = entries! {
    "a" Verb::Arm, "arm", "arm the step: freeze what would run, so that shadows can check exactly that";
    "r" Verb::Run, "run", "run what is cleared; asks for the step's number";
    "x" Verb::Open, "check", "open the cross-check of what is armed";
    "u" Verb::Withdraw, "withdraw", "take your check back";
    "d" Verb::Disarm, "disarm", "let go of what is armed; every check on it ends";
    "k" Verb::Settle, "settle", "take note of how a failed or unknown step counts";
    "R" Verb::Rollback, "roll back", "undo the step that ended badly, as it was checked with it; asks for the step's number";
    "P" Verb::Probe, "probe", "run the probe of what has to be settled";
    "p" Verb::Set, "set", "give a parameter a value; where the plan has another one it is a deviation and needs a reason";
    "e" Verb::Edit, "edit", "type another command for the step: a deviation, cross-checked, marked for ever";
    "o" Verb::AdHoc, "ad hoc", "type and arm a command that the plan does not have";
    "A" Verb::Release, "release", "agree that the line goes on";
    "w" Verb::Waive, "waive", "a shadow's exception to one gate, for the next attempt, with a reason";
    "S" Verb::Skip, "skip", "leave a step out: the lead and one shadow, each with a reason";
    "B" Verb::BreakGlass, "break glass", "the lead alone clears what is armed, where the plan allows it and nobody else is there";
    "i" Verb::Interrupt, "interrupt", "interrupt what runs or waits; asks for the step's id";
    "T" Verb::Type, "type", "type lines to the running command; Esc leaves";
    "c" Verb::Say, "chat", "say something to everyone";
    "m" Verb::Mark, "mark", "put a mark on the timeline";
    "H" Verb::Handover, "hand over", "hand the lead to somebody, or agree to take it";
    "b" Verb::Before, "before", "seats, checklist, who is fit until when, and the go/no-go poll";
    "Q" Verb::Close, "close", "end the session; asks for the word close";
    "z" Verb::Zoom, "zoom", "let the panel fill the screen, and back";
    "1-7" Verb::Pane(1), "panel", "go to a panel; Tab and Shift-Tab go on and back";
    "t" Verb::Theme, "theme", "next theme";
    "↑↓" Verb::Down, "", "scroll the panel (also j, PgUp, PgDn, g, G); in the plan: pick a step";
    "q" Verb::Quit, "quit", "leave this screen; the session goes on";
    "?" Verb::Help, "help", "this list";
    "!" Verb::Andon, "ANDON", "stop the line, at once and without a question; Ctrl-X while typing";
};

/// What the cross-check panel offers.
pub const PANEL: &[Entry] = entries! {
    "y" Verb::Yes, "check", "yes to exactly this digest";
    "n" Verb::No, "object", "no, and why";
    "r" Verb::ReadBack, "read back", "type a field from your own copy of the runbook, where the step asks for it";
    "c" Verb::Say, "ask", "ask in the chat";
    "Tab" Verb::NextPane, "section", "next section; 1-5 go to one";
    "Space" Verb::NextUnseen, "next unseen", "to the next part that was not on screen yet";
    "Esc" Verb::Back, "later", "close the panel without an answer";
    "!" Verb::Andon, "ANDON", "stop the line";
};

/// What the page before the first critical step offers.
pub const BEFORE: &[Entry] = entries! {
    "g" Verb::Go, "go", "go, for everything that stands there";
    "n" Verb::NoGo, "no-go", "no-go, and why";
    "s" Verb::Seat, "seat", "take your seat";
    "e" Verb::Answer, "answer", "answer the item that is picked with the arrows";
    "f" Verb::Fit, "fit", "say whether you are fit to fly, and until when";
    "p" Verb::Poll, "poll", "lead: call the poll; what was answered before counts no more";
    "c" Verb::Say, "chat", "say something to everyone";
    "Esc" Verb::Back, "close", "close the page without an answer";
    "!" Verb::Andon, "ANDON", "stop the line; pulling it once, before, is how it is tried";
};

/// What a replay offers.
pub const REPLAY: &[Entry] = entries! {
    "Space" Verb::Play, "play", "play and pause";
    "←→" Verb::Forward, "5 s", "five seconds back and on";
    ", ." Verb::NextEvent, "event", "one event back and on";
    "[ ]" Verb::NextStep, "step", "one step back and on";
    "- +" Verb::Faster, "speed", "slower and faster";
    "0-9" Verb::Tenth(0), "tenth", "to that tenth of the session";
    "Tab" Verb::NextPane, "panel", "next panel";
    "b" Verb::Before, "before", "seats, checklist and poll as they stood at this moment";
    "x" Verb::Open, "panel", "what was armed at this moment";
    "z" Verb::Zoom, "zoom", "let the panel fill the screen, and back";
    "t" Verb::Theme, "theme", "next theme";
    "q" Verb::Quit, "quit", "leave";
    "?" Verb::Help, "help", "this list";
};

/// Where keys go now.
pub fn place(app: &App, view: &View) -> Place {
    match (&app.overlay, &view.link) {
        (Overlay::Panel(_), _) => Place::Panel,
        (Overlay::Before(_), _) => Place::Before,
        (_, Link::Replay { .. }) => Place::Replay,
        _ => Place::Main,
    }
}

/// The table of a place.
pub fn table(place: Place) -> &'static [Entry] {
    match place {
        Place::Main => MAIN,
        Place::Panel => PANEL,
        Place::Before => BEFORE,
        Place::Replay => REPLAY,
    }
}

/// What a key means there. Enter means nothing anywhere: it only sends typed text.
pub fn verb(place: Place, key: KeyEvent) -> Option<Verb> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('x') => Some(Verb::Andon),
            KeyCode::Char('c') if place != Place::Panel => Some(Verb::Quit),
            _ => None,
        };
    }
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let character = match key.code {
        KeyCode::Char(c) => latin(c),
        KeyCode::Esc => return Some(Verb::Back),
        KeyCode::Tab => return Some(Verb::NextPane),
        KeyCode::BackTab => return Some(Verb::PrevPane),
        KeyCode::Up => return Some(Verb::Up),
        KeyCode::Down => return Some(Verb::Down),
        KeyCode::PageUp => return Some(Verb::PageUp),
        KeyCode::PageDown => return Some(Verb::PageDown),
        KeyCode::Home => return Some(Verb::Top),
        KeyCode::End => return Some(Verb::Bottom),
        KeyCode::Left if place == Place::Replay => return Some(Verb::Rewind),
        KeyCode::Right if place == Place::Replay => return Some(Verb::Forward),
        _ => return None,
    };
    if place == Place::Before {
        return match character {
            'g' => Some(Verb::Go),
            'n' => Some(Verb::NoGo),
            's' => Some(Verb::Seat),
            'e' => Some(Verb::Answer),
            'f' => Some(Verb::Fit),
            'p' => Some(Verb::Poll),
            'c' => Some(Verb::Say),
            'b' => Some(Verb::Before),
            'j' => Some(Verb::Down),
            'k' => Some(Verb::Up),
            'G' => Some(Verb::Bottom),
            't' => Some(Verb::Theme),
            '!' => Some(Verb::Andon),
            _ => None,
        };
    }
    let any = match character {
        '!' if place != Place::Replay => Some(Verb::Andon),
        '?' if place != Place::Panel => Some(Verb::Help),
        'z' => Some(Verb::Zoom),
        't' => Some(Verb::Theme),
        'j' => Some(Verb::Down),
        'g' => Some(Verb::Top),
        'G' => Some(Verb::Bottom),
        _ => None,
    };
    any.or(match (place, character) {
        (Place::Main, 'a') => Some(Verb::Arm),
        (Place::Main, 'r') => Some(Verb::Run),
        (Place::Main | Place::Replay, 'b') => Some(Verb::Before),
        (Place::Main | Place::Replay, 'x') => Some(Verb::Open),
        (Place::Main, 'u') => Some(Verb::Withdraw),
        (Place::Main, 'd') => Some(Verb::Disarm),
        (Place::Main, 'k') => Some(Verb::Settle),
        (Place::Main, 'R') => Some(Verb::Rollback),
        (Place::Main, 'w') => Some(Verb::Waive),
        (Place::Main, 'S') => Some(Verb::Skip),
        (Place::Main, 'B') => Some(Verb::BreakGlass),
        (Place::Main, 'p') => Some(Verb::Set),
        (Place::Main, 'e') => Some(Verb::Edit),
        (Place::Main, 'o') => Some(Verb::AdHoc),
        (Place::Main, 'A') => Some(Verb::Release),
        (Place::Main, 'i' | 'I') => Some(Verb::Interrupt),
        (Place::Main, 'T') => Some(Verb::Type),
        (Place::Main, 'P') => Some(Verb::Probe),
        (Place::Main, 'm') => Some(Verb::Mark),
        (Place::Main, 'H') => Some(Verb::Handover),
        (Place::Main, 'Q') => Some(Verb::Close),
        (Place::Main | Place::Panel, 'c') => Some(Verb::Say),
        (Place::Main | Place::Replay, 'q') => Some(Verb::Quit),
        (Place::Main, c @ '1'..='7') => Some(Verb::Pane(c as u8 - b'0')),
        (Place::Panel, 'y') => Some(Verb::Yes),
        (Place::Panel, 'n') => Some(Verb::No),
        (Place::Panel, 'r') => Some(Verb::ReadBack),
        (Place::Panel, ' ') => Some(Verb::NextUnseen),
        (Place::Panel, 'k') => Some(Verb::Up),
        (Place::Panel, c @ '1'..='5') => Some(Verb::Pane(c as u8 - b'0')),
        (Place::Replay, ' ') => Some(Verb::Play),
        (Place::Replay, ',') => Some(Verb::PrevEvent),
        (Place::Replay, '.') => Some(Verb::NextEvent),
        (Place::Replay, '[') => Some(Verb::PrevStep),
        (Place::Replay, ']') => Some(Verb::NextStep),
        (Place::Replay, '-') => Some(Verb::Slower),
        (Place::Replay, '+' | '=') => Some(Verb::Faster),
        (Place::Replay, c @ '0'..='9') => Some(Verb::Tenth(c as u8 - b'0')),
        (Place::Replay, 'k') => Some(Verb::Up),
        _ => None,
    })
}

/// The letter on the same key of a Latin keyboard, for people who write in Cyrillic.
fn latin(c: char) -> char {
    const CYRILLIC: &str = "йцукенгшщзфывапролдячсмитьхъ";
    const LATIN: &str = "qwertyuiopasdfghjklzxcvbnm[]";
    let lower = c.to_lowercase().next().unwrap_or(c);
    match CYRILLIC.chars().position(|known| known == lower).and_then(|index| LATIN.chars().nth(index)) {
        Some(twin) if c == lower => twin,
        Some(twin) => twin.to_ascii_uppercase(),
        None => c,
    }
}

/// The step that `a` would arm: the one picked in the plan, else the current one.
pub fn arm_target<'a>(app: &App, session: &'a Session) -> Option<(&'a Step, &'a StepState)> {
    match &app.selected {
        Some(id) => session.plan.step(id).zip(session.steps.get(id)),
        None => session.current_step(),
    }
}

/// Whether the verb walks about in a replay, and so asks nothing of a hub.
fn moves_replay(verb: Verb) -> bool {
    use Verb::{Faster, Forward, NextEvent, NextStep, Play, PrevEvent, PrevStep, Rewind, Slower, Tenth};
    matches!(verb, Play | Rewind | Forward | PrevEvent | NextEvent | PrevStep | NextStep | Slower | Faster | Tenth(_))
}

/// What a key that is locked here asks the hub all the same. Only acts that a single key stands for: what waits for typed
/// words is not sent without them, and a locked run only as a try.
pub fn tried(verb: Verb, app: &App, view: &View) -> Option<Request> {
    let session = &*view.session;
    if !matches!(view.link, Link::Live { .. }) || view.dying.is_some() || session.closed.is_some() {
        return None;
    }
    let open = session.open_step().map(|(step, state, _)| (step.id.clone(), state.attempt));
    Some(match verb {
        Verb::Arm => Request::Arm { step: arm_target(app, session)?.0.id.clone(), covers: None },
        Verb::Run => {
            // What is armed, or was until something voided it.
            let last = session.current_step().map(|(step, state)| (step.id.clone(), state.attempt));
            open.or(last).map(|(step, attempt)| Request::TryRun { step, attempt })?
        }
        Verb::Disarm => open.map(|(step, attempt)| Request::Disarm { step, attempt })?,
        Verb::Withdraw => open.map(|(step, attempt)| Request::Withdraw { step, attempt })?,
        Verb::Release => Request::Release,
        _ => return None,
    })
}

/// Whether the main screen's verb may be tried now; if not, why not. The hub decides again; this only spares the way.
pub fn allowed(verb: Verb, app: &App, view: &View, now: At) -> Result<(), String> {
    let session = &*view.session;
    let act = !matches!(
        verb,
        Verb::Quit | Verb::Help | Verb::Zoom | Verb::Theme | Verb::Pane(_) | Verb::NextPane | Verb::PrevPane
    ) && !matches!(
        verb,
        Verb::Up | Verb::Down | Verb::PageUp | Verb::PageDown | Verb::Top | Verb::Bottom | Verb::Back
    ) && !moves_replay(verb);
    if act && verb != Verb::Open && verb != Verb::Before {
        match &view.link {
            Link::Replay { .. } => return Err("this is a replay".into()),
            Link::Lost { .. } => return Err("the link is lost".into()),
            Link::Live { .. } => {}
        }
        if view.dying.is_some() && verb != Verb::Andon {
            return Err("the hub lost its transcript".into());
        }
        if session.closed.is_some() {
            return Err("the session is closed".into());
        }
    }
    let lead = || match view.leads() {
        true => Ok(()),
        false => Err(format!("only the lead ({}) may", session.lead.short())),
    };
    let role = session.role(&view.me);
    let open = session.open_step();
    match verb {
        Verb::Arm => {
            lead()?;
            let Some((step, state)) = arm_target(app, session) else { return Err("no step is left".into()) };
            if let Some(lock) =
                facts::line_locks(session).into_iter().next().filter(|_| !session.arms_under_hold(&view.me, step))
            {
                return Err(lock);
            }
            if let Some((other, state, _)) = open {
                let (_, word, _) = facts::phase(state.phase);
                return Err(format!("{} is {word} already", facts::numbered(session, &other.id)));
            }
            if let Some((other, _)) = session.live_step() {
                return Err(format!("{} runs", facts::numbered(session, &other.id)));
            }
            if let Some((other, _)) = session.waiting_step() {
                return Err(format!("{} waits for its watch", facts::numbered(session, &other.id)));
            }
            if let Some((other, _)) = session.between_batches() {
                return Err(format!("{} is between two batches", facts::numbered(session, &other.id)));
            }
            if let Some((other, _)) = session.verifying_step() {
                return Err(format!("{} is being verified", facts::numbered(session, &other.id)));
            }
            if let Some((other, _)) = session.owing_step() {
                return Err(format!("{} has to be settled first", facts::numbered(session, &other.id)));
            }
            if !matches!(state.phase, Phase::Planned | Phase::SettledFailed) {
                return Err(format!("{} is {}", facts::numbered(session, &step.id), state.phase.word()));
            }
            let after = |id: &&crate::name::StepId| session.steps.get(*id).is_some_and(|s| !s.phase.is_over());
            if let Some(after) = step.after.iter().find(after) {
                return Err(format!("{} comes first", facts::numbered(session, after)));
            }
            let locks = facts::gate_locks(session, step, now).into_iter().chain(facts::poll_lock(session, step));
            locks.into_iter().next().map_or(Ok(()), Err)
        }
        Verb::Poll | Verb::Go | Verb::NoGo | Verb::Seat | Verb::Answer | Verb::Fit => {
            super::before::allowed(verb, view)
        }
        Verb::Run => {
            lead()?;
            match open {
                Some((_, state, _)) if state.phase == Phase::Cleared => {
                    facts::locks(session, now).into_iter().next().map_or(Ok(()), Err)
                }
                Some(_) => Err(facts::locks(session, now).join(" · ")),
                None => Err("nothing is cleared".into()),
            }
        }
        Verb::Set | Verb::Edit | Verb::AdHoc => {
            lead()?;
            if let Some((other, _)) = session.busy_step() {
                return Err(format!("{} runs", facts::numbered(session, &other.id)));
            }
            if let Some((other, _)) = session.owing_step() {
                return Err(format!("{} has to be settled first", facts::numbered(session, &other.id)));
            }
            match (verb, arm_target(app, session)) {
                (Verb::Set, _) if session.plan.params.is_empty() => Err("the plan has no parameters".into()),
                (Verb::Edit, None) => Err("no step is left".into()),
                (Verb::Edit, Some((step, state)))
                    if !state.phase.is_open() && !matches!(state.phase, Phase::Planned | Phase::SettledFailed) =>
                {
                    Err(format!("{} is {}", facts::numbered(session, &step.id), state.phase.word()))
                }
                _ => Ok(()),
            }
        }
        Verb::Disarm => {
            lead()?;
            open.map(|_| ()).ok_or_else(|| "nothing is armed".into())
        }
        Verb::Open => open.map(|_| ()).ok_or_else(|| "nothing is armed".into()),
        Verb::Withdraw => match open {
            Some((_, _, armed)) if armed.checks.contains_key(&view.me) => Ok(()),
            _ => Err("you have checked nothing that is armed".into()),
        },
        Verb::Interrupt => {
            if matches!(role, Role::Observer | Role::Seat) {
                return Err("only lead and shadows may".into());
            }
            running(session).map(|_| ()).ok_or_else(|| "nothing runs".into())
        }
        Verb::Probe => {
            if role == Role::Observer {
                return Err("observers only watch and pull the andon".into());
            }
            match session.owing_step() {
                Some((step, _)) if step.probe.is_none() => {
                    Err(format!("the plan has no probe for {}", facts::numbered(session, &step.id)))
                }
                Some(_) => Ok(()),
                None => Err("nothing has to be settled".into()),
            }
        }
        Verb::Type => {
            lead()?;
            match session.live_step() {
                Some((step, state)) if state.phase == Phase::Running => match step.command.input {
                    Input::None => {
                        Err(format!("nobody types to {}: its plan says no input", facts::numbered(session, &step.id)))
                    }
                    Input::Lead | Input::HiddenOnly => Ok(()),
                },
                _ => Err("nothing runs".into()),
            }
        }
        Verb::Settle => {
            let Some((_, state)) = session.owing_step() else { return Err("nothing has to be settled".into()) };
            if view.leads() {
                return Err("somebody other than the lead has to".into());
            }
            if !session.may_acknowledge(&view.me) {
                return Err("only a shadow or a seat may".into());
            }
            match state.still_running() {
                true => Err("its process is still alive".into()),
                false => Ok(()),
            }
        }
        Verb::Rollback => {
            lead()?;
            rollback_target(session).map(|_| ())
        }
        Verb::Waive => exceptions::waive(view, now).map(|_| ()),
        Verb::Skip => match arm_target(app, session) {
            Some(target) => exceptions::skip(view, target).map(|_| ()),
            None => Err("no step is left".into()),
        },
        Verb::BreakGlass => exceptions::break_glass(view).map(|_| ()),
        Verb::Release => match session.line.pulled.is_empty() {
            true => Err("the andon is not pulled".into()),
            false if session.line.released.contains(&view.me) => Err("you have; somebody else has to, too".into()),
            false => Ok(()),
        },
        Verb::Handover => match (&session.handover, view.leads()) {
            (_, true) => Ok(()),
            (Some(half), false) if half.to == view.me => Ok(()),
            _ if session.plan.crew.lead.contains(&view.me) || session.plan.crew.shadow.contains(&view.me) => Ok(()),
            _ => Err("only the plan's crew can lead".into()),
        },
        Verb::Close => {
            lead()?;
            match (session.live_step(), session.owing_step()) {
                (Some((step, _)), _) => Err(format!("{} runs", facts::numbered(session, &step.id))),
                (_, Some((step, _))) => Err(format!("{} has to be settled first", facts::numbered(session, &step.id))),
                _ => Ok(()),
            }
        }
        Verb::Mark if role == Role::Seat => Err("only lead and shadows may".into()),
        Verb::Say | Verb::Mark if role == Role::Observer => Err("observers only watch and pull the andon".into()),
        _ => Ok(()),
    }
}

/// The step that could be undone now, or why none can.
pub fn rollback_target(session: &Session) -> Result<(&Step, &StepState), String> {
    let Some((step, state)) = session.owing_step() else { return Err("nothing ended badly".into()) };
    match (&step.rollback, state.phase) {
        (None, _) => Err(format!("the plan says nothing of how {} is undone", facts::numbered(session, &step.id))),
        (_, phase) if !phase.may_roll_back() => {
            Err(format!("{} is {}", facts::numbered(session, &step.id), phase.word()))
        }
        _ if state.still_running() => Err("its process is still alive".into()),
        _ => Ok((step, state)),
    }
}

/// What could be interrupted: what runs, or what still runs after the hub died.
pub fn running(session: &Session) -> Option<(&Step, &StepState)> {
    session
        .live_step()
        .or_else(|| session.waiting_step())
        .or_else(|| session.between_batches())
        .or_else(|| session.verifying_step().filter(|(_, state)| state.goes_on()))
        .or_else(|| session.owing_step().filter(|(_, state)| state.still_running()))
}

/// The pane of a number.
pub fn pane(number: u8) -> Option<Pane> {
    Pane::ALL.get(usize::from(number).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(c: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)
    }

    #[test]
    fn enter_means_nothing_and_answers_live_on_the_panel_only() {
        for place in [Place::Main, Place::Panel, Place::Before, Place::Replay] {
            assert_eq!(verb(place, KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)), None);
        }
        assert_eq!(verb(Place::Main, key('y')), None);
        assert_eq!(verb(Place::Panel, key('x')), None, "the key that opens is not one that answers");
        assert_eq!(verb(Place::Panel, key('Y')), None);
        assert_eq!(verb(Place::Replay, key('a')), None);
        assert_eq!(verb(Place::Replay, key('!')), None);
        assert_eq!(verb(Place::Main, key('ч')), Some(Verb::Open));
        assert_eq!(verb(Place::Main, key('Ф')), Some(Verb::Release));
    }

    #[test]
    fn every_listed_single_key_does_what_it_says() {
        for place in [Place::Main, Place::Panel, Place::Before, Place::Replay] {
            for entry in table(place).iter().filter(|entry| entry.key.chars().count() == 1) {
                let c = entry.key.chars().next().unwrap_or(' ');
                assert_eq!(verb(place, key(c)), Some(entry.verb), "{place:?} {c}");
            }
        }
    }
}

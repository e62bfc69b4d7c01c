//! Keys, frames, new views and time become a new [`App`] and actions. Pure: what is done with an [`Action`] is the loop's
//! business, and every rule about when an answer counts can be tested here without a terminal.

use super::app::{AWAY_AFTER, App, Now, Overlay, Pane, Panel, Purpose, SECTIONS, Showing};
use super::asking::{andon, ask, refused};
pub use super::happened::{Action, Answered, Drawn, Event, ReplayCommand};
use super::keymap;
use super::typing;
use super::{exceptions, facts, palette, preflight};
use crate::brief::acts::{Act, Place};
use crate::brief::{Picked, going_on};
use crate::client::view::{Link, View};
use crate::event::Attention;
use crate::session::Request;
use crate::session::steps::Phase;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Takes one event in.
pub fn update(app: &mut App, event: Event, view: &View, now: Now) -> Vec<Action> {
    let mut actions = vec![];
    if let Overlay::Panel(panel) = &mut app.overlay {
        panel.dwell(now.mono);
    }
    while app.toasts.front().is_some_and(|toast| toast.until <= now.mono) {
        app.toasts.pop_front();
    }
    follow_view(app, view, now, &mut actions);
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            app.last_key = now.mono;
            key_pressed(app, key, view, now, &mut actions);
        }
        Event::Key(_) | Event::View | Event::Tick => {}
        Event::Paste(text) => typing::paste(app, &text, now),
        Event::Resize(cols, rows) => app.size = (cols, rows),
        Event::Drawn(drawn) => {
            if let (Overlay::Panel(panel), Some((attempt, digest, showing))) = (&mut app.overlay, drawn.panel)
                && panel.attempt == attempt
                && panel.digest == digest
            {
                panel.drawn(now.mono, showing);
            }
            app.output = drawn.output.unwrap_or(app.output);
            if drawn.chat {
                app.chat_read = view.session.notes.len();
            }
        }
        Event::Answered(answer) => answered(app, answer, now),
    }
    tell_hub(app, view, now, &mut actions);
    actions
}

/// Tells why a request came to nothing, in the words of whoever refused it.
fn answered(app: &mut App, Answered { request, refusal }: Answered, now: Now) {
    if let (Overlay::Panel(panel), Request::Check { step, attempt, digest }) = (&mut app.overlay, &request)
        && (&panel.step, panel.attempt, panel.digest) == (step, *attempt, *digest)
    {
        panel.sent = false; // of any other request the answer says nothing about the check that is on its way
    }
    let Some(refused) = refusal else { return };
    let hint = refused.hint.map_or_else(String::new, |hint| format!(" · {hint}"));
    let text = match request {
        // Nobody asked for these, and they are told again by themselves.
        Request::Attend { .. } | Request::Resize { .. } => return,
        Request::OpenCheck { .. } => format!("the check could not be opened: {}{hint}", refused.reason),
        _ => format!("refused: {}: {}{hint}", refused.request, refused.reason),
    };
    match typing::open_field(app) {
        Some(field) => field.error = Some(text), // a toast lies behind it
        None => app.toast(text, true, now.mono),
    }
}

/// Brings the overlay in line with the session: what it was about may be gone.
fn follow_view(app: &mut App, view: &View, now: Now, actions: &mut Vec<Action>) {
    let session = &*view.session;
    if let Some(screen) = view.screen.as_ref().filter(|screen| screen.part.is_step()) {
        app.of_step = Some(screen.clone());
    }
    let open = session.open_step();
    let live = matches!(view.link, Link::Live { .. });
    if let Some((step, state, armed)) = open
        && live
        && state.phase == Phase::Armed
        && session.may_check(&view.me)
        && !armed.checks.contains_key(&view.me)
        && app.rung != Some((step.id.clone(), state.attempt))
    {
        app.rung = Some((step.id.clone(), state.attempt));
        actions.push(Action::Bell);
    }
    let pulled = session.line.pulled.keys().any(|who| *who != view.me);
    if live && pulled && !app.rung_andon {
        actions.push(Action::Bell);
    }
    app.rung_andon = pulled;
    let poll = session.preflight.number();
    if live && session.is_polled() && poll > app.rung_poll {
        app.rung_poll = poll;
        if session.asked().contains(&&view.me) && !view.leads() {
            actions.push(Action::Bell);
        }
    }
    if let Overlay::Preflight(page) = &mut app.overlay
        && page.about != preflight::about(session)
    {
        // Another poll, or another answer: what is pressed now was meant for what stood there before.
        (page.about, page.since) = (preflight::about(session), now.mono);
    }
    if let Some(selected) = &app.selected
        && session.plan.step(selected).is_none()
    {
        app.selected = None;
    }
    let word = |id| session.steps.get(id).map_or("gone", |state| state.phase.word());
    let closing = match &mut app.overlay {
        Overlay::Panel(panel) => match open {
            Some((_, _, armed))
                if panel.sent && armed.checks.contains_key(&view.me) && panel.digest == armed.digest() =>
            {
                Some((format!("you checked {}", session.numbered(&panel.step)), false))
            }
            Some((step, state, armed))
                if step.id != panel.step || state.attempt != panel.attempt || armed.digest() != panel.digest =>
            {
                **panel = Panel::new(step.id.clone(), state.attempt, armed.digest());
                opened(panel, view, actions);
                app.toast("armed anew: read it again", true, now.mono);
                None
            }
            Some(_) => None,
            None => {
                let state = session.steps.get(&panel.step);
                let why = state.and_then(|state| state.voided.clone());
                let number = session.numbered(&panel.step);
                Some(match (why, state.map(|state| state.phase)) {
                    (Some(why), Some(Phase::Planned)) => (format!("{number} is not armed any more: {why}"), true),
                    (_, phase) => (format!("{number} is {} now", phase.map_or("gone", Phase::word)), false),
                })
            }
        },
        Overlay::Field(field) => match &field.purpose {
            Purpose::Run { step, attempt, .. } => match open {
                Some((open, state, _))
                    if open.id == *step && state.attempt == *attempt && state.phase == Phase::Cleared =>
                {
                    None
                }
                _ => Some((format!("{} is {}, not cleared", session.numbered(step), word(step)), true)),
            },
            Purpose::Rollback { step, attempt, .. } => match session.owing_step() {
                Some((owing, state))
                    if owing.id == *step && state.attempt == *attempt && state.phase.may_roll_back() =>
                {
                    None
                }
                _ => Some((format!("{} is {} now", session.numbered(step), word(step)), false)),
            },
            Purpose::Type { step, attempt } => match session.live_step() {
                Some((live, state)) if live.id == *step && state.attempt == *attempt => None,
                _ => Some((format!("{} does not run any more; nothing is typed", session.numbered(step)), false)),
            },
            Purpose::Interrupt { step } => match going_on(session) {
                Some((running, _)) if running.id == *step => None,
                _ => Some((format!("{} does not run any more", session.numbered(step)), false)),
            },
            purpose if exceptions::is_over(purpose, session) => Some(("that is over meanwhile".to_owned(), false)),
            Purpose::Settle { step, .. } => match session.owing_step() {
                Some((owing, _)) if owing.id == *step => None,
                _ => Some((format!("{} is {} now", session.numbered(step), word(step)), false)),
            },
            _ => None,
        },
        _ => None,
    };
    if let Some((text, bad)) = closing {
        app.overlay = Overlay::None;
        app.toast(text, bad, now.mono);
    }
}

/// What the hub has to know of this screen: attention, and for the lead the size of the output pane.
fn tell_hub(app: &mut App, view: &View, now: Now, actions: &mut Vec<Action>) {
    if !matches!(view.link, Link::Live { .. }) || view.session.closed.is_some() {
        (app.attention, app.output_told) = (None, None); // told again once the link is back
        return;
    }
    let away = now.mono.saturating_sub(app.last_key) >= AWAY_AFTER;
    let wanted = match &app.overlay {
        _ if away => Attention::Away,
        Overlay::Panel(panel) => Attention::Inspecting(panel.step.clone()),
        _ => Attention::Here,
    };
    if app.attention.as_ref() != Some(&wanted) {
        app.attention = Some(wanted.clone());
        actions.push(Action::Ask(Request::Attend { attention: wanted }));
    }
    let (cols, rows) = app.output;
    if view.leads()
        && cols > 0
        && rows > 0
        && let Some((step, state)) = view.session.live_step()
        && state.latest_run().is_some_and(|run| run.size != (cols.clamp(20, 500), rows.clamp(4, 300)))
    {
        let told = Some((step.id.clone(), state.attempt, cols, rows));
        if app.output_told != told {
            app.output_told = told;
            actions.push(Action::Ask(Request::Resize { cols, rows }));
        }
    }
}

fn opened(panel: &Panel, view: &View, actions: &mut Vec<Action>) {
    // The hub refuses anyone else; they read along without a trace.
    let checks = matches!(view.link, Link::Live { .. }) && view.session.may_check(&view.me);
    if checks {
        actions.push(Action::Ask(Request::OpenCheck { step: panel.step.clone(), attempt: panel.attempt }));
    }
}

fn key_pressed(app: &mut App, key: KeyEvent, view: &View, now: Now, actions: &mut Vec<Action>) {
    let place = keymap::place(app, view);
    let typing = app.is_typing();
    let act = keymap::act(&app.keys, place, key);
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if act == Some(Act::Andon) && (control || !typing) {
        return andon(app, view, now, actions);
    }
    if matches!(app.overlay, Overlay::Palette(_)) {
        if let Some((place, act)) = palette::key(app, key, view, now) {
            act_in(place, app, act, view, now, actions);
        }
        return;
    }
    if typing {
        return typing::key(app, key, view, now, actions);
    }
    if act == Some(Act::Palette) && !matches!(app.overlay, Overlay::Help(_) | Overlay::Quit) {
        return palette::open(app, place);
    }
    match &mut app.overlay {
        Overlay::Help(scroll) => match act {
            Some(Act::Down) => *scroll = scroll.saturating_add(1),
            Some(Act::Up) => *scroll = scroll.saturating_sub(1),
            Some(Act::PageDown) => *scroll = scroll.saturating_add(10),
            Some(Act::PageUp) => *scroll = scroll.saturating_sub(10),
            Some(Act::Back | Act::Help | Act::Quit) => app.overlay = Overlay::None,
            _ => {}
        },
        Overlay::Quit => match key.code {
            KeyCode::Char('l' | 'д') if !control => actions.push(Action::Quit),
            KeyCode::Char('H' | 'Р') => {
                app.overlay = Overlay::None;
                do_act(app, Act::Handover, view, now, actions);
            }
            _ => app.overlay = Overlay::None,
        },
        Overlay::Panel(_) | Overlay::Preflight(_) | Overlay::None | Overlay::Field(_) | Overlay::Palette(_) => {
            if let Some(act) = act {
                act_in(place, app, act, view, now, actions);
            }
        }
    }
}

/// Does what a key or the palette asks for on that screen.
fn act_in(place: Place, app: &mut App, act: Act, view: &View, now: Now, actions: &mut Vec<Action>) {
    match place {
        Place::Panel => panel_key(app, Some(act), view, now, actions),
        Place::Before => preflight::key(app, Some(act), view, now, actions),
        Place::Main | Place::Replay => do_act(app, act, view, now, actions),
    }
}

fn panel_key(app: &mut App, act: Option<Act>, view: &View, now: Now, actions: &mut Vec<Action>) {
    let Overlay::Panel(panel) = &mut app.overlay else { return };
    if act == Some(Act::Back) {
        if let Overlay::Panel(panel) = std::mem::take(&mut app.overlay) {
            app.later = Some(panel); // what was seen of this digest stays seen
        }
        return;
    }
    // Typed before the panel was on screen: meant for something else.
    if panel.drawn.is_none() {
        return;
    }
    let showing = panel.last.map_or_else(Showing::default, |(_, showing)| showing);
    match act {
        Some(Act::Check) if panel.answers_alive(now.mono) => {
            let locks = facts::check_locks(panel, view, now);
            let live = matches!(view.link, Link::Live { .. }) && view.dying.is_none();
            // Unread it is not sent; what else is in the way the hub says itself, and puts on record.
            if locks.is_empty() || (live && !panel.sent && panel.seen.iter().all(|seen| seen.is_done())) {
                panel.sent = true;
                actions.push(Action::Ask(Request::Check {
                    step: panel.step.clone(),
                    attempt: panel.attempt,
                    digest: panel.digest,
                }));
            } else {
                app.toast(format!("not checked: {}", locks.join(" · ")), true, now.mono);
            }
        }
        Some(Act::Object) if !panel.answers_alive(now.mono) => {}
        Some(act @ (Act::Object | Act::ReadBack | Act::Say)) => ask(app, act, view, now, actions),
        Some(Act::NextPane) => panel.go_to((panel.section + 1) % SECTIONS),
        Some(Act::PrevPane) => panel.go_to((panel.section + SECTIONS - 1) % SECTIONS),
        Some(Act::Pane(number)) => panel.go_to(usize::from(number).saturating_sub(1)),
        Some(Act::NextUnseen) => panel.go_on(),
        Some(Act::Down) => panel.scroll_to(showing.top + 1),
        Some(Act::Up) => panel.scroll_to(showing.top.saturating_sub(1)),
        Some(Act::PageDown) => panel.scroll_to(showing.bottom),
        // What stood first stands last then, as on any pager.
        Some(Act::PageUp) => panel.scroll_to((showing.top + 1).saturating_sub(showing.bottom - showing.top)),
        Some(Act::Top) => panel.scroll_to(0),
        Some(Act::Bottom) => panel.scroll_to(usize::MAX),
        Some(Act::Theme) => actions.push(Action::NextTheme),
        _ => {}
    }
}

fn do_act(app: &mut App, act: Act, view: &View, now: Now, actions: &mut Vec<Action>) {
    match act {
        Act::Andon => andon(app, view, now, actions),
        Act::Open => {
            let Some((step, state, armed)) = view.session.open_step() else {
                let reasons = view.sight(view.now(now.wall)).may_act(act, &Picked::default());
                return app.toast(refused(act, &reasons), true, now.mono);
            };
            let fresh = Panel::new(step.id.clone(), state.attempt, armed.digest());
            let panel = match app.later.take() {
                Some(later) if later.is_on(&fresh) => later.reopened(),
                _ => fresh,
            };
            opened(&panel, view, actions);
            app.overlay = Overlay::Panel(Box::new(panel));
        }
        Act::Before => preflight::open(app, view, now),
        Act::Quit => match view.link {
            Link::Replay { .. } => actions.push(Action::Quit),
            _ if view.session.closed.is_some() => actions.push(Action::Quit),
            _ => app.overlay = Overlay::Quit,
        },
        Act::Help => app.overlay = Overlay::Help(0),
        Act::Zoom => app.zoom = !app.zoom,
        Act::Theme => actions.push(Action::NextTheme),
        Act::Pane(number) => app.focus = keymap::pane(number).unwrap_or(app.focus),
        Act::NextPane => app.focus = Pane::ALL[app.focus.number() % Pane::ALL.len()],
        Act::PrevPane => app.focus = Pane::ALL[(app.focus.number() + Pane::ALL.len() - 2) % Pane::ALL.len()],
        Act::Up | Act::Down | Act::PageUp | Act::PageDown | Act::Top | Act::Bottom => scroll(app, act, view),
        Act::Back => {
            app.zoom = false;
            app.selected = None;
            app.scroll.remove(&app.focus);
        }
        act if act.asks() => ask(app, act, view, now, actions),
        act => actions.extend(replay(app, act).map(Action::Replay)),
    }
}

fn replay(app: &mut App, act: Act) -> Option<ReplayCommand> {
    Some(match act {
        Act::Play => {
            app.playing = !app.playing;
            ReplayCommand::PlayPause
        }
        Act::Rewind => ReplayCommand::Seconds(-5),
        Act::Forward => ReplayCommand::Seconds(5),
        Act::PrevEvent => ReplayCommand::Events(-1),
        Act::NextEvent => ReplayCommand::Events(1),
        Act::PrevStep => ReplayCommand::Steps(-1),
        Act::NextStep => ReplayCommand::Steps(1),
        Act::Slower => ReplayCommand::Slower,
        Act::Faster => ReplayCommand::Faster,
        Act::Tenth(tenth) => ReplayCommand::Tenth(tenth),
        _ => return None,
    })
}

fn scroll(app: &mut App, act: Act, view: &View) {
    if app.focus == Pane::Plan {
        let steps = &view.session.plan.steps;
        let current = app.selected.clone().or_else(|| view.session.current_step().map(|(step, _)| step.id.clone()));
        let index = current.and_then(|id| steps.iter().position(|step| step.id == id)).unwrap_or(0);
        let last = steps.len().saturating_sub(1);
        let index = match act {
            Act::Up => index.saturating_sub(1),
            Act::Down => (index + 1).min(last),
            Act::PageUp => index.saturating_sub(10),
            Act::PageDown => (index + 10).min(last),
            Act::Top => 0,
            _ => last,
        };
        app.selected = steps.get(index).map(|step| step.id.clone());
        return;
    }
    let lines = app.scroll.entry(app.focus).or_default();
    // Panes follow their newest line: scrolled lines count back from there, and drawing bounds them.
    *lines = match act {
        Act::Up => lines.saturating_add(1),
        Act::Down => lines.saturating_sub(1),
        Act::PageUp => lines.saturating_add(10),
        Act::PageDown => lines.saturating_sub(10),
        Act::Top => 1000,
        _ => 0,
    }
    .min(1000);
}

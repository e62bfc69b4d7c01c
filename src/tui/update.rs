//! Keys, frames, new views and time become a new [`App`] and actions. Pure: what is done with an [`Action`] is the loop's
//! business, and every rule about when an answer counts can be tested here without a terminal.

use super::app::{AWAY_AFTER, App, Field, Now, Overlay, Pane, Panel, Purpose, SECTIONS, Shown};
use super::keymap::{self, Verb};
use super::read_back;
use super::typing;
use super::{before, exceptions, facts};
use crate::client::view::{Link, View};
use crate::event::{Attention, Role};
use crate::hash::Hash;
use crate::name::Principal;
use crate::protocol::Refused;
use crate::session::Request;
use crate::session::steps::Phase;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Something that happened to this screen, in the order it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A key.
    Key(KeyEvent),
    /// Pasted text.
    Paste(String),
    /// Another size.
    Resize(u16, u16),
    /// A new view.
    View,
    /// Time went by.
    Tick,
    /// A frame is on screen.
    Drawn(Drawn),
    /// The hub said no.
    Refused(Refused),
}

/// What a frame showed, as far as rules depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drawn {
    /// The panel: which attempt and digest, and the lines of each section.
    pub panel: Option<(u32, Hash, [Shown; SECTIONS])>,
    /// Size of the output pane.
    pub output: Option<(u16, u16)>,
    /// Whether the newest thing said is on screen.
    pub chat: bool,
}

/// What the loop has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send it to the hub.
    Ask(Request),
    /// Ring.
    Bell,
    /// Move the replay.
    Replay(ReplayCommand),
    /// Use the next theme.
    NextTheme,
    /// Leave.
    Quit,
}

/// What the person at a replay wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayCommand {
    /// Play or pause.
    PlayPause,
    /// So many seconds on, or back.
    Seconds(i64),
    /// So many events on, or back.
    Events(i64),
    /// So many steps on, or back.
    Steps(i64),
    /// Half the speed.
    Slower,
    /// Twice the speed.
    Faster,
    /// To that tenth of the session.
    Tenth(u8),
}

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
            if let (Overlay::Panel(panel), Some((attempt, digest, shown))) = (&mut app.overlay, drawn.panel)
                && panel.attempt == attempt
                && panel.digest == digest
            {
                panel.drawn(now.mono, shown);
            }
            app.output = drawn.output.unwrap_or(app.output);
            if drawn.chat {
                app.chat_read = view.session.notes.len();
            }
        }
        Event::Refused(refused) => {
            if let Overlay::Panel(panel) = &mut app.overlay {
                panel.sent = false;
            }
            let hint = refused.hint.map_or_else(String::new, |hint| format!(" · {hint}"));
            let text = format!("refused: {}: {}{hint}", refused.request, refused.reason);
            match typing::open_field(app) {
                Some(field) => field.error = Some(text), // a toast lies behind it
                None => app.toast(text, true, now.mono),
            }
        }
    }
    tell_hub(app, view, now, &mut actions);
    actions
}

/// Brings the overlay in line with the session: what it was about may be gone.
fn follow_view(app: &mut App, view: &View, now: Now, actions: &mut Vec<Action>) {
    let session = &*view.session;
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
    let poll = session.before.number();
    if live && session.is_polled() && poll > app.rung_poll {
        app.rung_poll = poll;
        if session.asked().contains(&&view.me) && !view.leads() {
            actions.push(Action::Bell);
        }
    }
    if let Overlay::Before(page) = &mut app.overlay
        && page.about != before::about(session)
    {
        // Another poll, or another answer: what is pressed now was meant for what stood there before.
        (page.about, page.since) = (before::about(session), now.mono);
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
                Some((format!("you checked {}", facts::numbered(session, &panel.step)), false))
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
                let number = facts::numbered(session, &panel.step);
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
                _ => Some((format!("{} is {}, not cleared", facts::numbered(session, step), word(step)), true)),
            },
            Purpose::Rollback { step, attempt, .. } => match keymap::rollback_target(session) {
                Ok((target, state)) if target.id == *step && state.attempt == *attempt => None,
                _ => Some((format!("{} is {} now", facts::numbered(session, step), word(step)), false)),
            },
            Purpose::Type { step, attempt } => match session.live_step() {
                Some((live, state)) if live.id == *step && state.attempt == *attempt => None,
                _ => {
                    Some((format!("{} does not run any more; nothing is typed", facts::numbered(session, step)), false))
                }
            },
            Purpose::Interrupt { step } => match keymap::running(session) {
                Some((running, _)) if running.id == *step => None,
                _ => Some((format!("{} does not run any more", facts::numbered(session, step)), false)),
            },
            purpose if exceptions::is_over(purpose, session) => Some(("that is over meanwhile".to_owned(), false)),
            Purpose::Settle { step, .. } => match session.owing_step() {
                Some((owing, _)) if owing.id == *step => None,
                _ => Some((format!("{} is {} now", facts::numbered(session, step), word(step)), false)),
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
        app.attention = None; // told again once the link is back
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
    let typing = app.field().is_some();
    let verb = keymap::verb(place, key);
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if verb == Some(Verb::Andon) && (control || !typing) {
        return andon(app, view, now, actions);
    }
    if typing {
        return typing::key(app, key, view, now, actions);
    }
    match &mut app.overlay {
        Overlay::Help(scroll) => match verb {
            Some(Verb::Down) => *scroll = scroll.saturating_add(1),
            Some(Verb::Up) => *scroll = scroll.saturating_sub(1),
            Some(Verb::PageDown) => *scroll = scroll.saturating_add(10),
            Some(Verb::PageUp) => *scroll = scroll.saturating_sub(10),
            Some(Verb::Back | Verb::Help | Verb::Quit) => app.overlay = Overlay::None,
            _ => {}
        },
        Overlay::Quit => match key.code {
            KeyCode::Char('l' | 'д') if !control => actions.push(Action::Quit),
            KeyCode::Char('H' | 'Р') => {
                app.overlay = Overlay::None;
                do_verb(app, Verb::Handover, view, now, actions);
            }
            _ => app.overlay = Overlay::None,
        },
        Overlay::Panel(_) => panel_key(app, verb, view, now, actions),
        Overlay::Before(_) => before::key(app, verb, view, now, actions),
        Overlay::None | Overlay::Field(_) => {
            if let Some(verb) = verb {
                do_verb(app, verb, view, now, actions);
            }
        }
    }
}

fn andon(app: &mut App, view: &View, now: Now, actions: &mut Vec<Action>) {
    match keymap::allowed(Verb::Andon, app, view, view.now(now.wall)) {
        Ok(()) => {
            actions.push(Action::Ask(Request::Andon { why: String::new() }));
            app.toast("andon pulled; say why in the chat (c)", false, now.mono);
        }
        Err(why) => app.toast(format!("no andon: {why}"), true, now.mono),
    }
}

fn panel_key(app: &mut App, verb: Option<Verb>, view: &View, now: Now, actions: &mut Vec<Action>) {
    let at = view.now(now.wall);
    let Overlay::Panel(panel) = &mut app.overlay else { return };
    if verb == Some(Verb::Back) {
        if let Overlay::Panel(panel) = std::mem::take(&mut app.overlay) {
            app.later = Some(panel); // what was seen of this digest stays seen
        }
        return;
    }
    // Typed before the panel was on screen: meant for something else.
    if panel.drawn.is_none() {
        return;
    }
    let page = panel.last.map_or(1, |(_, shown)| {
        let shown = shown[panel.section];
        (shown.to - shown.from.min(shown.to)).max(1)
    });
    let of = panel.last.map_or(0, |(_, shown)| shown[panel.section].of);
    let furthest = of.saturating_sub(page);
    let go = |panel: &mut Panel, section: usize| {
        panel.section = section.min(SECTIONS - 1);
        panel.scroll = 0;
    };
    match verb {
        Some(Verb::Yes) if panel.answers_alive(now.mono) => {
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
        Some(Verb::No) if panel.answers_alive(now.mono) => {
            let live = matches!(view.link, Link::Live { .. });
            match view.session.role(&view.me) == Role::Shadow && live {
                true => {
                    panel.field = Some(Field::new(Purpose::Object {
                        step: panel.step.clone(),
                        attempt: panel.attempt,
                        digest: panel.digest,
                    }));
                }
                false => app.toast("only a shadow may object, and only live", true, now.mono),
            }
        }
        Some(Verb::ReadBack) => match read_back::next(panel, view) {
            Ok(purpose) => panel.field = Some(Field::new(purpose)),
            Err(why) => app.toast(format!("read back: {why}"), true, now.mono),
        },
        Some(Verb::Say) => match keymap::allowed(Verb::Say, &App::default(), view, at) {
            Ok(()) => panel.field = Some(Field::new(Purpose::Say)),
            Err(why) => app.toast(why, true, now.mono),
        },
        Some(Verb::NextPane) => go(panel, (panel.section + 1) % SECTIONS),
        Some(Verb::PrevPane) => go(panel, (panel.section + SECTIONS - 1) % SECTIONS),
        Some(Verb::Pane(number)) => go(panel, usize::from(number).saturating_sub(1)),
        Some(Verb::NextUnseen) => match panel.seen[panel.section].first_unseen_line() {
            Some(line) if line > 0 && line >= panel.scroll => panel.scroll = line.min(furthest),
            _ => {
                let after = (1..=SECTIONS).map(|step| (panel.section + step) % SECTIONS);
                if let Some(next) = after.into_iter().find(|index| !panel.seen[*index].is_done()) {
                    go(panel, next);
                }
            }
        },
        Some(Verb::Down) => panel.scroll = (panel.scroll + 1).min(furthest),
        Some(Verb::Up) => panel.scroll = panel.scroll.saturating_sub(1),
        Some(Verb::PageDown) => panel.scroll = (panel.scroll + page).min(furthest),
        Some(Verb::PageUp) => panel.scroll = panel.scroll.saturating_sub(page),
        Some(Verb::Top) => panel.scroll = 0,
        Some(Verb::Bottom) => panel.scroll = furthest,
        Some(Verb::Theme) => actions.push(Action::NextTheme),
        _ => {}
    }
}

fn do_verb(app: &mut App, verb: Verb, view: &View, now: Now, actions: &mut Vec<Action>) {
    let session = &*view.session;
    let at = view.now(now.wall);
    if let Err(why) = keymap::allowed(verb, app, view, at) {
        // Where the hub can be asked, it says no itself: then it stands in the transcript that somebody tried.
        if let Some(request) = keymap::tried(verb, app, view) {
            return actions.push(Action::Ask(request));
        }
        let entry = keymap::MAIN.iter().find(|entry| entry.verb == verb);
        let short = entry.map_or("that", |entry| entry.short);
        return app.toast(format!("{short}: {why}"), true, now.mono);
    }
    // What has no value yet is asked for first.
    if verb == Verb::Arm
        && let Some((step, _)) = keymap::arm_target(app, session)
        && let Some(name) = session.params_missing(step).first()
    {
        app.overlay = Overlay::Field(Field::with(Purpose::Set, &format!("{name}=")));
        return;
    }
    let edited = keymap::arm_target(app, session).map(|(step, _)| step.id.clone());
    let mut ask = |purpose| app.overlay = Overlay::Field(Field::new(purpose));
    match verb {
        Verb::Set => ask(Purpose::Set),
        Verb::Edit => {
            if let Some(step) = edited {
                ask(Purpose::Edit { step });
            }
        }
        Verb::AdHoc => ask(Purpose::AdHoc),
        Verb::Arm => {
            if let Some((step, _)) = keymap::arm_target(app, session) {
                actions.push(Action::Ask(Request::Arm { step: step.id.clone(), covers: None }));
                app.selected = None;
            }
        }
        Verb::Run => {
            if let Some((step, state, _)) = session.open_step() {
                let number = session.plan.number(&step.id).unwrap_or(0);
                ask(Purpose::Run { step: step.id.clone(), attempt: state.attempt, number });
            }
        }
        Verb::Open => {
            if let Some((step, state, armed)) = session.open_step() {
                let fresh = Panel::new(step.id.clone(), state.attempt, armed.digest());
                let panel = match app.later.take() {
                    Some(later) if later.is_on(&fresh) => later.reopened(),
                    _ => fresh,
                };
                opened(&panel, view, actions);
                app.overlay = Overlay::Panel(Box::new(panel));
            }
        }
        Verb::Before => before::open(app, view, now),
        Verb::Disarm => {
            if let Some((step, state, _)) = session.open_step() {
                actions.push(Action::Ask(Request::Disarm { step: step.id.clone(), attempt: state.attempt }));
            }
        }
        Verb::Withdraw => {
            if let Some((step, state, _)) = session.open_step() {
                actions.push(Action::Ask(Request::Withdraw { step: step.id.clone(), attempt: state.attempt }));
            }
        }
        Verb::Interrupt => {
            if let Some((step, _)) = keymap::running(session) {
                ask(Purpose::Interrupt { step: step.id.clone() });
            }
        }
        Verb::Probe => {
            if let Some((step, _)) = session.owing_step() {
                actions.push(Action::Ask(Request::Probe { step: step.id.clone() }));
            }
        }
        Verb::Type => {
            if let Some((step, state)) = session.live_step() {
                ask(Purpose::Type { step: step.id.clone(), attempt: state.attempt });
            }
        }
        Verb::Settle => {
            if let Some((step, _)) = session.owing_step() {
                ask(Purpose::Settle { step: step.id.clone(), outcome: None });
            }
        }
        Verb::Rollback => {
            if let Ok((step, state)) = keymap::rollback_target(session) {
                let number = session.plan.number(&step.id).unwrap_or(0);
                ask(Purpose::Rollback { step: step.id.clone(), attempt: state.attempt, number });
            }
        }
        Verb::Waive | Verb::Skip | Verb::BreakGlass => {
            let purpose = match (verb, keymap::arm_target(app, session)) {
                (Verb::Waive, _) => exceptions::waive(view, at),
                (Verb::Skip, Some(target)) => exceptions::skip(view, target),
                (Verb::BreakGlass, _) => exceptions::break_glass(view),
                _ => return,
            };
            if let Ok(purpose) = purpose {
                app.overlay = Overlay::Field(Field::new(purpose));
            }
        }
        Verb::Release => actions.push(Action::Ask(Request::Release)),
        Verb::Handover => {
            let crew = session.plan.crew.lead.iter().chain(&session.plan.crew.shadow);
            let mut names: Vec<Principal> = match view.leads() {
                true => crew.filter(|who| **who != session.lead).cloned().collect(),
                false => vec![view.me.clone()],
            };
            names.sort();
            names.dedup();
            ask(Purpose::Handover { names });
        }
        Verb::Say => ask(Purpose::Say),
        Verb::Mark => ask(Purpose::Mark),
        Verb::Close => ask(Purpose::Close),
        Verb::Quit => match view.link {
            Link::Replay { .. } => actions.push(Action::Quit),
            _ if session.closed.is_some() => actions.push(Action::Quit),
            _ => app.overlay = Overlay::Quit,
        },
        Verb::Help => app.overlay = Overlay::Help(0),
        Verb::Zoom => app.zoom = !app.zoom,
        Verb::Theme => actions.push(Action::NextTheme),
        Verb::Pane(number) => app.focus = keymap::pane(number).unwrap_or(app.focus),
        Verb::NextPane => app.focus = Pane::ALL[app.focus.number() % Pane::ALL.len()],
        Verb::PrevPane => app.focus = Pane::ALL[(app.focus.number() + Pane::ALL.len() - 2) % Pane::ALL.len()],
        Verb::Up | Verb::Down | Verb::PageUp | Verb::PageDown | Verb::Top | Verb::Bottom => scroll(app, verb, view),
        Verb::Back => {
            app.zoom = false;
            app.selected = None;
            app.scroll.remove(&app.focus);
        }
        Verb::Andon => andon(app, view, now, actions),
        Verb::Yes | Verb::No | Verb::ReadBack | Verb::NextUnseen => {}
        Verb::Go | Verb::NoGo | Verb::Seat | Verb::Answer | Verb::Fit | Verb::Poll => {}
        verb => actions.extend(replay(app, verb).map(Action::Replay)),
    }
}

fn replay(app: &mut App, verb: Verb) -> Option<ReplayCommand> {
    Some(match verb {
        Verb::Play => {
            app.playing = !app.playing;
            ReplayCommand::PlayPause
        }
        Verb::Rewind => ReplayCommand::Seconds(-5),
        Verb::Forward => ReplayCommand::Seconds(5),
        Verb::PrevEvent => ReplayCommand::Events(-1),
        Verb::NextEvent => ReplayCommand::Events(1),
        Verb::PrevStep => ReplayCommand::Steps(-1),
        Verb::NextStep => ReplayCommand::Steps(1),
        Verb::Slower => ReplayCommand::Slower,
        Verb::Faster => ReplayCommand::Faster,
        Verb::Tenth(tenth) => ReplayCommand::Tenth(tenth),
        _ => return None,
    })
}

fn scroll(app: &mut App, verb: Verb, view: &View) {
    if app.focus == Pane::Plan {
        let steps = &view.session.plan.steps;
        let current = app.selected.clone().or_else(|| view.session.current_step().map(|(step, _)| step.id.clone()));
        let index = current.and_then(|id| steps.iter().position(|step| step.id == id)).unwrap_or(0);
        let last = steps.len().saturating_sub(1);
        let index = match verb {
            Verb::Up => index.saturating_sub(1),
            Verb::Down => (index + 1).min(last),
            Verb::PageUp => index.saturating_sub(10),
            Verb::PageDown => (index + 10).min(last),
            Verb::Top => 0,
            _ => last,
        };
        app.selected = steps.get(index).map(|step| step.id.clone());
        return;
    }
    let lines = app.scroll.entry(app.focus).or_default();
    // Panes follow their newest line: scrolled lines count back from there, and drawing bounds them.
    *lines = match verb {
        Verb::Up => lines.saturating_add(1),
        Verb::Down => lines.saturating_sub(1),
        Verb::PageUp => lines.saturating_add(10),
        Verb::PageDown => lines.saturating_sub(10),
        Verb::Top => 1000,
        _ => 0,
    }
    .min(1000);
}

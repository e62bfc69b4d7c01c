//! The watches alone: one row each, with the reason below where it is not ok or does not fit beside it.

use super::app::{App, Now};
use super::canvas::{Look, row, to_ascii};
use super::draw::Glyphs;
use super::run::{FRAME, Options, TICK};
use super::terminal::Guard;
use super::text::{pad, pad_left, sparkline};
use super::theme::{Ink, Theme};
use super::{Exit, facts, recovery};
use crate::client::view::View;
use crate::event::Status;
use crossterm::event::{Event as Terminal, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures_util::StreamExt as _;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Draws the watches of `view` until the person leaves.
pub async fn board(mut view: watch::Receiver<View>, options: Options) -> anyhow::Result<Exit> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut guard = Guard::take()?;
    let mut keys = EventStream::new();
    let mut tick = tokio::time::interval(TICK);
    let theme = options.shown(&options.theme);
    let started = Instant::now();
    let mut last_frame: Option<Instant> = None;
    let mut skip = 0_usize;
    loop {
        if last_frame.is_none_or(|at| at.elapsed() >= FRAME) {
            let seen = view.borrow_and_update().clone();
            // The end of the list stays on the screen, however far somebody scrolls.
            skip = skip.min(seen.session.plan.watches.len().saturating_sub(1));
            let now = Now { wall: crate::clock::wall(), mono: started.elapsed() };
            guard.frame(|frame| draw(frame.buffer_mut(), &seen, &theme, options.glyphs, now, skip))?;
            last_frame = Some(Instant::now());
        }
        tokio::select! {
            _ = terminate.recv() => return Ok(Exit::Signalled),
            _ = hangup.recv() => return Ok(Exit::Signalled),
            changed = view.changed() => if changed.is_err() { return Ok(Exit::Ended) },
            _ = tick.tick() => {}
            event = keys.next() => match event {
                None => return Ok(Exit::Ended),
                Some(event) => match event? {
                    Terminal::Key(key) if key.kind != KeyEventKind::Release => match (key.code, key.modifiers) {
                        (KeyCode::Char('q') | KeyCode::Esc, _) => return Ok(Exit::Left),
                        (KeyCode::Char('c'), KeyModifiers::CONTROL) => return Ok(Exit::Left),
                        (KeyCode::Down | KeyCode::Char('j'), _) => (skip, last_frame) = (skip + 1, None),
                        (KeyCode::Up | KeyCode::Char('k'), _) => (skip, last_frame) = (skip.saturating_sub(1), None),
                        _ => {}
                    },
                    Terminal::Resize(..) => last_frame = None,
                    _ => {}
                },
            },
        }
    }
}

/// A frame; pure. The first `skip` watches are left out.
pub fn draw(buf: &mut Buffer, view: &View, theme: &Theme, glyphs: Glyphs, now: Now, skip: usize) {
    let app = App::new(buf.area.width, buf.area.height);
    let look = Look { app: &app, view, theme, now };
    let area = buf.area;
    if area.width == 0 || area.height == 0 {
        return;
    }
    buf.set_style(area, look.ink(Ink::Base));
    let session = look.session();
    let at = look.at();
    let mut right = vec![];
    for (status, sign, ink) in [
        (Status::Ok, "✓", Ink::Pass),
        (Status::Warn, "!", Ink::Warn),
        (Status::Fail, "✗", Ink::Fail),
        (Status::Unknown, "?", Ink::Unknown),
    ] {
        let count = session.plan.watches.iter().filter(|watch| session.status(&watch.id, at) == status).count();
        if count > 0 {
            right.extend([look.span(format!("{count} "), Ink::Text), look.span(format!("{sign}  "), ink)]);
        }
    }
    right.push(look.span(at.clock(), Ink::Dim));
    let left = vec![
        look.span("WATCHES ", Ink::Strong),
        look.span(&session.plan.environment, Ink::Destructive),
        look.span(format!("  {}", session.plan.name), Ink::Text),
    ];
    row(buf, area, 0, left, right);
    let clock = u16::from(area.height > 3 && recovery::is_shown(session));
    if clock > 0 {
        recovery::draw(&look, buf, Rect { y: area.y + 1, height: 1, ..area });
    }
    let inner = Rect { y: area.y + 1 + clock, height: area.height.saturating_sub(2 + clock), ..area };
    let mut y = 0;
    for watch in session.plan.watches.iter().skip(skip) {
        y += watch_rows(&look, buf, inner, y, watch);
    }
    if area.height > 2 {
        let keys = [("q", " leave  "), ("↑↓", " scroll")];
        let spans = keys.iter().flat_map(|(key, does)| [look.span(key, Ink::Key), look.span(does, Ink::Dim)]).collect();
        row(buf, Rect { y: area.bottom() - 1, height: 1, ..area }, 0, spans, vec![]);
    }
    if glyphs == Glyphs::Ascii {
        to_ascii(buf);
    }
}

/// Draws a watch from that row on, and says how many rows it took.
fn watch_rows(look: &Look<'_>, buf: &mut Buffer, area: Rect, y: u16, watch: &crate::plan::Watch) -> u16 {
    let (session, at) = (look.session(), look.at());
    let (sign, word, ink) = facts::watch(session, &watch.id, at);
    let wide = area.width >= 100;
    let history: Vec<f64> =
        session.watches.get(&watch.id).map_or_else(Vec::new, |state| state.history.iter().map(|(_, n)| *n).collect());
    let known = session.status(&watch.id, at) != Status::Unknown;
    let spark = if known { sparkline(&history, 12) } else { String::new() };
    let mut left = vec![
        look.span(format!("{sign} {} ", pad(word, 7)), ink),
        look.span(pad(watch.id.as_str(), if wide { 22 } else { 18 }), Ink::Text),
        look.span(format!(" {} ", pad(watch.kind.name(), 15)), Ink::Dim),
        look.span(pad_left(&facts::watch_value(session, &watch.id, at), 10), Ink::Text),
        look.span(format!(" {} ", pad_left(&spark, 12)), Ink::Spark),
    ];
    let age = vec![look.span(facts::watch_age(session, &watch.id, at), Ink::Dim)];
    let why = session.why(&watch.id, at);
    if wide && word == "ok" {
        left.push(look.span(&why, Ink::Dim));
        row(buf, area, y, left, age);
        return 1;
    }
    row(buf, area, y, left, age);
    row(buf, area, y + 1, vec![Span::raw("  "), look.span(why, if word == "ok" { Ink::Dim } else { ink })], vec![]);
    if !wide {
        return 2;
    }
    row(buf, area, y + 2, vec![Span::raw("  "), look.span(watch.kind.source(&session.params), Ink::Dim)], vec![]);
    3
}

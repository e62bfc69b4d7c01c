//! Panes 3 and 4: what is looked at. A value that is too old is not shown: STALE stands in its place.

use crate::event::Status;
use crate::name::shown;
use crate::plan::Watch;
use crate::session::Session;
use crate::tui::app::Pane;
use crate::tui::canvas::{Look, row};
use crate::tui::facts;
use crate::tui::text::{pad, pad_left, sparkline};
use crate::tui::theme::Ink;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Which panes of watches the plan has something for.
pub fn panes(session: &Session) -> Vec<Pane> {
    let kafka = |lag: bool| session.plan.watches.iter().any(|watch| facts::is_kafka(&watch.kind) == lag);
    [(Pane::Lag, kafka(true)), (Pane::Health, kafka(false))]
        .into_iter()
        .filter(|(_, has)| *has)
        .map(|(pane, _)| pane)
        .collect()
}

/// The worst that a pane of watches shows.
pub fn worst(look: &Look<'_>, pane: Pane) -> Option<Status> {
    let session = look.session();
    let here = session.plan.watches.iter().filter(|watch| facts::is_kafka(&watch.kind) == (pane == Pane::Lag));
    here.map(|watch| session.status(&watch.id, look.at())).max()
}

/// Rows that a pane of watches needs, its frame among them.
pub fn rows(session: &Session) -> u16 {
    u16::try_from(session.plan.watches.len() + 2).unwrap_or(u16::MAX)
}

/// From this width on, a row says what was asked too: a pane that is zoomed.
const SOURCE_FROM: u16 = 70;

/// Pane 3: consumer lag.
pub fn lag(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let session = look.session();
    let watches: Vec<_> = session.plan.watches.iter().filter(|watch| facts::is_kafka(&watch.kind)).collect();
    let oldest = watches.iter().filter_map(|watch| session.age(&watch.id, look.at())).max();
    let right = oldest.map_or_else(Vec::new, |age| vec![look.span(crate::clock::age(age), Ink::Dim)]);
    let inner = look.frame(buf, area, Pane::Lag, right);
    if inner.height == 0 {
        return;
    }
    if watches.is_empty() {
        return row(buf, inner, 0, vec![look.span("the plan watches no lag", Ink::Dim)], vec![]);
    }
    let width = usize::from(inner.width);
    let spark = if width < 44 { 6 } else { 12 };
    let name = width.saturating_sub(2 + 7 + 1 + spark + 1 + 2 + 4).clamp(4, 24);
    let head = vec![
        look.span(pad("  group", name + 2), Ink::Dim),
        look.span(pad_left("lag", 7), Ink::Dim),
        look.span(" trend", Ink::Dim),
    ];
    row(buf, inner, 0, head, vec![look.span("age", Ink::Dim)]);
    let mut y = 1;
    for watch in scrolled(look, &watches, Pane::Lag) {
        let (sign, word, ink) = facts::watch(session, &watch.id, look.at());
        let known = session.status(&watch.id, look.at()) != Status::Unknown;
        let mut left = vec![look.span(format!("{sign} "), ink), look.span(pad(watch.id.as_str(), name), Ink::Text)];
        if known {
            let history: Vec<f64> =
                session.watches.get(&watch.id).map_or_else(Vec::new, |s| s.history.iter().map(|(_, n)| *n).collect());
            // A longer word than `ok` takes its room from the trend.
            let spark = (spark + 2).saturating_sub(word.len());
            left.push(look.span(pad_left(&facts::watch_value(session, &watch.id, look.at()), 7), Ink::Text));
            left.push(look.span(format!(" {}", pad_left(&sparkline(&history, spark), spark)), Ink::Spark));
            left.push(look.span(format!(" {word}"), ink));
        } else {
            left.push(look.span(pad_left("?", 7), ink));
            left.push(look.span(format!(" {word}"), ink));
        }
        if inner.width >= SOURCE_FROM {
            left.push(look.span(format!("  {}", watch.kind.source(&session.params)), Ink::Dim));
        }
        row(buf, inner, y, left, vec![look.span(facts::watch_age(session, &watch.id, look.at()), Ink::Dim)]);
        y += 1;
        if word != "ok" {
            row(buf, inner, y, vec![Span::raw("  "), look.span(session.why(&watch.id, look.at()), ink)], vec![]);
            y += 1;
        }
    }
}

/// Pane 4: services, the hub's machine, and backups.
pub fn health(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let session = look.session();
    let others: Vec<_> = session.plan.watches.iter().filter(|watch| !facts::is_kafka(&watch.kind)).collect();
    let count = |wanted: Status| others.iter().filter(|w| session.status(&w.id, look.at()) == wanted).count();
    let mut right = vec![];
    for (status, sign, ink) in [
        (Status::Ok, "✓", Ink::Pass),
        (Status::Warn, "!", Ink::Warn),
        (Status::Fail, "✗", Ink::Fail),
        (Status::Unknown, "?", Ink::Unknown),
    ] {
        if count(status) > 0 {
            right.push(look.span(format!("{} ", count(status)), Ink::Text));
            right.push(look.span(format!("{sign} "), ink));
        }
    }
    let inner = look.frame(buf, area, Pane::Health, right);
    if inner.height == 0 {
        return;
    }
    if others.is_empty() {
        return row(buf, inner, 0, vec![look.span("the plan watches no service", Ink::Dim)], vec![]);
    }
    let (backups, services): (Vec<&Watch>, Vec<&Watch>) = others.iter().partition(|w| facts::is_backup(&w.kind));
    let gap = !backups.is_empty() && !services.is_empty();
    let mut y = 0;
    let all: Vec<&Watch> = services.iter().chain(&backups).copied().collect();
    for watch in scrolled(look, &all, Pane::Health) {
        if gap && backups.first().is_some_and(|first| first.id == watch.id) && y > 0 {
            row(buf, inner, y, vec![look.span("backup", Ink::Dim)], vec![]);
            y += 1;
        }
        let (sign, word, ink) = facts::watch(session, &watch.id, look.at());
        let name = (usize::from(inner.width) / 2).clamp(6, 20);
        let mut left = vec![
            look.span(format!("{sign} {} ", pad(word, 5)), ink),
            look.span(pad(watch.id.as_str(), name), Ink::Text),
            look.span(" ", Ink::Text),
            look.span(facts::watch_value(session, &watch.id, look.at()), ink),
        ];
        if inner.width >= SOURCE_FROM {
            left.push(look.span(format!("  {}", watch.kind.source(&session.params)), Ink::Dim));
        }
        row(buf, inner, y, left, vec![look.span(facts::watch_age(session, &watch.id, look.at()), Ink::Dim)]);
        y += 1;
        if word != "ok" {
            let why = shown(&session.why(&watch.id, look.at()));
            row(buf, inner, y, vec![Span::raw("  "), look.span(why, ink)], vec![]);
            y += 1;
        }
    }
}

/// What is left of a list after scrolling; never nothing.
fn scrolled<'w>(look: &Look<'_>, watches: &'w [&'w Watch], pane: Pane) -> impl Iterator<Item = &'w Watch> {
    // These panes start at their first row, so scrolling "up" from the newest is scrolling down the list here.
    let skip = usize::from(look.app.scrolled(pane)).min(watches.len().saturating_sub(1));
    watches.iter().skip(skip).copied()
}

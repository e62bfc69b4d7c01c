//! Before the first critical step: who is asked and what they said, who is fit until when, the checklist with its owners, and
//! what still locks the step. A page over the main screen; its keys answer only what it has shown for a moment.

use super::app::{App, Now, Overlay, Page};
use super::asking;
use super::canvas::{Look, cut, lines, rule};
use super::facts;
use super::happened::Action;
use super::keymap;
use super::text::{pad, wrap};
use super::theme::Ink;
use crate::brief::acts::{Act, Place};
use crate::client::view::{Link, View};
use crate::clock::human;
use crate::event::Role;
use crate::name::{Principal, shown};
use crate::plan::Item;
use crate::session::Session;
use crate::session::preflight::{Counts, counts};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};

/// Locks that stand below the lists; the others follow once these are gone.
const LOCKS: usize = 3;

/// Opens the page.
pub(super) fn open(app: &mut App, view: &View, now: Now) {
    app.overlay = Overlay::Preflight(Box::new(Page::new(about(&view.session), now.mono)));
}

/// What an answer on this page is about: the poll, and the checklist as it stands.
pub(super) fn about(session: &Session) -> (u32, u64) {
    (session.preflight.number(), session.preflight.board)
}

/// A key on the page.
pub(super) fn key(app: &mut App, act: Option<Act>, view: &View, now: Now, actions: &mut Vec<Action>) {
    let (Some(act), Overlay::Preflight(page)) = (act, &mut app.overlay) else { return };
    let last = view.session.plan.checklist.len().saturating_sub(1);
    match act {
        Act::Back | Act::Before => app.overlay = Overlay::None,
        Act::Up => page.row = page.row.saturating_sub(1),
        Act::Down => page.row = (page.row + 1).min(last),
        Act::PageUp => page.scroll = page.scroll.saturating_sub(5),
        Act::PageDown => page.scroll = page.scroll.saturating_add(5).min(1000),
        Act::Top => (page.row, page.scroll) = (0, 0),
        Act::Bottom => page.row = last,
        Act::Theme => actions.push(Action::NextTheme),
        // Pressed before it was on screen it was meant for something else.
        Act::Poll | Act::Go | Act::NoGo if !page.answers_alive(now.mono) => {}
        act if act.asks() => asking::ask(app, act, view, now, actions),
        _ => {}
    }
}

/// Draws the page.
pub fn draw(look: &Look<'_>, buf: &mut Buffer, area: Rect, page: &Page) {
    let session = look.session();
    let title = format!(" BEFORE · {} · {} ", shown(&session.plan.name), facts::environment(session).0);
    let right = match &session.preflight.poll {
        Some(poll) => format!("poll {} called {} ago", poll.number, human(look.at().since(poll.at))),
        None if session.plan.poll => "no poll called yet".to_owned(),
        None => "no poll in this plan".to_owned(),
    };
    let room = usize::from(area.width).saturating_sub(8 + right.len());
    let title = Line::from(cut(vec![look.span(title, Ink::Title)], room));
    let inner = look.boxed(buf, area, border::DOUBLE, Ink::Focus, title, vec![look.span(right, Ink::Dim)]);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let width = usize::from(inner.width);
    let (list, picked) = body(look, page, width);
    let end = state(look, page, width);
    let below = u16::try_from(end.len()).unwrap_or(u16::MAX).min(inner.height.saturating_sub(1));
    let rows = usize::from(inner.height - below);
    // What is picked stays on screen, however far somebody scrolls.
    let furthest = list.len().saturating_sub(rows);
    let from =
        page.scroll.min(furthest).max((picked + 1).saturating_sub(rows)).min(picked.max(page.scroll.min(furthest)));
    let upper = Rect { height: inner.height - below, ..inner };
    lines(buf, upper, &list[from.min(list.len())..]);
    lines(buf, Rect { y: inner.bottom() - below, height: below, ..inner }, &end);
}

/// The lists, and the row of the item that is picked.
fn body(look: &Look<'_>, page: &Page, width: usize) -> (Vec<Line<'static>>, usize) {
    let session = look.session();
    let preflight = &session.preflight;
    let mut all = vec![rule(look, width, vec![look.span("people", Ink::Title)], vec![])];
    let mut people = session.asked();
    people.extend(session.people.keys().filter(|who| session.role(who) != Role::Observer && session.is_here(who)));
    let mut seen = std::collections::BTreeSet::new();
    people.retain(|who| seen.insert(*who));
    for who in people {
        all.push(person(look, who, width));
    }
    for seat in &session.plan.crew.seats {
        let holder = preflight.seats.get(&seat.name).filter(|taken| session.is_here(&taken.by));
        if holder.is_none() {
            let who: Vec<_> = seat.who.iter().map(Principal::short).collect();
            let spans = vec![
                look.span("✗ ", Ink::Fail),
                look.span(pad(&seat.name, 12), Ink::Text),
                look.span(" EMPTY SEAT", Ink::Fail),
                look.span(format!("  for {}", who.join(", ")), Ink::Dim),
            ];
            all.push(Line::from(cut(spans, width)));
        }
    }
    if let Some(earlier) = &session.earlier {
        let ink = if earlier.open.is_empty() { Ink::Dim } else { Ink::Hold };
        all.push(rule(look, width, vec![look.span("earlier", Ink::Title)], vec![]));
        all.extend(wrap(&[look.span(shown(&earlier.words()), ink)], width, 2));
        for open in &earlier.open {
            all.extend(wrap(&[look.span("! ", Ink::Hold), look.span(shown(open), Ink::Text)], width, 2));
        }
    }
    let mut picked = 0;
    if !session.plan.checklist.is_empty() {
        all.push(rule(look, width, vec![look.span("checklist", Ink::Title)], vec![]));
    }
    for (index, item) in session.plan.checklist.iter().enumerate() {
        let here = index == page.row;
        if here {
            picked = all.len();
        }
        all.extend(question(look, item, here, width));
    }
    (all, picked)
}

fn person(look: &Look<'_>, who: &Principal, width: usize) -> Line<'static> {
    let session = look.session();
    let preflight = &session.preflight;
    let asked = session.asked().contains(&who);
    let (sign, word, ink) = match preflight.word(who) {
        _ if !session.is_polled() => ("·", "", Ink::Dim),
        Some(word) if !word.go => ("✗", "NO-GO", Ink::Fail),
        Some(_) if preflight.says_go(who) => ("✓", "GO", Ink::Pass),
        Some(_) => ("?", "go, before", Ink::Stale),
        None if asked => ("◦", "silent", Ink::Hold),
        None => ("·", "", Ink::Dim),
    };
    let late = session.expected_end(look.at());
    let (fit, fit_ink) = match preflight.availability.get(who) {
        None => ("fit? not said".to_owned(), Ink::Hold),
        Some(said) if !said.fit => ("NOT FIT".to_owned(), Ink::Fail),
        Some(said) => match said.until {
            Some(until) => {
                let short = late.is_some_and(|late| until < late);
                let time: String = until.clock().chars().take(5).collect();
                (format!("fit until {time}"), if short { Ink::Fail } else { Ink::Pass })
            }
            None => ("fit".to_owned(), Ink::Pass),
        },
    };
    let andon = match preflight.tried.contains_key(who) {
        true => look.span("andon ✓", Ink::Pass),
        false => look.span("andon not tried", Ink::Dim),
    };
    let (role, role_ink) = facts::role_word(session, who);
    let seats: Vec<_> = session.plan.crew.seats.iter().map(|seat| seat.name.as_str()).collect();
    let held = seats.into_iter().filter(|seat| preflight.seats.get(*seat).is_some_and(|taken| taken.by == *who));
    let held = held.collect::<Vec<_>>().join(", ");
    let why = preflight.word(who).filter(|word| !word.go && session.is_polled()).map(|word| word.why.as_str());
    let why = why.or_else(|| preflight.availability.get(who).filter(|said| !said.fit).map(|said| said.why.as_str()));
    let me = *who == look.view.me;
    let mut spans = vec![
        look.span(format!("{sign} "), ink),
        look.span(pad(who.short(), 10), if me { Ink::Me } else { Ink::Text }),
        look.span(format!(" {} ", pad(role, 6)), role_ink),
        look.span(pad(word, 10), ink),
        look.span(format!(" {} ", pad(&fit, 15)), fit_ink),
        andon,
    ];
    match (why, held.is_empty()) {
        (Some(why), _) => spans.push(look.span(format!("  {}", shown(why)), Ink::Fail)),
        (None, false) => spans.push(look.span(format!("  {held}"), Ink::Text)),
        (None, true) => {}
    }
    Line::from(cut(spans, width))
}

/// An item: who owns it and how it stands; the whole question and answer where it is picked.
fn question(look: &Look<'_>, item: &Item, picked: bool, width: usize) -> Vec<Line<'static>> {
    let session = look.session();
    let said = session.preflight.answers.get(&item.id);
    let (sign, ink) = match said.map(|said| counts(item, &said.answer, said.at)) {
        Some(Ok(Counts::Yes)) => ("✓", Ink::Pass),
        Some(_) => ("✗", Ink::Fail),
        None => ("◦", Ink::Hold),
    };
    let owner = item.seat.as_deref().unwrap_or("anyone");
    let answer = match said {
        Some(said) => format!("{}: {}", said.by.short(), shown(&said.answer)),
        None => format!("not answered ({})", item.answer.word()),
    };
    let mut name = look.ink(if picked { Ink::Strong } else { Ink::Text });
    if picked {
        name = name.add_modifier(ratatui::style::Modifier::REVERSED);
    }
    let spans = vec![
        look.span(format!("{sign} "), ink),
        Span::styled(shown(&pad(item.id.as_str(), 14)), name),
        look.span(format!(" {} ", pad(owner, 12)), Ink::Dim),
        look.span(answer.clone(), if said.is_some() { Ink::Text } else { Ink::Hold }),
    ];
    let mut all = vec![Line::from(cut(spans, width))];
    if picked {
        all.extend(
            wrap(&[look.span("    ", Ink::Dim), look.span(&item.ask, Ink::Title)], width, 4).into_iter().take(2),
        );
        if said.is_some() && answer.chars().count() + 31 > width {
            all.extend(
                wrap(&[look.span("    ", Ink::Dim), look.span(answer, Ink::Text)], width, 4).into_iter().take(3),
            );
        }
    }
    all
}

/// What stands below the lists: GO, or what locks the step; whose time is short; a message; the line being typed, or the keys.
fn state(look: &Look<'_>, page: &Page, width: usize) -> Vec<Line<'static>> {
    let session = look.session();
    let mut all = vec![rule(look, width, vec![], vec![])];
    let locks = session.poll_locks();
    match (session.plan.poll, session.preflight.over, locks.is_empty()) {
        (false, ..) => {}
        (true, Some(at), _) => {
            let text = format!("the first critical step was begun at {}", at.clock());
            all.push(Line::from(vec![look.span("OVER  ", Ink::Done), look.span(text, Ink::Text)]));
        }
        (true, None, true) => {
            let text = "everyone asked said go: critical steps may be armed";
            all.push(Line::from(vec![look.span("GO  ", Ink::Pass), look.span(text, Ink::Text)]));
        }
        (true, None, false) => {
            for (index, lock) in locks.iter().take(LOCKS).enumerate() {
                let word = if index == 0 { "NOT GO  " } else { "        " };
                let lock = session.shortened(lock);
                all.push(Line::from(cut(vec![look.span(word, Ink::Fail), look.span(lock, Ink::Text)], width)));
            }
            if locks.len() > LOCKS {
                let more = format!("        and {} more; critical steps are locked", locks.len() - LOCKS);
                all.push(Line::from(cut(vec![look.span(more, Ink::Dim)], width)));
            }
        }
    }
    if let Some(warning) = session.time_warnings(look.at()).into_iter().next() {
        let text = session.shortened(&warning);
        all.push(Line::from(cut(vec![look.span("TIME    ", Ink::Warn), look.span(text, Ink::Text)], width)));
    }
    if let Some(toast) = look.app.toasts.back() {
        let ink = if toast.bad { Ink::Warn } else { Ink::Dim };
        all.extend(wrap(&[look.span(&toast.text, ink)], width, 2));
    }
    if let Some(field) = &page.field {
        all.extend(super::field::field_lines(look, field, width));
        return all;
    }
    let mut spans = vec![];
    let picked = keymap::picked(look.app, look.view);
    let rows = look.app.keys.rows(Place::Before).filter(|row| row.act.asks() && row.act != Act::Andon);
    for row in rows {
        let usable = look.sight().may_act(row.act, &picked).is_empty();
        spans.push(
            look.span(look.app.keys.all(row.act, Place::Before).join(" "), if usable { Ink::Key } else { Ink::Dim }),
        );
        spans.push(look.span(format!(" {}  ", row.short), if usable { Ink::Text } else { Ink::Dim }));
    }
    spans.extend([look.span("Esc", Ink::Key), look.span(" close", Ink::Text)]);
    all.push(Line::from(cut(spans, width)));
    all
}

/// A line for who is asked and has not said anything; none where nobody waits for them.
pub fn wanted(look: &Look<'_>) -> Option<Line<'static>> {
    let session = look.session();
    let live = matches!(look.view.link, Link::Live { .. });
    let poll = session.preflight.poll.as_ref().filter(|_| live && session.is_polled())?;
    let open =
        session.preflight.word(&look.view.me).is_none_or(|word| word.go) && !session.preflight.says_go(&look.view.me);
    let asked = open && session.asked().contains(&&look.view.me);
    asked.then(|| {
        Line::from(vec![
            look.span("GO OR NO-GO?  ", Ink::Hold),
            look.span(format!("poll {} · silence is no-go · ", poll.number), Ink::Text),
            look.span(format!("{} opens it", look.key(Act::Before)), Ink::Key),
        ])
    })
}

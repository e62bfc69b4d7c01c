//! Panes 5 to 7: who is here and what they look at, what was said, what happened.

use crate::brief::acts::Act;
use crate::clock::{age, human};
use crate::event::Attention;
use crate::name::shown;
use crate::session::{Person, vouching};
use crate::tui::app::{Overlay, Pane, Purpose};
use crate::tui::canvas::{Look, lines, row};
use crate::tui::facts;
use crate::tui::text::{pad, wrap};
use crate::tui::theme::Ink;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// From this width on there is room for a sentence beside a person.
const WORDS_FROM: u16 = 76;

/// Pane 5: the crew.
pub fn crew(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let session = look.session();
    let here = session.people.values().filter(|person| person.is_heard()).count();
    let needed = session.open_step().map_or(0, |(_, _, armed)| armed.missing());
    let mut right = vec![look.span(format!("{here} here"), Ink::Dim)];
    if needed > 0 {
        let s = if needed == 1 { "" } else { "s" };
        right.push(look.span(format!(" · {needed} check{s} needed"), Ink::Hold));
    }
    let inner = look.frame(buf, area, Pane::Crew, right);
    if inner.height == 0 {
        return;
    }
    let mut people: Vec<_> = session.people.iter().collect();
    people.sort_by_key(|(who, person)| (**who != session.lead, person.connections.is_empty(), person.role));
    let skip = usize::from(look.app.scrolled(Pane::Crew)).min(people.len().saturating_sub(1));
    for (y, (who, person)) in (0..).zip(people.into_iter().skip(skip)) {
        if y + 1 >= inner.height && inner.height > 1 {
            break;
        }
        let (role, ink) = facts::role_word(session, who);
        let me = *who == look.view.me;
        let name = match me {
            true => format!("{} (you)", who.short()),
            false => who.short().to_owned(),
        };
        let mut spans = vec![
            look.span(pad(&name, 12), if me { Ink::Me } else { Ink::Text }),
            look.span(format!(" {} ", pad(role, 8)), ink),
        ];
        spans.extend(doing(look, who, person));
        row(buf, inner, y, spans, key_worth(look, person, inner.width));
    }
    let last = match session.line_lock() {
        None => look.span("andon clear", Ink::Dim),
        Some(lock) => look.span(lock.short(session), Ink::Andon),
    };
    let handover = session.handover.as_ref().map(|half| {
        look.span(format!("  {} offers the lead to {}: H", half.agreed.short(), half.to.short()), Ink::Hold)
    });
    row(buf, inner, inner.height - 1, std::iter::once(last).chain(handover).collect(), vec![]);
}

/// What the key is worth, where the session has a file that vouches for keys; in one word where the pane is narrow.
fn key_worth(look: &Look<'_>, person: &Person, width: u16) -> Vec<Span<'static>> {
    if look.session().allowed.is_none() {
        return vec![];
    }
    let (word, ink) = if person.vouched { ("vouched", Ink::Dim) } else { ("invited", Ink::Hold) };
    let text = if width < WORDS_FROM { word } else { vouching(person.vouched) };
    vec![look.span(format!(" {text}"), ink)]
}

fn doing(look: &Look<'_>, who: &crate::name::Principal, person: &Person) -> Vec<Span<'static>> {
    let session = look.session();
    let at = look.at();
    if let Some(gone) = person.gone {
        return vec![look.span(format!("gone {}", age(at.since(gone))), Ink::Stale)];
    }
    if let Some(since) = person.silent_since() {
        return vec![look.span(format!("silent {}", human(at.since(since))), Ink::Stale)];
    }
    if let Some((step, _, armed)) = session.open_step() {
        let number = session.numbered(&step.id);
        if let Some(check) = armed.checks.get(who) {
            let looked = human(std::time::Duration::from_millis(check.looked_ms));
            return vec![look.span("✓ ", Ink::Pass), look.span(format!("{number} looked {looked}"), Ink::Text)];
        }
        if let Some(opened) = armed.opened.get(who) {
            let word = if matches!(person.attention, Attention::Inspecting(_)) { "inspects" } else { "opened" };
            return vec![look.span(format!("… {number} {word} {}", human(at.since(*opened))), Ink::Text)];
        }
    }
    match &person.attention {
        Attention::Away => vec![look.span(format!("away {}", age(at.since(person.since))), Ink::Stale)],
        Attention::Inspecting(step) => {
            vec![look.span(format!("reads {}", session.numbered(step)), Ink::Text)]
        }
        Attention::Here if *who == session.lead => vec![look.span("drives", Ink::Text)],
        Attention::Here => vec![look.span("here", Ink::Dim)],
    }
}

/// Pane 6: the chat. Whether its newest line is on screen.
pub fn chat(look: &Look<'_>, buf: &mut Buffer, area: Rect) -> bool {
    let session = look.session();
    let unread = session.notes.len().saturating_sub(look.app.chat_read);
    let right = match unread {
        0 => vec![],
        unread => vec![look.span(format!("{unread} new"), Ink::Hold)],
    };
    let inner = look.frame(buf, area, Pane::Chat, right);
    if inner.height == 0 {
        return false;
    }
    let width = usize::from(inner.width);
    let all: Vec<Line<'static>> = session
        .notes
        .iter()
        .rev()
        .take(100)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .flat_map(|said| {
            let head = format!("{} ", &said.at.clock()[..5]);
            wrap(
                &[
                    look.span(head, Ink::Dim),
                    look.span(pad(said.by.short(), 6), Ink::Strong),
                    look.span(format!(" {}", shown(&said.text)), Ink::Text),
                ],
                width,
                13,
            )
        })
        .collect();
    let typing = matches!(&look.app.overlay, Overlay::Field(field) if field.purpose == Purpose::Say);
    let rows = usize::from(inner.height).saturating_sub(1);
    let back = usize::from(look.app.scrolled(Pane::Chat)).min(all.len().saturating_sub(rows));
    let from = all.len().saturating_sub(rows + back);
    lines(buf, Rect { height: inner.height - 1, ..inner }, &all[from..(from + rows).min(all.len())]);
    let prompt = if typing { "> typed below".to_owned() } else { format!("> {} to write", look.key(Act::Say)) };
    row(buf, inner, inner.height - 1, vec![look.span(prompt, Ink::Dim)], vec![]);
    back == 0
}

/// Pane 7: the story, newest first.
pub fn events(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let session = look.session();
    let inner = look.frame(buf, area, Pane::Events, vec![look.span(format!("#{}", session.seq), Ink::Dim)]);
    if inner.height == 0 {
        return;
    }
    let width = usize::from(inner.width);
    let zoomed = usize::from(inner.height) > 12;
    let skip = usize::from(look.app.scrolled(Pane::Events)).min(session.recent.len().saturating_sub(1));
    let mut all = vec![];
    for told in session.recent.iter().rev().skip(skip).take(usize::from(inner.height)) {
        let loud = told.text.starts_with("ANDON") || told.text.contains(" failed") || told.text.contains("objected");
        let ink = if loud { Ink::Fail } else { Ink::Text };
        let spans =
            [look.span(format!("{} ", told.at.clock()), Ink::Dim), look.span(session.shortened(&told.text), ink)];
        match zoomed {
            true => all.extend(wrap(&spans, width, 9)),
            false => all.push(Line::from(crate::tui::canvas::cut(spans.to_vec(), width))),
        }
    }
    lines(buf, inner, &all);
}

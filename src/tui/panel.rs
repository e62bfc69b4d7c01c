//! The cross-check panel: exactly what will run, against the plan, with gates, blast and crew; and what of it was shown.
//!
//! Its sections stand one below the other. A screen shows as many of them as fit, and where a page begins in the middle of
//! one, its heading and the command stand above. The frame reports which lines of which section were on screen: that is
//! what "seen" is made of.

use super::app::{Overlay, Panel, SECTIONS, Seen, Showing, Shown};
use super::armed;
use super::canvas::{Look, cut, lines, rule};
use super::facts;
use super::panes::command;
use super::recovery;
use super::text::{pad, pad_left, sparkline, wrap};
use super::theme::Ink;
use crate::brief::acts::{Act, Place};
use crate::brief::armed::{self as brief, Item, Loud, Name};
use crate::brief::{since, summary};
use crate::clock::human;
use crate::event::Covers;
use crate::hash::Hash;
use crate::plan::Step;
use crate::session::readback::masked_covers;
use crate::session::steps::Armed;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};

const SHORT: [&str; SECTIONS] = ["cmd", "files", "gates", "undo", "crew"];
const NOTES: [&str; SECTIONS] =
    ["exactly what will run", "against the plan", "live, as the hub reads them", "in the plan's words", ""];

/// From so many rows on the command stays in sight on every page.
const PIN_FROM: usize = 10;

/// Draws it over the screen; gives what was on it.
pub fn draw(look: &Look<'_>, buf: &mut Buffer, screen: Rect) -> Option<(u32, Hash, Showing)> {
    let Overlay::Panel(panel) = &look.app.overlay else { return None };
    let (step, _, armed) = look.session().open_step()?;
    if armed.digest() != panel.digest {
        return None; // another one since; the next event re-opens the panel on it
    }
    let hidden = look.hidden(&step.id);
    let covers = &masked_covers(armed.covers.covers(), &hidden);
    let width = screen.width.min(110);
    let text_width = usize::from(width.saturating_sub(4)).max(1);
    let sections = sections(look, step, armed, covers, text_width);
    let whole: usize = sections.iter().map(|section| section.len() + 1).sum();
    let mut bottom = bottom(look, panel, text_width);
    let wanted = u16::try_from(whole + bottom.len() + 2).unwrap_or(u16::MAX);
    let height = wanted.min(screen.height);
    let area =
        Rect { x: screen.x + (screen.width - width) / 2, y: screen.y + (screen.height - height) / 2, width, height };
    let inner = frame(look, buf, area, step, armed);
    let inner = Rect { x: inner.x + u16::from(inner.width > 2), width: inner.width.saturating_sub(2), ..inner };
    let below = u16::try_from(bottom.len()).unwrap_or(u16::MAX).min(inner.height.saturating_sub(1));
    let room = Rect { height: inner.height - below, ..inner };
    let (page, mut showing) = page(look, panel, step, &sections, room);
    lines(buf, room, &page);
    if whole > usize::from(room.height) {
        bottom[0] = places(look, panel, &showing, whole, text_width);
    }
    lines(buf, Rect { y: inner.bottom() - below, height: below, ..inner }, &bottom);
    // What is hidden until it is read back was not seen.
    if !hidden.is_empty() {
        for section in &mut showing.sections[..2] {
            section.to = section.from;
        }
    }
    Some((panel.attempt, panel.digest, showing))
}

/// The rows from where the panel stands, as many as fit, and which they are.
fn page(
    look: &Look<'_>,
    panel: &Panel,
    step: &Step,
    sections: &[Vec<Line<'static>>; SECTIONS],
    room: Rect,
) -> (Vec<Line<'static>>, Showing) {
    let (width, rows) = (usize::from(room.width), usize::from(room.height));
    let mut showing = Showing::default();
    for (shown, section) in showing.sections.iter_mut().zip(sections) {
        shown.of = section.len();
    }
    let whole: usize = sections.iter().map(|section| section.len() + 1).sum();
    let headings: [usize; SECTIONS] = std::array::from_fn(|section| showing.heading(section));
    // A page that does not begin with the first row repeats what it belongs to.
    let above = |top: usize| match top {
        0 => 0,
        _ if rows < 3 => 0,
        _ => usize::from(rows >= PIN_FROM) + usize::from(!headings.contains(&top)),
    };
    let fits = |top: usize| rows.saturating_sub(above(top));
    showing.furthest = (0..whole).find(|top| top + fits(*top) >= whole).unwrap_or(0);
    showing.top = panel.top.min(showing.furthest);
    let mut end = (showing.top + fits(showing.top)).min(whole);
    // A heading without a line of its own would be left behind.
    if headings.contains(&(end.wrapping_sub(1))) && end - 1 > showing.top && end < whole {
        end -= 1;
    }
    showing.bottom = end;
    let mut page = vec![];
    if above(showing.top) > 0 {
        if rows >= PIN_FROM {
            page.push(pinned(look, step, width));
        }
        if let Some(section) = headings.iter().rposition(|heading| *heading <= showing.top)
            && headings[section] < showing.top
        {
            page.push(head(look, panel, section, width, true));
        }
    }
    for (index, section) in sections.iter().enumerate() {
        let first = headings[index] + 1;
        let from = showing.top.saturating_sub(first).min(section.len());
        let to = end.saturating_sub(first).min(section.len());
        if (showing.top..end).contains(&headings[index]) {
            page.push(head(look, panel, index, width, false));
        }
        if from < to {
            page.extend(section[from..to].iter().cloned());
            showing.sections[index] = Shown { from, to, of: section.len() };
        }
    }
    (page, showing)
}

/// The command in one row, where its own are on another page.
fn pinned(look: &Look<'_>, step: &Step, width: usize) -> Line<'static> {
    let mut command = command::command_lines(look, step, usize::MAX >> 1);
    let more = command.len() > 1 || command.first().is_some_and(|line| line.width() > width);
    let first = command.swap_remove(0);
    let mut spans = cut(first.spans, width.saturating_sub(if more { 16 } else { 0 }));
    if more {
        spans.push(look.span("  1 shows it all", Ink::Dim));
    }
    Line::from(spans)
}

/// In the place of the rule below: which sections there are, which of them were seen, and what part of it all this is.
fn places(look: &Look<'_>, panel: &Panel, showing: &Showing, whole: usize, width: usize) -> Line<'static> {
    let mut tabs = vec![];
    for (index, short) in SHORT.iter().enumerate() {
        let done = panel.seen[index].is_done();
        let shown = showing.sections[index];
        let short = if width < 70 { String::new() } else { format!(" {short} ") };
        let name = format!("{}{short}{}", index + 1, if done { "✓" } else { "·" });
        let (name, ink) = match shown.to > shown.from {
            true => (format!("[{name}]"), if done { Ink::Focus } else { Ink::Hold }),
            false => (format!(" {name} "), if done { Ink::Dim } else { Ink::Hold }),
        };
        tabs.push(look.span(name, ink));
    }
    let below = whole.saturating_sub(showing.bottom);
    let on = look.app.keys.first(Act::NextUnseen, Place::Panel);
    let told = match below {
        0 if width < 90 => "the end".to_owned(),
        0 => format!("lines {}-{} of {whole}, the end", showing.top + 1, showing.bottom),
        below if width < 90 => format!("{below} below: {on}"),
        below => format!("{below} lines below: {on}"),
    };
    rule(look, width, tabs, vec![look.span(told, if below > 0 { Ink::Hold } else { Ink::Dim })])
}

fn frame(look: &Look<'_>, buf: &mut Buffer, area: Rect, step: &Step, armed: &Armed) -> Rect {
    let session = look.session();
    let at = look.at();
    let (class, ink) = facts::class(step.class);
    let of = session.plan.steps.len();
    let number = session.numbered(&step.id);
    let left = armed.lapses.since(at);
    let right =
        format!("{} armed by {} {} ago · lapses in {}", "", armed.by.short(), human(at.since(armed.at)), human(left));
    let short = format!("lapses in {}", human(left));
    let room = usize::from(area.width).saturating_sub(8);
    let right = if room > 90 { right.trim_start().to_owned() } else { short };
    let head = vec![
        look.span(format!(" CHECK {number} of {of:02} · "), Ink::Title),
        look.span(&step.title, Ink::Title),
        look.span(" · ", Ink::Dim),
        look.span(class, ink),
        Span::raw(" "),
    ];
    let head = Line::from(cut(head, room.saturating_sub(right.chars().count())));
    look.boxed(buf, area, border::DOUBLE, Ink::Focus, head, vec![look.span(right, Ink::Dim)])
}

fn head(look: &Look<'_>, panel: &Panel, index: usize, width: usize, goes_on: bool) -> Line<'static> {
    let mut left = vec![look.span(format!("{} {}", index + 1, Name::ALL[index].word().to_uppercase()), Ink::Title)];
    if goes_on {
        left.push(look.span("  goes on", Ink::Dim));
    } else if !NOTES[index].is_empty() {
        left.push(look.span(format!("  {}", NOTES[index]), Ink::Dim));
    }
    rule(look, width, left, vec![seen_mark(look, &panel.seen[index])])
}

fn seen_mark(look: &Look<'_>, seen: &Seen) -> Span<'static> {
    match seen.is_done() {
        true => look.span("seen ✓", Ink::Dim),
        false => look.span("NOT SEEN", Ink::Hold),
    }
}

/// What is armed, as it is told everywhere, and beside it what only a live screen knows: readings, the clock of the way back,
/// who is here.
pub(super) fn sections(
    look: &Look<'_>,
    step: &Step,
    armed: &Armed,
    covers: &Covers,
    width: usize,
) -> [Vec<Line<'static>>; SECTIONS] {
    let values: Vec<String> = covers.params.values().cloned().collect();
    let (all, since) = since::told(covers, look.session(), &look.hidden(&step.id));
    let summary = summary::items(covers, look.session(), look.at(), since);
    let mut summary = Some(summary);
    all.map(|section| {
        let mut items = section.items;
        if section.name == Name::Command {
            items = summary::among(items, summary.take().unwrap_or_default());
            let digest = brief::Text::Words(armed.digest().to_string());
            items.push(Item {
                label: "digest".into(),
                text: digest,
                aside: None,
                differs: vec![],
                loud: Loud::Look,
                live: false,
            });
        }
        if let (Name::Crew, Some(needed)) = (section.name, items.first_mut()) {
            needed.aside = Some(format!("{}. {} armed it and cannot check it.", checkers(look), armed.by.short()));
        }
        let told = armed::lines(look, &items, &values, width);
        let all = match section.name {
            Name::Command | Name::Files => [told, vec![]],
            Name::Gates => [readings(look, step, width), told],
            Name::Undo => [told, way_back(look, width)],
            Name::Crew => [told, crew(look, armed, width)],
        };
        let all = all.concat();
        if all.is_empty() { vec![Line::from(look.span("  nothing", Ink::Dim))] } else { all }
    })
}

/// The gates as they read now.
fn readings(look: &Look<'_>, step: &Step, width: usize) -> Vec<Line<'static>> {
    let session = look.session();
    let at = look.at();
    let mut all = vec![];
    for gate in &step.gates {
        let (sign, word, ink) = facts::gate(session, &step.id, gate, at);
        let age = facts::watch_age(session, &gate.watch, at);
        let history: Vec<f64> = session
            .watches
            .get(&gate.watch)
            .map_or_else(Vec::new, |state| state.history.iter().map(|(_, n)| *n).collect());
        let stale = session.status(&gate.watch, at) == crate::event::Status::Unknown;
        let mut spans = vec![
            look.span(format!("{sign} {} ", pad(word, 7)), ink),
            look.span(pad(gate.watch.as_str(), 18), Ink::Text),
            look.span(pad_left(&facts::watch_value(session, &gate.watch, at), 10), ink),
            look.span(format!("  {} old", pad_left(&age, 3)), Ink::Dim),
        ];
        if history.len() > 1 && !stale {
            spans.push(look.span(format!("  {}", sparkline(&history, 8)), Ink::Spark));
        }
        if gate.allow_warn {
            spans.push(look.span("  warn is allowed", Ink::Warn));
        }
        spans.push(look.span(format!("  {}", session.why(&gate.watch, at)), Ink::Text));
        // One row per gate, so that a reading that changes its words does not change what was seen.
        all.push(Line::from(cut(spans, width)));
    }
    all
}

fn way_back(look: &Look<'_>, width: usize) -> Vec<Line<'static>> {
    let session = look.session();
    if !recovery::is_shown(session) {
        return vec![];
    }
    let way = session.ways_back(look.at()).next();
    let spans = match way {
        Some(way) => recovery::rung(look, &way),
        None => vec![look.span(format!("NONE: {}", recovery::fallen(session, look.at())), Ink::Fail)],
    };
    // One row, so that a clock that runs does not change what was seen.
    let mut line = vec![look.span(pad("way back", 12), Ink::Dim)];
    line.extend(spans);
    vec![Line::from(cut(line, width))]
}

fn checkers(look: &Look<'_>) -> String {
    let session = look.session();
    let shadows = session.plan.crew.shadow.iter().filter(|who| session.may_check(who));
    format!("of: {}", shadows.map(|who| who.short()).collect::<Vec<_>>().join(", "))
}

fn crew(look: &Look<'_>, armed: &Armed, width: usize) -> Vec<Line<'static>> {
    let session = look.session();
    let at = look.at();
    let shadows = session.plan.crew.shadow.iter().filter(|who| session.may_check(who));
    let mut all = vec![];
    // One row per shadow, whatever they do: what was seen of the section stays so while they open and check.
    for who in shadows {
        let you = if *who == look.view.me { " (you)" } else { "" };
        let name = look.span(pad(&format!("{}{you}", who.short()), 18), Ink::Text);
        let here = session.people.get(who).is_some_and(|person| !person.connections.is_empty());
        let what = match (armed.checks.get(who), armed.opened.get(who), here) {
            (Some(check), _, _) => {
                let looked = human(std::time::Duration::from_millis(check.looked_ms));
                look.span(format!("✓ checked, looked {looked}"), Ink::Pass)
            }
            (None, Some(opened), _) => look.span(format!("… has it open for {}", human(at.since(*opened))), Ink::Text),
            (None, None, true) => look.span("here, has not opened it", Ink::Dim),
            (None, None, false) => look.span("not here", Ink::Stale),
        };
        let mut row = vec![name, what];
        row.extend(super::read_back::of(look, armed, who));
        all.push(Line::from(cut(row, width)));
    }
    all
}

/// What stands below the sections: what is missing, or the line being typed, and the keys.
fn bottom(look: &Look<'_>, panel: &Panel, width: usize) -> Vec<Line<'static>> {
    let locks = facts::check_locks(panel, look.view, look.now);
    let border = Line::from(look.span("─".repeat(width), Ink::Border));
    let mut all = vec![border];
    if let Some(field) = &panel.field {
        all.extend(super::field::field_lines(look, field, width));
        return all;
    }
    let locked = !locks.is_empty();
    let key = |act: Act| look.app.keys.first(act, Place::Panel);
    match locked {
        true => {
            all.extend(wrap(&[look.span("NOT YET  ", Ink::Hold), look.span(locks.join(" · "), Ink::Text)], width, 9))
        }
        false => all.push(Line::from(vec![
            look.span("READY  ", Ink::Pass),
            look.span(format!("{} says yes to exactly this digest", key(Act::Check)), Ink::Text),
        ])),
    }
    let mut keys = vec![];
    let reads = look.session().open_step().is_some_and(|(step, ..)| !look.hidden(&step.id).is_empty());
    let yes = key(Act::Check);
    for (key, word) in [
        (yes, if locked { "check (locked)" } else { "check" }),
        (if reads { key(Act::ReadBack) } else { "" }, "read back"),
        (key(Act::Object), if width < 90 { "object" } else { "object + why" }),
        (key(Act::Say), "ask"),
        (key(Act::Pane(1)), if width < 90 { "go to" } else { "section" }),
        (key(Act::NextUnseen), if width < 90 { "on" } else { "on to what is unseen" }),
        (key(Act::Back), "later"),
    ]
    .into_iter()
    .filter(|(key, _)| !key.is_empty())
    {
        let ink = if key == yes && locked { Ink::Dim } else { Ink::Key };
        keys.push(look.span(format!("{key} "), ink));
        let gap = if width < 90 { "  " } else { "   " };
        keys.push(look.span(format!("{word}{gap}"), if key == yes && locked { Ink::Dim } else { Ink::Text }));
    }
    all.push(Line::from(cut(keys, width)));
    let andon = "! ANDON stops the line ";
    let said = match look.app.toasts.back() {
        Some(toast) => look.span(&toast.text, Ink::Warn),
        None => look.span("Enter never checks. Anything new voids all checks.", Ink::Dim),
    };
    let room = width.saturating_sub(andon.len() + 1);
    let whole = look.app.toasts.back().map(|_| wrap(std::slice::from_ref(&said), width, 2));
    let left = match whole {
        // Why something was refused stands there whole, above the row that it does not fit into.
        Some(lines) if said.width() > room => {
            all.extend(lines);
            vec![]
        }
        _ => cut(vec![said], room),
    };
    let used: usize = left.iter().map(Span::width).sum();
    let mut last = left;
    last.push(Span::raw(" ".repeat(width.saturating_sub(used + andon.len()))));
    last.push(look.span(andon, Ink::Andon));
    all.push(Line::from(cut(last, width)));
    all
}

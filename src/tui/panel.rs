//! The cross-check panel: exactly what will run, against the plan, with gates, blast and crew; and what of it was shown.
//!
//! Where everything fits it is one page. Where it does not, the command and the worst gate are pinned and one section is
//! shown at a time. Either way the frame reports which lines of which section were on screen: that is what "seen" is made of.

use super::app::{Overlay, Panel, SECTIONS, Seen, Shown};
use super::armed;
use super::canvas::{Look, cut, lines, row, rule};
use super::facts;
use super::panes::command;
use super::recovery;
use super::text::{pad, pad_left, sparkline, wrap};
use super::theme::Ink;
use crate::brief::armed::{self as brief, Item, Loud, Name};
use crate::brief::summary;
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

/// Draws it over the screen; gives what was on it.
pub fn draw(look: &Look<'_>, buf: &mut Buffer, screen: Rect) -> Option<(u32, Hash, [Shown; SECTIONS])> {
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
    let bottom = bottom(look, panel, text_width);
    let wanted = u16::try_from(whole + bottom.len() + 3).unwrap_or(u16::MAX);
    let fits = wanted <= screen.height;
    let height = if fits { wanted } else { screen.height };
    let area =
        Rect { x: screen.x + (screen.width - width) / 2, y: screen.y + (screen.height - height) / 2, width, height };
    let inner = frame(look, buf, area, step, armed);
    let inner = Rect { x: inner.x + u16::from(inner.width > 2), width: inner.width.saturating_sub(2), ..inner };
    let below = u16::try_from(bottom.len()).unwrap_or(u16::MAX).min(inner.height.saturating_sub(1));
    lines(buf, Rect { y: inner.bottom() - below, height: below, ..inner }, &bottom);
    let room = Rect { height: inner.height - below, ..inner };
    let mut shown =
        if fits { page(look, buf, room, panel, &sections) } else { paged(look, buf, room, panel, step, &sections) };
    // What is hidden until it is read back was not seen.
    if !hidden.is_empty() {
        for section in &mut shown[..2] {
            section.to = section.from;
        }
    }
    Some((panel.attempt, panel.digest, shown))
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

/// All sections on one page.
fn page(
    look: &Look<'_>,
    buf: &mut Buffer,
    area: Rect,
    panel: &Panel,
    sections: &[Vec<Line<'static>>; SECTIONS],
) -> [Shown; SECTIONS] {
    let mut shown = [Shown::default(); SECTIONS];
    let mut y = area.y;
    for (index, section) in sections.iter().enumerate() {
        let room = usize::from(area.bottom().saturating_sub(y));
        let mut all = vec![head(look, panel, index, usize::from(area.width))];
        all.extend(section.iter().cloned());
        lines(buf, Rect { y: y.min(area.bottom()), height: area.bottom().saturating_sub(y), ..area }, &all);
        shown[index] = Shown { from: 0, to: section.len().min(room.saturating_sub(1)), of: section.len() };
        y = y.saturating_add(u16::try_from(all.len()).unwrap_or(u16::MAX));
    }
    shown
}

fn head(look: &Look<'_>, panel: &Panel, index: usize, width: usize) -> Line<'static> {
    let mut left = vec![look.span(format!("{} {}", index + 1, Name::ALL[index].word().to_uppercase()), Ink::Title)];
    if !NOTES[index].is_empty() {
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

/// One section at a time; command and worst gate pinned above it.
fn paged(
    look: &Look<'_>,
    buf: &mut Buffer,
    area: Rect,
    panel: &Panel,
    step: &Step,
    sections: &[Vec<Line<'static>>; SECTIONS],
) -> [Shown; SECTIONS] {
    let mut shown = [Shown::default(); SECTIONS];
    for (index, section) in sections.iter().enumerate() {
        shown[index].of = section.len();
    }
    if area.height == 0 {
        return shown;
    }
    let width = usize::from(area.width);
    let mut pinned = vec![];
    if area.height >= 10 && panel.section != 0 {
        let mut command = command::command_lines(look, step, width);
        if command.len() > 2 {
            command.truncate(2);
            command.push(Line::from(look.span("… 1 shows all of it", Ink::Dim)));
        }
        pinned.extend(command);
        let held = step.gates.iter().find(|gate| !look.session().gate_holds(gate, look.at()));
        if let Some(gate) = held {
            let (sign, word, ink) = facts::gate(look.session(), &step.id, gate, look.at());
            let why = look.session().why(&gate.watch, look.at());
            let spans =
                vec![look.span(format!("{sign} {word} "), ink), look.span(format!("{}: {why}", gate.watch), Ink::Text)];
            pinned.push(Line::from(cut(spans, width)));
        }
    }
    let mut tabs = vec![];
    for (index, short) in SHORT.iter().enumerate() {
        let mark = if panel.seen[index].is_done() { "✓" } else { "·" };
        let name = format!("{} {} {mark}", index + 1, short);
        let (name, ink) = match index == panel.section {
            true => (format!("[{name}]"), Ink::Focus),
            false => (format!(" {name} "), if panel.seen[index].is_done() { Ink::Dim } else { Ink::Hold }),
        };
        tabs.push(look.span(name, ink));
    }
    pinned.push(Line::from(cut(tabs, width)));
    let above = u16::try_from(pinned.len()).unwrap_or(u16::MAX).min(area.height.saturating_sub(1));
    lines(buf, Rect { height: above, ..area }, &pinned);
    let room = Rect { y: area.y + above, height: area.height - above, ..area };
    let section = &sections[panel.section.min(SECTIONS - 1)];
    let rows = usize::from(room.height);
    // The last row tells whether there is more, where there is.
    let rows = if section.len() > rows { rows.saturating_sub(1) } else { rows };
    let from = panel.scroll.min(section.len().saturating_sub(rows.max(1)));
    let to = (from + rows).min(section.len());
    lines(buf, room, &section[from..to]);
    if section.len() > rows {
        let text = format!("lines {}-{to} of {}; Space goes on", from + 1, section.len());
        row(buf, room, room.height - 1, vec![], vec![look.span(text, Ink::Hold)]);
    }
    shown[panel.section.min(SECTIONS - 1)] = Shown { from, to, of: section.len() };
    shown
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
    brief::sections(covers, Some(look.session())).map(|section| {
        let mut items = section.items;
        if section.name == Name::Command {
            items = summary::among(items, summary::items(covers, look.session(), look.at()));
            let digest = brief::Text::Words(armed.digest().to_string());
            items.push(Item { label: "digest".into(), text: digest, aside: None, differs: vec![], loud: Loud::Look });
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
        all.extend(super::draw::field_lines(look, field, width));
        return all;
    }
    let locked = !locks.is_empty();
    match locked {
        true => {
            all.extend(wrap(&[look.span("NOT YET  ", Ink::Hold), look.span(locks.join(" · "), Ink::Text)], width, 9))
        }
        false => all.push(Line::from(vec![
            look.span("READY  ", Ink::Pass),
            look.span("y says yes to exactly this digest", Ink::Text),
        ])),
    }
    let mut keys = vec![];
    let reads = look.session().open_step().is_some_and(|(step, ..)| !look.hidden(&step.id).is_empty());
    for (key, word) in [
        ("y", if locked { "check (locked)" } else { "check" }),
        (if reads { "r" } else { "" }, "read back"),
        ("n", "object + why"),
        ("c", "ask"),
        ("Tab/1-5", "section"),
        ("Space", "next unseen"),
        ("Esc", "later"),
    ]
    .into_iter()
    .filter(|(key, _)| !key.is_empty())
    {
        let ink = if key == "y" && locked { Ink::Dim } else { Ink::Key };
        keys.push(look.span(format!("{key} "), ink));
        keys.push(look.span(format!("{word}   "), if key == "y" && locked { Ink::Dim } else { Ink::Text }));
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

//! One frame. From the top: where we are, the worst there is to say, the panes, a message, the keys.
//!
//! ```text
//! row 0        LIVE  ENVIRONMENT  name   T+   step n of m PHASE   me · ROLE   link   clock
//! row 1        the worst alarm, or the point of no return; the andon fills it
//! row 2        wide: the recovery clock, where the plan names ways back; narrow: it stands in row 0
//! wide         plan | command              narrow    plan (around the current step)
//!                   | lag | health                   one pane, picked by number
//!              crew | chat | events
//! running      plan | output               narrow    as much of the plan as half of the rows leave
//!            health |                                output
//!              crew | chat | events
//! last but one banner, message, or the line being typed
//! last         keys                                                    ! ANDON stops the line
//! ```
//!
//! Below 60x16 only step, alarm, command and andon are left. No size is refused and none panics.

use super::app::{App, Now, Overlay, Pane};
use super::canvas::{self, Look, cut, lines, row};
use super::field::field_lines;
use super::happened::Drawn;
use super::keymap;
use super::panes::{command, crew, plan, watches};
use super::text::{fit, pad, wrap};
use super::theme::{Ink, Theme};
use super::{facts, palette, panel, preflight, recovery, rehearsal};
use crate::brief::acts::{Act, Place, Row};
use crate::brief::stands;
use crate::client::view::{Link, View};
use crate::clock::human;
use crate::name::shown;
use crate::session::steps::Phase;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};

/// Which signs are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Glyphs {
    /// Box drawing and signs; never emoji.
    #[default]
    Unicode,
    /// ASCII only.
    Ascii,
}

/// Draws a frame and says what is on it.
pub fn draw(buf: &mut Buffer, app: &App, view: &View, theme: &Theme, glyphs: Glyphs, now: Now) -> Drawn {
    let look = Look { app, view, theme, now };
    let area = buf.area;
    let mut drawn = Drawn::default();
    if area.width == 0 || area.height == 0 {
        return drawn;
    }
    buf.set_style(area, look.ink(Ink::Base));
    let large = area.width >= 60 && area.height >= 16;
    let area = rehearsal::banner(&look, buf, area);
    match large {
        true => main(&look, buf, area, &mut drawn),
        false => small(&look, buf, area),
    }
    match &app.overlay {
        Overlay::Panel(_) => {
            // Row 0 and the last row stay: where we are, and the andon.
            let over = match area.height {
                0..5 => area,
                height => Rect { y: area.y + 1, height: height - 2, ..area },
            };
            drawn.panel = panel::draw(&look, buf, over);
        }
        Overlay::Preflight(page) => {
            let over = match area.height {
                0..5 => area,
                height => Rect { y: area.y + 1, height: height - 2, ..area },
            };
            preflight::draw(&look, buf, over, page);
        }
        Overlay::Help(scroll) => help(&look, buf, area, *scroll),
        Overlay::Quit => quit(&look, buf, area),
        Overlay::Palette(palette) => {
            let width = usize::from(area.width.min(96).saturating_sub(4)).max(1);
            let rows = usize::from(area.height.saturating_sub(4)).max(1);
            popup(&look, buf, area, "Commands", &palette::lines(&look, palette, width, rows), 0);
        }
        Overlay::None | Overlay::Field(_) => {}
    }
    if area.height >= 3 || !large {
        footer(&look, buf, area);
    }
    rehearsal::alone(&look, buf);
    if glyphs == Glyphs::Ascii {
        canvas::to_ascii(buf);
    }
    drawn
}

fn main(look: &Look<'_>, buf: &mut Buffer, area: Rect, drawn: &mut Drawn) {
    status(look, buf, area);
    alarm(look, buf, Rect { y: area.y + 1, height: 1, ..area });
    let wide = area.width >= 100 && area.height >= 30;
    // A command that runs, or is undone, has half of all rows for what it prints.
    let live = look.session().live_step().is_some();
    let half = area.height.div_ceil(2);
    let message = message(look, usize::from(area.width).saturating_sub(2));
    // What the hub says to somebody stands there whole, however long it is.
    let rows = u16::try_from(message.len()).unwrap_or(u16::MAX).clamp(1, (area.height / 3).max(4));
    let clock = u16::from(wide && recovery::is_shown(look.session()));
    if clock > 0 {
        recovery::draw(look, buf, Rect { y: area.y + 2, height: 1, ..area });
    }
    let body = Rect { y: area.y + 2 + clock, height: area.height.saturating_sub(3 + clock + rows), ..area };
    let below = Rect { x: area.x + 1, y: body.bottom(), width: area.width - 2, height: rows };
    lines(buf, below, &message);
    if look.app.zoom {
        pane(look, buf, body, look.app.focus, drawn);
    } else if wide {
        let low = if body.height >= 34 { 9 } else { 7 };
        // What is printed needs the room beside the frame, the command, and the row that tells of the run.
        let low = if live { low.min(body.height.saturating_sub(half + command::AROUND)) } else { low };
        let low = if low < 4 { 0 } else { low };
        let left = (u32::from(area.width) * 46 / 120).clamp(40, 70) as u16; // of a u16, so it fits one
        let upper = Rect { height: body.height - low, ..body };
        let right = Rect { x: body.x + left, width: body.width - left, ..upper };
        let has = watches::panes(look.session());
        // While a command runs the watches stand below the plan, of which few rows are needed then.
        let below = Rect { width: left, ..upper };
        let rows = match (live, has.is_empty()) {
            (_, true) => 0,
            (true, false) => watches::rows(look.session()).clamp(4, upper.height / 3),
            (false, false) => upper.height / 2,
        };
        let (plan, command, lower) = match live {
            true => {
                let plan = Rect { height: below.height - rows, ..below };
                (plan, right, Rect { y: plan.bottom(), height: rows, ..below })
            }
            false => {
                let command = Rect { height: right.height - rows, ..right };
                (below, command, Rect { y: command.bottom(), height: rows, ..right })
            }
        };
        let half = right.width / 2;
        let strip = Rect { y: upper.bottom(), height: low, ..body };
        pane(look, buf, plan, Pane::Plan, drawn);
        pane(look, buf, command, Pane::Command, drawn);
        match has[..] {
            [one] => pane(look, buf, lower, one, drawn),
            // Next to the plan there is not the width for two: what people look at, else what is not well.
            [one, other] if live => {
                let worse = watches::worst(look, one) > watches::worst(look, other);
                let shown = match look.app.focus {
                    focus if focus == one || focus == other => focus,
                    _ => {
                        if worse {
                            one
                        } else {
                            other
                        }
                    }
                };
                pane(look, buf, lower, shown, drawn);
            }
            [one, other] => {
                pane(look, buf, Rect { width: half, ..lower }, one, drawn);
                pane(look, buf, Rect { x: lower.x + half, width: lower.width - half, ..lower }, other, drawn);
            }
            _ => {}
        }
        pane(look, buf, Rect { width: left, ..strip }, Pane::Crew, drawn);
        pane(look, buf, Rect { x: strip.x + left, width: half, ..strip }, Pane::Chat, drawn);
        let events = Rect { x: strip.x + left + half, width: strip.width - left - half, ..strip };
        pane(look, buf, events, Pane::Events, drawn);
    } else {
        let other = match look.app.focus {
            Pane::Plan => Pane::Command,
            focus => focus,
        };
        let upper = match live && other == Pane::Command {
            true => body.height.saturating_sub(half + command::AROUND),
            // What somebody has to settle needs its last words on screen.
            false if look.session().owing_step().is_some() => (body.height / 3).min(11),
            false => (body.height / 2).min(11),
        };
        let upper = Rect { height: if upper < 3 { 0 } else { upper }, ..body };
        pane(look, buf, upper, Pane::Plan, drawn);
        let lower = Rect { y: upper.bottom(), height: body.height - upper.height, ..body };
        pane(look, buf, lower, other, drawn);
    }
}

fn pane(look: &Look<'_>, buf: &mut Buffer, area: Rect, pane: Pane, drawn: &mut Drawn) {
    if area.height == 0 {
        return;
    }
    match pane {
        Pane::Plan => plan::draw(look, buf, area),
        Pane::Command => drawn.output = command::draw(look, buf, area),
        Pane::Lag => watches::lag(look, buf, area),
        Pane::Health => watches::health(look, buf, area),
        Pane::Crew => crew::crew(look, buf, area),
        Pane::Chat => drawn.chat = crew::chat(look, buf, area),
        Pane::Events => crew::events(look, buf, area),
    }
}

/// Row 0. What is least needed goes first where there is no room.
fn status(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let session = look.session();
    let (environment, environment_ink) = facts::environment(session);
    let mode = match look.view.link {
        Link::Replay { .. } => look.span(" REPLAY ", Ink::Replay),
        _ if session.rehearsal().is_some() => look.span(" REHEARSAL ", Ink::Replay),
        _ => look.span(" LIVE ", Ink::Live),
    };
    let narrow = area.width < 100;
    let mut parts: Vec<(u8, Vec<Span<'static>>)> = vec![
        (0, vec![mode, look.span(format!(" {environment}"), environment_ink)]),
        (3, vec![look.span(fit(&session.plan.name, if narrow { 18 } else { 40 }), Ink::Text)]),
        (4, vec![look.span(format!("T+{}", elapsed(look)), Ink::Text)]),
    ];
    if let Some((step, state)) = session.current_step() {
        let (_, word, ink) = facts::phase(state.phase);
        let number = session.numbered(&step.id);
        let of = match narrow {
            true => format!("{number}/{:02} ", session.plan.steps.len()),
            false => format!("step {number} of {:02} ", session.plan.steps.len()),
        };
        parts.push((1, vec![look.span(of, Ink::Text), look.span(word, ink)]));
    } else {
        parts.push((1, vec![look.span("every step is over", Ink::Done)]));
    }
    if let Some(mark) = super::exceptions::mark(session) {
        parts.push((0, vec![look.span(format!(" {mark} "), Ink::Fail)]));
    }
    let covered = narrow || area.height < 30 || look.app.panel().is_some();
    if let Some((text, ink)) = recovery::short(session, look.at()).filter(|_| covered) {
        parts.push((1, vec![look.span(text, ink)]));
    }
    let (role, ink) = facts::role_word(session, &look.view.me);
    let replay = matches!(look.view.link, Link::Replay { .. });
    let me = vec![look.span(format!("{} · ", look.view.me.short()), Ink::Me), look.span(role, ink)];
    parts.push((if replay { 7 } else { 2 }, me));
    let rank = if matches!(look.view.link, Link::Live { .. }) { 5 } else { 1 };
    parts.push((rank, link(look)));
    parts.push((6, vec![look.span(look.at().clock(), Ink::Dim)]));
    let width = usize::from(area.width);
    let size = |parts: &[(u8, Vec<Span<'static>>)]| -> usize {
        parts.iter().map(|(_, spans)| spans.iter().map(Span::width).sum::<usize>() + 2).sum()
    };
    while size(&parts) > width && parts.len() > 1 {
        let least = parts.iter().map(|(rank, _)| *rank).max();
        parts.retain(|(rank, _)| Some(*rank) != least);
    }
    let spare = width.saturating_sub(size(&parts));
    let gap = 2 + spare / parts.len().max(1);
    let mut spans = vec![];
    let last = parts.len() - 1;
    for (index, (_, part)) in parts.into_iter().enumerate() {
        if index == last && index > 0 {
            let used: usize = spans.iter().map(Span::width).sum();
            let size: usize = part.iter().map(Span::width).sum();
            spans.push(Span::raw(" ".repeat(width.saturating_sub(used + size + 1))));
            spans.extend(part);
        } else {
            spans.extend(part);
            spans.push(Span::raw(" ".repeat(if index == last { 0 } else { gap })));
        }
    }
    buf.set_style(Rect { height: 1, ..area }, look.ink(Ink::Panel));
    row(buf, area, 0, spans, vec![]);
}

fn elapsed(look: &Look<'_>) -> String {
    let s = look.at().since(look.session().opened).as_secs();
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

fn link(look: &Look<'_>) -> Vec<Span<'static>> {
    match &look.view.link {
        Link::Live { rtt } => vec![look.span(format!("link {} ms", rtt.as_millis()), Ink::Text)],
        Link::Lost { since, .. } => {
            let age = crate::clock::age(look.now.wall.since(*since));
            vec![look.span(format!("LINK LOST {age}"), Ink::Fail)]
        }
        Link::Replay { at, of, verdict } => {
            let play = if look.app.playing { "plays" } else { "paused" };
            vec![look.span(format!("#{at} of {of} · {} · {play}", shown(verdict)), Ink::Text)]
        }
    }
}

fn alarm(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let alarm = stands::alarm(&look.sight());
    let ink: Ink = if alarm.loud { Ink::Andon } else { alarm.tone.into() };
    if alarm.loud {
        buf.set_style(area, look.ink(ink));
        row(buf, area, 0, vec![look.span(format!(" {} ", alarm.word), ink), look.span(&alarm.text, ink)], vec![]);
    } else {
        let spans = vec![look.span(format!(" {}  ", alarm.word), ink), look.span(&alarm.text, Ink::Text)];
        let other = stands::no_return(look.session());
        let also = vec![look.span(other.word, other.tone.into()), look.span(format!(" {} ", other.text), Ink::Text)];
        let size = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>();
        // Only where it takes nothing away from the alarm.
        let fits = size(&spans) + size(&also) + 2 <= usize::from(area.width);
        let right = match fits && other.word != alarm.word && look.session().closed.is_none() {
            true => also,
            false => vec![],
        };
        row(buf, area, 0, spans, right);
    }
}

/// The rows above the keys: the line being typed, else a check that is wanted and the newest message.
fn message(look: &Look<'_>, width: usize) -> Vec<Line<'static>> {
    if let Overlay::Field(field) = &look.app.overlay {
        return field_lines(look, field, width);
    }
    let session = look.session();
    let mut all = vec![];
    if let Some((step, state, armed)) = session.open_step()
        && state.phase == Phase::Armed
        && session.may_check(&look.view.me)
        && !armed.checks.contains_key(&look.view.me)
        && !matches!(look.view.link, Link::Replay { .. })
        && look.app.panel().is_none()
    {
        let spans = vec![
            look.span("CHECK WANTED  ", Ink::Hold),
            look.span(format!("{} {}", session.numbered(&step.id), step.title), Ink::Strong),
            look.span(
                format!(
                    " · armed by {} {} ago, lapses in {} · ",
                    armed.by.short(),
                    human(look.at().since(armed.at)),
                    human(armed.lapses.since(look.at()))
                ),
                Ink::Text,
            ),
            look.span(format!("{} opens it", look.key(Act::Open)), Ink::Key),
        ];
        all.push(Line::from(cut(spans, width)));
    }
    all.extend(preflight::wanted(look).map(|line| Line::from(cut(line.spans, width))));
    if let Some(toast) = look.app.toasts.back() {
        let (word, ink) = if toast.bad { ("! ", Ink::Warn) } else { ("· ", Ink::Dim) };
        all.extend(wrap(&[look.span(word, ink), look.span(&toast.text, Ink::Text)], width, 2));
    }
    let over = session.closed.is_some() || matches!(look.view.link, Link::Replay { .. });
    if all.is_empty() && over {
        all.push(Line::default());
    }
    if all.is_empty() {
        let next = look.sight().next();
        let mine = next.who.contains(&look.view.me);
        let text = look.span(next.told_to(&look.view.me, session), if mine { Ink::Strong } else { Ink::Text });
        all.push(Line::from(cut(vec![look.span("NEXT  ", Ink::Dim), text], width)));
    }
    all
}

/// Why a key cannot be used now where it is listed; none where it can.
fn locked(look: &Look<'_>, place: Place, row: &Row) -> Option<String> {
    let listed = matches!(place, Place::Main | Place::Before);
    let picked = keymap::picked(look.app, look.view);
    let reasons = if listed { look.sight().may_act(row.act, &picked) } else { vec![] };
    reasons.into_iter().next().map(|why| why.short)
}

/// The last row: keys, those that cannot be used now dimmed, and the andon in its corner.
fn footer(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let place = keymap::place(look.app, look.view);
    let y = area.height - 1;
    let last = Rect { y: area.y + y, height: 1, ..area };
    let right = match place {
        Place::Replay => vec![],
        _ if matches!(look.view.link, Link::Replay { .. }) => vec![],
        _ if area.width >= 50 => vec![look.span(" ! ANDON stops the line ", Ink::Andon)],
        _ => vec![look.span(" ! ANDON ", Ink::Andon)],
    };
    if area.height < 3 && area.height > 1 && area.width < 20 {
        return;
    }
    let taken: usize = right.iter().map(Span::width).sum::<usize>() + 1;
    let mut room = usize::from(area.width).saturating_sub(taken + 1);
    let mut left = vec![Span::raw(" ")];
    let here = look.app.keys.rows(place).filter(|row| !row.short.is_empty() && row.act != Act::Andon);
    // What can be done now comes first; what cannot is listed in the help with its reason.
    let here = here.filter(|row| row.act != Act::Before || look.session().plan.poll);
    let (can, cannot): (Vec<&Row>, Vec<&Row>) = here.partition(|row| locked(look, place, row).is_none());
    let help = can.iter().find(|row| row.act == Act::Help).copied();
    let rest = can.iter().filter(|row| row.act != Act::Help).copied();
    let key = |row: &Row| look.app.keys.first(row.act, place);
    if let Some(help) = help {
        room = room.saturating_sub(key(help).len() + help.short.len() + 3);
    }
    let mut push = |left: &mut Vec<Span<'static>>, row: &Row, usable: bool| {
        let size = key(row).chars().count() + row.short.chars().count() + 3;
        if size <= room {
            room -= size;
            left.push(look.span(key(row), if usable { Ink::Key } else { Ink::Dim }));
            left.push(look.span(format!(" {}  ", row.short), if usable { Ink::Text } else { Ink::Dim }));
        }
    };
    // The panel names its own keys, locked ones as such.
    let own = (look.app.panel().is_some() || place == Place::Before) && area.height >= 10;
    for row in rest.filter(|_| !own) {
        push(&mut left, row, true);
    }
    for row in cannot.iter().filter(|_| !own).take(3) {
        push(&mut left, row, false);
    }
    if let Some(help) = help {
        left.push(look.span(key(help), Ink::Key));
        left.push(look.span(format!(" {}", help.short), Ink::Text));
    }
    buf.set_style(last, look.ink(Ink::Base));
    for x in last.x..last.right() {
        if let Some(cell) = buf.cell_mut((x, last.y)) {
            cell.set_symbol(" ");
        }
    }
    row(buf, last, 0, left, right);
}

/// What is left below 60x16: step, alarm, command.
fn small(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let session = look.session();
    let width = usize::from(area.width);
    let rows = usize::from(area.height.saturating_sub(u16::from(area.height > 1)));
    let mut all = vec![];
    let (environment, ink) = facts::environment(session);
    let step = match session.current_step() {
        Some((step, state)) => {
            let (_, word, ink) = facts::phase(state.phase);
            let of = format!("{}/{:02} ", session.numbered(&step.id), session.plan.steps.len());
            vec![look.span(of, Ink::Text), look.span(word, ink), look.span(format!(" {}", step.title), Ink::Text)]
        }
        None => vec![look.span("every step is over", Ink::Done)],
    };
    let mode = match look.view.link {
        Link::Replay { .. } => "REPLAY ",
        Link::Lost { .. } => "LINK LOST ",
        Link::Live { .. } => "",
    };
    let mut first = vec![look.span(mode, Ink::Fail)];
    if session.rehearsal().is_some() {
        first.insert(0, look.span(format!("{} ", rehearsal::WORD), Ink::Replay)); // there may be no other row
    }
    first.extend(step);
    all.push(Line::from(cut(first, width)));
    let alarm = stands::alarm(&look.sight());
    let spans = vec![look.span(alarm.word, alarm.tone.into()), look.span(format!(" {}", alarm.text), Ink::Text)];
    if let Overlay::Field(field) = &look.app.overlay {
        all.extend(field_lines(look, field, width));
    }
    all.push(Line::from(cut(spans, width)));
    if let Some((text, ink)) = recovery::short(session, look.at()) {
        all.push(Line::from(cut(vec![look.span(text, ink)], width)));
    }
    all.push(Line::from(cut(vec![look.span(environment, ink)], width)));
    if let Some(toast) = look.app.toasts.back() {
        all.extend(wrap(&[look.span(&toast.text, Ink::Warn)], width, 0));
    }
    if let Some((step, _)) = session.current_step() {
        all.extend(command::command_lines(look, step, width.max(1)));
    }
    all.truncate(rows);
    lines(buf, area, &all);
}

fn help(look: &Look<'_>, buf: &mut Buffer, area: Rect, scroll: u16) {
    let place = match look.view.link {
        Link::Replay { .. } => Place::Replay,
        _ => Place::Main,
    };
    let mut all = vec![];
    let width = usize::from(area.width.min(96).saturating_sub(4)).max(1);
    for row in look.app.keys.rows(place) {
        let reason = locked(look, place, row);
        let ink = if reason.is_some() { Ink::Dim } else { Ink::Text };
        let mut spans =
            vec![look.span(pad(&look.app.keys.all(row.act, place).join(" "), 9), Ink::Key), look.span(row.help, ink)];
        if let Some(reason) = reason {
            spans.push(look.span(format!(" (not now: {reason})"), Ink::Hold));
        }
        all.extend(wrap(&spans, width, 9));
    }
    if place == Place::Main {
        all.push(Line::default());
        all.push(Line::from(look.span(format!("on {}", Place::Panel.title()), Ink::Title)));
        let own = |row: &&Row| look.key(row.act).is_empty();
        for row in look.app.keys.rows(Place::Panel).filter(own) {
            let spans = [
                look.span(pad(&look.app.keys.all(row.act, Place::Panel).join(" "), 9), Ink::Key),
                look.span(row.help, Ink::Text),
            ];
            all.extend(wrap(&spans, width, 9));
        }
        all.extend(wrap(&[look.span("Enter acts on nothing: it only sends typed text.", Ink::Dim)], width, 0));
    }
    popup(look, buf, area, "Keys", &all, usize::from(scroll));
}

fn quit(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let mut all = vec![Line::from(look.span("The session goes on without this screen.", Ink::Text))];
    if look.view.leads() {
        all.push(Line::from(look.span("You lead: nobody can arm or run while you are away.", Ink::Hold)));
    }
    for (key, word) in
        [("s", "stay (also Esc, Enter and every other key)"), ("l", "leave"), ("H", "hand the lead over first")]
    {
        all.push(Line::from(vec![look.span(pad(key, 4), Ink::Key), look.span(word, Ink::Text)]));
    }
    popup(look, buf, area, "Leave?", &all, 0);
}

fn popup(look: &Look<'_>, buf: &mut Buffer, area: Rect, title: &str, all: &[Line<'static>], scroll: usize) {
    let width = area.width.min(96);
    let height = u16::try_from(all.len() + 2).unwrap_or(u16::MAX).min(area.height.saturating_sub(2));
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let right = vec![look.span("Esc closes", Ink::Dim)];
    let title = Line::from(vec![Span::raw(" "), look.span(title, Ink::Title), Span::raw(" ")]);
    let inner = look.boxed(buf, place, border::DOUBLE, Ink::Focus, title, right);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let from = scroll.min(all.len().saturating_sub(usize::from(inner.height)));
    lines(buf, inner, &all[from.min(all.len())..]);
}

//! The cross-check panel: exactly what will run, against the plan, with gates, blast and crew; and what of it was shown.
//!
//! Where everything fits it is one page. Where it does not, the command and the worst gate are pinned and one section is
//! shown at a time. Either way the frame reports which lines of which section were on screen: that is what "seen" is made of.

use super::app::{Overlay, Panel, SECTIONS, Seen, Shown};
use super::canvas::{Look, cut, lines, row, rule};
use super::deviations;
use super::facts;
use super::panes::{command, plan};
use super::preview;
use super::recovery;
use super::rehearsal;
use super::text::{pad, pad_left, sparkline, wrap};
use super::theme::Ink;
use crate::clock::human;
use crate::event::{CommandSeen, Covers, FileSeen};
use crate::hash::Hash;
use crate::name::{escaped, shown};
use crate::plan::{Command, Step};
use crate::session::readback::masked_covers;
use crate::session::steps::Armed;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};

/// Lines of a file shown whole; of a longer one the digest stands for the rest, and the section says so.
const FILE_LINES_MAX: usize = 2000;

const NAMES: [&str; SECTIONS] = ["COMMAND", "FILES AND PARAMETERS", "GATES", "BLAST AND UNDO", "CREW"];
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
    let mut left = vec![look.span(format!("{} {}", index + 1, NAMES[index]), Ink::Title)];
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

fn sections(
    look: &Look<'_>,
    step: &Step,
    armed: &Armed,
    covers: &Covers,
    width: usize,
) -> [Vec<Line<'static>>; SECTIONS] {
    let mut sections = [
        what_runs(look, step, armed, covers, width),
        files(look, step, covers, width),
        gates(look, step, covers, width),
        blast(look, step, covers, width),
        crew(look, armed, covers, width),
    ];
    for section in &mut sections {
        if section.is_empty() {
            section.push(Line::from(look.span("  nothing", Ink::Dim)));
        }
    }
    sections
}

fn named(look: &Look<'_>, name: &str, text: Vec<Span<'static>>, width: usize) -> Vec<Line<'static>> {
    let mut spans = vec![look.span(pad(name, 12), Ink::Dim)];
    spans.extend(text);
    wrap(&spans, width, 12)
}

fn what_runs(look: &Look<'_>, step: &Step, armed: &Armed, covers: &Covers, width: usize) -> Vec<Line<'static>> {
    let mut all = rehearsal::lines(look, covers, width);
    all.extend(deviations::lines(look, &covers.deviations, width));
    all.extend(command::command_lines(look, step, width));
    if let (Some(probe), Some(planned)) = (&covers.probe, &step.probe) {
        let words = vec![look.span(super::text::command_line(&probe.argv), Ink::Text)];
        all.extend(named(look, "probe", words, width));
        all.extend(command_facts(look, probe, planned, width));
        all.extend(named(look, "ends", vec![look.span(limit(probe), Ink::Text)], width));
    }
    if covers.command.is_nothing() {
        all.extend(named(look, "digest", vec![look.span(armed.digest().to_string(), Ink::Strong)], width));
        return all;
    }
    all.extend(command_facts(look, &covers.command, &step.command, width));
    let host = vec![
        look.span(format!("{} · ", facts::environment(look.session()).0), facts::environment(look.session()).1),
        look.span(
            format!(
                "{} as {} · {} · {}",
                escaped(&covers.command.host),
                escaped(&covers.command.user),
                shown(&covers.command.io),
                limit(&covers.command)
            ),
            Ink::Text,
        ),
    ];
    all.extend(named(look, "on", host, width));
    all.extend(named(look, "digest", vec![look.span(armed.digest().to_string(), Ink::Strong)], width));
    all
}

/// All that decides what a command does, its words apart.
fn command_facts(look: &Look<'_>, seen: &CommandSeen, planned: &Command, width: usize) -> Vec<Line<'static>> {
    let text = |text: String| vec![look.span(text, Ink::Text)];
    let mut all = vec![];
    for (name, value) in facts::env_differences(seen, Some(planned)) {
        let spans = vec![
            look.span(format!("{}=", escaped(&name)), Ink::Text),
            look.span(super::text::quoted(&value), Ink::Param),
        ];
        all.extend(named(look, "env", spans, width));
    }
    for (key, hash) in &seen.secrets {
        let words = format!("{}  fetched by the hub, not shown; salted sha256 {}", escaped(key), hash.short());
        all.extend(named(look, "secret", text(words), width));
    }
    let file =
        |file: &FileSeen| format!("{}  sha256 {}, {} bytes", escaped(&file.path), file.sha256.short(), file.size);
    all.extend(named(look, "in", text(escaped(&seen.cwd)), width));
    all.extend(named(look, "executes", text(file(&seen.exe)), width));
    if seen.sealed {
        all.extend(named(look, "", text("from a sealed copy of these bytes".to_owned()), width));
    }
    if let Some(interpreter) = &seen.interpreter {
        all.extend(named(look, "by", text(file(interpreter)), width));
    }
    if let Some(stdin) = &seen.stdin {
        for (index, line) in stdin.lines().enumerate() {
            all.extend(named(look, if index == 0 { "stdin" } else { "" }, text(escaped(line)), width));
        }
    }
    if let Some(from) = &seen.stdin_file {
        all.extend(named(look, "stdin", text(format!("from {}; below, as a file", file(from))), width));
    }
    for other in seen.named.iter().flatten() {
        all.extend(named(look, "named", text(format!("{}; it may change", file(other))), width));
    }
    all
}

fn limit(seen: &CommandSeen) -> String {
    match seen.timeout_ms {
        Some(ms) => format!("ended after {}", human(std::time::Duration::from_millis(ms))),
        None => "no time limit".to_owned(),
    }
}

/// What undoes the step: checked with it, so shown with it.
fn rollback(look: &Look<'_>, step: &Step, covers: &Covers, width: usize) -> Vec<Line<'static>> {
    let (Some(seen), Some(planned)) = (&covers.rollback, &step.rollback) else { return vec![] };
    let when = match seen.automatic {
        true => look.span("runs BY ITSELF if the step fails or makes something worse", Ink::Hold),
        false => look.span("runs when the lead asks for it after the step ended badly", Ink::Text),
    };
    let mut all = named(look, "rollback", vec![when], width);
    let values: Vec<String> = facts::params_used(look.session(), step).into_iter().map(|(_, value)| value).collect();
    let words = super::text::command_line(&seen.command.argv);
    let spans = super::text::marked(&words, &values, look.ink(Ink::Text), look.ink(Ink::Param));
    all.extend(wrap(&spans, width, 2));
    all.extend(command_facts(look, &seen.command, &planned.command, width));
    if !seen.absent.is_empty() {
        let text = format!("{}: the step has to make it, and nobody has seen it", escaped(&seen.absent.join(", ")));
        all.extend(named(look, "NOT THERE", vec![look.span(text, Ink::Fail)], width));
    }
    if covers.feeds_begun_lines() {
        let text = "of that input only the lines that this attempt began".to_owned();
        all.extend(named(look, "gets", vec![look.span(text, Ink::Hold)], width));
    }
    all.extend(named(look, "ends", vec![look.span(limit(&seen.command), Ink::Text)], width));
    for contain in &seen.contain {
        let text = format!("{} has to be done before the session ends", look.session().numbered(contain));
        all.extend(named(look, "after it", vec![look.span(text, Ink::Text)], width));
    }
    all
}

fn files(look: &Look<'_>, step: &Step, covers: &Covers, width: usize) -> Vec<Line<'static>> {
    let session = look.session();
    let mut all = vec![];
    let rev = plan::rev(&session.plan.digest);
    let hidden = look.hidden(&step.id);
    let same = covers.plan == session.plan.digest;
    let (word, ink) = if same { ("as armed", Ink::Text) } else { ("ANOTHER PLAN THAN ARMED", Ink::Fail) };
    let spans =
        vec![look.span(format!("rev {rev}, step {} ", session.numbered(&step.id)), Ink::Text), look.span(word, ink)];
    all.extend(named(look, "plan", spans, width));
    for (name, value) in facts::params_used(session, step) {
        let default = session.plan.params.get(&name).and_then(|param| param.default.clone());
        if hidden.contains_key(&name) {
            all.extend(named(
                look,
                &shown(&name),
                vec![look.span("hidden until you have read back", Ink::Hold)],
                width,
            ));
            continue;
        }
        let mut spans = vec![look.span(super::text::quoted(&value), Ink::Param)];
        match default {
            Some(default) if default == value => spans.push(look.span("  the plan's default", Ink::Dim)),
            Some(default) => {
                spans.push(look.span("  CHANGED", Ink::Changed));
                spans.push(look.span(format!(", plan says {}", super::text::quoted(&default)), Ink::Text));
            }
            None => spans.push(look.span(deviations::origin(session, &name), Ink::Dim)),
        }
        all.extend(named(look, &shown(&name), spans, width));
    }
    let all_files = covers.commands().flat_map(|(_, command)| command.stdin_file.iter().chain(&command.files));
    for file in all_files {
        let head = format!("{}  sha256 {}, {} bytes", escaped(&file.path), file.sha256.short(), file.size);
        all.extend(named(look, "file", vec![look.span(head, Ink::Strong)], width));
        let (text, note) = file.shown_lines();
        for (index, line) in text.iter().take(FILE_LINES_MAX).enumerate() {
            let number = look.span(format!("{} ", pad_left(&(index + 1).to_string(), 4)), Ink::Dim);
            all.extend(wrap(&[number, look.span(line, Ink::Text)], width, 5));
        }
        let more = text.len().saturating_sub(FILE_LINES_MAX);
        if more > 0 {
            all.push(Line::from(look.span(format!("  {more} more lines are not shown"), Ink::Hold)));
        }
        if let Some(note) = note.filter(|_| file.size > 0) {
            all.push(Line::from(look.span(format!("  {note}"), Ink::Hold)));
        }
    }
    all
}

fn gates(look: &Look<'_>, step: &Step, covers: &Covers, width: usize) -> Vec<Line<'static>> {
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
        // An exception is read whole: it is what a check of this agrees to.
        if let Some(waived) =
            covers.gates.iter().find(|seen| seen.watch == gate.watch).and_then(|seen| seen.waived.as_ref())
        {
            let head = format!("  WAIVED by {} when it was {}: ", waived.by.short(), waived.status.word());
            all.extend(wrap(&[look.span(head, Ink::Warn), look.span(&waived.why, Ink::Text)], width, 4));
        }
    }
    all
}

fn blast(look: &Look<'_>, step: &Step, covers: &Covers, width: usize) -> Vec<Line<'static>> {
    let mut all = preview::lines(look, covers, width);
    let order = ["touches", "undo", "half_way", "remains_in"];
    let mut words: Vec<_> = covers.words.iter().collect();
    words.sort_by_key(|(name, _)| order.iter().position(|known| known == name).unwrap_or(order.len()));
    for (name, words) in words {
        all.extend(named(look, &shown(&name.replace('_', "-")), vec![look.span(escaped(words), Ink::Text)], width));
    }
    all.extend(rollback(look, step, covers, width));
    if covers.words.is_empty() && covers.rollback.is_none() {
        let text = "the plan says nothing on what it touches or how it is undone";
        all.extend(wrap(&[look.span(text, Ink::Hold)], width, 0));
    }
    if covers.point_of_no_return || step.point_of_no_return {
        all.extend(wrap(
            &[look.span("POINT OF NO RETURN: after this step nothing can be undone", Ink::Destructive)],
            width,
            2,
        ));
    }
    let session = look.session();
    if recovery::is_shown(session) {
        let way = session.ways_back(look.at()).next();
        let spans = match way {
            Some(way) => recovery::rung(look, &way),
            None => vec![look.span(format!("NONE: {}", recovery::fallen(session, look.at())), Ink::Fail)],
        };
        // One row, so that a clock that runs does not change what was seen.
        let mut line = vec![look.span(pad("way back", 12), Ink::Dim)];
        line.extend(spans);
        all.push(Line::from(cut(line, width)));
    }
    all
}

fn crew(look: &Look<'_>, armed: &Armed, covers: &Covers, width: usize) -> Vec<Line<'static>> {
    let session = look.session();
    let at = look.at();
    let shadows: Vec<_> = session.plan.crew.shadow.iter().filter(|who| session.may_check(who)).collect();
    let names: Vec<_> = shadows.iter().map(|who| who.short()).collect();
    let head =
        format!("needs {} of: {}. {} armed it and cannot check it.", covers.checks, names.join(", "), armed.by.short());
    let mut all = wrap(&[look.span(head, Ink::Text)], width, 2);
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

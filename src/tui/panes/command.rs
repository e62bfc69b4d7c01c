//! Pane 2: exactly what will run, what it prints, and what keeps it from running.

use crate::brief::acts::Act;
use crate::brief::command::{command_line, lines as written, script};
use crate::client::view::Link;
use crate::clock::human;
use crate::event::Part;
use crate::exec::{Color as EmulatedColor, Screen as Emulated, Size};
use crate::name::{escaped, shown};
use crate::plan::{Does, Step};
use crate::session::readback::masked;
use crate::session::steps::{Phase, StepState};
use crate::tui::app::Pane;
use crate::tui::canvas::{Look, lines, row, rule};
use crate::tui::deviations;
use crate::tui::facts;
use crate::tui::text::{marked, wrap};
use crate::tui::theme::Ink;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Rows around what a running command prints: the frame, the command, and what is told of the run.
pub const AROUND: u16 = 4;

/// Draws it; gives the size that a command's terminal would have here.
pub fn draw(look: &Look<'_>, buf: &mut Buffer, area: Rect) -> Option<(u16, u16)> {
    let session = look.session();
    let picked = look.app.selected.as_ref();
    let step =
        picked.and_then(|id| session.plan.step(id).zip(session.steps.get(id))).or_else(|| session.current_step());
    // Once everything is over the last step stays in sight.
    let step = step.or_else(|| session.plan.steps.last().and_then(|step| Some((step, session.steps.get(&step.id)?))));
    let inner = look.frame(buf, area, Pane::Command, step.map_or_else(Vec::new, |(s, state)| title(look, s, state)));
    let (step, state) = step.filter(|_| inner.height > 0)?;
    let width = usize::from(inner.width);
    let mut command = command_lines(look, step, width);
    let live = state.phase.is_live();
    let most = match (live, look.app.zoom) {
        (true, false) => 1,
        _ => usize::from(inner.height / 2).max(1),
    };
    if command.len() > most {
        command.truncate(most);
        if let Some(last) = command.last_mut() {
            let key = if state.phase.is_open() { Act::Open } else { Act::Zoom };
            let key = format!(" … {} shows all", look.key(key));
            let text = crate::tui::text::fit(&format!("{last}"), width.saturating_sub(14));
            *last = Line::from(vec![Span::raw(text), look.span(key, Ink::Dim)]);
        }
    }
    lines(buf, inner, &command);
    let mut y = u16::try_from(command.len()).unwrap_or(u16::MAX).min(inner.height);
    if live && !look.app.zoom {
        let room = Rect { y: inner.y + y, height: inner.height - y, ..inner };
        return output(look, buf, room, running(look, state));
    }
    let facts_line = digest_line(look, step, state);
    if !facts_line.is_empty() && y < inner.height {
        row(buf, inner, y, vec![], facts_line);
        y += 1;
    }
    let locked = lock_lines(look, step, state, width);
    let locked_rows = u16::try_from(locked.len()).unwrap_or(1).min(inner.height.saturating_sub(y));
    let bottom = Rect { y: inner.bottom() - locked_rows, height: locked_rows, ..inner };
    lines(buf, bottom, &locked);
    let room = Rect { y: inner.y + y, height: inner.height - y - locked_rows, ..inner };
    output(look, buf, room, vec![])
}

fn title(look: &Look<'_>, step: &Step, state: &StepState) -> Vec<Span<'static>> {
    let number = look.session().numbered(&step.id);
    let (_, word, ink) = facts::phase(state.phase);
    let time = facts::step_time(state, look.at()).map_or_else(String::new, |time| format!(" {}", human(time)));
    let running = if state.phase.is_live() { "" } else { " · not running" };
    let mut spans = vec![look.span(format!("{number} · "), Ink::Text), look.span(format!("{word}{time}"), ink)];
    if let Link::Lost { .. } = look.view.link {
        spans.push(look.span(" · AS LAST SEEN", Ink::Hold));
    } else if state.phase == Phase::Unknown {
        // Where a link was lost the command may run on at its other end.
        let known = state.latest_run().is_some_and(|run| run.end.is_none()) && !state.still_running();
        let running = match (state.still_running(), known) {
            (true, _) => " · STILL RUNS",
            (false, true) => " · not running",
            (false, false) => " · MAY STILL RUN",
        };
        spans.push(look.span(running, if known { Ink::Dim } else { Ink::Hold }));
    } else if state.latest_run().is_none_or(|run| run.ended.is_some()) {
        spans.push(look.span(running, Ink::Dim));
    }
    spans
}

/// The command line, quoted and wrapped, or the lines of what a shell runs; parameters marked.
pub fn command_lines(look: &Look<'_>, step: &Step, width: usize) -> Vec<Line<'static>> {
    if let Some(words) = facts::without_command(look.session(), step) {
        let words = masked(&words, &look.hidden(&step.id));
        let by_hand = if step.by_hand().is_some() { "BY HAND  " } else { "" };
        let spans = [look.span(by_hand, Ink::Hold), look.span(escaped(&words), Ink::Text)];
        return wrap(&spans, width, by_hand.len());
    }
    let (mut argv, _) = facts::argv(look.session(), step);
    let mut values: Vec<String> =
        facts::params_used(look.session(), step).into_iter().map(|(_, value)| value).collect();
    let hidden = look.hidden(&step.id);
    argv.iter_mut().chain(&mut values).for_each(|text| *text = masked(text, &hidden));
    let words = |text: &str| marked(text, &values, look.ink(Ink::Text), look.ink(Ink::Param));
    let Some((by, text)) = script(&argv) else { return wrap(&words(&command_line(&argv)), width, 2) };
    let by = look.span(format!("{by}  "), Ink::Dim);
    let (text, _) = written(text);
    match &text[..] {
        [line] => wrap(&[vec![by], words(line)].concat(), width, 2),
        text => {
            let lines =
                text.iter().flat_map(|line| wrap(&[vec![look.span("  ", Ink::Dim)], words(line)].concat(), width, 4));
            std::iter::once(Line::from(by)).chain(lines).collect()
        }
    }
}

fn digest_line(look: &Look<'_>, step: &Step, state: &StepState) -> Vec<Span<'static>> {
    match &state.armed {
        Some(armed) => {
            let covers = armed.covers.covers();
            let at = match covers.command.is_nothing() {
                true => "no command".to_owned(),
                false => format!("{}@{}", covers.command.user, covers.command.host),
            };
            let text = format!("{at} · digest {}", armed.digest().short());
            vec![look.span(text, Ink::Dim)]
        }
        None => {
            let ink = if step.deviations.is_empty() { Ink::Dim } else { Ink::Changed };
            vec![look.span(deviations::planned(look.session(), step), ink)]
        }
    }
}

/// What is told of a command while it runs.
fn running(look: &Look<'_>, state: &StepState) -> Vec<Span<'static>> {
    let run = state.run_of(state.phase.part());
    let process = run.and_then(|run| run.process.as_ref());
    let pid = process.map_or_else(String::new, |process| format!("process {}, ", process.pid));
    let asked = run.and_then(|run| run.interrupted.as_ref());
    let asked = asked.map_or_else(String::new, |who| format!(", interrupted by {}", who.short()));
    let printed = crate::tui::text::value(run.map_or(0, |run| run.output_bytes) as f64, "B"); // a rounded number is all that is shown
    let what = if state.phase.part().is_step() { "RUNS" } else { "ROLLING BACK" };
    let batch = if state.phase.part().is_step() { facts::batch(state) } else { String::new() };
    let text = format!("{batch}{pid}{printed} printed{asked}");
    vec![look.span(format!("{what}   "), Ink::Running), look.span(text, Ink::Text)]
}

fn lock_lines(look: &Look<'_>, step: &Step, state: &StepState, width: usize) -> Vec<Line<'static>> {
    let session = look.session();
    let at = look.at();
    if session.closed.is_some() || session.current_step().is_none_or(|(current, _)| current.id != step.id) {
        return vec![];
    }
    let number = session.numbered(&step.id);
    let say = |word: &str, ink: Ink, text: String| {
        wrap(&[look.span(format!("{word}   "), ink), look.span(text, Ink::Text)], width, 3)
    };
    if let Link::Lost { .. } = look.view.link {
        return say("LINK LOST", Ink::Hold, format!("{number} was {} when the hub was last heard", state.phase.word()));
    }
    if state.phase.is_live() {
        return wrap(&running(look, state), width, 3);
    }
    if let Some(waits) = session.waits_for(step, at) {
        return say("WAITING", Ink::Running, shown(&waits));
    }
    if state.phase.is_verifying() {
        let batch = if state.phase.part().is_step() { facts::batch(state) } else { String::new() };
        let seen = facts::verification(state, at).unwrap_or_default();
        return say("VERIFYING", Ink::Running, format!("{batch}{seen}"));
    }
    if state.phase == Phase::BetweenBatches {
        let why = session.batch_held(step, at).map_or_else(String::new, |why| format!("held: {}", shown(&why)));
        return say("BETWEEN BATCHES", Ink::Hold, format!("{}done; {why}", facts::batch(state)));
    }
    if state.phase == Phase::Starting {
        let pending = state.armed.as_ref().and_then(|armed| armed.starting.as_ref());
        let pending: Vec<_> =
            pending.map_or_else(Vec::new, |starting| starting.pending.iter().map(|w| w.to_string()).collect());
        let waits = if pending.is_empty() { String::new() } else { format!(", waiting for {}", pending.join(", ")) };
        return say("STARTING", Ink::Running, format!("gates and bytes are read again{waits}"));
    }
    let probed = state.run.as_ref().filter(|_| state.phase.owes_acknowledgement());
    if let Some(told) = probed.and_then(crate::session::probe::told) {
        return say("PROBE", Ink::Hold, format!("{}; {number} has to be settled", shown(&told)));
    }
    let locks: Vec<String> = look.sight().run_locks().into_iter().map(|why| why.short).collect();
    match locks.is_empty() {
        true => {
            let does = match step.does {
                Does::ByHand { .. } => "says when it is done",
                Does::Runs(_) => "runs it",
                Does::Waits { .. } => "lets it begin",
            };
            let who = if look.view.leads() {
                format!("{} {does}", look.key(Act::Run))
            } else {
                format!("{} {does}", session.lead.short())
            };
            say("READY", Ink::Pass, format!("{number} is cleared: {who}"))
        }
        false => {
            // That nothing is armed yet is how every step rests.
            let ink = if state.phase == Phase::Planned { Ink::Dim } else { Ink::Hold };
            say("RUN LOCKED", ink, locks.join(" · "))
        }
    }
}

/// What the newest command prints, below what is told of it. While its step is undone, and after that, what the step itself
/// printed last stays above: that is what it is undone for.
fn output(look: &Look<'_>, buf: &mut Buffer, area: Rect, told: Vec<Span<'static>>) -> Option<(u16, u16)> {
    if area.height < 2 || area.width < 2 {
        return None;
    }
    let session = look.session();
    let size = Some((area.width, area.height - 1));
    let screen = look.view.screen.as_deref();
    let id = screen.map(|screen| &screen.step).or_else(|| session.live_step().map(|(step, _)| &step.id));
    // Of what runs nothing was printed yet: what another one printed must not stand there as if it were its own.
    let live = session.live_step().map(|(step, state)| (&step.id, state.attempt, state.phase.part()));
    let own = |screen: &&crate::protocol::Screen| {
        live.is_none_or(|live| live == (&screen.step, screen.attempt, screen.part)) || told.is_empty()
    };
    let screen = screen.filter(own);
    let id = if told.is_empty() { id } else { live.map(|(id, ..)| id).or(id) };
    let Some(id) = id else { return size };
    let state = session.steps.get(id);
    let back = look.app.scrolled(Pane::Command);
    let of = if screen.is_none_or(|screen| screen.part.is_step()) { "" } else { "the rollback of " };
    let mut left = vec![look.span(format!("output of {of}{}", session.numbered(id)), Ink::Dim)];
    if let Some(state) = state.filter(|state| !state.phase.is_live())
        && let Some(result) = facts::run_result(state)
    {
        let (_, _, ink) = facts::phase(state.phase);
        left.push(look.span(format!("  {result}"), ink));
    }
    let live = state.is_some_and(|state| state.phase.is_live());
    let right = match (back, live) {
        (0, true) => look.span("following", Ink::Dim),
        (0, false) if state.is_some_and(|state| state.phase == Phase::Unknown) => look.span("CUT OFF", Ink::Hold),
        (0, false) => look.span("ended", Ink::Dim),
        _ => look.span("PAUSED", Ink::Hold),
    };
    let mut area = area;
    if let (Some(before), Some(end)) = (
        failed(look, screen).filter(|_| area.height >= 4),
        state.and_then(|state| Some(state.end_words(Part::Step, state.run.as_ref()?.end.as_ref()?))),
    ) {
        let text = format!("output of {}  {}, before it was undone", session.numbered(id), shown(&end));
        let rows = area.height.div_ceil(2);
        lines(buf, area, &[rule(look, usize::from(area.width), vec![look.span(text, Ink::Fail)], vec![])]);
        cells(buf, Rect { y: area.y + 1, height: rows - 1, ..area }, before, 0, look);
        area = Rect { y: area.y + rows, height: area.height - rows, ..area };
    }
    let left = if told.is_empty() { left } else { told };
    let head = rule(look, usize::from(area.width), left, vec![right]);
    lines(buf, area, &[head]);
    let room = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if let Some(screen) = screen {
        cells(buf, room, screen, back, look);
    }
    size
}

/// What the step itself printed, where the newest screen is of its rollback.
fn failed<'a>(look: &Look<'a>, screen: Option<&crate::protocol::Screen>) -> Option<&'a crate::protocol::Screen> {
    let undone = screen.filter(|screen| screen.part == Part::Rollback)?;
    let before = look.app.of_step.as_deref()?;
    ((&before.step, before.attempt) == (&undone.step, undone.attempt)).then_some(before)
}

/// The newest screen of the command, its last rows where it is taller than the room.
fn cells(buf: &mut Buffer, area: Rect, screen: &crate::protocol::Screen, back: u16, look: &Look<'_>) {
    let mut emulated = Emulated::new(Size { cols: screen.cols, rows: screen.rows });
    emulated.feed(&screen.bytes);
    let rows = emulated.size().rows;
    let used: u16 = (0..rows).rev().find(|row| !emulated.row(*row).is_empty()).map_or(0, |row| row + 1);
    let from = used.saturating_sub(area.height).saturating_sub(back);
    // Colours of the command are kept only where the theme has colours at all.
    let colours = look.theme.name != "mono";
    for y in 0..area.height.min(rows.saturating_sub(from)) {
        let mut x = 0;
        for cell in emulated.cells(from + y) {
            if x + cell.width > area.width {
                break;
            }
            let mut style = Style::new();
            if colours {
                style.fg = colour(cell.style.fg);
                style.bg = colour(cell.style.bg);
            }
            for (on, modifier) in [
                (cell.style.bold, Modifier::BOLD),
                (cell.style.dim, Modifier::DIM),
                (cell.style.italic, Modifier::ITALIC),
                (cell.style.underline, Modifier::UNDERLINED),
                (cell.style.inverse, Modifier::REVERSED),
            ] {
                if on {
                    style = style.add_modifier(modifier);
                }
            }
            if let Some(target) = buf.cell_mut((area.x + x, area.y + y)) {
                target.set_symbol(&cell.text).set_style(style);
            }
            x += cell.width;
        }
    }
}

fn colour(colour: EmulatedColor) -> Option<Color> {
    match colour {
        EmulatedColor::Default => None,
        EmulatedColor::Idx(index) => Some(Color::Indexed(index)),
        EmulatedColor::Rgb(r, g, b) => Some(Color::Rgb(r, g, b)),
    }
}

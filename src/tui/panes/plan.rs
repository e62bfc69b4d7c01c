//! Pane 1: the steps in order, the current one opened up with its gates, and the point of no return.

use crate::clock::human;
use crate::name::{escaped, shown};
use crate::plan::{Gate, Step};
use crate::session::steps::{Phase, StepState};
use crate::tui::app::Pane;
use crate::tui::canvas::{Look, cut, lines};
use crate::tui::facts;
use crate::tui::text::{pad, pad_left};
use crate::tui::theme::Ink;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws it.
pub fn draw(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let session = look.session();
    let count = |phase: Phase| session.steps.values().filter(|state| state.phase == phase).count();
    let (done, settled) = (count(Phase::Done), count(Phase::SettledDone));
    let settled = if settled > 0 { format!(" +{settled} settled") } else { String::new() };
    let mut right = vec![look.span(
        format!("rev {} · {done}/{} done{settled}", rev(&session.plan.digest), session.plan.steps.len()),
        Ink::Dim,
    )];
    if let Some(drift) = session.drift(look.at()) {
        right.push(look.span(format!(" · {drift}"), if drift.is_behind() { Ink::Warn } else { Ink::Dim }));
    }
    let inner = look.frame(buf, area, Pane::Plan, right);
    if inner.height == 0 {
        return;
    }
    let gates = session.current_step().map_or(0, |(step, _)| step.gates.len());
    // Each gate has a row under its step where there is room for all.
    let total = session.plan.steps.len() + 6;
    let roomy = usize::from(inner.height) >= gates + total.min(14);
    let (rows, focus) = steps(look, usize::from(inner.width), roomy);
    let from = window(focus, rows.len(), usize::from(inner.height));
    lines(buf, inner, &rows[from.min(rows.len())..]);
}

/// First digits of a digest: which revision of the plan this is.
pub fn rev(digest: &crate::hash::Hash) -> String {
    digest.to_string().chars().take(4).collect()
}

/// The first row to draw so that the row in focus is well in sight.
fn window(focus: usize, rows: usize, height: usize) -> usize {
    focus.saturating_sub(height / 2).min(rows.saturating_sub(height))
}

fn steps(look: &Look<'_>, width: usize, roomy: bool) -> (Vec<Line<'static>>, usize) {
    let session = look.session();
    let current = session.current_step().map(|(step, _)| &step.id);
    let mut rows = vec![];
    let mut focus = 0;
    for step in &session.plan.steps {
        let Some(state) = session.steps.get(&step.id) else { continue };
        if step.point_of_no_return {
            rows.push(no_return(look, width));
        }
        let is_current = current == Some(&step.id);
        let is_picked = look.app.selected.as_ref() == Some(&step.id);
        if is_picked || (is_current && look.app.selected.is_none()) {
            focus = rows.len();
        }
        rows.push(step_row(look, step, state, width, is_current, is_picked));
        if is_current {
            rows.extend(details(look, step, state, width, roomy));
        }
    }
    (rows, focus)
}

fn no_return(look: &Look<'_>, width: usize) -> Line<'static> {
    let rest = width.saturating_sub(3 + 19 + 1);
    Line::from(cut(
        vec![
            look.span("══ ", Ink::Focus),
            look.span("POINT OF NO RETURN ", Ink::Destructive),
            look.span("═".repeat(rest), Ink::Focus),
        ],
        width,
    ))
}

fn step_row(
    look: &Look<'_>,
    step: &Step,
    state: &StepState,
    width: usize,
    current: bool,
    picked: bool,
) -> Line<'static> {
    let (mut sign, word, ink) = facts::phase(state.phase);
    let planned = state.phase == crate::session::steps::Phase::Planned;
    let (class, class_ink) = facts::class(step.class);
    let mut right = vec![];
    if !step.deviations.is_empty() {
        right.push(look.span("≠ ", Ink::Changed));
    }
    if planned {
        right.push(look.span(class, class_ink));
        if current {
            sign = "▸";
        }
    } else {
        right.push(look.span(word, ink));
    }
    if let Some(time) = facts::step_time(state, look.at()) {
        right.push(look.span(format!(" {}", pad_left(&human(time), 5)), Ink::Dim));
    }
    let right_width: usize = right.iter().map(Span::width).sum();
    let number = look.session().numbered(&step.id);
    let mut title = look.ink(if current { Ink::Strong } else { Ink::Text });
    if picked {
        title = title.add_modifier(ratatui::style::Modifier::REVERSED);
    }
    let sign_ink = if current && planned { Ink::Focus } else { ink };
    let left = vec![
        look.span(format!("{sign} "), sign_ink),
        look.span(format!("{number} "), if current { Ink::Strong } else { Ink::Text }),
        Span::styled(shown(&step.title), title),
    ];
    let mut spans = cut(left, width.saturating_sub(right_width + 1));
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::raw(" ".repeat(width.saturating_sub(used + right_width))));
    spans.extend(right);
    Line::from(spans)
}

fn details(look: &Look<'_>, step: &Step, state: &StepState, width: usize, roomy: bool) -> Vec<Line<'static>> {
    let mut rows = vec![];
    let mut detail = |name: &str, spans: Vec<Span<'static>>| rows.push(row_of(look, name, spans, width));
    let (class, ink) = facts::class(step.class);
    if !class.is_empty() && state.phase != crate::session::steps::Phase::Planned {
        detail("class", vec![look.span(class, ink)]);
    }
    if let Some(lock) = look.session().poll_lock(step).filter(|_| !state.phase.is_over()) {
        detail("poll", vec![look.span(lock.short(look.session()), Ink::Fail)]);
    }
    for deviation in &step.deviations {
        detail("differs", vec![look.span(escaped(&deviation.to_string()), Ink::Changed)]);
    }
    match roomy {
        _ if step.gates.is_empty() => {}
        true => rows.extend(step.gates.iter().map(|gate| gate_row(look, step, gate, width))),
        false => rows.push(row_of(look, "gates", gate_summary(look, step), width)),
    }
    let mut detail = |name: &str, spans: Vec<Span<'static>>| rows.push(row_of(look, name, spans, width));
    if let Some(armed) = state.armed.as_ref().filter(|_| !state.phase.is_over()) {
        let covers = armed.covers.covers();
        let mut spans = vec![look.span(format!("{} of {}", armed.checks.len(), covers.checks), Ink::Text)];
        for who in armed.checks.keys() {
            spans.push(look.span(format!("  {} ", who.short()), Ink::Text));
            spans.push(look.span("✓", Ink::Pass));
        }
        for (who, opened) in armed.opened.iter().filter(|(who, _)| !armed.checks.contains_key(*who)) {
            let time = human(look.at().since(*opened));
            spans.push(look.span(format!("  {} … {time}", who.short()), Ink::Dim));
        }
        if covers.checks > 0 {
            detail("checks", spans);
        }
    } else if step.checks > 0 && state.run.is_none() {
        let s = if step.checks == 1 { "" } else { "s" };
        detail("needs", vec![look.span(format!("{} check{s}", step.checks), Ink::Text)]);
    }
    if let Some(why) = &state.voided {
        detail("voided", vec![look.span(why, Ink::Hold)]);
    }
    if let Some(waits) = look.session().waits_for(step, look.at()) {
        detail("waits", vec![look.span(waits.trim_start_matches("waits "), Ink::Running)]);
    } else if let Some(result) = facts::run_result(state) {
        let (_, _, ink) = facts::phase(state.phase);
        detail("run", vec![look.span(result, ink)]);
    }
    let probed = state.run.as_ref().filter(|_| state.phase.owes_acknowledgement());
    if let Some(told) = probed.and_then(crate::session::probe::told) {
        detail("probe", vec![look.span(shown(&told), Ink::Text)]);
    }
    if let Some(expected) = step.expected {
        let drift = crate::session::drift::of_step(step, state, look.at());
        let (over, ink) = match drift {
            Some(drift) if drift.is_behind() => (format!(", {drift}"), Ink::Warn),
            _ => (String::new(), Ink::Text),
        };
        detail("expects", vec![look.span(format!("{}{over}", human(expected)), ink)]);
    }
    for undone in look
        .session()
        .plan
        .steps
        .iter()
        .filter(|other| other.rollback.as_ref().is_some_and(|rollback| rollback.contain.contains(&step.id)))
    {
        let words = format!("what a rollback of {} leaves", look.session().numbered(&undone.id));
        detail("contains", vec![look.span(words, Ink::Text)]);
    }
    if let Some(undo) = &step.undo {
        detail("undo", vec![look.span(undo, Ink::Text)]);
    }
    rows
}

fn row_of(look: &Look<'_>, name: &str, spans: Vec<Span<'static>>, width: usize) -> Line<'static> {
    let mut all = vec![look.span("  │ ", Ink::Border), look.span(pad(name, 8), Ink::Dim)];
    all.extend(spans);
    Line::from(cut(all, width))
}

/// `3 PASS · 1 HOLD`.
pub fn gate_summary(look: &Look<'_>, step: &Step) -> Vec<Span<'static>> {
    let mut counts: Vec<(&'static str, Ink, usize)> = vec![];
    for gate in &step.gates {
        let (_, word, ink) = facts::gate(look.session(), &step.id, gate, look.at());
        match counts.iter_mut().find(|(known, _, _)| *known == word) {
            Some((_, _, count)) => *count += 1,
            None => counts.push((word, ink, 1)),
        }
    }
    let mut spans = vec![];
    for (index, (word, ink, count)) in counts.into_iter().enumerate() {
        if index > 0 {
            spans.push(look.span(" · ", Ink::Dim));
        }
        spans.push(look.span(format!("{count} "), Ink::Text));
        spans.push(look.span(word, ink));
    }
    spans
}

/// A gate in one row: how it counts, what it reads, what it is held to, and how old that is.
fn gate_row(look: &Look<'_>, step: &Step, gate: &Gate, width: usize) -> Line<'static> {
    let session = look.session();
    let (sign, word, ink) = facts::gate(session, &step.id, gate, look.at());
    let value = facts::watch_value(session, &gate.watch, look.at());
    let age = pad_left(&facts::watch_age(session, &gate.watch, look.at()), 4);
    let limits = session.plan.limits(&gate.watch);
    let left = vec![
        look.span("  │ ", Ink::Border),
        look.span(format!("{sign} {} ", pad(word, 5)), ink),
        look.span(gate.watch.as_str(), Ink::Text),
        look.span(format!("  {value}"), ink),
        look.span(if limits.is_empty() { String::new() } else { format!("  {limits}") }, Ink::Dim),
    ];
    let mut spans = cut(left, width.saturating_sub(age.len() + 1));
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::raw(" ".repeat(width.saturating_sub(used + age.len()))));
    spans.push(look.span(age, Ink::Dim));
    Line::from(spans)
}

//! A line being typed, as it is drawn: what it is for, and which keys end it.

use super::app::{Field, Purpose};
use super::canvas::{Look, cut};
use super::text::{fit, wrap};
use super::theme::Ink;
use super::{deviations, facts};
use crate::name::shown;
use ratatui::text::{Line, Span};
use tui_input::Input;

/// Whether what is typed is for a command that takes only what its terminal hides.
fn hides(look: &Look<'_>, field: &Field) -> bool {
    let hidden = |step| {
        look.session()
            .plan
            .step(step)
            .is_some_and(|step| step.command().is_some_and(|command| command.input == crate::plan::Input::HiddenOnly))
    };
    matches!(&field.purpose, Purpose::Type { step, .. } if hidden(step))
}

/// A line being typed, with what it is for.
pub(super) fn field_lines(look: &Look<'_>, field: &Field, width: usize) -> Vec<Line<'static>> {
    let number = |id| look.session().numbered(id);
    let (what, hint) = match &field.purpose {
        Purpose::Say => ("say".to_owned(), "Enter sends to everyone, Esc closes".to_owned()),
        Purpose::Mark => ("mark".into(), "Enter puts it on the timeline, Esc closes".into()),
        Purpose::Run { step, number, .. }
            if look.session().plan.step(step).is_some_and(|step| step.by_hand().is_some()) =>
        {
            (
                format!("DONE BY HAND {number:02} {step}"),
                format!("type {number:02} and what was done; Esc says nothing"),
            )
        }
        Purpose::Run { step, number, .. } => {
            (format!("RUN {number:02} {step}"), format!("type {number:02} and Enter; Esc does not run"))
        }
        Purpose::Rollback { step, number, .. } => {
            (format!("ROLL BACK {number:02} {step}"), format!("type {number:02} and Enter; Esc leaves it as it is"))
        }
        Purpose::Type { step, .. } => {
            let seen = if hides(look, field) { "nobody sees it" } else { "all see it but what the command hides" };
            (format!("TO {step}"), format!("Enter types it, Esc leaves; {seen}"))
        }
        Purpose::Interrupt { step } => (
            format!("INTERRUPT {}", number(step)),
            format!("type {step} to interrupt, kill {step} to force; Esc leaves it"),
        ),
        Purpose::Object { step, .. } => {
            (format!("NO to {}, because", number(step)), "Enter sends, Esc goes back".into())
        }
        Purpose::ReadBack { field, .. } => (
            format!("READ BACK {}", shown(field)),
            "from YOUR copy of the runbook; paste is off; Enter sends, Esc goes back".into(),
        ),
        Purpose::Settle { step, outcome: None } => (
            format!("{} counts as", number(step)),
            "d done (the lead and one more say it)   f not done: it may be armed again".into(),
        ),
        Purpose::Settle { step, outcome: Some(outcome) } => {
            let word = match outcome {
                crate::event::Settled::Done => "DONE, THOUGH IT ENDED BADLY",
                crate::event::Settled::Failed => "NOT DONE",
            };
            (format!("{} counts as {word}, because", number(step)), "Enter sends, Esc closes".into())
        }
        Purpose::Waive { step, watch, status, .. } => (
            format!("WAIVE gate {watch} ({}) for {}, because", status.word(), number(step)),
            "for the next attempt only; everyone who checks it sees this; Enter sends, Esc closes".into(),
        ),
        Purpose::Skip { step } => (
            format!("SKIP {} {step}, because", number(step)),
            "it takes the lead and one shadow, and never counts as done; Enter sends, Esc closes".into(),
        ),
        Purpose::BreakGlass { step, .. } => (
            format!("BREAK GLASS for {} {step}", number(step)),
            format!("type {step} and why nobody else can check it; it is marked for ever; Esc leaves it"),
        ),
        Purpose::Handover { names } => {
            let names: Vec<_> = names.iter().map(|name| name.short()).collect();
            ("hand over to".into(), format!("type {} and Enter", names.join(" or ")))
        }
        Purpose::Readmit { who, key } => (
            format!("READMIT {} with {key}", who.short()),
            format!(
                "ask them for that fingerprint; type {} and Enter; their old key is out; Esc leaves it",
                who.short()
            ),
        ),
        Purpose::NoGo { .. } => ("NO-GO, because".into(), "Enter sends to everyone, Esc says nothing".into()),
        Purpose::Answer { item } => {
            let asked = look.session().plan.item(item).map_or("an answer", |item| item.answer.word());
            let hint = match asked {
                "yes" => "yes, or no and why; Enter answers, Esc closes",
                "time" => "16:30, 2026-11-21 or both (UTC); Enter answers, Esc closes",
                _ => "Enter answers, Esc closes",
            };
            (item.to_string(), hint.to_owned())
        }
        Purpose::Fit => {
            ("FIT TO FLY".into(), "Enter alone: fit; or: until 16:30, for 2h, unfit WHY; Esc closes".into())
        }
        Purpose::Seat { seats } => ("take the seat".into(), format!("type {} and Enter", seats.join(" or "))),
        Purpose::Set => (
            "set".into(),
            format!("NAME=VALUE, and # WHY where the plan says otherwise: {}", deviations::parameters(look.session())),
        ),
        Purpose::Edit { step } => (
            format!("EDIT {}", number(step)),
            "COMMAND # WHY; # WHY alone gives the plan's back; a deviation, cross-checked".into(),
        ),
        Purpose::AdHoc => ("AD HOC".into(), "COMMAND # WHY; it is armed, and cross-checked like any other".into()),
        Purpose::Close => ("END THE SESSION".into(), "type close (and a note) and Enter; Esc keeps it open".into()),
    };
    let what = fit(&what, width / 2);
    let masked = hides(look, field).then(|| {
        let stars = Input::new("*".repeat(field.input.value().chars().count()));
        Field { input: stars.with_cursor(field.input.cursor()), ..field.clone() }
    });
    let field = masked.as_ref().unwrap_or(field);
    let room = width.saturating_sub(what.chars().count() + 4).max(1);
    let scroll = field.input.visual_scroll(room);
    let mut typed = String::new();
    let mut skipped = 0;
    for c in field.input.value().chars() {
        let w = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if skipped < scroll {
            skipped += w;
        } else {
            typed.push(c);
        }
    }
    let cursor = field.input.visual_cursor().saturating_sub(scroll);
    let before: String = take_columns(&typed, cursor);
    let under: String = typed[before.len()..].chars().take(1).collect();
    let after = typed[before.len() + under.len()..].to_owned();
    let under = if under.is_empty() { " ".to_owned() } else { under };
    let reversed = look.ink(Ink::Text).add_modifier(ratatui::style::Modifier::REVERSED);
    let line = vec![
        look.span(what, Ink::Strong),
        look.span(" > ", Ink::Key),
        look.span(before, Ink::Text),
        Span::styled(shown(&under), reversed),
        look.span(after, Ink::Text),
    ];
    let second = match &field.error {
        Some(error) => vec![look.span(format!("! {error}"), Ink::Fail)],
        None => vec![look.span(hint, Ink::Dim)],
    };
    let (name, _) = facts::environment(look.session());
    let second: Vec<_> = second.into_iter().chain([look.span(format!("   {name}   Ctrl-X andon"), Ink::Dim)]).collect();
    let mut all = vec![Line::from(cut(line, width))];
    match field.error {
        Some(_) => all.extend(wrap(&second, width, 2)), // why something was refused stands there whole
        None => all.push(Line::from(cut(second, width))),
    }
    all
}

fn take_columns(text: &str, columns: usize) -> String {
    let mut used = 0;
    text.chars()
        .take_while(|c| {
            used += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            used <= columns
        })
        .collect()
}

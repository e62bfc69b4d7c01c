//! What is armed, laid out for the panel: every item whole, wrapped and never cut, so that "seen" means seen.

use super::canvas::{Look, cut};
use super::text::{marked, pad, pad_left, wrap};
use super::theme::Ink;
use crate::brief::armed::{Item, Loud, Text, variables};
use crate::brief::command::{command_line, lines as lines_of};
use crate::name::{escaped, shown};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// Lines of a file shown whole; of a longer one the digest stands for the rest, and the section says so.
const LINES_MAX: usize = 2000;
/// Columns of a label, where one is not longer than that.
const LABEL: std::ops::RangeInclusive<usize> = 12..=22;

/// The items, with these values marked in commands.
pub fn lines(look: &Look<'_>, items: &[Item], values: &[String], width: usize) -> Vec<Line<'static>> {
    let labels = items.iter().map(|item| shown(&item.label).width() + 2).filter(|width| LABEL.contains(width));
    let column = labels.max().unwrap_or(*LABEL.start());
    items.iter().flat_map(|item| one(look, item, values, column, width)).collect()
}

fn one(look: &Look<'_>, item: &Item, values: &[String], column: usize, width: usize) -> Vec<Line<'static>> {
    let ink = ink(item.loud);
    let label = format!("{}  ", shown(&item.label));
    let label = if label.width() > column { label } else { pad(&label, column) };
    let label_ink = if item.loud >= Loud::Warning { ink } else { Ink::Dim };
    let mut head = vec![look.span(label, label_ink)];
    match &item.text {
        Text::Words(words) => head.push(look.span(escaped(words), ink)),
        Text::Command(argv) => {
            head.extend(marked(&command_line(argv), values, look.ink(Ink::Strong), look.ink(Ink::Param)));
        }
        Text::Script { by, .. } => head.push(look.span(by, Ink::Dim)),
        Text::Variables(all) => head.push(look.span(variables(all), ink)),
        Text::Lines { head: said, .. } => head.push(look.span(escaped(said), Ink::Dim)),
        Text::File { path, sha256, size, aside, .. } => {
            head.push(look.span(escaped(path), Ink::Text));
            head.push(look.span(format!("  sha256 {}, {size} bytes", sha256.short()), Ink::Dim));
            if !aside.is_empty() {
                head.push(look.span(format!(", {aside}"), Ink::Text));
            }
        }
    }
    head.extend(item.aside.iter().map(|aside| look.span(format!("  {}", escaped(aside)), Ink::Dim)));
    // What a value differs in stands beside it, what a text differs in below.
    let beside = matches!(item.text, Text::Words(_));
    let differs = item.differs.iter().map(|difference| escaped(&difference.to_string()));
    if beside {
        head.extend(differs.clone().map(|said| look.span(format!("  {said}"), Ink::Changed)));
    }
    if item.live {
        return vec![Line::from(cut(head, width))]; // another text must not be another number of lines
    }
    let mut all = wrap(&head, width, column);
    match &item.text {
        Text::Script { lines, note, .. } => {
            all.extend(numbered(look, lines, note.as_deref(), values, width));
        }
        Text::Lines { lines, note, .. } | Text::File { lines, note, .. } => {
            all.extend(numbered(look, lines, note.as_deref(), &[], width));
        }
        Text::Command(argv) => {
            for (number, word) in argv.iter().enumerate().filter(|(_, word)| word.trim_end_matches('\n').contains('\n'))
            {
                let said = format!("argument {number} of it, line by line:");
                all.extend(wrap(&[look.span(said, Ink::Dim)], width, 2));
                let (lines, note) = lines_of(word);
                all.extend(numbered(look, &lines, note, values, width));
            }
        }
        Text::Words(_) | Text::Variables(_) => {}
    }
    for said in differs.filter(|_| !beside) {
        all.extend(wrap(&[look.span(pad("", column), Ink::Dim), look.span(said, Ink::Changed)], width, column));
    }
    all
}

fn numbered(
    look: &Look<'_>,
    lines: &[String],
    note: Option<&str>,
    values: &[String],
    width: usize,
) -> Vec<Line<'static>> {
    let mut all = vec![];
    for (index, line) in lines.iter().take(LINES_MAX).enumerate() {
        let mut spans = vec![look.span(format!("{} ", pad_left(&(index + 1).to_string(), 4)), Ink::Dim)];
        spans.extend(marked(line, values, look.ink(Ink::Text), look.ink(Ink::Param)));
        all.extend(wrap(&spans, width, 5));
    }
    let more = lines.len().saturating_sub(LINES_MAX);
    let more = (more > 0).then(|| format!("{more} more lines are not shown"));
    let notes = more.into_iter().chain(note.map(str::to_owned));
    all.extend(notes.map(|note| Line::from(vec![Span::raw("  "), look.span(note, Ink::Hold)])));
    all
}

/// What a meaning looks like here.
fn ink(loud: Loud) -> Ink {
    match loud {
        Loud::Plain => Ink::Text,
        Loud::Look => Ink::Strong,
        Loud::Warning => Ink::Changed,
        Loud::Danger => Ink::Destructive,
    }
}

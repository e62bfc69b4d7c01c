//! What is wrong in a plan and where, drawn as a compiler would draw it.
//!
//! Everything shown here comes from a file somebody else may have written, so hidden characters are written out before
//! they are drawn, and spans are cut to what the text holds: drawing never panics. Start at [`PlanError::render`].

use crate::name::{is_hidden, shown};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// So many problems are drawn; a file that is no plan at all has thousands, and nobody reads past the first few.
const DRAWN_MAX: usize = 50;

/// So many columns of a line are drawn on each side of what is underlined; a plan's lines are far shorter.
const LINE_CHARS_MAX: usize = 400;

/// One thing that is wrong in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The bytes of the text that are underlined.
    pub span: Range<usize>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What stands beside the underline: what was expected.
    pub label: String,
    /// What to do next.
    pub help: Option<String>,
}

/// Everything that is wrong in a plan, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    /// At least one.
    pub problems: Vec<Problem>,
    origin: String,
    text: Arc<str>,
}

impl PlanError {
    pub(super) fn new(origin: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems.dedup();
        Self { problems, origin: origin.to_owned(), text: text.into() }
    }

    /// The problems drawn one below the other, with terminal colours or without.
    pub fn render(&self, color: bool) -> String {
        let drawn = self.problems.iter().take(DRAWN_MAX);
        let mut parts: Vec<_> = drawn.map(|p| draw(&Level::ERROR, &self.origin, &self.text, p, color)).collect();
        match self.problems.len() {
            0 | 1 => {}
            n if n > DRAWN_MAX => {
                parts.push(format!("{}: {n} problems, the first {DRAWN_MAX} shown", shown(&self.origin)));
            }
            n => parts.push(format!("{}: {n} problems", shown(&self.origin))),
        }
        parts.join("\n\n")
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}
impl std::error::Error for PlanError {}

/// Draws one problem, or one warning of `lint`.
pub(super) fn draw(level: &Level<'static>, origin: &str, text: &str, problem: &Problem, color: bool) -> String {
    let (number, line, span) = excerpt(text, &problem.span);
    let origin = shown(origin);
    let label = shown(&problem.label);
    let snippet = Snippet::source(line)
        .line_start(number)
        .path(origin)
        .annotation(AnnotationKind::Primary.span(span).label(label));
    let mut group = level.clone().primary_title(shown(&problem.message)).element(snippet);
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(shown(help)));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// The number of the line a byte stands in, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// The line where the span starts, its number, and the span within it. Only that line is handed to the renderer, so that a
/// plan of a megabyte costs no more to complain about than a short one.
fn excerpt(text: &str, span: &Range<usize>) -> (usize, String, Range<usize>) {
    let start = boundary(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = boundary(text, span.end).clamp(start, line_end);

    let from =
        text[line_start..start].char_indices().rev().nth(LINE_CHARS_MAX).map_or(line_start, |(at, _)| line_start + at);
    let to = text[start..line_end].char_indices().nth(LINE_CHARS_MAX).map_or(line_end, |(at, _)| start + at);
    let end = end.min(to);
    let mut line = String::new();
    let mut mapped = 0..0;
    for (at, c) in text[from..to].char_indices() {
        let at = from + at;
        if at == start {
            mapped.start = line.len();
        }
        if at == end {
            mapped.end = line.len();
        }
        match c {
            '\r' if at + 1 == line_end => {}
            '\t' => line.push_str("    "),
            c if is_hidden(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    if start == to {
        mapped.start = line.len();
    }
    if end == to {
        mapped.end = line.len();
    }
    (line_of(text, line_start), line, mapped)
}

/// The nearest place at or before `at` where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(span: Range<usize>) -> Problem {
        Problem { span, message: "wrong".into(), label: "here".into(), help: Some("do that".into()) }
    }

    #[test]
    fn a_problem_is_drawn_with_file_line_and_underline() {
        let error = PlanError::new("a.toml", "one\ntwo three\n", vec![problem(8..13)]);
        insta::assert_snapshot!(error.to_string(), @r"
        error: wrong
         --> a.toml:2:5
          |
        2 | two three
          |     ^^^^^ here
          |
          = help: do that
        ");
    }

    #[test]
    fn hidden_characters_are_written_out_and_the_underline_still_fits() {
        let error = PlanError::new("a\u{1b}.toml", "x\u{202e}y = 1", vec![problem(1..4)]);
        let text = error.to_string();
        assert!(!text.chars().any(|c| is_hidden(c) && c != '\n'), "{text:?}");
        insta::assert_snapshot!(text, @r"
        error: wrong
         --> a\u{1b}.toml:1:2
          |
        1 | x\u{202e}y = 1
          |  ^^^^^^^^ here
          |
          = help: do that
        ");
    }

    #[test]
    fn any_span_in_any_text_can_be_drawn() {
        let long = "é".repeat(5000);
        for text in ["", "\n", "é", "a\r\nb", "\t", long.as_str()] {
            for start in [0, 1, 2, 3, 500, 9999] {
                for end in [0, 1, 3, 700, 20000] {
                    for color in [false, true] {
                        PlanError::new("x", text, vec![problem(start..end)]).render(color);
                    }
                }
            }
        }
    }
}

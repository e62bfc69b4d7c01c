//! What the preview of an armed step said, as the panel shows it: whole, so that "seen" means seen.

use super::canvas::Look;
use super::text::{command_line, pad, wrap};
use super::theme::Ink;
use crate::event::Covers;
use crate::name::escaped;
use ratatui::text::Line;

/// Its command, what was expected, what counts, and every line that it printed; nothing where the step has none.
pub fn lines(look: &Look<'_>, covers: &Covers, width: usize) -> Vec<Line<'static>> {
    let Some(preview) = &covers.preview else { return vec![] };
    let named = |name: &str, text: String, ink: Ink| {
        wrap(&[look.span(pad(name, 12), Ink::Dim), look.span(text, ink)], width, 12)
    };
    let words: Vec<String> = preview.command.argv.iter().map(|word| escaped(word)).collect();
    let mut all = named("preview", command_line(&words), Ink::Text);
    all.extend(named("said", escaped(&preview.value), Ink::Strong));
    all.extend(named("expected", escaped(&preview.expect), Ink::Text));
    for (index, line) in preview.output.lines().enumerate() {
        all.extend(named(if index == 0 { "printed" } else { "" }, escaped(line), Ink::Text));
    }
    // What it reads is hashed like its program: both are looked at again before it is asked again.
    for (index, file) in std::iter::once(&preview.command.exe).chain(&preview.command.files).enumerate() {
        let name = if index == 0 { "by" } else { "with" };
        all.extend(named(name, format!("{}  sha256 {}", escaped(&file.path), file.sha256.short()), Ink::Dim));
    }
    all
}

//! What the preview of an armed step said, in a report.

use super::text::{code, fence, inline, quoted};
use crate::event::Covers;
use std::fmt::Write as _;

/// Lines of it that a report repeats; the transcript holds all.
const LINES_MAX: usize = 40;

/// A point of the list on one attempt; nothing where the step has no preview.
pub(super) fn lines(out: &mut String, covers: &Covers) -> std::fmt::Result {
    let Some(preview) = &covers.preview else { return Ok(()) };
    let command: Vec<_> = preview.command.argv.iter().map(|word| quoted(word)).collect();
    writeln!(
        out,
        "- preview {} said {}, expected: {} (SHA-256 of its output {})",
        code(&command.join(" ")),
        code(&preview.value),
        inline(&preview.expect),
        preview.sha256
    )?;
    let lines: Vec<_> = preview.output.lines().collect();
    if lines.len() > 1 {
        let shown = &lines[..lines.len().min(LINES_MAX)];
        fence(shown).lines().try_for_each(|line| writeln!(out, "  {line}"))?;
        if lines.len() > LINES_MAX {
            writeln!(out, "\n  and {} more lines", lines.len() - LINES_MAX)?;
        }
    }
    Ok(())
}

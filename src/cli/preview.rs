//! What the preview of an armed step said, in plain mode.

use crate::event::Covers;
use crate::name::escaped;
use std::io::Write;

/// Its command, what was expected, what counts, and every line that it printed; nothing where the step has none.
pub fn lines(covers: &Covers, out: &mut impl Write) -> std::io::Result<()> {
    let Some(preview) = &covers.preview else { return Ok(()) };
    for (index, word) in preview.command.argv.iter().enumerate() {
        writeln!(out, "preview argument {index}: {}", escaped(word))?;
    }
    let file = &preview.command.exe;
    writeln!(out, "preview executable: {} ({} bytes, SHA-256 {})", escaped(&file.path), file.size, file.sha256)?;
    for file in &preview.command.files {
        writeln!(out, "preview file: {} ({} bytes, SHA-256 {})", escaped(&file.path), file.size, file.sha256)?;
    }
    writeln!(out, "preview says: {} (expected: {})", escaped(&preview.value), escaped(&preview.expect))?;
    for line in preview.output.lines() {
        writeln!(out, "  | {}", escaped(line))?;
    }
    Ok(())
}

//! What was armed, in a report: every item of it. Of a long text the first lines are told, and the hash of all of it.

use super::text::{code, fence, inline};
use crate::brief::armed::{From, Item, SECTIONS, Section, Text, against, is_same, sections};
use crate::brief::command::{command_line, lines as lines_of};
use crate::event::Covers;
use crate::hash::Hash;
use std::fmt::{Result, Write as _};

/// Lines of a text that a report repeats; the transcript holds all.
const LINES_MAX: usize = 40;

/// One attempt's, and in what it differs from the one before.
pub(super) fn markdown(out: &mut String, covers: &Covers, before: Option<&Covers>) -> Result {
    let mut all: [Section; SECTIONS] = sections(covers, None);
    if let Some(before) = before {
        all = against(all, &sections(before, None), From::LastAttempt);
        if is_same(&all, From::LastAttempt) {
            writeln!(out, "- nothing differs from {}", From::LastAttempt.word())?;
        }
    }
    for Section { name, items } in all.iter().filter(|section| !section.items.is_empty()) {
        writeln!(out, "\nArmed, {}:\n", name.word())?;
        items.iter().try_for_each(|item| one(out, item))?;
    }
    writeln!(out, "\nWhat came of it:\n")
}

fn one(out: &mut String, item: &Item) -> Result {
    let label = inline(&item.label);
    let aside = item.aside.as_ref().map_or_else(String::new, |aside| format!(", {}", inline(aside)));
    match &item.text {
        Text::Words(words) => writeln!(out, "- {label}: {}{aside}", inline(words))?,
        Text::Command(argv) => {
            writeln!(out, "- {label}:{aside}\n\n{}", fence(&[command_line(argv)]))?;
            for (number, word) in argv.iter().enumerate().filter(|(_, word)| word.trim_end_matches('\n').contains('\n'))
            {
                let (lines, note) = lines_of(word);
                writeln!(out, "Argument {number} of it, line by line:")?;
                text(out, &lines, note)?;
            }
        }
        Text::Script { by, lines, note } => {
            writeln!(out, "- {label}: {}{aside}", inline(by))?;
            text(out, lines, note.as_deref())?;
        }
        // A report is passed on further than a transcript: of what a process got with its environment the values stay there.
        Text::Variables(all) => {
            let told = |(name, value): &(String, String)| {
                format!("{} ({} bytes, SHA-256 {})", code(name), value.len(), Hash::of(value.as_bytes()).short())
            };
            writeln!(out, "- {label}: {}{aside}", all.iter().map(told).collect::<Vec<_>>().join(", "))?;
        }
        Text::Lines { head, lines, note } => {
            writeln!(out, "- {label}: {}{aside}", inline(head))?;
            text(out, lines, note.as_deref())?;
        }
        Text::File { path, sha256, size, aside, lines, note } => {
            let aside = if aside.is_empty() { String::new() } else { format!(", {aside}") };
            writeln!(out, "- {label}: {}, {size} bytes, SHA-256 {sha256}{aside}", code(path))?;
            text(out, lines, note.as_deref())?;
        }
    }
    item.differs.iter().try_for_each(|difference| writeln!(out, "  - **{}**", inline(&difference.to_string())))
}

fn text(out: &mut String, lines: &[String], note: Option<&str>) -> Result {
    let shown = &lines[..lines.len().min(LINES_MAX)];
    if !shown.is_empty() {
        writeln!(out, "\n{}", fence(shown))?;
    }
    if lines.len() > LINES_MAX {
        let (more, hash) = (lines.len() - LINES_MAX, Hash::of(lines.join("\n").as_bytes()).short());
        writeln!(out, "and {more} more lines; all of them hash to {hash}\n")?;
    }
    note.map_or(Ok(()), |note| writeln!(out, "({})\n", inline(note)))
}

//! What is armed, in plain mode: an item a line, each with its label, so that a line alone says what it is of.

use crate::brief::armed::{Item, Text};
use crate::name::{escaped, shown};
use std::io::{self, Write};

/// The items, whole.
pub fn lines(items: &[Item], out: &mut impl Write) -> io::Result<()> {
    items.iter().try_for_each(|item| one(item, out))
}

fn one(item: &Item, out: &mut impl Write) -> io::Result<()> {
    let label = shown(&item.label);
    let aside = item.aside.as_ref().map_or_else(String::new, |aside| format!(", {}", escaped(aside)));
    match &item.text {
        Text::Words(words) => writeln!(out, "{label}: {}{aside}", escaped(words))?,
        Text::Command(argv) => {
            // `command` itself is what a line without another word is of.
            let of = label.strip_suffix("command").unwrap_or(&label).trim_end();
            let of = if of.is_empty() { String::new() } else { format!("{of} ") };
            for (index, word) in argv.iter().enumerate() {
                writeln!(out, "{of}argument {index}: {}", escaped(word))?;
            }
        }
        Text::Script { by, lines, note } => {
            writeln!(out, "{label}: {by}:{aside}")?;
            text(lines, note.as_deref(), out)?;
        }
        Text::Variables(all) => {
            for (name, value) in all {
                writeln!(out, "{label}: {}={}", escaped(name), escaped(value))?;
            }
            if !aside.is_empty() {
                writeln!(out, "{label}{aside}")?;
            }
        }
        Text::Lines { head, lines, note } => {
            writeln!(out, "{label}: {}{aside}", escaped(head))?;
            text(lines, note.as_deref(), out)?;
        }
        Text::File { path, sha256, size, aside, lines, note } => {
            let aside = if aside.is_empty() { String::new() } else { format!(", {aside}") };
            writeln!(out, "{label}: {} ({size} bytes, SHA-256 {sha256}){aside}", escaped(path))?;
            text(lines, note.as_deref(), out)?;
        }
    }
    item.differs.iter().try_for_each(|difference| writeln!(out, "  {}", escaped(&difference.to_string())))
}

fn text(lines: &[String], note: Option<&str>, out: &mut impl Write) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "  | {line}"))?;
    note.map_or(Ok(()), |note| writeln!(out, "  ({note})"))
}

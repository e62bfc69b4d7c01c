//! A rehearsal on the command line: what is said of it, and the mark on every line of plain mode.

use super::No;
use crate::name::shown;
use crate::plan::Plan;
use crate::session::Session;
use std::io::{self, Write};

/// The line that stands before everything else that is said of a rehearsal.
pub fn told(data: &str) -> String {
    format!("REHEARSAL, {}", on(data))
}

/// The same where the word stands already.
pub fn on(data: &str) -> String {
    format!("nothing live is run; data: {}", shown(data))
}

/// Whether a hub that runs already flies what was asked for: a rehearsal on those data, or a live session.
pub fn is_that(session: &Session, data: Option<&str>) -> Result<(), No> {
    match (session.rehearsal(), data) {
        (None, None) => Ok(()),
        (Some(found), Some(asked)) if found == asked => Ok(()),
        (Some(found), None) => Err(No(format!(
            "the hub that these links lead to flies a REHEARSAL (data: {}), and no live session\nhint: end it first, or give \
             another --links-file",
            shown(found)
        ))),
        (None, Some(_)) => Err(No(
            "the hub that these links lead to flies this plan LIVE, and does not rehearse it\nhint: give another --links-file"
                .to_owned(),
        )),
        (Some(found), Some(_)) => {
            Err(No(format!("this plan is being rehearsed on other data: {}\nhint: give the same --data", shown(found))))
        }
    }
}

/// Says which commands of the plan a rehearsal can only print.
pub fn unrehearsed(plan: &Plan) {
    let printed = plan.without_rehearsal();
    if !printed.is_empty() {
        eprintln!("without a `rehearse`, what they would run is printed and not run: {}", printed.join(", "));
    }
}

/// What begins every line of plain mode in a rehearsal: a line alone, read out or copied somewhere, says what it is of.
const MARK: &str = "REHEARSAL ";

/// Marks every line that is written through it, in a rehearsal; in a live session it changes nothing.
pub struct Marked<'w, W: Write> {
    to: &'w mut W,
    on: bool,
    /// Whether the next byte begins a line.
    begins: bool,
}

impl<'w, W: Write> Marked<'w, W> {
    /// Before that.
    pub fn new(to: &'w mut W, on: bool) -> Self {
        Marked { to, on, begins: true }
    }
}

impl<W: Write> Write for Marked<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.on {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if std::mem::replace(&mut self.begins, line.ends_with(b"\n")) {
                    self.to.write_all(MARK.as_bytes())?;
                }
                self.to.write_all(line)?;
            }
            return Ok(bytes.len());
        }
        self.to.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_rehearsal_is_marked_however_it_is_cut() {
        let mut out = vec![];
        let mut marked = Marked::new(&mut out, true);
        for piece in ["one", " line\ntwo\n", "\n", "", "three"] {
            write!(marked, "{piece}").unwrap();
        }
        assert_eq!(String::from_utf8(out).unwrap(), "REHEARSAL one line\nREHEARSAL two\nREHEARSAL \nREHEARSAL three");
        let mut out = vec![];
        write!(Marked::new(&mut out, false), "one\ntwo").unwrap();
        assert_eq!(out, b"one\ntwo");
    }
}

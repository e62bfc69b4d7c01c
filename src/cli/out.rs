//! The one way to standard output and standard error. Whatever is printed passes it, so that no text from outside acts on a
//! terminal, even where whoever printed it forgot where it came from.
//!
//! The macros here take the place of the standard ones in every file of `cli`: same arguments, and a reader that went away
//! is no reason to panic. Only the screen (`tui::terminal`) writes past this, and what a plan's errors are [`drawn`] with.

use crate::name::is_hidden;
use std::io::{self, Write};

/// Passes text on without control characters but line ends, and without any other hidden character: they are written out as
/// in JSON, `\uXXXX`, so that JSON stays what it was. A tab becomes a blank, bytes that are no UTF-8 become `\xXX`.
pub struct Harmless<W> {
    to: W,
    /// The first bytes of a character that is not whole yet.
    begun: Vec<u8>,
    /// Every write is one entry of a log: a line end within it would make it look like two.
    entries: bool,
}

/// Standard output.
pub fn stdout() -> Harmless<io::Stdout> {
    Harmless::new(io::stdout(), false)
}

/// Standard error.
pub fn stderr() -> Harmless<io::Stderr> {
    Harmless::new(io::stderr(), false)
}

/// Standard error as a log: one line an entry, whatever the entry holds.
pub fn log() -> Harmless<io::Stderr> {
    Harmless::new(io::stderr(), true)
}

/// Prints what was made harmless when it was drawn, colours included: the errors of a plan.
pub fn drawn(mut to: impl Write, text: &str) {
    let _ = writeln!(to, "{text}").and_then(|()| to.flush()); // nobody listens any more: nobody to tell
}

impl<W: Write> Harmless<W> {
    /// Text on its way to `to`; with `entries`, every write is one entry of a log.
    pub fn new(to: W, entries: bool) -> Self {
        Harmless { to, begun: vec![], entries }
    }

    /// `whole`: nothing of this write follows the text, so that a line end at its end is the entry's own.
    fn escape(&self, text: &str, whole: bool, out: &mut String) {
        let last = text.len().saturating_sub(1);
        for (at, c) in text.char_indices() {
            match c {
                '\n' if !self.entries || (whole && at == last) => out.push('\n'),
                '\n' => out.push_str("\\n"),
                '\t' => out.push(' '),
                c if is_hidden(c) => {
                    let units =
                        c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
                    out.push_str(&units);
                }
                c => out.push(c),
            }
        }
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut out = String::with_capacity(all.len());
        let mut rest = &all[..];
        while !rest.is_empty() {
            let (valid, bad) = match std::str::from_utf8(rest) {
                Ok(text) => (text, None),
                Err(error) => {
                    let (valid, _) = rest.split_at(error.valid_up_to());
                    (std::str::from_utf8(valid).unwrap_or_default(), Some(error.error_len()))
                }
            };
            self.escape(valid, bad.is_none(), &mut out);
            rest = &rest[valid.len()..];
            match bad {
                None => {}
                // It may go on with the next write.
                Some(None) => {
                    self.begun = rest.to_vec();
                    break;
                }
                Some(Some(length)) => {
                    rest[..length].iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
                    rest = &rest[length..];
                }
            }
        }
        self.to.write_all(out.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// As the standard one, through [`Harmless`].
macro_rules! print {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let mut out = $crate::cli::out::stdout();
        let _ = write!(out, $($words)*).and_then(|()| out.flush());
    }};
}

/// As the standard one, through [`Harmless`].
macro_rules! println {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!($crate::cli::out::stdout(), $($words)*);
    }};
}

/// As the standard one, through [`Harmless`].
macro_rules! eprintln {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!($crate::cli::out::stderr(), $($words)*);
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(parts: &[&[u8]], entries: bool) -> String {
        let mut out = Harmless::new(vec![], entries);
        parts.iter().for_each(|part| out.write_all(part).unwrap());
        String::from_utf8(out.to).unwrap()
    }

    #[test]
    fn nothing_but_visible_text_and_line_ends_comes_out() {
        assert_eq!(
            through(&[b"a\x1b]0;t\x07b\r\n\tc\x7f\xc2\x9bd"], false),
            "a\\u001b]0;t\\u0007b\\u000d\n c\\u007f\\u009bd"
        );
        assert_eq!(through(&["\u{202e}x\u{e0041}é漢".as_bytes()], false), "\\u202ex\\udb40\\udc41é漢");
        assert_eq!(through(&[b"8-bit \x9b2J \xff", b"\xe6\xbc", b"\xa2"], false), "8-bit \\x9b2J \\xff漢");
        assert_eq!(through(&[b"one\nforged\n", b"two\n"], true), "one\\nforged\ntwo\n");
        // Found by the fuzz target `screen`: a line end before a byte that is no UTF-8.
        assert_eq!(through(&[b"one\n\xc3[forged\n", b"two\n\xe6"], true), "one\\n\\xc3[forged\ntwo\\n");
    }

    #[test]
    fn json_stays_json() {
        let json = serde_json::to_string(&["a\u{200b}b\u{e0041}c", "d\u{1b}"]).unwrap();
        let printed = through(&[json.as_bytes()], false);
        assert!(!printed.chars().any(is_hidden));
        assert_eq!(serde_json::from_str::<Vec<String>>(&printed).unwrap(), ["a\u{200b}b\u{e0041}c", "d\u{1b}"]);
    }
}

//! The bytes of a line, and the link from each to the one before.
//!
//! Layout, frozen for format 1: one JSON object and one LF, fields in this order, nothing between them:
//! `{"v":1,"seq":N,"prev":"<64 hex>","at":"<RFC 3339, UTC, µs>","by":"<principal or hub>","event":{"<Kind>":{…}}}`.
//! `prev` is the SHA-256 of the whole previous line with its LF; before the first line it is 64 zeros; `seq` starts at 1.
//! DEL, C1 controls and bidi controls are written as `\uXXXX`, so that `cat` of a transcript is harmless. The line on
//! disk, on the wire and under the hash are the same bytes, made once by [`Line::encode`].

use crate::clock::At;
use crate::event::Event;
use crate::hash::Hash;
use crate::name::Principal;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io;

/// The version of the layout.
pub const FORMAT: u32 = 1;

/// The longest line that is written or read, and so the largest message of a hub. `SessionOpened` with the longest plan
/// (96 KiB, at most doubled by escapes) and `StepArmed` with its files' texts (64 KiB in all) stay below.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// One numbered event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// [`FORMAT`].
    pub v: u32,
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// The hash of the line before.
    pub prev: Hash,
    /// When, by the hub's clock.
    pub at: At,
    /// Who asked; `hub` for what it does by itself.
    pub by: Principal,
    /// What happened.
    pub event: Event,
}

/// The last line so far: its number and its hash. Before the first line: 0 and zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of the last line.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}
impl Head {
    /// Before the first line.
    pub const START: Head = Head { seq: 0, hash: Hash::ZERO };
}

/// Why bytes are not the line that must stand here.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Not a line of this layout.
    #[error("line {seq} cannot be read: {why}")]
    Malformed {
        /// The number it should have.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// A kind (or a version) that this program does not know.
    #[error("line {seq} holds {kind:?}, which this version ({version}) does not know; use a newer crosscheck", version = env!("CARGO_PKG_VERSION"))]
    UnknownKind {
        /// Its number.
        seq: u64,
        /// The kind.
        kind: String,
    },
    /// Another number than the next one.
    #[error("line {expected} should stand here, but it says it is line {found}")]
    Number {
        /// The next number.
        expected: u64,
        /// What it says.
        found: u64,
    },
    /// The chain is broken.
    #[error("line {seq} links to {found}, but the line before it hashes to {expected}")]
    Link {
        /// Its number.
        seq: u64,
        /// The hash of the line before.
        expected: Hash,
        /// What it says.
        found: Hash,
    },
}

/// A line's bytes and the head that they make. Hashed once, where it is made; nothing can put other bytes to that hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    bytes: Bytes,
    head: Head,
}
impl Encoded {
    /// These bytes as the line of that number.
    pub fn new(seq: u64, bytes: Bytes) -> Encoded {
        Encoded { head: Head { seq, hash: Hash::of(&bytes) }, bytes }
    }
    /// The bytes, LF included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// Number and hash.
    pub fn head(&self) -> Head {
        self.head
    }
}

impl Line {
    /// The bytes, LF included, and the head they make.
    pub fn encode(&self) -> Result<Encoded, serde_json::Error> {
        let mut bytes = Vec::with_capacity(512);
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Harmless))?;
        bytes.push(b'\n');
        Ok(Encoded::new(self.seq, bytes.into()))
    }

    /// Reads the line that must follow `after`; `bytes` with its LF. Checks number and link.
    pub fn decode(bytes: &[u8], after: Head) -> Result<(Line, Head), LinkError> {
        let seq = after.seq + 1;
        let line: Line = match serde_json::from_slice(bytes) {
            Ok(line) => line,
            Err(error) => return Err(explain(bytes, seq, &error)),
        };
        if line.v != FORMAT {
            return Err(LinkError::UnknownKind { seq, kind: format!("format {}", line.v) });
        }
        if let Some(c) = raw(bytes) {
            let why = format!("{} stands in it as it is, and not as an escape", c.escape_unicode());
            return Err(LinkError::Malformed { seq, why });
        }
        if line.seq != seq {
            return Err(LinkError::Number { expected: seq, found: line.seq });
        }
        if line.prev != after.hash {
            return Err(LinkError::Link { seq, expected: after.hash, found: line.prev });
        }
        let head = Head { seq, hash: Hash::of(bytes) };
        Ok((line, head))
    }
}

/// Tells a kind from the future apart from damage.
fn explain(bytes: &[u8], seq: u64, error: &serde_json::Error) -> LinkError {
    #[derive(Deserialize)]
    struct Envelope {
        v: u32,
        event: std::collections::BTreeMap<String, serde::de::IgnoredAny>,
    }
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(bytes) {
        if envelope.v != FORMAT {
            return LinkError::UnknownKind { seq, kind: format!("format {}", envelope.v) };
        }
        if let Some(kind) = envelope.event.into_keys().find(|kind| !Event::KINDS.contains(&kind.as_str())) {
            return LinkError::UnknownKind { seq, kind: crate::name::shown(&kind) };
        }
    }
    LinkError::Malformed { seq, why: crate::name::shown(&error.to_string()) }
}

/// JSON as it stands in a line: compact, and harmless to a terminal.
pub fn to_text(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(512);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Harmless))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Whether a character that JSON lets stand as it is acts on a terminal.
fn acts(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first character in a line (its LF left out) that a hub would have written as an escape.
fn raw(line: &[u8]) -> Option<char> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    if text.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return None;
    }
    String::from_utf8_lossy(text).chars().find(|c| *c < ' ' || acts(*c))
}

/// Compact JSON that writes DEL, C1 and bidi controls as escapes.
struct Harmless;
impl serde_json::ser::Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut done = 0;
        // The first bytes of every character that needs care; all other text goes out in one piece.
        if fragment.bytes().all(|b| b < 0x7f) {
            return writer.write_all(fragment.as_bytes());
        }
        for (index, c) in fragment.char_indices() {
            if acts(c) {
                writer.write_all(&fragment.as_bytes()[done..index])?;
                write!(writer, "\\u{:04x}", c as u32)?;
                done = index + c.len_utf8();
            }
        }
        writer.write_all(&fragment.as_bytes()[done..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line {
            v: FORMAT,
            seq: 1,
            prev: Hash::ZERO,
            at: At::from_micros(1),
            by: Principal::hub(),
            event: Event::Noted { text: text.into() },
        }
    }

    #[test]
    fn the_layout_is_frozen() {
        let encoded = line("a\u{9b}b\u{202e}c\u{7f}").encode().unwrap();
        let (bytes, head) = (encoded.bytes().to_vec(), encoded.head());
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(
            text,
            format!(
                "{{\"v\":1,\"seq\":1,\"prev\":\"{}\",\"at\":\"1970-01-01T00:00:00.000001Z\",\"by\":\"hub\",\"event\":{{\"Noted\":{{\"text\":\"a\\u009bb\\u202ec\\u007f\"}}}}}}\n",
                "0".repeat(64)
            )
        );
        assert_eq!(head.hash, Hash::of(&bytes));
        let (read, again) = Line::decode(&bytes, Head::START).unwrap();
        assert_eq!((read, again), (line("a\u{9b}b\u{202e}c\u{7f}"), head));
    }

    /// Found by the fuzz target `transcript`: the text of a frozen step is kept as it stands in the line.
    #[test]
    fn a_line_that_acts_on_a_terminal_is_none() {
        let bytes = line("a\u{9b}b").encode().unwrap().bytes().to_vec();
        let text = String::from_utf8(bytes).unwrap();
        for c in ["\u{9b}", "\u{7f}", "\u{202e}"] {
            let raw = text.replace("\\u009b", c);
            let error = Line::decode(raw.as_bytes(), Head::START).unwrap_err().to_string();
            assert!(error.contains("not as an escape") && !error.contains(c), "{error}");
        }
        let blank = text.replacen(":", ":\r", 1);
        assert!(matches!(Line::decode(blank.as_bytes(), Head::START), Err(LinkError::Malformed { .. })));
        let harmless = text.replace("\\u009b", "é漢");
        assert!(Line::decode(harmless.as_bytes(), Head::START).is_ok());
    }

    #[test]
    fn a_kind_from_the_future_is_named_and_damage_is_not_mistaken_for_it() {
        let bytes = line("x").encode().unwrap().bytes().to_vec();
        let text = String::from_utf8(bytes).unwrap();
        let future = text.replace("Noted", "Levitated");
        assert!(
            matches!(Line::decode(future.as_bytes(), Head::START), Err(LinkError::UnknownKind { kind, .. }) if kind == "Levitated")
        );
        let broken = text.replace("\"text\"", "\"next\"");
        assert!(matches!(Line::decode(broken.as_bytes(), Head::START), Err(LinkError::Malformed { .. })));
    }
}

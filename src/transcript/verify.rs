//! The verdict on a transcript's bytes. Pure: bytes in, one of five answers out.
//!
//! | last line | links before it | taking it up again | verdict |
//! |---|---|---|---|
//! | whole | all hold | continues | intact: count, last hash, closed or not |
//! | cut short | all hold | sets the tail aside, continues | torn after line n |
//! | anything else where a line should be | all hold | refused | broken at n, expected and found |
//! | whole, of an unknown kind | all hold | refused, naming the version | links hold, kind unknown |
//! | any | one broken | refused | broken at n, expected and found |
//!
//! What the chain cannot tell: a change in the *last* line that leaves it well-formed only changes the last hash, and lines
//! cut off whole at the end leave an intact, shorter log. Whoever holds a head from elsewhere (a screen, a report, a
//! signed checkpoint) gives it to [`verify`], which then notices both.

use super::read::{ReadError, Reader, Source};
use super::record::{Head, LinkError};
use crate::clock::At;
use crate::event::{Event, Outcome};
use crate::name::StepId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What the bytes are worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// Every line is read and linked to the one before.
    Intact {
        /// How many.
        lines: u64,
        /// The last one.
        head: Head,
        /// The session's outcome, once it is closed.
        closed: Option<Outcome>,
    },
    /// Intact up to there; an unfinished write follows.
    Torn {
        /// The last whole line.
        upto: Head,
        /// Bytes behind it.
        bytes: u64,
    },
    /// Not what was written.
    Broken {
        /// The number of the line in question.
        at: u64,
        /// What should stand there.
        expected: String,
        /// What does.
        found: String,
    },
    /// Every link holds, but this version cannot say what some line means.
    UnknownKind {
        /// The first such line.
        at: u64,
        /// Its kind.
        kind: String,
        /// The last line whose link could be checked.
        head: Head,
    },
    /// The bytes cannot be had.
    Unreadable {
        /// The last line read.
        after: u64,
        /// Why.
        why: String,
    },
}

impl Integrity {
    /// Whether nothing is wrong and the session is closed.
    pub fn is_complete(&self) -> bool {
        matches!(self, Integrity::Intact { closed: Some(_), .. })
    }
    /// In one or two words, as `verify` prints it.
    pub fn word(&self) -> &'static str {
        match self {
            Integrity::Intact { closed: Some(_), .. } => "COMPLETE",
            Integrity::Intact { closed: None, .. } => "NOT CLOSED",
            Integrity::Torn { .. } => "TORN",
            Integrity::Broken { .. } => "BROKEN",
            Integrity::UnknownKind { .. } => "UNKNOWN KIND",
            Integrity::Unreadable { .. } => "UNREADABLE",
        }
    }
    /// The number that goes with it: of lines that hold, or of the line that does not.
    pub fn number(&self) -> u64 {
        match self {
            Integrity::Intact { lines, .. } => *lines,
            Integrity::Torn { upto, .. } => upto.seq,
            Integrity::Broken { at, .. } | Integrity::UnknownKind { at, .. } => *at,
            Integrity::Unreadable { after, .. } => *after,
        }
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Integrity::Intact { lines, head, closed } => {
                let end = if closed.is_some() { "" } else { "; the session is not closed" };
                write!(f, "all {lines} lines hold together, the last one hashes to {}{end}", head.hash)
            }
            Integrity::Torn { upto, bytes } => {
                write!(f, "lines 1 to {} hold together; {bytes} bytes of an unfinished write follow", upto.seq)
            }
            Integrity::Broken { at, expected, found } => {
                write!(f, "broken at line {at}: expected {expected}, found {found}")
            }
            Integrity::UnknownKind { at, kind, head } => write!(
                f,
                "the links of lines 1 to {} hold, but line {at} is of the kind {kind:?}, which crosscheck {} does not know",
                head.seq,
                env!("CARGO_PKG_VERSION")
            ),
            Integrity::Unreadable { after, why } => write!(f, "cannot be read after line {after}: {why}"),
        }
    }
}

/// Goes through everything the reader has. `held`: number and hash of a line as somebody outside knows them.
pub fn verify<S: Source>(mut reader: Reader<S>, held: Option<Head>) -> Integrity {
    let mut closed = None;
    let mut unknown: Option<(u64, String)> = None;
    loop {
        let before = reader.head().seq;
        let step = match reader.next() {
            Some(Err(ReadError::Link(LinkError::UnknownKind { seq, kind }))) => {
                unknown.get_or_insert((seq, kind));
                reader.next_unread().map(|next| next.map(|_| ()))
            }
            Some(Ok((line, ..))) => {
                if line.seq == 1 && !matches!(line.event, Event::SessionOpened { .. }) {
                    return broken(1, "SessionOpened", line.event.kind());
                }
                if let Event::SessionClosed { outcome, .. } = line.event {
                    closed = Some(outcome);
                }
                Some(Ok(()))
            }
            other => other.map(|next| next.map(|_| ())),
        };
        match step {
            Some(Ok(())) => {}
            None => break,
            Some(Err(ReadError::Torn { upto, bytes, .. })) => {
                return match held.filter(|held| held.seq > upto.seq) {
                    Some(held) => {
                        broken(upto.seq + 1, format!("whole lines up to {}", held.seq), "an unfinished write")
                    }
                    None => Integrity::Torn { upto, bytes },
                };
            }
            // A format from the future may not even have links that this version can follow.
            Some(Err(ReadError::Link(LinkError::UnknownKind { .. }))) if unknown.is_some() => break,
            Some(Err(ReadError::Link(error))) => return of_link(error),
            Some(Err(ReadError::Open { source, .. } | ReadError::Io { source, .. })) => {
                return Integrity::Unreadable { after: before, why: source.to_string() };
            }
        }
        if let Some(held) = held.filter(|held| held.seq == reader.head().seq && held.hash != reader.head().hash) {
            return broken(held.seq, format!("hash {}", held.hash), format!("hash {}", reader.head().hash));
        }
    }
    let head = reader.head();
    match (unknown, held) {
        (Some((at, kind)), _) => Integrity::UnknownKind { at, kind, head },
        (None, Some(held)) if held.seq > head.seq => {
            broken(head.seq + 1, format!("lines up to {}", held.seq), "the end of the file")
        }
        (None, _) if head.seq == 0 => broken(1, "SessionOpened", "the end of the file"),
        (None, _) => Integrity::Intact { lines: head.seq, head, closed },
    }
}

fn broken(at: u64, expected: impl Into<String>, found: impl Into<String>) -> Integrity {
    Integrity::Broken { at, expected: expected.into(), found: found.into() }
}

fn of_link(error: LinkError) -> Integrity {
    match error {
        LinkError::Malformed { seq, why } => broken(seq, format!("line {seq}"), format!("no line: {why}")),
        LinkError::Number { expected, found } => broken(expected, format!("line {expected}"), format!("line {found}")),
        LinkError::Link { seq, expected, found } => {
            broken(seq, format!("a link to {expected}"), format!("a link to {found}"))
        }
        LinkError::UnknownKind { seq, kind } => {
            Integrity::UnknownKind { at: seq, kind, head: Head { seq: seq.saturating_sub(1), ..Head::START } }
        }
    }
}

/// What is left of the output beside a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct OutputIntegrity {
    /// Pieces that are there and hash to what their line says.
    pub whole: u64,
    /// Pieces whose file was deleted (or the salt they were hashed with) by `crosscheck expire`: OUTPUT EXPIRED.
    pub expired: u64,
    /// When that was, as the marker says that was left there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_at: Option<At>,
    /// Pieces that are gone without a marker: OUTPUT MISSING.
    pub missing: u64,
    /// Lines whose piece is there, but is not what was printed.
    pub altered: Vec<u64>,
}

impl fmt::Display for OutputIntegrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.altered.first(), self.missing, self.expired) {
            (Some(line), ..) => write!(f, "OUTPUT ALTERED: the bytes of line {line} are not what was printed"),
            (None, 0, 0) => write!(f, "all {} pieces of output are what was printed", self.whole),
            (None, 0, expired) => {
                let when = self.expired_at.map(|at| format!(" on {at}")).unwrap_or_default();
                write!(f, "OUTPUT EXPIRED: {expired} pieces were deleted{when}, {} are whole", self.whole)
            }
            (None, missing, _) => write!(
                f,
                "OUTPUT MISSING: {missing} pieces (or their salt) are gone, and not by `crosscheck expire`; {} are whole",
                self.whole
            ),
        }
    }
}

/// Holds every piece of output against its line, as far as the transcript can be read.
pub fn verify_output(transcript: &Path) -> Result<OutputIntegrity, ReadError> {
    let salt = super::output::salt(transcript).ok();
    let mut files: BTreeMap<(StepId, u32, crate::event::Part), Option<File>> = BTreeMap::new();
    let mut verdict = OutputIntegrity { expired_at: super::output::expired(transcript), ..OutputIntegrity::default() };
    for next in Reader::open(transcript)? {
        let Ok((line, ..)) = next else { break };
        let Event::OutputWritten { step, attempt, part, offset, length, hash } = line.event else { continue };
        let path = super::output::path(transcript, &step, attempt, part);
        let file = files.entry((step, attempt, part)).or_insert_with(|| File::open(path).ok());
        let (Some(salt), Some(file)) = (&salt, file) else {
            match verdict.expired_at {
                Some(_) => verdict.expired += 1,
                None => verdict.missing += 1,
            }
            continue;
        };
        match piece(file, offset, length) {
            Ok(bytes) if super::output::salted_hash(salt, &bytes) == hash => verdict.whole += 1,
            _ => verdict.altered.push(line.seq),
        }
    }
    Ok(verdict)
}

/// Reads a piece; a length that no hub writes is not believed.
fn piece(file: &File, offset: u64, length: u32) -> io::Result<Vec<u8>> {
    const PIECE_BYTES_MAX: u32 = 1024 * 1024;
    if length > PIECE_BYTES_MAX {
        return Err(io::Error::other("a piece longer than any that is written"));
    }
    let mut bytes = vec![0; length as usize]; // at most 1 MiB, checked above
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

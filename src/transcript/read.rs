//! Reads a transcript line by line, checking number and link of each; also while it is being written.
//!
//! A reader takes no lock. What it finds where a whole line should be is one of four things, told apart here and nowhere
//! else ([`ReadError`]): the end (only padding follows), a torn tail (a batch that was never synced, so never shown to
//! anyone), a kind from the future, or damage. Start at [`Reader`].

use super::record::{FORMAT, Head, LINE_BYTES_MAX, Line, LinkError};
use crate::hash::Hash;
use bytes::Bytes;
use serde::Deserialize;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes fetched at a time: some hundred lines, and as fast as mapping the file (which a growing file forbids).
const CHUNK: usize = 64 * 1024;
/// The smallest piece a disk loses or keeps as a whole.
const SECTOR: u64 = 512;
/// How often a live file is looked at again before what is odd counts as such: a read beside a write may see a later
/// page of a batch before an earlier one.
const LOOKS: u32 = 4;
/// Time between two looks; a batch is copied into the page cache in well under a millisecond.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Where bytes come from.
pub trait Source {
    /// Whether somebody may be writing at this moment.
    const LIVE: bool;
    /// Reads some bytes from there; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}
impl Source for File {
    const LIVE: bool = true;
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => return result,
            }
        }
    }
}
impl Source for &File {
    const LIVE: bool = true;
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Source::read_at(*self, buffer, offset)
    }
}
/// A file that nobody else writes, because the caller holds its lock: what is odd in it stays so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Locked<'a>(pub(super) &'a File);
impl Source for Locked<'_> {
    const LIVE: bool = false;
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Source::read_at(self.0, buffer, offset)
    }
}
impl Source for &[u8] {
    const LIVE: bool = false;
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let count = buffer.len().min(self.len() - from);
        buffer[..count].copy_from_slice(&self[from..from + count]);
        Ok(count)
    }
}

/// Why the next line cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened.
    #[error("cannot open {path}", path = .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read the transcript after line {}", .after.seq)]
    Io {
        /// The last line read.
        after: Head,
        /// Why.
        source: io::Error,
    },
    /// What follows was being written when the hub stopped (or is being written now): no whole line, and nothing that
    /// anyone was shown.
    #[error("the transcript is whole up to line {}; {bytes} bytes of an unfinished write follow", .upto.seq)]
    Torn {
        /// The last whole line.
        upto: Head,
        /// Where the torn bytes begin.
        offset: u64,
        /// How many there are, padding left out.
        bytes: u64,
    },
    /// Damage, or a kind from the future.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Reads lines in order. An iterator: after an error (or the end), calling it again looks again, which is how a file that
/// is still being written is followed; whoever only reads stops at the first error.
#[derive(Debug)]
pub struct Reader<S = File> {
    source: S,
    head: Head,
    /// Just behind the line of `head`.
    offset: u64,
    /// Bytes read ahead; the first lies at `buffer_at` in the file.
    buffer: Vec<u8>,
    buffer_at: u64,
    /// How much of `buffer` is taken.
    taken: usize,
}

/// What stands where the next line should.
enum Raw {
    End,
    /// A line with its LF: where it begins, and where in the buffer it stands.
    Line {
        begins: u64,
        range: std::ops::Range<usize>,
    },
    /// Bytes up to the end of the file, without LF.
    Partial {
        bytes: Vec<u8>,
    },
    TooLong,
}

impl Reader<File> {
    /// Opens a transcript at its start.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        match File::open(path) {
            Ok(file) => Ok(Self::new(file)),
            Err(source) => Err(ReadError::Open { path: path.to_owned(), source }),
        }
    }
}

impl<S: Source> Reader<S> {
    /// Reads from the first line on.
    pub fn new(source: S) -> Self {
        Self::after(source, Head::START, 0)
    }

    /// Reads what follows a known line that ends at `offset`.
    pub fn after(source: S, head: Head, offset: u64) -> Self {
        Self { source, head, offset, buffer: Vec::new(), buffer_at: offset, taken: 0 }
    }

    /// The last line read.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Where the last line read ends.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line without its event: number and link are checked, whatever its kind. For a log with kinds from the
    /// future, whose chain can be checked all the same.
    pub fn next_unread(&mut self) -> Option<Result<(Bytes, Head), ReadError>> {
        #[derive(Deserialize)]
        struct Envelope {
            v: u32,
            seq: u64,
            prev: Hash,
        }
        self.look(|bytes, after| {
            let seq = after.seq + 1;
            let envelope: Envelope = serde_json::from_slice(bytes)
                .map_err(|error| LinkError::Malformed { seq, why: crate::name::shown(&error.to_string()) })?;
            if envelope.v != FORMAT {
                return Err(LinkError::UnknownKind { seq, kind: format!("format {}", envelope.v) });
            }
            if envelope.seq != seq {
                return Err(LinkError::Number { expected: seq, found: envelope.seq });
            }
            if envelope.prev != after.hash {
                return Err(LinkError::Link { seq, expected: after.hash, found: envelope.prev });
            }
            Ok(((), Head { seq, hash: Hash::of(bytes) }))
        })
        .map(|found| found.map(|((), bytes, head)| (bytes, head)))
    }

    fn look<T>(
        &mut self,
        decode: impl Fn(&[u8], Head) -> Result<(T, Head), LinkError>,
    ) -> Option<Result<(T, Bytes, Head), ReadError>> {
        let mut looks = 1;
        loop {
            match self.step(&decode) {
                Err(ReadError::Link(_) | ReadError::Torn { .. }) if S::LIVE && looks < LOOKS => {
                    looks += 1;
                    std::thread::sleep(BETWEEN_LOOKS);
                }
                result => return result.transpose(),
            }
        }
    }

    fn step<T>(
        &mut self,
        decode: &impl Fn(&[u8], Head) -> Result<(T, Head), LinkError>,
    ) -> Result<Option<(T, Bytes, Head)>, ReadError> {
        let seq = self.head.seq + 1;
        let raw = self.raw().map_err(|source| ReadError::Io { after: self.head, source })?;
        match raw {
            Raw::End => {
                self.forget();
                Ok(None)
            }
            Raw::TooLong => {
                self.forget();
                Err(LinkError::Malformed { seq, why: format!("longer than {LINE_BYTES_MAX} bytes") }.into())
            }
            Raw::Partial { bytes } => {
                self.forget();
                if is_cut(&bytes, self.head, true) {
                    return Err(self.torn(bytes.len() as u64));
                }
                if let Some(torn) = self.lost_sector(None)? {
                    return Err(torn);
                }
                Err(match decode(&bytes, self.head) {
                    Err(error) => error.into(),
                    Ok(_) => LinkError::Malformed { seq, why: "no line end".into() }.into(),
                })
            }
            Raw::Line { begins, range } => match decode(&self.buffer[range.clone()], self.head) {
                Ok((value, head)) => {
                    let bytes = Bytes::copy_from_slice(&self.buffer[range.clone()]);
                    self.taken = range.end;
                    self.offset = begins + bytes.len() as u64;
                    self.head = head;
                    Ok(Some((value, bytes, head)))
                }
                Err(error) => {
                    let text = self.buffer[range.start..range.end - 1].to_vec();
                    let ends = begins + text.len() as u64;
                    self.forget();
                    if let Some(torn) = self.lost_sector(Some((begins, ends)))? {
                        return Err(torn);
                    }
                    let last = self.content_end(ends)? == ends;
                    if last && matches!(error, LinkError::Malformed { .. }) && is_cut(&text, self.head, false) {
                        return Err(self.torn(text.len() as u64));
                    }
                    Err(error.into())
                }
            },
        }
    }

    /// Drops what was read ahead, so that the next look is a fresh one.
    fn forget(&mut self) {
        self.buffer.clear();
        self.buffer_at = self.offset;
        self.taken = 0;
    }

    fn torn(&self, bytes: u64) -> ReadError {
        ReadError::Torn { upto: self.head, offset: self.offset, bytes }
    }

    /// Finds the next line; empty ones are padding.
    fn raw(&mut self) -> io::Result<Raw> {
        let mut start = self.taken;
        loop {
            match self.buffer[start..].iter().position(|byte| *byte != b'\n') {
                Some(padding) => {
                    start += padding;
                    break;
                }
                None => {
                    self.buffer_at += self.buffer.len() as u64;
                    self.buffer.clear();
                    (self.taken, start) = (0, 0);
                    if self.fill()? == 0 {
                        return Ok(Raw::End);
                    }
                }
            }
        }
        let mut searched = start;
        loop {
            if let Some(length) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let range = start..searched + length + 1;
                return Ok(match range.len() <= LINE_BYTES_MAX {
                    true => Raw::Line { begins: self.buffer_at + start as u64, range },
                    false => Raw::TooLong,
                });
            }
            searched = self.buffer.len();
            if searched - start > LINE_BYTES_MAX {
                return Ok(Raw::TooLong);
            }
            if start >= CHUNK {
                self.buffer.drain(..start);
                self.buffer_at += start as u64;
                searched -= start;
                (self.taken, start) = (0, 0);
            }
            if self.fill()? == 0 {
                return Ok(Raw::Partial { bytes: self.buffer[start..].to_vec() });
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let have = self.buffer.len();
        self.buffer.extend_from_slice(&[0; CHUNK]);
        let read = self.source.read_at(&mut self.buffer[have..], self.buffer_at + have as u64);
        self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        read
    }

    /// The end of the last byte at or behind `from` that is not padding.
    fn content_end(&self, from: u64) -> Result<u64, ReadError> {
        let (mut at, mut end) = (from, from);
        let mut buffer = vec![0; CHUNK];
        loop {
            match self.source.read_at(&mut buffer, at) {
                Ok(0) => return Ok(end),
                Ok(count) => {
                    if let Some(last) = buffer[..count].iter().rposition(|byte| *byte != b'\n') {
                        end = at + last as u64 + 1;
                    }
                    at += count as u64;
                }
                Err(source) => return Err(ReadError::Io { after: self.head, source }),
            }
        }
    }

    /// A batch longer than a sector may reach the disk in any order before its sync: whole sectors of padding then stand
    /// before bytes of the same batch. Synced lines never have padding between them, so such a tail was never shown to
    /// anyone. `found`: where the bytes that are no line begin and end.
    fn lost_sector(&self, found: Option<(u64, u64)>) -> Result<Option<ReadError>, ReadError> {
        let io = |source| ReadError::Io { after: self.head, source };
        let whole_sector = |from: u64, to: u64| from.next_multiple_of(SECTOR) + SECTOR <= to;
        let mut lost = whole_sector(self.offset, self.padding_end(self.offset).map_err(io)?);
        if let (false, Some((_, ends))) = (lost, found) {
            let after = self.padding_end(ends).map_err(io)?;
            lost = whole_sector(ends, after) && after < self.content_end(after)?;
        }
        if !lost {
            return Ok(None);
        }
        let end = self.content_end(self.offset)?;
        // No line holds a NUL, so no batch does: that is other padding, and damage.
        match self.holds_nul().map_err(io)? {
            true => Ok(None),
            false => Ok(Some(self.torn(end - self.offset))),
        }
    }

    /// Whether a NUL stands anywhere behind the last line.
    fn holds_nul(&self) -> io::Result<bool> {
        let mut at = self.offset;
        let mut buffer = vec![0; CHUNK];
        loop {
            match self.source.read_at(&mut buffer, at)? {
                0 => return Ok(false),
                count if buffer[..count].contains(&0) => return Ok(true),
                count => at += count as u64,
            }
        }
    }

    /// Where padding that begins there ends.
    fn padding_end(&self, from: u64) -> io::Result<u64> {
        let mut at = from;
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = self.source.read_at(&mut buffer, at)?;
            match buffer[..count].iter().position(|byte| *byte != b'\n') {
                Some(padding) => return Ok(at + padding as u64),
                None if count == 0 => return Ok(at),
                None => at += count as u64,
            }
        }
    }
}

impl<S: Source> Iterator for Reader<S> {
    type Item = Result<(Line, Bytes, Head), ReadError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.look(Line::decode)
    }
}

/// Whether these bytes (without LF) are the beginning of the line that must follow, and end before it does. A changed
/// byte in a whole line is not that: such a line is damage and must not be set aside as if nobody had seen it.
fn is_cut(bytes: &[u8], after: Head, at_end_of_file: bool) -> bool {
    let expected = format!("{{\"v\":{FORMAT},\"seq\":{},\"prev\":\"{}\",", after.seq + 1, after.hash);
    let common = bytes.len().min(expected.len());
    if bytes[..common] != expected.as_bytes()[..common] {
        return false;
    }
    let parse = |bytes: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map_err(|error| error.is_eof());
    match parse(bytes) {
        Ok(_) => at_end_of_file, // only its LF is missing
        Err(true) => true,
        // Cut within a number, `12.` say, is reported as a bad number; with one more digit it is not.
        Err(false) => parse(&[bytes, b"0"].concat()) == Err(true),
    }
}

/// The lines after number `seq`, in order, each with its LF: at least one if there is any, further ones while all
/// together stay within `limit_bytes`. Without an index, so from the start of the file; the hub uses
/// [`Index`](super::index::Index).
pub fn lines_after(path: &Path, seq: u64, limit_bytes: usize) -> Result<Vec<Bytes>, ReadError> {
    let mut reader = Reader::open(path)?;
    let (mut lines, mut total) = (vec![], 0);
    loop {
        match reader.next_unread() {
            None | Some(Err(ReadError::Torn { .. })) => return Ok(lines),
            Some(Err(error)) => return Err(error),
            Some(Ok((_, head))) if head.seq <= seq => {}
            Some(Ok((bytes, _))) => {
                total += bytes.len();
                if total > limit_bytes && !lines.is_empty() {
                    return Ok(lines);
                }
                lines.push(bytes);
            }
        }
    }
}

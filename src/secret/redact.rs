//! Takes secrets out of a stream of bytes before anything else sees them.
//!
//! Every byte that is part of an encoded secret is left out, and `[secret KEY]` stands where it was. What comes out does not
//! depend on how the stream was cut into pieces: bytes that may be the beginning of a secret wait for what follows.
//! Line ends within a secret are not looked at, because a terminal writes them as CR LF, and `base64` and `xxd` break lines
//! where they like.
//!
//! Masking is no guarantee. A command can print a secret in a form that nobody listed, or in pieces with something in
//! between. Start at [`Redactor`].

use super::encodings::{encodings, is_line_end};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long what may be the beginning of a secret waits for more before people see that something came.
pub const WAIT: Duration = Duration::from_secs(1);
/// How much of it is shown then: a prompt shall not end one letter short for ever. What is longer waits on, however long,
/// and what was shown still counts as the beginning of the secret: its rest is never shown.
pub const SHOWN_EARLY_MAX: usize = 2;
/// Line ends in a row within a secret. More of them are an end.
const LINE_ENDS_MAX: usize = 8;
/// Where an excerpt was cut.
const CUT: char = '…';

/// One form of one secret.
struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    key: String,
}

/// What is looked for: every encoding of every secret, without line ends.
pub struct Needles {
    automaton: AhoCorasick,
    /// In the order of their bytes; the automaton's numbers are places in this list.
    needles: Vec<Needle>,
    longest: usize,
    /// Whether a needle begins with that byte.
    begins: [bool; 256],
}

impl std::fmt::Debug for Needles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Needles(***)")
    }
}

/// One occurrence, as places in the bytes that were looked at.
struct Found<'n> {
    start: usize,
    end: usize,
    key: &'n str,
}

impl Found<'_> {
    /// By where they begin, the longest first.
    fn order(&self) -> (usize, std::cmp::Reverse<usize>) {
        (self.start, std::cmp::Reverse(self.end))
    }
}

/// The bytes without their line ends, and where each of them stood.
struct Squeezed {
    bytes: Zeroizing<Vec<u8>>,
    at: Vec<usize>,
}
impl Squeezed {
    fn new(bytes: &[u8]) -> Self {
        let mut squeezed =
            Self { bytes: Zeroizing::new(Vec::with_capacity(bytes.len())), at: Vec::with_capacity(bytes.len()) };
        let mut run = 0;
        for (at, byte) in bytes.iter().enumerate() {
            run = if is_line_end(*byte) { run + 1 } else { 0 };
            // One too many is kept: no needle holds a line end, so nothing is found across it.
            if run == 0 || run == LINE_ENDS_MAX + 1 {
                squeezed.bytes.push(*byte);
                squeezed.at.push(at);
            }
        }
        squeezed
    }
}

impl Needles {
    /// Looks for these values, each under its key. Nothing where there are none; an error where they are too many for the
    /// automaton, which the limits of a plan rule out.
    pub fn new<'v>(values: impl IntoIterator<Item = (&'v str, &'v str)>) -> Result<Option<Needles>, String> {
        let mut needles: Vec<Needle> = vec![];
        for (key, value) in values {
            needles.extend(encodings(value).into_iter().map(|bytes| Needle { bytes, key: key.to_owned() }));
        }
        needles.sort_by(|a, b| a.bytes.as_slice().cmp(&b.bytes));
        needles.dedup_by(|a, b| a.bytes == b.bytes);
        let Some(longest) = needles.iter().map(|needle| needle.bytes.len()).max() else { return Ok(None) };
        let mut begins = [false; 256];
        needles.iter().for_each(|needle| begins[usize::from(needle.bytes[0])] = true); // none is empty
        // Not left to the crate to choose: its fastest kind costs a kilobyte a letter of each needle.
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(needles.iter().map(|needle| needle.bytes.as_slice()))
            .map_err(|error| error.to_string())?;
        Ok(Some(Needles { automaton, needles, longest, begins }))
    }

    #[cfg(test)]
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// A sentence without secrets. Where it was cut (`…`), the beginning of a secret is left out too.
    pub fn text(self: &Arc<Self>, text: &str) -> String {
        let mut out = Vec::with_capacity(text.len());
        for piece in text.split_inclusive(CUT) {
            let mut redactor = Redactor::new(self.clone());
            redactor.push(piece.trim_end_matches(CUT).as_bytes(), &mut out);
            match piece.ends_with(CUT) {
                true => {
                    redactor.end(&mut out, |have, _| have > SHOWN_EARLY_MAX);
                    out.extend_from_slice(CUT.encode_utf8(&mut [0; 4]).as_bytes());
                }
                false => redactor.finish(&mut out),
            }
        }
        // A needle ends where a character does, so nothing is torn.
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The key of a secret that stands in this text.
    pub fn find(&self, text: &str) -> Option<&str> {
        let squeezed = Squeezed::new(text.as_bytes());
        self.found(&squeezed).into_iter().next().map(|found| found.key)
    }

    /// All occurrences by where they begin, the longest first. They may overlap.
    fn found(&self, squeezed: &Squeezed) -> Vec<Found<'_>> {
        let mut found: Vec<_> = self
            .automaton
            .find_overlapping_iter(squeezed.bytes.as_slice())
            .map(|found| Found {
                start: squeezed.at[found.start()],
                end: squeezed.at[found.end() - 1] + 1, // no needle is empty
                key: &self.needles[found.pattern().as_usize()].key,
            })
            .collect();
        found.sort_by_key(Found::order);
        found
    }

    /// Every end of the bytes, the longest first, that is the beginning and not the whole of a needle: its place, and the
    /// shortest such needle.
    fn begun(&self, squeezed: &Squeezed) -> impl Iterator<Item = (usize, &Needle)> {
        let bytes = &squeezed.bytes;
        let from = bytes.len().saturating_sub(self.longest - 1);
        (from..bytes.len()).filter(|start| self.begins[usize::from(bytes[*start])]).filter_map(|start| {
            let end = &bytes[start..];
            let first = self.needles.partition_point(|needle| needle.bytes.as_slice() <= end);
            let fits = self.needles[first..].iter().take_while(|needle| needle.bytes.starts_with(end));
            fits.min_by_key(|needle| needle.bytes.len()).map(|needle| (squeezed.at[start], needle))
        })
    }
}

/// Redacts one stream.
pub struct Redactor {
    needles: Arc<Needles>,
    /// What is not settled yet. Its first `done` bytes were handed on (or left out) already, and still count as the beginning
    /// of what follows.
    pending: Zeroizing<Vec<u8>>,
    done: usize,
    /// The end of the secret that was left out last, where it reaches into `pending`.
    covered: usize,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor(***)")
    }
}

impl Redactor {
    /// Looks for these from the first byte on.
    pub fn new(needles: Arc<Needles>) -> Self {
        Self { needles, pending: Zeroizing::default(), done: 0, covered: 0 }
    }

    /// Takes bytes in, and hands on what is settled by them.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.pending.extend_from_slice(bytes);
        let squeezed = Squeezed::new(&self.pending);
        let needles = self.needles.clone();
        let hold = needles.begun(&squeezed).next().map_or(self.pending.len(), |(at, _)| at);
        self.settle(&needles.found(&squeezed), hold, out);
        self.pending.drain(..hold);
        self.done = self.done.saturating_sub(hold);
        self.covered = self.covered.saturating_sub(hold);
    }

    /// Nothing came for [`WAIT`]: shows the first few bytes of what waits.
    pub fn show_early(&mut self, out: &mut Vec<u8>) {
        let upto = SHOWN_EARLY_MAX.min(self.pending.len());
        if self.done < upto && self.covered == 0 {
            out.extend_from_slice(&self.pending[self.done..upto]);
            self.done = upto;
        }
    }

    /// Whether [`show_early`](Redactor::show_early) would show something.
    pub fn waits(&self) -> bool {
        self.covered == 0 && self.done < SHOWN_EARLY_MAX.min(self.pending.len())
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// The stream has ended: hands on what waited, but for what is at least half of a secret.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.end(out, |have, of| have * 2 >= of);
    }

    /// `too_much`: whether so many bytes of a needle of that length may not be shown.
    fn end(&mut self, out: &mut Vec<u8>, too_much: impl Fn(usize, usize) -> bool) {
        let squeezed = Squeezed::new(&self.pending);
        let needles = self.needles.clone();
        let mut found = needles.found(&squeezed);
        let cut = needles.begun(&squeezed).find(|(at, needle)| {
            let have = squeezed.at.iter().filter(|place| *place >= at).count();
            too_much(have, needle.bytes.len())
        });
        if let Some((start, needle)) = cut {
            found.push(Found { start, end: self.pending.len(), key: &needle.key });
            found.sort_by_key(Found::order);
        }
        let all = self.pending.len();
        self.settle(&found, all, out);
        self.pending.clear();
        (self.done, self.covered) = (0, 0);
    }

    /// Hands on everything before `hold` that no secret covers.
    fn settle(&mut self, found: &[Found<'_>], hold: usize, out: &mut Vec<u8>) {
        for found in found.iter().filter(|found| found.start < hold) {
            // One that begins within another one is part of what that one's name stands for.
            if found.start >= self.covered {
                self.hand_on(found.start, out);
                out.extend_from_slice(format!("[secret {}]", found.key).as_bytes());
            }
            self.covered = self.covered.max(found.end);
        }
        self.hand_on(hold, out);
    }

    fn hand_on(&mut self, upto: usize, out: &mut Vec<u8>) {
        let from = self.done.max(self.covered);
        if from < upto {
            out.extend_from_slice(&self.pending[from..upto]);
        }
        self.done = self.done.max(upto);
    }
}

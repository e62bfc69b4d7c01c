//! Where lines stand in the file, kept by the writer: late joiners are served from anywhere without reading all.

use super::read::{ReadError, Reader};
use super::record::Head;
use bytes::Bytes;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One entry per so many lines: 40 KiB of index for a million lines, and at most so many to skip.
const EVERY: u64 = 256;

/// Offsets of lines, and how far the file is durable. Shared: one writes, many read, nobody past what is synced.
#[derive(Debug)]
pub struct Index {
    file: File,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Every [`EVERY`]th line: its head, and where it ends.
    entries: Vec<(Head, u64)>,
    /// The last synced line, and where it ends.
    end: (Head, u64),
}

impl Index {
    pub(super) fn new(file: File) -> Self {
        let start = (Head::START, 0);
        Self { file, inner: Mutex::new(Inner { entries: vec![start], end: start }) }
    }

    /// Whoever panicked while holding the lock left whole values behind: every change is one push or one assignment.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These lines are durable, and end there: readers may have them.
    pub(super) fn publish(&self, lines: impl IntoIterator<Item = (Head, u64)>) {
        let mut inner = self.inner();
        for (head, ends) in lines {
            if head.seq % EVERY == 0 {
                inner.entries.push((head, ends));
            }
            inner.end = (head, ends);
        }
    }

    /// The last line that is durable.
    pub fn head(&self) -> Head {
        self.inner().end.0
    }

    /// The durable lines after number `seq`, each with its LF: at least one if there is any, further ones while all
    /// together stay within `limit_bytes`.
    pub fn lines_after(&self, seq: u64, limit_bytes: usize) -> Result<Vec<(Head, Bytes)>, ReadError> {
        let ((head, offset), last) = {
            let inner = self.inner();
            let entry = usize::try_from(seq / EVERY).unwrap_or(usize::MAX).min(inner.entries.len() - 1);
            (inner.entries[entry], inner.end.0)
        };
        let mut reader = Reader::after(&self.file, head, offset);
        let (mut lines, mut total) = (vec![], 0);
        while reader.head().seq < last.seq {
            let Some(next) = reader.next_unread() else { break };
            let (bytes, head) = next?;
            if head.seq <= seq {
                continue;
            }
            total += bytes.len();
            if total > limit_bytes && !lines.is_empty() {
                break;
            }
            lines.push((head, bytes));
        }
        Ok(lines)
    }
}

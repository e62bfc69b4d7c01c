//! Deletes what the commands of a closed session printed. The lines stay as they are, and their chain stays whole. Start at
//! [`Closed::open`].

use super::file::{FileError, lock};
use super::output;
use super::read::{Locked, ReadError, Reader};
use crate::clock::At;
use crate::event::Event;
use nix::fcntl::Flock;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Why the output of a session is not deleted.
#[derive(Debug, thiserror::Error)]
pub enum ExpireError {
    /// A hub has it, or it cannot be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no whole transcript, so nobody can tell whether it is closed.
    #[error("{} cannot be judged: {source}", path.display())]
    Damaged {
        /// The transcript.
        path: PathBuf,
        /// What is wrong with it.
        source: ReadError,
    },
    /// It can be taken up again, and then its output is needed.
    #[error("{}: its session is not closed; `crosscheck serve` with its plan takes it up again", path.display())]
    NotClosed {
        /// The transcript.
        path: PathBuf,
    },
}

/// A closed session. While this value lives, no hub takes it up.
#[derive(Debug)]
pub struct Closed {
    /// Its transcript.
    pub path: PathBuf,
    /// Its id.
    pub session: String,
    /// When it was closed.
    pub at: At,
    _lock: Flock<File>,
}

impl Closed {
    /// Reads the whole transcript, under its lock.
    pub fn open(path: &Path) -> Result<Closed, ExpireError> {
        let failed = |source| FileError::Io { doing: "open", path: path.to_owned(), source };
        let file = lock(File::open(path).map_err(failed)?, path)?;
        let (mut session, mut closed) = (None, None);
        for next in Reader::new(Locked(&file)) {
            match next {
                Ok((line, ..)) => match line.event {
                    Event::SessionOpened { session: id, .. } if line.seq == 1 => session = Some(id),
                    Event::SessionClosed { .. } => closed = Some(line.at),
                    _ => {}
                },
                Err(source) => return Err(ExpireError::Damaged { path: path.to_owned(), source }),
            }
        }
        match (session, closed) {
            (Some(session), Some(at)) => Ok(Closed { path: path.to_owned(), session, at, _lock: file }),
            _ => Err(ExpireError::NotClosed { path: path.to_owned() }),
        }
    }

    /// Deletes its output and both salts, and leaves a marker that says when. With `dry_run` nothing is touched. Returns the
    /// files and their sizes; none where that was done before, or nothing was printed.
    pub fn expire(&self, now: At, dry_run: bool) -> Result<Vec<(PathBuf, u64)>, ExpireError> {
        let failed = |(path, source)| FileError::Io { doing: "delete the output in", path, source }.into();
        output::expire(&self.path, now, dry_run).map_err(failed)
    }
}

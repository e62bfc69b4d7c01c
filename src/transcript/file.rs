//! Writes a transcript durably, and takes one up again after a crash.
//!
//! One exclusive writer per transcript, kept apart by a lock on the file itself. [`Transcript::append`] is the only way
//! in: output first, synced; then all lines with one write and one sync. After a failure nothing more is ever written
//! here (a failed sync may have thrown dirty pages away, and the next one would say that all is well), so the caller loses
//! its right to run commands.
//!
//! The file grows in steps filled with line feeds and synced before use: a sync then changes no size, which is 1.4 times
//! as fast (measured: 7.8k against 5.5k single appends a second). A step takes some milliseconds, so the next one is made
//! ready by a thread of its own while the last one is used up. Readers skip empty lines; closing cuts them off.

pub use super::found::{Found, unfinished};
pub use super::output::OutputPiece;

use super::index::Index;
use super::output::{Outputs, sync_folder};
use super::read::{Locked, ReadError, Reader};
use super::record::{Encoded, FORMAT, Head, LINE_BYTES_MAX};
use crate::hash::Hash;
use crate::session::{OpenError, Session};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// How much is made ready ahead: some thousand lines.
const GROW: u64 = 1024 * 1024;
/// What is tried where the disk has no room for that.
const GROW_LITTLE: u64 = 16 * 1024;

/// Why a transcript cannot be written or taken up.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another hub writes it.
    #[error("another hub{} has this session: {}\nhint: join it with one of its links (host finds it by itself), or end it first", holder.map(|pid| format!(" (process {pid})")).unwrap_or_default(), path.display())]
    Locked {
        /// The transcript.
        path: PathBuf,
        /// The process, where the system tells.
        holder: Option<u32>,
    },
    /// The name cannot be a file's.
    #[error("{0:?} cannot be the name of a transcript")]
    Name(String),
    /// Something could not be done to a file.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What, as a verb.
        doing: &'static str,
        /// To which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No space left.
    #[error(
        "no space left for line {seq} in {}: nothing more is written or run. Free space there and start the hub again; it goes on after line {last}",
        path.display(), last = seq.saturating_sub(1)
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// The line that did not fit, or that the output belongs to.
        seq: u64,
        /// What the system said.
        source: io::Error,
    },
    /// An append failed before, so nothing more is written.
    #[error("nothing more is written to {}, because of an earlier failure: {why}", path.display())]
    Poisoned {
        /// The transcript.
        path: PathBuf,
        /// The earlier failure.
        why: String,
    },
    /// What was to be appended is not the next line: a bug, caught before it reached the disk.
    #[error("refused to append to {}: line {seq} does not follow the last one", path.display())]
    NotNext {
        /// The transcript.
        path: PathBuf,
        /// The next number.
        seq: u64,
    },
    /// No session was ever opened in it.
    #[error("{} holds no line: its hub stopped before the session was open", path.display())]
    Empty {
        /// The transcript.
        path: PathBuf,
    },
    /// It is damaged, or newer than this program.
    #[error("{} cannot be continued: {source}\nhint: keep the file, it is evidence; `crosscheck serve --new` starts another session", path.display())]
    Refused {
        /// The transcript.
        path: PathBuf,
        /// What is wrong, and at which line.
        source: ReadError,
    },
    /// Its first line opens no session.
    #[error("{} cannot be continued: {source}", path.display())]
    Open {
        /// The transcript.
        path: PathBuf,
        /// What is wrong.
        source: OpenError,
    },
}

/// The one writer of a transcript.
#[derive(Debug)]
pub struct Transcript {
    file: Flock<File>,
    path: PathBuf,
    outputs: Outputs,
    index: Arc<Index>,
    head: Head,
    /// Where the next line goes.
    end: u64,
    /// How far the file is filled and synced.
    allocated: u64,
    /// Who fills it further, in the meantime; says how far.
    ahead: Option<JoinHandle<io::Result<u64>>>,
    poisoned: Option<String>,
    fault: Fault,
}

/// A line's number and hash, and where it ends in the file.
type Placed = (Head, u64);

/// A session taken up again.
#[derive(Debug)]
pub struct Resumed {
    /// Ready for more.
    pub transcript: Transcript,
    /// The session as the lines leave it.
    pub session: Session,
    /// The last line.
    pub head: Head,
    /// Bytes of an unfinished write that were set aside.
    pub torn_bytes: u64,
    /// Whole lines.
    pub lines: u64,
}

impl Transcript {
    /// Starts `<folder>/<name>.jsonl`, with the folder for output beside it; both names are durable when this returns.
    pub fn create(folder: &Path, name: &str) -> Result<Transcript, FileError> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(FileError::Name(name.to_owned()));
        }
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| FileError::Io { doing, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make the folder", folder))?;
        // Not `with_extension`: a name may hold dots.
        let path = folder.join(format!("{name}.jsonl"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = lock(file.map_err(failed("create", &path))?, &path)?;
        let outputs = Outputs::create(&path).map_err(failed("make the folder for the output of", &path))?;
        let index = Index::new(File::open(&path).map_err(failed("open", &path))?);
        let mut transcript = Transcript {
            file,
            path,
            outputs,
            index: Arc::new(index),
            head: Head::START,
            end: 0,
            allocated: 0,
            ahead: None,
            poisoned: None,
            fault: Fault::from_environment(),
        };
        transcript.grow(0)?;
        sync_folder(folder).map_err(failed("sync the folder", folder))?;
        Ok(transcript)
    }

    /// Takes a session up again where its lines end. A torn tail is set aside in `<name>.torn-<n>`, never deleted; damage
    /// and kinds from the future are refused.
    pub fn resume(path: &Path) -> Result<Resumed, FileError> {
        let failed = |doing| move |source| FileError::Io { doing, path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed("open"))?;
        let file = lock(file, path)?;
        let index = Index::new(File::open(path).map_err(failed("open"))?);
        let mut reader = Reader::new(Locked(&file));
        let mut session: Option<Session> = None;
        let mut torn_bytes = 0;
        while let Some(next) = reader.next() {
            match next {
                Ok((line, _, head)) => {
                    match &mut session {
                        Some(session) => session.apply(&line, head.hash),
                        None => {
                            let opened = Session::open(&line, head.hash);
                            session = Some(opened.map_err(|source| FileError::Open { path: path.to_owned(), source })?);
                        }
                    }
                    index.publish([(head, reader.offset())]);
                }
                Err(ReadError::Torn { bytes, .. }) => {
                    torn_bytes = bytes;
                    break;
                }
                Err(source) => return Err(FileError::Refused { path: path.to_owned(), source }),
            }
        }
        let (head, end) = (reader.head(), reader.offset());
        let session = session.ok_or_else(|| FileError::Empty { path: path.to_owned() })?;
        if torn_bytes > 0 {
            set_aside(&file, path, end, torn_bytes)?;
        }
        let transcript = Transcript {
            allocated: file.metadata().map_err(failed("look at"))?.len(),
            ahead: None,
            file,
            path: path.to_owned(),
            outputs: Outputs::resume(path).map_err(failed("read the salt of"))?,
            index: Arc::new(index),
            head,
            end,
            poisoned: None,
            fault: Fault::from_environment(),
        };
        Ok(Resumed { transcript, session, head, torn_bytes, lines: head.seq })
    }

    /// Makes output and lines durable: when this returns, everyone may see them. The lines must follow the last one.
    /// After a failure every further append fails.
    pub fn append(&mut self, lines: &[Encoded], outputs: &[OutputPiece]) -> Result<(), FileError> {
        if let Some(why) = &self.poisoned {
            return Err(FileError::Poisoned { path: self.path.clone(), why: why.clone() });
        }
        let result = self.try_append(lines, outputs);
        if let Err(error) = &result {
            self.poisoned = Some(error.to_string());
        }
        result
    }

    fn try_append(&mut self, lines: &[Encoded], outputs: &[OutputPiece]) -> Result<(), FileError> {
        let (placed, bytes) = self.place(lines)?;
        let fault = self.fault.next();
        let seq = self.head.seq + 1;
        self.outputs
            .append(outputs)
            .map_err(|(path, source)| failure("write and sync the output in", &path, seq, source))?;
        if bytes.is_empty() {
            return Ok(());
        }
        self.grow(bytes.len() as u64)?;
        let written = match fault {
            Some(Errno::ENOSPC) => {
                let half = self.file.write_all_at(&bytes[..bytes.len() / 2], self.end);
                half.and(Err(Errno::ENOSPC.into()))
            }
            _ => self.file.write_all_at(&bytes, self.end),
        };
        written.map_err(|source| failure("append to", &self.path, seq, source))?;
        let synced = match fault {
            Some(errno) => Err(errno.into()),
            None => self.file.sync_data(),
        };
        synced.map_err(|source| failure("sync", &self.path, seq, source))?;
        if let Some((head, end)) = placed.last() {
            (self.head, self.end) = (*head, *end);
        }
        self.grow_ahead();
        self.index.publish(placed);
        Ok(())
    }

    /// Checks once more, just before writing, that each line follows the one before, and says where it will end.
    fn place(&self, lines: &[Encoded]) -> Result<(Vec<Placed>, Vec<u8>), FileError> {
        let (mut head, mut end) = (self.head, self.end);
        let mut placed = Vec::with_capacity(lines.len());
        let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.bytes().len()).sum());
        let mut begins = Vec::with_capacity(128);
        for encoded in lines {
            let (seq, line) = (head.seq + 1, encoded.bytes());
            begins.clear();
            let _ = write!(begins, "{{\"v\":{FORMAT},\"seq\":{seq},\"prev\":\"{}\",", head.hash); // a Vec takes everything
            let one_line = line.last() == Some(&b'\n') && !line[..line.len() - 1].contains(&b'\n');
            if encoded.head().seq != seq || !line.starts_with(&begins) || !one_line || line.len() > LINE_BYTES_MAX {
                return Err(FileError::NotNext { path: self.path.clone(), seq });
            }
            head = encoded.head();
            end += line.len() as u64;
            placed.push((head, end));
            bytes.extend_from_slice(line);
        }
        Ok((placed, bytes))
    }

    /// Makes room for so many bytes, and a step more: filled with line feeds, and synced before use.
    fn grow(&mut self, bytes: u64) -> Result<(), FileError> {
        let needed = self.end + bytes;
        if needed > self.allocated || self.allocated == 0 {
            self.wait_for_ahead();
        }
        if needed <= self.allocated && self.allocated > 0 {
            return Ok(());
        }
        let mut result = Ok(());
        for step in [GROW, GROW_LITTLE] {
            let target = needed.next_multiple_of(step).max(step);
            result = fill(&self.file, self.allocated, target);
            match &result {
                Ok(()) => {
                    self.allocated = target;
                    break;
                }
                Err(error) if is_full(error) => self
                    .file
                    .set_len(self.allocated)
                    .map_err(|source| failure("cut back", &self.path, self.head.seq + 1, source))?,
                Err(_) => break,
            }
        }
        result.map_err(|source| failure("make room in", &self.path, self.head.seq + 1, source))
    }

    /// Has the next step made ready while lines are still written to this one, once half of it is used.
    fn grow_ahead(&mut self) {
        let from = self.allocated;
        if self.ahead.as_ref().is_some_and(JoinHandle::is_finished) {
            self.wait_for_ahead();
        }
        if self.ahead.is_some() || from - self.end > GROW / 2 {
            return;
        }
        // Whatever goes wrong here is left for `grow` to meet again: there is room until then, and there are words for it.
        let Ok(file) = self.file.try_clone() else { return };
        let fill = move || fill(&file, from, from + GROW).map(|()| from + GROW);
        self.ahead = std::thread::Builder::new().name("transcript-room".into()).spawn(fill).ok();
    }

    fn wait_for_ahead(&mut self) {
        if let Some(Ok(Ok(target))) = self.ahead.take().map(JoinHandle::join) {
            self.allocated = target;
        }
    }

    /// The salted hash that `OutputWritten` holds of a piece of output.
    pub fn salted_hash(&self, bytes: &[u8]) -> Hash {
        super::output::salted_hash(&self.outputs.salt, bytes)
    }

    /// The last durable line.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Where lines stand, for whoever serves late joiners; holds what is durable and nothing else.
    pub fn index(&self) -> Arc<Index> {
        self.index.clone()
    }

    /// The transcript.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Free space where the transcript lies, as far as the system says.
    pub fn free_bytes(&self) -> Option<u64> {
        let disk = nix::sys::statvfs::fstatvfs(&*self.file).ok()?;
        #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // the types differ between systems
        Some(u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())))
    }

    /// Cuts the padding off and lets go of the file. A transcript that is dropped instead keeps its padding, which is
    /// harmless.
    pub fn close(mut self) -> Result<(), FileError> {
        self.wait_for_ahead();
        if let Some(why) = &self.poisoned {
            return Err(FileError::Poisoned { path: self.path.clone(), why: why.clone() });
        }
        let failed = |source| FileError::Io { doing: "cut the padding off", path: self.path.clone(), source };
        self.file.set_len(self.end).map_err(failed)?;
        self.file.sync_all().map_err(failed)
    }

    #[cfg(test)]
    pub(crate) fn fail_at(&mut self, append: u64, errno: Errno) {
        self.fault = Fault { at: Some((append, errno)), appends: 0 };
    }
}

/// Writes line feeds from here to there, durably.
fn fill(file: &File, from: u64, target: u64) -> io::Result<()> {
    // In pieces of one constant: fresh memory for a whole step took longer than the disk did.
    const PADDING: &[u8] = &[b'\n'; 64 * 1024];
    let mut at = from;
    while at < target {
        let piece = usize::try_from(target - at).map_or(PADDING, |left| &PADDING[..left.min(PADDING.len())]);
        file.write_all_at(piece, at)?;
        at += piece.len() as u64;
    }
    file.sync_all()
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG))
}

fn failure(doing: &'static str, path: &Path, seq: u64, source: io::Error) -> FileError {
    let path = path.to_owned();
    match is_full(&source) {
        true => FileError::Full { path, seq, source },
        false => FileError::Io { doing, path, source },
    }
}

pub(super) fn lock(file: File, path: &Path) -> Result<Flock<File>, FileError> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(file, errno)| match errno {
        Errno::EWOULDBLOCK => FileError::Locked { path: path.to_owned(), holder: holder(&file) },
        errno => FileError::Io { doing: "lock", path: path.to_owned(), source: errno.into() },
    })
}

/// Who holds the lock, as Linux lists it: `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`. Only for the message, so
/// anything unexpected is simply not told.
fn holder(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let mut held = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    held.find_map(|words| match words[..] {
        [_, "FLOCK", _, "WRITE", pid, place, ..] if place.rsplit(':').next() == Some(&inode) => pid.parse().ok(),
        _ => None,
    })
}

/// Moves a torn tail into a file of its own, durable before the transcript is cut.
fn set_aside(file: &File, path: &Path, from: u64, bytes: u64) -> Result<(), FileError> {
    let mut number = 1;
    let (copy, aside) = loop {
        let aside = path.with_extension(format!("torn-{number}"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside) {
            Ok(copy) => break (copy, aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(FileError::Io { doing: "set a torn line aside in", path: aside, source }),
        }
    };
    let moved = (|| {
        let mut tail = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        file.read_exact_at(&mut tail, from)?;
        copy.write_all_at(&tail, 0)?;
        copy.sync_all()?;
        sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        file.set_len(from)?;
        file.sync_all()
    })();
    moved.map_err(|source| FileError::Io { doing: "set a torn line aside in", path: aside, source })
}

impl Drop for Transcript {
    /// Nobody writes to the file, or holds its lock, once this is gone.
    fn drop(&mut self) {
        self.wait_for_ahead();
    }
}

/// A disk that fails when it is told to, so that tests can see what people see then.
/// `CROSSCHECK_FAULT=enospc:<n>` or `eio:<n>`: the n-th append fails. Not in release builds.
#[derive(Debug, Default)]
struct Fault {
    at: Option<(u64, Errno)>,
    appends: u64,
}
impl Fault {
    #[cfg(debug_assertions)]
    fn from_environment() -> Fault {
        let wish = std::env::var("CROSSCHECK_FAULT").unwrap_or_default();
        let at = wish.split_once(':').and_then(|(what, append)| {
            let errno = match what {
                "enospc" => Errno::ENOSPC,
                "eio" => Errno::EIO,
                _ => return None,
            };
            Some((append.parse().ok()?, errno))
        });
        Fault { at, appends: 0 }
    }
    #[cfg(not(debug_assertions))]
    fn from_environment() -> Fault {
        Fault::default()
    }
    fn next(&mut self) -> Option<Errno> {
        self.appends += 1;
        self.at.filter(|(append, _)| *append == self.appends).map(|(_, errno)| errno)
    }
}

//! What commands printed: append-only files in `<name>.out/` beside the transcript, whose lines hold only place, length
//! and salted hash of each piece. So the log stays small, and output that held personal data can be deleted while the
//! chain stays whole; the salt keeps short output from being guessed out of its hash afterwards.

use crate::clock::At;
use crate::event::Part;
use crate::hash::Hash;
use crate::name::StepId;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Output files kept open. One command runs at a time; what is closed here is opened again when it is needed.
const OPEN_MAX: usize = 8;
/// The salt's length in the file: 32 random bytes as hexadecimal digits.
const SALT_DIGITS: u64 = 64;
/// Both salts, and what a crash may leave of the making of one.
const SALTS: [&str; 3] = [SALT, SECRET_SALT, "secret-salt.new"];
const SALT: &str = "salt";
const SECRET_SALT: &str = "secret-salt";
/// Left where output was deleted on purpose.
const MARKER: &str = "expired";

/// One piece of what a command printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPiece {
    /// The step.
    pub step: StepId,
    /// Which try.
    pub attempt: u32,
    /// Which of its commands.
    pub part: Part,
    /// Where in that command's output it begins.
    pub offset: u64,
    /// The bytes, redacted already.
    pub bytes: Bytes,
}

/// The folder `<name>.out` of a transcript.
pub fn folder(transcript: &Path) -> PathBuf {
    transcript.with_extension("out")
}

/// The file with the output of one command of a transcript.
pub fn path(transcript: &Path, step: &StepId, attempt: u32, part: Part) -> PathBuf {
    folder(transcript).join(file_name(step, attempt, part))
}

/// The file in which a command of a transcript notes its process before it starts.
pub fn note(transcript: &Path, step: &StepId, attempt: u32, part: Part) -> PathBuf {
    let part = if part == Part::Step { String::new() } else { format!("-{}", part.word()) };
    folder(transcript).join(format!("{step}-{attempt}{part}.pid"))
}

/// `<step>-<attempt>-<part>`; a step's id holds nothing that means something in a path, and `salt` has no dash.
fn file_name(step: &StepId, attempt: u32, part: Part) -> String {
    format!("{step}-{attempt}-{}", part.word())
}

/// When the output of a transcript was deleted by `crosscheck expire`, as its marker says; nothing where it was not. Only a
/// word of whoever may write there: that output is gone can be seen, why it is gone can only be said.
pub fn expired(transcript: &Path) -> Option<At> {
    let text = std::fs::read_to_string(folder(transcript).join(MARKER)).ok()?;
    At::try_from(text.trim_end().to_owned()).ok()
}

/// Deletes what commands printed and both salts, so that no hash in the lines can be held against guesses any more. The marker
/// goes first and the salts second: whatever stops it half-way, the next call goes on, and nobody takes the rest for
/// damage. Returns what was (or, with `dry_run`, would be) deleted, with its size; files that no hub made are left.
pub(super) fn expire(transcript: &Path, now: At, dry_run: bool) -> Result<Vec<(PathBuf, u64)>, (PathBuf, io::Error)> {
    let folder = folder(transcript);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let mut files = vec![];
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err((folder, error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed(&folder))?;
        let data = entry.metadata().map_err(failed(&entry.path()))?;
        let name = entry.file_name();
        if !data.is_dir() && name.to_str().is_some_and(is_ours) {
            files.push((entry.path(), data.len()));
        }
    }
    let is_salt =
        |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| SALTS.contains(&name));
    files.sort_by_key(|(path, _)| (!is_salt(path), path.clone()));
    if dry_run || files.is_empty() {
        return Ok(files);
    }
    if expired(transcript).is_none() {
        let marker = folder.join(MARKER);
        write_private(&marker, format!("{now}\n").as_bytes()).map_err(failed(&marker))?;
    }
    for (path, _) in &files {
        std::fs::remove_file(path).map_err(failed(path))?;
    }
    sync_folder(&folder).map_err(failed(&folder))?;
    Ok(files)
}

/// A salt, an output file, or a note of a process.
fn is_ours(name: &str) -> bool {
    let of_run = |name: &str| name.rsplit_once('-').is_some_and(|(_, attempt)| attempt.parse::<u32>().is_ok());
    let run = name.strip_suffix(".pid").unwrap_or(name);
    let mut parts = Part::ALL.iter().map(|part| run.strip_suffix(part.word())?.strip_suffix('-'));
    SALTS.contains(&name) || parts.any(|run| run.is_some_and(of_run)) || (run != name && of_run(run))
}

/// Writes a small file whole or not at all, readable by its owner alone; durable on return.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// The salt of a transcript's output, as it stands in its file: `cat salt piece | sha256sum` is the hash in the line.
pub fn salt(transcript: &Path) -> io::Result<String> {
    read_salt(&folder(transcript).join(SALT))
}

/// The salt of what stands for secrets in a transcript, made where there is none yet. Not the one of output: a command that
/// prints guesses would find out from the hashes of its output which of them is right.
pub fn secret_salt(transcript: &Path) -> io::Result<String> {
    let path = folder(transcript).join(SECRET_SALT);
    match read_salt(&path) {
        // One that is cut short was never used: it is whole on the disk before anything is hashed with it.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            let salt = new_salt()?;
            write_private(&path, salt.as_bytes())?;
            Ok(salt)
        }
        salt => salt,
    }
}

fn new_salt() -> io::Result<String> {
    let mut random = [0; SALT_DIGITS as usize / 2];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random)
        .map_err(|_| io::Error::other("the system gave no random bytes for the salt"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn read_salt(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SALT_DIGITS).read_to_string(&mut text)?;
    match text.len() as u64 == SALT_DIGITS {
        true => Ok(text),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "the salt file is cut short")),
    }
}

/// The salted hash of a piece of output.
pub fn salted_hash(salt: &str, bytes: &[u8]) -> Hash {
    Hash::of_parts([salt.as_bytes(), bytes])
}

/// Writes the output files of one transcript.
#[derive(Debug)]
pub(super) struct Outputs {
    folder: PathBuf,
    pub(super) salt: String,
    open: BTreeMap<String, (File, u64)>,
}

impl Outputs {
    /// Makes the folder and a new salt, and syncs both.
    pub(super) fn create(transcript: &Path) -> io::Result<Self> {
        let folder = folder(transcript);
        DirBuilder::new().mode(0o700).create(&folder)?;
        let salt = new_salt()?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(SALT))?;
        file.write_all(salt.as_bytes())?;
        file.sync_all()?;
        sync_folder(&folder)?;
        Ok(Self { folder, salt, open: BTreeMap::new() })
    }

    /// Goes on with the folder of a transcript that is taken up again.
    pub(super) fn resume(transcript: &Path) -> io::Result<Self> {
        Ok(Self { folder: folder(transcript), salt: salt(transcript)?, open: BTreeMap::new() })
    }

    /// Writes all pieces, then syncs each file once. Returns the file that went wrong.
    pub(super) fn append(&mut self, pieces: &[OutputPiece]) -> Result<(), (PathBuf, io::Error)> {
        let mut touched = std::collections::BTreeSet::new();
        let mut is_new = false;
        for piece in pieces {
            let name = file_name(&piece.step, piece.attempt, piece.part);
            let failed = |error| (self.folder.join(&name), error);
            if !self.open.contains_key(&name) {
                if self.open.len() >= OPEN_MAX && touched.is_empty() {
                    self.open.clear();
                }
                let path = self.folder.join(&name);
                let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
                // What lies behind the first piece that this hub writes is of a hub that died before a line told of it.
                let cut = |file: std::fs::File| {
                    let length = file.metadata()?.len();
                    if length > piece.offset {
                        file.set_len(piece.offset)?;
                    }
                    Ok((file, length.min(piece.offset)))
                };
                let opened = file.and_then(cut).map_err(failed)?;
                is_new |= opened.1 == 0;
                self.open.insert(name.clone(), opened);
            }
            let Some((file, length)) = self.open.get_mut(&name) else { continue }; // it was inserted just above
            if *length != piece.offset {
                let why = format!("a piece for offset {} came where {length} is the end", piece.offset);
                return Err((self.folder.join(&name), io::Error::other(why)));
            }
            file.write_all_at(&piece.bytes, piece.offset).map_err(|error| (self.folder.join(&name), error))?;
            *length += piece.bytes.len() as u64;
            touched.insert(name);
        }
        for name in touched {
            if let Some((file, _)) = self.open.get(&name) {
                file.sync_data().map_err(|error| (self.folder.join(&name), error))?;
            }
        }
        if is_new {
            sync_folder(&self.folder).map_err(|error| (self.folder.clone(), error))?;
        }
        Ok(())
    }
}

/// Makes names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

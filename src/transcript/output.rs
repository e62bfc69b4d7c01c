//! What commands printed: append-only files in `<name>.out/` beside the transcript, whose lines hold only place, length
//! and salted hash of each piece. So the log stays small, and output that held personal data can be deleted while the
//! chain stays whole; the salt keeps short output from being guessed out of its hash afterwards.

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
pub fn note(transcript: &Path, step: &StepId, attempt: u32) -> PathBuf {
    folder(transcript).join(format!("{step}-{attempt}.pid"))
}

/// `<step>-<attempt>-<part>`; a step's id holds nothing that means something in a path, and `salt` has no dash.
fn file_name(step: &StepId, attempt: u32, part: Part) -> String {
    format!("{step}-{attempt}-{}", part.word())
}

/// The salt of a transcript's output, as it stands in its file: `cat salt piece | sha256sum` is the hash in the line.
pub fn salt(transcript: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(folder(transcript).join("salt"))?.take(SALT_DIGITS).read_to_string(&mut text)?;
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
        let mut random = [0; SALT_DIGITS as usize / 2];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random)
            .map_err(|_| io::Error::other("the system gave no random bytes for the salt"))?;
        let salt: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join("salt"))?;
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
                let opened = file.and_then(|file| file.metadata().map(|data| (file, data.len()))).map_err(failed)?;
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

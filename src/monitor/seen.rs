//! A file as one look saw it: what tells it apart from one that takes its place.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file as one look saw it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    pub(super) inode: u64,
}

/// What stands there: nothing where it is gone or is no regular file.
pub(super) fn look(path: &Path) -> std::io::Result<Option<Seen>> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Some(Seen {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.to_owned(),
            size: meta.len(),
            modified: meta.modified()?,
            inode: meta.ino(),
        })),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

//! What starting a command needs and may fail with, below everything that starts one.

use crate::name::escaped;
use std::io;
use std::path::PathBuf;

/// Size of a terminal in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}
impl Size {
    /// The nearest size that is used: at least 2 by 2, because the emulator cannot wrap a wide character in one column,
    /// and at most 512 by 256, which bounds what a screen can cost in memory.
    pub fn clamped(self) -> Self {
        Self { cols: self.cols.clamp(2, 512), rows: self.rows.clamp(2, 256) }
    }
}

/// Why a command could not be started: what, where, and what to do. No process exists then.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the message names every field
pub enum StartError {
    /// The frozen step asks for something this version does not have.
    #[error("io = {0:?} is neither \"pty\" nor \"pipe\"; arm the step again with this version")]
    Io(String),
    /// It names secrets, and their values are not there (or there are some that it does not name).
    #[error("the values of its secrets are not at hand; nothing was started, arm the step again")]
    Secrets,
    /// Something that was frozen is not what it was.
    #[error("{what}; nothing was started, arm the step again")]
    Changed { what: String },
    /// The working folder is gone.
    #[error("working folder {} is not there any more; create it and arm the step again", escaped(path))]
    Cwd { path: String },
    /// No terminal or pipe could be opened, or no thread started.
    #[error("could not open a {what}: {source}; nothing was started, free resources on the hub's machine")]
    Resource { what: &'static str, source: io::Error },
    /// The kernel refused to execute it.
    #[error("could not execute {}: {source}{}", escaped(&path.to_string_lossy()), hint(source))]
    Exec { path: PathBuf, source: io::Error },
    /// It was started, could not be watched, and was killed.
    #[error("started, and killed at once because it could not be watched ({source}); its outcome is unknown")]
    Unwatched { source: io::Error },
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(nix::errno::Errno::ENOEXEC) => "; it is no binary for this machine, and no script with a #! line",
        Some(nix::errno::Errno::EACCES) => "; it may not be executed (chmod +x, or a file system mounted noexec)",
        Some(nix::errno::Errno::ENOENT) => "; it is gone, or the interpreter it names is",
        Some(nix::errno::Errno::E2BIG) => "; its arguments and environment are too long, put them into a file",
        _ => "",
    }
}

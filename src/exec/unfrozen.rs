//! Why a step could not be frozen.

use crate::name::escaped;
use crate::plan::RenderError;
use std::path::{Path, PathBuf};

/// Linux follows an interpreter that is itself a script this often, and no further.
pub(super) const INTERPRETERS_MAX: usize = 5;

/// A terminal line is no longer than this: the kernel drops the rest without a word (N_TTY_BUF_SIZE).
pub(super) const TERMINAL_LINE_MAX: usize = 4095;

/// Why a step could not be frozen: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the message names every field
pub enum FreezeError {
    /// What would undo the step cannot be run.
    #[error("its rollback: {source}")]
    Rollback { source: Box<FreezeError> },
    /// A template could not be filled.
    #[error("{what}: {source}")]
    Render { what: String, source: RenderError },
    /// The working folder is not one.
    #[error("working folder {}: {why}; create it, or set the step's cwd", shown(path))]
    Cwd { path: PathBuf, why: String },
    /// No shell that fails where a part of a pipeline does.
    #[error(
        "its text has a pipeline, of which only the last part could fail it: neither sh nor bash on its PATH ({path}) knows \
         `set -o pipefail`; install bash, or set pipefail = false if the last part alone counts"
    )]
    NoPipefail { path: String },
    /// A value that a shell would read as a program.
    #[error("{0}")]
    InShell(String),
    /// There is nothing to run.
    #[error("the step has no command: its first argument is empty; give it a program")]
    NoCommand,
    /// No file of that name on the step's PATH.
    #[error("program {word:?} is in no folder of the step's PATH ({path}); install it, or name it by its path")]
    NotOnPath { word: String, path: String },
    /// A path that leads nowhere.
    #[error("program {} does not exist; paths are relative to the working folder {}", shown(path), shown(cwd))]
    NoSuchFile { path: PathBuf, cwd: PathBuf },
    /// A file that may not be executed.
    #[error("program {} cannot be executed: {why}; try chmod +x, or name its interpreter first", shown(path))]
    NotExecutable { path: PathBuf, why: String },
    /// A file that the kernel would not start.
    #[error(
        "program {} is neither a binary nor a script with a #! line; add one, or name its interpreter first",
        shown(path)
    )]
    NotAProgram { path: PathBuf },
    /// What an interpreter is to run is not there.
    #[error(
        "script {} does not exist; paths are relative to the working folder {}. One that a step makes is run by a text for the shell, \
         such as \"sh {word}\": it is then said that nobody saw it",
        shown(path),
        shown(cwd)
    )]
    NoScript { word: String, path: PathBuf, cwd: PathBuf },
    /// A script's interpreter is missing.
    #[error("interpreter of {}: {source}", shown(script))]
    Interpreter { script: PathBuf, source: Box<FreezeError> },
    /// Scripts interpreted by scripts interpreted by scripts.
    #[error(
        "{} is interpreted by a script, and that by another, {INTERPRETERS_MAX} deep; name the program itself",
        shown(path)
    )]
    TooManyInterpreters { path: PathBuf },
    /// A file could not be read.
    #[error("{what} {}: {source}; it must be readable where the hub runs", shown(path))]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    /// A character that a person would not see, or would take for a blank.
    #[error(
        "{what} holds {character}, {sight}, at character {at}: {text}; remove it, or keep it in a file that the step names"
    )]
    Hidden { what: String, character: String, sight: &'static str, at: usize, text: String },
    /// What is to run from a sealed copy cannot.
    #[error("sealed = true: {} {why}", shown(path))]
    Unsealable { path: PathBuf, why: String },
    /// A parameter that nobody could read back.
    #[error("readback: {0}")]
    ReadBack(String),
    /// A name that cannot be in an environment.
    #[error("environment variable {name:?}: a name may not be empty or hold '='; rename it")]
    EnvName { name: String },
    /// Something is wrong with the preview.
    #[error("preview: {source}")]
    Preview { source: Box<FreezeError> },
    /// A file of which no batch can be made.
    #[error("{} has {lines} lines, and `each` works through at least one", shown(path))]
    Lines { path: PathBuf, lines: usize },
    /// Lines without anything in them, of which the plan does not say what they mean.
    #[error(
        "{} has empty lines: {lines}. A command may take one for everything; take them out, or say that they are lines like the others: \
         each = {{ …, empty = \"line\" }}",
        shown(path)
    )]
    EmptyLines { path: PathBuf, lines: String },
    /// Input that a terminal would cut.
    #[error("line {line} of stdin has {length} bytes, a terminal takes {TERMINAL_LINE_MAX}; set io = \"pipe\"")]
    LongLine { line: usize, length: usize },
}

fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

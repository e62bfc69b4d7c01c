//! The `allowed_signers` file of a plan, read when a hub starts: once, whole, and only where the crew can fly with it.

use crate::hash::Hash;
use crate::name::shown;
use crate::plan::Plan;
use crate::trust::allowed::{Allowed, AllowedError, CrewProblem, TEXT_BYTES_MAX};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Why a plan's `allowed_signers` cannot be flown with.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PolicyError {
    #[error("allowed_signers {path} cannot be read: {source}\nhint: the plan names it in [crew]; a relative path starts at the plan's folder", path = shown(&path.display().to_string()))]
    File { path: PathBuf, source: io::Error },
    #[error("allowed_signers {path} is not UTF-8 text (byte {at})", path = shown(&path.display().to_string()))]
    NotText { path: PathBuf, at: usize },
    #[error("allowed_signers {path}, {error}", path = shown(&path.display().to_string()))]
    Line { path: PathBuf, error: AllowedError },
    #[error("allowed_signers {path} does not fit the plan's crew:\n{}", told(problems), path = shown(&path.display().to_string()))]
    Crew { path: PathBuf, problems: Vec<CrewProblem> },
    #[error(
        "allowed_signers {path} changed since the unfinished session {transcript} was opened with it (SHA-256 {was}, now {now})\nhint: put the file back as it was (its text stands in the first line of the transcript), or start another session with --new",
        path = shown(&path.display().to_string()),
        transcript = transcript.display()
    )]
    Changed { path: PathBuf, transcript: PathBuf, was: Hash, now: String },
}

fn told(problems: &[CrewProblem]) -> String {
    problems.iter().map(CrewProblem::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads and checks the file; none where the plan names none. `folder`: the plan's.
pub fn read(plan: &Plan, folder: &Path) -> Result<Option<Allowed>, PolicyError> {
    let Some(path) = path(plan, folder) else { return Ok(None) };
    let text = text(&path)?;
    let allowed = Allowed::parse(&text).map_err(|error| PolicyError::Line { path: path.clone(), error })?;
    let problems = allowed.crew_problems(&plan.crew());
    if problems.is_empty() { Ok(Some(allowed)) } else { Err(PolicyError::Crew { path, problems }) }
}

/// Whether the file still is what an unfinished session was opened with. The session goes on with the text in its
/// transcript; who changed the file since expects it to count.
pub fn unchanged(plan: &Plan, folder: &Path, with: Option<&Allowed>, transcript: &Path) -> Result<(), PolicyError> {
    let (Some(path), Some(with)) = (path(plan, folder), with) else { return Ok(()) };
    let now = match text(&path) {
        Ok(text) if text == with.text() => return Ok(()),
        Ok(text) => Hash::of(text.as_bytes()).to_string(),
        Err(PolicyError::File { source, .. }) => format!("not readable: {source}"),
        Err(_) => "not text".to_owned(),
    };
    Err(PolicyError::Changed { path, transcript: transcript.to_owned(), was: with.digest(), now })
}

fn path(plan: &Plan, folder: &Path) -> Option<PathBuf> {
    plan.crew.allowed_signers.as_ref().map(|name| folder.join(name))
}

/// Never more than the limit and a byte; `Allowed::parse` says what is too long.
fn text(path: &Path) -> Result<String, PolicyError> {
    let failed = |source| PolicyError::File { path: path.to_owned(), source };
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is no regular file"))); // a pipe would never end
    }
    let mut bytes = vec![];
    let file = File::open(path).map_err(failed)?;
    file.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    String::from_utf8(bytes)
        .map_err(|error| PolicyError::NotText { path: path.to_owned(), at: error.utf8_error().valid_up_to() })
}

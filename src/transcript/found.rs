//! Looks through a folder for sessions that are not closed, reading only the first line and the tail of each.

use super::file::FileError;
use super::read::{ReadError, Reader};
use super::record::{LINE_BYTES_MAX, Line};
use crate::clock::At;
use crate::event::Event;
use crate::hash::Hash;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// How much of the end is read. Little follows `SessionClosed` (people leave), so it lies in there if it is there.
const TAIL: u64 = 64 * 1024;

/// Where the transcripts of rehearsals lie, in a folder of transcripts: beside no live ones.
pub fn rehearsals(folder: &Path) -> PathBuf {
    folder.join("rehearsals")
}

/// A session without `SessionClosed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its transcript.
    pub path: PathBuf,
    /// Its id.
    pub session: String,
    /// The plan's name.
    pub plan_name: String,
    /// Where it happens.
    pub environment: String,
    /// The plan's digest.
    pub plan_digest: Hash,
    /// The plan's folder.
    pub folder: String,
    /// On which data it is only a rehearsal.
    pub rehearsal: Option<String>,
    /// When it was opened.
    pub opened: At,
    /// Whether it flies exactly the plan that was asked for. If not, but name and environment are the same, the plan was
    /// edited meanwhile.
    pub same_digest: bool,
}

/// Every session in that folder that is not closed, oldest name first. A folder that does not exist holds none; a file
/// whose first line opens no session is none.
pub fn unfinished(folder: &Path, plan_digest: Hash) -> Result<Vec<Found>, FileError> {
    let failed = |source| FileError::Io { doing: "look through", path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(failed(error)),
    };
    let mut found = vec![];
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            let look = look(&path, plan_digest);
            found.extend(look.map_err(|source| FileError::Io { doing: "look at", path: path.clone(), source })?);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// A transcript whose name says that it is that plan's (by its slug), whose first line is damaged: nobody can tell whether
/// it is closed, so it must not be passed over in silence. One without a whole line is none; nobody saw anything of it.
pub fn unreadable(folder: &Path, plan: &str) -> Option<FileError> {
    let of_plan = |path: &PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        path.extension().is_some_and(|ending| ending == "jsonl")
            && name.rsplit_once('-').is_some_and(|(start, _)| start.ends_with(&format!("-{plan}")))
    };
    let mut paths: Vec<_> = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().filter(of_plan).find_map(|path| match Reader::open(&path).ok()?.next()? {
        Err(source @ ReadError::Link(_)) => Some(FileError::Refused { path, source }),
        _ => None,
    })
}

fn look(path: &Path, wanted: Hash) -> io::Result<Option<Found>> {
    let file = File::open(path)?;
    let mut first = vec![];
    BufReader::new((&file).take(LINE_BYTES_MAX as u64)).read_until(b'\n', &mut first)?;
    let Ok(Line {
        at,
        event: Event::SessionOpened { session, plan_name, environment, plan_digest, folder, rehearsal, .. },
        ..
    }) = serde_json::from_slice::<Line>(&first)
    else {
        return Ok(None);
    };
    if is_closed(&file)? {
        return Ok(None);
    }
    Ok(Some(Found {
        path: path.to_owned(),
        session,
        plan_name,
        environment,
        plan_digest,
        folder,
        rehearsal,
        opened: at,
        same_digest: plan_digest == wanted,
    }))
}

/// Whether `SessionClosed` stands in the tail, padding left out.
fn is_closed(file: &File) -> io::Result<bool> {
    let mut end = file.metadata()?.len();
    let mut tail = vec![];
    while end > 0 {
        let begins = end.saturating_sub(TAIL);
        tail.resize(usize::try_from(end - begins).unwrap_or(0), 0); // at most TAIL
        file.read_exact_at(&mut tail, begins)?;
        if let Some(last) = tail.iter().rposition(|byte| *byte != b'\n') {
            // Once more from there, so that the window is full of lines and not of padding.
            let content = begins + last as u64 + 1;
            let begins = content.saturating_sub(TAIL);
            tail.resize(usize::try_from(content - begins).unwrap_or(0), 0);
            file.read_exact_at(&mut tail, begins)?;
            break;
        }
        end = begins;
    }
    Ok(tail.split(|byte| *byte == b'\n').any(|line| {
        serde_json::from_slice::<Line>(line).is_ok_and(|line| matches!(line.event, Event::SessionClosed { .. }))
    }))
}

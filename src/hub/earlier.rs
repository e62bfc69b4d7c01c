//! Finds the latest session of a plan before a new one opens, and reads what it left open.

use super::slug;
use crate::clock::At;
use crate::event::{Earlier, Event};
use crate::plan::Plan;
use crate::session::Leftover;
use crate::transcript::read::Reader;
use std::path::{Path, PathBuf};

/// A longer transcript is not gone through before a session opens; it is told that it was not.
const BYTES_MAX: u64 = 256 << 20;
/// First lines looked at, the newest first.
const LOOKED_MAX: usize = 500;

/// What the newest transcript of that plan, by its name, for that environment tells; nothing where there is none. One that
/// cannot be read is told as such, and never as one that left nothing open.
pub(super) fn find(transcripts: &Path, plan: &Plan) -> Option<Earlier> {
    let of_plan = format!("-{}-", slug(&plan.name));
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".jsonl") && name.contains(&of_plan)
    };
    let entries = std::fs::read_dir(transcripts).ok()?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(named).collect();
    paths.sort_by(|a, b| b.cmp(a)); // names begin with the time of opening
    let mut flown = paths.iter().take(LOOKED_MAX).filter_map(|path| Some((opened(path, plan)?, path))).peekable();
    let mut latest = flown.next()?;
    // Names know the second only, and first lines more.
    while let Some(other) = flown.next_if(|(_, path)| second(path) == second(latest.1)) {
        latest = if other.0 > latest.0 { other } else { latest };
    }
    read(latest.1)
}

/// The time that the name begins with.
fn second(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.split('-').next()
}

/// When that transcript was opened, where it is one of that plan for that environment.
fn opened(path: &Path, plan: &Plan) -> Option<At> {
    let (first, ..) = Reader::open(path).ok()?.next()?.ok()?;
    let same = matches!(&first.event, Event::SessionOpened { plan_name, environment, .. }
        if *plan_name == plan.name && *environment == plan.environment);
    same.then_some(first.at)
}

fn read(path: &Path) -> Option<Earlier> {
    let mut reader = Reader::open(path).ok()?;
    let (first, _, head) = reader.next()?.ok()?;
    let mut leftover = Leftover::open(&first, head.hash)?;
    if std::fs::metadata(path).map_or(0, |data| data.len()) > BYTES_MAX {
        return Some(leftover.ends(Some(format!("it is larger than {} MiB", BYTES_MAX >> 20))));
    }
    for next in reader {
        match next {
            Ok((line, _, head)) => leftover.take(&line, head.hash),
            Err(error) => return Some(leftover.ends(Some(error.to_string()))),
        }
    }
    Some(leftover.ends(None))
}

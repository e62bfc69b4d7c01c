//! `expire`: deletes what the commands of closed sessions printed. The lines of a transcript are never touched.

use super::args::{Cli, Expire};
use super::{No, state_folder};
use crate::clock::{self, At};
use crate::name::REHEARSAL;
use crate::transcript::expire::{Closed, ExpireError};
use crate::transcript::file::FileError;
use crate::transcript::found::rehearsals;
use anyhow::Context as _;
use clap::CommandFactory as _;
use std::path::{Path, PathBuf};

/// The fewest letters of a session's id that name it: what screens show.
const ID_MIN: usize = 8;

/// Deletes, and prints every file that it deleted.
pub fn run(args: &Expire) -> anyhow::Result<()> {
    let path = args.path.clone().map_or_else(state_folder, Ok)?;
    let is_file = std::fs::metadata(&path).with_context(|| format!("{} cannot be opened", path.display()))?.is_file();
    let usage = match (&args.session, args.older_than) {
        (None, None) if !is_file => Some("of which sessions? give --older-than TIME, --session ID, or one transcript"),
        (Some(id), _) if id.len() < ID_MIN => Some("--session takes at least eight letters of the id"),
        _ => None,
    };
    if let Some(usage) = usage {
        Cli::command().error(clap::error::ErrorKind::MissingRequiredArgument, usage).exit();
    }
    let now = clock::wall();
    let paths = if is_file { vec![path.clone()] } else { transcripts(&path)? };
    let (mut found, mut kept) = (0, 0);
    for path in paths {
        let closed = match Closed::open(&path) {
            Ok(closed) => closed,
            // Of a whole folder, only what is asked about is told; a session that goes on is none of these.
            Err(error) if args.session.is_none() || is_file || names(&path, args.session.as_deref()) => {
                let goes_on =
                    matches!(error, ExpireError::NotClosed { .. } | ExpireError::File(FileError::Locked { .. }));
                kept += usize::from(is_file || args.session.is_some() || !goes_on);
                found += 1;
                eprintln!("kept: {:#}", anyhow::Error::from(error));
                continue;
            }
            Err(_) => continue,
        };
        let wanted = args.session.as_ref().is_none_or(|id| is_named(&closed.session, id));
        let old = args.older_than.is_none_or(|age| now.since(closed.at) > age);
        if wanted {
            found += 1;
        }
        if wanted && old {
            kept += usize::from(!expire(&closed, now, args.dry_run)?);
        }
    }
    match (found, kept) {
        (0, _) if args.session.is_some() => Err(No(format!("no such session in {}", path.display())).into()),
        (_, 0) => Ok(()),
        (_, kept) => Err(No(format!("{kept} sessions were kept")).into()),
    }
}

/// Expires one session; whether nothing of its output is left that this program knows of.
fn expire(closed: &Closed, now: At, dry_run: bool) -> anyhow::Result<bool> {
    // A report quotes the last lines of output. It is made again, but for one that somebody has written into.
    let report = closed.path.with_extension("md");
    let text = std::fs::read_to_string(&report).ok();
    let made = crate::report::Report::of_file(&closed.path).map(|report| crate::report::markdown::markdown(&report));
    let edited = text.as_ref().is_some_and(|text| made.as_ref().map_or(true, |made| made != text));
    let remake = text.is_some() && !edited && !closed.expire(now, true)?.is_empty();
    if remake && !dry_run {
        // Before the output: whatever stops this half-way, no quotation stays behind unnoticed.
        std::fs::remove_file(&report).with_context(|| format!("{} cannot be deleted", report.display()))?;
    }
    let files = closed.expire(now, dry_run);
    if remake && !dry_run {
        crate::report::write_beside(&closed.path)?;
    }
    let files = files?;
    let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    let (did, does) = if dry_run { ("would expire", "would delete") } else { ("expired", "deleted") };
    if !files.is_empty() {
        println!(
            "{did} the output of session {} in {} (closed {}): {} files, {bytes} bytes",
            crate::name::short_id(&closed.session),
            closed.path.display(),
            closed.at,
            files.len(),
        );
    }
    for (file, _) in &files {
        println!("  {does} {}", file.display());
    }
    if remake {
        let did = if dry_run { "would write" } else { "wrote" };
        println!("  {did} {} again, without output", report.display());
    }
    if edited && !files.is_empty() {
        eprintln!("kept: {} was changed by hand; it may quote output, so look at it", report.display());
    }
    Ok(files.is_empty() || !edited)
}

/// Whether that is the session's id or its beginning; a rehearsal's may be given without what marks it.
fn is_named(session: &str, id: &str) -> bool {
    session.starts_with(id) || session.strip_prefix(REHEARSAL).is_some_and(|bare| bare.starts_with(id))
}

/// Whether a transcript's name ends with the beginning of that session's id.
fn names(path: &Path, session: Option<&str>) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
    let bare = session.map(|session| session.strip_prefix(REHEARSAL).unwrap_or(session));
    name.zip(bare).is_some_and(|((_, id), session)| session.starts_with(id))
}

fn transcripts(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let told = || format!("{} cannot be looked through", folder.display());
    let mut paths = match rehearsals(folder) {
        inner if inner.is_dir() => transcripts(&inner)?,
        _ => vec![],
    };
    for entry in std::fs::read_dir(folder).with_context(told)? {
        let path = entry.with_context(told)?.path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

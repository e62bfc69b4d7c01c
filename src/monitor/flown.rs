//! Whether a plan was flown somewhere else, to its end and not long ago: what the transcripts in a folder prove.
//!
//! A flight counts that `crosscheck verify` would call COMPLETE, or OUTPUT EXPIRED, and whose every step was done. Nothing is
//! written, no lock is taken, and a transcript is gone through once: it is the same while its name, size, time and inode are.

use super::seen::{Seen, look};
use super::{Findings, aged, excerpt, text};
use crate::clock::{At, age};
use crate::event::{Event, Outcome, Reading, Status};
use crate::hash::Hash;
use crate::plan::{Flown as Wanted, Params};
use crate::transcript::audit::{Proof, audit};
use crate::transcript::found::rehearsals;
use crate::transcript::read::Reader;
use crate::transcript::verify::{Integrity, verify};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Transcripts looked at, the newest first. The rest is older than any flight that counts, or a folder to tidy up.
const FLIGHTS_MAX: usize = 5000;
/// A longer transcript is not gone through beside a release.
const BYTES_MAX: u64 = 2 << 30;

/// See the module.
pub(super) struct Flown {
    plan: String,
    environment: String,
    rehearsal: bool,
    folder: PathBuf,
    within: Duration,
    digest: Hash,
    /// Whether it looks for a plan of another name, so that comparing texts says nothing.
    other: bool,
    /// First lines, by file: whose flight it is never changes.
    opened: BTreeMap<PathBuf, Option<Opened>>,
    /// What transcripts proved that are still the same.
    proved: BTreeMap<Seen, Result<Flight, String>>,
}

/// What the first line says.
#[derive(Debug, Clone)]
struct Opened {
    at: At,
    plan: String,
    environment: String,
    digest: Hash,
    /// On which data it was only a rehearsal: then nothing live was flown.
    rehearsal: Option<String>,
}

/// A flight that came to its end.
#[derive(Debug, Clone, Copy)]
struct Flight {
    closed: At,
}

impl Flown {
    pub(super) fn new(wanted: &Wanted, params: &Params, folder: &Path) -> Result<Self, String> {
        let plan = wanted.plan.as_ref().map(|plan| plan.render(params).map_err(text)).transpose()?;
        let plan = plan.unwrap_or_else(|| wanted.name.clone());
        let place = folder.join(wanted.transcripts.render(params).map_err(text)?);
        // They lie in a folder of their own; whoever names that one means it as well.
        let own = rehearsals(&place);
        let place = if wanted.rehearsal && own.is_dir() { own } else { place };
        Ok(Flown {
            other: plan != wanted.name,
            plan,
            environment: wanted.environment.render(params).map_err(text)?,
            rehearsal: wanted.rehearsal,
            folder: place,
            within: wanted.within,
            digest: wanted.digest,
            opened: BTreeMap::new(),
            proved: BTreeMap::new(),
        })
    }

    /// Looks for the newest flight that counts, until then; what is not read by then is read the next time.
    pub(super) fn read(&mut self, deadline: Instant) -> Reading {
        let late = |what: &str| Reading::unknown(format!("the transcripts are still being {what}"));
        let paths = match self.paths() {
            Ok(paths) => paths,
            Err(why) => return Reading::unknown(why),
        };
        self.opened.retain(|path, _| paths.contains(path));
        for path in &paths {
            if !self.opened.contains_key(path) {
                if Instant::now() >= deadline {
                    return late("looked through");
                }
                match opened(path) {
                    Ok(opened) => drop(self.opened.insert(path.clone(), opened)),
                    Err(why) => return Reading::unknown(why),
                }
            }
        }
        let opened = self.opened.iter().filter_map(|(path, opened)| Some((opened.clone()?, path.clone())));
        let wanted = |opened: &Opened| {
            let kind = opened.rehearsal.is_some() == self.rehearsal;
            kind && opened.plan == self.plan && opened.environment == self.environment
        };
        let mut flights: Vec<_> = opened.filter(|(opened, _)| wanted(opened)).collect();
        flights.sort_by_key(|(opened, _)| std::cmp::Reverse(opened.at));
        self.judge(&flights, deadline, late)
    }

    fn judge(&mut self, flights: &[(Opened, PathBuf)], deadline: Instant, late: impl Fn(&str) -> Reading) -> Reading {
        let mut findings = Findings::default();
        let now = SystemTime::now();
        let mut not_counted: Option<String> = None;
        for (opened, path) in flights {
            let name = excerpt(&path.file_stem().unwrap_or_default().to_string_lossy(), 80);
            let seen = match look(path) {
                Ok(Some(seen)) => seen,
                Ok(None) => continue, // it was deleted since the folder was read
                Err(error) => return Reading::unknown(format!("cannot look at {name}: {error}")),
            };
            if !self.proved.contains_key(&seen) {
                if Instant::now() >= deadline {
                    return late("verified");
                }
                self.proved.retain(|known, _| known.path != seen.path);
                match prove(&seen) {
                    Ok(proved) => drop(self.proved.insert(seen.clone(), proved)),
                    // It may be the flight that is looked for.
                    Err(why) => return Reading::unknown(format!("cannot read {name}: {why}")),
                }
            }
            let flight = match self.proved.get(&seen) {
                Some(Ok(flight)) => *flight,
                Some(Err(why)) => {
                    not_counted.get_or_insert_with(|| format!("{name} does not count: {why}"));
                    continue;
                }
                None => continue,
            };
            let closed =
                SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(flight.closed.micros()).unwrap_or(0));
            let old = match aged(closed, now) {
                Ok(old) => old,
                Err(why) => return Reading::unknown(format!("{name}: {why}")),
            };
            let plan = match (&self.other, opened.digest == self.digest) {
                (true, _) => excerpt(&self.plan, 60),
                (false, true) => "exactly this plan".to_owned(),
                (false, false) => "another text of this plan".to_owned(),
            };
            let (environment, ago) = (excerpt(&self.environment, 40), age(old));
            let told = match &opened.rehearsal {
                Some(data) => {
                    format!("{plan} was rehearsed for {environment} {ago} ago, COMPLETE, on {}", excerpt(data, 80))
                }
                None => format!("{plan} was flown in {environment} {ago} ago, COMPLETE"),
            };
            if old > self.within {
                findings.add(Status::Fail, format!("longer ago than {}", age(self.within)));
            }
            return findings.reading(&told, Some(old.as_secs_f64()), "s");
        }
        let environment = excerpt(&self.environment, 40);
        let never = if self.rehearsal { "was never rehearsed COMPLETE for" } else { "was never flown COMPLETE in" };
        findings.add(Status::Fail, format!("{} {never} {environment}", excerpt(&self.plan, 60)));
        if let Some(why) = not_counted {
            findings.add(Status::Fail, why);
        }
        findings.reading("", None, "")
    }

    /// Every transcript in the folder, the newest name first: names begin with the time of opening.
    fn paths(&self) -> Result<Vec<PathBuf>, String> {
        let name = excerpt(&self.folder.to_string_lossy(), 80);
        let cannot = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => format!("there is no folder {name} with transcripts"),
            _ => format!("cannot look through {name}: {error}"),
        };
        let mut paths = vec![];
        for entry in std::fs::read_dir(&self.folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            if path.extension().is_some_and(|ending| ending == "jsonl") {
                paths.push(path);
            }
        }
        paths.sort_by(|a, b| b.cmp(a));
        paths.truncate(FLIGHTS_MAX);
        Ok(paths)
    }
}

/// What the first line opens; nothing where it opens no session.
fn opened(path: &Path) -> Result<Option<Opened>, String> {
    let name = excerpt(&path.file_stem().unwrap_or_default().to_string_lossy(), 80);
    match Reader::open(path) {
        Ok(mut reader) => Ok(match reader.next() {
            Some(Ok((line, ..))) => match line.event {
                Event::SessionOpened { plan_name, environment, plan_digest, rehearsal, .. } => {
                    Some(Opened { at: line.at, plan: plan_name, environment, digest: plan_digest, rehearsal })
                }
                _ => None,
            },
            // Whatever it is, it is no flight that counts.
            _ => None,
        }),
        Err(error) => Err(format!("cannot read {name}: {}", text(error))),
    }
}

/// Goes through a transcript as `verify` does: what it proves, or why it does not count; an error where nobody can tell.
fn prove(seen: &Seen) -> Result<Result<Flight, String>, String> {
    if seen.size > BYTES_MAX {
        return Ok(Err(format!("it is larger than {} GiB", BYTES_MAX >> 30)));
    }
    let open = || Reader::open(&seen.path).map_err(text);
    match verify(open()?, None) {
        Integrity::Intact { closed: Some(Outcome::Complete), .. } => {}
        Integrity::Intact { closed: Some(Outcome::Partial), .. } => {
            return Ok(Err("it was closed with steps left".into()));
        }
        Integrity::Unreadable { why, .. } => return Err(excerpt(&why, 120)),
        other => return Ok(Err(excerpt(&format!("{}: {other}", other.word()), 120))),
    }
    match audit(open()?, &[], None).proof {
        Proof::Complete | Proof::OutputExpired { .. } => {}
        other => return Ok(Err(excerpt(&other.to_string(), 120))),
    }
    let closed = open()?.filter_map(Result::ok).filter(|(line, ..)| matches!(line.event, Event::SessionClosed { .. }));
    Ok(match closed.last() {
        Some((line, ..)) => Ok(Flight { closed: line.at }),
        None => Err("it is not closed any more".into()),
    })
}

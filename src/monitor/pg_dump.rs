//! The newest archive of `pg_dump`: its age and size as of any file, and what `pg_restore` can read of it.
//!
//! The list of contents stands at an archive's beginning, and `pg_restore --list` is content with that: a dump that was cut
//! off by a full disk lists perfectly. So each archive is also read to its end, once, beside the readings; until that is
//! over nobody knows what it is worth.

use super::child::{Ended, Failed, Program, TEXT_BYTES_MAX, first_line, signal};
use super::file::{Files, Limits, Newest, Seen};
use super::worker::Worker;
use super::{Findings, excerpt, text};
use crate::clock::human;
use crate::event::{Reading, Status};
use crate::name::WatchId;
use crate::plan::{Params, PgDump as Wanted};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What is read of a list of contents at most: some hundred thousand entries.
const LIST_BYTES_MAX: usize = 32 << 20;
/// The longest that reading an archive to its end may take.
const WHOLE: Duration = Duration::from_secs(12 * 3600);

/// See the module.
pub(super) struct PgDump {
    files: Worker<Result<Newest, Reading>>,
    folder: PathBuf,
    tables: Vec<String>,
    whole: bool,
    timeout: Duration,
    /// What was found in the archive that was the newest last.
    known: Option<Known>,
}

/// What is known of one archive. A file of the same name, size, time and inode is the same.
struct Known {
    of: Seen,
    contents: Option<Contents>,
    reading: Option<Whole>,
}

/// What `pg_restore --list` says of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Contents {
    Listed { entries: usize, tables: BTreeSet<(String, String)> },
    Bad(String),
}

/// An archive that is read to its end, or was.
enum Whole {
    Under { since: Instant, task: JoinHandle<Result<Ended, Failed>> },
    Done(Status, String),
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Whole::Under { task, .. } = self {
            task.abort(); // which kills what it started
        }
    }
}

impl PgDump {
    pub(super) fn new(watch: &WatchId, wanted: &Wanted, params: &Params, folder: &Path) -> Result<Self, String> {
        let files = Files::new(&wanted.path, params, folder)?;
        let (max_age, min_size, min_size_ratio) = (wanted.max_age, wanted.min_size, wanted.min_size_ratio);
        let limits = Limits { max_age, min_size, min_size_ratio };
        let tables = wanted.tables.iter().map(|table| table.render(params).map_err(text));
        Ok(PgDump {
            files: Worker::start(watch, move |_| files.newest(&limits))?,
            folder: folder.to_owned(),
            tables: tables.collect::<Result<_, _>>()?,
            whole: wanted.whole,
            timeout: wanted.timeout,
            known: None,
        })
    }

    /// Looks for the newest archive and into it. Dropped half-way, it kills what it started, but for the reading to the end.
    pub(super) async fn read(&mut self, limit: Duration) -> Reading {
        let Newest { file, mut findings, told } = match self.files.look(limit).await {
            Ok(Ok(newest)) => newest,
            Ok(Err(reading)) => return reading,
            Err(why) => return Reading::unknown(why),
        };
        let value = file.size as f64;
        let mut told = told;
        if file.size > 0 {
            self.look_into(&file, &mut told, &mut findings).await;
        }
        findings.reading(&told, Some(value), "B")
    }

    async fn look_into(&mut self, file: &Seen, told: &mut String, findings: &mut Findings) {
        let known = match self.known.take().filter(|known| known.of == *file) {
            Some(known) => known,
            None => Known { of: file.clone(), contents: None, reading: None },
        };
        let known = self.known.insert(known);
        let program = |arguments: &[&str], timeout, keep| Program {
            argv: std::iter::once("pg_restore")
                .chain(arguments.iter().copied())
                .map(str::to_owned)
                .chain([file.path.to_string_lossy().into_owned()])
                .collect(),
            folder: self.folder.clone(),
            env: vec![("LC_ALL".into(), "C".into())], // its complaints are read by a program
            timeout,
            keep,
        };
        if known.contents.is_none() {
            match program(&["--list"], self.timeout, LIST_BYTES_MAX).run().await.map(|ended| listed(&ended)) {
                Ok(Ok(contents)) => known.contents = Some(contents),
                Ok(Err(why)) => return findings.add(Status::Unknown, why),
                Err(Failed::Late { after, .. }) => {
                    return findings
                        .add(Status::Unknown, format!("pg_restore --list gave no answer within {}", human(after)));
                }
                Err(failed) => return findings.add(Status::Unknown, missing(&failed)),
            }
        }
        match &known.contents {
            Some(Contents::Listed { entries, tables }) => {
                *told += &format!(", {entries} entries");
                for table in self.tables.iter().filter(|table| !holds(tables, table)) {
                    findings.add(Status::Fail, format!("no data of table {} in it", excerpt(table, 60)));
                }
            }
            Some(Contents::Bad(why)) => return findings.add(Status::Fail, why.clone()),
            None => return,
        }
        if self.whole {
            let reading = known.reading.get_or_insert_with(|| {
                let program = program(&["--file=/dev/null"], WHOLE, TEXT_BYTES_MAX);
                Whole::Under { since: Instant::now(), task: tokio::spawn(async move { program.run().await }) }
            });
            reading.judge(self.timeout.min(Duration::from_millis(500))).await;
            match reading {
                Whole::Done(Status::Unknown, why) => {
                    findings.add(Status::Unknown, why.clone());
                    known.reading = None; // what could not be told is asked again
                }
                Whole::Done(status, why) => findings.add(*status, why.clone()),
                Whole::Under { since, .. } => {
                    let since = human(since.elapsed());
                    findings.add(Status::Unknown, format!("it is being read to its end, for {since} so far"));
                }
            }
        }
    }
}

impl Whole {
    /// Takes what came out, if it does so within that time. A small archive is read by then, and nobody sees it unknown.
    async fn judge(&mut self, patience: Duration) {
        let Whole::Under { task, .. } = self else { return };
        let Ok(ended) = tokio::time::timeout(patience, task).await else { return };
        let (status, why) = match ended {
            Ok(Ok(ended)) => match ended.status.code() {
                Some(0) => (Status::Ok, "read to its end".to_owned()),
                Some(1) if is_elsewhere(&complaint(&ended.err)) => {
                    (Status::Unknown, format!("it could not be read to its end: {}", complaint(&ended.err)))
                }
                Some(1) => (Status::Fail, format!("damaged: {}", complaint(&ended.err))),
                Some(code) => {
                    (Status::Unknown, format!("pg_restore ended with exit {code}: {}", complaint(&ended.err)))
                }
                None => (Status::Unknown, format!("pg_restore was ended by {}", signal(ended.status))),
            },
            Ok(Err(failed)) => (Status::Unknown, missing(&failed)),
            Err(error) => (Status::Unknown, format!("it could not be read to its end: {}", text(error))),
        };
        *self = Whole::Done(status, why);
    }
}

/// Why pg_restore said nothing, and what to do about it.
fn missing(failed: &Failed) -> String {
    match failed {
        Failed::Start(why) => format!("cannot run it: {why}; install the client programs of PostgreSQL"),
        failed => failed.why(true),
    }
}

fn complaint(err: &[u8]) -> String {
    let line = first_line(err);
    line.trim_start_matches("pg_restore: ").trim_start_matches("error: ").to_owned()
}

/// Whether that complaint is about this machine and not about the archive.
fn is_elsewhere(complaint: &str) -> bool {
    let words = ["ermission denied", "could not open", "No such file", "out of memory"];
    words.iter().any(|word| complaint.contains(word))
}

/// What the list of contents says: also that it cannot be read, which is so until the file changes.
fn listed(ended: &Ended) -> Result<Contents, String> {
    let complaint = complaint(&ended.err);
    match ended.status.code() {
        Some(0) if !ended.whole => Err("its list of contents is longer than can be read".into()),
        Some(0) => {
            let list = String::from_utf8_lossy(&ended.out);
            let mut entries = 0;
            let mut tables = BTreeSet::new();
            // `3; 0 16385 TABLE DATA public orders owner`, comments behind `;` alone
            for line in list.lines().filter(|line| !line.starts_with(';') && !line.trim().is_empty()) {
                entries += 1;
                let what = line.splitn(4, ' ').nth(3).and_then(|rest| rest.strip_prefix("TABLE DATA "));
                if let Some((schema, rest)) = what.and_then(|rest| rest.split_once(' ')) {
                    let table = rest.rsplit_once(' ').map_or(rest, |(table, _owner)| table);
                    tables.insert((schema.to_owned(), table.to_owned()));
                }
            }
            match entries {
                0 => Ok(Contents::Bad("empty: the archive lists nothing".into())),
                entries => Ok(Contents::Listed { entries, tables }),
            }
        }
        // It knows the file and says it is none of its own, or not whole. A newer format is another matter.
        Some(1) if complaint.contains("unsupported version") => Err(format!("pg_restore is too old: {complaint}")),
        Some(1) if is_elsewhere(&complaint) => Err(format!("pg_restore cannot read it: {complaint}")),
        Some(1) => Ok(Contents::Bad(format!("no archive that can be restored: {complaint}"))),
        Some(code) => Err(format!("pg_restore ended with exit {code}: {complaint}")),
        None => Err(format!("pg_restore was ended by {}", signal(ended.status))),
    }
}

/// Whether the data of `table` or `schema.table` are in it.
fn holds(tables: &BTreeSet<(String, String)>, wanted: &str) -> bool {
    tables.iter().any(|(schema, table)| {
        table == wanted || wanted.strip_prefix(schema.as_str()).and_then(|rest| rest.strip_prefix('.')) == Some(table)
    })
}

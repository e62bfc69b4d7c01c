//! The newest archive of `pg_dump`: its age and size as of any file, and what `pg_restore` can read of it.
//!
//! The list of contents stands at an archive's beginning, and `pg_restore --list` is content with that: a dump that was cut
//! off by a full disk lists perfectly. So each archive is also read to its end, once, beside the readings; until that is
//! over nobody knows what it is worth. The list names tables whose data are in it, and not whether there are any: for the
//! tables that the plan names the first row is looked for.

mod contents;

use self::contents::{Contents, Held, listed, parents, rows};
use super::child::{Ended, Failed, Program, TEXT_BYTES_MAX, first_line, signal};
use super::file::{Files, Limits, Newest};
use super::seen::Seen;
use super::worker::Worker;
use super::{Findings, excerpt, text};
use crate::clock::human;
use crate::event::{Reading, Status};
use crate::name::WatchId;
use crate::plan::{Params, PgDump as Wanted};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What is read of a list of contents at most: some hundred thousand entries.
const LIST_BYTES_MAX: usize = 32 << 20;
/// What is read of a table's data: what stands before its first row, and that.
const ROW_BYTES_MAX: usize = 64 << 10;
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
    /// Of each table that is asked for, once it is known.
    tables: BTreeMap<String, (Status, String)>,
    reading: Option<Whole>,
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
        let files = Files::new(&wanted.path, params, folder)?.or_folders("toc.dat");
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
            None => Known { of: file.clone(), contents: None, tables: BTreeMap::new(), reading: None },
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
            if let Some(how) = packed(&file.path) {
                let why = format!("it is packed by {how}, and pg_restore cannot look into that");
                return findings.add(Status::Unknown, why);
            }
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
            Some(Contents::Listed(list)) => {
                *told += &format!(", {} entries", list.entries);
                if list.data == 0 {
                    findings.add(Status::Fail, list.without_data());
                }
                for table in &self.tables {
                    let (status, why) = match known.tables.get(table) {
                        Some(found) => found.clone(),
                        None => {
                            let found = data_of(table, list, self.timeout, &program).await;
                            if found.0 != Status::Unknown {
                                known.tables.insert(table.clone(), found.clone());
                            }
                            found
                        }
                    };
                    if status != Status::Ok {
                        findings.add(status, why);
                    }
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

/// Whether there is data of that table in the archive, at least one row of it.
async fn data_of(
    table: &str,
    list: &contents::List,
    timeout: Duration,
    program: &(dyn Fn(&[&str], Duration, usize) -> Program + Sync),
) -> (Status, String) {
    let shown = excerpt(table, 60);
    let unknown = |why: String| (Status::Unknown, format!("nobody knows whether table {shown} has data: {why}"));
    let leaves = match list.holds(table) {
        Held::Data(found) => vec![found],
        Held::Missing => return (Status::Fail, format!("no data of table {shown} in it")),
        Held::Unclear => return unknown("its name can be read in two ways".into()),
        // A partitioned table has no data of its own; which partitions are its own only the statements say.
        Held::Bare(table) => {
            let program = program(&["--schema-only", "--file=-"], timeout, LIST_BYTES_MAX);
            let sql = match program.run().await {
                Ok(ended) if ended.status.success() && ended.whole => ended.out,
                Ok(ended) => return unknown(complaint(&ended.err)),
                Err(failed) => return unknown(missing(&failed)),
            };
            let leaves = parents(&String::from_utf8_lossy(&sql)).leaves(&table);
            if leaves.is_empty() {
                return (Status::Fail, format!("no data of table {shown} in it"));
            }
            if let Some((schema, name)) = leaves.iter().find(|leaf| !list.has_data(leaf)) {
                let partition = excerpt(&format!("{schema}.{name}"), 60);
                return (Status::Fail, format!("no data of table {shown} in it: its partition {partition} has none"));
            }
            leaves
        }
    };
    // Of partitions one row of one is enough: the next month's is empty as it should be.
    for (schema, name) in leaves {
        let words = ["--data-only", "--file=-", &format!("--schema={schema}"), &format!("--table={name}")];
        match program(&words, timeout, ROW_BYTES_MAX).begin().await {
            Ok((out, ended)) => match (rows(&out), ended) {
                (true, _) => return (Status::Ok, String::new()),
                (false, Some(ended)) if ended.status.success() => {}
                (false, Some(ended)) => return unknown(complaint(&ended.err)),
                (false, None) => return unknown(format!("no row of it came within {}", human(timeout))),
            },
            Err(failed) => return unknown(missing(&failed)),
        }
    }
    (Status::Fail, format!("table {shown} is empty in it"))
}
/// By what a file is packed around the archive, by its first bytes.
fn packed(path: &Path) -> Option<&'static str> {
    let mut first = [0; 6];
    let mut file = std::fs::File::open(path).ok().filter(|_| path.is_file())?;
    let count = std::io::Read::read(&mut file, &mut first).ok()?;
    let magic: [(&[u8], &str); 5] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
    ];
    magic.iter().find(|(magic, _)| first[..count].starts_with(magic)).map(|(_, name)| *name)
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
    let words = [
        "ermission denied",
        "could not open",
        "No such file",
        "out of memory",
        "text format dump",
        "not supported",
        "does not support",
        "nsupported version",
    ];
    words.iter().any(|word| complaint.contains(word))
}

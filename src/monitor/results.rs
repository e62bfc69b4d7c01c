//! What tests and checks left in files: red where something failed, where it is old, and where nothing was run.
//!
//! Every file that matches counts, since a run of tests writes many, unless the plan asks for the newest alone. A file's age
//! is that of its run: the time written in it where there is one, for a copy is always young.

mod formats;

use super::file::{Files, Seen};
use super::{Findings, aged, excerpt, text};
use crate::clock::age;
use crate::event::{Reading, Status};
use crate::plan::{Params, Results as Wanted, ResultsFormat};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// A file that is larger is no result of tests, or nobody could read it.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Files at most: more are an archive and not a run.
const FILES_MAX: usize = 2000;
/// How many names of what failed are told.
const NAMES_MAX: usize = 3;

/// See the module.
pub(super) struct Results {
    files: Files,
    format: Option<ResultsFormat>,
    max_age: Option<Duration>,
    min_tests: u64,
    newest: bool,
    /// What was found in files that are still the same.
    known: BTreeMap<Seen, Result<Outcome, String>>,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    /// Tests that were run.
    pub(super) ran: u64,
    /// Tests that were left out.
    pub(super) skipped: u64,
    /// Tests that failed.
    pub(super) failed: u64,
    /// Tests that passed with a warning.
    pub(super) warned: u64,
    /// The names of some that failed.
    pub(super) names: Vec<String>,
    /// Words that this version does not know, and so cannot judge.
    pub(super) strange: Option<String>,
    /// When it was written, as it says itself.
    pub(super) at: Option<SystemTime>,
}

impl Outcome {
    /// Adds a failure, with its name.
    pub(super) fn fail(&mut self, name: &str) {
        self.failed += 1;
        if self.names.len() < NAMES_MAX {
            self.names.push(excerpt(name, 60));
        }
    }

    fn add(&mut self, other: &Outcome) {
        self.ran += other.ran;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.warned += other.warned;
        self.names.extend(other.names.iter().take(NAMES_MAX - self.names.len().min(NAMES_MAX)).cloned());
        self.strange = self.strange.take().or(other.strange.clone());
    }
}

impl Results {
    pub(super) fn new(wanted: &Wanted, params: &Params, folder: &Path) -> Result<Self, String> {
        Ok(Results {
            files: Files::new(&wanted.path, params, folder)?,
            format: wanted.format,
            max_age: wanted.max_age,
            min_tests: wanted.min_tests,
            newest: wanted.newest,
            known: BTreeMap::new(),
        })
    }

    /// Reads the files that are new since the last time, until then; what is not read by then is read the next time.
    pub(super) fn read(&mut self, deadline: Instant) -> Reading {
        let mut files = match self.files.matching() {
            Ok(files) if files.is_empty() => return self.files.nothing(),
            Ok(files) => files,
            Err(reading) => return reading,
        };
        if self.newest {
            files.truncate(1);
        }
        if files.len() > FILES_MAX {
            return Reading::unknown(format!("{} files match, at most {FILES_MAX} are read", files.len()));
        }
        self.known.retain(|file, _| files.contains(file));
        for (index, file) in files.iter().enumerate() {
            // What could not be read is tried again: a file can be made readable and stay the same.
            if !matches!(self.known.get(file), Some(Ok(_))) {
                if Instant::now() >= deadline {
                    return Reading::unknown(format!("{index} of {} files read so far", files.len()));
                }
                self.known.insert(file.clone(), outcome(file, self.format));
            }
        }
        self.judge(&files, SystemTime::now())
    }

    fn judge(&self, files: &[Seen], now: SystemTime) -> Reading {
        let mut findings = Findings::default();
        let mut all = Outcome::default();
        let mut oldest: Option<(Duration, &Seen)> = None;
        for file in files {
            let name = excerpt(&file.name, 60);
            let outcome = match self.known.get(file) {
                Some(Ok(outcome)) => outcome,
                Some(Err(why)) => {
                    findings.add(Status::Unknown, format!("{name} cannot be read: {why}"));
                    continue;
                }
                None => continue, // all of them were read above
            };
            all.add(outcome);
            let written = outcome.at.map_or(file.modified, |at| at.min(file.modified));
            match aged(written, now) {
                Ok(old) if oldest.is_none_or(|(before, _)| old > before) => oldest = Some((old, file)),
                Ok(_) => {}
                Err(why) => findings.add(Status::Unknown, format!("{name}: {why}")),
            }
        }
        let mut seen = format!("{} tests", all.ran);
        if all.skipped > 0 {
            seen += &format!(", {} left out", all.skipped);
        }
        match files {
            [only] => seen += &format!(" in {}", excerpt(&only.name, 60)),
            files => seen += &format!(" in {} files", files.len()),
        }
        if let Some((old, file)) = oldest {
            seen += &format!(", {} old", age(old));
            if let Some(most) = self.max_age.filter(|most| old > *most) {
                let which = if files.len() > 1 { format!("{} is ", excerpt(&file.name, 60)) } else { String::new() };
                findings.add(Status::Fail, format!("{which}older than {}", age(most)));
            }
        }
        if all.failed > 0 {
            let more = if all.failed > all.names.len() as u64 { ", …" } else { "" };
            findings.add(Status::Fail, format!("{} failed: {}{more}", all.failed, all.names.join(", ")));
        }
        if all.ran == 0 {
            findings.add(Status::Fail, "empty: no test was run");
        } else if all.ran < self.min_tests {
            findings.add(Status::Fail, format!("fewer than {} tests", self.min_tests));
        }
        if all.warned > 0 {
            findings.add(Status::Warn, format!("{} passed with a warning", all.warned));
        }
        if let Some(word) = &all.strange {
            findings.add(Status::Unknown, format!("nobody here knows what {word} means"));
        }
        // A count that leaves out what could not be read would be too low.
        let whole = files.iter().all(|file| matches!(self.known.get(file), Some(Ok(_))));
        findings.reading(&seen, whole.then_some(all.failed as f64), "")
    }
}

/// What stands in a file; a file that is being written is half a file, and says so.
fn outcome(file: &Seen, format: Option<ResultsFormat>) -> Result<Outcome, String> {
    if file.size > FILE_BYTES_MAX {
        return Err(format!("larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    let mut bytes = vec![];
    let open = std::fs::File::open(&file.path).map_err(text)?;
    open.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(text)?;
    if bytes.len() as u64 != file.size {
        return Err("it is being written".into());
    }
    formats::read(&bytes, format)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Template;

    fn wanted(path: &str) -> Wanted {
        let path = Template::new(path).unwrap();
        Wanted { path, format: None, max_age: Some(Duration::from_secs(3600)), min_tests: 1, newest: false }
    }
    fn read(folder: &Path, wanted: &Wanted) -> Reading {
        let soon = Instant::now() + Duration::from_secs(30);
        Results::new(wanted, &Params::new(), folder).unwrap().read(soon)
    }
    fn put(folder: &Path, name: &str, text: &str, old: Duration) {
        std::fs::write(folder.join(name), text).unwrap();
        let file = std::fs::File::options().write(true).open(folder.join(name)).unwrap();
        file.set_modified(SystemTime::now() - old).unwrap();
    }
    const GOOD: &str = "<testsuite><testcase name=\"a\"/><testcase name=\"b\"><skipped/></testcase></testsuite>";
    const BAD: &str = "<testsuite><testcase name=\"loses rows\"><failure/></testcase></testsuite>";

    #[test]
    fn every_file_counts_and_the_worst_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let now = Duration::ZERO;
        assert_eq!(read(folder.path(), &wanted("*.xml")).status, Status::Fail, "no file at all");
        put(folder.path(), "1.xml", GOOD, now);
        let reading = read(folder.path(), &wanted("*.xml"));
        assert_eq!((reading.status, reading.value), (Status::Ok, Some(0.0)), "{}", reading.why);
        assert_eq!(reading.why, "1 tests, 1 left out in 1.xml, 0s old");
        put(folder.path(), "0.xml", BAD, now);
        let reading = read(folder.path(), &wanted("*.xml"));
        assert_eq!((reading.status, reading.value), (Status::Fail, Some(1.0)), "{}", reading.why);
        assert!(reading.why.contains("1 failed: loses rows"), "{}", reading.why);
        put(folder.path(), "0.xml", &BAD[..BAD.len() - 12], now);
        let reading = read(folder.path(), &wanted("*.xml"));
        assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
    }

    #[test]
    fn old_and_empty_are_red() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "old.xml", GOOD, Duration::from_secs(3 * 3600));
        put(folder.path(), "new.xml", GOOD, Duration::ZERO);
        let reading = read(folder.path(), &wanted("*.xml"));
        assert_eq!(reading.status, Status::Fail);
        assert!(reading.why.contains("old.xml is older than 60m"), "{}", reading.why);
        let newest = Wanted { newest: true, ..wanted("*.xml") };
        assert_eq!(read(folder.path(), &newest).status, Status::Ok);
        assert_eq!(read(folder.path(), &Wanted { min_tests: 2, ..newest.clone() }).status, Status::Fail);
        put(folder.path(), "new.xml", "<testsuite tests=\"0\"/>", Duration::ZERO);
        let reading = read(folder.path(), &newest);
        assert_eq!(reading.status, Status::Fail);
        assert!(reading.why.contains("empty: no test was run"), "{}", reading.why);
        // A copy is young; what it says of itself is not.
        let dbt = r#"{"metadata":{"dbt_schema_version":"https://schemas.getdbt.com/dbt/run-results/v6.json",
            "generated_at":"2020-01-01T00:00:00.0Z"},"results":[{"status":"pass","unique_id":"test.a"}]}"#;
        put(folder.path(), "run_results.json", dbt, Duration::ZERO);
        let reading = read(folder.path(), &wanted("run_results.json"));
        assert_eq!(reading.status, Status::Fail, "{}", reading.why);
        assert!(reading.why.contains("older than"), "{}", reading.why);
    }
}

//! What tests and checks left in files: red where something failed, where it is old, and where nothing was run.
//!
//! Every file that matches counts, since a run of tests writes many, unless the plan asks for the newest alone. A file's age
//! is that of its run: the time written in it where there is one, for a copy is always young. A time without its zone may be
//! any of a day, and where that matters nobody knows the age.

mod formats;

use super::file::Files;
use super::seen::Seen;
use super::{Findings, aged, excerpt, json, text};
use crate::clock::age;
use crate::event::{Reading, Status};
use crate::plan::{Params, Results as Wanted, ResultsFormat, Zone};
use serde_json::Value;
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
    min_tests: Option<u64>,
    newest: bool,
    age_zone: Option<Zone>,
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
    /// What was built and not tested.
    pub(super) built: u64,
    /// The command that wrote it, where that neither tests nor builds.
    pub(super) idle: Option<String>,
    /// Words that this version does not know, and so cannot judge.
    pub(super) strange: Option<String>,
    /// What it counts itself and does not hold.
    pub(super) lost: Option<String>,
    /// When it was written, as it says itself.
    pub(super) when: Option<When>,
}

/// When a file was written, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum When {
    /// Then.
    At(SystemTime),
    /// Then, in a zone that it does not name.
    Somewhere(String),
    /// Something else than a time stands there.
    Strange(String),
}

impl Outcome {
    /// Adds a failure, with its name.
    pub(super) fn fail(&mut self, name: &str) {
        self.failed += 1;
        if self.names.len() < NAMES_MAX {
            self.names.push(excerpt(name, 60));
        }
    }

    /// Notes that there was more than can be judged.
    pub(super) fn lose(&mut self, why: String) {
        self.lost.get_or_insert(why);
    }

    /// Takes a time of a part of it: the first one that was, and before all one that nobody can read.
    pub(super) fn when(&mut self, when: When) {
        let range = |when: &When| when.range(None).map(|(from, _)| from);
        let earlier = match &self.when {
            None => true,
            Some(before) => range(&when) < range(before), // an unreadable one has no range, and that is least
        };
        if earlier {
            self.when = Some(when);
        }
    }

    /// The same, of a value in JSON; nothing where there is none.
    pub(super) fn told_at(&mut self, value: Option<&Value>) {
        match value {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => self.when(When::told(text)),
            Some(other) => self.when(When::Strange(excerpt(&other.to_string(), 40))),
        }
    }

    fn add(&mut self, other: &Outcome) {
        self.ran += other.ran;
        self.built += other.built;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.warned += other.warned;
        self.names.extend(other.names.iter().take(NAMES_MAX - self.names.len().min(NAMES_MAX)).cloned());
        self.strange = self.strange.take().or(other.strange.clone());
        self.idle = self.idle.take().or(other.idle.clone());
        self.lost = self.lost.take().or(other.lost.clone());
    }
}

impl When {
    /// What a text says of a time.
    pub(super) fn told(text: &str) -> Self {
        match (json::time(text.trim(), None), json::time(text.trim(), Some(Zone::Utc))) {
            (Ok(at), _) => When::At(at),
            (_, Ok(_)) => When::Somewhere(text.trim().to_owned()),
            _ => When::Strange(excerpt(text, 40)),
        }
    }

    /// The first and the last moment that it may mean; nothing where nobody can read it.
    fn range(&self, zone: Option<Zone>) -> Option<(SystemTime, SystemTime)> {
        /// What clocks on this earth are ahead of and behind universal time at most.
        const AHEAD: Duration = Duration::from_secs(14 * 3600);
        const BEHIND: Duration = Duration::from_secs(12 * 3600);
        match self {
            When::At(at) => Some((*at, *at)),
            When::Somewhere(text) => match zone {
                Some(_) => json::time(text, zone).ok().map(|at| (at, at)),
                None => {
                    let at = json::time(text, Some(Zone::Utc)).ok()?;
                    Some((at.checked_sub(AHEAD)?, at.checked_add(BEHIND)?))
                }
            },
            When::Strange(_) => None,
        }
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
            age_zone: wanted.age_zone,
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
        let mut oldest: Option<(Duration, &Seen, &str)> = None;
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
            if let Some(command) = &outcome.idle {
                findings
                    .add(Status::Fail, format!("{name} was written by `{command}`, which tests and builds nothing"));
            }
            if let Some(lost) = &outcome.lost {
                findings.add(Status::Unknown, format!("{name}: {lost}"));
            }
            // A file is never older than what stands in it, so its own time is the last one that is possible.
            let written = match &outcome.when {
                None => Ok((file.modified, file.modified)),
                Some(when) => when.range(self.age_zone).ok_or(when),
            };
            let (from, to) = match written {
                Ok((from, to)) => (from.min(file.modified), to.min(file.modified)),
                Err(when) => {
                    if let (When::Strange(told), Some(_)) = (when, self.max_age) {
                        findings.add(Status::Unknown, format!("{name}: {told:?} is no time"));
                    }
                    continue;
                }
            };
            match (aged(to, now), now.duration_since(from)) {
                (Ok(least), most) => {
                    let most = most.unwrap_or(least);
                    if let Some(limit) = self.max_age.filter(|limit| least <= *limit && most > *limit) {
                        let (least, most, limit) = (age(least), age(most), age(limit));
                        let sentence = format!(
                            "{name}: its time does not name its zone, so it is {least} to {most} old, and {limit} is the \
                             limit: name `age_zone`"
                        );
                        findings.add(Status::Unknown, sentence);
                    }
                    if oldest.is_none_or(|(before, ..)| least > before) {
                        oldest = Some((least, file, if from < to { "at least " } else { "" }));
                    }
                }
                (Err(why), _) => findings.add(Status::Unknown, format!("{name}: {why}")),
            }
        }
        let whole = files.iter().all(|file| matches!(self.known.get(file), Some(Ok(_))));
        let mut seen = format!("{} tests", all.ran);
        if all.built > 0 {
            seen += &format!(", {} built", all.built);
        }
        if all.skipped > 0 {
            seen += &format!(", {} left out", all.skipped);
        }
        match files {
            [only] => seen += &format!(" in {}", excerpt(&only.name, 60)),
            files => seen += &format!(" in {} files", files.len()),
        }
        if let Some((old, file, about)) = oldest {
            seen += &format!(", {about}{} old", age(old));
            if let Some(most) = self.max_age.filter(|most| old > *most) {
                let which = if files.len() > 1 { format!("{} is ", excerpt(&file.name, 60)) } else { String::new() };
                findings.add(Status::Fail, format!("{which}older than {}", age(most)));
            }
        }
        if all.failed > 0 {
            let more = if all.failed > all.names.len() as u64 { ", …" } else { "" };
            findings.add(Status::Fail, format!("{} failed: {}{more}", all.failed, all.names.join(", ")));
        }
        // What cannot be read may hold tests.
        if whole && all.ran + all.built == 0 {
            findings.add(Status::Fail, "empty: no test was run");
        } else if let Some(least) = self.min_tests.filter(|least| whole && all.ran < *least) {
            findings.add(Status::Fail, format!("fewer than {least} tests"));
        }
        if all.warned > 0 {
            findings.add(Status::Warn, format!("{} passed with a warning", all.warned));
        }
        if let Some(word) = &all.strange {
            findings.add(Status::Unknown, format!("nobody here knows what {word} means"));
        }
        // A count that leaves out what could not be read would be too low.
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
        Wanted {
            path,
            format: None,
            max_age: Some(Duration::from_secs(3600)),
            min_tests: None,
            newest: false,
            age_zone: None,
        }
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
    fn what_cannot_be_read_or_was_lost_is_unknown_and_never_red() {
        let folder = tempfile::tempdir().unwrap();
        let told = |text: &str| {
            put(folder.path(), "a", text, Duration::ZERO);
            read(folder.path(), &Wanted { min_tests: Some(1), ..wanted("a") })
        };
        for (text, says) in [
            ("{\"a\": ", "a cannot be read"),
            ("PK\u{3}\u{4}", "a cannot be read"),
            ("<testsuite><testcase", "a cannot be read"),
            ("<testsuite name=\"s\" tests=\"5\"><testcase name=\"a\"/></testsuite>", "counts 5 tests, and 1 are there"),
            ("<testsuite timestamp=\"yesterday\"><testcase name=\"a\"/></testsuite>", "\"yesterday\" is no time"),
        ] {
            let reading = told(text);
            assert!(reading.status == Status::Unknown && reading.why.contains(says), "{text}: {reading:?}");
        }
        let idle = r#"{"metadata":{"dbt_schema_version":"v"},"args":{"which":"compile"},
            "results":[{"status":"success","unique_id":"model.a"}]}"#;
        let reading = told(idle);
        assert_eq!(reading.status, Status::Fail);
        assert!(reading.why.contains("a was written by `dbt compile`, which tests and builds nothing"), "{reading:?}");
        let run = idle.replace("compile", "run");
        let reading = told(&run);
        assert!(reading.status == Status::Fail && reading.why.contains("0 tests, 1 built"), "{reading:?}");
        assert_eq!(read(folder.path(), &wanted("a")).status, Status::Ok, "without `min_tests` what was built counts");
    }

    #[test]
    fn a_time_without_a_zone_is_not_taken_for_now() {
        let folder = tempfile::tempdir().unwrap();
        let told = |hours_ago: i64, max_age: u64, age_zone: Option<Zone>| {
            let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours_ago);
            let then = then.to_zoned(jiff::tz::TimeZone::UTC).datetime().strftime("%Y-%m-%dT%H:%M:%S").to_string();
            let text = format!("<testsuite timestamp=\"{then}\"><testcase name=\"a\"/></testsuite>");
            put(folder.path(), "a", &text, Duration::ZERO);
            let max_age = Some(Duration::from_secs(max_age * 3600));
            read(folder.path(), &Wanted { max_age, age_zone, ..wanted("a") })
        };
        assert_eq!(told(17 * 24, 24, None).status, Status::Fail);
        assert_eq!(told(1, 24, None).status, Status::Ok);
        let reading = told(5, 2, None);
        assert_eq!(reading.status, Status::Unknown);
        assert!(reading.why.contains("does not name its zone, so it is 0s to 19h old"), "{reading:?}");
        assert_eq!(told(5, 2, Some(Zone::Utc)).status, Status::Fail);
        assert_eq!(told(1, 2, Some(Zone::Utc)).status, Status::Ok);
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
        assert_eq!(read(folder.path(), &Wanted { min_tests: Some(2), ..newest.clone() }).status, Status::Fail);
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

//! The newest file that matches: how old a backup is, how large, and how large the one before was.
//!
//! Only what one look can vouch for counts: a file that is being written has no size yet, and one from the future has no
//! age; both are unknown rather than fine.

use super::checksum::Sum;
use super::seen::{Seen, look};
use super::{Findings, aged, bytes, excerpt, text};
use crate::clock::age;
use crate::event::{Reading, Status};
use crate::plan::{Params, Template, WatchKind};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Between the two looks at the newest file: long enough for a writer at work to show, short beside any period.
const GAP: Duration = Duration::from_millis(100);

/// Which files, and what is expected of the newest.
pub(super) struct File {
    files: Files,
    limits: Limits,
    sum: Option<Sum>,
}

/// Files in one folder whose names match.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
    pattern: String,
    /// A folder with a file of this name in it is one of them, and is as large as all files in it.
    mark: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) max_age: Option<Duration>,
    pub(super) min_size: Option<u64>,
    pub(super) min_size_ratio: Option<f64>,
}

/// The newest file, held against the limits.
pub(super) struct Newest {
    pub(super) file: Seen,
    pub(super) findings: Findings,
    /// Name, size and age.
    pub(super) told: String,
}

impl File {
    /// Takes a `file` watch; any other kind is an error.
    pub(super) fn new(kind: &WatchKind, params: &Params, folder: &Path) -> Result<Self, String> {
        let WatchKind::File { path, max_age, min_size_ratio, min_size, sha256 } = kind else {
            return Err("not a file watch".into());
        };
        let limits = Limits { max_age: *max_age, min_size: *min_size, min_size_ratio: *min_size_ratio };
        let sum = sha256.as_ref().map(|sum| Sum::new(sum, params, folder)).transpose()?;
        Ok(File { files: Files::new(path, params, folder)?, limits, sum })
    }

    /// Looks at the folder, and twice at the newest file in it. By then, or as soon after as the disk lets it, it is done:
    /// a long file is hashed over several readings.
    pub(super) fn read(&mut self, deadline: Instant) -> Reading {
        let Newest { file, mut findings, told } = match self.files.newest(&self.limits) {
            Ok(newest) => newest,
            Err(reading) => return reading,
        };
        if let Some(sum) = &mut self.sum {
            let (status, sentence) = sum.check(&file, deadline);
            findings.add(status, sentence);
        }
        findings.reading(&told, Some(file.size as f64), "B")
    }
}

impl Files {
    pub(super) fn new(path: &Template, params: &Params, folder: &Path) -> Result<Self, String> {
        let path = folder.join(path.render(params).map_err(text)?);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(format!("{} names no file", excerpt(&path.to_string_lossy(), 80)));
        };
        Ok(Files { folder: parent.to_owned(), pattern: name.to_string_lossy().into_owned(), mark: None })
    }

    /// The same, and folders in which a file of that name lies.
    pub(super) fn or_folders(self, mark: &'static str) -> Self {
        Files { mark: Some(mark), ..self }
    }

    /// What stands there, if it is one of them.
    fn look(&self, path: &Path) -> std::io::Result<Option<Seen>> {
        match self.mark {
            Some(mark) if path.is_dir() => look_into(path, mark),
            _ => look(path),
        }
    }

    /// The newest file, looked at twice, or the reading that there is none to look at.
    pub(super) fn newest(&self, limits: &Limits) -> Result<Newest, Reading> {
        let mut files = self.matching()?.into_iter();
        let (Some(newest), before) = (files.next(), files.next()) else {
            return Err(self.nothing());
        };
        std::thread::sleep(GAP);
        let again = self.look(&newest.path).map(|seen| seen.as_ref() == Some(&newest));
        let (findings, told) = weigh(&newest, before.as_ref(), again, limits, SystemTime::now())?;
        Ok(Newest { file: newest, findings, told })
    }

    /// Every file that matches, the newest first, or the reading that they cannot be looked at. A folder that is not there
    /// has none.
    pub(super) fn matching(&self) -> Result<Vec<Seen>, Reading> {
        match self.list() {
            Ok(files) => Ok(files),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(vec![]),
            Err(error) => Err(Reading::unknown(format!("cannot look: {}", excerpt(&error.to_string(), 120)))),
        }
    }

    /// The reading where no file matches.
    pub(super) fn nothing(&self) -> Reading {
        let mut findings = Findings::default();
        findings.add(Status::Fail, format!("no file matches {}", excerpt(&self.pattern, 80)));
        findings.reading("", None, "")
    }

    /// Every regular file that matches, the newest first.
    fn list(&self) -> std::io::Result<Vec<Seen>> {
        let mut files = vec![];
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if matches(&self.pattern, &entry.file_name().to_string_lossy()) {
                // One that cannot be looked at may be the newest, so that is an error, not a file less.
                files.extend(self.look(&entry.path())?);
            }
        }
        files.sort_by(|a, b| (b.modified, &b.name).cmp(&(a.modified, &a.name)));
        Ok(files)
    }
}

/// A folder that is one archive: as large as all files in it, and as young as the youngest; nothing without its mark.
fn look_into(path: &Path, mark: &str) -> std::io::Result<Option<Seen>> {
    let Some(mut seen) = look(&path.join(mark))? else { return Ok(None) };
    seen.size = 0;
    for entry in std::fs::read_dir(path)? {
        if let Some(file) = look(&entry?.path())? {
            seen.size = seen.size.saturating_add(file.size);
            seen.modified = seen.modified.max(file.modified);
        }
    }
    seen.name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    seen.path = path.to_owned();
    Ok(Some(seen))
}

/// The verdict, and what was seen. `again` says whether a second look saw the very same.
fn weigh(
    newest: &Seen,
    before: Option<&Seen>,
    again: std::io::Result<bool>,
    limits: &Limits,
    now: SystemTime,
) -> Result<(Findings, String), Reading> {
    let name = excerpt(&newest.name, 60);
    match again {
        Ok(true) => {}
        Ok(false) => {
            return Err(Reading::unknown(format!("{name} changed while it was looked at: it is being written")));
        }
        Err(error) => return Err(Reading::unknown(format!("cannot look at {name} again: {error}"))),
    }
    let mut findings = Findings::default();
    let old = aged(newest.modified, now).unwrap_or_else(|why| {
        findings.add(Status::Unknown, why);
        Duration::ZERO // never shown nor held against a limit: unknown outranks what follows
    });
    let dated = findings.worst() == Status::Ok;
    let seen = match dated {
        true => format!("{name}, {}, {} old", bytes(newest.size), age(old)),
        false => format!("{name}, {}", bytes(newest.size)),
    };
    if let Some(most) = limits.max_age.filter(|most| dated && old > *most) {
        findings.add(Status::Fail, format!("older than {}", age(most)));
    }
    if newest.size == 0 {
        findings.add(Status::Fail, "empty");
    } else if let Some(least) = limits.min_size.filter(|least| newest.size < *least) {
        findings.add(Status::Fail, format!("smaller than {}", bytes(least)));
    }
    if let Some(least) = limits.min_size_ratio {
        match before.filter(|before| before.size > 0) {
            Some(before) => {
                let ratio = newest.size as f64 / before.size as f64; // far more digits than a plan gives
                if ratio < least {
                    let (ratio, least) = (ratio * 100.0, least * 100.0);
                    findings.add(
                        Status::Fail,
                        format!(
                            "shrank to {ratio:.1}% of the one before ({}), at least {least:.0}% expected",
                            bytes(before.size)
                        ),
                    );
                }
            }
            None => findings.add(Status::Warn, "nothing to compare with"),
        }
    }
    Ok((findings, seen))
}

/// Whether a name matches a pattern of `*` and `?` as in a shell: a leading dot has to be written out.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands and how much it has taken: enough, since a later star never needs an earlier one to move.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Template;

    fn watch(path: &str, limits: Limits) -> WatchKind {
        WatchKind::File {
            path: Template::new(path).unwrap(),
            max_age: limits.max_age,
            min_size_ratio: limits.min_size_ratio,
            min_size: limits.min_size,
            sha256: None,
        }
    }
    fn put(folder: &Path, name: &str, size: usize, hours_old: i64) {
        let path = folder.join(name);
        std::fs::write(&path, vec![b'x'; size]).unwrap();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        let hours = Duration::from_secs(3600 * hours_old.unsigned_abs());
        let now = SystemTime::now();
        file.set_modified(if hours_old < 0 { now + hours } else { now - hours }).unwrap();
    }
    fn read(folder: &Path, path: &str, limits: Limits) -> Reading {
        let soon = Instant::now() + Duration::from_secs(10);
        File::new(&watch(path, limits), &Params::new(), folder).unwrap().read(soon)
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*", ".a", false),
            (".*", ".a", true),
            ("n-*.dump", "n-1.dump", true),
            ("n-*.dump", "n-.dump", true),
            ("n-*.dump", "n-1.dump.part", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "é", true),
            ("??", "a", false),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_newest_is_held_against_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "n-1.dump", 9000, 50);
        put(folder.path(), "n-2.dump", 1000, 26);
        put(folder.path(), "n-3.dump", 700, 2);
        put(folder.path(), "other", 1, 0);
        let limits = Limits { min_size_ratio: Some(0.8), ..Limits::default() };
        let reading = read(folder.path(), "n-*.dump", limits);
        assert_eq!((reading.status, reading.value, reading.unit.as_str()), (Status::Fail, Some(700.0), "B"));
        assert!(reading.why.contains("n-3.dump") && reading.why.contains("70.0% of the one before"), "{}", reading.why);
        let limits =
            Limits { min_size_ratio: Some(0.6), max_age: Some(Duration::from_secs(9000)), min_size: Some(700) };
        assert_eq!(read(folder.path(), "n-*.dump", limits).status, Status::Ok);
        let limits = Limits { max_age: Some(Duration::from_secs(3600)), min_size: Some(701), ..Limits::default() };
        let reading = read(folder.path(), "n-*.dump", limits);
        assert_eq!(reading.status, Status::Fail);
        assert!(reading.why.contains("older than") && reading.why.contains("smaller than"), "{}", reading.why);
    }

    #[test]
    fn without_one_before_the_ratio_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a", 5, 1);
        let limits = Limits { min_size_ratio: Some(0.8), ..Limits::default() };
        let reading = read(folder.path(), "a", limits);
        assert_eq!(reading.status, Status::Warn);
        assert!(reading.why.contains("nothing to compare with"), "{}", reading.why);
        assert_eq!(read(folder.path(), "a", Limits::default()).status, Status::Ok);
    }

    #[test]
    fn nothing_there_fails_and_what_cannot_be_read_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["none-*", "missing/none", "missing/*"] {
            let reading = read(folder.path(), path, Limits::default());
            assert_eq!(reading.status, Status::Fail, "{path}");
            assert!(reading.why.contains("no file matches"), "{}", reading.why);
        }
        put(folder.path(), "plain", 5, 1);
        // A file where the folder should be: nobody can look into it, root included.
        assert_eq!(read(folder.path(), "plain/*", Limits::default()).status, Status::Unknown);
    }

    #[test]
    fn a_file_from_the_future_or_at_work_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a", 5, -3);
        let reading = read(folder.path(), "a", Limits { max_age: Some(Duration::from_secs(60)), ..Limits::default() });
        assert_eq!(reading.status, Status::Unknown);
        assert!(reading.why.contains("in the future"), "{}", reading.why);
        let seen = look(&folder.path().join("a")).unwrap().unwrap();
        let reading = weigh(&seen, None, Ok(false), &Limits::default(), SystemTime::now()).err().unwrap();
        assert_eq!((reading.status, reading.value), (Status::Unknown, None));
    }

    #[test]
    fn an_empty_file_is_no_backup_whatever_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a", 0, 0);
        for min_size in [None, Some(5)] {
            let reading = read(folder.path(), "a", Limits { min_size, ..Limits::default() });
            assert_eq!((reading.status, reading.value), (Status::Fail, Some(0.0)));
            assert!(reading.why.ends_with("old; empty"), "{}", reading.why);
        }
    }
}

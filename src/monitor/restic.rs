//! A repository of restic: how old the newest snapshot of every path and host is, whether there is anything in it, how much
//! less than in the one before, and whether anybody ever checked the repository and restored from it.
//!
//! It is read with `restic` itself, without taking a lock, so that neither a backup at work nor a lock left behind is in the
//! way, and without restic's cache, which would go on showing snapshots that the repository has lost.

use super::child::{Ended, Failed, Program, first_line, signal};
use super::{Findings, aged, bytes, excerpt, json, text};
use crate::clock::age;
use crate::event::{Reading, Status};
use crate::plan::{Params, Restic as Wanted, ResticPassword, Template};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// What is read of the list of snapshots at most: some ten thousand of them.
const LIST_BYTES_MAX: usize = 16 << 20;
/// Variables by which restic reaches the stores it knows. Its passwords are not among them where the plan names one.
const PASSED: &[&str] = &[
    "AWS_",
    "AZURE_",
    "B2_",
    "GOOGLE_",
    "OS_",
    "RCLONE_",
    "RESTIC_",
    "ST_",
    "SSH_AUTH_SOCK",
    "TMPDIR",
    "XDG_CONFIG_HOME",
];
/// What of those the plan alone says.
const OURS: &[&str] = &["RESTIC_REPOSITORY", "RESTIC_REPOSITORY_FILE", "RESTIC_HOST", "RESTIC_PROGRESS_FPS"];
const PASSWORDS: &[&str] = &["RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD_COMMAND"];

/// See the module.
pub(super) struct Restic {
    program: Program,
    filters: Vec<String>,
    /// The paths that are meant; all of them where the plan names none.
    paths: Vec<String>,
    max_age: Option<Duration>,
    min_size_ratio: Option<f64>,
    verified_within: Option<Duration>,
    stamps: Vec<Stamp>,
    /// What was found in a snapshot that does not say it itself. A snapshot never changes.
    contents: BTreeMap<String, Contents>,
}

/// A file whose time says when something was done last.
struct Stamp {
    path: PathBuf,
    never: &'static str,
    done: &'static str,
}

/// A snapshot, as `restic snapshots --json` lists it.
#[derive(Debug, Clone, Deserialize)]
struct Snapshot {
    #[serde(deserialize_with = "json::rfc3339")]
    time: SystemTime,
    id: String,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    paths: Vec<String>,
    /// Since restic 0.17.
    summary: Option<Summary>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Summary {
    total_files_processed: u64,
    total_bytes_processed: u64,
}

/// What `restic stats --json` says of a snapshot.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Stats {
    total_size: u64,
    total_file_count: u64,
}

/// How much is in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Contents {
    bytes: u64,
    /// Where it is known; older versions count folders among the files.
    files: Option<u64>,
}

impl Restic {
    pub(super) fn new(wanted: &Wanted, params: &Params, folder: &Path) -> Result<Self, String> {
        let fill = |template: &Template| template.render(params).map_err(text);
        let mut env: Vec<(OsString, OsString)> = std::env::vars_os()
            .filter(|(name, _)| {
                let name = name.to_string_lossy();
                let kept = wanted.password.is_none() || !PASSWORDS.contains(&&*name);
                kept && !OURS.contains(&&*name) && PASSED.iter().any(|start| name.starts_with(start))
            })
            .collect();
        // In its environment and not on its command line: an address may hold a password.
        env.push(("RESTIC_REPOSITORY".into(), fill(&wanted.repository)?.into()));
        match &wanted.password {
            Some(ResticPassword::File(file)) => {
                env.push(("RESTIC_PASSWORD_FILE".into(), folder.join(fill(file)?).into()));
            }
            Some(ResticPassword::Command(command)) => {
                env.push(("RESTIC_PASSWORD_COMMAND".into(), fill(command)?.into()));
            }
            None => {}
        }
        let mut filters = vec![];
        if let Some(host) = &wanted.host {
            filters.extend(["--host".to_owned(), fill(host)?]);
        }
        if !wanted.tags.is_empty() {
            let tags: Vec<String> = wanted.tags.iter().map(fill).collect::<Result<_, _>>()?;
            filters.extend(["--tag".to_owned(), tags.join(",")]); // a comma is "and", a second --tag would be "or"
        }
        let paths: Vec<String> = wanted.paths.iter().map(fill).collect::<Result<_, _>>()?;
        for path in &paths {
            filters.extend(["--path".to_owned(), path.clone()]);
        }
        let stamp = |stamp: &Option<Template>, never, done| {
            let path = stamp.as_ref().map(fill).transpose()?;
            Ok::<_, String>(path.map(|path| Stamp { path: folder.join(path), never, done }))
        };
        let stamps = [
            stamp(&wanted.check_stamp, "never checked", "checked")?,
            stamp(&wanted.restore_stamp, "never restored", "restored")?,
        ];
        Ok(Restic {
            program: Program {
                argv: vec![],
                folder: folder.to_owned(),
                env,
                timeout: wanted.timeout,
                keep: LIST_BYTES_MAX,
            },
            filters,
            paths,
            max_age: wanted.max_age,
            min_size_ratio: wanted.min_size_ratio,
            verified_within: wanted.verified_within,
            stamps: stamps.into_iter().flatten().collect(),
            contents: BTreeMap::new(),
        })
    }

    /// Lists the snapshots and looks into the newest. Dropped half-way, it kills what it started.
    pub(super) async fn read(&mut self) -> Reading {
        let deadline = Instant::now() + self.program.timeout;
        let mut list = vec!["snapshots", "--json", "--no-lock", "--no-cache"];
        list.extend(self.filters.iter().map(String::as_str));
        let list = run(&self.program, &list, deadline).await;
        let (snapshots, damaged) = match list.and_then(|ended| listed(&ended)) {
            Ok(list) => list,
            Err((status, why)) => {
                let mut findings = Findings::default();
                findings.add(status, why);
                return findings.reading("", None, "");
            }
        };
        let mut findings = Findings::default();
        if let Some(why) = damaged {
            findings.add(Status::Fail, why);
        }
        let current = current(&snapshots, &self.paths);
        let Some(newest) = current.iter().max_by_key(|snapshot| snapshot.time) else {
            let which = if self.filters.is_empty() { "" } else { " that matches host, tags and paths" };
            findings.add(Status::Fail, format!("no snapshot{which}"));
            self.verified(&mut findings);
            return findings.reading("", None, "");
        };
        let now = SystemTime::now();
        let mut seen = format!("{} of {}", excerpt(&newest.id, 8).trim_end_matches('…'), series(newest));
        if let Ok(old) = aged(newest.time, now) {
            seen += &format!(", {} old", age(old));
        }
        if current.len() > 1 {
            seen += &format!(", the newest of {}", current.len());
        }
        let mut value = None;
        for snapshot in &current {
            // Whose it is needs saying where there are several.
            let which = if current.len() > 1 { format!("{}: ", series(snapshot)) } else { String::new() };
            let mut found = Findings::default();
            let within = self.look_at(snapshot, &snapshots, now, deadline, &mut found).await;
            found.0.into_iter().for_each(|(status, why)| findings.add(status, format!("{which}{why}")));
            if let (true, Some(contents)) = (snapshot.id == newest.id, within) {
                value = Some(contents.bytes as f64);
                if contents.bytes > 0 {
                    seen += &format!(", {}", bytes(contents.bytes));
                }
            }
        }
        self.contents.retain(|id, _| snapshots.iter().any(|snapshot| snapshot.id == *id));
        self.verified(&mut findings);
        findings.reading(&seen, value, "B")
    }

    /// One snapshot that nothing newer stands in for: its age, what is in it, and how much less than in the one before.
    async fn look_at(
        &mut self,
        snapshot: &Snapshot,
        snapshots: &[Snapshot],
        now: SystemTime,
        deadline: Instant,
        findings: &mut Findings,
    ) -> Option<Contents> {
        match aged(snapshot.time, now) {
            Ok(old) => {
                if let Some(most) = self.max_age.filter(|most| old > *most) {
                    findings.add(Status::Fail, format!("{} old, older than {}", age(old), age(most)));
                }
            }
            Err(why) => findings.add(Status::Unknown, why),
        }
        let within = match self.contents(snapshot, deadline).await {
            Ok(contents) => contents,
            Err(why) => {
                findings.add(Status::Unknown, why);
                return None;
            }
        };
        match within {
            Contents { files: Some(0), .. } => findings.add(Status::Fail, "the backup ran, but wrote nothing: 0 files"),
            Contents { bytes: 0, .. } => findings.add(Status::Fail, "the backup ran, but wrote nothing: 0 bytes"),
            _ => {}
        }
        if let Some(least) = self.min_size_ratio {
            let before = match before(snapshot, snapshots) {
                Some(before) => self.contents(before, deadline).await.map(Some),
                None => Ok(None),
            };
            match before {
                Ok(Some(before)) if before.bytes > 0 => {
                    let ratio = within.bytes as f64 / before.bytes as f64; // far more digits than a plan gives
                    if ratio < least {
                        let (ratio, least, before) = (ratio * 100.0, least * 100.0, bytes(before.bytes));
                        let sentence = format!(
                            "shrank to {ratio:.1}% of the one before ({before}), at least {least:.0}% expected"
                        );
                        findings.add(Status::Fail, sentence);
                    }
                }
                Ok(_) => findings.add(Status::Warn, "nothing to compare with"),
                Err(why) => findings.add(Status::Unknown, why),
            }
        }
        Some(within)
    }

    /// How much is in a snapshot: as it says itself, or as `restic stats` counts it, once.
    async fn contents(&mut self, snapshot: &Snapshot, deadline: Instant) -> Result<Contents, String> {
        if let Some(summary) = snapshot.summary {
            let files = Some(summary.total_files_processed);
            return Ok(Contents { bytes: summary.total_bytes_processed, files });
        }
        if let Some(known) = self.contents.get(&snapshot.id) {
            return Ok(*known);
        }
        let ended = run(&self.program, &["stats", "--json", "--no-lock", &snapshot.id], deadline).await;
        let ended = ended.map_err(|(_, why)| format!("its size is not known: {why}"))?;
        let stats: Stats = match ended.status.code() {
            Some(0) => serde_json::from_slice(&ended.out).map_err(|error| format!("its size is not known: {error}"))?,
            _ => return Err(format!("its size is not known: {}", first_line(&ended.err))),
        };
        let files = Some(stats.total_file_count).filter(|count| *count == 0);
        let contents = Contents { bytes: stats.total_size, files };
        self.contents.insert(snapshot.id.clone(), contents);
        Ok(contents)
    }

    /// A backup that was never read back is a hope.
    fn verified(&self, findings: &mut Findings) {
        let Some(within) = self.verified_within else { return };
        for Stamp { path, never, done } in &self.stamps {
            let name = excerpt(&path.file_name().unwrap_or_default().to_string_lossy(), 60);
            match std::fs::metadata(path).and_then(|meta| meta.modified()).map(|at| aged(at, SystemTime::now())) {
                Ok(Ok(old)) if old > within => {
                    findings
                        .add(Status::Fail, format!("last {done} {} ago, within {} expected", age(old), age(within)));
                }
                Ok(Ok(_)) => {}
                Ok(Err(why)) => findings.add(Status::Unknown, format!("{name}: {why}")),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    findings.add(Status::Fail, format!("{never}: no {name}"));
                }
                Err(error) => findings.add(Status::Unknown, format!("cannot look at {name}: {error}")),
            }
        }
    }
}

/// Runs restic for as long as is left.
async fn run(program: &Program, arguments: &[&str], deadline: Instant) -> Result<Ended, (Status, String)> {
    let mut program = program.clone();
    program.argv = std::iter::once("restic").chain(arguments.iter().copied()).map(str::to_owned).collect();
    program.timeout = deadline.saturating_duration_since(Instant::now());
    program.run().await.map_err(|failed| {
        let why = match &failed {
            Failed::Late { err, .. } => match first_line(err) {
                said if said.is_empty() => "the repository does not answer".to_owned(),
                said => format!("the repository does not answer: {said}"),
            },
            _ => failed.why(true),
        };
        (Status::Unknown, why)
    })
}

/// The snapshots, and what is wrong with the repository all the same; or the cause why there is no list.
#[allow(clippy::type_complexity)]
fn listed(ended: &Ended) -> Result<(Vec<Snapshot>, Option<String>), (Status, String)> {
    let complaint = complaint(&ended.err);
    let unknown = |why: String| (Status::Unknown, why);
    match ended.status.code() {
        Some(0) if !ended.whole => Err(unknown("more snapshots than can be read: run `restic forget --prune`".into())),
        Some(0) => {
            let list: Option<Vec<Snapshot>> = serde_json::from_slice(&ended.out).map_err(|error| {
                unknown(format!("its list of snapshots cannot be read: {}", excerpt(&error.to_string(), 80)))
            })?;
            // It passes over a snapshot that it cannot load, says so, and ends well.
            let lost = ["load snapshot", "gnoring", "invalid data"].iter().any(|word| complaint.contains(word));
            let damaged = lost.then(|| format!("damaged: {}", excerpt(&complaint, 160)));
            Ok((list.unwrap_or_default(), damaged))
        }
        Some(code) => Err(cause(code, &complaint)),
        None => Err(unknown(format!("restic was ended by {}", signal(ended.status)))),
    }
}

/// Why restic could not list anything, in one sentence; by its exit code (since 0.17) or by what it said (before).
fn cause(code: i32, complaint: &str) -> (Status, String) {
    let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    let unreachable = says(&["refused", "timeout", "timed out", "no such host", "unreachable", "reset by peer", "EOF"]);
    let gone = says(&["no such file or directory", "does not exist", "NoSuchBucket", "not a directory"]);
    let (status, told) = match code {
        10 => (Status::Fail, "there is no repository at that place"),
        11 => (Status::Unknown, "the repository is locked"),
        12 => (Status::Unknown, "the password is wrong"),
        _ if says(&["wrong password or no key"]) => (Status::Unknown, "the password is wrong"),
        _ if says(&["empty password"]) => (Status::Unknown, "no password: name `password_file` or `password_command`"),
        _ if says(&["Resolving password failed", "password file", "resolve password"]) => {
            (Status::Unknown, "the password cannot be read")
        }
        _ if says(&["already locked"]) => (Status::Unknown, "the repository is locked"),
        _ if unreachable => (Status::Unknown, "the repository cannot be reached"),
        _ if gone && says(&["unable to open config file", "Is there a repository"]) => {
            (Status::Fail, "there is no repository at that place")
        }
        _ if says(&["ciphertext verification failed", "invalid data returned", "panic: "]) => {
            (Status::Fail, "the repository is damaged")
        }
        _ => return (Status::Unknown, format!("restic ended with exit {code}: {}", excerpt(complaint, 160))),
    };
    match excerpt(complaint.trim_start_matches("Fatal: "), 120) {
        said if said.is_empty() => (status, told.to_owned()),
        said => (status, format!("{told}: {said}")),
    }
}

/// What restic said on its standard error, in one line: since 0.17 its `--json` covers that too.
fn complaint(err: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Told {
        message: String,
    }
    let err = String::from_utf8_lossy(err);
    let lines = err.lines().map(|line| match serde_json::from_str::<Told>(line) {
        Ok(told) => told.message,
        Err(_) => line.to_owned(),
    });
    // What follows the cause of a panic is of use to restic's authors alone.
    let lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).take(4).collect();
    lines.join(" ").replace('\n', " ")
}

/// The snapshots that count: of each host and each path (of those that are meant) the newest one that holds it. A backup of
/// `/srv` holds `/srv/shop` too.
fn current<'s>(snapshots: &'s [Snapshot], meant: &[String]) -> Vec<&'s Snapshot> {
    let holds = |snapshot: &Snapshot, path: &str| snapshot.paths.iter().any(|held| Path::new(path).starts_with(held));
    let mut current: Vec<&Snapshot> = vec![];
    let mut known: BTreeSet<(&str, &str)> = BTreeSet::new();
    for snapshot in snapshots {
        let named = snapshot.paths.iter().filter(|path| meant.contains(path)).collect::<Vec<_>>();
        // The filter let it in all the same: restic knows its paths better.
        let paths = if named.is_empty() { snapshot.paths.iter().collect() } else { named };
        for path in paths {
            if known.insert((&snapshot.hostname, path)) {
                let of = snapshots.iter().filter(|other| other.hostname == snapshot.hostname && holds(other, path));
                current.extend(of.max_by_key(|other| other.time));
            }
        }
        if snapshot.paths.is_empty() {
            current.push(snapshot);
        }
    }
    current.sort_by(|a, b| b.time.cmp(&a.time).then(a.id.cmp(&b.id)));
    current.dedup_by(|a, b| a.id == b.id);
    current
}

/// The snapshot before that one, of the same host and paths.
fn before<'s>(snapshot: &Snapshot, snapshots: &'s [Snapshot]) -> Option<&'s Snapshot> {
    let same = |other: &&Snapshot| {
        other.id != snapshot.id
            && other.time <= snapshot.time
            && other.hostname == snapshot.hostname
            && other.paths == snapshot.paths
    };
    snapshots.iter().filter(same).max_by_key(|other| other.time)
}

/// Whose backup it is.
fn series(snapshot: &Snapshot) -> String {
    let more = if snapshot.paths.len() > 1 { format!(" and {} more", snapshot.paths.len() - 1) } else { String::new() };
    let path = snapshot.paths.first().map(|path| excerpt(path, 40)).unwrap_or_default();
    format!("{}:{path}{more}", excerpt(&snapshot.hostname, 30))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    fn ended(code: i32, out: &str, err: &str) -> Ended {
        let status = ExitStatus::from_raw(code << 8);
        Ended { status, out: out.into(), err: err.into(), whole: true }
    }

    /// What restic 0.14 (as Debian has it) and 0.17 said when these things were done to them.
    #[test]
    fn each_cause_is_one_sentence() {
        let exit_error = |code: i32, message: &str| {
            format!("{{\"message_type\":\"exit_error\",\"code\":{code},\"message\":\"Fatal: {message}\"}}\n")
        };
        for (code, err, status, says) in [
            (10, exit_error(10, "repository does not exist: stat x/config\\nIs there a repository"), Status::Fail, "there is no repository at that place"),
            (11, exit_error(11, "failed to lock repository"), Status::Unknown, "the repository is locked"),
            (12, exit_error(12, "wrong password or no key found"), Status::Unknown, "the password is wrong"),
            (1, "Fatal: wrong password or no key found\n".into(), Status::Unknown, "the password is wrong"),
            (1, "Fatal: an empty password is not a password\n".into(), Status::Unknown, "no password: name"),
            (
                1,
                "Fatal: unable to open config file: stat nowhere/config: no such file or directory\nIs there a repository \
                 at the following location?\nnowhere\n"
                    .into(),
                Status::Fail,
                "there is no repository at that place",
            ),
            (
                1,
                "Fatal: unable to open config file: Head \"http://127.0.0.1:1/config\": dial tcp 127.0.0.1:1: connect: \
                 connection refused\nIs there a repository at the following location?\n"
                    .into(),
                Status::Unknown,
                "the repository cannot be reached",
            ),
            (1, "unable to create lock in backend: repository is already locked\n".into(), Status::Unknown, "locked"),
            (2, "panic: runtime error: slice bounds out of range\n".into(), Status::Fail, "damaged"),
            (3, "something \u{1b}[31mnew\n".into(), Status::Unknown, "restic ended with exit 3: something"),
        ] {
            let (found, why) = listed(&ended(code, "", &err)).unwrap_err();
            assert!(found == status && why.contains(says), "{code} {err}: {found:?} {why}");
            assert!(!why.chars().any(crate::name::is_hidden) && !why.contains("message_type"), "{why}");
        }
        let (list, damaged) =
            listed(&ended(0, "[]", "could not load snapshot 6f70f319: invalid data returned\n")).unwrap();
        assert!(list.is_empty() && damaged.unwrap().starts_with("damaged: "));
        assert!(listed(&ended(0, "null", "")).unwrap().0.is_empty(), "restic writes an empty list so");
        for bad in ["", "{}", "[{}]", "[{\"time\":\"yesterday\",\"id\":\"a\"}]"] {
            assert_eq!(listed(&ended(0, bad, "")).unwrap_err().0, Status::Unknown, "{bad}");
        }
    }

    #[test]
    fn a_snapshot_says_itself_how_much_is_in_it() {
        let list = r#"[{"time":"2026-11-21T13:13:39.092489103Z","id":"aa","hostname":"h","paths":["/a"],"summary":
            {"backup_start":"2026-11-21T13:13:38Z","total_files_processed":3,"total_bytes_processed":70,"data_added":5}},
            {"time":"2026-11-20T13:13:39+01:00","id":"bb","hostname":"h","paths":["/a"]},
            {"time":"2026-11-20T13:13:40+01:00","id":"cc","hostname":"other","paths":["/a"]}]"#;
        let (list, _) = listed(&ended(0, list, "")).unwrap();
        let newest = current(&list, &[])[0];
        let before = before(newest, &list);
        assert_eq!((newest.id.as_str(), before.unwrap().id.as_str()), ("aa", "bb"), "of the same host and paths");
        assert_eq!(newest.summary.unwrap().total_bytes_processed, 70);
    }

    #[test]
    fn every_path_of_every_host_counts_by_the_newest_snapshot_that_holds_it() {
        let snapshot = |id: &str, hour: u64, hostname: &str, paths: &[&str]| Snapshot {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(3600 * hour),
            id: id.into(),
            hostname: hostname.into(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            summary: None,
        };
        let ids = |snapshots: &[Snapshot], meant: &[&str]| {
            let meant: Vec<String> = meant.iter().map(|path| (*path).to_owned()).collect();
            current(snapshots, &meant).iter().map(|snapshot| snapshot.id.clone()).collect::<Vec<_>>()
        };
        let (a, b) = (snapshot("a", 1, "h", &["/srv/a"]), snapshot("b", 2, "h", &["/srv/b"]));
        let (c, other) = (snapshot("c", 3, "h", &["/srv/a"]), snapshot("d", 1, "other", &["/srv/a"]));
        let all = [a.clone(), b.clone(), c.clone(), other];
        assert_eq!(ids(&all, &[]), ["c", "b", "d"]);
        assert_eq!(ids(&[a.clone(), b.clone(), snapshot("e", 4, "h", &["/srv/a", "/srv/b"])], &[]), ["e"]);
        assert_eq!(ids(&[a.clone(), b.clone(), snapshot("f", 4, "h", &["/srv"])], &[]), ["f"], "a folder around both");
        assert_eq!(ids(&[a, b, snapshot("g", 4, "h", &["/srv/al"])], &[]), ["g", "b", "a"], "no path around any");
        let both = snapshot("i", 1, "h", &["/srv/a", "/srv/b"]);
        assert_eq!(ids(&[both.clone(), c.clone()], &["/srv/a"]), ["c"], "what is not meant does not count");
        assert_eq!(ids(&[both, c], &[]), ["c", "i"]);
        assert_eq!(ids(&[], &[]), Vec::<String>::new());
    }

    const HOUR: Duration = Duration::from_secs(3600);

    /// A watch on nothing: what it looks at is handed to it, and it starts no restic.
    fn looking() -> Restic {
        let (folder, timeout) = (std::env::temp_dir(), Duration::from_secs(1));
        Restic {
            program: Program { argv: vec![], folder, env: vec![], timeout, keep: LIST_BYTES_MAX },
            filters: vec![],
            paths: vec![],
            max_age: None,
            min_size_ratio: None,
            verified_within: None,
            stamps: vec![],
            contents: BTreeMap::new(),
        }
    }
    /// So many hours old, with so many files and bytes in it.
    fn snapshot(id: &str, hours: u32, files: u64, bytes: u64) -> Snapshot {
        Snapshot {
            time: SystemTime::now() - HOUR * hours,
            id: id.into(),
            hostname: "h".into(),
            paths: vec!["/srv".into()],
            summary: Some(Summary { total_files_processed: files, total_bytes_processed: bytes }),
        }
    }
    async fn found(restic: &mut Restic, snapshots: &[Snapshot]) -> Vec<(Status, String)> {
        let (now, mut findings) = (SystemTime::now(), Findings::default());
        let deadline = Instant::now() + Duration::from_secs(60);
        restic.look_at(&snapshots[0], snapshots, now, deadline, &mut findings).await;
        findings.0
    }

    #[tokio::test]
    async fn a_backup_that_is_old_or_empty_is_red() {
        let mut restic = Restic { max_age: Some(HOUR * 26), ..looking() };
        assert_eq!(found(&mut restic, &[snapshot("a", 25, 3, 70)]).await, []);
        let old = found(&mut restic, &[snapshot("a", 27, 3, 70)]).await;
        assert!(matches!(&old[..], [(Status::Fail, why)] if why.contains("older than")), "{old:?}");
        assert_eq!(found(&mut looking(), &[snapshot("a", 9_999, 3, 70)]).await, [], "nobody said how old it may be");
        for (files, bytes, what) in [(0, 0, "0 files"), (0, 70, "0 files"), (3, 0, "0 bytes")] {
            let empty = found(&mut restic, &[snapshot("a", 1, files, bytes)]).await;
            assert!(matches!(&empty[..], [(Status::Fail, why)] if why.ends_with(what)), "{files} {bytes}: {empty:?}");
        }
        let tomorrow = Snapshot { time: SystemTime::now() + HOUR * 24, ..snapshot("a", 0, 3, 70) };
        let early = found(&mut restic, &[tomorrow]).await;
        assert!(matches!(&early[..], [(Status::Unknown, _)]), "{early:?}");
    }

    #[tokio::test]
    async fn a_backup_that_shrank_is_red_and_one_without_another_before_it_says_so() {
        let mut restic = Restic { min_size_ratio: Some(0.5), ..looking() };
        for (before, now, status) in [
            (Some(100), 49, Some(Status::Fail)),
            (Some(100), 50, None),
            (Some(100), 101, None),
            (Some(0), 50, Some(Status::Warn)),
            (None, 50, Some(Status::Warn)),
        ] {
            let older = before.map(|bytes| snapshot("before", 24, 3, bytes));
            let all: Vec<_> = std::iter::once(snapshot("now", 1, 3, now)).chain(older).collect();
            let found = found(&mut restic, &all).await;
            assert_eq!(
                found.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
                Vec::from_iter(status),
                "{found:?}"
            );
        }
        let foreign = Snapshot { hostname: "other".into(), ..snapshot("before", 24, 3, 1_000) };
        let found = found(&mut restic, &[snapshot("now", 1, 3, 50), foreign]).await;
        assert!(matches!(&found[..], [(Status::Warn, why)] if why == "nothing to compare with"), "{found:?}");
    }

    #[test]
    fn a_backup_that_was_not_checked_of_late_is_red() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = |name: &str| Stamp { path: folder.path().join(name), never: "never checked", done: "checked" };
        let restic = Restic { verified_within: Some(HOUR * 24 * 7), stamps: vec![stamp("checked")], ..looking() };
        let found = |restic: &Restic| {
            let mut findings = Findings::default();
            restic.verified(&mut findings);
            findings.0
        };
        let never = found(&restic);
        assert!(matches!(&never[..], [(Status::Fail, why)] if why == "never checked: no checked"), "{never:?}");
        let file = std::fs::File::create(folder.path().join("checked")).unwrap();
        assert_eq!(found(&restic), []);
        file.set_modified(SystemTime::now() - HOUR * 24 * 8).unwrap();
        let old = found(&restic);
        assert!(matches!(&old[..], [(Status::Fail, why)] if why.starts_with("last checked ")), "{old:?}");
        file.set_modified(SystemTime::now() + HOUR).unwrap();
        assert!(matches!(&found(&restic)[..], [(Status::Unknown, _)]));
        assert_eq!(found(&looking()), [], "nobody asked for it");
    }
}

//! What the benches share: ratios and how they are printed, a second process, a raw websocket client.
//!
//! Absolute numbers of a machine say little; every bench measures two things in turn, in one run of one process, and
//! prints their ratio. A goal that is missed is printed as such: a busy machine must not break a build.
#![allow(dead_code)] // every bench uses some of it

pub mod raw;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// What a ratio has to be.
#[derive(Clone, Copy)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Context only.
    None,
}

/// Prints `name: ratio median [min–max] (goal …) pass`.
pub fn report(name: &str, values: &[f64], goal: Goal) {
    report_as(name, "ratio", values, goal);
}

pub fn report_as(name: &str, what: &str, values: &[f64], goal: Goal) {
    let (low, middle, high) = spread(values);
    let verdict = match goal {
        Goal::AtLeast(least) => format!(" (goal ≥ {least}) {}", if middle >= least { "pass" } else { "MISS" }),
        Goal::AtMost(most) => format!(" (goal ≤ {most}) {}", if middle <= most { "pass" } else { "MISS" }),
        Goal::None => String::new(),
    };
    println!("{name}: {what} {} [{}–{}]{verdict}", short(middle), short(low), short(high));
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Smallest, middle and largest.
pub fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => (f64::NAN, f64::NAN, f64::NAN),
        n => (sorted[0], (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0, sorted[n - 1]),
    }
}

pub fn median(values: &[f64]) -> f64 {
    spread(values).1
}

/// Pairs measured one after the other, as ratios.
pub fn ratios(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a / b).collect()
}

/// The name of the bench, and what else the machine does.
pub fn headline(name: &str, what: &str) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("\n{name}: {what}; {cores} cores, load {load} at the start");
}

/// Processor time of this process so far, kernel included.
pub fn cpu() -> Duration {
    cpu_of(nix::sys::resource::UsageWho::RUSAGE_SELF)
}

/// The same of the processes it started and saw the end of.
pub fn cpu_of_children() -> Duration {
    cpu_of(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
}

fn cpu_of(whom: nix::sys::resource::UsageWho) -> Duration {
    use nix::sys::time::TimeValLike as _;
    let usage = nix::sys::resource::getrusage(whom).expect("getrusage of oneself and one's children");
    Duration::from_micros((usage.user_time() + usage.system_time()).num_microseconds().unsigned_abs())
}

/// Resident memory of this process, in KiB.
pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

/// As many open files as the system lets this process have; true where that is enough.
pub fn open_files(wanted: u64) -> bool {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return false };
    soft >= wanted || (hard >= wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok())
}

/// A folder on the disk that holds the build, not in memory: appends are measured there.
pub fn folder() -> tempfile::TempDir {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    tempfile::tempdir_in(beside.unwrap_or_else(|| PathBuf::from("."))).expect("a folder")
}

const ROLE: &str = "CROSSCHECK_BENCH_ROLE";

/// What this process was started as: nothing for the bench itself.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// This program once more, in another role, so that its processor time and memory are not this one's.
pub struct Other {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}
impl Other {
    pub fn start(role: &str) -> Other {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a second process");
        let (to, from) = (child.stdin.take().expect("its input"), child.stdout.take().expect("its output"));
        Other { child, to, from: BufReader::new(from) }
    }
    pub fn say(&mut self, line: &str) {
        writeln!(self.to, "{line}").expect("the other process listens");
    }
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.from.read_line(&mut line).expect("its output") > 0, "the other process ended");
        line.trim_end().to_owned()
    }
    pub fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }
}
impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the bench has ended, however it ends: nothing of it stays behind.
pub async fn until_alone() {
    let _ = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await;
}

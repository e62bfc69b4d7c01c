//! The machine the hub runs on: load, memory, a disk, a process. Every limit given must hold; each one crossed is a
//! sentence of its own, and only what has a limit is looked at.

use super::process::{NAME_BYTES, is_called, lives};
use super::slope::Slope;
use super::{Findings, bytes, excerpt, text};
use crate::event::{Reading, Status};
use crate::plan::{HostLimits, Params};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, UpdateKind};

/// How far back the disk's filling is looked at.
const SLOPE_WINDOW: Duration = Duration::from_secs(600);
/// A disk that would be full later than this is not filling as far as a release goes.
const FULL_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The limits, filled in.
pub(super) struct Host {
    load_per_core_above: Option<f64>,
    memory_free_below: Option<f64>,
    disk_free_below: Option<u64>,
    disk_full_within: Option<Duration>,
    path: PathBuf,
    process: Option<String>,
    system: sysinfo::System,
    began: Instant,
    free: Slope,
}

/// One thing seen: a number, its unit, and how it reads.
type Figure = (f64, &'static str, String);

impl Host {
    /// Fills the templates in.
    pub(super) fn new(limits: &HostLimits, params: &Params, folder: &Path) -> Result<Self, String> {
        let path = limits.path.as_ref().map(|path| path.render(params)).transpose().map_err(text)?;
        Ok(Host {
            load_per_core_above: limits.load_per_core_above,
            memory_free_below: limits.memory_free_below,
            disk_free_below: limits.disk_free_below,
            disk_full_within: limits.disk_full_within,
            path: path.map_or_else(|| folder.to_owned(), |path| folder.join(path)),
            process: limits.process.as_ref().map(|name| name.render(params)).transpose().map_err(text)?,
            system: sysinfo::System::new().map_err(|error| format!("cannot look at this machine: {error}"))?,
            began: Instant::now(),
            free: Slope::new(SLOPE_WINDOW),
        })
    }

    /// Looks once at everything that has a limit. The value is that of the first one in the plan's list of limits.
    pub(super) fn read(&mut self) -> Reading {
        self.read_at(self.began.elapsed())
    }

    fn read_at(&mut self, now: Duration) -> Reading {
        let mut findings = Findings::default();
        let mut figures: Vec<Figure> = vec![];
        let mut hold = |figure: Result<(Figure, Option<String>), String>| match figure {
            Ok((figure, crossed)) => {
                figures.push(figure);
                crossed.into_iter().for_each(|why| findings.add(Status::Fail, why));
            }
            Err(why) => findings.add(Status::Unknown, why),
        };
        if let Some(limit) = self.load_per_core_above {
            hold(self.load(limit));
        }
        if let Some(limit) = self.memory_free_below {
            hold(self.memory(limit));
        }
        let mut filling = None;
        if self.disk_free_below.is_some() || self.disk_full_within.is_some() {
            hold(free(&self.path).map(|free| {
                self.free.add(now, free as f64);
                let name = excerpt(&self.path.to_string_lossy(), 60);
                let (full, told) = self.full(free);
                filling = self.disk_full_within.zip(full).filter(|(limit, full)| full < limit);
                let crossed = self.disk_free_below.filter(|limit| free < *limit);
                let crossed = crossed.map(|limit| format!("less than {} free at {name}", bytes(limit)));
                ((free as f64, "B", format!("{} free at {name}{told}", bytes(free))), crossed)
            }));
        }
        if let Some(name) = self.process.clone() {
            hold(self.alive(&name));
        }
        if let Some((limit, _)) = filling {
            findings.add(Status::Warn, format!("full within {}", about(limit)));
        }
        if figures.is_empty() && findings.0.is_empty() {
            return Reading::unknown("the plan gives no limit to hold this machine against");
        }
        let seen: Vec<&str> = figures.iter().map(|(_, _, seen)| seen.as_str()).collect();
        let seen = seen.join(", ");
        let (value, unit) = figures.first().map_or((None, ""), |(value, unit, _)| (Some(*value), *unit));
        findings.reading(&seen, value, unit)
    }

    /// When the disk will be full as it fills now, and how that reads.
    fn full(&self, free: u64) -> (Option<Duration>, String) {
        if !self.free.is_warm() {
            let told = if self.disk_full_within.is_some() { ", too early to say how fast it fills" } else { "" };
            return (None, told.to_owned());
        }
        let falls = self.free.per_second().filter(|slope| *slope < 0.0);
        let full = falls.and_then(|slope| Duration::try_from_secs_f64(free as f64 / -slope).ok());
        match full.filter(|full| *full < FULL_MAX) {
            Some(full) => (Some(full), format!(", full in about {}", about(full))),
            None => (None, String::new()),
        }
    }

    fn load(&mut self, limit: f64) -> Result<(Figure, Option<String>), String> {
        let load = sysinfo::System::load_average().map_err(|error| format!("load not known: {error}"))?.one;
        // The load counts every core of the machine, so the cores this process may use are the wrong number.
        self.system.refresh_cpu_list(CpuRefreshKind::nothing());
        let cores = self.system.cpus().len();
        if cores == 0 || !load.is_finite() {
            return Err("load per core not known: this machine does not tell its cores".into());
        }
        let load = load / cores as f64;
        let crossed = (load > limit).then(|| format!("load per core is above {limit}"));
        Ok(((load, "", format!("load {load:.2} per core")), crossed))
    }

    fn memory(&mut self, limit: f64) -> Result<(Figure, Option<String>), String> {
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let (available, total) = (self.system.available_memory(), self.system.total_memory());
        if total == 0 {
            return Err("memory not known: this machine does not tell".into());
        }
        let share = available as f64 / total as f64;
        let crossed = (share < limit).then(|| format!("available memory is below {:.0}%", limit * 100.0));
        let percent = share * 100.0;
        Ok(((percent, "%", format!("{percent:.1}% of memory available")), crossed))
    }

    fn alive(&mut self, name: &str) -> Result<(Figure, Option<String>), String> {
        let shown = excerpt(name, 40);
        // The command line is needed only where the name does not fit into what the kernel keeps.
        let long = name.len() > NAME_BYTES;
        let what = ProcessRefreshKind::nothing().without_tasks();
        let what = if long { what.with_cmd(UpdateKind::OnlyIfNotSet) } else { what };
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let processes = self.system.processes();
        // Where /proc hides other people's processes, "not seen" would not mean "not there".
        if !processes.contains_key(&sysinfo::Pid::from_u32(1)) {
            return Err(format!("process {shown} not known: this machine hides its processes"));
        }
        let count = processes.values().filter(|process| is_called(process, name) && lives(process)).count();
        let crossed = (count == 0).then(|| format!("no process {shown} is alive"));
        Ok(((count as f64, "", format!("{count} × {shown}")), crossed))
    }
}

/// Bytes free on the disk that holds the path. Asks that disk itself: going through the list of mounts would touch every
/// one of them, and one dead network mount would hang a watch of another disk.
fn free(path: &Path) -> Result<u64, String> {
    let name = excerpt(&path.to_string_lossy(), 60);
    let disk = nix::sys::statvfs::statvfs(path).map_err(|error| format!("space at {name} not known: {error}"))?;
    // What ordinary users may take, not what root could.
    #[allow(clippy::useless_conversion)] // on some systems it counts in 32 bits
    Ok(u64::from(disk.blocks_available()).saturating_mul(disk.fragment_size()))
}

/// A time of which nobody knows the second: minutes, later hours and days.
fn about(time: Duration) -> String {
    let minutes = (time.as_secs() + 30) / 60;
    match minutes {
        0..2 => format!("{} s", time.as_secs().div_ceil(10) * 10),
        2..15 => format!("{minutes} min"),
        15..100 => format!("{} min", (minutes + 2) / 5 * 5),
        100..2880 => format!("{} h", (minutes + 30) / 60),
        _ => format!("{} days", (minutes + 720) / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Template;

    fn read(limits: HostLimits) -> Reading {
        Host::new(&limits, &Params::new(), Path::new("/")).unwrap().read()
    }
    fn template(text: &str) -> Option<Template> {
        Some(Template::new(text).unwrap())
    }

    #[test]
    fn limits_far_away_hold_and_each_one_crossed_is_named() {
        let reading = read(HostLimits {
            load_per_core_above: Some(1e6),
            memory_free_below: Some(0.0),
            disk_free_below: Some(0),
            ..HostLimits::default()
        });
        assert_eq!(reading.status, Status::Ok, "{}", reading.why);
        assert!(reading.value.is_some());
        let reading = read(HostLimits {
            memory_free_below: Some(1.1),
            disk_free_below: Some(u64::MAX),
            process: template("no-such-process-anywhere"),
            ..HostLimits::default()
        });
        assert_eq!((reading.status, reading.unit.as_str()), (Status::Fail, "%"));
        for part in ["memory is below 110%", "free at /", "no process no-such-process-anywhere is alive"] {
            assert!(reading.why.contains(part), "{}", reading.why);
        }
    }

    #[test]
    fn what_cannot_be_looked_at_is_unknown() {
        let limits =
            HostLimits { disk_free_below: Some(0), path: template("/no/such/folder"), ..HostLimits::default() };
        let reading = read(limits);
        assert_eq!((reading.status, reading.value), (Status::Unknown, None));
        assert_eq!(read(HostLimits::default()).status, Status::Unknown);
    }

    #[test]
    fn a_disk_that_fills_says_when_it_is_full() {
        let limits = |within: u64| HostLimits {
            disk_free_below: Some(0),
            disk_full_within: Some(Duration::from_secs(within)),
            ..HostLimits::default()
        };
        let mut host = Host::new(&limits(3600), &Params::new(), Path::new("/")).unwrap();
        let reading = host.read();
        assert_eq!(reading.status, Status::Ok);
        assert!(reading.why.ends_with("too early to say how fast it fills"), "{}", reading.why);
        // As if the readings before had seen a disk that will be full in 40 minutes and is now where it is.
        let now = free(Path::new("/")).unwrap();
        let rate = now as f64 / 2400.0;
        host.free = Slope::new(SLOPE_WINDOW);
        (0..60).for_each(|n| host.free.add(Duration::from_secs(n * 5), now as f64 + rate * (300 - n * 5) as f64));
        let reading = host.read_at(Duration::from_secs(300));
        assert_eq!(reading.status, Status::Warn, "{}", reading.why);
        assert!(reading.why.contains("free at /, full in about 40 min; full within 60 min"), "{}", reading.why);
        host.disk_full_within = Some(Duration::from_secs(1200));
        assert_eq!(host.read_at(Duration::from_secs(301)).status, Status::Ok);
        for (seconds, text) in
            [(3, "10 s"), (95, "2 min"), (840, "14 min"), (2350, "40 min"), (9000, "3 h"), (400_000, "5 days")]
        {
            assert_eq!(about(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_process_is_found_by_its_name() {
        // A copy under a name longer than the kernel keeps, so that both ways of finding it are walked.
        let folder = tempfile::tempdir().unwrap();
        for name in ["short-1", "a-name-the-kernel-cuts-off"] {
            let path = folder.path().join(name);
            std::os::unix::fs::symlink("/bin/cat", &path).unwrap();
            // It lives until its input ends, which this test holds open.
            let mut child = std::process::Command::new(&path).stdin(std::process::Stdio::piped()).spawn().unwrap();
            let reading = read(HostLimits { process: template(name), ..HostLimits::default() });
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!((reading.status, reading.value), (Status::Ok, Some(1.0)), "{}", reading.why);
        }
    }
}

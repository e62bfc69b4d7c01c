//! Everything that a command started and that still lives: what is in its process session, and what left that.
//!
//! Of a command that daemonises something nothing is to be seen afterwards: a shell that starts a job and ends, a program that
//! forks twice and calls `setsid`. Marks do not help: variables are cleared (`env -i`, `sudo`) or overwritten by a server's
//! own title. So, on Linux, a process of our own stands between hub and command, as `tini -s` and podman's `conmon` do: the
//! *keeper*, a subreaper. Whatever is orphaned below it becomes its child and never init's, so that all of it is found below
//! the keeper, whichever way it went. It leads the session, too: the system hangs up on the foreground of a terminal when its
//! session's leader ends, and the command may end before what it started does. It executes nothing, reads nothing, ends by
//! itself once it has no children left, and lives on when the hub dies, so that the next hub finds the same below it.
//!
//! It cannot see what was started by somebody else at the command's request (`systemd-run`, `at`, a container's daemon), nor
//! what runs on another machine. Elsewhere there is no subreaper, and only the session is known. Start at [`Family`].

use super::process::{self, Stat};
use super::spawn::{self, Image};
use crate::event::{Process, ProcessSeen};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The most of a command line that is shown.
const COMMAND_CHARS: usize = 200;
/// How long processes that were killed may take to be gone.
const DYING: Duration = Duration::from_secs(2);

/// What a keeper tells.
#[derive(Debug)]
pub(super) struct News(#[cfg_attr(not(target_os = "linux"), allow(dead_code))] UnixStream);

/// Starts a command, and has it kept (see [`spawn::spawn`]).
pub(super) fn spawn(
    image: &Image<'_>,
    stdio: [Stdio; 3],
    terminal: bool,
    note: Option<std::fs::File>,
) -> io::Result<Child> {
    spawn::spawn(image, stdio, terminal, note).map(|(leader, news)| Child::new(leader, news))
}

/// A command that was started, and its keeper.
#[derive(Debug)]
pub(super) struct Child {
    /// Whom this process has to reap: the keeper, or the command where it has none.
    leader: std::process::Child,
    news: News,
    main: Option<u32>,
    /// The keeper was killed: what left the session is known to nobody any more.
    pub(super) lost: bool,
}

#[cfg(target_os = "linux")]
impl Child {
    fn new(leader: std::process::Child, news: UnixStream) -> Child {
        Child { leader, news: News(news), main: None, lost: false }
    }
    fn number(&mut self) -> io::Result<i32> {
        let mut bytes = [0; 4];
        io::Read::read_exact(&mut self.news.0, &mut bytes)?;
        Ok(i32::from_ne_bytes(bytes))
    }
    /// The command's number; who it is, and its keeper. Asked once, before anything else.
    pub(super) fn identify(&mut self) -> io::Result<(Process, Option<Process>)> {
        let pid = self.number()?.unsigned_abs();
        self.main = Some(pid);
        let identities = process::identity(pid).and_then(|main| Ok((main, Some(process::identity(self.leader.id())?))));
        io::Write::write_all(&mut self.news.0, &[1])?; // from here on it may be reaped
        identities
    }
    /// Waits until the command has ended; how.
    pub(super) fn wait(&mut self) -> io::Result<ExitStatus> {
        use std::os::unix::process::ExitStatusExt;
        self.number().map(ExitStatus::from_raw).inspect_err(|_| self.lost = true)
    }
    /// Waits at most so long until nothing is left that the command started; whether that is so. Only once it has ended.
    pub(super) fn is_alone_within(&mut self, time: Duration) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        if self.lost {
            std::thread::sleep(time);
            return false;
        }
        let time = PollTimeout::from(u16::try_from(time.as_millis()).unwrap_or(u16::MAX));
        let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(&self.news.0), PollFlags::POLLIN)];
        if !matches!(poll(&mut fds, time), Ok(1..)) {
            return false;
        }
        // It tells nothing more: it has ended, by itself or not.
        self.lost = !self.leader.wait().is_ok_and(|status| status.success());
        !self.lost
    }
}

#[cfg(not(target_os = "linux"))]
impl Child {
    fn new(leader: std::process::Child, news: UnixStream) -> Child {
        Child { leader, news: News(news), main: None, lost: false }
    }
    pub(super) fn identify(&mut self) -> io::Result<(Process, Option<Process>)> {
        self.main = Some(self.leader.id());
        Ok((process::identity(self.leader.id())?, None))
    }
    /// Waits until the command has ended; how. Its number stays its session's, and nobody else's, while that has members.
    pub(super) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.leader.wait()
    }
    /// Waits at most so long until nothing is left in the command's session; whether that is so. Only once it has ended.
    pub(super) fn is_alone_within(&mut self, time: Duration) -> bool {
        if self.family().members().is_empty() {
            return true;
        }
        std::thread::sleep(time);
        self.family().members().is_empty()
    }
}

impl Child {
    pub(super) fn family(&self) -> Family {
        Family { leader: self.leader.id(), main: self.main }
    }
    /// Reaps whom this process has to, once there is nothing left; on a thread of its own where that may take days.
    pub(super) fn reap(mut self) {
        let _ = self.leader.wait(); // how it ended tells nobody anything
    }
    /// Kills all of it and reaps it. What cannot be killed (another user's) is left to a thread.
    pub(super) fn end(mut self) {
        self.family().kill();
        let until = Instant::now() + DYING;
        while Instant::now() < until {
            if !matches!(self.leader.try_wait(), Ok(None)) {
                return;
            }
            let _ = self.is_alone_within(Duration::from_millis(10));
            self.family().kill();
        }
        let _ = std::thread::Builder::new().name("reaper".to_owned()).spawn(move || self.reap());
    }
}

/// A command and all it started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    /// Its session, whose leader is the keeper, or the command where it has none.
    leader: u32,
    /// The command, once it is known.
    main: Option<u32>,
}

/// One of a family that lives.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub pid: u32,
    stat: Stat,
    /// It is in the command's session.
    pub inside: bool,
}

impl Member {
    /// Who it is; nothing where it has just ended.
    pub(super) fn seen(&self) -> Option<ProcessSeen> {
        let process = Process { pid: self.pid, start_time: self.stat.start_time, boot_id: process::boot_id().ok()? };
        let since = process::since(&self.stat);
        Some(ProcessSeen { command: command_line(self.pid)?, process, since })
    }
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).unwrap_or(i32::MAX);
        let same = || process::stat_of(self.pid).is_ok_and(|stat| stat.start_time == self.stat.start_time);
        // It has ended, which is what is wanted, or is another user's, which shows: it lives on.
        let _ = spawn::signal(pid, signal, same);
    }
}

impl Family {
    /// The family of a command that an earlier hub started: below its keeper, while exactly that one lives.
    pub(super) fn of(process: &Process, keeper: Option<&Process>) -> Option<Family> {
        match keeper {
            Some(keeper) => process::is_alive(keeper).then_some(Family { leader: keeper.pid, main: Some(process.pid) }),
            // Of a hub that knew no keeper: the command led its session.
            None => process::is_alive(process).then_some(Family { leader: process.pid, main: Some(process.pid) }),
        }
    }

    /// All that live, the command itself too.
    #[cfg(target_os = "linux")]
    pub(super) fn members(self) -> Vec<Member> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return vec![] };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let all: BTreeMap<u32, Stat> = pids.filter_map(|pid| Some((pid, process::stat_of(pid).ok()?))).collect();
        let is_below = |pid: u32| {
            let mut pid = pid;
            // A tree that changes while it is read could lead in a circle.
            for _ in 0..all.len() {
                match all.get(&pid).and_then(|stat| u32::try_from(stat.parent).ok()) {
                    Some(parent) if parent == self.leader => return true,
                    Some(parent) if parent > 1 => pid = parent,
                    _ => return false,
                }
            }
            false
        };
        let inside = |stat: &Stat| i64::from(stat.session) == i64::from(self.leader);
        let alive = all.iter().filter(|(_, stat)| !stat.is_over());
        let kept = |pid: u32, stat: &Stat| {
            pid != self.leader && (inside(stat) || is_below(pid)) || (pid == self.leader && self.main == Some(pid))
        };
        let members = alive.filter(|(pid, stat)| kept(**pid, stat));
        members.map(|(pid, stat)| Member { pid: *pid, inside: inside(stat), stat: stat.clone() }).collect()
    }
    /// Those in its session: nothing else is known here.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn members(self) -> Vec<Member> {
        let system = sysinfo::System::new_with_specifics(
            sysinfo::RefreshKind::nothing().with_processes(sysinfo::ProcessRefreshKind::nothing()),
        );
        let pids = system.processes().keys().map(|pid| pid.as_u32());
        let all = pids.filter_map(|pid| Some((pid, process::stat_of(pid).ok()?)));
        let members = all.filter(|(_, stat)| i64::from(stat.session) == i64::from(self.leader));
        members.map(|(pid, stat)| Member { pid, stat, inside: true }).collect()
    }

    /// Those in its session but the command itself.
    pub(super) fn others_inside(self) -> Vec<Member> {
        self.members().into_iter().filter(|member| member.inside && Some(member.pid) != self.main).collect()
    }

    /// Those whom nobody but the keeper looks after: who started them is gone. What they started themselves is theirs.
    pub(super) fn orphans(self) -> Vec<Member> {
        let mut all = self.members();
        all.retain(|member| self.is_root(member) && Some(member.pid) != self.main);
        all
    }
    /// Whether that one is the keeper's own child.
    pub(super) fn is_root(self, member: &Member) -> bool {
        i64::from(member.stat.parent) == i64::from(self.leader)
    }

    /// A signal for all of it.
    pub(super) fn signal(self, signal: Signal) {
        self.members().iter().for_each(|member| member.signal(signal));
    }

    /// Asks all of it to end: as Ctrl-C does, and those who do not hear that (every job that a shell starts with `&`) with
    /// SIGTERM.
    pub(super) fn ask(self) {
        for member in self.members() {
            let deaf = ignores(member.pid, Signal::SIGINT);
            member.signal(if deaf { Signal::SIGTERM } else { Signal::SIGINT });
            member.signal(Signal::SIGCONT); // what is stopped cannot hear
        }
    }

    /// SIGTERM for all of it, awake or stopped.
    pub(super) fn terminate(self) {
        for member in self.members() {
            member.signal(Signal::SIGTERM);
            member.signal(Signal::SIGCONT);
        }
    }

    /// Kills all of it. Who is being started meanwhile is found by looking again.
    pub(super) fn kill(self) {
        for _ in 0..8 {
            let members = self.members();
            if members.is_empty() {
                return;
            }
            members.iter().for_each(|member| member.signal(Signal::SIGKILL));
        }
    }
}

/// Its words, in one line; its name in brackets where it has none. Nothing where there is no such process any more.
#[cfg(target_os = "linux")]
fn command_line(pid: u32) -> Option<String> {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        return Some(format!("[{}]", name.trim_end()));
    }
    Some(match words.char_indices().nth(COMMAND_CHARS) {
        Some((cut, _)) => format!("{}…", &words[..cut]),
        None => words,
    })
}
#[cfg(not(target_os = "linux"))]
fn command_line(pid: u32) -> Option<String> {
    let pid = sysinfo::Pid::from_u32(pid);
    let mut system = sysinfo::System::new();
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
    let name = system.process(pid)?.name().to_string_lossy().into_owned();
    Some(name.chars().take(COMMAND_CHARS).collect())
}

/// Whether that process ignores that signal; no where nobody can tell.
fn ignores(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

/// Whether a command, or anything of its session, still runs, that an earlier hub may have started.
pub fn still_runs(process: &Process, keeper: Option<&Process>) -> bool {
    Family::of(process, keeper).is_some_and(|family| family.members().iter().any(|member| member.inside))
}

/// What a command left that is nobody else's child, below its keeper; nothing where that is gone.
pub fn left(process: &Process, keeper: &Process) -> Vec<ProcessSeen> {
    let Some(family) = Family::of(process, Some(keeper)) else { return vec![] };
    // While its own session goes on, so may all that is below it.
    let orphans = if family.others_inside().is_empty() { family.orphans() } else { vec![] };
    orphans.iter().filter_map(Member::seen).collect()
}

/// Interrupts (`force`: kills) all that is left of a command which an earlier hub started, or which has ended. Does nothing
/// once it is gone.
pub fn signal_left(process: &Process, keeper: Option<&Process>, force: bool) {
    let Some(family) = Family::of(process, keeper) else { return };
    match (force, process::is_alive(process)) {
        (true, _) => family.kill(),
        (false, true) => family.signal(Signal::SIGINT),
        (false, false) => family.ask(),
    }
}

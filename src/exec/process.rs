//! Telling one process from a later one with the same number: number, start time and boot together.

use crate::event::Process;
use std::io;

/// What `/proc/PID/stat` says of a process, as far as it matters here.
struct Stat {
    state: char,
    session: i32,
    start_time: u64,
}

/// Reads the fields after the command's name. That name stands in brackets and may itself hold brackets and blanks, so
/// only the last bracket is a border.
fn stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied(); // as proc(5) numbers them; 3 is the first one after the name
    Some(Stat {
        state: field(3)?.chars().next()?,
        session: field(6)?.parse().ok()?,
        start_time: field(22)?.parse().ok()?,
    })
}

#[cfg(target_os = "linux")]
fn stat_of(pid: u32) -> io::Result<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat"))?;
    stat(&String::from_utf8_lossy(&text))
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not as expected")))
}

/// Elsewhere only its existence is known.
#[cfg(not(target_os = "linux"))]
fn stat_of(pid: u32) -> io::Result<Stat> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None)?;
    Ok(Stat { state: 'R', session: 0, start_time: 0 })
}

fn boot_id() -> io::Result<String> {
    match cfg!(target_os = "linux") {
        true => Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned()),
        false => sysinfo::System::boot_time().map(|time| time.to_string()).map_err(|e| io::Error::other(e.to_string())),
    }
}

/// The identity of a process that exists (a child not yet waited for does, even when it has ended).
pub(super) fn identity(pid: u32) -> io::Result<Process> {
    Ok(Process { pid, start_time: stat_of(pid)?.start_time, boot_id: boot_id()? })
}

/// Whether exactly this process still runs: not a later one with its number, not one of another boot, and not a zombie,
/// which can do nothing any more.
pub fn is_alive(process: &Process) -> bool {
    let same = |stat: &Stat| stat.start_time == process.start_time && !matches!(stat.state, 'Z' | 'X' | 'x');
    boot_id().is_ok_and(|id| id == process.boot_id) && stat_of(process.pid).is_ok_and(|stat| same(&stat))
}

/// The process that wrote its number into that note just before it became its command, if it still lives: its session's
/// leader, and as old as the note. The note tells of a command whose start no line records, because the hub died first.
pub fn noted(note: &std::path::Path) -> Option<Process> {
    /// The two ages are read one after the other, and one counts in ticks.
    const APART: std::time::Duration = std::time::Duration::from_secs(3);
    let pid: u32 = std::fs::read_to_string(note).ok()?.trim().parse().ok()?;
    let stat = stat_of(pid).ok()?;
    let process = identity(pid).ok()?;
    let note_age = std::fs::metadata(note).ok()?.modified().ok()?.elapsed().ok()?;
    let own_age = age(&stat)?;
    let same = stat.session == i32::try_from(pid).ok()? && own_age.abs_diff(note_age) <= APART;
    (same && is_alive(&process)).then_some(process)
}

/// How long ago that process started.
fn age(stat: &Stat) -> Option<std::time::Duration> {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    let started = std::time::Duration::from_secs_f64(stat.start_time as f64 / ticks as f64);
    #[cfg(target_os = "linux")]
    let clock = nix::time::ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    let now: std::time::Duration = nix::time::clock_gettime(clock).ok()?.into();
    now.checked_sub(started)
}

/// Interrupts (`force`: kills) a command that an earlier hub started: its whole process group, as its own hub would
/// have. Does nothing once exactly that process is gone.
pub fn signal_orphan(process: &Process, force: bool) -> io::Result<()> {
    use nix::sys::signal::{Signal, killpg};
    if !is_alive(process) {
        return Ok(());
    }
    let group = nix::unistd::Pid::from_raw(i32::try_from(process.pid).map_err(io::Error::other)?);
    killpg(group, if force { Signal::SIGKILL } else { Signal::SIGINT }).map_err(io::Error::from)
}

/// Every process of a session, where the system can tell.
pub(super) fn members(session: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return vec![] };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| stat_of(*pid).is_ok_and(|stat| stat.session == session))
        .filter_map(|pid| pid.try_into().ok())
        .collect()
}

/// Whether that process waits in a read of a terminal right now; nothing where it will not say (another user's).
#[cfg(target_os = "linux")]
pub(super) fn reads_terminal(pid: i32) -> Option<bool> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut waits = false;
    for task in tasks.flatten() {
        let call = match std::fs::read_to_string(task.path().join("syscall")) {
            Ok(call) => call,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
            Err(_) => continue, // it has just ended
        };
        // `running`, or the call's number and its arguments in hexadecimal.
        let mut fields = call.split_ascii_whitespace();
        let number = fields.next().and_then(|number| number.parse::<nix::libc::c_long>().ok());
        let first = fields.next().and_then(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
        let (Some(nix::libc::SYS_read), Some(descriptor)) = (number, first) else { continue };
        let file = std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap_or_default();
        waits |= file.starts_with("/dev/pts") || file.as_os_str() == "/dev/tty";
    }
    Some(waits)
}
/// Elsewhere only that typing is hidden tells it.
#[cfg(not(target_os = "linux"))]
pub(super) fn reads_terminal(_: i32) -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_moves_no_field() {
        let text = "4242 (a) R 1 (b) S 7 42 42 34816 42 4194304 5 6 7 8 9 10 11 12 20 0 1 0 987654 4096 1";
        let stat = stat(text).unwrap();
        assert_eq!((stat.state, stat.session, stat.start_time), ('S', 42, 987_654));
        assert!(super::stat("4242 (a) R 1").is_none());
        assert!(super::stat("").is_none());
    }

    #[test]
    fn this_process_is_alive_and_its_near_twins_are_not() {
        let me = identity(std::process::id()).unwrap();
        assert!(is_alive(&me));
        assert!(!is_alive(&Process { start_time: me.start_time + 1, ..me.clone() }));
        assert!(!is_alive(&Process { boot_id: "another boot".into(), ..me.clone() }));
        assert!(!is_alive(&Process { pid: u32::MAX, ..me }));
    }
}

//! Telling one process from a later one with the same number: number, start time and boot together.

use crate::clock::At;
use crate::event::Process;
use std::io;

/// What `/proc/PID/stat` says of a process, as far as it matters here.
#[derive(Debug, Clone)]
pub(super) struct Stat {
    state: char,
    /// Its parent.
    pub parent: i32,
    /// Its process session.
    pub session: i32,
    /// When it started.
    pub start_time: u64,
}
impl Stat {
    /// It can do nothing any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Reads the fields after the command's name. That name stands in brackets and may itself hold brackets and blanks, so
/// only the last bracket is a border.
fn stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied(); // as proc(5) numbers them; 3 is the first one after the name
    Some(Stat {
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        start_time: field(22)?.parse().ok()?,
    })
}

#[cfg(target_os = "linux")]
pub(super) fn stat_of(pid: u32) -> io::Result<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat"))?;
    stat(&String::from_utf8_lossy(&text))
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not as expected")))
}

/// Elsewhere only its existence and its session are known.
#[cfg(not(target_os = "linux"))]
pub(super) fn stat_of(pid: u32) -> io::Result<Stat> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    nix::sys::signal::kill(pid, None)?;
    let session = nix::unistd::getsid(Some(pid)).map_or(0, nix::unistd::Pid::as_raw);
    Ok(Stat { state: 'R', parent: 0, session, start_time: 0 })
}

pub(super) fn boot_id() -> io::Result<String> {
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
    let same = |stat: &Stat| stat.start_time == process.start_time && !stat.is_over();
    boot_id().is_ok_and(|id| id == process.boot_id) && stat_of(process.pid).is_ok_and(|stat| same(&stat))
}

/// The process that wrote its number and its session's into that note just before it became its command, and its keeper, if
/// one of the two still lives: as old as the note, and of one session. The note tells of a command whose start no line
/// records, because the hub died first.
pub fn noted(note: &std::path::Path) -> Option<(Process, Option<Process>)> {
    /// The two ages are read one after the other, and one counts in ticks.
    const APART: std::time::Duration = std::time::Duration::from_secs(3);
    let text = std::fs::read_to_string(note).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse::<u32>);
    let pid = numbers.next()?.ok()?;
    let session = numbers.next().map_or(Ok(pid), |number| number).ok()?;
    let note_age = std::fs::metadata(note).ok()?.modified().ok()?.elapsed().ok()?;
    let of_the_note = |pid: u32| {
        let stat = stat_of(pid).ok()?;
        let own = stat.session == i32::try_from(session).ok()?;
        let process = identity(pid).ok()?;
        (own && age(&stat)?.abs_diff(note_age) <= APART && is_alive(&process)).then_some(process)
    };
    let keeper = (session != pid).then(|| of_the_note(session)).flatten();
    match of_the_note(pid) {
        Some(process) => Some((process, keeper)),
        // What it started lives on below its keeper. Its own start is not known any more, and no other process is taken for it.
        None => {
            let keeper = keeper?;
            Some((Process { pid, start_time: 0, boot_id: keeper.boot_id.clone() }, Some(keeper)))
        }
    }
}

/// When that process started, to the second.
pub(super) fn since(stat: &Stat) -> Option<At> {
    let ago = i64::try_from(age(stat)?.as_micros()).ok()?;
    let micros = crate::clock::wall().micros().checked_sub(ago)?;
    Some(At::from_micros(micros - micros.rem_euclid(1_000_000)))
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

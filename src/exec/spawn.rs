//! The few calls that the type system cannot vouch for: opening a terminal, what happens between fork and exec, and
//! signalling one process and no later one of its number. The only unsafe code of the crate; each use gives its reason.
#![allow(unsafe_code)] // std has no safe call for a session, a controlling terminal, a second fork, or a pidfd

use super::inherited::Given;
use super::starting::Size;
use nix::libc;
use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicI32, Ordering};

/// Both ends of a new terminal: the hub's, then the command's. Neither is inherited by anything else the hub starts.
#[cfg(target_os = "linux")]
pub(super) fn open_terminal(size: Size) -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::fcntl::{OFlag, open};
    // Not openpty(3): it leaves both descriptors open across an exec for a moment, and a watch's command forked by
    // another thread in that moment would keep the terminal open for as long as it lives.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = nix::pty::posix_openpt(flags)?;
    nix::pty::grantpt(&master)?;
    nix::pty::unlockpt(&master)?;
    let slave = open(nix::pty::ptsname_r(&master)?.as_str(), flags, nix::sys::stat::Mode::empty())?;
    let master = OwnedFd::from(master);
    set_size(std::os::fd::AsFd::as_fd(&master), size)?;
    Ok((master, slave))
}

/// Both ends of a new terminal: the hub's, then the command's.
#[cfg(not(target_os = "linux"))]
pub(super) fn open_terminal(size: Size) -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let ends = nix::pty::openpty(&winsize(size), None)?;
    for end in [&ends.master, &ends.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok((ends.master, ends.slave))
}

fn winsize(size: Size) -> libc::winsize {
    libc::winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Tells a terminal its size; the kernel sends SIGWINCH to whoever is in its foreground.
pub(super) fn set_size(terminal: BorrowedFd<'_>, size: Size) -> io::Result<()> {
    let size = winsize(size);
    // SAFETY: the descriptor is open for the length of the borrow, and TIOCSWINSZ reads one `winsize` and writes nothing.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A null-terminated array of C strings together with the strings it points to.
struct Strings {
    pointers: Vec<*const c_char>,
    _strings: Vec<CString>,
}
// SAFETY: the pointers lead into the heap memory of `_strings`, which moves with them and is never written to.
unsafe impl Send for Strings {}
// SAFETY: as above; all access is reading.
unsafe impl Sync for Strings {}
impl Strings {
    fn new(texts: impl Iterator<Item = String>) -> io::Result<Self> {
        let strings = texts.map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let pointers = strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Self { pointers, _strings: strings })
    }
}

/// A file to execute.
#[derive(Debug)]
pub(super) enum Program {
    /// This binary, whatever its path leads to by now.
    Open(File),
    /// Whatever is there when the kernel looks.
    Named(PathBuf),
}

/// What to execute.
#[derive(Debug)]
pub(super) struct Image<'a> {
    /// The file.
    pub program: Program,
    /// The whole argument vector.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: &'a BTreeMap<String, String>,
    /// The working folder.
    pub cwd: File,
    /// The umask and the limits that it gets.
    pub given: Given,
    /// A descriptor that the program gets under the number it has here, beside its three.
    pub kept: Option<File>,
}

/// Starts a command in a session of its own, with all signals at their defaults and no descriptor but its three and `kept`.
/// With `terminal`, its standard output is a terminal that becomes the controlling one. A failed exec is an error here, not
/// an exit code later. Before the child becomes the program it writes its number and its session's into `note`: from then on
/// it can be found, even if this process dies before it could tell anyone. Whom this process has to reap, and where its news
/// come from.
///
/// On Linux two processes are made. The first leads the session and executes nothing: it is the command's *keeper* (see
/// `keeper`), which adopts whatever the command's processes leave orphaned. The second becomes the command.
pub(super) fn spawn(
    image: &Image<'_>,
    stdio: [Stdio; 3],
    terminal: bool,
    note: Option<std::fs::File>,
) -> io::Result<(std::process::Child, std::os::unix::net::UnixStream)> {
    use std::os::unix::ffi::OsStrExt;
    let (path, program) = match &image.program {
        Program::Named(path) => (path.as_os_str().as_bytes(), None),
        Program::Open(file) => (&b"(opened)"[..], Some(file.as_raw_fd())),
    };
    let path = CString::new(path)?;
    let argv = Strings::new(image.argv.iter().cloned())?;
    let envp = Strings::new(image.env.iter().map(|(name, value)| format!("{name}={value}")))?;
    let (umask, limits) = (image.given.umask, image.given.limits.clone());
    let (cwd, kept) = (image.cwd.as_raw_fd(), image.kept.as_ref().map(AsRawFd::as_raw_fd));
    let (news, told) = std::os::unix::net::UnixStream::pair()?;
    let (failing, failed) = io::pipe()?;
    let (told_fd, failing_fd, failed_fd) = (told.as_raw_fd(), failing.as_raw_fd(), failed.as_raw_fd());
    let [stdin, stdout, stderr] = stdio;
    // Only a name for std; the closure never returns to let it execute anything.
    let mut command = Command::new("crosscheck-step");
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    let before_exec = move || {
        // As a field of a closure only what is named is captured; the strings must come along with their pointers.
        let (argv, envp): (&Strings, &Strings) = (&argv, &envp);
        // SAFETY: between fork and exec of a process with threads only async-signal-safe calls are allowed. These are;
        // everything they point to was allocated before the fork, and the descriptors are those of `image`, which is
        // borrowed until the child has become the program or has failed to.
        unsafe {
            if libc::setsid() == -1 || (terminal && libc::ioctl(1, libc::TIOCSCTTY as _, 0) == -1) {
                return Err(io::Error::last_os_error());
            }
            #[cfg(target_os = "linux")]
            fork_from_keeper(told_fd, failing_fd)?;
            #[cfg(not(target_os = "linux"))]
            let _ = (told_fd, failing_fd);
        }
        // From here on this is the process that becomes the command; its keeper has to be told where it does not.
        let failed = |error: io::Error| {
            // SAFETY: the descriptor is open, and write reads the one byte that it is given.
            unsafe { libc::write(failed_fd, [0_u8].as_ptr().cast(), 1) };
            Err(error)
        };
        if let Some(note) = &note {
            // SAFETY: getsid(0) cannot fail and touches no memory.
            let session = unsafe { libc::getsid(0) };
            let mut digits = [0; 10];
            let mut text = [b' '; 21];
            let own = decimal(std::process::id(), &mut digits);
            text[..own.len()].copy_from_slice(own);
            let mut digits = [0; 10];
            let session = decimal(session.unsigned_abs(), &mut digits);
            text[11..11 + session.len()].copy_from_slice(session);
            if let Err(error) = write_all(note, &text) {
                return failed(error);
            }
        }
        // SAFETY: as above.
        unsafe {
            // Its own group, and the foreground: of a background process SIGTTOU would stop that, were it not blocked.
            #[cfg(target_os = "linux")]
            if libc::setpgid(0, 0) == -1 || (terminal && libc::tcsetpgrp(1, libc::getpid()) == -1) {
                return failed(io::Error::last_os_error());
            }
            if libc::fchdir(cwd) == -1 {
                return failed(io::Error::last_os_error());
            }
            // What the hub ignores (SIGHUP under nohup, SIGPIPE as every Rust program) a child would go on ignoring.
            // Numbers that name no signal, or one that cannot be changed, are refused without harm.
            for signal in 1..=64 {
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            // They are compared before, and set here: between the two they may have been changed from outside (prlimit).
            if let Some(umask) = umask {
                libc::umask(umask);
            }
            for (resource, limit) in &limits {
                if libc::setrlimit(*resource as _, limit) == -1 {
                    return failed(io::Error::last_os_error());
                }
            }
            // Ours close by themselves. Those the hub was started with may not, and one of them may be somebody's lock.
            // A kernel before 5.11 does not know the call; then they stay open, as for any other program's children.
            #[cfg(target_os = "linux")]
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            if let Some(kept) = kept
                && libc::fcntl(kept, libc::F_SETFD, 0) == -1
            {
                return failed(io::Error::last_os_error());
            }
            // Not left to std: it calls execvp, and that hands a file the kernel refuses (ENOEXEC) to /bin/sh, which
            // nobody cross-checked.
            match program {
                Some(program) => execute_open(program, &argv.pointers, &envp.pointers),
                None => libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()),
            };
        }
        failed(io::Error::last_os_error())
    };
    // SAFETY: the closure allocates nothing and takes no lock; `last_os_error` only reads errno.
    unsafe { command.pre_exec(before_exec) };
    let leader = command.spawn()?;
    drop((told, failing, failed));
    Ok((leader, news))
}

/// In the session's leader: forks, and returns in the new process only, which is to become the command. The leader stays as
/// the keeper of it and never returns. Every signal is blocked in the new process.
///
/// # Safety
/// Only between fork and exec, where this process has one thread.
#[cfg(target_os = "linux")]
unsafe fn fork_from_keeper(told: RawFd, failing: RawFd) -> io::Result<()> {
    // SAFETY: all of these are async-signal-safe, and point to nothing but what lies on this stack.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        if libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1 {
            return Err(io::Error::last_os_error());
        }
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => Ok(()),
            main => keep(main, told, failing),
        }
    }
}

/// The keeper: reaps what becomes its child, tells how the command ended, and ends once nothing is left that the command
/// started. Nothing but SIGKILL ends it before. It holds no descriptor but the one it tells on.
///
/// # Safety
/// As [`fork_from_keeper`].
#[cfg(target_os = "linux")]
unsafe fn keep(main: libc::pid_t, told: RawFd, failing: RawFd) -> ! {
    // SAFETY: all of these are async-signal-safe, and point to nothing but what lies on this stack.
    unsafe {
        for signal in (1..=64).filter(|signal| *signal != libc::SIGCHLD) {
            libc::signal(signal, libc::SIG_IGN);
        }
        MAIN.store(main, Ordering::Relaxed);
        libc::signal(libc::SIGHUP, pass_on as *const () as libc::sighandler_t);
        libc::signal(libc::SIGCHLD, libc::SIG_DFL); // ignored, children would be reaped without a word
        // Blocked since before the fork, the hang-up would never come.
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_NAME, c"crosscheck-keep".as_ptr(), 0, 0, 0);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0); // what the hub had in memory stays out of reach
        libc::chdir(c"/".as_ptr());
        close_all_but(told.min(failing), told.max(failing));
        let mut byte = [0_u8];
        let exec_failed = libc::read(failing, byte.as_mut_ptr().cast(), 1) == 1;
        libc::close(failing);
        if exec_failed {
            libc::waitpid(main, std::ptr::null_mut(), 0);
            libc::_exit(0);
        }
        // The hub takes down who the command is before its number can be somebody else's. A hub that died has no say.
        libc::send(told, (&raw const main).cast(), size_of::<libc::pid_t>(), libc::MSG_NOSIGNAL);
        libc::read(told, byte.as_mut_ptr().cast(), 1);
        loop {
            let mut status: libc::c_int = 0;
            match libc::waitpid(-1, &raw mut status, 0) {
                -1 if *libc::__errno_location() == libc::ECHILD => libc::_exit(0),
                pid if pid == main => {
                    MAIN.store(0, Ordering::Relaxed);
                    libc::send(told, (&raw const status).cast(), size_of::<libc::c_int>(), libc::MSG_NOSIGNAL);
                }
                _ => {}
            }
        }
    }
}

/// In a keeper: the command that is not reaped yet; else 0.
#[cfg(target_os = "linux")]
static MAIN: AtomicI32 = AtomicI32::new(0);

/// The hub's end of the terminal closed: the system tells the session's leader, and the command is to know.
#[cfg(target_os = "linux")]
extern "C" fn pass_on(signal: libc::c_int) {
    let main = MAIN.load(Ordering::Relaxed);
    if main > 1 {
        // SAFETY: kill is async-signal-safe, and takes numbers.
        unsafe {
            libc::kill(-main, signal);
            libc::kill(-main, libc::SIGCONT);
        }
    }
}

/// Closes every descriptor but those two, the lower one first.
///
/// # Safety
/// As [`fork_from_keeper`].
#[cfg(target_os = "linux")]
unsafe fn close_all_but(low: RawFd, high: RawFd) {
    for (first, last) in [(0, low - 1), (low + 1, high - 1), (high + 1, RawFd::MAX)] {
        if first > last {
            continue;
        }
        // SAFETY: closing takes numbers, and nothing here uses those descriptors again.
        unsafe {
            if libc::syscall(libc::SYS_close_range, first, last, 0) == -1 {
                for fd in first..=last.min(65_535) {
                    libc::close(fd); // a kernel before 5.9
                }
            }
        }
    }
}

/// Signals exactly that process and no later one with its number: `is_it` is asked once nobody else can get the number.
#[cfg(target_os = "linux")]
pub(super) fn signal(pid: i32, signal: nix::sys::signal::Signal, is_it: impl FnOnce() -> bool) -> io::Result<()> {
    use std::os::fd::FromRawFd;
    // SAFETY: pidfd_open takes numbers and returns a new descriptor, which nobody else owns.
    let process = unsafe {
        match libc::syscall(libc::SYS_pidfd_open, pid, 0) {
            -1 => None,
            fd => RawFd::try_from(fd).ok().map(|fd| OwnedFd::from_raw_fd(fd)),
        }
    };
    if !is_it() {
        return Err(nix::errno::Errno::ESRCH.into());
    }
    let Some(process) = process else {
        // A kernel before 5.3; the number was its own a moment ago.
        return Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal)?);
    };
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and no information goes with the signal.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal as libc::c_int, no_info, 0) }
    {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
/// Elsewhere its number has to do.
#[cfg(not(target_os = "linux"))]
pub(super) fn signal(pid: i32, signal: nix::sys::signal::Signal, is_it: impl FnOnce() -> bool) -> io::Result<()> {
    match is_it() {
        true => Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal)?),
        false => Err(nix::errno::Errno::ESRCH.into()),
    }
}

/// Executes the file behind a descriptor, whatever its name leads to by now. Returns only where that failed.
///
/// # Safety
/// Both lists end with a null pointer, and all others lead to strings that live on.
#[cfg(any(target_os = "linux", target_os = "android"))]
unsafe fn execute_open(program: RawFd, argv: &[*const c_char], envp: &[*const c_char]) -> libc::c_int {
    // SAFETY: as the caller promises; fexecve is async-signal-safe.
    unsafe { libc::fexecve(program, argv.as_ptr(), envp.as_ptr()) }
}
/// Elsewhere the system has no such call, and the path that belongs to the descriptor is executed.
///
/// # Safety
/// Both lists end with a null pointer, and all others lead to strings that live on.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
unsafe fn execute_open(program: RawFd, argv: &[*const c_char], envp: &[*const c_char]) -> libc::c_int {
    let mut path = [0; 1024];
    // SAFETY: F_GETPATH writes at most PATH_MAX (1024) bytes; the rest is as the caller promises.
    unsafe {
        match libc::fcntl(program, libc::F_GETPATH, path.as_mut_ptr()) {
            -1 => -1,
            _ => libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()),
        }
    }
}

/// A number's digits, without allocating.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8; // below 10
        number /= 10;
        if number == 0 {
            return &digits[first..];
        }
    }
}

/// `write(2)`, and nothing else: what it is used for happens between fork and exec.
fn write_all(mut file: &std::fs::File, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    match file.write(bytes)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EIO)),
    }
}

/// Has every signal that whoever started this program lets it ignore (SIGHUP under nohup) do nothing here, and be at its default in
/// whatever it starts: one that is ignored stays so across an exec, one that is taken in does not. Blocked ones and SIGPIPE the standard
/// library sets right in each child. Called once, before anything is started.
pub fn ignore_nothing_in_children() {
    extern "C" fn nothing(_: libc::c_int) {}
    // Not those of job control: a read from a terminal in the background fails while they are ignored, and would be tried for ever.
    for signal in [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGCHLD,
    ] {
        // SAFETY: `sigaction` is plain data for which all zeros is a value; the handler does nothing, so it may run at any time.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN {
                let mut then: libc::sigaction = std::mem::zeroed();
                then.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
                then.sa_flags = libc::SA_RESTART;
                libc::sigaction(signal, &raw const then, std::ptr::null_mut());
            }
        }
    }
}

/// Makes the program that `command` will start the leader of a process session of its own: the hang-up of the terminal
/// it was started from does not reach it.
pub fn in_own_session(command: &mut Command) -> &mut Command {
    // SAFETY: setsid is async-signal-safe and touches no memory of ours.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        })
    }
}

//! The few calls that the type system cannot vouch for: opening a terminal, what happens between fork and exec, and
//! asking whether a child has ended without reaping it. The only unsafe code of the crate; each use gives its reason.
#![allow(unsafe_code)] // std has no safe call for a session, a controlling terminal, or waiting without reaping

use super::inherited::Given;
use super::pty::Size;
use nix::libc;
use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

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

/// Waits until the child has ended, and leaves it a zombie: its number cannot be given to another process before it is
/// reaped, so whoever signals it under the same lock that reaps it can hit nobody else.
pub(super) fn wait_for_end(pid: u32) -> io::Result<()> {
    loop {
        // SAFETY: `siginfo_t` is plain data for which all zeros is a value, and waitid writes to nothing else.
        let result = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT)
        };
        let error = io::Error::last_os_error();
        match result {
            0 => return Ok(()),
            _ if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
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

/// Starts a child in its own session, with all signals at their defaults and no descriptor but its three and `kept`. With
/// `terminal`, its standard output is a terminal that becomes the controlling one. A failed exec is an error here, not an
/// exit code later. Before the child becomes the program it writes its number into `note`: from then on it can be found,
/// even if this process dies before it could tell anyone.
pub(super) fn spawn(
    image: &Image<'_>,
    stdio: [Stdio; 3],
    terminal: bool,
    note: Option<std::fs::File>,
) -> io::Result<Child> {
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
    let [stdin, stdout, stderr] = stdio;
    // Only a name for std; the closure never returns to let it execute anything.
    let mut command = Command::new("crosscheck-step");
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    let before_exec = move || {
        // As a field of a closure only what is named is captured; the strings must come along with their pointers.
        let (argv, envp): (&Strings, &Strings) = (&argv, &envp);
        if let Some(note) = &note {
            let mut digits = [0; 10];
            write_all(note, decimal(std::process::id(), &mut digits))?;
        }
        // SAFETY: between fork and exec of a process with threads only async-signal-safe calls are allowed. These are;
        // everything they point to was allocated before the fork, and the descriptors are those of `image`, which is
        // borrowed until the child has become the program or has failed to.
        unsafe {
            if libc::setsid() == -1 || (terminal && libc::ioctl(1, libc::TIOCSCTTY as _, 0) == -1) {
                return Err(io::Error::last_os_error());
            }
            if libc::fchdir(cwd) == -1 {
                return Err(io::Error::last_os_error());
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
                    return Err(io::Error::last_os_error());
                }
            }
            // Ours close by themselves. Those the hub was started with may not, and one of them may be somebody's lock.
            // A kernel before 5.11 does not know the call; then they stay open, as for any other program's children.
            #[cfg(target_os = "linux")]
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            if let Some(kept) = kept
                && libc::fcntl(kept, libc::F_SETFD, 0) == -1
            {
                return Err(io::Error::last_os_error());
            }
            // Not left to std: it calls execvp, and that hands a file the kernel refuses (ENOEXEC) to /bin/sh, which
            // nobody cross-checked.
            match program {
                Some(program) => execute_open(program, &argv.pointers, &envp.pointers),
                None => libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()),
            };
        }
        Err(io::Error::last_os_error())
    };
    // SAFETY: the closure allocates nothing and takes no lock; `last_os_error` only reads errno.
    unsafe { command.pre_exec(before_exec) };
    command.spawn()
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

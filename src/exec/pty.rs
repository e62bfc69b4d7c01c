//! Runs what was frozen, in a terminal or behind pipes, in a session of its own.
//!
//! Three threads serve a run: one reads output (`reader`), one waits for the end (`ending`), and one ends it by force where
//! the plan sets a timeout. A run is over when everything in the command's session is, and what left that session is named
//! (`keeper`). Each process is signalled by a handle to itself, so a signal can never reach a stranger that was given its
//! number. Start at [`start`].
//!
//! The child outlives a hub that crashes, but not always for long: when the hub's end of a terminal closes, the kernel
//! sends SIGHUP to the session's leader, whose keeper hands it on to the command's group, and later reads and writes fail; a command behind pipes notices only
//! when it writes (SIGPIPE). So after a crash the recorded process may or may not be there: ask
//! [`is_alive`](super::is_alive).

use super::ending::{Ending, end_by_force};
use super::keeper;
use super::opened::{ByName, Opened};
use super::process;
use super::reader::{Feeder, Reader};
use super::shared::{Report, Shared, State};
use super::spawn::{self, Image};
use super::starting::{Size, StartError};
use crate::event::{CommandSeen, Process};
use crate::secret::Given;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::termios::LocalFlags;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

/// A command that was started. Dropping it changes nothing: the command runs on and its output is read on.
#[derive(Debug)]
pub struct Running {
    /// Who it is.
    pub process: Process,
    /// Its keeper, below which everything is found that it starts; none where the system has no such thing.
    pub keeper: Option<Process>,
    shared: Arc<Shared>,
    by_name: Vec<ByName>,
    /// What had changed of what the kernel opened by name.
    at_start: Vec<String>,
}
impl Running {
    /// Sends SIGINT to everything that it started, or once the command itself has ended SIGTERM to who does not hear that;
    /// with `force`, SIGKILL. An error where all of it has ended already.
    pub fn interrupt(&self, force: bool) -> io::Result<()> {
        let mut state = self.shared.state();
        if state.over {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the command has ended"));
        }
        (state.asked, state.forced) = (true, state.forced || force);
        match (force, state.gone) {
            (true, _) => state.family.kill(),
            (false, false) => state.family.signal(Signal::SIGINT),
            (false, true) => state.family.ask(),
        }
        Ok(())
    }
    /// Whether its terminal hides what is typed; nothing where it has none, or has ended.
    pub fn hides_typing(&self) -> Option<bool> {
        let state = self.shared.state();
        let terminal = state.terminal.as_ref().filter(|_| !state.over)?;
        // The terminal's two ends share one set of modes.
        let modes = nix::sys::termios::tcgetattr(terminal).ok()?;
        Some(!modes.local_flags.contains(LocalFlags::ECHO))
    }
    /// Whether something of its session waits for keys at its terminal: it reads there, or hides what is typed and will not say.
    pub fn waits_for_keys(&self) -> bool {
        let (family, hidden) = {
            let state = self.shared.state();
            let Some(terminal) = state.terminal.as_ref().filter(|_| !state.over) else { return false };
            let Ok(modes) = nix::sys::termios::tcgetattr(terminal) else { return false };
            // Whole programs on a screen take single keys; a password is a line.
            let line = modes.local_flags.contains(LocalFlags::ICANON);
            (state.family, line && !modes.local_flags.contains(LocalFlags::ECHO))
        };
        let mut inside = family.members().into_iter().filter(|member| member.inside);
        inside.any(|member| process::reads_terminal(member.pid.cast_signed()).unwrap_or(hidden))
    }
    /// Types a line and Enter. Never waits: a command that reads nothing has room for one line and no more. `hidden` is what
    /// people were told of it: where the terminal shows by now what was to be hidden, nothing is typed.
    pub fn type_line(&self, line: &str, hidden: bool) -> io::Result<()> {
        if hidden && self.hides_typing() != Some(true) {
            return Err(io::Error::other("its terminal would have shown it by then; type it again"));
        }
        let state = self.shared.state();
        let Some(terminal) = state.terminal.as_ref().filter(|_| !state.over) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the command has ended"));
        };
        fcntl(terminal, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let bytes = zeroize::Zeroizing::new(format!("{line}\r").into_bytes());
        match nix::unistd::write(terminal, &bytes) {
            Ok(n) if n == bytes.len() => Ok(()),
            Ok(n) => Err(io::Error::other(format!("it took {n} of {} bytes; it reads nothing", bytes.len()))),
            Err(nix::errno::Errno::EAGAIN) => Err(io::Error::other("it reads nothing, and no more fits")),
            Err(error) => Err(error.into()),
        }
    }
    /// What of that which people checked, and which the command opens by its name, is not as it was when it was started.
    pub fn changed(&self) -> Option<String> {
        let later = self.by_name.iter().filter_map(ByName::changed);
        let all: Vec<_> = self.at_start.iter().cloned().chain(later).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
    /// Changes the terminal's size; does nothing behind pipes or after the end.
    pub fn resize(&self, size: Size) -> io::Result<()> {
        match &self.shared.state().terminal {
            Some(terminal) => spawn::set_size(terminal.as_fd(), size.clamped()),
            None => Ok(()),
        }
    }
    /// How often the reader waited for anything but the command itself and the report channel. Stays 0.
    pub fn waits(&self) -> u64 {
        self.shared.waits.load(Ordering::Relaxed)
    }
}

/// Starts what was opened, with the values of its secrets in the child's environment and nowhere else, and reports on
/// `reports` until [`Report::Ended`].
pub fn start(
    opened: Opened<'_>,
    size: Size,
    reports: tokio::sync::mpsc::Sender<Report>,
    note: Option<&Path>,
    given: &Given,
) -> Result<Running, StartError> {
    let covers = opened.covers;
    let terminal = match covers.io.as_str() {
        "pty" => true,
        "pipe" => false,
        other => return Err(StartError::Io(other.to_owned())),
    };
    if covers.secrets.is_empty() != given.env.is_empty() {
        return Err(StartError::Secrets);
    }
    let env = given.env.over(&covers.env);
    let image = Image { env: &env, ..opened.image };
    let what = if terminal { "terminal" } else { "pipe" };
    let resource = |source| StartError::Resource { what, source };
    let ends = match terminal {
        true => in_terminal(covers, opened.stdin, size.clamped()),
        false => behind_pipes(covers, opened.stdin),
    };
    let Ends { stdio, output, input, keep } = ends.map_err(resource)?;
    let (wake, woken) = io::pipe().map_err(resource)?;
    let note = note
        .map(std::fs::File::create)
        .transpose()
        .map_err(|source| StartError::Resource { what: "note of the process", source })?;
    let mut child = keeper::spawn(&image, stdio, terminal, note)
        .map_err(|source| StartError::Exec { path: covers.exe.path.clone().into(), source })?;

    let at_start = opened.by_kernel.iter().filter_map(ByName::changed).collect();
    let identified = child.identify();
    let family = child.family();
    let state = State {
        family,
        gone: false,
        over: false,
        left: false,
        asked: false,
        forced: false,
        timed_out: false,
        terminal: keep,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), waits: AtomicU64::new(0) });
    let (ended, end) = mpsc::channel();
    let reader = Reader::new(output, input, wake, end, reports.clone(), Arc::clone(&shared), terminal);
    let reader = reader.without(given.needles.clone());
    let started = identified.and_then(|who| {
        thread("command output", move || reader.run())?;
        if let Some(ms) = covers.timeout_ms {
            let shared = Arc::clone(&shared);
            thread("command timeout", move || end_by_force(&shared, Duration::from_millis(ms)))?;
        }
        Ok(who)
    });
    let (process, keeper) = match started {
        Ok(who) => who,
        Err(source) => {
            child.end();
            shared.state().over = true;
            return Err(StartError::Unwatched { source });
        }
    };
    let ending = Ending {
        child,
        shared: Arc::clone(&shared),
        timeout_ms: covers.timeout_ms,
        leaves: covers.leaves.is_some(),
        reports,
        ended,
        woken,
    };
    match thread("command end", move || ending.run()) {
        Ok(()) => Ok(Running { process, keeper, shared, by_name: opened.by_name, at_start }),
        // The child went down with the closure unreaped, and is reaped when the hub ends.
        Err(source) => {
            family.kill();
            Err(StartError::Unwatched { source })
        }
    }
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

/// The two sides of a command's input and output.
struct Ends {
    stdio: [Stdio; 3],
    output: OwnedFd,
    input: Option<Feeder>,
    /// The terminal once more, for its size and its foreground.
    keep: Option<OwnedFd>,
}

fn in_terminal(covers: &CommandSeen, stdin: Option<File>, size: Size) -> io::Result<Ends> {
    let (master, slave) = spawn::open_terminal(size)?;
    // A file takes the place of the terminal on the input alone, as a shell's `<` has it.
    // Where nobody may type and nothing is given, reading ends at once: a command that asks would wait for ever.
    let stdin = match stdin {
        Some(file) => file.into(),
        None if covers.stdin.is_none() && covers.input.is_none() => Stdio::null(),
        None => slave.try_clone()?.into(),
    };
    let stdio = [stdin, slave.try_clone()?.into(), slave.into()];
    let input = match &covers.stdin {
        Some(text) => {
            // Ctrl-D ends a line that has text, and only where it stands alone it is the end of the input.
            let end = if text.is_empty() || text.ends_with('\n') { "\u{4}" } else { "\u{4}\u{4}" };
            Some(Feeder::new(master.try_clone()?, format!("{text}{end}").into_bytes()))
        }
        None => None,
    };
    Ok(Ends { stdio, input, keep: Some(master.try_clone()?), output: master })
}

fn behind_pipes(covers: &CommandSeen, stdin: Option<File>) -> io::Result<Ends> {
    let (output, theirs) = io::pipe()?;
    let (stdin, input) = match (stdin, &covers.stdin) {
        (Some(file), _) => (file.into(), None),
        (None, Some(text)) => {
            let (theirs, ours) = io::pipe()?;
            (theirs.into(), Some(Feeder::new(ours.into(), text.clone().into_bytes())))
        }
        (None, None) => (Stdio::null(), None),
    };
    Ok(Ends { stdio: [stdin, theirs.try_clone()?.into(), theirs.into()], output: output.into(), input, keep: None })
}

//! Whoever runs the tests may have told the system to ignore a hang-up (`nohup`) or to hide new files from everybody. The
//! programs under test shall not begin with that, and so differently from how people start them.
#![allow(unsafe_code)] // std has no safe call for what a child inherits beside its environment and its files

use nix::libc;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Lets what `command` starts begin with every signal at its default, none blocked, and the usual umask.
pub fn fresh(command: &mut Command) -> &mut Command {
    let begin = || {
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; these are, and touch no memory of ours.
        unsafe {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGPIPE, libc::SIGTERM, libc::SIGTSTP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            libc::umask(0o022);
        }
        Ok(())
    };
    // SAFETY: the closure allocates nothing and takes no lock.
    unsafe { command.pre_exec(begin) }
}

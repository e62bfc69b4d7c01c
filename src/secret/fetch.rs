//! Where a secret's value comes from: a command, a variable of the hub, a file. Start at [`fetch`].

use super::{BYTES_MAX, Value};
use crate::plan::{Params, SecretSource};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a command may take: long enough for a person to unlock a key, short enough for a lead who waits.
const COMMAND_TIME: Duration = Duration::from_secs(30);

/// Why a secret could not be had. Never holds a value, nor what a command said: it may have said the value.
#[derive(Debug, thiserror::Error)]
#[error("secret {key}: {why}")]
pub struct FetchError {
    /// The secret.
    pub key: String,
    /// What went wrong, and what to do.
    pub why: String,
}

/// Fetches a value now. Blocks. Relative paths start at `folder`, and commands run in it.
pub fn fetch(key: &str, source: &SecretSource, params: &Params, folder: &Path) -> Result<Value, FetchError> {
    fetch_within(key, source, params, folder, COMMAND_TIME)
}

pub(super) fn fetch_within(
    key: &str,
    source: &SecretSource,
    params: &Params,
    folder: &Path,
    limit: Duration,
) -> Result<Value, FetchError> {
    let error = |why: String| FetchError { key: key.to_owned(), why };
    let (from, bytes) = match source {
        SecretSource::Env(name) => {
            let from = format!("variable {name} of the hub");
            let Some(value) = std::env::var_os(name) else {
                return Err(error(format!("{from} is not set; start the hub with it")));
            };
            (from, Zeroizing::new(value.into_vec()))
        }
        SecretSource::File(path) => {
            let path = folder.join(path.render(params).map_err(|why| error(why.to_string()))?);
            let from = format!("file {}", crate::name::shown(&path.to_string_lossy()));
            let bytes = file(&path).map_err(|why| error(format!("{from}: {why}; the hub must be able to read it")))?;
            (from, bytes)
        }
        SecretSource::Command(wanted) => {
            let words = wanted.run.argv(params).map_err(|why| error(why.to_string()))?;
            let argv = wanted.run.argv_beside(params, wanted.pipefail).map_err(|why| error(why.to_string()))?;
            let (folder, env) = wanted.surroundings(params, folder).map_err(|why| error(why.to_string()))?;
            let from = format!("command {}", crate::name::shown(&words.join(" ")));
            let bytes = command(&argv, &folder, env, limit);
            (from.clone(), bytes.map_err(|why| error(format!("{from} {why}; run it yourself to see what it says")))?)
        }
    };
    Value::new(bytes).map_err(|why| error(format!("what {from} gives cannot be used: {why}")))
}

/// As much as tells whether it is too long; room for all of it, so that no copy is left behind by growing.
fn read(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = BYTES_MAX + 3; // with a line end, and one more
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    from.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Not waited for: to open a FIFO would wait until somebody writes to it.
    let nonblock = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(nonblock).open(path)?;
    match file.metadata()?.is_file() {
        true => read(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

fn command(
    words: &[String],
    folder: &Path,
    env: Vec<(String, String)>,
    limit: Duration,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let (program, arguments) = words.split_first().ok_or("names no program")?;
    // Where a relative path starts is up to the platform once the folder is changed too; joined, it is ours.
    let path = if program.contains('/') { folder.join(program) } else { program.into() };
    let mut command = Command::new(path);
    command.arg0(program).args(arguments).current_dir(folder).envs(env).process_group(0);
    // With the hub's own environment: a password manager needs its agent. What it complains about may hold the value.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let group = i32::try_from(child.id()).ok();
    let stdout = child.stdout.take().ok_or("has no output")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let bytes = read(stdout); // closes it: a command that prints on and on ends, or is ended below
        let _ = sender.send((bytes, child.wait())); // nobody waits any more where it took too long
    });
    let Ok((bytes, status)) = receiver.recv_timeout(limit) else {
        // Its thread has not told that it was reaped, so its number is still that of its group.
        group.map(|group| killpg(Pid::from_raw(group), Signal::SIGKILL));
        return Err(format!("did not end within {}", crate::clock::human(limit)));
    };
    let bytes = bytes.map_err(|error| format!("cannot be read: {error}"))?;
    match status {
        _ if bytes.len() > BYTES_MAX + 2 => Err("prints more than 4 KiB".into()),
        Ok(status) if status.success() => Ok(bytes),
        Ok(status) => Err(format!("failed ({status})")),
        Err(error) => Err(format!("was lost from sight: {error}")),
    }
}

//! A program that is run to look at something, for so long and no longer.
//!
//! It runs in a process group of its own, so that a time-out ends what it started as well, and with the few variables a
//! step gets, so that it reads the same whoever started the hub.

use super::excerpt;
use crate::clock::human;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

/// What is kept of a stream that people read; the rest is read and dropped, so that the program never blocks on a full
/// pipe.
pub(super) const TEXT_BYTES_MAX: usize = 16 << 10;
/// How long output may still come after the program ended. Something it left behind may hold the pipe open for ever.
const DRAIN: Duration = Duration::from_millis(200);

/// What is run, where, and for how long at most.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) argv: Vec<String>,
    pub(super) folder: PathBuf,
    /// Variables it gets beside the few that every program here gets.
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) timeout: Duration,
    /// How much of its standard output is kept.
    pub(super) keep: usize,
}

/// A program that ended, in time.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    /// Whether `out` is all it wrote there.
    pub(super) whole: bool,
}

/// Why there is nothing to judge.
#[derive(Debug)]
pub(super) enum Failed {
    /// It did not start.
    Start(String),
    /// It had to be killed.
    Late { after: Duration, out: Vec<u8>, err: Vec<u8> },
    /// It cannot be waited for.
    Lost(std::io::Error),
}

impl Failed {
    /// The sentence; with what it said until then, unless that may be a secret.
    pub(super) fn why(&self, quote: bool) -> String {
        match self {
            Failed::Start(why) => format!("cannot run it: {why}"),
            Failed::Late { after, out, err } => {
                let said = if quote { said(out, err) } else { String::new() };
                format!("ended by force after {}{said}", human(*after))
            }
            Failed::Lost(error) => format!("lost sight of it: {error}"),
        }
    }
}

/// A child that is killed with its whole group where it is dropped before it ended.
struct Group(Child);

impl Group {
    fn kill(&self) {
        // `id` is there until the child is reaped, so the number cannot belong to another group yet.
        if let Some(pid) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL); // fails only where all of it is gone
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill(); // tokio reaps what it is left with
    }
}

impl Program {
    /// Runs it once. Dropped half-way, it kills what it started.
    pub(super) async fn run(&self) -> Result<Ended, Failed> {
        self.run_with(None).await
    }

    /// What it says at first, for at most so long and up to `keep`; then it is ended. Also says how it ended, where it did by
    /// itself.
    pub(super) async fn begin(&self) -> Result<(Vec<u8>, Option<Ended>), Failed> {
        let mut group = Group(self.spawn(Stdio::null()).map_err(Failed::Start)?);
        let (out, err) = (group.0.stdout.take(), group.0.stderr.take());
        // Its complaints are read beside, or it would stand still when nobody takes them.
        let complaints = tokio::spawn(async move {
            let mut kept = vec![];
            keep(err, &mut kept, TEXT_BYTES_MAX).await;
            kept
        });
        let (mut kept, mut ended) = (vec![], false);
        if let Some(mut out) = out {
            let mut buffer = [0; 4096];
            let reading = async {
                while kept.len() < self.keep {
                    match out.read(&mut buffer).await {
                        Ok(count @ 1..) => kept.extend_from_slice(&buffer[..count]),
                        _ => return true,
                    }
                }
                false
            };
            ended = tokio::time::timeout(self.timeout, reading).await.unwrap_or(false);
        }
        if !ended {
            return Ok((kept, None)); // the group is killed where it is dropped
        }
        let status = tokio::time::timeout(self.timeout, group.0.wait()).await;
        let Ok(status) = status else { return Ok((kept, None)) };
        let status = status.map_err(Failed::Lost)?;
        let err = tokio::time::timeout(DRAIN, complaints).await.ok().and_then(Result::ok).unwrap_or_default();
        Ok((kept.clone(), Some(Ended { status, out: kept, err, whole: true })))
    }

    /// The same, with this on its standard input. One that ends without reading it all is fine.
    pub(super) async fn fed(&self, input: Vec<u8>) -> Result<Ended, Failed> {
        self.run_with(Some(input)).await
    }

    async fn run_with(&self, input: Option<Vec<u8>>) -> Result<Ended, Failed> {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut group = Group(self.spawn(stdin).map_err(Failed::Start)?);
        if let (Some(mut pipe), Some(input)) = (group.0.stdin.take(), input) {
            // Beside everything else: a program may print more than a pipe holds before it reads. Ends with the program.
            tokio::spawn(async move {
                let _ = pipe.write_all(&input).await; // who does not read it need not
            });
        }
        let (mut out, mut err) = (vec![], vec![]);
        let pipes = (group.0.stdout.take(), group.0.stderr.take());
        let mut whole = false;
        let ended = {
            let mut reading = std::pin::pin!(async {
                tokio::join!(keep(pipes.0, &mut out, self.keep), keep(pipes.1, &mut err, TEXT_BYTES_MAX)).0
            });
            let ended = tokio::time::timeout(self.timeout, async {
                tokio::select! {
                    ended = group.0.wait() => return (ended, None),
                    all = &mut reading => whole = all,
                }
                (group.0.wait().await, Some(()))
            })
            .await;
            if let Ok((_, None)) = ended {
                whole = tokio::time::timeout(DRAIN, &mut reading).await.unwrap_or(false);
            }
            ended
        };
        match ended {
            Ok((Ok(status), _)) => Ok(Ended { status, out, err, whole }),
            Ok((Err(error), _)) => Err(Failed::Lost(error)),
            Err(_) => {
                group.kill();
                let _ = group.0.wait().await; // so that no zombie stays
                Err(Failed::Late { after: self.timeout, out, err })
            }
        }
    }

    fn spawn(&self, stdin: Stdio) -> Result<Child, String> {
        let (program, arguments) = self.argv.split_first().ok_or("there is no command")?;
        // Where a relative path starts is up to the platform once the folder is changed too; joined, it is ours.
        let path = match Path::new(program) {
            path if program.contains('/') => self.folder.join(path),
            path => path.to_owned(),
        };
        let kept = ["PATH", "HOME", "USER", "LANG", "TERM"];
        tokio::process::Command::new(path)
            .arg0(program)
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(kept.iter().filter_map(|name| std::env::var_os(name).map(|value| (OsStr::new(name), value))))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{}: {error}", excerpt(program, 80)))
    }
}

/// Reads to the end and keeps the beginning; says whether that is all.
async fn keep(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, most: usize) -> bool {
    let Some(mut pipe) = pipe else { return false };
    let (mut buffer, mut whole) = ([0; 4096], true);
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let room = most - kept.len();
        whole &= count <= room;
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    whole
}

pub(super) fn first_line(output: &[u8]) -> String {
    let output = String::from_utf8_lossy(output);
    excerpt(output.lines().find(|line| !line.trim().is_empty()).unwrap_or_default(), 120)
}

/// What it said, for the end of a sentence: its output, else its complaint.
pub(super) fn said(out: &[u8], err: &[u8]) -> String {
    let line = [first_line(out), first_line(err)].into_iter().find(|line| !line.is_empty());
    line.map(|line| format!(": {line}")).unwrap_or_default()
}

/// How it ended, where that was not a plain exit.
pub(super) fn signal(status: ExitStatus) -> &'static str {
    let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
    signal.map_or("a signal", Signal::as_str)
}

//! A command somebody wrote to look at something: exit 0 is ok, 1 is fail, and anything else says that it could not tell.
//!
//! It runs in a process group of its own, so that a time-out ends what it started as well, and with the few variables a
//! step gets, so that it reads the same whoever started the hub.

use super::{Findings, excerpt};
use crate::clock::human;
use crate::event::{Reading, Status};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

/// What is kept of each output stream; the rest is read and dropped, so that the command never blocks on a full pipe.
const OUTPUT_BYTES_MAX: usize = 16 << 10;
/// How long output may still come after the command ended. Something it left behind may hold the pipe open for ever.
const DRAIN: Duration = Duration::from_millis(200);

/// What is run, where, and for how long at most.
pub(super) struct Command {
    pub(super) argv: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) timeout: Duration,
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

impl Command {
    /// Runs it once. Dropped half-way, it kills what it started.
    pub(super) async fn read(&self) -> Reading {
        let mut group = match self.spawn() {
            Ok(child) => Group(child),
            Err(why) => return Reading::unknown(format!("cannot run it: {why}")),
        };
        let (mut out, mut err) = (vec![], vec![]);
        let pipes = (group.0.stdout.take(), group.0.stderr.take());
        let ended = {
            let mut reading = std::pin::pin!(async {
                tokio::join!(keep(pipes.0, &mut out), keep(pipes.1, &mut err));
            });
            let mut drained = false;
            let ended = tokio::time::timeout(self.timeout, async {
                tokio::select! {
                    ended = group.0.wait() => return ended,
                    () = &mut reading => drained = true,
                }
                group.0.wait().await
            })
            .await;
            if ended.is_ok() && !drained {
                let _ = tokio::time::timeout(DRAIN, &mut reading).await;
            }
            ended
        };
        match ended {
            Ok(Ok(status)) => judge(status, &out, &err),
            Ok(Err(error)) => Reading::unknown(format!("lost sight of it: {error}")),
            Err(_) => {
                group.kill();
                let _ = group.0.wait().await; // so that no zombie stays
                Reading::unknown(format!("ended by force after {}{}", human(self.timeout), said(&out, &err)))
            }
        }
    }

    fn spawn(&self) -> Result<Child, String> {
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
            .envs(kept.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{}: {error}", excerpt(program, 80)))
    }
}

/// Reads to the end and keeps the beginning.
async fn keep(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let room = OUTPUT_BYTES_MAX - kept.len();
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
}

fn first_line(output: &[u8]) -> String {
    let output = String::from_utf8_lossy(output);
    excerpt(output.lines().find(|line| !line.trim().is_empty()).unwrap_or_default(), 120)
}

/// What it said, for the end of a sentence: its output, else its complaint.
fn said(out: &[u8], err: &[u8]) -> String {
    let line = [first_line(out), first_line(err)].into_iter().find(|line| !line.is_empty());
    line.map(|line| format!(": {line}")).unwrap_or_default()
}

fn judge(status: ExitStatus, out: &[u8], err: &[u8]) -> Reading {
    let line = first_line(out);
    // Only a plain, finite number is a value; "12%" or "nan" is text.
    let value = line.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).filter(|n| n.is_finite());
    let said = said(out, err);
    let mut findings = Findings::default();
    match status.code() {
        Some(0) if said.is_empty() => findings.add(Status::Ok, "exit 0"),
        Some(0) => findings.add(Status::Ok, said.trim_start_matches(": ")),
        Some(1) => findings.add(Status::Fail, format!("exit 1{said}")),
        // Whoever could not tell has no number to tell either.
        Some(code) => return Reading::unknown(format!("exit {code}{said}")),
        None => {
            let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
            return Reading::unknown(format!("ended by {}{said}", signal.map_or("a signal", Signal::as_str)));
        }
    }
    findings.reading("", value, "")
}

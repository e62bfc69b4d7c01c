//! `doctor`: whether this machine can host a release, and with a plan whether it can fly that one. Every finding that is not
//! fine says what to do. Nothing of a plan's steps is run; its watches are read once, which is what they are for.

mod machine;
mod plan;

use super::No;
use super::args::Doctor;
use crate::name::shown;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// A tool that says no more about itself within this is not waited for.
const TOOL: Duration = Duration::from_secs(5);

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Fine,
    /// It can be flown with, and should be known.
    Warn,
    /// It keeps a release from being flown.
    Fail,
    /// It could not be found out, which is not the same as fine.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    grade: Grade,
    what: String,
    why: String,
    /// What to do about it; empty where nothing is to be done.
    help: String,
}

impl Finding {
    fn new(grade: Grade, what: impl Into<String>, why: impl Into<String>, help: impl Into<String>) -> Finding {
        Finding { grade, what: what.into(), why: why.into(), help: help.into() }
    }
    fn fine(what: impl Into<String>, why: impl Into<String>) -> Finding {
        Finding::new(Grade::Fine, what, why, "")
    }
    fn warn(what: impl Into<String>, why: impl Into<String>, help: impl Into<String>) -> Finding {
        Finding::new(Grade::Warn, what, why, help)
    }
    fn fail(what: impl Into<String>, why: impl Into<String>, help: impl Into<String>) -> Finding {
        Finding::new(Grade::Fail, what, why, help)
    }
    fn unknown(what: impl Into<String>, why: impl Into<String>, help: impl Into<String>) -> Finding {
        Finding::new(Grade::Unknown, what, why, help)
    }
    /// An error whose further lines are hints, as ours are written.
    fn error(grade: Grade, what: impl Into<String>, error: impl std::fmt::Display) -> Finding {
        let text = error.to_string();
        let mut lines = text.lines();
        let why = lines.next().unwrap_or_default().to_owned();
        let help: Vec<_> = lines.map(|line| line.trim().trim_start_matches("hint: ")).collect();
        Finding::new(grade, what, why, help.join("; "))
    }
}

/// Looks, tells, and says no where something keeps a release from being flown.
pub async fn run(args: Doctor) -> anyhow::Result<()> {
    let mut findings = machine::look(args.transcripts.as_deref()).await;
    if let Some(path) = &args.plan {
        findings.extend(plan::look(path, args.params.into_iter().collect()).await?);
    }
    let width = findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0).min(24);
    for Finding { grade, what, why, help } in &findings {
        let word = match grade {
            Grade::Fine => "ok",
            Grade::Warn => "warn",
            Grade::Fail => "FAIL",
            Grade::Unknown => "unknown",
        };
        println!("{word:<7}  {what:<width$}  {}", shown(why));
        if !help.is_empty() {
            println!("{:<7}  {:<width$}  do: {}", "", "", shown(help));
        }
    }
    let count = |wanted| findings.iter().filter(|finding| finding.grade == wanted).count();
    let [fine, warn, fail, unknown] = [Grade::Fine, Grade::Warn, Grade::Fail, Grade::Unknown].map(count);
    println!("{fine} ok, {warn} to know of, {unknown} not known, {fail} in the way");
    match fail {
        0 => Ok(()),
        _ => Err(No("this machine cannot fly it as it is".to_owned()).into()),
    }
}

/// The first line that a tool prints, standard error where it has no standard output; its exit status; or why it gave
/// none. `words` starts with the program.
async fn ask(words: &[&str], folder: Option<&Path>) -> Result<(bool, String), String> {
    let (program, rest) = words.split_first().ok_or("no program")?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).kill_on_drop(true);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let output = match tokio::time::timeout(TOOL, command.output()).await {
        Err(_) => return Err(format!("{program} gave no answer within {} s", TOOL.as_secs())),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Err(format!("no {program} on PATH")),
        Ok(Err(error)) => return Err(format!("{program} cannot be started: {error}")),
        Ok(Ok(output)) => output,
    };
    let first = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
    };
    let said = match first(&output.stdout) {
        empty if empty.is_empty() => first(&output.stderr),
        line => line,
    };
    Ok((output.status.success(), said))
}

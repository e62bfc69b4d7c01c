//! One file a subcommand. What scripts rely on: exit 0 fine, 1 the answer is no, 2 usage, 3 cannot reach, open, or not
//! allowed.

// First, because its macros count in every file named after it.
#[macro_use]
pub mod out;

mod adhoc;
mod args;
mod armed;
mod cockpit;
mod config;
mod demo;
mod deviations;
mod doctor;
mod evidence;
mod expire;
mod host;
mod join;
mod lint;
mod man;
pub(crate) mod plain;
mod preflight;
mod rehearsal;
mod replay;
mod serve;
mod theme;
mod verbs;
mod verify;
mod watch;
mod whoami;

pub use args::Cli;
use args::Command;
use std::path::{Path, PathBuf};

/// The answer is no: what a user asked about is not so.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct No(pub String);

/// The answer is no, and everything about it was said.
#[derive(Debug, thiserror::Error)]
#[error("no")]
struct Silent;

/// The answer is no, and a plan says why: drawn with the places in it, for the terminal it goes to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongPlan(String);

/// Carries out a command line and returns the exit status.
pub fn run(cli: Cli) -> u8 {
    crate::exec::ignore_nothing_in_children();
    let done = match cli.command {
        Command::Demo(args) => block_on(demo::run(args)),
        Command::New(args) => lint::new(&args),
        Command::Host(args) => block_on(host::run(args)),
        Command::Serve(args) => block_on(serve::run(args)),
        Command::Join(args) => block_on(join::run(args)),
        Command::Whoami(args) => block_on(whoami::run(args)),
        Command::Lint(args) => lint::run(&args),
        Command::Doctor(args) => block_on(doctor::run(args)),
        Command::Watch(args) => block_on(watch::run(args)),
        Command::Replay(args) => block_on(replay::run(args)),
        Command::Report(args) => replay::report(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Evidence(args) => evidence::run(&args),
        Command::Expire(args) => expire::run(&args),
        Command::Theme(args) => theme::run(&args.what),
        Command::Config(args) => config::run(&args.what),
        Command::Completions(args) => man::completions(&args),
        Command::Man(args) => man::run(&args),
    };
    match done {
        Ok(()) => 0,
        Err(error) => status(&error),
    }
}

/// Prints what a command line got wrong, or the help that was asked for, and returns the exit status.
pub fn usage(error: &clap::Error) -> u8 {
    match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => error.exit(),
        // Without its colours: it quotes the command line, and that may have been copied from anywhere.
        _ => eprintln!("{}", error.render().to_string().trim_end()),
    }
    2
}

/// Prints an error with its causes, once, and finds its exit status.
fn status(error: &anyhow::Error) -> u8 {
    // A reader that closed our output has what it wanted.
    if error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    {
        return 0;
    }
    if let Some(WrongPlan(drawn)) = error.downcast_ref() {
        out::drawn(std::io::stderr(), drawn);
        return 1;
    }
    if error.is::<Silent>() {
        return 1;
    }
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    // Messages of several lines bring their own form (a plan's errors).
    if text.starts_with("error") {
        eprintln!("{text}")
    } else {
        eprintln!("error: {text}")
    }
    if error.downcast_ref::<No>().is_some() { 1 } else { 3 }
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // Detached blocking work (a hash of a large file, a hung name lookup) does not hold up the exit.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    done
}

/// `$XDG_STATE_HOME/crosscheck`.
fn state_folder() -> anyhow::Result<PathBuf> {
    use etcetera::BaseStrategy as _;
    let dirs = etcetera::base_strategy::Xdg::new()
        .map_err(|_| anyhow::anyhow!("no home folder: set HOME or XDG_STATE_HOME"))?;
    Ok(dirs.state_dir().unwrap_or_else(|| dirs.home_dir().join(".local/state")).join("crosscheck"))
}

/// Where the last head that this machine saw of a session is kept.
fn head_path(session: &str) -> anyhow::Result<PathBuf> {
    Ok(state_folder()?.join("heads").join(format!("{session}.json")))
}

/// Where the key of a session and principal is kept.
fn key_path(session: &str, who: &str) -> anyhow::Result<PathBuf> {
    let safe: String =
        who.chars().map(|c| if c.is_ascii_alphanumeric() || "@.-_".contains(c) { c } else { '_' }).collect();
    Ok(state_folder()?.join("keys").join(format!("{session}-{safe}.key")))
}

/// The folder a plan lies in: its relative paths start there.
fn plan_folder(plan: &Path) -> PathBuf {
    match plan.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Reads a plan, or prints what is wrong with it as a compiler would: then the answer is no.
fn read_plan(path: &Path) -> anyhow::Result<crate::plan::Plan> {
    use anyhow::Context as _;
    let bytes = std::fs::read(path).with_context(|| format!("the plan {} cannot be read", path.display()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        No(format!("the plan {} is not UTF-8 text (byte {})", path.display(), error.utf8_error().valid_up_to()))
    })?;
    let origin = path.display().to_string();
    let plan = crate::plan::Plan::parse(&origin, &text).and_then(|plan| plan.refused(&origin).map(|()| plan));
    let plan = plan.map_err(|error| {
        let color = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
        WrongPlan(error.render(color))
    })?;
    // Not an error of the plan: who joins with a smaller build reads it too. But a hub that cannot look must not fly.
    match crate::monitor::refused(&plan.watches) {
        Some((watch, why)) => Err(No(format!("error: {}: watch {watch}: {why}", path.display())).into()),
        None => Ok(plan),
    }
}

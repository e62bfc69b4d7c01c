//! `serve`: a hub in the foreground.

use super::args::{HubArgs, Serve};
use super::{read_plan, state_folder};
use crate::hub::driver::Ended;
use crate::hub::{Config, Hub, links};
use crate::plan::Plan;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// Runs until the session is closed or somebody stops it.
pub async fn run(args: Serve) -> anyhow::Result<()> {
    let plan = read_plan(&args.plan)?;
    let origin = args.plan.display().to_string();
    for warning in crate::plan::lint(&plan) {
        eprintln!("{}", warning.render(&origin, &plan, false));
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("CROSSCHECK_LOG").unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let hub = start(plan, &args.plan, &args.hub).await?;
    let action = if hub.resumed { "took up the unfinished session" } else { "opened session" };
    tell(format_args!("{action} {}", &hub.session[..8]));
    tell(format_args!("transcript {}", hub.transcript.display()));
    tell(format_args!("listening  {}", hub.address));
    for (who, link) in &hub.links {
        tell(format_args!("join as {who}:\n  crosscheck join '{link}'"));
    }
    let transcript = hub.transcript.clone();
    let stop = hub.stopper();
    tokio::spawn(async move {
        loop {
            interrupted().await;
            tell(format_args!(
                "stopping once nothing runs; `crosscheck serve` with this plan takes the session up again"
            ));
            stop();
        }
    });
    match hub.wait().await? {
        Ended::Closed => {
            tell(format_args!("session closed"));
            tell(format_args!("transcript {}", transcript.display()));
            let report = crate::report::write_beside(&transcript)
                .context("the report could not be written; `crosscheck report FILE` makes it again")?;
            tell(format_args!("report     {}", report.display()));
        }
        Ended::Stopped => tell(format_args!("hub stopped; the session is not closed")),
    }
    Ok(())
}

/// Prints a line. That nobody takes it (the terminal is gone, a pipe is closed) must not end a hub.
fn tell(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Starts a hub for `serve`, `host` and `demo`, and writes the file of links.
pub async fn start(plan: Plan, path: &Path, args: &HubArgs) -> anyhow::Result<Hub> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let config = Config {
        plan,
        folder,
        params: args.params.iter().cloned().collect(),
        transcripts: transcripts(args.transcripts.as_deref())?,
        listen: args.listen,
        advertise: args.advertise.clone(),
        max_participants: args.max_participants,
        new: args.new,
    };
    let hub = Hub::start(config).await?;
    if let Some(file) = &args.links_file {
        let text = serde_json::to_vec_pretty(&hub.links)?;
        links::replace_private(file, &text)
            .with_context(|| format!("the links file {} cannot be written", file.display()))?;
    }
    Ok(hub)
}

/// The folder for transcripts.
pub fn transcripts(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    match given {
        Some(folder) => Ok(folder.to_owned()),
        None => state_folder(),
    }
}

/// Waits for the first of the signals that ask a program to end. A hang-up is none: a lost terminal or SSH connection must
/// not end a release, and a hub needs no terminal.
pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return std::future::pending().await; // a process without signal handling is ended the hard way
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => return,
            _ = terminate.recv() => return,
            _ = hangup.recv() => tracing::warn!(
                "the terminal is gone; the hub goes on, and ends when the session is closed (or: kill {})",
                std::process::id()
            ),
        }
    }
}

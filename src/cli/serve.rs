//! `serve`: a hub in the foreground.

use super::adhoc::{self, Flown};
use super::args::{HubArgs, Serve};
use super::{No, out, plan_folder, rehearsal, state_folder};
use crate::hub::driver::Ended;
use crate::hub::{Config, Hub, HubError, Stopper, links};
use crate::name::short_id;
use crate::plan::Plan;
use crate::tls::Certificate;
use anyhow::Context as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Runs until the session is closed or somebody stops it.
pub async fn run(args: Serve) -> anyhow::Result<()> {
    let Flown { plan, path } = adhoc::flown(&args.what)?;
    let origin = path.display().to_string();
    for warning in crate::plan::lint(&plan) {
        eprintln!("{}", warning.render(&origin, &plan, false));
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("CROSSCHECK_LOG").unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(out::log)
        .with_ansi(false)
        .init();
    // A limit on the size of files shall be a write that fails, and is told to everyone, not a signal that kills.
    let _handled = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(nix::libc::SIGXFSZ));
    let rehearsal = args.what.data.as_deref();
    if rehearsal.is_some() {
        rehearsal::unrehearsed(&plan);
    }
    let hub = start(plan, &path, &args.hub, rehearsal).await?;
    let action = match (hub.resumed, rehearsal.is_some()) {
        (true, false) => "took up the unfinished session",
        (false, false) => "opened session",
        (true, true) => "took up the unfinished REHEARSAL",
        (false, true) => "opened REHEARSAL",
    };
    if let Some(data) = rehearsal {
        say(&rehearsal::told(data));
    }
    say(&format!(
        "{action} {}\ntranscript {}\nlistening  {}",
        short_id(&hub.session),
        hub.transcript.display(),
        hub.address
    ));
    for (who, link) in &hub.links {
        say(&format!("join as {who}:\n  crosscheck join '{link}'"));
    }
    let transcript = hub.transcript.clone();
    let stop = hub.stopper();
    tokio::spawn(end_when_asked(stop));
    match hub.wait().await? {
        Ended::Closed => {
            let report = crate::report::write_beside(&transcript)
                .context("the report could not be written; `crosscheck report FILE` makes it again")?;
            say(&format!("session closed\ntranscript {}\nreport     {}", transcript.display(), report.display()));
        }
        Ended::Stopped => {
            let how = if args.what.rehearse { " and the same --rehearse --data" } else { "" };
            say(&format!(
                "hub stopped; the session is not closed, `crosscheck serve` with this plan{how} takes it up again"
            ))
        }
    }
    Ok(())
}

/// Prints, as far as anybody still listens: a hub outlives the terminal it was started from.
fn say(text: &str) {
    let mut out = out::stdout();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Starts a hub for `serve`, `host` and `demo`, and writes the file of links.
pub async fn start(plan: Plan, path: &Path, args: &HubArgs, rehearsal: Option<&str>) -> anyhow::Result<Hub> {
    let text = plan.text.to_string();
    let config = Config {
        plan,
        folder: plan_folder(path),
        params: args.params.iter().cloned().collect(),
        rehearsal: rehearsal.map(str::to_owned),
        transcripts: transcripts(args.transcripts.as_deref())?,
        listen: args.listen,
        advertise: args.advertise.clone(),
        certificate: match (&args.tls_cert, &args.tls_key) {
            (Some(certificate), Some(key)) => Some(Certificate::read(certificate, key)?),
            _ => None,
        },
        max_participants: args.max_participants,
        new: args.new,
    };
    let mut hub = Hub::start(config).await.map_err(|error| match error {
        // A file that cannot be flown with is a no, as a plan is.
        HubError::Policy(error) => anyhow::Error::new(No(error.to_string())),
        error => error.into(),
    })?;
    hub.watch_plan(path.to_owned(), text);
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

/// Ends the hub on the signals that ask for it: at once where nothing runs, else once what runs is over. However often the
/// machine asks, it ends nothing that runs; only a person who presses Ctrl-C a second time does. A terminal that goes away
/// asks for nothing: a lost connection never ends a migration.
async fn end_when_asked(hub: Stopper) {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return tracing::warn!("signals cannot be taken in; the hub ends at once on any");
    };
    let mut pressed = false;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {
                hub.stop(pressed).await;
                pressed = true;
            }
            _ = terminate.recv() => hub.stop(false).await,
            _ = hangup.recv() => {}
        }
    }
}

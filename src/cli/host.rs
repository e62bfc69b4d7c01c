//! `host`: a hub in a process session of its own, and the lead's cockpit. Closing the terminal never ends the hub.

use super::adhoc::{self, Flown};
use super::args::{Host, HubArgs, What};
use super::{No, join, serve};
use crate::client::JoinError;
use crate::client::connect::ConnectError;
use crate::link::Link;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a hub may take to say where it listens.
const START: Duration = Duration::from_secs(20);

/// Starts the hub, or finds the one that flies this plan already, and attaches.
pub async fn run(args: Host) -> anyhow::Result<()> {
    let Flown { plan, path } = adhoc::flown(&args.what)?;
    let folder = serve::transcripts(args.hub.transcripts.as_deref())?;
    crate::identity::private_folder(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = adhoc::placed(&path)?;
    let key = crate::hash::Hash::of_parts([path.as_os_str().as_encoded_bytes(), plan.digest.bytes()]).to_string();
    let links_file = args.hub.links_file.clone().unwrap_or_else(|| folder.join(format!("host-{}.links", &key[..12])));
    let log = folder.join(format!("host-{}.log", &key[..12]));
    let lead = plan.crew.lead.first().map(ToString::to_string).unwrap_or_default();

    // A hub that runs already (the lead's connection was lost): attach again.
    if !args.hub.new
        && let Some(link) = lead_link(&links_file, &lead)
    {
        match join::join(link, None, args.key.clone(), None).await {
            Ok(client) => {
                println!("attached to the running hub");
                return join::show(client, &args.screen, Some(&log.display().to_string())).await;
            }
            // There is a hub, and it has its reasons; a second one would not be let near the session. Only a session that
            // is over, or a link of an earlier one, is no reason not to start.
            Err(error) if refused_for_now(&error) => return Err(error),
            Err(_) => {}
        }
    }
    // The old file stays until a hub replaces it: it is the way back in, should there be a hub that did not answer.
    let before = identity(&links_file);
    let said_before = std::fs::metadata(&log).map_or(0, |log| log.len());
    let mut hub = start(&args.what, &args.hub, &links_file, &log)?;
    let fresh = || (identity(&links_file) != before).then(|| lead_link(&links_file, &lead)).flatten();
    let link = wait_for_link(&mut hub, fresh, &log, said_before).await?;
    println!("hub started; links for everyone are in {}", links_file.display());
    let client = join::join(link, None, args.key.clone(), None).await?;
    join::show(client, &args.screen, Some(&log.display().to_string())).await?;
    match hub.try_wait() {
        Ok(Some(_)) => print!("{}", said(&log, said_before)),
        _ => {
            println!(
                "the hub goes on (process {}); `crosscheck host {}` attaches again",
                hub.id(),
                adhoc::said(&args.what)
            )
        }
    }
    Ok(())
}

fn start(what: &What, args: &HubArgs, links_file: &Path, log: &Path) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("cannot find this program again")?;
    // Links stand in it, so it is its owner's alone; appended to, because a hub that runs already may be writing there.
    let out = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(log);
    let out = out.with_context(|| format!("{} cannot be written", log.display()))?;
    // `setsid` makes the hub the leader of a process session of its own: the hang-up of this terminal does not reach it.
    let mut command = Command::new(program);
    command.arg("serve").args(adhoc::again(what)).arg("--listen").arg(args.listen.to_string());
    command.arg("--max-participants").arg(args.max_participants.to_string()).arg("--links-file").arg(links_file);
    for (name, value) in &args.params {
        command.arg("--param").arg(format!("{name}={value}"));
    }
    if let Some(folder) = &args.transcripts {
        command.arg("--transcripts").arg(folder);
    }
    if let Some(host) = &args.advertise {
        command.arg("--advertise").arg(host);
    }
    for (option, file) in [("--tls-cert", &args.tls_cert), ("--tls-key", &args.tls_key)] {
        if let Some(file) = file {
            command.arg(option).arg(file);
        }
    }
    if args.new {
        command.arg("--new");
    }
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    crate::exec::in_own_session(&mut command).spawn().context("the hub cannot be started")
}

async fn wait_for_link(
    hub: &mut Child,
    fresh: impl Fn() -> Option<Link>,
    log: &Path,
    said_before: u64,
) -> anyhow::Result<Link> {
    let started = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(20));
    loop {
        look.tick().await;
        if let Some(link) = fresh() {
            return Ok(link);
        }
        if let Some(status) = hub.try_wait()? {
            let why = format!("the hub ended ({status}):\n{}", said(log, said_before).trim());
            return Err(if status.code() == Some(1) { No(why).into() } else { anyhow::Error::msg(why) });
        }
        if started.elapsed() > START {
            anyhow::bail!("the hub does not come up; see {}", log.display());
        }
    }
}

/// Tells a file from the one that replaces it.
fn identity(file: &Path) -> Option<(u64, i64, i64)> {
    let data = std::fs::metadata(file).ok()?;
    Some((data.ino(), data.mtime(), data.mtime_nsec()))
}

/// What stands in the log from there on.
fn said(log: &Path, from: u64) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(bytes.get(usize::try_from(from).unwrap_or(0)..).unwrap_or_default()).into_owned()
}

/// Whether a hub is there and may let the lead in later.
fn refused_for_now(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(
            JoinError::Refused { retry: true, .. }
                | JoinError::Connect(ConnectError::TooMany { .. } | ConnectError::Silent { .. })
        )
    )
}

fn lead_link(links_file: &Path, lead: &str) -> Option<Link> {
    let links: BTreeMap<String, String> = serde_json::from_slice(&std::fs::read(links_file).ok()?).ok()?;
    links.get(lead)?.parse().ok()
}

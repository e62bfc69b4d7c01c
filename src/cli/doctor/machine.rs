//! What every release needs of the machine its hub runs on, and of the terminal its lead sits at.

use super::{Finding, ask};
use crate::cli::serve;
use crate::trust::agent;
use crate::trust::signer::Signer;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Less than this left and a long command's output may not fit.
const ROOM: u64 = 1 << 30;
/// A disk slower than this is felt: everybody waits for it, line by line.
const SYNC: Duration = Duration::from_millis(20);
/// The smallest terminal that shows everything.
const SIZE: (u16, u16) = (80, 24);

pub(super) async fn look(transcripts: Option<&Path>) -> Vec<Finding> {
    let mut findings = vec![Finding::fine(
        "crosscheck",
        format!(
            "version {}{}{}",
            env!("CARGO_PKG_VERSION"),
            if cfg!(feature = "kafka") { "" } else { ", without Kafka: a plan that watches it cannot be flown here" },
            if cfg!(feature = "sql") { "" } else { ", without databases (`kind = \"sql\"`)" }
        ),
    )];
    findings.push(disk(transcripts));
    findings.push(key().await);
    findings.push(agent_keys().await);
    for (tool, words, used) in [
        ("ssh", ["ssh", "-V"], "`join --via` and steps on other hosts"),
        ("ssh-keygen", ["ssh-keygen", "-?"], "signing with a key file, and checking evidence without crosscheck"),
    ] {
        findings.push(match ask(&words, None).await {
            // ssh-keygen knows no version; that it answers is what counts.
            Ok((_, said)) => Finding::fine(tool, if tool == "ssh" { said } else { "is here".to_owned() }),
            Err(why) => Finding::warn(tool, format!("{why}: {used} will not work"), "install OpenSSH's client"),
        });
    }
    findings.push(clock().await);
    findings.push(logout().await);
    findings.push(terminal());
    findings
}

/// Where transcripts go: can it be written durably, how fast, how much.
fn disk(transcripts: Option<&Path>) -> Finding {
    const WHAT: &str = "transcripts";
    let folder = match serve::transcripts(transcripts) {
        Ok(folder) => folder,
        Err(error) => return Finding::fail(WHAT, error.to_string(), "or give --transcripts DIR"),
    };
    let help = "make it writable for you, or give --transcripts DIR";
    // What is not there yet is made by the first hub; what counts until then is what it would be made in.
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(&folder);
    let synced = || -> std::io::Result<Duration> {
        let mut file = tempfile_in(there)?;
        let mut times = vec![];
        for _ in 0..16 {
            let begin = Instant::now();
            file.write_all(&[b'\n'; 300])?;
            file.sync_data()?;
            times.push(begin.elapsed());
        }
        times.sort();
        Ok(times[times.len() / 2])
    };
    let sync = match synced() {
        Ok(sync) => sync,
        Err(error) => return Finding::fail(WHAT, format!("{} cannot be written: {error}", there.display()), help),
    };
    let free = nix::sys::statvfs::statvfs(there).ok().map(|disk| {
        #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // the types differ between systems
        u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size()))
    });
    let Some(free) = free else {
        return Finding::unknown(WHAT, format!("the free space of {} cannot be read", there.display()), help);
    };
    let why = format!(
        "{}: {:.1} GB free, a line is on disk in {:.2} ms",
        folder.display(),
        free as f64 / 1e9, // one digit is shown
        sync.as_secs_f64() * 1e3
    );
    match (free < ROOM, sync > SYNC) {
        (true, _) => Finding::fail(WHAT, why, "free some space: a hub that cannot write its transcript runs nothing"),
        (_, true) => Finding::warn(WHAT, why, "everyone waits for this disk at every event: take a faster one"),
        _ => Finding::fine(WHAT, why),
    }
}

/// A file without a name: gone with its last handle, whatever happens.
fn tempfile_in(folder: &Path) -> std::io::Result<std::fs::File> {
    let path = folder.join(format!(".crosscheck-doctor-{}", std::process::id()));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

async fn key() -> Finding {
    match Signer::find(None, |_| true).await {
        Ok(signer) => Finding::fine("your key", format!("you sign with {}", signer.describe())),
        Err(error) => Finding::warn(
            "your key",
            format!("{}; in a session without allowed_signers one is made for you", first(&error)),
            "ssh-keygen -t ed25519, then `crosscheck whoami --as YOU` for your line in allowed_signers",
        ),
    }
}

async fn agent_keys() -> Finding {
    const WHAT: &str = "ssh-agent";
    let found = match agent::socket() {
        Ok(socket) => agent::identities(&socket).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(held) if held.is_empty() => Finding::warn(WHAT, "it runs and holds no key", "ssh-add your key"),
        Ok(held) => Finding::fine(WHAT, format!("it holds {} keys", held.len())),
        Err(error) => Finding::error(super::Grade::Warn, WHAT, error),
    }
}

/// Whether somebody keeps the clock right: times in a transcript are held against other machines' logs.
async fn clock() -> Finding {
    const WHAT: &str = "clock";
    let help = "start a time service (chrony, systemd-timesyncd): a transcript's times are held against other logs";
    if let Ok((true, said)) = ask(&["chronyc", "-c", "tracking"], None).await {
        // Comma-separated; the fifth field is the offset in seconds, the last one whether it is normal.
        let fields: Vec<&str> = said.split(',').collect();
        let offset = fields.get(4).and_then(|text| text.parse::<f64>().ok()).map(f64::abs);
        return match (fields.last(), offset) {
            (Some(&"Normal"), Some(offset)) if offset < 1.0 => {
                Finding::fine(WHAT, format!("chrony keeps it, {:.1} ms off", offset * 1e3))
            }
            (_, Some(offset)) => Finding::warn(WHAT, format!("chrony says it is not in step, {offset:.3} s off"), help),
            _ => Finding::unknown(WHAT, format!("chrony's answer cannot be read: {said}"), help),
        };
    }
    match ask(&["timedatectl", "show", "--property=NTPSynchronized", "--value"], None).await {
        Ok((true, said)) if said == "yes" => Finding::fine(WHAT, "the system says it is synchronized"),
        Ok((true, said)) if said == "no" => Finding::warn(WHAT, "the system says it is not synchronized", help),
        Ok((_, said)) => Finding::unknown(WHAT, format!("timedatectl says {said:?}"), help),
        Err(why) => Finding::unknown(WHAT, format!("nobody here knows whether it is right: {why}"), help),
    }
}

/// Whether a hub that `host` started lives on when its lead logs out.
async fn logout() -> Finding {
    const WHAT: &str = "logout";
    if !Path::new("/run/systemd/system").is_dir() {
        return Finding::fine(WHAT, "a hub in the background lives on: no systemd here that would end it");
    }
    let help = format!("loginctl enable-linger {}, or run `serve` as a service", crate::exec::user());
    let words = [
        "busctl",
        "get-property",
        "org.freedesktop.login1",
        "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager",
        "KillUserProcesses",
    ];
    let kills = match ask(&words, None).await {
        Ok((true, said)) if said == "b false" => return Finding::fine(WHAT, "a hub in the background lives on"),
        Ok((true, said)) if said == "b true" => "systemd ends what a user leaves running at logout".to_owned(),
        Ok((_, said)) => return Finding::unknown(WHAT, format!("systemd-logind says {said:?}"), help),
        Err(why) => return Finding::unknown(WHAT, why, help),
    };
    match ask(&["loginctl", "show-user", &crate::exec::user(), "--property=Linger", "--value"], None).await {
        Ok((true, said)) if said == "yes" => {
            Finding::fine(WHAT, "a hub in the background lives on: lingering is enabled for you")
        }
        Ok(_) => Finding::fail(WHAT, format!("{kills}, the hub too"), help),
        Err(why) => Finding::unknown(WHAT, format!("{kills}; whether you may linger is not known: {why}"), help),
    }
}

fn terminal() -> Finding {
    const WHAT: &str = "terminal";
    if !std::io::stdout().is_terminal() {
        return Finding::fine(WHAT, "this is none; where there is none, plain mode needs none");
    }
    let (cols, rows) = match crossterm::terminal::size() {
        Ok(size) => size,
        Err(error) => return Finding::unknown(WHAT, format!("its size cannot be read: {error}"), "use --plain"),
    };
    let options = match crate::tui::Options::from_env(None, |name| std::env::var(name).ok()) {
        Ok(options) => options,
        Err(error) => return Finding::error(super::Grade::Warn, WHAT, error),
    };
    let colors = match options.depth {
        crate::tui::Depth::True => "all colours",
        crate::tui::Depth::Indexed => "256 colours",
        crate::tui::Depth::Ansi => "16 colours",
        crate::tui::Depth::Mono => "no colours",
    };
    let why = format!(
        "{cols}x{rows}, {colors}, {}",
        match options.glyphs {
            crate::tui::Glyphs::Unicode => "UTF-8",
            crate::tui::Glyphs::Ascii => "ASCII signs (the locale is not UTF-8)",
        }
    );
    match cols < SIZE.0 || rows < SIZE.1 {
        true => {
            Finding::warn(WHAT, why, format!("make it at least {}x{}: smaller ones leave panes out", SIZE.0, SIZE.1))
        }
        false => Finding::fine(WHAT, why),
    }
}

fn first(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

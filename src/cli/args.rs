//! The command line. Doc comments here are the help texts.

use crate::name::Principal;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A cockpit for destructive releases: a lead drives the commands of a written plan, colleagues see one shared session,
/// and before each critical command runs a second person inspects exactly what will run and cross-checks it.
#[derive(Debug, Parser)]
#[command(name = "crosscheck", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fly a sample release that really destroys throw-away files. Needs nothing installed.
    Demo(Demo),
    /// Write a new plan from a template.
    New(New),
    /// Start a hub in the background and open the lead's cockpit. Leaving the cockpit leaves the hub.
    Host(Host),
    /// Run a hub in the foreground: it owns the session, runs its commands and writes its transcript.
    Serve(Serve),
    /// Join a session.
    Join(Join),
    /// Print the `allowed_signers` line of the key you join with.
    Whoami(Whoami),
    /// Read a plan and say what is wrong with it, or unwise.
    Lint(Lint),
    /// Show a transcript in the cockpit, step by step or playing.
    Replay(Replay),
    /// Write a transcript's report.
    Report(Report),
}

/// Where a hub keeps and shows things.
#[derive(Debug, Clone, Args)]
pub struct HubArgs {
    /// Folder for transcripts [default: $XDG_STATE_HOME/crosscheck]
    #[arg(long, value_name = "DIR")]
    pub transcripts: Option<PathBuf>,
    /// Address to listen on, such as 0.0.0.0:7000; port 0 takes the last one again, or any free one. Every connection is
    /// encrypted, and links name the hub's certificate
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Certificate (PEM) of a standing hub, in place of the one a session makes for itself; links given out before no
    /// longer work then
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM, without a passphrase)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Host that the links name [default: the address it listens on, or this machine's name where that is all of them]
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub advertise: Option<String>,
    /// Value of a plan's parameter; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, String)>,
    /// Connections at most
    #[arg(long, value_name = "N", default_value_t = crate::hub::PARTICIPANTS, value_parser = participants)]
    pub max_participants: usize,
    /// File that gets everyone's link as JSON, replaced at every start
    #[arg(long, value_name = "FILE")]
    pub links_file: Option<PathBuf>,
    /// Start another session even where an unfinished one of this plan exists
    #[arg(long)]
    pub new: bool,
}

/// How a cockpit looks.
#[derive(Debug, Clone, Default, Args)]
pub struct ScreenArgs {
    /// No screen: one event a line out, one verb a line in (also with ACCESSIBLE=1, or where there is no terminal)
    #[arg(long)]
    pub plain: bool,
    /// Theme: dusk, paper, beacon, harbour, ansi, mono, a name in $XDG_CONFIG_HOME/crosscheck/themes, or a file
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
    /// Characters that frames and signs are drawn with [default: unicode where the locale is UTF-8]
    #[arg(long, value_enum)]
    pub glyphs: Option<Glyphs>,
}

/// Characters to draw with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Glyphs {
    /// Box drawing and signs.
    Unicode,
    /// ASCII only.
    Ascii,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder for transcripts [default: $XDG_STATE_HOME/crosscheck]
    #[arg(long, value_name = "DIR")]
    pub transcripts: Option<PathBuf>,
    /// How it looks. With --plain it flies by itself, ignores its input, and ends within two minutes.
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// `new`.
#[derive(Debug, Args)]
pub struct New {
    /// The plan's name; the file is sessions/NAME.toml, or NAME.toml where there is no such folder
    pub name: String,
    /// What kind of release
    #[arg(long, default_value = "drop", value_parser = clap::builder::PossibleValuesParser::new(crate::plan::SAMPLES))]
    pub template: String,
}

/// `host`.
#[derive(Debug, Args)]
pub struct Host {
    /// The plan
    pub plan: PathBuf,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// How it looks.
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The plan
    pub plan: PathBuf,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// `join`.
#[derive(Debug, Args)]
pub struct Join {
    /// The link (quote it: the shell eats # and &), or @FILE to read it from a file
    pub link: String,
    /// The name you go by; a personal link knows it already
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub name: Option<Principal>,
    /// Reach the hub through this machine, as `ssh -W` does
    #[arg(long, value_name = "USER@BASTION")]
    pub via: Option<String>,
    /// How it looks.
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// `whoami`.
#[derive(Debug, Args)]
pub struct Whoami {
    /// The link whose key to show (it is made if there is none yet); without it, all keys kept here
    pub link: Option<String>,
}

/// `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// The plans
    #[arg(required = true)]
    pub plans: Vec<PathBuf>,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The transcript
    pub file: PathBuf,
    /// How it looks.
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The transcript
    pub file: PathBuf,
    /// Form of the report
    #[arg(long, value_enum, default_value = "md")]
    pub format: Format,
}

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Markdown.
    Md,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a parameter is written NAME=VALUE".to_owned()),
    }
}

fn host(text: &str) -> Result<String, String> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
    match plain || text.parse::<std::net::Ipv6Addr>().is_ok() {
        true => Ok(text.to_owned()),
        false => Err("a host is a name or an address, without port".to_owned()),
    }
}

fn participants(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=100_000) => Ok(count),
        _ => Err("between 1 and 100000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

//! The command line. Doc comments here are the help texts.

use crate::name::Principal;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What to type first.
const EXAMPLES: &str = "\
Examples:
  crosscheck demo                         fly a sample release; it needs nothing installed
  crosscheck new cleanup --template drop  write a plan with the questions to answer
  crosscheck lint cleanup.toml            say what is wrong with it
  crosscheck host cleanup.toml            start its hub, and open your cockpit
  crosscheck join 'LINK'                  join a session; your link comes from its lead
  crosscheck verify FILE                  say what a transcript proves";

/// A cockpit for destructive releases.
///
/// A lead drives the commands of a written plan, colleagues see one shared session, and before each critical command runs a
/// second person inspects exactly what will run and cross-checks it.
#[derive(Debug, Parser)]
#[command(name = "crosscheck", version, max_term_width = 110, after_help = EXAMPLES)]
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
    /// Look at what a plan watches, and at nothing else.
    Watch(Watch),
    /// Say whether this machine can host a release, and fly a given plan; what is in the way comes with what to do.
    Doctor(Doctor),
    /// Show a transcript in the cockpit, step by step or playing.
    Replay(Replay),
    /// Write a transcript's report.
    Report(Report),
    /// Say what a transcript proves: whether every line and signature holds, and who signed what.
    Verify(Verify),
    /// Write a step's signatures to files that ssh-keygen and sha256sum alone can check.
    Evidence(Evidence),
    /// Delete what the commands of closed sessions printed; their transcripts stay whole.
    Expire(Expire),
    /// Themes: which there are, and whether one can be read by everybody.
    Theme(Theme),
    /// Your own settings: where they lie, whether they can be used, and what a key can be given to.
    Config(Settings),
    /// Print a script that completes the command line in your shell.
    Completions(Completions),
    /// Print the manual page, or write one for each command.
    Man(Man),
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

/// A plan, or a crew without one.
#[derive(Debug, Clone, Args)]
pub struct What {
    /// The plan
    #[arg(required_unless_present = "adhoc", conflicts_with = "adhoc")]
    pub plan: Option<PathBuf>,
    /// No plan: every command is typed in this environment, armed, cross-checked and recorded
    #[arg(long, value_name = "ENV", requires_all = ["lead", "shadow"])]
    pub adhoc: Option<String>,
    /// Who leads without a plan
    #[arg(long, value_name = "PRINCIPAL", requires = "adhoc")]
    pub lead: Option<Principal>,
    /// Who cross-checks without a plan; may be given several times
    #[arg(long, value_name = "PRINCIPAL", requires = "adhoc")]
    pub shadow: Vec<Principal>,
    /// OpenSSH file that vouches for their keys, as `crew.allowed_signers` in a plan
    #[arg(long, value_name = "FILE", requires = "adhoc")]
    pub allowed_signers: Option<String>,
    /// Rehearse the plan with its crew: each command's `rehearse` is run in its place, or what it would run is printed. Nothing
    /// that the plan runs live is run
    #[arg(long, requires = "data", conflicts_with = "adhoc")]
    pub rehearse: bool,
    /// On which data the rehearsal is, in words, such as "masked copy, 10 % sample of 2026-11-01"; every screen says it
    #[arg(long, value_name = "WORDS", requires = "rehearse", value_parser = crate::plan::rehearsal_data)]
    pub data: Option<String>,
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
    /// What is flown.
    #[command(flatten)]
    pub what: What,
    /// The key you sign with, as `join --key` takes it
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
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
    /// What is flown.
    #[command(flatten)]
    pub what: What,
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
    /// The key to sign with: a private key file or its .pub [default: one of your agent or of ~/.ssh that the session's
    /// allowed_signers gives you; where it has none, a key made for this session]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
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
    /// The link whose key to show (it is made if there is none yet); without it, the key that ssh-agent or ~/.ssh has for
    /// you, or else all keys kept here
    pub link: Option<String>,
    /// Who you are, as the plan's crew names you
    #[arg(long = "as", value_name = "PRINCIPAL", conflicts_with = "link")]
    pub name: Option<Principal>,
    /// Your key's file; ssh-agent signs where it holds that key
    #[arg(long, value_name = "FILE", conflicts_with = "link")]
    pub key: Option<PathBuf>,
}

/// `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// The plans
    #[arg(required = true)]
    pub plans: Vec<PathBuf>,
}

/// `watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// The plan
    pub plan: PathBuf,
    /// Read every watch once (within 30 s) and exit: 0 where all are ok, 1 where one is not
    #[arg(long)]
    pub once: bool,
    /// JSON: with --once one object, `{"watches": […]}`; otherwise one watch a line, whenever it was read
    #[arg(long)]
    pub json: bool,
    /// Value of a plan's parameter; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, String)>,
    /// How it looks.
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The plan to be flown; its watches are read once, and none of its steps is run
    pub plan: Option<PathBuf>,
    /// Value of a plan's parameter; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter, requires = "plan")]
    pub params: Vec<(String, String)>,
    /// Folder for transcripts [default: $XDG_STATE_HOME/crosscheck]
    #[arg(long, value_name = "DIR")]
    pub transcripts: Option<PathBuf>,
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

/// `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The transcript
    pub file: PathBuf,
    /// A head that somebody holds (a screen or a report shows it); may be given several times
    #[arg(long = "head", value_name = "SIZE:HASH", value_parser = head)]
    pub heads: Vec<crate::transcript::record::Head>,
    /// Another copy of the same session's transcript, to be held against this one
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// `evidence`.
#[derive(Debug, Args)]
pub struct Evidence {
    /// The transcript
    pub file: PathBuf,
    /// The step
    pub step: crate::name::StepId,
    /// A new folder for the files
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `expire`.
#[derive(Debug, Args)]
pub struct Expire {
    /// A transcript, or a folder of them [default: $XDG_STATE_HOME/crosscheck]
    pub path: Option<PathBuf>,
    /// Of sessions closed longer ago than this, such as 90d
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub older_than: Option<std::time::Duration>,
    /// Of this session: its id, or the first eight letters of it
    #[arg(long, value_name = "ID", conflicts_with = "older_than")]
    pub session: Option<String>,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `theme`.
#[derive(Debug, Args)]
pub struct Theme {
    /// What about them.
    #[command(subcommand)]
    pub what: ThemeWhat,
}

/// About themes.
#[derive(Debug, Subcommand)]
pub enum ThemeWhat {
    /// List the themes that `--theme` and `config.toml` may name.
    List,
    /// Say whether themes can be read: contrast, and colours that stay apart for colour-blind eyes where a theme says so.
    Check {
        /// Names, or files
        #[arg(required = true)]
        themes: Vec<String>,
    },
}

/// `config`.
#[derive(Debug, Args)]
pub struct Settings {
    /// What about them.
    #[command(subcommand)]
    pub what: SettingsWhat,
}

/// About settings.
#[derive(Debug, Subcommand)]
pub enum SettingsWhat {
    /// Print every place where settings and themes are looked for.
    Paths,
    /// Say whether config.toml can be used, and where it is wrong.
    Check,
    /// List the acts that [keys] can name, with the keys that they have now.
    Acts,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// Your shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Folder for a page of each command, such as ~/.local/share/man/man1; without it, the first page is printed
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
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

fn head(text: &str) -> Result<crate::transcript::record::Head, String> {
    let parts = text.split_once(':').and_then(|(size, hash)| {
        let hash = hash.strip_prefix("sha256:").unwrap_or(hash).to_owned();
        Some(crate::transcript::record::Head { seq: size.parse().ok()?, hash: hash.try_into().ok()? })
    });
    parts.ok_or_else(|| "a head is written SIZE:HASH, such as 42:9f86…, with all 64 digits".to_owned())
}

fn age(text: &str) -> Result<std::time::Duration, String> {
    crate::plan::parse_duration(text).ok_or_else(|| "a whole number and one unit: s, m, h or d, such as 90d".to_owned())
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

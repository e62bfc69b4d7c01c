//! A release plan: the TOML file under `sessions/` as a value that cannot be wrong.
//!
//! [`Plan::parse`] is the only door: what it returns has been checked whole (ids are unique and known, durations are
//! durations, templates name declared parameters), and what this version cannot carry out was refused by name. The rest
//! of the program trusts it. Start at [`Plan`].

mod changes;
mod command;
mod differs;
mod each;
#[cfg(test)]
mod golden;
mod hosts;
mod limits;
mod lint;
mod notify;
mod parse;
mod people;
mod preflight;
mod preview;
mod probe;
mod problem;
mod readers;
mod recovery;
mod rehearsal;
mod sample;
pub mod shell;
mod step;
mod steps;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod traps;
mod units;
mod until;
mod values;
mod warnings;
mod watches;

pub use changes::{Changes, Set, Typed};
pub use command::{Command, Run};
pub use differs::differs;
pub use each::Each;
pub use lint::{Warning, lint};
pub use notify::{Notify, NotifyBy, Occasion};
pub use preflight::{Asked, Item, Seat};
pub use preview::{Expect, Preview};
pub use problem::{PlanError, Problem};
pub use recovery::Recovery;
pub use rehearsal::{DATA_CHARS_MAX, Live, data as rehearsal_data};
pub use sample::{SAMPLES, sample};
pub use step::{Class, Does, Gate, Goes, Rollback, Runs, Step, Until, Verified, Verify, Worse};
pub use template::{RenderError, Template};
pub use units::parse_duration;
pub use watches::bounds::Bounds;
pub use watches::command::{Expected, OutputRules, Zone};
pub use watches::compare::Compare;
pub use watches::credential::{Credential, CredentialSource};
pub use watches::formula::{Formula, FormulaError, Quantity, Relation, Sides, Sign, Term};
pub use watches::headers::{Header, HeaderValue};
pub use watches::http::Http;
pub use watches::kafka_client::{KafkaSetting, KafkaValue};
pub use watches::kafka_lag::KafkaLag;
pub use watches::lakefs::Lakefs;
pub use watches::nessie::{Nessie, OnMove};
pub use watches::pg_dump::PgDump;
pub use watches::process::Process;
pub use watches::prometheus::Prometheus;
pub use watches::restic::{Restic, ResticPassword};
pub use watches::results::{Results, ResultsFormat};
pub use watches::session::Flown;
pub use watches::sql::{Database, Postgres, Sql};
pub use watches::{KafkaRetention, NeededFrom};

use crate::hash::Hash;
use crate::name::{ItemId, Principal, StepId, WatchId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Parameter values by name, in the order of their names.
pub type Params = BTreeMap<String, String>;

/// A whole, valid plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The file as it was read; what the transcript keeps.
    pub text: Arc<str>,
    /// SHA-256 of the text.
    pub digest: Hash,
    /// What the release is called.
    pub name: String,
    /// Where it happens; on row 1 of every screen.
    pub environment: String,
    /// How long the whole should take.
    pub expected: Option<Duration>,
    /// Who takes part.
    pub crew: Crew,
    /// What is asked before the first critical step.
    pub checklist: Vec<Item>,
    /// Whether the first critical step waits for a go/no-go poll.
    pub poll: bool,
    /// Declared parameters.
    pub params: BTreeMap<String, Param>,
    /// Where each secret comes from, by its key.
    pub secrets: BTreeMap<String, SecretSource>,
    /// The ways back, best first.
    pub recovery: Vec<Recovery>,
    /// What is looked at, in the plan's order.
    pub watches: Vec<Watch>,
    /// What each watch is held to, as the plan writes it.
    pub limits: BTreeMap<WatchId, String>,
    /// What is done, in the plan's order.
    pub steps: Vec<Step>,
    /// Who else is told, in the plan's order.
    pub notify: Vec<Notify>,
    /// The parameters that decide where secrets come from.
    pub params_of_secrets: std::collections::BTreeSet<String>,
    /// The parameters that decide what each watch looks at.
    pub params_of_watches: BTreeMap<WatchId, std::collections::BTreeSet<String>>,
    /// What the flight changed of it; nothing in a plan that was just read.
    pub changes: Changes,
    /// How long an armed step stays armed.
    pub lapse: Duration,
    /// What happens once too few shadows are connected.
    pub on_shadow_lost: ShadowLost,
    /// Leads who may clear a step alone where nobody is there to check it.
    pub break_glass: Vec<Principal>,
    /// How long a shadow may be gone before it counts as lost.
    pub shadow_grace: Duration,
    /// How long the lead may be gone before two others may take the lead.
    pub lead_grace: Duration,
}

/// Who may take part, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crew {
    /// The OpenSSH `allowed_signers` file that vouches for their keys; relative to the plan's folder. Personal links alone
    /// where none is given.
    pub allowed_signers: Option<String>,
    /// Who may lead; the first one does when the session opens.
    pub lead: Vec<Principal>,
    /// Who may cross-check.
    pub shadow: Vec<Principal>,
    /// Who may watch.
    pub observer: Observers,
    /// Stations that must be filled.
    pub seats: Vec<Seat>,
}

/// Who may watch without acting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observers {
    /// Nobody.
    None,
    /// Anyone who holds the read-only link.
    Link,
    /// These, by personal link.
    Named(Vec<Principal>),
}

/// A declared parameter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Param {
    /// The value where none is given.
    pub default: Option<String>,
    /// An anchored pattern every value must match.
    pub pattern: Option<Pattern>,
    /// The value where it is rehearsed; flown live it cannot have that one.
    pub rehearsal: Option<String>,
}

/// Where a secret's value comes from. The value itself is never in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// What this command prints.
    Command(Box<Command>),
    /// That variable of the hub's environment.
    Env(String),
    /// What stands in that file; relative to the plan's folder.
    File(Template),
}

/// The memory that a compiled pattern may take: `(a|b){9999}` is short to write, and no value needs it.
const PATTERN_BYTES: usize = 512 * 1024;

/// A regular expression that has been compiled once, matched against the whole value.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As written in the plan.
    pub text: String,
    pub(crate) regex: regex_lite::Regex,
}
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Pattern {}
impl Pattern {
    /// Compiles `text`, anchored at both ends.
    pub fn new(text: &str) -> Result<Self, String> {
        // First alone: `a)|(b` is no pattern, yet between our brackets it would compile and undo the anchors.
        let compiled = |text: &str| {
            regex_lite::RegexBuilder::new(text).size_limit(PATTERN_BYTES).build().map_err(|error| error.to_string())
        };
        compiled(text)?;
        let regex = compiled(&format!("^(?:{text})$"))?;
        Ok(Self { text: text.to_owned(), regex })
    }
    /// Whether the whole value matches.
    pub fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }
}

/// What to do when fewer shadows are connected than the next critical step needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShadowLost {
    /// Hold the line.
    Hold,
    /// Say so and go on.
    Warn,
}

/// Something looked at on a period.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// Its id.
    pub id: WatchId,
    /// What it looks at.
    pub kind: WatchKind,
    /// How often.
    pub every: Duration,
    /// The age past which a reading is `unknown`.
    pub stale_after: Duration,
}

/// What a watch looks at. Fields are named as the tool they read names them.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchKind {
    /// HTTP GETs.
    Http(Http),
    /// A TCP connection.
    Tcp {
        /// `host:port`.
        address: Template,
        /// The longest time to connect.
        within: Option<Duration>,
    },
    /// A command: exit 0 is ok, 1 is fail, anything else unknown; the first line of its output is the value.
    Command {
        /// What is run.
        run: Run,
        /// After this it is killed and the reading is unknown.
        timeout: Duration,
        /// What its output has to say.
        answer: OutputRules,
    },
    /// The newest file that matches: a backup's age, and its size against the one before.
    File {
        /// A path; `*` and `?` in its last part match as a shell's do. Relative to the plan's folder.
        path: Template,
        /// The oldest it may be.
        max_age: Option<Duration>,
        /// The smallest size as a share of the one before.
        min_size_ratio: Option<f64>,
        /// The smallest size in bytes.
        min_size: Option<u64>,
        /// What it must hash to.
        sha256: Option<Checksum>,
    },
    /// Lag of a consumer group.
    KafkaLag(KafkaLag),
    /// How long the first record still needed stays in its topic.
    KafkaRetention(KafkaRetention),
    /// The machine the hub runs on. Every limit given must hold.
    Host(HostLimits),
    /// Readings of other watches against each other.
    Compare(Compare),
    /// A query to Prometheus.
    Prometheus(Prometheus),
    /// A service on the machine the hub runs on.
    Process(Process),
    /// A repository of restic.
    Restic(Box<Restic>),
    /// The newest archive of `pg_dump`.
    PgDump(PgDump),
    /// What tests and checks left in files.
    Results(Results),
    /// A flight of a plan elsewhere.
    Session(Flown),
    /// A token, certificate or key.
    Credential(Credential),
    /// A branch or tag of Project Nessie.
    Nessie(Box<Nessie>),
    /// A branch or tag of lakeFS.
    Lakefs(Box<Lakefs>),
    /// A query to a database.
    Sql(Box<Sql>),
}

/// Where the SHA-256 of a file stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Checksum {
    /// In the plan.
    Given(Hash),
    /// In this file, as `sha256sum` writes it: the line of that name, or the only one. Relative to the plan's folder.
    File(Template),
}

/// Limits of a `host` watch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostLimits {
    /// Highest load average over one minute, per core.
    pub load_per_core_above: Option<f64>,
    /// Least available memory, as a share of the whole.
    pub memory_free_below: Option<f64>,
    /// Least free space, in bytes, on the disk that holds `path`.
    pub disk_free_below: Option<u64>,
    /// The disk must not look as if it were full within that time.
    pub disk_full_within: Option<Duration>,
    /// Which disk; the plan's folder where none is given.
    pub path: Option<Template>,
    /// A process with this name must be alive.
    pub process: Option<Template>,
}

impl WatchKind {
    /// Which way its number is worse, where that is no question: nobody wants to wait longer, or more messages unread.
    pub fn worse(&self) -> Option<Worse> {
        match self {
            WatchKind::Http(Http { value: None, .. }) | WatchKind::Tcp { .. } | WatchKind::KafkaLag { .. } => {
                Some(Worse::Up)
            }
            _ => None,
        }
    }

    /// The kind's name in a plan.
    pub fn name(&self) -> &'static str {
        match self {
            WatchKind::Http { .. } => "http",
            WatchKind::Tcp { .. } => "tcp",
            WatchKind::Command { .. } => "command",
            WatchKind::File { .. } => "file",
            WatchKind::KafkaLag { .. } => "kafka-lag",
            WatchKind::KafkaRetention(_) => "kafka-retention",
            WatchKind::Host { .. } => "host",
            WatchKind::Compare { .. } => "compare",
            WatchKind::Prometheus { .. } => "prometheus",
            WatchKind::Process { .. } => "process",
            WatchKind::Restic(_) => "restic",
            WatchKind::PgDump(_) => "pg-dump",
            WatchKind::Results(_) => "results",
            WatchKind::Session(_) => "session",
            WatchKind::Credential(_) => "credential",
            WatchKind::Nessie(_) => "nessie",
            WatchKind::Lakefs(_) => "lakefs",
            WatchKind::Sql(_) => "sql",
        }
    }

    /// Whether its value is time that is left, running down as the reading ages.
    pub fn is_countdown(&self) -> bool {
        matches!(self, WatchKind::KafkaRetention(retention) if !retention.rises)
    }
}

/// What a command sees as its terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// A pseudo-terminal.
    Pty,
    /// Pipes.
    Pipe,
}

/// Another machine, reached over ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name in the plan.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// The port of its ssh server.
    pub port: u16,
    /// Who runs commands there.
    pub user: String,
    /// Its host key, kind and base64. No other one is talked to.
    pub host_key: String,
    /// The file of the key that opens it; relative to the plan's folder. What ssh finds by itself where none is given.
    pub identity: Option<Template>,
}

/// Whether the lead may type to a running command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nobody types.
    None,
    /// The lead does; seen by all and recorded, but while the terminal hides it.
    Lead,
    /// Only while the terminal hides it, for passwords.
    HiddenOnly,
}
impl Input {
    /// The word in plans.
    pub fn word(self) -> &'static str {
        match self {
            Input::None => "none",
            Input::Lead => "lead",
            Input::HiddenOnly => "hidden-only",
        }
    }
}

/// What a command reads as its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// This text.
    Text(Template),
    /// This file, relative to `cwd` (`stdin = { file = "…" }`).
    File(Template),
}
impl Stdin {
    /// The text, or the name of the file.
    pub fn template(&self) -> &Template {
        match self {
            Stdin::Text(template) | Stdin::File(template) => template,
        }
    }
}

impl Plan {
    /// Reads a plan, or says what is wrong with it where.
    ///
    /// `origin` names the file in messages.
    pub fn parse(origin: &str, text: &str) -> Result<Plan, PlanError> {
        parse::parse(origin, text)
    }

    /// The step of that id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// The watch of that id.
    pub fn watch(&self, id: &WatchId) -> Option<&Watch> {
        self.watches.iter().find(|watch| watch.id == *id)
    }

    /// A step's number for people, from 1.
    pub fn number(&self, id: &StepId) -> Option<usize> {
        self.steps.iter().position(|step| step.id == *id).map(|index| index + 1)
    }

    /// How long that step stays armed.
    pub fn lapse_of(&self, step: &Step) -> Duration {
        step.lapse.unwrap_or(self.lapse)
    }

    /// The checklist item of that id.
    pub fn item(&self, id: &ItemId) -> Option<&Item> {
        self.checklist.iter().find(|item| item.id == *id)
    }

    /// The seat of that name.
    pub fn seat(&self, name: &str) -> Option<&Seat> {
        self.crew.seats.iter().find(|seat| seat.name == name)
    }

    /// Everyone who may lead, shadow or take a seat, each once, the leads first.
    pub fn crew(&self) -> Vec<&Principal> {
        let mut seen = std::collections::BTreeSet::new();
        let seats = self.crew.seats.iter().flat_map(|seat| &seat.who);
        self.crew.lead.iter().chain(&self.crew.shadow).chain(seats).filter(|p| seen.insert(*p)).collect()
    }

    /// Everyone the plan names, each once, the leads first.
    pub fn principals(&self) -> Vec<&Principal> {
        let named: &[Principal] = match &self.crew.observer {
            Observers::Named(list) => list,
            _ => &[],
        };
        let mut seen = std::collections::BTreeSet::new();
        self.crew().into_iter().chain(named).filter(|p| seen.insert(*p)).collect()
    }

    /// The parameters' values: those given, else the defaults. Names that are not declared and values that do not match
    /// their pattern, hold a hidden character, or hold what means something to the shell whose text they stand in, are errors; a parameter without any value is left out (a step that uses it cannot be armed).
    pub fn params(&self, given: &Params) -> Result<Params, String> {
        if let Some(name) = given.keys().find(|name| !self.params.contains_key(*name)) {
            let declared: Vec<_> = self.params.keys().map(String::as_str).collect();
            return Err(format!(
                "the plan declares no parameter {name:?} (it declares: {})",
                if declared.is_empty() { "none".into() } else { declared.join(", ") }
            ));
        }
        let mut values = Params::new();
        for (name, param) in &self.params {
            let Some(value) = given.get(name).or(param.default.as_ref()) else {
                continue;
            };
            if let Some(hidden) = value.chars().find(|c| crate::name::is_hidden(*c)) {
                return Err(format!("{name} holds the hidden character {}", hidden.escape_unicode()));
            }
            if let Some(pattern) = param.pattern.as_ref().filter(|pattern| !pattern.matches(value)) {
                return Err(format!("{name} = {value:?} does not match the plan's pattern {:?}", pattern.text));
            }
            if let Some(why) = self.value_in_shell(name, value) {
                return Err(why);
            }
            // What watches look at in a rehearsal says nothing of what is touched live.
            if self.rehearsal().is_none() && param.rehearsal.as_ref() == Some(value) {
                return Err(format!("{name} = {value:?} is its value in a rehearsal, and this is none"));
            }
            values.insert(name.clone(), value.clone());
        }
        Ok(values)
    }
}

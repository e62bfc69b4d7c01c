//! What exactly a step would run, frozen: the object that people check.

use super::{Part, Reading};
use crate::hash::Hash;
use crate::name::{StepId, WatchId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What exactly a step would run. People check the digest of this object's JSON text, and the hub compares every field
/// but `gates` again before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covers {
    /// The step.
    pub step: StepId,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Its title in the plan.
    pub title: String,
    /// `routine`, `critical` or `irreversible`.
    pub class: String,
    /// Cross-checks needed.
    pub checks: u32,
    /// What is run; left out where no command is.
    #[serde(default = "CommandSeen::nothing", skip_serializing_if = "CommandSeen::is_nothing")]
    pub command: CommandSeen,
    /// What tells people how things stand where nobody knows what it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<CommandSeen>,
    /// What a person does in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
    /// The plan.
    pub plan: Hash,
    /// The gates as they were when it was armed.
    pub gates: Vec<GateSeen>,
    /// The plan's words on what it touches, how it is undone, what stays half-way, where the data remains.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<String, String>,
    /// Nothing after it can be undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub point_of_no_return: bool,
    /// Only a security key that was touched may check it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_touch: bool,
}

impl Covers {
    /// The first thing in which the two differ, gates left out: what `StepVoided` says when bytes changed.
    pub fn difference(&self, now: &Covers) -> Option<String> {
        if let Some(what) = self.command.difference(&now.command) {
            return Some(what);
        }
        if let (Some(probe), Some(now)) = (&self.probe, &now.probe)
            && let Some(what) = probe.difference(now)
        {
            return Some(format!("its probe: {what}"));
        }
        let same = Covers { gates: self.gates.clone(), ..now.clone() };
        (*self != same).then(|| "the step as the plan describes it".into())
    }
}

impl Covers {
    /// Everything that may run on the checks of it.
    pub fn commands(&self) -> impl Iterator<Item = (Part, &CommandSeen)> {
        std::iter::once((Part::Step, &self.command))
            .filter(|(_, command)| !command.is_nothing())
            .chain(self.probe.iter().map(|probe| (Part::Probe, probe)))
    }
}

impl CommandSeen {
    /// A command of these words and nothing else: what tests and benchmarks start from.
    #[doc(hidden)]
    pub fn bare(argv: impl IntoIterator<Item = impl Into<String>>, exe: FileSeen) -> CommandSeen {
        CommandSeen {
            argv: argv.into_iter().map(Into::into).collect(),
            exe,
            interpreter: None,
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            cwd: "/".into(),
            folder: None,
            stdin: None,
            stdin_file: None,
            sealed: false,
            io: "pty".into(),
            input: None,
            timeout_ms: None,
            files: vec![],
            host: "host".into(),
            user: "user".into(),
            remote: false,
        }
    }
    /// No command: what stands in a step that a person does, or that only waits. No process can come of it.
    pub fn nothing() -> CommandSeen {
        let exe = FileSeen { path: String::new(), sha256: Hash::ZERO, size: 0, text: None };
        CommandSeen {
            cwd: String::new(),
            io: String::new(),
            host: String::new(),
            user: String::new(),
            ..Self::bare([""; 0], exe)
        }
    }
    /// Whether that is what it is.
    pub fn is_nothing(&self) -> bool {
        self.argv.is_empty() && self.exe.path.is_empty()
    }
    /// The first thing in which the two differ.
    pub fn difference(&self, now: &CommandSeen) -> Option<String> {
        let quote = |a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| format!("{a:?} is now {b:?}");
        let file = |a: &FileSeen, b: &FileSeen| {
            (a != b).then(|| match a.path == b.path {
                true => format!("{} changed: SHA-256 {} is now {}", a.path, a.sha256.short(), b.sha256.short()),
                false => format!("{} is now {}", a.path, b.path),
            })
        };
        if self.argv != now.argv {
            return Some(format!("arguments: {}", quote(&self.argv, &now.argv)));
        }
        if self.cwd != now.cwd {
            return Some(format!("working folder: {}", quote(&self.cwd, &now.cwd)));
        }
        if self.folder != now.folder {
            return Some(format!("working folder: {} is another folder of that name now", self.cwd));
        }
        if let Some(what) = file(&self.exe, &now.exe) {
            return Some(format!("executable: {what}"));
        }
        let maybe = |a: &Option<FileSeen>, b: &Option<FileSeen>| match (a, b) {
            (Some(a), Some(b)) => file(a, b),
            (None, None) => None,
            (Some(a), None) => Some(format!("{} is none any more", a.path)),
            (None, Some(b)) => Some(format!("there was none, and now it is {}", b.path)),
        };
        if let Some(what) = maybe(&self.interpreter, &now.interpreter) {
            return Some(format!("interpreter: {what}"));
        }
        if self.stdin != now.stdin {
            return Some("what is fed to its standard input".into());
        }
        if let Some(what) = maybe(&self.stdin_file, &now.stdin_file) {
            return Some(format!("standard input: {what}"));
        }
        if self.files.len() != now.files.len() {
            return Some("the list of files".into());
        }
        if let Some(what) = self.files.iter().zip(&now.files).find_map(|(a, b)| file(a, b)) {
            return Some(format!("file: {what}"));
        }
        let changed = |(key, hash): &(&String, &Hash)| now.secrets.get(*key).is_some_and(|now| now != *hash);
        if let Some((key, _)) = self.secrets.iter().find(changed) {
            return Some(format!("secret {key} changed"));
        }
        let names = self.env.keys().chain(now.env.keys());
        if let Some(name) = names.into_iter().find(|name| self.env.get(*name) != now.env.get(*name)) {
            return Some(format!("environment: {name}"));
        }
        if self.host != now.host || self.user != now.user {
            return Some("host or user".into());
        }
        (self != now).then(|| "how it is run".into())
    }
}

/// One command as it was when frozen: everything that decides what its process does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSeen {
    /// The argument vector as it is executed.
    pub argv: Vec<String>,
    /// The file that is executed.
    pub exe: FileSeen,
    /// What its `#!` line names, where it is a script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<FileSeen>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// What stands for the value of each secret that `env` names as `secret:KEY`: SHA-256 of a private salt and `KEY=value`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Hash>,
    /// The working folder, absolute.
    pub cwd: String,
    /// Which folder that was: another one may get its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<FolderSeen>,
    /// What is fed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// The file it reads as its standard input, in place of `stdin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_file: Option<FileSeen>,
    /// Whether its script runs from a sealed copy of what was hashed instead of from its file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// `pty` or `pipe`.
    pub io: String,
    /// Whether the lead may type to it: `lead`, or `hidden-only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// When it is ended by force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The files the plan names, and arguments that are files.
    pub files: Vec<FileSeen>,
    /// The machine it runs on.
    pub host: String,
    /// Who it runs as.
    pub user: String,
    /// Whether that machine is another one, reached over ssh: the end of the link is not the end of the command.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remote: bool,
}

/// A file as it was when looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSeen {
    /// Absolute path, links resolved.
    pub path: String,
    /// Its bytes.
    pub sha256: Hash,
    /// Its length.
    pub size: u64,
    /// Its text to 64 KiB, for files the plan names; nothing where it is not UTF-8 text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What tells a folder from a later one that got its name: where it is stored, and when it was made, because the place of
/// one that was removed is soon used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderSeen {
    /// Number of the file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970, where the file system keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born_ns: Option<u64>,
}

/// A gate as it was when its step was armed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateSeen {
    /// The watch.
    pub watch: WatchId,
    /// Its latest reading.
    pub reading: Reading,
    /// How old that was.
    pub age_ms: u64,
}

/// `covers` together with its text, byte for byte as it stands in the line: that text is what the digest is taken of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Box<serde_json::value::RawValue>", into = "Box<serde_json::value::RawValue>")]
pub struct Frozen {
    text: Box<serde_json::value::RawValue>,
    covers: std::sync::Arc<Covers>,
    digest: Hash,
}
impl Frozen {
    /// Freezes it: from here on only the text counts.
    pub fn new(covers: Covers) -> Result<Self, serde_json::Error> {
        let text = serde_json::value::RawValue::from_string(crate::transcript::record::to_text(&covers)?)?;
        Ok(Self { digest: Hash::of(text.get().as_bytes()), text, covers: covers.into() })
    }
    /// What it says.
    pub fn covers(&self) -> &Covers {
        &self.covers
    }
    /// SHA-256 of the text.
    pub fn digest(&self) -> Hash {
        self.digest
    }
    /// The text.
    pub fn text(&self) -> &str {
        self.text.get()
    }
}
impl PartialEq for Frozen {
    fn eq(&self, other: &Self) -> bool {
        self.text.get() == other.text.get()
    }
}
impl TryFrom<Box<serde_json::value::RawValue>> for Frozen {
    type Error = serde_json::Error;
    fn try_from(text: Box<serde_json::value::RawValue>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            covers: std::sync::Arc::new(serde_json::from_str(text.get())?),
            digest: Hash::of(text.get().as_bytes()),
            text,
        })
    }
}
impl From<Frozen> for Box<serde_json::value::RawValue> {
    fn from(frozen: Frozen) -> Self {
        frozen.text
    }
}

//! `kind = "credential"`: what the release needs to the end is still good then.

use super::super::table::{Table, Value};
use super::super::{Run, Template, Watch, WatchKind};
use super::non_empty;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The kind's own keys.
pub(super) const KEYS: &[&str] = &["file", "command", "agent", "expires", "must_outlive", "timeout"];

/// Which credential, and how long it has to last.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    /// Where it is found.
    pub source: CredentialSource,
    /// Where in a JSON text the end of its life stands; else it is told by the token or the certificate itself.
    pub expires: Option<String>,
    /// How long from now it has to be good; the plan's `expected` time where nothing else is said.
    pub must_outlive: Duration,
    /// How long a command or an agent may take.
    pub timeout: Duration,
}

/// Where a credential is found.
#[derive(Debug, Clone, PartialEq)]
pub enum CredentialSource {
    /// A file; relative to the plan's folder.
    File(Template),
    /// What this command prints.
    Command(Run),
    /// A key in ssh-agent: its fingerprint or its comment.
    Agent(Template),
}

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let given: Vec<&'static str> =
        ["file", "command", "agent"].into_iter().filter(|key| table.get(key).is_some()).collect();
    let source = match given[..] {
        [] => {
            let message = "this watch does not say where the credential is";
            table.cx.problem(table.span.clone(), message, "expected one of: file, command, agent");
            None
        }
        ["file"] => table.get("file").and_then(|file| non_empty(&file)).map(CredentialSource::File),
        ["command"] => table.get("command").and_then(|run| run.run()).map(CredentialSource::Command),
        ["agent"] => table.get("agent").and_then(|key| non_empty(&key)).map(CredentialSource::Agent),
        [_, second, ..] => {
            let label = "expected one of `file`, `command` and `agent`";
            table.get(second).and_then(|value| value.wrong("the credential is named twice", label))
        }
        [_] => None,
    };
    let expires = table.get("expires").and_then(|expires| super::command::pointer(&expires));
    if let (Some(expires), Some(CredentialSource::Agent(_))) = (table.get("expires"), &source) {
        expires.wrong::<()>("`expires` points into JSON, which an agent does not answer", "expected no `expires`");
    }
    Some(WatchKind::Credential(Credential {
        source: source?,
        expires,
        must_outlive: table.duration("must_outlive").unwrap_or_default(),
        timeout: table.duration("timeout").unwrap_or(TIMEOUT),
    }))
}

/// What does not say how long it has to last must last as long as the plan does.
pub(in crate::plan) fn outlive(tables: &[Value<'_>], watches: &mut [Watch], expected: Option<Duration>) {
    for (table, watch) in tables.iter().zip(watches) {
        let WatchKind::Credential(credential) = &mut watch.kind else { continue };
        match (credential.must_outlive.is_zero(), expected) {
            (false, _) => {}
            (true, Some(expected)) => credential.must_outlive = expected,
            (true, None) if table.field("must_outlive").is_some() => {} // told where it is read
            (true, None) => {
                let label = "expected must_outlive = \"2h\", or `expected` in the plan";
                table.wrong::<()>("nothing says how long this credential has to be good", label);
            }
        }
    }
}

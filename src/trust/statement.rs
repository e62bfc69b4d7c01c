//! Statements: what people and the hub sign, as text that an auditor can read and stock tools can check.
//!
//! Layout, frozen: a header `<namespace> v1`, then `key: value` lines in a fixed order, each with its LF. A value is
//! printable ASCII; every other byte, the blank, quotes, the backslash and `%` are percent-encoded, and a blank stands only between several
//! values. A statement is never parsed into something else: who checks one builds the text it must be and compares bytes.

use super::sshsig::{self, SigError};
use crate::clock::At;
use crate::hash::Hash;
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Write as _};

/// What a signature is for: its SSHSIG namespace. Frozen for ever: a signature for one is worth nothing for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The lead vouches for the hub's key.
    Hub,
    /// The hub shows that it is the one the lead vouched for.
    Hello,
    /// A client shows that it holds its key.
    Join,
    /// A cross-check, an objection, a withdrawal, a release, an acknowledgement.
    Approve,
    /// The hub says how far the transcript goes.
    Checkpoint,
    /// The end.
    Close,
}
impl Purpose {
    /// The namespace, as `ssh-keygen -Y verify -n` wants it.
    pub fn namespace(self) -> &'static str {
        match self {
            Purpose::Hub => "crosscheck-hub",
            Purpose::Hello => "crosscheck-hello",
            Purpose::Join => "crosscheck-join",
            Purpose::Approve => "crosscheck-approve",
            Purpose::Checkpoint => "crosscheck-checkpoint",
            Purpose::Close => "crosscheck-close",
        }
    }
}

/// Characters of one value at most; a longer one is cut and its hash follows. The whole of it is in the line that the
/// statement names, and under the digest.
const VALUE_CHARS_MAX: usize = 1024;

/// A statement's text in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    purpose: Purpose,
    text: String,
}

impl Statement {
    /// Its header.
    pub fn new(purpose: Purpose) -> Statement {
        Statement { purpose, text: format!("{} v1\n", purpose.namespace()) }
    }
    /// One more field.
    pub fn field(self, key: &str, value: impl Display) -> Statement {
        self.values(key, [value])
    }
    /// One more field of several values.
    pub fn values(mut self, key: &str, values: impl IntoIterator<Item = impl Display>) -> Statement {
        let values: Vec<String> = values.into_iter().map(|value| encoded(&value.to_string())).collect();
        let mut value = values.join(" ");
        if value.len() > VALUE_CHARS_MAX {
            let hash = Hash::of(value.as_bytes());
            value.truncate(VALUE_CHARS_MAX); // all of it is ASCII
            let _ = write!(value, "...sha256:{hash}");
        }
        let _ = writeln!(self.text, "{key}: {value}"); // writing to a String cannot fail
        self
    }
    /// A hash, or `none`.
    pub fn hash(self, key: &str, hash: Option<Hash>) -> Statement {
        match hash {
            Some(hash) => self.field(key, format_args!("sha256:{hash}")),
            None => self.field(key, "none"),
        }
    }
    /// What is signed.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// What for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }
}

fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            // Quotes and backslashes too: a statement then stands in a line of a transcript, and in a shell, as it is.
            b'%' | b'"' | b'\'' | b'\\' => _ = write!(out, "%{byte:02X}"),
            b'!'..=b'~' => out.push(char::from(byte)),
            other => _ = write!(out, "%{other:02X}"),
        }
    }
    out
}

/// A statement with its signature, both kept verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The statement's text.
    pub statement: String,
    /// The armored SSHSIG over it.
    pub signature: String,
}

/// Why a signed statement does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It says something else than it must.
    #[error("the signed statement says {found:?} where it must say {expected:?}")]
    Differs {
        /// The line it must have.
        expected: String,
        /// The line it has.
        found: String,
    },
    /// It has no time, or not in the form it must have.
    #[error("the signed statement has no time of signing")]
    NoTime,
    /// The signature is not one of that statement.
    #[error(transparent)]
    Signature(#[from] SigError),
}

impl Signed {
    /// When it says it was signed: the one field that only its author knows.
    pub fn at(&self) -> Option<At> {
        let value = self.statement.lines().find_map(|line| line.strip_prefix("signed-at: "))?;
        At::try_from(value.to_owned()).ok().filter(|at| at.to_string() == value)
    }

    /// Whether it is exactly that statement, signed; by whom.
    pub fn check(&self, expected: &Statement) -> Result<sshsig::Signed, StatementError> {
        if self.statement != expected.text {
            let (mut theirs, mut ours) = (self.statement.split('\n'), expected.text.split('\n'));
            let (expected, found) = loop {
                match (ours.next(), theirs.next()) {
                    (Some(ours), Some(theirs)) if ours == theirs => {}
                    (ours, theirs) => break (ours.unwrap_or("its end"), theirs.unwrap_or("its end")),
                }
            };
            let cut = |text: &str| crate::name::shown(&text.chars().take(120).collect::<String>());
            return Err(StatementError::Differs { expected: cut(expected), found: cut(found) });
        }
        Ok(sshsig::verify(&self.signature, expected.purpose.namespace(), self.statement.as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printable_and_unambiguous() {
        let statement = Statement::new(Purpose::Approve)
            .field("step", "drop")
            .values("argv", ["./a b", "100%", "ü\n", ""])
            .hash("stdin", None);
        assert_eq!(
            statement.text(),
            "crosscheck-approve v1\nstep: drop\nargv: ./a%20b 100%25 %C3%BC%0A \nstdin: none\n"
        );
        let long = Statement::new(Purpose::Approve).field("argv", "x".repeat(5000));
        assert!(long.text().len() < 1200 && long.text().contains("xxx...sha256:"));
        let other = Statement::new(Purpose::Approve).field("argv", "x".repeat(5001));
        assert_ne!(long, other);
    }
}

//! An OpenSSH `allowed_signers` file: which key may sign as whom, for what, and when.
//!
//! Read as `ssh-keygen -Y verify` reads it, and stricter wherever in doubt, never laxer: what is accepted here a stranger
//! can repeat with stock tools. One line that cannot be understood refuses the whole file, since a typing error in a line
//! must not silently change who may sign. Start at [`Allowed::parse`] and [`Allowed::is_signer`].

mod crew;
mod line;
#[cfg(test)]
mod tests;

pub use crew::CrewProblem;

use crate::clock::At;
use crate::hash::Hash;
use crate::name::{Principal, is_hidden};
use std::fmt;
use std::sync::Arc;

/// Namespace of the signature with which a participant joins.
pub const JOIN: &str = "crosscheck-join";
/// Namespace of the signature on a cross-check.
pub const APPROVE: &str = "crosscheck-approve";

/// Bytes of a whole file. It stands in the first line of the transcript, whole, beside the plan.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A file that was understood whole.
#[derive(Debug, Clone)]
pub struct Allowed {
    text: Arc<str>,
    digest: Hash,
    entries: Vec<Entry>,
}

/// Equal where the text is: everything else follows from it.
impl PartialEq for Allowed {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Allowed {}

/// One line that names a key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// The line's number, from 1.
    line: usize,
    principals: Patterns,
    /// The namespaces it may sign in; none given means every one, as in OpenSSH.
    namespaces: Option<Patterns>,
    /// First moment at which it counts.
    after: Option<At>,
    /// Last moment at which it counts.
    before: Option<At>,
    /// The key as it travels: a type word and its fields.
    blob: Vec<u8>,
    /// `SHA256:…` of the blob.
    fingerprint: String,
}

/// A list of patterns, as OpenSSH writes it: `*`, `?`, and `!` before one that must not match.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    negated: bool,
    text: String,
}

/// Why a text is no `allowed_signers` file for crosscheck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedError {
    /// The line's number, from 1; 0 where it is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl fmt::Display for AllowedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        write!(f, "{}\nhint: {}", self.what, self.hint)
    }
}
impl std::error::Error for AllowedError {}

/// Why a key may not sign. Of several lines, the one that came nearest to a yes is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[allow(missing_docs)] // the sentences say it
pub enum Why {
    #[error("the key stands in no line of allowed_signers")]
    UnknownKey,
    #[error("line {line} of allowed_signers gives the key to somebody else")]
    OtherPrincipal { line: usize },
    #[error("line {line} of allowed_signers does not give the key the namespace {namespace}")]
    Namespace { line: usize, namespace: String },
    #[error("by line {line} of allowed_signers the key expired at {since}")]
    Expired { line: usize, since: At },
    #[error("by line {line} of allowed_signers the key is not valid before {from}")]
    NotYetValid { line: usize, from: At },
}

impl Allowed {
    /// Reads a whole file, at most [`TEXT_BYTES_MAX`] bytes of it.
    ///
    /// A time without `Z` is local time in OpenSSH, so another moment on every machine that reads the file. Here it is
    /// read as the strictest of them: a key counts only when it would count in every time zone.
    pub fn parse(text: &str) -> Result<Allowed, AllowedError> {
        if text.len() > TEXT_BYTES_MAX {
            let what = format!("the file has more than {TEXT_BYTES_MAX} bytes");
            return Err(AllowedError { line: 0, what, hint: "keep only the lines of this plan's crew" });
        }
        let mut entries = vec![];
        for (number, line) in (1..).zip(text.split('\n')) {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let wrong = |(what, hint)| AllowedError { line: number, what, hint };
            if let Some(c) = line.chars().find(|c| is_hidden(*c) && *c != '\t') {
                let what = format!("it holds the hidden character {}", c.escape_unicode());
                return Err(wrong((what, "write it anew with characters that can be seen")));
            }
            entries.extend(line::parse(number, line).map_err(wrong)?);
        }
        Ok(Allowed { text: text.into(), digest: Hash::of(text.as_bytes()), entries })
    }

    /// The file as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text, as `sha256sum` prints it for the file.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// Whether that key (its blob, the decoded base64 part of a public key) may sign as that principal in that namespace
    /// at that time.
    pub fn is_signer(&self, principal: &Principal, key_blob: &[u8], namespace: &str, at: At) -> Result<(), Why> {
        self.find(|entry| entry.blob == key_blob, principal, namespace, at)
    }

    /// The same for the key of that fingerprint, as `ssh-keygen -l` prints it: `SHA256:…`.
    pub fn is_signer_with(&self, principal: &Principal, fingerprint: &str, namespace: &str, at: At) -> Result<(), Why> {
        self.find(|entry| entry.fingerprint == fingerprint, principal, namespace, at)
    }

    /// Fingerprints of the keys that principal may use in that namespace at that time.
    pub fn keys_of(&self, principal: &Principal, namespace: &str, at: At) -> Vec<String> {
        let theirs = self.entries.iter().filter(|entry| entry.allows(principal, namespace, at).is_ok());
        theirs.map(|entry| entry.fingerprint.clone()).collect()
    }

    fn find(&self, is_key: impl Fn(&Entry) -> bool, principal: &Principal, namespace: &str, at: At) -> Result<(), Why> {
        let mut nearest = Why::UnknownKey;
        for entry in self.entries.iter().filter(|entry| is_key(entry)) {
            match entry.allows(principal, namespace, at) {
                Ok(()) => return Ok(()),
                Err(why) => nearest = nearest.max(why),
            }
        }
        Err(nearest)
    }
}

impl Entry {
    fn allows(&self, principal: &Principal, namespace: &str, at: At) -> Result<(), Why> {
        let line = self.line;
        if !self.principals.matches(principal.as_str()) {
            return Err(Why::OtherPrincipal { line });
        }
        if !self.gives(namespace) {
            return Err(Why::Namespace { line, namespace: namespace.to_owned() });
        }
        if let Some(from) = self.after.filter(|from| at < *from) {
            return Err(Why::NotYetValid { line, from });
        }
        match self.before.filter(|until| at > *until) {
            Some(since) => Err(Why::Expired { line, since }),
            None => Ok(()),
        }
    }

    fn gives(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|patterns| patterns.matches(namespace))
    }
}

impl Patterns {
    /// Whether one of them matches and no negated one does.
    fn matches(&self, text: &str) -> bool {
        let hits = |pattern: &&Pattern| matches(pattern.text.as_bytes(), text.as_bytes());
        let (mut yes, mut no) = (false, false);
        self.0.iter().filter(hits).for_each(|pattern| if pattern.negated { no = true } else { yes = true });
        yes && !no
    }

    /// The names in it, where every one stands for itself alone.
    fn literal(&self) -> Option<impl Iterator<Item = &str>> {
        let plain = |pattern: &Pattern| !pattern.negated && !pattern.text.contains(['*', '?']);
        self.0.iter().all(plain).then(|| self.0.iter().map(|pattern| pattern.text.as_str()))
    }
}

/// `*` stands for any bytes, `?` for one: bytes and not characters, as in OpenSSH.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how far it reaches so far. An earlier one never has to reach further.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, reach)) => {
                    star = Some((at, reach + 1));
                    (p, t) = (at + 1, reach + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

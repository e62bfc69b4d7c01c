//! Secrets of a plan: fetched when a step is armed and again before it runs, given to its command in its environment alone,
//! and taken out of whatever is printed.
//!
//! A [`Value`] is never in a transcript, on the wire or in a log: its `Debug` is `***`. People check a placeholder and a
//! [`commitment`], by which the hub notices a value that changed in between. Values stay in memory while the hub runs
//! ([`Vault`]), because a later command may print what an earlier one was given. Start at [`fetch`], then [`Redactor`].

mod encodings;
mod fetch;
mod redact;
#[cfg(test)]
mod tests;

pub use fetch::{FetchError, fetch};
pub use redact::{Needles, Redactor, WAIT};

use crate::hash::Hash;
use crate::plan::{Command, Params, RenderError, Template};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::{Zeroize, Zeroizing};

/// The longest value, in bytes.
pub const BYTES_MAX: usize = 4096;
/// The shortest, in characters that are no blanks: a shorter one cannot be taken out of output without tearing what is
/// none.
pub const LENGTH_MIN: usize = 6;
/// Former values of one secret that are still looked for.
const FORMER_MAX: usize = 4;

/// A secret's value. Wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Zeroizing<String>);

impl Value {
    /// Checks bytes as a file or a command gives them; one line end at their end is dropped. The error says what is wrong
    /// and nothing of the bytes.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8 text")?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let letters = text.chars().filter(|c| !c.is_whitespace()).count();
        match () {
            () if text.is_empty() => Err("it is empty"),
            () if text.len() > BYTES_MAX => Err("it is longer than 4 KiB"),
            () if text.contains('\0') => Err("it holds a NUL, which no environment can"),
            () if letters < LENGTH_MIN => Err("it has fewer than 6 characters (blanks not counted), and so short a \
                text cannot be taken out of output without tearing what is none; choose a longer one"),
            () => Ok(Self(Zeroizing::new(text.to_owned()))),
        }
    }

    /// The value, for a command's environment and for looking for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Values by key.
pub type Values = BTreeMap<String, Value>;

/// What stands for a secret in what people check.
pub fn placeholder(key: &str) -> String {
    format!("secret:{key}")
}

/// The hash that stands for a value in what people check: `cat salt; printf KEY=VALUE`, hashed together. The salt is in no
/// line, so that nobody can try guesses against it; and it is not the salt of output, whose hashes are in lines: a command
/// that prints `KEY=guess` would learn whether it guessed right.
pub fn commitment(salt: &str, key: &str, value: &Value) -> Hash {
    Hash::of_parts([salt.as_bytes(), key.as_bytes(), b"=", value.expose().as_bytes()])
}

/// A text with secrets in it, filled in.
pub fn filled(template: &Template, params: &Params, values: &Values) -> Result<Zeroizing<String>, RenderError> {
    // No text of a plan holds a NUL: it marks where a value belongs, and only this copy of it is made.
    let skeleton = template.fill(params, |key| format!("\0{key}\0"))?;
    let mut text = Zeroizing::new(String::with_capacity(skeleton.len() + values.len() * BYTES_MAX));
    for (index, part) in skeleton.split('\0').enumerate() {
        match values.get(part).filter(|_| index % 2 == 1) {
            Some(value) => text.push_str(value.expose()),
            None => text.push_str(part),
        }
    }
    Ok(text)
}

/// Variables whose values hold secrets.
#[derive(Default)]
pub struct SecretEnv(BTreeMap<String, Zeroizing<String>>);

impl SecretEnv {
    /// The command's variables that name a secret, filled in.
    pub fn fill(command: &Command, params: &Params, values: &Values) -> Result<Self, RenderError> {
        let mut env = BTreeMap::new();
        for (name, template) in command.env.iter().filter(|(_, template)| !template.secrets().is_empty()) {
            env.insert(name.clone(), filled(template, params, values)?);
        }
        Ok(Self(env))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A whole environment with these in the place of what stood for them.
    pub fn over(&self, env: &BTreeMap<String, String>) -> FullEnv {
        let value = |name: &String, value: &String| self.0.get(name).map_or_else(|| value.clone(), |v| v.to_string());
        FullEnv(env.iter().map(|(name, shown)| (name.clone(), value(name, shown))).collect())
    }
}
impl std::fmt::Debug for SecretEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A command's environment as it gets it. Wiped when it is dropped.
pub struct FullEnv(BTreeMap<String, String>);
impl std::ops::Deref for FullEnv {
    type Target = BTreeMap<String, String>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
impl Drop for FullEnv {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

/// What a run is given that is in nothing people see.
#[derive(Debug, Default)]
pub struct Given {
    /// Its secrets.
    pub env: SecretEnv,
    /// What is taken out of its output.
    pub needles: Option<Arc<Needles>>,
}

/// Every value this hub fetched, and what looks for them.
#[derive(Debug, Default)]
pub struct Vault {
    values: Mutex<BTreeMap<String, Vec<Value>>>,
    needles: Mutex<Option<Arc<Needles>>>,
}

impl Vault {
    /// Looks for these as well from now on. Takes as long as making ready to look for all of them.
    pub fn add(&self, new: &Values) -> Result<(), String> {
        // Held until the needles are there: of two who add at once, the later one knows both.
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for (key, value) in new {
            let known = values.entry(key.clone()).or_default();
            if !known.contains(value) {
                known.insert(0, value.clone());
                known.truncate(1 + FORMER_MAX);
                changed = true;
            }
        }
        if changed {
            let all = values.iter().flat_map(|(key, all)| all.iter().map(|value| (key.as_str(), value.expose())));
            let needles = Needles::new(all)?.map(Arc::new);
            *self.needles.lock().unwrap_or_else(PoisonError::into_inner) = needles;
        }
        Ok(())
    }

    /// What looks for all of them; nothing before the first one.
    pub fn needles(&self) -> Option<Arc<Needles>> {
        self.needles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A sentence without any of them.
    pub fn text(&self, text: String) -> String {
        match self.needles() {
            Some(needles) => needles.text(&text),
            None => text,
        }
    }
}

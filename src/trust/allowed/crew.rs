//! What a file must keep to so that a quorum of names is a quorum of people.
//!
//! `ssh-keygen` does not count people: one key under two names verifies as both, and a line with a wildcard as anybody it
//! matches. Four eyes need a key and a literal name for each pair.

use super::{APPROVE, Allowed};
use crate::name::Principal;
use std::collections::BTreeMap;
use std::fmt;

/// Why a crew cannot fly with this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrewProblem {
    /// A member of the crew has no line.
    NoLine {
        /// Who.
        principal: Principal,
    },
    /// One key may cross-check under more than one name.
    OneKey {
        /// Its fingerprint.
        fingerprint: String,
        /// The lines it stands in.
        lines: Vec<usize>,
        /// The names it stands under.
        names: Vec<String>,
    },
    /// A line that may cross-check names members of the crew by a wildcard or a negation.
    Pattern {
        /// Which line.
        line: usize,
        /// Whom of the crew it stands for.
        principals: Vec<Principal>,
    },
}

impl fmt::Display for CrewProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CrewProblem::NoLine { principal } => write!(
                f,
                "{principal} is in the plan's crew and has no line\nhint: add the line that `crosscheck whoami` prints for them"
            ),
            CrewProblem::OneKey { fingerprint, lines, names } => {
                let lines: Vec<_> = lines.iter().map(usize::to_string).collect();
                let names: Vec<_> = names.iter().map(|name| crate::name::shown(name)).collect();
                write!(
                    f,
                    "line {}: the key {fingerprint} may cross-check as {}: one key would count as several people\nhint: one key, one name; or limit the other line with namespaces=\"…\"",
                    lines.join(" and "),
                    names.join(" and ")
                )
            }
            CrewProblem::Pattern { line, principals } => {
                let names: Vec<_> = principals.iter().map(Principal::to_string).collect();
                write!(
                    f,
                    "line {line}: its patterns let one key cross-check as {}\nhint: write the names out, one line a person; or limit the line with namespaces=\"…\"",
                    names.join(" and ")
                )
            }
        }
    }
}

impl Allowed {
    /// What keeps these people, who may lead or shadow, from flying with this file; empty where they may.
    ///
    /// A line that matches nobody of the crew is nobody's business here, unless its key is also somebody's of the crew.
    pub fn crew_problems(&self, crew: &[&Principal]) -> Vec<CrewProblem> {
        let mut problems = vec![];
        for principal in crew {
            if !self.entries.iter().any(|entry| entry.principals.matches(principal.as_str())) {
                problems.push(CrewProblem::NoLine { principal: (*principal).clone() });
            }
        }
        let mut keys: BTreeMap<&[u8], Vec<_>> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.gives(APPROVE)) {
            keys.entry(&entry.blob).or_default().push(entry);
            let matched = crew.iter().filter(|principal| entry.principals.matches(principal.as_str()));
            let principals: Vec<Principal> = matched.map(|principal| (*principal).clone()).collect();
            if !principals.is_empty() && entry.principals.literal().is_none() {
                problems.push(CrewProblem::Pattern { line: entry.line, principals });
            }
        }
        for entries in keys.into_values() {
            let mut names: Vec<String> = vec![];
            for name in entries.iter().flat_map(|entry| &entry.principals.0).map(|pattern| &pattern.text) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            let of_crew = |entry: &&super::Entry| crew.iter().any(|who| entry.principals.matches(who.as_str()));
            if names.len() > 1 && entries.iter().any(of_crew) {
                let lines = entries.iter().map(|entry| entry.line).collect();
                let fingerprint = entries.first().map(|entry| entry.fingerprint.clone()).unwrap_or_default();
                problems.push(CrewProblem::OneKey { fingerprint, lines, names });
            }
        }
        problems
    }
}

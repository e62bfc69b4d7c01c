//! What ran of a step the last time that its plan was flown: what the next flight is compared with.

use super::Covers;
use crate::clock::At;
use crate::hash::Hash;
use crate::name::{StepId, WatchId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The last attempt of a step that ran in an earlier session of its plan, as that session's transcript tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flown {
    /// The session.
    pub session: String,
    /// The step.
    pub step: StepId,
    /// Which of its attempts.
    pub attempt: u32,
    /// When that was armed.
    pub at: At,
    /// Whether it counts as done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    /// The digest that people checked then.
    pub digest: Hash,
    /// What it was of. Texts of files are left out where all of it is too long for a line, and then everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Box<Covers>>,
    /// What its gates were held to, in the words of the plan as it was then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<WatchId, String>,
    /// What was compared after it, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verify: String,
}

impl Flown {
    /// The same in fewer bytes: without the texts of files, of which hash and size stay.
    #[must_use]
    pub fn without_texts(mut self) -> Flown {
        for command in self.covers.iter_mut().flat_map(|covers| covers.commands_mut()) {
            let named = command.named.iter_mut().flatten();
            let kept = [Some(&mut command.exe), command.interpreter.as_mut(), command.stdin_file.as_mut()];
            let files = command.files.iter_mut().chain(named).chain(kept.into_iter().flatten());
            files.for_each(|file| file.text = None);
        }
        self
    }
    /// The least that is worth knowing: that it ran, and the digest.
    #[must_use]
    pub fn without_all(self) -> Flown {
        Flown { covers: None, ..self }
    }
}

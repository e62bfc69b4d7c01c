//! The andon: anyone stops the line, two different people let it go on.

use crate::clock::At;
use crate::event::Role;
use crate::name::Principal;
use crate::session::Session;
use crate::transcript::record::Head;
use crate::trust::allowed::Why;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A puller gone for so long need not release any more; the lead and any shadow do it instead.
pub const PULLER_GONE: Duration = Duration::from_secs(120);

/// Whether anything may start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineState {
    /// Who pulled the andon, and when first.
    pub pulled: BTreeMap<Principal, At>,
    /// Who agreed to go on since the latest pull.
    pub released: BTreeSet<Principal>,
    /// The latest pull: what a release answers.
    pub latest: Option<Head>,
    /// Why the hub holds it.
    pub held: Option<String>,
}

impl LineState {
    /// Whether nothing may start.
    pub fn is_stopped(&self) -> bool {
        !self.pulled.is_empty() || self.held.is_some()
    }
    /// A pull takes back every release given before it: they answered another question.
    pub(super) fn pull(&mut self, by: &Principal, at: At, line: Head) {
        self.latest = Some(line);
        self.pulled.entry(by.clone()).or_insert(at);
        self.released.clear();
    }
    pub(super) fn release(&mut self, by: &Principal, freed: bool) {
        self.released.insert(by.clone());
        if freed {
            self.pulled.clear();
            self.released.clear();
        }
    }
}

impl Session {
    /// Who has still to release, in words; empty where `released` is enough.
    ///
    /// Every puller who is here (or was until less than `PULLER_GONE` ago) releases, and the lead does; where that
    /// would be one person only, any shadow is the second.
    pub fn release_needs(&self, at: At, released: &BTreeSet<Principal>) -> Vec<String> {
        let mut needs = vec![];
        if !released.contains(&self.lead) {
            needs.push(format!("the lead ({})", self.lead));
        }
        let pullers = self.line.pulled.keys().filter(|puller| **puller != self.lead && !puller.is_hub());
        let waiting: Vec<_> = pullers.filter(|puller| !self.is_long_gone(puller, at)).collect();
        needs.extend(waiting.iter().filter(|puller| !released.contains(**puller)).map(|puller| puller.to_string()));
        if waiting.is_empty() && !released.iter().any(|who| self.is_shadow(who)) {
            needs.push("any shadow".into());
        }
        needs
    }

    fn is_long_gone(&self, who: &Principal, at: At) -> bool {
        self.people.get(who).and_then(|person| person.gone).is_some_and(|gone| at.since(gone) >= PULLER_GONE)
    }

    /// A shadow of the plan who does not lead.
    pub fn is_shadow(&self, who: &Principal) -> bool {
        *who != self.lead && self.plan.crew.shadow.contains(who)
    }

    /// Whether that person may take note of how a step ended: a shadow, or whoever holds a seat, who does not lead.
    pub fn may_acknowledge(&self, who: &Principal) -> bool {
        self.is_shadow(who) || (*who != self.lead && self.holds_seat(who))
    }

    /// Whether allowed_signers gives that principal that key (its fingerprint) for signatures in that namespace, at that
    /// time; `false` where the session has none.
    pub fn vouches(&self, who: &Principal, key: &str, namespace: &str, at: At) -> Result<bool, Why> {
        match &self.allowed {
            Some(allowed) => allowed.is_signer_with(who, key, namespace, at).map(|()| true),
            None => Ok(false),
        }
    }

    /// Whether that principal may be here only with a key that is vouched for. The read-only link, where the plan gives
    /// one, is for anyone: who comes by it goes by a name that nobody in the plan has.
    pub fn must_be_vouched(&self, who: &Principal) -> bool {
        self.allowed.is_some() && self.plan.principals().contains(&who)
    }

    /// What that principal may do now.
    pub fn role(&self, who: &Principal) -> Role {
        match self {
            _ if *who == self.lead => Role::Lead,
            _ if self.plan.crew.shadow.contains(who) => Role::Shadow,
            _ if self.seats_of(who).next().is_some() => Role::Seat,
            _ => Role::Observer,
        }
    }
}

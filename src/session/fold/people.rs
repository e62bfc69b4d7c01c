//! Who comes and goes, who leads, and what people look at.

use crate::clock::At;
use crate::event::{Attention, Role};
use crate::name::Principal;
use crate::session::{Handover, Person, REFUSAL_WINDOW, Session};
use std::collections::BTreeSet;

impl Session {
    pub(super) fn joined(
        &mut self,
        at: At,
        who: &Principal,
        (role, key): (Role, &str),
        connection: u64,
        vouched: bool,
    ) {
        let person = self.people.entry(who.clone()).or_insert_with(|| Person {
            role,
            key: key.to_owned(),
            vouched,
            connections: BTreeSet::new(),
            attention: Attention::Here,
            since: at,
            gone: None,
        });
        person.vouched = vouched;
        person.connections.insert(connection);
        person.gone = None;
    }

    pub(super) fn left(&mut self, at: At, who: &Principal, connection: u64) {
        if let Some(person) = self.people.get_mut(who) {
            person.connections.remove(&connection);
            if person.connections.is_empty() {
                person.gone = Some(at);
            }
        }
    }

    pub(super) fn looks_at(&mut self, at: At, who: &Principal, attention: &Attention) {
        if let Some(person) = self.people.get_mut(who) {
            person.attention = attention.clone();
            person.since = at;
        }
    }

    pub(super) fn handover_agreed(&mut self, by: &Principal, to: &Principal) {
        self.handover = Some(Handover { to: to.clone(), agreed: by.clone() });
    }

    pub(super) fn handed_over(&mut self, to: &Principal) {
        self.lead = to.clone();
        self.handover = None;
        // They were given to, and with, the lead before.
        for state in self.steps.values_mut() {
            state.waivers.clear();
            state.skip = None;
        }
    }

    pub(super) fn was_refused(&mut self, at: At, who: &Principal) {
        let count = self.refusals.entry(who.clone()).or_insert((at, 0));
        if at.since(count.0) >= REFUSAL_WINDOW {
            *count = (at, 0);
        }
        count.1 += 1;
    }
}

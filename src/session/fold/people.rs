//! Who comes and goes, who leads, and what people look at.

use super::Now;
use crate::clock::At;
use crate::event::{Attention, Role};
use crate::name::Principal;
use crate::session::people::Taken;
use crate::session::readmit::{HalfReadmit, Readmitted};
use crate::session::{Handover, Person, REFUSAL_WINDOW, Session};
use std::collections::{BTreeMap, BTreeSet};

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
            silent: BTreeMap::new(),
            knocked: None,
            lost: vec![],
            readmitted: None,
            attention: Attention::Here,
            since: at,
            gone: None,
        });
        person.vouched = vouched;
        person.connections.insert(connection);
        person.gone = None;
        if *who == self.lead {
            self.lead_gone = None;
        }
    }

    pub(super) fn left(&mut self, at: At, who: &Principal, connection: u64) {
        if let Some(person) = self.people.get_mut(who) {
            person.connections.remove(&connection);
            person.silent.remove(&connection);
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

    pub(super) fn key_refused(&mut self, who: &Principal, key: &str) {
        if let Some(person) = self.people.get_mut(who) {
            person.knocked = Some(key.to_owned());
        }
    }

    pub(super) fn readmit_agreed(&mut self, now: Now, who: &Principal, key: &str) {
        let (at, by) = (now.at, now.by.clone());
        self.readmitting = Some(HalfReadmit { at, by, who: who.clone(), key: key.to_owned() });
    }

    pub(super) fn readmitted(&mut self, now: Now, who: &Principal, key: &str, agreed: &Principal) {
        self.readmitting = None;
        let Some(person) = self.people.get_mut(who) else { return };
        person.lost.push(std::mem::replace(&mut person.key, key.to_owned()));
        person.knocked = None;
        person.readmitted = Some(Readmitted { at: now.at, by: [agreed.clone(), now.by.clone()] });
        // Whoever still holds the lost key is nobody.
        if !person.connections.is_empty() {
            person.connections.clear();
            person.silent.clear();
            person.gone = Some(now.at);
        }
    }

    pub(super) fn link_silent(&mut self, who: &Principal, connection: u64, since: Option<At>) {
        let Some(person) = self.people.get_mut(who) else { return };
        match since {
            Some(since) => person.silent.insert(connection, since),
            None => person.silent.remove(&connection),
        };
    }

    pub(super) fn handover_agreed(&mut self, now: Now, to: &Principal) {
        self.handover = Some(Handover { to: to.clone(), agreed: now.by.clone(), at: now.at });
    }

    pub(super) fn handed_over(&mut self, now: Now, from: &Principal, to: &Principal, agreed: Option<&Principal>) {
        if let Some(agreed) = agreed {
            let (from, to, by) = (from.clone(), to.clone(), [agreed.clone(), now.by.clone()]);
            self.taken.push(Taken { at: now.at, from, to, by });
        }
        self.lead = to.clone();
        self.lead_gone = None;
        self.handover = None;
        // They were given to, and with, the lead before.
        for state in self.steps.values_mut() {
            state.waivers.clear();
            state.skip = None;
            state.half_done = None;
            if let Some(armed) = &mut state.armed {
                armed.handed = true;
            }
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

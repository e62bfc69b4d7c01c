//! Virtual cockpits: they fold published bytes, come late by snapshot, stall, and resume after their last number.

use crate::session::Session;
use crate::session::steps::{Phase, TABLE};
use crate::transcript::record::{Head, Line};
use bytes::Bytes;
use std::collections::BTreeMap;

/// More would only cost time: one that reads everything, some that come and go.
const CLIENTS_MAX: usize = 4;
/// Sessions are compared as JSON (which also proves that a snapshot reads back) only so often, since it is slow.
const COMPARE_EVERY: u64 = 48;

#[derive(Debug)]
struct Client {
    session: Session,
    head: Head,
    connected: bool,
}

/// All of them. The first one never stalls for longer than its hub.
#[derive(Debug, Default)]
pub struct Clients {
    clients: Vec<Client>,
    publications: u64,
    /// The line read last, with the heads before and after it.
    read: Option<(Head, Bytes, Line, Head)>,
    /// Rows of the transition table that were taken.
    pub rows: BTreeMap<usize, u32>,
    /// Moves outside the table.
    pub outside: Vec<String>,
}

impl Clients {
    pub fn open(&mut self, session: &Session, head: Head) {
        self.clients.push(Client { session: session.clone(), head, connected: true });
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Someone comes by snapshot; what is said is wrong with it.
    pub fn late(&mut self, session: &Session, head: Head) -> Option<String> {
        let text = match serde_json::to_string(session) {
            Ok(text) => text,
            Err(error) => return Some(format!("a session cannot be written as JSON: {error}")),
        };
        let session: Session = match serde_json::from_str(&text) {
            Ok(session) => session,
            Err(error) => return Some(format!("a snapshot cannot be read: {error}")),
        };
        if self.clients.len() == CLIENTS_MAX {
            self.clients.remove(1);
        }
        self.clients.push(Client { session, head, connected: true });
        None
    }

    pub fn stall(&mut self, client: usize) {
        if let Some(client) = self.clients.get_mut(client).filter(|_| client > 0) {
            client.connected = false;
        }
    }

    /// Everyone loses the hub that died.
    pub fn lose_hub(&mut self) {
        self.clients.iter_mut().for_each(|client| client.connected = false);
    }

    pub fn resume(&mut self, client: usize, durable: &[Bytes]) -> Result<(), String> {
        let Some(index) = client.checked_rem(self.clients.len()) else { return Ok(()) };
        let from = self.clients[index].head.seq as usize;
        if self.clients[index].connected {
            return Ok(());
        }
        for bytes in durable.get(from..).ok_or("a client holds lines that no disk has")? {
            self.fold(index, bytes)?;
        }
        self.clients[index].connected = true;
        Ok(())
    }

    /// Everyone connected folds the bytes. Gives back the new sentences and whatever differs.
    pub fn publish(&mut self, bytes: &[Bytes], hub: &Session, head: Head) -> (Vec<String>, Vec<String>) {
        let (mut told, mut unequal) = (vec![], vec![]);
        for bytes in bytes {
            for index in 0..self.clients.len() {
                if !self.clients[index].connected {
                    continue;
                }
                if let Err(why) = self.fold(index, bytes) {
                    unequal.push(why);
                    self.clients[index].connected = false;
                }
            }
            let reader = &self.clients[0].session;
            told.extend(reader.recent.back().filter(|told| told.seq == reader.seq).map(|told| told.text.clone()));
        }
        self.publications += 1;
        let (often, json) = (self.publications.is_multiple_of(4), self.publications.is_multiple_of(COMPARE_EVERY));
        let text = |session: &Session| serde_json::to_string(session).unwrap_or_default();
        for client in self.clients.iter().filter(|client| client.connected) {
            let equal = client.head == head
                && (!often || client.session == *hub)
                && (!json || text(&client.session) == text(hub));
            if !equal {
                let (client_has, hub_has) = (text(&client.session), text(hub));
                let at = client_has.bytes().zip(hub_has.bytes()).position(|(a, b)| a != b).unwrap_or(0);
                let part = |text: &str| {
                    text.as_bytes()[at.saturating_sub(60)..]
                        .iter()
                        .take(120)
                        .map(|b| char::from(*b))
                        .collect::<String>()
                };
                unequal.push(format!(
                    "a client at {} has {:?}, the hub at {} has {:?}",
                    client.head.seq,
                    part(&client_has),
                    head.seq,
                    part(&hub_has)
                ));
            }
        }
        (told, unequal)
    }

    fn fold(&mut self, index: usize, bytes: &Bytes) -> Result<(), String> {
        let client = &mut self.clients[index];
        // Reading is slow in a debug build: whoever stands where the last reader stood takes what that one read.
        let line = match &self.read {
            Some((from, read, line, head)) if *from == client.head && read == bytes => {
                client.head = *head;
                line.clone()
            }
            _ => {
                let (line, head) = Line::decode(bytes, client.head).map_err(|error| error.to_string())?;
                self.read = Some((client.head, bytes.clone(), line.clone(), head));
                client.head = head;
                line
            }
        };
        if index > 0 {
            client.session.apply(&line, client.head.hash);
            return Ok(());
        }
        let phases = |session: &Session| {
            session.steps.iter().map(|(id, state)| (id.clone(), state.phase)).collect::<BTreeMap<_, _>>()
        };
        let before = phases(&client.session);
        client.session.apply(&line, client.head.hash);
        let after = phases(&client.session);
        // By name: a step that is typed may come to stand between others.
        let pairs = after.into_iter().filter_map(|(id, after)| Some((*before.get(&id)?, after)));
        let moved: Vec<_> = pairs.filter(|(before, after)| before != after).collect();
        let wanted = match &line.event {
            // It moves a step that runs nothing; every other one waits already.
            crate::event::Event::WaitStarted { .. } => moved.len().min(1),
            event => usize::from(moves(event)),
        };
        if moved.len() != wanted {
            self.outside.push(format!("line {}: {} moved {moved:?}", line.seq, line.event.kind()));
        }
        for (before, after) in moved {
            match row(before, &line.event, after) {
                Some(row) => *self.rows.entry(row).or_default() += 1,
                None => {
                    self.outside.push(format!("line {}: {before:?} to {after:?} by {}", line.seq, line.event.kind()))
                }
            }
        }
        Ok(())
    }
}

/// Kinds that must move exactly one step; all others move none.
fn moves(event: &crate::event::Event) -> bool {
    if matches!(event, crate::event::Event::RunStarted { part: crate::event::Part::Rollback, .. }) {
        return false; // it is being rolled back since the intent
    }
    matches!(
        event.kind(),
        "StepArmed"
            | "StepCleared"
            | "StepVoided"
            | "RunRequested"
            | "RunIntended"
            | "BatchIntended"
            | "BatchesEnded"
            | "RunStarted"
            | "RunEnded"
            | "DoneByHand"
            | "WaitEnded"
            | "VerifyEnded"
            | "RollbackIntended"
            | "RollbackEnded"
            | "OutcomeUnknown"
            | "Acknowledged"
            | "StepSkipped"
    )
}

/// The row of the table, by the kind that DESIGN.md gives for it rather than by the fold's own translation.
fn row(before: Phase, event: &crate::event::Event, after: Phase) -> Option<usize> {
    use crate::event::{Event, Verdict};
    use crate::session::steps::Move::*;
    // Two verdicts may lead to one phase: which row it was, the verdict says.
    let verdict = match event {
        Event::VerifyEnded { verdict: Verdict::Better | Verdict::Same, .. } if after == Phase::BetweenBatches => {
            Some(VerifyBatch)
        }
        Event::VerifyEnded { verdict: Verdict::Better | Verdict::Same, .. } => Some(VerifyWell),
        Event::VerifyEnded { verdict: Verdict::Worse, .. } => Some(VerifyWorse),
        Event::VerifyEnded { verdict: Verdict::CannotTell, .. } => Some(VerifyUnclear),
        _ => None,
    };
    TABLE.iter().position(|(from, by, to)| {
        if verdict.is_some_and(|verdict| verdict != *by) {
            return false;
        }
        let kind = match by {
            Arm => "StepArmed",
            Clear => "StepCleared",
            Void => "StepVoided",
            Request => "RunRequested",
            Intend if *from == Phase::BetweenBatches => "BatchIntended",
            Intend => "RunIntended",
            BatchesOver => "BatchesEnded",
            Start => "RunStarted",
            EndWell if *from == Phase::Intended => "DoneByHand",
            // What a person did, else what runs nothing.
            EndToWait if *from == Phase::Intended && event.kind() == "DoneByHand" => "DoneByHand",
            EndToWait if *from == Phase::Intended => "WaitStarted",
            NotStarted | EndWell | EndToWait | EndToVerify | EndUnclear | EndBadly => "RunEnded",
            WaitMet | WaitMetToVerify | WaitOver => "WaitEnded",
            VerifyWell | VerifyBatch | VerifyWorse | VerifyUnclear => "VerifyEnded",
            Lose => "OutcomeUnknown",
            RollBack => "RollbackIntended",
            RollbackWell | RollbackToVerify | RollbackBadly => "RollbackEnded",
            SettleDone | SettleFailed => "Acknowledged",
            Skip => "StepSkipped",
        };
        *from == before && *to == after && kind == event.kind()
    })
}

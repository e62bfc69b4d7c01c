//! Letting clients in that proved their key, or turning them away.

use super::super::joining::Welcome;
use super::{Batch, CONNECTIONS_PER_PRINCIPAL, Driver, Joining, NotIn, PEOPLE_MAX, SequencerError};
use crate::clock::At;
use crate::session::Fact;
use crate::trust::allowed::JOIN;

impl Driver {
    pub(super) fn join(&mut self, joining: Joining, now: At, batch: &mut Batch) -> Result<(), SequencerError> {
        let session = self.sequencer.session();
        let principal = joining.author.principal.clone();
        let known = session.people.get(&principal);
        // Said before anything else, in words that tell a stranger with a stolen link nothing: why stands in the transcript.
        if let Err(why) = session.vouches(&principal, &joining.author.key, JOIN, now)
            && session.must_be_vouched(&principal)
        {
            let reason = format!("{why} (key {})", joining.author.key);
            batch.lines.extend(self.sequencer.observe(now, &Fact::DoorRefused { principal, reason })?);
            let reason = "not let in: this session takes only keys that its allowed_signers vouches for; ask the release lead, the transcript says why".to_owned();
            let _ = joining.reply.send(Err(NotIn { reason, retry: false }));
            return Ok(());
        }
        let mut strange = None;
        let refusal = match known {
            Some(person) if person.key != joining.author.key && principal.as_str().starts_with("observer:") => {
                Some((format!("somebody else goes by {principal} in this session; take another name with --as"), false))
            }
            Some(person) if person.lost.contains(&joining.author.key) => {
                Some(("another key was let in for this link; this one is out".to_owned(), false))
            }
            Some(person) if person.key != joining.author.key => {
                strange = Some(joining.author.key.clone());
                let words = "this personal link was used with another key first, and stays with it; where that key is lost, ask two of the crew for `readmit` and join again";
                Some((words.to_owned(), false))
            }
            // Some of them may be lost ones that the hub has not given up yet, so it may be worth coming again.
            Some(person) if person.connections.len() >= CONNECTIONS_PER_PRINCIPAL => Some((
                format!("{principal} has {CONNECTIONS_PER_PRINCIPAL} connections already; leave one of them"),
                true,
            )),
            None if session.people.len() >= PEOPLE_MAX => {
                Some((format!("{PEOPLE_MAX} people have joined already"), false))
            }
            _ if session.closed.is_some() => Some(("the session is closed".to_owned(), false)),
            _ => None,
        };
        if let Some((reason, retry)) = refusal {
            if let Some(key) = strange {
                let principal = principal.clone();
                batch.lines.extend(self.sequencer.observe(now, &Fact::KeyRefused { principal, key })?);
            }
            batch.lines.extend(self.sequencer.observe(now, &Fact::DoorRefused { principal, reason: reason.clone() })?);
            let _ = joining.reply.send(Err(NotIn { reason, retry }));
            return Ok(());
        }
        self.connections += 1;
        let role = session.role(&principal);
        let joined = Fact::Joined { principal, role, key: joining.author.key.clone(), connection: self.connections };
        batch.lines.extend(self.sequencer.observe(now, &joined)?);
        batch.joins.push((joining, self.connections));
        Ok(())
    }

    pub(super) fn let_in(&mut self, joins: Vec<(Joining, u64)>) {
        if joins.is_empty() {
            return;
        }
        let session = self.sequencer.session();
        let head = self.base.head();
        let upto = session.seq;
        for (joining, connection) in joins {
            let role = session.role(&joining.author.principal);
            self.inside.retain(|(_, outbox)| outbox.strong_count() > 0);
            self.inside.push((joining.author.key.clone(), joining.outbox.clone()));
            self.shared.ring.admit(joining.outbox);
            let welcome = Welcome { role, head, upto, resume: joining.have, base: self.base.clone() };
            // A client that is gone already is told off by its own departure.
            let _ = joining.reply.send(Ok((connection, welcome)));
        }
    }
}

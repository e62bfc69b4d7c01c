//! Decides, numbers and links; performs nothing.
//!
//! The contract, in the order of calls: give one input ([`Sequencer::request`] or [`Sequencer::observe`]), then take *all*
//! lines it returned, in order, append them, sync, and only then show them to anyone or act on them. The sequencer's own
//! state already includes them, so that whatever waits in the same batch is decided with them: two equal requests in one
//! batch can never both be granted. If a line cannot be made durable the sequencer must be dropped; nothing is taken back.

use crate::clock::At;
use crate::event::Event;
use crate::name::Principal;
use crate::session::{Author, Fact, OpenError, Refusal, Request, Session, decide, observe, on_record, twin};
use crate::transcript::record::{Encoded, FORMAT, Head, Line};
use bytes::Bytes;

/// A line with its bytes: made once, then written, hashed and sent as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    /// The line.
    pub line: Line,
    /// Its bytes and their hash.
    pub encoded: Encoded,
}
impl Numbered {
    /// The bytes, LF included.
    pub fn bytes(&self) -> &Bytes {
        self.encoded.bytes()
    }
}

/// Gives out numbers. See the module for the contract.
#[derive(Debug, Clone)]
pub struct Sequencer {
    session: Session,
    head: Head,
    /// Time as last stamped: `at` never runs backwards.
    at: At,
}

/// Why a sequencer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    /// The first line opens no session.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An event could not be written as JSON.
    #[error("an event could not be encoded: {0}")]
    Encode(#[from] serde_json::Error),
}

/// What a request led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Lines to append, in order; a refusal leaves one too.
    pub lines: Vec<Numbered>,
    /// The refusal, if it was refused.
    pub refusal: Option<Refusal>,
}

impl Sequencer {
    /// Opens a session with its first line.
    pub fn open(at: At, opened: Event) -> Result<(Sequencer, Numbered), SequencerError> {
        let numbered = number(Head::START, at, Principal::hub(), opened)?;
        let session = Session::open(&numbered.0.line, numbered.1.hash)?;
        Ok((Sequencer { session, head: numbered.1, at }, numbered.0))
    }

    /// Goes on where a transcript ends.
    pub fn resume(session: Session, head: Head) -> Sequencer {
        Sequencer { at: session.at, session, head }
    }

    /// The session with every numbered event in it, synced or not.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Number and hash of the last line.
    pub fn head(&self) -> Head {
        self.head
    }

    /// A participant asks for something.
    pub fn request(&mut self, at: At, author: &Author, request: &Request) -> Result<Answer, SequencerError> {
        let mut lines = self.observe(at, &Fact::Tick)?;
        let refusal = match decide(&self.session, self.at, author, request) {
            Ok(events) => {
                self.number_all(&author.principal, events, &mut lines)?;
                None
            }
            Err(refusal) => {
                self.record_refusal(author, request, &refusal, &mut lines)?;
                Some(refusal)
            }
        };
        Ok(Answer { lines, refusal })
    }

    /// A request that failed before it could be decided (the step could not be frozen): refused, and on record.
    pub fn refuse(
        &mut self,
        at: At,
        author: &Author,
        request: &Request,
        refusal: Refusal,
    ) -> Result<Answer, SequencerError> {
        let mut lines = self.observe(at, &Fact::Tick)?;
        self.record_refusal(author, request, &refusal, &mut lines)?;
        Ok(Answer { lines, refusal: Some(refusal) })
    }

    fn record_refusal(
        &mut self,
        author: &Author,
        request: &Request,
        refusal: &Refusal,
        lines: &mut Vec<Numbered>,
    ) -> Result<(), SequencerError> {
        match on_record(&self.session, self.at, &author.principal, request, refusal) {
            Some((by, event)) => self.number_all(&by, vec![event], lines),
            None => Ok(()),
        }
    }

    /// The hub saw or did something.
    pub fn observe(&mut self, at: At, fact: &Fact) -> Result<Vec<Numbered>, SequencerError> {
        self.at = self.at.max(at);
        let mut lines = vec![];
        for fact in fact.with_time() {
            let by = match fact {
                Fact::Joined { principal, .. } | Fact::Left { principal, .. } => principal.clone(),
                _ => Principal::hub(),
            };
            let events = observe(&self.session, self.at, fact);
            self.number_all(&by, events, &mut lines)?;
        }
        Ok(lines)
    }

    /// The hub signs something, where something is due. What time alone does comes first, so that nothing comes between
    /// what is signed and its line.
    pub fn sign(
        &mut self,
        at: At,
        due: impl FnOnce(&Session, At) -> Option<Fact>,
    ) -> Result<Vec<Numbered>, SequencerError> {
        let mut lines = self.observe(at, &Fact::Tick)?;
        if let Some(fact) = due(&self.session, self.at) {
            let events = observe(&self.session, self.at, &fact);
            self.number_all(&Principal::hub(), events, &mut lines)?;
        }
        Ok(lines)
    }

    fn number_all(
        &mut self,
        by: &Principal,
        events: Vec<Event>,
        lines: &mut Vec<Numbered>,
    ) -> Result<(), SequencerError> {
        for event in events {
            let (numbered, head) = number(self.head, self.at, by.clone(), event)?;
            self.session.apply(&numbered.line, head.hash);
            self.head = head;
            if twin::broken(8) && self.head.seq.is_multiple_of(7) {
                self.head.seq += 1; // a gap
            }
            lines.push(numbered);
        }
        Ok(())
    }
}

fn number(after: Head, at: At, by: Principal, event: Event) -> Result<(Numbered, Head), SequencerError> {
    let line = Line { v: FORMAT, seq: after.seq + 1, prev: after.hash, at, by, event };
    let encoded = line.encode()?;
    let head = encoded.head();
    Ok((Numbered { line, encoded }, head))
}

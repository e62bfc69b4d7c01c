//! The hub: owns the session, runs its commands, writes its transcript, serves its participants.

pub mod fanout;
pub mod sequencer;

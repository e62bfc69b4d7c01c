//! The hub: owns the session, runs its commands, writes its transcript, serves its participants.

mod crash;
pub mod driver;
pub mod fanout;
pub mod journal;
pub mod links;
pub mod peer;
pub mod sequencer;

//! The hub: owns the session, runs its commands, writes its transcript, serves its participants.

pub mod sequencer;

#[cfg(test)]
mod generated;

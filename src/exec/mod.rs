//! Commands: frozen into the bytes that people check, then run exactly as frozen.
//!
//! [`freeze()`] turns a step of a plan into [`Covers`](crate::event::Covers), every byte that decides what happens.
//! Nothing here knows of people, sessions or transcripts. Start at [`freeze()`].

mod files;
mod freeze;
mod lookup;

pub use freeze::{FreezeError, freeze};

#[cfg(test)]
mod tests;

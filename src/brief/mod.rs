//! What every front end says about a session, said once: whether something may be done and every reason why not
//! ([`Sight::may`]), what a person can do and by which key and verb ([`acts`]), what a key asks for ([`Sight::wish`]), and all
//! that is armed ([`armed`], in a few lines [`summary`], in what it differs from what came before [`since`]).
//!
//! Pure functions of session, time, person and link that give data in words: no colours, no widths, no input or output.
//! A front end lays it out and writes no rule and no sentence of its own about a session.

pub mod acts;
pub mod armed;
pub mod command;
mod differs;
mod item;
pub mod keys;
mod may;
mod next;
mod sight;
pub mod since;
pub mod stands;
pub mod summary;
mod wish;

pub use may::awaited;
pub use next::Next;
pub use sight::{Picked, Reach, Sight, Why};
pub use wish::{going_on, heirs};

//! The cockpit's screen: a view of the session, and keys that become requests.
//!
//! [`update`](update::update) is pure: it takes one event, the view and the time, changes what only this screen knows
//! ([`app::App`]) and says what to do. [`draw`](draw::draw) is pure as well: it draws a frame and tells what was on it.
//! Only [`run`](run()) and [`terminal`] know a terminal. No rule of the session lives here; what is refused here early is
//! refused by the hub again. Start at [`run()`].

pub mod app;
mod armed;
mod asking;
mod board;
mod canvas;
pub mod config;
pub mod deviations;
pub mod draw;
mod exceptions;
pub mod facts;
mod field;
mod happened;
pub mod keymap;
mod palette;
mod panel;
mod panes;
mod preflight;
mod read_back;
mod recovery;
mod rehearsal;
mod run;
pub mod source;
pub mod terminal;
mod text;
pub mod theme;
mod typing;
pub mod update;

pub use board::board;
pub use draw::Glyphs;
pub use run::{Depth, Exit, Options, run};
pub use update::{Answered, ReplayCommand};

#[cfg(test)]
pub(crate) mod tests;

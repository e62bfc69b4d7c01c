//! Commands: frozen into the bytes that people check, then run exactly as frozen.
//!
//! [`freeze()`] turns a step of a plan into [`Covers`](crate::event::Covers), every byte that decides what happens;
//! [`open`] holds such a value against what is there now and keeps it open; [`start`] runs what was opened and reports output and end on one bounded channel, the only thing its reader may wait
//! for; [`Screen`] and [`Emulator`] turn output into cells, the only form in which it reaches a terminal. Nothing here
//! knows of people, sessions or transcripts. `spawn` alone holds unsafe code. Start at [`freeze()`], then
//! [`open`] and [`start`].

mod emulator;
mod ending;
mod files;
mod freeze;
mod inherited;
mod keeper;
mod lookup;
mod opened;
mod preview;
mod process;
mod pty;
mod reader;
mod remote;
mod screen;
mod script;
mod sealed;
mod shared;
mod spawn;
mod starting;
mod unfrozen;

pub use emulator::{Emulator, Frame};
pub use freeze::{freeze, freeze_part, freeze_rollback, host, user};
pub use inherited::inherited;
pub use keeper::{left, signal_left, still_runs};
pub use opened::{Opened, named_unchanged, open};
pub use preview::{PreviewError, look};
pub use process::{is_alive, noted};
pub use pty::{Running, start};
pub use screen::{Cell, Color, Screen, Style};
pub use shared::Report;
pub use spawn::{ignore_nothing_in_children, in_own_session};
pub use starting::{Size, StartError};
pub use unfrozen::FreezeError;

#[cfg(test)]
mod tests;

//! The cockpit's screen.

mod text;
pub mod theme;

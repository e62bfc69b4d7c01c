//! The cockpit's screen.

pub mod app;
pub mod canvas;
pub mod draw;
pub mod facts;
pub mod keymap;
mod panel;
pub mod panes;
pub mod text;
pub mod theme;
mod typing;
pub mod update;

#[cfg(test)]
mod tests;

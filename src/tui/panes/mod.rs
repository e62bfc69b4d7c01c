//! The panes of the main screen, one file each, every one a small function that draws into its area.

pub mod command;
pub mod crew;
pub mod plan;
pub mod watches;

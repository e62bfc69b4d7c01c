//! What the tests share. Start at [`program::Stage`].

pub mod hostile;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod program;
pub mod raw;
pub mod real;
pub mod tmux;
pub mod wait;

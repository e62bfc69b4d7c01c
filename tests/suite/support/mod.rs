//! What the tests share. Start at [`program::Stage`].

pub mod cases;
pub mod hostile;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod program;
pub mod raw;
pub mod real;
pub mod tls;
pub mod tmux;
pub mod wait;
pub mod watch;

//! What the tests share. Start at [`program::Stage`].

#[cfg(feature = "kafka")]
pub mod brokers;
pub mod cases;
pub mod crew;
pub mod faulty;
pub mod flight;
pub mod hook;
pub mod hostile;
pub mod inherited;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "kafka")]
pub mod log;
pub mod messages;
pub mod pages;
pub mod parts;
pub mod program;
pub mod raw;
pub mod real;
pub mod scenario;
pub mod tls;
pub mod tmux;
pub mod wait;
pub mod watch;
#[cfg(feature = "kafka")]
pub mod writer;

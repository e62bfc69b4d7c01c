pub mod clock;
pub mod event;
pub mod hash;
pub mod monitor;
pub mod name;
pub mod plan;
pub mod transcript;

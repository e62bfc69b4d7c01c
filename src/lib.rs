pub mod clock;
pub mod event;
pub mod exec;
pub mod hash;
pub mod name;
pub mod plan;
pub mod transcript;

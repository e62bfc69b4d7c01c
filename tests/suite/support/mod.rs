//! What the tests share. Start at [`program::Stage`].

pub mod program;
pub mod raw;
pub mod wait;

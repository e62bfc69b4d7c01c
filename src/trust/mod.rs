//! Keys, signatures and statements: what a stranger can check later with stock tools.

pub mod agent;
pub mod allowed;
mod blob;
pub mod key;
pub mod signer;
pub mod sshsig;
pub mod statement;

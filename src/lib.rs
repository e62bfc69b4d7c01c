#![doc = include_str!("../ARCHITECTURE.md")]

pub mod name;

pub mod hash;

pub mod clock;

pub mod baseline;

pub mod trust;

pub mod plan;

pub mod secret;

pub mod event;

pub mod session;

pub mod brief;

pub mod transcript;

pub mod protocol;

pub mod hub;

pub mod exec;

#[cfg(test)]
pub(crate) mod fixture;

pub mod monitor;

pub mod identity;

pub mod link;

pub mod tls;

pub mod client;

pub mod report;

pub mod tui;

pub mod cli;

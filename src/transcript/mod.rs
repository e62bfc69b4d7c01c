//! One ordered, hash-linked log per session, and everything that reads or writes its bytes.
//!
//! `record` has the bytes of a line, [`mod@file`] writes them durably and takes a session up again, [`output`] keeps what
//! commands printed beside them, [`read`] reads lines, also while they are being written, [`index`] finds line n for late
//! joiners, [`verify`] judges bytes and links, [`audit`] says what they prove, [`found`] looks for sessions that are not closed,
//! [`mod@expire`] deletes the output of those that are.

pub mod audit;
pub mod expire;
pub mod file;
pub mod found;
pub mod index;
pub mod output;
pub mod read;
pub mod record;
pub mod verify;

#[cfg(test)]
pub(crate) mod flight;
#[cfg(test)]
pub(crate) mod tests;

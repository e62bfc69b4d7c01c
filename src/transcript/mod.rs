//! One ordered, hash-linked log per session, and everything that reads or writes its bytes.

pub mod record;

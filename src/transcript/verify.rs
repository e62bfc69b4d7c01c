//! The verdict on a transcript's bytes.

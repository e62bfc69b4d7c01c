//! Set C: what does not count as a cross-check.

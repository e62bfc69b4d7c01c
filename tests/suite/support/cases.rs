//! Counts what a set of cases came to, so that the number printed is the number that held.

use std::cell::Cell;
use std::io::Write as _;

/// Cases that held so far.
#[derive(Default)]
pub struct Cases(Cell<usize>);

impl Cases {
    /// One case: it holds, or the test fails with these words.
    #[track_caller]
    pub fn hold(&self, so: bool, what: &str) {
        assert!(so, "{what}");
        self.0.set(self.0.get() + 1);
    }

    /// Prints how many there were, which is at least so many.
    pub fn finish(&self, set: &str, at_least: usize) {
        // Past the test runner, which keeps what a passing test prints.
        let _ = writeln!(std::io::stderr(), "set {set}: {} cases", self.0.get());
        assert!(self.0.get() >= at_least, "fewer cases than there were");
    }
}

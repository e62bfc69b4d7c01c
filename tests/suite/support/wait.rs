//! Waiting for a condition, with a limit: no test sleeps and hopes.

use std::time::{Duration, Instant};

/// How long a test waits for something that normally takes milliseconds. Long, because the machine that runs the tests may
/// be building something else; it is only ever spent by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two looks at something that cannot be waited for any other way.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks until there is an answer; nothing at the deadline.
#[must_use = "what did not come within the time is told by the answer alone"]
pub fn poll<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

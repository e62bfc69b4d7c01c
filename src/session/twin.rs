//! Deliberately broken twins, in tests only: `broken(n)` takes away the guard that keeps invariant `n`, so that a test can
//! show that the invariant's check would notice (13: the poll, which the first invariant speaks of too; 14: rehearsals, which the second does; 15: a screen that foretells answers without looking at gates; 16: what begins behind a step that is not done, which the sixth speaks of). In every other build it is the constant `false`.

#[cfg(test)]
thread_local!(static BROKEN: std::cell::Cell<u8> = const { std::cell::Cell::new(0) });

/// Whether the guard of that invariant is taken away on this thread.
#[cfg(test)]
pub(crate) fn broken(invariant: u8) -> bool {
    BROKEN.with(|broken| broken.get() == invariant)
}

/// Takes away the guard of one invariant on this thread (0: none).
#[cfg(test)]
pub(crate) fn set_broken(invariant: u8) {
    BROKEN.with(|broken| broken.set(invariant));
}

#[cfg(not(test))]
pub(crate) const fn broken(_invariant: u8) -> bool {
    false
}

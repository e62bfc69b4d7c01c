//! Where a test may get hold of the built hub, in debug builds only.
//!
//! `CROSSCHECK_CRASH=before:RunIntended` ends the process as `kill -9` would, just before that line would be written;
//! `after:` just after it is durable and before anyone was told. `CROSSCHECK_PAUSE=after:RunIntended:FIFO` waits there
//! until somebody has opened that FIFO for writing and closed it. Besides lines there is one more place, `before:exec`:
//! everything a run needs was opened and compared, and nothing was started.

/// A place on the way of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Decided and numbered, not written.
    Before,
    /// Durable; not shown, not acted on.
    After,
}

/// Dies or waits here, if a test asked for it.
#[cfg(debug_assertions)]
pub fn here(moment: Moment, kind: &str) {
    use std::sync::OnceLock;
    static DIES: OnceLock<Option<(Moment, String)>> = OnceLock::new();
    static WAITS: OnceLock<Option<(Moment, String)>> = OnceLock::new();
    let place = |name: &str| {
        let text = std::env::var(name).ok()?;
        let (moment, rest) = text.split_once(':')?;
        Some((if moment == "before" { Moment::Before } else { Moment::After }, rest.to_owned()))
    };
    let dies = DIES.get_or_init(|| place("CROSSCHECK_CRASH"));
    if dies.as_ref().is_some_and(|(m, k)| *m == moment && k == kind) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
    if let Some((m, rest)) = WAITS.get_or_init(|| place("CROSSCHECK_PAUSE"))
        && *m == moment
        && let Some((_, fifo)) = rest.split_once(':').filter(|(k, _)| *k == kind)
    {
        let _ = std::fs::read(fifo); // a test that set it up wrong sees that nothing waited
    }
}

/// Nothing, in release builds.
#[cfg(not(debug_assertions))]
pub fn here(_: Moment, _: &str) {}

//! Where a test may kill the built hub: `CROSSCHECK_CRASH=before:RunIntended` ends the process as `kill -9` would, just
//! before that line would be written; `after:` just after it is durable and before anyone was told. Debug builds only.

/// A place on the way of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Decided and numbered, not written.
    Before,
    /// Durable; not shown, not acted on.
    After,
}

/// Dies here, if a test asked for it.
#[cfg(debug_assertions)]
pub fn here(moment: Moment, kind: &str) {
    use std::sync::OnceLock;
    static WANTED: OnceLock<Option<(Moment, String)>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("CROSSCHECK_CRASH").ok()?;
        let (moment, kind) = text.split_once(':')?;
        Some((if moment == "before" { Moment::Before } else { Moment::After }, kind.to_owned()))
    });
    if wanted.as_ref().is_some_and(|(m, k)| *m == moment && k == kind) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
}

/// Nothing, in release builds.
#[cfg(not(debug_assertions))]
pub fn here(_: Moment, _: &str) {}

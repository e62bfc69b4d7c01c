//! Limits for a number, on both sides: `warn_above`, `fail_above`, `warn_below`, `fail_below`.

use super::super::table::Table;

/// The keys, for the table of kinds.
pub(super) const KEYS: [&str; 4] = ["warn_above", "fail_above", "warn_below", "fail_below"];

/// What a number has to stay within; no limit where none is given.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// More than this is `warn`.
    pub warn_above: Option<f64>,
    /// More than this is `fail`.
    pub fail_above: Option<f64>,
    /// Less than this is `warn`.
    pub warn_below: Option<f64>,
    /// Less than this is `fail`.
    pub fail_below: Option<f64>,
}

impl Bounds {
    /// Whether there is a limit at all.
    pub fn any(&self) -> bool {
        *self != Bounds::default()
    }
}

/// Takes the four keys. A limit that could never be reached, or that every number breaks, is a mistyped one.
pub(super) fn read(table: &Table<'_>) -> Bounds {
    let [warn_above, fail_above, warn_below, fail_below] = KEYS.map(|key| table.get(key)?.finite());
    for (low, high, key, than) in [
        (warn_above, fail_above, "warn_above", "fail_above"),
        (fail_below, warn_below, "fail_below", "warn_below"),
        (warn_below, warn_above, "warn_below", "warn_above"),
        (fail_below, fail_above, "fail_below", "fail_above"),
    ] {
        if let (Some(low), Some(high), Some(value)) = (low, high, table.get(key))
            && low > high
        {
            value.wrong::<()>(format!("`{key}` is above `{than}`"), format!("expected at most {high}"));
            break; // where one pair is crossed others are too
        }
    }
    Bounds { warn_above, fail_above, warn_below, fail_below }
}

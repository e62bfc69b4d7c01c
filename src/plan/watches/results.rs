//! `kind = "results"`: files in which tests and checks left what they found.

use super::super::table::Table;
use super::super::{Template, WatchKind};
use super::command::{ZONES, Zone};
use super::filled;
use std::time::Duration;

/// The kind's own keys.
pub(super) const KEYS: &[&str] = &["path", "format", "max_age", "min_tests", "newest", "age_zone"];

/// Which files, and what is expected of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// A path; `*` and `?` in its last part match as a shell's do. Relative to the plan's folder.
    pub path: Template,
    /// What they are written in; told by each file where the plan does not say it.
    pub format: Option<ResultsFormat>,
    /// The oldest any of them may be.
    pub max_age: Option<Duration>,
    /// How many tests have to have run, in all of them together; where it is not given, anything that was tested or built.
    pub min_tests: Option<u64>,
    /// Only the newest file counts; else every one that matches.
    pub newest: bool,
    /// What a time is in that does not say it; where the plan does not say it either, any zone is possible.
    pub age_zone: Option<Zone>,
}

/// What result files are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultsFormat {
    /// JUnit's XML, as nearly every test runner can write it.
    JUnit,
    /// A validation or checkpoint result of Great Expectations.
    GreatExpectations,
    /// dbt's `run_results.json`.
    Dbt,
}

impl ResultsFormat {
    /// The word in plans and on screens.
    pub fn word(self) -> &'static str {
        match self {
            ResultsFormat::JUnit => "junit",
            ResultsFormat::GreatExpectations => "great-expectations",
            ResultsFormat::Dbt => "dbt",
        }
    }
}

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let path = filled(table, "path", "expected path = \"/where/the/results/*.xml\"");
    if let (Some(zone), None) = (table.get("age_zone"), table.get("max_age")) {
        zone.wrong::<()>(
            "`age_zone` is the zone of a time, but there is no `max_age`",
            "expected a `max_age` beside it",
        );
    }
    let formats = [ResultsFormat::JUnit, ResultsFormat::GreatExpectations, ResultsFormat::Dbt];
    let formats = formats.map(|format| (format.word(), format));
    Some(WatchKind::Results(Results {
        format: table.get("format").and_then(|format| format.choice(&formats)),
        max_age: table.duration("max_age"),
        min_tests: table.get("min_tests").and_then(|count| count.integer(1..=u64::MAX)),
        newest: table.boolean("newest").unwrap_or(false),
        age_zone: table.get("age_zone").and_then(|zone| zone.choice(&ZONES)),
        path: path?,
    }))
}

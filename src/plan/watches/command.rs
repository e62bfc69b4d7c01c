//! `kind = "command"`: what is run, and what its output has to say where that is JSON.

use super::super::table::{Table, Value};
use super::super::{Run, WatchKind};
use super::bounds::{self, Bounds};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The kind's own keys.
pub(super) const KEYS: &[&str] = &[
    "run",
    "timeout",
    "value",
    "age",
    "max_age",
    "age_zone",
    "expect",
    "warn_above",
    "fail_above",
    "warn_below",
    "fail_below",
];

/// What a command's output has to say. Pointers are RFC 6901's; `-` stands for the last item of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutputRules {
    /// Where the number lies; the first word of the output where none is given.
    pub value: Option<String>,
    /// Where the time lies that the answer's age is counted from.
    pub age: Option<String>,
    /// The oldest it may be.
    pub max_age: Option<Duration>,
    /// What a time is in that does not say it; such a time is unknown where the plan does not say it either.
    pub age_zone: Option<Zone>,
    /// Limits of the number.
    pub bounds: Bounds,
    /// What has to stand there, by pointer.
    pub expect: Vec<(String, Expected)>,
}

impl OutputRules {
    /// Whether the output has to be JSON.
    pub fn is_json(&self) -> bool {
        self.value.is_some() || self.age.is_some() || !self.expect.is_empty()
    }
}

/// The zone of times that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Coordinated universal time.
    Utc,
    /// The zone of the machine the hub runs on.
    Local,
}

/// The words for zones in plans.
pub(super) const ZONES: [(&str, Zone); 2] = [("UTC", Zone::Utc), ("local", Zone::Local)];

/// A value that is expected somewhere.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// This text.
    Text(String),
    /// This number.
    Number(f64),
    /// True or false.
    Truth(bool),
}

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let run: Option<Run> = table.require("run", "expected run = [\"command\", \"word\"]").and_then(|run| run.run());
    let answer = OutputRules {
        value: table.get("value").and_then(|value| pointer(&value)),
        age: table.get("age").and_then(|age| pointer(&age)),
        max_age: table.duration("max_age"),
        age_zone: table.get("age_zone").and_then(|zone| zone.choice(&ZONES)),
        bounds: bounds::read(table),
        expect: table.get("expect").and_then(|expect| expected(&expect)).unwrap_or_default(),
    };
    match (table.get("age"), table.get("max_age")) {
        (Some(age), None) => {
            age.wrong::<()>("`age` has no limit: any age would be ok", "expected a `max_age` beside it");
        }
        (None, Some(limit)) => {
            let label = "expected age = \"/where/the/time/stands\"";
            limit.wrong::<()>("`max_age` does not say of what: there is no `age`", label);
        }
        _ => {}
    }
    if let (true, None) = (answer.is_json(), &answer.value)
        && let Some(limit) = bounds::KEYS.iter().find_map(|key| table.get(key))
    {
        limit.wrong::<()>("limits of no number: the output is JSON", "expected value = \"/where/it/stands\"");
    }
    if let (Some(zone), None) = (table.get("age_zone"), table.get("age")) {
        zone.wrong::<()>("`age_zone` is the zone of a time, but there is no `age`", "expected an `age` beside it");
    }
    Some(WatchKind::Command { timeout: table.duration("timeout").unwrap_or(TIMEOUT), run: run?, answer })
}

/// What has to stand where, by pointer.
pub(super) fn expected(value: &Value<'_>) -> Option<Vec<(String, Expected)>> {
    let mut expected = vec![];
    for (span, key, value) in value.entries()? {
        if !is_pointer(key) {
            value.cx.problem(span, format!("{key:?} is not a JSON pointer"), "expected a path such as \"/0/state\"");
            continue;
        }
        expected.extend(value.scalar().map(|scalar| (key.to_owned(), scalar)));
    }
    Some(expected)
}

fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/')) && !text.chars().any(crate::name::is_hidden)
}

/// A JSON pointer.
pub(super) fn pointer(value: &Value<'_>) -> Option<String> {
    match value.text()? {
        pointer if is_pointer(pointer) => Some(pointer.to_owned()),
        _ => value.wrong(format!("`{}` is not a JSON pointer", value.key), "expected a path such as \"/count\""),
    }
}

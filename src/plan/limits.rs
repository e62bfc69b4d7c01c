//! What a watch is held to, in the plan's own words: for who checks a step, and for who compares it with an earlier flight.

use super::Plan;
use crate::name::WatchId;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The keys of a watch that say what its reading is judged by, as they are told.
const LIMITS: &[&str] = &[
    "max_age",
    "verified_within",
    "restored_within",
    "min_size",
    "min_size_ratio",
    "min_tests",
    "tables",
    "must_cover",
    "must_not_exceed",
    "must_outlive",
    "warn_above",
    "fail_above",
    "warn_below",
    "fail_below",
    "drained",
    "residual",
    "expect",
    "assert",
    "within",
    "tls_valid_for",
    "load_per_core_above",
    "memory_free_below",
    "disk_free_below",
    "disk_full_within",
    "max_restarts",
    "expect_head",
    "same_head_as",
    "max_ahead",
    "max_behind",
];

/// The limits of every watch as a plan's text writes them: `max_age 26h, min_size_ratio 0.8`. None of one that has none but
/// those of its kind.
pub(super) fn of(text: &str) -> BTreeMap<WatchId, String> {
    let Ok(plan) = text.parse::<Table>() else { return BTreeMap::new() };
    let watches = plan.get("watch").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let limits = watches.iter().filter_map(|watch| {
        let id = WatchId::new(watch.get("id")?.as_str()?).ok()?;
        let said = LIMITS.iter().filter_map(|key| Some(format!("{key} {}", plain(watch.get(key)?))));
        Some((id, said.collect::<Vec<_>>().join(", "))).filter(|(_, said)| !said.is_empty())
    });
    limits.collect()
}

impl Plan {
    /// Those of one watch; empty where it has none.
    pub fn limits(&self, watch: &WatchId) -> &str {
        self.limits.get(watch).map_or("", String::as_str)
    }
}

/// A value without the marks that a plan's text needs around it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Table(table) => {
            table.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::HEAD;
    use super::*;

    #[test]
    fn limits_are_told_as_the_plan_writes_them() {
        let text = format!(
            "{HEAD}[[watch]]\nid = \"dump\"\nkind = \"file\"\npath = \"a\"\nmin_size_ratio = 0.8\nmax_age = \"26h\"\n\
             [[watch]]\nid = \"api\"\nkind = \"http\"\nurl = \"http://a/\"\nexpect = {{ status = 200 }}\n\
             [[watch]]\nid = \"port\"\nkind = \"tcp\"\naddress = \"a:1\"\n"
        );
        let plan = Plan::parse("plan.toml", &text).unwrap();
        let limits = |id: &str| plan.limits(&WatchId::new(id).unwrap()).to_owned();
        assert_eq!(limits("dump"), "max_age 26h, min_size_ratio 0.8");
        assert_eq!(
            (limits("api").as_str(), limits("port").as_str(), limits("none").as_str()),
            ("expect status 200", "", "")
        );
    }
}

//! `kind = "prometheus"`: the value of an instant query, against limits on either side. Start at [`read`].

use super::super::table::{Table, Value};
use super::super::{Template, WatchKind};
use super::bounds::{self, Bounds};
use super::{filled, non_empty};

/// A unit stands beside every value in a narrow column.
const UNIT_CHARS_MAX: usize = 12;

/// An instant query and its limits. Every series of the answer has to keep them.
#[derive(Debug, Clone, PartialEq)]
pub struct Prometheus {
    /// Where the server is; `/api/v1/query` is added.
    pub url: Template,
    /// The query, in PromQL.
    pub query: Template,
    /// What every number has to stay within.
    pub bounds: Bounds,
    /// The unit of the value, in the plan's words; the server knows none.
    pub unit: String,
    /// A file that holds a bearer token; relative to the plan's folder.
    pub token_file: Option<Template>,
}

/// Takes the kind's own keys.
pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let url = table.require("url", "expected url = \"http://prometheus:9090\"");
    let url = url.and_then(|url| super::http::address(&url));
    let query = filled(table, "query", "expected query = \"a PromQL expression\"");
    let bounds = bounds::read(table);
    let unit = table.get("unit").and_then(|unit| match unit.words()? {
        word if word.chars().count() > UNIT_CHARS_MAX => {
            unit.wrong("`unit` is too long", format!("expected at most {UNIT_CHARS_MAX} characters"))
        }
        word => Some(word),
    });
    let token_file = table.get("token_file").and_then(|file: Value<'_>| non_empty(&file));
    Some(WatchKind::Prometheus(Prometheus {
        url: url?,
        query: query?,
        bounds,
        unit: unit.unwrap_or_default(),
        token_file,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, lint};

    const HEAD: &str =
        "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\nshadow = []\n";

    fn read(rest: &str) -> Result<Plan, String> {
        let text = format!("{HEAD}[[watch]]\nid = \"w\"\nkind = \"prometheus\"\n{rest}\n");
        Plan::parse("plan.toml", &text).map_err(|error| error.to_string())
    }
    const BASE: &str = "url = \"http://h:9090\"\nquery = \"up\"\n";

    #[test]
    fn every_key_is_read() {
        let plan = read(&format!(
            "{BASE}warn_above = 0.5\nfail_above = 1e3\nwarn_below = -1\nfail_below = -2.5\nunit = \"s\"\ntoken_file = \"t\""
        ));
        let WatchKind::Prometheus(read) = plan.unwrap().watches.remove(0).kind else { panic!("another kind") };
        assert_eq!((read.url.text(), read.query.text(), &*read.unit), ("http://h:9090", "up", "s"));
        assert_eq!((read.bounds.warn_above, read.bounds.fail_above), (Some(0.5), Some(1000.0)));
        assert_eq!((read.bounds.warn_below, read.bounds.fail_below), (Some(-1.0), Some(-2.5)));
        assert_eq!(read.token_file.as_ref().map(Template::text), Some("t"));
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        for (rest, told) in [
            ("query = \"up\"", "this watch has no `url`"),
            ("url = \"h:9090\"\nquery = \"up\"", "`url` is not a web address"),
            ("url = \"http://h\"", "this watch has no `query`"),
            ("url = \"http://h\"\nquery = \" \"", "`query` is empty"),
            (&format!("{BASE}warn_above = 2\nfail_above = 1"), "`warn_above` is above `fail_above`"),
            (&format!("{BASE}warn_below = 1\nfail_below = 2"), "`fail_below` is above `warn_below`"),
            (&format!("{BASE}warn_below = 2\nwarn_above = 1"), "`warn_below` is above `warn_above`"),
            (&format!("{BASE}warn_above = nan"), "`warn_above` is no number to compare with"),
            (&format!("{BASE}warn_above = \"1\""), "`warn_above` has the wrong type"),
            (&format!("{BASE}unit = \"thirteen long\""), "`unit` is too long"),
        ] {
            let error = read(rest).unwrap_err();
            assert!(error.contains(told), "{rest}: {error}");
        }
    }

    #[test]
    fn without_a_limit_there_is_a_warning_unless_it_is_compared() {
        let bare = read(BASE).unwrap();
        assert!(lint(&bare).iter().any(|warning| warning.message == "watch w has no limit for its value"));
        let compare = "[[watch]]\nid = \"c\"\nkind = \"compare\"\nassert = \"w < 3\"\n";
        for plan in [read(&format!("{BASE}fail_above = 3")), read(&format!("{BASE}{compare}"))] {
            assert!(!lint(&plan.unwrap()).iter().any(|warning| warning.message.contains("no limit")));
        }
    }
}

//! `kind = "prometheus"`: the value of an instant query, against limits on either side. Start at [`read`].

use super::super::table::{Table, Value};
use super::super::{Template, WatchKind};
use super::bounds::{self, Bounds};
use super::headers::{self, Header};
use super::{filled, non_empty};
use std::time::Duration;

/// The kind's own keys.
pub(super) const KEYS: &[&str] = &[
    "url",
    "query",
    "warn_above",
    "fail_above",
    "warn_below",
    "fail_below",
    "unit",
    "token_file",
    "headers",
    "max_age",
    "age_of",
];

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
    /// What is sent along.
    pub headers: Vec<Header>,
    /// Series whose samples have to be fresh, every one of them, and how old they may be.
    pub fresh: Option<(Template, Duration)>,
}

/// Takes the kind's own keys.
pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let url = table.require("url", "expected url = \"http://prometheus:9090\"");
    let url = url.and_then(|url| super::http::address(&url));
    let query = filled(table, "query", "expected query = \"a PromQL expression\"");
    let bounds = bounds::read(table);
    let headers = headers::read(table);
    let unit = unit(table);
    let token_file = table.get("token_file").and_then(|file: Value<'_>| non_empty(&file));
    let age_of = table.get("age_of").and_then(|series| match non_empty(&series)? {
        series_named if is_selector(series_named.text()) => Some(series_named),
        _ => series.wrong("`age_of` is an expression, whose time is always now", SELECTOR),
    });
    let fresh = match (table.duration("max_age"), age_of, &query) {
        (Some(most), Some(series), _) => Some((series, most)),
        (Some(most), None, Some(query)) if table.get("age_of").is_none() => match is_selector(query.text()) {
            true => Some((query.clone(), most)),
            false => {
                let limit = table.get("max_age");
                limit.and_then(|limit| {
                    limit.wrong(
                        "`max_age` of an expression, whose time is always now",
                        "expected age_of = \"the series it rests on\"",
                    )
                })
            }
        },
        _ => None,
    };
    if let (Some(series), None) = (table.get("age_of"), table.get("max_age")) {
        series.wrong::<()>("`age_of` has no limit: any age would be ok", "expected a `max_age` beside it");
    }
    Some(WatchKind::Prometheus(Prometheus {
        url: url?,
        query: query?,
        bounds,
        unit,
        token_file,
        headers: headers?,
        fresh,
    }))
}

/// The unit of a value, in the plan's words; empty where it says none.
pub(super) fn unit(table: &Table<'_>) -> String {
    let unit = table.get("unit").and_then(|unit| match unit.words()? {
        word if word.chars().count() > UNIT_CHARS_MAX => {
            unit.wrong("`unit` is too long", format!("expected at most {UNIT_CHARS_MAX} characters"))
        }
        word => Some(word),
    });
    unit.unwrap_or_default()
}

const SELECTOR: &str = "expected series such as up{job=\"shop\"}";

/// Whether that names series and computes nothing: a name, labels in braces, or both. Only a sample of such a series has a
/// time of its own. A placeholder stands for text.
fn is_selector(query: &str) -> bool {
    let text = query.trim();
    let (name, labels) = match text.find('{').filter(|at| !text[*at..].starts_with("{{")) {
        Some(at) => (&text[..at], &text[at..]),
        None => (text, ""),
    };
    let name = name.replace("{{ ", "").replace(" }}", "");
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
    // Quotes may hold braces; what follows the last one must be the end.
    let mut quote = None;
    let mut depth = 0_usize;
    let closed = labels.char_indices().find_map(|(at, c)| match (quote, c) {
        (Some(open), c) if c == open => {
            quote = None;
            None
        }
        (Some(_), _) => None,
        (None, '"' | '\'' | '`') => {
            quote = Some(c);
            None
        }
        (None, '{') => {
            depth += 1;
            None
        }
        (None, '}') => {
            depth = depth.saturating_sub(1);
            (depth == 0).then_some(at + 1)
        }
        _ => None,
    });
    let ends = labels.is_empty() || closed == Some(labels.len());
    word && ends && !(name.is_empty() && labels.is_empty()) && !name.starts_with(|c: char| c.is_ascii_digit())
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
    fn only_series_have_a_time_of_their_own() {
        for (query, expected) in [
            ("up", true),
            (" up{job=\"a}b\", i=~'x'} ", true),
            ("{__name__=\"up\"}", true),
            ("{{ metric }}", true),
            ("up{job=\"{{ job }}\"}", true),
            ("job:up:rate5m", true),
            ("sum(up)", false),
            ("up == 1", false),
            ("up{a=\"b\"} > 0", false),
            ("up offset 5m", false),
            ("rate(up[5m])", false),
            ("up[5m]", false),
            ("-up", false),
            ("5", false),
            ("up{a=\"b\"", false),
        ] {
            assert_eq!(is_selector(query), expected, "{query}");
        }
        let fresh = |more: &str| {
            let WatchKind::Prometheus(read) = read(more).unwrap().watches.remove(0).kind else {
                panic!("another kind")
            };
            read.fresh.map(|(series, most)| (series.text().to_owned(), most.as_secs()))
        };
        assert_eq!(fresh(&format!("{BASE}max_age = \"1m\"")), Some(("up".into(), 60)));
        let sum = "url = \"http://h\"\nquery = \"sum(rate(x[1m]))\"\nmax_age = \"2m\"\nage_of = \"x\"";
        assert_eq!(fresh(sum), Some(("x".into(), 120)));
        assert_eq!(fresh(BASE), None);
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
            (&format!("{BASE}age_of = \"up\""), "`age_of` has no limit"),
            (&format!("{BASE}max_age = \"1m\"\nage_of = \"sum(up)\""), "`age_of` is an expression"),
            ("url = \"http://h\"\nquery = \"sum(up)\"\nmax_age = \"1m\"", "`max_age` of an expression"),
            (&format!("{BASE}headers = {{ Authorization = \"x\" }}"), "is a secret"),
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

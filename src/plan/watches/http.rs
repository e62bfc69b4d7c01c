//! `kind = "http"`: pages that are got, and what is expected of each. Start at [`read`].

use super::super::table::{Table, Value};
use super::super::{Template, WatchKind};
use super::bounds::{self, Bounds};
use super::command::{self, Expected};
use super::headers::{self, Header};
use std::time::Duration;

/// More pages are more watches.
const URLS_MAX: usize = 20;
/// Each is a connection of its own, in every reading.
const SAMPLES_MAX: u64 = 20;

/// The kind's own keys.
pub(super) const KEYS: &[&str] = &[
    "url",
    "urls",
    "samples",
    "headers",
    "expect",
    "value",
    "warn_above",
    "fail_above",
    "warn_below",
    "fail_below",
    "slower_than_baseline",
];

/// Pages that are got.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Where; each of them has to be as expected.
    pub urls: Vec<Template>,
    /// How often each is got in one reading.
    pub samples: u32,
    /// The status wanted; any 2xx where none is given.
    pub status: Option<u16>,
    /// Texts the body must hold.
    pub present: Vec<String>,
    /// Texts the body must not hold.
    pub absent: Vec<String>,
    /// The longest time from request to whole body.
    pub within: Option<Duration>,
    /// How long the server's certificate must still be good for.
    pub tls_valid_for: Option<Duration>,
    /// What has to stand where in the body, which is JSON then.
    pub json: Vec<(String, Expected)>,
    /// JSON pointer to the value to show.
    pub value: Option<String>,
    /// Limits of that value.
    pub bounds: Bounds,
    /// What is sent along.
    pub headers: Vec<Header>,
    /// By how many times its usual spread it may be slower than usual.
    pub slower_than_baseline: Option<f64>,
}

impl Http {
    /// A page of which nothing more is expected than that it is there.
    pub fn page(url: Template) -> Self {
        Http {
            urls: vec![url],
            samples: 1,
            status: None,
            present: vec![],
            absent: vec![],
            within: None,
            tls_valid_for: None,
            json: vec![],
            value: None,
            bounds: Bounds::default(),
            headers: vec![],
            slower_than_baseline: None,
        }
    }
}

/// Takes the kind's own keys.
pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    const EXPECT: [&str; 7] = ["status", "json", "contains", "present", "absent", "within", "tls_valid_for"];
    let urls = match (table.get("url"), table.get("urls")) {
        (Some(_), Some(urls)) => urls.wrong("`urls` beside `url`", "expected one of them"),
        (None, Some(urls)) => several(&urls),
        (Some(url), None) => address(&url).map(|url| vec![url]),
        (None, None) => {
            table.require("url", "expected url = \"https://…\"");
            None
        }
    };
    let expect = table.get("expect").and_then(|v| v.table("expect", &EXPECT, &[]));
    let expect = expect.as_ref();
    let status = expect.and_then(|e| e.get("status")).and_then(|v| v.integer(100..=599));
    let mut present = expect.and_then(|e| e.get("contains")).and_then(|v| plain(&v)).into_iter().collect::<Vec<_>>();
    present.extend(words(expect, "present"));
    let tls_valid_for = expect.and_then(|e| e.get("tls_valid_for")).and_then(|v| {
        let plain = |url: &Template| url.text().starts_with("http://");
        match urls.iter().flatten().find(|url| plain(url)) {
            Some(url) => v.wrong("http has no certificate", format!("expected https, not {}", url.text())),
            None => v.duration(),
        }
    });
    let value = table.get("value").and_then(|value| match value.text()? {
        _ if urls.as_ref().is_some_and(|urls| urls.len() > 1) => {
            value.wrong("`value` of several pages", "expected one url, or a watch for each")
        }
        _ => command::pointer(&value),
    });
    let limit = bounds::KEYS.iter().find_map(|key| table.get(key));
    if let (Some(limit), None) = (limit, table.get("value")) {
        limit.wrong::<()>("limits of no number: there is no `value`", "expected value = \"/where/it/stands\"");
    }
    let json = expect.and_then(|e| e.get("json")).and_then(|json| command::expected(&json)).unwrap_or_default();
    let (bounds, headers) = (bounds::read(table), headers::read(table));
    let samples = table.get("samples").and_then(|samples| samples.integer(1..=SAMPLES_MAX)).unwrap_or(1);
    Some(WatchKind::Http(Http {
        urls: urls?,
        samples: u32::try_from(samples).unwrap_or(1), // at most `SAMPLES_MAX`
        status: status.and_then(|status| u16::try_from(status).ok()),
        present,
        absent: words(expect, "absent"),
        within: expect.and_then(|e| e.duration("within")),
        tls_valid_for,
        json,
        value,
        bounds,
        headers: headers?,
        slower_than_baseline: table.get("slower_than_baseline").and_then(|times| times.number(1000.0)),
    }))
}

fn several(urls: &Value<'_>) -> Option<Vec<Template>> {
    let items = urls.items("web addresses")?;
    match items.len() {
        0 => return urls.wrong("`urls` is empty", "expected at least one"),
        n if n > URLS_MAX => return urls.wrong(format!("more than {URLS_MAX} urls"), format!("there are {n}")),
        _ => {}
    }
    items.iter().map(address).collect::<Vec<_>>().into_iter().collect()
}

/// A web address, with parameters or without.
pub(super) fn address(url: &Value<'_>) -> Option<Template> {
    let template = url.template(false)?;
    let text = template.text();
    if !["http://", "https://", "{{"].iter().any(|start| text.starts_with(start)) {
        return url.wrong(format!("`{}` is not a web address", url.key), "expected http:// or https://");
    }
    Some(template)
}

/// A text, or a list of them.
fn words(expect: Option<&Table<'_>>, key: &'static str) -> Vec<String> {
    let Some(value) = expect.and_then(|expect| expect.get(key)) else { return vec![] };
    match value.is_text() {
        true => plain(&value).into_iter().collect(),
        false => value.items("texts").into_iter().flatten().filter_map(|item| plain(&item)).collect(),
    }
}

/// Text that is compared as it stands. A placeholder in it would be looked for letter by letter, which nobody means.
fn plain(value: &Value<'_>) -> Option<String> {
    let text = value.words()?;
    let name = text.find("{{").and_then(|at| text[at + 2..].split_once("}}"));
    if name.is_some_and(|(name, _)| super::super::units::is_identifier(name.trim())) {
        return value.wrong(format!("parameters are not filled in in `{}`", value.key), "expected text as it is");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    const HEAD: &str =
        "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\nshadow = []\n";

    fn read(rest: &str) -> Result<Http, String> {
        let text = format!("{HEAD}[[watch]]\nid = \"w\"\nkind = \"http\"\n{rest}\n");
        let plan = Plan::parse("plan.toml", &text).map_err(|error| error.to_string())?;
        match &plan.watches[0].kind {
            WatchKind::Http(http) => Ok(http.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_key_is_read() {
        let http = read(
            "urls = [\"https://a/{{ '{{' }}\", \"https://b\"]\nsamples = 5\nslower_than_baseline = 3.5\n\
             expect = { status = 204, contains = \"c\", present = [\"p\", \"q\"], absent = \"x\", within = \"1s\", \
             tls_valid_for = \"14d\", json = { \"/status\" = \"green\", \"/*/n\" = 1 } }\nheaders = { X-A = \"b\" }",
        );
        let http = http.unwrap();
        assert_eq!(http.urls.iter().map(Template::text).collect::<Vec<_>>(), ["https://a/{{ '{{' }}", "https://b"]);
        let json = [("/*/n", Expected::Number(1.0)), ("/status", Expected::Text("green".into()))];
        let mut found = http.json;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, json.map(|(pointer, wanted)| (pointer.to_owned(), wanted)));
        let counted = read("url = \"http://a\"\nvalue = \"/n\"\nfail_above = 5").unwrap();
        assert_eq!((counted.value.as_deref(), counted.bounds.fail_above), (Some("/n"), Some(5.0)));
        assert_eq!((http.samples, http.status, http.slower_than_baseline), (5, Some(204), Some(3.5)));
        assert_eq!((http.present, http.absent), (["c", "p", "q"].map(str::to_owned).to_vec(), vec!["x".to_owned()]));
        assert_eq!(http.tls_valid_for, Some(Duration::from_secs(14 * 24 * 3600)));
        assert_eq!(read("url = \"http://a\"").unwrap(), Http::page(Template::new("http://a").unwrap()));
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        let many = format!("urls = [{}]", "\"http://a\",".repeat(21));
        for (rest, told) in [
            ("", "this watch has no `url`"),
            ("url = \"http://a\"\nurls = [\"http://b\"]", "`urls` beside `url`"),
            ("urls = []", "`urls` is empty"),
            ("urls = [\"a\"]", "`urls` is not a web address"),
            ("urls = \"http://a\"", "write it as a list: [\"http://a\"]"),
            (&many, "more than 20 urls"),
            ("url = \"http://a\"\nsamples = 0", "`samples` is out of range"),
            ("url = \"http://a\"\nslower_than_baseline = 0", "`slower_than_baseline` is out of range"),
            ("url = \"http://a\"\nexpect = { tls_valid_for = \"14d\" }", "http has no certificate"),
            ("url = \"http://a\"\nexpect = { absent = [\"\"] }", "`absent` is empty"),
            ("url = \"http://a\"\nexpect = { present = [\"{{ p }}\"] }", "parameters are not filled in in `present`"),
            ("url = \"http://a\"\nexpect = { json = { status = \"green\" } }", "\"status\" is not a JSON pointer"),
            ("url = \"http://a\"\nexpect = { json = \"green\" }", "wrong type"),
            ("url = \"http://a\"\nvalue = \"n\"", "not a JSON pointer"),
            ("url = \"http://a\"\nfail_above = 5", "limits of no number"),
            ("urls = [\"http://a\", \"http://b\"]\nvalue = \"/n\"", "`value` of several pages"),
        ] {
            let error = read(rest).unwrap_err();
            assert!(error.contains(told), "{rest}: {error}");
        }
    }
}

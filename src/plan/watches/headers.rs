//! The table `headers` of a watch that asks over http: what is sent along, as text or from where a secret is kept.
//!
//! A text that is secret may not stand in a plan, because a plan stands in the transcript.

use crate::name::is_hidden;
use crate::plan::Template;
use crate::plan::table::{Table, Value};

/// A header that is sent along.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub value: HeaderValue,
}

/// Where a header's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    /// This text.
    Text(Template),
    /// That variable of the hub's environment.
    Env(String),
    /// What stands in that file, without the line end at its end; relative to the plan's folder.
    File(Template),
}

const HEADERS_MAX: usize = 20;
/// Words in a header's name by which its value lets somebody in: never as text in a plan.
const SECRET: &[&str] = &["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "auth-key"];
/// What the client itself says; said twice it would mean two things.
const OURS: &[&str] = &["connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"];

/// Reads `headers`; an empty list where there is none.
pub(super) fn read(table: &Table<'_>) -> Option<Vec<Header>> {
    let Some(headers) = table.get("headers") else { return Some(vec![]) };
    let entries = headers.entries()?;
    if entries.len() > HEADERS_MAX {
        return headers.wrong(format!("more than {HEADERS_MAX} headers"), format!("there are {}", entries.len()));
    }
    let all: Vec<_> = entries.into_iter().map(|(at, name, value)| header(at, name, &value)).collect();
    all.into_iter().collect()
}

fn header(at: std::ops::Range<usize>, name: &str, value: &Value<'_>) -> Option<Header> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(token) || OURS.contains(&&*lower) {
        value.cx.problem(
            at,
            format!("{name:?} is no header that a watch may send"),
            "expected one such as \"X-Scope-OrgID\"",
        );
        return None;
    }
    let named = |value| Some(Header { name: name.to_owned(), value });
    if value.is_table() {
        return named(elsewhere(value, "a header from elsewhere", name)?);
    }
    if SECRET.iter().any(|word| lower.contains(word)) {
        secret(value, name);
        return None;
    }
    named(HeaderValue::Text(super::non_empty(value)?))
}

/// A value that comes from a variable or a file.
pub(super) fn elsewhere(value: &Value<'_>, what: &'static str, name: &str) -> Option<HeaderValue> {
    let table = value.table(what, &["env", "file"], &[])?;
    match (table.get("env"), table.get("file")) {
        (Some(env), None) => {
            let variable = env.text()?;
            if variable.is_empty() || variable.contains('=') || variable.chars().any(is_hidden) {
                return env.wrong("`env` is not the name of a variable", "expected env = \"NAME\"");
            }
            Some(HeaderValue::Env(variable.to_owned()))
        }
        (None, Some(file)) => Some(HeaderValue::File(super::non_empty(&file)?)),
        _ => value.wrong(
            format!("{name:?} has to come from one place"),
            "expected { env = \"NAME\" } or { file = \"path\" }",
        ),
    }
}

/// Says that a secret stands in the plan.
pub(super) fn secret(value: &Value<'_>, name: &str) {
    let help = "a plan stands in the transcript, for everybody to read";
    let label = "expected { env = \"NAME\" } or { file = \"path\" }";
    value.cx.problem_with_help(value.span(), format!("{name:?} is a secret"), label, help);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, WatchKind};

    fn read(headers: &str) -> Result<Vec<Header>, String> {
        let text = format!(
            "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\nshadow = []\n\
             [[watch]]\nid = \"w\"\nkind = \"http\"\nurl = \"http://a\"\nheaders = {headers}\n"
        );
        let plan = Plan::parse("plan.toml", &text).map_err(|error| error.to_string())?;
        match &plan.watches[0].kind {
            WatchKind::Http(http) => Ok(http.headers.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn headers_are_text_or_come_from_where_secrets_are() {
        let all =
            read("{ X-Scope-OrgID = \"shop\", Authorization = { file = \"token\" }, Cookie = { env = \"COOKIE\" } }");
        let template = |text| Template::new(text).unwrap();
        let expected = [
            ("Authorization", HeaderValue::File(template("token"))),
            ("Cookie", HeaderValue::Env("COOKIE".into())),
            ("X-Scope-OrgID", HeaderValue::Text(template("shop"))),
        ];
        let mut all = all.unwrap();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(all, expected.map(|(name, value)| Header { name: name.into(), value }));
        assert_eq!(read("{}").unwrap(), []);
    }

    #[test]
    fn what_cannot_be_sent_or_is_a_secret_is_an_error() {
        for (headers, told) in [
            ("{ Authorization = \"Bearer hunter2\" }", "\"Authorization\" is a secret"),
            ("{ x-api-key = \"hunter2\" }", "\"x-api-key\" is a secret"),
            ("{ Private-Token = \"hunter2\" }", "\"Private-Token\" is a secret"),
            ("{ \"a b\" = \"c\" }", "is no header"),
            ("{ Host = \"c\" }", "is no header"),
            ("{ a = \"\" }", "is empty"),
            ("{ a = 1 }", "wrong type"),
            ("{ a = { env = \"A\", file = \"b\" } }", "has to come from one place"),
            ("{ a = { env = \"A=B\" } }", "not the name of a variable"),
            ("\"a: b\"", "wrong type"),
        ] {
            let error = read(headers).unwrap_err();
            assert!(error.contains(told), "{headers}: {error}");
        }
    }
}

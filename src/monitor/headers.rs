//! Headers that a plan has sent along, read anew for each reading: a token may be renewed. Their values are told to nobody.

use super::{excerpt, text};
use crate::plan::{Header, HeaderValue, Params};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue as Sent};
use std::path::{Path, PathBuf};
use tokio::time::{Instant, timeout_at};

/// A header is one line; a longer file is another file.
const BYTES_MAX: u64 = 16 << 10;

/// Where the value of a header, or a password, comes from, with parameters filled in.
pub(super) enum From {
    Text(String),
    Env(String),
    File(PathBuf),
}

/// See the module.
pub(super) struct Headers(Vec<(HeaderName, From)>);

impl Headers {
    /// Fills parameters in; relative paths start at the plan's folder.
    pub(super) fn new(headers: &[Header], params: &Params, folder: &Path) -> Result<Self, String> {
        let one = |header: &Header| {
            let name = HeaderName::try_from(&header.name).map_err(text)?;
            Ok((name, From::new(&header.value, params, folder)?))
        };
        Ok(Headers(headers.iter().map(one).collect::<Result<_, String>>()?))
    }

    /// The headers as they are now, by then. An error names the header and never its value.
    pub(super) async fn read(&self, until: Instant) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, from) in &self.0 {
            let value = from.line(until).await.and_then(|value| match Sent::try_from(value) {
                Ok(value) if !value.is_empty() => Ok(value),
                _ => Err("expected one line of visible text".to_owned()),
            });
            let mut value = value.map_err(|why| format!("no header {name} to ask with: {why}"))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(headers)
    }
}

impl From {
    pub(super) fn new(value: &HeaderValue, params: &Params, folder: &Path) -> Result<Self, String> {
        Ok(match value {
            HeaderValue::Text(value) => From::Text(value.render(params).map_err(text)?),
            HeaderValue::Env(variable) => From::Env(variable.clone()),
            HeaderValue::File(path) => From::File(folder.join(path.render(params).map_err(text)?)),
        })
    }

    /// The value as it is now, by then, without the line end at its end. An error never names it.
    pub(super) async fn line(&self, until: Instant) -> Result<String, String> {
        let value = match self {
            From::Text(value) => Ok(value.clone()),
            From::Env(variable) => std::env::var(variable)
                .map_err(|_| format!("the hub's environment has no text in {}", excerpt(variable, 60))),
            From::File(path) => match timeout_at(until, file(path)).await {
                Ok(value) => value.map_err(|why| format!("{}: {why}", excerpt(&path.to_string_lossy(), 80))),
                Err(_) => Err("its file cannot be read in time".to_owned()),
            },
        };
        value.map(|value| value.trim_end_matches(['\r', '\n']).to_owned())
    }
}

async fn file(path: &Path) -> Result<String, String> {
    use tokio::io::AsyncReadExt as _;
    let mut value = String::new();
    let file = tokio::fs::File::open(path).await.map_err(text)?;
    file.take(BYTES_MAX + 1).read_to_string(&mut value).await.map_err(text)?;
    match value.len() as u64 > BYTES_MAX {
        true => Err(format!("more than {BYTES_MAX} bytes")),
        false => Ok(value),
    }
}

//! An instant query to Prometheus, or to what answers as it does.
//!
//! No series is no data, and no data is unknown: the metric may be gone, its target dead or the query mistyped, and all of
//! them look alike. The server goes on answering with a sample for up to five minutes after the last scrape that failed to
//! say so; a query such as `x and on(instance) up == 1` asks for more.

use super::headers::Headers;
use super::web::{self, NoAnswer};
use super::{Findings, bytes, excerpt, figure, json, text};
use crate::clock::age;
use crate::event::{Reading, Status};
use crate::plan::{self, Params};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Series named in one sentence.
const NAMED_MAX: usize = 3;
/// A token is one line; a longer file is another file.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// A query, where it is asked, and its limits.
pub(super) struct Prometheus {
    client: reqwest::Client,
    no_roots: Option<String>,
    url: reqwest::Url,
    /// Where the age of every series is asked, and how old one may be.
    fresh: Option<(reqwest::Url, Duration)>,
    headers: Headers,
    token_file: Option<PathBuf>,
    expect: plan::Prometheus,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    /// Its labels as PromQL writes them; empty where it has none.
    name: String,
    /// As the server wrote it.
    value: String,
}

impl Prometheus {
    /// Fills the templates in.
    pub(super) fn new(expect: &plan::Prometheus, params: &Params, folder: &Path) -> Result<Self, String> {
        let (client, no_roots) = web::client()?;
        let server = web::url(&expect.url.render(params).map_err(text)?)?;
        let asked = |query: &str| {
            let mut url = server.clone();
            url.set_path(&format!("{}/api/v1/query", server.path().trim_end_matches('/')));
            url.query_pairs_mut().append_pair("query", query);
            url
        };
        let url = asked(&expect.query.render(params).map_err(text)?);
        let fresh = expect.fresh.as_ref().map(|(series, most)| {
            let series = series.render(params).map_err(text)?;
            Ok::<_, String>((asked(&format!("time() - timestamp({series})")), *most))
        });
        let token_file = expect.token_file.as_ref().map(|file| file.render(params)).transpose().map_err(text)?;
        let token_file = token_file.map(|file| folder.join(file));
        let headers = Headers::new(&expect.headers, params, folder)?;
        let fresh = fresh.transpose()?;
        Ok(Prometheus { client, no_roots, url, fresh, headers, token_file, expect: expect.clone() })
    }

    /// Asks once, and for the age of every series where that counts.
    pub(super) async fn read(&self, limit: Duration) -> Reading {
        // A little less than the loop gives, so that it can be said how far it came.
        let until = Instant::now() + limit.mul_f64(0.9);
        let mut bearer = None;
        if let Some(path) = &self.token_file {
            match timeout_at(until, token(path)).await {
                Ok(Ok(token)) => bearer = Some(token),
                Ok(Err(why)) => return Reading::unknown(format!("no token to ask with: {why}")),
                Err(_) => return Reading::unknown("no token to ask with: its file cannot be read in time"),
            }
        }
        let headers = match self.headers.read(until).await {
            Ok(headers) => headers,
            Err(why) => return Reading::unknown(why),
        };
        let ask = |url: &reqwest::Url| {
            let mut request = self.client.get(url.clone()).headers(headers.clone());
            if let Some(token) = &bearer {
                request = request.bearer_auth(token);
            }
            self.ask(request, until)
        };
        let reading = match ask(&self.url).await {
            Ok((status, body)) => self.judge(status, &body),
            Err(why) => return Reading::unknown(why),
        };
        let Some((url, most)) = &self.fresh else { return reading };
        let aged = ask(url).await.and_then(|(status, body)| stale(status, &body, *most));
        match aged {
            Ok(None) => reading,
            Ok(Some(why)) => beside(reading, &why),
            Err(why) => beside(reading, &format!("the age of its samples is not known: {why}")),
        }
    }

    async fn ask(&self, request: reqwest::RequestBuilder, until: Instant) -> Result<(u16, Vec<u8>), String> {
        match web::get(request, &self.url, until).await {
            Ok(answer) if !answer.whole => {
                let most = bytes(web::BODY_BYTES_MAX as u64);
                Err(format!("an answer of more than {most}: let the query aggregate"))
            }
            Ok(answer) => Ok((answer.status.as_u16(), answer.body)),
            Err(NoAnswer { why, .. }) => {
                let roots = self.no_roots.as_deref().filter(|_| self.url.scheme() == "https");
                let roots = roots.map(|why| format!(" ({why})")).unwrap_or_default();
                Err(format!("no answer: {why}{roots}"))
            }
        }
    }

    fn judge(&self, status: u16, body: &[u8]) -> Reading {
        let (series, warnings) = match answer(status, body) {
            Ok(answer) => answer,
            Err(why) => return Reading::unknown(why),
        };
        if series.is_empty() {
            let warned = warnings.first().map(|why| format!("; it warns: {why}")).unwrap_or_default();
            return Reading::unknown(format!("no data: the query found no series{warned}"));
        }
        let mut judged: Vec<(Status, Option<f64>, String)> = series.iter().map(|series| self.one(series)).collect();
        let mut findings = Findings::default();
        // A part of the truth may look better than the whole.
        warnings.iter().take(1).for_each(|why| findings.add(Status::Unknown, format!("it warns: {why}")));
        // The worst first; among equals the one furthest out.
        let above = self.expect.bounds.warn_above.or(self.expect.bounds.fail_above).is_some();
        let out = |value: &Option<f64>| value.map_or(f64::INFINITY, |value| if above { value } else { -value });
        judged.sort_by(|(a, x, _), (b, y, _)| {
            (*b, out(y)).partial_cmp(&(*a, out(x))).unwrap_or(std::cmp::Ordering::Equal)
        });
        let many = judged.len();
        let (worst, value, first) = judged[0].clone();
        let alike = judged.iter().filter(|(status, ..)| *status == worst).count();
        if worst == Status::Ok {
            findings.add(
                Status::Ok,
                match many {
                    1 => first,
                    _ if self.expect.bounds.any() => format!("{many} series, the nearest to its limit: {first}"),
                    _ => format!("{many} series, and no limit that tells which of them counts"),
                },
            );
        } else {
            let named = judged.into_iter().filter(|(status, ..)| *status == worst).take(NAMED_MAX);
            named.for_each(|(status, _, why)| findings.add(status, why));
            if alike > NAMED_MAX {
                findings.add(worst, format!("{} more", alike - NAMED_MAX));
            }
        }
        let seen = if many > 1 && worst != Status::Ok { format!("{alike} of {many} series") } else { String::new() };
        // Of several without a limit none is the value; and who could not tell has no number to tell either.
        let counts = many == 1 || self.expect.bounds.any();
        let value = value.filter(|_| counts && findings.worst() != Status::Unknown);
        findings.reading(&seen, value, &self.expect.unit)
    }

    /// One series against the limits.
    fn one(&self, series: &Series) -> (Status, Option<f64>, String) {
        let name = if series.name.is_empty() { String::new() } else { format!("{} ", series.name) };
        let value = match json::plain(&series.value) {
            Some(value) => value,
            None => return (Status::Unknown, None, format!("{name}is no number but {}", excerpt(&series.value, 20))),
        };
        let shown = format!("{name}{}", figure(value, &self.expect.unit));
        let above = |limit: Option<f64>| limit.filter(|limit| value > *limit).map(|limit| ("above", limit));
        let below = |limit: Option<f64>| limit.filter(|limit| value < *limit).map(|limit| ("below", limit));
        let crossed = [
            (Status::Fail, above(self.expect.bounds.fail_above)),
            (Status::Fail, below(self.expect.bounds.fail_below)),
            (Status::Warn, above(self.expect.bounds.warn_above)),
            (Status::Warn, below(self.expect.bounds.warn_below)),
        ];
        for (status, crossed) in crossed {
            if let Some((side, limit)) = crossed {
                return (status, Some(value), format!("{shown} is {side} {}", figure(limit, &self.expect.unit)));
            }
        }
        (Status::Ok, Some(value), shown)
    }
}

/// A reading of old samples is not known, unless what they said is bad enough already.
fn beside(reading: Reading, why: &str) -> Reading {
    match reading.status {
        Status::Fail => Reading { why: format!("{}; {why}", reading.why), ..reading },
        _ => Reading::unknown(format!("{why}; {}", reading.why)),
    }
}

/// What says that samples are too old: every series counts. Nothing where all of them are fresh.
fn stale(status: u16, body: &[u8], most: Duration) -> Result<Option<String>, String> {
    let (series, warnings) = answer(status, body)?;
    if series.is_empty() {
        return Err("no such series".into());
    }
    if let Some(why) = warnings.first() {
        return Err(format!("it warns: {why}"));
    }
    let mut old: Vec<(f64, &str)> = vec![];
    for one in &series {
        let seconds = json::plain(&one.value).ok_or_else(|| format!("{} is no age", excerpt(&one.value, 20)))?;
        if seconds > most.as_secs_f64() {
            old.push((seconds, &one.name));
        }
    }
    old.sort_by(|a, b| b.0.total_cmp(&a.0));
    let Some((seconds, name)) = old.first() else { return Ok(None) };
    let oldest = age(Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX));
    let (count, many, most) = (old.len(), series.len(), age(most));
    Ok(Some(format!("{count} of {many} series are older than {most}: {name} {oldest}")))
}

/// The token in a file.
pub(super) async fn token(path: &Path) -> Result<String, String> {
    use tokio::io::AsyncReadExt as _;
    let name = excerpt(&path.to_string_lossy(), 80);
    let error = |error: std::io::Error| format!("{name}: {error}");
    let mut text = String::new();
    let mut file = tokio::fs::File::open(path).await.map_err(error)?.take(TOKEN_BYTES_MAX as u64 + 1);
    file.read_to_string(&mut text).await.map_err(error)?;
    let token = text.trim();
    // Its characters are not quoted anywhere: it is a secret.
    match token.len() {
        0 => Err(format!("{name} is empty")),
        _ if text.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(format!("{name} holds no token: expected one line of visible ASCII"))
        }
        _ => Ok(token.to_owned()),
    }
}

/// The series of an answer and what the server warns of, or why there are none.
fn answer(status: u16, body: &[u8]) -> Result<(Vec<Series>, Vec<String>), String> {
    let json: Value = serde_json::from_slice(body).map_err(|_| {
        let said = excerpt(&String::from_utf8_lossy(body), 80);
        format!("status {status}, and its body is no answer of Prometheus: {said}")
    })?;
    let word = |key: &str| excerpt(json[key].as_str().unwrap_or("it does not say"), 120);
    match json["status"].as_str() {
        Some("success") if status == 200 => {}
        Some("error") => return Err(format!("Prometheus says {}: {}", word("errorType"), word("error"))),
        _ => return Err(format!("status {status}, and no answer of Prometheus: {}", excerpt(&json.to_string(), 80))),
    }
    let warnings = json["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut warnings: Vec<String> =
        warnings.iter().map(|why| excerpt(why.as_str().unwrap_or("it does not say"), 120)).collect();
    // As VictoriaMetrics says that a part of its storage did not answer.
    if ["/isPartial", "/data/isPartial", "/partial"].iter().any(|at| json.pointer(at) == Some(&Value::Bool(true))) {
        warnings.push("its answer is not whole".into());
    }
    let (kind, result) = (json["data"]["resultType"].as_str(), &json["data"]["result"]);
    let series = match (kind, result.as_array()) {
        (Some("vector"), Some(items)) => items.iter().map(series).collect::<Result<Vec<_>, _>>()?,
        (Some("scalar"), Some(_)) => vec![Series { name: String::new(), value: sample(result)? }],
        (Some("matrix"), _) => return Err("a range of values: expected a query for one moment".into()),
        (Some("string"), _) => return Err("the query gives a text: expected numbers".into()),
        _ => return Err(format!("an answer without a result: {}", excerpt(&json.to_string(), 80))),
    };
    Ok((series, warnings))
}

fn series(item: &Value) -> Result<Series, String> {
    if item.get("value").is_none() && item.get("histogram").is_some() {
        return Err("the query gives histograms: expected numbers, such as those of histogram_quantile".into());
    }
    let labels = item["metric"].as_object().ok_or_else(|| "a series without labels in the answer".to_owned())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named =
        labels.iter().filter(|(key, _)| *key != "__name__").map(|(key, value)| format!("{key}={:?}", text(value)));
    let named: Vec<String> = named.collect();
    let name = labels.get("__name__").map(text).unwrap_or_default();
    let braces = if named.is_empty() { String::new() } else { format!("{{{}}}", named.join(", ")) };
    Ok(Series { name: excerpt(&format!("{name}{braces}"), 80), value: sample(&item["value"])? })
}

/// The value of `[time, "value"]`.
fn sample(pair: &Value) -> Result<String, String> {
    let value = pair.as_array().filter(|pair| pair.len() == 2).and_then(|pair| pair[1].as_str());
    value.map(str::to_owned).ok_or_else(|| format!("a sample that is none: {}", excerpt(&pair.to_string(), 40)))
}

#[cfg(test)]
mod tests;

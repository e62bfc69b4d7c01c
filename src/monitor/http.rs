//! HTTP GETs: status, text, time, a number, the certificate's end; each page against what is expected and what was usual.
//!
//! `fail` means that something answered and the answer is bad. Where nothing answered (refused, unresolved, silent, cut
//! short, not trusted) the reading is `unknown`: the service may be well and the way to it broken. Both lock a gate.

use super::command::measured;
use super::headers::Headers;
use super::web::{self, BODY_BYTES_MAX, NoAnswer, Response};
use super::{Findings, excerpt, json, text};
use crate::baseline::{Baseline, median};
use crate::clock::human;
use crate::event::{Reading, Status};
use crate::plan::{self, Params};
use reqwest::header::HeaderMap;
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// What of a bad body is shown.
const EXCERPT: usize = 120;
/// Readings before "usual" means anything, and readings it is taken from. While there are fewer the sentence says so, and
/// nothing is claimed about slowness: all other expectations are judged as ever.
const BASELINE: (usize, usize) = (10, 120);
/// A difference that nobody notices is none, however steady a page is.
const FLOOR_MS: f64 = 50.0;
const DAY: u64 = 24 * 3600;

/// Pages and what is expected of them.
pub(super) struct Http {
    client: reqwest::Client,
    /// Why https cannot work here, where it cannot.
    no_roots: Option<String>,
    expect: plan::Http,
    headers: Headers,
    pages: Vec<Page>,
}

struct Page {
    url: reqwest::Url,
    /// Milliseconds of readings that were as expected and not slower than usual: a page that has become slow must not
    /// teach that slow is usual.
    usual: Baseline,
}

/// What the samples of one page in one reading said.
#[derive(Default)]
struct Seen {
    status: u16,
    /// Milliseconds to the end of the body, and to the head of the answer, of each sample.
    total: Vec<f64>,
    first_byte: Vec<f64>,
    /// The number at the pointer, where one is asked for, and words about it.
    value: Option<f64>,
    said: String,
    certificate: Option<Duration>,
    findings: Findings,
}

impl Http {
    /// Fills the templates in.
    pub(super) fn new(expect: &plan::Http, params: &Params, folder: &Path) -> Result<Self, String> {
        let (client, no_roots) = web::client()?;
        Ok(Http { no_roots, ..Self::with(client, expect, params, folder)? })
    }

    fn with(client: reqwest::Client, expect: &plan::Http, params: &Params, folder: &Path) -> Result<Self, String> {
        let page = |url: &plan::Template| {
            let url = web::url(&url.render(params).map_err(text)?)?;
            Ok(Page { url, usual: Baseline::new(BASELINE.0, BASELINE.1) })
        };
        let pages = expect.urls.iter().map(page).collect::<Result<Vec<_>, String>>()?;
        let headers = Headers::new(&expect.headers, params, folder)?;
        Ok(Http { client, no_roots: None, expect: expect.clone(), headers, pages })
    }

    /// Gets every page, all at once, each as often as the plan says, one sample after the other.
    pub(super) async fn read(&mut self, limit: Duration) -> Reading {
        // A little less than the loop gives, so that it can be said how far it came.
        let until = Instant::now() + limit.mul_f64(0.9);
        let headers = match self.headers.read(until).await {
            Ok(headers) => headers,
            Err(why) => return Reading::unknown(why),
        };
        let looks = self.pages.iter().map(|page| self.look(&page.url, &headers, until));
        let seen = futures_util::future::join_all(looks).await;
        let judged =
            seen.into_iter().zip(&mut self.pages).map(|(seen, page)| judge(&self.expect, seen, &mut page.usual));
        let mut judged: Vec<Seen> = judged.collect();
        if let [_] = judged[..] {
            return self.alone(judged.remove(0));
        }
        let mut findings = Findings::default();
        let mut slowest: Option<(f64, String)> = None;
        let mut answered = 0;
        for (seen, page) in judged.into_iter().zip(&self.pages) {
            let name = web::address(&page.url);
            if let Some(ms) = median(seen.total.iter().copied()) {
                answered += 1;
                if slowest.as_ref().is_none_or(|(slowest, _)| ms > *slowest) {
                    slowest = Some((ms, name.clone()));
                }
            }
            seen.findings.0.into_iter().for_each(|(status, why)| findings.add(status, format!("{name}: {why}")));
        }
        let all = self.pages.len();
        let told = match &slowest {
            Some((ms, name)) => format!("{answered} of {all} pages, the slowest in {ms:.0} ms: {name}"),
            None => format!("none of {all} pages answers"),
        };
        // Of some pages only, the slowest says nothing about all.
        findings.reading(&told, slowest.map(|(ms, _)| ms).filter(|_| answered == all), "ms")
    }

    fn alone(&self, seen: Seen) -> Reading {
        let told = told(&seen, self.expect.samples);
        let (value, unit) = match self.expect.value {
            Some(_) => (seen.value, ""),
            None => (median(seen.total.iter().copied()), "ms"),
        };
        seen.findings.reading(&told, value, unit)
    }

    /// One page's samples. The first one without an answer ends it.
    async fn look(&self, url: &reqwest::Url, headers: &HeaderMap, until: Instant) -> Seen {
        let (mut seen, samples) = (Seen::default(), self.expect.samples);
        for sample in 1..=samples {
            let which = if samples > 1 { format!("sample {sample} of {samples}: ") } else { String::new() };
            match web::get(self.client.get(url.clone()).headers(headers.clone()), url, until).await {
                Ok(answer) => self.take(&mut seen, answer, &which),
                Err(NoAnswer { why, expired }) => {
                    let roots = self.no_roots.as_deref().filter(|_| url.scheme() == "https");
                    let roots = roots.map(|why| format!(" ({why})")).unwrap_or_default();
                    match expired {
                        true => seen.findings.add(Status::Fail, format!("{which}{why}")),
                        false => seen.findings.add(Status::Unknown, format!("{which}no answer: {why}{roots}")),
                    }
                    // What was seen before is no picture of the whole.
                    return Seen { findings: seen.findings, ..Seen::default() };
                }
            }
        }
        seen
    }

    /// One answer against what is expected of it alone. Of several bad ones the first is told.
    fn take(&self, seen: &mut Seen, answer: Response, which: &str) {
        // What is half of a longer body may end in the middle of a character.
        let body = json::utf8(&answer.body).unwrap_or_else(|_| Cow::Borrowed(&answer.body));
        let body = String::from_utf8_lossy(&body);
        let said = || match excerpt(&body, EXCERPT) {
            body if body.is_empty() => ", with an empty body".to_owned(),
            body => format!(": {body}"),
        };
        let mut findings = Findings::default();
        let right = match self.expect.status {
            Some(wanted) => answer.status.as_u16() == wanted,
            None => answer.status.is_success(),
        };
        if !right {
            let wanted = self.expect.status.map_or("2xx".to_owned(), |status| status.to_string());
            let instead = match &answer.points_to {
                Some(elsewhere) => format!(", and it points to {elsewhere}, which is not followed"),
                None => said(),
            };
            findings.add(Status::Fail, format!("{which}status {wanted} was expected{instead}"));
        }
        // The body is quoted once; after a wrong status it stands there already.
        let quote = || if right { said() } else { String::new() };
        let part = format!("its first {}, and the body is longer", super::bytes(BODY_BYTES_MAX as u64));
        for wanted in self.expect.present.iter().filter(|wanted| !body.contains(*wanted)) {
            let wanted = excerpt(wanted, 40);
            match answer.whole {
                true => findings.add(Status::Fail, format!("{which}no {wanted:?} in it{}", quote())),
                false => findings.add(Status::Unknown, format!("{which}no {wanted:?} in {part}")),
            }
        }
        for unwanted in &self.expect.absent {
            let shown = excerpt(unwanted, 40);
            match body.contains(unwanted) {
                true => findings.add(Status::Fail, format!("{which}{shown:?} in it{}", quote())),
                false if answer.whole => {}
                false => findings.add(Status::Unknown, format!("{which}no {shown:?} in {part}")),
            }
        }
        seen.certificate = None;
        self.take_certificates(seen, &answer, &mut findings);
        self.take_json(seen, &answer, which, &mut findings);
        seen.status = answer.status.as_u16();
        seen.total.push(answer.total.as_secs_f64() * 1000.0);
        seen.first_byte.push(answer.first_byte.as_secs_f64() * 1000.0);
        if seen.findings.worst() == Status::Ok {
            seen.findings = findings;
        }
    }

    /// When the server's certificate ends, and the first one of those it sent along: visitors lose it with either.
    fn take_certificates(&self, seen: &mut Seen, answer: &Response, findings: &mut Findings) {
        let least = self.expect.tls_valid_for;
        match &answer.certificate_ends {
            Some(Ok(ends)) => {
                let left = web::left(*ends);
                seen.certificate = Some(left);
                if let Some(least) = least.filter(|least| left < *least) {
                    findings
                        .add(Status::Fail, format!("its certificate ends in {}, {} expected", days(left), days(least)));
                }
            }
            Some(Err(why)) if least.is_some() => {
                findings.add(Status::Unknown, format!("its certificate cannot be read: {why}"));
            }
            None if least.is_some() => {
                findings.add(Status::Unknown, "it has no certificate: this is not https");
            }
            _ => {}
        }
        let Some(least) = least else { return };
        match &answer.chain_ends {
            Some(Ok(ends)) if web::left(*ends) < least => {
                let (left, least) = (days(web::left(*ends)), days(least));
                findings.add(Status::Fail, format!("a certificate of its chain ends in {left}, {least} expected"));
            }
            Some(Err(why)) => findings.add(Status::Unknown, format!("its chain of certificates cannot be read: {why}")),
            _ => {}
        }
    }

    /// What a body of JSON says, where anything is asked of it. What cannot be read there is unknown: an error page of a proxy
    /// is no word of the service.
    fn take_json(&self, seen: &mut Seen, answer: &Response, which: &str, findings: &mut Findings) {
        if self.expect.json.is_empty() && self.expect.value.is_none() {
            return;
        }
        seen.value = None;
        let json = match answer.whole {
            true => json::read(&answer.body).map_err(|why| format!("its body is not JSON: {why}")),
            false => Err(format!("its body is longer than {}", super::bytes(BODY_BYTES_MAX as u64))),
        };
        let json = match json {
            Ok(json) => json,
            Err(why) => return findings.add(Status::Unknown, format!("{which}{why}")),
        };
        let mut found = Findings::default();
        let mut told = json::held(&json, &self.expect.json, &mut found);
        if let Some(pointer) = &self.expect.value {
            match &json::all(&json, pointer)[..] {
                // A word is shown as it is; it is no number to hold against anything.
                [(place, Ok(word @ (serde_json::Value::String(_) | serde_json::Value::Bool(_))))]
                    if json::number(word).is_none() && !self.expect.bounds.any() =>
                {
                    told.push(format!("{} is {}", excerpt(place, 60), json::quoted(word)));
                }
                _ => {
                    let (value, worst) = measured(json::numbers(&json, pointer), &self.expect.bounds, &mut found);
                    seen.value = value;
                    told.extend(Some(worst).filter(|worst| !worst.is_empty()));
                }
            }
        }
        seen.said = told.iter().map(|told| format!(", {told}")).collect();
        found.0.into_iter().for_each(|(status, why)| findings.add(status, format!("{which}{why}")));
    }
}

/// What only all samples together can say: how slow it was, and how that stands to what is usual.
fn judge(expect: &plan::Http, mut seen: Seen, usual: &mut Baseline) -> Seen {
    let Some(ms) = median(seen.total.iter().copied()) else { return seen };
    let worst = seen.total.iter().copied().fold(0.0, f64::max);
    if let Some(within) = expect.within.filter(|within| worst > within.as_secs_f64() * 1000.0) {
        seen.findings.add(Status::Fail, format!("slower than {}", human(within)));
    }
    let Some(times) = expect.slower_than_baseline else { return seen };
    let as_expected = seen.findings.worst() == Status::Ok;
    match usual.usual() {
        None => {
            let (has, needs) = usual.learned();
            seen.said += &format!(", baseline {has} of {needs} readings");
        }
        Some(usual) if usual.is_above(ms, times, FLOOR_MS) => {
            let (middle, spread) = (usual.middle, usual.spread);
            let why = format!("slower than before: {ms:.0} ms, usually {middle:.0} ms ± {spread:.0}");
            seen.findings.add(Status::Warn, why);
            return seen;
        }
        Some(_) => {}
    }
    if as_expected {
        usual.learn(ms);
    }
    seen
}

/// One page as people read it.
fn told(seen: &Seen, samples: u32) -> String {
    let Some(ms) = median(seen.total.iter().copied()) else { return String::new() };
    let first = median(seen.first_byte.iter().copied()).unwrap_or(ms);
    let mut told = match samples {
        1 => format!("{} in {ms:.0} ms, first byte after {first:.0} ms", seen.status),
        _ => {
            let worst = seen.total.iter().copied().fold(0.0, f64::max);
            format!(
                "{samples} × {}, median {ms:.0} ms, worst {worst:.0} ms, first byte after {first:.0} ms",
                seen.status
            )
        }
    };
    if let Some(left) = seen.certificate {
        told += &format!(", certificate ends in {}", days(left));
    }
    told + &seen.said
}

fn days(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 2 * DAY => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / DAY),
    }
}

#[cfg(test)]
mod tests;

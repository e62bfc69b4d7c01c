//! An HTTP GET: its status, its text, its time, a number in it.
//!
//! `fail` means that something answered and the answer is bad. Where nothing answered (refused, unresolved, silent, cut
//! short, not trusted) the reading is `unknown`: the service may be well and the way to it broken. Both lock a gate.
//! Proxies named in the hub's environment are not used, or the same plan would look at different things on two machines.

use super::{Findings, excerpt, text};
use crate::clock::human;
use crate::event::{Reading, Status};
use crate::plan::{Params, WatchKind};
use std::error::Error;
use std::sync::Once;
use std::time::{Duration, Instant};

/// What is read of a body at most. Health pages and counts are small; a download by mistake must not fill the hub.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Redirects followed. Each is named in the reading: a login page that answers 200 is not the service.
const REDIRECTS_MAX: usize = 3;
/// What of a bad body is shown.
const EXCERPT: usize = 120;

/// One page and what is expected of it.
pub(super) struct Http {
    client: reqwest::Client,
    /// Why https cannot work here, where it cannot.
    no_roots: Option<String>,
    url: reqwest::Url,
    status: Option<u16>,
    contains: Option<String>,
    within: Option<Duration>,
    value: Option<String>,
}

/// What came back.
struct Page {
    status: reqwest::StatusCode,
    url: reqwest::Url,
    body: String,
    whole: bool,
    took: Duration,
}

impl Http {
    /// Takes an `http` watch; any other kind is an error.
    pub(super) fn new(kind: &WatchKind, params: &Params) -> Result<Self, String> {
        let WatchKind::Http { url, status, contains, within, value } = kind else {
            return Err("not an http watch".into());
        };
        let url = url.render(params).map_err(text)?;
        let url = reqwest::Url::parse(&url).map_err(|e| format!("{:?} is not a URL: {e}", excerpt(&url, EXCERPT)))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{} is neither http nor https", address(&url)));
        }
        let (client, no_roots) = client()?;
        let (status, within) = (*status, *within);
        Ok(Http { client, no_roots, url, status, contains: contains.clone(), within, value: value.clone() })
    }

    /// Gets the page once.
    pub(super) async fn read(&self) -> Reading {
        match self.get().await {
            Ok(page) => self.judge(&page),
            Err(error) if error.is_redirect() => {
                let mut findings = Findings::default();
                findings.add(Status::Fail, format!("redirected more than {REDIRECTS_MAX} times"));
                findings.reading("", None, "")
            }
            Err(error) => {
                let roots = self.no_roots.as_deref().filter(|_| self.url.scheme() == "https");
                let roots = roots.map(|why| format!(" ({why})")).unwrap_or_default();
                Reading::unknown(format!("no answer: {}{roots}", excerpt(&cause(error), EXCERPT)))
            }
        }
    }

    async fn get(&self) -> Result<Page, reqwest::Error> {
        let began = Instant::now();
        let mut response = self.client.get(self.url.clone()).send().await?;
        let (status, url) = (response.status(), response.url().clone());
        let (mut body, mut whole) = (vec![], true);
        while let Some(chunk) = response.chunk().await? {
            let room = BODY_BYTES_MAX - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                whole = false;
                break;
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Page { status, url, body, whole, took: began.elapsed() })
    }

    fn judge(&self, page: &Page) -> Reading {
        let mut findings = Findings::default();
        let said = || match excerpt(&page.body, EXCERPT) {
            body if body.is_empty() => ", with an empty body".to_owned(),
            body => format!(": {body}"),
        };
        let right = match self.status {
            Some(wanted) => page.status.as_u16() == wanted,
            None => page.status.is_success(),
        };
        if !right {
            let wanted = self.status.map_or("2xx".to_owned(), |status| status.to_string());
            findings.add(Status::Fail, format!("status {wanted} was expected{}", said()));
        }
        if let Some(wanted) = self.contains.as_ref().filter(|wanted| !page.body.contains(*wanted)) {
            let wanted = excerpt(wanted, 40);
            if page.whole {
                // The body is quoted once; after a wrong status it stands there already.
                findings
                    .add(Status::Fail, format!("no {wanted:?} in it{}", if right { said() } else { String::new() }));
            } else {
                findings.add(Status::Unknown, format!("no {wanted:?} in its first 1 MiB, and the body is longer"));
            }
        }
        if let Some(within) = self.within.filter(|within| page.took > *within) {
            findings.add(Status::Fail, format!("slower than {}", human(within)));
        }
        let mut seen = format!("{} in {} ms", page.status.as_u16(), page.took.as_millis());
        if page.url != self.url {
            seen += &format!(" from {}, redirected", address(&page.url));
        }
        let Some(pointer) = &self.value else {
            return findings.reading(&seen, Some(page.took.as_secs_f64() * 1000.0), "ms");
        };
        let value = match value_at(pointer, page) {
            Ok(Value::Number(number)) => Some(number),
            Ok(Value::Text(text)) => {
                seen += &format!(", {pointer} is {text:?}");
                None
            }
            Err(why) => {
                findings.add(Status::Unknown, why);
                None
            }
        };
        findings.reading(&seen, value, "")
    }
}

/// What a JSON pointer led to.
enum Value {
    Number(f64),
    Text(String),
}

fn value_at(pointer: &str, page: &Page) -> Result<Value, String> {
    if !page.whole {
        return Err(format!("no value at {pointer}: the body is longer than 1 MiB"));
    }
    let json: serde_json::Value =
        serde_json::from_str(&page.body).map_err(|error| format!("no value at {pointer}: not JSON: {error}"))?;
    match json.pointer(pointer) {
        Some(serde_json::Value::Number(number)) => {
            number.as_f64().map(Value::Number).ok_or_else(|| format!("the number at {pointer} is out of range"))
        }
        Some(serde_json::Value::String(text)) => Ok(Value::Text(excerpt(text, 40))),
        Some(serde_json::Value::Bool(yes)) => Ok(Value::Text(yes.to_string())),
        Some(other) => Err(format!("no number at {pointer} but {}", excerpt(&other.to_string(), 40))),
        None => Err(format!("nothing at {pointer}")),
    }
}

/// A client without memory: every reading makes its own connection, as a new user of the service would. Also says why
/// https cannot work, where this machine has no root certificates; plain http works all the same.
fn client() -> Result<(reqwest::Client, Option<String>), String> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only where the program installed one before, and then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("crosscheck/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            .pool_max_idle_per_host(0)
            .no_proxy()
    };
    match builder().build() {
        Ok(client) => Ok((client, None)),
        Err(error) => {
            // The platform's verifier refuses to be built without roots. With none at all every certificate is refused
            // when it is seen, which is as safe and leaves plain http working.
            let tls = rustls::ClientConfig::builder()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            let client = builder().tls_backend_preconfigured(tls).build().map_err(cause)?;
            Ok((client, Some(cause(error))))
        }
    }
}

/// The innermost reason: "connection refused" rather than "error sending request". Without the URL, which may hold a
/// password.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut inner: &dyn Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Where a page lies, without query and password: both may be secrets.
fn address(url: &reqwest::Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    excerpt(&format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()), 80)
}

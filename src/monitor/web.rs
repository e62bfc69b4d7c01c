//! One request, told apart by how far it came: no name, no connection, no answer, half an answer.
//!
//! Proxies named in the hub's environment are not used, or the same plan would look at different things on two machines.
//! Redirects are not followed: a login page that answers 200 is not the service.

use super::excerpt;
use crate::clock::{At, human, wall};
use crate::hash::Hash;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header;
use rustls::DigitallySignedStruct;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What is read of a body at most. Health pages and counts are small; a download by mistake must not fill the hub.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
/// What of a reason is shown.
const REASON: usize = 120;

/// What came back.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: reqwest::StatusCode,
    /// Where a redirect points, without query and password.
    pub(super) points_to: Option<String>,
    pub(super) body: Vec<u8>,
    /// Whether that is all of it.
    pub(super) whole: bool,
    /// From the request to the head of the answer, connecting included.
    pub(super) first_byte: Duration,
    /// To the end of the body.
    pub(super) total: Duration,
    /// When the certificate of the server ends, where there is one.
    pub(super) certificate_ends: Option<Result<At, String>>,
    /// When the first one ends of those it sent along, where it sent any.
    pub(super) chain_ends: Option<Result<At, String>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NoAnswer {
    pub(super) why: String,
    /// The certificate has expired: that is known, and bad.
    pub(super) expired: bool,
}

/// The client that all watches share. It has no memory: every request makes its own connection, as a new user of the
/// service would. Also says why https cannot work, where this machine has no root certificates; plain http works all the
/// same.
pub(super) fn client() -> Result<(reqwest::Client, Option<String>), String> {
    static CLIENT: OnceLock<Result<(reqwest::Client, Option<String>), String>> = OnceLock::new();
    CLIENT
        .get_or_init(|| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            match rustls_platform_verifier::Verifier::new(provider) {
                Ok(verifier) => Ok((verified(Arc::new(verifier))?, None)),
                Err(error) => {
                    // The platform's verifier refuses to be built without roots. With none at all every certificate is
                    // refused when it is seen, which is as safe and leaves plain http working.
                    let none = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
                    Ok((speaking(none.with_no_client_auth())?, Some(excerpt(&error.to_string(), REASON))))
                }
            }
        })
        .clone()
}

/// How another protocol speaks TLS: whom a page is believed is believed there, or whoever these roots vouch for and nobody else.
#[cfg(feature = "sql")]
pub(super) fn tls(roots: Option<rustls::RootCertStore>) -> Result<Arc<rustls::ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider.clone());
    let tls = tls.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let tls = match roots {
        Some(roots) => tls.with_root_certificates(roots),
        None => {
            let verifier = rustls_platform_verifier::Verifier::new(provider);
            let verifier =
                verifier.map_err(|error| format!("nobody to trust: {}", excerpt(&error.to_string(), REASON)))?;
            tls.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    Ok(Arc::new(tls.with_no_client_auth()))
}

fn builder() -> reqwest::ClientBuilder {
    // Fails only where the program installed one before, and then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("crosscheck/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .tls_info(true)
        .dns_resolver(Names)
        .no_proxy()
}

/// The system's resolver, and a note of what it was not done with: a name server that says nothing is not a silent page.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let _asked = Asked::begin(name.as_str());
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?; // 0: reqwest puts the URL's port in
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

/// A name that was asked about; given back when its answer came or nobody waits for it any more.
pub(super) struct Asked(String);

impl Asked {
    pub(super) fn begin(name: &str) -> Self {
        *Asked::all().entry(name.to_owned()).or_default() += 1;
        Asked(name.to_owned())
    }

    /// Whether somebody waits for where that name leads.
    fn awaits(name: &str) -> bool {
        Asked::all().contains_key(name)
    }

    fn all() -> MutexGuard<'static, BTreeMap<String, usize>> {
        static ALL: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());
        // Only words hang on it, so a poisoned one serves.
        ALL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut all = Asked::all();
        match all.get_mut(&self.0) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.0)),
        }
    }
}

/// A client that trusts these roots and no others.
#[cfg(test)]
pub(super) fn trusting(roots: rustls::RootCertStore) -> Result<reqwest::Client, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verified(verifier.map_err(|error| error.to_string())?)
}

/// A client that lets this say whom to trust, and notes what chains servers send.
fn verified(verifier: Arc<dyn ServerCertVerifier>) -> Result<reqwest::Client, String> {
    let _ = rustls::crypto::ring::default_provider().install_default(); // as above
    let tls = rustls::ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(Chain(verifier)));
    speaking(tls.with_no_client_auth())
}

fn speaking(mut tls: rustls::ClientConfig) -> Result<reqwest::Client, String> {
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    builder().tls_backend_preconfigured(tls).build().map_err(|error| innermost(&error))
}

/// Whom to trust is left to another; what is noted is when the first certificate ends of those that a server sends along
/// with its own. The client library tells of its own alone.
#[derive(Debug)]
struct Chain(Arc<dyn ServerCertVerifier>);

/// By the hash of the server's own certificate.
type Chains = BTreeMap<Hash, Option<Result<At, String>>>;

impl Chain {
    /// Servers that are watched at once, by far.
    const KEPT: usize = 512;

    /// When the chain ends that came with that certificate last.
    fn of(certificate: &[u8]) -> Option<Result<At, String>> {
        let unseen = || Some(Err("it was not seen".to_owned()));
        Chain::all().get(&Hash::of(certificate)).cloned().unwrap_or_else(unseen)
    }

    fn note(certificate: &[u8], along: &[CertificateDer<'_>]) {
        let first = along.iter().map(|certificate| ends(certificate)).reduce(|first, next| Ok(first?.min(next?)));
        let mut all = Chain::all();
        if all.len() >= Chain::KEPT {
            all.pop_first();
        }
        all.insert(Hash::of(certificate), first);
    }

    fn all() -> MutexGuard<'static, Chains> {
        static ALL: Mutex<Chains> = Mutex::new(BTreeMap::new());
        // Each entry is put in whole, so a poisoned one serves.
        ALL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl ServerCertVerifier for Chain {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        along: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.0.verify_server_cert(certificate, along, name, ocsp, now)?;
        Chain::note(certificate, along);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// A web address, or why it is none.
pub(super) fn url(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|e| format!("{:?} is not a URL: {e}", excerpt(text, REASON)))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(format!("{} is neither http nor https", address(&url))),
    }
}

/// Sends a request and waits for the head of the answer, by then.
pub(super) async fn send(
    request: reqwest::RequestBuilder,
    url: &reqwest::Url,
    until: Instant,
) -> Result<reqwest::Response, NoAnswer> {
    let began = Instant::now();
    let mut sent = pin!(request.send()); // not dropped before it was looked how far it came
    match timeout_at(until, sent.as_mut()).await {
        Ok(sent) => sent.map_err(|error| no_answer(&error, url)),
        Err(_) => {
            let late = human(until - began);
            let why = match url.host_str().filter(|name| Asked::awaits(name)) {
                Some(name) => format!("nobody says within {late} where the name {} leads", excerpt(name, 80)),
                None => format!("{} said nothing within {late}", host(url)),
            };
            Err(NoAnswer { why, expired: false })
        }
    }
}

/// Sends a request and reads the answer, by then.
pub(super) async fn get(
    request: reqwest::RequestBuilder,
    url: &reqwest::Url,
    until: Instant,
) -> Result<Response, NoAnswer> {
    let began = Instant::now();
    let late = |what: String| NoAnswer { why: format!("{what} within {}", human(until - began)), expired: false };
    let mut response = send(request, url, until).await?;
    let first_byte = began.elapsed();
    let status = response.status();
    let points_to = response.headers().get(header::LOCATION).filter(|_| status.is_redirection()).map(|location| {
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        // Beside the page that answered: most locations are relative.
        url.join(&location).map_or_else(|_| "no address".to_owned(), |location| address(&location))
    });
    let certificate = response.extensions().get::<reqwest::tls::TlsInfo>().and_then(|tls| tls.peer_certificate());
    let certificate_ends = certificate.map(ends);
    let chain_ends = certificate.and_then(Chain::of);
    let (mut body, mut whole) = (vec![], true);
    loop {
        let chunk = match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                let why = format!("{} and then broke off after {}", status.as_u16(), super::bytes(body.len() as u64));
                let why = format!("{why}: {}", excerpt(&innermost(&error), REASON));
                return Err(NoAnswer { why, expired: false });
            }
            Err(_) => {
                let came = super::bytes(body.len() as u64);
                return Err(late(format!("{} came and {came} of its body, but no end", status.as_u16())));
            }
        };
        let room = BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            whole = false;
            break;
        }
    }
    Ok(Response { status, points_to, body, whole, first_byte, total: began.elapsed(), certificate_ends, chain_ends })
}

/// When a certificate ends.
fn ends(der: &[u8]) -> Result<At, String> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| excerpt(&error.to_string(), REASON))?;
    let seconds = certificate.validity().not_after.timestamp();
    Ok(At::from_micros(seconds.saturating_mul(1_000_000)))
}

/// How long a certificate is still good for; nothing where it is past.
pub(super) fn left(ends: At) -> Duration {
    ends.since(wall())
}

/// The reason in words people know. Without the URL, which may hold a password.
fn no_answer(error: &reqwest::Error, url: &reqwest::Url) -> NoAnswer {
    let (mut refused, mut unresolved, mut expired) = (false, false, false);
    let mut next: Option<&dyn Error> = error.source();
    while let Some(inner) = next {
        unresolved |= inner.to_string() == "dns error";
        let io = inner.downcast_ref::<std::io::Error>();
        refused |= io.is_some_and(|io| io.kind() == ErrorKind::ConnectionRefused);
        expired |= is_expired(inner);
        // An I/O error names the source of what it wraps as its own, and skips what it wraps.
        next = io.and_then(|io| io.get_ref()).map(|wrapped| wrapped as &dyn Error).or_else(|| inner.source());
    }
    let reason = excerpt(&innermost(error), REASON);
    let why = match (unresolved, refused, expired) {
        (true, ..) => {
            format!("the name {} does not resolve: {reason}", excerpt(url.host_str().unwrap_or_default(), 80))
        }
        (_, true, _) => format!("connection refused by {}", host(url)),
        (.., true) => "its certificate has expired".to_owned(),
        _ => reason,
    };
    NoAnswer { why, expired }
}

fn is_expired(error: &(dyn Error + 'static)) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext};
    matches!(
        error.downcast_ref::<rustls::Error>(),
        Some(rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }))
    )
}

/// The innermost reason: "connection refused" rather than "error sending request".
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    match inner.downcast_ref::<reqwest::Error>() {
        Some(_) => "the request failed".to_owned(), // its own words may name the URL
        None => inner.to_string(),
    }
}

/// Host and port of a page.
pub(super) fn host(url: &reqwest::Url) -> String {
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    excerpt(&format!("{}{port}", url.host_str().unwrap_or_default()), 80)
}

/// Where a page lies, without query and password: both may be secrets.
pub(super) fn address(url: &reqwest::Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    excerpt(&format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()), 80)
}

//! Whether what the release needs to the end is still good then: a token, a certificate, a key in ssh-agent.
//!
//! The value is how many seconds are left. Nothing that was read is quoted, whatever is wrong with it: it is a secret until
//! the opposite is known.

use super::child::{Program, signal};
use super::worker::Worker;
use super::{Findings, excerpt, json, text};
use crate::clock::human;
use crate::event::{Reading, Status};
use crate::name::WatchId;
use crate::plan::{Credential as Wanted, CredentialSource, Params};
use crate::trust::agent;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use x509_parser::pem::Pem;

/// A token is a few hundred bytes, and a chain of certificates a few thousand.
const BYTES_MAX: u64 = 1 << 20;

/// See the module.
pub(super) struct Credential {
    source: Source,
    expires: Option<String>,
    must_outlive: Duration,
}

enum Source {
    File(Worker<Result<Vec<u8>, String>>),
    Command(Program),
    /// Its fingerprint or its comment.
    Agent(String),
}

/// Until when it is good, and of what that was read.
struct End {
    what: &'static str,
    /// Nothing where it has no end.
    at: Option<SystemTime>,
}

impl Credential {
    pub(super) fn new(watch: &WatchId, wanted: &Wanted, params: &Params, folder: &Path) -> Result<Self, String> {
        let source = match &wanted.source {
            CredentialSource::File(path) => {
                let path = folder.join(path.render(params).map_err(text)?);
                Source::File(Worker::start(watch, move |_| contents(&path))?)
            }
            CredentialSource::Command(run) => Source::Command(Program {
                argv: run.argv_beside(params, true).map_err(text)?,
                folder: folder.to_owned(),
                env: vec![],
                timeout: wanted.timeout,
                keep: BYTES_MAX as usize,
            }),
            CredentialSource::Agent(key) => Source::Agent(key.render(params).map_err(text)?),
        };
        Ok(Credential { source, expires: wanted.expires.clone(), must_outlive: wanted.must_outlive })
    }

    /// Looks at it once. Dropped half-way, it kills what it started.
    pub(super) async fn read(&mut self, limit: Duration) -> Reading {
        let end = match &mut self.source {
            Source::File(worker) => match worker.look(limit).await {
                Ok(read) => read.and_then(|bytes| end(&bytes, self.expires.as_deref())),
                Err(why) => Err(why.to_owned()),
            },
            Source::Command(program) => printed(program).await.and_then(|bytes| end(&bytes, self.expires.as_deref())),
            Source::Agent(key) => match held(key).await {
                Ok(end) => Ok(end),
                Err((Status::Unknown, why)) => Err(why),
                Err((status, why)) => {
                    let mut findings = Findings::default();
                    findings.add(status, why);
                    return findings.reading("", None, "");
                }
            },
        };
        match end {
            Ok(end) => judge(&end, self.must_outlive, SystemTime::now()),
            Err(why) => Reading::unknown(why),
        }
    }
}

fn judge(end: &End, must_outlive: Duration, now: SystemTime) -> Reading {
    let mut findings = Findings::default();
    let Some(at) = end.at else {
        return findings.reading(&format!("{} without an end", end.what), None, "");
    };
    match at.duration_since(now) {
        Ok(left) if !left.is_zero() => {
            if left < must_outlive {
                findings.add(Status::Fail, format!("{} are needed", human(must_outlive)));
            }
            findings.reading(&format!("{} good for another {}", end.what, human(left)), Some(left.as_secs_f64()), "s")
        }
        ended => {
            let since = ended.err().map(|error| error.duration()).unwrap_or_default();
            findings.add(Status::Fail, format!("{} expired {} ago", end.what, human(since)));
            findings.reading("", Some(0.0), "s")
        }
    }
}

fn contents(path: &PathBuf) -> Result<Vec<u8>, String> {
    let name = excerpt(&path.file_name().unwrap_or_default().to_string_lossy(), 60);
    let cannot = |error: std::io::Error| format!("cannot read {name}: {error}");
    let mut bytes = vec![];
    std::fs::File::open(path).map_err(cannot)?.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(format!("{name} is larger than any credential")),
        false => Ok(bytes),
    }
}

/// What the command printed. Neither that nor its complaints are told.
async fn printed(program: &Program) -> Result<Vec<u8>, String> {
    let ended = program.run().await.map_err(|failed| failed.why(false))?;
    match ended.status.code() {
        Some(0) if ended.whole => Ok(ended.out),
        Some(0) => Err("it printed more than any credential is long".into()),
        Some(code) => Err(format!("exit {code}; what it said is not told, for it may be a secret")),
        None => Err(format!("ended by {}", signal(ended.status))),
    }
}

/// Until when that is good: what a pointer leads to, else what a certificate or a token says itself.
fn end(bytes: &[u8], expires: Option<&str>) -> Result<End, String> {
    if let Some(pointer) = expires {
        // Its errors name a place in the text and not the text.
        let json = json::read(bytes).map_err(|why| format!("it is not JSON: {why}"))?;
        let mut first: Option<SystemTime> = None;
        for (place, found) in json::all(&json, pointer) {
            let found = found?;
            if is_never(found) {
                continue;
            }
            let at = json::moment(found, None).map_err(|_| format!("no time at {}", excerpt(&place, 60)))?;
            first = Some(first.map_or(at, |first| first.min(at)));
        }
        return Ok(End { what: "the credential is", at: first });
    }
    if bytes.windows(11).any(|window| window == b"-----BEGIN ") {
        return certificate(bytes);
    }
    let token = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?.trim();
    let token = token.trim_start_matches("Bearer ");
    let shaped = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte));
    let mut parts = if shaped { token } else { "" }.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        let what = "neither a certificate nor a token that says its end: name `expires` where it is JSON";
        return Err(what.into());
    };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('='));
    let claims: Option<Value> = claims.ok().and_then(|claims| serde_json::from_slice(&claims).ok());
    let claims = claims.filter(Value::is_object);
    match claims.as_ref().map(|claims| claims.get("exp")) {
        Some(Some(exp)) if exp.is_number() => {
            let at = json::moment(exp, None).map_err(|_| "the token's end is no time".to_owned())?;
            Ok(End { what: "the token is", at: Some(at) })
        }
        Some(Some(_)) => Err("the token's end is no time".into()),
        // Who checks a token that names no end lets it pass for ever.
        Some(None) => Ok(End { what: "the token is", at: None }),
        None => Err("it looks like a token, but cannot be read".into()),
    }
}

/// What says that there is no end: nothing at all where it should stand, or the first moment that Go knows.
fn is_never(found: &Value) -> bool {
    found.is_null() || found.as_str().is_some_and(|text| text.trim().starts_with("0001-01-01T00:00:00"))
}

/// The first end in a chain, of what is not a key.
fn certificate(bytes: &[u8]) -> Result<End, String> {
    let mut first: Option<i64> = None;
    for pem in Pem::iter_from_buffer(bytes) {
        let pem = pem.map_err(|_| "it looks like a certificate, but cannot be read".to_owned())?;
        if pem.label == "CERTIFICATE" || pem.label == "TRUSTED CERTIFICATE" {
            let parsed = pem.parse_x509().map_err(|_| "it holds a certificate that cannot be read".to_owned())?;
            let validity = parsed.validity();
            let begins = validity.not_before.timestamp();
            if moment(begins).is_some_and(|begins| begins > SystemTime::now() + super::SKEW) {
                return Err("the certificate is not good yet".into());
            }
            let ends = validity.not_after.timestamp();
            first = Some(first.map_or(ends, |first| first.min(ends)));
        }
    }
    let first = first.ok_or("there is no certificate in it, only a key or a request")?;
    Ok(End { what: "the certificate is", at: Some(moment(first).ok_or("the certificate's end is no time")?) })
}

fn moment(seconds: i64) -> Option<SystemTime> {
    match u64::try_from(seconds) {
        Ok(seconds) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
        Err(_) => SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())),
    }
}

/// A key in the agent of whoever started the hub. How long an agent keeps a key (`ssh-add -t`) it tells nobody.
async fn held(wanted: &str) -> Result<End, (Status, String)> {
    let unknown = |error: agent::AgentError| {
        let sentence = error.to_string();
        (Status::Unknown, excerpt(sentence.lines().next().unwrap_or_default(), 160))
    };
    let socket = agent::socket().map_err(unknown)?;
    let held = agent::held(&socket).await.map_err(unknown)?;
    let mut matching: Vec<_> = held.iter().filter(|key| key.fingerprint == wanted || key.comment == wanted).collect();
    // A certificate says more than the key it is for, and is what a host that asks for one sees.
    if matching.iter().any(|key| key.certified.is_some()) {
        matching.retain(|key| key.certified.is_some());
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let good = matching.iter().filter(|key| key.certified.is_none_or(|(from, _)| from <= now));
    // The one that lasts longest: an expired one may lie beside its successor.
    let Some(key) = good.max_by_key(|key| key.certified.map_or(u64::MAX, |(_, to)| to)) else {
        let wanted = excerpt(wanted, 60);
        return Err(match (matching.is_empty(), held.is_empty()) {
            (_, true) => (Status::Fail, "the agent holds no key: add it with ssh-add".to_owned()),
            (true, false) => (Status::Fail, format!("the agent does not hold {wanted}: add it with ssh-add")),
            (false, _) => (Status::Fail, format!("the certificate of {wanted} is not good yet")),
        });
    };
    Ok(match key.certified {
        None => End { what: "the agent holds the key,", at: None },
        Some((_, u64::MAX)) => End { what: "the agent holds the key's certificate,", at: None },
        Some((_, to)) => {
            let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(to));
            End { what: "the key's certificate is", at }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Run, Template};

    const HOUR: Duration = Duration::from_secs(3600);

    fn jwt(claims: &str) -> String {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part("{\"alg\":\"HS256\"}"), part(claims), part("a signature"))
    }
    fn in_hours(hours: i64) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        now.checked_add_signed(hours * 3600).unwrap()
    }
    fn text_of(label: &str, der: &[u8]) -> String {
        let text = base64::prelude::BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }
    fn pem(from: i64, to: i64) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["secret.example.org".to_owned()]).unwrap();
        let day = |days: i64| {
            let day = jiff::Zoned::now().checked_add(jiff::Span::new().days(days)).unwrap().date();
            rcgen::date_time_ymd(
                day.year().into(),
                u8::try_from(day.month()).unwrap(),
                u8::try_from(day.day()).unwrap(),
            )
        };
        (params.not_before, params.not_after) = (day(from), day(to));
        text_of("CERTIFICATE", params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der())
    }
    fn told(text: &str, expires: Option<&str>) -> Reading {
        match end(text.as_bytes(), expires) {
            Ok(end) => judge(&end, HOUR, SystemTime::now()),
            Err(why) => Reading::unknown(why),
        }
    }

    #[test]
    fn a_credential_has_to_outlive_the_release() {
        let token = |hours| jwt(&format!("{{\"sub\":\"me\",\"exp\":{}}}", in_hours(hours)));
        let json = |hours: i64| {
            let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
            format!("{{\"data\": {{\"id\": \"s.sesame\", \"expire_time\": \"{at}\"}}}}")
        };
        for (text, expires, status, says) in [
            (token(5), None, Status::Ok, "the token is good for another 4:59:"),
            (format!("Bearer {}\n", token(5)), None, Status::Ok, "good for another"),
            (token(0), None, Status::Fail, "the token is expired"),
            (json(2), Some("/data/expire_time"), Status::Ok, "the credential is good for another 1:59:"),
            (json(-2), Some("/data/expire_time"), Status::Fail, "the credential is expired 2:00:"),
            (json(2), Some("/data/other"), Status::Unknown, "nothing at /data/other"),
            (json(2), Some("/data/id"), Status::Unknown, "no time at /data/id"),
            (json(2), None, Status::Unknown, "name `expires` where it is JSON"),
            (jwt("{\"sub\":\"sesame\"}"), None, Status::Ok, "the token is without an end"),
            (jwt("[\"sesame\"]"), None, Status::Unknown, "cannot be read"),
            ("{\"ttl\": 0, \"expire_time\": null}".into(), Some("/expire_time"), Status::Ok, "without an end"),
            ("{\"end\": \"0001-01-01T00:00:00Z\"}".into(), Some("/end"), Status::Ok, "without an end"),
            (format!("{{\"end\": \"{}\"}}", in_hours(2)), Some("/end"), Status::Ok, "good for another 1:59:"),
            (
                format!("{{\"keys\": [{}, {}]}}", in_hours(9), in_hours(-2)),
                Some("/keys/*"),
                Status::Fail,
                "expired 2:00:",
            ),
            (
                format!("{{\"keys\": [{}, \"sesame\"]}}", in_hours(9)),
                Some("/keys/*"),
                Status::Unknown,
                "no time at /keys/1",
            ),
            ("{\"keys\": []}".into(), Some("/keys/*"), Status::Unknown, "no item is there"),
            (jwt("{\"exp\":\"sesame\"}"), None, Status::Unknown, "no time"),
            (jwt("sesame"), None, Status::Unknown, "cannot be read"),
            (pem(-1, 30), None, Status::Ok, "the certificate is good for another"),
            (pem(-30, -1), None, Status::Fail, "the certificate is expired"),
            (pem(5, 30), None, Status::Unknown, "not good yet"),
            (format!("{}{}", pem(-1, 30), pem(-30, -1)), None, Status::Fail, "expired"),
            (pem(-1, 30).replace("MII", "MIJ"), None, Status::Unknown, "cannot be read"),
            (
                text_of("PRIVATE KEY", &rcgen::KeyPair::generate().unwrap().serialize_der()),
                None,
                Status::Unknown,
                "no certificate in it",
            ),
            ("sesame".to_owned(), None, Status::Unknown, "neither"),
            (String::new(), None, Status::Unknown, "neither"),
        ] {
            let reading = told(&text, expires);
            assert!(reading.status == status && reading.why.contains(says), "{text} {expires:?}: {reading:?}");
            assert!(!reading.why.contains("sesame") && !reading.why.contains("example.org"), "{reading:?}");
        }
        let left = told(&token(5), None);
        assert!(left.unit == "s" && left.value.is_some_and(|left| (17_900.0..=18_000.0).contains(&left)), "{left:?}");
        let soon = judge(&End { what: "x is", at: Some(SystemTime::now() + HOUR / 2) }, HOUR, SystemTime::now());
        assert!(soon.status == Status::Fail && soon.why.contains("1:00:00 are needed"), "{soon:?}");
    }

    #[tokio::test]
    async fn nothing_a_command_says_is_told() {
        for (script, says) in [
            ("echo sesame; echo sesame >&2; exit 3", "exit 3"),
            ("echo sesame >&2; sleep 30", "ended by force"),
            ("echo sesame", "neither"),
            ("kill -9 $$", "SIGKILL"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let source = CredentialSource::Command(Run::Shell(Template::new(script).unwrap()));
            let timeout = if script.contains("sleep") { Duration::from_millis(300) } else { Duration::from_secs(30) };
            let wanted = Wanted { source, expires: None, must_outlive: HOUR, timeout };
            let watch = WatchId::new("w").unwrap();
            let mut credential = Credential::new(&watch, &wanted, &Params::new(), folder.path()).unwrap();
            let reading = credential.read(HOUR).await;
            assert!(reading.status == Status::Unknown && reading.why.contains(says), "{script}: {reading:?}");
            assert!(!reading.why.contains("sesame"), "{reading:?}");
        }
    }
}

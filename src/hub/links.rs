//! Secrets of the links: one a principal, one for observers, and the certificate that all of them name; kept in a 0600 file
//! beside the transcript, so that links survive a restart of the hub. And the patience with those who try wrong ones.

use super::HubError;
use crate::hash::Hash;
use crate::identity::random_hex;
use crate::link::Link;
use crate::name::Principal;
use crate::plan::{Observers, Plan};
use crate::tls::Certificate;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

/// Failures to prove a secret or a key that one address may have in a minute; after them even a right one is refused until
/// the minute is over.
const TRIES_PER_MINUTE: u32 = 3;

/// What is kept in the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The session.
    pub session: String,
    /// The port the hub listened on last.
    pub port: u16,
    /// A secret for each principal of the plan.
    pub personal: BTreeMap<Principal, String>,
    /// The observers' secret, where the plan lets anyone watch.
    pub observer: Option<String>,
    /// The session's own certificate; none yet in files of hubs that spoke no TLS.
    #[serde(default)]
    pub certificate: Option<KeptCertificate>,
}

/// A certificate as it is kept: base64 of its DER, and of its key's (PKCS #8).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptCertificate {
    der: String,
    key: String,
}
impl std::fmt::Debug for KeptCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptCertificate({})", self.der)
    }
}

impl Kept {
    /// New secrets for everyone the plan names.
    pub fn make(session: &str, plan: &Plan) -> Result<Kept, crate::identity::KeyError> {
        let mut personal = BTreeMap::new();
        for principal in plan.principals() {
            personal.insert(principal.clone(), random_hex(16)?);
        }
        let observer = matches!(plan.crew.observer, Observers::Link).then(|| random_hex(16)).transpose()?;
        Ok(Kept { session: session.to_owned(), port: 0, personal, observer, certificate: None })
    }
    /// The session's own certificate (its SHA-256, and the hub's side of TLS with it), made where there is none yet. Who asked
    /// for it must [`save`](Self::save) before any link is shown.
    pub fn certificate(&mut self, path: &Path) -> Result<(Hash, TlsAcceptor), HubError> {
        let damaged = |why: String| HubError::LinksDamaged { path: path.to_owned(), why };
        if let Some(kept) = &self.certificate {
            let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(|error| damaged(error.to_string()));
            let kept = Certificate::from_der(bytes(&kept.der)?, bytes(&kept.key)?);
            let acceptor = kept.acceptor().map_err(|error| damaged(error.to_string()))?;
            return Ok((kept.fingerprint(), acceptor));
        }
        let made = Certificate::make()?;
        let (der, key) = made.to_der();
        self.certificate = Some(KeptCertificate { der: BASE64_STANDARD.encode(der), key: BASE64_STANDARD.encode(key) });
        Ok((made.fingerprint(), made.acceptor()?))
    }
    /// Reads the file; makes new secrets where there is none. A hub that stopped between the first line of a session and
    /// its links leaves none behind, and a session must not be lost for want of a secret: whoever joined before is known
    /// by their key, not by their link.
    pub fn load_or_make(path: &Path, session: &str, plan: &Plan) -> Result<Kept, HubError> {
        let damaged = |why: String| HubError::LinksDamaged { path: path.to_owned(), why };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::make(session, plan)?),
            Err(source) => return Err(HubError::Links { path: path.to_owned(), source }),
        };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        match kept.session == session {
            true => Ok(kept),
            false => Err(damaged(format!("they are for session {}", crate::name::shown(&kept.session)))),
        }
    }
    /// Replaces the file, readable by its owner alone.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        replace_private(path, &serde_json::to_vec_pretty(self).map_err(io::Error::other)?)
    }
    /// Everyone's link: principals first, `observer` last.
    pub fn links(&self, host: &str, certificate: Hash) -> BTreeMap<String, String> {
        let link = |principal: Option<&Principal>, token: &str| Link {
            host: host.to_owned(),
            port: self.port,
            session: self.session.clone(),
            certificate,
            token: token.to_owned(),
            principal: principal.cloned(),
        };
        let personal = self.personal.iter().map(|(who, token)| (who.to_string(), link(Some(who), token).to_string()));
        let observer = self.observer.iter().map(|token| ("observer".to_owned(), link(None, token).to_string()));
        personal.chain(observer).collect()
    }
}

/// Replaces a file in one step, so that a reader sees the old or the new one whole; 0600.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// Finds out whose secret it is.
pub struct Secrets {
    kept: Kept,
    tries: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Secrets {
    /// Guards these.
    pub fn new(kept: Kept) -> Self {
        Self { kept, tries: Mutex::default() }
    }

    /// Whose secret that is: `Some(None)` is the observers'. Every secret is compared in full and in constant time. `from` is
    /// a source, as `arrivals::source` has it.
    pub fn open(&self, token: &str, from: Option<IpAddr>) -> Option<Option<Principal>> {
        if self.is_shut_out(from) {
            return None;
        }
        let mut found = None;
        for (principal, secret) in &self.kept.personal {
            if same(secret, token) {
                found = Some(Some(principal.clone()));
            }
        }
        if self.kept.observer.as_ref().is_some_and(|secret| same(secret, token)) {
            found = Some(None);
        }
        if found.is_none() {
            self.failed(from);
        }
        found
    }

    /// Counts a failure of that source.
    pub fn failed(&self, from: Option<IpAddr>) {
        if let Some(from) = from {
            self.lock().entry(from).or_insert((Instant::now(), 0)).1 += 1;
        }
    }

    fn is_shut_out(&self, from: Option<IpAddr>) -> bool {
        let mut tries = self.lock();
        tries.retain(|_, (since, _)| since.elapsed() < Duration::from_secs(60));
        from.and_then(|from| tries.get(&from)).is_some_and(|(_, count)| *count >= TRIES_PER_MINUTE)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, (Instant, u32)>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guesser_is_shut_out_and_the_file_is_private() {
        let who = Principal::new("dana").unwrap();
        let kept = Kept {
            session: "s".into(),
            port: 1,
            personal: [(who.clone(), "a".repeat(32))].into(),
            observer: Some("b".repeat(32)),
            certificate: None,
        };
        let secrets = Secrets::new(kept.clone());
        let far = Some("192.0.2.1".parse().unwrap());
        let further = Some("192.0.2.2".parse().unwrap());
        assert_eq!(secrets.open(&"a".repeat(32), far), Some(Some(who.clone())));
        assert_eq!(secrets.open(&"b".repeat(32), far), Some(None));
        for _ in 0..2 {
            assert_eq!(secrets.open("wrong", far), None);
        }
        assert_eq!(secrets.open(&"a".repeat(32), far), Some(Some(who.clone())));
        secrets.failed(far); // a key that was not proved counts as well
        assert_eq!(secrets.open(&"a".repeat(32), far), None);
        assert_eq!(secrets.open(&"a".repeat(32), further), Some(Some(who.clone())));
        for _ in 0..100 {
            assert_eq!(secrets.open("wrong", None), None);
        }
        assert_eq!(secrets.open(&"a".repeat(32), None), Some(Some(who)));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.links");
        kept.save(&path).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap()) & 0o777, 0o600);
        let plan = crate::plan::Plan::parse("p", &crate::plan::sample("purge", "Release").unwrap()).unwrap();
        assert_eq!(Kept::load_or_make(&path, "s", &plan).unwrap().personal, kept.personal);
        assert!(
            Kept::load_or_make(&path, "t", &plan).is_err_and(|error| error.to_string().contains("hint: move it away"))
        );
        // Of a hub that spoke no TLS: a certificate is made, and then it is the same for ever.
        let mut kept = Kept::load_or_make(&path, "s", &plan).unwrap();
        let certificate = kept.certificate(&path).unwrap().0;
        kept.save(&path).unwrap();
        assert_eq!(Kept::load_or_make(&path, "s", &plan).unwrap().certificate(&path).unwrap().0, certificate);
        for der in ["%", "AAAA"] {
            kept.certificate = Some(KeptCertificate { der: der.into(), key: String::new() });
            let error = kept.certificate(&path).err().unwrap().to_string();
            assert!(error.contains("hint: move it away"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        let made = Kept::load_or_make(&path, "s", &plan).unwrap();
        assert!(made.personal.len() >= 2 && made.session == "s");
    }
}

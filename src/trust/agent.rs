//! A running `ssh-agent`: which keys it holds, and signatures by them. Of the agent's protocol no more than these two.

use super::blob::{put, take};
use super::key::PublicKey;
use crate::hash::Hash;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN: u8 = 13;
const SIGNED: u8 = 14;
/// Asks an RSA key for rsa-sha2-512.
const RSA_SHA2_512: u32 = 4;
/// The longest answer that is read: an agent holds a few dozen keys.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// How long an agent may take: it may ask its person, or wait for a security key to be touched.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why an agent did not do it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum AgentError {
    #[error(
        "no ssh-agent runs (SSH_AUTH_SOCK is not set)\nhint: eval $(ssh-agent), then ssh-add; or name a key with --key FILE"
    )]
    None,
    #[error("the ssh-agent at {path} cannot be reached: {source}\nhint: is SSH_AUTH_SOCK left over from another login?", path = path.display())]
    Unreachable { path: PathBuf, source: io::Error },
    #[error("the ssh-agent gave no answer within {} s; was a key waiting to be touched, or a question to be confirmed?", PATIENCE.as_secs())]
    Silent,
    #[error(
        "the ssh-agent's answer cannot be read\nhint: does SSH_AUTH_SOCK name an ssh-agent? ssh-add -l asks it too"
    )]
    Garbled,
    #[error(
        "the ssh-agent does not hold the key {key} any more\nhint: add it again with ssh-add, or unlock the agent with ssh-add -X"
    )]
    Gone { key: String },
    #[error(
        "the ssh-agent refused to sign\nhint: a key added for certain hosts only (ssh-add -h) refuses this: add it without -h; or the question was declined, or the key not touched"
    )]
    Refused,
}

/// A key that an agent holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The key.
    pub key: PublicKey,
    /// What its owner calls it.
    pub comment: String,
}

/// The socket of this person's agent.
pub fn socket() -> Result<PathBuf, AgentError> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from).ok_or(AgentError::None)
}

/// Keys that the agent holds; those of types that are not in this version are left out.
pub async fn identities(socket: &Path) -> Result<Vec<Identity>, AgentError> {
    let answer = ask(socket, &[REQUEST_IDENTITIES]).await?;
    read_identities(&answer).ok_or(AgentError::Garbled)
}

/// The keys in such an answer, its length taken off. None where it is anything else, or not whole.
pub fn read_identities(answer: &[u8]) -> Option<Vec<Identity>> {
    let (kind, rest) = answer.split_first()?;
    let (count, mut rest) = rest.split_first_chunk::<4>().filter(|_| *kind == IDENTITIES)?;
    let mut found = vec![];
    for _ in 0..u32::from_be_bytes(*count) {
        let (blob, comment) = (take(&mut rest)?, take(&mut rest)?);
        if let Ok(key) = PublicKey::from_blob(blob) {
            let comment = crate::name::shown(&String::from_utf8_lossy(comment));
            found.push(Identity { key, comment: comment.chars().take(64).collect() });
        }
    }
    rest.is_empty().then_some(found)
}

/// A key or certificate that an agent holds, of whatever type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// As `ssh-add -l` prints it: of the key itself where this is a certificate.
    pub fingerprint: String,
    /// What its owner calls it.
    pub comment: String,
    /// From when to when it is good, in seconds since 1970, where it is a certificate. Such an end may be past all years.
    pub certified: Option<(u64, u64)>,
}

/// Everything that the agent holds, also what cannot sign here.
pub async fn held(socket: &Path) -> Result<Vec<Held>, AgentError> {
    let answer = ask(socket, &[REQUEST_IDENTITIES]).await?;
    read_held(&answer).ok_or(AgentError::Garbled)
}

fn read_held(answer: &[u8]) -> Option<Vec<Held>> {
    let (kind, rest) = answer.split_first()?;
    let (count, mut rest) = rest.split_first_chunk::<4>().filter(|_| *kind == IDENTITIES)?;
    let mut found = vec![];
    for _ in 0..u32::from_be_bytes(*count) {
        let (blob, comment) = (take(&mut rest)?, take(&mut rest)?);
        let (key, certified) = match certificate(blob) {
            Some((key, from, to)) => (Hash::of(&key), Some((from, to))),
            None => (Hash::of(blob), None),
        };
        let comment = crate::name::shown(&String::from_utf8_lossy(comment));
        let fingerprint = format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(key.bytes()));
        found.push(Held { fingerprint, comment: comment.chars().take(64).collect(), certified });
    }
    rest.is_empty().then_some(found)
}

/// The key that a certificate is for, as a blob of its own, and from when to when it is good (OpenSSH's PROTOCOL.certkeys).
/// Nothing where these bytes are no certificate.
fn certificate(blob: &[u8]) -> Option<(Vec<u8>, u64, u64)> {
    /// Kinds of keys, and how many fields follow the type word.
    const FIELDS: &[(&str, usize)] = &[
        ("ssh-ed25519", 1),
        ("ecdsa-sha2-nistp256", 2),
        ("ecdsa-sha2-nistp384", 2),
        ("ecdsa-sha2-nistp521", 2),
        ("ssh-rsa", 2),
        ("sk-ssh-ed25519", 2),
        ("sk-ecdsa-sha2-nistp256", 3),
    ];
    let mut rest = blob;
    let name = std::str::from_utf8(take(&mut rest)?).ok()?.strip_suffix("-cert-v01@openssh.com")?;
    let (kind, fields) = FIELDS.iter().find(|(kind, _)| *kind == name)?;
    let _nonce = take(&mut rest)?;
    let mut key = vec![];
    let suffix = if kind.starts_with("sk-") { "@openssh.com" } else { "" };
    put(&mut key, format!("{kind}{suffix}").as_bytes());
    for _ in 0..*fields {
        put(&mut key, take(&mut rest)?);
    }
    let (_serial, after) = rest.split_first_chunk::<8>()?;
    let (_for_hosts_or_people, after) = after.split_first_chunk::<4>()?;
    rest = after;
    let (_id, _principals) = (take(&mut rest)?, take(&mut rest)?);
    let (from, after) = rest.split_first_chunk::<8>()?;
    let (to, _) = after.split_first_chunk::<8>()?;
    Some((key, u64::from_be_bytes(*from), u64::from_be_bytes(*to)))
}

/// The signature of `data` by that key: its type and bytes, each with its length, as a signature holds it.
pub async fn sign(socket: &Path, key: &PublicKey, data: &[u8]) -> Result<Vec<u8>, AgentError> {
    let mut request = vec![SIGN];
    put(&mut request, key.blob());
    put(&mut request, data);
    let flags = if key.kind() == "ssh-rsa" { RSA_SHA2_512 } else { 0 };
    request.extend(flags.to_be_bytes());
    let answer = ask(socket, &request).await?;
    match answer.split_first() {
        Some((&SIGNED, _)) => {
            let signature = read_signature(&answer);
            signature.ok_or(AgentError::Garbled)
        }
        Some((&FAILURE, _)) => {
            // The protocol gives no reason. Whether it still holds the key can be asked.
            let holds = identities(socket).await?.iter().any(|identity| identity.key == *key);
            Err(if holds { AgentError::Refused } else { AgentError::Gone { key: key.fingerprint() } })
        }
        _ => Err(AgentError::Garbled),
    }
}

/// The signature in such an answer, its length taken off. None where it is anything else, or not whole.
pub fn read_signature(answer: &[u8]) -> Option<Vec<u8>> {
    let (_, mut rest) = answer.split_first().filter(|(kind, _)| **kind == SIGNED)?;
    let signature = take(&mut rest)?;
    rest.is_empty().then(|| signature.to_vec())
}

async fn ask(socket: &Path, request: &[u8]) -> Result<Vec<u8>, AgentError> {
    let failed = |source| AgentError::Unreachable { path: socket.to_owned(), source };
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await.map_err(failed)?;
        let mut frame = vec![];
        put(&mut frame, request);
        stream.write_all(&frame).await.map_err(failed)?;
        let length = stream.read_u32().await.map_err(failed)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= ANSWER_BYTES_MAX);
        let mut answer = vec![0; length.ok_or(AgentError::Garbled)?];
        stream.read_exact(&mut answer).await.map_err(failed)?;
        Ok(answer)
    };
    timeout(PATIENCE, exchange).await.map_err(|_| AgentError::Silent)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let key = PublicKey::ed25519(&[3; 32]);
        let mut answer = vec![IDENTITIES];
        answer.extend(2_u32.to_be_bytes());
        for (blob, comment) in [(key.blob(), "me\x1b[31m"), (b"\0\0\0\x04what", "from the future")] {
            put(&mut answer, blob);
            put(&mut answer, comment.as_bytes());
        }
        let found = read_identities(&answer).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].key == key && !found[0].comment.contains('\x1b'));
        for cut in 0..answer.len() {
            assert_eq!(read_identities(&answer[..cut]), None, "cut at {cut}");
        }
        answer.push(0);
        assert_eq!(read_identities(&answer), None);
        assert_eq!(read_identities(&[5]), None);
        // More keys announced than there are bytes: no memory is taken for them.
        let many = [&[IDENTITIES], u32::MAX.to_be_bytes().as_slice()].concat();
        assert_eq!(read_identities(&many), None);
    }

    /// An agent that gives these answers, one a connection.
    fn agent(answers: Vec<Vec<u8>>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; stream.read_u32().await.unwrap() as usize];
                stream.read_exact(&mut request).await.unwrap();
                let _ = stream.write_all(&answer).await;
            }
        });
        (folder, socket)
    }
    fn frame(message: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        put(&mut out, message);
        out
    }

    #[tokio::test]
    async fn a_refusal_is_told_from_a_key_that_is_gone() {
        let key = PublicKey::ed25519(&[3; 32]);
        let mut holds = vec![IDENTITIES, 0, 0, 0, 1];
        put(&mut holds, key.blob());
        put(&mut holds, b"");
        for (then, expected) in [(holds, "without -h"), (vec![IDENTITIES, 0, 0, 0, 0], "ssh-add -X")] {
            let (_folder, socket) = agent(vec![frame(&[FAILURE]), frame(&then)]);
            let told = sign(&socket, &key, b"m").await.unwrap_err().to_string();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[tokio::test]
    async fn whatever_answers_is_survived() {
        let key = PublicKey::ed25519(&[3; 32]);
        for answer in [
            u32::MAX.to_be_bytes().to_vec(),
            (u32::try_from(ANSWER_BYTES_MAX).unwrap() + 1).to_be_bytes().to_vec(),
            frame(&[]),
            frame(&[SIGNED]),
            frame(&[SIGNED, 0, 0, 0, 9, 1]),
            frame(&[SIGNED, 0, 0, 0, 1, 1, 1]),
            frame(&[IDENTITIES, 0, 0, 0, 0]),
        ] {
            let (_folder, socket) = agent(vec![answer.clone()]);
            assert!(matches!(sign(&socket, &key, b"m").await, Err(AgentError::Garbled)), "{answer:?}");
        }
        for answer in [vec![], vec![0, 0], vec![0, 0, 0, 9, SIGNED]] {
            let (_folder, socket) = agent(vec![answer.clone()]);
            assert!(matches!(sign(&socket, &key, b"m").await, Err(AgentError::Unreachable { .. })), "{answer:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_touch_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let _silent = tokio::net::UnixListener::bind(&socket).unwrap();
        let begun = tokio::time::Instant::now();
        let told = sign(&socket, &PublicKey::ed25519(&[3; 32]), b"m").await;
        assert!(matches!(told, Err(AgentError::Silent)), "{told:?}");
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < PATIENCE * 2);
    }
}

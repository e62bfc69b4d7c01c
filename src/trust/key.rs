//! Public keys that this program can check signatures of, written and read as OpenSSH does.

use super::blob;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Bits that an RSA key has: fewer can be factored, and a signature by more is one that `ring` does not check.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// A public key in the one form in which OpenSSH writes it: equal keys have equal bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(Arc<[u8]>);

/// Why a text or some bytes are no such key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyTextError(String);

impl PublicKey {
    /// From the 32 bytes of an Ed25519 key.
    pub fn ed25519(raw: &[u8; 32]) -> PublicKey {
        let kind = "ssh-ed25519";
        let mut bytes = vec![];
        blob::put(&mut bytes, kind.as_bytes());
        blob::put(&mut bytes, raw);
        PublicKey(bytes.into())
    }

    /// From its blob, as agents and signatures hold it.
    pub fn from_blob(bytes: &[u8]) -> Result<PublicKey, KeyTextError> {
        let mut rest = bytes;
        let kind = blob::take(&mut rest).and_then(|kind| std::str::from_utf8(kind).ok()).unwrap_or_default();
        PublicKey::read(kind, &BASE64_STANDARD.encode(bytes))
    }

    fn read(kind: &str, base64: &str) -> Result<PublicKey, KeyTextError> {
        let no = |why: String| Err(KeyTextError(why));
        if kind == "ecdsa-sha2-nistp521" {
            return no("keys on the curve P-521 are not in this version; use Ed25519, P-256 or P-384".to_owned());
        }
        if kind.contains("-cert-v0") {
            return no("certificates are not in this version; use the key that the certificate is for".to_owned());
        }
        let bytes = blob::decode(kind, base64).map_err(|(what, hint)| KeyTextError(format!("{what}; {hint}")))?;
        let key = PublicKey(bytes.into());
        if kind == "ssh-rsa" {
            let bits = key.fields().nth(2).map_or(0, bits);
            if !RSA_BITS.contains(&bits) {
                let (least, most) = RSA_BITS.into_inner();
                return no(format!(
                    "this RSA key has {bits} bits, and {least} to {most} are taken; make one with `ssh-keygen -t ed25519`"
                ));
            }
        }
        Ok(key)
    }

    /// The bytes that a fingerprint is of.
    pub fn blob(&self) -> &[u8] {
        &self.0
    }
    /// Its type, as OpenSSH names it: `ssh-ed25519`, `ecdsa-sha2-nistp256`, …
    pub fn kind(&self) -> &str {
        self.fields().next().and_then(|kind| std::str::from_utf8(kind).ok()).unwrap_or_default() // its first field
    }
    /// Whether its private half is in a security key.
    pub fn is_security_key(&self) -> bool {
        self.kind().starts_with("sk-")
    }
    /// As `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        blob::fingerprint(&self.0)
    }
    /// The type word and what follows it.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || blob::take(&mut rest))
    }
}

/// Bits of a positive number in its shortest form.
fn bits(number: &[u8]) -> usize {
    let number = number.strip_prefix(&[0]).unwrap_or(number);
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), BASE64_STANDARD.encode(&self.0))
    }
}
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.fingerprint())
    }
}
impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}
impl TryFrom<String> for PublicKey {
    type Error = KeyTextError;
    /// What a program wrote, and so without a comment or anything else beside it.
    fn try_from(text: String) -> Result<Self, KeyTextError> {
        let key: PublicKey = text.parse()?;
        if key.to_string() == text { Ok(key) } else { Err(KeyTextError("something stands beside the key".to_owned())) }
    }
}
impl std::str::FromStr for PublicKey {
    type Err = KeyTextError;
    /// `TYPE BASE64`, and a comment that is dropped: a line of a `.pub` file.
    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        if text.trim_ascii().contains(['\n', '\r']) {
            return Err(KeyTextError("a key is one line: its type, a blank, its base64 text".to_owned()));
        }
        let mut words = text.split_ascii_whitespace();
        let (kind, base64) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        PublicKey::read(kind, base64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_form_and_says_what_is_wrong_with_others() {
        let key = PublicKey::ed25519(&[7; 32]);
        assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
        assert_eq!(PublicKey::from_blob(key.blob()).unwrap(), key);
        assert_eq!(format!("{key} me@here").parse::<PublicKey>().unwrap(), key);
        assert!(!key.is_security_key() && key.kind() == "ssh-ed25519");
        let mut longer = key.blob().to_vec();
        longer.push(0);
        assert!(PublicKey::from_blob(&longer).is_err());
        assert!(PublicKey::from_blob(&longer[..20]).is_err());
        for (bad, why) in [
            ("ssh-dss AAAA", "not read"),
            ("ecdsa-sha2-nistp521 AAAA", "P-521"),
            ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificates"),
            ("ssh-ed25519 AAAA", "not one of type"),
            ("", "no key"),
        ] {
            assert!(bad.parse::<PublicKey>().unwrap_err().to_string().contains(why), "{bad}");
        }
        assert_eq!(format!(" {key}\tme@here\r\n").parse::<PublicKey>().unwrap(), key);
        assert!(format!("{key}\n{key}").parse::<PublicKey>().unwrap_err().to_string().contains("one line"));
        assert!(PublicKey::try_from(format!("{key} me@here")).is_err(), "a program writes no comment");
    }

    #[test]
    fn rsa_keys_have_a_size_that_can_be_checked() {
        let rsa = |bits: usize| {
            let mut number = vec![0x80_u8 >> ((8 - bits % 8) % 8)];
            number.resize(bits.div_ceil(8), 1);
            let zero: &[u8] = if number[0] == 0x80 { &[0] } else { &[] };
            let mut out = vec![];
            blob::put(&mut out, b"ssh-rsa");
            blob::put(&mut out, &[1, 0, 1]);
            blob::put(&mut out, &[zero, &number].concat());
            PublicKey::from_blob(&out)
        };
        for bits in [2048, 2049, 3072, 4096, 8192] {
            assert_eq!(rsa(bits).unwrap().kind(), "ssh-rsa");
        }
        for bits in [1024, 2047, 8193, 16384] {
            assert!(rsa(bits).unwrap_err().to_string().contains(&format!("has {bits} bits")), "{bits}");
        }
    }
}

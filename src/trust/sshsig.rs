//! SSHSIG, the signatures of `ssh-keygen -Y sign`: written, and checked with what `ring` knows of keys.
//!
//! Stricter than ssh-keygen where that accepts several forms of one thing: the armor must be exactly the one that it writes
//! itself, with nothing before and behind it.

use super::blob::{put, take};
use super::key::PublicKey;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use sha2::{Digest as _, Sha256, Sha512};

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----\n";
/// Characters of a line of armor, as ssh-keygen breaks it.
const WIDTH: usize = 70;
/// The longest armor that is looked at: a signature by the largest RSA key takes a twentieth of it.
pub const ARMOR_BYTES_MAX: usize = 64 * 1024;

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum SigError {
    #[error("the signature is not armored as ssh-keygen does it")]
    Armor,
    #[error("the signature is cut short, or holds more than it should")]
    Form,
    #[error("the signature's key cannot be used: {0}")]
    Key(String),
    #[error("the signature was made for {found:?}, not for {expected:?}")]
    Namespace { expected: String, found: String },
    #[error("the signature uses {0:?}, which is not taken")]
    Algorithm(String),
    #[error("the signature is not one of this text by this key")]
    Wrong,
}

/// A signature that holds: by whom, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The key.
    pub key: PublicKey,
    /// What a security key says of the person; none for other keys.
    pub touch: Option<Touch>,
}

/// What a security key says of the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// Somebody touched it.
    pub present: bool,
    /// It made sure who, by a PIN or a finger.
    pub verified: bool,
    /// How often it has signed.
    pub counter: u32,
}

impl Signed {
    /// Whether a security key was touched for it. Neither ssh-keygen nor a plain check of the signature asks for that.
    pub fn touched(&self) -> bool {
        self.touch.is_some_and(|touch| touch.present)
    }
}

/// What a key signs: the text's hash, and what the signature is for.
pub fn signed_data(namespace: &str, message: &[u8]) -> Vec<u8> {
    data(namespace, "sha512", &Sha512::digest(message))
}

fn data(namespace: &str, hash: &str, digest: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for field in [namespace.as_bytes(), b"", hash.as_bytes(), digest] {
        put(&mut out, field);
    }
    out
}

/// The armor around a signature as an agent gives it (its type and bytes, each with its length) of [`signed_data`].
pub fn armor(key: &PublicKey, namespace: &str, signature: &[u8]) -> String {
    let mut blob = MAGIC.to_vec();
    blob.extend(VERSION.to_be_bytes());
    for field in [key.blob(), namespace.as_bytes(), b"", b"sha512", signature] {
        put(&mut blob, field);
    }
    armored(&blob)
}

/// The same around the 64 bytes of an Ed25519 signature.
pub fn armor_ed25519(key: &PublicKey, namespace: &str, raw: &[u8]) -> String {
    let mut signature = vec![];
    put(&mut signature, b"ssh-ed25519");
    put(&mut signature, raw);
    armor(key, namespace, &signature)
}

fn armored(blob: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(blob);
    let mut out = BEGIN.to_owned();
    for line in text.as_bytes().chunks(WIDTH) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out + END
}

fn unarmored(text: &str) -> Result<Vec<u8>, SigError> {
    if text.len() > ARMOR_BYTES_MAX {
        return Err(SigError::Armor);
    }
    let body = text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(SigError::Armor)?;
    let blob = BASE64_STANDARD.decode(body.replace('\n', "")).map_err(|_| SigError::Armor)?;
    if armored(&blob) == text { Ok(blob) } else { Err(SigError::Armor) }
}

/// Whether that armor is a signature of that text, made for that namespace; and by whom. Whether the signer may sign is
/// another question.
pub fn verify(armor: &str, namespace: &str, message: &[u8]) -> Result<Signed, SigError> {
    let blob = unarmored(armor)?;
    let mut rest =
        blob.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&VERSION.to_be_bytes())).ok_or(SigError::Form)?;
    let mut field = || take(&mut rest).ok_or(SigError::Form);
    let (key, found, reserved, hash, signature) = (field()?, field()?, field()?, field()?, field()?);
    if !rest.is_empty() || !reserved.is_empty() {
        return Err(SigError::Form);
    }
    let key = PublicKey::from_blob(key).map_err(|error| SigError::Key(error.to_string()))?;
    if found != namespace.as_bytes() {
        let found = crate::name::shown(&String::from_utf8_lossy(&found[..found.len().min(80)]));
        return Err(SigError::Namespace { expected: namespace.to_owned(), found });
    }
    let data = match hash {
        b"sha512" => data(namespace, "sha512", &Sha512::digest(message)),
        b"sha256" => data(namespace, "sha256", &Sha256::digest(message)),
        other => return Err(algorithm(other)),
    };
    let touch = check(&key, signature, &data)?;
    Ok(Signed { key, touch })
}

fn algorithm(name: &[u8]) -> SigError {
    SigError::Algorithm(crate::name::shown(&String::from_utf8_lossy(&name[..name.len().min(80)])))
}

/// Checks the signature itself: its type, its bytes, and what a security key adds.
fn check(key: &PublicKey, signature: &[u8], data: &[u8]) -> Result<Option<Touch>, SigError> {
    let mut rest = signature;
    let mut field = || take(&mut rest).ok_or(SigError::Form);
    let (kind, raw) = (field()?, field()?);
    let fields: Vec<&[u8]> = key.fields().collect();
    let rsa = key.kind() == "ssh-rsa";
    if !rsa && kind != key.kind().as_bytes() {
        return Err(algorithm(kind));
    }
    let touch = match (key.is_security_key(), rest) {
        (false, []) => None,
        (true, [flags, a, b, c, d]) => Some(Touch {
            present: flags & 0x01 != 0,
            verified: flags & 0x04 != 0,
            counter: u32::from_be_bytes([*a, *b, *c, *d]),
        }),
        _ => return Err(SigError::Form),
    };
    // A security key signs this around what it is given.
    let around = |application: &[u8]| {
        let mut out = Sha256::digest(application).to_vec();
        out.extend(rest);
        out.extend(Sha256::digest(data));
        out
    };
    let wrong = |_| SigError::Wrong;
    match (key.kind(), fields.as_slice()) {
        ("ssh-ed25519", [_, public]) => plain(&signature::ED25519, public, data, raw)?,
        ("sk-ssh-ed25519@openssh.com", [_, public, application]) => {
            plain(&signature::ED25519, public, &around(application), raw)?;
        }
        ("ecdsa-sha2-nistp256", [_, _, public]) => {
            plain(&signature::ECDSA_P256_SHA256_FIXED, public, data, &fixed(raw, 32)?)?;
        }
        ("ecdsa-sha2-nistp384", [_, _, public]) => {
            plain(&signature::ECDSA_P384_SHA384_FIXED, public, data, &fixed(raw, 48)?)?;
        }
        ("sk-ecdsa-sha2-nistp256@openssh.com", [_, _, public, application]) => {
            plain(&signature::ECDSA_P256_SHA256_FIXED, public, &around(application), &fixed(raw, 32)?)?;
        }
        ("ssh-rsa", [_, e, n]) => {
            let (n, e) = (n.strip_prefix(&[0]).unwrap_or(n), e.strip_prefix(&[0]).unwrap_or(e));
            // A signature that begins with zero bytes may come without them.
            let mut padded = vec![0; n.len().checked_sub(raw.len()).ok_or(SigError::Wrong)?];
            padded.extend(raw);
            let algorithm_of_it = match kind {
                b"rsa-sha2-512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                b"rsa-sha2-256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                other => return Err(algorithm(other)),
            };
            RsaPublicKeyComponents { n, e }.verify(algorithm_of_it, data, &padded).map_err(wrong)?;
        }
        _ => return Err(SigError::Key(format!("keys of type {} are not in this version", key.kind()))),
    }
    Ok(touch)
}

fn plain(
    algorithm: &'static dyn VerificationAlgorithm,
    public: &[u8],
    data: &[u8],
    raw: &[u8],
) -> Result<(), SigError> {
    UnparsedPublicKey::new(algorithm, public).verify(data, raw).map_err(|_| SigError::Wrong)
}

/// Two numbers in their shortest form, as `length` bytes each.
fn fixed(raw: &[u8], length: usize) -> Result<Vec<u8>, SigError> {
    let mut rest = raw;
    let mut out = vec![];
    for _ in 0..2 {
        let number = take(&mut rest).ok_or(SigError::Form)?;
        let shortest = match number {
            [0, second, ..] => *second >= 0x80,
            [first, ..] => (1..0x80).contains(first),
            [] => false,
        };
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        if !shortest || number.len() > length {
            return Err(SigError::Form);
        }
        out.resize(out.len() + length - number.len(), 0);
        out.extend(number);
    }
    if rest.is_empty() { Ok(out) } else { Err(SigError::Form) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Key;

    #[test]
    fn a_signature_holds_for_one_text_one_purpose_and_in_one_form() {
        let key = Key::fresh().unwrap();
        let good = key.sign_sshsig("crosscheck-approve", b"text\n");
        assert_eq!(verify(&good, "crosscheck-approve", b"text\n").unwrap().key, *key.public());
        assert!(!verify(&good, "crosscheck-approve", b"text\n").unwrap().touched());
        assert_eq!(verify(&good, "crosscheck-approve", b"text"), Err(SigError::Wrong));
        assert!(matches!(verify(&good, "crosscheck-close", b"text\n"), Err(SigError::Namespace { .. })));
        for bad in [
            String::new(),
            format!("x{good}"),
            format!("{good}x"),
            format!("{good}\n"),
            good.trim_end().to_owned(),
            good.replace('\n', "\r\n"),
            good.replacen("\n", "\n\n", 2),
            "A".repeat(ARMOR_BYTES_MAX + 1),
        ] {
            assert_eq!(verify(&bad, "crosscheck-approve", b"text\n"), Err(SigError::Armor), "{bad:.60}");
        }
        let blob = unarmored(&good).unwrap();
        for cut in 0..blob.len() {
            assert!(verify(&armored(&blob[..cut]), "crosscheck-approve", b"text\n").is_err(), "cut at {cut}");
        }
        let longer = [blob.as_slice(), &[0]].concat();
        assert_eq!(verify(&armored(&longer), "crosscheck-approve", b"text\n"), Err(SigError::Form));
        for at in 0..blob.len() {
            let mut flipped = blob.clone();
            flipped[at] ^= 1;
            assert!(verify(&armored(&flipped), "crosscheck-approve", b"text\n").is_err(), "byte {at} flipped");
        }
    }

    const NAMESPACE: &str = include_str!("../../tests/data/openssh/namespace");
    const MESSAGE: &[u8] = include_bytes!("../../tests/data/openssh/signed-data");

    #[test]
    fn openssh_s_own_signatures_of_security_keys_hold_and_no_bit_of_them_may_turn() {
        for (key, good) in [
            (
                include_str!("../../tests/data/openssh/ed25519_sk.pub"),
                include_str!("../../tests/data/openssh/ed25519_sk.sig"),
            ),
            (
                include_str!("../../tests/data/openssh/ecdsa_sk.pub"),
                include_str!("../../tests/data/openssh/ecdsa_sk.sig"),
            ),
        ] {
            let signed = verify(good, NAMESPACE, MESSAGE).unwrap();
            assert_eq!(signed.key, key.parse().unwrap());
            assert_eq!(signed.touch, Some(Touch { present: true, verified: false, counter: 0x1234_5678 }));
            assert_eq!(verify(good, NAMESPACE, b"other"), Err(SigError::Wrong));
            let blob = unarmored(good).unwrap();
            for bit in 0..blob.len() * 8 {
                let mut turned = blob.clone();
                turned[bit / 8] ^= 1 << (bit % 8);
                assert!(verify(&armored(&turned), NAMESPACE, MESSAGE).is_err(), "bit {bit}");
            }
        }
        let browser = include_str!("../../tests/data/openssh/ecdsa_sk_webauthn.sig");
        let told = verify(browser, NAMESPACE, MESSAGE).unwrap_err().to_string();
        assert!(told.contains("webauthn-sk-ecdsa"), "{told}");
    }

    #[test]
    fn a_security_key_s_flags_are_signed_and_reported() {
        use ring::signature::{Ed25519KeyPair, KeyPair as _};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let kind = b"sk-ssh-ed25519@openssh.com";
        let mut blob = vec![];
        for field in [kind.as_slice(), pair.public_key().as_ref(), b"ssh:"] {
            put(&mut blob, field);
        }
        let key = PublicKey::from_blob(&blob).unwrap();
        let sign = |signed: u8, said: u8| {
            let data = Sha256::digest(signed_data("n", b"m"));
            let around = [Sha256::digest(b"ssh:").as_slice(), &[signed, 0, 0, 0, 9], &data].concat();
            let mut signature = vec![];
            put(&mut signature, kind);
            put(&mut signature, pair.sign(&around).as_ref());
            signature.extend([said, 0, 0, 0, 9]);
            verify(&armor(&key, "n", &signature), "n", b"m")
        };
        for (flags, present, verified) in [(0, false, false), (1, true, false), (4, false, true), (5, true, true)] {
            let signed = sign(flags, flags).unwrap();
            assert_eq!(signed.touch, Some(Touch { present, verified, counter: 9 }));
            assert_eq!(signed.touched(), present);
        }
        assert_eq!(sign(0, 1), Err(SigError::Wrong));
    }

    #[test]
    fn a_field_with_another_value_is_refused() {
        let key = Key::fresh().unwrap();
        let (public, good) = (key.public(), key.sign_sshsig("n", b"m"));
        let blob = unarmored(&good).unwrap();
        let mut rest = &blob[10..];
        let fields: Vec<&[u8]> = std::iter::from_fn(|| take(&mut rest)).collect();
        let with = |version: u32, at: usize, field: &[u8]| {
            let mut out = [MAGIC, &version.to_be_bytes()].concat();
            for (number, old) in fields.iter().enumerate() {
                put(&mut out, if number == at { field } else { old });
            }
            verify(&armored(&out), "n", b"m")
        };
        assert!(with(1, 0, public.blob()).is_ok());
        assert_eq!(with(0, 0, public.blob()), Err(SigError::Form));
        assert_eq!(with(2, 0, public.blob()), Err(SigError::Form));
        assert_eq!(with(1, 0, Key::fresh().unwrap().public().blob()), Err(SigError::Wrong));
        for namespace in [&b""[..], b"N", b"n ", b"n\0", b"nn"] {
            assert!(matches!(with(1, 1, namespace), Err(SigError::Namespace { .. })), "{namespace:?}");
        }
        assert_eq!(with(1, 2, b"x"), Err(SigError::Form));
        for hash in [&b"sha1"[..], b"SHA512", b"", b"md5\x1b[m"] {
            let told = with(1, 3, hash).unwrap_err();
            assert!(matches!(&told, SigError::Algorithm(name) if !name.contains('\x1b')), "{told}");
        }
        assert_eq!(with(1, 3, b"sha256"), Err(SigError::Wrong), "the hash is signed");
        let mut other = vec![];
        put(&mut other, b"rsa-sha2-512");
        put(&mut other, &[1; 64]);
        assert!(matches!(with(1, 4, &other), Err(SigError::Algorithm(_))));
        assert_eq!(with(1, 4, b""), Err(SigError::Form));
        assert_eq!(with(1, 4, &[fields[4], &[0]].concat()), Err(SigError::Form));
    }
}

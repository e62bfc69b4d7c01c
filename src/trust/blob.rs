//! A public key as a blob: a type word and its fields, each with its length before it (RFC 4253, section 6.6).
//!
//! Only the one form that OpenSSH itself writes is read. Another form of the same key would be another blob, and one key
//! could stand under two names unnoticed.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

/// One field of a key.
enum Field {
    /// So many bytes.
    Bytes(usize),
    /// Exactly that text.
    Word(&'static str),
    /// A point on a curve, so many bytes, uncompressed.
    Point(usize),
    /// A positive number in its shortest form.
    Number,
    /// What a security key is registered for.
    Application,
}

/// The next field of something that travels so: its length, then its bytes.
pub(super) fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (field, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    Some(field)
}

/// Appends a field.
pub(super) fn put(out: &mut Vec<u8>, field: &[u8]) {
    out.extend(u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes()); // nothing here comes near 4 GiB
    out.extend(field);
}

/// Every type that is read, and what follows the type word.
const TYPES: &[(&str, &[Field])] = &[
    ("ssh-ed25519", &[Field::Bytes(32)]),
    ("ecdsa-sha2-nistp256", &[Field::Word("nistp256"), Field::Point(65)]),
    ("ecdsa-sha2-nistp384", &[Field::Word("nistp384"), Field::Point(97)]),
    ("ecdsa-sha2-nistp521", &[Field::Word("nistp521"), Field::Point(133)]),
    ("ssh-rsa", &[Field::Number, Field::Number]),
    ("sk-ssh-ed25519@openssh.com", &[Field::Bytes(32), Field::Application]),
    ("sk-ecdsa-sha2-nistp256@openssh.com", &[Field::Word("nistp256"), Field::Point(65), Field::Application]),
];

pub(super) const TYPES_HINT: &str = "use a key of type ssh-ed25519, ecdsa-sha2-nistp256, -384 or -521, ssh-rsa, sk-ssh-ed25519@openssh.com or sk-ecdsa-sha2-nistp256@openssh.com";
const KEY: &str = "copy type and key from the .pub file as they are";

/// Whether a word is the type of a key that is read.
pub(super) fn is_type(word: &str) -> bool {
    TYPES.iter().any(|(kind, _)| *kind == word)
}

/// The blob of a key of that type.
pub(super) fn decode(kind: &str, base64: &str) -> Result<Vec<u8>, (String, &'static str)> {
    let Some((_, fields)) = TYPES.iter().find(|(known, _)| *known == kind) else {
        return Err(match kind.is_empty() {
            true => ("there is no key".to_owned(), KEY),
            false => (format!("keys of type {:?} are not read", begin_of(kind)), TYPES_HINT),
        });
    };
    let blob = BASE64_STANDARD.decode(base64).map_err(|_| ("the key is not base64".to_owned(), KEY))?;
    let wrong = || (format!("the key is not one of type {kind} as OpenSSH writes it"), KEY);
    let mut rest = blob.as_slice();
    let mut whole = take(&mut rest) == Some(kind.as_bytes());
    for field in *fields {
        whole &= take(&mut rest).is_some_and(|bytes| field.holds(bytes));
    }
    if !whole || !rest.is_empty() {
        return Err(wrong());
    }
    let mut rest = blob.as_slice();
    let point = if kind.contains("ed25519") { take(&mut rest).and_then(|_| take(&mut rest)) } else { None };
    match point.is_some_and(is_weak) {
        true => Err(("anybody can sign for this key".to_owned(), "make another one with `ssh-keygen -t ed25519`")),
        false => Ok(blob),
    }
}

/// Whether that Ed25519 point has a small order, so that a signature "of" it needs no private half; or is written with a
/// number past the field's end, so that the same key has another form.
fn is_weak(point: &[u8]) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let Ok(mut y) = <[u8; 32]>::try_from(point) else { return false };
    y[31] &= 0x7f; // the sign of the other coordinate
    let [first, middle @ .., last] = &y;
    // y = 0 has order 4, 1 is the neutral element, p - 1 has order 2 (p = 2^255 - 19); what follows p - 1 is past the end.
    let small = *last == 0 && middle.iter().all(|byte| *byte == 0) && *first <= 1;
    let past = *last == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *first >= 0xec;
    small || past || ORDER_8.contains(&y)
}

/// The begin of a word that may be anything, fit for an error's text.
pub(super) fn begin_of(word: &str) -> String {
    word.chars().take(40).collect()
}

/// As `ssh-keygen -l` prints it.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(crate::hash::Hash::of(blob).bytes()))
}

impl Field {
    fn holds(&self, bytes: &[u8]) -> bool {
        match self {
            Field::Bytes(length) => bytes.len() == *length,
            Field::Word(word) => bytes == word.as_bytes(),
            Field::Point(length) => bytes.len() == *length && bytes.first() == Some(&4),
            // A number whose first bit is set would be negative, so a zero byte stands before it, and only then.
            Field::Number => match bytes {
                [0, second, ..] => *second >= 0x80,
                [first, ..] => (1..0x80).contains(first),
                [] => false,
            },
            Field::Application => !bytes.is_empty() && bytes.iter().all(|byte| (0x21..0x7f).contains(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    #[test]
    fn a_key_that_anybody_can_sign_for_is_none() {
        // With the neutral element as key, R = the neutral element and s = 0 is a signature of every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let forged = [neutral, [0; 32]].concat();
        assert!(UnparsedPublicKey::new(&ED25519, neutral).verify(b"anything", &forged).is_ok(), "ring takes it");
        let mut weak = vec![neutral, [0; 32]];
        let mut past = [0xff; 32];
        for first in 0xec..=0xff {
            past[0] = first;
            weak.push(past);
        }
        for mut point in weak {
            for sign in [0x00, 0x80] {
                point[31] = point[31] & 0x7f | sign;
                for (kind, more) in [("ssh-ed25519", None), ("sk-ssh-ed25519@openssh.com", Some(b"ssh:"))] {
                    let mut blob = vec![];
                    put(&mut blob, kind.as_bytes());
                    put(&mut blob, &point);
                    more.into_iter().for_each(|more| put(&mut blob, more));
                    let told = decode(kind, &BASE64_STANDARD.encode(&blob)).unwrap_err();
                    assert!(told.0.contains("anybody can sign"), "{point:x?}: {told:?}");
                }
            }
        }
    }
}

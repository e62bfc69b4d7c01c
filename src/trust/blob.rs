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
    if whole && rest.is_empty() { Ok(blob) } else { Err(wrong()) }
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

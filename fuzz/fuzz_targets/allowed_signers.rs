//! An `allowed_signers` file, and who may sign by it: `FILE`, or `FILE NUL name` to ask for that name, or
//! `NUL patterns NUL name` to hold the matching of patterns against another way to do it.

#![no_main]

use crosscheck::clock::At;
use crosscheck::hash::Hash;
use crosscheck::name::Principal;
use crosscheck::trust::allowed::{APPROVE, Allowed};
use crosscheck::trust::key::PublicKey;
use crosscheck_fuzz::{assert_shown_lines, within};
use libfuzzer_sys::fuzz_target;

/// 2026-11-21T12:00:00Z.
const NOON: i64 = 1_795_262_400_000_000;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.strip_prefix('\0').and_then(|rest| rest.split_once('\0')) {
        Some((patterns, name)) => matching(patterns, name),
        None => {
            let (file, name) = text.split_once('\0').unwrap_or((text, "dana@example.org"));
            whole_file(file, name);
        }
    }
});

fn whole_file(text: &str, name: &str) {
    // The shortest line with a key takes 56 bytes and makes an entry of some 250, in a list that doubles.
    let allowed = match within(text.len(), 16, 64 * 1024, || Allowed::parse(text)) {
        Ok(allowed) => allowed,
        Err(error) => return assert_shown_lines(&error.to_string()),
    };
    assert_eq!((allowed.text(), allowed.digest()), (text, Hash::of(text.as_bytes())));
    assert_eq!(Allowed::parse(allowed.text()).as_ref(), Ok(&allowed));
    let Ok(who) = Principal::new(name) else { return };
    allowed.crew_problems(&[&who]).iter().for_each(|problem| assert_shown_lines(&problem.to_string()));
    let at = At::from_micros(NOON);
    for word in text.split([' ', '\t', '\n', '\r']) {
        let before = text[..word.as_ptr() as usize - text.as_ptr() as usize].trim_end_matches([' ', '\t']);
        let kind = before.rsplit([' ', '\t', '\n', '\r']).next().unwrap_or_default();
        let Ok(key) = format!("{kind} {word}").parse::<PublicKey>() else { continue };
        let by_blob = allowed.is_signer(&who, key.blob(), APPROVE, at);
        assert_eq!(by_blob, allowed.is_signer_with(&who, &key.fingerprint(), APPROVE, at));
        if let Err(why) = by_blob {
            assert_shown_lines(&why.to_string());
        }
    }
    // Of this key the text holds no byte.
    let stranger = PublicKey::ed25519(&[0xa5; 32]);
    if !text.contains(&stranger.to_string()[12..]) {
        assert!(allowed.is_signer(&who, stranger.blob(), APPROVE, at).is_err(), "a key that is in no line");
    }
}

fn matching(patterns: &str, name: &str) {
    let key = PublicKey::ed25519(&[1; 32]);
    if patterns.contains(['\n', '"', ' ', '\t', '\r']) || patterns.starts_with('#') {
        return;
    }
    let (Ok(who), Ok(allowed)) = (Principal::new(name), Allowed::parse(&format!("{patterns} {key}"))) else { return };
    let hits = |pattern: &str| glob(pattern.as_bytes(), who.as_str().as_bytes());
    let no = patterns.split(',').filter_map(|item| item.strip_prefix('!')).any(hits);
    let yes = patterns.split(',').filter(|item| !item.starts_with('!')).any(hits);
    let found = allowed.is_signer(&who, key.blob(), APPROVE, At::from_micros(NOON));
    assert_eq!(found.is_ok(), yes && !no, "{patterns:?} {who}");
}

/// Whether a pattern matches, by a table of every begin of it against every begin of the text.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for p in pattern {
        let mut next = vec![false; text.len() + 1];
        next[0] = *p == b'*' && row[0];
        for (t, c) in text.iter().enumerate() {
            next[t + 1] = match p {
                b'*' => row[t + 1] || next[t],
                b'?' => row[t],
                p => p == c && row[t],
            };
        }
        row = next;
    }
    row[text.len()]
}

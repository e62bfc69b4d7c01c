//! A statement is built from any fields and read back by somebody who knows nothing but its documented form; and any text
//! that claims to be that statement is refused unless it is.
//!
//! The input: fields, each a line `key TAB value TAB value …`; the bytes FF stand for the end of the fields, and what
//! follows is the text of somebody else.

#![no_main]

use crosscheck::identity::Key;
use crosscheck::trust::statement::{Purpose, Signed, Statement, StatementError};
use crosscheck_fuzz::{assert_shown, within};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<Key> = LazyLock::new(|| Key::fresh().expect("this machine gives random bytes"));

fuzz_target!(|bytes: &[u8]| {
    let (fields, claimed) = match bytes.iter().position(|byte| *byte == 0xff) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, [].as_slice()),
    };
    let (Ok(fields), Ok(claimed)) = (std::str::from_utf8(fields), std::str::from_utf8(claimed)) else { return };
    // The keys are this program's own words.
    let fields: Vec<(String, Vec<&str>)> = (0..)
        .zip(fields.split('\n'))
        .map(|(n, line)| (format!("field-{n}"), line.split('\t').collect::<Vec<_>>()))
        .collect();
    // Every byte may become three; every field brings its name.
    let built = within(bytes.len() + fields.len() * 16, 16, 64 * 1024, || {
        let statement = Statement::new(Purpose::Approve);
        fields.iter().fold(statement, |statement, (key, values)| statement.values(key, values))
    });
    read_back(built.text(), &fields);

    let signature = KEY.sign_sshsig(built.purpose().namespace(), built.text().as_bytes());
    let signed = Signed { statement: built.text().to_owned(), signature };
    assert_eq!(signed.check(&built).expect("it was signed").key, *KEY.public());
    let other = Signed { statement: claimed.to_owned(), signature: signed.signature.clone() };
    match other.check(&built) {
        Ok(_) => assert_eq!(claimed, built.text()),
        Err(error) => {
            assert!(matches!(error, StatementError::Differs { .. }), "{error}");
            assert_shown(&error.to_string());
        }
    }
    for signed in [signed, other] {
        if let Some(at) = signed.at() {
            assert!(signed.statement.lines().any(|line| line == format!("signed-at: {at}")));
        }
    }
});

fn read_back(text: &str, fields: &[(String, Vec<&str>)]) {
    assert!(text.ends_with('\n') && text.bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)));
    assert!(!text.contains(['"', '\'', '\\']));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("crosscheck-approve v1"));
    for (key, values) in fields {
        let (found, value) = lines.next().and_then(|line| line.split_once(": ")).expect("a line `key: value`");
        assert_eq!(found, key);
        if let Some((_, hash)) = value.rsplit_once("...sha256:")
            && value.len() > 1024
        {
            assert!(value.len() == 1024 + 10 + 64 && hash.len() == 64, "cut elsewhere: {value}");
            continue;
        }
        let read: Vec<Vec<u8>> = value.split(' ').map(decoded).collect();
        assert_eq!(read, values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>(), "{value}");
    }
    assert_eq!(lines.next(), None);
}

fn decoded(value: &str) -> Vec<u8> {
    let mut pieces = value.split('%');
    let mut out = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        assert_eq!(digits, digits.to_uppercase());
        out.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
        out.extend(rest.as_bytes());
    }
    out
}

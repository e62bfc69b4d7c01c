//! SSHSIG: any armor, and any blob in an armor that is right, since no fuzzer finds its way through base64.

#![no_main]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crosscheck::trust::key::PublicKey;
use crosscheck::trust::sshsig::{self, SigError};
use crosscheck_fuzz::{assert_shown, within};
use libfuzzer_sys::fuzz_target;

/// What the signatures among the seeds are of: those of this program's own, and OpenSSH's of security keys.
const PURPOSES: [(&str, &[u8]); 2] =
    [("crosscheck-approve", b"text\n"), ("unittest", b"This is a test, this is only a test")];

fuzz_target!(|bytes: &[u8]| {
    let armor = match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with("-----") => text.to_owned(),
        _ => armored(bytes),
    };
    for (namespace, message) in PURPOSES {
        match within(armor.len(), 8, 64 * 1024, || sshsig::verify(&armor, namespace, message)) {
            Ok(signed) => holds(&armor, namespace, &signed.key),
            Err(error) => assert_shown(&error.to_string()),
        }
    }
});

fn holds(armor: &str, namespace: &str, key: &PublicKey) {
    assert_eq!(PublicKey::from_blob(key.blob()).as_ref(), Ok(key));
    assert_eq!(key.to_string().parse::<PublicKey>().as_ref(), Ok(key));
    // There is one armor of it, and it holds for one text and one purpose.
    let blob = BASE64_STANDARD.decode(armor.lines().filter(|line| !line.starts_with('-')).collect::<String>());
    assert_eq!(armored(&blob.expect("it was read")), armor);
    assert_eq!(sshsig::verify(armor, namespace, b"text"), Err(SigError::Wrong));
    let other = sshsig::verify(armor, "crosscheck-close", b"text");
    assert!(matches!(other, Err(SigError::Namespace { .. })), "{other:?}");
}

/// As ssh-keygen does it.
fn armored(blob: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(blob);
    let lines = text.as_bytes().chunks(70).map(|line| String::from_utf8_lossy(line) + "\n");
    format!("-----BEGIN SSH SIGNATURE-----\n{}-----END SSH SIGNATURE-----\n", lines.collect::<String>())
}

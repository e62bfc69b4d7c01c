//! What an ssh-agent answers, its length taken off: the keys it holds, and a signature.

#![no_main]

use crosscheck::trust::agent;
use crosscheck::trust::key::PublicKey;
use crosscheck_fuzz::{assert_shown, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (keys, signature) =
        within(bytes.len(), 8, 64 * 1024, || (agent::read_identities(bytes), agent::read_signature(bytes)));
    for identity in keys.iter().flatten() {
        let blob = identity.key.blob();
        assert!(bytes.windows(blob.len()).any(|there| there == blob), "a key that is not in the answer");
        assert_eq!(PublicKey::from_blob(blob).as_ref(), Ok(&identity.key));
        assert_shown(&identity.comment);
        assert!(identity.comment.chars().count() <= 64);
    }
    if let Some(signature) = &signature {
        assert!(keys.is_none(), "one answer is two");
        let length = u32::try_from(signature.len()).expect("it fits in a frame").to_be_bytes();
        assert_eq!([&[14], length.as_slice(), signature].concat(), bytes);
    }
});

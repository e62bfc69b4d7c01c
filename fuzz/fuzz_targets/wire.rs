//! What arrives on a websocket: a hub's binary messages, a client's text, and the link that leads there.

#![no_main]

use bytes::Bytes;
use crosscheck::link::Link;
use crosscheck::protocol::{Binary, CLIENT_BYTES_MAX, FromClient, HUB_BYTES_MAX};
use crosscheck_fuzz::{assert_shown, assert_shown_lines, within};
use libfuzzer_sys::fuzz_target;

/// An element of a list takes at least two bytes to write (`0,`), and its place in a list that doubles some more.
const TIMES: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() <= HUB_BYTES_MAX {
        from_hub(&Bytes::copy_from_slice(bytes));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.len() <= CLIENT_BYTES_MAX {
        from_client(text);
    }
    match within(text.len(), 8, 64 * 1024, || text.parse::<Link>()) {
        Ok(link) => {
            let written = link.to_string();
            assert!(written.parse::<Link>().as_ref() == Ok(&link), "another link is read from {written:?}");
            assert_shown(&written);
            let shown = link.host.contains(&link.token) || link.session == link.token; // they are no secrets then
            assert!(shown || !format!("{link:?}").contains(&link.token), "the secret in a log");
        }
        Err(error) => assert_shown_lines(&error.to_string()),
    }
});

fn from_hub(bytes: &Bytes) {
    match within(bytes.len(), TIMES, 64 * 1024, || Binary::decode(bytes)) {
        Ok(read) => {
            let written = match &read {
                Binary::Message(message) => message.encode(),
                Binary::Screen(screen) => screen.encode(),
            };
            assert_eq!(Binary::decode(&written.into()).expect("it was written here"), read);
        }
        Err(error) => assert_shown(&error.to_string()),
    }
}

fn from_client(text: &str) {
    if let Ok(read) = within(text.len(), TIMES, 64 * 1024, || serde_json::from_str::<FromClient>(text)) {
        let written = serde_json::to_string(&read).expect("a message is plain data");
        assert_eq!(serde_json::from_str::<FromClient>(&written).expect("it was written here"), read);
    }
}

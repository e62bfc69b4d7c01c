//! Test set G: what a command, a name or a text may hold to act on somebody's terminal, and what may come out of a sink.
//! Used by the tests of the program and, by its path, by those of the screen.

/// Payloads by name. Each would do something on one terminal or another.
pub const PAYLOADS: [(&str, &[u8]); 48] = [
    ("OSC 0, title", b"\x1b]0;pwned\x07"),
    ("OSC 2, title, ended by ST", b"\x1b]2;pwned\x1b\\"),
    ("OSC 1, icon", b"\x1b]1;pwned\x07"),
    ("OSC 4, palette", b"\x1b]4;1;rgb:00/00/00\x07"),
    ("OSC 7, folder", b"\x1b]7;file://host/etc\x1b\\"),
    ("OSC 8, link", b"\x1b]8;;http://evil.example/\x1b\\click\x1b]8;;\x1b\\"),
    ("OSC 9, notification", b"\x1b]9;pwned\x07"),
    ("OSC 10, colour query", b"\x1b]10;?\x07"),
    ("OSC 52, clipboard write", b"\x1b]52;c;cm0gLXJmIC8K\x07"),
    ("OSC 52, clipboard query", b"\x1b]52;c;?\x1b\\"),
    ("OSC 104, palette reset", b"\x1b]104\x07"),
    ("OSC 133, shell mark", b"\x1b]133;C\x07"),
    ("OSC 777, notification", b"\x1b]777;notify;a;b\x07"),
    ("OSC 1337, file", b"\x1b]1337;File=inline=1:cHduZWQ=\x07"),
    ("OSC never ended", b"\x1b]0;pwned for ever"),
    ("DCS, user keys", b"\x1bP0;0|17/726d\x1b\\"),
    ("DCS, sixel", b"\x1bPq#0;2;0;0;0#0~~@@\x1b\\"),
    ("DCS, DECRQSS", b"\x1bP$qm\x1b\\"),
    ("DCS, XTGETTCAP", b"\x1bP+q544e\x1b\\"),
    ("DCS, tmux passthrough", b"\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\"),
    ("APC", b"\x1b_Gf=24,s=1,v=1;AAAA\x1b\\"),
    ("PM", b"\x1b^pwned\x1b\\"),
    ("SOS", b"\x1bXpwned\x1b\\"),
    ("C1 CSI in UTF-8", b"\xc2\x9b2J\xc2\x9b31m"),
    ("C1 OSC in UTF-8", b"\xc2\x9d0;pwned\xc2\x9c"),
    ("C1 DCS and APC in UTF-8", b"\xc2\x90q\xc2\x9c\xc2\x9fG\xc2\x9c"),
    ("C1 CSI, 8-bit", b"\x9b2J\x9b31m"),
    ("C1 OSC, 8-bit", b"\x9d0;pwned\x9c"),
    ("DA1 and DA2", b"\x1b[c\x1b[>c"),
    ("DA3 and DECID", b"\x1b[=c\x1bZ"),
    ("DSR, cursor and status", b"\x1b[6n\x1b[5n"),
    ("DECRQCRA, screen checksum", b"\x1b[1;1;1;1;5;10*y"),
    ("title report", b"\x1b]2;rm -rf /\x07\x1b[21t"),
    ("title stack", b"\x1b[22;0t\x1b[23;0t"),
    ("window manipulation", b"\x1b[2t\x1b[3;0;0t\x1b[8;1;1t"),
    ("alternate screen, mouse, paste", b"\x1b[?1049h\x1b[?1003h\x1b[?2004l"),
    ("reset", b"\x1bc\x1b[!p"),
    ("clear and home", b"\x1b[2J\x1b[3J\x1b[H"),
    ("huge parameters", b"\x1b[99999999999999999999;4294967296H\x1b[2147483647X\x1b[65535@"),
    ("thousand parameters", THOUSAND),
    ("unknown CSI", b"\x1b[?9999$p\x1b[1;2;3'z\x1b[>4;2m\x1b[=1u"),
    ("charset and shift", b"\x1b(0lqqk\x0e\x1b)0\x0f\x1b#8"),
    ("carriage return", b"rm -rf /\rls      "),
    ("backspace and delete", b"rm -rf /\x08\x08\x08\x08\x08\x08\x08\x08ls\x7f\x7f"),
    ("bell, form feed, tab, NUL", b"\x07\x0c\x0b\t\x00\x05"),
    ("bidi", "a\u{202e}txt.exe\u{202c}\u{2066}x\u{2069}\u{200f}\u{61c}".as_bytes()),
    ("zero width and fillers", "a\u{200b}b\u{200d}c\u{feff}d\u{2060}e\u{3164}f\u{ad}g\u{e0041}".as_bytes()),
    ("stacked marks", STACKED),
];

const THOUSAND: &[u8] = &{
    let mut bytes = [b';'; 1003];
    bytes[0] = 0x1b;
    bytes[1] = b'[';
    bytes[1002] = b'm';
    bytes
};

const STACKED: &[u8] = &{
    // e, then a hundred times U+0301.
    let mut bytes = [0xcc; 201];
    bytes[0] = b'e';
    let mut at = 2;
    while at < 201 {
        bytes[at] = 0x81;
        at += 2;
    }
    bytes
};

/// The payload as text, for sinks that take nothing else: bytes that are no UTF-8 stand for the C1 controls they would be.
pub fn as_text(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) => text.to_owned(),
        Err(_) => payload.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// What may never stand in anything that is printed, whatever prints it: no control character but the line end, no C1, no
/// bidi control, nothing that cannot be seen. Written down here anew, so that a hole in the program's own list is none here.
pub fn is_harmful(c: char) -> bool {
    let invisible = [
        0x00ad..=0x00ad,
        0x034f..=0x034f,
        0x061c..=0x061c,
        0x115f..=0x1160,
        0x17b4..=0x17b5,
        0x180b..=0x180f,
        0x200b..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x206f,
        0x3164..=0x3164,
        0xfe00..=0xfe0f,
        0xfeff..=0xfeff,
        0xffa0..=0xffa0,
        0xfff0..=0xfffb,
        0x1bca0..=0x1bca3,
        0x1d173..=0x1d17a,
        0xe0000..=0xe0fff,
    ];
    let code = u32::from(c);
    (code < 0x20 && c != '\n') || (0x7f..=0x9f).contains(&code) || invisible.iter().any(|range| range.contains(&code))
}

/// The first thing in printed text that could act on a terminal, with what stands around it.
pub fn harm(bytes: &[u8]) -> Option<String> {
    let around =
        |at: usize| String::from_utf8_lossy(&bytes[at.saturating_sub(40)..(at + 40).min(bytes.len())]).into_owned();
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            text.char_indices().find(|(_, c)| is_harmful(*c)).map(|(at, c)| format!("{c:?} in {:?}", around(at)))
        }
        Err(error) => Some(format!("no UTF-8 at {:?}", around(error.valid_up_to()))),
    }
}

/// The first thing in what was written to a terminal that the cockpit has no business to write. It may write visible text,
/// place the cursor, set colours and weights, show and hide the cursor, clear, ring between two frames, begin and end a synchronised update, and take
/// and give back the terminal when it starts and ends. Everything is listed; what is not listed is wrong.
pub fn foreign(bytes: &[u8]) -> Option<String> {
    const WHOLE: [&[u8]; 13] = [
        b"\x1b[?2026l\x07", // its own bell, between two frames and nowhere else
        b"\x1b[?2026l",
        b"\x1b[?2026h",
        b"\x1b[?25l",
        b"\x1b[?25h",
        b"\x1b[?1049h",
        b"\x1b[?1049l",
        b"\x1b[?2004h",
        b"\x1b[?2004l",
        b"\x1b[2J",
        b"\x1b[J",
        b"\x1b[0J",
        b"\x1b[K",
    ];
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        if rest[0] == 0x1b {
            if let Some(known) = WHOLE.iter().find(|known| rest.starts_with(known)) {
                rest = &rest[known.len()..];
                continue;
            }
            let parameters = rest.iter().skip(2).take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
            let end = rest.get(2 + parameters);
            let few = parameters <= 40;
            if rest.get(1) == Some(&b'[') && few && matches!(end, Some(b'H' | b'm')) {
                rest = &rest[2 + parameters + 1..];
                continue;
            }
        } else {
            let length = match rest[0] {
                0x20..0x7f => 1,
                0xc2..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0..0xf5 => 4,
                _ => 0,
            };
            let text =
                rest.get(..length).filter(|text| !text.is_empty()).and_then(|text| std::str::from_utf8(text).ok());
            if text.is_some_and(|text| !text.chars().any(|c| c == '\n' || is_harmful(c))) {
                rest = &rest[length..];
                continue;
            }
        }
        let shown = &bytes[at.saturating_sub(30)..(at + 30).min(bytes.len())];
        return Some(format!("byte {at}: {:?}", String::from_utf8_lossy(shown)));
    }
    None
}

#[test]
fn the_lists_of_this_set_catch_what_they_are_for() {
    for (name, payload) in PAYLOADS {
        let caught = harm(as_text(payload).as_bytes()).is_some();
        assert!(caught || name == "stacked marks", "{name} would pass as text");
        let caught = foreign(payload).is_some();
        assert!(caught || ["stacked marks"].contains(&name), "{name} would pass as the cockpit's");
    }
    assert_eq!(foreign("\x1b[1;1H\x1b[38;2;1;2;3;1mé漢\x1b[0m\x1b[?25l".as_bytes()), None);
    assert!(foreign(b"\x1b[5n").is_some() && foreign(b"a\n").is_some() && foreign(b"\x1b[1;1").is_some());
}

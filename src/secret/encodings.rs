//! The forms in which a command may print a value: as it is, and as the tools between it and its output write it. What is
//! not listed here is not found: no list is whole, and masking is never a guarantee. Start at [`encodings`].

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// A line of a value that has several is looked for by itself from this length on: a key may be printed indented.
const LINE_MIN: usize = 16;

/// A byte that ends a line.
pub(super) fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Every form of a value, its line ends left out, in the order of their bytes.
pub(super) fn encodings(value: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all = Forms(BTreeSet::new());
    all.add(value);
    all.add(&value.to_lowercase());
    all.add(&value.to_uppercase());
    all.add(&value.chars().rev().collect::<String>());
    value.lines().filter(|line| line.trim().len() >= LINE_MIN).for_each(|line| all.add(line.trim()));
    // A terminal, and a tool from elsewhere, ends lines with both characters.
    let crlf = value.replace("\r\n", "\n").replace('\n', "\r\n");
    for text in [value, &crlf] {
        base64(text, &mut all);
        hexadecimal(text, &mut all);
        percent(text, &mut all);
        json(text, &mut all);
    }
    quoted(value, &mut all);
    markup(value, &mut all);
    all.0.into_iter().map(Zeroizing::new).collect()
}

struct Forms(BTreeSet<Vec<u8>>);
impl Forms {
    fn add(&mut self, form: &str) {
        let bytes: Vec<u8> = form.bytes().filter(|byte| !is_line_end(*byte)).collect();
        // What is shorter tears ordinary output; a value that short is refused, so only parts of one can be.
        if bytes.len() >= super::LENGTH_MIN {
            self.0.insert(bytes);
        }
    }
}

/// With what stands before it in the same encoding a value may begin at any of three places in a group; then its first and
/// last digit also hold bits of its neighbours, and only those between are always the same.
fn base64(value: &str, all: &mut Forms) {
    let mut add = |text: &str| {
        all.add(text);
        all.add(&text.replace('+', "-").replace('/', "_"));
    };
    for end in ["", "\n", "\r\n"] {
        let text = Zeroizing::new(format!("{value}{end}"));
        add(&STANDARD.encode(text.as_bytes()));
        add(&STANDARD_NO_PAD.encode(text.as_bytes()));
    }
    for before in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; before]);
        bytes.extend_from_slice(value.as_bytes());
        let digits = STANDARD_NO_PAD.encode(&*bytes);
        // Not by an index: what a panic says could be the value.
        digits.get((before * 8).div_ceil(6)..bytes.len() * 8 / 6).into_iter().for_each(&mut add);
    }
}

fn hexadecimal(value: &str, all: &mut Forms) {
    for between in ["", ":", " ", "\\x", ", 0x"] {
        let digits: Vec<String> = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let text = digits.join(between);
        all.add(&text);
        all.add(&digits.iter().map(|digits| digits.to_uppercase()).collect::<Vec<_>>().join(between));
    }
}

/// Which characters stay themselves differs between tools: the standard's, a path's, JavaScript's, and none at all.
fn percent(value: &str, all: &mut Forms) {
    for (kept, plain) in [("-._~", true), ("-._~/", true), ("-._~!'()*", true), ("*-._", true), ("", true), ("", false)]
    {
        for upper in [true, false] {
            let mut text = String::new();
            for byte in value.bytes() {
                let c = char::from(byte);
                let _ = match (plain && c.is_ascii_alphanumeric()) || kept.contains(c) {
                    true => write!(text, "{c}"),
                    false if upper => write!(text, "%{byte:02X}"),
                    false => write!(text, "%{byte:02x}"),
                }; // a String takes everything
            }
            all.add(&text.replace("%20", "+"));
            all.add(&text.replace('%', "%25")); // encoded twice
            all.add(&text);
        }
    }
}

/// Replaces the characters that `escape` has something for.
fn escaped(value: &str, escape: impl Fn(char) -> Option<String>) -> String {
    value.chars().map(|c| escape(c).unwrap_or_else(|| c.to_string())).collect()
}

fn unicode_escape(c: char, upper: bool) -> String {
    let mut units = [0; 2];
    let digits = |unit: &u16| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
    c.encode_utf16(&mut units).iter().map(digits).collect()
}

fn json(value: &str, all: &mut Forms) {
    let Ok(text) = serde_json::to_string(value) else { return }; // a text can always be written
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return };
    for upper in [false, true] {
        let ascii = escaped(inner, |c| (!c.is_ascii()).then(|| unicode_escape(c, upper)));
        let markup =
            |text: &str| escaped(text, |c| matches!(c, '<' | '>' | '&' | '\'').then(|| unicode_escape(c, upper)));
        let angle = |text: &str| escaped(text, |c| matches!(c, '<' | '>' | '&').then(|| unicode_escape(c, upper)));
        for form in [inner, &ascii, &angle(inner), &angle(&ascii), &markup(inner), &markup(&ascii)] {
            for form in [form.to_owned(), form.replace('/', "\\/")] {
                // A log line that is JSON itself quotes it once more.
                all.add(&form.replace('\\', "\\\\").replace('"', "\\\""));
                all.add(&form);
            }
        }
    }
    all.add(&value.escape_debug().to_string());
    all.add(&value.escape_default().to_string());
}

/// As shells, SQL and tables quote.
fn quoted(value: &str, all: &mut Forms) {
    let backslash = |special: &str, text: &str| escaped(text, |c| special.contains(c).then(|| format!("\\{c}")));
    all.add(&value.replace('\'', "'\\''"));
    all.add(&value.replace('\'', "'\"'\"'"));
    all.add(&value.replace('\'', "\\'"));
    all.add(&value.replace('\'', "''"));
    all.add(&value.replace('"', "\"\""));
    all.add(&backslash("\\\"$`", value));
    all.add(&backslash("\\\"$`!", value));
    let words = escaped(value, |c| {
        (c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:=@%+,".contains(c)).then(|| format!("\\{c}"))
    });
    all.add(&words);
    all.add(&escaped(value, |c| {
        (c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./".contains(c)).then(|| format!("\\{c}"))
    }));
    let c_string = escaped(value, |c| match c {
        '\n' => Some("\\n".into()),
        '\r' => Some("\\r".into()),
        '\t' => Some("\\t".into()),
        '\\' => Some("\\\\".into()),
        '\'' => Some("\\'".into()),
        _ => None,
    });
    all.add(&c_string);
}

fn markup(value: &str, all: &mut Forms) {
    for (quote, apostrophe) in [
        ("\"", "'"),
        ("&quot;", "'"),
        ("&quot;", "&#39;"),
        ("&quot;", "&#039;"),
        ("&quot;", "&#x27;"),
        ("&quot;", "&apos;"),
        ("&#34;", "&#39;"),
    ] {
        let text = escaped(value, |c| match c {
            '&' => Some("&amp;".into()),
            '<' => Some("&lt;".into()),
            '>' => Some("&gt;".into()),
            '"' => Some(quote.into()),
            '\'' => Some(apostrophe.into()),
            _ => None,
        });
        all.add(&text);
    }
}

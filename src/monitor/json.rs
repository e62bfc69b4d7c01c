//! JSON that a program printed or a file holds, and what a pointer leads to in it.

use super::{Findings, excerpt};
use crate::event::Status;
use crate::plan::{Expected, Zone};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// How many items of a list are named in one sentence; the others are counted.
pub(super) const NAMED_MAX: usize = 3;

/// JSON as programs write it: in UTF-8 or UTF-16, with its mark or without, and with the numbers that JSON has no word for.
/// Those (`NaN`, `Infinity`) are read as texts, which are no numbers to anybody.
pub(super) fn read(bytes: &[u8]) -> Result<Value, String> {
    let bytes = utf8(bytes)?;
    serde_json::from_slice(&bytes).or_else(|error| {
        let named = std::str::from_utf8(&bytes).ok().and_then(named_numbers);
        let json = named.and_then(|text| serde_json::from_str(&text).ok());
        json.ok_or_else(|| excerpt(&error.to_string(), 100))
    })
}

/// The bytes of a text as UTF-8, without a byte order mark.
pub(super) fn utf8(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let (wide, big) = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => return Ok(Cow::Borrowed(rest)),
        [0xff, 0xfe, rest @ ..] => (rest, false),
        [0xfe, 0xff, rest @ ..] => (rest, true),
        [b'<' | b'{' | b'[', 0, ..] => (bytes, false),
        [0, b'<' | b'{' | b'[', ..] => (bytes, true),
        _ => return Ok(Cow::Borrowed(bytes)),
    };
    let (pairs, odd) = wide.as_chunks::<2>();
    let units: Vec<u16> =
        pairs.iter().map(|pair| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) }).collect();
    match String::from_utf16(&units) {
        Ok(text) if odd.is_empty() => Ok(Cow::Owned(text.into_bytes())),
        _ => Err("it is neither UTF-8 nor whole UTF-16".into()),
    }
}

/// The same text with the names of numbers in quotes; nothing where there are none.
fn named_numbers(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut quoted, mut any) = (text, false, false);
    while let Some(next) = rest.chars().next() {
        let name = ["NaN", "-Infinity", "Infinity"].into_iter().find(|name| !quoted && rest.starts_with(name));
        let length = match (name, next) {
            (Some(name), _) => {
                any = true;
                out += &format!("\"{name}\"");
                rest = &rest[name.len()..];
                continue;
            }
            (None, '\\') if quoted => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, next) => {
                quoted ^= next == '"';
                next.len_utf8()
            }
        };
        out += &rest[..length];
        rest = &rest[length..];
    }
    any.then_some(out)
}

/// A place in a text of JSON and what stands there.
pub(super) type Place<'a> = (String, Result<&'a Value, String>);

/// What a token of a pointer led to so far.
#[derive(Clone, Copy)]
enum Step<'a> {
    At(&'a Value),
    Nothing,
    /// A list without items, where every item was asked for.
    Empty,
}

/// Everything that stands at a pointer of RFC 6901, each with its own place. `-`, which names nothing there, is the last item
/// of a list; `*` is every item of a list and every field of an object. Never empty: what is not there is an error.
pub(super) fn all<'a>(json: &'a Value, pointer: &str) -> Vec<Place<'a>> {
    let mut found = vec![(String::new(), Step::At(json))];
    for token in pointer.split('/').skip(1) {
        let onward = found.into_iter().flat_map(|(place, step)| match step {
            Step::At(value) if token == "*" => every(&place, value),
            Step::At(value) => {
                let step = one(value, &token.replace("~1", "/").replace("~0", "~")).map_or(Step::Nothing, Step::At);
                vec![(format!("{place}/{token}"), step)]
            }
            step => vec![(format!("{place}/{token}"), step)],
        });
        found = onward.collect();
    }
    let told = |(place, step): (String, Step<'a>)| {
        let shown = excerpt(&place, 60);
        let value = match step {
            Step::At(value) => Ok(value),
            Step::Nothing => Err(format!("nothing at {shown}")),
            Step::Empty => Err(format!("nothing at {shown}: no item is there")),
        };
        (place, value)
    };
    found.into_iter().map(told).collect()
}

fn every<'a>(place: &str, value: &'a Value) -> Vec<(String, Step<'a>)> {
    let items: Vec<_> = match value {
        Value::Array(items) => {
            items.iter().enumerate().map(|(n, item)| (format!("{place}/{n}"), Step::At(item))).collect()
        }
        Value::Object(fields) => {
            let name = |key: &String| key.replace('~', "~0").replace('/', "~1");
            fields.iter().map(|(key, item)| (format!("{place}/{}", name(key)), Step::At(item))).collect()
        }
        _ => return vec![(format!("{place}/*"), Step::Nothing)],
    };
    if items.is_empty() { vec![(format!("{place}/*"), Step::Empty)] } else { items }
}

fn one<'a>(value: &'a Value, token: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(token),
        Value::Array(items) if token == "-" => items.last(),
        // As the standard says: no sign and no leading zero.
        Value::Array(items) => token.parse().ok().filter(|n: &usize| n.to_string() == token).and_then(|n| items.get(n)),
        _ => None,
    }
}

/// Holds what stands at these pointers against what is expected there. Every item counts; what is right is told in one
/// sentence each.
pub(super) fn held(json: &Value, expect: &[(String, Expected)], findings: &mut Findings) -> Vec<String> {
    let mut seen = vec![];
    for (pointer, expected) in expect {
        let places = all(json, pointer);
        let many = places.len();
        let (mut right, mut wrong, mut missing) = (vec![], vec![], vec![]);
        for (place, found) in places {
            let place = excerpt(&place, 60);
            match found {
                Ok(found) if is(found, expected) => right.push(format!("{place} is {}", quoted(found))),
                Ok(found) => wrong.push(format!("{place} is {}, not {}", quoted(found), written(expected))),
                Err(why) => missing.push(why),
            }
        }
        match right.len() {
            0 => {}
            1 => seen.append(&mut right),
            count => seen.push(format!("{} is {}, {count} of {many}", excerpt(pointer, 60), written(expected))),
        }
        named(Status::Fail, wrong, findings);
        named(Status::Unknown, missing, findings);
    }
    seen
}

/// Adds the first of these sentences and how many more there are.
pub(super) fn named(status: Status, sentences: Vec<String>, findings: &mut Findings) {
    let more = sentences.len().saturating_sub(NAMED_MAX);
    sentences.into_iter().take(NAMED_MAX).for_each(|sentence| findings.add(status, sentence));
    if more > 0 {
        findings.add(status, format!("{more} more like that"));
    }
}

/// The numbers at a pointer, each with its place.
pub(super) fn numbers(json: &Value, pointer: &str) -> Vec<(String, Result<f64, String>)> {
    let number = |(place, found): Place<'_>| {
        let shown = excerpt(&place, 60);
        let number =
            found.and_then(|found| number(found).ok_or_else(|| format!("no number at {shown} but {}", quoted(found))));
        (shown, number)
    };
    all(json, pointer).into_iter().map(number).collect()
}

/// A value as a screen shows it.
pub(super) fn quoted(found: &Value) -> String {
    excerpt(&found.to_string(), 60)
}

/// What was expected, as a screen shows it.
pub(super) fn written(expected: &Expected) -> String {
    match expected {
        Expected::Text(text) => excerpt(&format!("{text:?}"), 60),
        Expected::Number(number) => number.to_string(),
        Expected::Truth(truth) => truth.to_string(),
    }
}

/// A number, or a text that is nothing but one: some tools write figures in quotes.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64().filter(|number| number.is_finite()),
        Value::String(text) => plain(text.trim()),
        _ => None,
    }
}

/// A text that is a number from its first character to its last, in decimal digits and not beyond what is counted with.
pub(super) fn plain(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust reads words such as "inf" too.
    let begins = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    text.parse().ok().filter(|number: &f64| begins && number.is_finite())
}

/// A moment: RFC 3339, or seconds since 1970, as a number or as text. A time that does not say its zone is in the one given; where none is, nobody
/// knows when it was.
pub(super) fn moment(value: &Value, zone: Option<Zone>) -> Result<SystemTime, String> {
    let no = |why: &str| format!("{} {why}", excerpt(&value.to_string(), 40));
    match value {
        Value::Number(number) => seconds(number.as_f64()).ok_or_else(|| no("is no time in seconds since 1970")),
        // Shorter texts of digits are dates without their hyphens.
        Value::String(text)
            if text.trim().split('.').next().is_some_and(|whole| whole.len() >= 9 && is_digits(whole)) =>
        {
            seconds(plain(text.trim())).ok_or_else(|| no("is no time in seconds since 1970"))
        }
        Value::String(text) => time(text.trim(), zone).map_err(no),
        _ => Err(no("is no time")),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// So many seconds after 1970 began.
fn seconds(seconds: Option<f64>) -> Option<SystemTime> {
    // Up to the year 9999; what is above was written in milliseconds, and an age of that would be a wrong one.
    let seconds = seconds.filter(|seconds| (0.0..253_402_300_800.0).contains(seconds))?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// A moment as text.
pub(super) fn time(text: &str, zone: Option<Zone>) -> Result<SystemTime, &'static str> {
    let told = text.parse::<jiff::Timestamp>().ok();
    let found = told.map_or_else(
        || {
            let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| "is no time")?;
            let zone = match zone {
                Some(Zone::Utc) => jiff::tz::TimeZone::UTC,
                Some(Zone::Local) => jiff::tz::TimeZone::system(),
                None => return Err("does not say its time zone"),
            };
            zone.to_timestamp(civil).map_err(|_| "is no time in that zone")
        },
        Ok,
    )?;
    Ok(found.into())
}

/// A field that holds a moment as text.
pub(super) fn rfc3339<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
    let text = String::deserialize(from)?;
    time(&text, None).map_err(|why| serde::de::Error::custom(format!("{} {why}", excerpt(&text, 40))))
}

/// Whether that is what was expected there.
pub(super) fn is(value: &Value, expected: &Expected) -> bool {
    match (value, expected) {
        (Value::String(found), Expected::Text(text)) => found == text,
        (Value::Number(found), Expected::Number(number)) => found.as_f64() == Some(*number),
        (Value::Bool(found), Expected::Truth(truth)) => found == truth,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_what_was_expected_or_it_is_not() {
        let text = |text: &str| Expected::Text(text.into());
        for (value, expected, is) in [
            (json!("green"), text("green"), true),
            (json!("evergreen"), text("green"), false),
            (json!("red"), text("green"), false),
            (json!(2), Expected::Number(2.0), true),
            (json!(2.5), Expected::Number(2.0), false),
            (json!(true), Expected::Truth(true), true),
            (json!(false), Expected::Truth(true), false),
            (json!("true"), Expected::Truth(true), false),
            (json!("2"), Expected::Number(2.0), false),
            (json!(null), text("null"), false),
        ] {
            assert_eq!(super::is(&value, &expected), is, "{value} {expected:?}");
        }
    }

    #[test]
    fn pointers_lead_to_one_value_or_to_nothing() {
        let json = json!({"a": [1, {"b/c": 2, "~": 3}], "": 4});
        for (pointer, expected) in [
            ("", Some(json.clone())),
            ("/", Some(json!(4))),
            ("/a/0", Some(json!(1))),
            ("/a/-/b~1c", Some(json!(2))),
            ("/a/1/~0", Some(json!(3))),
            ("/a/2", None),
            ("/a/00", None),
            ("/a/+1", None),
            ("/a/b", None),
            ("/-", None),
            ("/a/0/x", None),
        ] {
            let found = all(&json, pointer);
            assert_eq!(found.len(), 1, "{pointer:?}");
            assert_eq!(found[0].1.clone().ok().cloned(), expected, "{pointer:?}");
        }
        assert_eq!(all(&json!([]), "/-")[0].1, Err("nothing at /-".into()), "an empty list has no last item");
    }

    #[test]
    fn a_star_is_every_item_and_what_one_lacks_is_told() {
        let json = json!({"c": [{"state": "a"}, {"x": 1}, {"state": "b"}], "none": [], "o": {"k/1": {"n": 1}, "l": {"n": 2}}, "t": 1});
        let told = |pointer| {
            let place = |(place, found): Place<'_>| match found {
                Ok(found) => format!("{place}={found}"),
                Err(why) => why,
            };
            all(&json, pointer).into_iter().map(place).collect::<Vec<_>>()
        };
        assert_eq!(told("/c/*/state"), ["/c/0/state=\"a\"", "nothing at /c/1/state", "/c/2/state=\"b\""]);
        assert_eq!(told("/o/*/n"), ["/o/k~11/n=1", "/o/l/n=2"]);
        assert_eq!(told("/none/*/state"), ["nothing at /none/*/state: no item is there"]);
        assert_eq!(told("/t/*"), ["nothing at /t/*"]);
        assert_eq!(told("/gone/*/state"), ["nothing at /gone/*/state"]);
        // Ten wrong ones are three sentences and a count.
        let list = json!((0..10).collect::<Vec<_>>());
        let mut findings = Findings::default();
        held(&list, &[("/*".into(), Expected::Number(11.0))], &mut findings);
        assert_eq!((findings.0.len(), findings.worst()), (4, Status::Fail));
        assert_eq!(findings.0[3].1, "7 more like that");
    }

    #[test]
    fn a_number_is_one_from_end_to_end() {
        for (text, expected) in [
            ("12", Some(12.0)),
            ("-0.5", Some(-0.5)),
            ("+1e3", Some(1000.0)),
            ("1 day 02:00:00", None),
            ("1,234", None),
            ("1_234", None),
            ("1 234", None),
            ("12ms", None),
            ("12%", None),
            ("0x10", None),
            ("1e400", None),
            ("-1e400", None),
            ("NaN", None),
            ("inf", None),
            ("-Infinity", None),
            ("rows: 12", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
            assert_eq!(number(&json!(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn what_programs_write_beside_json_is_read() {
        let text = r#"{"a": NaN, "b": [-Infinity, Infinity, 1], "c": "NaN \" NaN", "d": "\\"}"#;
        let expected = json!({"a": "NaN", "b": ["-Infinity", "Infinity", 1], "c": "NaN \" NaN", "d": "\\"});
        assert_eq!(read(text.as_bytes()), Ok(expected));
        assert_eq!(number(&read(b"NaN").unwrap()), None);
        for wide in [u16::to_le_bytes, u16::to_be_bytes] {
            for text in ["\u{feff}{\"a\": \"\u{1f600}\"}", "{\"a\": \"\u{1f600}\"}"] {
                let bytes: Vec<u8> = text.encode_utf16().flat_map(wide).collect();
                assert_eq!(read(&bytes), Ok(json!({"a": "\u{1f600}"})), "{text:?}");
                assert!(read(&bytes[..bytes.len() - 1]).is_err());
            }
        }
        assert_eq!(read(b"\xef\xbb\xbf[1]"), Ok(json!([1])));
        for bad in ["", "{", "{\"a\": Nan}", "[NaN", "[1] [2]"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_exact_or_none() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for text in ["2026-11-21T00:00:00Z", "2026-11-21T01:00:00.000+01:00", "2026-11-20T19:00:00-05:00"] {
            assert_eq!(moment(&json!(text), None), Ok(at(1_795_219_200)), "{text}");
        }
        for number in [json!(1_795_219_200), json!("1795219200"), json!(" 1795219200.0\n")] {
            assert_eq!(moment(&number, None), Ok(at(1_795_219_200)), "{number}");
        }
        // Eight digits are a date, and no second of 1970.
        assert_eq!(moment(&json!("20261121"), Some(Zone::Utc)), Ok(at(1_795_219_200)));
        let naive = json!("2026-11-21T00:00:00.000000");
        assert_eq!(moment(&naive, Some(Zone::Utc)), Ok(at(1_795_219_200)));
        assert!(moment(&naive, None).unwrap_err().contains("does not say its time zone"));
        for bad in [
            json!("yesterday"),
            json!(-1),
            json!(1_795_219_200_000_u64),
            json!("1795219200000"),
            json!("1795219200 or so"),
            json!("-1795219200"),
            json!(null),
            json!([1]),
            json!(""),
        ] {
            assert!(moment(&bad, Some(Zone::Utc)).is_err(), "{bad}");
        }
    }
}

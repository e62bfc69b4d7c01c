//! JSON that a program printed or a file holds, and what a pointer leads to in it.

use super::excerpt;
use crate::plan::{Expected, Zone};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// What stands at a pointer of RFC 6901; `-`, which names nothing there, is the last item of a list.
pub(super) fn at<'a>(json: &'a Value, pointer: &str) -> Result<&'a Value, String> {
    let mut found = json;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        found = match found {
            Value::Object(fields) => fields.get(&token),
            Value::Array(items) if token == "-" => items.last(),
            // As the standard says: no sign and no leading zero.
            Value::Array(items) => {
                token.parse().ok().filter(|n: &usize| n.to_string() == token).and_then(|n| items.get(n))
            }
            _ => None,
        }
        .ok_or_else(|| format!("nothing at {}", excerpt(pointer, 60)))?;
    }
    Ok(found)
}

/// A number, or a text that is nothing but one: some tools write figures in quotes.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// A moment: RFC 3339, or seconds since 1970. A time that does not say its zone is in the one given; where none is, nobody
/// knows when it was.
pub(super) fn moment(value: &Value, zone: Option<Zone>) -> Result<SystemTime, String> {
    let no = |why: &str| format!("{} {why}", excerpt(&value.to_string(), 40));
    match value {
        Value::Number(seconds) => seconds
            .as_f64()
            // Up to the year 9999; what is above was written in milliseconds, and an age of that would be a wrong one.
            .filter(|seconds| (0.0..253_402_300_800.0).contains(seconds))
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?))
            .ok_or_else(|| no("is no time in seconds since 1970")),
        Value::String(text) => time(text.trim(), zone).map_err(no),
        _ => Err(no("is no time")),
    }
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
            assert_eq!(at(&json, pointer).ok().cloned(), expected, "{pointer:?}");
        }
        assert_eq!(at(&json!([]), "/-"), Err("nothing at /-".into()), "an empty list has no last item");
    }

    #[test]
    fn moments_are_exact_or_none() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for text in ["2026-11-21T00:00:00Z", "2026-11-21T01:00:00.000+01:00", "2026-11-20T19:00:00-05:00"] {
            assert_eq!(moment(&json!(text), None), Ok(at(1_795_219_200)), "{text}");
        }
        assert_eq!(moment(&json!(1_795_219_200), None), Ok(at(1_795_219_200)));
        let naive = json!("2026-11-21T00:00:00.000000");
        assert_eq!(moment(&naive, Some(Zone::Utc)), Ok(at(1_795_219_200)));
        assert!(moment(&naive, None).unwrap_err().contains("does not say its time zone"));
        for bad in [json!("yesterday"), json!(-1), json!(1_795_219_200_000_u64), json!(null), json!([1]), json!("")] {
            assert!(moment(&bad, Some(Zone::Utc)).is_err(), "{bad}");
        }
    }
}

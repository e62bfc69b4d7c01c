//! The grammar of one line: `principals [options] type base64 [comment]`.
//!
//! Where OpenSSH's reader accepts more than its manual page says (a quote inside a name, which it takes out; a last option
//! without its comma), the line is refused: people read such a line otherwise than the program does.

use super::super::blob;
use super::{Entry, Pattern, Patterns};
use crate::clock::At;
use std::time::Duration;

/// Longer than any key with its options. OpenSSH reads lines of any length, but names only to 1,023 bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;
const NAME_BYTES_MAX: usize = 1000;

/// How far local time is from UTC at most: 12 hours behind, 14 ahead.
const BEHIND: Duration = Duration::from_secs(12 * 3600);
const AHEAD: Duration = Duration::from_secs(14 * 3600);

/// What is wrong, and what to do about it.
type Wrong = (String, &'static str);

const FORM: &str = "a line is: name[,name…] [options] key-type base64 [comment]";
const OPTIONS: &str = "options are namespaces=\"…\", valid-after=\"…\" and valid-before=\"…\", each once, with commas and no blanks between them";
const TIME: &str = "a time is YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z at its end for UTC";

/// One line without its end; none where it is blank or a comment.
pub(super) fn parse(number: usize, line: &str) -> Result<Option<Entry>, Wrong> {
    if line.len() > LINE_BYTES_MAX {
        return Err((format!("it has {} bytes, and {LINE_BYTES_MAX} is the most", line.len()), FORM));
    }
    let line = line.trim_start_matches(BLANK);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (names, rest) = names(line)?;
    let principals = patterns(names, "name")?;
    // A word that is no type of a key is a list of options.
    let (options, rest) = match blob::is_type(word(rest).0) {
        true => (Options::default(), rest),
        false => options(rest)?,
    };
    let (kind, rest) = word(rest);
    let (base64, _comment) = word(rest);
    let key = blob::decode(kind, base64)?;
    let fingerprint = blob::fingerprint(&key);
    let Options { namespaces, after, before, local } = options;
    if let (Some(after), Some(before)) = (after, before)
        && before <= after
    {
        let hint = match local {
            true => "write the times with a Z at their end: without it they are another moment in every time zone",
            false => "valid-before has to be later than valid-after",
        };
        return Err(("there is no time at which it is valid".to_owned(), hint));
    }
    Ok(Some(Entry { line: number, principals, namespaces, after, before, blob: key, fingerprint }))
}

const BLANK: [char; 2] = [' ', '\t'];

/// The text up to the next blank, and what follows the blanks.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(BLANK).unwrap_or((text, ""));
    (word, rest.trim_start_matches(BLANK))
}

/// The list of names, its quotes taken off, and what follows it.
fn names(line: &str) -> Result<(&str, &str), Wrong> {
    let Some(quoted) = line.strip_prefix('"') else {
        let (names, rest) = word(line);
        return match names.contains('"') {
            true => Err(("a quote stands inside the names".to_owned(), "put the whole list between quotes, or none")),
            false => Ok((names, rest)),
        };
    };
    let Some((names, rest)) = quoted.split_once('"') else {
        return Err(("the quote before the names is not closed".to_owned(), FORM));
    };
    match rest.is_empty() || rest.starts_with(BLANK) {
        true => Ok((names, rest.trim_start_matches(BLANK))),
        false => Err(("no blank follows the quoted names".to_owned(), FORM)),
    }
}

fn patterns(list: &str, what: &str) -> Result<Patterns, Wrong> {
    let pattern = |item: &str| {
        let (negated, text) = item.strip_prefix('!').map_or((false, item), |rest| (true, rest));
        let hint = "names stand between commas, without blanks; ! before one takes it out again";
        if text.is_empty() {
            return Err((format!("a {what} is empty"), hint));
        }
        if text.contains(BLANK) || text.contains('!') {
            return Err((format!("a {what} holds a blank or a second !"), hint));
        }
        if text.len() > NAME_BYTES_MAX {
            return Err((format!("a {what} has {} bytes, and {NAME_BYTES_MAX} is the most", text.len()), hint));
        }
        Ok(Pattern { negated, text: text.to_owned() })
    };
    list.split(',').map(pattern).collect::<Result<_, _>>().map(Patterns)
}

#[derive(Default)]
struct Options {
    namespaces: Option<Patterns>,
    after: Option<At>,
    before: Option<At>,
    /// Whether one of the times is local time.
    local: bool,
}

/// The options and what follows them.
fn options(text: &str) -> Result<(Options, &str), Wrong> {
    let mut options = Options::default();
    let mut rest = text;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_@.".contains(c)).unwrap_or(rest.len());
        let (name, after_name) = rest.split_at(end);
        // As in OpenSSH, their case does not matter.
        let name = name.to_ascii_lowercase();
        if name == "cert-authority" {
            let hint = "list each person's own key; certificates are not in this version";
            return Err(("it names a certificate authority".to_owned(), hint));
        }
        if !matches!(name.as_str(), "namespaces" | "valid-after" | "valid-before") {
            return Err(match text.is_empty() {
                true => ("there is no key".to_owned(), FORM),
                false => unknown_word(&name, word(rest).0),
            });
        }
        let value = after_name.strip_prefix("=\"").and_then(|value| value.split_once('"'));
        let Some((value, after_value)) = value.filter(|(value, _)| !value.contains('\\')) else {
            return Err((format!("the option {name} has no value between quotes"), OPTIONS));
        };
        let again = match name.as_str() {
            "namespaces" => options.namespaces.replace(patterns(value, "namespace")?).is_some(),
            "valid-after" => {
                let (at, utc) = time(value)?;
                options.local |= !utc;
                options.after.replace(if utc { at } else { at.after(BEHIND) }).is_some()
            }
            _ => {
                let (at, utc) = time(value)?;
                options.local |= !utc;
                let ahead = i64::try_from(AHEAD.as_micros()).unwrap_or(i64::MAX);
                let strictest = At::from_micros(at.micros().saturating_sub(ahead));
                options.before.replace(if utc { at } else { strictest }).is_some()
            }
        };
        if again {
            return Err((format!("the option {name} stands there twice"), OPTIONS));
        }
        match after_value.strip_prefix(',') {
            Some(more) => rest = more,
            None if after_value.starts_with(BLANK) => return Ok((options, after_value.trim_start_matches(BLANK))),
            None => return Err(("no blank and no comma follows an option".to_owned(), OPTIONS)),
        }
    }
}

/// What stands where a key or an option should.
fn unknown_word(name: &str, word: &str) -> Wrong {
    if word.contains("-cert-v") {
        return (
            "it holds a certificate".to_owned(),
            "list the key itself; certificates are not in this version of crosscheck",
        );
    }
    if ["ssh-", "sk-", "ecdsa-", "webauthn-"].iter().any(|begin| name.starts_with(begin)) {
        return (format!("keys of type {:?} are not read", blob::begin_of(word)), blob::TYPES_HINT);
    }
    (format!("{:?} is neither an option nor the type of a key", blob::begin_of(word)), OPTIONS)
}

/// A time, and whether it is UTC.
fn time(text: &str) -> Result<(At, bool), Wrong> {
    let (digits, utc) = text.strip_suffix('Z').map_or((text, false), |digits| (digits, true));
    let wrong = || (format!("{:?} is not a time", blob::begin_of(text)), TIME);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let full = format!("{digits:0<14}");
    let part = |from: usize, to: usize| &full[from..to];
    let (hour, minute, second) = (part(8, 10), part(10, 12), part(12, 14));
    if hour > "23" || minute > "59" || second > "59" {
        return Err(wrong()); // leap seconds and 24:00 mean something else to every reader
    }
    let rfc3339 = format!("{}-{}-{}T{hour}:{minute}:{second}Z", part(0, 4), part(4, 6), part(6, 8));
    match At::try_from(rfc3339) {
        Ok(at) if at.micros() > 0 => Ok((at, utc)),
        _ => Err(wrong()), // no such day, or before 1970
    }
}

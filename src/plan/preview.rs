//! `preview`: a harmless command that says what its step would touch, and what it is expected to say. Start at [`read`],
//! then [`Expect::judge`].

use super::table::{Table, Value};
use super::{Command, Io, Params, RenderError, Template, command, rehearsal};
use crate::event::last_line;
use std::time::Duration;

/// The keys of a preview: those of a command, without what it cannot have. It is nobody's to type into, and what it prints is
/// read as a text, not drawn as a terminal.
const KEYS: &[&str] =
    &["run", "expect", "env", "cwd", "stdin", "sealed", "files", "timeout", "on", "pipefail", "rehearse"];
/// How long it may take where the plan says nothing.
pub(super) const TIME: Duration = Duration::from_secs(60);
/// The longest it may take: it is run again while the lead waits for the step to start.
const TIME_MAX: Duration = Duration::from_secs(600);
/// Beyond this not every whole number has a float of its own.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// What is quoted of a line.
const QUOTED_CHARS: usize = 120;

/// A command that says what its step would touch.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The command; its `timeout` is always given, its `io` is a pipe.
    pub command: Command,
    /// What a rehearsal runs in its place, expected to say the same; without one it has no preview.
    pub rehearse: Option<Command>,
    /// What it has to say.
    pub expect: Expect,
}

/// What a preview has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// The number on its last line lies in there, both ends included (`expect = "1..2000000"`).
    Range {
        /// The least, where there is one.
        from: Option<f64>,
        /// The most, where there is one.
        to: Option<f64>,
    },
    /// Its last line is this text (`expect = { equals = "…" }`).
    Equals(Template),
    /// This text stands somewhere in it (`expect = { contains = "…" }`).
    Contains(Template),
}

impl Expect {
    /// The text that a parameter may stand in.
    pub fn template(&self) -> Option<&Template> {
        match self {
            Expect::Range { .. } => None,
            Expect::Equals(text) | Expect::Contains(text) => Some(text),
        }
    }

    /// In words, for people who check it.
    pub fn words(&self, params: &Params) -> Result<String, RenderError> {
        Ok(match self {
            Expect::Range { from: Some(from), to: Some(to) } if from == to => format!("{from}"),
            Expect::Range { from: Some(from), to: Some(to) } => format!("{from} to {to}"),
            Expect::Range { from: Some(from), to: None } => format!("{from} or more"),
            Expect::Range { from: None, to: Some(to) } => format!("{to} or less"),
            Expect::Range { from: None, to: None } => "a number".to_owned(),
            Expect::Equals(text) => format!("the last line {:?}", text.render(params)?),
            Expect::Contains(text) => format!("{:?} somewhere", text.render(params)?),
        })
    }

    /// What that output comes to, where it is what was expected; else why not.
    pub fn judge(&self, params: &Params, output: &str) -> Result<String, String> {
        let Some(last) = last_line(output) else { return Err("it printed nothing".to_owned()) };
        let expected = self.words(params).map_err(|error| error.to_string())?;
        match self {
            Expect::Range { from, to } => {
                let (text, number) = number(last)?;
                match from.is_none_or(|from| from <= number) && to.is_none_or(|to| number <= to) {
                    true => Ok(text.to_owned()),
                    false => Err(format!("it says {:?}, and {expected} was expected", quoted(last))),
                }
            }
            Expect::Equals(wanted) => {
                let wanted = wanted.render(params).map_err(|error| error.to_string())?;
                match last == wanted.trim() {
                    true => Ok(quoted(last)),
                    false => Err(format!("it says {:?}, and {wanted:?} was expected", quoted(last))),
                }
            }
            Expect::Contains(wanted) => {
                let wanted = wanted.render(params).map_err(|error| error.to_string())?;
                match output.contains(&wanted) {
                    true => Ok(quoted(last)),
                    false => Err(format!("{wanted:?} does not stand in it; its last line is {:?}", quoted(last))),
                }
            }
        }
    }
}

fn quoted(line: &str) -> String {
    match line.char_indices().nth(QUOTED_CHARS) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}

/// The one number on that line, as it stands there and as a number. Two numbers are none: nobody could say which counts.
fn number(line: &str) -> Result<(&str, f64), String> {
    let words = line.split_whitespace().map(|word| word.trim_matches([',', ';', ':', '(', ')', '[', ']', '"', '\'']));
    // Of "1 day 02:00:00" or "3 of 5%" the first number says nothing.
    let odd = || {
        let begins =
            |word: &&str| word.trim_start_matches(['-', '+', '.']).starts_with(|first: char| first.is_ascii_digit());
        words.clone().filter(begins).find(|word| value(word.trim_end_matches('.')).is_none())
    };
    let mut found = words.clone().filter_map(|word| Some((word, value(word.trim_end_matches('.'))?)));
    match (found.next(), found.next()) {
        (Some((_, value)), None) if value.abs() > EXACT_MAX => {
            Err(format!("the number in {:?} is too large to be compared", quoted(line)))
        }
        (Some((word, found)), None) => match odd() {
            Some(odd) => Err(format!(
                "its last line {:?} holds {odd:?} beside the number {word}; let it end with one",
                quoted(line)
            )),
            None => Ok((word, found)),
        },
        (Some((one, _)), Some((other, _))) => Err(format!(
            "its last line {:?} holds more than one number ({one}, {other}); let it end with one",
            quoted(line)
        )),
        (None, _) => Err(format!("its last line {:?} holds no number", quoted(line))),
    }
}

/// `41233`, `-3`, `0.5`, and with thousands set apart: `41,233`, `41_233`.
fn value(word: &str) -> Option<f64> {
    let (whole, fraction) = word.split_once('.').map_or((word, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let groups: Vec<&str> = digits.split([',', '_']).collect();
    let (first, rest) = groups.split_first()?;
    let grouped = rest.is_empty() || first.len() <= 3;
    if !grouped || !all_digits(first) || rest.iter().any(|group| group.len() != 3 || !all_digits(group)) {
        return None;
    }
    if fraction.is_some_and(|fraction| !all_digits(fraction)) {
        return None;
    }
    word.replace([',', '_'], "").parse().ok()
}

/// `preview = { run = ["./count"], expect = "1..2000000" }`.
pub(super) fn read(value: &Value<'_>, beside: Option<&Command>) -> Option<Preview> {
    let table = value.table("a preview", KEYS, &["io", "input", "exits", "leaves"])?;
    let label = "expected expect = \"1..2000000\", { equals = \"…\" } or { contains = \"…\" }";
    let expect = table.require("expect", label).and_then(|expect| read_expect(&expect));
    let time = match table.get("timeout") {
        Some(given) => match given.duration()? {
            time if time > TIME_MAX || time.is_zero() => {
                given.wrong("a preview cannot take that long", "expected more than nothing and at most \"10m\"")
            }
            time => Some(time),
        },
        None => Some(TIME),
    };
    let command = command::read_with(&table, Io::Pipe)?.in_folder_of(beside);
    let command = Command { timeout: Some(time?), ..command };
    Some(Preview { rehearse: rehearsal::read_preview(&table, Some(&command))?, command, expect: expect? })
}

fn read_expect(value: &Value<'_>) -> Option<Expect> {
    if value.is_table() {
        let table: Table<'_> = value.table("an expectation", &["equals", "contains"], &[])?;
        return match (table.get("equals"), table.get("contains")) {
            (Some(text), None) => text.words().and_then(|_| text.template(false)).map(Expect::Equals),
            (None, Some(text)) => text.words().and_then(|_| text.template(false)).map(Expect::Contains),
            _ => value.wrong("a preview is expected to say one thing", "expected one of `equals` and `contains`"),
        };
    }
    let text = value.text()?.trim();
    let label = "expected a range such as \"1..2000000\", \"1..\", \"..500\", or one number";
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let end = |text: &str| match text.trim() {
        "" => Some(None),
        text => self::value(text).filter(|number| number.abs() <= EXACT_MAX).map(Some),
    };
    match (end(from), end(to)) {
        _ if text.is_empty() => value.wrong("`expect` is empty", label),
        (Some(Some(from)), Some(Some(to))) if from > to => {
            value.wrong(format!("no number is from {from} to {to}"), "expected the lesser number first")
        }
        (Some(from), Some(to)) => Some(Expect::Range { from, to }),
        _ => value.wrong(format!("{text:?} is no range of numbers"), label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn parsed(preview: &str) -> Result<Preview, String> {
        let text = format!(
            "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"a@x\"]\n[params.p]\n[[step]]\nid = \"s\"\n\
             run = [\"true\"]\npreview = {preview}\n"
        );
        let plan = Plan::parse("plan.toml", &text).map_err(|error| error.to_string())?;
        plan.steps[0].preview.clone().ok_or_else(|| "none".to_owned())
    }

    fn range(text: &str) -> Expect {
        parsed(&format!("{{ run = [\"x\"], expect = {text} }}"))
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .expect
    }

    #[test]
    fn the_number_on_the_last_line_has_to_lie_in_the_range() {
        let none = Params::new();
        for (expect, output, wanted) in [
            ("\"1..2000000\"", "41233\n", Ok("41233")),
            ("\"1..2000000\"", "looking\n41,233 rows\n\n", Ok("41,233")),
            ("\"1..2000000\"", "rows: 1", Ok("1")),
            ("\"1..2000000\"", "2000000 table.v42", Ok("2000000")),
            ("\"1..2000000\"", "0", Err("1 to 2000000 was expected")),
            ("\"1..2000000\"", "2000001 rows", Err("\"2000001 rows\"")),
            ("\"1..\"", "12", Ok("12")),
            ("\"..5\"", "-3", Ok("-3")),
            ("\"0\"", "0.", Ok("0.")),
            ("\"0\"", "1", Err("0 was expected")),
            ("\"0.5..1.5\"", "0.75", Ok("0.75")),
            ("\"1..9\"", "", Err("printed nothing")),
            ("\"1..9\"", " \n\t\n", Err("printed nothing")),
            ("\"1..9\"", "none found", Err("no number")),
            ("\"1..9\"", "3 of 5", Err("more than one number")),
            ("\"1..9\"", "1 day 02:00:00", Err("holds \"02:00:00\" beside the number 1")),
            ("\"1..9\"", "took 00:00:01, rows: 5", Err("beside the number 5")),
            ("\"1..9\"", "5 (100%)", Err("beside the number 5")),
            ("\"1..9\"", "4,1,2", Err("no number")),
            ("\"1..9\"", "0x5", Err("no number")),
            ("\"1..9\"", "NaN", Err("no number")),
            ("\"1..\"", "inf", Err("no number")),
            ("\"1..\"", "99999999999999999999", Err("too large")),
            ("\"1..9\"", "\u{1b}[32m5\u{1b}[0m", Err("no number")),
            ("{ equals = \"db-3\" }", "host\n db-3 \n", Ok("db-3")),
            ("{ equals = \"db-3\" }", "db-31", Err("\"db-31\"")),
            ("{ contains = \"42\" }", "a 42 b\nlast", Ok("last")),
            ("{ contains = \"43\" }", "a 42 b\nlast", Err("\"last\"")),
        ] {
            let found = range(expect).judge(&none, output);
            match (&found, wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{expect} {output:?}"),
                (Err(why), Err(words)) => assert!(why.contains(words), "{expect} {output:?}: {why}"),
                _ => panic!("{expect} {output:?}: {found:?}"),
            }
        }
        let params = Params::from([("p".to_owned(), "db-3".to_owned())]);
        let equals = range("{ equals = \"{{ p }}\" }");
        assert!(equals.judge(&params, "db-3").is_ok() && equals.judge(&params, "db-4").is_err());
    }

    #[test]
    fn what_is_wrong_in_a_preview_is_told() {
        for (preview, words) in [
            ("{ run = [\"x\"] }", "expect"),
            ("{ expect = \"1..2\" }", "run"),
            ("{ run = [\"x\"], expect = \"5..1\" }", "lesser number first"),
            ("{ run = [\"x\"], expect = \"many\" }", "1..2000000"),
            ("{ run = [\"x\"], expect = \"\" }", "empty"),
            ("{ run = [\"x\"], expect = 5 }", "text"),
            ("{ run = [\"x\"], expect = {} }", "one of"),
            ("{ run = [\"x\"], expect = { equals = \"\" } }", "equals"),
            ("{ run = [\"x\"], expect = { equals = \"{{ q }}\" } }", "q"),
            ("{ run = [\"x\"], expect = \"1\", timeout = \"11m\" }", "10m"),
            ("{ run = [\"x\"], expect = \"1\", io = \"pty\" }", "io"),
            ("{ run = [\"x\"], expect = \"1\", gates = [] }", "gates"),
        ] {
            match parsed(preview) {
                Ok(_) => panic!("{preview} is taken"),
                Err(error) => assert!(error.contains(words), "{preview}: {error}"),
            }
        }
        assert_eq!(parsed("{ run = [\"x\"], expect = \"1\" }").unwrap().command.timeout, Some(TIME));
    }
}

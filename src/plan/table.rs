//! TOML values with their places, read into our own types. Each reader returns `None` after it has said what is wrong, so
//! that one run over a plan finds everything there is to find. Start at [`Table`].

use super::problem::Problem;
use super::template::secret_key;
use super::units::{is_identifier, nearest, parse_bytes, parse_duration};
use super::{Expected, Run, Template};
use crate::name::is_hidden;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// No duration in a plan is longer: a number above this is a mistyped one, and sums of durations cannot overflow.
const DURATION_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

/// No list is longer: more words belong in a file, and more names than this are no crew.
const ITEMS_MAX: usize = 1000;

/// Nobody reads on; and looking for what was meant takes time that a hostile file could multiply.
const PROBLEMS_MAX: usize = 1000;

pub(super) type Span = Range<usize>;

/// What all readers share: the text, what is wrong so far, and which parameters exist.
pub(super) struct Context<'a> {
    pub text: &'a str,
    problems: RefCell<Vec<Problem>>,
    params: RefCell<Vec<String>>,
    secrets: RefCell<Vec<String>>,
    /// The machines that commands may run on.
    pub hosts: RefCell<std::collections::BTreeMap<String, super::Host>>,
    used: RefCell<Vec<String>>,
}

impl<'a> Context<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            problems: RefCell::default(),
            params: RefCell::default(),
            secrets: RefCell::default(),
            hosts: RefCell::default(),
            used: RefCell::default(),
        }
    }
    pub fn problem(&self, span: Span, message: impl Into<String>, label: impl Into<String>) {
        self.push(span, message.into(), label.into(), None);
    }
    pub fn problem_with_help(
        &self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(span, message.into(), label.into(), Some(help.into()));
    }
    fn push(&self, span: Span, message: String, label: String, help: Option<String>) {
        if !self.is_full() {
            self.problems.borrow_mut().push(Problem { span, message, label, help });
        }
    }
    /// Whether no more problems are kept.
    pub fn is_full(&self) -> bool {
        self.problems.borrow().len() >= PROBLEMS_MAX
    }
    /// The word that was meant, while anybody still reads.
    pub fn nearest<'w>(&self, word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
        if self.is_full() { None } else { nearest(word, known) }
    }
    /// What this version does not carry out is refused by its name: a plan that relies on it must not fly without it.
    pub fn refuse(&self, span: Span, what: &str) {
        let message = format!("{what} is not in this version of crosscheck");
        let help =
            "leave it out; it is refused rather than ignored, because a plan that relies on it must not fly without it";
        self.problem_with_help(span, message, "refused", help);
    }
    pub fn declare(&self, param: &str) {
        self.params.borrow_mut().push(param.to_owned());
    }
    /// The declared parameters.
    pub fn declared(&self) -> Vec<String> {
        self.params.borrow().clone()
    }
    pub fn declare_secret(&self, key: &str) {
        self.secrets.borrow_mut().push(key.to_owned());
    }
    /// How often a parameter stood in a text so far.
    pub fn used(&self) -> usize {
        self.used.borrow().len()
    }
    /// The parameters that stood in a text since.
    pub fn used_since(&self, count: usize) -> BTreeSet<String> {
        self.used.borrow().iter().skip(count).cloned().collect()
    }
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A TOML table whose keys have been checked against the ones this version knows.
pub(super) struct Table<'a> {
    pub cx: &'a Context<'a>,
    /// Underlined where a key is missing: the table's header.
    pub span: Span,
    /// "a step", "the plan".
    what: &'static str,
    entries: &'a DeTable<'a>,
    keys: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// Reports every key that is neither in `keys` nor in `refused` as unknown, and those in `refused` by their name.
    pub fn new(
        cx: &'a Context<'a>,
        span: Span,
        what: &'static str,
        entries: &'a DeTable<'a>,
        keys: &[&'static str],
        refused: &[&'static str],
    ) -> Self {
        for key in entries.keys() {
            let name = key.get_ref().as_ref();
            if refused.contains(&name) {
                cx.refuse(key.span(), &format!("`{name}`"));
            } else if !keys.contains(&name) {
                let label = match cx.nearest(name, keys.iter().chain(refused).copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("not a key of {what}"),
                };
                let help = format!("{what} may have: {}", keys.join(", "));
                cx.problem_with_help(key.span(), format!("unknown key `{name}` in {what}"), label, help);
            }
        }
        // What is refused was told; whoever reads it all the same does no harm.
        Self { cx, span, what, entries, keys: [keys, refused].concat() }
    }

    pub fn get(&self, key: &'static str) -> Option<Value<'a>> {
        debug_assert!(self.keys.contains(&key), "{key} is read but would be reported as unknown");
        self.entries.get(key).map(|value| Value { cx: self.cx, key, value })
    }

    /// The same of a key that not every table with such keys takes.
    pub fn offered(&self, key: &'static str) -> Option<Value<'a>> {
        self.keys.contains(&key).then(|| self.get(key)).flatten()
    }

    pub fn require(&self, key: &'static str, label: &str) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.cx.problem(self.span.clone(), format!("{} has no `{key}`", self.what), label);
        }
        value
    }

    /// The tables of `[[key]]`, at most `max` of them.
    pub fn tables(&self, key: &'static str, max: usize) -> Vec<Value<'a>> {
        let Some(value) = self.get(key) else { return vec![] };
        let DeValue::Array(items) = value.value.get_ref() else {
            let help = format!("each begins with [[{key}]] on a line of its own");
            value.wrong_type::<()>("a list of tables", Some(help));
            return vec![];
        };
        if items.len() > max {
            let at = items.get(max).map_or(value.span(), Spanned::span);
            let message = format!("more than {max} [[{key}]] tables");
            value.cx.problem(at, message, format!("there are {}", items.len()));
        }
        items.iter().take(max).map(|item| Value { value: item, ..value }).collect()
    }

    pub fn duration(&self, key: &'static str) -> Option<Duration> {
        self.get(key)?.duration()
    }
    pub fn boolean(&self, key: &'static str) -> Option<bool> {
        self.get(key)?.boolean()
    }
    pub fn words(&self, key: &'static str) -> Option<String> {
        self.get(key)?.words()
    }
    pub fn template(&self, key: &'static str) -> Option<Template> {
        self.get(key)?.template(false)
    }
}

/// One TOML value, the key it stands under, and where.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub cx: &'a Context<'a>,
    pub key: &'a str,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    pub fn span(&self) -> Span {
        self.value.span()
    }

    fn wrong_type<T>(&self, expected: &str, help: Option<String>) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("`{}` has the wrong type", self.key);
        self.cx.push(self.span(), message, format!("expected {expected}, found {found}"), help);
        None
    }

    pub fn wrong<T>(&self, message: impl Into<String>, label: impl Into<String>) -> Option<T> {
        self.cx.problem(self.span(), message, label);
        None
    }

    /// The text as it is, or nothing where the value is of another type. Says nothing.
    pub fn peek(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    /// The value under a key, where this is a table that has it. Says nothing.
    pub fn field(&self, key: &'static str) -> Option<Value<'a>> {
        let value = self.value.get_ref().as_table()?.get(key)?;
        Some(Value { cx: self.cx, key, value })
    }

    /// One line of text without hidden characters.
    pub fn text(&self) -> Option<&'a str> {
        self.text_of("text in quotes", false)
    }

    fn text_of(&self, expected: &str, lines: bool) -> Option<&'a str> {
        let Some(text) = self.peek() else { return self.wrong_type(expected, None) };
        let hidden = |c: &char| is_hidden(*c) && !(lines && matches!(c, '\n' | '\t'));
        if let Some(c) = text.chars().find(hidden) {
            let label = match c {
                '\n' | '\r' | '\t' => "expected one line, without tabs".to_owned(),
                _ => "expected characters that can be seen".to_owned(),
            };
            return self.wrong(format!("`{}` holds the hidden character {}", self.key, c.escape_unicode()), label);
        }
        Some(text)
    }

    /// One line of text that says something.
    pub fn words(&self) -> Option<String> {
        let text = self.text()?;
        let tag = text.match_indices("{{").find(|(at, _)| text[at + 2..].trim_start().starts_with("secret."));
        if let Some((at, _)) = tag {
            self.misplaced_secret(self.part(&text[at..text[at..].find("}}").map_or(text.len(), |end| at + end + 2)]));
            return None;
        }
        match text.trim() {
            "" => self.wrong(format!("`{}` is empty", self.key), "expected some words"),
            _ => Some(text.to_owned()),
        }
    }

    /// A name that is checked by its own type.
    pub fn name<T: std::str::FromStr<Err = crate::name::NameError>>(&self) -> Option<T> {
        let text = self.text()?;
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => self.wrong(error.to_string(), format!("expected a valid `{}`", self.key)),
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let known: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
        let label = match self.cx.nearest(text, choices.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("expected {}", known.join(" or ")),
        };
        self.wrong(format!("`{}` cannot be {text:?}", self.key), label)
    }

    pub fn boolean(&self) -> Option<bool> {
        self.value.get_ref().as_bool().or_else(|| self.wrong_type("true or false", None))
    }

    fn whole(&self) -> Option<i128> {
        let integer = self.value.get_ref().as_integer()?;
        i128::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// A whole number within limits.
    pub fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        if self.value.get_ref().as_integer().is_none() {
            return self.wrong_type("a whole number", None);
        }
        match self.whole().and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n)) {
            Some(n) => Some(n),
            None if *range.end() == u64::MAX => {
                self.wrong(format!("`{}` is out of range", self.key), format!("expected at least {}", range.start()))
            }
            None => {
                let label = format!("expected {} to {}", range.start(), range.end());
                self.wrong(format!("`{}` is out of range", self.key), label)
            }
        }
    }

    /// A number above 0 and up to `max`.
    pub fn number(&self, max: f64) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            DeValue::Integer(_) => self.whole().map(|n| n as f64), // beyond 2^53 it is far out of every range here
            _ => return self.wrong_type("a number", None),
        };
        match number.filter(|n| *n > 0.0 && *n <= max) {
            Some(number) => Some(number),
            None => {
                self.wrong(format!("`{}` is out of range", self.key), format!("expected more than 0, at most {max}"))
            }
        }
    }

    /// Any number.
    pub fn finite(&self) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            DeValue::Integer(_) => self.whole().map(|n| n as f64), // past 2^53 its last digits are nobody's limit
            _ => return self.wrong_type("a number", None),
        };
        match number.filter(|n| n.is_finite()) {
            Some(number) => Some(number),
            None => self.wrong(format!("`{}` is no number to compare with", self.key), "expected a finite number"),
        }
    }

    /// A text, a number, or true or false: what may be expected somewhere.
    pub fn scalar(&self) -> Option<Expected> {
        match self.value.get_ref() {
            DeValue::Boolean(truth) => Some(Expected::Truth(*truth)),
            DeValue::Float(_) | DeValue::Integer(_) => self.finite().map(Expected::Number),
            DeValue::String(_) => self.text().map(|text| Expected::Text(text.to_owned())),
            _ => self.wrong_type("text, a number, or true or false", None),
        }
    }

    /// A duration: a whole number and its unit.
    pub fn duration(&self) -> Option<Duration> {
        let expected = "a duration such as \"45m\" or \"800ms\"";
        let Some(text) = self.peek() else {
            let help = self.whole().map(|n| format!("write the unit: \"{n}s\""));
            return self.wrong_type(expected, help);
        };
        match parse_duration(text) {
            Some(Duration::ZERO) => self.wrong(format!("`{}` is no time at all", self.key), "expected more than 0"),
            Some(duration) if duration > DURATION_MAX => {
                self.wrong(format!("`{}` is too long", self.key), "expected at most ten years")
            }
            Some(duration) => Some(duration),
            None => {
                let label = format!("expected {expected}");
                let help = "a whole number and one unit: ms, s, m, h or d";
                self.cx.problem_with_help(self.span(), format!("`{}` is not a duration", self.key), label, help);
                None
            }
        }
    }

    /// A number of bytes, with a unit or without.
    pub fn bytes(&self) -> Option<u64> {
        let expected = "a number of bytes such as \"5GiB\" or 4096";
        match self.value.get_ref() {
            DeValue::Integer(_) => self.integer(1..=u64::MAX),
            DeValue::String(text) => match parse_bytes(text) {
                Some(bytes) if bytes > 0 => Some(bytes),
                _ => {
                    let label = format!("expected {expected}");
                    let help = "a whole number and one unit: B, KB, MB, GB, TB, KiB, MiB, GiB or TiB";
                    self.cx.problem_with_help(self.span(), format!("`{}` is not a size", self.key), label, help);
                    None
                }
            },
            _ => self.wrong_type(expected, None),
        }
    }

    /// The items of a list.
    pub fn items(&self, of: &str) -> Option<Vec<Value<'a>>> {
        match self.value.get_ref() {
            DeValue::Array(items) if items.len() > ITEMS_MAX => {
                let message = format!("`{}` has more than {ITEMS_MAX} items", self.key);
                self.wrong(message, format!("there are {}", items.len()))
            }
            DeValue::Array(items) => Some(items.iter().map(|item| Value { value: item, ..*self }).collect()),
            DeValue::String(_) => {
                let written = self.cx.text.get(self.span()).unwrap_or("…").lines().next().unwrap_or("…");
                self.wrong_type(&format!("a list of {of}"), Some(format!("write it as a list: [{written}]")))
            }
            _ => self.wrong_type(&format!("a list of {of}"), None),
        }
    }

    /// A table with these keys.
    pub fn table(&self, what: &'static str, keys: &[&'static str], refused: &[&'static str]) -> Option<Table<'a>> {
        match self.value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(self.cx, self.span(), what, entries, keys, refused)),
            _ => self.wrong_type("a table", None),
        }
    }

    /// A table whose keys are names of the writer's own: each key's place, the key, its value.
    pub fn entries(&self) -> Option<Vec<(Span, &'a str, Value<'a>)>> {
        let DeValue::Table(entries) = self.value.get_ref() else { return self.wrong_type("a table", None) };
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &std::borrow::Cow<'a, str> = key.get_ref();
            (key.span(), name.as_ref(), Value { cx: self.cx, key: name.as_ref(), value })
        };
        Some(entries.iter().map(entry).collect())
    }

    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }
    pub fn is_true(&self) -> bool {
        self.value.get_ref().as_bool() == Some(true)
    }
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A command: a list of words, or a text for the shell.
    pub fn run(&self) -> Option<Run> {
        if self.is_text() {
            let text = self.template(true)?;
            return match text.text().trim() {
                "" => self.wrong(format!("`{}` is empty", self.key), "expected a command"),
                _ => Some(Run::Shell(text)),
            };
        }
        if self.value.get_ref().as_array().is_none() {
            return self.wrong_type("a command: a list of words, or a text for `sh -eu -c`", None);
        }
        let items = self.items("words")?;
        // A word may hold line ends (a query, a script for `-c`): the panel writes them out.
        let words: Vec<_> = items.iter().map(|item| item.template(true)).collect();
        if words.first().is_none_or(|word| word.as_ref().is_some_and(|word| word.text().trim().is_empty())) {
            return self.wrong(format!("`{}` names no command", self.key), "expected the command's name first");
        }
        words.into_iter().collect::<Option<_>>().map(Run::Argv)
    }

    /// Text with parameters in it. Only a declared parameter's name, or a text in quotes, may stand between the braces: a
    /// command must be readable without knowing a template language.
    pub fn template(&self, lines: bool) -> Option<Template> {
        self.template_with(lines, false)
    }

    /// The same, where `{{ secret.KEY }}` may stand too.
    pub fn secret_template(&self) -> Option<Template> {
        self.template_with(false, true)
    }

    fn template_with(&self, lines: bool, secrets: bool) -> Option<Template> {
        let text = self.text_of("text in quotes", lines)?;
        if !self.scan(text, secrets) {
            return None;
        }
        match Template::new(text) {
            Ok(template) => Some(template),
            Err(why) => self.wrong(format!("`{}` cannot be filled in: {why}", self.key), "expected {{ NAME }}"),
        }
    }

    fn scan(&self, text: &str, secrets: bool) -> bool {
        let before = self.cx.problems.borrow().len();
        let mut rest = text;
        // One look at each brace, so that a long text takes no longer than its length.
        while let Some(at) = rest.find('{').filter(|_| !self.cx.is_full()) {
            if !matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')) {
                rest = &rest[at + 1..];
                continue;
            }
            let tag = &rest[at..];
            if !tag.starts_with("{{") {
                let what = &tag[..2];
                let help = format!("write {{{{ '{what}' }}}} for these two characters themselves");
                let message = format!("`{what}` is not in a plan's texts");
                self.cx.problem_with_help(self.part(what), message, "expected {{ NAME }} only", help);
                return false;
            }
            let inner = tag[2..].trim_start();
            let skipped = tag.len() - inner.len();
            let quoted = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let end = match quoted {
                Some(quote) => inner[1..].find(quote).map(|end| end + 2),
                None => inner.find("}}"),
            };
            let close = end.and_then(|end| inner[end..].find("}}").map(|close| (end, end + close)));
            let Some((end, close)) = close else {
                let help = "write {{ '{{' }} for these two characters themselves";
                self.cx.problem_with_help(self.part("{{"), "`{{` is never closed", "expected {{ NAME }}", help);
                return false;
            };
            let whole = &tag[..skipped + close + 2];
            let literal = quoted.is_some() && inner[end..close].trim().is_empty() && !inner[..end].contains('\\');
            if !literal {
                self.placeholder(whole, inner[..close].trim(), secrets);
            }
            rest = &tag[whole.len()..];
        }
        self.cx.problems.borrow().len() == before && !self.cx.is_full()
    }

    fn placeholder(&self, whole: &str, name: &str, secrets: bool) {
        let span = self.part(whole);
        match secret_key(name) {
            Some(_) if !secrets => return self.misplaced_secret(span),
            Some(key) => return self.secret(span, key),
            None => {}
        }
        if !is_identifier(name) {
            let message = format!("`{whole}` is not a parameter");
            let help = "write {{ '{{' }} for two braces themselves";
            return self.cx.problem_with_help(span, message, "expected a parameter's name alone", help);
        }
        let params = self.cx.params.borrow();
        if params.iter().any(|param| param == name) {
            self.cx.used.borrow_mut().push(name.to_owned());
            return;
        }
        let label = match self.cx.nearest(name, params.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "no such parameter".to_owned(),
        };
        let help = format!("declare it: [params.{name}]");
        self.cx.problem_with_help(span, format!("parameter `{name}` is not declared"), label, help);
    }

    fn misplaced_secret(&self, span: Span) {
        let message = format!("a secret in `{}`", self.key);
        let help = "let the command read it from a variable: env = { KEY = \"{{ secret.KEY }}\" }; everything else stands \
                    in the transcript, and a command line in `ps`";
        self.cx.problem_with_help(span, message, "secrets are for a step's `env` and for `webhook` alone", help);
    }

    fn secret(&self, span: Span, key: &str) {
        let secrets = self.cx.secrets.borrow();
        if secrets.iter().any(|secret| secret == key) {
            return;
        }
        let label = match self.cx.nearest(key, secrets.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "no such secret".to_owned(),
        };
        let help = format!(
            "declare it in [secrets]: {key} = {{ command = [\"…\"] }}, {{ env = \"NAME\" }} or {{ file = \"path\" }}"
        );
        self.cx.problem_with_help(span, format!("secret `{key}` is not declared"), label, help);
    }

    /// Where these bytes of this text stand; all of it where an escape in the TOML hides the place.
    pub fn slice(&self, bytes: Range<usize>) -> Span {
        let (span, text) = (self.span(), self.peek().unwrap_or_default());
        let raw = self.cx.text.get(span.clone()).unwrap_or_default();
        match raw.get(1..).is_some_and(|raw| raw.starts_with(text)) && text.get(bytes.clone()).is_some() {
            true if !bytes.is_empty() => span.start + 1 + bytes.start..span.start + 1 + bytes.end,
            _ => span,
        }
    }

    /// Where `part` of this text stands; all of it where an escape in the TOML hides the place.
    pub fn part(&self, part: &str) -> Span {
        let span = self.span();
        match self.cx.text.get(span.clone()).and_then(|raw| raw.find(part)) {
            Some(at) => span.start + at..span.start + at + part.len(),
            None => span,
        }
    }
}

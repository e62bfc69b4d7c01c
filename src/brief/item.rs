//! What is said of what is armed, as data: sections of items, each with its text, in what it differs, and how loud it is. And
//! the one way in which words and variables are written as a shell takes them.

use crate::hash::Hash;
use crate::name::{escaped, is_hidden};

/// How many sections there are: what is armed, by what people ask of it.
pub const SECTIONS: usize = 5;

/// A part of what is armed.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// What it is about.
    pub name: Name,
    /// What it says, in order.
    pub items: Vec<Item>,
}

/// What a section is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// What runs, and where.
    Command,
    /// What it is made of.
    Files,
    /// What allows it.
    Gates,
    /// What it touches and how it is undone.
    Undo,
    /// Who has to agree.
    Crew,
}
impl Name {
    /// Each, in order.
    pub const ALL: [Name; SECTIONS] = [Name::Command, Name::Files, Name::Gates, Name::Undo, Name::Crew];
    /// Its heading.
    pub fn word(self) -> &'static str {
        match self {
            Name::Command => "command",
            Name::Files => "files and parameters",
            Name::Gates => "gates",
            Name::Undo => "blast and undo",
            Name::Crew => "crew",
        }
    }
}

/// One thing that is said.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What it is.
    pub label: String,
    /// What it says.
    pub text: Text,
    /// What is worth knowing beside it: where a value comes from, that one is hidden.
    pub aside: Option<String>,
    /// In what it differs from what people may expect.
    pub differs: Vec<Difference>,
    /// How loud it is.
    pub loud: Loud,
    /// Whether it changes by itself while it is read: then it has one row wherever it stands.
    pub live: bool,
}

/// What an item says. Nothing in it is harmless yet but lines.
#[derive(Debug, Clone, PartialEq)]
pub enum Text {
    /// A sentence or a value.
    Words(String),
    /// An argument vector, word by word.
    Command(Vec<String>),
    /// What a shell runs, as it is written.
    Script {
        /// Which shell.
        by: String,
        /// Its lines, hidden characters marked.
        lines: Vec<String>,
        /// What cannot be seen of it.
        note: Option<String>,
    },
    /// Environment variables.
    Variables(Vec<(String, String)>),
    /// A text.
    Lines {
        /// What is said of the whole; may be empty.
        head: String,
        /// Its lines, hidden characters marked.
        lines: Vec<String>,
        /// What cannot be seen of it.
        note: Option<String>,
    },
    /// A file.
    File {
        /// Where it is.
        path: String,
        /// Its bytes.
        sha256: Hash,
        /// Its length.
        size: u64,
        /// What else is to be known; may be empty.
        aside: String,
        /// Its text where that is kept, hidden characters marked.
        lines: Vec<String>,
        /// What cannot be seen of it.
        note: Option<String>,
    },
}

/// One change. Its texts are harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where in the item; empty where it is the whole.
    pub part: String,
    /// What stands there; nothing where it is gone.
    pub is: Option<String>,
    /// What stood there; nothing where it is new.
    pub was: Option<String>,
}

/// In what an item differs, and from what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// From what.
    pub from: From,
    /// Where in the item, what stands there, and what stood there.
    pub change: Change,
}

impl Difference {
    /// The whole of it is another one.
    pub(super) fn whole(from: From, was: String) -> Difference {
        Difference { from, change: Change { part: String::new(), is: None, was: Some(was) } }
    }
    /// Where it is, and what stands there now; empty where it is the whole.
    fn here(&self) -> String {
        match (self.change.part.as_str(), &self.change.is) {
            ("", None) => String::new(),
            ("", Some(is)) => is.clone(),
            (part, None) => part.to_owned(),
            (part, Some(is)) => format!("{part}: {is}"),
        }
    }
    /// In a row of its own, under a heading that says from what: `argument 2: db-2, was db-1`.
    pub fn told(&self) -> String {
        let (here, Change { is, was, .. }) = (self.here(), &self.change);
        match (is, was) {
            (None, None) => here,
            (Some(_), None) => format!("{here}, is new"),
            (None, Some(was)) if here.is_empty() => format!("was {was}"),
            (None, Some(was)) => format!("{here} is gone, was {was}"),
            (Some(_), Some(was)) => format!("{here}, was {was}"),
        }
    }
}

/// In words; not harmless yet.
impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (here, from) = (self.here(), self.from.word());
        let was = self.change.was.as_deref().unwrap_or("nothing there");
        match here.is_empty() {
            true => write!(f, "DIFFERS: {from} has {was}"),
            false => write!(f, "DIFFERS in {here}; {from} has {was}"),
        }
    }
}

/// From what an item may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The plan that was reviewed.
    Plan,
    /// The last attempt of the step in this session.
    LastAttempt,
    /// The last session that flew it.
    LastFlight,
    /// The last session that rehearsed it.
    LastRehearsal,
}
impl From {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            From::Plan => "the plan",
            From::LastAttempt => "the attempt before",
            From::LastFlight => "the last flight",
            From::LastRehearsal => "the last rehearsal",
        }
    }
}

/// How loud an item is, by what it means; what that looks like is each screen's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loud {
    /// As expected.
    Plain,
    /// Worth a look.
    Look,
    /// To be weighed.
    Warning,
    /// Cannot be taken back, or is not what people think it is.
    Danger,
}

impl Item {
    pub(super) fn new(label: &str, text: Text) -> Item {
        Item { label: label.to_owned(), text, aside: None, differs: vec![], loud: Loud::Plain, live: false }
    }
    pub(super) fn words(label: &str, words: String) -> Item {
        Item::new(label, Text::Words(words))
    }
    pub(super) fn loud(self, loud: Loud) -> Item {
        Item { loud, ..self }
    }
    pub(super) fn live(self) -> Item {
        Item { live: true, ..self }
    }
}

impl Text {
    /// The same in a few words, for a sentence: what of it is long is told by its hash.
    pub fn short(&self) -> String {
        const CHARS: usize = 200;
        let of = |lines: &[String], what: &str| {
            format!("{what} of {} lines, SHA-256 {}", lines.len(), Hash::of(lines.join("\n").as_bytes()).short())
        };
        let all = match self {
            Text::Words(words) => escaped(words),
            Text::Command(argv) => command_line(argv),
            Text::Script { lines, .. } if lines.len() == 1 => lines.concat(),
            Text::Script { lines, .. } => of(lines, "a script"),
            Text::Variables(all) => variables(all),
            Text::Lines { lines, .. } if lines.len() == 1 => lines.concat(),
            Text::Lines { lines, .. } => of(lines, "a text"),
            Text::File { path, sha256, size, .. } => format!("{}, {size} bytes, SHA-256 {sha256}", escaped(path)),
        };
        match all.char_indices().nth(CHARS) {
            Some((cut, _)) => format!("{}… (SHA-256 {})", &all[..cut], Hash::of(all.as_bytes()).short()),
            None => all,
        }
    }
}

/// Variables as a shell would be given them.
pub fn variables(all: &[(String, String)]) -> String {
    all.iter().map(|(name, value)| format!("{}={}", escaped(name), quoted(value))).collect::<Vec<_>>().join(" ")
}

/// One argument as a POSIX shell (with `$'…'`) would have to be given it. Hidden characters make it `$'…'` with the
/// character written out, so that what is read is exactly what is executed.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    if !word.chars().any(is_hidden) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut out = String::from("$'");
    for c in word.chars() {
        match c {
            '\n' => out.push_str(r"\n"),
            '\t' => out.push_str(r"\t"),
            '\r' => out.push_str(r"\r"),
            '\\' | '\'' => out.extend(['\\', c]),
            c if is_hidden(c) && (c as u32) < 0x80 => out.push_str(&format!(r"\x{:02x}", c as u32)),
            c if is_hidden(c) && (c as u32) < 0x1_0000 => out.push_str(&format!(r"\u{:04x}", c as u32)),
            c if is_hidden(c) => out.push_str(&format!(r"\U{:08x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// A whole argument vector, quoted.
pub fn command_line(argv: &[String]) -> String {
    argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

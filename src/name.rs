//! Names that reach every screen: principals, steps, watches. Checked once at the door, so that no other module has to
//! ask whether a name could hide a character or draw on somebody's terminal.

use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a {0} may not be empty")]
    Empty(&'static str),
    /// Wider than the widest column that shows it.
    #[error("a {0} may be at most {1} columns wide")]
    TooWide(&'static str, usize),
    /// A control, bidi, zero-width or blank character, or a comma (OpenSSH splits principals there).
    #[error("a {0} may not contain {1}")]
    Character(&'static str, String),
}

/// Whether a character must never reach a screen unescaped: control characters, C1, bidi marks and overrides, zero-width
/// characters, line separators, the byte order mark and tag characters.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text from outside made harmless for one line of a screen: hidden characters become `\u{..}`, tabs and line ends a blank.
pub fn shown(text: &str) -> String {
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()) {
        return text.to_owned();
    }
    let mut marks = Marks::default();
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' | '\t' | '\r' => out.push(' '),
            c if is_hidden(c) || marks.too_many(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// The text with every hidden character written as `\u{..}`, line ends and tabs included: for a command, where a blank
/// in place of a line end would be a lie.
pub fn escaped(text: &str) -> String {
    let mut marks = Marks::default();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_hidden(c) || marks.too_many(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Counts the marks on one character. No script stacks more than a few; a hundred of them draw over the lines above.
#[derive(Default)]
struct Marks(u32);
impl Marks {
    const MAX: u32 = 8;

    fn too_many(&mut self, c: char) -> bool {
        self.0 = if c.width() == Some(0) { self.0 + 1 } else { 0 };
        self.0 > Self::MAX
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $columns:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// Accepts the text, or says what is wrong with it.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let text: String = text.nfc().collect();
                if text.is_empty() {
                    return Err(NameError::Empty($what));
                }
                let allowed: fn(char) -> bool = $allowed;
                let mut marks = Marks::default();
                if let Some(bad) = text.chars().find(|c| is_hidden(*c) || marks.too_many(*c) || !allowed(*c)) {
                    return Err(NameError::Character($what, format!("{:?}", bad)));
                }
                if text.width() > $columns {
                    return Err(NameError::TooWide($what, $columns));
                }
                Ok(Self(text.into()))
            }
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }
        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A person (or the hub itself) as `allowed_signers` would name them.
    Principal, "principal", 64, |c| !c.is_whitespace() && !",*?!\"\\#'%&\u{2800}".contains(c)
);
name!(
    /// A step's id in its plan.
    StepId, "step id", 32, |c| c.is_alphanumeric() || "-_.".contains(c)
);
name!(
    /// A watch's id in its plan.
    WatchId, "watch id", 32, |c| c.is_alphanumeric() || "-_.".contains(c)
);

name!(
    /// A checklist item's id in its plan.
    ItemId, "checklist id", 32, |c| c.is_alphanumeric() || "-_.".contains(c)
);

impl Principal {
    /// The author of what the hub does by itself.
    pub fn hub() -> Self {
        Self("hub".into())
    }
    /// Whether this is the hub rather than a person.
    pub fn is_hub(&self) -> bool {
        &*self.0 == "hub"
    }
    /// The part before the `@`: enough to tell people apart in a narrow column.
    pub fn short(&self) -> &str {
        self.0.split('@').next().unwrap_or(&self.0)
    }
}

/// Which command of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The step's own.
    #[default]
    Step,
    /// What undoes it.
    Rollback,
    /// What says what it would touch.
    Preview,
    /// What informs who judges it.
    Probe,
}
impl Part {
    /// Every one.
    pub const ALL: [Part; 4] = [Part::Step, Part::Rollback, Part::Preview, Part::Probe];
    /// The word in file names and sentences.
    pub fn word(self) -> &'static str {
        match self {
            Part::Step => "step",
            Part::Rollback => "rollback",
            Part::Preview => "preview",
            Part::Probe => "probe",
        }
    }
    pub(crate) fn is_step(&self) -> bool {
        *self == Part::Step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_could_hide_or_split() {
        for bad in [
            "",
            "a b",
            "a,b",
            "a\u{202e}b",
            "a\u{200b}b",
            "x\n",
            "*@example.org",
            "a\u{7f}",
            "a\u{2800}",
            &format!("x{}", "\u{301}".repeat(9)),
        ] {
            assert!(Principal::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Principal::new("dana@example.org").unwrap().short(), "dana");
        assert!(StepId::new("drop-1.a_b").is_ok());
        assert!(StepId::new("drop 1").is_err());
    }

    #[test]
    fn shown_text_holds_no_hidden_character() {
        let hostile = "a\u{1b}[31mb\u{9b}c\u{202e}d\u{200b}e\nf";
        assert!(!shown(hostile).chars().any(is_hidden));
        assert!(!escaped(hostile).chars().any(is_hidden));
        assert!(escaped(hostile).contains("\\n"));
        let stacked = format!("e{}", "\u{301}".repeat(100));
        assert_eq!(shown(&stacked).matches('\u{301}').count(), 8);
        assert_eq!(shown("e\u{301}\u{302} ไม่ 각"), "e\u{301}\u{302} ไม่ 각");
    }
}

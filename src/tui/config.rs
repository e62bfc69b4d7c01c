//! A person's own settings: `$XDG_CONFIG_HOME/crosscheck/config.toml`. It is read, and never written.
//!
//! A wrong file is no reason to stay outside a session: the screen opens as it would without one, and says so.

use super::draw::Glyphs;
use super::source::{Source, Wrong};
use crate::brief::keys::Keys;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// What the file may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The theme to begin with.
    pub theme: Option<String>,
    /// Which signs.
    pub glyphs: Option<Glyphs>,
    /// Whether the bell rings.
    pub bell: bool,
    /// What each key does.
    pub keys: Keys,
}

impl Default for Config {
    fn default() -> Config {
        Config { theme: None, glyphs: None, bell: true, keys: Keys::default() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    theme: Option<String>,
    glyphs: Option<Spanned<String>>,
    bell: Option<bool>,
    #[serde(default)]
    keys: std::collections::BTreeMap<Spanned<String>, Spanned<OneOrMore>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Where a person's own files lie: below `$XDG_CONFIG_HOME`, else below `~/.config`.
pub fn folder(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(".config")));
    Some(base?.join("crosscheck"))
}

/// The file below that folder.
pub fn path(folder: &Path) -> PathBuf {
    folder.join("config.toml")
}

impl Config {
    /// Reads the file; without one, nothing is set.
    pub fn read(path: &Path) -> anyhow::Result<Config> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Config::parse(&path.display().to_string(), &text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
            Err(error) => anyhow::bail!("{}: {error}", crate::name::shown(&path.display().to_string())),
        }
    }

    /// Reads its text.
    pub fn parse(origin: &str, text: &str) -> Result<Config, Wrong> {
        let source = Source { origin, text };
        let file: File = toml::from_str(text).map_err(|error| {
            source.error(error.span().unwrap_or(0..0), "the configuration cannot be read", error.message())
        })?;
        let mut config = Config { theme: file.theme, bell: file.bell.unwrap_or(true), ..Config::default() };
        if let Some(glyphs) = &file.glyphs {
            config.glyphs = Some(match glyphs.get_ref().as_str() {
                "unicode" => Glyphs::Unicode,
                "ascii" => Glyphs::Ascii,
                _ => return Err(source.error(glyphs.span(), "no such glyphs", "expected \"unicode\" or \"ascii\"")),
            });
        }
        for (act, keys) in &file.keys {
            let list = match keys.get_ref() {
                OneOrMore::One(key) => std::slice::from_ref(key),
                OneOrMore::More(keys) => keys,
            };
            let wrong = |why: String| source.error(act.span().start..keys.span().end, "this key cannot be", &why);
            config.keys.rebind(act.get_ref(), list).map_err(wrong)?;
        }
        // Together, since one act may take the key that another gives up further down.
        let all = file.keys.first_key_value().zip(file.keys.last_key_value());
        let span =
            all.map_or(0..0, |((a, _), (b, _))| a.span().start.min(b.span().start)..a.span().end.max(b.span().end));
        config.keys.check().map_err(|why| source.error(span, "these keys cannot be", &why))?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brief::acts::{Act, Place};

    #[test]
    fn what_a_person_sets_holds_and_the_rest_stays() {
        assert_eq!(Config::parse("c", "").unwrap(), Config::default());
        let text =
            "theme = \"harbour\"\nglyphs = \"ascii\"\nbell = false\n[keys]\narm = \"I\"\nandon = [\"E\", \"Ctrl-G\"]\n";
        let config = Config::parse("c", text).unwrap();
        assert_eq!(
            (config.theme.as_deref(), config.glyphs, config.bell),
            (Some("harbour"), Some(Glyphs::Ascii), false)
        );
        assert_eq!(config.keys.act(Place::Main, "I"), Some(Act::Arm));
        assert_eq!(config.keys.act(Place::Main, "a"), None);
        assert_eq!(config.keys.all(Act::Andon, Place::Main), ["!", "Ctrl-X", "E", "Ctrl-G"]);
        // Two acts may change places.
        let config = Config::parse("c", "[keys]\narm = \"r\"\nrun = \"a\"\n").unwrap();
        assert_eq!(config.keys.act(Place::Main, "a"), Some(Act::Run));
    }

    #[test]
    fn what_is_wrong_is_underlined() {
        for (text, wanted) in [
            ("them = \"dusk\"\n", "unknown field"),
            ("glyphs = \"emoji\"\n", "expected \"unicode\" or \"ascii\""),
            ("[keys]\nlaunch = \"l\"\n", "there is no act `launch`"),
            ("[keys]\narm = \"r\"\n", "r would mean `arm` and `run`"),
            ("[keys]\narm = 1\n", "cannot be read"),
            ("[keys]\ncheck = \"Enter\"\n", "Enter acts on nothing"),
            ("bell = \"\u{1b}[31m\"\n", "cannot be read"),
        ] {
            let error = Config::parse("config.toml", text).expect_err(wanted).to_string();
            assert!(error.contains(wanted) && error.contains("config.toml"), "{error}");
            assert!(!error.contains('\u{1b}'), "{error}");
        }
    }

    #[test]
    fn the_file_lies_where_other_programs_have_theirs() {
        let one = |name: &str, value: &str| {
            let pair = (name.to_owned(), value.to_owned());
            folder(move |name| (pair.0 == name).then(|| pair.1.clone()))
        };
        assert_eq!(one("XDG_CONFIG_HOME", "/c"), Some(PathBuf::from("/c/crosscheck")));
        assert_eq!(one("HOME", "/home/dana"), Some(PathBuf::from("/home/dana/.config/crosscheck")));
        assert_eq!(one("XDG_CONFIG_HOME", "relative"), None);
        assert_eq!(folder(|_| None), None);
    }
}

//! Colours by meaning. A theme file sets the colours of [`Ink`]s; words and signs are code, so no theme can take them away.
//!
//! A file has a `[palette]` of named colours and, where it wants more than the defaults, `[roles]`. It is searched as a
//! path, then under `$XDG_CONFIG_HOME/crosscheck/themes`, then among those built in. Two more modes are derived and not
//! files: `ansi` (the terminal's own sixteen colours) and `mono` (none: bold, underline, reverse).

pub mod check;

use super::source::{Source, Wrong};
use crate::brief::stands::Tone;
use crate::name::shown;
use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;

impl From<Tone> for Ink {
    fn from(tone: Tone) -> Ink {
        match tone {
            Tone::Text => Ink::Text,
            Tone::Dim => Ink::Dim,
            Tone::Strong => Ink::Strong,
            Tone::Pass => Ink::Pass,
            Tone::Warn => Ink::Warn,
            Tone::Hold => Ink::Hold,
            Tone::Fail => Ink::Fail,
            Tone::Stale => Ink::Stale,
            Tone::Unknown => Ink::Unknown,
            Tone::Waiting => Ink::Waiting,
            Tone::Running => Ink::Running,
            Tone::Done => Ink::Done,
            Tone::Skipped => Ink::Skipped,
            Tone::Changed => Ink::Changed,
            Tone::Destructive => Ink::Destructive,
            Tone::Andon => Ink::Andon,
        }
    }
}

/// The themes built in, as they stand in their files.
pub const BUILT_IN: [(&str, &str); 4] = [
    ("dusk", include_str!("../../themes/dusk.toml")),
    ("paper", include_str!("../../themes/paper.toml")),
    ("beacon", include_str!("../../themes/beacon.toml")),
    ("harbour", include_str!("../../themes/harbour.toml")),
];

/// The modes that are derived.
pub const DERIVED: [&str; 2] = ["ansi", "mono"];

/// The names a palette has to have; the roles' defaults are made of them.
const PALETTE: [&str; 11] =
    ["base", "panel", "text", "dim", "accent", "pass", "warn", "hold", "fail", "stale", "param"];

macro_rules! inks {
    ($($ink:ident = $name:literal : $fg:literal on $bg:literal, $mods:expr;)*) => {
        /// What a colour means. Its name in a theme file is [`Ink::name`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)] // the names are the meaning
        pub enum Ink { $($ink),* }
        impl Ink {
            /// Every role.
            pub const ALL: &'static [Ink] = &[$(Ink::$ink),*];
            /// Its name in a theme file.
            pub fn name(self) -> &'static str {
                match self { $(Ink::$ink => $name),* }
            }
            /// Palette names of foreground and background (empty: the screen's), and what is added to them.
            fn default(self) -> (&'static str, &'static str, Modifier) {
                match self { $(Ink::$ink => ($fg, $bg, $mods)),* }
            }
        }
    };
}
const PLAIN: Modifier = Modifier::empty();
const BOLD: Modifier = Modifier::BOLD;
const UNDER: Modifier = Modifier::UNDERLINED;
const REVERSED: Modifier = Modifier::REVERSED;
inks! {
    Base = "base": "text" on "base", PLAIN;
    Panel = "panel": "text" on "panel", PLAIN;
    Overlay = "overlay": "text" on "base", PLAIN;
    Text = "text": "text" on "", PLAIN;
    Dim = "dim": "dim" on "", PLAIN;
    Strong = "strong": "text" on "", BOLD;
    Border = "border": "dim" on "", PLAIN;
    Focus = "focus": "accent" on "", BOLD;
    Title = "title": "text" on "", BOLD;
    Key = "key": "accent" on "", BOLD;
    Pass = "pass": "pass" on "", PLAIN;
    Warn = "warn": "warn" on "", PLAIN;
    Hold = "hold": "hold" on "", BOLD;
    Fail = "fail": "fail" on "", BOLD;
    Stale = "stale": "stale" on "", PLAIN;
    Unknown = "unknown": "stale" on "", PLAIN;
    Waiting = "waiting": "dim" on "", PLAIN;
    Running = "running": "accent" on "", BOLD;
    Done = "done": "pass" on "", PLAIN;
    Skipped = "skipped": "dim" on "", PLAIN;
    Destructive = "destructive": "fail" on "", BOLD;
    Param = "param": "param" on "", UNDER;
    Changed = "changed": "warn" on "", PLAIN;
    Added = "added": "pass" on "", PLAIN;
    Removed = "removed": "fail" on "", PLAIN;
    Live = "live": "base" on "fail", BOLD;
    Replay = "replay": "base" on "accent", BOLD;
    Andon = "andon": "base" on "fail", BOLD;
    EnvProd = "env.prod": "fail" on "", BOLD;
    EnvOther = "env.other": "text" on "", BOLD;
    Me = "me": "text" on "", BOLD;
    Lead = "lead": "accent" on "", PLAIN;
    Shadow = "shadow": "text" on "", PLAIN;
    Observer = "observer": "dim" on "", PLAIN;
    Spark = "spark": "accent" on "", PLAIN;
    SparkHeld = "spark.held": "hold" on "", PLAIN;
    Match = "match": "base" on "warn", PLAIN;
}

/// Colours ready to draw with.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// Its name.
    pub name: String,
    /// Whether it is for light terminals.
    pub light: bool,
    /// Whether it claims to be safe for colour-blind eyes.
    pub cvd_safe: bool,
    /// The least contrast it promises.
    pub contrast: f64,
    styles: BTreeMap<Ink, Style>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    mode: Option<Spanned<String>>,
    inherits: Option<Spanned<String>>,
    #[serde(default)]
    cvd_safe: bool,
    contrast: Option<f64>,
    #[serde(default)]
    palette: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    roles: BTreeMap<Spanned<String>, RoleText>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RoleText {
    fg: Option<Spanned<String>>,
    bg: Option<Spanned<String>>,
    mods: Option<Vec<Spanned<String>>>,
    ansi: Option<Spanned<String>>,
}

impl Theme {
    /// Reads a theme file.
    pub fn parse(origin: &str, text: &str) -> Result<Theme, Wrong> {
        parse(origin, text, 0)
    }

    /// A built-in theme or a derived mode.
    pub fn built_in(name: &str) -> Option<Theme> {
        match name {
            "ansi" => Some(dusk().ansi()),
            "mono" => Some(Theme::mono()),
            _ => {
                BUILT_IN.iter().find(|(known, _)| *known == name).and_then(|(name, text)| Theme::parse(name, text).ok())
            }
        }
    }

    /// By name or path: a path where there is one, then the user's folder (`config`), then those built in.
    pub fn find(wanted: &str, config: Option<&Path>) -> anyhow::Result<Theme> {
        let mut places = vec![];
        if wanted.contains('/') || wanted.ends_with(".toml") {
            places.push(PathBuf::from(wanted));
        } else if let Some(config) = config {
            places.push(config.join("themes").join(format!("{wanted}.toml")));
        }
        for place in &places {
            match std::fs::read_to_string(place) {
                Ok(text) => return Ok(Theme::parse(&place.display().to_string(), &text)?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => anyhow::bail!("theme {}: {error}", shown(&place.display().to_string())),
            }
        }
        Theme::built_in(wanted).ok_or_else(|| {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).chain(DERIVED).collect();
            let looked: Vec<_> = places.iter().map(|p| shown(&p.display().to_string())).collect();
            let looked = if looked.is_empty() { String::new() } else { format!(" (looked at {})", looked.join(", ")) };
            anyhow::anyhow!("no theme is called {}{looked}; built in are {}", shown(wanted), names.join(", "))
        })
    }

    /// The names in the user's own folder, in order.
    pub fn own(config: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(config.join("themes")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// The style of a role.
    pub fn style(&self, ink: Ink) -> Style {
        self.styles.get(&ink).copied().unwrap_or_default()
    }

    /// No colour at all: bold, underlined and reversed only.
    pub fn mono() -> Theme {
        let styles = Ink::ALL.iter().map(|ink| {
            let mods = match ink {
                Ink::Live | Ink::Replay | Ink::Andon | Ink::Match => REVERSED | BOLD,
                Ink::Destructive | Ink::EnvProd => BOLD | UNDER,
                ink => ink.default().2,
            };
            (*ink, Style::new().add_modifier(mods))
        });
        Theme { name: "mono".into(), light: false, cvd_safe: true, contrast: 0.0, styles: styles.collect() }
    }

    /// The same with the terminal's own sixteen colours.
    pub fn ansi(&self) -> Theme {
        let mut theme = self.clone();
        theme.name = "ansi".into();
        for ink in Ink::ALL {
            let (fg, bg, mods) = ink.default();
            let mut style = Style::new().add_modifier(mods);
            if !bg.is_empty() && bg != "base" && bg != "panel" {
                style = style.fg(Color::Black).bg(ansi_of(bg));
            } else if ansi_of(fg) != Color::Reset {
                style = style.fg(ansi_of(fg));
            }
            theme.styles.insert(*ink, style);
        }
        theme
    }

    /// The same with the nearest of 256 colours, for terminals that cannot show more.
    pub fn indexed(&self) -> Theme {
        let mut theme = self.clone();
        for style in theme.styles.values_mut() {
            style.fg = style.fg.map(nearest);
            style.bg = style.bg.map(nearest);
        }
        theme
    }
}

/// The default theme.
pub fn dusk() -> Theme {
    Theme::parse(BUILT_IN[0].0, BUILT_IN[0].1).unwrap_or_else(|_| Theme::mono()) // a test parses all that are built in
}

fn parse(origin: &str, text: &str, depth: u8) -> Result<Theme, Wrong> {
    let source = Source { origin, text };
    let file: File = toml::from_str(text)
        .map_err(|error| source.error(error.span().unwrap_or(0..0), "this theme cannot be read", error.message()))?;
    let mut theme = match &file.inherits {
        None => Theme { name: String::new(), light: false, cvd_safe: false, contrast: 4.5, styles: BTreeMap::new() },
        Some(parent) => {
            let known = BUILT_IN.iter().find(|(name, _)| name == parent.get_ref()).filter(|_| depth == 0);
            match known {
                Some((name, text)) => parse(name, text, depth + 1)?,
                None => return Err(source.error(parent.span(), "no such theme to inherit from", "not built in")),
            }
        }
    };
    theme.name = shown(&file.name);
    theme.cvd_safe = file.cvd_safe;
    theme.contrast = file.contrast.unwrap_or(theme.contrast);
    if let Some(mode) = &file.mode {
        theme.light = match mode.get_ref().as_str() {
            "dark" => false,
            "light" => true,
            _ => return Err(source.error(mode.span(), "no such mode", "expected dark or light")),
        };
    }
    let mut palette = BTreeMap::new();
    if let Some((_, text)) = file.inherits.as_ref().and_then(|p| BUILT_IN.iter().find(|(n, _)| n == p.get_ref()))
        && let Ok(parent) = toml::from_str::<File>(text)
    {
        for (name, colour) in &parent.palette {
            palette.insert(name.clone(), colour_of(&Source { origin, text }, colour, &BTreeMap::new())?);
        }
    }
    for (name, colour) in &file.palette {
        let colour = colour_of(&source, colour, &BTreeMap::new())?;
        palette.insert(name.clone(), colour);
    }
    if let Some(missing) = PALETTE.iter().find(|name| !palette.contains_key(**name)) {
        let label = format!("[palette] needs {missing} = \"#rrggbb\", or inherits = \"dusk\"");
        return Err(source.error(0..text.find('\n').unwrap_or(text.len()), "a colour is missing", &label));
    }
    let base = palette.get("base").copied();
    for ink in Ink::ALL {
        let (fg, bg, mods) = ink.default();
        let mut style = Style::new().add_modifier(mods);
        style.fg = palette.get(fg).copied();
        style.bg = palette.get(bg).copied();
        theme.styles.insert(*ink, style);
    }
    for (name, role) in &file.roles {
        let Some(ink) = Ink::ALL.iter().find(|ink| ink.name() == name.get_ref()) else {
            return Err(source.error(name.span(), "unknown role", "no such role"));
        };
        let mut style = theme.style(*ink);
        if let Some(fg) = &role.fg {
            style.fg = Some(colour_of(&source, fg, &palette)?);
        }
        if let Some(bg) = &role.bg {
            style.bg = Some(colour_of(&source, bg, &palette)?);
        }
        if let Some(mods) = &role.mods {
            style.add_modifier = PLAIN;
            for name in mods {
                style.add_modifier |= match name.get_ref().as_str() {
                    "bold" => BOLD,
                    "underlined" => UNDER,
                    "reversed" => REVERSED,
                    "italic" => Modifier::ITALIC,
                    _ => {
                        let label = "expected bold, underlined, reversed or italic";
                        return Err(source.error(name.span(), "no such modifier", label));
                    }
                };
            }
        }
        if let Some(ansi) = &role.ansi
            && ansi.get_ref().parse::<Color>().is_err()
        {
            return Err(source.error(ansi.span(), "no such colour", "expected one of the sixteen, such as cyan"));
        }
        theme.styles.insert(*ink, style);
    }
    if let (Some(base), Some(style)) = (base, theme.styles.get_mut(&Ink::Base)) {
        style.bg = style.bg.or(Some(base));
    }
    Ok(theme)
}

fn colour_of(source: &Source<'_>, text: &Spanned<String>, palette: &BTreeMap<String, Color>) -> Result<Color, Wrong> {
    let name = text.get_ref();
    if let Some(known) = palette.get(name) {
        return Ok(*known);
    }
    let digits = name.strip_prefix('#').filter(|digits| digits.len() == 6);
    match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
        Some(rgb) => Ok(Color::from_u32(rgb)),
        None => Err(source.error(text.span(), "not a colour", "expected \"#rrggbb\" or a name of the palette")),
    }
}

fn ansi_of(name: &str) -> Color {
    match name {
        "accent" | "param" => Color::Cyan,
        "pass" => Color::Green,
        "warn" | "hold" => Color::Yellow,
        "fail" => Color::Red,
        "stale" => Color::Magenta,
        _ => Color::Reset,
    }
}

/// The nearest colour of the 6×6×6 cube and the grey ramp; the sixteen of the terminal are left out, since nobody knows
/// what they look like.
fn nearest(colour: Color) -> Color {
    let Color::Rgb(r, g, b) = colour else { return colour };
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let distance = |x: [u8; 3]| {
        let part = |a: u8, b: u8| (i32::from(a) - i32::from(b)).pow(2);
        part(x[0], r) + part(x[1], g) + part(x[2], b)
    };
    let cube = (0..216_u8).map(|n| {
        let level = |n: u8| LEVELS[usize::from(n)];
        (16 + n, [level(n / 36), level(n / 6 % 6), level(n % 6)])
    });
    let grey = (0..24_u8).map(|n| (232 + n, [8 + 10 * n; 3]));
    cube.chain(grey).min_by_key(|(_, rgb)| distance(*rgb)).map_or(colour, |(index, _)| Color::Indexed(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_built_in_can_be_read() {
        for (name, text) in BUILT_IN {
            let theme = Theme::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(theme.name, name);
            assert_eq!(theme.styles.len(), Ink::ALL.len());
        }
        assert!(Theme::mono().styles.values().all(|style| style.fg.is_none() && style.bg.is_none()));
        assert!(!dusk().ansi().styles.values().any(|style| matches!(style.fg, Some(Color::Rgb(..)))));
        assert!(!dusk().indexed().styles.values().any(|style| matches!(style.fg, Some(Color::Rgb(..)))));
    }

    #[test]
    fn a_theme_may_inherit_and_say_only_what_differs() {
        let text = "name = \"mine\"\ninherits = \"harbour\"\n[palette]\nsky = \"#56b4e9\"\n\
                    [roles]\npass = { fg = \"sky\", mods = [\"bold\"], ansi = \"cyan\" }\n\"env.prod\" = { bg = \"#000000\" }\n";
        let theme = Theme::parse("mine.toml", text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(theme.style(Ink::Pass), Style::new().fg(Color::from_u32(0x56b4e9)).add_modifier(BOLD));
        assert_eq!(theme.style(Ink::EnvProd).bg, Some(Color::Rgb(0, 0, 0)));
    }

    #[test]
    fn what_is_wrong_is_underlined() {
        for (text, wanted) in [
            ("name = \"x\"\ninherits = \"dusk\"\n[roles]\npas = { fg = \"text\" }\n", "unknown role"),
            ("name = \"x\"\ninherits = \"dusk\"\n[roles]\npass = { fg = \"grene\" }\n", "not a colour"),
            ("name = \"x\"\ninherits = \"dawn\"\n", "inherit"),
            ("name = \"x\"\n", "missing"),
            ("name = \"x\"\nnmae = 1\n", "cannot be read"),
            ("name = \"x\"\nmode = \"bright\"\n", "no such mode"),
            ("name = \"x\u{1b}[31m\"\nmode = \"bright\"\n", "cannot be read"),
        ] {
            let error = Theme::parse("x.toml", text).unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains("x.toml"), "{error}");
            assert!(!error.contains('\u{1b}'), "{error}");
        }
    }
}

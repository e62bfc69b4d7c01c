//! `theme`: which there are, and whether one can be read by everybody.

use super::args::ThemeWhat;
use super::{No, Silent};
use crate::name::shown;
use crate::tui::config;
use crate::tui::theme::check::{check, measure};
use crate::tui::theme::{BUILT_IN, DERIVED, Theme};

/// Carries it out.
pub fn run(what: &ThemeWhat) -> anyhow::Result<()> {
    let folder = config::folder(|name| std::env::var(name).ok());
    match what {
        ThemeWhat::List => {
            let own = folder.as_deref().map(Theme::own).unwrap_or_default();
            for (name, _) in BUILT_IN.iter().filter(|(name, _)| own.iter().all(|own| own != name)) {
                println!("{name}  built in");
            }
            for name in DERIVED {
                println!("{name}  made of the terminal's own colours, or of none");
            }
            for name in own {
                println!("{}  your own", shown(&name));
            }
            Ok(())
        }
        ThemeWhat::Check { themes } => {
            let mut bad = false;
            for name in themes {
                bad |= !is_good(name, folder.as_deref())?;
            }
            if bad { Err(Silent.into()) } else { Ok(()) }
        }
    }
}

/// Says what a theme measures, and what is wrong with it.
fn is_good(name: &str, folder: Option<&std::path::Path>) -> anyhow::Result<bool> {
    let theme = Theme::find(name, folder).map_err(|error| match error.downcast_ref::<crate::tui::source::Wrong>() {
        Some(wrong) => No(wrong.to_string()).into(),
        None => error,
    })?;
    let name = shown(name);
    let Some(measured) = measure(&theme) else {
        println!("{name}: it has no colours of its own");
        return Ok(true);
    };
    let (contrast, least) = measured.contrast;
    let (apart, a, b) = measured.distance;
    println!("{name}: least contrast {contrast:.1} ({})", least.name());
    println!("{name}: closest states {apart:.1} apart for colour-blind eyes ({}, {})", a.name(), b.name());
    let wrong = check(&theme);
    for why in &wrong {
        println!("{name}: WRONG: {why}");
    }
    if wrong.is_empty() {
        println!("{name}: it can be read");
    }
    Ok(wrong.is_empty())
}

//! `config`: where a person's own settings lie, whether they can be used, and what a key can be given to.

use super::No;
use super::args::SettingsWhat;
use crate::brief::acts::{Place, TABLE};
use crate::name::shown;
use crate::tui::Options;
use crate::tui::config::{self, Config};

/// Carries it out.
pub fn run(what: &SettingsWhat) -> anyhow::Result<()> {
    let folder = config::folder(|name| std::env::var(name).ok())
        .ok_or_else(|| anyhow::anyhow!("no home folder: set HOME or XDG_CONFIG_HOME"))?;
    let file = config::path(&folder);
    match what {
        SettingsWhat::Paths => {
            let there = |path: &std::path::Path| if path.exists() { "there" } else { "not there" };
            for path in [file, folder.join("themes")] {
                println!("{}  {}", shown(&path.display().to_string()), there(&path));
            }
        }
        SettingsWhat::Check => {
            Config::read(&file).map_err(|error| No(format!("{error:#}")))?;
            let options = Options::from_env(None, |name| std::env::var(name).ok())?;
            if let Some(warning) = options.warning {
                return Err(No(warning).into());
            }
            let what = if file.exists() { "it can be used" } else { "there is none; everything is as it comes" };
            println!("{}: {what}", shown(&file.display().to_string()));
        }
        SettingsWhat::Acts => {
            let keys = Config::read(&file).map_err(|error| No(format!("{error:#}")))?.keys;
            let width = TABLE.iter().map(|row| row.act.name().len()).max().unwrap_or(0);
            for row in TABLE {
                let mut all: Vec<&str> = Place::ALL.iter().flat_map(|place| keys.all(row.act, *place)).collect();
                all.dedup();
                if !all.is_empty() {
                    println!("{:width$}  {:14}  {}", row.act.name(), all.join(" "), row.help);
                }
            }
        }
    }
    Ok(())
}

//! What `host` and `serve` fly: a plan's file, or a crew that types its commands (`--adhoc ENV`). Without a plan one is written
//! for it that has a crew and no steps, so that everything after it is the same; its text stands in the transcript.

use super::args::What;
use super::read_plan;
use crate::name::Principal;
use crate::plan::Plan;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is flown.
pub struct Flown {
    /// The plan.
    pub plan: Plan,
    /// Its file; where there is none, the name that it would have in the folder that commands start in.
    pub path: PathBuf,
}

/// Reads or writes the plan.
pub fn flown(what: &What) -> anyhow::Result<Flown> {
    if let Some(path) = &what.plan {
        return Ok(Flown { plan: read_plan(path)?, path: path.clone() });
    }
    let path = PathBuf::from("(no plan)");
    let text = text(what);
    let plan = Plan::parse(&path.display().to_string(), &text)
        .map_err(|error| super::No(format!("nobody can fly that:\n{}", error.render(false))))?;
    Ok(Flown { plan, path })
}

/// The file, or the folder that commands start in, as a name that another folder's does not equal.
pub fn placed(path: &Path) -> std::io::Result<PathBuf> {
    match std::fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(_) => Ok(std::fs::canonicalize(".")?.join(path)),
    }
}

/// A plan with that crew and nothing else.
fn text(what: &What) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let names = |names: &[Principal]| {
        let names: Vec<_> = names.iter().map(|name| quoted(name.as_str())).collect();
        format!("[{}]", names.join(", "))
    };
    let environment = what.adhoc.as_deref().unwrap_or_default();
    let lead: Vec<_> = what.lead.iter().cloned().collect();
    let signers = what.allowed_signers.as_ref().map(|file| format!("allowed_signers = {}\n", quoted(file)));
    format!(
        "# There is no plan: every command was typed, armed, cross-checked and recorded.\ncrosscheck = 1\nname = \"No plan\"\n\
         environment = {}\n\n[crew]\n{}lead = {}\nshadow = {}\n",
        quoted(environment),
        signers.unwrap_or_default(),
        names(&lead),
        names(&what.shadow)
    )
}

/// The same on another command line.
pub fn again(what: &What) -> Vec<OsString> {
    let mut words: Vec<OsString> = what.plan.iter().map(|plan| plan.clone().into()).collect();
    words.extend(what.data.as_ref().map(|_| "--rehearse".into()));
    words.extend(what.data.as_ref().map(|data| format!("--data={data}").into()));
    let options = [("--adhoc", what.adhoc.clone()), ("--lead", what.lead.as_ref().map(ToString::to_string))];
    let shadows = what.shadow.iter().map(|shadow| ("--shadow", Some(shadow.to_string())));
    let all = options.into_iter().chain(shadows).chain([("--allowed-signers", what.allowed_signers.clone())]);
    for (name, value) in all {
        // In one word: a value that begins with a hyphen would be taken for an option.
        words.extend(value.map(|value| format!("{name}={value}").into()));
    }
    words
}

/// The same as a person would type it.
pub fn said(what: &What) -> String {
    let words = again(what).into_iter().map(|word| crate::brief::command::quoted(&word.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}

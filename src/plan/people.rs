//! What a plan asks of people around a check: fields they read back.

use super::readers::{read_principals, unknown_id};
use super::table::Table;
use super::{Command, Crew, Params, Run, Stdin, Step, Template};
use crate::name::Principal;
use std::collections::BTreeSet;

/// More fields than this nobody types.
const FIELDS_MAX: usize = 20;

/// `readback = ["old_index"]`: parameters by their names.
pub(super) fn read_back(table: &Table<'_>, checks: Option<u32>) -> Option<Vec<String>> {
    let Some(value) = table.get("readback") else { return Some(vec![]) };
    let items = value.items("parameters")?;
    if items.len() > FIELDS_MAX {
        return value
            .wrong(format!("more than {FIELDS_MAX} fields to read back"), format!("there are {}", items.len()));
    }
    if checks == Some(0) {
        return value.wrong("a step that nobody checks is read back by nobody", "expected a class that is checked");
    }
    let declared = value.cx.declared();
    let known: Vec<&str> = declared.iter().map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    let fields = items.into_iter().map(|item| {
        let name = item.text()?;
        if !known.contains(&name) {
            let label = unknown_id(item.cx, name, &known);
            return item.wrong(format!("the plan declares no parameter {name:?}"), label);
        }
        match seen.insert(name.to_owned()) {
            true => Some(name.to_owned()),
            false => item.wrong(format!("{name} is read back twice"), "expected each parameter once"),
        }
    });
    fields.collect::<Vec<_>>().into_iter().collect()
}

/// `break_glass = ["lead@example.org"]`: leads who may clear a step alone.
pub(super) fn break_glass(top: &Table<'_>, crew: Option<&Crew>) -> Option<Vec<Principal>> {
    let Some(value) = top.get("break_glass") else { return Some(vec![]) };
    let names = read_principals(&value)?;
    match names.iter().find(|name| crew.is_some_and(|crew| !crew.lead.contains(name))) {
        Some(other) => value.wrong(format!("{other} may not lead"), "expected people named in crew.lead"),
        None => Some(names),
    }
}

impl Crew {
    /// What is worth knowing where only one person may lead: who takes the lead over where they are gone. None where there are
    /// others.
    pub fn alone_in_the_lead(&self) -> Option<String> {
        let [lead] = self.lead.as_slice() else { return None };
        let shadows: Vec<_> = self.shadow.iter().filter(|who| *who != lead).map(Principal::as_str).collect();
        let others: BTreeSet<_> = self.shadow.iter().chain(self.seats.iter().flat_map(|seat| &seat.who)).collect();
        Some(match (shadows.is_empty(), others.iter().filter(|who| **who != lead).count()) {
            (false, 2..) => {
                format!(
                    "only {lead} may lead; where they are gone, {} and one more take the lead over",
                    shadows.join(" or ")
                )
            }
            _ => format!(
                "only {lead} may lead, and where they are gone nobody can: taking the lead over takes two others"
            ),
        })
    }
}

impl Step {
    /// What is read back, with what is filled in for it: an error where a parameter has no value, or one nobody could type.
    pub fn fields(&self, params: &Params) -> Result<Vec<(String, String)>, String> {
        let fields = self.readback.iter().map(|name| match params.get(name) {
            None => Err(format!("parameter {name:?} has no value; give it with --param {name}=VALUE")),
            Some(value) if value.trim().is_empty() => {
                Err(format!("parameter {name:?} is empty, and nobody can type that"))
            }
            Some(value) => Ok((name.clone(), value.clone())),
        });
        fields.collect()
    }
}

/// The parameters that a command is filled in with.
pub(super) fn names_in(command: &Command) -> Vec<String> {
    let run: Vec<&Template> = match &command.run {
        Run::Argv(words) => words.iter().collect(),
        Run::Shell(text) => vec![text],
    };
    let rest =
        command.env.values().chain(command.stdin.iter().map(Stdin::template)).chain(&command.cwd).chain(&command.files);
    run.into_iter().chain(rest).flat_map(Template::names).collect()
}

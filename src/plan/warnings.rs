//! What `lint` has found so far, and where things stand in the text: below every look that finds something.

use super::Plan;
use super::problem::{Problem, draw, line_of};
use annotate_snippets::Level;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is allowed in a plan and still unwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The line it is about, from 1.
    pub line: usize,
    /// The bytes of the plan's text that are underlined.
    pub span: Range<usize>,
    /// What is unwise, in one sentence.
    pub message: String,
    /// What stands beside the underline.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Warning {
    /// Draws the warning as errors are drawn, with the line of the plan underlined. `origin` names the file.
    pub fn render(&self, origin: &str, plan: &Plan, color: bool) -> String {
        let problem = Problem {
            span: self.span.clone(),
            message: self.message.clone(),
            label: self.label.clone(),
            help: self.help.clone(),
        };
        draw(&Level::WARNING, origin, &plan.text, &problem, color)
    }
}

/// What was found, and where it stands.
pub(super) struct Warnings<'p> {
    pub places: Places<'p>,
    pub text: &'p str,
    pub list: Vec<Warning>,
}
impl Warnings<'_> {
    /// Where the first of these keys of a step stands.
    pub(super) fn step(&self, index: usize, keys: &[&str]) -> Range<usize> {
        self.places.of("step", index, keys)
    }
    pub(super) fn add(&mut self, span: Range<usize>, message: impl Into<String>, label: impl Into<String>, help: &str) {
        let line = line_of(self.text, span.start);
        let (message, label) = (message.into(), label.into());
        self.list.push(Warning { line, span, message, label, help: Some(help.to_owned()) });
    }
}

/// Where things stand in the text.
#[derive(Clone, Copy)]
pub(super) struct Places<'p> {
    pub root: Option<&'p Spanned<DeTable<'p>>>,
}
impl Places<'_> {
    /// Where a secret is declared.
    pub fn secret(&self, key: &str) -> Range<usize> {
        let declared = || self.root?.get_ref().get("secrets")?.get_ref().as_table()?.get(key).map(Spanned::span);
        declared().unwrap_or(0..0)
    }
    /// Where a parameter is declared.
    pub fn param(&self, name: &str) -> Range<usize> {
        let declared = || self.root?.get_ref().get("params")?.get_ref().as_table()?.get(name).map(Spanned::span);
        declared().unwrap_or(0..0)
    }
    /// The first of these keys that the `index`th table has; the table itself where it has none.
    pub fn of(&self, tables: &str, index: usize, keys: &[&str]) -> Range<usize> {
        let table = || match self.root?.get_ref().get(tables)?.get_ref() {
            DeValue::Array(items) => items.get(index),
            _ => None,
        };
        let Some(table) = table() else { return 0..0 };
        let value = |key: &&str| table.get_ref().as_table()?.get(*key).map(Spanned::span);
        keys.iter().find_map(value).unwrap_or_else(|| table.span())
    }
}

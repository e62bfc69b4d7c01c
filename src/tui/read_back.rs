//! Read-back on the cross-check panel: what this person has to type, and how far the others are.

use super::canvas::Look;
use super::theme::Ink;
use crate::client::view::Link;
use crate::name::{Principal, StepId, shown};
use crate::session::readback::hidden;
use crate::session::steps::Armed;
use ratatui::text::Span;
use std::collections::BTreeMap;

impl Look<'_> {
    /// What this screen must not show of a step, because its person has to type it from elsewhere. A replay shows all.
    pub fn hidden(&self, step: &StepId) -> BTreeMap<String, String> {
        match self.view.link {
            Link::Replay { .. } => BTreeMap::new(),
            _ => hidden(self.session(), step, &self.view.me),
        }
    }
}

/// How far somebody is, behind their name in the crew.
pub(super) fn of(look: &Look<'_>, armed: &Armed, who: &Principal) -> Vec<Span<'static>> {
    let Some(reader) = armed.readers.get(who) else { return vec![] };
    let mut spans = vec![];
    if armed.is_out(who) {
        return vec![look.span("  ✗ read back wrong 3 times: cannot check this attempt", Ink::Fail)];
    }
    if !reader.right.is_empty() {
        let names: Vec<_> = reader.right.iter().map(|name| shown(name)).collect();
        spans.push(look.span(format!("  read back {}", names.join(", ")), Ink::Pass));
    }
    if reader.wrong > 0 {
        spans.push(look.span(format!("  {} wrong", reader.wrong), Ink::Warn));
    }
    spans
}

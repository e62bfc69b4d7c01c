//! Read-back on the cross-check panel: what this person has to type, and how far the others are.

use super::app::{Panel, Purpose};
use super::canvas::Look;
use super::theme::Ink;
use crate::client::view::{Link, View};
use crate::name::{Principal, StepId, shown};
use crate::session::Session;
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

/// The next field that this person types.
pub(super) fn next(panel: &Panel, view: &View) -> Result<Purpose, String> {
    let session = &*view.session;
    let Some((step, state, armed)) = session.open_step() else { return Err("nothing is armed".into()) };
    if (&step.id, state.attempt, armed.digest()) != (&panel.step, panel.attempt, panel.digest) {
        return Err("it was armed anew; read it again".into());
    }
    if step.readback.is_empty() {
        return Err("this step asks for none".into());
    }
    if !matches!(view.link, Link::Live { .. }) || !session.may_check(&view.me) {
        return Err("only a shadow may, and only live".into());
    }
    if armed.is_out(&view.me) {
        return Err("you were wrong three times; another shadow has to check it, or object (n)".into());
    }
    match armed.owes_read_back(&view.me).first() {
        Some(field) => {
            Ok(Purpose::ReadBack { step: step.id.clone(), attempt: state.attempt, field: field.name.clone() })
        }
        None => Err("you have read back what is yours".into()),
    }
}

/// Why this person may not say yes yet.
pub(super) fn lock(session: &Session, armed: &Armed, me: &Principal) -> Option<String> {
    if !session.may_check(me) || armed.checks.contains_key(me) {
        return None;
    }
    if armed.is_out(me) {
        return Some("you read back wrong three times".into());
    }
    let owed: Vec<_> = armed.owes_read_back(me).iter().map(|field| shown(&field.name)).collect();
    (!owed.is_empty()).then(|| format!("read back {} (r)", owed.join(", ")))
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

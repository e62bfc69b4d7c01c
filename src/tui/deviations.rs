//! In what an armed step differs from its plan: told in words and in a colour of its own, before anything else of it.

use super::canvas::Look;
use super::text::{pad, wrap};
use super::theme::Ink;
use crate::event::{Deviation, SettledSeen};
use crate::name::{escaped, shown};
use crate::plan::Step;
use crate::session::Session;
use ratatui::text::Line;

/// One entry per difference; nothing where the step is as planned.
pub fn lines(look: &Look<'_>, deviations: &[Deviation], width: usize) -> Vec<Line<'static>> {
    let mut all = vec![];
    for deviation in deviations {
        let by = deviation.by().map_or_else(|| "given when the session opened".to_owned(), |by| by.short().to_owned());
        let why = match deviation.why() {
            "" => format!("no reason yet ({by})"),
            why => format!("because {} ({by})", escaped(why)),
        };
        let what =
            [look.span(pad("DEVIATION", 12), Ink::Changed), look.span(escaped(&deviation.to_string()), Ink::Changed)];
        all.extend(wrap(&what, width, 12));
        all.extend(wrap(&[look.span(pad("", 12), Ink::Dim), look.span(why, Ink::Text)], width, 12));
    }
    all
}

/// What people said of other steps that ended badly.
pub fn settled(look: &Look<'_>, settled: &[SettledSeen], width: usize) -> Vec<Line<'static>> {
    let told = |seen: &SettledSeen| {
        let words = look.session().shortened(&seen.to_string());
        let what = [look.span(pad("SETTLED", 12), Ink::Warn), look.span(shown(&words), Ink::Warn)];
        wrap(&what, width, 12)
    };
    settled.iter().flat_map(told).collect()
}

/// Where the value of a parameter comes from, if it is not the plan's default.
pub fn origin(session: &Session, name: &str) -> String {
    match session.plan.changes.params.get(name).and_then(|set| set.by.as_ref()) {
        Some(by) => format!("  set by {}", shown(by.short())),
        None => "  given when the session opened".to_owned(),
    }
}

/// What the line under a command that is not armed says of it.
pub fn planned(session: &Session, step: &Step) -> String {
    let missing = session.params_missing(step);
    match (missing.first(), step.deviations.is_empty()) {
        (Some(name), _) => format!("not armed; parameter {} has no value: p sets it", shown(name)),
        (None, _) if step.live.is_some() && !step.runs() => "not armed; REHEARSAL, nobody does it".to_owned(),
        (None, _) if step.live.as_ref().is_some_and(|live| live.printed) => {
            "not armed; REHEARSAL, it is only printed".to_owned()
        }
        (None, _) if step.live.is_some() => "not armed; REHEARSAL, by the plan's `rehearse`".to_owned(),
        (None, true) if step.adhoc => "not armed; typed".to_owned(),
        (None, true) => "not armed; as planned".to_owned(),
        (None, false) => "not armed; DEVIATES from the plan".to_owned(),
    }
}

/// What a parameter may be, for whoever types it: `index (customers_v[0-9]+)`.
pub fn parameters(session: &Session) -> String {
    let name = |(name, param): (&String, &crate::plan::Param)| match &param.pattern {
        Some(pattern) => format!("{} ({})", shown(name), shown(&pattern.text)),
        None => shown(name),
    };
    session.plan.params.iter().map(name).collect::<Vec<_>>().join(", ")
}

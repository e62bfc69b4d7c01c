//! In what a session differs from its plan, before anything of it is armed.

use crate::name::shown;
use crate::plan::Step;
use crate::session::Session;

/// What the line under a command that is not armed says of it.
pub fn planned(session: &Session, step: &Step) -> String {
    let missing = session.params_missing(step);
    match (missing.first(), step.deviations.is_empty()) {
        (Some(name), _) => format!("not armed; parameter {} has no value: p sets it", shown(name)),
        (None, _) if step.live.is_some() && step.runs().is_none() => "not armed; REHEARSAL, nobody does it".to_owned(),
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

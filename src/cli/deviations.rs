//! In what a session differs from its plan, in plain mode.

use crate::event::{Deviation, SettledSeen};
use crate::name::{escaped, shown};
use crate::session::Session;
use std::io::Write;

/// What an armed step differs in, and why; nothing where it is as planned.
pub fn lines(deviations: &[Deviation], out: &mut impl Write) -> std::io::Result<()> {
    for deviation in deviations {
        let by = deviation.by().map_or_else(|| "given when the session opened".to_owned(), ToString::to_string);
        let why = if deviation.why().is_empty() { "no reason yet" } else { deviation.why() };
        writeln!(out, "DEVIATION: {}: {} ({by})", escaped(&deviation.to_string()), escaped(why))?;
    }
    Ok(())
}

/// What people said of other steps that ended badly.
pub fn settled(settled: &[SettledSeen], out: &mut impl Write) -> std::io::Result<()> {
    settled.iter().try_for_each(|seen| writeln!(out, "SETTLED: {}", shown(&seen.to_string())))
}

/// The parameters and their values.
pub fn parameters(session: &Session, out: &mut impl Write) -> std::io::Result<()> {
    for (name, param) in &session.plan.params {
        let pattern = param.pattern.as_ref().map(|pattern| format!(", matches {}", shown(&pattern.text)));
        let pattern = pattern.unwrap_or_default();
        match (session.params.get(name), &param.default) {
            (Some(value), Some(default)) if value != default => writeln!(
                out,
                "parameter {} = {} (DEVIATION, the plan says {}){pattern}",
                shown(name),
                escaped(value),
                escaped(default)
            )?,
            (Some(value), _) => writeln!(out, "parameter {} = {}{pattern}", shown(name), escaped(value))?,
            (None, _) => writeln!(out, "parameter {} has no value yet{pattern}", shown(name))?,
        }
    }
    Ok(())
}

//! In what a session differs from its plan, in plain mode.

use crate::name::{escaped, shown};
use crate::session::Session;
use std::io::Write;

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

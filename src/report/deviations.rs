//! What was flown otherwise than planned: a section of its own, so that nobody has to look for it.

use super::Report;
use super::text::inline;
use std::fmt::Write as _;

/// Every difference of every armed step, once; no section where there is none.
pub(super) fn section(out: &mut String, report: &Report) -> std::fmt::Result {
    let mut rows = vec![];
    for step in &report.steps {
        for attempt in &step.attempts {
            for deviation in &attempt.covers.covers().deviations {
                let ran = if attempt.run.intended.is_some() { "it ran" } else { "it did not run" };
                let by = deviation.by().map_or_else(|| "given when the session opened".to_owned(), ToString::to_string);
                rows.push(format!(
                    "- **{:02} {}**, attempt {} ({ran}): {}, because {} ({})",
                    step.number,
                    inline(step.id.as_str()),
                    attempt.attempt,
                    inline(&deviation.to_string()),
                    inline(deviation.why()),
                    inline(&by)
                ));
            }
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Deviations from the plan\n")?;
    rows.iter().try_for_each(|row| writeln!(out, "{row}"))?;
    writeln!(out)
}

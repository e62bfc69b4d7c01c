//! How a session begins and ends, and who outside was not told.

use super::{quoted, shown};
use crate::event::{Earlier, Outcome};
use crate::name::Principal;
use crate::session::Session;

pub(super) fn opened(
    (plan_name, environment): (&str, &str),
    rehearsal: Option<&str>,
    earlier: Option<&Earlier>,
) -> String {
    let opened = match rehearsal {
        Some(data) => format!("REHEARSAL opened, on {}", shown(data)),
        None => "session opened".to_owned(),
    };
    let left = earlier.filter(|earlier| !earlier.open.is_empty());
    let left = left.map_or_else(String::new, |earlier| format!("; {}", shown(&earlier.words())));
    format!("{opened}: {} on {}{left}", shown(plan_name), shown(environment))
}

pub(super) fn closed(by: &Principal, outcome: Outcome, note: &str) -> String {
    let word = match outcome {
        Outcome::Complete => "complete",
        Outcome::Partial => "with steps left",
    };
    match by.is_hub() {
        true => format!("session closed, {word}{}", quoted(note)),
        false => format!("session closed by {by}, {word}{}", quoted(note)),
    }
}

pub(super) fn not_told(session: &Session, notify: u32, of: &[u64], why: &str) -> String {
    let lines = of.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let s = if of.len() == 1 { "" } else { "s" };
    format!("NOT TOLD: {} of line{s} {lines}: {}", shown(session.place_name(notify)), shown(why))
}

//! How a session begins and ends, who comes, goes and takes over, and who outside was not told.

use super::{quoted, shown};
use crate::clock::human;
use crate::event::{Earlier, Outcome};
use crate::name::Principal;
use crate::session::Session;
use std::time::Duration;

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

pub(super) fn key_refused(who: &Principal, key: &str) -> String {
    format!("somebody came as {who} with another key ({}): readmit {who} lets them in, said by two", shown(key))
}

pub(super) fn readmitted(who: &Principal, key: &str, agreed: &Principal, by: &Principal) -> String {
    format!("READMITTED: {who} with another key ({}), by {agreed} and {by}; the one before is out", shown(key))
}

/// Whether somebody is heard over another link than that one.
fn is_heard_else(session: &Session, who: &Principal, link: u64) -> bool {
    session.people.get(who).is_some_and(|person| {
        person.connections.iter().any(|other| *other != link && !person.silent.contains_key(other))
    })
}

pub(super) fn left(session: &Session, who: &Principal, link: u64, why: &str) -> String {
    match is_heard_else(session, who, link) {
        true => format!("one link of {who} ended ({}); they are here over another one", shown(why)),
        false => format!("{who} left ({})", shown(why)),
    }
}

pub(super) fn silent(session: &Session, who: &Principal, link: u64, quiet: Option<Duration>) -> String {
    match quiet {
        Some(quiet) if is_heard_else(session, who, link) => {
            format!("one link of {who} is silent for {}; they are heard over another one", human(quiet))
        }
        Some(quiet) => format!("{who} is silent for {}: the link is open, and nothing comes", human(quiet)),
        None => format!("{who} is heard again"),
    }
}

pub(super) fn lead_gone(lead: &Principal, gone: Duration) -> String {
    let gone = human(gone);
    format!("LEAD GONE: {lead} has not been here for {gone}; two others may take the lead: handover WHO")
}

/// What happens now that the hub was asked to stop.
pub fn stops(session: &Session) -> String {
    match session.busy_step() {
        // What matters first: a narrow screen shows no more than that.
        Some((step, _)) => format!(
            "it ends once {} {} has ended, which is let run; nothing else starts; the session stays open; its machine asked for it",
            session.numbered(&step.id),
            step.id
        ),
        None => "nothing runs, so it ends now; the session stays open; its machine asked for it".to_owned(),
    }
}

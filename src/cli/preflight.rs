//! Before the first critical step, in plain mode: seats, checklist, poll, and who is fit until when.

use crate::client::view::View;
use crate::clock;
use crate::name::{Principal, shown};
use crate::session::Session;
use std::io::Write;

/// Seats, checklist and poll, a line each; nothing where the plan has none.
pub fn status(view: &View, out: &mut impl Write) -> std::io::Result<()> {
    let session = &*view.session;
    let preflight = &session.preflight;
    if let Some(earlier) = &session.earlier {
        writeln!(out, "earlier: {}", shown(&earlier.words()))?;
        for open in &earlier.open {
            writeln!(out, "  open: {}", shown(open))?;
        }
    }
    for seat in &session.plan.crew.seats {
        let holder = match preflight.seats.get(&seat.name) {
            Some(taken) if session.is_here(&taken.by) => taken.by.to_string(),
            Some(taken) => format!("EMPTY, {} is gone", taken.by),
            None => {
                let who: Vec<_> = seat.who.iter().map(Principal::as_str).collect();
                format!("EMPTY, for {}", who.join(", "))
            }
        };
        writeln!(out, "seat {}: {holder}", shown(&seat.name))?;
    }
    for item in &session.plan.checklist {
        let owner = item.seat.as_ref().map_or("anyone of the crew".to_owned(), |seat| shown(seat));
        let answer = match preflight.answers.get(&item.id) {
            Some(said) => format!("{}: {} (at {})", said.by, shown(&said.answer), said.at.clock()),
            None => format!("NOT ANSWERED ({})", item.answer.word()),
        };
        writeln!(out, "checklist {} ({owner}) {}: {answer}", item.id, shown(&item.ask))?;
    }
    if session.is_polled() {
        let locks = session.poll_locks();
        match locks.is_empty() {
            true => writeln!(out, "poll {}: GO", preflight.number())?,
            false => writeln!(out, "poll {}: NOT GO, critical steps are locked", preflight.number())?,
        }
        for lock in &locks {
            writeln!(out, "  locked: {}", shown(lock))?;
        }
    }
    for warning in session.time_warnings(view.now(clock::wall())) {
        writeln!(out, "WARNING: {warning}")?;
    }
    Ok(())
}

/// What is known of that person, for the end of their line.
pub fn person(session: &Session, who: &Principal) -> String {
    let preflight = &session.preflight;
    let fit = match preflight.availability.get(who) {
        Some(said) if !said.fit => format!(", NOT FIT: {}", shown(&said.why)),
        Some(said) => match said.until {
            Some(until) => format!(", fit until {}", until.clock()),
            None => ", fit".to_owned(),
        },
        None if session.plan.poll && session.asked().contains(&who) => ", has not said whether fit".to_owned(),
        None => String::new(),
    };
    let tried = if preflight.tried.contains_key(who) { ", has tried the andon" } else { "" };
    let word = match preflight.word(who).filter(|_| session.is_polled()) {
        Some(word) if !word.go => ", NO-GO",
        Some(_) if preflight.says_go(who) => ", go",
        Some(_) => ", go (said before the checklist changed)",
        None => "",
    };
    format!("{fit}{tried}{word}")
}

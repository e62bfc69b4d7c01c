//! What a report says of the time before the first critical step: seats, checklist, poll, and who was fit until when.

use super::text::inline;
use crate::clock::At;
use crate::event::{Earlier, Event, about};
use crate::name::{ItemId, Principal};
use crate::session::{Said, Session};
use crate::transcript::record::Line;
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything that was said before the first critical step, in order.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PreflightReport {
    /// What the session of this plan before this one left open.
    pub earlier: Option<Earlier>,
    /// Whether the plan asks for a poll.
    pub polled: bool,
    /// The plan's seats, and who took them.
    pub seats: Vec<SeatReport>,
    /// The plan's checklist, and every answer.
    pub checklist: Vec<ItemReport>,
    /// Every poll.
    pub polls: Vec<PollReport>,
    /// Who said that they are fit, or not, and until when.
    pub availability: Vec<AvailabilityReport>,
    /// When each first pulled the andon.
    pub andon_tried: BTreeMap<Principal, At>,
}

/// A seat.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct SeatReport {
    pub seat: String,
    pub who: Vec<Principal>,
    pub taken: Vec<(At, Principal)>,
}

/// A checklist item.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct ItemReport {
    pub id: ItemId,
    pub ask: String,
    /// `yes`, `text` or `time`.
    pub answer: &'static str,
    pub seat: Option<String>,
    /// Every answer; the last one counted.
    pub answers: Vec<Said>,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PollReport {
    pub number: u32,
    pub at: At,
    pub by: Principal,
    pub answers: Vec<PollWord>,
}

/// Go, or no-go and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PollWord {
    pub at: At,
    pub by: Principal,
    pub go: bool,
    pub why: String,
}

/// What somebody said of themselves.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct AvailabilityReport {
    pub at: At,
    pub by: Principal,
    pub fit: bool,
    pub until: Option<At>,
    pub why: String,
    /// Whose time was too short for the plan's right after it.
    pub warnings: Vec<String>,
}

impl PreflightReport {
    pub(super) fn open(session: &Session) -> PreflightReport {
        let seats = session.plan.crew.seats.iter();
        let seats = seats.map(|seat| SeatReport { seat: seat.name.clone(), who: seat.who.clone(), taken: vec![] });
        let checklist = session.plan.checklist.iter().map(|item| ItemReport {
            id: item.id.clone(),
            ask: item.ask.clone(),
            answer: item.answer.word(),
            seat: item.seat.clone(),
            answers: vec![],
        });
        PreflightReport {
            earlier: session.earlier.clone(),
            polled: session.plan.poll,
            seats: seats.collect(),
            checklist: checklist.collect(),
            ..PreflightReport::default()
        }
    }

    /// Takes one line in; `before` is the session just before it.
    pub(super) fn take(&mut self, before: &Session, line: &Line) {
        let (at, by) = (line.at, line.by.clone());
        match &line.event {
            Event::SeatTaken { seat } => {
                if let Some(of) = self.seats.iter_mut().find(|of| of.seat == *seat) {
                    of.taken.push((at, by));
                }
            }
            Event::ChecklistAnswered { item, answer } => {
                if let Some(of) = self.checklist.iter_mut().find(|of| of.id == *item) {
                    of.answers.push(Said { at, by, text: answer.clone() });
                }
            }
            Event::PollCalled { poll } => self.polls.push(PollReport { number: *poll, at, by, answers: vec![] }),
            Event::PollAnswered { go, why, .. } => {
                if let Some(poll) = self.polls.last_mut() {
                    poll.answers.push(PollWord { at, by, go: *go, why: why.clone() });
                }
            }
            Event::AvailabilityStated { fit, until, why } => {
                let end = before.expected_end(at);
                let short = until.zip(end).filter(|(until, end)| until < end);
                let warnings = short.map(|(_, end)| format!("the plan expected until {}", end.clock()));
                self.availability.push(AvailabilityReport {
                    at,
                    by,
                    fit: *fit,
                    until: *until,
                    why: why.clone(),
                    warnings: warnings.into_iter().collect(),
                });
            }
            Event::AndonPulled { .. } => {
                self.andon_tried.entry(by).or_insert(at);
            }
            Event::AndonReleased { .. }
            | Event::LineHeld { .. }
            | Event::LineFreed { .. }
            | about::session!()
            | about::crew!()
            | about::said!()
            | about::watches!()
            | about::changes!()
            | about::check!()
            | about::run!()
            | about::after!()
            | about::evidence!()
            | about::told!() => {}
        }
    }
}

/// The section, where there is anything to say.
pub(super) fn markdown(out: &mut impl std::fmt::Write, report: &PreflightReport) -> std::fmt::Result {
    if !report.polled && report.availability.is_empty() && report.earlier.is_none() {
        return Ok(());
    }
    let who = |principal: &Principal| inline(principal.as_str());
    writeln!(out, "## Before\n")?;
    if let Some(earlier) = &report.earlier {
        writeln!(out, "Earlier: {}.\n", inline(&earlier.words()))?;
        earlier.open.iter().try_for_each(|open| writeln!(out, "- open: {}", inline(open)))?;
        writeln!(out)?;
    }
    if !report.seats.is_empty() {
        writeln!(out, "| seat | taken by |\n|---|---|")?;
        for seat in &report.seats {
            let taken: Vec<_> = seat.taken.iter().map(|(at, by)| format!("{} {}", at.clock(), who(by))).collect();
            let taken = if taken.is_empty() { "**nobody**".to_owned() } else { taken.join(", then ") };
            writeln!(out, "| {} | {taken} |", inline(&seat.seat))?;
        }
        writeln!(out)?;
    }
    for item in &report.checklist {
        let owner = item.seat.as_deref().map_or("anyone of the crew".to_owned(), inline);
        writeln!(out, "- {} ({owner}): {}", inline(item.id.as_str()), inline(&item.ask))?;
        if item.answers.is_empty() {
            writeln!(out, "  - **not answered**")?;
        }
        for said in &item.answers {
            writeln!(out, "  - {} {}: {}", said.at.clock(), who(&said.by), inline(&said.text))?;
        }
    }
    if !report.checklist.is_empty() {
        writeln!(out)?;
    }
    for said in &report.availability {
        let until = said.until.map_or(String::new(), |until| format!(", until {}", until.clock()));
        let warnings = said.warnings.iter().map(|warning| format!("; **too short**: {warning}")).collect::<String>();
        match said.fit {
            true => writeln!(out, "- {} {} fit to fly{until}{warnings}", said.at.clock(), who(&said.by))?,
            false => writeln!(out, "- {} {} **not fit**: {}", said.at.clock(), who(&said.by), inline(&said.why))?,
        }
    }
    for (by, at) in report.andon_tried.iter().filter(|_| report.polled) {
        writeln!(out, "- {} {} pulled the andon for the first time", at.clock(), who(by))?;
    }
    if report.polled && report.polls.is_empty() {
        writeln!(out, "- **no poll was called**")?;
    }
    for poll in &report.polls {
        writeln!(out, "- {} poll {} called by {}", poll.at.clock(), poll.number, who(&poll.by))?;
        for word in &poll.answers {
            match word.go {
                true => writeln!(out, "  - {} {}: go", word.at.clock(), who(&word.by))?,
                false => writeln!(out, "  - {} {}: **no-go**: {}", word.at.clock(), who(&word.by), inline(&word.why))?,
            }
        }
    }
    writeln!(out)
}

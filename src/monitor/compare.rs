//! Readings of other watches held against each other.
//!
//! On its period it takes what was read last: an operand is read once, however many compares name it. Where it is asked, it
//! asks its operands in turn, because a gate must not pass on what was seen before the question. Its reading is as old as
//! the oldest it rests on, and an operand that is unknown, stale or without a number makes it unknown.

use super::board::{Board, Taken};
use super::{Findings, excerpt, figure};
use crate::clock::{At, human};
use crate::event::{Reading, Status};
use crate::name::WatchId;
use crate::plan::{Compare as Formula, Quantity, Watch};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The formula and where its operands are read.
pub(super) struct Compare {
    formula: Formula,
    /// What it reads, and the age past which that is not known any more.
    operands: Vec<(WatchId, Duration)>,
    board: Arc<Board>,
    now: super::Now,
}

impl Compare {
    /// `watches` are all of the plan.
    pub(super) fn new(formula: &Formula, watches: &[Watch], board: Arc<Board>, now: super::Now) -> Self {
        let stale_after = |id: &WatchId| watches.iter().find(|watch| watch.id == *id).map(|watch| watch.stale_after);
        let operands = formula.formula.watches().into_iter();
        // One that does not exist is never read, so its limit is never asked for.
        let operands = operands.map(|id| (id.clone(), stale_after(id).unwrap_or_default())).collect();
        Compare { formula: formula.clone(), operands, board, now }
    }

    /// Compares once: what was read last, or, where it was `asked`, what its operands read now.
    pub(super) async fn read(&mut self, limit: Duration, asked: bool) -> Taken {
        // A little less than the loop gives, so that what is missing can be named.
        let patience = limit.mul_f64(0.9);
        let mut taken: BTreeMap<WatchId, Taken> = BTreeMap::new();
        let late = match asked {
            true => {
                let anew = self.operands.iter().map(|(id, _)| self.board.anew(id));
                let anew = tokio::time::timeout(patience, futures_util::future::join_all(anew)).await;
                for ((id, _), seen) in self.operands.iter().zip(anew.iter().flatten()) {
                    taken.extend(seen.clone().map(|seen| (id.clone(), seen)));
                }
                anew.is_err()
            }
            false => {
                let first = futures_util::future::join_all(self.operands.iter().map(|(id, _)| self.board.first(id)));
                let _ = tokio::time::timeout(patience, first).await; // what is missing then is told below
                for (id, _) in &self.operands {
                    taken.extend(self.board.latest(id).map(|seen| (id.clone(), seen)));
                }
                false
            }
        };
        let reading = match late {
            true => Reading::unknown(format!("what it compares was not read anew within {}", human(patience))),
            false => self.judge(&taken, (self.now)()),
        };
        Taken { reading, began: self.began(&taken) }
    }

    /// When the oldest of what this rests on began. Never after the next one's, also where something is missing: who takes
    /// readings takes none that began earlier than the one before.
    fn began(&self, taken: &BTreeMap<WatchId, Taken>) -> At {
        let latest = |id: &WatchId| taken.get(id).cloned().or_else(|| self.board.latest(id)).map(|taken| taken.began);
        let operands = self.operands.iter().map(|(id, _)| latest(id).unwrap_or(self.board.opened));
        operands.min().unwrap_or(self.board.opened)
    }

    fn judge(&self, taken: &BTreeMap<WatchId, Taken>, now: At) -> Reading {
        let quantity = |id: &WatchId| {
            let stale_after =
                self.operands.iter().find(|(operand, _)| operand == id).map(|(_, stale_after)| *stale_after);
            let (Some(Taken { reading, began }), Some(stale_after)) = (taken.get(id), stale_after) else {
                return Err(format!("{id} has not been read"));
            };
            let age = now.since(*began);
            if age > stale_after {
                return Err(format!("{id} was last read {} ago", human(age)));
            }
            match (reading.status, reading.value) {
                (Status::Unknown, _) => Err(format!("{id} is unknown: {}", excerpt(&reading.why, 120))),
                (_, Some(number)) if number.is_finite() => Ok(Quantity { number, unit: reading.unit.clone() }),
                _ => Err(format!("{id} has no number: {}", excerpt(&reading.why, 120))),
            }
        };
        let sides = match self.formula.formula.sides(&quantity) {
            Ok(sides) => sides,
            Err(why) => return Reading::unknown(why),
        };
        let (left, right) = (sides.left, sides.right);
        let relation = self.formula.formula.relation;
        let mut findings = Findings::default();
        let within = self.formula.within.unwrap_or(0.0);
        let mut shown = [figure(left, &sides.unit), figure(right, &sides.unit)];
        if shown[0] == shown[1] && left != right {
            shown = [left.to_string(), right.to_string()]; // every digit counts here
        }
        let told = format!("{} {} {}", shown[0], relation.word(), shown[1]);
        match relation.holds(left, right, within) {
            true => findings.add(Status::Ok, told),
            false => {
                let within = match self.formula.within {
                    Some(within) => format!(" within {}%", figure(within * 100.0, "")),
                    None => String::new(),
                };
                findings
                    .add(Status::Fail, format!("{told} does not hold{within}: {}", excerpt(&self.formula.text, 80)));
            }
        }
        // Two sides of which one is beyond all numbers have no difference either.
        findings.reading("", Some(left - right).filter(|apart| apart.is_finite()), &sides.unit)
    }
}

#[cfg(test)]
mod tests;

//! What the virtual hub sees when it looks: at a watch, at the bytes of a step, at a session before and after.

use super::actions::{HOSTILE, VALUES};
use super::world::World;
use crate::event::{Anchor, CommandSeen, Covers, EachSeen, FileSeen, Mark, PreviewSeen, Reading, RollbackSeen, Status};
use crate::fixture as a;
use crate::hash::Hash;
use crate::name::{StepId, WatchId};
use crate::plan::Step;
use crate::session::{Session, Unfrozen};
use std::collections::{BTreeMap, BTreeSet};

/// So many lines has the file of a step that works through one.
const FILE_LINES: u32 = 5;

impl World {
    /// Counted at this moment, so that no two are equal.
    pub fn anchor(&self) -> Anchor {
        let low = u64::try_from(self.now.micros()).expect("later than 1970");
        let mark = Mark { needed: low, low, end: low, oldest_ms: None };
        Anchor { topic: HOSTILE[3].into(), retention_ms: Some(-1), partitions: [(0, mark)].into() }
    }

    pub fn reading(&self, watch: &WatchId) -> Reading {
        let (status, why, value) = self.gates.get(watch).copied().unwrap_or((Status::Unknown, 0, 0));
        let value = VALUES[value % VALUES.len()];
        a::reading(status).of(value, "ms").because(HOSTILE[why % HOSTILE.len()])
    }

    /// What would run if it ran now.
    pub fn freeze(&self, id: &StepId, attempt: u32) -> Result<Covers, Unfrozen> {
        let step = self.session().plan.step(id).ok_or_else(|| "no such step".to_owned())?;
        self.freeze_step(step, attempt)
    }

    pub fn freeze_step(&self, step: &Step, attempt: u32) -> Result<Covers, Unfrozen> {
        let (id, session) = (&step.id, self.session());
        let version = self.versions.get(id).copied().unwrap_or(0);
        if version == 9 {
            return Err(format!("no file{}", HOSTILE[1]).into());
        }
        let says_text = HOSTILE[usize::from(version) % HOSTILE.len()];
        let exe = FileSeen { size: 1, ..a::file(&format!("/bin/{id}")).of(&[version]).saying(says_text) };
        let says = self.previews.get(id).copied().unwrap_or(0);
        let preview = step.preview.as_ref().map(|preview| {
            let output = format!("{}\n{} rows{}\n", HOSTILE[usize::from(says) % HOSTILE.len()], 1 + says, HOSTILE[1]);
            PreviewSeen {
                command: CommandSeen::bare(["./count"], exe.clone()),
                expect: preview.expect.words(&session.params).unwrap_or_default(),
                sha256: Hash::of(output.as_bytes()),
                value: says.to_string(),
                output,
            }
        });
        if preview.is_some() && says == 9 {
            return Err(Unfrozen::Preview(format!("it failed{}", HOSTILE[2])));
        }
        let undo = |rollback: &crate::plan::Rollback| {
            let argv = rollback.command.run.argv(&BTreeMap::new()).map_err(|error| error.to_string())?;
            let command = CommandSeen::bare(argv, FileSeen { path: format!("/bin/un{id}"), ..exe.clone() });
            let (automatic, contain) = (rollback.automatic, rollback.contain.clone());
            Ok::<_, String>(RollbackSeen { automatic, contain, ..a::rollback(command) })
        };
        let rollback = step.rollback.as_ref().map(undo).transpose()?;
        let seen = |watch: &WatchId| {
            a::gate(watch.as_str(), self.reading(watch)).waived(self.session().waiver(id, watch, self.now).cloned())
        };
        let own = |command: &crate::plan::Command| {
            let argv = command.run.argv(&session.params).map_err(|error| error.to_string())?;
            Ok::<_, String>(CommandSeen {
                remote: command.on.is_some(),
                stdin_file: step.each().map(|_| exe.clone()),
                ..CommandSeen::bare(argv, exe.clone()).env(&[("PATH", "/bin")])
            })
        };
        let command = step.command().map(own).transpose()?.unwrap_or_else(CommandSeen::nothing);
        let each = step.each().map(|each| EachSeen {
            lines: FILE_LINES,
            first: each.first,
            then: each.then,
            done: session.lines_done(id, &command).min(FILE_LINES - 1),
        });
        let plain = a::covers_of(session, step, attempt, self.now).map_err(|error| error.to_string())?;
        Ok(Covers {
            probe: step.probe.as_ref().map(|_| CommandSeen::bare(["./probe"], exe.clone())),
            each,
            command,
            rollback,
            preview,
            gates: step.gates.iter().map(|gate| seen(&gate.watch)).collect(),
            words: BTreeMap::new(),
            ..plain
        })
    }
}

/// The first thing besides presence in which the two differ.
pub fn besides_presence(mut before: Session, after: Session) -> Option<String> {
    before.people = after.people.clone();
    before.lead_gone = after.lead_gone; // who is back is not gone any more
    (before.seq, before.at, before.short_since) = (after.seq, after.at, after.short_since);
    (before.hash, before.checkpoint) = (after.hash, after.checkpoint.clone());
    (before.recent, before.refusals) = (after.recent.clone(), after.refusals.clone());
    (before != after).then(|| {
        let names =
            |session: &Session| session.steps.iter().map(|(id, s)| (id.to_string(), s.phase)).collect::<BTreeSet<_>>();
        format!("steps were {:?} and are {:?}", names(&before), names(&after))
    })
}

//! What the virtual hub sees when it looks: at a watch, at the bytes of a step, at a session before and after.

use super::actions::{HOSTILE, VALUES};
use super::world::World;
use crate::event::{Anchor, CommandSeen, Covers, FileSeen, GateSeen, Mark, Reading, Status};
use crate::hash::Hash;
use crate::name::{StepId, WatchId};
use crate::session::Session;
use std::collections::{BTreeMap, BTreeSet};

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
        Reading { status, value: Some(value), unit: "ms".into(), why: HOSTILE[why % HOSTILE.len()].into() }
    }

    /// What would run if it ran now.
    pub fn freeze(&self, id: &StepId, attempt: u32) -> Result<Covers, String> {
        let plan = &self.evidence.plan;
        let step = plan.step(id).ok_or("no such step")?;
        let version = self.versions.get(id).copied().unwrap_or(0);
        if version == 9 {
            return Err(format!("no file{}", HOSTILE[1]));
        }
        let exe = FileSeen {
            path: format!("/bin/{id}"),
            sha256: Hash::of(&[version]),
            size: 1,
            text: Some(HOSTILE[usize::from(version) % HOSTILE.len()].into()),
        };
        let seen = |watch: &WatchId| GateSeen { watch: watch.clone(), reading: self.reading(watch), age_ms: 0 };
        Ok(Covers {
            step: id.clone(),
            attempt,
            title: step.title.clone(),
            class: step.class.word().into(),
            checks: step.checks,
            probe: step.probe.as_ref().map(|_| CommandSeen::bare(["./probe"], exe.clone())),
            manual: step.manual.as_ref().map(|words| words.text().to_owned()),
            command: CommandSeen {
                remote: step.command.on.is_some(),
                env: BTreeMap::from([("PATH".into(), "/bin".into())]),
                ..CommandSeen::bare(step.command.run.argv(&BTreeMap::new()).map_err(|error| error.to_string())?, exe)
            },
            plan: plan.digest,
            gates: step.gates.iter().map(|gate| seen(&gate.watch)).collect(),
            words: BTreeMap::new(),
            point_of_no_return: step.point_of_no_return,
            require_touch: step.require_touch,
        })
    }
}

/// The first thing besides presence in which the two differ.
pub fn besides_presence(mut before: Session, after: Session) -> Option<String> {
    before.people = after.people.clone();
    (before.seq, before.at, before.short_since) = (after.seq, after.at, after.short_since);
    (before.hash, before.checkpoint) = (after.hash, after.checkpoint.clone());
    (before.recent, before.refusals) = (after.recent.clone(), after.refusals.clone());
    (before != after).then(|| {
        let names =
            |session: &Session| session.steps.iter().map(|(id, s)| (id.to_string(), s.phase)).collect::<BTreeSet<_>>();
        format!("steps were {:?} and are {:?}", names(&before), names(&after))
    })
}

//! One try of a step: who armed, checked and ran it, and what its commands came to.

use super::text;
use crate::clock::At;
use crate::event::{
    Compared, Event, Exits, Frozen, LeftSeen, Part, Process, ProcessSeen, RunEnd, Settled, Verdict, WaitEnd, about,
};
use crate::hash::Hash;
use crate::name::{Principal, WatchId};
use crate::session::Said;
use crate::transcript::record::Line;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

/// Lines of a command's output that a report shows.
pub const TAIL_LINES: usize = 20;
/// How much of the output is read for them.
const TAIL_BYTES: u64 = 64 * 1024;
/// Whoever said yes sooner than that after opening the panel can hardly have read it.
pub const VERY_QUICK: Duration = Duration::from_secs(3);

/// One try of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Attempt {
    pub attempt: u32,
    pub armed: At,
    pub by: Principal,
    /// The number of the line in which `covers` stands.
    pub line: u64,
    pub digest: Hash,
    /// What exactly was armed, gates as they were included.
    pub covers: Frozen,
    pub opened: BTreeMap<Principal, At>,
    /// Fields that were typed from somebody's own runbook, and whether that was right.
    pub read_back: Vec<(At, Principal, String, bool)>,
    pub checks: Vec<Checked>,
    pub objections: Vec<Said>,
    pub withdrawn: Vec<(At, Principal)>,
    /// When it stopped being armed, and why.
    pub voided: Option<(At, String)>,
    pub cleared: Option<At>,
    /// Who pressed run, and when.
    pub requested: Option<(At, Principal)>,
    /// Its batches before the last, where it worked through the lines of a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<Ran>,
    /// Why no further batch was begun though lines were left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches_ended: Option<(At, String)>,
    /// What became of its command.
    pub run: Ran,
    /// What undid it, each try.
    pub rollbacks: Vec<RolledBack>,
    pub settled: Option<(Settled, Said)>,
    /// Who had said so first, where it takes two.
    pub agreed: Option<Principal>,
}

/// A command that ran, or was meant to.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[allow(missing_docs)]
pub struct Ran {
    pub intended: Option<At>,
    pub process: Option<Process>,
    pub started: Option<At>,
    pub ended: Option<At>,
    pub end: Option<RunEnd>,
    /// Which of its exit codes counted as done.
    #[serde(skip_serializing_if = "Exits::is_usual")]
    pub exits: Exits,
    /// Who asked for each probe of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probed_by: Vec<Principal>,
    /// Every probe of it that ended: when, how, and the beginning of what it printed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<(At, RunEnd, String)>,
    /// Who did it, where no command did, and what they said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<Said>,
    /// Each wait for its watch: since when, and how it ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitReport>,
    /// How things stood afterwards, held against before.
    pub verified: Option<(At, Verdict, Vec<Compared>)>,
    /// The hub died in between, or the link to its host was lost.
    pub lost: bool,
    /// How the link ended, where that was what was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_lost: Option<RunEnd>,
    pub interrupted: Vec<(At, Principal, bool)>,
    /// What was typed to it; without text where its terminal hid it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub typed: Vec<(At, Principal, u32, Option<String>)>,
    /// When it waited for an answer that nobody may give, and the last line it had printed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<(At, String)>,
    /// When it had ended and others of its process session were waited for, how, and who they were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<(At, RunEnd, LeftSeen)>,
    /// What it left running, and when that was seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<(At, LeftSeen)>,
    /// What of that was seen to have ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_gone: Vec<(At, Vec<ProcessSeen>)>,
    /// What the plan says that it leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves: Option<String>,
    pub output_bytes: u64,
    pub output_tail: Tail,
}

/// What undid a step, or was meant to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct RolledBack {
    pub by: Principal,
    /// Whether the plan had it run by itself.
    pub automatic: bool,
    pub why: String,
    pub run: Ran,
}

/// A wait for a watch to read ok.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct WaitReport {
    pub at: At,
    pub watch: WatchId,
    /// Until when at most.
    pub until: Option<At>,
    /// Begun again by a hub that was away.
    pub anew: bool,
    /// When, by whom where somebody gave it up, how, and what the watch said.
    pub ended: Option<(At, Principal, WaitEnd, String)>,
}

/// A yes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Checked {
    pub at: At,
    pub by: Principal,
    pub key: String,
    pub digest: Hash,
    /// How long the panel had been open.
    pub looked_ms: u64,
}
impl Checked {
    /// Whether nobody reads that fast.
    pub fn is_very_quick(&self) -> bool {
        Duration::from_millis(self.looked_ms) < VERY_QUICK
    }
}

/// The last lines a command printed.
#[derive(Default, Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tail {
    /// Nothing was printed, or nobody looked.
    #[default]
    None,
    /// The file was deleted by `crosscheck expire`: OUTPUT EXPIRED.
    Expired,
    /// The file is gone: OUTPUT MISSING.
    Missing,
    /// Made harmless; `more` where others stand before them.
    #[allow(missing_docs)]
    Lines { lines: Vec<String>, more: bool },
}

impl Ran {
    /// Who of those that it left was not seen to end.
    pub fn still_left(&self) -> Option<String> {
        let gone = |seen: &&ProcessSeen| !self.left_gone.iter().any(|(_, gone)| gone.contains(seen));
        let named = self.left.iter().flat_map(|(_, of)| &of.named).filter(gone).map(ToString::to_string);
        let all: Vec<_> = named.collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
    pub(super) fn take(&mut self, at: At, by: Principal, event: &Event) {
        match event {
            Event::RunStarted { process, .. } => {
                self.process = Some(process.clone());
                self.started = Some(at);
            }
            Event::OutputWritten { part: Part::Step | Part::Rollback, offset, length, .. } => {
                self.output_bytes = self.output_bytes.max(offset.saturating_add(u64::from(*length)));
            }
            Event::InputWritten { chars, text, .. } => self.typed.push((at, by, *chars, text.clone())),
            Event::OthersAwaited { end, of, .. } => self.awaited.push((at, end.clone(), of.clone())),
            Event::LeftBehind { of, .. } => self.left.push((at, of.clone())),
            Event::LeftGone { processes, .. } => self.left_gone.push((at, processes.clone())),
            Event::AnswerAwaited { line, .. } => self.asked.push((at, line.clone())),
            Event::RunInterrupted { force, .. } => self.interrupted.push((at, by, *force)),
            Event::RunEnded { end, .. } | Event::RollbackEnded { end, .. } => {
                self.ended = Some(at);
                self.end = Some(end.clone());
            }
            Event::ProbeIntended { .. } => self.probed_by.push(by),
            Event::ProbeEnded { end, says, .. } => self.probes.push((at, end.clone(), says.clone())),
            Event::DoneByHand { by, note, .. } => {
                self.ended = Some(at);
                self.by_hand = Some(Said { at, by: by.clone(), text: note.clone() });
            }
            Event::WaitStarted { watch, until, anew, .. } => {
                self.waits.push(WaitReport { at, watch: watch.clone(), until: *until, anew: *anew, ended: None });
            }
            Event::WaitEnded { end, why, .. } => {
                self.ended.get_or_insert(at);
                if let Some(wait) = self.waits.last_mut() {
                    wait.ended = Some((at, by, *end, why.clone()));
                }
            }
            Event::VerifyEnded { verdict, compared, .. } => {
                self.verified = Some((at, *verdict, compared.clone()));
            }
            Event::OutcomeUnknown { end, .. } => {
                self.ended = Some(at);
                self.link_lost = end.clone();
                self.lost = true;
            }
            // Output of another part is no output of it; the rest is about no command, or was taken before.
            Event::RunRequested { .. }
            | Event::RunIntended { .. }
            | Event::BatchIntended { .. }
            | Event::BatchesEnded { .. }
            | Event::OutputWritten { .. }
            | Event::InputLost { .. }
            | Event::Resized { .. }
            | Event::ProcessGone { .. }
            | Event::VerifyStarted { .. }
            | Event::RollbackIntended { .. }
            | Event::SettleAgreed { .. }
            | Event::Acknowledged { .. }
            | about::session!()
            | about::crew!()
            | about::preflight!()
            | about::said!()
            | about::watches!()
            | about::changes!()
            | about::check!()
            | about::line!()
            | about::evidence!()
            | about::told!() => {}
        }
    }
}

impl Attempt {
    /// What ran last: its rollback, once there is one.
    pub(super) fn ran_mut(&mut self) -> &mut Ran {
        self.rollbacks.last_mut().map_or(&mut self.run, |rollback| &mut rollback.run)
    }
    /// What ran last of that command.
    pub(super) fn ran_of_mut(&mut self, part: Part) -> &mut Ran {
        match part {
            Part::Rollback => self.ran_mut(),
            Part::Step | Part::Preview | Part::Probe => &mut self.run,
        }
    }
    pub(super) fn took(&self) -> Option<Duration> {
        let waited = self.run.waits.last().and_then(|wait| wait.ended.as_ref()).map(|(at, ..)| *at);
        let verified = self.run.verified.as_ref().map(|(at, ..)| *at);
        let over = [self.run.ended, waited, verified].into_iter().flatten().max()?;
        Some(over.since(self.batches.first().unwrap_or(&self.run).intended?))
    }
    pub(super) fn new(line: &Line, attempt: u32, covers: &Frozen) -> Attempt {
        Attempt {
            attempt,
            armed: line.at,
            by: line.by.clone(),
            line: line.seq,
            digest: covers.digest(),
            covers: covers.clone(),
            opened: BTreeMap::new(),
            read_back: vec![],
            checks: vec![],
            objections: vec![],
            withdrawn: vec![],
            voided: None,
            cleared: None,
            requested: None,
            batches: vec![],
            batches_ended: None,
            run: Ran::default(),
            rollbacks: vec![],
            settled: None,
            agreed: None,
        }
    }
}

/// The last lines of an output file, of which so many bytes stand in the transcript.
pub(super) fn tail(path: &Path, length: u64) -> Tail {
    let Ok(file) = File::open(path) else { return Tail::Missing };
    let begins = length.saturating_sub(TAIL_BYTES);
    let mut bytes = vec![0; usize::try_from(length - begins).unwrap_or(0)]; // at most TAIL_BYTES
    if file.read_exact_at(&mut bytes, begins).is_err() {
        return Tail::Lines { lines: vec!["(the file is shorter than what was printed)".into()], more: false };
    }
    let lines = text::plain_lines(&bytes);
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    Tail::Lines { lines: lines[skipped..].to_vec(), more: skipped > 0 || begins > 0 }
}

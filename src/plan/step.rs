//! A step as a value: what it does ([`Does`]), what is asked before, and what its people must know. [`super::steps`] reads it.
//!
//! What only makes sense for a command lies with the command: a step that a person does has none that could be edited, fed,
//! or started.

use super::{Command, Each, Live, Preview, Template};
use crate::name::{Part, StepId, WatchId};
use std::collections::BTreeSet;
use std::time::Duration;

/// How much is asked before a step may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nothing but the lead.
    Routine,
    /// One cross-check.
    Critical,
    /// Two cross-checks.
    Irreversible,
}
impl Class {
    /// The word on screens and in plans.
    pub fn word(self) -> &'static str {
        match self {
            Class::Routine => "routine",
            Class::Critical => "critical",
            Class::Irreversible => "irreversible",
        }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its id.
    pub id: StepId,
    /// What people call it.
    pub title: String,
    /// How much is asked before it runs.
    pub class: Class,
    /// It was typed while the plan was flown.
    pub adhoc: bool,
    /// In what it differs from the plan; such a step is at least critical.
    pub deviations: Vec<crate::event::Deviation>,
    /// Topics whose records it deletes on purpose: what is needed of them is counted anew once it ended well.
    pub expects_loss: Vec<Template>,
    /// Cross-checks needed: 0 for routine steps, else at least 1.
    pub checks: u32,
    /// What is done.
    pub does: Does,
    /// In a rehearsal, what would be run live. No rule starts it.
    pub live: Option<Live>,
    /// What tells people how things stand where nobody knows what it did.
    pub probe: Option<Command>,
    /// Watches that must be ok.
    pub gates: Vec<Gate>,
    /// Steps that must be over before; the one before it where the plan says nothing.
    pub after: Vec<StepId>,
    /// How long it should take.
    pub expected: Option<Duration>,
    /// What undoes it.
    pub rollback: Option<Rollback>,
    /// What says what it would touch, before it is run.
    pub preview: Option<Preview>,
    /// How long it stays armed, where it differs from the plan's.
    pub lapse: Option<Duration>,
    /// After this nothing can be undone.
    pub point_of_no_return: bool,
    /// Parameters that shadows type from their own copy of the runbook before their check counts.
    pub readback: Vec<String>,
    /// Only a signature of a security key that was touched counts as a cross-check.
    pub require_touch: bool,
    /// What it touches, in words.
    pub touches: Option<String>,
    /// How it could be undone, in words.
    pub undo: Option<String>,
    /// What stays if it dies half-way, in words.
    pub half_way: Option<String>,
    /// Where the data still is afterwards, in words.
    pub remains_in: Option<String>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// It runs a command.
    Runs(Box<Runs>),
    /// A person does it, and says so. Nobody knows when it was done, so nothing can be held against what was before.
    ByHand {
        /// What is to be done, in words.
        words: Template,
        /// What it waits for once somebody said that it is done.
        until: Option<Until>,
    },
    /// Nothing: it is done when its watch reads ok.
    Waits {
        /// Which.
        until: Until,
        /// What must not be worse then than before.
        verify: Option<Verify>,
        /// The last cross-check starts it.
        run_on_clear: bool,
    },
}

/// A command, and what belongs to it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    /// What is run.
    pub command: Command,
    /// What a rehearsal runs in its place; where there is none, it prints what would be run.
    pub rehearse: Option<Command>,
    /// In one go, or in several.
    pub goes: Goes,
    /// The last cross-check starts it.
    pub run_on_clear: bool,
}

/// How a command goes through its work, and what follows a run of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goes {
    /// In one go.
    Once {
        /// What it waits for after the run.
        until: Option<Until>,
        /// What must not be worse after it than before.
        verify: Option<Verify>,
    },
    /// Through the lines of a file, a batch at a time, and each batch is verified: nothing else would stop at one that makes
    /// things worse.
    InBatches(Each, Verify),
}

impl Runs {
    /// That command, in one go, and nothing that follows.
    pub fn once(command: Command) -> Runs {
        let goes = Goes::Once { until: None, verify: None };
        Runs { command, rehearse: None, goes, run_on_clear: false }
    }
}

impl Goes {
    /// What must not be worse after a run than before.
    pub fn verify(&self) -> Option<&Verify> {
        match self {
            Goes::Once { verify, .. } => verify.as_ref(),
            Goes::InBatches(_, verify) => Some(verify),
        }
    }
}

impl Step {
    /// A routine step that does that, with nothing else a plan could say of it.
    pub fn new(id: StepId, title: String, does: Does) -> Step {
        Step {
            id,
            title,
            class: Class::Routine,
            adhoc: false,
            deviations: vec![],
            expects_loss: vec![],
            checks: 0,
            does,
            live: None,
            probe: None,
            gates: vec![],
            after: vec![],
            expected: None,
            rollback: None,
            preview: None,
            lapse: None,
            point_of_no_return: false,
            readback: vec![],
            require_touch: false,
            touches: None,
            undo: None,
            half_way: None,
            remains_in: None,
        }
    }
    /// What it runs; nothing where a person does it, or it only waits.
    pub fn runs(&self) -> Option<&Runs> {
        match &self.does {
            Does::Runs(runs) => Some(runs),
            Does::ByHand { .. } | Does::Waits { .. } => None,
        }
    }
    /// Its own command, where it runs one.
    pub fn command(&self) -> Option<&Command> {
        self.runs().map(|runs| &runs.command)
    }
    /// The words of what a person does.
    pub fn by_hand(&self) -> Option<&Template> {
        match &self.does {
            Does::ByHand { words, .. } => Some(words),
            Does::Runs(_) | Does::Waits { .. } => None,
        }
    }
    /// What it waits for before it is done.
    pub fn until(&self) -> Option<&Until> {
        match &self.does {
            Does::Runs(runs) => match &runs.goes {
                Goes::Once { until, .. } => until.as_ref(),
                Goes::InBatches(..) => None,
            },
            Does::ByHand { until, .. } => until.as_ref(),
            Does::Waits { until, .. } => Some(until),
        }
    }
    /// How it works through the lines of a file, where it does.
    pub fn each(&self) -> Option<&Each> {
        match &self.runs()?.goes {
            Goes::InBatches(each, _) => Some(each),
            Goes::Once { .. } => None,
        }
    }
    /// What must not be worse after it than before.
    pub fn verify(&self) -> Option<&Verify> {
        match &self.does {
            Does::Runs(runs) => runs.goes.verify(),
            Does::ByHand { .. } => None,
            Does::Waits { verify, .. } => verify.as_ref(),
        }
    }
    /// Whether the last cross-check starts it.
    pub fn run_on_clear(&self) -> bool {
        match &self.does {
            Does::Runs(runs) => runs.run_on_clear,
            Does::ByHand { .. } => false, // only who did it can say that it is done
            Does::Waits { run_on_clear, .. } => *run_on_clear,
        }
    }
    /// Everything it may run.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        let preview = self.preview.iter().map(|preview| &preview.command);
        let rollback = self.rollback.iter().map(|rollback| &rollback.command);
        self.command().into_iter().chain(preview).chain(rollback).chain(&self.probe)
    }
    /// One of its commands.
    pub fn command_of(&self, part: Part) -> Option<&Command> {
        match part {
            Part::Step => self.command(),
            Part::Preview => self.preview.as_ref().map(|preview| &preview.command),
            Part::Rollback => self.rollback.as_ref().map(|rollback| &rollback.command),
            Part::Probe => self.probe.as_ref(),
        }
    }
    /// What that command is held against once it ended well. A rollback that says nothing of its own is held against what
    /// the step is: what was before the step must be back.
    pub fn verify_of(&self, part: Part) -> Option<&Verify> {
        match part {
            Part::Step => self.verify(),
            Part::Preview | Part::Probe => None,
            Part::Rollback => self.rollback.as_ref()?.verify.as_ref().or(self.verify()),
        }
    }
    /// The keys of the secrets that their environments name, each once.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.commands().flat_map(Command::secrets).collect()
    }
}

/// What undoes a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// What is run.
    pub command: Command,
    /// What a rehearsal runs in its place; where there is none, it prints what would be run.
    pub rehearse: Option<Command>,
    /// Whether it runs by itself where the step ended with an exit code other than 0, or made something worse.
    pub automatic: bool,
    /// What brings back must look like before, where that differs from what the step is held against.
    pub verify: Option<Verify>,
    /// Steps that must be done once it ran, before the session ends.
    pub contain: Vec<StepId>,
}

/// What a step waits for once it has run: it is done when this watch reads ok.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Until {
    /// Which watch.
    pub watch: WatchId,
    /// For how long at most; until people give it up where the plan says nothing.
    pub within: Option<Duration>,
}

/// What a step is held against once it has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// Which watches.
    pub watches: Vec<Verified>,
    /// For how long after the run.
    pub time: Duration,
}

/// A watch that a run is verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which.
    pub watch: WatchId,
    /// Which way its number is worse, where the plan says so.
    pub worse: Option<Worse>,
}

/// Which way a number is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    /// More is worse.
    Up,
    /// Less is worse.
    Down,
    /// The number says nothing, only the status does.
    Status,
}

/// A watch a step depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The watch.
    pub watch: WatchId,
    /// Whether `warn` is good enough (`gates = [{ watch = "…", allow = "warn" }]`).
    pub allow_warn: bool,
}

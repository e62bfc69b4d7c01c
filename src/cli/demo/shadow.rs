//! The second person of the demo, played by a program: it joins over the websocket as anybody does, with a key of its own,
//! reads what was armed, and says yes only to what it found to be so.
//!
//! It looks at the newest state and finds what is asked of it ([`Duty`]). Each duty waits for its visible pause and is then
//! carried out, and again a little later while it is still asked for; so nothing depends on a message that was missed.

use super::{Guide, Trouble};
use crate::client::view::View;
use crate::client::{Client, Notice};
use crate::clock;
use crate::event::{Attention, Event, FileSeen};
use crate::hash::Hash;
use crate::name::StepId;
use crate::plan::Step;
use crate::session::Request;
use crate::session::steps::{Armed, Phase};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A duty that is still there so long after it was carried out is carried out again.
const AGAIN: Duration = Duration::from_secs(2);

/// How long it takes over things.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Reading a panel.
    pub read: Duration,
    /// Thinking about a failure, or a stopped line.
    pub think: Duration,
    /// From a refusal by the red gate until the trouble behind it is mended.
    pub mend: Duration,
    /// The same where nobody tries the gate.
    pub mend_untried: Duration,
}

/// Something asked of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Duty {
    /// Check what is armed.
    Check(StepId, u32),
    /// Take note that it failed.
    Ack(StepId, u32),
    /// Agree that the line goes on, after the lead did.
    Release,
    /// Mend the trouble behind the red gate.
    Mend,
}

/// What it says of its own accord, each once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Greeting,
    Reading(StepId, u32),
    GateRed(StepId, u32),
    Stopped(clock::At),
    Refused,
    GateOpen,
    Over,
}

/// The demo's shadow.
pub struct Shadow {
    client: Client,
    pace: Pace,
    guide: Guide,
    trouble: Trouble,
    due: BTreeMap<Duty, Instant>,
    said: BTreeSet<Said>,
    inspects: bool,
}

impl Shadow {
    /// Takes the seat of an own connection.
    pub fn new(client: Client, pace: Pace, guide: Guide, trouble: Trouble) -> Self {
        Shadow { client, pace, guide, trouble, due: BTreeMap::new(), said: BTreeSet::new(), inspects: false }
    }

    /// Plays along until the session is over.
    pub async fn fly(mut self) {
        loop {
            let view = self.client.view.borrow_and_update().clone();
            self.look(&view).await;
            let next = self.due.iter().min_by_key(|(_, due)| **due).map(|(duty, due)| (duty.clone(), *due));
            let until = next.as_ref().map_or_else(Instant::now, |(_, due)| *due);
            tokio::select! {
                notice = self.client.notices.recv() => match notice {
                    None | Some(Notice::Over(_)) => return,
                    Some(Notice::Line { line, .. }) => self.hear(&line.event).await,
                    Some(_) => {}
                },
                changed = self.client.view.changed() => if changed.is_err() { return },
                () = sleep_until(until), if next.is_some() => if let Some((duty, _)) = next {
                    self.due.insert(duty.clone(), Instant::now() + AGAIN);
                    self.carry_out(&duty, &view).await;
                },
            }
        }
    }

    async fn say(&mut self, text: impl Into<String>) {
        self.client.ask(Request::Say { text: text.into() }).await;
    }

    async fn say_once(&mut self, what: Said, text: impl Into<String>) {
        if self.said.insert(what) {
            self.say(text).await;
        }
    }

    /// A refusal by the gate is what the trouble waits for.
    async fn hear(&mut self, event: &Event) {
        let Event::Refused { request, .. } = event else { return };
        if *request != format!("arm {}", super::DROP) || !self.trouble.holds() {
            return;
        }
        let soon = Instant::now() + self.pace.mend;
        self.due.entry(Duty::Mend).and_modify(|due| *due = soon.min(*due)).or_insert(soon);
        self.say_once(Said::Refused, super::WHY_RED).await;
    }

    /// Finds what is asked, and starts and forgets pauses accordingly.
    async fn look(&mut self, view: &View) {
        let wanted = self.wanted(view);
        self.due.retain(|duty, _| wanted.contains_key(duty));
        for (duty, pause) in wanted {
            self.due.entry(duty).or_insert(Instant::now() + pause);
        }
        let session = &*view.session;
        // What is said before somebody joins is told to nobody.
        if session.people.get(&session.lead).is_some_and(|lead| !lead.connections.is_empty()) {
            self.say_once(Said::Greeting, self.guide.greeting()).await;
        }
        if let Some(Duty::Check(step, attempt)) = self.due.keys().find(|duty| matches!(duty, Duty::Check(..))).cloned()
            && self.said.insert(Said::Reading(step.clone(), attempt))
        {
            self.client.ask(Request::OpenCheck { step: step.clone(), attempt }).await;
            self.client.ask(Request::Attend { attention: Attention::Inspecting(step) }).await;
            self.inspects = true;
            self.say("reading the command…").await;
        } else if self.inspects && session.open_step().is_none() {
            self.inspects = false;
            self.client.ask(Request::Attend { attention: Attention::Here }).await;
        }
        if let Some(pulled) = session.line.pulled.values().max()
            && let Some(text) = self.guide.stopped()
        {
            self.say_once(Said::Stopped(*pulled), text).await;
        }
        let drop = session.plan.steps.iter().find(|step| step.id.as_str() == super::DROP);
        if let (Some(drop), Some(text)) = (drop, self.guide.gate_open())
            && !self.trouble.holds()
            && session.current_step().is_some_and(|(step, state)| step.id == drop.id && state.phase == Phase::Planned)
            && red_gate(view, drop).is_none()
        {
            self.say_once(Said::GateOpen, text).await;
        }
        if let (None, Some(text)) = (session.current_step(), self.guide.over()) {
            self.say_once(Said::Over, text).await;
        }
    }

    fn wanted(&self, view: &View) -> BTreeMap<Duty, Duration> {
        let session = &*view.session;
        let mut wanted = BTreeMap::new();
        if let Some((step, state, armed)) = session.open_step()
            && state.phase == Phase::Armed
            && session.may_check(&view.me)
            && armed.missing() > 0
            && !armed.checks.contains_key(&view.me)
        {
            wanted.insert(Duty::Check(step.id.clone(), state.attempt), self.pace.read);
        }
        if let Some((step, state)) = session.owing_step()
            && state.phase == Phase::Failed
        {
            wanted.insert(Duty::Ack(step.id.clone(), state.attempt), self.pace.think);
        }
        let released = &session.line.released;
        if !session.line.pulled.is_empty() && released.contains(&session.lead) && !released.contains(&view.me) {
            wanted.insert(Duty::Release, self.pace.think);
        }
        let before_drop = session.current_step().is_some_and(|(step, _)| step.id.as_str() == super::DROP);
        if self.trouble.holds() && (before_drop || self.due.contains_key(&Duty::Mend)) {
            wanted.insert(Duty::Mend, self.pace.mend_untried);
        }
        wanted
    }

    async fn carry_out(&mut self, duty: &Duty, view: &View) {
        match duty {
            Duty::Check(..) => self.check(view).await,
            Duty::Ack(step, _) => {
                let why = "seen: it failed; it may be armed again".to_owned();
                self.client.ask(Request::Ack { step: step.clone(), why }).await;
            }
            Duty::Release => {
                self.client.ask(Request::Release).await;
            }
            Duty::Mend => {
                self.trouble.mend();
                self.say(super::MENDED).await;
            }
        }
    }

    /// Yes, no, or not yet.
    async fn check(&mut self, view: &View) {
        let Some((step, state, armed)) = view.session.open_step() else { return };
        let (id, attempt, digest) = (step.id.clone(), state.attempt, armed.digest());
        if let Some(watch) = red_gate(view, step) {
            let why = view.session.why(&watch, view.now(clock::wall()));
            return self
                .say_once(Said::GateRed(id, attempt), format!("I wait: gate {watch} does not hold ({why})"))
                .await;
        }
        match examined(view, step, armed) {
            Ok(found) => {
                self.say(format!("{found}: yes to {}{}", digest.short(), self.guide.checked())).await;
                self.client.ask(Request::Check { step: id, attempt, digest }).await;
            }
            Err(why) => {
                self.client.ask(Request::Object { step: id, attempt, digest, why }).await;
            }
        }
    }
}

fn red_gate(view: &View, step: &Step) -> Option<crate::name::WatchId> {
    let now = view.now(clock::wall());
    step.gates.iter().find(|gate| !view.session.gate_holds(gate, now)).map(|gate| gate.watch.clone())
}

/// What can be told from the digest's own text, as this client folded it: that it is the plan's command and nothing else.
fn examined(view: &View, step: &Step, armed: &Armed) -> Result<String, String> {
    let covers = armed.covers.covers();
    if !step.command().is_some_and(|command| command.run.gives(&covers.command.argv, &view.session.params)) {
        return Err("its arguments are not the plan's".to_owned());
    }
    if covers.plan != view.session.plan.digest {
        return Err("it was armed from another plan".to_owned());
    }
    let other = |file: &&FileSeen| file.text.as_ref().is_some_and(|text| Hash::of(text.as_bytes()) != file.sha256);
    if let Some(file) = covers.command.files.iter().find(other) {
        return Err(format!("the text shown of {} is not the file that was hashed", file.path));
    }
    let files = covers.command.files.len();
    let files = format!("{files} file{}", if files == 1 { "" } else { "s" });
    Ok(format!("the command is the plan's, {files} read and hashed, {} gates hold", step.gates.len()))
}

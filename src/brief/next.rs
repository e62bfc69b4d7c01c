//! The next act: who has to do what now, so that it goes on. One sentence, for each who looks.

use super::acts::Act;
use super::may::awaited;
use super::sight::{Picked, Reach, Sight};
use super::stands;
use crate::clock::human;
use crate::name::{Principal, shown};
use crate::plan::Step;
use crate::session::Session;
use crate::session::steps::{Phase, StepState};

/// What everything waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// Who can do it; nobody where it is time, a command or a watch that is waited for.
    pub who: Vec<Principal>,
    /// Whether each of them has to, or one is enough.
    pub each: bool,
    /// What they do, and where a key does it, which: `arm 03`, `settle 02`.
    pub what: String,
    /// The act, where it is one of theirs.
    pub act: Option<Act>,
}

impl Next {
    fn by(who: impl IntoIterator<Item = Principal>, what: impl Into<String>) -> Next {
        Next { who: who.into_iter().collect(), each: false, what: what.into(), act: None }
    }
    fn nobody(what: impl Into<String>) -> Next {
        Next::by([], what)
    }
    fn does(self, act: Act) -> Next {
        Next { act: Some(act), ..self }
    }
    fn of_each(self, each: bool) -> Next {
        Next { each, ..self }
    }
    /// The sentence for who looks: `you: arm 03`, `sam or ivo: check 03`.
    pub fn told_to(&self, me: &Principal, session: &Session) -> String {
        let join = if self.each { " and " } else { " or " };
        // Whom one waits for in vain: they went, or their link is frozen.
        let name = |who: &&Principal| match session.people.get(*who) {
            Some(person) if person.connections.is_empty() => format!("{} (gone)", who.short()),
            Some(person) if !person.is_heard() => format!("{} (silent)", who.short()),
            _ => who.short().to_owned(),
        };
        let names = |who: &[&Principal]| who.iter().map(name).collect::<Vec<_>>().join(join);
        let others: Vec<&Principal> = self.who.iter().filter(|who| *who != me).collect();
        let who = match (self.who.contains(me), others.is_empty()) {
            (false, true) => return session.shortened(&shown(&self.what)),
            (true, true) => "you".to_owned(),
            (true, false) => format!("you{join}{}", names(&others)),
            (false, false) => names(&others),
        };
        format!("{who}: {}", session.shortened(&shown(&self.what)))
    }
}

impl Sight<'_> {
    /// What happens next, and who it waits for.
    pub fn next(&self) -> Next {
        let (session, at) = (self.session, self.at);
        if self.reach == Reach::Replay || session.closed.is_some() {
            return Next::nobody("nothing is left to do here");
        }
        if session.closing.is_some() {
            return Next::by(session.owes_close().into_iter().cloned(), "sign the end; your client does it by itself");
        }
        if !session.line.pulled.is_empty() {
            return self.release();
        }
        if let Some(why) = session.line.held.as_ref().filter(|_| !session.is_glass_broken()) {
            if let Some((who, _)) = stands::knocked(session, at) {
                let crew = session.people.keys().filter(|by| session.is_here(by) && session.is_crew(by));
                let what = format!("somebody came as {who} with another key: if it is really them, two let them in");
                return Next::by(crew.cloned(), what).of_each(true).does(Act::Readmit);
            }
            return Next::nobody(format!("the line is held: {why}; it goes on by itself once that is over"));
        }
        if session.stopping.is_some() {
            return Next::nobody("the hub was asked to stop; it ends once nothing runs");
        }
        if session.is_gone(&session.lead, at) {
            let heirs = session.people.keys().filter(|who| session.is_here(who) && session.may_take_lead(who, at));
            return Next::by(heirs.cloned(), "take the lead over, with one more of the crew").does(Act::Handover);
        }
        if let Some((step, state)) = session.owing_step() {
            return self.settle(step, state);
        }
        let Some((step, state)) = session.current_step() else {
            return self.by_the_lead("close the session; every step is over".to_owned(), Act::Close);
        };
        let number = session.numbered(&step.id);
        match state.phase {
            Phase::Waiting => {
                Next::nobody(format!("{number} {}", session.waits_for(step, at).unwrap_or_else(|| "waits".to_owned())))
            }
            phase if phase.is_verifying() => {
                let said = stands::verification(state, at).unwrap_or_default();
                Next::nobody(format!("{number} is verified: {said}"))
            }
            Phase::BetweenBatches => {
                let held = session.batch_held(step, at);
                let held = held.map_or_else(String::new, |why| format!(", held: {why}"));
                Next::nobody(format!("the next batch of {number} begins by itself{held}"))
            }
            phase if phase.is_live() => Next::nobody(match state.awaits() {
                Some(awaits) => format!("{number}: {awaits}"),
                None => format!("{number} is {}: wait for its end", phase.word()),
            }),
            Phase::Starting => Next::nobody(format!("{number} starts once gates and bytes are read again")),
            Phase::Cleared => {
                let what = if step.by_hand().is_some() { "do it, then say so:" } else { "run" };
                self.held(step).unwrap_or_else(|| self.by_the_lead(format!("{what} {number}"), Act::Run))
            }
            Phase::Armed => self.check(step, state),
            _ => self.arm(step),
        }
    }

    fn release(&self) -> Next {
        let session = self.session;
        let needs = session.release_needs(self.at, &session.line.released);
        let who = session.people.keys().filter(|who| {
            let theirs = **who == session.lead || session.line.pulled.contains_key(*who);
            !session.line.released.contains(*who) && session.is_here(who) && (theirs || session.is_shadow(who))
        });
        let named = who.filter(|who| needs.iter().any(|need| need.contains(who.as_str()) || need == "any shadow"));
        Next::by(named.cloned(), "release the line, once it is safe to go on").of_each(true).does(Act::Release)
    }

    fn settle(&self, step: &Step, state: &StepState) -> Next {
        let (session, number) = (self.session, self.session.numbered(&step.id));
        if state.still_running() {
            return Next::nobody(format!(
                "{number}: its process is still alive; interrupt it, or wait until it is gone"
            ));
        }
        let armed_by = state.armed.as_ref().map(|armed| &armed.by);
        let able =
            |who: &&Principal| session.is_here(who) && session.may_acknowledge(who, self.at) && armed_by != Some(*who);
        let mut who: Vec<Principal> = session.people.keys().filter(able).cloned().collect();
        let undo = state.phase.may_roll_back() && step.rollback.is_some();
        let what = match (undo, who.is_empty()) {
            (_, true) if undo => format!("roll {number} back; and a shadow or a seat has to come, to settle it"),
            (_, true) => format!("{number} is {}: a shadow or a seat has to come, to settle it", state.phase.word()),
            (true, false) => format!("settle {number}, or the lead rolls it back"),
            (false, false) => format!("settle {number}"),
        };
        if undo {
            who.push(session.lead.clone());
        }
        Next::by(who, what).does(if undo { Act::Rollback } else { Act::Settle })
    }

    fn check(&self, step: &Step, state: &StepState) -> Next {
        let (session, number) = (self.session, self.session.numbered(&step.id));
        let Some(armed) = &state.armed else { return Next::nobody(format!("{number} is armed")) };
        let missing = armed.missing();
        let short = awaited(session, armed);
        let who: Vec<Principal> =
            session.people.keys().filter(|who| short.iter().any(|name| name == who.short())).cloned().collect();
        let left = human(armed.lapses.since(self.at));
        match who.is_empty() {
            true => Next::nobody(format!("{number} needs {missing} more to check it, and nobody who could is here")),
            false => {
                let each = who.len() <= missing as usize;
                Next::by(who, format!("check {number} ({missing} missing, lapses in {left})"))
                    .of_each(each)
                    .does(Act::Open)
            }
        }
    }

    fn arm(&self, step: &Step) -> Next {
        let (session, number) = (self.session, self.session.numbered(&step.id));
        if let Some(held) = self.held(step) {
            return held;
        }
        let not_done = session.steps.get(&step.id).is_some_and(|state| state.phase == Phase::SettledFailed);
        match session.params_missing(step).first() {
            None if not_done => {
                let what = format!("{number} is NOT done: arm {number} again, or skip it with a shadow, or close");
                self.by_the_lead(what, Act::Arm)
            }
            Some(name) => self.by_the_lead(format!("set {name}, then arm {number}"), Act::Set),
            None => self.by_the_lead(format!("arm {number}"), Act::Arm),
        }
    }

    /// The lead's turn; unless something is in the way that has no sentence of its own here: then that.
    fn by_the_lead(&self, what: String, act: Act) -> Next {
        let lead = Sight { me: &self.session.lead, reach: Reach::Live, ..*self };
        match lead.may_act(act, &Picked::default()).into_iter().next() {
            Some(why) => Next::nobody(why.sentence),
            None => Next::by([self.session.lead.clone()], what).does(act),
        }
    }

    /// What keeps a step from being armed or run, where somebody or something can mend it: the poll, or a gate.
    fn held(&self, step: &Step) -> Option<Next> {
        let session = self.session;
        if let Some(lock) = session.poll_lock(step) {
            let why = lock.short(session);
            if session.preflight.poll.is_none() {
                return Some(self.by_the_lead(format!("call the poll once all is in order; {why}"), Act::Poll));
            }
            let silent = |who: &&&Principal| !session.preflight.says_go(who);
            let who: Vec<Principal> = session.asked().iter().filter(silent).map(|who| (*who).clone()).collect();
            return Some(match who.is_empty() {
                true => Next::nobody(why),
                false => Next::by(who, format!("say go or no-go; {why}")).of_each(true).does(Act::Go),
            });
        }
        let gate = step.gates.iter().find(|gate| !session.gate_passes(&step.id, gate, self.at))?;
        let (watch, why) = (&gate.watch, session.why(&gate.watch, self.at));
        let (number, status) = (session.numbered(&step.id), session.status(watch, self.at).word());
        Some(Next::nobody(format!("{number} waits for gate {watch}, which is {status}: {why}")))
    }
}

//! What an act asks for as things stand: the request of a key, completed from what its author sees. Where words are still
//! to be typed something stands for them, so that it can be asked what is in the way before anybody types.

use super::acts::Act;
use super::sight::{Picked, Reach, Sight, Why};
use crate::event::{Attention, Settled};
use crate::hash::Hash;
use crate::name::{Principal, StepId};
use crate::plan::Step;
use crate::session::request::Typed;
use crate::session::steps::{Armed, Phase, StepState};
use crate::session::{Request, Session};

/// Stands for words that are still to be typed.
const WORDS: &str = "…";

impl<'a> Sight<'a> {
    /// The step that `arm`, `edit` and `skip` mean: the one that is picked, else the current one.
    pub fn target(&self, picked: &Picked) -> Option<(&'a Step, &'a StepState)> {
        let session = self.session;
        match &picked.step {
            Some(id) => session.plan.step(id).zip(session.steps.get(id)),
            None => session.current_step(),
        }
    }

    /// The request that an act stands for.
    ///
    /// # Errors
    /// Where there is nothing that it could mean.
    pub fn wish(&self, act: Act, picked: &Picked) -> Result<Request, Why> {
        let (session, why) = (self.session, WORDS.to_owned());
        let target = || self.target(picked).map(|(step, _)| step.id.clone()).ok_or_else(|| nothing("no step is left"));
        let armed = || match &picked.read {
            Some(read) => Ok(read.clone()),
            None => open(session).ok_or_else(|| nothing("nothing is armed")),
        };
        let current = || match session.current_step() {
            Some((step, state)) => Ok((step.id.clone(), state.attempt)),
            None => Err(nothing("no step is left")),
        };
        let owing = |words: &str| session.owing_step().ok_or_else(|| nothing(words));
        let (poll, board) = picked.poll.unwrap_or((session.preflight.number(), session.preflight.board));
        Ok(match act {
            Act::Arm => Request::Arm { step: target()?, covers: None },
            Act::Run => {
                // What is armed, or was until something voided it: the hub then says why it is so no longer.
                let open = open(session).map(|(step, attempt, _)| (step, attempt));
                let (step, attempt) = open.map_or_else(current, Ok)?;
                match session.plan.step(&step).is_some_and(|step| step.by_hand().is_some()) {
                    true => Request::Did { step, attempt, note: String::new() },
                    false => Request::Run { step, attempt },
                }
            }
            Act::Disarm => armed().map(|(step, attempt, _)| Request::Disarm { step, attempt })?,
            Act::Withdraw => armed().map(|(step, attempt, _)| Request::Withdraw { step, attempt })?,
            Act::Check => armed().map(|(step, attempt, digest)| Request::Check { step, attempt, digest })?,
            Act::Object => armed().map(|(step, attempt, digest)| Request::Object { step, attempt, digest, why })?,
            Act::ReadBack => {
                let (step, attempt, _) = armed()?;
                let owed = |armed: &Armed| armed.owes_read_back(self.me).first().map(|field| field.name.clone());
                let field = session.open_step().and_then(|(_, _, armed)| owed(armed));
                let field = field.unwrap_or_default(); // nothing is left: the guards say what is in the way
                Request::ReadBack { step, attempt, field, value: why }
            }
            Act::BreakGlass => {
                let (step, attempt, digest) = armed()?;
                let confirm = step.to_string();
                Request::BreakGlass { step, attempt, digest, confirm, why }
            }
            Act::Waive => {
                let Some((step, state)) = session.current_step() else { return Err(nothing("no step is left")) };
                let held = step.gates.iter().find(|gate| !session.gate_passes(&step.id, gate, self.at));
                let gate = held.or(step.gates.first()).ok_or_else(|| nothing("the step has no gates"))?;
                let (watch, status) = (gate.watch.clone(), session.status(&gate.watch, self.at));
                let attempt = state.attempt + u32::from(!state.phase.is_open());
                Request::Waive { step: step.id.clone(), attempt, watch, status, why }
            }
            Act::Skip => Request::Skip { step: target()?, why },
            Act::Set => {
                let name = session.plan.params.keys().next().ok_or_else(|| nothing("the plan has no parameters"))?;
                Request::Set { name: name.clone(), value: WORDS.to_owned(), why }
            }
            Act::Edit => Request::Edit { step: target()?, run: WORDS.to_owned(), why },
            Act::AdHoc => Request::AdHoc { run: WORDS.to_owned(), why, covers: None },
            Act::Interrupt | Act::Kill => {
                let (step, _) = going_on(session).ok_or_else(|| nothing("nothing runs"))?;
                Request::Interrupt { step: step.id.clone(), force: act == Act::Kill }
            }
            Act::Type => {
                let (step, state) = session.live_step().ok_or_else(|| nothing("nothing runs"))?;
                // The hub alone knows whether its terminal hides what is typed.
                let (step, attempt, text) = (step.id.clone(), state.attempt, Typed(String::new()));
                Request::Type { step, attempt, text, hidden: Some(true) }
            }
            Act::Probe => Request::Probe { step: owing("nothing has to be settled")?.0.id.clone() },
            Act::Rollback => {
                let (step, state) = owing("nothing ended badly")?;
                Request::Rollback { step: step.id.clone(), attempt: state.attempt }
            }
            Act::Settle => {
                let step = owing("nothing has to be settled")?.0.id.clone();
                // That it is not done the lead may not say; that it is done takes the lead.
                let outcome = if self.leads() { Settled::Done } else { Settled::Failed };
                Request::Settle { step, outcome, why }
            }
            Act::Ack => {
                // What ended on a colleague's screen may still run here: the client waits for its end before it signs.
                let ended = session.owing_step().or_else(|| session.busy_step());
                let (step, _) = ended.ok_or_else(|| nothing("no step waits for an acknowledgement"))?;
                Request::Ack { step: step.id.clone(), why }
            }
            Act::Andon => Request::Andon { why: String::new() },
            Act::Release => Request::Release,
            Act::Poll => Request::Poll,
            Act::Go => Request::Go { poll, board },
            Act::NoGo => Request::NoGo { poll, why },
            Act::Seat => {
                let seat = session.seats_of(self.me).next().ok_or_else(|| nothing("no seat is for you"))?;
                Request::Seat { seat: seat.to_owned() }
            }
            Act::Answer => {
                let picked = picked.item.as_ref().and_then(|id| session.plan.item(id));
                let item = picked.or(session.plan.checklist.first()).ok_or_else(|| nothing("there is no checklist"))?;
                Request::Answer { item: item.id.clone(), answer: why }
            }
            Act::Fit => Request::Available { fit: true, until: None, why: String::new() },
            Act::Unfit => Request::Available { fit: false, until: None, why },
            Act::Handover => {
                let to = heirs(self).into_iter().next().ok_or_else(|| nothing("nobody else can lead"))?;
                Request::Handover { to }
            }
            Act::Readmit => {
                let mut people = session.people.iter().filter(|(who, _)| *who != self.me);
                let knocks = people.find_map(|(who, person)| Some((who.clone(), person.knocked.clone()?)));
                let (who, key) = knocks.ok_or_else(|| nothing("nobody came with another key"))?;
                Request::Readmit { who, key }
            }
            Act::Say => Request::Say { text: why },
            Act::Mark => Request::Mark { text: why },
            Act::Away => Request::Attend { attention: Attention::Away },
            Act::Here => Request::Attend { attention: Attention::Here },
            Act::Close => Request::Close { note: String::new() },
            Act::Open => armed().map(|(step, attempt, _)| Request::OpenCheck { step, attempt })?,
            _ => return Err(nothing("that asks nothing of the hub")),
        })
    }

    /// What a locked act asks the hub all the same, so that it stands in the transcript that somebody tried: only acts that
    /// a single key stands for. What waits for typed words is not sent without them, and a locked run only as a try.
    pub fn try_all_the_same(&self, act: Act, picked: &Picked) -> Option<Request> {
        let live = matches!(self.reach, Reach::Live) && self.session.closed.is_none();
        let request = self.wish(act, picked).ok().filter(|_| live)?;
        match (act, request) {
            (Act::Run, Request::Run { step, attempt } | Request::Did { step, attempt, .. }) => {
                Some(Request::TryRun { step, attempt })
            }
            (Act::Arm | Act::Disarm | Act::Withdraw | Act::Release, request) => Some(request),
            _ => None,
        }
    }
}

fn nothing(words: &str) -> Why {
    Why::here(words)
}

fn open(session: &Session) -> Option<(StepId, u32, Hash)> {
    session.open_step().map(|(step, state, armed)| (step.id.clone(), state.attempt, armed.digest()))
}

/// What could be interrupted: what runs or waits, or still runs after the hub died, or was left.
pub fn going_on(session: &Session) -> Option<(&Step, &StepState)> {
    session
        .live_step()
        .or_else(|| session.waiting_step())
        .or_else(|| session.between_batches())
        .or_else(|| session.verifying_step().filter(|(_, state)| state.goes_on()))
        .or_else(|| session.owing_step().filter(|(_, state)| state.phase == Phase::Unknown && state.still_running()))
        .or_else(|| {
            // Nothing goes on but what was left: that of the latest.
            let step = &session.left.last()?.step;
            session.plan.step(step).zip(session.steps.get(step))
        })
}

/// Whom this person can name as the next lead: the lead everyone else of the crew, everyone else themselves;
/// where the lead is gone, whoever may take it.
pub fn heirs(sight: &Sight) -> Vec<Principal> {
    let (session, crew) = (sight.session, &sight.session.plan.crew);
    if !sight.leads() && session.is_gone(&session.lead, sight.at) && session.is_crew(sight.me) {
        // What one of the two has said comes first.
        let said = session.handover.as_ref().map(|half| &half.to);
        let all = said.into_iter().chain([sight.me]).chain(&crew.lead).chain(&crew.shadow);
        let mut names: Vec<Principal> = vec![];
        for who in all.filter(|who| session.may_take_lead(who, sight.at)) {
            if !names.contains(who) {
                names.push(who.clone());
            }
        }
        return names;
    }
    if !sight.leads() {
        return vec![sight.me.clone()];
    }
    let mut names: Vec<Principal> =
        crew.lead.iter().chain(&crew.shadow).filter(|who| **who != sight.session.lead).cloned().collect();
    names.sort();
    names.dedup();
    names
}

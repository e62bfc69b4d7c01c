//! Whether something may be done, as whoever looks at a session is told before they ask.

use super::acts::Act;
use super::sight::{Picked, Reach, Sight, Why};
use crate::name::{Principal, shown};
use crate::session::steps::{Armed, Phase};
use crate::session::{Author, Refusal, Request, Session, may};

impl<'a> Sight<'a> {
    /// Every reason why that request would not be granted now, most in the way first; empty where it would be. Those of
    /// the hub are the very guards that it asks itself, so that no screen promises or denies what the hub would not.
    pub fn may(&self, request: &Request) -> Vec<Why> {
        self.reasons(request, |_| true)
    }

    fn reasons(&self, request: &Request, counts: impl Fn(&Refusal) -> bool) -> Vec<Why> {
        let mut reasons: Vec<Why> = self.unreached(matches!(request, Request::Andon { .. })).into_iter().collect();
        if self.reach == Reach::Replay {
            return reasons; // what was is not asked for again
        }
        if self.is_lapsed(request) {
            reasons.push(Why::here("it lapsed"));
        }
        let key = self.session.people.get(self.me).map_or_else(String::new, |person| person.key.clone());
        let author = Author::new(self.me.clone(), key);
        for refusal in may(self.session, self.at, &author, request).iter().filter(|refusal| counts(refusal)) {
            let why = self.why(refusal);
            if !reasons.contains(&why) {
                reasons.push(why);
            }
        }
        reasons
    }

    /// Whether the time of what is armed is over, and only the hub's word on it has not come yet.
    fn is_lapsed(&self, request: &Request) -> bool {
        let open = self
            .session
            .open_step()
            .filter(|(step, state, _)| request.step() == Some(&step.id) && request.attempt() == Some(state.attempt));
        open.is_some_and(|(_, state, armed)| state.phase == Phase::Armed && self.at >= armed.lapses)
    }

    /// The same of an act: with what is picked, and whatever will be typed. An act that asks nothing of the hub
    /// is in nobody's way, but for a panel on what is not armed.
    pub fn may_act(&self, act: Act, picked: &Picked) -> Vec<Why> {
        if !act.asks() {
            let armed = act != Act::Open || self.session.open_step().is_some();
            return if armed { vec![] } else { vec![Why::here("nothing is armed")] };
        }
        match self.wish(act, picked) {
            Ok(request) => self.reasons(&request, |refusal| !refusal.is_of_words()),
            Err(why) => self.unreached(act == Act::Andon).into_iter().chain([why]).collect(),
        }
    }

    /// Everything that keeps the lead from running the step that people look at; empty where run would be granted.
    pub fn run_locks(&self) -> Vec<Why> {
        if self.session.closed.is_some() {
            return vec![self.why(&Refusal::Closed)];
        }
        let Some((step, state)) = self.session.current_step() else { return vec![Why::here("no step is left")] };
        // Whether the lead may: what others see is the same list.
        let lead = Sight { me: &self.session.lead, reach: Reach::Live, ..*self };
        let (step, attempt) = (step.id.clone(), state.attempt);
        let mut locks = lead.may(&Request::Run { step, attempt });
        // That it is failed, and that somebody has to settle what failed, is one thing.
        let told: Vec<String> = locks.iter().map(|why| why.short.clone()).collect();
        locks.retain(|why| !told.iter().any(|other| other.len() > why.short.len() && other.starts_with(&why.short)));
        if state.phase == Phase::Starting {
            locks = vec![Why::here("starting: gates and bytes are read again")];
        }
        locks
    }

    /// A refusal, as this person is told it.
    pub fn why(&self, refusal: &Refusal) -> Why {
        let short = match (refusal, self.session.open_step()) {
            (Refusal::Quorum { .. }, Some((_, _, armed))) => {
                let names = awaited(self.session, armed);
                let names = if names.is_empty() { "no shadow is here".to_owned() } else { names.join(", ") };
                format!("{} ({names})", refusal.short(self.session))
            }
            _ => refusal.short(self.session),
        };
        Why { sentence: shown(&refusal.to_string()), short, hint: refusal.hint() }
    }

    fn unreached(&self, andon: bool) -> Option<Why> {
        match self.reach {
            Reach::Live => None,
            Reach::Dying { .. } if andon => None,
            Reach::Dying { .. } => Some(Why::here("the hub lost its transcript")),
            Reach::Lost { .. } => Some(Why::here("the link is lost")),
            Reach::Replay => Some(Why::here("this is a replay")),
        }
    }
}

/// Shadows who could still check what is armed, by their short names: those who have the panel open first, then those who
/// are here.
pub fn awaited(session: &Session, armed: &Armed) -> Vec<String> {
    let open = |who: &&Principal| !armed.checks.contains_key(*who) && session.may_check(who) && !armed.is_out(who);
    let mut names: Vec<&Principal> = armed.opened.keys().filter(open).filter(|who| session.is_here(who)).collect();
    let here: Vec<&Principal> = session.shadows_here().filter(open).filter(|who| !names.contains(who)).collect();
    names.extend(here);
    names.into_iter().map(|who| who.short().to_owned()).collect()
}

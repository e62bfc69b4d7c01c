//! The ladder of ways back: which rung is the best one that still stands, for how long, and when that changes. Pure, like
//! the fold. Start at [`Session::ways_back`].

use super::Session;
use super::steps::StepState;
use crate::clock::{At, human};
use crate::event::{Event, Part, RunEnd, Settled, Status, WaitEnd, about};
use crate::name::{StepId, WatchId, shown};
use crate::plan::{Recovery, WatchKind};
use std::time::Duration;

/// A way back that stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WayBack<'s> {
    /// Which.
    pub recovery: &'s Recovery,
    /// For how long.
    pub stands: Stands,
    /// Whether its watch reads ok. Where it warns, the time is no promise.
    pub sure: bool,
}

/// How long a way back stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// So long from now, if nothing else happens.
    For(Duration),
    /// While its watch is ok: nobody knows for how long.
    WhileOk,
}

impl WayBack<'_> {
    /// Whether going back takes longer than the way back stands.
    pub fn is_too_slow(&self) -> bool {
        matches!(self.stands, Stands::For(left) if self.recovery.takes > left)
    }

    /// How long it stands, in a clause: `stands 1:18:53`, `stands while nightly-backup is ok`.
    pub fn standing(&self) -> String {
        match (self.stands, self.sure) {
            (Stands::For(left), true) => format!("stands {}", human(left)),
            (Stands::For(left), false) => format!("stands at most {}", human(left)),
            (Stands::WhileOk, true) => format!("stands while {} is ok", self.recovery.watch),
            (Stands::WhileOk, false) => format!("stands, but {} warns", self.recovery.watch),
        }
    }
}

/// What a way back takes and loses, in a clause: `takes 40:00, loses nothing`.
pub fn price(recovery: &Recovery) -> String {
    let loses = recovery.loses.as_deref().map_or_else(|| "nothing".to_owned(), shown);
    format!("takes {}, loses {loses}", human(recovery.takes))
}

impl Session {
    /// That way back as it stands at that time; none where it does not. What is unknown, stale or has failed never stands.
    pub fn stands<'s>(&'s self, recovery: &'s Recovery, at: At) -> Option<WayBack<'s>> {
        let sure = match self.status(&recovery.watch, at) {
            Status::Ok => true,
            Status::Warn => false,
            Status::Fail | Status::Unknown => return None,
        };
        let countdown = self.plan.watch(&recovery.watch).is_some_and(|watch| watch.kind.is_countdown());
        let reading = self.watches.get(&recovery.watch)?.reading.as_ref()?;
        let stands = match reading.value.filter(|_| countdown) {
            Some(seconds) => {
                // It runs down while the reading ages. `try_from`: a value that is no time at all is no time left.
                let left = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                let left = left.saturating_sub(self.age(&recovery.watch, at)?);
                match left > Duration::ZERO {
                    true => Stands::For(left),
                    false => return None,
                }
            }
            // Without a number, a countdown that warns has no window that could be named.
            None if countdown && !sure => return None,
            None => Stands::WhileOk,
        };
        Some(WayBack { recovery, stands, sure })
    }

    /// The ways back that stand at that time, best first.
    pub fn ways_back(&self, at: At) -> impl Iterator<Item = WayBack<'_>> {
        self.plan.recovery.iter().filter_map(move |recovery| self.stands(recovery, at))
    }

    /// Whether that watch still has to count what is needed of its topic, or has to do so anew.
    pub fn wants_anchor(&self, watch: &WatchId) -> bool {
        self.watches.get(watch).is_some_and(|state| state.anchor.is_none() || state.anchor_moves)
    }

    /// The watches whose anchor moves with that event: a step that purges their topics on purpose ended well.
    pub fn purged_by(&self, event: &Event) -> Vec<WatchId> {
        let step = match event {
            Event::RunEnded { step, end, .. } if !self.counts(step, end) => return vec![],
            Event::RunEnded { step, .. } | Event::DoneByHand { step, .. }
                if self.plan.step(step).is_some_and(|step| step.until().is_none())
                    && !self.steps.get(step).is_some_and(StepState::has_more) =>
            {
                step
            }
            Event::WaitEnded { step, end: WaitEnd::Met, .. } => step,
            Event::Acknowledged { step, outcome: Settled::Done, .. } => step,
            Event::RunEnded { .. }
            | Event::DoneByHand { .. }
            | Event::WaitEnded { .. }
            | Event::Acknowledged { .. }
            | Event::RunRequested { .. }
            | Event::RunIntended { .. }
            | Event::BatchIntended { .. }
            | Event::BatchesEnded { .. }
            | Event::RunStarted { .. }
            | Event::OutputWritten { .. }
            | Event::InputWritten { .. }
            | Event::InputLost { .. }
            | Event::AnswerAwaited { .. }
            | Event::Resized { .. }
            | Event::RunInterrupted { .. }
            | Event::OutcomeUnknown { .. }
            | Event::ProcessGone { .. }
            | Event::OthersAwaited { .. }
            | Event::LeftBehind { .. }
            | Event::LeftGone { .. }
            | Event::WaitStarted { .. }
            | Event::ProbeIntended { .. }
            | Event::ProbeEnded { .. }
            | Event::VerifyStarted { .. }
            | Event::VerifyEnded { .. }
            | Event::RollbackIntended { .. }
            | Event::RollbackEnded { .. }
            | Event::SettleAgreed { .. }
            | about::session!()
            | about::crew!()
            | about::preflight!()
            | about::said!()
            | about::watches!()
            | about::changes!()
            | about::check!()
            | about::line!()
            | about::evidence!()
            | about::told!() => return vec![],
        };
        self.watches_purged_by_step(step)
    }

    fn counts(&self, step: &StepId, end: &RunEnd) -> bool {
        self.steps.get(step).is_some_and(|state| state.counts(Part::Step, end).is_done())
    }

    fn watches_purged_by_step(&self, step: &StepId) -> Vec<WatchId> {
        let Some(step) = self.plan.step(step) else { return vec![] };
        let topics: Vec<String> =
            step.expects_loss.iter().filter_map(|topic| topic.render(&self.params).ok()).collect();
        let purged = |kind: &WatchKind| match kind {
            // What a purge does is what this watch is there to see: it goes on counting from where it began.
            WatchKind::KafkaRetention(of) if !of.rises => {
                of.topic.render(&self.params).is_ok_and(|topic| topics.contains(&topic))
            }
            _ => false,
        };
        let watches = self.plan.watches.iter().filter(|watch| purged(&watch.kind));
        watches.map(|watch| watch.id.clone()).collect()
    }
}

/// The change of rung that people have not been told yet, if there is one.
pub(super) fn turned(session: &Session, at: At) -> Option<Event> {
    let best = session.ways_back(at).next().map(|way| way.recovery.name.clone());
    if best == session.way_back {
        return None;
    }
    let rung = |name: &Option<String>| {
        let name = name.as_ref()?;
        session.plan.recovery.iter().position(|recovery| recovery.name == *name)
    };
    let (from, to) = (rung(&session.way_back), rung(&best));
    // What is told is why it changed: the rung that fell, or the better one that stands again.
    let fell = from.filter(|from| to.is_none_or(|to| to > *from)).or(to);
    let why = fell.and_then(|rung| session.plan.recovery.get(rung)).map_or_else(String::new, |recovery| {
        let watch = &recovery.watch;
        match (session.stands(recovery, at), session.status(watch, at)) {
            (None, Status::Ok | Status::Warn) => format!("by {watch} there is no time left"),
            (_, status) => format!("{watch} is {}: {}", status.word(), session.why(watch, at)),
        }
    });
    Some(Event::RecoveryTurned { from: session.way_back.clone(), to: best, why })
}

/// A change of rung as a sentence.
pub(super) fn turn(session: &Session, from: Option<&str>, to: Option<&str>, why: &str) -> String {
    let price = |name: &str| {
        let recovery = session.plan.recovery.iter().find(|recovery| recovery.name == name);
        recovery.map_or_else(String::new, |recovery| format!(" ({})", price(recovery)))
    };
    match (from, to) {
        (None, None) => format!("way back: none ({why})"),
        (None, Some(to)) => format!("way back: {to}{} ({why})", price(to)),
        (Some(from), None) => format!("NO WAY BACK is left: {from} fell ({why})"),
        (Some(from), Some(to)) => format!("way back: {to}{} in place of {from} ({why})", price(to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Reading;
    use crate::fixture as a;
    use crate::hash::Hash;
    use crate::name::Principal;
    use crate::session::{Fact, observe};

    const PLAN: &str = r#"
crosscheck = 1
name = "n"
environment = "e"
[crew]
lead = ["lead@example.org"]
[[watch]]
id = "window"
kind = "kafka-retention"
brokers = "h:1"
topic = "events"
every = "5s"
[[watch]]
id = "dump"
kind = "file"
path = "x"
every = "5s"
stale_after = "1h"
[[recovery]]
name = "replay"
watch = "window"
takes = "40m"
[[recovery]]
name = "restore"
watch = "dump"
takes = "6h"
loses = "a day of edits"
[[step]]
id = "purge"
run = ["true"]
expects_loss = ["events"]
"#;

    struct Desk {
        session: Session,
        at: At,
        turns: Vec<String>,
    }
    impl Desk {
        fn open() -> Desk {
            let at = At::from_micros(1_800_000_000_000_000);
            Desk { session: a::opening(PLAN).try_session(at).unwrap(), at, turns: vec![] }
        }
        fn saw(&mut self, fact: Fact) {
            let at = self.at;
            let tick = [observe(&self.session, at, &fact), vec![]].concat();
            for event in tick {
                self.fold(event);
            }
            for event in observe(&self.session, at, &Fact::Tick) {
                self.fold(event);
            }
        }
        fn fold(&mut self, event: Event) {
            let line = a::line(2, self.at, &Principal::hub(), event);
            if let Event::RecoveryTurned { .. } = &line.event {
                self.turns.extend(super::super::story(&self.session, &line));
            }
            self.session.apply(&line, Hash::ZERO);
        }
        fn read(&mut self, watch: &str, status: Status, value: Option<f64>) {
            let reading = Reading { value, unit: "s".into(), ..a::reading(status).because("seen") };
            self.saw(a::read(watch, reading, self.at, None));
        }
        fn pass(&mut self, seconds: u64) {
            self.at = self.at.after(Duration::from_secs(seconds));
            self.saw(Fact::Tick);
        }
        fn best(&self) -> Option<(&str, Stands, bool)> {
            self.session.ways_back(self.at).next().map(|w| (w.recovery.name.as_str(), w.stands, w.sure))
        }
        fn told(&mut self) -> Vec<String> {
            std::mem::take(&mut self.turns)
        }
    }
    const fn left(seconds: u64) -> Stands {
        Stands::For(Duration::from_secs(seconds))
    }

    #[test]
    fn the_best_rung_that_stands_is_told_and_falls_aloud() {
        let mut desk = Desk::open();
        assert_eq!(desk.best(), None, "nothing was read, so nothing stands");
        desk.read("dump", Status::Ok, Some(1800.0));
        assert_eq!(desk.best(), Some(("restore", Stands::WhileOk, true)), "a backup's age is no time left");
        assert_eq!(desk.told(), ["way back: restore (takes 6:00:00, loses a day of edits) (dump is ok: seen)"]);
        desk.read("window", Status::Ok, Some(3600.0));
        assert_eq!(desk.best(), Some(("replay", left(3600), true)));
        assert_eq!(
            desk.told(),
            ["way back: replay (takes 40:00, loses nothing) in place of restore (window is ok: seen)"]
        );
        desk.pass(10);
        assert_eq!(desk.best(), Some(("replay", left(3590), true)), "it runs down while the reading ages");
        desk.pass(6);
        assert_eq!(desk.best(), Some(("restore", Stands::WhileOk, true)), "a reading that is too old never stands");
        assert_eq!(desk.told().len(), 1);
        desk.read("window", Status::Fail, Some(0.0));
        assert!(desk.told().is_empty(), "it had fallen already");
        desk.read("dump", Status::Fail, None);
        assert_eq!(desk.best(), None);
        assert_eq!(desk.told(), ["NO WAY BACK is left: restore fell (dump is fail: seen)"]);
    }

    #[test]
    fn a_window_that_warns_is_at_most_and_one_without_a_number_is_none() {
        let mut desk = Desk::open();
        desk.read("window", Status::Warn, Some(1200.0));
        let way = desk.session.ways_back(desk.at).next().unwrap();
        assert_eq!((way.standing().as_str(), way.is_too_slow()), ("stands at most 20:00", true));
        desk.read("window", Status::Warn, None);
        assert_eq!(desk.best(), None);
        for nonsense in [-1.0, 0.0, f64::MAX] {
            desk.read("window", Status::Ok, Some(nonsense));
            assert_eq!(desk.best(), None, "{nonsense}");
        }
        desk.read("window", Status::Ok, None);
        assert_eq!(desk.best(), Some(("replay", Stands::WhileOk, true)), "unlimited");
    }

    #[test]
    fn an_anchor_stands_until_a_planned_purge_ended_well() {
        let mut desk = Desk::open();
        let watch = WatchId::new("window").unwrap();
        let anchor = |low| crate::event::Anchor {
            topic: "events".into(),
            retention_ms: Some(1000),
            partitions: [(0, crate::event::Mark { needed: low, low, end: 9, oldest_ms: None })].into(),
        };
        let held = |desk: &Desk| desk.session.watches[&watch].anchor.clone();
        desk.saw(Fact::Anchor { watch: watch.clone(), anchor: anchor(1) });
        desk.saw(Fact::Anchor { watch: watch.clone(), anchor: anchor(2) });
        assert_eq!(held(&desk), Some(anchor(1)), "nobody moves it without a reason");
        let step = StepId::new("purge").unwrap();
        desk.fold(Event::RunEnded { step: step.clone(), attempt: 1, end: RunEnd::Exited { code: 3 } });
        assert!(!desk.session.wants_anchor(&watch), "a purge that failed moves nothing");
        desk.fold(Event::RunEnded { step, attempt: 1, end: RunEnd::Exited { code: 0 } });
        assert!(desk.session.wants_anchor(&watch));
        desk.saw(Fact::Anchor { watch: watch.clone(), anchor: anchor(3) });
        assert_eq!((held(&desk), desk.session.wants_anchor(&watch)), (Some(anchor(3)), false));
    }
}

//! Draws what happens next: mostly what brings a release forward, so that runs get far, and otherwise everything that
//! people, watches, clocks and crashes do wrong.

use super::actions::{Action, Crash, HOSTILE, Input, PASSWORD, VALUES, attention};
use super::world::World;
use crate::event::{RunEnd, Settled, Status};
use crate::hash::Hash;
use crate::name::{Principal, StepId};
use crate::session::Request;
use crate::session::request::Typed;
use crate::session::steps::Phase;

/// A random source that gives the same numbers on every machine and in every version (splitmix64).
#[derive(Debug, Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    pub fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
    pub fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }
}

/// The next thing.
pub fn action(world: &World, rng: &mut Rng) -> Action {
    if rng.percent(14) {
        return around(world, rng);
    }
    let after_ms = match rng.below(100) {
        0..70 => rng.below(400),
        70..92 => rng.below(3000),
        92..98 => rng.below(30_000),
        _ => rng.below(200_000),
    };
    let mut inputs: Vec<Input> = vec![];
    for _ in 0..1 + rng.below(3) {
        let input = if rng.percent(72) { forward(world, rng) } else { noise(world, rng) };
        // Now and then the same again: resent, or from a second connection.
        if rng.percent(8) && !matches!(input, Input::Join { .. }) {
            inputs.push(input.clone());
        }
        inputs.push(input);
    }
    let crash = rng.percent(3).then(|| match rng.below(5) {
        0 => Crash::BeforeAppend { after_inputs: rng.below(4) },
        1 => Crash::Torn { lines: rng.below(8), bytes: rng.below(200) },
        2 => Crash::AfterSync,
        3 => Crash::AfterPublish,
        _ => Crash::AfterEffects { effects: rng.below(6) },
    });
    Action::Batch { after_ms: after_ms as u64, inputs, crash }
}

/// What happens to the world without the sequencer hearing of it.
fn around(world: &World, rng: &mut Rng) -> Action {
    let step = any_step(world, rng);
    match rng.below(10) {
        0..4 => {
            let watches: Vec<_> = world.gates.keys().cloned().collect();
            let Some(watch) = rng.of(&watches).cloned() else { return Action::Late };
            let status = match rng.below(8) {
                0 => Status::Fail,
                1 => Status::Unknown,
                2 | 3 => Status::Warn,
                _ => Status::Ok,
            };
            Action::Turn { watch, status, why: rng.below(HOSTILE.len()), value: rng.below(VALUES.len()) }
        }
        4 => Action::Edit { step, version: if rng.percent(50) { 0 } else { *rng.of(&[1, 2, 9]).unwrap_or(&1) } },
        5 => match rng.percent(40) {
            true => Action::BreakSpawn,
            false => match world.procs.last() {
                Some(p) => Action::Die { step: p.step.clone(), attempt: p.attempt, end: end(rng) },
                None => Action::BreakSpawn,
            },
        },
        6 => Action::Late,
        7 => Action::Stall { client: 1 + rng.below(world.clients.count()) },
        _ => Action::Resume { client: rng.below(world.clients.count()) },
    }
}

fn end(rng: &mut Rng) -> RunEnd {
    match rng.below(10) {
        0 => RunEnd::Exited { code: 3 },
        1 => RunEnd::Signalled { signal: 15, asked: false },
        2 => RunEnd::TimedOut { after_ms: 1000 },
        _ => RunEnd::Exited { code: 0 },
    }
}

fn any_step(world: &World, rng: &mut Rng) -> StepId {
    let steps: Vec<_> = world.session().plan.steps.iter().map(|step| step.id.clone()).collect();
    rng.of(&steps).cloned().unwrap_or_else(|| StepId::new("none").expect("a name"))
}

fn any_shadow(world: &World, rng: &mut Rng) -> Principal {
    rng.of(&world.session().plan.crew.shadow).cloned().unwrap_or_else(Principal::hub)
}

fn ask(who: &Principal, request: Request) -> Input {
    Input::Ask { who: who.clone(), request }
}

/// What a crew and a hub that want to get on would do next.
fn forward(world: &World, rng: &mut Rng) -> Input {
    let (session, jobs) = (world.session(), &world.jobs);
    let away = |who: &Principal| !world.connections.values().any(|here| here == who);
    let crew: Vec<_> = session.plan.principals().into_iter().filter(|who| away(who)).cloned().collect();
    if let Some(who) = rng.of(&crew).cloned().filter(|_| rng.percent(40)) {
        return Input::Join { who };
    }
    if !jobs.starts.is_empty() {
        return Input::Started;
    }
    if !jobs.freezes.is_empty() {
        return Input::Froze;
    }
    if let Some((watch, ..)) = rng.of(&jobs.asked) {
        return Input::Asked { watch: watch.clone() };
    }
    if !jobs.rechecks.is_empty() {
        return Input::Rechecked { again: rng.percent(20) };
    }
    let shadow = any_shadow(world, rng);
    if !session.line.pulled.is_empty() {
        let mut who: Vec<_> = session.line.pulled.keys().cloned().collect();
        who.extend([session.lead.clone(), session.lead.clone(), shadow]);
        return ask(&who[rng.below(who.len())], Request::Release);
    }
    if let Some((step, state)) = session.owing_step() {
        let (step, attempt) = (step.id.clone(), state.attempt);
        if state.run.as_ref().is_some_and(|run| run.still_running) {
            return Input::Gone { step, attempt };
        }
        if world.evidence.plan.step(&step).is_some_and(|step| step.probe.is_some()) && rng.percent(30) {
            return ask(&shadow, Request::Probe { step });
        }
        let outcome = if rng.percent(50) { Settled::Done } else { Settled::Failed };
        return ask(&shadow, Request::Settle { step, outcome, why: text(rng) });
    }
    if let Some((step, state)) = session.live_step() {
        if step.command.input != crate::plan::Input::None && rng.percent(50) {
            let (step, attempt) = (step.id.clone(), state.attempt);
            let text = Typed([PASSWORD, "yes"][rng.below(2)].to_owned());
            return ask(&session.lead, Request::Type { step, attempt, text, hidden: None });
        }
        let end = rng.percent(40).then(|| end(rng));
        return Input::Reaped { step: step.id.clone(), attempt: state.attempt, end };
    }
    if let Some((step, _)) = session.waiting_step() {
        return match step.until.as_ref().filter(|_| rng.percent(60)) {
            Some(until) => Input::Read { watch: until.watch.clone(), took_ms: rng.below(300) as u64 },
            None => Input::Tick,
        };
    }
    if let Some((step, _)) = session.verifying_step() {
        let watches: Vec<_> = step.verify.iter().flat_map(|verify| &verify.watches).collect();
        return match rng.of(&watches).filter(|_| rng.percent(70)) {
            Some(watched) => Input::Read { watch: watched.watch.clone(), took_ms: rng.below(300) as u64 },
            None => Input::Tick,
        };
    }
    let stale = session.plan.watches.iter().find(|watch| {
        session.age(&watch.id, world.now).is_none_or(|age| age > watch.stale_after / 3)
            || session.status(&watch.id, world.now) != Status::Ok
    });
    if let Some(watch) = stale.filter(|_| rng.percent(60)) {
        return Input::Read { watch: watch.id.clone(), took_ms: rng.below(300) as u64 };
    }
    let lead = &session.lead;
    let Some((step, state, armed)) = session.open_step() else {
        let next = session.plan.steps.iter().find(|step| !session.steps[&step.id].phase.is_done());
        return match next {
            Some(step) => ask(lead, Request::Arm { step: step.id.clone(), covers: None }),
            None if rng.percent(10) => ask(lead, Request::Close { note: String::new() }),
            None => Input::Tick,
        };
    };
    let (step, attempt) = (step.id.clone(), state.attempt);
    match state.phase {
        Phase::Cleared if rng.percent(50) && session.plan.step(&step).is_some_and(|step| step.manual.is_some()) => {
            ask(lead, Request::Did { step, attempt, note: text(rng) })
        }
        Phase::Cleared => ask(lead, Request::Run { step, attempt }),
        Phase::Armed if armed.opened.contains_key(&shadow) => {
            ask(&shadow, Request::Check { step, attempt, digest: Hash::ZERO })
        }
        Phase::Armed => ask(&shadow, Request::OpenCheck { step, attempt }),
        _ => Input::Tick,
    }
}

/// Everything else.
fn noise(world: &World, rng: &mut Rng) -> Input {
    let session = world.session();
    let who = &world.people[rng.below(world.people.len())];
    let open = session.open_step().map(|(step, state, _)| (step.id.clone(), state.attempt));
    let at_work = open.or_else(|| session.current_step().map(|(step, state)| (step.id.clone(), state.attempt)));
    let (step, attempt) = match at_work {
        Some(it) if rng.percent(75) => it,
        _ => (any_step(world, rng), 1 + rng.below(3) as u32),
    };
    let attempt = if rng.percent(15) { attempt.saturating_sub(1) } else { attempt };
    let digest = if rng.percent(70) { Hash::ZERO } else { Hash::of(&[rng.below(3) as u8]) };
    let watches: Vec<_> = world.gates.keys().cloned().collect();
    let watch = rng.of(&watches).cloned();
    let request = match rng.below(40) {
        0 | 1 => return Input::Join { who: who.clone() },
        2 | 3 => return Input::Leave { who: who.clone(), why: rng.below(HOSTILE.len()) },
        4..8 => match watch {
            // Slow ones: some begin before a request and end after it, some are stale at once.
            Some(watch) => {
                let took_ms = if rng.percent(70) { rng.below(500) } else { rng.below(50_000) };
                return Input::Read { watch, took_ms: took_ms as u64 };
            }
            None => Request::Release,
        },
        8 => return Input::Jumped { by_ms: rng.next() as i64 % 100_000 },
        9 => return Input::Output { bytes: rng.below(16_384) as u32 },
        10 => return Input::Gone { step, attempt },
        11 => return Input::Started,
        12 => return Input::Rechecked { again: true },
        13 => Request::Disarm { step, attempt },
        14 => Request::Object { step, attempt, digest, why: text(rng) },
        15 => Request::Withdraw { step, attempt },
        16 => Request::Run { step, attempt },
        17 => Request::Did { step, attempt, note: text(rng) },
        18 => Request::Interrupt { step, force: rng.percent(50) },
        19 if rng.percent(50) => Request::Type { step, attempt, text: Typed(text(rng)), hidden: None },
        19 => Request::Ack { step, why: text(rng) },
        20 if rng.percent(50) => Request::Probe { step },
        20 => Request::Settle { step, outcome: Settled::Done, why: text(rng) },
        21 => Request::Andon { why: text(rng) },
        22..25 => Request::Release,
        25 | 26 => Request::Handover { to: who.clone() },
        27 | 28 => {
            // The other half, so that hand-overs happen.
            let to = session.handover.as_ref().map(|half| half.to.clone()).unwrap_or_else(|| any_shadow(world, rng));
            let half = session.handover.as_ref().map(|half| half.agreed.clone());
            let other = if half.as_ref() == Some(&to) { session.lead.clone() } else { to.clone() };
            return ask(&other, Request::Handover { to });
        }
        29 => Request::Say { text: text(rng) },
        30 => Request::Mark { text: text(rng) },
        31 => Request::Attend { attention: attention(rng.next(), &step) },
        32 => Request::Resize { cols: rng.below(700) as u16, rows: rng.below(400) as u16 },
        33 if rng.percent(5) => Request::Close { note: text(rng) },
        33 | 34 => Request::OpenCheck { step, attempt },
        35 | 36 => Request::Check { step, attempt, digest },
        37 => Request::Arm { step, covers: None },
        38 => {
            // The lead tries to check their own step, having looked at it.
            let request = match rng.percent(50) {
                true => Request::OpenCheck { step, attempt },
                false => Request::Check { step, attempt, digest: Hash::ZERO },
            };
            return ask(&session.lead, request);
        }
        _ => return Input::Tick,
    };
    ask(if rng.percent(35) { &session.lead } else { who }, request)
}

fn text(rng: &mut Rng) -> String {
    match rng.below(30) {
        0 => String::new(),
        1 => "x".repeat(2001),
        n => HOSTILE[n % HOSTILE.len()].to_owned(),
    }
}

//! Draws what happens next: mostly what brings a release forward, so that runs get far, and otherwise everything that
//! people, watches, clocks and crashes do wrong.

use super::actions::{Action, Crash, HOSTILE, PASSWORD, Stimulus, VALUES, attention};
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
    let mut inputs: Vec<Stimulus> = vec![];
    for _ in 0..1 + rng.below(3) {
        let input = if rng.percent(72) { forward(world, rng) } else { noise(world, rng) };
        // Now and then the same again: resent, or from a second connection.
        if rng.percent(8) && !matches!(input, Stimulus::Join { .. }) {
            inputs.push(input.clone());
        }
        inputs.push(input);
    }
    if rng.percent(20) {
        inputs.push(Stimulus::Told { notify: 1 + rng.below(3) as u32, fails: rng.percent(30) });
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
        4 if rng.percent(30) => Action::Say { step, version: *rng.of(&[0, 0, 1, 2, 9]).unwrap_or(&0) },
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
        3 => RunEnd::Changed { code: 0, what: "do.sh changed".to_owned() },
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

fn ask(who: &Principal, request: Request) -> Stimulus {
    Stimulus::Ask { who: who.clone(), request }
}

/// What a crew and a hub that want to get on would do next.
pub fn forward(world: &World, rng: &mut Rng) -> Stimulus {
    let (session, jobs) = (world.session(), &world.jobs);
    let away = |who: &Principal| !world.connections.values().any(|here| here == who);
    let crew: Vec<_> = session.plan.principals().into_iter().filter(|who| away(who)).cloned().collect();
    if let Some(who) = rng.of(&crew).cloned().filter(|_| rng.percent(40)) {
        return Stimulus::Join { who };
    }
    if !jobs.starts.is_empty() {
        return Stimulus::Started;
    }
    if !jobs.freezes.is_empty() {
        return Stimulus::Froze;
    }
    if !jobs.frozen_late.is_empty() {
        return Stimulus::Undone;
    }
    if let Some((watch, ..)) = rng.of(&jobs.asked) {
        return Stimulus::Asked { watch: watch.clone() };
    }
    if !jobs.rechecks.is_empty() {
        return Stimulus::Rechecked { again: rng.percent(20) };
    }
    let shadow = any_shadow(world, rng);
    if let Some((step, _)) = session.between_batches().filter(|_| rng.percent(30)) {
        return ask(&session.lead, Request::Interrupt { step: step.id.clone(), force: false });
    }
    if session.verifying_step().is_some_and(|(_, state)| state.batch().is_some()) && rng.percent(8) {
        return ask(&shadow, Request::Andon { why: text(rng) });
    }
    if !session.line.pulled.is_empty() {
        let mut who: Vec<_> = session.line.pulled.keys().cloned().collect();
        who.extend([session.lead.clone(), session.lead.clone(), shadow]);
        return ask(&who[rng.below(who.len())], Request::Release);
    }
    if let Some((step, state)) = session.owing_step() {
        let may_undo = step.rollback.is_some() && state.phase.may_roll_back();
        let (step, attempt, worse) = (step.id.clone(), state.attempt, state.phase == Phase::Degraded);
        if state.still_running() {
            return Stimulus::Gone { step, attempt };
        }
        // Whom the half of it waits for says the other one, mostly; what is worse is seldom let stand, and has to be at times.
        let half = session.half_done(&step, world.now).map(|half| half.by == session.lead);
        let undoes = if worse { 35 } else { 65 };
        if may_undo && half.is_none() && rng.percent(undoes) {
            // Time lets the plan do it by itself.
            return if rng.percent(50) {
                Stimulus::Tick
            } else {
                ask(&session.lead, Request::Rollback { step, attempt })
            };
        }
        if world.evidence.plan.step(&step).is_some_and(|step| step.probe.is_some()) && rng.percent(30) {
            return ask(&shadow, Request::Probe { step });
        }
        let outcome =
            if rng.percent(if half.is_some() || worse { 85 } else { 60 }) { Settled::Done } else { Settled::Failed };
        let lead_says = half.map_or(rng.percent(50), |by_lead| !by_lead);
        let says = if outcome == Settled::Done && lead_says { session.lead.clone() } else { shadow };
        return ask(&says, Request::Settle { step, outcome, why: text(rng) });
    }
    if let Some((step, state)) = session.live_step() {
        if step.command().is_some_and(|command| command.input != crate::plan::Input::None) && rng.percent(50) {
            let (step, attempt) = (step.id.clone(), state.attempt);
            let text = Typed([PASSWORD, "yes"][rng.below(2)].to_owned());
            return ask(&session.lead, Request::Type { step, attempt, text, hidden: None });
        }
        let end = rng.percent(40).then(|| end(rng));
        return Stimulus::Reaped { step: step.id.clone(), attempt: state.attempt, end };
    }
    if let Some((step, _)) = session.waiting_step() {
        return match step.until().filter(|_| rng.percent(60)) {
            Some(until) => Stimulus::Read { watch: until.watch.clone(), took_ms: rng.below(300) as u64 },
            None => Stimulus::Tick,
        };
    }
    if let Some((step, state)) = session.verifying_step() {
        let watches: Vec<_> = step.verify_of(state.phase.part()).into_iter().flat_map(|v| &v.watches).collect();
        return match rng.of(&watches).filter(|_| rng.percent(70)) {
            Some(watched) => Stimulus::Read { watch: watched.watch.clone(), took_ms: rng.below(300) as u64 },
            None => Stimulus::Tick,
        };
    }
    let stale = session.plan.watches.iter().find(|watch| {
        session.age(&watch.id, world.now).is_none_or(|age| age > watch.stale_after / 3)
            || session.status(&watch.id, world.now) != Status::Ok
    });
    if let Some(watch) = stale.filter(|_| rng.percent(60)) {
        return Stimulus::Read { watch: watch.id.clone(), took_ms: rng.below(300) as u64 };
    }
    let lead = &session.lead;
    if session.is_polled() && session.open_step().is_none() && rng.percent(80) && !session.poll_locks().is_empty() {
        return toward_go(world, rng);
    }
    let Some((step, state, armed)) = session.open_step() else {
        let next = session.plan.steps.iter().find(|step| {
            let phase = session.steps[&step.id].phase;
            !phase.is_done() && phase != Phase::Skipped
        });
        // What has no value yet is given one, by whoever wants to get on.
        let missing = next.and_then(|step| session.params_missing(step).into_iter().next());
        if let Some(name) = missing {
            return ask(lead, Request::Set { name, value: "t1".into(), why: String::new() });
        }
        // What is not done is left out at times: whom the half of it waits for says the other one.
        let not_done = next.filter(|step| session.steps[&step.id].phase == Phase::SettledFailed);
        if let Some(step) = not_done.filter(|_| rng.percent(40)) {
            let half = session.half_skip(&step.id, world.now).map(|half| half.by == *lead);
            let lead_says = half.map_or(rng.percent(50), |by_lead| !by_lead);
            let says = if lead_says { lead.clone() } else { shadow };
            return ask(&says, Request::Skip { step: step.id.clone(), why: text(rng) });
        }
        return match next {
            Some(step) => ask(lead, Request::Arm { step: step.id.clone(), covers: None }),
            None if rng.percent(10) => ask(lead, Request::Close { note: String::new() }),
            None => Stimulus::Tick,
        };
    };
    let (step, attempt) = (step.id.clone(), state.attempt);
    match state.phase {
        Phase::Cleared if rng.percent(50) && session.plan.step(&step).is_some_and(|step| step.by_hand().is_some()) => {
            ask(lead, Request::Did { step, attempt, note: text(rng) })
        }
        Phase::Cleared => ask(lead, Request::Run { step, attempt }),
        Phase::Armed if armed.opened.contains_key(&shadow) && !armed.owes_read_back(&shadow).is_empty() => {
            let Some(field) = rng.of(&armed.owes_read_back(&shadow)).copied() else { return Stimulus::Tick };
            let value = if rng.percent(85) { field.value.clone() } else { text(rng) };
            ask(&shadow, Request::ReadBack { step, attempt, field: field.name.clone(), value })
        }
        Phase::Armed if armed.opened.contains_key(&shadow) => {
            ask(&shadow, Request::Check { step, attempt, digest: Hash::ZERO })
        }
        Phase::Armed => ask(&shadow, Request::OpenCheck { step, attempt }),
        _ => Stimulus::Tick,
    }
}

/// What brings the poll nearer to go.
fn toward_go(world: &World, rng: &mut Rng) -> Stimulus {
    let session = world.session();
    let preflight = &session.preflight;
    let empty =
        |seat: &&crate::plan::Seat| preflight.seats.get(&seat.name).is_none_or(|taken| !session.is_here(&taken.by));
    if let Some(seat) = session.plan.crew.seats.iter().find(empty) {
        let Some(who) = rng.of(&seat.who).cloned() else { return Stimulus::Tick };
        return ask(&who, Request::Seat { seat: seat.name.clone() });
    }
    let open = |item: &&crate::plan::Item| {
        preflight
            .answers
            .get(&item.id)
            .is_none_or(|said| item.answer == crate::plan::Asked::Yes && said.answer != "yes")
    };
    if let Some(item) = session.plan.checklist.iter().find(open) {
        let holder = item.seat.as_ref().and_then(|seat| preflight.seats.get(seat)).map(|taken| taken.by.clone());
        let (who, answer) = (holder.unwrap_or_else(|| any_shadow(world, rng)), answer(item, rng, 90));
        return ask(&who, Request::Answer { item: item.id.clone(), answer });
    }
    let unfit = preflight.availability.iter().find(|(_, said)| !said.fit);
    if let Some((who, _)) = unfit {
        return ask(who, Request::Available { fit: true, until: None, why: String::new() });
    }
    let poll = preflight.number();
    let no = preflight.poll.iter().flat_map(|poll| &poll.answers).any(|(_, word)| !word.go);
    if poll == 0 || (no && rng.percent(40)) {
        return ask(&session.lead, Request::Poll);
    }
    let asked: Vec<_> = session.asked().into_iter().filter(|who| !preflight.says_go(who)).cloned().collect();
    match rng.of(&asked) {
        Some(who) => ask(who, Request::Go { poll, board: preflight.board }),
        None => Stimulus::Join { who: any_shadow(world, rng) },
    }
}

fn answer(item: &crate::plan::Item, rng: &mut Rng, well: u64) -> String {
    match (item.answer, rng.percent(well)) {
        (crate::plan::Asked::Yes, true) => "yes".into(),
        (crate::plan::Asked::Yes, false) => "no, nobody".into(),
        (crate::plan::Asked::Time, true) => format!("{:02}:00", rng.below(24)),
        (crate::plan::Asked::Text, true) => format!("by {}", rng.below(5)),
        _ => text(rng),
    }
}

/// Everything else.
fn noise(world: &World, rng: &mut Rng) -> Stimulus {
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
    if world.session().plan.params.contains_key("host") && rng.percent(12) {
        let request = changed(world, rng, step);
        return ask(if rng.percent(80) { &session.lead } else { who }, request);
    }
    let preflight = &session.preflight;
    let (poll, board) = (preflight.number(), preflight.board);
    let item = rng.of(&session.plan.checklist).cloned();
    let request = match rng.below(56) {
        0 | 1 => return Stimulus::Join { who: who.clone() },
        2 | 3 => return Stimulus::Leave { who: who.clone(), why: rng.below(HOSTILE.len()) },
        4..8 => match watch {
            // Slow ones: some begin before a request and end after it, some are stale at once.
            Some(watch) => {
                let took_ms = if rng.percent(70) { rng.below(500) } else { rng.below(50_000) };
                return Stimulus::Read { watch, took_ms: took_ms as u64 };
            }
            None => Request::Release,
        },
        8 => match rng.below(8) {
            0 => return Stimulus::Stop,
            1 => return Stimulus::PlanFile,
            2 => return Stimulus::Awaits,
            3 => return Stimulus::Knock { who: who.clone() },
            4 | 5 => {
                let since_ms = rng.percent(60).then(|| rng.below(60_000) as u64);
                return Stimulus::Silent { who: who.clone(), since_ms };
            }
            _ => return Stimulus::Jumped { by_ms: rng.next() as i64 % 100_000 },
        },
        9 => return Stimulus::Output { bytes: rng.below(16_384) as u32 },
        10 => return Stimulus::Gone { step, attempt },
        11 => return Stimulus::Started,
        12 if rng.percent(50) => return Stimulus::Undone,
        12 => return Stimulus::Rechecked { again: true },
        13 => Request::Disarm { step, attempt },
        14 => Request::Object { step, attempt, digest, why: text(rng) },
        15 => Request::Withdraw { step, attempt },
        16 => Request::Run { step, attempt },
        17 => Request::Did { step, attempt, note: text(rng) },
        18 => Request::Interrupt { step, force: rng.percent(50) },
        19 if rng.percent(50) => Request::Type { step, attempt, text: Typed(text(rng)), hidden: None },
        19 => Request::Ack { step, why: text(rng) },
        20 if rng.percent(30) => Request::Rollback { step, attempt },
        20 if rng.percent(40) => Request::Probe { step },
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
        29 => {
            // Whoever stands before the door, mostly; two of the others have to say so.
            let knocked = session.people.iter().find_map(|(who, person)| Some((who.clone(), person.knocked.clone()?)));
            match knocked {
                Some((who, key)) => {
                    let half = session.readmitting.as_ref().map(|half| half.by.clone());
                    let mut by = any_shadow(world, rng);
                    if half.as_ref() == Some(&by) {
                        by = session.lead.clone();
                    }
                    return ask(&by, Request::Readmit { who, key });
                }
                None => Request::Say { text: text(rng) },
            }
        }
        30 => Request::Mark { text: text(rng) },
        31 => Request::Attend { attention: attention(rng.next(), &step) },
        32 => Request::Resize { cols: rng.below(700) as u16, rows: rng.below(400) as u16 },
        33 if rng.percent(5) => Request::Close { note: text(rng) },
        33 | 34 => Request::OpenCheck { step, attempt },
        35 | 36 => Request::Check { step, attempt, digest },
        37 => Request::Arm { step, covers: None },
        40..43 => {
            // What a shadow sees; now and then something else.
            let Some(watch) = watch else { return Stimulus::Tick };
            let status = if rng.percent(85) { session.status(&watch, world.now) } else { Status::Fail };
            let Some((step, state)) = session.current_step() else { return Stimulus::Tick };
            let attempt = state.attempt + u32::from(rng.percent(90));
            return ask(
                &any_shadow(world, rng),
                Request::Waive { step: step.id.clone(), attempt, watch, status, why: text(rng) },
            );
        }
        43 | 44 if rng.percent(30) => {
            let request = Request::Skip { step: any_step(world, rng), why: text(rng) };
            return ask(if rng.percent(50) { &session.lead } else { who }, request);
        }
        45 => {
            // The other half, so that steps are skipped.
            let half = session.plan.steps.iter().find(|step| session.half_skip(&step.id, world.now).is_some());
            let Some(step) = half.map(|step| step.id.clone()) else { return Stimulus::Tick };
            let lead = session.half_skip(&step, world.now).is_some_and(|half| half.by == session.lead);
            let other = if lead { any_shadow(world, rng) } else { session.lead.clone() };
            return ask(&other, Request::Skip { step, why: text(rng) });
        }
        46 => {
            let confirm = if rng.percent(80) { step.to_string() } else { text(rng) };
            let digest = session.open_step().map_or(digest, |(_, _, armed)| armed.digest());
            return ask(&session.lead, Request::BreakGlass { step, attempt, digest, confirm, why: text(rng) });
        }
        39 => {
            let fields = ["old", "place", "\u{1b}[31m"];
            let (field, value) = (fields[rng.below(3)].to_owned(), ["eu", "orders_v1", "x"][rng.below(3)].to_owned());
            Request::ReadBack { step, attempt, field, value }
        }
        38 => {
            // The lead tries to check their own step, having looked at it.
            let request = match rng.percent(50) {
                true => Request::OpenCheck { step, attempt },
                false => Request::Check { step, attempt, digest: Hash::ZERO },
            };
            return ask(&session.lead, request);
        }
        47 if session.plan.poll => Request::NoGo { poll, why: text(rng) },
        48 if session.plan.poll && rng.percent(30) => Request::Poll,
        49 => Request::Go { poll: poll.saturating_sub(u32::from(rng.percent(20))), board },
        50 => Request::Go { poll, board: if rng.percent(50) { board } else { board / 2 } },
        51 | 52 if item.is_some() => match item {
            // Now and then an answer changes when everybody has said go.
            Some(item) => {
                let holder =
                    item.seat.as_ref().and_then(|seat| preflight.seats.get(seat)).map(|taken| taken.by.clone());
                let answer = answer(&item, rng, 60);
                let who = holder.filter(|_| rng.percent(80)).unwrap_or_else(|| who.clone());
                return ask(&who, Request::Answer { item: item.id, answer });
            }
            None => Request::Release,
        },
        53 if session.plan.poll => {
            Request::Seat { seat: if rng.percent(50) { "on call" } else { "status page" }.into() }
        }
        54 => {
            let until =
                rng.percent(50).then(|| world.now.after(std::time::Duration::from_secs(rng.below(3000) as u64)));
            Request::Available { fit: rng.percent(70), until, why: text(rng) }
        }
        _ => return Stimulus::Tick,
    };
    ask(if rng.percent(35) { &session.lead } else { who }, request)
}

/// Something that is not in the plan.
fn changed(world: &World, rng: &mut Rng, step: StepId) -> Request {
    let why = if rng.percent(80) { text(rng) } else { String::new() };
    let run = (*rng.of(&["./other", "./drop {{ host }}", "echo a | b", "", "x\u{202e}y"]).unwrap_or(&"")).to_owned();
    match rng.below(6) {
        0..3 => {
            let name = (*rng.of(&["host", "host", "table", "none"]).unwrap_or(&"host")).to_owned();
            let value = (*rng.of(&["db-1", "db-2", "db-3", "prod", HOSTILE[3]]).unwrap_or(&"db-1")).to_owned();
            Request::Set { name, value, why }
        }
        3 | 4 => Request::Edit { step, run, why },
        _ if world.session().plan.changes.added.len() > 3 => Request::Edit { step, run, why },
        _ => Request::AdHoc { run, why, covers: None },
    }
}

fn text(rng: &mut Rng) -> String {
    match rng.below(30) {
        0 => String::new(),
        1 => "x".repeat(2001),
        n => HOSTILE[n % HOSTILE.len()].to_owned(),
    }
}

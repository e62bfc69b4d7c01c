//! A hub made of values around the real sequencer: a disk that loses what was not synced, processes, watches, clients and
//! a clock. It keeps the order of work of a hub (decide, append, sync, publish, effects) and can die between any two of them.

use super::actions::{Action, Crash, HOSTILE, PLANS, Stimulus};
use super::clients::Clients;
use super::evidence::{Evidence, Kind, New, Output, Spawn};
use super::{invariants, things};
use crate::brief::acts::Act;
use crate::brief::{Picked, Reach, Sight};
use crate::clock::At;
use crate::event::{Covers, Event, Part, Process, RunEnd, Status};
use crate::fixture as a;
use crate::hash::Hash;
use crate::hub::sequencer::{Numbered, Sequencer};
use crate::name::{Principal, StepId, WatchId};
use crate::plan::Step;
use crate::session::steps::Phase;
use crate::session::{Author, Fact, Request, Session, decide, may, twin};
use crate::transcript::record::{Head, Line};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the hub has begun and not finished; gone with it when it dies.
#[derive(Debug, Default)]
pub struct Jobs {
    pub freezes: Vec<(Principal, Request, Step)>,
    /// Readings that a `RunRequested` asked for: watch, its number, when the reading began.
    pub asked: Vec<(WatchId, u64, At)>,
    pub rechecks: Vec<(StepId, u32)>,
    /// Rollbacks whose bytes are to be looked at once more.
    pub frozen_late: Vec<(StepId, u32, Part)>,
    /// Facts about a spawn that the sequencer has not heard yet.
    pub starts: Vec<Fact>,
}

/// A virtual process: survives the hub.
#[derive(Debug)]
pub struct Proc {
    pub step: StepId,
    pub attempt: u32,
    pub part: Part,
    pub pid: u32,
    pub interrupted: bool,
    pub end: Option<RunEnd>,
    printed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct World {
    pub sequencer: Sequencer,
    pub evidence: Evidence,
    pub clients: Clients,
    pub jobs: Jobs,
    pub procs: Vec<Proc>,
    pub connections: BTreeMap<u64, Principal>,
    pub gates: BTreeMap<WatchId, (Status, usize, usize)>,
    pub people: Vec<Principal>,
    pub now: At,
    pub life: u32,
    /// Set where the durable lines cannot be read back: the run is over.
    pub dead: bool,
    pub versions: BTreeMap<StepId, u8>,
    /// What previews say.
    pub previews: BTreeMap<StepId, u8>,
    broken_spawn: bool,
    keys: BTreeMap<Principal, String>,
    next: u64,
    checked: New,
}

type Decided = Vec<(Kind, Vec<Numbered>, Option<String>)>;

impl World {
    /// A session that just opened. `keys`: 0 everyone has their own, 1 two shadows share one, 2 a shadow has the lead's.
    pub fn new(plan: usize, keys: u8) -> World {
        let text = PLANS[plan % PLANS.len()];
        let at = At::from_micros(1_795_219_200_000_000);
        let rehearsed = text.contains("rehearse =");
        let opened = a::opening(text)
            .id(if rehearsed { "rehearsal-generated" } else { "generated" })
            .called(HOSTILE[3], HOSTILE[1])
            .rehearsal(rehearsed.then_some("masked copy"))
            .event();
        let (sequencer, first) = Sequencer::open(at, opened).expect("the plans of generated runs parse");
        let plan = sequencer.session().plan.clone();
        let nothing = New { lines: 0..0, outputs: 0..0, spawns: 0..0, told: 0..0 };
        let shared = |who: &str| match (keys, who) {
            (1, "cy@example.org") => "bo@example.org".to_owned(),
            (2, "bo@example.org") => "ana@example.org".to_owned(),
            _ => who.to_owned(),
        };
        let people = super::actions::everyone();
        let mut world = World {
            gates: plan.watches.iter().map(|watch| (watch.id.clone(), (Status::Ok, 0, 0))).collect(),
            keys: people.iter().map(|who| (who.clone(), format!("SHA256:{}", shared(who.as_str())))).collect(),
            evidence: Evidence {
                typed: BTreeMap::new(),
                plan,
                bytes: vec![],
                lines: vec![],
                outputs: vec![],
                spawns: vec![],
                granted: BTreeMap::new(),
                told: vec![],
                owed: Default::default(),
                unequal: vec![],
                foretold: 0,
            },
            clients: Clients::default(),
            jobs: Jobs::default(),
            procs: vec![],
            connections: BTreeMap::new(),
            people,
            now: at,
            life: 1,
            dead: false,
            versions: BTreeMap::new(),
            previews: BTreeMap::new(),
            broken_spawn: false,
            next: 1,
            checked: nothing,
            sequencer,
        };
        world.keep(vec![(Kind::Open, vec![first], None)], usize::MAX);
        world.clients.open(world.sequencer.session(), world.sequencer.head());
        world
    }

    /// The hub's own view, unsynced lines included; between two actions there are none.
    pub fn session(&self) -> &Session {
        self.sequencer.session()
    }

    /// Lets it happen; what comes back is broken.
    pub fn act(&mut self, action: &Action) -> Vec<(u8, String)> {
        let mut broken = vec![];
        match action {
            Action::Batch { after_ms, inputs, crash } => {
                self.now = self.now.after(Duration::from_millis(*after_ms));
                self.batch(inputs, *crash, &mut broken);
            }
            Action::Turn { watch, status, why, value } => {
                self.gates.insert(watch.clone(), (*status, *why, *value));
            }
            Action::Edit { step, version } => {
                self.versions.insert(step.clone(), *version);
            }
            Action::Say { step, version } => {
                self.previews.insert(step.clone(), *version);
            }
            Action::BreakSpawn => self.broken_spawn = true,
            Action::Die { step, attempt, end } => {
                let mut procs = self.procs.iter_mut();
                if let Some(proc) = procs.find(|p| p.step == *step && p.attempt == *attempt && p.end.is_none()) {
                    proc.end = Some(end.clone());
                }
            }
            Action::Late => {
                let late = self.clients.late(self.sequencer.session(), self.sequencer.head());
                self.evidence.unequal.extend(late);
            }
            Action::Stall { client } => self.clients.stall(*client),
            Action::Resume { client } => {
                let resumed = self.clients.resume(*client, &self.evidence.bytes);
                self.evidence.unequal.extend(resumed.err());
            }
        }
        self.check(&mut broken);
        broken
    }

    fn batch(&mut self, inputs: &[Stimulus], crash: Option<Crash>, broken: &mut Vec<(u8, String)>) {
        let mut decided: Decided = vec![];
        for (index, input) in inputs.iter().enumerate() {
            if matches!(crash, Some(Crash::BeforeAppend { after_inputs }) if after_inputs % inputs.len() == index) {
                return self.recover(0, broken);
            }
            self.decide(input, &mut decided);
        }
        let lines: usize = decided.iter().map(|(_, lines, _)| lines.len()).sum();
        if twin::broken(5) {
            let intents: Vec<_> =
                decided.iter().flat_map(|(_, lines, _)| lines).map(|n| n.line.event.clone()).collect();
            for event in intents {
                if let Event::RunIntended { step, attempt } = event {
                    self.spawn(&step, attempt, Part::Step);
                }
            }
        }
        match crash {
            Some(Crash::BeforeAppend { .. }) => return self.recover(0, broken),
            Some(Crash::Torn { lines: kept, bytes }) => {
                self.keep(decided, kept % (lines + 1));
                return self.recover(bytes as u64, broken);
            }
            _ => {}
        }
        let from = self.evidence.lines.len();
        self.keep(decided, usize::MAX);
        self.check(broken);
        if crash == Some(Crash::AfterSync) {
            return self.recover(0, broken);
        }
        let new = self.evidence.bytes[from..].to_vec();
        let head = self.sequencer.head();
        let (told, unequal) = self.clients.publish(&new, self.sequencer.session(), head);
        self.evidence.told.extend(told);
        self.evidence.unequal.extend(unequal);
        self.check(broken);
        if crash == Some(Crash::AfterPublish) {
            return self.recover(0, broken);
        }
        let events: Vec<_> = self.evidence.lines[from..].iter().map(|line| (line.seq, line.event.clone())).collect();
        let stop = match crash {
            Some(Crash::AfterEffects { effects }) => Some(effects % (events.len() + 1)),
            _ => None,
        };
        for (index, (seq, event)) in events.iter().enumerate() {
            if stop == Some(index) {
                return self.recover(0, broken);
            }
            self.effect(*seq, event);
        }
        self.check(broken);
        // One that was asked to stop goes as soon as nothing of it is at work.
        let goes = self.session().stopping.is_some() && self.session().busy_step().is_none();
        if stop.is_some() || goes {
            return self.recover(0, broken);
        }
        self.want_recheck();
    }

    /// One input becomes lines. Presence is preceded by a tick of its own, so that time's part can be told from its.
    fn decide(&mut self, input: &Stimulus, decided: &mut Decided) {
        let (now, tick) = (self.now, Fact::Tick);
        // Only who is connected can ask.
        if let Stimulus::Ask { who, .. } = input
            && !self.connections.values().any(|here| here == who)
        {
            self.decide(&Stimulus::Join { who: who.clone() }, decided);
        }
        let kind = match input {
            Stimulus::Join { .. } => Kind::Join,
            Stimulus::Leave { .. } => Kind::Leave,
            Stimulus::Ask { request: Request::Attend { .. }, .. } => Kind::Attend,
            Stimulus::Ask { .. } => Kind::Ask,
            Stimulus::Tick => Kind::Tick,
            _ => Kind::Fact,
        };
        let presence = matches!(kind, Kind::Join | Kind::Leave | Kind::Attend);
        if presence {
            let lines = self.sequencer.observe(now, &tick).expect("events are plain data");
            decided.push((Kind::Tick, lines, None));
        }
        let before = presence.then(|| self.session().clone());
        for fact in self.facts(input) {
            let lines = self.sequencer.observe(now, &fact).expect("events are plain data");
            decided.push((kind, lines, None));
        }
        if let Stimulus::Ask { who, request } = input {
            let lines = self.ask(who, request, None);
            // Whoever was let in with another key is heard over no connection of the old one.
            for numbered in &lines {
                if let Event::Readmitted { principal, .. } = &numbered.line.event {
                    self.connections.retain(|_, who| who != principal);
                }
            }
            decided.push((kind, lines, None));
        }
        if matches!(input, Stimulus::Froze) && !self.jobs.freezes.is_empty() {
            let (who, request, step) = self.jobs.freezes.remove(0);
            let attempt = self.session().steps.get(&step.id).map_or(1, |state| state.attempt + 1);
            if let Ok(covers) = self.freeze_step(&step, attempt) {
                decided.push((Kind::Ask, self.ask(&who, &request, Some(covers)), None));
            }
        }
        let besides = before.and_then(|before| things::besides_presence(before, self.session().clone()));
        if let (Some(last), Some(besides)) = (decided.last_mut(), besides) {
            last.2 = Some(besides);
        }
    }

    fn ask(&mut self, who: &Principal, request: &Request, covers: Option<Covers>) -> Vec<Numbered> {
        let author = Author::new(who.clone(), self.key(who));
        let mut request = request.clone();
        if let Request::Type { hidden, .. } = &mut request {
            *hidden = self.hides_typing();
        }
        let armed = self.session().open_step().map(|(_, _, armed)| armed.digest());
        // Zeros stand for "whatever is armed", so that kept runs outlive a change of what a digest covers.
        if let (Request::Check { digest, .. } | Request::Object { digest, .. }, Some(armed)) = (&mut request, armed)
            && *digest == Hash::ZERO
        {
            *digest = armed;
        }
        let frozen = covers.is_some();
        if let Request::Arm { covers: slot, .. } | Request::AdHoc { covers: slot, .. } = &mut request {
            *slot = covers.map(Box::new);
        }
        let foretold = self.foretold(&author, &request);
        let answer = self.sequencer.request(self.now, &author, &request).expect("events are plain data");
        if foretold.first() != answer.refusal.as_ref() {
            let what = format!("{who} asks {request:?}: foretold {foretold:?}, answered {:?}", answer.refusal);
            self.clients.outside.push(what);
        }
        if let Some(refusal) = &answer.refusal {
            self.evidence.told.push(refusal.to_string());
        } else if let (Some(step), false) = (self.to_freeze(who, &request), frozen) {
            self.jobs.freezes.push((who.clone(), request, step));
        } else if let Request::Check { digest, .. } = request
            && let Some(checked) = answer.lines.iter().find(|n| matches!(n.line.event, Event::CrossChecked { .. }))
        {
            self.evidence.granted.insert(checked.line.seq, digest);
        }
        answer.lines
    }

    /// What a screen that has folded everything would say of that request before it is sent.
    fn foretold(&mut self, author: &Author, request: &Request) -> Vec<crate::session::Refusal> {
        let mut hub = self.sequencer.clone();
        hub.observe(self.now, &Fact::Tick).expect("events are plain data"); // what time alone does comes first
        let (session, at) = (hub.session(), self.now.max(hub.session().at));
        // The same wish of everyone else: most of what is drawn is what its author may.
        let others = session.plan.principals().into_iter().chain(session.people.keys());
        for other in others.filter(|other| **other != author.principal) {
            let other = Author::new(other.clone(), self.key(other));
            let (foretold, decided) = (may(session, at, &other, request), decide(session, at, &other, request));
            self.evidence.foretold += 1;
            if foretold.first() != decided.as_ref().err() {
                let what = format!("{} asks {request:?}: foretold {foretold:?}, decided {decided:?}", other.principal);
                self.clients.outside.push(what);
            }
        }
        // Whoever is told that it is theirs to do something now can do it.
        let next = Sight { session, me: &session.lead, at, reach: Reach::Live, keys: None }.next();
        let act = next.act.filter(|act| matches!(act, Act::Arm | Act::Run | Act::Close | Act::Rollback | Act::Release));
        for who in next.who.iter().filter(|who| *who == &session.lead || act == Some(Act::Release)) {
            let sight = Sight { session, me: who, at, reach: Reach::Live, keys: None };
            let reasons = act.map_or_else(Vec::new, |act| sight.may_act(act, &Picked::default()));
            if !reasons.is_empty() {
                self.clients.outside.push(format!("{who} is told to {next:?}, and may not: {reasons:?}"));
            }
        }
        self.evidence.foretold += 1;
        may(session, at, author, request)
    }

    fn to_freeze(&self, who: &Principal, request: &Request) -> Option<Step> {
        match request {
            Request::Arm { step, .. } => self.session().plan.step(step).cloned(),
            Request::AdHoc { run, why, .. } => Some(crate::session::typed_step(self.session(), who, run, why)),
            _ => None,
        }
    }
    /// Whether the terminal of what runs hides what is typed; by the clock, so that kept runs say the same.
    fn hides_typing(&self) -> Option<bool> {
        self.procs.iter().any(|proc| proc.end.is_none()).then_some(self.now.micros() / 1000 % 2 == 0)
    }

    fn facts(&mut self, input: &Stimulus) -> Vec<Fact> {
        match input {
            Stimulus::Ask { .. } | Stimulus::Froze => vec![],
            Stimulus::Join { who } => {
                self.next += 1;
                self.connections.insert(self.next, who.clone());
                let role = self.session().role(who);
                vec![Fact::Joined { principal: who.clone(), role, key: self.key(who), connection: self.next }]
            }
            Stimulus::Leave { who, why } => {
                let Some((&connection, _)) = self.connections.iter().find(|(_, p)| *p == who) else { return vec![] };
                self.connections.remove(&connection);
                vec![Fact::Left { principal: who.clone(), connection, why: HOSTILE[why % HOSTILE.len()].into() }]
            }
            Stimulus::Read { watch, took_ms } => {
                let began = At::from_micros(self.now.micros() - (*took_ms as i64) * 1000);
                // A collector may give an anchor with any reading; the session takes it only where one is wanted.
                let counted = self.session().plan.watch(watch).is_some_and(|watch| watch.kind.is_countdown());
                let anchor = counted.then(|| Fact::Anchor { watch: watch.clone(), anchor: self.anchor() });
                let reading = Fact::Reading { watch: watch.clone(), reading: self.reading(watch), began, asked: None };
                anchor.into_iter().chain([reading]).collect()
            }
            Stimulus::Asked { watch } => {
                let Some(index) = self.jobs.asked.iter().position(|(w, ..)| w == watch) else { return vec![] };
                let (watch, seq, began) = self.jobs.asked.remove(index);
                vec![Fact::Reading { reading: self.reading(&watch), watch, began, asked: Some(seq) }]
            }
            Stimulus::Rechecked { again } => {
                if self.jobs.rechecks.is_empty() {
                    return vec![];
                }
                let (step, attempt) = self.jobs.rechecks.remove(0);
                let now = self.freeze(&step, attempt).map(Box::new);
                let fact = Fact::Rechecked { step, attempt, now };
                if *again { vec![fact.clone(), fact] } else { vec![fact] }
            }
            Stimulus::Undone => {
                if self.jobs.frozen_late.is_empty() {
                    return vec![];
                }
                let (step, attempt, part) = self.jobs.frozen_late.remove(0);
                self.start_late(&step, attempt, part);
                vec![]
            }
            Stimulus::Started if self.jobs.starts.is_empty() => vec![],
            Stimulus::Started => vec![self.jobs.starts.remove(0)],
            Stimulus::Output { bytes } => {
                let Some(proc) = self.procs.iter_mut().rev().find(|proc| proc.end.is_none()) else { return vec![] };
                let offset = proc.printed;
                proc.printed += u64::from(*bytes);
                let (step, attempt, part) = (proc.step.clone(), proc.attempt, proc.part);
                vec![Fact::Output { step, attempt, part, offset, length: *bytes, hash: Hash::ZERO }]
            }
            Stimulus::Reaped { step, attempt, end } => {
                // The latest of them: a rollback comes after the run it undoes.
                let mut procs = self.procs.iter_mut().rev();
                let Some(proc) = procs.find(|p| p.step == *step && p.attempt == *attempt) else { return vec![] };
                proc.end = proc.end.take().or_else(|| end.clone());
                let (part, end) = (proc.part, proc.end.clone());
                end.map(|end| Fact::Ended { step: step.clone(), attempt: *attempt, part, end }).into_iter().collect()
            }
            Stimulus::Gone { step, attempt } => {
                let alive = |p: &Proc| p.step == *step && p.attempt == *attempt && p.end.is_none();
                let gone = !self.procs.iter().any(alive);
                gone.then(|| Fact::ProcessGone { step: step.clone(), attempt: *attempt }).into_iter().collect()
            }
            Stimulus::Told { notify, fails } => {
                // As the hub does: nothing is told of what is not on disk.
                let durable = self.evidence.lines.len() as u64;
                let due = self.session().due_for(*notify).map(|(seq, _)| seq).find(|seq| *seq <= durable);
                let Some(of) = due else { return vec![] };
                let (notify, tries, why) = (*notify, 1, HOSTILE[1].to_owned());
                match fails {
                    true => vec![Fact::NotTold { notify, of: vec![of], tries, why }],
                    false => vec![Fact::Told { notify, of, tries }],
                }
            }
            Stimulus::Jumped { by_ms } => vec![Fact::ClockJumped { by_ms: *by_ms }],
            Stimulus::Silent { who, since_ms } => {
                let Some((&connection, _)) = self.connections.iter().find(|(_, p)| *p == who) else { return vec![] };
                let since = since_ms.map(|ms| At::from_micros(self.now.micros() - (ms as i64) * 1000));
                vec![Fact::Silent { principal: who.clone(), connection, since }]
            }
            Stimulus::Knock { who } => {
                self.next += 1;
                vec![Fact::KeyRefused { principal: who.clone(), key: format!("SHA256:another-{}", self.next) }]
            }
            Stimulus::PlanFile => {
                let what = HOSTILE[self.evidence.lines.len() % HOSTILE.len()].into();
                vec![Fact::PlanChanged { digest: Hash::of(b"another plan"), what }]
            }
            Stimulus::Awaits => {
                let Some(proc) = self.procs.iter().rev().find(|proc| proc.end.is_none()) else { return vec![] };
                let (step, attempt, part) = (proc.step.clone(), proc.attempt, proc.part);
                vec![Fact::AnswerAwaited { step, attempt, part, line: HOSTILE[1].into() }]
            }
            Stimulus::Stop => vec![Fact::StopAsked],
            Stimulus::Tick => vec![Fact::Tick],
        }
    }

    /// Lines reach the disk and are synced; beyond `most` a crash lost them.
    fn keep(&mut self, decided: Decided, most: usize) {
        let mut left = most;
        for (kind, lines, besides) in decided {
            let from = self.evidence.lines.len();
            let cut = lines.len() > left;
            for numbered in lines.iter().take(left) {
                // Read back as an outsider would: the hub's own value is never evidence.
                let line: Line = serde_json::from_slice(numbered.bytes()).expect("a line reads back");
                self.evidence.unequal.extend(
                    (line != numbered.line).then(|| format!("line {} is another one once read back", line.seq)),
                );
                self.evidence.bytes.push(numbered.bytes().clone());
                self.evidence.lines.push(line);
            }
            left -= lines.len().min(left);
            let lines = from..self.evidence.lines.len();
            self.evidence.typed(lines.clone());
            self.evidence.outputs.push(Output { lines, kind, cut, life: self.life, besides });
            if cut {
                return;
            }
        }
    }

    fn effect(&mut self, seq: u64, event: &Event) {
        match event {
            Event::RunRequested { step, .. } => {
                let gates = self.evidence.step(step).map(|step| step.gates.clone()).unwrap_or_default();
                self.jobs.asked.extend(gates.into_iter().map(|gate| (gate.watch, seq, self.now)));
            }
            Event::RunEnded { step, .. }
                if self.session().steps.get(step).is_some_and(crate::session::steps::StepState::goes_on) =>
            {
                let gates = self.evidence.step(step).map(|step| step.gates.clone()).unwrap_or_default();
                self.jobs.asked.extend(gates.into_iter().map(|gate| (gate.watch, seq, self.now)));
            }
            Event::RunIntended { .. } if twin::broken(5) => {}
            Event::RunIntended { step, .. }
                if self.evidence.plan.step(step).is_some_and(|step| step.runs().is_none()) => {}
            Event::RunIntended { step, attempt } => {
                let (step, attempt) = (step.clone(), *attempt);
                let why = match (self.is_stopped_for(&step), self.broken_spawn) {
                    (true, _) => "the line was stopped",
                    (_, true) => "no such file",
                    _ => return self.spawn(&step, attempt, Part::Step),
                };
                self.broken_spawn = false;
                self.not_started(step, attempt, Part::Step, why.to_owned());
            }
            Event::RollbackIntended { step, attempt, .. } => {
                self.jobs.frozen_late.push((step.clone(), *attempt, Part::Rollback));
            }
            Event::BatchIntended { step, attempt, .. } => {
                self.jobs.frozen_late.push((step.clone(), *attempt, Part::Step));
            }
            Event::ProbeIntended { step, attempt } => {
                let (step, attempt, says) = (step.clone(), *attempt, HOSTILE[seq as usize % HOSTILE.len()].into());
                let (end, output) = (RunEnd::Exited { code: 0 }, Some((7, Hash::ZERO)));
                self.jobs.starts.push(Fact::Probed { step, attempt, end, says, output });
            }
            Event::RunInterrupted { step, attempt, force } => {
                let mut procs = self.procs.iter_mut();
                if let Some(proc) = procs.find(|p| p.step == *step && p.attempt == *attempt && p.end.is_none()) {
                    proc.interrupted = true;
                    if *force {
                        proc.end = Some(RunEnd::Signalled { signal: 9, asked: true });
                    }
                }
            }
            _ => {}
        }
    }

    fn is_stopped_for(&self, step: &StepId) -> bool {
        let armed = self.session().steps.get(step).and_then(|state| state.armed.as_ref());
        armed.map_or(self.session().line.is_stopped(), |armed| self.session().is_stopped_for(armed))
    }

    fn not_started(&mut self, step: StepId, attempt: u32, part: Part, why: String) {
        self.jobs.starts.push(Fact::Ended { step, attempt, part, end: RunEnd::NotStarted { why } });
    }

    /// The intent to undo a step is durable: its bytes are looked at once more, then its process is.
    fn start_late(&mut self, step: &StepId, attempt: u32, part: Part) {
        let state = &self.session().steps[step];
        let armed = state.armed.as_ref();
        let checked = armed.and_then(|armed| armed.covers.covers().command_of(part).cloned());
        let asked_for = part == Part::Rollback && state.by_hand;
        let interrupted = state.run_of(part).is_some_and(|run| run.interrupted.is_some());
        let batch = self.session().plan.step(step).filter(|_| part == Part::Step);
        let held = batch.is_some_and(|step| self.session().batch_held(step, self.now).is_some());
        let stopped = (!self.session().line.pulled.is_empty() && !asked_for) || interrupted || held;
        let changed = match (self.freeze(step, attempt), checked) {
            (Ok(now), Some(checked)) => now.command_of(part).and_then(|now| checked.difference(now)),
            (Err(why), _) => Some(why.to_string()),
            (Ok(_), None) => Some("nothing was checked".to_owned()),
        };
        let why = match (stopped, self.broken_spawn, changed) {
            (true, ..) => "the line was stopped".to_owned(),
            (_, true, _) => "no such file".to_owned(),
            (_, _, Some(what)) if !twin::broken(2) => what,
            _ => return self.spawn(step, attempt, part),
        };
        self.broken_spawn = false;
        self.not_started(step.clone(), attempt, part, why);
    }

    fn spawn(&mut self, step: &StepId, attempt: u32, part: Part) {
        let Ok(mut ran) = self.freeze(step, attempt) else { return };
        // What was done meanwhile was done by this very attempt.
        if let Some(armed) = self.session().steps[step].armed.as_ref() {
            ran.each = armed.covers.covers().each;
        }
        let durable = self.evidence.lines.len();
        let printed = self.session().steps[step].run_of(part).map_or(0, |run| run.output_bytes);
        self.next += 1;
        let pid = u32::try_from(self.next).unwrap_or(u32::MAX);
        let step = step.clone();
        self.evidence.spawns.push(Spawn { step: step.clone(), attempt, part, ran, durable, life: self.life });
        self.procs.push(Proc { step: step.clone(), attempt, part, pid, interrupted: false, end: None, printed });
        let process = Process { pid, start_time: self.next, boot_id: "boot".into() };
        self.jobs.starts.push(Fact::Started { step, attempt, part, process, keeper: None, cols: 80, rows: 24 });
    }

    /// A starting step whose gates are all read anew is frozen once more.
    fn want_recheck(&mut self) {
        let session = self.sequencer.session();
        let steps = session.plan.steps.iter().filter_map(|step| Some((&step.id, session.steps.get(&step.id)?)));
        for (id, state) in steps.filter(|(_, state)| state.phase == Phase::Starting) {
            let starting = state.armed.as_ref().and_then(|armed| armed.starting.as_ref());
            let read = starting.is_some_and(|starting| starting.pending.is_empty());
            let job = (id.clone(), state.attempt);
            if (read || twin::broken(4)) && !self.jobs.rechecks.contains(&job) {
                self.jobs.rechecks.push(job);
            }
        }
    }

    /// The hub dies and another one takes the session up again from what is durable.
    fn recover(&mut self, torn_bytes: u64, broken: &mut Vec<(u8, String)>) {
        self.check(broken);
        self.jobs = Jobs::default();
        self.connections.clear();
        self.life += 1;
        let durable = self.evidence.lines.len() as u64;
        self.evidence.granted.retain(|seq, _| *seq <= durable);
        let Some((session, head)) = refold(&self.evidence.bytes) else {
            self.dead = true;
            return;
        };
        self.clients.lose_hub();
        // Recorded or not: a command leaves its number where the next hub looks, before it does anything.
        let alive = session.live_step().and_then(|(step, state)| {
            let part = state.phase.part();
            let ours = |p: &&Proc| p.step == step.id && p.attempt == state.attempt && p.part == part && p.end.is_none();
            let recorded = state.run_of(part).and_then(|run| run.process.clone());
            let found = |p: &Proc| Process { pid: p.pid, start_time: 0, boot_id: "boot".into() };
            self.procs.iter().find(ours).map(|p| recorded.unwrap_or_else(|| found(p)))
        });
        self.sequencer = Sequencer::resume(session, head);
        let places = 1..=self.evidence.plan.notify.len() as u32;
        let session = self.sequencer.session();
        self.evidence.owed =
            places.flat_map(|place| session.due_for(place).map(move |(seq, _)| (place, seq))).collect();
        let note = HOSTILE[torn_bytes as usize % HOSTILE.len()].to_owned();
        let fact = Fact::Recovered { version: "0".into(), torn_bytes, note, alive, keeper: None };
        let lines = self.sequencer.observe(self.now, &fact).expect("events are plain data");
        // A session that is closed is not taken up: no lines.
        if lines.first().is_some_and(|first| !matches!(first.line.event, Event::Recovered { .. })) {
            broken.push((12, "a hub that took over decided something before it said so".to_owned()));
        }
        self.keep(vec![(Kind::Recover, lines, None)], usize::MAX);
        self.check(broken);
        let resumed = self.clients.resume(0, &self.evidence.bytes);
        self.evidence.unequal.extend(resumed.err());
        let (told, unequal) = self.clients.publish(&[], self.sequencer.session(), self.sequencer.head());
        self.evidence.told.extend(told);
        self.evidence.unequal.extend(unequal);
        self.check(broken);
        self.want_recheck();
    }

    fn check(&mut self, broken: &mut Vec<(u8, String)>) {
        let e = &self.evidence;
        let new = New {
            lines: self.checked.lines.end..e.lines.len(),
            outputs: self.checked.outputs.end..e.outputs.len(),
            spawns: self.checked.spawns.end..e.spawns.len(),
            told: self.checked.told.end..e.told.len(),
        };
        broken.extend(invariants::check(e, &new));
        self.evidence.unequal.clear();
        self.checked = new;
    }

    /// The one that their link stays with: their own, until they are let in with another.
    fn key(&self, who: &Principal) -> String {
        if let Some(person) = self.session().people.get(who) {
            return person.key.clone();
        }
        self.keys.get(who).cloned().unwrap_or_else(|| "SHA256:nobody".into())
    }
}

/// What the durable bytes say, checked as a hub that starts checks them.
pub fn refold(bytes: &[bytes::Bytes]) -> Option<(Session, Head)> {
    let (first, mut head) = Line::decode(bytes.first()?, Head::START).ok()?;
    let mut session = Session::open(&first, head.hash).ok()?;
    for bytes in &bytes[1..] {
        let (line, next) = Line::decode(bytes, head).ok()?;
        session.apply(&line, next.hash);
        head = next;
    }
    Some((session, head))
}

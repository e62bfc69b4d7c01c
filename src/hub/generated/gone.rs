//! The lead vanishes at any point of a run. Two of those who are left bring it to its end; one alone never does.

use super::actions::{Action, Stimulus};
use super::draw::{self, Rng};
use super::world::World;
use crate::event::{RunEnd, Settled};
use crate::name::Principal;
use crate::session::steps::Phase;
use crate::session::{Author, Refusal, Request, decide};
use std::collections::BTreeMap;

/// Runs; each is left at another point.
const RUNS: u64 = 150;
/// By then whoever is left has closed it, or could not.
const TRIES: usize = 400;

fn act(world: &mut World, after_ms: u64, input: Stimulus) {
    let broken = world.act(&Action::Batch { after_ms, inputs: vec![input], crash: None });
    assert!(broken.is_empty(), "{broken:#?}");
}

fn ask(world: &mut World, who: &Principal, request: Request) {
    act(world, 10, Stimulus::Ask { who: who.clone(), request });
}

fn leave(world: &mut World, who: &Principal) {
    while world.connections.values().any(|here| here == who) {
        act(world, 0, Stimulus::Leave { who: who.clone(), why: 0 });
    }
}

/// What those who are left do next.
fn rescue(world: &World, gone: &Principal, rng: &mut Rng) -> (u64, Stimulus) {
    let (session, now) = (world.session(), world.now);
    let crew: Vec<_> = session.plan.principals().into_iter().filter(|who| *who != gone).cloned().collect();
    let who = rng.of(&crew).cloned().expect("somebody is left");
    let ask = |who: &Principal, request| Stimulus::Ask { who: who.clone(), request };
    if session.lead == *gone {
        let heirs: Vec<_> = crew.iter().filter(|heir| session.may_take_lead(heir, now)).collect();
        let half = session.handover.as_ref().map(|half| half.to.clone());
        let to = half.filter(|_| rng.percent(70)).or_else(|| rng.of(&heirs).map(|heir| (*heir).clone()));
        // What works on may have been checked by everyone who could lead: it is ended first.
        if rng.percent(70) {
            return (100, ask(&who, Request::Handover { to: to.unwrap_or(who.clone()) }));
        }
    }
    let lead = if session.lead == *gone { who.clone() } else { session.lead.clone() };
    if let Some((step, state)) = session.live_step() {
        let (step, attempt) = (step.id.clone(), state.attempt);
        let end = Some(RunEnd::Exited { code: rng.below(2) as i32 });
        return (
            100,
            [Stimulus::Started, Stimulus::Undone, Stimulus::Reaped { step, attempt, end }][rng.below(3)].clone(),
        );
    }
    if let Some((step, state)) = session.busy_step() {
        let step = step.id.clone();
        return match state.phase {
            Phase::Waiting | Phase::BetweenBatches => (100, ask(&who, Request::Interrupt { step, force: false })),
            _ => (30_000, Stimulus::Tick),
        };
    }
    if let Some((step, state)) = session.owing_step() {
        let (step, attempt, planned) = (step.id.clone(), state.attempt, step.rollback.is_some());
        return match (state.still_running(), rng.below(3)) {
            (true, 0) => (100, ask(&who, Request::Interrupt { step, force: true })),
            (true, _) => (100, Stimulus::Gone { step, attempt }),
            (false, 0) if planned && state.phase.may_roll_back() => {
                (100, ask(&lead, Request::Rollback { step, attempt }))
            }
            _ => (100, ask(&who, Request::Settle { step, outcome: Settled::Failed, why: "I looked".into() })),
        };
    }
    if rng.percent(60) {
        return (100, ask(&lead, Request::Close { note: String::new() }));
    }
    // What has to follow a rollback is flown as everything else is.
    match draw::forward(world, rng) {
        Stimulus::Ask { who, .. } | Stimulus::Join { who } if who == *gone => (100, Stimulus::Tick),
        input => (100, input),
    }
}

/// One person, who does not lead, ends nothing, undoes nothing, starts nothing, and counts nothing that ended badly as done.
fn refuses_what_takes_two(world: &mut World, one: &Principal, seed: u64) {
    let from = world.evidence.lines.len();
    let session = world.session();
    let steps: Vec<_> = session.steps.iter().map(|(step, state)| (step.clone(), state.attempt)).collect();
    let why = || "I am alone".to_owned();
    let mut wishes = vec![Request::Close { note: why() }];
    for (step, attempt) in steps {
        wishes.push(Request::Rollback { step: step.clone(), attempt });
        wishes.push(Request::Arm { step: step.clone(), covers: None });
        wishes.push(Request::Run { step: step.clone(), attempt });
        wishes.push(Request::Skip { step: step.clone(), why: why() });
        wishes.push(Request::Settle { step, outcome: Settled::Done, why: why() });
    }
    wishes.into_iter().for_each(|wish| ask(world, one, wish));
    let taken = world.evidence.lines[from..].iter().filter(|line| line.by == *one).map(|line| line.event.kind());
    // Their half of what takes two.
    let alone: Vec<_> = taken.filter(|kind| !matches!(*kind, "SkipAgreed" | "SettleAgreed")).collect();
    assert!(alone.is_empty(), "seed {seed}: {one} alone came to {alone:?}");
}

/// Whoever leads instead can undo what the plan says how to undo, as soon as nothing of it is at work.
fn leader_may_undo(world: &World, gone: &Principal, seed: u64) -> bool {
    let session = world.session();
    let Some((step, state)) = session.owing_step().filter(|_| session.lead != *gone) else { return false };
    let may = step.rollback.is_some() && state.phase.may_roll_back() && !state.still_running();
    if may && session.stopping.is_none() {
        let wish = Request::Rollback { step: step.id.clone(), attempt: state.attempt };
        let answer = decide(session, world.now, &Author::new(session.lead.clone(), "key"), &wish);
        assert!(answer.is_ok(), "seed {seed}: {} cannot undo {}: {answer:?}", session.lead, step.id);
    }
    may
}

/// Brings a run to a point of its own, where the lead vanishes. None where it was over by then.
fn orphaned(seed: u64, rng: &mut Rng) -> Option<(World, Principal)> {
    // Everyone has a key of their own: who shares one is one person, and refused as such.
    let mut world = World::new(rng.below(super::actions::PLANS.len()), 0);
    for _ in 0..rng.below(90) {
        let action = draw::action(&world, rng);
        let broken = world.act(&action);
        assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
        if world.dead || world.session().closed.is_some() {
            return None;
        }
    }
    let lead = world.session().lead.clone();
    Some((world, lead))
}

#[test]
fn where_the_lead_is_gone_two_who_are_left_bring_it_to_its_end_and_one_alone_does_not() {
    let (mut ends, mut flown, mut undone) = (BTreeMap::<Phase, u32>::new(), 0, 0);
    for seed in 0..RUNS {
        let mut rng = Rng(0x90_0e + seed);
        let Some((mut world, gone)) = orphaned(seed, &mut rng) else { continue };
        if let Some((_, state)) = world.session().busy_step().or_else(|| world.session().owing_step()) {
            *ends.entry(state.phase).or_default() += 1;
        }
        let crew: Vec<_> = world.session().plan.principals().into_iter().filter(|who| **who != gone).cloned().collect();
        let one = rng.of(&crew).cloned().expect("somebody is left");
        let all: Vec<_> = world.connections.values().cloned().collect();
        all.iter().for_each(|who| leave(&mut world, who));
        // What one of them said before they went counts for a while: then two would have said it.
        let lapse = u64::try_from(world.session().plan.lapse.as_millis()).unwrap_or(u64::MAX);
        act(&mut world, lapse, Stimulus::Tick);
        // One alone, before the time is over and after it.
        let grace = u64::try_from(world.session().plan.lead_grace.as_millis()).unwrap_or(u64::MAX);
        for after in [grace / 2, grace] {
            act(&mut world, after, Stimulus::Join { who: one.clone() });
            for to in crew.iter().cycle().take(crew.len() * 2) {
                ask(&mut world, &one, Request::Handover { to: to.clone() });
            }
            assert_eq!(world.session().lead, gone, "seed {seed}: {one} took the lead alone");
            refuses_what_takes_two(&mut world, &one, seed);
        }
        assert!(world.session().lead_gone.is_some(), "seed {seed}: nobody was told that {gone} is gone");
        let (mut tries, mut undoable) = (0, false);
        while world.session().closed.is_none() && tries < TRIES {
            tries += 1;
            undoable |= leader_may_undo(&world, &gone, seed);
            let (after, input) = rescue(&world, &gone, &mut rng);
            act(&mut world, after, input);
            if world.dead {
                break;
            }
        }
        let session = world.session();
        let author = Author::new(session.lead.clone(), "key");
        let left = decide(session, world.now, &author, &Request::Close { note: String::new() }).err();
        // What a rollback leaves to be done may wait for a gate or a check that nobody here can give.
        let waits = matches!(left, Some(Refusal::Contain { .. }));
        assert!(world.dead || session.closed.is_some() || waits, "seed {seed}: {:?}: {left:?}", session.current_step());
        assert!(session.lead != gone, "seed {seed}: {gone} leads still");
        flown += 1;
        undone += u32::from(undoable);
    }
    assert!(undone > 5, "in {undone} runs something could be undone");
    assert!(flown > RUNS / 2, "{flown} runs were left");
    assert!(ends.len() >= 5, "the lead vanished at too few points: {ends:?}");
}

//! Generated runs of the core: a [`world::World`] plays hub around the real sequencer, [`draw`] decides what happens,
//! [`invariants`] judge from the outside. `CROSSCHECK_RUNS=20 cargo test --lib generated` flies twenty times as many.

mod actions;
mod clients;
mod draw;
mod evidence;
mod gone;
mod invariants;
mod replay;
mod things;
mod world;

use crate::session::steps::TABLE;
use crate::session::twin;
use draw::Rng;
use replay::{Run, Start};
use std::collections::{BTreeMap, BTreeSet};

/// Runs of the normal test; `CROSSCHECK_RUNS` multiplies them.
const RUNS: u64 = 500;
/// A run ends once its log is that long; by then most sessions have seen each of their steps.
const LINES: usize = 200;
const ACTIONS: usize = 400;
/// Kinds that no generated run has to have, and why. All others are drawn.
const NEVER: &[(&str, &str)] = &[
    ("CheckpointSigned", "the hub signs with a key, which needs one"),
    ("CloseCalled", "the end is called where the hub has a key to sign it with"),
    ("CloseSigned", "the same"),
    ("HubVouched", "the same"),
    ("OthersAwaited", "no process here starts another one; tests/suite has those that do"),
    ("LeftBehind", "the same"),
    ("LeftGone", "the same"),
    ("InputLost", "no process here has a terminal that could be full; tests/suite/typed.rs fills one"),
    (
        "BreakGlass",
        "drawn, and seldom granted: nobody else may be here, and the crew comes back at once; session::tests break it",
    ),
];

fn many() -> u64 {
    RUNS * std::env::var("CROSSCHECK_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// What a run led to.
struct Flown {
    run: Run,
    broken: Vec<(u8, String)>,
    rows: BTreeMap<usize, u32>,
    lines: usize,
    spawns: usize,
    lives: u32,
    foretold: usize,
    kinds: BTreeSet<&'static str>,
}

/// Draws and flies one run. Ends at the first thing broken; with `only`, at the first time that invariant is.
fn fly(seed: u64, only: Option<u8>) -> Flown {
    let mut rng = Rng(seed);
    let start = Start { about: String::new(), seed, plan: rng.below(actions::PLANS.len()), keys: rng.below(5) as u8 };
    let mut world = world::World::new(start.plan, start.keys);
    let (mut actions, mut broken) = (vec![], vec![]);
    while world.evidence.lines.len() < LINES && actions.len() < ACTIONS && !world.dead {
        let action = draw::action(&world, &mut rng);
        actions.push(action.clone());
        broken = world.act(&action);
        broken.extend(world.clients.outside.drain(..).map(|what| (0, what)));
        broken.retain(|(number, _)| only.is_none_or(|only| only == *number));
        if !broken.is_empty() || world.session().closed.is_some() {
            break;
        }
    }
    Flown {
        run: Run { start, actions },
        broken,
        rows: world.clients.rows,
        lines: world.evidence.lines.len(),
        spawns: world.evidence.spawns.len(),
        lives: world.life,
        foretold: world.evidence.foretold,
        kinds: world.evidence.lines.iter().map(|line| line.event.kind()).collect(),
    }
}

#[test]
fn generated_runs_keep_every_invariant_and_take_every_row_of_the_table() {
    let (mut rows, mut lines, mut spawns, mut lives, mut foretold) = (BTreeMap::<usize, u32>::new(), 0, 0, 0, 0);
    let mut kinds = BTreeSet::new();
    // One thread per core: most of the time goes into reading lines, slowly, in a debug build.
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let flown = std::thread::scope(|scope| {
        let share = |first: u64| {
            move || (first..many()).step_by(threads as usize).map(|seed| fly(seed, None)).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..threads).map(|first| scope.spawn(share(first))).collect();
        threads.into_iter().flat_map(|t| t.join().expect("a run does not panic")).collect::<Vec<_>>()
    });
    for mut flown in flown {
        let seed = flown.run.start.seed;
        if let Some((number, _)) = flown.broken.first() {
            flown.run.start.about = format!("{:?}", flown.broken);
            let path = flown.run.shrunk(*number).keep(&format!("failed-{seed}"));
            panic!("seed {seed}: {:#?}\nkept as {}", flown.broken, path.display());
        }
        flown.rows.into_iter().for_each(|(row, times)| *rows.entry(row).or_default() += times);
        (lines, spawns, lives) = (lines + flown.lines, spawns + flown.spawns, lives + u64::from(flown.lives));
        foretold += flown.foretold;
        kinds.extend(flown.kinds);
    }
    told(format_args!("set L: {} runs, {lines} lines, {spawns} processes, {lives} lives of a hub", many()));
    told(format_args!("set L: {foretold} requests, each answered as `may` foretold"));
    for (index, (from, by, to)) in TABLE.iter().enumerate() {
        let times = rows.get(&index).copied().unwrap_or(0);
        println!("{from:?} --{by:?}--> {to:?}: {times} times");
        assert!(times > 0, "no run takes the row {from:?} --{by:?}--> {to:?}");
    }
    // Every kind of fact happens to some release here, or stands in the list of those that cannot.
    let never: BTreeSet<_> = NEVER.iter().map(|(kind, _)| *kind).collect();
    let all: BTreeSet<_> = crate::event::Event::KINDS.iter().copied().collect();
    let missing: Vec<_> = all.difference(&kinds).filter(|kind| !never.contains(*kind)).collect();
    assert!(missing.is_empty(), "no run has a line of these kinds: {missing:?}");
    assert!(never.is_subset(&all), "a kind that there is no more: {never:?}");
}

#[test]
fn each_invariant_catches_its_broken_twin() {
    let mut caught = 0;
    for (number, name, _) in invariants::ALL {
        twin::set_broken(number);
        let found = (0..many()).find_map(|seed| fly(seed, Some(number)).broken.into_iter().next().map(|b| (seed, b)));
        twin::set_broken(0);
        match found {
            Some((seed, (_, what))) => {
                println!("invariant {number}: twin caught in run {seed}: {what}");
                caught += 1;
            }
            None => println!("invariant {number}: twin NOT caught: {name}"),
        }
    }
    told(format_args!("invariants: {caught} of {} broken twins caught", invariants::ALL.len()));
    assert_eq!(caught, 12);
}

/// The poll has no number of its own: that it holds what is critical is a part of the first invariant.
#[test]
fn a_poll_that_locks_nothing_is_caught() {
    twin::set_broken(13);
    let found = (0..many()).find_map(|seed| fly(seed, Some(1)).broken.into_iter().next());
    twin::set_broken(0);
    let (_, what) = found.expect("the twin without a poll is caught");
    assert!(what.contains("the poll was not go"), "{what}");
}

/// That a rehearsal runs nothing live is a part of the second invariant.
#[test]
fn a_rehearsal_that_runs_what_is_live_is_caught() {
    twin::set_broken(14);
    let found = (0..many()).find_map(|seed| fly(seed, Some(2)).broken.into_iter().next());
    twin::set_broken(0);
    let (_, what) = found.expect("the twin that flies the live plan is caught");
    assert!(what.contains("ran what is live"), "{what}");
}

/// That nothing begins behind what is not done is a part of the sixth invariant.
#[test]
fn what_begins_behind_a_step_that_is_not_done_is_caught() {
    twin::set_broken(16);
    let found = (0..many()).find_map(|seed| fly(seed, Some(6)).broken.into_iter().next());
    twin::set_broken(0);
    let (_, what) = found.expect("the twin that lets what is not done count is caught");
    assert!(what.contains("settled as not done"), "{what}");
}

/// A screen that does not know of the gates says yes where the hub says no.
#[test]
fn a_screen_that_leaves_out_a_guard_is_caught() {
    twin::set_broken(15);
    let found = (0..many()).find_map(|seed| fly(seed, Some(0)).broken.into_iter().next());
    twin::set_broken(0);
    let (_, what) = found.expect("the twin whose screen knows of no gates is caught");
    assert!(what.contains("foretold") && what.contains("Gate"), "{what}");
}

#[test]
fn kept_runs_break_nothing_any_more() {
    let runs = replay::kept();
    assert!(runs.len() >= 3, "tests/runs holds the runs that once found something");
    for (name, run) in runs {
        match run.fly() {
            Ok(world) => {
                println!("{name}: {} lines, {} processes", world.evidence.lines.len(), world.evidence.spawns.len())
            }
            Err((index, broken)) => panic!("{name}, action {}: {broken:#?}", index + 1),
        }
    }
}

#[test]
fn a_run_survives_its_file() {
    let run = fly(7, None).run;
    let read = Run::read(&run.to_text()).expect("what was written can be read");
    assert_eq!(read, run);
    let lines = |run: &Run| run.fly().map(|world| world.evidence.bytes).map_err(|(_, broken)| broken);
    assert_eq!(lines(&read), lines(&run), "the same actions give the same bytes");
}

/// Says what a run came to where everyone sees it: what a passing test prints is swallowed.
fn told(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}

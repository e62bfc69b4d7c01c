//! Ten wrong commands, each flown after the right one was: on the panel's first page at 108x28, and within one page more at
//! 80x24, stands by name in what it differs. And what is said where nothing does, and of the attempt before.

use super::*;
use crate::event::{RehearsalSeen, Settled};

const PLAN: &str = r#"
crosscheck = 1
name = "Orders v42 cutover"
environment = "prod-eu1"
[crew]
lead = ["dana@example.org"]
shadow = ["sam@example.org", "ivo@example.org", "mei@example.org"]
[[watch]]
id = "api-gw"
kind = "http"
url = "https://api.example.org/health"
expect = { status = 200, within = "800ms" }
[[watch]]
id = "nightly"
kind = "file"
path = "/srv/backup/*.dump"
max_age = "26h"
[[step]]
id = "drop"
title = "Drop the old index"
class = "critical"
run = ["psql", "-h", "eu1-pg-01", "-f", "drop.sql", "-v", "index=orders_v40"]
gates = ["api-gw", "nightly"]
verify = { watches = ["api-gw"], for = "60s" }
touches = "1 index, 18.4 GB; reads may stall for a second"
undo = "create the index again, about 14 min"
"#;

/// The same with a text for a shell.
fn script(covers: &mut Covers, line: &str) {
    covers.command.argv = ["sh", "-eu", "-c", &format!("cd /srv/export\n{line}\nsync\n")].map(str::to_owned).to_vec();
}

fn file(text: &str) -> FileSeen {
    a::file("/srv/plan/drop.sql").of(text.as_bytes()).saying(text)
}

const SQL: &str = "SET lock_timeout = '2s';\nDROP INDEX CONCURRENTLY :index;\n";

/// What a hub freezes of the right one.
fn right(covers: &mut Covers) {
    covers.command.files = vec![file(SQL)];
    let alias = FileSeen { size: 812, ..a::file("/srv/plan/alias").of(b"alias") };
    let command = CommandSeen {
        cwd: "/srv/plan".into(),
        host: "bastion-1".into(),
        user: "release".into(),
        ..CommandSeen::bare(["./alias", "orders", "orders_v40"], alias)
    };
    covers.rollback = Some(a::rollback(command));
}

fn open(plan: &str, flown: Vec<Flown>) -> Flight {
    let mut flight = Flight::open_after(plan, flown, None, None, |name| format!("SHA256:{name}"));
    fresh(&mut flight, 1860.0);
    flight
}

fn fresh(flight: &mut Flight, old: f64) {
    flight.read("api-gw", Status::Ok, Some((32.0, "ms")), "200 after 32 ms");
    flight.read("nightly", Status::Ok, Some((old, "s")), "nightly.dump, 18.4 GB");
}

/// Checked by one shadow, run to its end.
fn fly(flight: &mut Flight, code: i32) {
    let (id, attempt, digest) = {
        let (step, state, armed) = flight.session().open_step().unwrap();
        (step.id.clone(), state.attempt, armed.digest())
    };
    flight.ask("sam", Request::OpenCheck { step: id.clone(), attempt });
    flight.pass(8);
    fresh(flight, 1860.0);
    assert_eq!(flight.ask("sam", Request::Check { step: id.clone(), attempt, digest }), None);
    flight.go();
    flight.pass(4);
    fresh(flight, 1860.0);
    flight.saw(a::attempt(id.as_str(), attempt).exited(code));
    for _ in 0..40 {
        flight.pass(2);
        fresh(flight, 1860.0);
        flight.saw(Fact::Tick);
    }
}

/// What ran in a flight of the right one, as the next session is opened with it.
fn flown(change: impl FnOnce(&mut Covers)) -> Vec<Flown> {
    let mut flight = open(PLAN, vec![]);
    flight.arm_as("drop", |covers| {
        right(covers);
        change(covers);
    });
    fly(&mut flight, 0);
    let flown = flight.session().has_flown();
    assert!(flown.len() == 1 && flown[0].done, "{flown:?}");
    flown
}

/// That page of the panel, and its words in one line, without frames.
fn page(flight: &Flight, size: (u16, u16), number: usize) -> (String, String) {
    let view = flight.view("ivo");
    let mut app = App::new(size.0, size.1);
    update(&mut app, key('x'), &view, flight.now());
    frame(&mut app, &view, flight.now(), size);
    for _ in 1..number {
        update(&mut app, code(KeyCode::PageDown), &view, flight.now());
        frame(&mut app, &view, flight.now(), size);
    }
    let text = text_of(&rendered(&app, &view, &dusk(), Glyphs::Unicode, flight.now(), size).0);
    let words = text.split(|c: char| c.is_whitespace() || c == '║').filter(|word| !word.is_empty());
    (text.clone(), words.collect::<Vec<_>>().join(" "))
}

struct Seed {
    name: &'static str,
    plan: fn(&str) -> String,
    before: fn(&mut Covers),
    wrong: fn(&mut Covers),
    named: &'static str,
}

const NOTHING: fn(&mut Covers) = |_| {};
const AS_IT_WAS: fn(&str) -> String = str::to_owned;

const SEEDS: [Seed; 10] = [
    Seed {
        name: "host",
        plan: AS_IT_WAS,
        before: NOTHING,
        wrong: |covers| covers.command.argv[2] = "eu1-pg-02".into(),
        named: "command argument 2: eu1-pg-02, was eu1-pg-01",
    },
    Seed {
        name: "index",
        plan: AS_IT_WAS,
        before: NOTHING,
        wrong: |covers| covers.command.argv[6] = "index=orders_v41".into(),
        named: "command argument 6: index=orders_v41, was index=orders_v40",
    },
    Seed {
        name: "timeout",
        plan: AS_IT_WAS,
        before: NOTHING,
        wrong: |covers| covers.command.timeout_ms = Some(600_000),
        named: "runs: in a pty, ended by force after 10:00, was in a pty, ended by force after 1:00",
    },
    Seed {
        name: "star",
        plan: AS_IT_WAS,
        before: |covers| script(covers, "rm -r old/*"),
        wrong: |covers| script(covers, "rm -r */*"),
        named: "command line 2: rm -r */*, was rm -r old/*",
    },
    Seed {
        name: "backup",
        plan: |plan| plan.replace("max_age = \"26h\"", "max_age = \"260h\""),
        before: NOTHING,
        wrong: NOTHING,
        named: "limit of gate nightly: max_age 260h, was max_age 26h",
    },
    Seed {
        name: "file",
        plan: AS_IT_WAS,
        before: NOTHING,
        wrong: |covers| covers.command.files = vec![file(&SQL.replace(":index", "orders_v41"))],
        named: "file line 2: DROP INDEX CONCURRENTLY orders_v41;, was DROP INDEX CONCURRENTLY :index;",
    },
    Seed {
        name: "environment",
        plan: AS_IT_WAS,
        before: NOTHING,
        wrong: |covers| _ = covers.command.env.insert("PGOPTIONS".into(), "-c lock_timeout=0".into()),
        named: "environment PGOPTIONS: '-c lock_timeout=0', was '-c lock_timeout=2s'",
    },
    Seed {
        name: "folder",
        plan: AS_IT_WAS,
        before: NOTHING,
        wrong: |covers| covers.command.cwd = "/srv/plan.old".into(),
        named: "folder: /srv/plan.old, was /srv/plan",
    },
    Seed {
        name: "user",
        plan: AS_IT_WAS,
        before: NOTHING,
        wrong: |covers| covers.command.user = "postgres".into(),
        named: "host: bastion-1, user postgres, was bastion-1, user release",
    },
    Seed {
        name: "rollback",
        plan: AS_IT_WAS,
        before: NOTHING,
        wrong: |covers| {
            if let Some(rollback) = &mut covers.rollback {
                rollback.command.argv[2] = "orders_v42".into();
            }
        },
        named: "rollback command argument 2: orders_v42, was orders_v40",
    },
];

#[test]
fn ten_wrong_commands_are_named_on_the_first_page() {
    for Seed { name, plan, before, wrong, named } in SEEDS {
        let mut flight = open(&plan(PLAN), flown(before));
        fresh(&mut flight, if name == "backup" { 777_600.0 } else { 1860.0 });
        flight.arm_as("drop", |covers| {
            right(covers);
            before(covers);
            wrong(covers);
        });
        let (text, words) = page(&flight, (108, 28), 1);
        assert!(words.contains(named), "{name}: {named:?} is not on\n{text}");
        insta::assert_snapshot!(format!("seeded-{name}-108x28"), text);
        let pages = [1, 2].map(|number| page(&flight, (80, 24), number));
        let found = pages.iter().any(|(_, words)| words.contains(named));
        assert!(found, "{name}: {named:?} is not on\n{}{}", pages[0].0, pages[1].0);
        // It is as wrong as it is, and can be flown all the same: nobody but people stops it.
        fly(&mut flight, 0);
        assert!(flight.session().has_flown()[0].done, "{name}");
    }
}

#[test]
fn what_is_as_it_was_is_said_too() {
    let mut flight = open(PLAN, vec![]);
    flight.arm_as("drop", right);
    let (text, words) = page(&flight, (108, 28), 1);
    assert!(words.contains("last flight never flown before"), "{text}");
    assert!(words.contains("the plan nothing differs from it"), "{text}");

    let mut flight = open(PLAN, flown(|_| {}));
    flight.arm_as("drop", right);
    let (text, words) = page(&flight, (108, 28), 1);
    assert!(words.contains("since then nothing differs from the last flight"), "{text}");
    assert!(words.contains("backup nightly: 31m old; limit: max_age 26h"), "{text}");
    assert!(words.contains("gates all 2 ok; api-gw: 200 after 32 ms; limit: expect"), "{text}");
    assert!(words.contains("afterwards api-gw compared with before, for 1:00"), "{text}");
    assert!(words.contains("undone by ./alias orders orders_v40"), "{text}");
    insta::assert_snapshot!("seeded-nothing-108x28", text);
    insta::assert_snapshot!("seeded-nothing-80x24", page(&flight, (80, 24), 1).0);
}

#[test]
fn the_attempt_before_is_told_with_its_end_and_who_settled_it() {
    let mut flight = open(PLAN, flown(|_| {}));
    flight.arm_as("drop", right);
    fly(&mut flight, 3);
    let why = "the lock was never given; nothing was dropped".to_owned();
    assert_eq!(flight.ask("ivo", Request::Settle { step: step("drop"), outcome: Settled::Failed, why }), None);
    flight.arm_as("drop", |covers| {
        right(covers);
        covers.command.env.insert("PGOPTIONS".into(), "-c lock_timeout=20s".into());
    });
    let (text, words) = page(&flight, (108, 28), 1);
    let came = "attempt 1 exit 3; settled as NOT done by ivo: the lock was never given; nothing was dropped";
    assert!(words.contains(came), "{text}");
    let differs = "differs environment PGOPTIONS: '-c lock_timeout=20s', was '-c lock_timeout=2s'";
    assert_eq!(words.matches(differs).count(), 2, "from the attempt and from the flight:\n{text}");
    insta::assert_snapshot!("seeded-attempt-108x28", text);
    // Voided, and armed as it was at first: what people read a moment ago is what counts.
    let (id, attempt) = (step("drop"), 2);
    assert_eq!(flight.ask("dana", Request::Disarm { step: id, attempt }), None);
    flight.arm_as("drop", right);
    let (text, words) = page(&flight, (108, 28), 1);
    assert!(words.contains(came), "what ran is told for ever:\n{text}");
    assert!(words.contains("attempt 2 never ran: "), "{text}");
    assert!(words.contains("PGOPTIONS: '-c lock_timeout=2s', was '-c lock_timeout=20s'"), "{text}");
    assert!(words.contains("since then nothing differs from the last flight"), "{text}");
}

#[test]
fn a_rehearsal_is_compared_by_what_it_would_have_run() {
    let rehearsed = |live: &[&str]| {
        let mut flown = flown(|_| {});
        let covers = flown[0].covers.as_mut().unwrap();
        let live = live.iter().map(|word| (*word).to_owned()).collect();
        covers.rehearsal = Some(RehearsalSeen { data: "a copy".into(), live, printed: true });
        covers.command.argv = vec!["printf".into(), "%s".into(), "psql".into()];
        flown
    };
    let right_words = ["psql", "-h", "eu1-pg-01", "-f", "drop.sql", "-v", "index=orders_v40"];
    for (live, named) in [
        (right_words, "since then nothing differs from the last rehearsal"),
        (
            ["psql", "-h", "eu1-pg-09", "-f", "drop.sql", "-v", "index=orders_v40"],
            "argument 2: eu1-pg-01, was eu1-pg-09",
        ),
    ] {
        let mut flight = open(PLAN, rehearsed(&live));
        flight.arm_as("drop", right);
        let (text, words) = page(&flight, (108, 28), 1);
        assert!(words.contains(named) && words.contains("never flown live"), "{named}\n{text}");
    }
}

/// A long text stands below the summary: what differs is on the first page all the same, and the text is whole.
#[test]
fn a_long_script_does_not_push_the_summary_off_the_first_page() {
    let long = |covers: &mut Covers, size: &str| {
        let lines: String = (1..=60).map(|line| format!("step {line} --size {size}\n")).collect();
        script(covers, &lines);
    };
    let mut flight = open(PLAN, flown(|covers| long(covers, "10")));
    flight.arm_as("drop", |covers| {
        right(covers);
        long(covers, "10");
        covers.command.argv[3] = covers.command.argv[3].replace("step 41 --size 10", "step 41 --size 1000");
    });
    let (text, words) = page(&flight, (108, 28), 1);
    assert!(words.contains("command a script, run by sh -eu -c, of 63 lines: below"), "{text}");
    assert!(words.contains("command line 42: step 41 --size 1000, was step 41 --size 10"), "{text}");
    let all: String = (1..=6).map(|number| page(&flight, (108, 28), number).1).collect();
    for line in 1..=60 {
        assert!(all.contains(&format!("step {line} --size")), "line {line}\n{all}");
    }
}

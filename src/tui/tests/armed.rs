//! Everything that is armed is on the panel, in plain mode and in the report: whatever of it changes, all three change.

use super::*;
use crate::brief::armed::{From, Loud, SECTIONS, Section, Text, against, is_same, sections};
use crate::event::{
    Deviation, EachSeen, Exits, FieldSeen, FolderSeen, Frozen, GateSeen, InheritedSeen, LeftBeside, LimitSeen,
    PreviewSeen, Reading, RehearsalSeen, RollbackSeen, ScriptSeen, SettledSeen, WaivedSeen,
};
use crate::report::Report;
use crate::tui::canvas::Look;
use crate::tui::panel;
use serde_json::Value;
use std::path::Path;

/// Fewer changes than this, and the walk has gone astray.
const CHANGES_MIN: usize = 250;

fn file(path: &str) -> FileSeen {
    a::file(path).saying(&format!("first line of {path}\n\tsecond\n"))
}

/// A command with everything that one can have.
fn whole_command(name: &str, argv: &[&str]) -> CommandSeen {
    CommandSeen {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        exe: file(&format!("/usr/bin/{name}")),
        interpreter: Some(file(&format!("/bin/interpreter-of-{name}"))),
        env: BTreeMap::from([("PATH".into(), "/usr/bin".into()), ("PGOPTIONS".into(), format!("-c {name}"))]),
        secrets: BTreeMap::from([("KEY".into(), Hash::of(name.as_bytes()))]),
        cwd: format!("/srv/{name}"),
        folder: Some(FolderSeen { device: 64, inode: 12, born_ns: Some(1_754_000_000) }),
        stdin: Some(format!("fed to {name}\nand more\n")),
        stdin_file: Some(file(&format!("/srv/{name}.in"))),
        sealed: true,
        script: Some(if name == "drop" {
            ScriptSeen::AsItGoes { why: "zsh cannot be told".into() }
        } else {
            ScriptSeen::Copied { names_itself: false }
        }),
        io: if name == "drop" { "pty" } else { "pipe" }.into(),
        input: Some(if name == "drop" { "lead" } else { "hidden-only" }.into()),
        timeout_ms: Some(60_000),
        exits: Exits { ok: vec![0, 3], warn: vec![2] },
        session_only: true,
        leaves: Some(format!("the helper of {name} stays")),
        named: Some(vec![file(&format!("/srv/{name}.txt"))]),
        files: vec![file(&format!("/srv/{name}.json"))],
        host: format!("db-of-{name}"),
        user: "release".into(),
        inherited: Some(InheritedSeen {
            umask: "000".into(),
            limits: BTreeMap::from([
                ("fsize".into(), LimitSeen { soft: Some(1 << 20), hard: Some(1 << 30) }),
                ("nofile".into(), LimitSeen { soft: Some(1024), hard: None }),
            ]),
        }),
        remote: true,
    }
}

/// All that can be armed, each thing there.
fn whole(argv: &[&str]) -> Covers {
    let text = |text: &str| text.to_owned();
    Covers {
        left: vec![LeftBeside { step: step("warm"), what: text("./cache-warmer (pid 99)"), planned: true }],
        settled: vec![SettledSeen {
            skipped: true,
            step: step("thaw"),
            done: true,
            undone: false,
            by: vec![who("sam"), who("ivo")],
            why: text("the last row alone was missing"),
        }],
        step: step("drop"),
        attempt: 2,
        title: text("Drop the old index"),
        class: text("irreversible"),
        checks: 2,
        command: whole_command("drop", argv),
        rollback: Some(RollbackSeen {
            command: whole_command("undo", &["undo", "--all"]),
            automatic: true,
            contain: vec![step("thaw")],
            absent: vec!["./made-by-the-step.sh".into()],
        }),
        preview: Some(PreviewSeen {
            command: whole_command("count", &["count", "rows"]),
            expect: text("1 to 100"),
            output: text("looking\n41 rows\n"),
            sha256: Hash::of(b"looking"),
            value: text("41"),
        }),
        rehearsal: Some(RehearsalSeen {
            data: text("a masked copy"),
            live: vec![text("drop"), text("live")],
            printed: true,
        }),
        deviations: vec![
            Deviation::Param {
                name: text("index"),
                planned: text("orders_v41"),
                value: text("orders_v40"),
                why: text("v41 is read again"),
                by: Some(who("dana")),
            },
            Deviation::Edited {
                planned: text("./drop"),
                run: text("./drop --now"),
                why: text("quicker"),
                by: who("dana"),
            },
            Deviation::AdHoc { why: text("a row hangs"), by: who("dana") },
        ],
        params: BTreeMap::from([(text("index"), text("orders_v40"))]),
        probe: Some(whole_command("probe", &["probe", "state"])),
        each: Some(EachSeen { lines: 10, first: 2, then: 3, done: 1 }),
        manual: Some(text("call support")),
        plan: Hash::of(b"plan"),
        gates: vec![GateSeen {
            watch: watch("api-gw"),
            reading: Reading { status: Status::Ok, value: Some(32.0), unit: text("ms"), why: text("200 after 32 ms") },
            age_ms: 2_800,
            waived: Some(WaivedSeen { by: who("sam"), status: Status::Fail, why: text("nobody reads on a Sunday") }),
        }],
        words: BTreeMap::from([(text("touches"), text("1 index")), (text("half_way"), text("it stays"))]),
        point_of_no_return: true,
        readback: vec![FieldSeen { name: text("index"), value: text("orders_v40") }],
        require_touch: true,
    }
}

/// Each change of one thing in it: where, and the whole as it is then.
fn changes(value: &Value) -> Vec<(String, Value)> {
    let mut all = vec![];
    let mut replace = |path: &str, with: Value| {
        let mut whole = value.clone();
        if let Some(place) = whole.pointer_mut(path) {
            *place = with;
            all.push((path.to_owned(), whole));
        }
    };
    let mut open = vec![(String::new(), value)];
    while let Some((path, here)) = open.pop() {
        match here {
            Value::Null => {}
            Value::Bool(is) => replace(&path, Value::Bool(!is)),
            Value::Number(number) => match number.as_u64() {
                Some(number) => replace(&path, Value::from(number + 1)),
                None => replace(&path, Value::from(number.as_f64().unwrap_or_default() + 1.0)),
            },
            Value::String(text) => {
                // The first that is still what it has to be: a text, a name, a hash, a status.
                let first = if text.starts_with('0') { '1' } else { '0' };
                let hash: String = std::iter::once(first).chain(text.chars().skip(1)).collect();
                for other in [format!("{text}x"), hash, "warn".to_owned()] {
                    replace(&path, Value::String(other));
                }
            }
            Value::Array(items) => {
                let end = items.len();
                replace(&path, items[..end.saturating_sub(1)].into());
                replace(&path, items.iter().chain(items.last()).cloned().collect());
                let below = items.iter().enumerate().map(|(index, item)| (format!("{path}/{index}"), item));
                open.extend(below);
            }
            Value::Object(fields) => {
                for name in fields.keys() {
                    let mut without = fields.clone();
                    without.remove(name);
                    replace(&path, Value::Object(without));
                }
                let more = fields.values().next().map(|value| ("added".to_owned(), value.clone()));
                replace(&path, Value::Object(fields.clone().into_iter().chain(more).collect()));
                open.extend(fields.iter().map(|(name, value)| (format!("{path}/{name}"), value)));
            }
        }
    }
    all
}

/// What changes and is not told, and how many changes were tried.
fn lost(covers: &Covers, tell: impl Fn(&Covers) -> String) -> (Vec<String>, usize) {
    let value = serde_json::to_value(covers).expect("it is JSON");
    let before = tell(covers);
    let mut lost = vec![];
    let mut tried = 0;
    let mut told = std::collections::BTreeSet::new();
    for (path, changed) in changes(&value) {
        // Of a text the first change that it takes is enough.
        let is_text = changed.pointer(&path).is_some_and(Value::is_string);
        if is_text && told.contains(&path) {
            continue;
        }
        let said = changed.pointer(&path).map(ToString::to_string).unwrap_or_default();
        let Ok(changed) = serde_json::from_value::<Covers>(changed) else { continue };
        assert_ne!(changed, *covers, "{path} changes");
        tried += 1;
        told.insert(path.clone());
        if tell(&changed) == before {
            lost.push(format!("{path} = {said}"));
        }
    }
    (lost, tried)
}

/// The same with every text so long that no screen has it on one line.
fn lengthened(covers: &Covers) -> Covers {
    let mut value = serde_json::to_value(covers).expect("it is JSON");
    for (path, changed) in changes(&value.clone()) {
        if let Some(Value::String(text)) = value.pointer(&path)
            && changed.pointer(&path).and_then(Value::as_str) == Some(&format!("{text}x"))
        {
            let mut long = value.clone();
            if let Some(place) = long.pointer_mut(&path) {
                *place = Value::String(format!("{text}{}", "-long".repeat(50)));
            }
            // What a shell is called with stays what makes it a shell.
            let shell = path.starts_with("/command/argv") && covers.command.argv[0] == "sh" && !path.ends_with('3');
            if !shell && serde_json::from_value::<Covers>(long.clone()).is_ok() {
                value = long;
            }
        }
    }
    serde_json::from_value(value).expect("each text was tried")
}

/// Two things to arm between them show each field: one with arguments, one with a script; and both with long texts.
fn all_that_can_be_armed() -> Vec<Covers> {
    let short = [
        &["drop", "it's", "one\nargument"][..],
        &["sh", "-eu", "-c", "cd /srv\n\tdrop it\n"],
        &["bash", "-eu", "-o", "pipefail", "-c", "dump | gzip >it\n"],
    ]
    .map(whole);
    let long = short.each_ref().map(lengthened);
    let alike = short.each_ref().map(alike);
    short.into_iter().chain(long).chain(alike).collect()
}

/// The same with commands that are the step's own but for their words and a variable: what is alike is not said twice.
fn alike(covers: &Covers) -> Covers {
    let mut covers = covers.clone();
    let own = covers.command.clone();
    for command in covers.commands_mut().skip(1) {
        *command = CommandSeen { argv: command.argv.clone(), ..own.clone() };
        command.env.insert("TERM".into(), "dumb".into());
    }
    covers
}

fn without_digest(text: &str, covers: &Frozen) -> String {
    text.replace(&covers.digest().to_string(), "DIGEST").replace(&covers.digest().short(), "DIGEST")
}

/// The session with that armed.
fn flown(flight: &Flight, covers: &Covers) -> (View, Frozen) {
    let frozen = Frozen::new(covers.clone()).expect("it is JSON");
    let mut view = flight.view("dana");
    let session = Arc::make_mut(&mut view.session);
    let armed = session.steps.get_mut(&step("drop")).and_then(|state| state.armed.as_mut()).expect("it is armed");
    armed.covers = frozen.clone();
    (view, frozen)
}

fn on_panel(flight: &Flight, covers: &Covers) -> String {
    let (view, frozen) = flown(flight, covers);
    let (app, theme) = (App::new(120, 40), dusk());
    let look = Look { app: &app, view: &view, theme: &theme, now: flight.now() };
    let (step, _, armed) = view.session.open_step().expect("it is open");
    let sections = panel::sections(&look, step, armed, covers, 106);
    let lines: Vec<_> = sections.iter().flatten().map(ToString::to_string).collect();
    without_digest(&lines.join("\n"), &frozen)
}

fn in_plain_mode(flight: &Flight, covers: &Covers) -> String {
    let (view, frozen) = flown(flight, covers);
    let (_, _, armed) = view.session.open_step().expect("it is open");
    let mut out = vec![];
    crate::cli::plain::panel(armed, &view, &mut out).expect("written");
    without_digest(&String::from_utf8(out).expect("it is text"), &frozen)
}

fn in_report(report: &Report, covers: &Covers) -> String {
    let frozen = Frozen::new(covers.clone()).expect("it is JSON");
    let mut report = report.clone();
    report.steps[0].attempts[0].covers = frozen.clone();
    let text = crate::report::markdown::markdown(&report);
    let end = text.find("### 02").expect("the next step");
    without_digest(&text[text.find("### 01").expect("the first step")..end], &frozen)
}

fn golden() -> Report {
    Report::of_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1.jsonl")).expect("a report")
}

fn nothing_is_lost(tell: impl Fn(&Covers) -> String) {
    for covers in all_that_can_be_armed() {
        let (lost, tried) = lost(&covers, &tell);
        assert!(lost.is_empty(), "changed, and not told: {lost:#?}\n{}", tell(&covers));
        assert!(tried >= CHANGES_MIN, "only {tried} changes");
    }
}

#[test]
fn the_panel_tells_whatever_changes_of_what_is_armed() {
    let flight = Flight::armed();
    nothing_is_lost(|covers| on_panel(&flight, covers));
}

#[test]
fn plain_mode_tells_whatever_changes_of_what_is_armed() {
    let flight = Flight::armed();
    nothing_is_lost(|covers| in_plain_mode(&flight, covers));
}

#[test]
fn the_report_tells_whatever_changes_of_what_was_armed() {
    let report = golden();
    nothing_is_lost(|covers| in_report(&report, covers));
}

/// The twin of the three: a screen that leaves one thing out is found out, and by the name of it.
#[test]
fn a_thing_that_is_left_out_is_missed() {
    let covers = whole(&["drop", "it"]);
    let tell = |covers: &Covers, drop: &str| {
        let all = sections(covers, None);
        let items = all.iter().flat_map(|section| &section.items);
        items.filter(|item| item.label != drop).map(|item| format!("{item:?}\n")).collect::<String>()
    };
    assert_eq!(lost(&covers, |covers| tell(covers, "")).0, Vec::<String>::new(), "nothing is left out");
    for (dropped, missed) in [
        ("typed to it while it runs", "/command/input"),
        ("touch", "/require_touch"),
        ("runs", "/command/io"),
        ("folder", "/command/folder/inode"),
        ("rollback secret", "/rollback/command/secrets/KEY"),
        ("rollback host", "/rollback/command/host"),
        ("preview says", "/preview/expect"),
        ("gate api-gw", "/gates/0/reading/why"),
    ] {
        let (lost, _) = lost(&covers, |covers| tell(covers, dropped));
        assert!(lost.iter().any(|path| path.starts_with(missed)), "without {dropped}: {lost:?}");
    }
}

/// What the walk above reads is what is drawn: on a screen that is large enough every line of every section stands.
#[test]
fn the_panel_draws_every_line_of_its_sections() {
    let flight = Flight::armed();
    let covers = whole(&["sh", "-eu", "-c", "cd /srv\ndrop it\n"]);
    let (view, frozen) = flown(&flight, &covers);
    let mut app = App::new(120, 400);
    update(&mut app, key('x'), &view, flight.now());
    let text = text_of(&rendered(&app, &view, &dusk(), Glyphs::Unicode, flight.now(), (120, 400)).0);
    let text = without_digest(&text, &frozen);
    for line in on_panel(&flight, &covers).lines() {
        assert!(text.contains(line.trim_end()), "{line:?} is not on\n{text}");
    }
}

#[test]
fn what_differs_is_said_of_the_thing_that_does() {
    let before = whole(&["drop", "it"]);
    let told = |now: &Covers| against(sections(now, None), &sections(&before, None), From::LastAttempt);
    let differing = |all: &[Section; SECTIONS]| {
        let items = all.iter().flat_map(|section| &section.items);
        let differs = items.flat_map(|item| item.differs.iter().map(move |what| (item.label.clone(), what.clone())));
        differs.filter(|(_, what)| what.from == From::LastAttempt).map(|(label, what)| (label, what.told())).collect()
    };
    let mut again = before.clone();
    again.attempt = 3;
    again.gates[0].age_ms = 1;
    assert!(is_same(&told(&again), From::LastAttempt), "the next attempt of the same is no difference");
    assert!(!is_same(&told(&again), From::Plan), "it still differs from the plan");
    again.command.argv.push("--now".into());
    again.command.files.insert(0, file("/srv/more.json"));
    again.preview = None;
    let all: BTreeMap<String, String> = differing(&told(&again));
    assert_eq!(all["command"], "argument 2: --now, is new");
    assert_eq!(all["file"], "was nothing of that");
    assert_eq!(all["preview says"], "was 41 (expected: 1 to 100)");
    let gone = told(&again).into_iter().flat_map(|section| section.items).find(|item| item.label == "preview says");
    let gone = gone.expect("what is gone is told");
    assert_eq!((gone.text, gone.loud), (Text::Words("not there any more".into()), Loud::Look));
}

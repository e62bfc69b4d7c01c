//! What is on screen, as text and as runs of style.

use super::*;
use crate::session::steps::Phase;
use crate::tui::app::{Overlay, Panel};
use crate::tui::theme::Ink;

fn screen(flight: &Flight, me: &str, size: (u16, u16), glyphs: Glyphs, app: &App) -> String {
    text_of(&rendered(app, &flight.view(me), &dusk(), glyphs, flight.now(), size).0)
}

/// The panel as that shadow sees it once everything on it was on screen for long enough.
fn panel(flight: &Flight, me: &str, size: (u16, u16), looked: Duration) -> App {
    let mut app = App::new(size.0, size.1);
    let view = flight.view(me);
    let mut now = flight.now();
    update(&mut app, key('x'), &view, now);
    frame(&mut app, &view, now, size);
    let until = now.mono + looked;
    while now.mono < until {
        now.mono += Duration::from_millis(250);
        update(&mut app, Happened::Tick, &view, now);
        frame(&mut app, &view, now, size);
    }
    app
}

#[test]
fn lead_sees_the_whole_release() {
    let flight = Flight::armed();
    let app = App::new(120, 40);
    for (cols, rows) in [(120, 40), (80, 24), (60, 16)] {
        for (name, glyphs) in [("unicode", Glyphs::Unicode), ("ascii", Glyphs::Ascii)] {
            let text = screen(&flight, "dana", (cols, rows), glyphs, &app);
            insta::assert_snapshot!(format!("lead-{cols}x{rows}-{name}"), text);
        }
    }
}

#[test]
fn a_shadow_is_asked_and_reads_the_panel() {
    let flight = Flight::armed();
    insta::assert_snapshot!("asked-120x40", screen(&flight, "ivo", (120, 40), Glyphs::Unicode, &App::new(120, 40)));
    for (size, looked) in [((120, 40), 0), ((120, 60), 0), ((120, 60), 6), ((108, 28), 2), ((80, 24), 2), ((60, 16), 2)]
    {
        let app = panel(&flight, "ivo", size, Duration::from_secs(looked));
        let text = screen(&flight, "ivo", size, Glyphs::Unicode, &app);
        insta::assert_snapshot!(format!("panel-{}x{}-after-{looked}s", size.0, size.1), text);
    }
    // The next page begins where this one ended, and says what it goes on with.
    for size in [(108, 28), (80, 24)] {
        let mut app = panel(&flight, "ivo", size, Duration::from_secs(2));
        update(&mut app, code(KeyCode::PageDown), &flight.view("ivo"), flight.now());
        let text = screen(&flight, "ivo", size, Glyphs::Unicode, &app);
        insta::assert_snapshot!(format!("panel-{}x{}-page-2", size.0, size.1), text);
    }
    let app = panel(&flight, "ivo", (120, 60), Duration::from_secs(6));
    insta::assert_snapshot!("panel-120x60-ascii", screen(&flight, "ivo", (120, 60), Glyphs::Ascii, &app));
}

#[test]
fn the_andon_fills_its_row_and_says_what_releases_it() {
    let mut flight = Flight::armed();
    flight.ask("ivo", Request::Andon { why: "p99 climbs".into() });
    flight.pass(3);
    for size in [(120, 40), (80, 24), (40, 8)] {
        let text = screen(&flight, "dana", size, Glyphs::Unicode, &App::new(size.0, size.1));
        insta::assert_snapshot!(format!("andon-{}x{}", size.0, size.1), text);
    }
}

/// The same release with two ways back, the better of which runs out.
fn with_ways_back() -> Flight {
    let ladder = r#"
[[watch]]
id = "replay-window"
kind = "kafka-retention"
brokers = "kafka-1:9092"
topic = "orders.in"
[[recovery]]
name = "replay orders.in"
watch = "replay-window"
takes = "40m"
[[recovery]]
name = "restore the nightly dump"
watch = "nightly"
takes = "6h"
loses = "up to a day of edits"
[[step]]
id = "freeze"
"#;
    let mut flight = Flight::open(&PLAN.replacen("[[step]]\nid = \"freeze\"\n", ladder, 1));
    flight.fresh();
    flight
}

#[test]
fn the_way_back_is_a_clock_on_every_screen() {
    let clock = |flight: &Flight, size: (u16, u16)| {
        let text = screen(flight, "dana", size, Glyphs::Unicode, &App::new(size.0, size.1));
        let told = text.lines().find(|line| line.to_lowercase().contains("back")).unwrap_or("no clock").trim();
        told.to_owned()
    };
    let mut flight = with_ways_back();
    flight.read("replay-window", Status::Ok, Some((4733.0, "s")), "first needed record stays at least 1:18:53, on p0");
    flight.saw(Fact::Tick);
    insta::assert_snapshot!("way-back-120x40", screen(&flight, "dana", (120, 40), Glyphs::Unicode, &App::new(120, 40)));
    insta::assert_snapshot!("way-back-80x24", screen(&flight, "dana", (80, 24), Glyphs::Unicode, &App::new(80, 24)));
    insta::assert_snapshot!(
        "way-back-80x24-ascii",
        screen(&flight, "dana", (80, 24), Glyphs::Ascii, &App::new(80, 24))
    );
    assert_eq!(clock(&flight, (50, 12)), "back 01:18:53");
    assert!(clock(&flight, (80, 24)).contains("back 01:18:53"));
    flight.pass(9);
    assert!(clock(&flight, (80, 24)).contains("back 01:18:44"), "it runs between readings");
    flight.read("replay-window", Status::Warn, Some((1800.0, "s")), "retention.bytes is 1 GB a partition");
    assert!(clock(&flight, (80, 24)).contains("back at most 00:30:00 TOO SLOW"), "{}", clock(&flight, (80, 24)));
    assert!(clock(&flight, (120, 40)).contains("at most 00:30:00 left · takes 40:00, loses nothing · TAKES LONGER"));
    // A rung falls aloud, and the next one stands in its place.
    flight.read("replay-window", Status::Fail, None, "LOST 12 needed records");
    flight.saw(Fact::Tick);
    assert!(clock(&flight, (80, 24)).contains("back while nightly ok"));
    let told: Vec<_> = flight.session().recent.iter().map(|told| told.text.as_str()).collect();
    let last = told.iter().rev().find(|text| text.starts_with("way back")).unwrap();
    assert!(last.contains("restore the nightly dump") && last.contains("replay orders.in"), "{last}");
    assert!(last.contains("LOST 12 needed records"), "{last}");
    // And nothing that is unknown stands.
    flight.pass(60);
    flight.saw(Fact::Tick);
    // No step that is next needs one: nothing is wrong yet, and nothing is red.
    assert!(clock(&flight, (80, 24)).contains("no way back yet"), "{}", clock(&flight, (80, 24)));
    assert!(clock(&flight, (120, 40)).contains("none yet, and no step needs one yet"), "{}", clock(&flight, (120, 40)));
    flight.fresh();
    flight.arm("freeze");
    flight.go();
    flight.end(0);
    flight.pass(60);
    flight.saw(Fact::Tick);
    assert!(clock(&flight, (80, 24)).contains("NO WAY BACK"));
    insta::assert_snapshot!(
        "no-way-back-120x40",
        screen(&flight, "dana", (120, 40), Glyphs::Unicode, &App::new(120, 40))
    );
}

#[test]
fn what_failed_is_owed_a_word() {
    let mut flight = Flight::start();
    flight.arm("freeze");
    flight.go();
    insta::assert_snapshot!("running-80x24", screen(&flight, "dana", (80, 24), Glyphs::Unicode, &App::new(80, 24)));
    flight.end(3);
    let mut app = App::new(80, 24);
    update(&mut app, key('k'), &flight.view("sam"), flight.now());
    insta::assert_snapshot!("failed-80x24", screen(&flight, "sam", (80, 24), Glyphs::Unicode, &app));
}

/// While it runs what a command prints has half of the rows at every size, and what there is to know of it stands there too.
#[test]
fn a_running_command_has_half_of_the_rows() {
    let mut flight = Flight::start();
    flight.arm("freeze");
    flight.go();
    let bare = Flight::open(
        "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"dana@example.org\"]\n\
        shadow = [\"sam@example.org\"]\n[[step]]\nid = \"go\"\nrun = [\"./go\"]\n",
    );
    let mut bare = bare;
    bare.arm("go");
    bare.go();
    for flight in [&flight, &bare] {
        for size in [(60, 16), (80, 24), (99, 29), (100, 30), (108, 28), (120, 40), (200, 60)] {
            let app = App::new(size.0, size.1);
            let (buf, drawn) = rendered(&app, &flight.view("dana"), &dusk(), Glyphs::Unicode, flight.now(), size);
            let (_, rows) = drawn.output.expect("the output is on screen");
            let text = text_of(&buf);
            assert!(rows >= size.1 / 2, "{rows} rows of {size:?}\n{text}");
            assert!(!text.contains("compare batch"), "of another step:\n{text}");
            assert!(text.contains("process 4711") && text.contains("NEXT") && text.contains("ANDON"), "{text}");
        }
    }
    insta::assert_snapshot!("running-120x40", screen(&flight, "dana", (120, 40), Glyphs::Unicode, &App::new(120, 40)));
    insta::assert_snapshot!("running-60x16", screen(&flight, "dana", (60, 16), Glyphs::Unicode, &App::new(60, 16)));
    assert!(
        !screen(&bare, "dana", (120, 40), Glyphs::Unicode, &App::new(120, 40)).contains("Kafka"),
        "no pane of nothing"
    );
}

/// The error that a step was undone for stays on screen while its rollback prints.
#[test]
fn what_failed_stays_above_what_undoes_it() {
    let mut flight = Flight::start();
    flight.arm("freeze");
    flight.go();
    flight.end(3);
    let mut view = flight.view("sam");
    let printed = |part: Part, bytes: &str| {
        let bytes = bytes.as_bytes().to_vec().into();
        crate::protocol::Screen { step: step("freeze"), attempt: 1, part, number: 1, cols: 80, rows: 24, bytes }
    };
    for size in [(120, 40), (80, 24)] {
        let mut app = App::new(size.0, size.1);
        view.screen = Some(Arc::new(printed(Part::Step, "one\r\nERROR: lock held by 4711")));
        update(&mut app, Happened::View, &view, flight.now());
        view.screen = Some(Arc::new(printed(Part::Rollback, "thawed 1 gateway")));
        update(&mut app, Happened::View, &view, flight.now());
        let text = text_of(&rendered(&app, &view, &dusk(), Glyphs::Unicode, flight.now(), size).0);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what:?} on\n{text}"));
        assert!(at("exit 3, before it was undone") < at("ERROR: lock held by 4711"));
        assert!(
            at("ERROR: lock held by 4711") < at("output of the rollback of 01") && text.contains("thawed 1 gateway")
        );
    }
}

#[test]
fn old_values_are_never_shown_as_if_they_were_good() {
    let mut flight = Flight::armed();
    flight.pass(60);
    let text = screen(&flight, "dana", (120, 40), Glyphs::Unicode, &App::new(120, 40));
    assert!(text.lines().all(|line| !line.contains("32 ms") || line.contains("stale for")), "{text}");
    assert!(text.matches("STALE").count() >= 5, "{text}");
    insta::assert_snapshot!("stale-120x40", text);
}

#[test]
fn a_lost_link_and_a_replay_are_told_in_words() {
    let flight = Flight::armed();
    let mut view = flight.view("dana");
    view.link = Link::Lost { since: flight.at, why: "connection refused".into(), tries: 4 };
    let mut now = flight.now();
    now.wall = now.wall.after(Duration::from_secs(12));
    let text = text_of(&rendered(&App::new(120, 40), &view, &dusk(), Glyphs::Unicode, now, (120, 40)).0);
    assert!(text.contains("LINK LOST 12s") && text.contains("connection refused"), "{text}");
    view.link = Link::Replay { at: 84, of: 1207, verdict: "chain verified".into() };
    let text = text_of(&rendered(&App::new(120, 40), &view, &dusk(), Glyphs::Unicode, now, (120, 40)).0);
    assert!(!text.contains("ANDON"), "nothing acts in a replay:\n{text}");
    insta::assert_snapshot!("replay-120x40", text);
}

#[test]
fn the_help_lists_what_cannot_be_done_with_its_reason() {
    let flight = Flight::armed();
    let app = App { overlay: Overlay::Help(0), ..App::new(120, 40) };
    insta::assert_snapshot!("help-120x40", screen(&flight, "sam", (120, 40), Glyphs::Unicode, &app));
    let app = App { overlay: Overlay::Quit, ..App::new(80, 24) };
    insta::assert_snapshot!("quit-80x24", screen(&flight, "dana", (80, 24), Glyphs::Unicode, &app));
}

/// Runs of one style in a row, as `from-to role`.
fn runs(buf: &Buffer, y: u16, theme: &Theme) -> String {
    let name = |x: u16| {
        let cell = &buf[(x, y)];
        let base = theme.style(Ink::Base);
        let fits = |ink: &&Ink| {
            let style = theme.style(**ink);
            let fg = style.fg.or(base.fg).unwrap_or_default();
            let bg = style.bg.or(base.bg).unwrap_or_default();
            cell.fg == fg && cell.bg == bg && cell.modifier == style.add_modifier
        };
        Ink::ALL.iter().find(fits).map_or("other", |ink| ink.name())
    };
    let mut out = vec![];
    let mut from = 0;
    for x in 1..=buf.area.width {
        if x == buf.area.width || name(x) != name(from) {
            let text: String = (from..x).map(|x| buf[(x, y)].symbol()).collect();
            if !text.trim().is_empty() {
                out.push(format!("{from:>3}-{:<3} {:<12} {}", x - 1, name(from), text.trim()));
            }
            from = x;
        }
    }
    out.join("\n")
}

#[test]
fn rows_that_matter_have_their_roles() {
    let mut flight = Flight::armed();
    let theme = Theme::built_in("harbour").unwrap();
    let app = App::new(120, 40);
    let (buf, _) = rendered(&app, &flight.view("ivo"), &theme, Glyphs::Unicode, flight.now(), (120, 40));
    let mut out = String::new();
    for y in [0, 1, 3, 5, 6, 8, 19, 38, 39] {
        out.push_str(&format!("row {y}\n{}\n", runs(&buf, y, &theme)));
    }
    flight.ask("sam", Request::Andon { why: String::new() });
    let (buf, _) = rendered(&app, &flight.view("ivo"), &theme, Glyphs::Unicode, flight.now(), (120, 40));
    out.push_str(&format!("andon, row 1\n{}\n", runs(&buf, 1, &theme)));
    insta::assert_snapshot!("styles-120x40", out);
}

#[test]
fn states_differ_without_any_colour() {
    let signs: Vec<_> = [
        Phase::Planned,
        Phase::Armed,
        Phase::Cleared,
        Phase::Starting,
        Phase::Intended,
        Phase::Running,
        Phase::Waiting,
        Phase::Verifying,
        Phase::Done,
        Phase::Failed,
        Phase::Degraded,
        Phase::Undecided,
        Phase::Unknown,
        Phase::SettledDone,
        Phase::SettledFailed,
    ]
    .into_iter()
    .map(|phase| {
        let (sign, word, _) = super::super::facts::phase(phase);
        (sign, word)
    })
    .collect();
    for (index, a) in signs.iter().enumerate() {
        assert!(signs[index + 1..].iter().all(|b| a.1 != b.1), "{a:?}");
    }
    let flight = Flight::armed();
    let mut stopped = Flight::armed();
    stopped.ask("ivo", Request::Andon { why: String::new() });
    let mono = |flight: &Flight| {
        let app = App::new(80, 24);
        text_of(&rendered(&app, &flight.view("dana"), &Theme::mono(), Glyphs::Ascii, flight.now(), (80, 24)).0)
    };
    assert_ne!(mono(&flight), mono(&stopped));
    let ascii = mono(&flight);
    assert!(ascii.is_ascii(), "{ascii}");
}

#[test]
fn the_andon_is_on_screen_from_20x3() {
    let flight = Flight::armed();
    let view = flight.view("ivo");
    for (cols, rows) in [(20, 3), (20, 4), (35, 3), (59, 15), (60, 16), (79, 23), (200, 60)] {
        for overlay in [Overlay::None, Overlay::Help(0), Overlay::Quit, Overlay::Panel(Box::new(open_panel(&flight)))] {
            let app = App { overlay, ..App::new(cols, rows) };
            let text = text_of(&rendered(&app, &view, &dusk(), Glyphs::Unicode, flight.now(), (cols, rows)).0);
            assert!(text.contains("! ANDON"), "{cols}x{rows}\n{text}");
        }
    }
}

fn open_panel(flight: &Flight) -> Panel {
    let (step, state, armed) = flight.session().open_step().unwrap();
    Panel::new(step.id.clone(), state.attempt, armed.digest())
}

#[test]
fn hostile_text_reaches_no_cell() {
    let mut flight = Flight::armed();
    flight.ask("ivo", Request::Say { text: "a\u{1b}[2Jb\u{202e}c\u{200b}d\u{9b}31m".into() });
    flight.ask("ivo", Request::Andon { why: "\u{1b}]0;x\u{7}\u{202e}".into() });
    let (buf, _) =
        rendered(&App::new(120, 40), &flight.view("dana"), &dusk(), Glyphs::Unicode, flight.now(), (120, 40));
    for cell in &buf.content {
        assert!(!cell.symbol().chars().any(crate::name::is_hidden), "{:?}", cell.symbol());
    }
}

#[test]
fn the_crew_pane_says_whose_key_is_vouched_for() {
    let plan = PLAN.replace("[crew]", "[crew]\nallowed_signers = \"signers\"");
    let keys: BTreeMap<&str, _> = ["dana", "sam", "ivo", "mei"]
        .map(|name| (name, crate::identity::Key::fresh().unwrap().public().clone()))
        .into();
    let line = |(name, key): (&&str, &crate::trust::key::PublicKey)| format!("{} {key}\n", who(name));
    let signers: String = keys.iter().map(line).collect();
    let mut flight = Flight::open_with(&plan, Some(&signers), |name| keys[name].fingerprint());
    flight.saw(a::joined(&a::who("observer:kim"), Role::Observer, "SHA256:kim", 9));
    let mut app = App::new(120, 40);
    let text = screen(&flight, "dana", (120, 40), Glyphs::Unicode, &app);
    let row = |text: &str, start: &str| text.lines().find(|line| line.contains(start)).unwrap_or_default().to_owned();
    assert!(
        row(&text, "dana (you)   LEAD").contains("vouched") && row(&text, "observer:kim OBSERVER").contains("invited"),
        "{text}"
    );
    // Zoomed there is room for the sentence.
    for press in ['5', 'z'] {
        update(&mut app, key(press), &flight.view("dana"), flight.now());
    }
    let text = screen(&flight, "dana", (120, 40), Glyphs::Unicode, &app);
    assert!(row(&text, "ivo          SHADOW").contains("key vouched for by allowed_signers"), "{text}");
    assert!(row(&text, "observer:kim OBSERVER").contains("invited, key not vouched for"), "{text}");
}

/// `watch`: every watch with its sentence, and no value of one that is too old.
#[test]
fn the_watches_alone_fit_any_screen() {
    let mut flight = Flight::start();
    flight.read("pg-01", Status::Fail, None, "db:5432 refuses connections");
    let board = |size: (u16, u16), skip: usize| {
        let mut buf = Buffer::empty(Rect::new(0, 0, size.0, size.1));
        crate::tui::board::draw(&mut buf, &flight.view("dana"), &dusk(), Glyphs::Unicode, flight.now(), skip);
        text_of(&buf)
    };
    for size in [(120, 12), (80, 12)] {
        let text = board(size, 0);
        assert!(text.contains("db:5432 refuses connections") && text.contains("STALE"), "{text}");
        assert!(text.lines().all(|line| !line.contains("audit.log") || !line.contains("12 ")), "{text}");
        insta::assert_snapshot!(format!("watches-{}x{}", size.0, size.1), text);
    }
    assert!(!board((120, 12), 1).contains("orders.in"), "the first one is scrolled away");
    for cols in 0..130 {
        for rows in 0..14 {
            board((cols, rows), usize::from(rows) % 5);
        }
    }
}

/// No watch has anything to say in it.
const SMALL: &str = r#"
crosscheck = 1
name = "Drop the old index"
environment = "prod-eu1"
[crew]
lead = ["dana@example.org"]
shadow = ["sam@example.org", "ivo@example.org"]
observer = "link"
[[step]]
id = "freeze"
run = ["./freeze"]
[[step]]
id = "drop"
class = "critical"
run = ["./drop"]
"#;

/// A screen without a pane for the crew and for what happened says all the same what nobody may miss.
#[test]
fn a_small_screen_says_who_is_silent_or_at_the_door_that_the_plan_changed_and_that_the_hub_stops() {
    let small = |flight: &Flight, me: &str| screen(flight, me, (80, 24), Glyphs::Unicode, &App::new(80, 24));
    let row = |flight: &Flight, me: &str| small(flight, me).lines().nth(1).unwrap().to_owned();
    let link = |flight: &Flight, name: &str| *flight.session().people[&who(name)].connections.first().unwrap();
    let mut flight = Flight::open(SMALL);
    let what = "from line 20 on: step.drop.touches".to_owned();
    flight.saw(Fact::PlanChanged { digest: Hash::of(b"other"), what });
    assert!(
        row(&flight, "ivo").contains("PLAN FILE  changed on disk; flown as it was opened"),
        "{}",
        row(&flight, "ivo")
    );
    let (principal, connection) = (who("ivo"), link(&flight, "ivo"));
    flight.saw(Fact::Left { principal: principal.clone(), connection, why: "gone".into() });
    flight.saw(Fact::KeyRefused { principal: principal.clone(), key: "SHA256:another".into() });
    let told = row(&flight, "sam");
    assert!(told.contains("ANOTHER KEY  somebody came as ivo with another key; is it really"), "{told}");
    assert_eq!(flight.ask("sam", Request::Readmit { who: principal, key: "SHA256:another".into() }), None);
    let wide = screen(&flight, "dana", (120, 40), Glyphs::Unicode, &App::new(120, 40));
    assert!(wide.contains("sam says it is them; one more lets them in (K)"), "{wide}");
    // Whom one waits for in vain is marked where it says what comes next.
    let (principal, connection, since) = (who("dana"), link(&flight, "dana"), Some(flight.at));
    flight.pass(9);
    flight.saw(Fact::Silent { principal: principal.clone(), connection, since });
    let told = row(&flight, "sam");
    assert!(told.contains("SILENT  dana for 9") && told.contains("the link is open, and nothing comes"), "{told}");
    assert!(small(&flight, "sam").contains("dana (silent): arm 01"), "{}", small(&flight, "sam"));
    flight.saw(Fact::Silent { principal: principal.clone(), connection, since: None });
    flight.saw(Fact::Left { principal, connection, why: "gone".into() });
    assert!(small(&flight, "sam").contains("dana (gone): arm 01"), "{}", small(&flight, "sam"));
    for _ in 0..13 {
        flight.pass(10);
    }
    flight.saw(Fact::Tick);
    let told = row(&flight, "sam");
    assert!(told.contains("LEAD GONE") && told.contains("sam can take the lead over, with one more"), "{told}");

    let mut flight = Flight::open(SMALL);
    flight.arm("freeze");
    flight.go();
    flight.saw(Fact::StopAsked);
    let told = row(&flight, "sam");
    assert!(told.contains("HUB STOPS it ends once 01 freeze has ended, which is let run; nothing else"), "{told}");
}

/// Who is here over two links did not leave when one of them ended, and is not silent when one of them is.
#[test]
fn one_of_two_links_is_told_as_one_of_two() {
    let mut flight = Flight::start();
    let (first, since) = (*flight.session().people[&who("sam")].connections.first().unwrap(), Some(flight.at));
    let principal = who("sam");
    let key = flight.session().people[&principal].key.clone();
    flight.saw(a::joined(&principal, Role::Shadow, &key, 77));
    let told = |flight: &Flight| flight.session().recent.back().unwrap().text.clone();
    flight.saw(Fact::Silent { principal: principal.clone(), connection: first, since });
    assert!(told(&flight).starts_with("one link of sam@example.org is silent"), "{}", told(&flight));
    flight.saw(Fact::Left { principal: principal.clone(), connection: first, why: "silent for 18 s".into() });
    let one = "one link of sam@example.org ended (silent for 18 s); they are here over another one";
    assert_eq!(told(&flight), one);
    flight.saw(Fact::Left { principal, connection: 77, why: "gone".into() });
    assert_eq!(told(&flight), "sam@example.org left (gone)");
}

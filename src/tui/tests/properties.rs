//! What holds whatever is pressed, whenever, at any size.

use super::*;
use crate::session::Session;
use crate::session::steps::Phase;
use crate::tui::app::{GRACE, Overlay, SECTIONS, Showing};
use crate::tui::facts::check_locks;
use proptest::prelude::*;

/// Something that happens to a screen in a generated run.
#[derive(Debug, Clone)]
enum Step {
    Press(KeyCode, KeyModifiers),
    Paste(String),
    Wait(u64),
    Frame,
    Resize(u16, u16),
    Hub(u8),
    Link(u8),
}

fn size() -> impl Strategy<Value = (u16, u16)> {
    prop_oneof![3 => Just((120, 40)), 2 => Just((80, 24)), 1 => Just((60, 16)), 3 => (1_u16..=200, 1_u16..=60)]
}

fn steps() -> impl Strategy<Value = Step> {
    let letters = "yyyyynnxxxxcaruditkAHQzm!?q:123457 ghjGdflksclose0378i".chars().collect::<Vec<_>>();
    prop_oneof![
        12 => prop::sample::select(letters).prop_map(|c| Step::Press(KeyCode::Char(c), KeyModifiers::NONE)),
        2 => prop::sample::select(vec![KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up,
            KeyCode::Down, KeyCode::PageDown, KeyCode::PageUp, KeyCode::End, KeyCode::Home, KeyCode::Backspace,
            KeyCode::Delete, KeyCode::Left, KeyCode::Right]).prop_map(|code| Step::Press(code, KeyModifiers::NONE)),
        1 => prop::sample::select(vec!['x', 'c', 'u', 'w', 'a', 'p']).prop_map(|c| Step::Press(KeyCode::Char(c), KeyModifiers::CONTROL)),
        1 => "\\PC{0,12}".prop_map(Step::Paste),
        6 => prop_oneof![Just(50_u64), Just(250), Just(310), Just(1000), Just(9000)].prop_map(Step::Wait),
        8 => Just(Step::Frame),
        1 => size().prop_map(|(cols, rows)| Step::Resize(cols, rows)),
        3 => (0_u8..12).prop_map(Step::Hub),
        1 => (0_u8..4).prop_map(Step::Link),
    ]
}

/// Moves the session itself, as other people and the world do.
fn hub(flight: &mut Flight, what: u8) {
    match what {
        0 => flight.read("api-gw", Status::Fail, Some((900.0, "ms")), "500 after 900 ms"),
        1 | 2 => flight.fresh(),
        3 => {
            let open = flight.session().open_step().map(|(step, state, _)| (step.id.clone(), state.attempt));
            if let Some((step, attempt)) = open {
                flight.ask("dana", Request::Disarm { step, attempt });
            }
        }
        4 | 5 => {
            flight.fresh();
            let free = flight.session().open_step().is_none()
                && flight.session().live_step().is_none()
                && flight.session().owing_step().is_none()
                && !flight.session().line.is_stopped();
            if free && let Some(id) = flight.session().current_step().map(|(step, _)| step.id.to_string()) {
                flight.arm(&id);
            }
        }
        6 => {
            flight.ask("sam", Request::Andon { why: "look".into() });
        }
        7 => {
            for name in ["dana", "sam", "ivo"] {
                flight.ask(name, Request::Release);
            }
        }
        8 if flight.session().open_step().is_some_and(|(_, state, _)| state.phase.word() == "cleared") => {
            flight.fresh();
            flight.go();
        }
        9 if flight.session().live_step().is_some_and(|(_, state)| state.phase.word() == "running") => flight.end(1),
        10 => {
            flight.ask("ivo", Request::Say { text: "well?".into() });
        }
        _ => flight.pass(3),
    }
}

/// For how long each line of each section was on screen, counted apart from what the screen itself counts. Another width
/// makes other lines: what a section had so many lines of is a text of its own.
#[derive(Default)]
struct Looked {
    lines: BTreeMap<(Hash, usize, usize), Vec<Duration>>,
    last: Option<(Duration, Hash, Showing)>,
}
impl Looked {
    fn pass(&mut self, now: Duration) {
        let Some((since, digest, showing)) = self.last else { return };
        for (section, shown) in showing.sections.into_iter().enumerate() {
            let lines = self.lines.entry((digest, section, shown.of)).or_insert_with(|| vec![Duration::ZERO; shown.of]);
            lines[shown.from..shown.to].iter_mut().for_each(|line| *line += now - since);
        }
        self.last = Some((now, digest, showing));
    }
    /// Whether every line of every section was, and all of them together for as long as it takes to read one after the other.
    fn is_whole(&self, digest: Hash) -> bool {
        let enough = |lines: &Vec<Duration>| {
            let each = Duration::from_millis(100).min(Duration::from_secs(20) / lines.len().max(1) as u32);
            lines.iter().all(|line| *line >= each)
        };
        (0..SECTIONS).all(|section| {
            let texts = self.lines.iter().filter(|((of, number, _), _)| (*of, *number) == (digest, section));
            texts.map(|(_, lines)| lines).any(enough)
        })
    }
}

/// One person's screen over a session that others move, every request really decided by the sequencer.
fn fly(me: &str, mut size: (u16, u16), run: Vec<Step>) -> Result<(), TestCaseError> {
    let mut flight = Flight::armed();
    let mut app = App::new(size.0, size.1);
    let mut now = flight.now();
    let mut link = Link::Live { rtt: Duration::from_millis(38) };
    let themes = [dusk(), Theme::mono()];
    let mut looked = Looked::default();
    for happened in run {
        let mut view = flight.view(me);
        view.link = link.clone();
        now.wall = flight.at;
        let event = match happened {
            Step::Press(code, modifiers) => Happened::Key(KeyEvent::new(code, modifiers)),
            Step::Paste(text) => Happened::Paste(text),
            Step::Wait(ms) => {
                now.mono += Duration::from_millis(ms);
                flight.at = flight.at.after(Duration::from_millis(ms));
                Happened::Tick
            }
            Step::Frame => {
                let glyphs = if size.0.is_multiple_of(2) { Glyphs::Unicode } else { Glyphs::Ascii };
                let theme = &themes[usize::from(size.1 % 2)];
                Happened::Drawn(rendered(&app, &view, theme, glyphs, now, size).1)
            }
            Step::Resize(cols, rows) => {
                size = (cols, rows);
                Happened::Resize(cols, rows)
            }
            Step::Hub(what) => {
                hub(&mut flight, what);
                continue;
            }
            Step::Link(what) => {
                link = match what {
                    0 => Link::Lost { since: flight.at, why: "gone".into(), tries: 1 },
                    1 => Link::Replay { at: 3, of: 9, verdict: "chain verified".into() },
                    _ => Link::Live { rtt: Duration::from_millis(38) },
                };
                continue;
            }
        };
        now.wall = flight.at;
        let enter = matches!(&event, Happened::Key(key) if key.code == KeyCode::Enter);
        let before = app.clone();
        let typing = before.field().is_some();
        looked.pass(now.mono);
        if let Happened::Drawn(drawn) = &event {
            looked.last = drawn.panel.map(|(_, digest, showing)| (now.mono, digest, showing));
        }
        let actions = update(&mut app, event.clone(), &view, now);
        for action in &actions {
            let Action::Ask(request) = action else { continue };
            prop_assert!(matches!(view.link, Link::Live { .. }), "{request:?} over {:?}", view.link);
            if enter && !matches!(request, Request::Attend { .. } | Request::OpenCheck { .. } | Request::Resize { .. })
            {
                prop_assert!(typing, "Enter alone led to {request:?}");
            }
            if let Request::Check { digest, .. } = request {
                let Overlay::Panel(panel) = &before.overlay else { panic!("checked without a panel") };
                prop_assert_eq!(panel.digest, *digest, "the digest on screen");
                let Overlay::Panel(after) = &app.overlay else { panic!("checked without a panel") };
                prop_assert!(after.unseen().is_empty(), "unseen: {:?}", after.unseen());
                prop_assert!(looked.is_whole(*digest), "checked, and a line was not on screen for long enough");
                let drawn = panel.drawn.expect("checked before it was drawn");
                prop_assert!(now.mono - drawn >= GRACE, "within the grace time");
                prop_assert!(matches!(&event, Happened::Key(key) if key.code == KeyCode::Char('y')));
            }
        }
        for request in asked(&actions) {
            // Frozen by the hub, which a generated run stands in for.
            if !matches!(request, Request::Arm { .. }) {
                let before = flight.session().clone();
                flight.ask(me, request.clone());
                // What the screen shows as locked may be asked for all the same: then the hub says no, and nothing moves.
                if matches!(request, Request::TryRun { .. }) {
                    let started =
                        |session: &Session| session.steps.values().any(|state| state.phase == Phase::Starting);
                    prop_assert!(started(&before) || !started(flight.session()), "a try started something");
                }
                if let (Request::Check { .. }, Some((open, _, armed))) = (request, before.open_step()) {
                    let at = view.now(now.wall);
                    let holds = open.gates.iter().all(|gate| before.gate_holds(gate, at));
                    let own = armed.by == view.me || before.lead == view.me;
                    if !holds || own || before.line.is_stopped() {
                        let checks = |session: &Session| {
                            let open = session.open_step();
                            open.is_some_and(|(_, _, armed)| armed.checks.contains_key(&view.me))
                        };
                        prop_assert!(checks(&before) || !checks(flight.session()), "a locked check counted");
                    }
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_key_at_any_size_panics_or_answers_what_was_not_seen(
        me in prop::sample::select(vec!["ivo", "ivo", "ivo", "sam", "dana", "guest"]),
        size in size(),
        run in prop::collection::vec(steps(), 1..90),
    ) {
        fly(me, size, run)?;
    }

    #[test]
    fn every_size_draws_every_overlay(
        cols in 1_u16..=200, rows in 1_u16..=60, overlay in 0_usize..5, zoom in any::<bool>(), pane in 0_usize..7,
        scroll in 0_u16..60,
    ) {
        let flight = Flight::armed();
        let mut app = App::new(cols, rows);
        app.zoom = zoom;
        app.focus = crate::tui::app::Pane::ALL[pane];
        app.scroll.insert(app.focus, scroll);
        let view = flight.view("ivo");
        let opening = [key('c'), key('?'), key('q'), key('x'), key('j')][overlay].clone();
        update(&mut app, opening, &view, flight.now());
        for glyphs in [Glyphs::Unicode, Glyphs::Ascii] {
            let (buf, _) = rendered(&app, &view, &dusk(), glyphs, flight.now(), (cols, rows));
            if cols >= 20 && rows >= 3 {
                let text = text_of(&buf);
                prop_assert!(text.contains("ANDON"), "{cols}x{rows}\n{text}");
            }
        }
    }
}

/// The way it is meant to go: open, read, answer.
#[test]
fn a_panel_that_was_read_can_be_answered_and_only_then() {
    let flight = Flight::armed();
    let view = flight.view("ivo");
    let mut now = flight.now();
    let size = (120, 60);
    let mut app = App::new(size.0, size.1);
    // Type-ahead: everything in the same batch as the key that opens is dropped.
    let mut actions = update(&mut app, key('x'), &view, now);
    for c in ['y', 'n', 'y'] {
        actions.extend(update(&mut app, key(c), &view, now));
    }
    assert!(matches!(asked(&actions)[..], [Request::OpenCheck { .. }]), "{actions:?}");
    assert!(app.field().is_none());
    frame(&mut app, &view, now, size);
    now.mono += GRACE - Duration::from_millis(1);
    assert!(asked(&update(&mut app, key('y'), &view, now)).is_empty());
    assert!(update(&mut app, key('n'), &view, now).is_empty() && app.field().is_none(), "an objection waits as well");
    // Everything is on one page, and still it is read from the top: the last section is not seen before the others were.
    for _ in 0..20 {
        now.mono += Duration::from_millis(100);
        frame(&mut app, &view, now, size);
    }
    assert_eq!(app.panel().unwrap().unseen().last(), Some(&SECTIONS));
    assert!(asked(&update(&mut app, key('y'), &view, now)).is_empty());
    for _ in 0..60 {
        now.mono += Duration::from_millis(100);
        frame(&mut app, &view, now, size);
    }
    assert!(app.panel().unwrap().unseen().is_empty(), "{:?}", app.panel().unwrap().unseen());
    assert_eq!(asked(&update(&mut app, code(KeyCode::Enter), &view, now)), Vec::<&Request>::new());
    let actions = update(&mut app, key('y'), &view, now);
    assert!(matches!(asked(&actions)[..], [Request::Check { .. }]), "{actions:?}");
    assert!(asked(&update(&mut app, key('y'), &view, now)).is_empty(), "one yes is enough");
}

/// A small screen: Space leads through everything, and nothing counts before.
#[test]
fn on_a_small_screen_space_leads_through_every_section() {
    for size in [(80, 24), (60, 16), (40, 14)] {
        let flight = Flight::armed();
        let view = flight.view("ivo");
        let mut now = flight.now();
        let mut app = App::new(size.0, size.1);
        update(&mut app, key('x'), &view, now);
        let mut presses = 0;
        while presses < 60 && app.panel().is_some_and(|panel| !panel.unseen().is_empty()) {
            for _ in 0..12 {
                frame(&mut app, &view, now, size);
                now.mono += Duration::from_millis(250);
            }
            let locked = check_locks(app.panel().unwrap(), &view, now);
            let unseen = app.panel().unwrap().unseen();
            assert_eq!(locked.iter().any(|lock| lock.contains("not seen")), !unseen.is_empty());
            update(&mut app, key(' '), &view, now);
            presses += 1;
        }
        assert!(app.panel().unwrap().unseen().is_empty(), "{size:?}: {:?}", app.panel().unwrap().unseen());
        assert!(presses >= 2, "{size:?}: after {presses}");
    }
}

/// Keys go through all of it whatever the size, and a page never ends with a heading alone.
#[test]
fn every_line_of_every_section_can_be_brought_on_screen() {
    for size in [(120, 40), (108, 28), (80, 24), (60, 16), (40, 12), (30, 9)] {
        let flight = Flight::armed();
        let (view, now) = (flight.view("ivo"), flight.now());
        for next in [code(KeyCode::PageDown), key('j')] {
            let mut app = App::new(size.0, size.1);
            update(&mut app, key('x'), &view, now);
            let mut seen: [std::collections::BTreeSet<usize>; SECTIONS] = Default::default();
            let mut tops = vec![];
            for _ in 0..200 {
                frame(&mut app, &view, now, size);
                let (_, showing) = app.panel().unwrap().last.unwrap();
                for (section, shown) in showing.sections.into_iter().enumerate() {
                    seen[section].extend(shown.from..shown.to);
                }
                let headings: Vec<_> = (0..SECTIONS).map(|section| showing.heading(section)).collect();
                let ends = showing.bottom - showing.top;
                assert!(ends < 2 || !headings.contains(&(showing.bottom - 1)), "{size:?}: {showing:?}");
                tops.push(showing.top);
                update(&mut app, next.clone(), &view, now);
                if showing.top == showing.furthest {
                    break;
                }
            }
            let (_, showing) = app.panel().unwrap().last.unwrap();
            let of = showing.sections.map(|shown| shown.of);
            assert_eq!(seen.map(|lines| lines.len()), of, "{size:?} by {next:?}");
            for section in 0..SECTIONS {
                update(&mut app, key(char::from(b'1' + section as u8)), &view, now);
                frame(&mut app, &view, now, size);
                let (_, showing) = app.panel().unwrap().last.unwrap();
                let heading = showing.heading(section);
                assert!((showing.top..showing.bottom).contains(&heading), "{size:?}: {} of {showing:?}", section + 1);
            }
            tops.dedup();
            if size == (108, 28) && next != key('j') {
                assert!(tops.len() <= 2, "two pages, as a usual step has: {tops:?}");
            }
        }
    }
}

#[test]
fn arming_anew_reopens_the_panel_and_forgets_what_was_seen() {
    let mut flight = Flight::armed();
    let mut now = flight.now();
    let size = (120, 60);
    let mut app = App::new(size.0, size.1);
    update(&mut app, key('x'), &flight.view("ivo"), now);
    for _ in 0..80 {
        frame(&mut app, &flight.view("ivo"), now, size);
        now.mono += Duration::from_millis(100);
    }
    assert!(app.panel().unwrap().unseen().is_empty());
    hub(&mut flight, 3);
    hub(&mut flight, 4);
    let view = flight.view("ivo");
    // The key comes in before the new view was ever drawn.
    let actions = update(&mut app, key('y'), &view, now);
    assert!(matches!(asked(&actions)[..], [Request::OpenCheck { attempt: 2, .. }]), "{actions:?}");
    assert_eq!(app.panel().unwrap().unseen().len(), SECTIONS);
    hub(&mut flight, 3);
    update(&mut app, Happened::View, &flight.view("ivo"), now);
    assert!(app.panel().is_none(), "nothing is armed");
}

#[test]
fn a_run_is_confirmed_by_typing_its_number() {
    let mut flight = Flight::start();
    flight.arm("freeze");
    let view = flight.view("dana");
    let now = flight.now();
    let mut app = App::new(120, 40);
    update(&mut app, key('r'), &view, now);
    assert!(asked(&update(&mut app, code(KeyCode::Enter), &view, now)).is_empty(), "Enter alone runs nothing");
    update(&mut app, Happened::Paste("01".into()), &view, now);
    assert!(asked(&update(&mut app, code(KeyCode::Enter), &view, now)).is_empty(), "pasted text confirms nothing");
    for c in ['0', '2'] {
        update(&mut app, key(c), &view, now);
    }
    assert!(asked(&update(&mut app, code(KeyCode::Enter), &view, now)).is_empty(), "another number runs nothing");
    update(&mut app, code(KeyCode::Backspace), &view, now);
    update(&mut app, key('1'), &view, now);
    let actions = update(&mut app, code(KeyCode::Enter), &view, now);
    assert!(matches!(asked(&actions)[..], [Request::Run { attempt: 1, .. }]), "{actions:?}");
}

/// What a screen shows as locked is asked for all the same where one key is the whole act: the hub's no is on record.
#[test]
fn a_locked_key_is_put_on_record_and_starts_nothing() {
    let flight = Flight::armed();
    let mut app = App::new(120, 40);
    let mut press = |me: &str, c: char| {
        let actions = update(&mut app, key(c), &flight.view(me), flight.now());
        asked(&actions).into_iter().cloned().collect::<Vec<_>>()
    };
    assert!(matches!(press("dana", 'r')[..], [Request::TryRun { .. }]), "no quorum yet");
    assert!(matches!(press("ivo", 'r')[..], [Request::TryRun { .. }]), "a shadow tries to run");
    assert!(matches!(press("ivo", 'a')[..], [Request::Arm { .. }]), "a shadow tries to arm");
    assert!(matches!(press("dana", 'A')[..], [Request::Release]), "nothing to release");
    assert!(app.field().is_none(), "nothing waits to be typed");
}

#[test]
fn the_andon_needs_no_second_key_from_anywhere() {
    let flight = Flight::armed();
    let view = flight.view("ivo");
    for opening in ["", "c", "x", "?", "q", "m"] {
        let mut app = App::new(80, 24);
        for c in opening.chars() {
            update(&mut app, key(c), &view, flight.now());
        }
        let event = Happened::Key(KeyEvent::new(KeyCode::Char('x'), KeyModifiers::CONTROL));
        let actions = update(&mut app, event, &view, flight.now());
        assert!(asked(&actions).iter().any(|r| matches!(r, Request::Andon { .. })), "{opening}: {actions:?}");
    }
    // While text is typed, `!` is text.
    let mut app = App::new(80, 24);
    update(&mut app, key('c'), &view, flight.now());
    assert!(asked(&update(&mut app, key('!'), &view, flight.now())).is_empty());
    assert_eq!(app.field().unwrap().input.value(), "!");
}

#[test]
fn pasted_text_is_no_keys() {
    let flight = Flight::armed();
    let mut app = App::new(80, 24);
    let actions = update(&mut app, Happened::Paste("!xyQ".into()), &flight.view("ivo"), flight.now());
    assert!(asked(&actions).is_empty() && app.panel().is_none());
    assert!(app.toasts.back().unwrap().text.contains("dropped"));
}

#[test]
fn a_screen_nobody_touches_says_so_and_the_bell_rings_once() {
    let flight = Flight::armed();
    let view = flight.view("ivo");
    let mut app = App::new(80, 24);
    let mut now = flight.now();
    app.last_key = now.mono;
    let first = update(&mut app, Happened::View, &view, now);
    assert_eq!(first.iter().filter(|action| **action == Action::Bell).count(), 1);
    now.mono += Duration::from_secs(181);
    let later = update(&mut app, Happened::Tick, &view, now);
    let away = Action::Ask(Request::Attend { attention: crate::event::Attention::Away });
    assert_eq!(later, [away], "and no second bell");
}

#[test]
fn what_was_seen_stays_seen_while_the_panel_waits_but_answers_wait_again() {
    let flight = Flight::armed();
    let view = flight.view("ivo");
    let mut now = flight.now();
    let mut app = App::new(120, 60);
    update(&mut app, key('x'), &view, now);
    for _ in 0..80 {
        frame(&mut app, &view, now, (120, 60));
        now.mono += Duration::from_millis(100);
    }
    update(&mut app, code(KeyCode::Esc), &view, now);
    assert!(app.panel().is_none());
    update(&mut app, key('x'), &view, now);
    frame(&mut app, &view, now, (120, 60));
    assert!(app.panel().unwrap().unseen().is_empty());
    assert!(asked(&update(&mut app, key('y'), &view, now)).is_empty(), "within the grace time");
    now.mono += GRACE;
    assert!(!asked(&update(&mut app, key('y'), &view, now)).is_empty());
}

/// Plans without steps or watches, and titles in another script, at many sizes.
#[test]
fn bare_and_foreign_plans_draw_at_any_size() {
    let head = "crosscheck = 1\nname = \"切替え v42\"\nenvironment = \"prod\"\n[crew]\nlead = [\"dana@example.org\"]\n\
                shadow = [\"sam@example.org\", \"ivo@example.org\"]\n";
    let steps = "[[step]]\nid = \"削除\"\ntitle = \"古い索引を削除する e\u{301}\"\nclass = \"irreversible\"\n\
                 point_of_no_return = true\nrun = [\"./削除\", \"日本語の引数\"]\ntouches = \"索引が一つ\"\n";
    for (plan, armed) in [(head.to_owned(), false), (format!("{head}{steps}"), false), (format!("{head}{steps}"), true)]
    {
        let mut flight = Flight::open(&plan);
        if armed {
            flight.arm("削除");
        }
        for me in ["dana", "sam"] {
            let view = flight.view(me);
            for cols in [1, 2, 8, 19, 33, 60, 80, 100, 121] {
                for (rows, pane) in [1, 3, 6, 15, 17, 24, 40].into_iter().zip(crate::tui::app::Pane::ALL) {
                    let mut app = App::new(cols, rows);
                    (app.focus, app.zoom) = (pane, cols % 2 == 1);
                    rendered(&app, &view, &dusk(), Glyphs::Ascii, flight.now(), (cols, rows));
                    app.focus = crate::tui::app::Pane::Plan;
                    update(&mut app, key('x'), &view, flight.now());
                    update(&mut app, key('j'), &view, flight.now());
                    rendered(&app, &view, &dusk(), Glyphs::Unicode, flight.now(), (cols, rows));
                }
            }
        }
    }
}

#[test]
fn a_replay_moves_and_asks_for_nothing() {
    let flight = Flight::armed();
    let view = View {
        link: Link::Replay { at: 3, of: 9, verdict: "COMPLETE".into() },
        me: Principal::new("replay").unwrap(),
        ..flight.view("dana")
    };
    let mut app = App::new(120, 40);
    let moves = " .,[]-+5".chars().map(key).chain([code(KeyCode::Left), code(KeyCode::Right)]);
    for happened in moves {
        let actions = update(&mut app, happened.clone(), &view, flight.now());
        assert!(matches!(actions[..], [Action::Replay(_)]), "{happened:?}: {actions:?}");
    }
    for verb in "arydukiAHQcm!".chars() {
        let actions = update(&mut app, key(verb), &view, flight.now());
        assert!(asked(&actions).is_empty(), "{verb}: {actions:?}");
    }
}

//! The page on what has to be in order before the first critical step.

use super::*;
use crate::tui::app::Overlay;

fn polled() -> Flight {
    let crew = "[[crew.seat]]\nname = \"status page\"\nwho = [\"sue@example.org\"]\n[[checklist]]\nid = \"restored\"\n\
                ask = \"The backup was restored into today's schema by whom, when?\"\nanswer = \"text\"\n\
                seat = \"status page\"\n[[checklist]]\nid = \"told\"\nask = \"Are the stakeholders told?\"\nanswer = \"yes\"\n\
                [params.index]";
    let text = PLAN.replacen("[params.index]", crew, 1).replacen("[crew]", "expected = \"2h\"\n[crew]", 1);
    let mut flight = Flight::open(&text);
    flight.fresh();
    flight.saw(a::joined(&who("sue"), Role::Seat, "SHA256:sue", 77));
    flight
}

fn shown_to(flight: &Flight, me: &str, app: &App, size: (u16, u16)) -> String {
    text_of(&rendered(app, &flight.view(me), &dusk(), Glyphs::Unicode, flight.now(), size).0)
}

#[test]
fn the_page_shows_who_owes_what_and_what_is_locked() {
    let mut flight = polled();
    let until = flight.at.after(Duration::from_secs(1800));
    let seat = Request::Seat { seat: "status page".into() };
    for (who, request) in [
        ("sue", seat),
        ("ivo", Request::Available { fit: true, until: Some(until), why: String::new() }),
        ("dana", Request::Poll),
        ("sam", Request::Go { poll: 1, board: 0 }),
        ("mei", Request::NoGo { poll: 1, why: "the bank batch runs until 15:20".into() }),
    ] {
        assert_eq!(flight.ask(who, request), None, "{who}");
    }
    let mut app = App::new(80, 24);
    update(&mut app, key('b'), &flight.view("dana"), flight.now());
    for size in [(120, 40), (80, 24), (60, 16)] {
        let text = shown_to(&flight, "dana", &app, size);
        for words in ["BEFORE", "NOT GO", "NO-GO by mei", "ANDON"] {
            assert!(text.contains(words), "{words} at {size:?}:\n{text}");
        }
    }
    let text = shown_to(&flight, "dana", &app, (80, 24));
    for words in ["status page", "restored", "not answered", "told", "andon not tried", "TIME", "GO"] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    // The plan and the alarm say it too, page or not.
    let text = shown_to(&flight, "dana", &App::new(120, 40), (120, 40));
    assert!(text.contains("NO-GO  by mei"), "{text}");
    for size in [(1, 1), (3, 2), (20, 3), (200, 60)] {
        shown_to(&flight, "dana", &app, size);
    }
}

#[test]
fn an_answer_counts_only_for_what_was_on_screen_for_a_moment() {
    let mut flight = polled();
    let mut app = App::new(80, 24);
    let mut now = flight.now();
    update(&mut app, key('b'), &flight.view("ivo"), now);
    let asked = |app: &mut App, c: char, flight: &Flight, now: Now| {
        let actions = update(app, key(c), &flight.view("ivo"), now);
        actions.into_iter().find_map(|action| match action {
            Action::Ask(request @ (Request::Go { .. } | Request::NoGo { .. })) => Some(request),
            _ => None,
        })
    };
    now.mono += Duration::from_secs(1);
    assert_eq!(asked(&mut app, 'g', &flight, now), None, "no poll was called");
    assert_eq!(flight.ask("dana", Request::Poll), None);
    // The poll came under the finger: that key was meant for something else.
    assert_eq!(asked(&mut app, 'g', &flight, now), None);
    now.mono += Duration::from_secs(1);
    assert_eq!(asked(&mut app, 'g', &flight, now), Some(Request::Go { poll: 1, board: 0 }));
    // A no-go asks for its reason first.
    assert_eq!(asked(&mut app, 'n', &flight, now), None);
    for c in "bank".chars() {
        update(&mut app, key(c), &flight.view("ivo"), now);
    }
    let enter = Happened::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    let actions = update(&mut app, enter, &flight.view("ivo"), now);
    assert!(actions.contains(&Action::Ask(Request::NoGo { poll: 1, why: "bank".into() })), "{actions:?}");
    assert!(matches!(app.overlay, Overlay::Preflight(_)), "the page stays");
}

//! The palette finds acts by their words, tells why one cannot be done, and bypasses nothing.

use super::*;
use crate::brief::acts::{Act, Place};
use crate::brief::keys::Keys;
use crate::tui::app::Overlay;
use crate::tui::palette::found;
use crossterm::event::KeyModifiers;

fn control(c: char) -> Happened {
    Happened::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
}

/// Types into it.
fn typed(app: &mut App, flight: &Flight, me: &str, words: &str) -> Vec<Action> {
    words.chars().flat_map(|c| update(app, key(c), &flight.view(me), flight.now())).collect()
}

/// What was asked of the hub, but for what a screen tells by itself.
fn asked(actions: Vec<Action>) -> Vec<Request> {
    let wishes = actions.into_iter().filter_map(|action| match action {
        Action::Ask(request) => Some(request),
        _ => None,
    });
    wishes.filter(|request| !matches!(request, Request::Attend { .. } | Request::Resize { .. })).collect()
}

#[test]
fn acts_are_found_by_their_words_and_the_name_comes_first() {
    let names = |place, words: &str| -> Vec<String> {
        found(&Keys::default(), place, words).iter().map(|row| row.act.name()).collect()
    };
    assert_eq!(names(Place::Main, "roll")[0], "rollback");
    assert_eq!(names(Place::Main, "hand over")[0], "handover");
    assert_eq!(names(Place::Main, "GATE exception"), ["waive"]);
    assert_eq!(names(Place::Panel, "digest"), ["check"]);
    assert_eq!(names(Place::Main, "no such words"), Vec::<String>::new());
    // Nothing of a place is missing, but what opened it.
    for place in Place::ALL {
        assert_eq!(names(place, "").len() + 1, Keys::default().rows(place).count(), "{place:?}");
    }
}

#[test]
fn it_opens_on_every_screen_and_letters_are_words_then() {
    let flight = Flight::armed();
    for (first, place) in [(None, Place::Main), (Some('x'), Place::Panel), (Some('b'), Place::Before)] {
        for opener in [key(':'), control('p')] {
            let mut app = App::new(120, 40);
            if let Some(first) = first {
                update(&mut app, key(first), &flight.view("ivo"), flight.now());
            }
            update(&mut app, opener, &flight.view("ivo"), flight.now());
            assert!(matches!(&app.overlay, Overlay::Palette(open) if open.place == place), "{place:?}");
            assert_eq!(asked(typed(&mut app, &flight, "ivo", "!yaqx")), [], "letters act on nothing");
            assert!(
                !asked(update(&mut app, control('x'), &flight.view("ivo"), flight.now())).is_empty(),
                "the andon does"
            );
            update(&mut app, code(KeyCode::Esc), &flight.view("ivo"), flight.now());
            let back = match place {
                Place::Panel => app.panel().is_some(),
                Place::Before => matches!(app.overlay, Overlay::Preflight(_)),
                _ => matches!(app.overlay, Overlay::None),
            };
            assert!(back, "{place:?}: {:?}", app.overlay);
        }
    }
}

#[test]
fn enter_opens_a_line_but_sends_nothing() {
    let flight = Flight::armed();
    let pick = |me: &str, words: &str| {
        let mut app = App::new(120, 40);
        update(&mut app, key(':'), &flight.view(me), flight.now());
        typed(&mut app, &flight, me, words);
        let sent = asked(update(&mut app, code(KeyCode::Enter), &flight.view(me), flight.now()));
        (app, sent)
    };
    // What is typed before it is sent is typed here as well.
    let (app, sent) = pick("dana", "say");
    assert!(sent.is_empty() && app.field().is_some(), "{:?}", app.overlay);
    // What one key sends is sent by that key.
    let (app, sent) = pick("dana", "disarm");
    assert!(sent.is_empty() && matches!(app.overlay, Overlay::None));
    assert!(app.toasts.back().unwrap().text.starts_with("press d: let go"), "{:?}", app.toasts);
    // What cannot be done says why, and the palette stays.
    let (app, sent) = pick("dana", "rollback");
    assert!(sent.is_empty() && matches!(app.overlay, Overlay::Palette(_)));
    assert!(app.toasts.back().unwrap().bad, "{:?}", app.toasts);
    // What only moves the screen is done.
    let (app, _) = pick("ivo", "zoom");
    assert!(app.zoom && matches!(app.overlay, Overlay::None));
    // The panel is opened as by its key, and the time it was hidden is no time it was read.
    let (app, sent) = pick("ivo", "open the cross");
    assert!(app.panel().is_some() && matches!(sent[..], [Request::OpenCheck { .. }]));
}

#[test]
fn a_check_is_not_given_by_way_of_the_palette() {
    let flight = Flight::armed();
    let mut now = flight.now();
    let mut app = App::new(120, 60);
    update(&mut app, key('x'), &flight.view("ivo"), now);
    for _ in 0..80 {
        frame(&mut app, &flight.view("ivo"), now, (120, 60));
        now.mono += Duration::from_millis(250);
        update(&mut app, Happened::Tick, &flight.view("ivo"), now);
    }
    assert!(app.panel().is_some_and(|panel| panel.unseen().is_empty()));
    update(&mut app, key(':'), &flight.view("ivo"), now);
    for c in "check".chars() {
        update(&mut app, key(c), &flight.view("ivo"), now);
    }
    let sent = asked(update(&mut app, code(KeyCode::Enter), &flight.view("ivo"), now));
    assert!(sent.is_empty(), "{sent:?}");
    assert!(app.toasts.back().unwrap().text.starts_with("press y: "), "{:?}", app.toasts);
    // Back on the panel answers wait for a frame once more, and what was seen stays seen.
    assert!(asked(update(&mut app, key('y'), &flight.view("ivo"), now)).is_empty());
    assert!(app.panel().is_some_and(|panel| panel.unseen().is_empty()));
}

#[test]
fn it_is_drawn_with_reasons_and_the_picked_act_is_told_whole() {
    let flight = Flight::armed();
    for size in [(120, 40), (80, 24), (60, 16)] {
        let mut app = App::new(size.0, size.1);
        update(&mut app, key(':'), &flight.view("dana"), flight.now());
        for c in "step".chars() {
            update(&mut app, key(c), &flight.view("dana"), flight.now());
        }
        update(&mut app, code(KeyCode::Down), &flight.view("dana"), flight.now());
        let text = text_of(&rendered(&app, &flight.view("dana"), &dusk(), Glyphs::Unicode, flight.now(), size).0);
        insta::assert_snapshot!(format!("palette-{}x{}", size.0, size.1), text);
    }
    assert_eq!(Act::Palette.name(), "palette");
}

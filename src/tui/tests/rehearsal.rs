//! No screen of a rehearsal is without the words that say so, whatever its size and whatever lies over it.

use super::*;
use crate::tui::app::Overlay;

const DATA: &str = "masked copy, 10 % sample of 2026-11-01";

fn rehearsed() -> Flight {
    let mut flight = Flight::open_as(PLAN, Some(DATA), None, |name| format!("SHA256:{name}"));
    flight.fresh();
    flight.pass(2);
    flight
}

fn shown_to(flight: &Flight, me: &str, app: &App, size: (u16, u16), glyphs: Glyphs) -> String {
    text_of(&rendered(app, &flight.view(me), &dusk(), glyphs, flight.now(), size).0)
}

#[test]
fn the_words_stand_on_every_screen_of_every_size() {
    let mut flight = rehearsed();
    flight.arm("freeze");
    let keys =
        [None, Some('?'), Some('q'), Some('x'), Some('b'), Some('z'), Some('t'), Some('o'), Some('2'), Some('7')];
    for who in ["dana", "sam"] {
        for pressed in keys {
            for size in
                [(120, 40), (100, 30), (80, 24), (60, 16), (60, 15), (40, 8), (30, 4), (24, 2), (12, 1), (200, 60)]
            {
                let mut app = App::new(size.0, size.1);
                if let Some(pressed) = pressed {
                    update(&mut app, key(pressed), &flight.view(who), flight.now());
                }
                for glyphs in [Glyphs::Unicode, Glyphs::Ascii] {
                    let text = shown_to(&flight, who, &app, size, glyphs);
                    let first = text.lines().next().unwrap_or_default();
                    assert!(first.contains("REHEARSAL"), "{who} {pressed:?} {size:?}:\n{text}");
                    assert!(!text.contains(" LIVE "), "{who} {pressed:?} {size:?}:\n{text}");
                    if size.0 >= 60 && size.1 >= 4 {
                        assert!(first.contains("nothing live is run; data: masked"), "{pressed:?} {size:?}:\n{text}");
                    }
                }
            }
        }
    }
    // Scrolled as far as it goes, and with the andon pulled.
    let mut app = App::new(60, 16);
    app.overlay = Overlay::Help(500);
    flight.ask("ivo", Request::Andon { why: "p99 climbs".into() });
    let text = shown_to(&flight, "dana", &app, (60, 16), Glyphs::Unicode);
    assert!(text.starts_with(" REHEARSAL  "), "{text}");
}

#[test]
fn a_live_screen_has_no_such_row() {
    let text = shown_to(&Flight::start(), "dana", &App::new(120, 40), (120, 40), Glyphs::Unicode);
    assert!(text.contains(" LIVE ") && !text.contains("REHEARSAL"), "{text}");
}

#[test]
fn what_is_not_run_stands_on_the_panel_beside_what_is() {
    let mut flight = rehearsed();
    flight.arm("freeze");
    flight.pass(1);
    let mut pictures = String::new();
    for size in [(120, 40), (80, 24), (60, 16)] {
        let mut app = App::new(size.0, size.1);
        update(&mut app, key('x'), &flight.view("sam"), flight.now());
        pictures += &shown_to(&flight, "sam", &app, size, Glyphs::Unicode);
        if size == (120, 40) {
            assert!(pictures.contains("NOT RUN") && pictures.contains("only printed"), "{pictures}");
        }
    }
    for size in [(120, 40), (80, 24), (60, 16), (30, 6)] {
        pictures += &shown_to(&flight, "dana", &App::new(size.0, size.1), size, Glyphs::Unicode);
    }
    insta::assert_snapshot!("rehearsal", pictures);
}

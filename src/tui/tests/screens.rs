//! What is on screen, as text and as runs of style.

use super::*;

fn screen(flight: &Flight, me: &str, size: (u16, u16), glyphs: Glyphs, app: &App) -> String {
    text_of(&rendered(app, &flight.view(me), &dusk(), glyphs, flight.now(), size).0)
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

//! What the hub says to a request of this screen: who asked reads it, whole.

use super::super::app::{Field, Overlay, Page, Panel, Purpose};
use super::super::preflight;
use super::super::update::Answered;
use super::*;
use crate::event::Attention;
use crate::protocol::Refused;

const WHY: &str = "gate api-gw is fail: 503 from https://api.example.org/health, which three of the last five looks said as well, \
    and the upstream that it names has been out since half past four";

fn refused(request: Request, reason: &str, hint: Option<&str>) -> Happened {
    let refusal = Refused { request: request.describe(), reason: reason.to_owned(), hint: hint.map(str::to_owned) };
    Happened::Answered(Answered { request, refusal: Some(refusal) })
}

fn check(flight: &Flight) -> (Request, Panel) {
    let (step, state, armed) = flight.session().open_step().unwrap();
    let (step, attempt, digest) = (step.id.clone(), state.attempt, armed.digest());
    (Request::Check { step: step.clone(), attempt, digest }, Panel::new(step, attempt, digest))
}

/// The words on a screen, or on what lies over it, without what its lines are broken and framed with.
fn words(app: &App, view: &View, flight: &Flight, size: (u16, u16)) -> String {
    let (buf, _) = rendered(app, view, &dusk(), Glyphs::Unicode, flight.now(), size);
    let text = text_of(&buf);
    let framed: Vec<_> = text.lines().filter_map(|line| line.split('║').nth(1)).collect();
    let text = if framed.is_empty() { text } else { framed.join(" ") };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_check_is_on_its_way_until_its_own_answer_comes() {
    let flight = Flight::armed();
    let view = flight.view("ivo");
    let (request, panel) = check(&flight);
    let mut app = App::new(120, 40);
    app.overlay = Overlay::Panel(Box::new(Panel { sent: true, ..panel }));
    let on_its_way = |app: &App| app.panel().is_some_and(|panel| panel.sent);

    let attended = Request::Attend { attention: Attention::Here };
    let other = match request.clone() {
        Request::Check { step, digest, .. } => Request::Check { step, attempt: 7, digest },
        _ => unreachable!(),
    };
    for other in [attended, Request::Say { text: "a word".into() }, other] {
        update(&mut app, refused(other.clone(), "no", None), &view, flight.now());
        update(&mut app, Happened::Answered(Answered { request: other, refusal: None }), &view, flight.now());
        assert!(on_its_way(&app));
    }
    update(&mut app, refused(request.clone(), WHY, Some("it clears by itself")), &view, flight.now());
    assert!(!on_its_way(&app), "it can be given again");
    let toast = &app.toasts.back().unwrap().text;
    assert_eq!(*toast, format!("refused: check drop: {WHY} · it clears by itself"));
}

#[test]
fn what_nobody_asked_for_is_told_only_where_it_is_missed() {
    let flight = Flight::armed();
    let view = flight.view("ivo");
    let mut app = App::new(120, 40);
    for request in [Request::Attend { attention: Attention::Here }, Request::Resize { cols: 80, rows: 24 }] {
        update(&mut app, refused(request, "no", None), &view, flight.now());
    }
    assert!(app.toasts.is_empty());
    update(&mut app, refused(Request::OpenCheck { step: step("drop"), attempt: 1 }, "no", None), &view, flight.now());
    let told: Vec<_> = app.toasts.iter().map(|toast| toast.text.as_str()).collect();
    assert_eq!(told, ["the check could not be opened: no"]);
}

#[test]
fn why_something_was_refused_stands_there_whole() {
    let flight = Flight::armed();
    let view = flight.view("ivo");
    let (request, panel) = check(&flight);
    let page = Page::new(preflight::about(flight.session()), flight.now().mono);
    let overlays = [
        Overlay::None,
        Overlay::Panel(Box::new(panel.clone())),
        Overlay::Preflight(Box::new(page)),
        Overlay::Field(Field::new(Purpose::Say)),
        Overlay::Panel(Box::new(Panel { field: Some(Field::new(Purpose::Say)), ..panel })),
    ];
    for overlay in overlays {
        for size in [(120, 40), (80, 24)] {
            let mut app = App::new(size.0, size.1);
            app.overlay = overlay.clone();
            update(&mut app, refused(request.clone(), WHY, Some("it clears by itself")), &view, flight.now());
            let words = words(&app, &view, &flight, size);
            assert!(words.contains(WHY) && words.contains("it clears by itself"), "{size:?} {overlay:?}:\n{words}");
            assert!(words.contains("andon") || words.contains("ANDON"), "{words}");
        }
    }
}

/// Whoever is let in again checks with that key from then on: no key in flight does it, nor a name that somebody else has.
#[test]
fn letting_somebody_in_with_another_key_takes_their_typed_name() {
    let mut flight = Flight::armed();
    flight.saw(Fact::KeyRefused { principal: who("sam"), key: "SHA256:sams-other-laptop".into() });
    let view = flight.view("ivo");
    let mut app = App::new(120, 40);
    frame(&mut app, &view, flight.now(), (120, 40));
    assert!(asked(&update(&mut app, key('K'), &view, flight.now())).is_empty(), "the key alone asks nothing");
    let Overlay::Field(field) = &app.overlay else { panic!("a line to type: {:?}", app.overlay) };
    assert!(matches!(field.purpose, Purpose::Readmit { .. }) && !field.purpose.takes_paste());
    let shown = words(&app, &view, &flight, (120, 40));
    assert!(shown.contains("READMIT sam with SHA256:sams-other-laptop"), "{shown}");
    let typed = |name: &str, app: &mut App| {
        name.chars().for_each(|c| _ = update(app, key(c), &view, flight.now()));
        let actions = update(app, code(KeyCode::Enter), &view, flight.now());
        asked(&actions).into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(typed("ivo", &mut app), []);
    (0..3).for_each(|_| _ = update(&mut app, code(KeyCode::Backspace), &view, flight.now()));
    let wanted = Request::Readmit { who: who("sam"), key: "SHA256:sams-other-laptop".into() };
    assert_eq!(typed("sam", &mut app), [wanted]);
}

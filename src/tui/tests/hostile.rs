//! Test set G on the screen: whatever a command prints and people or a hostile hub say, the bytes that reach the terminal are
//! the cockpit's own. Drawn by the code that draws, through the backend that writes, into memory.

use super::*;
use crate::exec::{Screen as Emulated, Size};
use crate::tui::terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::io::Write as _;

#[path = "../../../tests/suite/support/hostile.rs"]
mod set;

use set::{PAYLOADS, as_text, foreign};

/// Stands beside every payload, so that it is known to have been drawn.
const MARK: &str = "QMARKQ";

/// What a frame of that size writes to a terminal, and what can be read on it.
fn written(app: &App, view: &View, now: Now, size: (u16, u16)) -> (Vec<u8>, String) {
    let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, size.0, size.1)) };
    let mut bytes = vec![];
    let mut terminal = Terminal::with_options(CrosstermBackend::new(&mut bytes), options).unwrap();
    let mut text = String::new();
    terminal::frame(&mut terminal, |frame| {
        draw(frame.buffer_mut(), app, view, &dusk(), Glyphs::Unicode, now);
        text = text_of(frame.buffer_mut());
    })
    .unwrap();
    drop(terminal);
    (bytes, text)
}

/// The frame holds the mark, and nothing that is not the cockpit's.
fn holds(sink: &str, name: &str, app: &App, view: &View, now: Now, size: (u16, u16)) -> String {
    let (bytes, text) = written(app, view, now, size);
    assert!(text.contains(MARK), "{sink}, {name}: it was not drawn\n{text}");
    assert_eq!(foreign(&bytes), None, "{sink}, {name}");
    assert!(!text.contains(&"\u{301}".repeat(12)), "{sink}, {name}: marks that draw over the lines above");
    text
}

/// What a command printed, through the hub's emulator, its frame, and the client's.
fn pane(name: &str, payload: &[u8]) {
    let flight = Flight::armed();
    let size = Size { cols: 80, rows: 24 };
    // CAN and ST end whatever the payload left open; the mark then stands on a line of its own.
    let printed = [payload, b"\x18\x1b\\\r\n", MARK.as_bytes(), b"\r\n"].concat();
    for chunk in [1, printed.len()] {
        let mut hub = Emulated::new(size);
        printed.chunks(chunk).for_each(|part| hub.feed(part));
        let view = flight.view("dana");
        let mut shown = view.screen.as_deref().unwrap().clone();
        // A hub that keeps to the rules, and one that passes on what it read.
        for bytes in [hub.frame(), printed.clone()] {
            shown.bytes = bytes.into();
            let mut view = view.clone();
            view.screen = Some(Arc::new(shown.clone()));
            holds("pane", name, &App::new(120, 40), &view, flight.now(), (120, 40));
        }
    }
}

/// Everything that people check, as a hostile hub would have it.
fn panel(name: &str, text: &str) {
    let mut flight = Flight::start();
    for (id, name) in [("freeze", "dana"), ("swap", "sam")] {
        flight.arm(id);
        if id == "swap" {
            flight.check(name);
        }
        flight.go();
        flight.end(0);
    }
    let hostile = format!("{MARK}{text}");
    let mut covered = 0;
    flight.arm_as("drop", |covers| {
        let file = a::file(&hostile).saying(&hostile);
        covers.title = hostile.clone();
        covers.class = hostile.clone();
        covers.command.argv = vec![hostile.clone(), hostile.clone()];
        covers.command.exe = file.clone();
        covers.command.interpreter = Some(file.clone());
        covers.command.env = BTreeMap::from([(hostile.clone(), hostile.clone())]);
        covers.command.cwd = hostile.clone();
        covers.command.stdin = Some(hostile.clone());
        covers.command.stdin_file = Some(file.clone());
        covers.command.io = hostile.clone();
        covers.command.files = vec![file];
        covers.command.host = hostile.clone();
        covers.command.user = hostile.clone();
        covers.words = BTreeMap::from([(hostile.clone(), hostile.clone())]);
        covered = 18;
    });
    let size = (200, if text.len() > 200 { 300 } else { 110 }); // all of it on one page
    let mut app = App::new(size.0, size.1);
    let view = flight.view("ivo");
    update(&mut app, key('x'), &view, flight.now());
    assert!(app.panel().is_some(), "the panel is open");
    let shown = holds("panel", name, &app, &view, flight.now(), size).matches(MARK).count();
    assert!(shown + 3 >= covered, "{name}: only {shown} of {covered} fields were drawn");
    // The same on a small screen, section by section.
    for section in '1'..='5' {
        let size = (80, 24);
        let mut app = App::new(size.0, size.1);
        update(&mut app, key('x'), &view, flight.now());
        update(&mut app, key(section), &view, flight.now());
        let (bytes, _) = written(&app, &view, flight.now(), size);
        assert_eq!(foreign(&bytes), None, "panel section {section}, {name}");
    }
}

/// Names of people, steps and watches; what a hub says of people and readings.
fn names(name: &str, text: &str) {
    let hidden = text.chars().any(crate::name::is_hidden);
    let refused = [
        Principal::new(text).is_err(),
        Principal::new(&format!("a{text}")).is_err(),
        StepId::new(text).is_err(),
        WatchId::new(text).is_err(),
    ];
    assert!(!hidden || refused == [true; 4], "{name}: {refused:?}");
    let hostile = format!("{MARK}{text}");
    let mut flight = Flight::armed();
    flight.saw(a::joined(&who("mei"), Role::Shadow, &hostile, 9));
    flight.saw(Fact::Left { principal: who("mei"), connection: 9, why: hostile.clone() });
    flight.saw(Fact::DoorRefused { principal: who("mei"), reason: hostile.clone() });
    flight.read("pg-01", Status::Fail, Some((1.0, &hostile)), &hostile);
    let mut view = flight.view("dana");
    view.link = Link::Lost { since: flight.at, tries: 3, why: hostile.clone() };
    holds("names", name, &App::new(160, 50), &view, flight.now(), (160, 50));
    view.link = Link::Live { rtt: Duration::ZERO };
    view.dying = Some(hostile.as_str().into());
    holds("names", name, &App::new(160, 50), &view, flight.now(), (160, 50));
}

/// What people type: chat, reasons, toasts, and a line that is being typed or pasted.
fn chat(name: &str, text: &str) {
    let mut flight = Flight::armed();
    let hostile = format!("{MARK}{text}");
    assert_eq!(flight.ask("ivo", Request::Say { text: hostile.clone() }), None);
    assert_eq!(flight.ask("sam", Request::Mark { text: hostile.clone() }), None);
    flight.ask("ivo", Request::Andon { why: hostile.clone() });
    let view = flight.view("dana");
    let mut app = App::new(120, 40);
    app.toast(hostile.clone(), true, flight.now().mono);
    holds("chat", name, &app, &view, flight.now(), (120, 40));
    update(&mut app, key('c'), &view, flight.now());
    update(&mut app, Happened::Paste(hostile), &view, flight.now());
    let (bytes, _) = written(&app, &view, flight.now(), (120, 40));
    assert_eq!(foreign(&bytes), None, "a typed line, {name}");
}

#[test]
fn only_the_cockpit_s_own_sequences_reach_the_terminal() {
    let mut cases = 0;
    for (name, payload) in PAYLOADS {
        let text = as_text(payload);
        pane(name, payload);
        panel(name, &text);
        names(name, &text);
        chat(name, &text);
        cases += 4;
    }
    // Not by println: what a passing test prints is swallowed.
    let _ = writeln!(std::io::stderr(), "set G: {cases} cases on the screen");
    assert_eq!(cases, 192);
}

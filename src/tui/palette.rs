//! The palette: every act of the screen it was opened on, found by its words. What cannot be done now stays listed, with its
//! reason. It bypasses nothing: an act that one key would send to the hub is named with that key, and the key is to be pressed.

use super::app::{App, Now, Overlay, Palette, Purpose};
use super::asking::refused;
use super::canvas::{Look, cut};
use super::keymap;
use super::text::{pad, wrap};
use super::theme::Ink;
use crate::brief::acts::{Act, Place, Row};
use crate::brief::keys::Keys;
use crate::client::view::View;
use crate::session::request::TEXT_CHARS_MAX;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::text::{Line, Span};
use tui_input::{Input, InputRequest};

/// Opens it over what is on screen.
pub(super) fn open(app: &mut App, place: Place) {
    let under = match std::mem::take(&mut app.overlay) {
        // What was seen stays seen, and while this lies over it nothing more is.
        Overlay::Panel(panel) => Overlay::Panel(Box::new(panel.reopened())),
        under => under,
    };
    app.overlay = Overlay::Palette(Box::new(Palette { input: Input::default(), row: 0, place, under }));
}

/// The acts that fit the words, the best first: by name before by what it does.
pub fn found(keys: &Keys, place: Place, words: &str) -> Vec<&'static Row> {
    let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    let rank = |row: &&'static Row| {
        let (name, help) = (row.act.name().replace('-', " "), row.help.to_lowercase());
        let one = |word: &String| match () {
            () if name.starts_with(word.as_str()) => Some(0),
            () if name.contains(word.as_str()) || row.short.contains(word.as_str()) => Some(1),
            () if help.contains(word.as_str()) => Some(2),
            () => None,
        };
        words.iter().map(one).sum::<Option<u32>>()
    };
    let rows = keys.rows(place).filter(|row| row.act != Act::Palette);
    let mut found: Vec<(u32, &Row)> = rows.filter_map(|row| Some((rank(&row)?, row))).collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, row)| row).collect()
}

/// A key while it is open; the act that was picked, and where, once it is closed for one.
pub(super) fn key(app: &mut App, key: KeyEvent, view: &View, now: Now) -> Option<(Place, Act)> {
    let Overlay::Palette(palette) = &mut app.overlay else { return None };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let fitting = found(&app.keys, palette.place, palette.input.value());
    match key.code {
        KeyCode::Esc => close(app),
        KeyCode::Char('c' | 'p') if control => close(app),
        KeyCode::Up | KeyCode::BackTab => palette.row = palette.row.saturating_sub(1),
        KeyCode::Down | KeyCode::Tab => palette.row = (palette.row + 1).min(fitting.len().saturating_sub(1)),
        KeyCode::Enter => {
            let row = fitting.get(palette.row)?;
            return pick(app, row, view, now);
        }
        KeyCode::Char('u') if control => edit(palette, InputRequest::DeleteLine),
        KeyCode::Char(c) if !control && palette.input.value().chars().count() < TEXT_CHARS_MAX => {
            edit(palette, InputRequest::InsertChar(c));
        }
        KeyCode::Backspace => edit(palette, InputRequest::DeletePrevChar),
        _ => {}
    }
    None
}

fn edit(palette: &mut Palette, request: InputRequest) {
    palette.input.handle(request);
    palette.row = 0; // another list: the one that was picked is not this one
}

fn close(app: &mut App) {
    if let Overlay::Palette(palette) = std::mem::take(&mut app.overlay) {
        app.overlay = palette.under;
    }
}

fn pick(app: &mut App, row: &Row, view: &View, now: Now) -> Option<(Place, Act)> {
    let Overlay::Palette(palette) = &app.overlay else { return None };
    let place = palette.place;
    let under = App { overlay: palette.under.clone(), selected: app.selected.clone(), ..App::default() };
    let sight = view.sight(view.now(now.wall)).with_keys(&app.keys);
    let picked = keymap::picked(&under, view);
    let reasons = sight.may_act(row.act, &picked);
    if !reasons.is_empty() {
        let text = refused(row.act, &reasons);
        app.toast(text, true, now.mono);
        return None;
    }
    // Enter acts on nothing: what one key sends is sent by that key.
    let sends = row.act.asks() && sight.wish(row.act, &picked).is_ok_and(|wish| Purpose::of(&wish, &sight).is_none());
    close(app);
    if sends {
        let key = app.keys.first(row.act, place).to_owned();
        app.toast(format!("press {key}: {}", row.help), false, now.mono);
        return None;
    }
    Some((place, row.act))
}

/// Its lines: what is typed, and as many of the acts that fit as there are rows for, the picked one among them.
pub(super) fn lines(look: &Look<'_>, palette: &Palette, width: usize, rows: usize) -> Vec<Line<'static>> {
    let fitting = found(&look.app.keys, palette.place, palette.input.value());
    let typed = crate::name::shown(palette.input.value());
    let mut all =
        vec![Line::from(cut(vec![look.span(": ", Ink::Key), look.span(format!("{typed}_"), Ink::Strong)], width))];
    let under = App { overlay: palette.under.clone(), selected: look.app.selected.clone(), ..App::default() };
    let picked = keymap::picked(&under, look.view);
    let sight = look.sight();
    let mut list: Vec<(usize, Line<'static>)> = vec![];
    for (index, row) in fitting.iter().enumerate() {
        let reason = sight.may_act(row.act, &picked).into_iter().next();
        let ink = if reason.is_some() { Ink::Dim } else { Ink::Text };
        let key = look.app.keys.first(row.act, palette.place);
        let mark = if index == palette.row { "▸ " } else { "  " };
        let mut spans: Vec<Span<'static>> = vec![
            look.span(mark, Ink::Focus),
            look.span(pad(key, 10), Ink::Key),
            look.span(
                pad(&row.act.name().replace('-', " "), 13),
                if reason.is_some() { Ink::Dim } else { Ink::Strong },
            ),
            look.span(row.help, ink),
        ];
        if let Some(why) = reason {
            spans.push(look.span(format!(" (not now: {})", why.short), Ink::Hold));
        }
        // The picked one is told whole.
        let told = if index == palette.row { wrap(&spans, width, 12) } else { vec![Line::from(cut(spans, width))] };
        list.extend(told.into_iter().map(|line| (index, line)));
    }
    if list.is_empty() {
        all.push(Line::from(look.span("no act has these words", Ink::Dim)));
    }
    let room = rows.saturating_sub(1).max(1);
    let end = list.iter().rposition(|(index, _)| *index == palette.row).map_or(0, |at| at + 1);
    let from = end.saturating_sub(room);
    all.extend(list.into_iter().skip(from).take(room).map(|(_, line)| line));
    all
}

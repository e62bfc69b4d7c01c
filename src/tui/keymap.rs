//! From a terminal's keys to the table of acts, and where keys go.

use super::app::{App, Overlay, Pane};
use crate::brief::Picked;
use crate::brief::acts::{Act, Place};
use crate::brief::keys::Keys;
use crate::client::view::{Link, View};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Where keys go now.
pub fn place(app: &App, view: &View) -> Place {
    match (&app.overlay, &view.link) {
        (Overlay::Panel(_), _) => Place::Panel,
        (Overlay::Preflight(_), _) => Place::Before,
        (Overlay::Palette(palette), _) => palette.place,
        (_, Link::Replay { .. }) => Place::Replay,
        _ => Place::Main,
    }
}

/// What a key means there. Enter means nothing anywhere: it only sends typed text.
pub fn act(keys: &Keys, place: Place, key: KeyEvent) -> Option<Act> {
    keys.act(place, &name(key)?)
}

/// A key's name in the table; none of a key that no row can name.
fn name(key: KeyEvent) -> Option<String> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char(c) => Some(format!("Ctrl-{}", latin(c).to_ascii_uppercase())),
            _ => None,
        };
    }
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let named = match key.code {
        KeyCode::Char(' ') => "Space",
        KeyCode::Char(c) => return Some(latin(c).to_string()),
        KeyCode::Esc => "Esc",
        KeyCode::Tab => "Tab",
        KeyCode::BackTab => "Shift-Tab",
        KeyCode::Up => "Up",
        KeyCode::Down => "Down",
        KeyCode::Left => "Left",
        KeyCode::Right => "Right",
        KeyCode::PageUp => "PgUp",
        KeyCode::PageDown => "PgDn",
        KeyCode::Home => "Home",
        KeyCode::End => "End",
        _ => return None,
    };
    Some(named.to_owned())
}

/// The letter on the same key of a Latin keyboard, for people who write in Cyrillic.
fn latin(c: char) -> char {
    const CYRILLIC: &str = "йцукенгшщзфывапролдячсмитьхъ";
    const LATIN: &str = "qwertyuiopasdfghjklzxcvbnm[]";
    let lower = c.to_lowercase().next().unwrap_or(c);
    match CYRILLIC.chars().position(|known| known == lower).and_then(|index| LATIN.chars().nth(index)) {
        Some(twin) if c == lower => twin,
        Some(twin) => twin.to_ascii_uppercase(),
        None => c,
    }
}

/// What is picked or was read on this screen, for the acts that mean it.
pub fn picked(app: &App, view: &View) -> Picked {
    let mut picked = Picked { step: app.selected.clone(), ..Picked::default() };
    match &app.overlay {
        Overlay::Panel(panel) => picked.read = Some((panel.step.clone(), panel.attempt, panel.digest)),
        Overlay::Preflight(page) => {
            picked.poll = Some(page.about);
            let checklist = &view.session.plan.checklist;
            let row = page.row.min(checklist.len().saturating_sub(1));
            picked.item = checklist.get(row).map(|item| item.id.clone());
        }
        _ => {}
    }
    picked
}

/// The pane of a number.
pub fn pane(number: u8) -> Option<Pane> {
    Pane::ALL.get(usize::from(number).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_another_alphabet_do_what_their_place_on_the_keyboard_says() {
        let key = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
        assert_eq!(act(&Keys::default(), Place::Main, key('ч')), Some(Act::Open));
        assert_eq!(act(&Keys::default(), Place::Main, key('Ф')), Some(Act::Release));
        assert_eq!(act(&Keys::default(), Place::Main, KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)), None);
        assert_eq!(act(&Keys::default(), Place::Panel, KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), None);
        assert_eq!(act(&Keys::default(), Place::Main, KeyEvent::new(KeyCode::Char('a'), KeyModifiers::ALT)), None);
    }

    #[test]
    fn every_key_of_the_table_can_be_pressed() {
        let named = [
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::Char(' '),
        ];
        let mut names: Vec<String> =
            named.into_iter().filter_map(|code| name(KeyEvent::new(code, KeyModifiers::NONE))).collect();
        names.extend((' '..='~').filter_map(|c| name(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))));
        names.extend(('a'..='z').filter_map(|c| name(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))));
        for row in crate::brief::acts::TABLE {
            for (key, _) in row.keys.iter().filter(|(key, _)| !matches!(*key, "1-7" | "1-5" | "0-9")) {
                assert!(names.iter().any(|name| name == key), "{:?}: no terminal says {key}", row.act);
            }
        }
    }
}

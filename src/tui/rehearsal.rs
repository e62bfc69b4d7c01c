//! The row over every screen of a rehearsal. It is drawn before anything else and taken off the screen that everything else
//! gets, so no pane, panel, page or help can lie over it, and nothing scrolls it away.

use super::canvas::{Look, row};
use super::text::fit;
use super::theme::Ink;
use crate::name::shown;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The word, on both ends of the row.
pub const WORD: &str = "REHEARSAL";

/// Draws it, where it is one, and gives what is left of the screen. A screen of one row has no room beside it.
pub fn banner(look: &Look<'_>, buf: &mut Buffer, area: Rect) -> Rect {
    let Some(data) = look.session().rehearsal() else { return area };
    if area.height < 2 {
        return area;
    }
    let first = Rect { height: 1, ..area };
    buf.set_style(first, look.ink(Ink::Replay));
    let ends = 2 * (WORD.len() + 3);
    let room = usize::from(area.width).saturating_sub(ends + 2);
    let text = format!("nothing live is run; data: {}", shown(data));
    let left = vec![look.span(format!(" {WORD}  {}", fit(&text, room)), Ink::Replay)];
    let right = match room {
        0..12 => vec![],
        _ => vec![look.span(format!(" {WORD} "), Ink::Replay)],
    };
    row(buf, first, 0, left, right);
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// The same for a screen of one row: the word stands before whatever else is there.
pub fn alone(look: &Look<'_>, buf: &mut Buffer) {
    if look.session().rehearsal().is_some() && buf.area.height == 1 {
        let area = buf.area;
        row(buf, area, 0, vec![look.span(format!(" {WORD} "), Ink::Replay)], vec![]);
    }
}

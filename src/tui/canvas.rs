//! What every pane draws with: the theme, the two times, frames and rows.

use super::app::{App, Now, Pane};
use super::text::fit;
use super::theme::{Ink, Theme};
use crate::brief::Sight;
use crate::brief::acts::{Act, Place};
use crate::client::view::View;
use crate::clock::At;
use crate::session::Session;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget};

/// Everything a frame is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// This screen.
    pub app: &'a App,
    /// The session and how it comes here.
    pub view: &'a View,
    /// The colours.
    pub theme: &'a Theme,
    /// The times.
    pub now: Now,
}

impl<'a> Look<'a> {
    /// The session.
    pub fn session(&self) -> &'a Session {
        &self.view.session
    }
    /// The hub's time.
    pub fn at(&self) -> At {
        self.view.now(self.now.wall)
    }
    /// What is seen from here, in words that name this screen's keys.
    pub fn sight(&self) -> Sight<'a> {
        self.view.sight(self.at()).with_keys(&self.app.keys)
    }
    /// The first key of an act on the main screen.
    pub fn key(&self, act: Act) -> &'a str {
        self.app.keys.first(act, Place::Main)
    }
    /// The style of a role.
    pub fn ink(&self, ink: Ink) -> Style {
        self.theme.style(ink)
    }
    /// Harmless text in a role.
    pub fn span(&self, text: impl AsRef<str>, ink: Ink) -> Span<'static> {
        Span::styled(crate::name::shown(text.as_ref()), self.ink(ink))
    }
    /// Draws a pane's frame and gives its inside.
    pub fn frame(&self, buf: &mut Buffer, area: Rect, pane: Pane, right: Vec<Span<'static>>) -> Rect {
        let focus = self.app.focus == pane;
        let set = if focus { border::THICK } else { border::PLAIN };
        let ink = if focus { Ink::Focus } else { Ink::Border };
        let title = Line::from(vec![
            Span::raw(" "),
            self.span(format!("{} {}", pane.number(), pane.title()), Ink::Title),
            Span::raw(" "),
        ]);
        let inner = self.boxed(buf, area, set, ink, title, right);
        match inner.width {
            0..20 => inner,
            width => Rect { x: inner.x + 1, width: width - 2, ..inner },
        }
    }
    /// Draws a frame with two titles and gives its inside.
    pub fn boxed(
        &self,
        buf: &mut Buffer,
        area: Rect,
        set: border::Set<'_>,
        ink: Ink,
        left: Line<'static>,
        right: Vec<Span<'static>>,
    ) -> Rect {
        if area.width < 2 || area.height < 2 {
            return Rect { height: 0, ..area };
        }
        let block = Block::bordered().border_set(set).border_style(self.ink(ink)).style(self.ink(Ink::Base));
        let inner = block.inner(area);
        Clear.render(area, buf);
        block.render(area, buf);
        let room = usize::from(area.width) - 2;
        let left_width = left.width().min(room);
        buf.set_line(area.x + 1, area.y, &left, left_width as u16); // bounded by the area's own width
        let right = Line::from(right);
        let right_width = right.width();
        if right_width > 0 && left_width + right_width + 4 <= room {
            let x = area.right() - right_width as u16 - 4; // bounded just above
            buf.set_string(x, area.y, " ", Style::new());
            buf.set_line(x + 1, area.y, &right, right_width as u16);
            buf.set_string(x + 1 + right_width as u16, area.y, " ", Style::new());
        }
        inner
    }
}

/// One row: `left` from the left, cut where `right` begins. What is right has the right of way.
pub fn row(buf: &mut Buffer, area: Rect, y: u16, left: Vec<Span<'static>>, right: Vec<Span<'static>>) {
    if y >= area.height || area.width == 0 {
        return;
    }
    let right = Line::from(right);
    let right_width = right.width().min(usize::from(area.width));
    let gap = usize::from(right_width > 0);
    let room = usize::from(area.width).saturating_sub(right_width + gap);
    let left = cut(left, room);
    buf.set_line(area.x, area.y + y, &Line::from(left), room as u16); // not wider than the area
    if right_width > 0 {
        buf.set_line(area.right() - right_width as u16, area.y + y, &right, right_width as u16);
    }
}

/// Styled text cut to so many columns, the cut marked.
pub fn cut(spans: Vec<Span<'static>>, room: usize) -> Vec<Span<'static>> {
    let mut used = 0;
    let mut out = vec![];
    let whole: usize = spans.iter().map(Span::width).sum();
    if whole <= room {
        return spans;
    }
    for span in spans {
        let left = room.saturating_sub(used);
        if span.width() < left {
            used += span.width();
            out.push(span);
        } else {
            let text = match span.width() == left {
                true => fit(&format!("{}…", span.content), left),
                false => fit(&span.content, left),
            };
            out.push(Span::styled(text, span.style));
            break;
        }
    }
    out
}

/// Draws lines from the top; what does not fit is left out.
pub fn lines(buf: &mut Buffer, area: Rect, lines: &[Line<'static>]) {
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        buf.set_line(area.x, y, line, area.width);
    }
}

/// A rule with a title in it: `─ 1 COMMAND  exactly what will run ──── seen ✓ ─`.
pub fn rule(look: &Look<'_>, width: usize, left: Vec<Span<'static>>, right: Vec<Span<'static>>) -> Line<'static> {
    let taken: usize = left.iter().chain(&right).map(Span::width).sum();
    let dashes = width.saturating_sub(taken + 2 + 2 + usize::from(!right.is_empty()) * 3);
    let border = |text: String| Span::styled(text, look.ink(Ink::Border));
    let mut spans = vec![border("─ ".into())];
    spans.extend(left);
    spans.push(border(format!(" {}", "─".repeat(dashes))));
    if !right.is_empty() {
        spans.push(Span::raw(" "));
        spans.extend(right);
        spans.push(border(" ─".into()));
    }
    Line::from(cut(spans, width))
}

/// Every sign of ours in plain ASCII, for terminals and fonts that lack the others. What is still not ASCII then came
/// from outside (a name in another script) and becomes `?`.
pub fn to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        let symbol = cell.symbol();
        if symbol.is_ascii() {
            continue;
        }
        let plain = match symbol {
            "─" | "━" | "–" | "·" | "▂" => "-",
            "═" => "=",
            "│" | "┃" | "║" => "|",
            "✓" => "+",
            "✗" => "x",
            "◦" => ".",
            "◇" => "o",
            "◆" => "O",
            "▸" | "▶" | "▷" | "→" => ">",
            "←" => "<",
            "↑" => "^",
            "↓" => "v",
            "…" => "~",
            "≈" => "~",
            "≠" => "#",
            "▁" => "_",
            "▃" => ":",
            "▄" => "=",
            "▅" => "+",
            "▆" => "*",
            "▇" => "%",
            "█" => "#",
            "┌" | "┐" | "└" | "┘" | "┏" | "┓" | "┗" | "┛" | "╔" | "╗" | "╚" | "╝" => "+",
            _ => "?",
        };
        cell.set_symbol(plain);
    }
}

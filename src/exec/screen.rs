//! What a command printed as cells of a screen: the only form in which it reaches anybody's terminal.
//!
//! Escape sequences end here. The emulator knows colours, movement and erasing and drops all else (titles, links,
//! clipboard, device control); [`Screen::cells`] lets no hidden character out, and no cell is wider than it says.

use super::starting::Size;
use crate::name::is_hidden;
use std::borrow::Cow;
use std::num::NonZeroU16;
use unicode_width::UnicodeWidthStr;

/// A colour as the command asked for it; what index 1 looks like is the reader's theme's business.
pub use vt100::Color;

/// An emulated screen without scrollback.
pub struct Screen {
    parser: vt100::Parser,
    /// The first bytes of a character that is not whole yet. The emulator would take them, and then lose what follows the
    /// character when the rest of it comes.
    begun: Vec<u8>,
}

/// U+FE0F, which asks for an emoji's picture and may turn one column into two after the fact. Kept from the emulator:
/// in the last column it leaves a wide character without a second half, at which the emulator panics later, and
/// terminals disagree on its width anyway.
const WIDENER: char = '\u{fe0f}';

/// One cell as it may be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell<'a> {
    /// What stands in it, exactly `width` columns wide, without any hidden character; a blank where it is empty.
    pub text: Cow<'a, str>,
    /// 1, or 2 for a character that covers two columns.
    pub width: u16,
    /// How it is drawn.
    pub style: Style,
}

/// How a cell is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Colour of the text.
    pub fg: Color,
    /// Colour behind it.
    pub bg: Color,
    /// Bold.
    pub bold: bool,
    /// Dim.
    pub dim: bool,
    /// Italic.
    pub italic: bool,
    /// Underlined.
    pub underline: bool,
    /// Text and background colour exchanged.
    pub inverse: bool,
}

impl Screen {
    /// An empty screen of that size, clamped.
    pub fn new(size: Size) -> Self {
        let (rows, cols) = dimensions(size);
        Self { parser: vt100::Parser::new(rows, cols, 0), begun: vec![] }
    }
    /// Its size.
    pub fn size(&self) -> Size {
        let (rows, cols) = self.parser.screen().size();
        Size { cols: cols.get(), rows: rows.get() }
    }
    /// Takes in output: any bytes, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        self.begun = all.split_off(all.len() - unfinished(&all));
        let mut kept = String::with_capacity(all.len());
        for chunk in all.utf8_chunks() {
            kept.extend(chunk.valid().split(WIDENER));
            // In place of bytes that are no character: left out, what stands around them could become one.
            kept.push_str(if chunk.invalid().is_empty() { "" } else { REPLACEMENT });
        }
        self.parser.process(kept.as_bytes());
    }
    /// Changes its size. Text is cut or blank is added, lines are not wrapped anew.
    pub fn resize(&mut self, size: Size) {
        let (rows, cols) = dimensions(size);
        self.parser.set_size(rows, cols);
    }
    /// Bytes that draw this state, cursor included, on a new [`Screen`] of the same size. For another emulator only:
    /// they hold escape sequences and are not for a terminal.
    ///
    /// Written from the cells as they may be drawn, so a frame holds nothing a participant's screen would have to drop.
    /// (The emulator's own encoding relies on lines wrapping as they did at first, and loses cells where they do not.)
    pub fn frame(&self) -> Vec<u8> {
        let mut out = String::new();
        let mut style = Style::default();
        for row in 0..self.size().rows {
            let mut at = 0; // the column after the last one written
            let mut col = 0;
            for cell in self.cells(row) {
                if cell.text != " " || cell.style != Style::default() {
                    if col != at || at == 0 {
                        out += &format!("\x1b[{};{}H", row + 1, col + 1);
                    }
                    if cell.style != style {
                        style = cell.style;
                        style.write(&mut out);
                    }
                    out += if cell.text == REPLACEMENT { REPLACED } else { &cell.text };
                    at = col + cell.width;
                }
                col += cell.width;
            }
        }
        if style != Style::default() {
            Style::default().write(&mut out);
        }
        match self.cursor() {
            Some((col, row)) => out += &format!("\x1b[{};{}H", row + 1, col + 1),
            None => out += "\x1b[?25l",
        }
        out.into_bytes()
    }
    /// Where the cursor is (column, row), where it is to be seen.
    pub fn cursor(&self) -> Option<(u16, u16)> {
        let screen = self.parser.screen();
        let (row, col) = screen.cursor_position();
        let size = self.size();
        (!screen.hide_cursor()).then_some((col.min(size.cols - 1), row.min(size.rows - 1)))
    }
    /// The cells of a row, left to right; the second half of a wide character has none of its own, so the widths add up
    /// to the screen's. Nothing for a row outside.
    pub fn cells(&self, row: u16) -> impl Iterator<Item = Cell<'_>> + '_ {
        let screen = self.parser.screen();
        let cols = self.size().cols;
        let mut col = 0;
        let mut blank = None;
        std::iter::from_fn(move || {
            if let Some(style) = blank.take() {
                return Some(Cell { text: BLANK.into(), width: 1, style });
            }
            let cell = screen.cell(row, col)?;
            let room = if cell.is_wide() && col + 1 < cols { 2 } else { 1 };
            col += room;
            let style = Style {
                fg: cell.fgcolor(),
                bg: cell.bgcolor(),
                bold: cell.bold(),
                dim: cell.dim(),
                italic: cell.italic(),
                underline: cell.underline(),
                inverse: cell.inverse(),
            };
            let text = drawable(cell.contents(), room);
            let width = if text.width() == 2 { 2 } else { 1 };
            blank = (width < room).then_some(style);
            Some(Cell { text, width, style })
        })
    }
    /// The text of a row without blanks at its end.
    pub fn row(&self, row: u16) -> String {
        let text: String = self.cells(row).map(|cell| cell.text.into_owned()).collect();
        text.trim_end_matches(' ').to_owned()
    }
}

/// How many bytes at the end begin a character and do not end it.
fn unfinished(bytes: &[u8]) -> usize {
    let begins = |length: &usize| {
        let tail = bytes.len().checked_sub(*length).map(|at| std::str::from_utf8(&bytes[at..]));
        matches!(tail, Some(Err(error)) if error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..4).find(begins).unwrap_or(0)
}

fn dimensions(size: Size) -> (NonZeroU16, NonZeroU16) {
    let size = size.clamped();
    // Never 1: `clamped` gives at least 2.
    (NonZeroU16::new(size.rows).unwrap_or(NonZeroU16::MIN), NonZeroU16::new(size.cols).unwrap_or(NonZeroU16::MIN))
}

impl Style {
    /// The sequence that sets exactly this.
    fn write(&self, out: &mut String) {
        out.push_str("\x1b[0");
        let flags = [(self.bold, 1), (self.dim, 2), (self.italic, 3), (self.underline, 4), (self.inverse, 7)];
        for (_, code) in flags.into_iter().filter(|(on, _)| *on) {
            *out += &format!(";{code}");
        }
        for (color, code) in [(self.fg, 38), (self.bg, 48)] {
            match color {
                Color::Default => {}
                Color::Idx(index) => *out += &format!(";{code};5;{index}"),
                Color::Rgb(r, g, b) => *out += &format!(";{code};2;{r};{g};{b}"),
            }
        }
        out.push('m');
    }
}

const BLANK: &str = " ";
/// Stands for what must not be shown.
const REPLACEMENT: &str = "\u{fffd}";
/// The same in a frame: the emulator drops a replacement character, and shows one for this.
const REPLACED: &str = "?\u{2060}";

/// A cell's text made harmless and at most `room` columns wide. A variation selector or joiner is left out: it only says
/// how to draw what stands before it, and terminals disagree on how wide the result is. Any other hidden character makes
/// the cell a replacement character, because something was to be hidden there.
fn drawable(contents: &str, room: u16) -> Cow<'_, str> {
    if contents.is_empty() {
        return BLANK.into();
    }
    let drops = |c: char| matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{200d}');
    let text: Cow<'_, str> = match contents.contains(drops) {
        true => contents.chars().filter(|c| !drops(*c)).collect::<String>().into(),
        false => contents.into(),
    };
    let fits = (1..=usize::from(room)).contains(&text.width());
    if fits && !text.chars().any(is_hidden) { text } else { REPLACEMENT.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(screen: &Screen) -> Vec<Vec<Cell<'_>>> {
        (0..screen.size().rows).map(|row| screen.cells(row).collect()).collect()
    }

    #[test]
    fn text_colour_and_cursor_survive_a_frame() {
        let size = Size { cols: 12, rows: 3 };
        let mut screen = Screen::new(size);
        screen.feed("\x1b[31mrot\x1b[0m 漢字\r\n\x1b[1;4mX\x1b[0m".as_bytes());
        assert_eq!((screen.row(0).as_str(), screen.row(1).as_str()), ("rot 漢字", "X"));
        assert_eq!(screen.cells(0).next().unwrap().style.fg, Color::Idx(1));
        let mut again = Screen::new(size);
        again.feed(&screen.frame());
        assert_eq!(all(&again), all(&screen));
        assert_eq!(again.cursor(), Some((1, 1)));
    }

    #[test]
    fn nothing_hidden_leaves_a_cell() {
        let mut screen = Screen::new(Size { cols: 40, rows: 2 });
        screen
            .feed("a\u{202e}b c\u{200b}d ✔\u{fe0f} e\u{301} \u{9b}31m \x1b]0;title\x07\x1b]52;c;eA==\x07|".as_bytes());
        let row = screen.row(0);
        assert!(!row.chars().any(is_hidden), "{row:?}");
        assert!(
            row.contains('\u{fffd}') && row.contains('✔') && row.contains("e\u{301}") && row.contains('|'),
            "{row:?}"
        );
        assert!(!row.contains("title"), "{row:?}");
    }

    /// Found by the fuzz target `screen`: with the rest of a character the emulator took what follows it, too. And what
    /// stands around a widener must not become one when it is taken out.
    #[test]
    fn output_may_be_cut_within_a_character() {
        let nested = b"\xef\xb8\xef\xb8\x8f\x8f";
        for bytes in [b"\xd6\xaa!\xe0\xb9\x84|".as_slice(), "é漢💻x".as_bytes(), b"\xf0\x9f\xe6\xbc!", nested] {
            let size = Size { cols: 12, rows: 2 };
            let mut whole = Screen::new(size);
            whole.feed(bytes);
            for cut in 0..bytes.len() {
                let mut parts = Screen::new(size);
                parts.feed(&bytes[..cut]);
                parts.feed(&bytes[cut..]);
                assert_eq!(all(&parts), all(&whole), "{bytes:?} cut at {cut}");
            }
        }
        for at in 0..=nested.len() {
            let mut screen = Screen::new(Size { cols: 4, rows: 2 });
            screen.feed("\u{2714}".as_bytes());
            screen.feed(&nested[..at]);
            screen.feed(&nested[at..]);
            screen.feed(b"|");
            let contents = screen.parser.screen().contents();
            assert!(contents.contains('|') && !contents.contains('\u{fe0f}'), "{contents:?}, cut at {at}");
        }
    }

    /// Bytes that reach deep into the emulator more often than random ones do.
    fn output() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..8),
            "\\PC{0,6}".prop_map(String::into_bytes),
            "[ -~]{0,12}".prop_map(String::into_bytes),
            prop::sample::select(vec![
                "漢",
                "✔\u{fe0f}",
                "\u{301}",
                "e\u{301}",
                "👩\u{200d}💻",
                "\u{202e}",
                "\r",
                "\n",
                "\t",
                "\x08"
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            ("\x1b\\[[?]?[0-9]{0,5}(;[0-9]{0,5}){0,3}[@-~]").prop_map(String::into_bytes),
            "\x1b[78=>McgDEHZ]".prop_map(String::into_bytes),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn no_output_breaks_it(
            parts in prop::collection::vec((output(), 0u16..40, 0u16..20), 1..4),
            cols in 0u16..40, rows in 0u16..20,
        ) {
            let mut screen = Screen::new(Size { cols, rows });
            for (bytes, cols, rows) in parts {
                screen.feed(&bytes);
                for row in all(&screen) {
                    prop_assert_eq!(row.iter().map(|cell| cell.width).sum::<u16>(), screen.size().cols);
                    for cell in row {
                        prop_assert!(!cell.text.chars().any(is_hidden), "{:?}", cell);
                        prop_assert_eq!(cell.text.width(), usize::from(cell.width), "{:?}", cell);
                    }
                }
                let mut again = Screen::new(screen.size());
                again.feed(&screen.frame());
                prop_assert_eq!(all(&again), all(&screen), "{:?}", String::from_utf8_lossy(&screen.frame()));
                prop_assert_eq!(again.cursor(), screen.cursor());
                screen.resize(Size { cols, rows });
            }
        }
    }
}

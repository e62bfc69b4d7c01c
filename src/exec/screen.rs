//! What a command printed as cells of a screen: the only form in which it reaches anybody's terminal.
//!
//! Escape sequences end here. The emulator knows colours, movement and erasing and drops all else (titles, links,
//! clipboard, device control); [`Screen::cells`] lets no hidden character out, and no cell is wider than it says.

use super::pty::Size;
use crate::name::is_hidden;
use std::num::NonZeroU16;
use unicode_width::UnicodeWidthStr;

/// A colour as the command asked for it; what index 1 looks like is the reader's theme's business.
pub use vt100::Color;

/// An emulated screen without scrollback.
pub struct Screen {
    parser: vt100::Parser,
}

/// One cell as it may be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What stands in it, exactly `width` columns wide, without any hidden character; a blank where it is empty.
    pub text: String,
    /// 1, or 2 for a character that covers two columns.
    pub width: u16,
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
        Self { parser: vt100::Parser::new(rows, cols, 0) }
    }
    /// Its size.
    pub fn size(&self) -> Size {
        let (rows, cols) = self.parser.screen().size();
        Size { cols: cols.get(), rows: rows.get() }
    }
    /// Takes in output: any bytes, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
    }
    /// Changes its size. Text is cut or blank is added, lines are not wrapped anew.
    pub fn resize(&mut self, size: Size) {
        let (rows, cols) = dimensions(size);
        self.parser.set_size(rows, cols);
    }
    /// Bytes that draw this state, cursor included, on a new [`Screen`] of the same size. For another emulator only:
    /// they hold escape sequences and are not for a terminal.
    pub fn frame(&self) -> Vec<u8> {
        self.parser.screen().contents_formatted().into_bytes()
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
    pub fn cells(&self, row: u16) -> impl Iterator<Item = Cell> + '_ {
        let cols = self.size().cols;
        let mut col = 0;
        std::iter::from_fn(move || {
            let cell = self.parser.screen().cell(row, col)?;
            let width = if cell.is_wide() && col + 1 < cols { 2 } else { 1 };
            col += width;
            Some(Cell {
                text: drawable(cell.contents(), width),
                width,
                fg: cell.fgcolor(),
                bg: cell.bgcolor(),
                bold: cell.bold(),
                dim: cell.dim(),
                italic: cell.italic(),
                underline: cell.underline(),
                inverse: cell.inverse(),
            })
        })
    }
    /// The text of a row without blanks at its end.
    pub fn row(&self, row: u16) -> String {
        let text: String = self.cells(row).map(|cell| cell.text).collect();
        text.trim_end_matches(' ').to_owned()
    }
}

fn dimensions(size: Size) -> (NonZeroU16, NonZeroU16) {
    let size = size.clamped();
    // Never 1: `clamped` gives at least 2.
    (NonZeroU16::new(size.rows).unwrap_or(NonZeroU16::MIN), NonZeroU16::new(size.cols).unwrap_or(NonZeroU16::MIN))
}

/// A cell's text made harmless and exactly as wide as its cell. A variation selector or joiner is left out: it only says
/// how to draw what stands before it, and terminals disagree on how wide the result is. Any other hidden character makes
/// the cell a replacement character, because something was to be hidden there.
fn drawable(contents: &str, width: u16) -> String {
    let blank = |text: &str| format!("{text}{}", " ".repeat(usize::from(width) - text.width()));
    if contents.is_empty() {
        return blank("");
    }
    let text: String = contents.chars().filter(|c| !matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{200d}')).collect();
    match text.chars().any(is_hidden) || text.width() > usize::from(width) || text.width() == 0 {
        true => blank("\u{fffd}"),
        false => blank(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(screen: &Screen) -> Vec<Vec<Cell>> {
        (0..screen.size().rows).map(|row| screen.cells(row).collect()).collect()
    }

    #[test]
    fn text_colour_and_cursor_survive_a_frame() {
        let size = Size { cols: 12, rows: 3 };
        let mut screen = Screen::new(size);
        screen.feed("\x1b[31mrot\x1b[0m 漢字\r\n\x1b[1;4mX\x1b[0m".as_bytes());
        assert_eq!((screen.row(0).as_str(), screen.row(1).as_str()), ("rot 漢字", "X"));
        assert_eq!(screen.cells(0).next().unwrap().fg, Color::Idx(1));
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
        #![proptest_config(ProptestConfig::with_cases(1500))]
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

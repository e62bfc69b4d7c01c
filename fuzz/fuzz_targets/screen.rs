//! What a command printed, on its way to a terminal: as cells of a screen, as a frame for another screen, and as text.
//!
//! The input: columns, rows, then what is printed; the bytes FF C R stand for a new size.

#![no_main]

use crosscheck::cli::out::Harmless;
use crosscheck::exec::{Cell, Screen, Size};
use crosscheck::name::is_hidden;
use crosscheck_fuzz::{assert_shown, assert_shown_lines, within};
use libfuzzer_sys::fuzz_target;
use std::io::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// What a screen of that size takes, twice over, with its other half for programs that switch, and the frame.
const CELLS_BYTES: usize = 4 << 20;

fuzz_target!(|bytes: &[u8]| {
    text(bytes);
    let [cols, rows, printed @ ..] = bytes else { return };
    within(printed.len(), 8, CELLS_BYTES, || screen(size(*cols, *rows), printed));
});

fn size(cols: u8, rows: u8) -> Size {
    Size { cols: u16::from(cols % 48), rows: u16::from(rows % 16) }
}

fn screen(first: Size, printed: &[u8]) {
    let mut screen = Screen::new(first);
    let mut bytewise = Screen::new(first);
    let mut rest = printed;
    loop {
        let end = rest.iter().position(|byte| *byte == 0xff).unwrap_or(rest.len());
        screen.feed(&rest[..end]);
        rest[..end].iter().for_each(|byte| bytewise.feed(&[*byte]));
        check(&screen);
        assert_eq!(all(&bytewise), all(&screen), "another screen where output is cut elsewhere");
        let [0xff, cols, rows, after @ ..] = &rest[end..] else { return };
        screen.resize(size(*cols, *rows));
        bytewise.resize(size(*cols, *rows));
        check(&screen);
        rest = after;
    }
}

fn all(screen: &Screen) -> Vec<Vec<Cell<'_>>> {
    (0..screen.size().rows).map(|row| screen.cells(row).collect()).collect()
}

fn check(screen: &Screen) {
    for (number, row) in (0..).zip(all(screen)) {
        assert_eq!(row.iter().map(|cell| cell.width).sum::<u16>(), screen.size().cols, "row {number}");
        for cell in row {
            assert_shown(&cell.text);
            assert_eq!(cell.text.width(), usize::from(cell.width), "{cell:?}");
        }
        assert_shown(&screen.row(number));
    }
    let mut again = Screen::new(screen.size());
    again.feed(&screen.frame());
    assert_eq!(all(&again), all(screen), "{:?}", String::from_utf8_lossy(&screen.frame()));
    assert_eq!(again.cursor(), screen.cursor());
    let (cols, rows) = (screen.size().cols, screen.size().rows);
    assert!(screen.cursor().is_none_or(|(col, row)| col < cols && row < rows));
}

/// The way of everything that is printed and is no screen.
fn text(bytes: &[u8]) {
    let through = |parts: &[&[u8]], entries| {
        let mut printed = vec![];
        let mut out = Harmless::new(&mut printed, entries);
        parts.iter().for_each(|part| out.write_all(part).expect("memory takes everything"));
        String::from_utf8(printed).expect("what is printed is UTF-8")
    };
    let whole = within(bytes.len(), 16, 64 * 1024, || through(&[bytes], false));
    assert_shown_lines(&whole);
    let entry = through(&[bytes], true);
    assert_shown_lines(&entry);
    assert!(!entry.strip_suffix('\n').unwrap_or(&entry).contains('\n'), "one entry is two: {entry:?}");
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(through(&pieces, false), whole, "another text where it is cut elsewhere");
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(|c| is_hidden(c) && c != '\n')
    {
        assert_eq!(whole, text, "harmless text was changed");
    }
}

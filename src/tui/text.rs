//! Text on its way to cells: cut and wrapped to columns. Nothing here emits a character that [`crate::name::is_hidden`] calls
//! hidden, whatever comes in.

use crate::name::shown;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// Harmless, and cut to so many columns; a cut is marked with `…`.
pub fn fit(text: &str, width: usize) -> String {
    let text = shown(text);
    if columns(&text) <= width {
        return text;
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > width {
            break;
        }
        used += w;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// [`fit`], then filled with blanks to exactly so many columns.
pub fn pad(text: &str, width: usize) -> String {
    let mut out = fit(text, width);
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(&out))));
    out
}

/// [`fit`], then moved to the right end of so many columns.
pub fn pad_left(text: &str, width: usize) -> String {
    let text = fit(text, width);
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(&text))))
}

/// Breaks styled text into lines of so many columns, at blanks where that is possible; further lines start with
/// `indent` blanks. No character is lost but the blank at which a line was broken.
pub fn wrap(spans: &[Span<'_>], width: usize, indent: usize) -> Vec<Line<'static>> {
    let width = width.max(1);
    let indent = if width > indent + 8 { indent } else { 0 };
    let mut cells: Vec<(char, Style)> = vec![];
    for span in spans {
        cells.extend(shown(&span.content).chars().map(|c| (c, span.style)));
    }
    let mut lines = vec![];
    let mut rest = &cells[..];
    loop {
        let first = lines.is_empty();
        let room = if first { width } else { width - indent };
        let mut used = 0;
        let mut end = 0;
        let mut blank = None;
        for (index, (c, _)) in rest.iter().enumerate() {
            let w = c.width().unwrap_or(0);
            if used + w > room {
                break;
            }
            used += w;
            end = index + 1;
            if *c == ' ' && index > 0 {
                blank = Some(index);
            }
        }
        let (cut, next) = match blank {
            _ if end == rest.len() => (end, end),
            _ if rest[end].0 == ' ' => (end, end + 1),
            Some(blank) if blank * 3 > end => (blank, blank + 1),
            _ => (end.max(1), end.max(1)), // a character wider than the line still moves on
        };
        let mut line: Vec<Span<'static>> = vec![];
        if !first && indent > 0 {
            line.push(Span::raw(" ".repeat(indent)));
        }
        for (c, style) in &rest[..cut] {
            match line.last_mut() {
                Some(last) if last.style == *style => last.content.to_mut().push(*c),
                _ => line.push(Span::styled(c.to_string(), *style)),
            }
        }
        lines.push(Line::from(line));
        rest = &rest[next..];
        if rest.is_empty() {
            return lines;
        }
    }
}

/// The text with every occurrence of one of the values styled as `mark`.
pub fn marked(text: &str, values: &[String], plain: Style, mark: Style) -> Vec<Span<'static>> {
    let mut spans = vec![];
    let mut rest = text;
    while !rest.is_empty() {
        let hit = values
            .iter()
            .filter(|value| !value.is_empty())
            .filter_map(|value| rest.find(value.as_str()).map(|at| (at, value.len())))
            .min_by_key(|(at, length)| (*at, usize::MAX - *length));
        let Some((at, length)) = hit else { break };
        if at > 0 {
            spans.push(Span::styled(rest[..at].to_owned(), plain));
        }
        spans.push(Span::styled(rest[at..at + length].to_owned(), mark));
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        spans.push(Span::styled(rest.to_owned(), plain));
    }
    spans
}

/// A number with its unit, short enough for a column: `41 882`, `32 ms`, `1.4 GB`, `38 %`.
pub fn value(number: f64, unit: &str) -> String {
    let rounded =
        |n: f64| if n.fract().abs() < 0.05 || n.abs() >= 100.0 { format!("{n:.0}") } else { format!("{n:.1}") };
    match unit {
        "B" => {
            let steps = ["B", "kB", "MB", "GB", "TB", "PB"];
            let mut n = number;
            let mut step = 0;
            while n.abs() >= 1000.0 && step + 1 < steps.len() {
                n /= 1000.0;
                step += 1;
            }
            format!("{} {}", rounded(n), steps[step])
        }
        "s" if number >= 100.0 => crate::clock::age(std::time::Duration::from_secs_f64(number.clamp(0.0, 1e15))),
        "" | "messages" => grouped(&rounded(number)),
        unit => format!("{} {}", grouped(&rounded(number)), shown(unit)),
    }
}

fn grouped(digits: &str) -> String {
    let (whole, rest) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let bare = whole.trim_start_matches('-');
    let mut out = String::new();
    for (index, c) in bare.chars().enumerate() {
        if index > 0 && (bare.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    rest.map_or_else(|| format!("{sign}{out}"), |rest| format!("{sign}{out}.{rest}"))
}

/// The newest numbers as bars, newest right; at most `width` of them.
pub fn sparkline(numbers: &[f64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &numbers[numbers.len().saturating_sub(width)..];
    let low = shown.iter().copied().fold(f64::INFINITY, f64::min);
    let high = shown.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |n: f64| {
        let share = if high > low { (n - low) / (high - low) } else { 0.0 };
        BARS[((share * 7.0).round().clamp(0.0, 7.0)) as usize] // clamped to 0..=7 just before; NaN becomes 0
    };
    shown.iter().map(|n| bar(*n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_fit_a_column() {
        assert_eq!(value(41882.0, "messages"), "41 882");
        assert_eq!(value(31.5, "ms"), "31.5 ms");
        assert_eq!(value(18_400_000_000.0, "B"), "18.4 GB");
        assert_eq!(value(-1234.0, ""), "-1 234");
        assert_eq!(value(f64::NAN, ""), "NaN");
        assert_eq!(sparkline(&[0.0, 3.5, 7.0], 8), "▁▅█");
        assert_eq!(sparkline(&[5.0, 5.0], 8), "▁▁");
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing_but_blanks_and_keeps_the_width(text in "\\PC{0,80}", width in 1_usize..40) {
            let lines = wrap(&[Span::raw(text.clone())], width, 2);
            let bare = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
            let all: String = lines.iter().map(|l| l.to_string()).collect();
            prop_assert_eq!(bare(&all), bare(&shown(&text)));
            for line in &lines {
                let line = line.to_string();
                prop_assert!(columns(&line) <= width.max(2) || line.chars().count() <= 3, "{line:?}");
            }
        }

        #[test]
        fn fitted_text_fits(text in "\\PC{0,40}", width in 0_usize..30) {
            prop_assert!(columns(&fit(&text, width)) <= width);
            prop_assert!(columns(&pad(&text, width)) == width);
        }
    }
}

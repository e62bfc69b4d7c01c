//! Text from outside, made harmless for a report: nothing a person typed or a command printed may become markup, leave
//! its fence, or act on the terminal of whoever prints the file.

use crate::name::{escaped, shown};

/// Inline Markdown that shows exactly this text; never put at the start of a line, where more characters mean something.
pub fn inline(text: &str) -> String {
    let text = shown(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.as_str();
        let means_something = match c {
            // No link without brackets, so parentheses and `!` stay readable; `$` begins a formula for some readers.
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '$' => true,
            // Within a word it is only an underscore.
            '_' => !(before.is_alphanumeric() && after.starts_with(char::is_alphanumeric)),
            // From these, links are guessed.
            ':' => after.starts_with("//"),
            '.' => before.eq_ignore_ascii_case(&'w'),
            _ => false,
        };
        if means_something {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

/// A code span that shows exactly this text, hidden characters written out. Not for tables: a `|` would split the cell.
pub fn code(text: &str) -> String {
    let text = escaped(text);
    let ticks = "`".repeat(longest_run(&text) + 1);
    let at_an_end = |c: char| text.starts_with(c) || text.ends_with(c);
    match text.is_empty() {
        true => "(empty)".into(),
        // A tick at an end would join the span's own; of blanks at both ends one would be dropped.
        false if at_an_end('`') || at_an_end(' ') => format!("{ticks} {text} {ticks}"),
        false => format!("{ticks}{text}{ticks}"),
    }
}

/// A fenced block of these lines; the fence is longer than any run of ticks within, so that no line can end it.
pub fn fence<T: AsRef<str>>(lines: &[T]) -> String {
    let longest = lines.iter().map(|line| longest_run(line.as_ref())).max().unwrap_or(0);
    let ticks = "`".repeat((longest + 1).max(3));
    let mut out = format!("{ticks}text\n");
    for line in lines {
        out.push_str(&escaped(line.as_ref()));
        out.push('\n');
    }
    out + &ticks + "\n"
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// What a terminal would have left on its lines, roughly: colours and other sequences are dropped, a carriage return
/// begins its line anew, and what is hidden after that is written out.
pub fn plain_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            plain.push(c);
            continue;
        }
        match chars.peek() {
            Some('[') => {
                chars.next();
                // Parameters, up to the final character; a line end means that the sequence was cut.
                while let Some(c) = chars.next_if(|c| *c != '\n' && !c.is_control()) {
                    if ('\u{40}'..='\u{7e}').contains(&c) {
                        break;
                    }
                }
            }
            // Strings for the terminal itself: titles, links, the clipboard, device control.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while let Some(c) = chars.next_if(|c| *c != '\n') {
                    if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            _ => plain.push('\u{1b}'),
        }
    }
    let ended = plain.strip_suffix('\n').unwrap_or(&plain);
    if ended.is_empty() {
        return vec![];
    }
    let left = |line: &str| shown(line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default());
    ended.split('\n').map(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_text() {
        let hostile = "a|b <i>*x*</i> [l](http://e) \u{202e}\n# www.e a_b _c_ x@e.org: 1";
        let harmless = r"a\|b \<i\>\*x\*\</i\> \[l\](http\://e) \\u{202e} \# www\.e a_b \_c\_ x@e.org: 1";
        assert_eq!(inline(hostile), harmless);
        assert_eq!((code("a`b``c").as_str(), code("`").as_str()), ("```a`b``c```", "`` ` ``"));
        assert_eq!(fence(&["x", "```", "~~~"]), "````text\nx\n```\n~~~\n````\n");
        assert_eq!(fence(&["a\n```\nb"]), "````text\na\\n```\\nb\n````\n");
    }

    #[test]
    fn output_loses_its_colours_and_keeps_its_words() {
        assert_eq!(
            plain_lines(b"\x1b[31mred\x1b[0m\r\n10%\r20%\r\n\x1b]0;title\x07x\xff\n"),
            ["red", "20%", "x\u{fffd}"]
        );
        assert_eq!(plain_lines(b"a\x1bZ\x1b[31"), ["a\\u{1b}Z"]);
        assert!(plain_lines(b"").is_empty());
    }
}

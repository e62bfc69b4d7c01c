//! Small readers without a place: durations, sizes, identifiers, and the word a mistyped one is nearest to.

use std::time::Duration;

/// Letters, digits and `_`, no digit first: what a template can name and a shell can hold in its environment.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// A whole number and one unit (ms, s, m, h, d), as a duration stands in a plan; nothing where it is none.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    Some(Duration::from_secs(number.saturating_mul(seconds)))
}

pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor: u64 = match unit.trim_start() {
        "B" | "" => 1,
        "KB" | "kB" => 1000,
        "MB" => 1000_u64.pow(2),
        "GB" => 1000_u64.pow(3),
        "TB" => 1000_u64.pow(4),
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// The known word a mistyped one is nearest to, if it is near enough to be meant.
pub(super) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    // What is longer than any key was not mistyped, and the comparison is quadratic.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    known
        .map(|known| (known.to_lowercase(), known))
        .map(|(lower, known)| match word.len() >= 3 && (word.starts_with(&lower) || lower.starts_with(&word)) {
            true => (1, known),
            false => (distance(&word, &lower), known),
        })
        .filter(|(distance, known)| *distance <= (known.chars().count() / 3).max(1))
        .min()
        .map(|(_, known)| known)
}

/// How many letters have to be added, dropped or replaced to turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(parse_duration("800ms"), Some(Duration::from_millis(800)));
        assert_eq!(parse_duration("26h"), Some(Duration::from_secs(26 * 3600)));
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(7 * 24 * 3600)));
        for bad in ["", "s", "5", "5 s", "-5s", "1h30m", "1.5h", "5S", "99999999999999999999s", "٣s"] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
        assert_eq!(parse_bytes("5GiB"), Some(5 << 30));
        assert_eq!(parse_bytes("10 MB"), Some(10_000_000));
        for bad in ["", "GiB", "5XB", "-1B", "99999999999TiB"] {
            assert_eq!(parse_bytes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_mistyped_word_finds_the_one_that_was_meant() {
        let known = || ["gates", "stale_after", "run", "watch"].into_iter();
        assert_eq!(nearest("gate", known()), Some("gates"));
        assert_eq!(nearest("stale-after", known()), Some("stale_after"));
        assert_eq!(nearest("watches", known()), Some("watch"));
        assert_eq!(nearest("Run", known()), Some("run"));
        assert_eq!(nearest("colour", known()), None);
    }
}

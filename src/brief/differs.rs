//! In what two texts of an item differ, word by word and line by line: what stands there now, and what stood there.

use super::item::{Change, Text, quoted};
use crate::name::escaped;

/// More is told as so many more: who wants all of them reads the item.
const CHANGES_MAX: usize = 40;
/// What is longer is told by the words around its first and its last difference,
const WHOLE: usize = 60;
/// and by so many characters at most.
const PART: usize = 120;
/// Lines times lines that are compared each with each.
const PAIRS_MAX: usize = 1 << 20;

/// All of them; none where both say the same.
pub fn changes(is: &Text, was: &Text) -> Vec<Change> {
    let mut all = vec![];
    let part = |name: &str| name.to_owned();
    match (is, was) {
        (Text::Command(is), Text::Command(was)) => {
            let words = |argv: &[String]| argv.iter().map(|word| quoted(word)).collect::<Vec<_>>();
            listed(&mut all, ("argument", 0), &words(is), &words(was));
        }
        (Text::Script { by, lines, note }, Text::Script { by: by_then, lines: then, note: note_then }) => {
            value(&mut all, part("shell"), escaped(by), escaped(by_then));
            listed(&mut all, ("line", 1), lines, then);
            value(&mut all, part("its end"), noted(note), noted(note_then));
        }
        (Text::Lines { head, lines, note }, Text::Lines { head: head_then, lines: then, note: note_then }) => {
            listed(&mut all, ("line", 1), lines, then);
            value(&mut all, part("its end"), noted(note), noted(note_then));
            if all.is_empty() {
                value(&mut all, part("its hash"), escaped(head), escaped(head_then));
            }
        }
        (Text::Variables(is), Text::Variables(was)) => variables(&mut all, is, was),
        (Text::File { .. }, Text::File { .. }) => file(&mut all, is, was),
        (Text::Words(is), Text::Words(was)) => value(&mut all, String::new(), escaped(is), escaped(was)),
        _ => value(&mut all, String::new(), is.short(), was.short()),
    }
    let more = all.len().saturating_sub(CHANGES_MAX);
    if more > 0 {
        all.truncate(CHANGES_MAX);
        all.push(Change { part: format!("and {more} more"), is: None, was: None });
    }
    all
}

fn noted(note: &Option<String>) -> String {
    note.as_deref().unwrap_or("as usual").to_owned()
}

fn value(all: &mut Vec<Change>, part: String, is: String, was: String) {
    if is != was {
        let (is, was) = around(&is, &was);
        all.push(Change { part, is: Some(is), was: Some(was) });
    }
}

fn variables(all: &mut Vec<Change>, is: &[(String, String)], was: &[(String, String)]) {
    let of = |all: &[(String, String)], name: &str| {
        all.iter().find(|(other, _)| other == name).map(|(_, value)| quoted(value))
    };
    let gone = was.iter().filter(|(name, _)| of(is, name).is_none());
    for (name, _) in is.iter().chain(gone) {
        match (of(is, name), of(was, name)) {
            (Some(is), Some(was)) => value(all, escaped(name), is, was),
            (is, was) => all.push(Change { part: escaped(name), is, was }),
        }
    }
}

/// Where both texts were kept their lines are told, else hash and size.
fn file(all: &mut Vec<Change>, is: &Text, was: &Text) {
    let (
        Text::File { path, sha256, size, aside, lines, note },
        Text::File {
            path: path_then,
            sha256: hash_then,
            size: size_then,
            aside: aside_then,
            lines: then,
            note: note_then,
        },
    ) = (is, was)
    else {
        return;
    };
    value(all, "its path".to_owned(), escaped(path), escaped(path_then));
    value(all, "how it runs".to_owned(), escaped(aside), escaped(aside_then));
    if sha256 == hash_then && size == size_then {
        return;
    }
    let known = all.len();
    if !lines.is_empty() && !then.is_empty() {
        listed(all, ("line", 1), lines, then);
        value(all, "its end".to_owned(), noted(note), noted(note_then));
    }
    if all.len() == known {
        value(all, "SHA-256".to_owned(), sha256.short(), hash_then.short());
        value(all, "bytes".to_owned(), size.to_string(), size_then.to_string());
    }
}

/// Numbered things: what stands at a place in the place of what stood there, what is new, what is gone.
fn listed(all: &mut Vec<Change>, (name, from): (&str, usize), is: &[String], was: &[String]) {
    for (now, then) in hunks(is, was) {
        for index in 0..now.len().max(then.len()) {
            let at = |range: &std::ops::Range<usize>| (index < range.len()).then(|| range.start + index);
            let (now, then) = (at(&now), at(&then));
            let part = match (now, then) {
                (Some(now), _) => format!("{name} {}", now + from),
                (None, Some(then)) => format!("{name} {} of then", then + from),
                (None, None) => continue,
            };
            match (now, then) {
                (Some(now), Some(then)) => value(all, part, is[now].clone(), was[then].clone()),
                (now, then) => {
                    let text = |text: &String| around(text, "").0;
                    all.push(Change {
                        part,
                        is: now.map(|now| text(&is[now])),
                        was: then.map(|then| text(&was[then])),
                    });
                }
            }
        }
    }
}

type Range = std::ops::Range<usize>;

/// The runs in which two lists differ, in order: by the longest sequence that both have.
fn hunks(is: &[String], was: &[String]) -> Vec<(Range, Range)> {
    let start = is.iter().zip(was).take_while(|(a, b)| a == b).count();
    let ends = is[start..].iter().rev().zip(was[start..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (is_end, was_end) = (is.len() - ends, was.len() - ends);
    let (mid, old) = (&is[start..is_end], &was[start..was_end]);
    if mid.is_empty() && old.is_empty() {
        return vec![];
    }
    if mid.len().saturating_mul(old.len()) > PAIRS_MAX {
        return vec![(start..is_end, start..was_end)];
    }
    // Length of the longest common rest from each pair of places on.
    let columns = old.len() + 1;
    let mut rest = vec![0_u32; (mid.len() + 1) * columns];
    for i in (0..mid.len()).rev() {
        for j in (0..old.len()).rev() {
            rest[i * columns + j] = match mid[i] == old[j] {
                true => rest[(i + 1) * columns + j + 1] + 1,
                false => rest[(i + 1) * columns + j].max(rest[i * columns + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut all) = (0, 0, vec![]);
    while i < mid.len() || j < old.len() {
        let (from_i, from_j) = (i, j);
        while (i < mid.len() || j < old.len()) && !(i < mid.len() && j < old.len() && mid[i] == old[j]) {
            let skip = i < mid.len() && (j == old.len() || rest[(i + 1) * columns + j] >= rest[i * columns + j + 1]);
            if skip { i += 1 } else { j += 1 }
        }
        if (from_i, from_j) != (i, j) {
            all.push((start + from_i..start + i, start + from_j..start + j));
        }
        while i < mid.len() && j < old.len() && mid[i] == old[j] {
            (i, j) = (i + 1, j + 1);
        }
    }
    all
}

/// Both whole where they are short; else the words in which they differ, with one that they share on each side.
fn around(is: &str, was: &str) -> (String, String) {
    if is.chars().count() <= WHOLE && was.chars().count() <= WHOLE {
        return (is.to_owned(), was.to_owned());
    }
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (ours, theirs) = (words(is), words(was));
    let start = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let most = ours.len().min(theirs.len()) - start;
    let end = ours.iter().rev().zip(theirs.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let (from, upto) = (start.saturating_sub(1), end.saturating_sub(1));
    let told = |words: &[String]| {
        let (before, after) = (if from > 0 { "… " } else { "" }, if upto > 0 { " …" } else { "" });
        format!("{before}{}{after}", words[from..words.len() - upto].join(" "))
    };
    let (is, was) = (told(&ours), told(&theirs));
    // One word alone may be longer than that: then what counts is where it begins to differ.
    let same = is.chars().zip(was.chars()).take_while(|(a, b)| a == b).count();
    let cut = |text: &str| match text.chars().count() {
        0..=PART => text.to_owned(),
        _ => {
            let skip = same.saturating_sub(PART / 4);
            let part: String = text.chars().skip(skip).take(PART).collect();
            let more = if text.chars().count() > skip + PART { "…" } else { "" };
            format!("{}{part}{more}", if skip > 0 { "…" } else { "" })
        }
    };
    (cut(&is), cut(&was))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Text {
        Text::Command(line.split(' ').map(str::to_owned).collect())
    }
    fn told(is: &Text, was: &Text) -> Vec<(String, String, String)> {
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        changes(is, was).into_iter().map(|change| (change.part, text(change.is), text(change.was))).collect()
    }
    fn row(part: &str, is: &str, was: &str) -> (String, String, String) {
        (part.to_owned(), is.to_owned(), was.to_owned())
    }

    #[test]
    fn the_argument_that_differs_is_named() {
        let was = command("psql -h eu1-pg-01 -t 5s");
        assert_eq!(told(&was, &was), []);
        assert_eq!(told(&command("psql -h eu1-pg-02 -t 5s"), &was), [row("argument 2", "eu1-pg-02", "eu1-pg-01")]);
        assert_eq!(told(&command("psql -v -h eu1-pg-01 -t 5s"), &was), [row("argument 1", "-v", "-")]);
        assert_eq!(told(&command("psql -h eu1-pg-01 5s"), &was), [row("argument 3 of then", "-", "-t")]);
        // Of a long one the words that differ, not all that are the same.
        let sql = |index: &str| {
            let text =
                format!("SET lock_timeout = '5s'; DROP INDEX CONCURRENTLY {index} CASCADE; SELECT pg_stat_reset();");
            Text::Command(vec!["psql".to_owned(), text])
        };
        let [(_, is, was)] = &told(&sql("orders_v41"), &sql("orders_v40"))[..] else { panic!() };
        assert_eq!(
            (is.as_str(), was.as_str()),
            ("… CONCURRENTLY orders_v41 CASCADE; …", "… CONCURRENTLY orders_v40 CASCADE; …")
        );
    }

    #[test]
    fn lines_variables_and_files_are_told_where_they_differ() {
        let script = |lines: &[&str]| Text::Script {
            by: "sh".to_owned(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            note: None,
        };
        let was = script(&["cd /srv", "rm old/*", "sync"]);
        assert_eq!(told(&script(&["cd /srv", "rm */*", "sync"]), &was), [row("line 2", "rm */*", "rm old/*")]);
        assert_eq!(told(&script(&["cd /srv", "sync"]), &was), [row("line 2 of then", "-", "rm old/*")]);
        assert_eq!(told(&script(&["cd /srv", "rm old/*", "sync", "ls"]), &was), [row("line 4", "ls", "-")]);
        let env = |all: &[(&str, &str)]| {
            Text::Variables(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(
            told(&env(&[("A", "1"), ("B", "x y")]), &env(&[("C", ""), ("B", "x")])),
            [row("A", "1", "-"), row("B", "'x y'", "x"), row("C", "-", "''")]
        );
        let file = |text: &str, lines: &[&str]| Text::File {
            path: "/srv/a.json".to_owned(),
            sha256: crate::hash::Hash::of(text.as_bytes()),
            size: text.len() as u64,
            aside: String::new(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            note: None,
        };
        let (one, two) = (file("a\nb\n", &["a", "b"]), file("a\nc\n", &["a", "c"]));
        assert_eq!(told(&two, &one), [row("line 2", "c", "b")]);
        let unkept = told(&file("a\nc\nd\n", &[]), &one);
        assert_eq!(unkept.iter().map(|(part, ..)| part.as_str()).collect::<Vec<_>>(), ["SHA-256", "bytes"]);
        assert_eq!(unkept[1], row("bytes", "6", "4"));
    }

    #[test]
    fn no_difference_is_ever_told_as_none() {
        let long = |middle: &str| format!("{}{middle}{}", "a".repeat(300), "b".repeat(300));
        let [change] = &changes(&Text::Words(long("x")), &Text::Words(long("y")))[..] else { panic!() };
        assert_ne!(change.is, change.was);
        assert!(change.is.as_ref().is_some_and(|is| is.chars().count() < 130 && is.contains('x')), "{change:?}");
        let many: Vec<String> = (0..3000).map(|line| format!("{line}")).collect();
        let other: Vec<String> = (0..3000).map(|line| format!("x{line}")).collect();
        let script = |lines: Vec<String>| Text::Script { by: String::new(), lines, note: None };
        let all = changes(&script(other), &script(many));
        assert_eq!((all.len(), all[CHANGES_MAX].part.as_str()), (CHANGES_MAX + 1, "and 2960 more"));
    }
}

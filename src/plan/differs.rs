//! In what two texts of a plan differ, in a sentence.

use crate::name::shown;
use std::collections::BTreeSet;
use toml::{Table, Value};

/// Keys that are named; who wants all of them compares the files.
const NAMED: usize = 6;

/// In what a plan's text differs from what it was: the keys, where both can be read, and the first line.
pub fn differs(was: &str, now: &str) -> String {
    let mut ours = was.lines();
    let mut line = 1;
    for theirs in now.lines() {
        if ours.next() != Some(theirs) {
            break;
        }
        line += 1;
    }
    let keys = match (was.parse::<Table>(), now.parse::<Table>()) {
        (Ok(was), Ok(now)) => {
            let mut keys = BTreeSet::new();
            tables("", &was, &now, &mut keys);
            keys
        }
        (_, Err(_)) => return format!("from line {line} on, and it cannot be read as a plan any more"),
        (Err(_), _) => BTreeSet::new(),
    };
    let named: Vec<_> = keys.iter().take(NAMED).map(|key| shown(key)).collect();
    let more = keys.len().saturating_sub(NAMED);
    match (named.is_empty(), more) {
        (true, _) => format!("from line {line} on, but for blanks and comments in nothing"),
        (false, 0) => format!("from line {line} on: {}", named.join(", ")),
        (false, more) => format!("from line {line} on: {} and {more} more", named.join(", ")),
    }
}

fn tables(path: &str, was: &Table, now: &Table, keys: &mut BTreeSet<String>) {
    for key in was.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (was.get(key), now.get(key)) {
            (Some(was), Some(now)) => values(&path, was, now, keys),
            _ => drop(keys.insert(path)),
        }
    }
}

fn values(path: &str, was: &Value, now: &Value, keys: &mut BTreeSet<String>) {
    match (was, now) {
        (Value::Table(was), Value::Table(now)) => tables(path, was, now, keys),
        (Value::Array(was), Value::Array(now)) if was.iter().chain(now).all(Value::is_table) => {
            // Steps and watches by their names: one more in between is one difference, not all that come after it.
            let name = |index: usize, value: &Value| {
                let name = ["id", "name"].into_iter().find_map(|key| value.get(key)?.as_str());
                name.map_or_else(|| (index + 1).to_string(), str::to_owned)
            };
            let named = |list: &[Value]| -> Table {
                list.iter().enumerate().map(|(index, value)| (name(index, value), value.clone())).collect()
            };
            let (were, are) = (named(was), named(now));
            tables(path, &were, &are, keys);
            let order = |list: &[Value]| list.iter().enumerate().map(|(i, v)| name(i, v)).collect::<Vec<_>>();
            if were.len() == are.len() && were.keys().eq(are.keys()) && order(was) != order(now) {
                keys.insert(format!("{path} (their order)"));
            }
        }
        _ if was == now => {}
        _ => drop(keys.insert(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_by_its_keys_and_its_first_line() {
        let was = "name = \"a\"\n[[step]]\nid = \"one\"\nrun = \"x\"\n[[step]]\nid = \"two\"\nrun = \"y\"\n";
        assert_eq!(differs(was, &was.replace("\"y\"", "\"z\"")), "from line 7 on: step.two.run");
        let more =
            was.replace("[[step]]\nid = \"two\"", "[[step]]\nid = \"half\"\n[[step]]\nid = \"two\"\ncwd = \"/\"");
        assert_eq!(differs(was, &more), "from line 6 on: step.half, step.two.cwd");
        assert_eq!(differs(was, &format!("# so\n{was}")), "from line 1 on, but for blanks and comments in nothing");
        assert_eq!(differs(was, "name = "), "from line 1 on, and it cannot be read as a plan any more");
        let swapped = "name = \"a\"\n[[step]]\nid = \"two\"\nrun = \"y\"\n[[step]]\nid = \"one\"\nrun = \"x\"\n";
        assert_eq!(differs(was, swapped), "from line 3 on: step (their order)");
        let many: String = (0..9).map(|n| format!("k{n} = 1\n")).collect();
        assert!(differs("", &many).ends_with("k5 and 3 more"), "{}", differs("", &many));
        let hostile = differs("", "\"\\u001b[2J\" = 1");
        assert!(!hostile.contains('\u{1b}'), "{hostile:?}");
    }
}

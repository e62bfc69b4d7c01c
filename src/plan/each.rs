//! `each`: a step that works through the lines of a file, a few first and then more, and looks after each batch.

use super::table::{Table, Value};
use super::{Command, Stdin, Template};

/// How a step's lines are dealt out; its command gets those of one batch on its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Each {
    /// The file, relative to the command's folder.
    pub file: Template,
    /// Lines of the first batch.
    pub first: u32,
    /// Lines of every other.
    pub then: u32,
    /// A line without anything in it is a line like the others (`empty = "line"`); else it is refused.
    pub empty: bool,
}

/// The most lines of one batch.
const LINES_MAX: u64 = 1_000_000;

/// `each = { file = "ids.txt", first = 10, then = 500, empty = "line" }` among the keys of a step.
pub(super) fn read(value: &Value<'_>, step: &Table<'_>) -> Option<Each> {
    let table = value.table("batches", &["file", "first", "then", "empty"], &[])?;
    let lines = |key: &'static str| {
        let label = format!("expected {key} = 10, a number of lines");
        let given = table.require(key, &label)?;
        u32::try_from(given.integer(1..=LINES_MAX)?).ok()
    };
    let file = table.require("file", "expected file = \"a path\"").and_then(|file| file.template(false));
    let (first, then) = (lines("first"), lines("then"));
    let empty = table.get("empty").map_or(Some(false), |empty| empty.choice(&[("line", true)]));
    for key in ["stdin", "input", "until", "manual", "on"] {
        if let Some(other) = step.get(key).filter(|other| other.peek() != Some("none")) {
            return other.wrong(
                format!("`each` and `{key}` in one step"),
                "the lines of a batch are all that its command gets",
            );
        }
    }
    if step.get("verify").is_none() {
        let label = "expected `verify` beside it: nothing else would stop at a batch that makes things worse";
        return value.wrong("`each` in a step that is not verified", label);
    }
    Some(Each { file: file?, first: first?, then: then?, empty: empty? })
}

impl Each {
    /// What is run, with the file on its standard input; of which it gets a batch at a time.
    pub(super) fn feeds(&self, command: Command) -> Command {
        Command { stdin: Some(Stdin::File(self.file.clone())), ..command }
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Plan;

    fn problems(step: &str) -> Vec<String> {
        let text = format!(
            "crosscheck = 1\nname = \"p\"\nenvironment = \"e\"\n[crew]\nlead = [\"l@e\"]\nshadow = [\"s@e\"]\n[[watch]]\nid = \"w\"\n\
             kind = \"tcp\"\naddress = \"h:1\"\n[[step]]\nid = \"s\"\nrun = [\"./s\"]\n{step}\n"
        );
        match Plan::parse("plan.toml", &text) {
            Ok(_) => vec![],
            Err(errors) => errors.problems.into_iter().map(|problem| problem.message).collect(),
        }
    }

    const EACH: &str = "each = { file = \"f\", first = 1, then = 2 }\n";
    const VERIFY: &str = "verify = { watches = [\"w\"], for = \"1s\" }\n";

    #[test]
    fn what_is_wrong_in_batches_is_told() {
        assert_eq!(problems(&format!("{EACH}{VERIFY}")), [""; 0]);
        assert_eq!(problems(EACH), ["`each` in a step that is not verified"]);
        for (more, message) in [
            ("stdin = \"x\"", "`each` and `stdin` in one step"),
            ("input = \"lead\"", "`each` and `input` in one step"),
            ("until = \"w\"", "`each` and `until` in one step"),
        ] {
            assert!(problems(&format!("{EACH}{VERIFY}{more}\n")).contains(&message.to_owned()), "{more}");
        }
        for each in [
            "{ file = \"f\", first = 1, then = 2, empty = \"skip\" }",
            "{ file = \"f\", first = 0, then = 2 }",
            "{ file = \"f\", first = 1 }",
            "\"f\"",
            "{ first = 1, then = 1 }",
        ] {
            assert!(!problems(&format!("each = {each}\n{VERIFY}")).is_empty(), "{each}");
        }
    }
}

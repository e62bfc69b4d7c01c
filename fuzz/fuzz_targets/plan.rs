//! A plan file: what is wrong with it or unwise in it is drawn, what is right is read again as the same.

#![no_main]

use crosscheck::plan::{Plan, lint};
use crosscheck_fuzz::{assert_shown_lines, within};
use libfuzzer_sys::fuzz_target;

/// A table of a TOML file takes five bytes to write (`[a.b]`) and some hundreds of bytes as a table.
const TIMES: usize = 256;
const BESIDE: usize = 2 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let plan = match within(bytes.len(), TIMES, BESIDE, || Plan::parse("plan.toml", text)) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(!error.problems.is_empty());
            return assert_shown_lines(&within(bytes.len(), TIMES, BESIDE, || error.render(false)));
        }
    };
    assert_eq!(&*plan.text, text);
    assert_eq!(Plan::parse("plan.toml", &plan.text).as_ref(), Ok(&plan));
    for warning in within(bytes.len(), TIMES, BESIDE, || lint(&plan)) {
        assert!(warning.span.end <= text.len() && warning.line >= 1);
        assert_shown_lines(&warning.render("plan.toml", &plan, false));
    }
    within(bytes.len(), TIMES, BESIDE, || {
        let Ok(params) = plan.params(&Default::default()) else { return };
        for step in &plan.steps {
            // What a step runs is filled in from parameters, and no text in a plan makes more of it than that.
            let _ = step.command().map(|command| command.run.argv(&params));
        }
    });
});

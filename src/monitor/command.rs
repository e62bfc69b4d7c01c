//! A command somebody wrote to look at something: exit 0 is ok, 1 is fail, and anything else says that it could not tell.
//! Where the plan points into its output, that is JSON and has to say what the plan expects.

use super::child::{Ended, Program, TEXT_BYTES_MAX, first_line, said, signal};
use super::{Findings, aged, excerpt, json};
use crate::clock::age;
use crate::event::{Reading, Status};
use crate::plan::{Answer, Bounds, Expected};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What is read of an answer in JSON at most. A list of every snapshot there is must not fill the hub.
const JSON_BYTES_MAX: usize = 4 << 20;

/// What is run, and what it has to say.
pub(super) struct Command {
    program: Program,
    answer: Answer,
}

impl Command {
    pub(super) fn new(argv: Vec<String>, folder: &Path, timeout: Duration, answer: &Answer) -> Self {
        let keep = if answer.is_json() { JSON_BYTES_MAX } else { TEXT_BYTES_MAX };
        let program = Program { argv, folder: folder.to_owned(), env: vec![], timeout, keep };
        Command { program, answer: answer.clone() }
    }

    /// Runs it once. Dropped half-way, it kills what it started.
    pub(super) async fn read(&self) -> Reading {
        match self.program.run().await {
            Ok(ended) if self.answer.is_json() => answer(&ended, &self.answer, SystemTime::now()),
            Ok(ended) => judge(&ended, &self.answer.bounds),
            Err(failed) => Reading::unknown(failed.why(true)),
        }
    }
}

/// How it ended, as a finding; nothing where it told nothing.
fn exit(ended: &Ended, said: &str, fine: &str) -> Result<(Status, String), Reading> {
    match ended.status.code() {
        Some(0) => Ok((Status::Ok, fine.to_owned())),
        Some(1) => Ok((Status::Fail, format!("exit 1{said}"))),
        // Whoever could not tell has no number to tell either.
        Some(code) => Err(Reading::unknown(format!("exit {code}{said}"))),
        None => Err(Reading::unknown(format!("ended by {}{said}", signal(ended.status)))),
    }
}

fn judge(ended: &Ended, bounds: &Bounds) -> Reading {
    let line = first_line(&ended.out);
    // Only a plain, finite number is a value; "12%" or "nan" is text.
    let value = line.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).filter(|n| n.is_finite());
    let said = said(&ended.out, &ended.err);
    let fine = if said.is_empty() { "exit 0" } else { said.trim_start_matches(": ") };
    let mut findings = Findings::default();
    match exit(ended, &said, fine) {
        Ok((status, sentence)) => findings.add(status, sentence),
        Err(reading) => return reading,
    }
    match value {
        Some(value) => within(value, bounds, &mut findings),
        None if bounds.any() => findings.add(Status::Unknown, "no number to hold against the limits"),
        None => {}
    }
    findings.reading("", value, "")
}

/// Holds a number against its limits.
fn within(value: f64, bounds: &Bounds, findings: &mut Findings) {
    for (status, above, below) in
        [(Status::Fail, bounds.fail_above, bounds.fail_below), (Status::Warn, bounds.warn_above, bounds.warn_below)]
    {
        if let Some(most) = above.filter(|most| value > *most) {
            return findings.add(status, format!("{value} is more than {most}"));
        }
        if let Some(least) = below.filter(|least| value < *least) {
            return findings.add(status, format!("{value} is less than {least}"));
        }
    }
}

/// The verdict on what it printed. Whatever the plan points at and is not there is unknown: a tool that changed its format
/// must not turn a gate green.
fn answer(ended: &Ended, wanted: &Answer, now: SystemTime) -> Reading {
    let mut findings = Findings::default();
    // JSON says little in one line; what is wrong with it stands in what follows or on the other stream.
    match exit(ended, &said(&[], &ended.err), "") {
        Ok((Status::Ok, _)) => {}
        Ok((status, sentence)) => findings.add(status, sentence),
        Err(reading) => return reading,
    }
    if !ended.whole {
        let most = JSON_BYTES_MAX >> 20;
        findings.add(Status::Unknown, format!("its output is longer than {most} MiB, or was cut off"));
        return findings.reading("", None, "");
    }
    let json: Value = match serde_json::from_slice(&ended.out) {
        Ok(json) => json,
        Err(error) => {
            findings.add(Status::Unknown, format!("its output is not JSON: {}", excerpt(&error.to_string(), 80)));
            return findings.reading("", None, "");
        }
    };
    let mut seen = vec![];
    for (pointer, expected) in &wanted.expect {
        let place = excerpt(pointer, 60);
        match json::at(&json, pointer) {
            Ok(found) if json::is(found, expected) => seen.push(format!("{place} is {}", quoted(found))),
            Ok(found) => {
                findings.add(Status::Fail, format!("{place} is {}, not {}", quoted(found), written(expected)));
            }
            Err(why) => findings.add(Status::Unknown, why),
        }
    }
    if let Some(pointer) = &wanted.age {
        let moment = json::at(&json, pointer).and_then(|found| json::moment(found, wanted.age_zone));
        match moment.map(|moment| aged(moment, now)) {
            Ok(Ok(old)) => {
                seen.push(format!("{} old", age(old)));
                if let Some(most) = wanted.max_age.filter(|most| old > *most) {
                    findings.add(Status::Fail, format!("older than {}", age(most)));
                }
            }
            Ok(Err(why)) | Err(why) => findings.add(Status::Unknown, why),
        }
    }
    let mut value = None;
    if let Some(pointer) = &wanted.value {
        match json::at(&json, pointer) {
            Ok(found) => match json::number(found) {
                Some(number) => {
                    value = Some(number);
                    within(number, &wanted.bounds, &mut findings);
                    seen.push(format!("{} is {number}", excerpt(pointer, 60)));
                }
                None => {
                    let found = quoted(found);
                    findings.add(Status::Unknown, format!("no number at {} but {found}", excerpt(pointer, 60)));
                }
            },
            Err(why) => findings.add(Status::Unknown, why),
        }
    } else if wanted.bounds.any() {
        findings.add(Status::Unknown, "no `value` to hold against the limits");
    }
    findings.reading(&seen.join(", "), value, "")
}

fn quoted(found: &Value) -> String {
    excerpt(&found.to_string(), 60)
}

fn written(expected: &Expected) -> String {
    match expected {
        Expected::Text(text) => excerpt(&format!("{text:?}"), 60),
        Expected::Number(number) => number.to_string(),
        Expected::Truth(truth) => truth.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(script: &str, answer: Answer) -> Reading {
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        Command::new(argv, Path::new("/"), Duration::from_secs(30), &answer).read().await
    }
    fn says(reading: &Reading, status: Status, value: Option<f64>, words: &str) {
        assert!(
            reading.status == status && reading.value == value && reading.why.contains(words),
            "{words}: {reading:?}"
        );
    }

    #[tokio::test]
    async fn a_number_has_limits_on_both_sides() {
        let bounds =
            Bounds { warn_above: Some(5.0), fail_above: Some(9.0), warn_below: Some(1.0), fail_below: Some(-1.0) };
        for (number, status, words) in [
            ("3", Status::Ok, "3"),
            ("5", Status::Ok, "5"),
            ("5.5", Status::Warn, "5.5 is more than 5"),
            ("10", Status::Fail, "10 is more than 9"),
            ("0", Status::Warn, "0 is less than 1"),
            ("-2", Status::Fail, "-2 is less than -1"),
        ] {
            let value = number.parse().ok();
            let plain = read(&format!("echo {number} rows"), Answer { bounds, ..Answer::default() }).await;
            says(&plain, status, value, words);
            let answer = Answer { bounds, value: Some("/a/-".into()), ..Answer::default() };
            says(&read(&format!("echo '{{\"a\": [7, {number}]}}'"), answer.clone()).await, status, value, words);
            says(&read(&format!("echo '{{\"a\": [\"{number}\"]}}'"), answer).await, status, value, words);
        }
        let none = read("echo rows", Answer { bounds, ..Answer::default() }).await;
        says(&none, Status::Unknown, None, "no number to hold against the limits");
    }

    #[tokio::test]
    async fn what_is_not_there_is_unknown_and_an_exit_still_counts() {
        let answer = || Answer { value: Some("/count".into()), ..Answer::default() };
        for (script, status, words) in [
            ("echo '{}'", Status::Unknown, "nothing at /count"),
            ("echo '{\"count\": null}'", Status::Unknown, "no number at /count but null"),
            ("echo '{\"count\": \"many\"}'", Status::Unknown, "no number at /count"),
            ("echo 7", Status::Unknown, "nothing at /count"),
            ("true", Status::Unknown, "not JSON"),
            ("echo '{\"count\": 1'", Status::Unknown, "not JSON"),
            ("echo '{\"count\": 1}'; exit 2", Status::Unknown, "exit 2"),
            ("echo locked >&2; exit 3", Status::Unknown, "exit 3: locked"),
            ("head -c 5000000 /dev/zero | tr '\\0' ' '; echo '{\"count\": 1}'", Status::Unknown, "longer than 4 MiB"),
        ] {
            says(&read(script, answer()).await, status, None, words);
        }
        says(
            &read("echo '{\"count\": 1}'; echo stuck >&2; exit 1", answer()).await,
            Status::Fail,
            Some(1.0),
            "exit 1: stuck",
        );
        let expect = vec![
            ("/state".to_owned(), Expected::Text("done".into())),
            ("/error".to_owned(), Expected::Truth(false)),
            ("/code".to_owned(), Expected::Number(0.0)),
        ];
        let answer = |json: &str| (format!("echo '{json}'"), Answer { expect: expect.clone(), ..Answer::default() });
        for (json, status, words) in [
            (r#"{"state": "done", "error": false, "code": 0}"#, Status::Ok, "/state is \"done\""),
            (r#"{"state": "done", "error": true, "code": 0}"#, Status::Fail, "/error is true, not false"),
            (r#"{"state": "done", "error": "false", "code": 0}"#, Status::Fail, "/error is \"false\", not false"),
            (r#"{"state": "done", "error": false, "code": 1}"#, Status::Fail, "/code is 1, not 0"),
            (r#"{"state": "run", "error": false}"#, Status::Fail, "/state is \"run\", not \"done\"; nothing at /code"),
        ] {
            let (script, answer) = answer(json);
            says(&read(&script, answer).await, status, None, words);
        }
    }
}

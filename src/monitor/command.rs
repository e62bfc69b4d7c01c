//! A command somebody wrote to look at something: exit 0 is ok, 1 is fail, and anything else says that it could not tell.
//! Where the plan points into its output, that is JSON and has to say what the plan expects.

use super::child::{Ended, Program, TEXT_BYTES_MAX, said, signal};
use super::{Findings, aged, bytes, excerpt, json};
use crate::clock::age;
use crate::event::{Reading, Status};
use crate::plan::{Bounds, OutputRules};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What is read of an answer in JSON at most. A list of every snapshot there is must not fill the hub.
const JSON_BYTES_MAX: usize = 4 << 20;

/// What is run, and what it has to say.
pub(super) struct Command {
    program: Program,
    answer: OutputRules,
}

impl Command {
    pub(super) fn new(argv: Vec<String>, folder: &Path, timeout: Duration, answer: &OutputRules) -> Self {
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

/// The verdict on plain text: on every line of it where the plan has limits, or that there was more.
fn judge(ended: &Ended, bounds: &Bounds) -> Reading {
    let text = String::from_utf8_lossy(&ended.out);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // What is still open when the command is over was left behind by it, and adds nothing to what it said.
    let cut = !ended.whole && ended.out.len() >= TEXT_BYTES_MAX;
    let mut said = said(&ended.out, &ended.err);
    match lines.len() {
        0 | 1 if !cut => {}
        0 | 1 => said += ", and more that was not read",
        many => said += &format!(", and {} more lines", many - 1),
    }
    let fine = if said.is_empty() { "exit 0" } else { said.trim_start_matches(": ") };
    let mut findings = Findings::default();
    match exit(ended, &said, fine) {
        Ok((status, sentence)) => findings.add(status, sentence),
        Err(reading) => return reading,
    }
    // Nothing but a number is one: of "1 day 02:00:00" the 1 says nothing.
    let number = |line: &str| json::plain(line).ok_or_else(|| format!("{:?} is no number", excerpt(line, 40)));
    if !bounds.any() {
        let value = if let ([line], false) = (&lines[..], cut) { number(line).ok() } else { None };
        return findings.reading("", value, "");
    }
    if cut {
        let most = bytes(TEXT_BYTES_MAX as u64);
        findings.add(Status::Unknown, format!("it printed more than {most}, and the rest is not judged"));
    }
    if lines.is_empty() {
        findings.add(Status::Unknown, "no number to hold against the limits");
    }
    let numbers = lines.iter().enumerate().map(|(n, line)| (format!("line {}", n + 1), number(line)));
    let value = measured(numbers.collect(), bounds, &mut findings).0;
    findings.reading("", value, "")
}

/// Holds numbers against their limits, each by its name; the worst one is the value. Also says which one that is, where it
/// is within its limits. Of several without a limit none is the value.
pub(super) fn measured(
    numbers: Vec<(String, Result<f64, String>)>,
    bounds: &Bounds,
    findings: &mut Findings,
) -> (Option<f64>, String) {
    let many = numbers.len();
    let (mut judged, mut missing) = (vec![], vec![]);
    for (name, number) in numbers {
        match number {
            Ok(number) => judged.push((within(number, bounds), number, name)),
            Err(why) => missing.push(why),
        }
    }
    let above = bounds.warn_above.or(bounds.fail_above).is_some();
    let out = |number: f64| if above { number } else { -number };
    judged.sort_by(|((a, _), x, _), ((b, _), y, _)| b.cmp(a).then(out(*y).total_cmp(&out(*x))));
    let told = match &judged[..] {
        [] => String::new(),
        [(_, number, name), ..] if many == 1 => format!("{name} is {number}"),
        [(_, number, name), ..] if bounds.any() => {
            format!("{many} numbers, the nearest to its limit: {name} is {number}")
        }
        _ => format!("{many} numbers, and no limit that tells which of them counts"),
    };
    let value = judged.first().map(|(_, number, _)| *number);
    let value = value.filter(|_| many == 1 || bounds.any() && missing.is_empty());
    for status in [Status::Fail, Status::Warn] {
        let beyond = judged.iter().filter(|((found, _), ..)| *found == status);
        let named = beyond.map(|((_, why), _, name)| if many > 1 { format!("{name}: {why}") } else { why.clone() });
        json::named(status, named.collect(), findings);
    }
    json::named(Status::Unknown, missing, findings);
    (value, told)
}

/// Holds a number against its limits.
fn within(value: f64, bounds: &Bounds) -> (Status, String) {
    for (status, above, below) in
        [(Status::Fail, bounds.fail_above, bounds.fail_below), (Status::Warn, bounds.warn_above, bounds.warn_below)]
    {
        if let Some(most) = above.filter(|most| value > *most) {
            return (status, format!("{value} is more than {most}"));
        }
        if let Some(least) = below.filter(|least| value < *least) {
            return (status, format!("{value} is less than {least}"));
        }
    }
    (Status::Ok, String::new())
}

/// The verdict on what it printed. Whatever the plan points at and is not there is unknown: a tool that changed its format
/// must not turn a gate green.
fn answer(ended: &Ended, wanted: &OutputRules, now: SystemTime) -> Reading {
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
    let json = match json::read(&ended.out) {
        Ok(json) => json,
        Err(why) => {
            findings.add(Status::Unknown, format!("its output is not JSON: {why}"));
            return findings.reading("", None, "");
        }
    };
    let mut seen = json::held(&json, &wanted.expect, &mut findings);
    if let Some(pointer) = &wanted.age {
        // Of several the oldest counts.
        let mut oldest: Option<Duration> = None;
        let mut missing = vec![];
        for (_, found) in json::all(&json, pointer) {
            let moment = found.and_then(|found| json::moment(found, wanted.age_zone));
            match moment.and_then(|moment| aged(moment, now)) {
                Ok(old) => oldest = oldest.max(Some(old)),
                Err(why) => missing.push(why),
            }
        }
        json::named(Status::Unknown, missing, &mut findings);
        if let Some(old) = oldest {
            seen.push(format!("{} old", age(old)));
            if let Some(most) = wanted.max_age.filter(|most| old > *most) {
                findings.add(Status::Fail, format!("older than {}", age(most)));
            }
        }
    }
    let mut value = None;
    if let Some(pointer) = &wanted.value {
        let (worst, told) = measured(json::numbers(&json, pointer), &wanted.bounds, &mut findings);
        value = worst;
        seen.extend(Some(told).filter(|told| !told.is_empty()));
    } else if wanted.bounds.any() {
        findings.add(Status::Unknown, "no `value` to hold against the limits");
    }
    findings.reading(&seen.join(", "), value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Expected;

    async fn read(script: &str, answer: OutputRules) -> Reading {
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
            let plain = read(&format!("echo {number}"), OutputRules { bounds, ..OutputRules::default() }).await;
            says(&plain, status, value, words);
            let answer = OutputRules { bounds, value: Some("/a/-".into()), ..OutputRules::default() };
            says(&read(&format!("echo '{{\"a\": [7, {number}]}}'"), answer.clone()).await, status, value, words);
            says(&read(&format!("echo '{{\"a\": [\"{number}\"]}}'"), answer).await, status, value, words);
        }
        let none = read("echo rows", OutputRules { bounds, ..OutputRules::default() }).await;
        says(&none, Status::Unknown, None, "\"rows\" is no number");
        let none = read("true", OutputRules { bounds, ..OutputRules::default() }).await;
        says(&none, Status::Unknown, None, "no number to hold against the limits");
    }

    #[tokio::test]
    async fn all_that_was_printed_is_judged_or_it_is_said_that_there_was_more() {
        let bounds = Bounds { fail_above: Some(5.0), ..Bounds::default() };
        for (script, status, value, words) in [
            ("printf '0\\n12\\n'", Status::Fail, Some(12.0), "line 2: 12 is more than 5"),
            ("printf '0\\n\\n3\\n'", Status::Ok, Some(3.0), "0, and 1 more lines"),
            ("printf '0\\n(1 row)\\n'", Status::Unknown, None, "\"(1 row)\" is no number"),
            ("printf '9\\nrows\\n'", Status::Fail, None, "line 1: 9 is more than 5"),
            ("echo '1 day 02:00:00'", Status::Unknown, None, "\"1 day 02:00:00\" is no number"),
            ("echo 1,234", Status::Unknown, None, "is no number"),
            ("echo 3 rows", Status::Unknown, None, "is no number"),
            ("yes 1 | head -n 20000", Status::Unknown, Some(1.0), "it printed more than 16.4 kB"),
        ] {
            says(&read(script, OutputRules { bounds, ..OutputRules::default() }).await, status, value, words);
        }
        // Without limits its exit counts, and what was not shown is said.
        let free = |script: &'static str| read(script, OutputRules::default());
        says(&free("echo 7").await, Status::Ok, Some(7.0), "7");
        says(&free("printf '7\\n8\\n'").await, Status::Ok, None, "7, and 1 more lines");
        says(&free("echo 7 rows").await, Status::Ok, None, "7 rows");
    }

    #[tokio::test]
    async fn every_item_of_a_list_counts_and_the_worst_is_named() {
        let expect = vec![("/c/*/state".to_owned(), Expected::Text("RUNNING".into()))];
        let bounds = Bounds { fail_above: Some(5.0), ..Bounds::default() };
        let states = OutputRules { expect, ..OutputRules::default() };
        let lags = OutputRules { value: Some("/c/*/lag".into()), bounds, ..OutputRules::default() };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let max_age = Some(Duration::from_secs(3600));
        let ages = OutputRules { age: Some("/c/*/at".into()), max_age, ..OutputRules::default() };
        let (run, fail) = (r#"{"state":"RUNNING"}"#, r#"{"state":"FAILED"}"#);
        for (answer, items, status, value, words) in [
            (&states, format!("{run},{fail},{run}"), Status::Fail, None, "/c/1/state is \"FAILED\", not \"RUNNING\""),
            (&states, format!("{run},{run}"), Status::Ok, None, "/c/*/state is \"RUNNING\", 2 of 2"),
            (&states, format!("{run},{{}}"), Status::Unknown, None, "nothing at /c/1/state"),
            (&states, String::new(), Status::Unknown, None, "no item is there"),
            (
                &lags,
                r#"{"lag":1},{"lag":9},{"lag":"7"}"#.into(),
                Status::Fail,
                Some(9.0),
                "/c/1/lag: 9 is more than 5; /c/2/lag: 7",
            ),
            (&lags, r#"{"lag":1},{"lag":2}"#.into(), Status::Ok, Some(2.0), "the nearest to its limit: /c/1/lag is 2"),
            (&lags, r#"{"lag":1},{"lag":null}"#.into(), Status::Unknown, None, "no number at /c/1/lag but null"),
            (&lags, r#"{"lag":NaN}"#.into(), Status::Unknown, None, "no number at /c/0/lag but \"NaN\""),
            (&ages, format!(r#"{{"at":{now}}},{{"at":{}}}"#, now - 7200), Status::Fail, None, "2h old; older than 60m"),
            (&ages, format!(r#"{{"at":{now}}},{{"at":"{}"}}"#, now - 1830), Status::Ok, None, "30m old"),
        ] {
            says(&read(&format!("echo '{{\"c\": [{items}]}}'"), answer.clone()).await, status, value, words);
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_unknown_and_an_exit_still_counts() {
        let answer = || OutputRules { value: Some("/count".into()), ..OutputRules::default() };
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
        let answer =
            |json: &str| (format!("echo '{json}'"), OutputRules { expect: expect.clone(), ..OutputRules::default() });
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

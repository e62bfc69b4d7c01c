//! Three ways in which results are written. Start at [`read`].
//!
//! Of XML only elements and attributes are read, piece by piece and without a document type, so that no entity can expand
//! and no depth can exhaust anything. Where a file's own totals and what stands in it differ, the worse one counts: what
//! it counts and does not hold is lost, and nobody can judge that.

use super::{Outcome, When};
use crate::monitor::{excerpt, json};
use crate::plan::ResultsFormat;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

/// What stands in these bytes; in which format is told by themselves where the plan does not say it.
pub(super) fn read(bytes: &[u8], format: Option<ResultsFormat>) -> Result<Outcome, String> {
    let bytes = &json::utf8(bytes)?;
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let looks_xml = match first {
        Some(b'<') => true,
        Some(_) => false,
        None => return Err("the file is empty".into()),
    };
    if format == Some(ResultsFormat::JUnit) || (format.is_none() && looks_xml) {
        return junit(bytes);
    }
    let json = json::read(bytes)?;
    let told = match &json {
        json if json.pointer("/metadata/dbt_schema_version").is_some() => Some(ResultsFormat::Dbt),
        json if json.get("success").is_some() => Some(ResultsFormat::GreatExpectations),
        _ => None,
    };
    match (format.or(told), told) {
        (Some(ResultsFormat::Dbt), _) => dbt(&json),
        (Some(ResultsFormat::GreatExpectations), _) => great_expectations(&json),
        _ => Err("neither JUnit's XML nor a result of Great Expectations or dbt".into()),
    }
}

// ── JUnit ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A suite: what it says of itself, and what was found in it and in the suites in it.
#[derive(Default)]
struct Suite {
    name: String,
    stated: u64,
    stated_failed: u64,
    found: u64,
    failed: u64,
    /// It counts other things than the cases it holds.
    counts_otherwise: bool,
}

/// A case that is being read.
struct Case {
    name: String,
    counted: bool,
}

fn junit(bytes: &[u8]) -> Result<Outcome, String> {
    // Names of elements and attributes are ASCII in every encoding that is met here; what else is in it is only shown.
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader::from_str(&text);
    let mut outcome = Outcome::default();
    let (mut depth, mut suites, mut any) = (0_usize, vec![Suite::default()], false);
    let mut case: Option<Case> = None;
    let at = |reader: &Reader<&[u8]>| format!("at byte {}", reader.buffer_position());
    loop {
        let event =
            reader.read_event().map_err(|error| format!("{}: {}", at(&reader), excerpt(&error.to_string(), 80)))?;
        let (start, closed) = match &event {
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            Event::End(end) => {
                depth = depth.checked_sub(1).ok_or_else(|| format!("{}: an end without a start", at(&reader)))?;
                match end.local_name().as_ref() {
                    "testsuites" | "testsuite" => close(&mut suites, &mut outcome),
                    "testcase" => case = None,
                    _ => {}
                }
                continue;
            }
            Event::DocType(_) => return Err("it has a document type, which no result of tests needs".into()),
            Event::Eof if depth > 0 => return Err("it is cut off: elements are left open".into()),
            Event::Eof => break,
            _ => continue,
        };
        match start.local_name().as_ref() {
            "testsuites" | "testsuite" => {
                any = true;
                if let Some(at) = attribute(start, "timestamp")?.filter(|at| !at.trim().is_empty()) {
                    outcome.when(When::told(&at));
                }
                suites.push(Suite {
                    name: attribute(start, "name")?.unwrap_or_default(),
                    stated: number(start, "tests")?,
                    stated_failed: number(start, "failures")?.saturating_add(number(start, "errors")?),
                    // Catch2, which is known by this word, counts assertions and not cases.
                    counts_otherwise: attribute(start, "hostname")?.is_some_and(|host| host == "tbd"),
                    ..Suite::default()
                });
                if closed {
                    close(&mut suites, &mut outcome);
                }
            }
            "testcase" => {
                suites.last_mut().iter_mut().for_each(|suite| suite.found += 1);
                // A test that GoogleTest was told to leave out has no element that says so.
                let left_out = ["status", "result"].map(|key| attribute(start, key));
                let left_out = left_out.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
                let words = ["notrun", "disabled", "skipped", "suppressed"];
                let counted = left_out.into_iter().any(|word| words.contains(&&*word.to_ascii_lowercase()));
                if counted {
                    outcome.skipped += 1
                } else {
                    outcome.ran += 1
                }
                let name = attribute(start, "name")?.unwrap_or_else(|| "a test without a name".into());
                case = Some(Case { name, counted }).filter(|_| !closed);
            }
            "skipped" => {
                if let Some(case) = case.as_mut().filter(|case| !case.counted) {
                    (outcome.ran, outcome.skipped) = (outcome.ran.saturating_sub(1), outcome.skipped + 1);
                    case.counted = true;
                }
            }
            "failure" | "error" => {
                let failed = match &mut case {
                    Some(case) if case.counted => None,
                    Some(case) => {
                        case.counted = true;
                        Some(case.name.clone())
                    }
                    None => Some("a whole suite".into()),
                };
                if let (Some(name), Some(suite)) = (failed, suites.last_mut()) {
                    outcome.fail(&name);
                    suite.failed += 1;
                }
            }
            _ => {}
        }
        if !closed {
            depth += 1;
        }
    }
    if !any {
        return Err("it is XML, but there is no test suite in it".into());
    }
    let failed = suites.first().map_or(0, |file| file.failed);
    if failed > outcome.failed {
        outcome.names.push("counted by the suite itself".into());
        outcome.failed = failed;
    }
    Ok(outcome)
}

/// Ends the innermost suite: what it says of itself counts where that is worse than what was found in it.
fn close(suites: &mut Vec<Suite>, outcome: &mut Outcome) {
    // The first one is the file, which no element ends.
    let Some(suite) = suites.pop() else { return };
    let Some(around) = suites.last_mut() else { return suites.push(suite) };
    let stated = if suite.counts_otherwise { 0 } else { suite.stated };
    if stated > suite.found {
        let name = excerpt(&suite.name, 40);
        outcome.lose(format!("the suite {name:?} counts {stated} tests, and {} are there", suite.found));
    }
    around.found += suite.found.max(stated);
    around.failed += suite.failed.max(suite.stated_failed);
    around.counts_otherwise |= suite.counts_otherwise;
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let found = start.try_get_attribute(name).map_err(|error| excerpt(&error.to_string(), 80))?;
    // References to the five known entities and to characters are resolved; where there is any other one, all stand as
    // they are.
    Ok(found.map(|found| match quick_xml::escape::unescape(&found.value) {
        Ok(text) => text.into_owned(),
        Err(_) => found.value.clone().into_owned(),
    }))
}

/// A total; nothing where it is not given. One that is no number is no total that could be passed over.
fn number(start: &BytesStart<'_>, name: &str) -> Result<u64, String> {
    let Some(text) = attribute(start, name)? else { return Ok(0) };
    match text.trim() {
        "" => Ok(0),
        text => text.parse().map_err(|_| format!("{name} is {:?}, no number", excerpt(text, 20))),
    }
}

// ── Great Expectations ───────────────────────────────────────────────────────────────────────────────────────────

/// One validation, or a checkpoint with several.
fn great_expectations(json: &Value) -> Result<Outcome, String> {
    let success = json.get("success").and_then(Value::as_bool).ok_or("it does not say whether it was a success")?;
    let mut outcome = Outcome::default();
    match json.get("run_results").and_then(Value::as_object) {
        Some(runs) => {
            for run in runs.values() {
                // Up to 0.18 the result lies one deeper.
                validation(run.get("validation_result").unwrap_or(run), &mut outcome)?;
            }
            outcome.told_at(json.pointer("/run_id/run_time"));
        }
        None => validation(json, &mut outcome)?,
    }
    if !success && outcome.failed == 0 {
        outcome.fail("the whole of it");
    }
    Ok(outcome)
}

fn validation(json: &Value, outcome: &mut Outcome) -> Result<(), String> {
    let results = json.get("results").and_then(Value::as_array).ok_or("it has no list of results")?;
    let mut failed = 0;
    for result in results {
        match result.get("success").and_then(Value::as_bool) {
            Some(true) => {}
            Some(false) => {
                let of = |at: &str| result.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
                // Since 1.0 it is called `type`.
                let kind = [of("/expectation_config/type"), of("/expectation_config/expectation_type")];
                let kind = kind.into_iter().find(|kind| !kind.is_empty()).unwrap_or_else(|| "an expectation".into());
                outcome.fail(format!("{kind} {}", of("/expectation_config/kwargs/column")).trim());
                failed += 1;
            }
            None => return Err("an expectation says neither success nor failure".into()),
        }
    }
    let found = results.len() as u64;
    let stated = |key: &str| json.get("statistics").and_then(|counts| counts.get(key)).and_then(Value::as_u64);
    let evaluated = stated("evaluated_expectations").unwrap_or(found);
    let unsuccessful = stated("unsuccessful_expectations").unwrap_or(0);
    // `only_return_failures` leaves out what was a success, and nothing else.
    if evaluated > found && !(failed == found && unsuccessful == found) {
        outcome.lose(format!("{evaluated} expectations were evaluated, and {found} are there"));
    }
    outcome.ran += evaluated.max(found);
    outcome.failed += unsuccessful.saturating_sub(failed);
    if json.get("success") == Some(&Value::Bool(false)) && failed.max(unsuccessful) == 0 {
        outcome.fail("a whole validation");
    }
    outcome.told_at(json.pointer("/meta/run_id/run_time"));
    Ok(())
}

// ── dbt ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Commands of dbt that write such a file and neither test nor build anything: they only compile.
const DBT_IDLE: &[&str] =
    &["compile", "generate", "docs", "parse", "list", "ls", "show", "debug", "deps", "clean", "init"];
/// Those that do.
const DBT_AT_WORK: &[&str] =
    &["test", "build", "run", "seed", "snapshot", "retry", "run-operation", "clone", "source", "freshness"];

fn dbt(json: &Value) -> Result<Outcome, String> {
    let results = json.get("results").and_then(Value::as_array).ok_or("it has no list of results")?;
    let mut outcome = Outcome::default();
    match json.pointer("/args/which").or(json.pointer("/args/rpc_method")).and_then(Value::as_str) {
        Some("generate") => outcome.idle = Some("dbt docs generate".into()),
        Some(command) if DBT_IDLE.contains(&command) => outcome.idle = Some(format!("dbt {command}")),
        Some(command) if !DBT_AT_WORK.contains(&command) => {
            outcome.strange = Some(format!("the command `dbt {}`", excerpt(command, 30)));
        }
        _ => {}
    }
    for result in results {
        let status = result.get("status").and_then(Value::as_str).ok_or("a result has no status")?;
        let name = result.get("unique_id").and_then(Value::as_str).unwrap_or("a node without a name");
        let builds = ["model.", "seed.", "snapshot.", "operation.", "saved_query.", "function."];
        let builds = builds.iter().any(|kind| name.starts_with(kind));
        let tests = name.starts_with("test.") || name.starts_with("unit_test.");
        let ran = if builds { &mut outcome.built } else { &mut outcome.ran };
        match status {
            // A test that was run says `pass`; this one was only compiled.
            "success" if tests => outcome.skipped += 1,
            "pass" | "success" => *ran += 1,
            "fail" | "error" | "runtime error" | "partial success" => {
                *ran += 1;
                outcome.fail(name);
            }
            "warn" => {
                *ran += 1;
                outcome.warned += 1;
            }
            // What it rests on failed, or it was asked not to; the failure itself stands beside it.
            "skipped" | "no-op" => outcome.skipped += 1,
            other => outcome.strange = Some(format!("the status {:?} of {}", excerpt(other, 30), excerpt(name, 60))),
        }
    }
    outcome.told_at(json.pointer("/metadata/generated_at"));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, SystemTime};

    fn counts(text: &str) -> (u64, u64, u64) {
        let outcome = read(text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}: {text}"));
        (outcome.ran, outcome.failed, outcome.skipped)
    }
    fn why(text: &str) -> String {
        read(text.as_bytes(), None).unwrap_err()
    }

    #[test]
    fn junit_counts_cases_and_believes_the_worse_total() {
        assert_eq!(
            counts(
                "<?xml version=\"1.0\"?><testsuites tests=\"4\" failures=\"1\" errors=\"1\"><testsuite tests=\"4\" failures=\"1\" \
                 errors=\"1\"><testcase name=\"a\"/><testcase name=\"b\"><failure message=\"&lt;x&gt;\">t</failure>\
                 <failure/></testcase><testcase name=\"c\"><error/></testcase><testcase name=\"d\"><skipped/></testcase>\
                 <system-out><![CDATA[<failure>]]></system-out></testsuite></testsuites>"
            ),
            (3, 2, 1)
        );
        // Two suites side by side under a root without totals are added up.
        let suite = "<testsuite tests=\"1\" failures=\"1\"/>";
        assert_eq!(counts(&format!("<testsuites>{suite}{suite}</testsuites>")), (0, 2, 0));
        assert_eq!(counts("<testsuite tests=\"1\"><error/></testsuite>").1, 1);
        let outcome = read(b"<testsuite timestamp=\"2026-11-21T00:00:00Z\"><testcase/></testsuite>", None).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_219_200);
        assert_eq!(outcome.when, Some(When::At(at)));
        // A time without a zone is one of many, all of which may be meant; of several suites the first one counts.
        let outcome = read(
            b"<testsuites><testsuite timestamp=\"2026-11-22T00:00:00Z\"/><testsuite timestamp=\"2026-11-21T00:00:00\"/></testsuites>",
            None,
        );
        assert_eq!(outcome.unwrap().when, Some(When::Somewhere("2026-11-21T00:00:00".into())));
        let strange = read(b"<testsuite timestamp=\"Sat Nov 21 2026\"/>", None).unwrap().when;
        assert_eq!(strange, Some(When::Strange("Sat Nov 21 2026".into())));
        assert_eq!(read(b"<testsuite timestamp=\"\"/>", None).unwrap().when, None);
    }

    #[test]
    fn what_is_not_whole_or_not_a_result_is_an_error() {
        let bomb =
            "<!DOCTYPE t [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><testsuite name=\"&b;\"><testcase/></testsuite>";
        for (text, says) in [
            ("", "empty"),
            (" \n", "empty"),
            ("<testsuite><testcase>", "cut off"),
            ("<testsuite><testcase name=\"a", ""),
            ("<testsuite></testcase></testsuite>", ""),
            ("<html/>", "no test suite"),
            ("<testsuite failures=\"many\"/>", "no number"),
            (bomb, "document type"),
            ("{\"a\": 1}", "neither"),
            ("{\"a\": ", ""),
            ("[]", "neither"),
            ("{\"success\": \"yes\"}", "success"),
            ("{\"success\": true}", "no list"),
            ("{\"success\": true, \"results\": [{}]}", "neither success nor failure"),
            ("{\"metadata\": {\"dbt_schema_version\": \"v\"}, \"results\": [{}]}", "no status"),
        ] {
            assert!(why(text).contains(says), "{text}: {}", why(text));
        }
        let deep = "<testsuite>".repeat(200_000);
        assert!(why(&deep).contains("cut off"));
        assert!(read(b"<testsuite/>", Some(ResultsFormat::Dbt)).is_err());
    }

    #[test]
    fn great_expectations_of_both_ages() {
        let one = r#"{"success":false,"results":[{"success":true},{"success":false,"expectation_config":
            {"expectation_type":"expect_column_values_to_not_be_null","kwargs":{"column":"id"}}}],
            "statistics":{"evaluated_expectations":2,"unsuccessful_expectations":1},"meta":{"run_id":{"run_time":"2026-11-21T00:00:00+00:00"}}}"#;
        assert_eq!(counts(one), (2, 1, 0));
        let outcome = read(one.as_bytes(), None).unwrap();
        assert_eq!(outcome.names, ["expect_column_values_to_not_be_null id"]);
        assert!(matches!(outcome.when, Some(When::At(_))));
        assert_eq!(
            counts(&format!(r#"{{"success":false,"run_results":{{"a":{{"validation_result":{one}}}}}}}"#)),
            (2, 1, 0)
        );
        assert_eq!(counts(&format!(r#"{{"success":false,"run_results":{{"a":{one},"b":{one}}}}}"#)), (4, 2, 0));
        // It says no, and nothing in it does.
        assert_eq!(counts(r#"{"success":false,"results":[{"success":true}]}"#), (1, 1, 0));
        assert_eq!(counts(r#"{"success":true,"results":[]}"#), (0, 0, 0));
        // Its own counts against what is there; `only_return_failures` leaves out what was good.
        let of = |evaluated: u64, unsuccessful: u64, results: &str| {
            let success = unsuccessful == 0;
            let text = format!(
                r#"{{"success":{success},"results":[{results}],"statistics":{{"evaluated_expectations":{evaluated},
                "successful_expectations":{},"unsuccessful_expectations":{unsuccessful}}}}}"#,
                evaluated - unsuccessful
            );
            let outcome = read(text.as_bytes(), None).unwrap();
            (outcome.ran, outcome.failed, outcome.lost.is_some())
        };
        let (good, bad) = (r#"{"success":true}"#, r#"{"success":false}"#);
        assert_eq!(of(10, 0, ""), (10, 0, false));
        assert_eq!(of(10, 1, bad), (10, 1, false));
        assert_eq!(of(10, 0, good), (10, 0, true));
        assert_eq!(of(10, 2, bad), (10, 2, true));
        assert_eq!(of(1, 0, r#"{"success":true,"result":{"observed_value":NaN}}"#), (1, 0, false));
    }

    #[test]
    fn dbt_knows_its_words_and_no_others() {
        let dbt = |statuses: &[&str]| {
            let results: Vec<_> =
                statuses.iter().map(|status| serde_json::json!({"status": status, "unique_id": "test.t"})).collect();
            let version = "https://schemas.getdbt.com/dbt/run-results/v6.json";
            let json = serde_json::json!({"metadata": {"dbt_schema_version": version}, "results": results});
            read(json.to_string().as_bytes(), None).unwrap()
        };
        let outcome = dbt(&["pass", "success", "fail", "error", "runtime error", "warn", "skipped"]);
        // A test with `success` was compiled and not run.
        assert_eq!((outcome.ran, outcome.failed, outcome.warned, outcome.skipped), (5, 3, 1, 2));
        assert!(outcome.strange.is_none());
        assert!(dbt(&["reused"]).strange.unwrap().contains("reused"));
    }

    #[test]
    fn dbt_builds_with_some_commands_tests_with_some_and_does_neither_with_others() {
        let dbt = |which: &str, nodes: &[(&str, &str)]| {
            let results = nodes.iter().map(|(id, status)| serde_json::json!({"status": status, "unique_id": id}));
            let json = serde_json::json!({
                "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json"},
                "results": results.collect::<Vec<_>>(), "args": {"which": which}
            });
            read(json.to_string().as_bytes(), None).unwrap()
        };
        let (model, test) = (("model.shop.a", "success"), ("test.shop.b", "pass"));
        for (which, nodes, counts) in [
            ("build", vec![model, test], (1, 1)),
            ("test", vec![test], (1, 0)),
            ("run", vec![model, model], (0, 2)),
            ("seed", vec![("seed.shop.c", "success")], (0, 1)),
        ] {
            let outcome = dbt(which, &nodes);
            assert_eq!((outcome.ran, outcome.built, outcome.idle, outcome.strange), (counts.0, counts.1, None, None));
        }
        for (which, told) in [("generate", "dbt docs generate"), ("compile", "dbt compile"), ("show", "dbt show")] {
            assert_eq!(dbt(which, &[model]).idle.as_deref(), Some(told));
        }
        assert!(dbt("frobnicate", &[model]).strange.unwrap().contains("`dbt frobnicate`"));
    }

    #[test]
    fn junit_holds_what_a_suite_counts_against_what_is_there() {
        let lost = |text: &str| read(text.as_bytes(), None).unwrap().lost;
        let suite = |counts: &str, cases: usize| {
            format!("<testsuite name=\"s\" {counts}>{}</testsuite>", "<testcase name=\"a\"/>".repeat(cases))
        };
        assert_eq!(lost(&suite("tests=\"5\"", 2)).as_deref(), Some("the suite \"s\" counts 5 tests, and 2 are there"));
        assert_eq!(lost(&suite("tests=\"2\"", 2)), None);
        assert_eq!(lost(&suite("tests=\"1\"", 2)), None, "all that is there is judged");
        assert_eq!(lost(&suite("tests=\"5\" hostname=\"tbd\"", 2)), None, "assertions of Catch2");
        // Told once, by the innermost; and where only the root counts, by it.
        let around = |counts: &str, inner: &str| format!("<testsuites name=\"all\" {counts}>{inner}</testsuites>");
        assert!(lost(&around("tests=\"5\"", &suite("tests=\"5\"", 2))).unwrap().starts_with("the suite \"s\""));
        assert!(lost(&around("tests=\"5\"", &suite("", 2))).unwrap().starts_with("the suite \"all\""));
        assert_eq!(lost(&around("tests=\"4\"", &suite("tests=\"2\"", 2).repeat(2))), None);
        // A root that counts nothing does not hide what a suite in it counts.
        assert_eq!(counts(&around("tests=\"1\" failures=\"0\"", &suite("tests=\"1\" failures=\"1\"", 1))), (1, 1, 0));
        // An error of the suite itself, whatever the case before it was.
        let skipped = "<testcase name=\"b\"><skipped/></testcase>";
        let text = format!("<testsuite>{skipped}<error message=\"tear-down\"/></testsuite>");
        assert_eq!(counts(&text), (0, 1, 1));
        assert_eq!(counts("<testsuite><testcase name=\"a\"/><error/></testsuite>"), (1, 1, 0));
        // As GoogleTest writes a disabled test.
        let disabled =
            "<testcase name=\"a\" status=\"notrun\" result=\"suppressed\"/><testcase name=\"b\" status=\"run\"/>";
        assert_eq!(counts(&format!("<testsuite tests=\"2\">{disabled}</testsuite>")), (1, 0, 1));
    }

    #[test]
    fn a_report_in_utf_16_is_read() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><testsuite><testcase name=\"\u{e4}\"><failure/></testcase></testsuite>";
        for mark in ["\u{feff}", ""] {
            let bytes: Vec<u8> = format!("{mark}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            let outcome = read(&bytes, None).unwrap();
            assert_eq!((outcome.failed, outcome.names), (1, vec!["\u{e4}".to_owned()]));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, None);
            let _ = read(&[b"<testsuite ".as_slice(), &bytes].concat(), None);
            let _ = read(&bytes, Some(ResultsFormat::JUnit));
        }
    }
}

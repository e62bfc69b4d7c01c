//! Three ways in which results are written. Start at [`read`].
//!
//! Of XML only elements and attributes are read, piece by piece and without a document type, so that no entity can expand
//! and no depth can exhaust anything. Where a file's own totals and what stands in it differ, the worse one counts.

use super::Outcome;
use crate::monitor::{excerpt, json};
use crate::plan::ResultsFormat;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

/// What stands in these bytes; in which format is told by themselves where the plan does not say it.
pub(super) fn read(bytes: &[u8], format: Option<ResultsFormat>) -> Result<Outcome, String> {
    let first = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).iter().find(|byte| !byte.is_ascii_whitespace());
    let looks_xml = match first {
        Some(b'<') => true,
        Some(_) => false,
        None => return Err("the file is empty".into()),
    };
    if format == Some(ResultsFormat::JUnit) || (format.is_none() && looks_xml) {
        return junit(bytes);
    }
    let json: Value = serde_json::from_slice(bytes).map_err(|error| excerpt(&error.to_string(), 100))?;
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

/// Totals that a suite says of itself.
#[derive(Default, Clone, Copy)]
struct Totals {
    failed: u64,
    at_depth: usize,
}

fn junit(bytes: &[u8]) -> Result<Outcome, String> {
    // Names of elements and attributes are ASCII in every encoding that is met here; what else is in it is only shown.
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader::from_str(&text);
    let mut outcome = Outcome::default();
    let (mut depth, mut suites) = (0_usize, false);
    let mut case: Option<(String, bool)> = None; // its name, and whether it is already counted
    let mut stated = Totals { failed: 0, at_depth: usize::MAX };
    let at = |reader: &Reader<&[u8]>| format!("at byte {}", reader.buffer_position());
    loop {
        let event =
            reader.read_event().map_err(|error| format!("{}: {}", at(&reader), excerpt(&error.to_string(), 80)))?;
        let (start, closed) = match &event {
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            Event::End(_) => {
                depth = depth.checked_sub(1).ok_or_else(|| format!("{}: an end without a start", at(&reader)))?;
                continue;
            }
            Event::DocType(_) => return Err("it has a document type, which no result of tests needs".into()),
            Event::Eof if depth > 0 => return Err("it is cut off: elements are left open".into()),
            Event::Eof => break,
            _ => continue,
        };
        match start.local_name().as_ref() {
            "testsuites" | "testsuite" => {
                suites = true;
                // Totals of a suite hold those of the suites in it: only the outermost ones are added up.
                let failed = number(start, "failures")? + number(start, "errors")?;
                if depth <= stated.at_depth && (number(start, "tests")? > 0 || failed > 0) {
                    let before = if depth == stated.at_depth { stated.failed } else { 0 };
                    stated = Totals { failed: before.saturating_add(failed), at_depth: depth };
                }
                outcome.at = outcome.at.or(attribute(start, "timestamp")?.and_then(|at| json::time(&at, None).ok()));
            }
            "testcase" => {
                outcome.ran += 1;
                let name = attribute(start, "name")?.unwrap_or_else(|| "a test without a name".into());
                case = Some((name, false));
            }
            kind @ ("failure" | "error" | "skipped") => match &mut case {
                Some((_, counted @ false)) if kind == "skipped" => {
                    (outcome.ran, outcome.skipped) = (outcome.ran.saturating_sub(1), outcome.skipped + 1);
                    *counted = true;
                }
                Some((name, counted @ false)) => {
                    outcome.fail(name);
                    *counted = true;
                }
                Some(_) => {}
                None if kind == "skipped" => {}
                None => outcome.fail("a whole suite"),
            },
            _ => {}
        }
        if !closed {
            depth += 1;
        }
    }
    if !suites {
        return Err("it is XML, but there is no test suite in it".into());
    }
    if stated.failed > outcome.failed {
        outcome.names.push("counted by the suite itself".into());
        outcome.failed = stated.failed;
    }
    Ok(outcome)
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
            outcome.at = json.pointer("/run_id/run_time").and_then(|at| json::moment(at, None).ok());
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
    for result in results {
        outcome.ran += 1;
        match result.get("success").and_then(Value::as_bool) {
            Some(true) => {}
            Some(false) => {
                let of = |at: &str| result.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
                // Since 1.0 it is called `type`.
                let kind = [of("/expectation_config/type"), of("/expectation_config/expectation_type")];
                let kind = kind.into_iter().find(|kind| !kind.is_empty()).unwrap_or_else(|| "an expectation".into());
                outcome.fail(format!("{kind} {}", of("/expectation_config/kwargs/column")).trim());
            }
            None => return Err("an expectation says neither success nor failure".into()),
        }
    }
    let stated = json.pointer("/statistics/unsuccessful_expectations").and_then(Value::as_u64).unwrap_or(0);
    if json.get("success") == Some(&Value::Bool(false)) && results.iter().all(|result| result["success"] == true) {
        outcome.fail("a whole validation");
    }
    if stated > outcome.failed {
        outcome.failed = stated;
    }
    outcome.at = outcome.at.or(json.pointer("/meta/run_id/run_time").and_then(|at| json::moment(at, None).ok()));
    Ok(())
}

// ── dbt ──────────────────────────────────────────────────────────────────────────────────────────────────────────

fn dbt(json: &Value) -> Result<Outcome, String> {
    let results = json.get("results").and_then(Value::as_array).ok_or("it has no list of results")?;
    let mut outcome = Outcome::default();
    for result in results {
        let status = result.get("status").and_then(Value::as_str).ok_or("a result has no status")?;
        let name = result.get("unique_id").and_then(Value::as_str).unwrap_or("a node without a name");
        match status {
            "pass" | "success" => outcome.ran += 1,
            "fail" | "error" | "runtime error" | "partial success" => {
                outcome.ran += 1;
                outcome.fail(name);
            }
            "warn" => (outcome.ran, outcome.warned) = (outcome.ran + 1, outcome.warned + 1),
            // What it rests on failed, or it was asked not to; the failure itself stands beside it.
            "skipped" | "no-op" => outcome.skipped += 1,
            other => outcome.strange = Some(format!("the status {:?} of {}", excerpt(other, 30), excerpt(name, 60))),
        }
    }
    outcome.at = json.pointer("/metadata/generated_at").and_then(|at| json::moment(at, None).ok());
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert!(outcome.at.is_some());
        // A time without a zone is no time: the file's own counts.
        assert_eq!(read(b"<testsuite timestamp=\"2026-11-21T00:00:00\"/>", None).unwrap().at, None);
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
        assert!(outcome.at.is_some());
        assert_eq!(
            counts(&format!(r#"{{"success":false,"run_results":{{"a":{{"validation_result":{one}}}}}}}"#)),
            (2, 1, 0)
        );
        assert_eq!(counts(&format!(r#"{{"success":false,"run_results":{{"a":{one},"b":{one}}}}}"#)), (4, 2, 0));
        // It says no, and nothing in it does.
        assert_eq!(counts(r#"{"success":false,"results":[{"success":true}]}"#), (1, 1, 0));
        assert_eq!(counts(r#"{"success":true,"results":[]}"#), (0, 0, 0));
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
        assert_eq!((outcome.ran, outcome.failed, outcome.warned, outcome.skipped), (6, 3, 1, 1));
        assert!(outcome.strange.is_none());
        assert!(dbt(&["reused"]).strange.unwrap().contains("reused"));
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

//! `results` on what the tools themselves write: pytest, and dbt on a warehouse of one file.

use crate::support::real::part;
use crate::support::watch::{read, says};
use crosscheck::event::Status;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder with the programs of `tests/parts/python.txt`.
fn python() -> Option<PathBuf> {
    part("CROSSCHECK_TEST_PYTHON").map(PathBuf::from)
}

/// Runs a tool to its end, whatever that is, in a folder and with nobody to tell home to.
#[track_caller]
fn ran(program: &Path, words: &[&str], folder: &Path) -> Option<i32> {
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).stdin(Stdio::null());
    command.env("HOME", folder).env("DO_NOT_TRACK", "1").env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false");
    command.output().expect("the tool starts").status.code()
}

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder around it")).expect("a folder");
    std::fs::write(path, text).expect("written");
}

#[test]
fn what_pytest_writes_is_read_as_pytest_means_it() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let told = |text: &str| {
        put(folder, "test_shop.py", text);
        let code = ran(&python.join("pytest"), &["-q", "-p", "no:cacheprovider", "--junitxml=report.xml"], folder);
        (code, read(folder, "kind = \"results\"\npath = \"report.xml\"\nmax_age = \"1h\""))
    };
    let skipped = "import pytest\n@pytest.mark.skip\ndef test_b(): pass\n";
    let (code, reading) = told(&format!("{skipped}def test_a(): pass\n"));
    says(&reading, Status::Ok, "1 tests, 1 left out in report.xml");
    assert_eq!((code, reading.value), (Some(0), Some(0.0)));
    let (_, reading) = told(skipped);
    says(&reading, Status::Fail, "empty: no test was run");
    let (code, reading) = told("def test_a(): assert False\ndef test_b(): pass\n");
    says(&reading, Status::Fail, "1 failed: test_a");
    assert_eq!(code, Some(1));
    // The case passed, and what tears it down did not.
    let fixture = "import pytest\n@pytest.fixture\ndef bad():\n    yield\n    raise RuntimeError('x')\n";
    let (_, reading) = told(&format!("{fixture}def test_a(bad): pass\n"));
    says(&reading, Status::Fail, "1 failed: test_a");
    // It could not even be loaded.
    let (code, reading) = told("import nothing_of_that_name\n");
    assert!(code != Some(0) && reading.status == Status::Fail, "{reading:?}");
}

#[test]
fn what_dbt_writes_counts_by_the_command_that_wrote_it() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    put(folder, "dbt_project.yml", "name: shop\nversion: '1.0'\nprofile: shop\n");
    let profile = "shop:\n  target: dev\n  outputs:\n    dev: { type: duckdb, path: shop.duckdb, threads: 1 }\n";
    put(folder, "profiles.yml", profile);
    put(folder, "models/orders.sql", "select 1 as id union all select 2 as id\n");
    let tests = "models:\n  - name: orders\n    columns:\n      - name: id\n        data_tests: [unique, not_null]\n";
    put(folder, "models/schema.yml", tests);
    let told = |words: &[&str], more: &str| {
        let all = [&["--no-version-check"], words, &["--profiles-dir", "."]].concat();
        let code = ran(&python.join("dbt"), &all, folder);
        let lines = format!("kind = \"results\"\npath = \"target/run_results.json\"\nmax_age = \"1h\"\n{more}");
        (code, read(folder, &lines))
    };
    let (code, reading) = told(&["build"], "min_tests = 2");
    assert_eq!(code, Some(0), "{reading:?}");
    says(&reading, Status::Ok, "2 tests, 1 built in run_results.json");
    // Each of its commands writes over the same file, and this one runs nothing.
    let (_, reading) = told(&["docs", "generate"], "");
    says(&reading, Status::Fail, "was written by `dbt docs generate`, which tests and builds nothing");
    let (_, reading) = told(&["run"], "");
    says(&reading, Status::Ok, "0 tests, 1 built");
    says(
        &read(folder, "kind = \"results\"\npath = \"target/run_results.json\"\nmin_tests = 1"),
        Status::Fail,
        "fewer than 1 tests",
    );
    put(folder, "models/orders.sql", "select 1 as id union all select 1 as id\n");
    let (code, reading) = told(&["build"], "");
    assert_eq!(code, Some(1), "{reading:?}");
    says(&reading, Status::Fail, "1 failed: test.shop.unique_orders_id");
}

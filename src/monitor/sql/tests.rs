//! Rows as databases give them, held against plans; and real files of SQLite. The real PostgreSQL is in tests/suite.

use super::*;
use crate::plan::{Bounds, Expected};
use rusqlite::Connection;
use std::time::{Duration, Instant};

fn sql() -> plan::Sql {
    plan::Sql {
        database: Database::Sqlite(plan::Template::new("a.db").unwrap()),
        query: plan::Template::new("select 1").unwrap(),
        value: None,
        expect: vec![],
        bounds: Bounds::default(),
        unit: String::new(),
        timeout: Duration::from_secs(30),
    }
}
fn limited(value: Option<&str>) -> plan::Sql {
    let bounds = Bounds { fail_above: Some(5.0), ..Bounds::default() };
    plan::Sql { value: value.map(str::to_owned), bounds, ..sql() }
}
fn expecting(column: &str, wanted: Expected) -> plan::Sql {
    plan::Sql { expect: vec![(column.to_owned(), wanted)], ..sql() }
}
fn row(cells: &[(&str, Cell)]) -> Found {
    let (columns, row) = cells.iter().cloned().map(|(name, cell)| (name.to_owned(), cell)).unzip();
    Found { columns, rows: vec![row] }
}
fn n(text: &str) -> Cell {
    Cell::number(text)
}
#[track_caller]
fn says(expect: &plan::Sql, found: &Found, status: Status, value: Option<f64>, words: &str) {
    let reading = judge(expect, found);
    assert_eq!((reading.status, reading.value, reading.why.as_str()), (status, value, words));
}

#[test]
fn one_number_is_the_value_and_is_held_against_its_limits() {
    says(&sql(), &row(&[("n", n("3"))]), Status::Ok, Some(3.0), "n is 3");
    says(&limited(None), &row(&[("n", n("5"))]), Status::Ok, Some(5.0), "n is 5");
    says(&limited(None), &row(&[("n", n("5.5"))]), Status::Fail, Some(5.5), "n is 5.5; 5.5 is more than 5");
    says(&limited(None), &row(&[("n", Cell::word("7"))]), Status::Fail, Some(7.0), "n is 7; 7 is more than 5");
    let unit = plan::Sql { unit: "rows".into(), ..limited(None) };
    assert_eq!(judge(&unit, &row(&[("n", n("1"))])).unit, "rows");
    let two = row(&[("a", n("9")), ("b", n("1"))]);
    says(&limited(Some("b")), &two, Status::Ok, Some(1.0), "b is 1");
    says(&limited(None), &two, Status::Unknown, None, "2 columns, and the plan names none as `value`");
    says(&limited(Some("c")), &two, Status::Unknown, None, "no column is named c; there is a, b");
    let twice = row(&[("a", n("9")), ("a", n("1"))]);
    says(&limited(Some("a")), &twice, Status::Unknown, None, "several columns are named a");
    says(&sql(), &two, Status::Ok, None, "a is 9, b is 1");
}

#[test]
fn what_is_no_number_is_unknown_and_never_nothing() {
    for (cell, words) in [
        (Cell::Null, "n is NULL"),
        (n("NaN"), "no number in n but NaN"),
        (n("Infinity"), "no number in n but Infinity"),
        (n("-inf"), "no number in n but -inf"),
        (n(&"9".repeat(400)), "no number in n but 9999999999999999999999999999999999999999…"),
        (Cell::word("1 day 02:00:00"), "no number in n but \"1 day 02:00:00\""),
        (Cell::word("2026-01-02 03:04:05+00"), "no number in n but \"2026-01-02 03:04:05+00\""),
        (Cell::word("$12.00"), "no number in n but \"$12.00\""),
        (Cell::Is(true.into()), "no number in n but true"),
        (Cell::Not("3 B in binary".into()), "no number in n but 3 B in binary"),
    ] {
        says(&limited(None), &row(&[("n", cell.clone())]), Status::Unknown, None, words);
        // Where the plan asks for nothing, what should be a number and is none is no number all the same.
        let word = matches!(cell, Cell::Is(_));
        assert_eq!(judge(&sql(), &row(&[("n", cell)])).status == Status::Ok, word, "{words}");
    }
    says(&sql(), &row(&[("s", Cell::word("done"))]), Status::Ok, None, "s is \"done\"");
    let no_row = Found { columns: vec!["n".into()], rows: vec![] };
    let two_rows = Found { columns: vec!["n".into()], rows: vec![vec![n("1")], vec![n("1")]] };
    for expect in [sql(), limited(None), expecting("n", Expected::Number(1.0))] {
        let (none, two) = (judge(&expect, &no_row), judge(&expect, &two_rows));
        assert!(none.status == Status::Unknown && none.why.contains("no row"), "{none:?}");
        assert!(two.status == Status::Unknown && two.why.contains("more than one row"), "{two:?}");
    }
}

#[test]
fn a_row_is_held_against_what_is_expected_column_by_column() {
    let done = || Expected::Text("done".into());
    let one = |cell| row(&[("state", cell)]);
    says(&expecting("state", done()), &one(Cell::word("done")), Status::Ok, None, "state is \"done\"");
    let bad = "state is \"open\", not \"done\"";
    says(&expecting("state", done()), &one(Cell::word("open")), Status::Fail, None, bad);
    says(&expecting("state", done()), &one(Cell::Null), Status::Unknown, None, "state is NULL");
    says(
        &expecting("State", done()),
        &one(Cell::word("done")),
        Status::Unknown,
        None,
        "state is \"done\"; no column is named State; there is state",
    );
    says(&expecting("state", done()), &one(n("NaN")), Status::Fail, None, "state is NaN, not \"done\"");
    says(
        &expecting("state", Expected::Number(1.0)),
        &one(Cell::word("1")),
        Status::Fail,
        Some(1.0),
        "state is 1; state is \"1\", not 1",
    );
    says(&expecting("state", Expected::Truth(true)), &one(Cell::Is(true.into())), Status::Ok, None, "state is true");
    let both = plan::Sql { expect: vec![("state".into(), done())], ..limited(Some("n")) };
    let found = |state: &str, count: &str| row(&[("n", n(count)), ("state", Cell::word(state)), ("more", Cell::Null)]);
    says(&both, &found("done", "2"), Status::Ok, Some(2.0), "state is \"done\", n is 2");
    let worst = "n is 6; state is \"open\", not \"done\"; 6 is more than 5";
    says(&both, &found("open", "6"), Status::Fail, Some(6.0), worst);
}

#[test]
fn a_value_of_a_parameter_is_no_sql() {
    let query = plan::Template::new("select count(*) from {{ table }} where day = '{{ day }}'").unwrap();
    let with = |table: &str, day: &str| {
        let params = [("table", table), ("day", day)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        filled(&query, &Params::from(params))
    };
    let fine = with("shop.orders", "2026-01-02T03:04:05+00:00").unwrap();
    assert_eq!(fine, "select count(*) from shop.orders where day = '2026-01-02T03:04:05+00:00'");
    for (table, day) in [
        ("orders where false", "x"),
        ("orders;drop", "x"),
        ("orders--", "x"),
        ("orders", "' or ''='"),
        ("orders", "\\"),
        ("orders", "-"),
        ("(select)", "x"),
        ("orders", "/**/"),
        ("orders", "$1"),
    ] {
        let why = with(table, day).unwrap_err();
        assert!(why.starts_with("not asked: the value"), "{why}");
    }
}

/// A file with what these statements make.
fn file(folder: &Path, name: &str, made: &str) -> Connection {
    let connection = Connection::open(folder.join(name)).unwrap();
    connection.execute_batch(made).unwrap();
    connection
}
fn ask(path: &Path, query: &str) -> Result<Found, String> {
    sqlite::ask(path, query, Instant::now() + Duration::from_secs(60))
}
fn value(path: &Path, query: &str) -> Cell {
    ask(path, query).unwrap().rows[0][0].clone()
}

#[test]
fn a_real_file_is_read_with_every_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b?%#.db");
    let made =
        "create table t (n); insert into t values (1), (2), (null); create view v as select sum(n) as total from t";
    let open = file(folder.path(), "a b?%#.db", made);
    for (query, cell) in [
        ("select count(*) from t", Cell::Is(3.into())),
        ("select total from v;", Cell::Is(3.into())),
        ("select max(n) from t where n > 5 -- none", Cell::Null),
        ("select 9223372036854775807", Cell::Is(i64::MAX.into())),
        ("select 2.5", Cell::Is(2.5.into())),
        ("select 9e999", Cell::Not("inf".into())),
        ("select -9e999", Cell::Not("-inf".into())),
        ("select 'done'", Cell::word("done")),
        ("select x'00ff01'", Cell::Not("3 B in binary".into())),
        ("pragma quick_check", Cell::word("ok")),
        ("with w as (select 7 as n) select n from w", Cell::Is(7.into())),
    ] {
        assert_eq!(value(&path, query), cell, "{query}");
    }
    assert_eq!(ask(&path, "select n from t").unwrap().rows.len(), 2, "two are enough to know that they are several");
    assert_eq!(ask(&path, "select n from t where n = 9").unwrap().rows.len(), 0);
    assert_eq!(ask(&path, "select n as a, 1 as b from t limit 1").unwrap().columns, ["a", "b"]);
    // What changed meanwhile is read: nothing is kept from one reading to the next.
    open.execute_batch("insert into t values (4)").unwrap();
    assert_eq!(value(&path, "select count(*) from t"), Cell::Is(4.into()));
}

#[test]
fn nothing_that_writes_is_asked_and_a_file_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(file(folder.path(), "a.db", "create table t (n); insert into t values (1)"));
    let before = std::fs::read(&path).unwrap();
    for (query, words) in [
        ("update t set n = 2", "would write"),
        ("update t set n = 2 returning n", "would write"),
        ("insert into t values (2) returning n", "would write"),
        ("drop table t", "would write"),
        ("vacuum", ""),
        ("create temp table x (n)", "would write"),
        ("attach 'other.db' as o", "returns no rows"),
        ("begin", "returns no rows"),
        ("select 1; update t set n = 2", "more than one statement"),
        ("pragma user_version = 7", ""),
        ("pragma query_only = 0", ""),
        ("select n from gone", "no such table: gone"),
        ("selec 1", "syntax error"),
        ("", "returns no rows"),
        ("-- nothing", "returns no rows"),
        ("select load_extension('x')", "SQLite says"),
        ("select zeroblob(2000000)", "longer than 1.0 MB"),
    ] {
        let found = ask(&path, query);
        let fine = match &found {
            Err(why) => why.contains(words),
            Ok(found) => words.is_empty() && found.rows.len() < 2,
        };
        assert!(fine, "{query}: {found:?}");
    }
    assert!(std::fs::read(&path).unwrap() == before, "not a byte of it is another");
    let beside: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["a.db"]);
}

#[test]
fn what_takes_too_long_or_is_locked_or_is_no_database_is_unknown_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let open = file(folder.path(), "a.db", "create table t (n); insert into t values (1)");
    let soon = || Instant::now() + Duration::from_millis(300);
    // Time itself is what is asked about here: without the limit this would run for years.
    let endless = "with recursive c(n) as (select 1 union all select n + 1 from c) select max(n) from c";
    let why = sqlite::ask(&path, endless, soon()).unwrap_err();
    assert!(why.contains("no answer within") && why.contains("was stopped"), "{why}");
    open.execute_batch("begin exclusive").unwrap();
    let why = sqlite::ask(&path, "select n from t", soon()).unwrap_err();
    assert!(why.contains("has it locked"), "{why}");
    open.execute_batch("commit").unwrap();
    assert_eq!(value(&path, "select n from t"), Cell::Is(1.into()));
    for (name, words) in [("none.db", "cannot be opened"), (".", "no file")] {
        let why = ask(&folder.path().join(name), "select 1").unwrap_err();
        assert!(why.contains(words), "{why}");
    }
    assert!(!folder.path().join("none.db").exists(), "and it is not made");
    std::fs::write(folder.path().join("b.db"), "not a database, but long enough to be taken for one".repeat(40))
        .unwrap();
    let why = ask(&folder.path().join("b.db"), "select 1 from sqlite_master").unwrap_err();
    assert!(why.contains("not a database"), "{why}");
}

#[test]
fn a_file_in_wal_mode_is_read_while_it_is_written_and_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let open = file(folder.path(), "a.db", "pragma journal_mode = wal; create table t (n); insert into t values (1)");
    open.execute_batch("begin immediate; insert into t values (2)").unwrap();
    assert_eq!(value(&path, "select count(*) from t"), Cell::Is(1.into()), "what is not committed is not there");
    open.execute_batch("commit").unwrap();
    assert_eq!(value(&path, "select count(*) from t"), Cell::Is(2.into()), "it stands in the log alone");
    drop(open);
    assert_eq!(value(&path, "select count(*) from t"), Cell::Is(2.into()));
    // Whoever writes it next is not kept from it.
    file(folder.path(), "a.db", "insert into t values (3)");
    assert_eq!(value(&path, "select count(*) from t"), Cell::Is(3.into()));
}

#[test]
fn nothing_is_left_beside_a_file_of_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let open = file(folder.path(), "a.db", "pragma journal_mode = wal; create table t (n); insert into t values (1)");
    let ask = || sqlite::asked(&path, "select count(*) from t", Instant::now() + Duration::from_secs(60), false);
    assert_eq!(ask().unwrap().rows, [[Cell::Is(1.into())]], "while its owner has it open");
    drop(open);
    let refused = ask().unwrap_err();
    assert!(refused.contains("would leave files beside it"), "{refused}");
    let beside: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["a.db"]);
}

#[tokio::test]
async fn a_collector_reads_a_file_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = file(folder.path(), "a.db", "create table t (n)");
    let id: WatchId = "w".parse().unwrap();
    let query = plan::Template::new("select count(*) as n from t").unwrap();
    let expect = plan::Sql { query, ..limited(None) };
    let mut watch = Sql::new(&id, &expect, &Params::new(), folder.path()).unwrap();
    assert_eq!(watch.read().await.value, Some(0.0));
    open.execute_batch("insert into t values (1), (2)").unwrap();
    assert_eq!(watch.read().await.value, Some(2.0));
    // A file that is gone is not told as it was.
    std::fs::remove_file(folder.path().join("a.db")).unwrap();
    let gone = watch.read().await;
    assert!(gone.status == Status::Unknown && gone.value.is_none(), "{gone:?}");
}

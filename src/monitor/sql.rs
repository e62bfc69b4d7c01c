//! What a query answers: one number or one row, held against what the plan expects.
//!
//! Every reading makes its own connection, as somebody who asks anew would, so nothing that a dead one once said can be told
//! again. What is asked may only read: see [`postgres`] and [`sqlite`]. `fail` means that the database answered and the answer is bad;
//! no answer, none or several rows, `NULL` and what is no number read unknown.

mod postgres;
mod sqlite;

use super::command::measured;
use super::worker::Worker;
use super::{Findings, bytes, excerpt, json, text};
use crate::event::{Reading, Status};
use crate::name::WatchId;
use crate::plan::{self, Database, Params};
use serde_json::Value;
use std::path::Path;

/// What is read of an answer at most, all rows and columns together.
const BYTES_MAX: usize = 1 << 20;
/// What of the words of a database is shown.
const SAID: usize = 160;
/// What of a row is shown where nothing in it is judged.
const SHOWN: usize = 120;

/// A query and who is asked.
pub(super) struct Sql {
    expect: plan::Sql,
    query: String,
    database: Asked,
}

enum Asked {
    Postgres(Box<postgres::Postgres>),
    /// SQLite's calls block, so they have a thread.
    Sqlite(Worker<Result<Found, String>>),
}

/// What a query found.
#[derive(Debug, Default, PartialEq)]
struct Found {
    columns: Vec<String>,
    /// Two at most: more are as wrong as two.
    rows: Vec<Vec<Cell>>,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    /// A number, a word, true or false.
    Is(Value),
    /// What stands where a number should and is none, in words: `NaN`, or bytes.
    Not(String),
}

impl Cell {
    /// A number as a database writes it, in a column of numbers.
    fn number(text: &str) -> Cell {
        let whole = text.parse::<i64>().ok().map(serde_json::Number::from);
        let number = whole.or_else(|| serde_json::Number::from_f64(json::plain(text)?));
        number.map_or_else(|| Cell::Not(excerpt(text, 40)), |number| Cell::Is(Value::Number(number)))
    }

    fn word(text: impl Into<String>) -> Cell {
        Cell::Is(Value::String(text.into()))
    }
}

impl Sql {
    /// Fills the templates in.
    pub(super) fn new(watch: &WatchId, expect: &plan::Sql, params: &Params, folder: &Path) -> Result<Self, String> {
        let query = filled(&expect.query, params)?;
        let database = match &expect.database {
            Database::Postgres(server) => {
                Asked::Postgres(Box::new(postgres::Postgres::new(server, params, folder, expect.timeout)?))
            }
            Database::Sqlite(path) => {
                let path = folder.join(path.render(params).map_err(text)?);
                let query = query.clone();
                Asked::Sqlite(Worker::start(watch, move |deadline| sqlite::ask(&path, &query, deadline))?)
            }
        };
        Ok(Sql { expect: expect.clone(), query, database })
    }

    /// Asks once.
    pub(super) async fn read(&mut self) -> Reading {
        let found = match &mut self.database {
            Asked::Postgres(server) => server.ask(&self.query).await,
            Asked::Sqlite(worker) => worker.look(self.expect.timeout).await.unwrap_or_else(|why| Err(why.to_owned())),
        };
        match found {
            Ok(found) => judge(&self.expect, &found),
            Err(why) => Reading::unknown(why),
        }
    }
}

/// The query with the values of parameters in it, each of which is a word, a number or a name, and no SQL: whatever quotes
/// stand around it, it can neither end them nor begin anything.
fn filled(query: &plan::Template, params: &Params) -> Result<String, String> {
    for name in query.names() {
        let value = params.get(&name).map(String::as_str).unwrap_or_default();
        let harmless = |c: char| c.is_alphanumeric() || "_-./:@%+,=".contains(c);
        let sign = value.chars().find(|c| !harmless(*c)).map(|sign| format!("{sign:?}"));
        let sign = sign.or_else(|| (value.contains("--") || value.starts_with('-')).then(|| "\"-\"".to_owned()));
        if let Some(sign) = sign {
            let (name, value) = (excerpt(&name, 40), excerpt(value, 40));
            return Err(format!(
                "not asked: the value {value:?} of {name} stands in a query, where {sign} may mean something"
            ));
        }
    }
    query.render(params).map_err(text)
}

/// Holds the one row against what is expected.
fn judge(expect: &plan::Sql, found: &Found) -> Reading {
    let row = match &found.rows[..] {
        [row] => row,
        [] => return Reading::unknown("the query found no row, and one was to be judged"),
        _ => return Reading::unknown("the query found more than one row, and nobody says which counts"),
    };
    let mut findings = Findings::default();
    let mut told = vec![];
    for (column, wanted) in &expect.expect {
        let name = excerpt(column, 60);
        match cell(found, row, column) {
            Err(why) => findings.add(Status::Unknown, why),
            Ok(Cell::Null) => findings.add(Status::Unknown, format!("{name} is NULL")),
            Ok(Cell::Is(value)) if json::is(value, wanted) => told.push(format!("{name} is {}", json::quoted(value))),
            Ok(other) => {
                findings.add(Status::Fail, format!("{name} is {}, not {}", shown(other), json::written(wanted)));
            }
        }
    }
    let column = match (&expect.value, &found.columns[..]) {
        (Some(column), _) => Some(column),
        (None, [only]) => Some(only),
        (None, many) => {
            if expect.bounds.any() {
                let why = format!("{} columns, and the plan names none as `value`", many.len());
                findings.add(Status::Unknown, why);
            }
            None
        }
    };
    let Some(column) = column else {
        if told.is_empty() && findings.0.is_empty() {
            let all = found.columns.iter().zip(row).map(|(name, cell)| format!("{name} is {}", shown(cell)));
            told.push(excerpt(&all.collect::<Vec<_>>().join(", "), SHOWN));
        }
        return findings.reading(&told.join(", "), None, "");
    };
    let name = excerpt(column, 60);
    // What is expected of this very column was told already.
    let held = expect.expect.iter().any(|(held, _)| held == column);
    let none = |why: String| vec![(name.clone(), Err(why))];
    let numbers = match cell(found, row, column) {
        Err(why) => none(why),
        Ok(Cell::Null) => none(format!("{name} is NULL")),
        Ok(Cell::Is(value)) => match json::number(value) {
            Some(number) => vec![(name.clone(), Ok(number))],
            // A word is shown as it is; it is no number to hold against anything.
            None if !expect.bounds.any() => {
                if !held {
                    told.push(format!("{name} is {}", json::quoted(value)));
                }
                vec![]
            }
            None => none(format!("no number in {name} but {}", json::quoted(value))),
        },
        Ok(Cell::Not(what)) => none(format!("no number in {name} but {what}")),
    };
    if held && numbers.iter().any(|(_, number)| number.is_err()) && !expect.bounds.any() {
        return findings.reading(&told.join(", "), None, "");
    }
    let (value, said) = measured(numbers, &expect.bounds, &mut findings);
    told.extend(Some(said).filter(|said| !said.is_empty() && !told.contains(said)));
    findings.reading(&told.join(", "), value, &expect.unit)
}

/// What stands in a column of the row.
fn cell<'a>(found: &Found, row: &'a [Cell], column: &str) -> Result<&'a Cell, String> {
    let name = excerpt(column, 60);
    let mut named = found.columns.iter().zip(row).filter(|(name, _)| *name == column);
    match (named.next(), named.next()) {
        (Some((_, cell)), None) => Ok(cell),
        (Some(_), Some(_)) => Err(format!("several columns are named {name}")),
        (None, _) => {
            let all = excerpt(&found.columns.join(", "), SHOWN);
            Err(format!("no column is named {name}; there is {all}"))
        }
    }
}

/// A value as a screen shows it.
fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Is(value) => json::quoted(value),
        Cell::Not(what) => what.clone(),
    }
}

#[cfg(test)]
mod tests;

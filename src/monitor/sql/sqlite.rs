//! A file of SQLite: opened to read, told to change nothing, asked one statement that reads, and left.

use super::{BYTES_MAX, Cell, Found, SAID, bytes, excerpt};
use nix::unistd::geteuid;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

/// Steps of SQLite's machine between two looks at the clock: well under a millisecond.
const STEPS: i32 = 10_000;

/// Asks once, by then.
pub(super) fn ask(path: &Path, query: &str, deadline: Instant) -> Result<Found, String> {
    let file = std::fs::metadata(path).map_err(|error| format!("the file cannot be opened: {error}"))?;
    if !file.is_file() {
        return Err("that is no file".to_owned());
    }
    asked(path, query, deadline, may_leave(&file))
}

/// The same, where it is known whether SQLite may make files beside it.
pub(super) fn asked(path: &Path, query: &str, deadline: Instant, may_leave: bool) -> Result<Found, String> {
    if !may_leave && would_leave(path).map_err(|error| format!("the file cannot be read: {error}"))? {
        let why = "it is somebody else's, in WAL mode, and nobody has it open: to read it would leave files beside it";
        return Err(format!("not asked: {why}"));
    }
    let began = Instant::now();
    let told = |error: Error| told(&error, deadline, began);
    let mut connection = open(path, may_leave).map_err(told)?;
    connection.busy_timeout(deadline.saturating_duration_since(Instant::now())).map_err(told)?;
    connection.pragma_update(None, "query_only", true).map_err(told)?;
    connection.progress_handler(STEPS, Some(move || Instant::now() >= deadline)).map_err(told)?;
    let found = read(&mut connection, query, told);
    drop(connection);
    found
}

/// Whether opening it makes files: its header says that it is in WAL mode, and no log lies beside it.
fn would_leave(path: &Path) -> std::io::Result<bool> {
    let mut header = [0; 20];
    let wal = match std::fs::File::open(path)?.read_exact(&mut header) {
        Ok(()) => header[18..] == [2, 2],
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => false,
        Err(error) => return Err(error),
    };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Ok(wal && !Path::new(&log).exists())
}

/// Whether files that SQLite makes beside a database in WAL mode get in nobody's way: they are its owner's, since root gives
/// them to that one. Anybody else's would keep the owner from writing.
fn may_leave(file: &std::fs::Metadata) -> bool {
    let who = geteuid();
    who.is_root() || who.as_raw() == file.uid()
}

fn open(path: &Path, may_leave: bool) -> Result<Connection, Error> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte => uri += &format!("%{byte:02X}"),
        }
    }
    uri += if may_leave { "?mode=ro" } else { "?mode=ro&readonly_shm=1" };
    Connection::open_with_flags(uri, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

fn read(connection: &mut Connection, query: &str, told: impl Fn(Error) -> String) -> Result<Found, String> {
    let mut statement = connection.prepare(query).map_err(&told)?;
    if !statement.readonly() {
        return Err("not asked: the query would write".to_owned());
    }
    if statement.column_count() == 0 {
        return Err("not asked: the query returns no rows".to_owned());
    }
    let columns = statement.column_names().map(str::to_owned).collect::<Vec<_>>();
    let mut found = Found { columns, rows: vec![] };
    let mut rows = statement.query([]).map_err(&told)?;
    let mut room = BYTES_MAX;
    while let Some(row) = rows.next().map_err(&told)? {
        let mut cells = vec![];
        for column in 0..found.columns.len() {
            let value = row.get_ref(column).map_err(&told)?;
            let size = match value {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
                _ => 8,
            };
            room = room
                .checked_sub(size)
                .ok_or_else(|| format!("the answer is longer than {}", bytes(BYTES_MAX as u64)))?;
            cells.push(match value {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Is(number.into()),
                ValueRef::Real(number) => match serde_json::Number::from_f64(number) {
                    Some(number) => Cell::Is(number.into()),
                    None => Cell::Not(number.to_string()),
                },
                ValueRef::Text(text) => Cell::word(String::from_utf8_lossy(text)),
                ValueRef::Blob(blob) => Cell::Not(format!("{} in binary", bytes(blob.len() as u64))),
            });
        }
        found.rows.push(cells);
        if found.rows.len() == 2 {
            break;
        }
    }
    Ok(found)
}

/// An error in words. The file's path is the watch's source, and told there.
fn told(error: &Error, deadline: Instant, began: Instant) -> String {
    let within = crate::clock::human(deadline.saturating_duration_since(began));
    match error {
        Error::MultipleStatement => "not asked: the query is more than one statement".to_owned(),
        error => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => format!("no answer within {within}, and the query was stopped"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                format!("somebody has it locked, and still had after {within}")
            }
            _ => {
                // Its own words alone: the library adds the query, which stands beside the reading.
                let said = match error {
                    Error::SqlInputError { msg, .. } | Error::SqliteFailure(_, Some(msg)) => msg.clone(),
                    error => error.to_string(),
                };
                format!("SQLite says: {}", excerpt(&said, SAID))
            }
        },
    }
}

//! Real parts: a PostgreSQL server and a Kafka broker that `tests/run` started, and a small web service of our own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Where a real part is, from the variable that `tests/run` sets.
pub fn part(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    value.or_else(|| left_out(&format!("{variable} is not set")))
}

/// Whether a program that the test drives is installed.
pub fn installed(tool: &str, version: &str) -> Option<()> {
    match Command::new(tool).arg(version).output() {
        Ok(_) => Some(()),
        Err(error) => left_out(&format!("{tool} cannot be started: {error}")),
    }
}

/// A test that has not what it needs ends and says so. Where every part is required, and wherever a machine runs the tests for
/// others (`CI=true`), it fails: a skipped test must never pass for a green one.
fn left_out<T>(why: &str) -> Option<T> {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|set| set == value);
    let required = is("CROSSCHECK_TEST_REQUIRED", "1") || is("CI", "true");
    assert!(!required, "{why}, and CROSSCHECK_TEST_REQUIRED or CI asks for every real part");
    // Past the test runner, which keeps what a passing test prints: what was left out shall be seen.
    let _ = writeln!(std::io::stderr(), "LEFT OUT {test}: {why}; tests/run installs and starts what it needs");
    None
}

/// A name that no other run of the tests uses on the same server, nor another test of this one.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("it is later than 1970");
    format!("{name}_{}_{}_{}", std::process::id(), since.as_millis(), NEXT.fetch_add(1, Ordering::SeqCst))
}

/// A database that goes when it goes out of scope.
pub struct Database {
    server: String,
    /// Its name.
    pub name: String,
}

impl Database {
    /// Makes an empty one.
    pub fn new(server: &str, name: &str) -> Self {
        let database = Database { server: server.to_owned(), name: unique(name) };
        database.psql("postgres", &format!("create database {}", database.name));
        database
    }

    /// Asks it; rows as `psql -At` prints them.
    pub fn query(&self, sql: &str) -> String {
        self.psql(&self.name, sql)
    }

    /// Where it is, as `psql` takes it.
    pub fn address(&self) -> String {
        format!("{} dbname={}", self.server, self.name)
    }

    fn psql(&self, database: &str, sql: &str) -> String {
        psql(&format!("dbname={database} {}", self.server), sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// Asks a database: rows as `psql -At` prints them, or what it has against it.
pub fn psql(to: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", to, "-c", sql]).output();
    let output = output.expect("psql starts");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.psql("postgres", &format!("drop database {} with (force)", self.name));
        }
    }
}

/// A web service that answers 200, or 503 while it is out of order. One request a connection.
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts it on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, broken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (stops, breaks) = (stop.clone(), broken.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stops.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away in the middle is its own business.
                let _ = answer(&stream, breaks.load(Ordering::SeqCst));
            }
        });
        Service { address, stop, broken, thread: Some(thread) }
    }

    /// From now on it answers 503, or 200 again.
    pub fn out_of_order(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }
}

fn answer(mut stream: &TcpStream, broken: bool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            break; // the end of the request's head; a GET has nothing else
        }
    }
    let status = if broken { "503 Service Unavailable" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes it from waiting for a connection
        self.thread.take().map(JoinHandle::join);
    }
}

//! Servers that a test starts and stops itself: OpenSearch, Project Nessie and Redis, each in a folder of its own on a free
//! port of loopback, and pages in front of them. What they are made of comes from `tests/run`.

use super::real::{installed, part};
use super::wait::{PATIENCE, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a server may take to start: some are Java programs, and two cores that compile beside it made one take 336 s.
const START: Duration = Duration::from_secs(480);
/// How long one request may take.
const REQUEST: &str = "30";

/// A server of this test's own. It is gone when this is.
pub struct Server {
    child: Child,
    // Outlives the process that writes into it.
    _folder: tempfile::TempDir,
    /// Where it serves, on loopback.
    pub port: u16,
}

impl Server {
    /// One OpenSearch node: indices, `_reindex`, `_aliases`, `_count`, `_cluster/health`.
    pub fn search() -> Option<Server> {
        let jars = part("CROSSCHECK_TEST_SEARCH")?;
        Some(Self::start(
            |folder, ports| {
                let mut java = java(&["-cp", &format!("{jars}/*:{jars}"), "Search"]);
                java.arg(folder).args(ports.iter().map(u16::to_string));
                java
            },
            |server| server.get("/_cluster/health").is_some_and(|(status, _)| status == 200),
        ))
    }

    /// Project Nessie, with its data in memory. Its `main` has no commit yet: see [`Server::commit`].
    pub fn nessie() -> Option<Server> {
        let folder = part("CROSSCHECK_TEST_NESSIE")?;
        let jar = std::fs::read_dir(&folder).expect("its folder").flatten().map(|entry| entry.path());
        let jar = jar.into_iter().find(|path| path.extension().is_some_and(|end| end == "jar")).expect("its jar");
        Some(Self::start(
            |_, ports| {
                let mut java = java(&["-Dquarkus.http.host=127.0.0.1", &format!("-Dquarkus.http.port={}", ports[0])]);
                java.args(["-Dnessie.version.store.type=IN_MEMORY", "-Dquarkus.otel.sdk.disabled=true", "-jar"]);
                java.arg(&jar);
                java
            },
            |server| server.get("/api/v2/config").is_some_and(|(status, _)| status == 200),
        ))
    }

    /// A server that answers as lakeFS does, with the models of its official SDK: see `tests/parts/lakefs.py`.
    pub fn lakefs() -> Option<Server> {
        let tools = part("CROSSCHECK_TEST_PYTHON")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parts/lakefs.py");
        let server = Self::start(
            |_, ports| {
                let mut python = Command::new(Path::new(&tools).join("python"));
                python.arg(&script).arg(ports[0].to_string()).args([LAKEFS.0, LAKEFS.1]);
                python
            },
            |server| lakefs(server.port, "GET", "/repositories/none", "").is_some_and(|(status, _)| status == 404),
        );
        let body = r#"{"name":"shop","storage_namespace":"mem://shop"}"#;
        assert_eq!(lakefs(server.port, "POST", "/repositories", body).map(|(status, _)| status), Some(201));
        Some(server)
    }

    /// lakeFS: sends a request about the repository `shop`, by who may do everything. It has to succeed.
    #[track_caller]
    pub fn shop(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) =
            lakefs(self.port, method, &format!("/repositories/shop{path}"), body).expect("an answer");
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// lakeFS: where a branch stands.
    #[track_caller]
    pub fn stands(&self, branch: &str) -> String {
        self.shop("GET", &format!("/branches/{branch}"), "")["commit_id"].as_str().expect("a commit").to_owned()
    }

    /// lakeFS: commits what an object holds; the new head.
    #[track_caller]
    pub fn holds(&self, branch: &str, object: &str, text: &str) -> String {
        self.shop("POST", &format!("/branches/{branch}/objects?path={object}"), text);
        self.shop("POST", &format!("/branches/{branch}/commits"), r#"{"message":"a {\"id\": 1} of tests"}"#);
        self.stands(branch)
    }

    /// Redis, which keeps nothing on disk.
    pub fn redis() -> Option<Server> {
        installed("redis-server", "--version")?;
        Some(Self::start(
            |folder, ports| {
                let mut redis = Command::new("redis-server");
                redis.args(["--bind", "127.0.0.1", "--port", &ports[0].to_string(), "--save", "", "--dir"]).arg(folder);
                redis
            },
            |server| redis(server.port, &["PING"]).is_ok_and(|pong| pong.as_deref() == Some("PONG")),
        ))
    }

    /// Starts it and waits until it answers; it is given two free ports.
    fn start(launch: impl Fn(&Path, &[u16]) -> Command, answers: impl Fn(&Server) -> bool) -> Server {
        // A port that was free may be taken a moment later: then another one is tried.
        for _ in 0..3 {
            let folder = tempfile::tempdir().expect("a folder");
            let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
            let ports = held.each_ref().map(|held| held.local_addr().expect("it is bound").port());
            drop(held);
            let log = folder.path().join("log");
            let to = |log: &Path| File::create(log).expect("its log");
            let mut command = launch(folder.path(), &ports);
            command.current_dir(folder.path()).stdin(Stdio::null()).stdout(to(&log));
            let child = command.stderr(to(&folder.path().join("errors"))).spawn().expect("it can be started");
            let mut server = Server { child, _folder: folder, port: ports[0] };
            let up = poll(START, || match server.child.try_wait().expect("it can be waited for") {
                Some(_) => Some(false),
                None => answers(&server).then_some(true),
            });
            if up == Some(true) {
                return server;
            }
            let text = |name: &str| std::fs::read_to_string(log.with_file_name(name)).unwrap_or_default();
            let said = text("log") + &text("errors");
            let last: Vec<_> = said.lines().rev().take(20).collect();
            eprintln!("not started: {}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        panic!("it does not start; what it said stands above");
    }

    /// Where a page of it is.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a request: the status, and the body where it is JSON; nothing where there is no answer.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        ask(self.port, method, path, body)
    }

    /// Gets a page.
    pub fn get(&self, path: &str) -> Option<(u16, Value)> {
        self.ask("GET", path, "")
    }

    /// Sends a request that has to succeed.
    #[track_caller]
    pub fn ok(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) = self.ask(method, path, body).expect("an answer");
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Nessie: where a branch stands.
    #[track_caller]
    pub fn head(&self, branch: &str) -> String {
        let found = self.ok("GET", &format!("/api/v2/trees/{branch}"), "");
        found["reference"]["hash"].as_str().expect("a hash").to_owned()
    }

    /// Nessie: makes a branch where another one stands.
    pub fn branch(&self, name: &str, from: &str) {
        let body = serde_json::json!({ "type": "BRANCH", "name": from, "hash": self.head(from) });
        self.ok("POST", &format!("/api/v2/trees?name={name}&type=BRANCH"), &body.to_string());
    }

    /// Nessie: commits where a table lies; the new head.
    pub fn commit(&self, branch: &str, table: &str, location: &str) -> String {
        let mut content = serde_json::json!({ "type": "ICEBERG_TABLE", "metadataLocation": location, "snapshotId": 1,
            "schemaId": 0, "specId": 0, "sortOrderId": 0 });
        // A table that is there already is named by its id too: else it would be another one of the same name.
        if let Some((200, found)) = self.get(&format!("/api/v2/trees/{branch}/contents/{table}")) {
            content["id"] = found["content"]["id"].clone();
        }
        let put = serde_json::json!({ "type": "PUT", "key": { "elements": [table] }, "content": content });
        let body = serde_json::json!({ "commitMeta": { "message": location }, "operations": [put] });
        let at = self.head(branch);
        self.ok("POST", &format!("/api/v2/trees/{branch}@{at}/history/commit"), &body.to_string());
        self.head(branch)
    }

    /// Stops or continues all of it, or ends it.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().expect("a pid")), signal).expect("it is there");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // a stopped one too
        let _ = self.child.wait();
    }
}

fn java(args: &[&str]) -> Command {
    let mut java = Command::new("java");
    java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]).args(args);
    java
}

/// Asks Redis on that port; nothing where the answer is nil.
pub fn redis(port: u16, words: &[&str]) -> std::io::Result<Option<String>> {
    let broken = |why: &str| std::io::Error::other(why.to_owned());
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| request += &format!("${}\r\n{word}\r\n", word.len()));
    stream.write_all(request.as_bytes())?;
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let line = line.trim_end();
    match (line.get(..1), line.get(1..)) {
        (Some("+" | ":"), Some(text)) => Ok(Some(text.to_owned())),
        (Some("$"), Some("-1")) => Ok(None),
        (Some("$"), Some(length)) => {
            let length: usize = length.parse().map_err(|_| broken("no length"))?;
            let mut bytes = vec![0; length];
            answer.read_exact(&mut bytes)?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        _ => Err(broken(line)),
    }
}

/// Sends a request to a server on that port.
pub fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    asked(port, method, path, body, &[])
}

fn asked(port: u16, method: &str, path: &str, body: &str, more: &[&str]) -> Option<(u16, Value)> {
    let mut curl = Command::new("curl");
    curl.args(more);
    curl.args(["-sS", "--noproxy", "*", "-m", REQUEST, "-w", "\n%{http_code}", "-X", method]);
    if !body.is_empty() {
        let kind = if body.ends_with('\n') { "application/x-ndjson" } else { "application/json" };
        curl.args(["-H", &format!("Content-Type: {kind}"), "--data-binary", body]);
    }
    let output = curl.arg(format!("http://127.0.0.1:{port}{path}")).output().expect("curl starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').filter(|_| output.status.success())?;
    Some((status.parse().expect("a status"), serde_json::from_str(body).unwrap_or_default()))
}

/// The access key of the tests' lakeFS, and its secret.
pub const LAKEFS: (&str, &str) = ("AKIATESTS", "hunter2");

/// Asks the tests' lakeFS by who may do everything.
pub fn lakefs(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    asked(port, method, &format!("/api/v1{path}"), body, &["-u", &format!("{}:{}", LAKEFS.0, LAKEFS.1)])
}

/// A web page in front of a real part. One request a connection, one after another.
pub struct Page {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Page {
    /// Shows what a Redis on that port has: `/price:1` is the value of `price:1`. 404 where there is none, 502 where Redis does
    /// not answer.
    pub fn of(port: u16) -> Page {
        Page::showing(move |path| match redis(port, &["GET", path.trim_start_matches('/')]) {
            Ok(Some(value)) => (200, value),
            Ok(None) => (404, "no such page".to_owned()),
            Err(error) => (502, error.to_string()),
        })
    }

    /// Reads a table as readers of a Nessie on that port do, on the branch after `?ref=`: what is `live` has to lie where
    /// they may read, while those who stage it may read elsewhere too.
    pub fn reading(port: u16, table: &str) -> Page {
        let table = table.to_owned();
        Page::showing(move |path| {
            let branch = path.split_once("?ref=").map_or("main", |(_, branch)| branch);
            let found = ask(port, "GET", &format!("/api/v2/trees/{branch}/contents/{table}"), "");
            match found.as_ref().and_then(|(_, found)| found["content"]["metadataLocation"].as_str()) {
                None => (502, format!("no table {table} on {branch}")),
                Some(place) if branch == "live" && !place.starts_with("file:") => {
                    (500, format!("{place}: access denied"))
                }
                Some(place) => (200, place.to_owned()),
            }
        })
    }

    /// Reads an object as readers of the tests' lakeFS on that port do, on the branch after `?ref=`: what is on `main` (in a rehearsal too) has to
    /// say that it is good, while those who ingest read anything.
    pub fn of_lakefs(port: u16, object: &str) -> Page {
        let object = object.to_owned();
        Page::showing(move |path| {
            let branch = path.split_once("?ref=").map_or("main", |(_, branch)| branch);
            let found = lakefs(port, "GET", &format!("/repositories/shop/refs/{branch}/objects?path={object}"), "");
            match found {
                Some((200, text)) if branch.ends_with("main") && text["good"] != true => {
                    (500, format!("{text} cannot be read"))
                }
                Some((200, text)) => (200, text.to_string()),
                other => (502, format!("no {object} on {branch}: {other:?}")),
            }
        })
    }

    /// Answers a path with that status and body.
    pub fn showing(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Page {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let stop = Arc::new(AtomicBool::new(false));
        let stops = stop.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stops.load(Ordering::SeqCst) {
                    return;
                }
                let _ = show(&stream, &answer); // a client that goes away in the middle is its own business
            }
        });
        Page { address, stop, thread: Some(thread) }
    }

    /// Where it is.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn show(mut stream: &TcpStream, answer: &impl Fn(&str) -> (u16, String)) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break; // the end of the request's head; a GET has nothing else
        }
    }
    let (status, body) = answer(first.split(' ').nth(1).unwrap_or_default());
    let reason = if status == 200 { "OK" } else { "No" };
    write!(stream, "HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

impl Drop for Page {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes it from waiting for a connection
        self.thread.take().map(JoinHandle::join);
    }
}

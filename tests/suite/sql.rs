//! The watch `sql` on a real PostgreSQL, and on a file of SQLite through the built program.

use crate::support::program::run;
use crate::support::real::{Database, part, psql, unique};
use crate::support::wait::{PATIENCE, poll};
use crate::support::watch::{Watch, says};
use base64::Engine as _;
use crosscheck::event::{Reading, Status};
use serde_json::Value;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A setting of the server that `tests/run` started: `host`, which is the folder of its socket, or `port`.
fn of<'a>(server: &'a str, key: &str) -> &'a str {
    let value = server.split(' ').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    value.expect("tests/run says where it is")
}

/// The lines of a watch that asks that database over its socket.
fn lines(server: &str, dbname: &str, query: &str, more: &str) -> String {
    let (host, port) = (of(server, "host"), of(server, "port"));
    format!(
        "kind = \"sql\"\npostgres = {{ host = \"{host}\", port = {port}, dbname = \"{dbname}\", user = \"postgres\" }}\n\
         query = \"\"\"{query}\"\"\"\nevery = \"60s\"\nstale_after = \"5m\"\ntimeout = \"20s\"\n{more}"
    )
}

struct Asked<'a>(&'a str, &'a Database);

impl Asked<'_> {
    fn watch(&self, query: &str, more: &str) -> Watch {
        Watch::start(Path::new("/"), &lines(self.0, &self.1.name, query, more))
    }
    fn read(&self, query: &str, more: &str) -> Reading {
        self.watch(query, more).read()
    }
}

#[test]
fn a_real_server_answers_with_a_number_or_a_row_and_nothing_else_counts() {
    let Some(server) = part("CROSSCHECK_TEST_PG") else { return };
    let database = Database::new(&server, "shop");
    database.query(
        "create type mood as enum ('fine', 'sour'); create domain share as numeric check (value <= 1);
         create table orders (id bigint, state mood, part share); insert into orders values (1, 'fine', 0.5), (2, null, 1)",
    );
    let ask = Asked(&server, &database);
    for (query, value) in [
        ("select count(*) from orders", 2.0),
        ("select sum(id) from orders;", 3.0),
        ("select 7::smallint -- a remark", 7.0),
        ("select 9007199254740993", 9007199254740992.0),
        ("select 12345678901234567890.5::numeric", 12345678901234567890.5),
        ("select 0.1::real", 0.1),
        ("select 1e300::float8", 1e300),
        ("select min(part) from orders", 0.5),
        ("select 4294967295::oid", 4294967295.0),
        ("select '12'", 12.0),
        ("select extract(epoch from interval '1 day 02:00:00')", 93600.0),
        ("show max_connections", 100.0),
        ("values (3)", 3.0),
        ("with t as (select 5 as n) table t", 5.0),
    ] {
        let reading = ask.read(query, "fail_below = 0");
        assert_eq!((reading.status, reading.value), (Status::Ok, Some(value)), "{query}: {reading:?}");
    }
    let over = ask.read("select count(*) as n from orders", "fail_above = 1\nunit = \"rows\"");
    says(&over, Status::Fail, "n is 2; 2 is more than 1");
    assert_eq!((over.value, over.unit.as_str()), (Some(2.0), "rows"));
    for (query, words) in [
        ("select null::int as n", "n is NULL"),
        ("select sum(id) as n from orders where id > 5", "n is NULL"),
        ("select 'NaN'::float8 as n", "no number in n but NaN"),
        ("select 'Infinity'::numeric as n", "no number in n but Infinity"),
        ("select 10::numeric ^ 500 as n", "no number in n but 1000"),
        ("select interval '1 day 02:00:00' as n", "no number in n but \\\"1 day 02:00:00\\\""),
        ("select timestamptz '2026-01-02 03:04:05+00' as n", "no number in n but \\\"2026-01-02"),
        ("select true as n", "no number in n but true"),
        ("select 12::money as n", "no number in n but \\\"$12.00\\\""),
        ("select '\\\\x00'::bytea as n", "no number in n but bytes"),
        ("select array[1] as n", "no number in n but \\\"{1}\\\""),
        ("select id from orders", "more than one row"),
        ("select generate_series(1, 100000000)", "more than one row"),
        ("select id from orders where false", "no row"),
        ("select id, state from orders where id = 1", "2 columns"),
        ("select nothing", "PostgreSQL says: column \"nothing\" does not exist (42703)"),
        ("selec 1", "syntax error"),
    ] {
        let reading = ask.read(query, "fail_below = 0");
        says(&reading, Status::Unknown, &words.replace("\\\"", "\""));
        assert_eq!(reading.value, None, "{query}");
    }
    let row = |wanted: &str| ask.read("select state, id, part > 0.7 as much from orders where id = 1", wanted);
    says(&row("expect = { state = \"fine\", id = 1, much = false }"), Status::Ok, "state is \"fine\"");
    says(&row("expect = { state = \"sour\" }"), Status::Fail, "state is \"fine\", not \"sour\"");
    says(&row("expect = { mood = \"fine\" }"), Status::Unknown, "no column is named mood");
    let none = ask.read("select state from orders where id = 2", "expect = { state = \"fine\" }");
    says(&none, Status::Unknown, "state is NULL");
    // A row that is too long is not kept.
    says(&ask.read("select repeat('x', 5000000)", ""), Status::Unknown, "the answer is longer than 1.0 MB");
}

#[test]
fn a_real_server_is_read_and_never_written() {
    let Some(server) = part("CROSSCHECK_TEST_PG") else { return };
    let database = Database::new(&server, "shop");
    database.query(
        "create table t (n int); insert into t values (1); create sequence s;
         create function sneak() returns int language sql as 'update t set n = 9 returning n';
         create function turn() returns text language sql as $$select set_config('transaction_read_only', 'off', false)$$;
         create procedure keep() language plpgsql as $$begin update t set n = 9; commit; end$$",
    );
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))
        .expect("the server may write there");
    let program = folder.path().join("ran");
    let copy = format!("copy (select 1) to program 'touch {}'", program.display());
    let ask = Asked(&server, &database);
    for (query, words) in [
        ("update t set n = 2", "returns no rows"),
        ("update t set n = 2 returning n", "would write"),
        ("with u as (update t set n = 2 returning n) select n from u", "would write"),
        ("insert into t values (5) returning n", "would write"),
        ("select sneak()", "would write"),
        ("select turn(), sneak()", "read-write mode"),
        ("select nextval('s')", "would write"),
        ("select n from t for update", "would write"),
        ("explain analyze update t set n = 2", "would write"),
        ("truncate t", "returns no rows"),
        ("call keep()", "returns no rows"),
        ("do 'begin update t set n = 2; end'", "returns no rows"),
        ("commit", "returns no rows"),
        ("set transaction read write", "returns no rows"),
        (&copy, "returns no rows"),
        ("select 1; update t set n = 2", "cannot insert multiple commands"),
        ("commit; update t set n = 2; select 1", "cannot insert multiple commands"),
        ("rollback; update t set n = 2 returning n", "cannot insert multiple commands"),
    ] {
        says(&ask.read(query, "fail_below = 0"), Status::Unknown, words);
    }
    assert_eq!(database.query("select count(*), sum(n) from t"), "1|1");
    assert_eq!(database.query("select is_called from s"), "f");
    assert!(!program.exists(), "nothing was started on the server's machine");
    let open =
        "select count(*) from pg_stat_activity where application_name = 'crosscheck' and datname = current_database()";
    let closed = poll(PATIENCE, || (database.query(open) == "0").then_some(()));
    assert!(closed.is_some(), "no connection is left behind");
}

/// `psql` that holds something until it is dropped.
struct Holds(Child);

impl Holds {
    fn start(database: &Database, sql: &str) -> Self {
        let mut psql = Command::new("psql");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &database.address()]);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql starts");
        let text = format!("{sql}\n\\echo held\n");
        child.stdin.as_mut().expect("it reads").write_all(text.as_bytes()).expect("it reads");
        let mut said = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().expect("it writes"));
        while !said.contains("held") {
            assert!(std::io::BufRead::read_line(&mut out, &mut said).expect("it writes") > 0, "psql ended: {said}");
        }
        Holds(child)
    }
}
impl Drop for Holds {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_server_that_is_slow_locked_or_gone_is_unknown_and_its_last_word_is_not_told_again() {
    let Some(server) = part("CROSSCHECK_TEST_PG") else { return };
    let database = Database::new(&server, "shop");
    database.query("create table t (n int); insert into t values (1)");
    let ask = Asked(&server, &database);
    let soon = |query: &str| lines(&server, &database.name, query, "").replace("20s", "2s");
    // Time itself is what is asked about: without limits these would hang for ever. A machine that is too slow to get as far
    // as the query in that time says so, and is asked again.
    let stopped = |query: &str| {
        let mut watch = Watch::start(Path::new("/"), &soon(query));
        let read = || {
            let reading = watch.read();
            assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{query}: {reading:?}");
            reading.why.contains("the server stopped the query").then_some(())
        };
        assert!(poll(PATIENCE, read).is_some(), "{query}");
    };
    let mut count = ask.watch("select n from t", "");
    assert_eq!(count.read().value, Some(1.0));
    stopped("select pg_sleep(3600)");
    stopped("select count(*) from generate_series(1, 1000000000000)");
    let held = Holds::start(&database, "begin; lock table t;");
    stopped("select n from t");
    drop(held);
    assert!(poll(PATIENCE, || (count.read().value == Some(1.0)).then_some(())).is_some(), "it comes back");

    // An administrator ends the connection in the middle.
    let name = &database.name;
    let end = format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}' and query like '%pg_sleep(3601)%' \
         and pid <> pg_backend_pid()"
    );
    let to = format!("{server} dbname=postgres");
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| poll(PATIENCE, || (psql(&to, &end).expect("psql") != "0").then_some(())));
        says(&ask.read("select pg_sleep(3601)", ""), Status::Unknown, "terminating connection due to administrator");
        assert!(ended.join().expect("no panic").is_some());
    });

    let port = |port: u16| {
        let lines = soon("select 1").replace(&format!("port = {}", of(&server, "port")), &format!("port = {port}"));
        let host = format!("host = \"{}\"", of(&server, "host"));
        let lines = lines.replace(&host, "host = \"127.0.0.1\", sslmode = \"disable\"");
        Watch::start(Path::new("/"), &lines).read()
    };
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("it is bound").port();
    says(&port(silent_port), Status::Unknown, "let nobody in within 2.0 s");
    drop(silent);
    says(&port(silent_port), Status::Unknown, "connection refused by 127.0.0.1");
    let nowhere = soon("select 1").replace(of(&server, "host"), "/nowhere");
    says(&Watch::start(Path::new("/"), &nowhere).read(), Status::Unknown, "no server at /nowhere/.s.PGSQL");
    let nothing = lines(&server, "nothing", "select 1", "");
    says(
        &Watch::start(Path::new("/"), &nothing).read(),
        Status::Unknown,
        "not let in: PostgreSQL says: database \"nothing\"",
    );
}

/// Settings of the shared server that a test changes for a role of its own, and puts back.
struct Changed {
    to: String,
    hba: PathBuf,
    before: String,
}

impl Changed {
    fn new(server: &str, role: &str, files: &Path) -> Self {
        let to = format!("{server} dbname=postgres");
        let hba = PathBuf::from(psql(&to, "show hba_file").expect("psql"));
        let owner = std::fs::metadata(&hba).expect("it is there").uid();
        for name in ["server.key", "server.pem"] {
            let path = files.join(name);
            std::os::unix::fs::chown(&path, Some(owner), None).expect("root, or the same user");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("allowed");
        }
        std::fs::set_permissions(files, std::fs::Permissions::from_mode(0o755)).expect("allowed");
        let before = std::fs::read_to_string(&hba).expect("readable");
        std::fs::write(&hba, format!("host all {role} 127.0.0.1/32 scram-sha-256\n{before}")).expect("written");
        let changed = Changed { to, hba, before };
        for (name, value) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")] {
            changed.set(&format!("{name} = '{}'", files.join(value).display()));
        }
        changed.set("ssl = on");
        psql(&changed.to, "select pg_reload_conf()").expect("psql");
        changed
    }
    fn set(&self, what: &str) {
        psql(&self.to, &format!("alter system set {what}")).expect("psql");
    }
}
impl Drop for Changed {
    fn drop(&mut self) {
        let put_back = std::fs::write(&self.hba, &self.before).is_ok();
        let all =
            ["ssl", "ssl_cert_file", "ssl_key_file"].map(|name| psql(&self.to, &format!("alter system reset {name}")));
        let reloaded = psql(&self.to, "select pg_reload_conf()");
        if !std::thread::panicking() {
            assert!(put_back && all.iter().all(Result::is_ok) && reloaded.is_ok(), "the server is as it was");
        }
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

#[test]
fn a_real_server_asks_for_a_password_and_has_to_prove_who_it_is() {
    let Some(server) = part("CROSSCHECK_TEST_PG") else { return };
    let database = Database::new(&server, "shop");
    let role = unique("watcher");
    database.query(&format!("create role {role} login password 'hunter2'"));
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    for (name, text) in [
        ("server.pem", pem("CERTIFICATE", made.cert.der())),
        ("ca.pem", pem("CERTIFICATE", made.cert.der())),
        ("server.key", pem("PRIVATE KEY", &made.signing_key.serialize_der())),
        ("other.pem", pem("CERTIFICATE", other.cert.der())),
        ("empty.pem", String::new()),
        ("right", "hunter2\n".to_owned()),
        ("wrong", "hunter3\n".to_owned()),
    ] {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let changed = Changed::new(&server, &role, folder.path());
    let read = |host: &str, more: &str| {
        let lines = format!(
            "kind = \"sql\"\nevery = \"60s\"\nstale_after = \"5m\"\ntimeout = \"20s\"\n\
             query = \"select ssl as n from pg_stat_ssl where pid = pg_backend_pid()\"\nexpect = {{ n = true }}\n\
             postgres = {{ host = \"{host}\", port = {}, dbname = \"{}\", user = \"{role}\", {more} }}",
            of(&server, "port"),
            database.name,
        );
        Watch::start(folder.path(), &lines).read()
    };
    let secure = "password = { file = \"right\" }, sslrootcert = \"ca.pem\"";
    // The server takes its settings a moment after it was asked to.
    let came = poll(PATIENCE, || (read("127.0.0.1", secure).status == Status::Ok).then_some(()));
    assert!(came.is_some(), "{:?}", read("127.0.0.1", secure));
    let plain = read("127.0.0.1", "password = { file = \"right\" }, sslmode = \"disable\"");
    says(&plain, Status::Fail, "n is false, not true");
    for (host, more, words) in [
        ("127.0.0.1", "password = { file = \"wrong\" }, sslrootcert = \"ca.pem\"", "password authentication failed"),
        ("127.0.0.1", "sslrootcert = \"ca.pem\"", "not let in: password missing"),
        ("127.0.0.1", "password = { file = \"gone\" }, sslrootcert = \"ca.pem\"", "no password to ask with"),
        (
            "127.0.0.1",
            "password = { env = \"CROSSCHECK_NOT_SET\" }, sslrootcert = \"ca.pem\"",
            "no text in CROSSCHECK_NOT_SET",
        ),
        ("127.0.0.1", "password = { file = \"right\" }, sslrootcert = \"other.pem\"", "invalid peer certificate"),
        ("127.0.0.1", "password = { file = \"right\" }", "certificate"),
        ("127.0.0.1", "password = { file = \"right\" }, sslrootcert = \"empty.pem\"", "no certificate is in it"),
        ("127.0.0.1", "password = { file = \"right\" }, sslrootcert = \"gone.pem\"", "no roots to know the server by"),
        ("localhost", secure, "certificate not valid for name"),
    ] {
        let reading = read(host, more);
        says(&reading, Status::Unknown, words);
        assert!(!reading.why.contains("hunter"), "{reading:?}");
    }
    // A server without TLS does not get the password.
    changed.set("ssl = off");
    psql(&changed.to, "select pg_reload_conf()").expect("psql");
    let off =
        poll(PATIENCE, || (read("127.0.0.1", secure).status == Status::Unknown).then(|| read("127.0.0.1", secure)));
    says(&off.expect("it is off"), Status::Unknown, "not let in: server does not support TLS");
    drop(changed);
    database.query(&format!("drop role {role}"));
}

#[test]
fn a_file_is_watched_by_the_built_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = rusqlite::Connection::open(folder.path().join("app.db")).expect("a database");
    open.execute_batch("create table jobs (state text); insert into jobs values ('open'), ('done')").expect("made");
    let plan = folder.path().join("plan.toml");
    let text = "crosscheck = 1\nname = \"Look\"\nenvironment = \"test\"\n[crew]\nlead = [\"lead@example.org\"]\n\
        [params.state]\ndefault = \"open\"\n\
        [[watch]]\nid = \"jobs\"\nkind = \"sql\"\nsqlite = \"app.db\"\nfail_above = 0\nunit = \"jobs\"\n\
        query = \"select count(*) as n from jobs where state = '{{ state }}'\"\n";
    std::fs::write(&plan, text).expect("written");
    let watched = |args: &[&str]| {
        let all = [&["watch", plan.to_str().expect("text"), "--once", "--json"], args].concat();
        let (_, out, err) = run(folder.path(), &all);
        let found: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
        found["watches"][0].clone()
    };
    let found = watched(&[]);
    assert_eq!(
        (&found["status"], &found["value"], &found["unit"]),
        (&"fail".into(), &1.0.into(), &"jobs".into()),
        "{found}"
    );
    assert_eq!(found["source"], "select count(*) as n from jobs where state = 'open' at app.db");
    open.execute_batch("update jobs set state = 'done'").expect("written");
    assert_eq!(watched(&[])["why"], "n is 0");
    let found = watched(&["--param", "state=x' or ''='"]);
    assert_eq!(found["status"], "unknown", "{found}");
    assert!(found["why"].as_str().expect("text").starts_with("not asked: the value"), "{found}");
}

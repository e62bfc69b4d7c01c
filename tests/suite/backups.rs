//! Watches of backups against the tools that made them: repositories of restic, borg and pgBackRest and archives of pg_dump
//! that are made here, fresh, stale, shrunk, empty, truncated, locked, gone, and with the wrong password.

use crate::support::real::{Database, installed, part};
use crate::support::wait::{PATIENCE, poll};
use crate::support::watch::{Watch, in_hub, read, says};
use crosscheck::event::Status;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a tool to its end.
#[track_caller]
fn done(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Bytes that no tool can make smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// Ends a program of the test's own when the test is over.
struct Running(Child);
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long ago, as tools take a local time.
fn ago(days: i64) -> String {
    let then = jiff::Zoned::now().checked_sub(jiff::Span::new().days(days)).expect("a time");
    then.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

// ── restic ───────────────────────────────────────────────────────────────────────────────────────────────────────

struct Restic {
    folder: tempfile::TempDir,
}

impl Restic {
    fn new() -> Option<Self> {
        installed("restic", "version")?;
        let restic = Restic { folder: tempfile::tempdir().expect("a folder") };
        std::fs::write(restic.path("password"), "a long password\n").expect("written");
        std::fs::create_dir(restic.path("data")).expect("a folder");
        done(restic.command().arg("init"));
        Some(restic)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("restic");
        command.args(["--quiet", "--no-cache"]).env("RESTIC_REPOSITORY", self.path("repository"));
        command.env("RESTIC_PASSWORD_FILE", self.path("password"));
        command
    }

    /// Backs up so many bytes, so many days ago.
    fn backup(&self, bytes: usize, days: i64) {
        std::fs::write(self.path("data/file"), noise(bytes)).expect("written");
        let mut backup = self.command();
        backup.args(["backup", "--host", "db1"]).arg(self.path("data"));
        if days > 0 {
            backup.args(["--time", &ago(days)]); // in whole seconds, in which one of now would be older than the one before
        }
        done(&mut backup);
    }

    fn lines(&self, more: &str) -> String {
        format!(
            "kind = \"restic\"\nrepository = \"repository\"\npassword_file = \"password\"\nmax_age = \"26h\"\n{more}"
        )
    }

    fn watch(&self, more: &str) -> Watch {
        Watch::start(self.folder.path(), &self.lines(more))
    }
}

#[test]
fn a_repository_of_restic_is_as_fresh_and_as_large_as_its_newest_snapshot() {
    let Some(restic) = Restic::new() else { return };
    let mut watch = restic.watch("min_size_ratio = 0.8");
    says(&watch.read(), Status::Fail, "no snapshot");
    restic.backup(100_000, 3);
    let reading = watch.read();
    says(&reading, Status::Fail, "older than 26h");
    assert!(reading.why.contains("nothing to compare with"), "{reading:?}");
    restic.backup(100_000, 0);
    let reading = watch.read();
    says(&reading, Status::Ok, "100.0 kB");
    assert_eq!((reading.value, reading.unit.as_str()), (Some(100_000.0), "B"));
    restic.backup(60_000, 0);
    says(&watch.read(), Status::Fail, "shrank to 60.0% of the one before (100.0 kB), at least 80% expected");
    std::fs::write(restic.path("data/file"), b"").expect("written");
    done(restic.command().args(["backup", "--host", "db1"]).arg(restic.path("data")));
    says(&watch.read(), Status::Fail, "the backup ran, but wrote nothing: 0 ");
    // What somebody else backs up into the same repository does not hide that this stopped, where the plan asks for it.
    restic.backup(100_000, 0);
    let named = |more: &str| read(restic.folder.path(), &restic.lines(more));
    says(&named("host = \"db1\""), Status::Ok, "db1:");
    says(&named("host = \"db2\""), Status::Fail, "no snapshot that matches host, tags and paths");
    says(&named("paths = [\"/nowhere\"]"), Status::Fail, "no snapshot that matches");
    says(&named("tags = [\"nightly\"]"), Status::Fail, "no snapshot that matches");
    done(
        restic
            .command()
            .args(["backup", "--host", "db3", "--tag", "nightly", "--time", &ago(9)])
            .arg(restic.path("data")),
    );
    says(&named("tags = [\"nightly\"]"), Status::Fail, "older than 26h");
    // What nobody names counts too: another host's backup that stopped is not hidden by this one's.
    let reading = watch.read();
    says(&reading, Status::Fail, "db3:");
    assert!(reading.why.contains("9d old, older than 26h"), "{reading:?}");
    // And so does another path of the same host, until a backup of a folder around both stands in for it.
    std::fs::create_dir(restic.path("data/sub")).expect("a folder");
    std::fs::write(restic.path("data/sub/file"), noise(1000)).expect("written");
    let backup = |words: &[&str], path: &str| {
        done(restic.command().args(["backup", "--host", "db1"]).args(words).arg(restic.path(path)));
    };
    says(&named("host = \"db1\""), Status::Ok, "db1:");
    backup(&["--time", &ago(10)], "data/sub");
    says(&named("host = \"db1\""), Status::Ok, "db1:");
    std::fs::create_dir(restic.path("more")).expect("a folder");
    std::fs::write(restic.path("more/file"), noise(1000)).expect("written");
    backup(&["--time", &ago(10)], "more");
    let reading = named("host = \"db1\"");
    says(&reading, Status::Fail, "10d old, older than 26h");
    assert!(reading.why.contains("the newest of 2"), "{reading:?}");
    let data = format!("host = \"db1\"\npaths = [\"{}\"]", restic.path("data").display());
    says(&named(&data), Status::Ok, "db1:");
}

#[test]
fn a_repository_of_restic_that_was_never_restored_is_red() {
    let Some(restic) = Restic::new() else { return };
    restic.backup(1000, 0);
    let mut watch = restic.watch("verified_within = \"7d\"");
    let reading = watch.read();
    says(&reading, Status::Fail, "never restored: no w.restored");
    assert!(reading.why.contains("never checked: no w.checked"), "{reading:?}");
    for stamp in ["w.checked", "w.restored"] {
        std::fs::write(restic.path(stamp), b"").expect("written");
    }
    says(&watch.read(), Status::Ok, "");
    let file = std::fs::File::options().write(true).open(restic.path("w.restored")).expect("it is there");
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(9 * 24 * 3600)).expect("it is ours");
    says(&watch.read(), Status::Fail, "last restored 9d ago, within 7d expected");
    let mut other = restic.watch("verified_within = \"7d\"\ncheck_stamp = \"w.checked\"");
    says(&other.read(), Status::Ok, "");
}

#[test]
fn a_repository_of_restic_that_cannot_be_read_says_why() {
    let Some(restic) = Restic::new() else { return };
    restic.backup(4 << 20, 0);
    let mut watch = restic.watch("");
    says(&watch.read(), Status::Ok, "4.2 MB");

    std::fs::write(restic.path("wrong"), "another password\n").expect("written");
    let at = |repository: &str, password: &str| {
        let lines = format!("kind = \"restic\"\nrepository = \"{repository}\"\n{password}\ntimeout = \"20s\"");
        read(restic.folder.path(), &lines)
    };
    let reading = at("repository", "password_file = \"wrong\"");
    says(&reading, Status::Unknown, "the password is wrong");
    assert!(!reading.why.contains("another password"), "{reading:?}");
    says(&at("repository", "password_command = \"cat wrong\""), Status::Unknown, "the password is wrong");
    says(&at("repository", "password_command = \"cat password\""), Status::Ok, "");
    says(&at("repository", "password_file = \"nowhere\""), Status::Unknown, "the password cannot be read");
    says(&at("nowhere", "password_file = \"password\""), Status::Fail, "there is no repository at that place");
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it is bound");
    let mut refused = Watch::start(
        restic.folder.path(),
        &format!(
            "kind = \"restic\"\nrepository = \"rest:http://{closed}/\"\npassword_file = \"password\"\ntimeout = \"3s\""
        ),
    );
    says(&refused.read(), Status::Unknown, "the repository "); // cannot be reached, or answers nothing: restic tries again

    // A lock is in nobody's way who only reads: a check, at 1 KiB/s, holds the repository for itself.
    let mut check = restic.command();
    check.args(["--limit-download", "1", "check", "--read-data"]).stdout(Stdio::null()).stderr(Stdio::null());
    let check = Running(check.spawn().expect("it starts"));
    let locks = || std::fs::read_dir(restic.path("repository/locks")).map_or(0, Iterator::count);
    assert_eq!(poll(PATIENCE, || (locks() > 0).then_some(())), Some(()), "restic check takes a lock");
    says(&watch.read(), Status::Ok, "4.2 MB");
    assert!(locks() > 0, "it was locked all the time");
    drop(check);
    done(restic.command().args(["unlock", "--remove-all"])); // it was killed, and so left its lock

    // A snapshot that was cut off, and then what opens the whole repository.
    let cut = |path: &Path| {
        let mut permissions = std::fs::metadata(path).expect("it is there").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
        std::fs::set_permissions(path, permissions).expect("it is ours");
        std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(20)).expect("it is ours");
    };
    restic.backup(4 << 20, 0);
    let snapshots = std::fs::read_dir(restic.path("repository/snapshots")).expect("it is there");
    let first = snapshots
        .flatten()
        .map(|entry| entry.path())
        .min_by_key(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).expect("it has a time"));
    cut(&first.expect("there are two"));
    let reading = watch.read();
    assert_eq!(reading.status, Status::Fail, "{reading:?}");
    assert!(reading.why.contains("damaged"), "{reading:?}");
    cut(&restic.path("repository/config"));
    let reading = watch.read();
    assert!(reading.status != Status::Ok && reading.value.is_none(), "{reading:?}");
    std::fs::rename(restic.path("repository"), restic.path("elsewhere")).expect("moved");
    says(&watch.read(), Status::Fail, "there is no repository at that place");
}

#[test]
fn a_repository_of_restic_that_hangs_ends_with_its_watch() {
    let Some(restic) = Restic::new() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let mut watch = Watch::start(
        restic.folder.path(),
        &format!(
            "kind = \"restic\"\nrepository = \"rest:http://{address}/\"\npassword_file = \"password\"\ntimeout = \"2s\""
        ),
    );
    let (mut stream, _) = listener.accept().expect("restic connects");
    let began = Instant::now();
    says(&watch.read(), Status::Unknown, "the repository does not answer");
    assert!(began.elapsed() < Duration::from_secs(20), "two readings of at most 3 s");
    // Nobody is left to hold the other end of the connection.
    drop(watch);
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let mut request = vec![];
    stream.read_to_end(&mut request).expect("restic is gone");
    assert!(request.starts_with(b"HEAD ") || request.starts_with(b"GET "), "{}", String::from_utf8_lossy(&request));
}

// ── pg_dump ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_archive_of_pg_dump_is_read_to_its_end() {
    let Some(server) = part("CROSSCHECK_TEST_PG") else { return };
    let database = Database::new(&server, "shop");
    database.query(
        "create table orders as select n as id, md5(n::text) as note from generate_series(1, 20000) n;
         create table customers as select n as id, md5((n * 7)::text) as name from generate_series(1, 20000) n",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.dump");
    let to = format!("dbname={} {server}", database.name);
    done(Command::new("pg_dump").args(["-Fc", "-d", &to, "-f"]).arg(&path));
    let whole = std::fs::read(&path).expect("it was written");
    let lines = "kind = \"pg-dump\"\npath = \"*.dump\"\nmax_age = \"1h\"\ntables = [\"orders\", \"public.customers\"]";
    let settle = |more: &str| Watch::start(folder.path(), &format!("{lines}\n{more}")).settle("being read to its end");
    let reading = settle("");
    says(&reading, Status::Ok, "read to its end");
    assert_eq!(reading.value, Some(whole.len() as f64));
    let missing = "kind = \"pg-dump\"\npath = \"*.dump\"\ntables = [\"invoices\", \"other.orders\"]";
    let reading = Watch::start(folder.path(), missing).settle("being read to its end");
    says(&reading, Status::Fail, "no data of table invoices in it");
    assert!(reading.why.contains("no data of table other.orders"), "{reading:?}");

    // Cut off while it was written, as by a full disk: the list of contents is whole all the same.
    std::fs::write(&path, &whole[..whole.len() * 2 / 3]).expect("written");
    done(Command::new("pg_restore").arg("--list").arg(&path));
    says(&settle(""), Status::Fail, "damaged: ");
    says(&settle("whole = false"), Status::Ok, "entries");
    let mut flipped = whole.clone();
    let at = whole.len() * 2 / 3;
    for byte in &mut flipped[at..at + 64] {
        *byte ^= 0x55;
    }
    std::fs::write(&path, &flipped).expect("written");
    says(&settle(""), Status::Fail, "damaged: ");
    std::fs::write(&path, &whole[..40]).expect("written");
    says(&settle(""), Status::Fail, "no archive that can be restored");
    std::fs::write(&path, b"").expect("written");
    says(&settle(""), Status::Fail, "empty");
    // What it cannot read is unknown, whatever it is worth.
    let text = done(Command::new("pg_dump").args(["-Fp", "-d", &to]));
    std::fs::write(&path, text).expect("written");
    says(&settle(""), Status::Unknown, "pg_restore cannot read it: input file appears to be a text format dump");
    std::fs::write(&path, b"\x1f\x8b\x08\0\0\0\0\0packed").expect("written");
    says(&settle(""), Status::Unknown, "it is packed by gzip");
    std::fs::remove_file(&path).expect("it is ours");
    says(&settle(""), Status::Fail, "no file matches *.dump");

    // One watch goes on with the next archive, and knows the one it has seen.
    let mut watch = Watch::start(folder.path(), lines);
    std::fs::write(&path, &whole).expect("written");
    says(&watch.settle("being read to its end"), Status::Ok, "read to its end");
    std::fs::write(folder.path().join("later.dump"), &whole[..whole.len() / 2]).expect("written");
    says(&watch.settle("being read to its end"), Status::Fail, "later.dump");
    let old = std::fs::File::options().write(true).open(&path).expect("it is there");
    old.set_modified(std::time::SystemTime::now() - Duration::from_secs(7200)).expect("it is ours");
    std::fs::remove_file(folder.path().join("later.dump")).expect("it is ours");
    says(&watch.settle("being read to its end"), Status::Fail, "older than");
}

#[test]
fn an_archive_of_pg_dump_holds_the_data_that_is_asked_for_or_says_what_is_missing() {
    let Some(server) = part("CROSSCHECK_TEST_PG") else { return };
    let database = Database::new(&server, "shop_parts");
    database.query(
        "create table orders (id int, at date) partition by range (at);
         create table orders_1 partition of orders for values from ('2026-01-01') to ('2026-02-01');
         create table orders_2 partition of orders for values from ('2026-02-01') to ('2026-03-01');
         create table \"Order Items\" as select 1 as id;
         create schema \"My Schema\"; create table \"My Schema\".\"a.b\" as select 1 as id;
         create table invoices (id int);
         insert into orders values (1, '2026-01-05')",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let to = format!("dbname={} {server}", database.name);
    let dump = |words: &[&str], name: &str| {
        done(Command::new("pg_dump").args(words).args(["-d", &to, "-f"]).arg(folder.path().join(name)));
    };
    let settle = |name: &str, tables: &str| {
        let lines = format!("kind = \"pg-dump\"\npath = \"{name}\"\nmax_age = \"1h\"\ntables = [{tables}]");
        Watch::start(folder.path(), &lines).settle("being read to its end")
    };
    let all = r#""orders", "public.orders", "orders_1", '"Order Items"', 'public."Order Items"', '"My Schema"."a.b"'"#;
    for (words, name) in
        [(&["-Fc"][..], "a.dump"), (&["-Fd", "-j2"], "folder"), (&["-Ft"], "a.tar"), (&["-Fc", "--inserts"], "b.dump")]
    {
        dump(words, name);
        says(&settle(name, all), Status::Ok, "read to its end");
        says(&settle(name, "\"invoices\""), Status::Fail, "table invoices is empty in it");
        says(&settle(name, "\"orders_2\""), Status::Fail, "table orders_2 is empty in it");
        says(&settle(name, "\"nothing\""), Status::Fail, "no data of table nothing in it");
    }
    // A folder is as large as what lies in it, and damaged where a file of it is gone.
    let size = |name: &str| settle(name, "").value;
    let files = std::fs::read_dir(folder.path().join("folder")).expect("it is there").flatten();
    let files: Vec<_> = files.map(|entry| (entry.metadata().expect("it is there").len(), entry.path())).collect();
    assert_eq!(size("folder"), Some(files.iter().map(|(size, _)| *size).sum::<u64>() as f64));
    let data = files.iter().find(|(_, path)| path.extension().is_some_and(|ending| ending == "gz"));
    std::fs::remove_file(&data.expect("it holds data").1).expect("it is ours");
    let reading = settle("folder", "");
    assert!(matches!(reading.status, Status::Fail | Status::Unknown), "{reading:?}");
    // Neither a schema alone nor a partition that was left out passes for a backup.
    dump(&["-Fc", "--schema-only"], "schema.dump");
    says(&settle("schema.dump", ""), Status::Fail, "no data in it");
    dump(&["-Fc", "--exclude-table-data=orders_2"], "part.dump");
    let reading = settle("part.dump", "\"orders\"");
    says(&reading, Status::Fail, "its partition public.orders_2 has none");
}

#[test]
fn a_tool_that_is_not_there_makes_nothing_ok() {
    for (lines, says) in [
        ("kind = \"pg-dump\"\npath = \"a.dump\"", "install the client programs of PostgreSQL"),
        ("kind = \"restic\"\nrepository = \"r\"", "cannot run it: restic: No such file or directory"),
        ("kind = \"command\"\nrun = [\"borg\", \"info\"]\nvalue = \"/a\"", "cannot run it: borg: "),
    ] {
        let reading = in_hub(&[("PATH", "/nonexistent")], lines, &[("a.dump", b"PGDMP")], |_| true);
        assert_eq!(reading["status"], "unknown", "{reading}");
        assert!(reading["why"].as_str().is_some_and(|why| why.contains(says)), "{reading}");
    }
}

// ── recipes for `command`, as the manual has them ────────────────────────────────────────────────────────────────

/// A recipe of the manual by its watch's id, with other words for what differs from machine to machine.
pub fn recipe(id: &str, words: &[(&str, &str)]) -> String {
    let page = include_str!("../../docs/src/reference/watches.md");
    let start = page.find(&format!("id = \"{id}\"\n")).unwrap_or_else(|| panic!("the manual has a recipe {id}"));
    let lines = page[start..].lines().skip(1).take_while(|line| !line.is_empty() && !line.starts_with("```"));
    let mut text: String = lines.map(|line| format!("{line}\n")).collect();
    for (word, other) in words {
        assert!(text.contains(word), "{word} is in the recipe:\n{text}");
        text = text.replace(word, other);
    }
    text
}

#[test]
fn the_recipe_for_borg_tells_every_state() {
    let Some(()) = installed("borg", "--version") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let borg = |words: &[&str]| {
        let mut command = Command::new("borg");
        command.args(words).current_dir(folder.path()).env("BORG_BASE_DIR", path("base"));
        command.env("BORG_PASSCOMMAND", "cat passphrase").env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes");
        command
    };
    std::fs::write(path("passphrase"), "a long passphrase\n").expect("written");
    std::fs::create_dir(path("data")).expect("a folder");
    let base = format!("BORG_BASE_DIR='{}' borg info", path("base").display());
    let watch = |repository: &str, passphrase: &str| {
        let pass = format!("cat {passphrase}");
        let words = [("borg info", base.as_str()), ("/srv/borg/shop", repository), ("cat /etc/borg/passphrase", &pass)];
        read(folder.path(), &recipe("borg-shop", &words))
    };
    says(&watch("repository", "passphrase"), Status::Unknown, "does not exist");
    done(&mut borg(&["init", "--encryption", "repokey", "repository"]));
    says(&watch("repository", "passphrase"), Status::Unknown, "nothing at /archives/0");
    done(&mut borg(&["create", "repository::nothing", "data"]));
    says(&watch("repository", "passphrase"), Status::Fail, "0 is less than 1");
    std::fs::write(path("data/file"), noise(10_000)).expect("written");
    done(&mut borg(&["create", "repository::whole", "data"]));
    let reading = watch("repository", "passphrase");
    says(&reading, Status::Ok, "old");
    assert_eq!(reading.value, Some(1.0), "one file: {reading:?}");
    std::fs::write(path("wrong"), "another passphrase\n").expect("written");
    says(&watch("repository", "wrong"), Status::Unknown, "incorrect");

    let hold = Running(borg(&["with-lock", "repository", "cat"]).stdin(Stdio::piped()).spawn().expect("it starts"));
    let locked = poll(PATIENCE, || path("repository/lock.exclusive").exists().then_some(()));
    assert_eq!(locked, Some(()), "borg takes its lock");
    says(&watch("repository", "passphrase"), Status::Unknown, "lock");
    drop(hold);
    done(&mut borg(&["break-lock", "repository"]));

    let then = "2026-01-01T00:00:00";
    done(&mut borg(&["init", "--encryption", "repokey", "stale"]));
    done(&mut borg(&["create", "--timestamp", then, "stale::old", "data"]));
    says(&watch("stale", "passphrase"), Status::Fail, "older than 26h");
    // The segment with the newest archive is cut off.
    let segments = std::fs::read_dir(path("repository/data/0")).expect("it is there").flatten();
    let mut segments: Vec<_> =
        segments.map(|entry| (entry.metadata().expect("it is there").len(), entry.path())).collect();
    segments.sort();
    for (length, segment) in segments {
        std::fs::File::options().write(true).open(segment).expect("it is ours").set_len(length / 2).expect("cut");
    }
    let reading = watch("repository", "passphrase");
    assert!(matches!(reading.status, Status::Unknown | Status::Fail) && reading.value.is_none(), "{reading:?}");
}

#[test]
fn the_recipe_for_pgbackrest_tells_every_state() {
    let (Some(()), Some(())) = (installed("pgbackrest", "version"), installed("initdb", "--version")) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    // initdb refuses to run as root.
    let root = nix::unistd::geteuid().is_root();
    std::fs::create_dir(path("server")).expect("a folder");
    let mut initdb = match root {
        true => {
            std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).expect("ours");
            done(Command::new("chown").arg("postgres").arg(path("server")));
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "initdb"]);
            command
        }
        false => Command::new("initdb"),
    };
    done(initdb.current_dir(path("server")).args(["-A", "trust", "-N", "--no-locale", "-D"]).arg(path("server/data")));
    let options = |repository: &str| {
        let second = path("second");
        [
            ("repo1-path", path(repository)),
            ("repo2-path", second),
            ("log-path", path("log")),
            ("lock-path", path("lock")),
        ]
        .map(|(option, path)| format!("--{option}={}", path.display()))
        .join(" ")
    };
    for name in ["repository", "second", "log", "lock"] {
        std::fs::create_dir(path(name)).expect("a folder");
    }
    let pgbackrest = |words: &str| {
        let server = path("server/data");
        let line = format!(
            "pgbackrest {} --config=/dev/null --stanza=shop --pg1-path={} --no-online {words}",
            options("repository"),
            server.display()
        );
        done(Command::new("sh").args(["-eu", "-c", &line]))
    };
    let watch = |repository: &str| {
        let command = format!("pgbackrest {} --config=/dev/null", options(repository));
        read(folder.path(), &recipe("pgbackrest-shop", &[("pgbackrest", &command)]))
    };
    says(&watch("nowhere"), Status::Fail, "/0/0/status/code is 1, not 0");
    pgbackrest("stanza-create");
    let reading = watch("repository");
    says(&reading, Status::Fail, "/0/0/status/code is 2, not 0");
    assert!(reading.why.contains("nothing at /0/0/backup/-/timestamp/stop"), "{reading:?}");
    pgbackrest("--repo=1 --type=full backup");
    // One repository has its backup, the other none.
    says(&watch("repository"), Status::Fail, "/1/0/status/code is 2, not 0");
    pgbackrest("--repo=2 --type=full backup");
    let reading = watch("repository");
    says(&reading, Status::Ok, "/*/*/status/code is 0, 2 of 2");
    assert!(reading.value.is_some_and(|size| size > 1e6), "{reading:?}");
    // A backup of days ago: what pgBackRest reads is a text with a checksum, so its clock is turned and not its file.
    let info = format!("pgbackrest {} --config=/dev/null --stanza=shop --output=json", options("repository"));
    let info = |repo: u32| {
        let info = done(Command::new("sh").args(["-eu", "-c", &format!("{info} --repo={repo} info")]));
        serde_json::from_str::<serde_json::Value>(&info).expect("it is JSON")
    };
    std::fs::write(path("said"), "case \"$*\" in *--repo=1*) cat 1.json ;; *) cat 2.json ;; esac\n").expect("written");
    let stale = recipe("pgbackrest-shop", &[("pgbackrest", "sh ./said")]);
    let told = |one: &serde_json::Value, two: &serde_json::Value| {
        for (name, info) in [("1.json", one), ("2.json", two)] {
            std::fs::write(path(name), info.to_string()).expect("written");
        }
        read(folder.path(), &stale)
    };
    let (one, mut two) = (info(1), info(2));
    says(&told(&one, &two), Status::Ok, "");
    two[0]["backup"][0]["timestamp"]["stop"] = 1_700_000_000.into();
    says(&told(&one, &two), Status::Fail, "older than 26h");
    two[0]["backup"][0]["error"] = true.into();
    says(&told(&one, &two), Status::Fail, "/1/0/backup/-/error is true, not false");
    // Truncated: pgBackRest finds neither of its two copies whole.
    for name in ["backup.info", "backup.info.copy"] {
        let file = std::fs::File::options().write(true).open(path("repository/backup/shop").join(name));
        file.and_then(|file| file.set_len(100)).expect("it is ours");
    }
    let reading = watch("repository");
    assert!(matches!(reading.status, Status::Unknown | Status::Fail) && reading.value.is_none(), "{reading:?}");
}

#[test]
fn the_recipe_for_elasticsearch_tells_a_job_that_is_stuck() {
    // What `_snapshot/shop/_all?sort=start_time&order=desc&size=1` answers, from its documentation.
    let snapshot = |state: &str, minutes_ago: i64, failed: u64| {
        let start = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes_ago);
        serde_json::json!({"snapshots": [{
            "snapshot": "nightly-1", "uuid": "dKb54xw67gvdRctLCxSket", "repository": "shop", "indices": ["orders"],
            "state": state, "start_time": start.to_string(), "start_time_in_millis": start.as_millisecond(),
            "failures": [], "shards": {"total": 3, "failed": failed, "successful": 3 - failed}
        }], "total": 1, "remaining": 0})
        .to_string()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let watch = |answer: &str| {
        std::fs::write(folder.path().join("answer"), answer).expect("written");
        let lines = recipe("elasticsearch-shop", &[("curl -fsS", "cat answer #")]);
        read(folder.path(), &lines)
    };
    says(&watch(&snapshot("SUCCESS", 60, 0)), Status::Ok, "\"SUCCESS\"");
    says(&watch(&snapshot("IN_PROGRESS", 60 * 24 * 21, 0)), Status::Fail, "is \"IN_PROGRESS\", not \"SUCCESS\"");
    let reading = watch(&snapshot("IN_PROGRESS", 60 * 24 * 21, 0));
    assert!(reading.why.contains("older than 26h"), "{reading:?}");
    says(&watch(&snapshot("PARTIAL", 60, 1)), Status::Fail, "1 is more than 0");
    says(&watch("{\"snapshots\": [], \"total\": 0}"), Status::Unknown, "nothing at /snapshots/0");
    says(&watch("{\"error\": "), Status::Unknown, "not JSON");
}

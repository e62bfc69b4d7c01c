//! `kind = "sql"`: what a query answers, one number or one row, from PostgreSQL or from a file of SQLite. Start at [`read`].
//!
//! A server is described by settings under the names they have in libpq. A password may not stand in a plan, because a plan
//! stands in the transcript.

use super::super::table::{Table, Value};
use super::super::{Template, WatchKind};
use super::bounds::{self, Bounds};
use super::command::Expected;
use super::headers::{self, HeaderValue};
use super::{filled, non_empty, prometheus};
use std::time::Duration;

/// The kind's own keys.
pub(super) const KEYS: &[&str] = &[
    "postgres",
    "sqlite",
    "query",
    "value",
    "expect",
    "warn_above",
    "fail_above",
    "warn_below",
    "fail_below",
    "unit",
    "timeout",
];

const TIMEOUT: Duration = Duration::from_secs(5);
const PORT: u16 = 5432;
/// What libpq has besides, and what is the matter with it: none of them says whom the answer comes from.
const MODES_REFUSED: &[&str] = &["allow", "prefer", "require", "verify-ca"];

/// A query and what its one row has to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Sql {
    /// Who is asked.
    pub database: Database,
    /// One statement that returns rows.
    pub query: Template,
    /// The column with the number; the only one where none is named.
    pub value: Option<String>,
    /// What has to stand in which column.
    pub expect: Vec<(String, Expected)>,
    /// Limits of the number.
    pub bounds: Bounds,
    /// The unit of the number, in the plan's words.
    pub unit: String,
    /// How long the database may take, connecting included.
    pub timeout: Duration,
}

/// Where the data are.
#[derive(Debug, Clone, PartialEq)]
pub enum Database {
    /// A server.
    Postgres(Postgres),
    /// A file; relative to the plan's folder.
    Sqlite(Template),
}

/// A server of PostgreSQL and who asks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Postgres {
    /// A name or an address; the folder of a Unix socket where it begins with a slash.
    pub host: Template,
    /// The port, also of a Unix socket.
    pub port: u16,
    /// Which database.
    pub dbname: Template,
    /// Which role.
    pub user: Template,
    /// Where its password comes from.
    pub password: Option<HeaderValue>,
    /// Whether it is spoken to with TLS and has to prove who it is; never over a Unix socket.
    pub tls: bool,
    /// The only roots to believe, in a file of PEM; those of the machine where none is given.
    pub roots: Option<Template>,
}

/// Takes the kind's own keys.
pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let database = match (table.get("postgres"), table.get("sqlite")) {
        (Some(server), None) => postgres(&server).map(Database::Postgres),
        (None, Some(file)) => non_empty(&file).map(Database::Sqlite),
        (Some(_), Some(file)) => file.wrong("`sqlite` beside `postgres`", "expected one of them"),
        (None, None) => {
            let label = "expected postgres = { host = …, dbname = …, user = … }, or sqlite = \"a file\"";
            table.cx.problem(table.span.clone(), "this watch does not say which database", label);
            None
        }
    };
    let query = table.require("query", "expected query = \"select …\"").and_then(|query| {
        let text = query.template(true)?;
        if text.text().trim().is_empty() { query.wrong("`query` is empty", "expected some text") } else { Some(text) }
    });
    let expect = table.get("expect").and_then(|expect| {
        let columns = expect.entries()?.into_iter();
        Some(columns.filter_map(|(_, column, value)| Some((column.to_owned(), value.scalar()?))).collect())
    });
    Some(WatchKind::Sql(Box::new(Sql {
        value: table.words("value"),
        expect: expect.unwrap_or_default(),
        bounds: bounds::read(table),
        unit: prometheus::unit(table),
        timeout: table.duration("timeout").unwrap_or(TIMEOUT),
        database: database?,
        query: query?,
    })))
}

fn postgres(value: &Value<'_>) -> Option<Postgres> {
    const SETTINGS: &[&str] = &["host", "port", "dbname", "user", "password", "sslmode", "sslrootcert"];
    let table = value.table("postgres", SETTINGS, &[])?;
    let host = filled(&table, "host", "expected host = \"db1.example.org\"");
    let dbname = filled(&table, "dbname", "expected dbname = \"the database\"");
    let user = filled(&table, "user", "expected user = \"a role that may only read\"");
    let port = table.get("port").and_then(|port| port.integer(1..=u64::from(u16::MAX)));
    let password = table.get("password").map(|password| match password.is_table() {
        true => headers::elsewhere(&password, "a password from elsewhere", "password"),
        false => {
            headers::secret(&password, "password");
            None
        }
    });
    let socket = host.as_ref().is_some_and(|host| host.text().starts_with('/'));
    let tls = table.get("sslmode").map(|mode| {
        if let Some(word) = mode.peek().filter(|word| MODES_REFUSED.contains(word)) {
            let help = "\"verify-full\" is the default; \"disable\" sends everything in clear";
            let message = format!("sslmode \"{word}\" does not check who answers");
            mode.cx.problem_with_help(mode.span(), message, "expected \"verify-full\" or \"disable\"", help);
            return None;
        }
        match mode.choice(&[("verify-full", true), ("disable", false)])? {
            true if socket => mode.wrong("there is no TLS over a Unix socket", "expected no `sslmode`"),
            tls => Some(tls),
        }
    });
    let roots = table.get("sslrootcert").map(|roots| match &tls {
        Some(Some(false)) => roots.wrong("`sslrootcert` without TLS", "expected sslmode = \"verify-full\""),
        _ => non_empty(&roots),
    });
    Some(Postgres {
        port: port.and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT),
        password: password.map_or(Some(None), |password| password.map(Some))?,
        tls: tls.unwrap_or(Some(!socket))?,
        roots: roots.map_or(Some(None), |roots| roots.map(Some))?,
        host: host?,
        dbname: dbname?,
        user: user?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, lint};

    const HEAD: &str =
        "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\nshadow = []\n";
    const BASE: &str = "query = \"select 1\"\n";

    fn plan(rest: &str) -> Result<Plan, String> {
        let text = format!("{HEAD}[[watch]]\nid = \"w\"\nkind = \"sql\"\n{rest}\n");
        Plan::parse("plan.toml", &text).map_err(|error| error.to_string())
    }
    fn read(rest: &str) -> Result<Sql, String> {
        match &plan(rest)?.watches[0].kind {
            WatchKind::Sql(sql) => Ok((**sql).clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_key_is_read() {
        let all = read(
            "postgres = { host = \"db1\", port = 6543, dbname = \"shop\", user = \"watch\", password = { file = \"pw\" }, \
             sslmode = \"verify-full\", sslrootcert = \"ca.pem\" }\n\
             query = '''\nselect count(*) as n, max(state) as state\nfrom orders\n'''\n\
             value = \"n\"\nexpect = { state = \"done\" }\nfail_above = 5\nunit = \"rows\"\ntimeout = \"2s\"",
        );
        let all = all.unwrap();
        let Database::Postgres(server) = all.database else { panic!("{all:?}") };
        assert_eq!([&server.host, &server.dbname, &server.user].map(Template::text), ["db1", "shop", "watch"]);
        assert_eq!(server.password, Some(HeaderValue::File(Template::new("pw").unwrap())));
        assert_eq!(
            (server.port, server.tls, server.roots.map(|roots| roots.text().to_owned())),
            (6543, true, Some("ca.pem".into()))
        );
        assert!(all.query.text().contains("\nfrom orders"));
        assert_eq!((all.value.as_deref(), &*all.unit, all.timeout), (Some("n"), "rows", Duration::from_secs(2)));
        assert_eq!(
            (all.expect, all.bounds.fail_above),
            (vec![("state".into(), Expected::Text("done".into()))], Some(5.0))
        );
        let file = read(&format!("{BASE}sqlite = \"a.db\"")).unwrap();
        assert_eq!((file.database, file.timeout), (Database::Sqlite(Template::new("a.db").unwrap()), TIMEOUT));
    }

    #[test]
    fn a_server_has_to_prove_who_it_is_where_the_plan_says_nothing() {
        let of = |settings: &str| {
            let server = read(&format!("{BASE}postgres = {{ dbname = \"d\", user = \"u\", {settings} }}"))?.database;
            let Database::Postgres(server) = server else { panic!() };
            Ok::<_, String>((server.tls, server.port))
        };
        assert_eq!(of("host = \"h\"").unwrap(), (true, 5432));
        assert_eq!(of("host = \"h\", sslmode = \"disable\"").unwrap(), (false, 5432));
        assert_eq!(of("host = \"/run/postgresql\"").unwrap(), (false, 5432));
        for (settings, told) in [
            ("host = \"h\", sslmode = \"prefer\"", "does not check who answers"),
            ("host = \"h\", sslmode = \"full\"", "cannot be"),
            ("host = \"/run\", sslmode = \"verify-full\"", "no TLS over a Unix socket"),
            ("host = \"h\", sslmode = \"disable\", sslrootcert = \"ca\"", "`sslrootcert` without TLS"),
            ("host = \"h\", password = \"hunter2\"", "\"password\" is a secret"),
            ("host = \"h\", password = { env = \"A\", file = \"b\" }", "has to come from one place"),
            ("host = \"h\", passfile = \"b\"", "unknown key"),
            ("host = \"h\", port = 0", "out of range"),
        ] {
            let error = of(settings).unwrap_err();
            assert!(error.contains(told) && !error.contains("hunter2\" is"), "{settings}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        for (rest, told) in [
            ("query = \"select 1\"", "does not say which database"),
            ("sqlite = \"a\"", "this watch has no `query`"),
            ("sqlite = \"a\"\nquery = \" \"", "`query` is empty"),
            (
                "sqlite = \"a\"\nquery = \"x\"\npostgres = { host = \"h\", dbname = \"d\", user = \"u\" }",
                "`sqlite` beside",
            ),
            ("query = \"x\"\npostgres = { dbname = \"d\", user = \"u\" }", "no `host`"),
            ("query = \"x\"\npostgres = \"postgres://u:p@h/d\"", "wrong type"),
            ("sqlite = \"a\"\nquery = \"x\"\nexpect = { n = [1] }", "wrong type"),
            ("sqlite = \"a\"\nquery = \"x\"\nwarn_above = 3\nfail_above = 2", "`warn_above` is above `fail_above`"),
        ] {
            let error = read(rest).unwrap_err();
            assert!(error.contains(told), "{rest}: {error}");
        }
    }

    #[test]
    fn a_query_of_which_nothing_is_asked_is_told() {
        let told = |rest: &str| {
            let plan = plan(&format!("{BASE}sqlite = \"a\"\n{rest}")).unwrap();
            lint(&plan).iter().any(|warning| format!("{warning:?}").contains("watch w has no limit"))
        };
        assert!(told(""));
        assert!(!told("fail_above = 1"));
        assert!(!told("expect = { n = 1 }"));
        assert!(!told("[[watch]]\nid = \"c\"\nkind = \"compare\"\nassert = \"w == 1\""));
    }
}

//! What `pg_restore` says of an archive: its list of contents, which partitions belong to which table, and a first row.
//!
//! The list writes names without quotes, and a name may hold blanks. What can be read in two ways is not known.

use super::super::child::{Ended, signal};
use super::{complaint, is_elsewhere};
use std::collections::{BTreeMap, BTreeSet};

/// A table by its schema and its name.
pub(super) type Name = (String, String);

/// What `pg_restore --list` says of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contents {
    Listed(List),
    Bad(String),
}

/// An archive's list of contents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct List {
    pub(super) entries: usize,
    /// How many of them are data: of tables, of large objects.
    pub(super) data: usize,
    /// What stands behind `TABLE DATA`: schema, name and owner with blanks between.
    with_data: Vec<String>,
    /// The same behind `TABLE`.
    tables: Vec<String>,
}

/// What an archive holds of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// Its data.
    Data(Name),
    /// The table, and no data of its own.
    Bare(Name),
    /// Neither.
    Missing,
    /// Something of it, by a line that can be read in two ways.
    Unclear,
}

/// What the list of contents says: also that it cannot be read, which is so until the file changes.
pub(super) fn listed(ended: &Ended) -> Result<Contents, String> {
    let complaint = complaint(&ended.err);
    match ended.status.code() {
        Some(0) if !ended.whole => Err("its list of contents is longer than can be read".into()),
        Some(0) => {
            let mut list = List::default();
            // `3; 0 16385 TABLE DATA public orders owner`, comments behind `;` alone
            let text = String::from_utf8_lossy(&ended.out);
            for line in text.lines().filter(|line| !line.starts_with(';') && !line.trim().is_empty()) {
                list.entries += 1;
                let what = line.splitn(4, ' ').nth(3).unwrap_or_default();
                if let Some(table) = what.strip_prefix("TABLE DATA ") {
                    list.data += 1;
                    list.with_data.push(table.to_owned());
                } else if let Some(table) = what.strip_prefix("TABLE ").filter(|rest| !rest.starts_with("ATTACH ")) {
                    list.tables.push(table.to_owned());
                } else if ["BLOBS ", "BLOB ", "LARGE OBJECT", "SEQUENCE SET "].iter().any(|kind| what.starts_with(kind))
                {
                    list.data += usize::from(!what.starts_with("SEQUENCE"));
                }
            }
            match list.entries {
                0 => Ok(Contents::Bad("empty: the archive lists nothing".into())),
                _ => Ok(Contents::Listed(list)),
            }
        }
        // It knows the file and says it is none of its own, or not whole. A newer format is another matter.
        Some(1) if complaint.contains("unsupported version") => Err(format!("pg_restore is too old: {complaint}")),
        Some(1) if is_elsewhere(&complaint) => Err(format!("pg_restore cannot read it: {complaint}")),
        Some(1) => Ok(Contents::Bad(format!("no archive that can be restored: {complaint}"))),
        Some(code) => Err(format!("pg_restore ended with exit {code}: {complaint}")),
        None => Err(format!("pg_restore was ended by {}", signal(ended.status))),
    }
}

impl List {
    /// Why there is no data in it.
    pub(super) fn without_data(&self) -> String {
        match self.tables.len() {
            0 => "no table in it, and no data".to_owned(),
            tables => format!("no data in it: {tables} tables, and not a row of any"),
        }
    }

    /// What is held of `table` or `schema.table`, written as in SQL: what has other than plain characters in double quotes.
    pub(super) fn holds(&self, wanted: &str) -> Held {
        let readings = names(wanted);
        for (lines, held) in [(&self.with_data, Held::Data as fn(Name) -> Held), (&self.tables, Held::Bare)] {
            for (schema, table) in &readings {
                match find(lines, schema.as_deref(), table) {
                    Some(Some(found)) => return held(found),
                    Some(None) => return Held::Unclear,
                    None => {}
                }
            }
        }
        Held::Missing
    }

    /// Whether there is data of exactly this table.
    pub(super) fn has_data(&self, (schema, table): &Name) -> bool {
        matches!(find(&self.with_data, Some(schema), table), Some(Some(_)))
    }
}

/// The line of that table; nothing in it where it can be read as another table's too.
fn find(lines: &[String], schema: Option<&str>, table: &str) -> Option<Option<Name>> {
    let mut unclear = false;
    for line in lines {
        // Owners with a blank in their name are rare, and then the line cannot be told from that of a longer table.
        let Some((named, _owner)) = line.rsplit_once(' ') else { continue };
        let exact = match schema {
            Some(schema) => named.strip_prefix(schema).and_then(|rest| rest.strip_prefix(' ')) == Some(table),
            None => named.split_once(' ').is_some_and(|(_, name)| name == table),
        };
        if exact {
            let schema = schema.unwrap_or_else(|| named.split_once(' ').map_or("", |(schema, _)| schema));
            return Some(Some((schema.to_owned(), table.to_owned())));
        }
        let begins = match schema {
            Some(schema) => line.strip_prefix(schema).and_then(|rest| rest.strip_prefix(' ')),
            None => line.split_once(' ').map(|(_, rest)| rest),
        };
        unclear |= begins.and_then(|rest| rest.strip_prefix(table)).is_some_and(|rest| rest.starts_with(' '));
    }
    unclear.then_some(None)
}

/// What a table's name in a plan may mean: schema and name. One without quotes is what stands there, or that in lower case,
/// as PostgreSQL reads it.
fn names(wanted: &str) -> Vec<(Option<String>, String)> {
    let parts = parts(wanted);
    let mut names = vec![];
    match &parts[..] {
        [table] => names.push((None, table.clone())),
        [schema, table] => names.push((Some(schema.clone()), table.clone())),
        _ => {}
    }
    if !wanted.contains('"') {
        // A dot may be part of a name.
        names.push((None, wanted.to_owned()));
        let lower = wanted.to_lowercase();
        if lower != wanted {
            names.extend(self::names(&lower));
        }
    }
    names
}

/// Identifiers with dots between them, each in double quotes or without.
fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted) = (vec![], String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts
}

/// Which partitions each table has.
#[derive(Debug, Default)]
pub(super) struct Parents(BTreeMap<Name, BTreeSet<Name>>);

/// Reads `ALTER TABLE ONLY public.orders ATTACH PARTITION public.orders_2026 FOR VALUES …`.
pub(super) fn parents(sql: &str) -> Parents {
    let mut parents = Parents::default();
    let name = |text: &str| match &parts(text.trim())[..] {
        [schema, table] => Some((schema.clone(), table.clone())),
        _ => None,
    };
    for line in sql.lines() {
        let Some((parent, rest)) =
            line.strip_prefix("ALTER TABLE ONLY ").and_then(|rest| rest.split_once(" ATTACH PARTITION "))
        else {
            continue;
        };
        let child = rest.rsplit_once(" FOR VALUES ").map(|(child, _)| child);
        let child = child.or_else(|| rest.strip_suffix(" DEFAULT;")).unwrap_or(rest.trim_end_matches(';'));
        if let (Some(parent), Some(child)) = (name(parent), name(child)) {
            parents.0.entry(parent).or_default().insert(child);
        }
    }
    parents
}

impl Parents {
    /// The partitions of a table that have none of their own, however deep.
    pub(super) fn leaves(&self, table: &Name) -> Vec<Name> {
        let mut leaves = vec![];
        let mut open: Vec<&Name> = self.0.get(table).into_iter().flatten().collect();
        let mut seen = BTreeSet::new();
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            match self.0.get(next) {
                Some(below) => open.extend(below),
                None => leaves.push(next.clone()),
            }
        }
        leaves.sort();
        leaves
    }
}

/// Whether there is a row in what `pg_restore --data-only` writes.
pub(super) fn rows(out: &[u8]) -> bool {
    let text = String::from_utf8_lossy(out);
    let mut copying = false;
    for line in text.lines() {
        match line {
            "\\." => copying = false,
            _ if copying => return true,
            line if line.starts_with("COPY ") && line.ends_with(" FROM stdin;") => copying = true,
            line if line.starts_with("INSERT INTO ") => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn ended(code: i32, out: &str, err: &str) -> Ended {
        let status = std::process::ExitStatus::from_raw(code << 8);
        Ended { status, out: out.into(), err: err.into(), whole: true }
    }
    fn list(lines: &str) -> List {
        match listed(&ended(0, lines, "")).unwrap() {
            Contents::Listed(list) => list,
            bad => panic!("{bad:?}"),
        }
    }
    fn name(schema: &str, table: &str) -> Name {
        (schema.into(), table.into())
    }

    #[test]
    fn names_with_quotes_capitals_and_blanks_are_found_and_no_others() {
        let list = list(
            ";\n; Archive created\n215; 1259 1 TABLE public Order Items shop\n216; 1259 2 TABLE public parent shop\n\
             3; 0 1 TABLE DATA public Order Items shop\n4; 0 2 TABLE DATA My Schema a shop\n5; 0 3 TABLE DATA public orders shop\n\
             6; 0 4 TABLE DATA public a.b shop\n7; 0 5 TABLE DATA public log the owner\n8; 0 6 TABLE DATA public Big shop\n",
        );
        assert_eq!((list.entries, list.data), (8, 6));
        let data = |schema: &str, table: &str| Held::Data(name(schema, table));
        for (wanted, held) in [
            ("orders", data("public", "orders")),
            ("public.orders", data("public", "orders")),
            ("ORDERS", data("public", "orders")),
            ("\"orders\"", data("public", "orders")),
            ("\"ORDERS\"", Held::Missing),
            ("Big", data("public", "Big")),
            ("\"Order Items\"", data("public", "Order Items")),
            ("public.\"Order Items\"", data("public", "Order Items")),
            ("Order Items", data("public", "Order Items")),
            ("\"My Schema\".a", data("My Schema", "a")),
            ("\"a.b\"", data("public", "a.b")),
            ("a.b", data("public", "a.b")),
            ("Items", Held::Missing),
            ("Order", Held::Unclear),
            ("log", Held::Unclear), // `log` of "the owner", or `log the` of "owner"
            ("other.orders", Held::Missing),
            ("order", Held::Missing),
            ("parent", Held::Bare(name("public", "parent"))),
        ] {
            assert_eq!(list.holds(wanted), held, "{wanted}");
        }
    }

    #[test]
    fn a_dump_without_data_says_so() {
        let schema =
            list("215; 1259 1 TABLE public orders shop\n3; 2606 1 CONSTRAINT public orders orders_pkey shop\n");
        assert_eq!((schema.data, schema.without_data().as_str()), (0, "no data in it: 1 tables, and not a row of any"));
        let nothing = list("3; 2615 1 SCHEMA - public shop\n");
        assert_eq!(nothing.without_data(), "no table in it, and no data");
        assert_eq!(list("3; 0 0 BLOBS - BLOBS \n").data, 1);
    }

    #[test]
    fn what_is_no_archive_is_told_from_what_pg_restore_cannot_read() {
        for (complaint, known) in [
            ("pg_restore: error: input file appears to be a text format dump. Please use psql.", false),
            ("pg_restore: error: unsupported version (1.16) in file header", false),
            (
                "pg_restore: error: cannot restore from compressed archive (compression not supported in this installation)",
                false,
            ),
            ("pg_restore: error: could not open input file \"a\": Permission denied", false),
            ("pg_restore: error: input file does not appear to be a valid archive", true),
            ("pg_restore: error: did not find magic string in file header", true),
        ] {
            assert_eq!(listed(&ended(1, "", complaint)).is_ok(), known, "{complaint}");
        }
    }

    #[test]
    fn partitions_belong_to_their_parents_however_deep() {
        let parents = parents(
            "CREATE TABLE public.orders ();\nALTER TABLE ONLY public.orders ATTACH PARTITION public.o1 FOR VALUES FROM ('a') TO ('b');\n\
             ALTER TABLE ONLY public.orders ATTACH PARTITION public.\"O.2\" FOR VALUES IN ('FOR VALUES ');\n\
             ALTER TABLE ONLY public.orders ATTACH PARTITION public.rest DEFAULT;\n\
             ALTER TABLE ONLY public.o1 ATTACH PARTITION deep.o11 FOR VALUES IN (1);\n",
        );
        let leaves = parents.leaves(&name("public", "orders"));
        assert_eq!(leaves, [name("deep", "o11"), name("public", "O.2"), name("public", "rest")]);
        assert!(parents.leaves(&name("public", "o11")).is_empty());
    }

    #[test]
    fn a_row_is_a_row() {
        let head = "SET client_encoding = 'UTF8';\n\nCOPY public.orders (id, note) FROM stdin;\n";
        for (text, expected) in [
            (format!("{head}1\tx\n\\.\n"), true),
            (format!("{head}\\.\n\n--\n-- done\n"), false),
            (format!("{head}\\.\n{head}2\ty\n"), true),
            ("INSERT INTO public.orders VALUES (1);\n".to_owned(), true),
            (String::new(), false),
        ] {
            assert_eq!(rows(text.as_bytes()), expected, "{text}");
        }
    }
}

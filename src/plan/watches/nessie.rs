//! `kind = "nessie"`: where a branch of Project Nessie stands, and how far it is from the default branch.

use super::super::table::Table;
use super::super::{Template, WatchKind};
use super::{filled, non_empty};

/// The kind's own keys: `uri` and `ref` as Nessie's own clients call them.
pub(super) const KEYS: &[&str] =
    &["uri", "ref", "expect_head", "same_head_as", "on_move", "max_ahead", "max_behind", "token_file"];

/// Which reference, and what is expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Nessie {
    /// Where the API is, version included: `http://host:19120/api/v2`.
    pub uri: Template,
    /// A branch or a tag.
    pub reference: Template,
    /// The commit it has to stand at.
    pub expect_head: Option<Template>,
    /// Another branch or tag that has to stand at the same commit.
    pub same_head_as: Option<Template>,
    /// What it is when the head is another one than at the first reading; `ok` where the plan does not say.
    pub on_move: OnMove,
    /// How many commits it may have that the default branch has not.
    pub max_ahead: Option<u64>,
    /// How many commits of the default branch it may lack.
    pub max_behind: Option<u64>,
    /// A file that holds a bearer token; relative to the plan's folder.
    pub token_file: Option<Template>,
}

/// What a head is that has moved since the hub first looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMove {
    /// As it should be: the release moves it.
    #[default]
    Ok,
    /// Worth a look.
    Warn,
    /// Bad: nobody else was to touch it.
    Fail,
}

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let uri = table.require("uri", "expected uri = \"http://nessie:19120/api/v2\"");
    let uri = uri.and_then(|uri| {
        let address = super::http::address(&uri)?;
        // Version 1 of the API answers other fields, at other paths.
        match address.names().is_empty() && !address.text().trim_end_matches('/').ends_with("/api/v2") {
            true => uri.wrong("`uri` does not name version 2 of the API", "expected an address that ends in /api/v2"),
            false => Some(address),
        }
    });
    let reference = filled(table, "ref", "expected ref = \"main\"");
    let optional = |key| table.get(key).and_then(|value| non_empty(&value));
    let commits = |key| table.get(key).and_then(|count| count.integer(0..=u64::MAX));
    Some(WatchKind::Nessie(Box::new(Nessie {
        expect_head: optional("expect_head"),
        same_head_as: optional("same_head_as"),
        on_move: on_move(table),
        max_ahead: commits("max_ahead"),
        max_behind: commits("max_behind"),
        token_file: optional("token_file"),
        uri: uri?,
        reference: reference?,
    })))
}

/// What it is when a head has moved.
pub(super) fn on_move(table: &Table<'_>) -> OnMove {
    let statuses = [("ok", OnMove::Ok), ("warn", OnMove::Warn), ("fail", OnMove::Fail)];
    table.get("on_move").and_then(|status| status.choice(&statuses)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    const HEAD: &str =
        "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\nshadow = []\n";

    fn read(rest: &str) -> Result<Nessie, String> {
        let text = format!("{HEAD}[[watch]]\nid = \"w\"\nkind = \"nessie\"\n{rest}\n");
        let plan = Plan::parse("plan.toml", &text).map_err(|error| error.to_string())?;
        match &plan.watches[0].kind {
            WatchKind::Nessie(nessie) => Ok((**nessie).clone()),
            other => panic!("{other:?}"),
        }
    }
    const BASE: &str = "uri = \"http://h:19120/api/v2\"\nref = \"live\"\n";

    #[test]
    fn every_key_is_read() {
        let plain = read(BASE).unwrap();
        assert_eq!((plain.on_move, plain.max_ahead, plain.token_file), (OnMove::Ok, None, None));
        let all = read(&format!(
            "{BASE}expect_head = \"ab\"\nsame_head_as = \"blue\"\non_move = \"fail\"\nmax_ahead = 0\nmax_behind = 3\ntoken_file = \"t\""
        ));
        let all = all.unwrap();
        let texts = [&all.expect_head, &all.same_head_as, &all.token_file].map(|t| t.as_ref().map(Template::text));
        assert_eq!(texts, [Some("ab"), Some("blue"), Some("t")]);
        assert_eq!((all.on_move, all.max_ahead, all.max_behind), (OnMove::Fail, Some(0), Some(3)));
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        for (rest, told) in [
            ("ref = \"live\"", "this watch has no `uri`"),
            ("uri = \"http://h/api/v2\"", "this watch has no `ref`"),
            ("uri = \"h:19120/api/v2\"\nref = \"live\"", "`uri` is not a web address"),
            ("uri = \"http://h:19120/api/v1\"\nref = \"live\"", "does not name version 2"),
            ("uri = \"http://h/api/v2\"\nref = \" \"", "`ref` is empty"),
            (&format!("{BASE}on_move = \"unknown\""), "cannot be"),
            (&format!("{BASE}max_ahead = -1"), "`max_ahead`"),
            (&format!("{BASE}repository = \"x\""), "unknown key"),
        ] {
            let error = read(rest).unwrap_err();
            assert!(error.contains(told), "{rest}: {error}");
        }
    }
}

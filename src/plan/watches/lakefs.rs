//! `kind = "lakefs"`: where a branch or tag of lakeFS stands, how far it is from another one, and what lies on it uncommitted.

use super::super::table::Table;
use super::super::{OnMove, Template, WatchKind};
use super::headers::{self, HeaderValue};
use super::{filled, nessie, non_empty};

/// The kind's own keys. The two of who asks are called as in lakectl's configuration.
pub(super) const KEYS: &[&str] = &[
    "uri",
    "repository",
    "ref",
    "expect_head",
    "same_head_as",
    "on_move",
    "base",
    "max_ahead",
    "max_behind",
    "max_uncommitted",
    "protected",
    "access_key_id",
    "secret_access_key",
];

/// Which reference, and what is expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lakefs {
    /// Where the API is, version included: `http://host:8000/api/v1`.
    pub uri: Template,
    /// The repository.
    pub repository: Template,
    /// A branch or a tag of it.
    pub reference: Template,
    /// The commit it has to stand at.
    pub expect_head: Option<Template>,
    /// Another reference that has to stand at the same commit.
    pub same_head_as: Option<Template>,
    /// What it is when the head is another one than at the first reading; `ok` where the plan does not say.
    pub on_move: OnMove,
    /// The reference it is measured against.
    pub base: Option<Template>,
    /// How many commits it may have that `base` has not.
    pub max_ahead: Option<u64>,
    /// How many commits of `base` it may lack.
    pub max_behind: Option<u64>,
    /// How many objects may be changed on it and not committed.
    pub max_uncommitted: Option<u64>,
    /// Whether a rule has to protect it.
    pub protected: Option<bool>,
    /// Who asks, and where the secret to it comes from.
    pub key: Option<(Template, HeaderValue)>,
}

pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let uri = table.require("uri", "expected uri = \"http://lakefs:8000/api/v1\"");
    let uri = uri.and_then(|uri| {
        let address = super::http::address(&uri)?;
        match address.names().is_empty() && !address.text().trim_end_matches('/').ends_with("/api/v1") {
            true => uri.wrong("`uri` does not name version 1 of the API", "expected an address that ends in /api/v1"),
            false => Some(address),
        }
    });
    let repository = filled(table, "repository", "expected repository = \"the repository\"");
    let reference = filled(table, "ref", "expected ref = \"a branch or a tag\"");
    let optional = |key| table.get(key).and_then(|value| non_empty(&value));
    let count = |key| table.get(key).and_then(|count| count.integer(0..=u64::MAX));
    for key in ["max_ahead", "max_behind"] {
        if let (Some(limit), None) = (table.get(key), table.get("base")) {
            limit.wrong::<()>(
                format!("`{key}` does not say of what: there is no `base`"),
                "expected a `base` beside it",
            );
        }
    }
    let secret = table.get("secret_access_key").map(|secret| match secret.is_table() {
        true => headers::elsewhere(&secret, "a secret key from elsewhere", "secret_access_key"),
        false => {
            headers::secret(&secret, "secret_access_key");
            None
        }
    });
    let key = match (table.get("access_key_id"), secret) {
        (None, None) => Some(None),
        (Some(id), Some(secret)) => non_empty(&id).zip(secret).map(Some),
        (Some(id), None) => id.wrong("`access_key_id` without `secret_access_key`", "expected both"),
        (None, Some(_)) => table
            .get("secret_access_key")
            .and_then(|secret| secret.wrong("`secret_access_key` without `access_key_id`", "expected both")),
    };
    Some(WatchKind::Lakefs(Box::new(Lakefs {
        expect_head: optional("expect_head"),
        same_head_as: optional("same_head_as"),
        on_move: nessie::on_move(table),
        base: optional("base"),
        max_ahead: count("max_ahead"),
        max_behind: count("max_behind"),
        max_uncommitted: count("max_uncommitted"),
        protected: table.boolean("protected"),
        key: key?,
        uri: uri?,
        repository: repository?,
        reference: reference?,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    const HEAD: &str =
        "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\nshadow = []\n";

    fn read(rest: &str) -> Result<Lakefs, String> {
        let text = format!("{HEAD}[[watch]]\nid = \"w\"\nkind = \"lakefs\"\n{rest}\n");
        let plan = Plan::parse("plan.toml", &text).map_err(|error| error.to_string())?;
        match &plan.watches[0].kind {
            WatchKind::Lakefs(lakefs) => Ok((**lakefs).clone()),
            other => panic!("{other:?}"),
        }
    }
    const BASE: &str = "uri = \"http://h:8000/api/v1\"\nrepository = \"shop\"\nref = \"live\"\n";

    #[test]
    fn every_key_is_read() {
        let plain = read(BASE).unwrap();
        assert_eq!((plain.on_move, plain.max_ahead, plain.protected, plain.key), (OnMove::Ok, None, None, None));
        let all = read(&format!(
            "{BASE}expect_head = \"ab\"\nsame_head_as = \"blue\"\non_move = \"fail\"\nbase = \"main\"\nmax_ahead = 0\n\
             max_behind = 3\nmax_uncommitted = 0\nprotected = true\naccess_key_id = \"AKIA\"\n\
             secret_access_key = {{ env = \"LAKEFS_SECRET\" }}"
        ));
        let all = all.unwrap();
        let texts = [&all.expect_head, &all.same_head_as, &all.base].map(|t| t.as_ref().map(Template::text));
        assert_eq!(texts, [Some("ab"), Some("blue"), Some("main")]);
        assert_eq!((all.on_move, all.max_ahead, all.max_behind), (OnMove::Fail, Some(0), Some(3)));
        assert_eq!((all.max_uncommitted, all.protected), (Some(0), Some(true)));
        let (id, secret) = all.key.unwrap();
        assert_eq!((id.text(), secret), ("AKIA", HeaderValue::Env("LAKEFS_SECRET".into())));
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        for (rest, told) in [
            ("repository = \"shop\"\nref = \"live\"", "this watch has no `uri`"),
            ("uri = \"http://h/api/v1\"\nref = \"live\"", "this watch has no `repository`"),
            ("uri = \"http://h/api/v1\"\nrepository = \"shop\"", "this watch has no `ref`"),
            ("uri = \"http://h:8000\"\nrepository = \"shop\"\nref = \"live\"", "does not name version 1"),
            ("uri = \"h:8000/api/v1\"\nrepository = \"shop\"\nref = \"live\"", "`uri` is not a web address"),
            (&format!("{BASE}max_ahead = 1"), "there is no `base`"),
            (&format!("{BASE}on_move = \"unknown\""), "cannot be"),
            (&format!("{BASE}protected = \"yes\""), "wrong type"),
            (&format!("{BASE}access_key_id = \"A\""), "`access_key_id` without"),
            (&format!("{BASE}secret_access_key = {{ file = \"a\" }}"), "`secret_access_key` without"),
            (&format!("{BASE}access_key_id = \"A\"\nsecret_access_key = \"hunter2\""), "is a secret"),
        ] {
            let error = read(rest).unwrap_err();
            assert!(error.contains(told), "{rest}: {error}");
        }
    }
}

//! Logs that meet and logs that do not, rules, and answers that are none. A server that speaks the API is in tests/suite.

use super::super::tests::template;
use super::*;
use crate::plan::OnMove;

const HEAD: &str = "1cc4a5a1aa8356f65128199658295e173108c9202bd8504aa6c7577c09ed6441";
const OTHER: &str = "2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d";

fn watch(expect: impl Fn(&mut plan::Lakefs)) -> Lakefs {
    let mut lakefs = plan::Lakefs {
        uri: template("http://h:8000/api/v1/"),
        repository: template("shop"),
        reference: template("ingest"),
        expect_head: None,
        same_head_as: None,
        on_move: OnMove::Ok,
        base: Some(template("main")),
        max_ahead: None,
        max_behind: None,
        max_uncommitted: None,
        protected: None,
        key: None,
    };
    expect(&mut lakefs);
    Lakefs::new(&lakefs, &Params::new(), Path::new("/")).unwrap()
}
fn at(ahead: Count, behind: Count) -> At {
    let (ahead, behind) = (Some(ahead), Some(behind));
    At { branch: true, head: HEAD.into(), other: None, ahead, behind, uncommitted: None, protected: None }
}
#[track_caller]
fn says(reading: &Reading, status: Status, value: Option<f64>, words: &str) {
    assert!(reading.status == status && reading.value == value && reading.why.contains(words), "{words}: {reading:?}");
}

/// Commits as `id: parents`, the newest first, a second apart, and whether there are more.
fn log(commits: &[(&str, &[&str], i64)], more: bool) -> Log {
    let mut log = Log::default();
    let results = commits.iter().map(|(id, parents, date)| Commit {
        id: (*id).to_owned(),
        parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
        creation_date: *date,
    });
    log.add(Page { results: results.collect(), pagination: Pagination { has_more: more, next_offset: "x".into() } });
    log
}

#[test]
fn commits_on_one_side_alone_are_counted_where_the_logs_meet() {
    use Count::{AtLeast, Exactly};
    let main = log(&[("m2", &["m1"], 5), ("m1", &["r"], 2), ("r", &[], 1)], false);
    let side = log(&[("s2", &["s1"], 4), ("s1", &["m1"], 3), ("m1", &["r"], 2), ("r", &[], 1)], false);
    assert_eq!((side.alone("s2", &main), main.alone("m2", &side)), (Exactly(2), Exactly(1)));
    assert_eq!(main.alone("m2", &main), Exactly(0));
    // Merged into main: nothing of it is ahead, and the merge is what it lacks.
    let merged = log(
        &[("M", &["m2", "s2"], 6), ("m2", &["m1"], 5), ("s2", &["s1"], 4), ("s1", &["m1"], 3), ("m1", &["r"], 2)],
        true,
    );
    assert_eq!((side.alone("s2", &merged), merged.alone("M", &side)), (Exactly(0), Exactly(2)));
    // main merged into it: the merge and its own commits, and none of main's.
    let took = log(
        &[("T", &["s1", "m2"], 6), ("m2", &["m1"], 5), ("s1", &["m1"], 3), ("m1", &["r"], 2), ("r", &[], 1)],
        false,
    );
    assert_eq!((took.alone("T", &main), main.alone("m2", &took)), (Exactly(2), Exactly(0)));
    // Both begin at the same commit, which is the oldest of what was read.
    let short = log(&[("m2", &["m1"], 5)], true);
    assert_eq!((short.alone("m2", &side), side.alone("s2", &short)), (Exactly(1), AtLeast(0)));
    // Past what was read nothing is claimed: `s1` may be on the other side as well.
    let long = log(&[("m9", &["m8"], 9), ("m8", &["m7"], 8)], true);
    assert_eq!((side.alone("s2", &long), long.alone("m9", &side)), (AtLeast(0), AtLeast(2)));
    // Commits of one second have no order.
    let same = log(&[("m9", &["m8"], 4)], true);
    assert_eq!(side.alone("s2", &same), AtLeast(0));
}

#[test]
fn a_branch_is_held_against_what_is_expected_of_it() {
    use Count::{AtLeast, Exactly};
    let both = at(Exactly(2), Exactly(1));
    let plain = watch(|_| {}).judge(&both);
    says(&plain, Status::Ok, Some(2.0), "branch ingest at 1cc4a5a1aa83, 2 ahead of main, 1 behind main");
    let limits = |lakefs: &mut plan::Lakefs| (lakefs.max_ahead, lakefs.max_behind) = (Some(2), Some(0));
    says(&watch(limits).judge(&both), Status::Fail, Some(2.0), "1 behind main, at most 0 allowed");
    says(&watch(limits).judge(&at(Exactly(2), Exactly(0))), Status::Ok, Some(2.0), "2 ahead of main");
    // So many at least may be too many already, and is never few enough.
    says(
        &watch(limits).judge(&at(Exactly(1), AtLeast(3))),
        Status::Fail,
        Some(1.0),
        "at least 3 behind main, at most 0",
    );
    let far = |lakefs: &mut plan::Lakefs| lakefs.max_behind = Some(9);
    says(&watch(far).judge(&at(Exactly(1), AtLeast(3))), Status::Unknown, None, "not told by the last 1300 commits");
    let expected = |lakefs: &mut plan::Lakefs| lakefs.expect_head = Some(template(OTHER));
    says(&watch(expected).judge(&both), Status::Fail, Some(2.0), "2e1cfa82b035 was expected");
    for (on_move, status) in [(OnMove::Ok, Status::Ok), (OnMove::Warn, Status::Warn), (OnMove::Fail, Status::Fail)] {
        let mut watch = watch(|lakefs| lakefs.on_move = on_move);
        says(&watch.judge(&both), Status::Ok, Some(2.0), "1cc4a5a1aa83");
        says(&watch.judge(&At { head: OTHER.into(), ..both.clone() }), status, Some(2.0), "moved from 1cc4a5a1aa83");
    }
    let other = |head: Option<&str>| At { other: Some(("live".into(), head.map(str::to_owned))), ..both.clone() };
    says(&watch(|_| {}).judge(&other(Some(HEAD))), Status::Ok, Some(2.0), "");
    says(&watch(|_| {}).judge(&other(Some(OTHER))), Status::Fail, Some(2.0), "live is at 2e1cfa82b035");
    says(&watch(|_| {}).judge(&other(None)), Status::Fail, Some(2.0), "no \"live\" to hold it against");
}

#[test]
fn what_lies_uncommitted_and_what_protects_is_told() {
    let clean = |lakefs: &mut plan::Lakefs| lakefs.max_uncommitted = Some(2);
    let holds = |objects, more| At {
        uncommitted: Some((objects, more)),
        ahead: None,
        behind: None,
        ..at(Count::Exactly(0), Count::Exactly(0))
    };
    let read = |objects, more| watch(clean).judge(&holds(objects, more));
    says(&read(2, false), Status::Ok, Some(2.0), "2 uncommitted");
    assert_eq!(read(2, false).unit, "objects");
    says(&read(3, true), Status::Fail, None, "more than 3 uncommitted, at most 2 allowed");
    let many = |lakefs: &mut plan::Lakefs| lakefs.max_uncommitted = Some(5000);
    says(&watch(many).judge(&holds(1000, true)), Status::Unknown, None, "lakeFS lists no more at once");
    let wanted = |wanted| watch(move |lakefs: &mut plan::Lakefs| lakefs.protected = Some(wanted));
    let is = |is| At { protected: Some(is), ..holds(0, false) };
    says(&wanted(true).judge(&is(Ok(true))), Status::Ok, Some(0.0), ", protected");
    says(&wanted(true).judge(&is(Ok(false))), Status::Fail, Some(0.0), "not protected; protected was expected");
    says(&wanted(false).judge(&is(Ok(true))), Status::Fail, Some(0.0), "not protected was expected");
    says(&wanted(true).judge(&is(Err("who knows".into()))), Status::Unknown, None, "who knows");
}

#[test]
fn a_rule_is_about_the_branches_that_its_pattern_names() {
    let is = |rules: &[&str], branch: &str| {
        protected(&rules.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>(), branch)
    };
    for (rules, branch, expected) in [
        (&[][..], "main", false),
        (&["main"], "main", true),
        (&["main"], "main2", false),
        (&["release-*", "main"], "release-2", true),
        (&["*"], "anything", true),
        (&["rel?"], "rel1", true),
        (&["rel?"], "rel", false),
        (&["*-v*-x"], "a-v-v1-x", true),
        (&["*-v*-x"], "a-v1-xy", false),
        (&["[a-z]*", "main"], "main", true),
    ] {
        assert_eq!(is(rules, branch), Ok(expected), "{rules:?} {branch}");
    }
    assert!(is(&["[a-z]*"], "main").unwrap_err().contains("\"[a-z]*\""));
    assert!(is(&["{main,live}"], "x").is_err());
}

#[test]
fn only_what_lakefs_says_is_missing_is_missing() {
    let of = |status, body: &str| match decoded(status, body.as_bytes()) {
        Ok(Got::Json(json)) => json.to_string(),
        Ok(Got::Missing) => "missing".to_owned(),
        Err(why) => why,
    };
    assert_eq!(of(200, r#"{"id":"main"}"#), r#"{"id":"main"}"#);
    assert_eq!(of(404, r#"{"message":"branch not found"}"#), "missing");
    for (status, body, words) in [
        (404, r#"{"message":"repository not found"}"#, "lakeFS says: repository not found"),
        (404, "<html>not found</html>", "status 404, and its body is no answer of lakeFS"),
        (404, r#"{"error":"not found"}"#, "status 404, and its body"),
        (401, r#"{"message":"error authenticating request"}"#, "whose key this is (status 401): error authenticating"),
        (403, r#"{"message":"protected branch"}"#, "(status 403): protected branch"),
        (429, r#"{"message":"Too many attempts"}"#, "lakeFS says (status 429): Too many"),
        (500, r#"{"message":"invalid API endpoint"}"#, "lakeFS says (status 500): invalid API"),
        (502, "bad gateway", "status 502, and its body"),
        (200, "<html>lakeFS</html>", "status 200, and its body is no answer of lakeFS"),
    ] {
        assert!(of(status, body).contains(words), "{body}: {}", of(status, body));
    }
}

#[test]
fn a_name_that_would_ask_for_another_page_is_none() {
    for name in ["..", "a/../b", "."] {
        let mut expect = watch(|_| {}).expect;
        expect.reference = template(name);
        assert!(Lakefs::new(&expect, &Params::new(), Path::new("/")).is_err(), "{name}");
    }
    let path = watch(|lakefs| lakefs.repository = template("a b/c")).repository;
    assert_eq!(path.as_str(), "http://h:8000/api/v1/repositories/a%20b%2Fc");
}

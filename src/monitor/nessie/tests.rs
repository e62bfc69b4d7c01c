//! Answers as Nessie 0.60.1 gave them, and what is none; the real one is in tests/suite.

use super::super::tests::template;
use super::*;
use crate::plan::OnMove;

const HEAD: &str = "1cc4a5a1aa8356f65128199658295e173108c9202bd8504aa6c7577c09ed6441";
const OTHER: &str = "2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d";

fn branch(head: &str, ahead: u64, behind: u64) -> String {
    format!(
        r#"{{"reference":{{"type":"BRANCH","name":"ingest","hash":"{head}","metadata":
        {{"numCommitsAhead":{ahead},"numCommitsBehind":{behind},"commonAncestorHash":"{OTHER}"}}}}}}"#
    )
}
fn watch(expect: impl Fn(&mut plan::Nessie)) -> Nessie {
    let mut nessie = plan::Nessie {
        uri: template("http://h:19120/api/v2/"),
        reference: template("ingest"),
        expect_head: None,
        same_head_as: None,
        on_move: OnMove::Ok,
        max_ahead: None,
        max_behind: None,
        token_file: None,
    };
    expect(&mut nessie);
    Nessie::new(&nessie, &Params::new(), Path::new("/")).unwrap()
}
fn at(head: &str, ahead: u64, behind: u64) -> At {
    match decoded(200, branch(head, ahead, behind).as_bytes()) {
        Ok(Reference::At(at)) => at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_head_is_held_against_what_is_expected_of_it() {
    let reading = watch(|_| {}).judge(&at(HEAD, 2, 1), None);
    assert_eq!((reading.status, reading.value), (Status::Ok, Some(2.0)));
    assert_eq!(reading.why, "branch ingest at 1cc4a5a1aa83, 2 ahead, 1 behind");
    let limits = |nessie: &mut plan::Nessie| (nessie.max_ahead, nessie.max_behind) = (Some(2), Some(0));
    let reading = watch(limits).judge(&at(HEAD, 2, 1), None);
    assert_eq!(reading.status, Status::Fail);
    assert!(reading.why.contains("1 commits behind the default branch, at most 0 allowed"), "{}", reading.why);
    assert_eq!(watch(limits).judge(&at(HEAD, 2, 0), None).status, Status::Ok);
    let expected = |nessie: &mut plan::Nessie| nessie.expect_head = Some(template(OTHER));
    let reading = watch(expected).judge(&at(HEAD, 0, 0), None);
    assert!(reading.status == Status::Fail && reading.why.contains("2e1cfa82b035 was expected"), "{}", reading.why);
    assert_eq!(watch(expected).judge(&at(OTHER, 0, 0), None).status, Status::Ok);
}

#[test]
fn a_move_is_told_and_is_what_the_plan_says() {
    for (on_move, status) in [(OnMove::Ok, Status::Ok), (OnMove::Warn, Status::Warn), (OnMove::Fail, Status::Fail)] {
        let mut nessie = watch(|nessie| nessie.on_move = on_move);
        assert_eq!(nessie.judge(&at(OTHER, 0, 0), None).status, Status::Ok);
        for _ in 0..2 {
            let reading = nessie.judge(&at(HEAD, 1, 0), None);
            assert_eq!(reading.status, status);
            assert!(reading.why.contains("moved from 2e1cfa82b035 since"), "{}", reading.why);
        }
        assert_eq!(nessie.judge(&at(OTHER, 0, 0), None).status, Status::Ok, "it is back");
    }
}

#[test]
fn another_head_is_the_same_one_or_it_fails() {
    let mut nessie = watch(|nessie| nessie.same_head_as = Some(template("blue")));
    let with = |head| Some(("blue".to_owned(), Reference::At(at(head, 0, 0))));
    assert_eq!(nessie.judge(&at(HEAD, 0, 0), with(HEAD)).status, Status::Ok);
    let reading = nessie.judge(&at(HEAD, 0, 0), with(OTHER));
    assert!(reading.status == Status::Fail && reading.why.contains("blue is at 2e1cfa82b035"), "{}", reading.why);
    let reading = nessie.judge(&at(HEAD, 0, 0), Some(("blue".to_owned(), Reference::Missing)));
    assert!(reading.status == Status::Fail && reading.why.contains("no branch or tag \"blue\""), "{}", reading.why);
}

#[test]
fn what_is_not_said_is_unknown_where_it_counts() {
    let bare = format!(r#"{{"reference":{{"type":"TAG","name":"t","hash":"{HEAD}"}}}}"#);
    let Ok(Reference::At(bare)) = decoded(200, bare.as_bytes()) else { panic!() };
    assert_eq!(watch(|_| {}).judge(&bare, None).status, Status::Ok);
    let reading = watch(|nessie| nessie.max_ahead = Some(0)).judge(&bare, None);
    assert_eq!((reading.status, reading.value), (Status::Unknown, None), "{}", reading.why);
}

#[test]
fn only_nessie_can_say_that_a_branch_is_missing() {
    let missing = r#"{"status":404,"errorCode":"REFERENCE_NOT_FOUND","message":"Named reference 'x' not found"}"#;
    assert_eq!(decoded(404, missing.as_bytes()), Ok(Reference::Missing));
    let bad = r#"{"status":400,"errorCode":"BAD_REQUEST","message":"must \u001b[31m not"}"#;
    for (status, body, told) in [
        (404, "Not Found", "no answer of Nessie: Not Found"),
        (404, "{}", "no answer of Nessie"),
        (401, "", "without a valid token"),
        (401, missing, "without a valid token"),
        (403, "{}", "status 403"),
        (400, bad, "Nessie says BAD_REQUEST (status 400): must"),
        (503, "<html>", "status 503"),
        (302, "", "status 302"),
        (200, "<html>", "not an answer of Nessie"),
        (200, "{}", "not an answer of Nessie"),
        (200, "[]", "not an answer of Nessie"),
        (200, r#"{"reference":{"type":"BRANCH","hash":""}}"#, "not an answer of Nessie"),
        (200, r#"{"reference":{"type":"BRANCH","hash":"xyz"}}"#, "not an answer of Nessie"),
        (200, r#"{"reference":{"hash":"ab"}}"#, "not an answer of Nessie"),
    ] {
        let why = decoded(status, body.as_bytes()).unwrap_err();
        assert!(why.contains(told) && !why.contains('\u{1b}'), "{status} {body}: {why}");
    }
}

#[test]
fn a_name_is_one_part_of_the_path() {
    let uri = web::url("http://h:19120/api/v2/").unwrap();
    for (name, path) in [("main", "main"), ("team/a", "team%2Fa"), ("a?b#c", "a%3Fb%23c"), ("ä", "%C3%A4")] {
        let page = page(&uri, name).unwrap();
        assert_eq!(page.as_str(), format!("http://h:19120/api/v2/trees/{path}?fetch=ALL"));
    }
    for name in ["", ".", "..", "a/../b"] {
        assert!(page(&uri, name).is_err(), "{name}");
    }
}

//! A rehearsal is never taken for a live session: not by its first line, what is armed, or what is signed in it.

use super::*;
use crate::event::RehearsalSeen;
use crate::identity::Key;
use crate::session::OpenError;
use crate::session::signing::{self, Act, CrossCheck};
use crate::trust::statement::Signed;

const DATA: &str = "masked copy, 10 % sample of 2026-11-01";

fn open(session: &str, data: Option<&str>) -> Result<Session, OpenError> {
    a::opening(DROP).id(session).rehearsal(data).try_session(a::start())
}

/// Everyone is here, the gate is ok; `cy` signs with that key.
fn flown(data: Option<&str>, key: &Key) -> Desk {
    let id = if data.is_some() { "rehearsal-s" } else { "s" };
    let mut desk = Desk { session: open(id, data).unwrap(), now: a::start(), remote: false };
    let fingerprint = key.public().fingerprint();
    for (connection, name) in (1..).zip(["ana", "bo", "cy", "dan"]) {
        desk.join(name, if name == "cy" { &fingerprint } else { name }, connection);
    }
    desk.read(Status::Ok);
    desk.arm("ana").unwrap();
    desk.ask_with_key("cy", &fingerprint, Request::OpenCheck { step: drop_step(), attempt: 1 }).unwrap();
    desk
}

#[test]
fn a_first_line_says_it_twice_or_opens_nothing() {
    assert_eq!(open("s", None).unwrap().rehearsal(), None);
    assert_eq!(open("rehearsal-s", Some(DATA)).unwrap().rehearsal(), Some(DATA));
    for (id, data) in [
        ("s", Some(DATA)),
        ("rehearsal-s", None),
        ("rehearsal-s", Some("")),
        ("rehearsal-s", Some(" blank before")),
        ("rehearsal-s", Some("hidden \u{202e}")),
    ] {
        let error = open(id, data).unwrap_err().to_string();
        assert!(error.contains("rehearsal"), "{id} {data:?}: {error}");
    }
}

#[test]
fn nothing_live_is_armed_in_a_rehearsal_nor_the_other_way_round() {
    let key = Key::fresh().unwrap();
    let rehearsed = flown(Some(DATA), &key).covers("one");
    let live = flown(None, &key).covers("one");
    let seen = rehearsed.rehearsal.clone().unwrap();
    assert_eq!(seen, RehearsalSeen { data: DATA.into(), live: vec!["./drop".into()], printed: true });
    let other = Covers { rehearsal: Some(RehearsalSeen { data: "all of it".into(), ..seen }), ..rehearsed.clone() };
    for (data, own, strange) in [(Some(DATA), &rehearsed, vec![&live, &other]), (None, &live, vec![&rehearsed, &other])]
    {
        let mut desk = flown(data, &key);
        desk.ask("ana", Request::Disarm { step: drop_step(), attempt: 1 }).unwrap();
        for covers in strange {
            let covers = Some(Box::new(Covers { attempt: 2, ..covers.clone() }));
            let refused = desk.ask("ana", Request::Arm { step: drop_step(), covers }).unwrap_err();
            assert!(matches!(refused, Refusal::CannotFreeze(_)), "{refused}");
        }
        let covers = Some(Box::new(Covers { attempt: 2, ..own.clone() }));
        desk.ask("ana", Request::Arm { step: drop_step(), covers }).unwrap();
    }
}

/// The worst case: somebody made both sessions look alike, id, number and hash of the line included.
#[test]
fn a_check_that_was_signed_in_a_rehearsal_is_worthless_live() {
    let key = Key::fresh().unwrap();
    let fingerprint = key.public().fingerprint();
    let (mut rehearsed, mut live) = (flown(Some(DATA), &key), flown(None, &key));
    for desk in [&mut rehearsed, &mut live] {
        desk.session.hub_key = Some(key.public().clone());
        desk.session.id = "s".into();
    }
    let step = drop_step();
    let signed = |desk: &Desk, act: Act<'_>| {
        let text = signing::statement(&desk.session, act, &who("cy"), &fingerprint, desk.now).unwrap();
        let signature = key.sign_sshsig(text.purpose().namespace(), text.text().as_bytes());
        Some(Signed { statement: text.text().to_owned(), signature })
    };
    let ask = |desk: &Desk, signed: Option<Signed>, request: &Request| {
        let author = Author { signed, ..Author::new(who("cy"), fingerprint.clone()) };
        decide(&desk.session, desk.now, &author, request).map(|events| events.len())
    };
    let check = |desk: &Desk| {
        let digest = desk.session.open_step().unwrap().2.digest();
        Request::Check { step: step.clone(), attempt: 1, digest }
    };
    let approve = Act::Check(&step, CrossCheck::Approve);
    let practised = signed(&rehearsed, approve);
    assert!(practised.as_ref().unwrap().statement.contains("\nrehearsal: masked%20copy,"), "{practised:?}");
    assert_eq!(ask(&rehearsed, practised.clone(), &check(&rehearsed)), Ok(1), "where it was meant it counts");
    for request in [check(&live), check(&rehearsed)] {
        let refused = ask(&live, practised.clone(), &request).unwrap_err().to_string();
        assert!(refused.contains("rehearsal") || request == check(&rehearsed), "{refused}");
    }
    let genuine = signed(&live, approve);
    assert!(!genuine.as_ref().unwrap().statement.contains("rehearsal"), "what is live is signed as ever");
    assert_eq!(ask(&live, genuine.clone(), &check(&live)), Ok(1));
    assert!(ask(&rehearsed, genuine, &check(&rehearsed)).is_err());
    // Whatever else is signed says it as well.
    let hub = [signing::checkpoint(&rehearsed.session, rehearsed.now), {
        signing::close(&rehearsed.session, crate::event::Outcome::Partial, "", rehearsed.now)
    }];
    assert!(hub.iter().all(|text| text.text().contains("\nrehearsal: ")), "{hub:?}");
    for act in [Act::Skip(&step, "why"), Act::Vouch] {
        let (there, here) = (signed(&rehearsed, act).unwrap(), signed(&live, act).unwrap());
        assert_ne!(there.statement, here.statement);
    }
}

#[test]
fn a_rehearsal_survives_a_snapshot_and_prints_what_is_typed() {
    let key = Key::fresh().unwrap();
    let mut desk = flown(Some(DATA), &key);
    desk.survives_a_snapshot();
    desk.ask("ana", Request::Edit { step: drop_step(), run: "./drop --all".into(), why: "slow".into() }).unwrap();
    desk.survives_a_snapshot();
    let argv = |desk: &Desk| desk.session.plan.steps[0].command().unwrap().run.argv(&BTreeMap::new()).unwrap();
    assert_eq!(argv(&desk)[0], "printf");
    assert_eq!(argv(&desk)[3..], ["./drop", "--all"]);
    let typed = crate::session::typed_step(&desk.session, &who("ana"), "./fix", "why");
    assert_eq!(typed.command().unwrap().run.argv(&BTreeMap::new()).unwrap()[0], "printf");
}

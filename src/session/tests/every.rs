//! What holds for every request, whatever it asks for: one of each kind, in every state that keeps most of them from going on.

use super::*;
use crate::event::{Attention, Outcome};
use crate::name::ItemId;
use crate::session::may;
use crate::session::request::{TEXT_CHARS_MAX, Typed};

/// One request of each kind, with these words where it has any, on that step where it names one.
fn every(text: &str, on: &str) -> Vec<Request> {
    let (step, attempt, digest) = (|| step(on), 1, Hash::ZERO);
    let (why, watch, status) = (|| text.to_owned(), watch("api"), Status::Fail);
    vec![
        Request::Arm { step: step(), covers: None },
        Request::Set { name: "rows".into(), value: "1".into(), why: why() },
        Request::Edit { step: step(), run: "./other".into(), why: why() },
        Request::AdHoc { run: "./other".into(), why: why(), covers: None },
        Request::Disarm { step: step(), attempt },
        Request::OpenCheck { step: step(), attempt },
        Request::ReadBack { step: step(), attempt, field: "rows".into(), value: "1".into() },
        Request::Check { step: step(), attempt, digest },
        Request::Object { step: step(), attempt, digest, why: why() },
        Request::Withdraw { step: step(), attempt },
        Request::Run { step: step(), attempt },
        Request::Did { step: step(), attempt, note: why() },
        Request::TryRun { step: step(), attempt },
        Request::Waive { step: step(), attempt, watch, status, why: why() },
        Request::Skip { step: step(), why: why() },
        Request::BreakGlass { step: step(), attempt, digest, confirm: on.into(), why: why() },
        Request::Probe { step: step() },
        Request::Type { step: step(), attempt, text: Typed("yes".into()), hidden: Some(true) },
        Request::Interrupt { step: step(), force: false },
        Request::Rollback { step: step(), attempt },
        Request::Ack { step: step(), why: why() },
        Request::Settle { step: step(), outcome: Settled::Done, why: why() },
        Request::Settle { step: step(), outcome: Settled::Failed, why: why() },
        Request::Andon { why: why() },
        Request::Release,
        Request::Poll,
        Request::Go { poll: 1, board: 0 },
        Request::NoGo { poll: 1, why: why() },
        Request::Seat { seat: why() },
        Request::Answer { item: ItemId::new("told").unwrap(), answer: why() },
        Request::Available { fit: true, until: None, why: why() },
        Request::Available { fit: false, until: None, why: why() },
        Request::Handover { to: who("bo") },
        Request::Readmit { who: who("bo"), key: "SHA256:new".into() },
        Request::Say { text: why() },
        Request::Mark { text: why() },
        Request::Attend { attention: Attention::Away },
        Request::Resize { cols: 80, rows: 24 },
        Request::Close { note: why() },
        Request::SignClose,
        Request::Vouch,
    ]
}

/// Does not compile for a new kind: it belongs into [`every`], and into the lists below where it is an exception.
fn is_in_every(request: &Request) {
    use Request as R;
    match request {
        R::Arm { .. } | R::Set { .. } | R::Edit { .. } | R::AdHoc { .. } | R::Disarm { .. } | R::OpenCheck { .. } => {}
        R::ReadBack { .. } | R::Check { .. } | R::Object { .. } | R::Withdraw { .. } | R::Run { .. } => {}
        R::Did { .. } | R::TryRun { .. } | R::Waive { .. } | R::Skip { .. } | R::BreakGlass { .. } => {}
        R::Probe { .. } | R::Type { .. } | R::Interrupt { .. } | R::Rollback { .. } | R::Ack { .. } => {}
        R::Settle { .. } | R::Andon { .. } | R::Release | R::Poll | R::Go { .. } | R::NoGo { .. } => {}
        R::Seat { .. } | R::Answer { .. } | R::Available { .. } | R::Handover { .. } | R::Readmit { .. } => {}
        R::Say { .. } | R::Mark { .. } | R::Attend { .. } | R::Resize { .. } | R::Close { .. } => {}
        R::SignClose | R::Vouch => {}
    }
}

/// A plan with somebody of every role: `olga` watches, `sue` has a seat.
fn desk() -> Desk {
    let plan = a::plan().lead(&["ana", "bo"]).shadow(&["bo", "cy", "dan"]).crew("observer = \"link\"");
    let plan = plan.table("[[crew.seat]]", "name = \"status page\"\nwho = [\"sue\"]").watch("api");
    let plan = plan.step("drop").irreversible().gates(&["api"]).step("clean");
    let mut desk = Desk::manned(&plan.text());
    desk.join("sue", "sue", 11);
    desk.join("olga", "olga", 12);
    desk
}

/// The verbs of those requests which are refused to that person for that reason, whatever else is in the way.
fn refused(desk: &Desk, who_asks: &str, key: &str, requests: &[Request], why: &str) -> Vec<&'static str> {
    let author = Author::new(who(who_asks), key);
    let kind =
        |refusal: &Refusal| format!("{refusal:?}").chars().take_while(|c| c.is_alphanumeric()).collect::<String>();
    requests.iter().for_each(is_in_every);
    let of = requests.iter().filter(|request| {
        let reasons = may(&desk.session, desk.now, &author, request);
        if let Some(first) = reasons.first() {
            assert_eq!(decide(&desk.session, desk.now, &author, request).as_ref(), Err(first), "{request:?}");
        }
        reasons.iter().any(|refusal| kind(refusal) == why)
    });
    of.map(Request::verb).collect()
}

/// The verbs of all but those.
fn all_but(open: &[&str]) -> Vec<&'static str> {
    let verbs = every("because", "drop").into_iter().map(|request| request.verb());
    verbs.filter(|verb| !open.contains(verb)).collect()
}

#[test]
fn after_the_end_nothing_is_granted_and_after_the_call_for_it_only_talk() {
    let every = every("because", "drop");
    let mut desk = desk();
    desk.fold(&who("ana"), vec![Event::CloseCalled { outcome: Outcome::Partial, note: String::new() }]);
    for name in ["ana", "cy"] {
        assert_eq!(refused(&desk, name, name, &every, "Closing"), all_but(&["sign the end", "attend", "say", "vouch"]));
    }
    let mut desk = self::desk();
    desk.ask("ana", Request::Close { note: "over".into() }).unwrap();
    assert!(desk.session.closed.is_some());
    for name in ["ana", "cy", "sue", "olga"] {
        assert_eq!(refused(&desk, name, name, &every, "Closed"), all_but(&[]), "{name}");
    }
}

#[test]
fn who_only_watches_and_who_has_a_seat_may_do_their_few_things() {
    let (desk, every) = (desk(), every("because", "drop"));
    let watches = ["andon", "release", "attend", "handover"];
    assert_eq!(refused(&desk, "olga", "olga", &every, "Observer"), all_but(&watches));
    let seat = ["seat", "answer", "fit", "unfit", "go", "no-go", "ack", "settle", "probe", "say", "readmit"];
    assert_eq!(refused(&desk, "sue", "sue", &every, "SeatOnly"), all_but(&[&watches[..], &seat[..]].concat()));
    for name in ["ana", "cy"] {
        for why in ["Observer", "SeatOnly"] {
            assert_eq!(refused(&desk, name, name, &every, why), all_but(&all_but(&[])), "{name} {why}");
        }
    }
}

#[test]
fn a_key_that_is_out_is_good_for_nothing() {
    let mut desk = desk();
    desk.session.people.get_mut("cy").unwrap().lost.push("lost".into());
    let every = every("because", "drop");
    assert_eq!(refused(&desk, "cy", "lost", &every, "KeyOut"), all_but(&[]));
    assert_eq!(refused(&desk, "cy", "cy", &every, "KeyOut"), all_but(&all_but(&[])));
}

#[test]
fn words_are_there_where_they_are_needed_and_have_an_end() {
    let desk = desk();
    let with_words = |text: &str| every(text, "drop").into_iter().filter(|request| request.text().is_some()).collect();
    let (blank, long): (Vec<_>, Vec<_>) = (with_words(" "), with_words(&"x".repeat(TEXT_CHARS_MAX + 1)));
    let verbs = |requests: &[Request]| requests.iter().map(Request::verb).collect::<Vec<_>>();
    // Who calls the end, pulls the andon, says that they are fit or that something is done need not say why.
    let needed: Vec<_> =
        verbs(&blank).into_iter().filter(|verb| !["close", "andon", "fit", "run"].contains(verb)).collect();
    assert_eq!(refused(&desk, "ana", "ana", &blank, "NoReason"), needed);
    for verb in ["object", "waive", "skip", "break-glass", "ack", "settle", "no-go", "unfit", "say", "mark"] {
        assert!(needed.contains(&verb), "{verb}: {needed:?}");
    }
    assert_eq!(refused(&desk, "ana", "ana", &long, "TooLong"), verbs(&long));
    assert!(refused(&desk, "ana", "ana", &with_words(&"x".repeat(TEXT_CHARS_MAX)), "TooLong").is_empty());
    // What the lead types is not among them: each of its two texts has the same end.
    let long = || "x".repeat(TEXT_CHARS_MAX + 1);
    let typed = [
        Request::Set { name: "rows".into(), value: long(), why: "why".into() },
        Request::Set { name: "rows".into(), value: "1".into(), why: long() },
        Request::Edit { step: drop_step(), run: long(), why: "why".into() },
        Request::Edit { step: drop_step(), run: "./other".into(), why: long() },
        Request::AdHoc { run: long(), why: "why".into(), covers: None },
        Request::AdHoc { run: "./other".into(), why: long(), covers: None },
    ];
    assert_eq!(refused(&desk, "ana", "ana", &typed, "TooLong"), verbs(&typed));
}

#[test]
fn a_step_that_the_plan_does_not_have_is_told_to_be_none_of_it() {
    let desk = desk();
    let named: Vec<_> = every("because", "drip").into_iter().filter(|request| request.step().is_some()).collect();
    assert!(named.len() > 15, "{named:?}");
    for name in ["ana", "cy"] {
        let told = refused(&desk, name, name, &named, "NoSuchStep");
        assert_eq!(told, named.iter().map(Request::verb).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_try_to_run_is_answered_as_the_run_is_and_starts_nothing() {
    let run = |attempt| Request::Run { step: drop_step(), attempt };
    let tried = |attempt| Request::TryRun { step: drop_step(), attempt };
    let mut desk = Desk::new();
    let mut states = vec![desk.session.clone()];
    desk.arm("ana").unwrap();
    states.push(desk.session.clone());
    desk.check("cy").unwrap();
    desk.check("dan").unwrap();
    let cleared = desk.session.clone();
    states.push(cleared.clone());
    let mut stopped = |event, by: &str| {
        desk.session = cleared.clone();
        desk.fold(&who(by), vec![event]);
        states.push(desk.session.clone());
    };
    stopped(Event::AndonPulled { why: "stop".into() }, "cy");
    stopped(Event::StopAsked {}, "hub");
    let old = desk.now.after(Duration::from_secs(61));
    let mut answers = std::collections::BTreeSet::new();
    for (session, at) in states.iter().flat_map(|session| [(session, desk.now), (session, old)]) {
        for (name, attempt) in [("ana", 1), ("cy", 1), ("ana", 2)] {
            let author = Author::new(who(name), name);
            let (would, is) = (may(session, at, &author, &tried(attempt)), may(session, at, &author, &run(attempt)));
            assert_eq!(would, is);
            assert!(decide(session, at, &author, &tried(attempt)).map_or(true, |events| events.is_empty()));
            answers.extend(would.iter().map(|refusal| refusal.to_string()));
        }
    }
    assert!(answers.len() >= 6, "{answers:?}");
}

//! What takes two people: that a step which ended badly is done all the same, and the lead of one who is gone.

use super::*;
use crate::session::steps::Phase;

fn done() -> Request {
    Request::Settle { step: drop_step(), outcome: Settled::Done, why: "looked".into() }
}

fn failed() -> Desk {
    let mut desk = Desk::new();
    desk.start();
    desk.end(1);
    desk
}

#[test]
fn that_it_is_done_though_it_ended_badly_the_lead_and_one_more_say() {
    for (first, second) in [("cy", "ana"), ("ana", "cy")] {
        let mut desk = failed();
        assert_eq!(desk.ask(first, done()).unwrap(), ["SettleAgreed"]);
        assert_eq!(desk.session.steps["drop"].phase, Phase::Failed, "one of them is not enough");
        assert!(desk.ask(first, done()).unwrap().is_empty(), "nor is one of them twice");
        assert!(desk.session.settled_beside(&StepId::new("clean").unwrap()).is_empty());
        assert_eq!(desk.ask(second, done()).unwrap(), ["Acknowledged"]);
        assert_eq!(desk.session.steps["drop"].phase, Phase::SettledDone);
        // Whoever checks another step is told.
        let seen = desk.session.settled_beside(&StepId::new("clean").unwrap());
        assert_eq!((seen.len(), seen[0].done, seen[0].by.len()), (1, true, 2), "{seen:?}");
        assert!(desk.session.settled_beside(&drop_step()).is_empty());
    }
    let mut desk = failed();
    assert_eq!(desk.ask("cy", done()).unwrap(), ["SettleAgreed"]);
    assert_eq!(desk.ask("dan", done()).unwrap(), ["SettleAgreed"], "two shadows are not the lead and one more");
    assert!(matches!(desk.ask_with_key("dan", "ana", done()), Err(Refusal::SameKey { .. })));
    assert!(matches!(desk.ask("olga", done()), Err(Refusal::Observer { .. })));
    desk.wait(301);
    desk.read(Status::Ok);
    assert_eq!(desk.ask("ana", done()).unwrap(), ["SettleAgreed"], "half of it does not wait for ever");
    desk.handover("ana", "bo").unwrap();
    assert!(matches!(desk.ask("ana", done()), Err(Refusal::LeadMayNot { .. })), "they armed it");
    assert_eq!(desk.ask("cy", done()).unwrap(), ["SettleAgreed"], "what was said with another lead is over");
    assert_eq!(desk.settle("cy").unwrap(), ["Acknowledged"], "that it is not done takes one");
    assert_eq!(desk.session.steps["drop"].phase, Phase::SettledFailed);
    assert!(!desk.session.settled_beside(&StepId::new("clean").unwrap())[0].done);
}

/// The lead's connection is lost, and that long ago.
fn gone(desk: &mut Desk, seconds: u64) {
    desk.leave("ana", 1);
    desk.wait(seconds);
    desk.read(Status::Ok);
}
fn takes(to: &str) -> Request {
    Request::Handover { to: who(to) }
}

#[test]
fn a_lead_who_is_gone_is_replaced_by_two_and_never_by_one() {
    let mut desk = failed();
    assert!(matches!(desk.ask("cy", takes("bo")), Err(Refusal::NotYours { .. })), "the lead is here");
    gone(&mut desk, 60);
    assert!(matches!(desk.ask("cy", takes("bo")), Err(Refusal::LeadNotGone { .. })), "not for long enough");
    assert_eq!(desk.wait(59), [""; 0]);
    assert_eq!(desk.wait(1), ["LeadGone"]);
    assert!(!desk.wait(30).contains(&"LeadGone"), "that is told once");
    assert!(matches!(desk.ask("olga", takes("bo")), Err(Refusal::NotYours { .. })));
    assert!(matches!(desk.ask("cy", takes("cy")), Ok(events) if events == ["HandoverAgreed"]));
    assert!(matches!(desk.ask("dan", takes("cy")), Err(Refusal::OthersLead { .. })), "bo is here, and may lead");
    // Two names with one key are one person, and the key of the one who is gone is theirs.
    assert_eq!(desk.ask("cy", takes("bo")).unwrap(), ["HandoverAgreed"]);
    assert!(desk.ask("cy", takes("bo")).unwrap().is_empty());
    assert!(matches!(desk.ask_with_key("bo", "cy", takes("bo")), Err(Refusal::SameKey { .. })));
    assert!(matches!(desk.ask_with_key("bo", "ana", takes("bo")), Err(Refusal::SameKey { .. })));
    assert_eq!(desk.ask("bo", takes("bo")).unwrap(), ["LeadHandedOver"]);
    assert_eq!((desk.session.lead.as_str(), desk.session.taken.len()), ("bo", 1));
    assert!(desk.told().contains("LEAD TAKEN OVER: bo leads, as cy and bo say; ana is gone"), "{}", desk.told());
    // They undo, settle with somebody else, and close; ana is a shadow when they are back, but never of her own step.
    desk.join("ana", "ana", 9);
    assert_eq!(desk.session.role(&who("ana")), Role::Shadow);
    assert!(matches!(desk.settle("bo"), Err(Refusal::LeadMayNot { .. })));
    assert!(matches!(desk.settle("ana"), Err(Refusal::LeadMayNot { .. })));
    assert_eq!(desk.settle("cy").unwrap(), ["Acknowledged"]);
    assert_eq!(desk.ask("bo", Request::Close { note: String::new() }).unwrap(), ["SessionClosed"]);
}

#[test]
fn a_lead_who_comes_back_in_time_stays_one_and_what_was_armed_ends_with_another() {
    let mut desk = Desk::new();
    gone(&mut desk, 130);
    assert_eq!(desk.ask("cy", takes("bo")).unwrap(), ["HandoverAgreed"]);
    desk.join("ana", "ana", 9);
    assert!(desk.session.lead_gone.is_none());
    assert_eq!(desk.ask("bo", takes("bo")).unwrap(), ["HandoverAgreed"], "half of it was said while ana was gone");
    assert_eq!(desk.session.lead.as_str(), "ana");
    desk.arm("ana").unwrap();
    desk.wait(1);
    desk.leave("ana", 9);
    for _ in 0..3 {
        desk.wait(41);
        desk.read(Status::Ok);
    }
    assert_eq!(desk.ask("dan", takes("bo")).unwrap(), ["HandoverAgreed"], "and the other half before that");
    assert_eq!(desk.ask("bo", takes("bo")).unwrap(), ["LeadHandedOver", "StepVoided"]);
    // Whom nobody else may lead in the place of is a shadow.
    desk.leave("bo", 2);
    desk.wait(121);
    assert_eq!(desk.ask("cy", takes("cy")).unwrap(), ["HandoverAgreed"]);
    assert_eq!(desk.ask("dan", takes("cy")).unwrap(), ["LeadHandedOver"]);
}

#[test]
fn who_checked_what_runs_does_not_take_its_lead() {
    let mut desk = Desk::new();
    desk.start();
    let checked: Vec<_> = desk.session.steps["drop"].armed.as_ref().unwrap().checks.keys().cloned().collect();
    gone(&mut desk, 130);
    let of_them = checked.iter().find(|who| who.as_str() == "bo" || who.as_str() == "cy").expect("one of them").clone();
    let ask = desk.ask(of_them.as_str(), Request::Handover { to: of_them.clone() });
    assert!(matches!(ask, Err(Refusal::CheckedRunning { .. })), "{ask:?}");
}

#[test]
fn nobody_counts_on_a_frozen_link_and_another_one_of_the_same_person_does() {
    let mut desk = Desk::new();
    let silent =
        |desk: &mut Desk, connection, since| desk.see(Fact::Silent { principal: who("cy"), connection, since });
    let (since, here) = (desk.now, desk.session.shadows_here().count());
    assert_eq!(silent(&mut desk, 3, Some(since)), ["LinkSilent"]);
    assert!(silent(&mut desk, 3, Some(since)).is_empty(), "told once");
    assert!(silent(&mut desk, 99, Some(since)).is_empty(), "that is no connection of theirs");
    assert_eq!(desk.session.shadows_here().count(), here - 1);
    assert_eq!(desk.session.people["cy"].silent_since(), Some(since));
    desk.join("cy", "cy", 33);
    assert_eq!((desk.session.shadows_here().count(), desk.session.people["cy"].silent_since()), (here, None));
    desk.leave("cy", 33);
    assert_eq!(silent(&mut desk, 3, None), ["LinkSilent"]);
    assert_eq!(desk.session.shadows_here().count(), here);
    assert!(silent(&mut desk, 3, None).is_empty());
}

#[test]
fn who_comes_with_another_key_is_let_in_by_two_others_and_the_old_key_is_out() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    desk.check("cy").unwrap();
    let readmit = |key: &str| Request::Readmit { who: who("cy"), key: key.into() };
    assert!(matches!(desk.ask("dan", readmit("new")), Err(Refusal::NobodyKnocked { .. })));
    let knock = Fact::KeyRefused { principal: who("cy"), key: "new".into() };
    assert_eq!(desk.see(knock.clone()), ["KeyRefused"]);
    assert!(desk.see(knock).is_empty(), "of each key once");
    assert!(matches!(desk.ask("cy", readmit("new")), Err(Refusal::NotTheirs { .. })));
    assert!(matches!(desk.ask("dan", readmit("other")), Err(Refusal::NobodyKnocked { .. })), "that very key");
    assert!(matches!(desk.ask("olga", readmit("new")), Err(Refusal::Observer { .. })));
    assert_eq!(desk.ask("dan", readmit("new")).unwrap(), ["ReadmitAgreed"]);
    assert!(desk.ask("dan", readmit("new")).unwrap().is_empty(), "nor is one of them twice");
    assert!(matches!(desk.ask_with_key("bo", "dan", readmit("new")), Err(Refusal::SameKey { .. })));
    assert_eq!(desk.ask("ana", readmit("new")).unwrap(), ["Readmitted", "StepVoided"], "what it said yes to is void");
    assert!(desk.session.readmissions().next().unwrap().contains("by dan and ana"));
    assert!(!desk.session.is_here(&who("cy")), "whoever still holds the lost key is nobody");
    desk.arm("ana").unwrap();
    assert!(matches!(desk.check("cy"), Err(Refusal::KeyOut { .. })));
    desk.join("cy", "new", 40);
    let (attempt, digest) = (desk.state().1, desk.session.open_step().unwrap().2.digest());
    desk.ask_with_key("cy", "new", Request::OpenCheck { step: drop_step(), attempt }).unwrap();
    let check = Request::Check { step: drop_step(), attempt, digest };
    assert!(desk.ask_with_key("cy", "new", check).unwrap().contains(&"CrossChecked"));
}

#[test]
fn where_every_shadow_is_gone_another_lead_takes_note() {
    let plan = PLAN.replace(r#"shadow = ["ana", "bo", "cy", "dan"]"#, r#"shadow = ["cy", "dan"]"#);
    let mut desk = Desk::manned(&plan);
    desk.read(Status::Ok);
    desk.start();
    desk.end(1);
    assert!(matches!(desk.settle("bo"), Err(Refusal::Observer { .. })));
    desk.leave("cy", 3);
    desk.leave("dan", 4);
    desk.wait(121);
    assert!(matches!(desk.settle("ana"), Err(Refusal::LeadMayNot { .. })));
    assert_eq!(desk.settle("bo").unwrap(), ["Acknowledged"]);
}

#[test]
fn what_was_undone_is_not_done() {
    let mut desk = failed();
    desk.session.steps.get_mut("drop").unwrap().phase = Phase::RolledBack;
    for name in ["cy", "ana"] {
        assert!(matches!(desk.ask(name, done()), Err(Refusal::Undone { .. })), "{name}");
    }
    // But the transcript of an early hub, in which somebody said so alone, is read as it was meant.
    let (attempt, why, outcome) = (1, "we keep it".to_owned(), Settled::Done);
    let once = Event::Acknowledged { step: drop_step(), attempt, outcome, agreed: None, why, signed: None };
    let text = serde_json::to_string(&once).unwrap();
    assert!(!text.contains("agreed"), "{text}");
    desk.fold(&who("cy"), vec![serde_json::from_str(&text).unwrap()]);
    assert_eq!(desk.session.steps["drop"].phase, Phase::SettledDone);
    assert_eq!(
        desk.settle("cy").unwrap_err().to_string(),
        "step drop is settled: done, not failed, degraded, undecided, unknown or rolled back"
    );
}

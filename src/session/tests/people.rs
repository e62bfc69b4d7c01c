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

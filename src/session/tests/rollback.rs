//! A step that ended badly is undone: by the plan, or by the lead.

use super::*;
use crate::event::{Part, Verdict};
use crate::session::steps::Phase;

const BY_ITSELF: &str = "rollback = { run = [\"./undrop\"], automatic = true }\n";
const BY_LEAD: &str = "rollback = { run = [\"./undrop\"], contain = [\"clean\"] }\n";
const VERIFY: &str = "verify = { watches = [\"api\"], for = \"5s\" }\n";

impl Desk {
    fn undoable(keys: &str) -> Desk {
        let mut desk = Desk::manned(&format!("{DROP}{keys}{CLEAN}"));
        desk.wait(1);
        desk.read(Status::Ok);
        desk
    }
    fn started(&mut self) {
        self.arm("ana").unwrap();
        self.check("bo").unwrap();
        self.check("cy").unwrap();
        self.run("ana").unwrap();
        self.read(Status::Ok);
        assert_eq!(self.recheck(), ["RunIntended"]);
        self.spawned();
    }
    fn ends(&mut self, part: Part, end: RunEnd) -> Vec<&'static str> {
        self.see(a::attempt("drop", 1).part(part).ended(end))
    }
    fn undo_starts(&mut self) -> Vec<&'static str> {
        self.see(a::attempt("drop", 1).part(Part::Rollback).started_as(a::process(8)))
    }
    fn rollback(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        self.ask(name, Request::Rollback { step: drop_step(), attempt: 1 })
    }
    fn is(&self) -> Phase {
        self.session.steps["drop"].phase
    }
}

const EXIT: fn(i32) -> RunEnd = |code| RunEnd::Exited { code };

#[test]
fn the_plan_undoes_by_itself_after_an_exit_code_and_after_nothing_else() {
    for (end, undone) in [
        (EXIT(3), true),
        (RunEnd::TimedOut { after_ms: 5 }, false),
        (RunEnd::Signalled { signal: 15, asked: true }, false),
        (RunEnd::Signalled { signal: 9, asked: false }, false),
    ] {
        let mut desk = Desk::undoable(BY_ITSELF);
        desk.started();
        assert_eq!(desk.ends(Part::Step, end.clone()), ["RunEnded"], "{end}");
        assert_eq!(desk.wait(1).contains(&"RollbackIntended"), undone, "{end}");
        assert_eq!(desk.is(), if undone { Phase::RollingBack } else { Phase::Failed }, "{end}");
    }
    // Interrupted by a person and left with a code of its own: a person is at it already.
    let mut desk = Desk::undoable(BY_ITSELF);
    desk.started();
    desk.ask("ana", Request::Interrupt { step: drop_step(), force: false }).unwrap();
    desk.ends(Part::Step, EXIT(130));
    assert!(desk.wait(1).is_empty() && desk.is() == Phase::Failed);
}

#[test]
fn what_is_worse_is_undone_and_held_against_what_was_before_the_step() {
    for (after, verdict, phase) in [
        (Status::Ok, Verdict::Same, Phase::RolledBack),
        (Status::Fail, Verdict::Worse, Phase::RollbackFailed),
        (Status::Unknown, Verdict::CannotTell, Phase::RollbackFailed),
    ] {
        let mut desk = Desk::undoable(&format!("{BY_ITSELF}{VERIFY}"));
        desk.started();
        assert_eq!(desk.ends(Part::Step, EXIT(0)), ["RunEnded", "VerifyStarted"]);
        for _ in 0..2 {
            desk.wait(1);
            desk.read(Status::Fail);
        }
        // Failing twice running is waited for no longer.
        assert_eq!(desk.wait(1), ["VerifyEnded", "RollbackIntended"]);
        assert_eq!(desk.undo_starts(), ["RunStarted"]);
        assert_eq!(desk.ends(Part::Rollback, EXIT(0)), ["RollbackEnded", "VerifyStarted"]);
        assert_eq!(desk.is(), Phase::VerifyingRollback);
        for _ in 0..6 {
            desk.wait(1);
            desk.read(after);
        }
        desk.wait(1);
        let found = desk.session.steps["drop"].rollback.as_ref().unwrap().verdict.as_ref().map(|(verdict, _)| *verdict);
        assert_eq!((found, desk.is()), (Some(verdict), phase));
        // Nothing else starts before somebody else than the lead took note.
        let clean = Request::Arm { step: StepId::new("clean").unwrap(), covers: None };
        assert!(matches!(desk.ask("ana", clean.clone()), Err(Refusal::Owed { .. })));
        let why = "the old index is back, I looked".to_owned();
        let ack = Request::Settle { step: drop_step(), outcome: Settled::Failed, why };
        assert!(matches!(desk.ask("ana", ack.clone()), Err(Refusal::LeadMayNot { .. })));
        assert_eq!(desk.ask("bo", ack).unwrap(), ["Acknowledged"]);
        assert!(desk.ask("ana", clean).is_ok());
    }
}

#[test]
fn andon_holds_what_the_plan_would_undo_and_the_lead_may_all_the_same() {
    let mut desk = Desk::undoable(BY_ITSELF);
    desk.started();
    desk.ask("bo", Request::Andon { why: "look at this".into() }).unwrap();
    desk.ends(Part::Step, EXIT(1));
    assert!(desk.wait(1).is_empty() && desk.is() == Phase::Failed);
    assert!(desk.session.rollback_held().is_some());
    let mut by_lead = Desk { session: desk.session.clone(), ..Desk::undoable(BY_ITSELF) };
    by_lead.now = desk.now;
    assert!(matches!(by_lead.rollback("bo"), Err(Refusal::LeadOnly { .. })));
    assert_eq!(by_lead.rollback("ana").unwrap(), ["RollbackIntended"]);
    // Released by two, it starts.
    desk.ask("bo", Request::Release).unwrap();
    desk.ask("ana", Request::Release).unwrap();
    assert_eq!(desk.wait(1), ["RollbackIntended"]);
    assert!(desk.session.rollback_held().is_none());
}

#[test]
fn after_a_restart_only_the_lead_undoes_and_may_do_so_again() {
    let mut desk = Desk::undoable(BY_ITSELF);
    desk.started();
    desk.ends(Part::Step, EXIT(1));
    desk.wait(1);
    assert_eq!(desk.is(), Phase::RollingBack);
    // The hub dies between the intent and the process, or while it runs: nobody knows.
    assert_eq!(desk.recover(false), ["Recovered", "OutcomeUnknown"]);
    assert_eq!(desk.is(), Phase::Unknown);
    assert!(desk.wait(5).is_empty(), "nothing is undone by itself any more");
    assert_eq!(desk.rollback("ana").unwrap(), ["RollbackIntended"]);
    // What would run is not what was checked: it does not run, and the lead may try again once it is.
    let why = "what would run is not what was checked".to_owned();
    assert_eq!(desk.ends(Part::Rollback, RunEnd::NotStarted { why }), ["RollbackEnded"]);
    assert_eq!(desk.is(), Phase::RollbackFailed);
    assert_eq!(desk.rollback("ana").unwrap(), ["RollbackIntended"]);
    desk.undo_starts();
    assert_eq!(desk.ends(Part::Rollback, EXIT(0)), ["RollbackEnded"]);
    assert_eq!(desk.is(), Phase::RolledBack);
    assert!(matches!(desk.rollback("ana"), Err(Refusal::Phase { .. })), "what is undone is not undone again");
}

#[test]
fn a_crash_before_the_verdict_leaves_it_to_people() {
    let mut desk = Desk::undoable(BY_ITSELF);
    desk.started();
    desk.ends(Part::Step, EXIT(1));
    desk.now = desk.now.after(Duration::from_secs(1));
    assert_eq!(desk.recover(false), ["Recovered"]);
    assert!(desk.wait(5).is_empty() && desk.is() == Phase::Failed);
    // The time to look is over before there is a hub again, and what the dead one had read was worse.
    let mut desk = Desk::undoable(&format!("{VERIFY}{BY_ITSELF}"));
    desk.started();
    desk.ends(Part::Step, EXIT(0));
    desk.wait(1);
    desk.read(Status::Fail);
    desk.now = desk.now.after(Duration::from_secs(6));
    assert_eq!(desk.recover(false), ["Recovered", "VerifyStarted"]);
    assert_eq!(desk.is(), Phase::Verifying);
    desk.read(Status::Fail);
    desk.wait(6);
    assert!(desk.is() == Phase::Degraded && desk.wait(5).is_empty(), "it is looked at anew, and left to people");
}

#[test]
fn what_contains_a_rollback_is_owed_before_the_end_and_only_then() {
    let close = Request::Close { note: String::new() };
    // Done without a rollback: what would contain one is not missing.
    let mut desk = Desk::undoable(BY_LEAD);
    desk.started();
    desk.ends(Part::Step, EXIT(0));
    assert!(desk.session.current_step().is_none() && !desk.session.is_wanted(&StepId::new("clean").unwrap()));
    desk.ask("ana", close.clone()).unwrap();
    assert_eq!(desk.session.closed, Some(crate::event::Outcome::Complete));

    let mut desk = Desk::undoable(BY_LEAD);
    desk.started();
    desk.ends(Part::Step, EXIT(1));
    assert!(desk.wait(1).is_empty(), "not by itself");
    desk.rollback("ana").unwrap();
    desk.undo_starts();
    desk.ends(Part::Rollback, EXIT(0));
    desk.ask("bo", Request::Ack { step: drop_step(), why: "seen".into() }).unwrap();
    assert_eq!(desk.is(), Phase::SettledFailed);
    let refusal = desk.ask("ana", close).unwrap_err();
    assert!(matches!(&refusal, Refusal::Contain { contain, .. } if contain.as_str() == "clean"), "{refusal}");
    assert_eq!(desk.session.current_step().map(|(step, _)| step.id.to_string()).as_deref(), Some("clean"));
}

#[test]
fn only_what_the_plan_says_how_to_undo_can_be() {
    let mut desk = Desk::undoable("");
    desk.started();
    desk.ends(Part::Step, EXIT(1));
    assert!(matches!(desk.rollback("ana"), Err(Refusal::NoRollback { .. })));
    let mut desk = Desk::undoable(BY_LEAD);
    assert!(matches!(desk.rollback("ana"), Err(Refusal::Attempt { .. } | Refusal::Phase { .. })));
    desk.started();
    assert!(matches!(desk.rollback("ana"), Err(Refusal::Phase { .. })), "not while it runs");
    desk.ends(Part::Step, EXIT(1));
    let other = desk.ask("ana", Request::Rollback { step: drop_step(), attempt: 2 });
    assert!(matches!(other, Err(Refusal::Attempt { .. })));
}

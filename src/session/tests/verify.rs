//! What a run did is held against what was before it.

use super::*;
use crate::event::Verdict;
use crate::session::steps::Phase;

const VERIFY: &str = "verify = { watches = [\"api\"], for = \"10s\" }\n";

impl Desk {
    /// Everyone is here, and the service has answered in about that many milliseconds for a while.
    fn verified(usual: f64) -> Desk {
        let mut desk = Desk::manned(&format!("{DROP}{VERIFY}{CLEAN}"));
        for step in 0..8 {
            desk.wait(1);
            desk.answer(Status::Ok, usual + f64::from(step % 3));
        }
        desk
    }
    fn answer(&mut self, status: Status, ms: f64) -> Vec<&'static str> {
        self.take(a::reading(status).of(ms, "ms"))
    }
    /// Armed, checked, run, ended well.
    fn ran(&mut self, ms: f64) -> Vec<&'static str> {
        self.arm("ana").unwrap();
        self.check("bo").unwrap();
        self.check("cy").unwrap();
        self.run("ana").unwrap();
        self.answer(Status::Ok, ms);
        assert_eq!(self.recheck(), ["RunIntended"]);
        self.spawned();
        self.see(a::attempt("drop", 1).exited(0))
    }
    fn verdict(&self) -> Option<Verdict> {
        self.session.steps["drop"].run.as_ref().and_then(|run| run.verdict.as_ref()).map(|(verdict, _)| *verdict)
    }
    fn phase(&self) -> Phase {
        self.session.steps["drop"].phase
    }
}

#[test]
fn a_step_is_done_when_nothing_is_worse_after_it() {
    let mut desk = Desk::verified(50.0);
    assert_eq!(desk.ran(50.0), ["RunEnded", "VerifyStarted"]);
    assert_eq!(desk.phase(), Phase::Verifying);
    for _ in 0..9 {
        desk.wait(1);
        // Every reading counts, the same ones too.
        assert_eq!(desk.answer(Status::Ok, 50.0), ["ReadingTaken"]);
        assert_eq!(desk.verdict(), None);
    }
    // Nothing else starts meanwhile, and nothing is closed.
    let clean = Request::Arm { step: StepId::new("clean").unwrap(), covers: None };
    assert!(matches!(desk.ask("ana", clean.clone()), Err(Refusal::Busy { phase: Phase::Verifying, .. })));
    let close = Request::Close { note: String::new() };
    assert!(matches!(desk.ask("ana", close), Err(Refusal::Busy { .. })));
    desk.wait(1);
    assert_eq!((desk.verdict(), desk.phase()), (Some(Verdict::Same), Phase::Done));
    desk.ask("ana", clean).unwrap();
}

#[test]
fn worse_is_told_at_once_where_it_is_plain_and_owes_a_word() {
    let mut desk = Desk::verified(50.0);
    desk.ran(50.0);
    desk.wait(1);
    desk.answer(Status::Fail, 3000.0);
    desk.wait(1);
    assert_eq!(desk.verdict(), None, "once may be the moment of the change");
    desk.answer(Status::Fail, 3000.0);
    desk.wait(0);
    assert_eq!((desk.verdict(), desk.phase()), (Some(Verdict::Worse), Phase::Degraded));
    let clean = Request::Arm { step: StepId::new("clean").unwrap(), covers: None };
    assert!(matches!(desk.ask("ana", clean), Err(Refusal::Owed { .. })));
    // It ran: whether its effect is there has to be said.
    let ack = Request::Ack { step: drop_step(), why: "seen".into() };
    assert!(matches!(desk.ask("cy", ack), Err(Refusal::SayWhich { .. })));
    assert!(matches!(desk.settle("ana"), Err(Refusal::LeadMayNot { .. })));
    assert_eq!(desk.settle("cy").unwrap(), ["Acknowledged"]);
}

#[test]
fn a_slower_service_is_worse_though_its_watch_says_ok() {
    let mut desk = Desk::verified(50.0);
    desk.ran(50.0);
    for _ in 0..10 {
        desk.wait(1);
        desk.answer(Status::Ok, 90.0);
    }
    desk.wait(1);
    assert_eq!((desk.verdict(), desk.phase()), (Some(Verdict::Worse), Phase::Degraded));
}

#[test]
fn what_was_not_read_is_never_well() {
    // Not at all.
    let mut desk = Desk::verified(50.0);
    desk.ran(50.0);
    desk.wait(11);
    assert_eq!((desk.verdict(), desk.phase()), (Some(Verdict::CannotTell), Phase::Undecided));
    // By readings that began before the run ended.
    let mut desk = Desk::verified(50.0);
    desk.ran(50.0);
    let (reading, began) = (a::reading(Status::Ok).of(50.0, "ms"), desk.now);
    desk.now = desk.now.after(Duration::from_secs(1));
    let old = At::from_micros(began.micros() - 1);
    desk.see(a::read("api", reading, old, None));
    desk.wait(10);
    assert_eq!(desk.verdict(), Some(Verdict::CannotTell));
    // While the hub was away.
    let mut desk = Desk::verified(50.0);
    desk.ran(50.0);
    desk.wait(1);
    desk.answer(Status::Ok, 50.0);
    assert_eq!(desk.recover(false), ["Recovered", "VerifyStarted"]);
    for _ in 0..10 {
        desk.wait(1);
        desk.answer(Status::Ok, 50.0);
    }
    desk.wait(1);
    assert_eq!((desk.verdict(), desk.phase()), (Some(Verdict::CannotTell), Phase::Undecided));
}

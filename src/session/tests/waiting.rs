//! Steps that wait for a watch, and steps that a person does.

use super::*;
use crate::fixture::PlanText;
use crate::session::steps::Phase;

fn plan() -> PlanText {
    let drop = "until = { watch = \"api\", within = \"60s\" }\nverify = { watches = [\"api\"], for = \"5s\" }";
    let plan = a::plan().shadow(&["bo", "cy", "dan"]).watch("api").with("stale_after = \"20s\"");
    let plan = plan.step("drop").with(drop).step("drain").doing("until = \"api\"\nafter = []");
    let plan = plan.step("tell").critical().doing("manual = \"tell support\"\nafter = []");
    plan.step("switch").doing("manual = \"turn the switch\"\nuntil = \"api\"\nafter = []")
}

impl Desk {
    fn waits() -> Desk {
        Desk::manned(&plan().text())
    }
    fn frozen(&self, id: &str) -> Covers {
        let covers = a::covers(&self.session, id, self.now).without_gates();
        let class = "irreversible".into();
        Covers { class, ..covers }
    }
    fn armed(&mut self, id: &str) {
        let covers = Some(Box::new(self.frozen(id)));
        self.ask("ana", Request::Arm { step: step(id), covers }).unwrap();
    }
    /// Run was pressed, or it was said that it is done: what comes of it.
    fn intended(&mut self, id: &str, request: Request) -> Vec<&'static str> {
        assert_eq!(self.ask("ana", request).unwrap(), ["RunRequested"]);
        self.see(a::attempt(id, self.session.steps[id].attempt).rechecked(self.frozen(id)))
    }
    fn run_of(&mut self, id: &str) -> Vec<&'static str> {
        self.armed(id);
        self.intended(id, Request::Run { step: step(id), attempt: 1 })
    }
    /// The job came back at once, and works on.
    fn dropped(&mut self) {
        assert_eq!(self.run_of("drop"), ["RunIntended"]);
        self.see(a::attempt("drop", 1).started());
        assert_eq!(self.see(a::attempt("drop", 1).exited(0)), ["RunEnded", "WaitStarted"]);
        assert_eq!(self.phase_of("drop"), Phase::Waiting);
    }
    fn phase_of(&self, id: &str) -> Phase {
        self.session.steps[id].phase
    }
    pub(super) fn told(&self) -> &str {
        &self.session.recent.back().unwrap().text
    }
}

#[test]
fn a_step_is_done_only_once_its_watch_reads_ok_by_a_reading_begun_after_the_run() {
    let mut desk = Desk::waits();
    desk.read(Status::Ok); // before the run: says nothing about after
    desk.wait(1);
    desk.dropped();
    desk.wait(1);
    assert_eq!(desk.phase_of("drop"), Phase::Waiting);
    // Begun before the end, come after it.
    let began = At::from_micros(desk.now.micros() - 1_500_000);
    desk.see(a::read("api", a::reading(Status::Ok), began, None));
    desk.wait(0);
    assert_eq!(desk.phase_of("drop"), Phase::Waiting);
    for status in [Status::Fail, Status::Warn, Status::Unknown] {
        desk.wait(1);
        desk.read(status);
        desk.wait(0);
        assert_eq!(desk.phase_of("drop"), Phase::Waiting, "{status:?} is not ok");
    }
    let says = desk.session.waits_for(desk.session.plan.step(&step("drop")).unwrap(), desk.now).unwrap();
    assert!(says.starts_with("waits for api (") && says.contains("left): unknown: it says so"), "{says}");
    // Nothing else starts meanwhile.
    let tell = Request::Arm { step: step("tell"), covers: None };
    assert!(matches!(desk.ask("ana", tell), Err(Refusal::Busy { phase: Phase::Waiting, .. })));
    assert!(matches!(desk.ask("ana", Request::Close { note: String::new() }), Err(Refusal::Busy { .. })));
    desk.wait(1);
    assert!(desk.read(Status::Ok).contains(&"ReadingTaken"));
    desk.wait(0);
    assert_eq!(desk.phase_of("drop"), Phase::Verifying, "what it did is verified once it is really there");
    desk.wait(1);
    desk.read(Status::Ok);
    desk.wait(5);
    desk.read(Status::Ok);
    desk.wait(0);
    assert_eq!(desk.phase_of("drop"), Phase::Done);
}

#[test]
fn the_same_reading_as_before_the_run_is_written_down_once_more() {
    let mut desk = Desk::waits();
    desk.read(Status::Ok);
    desk.dropped();
    desk.wait(1);
    assert_eq!(desk.read(Status::Ok), ["ReadingTaken"]);
    desk.wait(0);
    assert_eq!(desk.phase_of("drop"), Phase::Verifying);
}

#[test]
fn a_reading_that_went_stale_ends_no_wait() {
    let mut desk = Desk::waits();
    desk.dropped();
    desk.wait(1);
    let began = desk.now;
    desk.wait(25);
    desk.see(a::read("api", a::reading(Status::Ok), began, None));
    desk.wait(0);
    assert_eq!(desk.phase_of("drop"), Phase::Waiting);
}

#[test]
fn a_wait_ends_with_its_time_or_with_who_gives_it_up_and_is_then_for_people() {
    let mut desk = Desk::waits();
    desk.dropped();
    desk.wait(59);
    assert_eq!(desk.phase_of("drop"), Phase::Waiting);
    desk.wait(1);
    assert_eq!(desk.phase_of("drop"), Phase::Undecided);
    assert!(desk.told().contains("waited too long: unknown: not read yet"), "{}", desk.told());
    assert!(matches!(desk.settle("ana"), Err(Refusal::LeadMayNot { .. })));
    let settle = Request::Settle { step: step("drop"), outcome: Settled::Done, why: "looked".into() };
    assert_eq!(desk.ask("cy", settle.clone()).unwrap(), ["SettleAgreed"]);
    assert_eq!(desk.ask("ana", settle).unwrap(), ["Acknowledged"]);
    let mut desk = Desk::waits();
    assert_eq!(desk.run_of("drain"), ["RunIntended", "WaitStarted"]);
    desk.wait(86_400);
    assert_eq!(desk.phase_of("drain"), Phase::Waiting, "the plan gives it no limit");
    let give_up = Request::Interrupt { step: step("drain"), force: false };
    assert!(matches!(desk.ask("olga", give_up.clone()), Err(Refusal::Observer { .. })));
    assert_eq!(desk.ask("ana", give_up).unwrap(), ["WaitEnded"]);
    assert_eq!(desk.phase_of("drain"), Phase::Undecided);
}

#[test]
fn a_step_that_runs_nothing_waits_and_is_done() {
    let mut desk = Desk::waits();
    assert_eq!(desk.run_of("drain"), ["RunIntended", "WaitStarted"]);
    desk.wait(1);
    desk.read(Status::Ok);
    desk.wait(0);
    assert_eq!(desk.phase_of("drain"), Phase::Done);
}

#[test]
fn an_andon_stops_no_wait_and_nothing_starts_after_it() {
    let mut desk = Desk::waits();
    desk.dropped();
    desk.andon("olga");
    desk.wait(1);
    desk.read(Status::Ok);
    desk.wait(0);
    assert_eq!(desk.phase_of("drop"), Phase::Verifying);
    let tell = Request::Arm { step: step("tell"), covers: None };
    assert!(matches!(desk.ask("ana", tell), Err(Refusal::LineStopped { .. })));
}

#[test]
fn a_hub_that_died_waits_on_and_counts_only_what_it_reads_itself() {
    let mut desk = Desk::waits();
    desk.dropped();
    desk.wait(1);
    desk.read(Status::Fail);
    desk.wait(50);
    assert_eq!(desk.recover(false), ["Recovered", "WaitStarted"]);
    desk.wait(30); // what was left when it died is over, and it was not looked meanwhile
    assert_eq!(desk.phase_of("drop"), Phase::Waiting);
    desk.read(Status::Ok);
    desk.wait(0);
    assert_eq!(desk.phase_of("drop"), Phase::Verifying);
}

#[test]
fn a_manual_step_is_checked_as_its_class_says_and_done_when_its_lead_says_so() {
    let mut desk = Desk::waits();
    desk.armed("tell");
    let did = |note: &str| Request::Did { step: step("tell"), attempt: 1, note: note.into() };
    assert!(matches!(desk.ask("ana", did("")), Err(Refusal::Quorum { missing: 1 })));
    let digest = desk.session.open_step().unwrap().2.digest();
    desk.ask("bo", Request::OpenCheck { step: step("tell"), attempt: 1 }).unwrap();
    desk.ask("bo", Request::Check { step: step("tell"), attempt: 1, digest }).unwrap();
    assert!(matches!(desk.ask("bo", did("")), Err(Refusal::LeadOnly { .. })));
    assert_eq!(desk.intended("tell", did("spoke to kim")), ["RunIntended", "DoneByHand"]);
    assert_eq!(desk.phase_of("tell"), Phase::Done);
    assert_eq!(desk.told(), "03 tell was done by hand by ana: spoke to kim");
    // And then it may have to be waited for.
    assert_eq!(desk.run_of("switch"), ["RunIntended", "DoneByHand", "WaitStarted"]);
    desk.wait(1);
    desk.read(Status::Ok);
    desk.wait(0);
    assert_eq!(desk.phase_of("switch"), Phase::Done);
    // What runs a command is done by no hand.
    desk.armed("drop");
    let by_hand = Request::Did { step: step("drop"), attempt: 1, note: String::new() };
    assert!(matches!(desk.ask("ana", by_hand), Err(Refusal::NotByHand { .. })));
}

#[test]
fn a_crash_after_the_intent_of_a_step_that_runs_nothing_loses_nothing() {
    for (id, lines) in [("drain", vec!["WaitStarted"]), ("switch", vec!["DoneByHand", "WaitStarted"])] {
        let mut desk = Desk::waits();
        desk.armed(id);
        desk.ask("ana", Request::Run { step: step(id), attempt: 1 }).unwrap();
        // Only the first line of what follows reached the disk.
        desk.fold(&Principal::hub(), vec![Event::RunIntended { step: step(id), attempt: 1 }]);
        assert_eq!(desk.phase_of(id), Phase::Intended);
        let mut wanted = vec!["Recovered"];
        wanted.extend(lines);
        assert_eq!(desk.recover(false), wanted);
        assert_eq!(desk.phase_of(id), Phase::Waiting);
    }
}

#[test]
fn no_command_is_typed_into_a_step_that_runs_none() {
    let mut desk = Desk::waits();
    for id in ["tell", "switch", "drain"] {
        let edit = Request::Edit { step: step(id), run: "./wipe".into(), why: "because".into() };
        let refused = desk.ask("ana", edit);
        assert!(matches!(&refused, Err(Refusal::RunsNothing { .. })), "{id}: {refused:?}");
        assert!(desk.session.plan.step(&step(id)).is_some_and(|step| step.runs().is_none()), "{id}");
    }
}

#[test]
fn nobody_who_checked_a_step_that_works_on_becomes_its_lead() {
    let mut desk = Desk::waits();
    desk.armed("tell");
    // The same step, as if it waited: what was checked is still at work.
    let digest = desk.session.open_step().unwrap().2.digest();
    desk.ask("bo", Request::OpenCheck { step: step("tell"), attempt: 1 }).unwrap();
    desk.ask("bo", Request::Check { step: step("tell"), attempt: 1, digest }).unwrap();
    desk.session.steps.get_mut("tell").unwrap().phase = Phase::Waiting;
    assert!(matches!(desk.handover("ana", "bo"), Err(Refusal::CheckedRunning { .. })));
    for phase in [Phase::Verifying, Phase::BetweenBatches] {
        desk.session.steps.get_mut("tell").unwrap().phase = phase;
        assert!(matches!(desk.handover("ana", "bo"), Err(Refusal::CheckedRunning { .. })), "{phase:?}");
    }
}

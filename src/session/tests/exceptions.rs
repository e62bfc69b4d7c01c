//! Waivers, steps left out, broken glass: who may, for how long, and what they do not excuse.

use super::*;
use crate::event::Attention;

fn waive(attempt: u32, status: Status) -> Request {
    Request::Waive { step: drop_step(), attempt, watch: watch("api"), status, why: "known".into() }
}
fn skip() -> Request {
    Request::Skip { step: drop_step(), why: "gone already".into() }
}

impl Desk {
    /// As the hub freezes it: with what is waived at that moment.
    fn arm_waived(&mut self) -> Result<Vec<&'static str>, Refusal> {
        let mut covers = self.covers("one");
        let watch = watch("api");
        let waived = self.session.waiver(&drop_step(), &watch, self.now).cloned();
        let reading = self.session.watches[&watch].reading.clone().unwrap();
        covers.gates = vec![a::gate("api", reading).waived(waived)];
        self.ask("ana", Request::Arm { step: drop_step(), covers: Some(Box::new(covers)) })
    }
    fn break_glass(&mut self, name: &str, confirm: &str) -> Result<Vec<&'static str>, Refusal> {
        let (step, attempt) = (drop_step(), self.state().1);
        let digest = self.session.open_step().map_or(Hash::ZERO, |(_, _, armed)| armed.digest());
        let (confirm, why) = (confirm.into(), "nobody is awake".into());
        self.ask(name, Request::BreakGlass { step, attempt, digest, confirm, why })
    }
}

#[test]
fn a_waiver_is_a_second_persons_and_excuses_what_they_saw_once() {
    let mut desk = Desk::new();
    assert!(matches!(desk.ask("cy", waive(1, Status::Ok)), Err(Refusal::GateHolds { .. })), "no blank cheque");
    desk.read(Status::Fail);
    assert!(matches!(desk.ask("ana", waive(1, Status::Fail)), Err(Refusal::SecondPerson { .. })));
    assert!(matches!(desk.ask("olga", waive(1, Status::Fail)), Err(Refusal::Observer { .. })));
    assert!(matches!(desk.ask_with_key("cy", "ana", waive(1, Status::Fail)), Err(Refusal::SameKey { .. })));
    assert!(matches!(desk.ask("cy", waive(2, Status::Fail)), Err(Refusal::Attempt { .. })));
    assert!(matches!(desk.ask("cy", waive(1, Status::Unknown)), Err(Refusal::GateTurned { .. })), "not what they saw");
    assert_eq!(desk.ask("cy", waive(1, Status::Fail)).unwrap(), ["GateWaived"]);
    assert!(desk.ask("cy", waive(1, Status::Fail)).unwrap().is_empty());
    assert!(matches!(desk.ask("dan", waive(1, Status::Fail)), Err(Refusal::Waived { .. })));
    assert!(desk.arm("ana").is_err(), "what people check has to show it");
    desk.arm_waived().unwrap();
    desk.wait(1);
    desk.read(Status::Fail);
    assert_eq!(desk.state(), (Phase::Armed, 1), "it is excused");
    assert!(matches!(desk.ask("dan", waive(2, Status::Fail)), Err(Refusal::Phase { .. })), "later means arming anew");
    assert!(desk.read(Status::Unknown).contains(&"StepVoided"), "and nothing worse is");
    desk.read(Status::Fail);
    assert!(matches!(desk.arm_waived(), Err(Refusal::Gate { .. })), "it was one attempt's");
}

#[test]
fn a_waived_gate_is_checked_by_somebody_else_too_and_runs() {
    let mut desk = Desk::new();
    desk.read(Status::Unknown);
    desk.ask("cy", waive(1, Status::Unknown)).unwrap();
    desk.arm_waived().unwrap();
    desk.check("cy").unwrap();
    assert_eq!(desk.check("dan").unwrap(), ["CrossChecked", "StepCleared"]);
    desk.run("ana").unwrap();
    desk.read(Status::Unknown);
    let now = desk.session.open_step().unwrap().2.covers.covers().clone();
    assert_eq!(desk.see(a::attempt("drop", 1).rechecked(now)), ["RunIntended"]);
    assert!(desk.session.steps["drop"].waivers.is_empty(), "spent");
}

#[test]
fn who_waived_a_gate_is_not_all_who_check_it() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    let armed = desk.session.open_step().unwrap().2.clone();
    let mut covers = armed.covers.covers().clone();
    covers.gates = vec![a::gate("api", Reading::unknown("x")).waived(Some(a::waived("cy", Status::Fail)))];
    let armed = crate::session::steps::Armed { covers: crate::event::Frozen::new(covers).unwrap(), ..armed };
    let checked = |names: &[&str]| {
        let people: Vec<_> = names.iter().map(|name| who(name)).collect();
        crate::session::waive::checked_by_another(&armed, people.iter()).is_ok()
    };
    assert_eq!([checked(&["cy"]), checked(&["cy", "dan"]), checked(&["dan"])], [false, true, true]);
}

#[test]
fn a_waiver_nobody_armed_on_lapses_and_a_handover_ends_it() {
    let mut desk = Desk::new();
    desk.read(Status::Fail);
    desk.ask("cy", waive(1, Status::Fail)).unwrap();
    desk.wait(301);
    desk.read(Status::Fail);
    assert!(matches!(desk.arm_waived(), Err(Refusal::Gate { .. })));
    desk.ask("cy", waive(1, Status::Fail)).unwrap();
    desk.handover("ana", "bo").unwrap();
    assert!(desk.session.steps["drop"].waivers.is_empty());
}

#[test]
fn a_step_is_left_out_by_two_and_never_done() {
    let mut desk = Desk::new();
    assert!(matches!(desk.ask("olga", skip()), Err(Refusal::Observer { .. })));
    assert_eq!(desk.ask("cy", skip()).unwrap(), ["SkipAgreed"]);
    assert_eq!(desk.ask("dan", skip()).unwrap(), ["SkipAgreed"], "two shadows are not the lead and one more");
    assert!(desk.ask("dan", skip()).unwrap().is_empty());
    assert_eq!(desk.ask("ana", skip()).unwrap(), ["StepSkipped"]);
    assert_eq!(desk.state().0, Phase::Skipped);
    assert!(matches!(desk.arm("ana"), Err(Refusal::Phase { .. })));
    assert!(matches!(desk.ask("cy", skip()), Err(Refusal::Phase { .. })));
    assert_eq!(desk.session.current_step().unwrap().0.id.as_str(), "clean", "what comes after it may go on");
    desk.ask("ana", Request::Close { note: String::new() }).unwrap();
    assert_eq!(desk.session.closed, Some(crate::event::Outcome::Partial));
}

fn arm_of(step: &str) -> Request {
    Request::Arm { step: StepId::new(step).unwrap(), covers: None }
}

#[test]
fn nothing_begins_behind_what_is_not_done_until_two_leave_it_out() {
    let mut desk = Desk::new();
    desk.start();
    desk.end(1);
    assert!(matches!(desk.ask("ana", skip()), Err(Refusal::Phase { .. })), "it is settled first");
    desk.settle("cy").unwrap();
    let refused = desk.ask("ana", arm_of("clean")).unwrap_err();
    assert_eq!(refused.to_string(), "step clean comes after step drop, which is settled as NOT done");
    assert!(refused.hint().is_some_and(|hint| hint.contains("`skip ID WHY`")), "{refused:?}");
    assert_eq!(refused.short(&desk.session), "01 is NOT done: arm it again, or skip it");
    assert_eq!(desk.session.current_step().unwrap().0.id.as_str(), "drop", "that is what people look at");
    // Nobody does so alone, nor two who do not lead, nor the lead twice.
    for (who, kinds) in [("cy", &["SkipAgreed"][..]), ("dan", &["SkipAgreed"]), ("dan", &[])] {
        assert_eq!(desk.ask(who, skip()).unwrap(), kinds, "{who}");
        assert!(matches!(desk.ask("ana", arm_of("clean")), Err(Refusal::NotDone { .. })));
    }
    let agreed = who("dan");
    let holds =
        |desk: &Desk, by: &str| crate::session::skip::holds(&desk.session, &who(by), &drop_step(), &agreed, desk.now);
    assert!(holds(&desk, "ana").is_ok() && holds(&desk, "cy").is_err() && holds(&desk, "dan").is_err());
    assert_eq!(desk.ask("ana", skip()).unwrap(), ["StepSkipped"]);
    let told = &desk.session.recent.back().unwrap().text;
    assert!(
        told.contains("01 drop is SKIPPED, though it is NOT done; what comes after it may begin, by dan and ana"),
        "{told}"
    );
    assert!(desk.ask("ana", arm_of("clean")).unwrap().is_empty());
    // Whoever checks what comes after it has to know.
    let seen = desk.session.settled_beside(&StepId::new("clean").unwrap());
    assert_eq!(
        seen[0].to_string(),
        "drop ended badly, and is NOT done (the lead and a shadow skipped it), says cy: looked"
    );
    assert!(matches!(desk.arm("ana"), Err(Refusal::Phase { .. })), "it is not flown any more");
    desk.ask("ana", Request::Close { note: String::new() }).unwrap();
    assert_eq!(desk.session.closed, Some(crate::event::Outcome::Partial));
}

#[test]
fn what_has_to_follow_a_rollback_begins_behind_what_was_undone() {
    let undo = "gates = [\"api\"]\nrollback = { run = [\"./undrop\"], contain = [\"clean\"] }\n";
    // Even where the plan says in words that it comes after it.
    let plan =
        PLAN.replace("gates = [\"api\"]\n", undo).replace("id = \"clean\"", "id = \"clean\"\nafter = [\"drop\"]");
    let mut desk = Desk::open(&plan, None);
    for (connection, name) in (1..).zip(["ana", "bo", "cy", "dan"]) {
        desk.join(name, name, connection);
    }
    desk.read(Status::Ok);
    desk.start();
    desk.end(1);
    desk.settle("cy").unwrap();
    assert!(matches!(desk.ask("ana", arm_of("clean")), Err(Refusal::NotDone { .. })), "nothing was undone");
    desk.session.steps.get_mut("drop").unwrap().was_rolled_back = true;
    assert!(desk.ask("ana", arm_of("clean")).unwrap().is_empty());
}

#[test]
fn what_is_not_done_can_be_done_after_all() {
    let mut desk = Desk::new();
    desk.start();
    desk.end(1);
    desk.settle("cy").unwrap();
    desk.ask("cy", skip()).unwrap();
    desk.start();
    desk.end(0);
    assert_eq!(desk.state(), (Phase::Done, 2));
    assert!(desk.ask("ana", arm_of("clean")).unwrap().is_empty());
    assert!(matches!(desk.ask("ana", skip()), Err(Refusal::Phase { .. })), "what is done is not left out");
}

#[test]
fn a_skip_says_nothing_of_the_steps_before() {
    let plan = format!("{PLAN}[[step]]\nid = \"last\"\nrun = [\"./last\"]\n");
    let mut desk = Desk::open(&plan, None);
    for (connection, name) in (1..).zip(["ana", "bo", "cy", "dan"]) {
        desk.join(name, name, connection);
    }
    desk.read(Status::Ok);
    let clean = Request::Skip { step: StepId::new("clean").unwrap(), why: "not needed".into() };
    desk.ask("cy", clean.clone()).unwrap();
    assert_eq!(desk.ask("ana", clean).unwrap(), ["StepSkipped"]);
    let refused = desk.ask("ana", arm_of("last")).unwrap_err();
    assert!(
        matches!(&refused, Refusal::After { after, phase: Phase::Planned, .. } if *after == drop_step()),
        "{refused}"
    );
    desk.start();
    desk.end(1);
    desk.settle("cy").unwrap();
    let refused = desk.ask("ana", arm_of("last")).unwrap_err();
    assert!(matches!(&refused, Refusal::NotDone { after, .. } if *after == drop_step()), "{refused}");
    desk.ask("cy", skip()).unwrap();
    desk.ask("ana", skip()).unwrap();
    assert!(desk.ask("ana", arm_of("last")).unwrap().is_empty());
}

#[test]
fn half_of_a_skip_ends_when_the_step_is_armed_and_lapses() {
    let mut desk = Desk::new();
    desk.ask("ana", skip()).unwrap();
    desk.arm("ana").unwrap();
    assert!(matches!(desk.ask("cy", skip()), Err(Refusal::Phase { .. })), "what is armed is let go of first");
    desk.ask("ana", Request::Disarm { step: drop_step(), attempt: 1 }).unwrap();
    assert_eq!(desk.ask("cy", skip()).unwrap(), ["SkipAgreed"]);
    desk.wait(301);
    assert_eq!(desk.ask("ana", skip()).unwrap(), ["SkipAgreed"]);
    assert_eq!(desk.ask("cy", skip()).unwrap(), ["StepSkipped"]);
}

#[test]
fn a_waiver_lasts_as_long_as_what_was_armed_with_it() {
    let mut desk = Desk::new();
    let later = |desk: &mut Desk, times| {
        for _ in 0..times {
            desk.wait(50);
            desk.read(Status::Fail);
        }
    };
    desk.read(Status::Fail);
    desk.ask("cy", waive(1, Status::Fail)).unwrap();
    later(&mut desk, 5);
    desk.arm_waived().unwrap();
    later(&mut desk, 3);
    assert_eq!(desk.state(), (Phase::Armed, 1), "given longer ago than a step stays armed, and armed with it since");
}

fn glass_desk(plan: &str) -> Desk {
    let mut desk = Desk::open(&plan.replace("[crew]", "break_glass = [\"ana\"]\n[crew]"), None);
    desk.join("ana", "ana", 1);
    desk.read(Status::Ok);
    desk
}

#[test]
fn glass_is_broken_by_a_named_lead_alone_and_stands_in_for_checks_only() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    assert!(matches!(desk.break_glass("ana", "drop"), Err(Refusal::NoGlass { .. })));
    let mut desk = glass_desk(PLAN);
    desk.join("cy", "cy", 2);
    desk.join("dan", "dan", 3);
    desk.arm("ana").unwrap();
    assert!(matches!(desk.break_glass("cy", "drop"), Err(Refusal::LeadOnly { .. })));
    assert!(matches!(desk.break_glass("ana", "clean"), Err(Refusal::NotConfirmed { .. })));
    assert!(matches!(desk.break_glass("ana", "drop"), Err(Refusal::NotAlone { who }) if who.len() == 2));
    desk.ask("dan", Request::Attend { attention: Attention::Away }).unwrap();
    assert_eq!(desk.break_glass("ana", "drop").unwrap(), ["BreakGlass", "StepCleared"]);
    assert!(matches!(desk.break_glass("ana", "drop"), Err(Refusal::Phase { .. })));
    desk.andon("cy");
    assert_eq!(desk.state().0, Phase::Planned, "the andon stops it as ever");
    assert_eq!(desk.session.glass.len(), 1, "marked for ever");
}

#[test]
fn glass_is_broken_under_the_hubs_own_hold_and_no_other_step_goes_with_it() {
    let mut desk = glass_desk(PLAN);
    desk.wait(100);
    desk.read(Status::Ok);
    assert!(desk.session.line.held.is_some());
    let clean = Request::Arm { step: StepId::new("clean").unwrap(), covers: None };
    assert!(desk.ask("ana", clean).is_err());
    desk.arm("ana").unwrap();
    assert!(matches!(desk.run("ana"), Err(Refusal::Quorum { .. })));
    desk.break_glass("ana", "drop").unwrap();
    desk.run("ana").unwrap();
    desk.read(Status::Ok);
    assert_eq!(desk.recheck(), ["RunIntended"]);
    let mut held = Desk::open(PLAN, None);
    held.join("ana", "ana", 1);
    held.wait(100);
    held.read(Status::Ok);
    assert!(matches!(held.arm("ana"), Err(Refusal::LineHeld { .. })), "where the plan names nobody, it holds");
}

#[test]
fn a_hold_that_comes_later_does_not_void_what_the_glass_cleared() {
    let mut desk = glass_desk(PLAN);
    desk.arm("ana").unwrap();
    desk.break_glass("ana", "drop").unwrap();
    desk.wait(50);
    desk.read(Status::Ok);
    desk.wait(50);
    assert!(desk.session.line.held.is_some());
    assert_eq!(desk.state().0, Phase::Cleared);
    desk.run("ana").unwrap();
}

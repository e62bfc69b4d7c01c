//! What several requests have to pass stands in the list of each of them: every list is tested by itself, so that a guard
//! that is left out of one is missed.

use super::*;
use crate::event::{EachSeen, Frozen};
use crate::fixture::PlanText;

fn arm() -> Request {
    Request::Arm { step: drop_step(), covers: None }
}
fn adhoc(run: &str, why: &str) -> Request {
    Request::AdHoc { run: run.into(), why: why.into(), covers: None }
}
fn edit(on: &str, run: &str, why: &str) -> Request {
    Request::Edit { step: step(on), run: run.into(), why: why.into() }
}
fn did(attempt: u32) -> Request {
    Request::Did { step: step("tell"), attempt, note: String::new() }
}
fn read_back(attempt: u32, value: &str) -> Request {
    Request::ReadBack { step: drop_step(), attempt, field: "old".into(), value: value.into() }
}
fn andon() -> Event {
    Event::AndonPulled { why: "stop".into() }
}

/// A step that a person does and two check, behind a gate, and a step of a program beside it.
fn by_hand() -> PlanText {
    let plan = a::plan().shadow(&["bo", "cy", "dan"]).watch("api").with("stale_after = \"60s\"");
    let plan = plan.step("drop").with("after = []").step("tell").irreversible();
    plan.doing("manual = \"tell support\"\ngates = [\"api\"]\nafter = []")
}

impl Desk {
    fn lies_armed(&mut self, id: &str, checks: u32) {
        let covers = Covers { checks, ..a::covers(&self.session, id, self.now).without_gates() };
        let attempt = covers.attempt;
        let (lapses, covers) = (self.now.after(Duration::from_secs(3600)), Frozen::new(covers).unwrap());
        self.cut_off("ana", Event::StepArmed { step: step(id), attempt, lapses, covers });
    }
    fn lies_cleared(&mut self, id: &str, checks: u32) {
        self.lies_armed(id, checks);
        self.cut_off("cy", Event::StepCleared { step: step(id), attempt: self.session.steps[id].attempt });
    }
    fn with_hands() -> Desk {
        let mut desk = Desk::manned(&by_hand().text());
        desk.read(Status::Ok);
        desk
    }
}

#[test]
fn a_hub_that_stops_starts_nothing_more() {
    let mut desk = Desk::with_hands();
    desk.cut_off("hub", Event::StopAsked {});
    let (step, attempt) = (drop_step(), 1);
    for request in [
        arm(),
        adhoc("./other", "it hangs"),
        Request::Run { step: step.clone(), attempt },
        Request::TryRun { step: step.clone(), attempt },
        did(1),
        Request::Rollback { step, attempt },
    ] {
        assert_eq!(desk.refusal("ana", request.clone()), "Stopping", "{request:?}");
    }
}

#[test]
fn what_a_person_says_is_done_passes_what_a_run_would() {
    let mut desk = Desk::with_hands();
    assert_eq!(desk.refusal("ana", did(1)), "Phase", "it was never armed");
    desk.lies_armed("tell", 2);
    assert_eq!(desk.refusal("ana", did(1)), "Quorum");
    let mut desk = Desk::with_hands();
    desk.lies_cleared("tell", 2);
    assert_eq!(desk.refusal("ana", did(2)), "Attempt");
    assert_eq!(desk.refusal("cy", did(1)), "LeadOnly");
    let other = Request::Did { step: drop_step(), attempt: 1, note: String::new() };
    assert_eq!(desk.refusal("ana", other), "NotByHand");
    let cleared = desk.session.clone();
    desk.cut_off("cy", andon());
    assert_eq!(desk.refusal("ana", did(1)), "LineStopped");
    desk.session = cleared.clone();
    desk.cut_off("hub", Event::LineHeld { why: "one shadow is left".into() });
    assert_eq!(desk.refusal("ana", did(1)), "LineHeld");
    desk.session = cleared.clone();
    desk.now = desk.now.after(Duration::from_secs(61));
    assert_eq!(desk.refusal("ana", did(1)), "Gate", "nobody looked for a minute");

    // Something else runs, and then a word on it is owed.
    let mut desk = Desk::with_hands();
    desk.lies_cleared("drop", 0);
    desk.run("ana").unwrap();
    desk.cut_off("hub", Event::RunIntended { step: drop_step(), attempt: 1 });
    desk.spawned();
    desk.lies_cleared("tell", 2);
    assert_eq!(desk.refusal("ana", did(1)), "Busy");
    desk.cut_off("hub", Event::RunEnded { step: drop_step(), attempt: 1, end: RunEnd::Exited { code: 1 } });
    assert_eq!(desk.refusal("ana", did(1)), "Owed");

    let mut desk = Desk::with_hands();
    desk.lies_cleared("tell", 2);
    assert_eq!(desk.ask("ana", did(1)).unwrap(), ["RunRequested"]);
}

#[test]
fn what_was_armed_with_checks_waits_for_the_poll_whatever_the_plan_asks_for() {
    let plan = by_hand().head("poll = true");
    let mut desk = Desk::manned(&plan.text());
    desk.read(Status::Ok);
    desk.lies_cleared("tell", 2);
    assert_eq!(desk.refusal("ana", did(1)), "NotGo");
    let mut desk = Desk::manned(&plan.text());
    desk.read(Status::Ok);
    assert_eq!(desk.refusal("ana", adhoc("./other", "it hangs")), "NotGo", "a typed command takes a check");
    // Routine in the plan, and checked by one because it was changed.
    desk.lies_cleared("drop", 0);
    let run = || Request::Run { step: drop_step(), attempt: 1 };
    assert!(decide(&desk.session, desk.now, &Author::new(who("ana"), "ana"), &run()).is_ok());
    let mut desk = Desk::manned(&plan.text());
    desk.read(Status::Ok);
    desk.lies_cleared("drop", 1);
    assert_eq!(desk.refusal("ana", run()), "NotGo");
    let mut desk = Desk::manned(&plan.text());
    desk.read(Status::Ok);
    desk.lies_armed("tell", 2);
    desk.cut_off("cy", Event::CheckOpened { step: step("tell"), attempt: 1 });
    let digest = desk.digest();
    assert_eq!(desk.refusal("cy", Request::Check { step: step("tell"), attempt: 1, digest }), "NotGo");
}

#[test]
fn nobody_checks_while_the_line_is_stopped() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    desk.ask("cy", Request::OpenCheck { step: drop_step(), attempt: 1 }).unwrap();
    let check = Request::Check { step: drop_step(), attempt: 1, digest: desk.digest() };
    let armed = desk.session.clone();
    desk.cut_off("dan", andon());
    assert_eq!(desk.refusal("cy", check.clone()), "LineStopped");
    desk.session = armed;
    desk.cut_off("hub", Event::LineHeld { why: "one shadow is left".into() });
    assert_eq!(desk.refusal("cy", check), "LineHeld");
}

#[test]
fn the_hubs_hold_stops_what_was_cleared_without_the_glass() {
    let mut desk = Desk::new();
    desk.clear();
    desk.cut_off("hub", Event::LineHeld { why: "one shadow is left".into() });
    assert_eq!(desk.refusal("ana", Request::Run { step: drop_step(), attempt: 1 }), "LineHeld");
}

#[test]
fn a_typed_command_is_armed_as_any_step_is() {
    let request = || adhoc("./other", "it hangs");
    let mut desk = Desk::new();
    assert_eq!(desk.refusal("cy", request()), "LeadOnly");
    assert!(decide(&desk.session, desk.now, &Author::new(who("ana"), "ana"), &request()).is_ok());
    let idle = desk.session.clone();
    desk.cut_off("cy", andon());
    assert_eq!(desk.refusal("ana", request()), "LineStopped");
    desk.session = idle;
    desk.arm("ana").unwrap();
    assert_eq!(desk.refusal("ana", request()), "Busy", "one step at a time");
    let mut desk = Desk::new();
    desk.start();
    assert_eq!(desk.refusal("ana", request()), "Busy");
    desk.end(1);
    assert_eq!(desk.refusal("ana", request()), "Owed");
}

#[test]
fn what_the_plan_does_not_have_needs_a_reason_a_checker_and_words_that_can_be_seen() {
    let desk = Desk::two();
    for (run, why, refusal) in
        [("./other", " ", "DeviationWhy"), (" ", "why", "Typed"), ("./a\u{200b}b", "why", "Typed")]
    {
        assert_eq!(desk.refusal("ana", adhoc(run, why)), refusal, "{run:?}");
    }
    assert_eq!(desk.refusal("ana", edit("drop", "./other", " ")), "DeviationWhy");
    assert_eq!(desk.refusal("ana", edit("drop", "./a\u{200b}b", "why")), "Typed");
    assert_eq!(desk.refusal("ana", edit("drop", " ", "why")), "Typed", "it has the plan's own");
    // A routine step that differs takes a check, and nobody is there to give one.
    let alone = Desk::manned(&a::plan().step("drop").text());
    assert_eq!(alone.refusal("ana", edit("drop", "./other", "quicker")), "NobodyChecks");
    assert_eq!(alone.refusal("ana", adhoc("./other", "quicker")), "NobodyChecks");
    assert!(decide(&alone.session, alone.now, &Author::new(who("ana"), "ana"), &arm()).is_ok());
    let alone = Desk::manned(&a::plan().lead(&["ana", "cy"]).shadow(&["ana"]).step("drop").text());
    assert_eq!(alone.refusal("ana", edit("drop", "./other", "quicker")), "NobodyChecks", "nor oneself");
}

#[test]
fn a_value_that_nobody_gave_a_reason_for_keeps_its_step_from_being_armed() {
    let plan = a::plan().shadow(&["cy"]).table("[params.rows]", "default = \"10\"");
    let plan = plan.step("drop").with("run = [\"./drop\", \"{{ rows }}\"]").step("clean").with("after = []").text();
    let rows = |rows: &str| [("rows".to_owned(), rows.to_owned())].into();
    let arm = |id: &str| Request::Arm { step: step(id), covers: None };
    let desk = Desk { session: a::opening(&plan).params(rows("11")).session(), now: a::start(), remote: false };
    assert_eq!(desk.refusal("ana", arm("drop")), "DeviationWhy");
    let may = |desk: &Desk, id| decide(&desk.session, desk.now, &Author::new(who("ana"), "ana"), &arm(id)).is_ok();
    assert!(may(&desk, "clean"), "it does not use it");
    let desk = Desk { session: a::opening(&plan).params(rows("10")).session(), now: a::start(), remote: false };
    assert!(may(&desk, "drop"));
}

#[test]
fn only_what_is_still_to_be_done_is_changed() {
    let mut desk = Desk::two();
    desk.start();
    assert_eq!(desk.refusal("ana", edit("drop", "./other", "quicker")), "Busy");
    desk.end(0);
    assert_eq!(desk.refusal("ana", edit("drop", "./other", "quicker")), "Phase", "it is done");
    assert_eq!(desk.ask("ana", edit("clean", "./other", "quicker")).unwrap(), ["StepEdited"]);
    assert_eq!(Desk::with_hands().refusal("ana", edit("tell", "./other", "quicker")), "RunsNothing");
}

#[test]
fn what_names_another_attempt_is_refused_by_each_that_names_one() {
    let mut desk = Desk::new();
    let disarm = |attempt| Request::Disarm { step: drop_step(), attempt };
    let glass = |attempt, digest| Request::BreakGlass {
        step: drop_step(),
        attempt,
        digest,
        confirm: "drop".into(),
        why: "nobody is awake".into(),
    };
    assert_eq!(desk.refusal("ana", disarm(1)), "Phase");
    assert_eq!(desk.refusal("ana", glass(1, Hash::ZERO)), "Phase");
    desk.arm("ana").unwrap();
    assert_eq!(desk.refusal("ana", disarm(2)), "Attempt");
    assert_eq!(desk.refusal("ana", glass(2, desk.digest())), "Attempt");
    assert_eq!(desk.ask("ana", disarm(1)).unwrap(), ["StepVoided"]);
    let plan = a::plan().shadow(&["cy"]).step("drop").with("input = \"lead\"");
    let mut desk = Desk::manned(&plan.text());
    desk.lies_cleared("drop", 0);
    desk.run("ana").unwrap();
    desk.cut_off("hub", Event::RunIntended { step: drop_step(), attempt: 1 });
    desk.spawned();
    let text = |attempt| Request::Type {
        step: drop_step(),
        attempt,
        text: crate::session::request::Typed("yes".into()),
        hidden: Some(false),
    };
    assert_eq!(desk.refusal("ana", text(2)), "Attempt", "the answer to another try's question");
    assert_eq!(desk.ask("ana", text(1)).unwrap(), ["InputWritten"]);
}

#[test]
fn a_field_is_read_back_on_the_panel_of_what_is_armed_before_the_check() {
    let plan = a::plan().shadow(&["bo", "cy"]).table("[params.old]", "default = \"v1\"");
    let plan = plan.step("drop").critical().with("run = [\"./drop\", \"{{ old }}\"]\nreadback = [\"old\"]");
    let plan = plan.with("checks = 2").text();
    let mut desk = Desk::manned(&plan);
    assert_eq!(desk.refusal("cy", read_back(1, "v1")), "Phase", "nothing is armed");
    desk.arm("ana").unwrap();
    assert_eq!(desk.refusal("cy", read_back(2, "v1")), "Attempt");
    assert_eq!(desk.refusal("cy", read_back(1, "v1")), "NotOpened");
    desk.ask("cy", Request::OpenCheck { step: drop_step(), attempt: 1 }).unwrap();
    let long = "v".repeat(crate::session::request::TEXT_CHARS_MAX + 1);
    assert_eq!(desk.refusal("cy", read_back(1, &long)), "TooLong", "and it costs no try");
    assert_eq!(desk.ask("cy", read_back(1, "v1")).unwrap(), ["ReadBack"]);
    assert_eq!(desk.check("cy").unwrap(), ["CrossChecked"]);
    assert_eq!(desk.refusal("cy", read_back(1, "v1")), "CheckedAlready");
    assert_eq!(desk.refusal("ana", read_back(1, "v1")), "OwnStep");

    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    desk.ask("cy", Request::OpenCheck { step: drop_step(), attempt: 1 }).unwrap();
    assert_eq!(desk.refusal("cy", read_back(1, "v1")), "NothingToReadBack");
}

#[test]
fn who_makes_an_exception_has_a_key_that_may_approve() {
    let lines = [("ana", ""), ("bo", "namespaces=\"crosscheck-join\""), ("cy", ""), ("dan", "")];
    let (plan, keys, text) = signed(&lines);
    let mut desk = Desk::open(&plan, Some(&text));
    for (connection, name) in (1..).zip(["ana", "bo", "cy", "dan"]) {
        desk.join(name, &keys[name], connection);
    }
    desk.read(Status::Fail);
    let why = || "the monitoring is down".to_owned();
    let (watch, status) = (watch("api"), Status::Fail);
    let waive = Request::Waive { step: drop_step(), attempt: 1, watch, status, why: why() };
    let skip = Request::Skip { step: drop_step(), why: why() };
    for request in [waive, skip] {
        let with = |name: &str, key: &str| decide(&desk.session, desk.now, &Author::new(who(name), key), &request);
        for (name, key) in [("bo", &keys["bo"]), ("cy", &"SHA256:nobody".to_owned()), ("cy", &keys["dan"])] {
            assert!(matches!(with(name, key), Err(Refusal::NotVouched { .. })), "{name} {request:?}");
        }
        assert!(with("cy", &keys["cy"]).is_ok(), "{request:?}");
    }
}

#[test]
fn a_waiver_is_of_a_gate_that_the_step_has() {
    let mut desk = Desk::new();
    desk.read(Status::Fail);
    let (why, status) = ("the monitoring is down".to_owned(), Status::Fail);
    let waive = Request::Waive { step: drop_step(), attempt: 1, watch: watch("other"), status, why };
    assert_eq!(desk.refusal("cy", waive), "NoSuchGate");
}

#[test]
fn no_word_on_how_it_counts_while_its_process_is_alive() {
    let mut desk = Desk::new();
    desk.start();
    desk.recover(true);
    desk.join("ana", "ana", 9);
    desk.join("cy", "cy", 10);
    for (name, outcome) in [("ana", Settled::Done), ("cy", Settled::Done), ("cy", Settled::Failed)] {
        let settle = Request::Settle { step: drop_step(), outcome, why: "looked".into() };
        assert_eq!(desk.refusal(name, settle), "StillRunning", "{name}");
    }
}

#[test]
fn batches_are_counted_on_from_what_the_session_has_done() {
    let each = "each = { file = \"lines\", first = 1, then = 2 }\nverify = { watches = [\"api\"], for = \"5s\" }";
    let plan = a::plan().shadow(&["cy"]).watch("api").step("drop").with(each).text();
    let desk = Desk::manned(&plan);
    let arm = |done| {
        let each = Some(EachSeen { lines: 5, first: 1, then: 2, done });
        let covers = Covers { each, ..a::covers(&desk.session, "drop", desk.now) };
        Request::Arm { step: drop_step(), covers: Some(Box::new(covers)) }
    };
    assert!(decide(&desk.session, desk.now, &Author::new(who("ana"), "ana"), &arm(0)).is_ok());
    assert_eq!(desk.refusal("ana", arm(1)), "CannotFreeze", "a line would be left out");
}

//! Each guard says no by itself: in a state that only it keeps from going on, also where a crash cut off what should have
//! followed, and time has passed that nobody has looked at yet. What a step's own lines void is tested with the step.

use super::*;
use crate::event::{Frozen, Outcome};
use crate::session::request::TEXT_CHARS_MAX;

fn clean_step() -> StepId {
    step("clean")
}

impl Desk {
    /// Two steps, neither of which waits for the other; everyone is here.
    pub(super) fn two() -> Desk {
        let mut desk = Desk::manned(&format!("{DROP}{CLEAN}"));
        desk.read(Status::Ok);
        desk
    }
    /// The kind of the refusal, by the session as it stands, whatever time it is.
    pub(super) fn refusal(&self, name: &str, request: Request) -> String {
        let no = decide(&self.session, self.now, &Author::new(who(name), name), &request);
        let text = format!("{:?}", no.expect_err("it is refused"));
        text.chars().take_while(|c| c.is_alphanumeric()).collect()
    }
    pub(super) fn digest(&self) -> Hash {
        self.session.open_step().expect("it is armed").2.digest()
    }
    /// A line by itself, as it stands in a transcript whose writer died before the next.
    pub(super) fn cut_off(&mut self, name: &str, event: Event) {
        self.fold(&who(name), vec![event]);
    }
}

fn run(attempt: u32) -> Request {
    Request::Run { step: drop_step(), attempt }
}
fn object(digest: Hash) -> Request {
    Request::Object { step: drop_step(), attempt: 1, digest, why: "no".into() }
}
fn why() -> String {
    "because".into()
}

#[test]
fn nothing_follows_the_end_and_only_talk_follows_the_call_for_it() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    assert_eq!(desk.refusal("cy", Request::Close { note: why() }), "LeadOnly");
    let mut called = Desk::new();
    called.cut_off("ana", Event::CloseCalled { outcome: Outcome::Partial, note: String::new() });
    assert_eq!(called.refusal("cy", Request::Andon { why: why() }), "Closing");
    assert_eq!(called.refusal("ana", Request::Arm { step: drop_step(), covers: None }), "Closing");
    assert_eq!(called.ask("cy", Request::Say { text: "bye".into() }).unwrap(), ["Noted"]);
    assert_eq!(desk.refusal("cy", Request::SignClose), "NotCalled");
    assert_eq!(desk.ask("ana", Request::Close { note: why() }).unwrap(), ["StepVoided", "SessionClosed"]);
    for request in [Request::Andon { why: why() }, Request::Say { text: why() }, Request::SignClose] {
        assert_eq!(desk.refusal("cy", request), "Closed");
    }
}

#[test]
fn nobody_closes_while_a_word_is_owed() {
    let mut desk = Desk::new();
    desk.start();
    desk.end(1);
    assert_eq!(desk.refusal("ana", Request::Close { note: why() }), "Owed");
}

#[test]
fn words_have_an_end() {
    let desk = Desk::new();
    let text = "x".repeat(TEXT_CHARS_MAX);
    assert_eq!(desk.refusal("cy", Request::Say { text: text.clone() + "x" }), "TooLong");
    assert!(decide(&desk.session, desk.now, &Author::new(who("cy"), "cy"), &Request::Say { text }).is_ok());
}

#[test]
fn only_the_lead_drives() {
    let mut desk = Desk::two();
    let (step, attempt) = (drop_step(), 1);
    assert_eq!(desk.refusal("cy", Request::Arm { step: step.clone(), covers: None }), "LeadOnly");
    let edit = |step| Request::Edit { step, run: "./other".into(), why: why() };
    assert_eq!(desk.refusal("cy", edit(step.clone())), "LeadOnly");
    assert_eq!(desk.refusal("cy", Request::Resize { cols: 80, rows: 24 }), "LeadOnly");
    assert_eq!(desk.refusal("cy", Request::Vouch), "LeadOnly");
    desk.arm("ana").unwrap();
    assert_eq!(desk.refusal("cy", Request::Disarm { step: step.clone(), attempt }), "LeadOnly");
    assert_eq!(desk.refusal("ana", Request::OpenCheck { step: step.clone(), attempt }), "ShadowOnly");
    assert_eq!(desk.refusal("ana", object(desk.digest())), "ShadowOnly");
}

#[test]
fn one_step_at_a_time_and_in_their_order() {
    let mut desk = Desk::two();
    desk.arm("ana").unwrap();
    let clean = || Request::Arm { step: clean_step(), covers: None };
    assert_eq!(desk.refusal("ana", clean()), "Busy");
    assert_eq!(Desk::new().refusal("ana", clean()), "After");
}

#[test]
fn what_names_another_attempt_or_digest_is_about_something_else() {
    let mut desk = Desk::new();
    let step = drop_step;
    assert_eq!(desk.refusal("cy", Request::OpenCheck { step: step(), attempt: 1 }), "Phase");
    assert_eq!(desk.refusal("cy", Request::Withdraw { step: step(), attempt: 1 }), "Phase");
    desk.arm("ana").unwrap();
    assert_eq!(desk.refusal("cy", Request::OpenCheck { step: step(), attempt: 2 }), "Attempt");
    assert_eq!(desk.refusal("cy", object(Hash::ZERO)), "Digest");
    assert_eq!(desk.ask("cy", object(desk.digest())).unwrap(), ["Objected", "StepVoided"]);
    desk.arm("ana").unwrap();
    desk.check("cy").unwrap();
    assert_eq!(
        desk.ask("cy", Request::Withdraw { step: step(), attempt: 2 }).unwrap(),
        ["Withdrawn", "StepVoided"],
        "no other yes stands on one that was taken back"
    );
}

#[test]
fn a_third_check_comes_too_late() {
    let mut desk = Desk::two();
    desk.clear();
    assert!(matches!(desk.check("bo"), Err(Refusal::Phase { .. })));
}

#[test]
fn a_gate_that_grew_old_since_the_last_look_lets_nothing_pass() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    desk.ask("cy", Request::OpenCheck { step: drop_step(), attempt: 1 }).unwrap();
    let check = Request::Check { step: drop_step(), attempt: 1, digest: desk.digest() };
    let glass = Request::BreakGlass {
        step: drop_step(),
        attempt: 1,
        digest: desk.digest(),
        confirm: "drop".into(),
        why: why(),
    };
    let mut cleared = Desk::new();
    cleared.clear();
    for desk in [&mut desk, &mut cleared] {
        desk.now = desk.now.after(Duration::from_secs(61));
    }
    assert_eq!(desk.refusal("cy", check), "Gate");
    assert_eq!(desk.refusal("ana", glass), "Gate");
    assert_eq!(cleared.refusal("ana", run(1)), "Gate");
}

#[test]
fn an_andon_whose_void_was_cut_off_stops_what_is_armed_all_the_same() {
    let plan = PLAN.replace("[crew]", "break_glass = [\"ana\"]\n[crew]");
    let pulled = || Event::AndonPulled { why: why() };
    let glass = |desk: &Desk, digest| Request::BreakGlass {
        step: drop_step(),
        attempt: desk.state().1,
        digest,
        confirm: "drop".into(),
        why: why(),
    };
    let mut desk = Desk::new();
    desk.clear();
    desk.cut_off("cy", pulled());
    assert_eq!(desk.refusal("ana", run(1)), "LineStopped");

    let mut alone = Desk::open(&plan, None);
    alone.join("ana", "ana", 1);
    alone.read(Status::Ok);
    let idle = alone.session.clone();
    alone.arm("ana").unwrap();
    assert_eq!(alone.refusal("ana", glass(&alone, Hash::ZERO)), "Digest");
    let armed = alone.session.clone();
    alone.cut_off("cy", pulled());
    assert_eq!(alone.refusal("ana", glass(&alone, alone.digest())), "LineStopped");
    alone.session = armed;
    alone.ask("ana", glass(&alone, alone.digest())).unwrap();
    alone.cut_off("cy", pulled());
    assert_eq!(alone.refusal("ana", run(1)), "LineStopped", "the glass stands in for checks, not for the line");
    alone.session = idle;
    alone.cut_off("cy", pulled());
    let arm = Request::Arm { step: drop_step(), covers: None };
    assert_eq!(alone.refusal("ana", arm), "LineStopped", "who may break the glass arms under the hub's hold alone");
}

#[test]
fn what_is_cleared_waits_for_what_runs_and_for_a_word_that_is_owed() {
    let mut desk = Desk::two();
    desk.start();
    let mut covers = desk.covers("one");
    (covers.step, covers.attempt) = (clean_step(), 1);
    let lapses = desk.now.after(Duration::from_secs(300));
    let covers = Frozen::new(covers).unwrap();
    desk.cut_off("ana", Event::StepArmed { step: clean_step(), attempt: 1, lapses, covers });
    desk.cut_off("cy", Event::StepCleared { step: clean_step(), attempt: 1 });
    let clean = || Request::Run { step: clean_step(), attempt: 1 };
    assert_eq!(desk.refusal("ana", clean()), "Busy");
    let (step, attempt, end) = (drop_step(), 1, RunEnd::Exited { code: 1 });
    desk.cut_off("hub", Event::RunEnded { step, attempt, end });
    assert_eq!(desk.refusal("ana", clean()), "Owed");
}

#[test]
fn what_was_frozen_is_what_the_session_has() {
    let desk = Desk::new();
    let arm = |change: &dyn Fn(&mut Covers)| {
        let mut covers = desk.covers("one");
        change(&mut covers);
        Request::Arm { step: drop_step(), covers: Some(Box::new(covers)) }
    };
    assert!(decide(&desk.session, desk.now, &Author::new(who("ana"), "ana"), &arm(&|_| {})).is_ok());
    let others: [&dyn Fn(&mut Covers); 4] = [
        &|covers| covers.step = clean_step(),
        &|covers| covers.attempt += 1,
        &|covers| covers.plan = Hash::ZERO,
        &|covers| {
            covers.deviations = vec![crate::event::Deviation::Param {
                name: "rows".into(),
                planned: "1".into(),
                by: None,
                value: "2".into(),
                why: why(),
            }];
        },
    ];
    for other in others {
        assert_eq!(desk.refusal("ana", arm(other)), "CannotFreeze");
    }
}

#[test]
fn whoever_waived_a_gate_gives_not_the_last_check_alone() {
    let mut desk = Desk::new();
    let waived = Some(a::waived("cy", Status::Fail));
    let mut covers = desk.covers("one");
    covers.checks = 1;
    covers.gates = vec![a::gate("api", a::reading(Status::Ok)).waived(waived)];
    let covers = Frozen::new(covers).unwrap();
    let lapses = desk.now.after(Duration::from_secs(300));
    desk.cut_off("ana", Event::StepArmed { step: drop_step(), attempt: 1, lapses, covers });
    assert!(matches!(desk.check("cy"), Err(Refusal::WaivedAlone { .. })));
    assert_eq!(desk.check("dan").unwrap(), ["CrossChecked", "StepCleared"]);
}

#[test]
fn a_waiver_excuses_what_was_seen_and_nothing_worse() {
    use Status::{Fail, Ok, Unknown, Warn};
    let excuses = |seen, now| a::waived("cy", seen).excuses(now);
    for (seen, excused) in [(Warn, vec![Ok, Warn]), (Fail, vec![Ok, Warn, Fail]), (Unknown, vec![Unknown])] {
        for now in [Ok, Warn, Fail, Unknown] {
            assert_eq!(excuses(seen, now), excused.contains(&now), "seen {seen:?}, now {now:?}");
        }
    }
}

#[test]
fn an_act_for_two_takes_two() {
    let mut desk = Desk::new();
    let to = |name: &str| Request::Handover { to: who(name) };
    assert_eq!(desk.ask("ana", to("bo")).unwrap(), ["HandoverAgreed"]);
    assert!(desk.ask("ana", to("bo")).unwrap().is_empty(), "said twice it is still one of the two");
    assert_eq!(desk.session.lead, who("ana"));
    assert_eq!(desk.refusal("ana", to("olga")), "NotCrew");
    assert_eq!(desk.refusal("ana", to("ana")), "LeadsAlready");
    let skip = Request::Skip { step: drop_step(), why: why() };
    assert!(matches!(desk.ask_with_key("cy", "ana", skip), Err(Refusal::SameKey { .. })), "two names, one person");
}

#[test]
fn a_second_pull_asks_everyone_again() {
    let mut desk = Desk::new();
    desk.andon("cy");
    assert_eq!(desk.ask("ana", Request::Release).unwrap(), ["AndonReleased"]);
    desk.andon("dan");
    for name in ["cy", "dan"] {
        assert_eq!(desk.ask(name, Request::Release).unwrap(), ["AndonReleased"]);
    }
    assert!(desk.session.line.is_stopped(), "the lead released before the second pull, and has not seen it");
    desk.ask("ana", Request::Release).unwrap();
    assert!(!desk.session.line.is_stopped());
}

#[test]
fn a_word_is_taken_from_who_may_give_it_and_only_where_it_is_owed() {
    let mut desk = Desk::new();
    let ack = || Request::Ack { step: drop_step(), why: why() };
    assert_eq!(desk.refusal("cy", ack()), "Phase");
    assert_eq!(desk.refusal("cy", Request::Interrupt { step: drop_step(), force: true }), "NotRunning");
    desk.start();
    desk.end(1);
    assert_eq!(desk.refusal("ana", ack()), "LeadMayNot");
    assert_eq!(desk.ask("cy", ack()).unwrap(), ["Acknowledged"]);
}

#[test]
fn nothing_is_undone_while_its_process_may_be_alive() {
    let keys = "rollback = { run = [\"./undrop\"] }\n";
    let mut desk = Desk::manned(&format!("{DROP}{keys}{CLEAN}"));
    desk.read(Status::Ok);
    desk.start();
    desk.recover(true);
    desk.join("ana", "ana", 9);
    assert_eq!(desk.refusal("ana", Request::Rollback { step: drop_step(), attempt: 1 }), "StillRunning");
}

#[test]
fn the_hubs_hold_lets_nothing_be_armed_but_what_the_glass_is_for() {
    let plan = format!("{DROP}{CLEAN}").replace("[crew]", "break_glass = [\"ana\"]\n[crew]");
    let mut desk = Desk::open(&plan, None);
    desk.join("ana", "ana", 1);
    desk.wait(100);
    desk.read(Status::Ok);
    assert!(desk.session.line.held.is_some());
    let arm = |step| Request::Arm { step, covers: None };
    assert_eq!(desk.refusal("ana", arm(clean_step())), "LineHeld", "nobody checks it: no glass is broken for it");
    assert!(decide(&desk.session, desk.now, &Author::new(who("ana"), "ana"), &arm(drop_step())).is_ok());
}

#[test]
fn who_has_checked_already_cannot_check_in_place_of_the_glass() {
    let mut desk = Desk::open(&PLAN.replace("[crew]", "break_glass = [\"ana\"]\n[crew]"), None);
    for (connection, name) in (1..).zip(["ana", "cy"]) {
        desk.join(name, name, connection);
    }
    desk.read(Status::Ok);
    desk.arm("ana").unwrap();
    desk.check("cy").unwrap();
    let (digest, confirm) = (desk.digest(), "drop".into());
    let glass = Request::BreakGlass { step: drop_step(), attempt: 1, digest, confirm, why: why() };
    assert_eq!(desk.ask("ana", glass).unwrap(), ["BreakGlass", "StepCleared"]);
}

//! What keeps the first critical step locked, and what takes a go away again.

use super::*;
use crate::name::ItemId;

const POLLED: &str = r#"
crosscheck = 1
name = "test"
environment = "test"
expected = "2h"
[crew]
lead = ["ana", "bo"]
shadow = ["bo", "cy", "dan"]
observer = "link"
[[crew.seat]]
name = "status page"
who = ["sue", "tom"]
[[checklist]]
id = "restored"
ask = "Restored by whom?"
answer = "text"
seat = "status page"
[[checklist]]
id = "told"
ask = "Are customers told?"
answer = "yes"
[[checklist]]
id = "since"
ask = "Writes are frozen since?"
answer = "time"
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
stale_after = "10h"
[[step]]
id = "clean"
run = ["./clean"]
[[step]]
id = "drop"
class = "irreversible"
run = ["./drop"]
gates = ["api"]
after = []
"#;

const CREW: [&str; 6] = ["ana", "cy", "dan", "sue", "tom", "olga"];

fn go(desk: &Desk) -> Request {
    Request::Go { poll: desk.session.preflight.number(), board: desk.session.preflight.board }
}

impl Desk {
    /// Everyone is here, and nothing was said.
    fn polled() -> Desk {
        let mut desk = Desk::open(POLLED, None);
        for (connection, name) in (1..).zip(CREW) {
            desk.join(name, name, connection);
        }
        desk.read(Status::Ok);
        desk
    }
    fn says_go(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        let go = go(self);
        self.ask(name, go)
    }
    fn says_no(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        let poll = self.session.preflight.number();
        self.ask(name, Request::NoGo { poll, why: "the bank is closed".into() })
    }
    fn sits(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        self.ask(name, Request::Seat { seat: "status page".into() })
    }
    fn answers(&mut self, name: &str, item: &str, answer: &str) -> Result<Vec<&'static str>, Refusal> {
        self.ask(name, Request::Answer { item: ItemId::new(item).unwrap(), answer: answer.into() })
    }
    fn fit(&mut self, name: &str, minutes: Option<u64>) -> Vec<&'static str> {
        let until = minutes.map(|minutes| self.now.after(Duration::from_secs(minutes * 60)));
        self.ask(name, Request::Available { fit: true, until, why: String::new() }).unwrap()
    }
    fn board(&mut self) {
        self.sits("sue").unwrap();
        self.answers("sue", "restored", "by sue, last night").unwrap();
        self.answers("cy", "told", "yes").unwrap();
        self.answers("dan", "since", "09:00").unwrap();
    }
    /// The poll is go.
    pub(super) fn all_go() -> Desk {
        let mut desk = Desk::polled();
        desk.board();
        desk.ask("ana", Request::Poll).unwrap();
        for name in ["ana", "cy", "dan", "sue"] {
            desk.says_go(name).unwrap();
        }
        assert_eq!(desk.session.poll_locks(), [""; 0]);
        desk
    }
    fn lock(&self) -> String {
        self.session.poll_locks().join(" | ")
    }
    fn why_locked(&mut self) -> String {
        match self.arm("ana") {
            Err(Refusal::NotGo { locks, .. }) => crate::session::refusal::in_words(&locks),
            other => panic!("it is not locked: {other:?}"),
        }
    }
}

#[test]
fn the_first_critical_step_is_locked_until_everything_is_there() {
    let mut desk = Desk::polled();
    let why = desk.why_locked();
    assert!(why.starts_with("the seat status page is empty; restored is not answered (status page); told is"), "{why}");
    assert!(why.ends_with("; and 1 more"), "{why}");
    desk.sits("sue").unwrap();
    desk.answers("sue", "restored", "by sue").unwrap();
    desk.answers("cy", "told", "yes, by mail").unwrap();
    assert!(desk.why_locked().starts_with("since is not answered"));
    desk.answers("dan", "since", "2026-11-20 18:00").unwrap();
    assert_eq!(desk.why_locked(), "the poll was not called");
    assert!(matches!(desk.says_go("ana"), Err(Refusal::NotCalledYet { .. })));
    desk.ask("ana", Request::Poll).unwrap();
    // Silence is no-go, and nobody's go stands for another's.
    assert_eq!(desk.why_locked(), "no answer from ana, cy, dan, sue");
    for (name, left) in [("sue", "ana, cy, dan"), ("cy", "ana, dan"), ("ana", "dan")] {
        assert_eq!(desk.says_go(name).unwrap(), ["PollAnswered"]);
        assert_eq!(desk.why_locked(), format!("no answer from {left}"));
    }
    desk.says_go("dan").unwrap();
    assert_eq!(desk.arm("ana").unwrap(), ["StepArmed"]);
    assert_eq!(desk.says_go("dan").unwrap(), [""; 0], "said twice it is no news");
}

#[test]
fn routine_steps_are_not_locked_and_a_plan_without_a_poll_locks_nothing() {
    let mut desk = Desk::polled();
    let clean = StepId::new("clean").unwrap();
    assert_eq!(desk.ask("ana", Request::Arm { step: clean, covers: None }).unwrap(), [""; 0]);
    let mut desk = Desk::new();
    assert!(matches!(desk.ask("ana", Request::Poll), Err(Refusal::NoPoll)));
    assert_eq!(desk.arm("ana").unwrap(), ["StepArmed"]);
}

#[test]
fn whatever_takes_the_go_away_voids_what_is_armed() {
    type Does = fn(&mut Desk) -> Result<Vec<&'static str>, Refusal>;
    let cases: [(&str, Does, &[&str], &str); 6] = [
        ("no-go", |desk| desk.says_no("cy"), &["PollAnswered", "StepVoided"], "NO-GO by cy: the bank is closed"),
        ("a shift that ends", |desk| desk.sits("tom"), &["SeatTaken", "StepVoided"], "no answer from tom"),
        (
            "an answer that changes",
            |desk| desk.answers("cy", "told", "yes, and by post"),
            &["ChecklistAnswered", "StepVoided"],
            "the checklist changed since the go of ana, cy, dan, sue",
        ),
        (
            "an answer that turns no",
            |desk| desk.answers("cy", "told", "no, nobody"),
            &["ChecklistAnswered", "StepVoided"],
            "told was answered by cy: no, nobody",
        ),
        (
            "another poll",
            |desk| desk.ask("ana", Request::Poll),
            &["PollCalled", "StepVoided"],
            "no answer from ana, cy, dan, sue",
        ),
        (
            "somebody unfit",
            |desk| desk.ask("dan", Request::Available { fit: false, until: None, why: "fever".into() }),
            &["AvailabilityStated", "StepVoided"],
            "dan is not fit to fly: fever",
        ),
    ];
    for (name, does, events, why) in cases {
        for armed in [false, true] {
            let mut desk = Desk::all_go();
            if armed {
                desk.arm("ana").unwrap();
            }
            assert_eq!(does(&mut desk).unwrap(), events[..1 + usize::from(armed)], "{name}");
            assert!(desk.lock().starts_with(why), "{name}: {}", desk.lock());
            assert!(desk.why_locked().starts_with(why), "{name}");
            if armed {
                let voided = desk.session.steps["drop"].voided.clone().unwrap();
                assert!(voided.starts_with(&format!("the poll is not go: {why}")), "{name}: {voided}");
            }
        }
    }
}

#[test]
fn who_leaves_changes_presence_alone_and_still_nothing_runs_without_them() {
    let mut desk = Desk::all_go();
    desk.clear();
    desk.leave("sue", 4);
    assert_eq!(desk.session.steps["drop"].phase, Phase::Cleared, "a connection that broke voids nothing");
    assert_eq!(desk.lock(), "the seat status page is empty: sue is gone");
    assert!(matches!(desk.run("ana"), Err(Refusal::NotGo { .. })));
    desk.join("sue", "sue", 14);
    desk.run("ana").unwrap();
    desk.read(Status::Ok);
    // Between run and intent as well.
    desk.leave("sue", 14);
    assert_eq!(desk.recheck(), ["StepVoided"]);
    // A shadow who leaves is not asked any more; one who comes is.
    let mut desk = Desk::all_go();
    desk.join("bo", "bo", 20);
    assert_eq!(desk.lock(), "no answer from bo");
    desk.leave("bo", 20);
    assert_eq!(desk.lock(), "");
    // But not fewer than the step needs, and a no-go outlasts its giver.
    desk.says_no("dan").unwrap();
    desk.leave("dan", 3);
    assert_eq!(desk.lock(), "NO-GO by dan: the bank is closed | 1 more shadow(s) have to be here");
    desk.join("dan", "dan", 30);
    assert_eq!(desk.says_go("dan").unwrap(), ["PollAnswered"]);
    assert_eq!(desk.lock(), "");
}

#[test]
fn a_go_means_what_its_author_had_read() {
    let mut desk = Desk::polled();
    desk.board();
    desk.ask("ana", Request::Poll).unwrap();
    let early = go(&desk);
    desk.answers("cy", "told", "no").unwrap();
    assert!(matches!(desk.ask("dan", early), Err(Refusal::BoardChanged)));
    let old = go(&desk);
    desk.ask("ana", Request::Poll).unwrap();
    assert!(matches!(desk.ask("dan", old), Err(Refusal::OtherPoll { asked: 1, now: 2 })));
    let other = Request::NoGo { poll: desk.session.preflight.number() + 1, why: "no".into() };
    assert!(matches!(desk.ask("cy", other), Err(Refusal::OtherPoll { .. })));
}

#[test]
fn who_takes_over_the_lead_must_have_answered() {
    let mut desk = Desk::all_go();
    desk.join("bo", "bo", 20);
    desk.handover("ana", "bo").unwrap();
    assert_eq!(desk.lock(), "no answer from bo");
    assert!(matches!(desk.ask("bo", Request::Arm { step: drop_step(), covers: None }), Err(Refusal::NotGo { .. })));
    desk.says_go("bo").unwrap();
    assert_eq!(desk.lock(), "");
}

#[test]
fn the_poll_is_over_once_the_first_critical_step_was_begun() {
    let mut desk = Desk::all_go();
    desk.start();
    assert!(desk.session.preflight.over.is_some() && !desk.session.is_polled());
    assert!(matches!(desk.says_no("cy"), Err(Refusal::PollOver)));
    assert!(matches!(desk.says_go("cy"), Err(Refusal::PollOver)));
    assert!(matches!(desk.answers("cy", "told", "no"), Err(Refusal::PollOver)));
    assert!(matches!(desk.ask("ana", Request::Poll), Err(Refusal::PollOver)));
    // A seat changes hands all the same, and whoever holds it may take note of how the step ended.
    desk.sits("tom").unwrap();
    desk.end(1);
    assert!(matches!(desk.settle("sue"), Err(Refusal::ShadowOrSeat { .. })));
    assert_eq!(desk.settle("tom").unwrap(), ["Acknowledged"]);
    assert_eq!(desk.arm("ana").unwrap(), ["StepArmed"], "another attempt needs no other poll");
}

#[test]
fn who_may_say_what() {
    let mut desk = Desk::polled();
    assert_eq!(
        CREW.map(|name| desk.session.role(&who(name)).word()),
        ["lead", "shadow", "shadow", "seat", "seat", "observer"]
    );
    assert!(matches!(desk.sits("cy"), Err(Refusal::NotYourSeat { .. })));
    let seat = Request::Seat { seat: "galley".into() };
    assert!(matches!(desk.ask("sue", seat), Err(Refusal::NoSuchSeat { .. })));
    assert!(matches!(desk.answers("sue", "restored", "x"), Err(Refusal::NotYourItem { .. })), "not before she sits");
    assert!(matches!(desk.answers("sue", "nope", "x"), Err(Refusal::NoSuchItem { .. })));
    desk.sits("sue").unwrap();
    assert!(matches!(desk.answers("ana", "restored", "x"), Err(Refusal::NotYourItem { .. })), "nor the lead for her");
    assert!(matches!(desk.answers("sue", "restored", "  "), Err(Refusal::NoReason)));
    assert!(matches!(desk.answers("cy", "told", "maybe"), Err(Refusal::NotAnAnswer { .. })));
    assert!(matches!(desk.answers("cy", "since", "this morning"), Err(Refusal::NotAnAnswer { .. })));
    assert!(matches!(desk.ask("cy", Request::Poll), Err(Refusal::LeadOnly { .. })));
    desk.ask("ana", Request::Poll).unwrap();
    assert!(matches!(desk.says_go("tom"), Err(Refusal::NotAsked { .. })), "who holds no seat has no voice");
    assert_eq!(desk.says_no("tom").unwrap(), ["PollAnswered"], "but everyone of the crew may say no");
    for request in [go(&desk), Request::Available { fit: true, until: None, why: String::new() }] {
        assert!(matches!(desk.ask("olga", request), Err(Refusal::Observer { .. })));
    }
    for request in [
        Request::Mark { text: "x".into() },
        Request::Poll,
        Request::Close { note: String::new() },
        Request::Arm { step: drop_step(), covers: None },
        Request::Release,
        Request::Interrupt { step: drop_step(), force: true },
    ] {
        if request == Request::Release {
            desk.andon("cy");
        }
        assert!(matches!(desk.ask("sue", request.clone()), Err(Refusal::SeatOnly { .. })), "{request:?}");
    }
    desk.ask("sue", Request::Say { text: "hello".into() }).unwrap();
    desk.andon("sue");
    assert_eq!(desk.ask("sue", Request::Release).unwrap(), ["AndonReleased"], "her own pull she may release");
}

#[test]
fn time_that_is_too_short_is_told_to_everyone() {
    let mut desk = Desk::polled();
    desk.fit("cy", None);
    desk.fit("dan", Some(150));
    assert_eq!(desk.session.time_warnings(desk.now), [""; 0]);
    desk.fit("ana", Some(100));
    let told = desk.session.recent.back().unwrap().text.clone();
    assert!(told.contains("ana is fit to fly, until ") && told.contains("WARNING: ana is available until"), "{told}");
    // Waiting makes it worse: what has not begun ends later and later.
    desk.wait(40 * 60);
    assert_eq!(desk.session.time_warnings(desk.now).len(), 2);
    // Those who are gone and hold no seat are not waited for.
    desk.leave("dan", 3);
    assert_eq!(desk.session.time_warnings(desk.now).len(), 1);
    let past = Request::Available { fit: true, until: Some(desk.now), why: String::new() };
    assert!(matches!(desk.ask("cy", past), Err(Refusal::TimePassed { .. })));
    let unfit = Request::Available { fit: false, until: None, why: " ".into() };
    assert!(matches!(desk.ask("cy", unfit), Err(Refusal::NoReason)));
}

#[test]
fn the_andon_is_tried_by_pulling_it() {
    let mut desk = Desk::polled();
    for name in ["ana", "sue"] {
        desk.andon(name);
    }
    assert!(desk.session.line.is_stopped(), "a pull is a pull");
    assert_eq!(desk.session.preflight.tried.keys().map(Principal::as_str).collect::<Vec<_>>(), ["ana", "sue"]);
}

#[test]
fn what_was_said_survives_the_hub_and_a_snapshot() {
    let mut desk = Desk::all_go();
    desk.recover(false);
    assert!(desk.lock().starts_with("the seat status page is empty: sue is gone"), "{}", desk.lock());
    for (connection, name) in (50..).zip(CREW) {
        desk.join(name, name, connection);
    }
    assert_eq!(desk.lock(), "", "nobody has to say it again");
    let text = serde_json::to_string(&desk.session).unwrap();
    let back: Session = serde_json::from_str(&text).unwrap();
    assert_eq!(back, desk.session);
}

#[test]
fn times_are_read_as_people_type_them() {
    let now = At::try_from("2026-11-21T15:00:00Z".to_owned()).unwrap();
    for (typed, meant) in [
        ("16:30", Some("2026-11-21T16:30:00.000000Z")),
        ("14:59", Some("2026-11-22T14:59:00.000000Z")),
        ("16:30:05", Some("2026-11-21T16:30:05.000000Z")),
        ("2026-11-21", Some("2026-11-21T00:00:00.000000Z")),
        ("2026-11-21 16:30", Some("2026-11-21T16:30:00.000000Z")),
        ("2026-11-21T18:30:00+02:00", Some("2026-11-21T16:30:00.000000Z")),
        ("25:00", None),
        ("1630", None),
        ("soon", None),
        ("", None),
        ("99999-01-01", None),
    ] {
        assert_eq!(At::typed(typed, now).map(|at| at.to_string()).as_deref(), meant, "{typed}");
    }
}

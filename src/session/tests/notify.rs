//! What is due to be told to those outside follows from the lines alone.

use super::*;
use crate::plan::Occasion;
use crate::session::{Telling, WAITING_MAX};

fn plan() -> String {
    let one = "[[notify]]\non = [\"opened\", \"waiting\", \"andon\", \"failed\", \"done\", \"cleared\"]\nrun = [\"./tell\"]\n";
    let two = "[[notify]]\nname = \"chat\"\non = [\"andon\", \"released\"]\nwebhook = \"https://chat.example.org/\"\n";
    format!("{PLAN}{one}{two}")
}

impl Desk {
    fn due(&self, notify: u32) -> Vec<Occasion> {
        self.session.due_for(notify).map(|(_, due)| due.occasion).collect()
    }
    fn first(&self, notify: u32) -> u64 {
        self.session.due_for(notify).next().expect("something is due").0
    }
}

fn desk() -> Desk {
    let mut desk = Desk::manned(&plan());
    desk.read(Status::Ok);
    desk
}

#[test]
fn what_is_due_is_told_once_to_each_who_asked_for_it() {
    let mut desk = desk();
    assert_eq!((desk.due(1), desk.due(2)), (vec![Occasion::Opened], vec![]));
    desk.arm("ana").unwrap();
    let waiting = desk.session.due_for(1).last().expect("it waits").1.clone();
    assert_eq!(waiting.waited_for, [who("bo"), who("cy"), who("dan")], "all but the lead");
    assert_eq!((waiting.event.as_str(), waiting.attempt), ("StepArmed", Some(1)));
    desk.ask("cy", Request::Andon { why: "hm".into() }).unwrap();
    desk.wait(1);
    desk.ask("cy", Request::Andon { why: "again".into() }).unwrap();
    assert_eq!(desk.due(2), [Occasion::Andon], "who pulls it again says nothing new");
    let seq = desk.first(2);
    assert_eq!(desk.see(Fact::Told { notify: 2, of: seq, tries: 1 }), ["Notified"]);
    assert!(desk.due(2).is_empty());
    assert_eq!(
        desk.due(1),
        [Occasion::Opened, Occasion::Waiting, Occasion::Andon],
        "the other place is still to be told"
    );
    for fact in [
        Fact::Told { notify: 2, of: seq, tries: 1 },
        Fact::Told { notify: 9, of: seq, tries: 1 },
        Fact::NotTold { notify: 2, of: vec![seq, 10_000], tries: 4, why: "no".into() },
    ] {
        assert!(desk.see(fact.clone()).is_empty(), "{fact:?}");
    }
}

#[test]
fn a_dead_hook_writes_one_line_a_minute() {
    let mut desk = desk();
    let opened = desk.first(1);
    let failed = |of: &[u64]| Fact::NotTold { notify: 1, of: of.to_vec(), tries: 4, why: "refused".into() };
    assert_eq!(desk.see(failed(&[opened])), ["NotifyFailed"]);
    assert_eq!(desk.session.untold().collect::<Vec<_>>(), [("notify 1", "refused")]);
    desk.arm("ana").unwrap();
    desk.ask("cy", Request::Andon { why: "hm".into() }).unwrap();
    let of: Vec<u64> = desk.session.due_for(1).map(|(seq, _)| seq).collect();
    assert_eq!(of.len(), 2);
    assert!(!desk.session.failure_may_be_written(1, desk.now));
    assert!(desk.see(failed(&of)).is_empty());
    assert_eq!(desk.due(1).len(), 2, "not forgotten");
    desk.wait(60);
    desk.see(Fact::Tick);
    assert_eq!(desk.see(failed(&of)), ["NotifyFailed"]);
    assert!(desk.due(1).is_empty());
    assert_eq!(desk.session.telling.places[&1].failed, 3);
}

#[test]
fn what_waits_is_bounded() {
    let mut desk = desk();
    let mut lines = 0;
    // Decided as it is, without the time that `ask` lets pass before: every line that time writes is counted.
    let say = |desk: &mut Desk, name: &str, request: Request| {
        let events = decide(&desk.session, desk.now, &Author::new(who(name), name), &request).unwrap();
        desk.fold(&who(name), events);
    };
    for _ in 0..10 * WAITING_MAX {
        say(&mut desk, "cy", Request::Andon { why: String::new() });
        say(&mut desk, "cy", Request::Release);
        say(&mut desk, "ana", Request::Release);
        lines += desk.wait(1).iter().filter(|kind| **kind == "NotifyFailed").count();
        assert!(desk.due(2).len() <= WAITING_MAX + 2, "{}", desk.due(2).len());
    }
    assert_eq!(desk.due(1).first(), Some(&Occasion::Opened), "what may be under way stays");
    assert!(lines > 20 && lines < 100, "{lines} lines for {} occasions", 20 * WAITING_MAX);
}

#[test]
fn a_plan_that_tells_nobody_owes_nothing() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    desk.ask("cy", Request::Andon { why: "hm".into() }).unwrap();
    assert_eq!(desk.session.telling, Telling::default());
    assert!(!serde_json::to_string(&desk.session).unwrap().contains("telling"));
}

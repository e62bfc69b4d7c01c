//! Who types which field, and what a wrong one costs.

use super::*;
use crate::event::FieldSeen;
use crate::session::readback::{hidden, masked};

fn plan() -> String {
    let plan = a::plan().shadow(&["bo", "cy", "dan"]);
    let plan = plan.table("[params.old]", "default = \"orders_v1\"").table("[params.host]", "default = \"eu1\"");
    let plan = plan.step("drop").irreversible().with("run = [\"./drop\", \"{{ old }}\", \"{{ host }}\"]");
    plan.with("readback = [\"old\", \"host\"]").text()
}

fn desk() -> Desk {
    let mut desk = Desk::manned(&plan());
    let values = [("old", "orders_v1"), ("host", "eu1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let covers = desk.covers("one");
    assert_eq!(covers.readback, FieldSeen::all(values.into()));
    let forgotten = Covers { readback: vec![], ..covers.clone() };
    assert!(desk.ask("ana", Request::Arm { step: drop_step(), covers: Some(Box::new(forgotten)) }).is_err());
    desk.ask("ana", Request::Arm { step: drop_step(), covers: Some(Box::new(covers)) }).unwrap();
    for name in ["bo", "cy", "dan"] {
        desk.ask(name, Request::OpenCheck { step: drop_step(), attempt: 1 }).unwrap();
    }
    desk
}
impl Desk {
    fn type_in(&mut self, name: &str, field: &str, value: &str) -> Result<Vec<&'static str>, Refusal> {
        let (field, value) = (field.into(), value.into());
        self.ask(name, Request::ReadBack { step: drop_step(), attempt: 1, field, value })
    }
    fn owes(&self, name: &str) -> Vec<String> {
        let (_, _, armed) = self.session.open_step().unwrap();
        armed.owes_read_back(&who(name)).iter().map(|field| field.name.clone()).collect()
    }
}

#[test]
fn those_who_clear_a_step_have_read_back_all_of_it_between_them() {
    let mut desk = desk();
    assert_eq!(["bo", "cy", "dan"].map(|name| desk.owes(name)), [["old"], ["host"], ["old"]]);
    assert!(matches!(desk.check("bo"), Err(Refusal::ReadBackOwed { fields }) if fields == ["old"]));
    let other = desk.type_in("bo", "host", "eu1").unwrap_err();
    assert!(matches!(&other, Refusal::OtherField { fields, .. } if *fields == ["old"]), "{other}");
    assert!(matches!(desk.type_in("ana", "old", "orders_v1"), Err(Refusal::OwnStep { .. })));
    assert_eq!(desk.type_in("bo", "old", " orders_v1 ").unwrap(), ["ReadBack"]);
    assert!(desk.type_in("bo", "old", "orders_v1").unwrap().is_empty(), "said twice it is no news");
    assert_eq!(desk.check("bo").unwrap(), ["CrossChecked"]);
    // What dan was to type is typed, and somebody has to type the rest, whoever of the two comes.
    assert_eq!((desk.owes("cy"), desk.owes("dan")), (vec!["host".to_owned()], vec!["host".to_owned()]));
    desk.type_in("dan", "host", "eu1").unwrap();
    assert_eq!(desk.check("dan").unwrap(), ["CrossChecked", "StepCleared"]);
}

#[test]
fn three_wrong_values_and_somebody_is_out_and_everyone_sees_it() {
    let mut desk = desk();
    for left in [2, 1] {
        let wrong = desk.type_in("bo", "old", "orders_v2").unwrap_err();
        assert!(matches!(&wrong, Refusal::ReadBackWrong { left: l, .. } if *l == left), "{wrong}");
        let text = wrong.to_string();
        assert!(!text.contains("orders_v"), "neither the right nor the wrong value: {text}");
    }
    assert!(matches!(desk.type_in("bo", "old", "x"), Err(Refusal::ReadBackOut { .. })));
    assert!(matches!(desk.type_in("bo", "old", "orders_v1"), Err(Refusal::ReadBackSpent { .. })));
    assert!(matches!(desk.check("bo"), Err(Refusal::ReadBackSpent { .. })));
    let told = desk.session.recent.iter().map(|told| told.text.as_str()).collect::<Vec<_>>().join("\n");
    assert!(told.contains("bo read back old of 01 drop WRONG for the third time"), "{told}");
    assert!(!told.contains("orders_v2"), "{told}");
    // The others still can; the next attempt is a new one.
    desk.type_in("dan", "old", "orders_v1").unwrap();
    desk.check("dan").unwrap();
    desk.ask("ana", Request::Disarm { step: drop_step(), attempt: 1 }).unwrap();
    let mut covers = desk.covers("one");
    covers.readback = FieldSeen::all(vec![("old".into(), "orders_v1".into()), ("host".into(), "eu1".into())]);
    desk.ask("ana", Request::Arm { step: drop_step(), covers: Some(Box::new(covers)) }).unwrap();
    assert!(desk.session.open_step().unwrap().2.readers.is_empty());
}

#[test]
fn what_somebody_has_to_type_is_not_on_their_screen() {
    let mut desk = desk();
    let hidden_from = |desk: &Desk, name: &str| hidden(&desk.session, &drop_step(), &who(name)).len();
    assert_eq!(["ana", "bo", "cy"].map(|name| hidden_from(&desk, name)), [0, 2, 2]);
    let values = hidden(&desk.session, &drop_step(), &who("bo"));
    assert_eq!(masked("drop orders_v1 on eu1", &values), "drop <old> on <host>");
    desk.type_in("bo", "old", "orders_v1").unwrap();
    assert_eq!(["bo", "cy"].map(|name| hidden_from(&desk, name)), [0, 2]);
    desk.ask("ana", Request::Disarm { step: drop_step(), attempt: 1 }).unwrap();
    assert_eq!(["ana", "bo", "cy"].map(|name| hidden_from(&desk, name)), [0, 2, 2], "nobody has it from before");
}

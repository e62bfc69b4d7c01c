//! What the lead types to a running command, and the probe of a step that has to be judged.

use super::*;
use crate::session::request::Typed;

fn plan(input: &str) -> String {
    let plan = a::plan().shadow(&["bo", "cy", "dan"]).step("drop").irreversible().with(&format!("input = {input:?}"));
    plan.with("probe = [\"./probe\"]").step("clean").text()
}

impl Desk {
    fn typing(input: &str) -> Desk {
        let mut desk = Desk::manned(&plan(input));
        desk.arm("ana").unwrap();
        desk.check("cy").unwrap();
        desk.check("dan").unwrap();
        desk.run("ana").unwrap();
        assert_eq!(desk.recheck(), ["RunIntended"]);
        desk
    }
    fn type_line(&mut self, name: &str, text: &str, hidden: Option<bool>) -> Result<Vec<&'static str>, Refusal> {
        self.ask(name, Request::Type { step: drop_step(), attempt: 1, text: Typed(text.into()), hidden })
    }
    fn last_told(&self) -> &str {
        &self.session.recent.back().unwrap().text
    }
}

#[test]
fn only_the_lead_types_only_while_it_runs_and_hidden_text_is_nowhere() {
    let mut desk = Desk::typing("lead");
    assert!(matches!(desk.type_line("ana", "yes", Some(false)), Err(Refusal::NotRunning { .. })), "no process yet");
    desk.spawned();
    assert!(matches!(desk.type_line("bo", "yes", Some(false)), Err(Refusal::LeadOnly { .. })));
    assert!(matches!(desk.type_line("ana", "yes", None), Err(Refusal::NotRunning { .. })), "it has no terminal");
    assert_eq!(desk.type_line("ana", "yes", Some(false)).unwrap(), ["InputWritten"]);
    assert_eq!(desk.last_told(), "ana typed to 01 drop: yes");
    assert_eq!(desk.type_line("ana", "hunter2", Some(true)).unwrap(), ["InputWritten"]);
    assert_eq!(desk.last_told(), "ana typed 7 characters to 01 drop, hidden");
    assert!(!format!("{:?}", desk.session).contains("hunter2"));
    let long = "x".repeat(4001);
    assert!(matches!(desk.type_line("ana", &long, Some(false)), Err(Refusal::TypedTooLong(4001))));
    assert!(matches!(desk.type_line("ana", "a\u{3}b", Some(false)), Err(Refusal::TypedControl)));
    assert_eq!(desk.type_line("ana", "", Some(false)).unwrap(), ["InputWritten"], "Enter alone is an answer");
    desk.end(0);
    assert!(matches!(desk.type_line("ana", "yes", Some(false)), Err(Refusal::NotRunning { .. })));
}

#[test]
fn a_step_takes_what_its_plan_lets_it_take() {
    let mut desk = Desk::typing("hidden-only");
    desk.spawned();
    let refused = desk.type_line("ana", "hunter2", Some(false)).unwrap_err();
    assert!(matches!(refused, Refusal::EchoOn { .. }) && !refused.to_string().contains("hunter2"));
    assert_eq!(desk.type_line("ana", "hunter2", Some(true)).unwrap(), ["InputWritten"]);
    let request = Request::Type { step: drop_step(), attempt: 1, text: Typed("hunter2".into()), hidden: None };
    assert!(!format!("{request:?} {}", request.describe()).contains("hunter2"), "no log and no refusal tells it");
    let mut desk = Desk::typing("none");
    desk.spawned();
    assert!(matches!(desk.type_line("ana", "yes", Some(true)), Err(Refusal::TakesNoInput { .. })));
}

#[test]
fn a_probe_informs_who_has_to_judge_and_changes_nothing_of_how_the_step_stands() {
    let mut desk = Desk::typing("none");
    let probe = || Request::Probe { step: drop_step() };
    assert!(matches!(desk.ask("bo", probe()), Err(Refusal::Phase { .. })), "nothing has to be judged yet");
    desk.spawned();
    desk.recover(false);
    assert_eq!(desk.state().0, Phase::Unknown);
    desk.andon("bo");
    assert!(matches!(desk.ask("olga", probe()), Err(Refusal::Observer { .. })));
    assert_eq!(desk.ask("bo", probe()).unwrap(), ["ProbeIntended"], "an andon holds nobody from looking");
    assert!(matches!(desk.ask("cy", probe()), Err(Refusal::Probing { .. })));
    let end = RunEnd::Exited { code: 3 };
    let over = Fact::Probed { step: drop_step(), attempt: 1, end, says: "half".into(), output: Some((4, Hash::ZERO)) };
    assert_eq!(desk.see(over.clone()), ["OutputWritten", "ProbeEnded"]);
    assert_eq!(desk.last_told(), "the probe of 01 drop is over: exit 3: half");
    assert!(desk.see(over).is_empty(), "told twice, it counts once");
    assert_eq!(desk.state().0, Phase::Unknown);
    let run = desk.session.steps["drop"].run.clone().unwrap();
    assert_eq!((run.output_bytes, run.probe_bytes), (0, 4));
    // A hub that dies meanwhile leaves nobody waiting.
    desk.ask("bo", probe()).unwrap();
    desk.recover(false);
    assert_eq!(desk.ask("bo", probe()).unwrap(), ["ProbeIntended"]);
    let clean = Request::Probe { step: StepId::new("clean").unwrap() };
    assert!(matches!(desk.ask("bo", clean), Err(Refusal::NoProbe { .. })));
}

//! What the lead changes of a plan while it is flown, and what a preview says between check and run.

use super::*;
use crate::event::{Cause, Deviation, PreviewSeen};
use crate::session::Unfrozen;

fn changeable() -> String {
    let plan = a::plan().lead(&["ana", "bo"]).shadow(&["bo", "cy", "dan"]);
    let plan = plan.table("[params.host]", "default = \"db-1\"\npattern = \"db-[0-9]\"").table("[params.table]", "");
    let plan = plan.watch("api").with("address = \"{{ host }}:1\"\nstale_after = \"60s\"");
    let plan = plan.step("drop").with("run = [\"./drop\", \"{{ table }}\"]").gates(&["api"]);
    plan.with("preview = { run = [\"./count\"], expect = \"1..9\" }").step("clean").with("after = []").text()
}

impl Desk {
    fn changed() -> Desk {
        let mut desk = Desk::manned(&changeable());
        desk.read(Status::Ok);
        desk
    }
    fn set(&mut self, who: &str, name: &str, value: &str, why: &str) -> Result<Vec<&'static str>, Refusal> {
        self.ask(who, Request::Set { name: name.into(), value: value.into(), why: why.into() })
    }
    fn edit(&mut self, run: &str, why: &str) -> Result<Vec<&'static str>, Refusal> {
        self.ask("ana", Request::Edit { step: drop_step(), run: run.into(), why: why.into() })
    }
    /// What would be frozen of the step now; its preview says so many rows.
    fn seen(&self, rows: u32) -> Covers {
        let output = format!("{rows} rows\n");
        let covers = self.covers("one");
        Covers {
            params: self.session.params.clone(),
            preview: Some(PreviewSeen {
                command: covers.command.clone(),
                expect: "1 to 9".into(),
                sha256: Hash::of(output.as_bytes()),
                value: rows.to_string(),
                output,
            }),
            ..covers
        }
    }
    fn arm_seen(&mut self, rows: u32) -> Result<Vec<&'static str>, Refusal> {
        let covers = Some(Box::new(self.seen(rows)));
        self.ask("ana", Request::Arm { step: drop_step(), covers })
    }
    fn checked(&mut self) {
        self.set("ana", "table", "t1", "").unwrap();
        self.arm_seen(5).unwrap();
        self.run("ana").unwrap();
        self.read(Status::Ok);
    }
    fn recheck_seen(&mut self, now: Result<Covers, Unfrozen>) -> Option<Cause> {
        let events = observe(&self.session, self.now, &self.try_now().frozen_again(now));
        self.fold(&Principal::hub(), events.clone());
        events.into_iter().find_map(|event| match event {
            Event::StepVoided { cause, .. } => Some(cause),
            _ => None,
        })
    }
    /// The state that a late joiner gets is the one that everyone has.
    pub(super) fn survives_a_snapshot(&self) {
        let text = serde_json::to_string(&self.session).unwrap();
        assert_eq!(serde_json::from_str::<Session>(&text).unwrap(), self.session);
    }
}

#[test]
fn a_preview_that_changed_or_failed_voids_what_was_about_to_run() {
    let mut desk = Desk::changed();
    desk.checked();
    assert_eq!(desk.recheck_seen(Ok(desk.seen(5))), None);
    assert_eq!(desk.state().0, Phase::Intended);

    let mut desk = Desk::changed();
    desk.checked();
    let changed = desk.recheck_seen(Ok(desk.seen(6))).unwrap();
    assert_eq!(changed, Cause::PreviewChanged { was: "\"5 rows\"".into(), now: "\"6 rows\"".into() });
    assert_eq!(changed.to_string(), "preview said \"5 rows\", now says \"6 rows\"");

    let mut desk = Desk::changed();
    desk.checked();
    let failed = desk.recheck_seen(Err(Unfrozen::Preview("it failed (exit 1)".into()))).unwrap();
    assert_eq!(failed, Cause::PreviewFailed { why: "it failed (exit 1)".into() });

    // Bytes come first: where the preview itself is another one, what it says means nothing.
    let mut desk = Desk::changed();
    desk.checked();
    let mut other = desk.seen(6);
    other.preview.as_mut().unwrap().command.argv.push("--all".into());
    let changed = desk.recheck_seen(Ok(other)).unwrap();
    assert!(matches!(&changed, Cause::BytesChanged { what } if what.starts_with("preview: arguments")), "{changed}");
}

#[test]
fn another_line_of_a_preview_than_its_last_counts_as_well() {
    let mut desk = Desk::changed();
    desk.checked();
    let mut now = desk.seen(5);
    let preview = now.preview.as_mut().unwrap();
    preview.output = "on db-2\n5 rows\n".into();
    preview.sha256 = Hash::of(preview.output.as_bytes());
    let cause = desk.recheck_seen(Ok(now)).unwrap();
    assert_eq!(cause, Cause::PreviewChanged { was: "\"5 rows\"".into(), now: "\"on db-2\"".into() });
}

#[test]
fn a_parameter_is_set_by_the_lead_and_as_the_plan_wants_it() {
    let mut desk = Desk::changed();
    assert!(matches!(desk.set("cy", "table", "t1", ""), Err(Refusal::LeadOnly { .. })));
    for (name, value, words) in
        [("tabel", "t1", "table"), ("host", "prod", "db-[0-9]"), ("table", "a\u{202e}b", "202e")]
    {
        let no = desk.set("ana", name, value, "why").unwrap_err();
        assert!(matches!(&no, Refusal::Param(_)) && no.to_string().contains(words), "{no}");
    }
    assert_eq!(desk.set("ana", "table", "t1", "").unwrap(), ["ParamSet"]);
    assert_eq!(desk.set("ana", "table", "t1", "").unwrap(), [""; 0]);
    assert!(matches!(desk.set("ana", "host", "db-2", "  "), Err(Refusal::DeviationWhy { .. })));
    assert_eq!(desk.set("ana", "host", "db-1", "").unwrap(), [""; 0], "it has the default already");
    desk.survives_a_snapshot();
}

#[test]
fn a_deviation_makes_a_routine_step_critical_and_voids_what_is_armed() {
    let mut desk = Desk::changed();
    desk.set("ana", "table", "t1", "").unwrap();
    assert_eq!(desk.arm_seen(5).unwrap(), ["StepArmed", "StepCleared"], "routine as planned");
    assert_eq!(desk.set("ana", "host", "db-2", "the first is down").unwrap(), ["ParamSet", "StepVoided", "GateTurned"]);
    assert!(desk.session.steps["drop"].voided.as_deref().is_some_and(|why| why.contains("host")));
    // Its gate looks at another host now: what was read before says nothing.
    assert!(matches!(desk.arm_seen(5), Err(Refusal::Gate { .. })));
    desk.read(Status::Ok);
    assert_eq!(desk.arm_seen(5).unwrap(), ["StepArmed"]);
    assert!(matches!(desk.run("ana"), Err(Refusal::Quorum { missing: 1 })));
    assert!(matches!(
        &desk.session.open_step().unwrap().2.covers.covers().deviations[..],
        [Deviation::Param { name, planned, value, .. }] if (name.as_str(), planned.as_str(), value.as_str()) == ("host", "db-1", "db-2")
    ));
    assert_eq!(desk.check("cy").unwrap(), ["CrossChecked", "StepCleared"]);
    desk.survives_a_snapshot();
    // Handed over and taken up again, it stays set.
    desk.handover("ana", "bo").unwrap();
    desk.recover(false);
    assert_eq!(desk.session.params["host"], "db-2");
    assert_eq!(desk.session.plan.steps[0].checks, 1);
    // Back to the default it is as planned again.
    desk.join("bo", "bo", 22);
    assert_eq!(desk.set("bo", "host", "db-1", "").unwrap(), ["ParamSet", "GateTurned"]);
    assert!(desk.session.plan.steps[0].deviations.is_empty() && desk.session.plan.steps[0].checks == 0);
}

#[test]
fn what_was_frozen_before_a_change_is_not_armed_after_it() {
    let mut desk = Desk::changed();
    desk.set("ana", "table", "t1", "").unwrap();
    let before = desk.seen(5);
    desk.set("ana", "table", "t2", "").unwrap();
    let arm = |covers: &Covers| Request::Arm { step: drop_step(), covers: Some(Box::new(covers.clone())) };
    assert!(matches!(desk.ask("ana", arm(&before)), Err(Refusal::CannotFreeze(_))));
    let before = desk.seen(5);
    desk.edit("./other", "why").unwrap();
    assert!(matches!(desk.ask("ana", arm(&before)), Err(Refusal::CannotFreeze(_))));
}

#[test]
fn nothing_is_changed_while_something_runs_or_a_word_is_owed() {
    let mut desk = Desk::changed();
    desk.checked();
    assert_eq!(desk.recheck_seen(Ok(desk.seen(5))), None);
    desk.spawned();
    for owed in [false, true] {
        let adhoc = Request::AdHoc { run: "./fix".into(), why: "why".into(), covers: None };
        for no in [desk.set("ana", "table", "t2", ""), desk.edit("./other", "why"), desk.ask("ana", adhoc)] {
            assert!(matches!(no, Err(Refusal::Busy { .. } | Refusal::Owed { .. })), "{no:?}");
        }
        if !owed {
            desk.end(1);
        }
    }
    desk.ask("cy", Request::Ack { step: drop_step(), why: "seen".into() }).unwrap();
    assert_eq!(desk.set("ana", "table", "t2", "").unwrap(), ["ParamSet"]);
    // What ran keeps what it ran with.
    assert_eq!(desk.session.steps["drop"].armed.as_ref().unwrap().covers.covers().params["table"], "t1");
}

#[test]
fn a_typed_command_is_a_step_from_when_it_is_armed() {
    let mut desk = Desk::changed();
    let adhoc = |run: &str, why: &str, covers: Option<Covers>| Request::AdHoc {
        run: run.into(),
        why: why.into(),
        covers: covers.map(Box::new),
    };
    assert!(matches!(desk.ask("cy", adhoc("./fix", "why", None)), Err(Refusal::LeadOnly { .. })));
    assert!(matches!(desk.ask("ana", adhoc("./fix", "", None)), Err(Refusal::DeviationWhy { .. })));
    assert!(matches!(desk.ask("ana", adhoc(" ", "why", None)), Err(Refusal::Typed(_))));
    assert!(matches!(desk.ask("ana", adhoc("a\u{200b}b", "why", None)), Err(Refusal::Typed(_))));
    assert_eq!(desk.ask("ana", adhoc("./fix", "why", None)).unwrap(), [""; 0], "the hub freezes it first");
    let step = crate::session::typed_step(&desk.session, &who("ana"), "./fix", "why");
    let covers = a::covers_of(&desk.session, &step, 1, desk.now).unwrap();
    assert_eq!(covers.checks, 1, "somebody checks it, critical or not");
    let unchecked = Covers { checks: 0, ..covers.clone() };
    assert!(matches!(desk.ask("ana", adhoc("./fix", "why", Some(unchecked))), Err(Refusal::CannotFreeze(_))));
    assert_eq!(desk.ask("ana", adhoc("./fix", "why", Some(covers))).unwrap(), ["StepAdded", "StepArmed"]);
    assert_eq!(desk.session.open_step().unwrap().0.id.as_str(), "adhoc-1");
    assert_eq!(desk.session.plan.number(&step.id), Some(3));
    desk.survives_a_snapshot();
    // Let go of, it keeps nobody waiting: the session is complete without it.
    desk.ask("ana", Request::Disarm { step: step.id, attempt: 1 }).unwrap();
    assert_eq!(desk.session.current_step().unwrap().0.id, drop_step());
}

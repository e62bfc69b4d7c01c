//! One test per refusal that the crew relies on. The desk below numbers and folds what `decide` and `observe` say.

use super::phase::Phase;
use super::refusal::Refusal;
use super::request::{Author, Request};
use super::{Fact, Session, decide, observe, on_record};
use crate::clock::At;
use crate::event::{CommandSeen, Covers, Event, Reading, Role, RollbackSeen, RunEnd, Settled, Status};
use crate::fixture::{self as a, line, step, watch, who};
use crate::hash::Hash;
use crate::name::{Principal, StepId};
use std::collections::BTreeMap;
use std::time::Duration;

const PLAN: &str = r#"
crosscheck = 1
name = "test"
environment = "test"
shadow_grace = "90s"
[crew]
lead = ["ana", "bo"]
shadow = ["ana", "bo", "cy", "dan"]
observer = "link"
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
stale_after = "60s"
[[step]]
id = "drop"
class = "irreversible"
run = ["./drop"]
gates = ["api"]
[[step]]
id = "clean"
run = ["./clean"]
"#;

mod arming;
mod drift;
mod every;
mod exceptions;
mod guards;
mod lists;
mod notify;
mod people;
mod preflight;
mod readback;
mod rehearsal;
mod remote;
mod rollback;
mod standing;
mod typing;
mod verify;
mod waiting;

/// A plan up to the end of its first step, an irreversible one that may be given more keys.
const DROP: &str = r#"
crosscheck = 1
name = "test"
environment = "test"
[crew]
lead = ["ana"]
shadow = ["bo", "cy", "dan"]
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
stale_after = "20s"
[[step]]
id = "drop"
class = "irreversible"
run = ["./drop"]
gates = ["api"]
"#;
/// A step after it that waits for nothing.
const CLEAN: &str = "[[step]]\nid = \"clean\"\nrun = [\"./clean\"]\nafter = []\n";

struct Desk {
    session: Session,
    now: At,
    /// Whether its commands run on another machine.
    remote: bool,
}

fn drop_step() -> StepId {
    step("drop")
}

fn opened(plan: &str, allowed_signers: Option<&str>, allowed_signers_digest: Option<Hash>) -> Event {
    a::opening(plan).signers(allowed_signers).signers_digest(allowed_signers_digest).event()
}

impl Desk {
    /// Everyone is here, the gate is ok.
    fn new() -> Desk {
        let mut desk = Desk::open(PLAN, None);
        for (connection, name) in (1..).zip(["ana", "bo", "cy", "dan", "olga"]) {
            desk.join(name, name, connection);
        }
        desk.read(Status::Ok);
        desk
    }
    /// Whoever leads and three who check are here; nothing was read.
    fn manned(plan: &str) -> Desk {
        let mut desk = Desk::open(plan, None);
        for (connection, name) in (1..).zip(["ana", "bo", "cy", "dan"]) {
            desk.join(name, name, connection);
        }
        desk
    }
    /// Nobody is here.
    fn open(plan: &str, allowed: Option<&str>) -> Desk {
        let now = a::start();
        let opened = opened(plan, allowed, allowed.map(|text| Hash::of(text.as_bytes())));
        let session = Session::open(&line(1, now, &Principal::hub(), opened), Hash::ZERO).unwrap();
        Desk { session, now, remote: false }
    }
    fn fold(&mut self, by: &Principal, events: Vec<Event>) -> Vec<&'static str> {
        let kinds = events.iter().map(Event::kind).collect();
        for event in events {
            self.session.apply(&line(self.session.seq + 1, self.now, by, event), Hash::ZERO);
        }
        kinds
    }
    fn see(&mut self, fact: Fact) -> Vec<&'static str> {
        let mut kinds = vec![];
        for each in fact.with_time() {
            let events = observe(&self.session, self.now, each);
            let folded = self.fold(&Principal::hub(), events);
            if *each == fact {
                kinds = folded;
            }
        }
        kinds
    }
    fn join(&mut self, name: &str, key: &str, connection: u64) {
        let role = self.session.role(&who(name));
        self.see(a::joined(&who(name), role, key, connection));
    }
    fn leave(&mut self, name: &str, connection: u64) {
        self.see(a::left(&who(name), connection));
    }
    fn read(&mut self, status: Status) -> Vec<&'static str> {
        self.take(a::reading(status))
    }
    /// The gate reads like that, asked for where a run was.
    fn take(&mut self, reading: Reading) -> Vec<&'static str> {
        let asked = self.session.open_step().and_then(|(_, _, armed)| armed.starting.as_ref()).map(|s| s.seq);
        self.see(a::read("api", reading, self.now, asked))
    }
    fn wait(&mut self, seconds: u64) -> Vec<&'static str> {
        self.now = self.now.after(Duration::from_secs(seconds));
        let ticked = observe(&self.session, self.now, &Fact::Tick);
        self.fold(&Principal::hub(), ticked)
    }
    fn ask(&mut self, name: &str, request: Request) -> Result<Vec<&'static str>, Refusal> {
        self.ask_with_key(name, name, request)
    }
    fn ask_with_key(&mut self, name: &str, key: &str, request: Request) -> Result<Vec<&'static str>, Refusal> {
        self.see(Fact::Tick);
        let author = Author::new(who(name), key);
        match decide(&self.session, self.now, &author, &request) {
            Ok(events) => Ok(self.fold(&who(name), events)),
            Err(refusal) => {
                if let Some((by, event)) = on_record(&self.session, self.now, &who(name), &request, &refusal) {
                    self.fold(&by, vec![event]);
                }
                Err(refusal)
            }
        }
    }
    fn arm(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        let covers = self.covers("one");
        self.ask(name, Request::Arm { step: drop_step(), covers: Some(Box::new(covers)) })
    }
    fn covers(&self, bytes: &str) -> Covers {
        let exe = a::file("/drop").of(bytes.as_bytes());
        Covers {
            rollback: self.session.plan.steps[0].rollback.as_ref().map(|rollback| RollbackSeen {
                automatic: rollback.automatic,
                contain: rollback.contain.clone(),
                ..a::rollback(CommandSeen::bare(["./undrop"], exe.clone()))
            }),
            command: CommandSeen { remote: self.remote, ..CommandSeen::bare(["./drop"], exe) },
            ..a::covers(&self.session, "drop", self.now).without_gates()
        }
    }
    fn try_now(&self) -> a::Try {
        a::attempt("drop", self.state().1)
    }
    fn state(&self) -> (Phase, u32) {
        let state = &self.session.steps["drop"];
        (state.phase, state.attempt)
    }
    fn check(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        let (_, attempt) = self.state();
        let digest = self.session.open_step().map_or(Hash::ZERO, |(_, _, armed)| armed.digest());
        self.ask(name, Request::OpenCheck { step: drop_step(), attempt }).ok();
        self.ask(name, Request::Check { step: drop_step(), attempt, digest })
    }
    fn run(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        let (_, attempt) = self.state();
        self.ask(name, Request::Run { step: drop_step(), attempt })
    }
    fn clear(&mut self) {
        self.arm("ana").unwrap();
        self.check("cy").unwrap();
        assert_eq!(self.check("dan").unwrap(), ["CrossChecked", "StepCleared"]);
    }
    fn recheck(&mut self) -> Vec<&'static str> {
        self.see(self.try_now().rechecked(self.covers("one")))
    }
    fn intend(&mut self) {
        self.clear();
        self.run("ana").unwrap();
        self.read(Status::Ok);
        assert_eq!(self.recheck(), ["RunIntended"]);
    }
    fn start(&mut self) {
        self.intend();
        self.spawned();
    }
    fn spawned(&mut self) {
        assert_eq!(self.see(self.try_now().started()), ["RunStarted"]);
    }
    fn end(&mut self, code: i32) {
        self.see(self.try_now().exited(code));
    }
    fn recover(&mut self, alive: bool) -> Vec<&'static str> {
        self.see(a::recovered(alive.then(|| a::process(4711))))
    }
    fn settle(&mut self, name: &str) -> Result<Vec<&'static str>, Refusal> {
        self.ask(name, Request::Settle { step: drop_step(), outcome: Settled::Failed, why: "looked".into() })
    }
    fn andon(&mut self, name: &str) {
        self.ask(name, Request::Andon { why: "stop".into() }).unwrap();
    }
    fn handover(&mut self, from: &str, to: &str) -> Result<Vec<&'static str>, Refusal> {
        self.ask(from, Request::Handover { to: who(to) })?;
        self.ask(to, Request::Handover { to: who(to) })
    }
}

#[test]
fn the_lead_checks_no_step_of_their_own() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    assert!(matches!(desk.check("ana"), Err(Refusal::OwnStep { .. })));
}

#[test]
fn one_person_counts_once_over_two_connections_and_one_key_counts_once_over_two_names() {
    let mut desk = Desk::new();
    desk.join("cy", "cy", 12);
    desk.arm("ana").unwrap();
    assert_eq!(desk.check("cy").unwrap(), ["CrossChecked"]);
    assert!(matches!(desk.check("cy"), Err(Refusal::CheckedAlready { .. })));
    let (attempt, digest) = (1, desk.session.open_step().unwrap().2.digest());
    desk.ask("dan", Request::OpenCheck { step: drop_step(), attempt }).unwrap();
    for key in ["cy", "ana"] {
        let again = desk.ask_with_key("dan", key, Request::Check { step: drop_step(), attempt, digest });
        assert!(matches!(again, Err(Refusal::SameKey { other }) if other == who(key)));
    }
    assert!(matches!(desk.run("ana"), Err(Refusal::Quorum { missing: 1 })));
}

#[test]
fn nothing_runs_before_its_quorum_and_nobody_but_the_lead_runs_it() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    assert!(matches!(desk.run("ana"), Err(Refusal::Quorum { missing: 2 })));
    desk.check("cy").unwrap();
    desk.check("dan").unwrap();
    assert!(matches!(desk.run("cy"), Err(Refusal::LeadOnly { .. })));
    assert_eq!(desk.run("ana").unwrap(), ["RunRequested"]);
}

#[test]
fn a_gate_that_turns_voids_and_a_check_has_to_be_given_anew() {
    let mut desk = Desk::new();
    desk.clear();
    assert_eq!(desk.read(Status::Warn), ["ReadingTaken", "GateTurned", "StepVoided"]);
    desk.read(Status::Ok);
    assert!(matches!(desk.run("ana"), Err(Refusal::NotArmedAnyMore { .. })));
    desk.arm("ana").unwrap();
    assert!(matches!(desk.run("ana"), Err(Refusal::Quorum { missing: 2 })));
}

#[test]
fn a_gate_is_read_again_between_run_and_intent() {
    let mut desk = Desk::new();
    desk.clear();
    desk.run("ana").unwrap();
    assert_eq!(desk.recheck(), ["StepVoided"], "nobody read the gate again");
    desk.clear();
    desk.run("ana").unwrap();
    assert!(desk.read(Status::Fail).contains(&"StepVoided"));
    assert_eq!(desk.recheck(), Vec::<&str>::new());
}

#[test]
fn a_periodic_reading_that_overtakes_the_one_asked_for_counts_in_its_place() {
    let mut desk = Desk::new();
    desk.clear();
    desk.run("ana").unwrap();
    let (first, reading, asked) = (desk.now, a::reading(Status::Ok), desk.session.seq);
    desk.wait(1);
    assert_eq!(desk.see(a::read("api", reading.clone(), desk.now, None)), ["ReadingTaken"]);
    assert!(desk.see(a::read("api", reading, first, Some(asked))).is_empty());
    assert_eq!(desk.recheck(), ["RunIntended"]);
}

#[test]
fn a_check_of_an_earlier_digest_or_attempt_is_refused() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    let earlier = desk.session.open_step().unwrap().2.digest();
    desk.ask("ana", Request::Disarm { step: drop_step(), attempt: 1 }).unwrap();
    desk.arm("ana").unwrap();
    desk.ask("cy", Request::OpenCheck { step: drop_step(), attempt: 2 }).unwrap();
    let check = |attempt| Request::Check { step: drop_step(), attempt, digest: earlier };
    assert!(matches!(desk.ask("cy", check(2)), Err(Refusal::Digest { .. })));
    assert!(matches!(desk.ask("cy", check(1)), Err(Refusal::Attempt { asked: 1, now: 2, .. })));
}

#[test]
fn a_check_after_the_step_lapsed_is_refused() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    for _ in 0..6 {
        desk.wait(50);
        desk.read(Status::Ok);
    }
    assert!(matches!(desk.check("cy"), Err(Refusal::NotArmedAnyMore { why, .. }) if why == "it lapsed"));
}

#[test]
fn nothing_runs_during_an_andon_and_what_was_cleared_before_it_is_gone() {
    let mut desk = Desk::new();
    desk.clear();
    desk.andon("olga");
    assert!(matches!(desk.run("ana"), Err(Refusal::NotArmedAnyMore { .. })));
    assert!(matches!(desk.arm("ana"), Err(Refusal::LineStopped { .. })));
    desk.ask("olga", Request::Release).unwrap();
    desk.ask("ana", Request::Release).unwrap();
    assert!(matches!(desk.run("ana"), Err(Refusal::NotArmedAnyMore { .. })));
}

#[test]
fn an_andon_between_request_and_intent_voids() {
    let mut desk = Desk::new();
    desk.clear();
    desk.run("ana").unwrap();
    desk.andon("dan");
    assert_eq!(desk.state().0, Phase::Planned);
    assert!(desk.recheck().is_empty());
}

#[test]
fn one_clearance_starts_one_run() {
    let mut desk = Desk::new();
    desk.clear();
    // Two requests in one batch: the second is decided on what the first became.
    desk.run("ana").unwrap();
    assert!(matches!(desk.run("ana"), Err(Refusal::Phase { phase: Phase::Starting, .. })));
    desk.read(Status::Ok);
    assert_eq!(desk.recheck(), ["RunIntended"]);
    assert!(desk.recheck().is_empty(), "a second report of the same look");
    assert!(matches!(desk.run("ana"), Err(Refusal::Phase { phase: Phase::Intended, .. })));
}

#[test]
fn an_observer_may_stop_the_line_and_nothing_else() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    let (step, attempt, digest) = (drop_step(), 1, desk.session.open_step().unwrap().2.digest());
    let why = || "why".to_owned();
    for request in [
        Request::Arm { step: step.clone(), covers: None },
        Request::Disarm { step: step.clone(), attempt },
        Request::OpenCheck { step: step.clone(), attempt },
        Request::Check { step: step.clone(), attempt, digest },
        Request::Object { step: step.clone(), attempt, digest, why: why() },
        Request::Withdraw { step: step.clone(), attempt },
        Request::Run { step: step.clone(), attempt },
        Request::Interrupt { step: step.clone(), force: true },
        Request::Ack { step: step.clone(), why: why() },
        Request::Settle { step, outcome: Settled::Done, why: why() },
        Request::Say { text: why() },
        Request::Mark { text: why() },
        Request::Resize { cols: 80, rows: 24 },
        Request::Close { note: why() },
    ] {
        assert!(matches!(desk.ask("olga", request.clone()), Err(Refusal::Observer { .. })), "{request:?}");
    }
    let handover = desk.ask("olga", Request::Handover { to: who("bo") });
    assert!(matches!(handover, Err(Refusal::NotYours { .. })));
    desk.andon("bo");
    assert!(matches!(desk.ask("olga", Request::Release), Err(Refusal::Observer { .. })));
}

#[test]
fn a_lost_step_is_not_settled_while_its_process_may_be_alive() {
    let mut desk = Desk::new();
    desk.start();
    assert_eq!(desk.recover(true), ["Recovered", "OutcomeUnknown"]);
    assert!(matches!(desk.settle("cy"), Err(Refusal::StillRunning { .. })));
    desk.read(Status::Ok);
    assert!(matches!(desk.arm("ana"), Err(Refusal::Phase { phase: Phase::Unknown, .. })));
    let gone = Fact::ProcessGone { step: drop_step(), attempt: 1 };
    assert_eq!(desk.see(gone), ["ProcessGone"]);
    assert_eq!(desk.settle("cy").unwrap(), ["Acknowledged"]);
}

#[test]
fn whoever_armed_a_step_settles_it_no_more_than_the_lead_does() {
    let mut desk = Desk::new();
    desk.start();
    desk.end(1);
    assert!(matches!(desk.settle("ana"), Err(Refusal::LeadMayNot { .. })));
    desk.handover("ana", "bo").unwrap();
    assert!(matches!(desk.settle("bo"), Err(Refusal::LeadMayNot { .. })), "leads now");
    assert!(matches!(desk.settle("ana"), Err(Refusal::LeadMayNot { .. })), "led it");
    desk.settle("cy").unwrap();
}

#[test]
fn nobody_who_checked_a_running_step_becomes_its_lead() {
    let mut desk = Desk::new();
    desk.start();
    assert!(matches!(desk.handover("ana", "cy"), Err(Refusal::CheckedRunning { .. })));
    desk.recover(true);
    assert!(matches!(desk.handover("ana", "cy"), Err(Refusal::CheckedRunning { .. })), "unknown, still running");
    assert_eq!(desk.handover("ana", "bo").unwrap(), ["LeadHandedOver"]);
}

#[test]
fn a_hand_over_voids_what_is_cleared() {
    let mut desk = Desk::new();
    desk.clear();
    assert_eq!(desk.handover("ana", "cy").unwrap(), ["LeadHandedOver", "StepVoided"]);
    assert!(matches!(desk.run("cy"), Err(Refusal::NotArmedAnyMore { .. })));
}

#[test]
fn a_restart_ends_what_was_armed_since_a_crash_may_have_cut_off_its_void() {
    let mut desk = Desk::new();
    desk.clear();
    // The objection reached the disk, the void after it did not.
    let digest = desk.session.open_step().unwrap().2.digest();
    let objected = Event::Objected { step: drop_step(), attempt: 1, digest, why: "no".into(), signed: None };
    desk.fold(&who("cy"), vec![objected]);
    assert_eq!(desk.recover(false), ["Recovered", "StepVoided"]);
    assert!(matches!(desk.run("ana"), Err(Refusal::NotArmedAnyMore { .. })));
}

#[test]
fn releasing_takes_the_puller_and_the_lead() {
    let mut desk = Desk::new();
    let release =
        |desk: &mut Desk, name: &str| desk.ask(name, Request::Release).map(|_| desk.session.line.is_stopped()).ok();
    desk.andon("cy");
    assert_eq!(release(&mut desk, "ana"), Some(true), "the lead alone cannot");
    assert_eq!(release(&mut desk, "dan"), Some(true), "nor with a shadow while the puller is here");
    assert_eq!(release(&mut desk, "cy"), Some(false));
    desk.andon("ana");
    assert_eq!(release(&mut desk, "ana"), Some(true), "the lead pulled it: a second person is needed");
    assert_eq!(release(&mut desk, "dan"), Some(false));
    desk.andon("cy");
    desk.andon("olga");
    assert_eq!(release(&mut desk, "ana"), Some(true));
    assert_eq!(release(&mut desk, "cy"), Some(true), "every puller releases");
    assert_eq!(release(&mut desk, "olga"), Some(false));
    assert_eq!(release(&mut desk, "olga"), None, "nothing is stopped");
}

#[test]
fn a_puller_gone_for_two_minutes_is_not_waited_for_even_where_all_others_released_before() {
    let mut desk = Desk::new();
    desk.andon("olga");
    desk.ask("ana", Request::Release).unwrap();
    desk.ask("cy", Request::Release).unwrap();
    desk.leave("olga", 5);
    desk.wait(119);
    assert_eq!(desk.ask("ana", Request::Release).unwrap(), Vec::<&str>::new());
    desk.wait(1);
    assert_eq!(desk.ask("ana", Request::Release).unwrap(), ["AndonReleased"]);
    assert!(!desk.session.line.is_stopped());
}

#[test]
fn shadows_that_stay_away_hold_the_line_and_one_who_comes_back_frees_it() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    desk.check("cy").unwrap();
    for (name, connection) in [("bo", 2), ("cy", 3)] {
        desk.leave(name, connection);
    }
    desk.wait(45);
    desk.read(Status::Ok);
    desk.wait(44);
    desk.read(Status::Ok);
    assert_eq!(desk.state().0, Phase::Armed, "a check stands when its giver leaves");
    desk.wait(1);
    assert!(desk.session.line.is_stopped());
    assert_eq!(desk.state().0, Phase::Planned);
    desk.join("cy", "cy", 9);
    desk.wait(0);
    assert!(!desk.session.line.is_stopped());
}

#[test]
fn a_value_that_is_no_number_leaves_a_snapshot_readable() {
    let mut desk = Desk::new();
    let reading = Reading { value: Some(f64::NAN), ..Reading::unknown("nan") };
    desk.see(a::read("api", reading, desk.now, None));
    let text = serde_json::to_string(&desk.session).unwrap();
    assert_eq!(serde_json::from_str::<Session>(&text).unwrap(), desk.session);
    assert_eq!(desk.session.role(&who("olga")), Role::Observer);
}

/// The plan with a file of signers, a fresh key for each name, and the file.
fn signed(lines: &[(&str, &str)]) -> (String, BTreeMap<String, String>, String) {
    let plan = PLAN.replace("[crew]", "[crew]\nallowed_signers = \"signers\"");
    let (mut keys, mut text) = (BTreeMap::new(), String::new());
    for (name, options) in lines {
        let public = crate::identity::Key::fresh().unwrap().public().clone();
        text += &format!("{name} {options} {public}\n");
        keys.insert((*name).to_owned(), public.fingerprint());
    }
    (plan, keys, text)
}

#[test]
fn only_a_key_that_is_vouched_for_joins_and_only_one_that_may_approve_checks() {
    let lines = [
        ("ana", ""),
        ("bo", "namespaces=\"crosscheck-join\""),
        ("cy", ""),
        ("dan", "valid-before=\"20261121000100Z\""),
    ];
    let (plan, keys, text) = signed(&lines);
    let mut desk = Desk::open(&plan, Some(&text)); // at 20261121000000Z
    for (connection, name) in (1..).zip(["ana", "bo", "cy", "dan"]) {
        desk.join(name, &keys[name], connection);
        assert!(desk.session.people[name].vouched, "{name}");
    }
    // A key of nobody, and somebody else's: no event but the refusal. Whoever comes by the read-only link needs none.
    for key in ["SHA256:nobody", &keys["bo"]] {
        let role = Role::Shadow;
        assert_eq!(desk.see(a::joined(&who("cy"), role, key, 9)), ["Refused"]);
    }
    assert_eq!(desk.session.people["cy"].connections.len(), 1);
    desk.join("observer:kim", "SHA256:kim", 10);
    assert!(!desk.session.people["observer:kim"].vouched);

    desk.read(Status::Ok);
    desk.ask_with_key(
        "ana",
        &keys["ana"],
        Request::Arm { step: drop_step(), covers: Some(Box::new(desk.covers("one"))) },
    )
    .unwrap();
    let check = |desk: &mut Desk, name: &str, key: &str| {
        let (digest, attempt) = (desk.session.open_step().unwrap().2.digest(), desk.state().1);
        desk.ask_with_key(name, key, Request::OpenCheck { step: drop_step(), attempt }).unwrap();
        desk.ask_with_key(name, key, Request::Check { step: drop_step(), attempt, digest })
    };
    let refused = |answer: Result<_, Refusal>, expected: &str| {
        let Err(Refusal::NotVouched { why, .. }) = answer else { panic!("{answer:?}") };
        assert!(why.to_string().contains(expected), "{why}");
    };
    refused(check(&mut desk, "bo", &keys["bo"]), "line 2 of allowed_signers does not give");
    refused(check(&mut desk, "bo", &keys["cy"]), "line 3 of allowed_signers gives the key to somebody else");
    refused(check(&mut desk, "bo", "SHA256:nobody"), "no line");
    assert_eq!(check(&mut desk, "cy", &keys["cy"]).unwrap(), ["CrossChecked"]);
    // What expires between joining and checking is expired, at the hub's time and to the second.
    desk.now = desk.now.after(Duration::from_secs(30));
    desk.read(Status::Ok);
    desk.now = desk.now.after(Duration::from_millis(30_001));
    refused(check(&mut desk, "dan", &keys["dan"]), "expired");
    desk.now = At::from_micros(desk.now.micros() - 1000);
    assert_eq!(check(&mut desk, "dan", &keys["dan"]).unwrap(), ["CrossChecked", "StepCleared"]);
}

#[test]
fn the_signers_are_those_of_the_first_line() {
    let (plan, keys, text) = signed(&[("ana", ""), ("bo", ""), ("cy", ""), ("dan", "")]);
    let open = |plan: &str, text: Option<&str>, digest: Option<Hash>| {
        Session::open(&line(1, At::default(), &Principal::hub(), opened(plan, text, digest)), Hash::ZERO)
    };
    let digest = Some(Hash::of(text.as_bytes()));
    let session = open(&plan, Some(&text), digest).unwrap();
    // A late joiner gets them with the session.
    let json = serde_json::to_string(&session).unwrap();
    let again: Session = serde_json::from_str(&json).unwrap();
    assert_eq!(again, session);
    assert_eq!(again.vouches(&who("cy"), &keys["cy"], "crosscheck-join", At::default()), Ok(true));
    assert!(serde_json::from_str::<Session>(&json.replace("ssh-ed25519", "ssh-nonsense")).is_err());
    // Stripped, added, swapped, damaged: no session.
    for (plan, text, digest) in [
        (plan.as_str(), None, None),
        (PLAN, Some(text.as_str()), digest),
        (&plan, Some(&text), None),
        (&plan, Some(&text), Some(Hash::ZERO)),
        (&plan, Some("ana nonsense\n"), Some(Hash::of(b"ana nonsense\n"))),
    ] {
        assert!(open(plan, text, digest).is_err(), "{text:?} {digest:?}");
    }
}

//! A sample plan of `sessions/` and the four people who fly it, each a process of their own: the lead, two shadows, and somebody
//! from support who sits in a seat.

use super::program::{Hub, Plain, Stage, bare, run};
use super::wait::{PATIENCE, poll};
use crosscheck::name::StepId;
use crosscheck::plan::{Asked, Changes, Plan, Set};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How soon a rollback has to start that the plan asks for, by the hub's clock.
const PROMPT: SignedDuration = SignedDuration::from_secs(2);
/// A step that starts several Java programs, and is looked at for a while afterwards.
const STEP: Duration = Duration::from_secs(240);
/// What a rehearsal is on.
const DATA: &str = "what is called a rehearsal's";

/// See the module.
pub struct Crew {
    /// Their folder, with the plan and its scripts in it.
    pub stage: Stage,
    hub: Hub,
    plan: Plan,
    params: BTreeMap<String, String>,
    /// Drives.
    pub lead: Plain,
    /// A shadow.
    pub dba: Plain,
    /// Another one.
    pub search: Plain,
    /// Nobody but who sits in a seat; where the plan does not know them, who only watches.
    pub support: Plain,
}

/// A folder with a sample plan as it stands in `sessions/`, and all that lies beside it for it.
pub fn sample(name: &str) -> Stage {
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("sessions");
    let stage = Stage::new(&std::fs::read_to_string(sessions.join(name).with_extension("toml")).expect("a plan"));
    let beside = std::fs::read_dir(sessions.join(name));
    for entry in beside.into_iter().flatten().flatten() {
        std::fs::create_dir_all(stage.path(name)).expect("a folder");
        std::fs::copy(entry.path(), stage.path(name).join(entry.file_name())).expect("copied, with its mode");
    }
    stage
}

impl Crew {
    /// Starts a hub with these parameters and these variables, and everybody joins.
    pub fn board(stage: Stage, params: &[(&str, &str)], env: &[(&str, &str)]) -> Crew {
        let text = std::fs::read_to_string(stage.plan()).expect("the plan");
        let plan = Plan::parse("plan.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        Crew::of(plan, stage, params, env)
    }

    /// The same for a rehearsal.
    pub fn rehearse(stage: Stage, params: &[(&str, &str)], env: &[(&str, &str)]) -> Crew {
        let text = std::fs::read_to_string(stage.plan()).expect("the plan");
        let plan = Plan::parse("plan.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let rehearsed = plan.rehearsed_on(DATA);
        // What has another value than the plan says is checked, routine or not.
        let differs = |(name, value): &(&str, &str)| {
            let default = rehearsed.params.get(*name).and_then(|param| param.default.as_ref())?;
            let set = Set { value: (*value).to_owned(), why: "a rehearsal".to_owned(), by: None };
            (default != value).then(|| ((*name).to_owned(), set))
        };
        let params_set = params.iter().filter_map(differs).collect();
        let changes = Changes { rehearsal: Some(DATA.to_owned()), params: params_set, ..Changes::default() };
        Crew::of(plan.changed(changes), stage, params, env)
    }

    fn of(plan: Plan, stage: Stage, params: &[(&str, &str)], env: &[(&str, &str)]) -> Crew {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        values.extend(plan.params.iter().filter_map(|(name, param)| Some((name.clone(), param.default.clone()?))));
        values.extend(params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut given: Vec<_> =
            params.iter().flat_map(|(name, value)| ["--param".into(), format!("{name}={value}")]).collect();
        if let Some(data) = plan.rehearsal() {
            given.extend(["--rehearse", "--data", data].map(str::to_owned));
        }
        let hub = stage.serve_with(env, &given.iter().map(String::as_str).collect::<Vec<_>>());
        let up = poll(PATIENCE, || stage.path("links.json").exists().then_some(()));
        assert!(up.is_some(), "the hub comes up: {}", hub.printed());
        let support = Some(principal("support")).filter(|who| stage.links().contains_key(who));
        let support = stage.join(&support.unwrap_or_else(|| "observer".to_owned()));
        let [lead, dba, search] = ["lead", "dba", "search"].map(|who| stage.join(&principal(who)));
        Crew { stage, hub, plan, params: values, lead, dba, search, support }
    }

    fn people(&self) -> [(String, &Plain); 4] {
        [("lead", &self.lead), ("dba", &self.dba), ("search", &self.search), ("support", &self.support)]
            .map(|(who, plain)| (principal(who), plain))
    }

    fn person(&self, who: &str) -> &Plain {
        self.people().into_iter().find(|(name, _)| name == who).expect("one of the four").1
    }

    /// Everybody takes their seat, every question is answered by who owns it, and the poll is go.
    pub fn go(&self) {
        self.lead.refused(&format!("arm {}", self.first_critical()));
        let mut owners = BTreeMap::new();
        for seat in &self.plan.crew.seats {
            let who = seat.who[0].to_string();
            self.person(&who).ok(&format!("seat {}", seat.name));
            owners.insert(seat.name.as_str(), who);
        }
        for item in &self.plan.checklist {
            let who = item.seat.as_deref().map_or(principal("dba"), |seat| owners[seat].clone());
            let answer = match item.answer {
                Asked::Yes => "yes",
                Asked::Text => "as the runbook has it, page 3",
                Asked::Time => "now",
            };
            self.person(&who).ok(&format!("answer {} {answer}", item.id));
        }
        self.lead.ok("poll");
        for (who, plain) in self.people() {
            if who != principal("lead") {
                plain.expect("called poll 1");
            }
            plain.ok("go");
        }
        self.lead.expect("the poll is GO");
    }

    fn first_critical(&self) -> &StepId {
        &self.plan.steps.iter().find(|step| step.checks > 0).expect("one is critical").id
    }

    /// Arms a step as soon as its gates allow it.
    pub fn arm(&self, step: &str) {
        let mut last = String::new();
        let armed = poll(PATIENCE, || {
            last = self.lead.ask(&format!("arm {step}"));
            bare(&last).starts_with("ok ").then_some(())
        });
        assert!(armed.is_some(), "{step} is not armed: {last}");
    }

    /// Arms a step, has it cross-checked by as many as it takes, and presses run.
    pub fn start(&self, step: &str) {
        self.arm(step);
        self.clear(step);
        self.lead.ok("run");
    }

    /// What is armed is read back and cross-checked.
    pub fn clear(&self, step: &str) {
        let index = self.plan.steps.iter().position(|known| known.id.as_str() == step).expect("a step of the plan");
        let planned = &self.plan.steps[index];
        let shadows = [&self.dba, &self.search];
        for shadow in &shadows[..planned.checks as usize] {
            shadow.expect(&format!("armed {:02} {step}", index + 1));
            shadow.expect("--- digest");
            for field in &planned.readback {
                // Somebody else's may be refused; the check below is, unless one's own was right.
                shadow.ask(&format!("readback {field} {}", self.params[field]));
            }
            shadow.ok("check");
        }
    }

    /// Flies a step to its good end.
    pub fn fly(&self, step: &str) {
        self.start(step);
        let planned = self.plan.steps.iter().find(|known| known.id.as_str() == step).expect("a step of the plan");
        if planned.runs().is_some() {
            let done = self.ended(step);
            assert_eq!(done["code"], 0, "{step}: {done}\n{}", self.lead.printed());
        }
        if planned.until().is_some() {
            self.has_waited(step);
        } else if planned.verify().is_some() {
            let verified = self.event("VerifyEnded", step);
            assert!(verified["verdict"] == "same" || verified["verdict"] == "better", "{step}: {verified}");
        } else {
            self.lead.expect(&format!("{step} done"));
        }
    }

    /// A step that a person does.
    pub fn by_hand(&self, step: &str, note: &str) {
        self.arm(step);
        self.clear(step);
        self.lead.ok(&format!("run {note}"));
        assert_eq!(self.event("DoneByHand", step)["note"], note);
    }

    /// The lead and a shadow leave a step out.
    pub fn leave_out(&self, step: &str, why: &str) {
        self.lead.ok(&format!("skip {step} {why}"));
        self.search.ok(&format!("skip {step} {why}"));
        self.lead.expect(&format!("{step} is SKIPPED"));
    }

    /// What a step waits for came.
    pub fn has_waited(&self, step: &str) {
        let waited = self.event("WaitEnded", step);
        assert_eq!(waited["end"], "met", "{step}: {waited}");
    }

    /// What the probe of a step says, asked for by a shadow.
    pub fn probe(&self, step: &str) -> String {
        self.dba.ok(&format!("probe {step}"));
        let probed = self.event("ProbeEnded", step);
        probed["says"].as_str().expect("some words").trim().to_owned()
    }

    /// How the newest run of a step ended.
    pub fn ended(&self, step: &str) -> Value {
        let ended = self.event("RunEnded", step);
        ended["end"]["exited"].clone()
    }

    /// Waits for an event of the newest attempt of a step.
    fn event(&self, kind: &str, step: &str) -> Value {
        let found = poll(STEP, || {
            let of_step = |event: &Value| event["step"] == step;
            let attempt = self.stage.events("StepArmed").iter().rfind(|armed| of_step(armed))?["attempt"].clone();
            let events = self.stage.events(kind);
            events.into_iter().find(|event| of_step(event) && event["attempt"] == attempt)
        });
        found.unwrap_or_else(|| panic!("no {kind} of {step}\n{}", self.lead.printed()))
    }

    /// A step makes things worse: the plan undoes it, at once, and says that all is as it was before.
    pub fn is_undone(&self, step: &str, because: &str) {
        // Batches before may have been well.
        let worse = |event: &Value| event["step"] == step && event["verdict"] == "worse";
        let verdict = poll(STEP, || self.stage.events("VerifyEnded").into_iter().rfind(worse));
        let verdict = verdict.unwrap_or_else(|| panic!("{step} is not worse\n{}", self.lead.printed()));
        assert!(verdict.to_string().contains(because), "{because}: {verdict}");
        let intended = self.event("RollbackIntended", step);
        assert_eq!(intended["automatic"], true, "{intended}");
        self.lead.expect("is rolled back: same as before");
        let at = |is: &dyn Fn(&Value) -> bool| {
            let lines = self.stage.transcript();
            let line = lines.iter().rfind(|line| is(&line["event"])).expect("it is in the transcript");
            line["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok()).expect("a time")
        };
        let judged = at(&|event| event["VerifyEnded"]["step"] == step && event["VerifyEnded"]["verdict"] == "worse");
        let started = at(&|event| event["RunStarted"]["step"] == step && event["RunStarted"]["part"] == "rollback");
        let took = started.duration_since(judged);
        assert!(
            took >= SignedDuration::ZERO && took < PROMPT,
            "{step}: {took} from the verdict to the rollback's process"
        );
    }

    /// Nothing is armed until somebody other than the lead has taken note of how a step ended; then another attempt is.
    pub fn owes_a_word(&self, step: &str, next: &str, word: &str) {
        let refused = self.lead.refused(&format!("arm {next}"));
        assert!(refused.contains(step) && refused.contains(word), "{refused}");
        let own = self.lead.refused("ack I saw it myself");
        assert!(own.contains("lead"), "{own}");
        assert!(self.lead.refused("close").contains(word));
    }

    /// Everybody leaves, and the transcript holds. The file of the report.
    pub fn close(mut self, note: &str) -> String {
        self.lead.ok(&format!("close {note}"));
        assert!(self.hub.wait().success(), "{}", self.hub.printed());
        let transcript = self.stage.transcript_file();
        let home = self.stage.home("auditor");
        let (_, out, err) = run(&home, &["verify", transcript.to_str().expect("a path of text")]);
        assert!(out.contains("COMPLETE") && !out.contains("INCOMPLETE"), "{out}{err}");
        std::fs::read_to_string(transcript.with_extension("md")).expect("a report")
    }

    /// Waits until the newest reading of a watch is of that status, and says so much.
    pub fn reads(&self, watch: &str, status: &str, words: &str) {
        let mut latest = Value::Null;
        let found = poll(PATIENCE, || {
            let taken = self.stage.events("ReadingTaken");
            latest = taken.into_iter().rev().find(|taken| taken["watch"] == watch)?["reading"].clone();
            (latest["status"] == status && latest["why"].as_str()?.contains(words)).then_some(())
        });
        assert!(found.is_some(), "{watch} is not {status} {words:?}; it is {latest}");
    }

    /// A file of the plan's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.stage.path(name)
    }
}

fn principal(who: &str) -> String {
    format!("{who}@example.org")
}

//! What a flight changed of its plan: values of parameters, edited commands, commands that no plan has. The plan's text stays
//! what it was; the steps that come of both are made anew by [`Plan::changed`], so that every rule finds them where it looks.
//!
//! A step that differs from what was reviewed has a [`Deviation`] for each difference, and is at least `critical`.

use super::{Class, Command, Does, Plan, Run, Runs, Step, Template, rehearsal};
use crate::event::Deviation;
use crate::name::{Part, Principal, StepId, WatchId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Words of a typed command that a title repeats.
const TITLE_CHARS: usize = 60;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// The data that it is rehearsed on, where it is not flown live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<String>,
    /// Parameters that have another value than the plan's default, or got theirs while it was flown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Set>,
    /// Commands typed in the place of a step's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub edited: BTreeMap<StepId, Typed>,
    /// Steps that the plan does not have, in the order in which they were armed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<(StepId, Typed)>,
}

impl Changes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The value.
    pub value: String,
    /// Why.
    pub why: String,
    /// Who set it; nobody where it was given when the session opened.
    pub by: Option<Principal>,
}

/// A typed command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// As it was typed.
    pub run: String,
    /// Why.
    pub why: String,
    /// Who typed it.
    pub by: Principal,
}

/// What a typed line runs. Words without a meaning to a shell are executed as they are, so that what they name is hashed like
/// a planned command's program; everything else goes to `sh -eu -c`, whole.
pub fn typed(line: &str) -> Run {
    const SHELL: &str = "|&;<>()$`\\\"'*?[]#~!{}\n\t%";
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let assigns = words.first().is_some_and(|word| word.contains('='));
    match line.contains(|c| SHELL.contains(c)) || assigns {
        true => Run::Shell(Template::literal(line)),
        false => Run::Argv(words.into_iter().map(Template::literal).collect()),
    }
}

impl Run {
    /// Its texts.
    pub fn templates(&self) -> &[Template] {
        match self {
            Run::Argv(words) => words,
            Run::Shell(text) => std::slice::from_ref(text),
        }
    }

    /// As it stands in the plan, in one line.
    pub fn text(&self) -> String {
        match self {
            Run::Argv(words) => words.iter().map(Template::text).collect::<Vec<_>>().join(" "),
            Run::Shell(text) => text.text().to_owned(),
        }
    }
}

impl Plan {
    /// What is flown of this plan with these changes: its steps as they are now, marked where they differ from what the plan
    /// says. Only the text of `self` counts, not what was changed of it before.
    pub fn changed(&self, changes: Changes) -> Plan {
        // It was parsed before, from the same text.
        let mut plan = Plan::parse("plan", &self.text).unwrap_or_else(|_| self.clone());
        if changes.rehearsal.is_some() {
            rehearsal::values(&mut plan);
        }
        for (id, typed) in &changes.added {
            let step = plan.adhoc(id.clone(), typed);
            plan.steps.push(step);
        }
        for step in &mut plan.steps {
            if let Some(Typed { run, why, by }) = changes.edited.get(&step.id) {
                let Does::Runs(runs) = &mut step.does else { continue };
                let planned = std::mem::replace(&mut runs.command.run, self::typed(run)).text();
                step.deviations.push(Deviation::Edited { planned, run: run.clone(), why: why.clone(), by: by.clone() });
            }
        }
        let differ: Vec<_> = changes
            .params
            .iter()
            .filter_map(|(name, set)| {
                let planned = plan.params.get(name)?.default.clone().filter(|default| *default != set.value)?;
                let (name, value, why) = (name.clone(), set.value.clone(), set.why.clone());
                Some(Deviation::Param { name, planned, value, why, by: set.by.clone() })
            })
            .collect();
        let (of_watches, of_secrets) = (&plan.params_of_watches, &plan.params_of_secrets);
        for step in &mut plan.steps {
            let names = step.params();
            let secrets = !step.secrets().is_empty();
            let verifies = Part::ALL.into_iter().filter_map(|part| step.verify_of(part));
            let verified = verifies.flat_map(|verify| &verify.watches).map(|watched| &watched.watch);
            let waited = step.until().map(|until| &until.watch);
            let gates = step.gates.iter().map(|gate| &gate.watch);
            let watches: Vec<_> = gates.chain(verified).chain(waited).cloned().collect();
            let looked = |name: &String| {
                watches.iter().any(|watch| of_watches.get(watch).is_some_and(|names| names.contains(name)))
            };
            let concerns =
                |name: &String| names.contains(name) || looked(name) || (secrets && of_secrets.contains(name));
            let params = differ.iter().filter(|it| matches!(it, Deviation::Param { name, .. } if concerns(name)));
            step.deviations.extend(params.cloned());
            if !step.deviations.is_empty() {
                step.class = step.class.max(Class::Critical);
                step.checks = step.checks.max(1);
            }
        }
        if changes.rehearsal.is_some() {
            rehearsal::rehearsed(&mut plan); // the last thing: nothing that was typed is left to be run either
        }
        plan.changes = changes;
        plan
    }

    /// The step that a typed command would be.
    pub fn adhoc(&self, id: StepId, typed: &Typed) -> Step {
        let Typed { run, why, by } = typed;
        let short: String = run.chars().take(TITLE_CHARS).collect();
        let title = if short.len() < run.len() { format!("ad hoc: {short}…") } else { format!("ad hoc: {short}") };
        // Where the plan has no steps, typed commands are what was agreed on.
        let planned = self.steps.iter().any(|step| !step.adhoc);
        let command = Command::of(self::typed(run));
        let deviations = match planned {
            true => vec![Deviation::AdHoc { why: why.clone(), by: by.clone() }],
            false => vec![],
        };
        let bare = Step::new(id, title, Does::Runs(Box::new(Runs::once(command))));
        let mut step = Step { class: Class::Critical, checks: 1, adhoc: true, deviations, ..bare };
        if self.changes.rehearsal.is_some() {
            rehearsal::rehearse(&mut step);
        }
        step
    }

    /// The id that the next typed command gets.
    pub fn next_adhoc(&self) -> StepId {
        let taken = |name: &str| self.steps.iter().any(|step| step.id.as_str() == name);
        let number = (1_u32..).find(|number| !taken(&format!("adhoc-{number}"))).unwrap_or_default();
        StepId::new(&format!("adhoc-{number}"))
            .unwrap_or_else(|_| unreachable!("letters, digits and a hyphen are a name"))
    }

    /// The watches that look at something else once that parameter has another value.
    pub fn watches_with(&self, param: &str) -> Vec<WatchId> {
        let with = self.params_of_watches.iter().filter(|(_, names)| names.contains(param));
        with.map(|(watch, _)| watch.clone()).collect()
    }

    /// How many people could cross-check a step that this person leads.
    pub fn able_to_check(&self, lead: &Principal) -> usize {
        self.crew.shadow.iter().filter(|shadow| *shadow != lead).count()
    }
}

impl Step {
    /// The parameters that decide what it does, each once.
    pub fn params(&self) -> BTreeSet<String> {
        let commands = self.commands().flat_map(Command::templates);
        let expected = self.preview.iter().filter_map(|preview| preview.expect.template());
        let live = self.live.iter().flat_map(|live| &live.run).flat_map(Run::templates);
        commands
            .chain(self.by_hand())
            .chain(&self.expects_loss)
            .chain(expected)
            .chain(live)
            .flat_map(Template::names)
            .collect()
    }
}

impl Command {
    /// Every text of it that a parameter may stand in.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let run = self.run.templates();
        let stdin = self.stdin.iter().map(super::Stdin::template);
        let identity = self.on.iter().flat_map(|host| &host.identity);
        run.iter().chain(self.env.values()).chain(stdin).chain(&self.cwd).chain(&self.files).chain(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
crosscheck = 1
name = "n"
environment = "e"
[crew]
lead = ["ana@x"]
shadow = ["bo@x", "cy@x"]
[params.host]
default = "db-1"
[params.table]
default = "old"
[params.api]
default = "127.0.0.1:1"
[params.free]
[[watch]]
id = "api"
kind = "tcp"
address = "{{ api }}"
[[step]]
id = "look"
run = ["./look", "{{ free }}"]
[[step]]
id = "load"
run = ["./load", "{{ host }}"]
gates = ["api"]
[[step]]
id = "drop"
class = "irreversible"
run = ["./drop", "{{ table }}"]
preview = { run = ["./count"], expect = { equals = "{{ host }}" } }
"#;
    const WAITS: &str = r#"
[[step]]
id = "switch"
manual = "switch {{ host }} off"
[[step]]
id = "drain"
until = { watch = "api", within = "1h" }
"#;

    fn who(name: &str) -> Principal {
        Principal::new(name).unwrap()
    }

    fn marked(changes: Changes) -> Vec<(Class, u32, usize)> {
        let plan = Plan::parse("p", PLAN).unwrap().changed(changes);
        plan.steps.iter().map(|step| (step.class, step.checks, step.deviations.len())).collect()
    }

    #[test]
    fn a_changed_parameter_marks_every_step_that_it_concerns() {
        use Class::{Critical, Irreversible, Routine};
        let set = |name: &str, value: &str| {
            let set = Set { value: value.to_owned(), why: "because".to_owned(), by: None };
            Changes { params: BTreeMap::from([(name.to_owned(), set)]), ..Changes::default() }
        };
        let as_planned = vec![(Routine, 0, 0), (Routine, 0, 0), (Irreversible, 2, 0)];
        assert_eq!(marked(Changes::default()), as_planned);
        assert_eq!(marked(set("host", "db-1")), as_planned, "the default is no deviation");
        assert_eq!(marked(set("free", "x")), as_planned, "nor is what the plan leaves open");
        assert_eq!(marked(set("host", "db-2")), [(Routine, 0, 0), (Critical, 1, 1), (Irreversible, 2, 1)]);
        assert_eq!(marked(set("table", "new")), [(Routine, 0, 0), (Routine, 0, 0), (Irreversible, 2, 1)]);
        let waits = |changes: Changes| {
            let plan = Plan::parse("p", &format!("{PLAN}{WAITS}")).unwrap().changed(changes);
            plan.steps[3..].iter().map(|step| (step.checks, step.deviations.len())).collect::<Vec<_>>()
        };
        assert_eq!(waits(set("host", "db-2")), [(1, 1), (0, 0)], "what a person does is done to another host");
        assert_eq!(waits(set("api", "127.0.0.1:2")), [(0, 0), (1, 1)], "what ends the wait is another thing");
        // What its gates look at is another thing than was agreed on.
        assert_eq!(marked(set("api", "127.0.0.1:2")), [(Routine, 0, 0), (Critical, 1, 1), (Irreversible, 2, 0)]);
    }

    #[test]
    fn typed_commands_stand_in_the_place_of_planned_ones_or_after_them() {
        let typed = |run: &str| Typed { run: run.to_owned(), why: "because".to_owned(), by: who("ana@x") };
        let id = |id: &str| StepId::new(id).unwrap();
        let changes = Changes {
            edited: BTreeMap::from([(id("load"), typed("./load --slow {{ x"))]),
            added: vec![(id("adhoc-1"), typed("./drop {{ host }}"))],
            ..Changes::default()
        };
        let plan = Plan::parse("p", PLAN).unwrap().changed(changes.clone());
        let params = super::super::Params::new();
        let load = &plan.steps[1];
        assert_eq!((load.class, load.checks), (Class::Critical, 1));
        assert_eq!(
            load.command().unwrap().run.argv(&params).unwrap(),
            ["sh", "-eu", "-c", "./load --slow {{ x"],
            "never filled in"
        );
        assert!(matches!(&load.deviations[..], [Deviation::Edited { planned, .. }] if planned == "./load {{ host }}"));
        let added = &plan.steps[3];
        assert!(added.adhoc && added.checks == 1 && added.deviations.len() == 1);
        assert_eq!(plan.next_adhoc(), id("adhoc-2"));
        assert_eq!(plan.digest, Plan::parse("p", PLAN).unwrap().digest);
        // Changing anew starts from the text, not from what it was changed to.
        assert_eq!(plan.changed(changes), plan);
        assert_eq!(plan.changed(Changes::default()), Plan::parse("p", PLAN).unwrap());
    }

    #[test]
    fn a_step_that_runs_nothing_gets_no_command_by_an_edit() {
        let typed = Typed { run: "./x".to_owned(), why: "because".to_owned(), by: who("ana@x") };
        let edited = ["switch", "drain"].map(|id| (StepId::new(id).unwrap(), typed.clone())).into();
        let plan = Plan::parse("p", &format!("{PLAN}{WAITS}")).unwrap();
        let changed = plan.changed(Changes { edited, ..Changes::default() });
        assert_eq!(changed.steps, plan.steps);
    }

    #[test]
    fn words_without_a_meaning_to_a_shell_are_executed_as_they_are() {
        let argv = |line: &str| typed(line).argv(&super::super::Params::new()).unwrap();
        assert_eq!(argv("./drop  customers_v41 --yes=1"), ["./drop", "customers_v41", "--yes=1"]);
        for shell in ["a | b", "echo $HOME", "ls *.sql", "X=1 ./drop", "a 'b c'", "cd x\nls", "a\tb", "echo {1,2}"] {
            assert_eq!(argv(shell), ["sh", "-eu", "-c", shell]);
        }
    }
}

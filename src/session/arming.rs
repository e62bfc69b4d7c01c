//! What the lead changes of the plan while it is flown: values of parameters, a step's command, a command of its own. Each
//! such change voids what is armed, and marks the steps that differ from the plan (see [`crate::plan::Changes`]).
//!
//! Nothing changes while something runs or while a word on how it ended is owed: what runs, and what may have to undo it, was
//! checked as it stood.

use super::guard::{Ask, Reasons, void_open};
use super::phase::Phase;
use super::refusal::Refusal;
use super::request::{Author, Request, TEXT_CHARS_MAX};
use super::{Session, WatchState, twin};
use crate::event::{Cause, Deviation, Event, Status};
use crate::name::{Principal, StepId, WatchId, is_hidden};
use crate::plan::{Changes, Params, Plan, Set, Step, Typed};
use std::sync::Arc;

/// More commands than this are no exception from a plan.
const ADDED_MAX: usize = 200;

/// A parameter, its value and the reason.
fn set_to<'a>(ask: &Ask<'a>) -> Option<(&'a str, &'a str, &'a str)> {
    match ask.request {
        Request::Set { name, value, why } => Some((name, value, why)),
        _ => None,
    }
}

/// The command that is typed, for which step, and the reason. An empty one gives the plan's back.
fn typed<'a>(ask: &Ask<'a>) -> Option<(&'a str, &'a str)> {
    match ask.request {
        Request::Edit { run, why, .. } | Request::AdHoc { run, why, .. } => Some((run.trim(), why.trim())),
        _ => None,
    }
}

/// What is typed has an end.
pub(super) fn texts_fit(ask: &Ask, no: &mut Reasons) {
    let texts = match ask.request {
        Request::Set { value, why, .. } => [why, value],
        Request::Edit { run, why, .. } | Request::AdHoc { run, why, .. } => [run, why],
        _ => return,
    };
    for text in texts {
        no.unless(fits(text));
    }
}

/// The plan has the parameter, and takes that value for it.
pub(super) fn value_is_allowed(ask: &Ask, no: &mut Reasons) {
    let Some((name, value, _)) = set_to(ask) else { return };
    if let Err(why) = ask.session.plan.params(&Params::from([(name.to_owned(), value.to_owned())])) {
        no.because(Refusal::Param(why));
    }
}

/// What the plan says of it, where it is another value.
fn planned<'a>(session: &'a Session, name: &str, value: &str) -> Option<&'a String> {
    let default = session.plan.params.get(name).and_then(|param| param.default.as_ref());
    default.filter(|default| *default != value)
}

/// A value that the plan does not have needs a reason.
pub(super) fn value_is_accounted_for(ask: &Ask, no: &mut Reasons) {
    let Some((name, value, why)) = set_to(ask) else { return };
    if let Some(planned) = planned(ask.session, name, value).filter(|_| why.trim().is_empty()) {
        let what = format!("{name} = {value:?}, where the plan says {planned:?}");
        no.because(Refusal::DeviationWhy { what });
    }
}

/// It may still be changed.
pub(super) fn step_may_be_edited(ask: &Ask, no: &mut Reasons) {
    let Some((step, state)) = ask.step() else { return };
    if !(state.phase.is_open() || matches!(state.phase, Phase::Planned | Phase::SettledFailed)) {
        no.because(Refusal::Phase { step: step.id.clone(), phase: state.phase, wanted: "planned" });
    }
}

/// A command in the place of what a person does would run behind words that say that none does.
pub(super) fn step_runs_a_command(ask: &Ask, no: &mut Reasons) {
    let (Some((step, _)), Some((run, _))) = (ask.step(), typed(ask)) else { return };
    let edited = ask.session.plan.changes.edited.contains_key(&step.id);
    if !run.is_empty() && !edited && step.runs().is_none() {
        no.because(Refusal::RunsNothing { step: step.id.clone() });
    }
    if run.is_empty() && !edited {
        no.because(Refusal::Typed(format!("type the command: step {} has the plan's own already", step.id)));
    }
}

/// Another command needs a reason, and somebody who can check it.
pub(super) fn command_is_accounted_for(ask: &Ask, no: &mut Reasons) {
    let (Some((step, _)), Some((run, why))) = (ask.step(), typed(ask)) else { return };
    match ask.request {
        Request::AdHoc { .. } => {
            no.unless(is_typed(run));
            no.unless(match step.deviations.is_empty() {
                true => someone_checks(ask.session, step.checks),
                false => deviates(ask.session, step.checks, "a command that the plan does not have", why),
            });
        }
        _ if run.is_empty() => {} // the plan's own again
        _ => {
            no.unless(is_typed(run));
            no.unless(deviates(ask.session, step.checks, &format!("another command for step {}", step.id), why));
        }
    }
}

/// Exceptions from a plan are few.
pub(super) fn not_too_many_are_typed(ask: &Ask, no: &mut Reasons) {
    if ask.session.plan.changes.added.len() >= ADDED_MAX {
        no.because(Refusal::Typed(format!("{ADDED_MAX} commands were typed in this session; write a plan")));
    }
}

/// A parameter gets a value.
pub(super) fn set(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let (session, Some((name, value, why))) = (ask.session, set_to(ask)) else { return Ok(vec![]) };
    let differs = planned(session, name, value).is_some();
    let why = why.trim().to_owned();
    let known = session.plan.changes.params.get(name).is_some_and(|set| !differs || set.why == why);
    if session.params.get(name).map(String::as_str) == Some(value) && (known || !differs) {
        return Ok(vec![]); // it has that value, for that reason
    }
    let mut events = vec![Event::ParamSet { name: name.to_owned(), value: value.to_owned(), why }];
    events.extend(void_open(session, Cause::Changed { what: format!("parameter {name} was set to {value:?}") }));
    // What these watches said was of something else: everybody is told so at once.
    let told = |watch: &WatchId| session.watches.get(watch).and_then(|state| state.status);
    let turned = session.plan.watches_with(name).into_iter().filter_map(|watch| {
        let from = told(&watch).filter(|from| *from != Status::Unknown)?;
        let why = format!("parameter {name} was set; not read since");
        Some(Event::GateTurned { watch, from, to: Status::Unknown, why })
    });
    events.extend(turned);
    Ok(events)
}

/// Another command is typed in the place of a step's own.
pub(super) fn edit(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    let (Some((step, _)), Some((run, why))) = (ask.step(), typed(ask)) else { return Ok(vec![]) };
    let (session, id) = (ask.session, step.id.clone());
    let edited = session.plan.changes.edited.get(&id);
    if edited.is_some_and(|edited| edited.run == run && edited.why == why) {
        return Ok(vec![]);
    }
    let what = match run.is_empty() {
        true => format!("step {id} has the plan's command again"),
        false => format!("another command was typed for step {id}"),
    };
    let edited = Event::StepEdited { step: id, run: run.to_owned(), why: why.to_owned() };
    Ok(std::iter::once(edited).chain(void_open(session, Cause::Changed { what })).collect())
}

/// The step that a request which types one would add.
pub(super) fn typed_by(session: &Session, author: &Author, request: &Request) -> Option<Step> {
    match request {
        Request::AdHoc { run, why, .. } => Some(typed_step(session, &author.principal, run, why)),
        _ => None,
    }
}

/// The step that a command typed by that person would be.
pub fn typed_step(session: &Session, who: &Principal, run: &str, why: &str) -> Step {
    let typed = Typed { run: run.trim().to_owned(), why: why.trim().to_owned(), by: who.clone() };
    session.plan.adhoc(session.plan.next_adhoc(), &typed)
}

/// A step cannot be armed while nobody has said why it differs from the plan, or nobody could check it.
pub(super) fn may_be_armed(session: &Session, step: &Step) -> Result<(), Refusal> {
    let unsaid = step.deviations.iter().find(|deviation| deviation.why().is_empty());
    match unsaid {
        Some(deviation @ Deviation::Param { .. }) => Err(Refusal::DeviationWhy { what: deviation.to_string() }),
        _ => someone_checks(session, step.checks),
    }
}

fn deviates(session: &Session, checks: u32, what: &str, why: &str) -> Result<(), Refusal> {
    if why.is_empty() {
        return Err(Refusal::DeviationWhy { what: what.to_owned() });
    }
    someone_checks(session, checks.max(1))
}

fn someone_checks(session: &Session, checks: u32) -> Result<(), Refusal> {
    let able = session.plan.able_to_check(&session.lead);
    match able < checks as usize {
        true => Err(Refusal::NobodyChecks { checks, able }),
        false => Ok(()),
    }
}

/// What is typed is shown as it is, so it may hold nothing that cannot be seen.
fn is_typed(run: &str) -> Result<(), Refusal> {
    if run.is_empty() {
        return Err(Refusal::Typed("type the command".to_owned()));
    }
    if let Some(hidden) = run.chars().find(|c| is_hidden(*c)) {
        return Err(Refusal::Typed(format!("the command holds the hidden character {}", hidden.escape_unicode())));
    }
    fits(run)
}

fn fits(text: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length > TEXT_CHARS_MAX { Err(Refusal::TooLong(length)) } else { Ok(()) }
}

impl Session {
    /// The parameters that a step needs and that have no value yet.
    pub fn params_missing(&self, step: &Step) -> Vec<String> {
        step.params().into_iter().filter(|name| !self.params.contains_key(name)).collect()
    }

    /// Whether that step was typed and never ran: nobody waits for it.
    pub(super) fn is_idle_adhoc(&self, id: &StepId) -> bool {
        let planned = self.steps.get(id).is_some_and(|state| state.phase == Phase::Planned);
        planned && self.plan.step(id).is_some_and(|step| step.adhoc)
    }

    fn change(&mut self, by: impl FnOnce(&mut Changes)) {
        let mut changes = self.plan.changes.clone();
        by(&mut changes);
        self.plan = Arc::new(self.plan.changed(changes));
    }

    pub(super) fn set_param(&mut self, by: &Principal, name: &str, value: &str, why: &str) {
        self.params.insert(name.to_owned(), value.to_owned());
        let set = Set { value: value.to_owned(), why: why.to_owned(), by: Some(by.clone()) };
        self.change(|changes| {
            changes.params.insert(name.to_owned(), set);
        });
        let at = self.at;
        // What was read of another thing says nothing about this one, nor does a reading that began before now.
        for watch in self.plan.watches_with(name) {
            let state = self.watches.entry(watch).or_default();
            *state = WatchState { status: state.status, began: at, ..WatchState::default() };
        }
    }

    pub(super) fn edit_step(&mut self, by: &Principal, step: &StepId, run: &str, why: &str) {
        let typed = Typed { run: run.to_owned(), why: why.to_owned(), by: by.clone() };
        self.change(|changes| {
            match run.is_empty() {
                true => changes.edited.remove(step),
                false => changes.edited.insert(step.clone(), typed),
            };
        });
    }

    pub(super) fn add_step(&mut self, by: &Principal, step: &StepId, run: &str, why: &str) {
        let typed = Typed { run: run.to_owned(), why: why.to_owned(), by: by.clone() };
        self.change(|changes| changes.added.push((step.clone(), typed)));
        self.steps.entry(step.clone()).or_default();
    }
}

/// What is flown of a plan that a session opens with these values.
pub(super) fn opened(plan: Plan, params: &Params, rehearsal: Option<&str>) -> Plan {
    let rehearsal = rehearsal.filter(|_| !twin::broken(14));
    // Other values are what a rehearsal is about, and this is the reason for them.
    let why = rehearsal.map_or_else(String::new, |data| format!("rehearsal on {data}"));
    let plan = match rehearsal {
        Some(data) => plan.rehearsed_on(data),
        None => plan,
    };
    let given = params.iter().filter_map(|(name, value)| {
        let default = plan.params.get(name)?.default.as_ref()?;
        let set = Set { value: value.clone(), why: why.clone(), by: None };
        (default != value).then(|| (name.clone(), set))
    });
    let changes = Changes { params: given.collect(), rehearsal: rehearsal.map(str::to_owned), ..Changes::default() };
    if changes.is_empty() { plan } else { plan.changed(changes) }
}

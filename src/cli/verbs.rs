//! Plain mode's verbs: a line of text becomes a request, completed from the state its author has seen. Which verbs there
//! are, and what each takes, stands in the table of acts.

use crate::brief::acts::{self, Act};
use crate::brief::{Picked, Sight};
use crate::client::view::View;
use crate::clock;
use crate::event::Settled;
use crate::hash::Hash;
use crate::name::{ItemId, Principal, StepId, WatchId, shown};
use crate::session::Request;
use crate::session::preflight::until;
use crate::session::request::Typed;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Ask the hub.
    Ask(Request),
    /// Leave.
    Quit,
    /// Show the verbs.
    Help,
    /// Show where the session stands.
    Status,
    /// An empty line.
    Nothing,
}

/// What its author read last: the armed step, the attempt, and the digest of the panel.
pub type Read = (StepId, u32, Hash);

/// Reads a line of somebody who was shown that panel before. `Err` is a sentence for its author; nothing was sent. Where
/// nothing is armed any more, the verbs that mean the armed step mean the one on the panel: the hub then says why it is so
/// no longer, and has it on record.
pub fn parse(line: &str, view: &View, read: Option<&Read>) -> Result<Verb, String> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim()));
    if word.is_empty() {
        return Ok(Verb::Nothing);
    }
    let act = match word {
        "?" => Act::Help,
        word => acts::verb(word).ok_or_else(|| format!("there is no verb {:?}; `help` lists them", shown(word)))?,
    };
    Ok(match act {
        Act::Quit => Verb::Quit,
        Act::Help => Verb::Help,
        Act::Status => Verb::Status,
        act => Verb::Ask(request(act, rest, view, read)?),
    })
}

fn request(act: Act, rest: &str, view: &View, read: Option<&Read>) -> Result<Request, String> {
    let session = &view.session;
    let sight = view.sight(view.now(clock::wall()));
    let armed = session.open_step().map(|(step, state, armed)| (step.id.clone(), state.attempt, armed.digest()));
    let picked = Picked { read: armed.or_else(|| read.cloned()).or_else(|| last(view)), ..Picked::default() };
    let written = || match act.row() {
        Some(row) => format!("{} is written: {}", row.verb(), row.plain),
        None => "that is no verb".to_owned(),
    };
    let wish = || sight.wish(act, &picked).map_err(|why| why.sentence);
    let needed = || if rest.is_empty() { Err(written()) } else { Ok(rest.to_owned()) };
    let two = || rest.split_once(char::is_whitespace).map(|(id, text)| (id, text.trim())).ok_or_else(written);
    Ok(match act {
        Act::Arm => Request::Arm { step: step_id(&needed()?)?, covers: None },
        Act::Set => Request::set(&needed()?)?,
        Act::AdHoc => Request::adhoc(&needed()?),
        Act::Edit => two().and_then(|(id, run)| Request::edit(step_id(id)?, run))?,
        Act::Skip => two().and_then(|(id, why)| Ok(Request::Skip { step: step_id(id)?, why: why.to_owned() }))?,
        Act::Probe => Request::Probe { step: step_id(&needed()?)? },
        Act::Interrupt => Request::Interrupt { step: step_id(&needed()?)?, force: false },
        Act::Kill => Request::Interrupt { step: step_id(&needed()?)?, force: true },
        Act::Rollback => {
            let step = step_id(&needed()?)?;
            let attempt = session.steps.get(&step).map_or(0, |state| state.attempt);
            Request::Rollback { step, attempt }
        }
        Act::Settle => {
            let (id, words) = two()?;
            let (outcome, why) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
            let outcome = match outcome {
                "done" => Settled::Done,
                "failed" => Settled::Failed,
                _ => return Err(written()),
            };
            Request::Settle { step: step_id(id)?, outcome, why: why.trim().to_owned() }
        }
        Act::Waive => {
            let (gate, why) = two()?;
            let watch = WatchId::new(gate).map_err(|error| error.to_string())?;
            let (step, state) = session.current_step().ok_or("no step is left")?;
            let attempt = state.attempt + u32::from(!state.phase.is_open());
            let status = session.status(&watch, sight.at);
            Request::Waive { step: step.id.clone(), attempt, watch, status, why: why.to_owned() }
        }
        Act::BreakGlass => {
            let (id, words) = two()?;
            match wish()? {
                Request::BreakGlass { step, attempt, digest, .. } => {
                    let (confirm, why) = (id.to_owned(), words.to_owned());
                    Request::BreakGlass { step, attempt, digest, confirm, why }
                }
                request => request,
            }
        }
        Act::ReadBack => {
            let (field, value) = two()?;
            let (step, attempt, _) = picked.read.clone().ok_or("no step is armed")?;
            Request::ReadBack { step, attempt, field: field.to_owned(), value: value.to_owned() }
        }
        Act::Answer => {
            let (id, answer) = two()?;
            let item = ItemId::new(id).map_err(|error| error.to_string())?;
            Request::Answer { item, answer: answer.to_owned() }
        }
        Act::Fit => Request::Available { fit: true, until: until(rest, sight.at)?, why: String::new() },
        Act::Seat => Request::Seat { seat: needed()? },
        Act::Handover => Request::Handover { to: Principal::new(&needed()?).map_err(|error| error.to_string())? },
        Act::Readmit => {
            let who = Principal::new(&needed()?).map_err(|error| error.to_string())?;
            // The very key that came: the hub asks whether it is the latest one still.
            let key = session.people.get(&who).and_then(|person| person.knocked.clone()).unwrap_or_default();
            Request::Readmit { who, key }
        }
        Act::Run => run(&sight, &picked, rest)?,
        // These end in words of their author's.
        Act::Object | Act::Ack | Act::NoGo | Act::Unfit | Act::Say | Act::Mark => worded(wish()?, &needed()?),
        Act::Andon | Act::Close => worded(wish()?, rest),
        Act::Type => match wish()? {
            Request::Type { step, attempt, .. } => {
                Request::Type { step, attempt, text: Typed(rest.to_owned()), hidden: None }
            }
            request => request,
        },
        _ if rest.is_empty() => wish()?,
        _ => return Err(format!("{}; it takes nothing else", written())),
    })
}

/// `run` means what is armed; a manual step takes a note of what was done.
fn run(sight: &Sight, picked: &Picked, note: &str) -> Result<Request, String> {
    let (step, attempt, _) = picked.read.clone().ok_or("no step is armed")?;
    match sight.session.plan.step(&step).is_some_and(|step| step.by_hand().is_some()) {
        true => Ok(Request::Did { step, attempt, note: note.to_owned() }),
        false if note.is_empty() => Ok(Request::Run { step, attempt }),
        false => Err("run means the one armed step; only a manual one takes a note".to_owned()),
    }
}

/// That request with these words.
fn worded(request: Request, words: &str) -> Request {
    let words = words.to_owned();
    match request {
        Request::Object { step, attempt, digest, .. } => Request::Object { step, attempt, digest, why: words },
        Request::Ack { step, .. } => Request::Ack { step, why: words },
        Request::NoGo { poll, .. } => Request::NoGo { poll, why: words },
        Request::Available { fit, until, .. } => Request::Available { fit, until, why: words },
        Request::Say { .. } => Request::Say { text: words },
        Request::Mark { .. } => Request::Mark { text: words },
        Request::Andon { .. } => Request::Andon { why: words },
        Request::Close { .. } => Request::Close { note: words },
        request => request,
    }
}

/// The step that was armed last, where none is now: the hub's refusal then says what became of it. For one that was
/// voided before its author joined no digest is known, and none is needed to be told why.
fn last(view: &View) -> Option<Read> {
    let ran = view.session.steps.iter().filter_map(|(id, state)| Some((state.armed.as_ref()?, id, state)));
    let ran = ran.max_by_key(|(armed, _, _)| armed.line.seq).map(|(armed, id, state)| (id, state, armed.digest()));
    let voided = view.session.steps.iter().find(|(_, state)| state.voided.is_some());
    let (id, state, digest) = voided.map(|(id, state)| (id, state, Hash::ZERO)).or(ran)?;
    Some((id.clone(), state.attempt, digest))
}

fn step_id(text: &str) -> Result<StepId, String> {
    StepId::new(text).map_err(|error| error.to_string())
}

//! Plain mode's verbs: a line of text becomes a request, completed from the state its author has seen.

use crate::client::view::View;
use crate::clock;
use crate::event::{Attention, Settled};
use crate::hash::Hash;
use crate::name::{ItemId, Principal, StepId, WatchId};
use crate::session::Request;
use crate::session::before::until;
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

/// The verbs, as `help` shows them.
pub const HELP: &str = "\
arm ID · set NAME=VALUE [# WHY] · edit ID COMMAND # WHY · adhoc COMMAND # WHY · disarm · readback NAME VALUE · check · object WHY · withdraw · run · type TEXT · interrupt ID · kill ID · probe ID · rollback ID · ack TEXT · settle ID done|failed WHY · skip ID WHY · waive GATE WHY · break-glass ID WHY
poll · go · no-go WHY · seat NAME · answer ID TEXT · fit [until TIME|for TIME] · unfit WHY
andon [WHY] · release · handover WHO · say TEXT · mark TEXT · away · here · status · close [NOTE] · quit
readback, check, object, withdraw, run and disarm mean the one armed step; run [NOTE] says that a manual one is done, and
interrupt ID gives up a wait";

/// What its author read last: the armed step, the attempt, and the digest of the panel.
pub type Read = (StepId, u32, Hash);

/// Reads a line of somebody who was shown that panel before. `Err` is a sentence for its author; nothing was sent. Where
/// nothing is armed any more, the verbs that mean the armed step mean the one on the panel: the hub then says why it is so
/// no longer, and has it on record.
pub fn parse(line: &str, view: &View, read: Option<&Read>) -> Result<Verb, String> {
    let line = line.trim();
    let (verb, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(verb, rest)| (verb, rest.trim()));
    let need = |what: &str| match rest.is_empty() {
        true => Err(format!("{verb} needs {what}")),
        false => Ok(rest.to_owned()),
    };
    let nothing = |what: &str| match rest.is_empty() {
        true => Ok(()),
        false => Err(format!("{verb} means the one {what} step and takes nothing else")),
    };
    let alone = || match rest.is_empty() {
        true => Ok(()),
        false => Err(format!("{verb} takes nothing else; a reason is for `no-go WHY`")),
    };
    let session = &view.session;
    let armed = || match session.open_step() {
        Some((step, state, armed)) => Ok((step.id.clone(), state.attempt, armed.digest())),
        None => read.cloned().or_else(|| last(view)).ok_or_else(|| "no step is armed".to_owned()),
    };
    let request = match verb {
        "" => return Ok(Verb::Nothing),
        "quit" => return Ok(Verb::Quit),
        "help" | "?" => return Ok(Verb::Help),
        "status" => return Ok(Verb::Status),
        "arm" => Request::Arm { step: step_id(&need("a step")?)?, covers: None },
        "set" => Request::set(&need("NAME=VALUE")?)?,
        "edit" => {
            let (id, run) = rest.split_once(char::is_whitespace).ok_or("edit is written: edit ID COMMAND # WHY")?;
            Request::edit(step_id(id)?, run)?
        }
        "adhoc" => Request::adhoc(&need("a command")?),
        "disarm" => {
            nothing("armed")?;
            let (step, attempt, _) = armed()?;
            Request::Disarm { step, attempt }
        }
        "readback" => {
            let (field, value) =
                rest.split_once(char::is_whitespace).ok_or("readback is written: readback NAME VALUE")?;
            let (step, attempt, _) = armed()?;
            Request::ReadBack { step, attempt, field: field.to_owned(), value: value.trim().to_owned() }
        }
        "check" => {
            nothing("armed")?;
            let (step, attempt, digest) = armed()?;
            Request::Check { step, attempt, digest }
        }
        "object" => {
            let why = need("a reason")?;
            let (step, attempt, digest) = armed()?;
            Request::Object { step, attempt, digest, why }
        }
        "withdraw" => {
            nothing("armed")?;
            let (step, attempt, _) = armed()?;
            Request::Withdraw { step, attempt }
        }
        "run" => {
            let (step, attempt, _) = armed()?;
            match session.plan.step(&step).is_some_and(|step| step.manual.is_some()) {
                true => Request::Did { step, attempt, note: rest.to_owned() },
                false => {
                    nothing("armed")?;
                    Request::Run { step, attempt }
                }
            }
        }
        "waive" => {
            let usage = "waive is written: waive GATE WHY";
            let (gate, why) = rest.split_once(char::is_whitespace).ok_or(usage)?;
            let watch = WatchId::new(gate).map_err(|error| error.to_string())?;
            let (step, state) = session.current_step().ok_or("no step is left")?;
            let attempt = state.attempt + u32::from(!state.phase.is_open());
            let status = session.status(&watch, view.now(crate::clock::wall()));
            Request::Waive { step: step.id.clone(), attempt, watch, status, why: why.trim().to_owned() }
        }
        "skip" => {
            let usage = "skip is written: skip ID WHY";
            let (id, why) = rest.split_once(char::is_whitespace).ok_or(usage)?;
            Request::Skip { step: step_id(id)?, why: why.trim().to_owned() }
        }
        "break-glass" => {
            let usage = "break-glass is written: break-glass ID WHY, with the id of the armed step";
            let (id, why) = rest.split_once(char::is_whitespace).ok_or(usage)?;
            let (step, attempt, digest) = armed()?;
            Request::BreakGlass { step, attempt, digest, confirm: id.to_owned(), why: why.trim().to_owned() }
        }
        "type" => {
            let (step, state) = session.live_step().ok_or("nothing runs")?;
            Request::Type { step: step.id.clone(), attempt: state.attempt, text: Typed(rest.to_owned()), hidden: None }
        }
        "probe" => Request::Probe { step: step_id(&need("the step's id")?)? },
        "interrupt" => Request::Interrupt { step: step_id(&need("the step's id")?)?, force: false },
        "kill" => Request::Interrupt { step: step_id(&need("the step's id")?)?, force: true },
        "rollback" => {
            let step = step_id(&need("the step's id")?)?;
            let attempt = session.steps.get(&step).map_or(0, |state| state.attempt);
            Request::Rollback { step, attempt }
        }
        "ack" => {
            let why = need("your words")?;
            let (step, _) = session.owing_step().ok_or("no step waits for an acknowledgement")?;
            Request::Ack { step: step.id.clone(), why }
        }
        "settle" => {
            let usage = "settle is written: settle ID done|failed WHY";
            let mut words = rest.splitn(3, char::is_whitespace);
            let step = step_id(words.next().filter(|word| !word.is_empty()).ok_or(usage)?)?;
            let outcome = match words.next() {
                Some("done") => Settled::Done,
                Some("failed") => Settled::Failed,
                _ => return Err(usage.to_owned()),
            };
            Request::Settle { step, outcome, why: words.next().unwrap_or("").trim().to_owned() }
        }
        "poll" => {
            alone()?;
            Request::Poll
        }
        "go" => {
            alone()?;
            Request::Go { poll: session.before.number(), board: session.before.board }
        }
        "no-go" => Request::NoGo { poll: session.before.number(), why: need("a reason")? },
        "seat" => Request::Seat { seat: need("the seat's name")? },
        "answer" => {
            let usage = "answer is written: answer ID TEXT";
            let (id, answer) = rest.split_once(char::is_whitespace).ok_or(usage)?;
            let item = ItemId::new(id).map_err(|error| error.to_string())?;
            Request::Answer { item, answer: answer.trim().to_owned() }
        }
        "fit" => Request::Available { fit: true, until: until(rest, view.now(clock::wall()))?, why: String::new() },
        "unfit" => Request::Available { fit: false, until: None, why: need("a reason")? },
        "andon" => Request::Andon { why: rest.to_owned() },
        "release" => Request::Release,
        "handover" => {
            Request::Handover { to: Principal::new(&need("a principal")?).map_err(|error| error.to_string())? }
        }
        "say" => Request::Say { text: need("a text")? },
        "mark" => Request::Mark { text: need("a text")? },
        "away" => Request::Attend { attention: Attention::Away },
        "here" => Request::Attend { attention: Attention::Here },
        "close" => Request::Close { note: rest.to_owned() },
        other => return Err(format!("there is no verb {:?}; `help` lists them", crate::name::shown(other))),
    };
    Ok(Verb::Ask(request))
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

//! Who leads where nobody does: types the verbs of plain mode, each when the session is ready for it.
//!
//! It decides from the newest state only and sends nothing twice while the state stays as it was, so it cannot run away.

use super::No;
use crate::client::view::View;
use crate::clock::{self, At};
use crate::name::StepId;
use crate::plan::Step;
use crate::session::Session;
use crate::session::steps::{Phase, StepState};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// A verb without an effect is sent again after so long. Refusals are an effect; only so many of them are kept, though.
const AGAIN: Duration = Duration::from_secs(5);
/// A state that does not change is looked at again: readings grow old by themselves.
const LOOK: Duration = Duration::from_secs(1);
/// A step that was armed so often in vain will not be flown.
const ATTEMPTS_MAX: u32 = 8;

/// What a verb was sent upon. While this stays, it is not answered yet.
#[derive(PartialEq)]
struct Ground {
    verb: String,
    phase: Option<(Phase, u32)>,
    refusals: Option<(At, u32)>,
}

/// Flies until the session is closed. Returns only where that will not come about.
pub async fn fly(mut view: watch::Receiver<View>, mut verbs: impl AsyncWrite + Unpin) -> anyhow::Result<()> {
    let mut refused_once = BTreeSet::new();
    let mut sent: Option<(Ground, Instant)> = None;
    loop {
        let now = view.borrow_and_update().clone();
        if now.session.closed.is_some() {
            // Whoever prints still has the last lines to print, and ends the flight.
            return std::future::pending().await;
        }
        if let Some(verb) = next(&now, &mut refused_once)? {
            let ground = Ground {
                verb: verb.clone(),
                phase: step(&now.session).map(|(_, state)| (state.phase, state.attempt)),
                refusals: now.session.refusals.get(&now.me).copied(),
            };
            if sent.as_ref().is_none_or(|(before, at)| *before != ground || at.elapsed() > AGAIN) {
                // Plain mode does not echo what was typed, and here nobody typed it.
                writeln!(crate::cli::out::stdout(), "> {verb}")?;
                verbs.write_all(format!("{verb}\n").as_bytes()).await?;
                sent = Some((ground, Instant::now()));
            }
        }
        if let Ok(Err(_)) = timeout(LOOK, view.changed()).await {
            return std::future::pending().await; // the client is over, and says so itself
        }
    }
}

/// The first step whose effect is not there.
fn step(session: &Session) -> Option<(&Step, &StepState)> {
    session.plan.steps.iter().find_map(|step| {
        let state = session.steps.get(&step.id)?;
        (!state.phase.is_done()).then_some((step, state))
    })
}

/// What to type now, if anything. A red gate is tried once, so that its refusal is seen, and then waited for.
fn next(view: &View, refused_once: &mut BTreeSet<StepId>) -> Result<Option<String>, No> {
    let session = &*view.session;
    let Some((step, state)) = step(session) else {
        return Ok(Some("close every step of the demo is done".to_owned()));
    };
    let now = view.now(clock::wall());
    let open = step.gates.iter().all(|gate| session.gate_holds(gate, now));
    Ok(match state.phase {
        _ if session.line.is_stopped() => None,
        Phase::Planned | Phase::SettledFailed if state.attempt >= ATTEMPTS_MAX => {
            return Err(No(format!("step {} was armed {} times and still is not done", step.id, state.attempt)));
        }
        Phase::Planned | Phase::SettledFailed if open || refused_once.insert(step.id.clone()) => {
            Some(format!("arm {}", step.id))
        }
        Phase::Cleared if open => Some("run".to_owned()),
        _ => None,
    })
}

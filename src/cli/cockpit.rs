//! The screen of a participant: connects the client to the cockpit and says how it ended.

use super::args::{Glyphs, ScreenArgs};
use crate::client::{Client, Notice};
use crate::clock;
use crate::name::shown;
use crate::protocol::Refused;
use crate::session::Request;
use crate::tui::{self, Answered, Exit, Options};
use tokio::sync::mpsc;

/// The options that a command line and the environment ask for.
pub fn options(screen: &ScreenArgs) -> anyhow::Result<Options> {
    let mut options = Options::from_env(screen.theme.as_deref(), |name| std::env::var(name).ok())?;
    match screen.glyphs {
        Some(Glyphs::Ascii) => options.glyphs = tui::Glyphs::Ascii,
        Some(Glyphs::Unicode) => options.glyphs = tui::Glyphs::Unicode,
        None => {}
    }
    Ok(options)
}

/// Shows the session until the person leaves or it is over. `hub`: how the lead finds a hub that goes on.
pub async fn run(mut client: Client, screen: &ScreenArgs, hub: Option<&str>) -> anyhow::Result<()> {
    let options = options(screen)?;
    let view = client.view.clone();
    let asker = client.asker();
    // As many answers as there were requests: none is dropped, since a screen that waits for one would wait for ever.
    let (answers, answered) = mpsc::unbounded_channel();
    let unsent = answers.clone();
    let ask = move |request: Request| {
        if let Err(request) = asker.ask(request) {
            // Only a client that is over, or one whose hub takes nothing, has no room.
            let reason = "it was not sent: the hub takes nothing".to_owned();
            let refusal = Refused { request: request.describe(), reason, hint: None };
            let _ = unsent.send(Answered { request, refusal: Some(refusal) }); // fails once nobody looks any more
        }
    };
    // Notices are read on whatever the screen does; answers are told there, the end is told afterwards.
    let listening = async {
        let mut why = None;
        while let Some(notice) = client.notices.recv().await {
            match notice {
                Notice::Answer { request, refusal, .. } => {
                    let _ = answers.send(Answered { request, refusal }); // as above
                }
                Notice::Over(reason) => why = Some(reason),
                _ => {}
            }
        }
        // The screen stays: a closed session is looked at until the person leaves.
        why
    };
    let screen = tui::run(view.clone(), ask, answered, options);
    tokio::pin!(screen, listening);
    let mut over = None;
    let exit = loop {
        tokio::select! {
            exit = &mut screen => break exit?,
            why = &mut listening, if over.is_none() => over = Some(why.flatten()),
        }
    };
    let session = view.borrow().session.clone();
    let Some(why) = over.flatten() else {
        match (session.closed, exit) {
            (Some(_), _) => println!("the session is closed ({})", clock::human(session.at.since(session.opened))),
            (None, Exit::Left | Exit::Signalled | Exit::Ended) => println!("left; the session goes on"),
        }
        if let Some(log) = hub {
            println!("the hub's log is {log}");
        }
        return Ok(());
    };
    Err(anyhow::anyhow!(shown(&why)))
}

//! `demo`: a whole release in one process, on files that are thrown away. The hub, the websocket, the checks and the
//! deletion are the real ones; what the plan looks at is started here ([`service`], `kafka`), and a program is the second
//! person ([`shadow`]). Whoever started it leads; with `--plain` a program does that too ([`pilot`]).
//!
//! Everything is owned by [`run`] and ends with it; only the folder, the transcript and the report stay.

#[cfg(feature = "kafka")]
mod kafka;
mod pilot;
mod plan;
mod service;
mod shadow;

use super::args::{Demo, HubArgs, ScreenArgs};
use super::{No, join, out, plain, read_plan, serve};
use crate::client::{Client, Keys, Options};
use crate::hub::Hub;
use crate::hub::driver::Ended;
use crate::identity::Key;
use crate::trust::signer::Signer;
use anyhow::Context as _;
use shadow::{Pace, Shadow};
use std::io::{IsTerminal as _, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The step that cannot be undone.
const DROP: &str = "drop";
const LEAD: &str = "lead@example.org";
const SHADOW: &str = "demo-shadow@example.org";
/// The longest an unattended flight may take; scripts are promised two minutes, and the end takes some of it.
const FLIGHT_MAX: Duration = Duration::from_secs(95);

/// What is behind the red gate, as the demo's shadow tells it.
const WHY_RED: &str = if cfg!(feature = "kafka") {
    "refused: ingest-lag is red, the consumer search-ingest stands still. A gate clears by itself and in no other way; I have it read on in a moment"
} else {
    "refused: search-api is red, the service still warms up. A gate clears by itself and in no other way"
};
/// That it is mended.
const MENDED: &str = if cfg!(feature = "kafka") {
    "search-ingest reads on now; watch the lag fall below the limit"
} else {
    "the search service is warm now; watch the gate turn"
};

/// What keeps the gate red at first, shared between who suffers from it and who mends it.
#[derive(Debug, Clone)]
struct Trouble(Arc<AtomicBool>);
impl Trouble {
    fn holds(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    fn mend(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Who leads, and so what the demo's shadow tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guide {
    /// A program: it needs no telling.
    Nobody,
    /// A person at the cockpit.
    Keys,
    /// A person in plain mode.
    Verbs,
}
impl Guide {
    fn greeting(self) -> &'static str {
        match self {
            Guide::Nobody => "I am the demo's shadow, a program: I cross-check what the lead arms",
            Guide::Keys => {
                "I am the demo's shadow, a program. You lead: press a to arm step 01, r to run it, and so on down the plan; ! stops the line, ? shows all keys"
            }
            Guide::Verbs => {
                "I am the demo's shadow, a program. You lead: type `arm backup`, then `run`, and so on down the plan; `andon` stops the line, `help` shows all verbs"
            }
        }
    }
    fn checked(self) -> &'static str {
        match self {
            Guide::Nobody => "",
            Guide::Keys => ". Press r to run it",
            Guide::Verbs => ". Type `run` to run it",
        }
    }
    fn gate_open(self) -> Option<&'static str> {
        match self {
            Guide::Nobody => None,
            Guide::Keys => Some("every gate is ok now: press a to arm 03 drop, and I read it"),
            Guide::Verbs => Some("every gate is ok now: type `arm drop`, and I read it"),
        }
    }
    fn stopped(self) -> Option<&'static str> {
        match self {
            Guide::Nobody => None,
            Guide::Keys => {
                Some("the line is stopped, nothing can start. Press A once it is safe to go on; I agree after you")
            }
            Guide::Verbs => {
                Some("the line is stopped, nothing can start. Type `release` once it is safe; I agree after you")
            }
        }
    }
    fn over(self) -> Option<&'static str> {
        match self {
            Guide::Nobody => None,
            Guide::Keys => Some("that was the whole plan: press Q to close the session"),
            Guide::Verbs => Some("that was the whole plan: type `close`"),
        }
    }
}

/// Flies the demo.
pub async fn run(args: Demo) -> anyhow::Result<()> {
    // Without somebody to type, a screen would wait for ever.
    let alone = args.screen.plain || !std::io::stdin().is_terminal();
    let guide = match (alone, join::wants_plain(&args.screen)) {
        (true, _) => Guide::Nobody,
        (false, true) => Guide::Verbs,
        (false, false) => Guide::Keys,
    };
    let path = plan::write()?;
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let trouble = Trouble(Arc::new(AtomicBool::new(true)));
    let service = service::Service::start(&folder, trouble.clone()).await.context("the demo's search service")?;
    #[allow(unused_mut)] // a build without Kafka adds nothing
    let mut params = vec![("api".to_owned(), format!("http://{}", service.address))];
    #[cfg(feature = "kafka")]
    let ingest = kafka::Ingest::start(trouble.clone()).context("the demo's Kafka broker")?;
    #[cfg(feature = "kafka")]
    params.push(("brokers".to_owned(), ingest.brokers.clone()));
    let hub_args = HubArgs {
        transcripts: Some(transcripts(args.transcripts, &folder)),
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        tls_cert: None,
        tls_key: None,
        advertise: None,
        params,
        max_participants: crate::hub::PARTICIPANTS,
        links_file: None,
        new: true,
    };
    let hub = serve::start(read_plan(&path)?, &path, &hub_args, None).await?;
    let transcript = hub.transcript.clone();
    let shadow = Shadow::new(client(&hub, SHADOW).await?, pace(guide), guide, trouble);
    let shadow = Task(tokio::spawn(shadow.fly()));
    let lead = client(&hub, LEAD).await;
    // Waited for from here on: it is the hub's own end that lets its clients go once the session is closed.
    let (stopper, ended) = (hub.stopper(), tokio::spawn(hub.wait()));
    let flown = match lead {
        Ok(lead) if alone => fly_alone(lead).await,
        Ok(lead) => fly(lead, &args.screen).await,
        Err(error) => Err(error),
    };
    // Where the session is closed, the hub is on its way out already and this changes nothing.
    stopper.stop(true).await;
    let ended = ended.await.context("the demo's hub")??;
    drop(shadow);
    // An error comes before a farewell: it may be that nobody reads our output any more.
    flown?;
    let name = transcript.display();
    let mut farewell = format!("folder {} (throw-away files; it is yours to delete)\n", folder.display());
    match ended {
        Ended::Closed => {
            let report = crate::report::write_beside(&transcript).context("the report could not be written")?;
            farewell +=
                &format!("to replay it: crosscheck replay {name}\ntranscript {name}\nreport {}\n", report.display());
        }
        Ended::Stopped => farewell += &format!("hub stopped; the session is not closed\ntranscript {name}\n"),
    }
    out::stdout().write_all(farewell.as_bytes())?;
    match ended {
        Ended::Stopped if alone => Err(No("the demo ended before its session was closed".to_owned()).into()),
        _ => Ok(()),
    }
}

/// A person leads.
async fn fly(lead: Client, screen: &ScreenArgs) -> anyhow::Result<()> {
    join::show(lead, screen, None).await
}

/// A program leads, and plain mode prints what it sees.
async fn fly_alone(lead: Client) -> anyhow::Result<()> {
    let (verbs, typed) = tokio::io::duplex(1024);
    let (view, mut out) = (lead.view.clone(), out::stdout());
    let flight = async {
        tokio::select! {
            biased; // what plain mode shows first comes before what the pilot types
            flown = plain::run(lead, tokio::io::BufReader::new(typed), &mut out) => flown,
            gave_up = pilot::fly(view, verbs) => gave_up,
            _ = tokio::signal::ctrl_c() => Err(No("the demo was interrupted".to_owned()).into()),
        }
    };
    match tokio::time::timeout(FLIGHT_MAX, flight).await {
        Ok(flown) => flown,
        Err(_) => Err(No(format!("the demo did not end within {} s", FLIGHT_MAX.as_secs())).into()),
    }
}

fn pace(guide: Guide) -> Pace {
    let seconds = Duration::from_secs;
    match guide {
        Guide::Nobody => Pace {
            read: Duration::from_millis(1500),
            think: Duration::from_millis(1500),
            mend: seconds(6),
            mend_untried: seconds(20),
        },
        Guide::Keys | Guide::Verbs => {
            Pace { read: seconds(5), think: seconds(3), mend: seconds(8), mend_untried: seconds(15) }
        }
    }
}

/// Joins over the websocket, as anybody would, with a key that is kept nowhere: the demo leaves nothing in the home folder
/// but its transcript.
async fn client(hub: &Hub, who: &str) -> anyhow::Result<Client> {
    let link = hub.links.get(who).with_context(|| format!("the hub made no link for {who}"))?.parse()?;
    Ok(Client::join(Options {
        link,
        name: None,
        keys: Keys::Given(Arc::new(Signer::Own(Key::fresh()?))),
        via: None,
        heads: None,
    })
    .await?)
}

/// Where the transcript goes: as asked, else the state folder, else (no home, or one that cannot be written) the throw-away
/// folder, for the demo needs nothing.
fn transcripts(given: Option<PathBuf>, folder: &Path) -> PathBuf {
    given.unwrap_or_else(|| {
        let writable = |state: &PathBuf| {
            crate::identity::private_folder(state).is_ok()
                && nix::unistd::access(state, nix::unistd::AccessFlags::W_OK).is_ok()
        };
        serve::transcripts(None).ok().filter(writable).unwrap_or_else(|| folder.join("transcripts"))
    })
}

/// A task that ends with its owner.
struct Task(tokio::task::JoinHandle<()>);
impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

//! The hub: owns the session, runs its commands, writes its transcript, serves its participants.
//!
//! [`Hub::start`] opens a session (or takes an unfinished one of the same plan up again), makes that durable, and only
//! then listens. [`driver`] is the one loop that decides and performs, [`peer`] one connection, [`fanout`] the way out.

pub mod accept;
mod arrivals;
mod crash;
pub mod driver;
mod earlier;
pub mod fanout;
#[cfg(test)]
mod generated;
pub mod incoming;
mod joining;
pub mod journal;
pub mod links;
mod live;
pub mod notify;
pub mod peer;
mod plan_file;
pub mod policy;
mod rehearsal;
pub mod sequencer;
pub mod shared;

use crate::clock::Clock;
use crate::event::Event;
use crate::exec;
use crate::hash::Hash;
use crate::identity::{Key, random_hex};
use crate::monitor::{Anchors, Monitor};
use crate::name::{REHEARSAL, short_id};
use crate::plan::{Params, Plan};
use crate::session::{Fact, Session};
use crate::tls::{Certificate, TlsError};
use crate::transcript::file::{FileError, Transcript};
use crate::transcript::found::{Found, unfinished, unreadable};
use crate::transcript::index::Index;
use crate::transcript::output;
use crate::transcript::record::LINE_BYTES_MAX;
use crate::trust::allowed::Allowed;
use bytes::{Bytes, BytesMut};
use driver::{Driver, DriverError, Ended, INPUTS, TICK};
use incoming::Incoming;
use links::{Kept, Secrets};
use sequencer::{Numbered, Sequencer, SequencerError};
use shared::Shared;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Connections wanted by default at most.
pub const PARTICIPANTS: usize = 256;
/// Ending of the file with the session's own key, beside the transcript; gone once the session is closed.
const KEY: &str = "key";
/// Bytes of old lines read for a laggard at a time.
const PAST_BYTES: usize = 256 * 1024;

/// What a hub is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The plan.
    pub plan: Plan,
    /// The folder it lies in: relative paths start there.
    pub folder: PathBuf,
    /// Parameters given on the command line.
    pub params: Params,
    /// The data that it is only rehearsed on; nothing where it is flown live.
    pub rehearsal: Option<String>,
    /// Where transcripts go; those of rehearsals into a folder of their own in there.
    pub transcripts: PathBuf,
    /// Where to listen; port 0 takes the last one again, or any.
    pub listen: SocketAddr,
    /// The host that links name.
    pub advertise: Option<String>,
    /// The certificate of a standing hub; otherwise the session makes its own and keeps it.
    pub certificate: Option<Certificate>,
    /// Connections at most.
    pub max_participants: usize,
    /// Start another session even where an unfinished one exists.
    pub new: bool,
}

/// Why there is no hub.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HubError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the plan's folder {path} cannot be used: {source}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("parameter: {0}")]
    Params(String),
    #[error(
        "an unfinished session of this plan, {path}, was opened with another plan text (since edited)\nhint: fly the plan as it was, or start another session with --new"
    )]
    Edited { path: PathBuf },
    #[error(
        "an unfinished session of this plan, {path}, has other parameters: {was}\nhint: give the same ones, or start another session with --new"
    )]
    OtherParams { path: PathBuf, was: String },
    #[error("the rehearsal cannot be opened: {0}")]
    Rehearsal(String),
    #[error(
        "an unfinished rehearsal of this plan, {path}, is on other data: {was}\nhint: give the same --data, or start another one with --new"
    )]
    OtherData { path: PathBuf, was: String },
    #[error("{}", live::told(environment, who.as_deref(), digest))]
    Flying { environment: String, who: Option<Box<live::Flying>>, digest: Hash },
    #[error("the environment's lock {path} cannot be taken: {source}", path = path.display())]
    Environment { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Policy(#[from] policy::PolicyError),
    #[error(
        "plan and allowed_signers together make a first line of {0} bytes, and {LINE_BYTES_MAX} is the most\nhint: keep only the lines of this plan's crew in allowed_signers"
    )]
    FirstLine(usize),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the links of this session cannot be kept in {path}: {source}", path = path.display())]
    Links { path: PathBuf, source: io::Error },
    #[error("{path} does not hold the links of this session: {why}\nhint: move it away, and new links are made; everyone's key stays what it was", path = path.display())]
    LinksDamaged { path: PathBuf, why: String },
    #[error("the session's own key, {path}, is missing or another one: what the hub would sign would not hold\nhint: put the file back, or start another session with --new", path = path.display())]
    KeyGone { path: PathBuf },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Key(#[from] crate::identity::KeyError),
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error("the session could not be opened: {0}")]
    Journal(#[from] journal::JournalError),
    #[error("the hub's thread could not be started: {0}")]
    Thread(io::Error),
}

/// A running hub.
pub struct Hub {
    /// Where it listens.
    pub address: SocketAddr,
    /// The session's id.
    pub session: String,
    /// Its transcript.
    pub transcript: PathBuf,
    /// Everyone's link, by principal; the observers' under `observer`.
    pub links: std::collections::BTreeMap<String, String>,
    /// Whether an unfinished session was taken up again.
    pub resumed: bool,
    /// What the driver shares: its counters.
    pub shared: Arc<Shared>,
    /// Held until the hub has ended.
    _environment: live::Environment,
    inputs: mpsc::Sender<Incoming>,
    ended: tokio::sync::oneshot::Receiver<Result<Ended, DriverError>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    places: Arc<Semaphore>,
    participants_max: u32,
}

impl Hub {
    /// Opens or resumes the session and listens. Must be called on a tokio runtime.
    pub async fn start(config: Config) -> Result<Hub, HubError> {
        let config = rehearsal::placed(config)?;
        let folder = std::fs::canonicalize(&config.folder)
            .map_err(|source| HubError::Folder { path: config.folder.clone(), source })?;
        let rehearsed = config.rehearsal.as_ref().map(|data| config.plan.rehearsed_on(data));
        let params = rehearsed.as_ref().unwrap_or(&config.plan).params(&config.params).map_err(HubError::Params)?;
        if !config.plan.secrets.is_empty() {
            leave_no_core();
        }
        // A certificate that is no good opens no session.
        let standing = config.certificate.as_ref().map(|it| Ok::<_, TlsError>((it.fingerprint(), it.acceptor()?)));
        let standing = standing.transpose()?;
        let mut environment = live::Environment::take(&config.transcripts, &config.plan)?;
        let opened = open(&config, &folder, params)?;
        environment.flies(opened.transcript.path())?;
        let kept_path = opened.transcript.path().with_extension("links");
        let session = opened.sequencer.session();
        let mut kept = Kept::load_or_make(&kept_path, &session.id, &session.plan)?;
        let (certificate, acceptor) = match standing {
            Some(standing) => standing,
            None => kept.certificate(&kept_path)?,
        };
        let listener = accept::listen(config.listen, kept.port)?;
        let address = listener.local_addr().map_err(|source| HubError::Listen { address: config.listen, source })?;
        kept.port = address.port();
        kept.save(&kept_path).map_err(|source| HubError::Links { path: kept_path, source })?;
        let host = config.advertise.clone().unwrap_or_else(|| accept::reachable_as(address.ip()));
        let links = kept.links(&host, certificate);

        let shared = Arc::new(Shared {
            ring: fanout::Ring::new(opened.sequencer.head().seq),
            clock: opened.clock,
            reader_waits: 0.into(),
            last_words: Mutex::default(),
        });
        let (inputs, input) = mpsc::channel(INPUTS);
        let (samples, mut sampled) = mpsc::channel(64);
        let session = opened.sequencer.session();
        let now: Arc<dyn Fn() -> crate::clock::At + Send + Sync> = {
            let shared = shared.clone();
            Arc::new(move || shared.now())
        };
        let monitor =
            Monitor::resume(&session.plan.watches, &session.params, &folder, now.clone(), samples, &anchors(session));
        let door = Arc::new(peer::Door {
            session: session.id.clone(),
            acceptor,
            key: opened.key.clone(),
            allowed: session.allowed.clone(),
            certificate,
            secrets: Secrets::new(kept),
            inputs: inputs.clone(),
            ring: shared.ring.clone(),
            past: Arc::new(Past(opened.index.clone())),
            holds: {
                let index = opened.index.clone();
                Arc::new(move |have| holds(&index, have))
            },
            now,
        });
        let (session, transcript) = (session.id.clone(), opened.transcript.path().to_owned());
        let driver = Driver::new(
            opened.sequencer,
            Box::new(opened.transcript),
            shared.clone(),
            inputs.clone(),
            tokio::runtime::Handle::current(),
            monitor,
            opened.key,
        );
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("driver".to_owned())
            .spawn(move || {
                let _ = end.send(driver.run(input));
            })
            .map_err(HubError::Thread)?;
        let participants_max = u32::try_from(config.max_participants).unwrap_or(u32::MAX >> 8);
        let places = Arc::new(Semaphore::new(participants_max as usize));
        let tasks = vec![
            tokio::spawn(accept::accept(listener, door, places.clone())),
            tokio::spawn({
                let ring = shared.ring.clone();
                async move { ring.pace().await }
            }),
            tokio::spawn({
                let inputs = inputs.clone();
                async move {
                    while let Some(sample) = sampled.recv().await {
                        if inputs.send(Incoming::Sample(sample)).await.is_err() {
                            return;
                        }
                    }
                }
            }),
            tokio::spawn({
                let inputs = inputs.clone();
                async move {
                    let mut tick = tokio::time::interval(TICK);
                    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                    loop {
                        tick.tick().await;
                        if inputs.send(Incoming::Tick).await.is_err() {
                            return;
                        }
                    }
                }
            }),
        ];
        Ok(Hub {
            address,
            session,
            transcript,
            links,
            resumed: opened.resumed,
            _environment: environment,
            shared,
            inputs,
            ended,
            tasks,
            places,
            participants_max,
        })
    }

    /// Ends the hub, the session unclosed; what runs is lost from sight and reads as unknown afterwards.
    pub async fn stop(&self) {
        let _ = self.inputs.send(Incoming::Stop { force: true }).await;
    }

    /// Has everyone told once the plan's file says something else than the session was opened with.
    pub fn watch_plan(&mut self, path: PathBuf, text: String) {
        self.tasks.push(tokio::spawn(plan_file::watch(path, text, self.inputs.clone())));
    }

    /// A handle to end it with while somebody else waits.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.inputs.clone())
    }

    /// Waits for the end; the last lines reach everyone who reads.
    pub async fn wait(mut self) -> Result<Ended, HubError> {
        let ended = (&mut self.ended).await;
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        if let Ok(Ok(Ended::Closed)) = &ended {
            let _ = std::fs::remove_file(self.transcript.with_extension(KEY)); // nothing is signed any more
        }
        let close = match &ended {
            Ok(Ok(Ended::Closed)) => fanout::close_frame(1000, "the session is closed"),
            _ => fanout::close_frame(1001, "the hub ended"),
        };
        self.shared.ring.everyone(|outbox| outbox.close(&close));
        // Every connection gives its place back when its writer has sent everything. One that does not read is not
        // waited for longer than it takes to be sure of that.
        let everyone = self.places.acquire_many(self.participants_max);
        let last = std::mem::take(&mut *self.shared.last_words.lock().unwrap_or_else(PoisonError::into_inner));
        let (everyone, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(3), everyone), notify::finish(last));
        if everyone.is_err() {
            tracing::warn!("some participants did not take the last lines in time; the transcript has them");
        }
        match ended {
            Ok(ended) => Ok(ended?),
            Err(_) => Err(HubError::Thread(io::Error::other("the hub's thread ended unexpectedly; this is a bug"))),
        }
    }
}

/// Ends a hub.
pub struct Stopper(mpsc::Sender<Incoming>);
impl Stopper {
    /// Asks for the end; without `force` a running command is left in peace.
    pub async fn stop(&self, force: bool) {
        let _ = self.0.send(Incoming::Stop { force }).await; // a hub that is gone has ended
    }
}

/// A core dump of the hub, or of a command that was given a secret, would hold it. The soft limit alone: a command that
/// needs its core can ask for it.
fn leave_no_core() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let limited = getrlimit(Resource::RLIMIT_CORE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_CORE, 0, hard));
    if let Err(error) = limited {
        tracing::warn!("a crash of this hub may leave a core dump with secrets in it: {error}");
    }
}

struct Opened {
    sequencer: Sequencer,
    transcript: Transcript,
    index: Arc<Index>,
    /// The session's own key.
    key: Key,
    clock: Arc<Mutex<Clock>>,
    resumed: bool,
}

/// Opens a new session, or takes the unfinished one of the same plan up again; either is durable on return.
fn open(config: &Config, folder: &Path, params: Params) -> Result<Opened, HubError> {
    let mut found = if config.new { vec![] } else { unfinished(&config.transcripts, config.plan.digest)? };
    // One is never taken up as the other, wherever its transcript was put.
    found.retain(|found| found.rehearsal.is_some() == config.rehearsal.is_some());
    let same_folder = |found: &&Found| Path::new(&found.folder) == folder;
    if let Some(found) = found.iter().filter(same_folder).rfind(|found| found.same_digest) {
        rehearsal::same_data(found, config)?;
        return resume(&found.path, params, folder);
    }
    // Another plan may lie in the same folder: only the same name for the same environment is this plan, edited.
    let same_plan = |found: &&Found| {
        same_folder(found) && found.plan_name == config.plan.name && found.environment == config.plan.environment
    };
    if let Some(found) = found.iter().rfind(same_plan) {
        return Err(HubError::Edited { path: found.path.clone() });
    }
    if !config.new
        && let Some(refused) = unreadable(&config.transcripts, &slug(&config.plan.name))
    {
        return Err(refused.into());
    }
    let allowed = policy::read(&config.plan, folder)?;
    let clock = Clock::start(None);
    let at = clock.now();
    let session = rehearsal::id(config, random_hex(16)?);
    let mark = if config.rehearsal.is_some() { REHEARSAL } else { "" };
    let name = format!("{}-{mark}{}-{}", at.compact(), slug(&config.plan.name), short_id(&session));
    // Before the first line, which names it: a line without its key could never be followed by a signed one.
    let key = Key::load_or_make(&config.transcripts.join(&name).with_extension(KEY))?;
    let before = earlier::find(&config.transcripts, &config.plan);
    let opened = |flown| Event::SessionOpened {
        session: session.clone(),
        plan_name: config.plan.name.clone(),
        environment: config.plan.environment.clone(),
        plan: config.plan.text.to_string(),
        plan_digest: config.plan.digest,
        params: params.clone(),
        host: exec::host(),
        user: exec::user(),
        folder: folder.display().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rehearsal: config.rehearsal.clone(),
        earlier: before.earlier.clone().map(Box::new),
        flown,
        hub_key: Some(key.public().clone()),
        allowed_signers: allowed.as_ref().map(|allowed| allowed.text().to_owned()),
        allowed_signers_digest: allowed.as_ref().map(Allowed::digest),
    };
    // What ran before takes only the room that the line has beside what a session needs.
    let needed = Sequencer::open(at, opened(vec![]))?.1.bytes().len();
    let flown = earlier::kept(before.flown.clone(), LINE_BYTES_MAX.saturating_sub(needed + 1024));
    let (sequencer, first) = Sequencer::open(at, opened(flown))?;
    if first.bytes().len() > LINE_BYTES_MAX {
        return Err(HubError::FirstLine(first.bytes().len()));
    }
    let mut transcript = Transcript::create(&config.transcripts, &name)?;
    durable(&mut transcript, &[first])?;
    let index = transcript.index();
    Ok(Opened { sequencer, transcript, index, key, clock: Arc::new(Mutex::new(clock)), resumed: false })
}

fn resume(path: &Path, params: Params, folder: &Path) -> Result<Opened, HubError> {
    let resumed = Transcript::resume(path)?;
    let (mut transcript, session) = (resumed.transcript, resumed.session);
    policy::unchanged(&session.plan, folder, session.allowed.as_deref(), path)?;
    // Those it opened with: what the lead set since stays set.
    if session.given != params {
        let was: Vec<_> = session.given.iter().map(|(name, value)| format!("--param {name}={value}")).collect();
        return Err(HubError::OtherParams { path: path.to_owned(), was: was.join(" ") });
    }
    let key_path = path.with_extension(KEY);
    let key = match &session.hub_key {
        Some(_) if !key_path.exists() => return Err(HubError::KeyGone { path: key_path }),
        Some(public) => match Key::load_or_make(&key_path)? {
            key if key.public() == public => key,
            _ => return Err(HubError::KeyGone { path: key_path }),
        },
        None => Key::fresh()?,
    };
    let clock = Clock::start(Some(session.at));
    let found = session.live_step().and_then(|(step, state)| {
        let part = state.phase.part();
        let run = state.run_of(part)?;
        match run.process.clone() {
            Some(process) => exec::still_runs(&process, run.keeper.as_ref()).then(|| (process, run.keeper.clone())),
            None => exec::noted(&output::note(path, &step.id, state.attempt, part)),
        }
    });
    let (alive, keeper) = found.map_or((None, None), |(process, keeper)| (Some(process), keeper));
    let lost = session.live_step().is_some();
    let note = match (lost, resumed.torn_bytes) {
        (false, 0) => "nothing was under way".to_owned(),
        (true, 0) => "a command was under way".to_owned(),
        (_, torn) => format!("{torn} bytes of an unfinished last line were set aside"),
    };
    let still: Vec<_> = session.left.iter().filter(|left| exec::is_alive(&left.seen.process)).collect();
    let still: Vec<_> = still.iter().map(|left| format!("{} of {}", left.seen, left.step)).collect();
    let note = if still.is_empty() { note } else { format!("{note}; what was left still runs: {}", still.join(", ")) };
    let mut sequencer = Sequencer::resume(session, resumed.head);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let recovered = Fact::Recovered { version, torn_bytes: resumed.torn_bytes, note, alive, keeper };
    let lines = sequencer.observe(clock.now(), &recovered)?;
    durable(&mut transcript, &lines)?;
    let index = transcript.index();
    Ok(Opened { sequencer, transcript, index, key, clock: Arc::new(Mutex::new(clock)), resumed: true })
}

/// What a monitor has to know of the session it reads for.
fn anchors(session: &Session) -> Anchors {
    let watches = || session.watches.iter();
    Anchors {
        opened: Some(session.opened),
        held: watches().filter_map(|(id, state)| Some((id.clone(), state.anchor.clone()?))).collect(),
        moves: watches().filter(|(_, state)| state.anchor_moves).map(|(id, _)| id.clone()).collect(),
    }
}

fn durable(transcript: &mut Transcript, lines: &[Numbered]) -> Result<(), HubError> {
    lines.iter().for_each(|line| crash::here(crash::Moment::Before, line.line.event.kind()));
    journal::Journal::append(transcript, lines, &[])?;
    lines.iter().for_each(|line| crash::here(crash::Moment::After, line.line.event.kind()));
    Ok(())
}

/// A plan's name as a part of a file's name.
fn slug(name: &str) -> String {
    let text: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<_> = text.split('-').filter(|part| !part.is_empty()).collect();
    let slug: String = parts.join("-").chars().take(40).collect();
    if slug.is_empty() { "plan".to_owned() } else { slug }
}

/// Old lines from the transcript.
struct Past(Arc<Index>);
impl fanout::Past for Past {
    fn after(&self, cursor: u64) -> io::Result<(Bytes, u64)> {
        let lines = self.0.lines_after(cursor, PAST_BYTES).map_err(io::Error::other)?;
        let mut frames = BytesMut::new();
        let mut last = cursor;
        for (head, line) in lines {
            fanout::text_frame(&mut frames, &line);
            last = head.seq;
        }
        match last == cursor {
            true => Err(io::Error::other("a published line is not in the transcript")),
            false => Ok((frames.freeze(), last)),
        }
    }
}

/// Whether that is a line of ours.
fn holds(index: &Index, have: crate::transcript::record::Head) -> bool {
    let before = have.seq.checked_sub(1);
    before
        .and_then(|seq| index.lines_after(seq, 1).ok())
        .is_some_and(|lines| lines.first().is_some_and(|(head, _)| *head == have))
}

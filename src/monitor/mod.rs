//! Looks at what the plan watches: one collector per file behind one loop per watch.
//!
//! The loop keeps four promises that gates rest on. A reading is `unknown`, with the reason, wherever something could not
//! be determined: no collector has a default value. Every reading ends within its watch's limit ([`limit`]), whatever
//! hangs. Readings of one watch never overlap. And a reading that was asked for begins after it was asked for. Start at
//! [`Monitor::start`].

mod checksum;
mod child;
mod command;
mod credential;
mod file;
mod flown;
mod host;
mod http;
mod json;
#[cfg(feature = "kafka")]
mod kafka;
mod pg_dump;
mod restic;
mod results;
mod tcp;
mod worker;

use crate::clock::{At, age, human};
use crate::event::{Reading, Status};
use crate::name::{WatchId, shown};
use crate::plan::{Params, Watch, WatchKind};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// The hub's clock as the monitor needs it: readings are stamped with it.
pub type Now = Arc<dyn Fn() -> At + Send + Sync>;

/// One reading of one watch.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The watch that was read.
    pub watch: WatchId,
    /// What was seen.
    pub reading: Reading,
    /// When the reading began: what it says was looked at no earlier than this.
    pub began: At,
    /// The number given to [`Monitor::read_now`], where this reading answers one.
    pub asked: Option<u64>,
}

/// A handle on the running watches. Dropping it stops them: tasks are aborted, commands they run are killed, and threads
/// that hang in a call are left behind rather than waited for.
pub struct Monitor {
    // Unbounded is safe here: the hub asks once per gate of a step that somebody pressed run on.
    asks: BTreeMap<WatchId, mpsc::UnboundedSender<u64>>,
    tasks: Vec<tokio::task::AbortHandle>,
    samples: mpsc::Sender<Sample>,
    now: Now,
    runtime: tokio::runtime::Handle,
}

impl Monitor {
    /// Starts one task per watch; the first reading of each begins at once, and samples go to `samples`. Watches of files,
    /// of the host and of Kafka own a thread besides, because what they call may block. Relative paths start at `folder`;
    /// `now` is the hub's clock.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(
        watches: &[Watch],
        params: &Params,
        folder: &Path,
        now: Now,
        samples: mpsc::Sender<Sample>,
    ) -> Monitor {
        let runtime = tokio::runtime::Handle::current();
        let (mut asks, mut tasks) = (BTreeMap::new(), vec![]);
        for watch in watches {
            let collector = Collector::new(watch, params, folder);
            let (ask, asked) = mpsc::unbounded_channel();
            let (now, samples) = (now.clone(), samples.clone());
            let task = runtime.spawn(keep_reading(watch.clone(), collector, now, samples, asked));
            tasks.push(task.abort_handle());
            asks.insert(watch.id.clone(), ask);
        }
        Monitor { asks, tasks, samples, now, runtime }
    }

    /// Has that watch read by a reading that begins after this call; its sample carries `asked`. Where a reading is in
    /// progress, a fresh one begins once that is over, so an answer comes within twice the watch's limit; where nothing
    /// could be read in time, it is an unknown one.
    pub fn read_now(&self, watch: &WatchId, asked: u64) {
        let why = match self.asks.get(watch) {
            Some(asks) if asks.send(asked).is_ok() => return,
            Some(_) => "the collector of this watch has stopped",
            None => "the plan has no such watch",
        };
        // Nobody else will answer, and the hub waits for this number.
        let sample =
            Sample { watch: watch.clone(), reading: Reading::unknown(why), began: (self.now)(), asked: Some(asked) };
        let samples = self.samples.clone();
        self.runtime.spawn(async move {
            let _ = samples.send(sample).await; // fails only where the hub is gone
        });
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The longest a reading of that watch may take; then it is unknown. Where the plan says how fast an answer has to be,
/// a second more is given, to tell "too slow" from "no answer".
pub fn limit(watch: &Watch) -> Duration {
    const GRACE: Duration = Duration::from_secs(1);
    match &watch.kind {
        WatchKind::Http { within: Some(within), .. } | WatchKind::Tcp { within: Some(within), .. } => {
            within.saturating_add(GRACE)
        }
        // The command is killed after `timeout`; the rest is for reaping it.
        WatchKind::Command { timeout, .. } => timeout.saturating_add(GRACE),
        WatchKind::Restic(restic) => restic.timeout.saturating_add(GRACE),
        WatchKind::PgDump(dump) => dump.timeout.saturating_add(GRACE),
        WatchKind::Credential(credential) => credential.timeout.saturating_add(GRACE),
        _ => watch.every.clamp(Duration::from_secs(1), Duration::from_secs(10)),
    }
}

/// What reads a watch.
enum Collector {
    Http(http::Http),
    Tcp(tcp::Tcp),
    Command(command::Command),
    Restic(restic::Restic),
    PgDump(pg_dump::PgDump),
    Credential(credential::Credential),
    /// Calls that may block, on a thread of their own.
    Worker(worker::Worker),
    /// What the plan asks for cannot be read, for this reason.
    Cannot(String),
}

impl Collector {
    fn new(watch: &Watch, params: &Params, folder: &Path) -> Self {
        Self::try_new(watch, params, folder).unwrap_or_else(Collector::Cannot)
    }

    fn try_new(watch: &Watch, params: &Params, folder: &Path) -> Result<Self, String> {
        Ok(match &watch.kind {
            WatchKind::Http { .. } => Collector::Http(http::Http::new(&watch.kind, params)?),
            WatchKind::Tcp { address, within } => {
                Collector::Tcp(tcp::Tcp { address: address.render(params).map_err(text)?, within: *within })
            }
            WatchKind::Command { run, timeout, answer } => {
                let argv = run.argv(params).map_err(text)?;
                Collector::Command(command::Command::new(argv, folder, *timeout, answer))
            }
            WatchKind::File { .. } => {
                let mut file = file::File::new(&watch.kind, params, folder)?;
                Collector::Worker(worker::Worker::start(&watch.id, move |deadline| file.read(deadline))?)
            }
            WatchKind::Restic(restic) => Collector::Restic(restic::Restic::new(restic, params, folder)?),
            WatchKind::PgDump(dump) => Collector::PgDump(pg_dump::PgDump::new(&watch.id, dump, params, folder)?),
            WatchKind::Results(results) => {
                let mut results = results::Results::new(results, params, folder)?;
                Collector::Worker(worker::Worker::start(&watch.id, move |deadline| results.read(deadline))?)
            }
            WatchKind::Session(flown) => {
                let mut flown = flown::Flown::new(flown, params, folder)?;
                Collector::Worker(worker::Worker::start(&watch.id, move |deadline| flown.read(deadline))?)
            }
            WatchKind::Credential(credential) => {
                Collector::Credential(credential::Credential::new(&watch.id, credential, params, folder)?)
            }
            WatchKind::Host(limits) => {
                let mut host = host::Host::new(limits, params, folder)?;
                Collector::Worker(worker::Worker::start(&watch.id, move |_| host.read())?)
            }
            #[cfg(feature = "kafka")]
            WatchKind::KafkaLag { .. } => {
                let mut lag = kafka::Lag::new(&watch.kind, params)?;
                Collector::Worker(worker::Worker::start(&watch.id, move |deadline| lag.read(deadline))?)
            }
            #[cfg(not(feature = "kafka"))]
            WatchKind::KafkaLag { .. } => return Err("this build has no Kafka".into()),
        })
    }

    /// Reads once. May be dropped half-way.
    async fn read(&mut self, limit: Duration) -> Reading {
        match self {
            Collector::Http(http) => http.read().await,
            Collector::Tcp(tcp) => tcp.read().await,
            Collector::Command(command) => command.read().await,
            Collector::Restic(restic) => restic.read().await,
            Collector::PgDump(dump) => dump.read(limit).await,
            Collector::Credential(credential) => credential.read(limit).await,
            Collector::Worker(worker) => worker.read(limit).await,
            Collector::Cannot(why) => Reading::unknown(why.clone()),
        }
    }
}

/// The one loop: reads on the period and when asked, one reading after the other, until the monitor is dropped.
async fn keep_reading(
    watch: Watch,
    mut collector: Collector,
    now: Now,
    samples: mpsc::Sender<Sample>,
    mut asked: mpsc::UnboundedReceiver<u64>,
) {
    // A period of nothing would panic in tokio and spin anywhere else.
    let mut ticks = tokio::time::interval(watch.every.max(Duration::from_millis(100)));
    // Late readings are not made up for: a slow service is not to be asked faster.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let limit = limit(&watch);
    loop {
        let mut answers = vec![];
        tokio::select! {
            biased;
            ask = asked.recv() => match ask {
                Some(number) => answers.push(Some(number)),
                None => return,
            },
            _ = ticks.tick() => answers.push(None),
        }
        // Who asked by now is answered by the reading that begins now: it begins after all of these calls.
        let more: Vec<u64> = std::iter::from_fn(|| asked.try_recv().ok()).collect();
        if !more.is_empty() {
            answers.retain(Option::is_some);
            answers.extend(more.into_iter().map(Some));
        }
        let began = now();
        let reading = match tokio::time::timeout(limit, collector.read(limit)).await {
            Ok(reading) => reading,
            Err(_) => Reading::unknown(format!("no answer within {}", human(limit))),
        };
        if answers.iter().any(Option::is_some) {
            ticks.reset(); // the reading just taken is as good as the one on the period
        }
        for asked in answers {
            let sample = Sample { watch: watch.id.clone(), reading: reading.clone(), began, asked };
            if samples.send(sample).await.is_err() {
                return; // the hub is gone
            }
        }
    }
}

/// What was found in one reading, the worst of which counts. A definite failure outranks what is not known: both lock a
/// gate, and the failure is what people have to act on.
#[derive(Debug, Default)]
struct Findings(Vec<(Status, String)>);

impl Findings {
    fn add(&mut self, status: Status, sentence: impl Into<String>) {
        self.0.push((status, sentence.into()));
    }

    fn worst(&self) -> Status {
        let rank = |status: &Status| match status {
            Status::Ok => 0,
            Status::Warn => 1,
            Status::Unknown => 2,
            Status::Fail => 3,
        };
        self.0.iter().map(|(status, _)| *status).max_by_key(rank).unwrap_or(Status::Ok)
    }

    /// The reading: `seen`, then every sentence, the worst ones first.
    fn reading(self, seen: &str, value: Option<f64>, unit: &str) -> Reading {
        let status = self.worst();
        let (mut sentences, rest): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|(s, _)| *s == status);
        sentences.extend(rest);
        let mut why: Vec<String> = sentences.into_iter().map(|(_, sentence)| sentence).collect();
        if !seen.is_empty() {
            why.insert(0, seen.to_owned());
        }
        Reading {
            status,
            value,
            unit: if value.is_some() { unit.to_owned() } else { String::new() },
            why: why.join("; "),
        }
    }
}

/// An error as the sentence it prints, harmless for a screen.
fn text(error: impl std::fmt::Display) -> String {
    shown(&error.to_string())
}

/// Text from outside as at most `columns` characters that are harmless on a screen.
fn excerpt(text: &str, columns: usize) -> String {
    let line = shown(text.trim());
    match line.char_indices().nth(columns) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// How far clocks of other machines and of this one may differ.
const SKEW: Duration = Duration::from_secs(60);

/// How long ago that was. What lies in the future has no age, and nobody can tell which clock is wrong.
fn aged(moment: SystemTime, now: SystemTime) -> Result<Duration, String> {
    match now.duration_since(moment) {
        Ok(old) => Ok(old),
        Err(ahead) if ahead.duration() <= SKEW => Ok(Duration::ZERO),
        Err(ahead) => Err(format!("its time lies {} in the future", age(ahead.duration()))),
    }
}

/// Bytes as people say them.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let mut size = count as f64 / 1000.0; // precise enough for the two digits shown
    if size < 1.0 {
        return format!("{count} B");
    }
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests;

//! Looks at what the plan watches: one collector per file behind one loop per watch.
//!
//! The loop keeps four promises that gates rest on. A reading is `unknown`, with the reason, wherever something could not
//! be determined: no collector has a default value. Every reading ends within its watch's limit ([`limit`]), whatever
//! hangs. Readings of one watch never overlap. And a reading that was asked for begins after it was asked for. Start at
//! [`Monitor::start`].

mod anchor;
mod board;
mod checksum;
mod child;
mod command;
mod compare;
mod credential;
mod file;
mod flown;
mod headers;
mod heads;
mod host;
mod http;
mod json;
#[cfg(feature = "kafka")]
pub mod kafka;
mod lakefs;
mod nessie;
mod pg_dump;
mod process;
mod prometheus;
mod restic;
mod results;
mod seen;
mod slope;
#[cfg(feature = "sql")]
mod sql;
mod tcp;
pub mod tell;
mod web;
mod worker;

pub use anchor::Anchors;

use crate::clock::{At, age, human};
use crate::event::{Anchor, Reading, Status};
use crate::name::{WatchId, shown};
use crate::plan::{self, Params, Watch, WatchKind};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};
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
    /// The first records needed, where this reading counted them anew.
    pub anchor: Option<Anchor>,
}

/// A handle on the running watches. Dropping it stops them: tasks are aborted, commands they run are killed, and threads
/// that hang in a call are left behind rather than waited for.
pub struct Monitor {
    board: Arc<board::Board>,
    slots: BTreeMap<WatchId, anchor::Slot>,
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
        Self::resume(watches, params, folder, now, samples, &Anchors::default())
    }

    /// The same for a session of which a transcript tells already: anchors stay where they were.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn resume(
        watches: &[Watch],
        params: &Params,
        folder: &Path,
        now: Now,
        samples: mpsc::Sender<Sample>,
        anchors: &Anchors,
    ) -> Monitor {
        let opened = anchors.opened.unwrap_or_else(|| now());
        let runtime = tokio::runtime::Handle::current();
        let (board, mut places) = board::Board::new(watches.iter().map(|watch| &watch.id), now());
        let (mut slots, mut tasks) = (BTreeMap::new(), vec![]);
        for watch in watches {
            // Two watches of one id would be refused with the plan; the second has no place.
            let Some((pin, asked)) = places.remove(&watch.id) else { continue };
            let slot = anchors.slot(&watch.id);
            let around = Around { params, folder, opened, now: &now, slot: &slot };
            let collector = match &watch.kind {
                WatchKind::Compare(formula) => {
                    Collector::Compare(compare::Compare::new(formula, watches, board.clone(), now.clone()))
                }
                _ => Collector::new(watch, &around),
            };
            let limit = limit_among(watch, watches, RUNGS_MAX);
            let (samples, now) = (samples.clone(), now.clone());
            let desk = Desk { watch: watch.clone(), limit, now, samples, pin, slot: slot.clone() };
            tasks.push(runtime.spawn(desk.keep_reading(collector, asked)).abort_handle());
            slots.insert(watch.id.clone(), slot);
        }
        Monitor { board, slots, tasks, samples, now, runtime }
    }

    /// Has that watch read by a reading that begins after this call; its sample carries `asked`. Where a reading is in
    /// progress, a fresh one begins once that is over, so an answer comes within twice the watch's limit; where nothing
    /// could be read in time, it is an unknown one.
    pub fn read_now(&self, watch: &WatchId, asked: u64) {
        let Err(why) = self.board.ask(watch, Ask::Hub(asked)) else { return };
        // Nobody else will answer, and the hub waits for this number.
        let (watch, reading) = (watch.clone(), Reading::unknown(why));
        let sample = Sample { watch, reading, began: (self.now)(), asked: Some(asked), anchor: None };
        let samples = self.samples.clone();
        self.runtime.spawn(async move {
            let _ = samples.send(sample).await; // fails only where the hub is gone
        });
    }
}

impl Monitor {
    /// The same watches with other values of the parameters; readings go where they went. Dropping `self` ends the old ones.
    ///
    /// # Panics
    /// Never: it is on the runtime that it was started on.
    pub fn anew(&self, watches: &[Watch], params: &Params, folder: &Path, anchors: &Anchors) -> Monitor {
        let _on = self.runtime.enter();
        Self::resume(watches, params, folder, self.now.clone(), self.samples.clone(), anchors)
    }

    /// Has that watch count anew what is needed of its topic, by a reading that begins after this call.
    pub fn reanchor(&self, watch: &WatchId) {
        if let Some(slot) = self.slots.get(watch) {
            slot.want();
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Reads every watch once, and returns what came within that time. A compare is asked, so that it has its operands read first
/// instead of finding that nothing was read yet.
pub async fn once(
    watches: &[Watch],
    params: &Params,
    folder: &Path,
    now: Now,
    within: Duration,
) -> BTreeMap<WatchId, Sample> {
    let (samples, mut sampled) = mpsc::channel(64);
    let monitor = Monitor::start(watches, params, folder, now, samples);
    let compares: Vec<_> = watches.iter().filter(|watch| matches!(watch.kind, WatchKind::Compare(_))).collect();
    compares.iter().for_each(|watch| monitor.read_now(&watch.id, 0));
    let longest = watches.iter().map(|watch| limit_among(watch, watches, RUNGS_MAX)).max().unwrap_or_default();
    let end = tokio::time::Instant::now() + longest.saturating_add(Duration::from_secs(1)).min(within);
    let mut taken = BTreeMap::new();
    while taken.len() < watches.len() {
        // A channel that is closed is a monitor that ended, which leaves readings missing as a deadline does.
        let Ok(Some(sample)) = tokio::time::timeout_at(end, sampled.recv()).await else { break };
        if sample.asked.is_some() || compares.iter().all(|watch| watch.id != sample.watch) {
            // The newest: what was read first may be stale once the slowest has answered.
            taken.insert(sample.watch.clone(), sample);
        }
    }
    taken
}

/// Compares on top of each other for which a limit is counted; a plan has no more.
const RUNGS_MAX: usize = 3;

/// The limit of a watch among all of a plan: a compare that is asked waits for those it names, each of which may have a
/// reading in progress before the one that answers.
fn limit_among(watch: &Watch, watches: &[Watch], rungs: usize) -> Duration {
    let WatchKind::Compare(compare) = &watch.kind else { return limit(watch) };
    let named = compare.formula.watches().into_iter().filter_map(|id| watches.iter().find(|watch| watch.id == *id));
    let limits = named.filter(|_| rungs > 0).map(|watch| limit_among(watch, watches, rungs - 1));
    limits.max().unwrap_or_default().saturating_mul(2).max(limit(watch)).saturating_add(Duration::from_secs(1))
}

/// The longest a reading of that watch may take; then it is unknown. Where the plan says how fast an answer has to be,
/// a second more is given, to tell "too slow" from "no answer".
pub fn limit(watch: &Watch) -> Duration {
    const GRACE: Duration = Duration::from_secs(1);
    match &watch.kind {
        WatchKind::Tcp { within: Some(within), .. } => within.saturating_add(GRACE),
        WatchKind::Http(plan::Http { within: Some(within), samples, .. }) => {
            within.saturating_add(GRACE).saturating_mul(*samples)
        }
        // The command is killed after `timeout`; the rest is for reaping it.
        WatchKind::Command { timeout, .. } => timeout.saturating_add(GRACE),
        WatchKind::Restic(restic) => restic.timeout.saturating_add(GRACE),
        WatchKind::PgDump(dump) => dump.timeout.saturating_add(GRACE),
        WatchKind::Credential(credential) => credential.timeout.saturating_add(GRACE),
        WatchKind::Sql(sql) => sql.timeout.saturating_add(GRACE),
        _ => watch.every.clamp(Duration::from_secs(1), Duration::from_secs(10)),
    }
}

/// The first watch that this build can never read, and why.
pub fn refused(watches: &[Watch]) -> Option<(&WatchId, String)> {
    #[cfg(feature = "kafka")]
    return watches.iter().find_map(|watch| match &watch.kind {
        WatchKind::KafkaLag(lag) => Some((&watch.id, kafka::refused(&lag.client)?)),
        WatchKind::KafkaRetention(retention) => Some((&watch.id, kafka::refused(&retention.client)?)),
        _ => None,
    });
    #[cfg(not(feature = "kafka"))]
    return watches.first().and(None); // it has no Kafka at all, and each watch of it says so
}

/// What a collector may need besides its watch.
#[cfg_attr(not(feature = "kafka"), allow(dead_code))] // without Kafka none needs all of it
struct Around<'m> {
    params: &'m Params,
    folder: &'m Path,
    opened: At,
    now: &'m Now,
    slot: &'m anchor::Slot,
}

/// What reads a watch.
enum Collector {
    Http(http::Http),
    Tcp(tcp::Tcp),
    Command(command::Command),
    Compare(compare::Compare),
    Prometheus(prometheus::Prometheus),
    Nessie(Box<nessie::Nessie>),
    Lakefs(Box<lakefs::Lakefs>),
    #[cfg(feature = "sql")]
    Sql(sql::Sql),
    Restic(restic::Restic),
    PgDump(pg_dump::PgDump),
    Credential(credential::Credential),
    /// Calls that may block, on a thread of their own.
    Worker(worker::Worker),
    /// What the plan asks for cannot be read, for this reason.
    Cannot(String),
}

impl Collector {
    fn new(watch: &Watch, around: &Around<'_>) -> Self {
        Self::try_new(watch, around).unwrap_or_else(Collector::Cannot)
    }

    fn try_new(watch: &Watch, around: &Around<'_>) -> Result<Self, String> {
        let Around { params, folder, .. } = *around;
        Ok(match &watch.kind {
            WatchKind::Http(pages) => Collector::Http(http::Http::new(pages, params, folder)?),
            WatchKind::Tcp { address, within } => {
                Collector::Tcp(tcp::Tcp { address: address.render(params).map_err(text)?, within: *within })
            }
            WatchKind::Command { run, timeout, answer } => {
                let argv = run.argv_beside(params, true).map_err(text)?;
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
            WatchKind::Process(process) => {
                let mut process = process::Process::new(process, params, folder)?;
                Collector::Worker(worker::Worker::start(&watch.id, move |_| process.read())?)
            }
            WatchKind::Prometheus(query) => Collector::Prometheus(prometheus::Prometheus::new(query, params, folder)?),
            WatchKind::Nessie(nessie) => Collector::Nessie(Box::new(nessie::Nessie::new(nessie, params, folder)?)),
            WatchKind::Lakefs(lakefs) => Collector::Lakefs(Box::new(lakefs::Lakefs::new(lakefs, params, folder)?)),
            #[cfg(feature = "sql")]
            WatchKind::Sql(sql) => Collector::Sql(sql::Sql::new(&watch.id, sql, params, folder)?),
            #[cfg(not(feature = "sql"))]
            WatchKind::Sql(_) => return Err("this build has no databases".into()),
            WatchKind::Compare(_) => return Err("not a watch that can be read alone".into()),
            #[cfg(feature = "kafka")]
            WatchKind::KafkaLag { .. } => {
                let mut lag = kafka::Lag::new(watch, params, folder)?;
                Collector::Worker(worker::Worker::start(&watch.id, move |deadline| lag.read(deadline))?)
            }
            #[cfg(feature = "kafka")]
            WatchKind::KafkaRetention(kind) => {
                let mut retention = kafka::Retention::new(kind, around)?;
                Collector::Worker(worker::Worker::start(&watch.id, move |deadline| retention.read(deadline))?)
            }
            #[cfg(not(feature = "kafka"))]
            WatchKind::KafkaRetention(_) => return Err("this build has no Kafka".into()),
            #[cfg(not(feature = "kafka"))]
            WatchKind::KafkaLag { .. } => return Err("this build has no Kafka".into()),
        })
    }

    /// Reads once; `asked` where somebody waits for what is so now. Says when what it looked at was read, where that is not
    /// now. May be dropped half-way.
    async fn read(&mut self, limit: Duration, asked: bool) -> (Reading, Option<At>) {
        let reading = match self {
            Collector::Http(http) => http.read(limit).await,
            Collector::Tcp(tcp) => tcp.read(limit).await,
            Collector::Command(command) => command.read().await,
            Collector::Compare(compare) => {
                let taken = compare.read(limit, asked).await;
                return (taken.reading, Some(taken.began));
            }
            Collector::Prometheus(prometheus) => prometheus.read(limit).await,
            Collector::Nessie(nessie) => nessie.read(limit).await,
            Collector::Lakefs(lakefs) => lakefs.read(limit).await,
            #[cfg(feature = "sql")]
            Collector::Sql(sql) => sql.read().await,
            Collector::Restic(restic) => restic.read().await,
            Collector::PgDump(dump) => dump.read(limit).await,
            Collector::Credential(credential) => credential.read(limit).await,
            Collector::Worker(worker) => worker.read(limit).await,
            Collector::Cannot(why) => Reading::unknown(why.clone()),
        };
        (reading, None)
    }
}

/// Who asks for a reading.
#[derive(Debug)]
enum Ask {
    /// The hub, which knows its question by this number.
    Hub(u64),
    /// A collector that rests on this watch.
    Collector(oneshot::Sender<board::Taken>),
}

/// What the loop of one watch works with.
struct Desk {
    watch: Watch,
    limit: Duration,
    now: Now,
    samples: mpsc::Sender<Sample>,
    pin: board::Pin,
    slot: anchor::Slot,
}

impl Desk {
    /// The one loop: reads on the period and when asked, one reading after the other, until the monitor is dropped.
    async fn keep_reading(self, mut collector: Collector, mut asked: board::Asks) {
        // A period of nothing would panic in tokio and spin anywhere else.
        let mut ticks = tokio::time::interval(self.watch.every.max(Duration::from_millis(100)));
        // Late readings are not made up for: a slow service is not to be asked faster.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut asks = vec![];
            tokio::select! {
                biased;
                ask = asked.recv() => match ask {
                    Some(ask) => asks.push(ask),
                    None => return,
                },
                _ = ticks.tick() => {}
            }
            // Who asked by now is answered by the reading that begins now: it begins after all of these calls.
            asks.extend(std::iter::from_fn(|| asked.try_recv().ok()));
            let taken = self.take(&mut collector, !asks.is_empty()).await;
            if !asks.is_empty() {
                ticks.reset(); // the reading just taken is as good as the one on the period
            }
            let mut numbers = vec![];
            for ask in asks {
                match ask {
                    Ask::Hub(number) => numbers.push(Some(number)),
                    Ask::Collector(answer) => drop(answer.send(taken.clone())), // who asked may have given up
                }
            }
            if numbers.is_empty() {
                numbers.push(None); // what the hub did not ask for it is told all the same
            }
            for asked in numbers {
                let (watch, board::Taken { reading, began }) = (self.watch.id.clone(), taken.clone());
                let anchor = self.slot.taken();
                if self.samples.send(Sample { watch, reading, began, asked, anchor }).await.is_err() {
                    return; // the hub is gone
                }
            }
        }
    }

    /// One reading, by its limit, pinned up.
    async fn take(&self, collector: &mut Collector, asked: bool) -> board::Taken {
        let began = (self.now)();
        let (reading, looked) = match tokio::time::timeout(self.limit, collector.read(self.limit, asked)).await {
            Ok(read) => read,
            Err(_) => (Reading::unknown(format!("no answer within {}", human(self.limit))), None),
        };
        let taken = board::Taken { reading, began: looked.unwrap_or(began) };
        self.pin.send_replace(Some(taken.clone()));
        taken
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
        self.0.iter().map(|(status, _)| *status).max().unwrap_or(Status::Ok)
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

/// A number as people read it, with its unit: whole where it is, else with three decimals at most.
fn figure(number: f64, unit: &str) -> String {
    let number = match number.abs() {
        size if size >= 1e15 || (size > 0.0 && size < 0.001) => format!("{number:e}"),
        _ => {
            let digits = format!("{number:.3}");
            digits.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    match unit {
        "" => number,
        "%" => format!("{number}%"),
        unit => format!("{number} {}", excerpt(unit, 20)),
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

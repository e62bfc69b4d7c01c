//! `watch`: a plan's watches alone, for whoever writes the plan and for scripts. Readings go through the same sequencer and
//! session as in a release, kept in memory: what is stale here is stale there, and every sentence is the same.

use super::args::Watch;
use super::{No, cockpit, join, plan_folder, read_plan};
use crate::client::view::{Link, View};
use crate::clock::{At, Clock};
use crate::event::{Event, Role, Status};
use crate::hub::sequencer::Sequencer;
use crate::monitor::{self, Monitor, Sample};
use crate::name::{Principal, WatchId, shown};
use crate::plan::Plan;
use crate::session::{Fact, Session};
use crate::tui::{self, facts};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// `--once` has an answer by then, whatever hangs; scripts rely on 30 s.
const ONCE: Duration = Duration::from_secs(25);
/// How often it is looked whether a reading went stale.
const TICK: Duration = Duration::from_secs(1);

/// What `--json` says of a watch; kept from version to version (`tests/schemas/watch.json`).
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: &'a WatchId,
    kind: &'static str,
    status: Status,
    value: Option<f64>,
    unit: &'a str,
    why: String,
    /// What was asked or looked at.
    source: String,
    /// How long ago the reading began; none where there is none.
    age_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Rows<'a> {
    watches: Vec<Row<'a>>,
}

/// Watches until told to stop, or with `--once` until every watch was read: then the answer is whether all are ok.
pub async fn run(args: Watch) -> anyhow::Result<()> {
    let plan = read_plan(&args.plan)?;
    let folder = std::path::absolute(plan_folder(&args.plan))?;
    let params = plan.params(&args.params.into_iter().collect()).map_err(No)?;
    let mut board = Board::open(&plan, &params, &folder)?;
    if plan.watches.is_empty() {
        return match args.once && args.json {
            true => board.print_all(true),
            false => Err(No(format!("{} has no [[watch]]: there is nothing to look at", args.plan.display())).into()),
        };
    }
    let clock = board.clock.clone();
    let now = Arc::new(move || clock.now());
    if args.once {
        let samples = monitor::once(&plan.watches, &params, &folder, now, ONCE).await;
        return once(board, samples.into_values(), args.json);
    }
    let (samples, sampled) = mpsc::channel(64);
    let _monitor = Monitor::start(&plan.watches, &params, &folder, now, samples);
    if args.json || join::wants_plain(&args.screen) {
        return lines(board, sampled, args.json).await;
    }
    let options = cockpit::options(&args.screen)?;
    let (view_out, view) = watch::channel(board.view());
    let mut reading = tokio::spawn(async move {
        follow(&mut board, sampled, |board, _| view_out.send(board.view()).map_err(anyhow::Error::from)).await
    });
    tokio::select! {
        biased;
        left = tui::board(view, options) => left.map(drop),
        ended = &mut reading => ended?,
    }
}

/// Tells what was read, and whether all of it is ok.
fn once(mut board: Board, samples: impl Iterator<Item = Sample>, json: bool) -> anyhow::Result<()> {
    for sample in samples {
        board.take(sample)?;
    }
    board.print_all(json)?;
    let session = board.session();
    let not_ok = session.plan.watches.iter().filter(|watch| session.status(&watch.id, board.now()) != Status::Ok);
    match not_ok.count() {
        0 => Ok(()),
        // The rows said which and why; a line more would be one too many for a script.
        _ if json => Err(super::Silent.into()),
        count => Err(No(format!("{count} of {} watches are not ok", session.plan.watches.len())).into()),
    }
}

/// One reading a line, as long as somebody listens.
async fn lines(mut board: Board, sampled: mpsc::Receiver<Sample>, json: bool) -> anyhow::Result<()> {
    let ended = async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        anyhow::Ok(())
    };
    let printing = follow(&mut board, sampled, |board, ids| ids.iter().try_for_each(|id| board.print(id, json)));
    tokio::select! {
        ended = ended => ended,
        printed = printing => printed,
    }
}

/// Takes samples as they come, and says which watches have something new to show.
async fn follow(
    board: &mut Board,
    mut sampled: mpsc::Receiver<Sample>,
    mut news: impl FnMut(&Board, &BTreeSet<WatchId>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(TICK);
    loop {
        let changed = tokio::select! {
            sample = sampled.recv() => match sample {
                Some(sample) => board.take(sample)?,
                None => anyhow::bail!("the watches have stopped"),
            },
            _ = tick.tick() => board.observe(&Fact::Tick)?,
        };
        if !changed.is_empty() {
            news(board, &changed)?;
        }
    }
}

/// A session of which nothing is written down.
struct Board {
    sequencer: Sequencer,
    clock: Arc<Clock>,
}

impl Board {
    fn open(plan: &Plan, params: &crate::plan::Params, folder: &Path) -> anyhow::Result<Board> {
        let clock = Arc::new(Clock::start(None));
        let opened = Event::SessionOpened {
            session: "0".repeat(32),
            plan_name: plan.name.clone(),
            environment: plan.environment.clone(),
            plan: plan.text.to_string(),
            plan_digest: plan.digest,
            params: params.clone(),
            host: crate::exec::host(),
            user: crate::exec::user(),
            folder: folder.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rehearsal: None,
            earlier: None,
            flown: vec![],
            hub_key: None,
            allowed_signers: None,
            allowed_signers_digest: None,
        };
        let (sequencer, _) = Sequencer::open(clock.now(), opened)?;
        Ok(Board { sequencer, clock })
    }

    fn session(&self) -> &Session {
        self.sequencer.session()
    }

    fn now(&self) -> At {
        self.clock.now()
    }

    fn take(&mut self, sample: Sample) -> anyhow::Result<BTreeSet<WatchId>> {
        let Sample { watch, reading, began, asked, anchor } = sample;
        if let Some(anchor) = anchor {
            self.observe(&Fact::Anchor { watch: watch.clone(), anchor })?;
        }
        self.observe(&Fact::Reading { watch, reading, began, asked })
    }

    /// The watches that were read, or of which people would now be told something else.
    fn observe(&mut self, fact: &Fact) -> anyhow::Result<BTreeSet<WatchId>> {
        let numbered = self.sequencer.observe(self.clock.now(), fact)?;
        let watches = numbered.into_iter().filter_map(|numbered| match numbered.line.event {
            Event::ReadingTaken { watch, .. } | Event::GateTurned { watch, .. } => Some(watch),
            _ => None,
        });
        Ok(watches.collect())
    }

    fn view(&self) -> View {
        View {
            session: Arc::new(self.session().clone()),
            me: Principal::hub(),
            role: Role::Observer,
            link: Link::Live { rtt: Duration::ZERO },
            screen: None,
            dying: None,
            hub_ahead_micros: -self.clock.drift_micros(),
        }
    }

    fn row<'a>(&self, watch: &'a crate::plan::Watch, session: &'a Session) -> Row<'a> {
        let at = self.now();
        let reading = session.watches.get(&watch.id).and_then(|state| state.reading.as_ref());
        let status = session.status(&watch.id, at);
        // What is stale is not known any more, its number neither.
        let known = reading.filter(|reading| reading.status == status);
        Row {
            id: &watch.id,
            kind: watch.kind.name(),
            status,
            value: known.and_then(|reading| reading.value),
            unit: known.map_or("", |reading| &reading.unit),
            why: shown(&session.why(&watch.id, at)),
            source: watch.kind.source(&session.params),
            age_ms: session.age(&watch.id, at).map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn print(&self, id: &WatchId, json: bool) -> anyhow::Result<()> {
        use std::io::Write as _;
        let session = self.session();
        let Some(watch) = session.plan.watch(id) else { return Ok(()) };
        let mut out = super::out::stdout();
        match json {
            true => writeln!(out, "{}", serde_json::to_string(&self.row(watch, session))?)?,
            false => writeln!(out, "{} {}", self.now().clock(), self.words(watch))?,
        }
        Ok(out.flush()?)
    }

    fn print_all(&self, json: bool) -> anyhow::Result<()> {
        use std::io::Write as _;
        let session = self.session();
        let mut out = super::out::stdout();
        if json {
            let rows = Rows { watches: session.plan.watches.iter().map(|watch| self.row(watch, session)).collect() };
            writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        } else {
            for watch in &session.plan.watches {
                writeln!(out, "{}", self.words(watch))?;
            }
        }
        Ok(out.flush()?)
    }

    /// `search-api ok 32 ms: 200 in 32 ms`.
    fn words(&self, watch: &crate::plan::Watch) -> String {
        let (session, at) = (self.session(), self.now());
        let (_, word, _) = facts::watch(session, &watch.id, at);
        let value = match facts::watch_value(session, &watch.id, at) {
            value if value.is_empty() || value == "?" => String::new(),
            value => format!(" {value}"),
        };
        format!("{} {word}{value}: {}", watch.id, shown(&session.why(&watch.id, at)))
    }
}

//! Plain mode: the same client without a screen. One event a line out, one verb a line in; for screen readers, scripts
//! and tests. Verbs are taken in order, each once the one before was answered and everything up to the answer is folded.

use super::deviations;
use super::preflight;
use super::rehearsal::{self, Marked};
use super::verbs::{self, Verb};
use crate::brief::armed::Name;
use crate::brief::{acts, since, stands, summary};
use crate::client::view::{Link, View};
use crate::client::{Client, Notice};
use crate::clock::{self, human};
use crate::event::{Event, Part};
use crate::exec::{Screen, Size};
use crate::name::{StepId, shown};
use crate::session::steps::Armed;
use crate::session::{self, Request};
use std::io::Write;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};
use tokio::time::{Instant, sleep_until};

/// After a panel was printed no yes or no is sent for so long: what was typed before could not mean it. The verb waits;
/// it is never dropped.
const GRACE: Duration = Duration::from_millis(300);
/// Longest line of input.
const LINE_MAX: usize = 16 * 1024;
/// Rows of a command's screen that are printed once it ended.
const ROWS: usize = 20;

/// Runs until the input ends, the person quits, or the session is over.
pub async fn run(mut client: Client, input: impl AsyncBufRead + Unpin, out: &mut impl Write) -> anyhow::Result<()> {
    let data = client.view.borrow().session.rehearsal().map(str::to_owned);
    let out = &mut Marked::new(out, data.is_some());
    if let Some(data) = &data {
        writeln!(out, "{}", rehearsal::on(data))?;
    }
    let mut lines = input.lines();
    let mut state = Plain { waiting: vec![], grace: Instant::now(), held: None, opened: None, read: None, owed: None };
    {
        let view = client.view.borrow().clone();
        writeln!(
            out,
            "joined session {} as {} ({})",
            shown(&view.session.id),
            view.me,
            view.session.role(&view.me).word()
        )?;
        status(&view, out)?;
        if let Some((_, _, armed)) = view.session.open_step() {
            panel(armed, &view, out)?;
            state.read = read(&view);
            state.opened = state.open(&mut client, &view).await;
        }
        out.flush()?;
    }
    loop {
        let may_read = state.waiting.is_empty() && state.held.is_none();
        tokio::select! {
            notice = client.notices.recv() => {
                let Some(notice) = notice else { return Ok(()) };
                if let Some(end) = state.tell(notice, &mut client, out).await? {
                    return end;
                }
                out.flush()?;
            }
            () = sleep_until(state.grace), if state.held.is_some() => {
                if let Some(request) = state.held.take() {
                    state.waiting.push((client.ask(request.clone()).await, request));
                }
            }
            changed = client.view.changed(), if state.owed.is_some() => {
                let view = client.view.borrow().clone();
                if let Some(run) = &state.owed
                    && (rows(&view, run, out)? || changed.is_err())
                {
                    state.owed = None;
                }
                out.flush()?;
            }
            line = lines.next_line(), if may_read => {
                let line = match line {
                    Ok(Some(line)) if line.len() <= LINE_MAX => line,
                    Ok(Some(_)) => { writeln!(out, "error: a line may have at most {LINE_MAX} bytes")?; out.flush()?; continue }
                    Ok(None) => return Ok(()),
                    Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                        writeln!(out, "error: a line is not UTF-8; nothing was done")?; out.flush()?; continue
                    }
                    Err(error) => { writeln!(out, "error: the input cannot be read: {error}")?; out.flush()?; return Ok(()) }
                };
                let view = client.view.borrow().clone();
                match verbs::parse(&line, &view, state.read.as_ref()) {
                    Ok(Verb::Ask(request)) => {
                        let answers = matches!(request, Request::Check { .. } | Request::Object { .. });
                        if answers && Instant::now() < state.grace {
                            state.held = Some(request);
                        } else {
                            state.waiting.push((client.ask(request.clone()).await, request));
                        }
                    }
                    Ok(Verb::Quit) => return Ok(()),
                    Ok(Verb::Help) => writeln!(out, "{}", acts::help())?,
                    Ok(Verb::Status) => status(&view, out)?,
                    Ok(Verb::Nothing) => {}
                    Err(why) => writeln!(out, "error: {why}")?,
                }
                out.flush()?;
            }
        }
    }
}

struct Plain {
    /// Requests whose answer has not come.
    waiting: Vec<(u64, Request)>,
    /// Until when answers to a panel wait.
    grace: Instant,
    /// The answer that waits.
    held: Option<Request>,
    /// The automatic `OpenCheck`: printing the panel is opening it.
    opened: Option<u64>,
    /// The panel that was printed last.
    read: Option<verbs::Read>,
    /// The run whose end was told before its screen came.
    owed: Option<(StepId, u32, Part)>,
}

impl Plain {
    /// A command ended: what it printed last, now or once it is here.
    fn ended(&mut self, run: (StepId, u32, Part), view: &View, out: &mut impl Write) -> std::io::Result<()> {
        let shown = rows(view, &run, out)?;
        self.owed = (!shown).then_some(run);
        Ok(())
    }

    async fn open(&mut self, client: &mut Client, view: &View) -> Option<u64> {
        let (step, state, armed) = view.session.open_step()?;
        let asked = armed.covers.covers().checks > 0 && view.session.may_check(&view.me);
        if !asked || armed.opened.contains_key(&view.me) {
            return None;
        }
        self.grace = Instant::now() + GRACE;
        let request = Request::OpenCheck { step: step.id.clone(), attempt: state.attempt };
        let id = client.ask(request.clone()).await;
        self.waiting.push((id, request));
        Some(id)
    }

    async fn tell(
        &mut self,
        notice: Notice,
        client: &mut Client,
        out: &mut impl Write,
    ) -> anyhow::Result<Option<anyhow::Result<()>>> {
        match notice {
            Notice::Line { line, told } => {
                writeln!(out, "{} #{} {told}", line.at.clock(), line.seq)?;
                let view = settled(client, line.seq).await;
                match &line.event {
                    Event::StepArmed { .. } => {
                        if let Some((_, _, armed)) = view.session.open_step() {
                            panel(armed, &view, out)?;
                            self.read = read(&view);
                        }
                        self.opened = self.open(client, &view).await;
                    }
                    // What was hidden until it was read back is shown now: whole, as it is checked.
                    Event::ReadBack { right: true, .. } if line.by == view.me => {
                        if let Some((_, _, armed)) = view.session.open_step()
                            && armed.owes_read_back(&view.me).is_empty()
                        {
                            panel(armed, &view, out)?;
                            self.grace = Instant::now() + GRACE;
                        }
                    }
                    Event::RunEnded { step, attempt, .. } => {
                        self.ended((step.clone(), *attempt, Part::Step), &view, out)?
                    }
                    Event::RollbackEnded { step, attempt, .. } => {
                        self.ended((step.clone(), *attempt, Part::Rollback), &view, out)?;
                    }
                    _ => {}
                }
            }
            Notice::Answer { id, refusal, .. } => {
                let Some(index) = self.waiting.iter().position(|(waiting, _)| *waiting == id) else { return Ok(None) };
                let (_, request) = self.waiting.swap_remove(index);
                if self.opened == Some(id) {
                    self.opened = None;
                    // Nobody typed it, so nobody waits for `ok` or `refused`: a script would take it for its own answer.
                    if let Some(refusal) = refusal {
                        writeln!(out, "the check could not be opened: {}", shown(&refusal.reason))?;
                    }
                    return Ok(None);
                }
                match refusal {
                    None => writeln!(out, "ok {}", request.describe())?,
                    Some(refusal) => {
                        writeln!(out, "refused {}: {}", shown(&refusal.request), shown(&refusal.reason))?;
                        if let Some(hint) = refusal.hint {
                            writeln!(out, "hint: {}", shown(&hint))?;
                        }
                    }
                }
            }
            Notice::Link(Link::Live { .. }) => writeln!(out, "link: connected again")?,
            Notice::Link(Link::Lost { why, tries, .. }) => {
                if tries == 0 {
                    writeln!(out, "link: LOST ({}); what is shown is old until it is back", shown(&why))?;
                }
            }
            Notice::Link(Link::Replay { .. }) => {}
            Notice::Dying(why) => writeln!(out, "HUB: nothing can start any more: {}", shown(&why))?,
            Notice::Over(None) => {
                writeln!(out, "the session is closed")?;
                out.flush()?;
                return Ok(Some(Ok(())));
            }
            Notice::Over(Some(why)) => return Ok(Some(Err(anyhow::anyhow!(why)))),
        }
        Ok(None)
    }
}

/// Which panel stands open.
fn read(view: &View) -> Option<verbs::Read> {
    view.session.open_step().map(|(step, state, armed)| (step.id.clone(), state.attempt, armed.digest()))
}

/// The published state once it includes that line. The client publishes a few milliseconds after it folds.
async fn settled(client: &mut Client, seq: u64) -> View {
    // An error means that the client is over; then the newest state is the last there will be.
    let _ = client.view.wait_for(|view| view.session.seq >= seq).await.map(drop);
    client.view.borrow().clone()
}

/// Where the session stands.
pub fn status(view: &View, out: &mut impl Write) -> std::io::Result<()> {
    let session = &view.session;
    let now = view.now(clock::wall());
    writeln!(out, "{} on {}, led by {}", shown(&session.plan.name), shown(&session.plan.environment), session.lead)?;
    if let Some(data) = session.rehearsal() {
        writeln!(out, "{}", rehearsal::on(data))?;
    }
    deviations::parameters(session, out)?;
    for (index, step) in session.plan.steps.iter().enumerate() {
        let Some(state) = session.steps.get(&step.id) else { continue };
        let after = if step.point_of_no_return { ", POINT OF NO RETURN" } else { "" };
        writeln!(
            out,
            "step {:02} {} [{}{after}] {}: {}",
            index + 1,
            step.id,
            step.class.word(),
            state.phase.word(),
            shown(&step.title)
        )?;
        let probed = state.run.as_ref().filter(|_| state.phase.owes_acknowledgement()).and_then(session::probe::told);
        if let Some(told) = probed {
            writeln!(out, "  its probe: {}", shown(&told))?;
        }
        if let Some(waits) = session.waits_for(step, now) {
            writeln!(out, "  {}", shown(&waits))?;
        }
    }
    if let Some(drift) = session.drift(now) {
        writeln!(out, "time: the steps so far, against what the plan expects: {drift}")?;
    }
    if let Some(expected) = session.plan.expected {
        writeln!(out, "time: open for {}, {} expected", human(now.since(session.opened)), human(expected))?;
    }
    for watch in &session.plan.watches {
        let age = session.age(&watch.id, now).map_or("never".to_owned(), |age| format!("{} ago", human(age)));
        writeln!(
            out,
            "watch {} {} ({age}): {}",
            watch.id,
            session.status(&watch.id, now).word(),
            shown(&session.why(&watch.id, now))
        )?;
    }
    ways_back(view, out)?;
    preflight::status(view, out)?;
    for (principal, person) in &session.people {
        let here = match (person.connections.is_empty(), person.silent_since()) {
            (true, _) => "gone".to_owned(),
            (false, Some(since)) => format!("silent {}", human(now.since(since))),
            (false, None) => "here".to_owned(),
        };
        writeln!(
            out,
            "crew {principal} {} {here}, {} ({}){}",
            session.role(principal).word(),
            crate::session::vouching(person.vouched),
            shown(&person.key),
            preflight::person(session, principal)
        )?;
    }
    for taken in &session.taken {
        writeln!(out, "{}", shown(&taken.to_string()))?;
    }
    for glass in &session.glass {
        writeln!(out, "{}", shown(&glass.to_string()))?;
    }
    told_others(session, out)?;
    if session.line.is_stopped() {
        writeln!(
            out,
            "THE LINE IS STOPPED; to go on it needs: {}",
            session.release_needs(now, &session.line.released).join(", ")
        )?;
    }
    let sight = view.sight(now);
    let alarm = stands::alarm(&sight);
    writeln!(out, "alarm: {}: {}", alarm.word, alarm.text)?;
    writeln!(out, "next: {}", sight.next().told_to(&view.me, session))
}

/// Who outside the crew is told, and how that went.
fn told_others(session: &session::Session, out: &mut impl Write) -> std::io::Result<()> {
    for (number, notify) in (1..).zip(&session.plan.notify) {
        let place = session.telling.places.get(&number).cloned().unwrap_or_default();
        let waiting = session.due_for(number).count();
        let waiting = if waiting == 0 { String::new() } else { format!(", {waiting} waiting") };
        let failing = place.failing.map_or_else(String::new, |why| format!("FAILED: {}; ", shown(&why)));
        writeln!(
            out,
            "notify {} ({}): {failing}{} told, {} not{waiting}",
            shown(&notify.name),
            notify.by.word(),
            place.told,
            place.failed
        )?;
    }
    Ok(())
}

/// The cross-check panel, whole.
pub fn panel(armed: &Armed, view: &View, out: &mut impl Write) -> std::io::Result<()> {
    let hidden = session::readback::hidden(&view.session, &armed.covers.covers().step, &view.me);
    let covers = &session::readback::masked_covers(armed.covers.covers(), &hidden);
    writeln!(
        out,
        "--- CHECK {} attempt {}: {} [{}]",
        covers.step,
        covers.attempt,
        shown(&covers.title),
        shown(&covers.class)
    )?;
    let now = view.now(clock::wall());
    let (sections, since) = since::told(covers, &view.session, &hidden);
    let mut summary = Some(summary::items(covers, &view.session, now, since));
    for section in sections {
        if !section.items.is_empty() {
            writeln!(out, "-- {}", section.name.word())?;
        }
        let items = match section.name {
            Name::Command => summary::among(section.items, summary.take().unwrap_or_default()),
            _ => section.items,
        };
        super::armed::lines(&items, out)?;
        if section.name == Name::Gates {
            for gate in &covers.gates {
                let (status, why) = (view.session.status(&gate.watch, now), view.session.why(&gate.watch, now));
                writeln!(out, "gate {}, now: {}: {}", gate.watch, status.word(), shown(&why))?;
            }
        }
    }
    ways_back(view, out)?;
    let owed = armed.owes_read_back(&view.me);
    if view.session.may_check(&view.me) && !owed.is_empty() && !armed.checks.contains_key(&view.me) {
        let names: Vec<_> = owed.iter().map(|field| shown(&field.name)).collect();
        writeln!(
            out,
            "READ BACK from your own copy of the runbook, before you check: {}; others read back other fields, and the values \
             are hidden here until you have",
            names.join(", ")
        )?;
    }
    for (who, reader) in &armed.readers {
        let names: Vec<_> = reader.right.iter().map(|name| shown(name)).collect();
        let right = if names.is_empty() { "nothing yet".to_owned() } else { names.join(", ") };
        let wrong = if reader.wrong == 0 { String::new() } else { format!("; {} times WRONG", reader.wrong) };
        writeln!(out, "read back by {who}: {right}{wrong}")?;
    }
    let checked: Vec<_> = armed.checks.keys().map(ToString::to_string).collect();
    writeln!(
        out,
        "checks: {} of {}{}; armed by {}, lapses at {}",
        armed.checks.len(),
        covers.checks,
        if checked.is_empty() { String::new() } else { format!(" ({})", checked.join(", ")) },
        armed.by,
        armed.lapses.clock()
    )?;
    writeln!(out, "--- digest {}", armed.digest())
}

/// Every way back, best first, and whether it stands.
fn ways_back(view: &View, out: &mut impl Write) -> std::io::Result<()> {
    let now = view.now(clock::wall());
    for recovery in &view.session.plan.recovery {
        let stands = match view.session.stands(recovery, now) {
            Some(way) if way.is_too_slow() => format!("{}, LESS THAN IT TAKES", way.standing()),
            Some(way) => way.standing(),
            None => {
                let (watch, why) = (&recovery.watch, view.session.why(&recovery.watch, now));
                format!("DOES NOT STAND: {watch} is {}: {}", view.session.status(watch, now).word(), shown(&why))
            }
        };
        writeln!(out, "way back: {}: {stands}; {}", shown(&recovery.name), session::price(recovery))?;
    }
    Ok(())
}

/// The last rows of the command's screen; says whether there is one yet: it travels beside the lines, not among them.
fn rows(view: &View, run: &(StepId, u32, Part), out: &mut impl Write) -> std::io::Result<bool> {
    let (step, attempt, part) = run;
    let of_this_run = |screen: &&std::sync::Arc<crate::protocol::Screen>| {
        (&screen.step, &screen.attempt, &screen.part) == (step, attempt, part)
    };
    let Some(newest) = view.screen.as_ref().filter(of_this_run) else { return Ok(false) };
    let mut screen = Screen::new(Size { cols: newest.cols, rows: newest.rows });
    screen.feed(&newest.bytes);
    let rows: Vec<String> = (0..newest.rows).map(|row| shown(screen.row(row).trim_end())).collect();
    let end = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
    for row in &rows[end.saturating_sub(ROWS)..end] {
        writeln!(out, "  | {row}")?;
    }
    Ok(true)
}

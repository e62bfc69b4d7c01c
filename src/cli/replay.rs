//! `replay` and `report`: afterwards. Both read a transcript that may still be written, and take no lock.

use super::args::{Format, Replay, Report};
use super::rehearsal::Marked;
use super::{cockpit, join, out, plain};
use crate::client::view::{Link, View};
use crate::event::Role;
use crate::name::Principal;
use crate::protocol::Screen;
use crate::report::replay::{Jump, Player, Printed};
use crate::session::{Session, story};
use crate::transcript::verify::Integrity;
use crate::tui::{self, ReplayCommand};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Quiet longer than this is skipped while playing.
const QUIET: Duration = Duration::from_secs(10);
/// How often a transcript that is still being written is looked at.
const FOLLOW: Duration = Duration::from_millis(500);

/// Shows a transcript.
pub async fn run(args: Replay) -> anyhow::Result<()> {
    let player = Player::load(&args.file)?;
    if join::wants_plain(&args.screen) {
        return plainly(player);
    }
    let mut options = cockpit::options(&args.screen)?;
    let (commands, commanded) = mpsc::channel(64);
    options.replay = Some(commands);
    let mut shown = Shown { player, at: 1, playing: false, speed: 1.0 };
    let (view_out, view) = watch::channel(shown.view()?);
    let playing = tokio::spawn(async move { shown.play(commanded, view_out).await });
    // Nothing can be asked of a transcript; the screen offers no verb that would.
    let (_answers, answered) = mpsc::unbounded_channel();
    let left = tui::run(view, |_| {}, answered, options).await;
    playing.abort();
    left?;
    Ok(())
}

/// Prints the story, one event a line.
fn plainly(mut player: Player) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(out::stdout());
    let (first, hash) = player.line(1)?;
    let mut session = Session::open(&first, hash)?;
    let mut out = Marked::new(&mut out, session.rehearsal().is_some());
    writeln!(
        out,
        "{} #1 session {} opened: {} on {}",
        first.at.clock(),
        crate::name::shown(&session.id),
        crate::name::shown(&session.plan.name),
        crate::name::shown(&session.plan.environment)
    )?;
    for n in 2..=player.len() {
        let (line, hash) = player.line(n)?;
        if let Some(told) = story(&session, &line) {
            writeln!(out, "{} #{n} {told}", line.at.clock())?;
        }
        session.apply(&line, hash);
        if let (crate::event::Event::StepArmed { .. }, Some((_, _, armed))) = (&line.event, session.open_step()) {
            plain::panel(armed, &view_of(&session, player.len(), player.verdict(), None), &mut out)?;
        }
    }
    plain::status(&view_of(&player.at(player.len())?, player.len(), player.verdict(), None), &mut out)?;
    writeln!(out, "chain: {}", words(player.verdict()))?;
    out.flush()?;
    Ok(())
}

/// Writes a report to standard output.
pub fn report(args: &Report) -> anyhow::Result<()> {
    let report = crate::report::Report::of_file(&args.file)?;
    let text = match args.format {
        Format::Md => crate::report::markdown::markdown(&report),
    };
    out::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// What the chain check said, in a few words.
fn words(verdict: &Integrity) -> String {
    crate::name::shown(&verdict.to_string())
}

fn view_of(session: &Session, of: u64, verdict: &Integrity, screen: Option<Screen>) -> View {
    View {
        me: session.lead.clone(),
        role: Role::Observer,
        link: Link::Replay { at: session.seq, of, verdict: format!("chain {}", verdict.word()) },
        screen: screen.map(Arc::new),
        dying: None,
        hub_ahead_micros: 0,
        session: Arc::new(session.clone()),
    }
}

/// A transcript as it is being shown.
struct Shown {
    player: Player,
    at: u64,
    playing: bool,
    speed: f64,
}

impl Shown {
    fn view(&mut self) -> anyhow::Result<View> {
        let session = self.player.at(self.at)?;
        let screen = self.screen(&session);
        let mut view = view_of(&session, self.player.len(), self.player.verdict(), screen);
        // Somebody who takes no part: the screen then offers nobody's verbs.
        view.me = Principal::new("replay").unwrap_or_else(|_| Principal::hub());
        Ok(view)
    }

    /// The output as it stood, through the same emulator as live.
    fn screen(&self, session: &Session) -> Option<Screen> {
        let (step, attempt, part, bytes) = match self.player.screen(self.at) {
            Ok(Printed::Bytes { step, attempt, part, bytes, .. }) => (step, attempt, part, bytes),
            Ok(Printed::Gone { expired, step, attempt, part, bytes }) => {
                let text = match expired {
                    Some(at) => format!("OUTPUT EXPIRED: {bytes} bytes were printed here, and deleted on {at}."),
                    None => format!("OUTPUT MISSING: {bytes} bytes were printed here, and are gone."),
                };
                (step, attempt, part, text.into_bytes())
            }
            Ok(Printed::Nothing) => return None,
            Err(error) => {
                let (step, state) = session.current_step()?;
                let part = state.phase.part();
                (step.id.clone(), state.attempt, part, format!("the output cannot be read: {error}").into_bytes())
            }
        };
        let size = session.steps.get(&step).and_then(|state| state.run_of(part)).map_or((80, 24), |run| run.size);
        let mut emulated = crate::exec::Screen::new(crate::exec::Size { cols: size.0, rows: size.1 });
        emulated.feed(&bytes);
        let (cols, rows) = (emulated.size().cols, emulated.size().rows);
        Some(Screen { step, attempt, part, number: self.at, cols, rows, bytes: emulated.frame().into() })
    }

    async fn play(
        &mut self,
        mut commands: mpsc::Receiver<ReplayCommand>,
        view: watch::Sender<View>,
    ) -> anyhow::Result<()> {
        let mut follow = tokio::time::interval(FOLLOW);
        loop {
            let next = Instant::now() + self.until_next();
            let last = self.at >= self.player.len();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return Ok(()),
                },
                () = sleep_until(next), if self.playing && !last => self.at += 1,
                _ = follow.tick() => {
                    if self.player.read_on() == 0 {
                        continue;
                    }
                }
            }
            if view.send(self.view()?).is_err() {
                return Ok(());
            }
        }
    }

    /// The time to the next line at this speed; long quiet is skipped.
    fn until_next(&self) -> Duration {
        let quiet = self.player.time(self.at + 1).since(self.player.time(self.at)).min(QUIET);
        quiet.div_f64(self.speed)
    }

    fn obey(&mut self, command: ReplayCommand) {
        let len = self.player.len();
        match command {
            ReplayCommand::PlayPause => {
                if self.at >= len {
                    self.at = 1; // playing on from the end is playing again
                }
                self.playing = !self.playing;
            }
            ReplayCommand::Seconds(seconds) => {
                let micros = self.player.time(self.at).micros().saturating_add(seconds.saturating_mul(1_000_000));
                self.at = self.player.line_at(crate::clock::At::from_micros(micros));
            }
            ReplayCommand::Events(events) => self.at = self.at.saturating_add_signed(events).clamp(1, len),
            ReplayCommand::Steps(steps) => {
                let jump = if steps > 0 {
                    self.player.next(self.at, Jump::Step)
                } else {
                    self.player.previous(self.at, Jump::Step)
                };
                self.at = jump.unwrap_or(if steps > 0 { len } else { 1 });
            }
            ReplayCommand::Slower => self.speed = (self.speed / 2.0).max(0.125),
            ReplayCommand::Faster => self.speed = (self.speed * 2.0).min(64.0),
            ReplayCommand::Tenth(tenth) => {
                let (first, last) = (self.player.time(1), self.player.time(len));
                self.at = self.player.line_at(first.after(last.since(first).mul_f64(f64::from(tenth.min(10)) / 10.0)));
            }
        }
    }
}

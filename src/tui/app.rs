//! What only this screen knows: focus, scroll, the open overlay, typed text, and what of a panel was really seen.

use crate::brief::acts::Place;
use crate::brief::keys::Keys;
use crate::brief::{Sight, heirs};
use crate::clock::At;
use crate::event::{Attention, Settled, Status};
use crate::hash::Hash;
use crate::name::{ItemId, Principal, StepId, WatchId};
use crate::protocol::Screen;
use crate::session::Request;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tui_input::Input;

/// Answers on a panel are dead for so long after it was first drawn: a prompt must not eat keys in flight.
pub const GRACE: Duration = Duration::from_millis(300);
/// After so long without a key a person counts as away.
pub const AWAY_AFTER: Duration = Duration::from_secs(180);
/// How long a toast stays.
const TOAST: Duration = Duration::from_secs(8);

/// Both clocks a screen needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// This machine's wall clock: with the view's offset it is the hub's time, which ages and gates are told in.
    pub wall: At,
    /// Time since the screen opened, which nobody can step: dwell, grace and being away are measured in it.
    pub mono: Duration,
}

/// A pane of the main screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[allow(missing_docs)] // their titles say it
pub enum Pane {
    #[default]
    Plan,
    Command,
    Lag,
    Health,
    Crew,
    Chat,
    Events,
}
impl Pane {
    /// In the order of their numbers.
    pub const ALL: [Pane; 7] =
        [Pane::Plan, Pane::Command, Pane::Lag, Pane::Health, Pane::Crew, Pane::Chat, Pane::Events];
    /// The word on its border.
    pub fn title(self) -> &'static str {
        match self {
            Pane::Plan => "Plan",
            Pane::Command => "Command",
            Pane::Lag => "Kafka lag",
            Pane::Health => "Health, backup",
            Pane::Crew => "Crew",
            Pane::Chat => "Chat",
            Pane::Events => "Events",
        }
    }
    /// From 1.
    pub fn number(self) -> usize {
        Pane::ALL.iter().position(|pane| *pane == self).map_or(1, |index| index + 1)
    }
}

/// What lies over the main screen; one at a time, so exactly one mode is active.
#[derive(Debug, Clone, Default)]
pub enum Overlay {
    /// Nothing.
    #[default]
    None,
    /// The list of keys, scrolled so far.
    Help(u16),
    /// The cross-check panel.
    Panel(Box<Panel>),
    /// What has to be in order before the first critical step.
    Preflight(Box<Page>),
    /// A line of text.
    Field(Field),
    /// Leave?
    Quit,
    /// Every act, found by its words.
    Palette(Box<Palette>),
}

/// An open palette.
#[derive(Debug, Clone)]
pub struct Palette {
    /// The words so far.
    pub input: Input,
    /// Which of the acts that fit is picked.
    pub row: usize,
    /// Where it was opened.
    pub place: Place,
    /// What it lies over.
    pub under: Overlay,
}

/// What a typed line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Purpose {
    /// Say something.
    Say,
    /// Mark the timeline.
    Mark,
    /// Confirm a run by the step's number.
    Run { step: StepId, attempt: u32, number: usize },
    /// Confirm a rollback by the step's number.
    Rollback { step: StepId, attempt: u32, number: usize },
    /// Interrupt by the step's id; `kill ID` forces.
    Interrupt { step: StepId },
    /// Type lines to the running command, until Esc.
    Type { step: StepId, attempt: u32 },
    /// Object to what is shown.
    Object { step: StepId, attempt: u32, digest: Hash },
    /// Read a field back, from one's own copy of the runbook.
    ReadBack { step: StepId, attempt: u32, field: String },
    /// Settle a step; `outcome` is asked for first where nobody can tell.
    Settle { step: StepId, outcome: Option<Settled> },
    /// Make an exception to a gate.
    Waive { step: StepId, attempt: u32, watch: WatchId, status: Status },
    /// Leave a step out.
    Skip { step: StepId },
    /// Clear what is armed alone: its id, and why.
    BreakGlass { step: StepId, attempt: u32, digest: Hash },
    /// Hand the lead over to a typed name.
    Handover { names: Vec<Principal> },
    /// Let in again whoever came with that key, by their typed name.
    Readmit { who: Principal, key: String },
    /// Say no-go, and why.
    NoGo { poll: u32 },
    /// Answer a checklist item.
    Answer { item: ItemId },
    /// Say whether one is fit to fly, and until when.
    Fit,
    /// Take one of these seats.
    Seat { seats: Vec<String> },
    /// Give parameters values: `NAME=VALUE # WHY`.
    Set,
    /// Type another command for a step.
    Edit { step: StepId },
    /// Type a command that the plan does not have.
    AdHoc,
    /// End the session by typing `close`.
    Close,
}
impl Purpose {
    /// What is typed before that request is sent; none where a key is enough.
    pub fn of(request: &Request, sight: &Sight) -> Option<Purpose> {
        let number = |step: &StepId| sight.session.plan.number(step).unwrap_or(0);
        Some(match request {
            Request::Run { step, attempt } | Request::Did { step, attempt, .. } => {
                Purpose::Run { step: step.clone(), attempt: *attempt, number: number(step) }
            }
            Request::Rollback { step, attempt } => {
                Purpose::Rollback { step: step.clone(), attempt: *attempt, number: number(step) }
            }
            Request::Interrupt { step, .. } => Purpose::Interrupt { step: step.clone() },
            Request::Type { step, attempt, .. } => Purpose::Type { step: step.clone(), attempt: *attempt },
            Request::Object { step, attempt, digest, .. } => {
                Purpose::Object { step: step.clone(), attempt: *attempt, digest: *digest }
            }
            Request::ReadBack { step, attempt, field, .. } => {
                Purpose::ReadBack { step: step.clone(), attempt: *attempt, field: field.clone() }
            }
            Request::Settle { step, .. } => Purpose::Settle { step: step.clone(), outcome: None },
            Request::Waive { step, attempt, watch, status, .. } => {
                Purpose::Waive { step: step.clone(), attempt: *attempt, watch: watch.clone(), status: *status }
            }
            Request::Skip { step, .. } => Purpose::Skip { step: step.clone() },
            Request::BreakGlass { step, attempt, digest, .. } => {
                Purpose::BreakGlass { step: step.clone(), attempt: *attempt, digest: *digest }
            }
            Request::Handover { .. } => Purpose::Handover { names: heirs(sight) },
            Request::Readmit { who, key } => Purpose::Readmit { who: who.clone(), key: key.clone() },
            Request::NoGo { poll, .. } => Purpose::NoGo { poll: *poll },
            Request::Answer { item, .. } => Purpose::Answer { item: item.clone() },
            Request::Available { .. } => Purpose::Fit,
            Request::Seat { .. } => {
                let seats: Vec<String> = sight.session.seats_of(sight.me).map(str::to_owned).collect();
                return (seats.len() > 1).then_some(Purpose::Seat { seats });
            }
            Request::Set { .. } => Purpose::Set,
            Request::Edit { step, .. } => Purpose::Edit { step: step.clone() },
            Request::AdHoc { .. } => Purpose::AdHoc,
            Request::Close { .. } => Purpose::Close,
            Request::Say { .. } => Purpose::Say,
            Request::Mark { .. } => Purpose::Mark,
            _ => return None,
        })
    }
    /// Whether pasted text is welcome. What confirms an act has to be typed.
    pub fn takes_paste(&self) -> bool {
        matches!(
            self,
            Purpose::Say
                | Purpose::Mark
                | Purpose::Object { .. }
                | Purpose::Waive { .. }
                | Purpose::Skip { .. }
                | Purpose::Settle { outcome: Some(_), .. }
                | Purpose::NoGo { .. }
                | Purpose::Answer { .. }
                // A command or a value is read again by others before it does anything.
                | Purpose::Set
                | Purpose::Edit { .. }
                | Purpose::AdHoc
        )
    }
}

/// A line being typed.
#[derive(Debug, Clone)]
pub struct Field {
    /// What for.
    pub purpose: Purpose,
    /// The text so far.
    pub input: Input,
    /// What was wrong with what was sent.
    pub error: Option<String>,
    /// How fast it is typed, where that matters.
    pub pace: Pace,
}
impl Field {
    /// An empty one.
    pub fn new(purpose: Purpose) -> Self {
        Field::with(purpose, "")
    }
    /// One that begins with this text.
    pub fn with(purpose: Purpose, text: &str) -> Self {
        Field { purpose, input: Input::new(text.to_owned()), error: None, pace: Pace::default() }
    }
}

/// Tells typed keys from pasted ones where a terminal does not say so: nobody types [`Pace::KEYS`] characters in
/// [`Pace::TIME`], and a link that stalls seldom gathers as many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    times: VecDeque<Duration>,
}
impl Pace {
    /// So many characters
    pub const KEYS: usize = 5;
    /// within so long are no typing.
    pub const TIME: Duration = Duration::from_millis(40);
    /// One more character; whether it and those before it came too fast.
    pub fn is_burst(&mut self, now: Duration) -> bool {
        self.times.push_back(now);
        while self.times.len() > Pace::KEYS {
            self.times.pop_front();
        }
        self.times.len() == Pace::KEYS
            && self.times.front().is_some_and(|first| now.saturating_sub(*first) <= Pace::TIME)
    }
}

/// The page on what has to be in order before the first critical step.
#[derive(Debug, Clone)]
pub struct Page {
    /// The checklist item that is picked.
    pub row: usize,
    /// Lines scrolled.
    pub scroll: usize,
    /// The poll and the checklist that are shown: a go is for these and no others.
    pub about: (u32, u64),
    /// Since when these are on screen.
    pub since: Duration,
    /// A line typed on the page.
    pub field: Option<Field>,
}
impl Page {
    /// Freshly opened.
    pub fn new(about: (u32, u64), now: Duration) -> Self {
        Page { row: 0, scroll: 0, about, since: now, field: None }
    }
    /// Whether an answer may be taken: what it is about has been on screen for long enough.
    pub fn answers_alive(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= GRACE
    }
}

/// Sections of the cross-check panel: what is armed is told in so many.
pub use crate::brief::armed::SECTIONS;

/// What was seen of one section: for how long each of its lines still has to be on screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Nobody reads a heading and its lines at once: it comes first.
    heading: Duration,
    lines: Vec<Duration>,
    /// Once it was seen whole for long enough it stays so for this digest.
    done: bool,
}
impl Seen {
    /// How long a heading takes to be found.
    const HEADING: Duration = Duration::from_millis(300);
    /// How long a line has to be on screen,
    const LINE: Duration = Duration::from_millis(100);
    /// and all lines together at most: a file of thousands of them still has to be scrolled through, but nobody is made to
    /// wait for minutes.
    const MOST: Duration = Duration::from_secs(20);

    /// Nothing of so many lines was seen.
    fn nothing_of(lines: usize) -> Seen {
        let of = u32::try_from(lines.max(1)).unwrap_or(u32::MAX);
        Seen { heading: Seen::HEADING, lines: vec![Seen::LINE.min(Seen::MOST / of); lines], done: false }
    }
    /// Whether it counts as seen.
    pub fn is_done(&self) -> bool {
        self.done
    }
    /// The lines that were not on screen for long enough.
    fn unseen_lines(&self) -> impl Iterator<Item = usize> {
        let left = |(line, left): (usize, &Duration)| (!self.done && !left.is_zero()).then_some(line);
        self.lines.iter().enumerate().filter_map(left)
    }
    /// That part of it was on screen for so long: it is read from the top, one line after the other. Gives what is left of
    /// the time for what stands below.
    fn read(&mut self, shown: Shown, mut time: Duration) -> Duration {
        if self.done || shown.to <= shown.from || self.lines.len() != shown.of {
            return time;
        }
        let lines = self.lines.iter_mut().take(shown.to).skip(shown.from);
        for left in std::iter::once(&mut self.heading).chain(lines) {
            let read = time.min(*left);
            (*left, time) = (*left - read, time - read);
        }
        self.done = self.heading.is_zero() && self.lines.iter().all(Duration::is_zero);
        time
    }
}

/// The part of a section that a drawn frame showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// Its first line on screen.
    pub from: usize,
    /// The line after its last one on screen.
    pub to: usize,
    /// How many it has.
    pub of: usize,
}

/// What a drawn frame showed of the panel: all sections, one below the other, each with its heading, are its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Showing {
    /// Of each section.
    pub sections: [Shown; SECTIONS],
    /// The first row on screen.
    pub top: usize,
    /// The row after the last one on screen.
    pub bottom: usize,
    /// The row from which on all that is left fits.
    pub furthest: usize,
}
impl Showing {
    /// The row of a section's heading.
    pub fn heading(&self, section: usize) -> usize {
        self.sections.iter().take(section).map(|shown| shown.of + 1).sum()
    }
}

/// The cross-check panel on what is armed.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The step.
    pub step: StepId,
    /// The attempt.
    pub attempt: u32,
    /// What is shown: a yes goes to this digest and no other.
    pub digest: Hash,
    /// When it was first drawn.
    pub drawn: Option<Duration>,
    /// What was seen of each section.
    pub seen: [Seen; SECTIONS],
    /// The section that was gone to last, from 0.
    pub section: usize,
    /// The row that stands first, as far as there are enough below it.
    pub top: usize,
    /// What the last frame showed, and when.
    pub last: Option<(Duration, Showing)>,
    /// Whether the yes was sent and is on its way.
    pub sent: bool,
    /// Why not, or a question: a line typed on the panel.
    pub field: Option<Field>,
}
impl Panel {
    /// Freshly opened.
    pub fn new(step: StepId, attempt: u32, digest: Hash) -> Self {
        Panel {
            step,
            attempt,
            digest,
            drawn: None,
            seen: Default::default(),
            section: 0,
            top: 0,
            last: None,
            sent: false,
            field: None,
        }
    }
    /// Whether both are on the same bytes.
    pub fn is_on(&self, other: &Panel) -> bool {
        (&self.step, self.attempt, self.digest) == (&other.step, other.attempt, other.digest)
    }
    /// Opened again: what was seen stays so, but answers wait for a frame and the grace time once more.
    pub fn reopened(self) -> Self {
        Panel { drawn: None, last: None, sent: false, field: None, ..self }
    }
    /// Whether an answer may be taken: drawn, and long enough ago.
    pub fn answers_alive(&self, now: Duration) -> bool {
        self.drawn.is_some_and(|drawn| now.saturating_sub(drawn) >= GRACE)
    }
    /// Sections not seen yet, from 1.
    pub fn unseen(&self) -> Vec<usize> {
        (0..SECTIONS).filter(|index| !self.seen[*index].done).map(|index| index + 1).collect()
    }
    /// Time went by with the last frame on screen.
    pub fn dwell(&mut self, now: Duration) {
        let Some((since, showing)) = self.last else { return };
        // A terminal that was suspended shows nothing: at most one second counts per frame.
        let mut time = now.saturating_sub(since).min(Duration::from_secs(1));
        self.last = Some((now.max(since), showing));
        for (seen, shown) in self.seen.iter_mut().zip(showing.sections) {
            time = seen.read(shown, time);
        }
    }
    /// A frame with this on it is on screen from now on.
    pub fn drawn(&mut self, now: Duration, showing: Showing) {
        self.dwell(now);
        self.drawn.get_or_insert(now);
        for (seen, shown) in self.seen.iter_mut().zip(showing.sections) {
            if seen.lines.len() != shown.of && !seen.done {
                // Other lines than before (another width, something new): what was seen of the old ones says nothing.
                *seen = Seen::nothing_of(shown.of);
            }
        }
        self.last = Some((now, showing));
    }
    /// Goes to a section.
    pub fn go_to(&mut self, section: usize) {
        self.section = section.min(SECTIONS - 1);
        self.top = self.last.map_or(0, |(_, showing)| showing.heading(self.section));
    }
    /// Goes to a row, as far as there is one.
    pub fn scroll_to(&mut self, row: usize) {
        let Some((_, showing)) = self.last else { return };
        self.top = row.min(showing.furthest);
        self.section = (0..SECTIONS).rev().find(|section| showing.heading(*section) <= self.top).unwrap_or(0);
    }
    /// Goes on to what was not seen yet: below the screen first, then from the start. What is on screen and was not there for
    /// long enough stays there.
    pub fn go_on(&mut self) {
        let Some((_, showing)) = self.last else { return };
        let mut rows = vec![];
        for section in 0..SECTIONS {
            let heading = showing.heading(section);
            let lines = self.seen[section].unseen_lines();
            rows.extend(lines.map(|line| if line == 0 { heading } else { heading + 1 + line }));
        }
        let below = rows.iter().find(|row| **row >= showing.bottom);
        let first = rows.iter().find(|row| **row < showing.top);
        if let Some(row) = below.or(first) {
            self.scroll_to(*row);
        }
    }
}

/// A passing message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    /// The sentence.
    pub text: String,
    /// Whether it is bad news.
    pub bad: bool,
    /// Until when it is shown.
    pub until: Duration,
}

/// The state of this screen.
#[derive(Debug, Clone, Default)]
pub struct App {
    /// The pane that takes the arrows.
    pub focus: Pane,
    /// Whether it fills the screen.
    pub zoom: bool,
    /// Lines scrolled per pane.
    pub scroll: BTreeMap<Pane, u16>,
    /// The step the lead picked in the plan, where it is not the current one.
    pub selected: Option<StepId>,
    /// What lies over the main screen.
    pub overlay: Overlay,
    /// The panel that was closed without an answer.
    pub later: Option<Box<Panel>>,
    /// Messages, newest last.
    pub toasts: VecDeque<Toast>,
    /// The screen's size.
    pub size: (u16, u16),
    /// Size of the output pane as last drawn, and as last told to the hub.
    pub output: (u16, u16),
    /// See [`App::output`]; with the run it was told for.
    pub output_told: Option<(StepId, u32, u16, u16)>,
    /// When a key was last pressed.
    pub last_key: Duration,
    /// What the hub was last told this person looks at.
    pub attention: Option<Attention>,
    /// The check the bell was rung for.
    pub rung: Option<(StepId, u32)>,
    /// Whether the bell was rung for the andon that is pulled.
    pub rung_andon: bool,
    /// The poll the bell was rung for.
    pub rung_poll: u32,
    /// Number of the newest thing said that was on screen.
    pub chat_read: usize,
    /// What a step itself printed last: kept while its rollback prints.
    pub of_step: Option<Arc<Screen>>,
    /// Whether a replay plays.
    pub playing: bool,
    /// What each key does.
    pub keys: Keys,
}

impl App {
    /// A fresh screen of that size.
    pub fn new(cols: u16, rows: u16) -> Self {
        App { size: (cols, rows), ..App::default() }
    }
    /// Shows a message for a while.
    pub fn toast(&mut self, text: impl Into<String>, bad: bool, now: Duration) {
        if self.toasts.len() >= 5 {
            self.toasts.pop_front();
        }
        self.toasts.push_back(Toast { text: crate::name::shown(&text.into()), bad, until: now + TOAST });
    }
    /// How far a pane is scrolled.
    pub fn scrolled(&self, pane: Pane) -> u16 {
        self.scroll.get(&pane).copied().unwrap_or(0)
    }
    /// The panel, if it is open.
    pub fn panel(&self) -> Option<&Panel> {
        match &self.overlay {
            Overlay::Panel(panel) => Some(panel),
            _ => None,
        }
    }
    /// Whether letters are text just now, and no keys.
    pub fn is_typing(&self) -> bool {
        self.field().is_some() || matches!(self.overlay, Overlay::Palette(_))
    }
    /// The line being typed, if one is.
    pub fn field(&self) -> Option<&Field> {
        match &self.overlay {
            Overlay::Field(field) => Some(field),
            Overlay::Panel(panel) => panel.field.as_ref(),
            Overlay::Preflight(page) => page.field.as_ref(),
            _ => None,
        }
    }
}

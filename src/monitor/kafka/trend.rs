//! Where the lag of one partition goes, from what was seen of it so far.
//!
//! Two readings in a row say nothing: between two commits every lag grows, and a commit makes it fall. So the rates are
//! taken from one commit to a later one, over a window that is as long as the group's own rhythm asks for, and both halves
//! of the window have to agree. Time in which nothing could be seen counts as no time at all: a partition that nobody
//! looked at has not stalled. There is no clock in here: the time is passed in, and only has to go forward.

use super::{Committed, Fact};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// So many commits before anything is said about a trend.
const CHANGES_MIN: usize = 3;
/// And between the first and the last of them at least this.
const SPAN_MIN: Duration = Duration::from_secs(30);
/// Of the window: long enough that the time between two looks matters little against it.
const WINDOW_MIN: Duration = Duration::from_secs(180);
const WINDOW_MAX: Duration = Duration::from_secs(600);
/// Commits closer to each other than this count as one; otherwise fast ones would fill the memory and say no more.
const CHANGE_APART: Duration = Duration::from_secs(2);
/// Gaps between commits that are remembered, to know the group's rhythm.
const RHYTHM: usize = 9;
/// Rates that differ by less than this share are equal.
const DEAD_BAND: f64 = 0.05;
/// No commit for so long is a stall, where commits are more frequent.
const STALL_MIN: Duration = Duration::from_secs(30);
/// The same where too few commits were seen to know how frequent they are.
const STALL_UNSEEN: Duration = Duration::from_secs(120);
/// A look away for longer than this, or than the group's rhythm, and what was before says nothing about now.
const GAP_MAX: Duration = Duration::from_secs(30);
/// So many readings in a row make "drained".
const DRAINED_CYCLES: u32 = 3;
/// No drain is foretold further than this.
const ETA_MAX: Duration = Duration::from_secs(99 * 3600);

/// What a partition comes to, the worst first.
#[derive(Debug, Clone, PartialEq)]
pub enum Trend {
    /// So many messages were deleted before the group read them.
    Lost(u64),
    /// Offsets contradict each other, or what was seen before; the words say how.
    Ahead(String),
    /// Something that the verdict needs is not known; the words say why.
    Unknown(Arc<str>),
    /// The group never committed here, or its commit expired: up to so many messages to read.
    NoCommit(u64),
    /// Messages to read, and no commit in so much observed time.
    Stalled(Duration),
    /// So many messages more each second.
    Growing(f64),
    /// The group went back by so many messages.
    Rewound(u64),
    /// Not enough was seen to say where it goes.
    Warming,
    /// Neither more nor less.
    Steady,
    /// Less and less.
    Draining(Eta),
    /// Nothing left, for so long.
    Drained(Duration),
}

/// When a lag will be gone, if all goes on like that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Eta {
    /// At the better rate of the window's two halves.
    pub soonest: Duration,
    /// At the rate of the whole window.
    pub likely: Duration,
    /// At the worse rate.
    pub latest: Duration,
}

impl Trend {
    /// The place in the order above: 0 is the worst.
    pub fn rank(&self) -> u8 {
        match self {
            Trend::Lost(_) => 0,
            Trend::Ahead(_) => 1,
            Trend::Unknown(_) => 2,
            Trend::NoCommit(_) => 3,
            Trend::Stalled(_) => 4,
            Trend::Growing(_) => 5,
            Trend::Rewound(_) => 6,
            Trend::Warming => 7,
            Trend::Steady => 8,
            Trend::Draining(_) => 9,
            Trend::Drained(_) => 10,
        }
    }
}

/// What was seen when every number was known.
#[derive(Debug, Clone, Copy)]
struct Sight {
    at: Duration,
    committed: Option<u64>,
    lag: u64,
}

/// A look at which the commit had moved on.
#[derive(Debug, Clone, Copy)]
struct Change {
    at: Duration,
    committed: u64,
    end: u64,
}

/// A mark that only ever moves up, unless the topic is not the one it was.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    highest: Option<u64>,
    /// Looks in a row at which it was lower.
    lower: u32,
}

impl Mark {
    /// The mark it has fallen from, and how often in a row that was seen.
    fn see(&mut self, fact: &Fact<u64>) -> Option<(u64, u64, u32)> {
        let Fact::Known(now) = fact else { return None };
        match self.highest {
            Some(highest) if *now < highest => {
                self.lower = self.lower.saturating_add(1);
                Some((highest, *now, self.lower))
            }
            _ => {
                *self = Mark { highest: Some(*now), lower: 0 };
                None
            }
        }
    }
}

/// The memory of one partition.
#[derive(Debug, Clone)]
pub struct Track {
    every: Duration,
    residual: u64,
    last: Option<Sight>,
    /// Something was not known since `last`.
    gap: bool,
    changes: VecDeque<Change>,
    /// How long messages waited for the last commits.
    rhythm: VecDeque<Duration>,
    /// Observed time with messages to read, since the last commit.
    waiting: Duration,
    /// Looks in a row, and the time from the first to the last, with nothing left to read.
    quiet: Option<(u32, Duration)>,
    /// It had read everything at some time.
    kept_up: bool,
    rewound: Option<u64>,
    low: Mark,
    end: Mark,
    /// The commit that was known when a mark fell.
    before: Option<Committed>,
    commit: Option<Committed>,
}

impl Track {
    /// A partition that is looked at so often, and of which so many messages may be left unread.
    pub fn new(every: Duration, residual: u64) -> Self {
        Track {
            every,
            residual,
            last: None,
            gap: false,
            changes: VecDeque::new(),
            rhythm: VecDeque::new(),
            waiting: Duration::ZERO,
            quiet: None,
            kept_up: false,
            rewound: None,
            low: Mark::default(),
            end: Mark::default(),
            before: None,
            commit: None,
        }
    }

    /// Takes what one cycle saw at that time, and says what the partition comes to.
    pub fn see(&mut self, at: Duration, low: &Fact<u64>, committed: &Fact<Committed>, end: &Fact<u64>) -> Trend {
        use Fact::{Known, Unknown};
        let fallen = self.fallen(low, committed, end);
        // Two numbers are enough for a loss or a contradiction; everything else takes all three.
        let verdict = match (low, committed, end) {
            (Known(low), Known(Committed::At(at)), _) if at < low => Err(Trend::Lost(low - at)),
            (_, Known(Committed::At(at)), Known(end)) if at > end => {
                Err(Trend::Ahead(format!("ahead (committed {at}, end {end})")))
            }
            (Known(low), _, Known(end)) if end < low => {
                Err(Trend::Ahead(format!("contradictory (first {low}, end {end})")))
            }
            _ if fallen.is_some() => Err(fallen.unwrap_or(Trend::Warming)),
            (Known(_), Known(Committed::At(at)), Known(end)) => Ok((Some(*at), *end, end - at)),
            (Known(low), Known(Committed::Never), Known(end)) if low == end => Ok((None, *end, 0)),
            (Known(low), Known(Committed::Never), Known(end)) => Err(Trend::NoCommit(end - low)),
            (Unknown(why), _, _) | (_, Unknown(why), _) | (_, _, Unknown(why)) => Err(Trend::Unknown(why.clone())),
        };
        match verdict {
            Ok((committed, end, lag)) => {
                self.remember(at, committed, end, lag);
                self.judge(at, lag)
            }
            Err(verdict) => {
                self.gap = true;
                self.quiet = None;
                verdict
            }
        }
    }

    /// Whether a mark is lower than it was. Seen once it is asked again: for a moment after a change of leaders the new one
    /// may know less than the old one. It stands until the mark is reached again, or the group commits anew.
    fn fallen(&mut self, low: &Fact<u64>, committed: &Fact<Committed>, end: &Fact<u64>) -> Option<Trend> {
        let (low_fell, end_fell) = (self.low.see(low), self.end.see(end));
        let fallen = match (end_fell, low_fell) {
            (Some((was, now, seen)), _) => Some(("end", was, now, seen)),
            (None, Some((was, now, seen))) => Some(("first offset", was, now, seen)),
            (None, None) => None,
        };
        let still = self.low.lower > 0 || self.end.lower > 0;
        let before = match still {
            true => *self.before.get_or_insert(self.commit.unwrap_or(Committed::Never)),
            false => {
                self.before = None;
                Committed::Never
            }
        };
        if let Fact::Known(committed) = committed {
            self.commit = Some(*committed);
        }
        let (what, was, now, seen) = match fallen {
            Some(fallen) => fallen,
            None if still => return Some(Trend::Unknown("not known since its offsets went back".into())),
            None => return None,
        };
        if let (Fact::Known(commit @ Committed::At(at)), Fact::Known(end)) = (committed, end)
            && *commit != before
            && at <= end
        {
            // The group reads what is there now: that is what counts from here on.
            self.low = Mark::default();
            self.end = Mark { highest: Some(*end), lower: 0 };
            self.low.see(low);
            self.before = None;
            self.restart();
            return None;
        }
        match seen {
            1 => Some(Trend::Unknown(format!("{what} went back from {was} to {now}, looking again").into())),
            _ => Some(Trend::Ahead(format!("not what it was ({what} went back from {was} to {now})"))),
        }
    }

    /// Forgets what rates are taken from.
    fn restart(&mut self) {
        self.changes.clear();
        self.waiting = Duration::ZERO;
        self.quiet = None;
        self.kept_up = false;
        self.last = None;
    }

    fn remember(&mut self, at: Duration, committed: Option<u64>, end: u64, lag: u64) {
        let away = self.last.map_or(Duration::ZERO, |last| at.saturating_sub(last.at));
        // A cycle that came late was a look away too: a suspended machine, a call that hung.
        let observed = self.last.filter(|_| !self.gap && away <= (self.every * 3).max(Duration::from_secs(10)));
        if observed.is_none() {
            self.quiet = None;
            if away > GAP_MAX.max(self.cadence().unwrap_or_default()) {
                self.changes.clear();
                self.kept_up = false;
            }
        }
        if observed.is_some_and(|last| last.lag > self.residual) {
            self.waiting += away;
        }
        match (self.last.and_then(|last| last.committed), committed) {
            (Some(was), Some(now)) if now < was => {
                self.rewound = Some(was - now);
                self.changes.clear();
                self.kept_up = false;
                self.waiting = Duration::ZERO;
            }
            (was, Some(now)) if self.last.is_some() && was != committed => {
                if observed.is_some_and(|last| last.lag > self.residual) {
                    self.rhythm.push_back(self.waiting);
                    self.rhythm.drain(..self.rhythm.len().saturating_sub(RHYTHM));
                }
                self.waiting = Duration::ZERO;
                self.change(Change { at, committed: now, end });
            }
            _ => {}
        }
        if lag <= self.residual {
            let (looks, time) = self.quiet.unwrap_or_default();
            let more = if looks > 0 { away } else { Duration::ZERO };
            self.quiet = Some((looks.saturating_add(1), time + more));
            self.kept_up = true;
            self.waiting = Duration::ZERO;
        } else {
            self.quiet = None;
        }
        self.last = Some(Sight { at, committed, lag });
        self.gap = false;
    }

    fn change(&mut self, change: Change) {
        if let [.., before, last] = self.changes.make_contiguous()
            && last.at.saturating_sub(before.at) < CHANGE_APART
        {
            self.changes.pop_back();
        }
        self.changes.push_back(change);
        let window = self.window();
        // A few are kept however old they are: a group that commits every ten minutes has a trend too.
        while self.changes.len() > CHANGES_MIN + 1
            && self.changes.front().is_some_and(|first| change.at.saturating_sub(first.at) > window)
        {
            self.changes.pop_front();
        }
    }

    /// How long messages usually wait for a commit.
    fn cadence(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.rhythm.iter().copied().collect();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied()
    }

    fn window(&self) -> Duration {
        (self.cadence().unwrap_or_default() * 4).clamp(WINDOW_MIN, WINDOW_MAX)
    }

    /// No commit for so long is more than the group's rhythm. Where messages come rarely they wait for any part of the time
    /// between two commits, so the longest wait but one counts as well as the usual one.
    fn patience(&self) -> Duration {
        if self.rhythm.len() < CHANGES_MIN {
            return STALL_UNSEEN;
        }
        let mut sorted: Vec<_> = self.rhythm.iter().copied().collect();
        sorted.sort();
        let long = sorted.len().checked_sub(2).and_then(|at| sorted.get(at)).copied().unwrap_or_default();
        STALL_MIN.max(self.cadence().unwrap_or_default() * 3).max(long + long / 2)
    }

    fn judge(&mut self, at: Duration, lag: u64) -> Trend {
        if let Some((looks, time)) = self.quiet
            && looks >= DRAINED_CYCLES
            && time >= self.cadence().unwrap_or_default() * 2
        {
            return Trend::Drained(time);
        }
        if lag > self.residual && self.waiting >= self.patience() {
            return Trend::Stalled(self.waiting);
        }
        let Some(rates) = self.rates() else {
            return match self.rewound {
                Some(by) => Trend::Rewound(by),
                // It had nothing left a while ago, and what came since has not waited for long.
                None if self.kept_up => Trend::Steady,
                None => Trend::Warming,
            };
        };
        self.rewound = None;
        rates.verdict(at)
    }

    fn rates(&self) -> Option<Rates> {
        let (first, last) = (self.changes.front()?, self.changes.back()?);
        let span = last.at.saturating_sub(first.at);
        if self.changes.len() < CHANGES_MIN || span < SPAN_MIN {
            return None;
        }
        let middle = first.at + span / 2;
        let inner = self.changes.range(1..self.changes.len() - 1);
        let half = inner.min_by_key(|change| change.at.abs_diff(middle))?;
        let produced = rate(first.end, last.end, span);
        // The commit was taken at some time since the look before: for so long messages came that it could not know of.
        let unseen = produced * self.every.as_secs_f64();
        let (slope, level) = self.line();
        Some(Rates {
            net: -slope,
            halves: [net(first, half), net(half, last)],
            band: DEAD_BAND * produced.max(rate(first.committed, last.committed, span))
                + 0.4 * unseen / span.as_secs_f64(),
            behind: last.lag() > 1.5 * unseen + 2.0 + self.residual as f64,
            lag: (level - self.residual as f64 - unseen / 2.0).max(0.0),
            at: last.at,
        })
    }

    /// The straight line through the lags just after each commit: by how much it rises each second, and where it is at the
    /// last one. Every commit counts, so that a burst before one of them matters less.
    fn line(&self) -> (f64, f64) {
        let Some(last) = self.changes.back() else { return (0.0, 0.0) };
        let count = self.changes.len() as f64;
        let ago = |change: &Change| -last.at.saturating_sub(change.at).as_secs_f64();
        let time = self.changes.iter().map(ago).sum::<f64>() / count;
        let lag = self.changes.iter().map(Change::lag).sum::<f64>() / count;
        let (mut both, mut square) = (0.0, 0.0);
        for change in &self.changes {
            both += (ago(change) - time) * (change.lag() - lag);
            square += (ago(change) - time).powi(2);
        }
        let slope = if square > 0.0 { both / square } else { 0.0 };
        (slope, lag - slope * time)
    }
}

impl Change {
    /// The lag just after the commit.
    fn lag(&self) -> f64 {
        self.end.saturating_sub(self.committed) as f64
    }
}

/// Messages a second; both marks only move up.
fn rate(from: u64, to: u64, time: Duration) -> f64 {
    to.saturating_sub(from) as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// By how much a lag falls each second, from one commit to a later one.
fn net(from: &Change, to: &Change) -> f64 {
    let time = to.at.saturating_sub(from.at);
    rate(from.committed, to.committed, time) - rate(from.end, to.end, time)
}

/// What the commits in the window come to.
#[derive(Debug)]
struct Rates {
    /// Messages fewer each second, over the whole window and over its halves.
    net: f64,
    halves: [f64; 2],
    /// Less than this is nothing.
    band: f64,
    /// The lag just after the last commit is more than what comes in between two looks.
    behind: bool,
    /// That lag, without what may stay, and without what came between the commit and the look.
    lag: f64,
    at: Duration,
}

impl Rates {
    fn verdict(&self, now: Duration) -> Trend {
        if !self.behind {
            return Trend::Steady;
        }
        if self.net < -self.band && self.halves.iter().all(|half| *half < 0.0) {
            return Trend::Growing(-self.net);
        }
        if self.net > self.band && self.halves.iter().all(|half| *half > 0.0) {
            let since = now.saturating_sub(self.at);
            let left = |net: f64| {
                let seconds = (self.lag / net).min(ETA_MAX.as_secs_f64());
                Duration::from_secs_f64(seconds).saturating_sub(since)
            };
            let [one, other] = self.halves;
            return Trend::Draining(Eta {
                soonest: left(self.net.max(one).max(other)),
                likely: left(self.net),
                latest: left(self.net.min(one).min(other)),
            });
        }
        Trend::Steady
    }
}

#[cfg(test)]
mod tests;

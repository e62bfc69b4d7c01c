//! The verdict on one look at a topic. Pure: the time is one of the facts.

use super::super::super::{Findings, bytes, excerpt};
use super::super::group::add;
use super::super::{Committed, Fact, NAMED};
use crate::clock::human;
use crate::event::{Anchor, Reading, Status};
use std::time::Duration;

/// Taken off every window: the broker's clock is not ours, and whoever starts to read needs a moment too.
const MARGIN: i64 = 5 * 60 * 1000;
/// A record from further in the future than that has a wrong time; up to there it is the clocks' skew.
const FUTURE: i64 = 60 * 1000;
/// A record older than that has a wrong time.
const PAST: i64 = 10 * 365 * 24 * 3600 * 1000;

/// What a topic's configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    /// -1: for ever.
    pub(super) retention_ms: i64,
    /// Per partition; -1: no limit.
    pub(super) retention_bytes: i64,
    /// As it stands: `delete`, `compact`, or both.
    pub(super) cleanup_policy: String,
    /// `CreateTime` or `LogAppendTime`.
    pub(super) timestamp_type: String,
}

/// What the first record at or after a place says of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// There is no record there yet.
    Nothing,
    /// In milliseconds since 1970.
    At(i64),
    /// It has none.
    NoTime,
}

/// One partition as one cycle saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) partition: i32,
    pub(super) low: Fact<u64>,
    pub(super) end: Fact<u64>,
    /// What the group committed, where the plan names one.
    pub(super) committed: Option<Fact<Committed>>,
    /// The oldest record.
    pub(super) oldest: Fact<First>,
    /// The first needed that is still there.
    pub(super) needed: Fact<First>,
    /// The next one the group will read.
    pub(super) unread: Option<Fact<First>>,
}

impl Seen {
    pub(super) fn new(partition: i32, low: Fact<u64>, committed: Option<Fact<Committed>>, end: Fact<u64>) -> Self {
        let unread = || Fact::Unknown("not read".into());
        Seen { partition, low, end, committed, oldest: unread(), needed: unread(), unread: None }
    }
    pub(super) fn unknown(partition: i32, why: &str) -> Self {
        Seen::new(partition, Fact::Unknown(why.into()), None, Fact::Unknown(why.into()))
    }
}

/// How long the group still needs for what it has not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drain {
    Drained,
    In(Duration),
    /// What is left does not become less.
    Grows,
    NotKnown,
}

/// One look.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    /// The hub's time, in milliseconds since 1970.
    pub(super) now_ms: i64,
    pub(super) config: Result<Config, String>,
    pub(super) partitions: Vec<Seen>,
    pub(super) drain: Drain,
}

/// What the window is held against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) must_cover: Option<Duration>,
    pub(super) must_not_exceed: Option<Duration>,
    pub(super) group: Option<String>,
    pub(super) rises: bool,
}

/// The verdict. Without an anchor, what is needed begins at the low mark.
pub(super) fn evaluate(facts: &Facts, anchor: Option<&Anchor>, limits: &Limits) -> Reading {
    let mut findings = Findings::default();
    offsets(facts, anchor, limits, &mut findings);
    if limits.rises {
        exceeds(facts, limits, &mut findings);
        return rises(facts, anchor, findings);
    }
    // A number beside a loss, a contradiction or something unknown would look like an answer.
    let broken = !findings.0.is_empty();
    alarms(facts, anchor, &mut findings);
    let window = window(facts, &mut findings);
    suspicious(facts, &mut findings);
    exceeds(facts, limits, &mut findings);
    covers(&window, limits, &mut findings);
    unread(facts, limits, &mut findings);
    match window {
        Window::Left { ms, on, at_most } if !broken => {
            let (word, left) = if at_most { ("stays at most", ms) } else { ("stays at least", ms) };
            let what = match on {
                Some(partition) => format!("first needed record {word} {}, on p{partition}", span(left)),
                None => format!("nothing needed is there yet; what comes {word} {}", span(left)),
            };
            number(findings, facts, &what, left)
        }
        Window::Over if !broken && findings.worst() == Status::Fail => number(findings, facts, "", 0),
        Window::Unlimited if !broken && findings.worst() != Status::Unknown => {
            findings.reading("kept without a limit of time", None, "")
        }
        _ => findings.reading("", None, ""),
    }
}

/// The reading with its number, unless something about it is not known.
fn number(findings: Findings, facts: &Facts, seen: &str, ms: i64) -> Reading {
    if findings.0.iter().any(|(status, _)| *status == Status::Unknown) {
        return findings.reading("", None, "");
    }
    let count = facts.partitions.len();
    let seen = match seen {
        "" => String::new(),
        seen => format!("{seen} of {count} partition{}", if count == 1 { "" } else { "s" }),
    };
    findings.reading(&seen, Some((ms / 1000) as f64), "s") // far below what a float loses
}

/// What is lost, what contradicts itself, what is not known.
fn offsets(facts: &Facts, anchor: Option<&Anchor>, limits: &Limits, findings: &mut Findings) {
    let (mut lost, mut recreated, mut unknown, mut unread) = (vec![], vec![], vec![], vec![]);
    let mut total = 0_u64;
    for seen in &facts.partitions {
        let p = seen.partition;
        let mark = anchor.and_then(|anchor| anchor.partitions.get(&p));
        let (Fact::Known(low), Fact::Known(end)) = (&seen.low, &seen.end) else {
            for fact in [&seen.low, &seen.end] {
                if let Fact::Unknown(why) = fact {
                    unknown.push(format!("p{p}: {}", excerpt(why, 100)));
                    break;
                }
            }
            continue;
        };
        match mark {
            _ if end < low => recreated.push(format!("p{p} ends before it begins")),
            Some(mark) if low < &mark.low => {
                recreated.push(format!("p{p}: low went back from {} to {low}: topic recreated?", mark.low));
            }
            Some(mark) if end < &mark.end => {
                recreated
                    .push(format!("p{p}: end went back from {} to {end}: topic recreated or truncated?", mark.end));
            }
            Some(mark) if low > &mark.needed && !limits.rises => {
                total = total.saturating_add(low - mark.needed);
                lost.push(format!("p{p} lost {}", low - mark.needed));
            }
            _ => {}
        }
        match &seen.committed {
            Some(Fact::Known(Committed::At(at))) if at < low => {
                unread.push(format!("p{p}: {} records were deleted before the group read them", low - at));
            }
            Some(Fact::Unknown(why)) => unknown.push(format!("p{p}: commit not known: {}", excerpt(why, 100))),
            _ => {}
        }
    }
    if let Some(anchor) = anchor {
        let gone = anchor.partitions.keys().filter(|p| facts.partitions.iter().all(|seen| seen.partition != **p));
        let gone = gone.count();
        if gone > 0 {
            let (was, is) = (anchor.partitions.len(), facts.partitions.len());
            recreated.push(format!("{gone} of {was} partitions are gone, {is} are there: topic recreated"));
        }
    }
    if total > 0 {
        findings.add(Status::Fail, format!("LOST {total} needed records"));
    }
    add(findings, Status::Fail, lost);
    add(findings, Status::Fail, recreated);
    add(findings, Status::Fail, unread);
    add(findings, Status::Unknown, unknown);
}

/// What changed since the anchor was taken.
fn alarms(facts: &Facts, anchor: Option<&Anchor>, findings: &mut Findings) {
    let Some(anchor) = anchor else { return };
    let (was, is) = (anchor.partitions.len(), facts.partitions.len());
    if facts.partitions.iter().any(|seen| !anchor.partitions.contains_key(&seen.partition)) {
        let what =
            format!("{was} partitions became {is}: keys go elsewhere now, and the new ones count from their start");
        findings.add(Status::Warn, what);
    }
    let retention = facts.config.as_ref().ok().map(|config| config.retention_ms);
    if let (Some(was), Some(is)) = (anchor.retention_ms, retention)
        && is != -1
        && (was == -1 || is < was)
    {
        findings.add(Status::Warn, format!("retention lowered from {} to {}", kept(was), kept(is)));
    }
    // By time nothing goes before it is due; what went earlier was deleted by somebody, or by size.
    let due = |oldest: i64| {
        let least = [anchor.retention_ms, retention].into_iter().flatten().filter(|ms| *ms >= 0).min();
        least.is_some_and(|ms| oldest.saturating_add(ms) <= facts.now_ms)
    };
    let mut early = vec![];
    for seen in &facts.partitions {
        if let (Some(mark), Fact::Known(low)) = (anchor.partitions.get(&seen.partition), &seen.low)
            && *low > mark.low
            && *low <= mark.needed
            && mark.oldest_ms.is_some_and(|oldest| !due(oldest))
        {
            let (p, gone, left) = (seen.partition, low - mark.low, mark.needed - low);
            early.push(format!("p{p}: {gone} records deleted before their time, {left} before the first needed one"));
        }
    }
    add(findings, Status::Warn, early);
}

/// What is left of the time.
enum Window {
    /// So long, on that partition; `at_most` where something else may end it earlier.
    Left {
        ms: i64,
        on: Option<i32>,
        at_most: bool,
    },
    /// Nothing.
    Over,
    Unlimited,
    /// There is no such thing.
    None,
}

fn window(facts: &Facts, findings: &mut Findings) -> Window {
    let age = || {
        let oldest = facts.partitions.iter().filter_map(|seen| match seen.needed {
            Fact::Known(First::At(ms)) => Some(facts.now_ms - ms),
            _ => None,
        });
        oldest.max().map_or_else(String::new, |age| format!("; the first needed record is {} old", span(age)))
    };
    let config = match &facts.config {
        Ok(config) => config,
        Err(why) => {
            findings.add(Status::Unknown, format!("retention not readable: {}{}", excerpt(why, 100), age()));
            return Window::None;
        }
    };
    if config.cleanup_policy.contains("compact") {
        let what = format!(
            "compacted (cleanup.policy {}): older records of a key go at any time, so there is no window",
            excerpt(&config.cleanup_policy, 40)
        );
        findings.add(Status::Warn, what);
        return Window::None;
    }
    let at_most = config.retention_bytes >= 0;
    if at_most {
        let size = bytes(config.retention_bytes.unsigned_abs());
        findings.add(Status::Warn, format!("retention.bytes is {size} a partition: size may end it earlier"));
    }
    if config.retention_ms < 0 {
        return if at_most { Window::None } else { Window::Unlimited };
    }
    let mut least: Option<(i64, Option<i32>)> = None;
    let (mut overdue, mut unknown) = (vec![], vec![]);
    for seen in &facts.partitions {
        let p = seen.partition;
        let (from, on) = match &seen.needed {
            // Where the place itself is not known, that was said.
            Fact::Unknown(_) if !matches!((&seen.low, &seen.end), (Fact::Known(_), Fact::Known(_))) => continue,
            Fact::Unknown(why) => {
                unknown.push(format!("p{p}: age of the first needed record not known: {}", excerpt(why, 100)));
                continue;
            }
            Fact::Known(First::NoTime) => {
                unknown.push(format!("p{p}: the first needed record has no time"));
                continue;
            }
            // What comes later is younger than now.
            Fact::Known(First::Nothing) => (facts.now_ms, None),
            // The clock of a record from the future is wrong, and what it would add is no time we have.
            Fact::Known(First::At(ms)) => ((*ms).min(facts.now_ms), Some(p)),
        };
        let left = from.saturating_add(config.retention_ms) - facts.now_ms;
        if left <= 0 && on.is_some() {
            overdue.push(format!("p{p}: its first needed record is overdue by {}", span(-left)));
        }
        if least.is_none_or(|(most, _)| left < most) {
            least = Some((left, on));
        }
    }
    let late = !overdue.is_empty();
    if late {
        findings.add(Status::Fail, "OVERDUE: may vanish at any time");
    }
    add(findings, Status::Fail, overdue);
    add(findings, Status::Unknown, unknown);
    let Some((left, on)) = least else { return Window::None };
    let margin = MARGIN + skew(facts);
    match left - margin {
        _ if late => Window::Over,
        ms if ms > 0 => Window::Left { ms, on, at_most },
        _ => {
            let place = on.map_or_else(String::new, |p| format!(" on p{p}"));
            let what = format!("less than the margin of {} is left{place}: {}", span(margin), span(left));
            findings.add(Status::Fail, what);
            Window::Over
        }
    }
}

/// Every time that was read: where it was, and what it is.
fn times(facts: &Facts) -> impl Iterator<Item = (i32, i64)> {
    facts.partitions.iter().flat_map(|seen| {
        let all = [Some(&seen.needed), Some(&seen.oldest), seen.unread.as_ref()];
        all.into_iter().flatten().filter_map(|fact| match fact {
            Fact::Known(First::At(ms)) => Some((seen.partition, *ms)),
            _ => None,
        })
    })
}

/// How far records are ahead of our clock, as far as that may be the clocks' doing.
fn skew(facts: &Facts) -> i64 {
    times(facts).map(|(_, ms)| ms - facts.now_ms).filter(|ahead| (0..=FUTURE).contains(ahead)).max().unwrap_or(0)
}

fn suspicious(facts: &Facts, findings: &mut Findings) {
    let clock = facts.config.as_ref().map_or_else(|_| String::new(), |c| excerpt(&c.timestamp_type, 20));
    let whose = if clock == "LogAppendTime" { "broker" } else { "producer" };
    let mut all: Vec<_> = times(facts).collect();
    all.sort_unstable();
    all.dedup();
    let said = all.into_iter().filter_map(|(p, ms)| match ms - facts.now_ms {
        ahead if ahead > FUTURE => Some(format!("{whose} clock suspect: a record on p{p} is {} ahead", span(ahead))),
        ahead if ahead < -PAST => Some(format!("{whose} clock suspect: a record on p{p} is more than 10 years old")),
        _ => None,
    });
    add(findings, Status::Warn, said.collect());
}

/// The longest a record may be kept.
fn exceeds(facts: &Facts, limits: &Limits, findings: &mut Findings) {
    let Some(most) = limits.must_not_exceed else { return };
    let most_ms = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
    let allowed = span(most_ms);
    match &facts.config {
        Ok(config) if !config.cleanup_policy.contains("delete") => {
            findings.add(
                Status::Fail,
                format!("compaction keeps the last record of a key for ever, at most {allowed} is allowed"),
            );
        }
        Ok(config) if config.retention_ms < 0 || config.retention_ms > most_ms => {
            let kept = kept(config.retention_ms);
            findings.add(Status::Fail, format!("records are kept {kept}, at most {allowed} is allowed"));
        }
        Ok(_) => {}
        Err(why) if limits.rises => {
            findings.add(Status::Unknown, format!("retention not readable: {}", excerpt(why, 100)));
        }
        Err(_) => {} // said with the window
    }
    let (mut old, mut unknown) = (vec![], vec![]);
    for seen in &facts.partitions {
        let p = seen.partition;
        match &seen.oldest {
            Fact::Known(First::At(ms)) if facts.now_ms - ms > most_ms => {
                old.push(format!(
                    "p{p} still holds a record of {} ago, at most {allowed} is allowed",
                    span(facts.now_ms - ms)
                ));
            }
            Fact::Known(First::NoTime) => unknown.push(format!("p{p}: its oldest record has no time")),
            Fact::Unknown(why) if matches!(seen.low, Fact::Known(_)) => {
                unknown.push(format!("p{p}: age of its oldest record not known: {}", excerpt(why, 100)));
            }
            _ => {}
        }
    }
    add(findings, Status::Fail, old);
    add(findings, Status::Unknown, unknown);
}

/// The shortest window allowed.
fn covers(window: &Window, limits: &Limits, findings: &mut Findings) {
    let Some(least) = limits.must_cover else { return };
    let least_ms = i64::try_from(least.as_millis()).unwrap_or(i64::MAX);
    match window {
        Window::Left { ms, .. } if *ms < least_ms => {
            findings.add(Status::Fail, format!("must cover {}", span(least_ms)));
        }
        Window::Over => findings.add(Status::Fail, format!("must cover {}", span(least_ms))),
        _ => {}
    }
}

/// Whether the group will have read its next records before they go.
fn unread(facts: &Facts, limits: &Limits, findings: &mut Findings) {
    let (Some(group), Ok(config)) = (&limits.group, &facts.config) else { return };
    if config.retention_ms < 0 || config.cleanup_policy.contains("compact") {
        return;
    }
    let group = excerpt(group, 60);
    let mut least: Option<(i64, i32)> = None;
    for seen in &facts.partitions {
        match &seen.unread {
            Some(Fact::Known(First::At(ms))) => {
                let left = (*ms).min(facts.now_ms).saturating_add(config.retention_ms) - facts.now_ms;
                if least.is_none_or(|(most, _)| left < most) {
                    least = Some((left, seen.partition));
                }
            }
            Some(Fact::Unknown(why)) if matches!(seen.committed, Some(Fact::Known(_))) => {
                let what =
                    format!("p{}: age of what {group} reads next not known: {}", seen.partition, excerpt(why, 100));
                findings.add(Status::Unknown, what);
                return;
            }
            _ => {}
        }
    }
    let Some((left, p)) = least else { return };
    match facts.drain {
        _ if left <= 0 => {
            findings.add(Status::Fail, format!("what {group} reads next on p{p} is overdue by {}", span(-left)));
        }
        Drain::In(time) if i64::try_from(time.as_millis()).unwrap_or(i64::MAX) > left => {
            let time = span(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
            let what = format!("{group} needs {time} for what it has not read, and on p{p} it goes in {}", span(left));
            findings.add(Status::Fail, what);
        }
        Drain::Grows => {
            let what = format!("{group} does not catch up, and what it reads next on p{p} goes in {}", span(left));
            findings.add(Status::Warn, what);
        }
        Drain::In(_) | Drain::NotKnown | Drain::Drained => {
            findings.add(Status::Ok, format!("what {group} reads next on p{p} stays {}", span(left)));
        }
    }
}

/// For a purge: low mark and end, and whether the low mark rose wherever there was something to delete.
fn rises(facts: &Facts, anchor: Option<&Anchor>, mut findings: Findings) -> Reading {
    let (mut low_sum, mut end_sum, mut gone, mut still) = (0_u64, 0_u64, 0_u64, vec![]);
    for seen in &facts.partitions {
        let (Fact::Known(low), Fact::Known(end)) = (&seen.low, &seen.end) else { continue };
        low_sum = low_sum.saturating_add(*low);
        end_sum = end_sum.saturating_add(*end);
        let Some(mark) = anchor.and_then(|anchor| anchor.partitions.get(&seen.partition)) else { continue };
        gone = gone.saturating_add(low.saturating_sub(mark.low));
        if mark.end > mark.low && *low <= mark.low {
            still.push(seen.partition);
        }
    }
    if findings.worst() == Status::Fail || findings.worst() == Status::Unknown {
        return findings.reading("", None, "");
    }
    if anchor.is_none() {
        return Reading::unknown("where the low mark was at first is not known");
    }
    if !still.is_empty() {
        let names: Vec<String> = still.iter().take(NAMED).map(|p| format!("p{p}")).collect();
        let more = still.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        findings.add(Status::Warn, format!("the low mark has not risen on {}{more}", names.join(", ")));
    }
    let count = facts.partitions.len();
    let seen = format!(
        "low {low_sum}, end {end_sum}, {gone} deleted on {count} partition{}",
        if count == 1 { "" } else { "s" }
    );
    findings.reading(&seen, Some(low_sum as f64), "") // exact up to 2^53 records
}

/// A retention as people say it.
fn kept(ms: i64) -> String {
    if ms < 0 { "for ever".into() } else { span(ms) }
}

/// Milliseconds as people say them: days from two days on.
fn span(ms: i64) -> String {
    let time = Duration::from_millis(ms.max(0).unsigned_abs());
    match time.as_secs() {
        0..172_800 => human(time),
        s => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

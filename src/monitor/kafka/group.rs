//! What the partitions of a group come to together: one reading, with the sentence every screen shows.
//!
//! The worst partition decides. A sum exists only where all of its parts do, and a time that is left only where every
//! partition has one: a group is done when its slowest partition is.

use super::trend::{Eta, Trend};
use super::{NAMED, Partition, Place, Snapshot};
use crate::event::{Reading, Status};
use crate::monitor::{Findings, excerpt};
use std::sync::Arc;
use std::time::Duration;

/// What the lag is held against.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub warn_above: Option<u64>,
    pub fail_above: Option<u64>,
    /// Only "drained" is ok.
    pub drained: bool,
    /// Messages of each partition that count as nothing left.
    pub residual: u64,
}

/// The reading of a cycle, whose partitions came to these verdicts, in the same order. Losses and contradictions fail even
/// where other partitions are not known.
pub(super) fn reading(snapshot: &Snapshot, verdicts: &[Trend], limits: &Limits) -> Reading {
    let parts: Vec<(&Partition, &Trend)> = snapshot.partitions.iter().zip(verdicts).collect();
    let several = parts.first().is_some_and(|(first, _)| {
        !snapshot.missing.is_empty() || parts.iter().any(|(part, _)| part.place.topic != first.place.topic)
    });
    let name = |place: &Place| match several {
        true => format!("{} p{}", excerpt(&place.topic, 60), place.partition),
        false => format!("p{}", place.partition),
    };
    let mut findings = Findings::default();
    let (mut lost, mut ahead, mut unknown, mut troubled) = (vec![], vec![], vec![], Trouble::default());
    for (part, verdict) in &parts {
        let name = name(&part.place);
        match verdict {
            Trend::Lost(count) => lost.push(format!("lost {count} records on {name}")),
            Trend::Ahead(how) => ahead.push(format!("{name} is {how}: topic recreated or truncated?")),
            Trend::Unknown(why) => unknown.push(format!("{name}: {}", excerpt(why, 100))),
            Trend::NoCommit(most) => unknown.push(format!("{name}: no commit, up to {most} messages to read")),
            Trend::Stalled(time) => troubled.stalled.push(stalled(&name, *time, part.lag())),
            Trend::Growing(by) => troubled.growing.push(format!("{name} grows by {}/s", short(*by))),
            Trend::Rewound(by) => troubled.rewound.push(format!("{name} went back by {by} messages")),
            Trend::Warming | Trend::Steady | Trend::Draining(_) | Trend::Drained(_) => {}
        }
    }
    let broken = lost.len() + ahead.len();
    add(&mut findings, Status::Fail, lost);
    add(&mut findings, Status::Fail, ahead);
    let missing = snapshot.missing.iter().map(|(topic, why)| format!("{}: {}", excerpt(topic, 60), excerpt(why, 100)));
    let unknown: Vec<String> = missing.chain(unknown).collect();
    let of = parts.len();
    let known: Vec<u64> = parts.iter().filter(|(_, verdict)| verdict.rank() > 3).filter_map(|(p, _)| p.lag()).collect();
    let sum = known.iter().fold(0_u64, |sum, lag| sum.saturating_add(*lag));
    if !unknown.is_empty() {
        let counted = match (known.len(), snapshot.missing.is_empty()) {
            (0, _) => "lag not known".to_owned(),
            (known, true) => format!("lag at least {sum}, {known} of {of} partitions known"),
            (known, false) => format!("lag at least {sum}, {known} partitions known"),
        };
        findings.add(Status::Unknown, counted);
        add(&mut findings, Status::Unknown, unknown);
    }
    // Said even where other partitions are not known: a stall is a stall.
    add(&mut findings, Status::Fail, troubled.stalled);
    add(&mut findings, Status::Warn, troubled.growing);
    add(&mut findings, Status::Warn, troubled.rewound);
    if of == 0 && snapshot.missing.is_empty() {
        return Reading::unknown("lag not known: no partitions"); // an empty sum is not a lag of zero
    }
    if known.len() < of || !snapshot.missing.is_empty() {
        // No number where some of it is lost or contradicts itself: it would look like an answer.
        debug_assert!(broken > 0 || findings.0.iter().any(|(status, _)| *status == Status::Unknown));
        return findings.reading("", None, "");
    }
    match (limits.warn_above, limits.fail_above) {
        (_, Some(limit)) if sum > limit => findings.add(Status::Fail, format!("more than {limit}")),
        (Some(limit), _) if sum > limit => findings.add(Status::Warn, format!("more than {limit}")),
        _ => {}
    }
    let drained = verdicts.iter().all(|verdict| matches!(verdict, Trend::Drained(_)));
    let warming = verdicts.contains(&Trend::Warming);
    if limits.drained && !drained {
        findings.add(Status::Warn, "not drained");
    } else if warming && limits.warn_above.is_none() && limits.fail_above.is_none() && !limits.drained {
        // The trend is all there is to judge it by.
        findings.add(Status::Unknown, "no limit is set, and the trend is not known yet");
    }
    let mut seen = format!("lag {sum} on {of} partition{}", if of == 1 { "" } else { "s" });
    let (trend, foretold) = trend(&parts, limits.residual, &name);
    if !trend.is_empty() {
        seen += &format!(", {trend}");
    }
    let most = parts.iter().filter_map(|(part, _)| Some((part.lag()?, &part.place))).max_by_key(|(lag, _)| *lag);
    if let Some((most, place)) = most.filter(|(most, _)| of > 1 && *most > 0 && !foretold) {
        seen += &format!(", most on {}: {most}", name(place));
    }
    let stays = known.iter().filter(|lag| **lag <= limits.residual).sum::<u64>();
    if stays > 0 {
        seen += &format!(" ({stays} of it may stay: residual {})", limits.residual);
    }
    findings.reading(&seen, Some(sum as f64), "messages") // exact up to 2^53 messages
}

#[derive(Default)]
struct Trouble {
    stalled: Vec<String>,
    growing: Vec<String>,
    rewound: Vec<String>,
}

fn stalled(name: &str, time: Duration, lag: Option<u64>) -> String {
    match lag {
        Some(1) => format!("{name} stalled {} at 1 (a transaction's marker? `residual = 1` allows it)", spoken(time)),
        _ => format!("{name} stalled {}", spoken(time)),
    }
}

/// Where it goes, in words, and whether they say when it will be done.
fn trend(parts: &[(&Partition, &Trend)], residual: u64, name: &impl Fn(&Place) -> String) -> (String, bool) {
    let mut etas: Vec<(Eta, &Place)> = vec![];
    let mut drained: Option<Duration> = None;
    // The worst of those that have no time left to tell, unless there is nothing left of them.
    let mut without: Option<(&Trend, &Place)> = None;
    for (part, verdict) in parts {
        match verdict {
            Trend::Draining(eta) => etas.push((*eta, &part.place)),
            Trend::Drained(time) => drained = Some(drained.map_or(*time, |least| least.min(*time))),
            verdict => {
                let done = part.lag().is_some_and(|lag| lag <= residual);
                if !done && without.is_none_or(|(worst, _)| verdict.rank() < worst.rank()) {
                    without = Some((verdict, &part.place));
                }
            }
        }
    }
    let word = |verdict: &Trend| match verdict {
        Trend::Stalled(_) => "stalled",
        Trend::Growing(_) => "growing",
        Trend::Rewound(_) => "went back",
        Trend::Warming => "not known yet",
        _ => "steady",
    };
    match (without, etas.iter().max_by_key(|(eta, _)| eta.likely)) {
        (Some((verdict, place)), Some(_)) => {
            (format!("draining, no time to tell ({} {})", name(place), word(verdict)), false)
        }
        // What is wrong stands in a sentence of its own.
        (Some((Trend::Stalled(_) | Trend::Growing(_) | Trend::Rewound(_), _)), None) => (String::new(), false),
        (Some((Trend::Warming, _)), None) => ("trend not known yet".into(), false),
        (Some(_), None) => ("steady".into(), false),
        (None, Some((_, slowest))) => {
            let most = |of: fn(&Eta) -> Duration| etas.iter().map(|(eta, _)| of(eta)).max().unwrap_or_default();
            let left = range(most(|eta| eta.soonest), most(|eta| eta.latest));
            let slowest = if parts.len() > 1 { format!(" (slowest {})", name(slowest)) } else { String::new() };
            (format!("draining, {left} left{slowest}"), true)
        }
        (None, None) if parts.iter().all(|(_, verdict)| matches!(verdict, Trend::Drained(_))) => {
            (format!("drained {}", spoken(drained.unwrap_or_default())), false)
        }
        (None, None) => ("nothing left to read, not yet for long".into(), false),
    }
}

/// A rate, with as many digits as mean something.
fn short(rate: f64) -> String {
    if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}

/// A time as people say it: `94 s`, `12 min`, `3 h`.
fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Two times as one range, in the unit of the longer one: `3–4 min`.
fn range(soonest: Duration, latest: Duration) -> String {
    let (unit, size) = match latest.as_secs() {
        0..90 => ("s", 1),
        90..5400 => ("min", 60),
        _ => ("h", 3600),
    };
    let rounded = |time: Duration| (time.as_secs_f64() / f64::from(size)).round() as u64; // at most 99 h in seconds
    match (rounded(soonest), rounded(latest)) {
        (_, 0) => "under 1 s".into(),
        (0, most) => format!("up to {most} {unit}"),
        (least, most) if least >= most => format!("{most} {unit}"),
        (least, most) => format!("{least}–{most} {unit}"),
    }
}

/// Names the first few and counts the rest.
pub(super) fn add(findings: &mut Findings, status: Status, sentences: Vec<String>) {
    let rest = sentences.len().saturating_sub(NAMED);
    for sentence in sentences.into_iter().take(NAMED) {
        findings.add(status, sentence);
    }
    if rest > 0 {
        findings.add(status, format!("and {rest} more partitions like that"));
    }
}

/// The same words where a topic's partitions could not even be counted.
pub(super) fn gone(topic: &Arc<str>) -> (Arc<str>, String) {
    (topic.clone(), "gone, though the group had commits on it; name `topics` if that is meant".into())
}

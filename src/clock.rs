//! Time as the transcript writes it. The core never reads a clock: every time it sees was stamped by the hub.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A moment, in microseconds since 1970 (UTC); in text RFC 3339 with six decimals and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct At(i64);

impl At {
    /// From microseconds since 1970, kept within the years that RFC 3339 can write.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(0, 253_402_300_799_999_999))
    }
    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0
    }
    /// How long after `earlier` this is; zero where it is not after.
    pub fn since(self, earlier: At) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
    /// The moment so much later.
    pub fn after(self, time: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX)))
    }
    /// A time as a person types it: `16:30` (the next one after `now`, UTC), `2026-11-21`, `2026-11-21 16:30` (UTC), or RFC 3339.
    pub fn typed(text: &str, now: At) -> Option<At> {
        let text = text.trim();
        let utc =
            |time: jiff::civil::DateTime| time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp());
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Some(At::from_micros(time.as_microsecond()));
        }
        if text.len() <= 8 {
            let time: jiff::civil::Time = text.parse().ok().filter(|_| text.contains(':'))?;
            let of_day = |time: jiff::civil::Time| {
                (i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())) * 1_000_000
            };
            let day = 86_400_000_000;
            let at = now.0 - now.0.rem_euclid(day) + of_day(time);
            return Some(At::from_micros(if at <= now.0 { at + day } else { at }));
        }
        let time: jiff::civil::DateTime = text.parse().ok()?;
        utc(time).map(|time| At::from_micros(time.as_microsecond()))
    }
    /// `HH:MM:SS`, UTC.
    pub fn clock(self) -> String {
        let second = self.0.div_euclid(1_000_000).rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }
    /// `YYYYMMDDTHHMMSSZ`, for file names.
    pub fn compact(self) -> String {
        self.to_string().chars().filter(|c| !"-:".contains(*c)).take(15).chain(['Z']).collect()
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "1970-01-01T00:00:00.000000Z"), // `from_micros` keeps every value in range
        }
    }
}
impl From<At> for String {
    fn from(at: At) -> String {
        at.to_string()
    }
}
impl TryFrom<String> for At {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let time: jiff::Timestamp = text.parse().map_err(|e| format!("not a time in RFC 3339: {e}"))?;
        Ok(Self::from_micros(time.as_microsecond()))
    }
}

/// A duration as a person reads it at a glance: `0.8 s`, `12 s`, `4:08`, `1:02:03`.
pub fn human(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{s} s"),
        60..3600 => format!("{}:{:02}", s / 60, s % 60),
        _ => format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
    }
}

/// An age in one short word: `3s`, `12m`, `5h`, `2d`.
pub fn age(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..100 => format!("{s}s"),
        100..6000 => format!("{}m", s / 60),
        6000..172_800 => format!("{}h", s / 3600),
        _ => format!("{}d", s / 86_400),
    }
}

/// The hub's clock: wall clock at start plus boot time elapsed, so that a stepped wall clock changes no order and no age.
#[derive(Debug)]
pub struct Clock {
    wall_at_start: i64,
    boot_at_start: i64,
}

impl Clock {
    /// A step of the wall clock against the boot clock that is worth an event.
    pub const JUMP: Duration = Duration::from_secs(1);

    /// Starts now, but never before `not_before` (the last line of a transcript that is continued).
    pub fn start(not_before: Option<At>) -> Self {
        let wall = wall_micros();
        Self { wall_at_start: wall.max(not_before.map_or(0, At::micros)), boot_at_start: boot_micros() }
    }
    /// The hub's time.
    pub fn now(&self) -> At {
        At::from_micros(self.wall_at_start + boot_micros() - self.boot_at_start)
    }
    /// By how many microseconds the wall clock is ahead of the hub's time (negative: behind).
    pub fn drift_micros(&self) -> i64 {
        wall_micros() - self.now().micros()
    }
    /// Takes the wall clock anew, after a jump was recorded; time still never runs backwards.
    pub fn reset(&mut self) {
        *self = Self::start(Some(self.now()));
    }
}

/// The wall clock of this machine, unadjusted.
pub fn wall() -> At {
    At::from_micros(wall_micros())
}

fn wall_micros() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// Microseconds since boot, suspend included (`CLOCK_BOOTTIME` on Linux).
fn boot_micros() -> i64 {
    #[cfg(target_os = "linux")]
    let clock = nix::time::ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    match nix::time::clock_gettime(clock) {
        Ok(time) => time.tv_sec() * 1_000_000 + time.tv_nsec() / 1000,
        Err(_) => wall_micros(), // no kernel we run on lacks the clock; the wall clock is the honest second best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_rfc_3339_with_microseconds() {
        let at = At::from_micros(1_795_219_200_000_001);
        assert_eq!(at.to_string(), "2026-11-21T00:00:00.000001Z");
        assert_eq!(At::try_from(at.to_string()), Ok(at));
        assert_eq!(at.compact(), "20261121T000000Z");
        assert_eq!(at.clock(), "00:00:00");
    }

    #[test]
    fn hub_time_never_starts_before_the_last_line() {
        let later = wall().after(Duration::from_secs(3600));
        assert!(Clock::start(Some(later)).now() >= later);
    }
}

//! The umask and the limits that the hub has, and so every command that it starts: read, and given.

use crate::event::{InheritedSeen, LimitSeen};
use nix::libc::{mode_t, rlimit};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use std::collections::BTreeMap;

/// The limits that decide whether a command gets through. Others (of queues, priorities, file locks) either limit nothing on
/// Linux or are no command's that releases something.
const LIMITS: [(&str, Resource); 8] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("stack", Resource::RLIMIT_STACK),
];

/// What a process that is started now gets.
pub fn inherited() -> InheritedSeen {
    let finite = |limit| Some(limit).filter(|limit| *limit != RLIM_INFINITY);
    let limits = LIMITS.iter().filter_map(|(name, resource)| {
        let (soft, hard) = getrlimit(*resource).ok()?;
        let seen = LimitSeen { soft: finite(soft), hard: finite(hard) };
        (seen != LimitSeen { soft: None, hard: None }).then(|| ((*name).to_owned(), seen))
    });
    InheritedSeen { umask: format!("{:03o}", umask()), limits: limits.collect() }
}

/// Read where that can be done without setting it: another thread may be making a file.
#[cfg(target_os = "linux")]
fn umask() -> mode_t {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let told = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    told.and_then(|told| mode_t::from_str_radix(told.trim(), 8).ok()).unwrap_or_else(by_setting)
}
#[cfg(not(target_os = "linux"))]
fn umask() -> mode_t {
    by_setting()
}
/// A file that is made in this moment is nobody else's.
fn by_setting() -> mode_t {
    let umask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    nix::sys::stat::umask(umask);
    umask.bits()
}

/// The same as the system calls take it, made before a fork.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub umask: Option<mode_t>,
    pub limits: Vec<(i32, rlimit)>,
}

/// What a command is given that was frozen with `seen`.
pub(super) fn given(seen: &InheritedSeen) -> Given {
    let InheritedSeen { umask, limits }: &InheritedSeen = seen;
    let limits: &BTreeMap<String, LimitSeen> = limits;
    let number = |limit: Option<u64>| limit.unwrap_or(RLIM_INFINITY);
    let all = LIMITS.iter().map(|(name, resource)| {
        let LimitSeen { soft, hard } = limits.get(*name).copied().unwrap_or(LimitSeen { soft: None, hard: None });
        (*resource as i32, rlimit { rlim_cur: number(soft), rlim_max: number(hard) })
    });
    Given { umask: mode_t::from_str_radix(umask, 8).ok(), limits: all.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_says_of_itself_is_what_is_read() {
        let said = |text: &str| {
            let output = std::process::Command::new("sh").args(["-c", text]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let seen = inherited();
        let number = |text: &str| u32::from_str_radix(text, 8).unwrap();
        assert_eq!(number(&seen.umask), number(&said("umask")));
        for (name, soft, hard) in [("nofile", "ulimit -Sn", "ulimit -Hn"), ("cpu", "ulimit -St", "ulimit -Ht")] {
            let limit = seen.limits.get(name).copied().unwrap_or(LimitSeen { soft: None, hard: None });
            let told = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
            assert_eq!((told(limit.soft), told(limit.hard)), (said(soft), said(hard)), "{name}");
        }
    }
}

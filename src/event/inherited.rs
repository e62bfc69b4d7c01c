//! What a process gets from the one that starts it, besides its environment: how files that it makes begin, and how much it
//! may take.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The umask and the limits of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InheritedSeen {
    /// In octal, as a shell writes it: `022`.
    pub umask: String,
    /// By the name that setrlimit(2) has for it, without its `RLIMIT_`. One that is not here does not limit anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, LimitSeen>,
}

/// How much of something a process may take, in the unit of setrlimit(2); nothing where there is no end to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSeen {
    /// What holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<u64>,
    /// How far the process itself may raise that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard: Option<u64>,
}

/// The umasks that people log in with.
const USUAL_UMASKS: [&str; 4] = ["002", "022", "027", "077"];

/// The limits that cut a run short: each from which number down, and what comes of it. Whatever stands here is what "unusual"
/// means.
const CUT: [(&str, u64, &str); 7] = [
    ("as", u64::MAX, "bytes of memory at most"),
    ("cpu", u64::MAX, "seconds of a processor's time, then it is ended"),
    ("data", u64::MAX, "bytes of memory at most"),
    ("fsize", u64::MAX, "bytes at most in a file that it writes, then it is ended"),
    ("nofile", 256, "files open at once at most"),
    ("nproc", 64, "processes of this user at most"),
    ("stack", 1 << 20, "bytes of stack at most"),
];

impl InheritedSeen {
    /// All of it, in one line.
    pub fn words(&self) -> String {
        let InheritedSeen { umask, limits } = self;
        let limits: Vec<_> = limits.iter().map(|(name, limit)| format!("{name} {}", limit.words())).collect();
        match limits.is_empty() {
            true => format!("umask {umask}; no limits"),
            false => format!("umask {umask}; limits: {}", limits.join(", ")),
        }
    }

    /// What of it people would not reckon with, each with what comes of it.
    pub fn unusual(&self) -> Vec<String> {
        let mut all = vec![];
        if !USUAL_UMASKS.contains(&self.umask.as_str()) {
            let open = u32::from_str_radix(&self.umask, 8).is_ok_and(|mask| mask & 0o002 == 0);
            let so = match open {
                true => "everybody may write to the files that it makes",
                false => "files that it makes have other rights than those that people usually get",
            };
            all.push(format!("umask {}: {so}", self.umask));
        }
        all.extend(CUT.iter().filter_map(|(name, below, so)| {
            let soft = self.limits.get(*name)?.soft.filter(|soft| soft < below)?;
            Some(format!("{name} {soft}: {so}"))
        }));
        all
    }

    /// The first thing in which the two differ.
    pub fn difference(&self, now: &InheritedSeen) -> Option<String> {
        if self.umask != now.umask {
            return Some(format!("umask: {} is now {}", self.umask, now.umask));
        }
        let none = LimitSeen { soft: None, hard: None };
        let of = |seen: &InheritedSeen, name: &str| seen.limits.get(name).copied().unwrap_or(none);
        let mut names = self.limits.keys().chain(now.limits.keys());
        let name = names.find(|name| of(self, name) != of(now, name))?;
        Some(format!("limit {name}: {} is now {}", of(self, name).words(), of(now, name).words()))
    }
}

impl LimitSeen {
    fn words(self) -> String {
        let number = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
        match self.soft == self.hard {
            true => number(self.soft),
            false => format!("{} (may be raised to {})", number(self.soft), number(self.hard)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(umask: &str, limits: &[(&str, Option<u64>, Option<u64>)]) -> InheritedSeen {
        let limits =
            limits.iter().map(|(name, soft, hard)| ((*name).to_owned(), LimitSeen { soft: *soft, hard: *hard }));
        InheritedSeen { umask: umask.to_owned(), limits: limits.collect() }
    }

    #[test]
    fn what_would_cut_a_run_is_unusual_and_what_a_login_has_is_not() {
        let login = [("core", Some(0), None), ("nofile", Some(1024), Some(1 << 20)), ("stack", Some(8 << 20), None)];
        for umask in ["022", "027", "077", "002"] {
            assert_eq!(seen(umask, &login).unusual(), [""; 0], "{umask}");
        }
        for (umask, says) in [("000", "everybody may write"), ("020", "everybody may write"), ("0137", "other rights")]
        {
            let told = seen(umask, &login).unusual();
            assert!(told.len() == 1 && told[0].contains(says), "{umask}: {told:?}");
        }
        for (name, cuts, lets) in [
            ("as", 1 << 40, None),
            ("cpu", 3600, None),
            ("data", 1 << 30, None),
            ("fsize", 1 << 40, None),
            ("nofile", 255, Some(256)),
            ("nproc", 63, Some(64)),
            ("stack", (1 << 20) - 1, Some(1 << 20)),
        ] {
            let told = seen("022", &[(name, Some(cuts), None)]).unusual();
            assert!(told.len() == 1 && told[0].starts_with(&format!("{name} {cuts}: ")), "{name}: {told:?}");
            assert_eq!(seen("022", &[(name, lets, None)]).unusual(), [""; 0], "{name}");
            // Only what holds cuts; how far it may be raised does not.
            assert_eq!(seen("022", &[(name, None, Some(cuts))]).unusual(), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_difference_is_told_with_both_sides() {
        let one = seen("022", &[("nofile", Some(1024), Some(4096))]);
        assert_eq!(one.difference(&one.clone()), None);
        let differs = |other: &InheritedSeen| (one.difference(other).unwrap(), other.difference(&one).unwrap());
        let other = seen("077", &[("nofile", Some(1024), Some(4096))]);
        assert_eq!(differs(&other), ("umask: 022 is now 077".to_owned(), "umask: 077 is now 022".to_owned()));
        let (told, back) = differs(&seen("022", &[("nofile", Some(1024), Some(1024))]));
        assert_eq!(told, "limit nofile: 1024 (may be raised to 4096) is now 1024");
        assert_eq!(back, "limit nofile: 1024 is now 1024 (may be raised to 4096)");
        let mut more = one.clone();
        more.limits.insert("fsize".to_owned(), LimitSeen { soft: Some(512), hard: None });
        let (told, back) = differs(&more);
        assert_eq!(told, "limit fsize: unlimited is now 512 (may be raised to unlimited)");
        assert_eq!(back, "limit fsize: 512 (may be raised to unlimited) is now unlimited");
    }
}

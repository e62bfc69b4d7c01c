//! Finds the latest sessions of a plan before a new one opens, and reads what the last one left open and what of each step ran
//! last.

use super::slug;
use crate::clock::At;
use crate::event::{Earlier, Event, Flown};
use crate::plan::Plan;
use crate::session::Leftover;
use crate::transcript::found::rehearsals;
use crate::transcript::read::Reader;
use std::path::{Path, PathBuf};

/// A longer transcript is not gone through before a session opens; it is told that it was not.
const BYTES_MAX: u64 = 256 << 20;
/// First lines looked at, the newest first.
const LOOKED_MAX: usize = 500;

/// Bytes that are gone through for what ran of steps that the latest session did not run.
const OLDER_BYTES_MAX: u64 = 64 << 20;
/// Bytes of what ran that the first line of a session takes, where it has room.
const FLOWN_BYTES_MAX: usize = 96 << 10;

/// What came before a session.
pub(super) struct Before {
    /// What the newest transcript of that plan, by its name, for that environment tells; nothing where there is none. One
    /// that cannot be read is told as such, and never as one that left nothing open.
    pub earlier: Option<Earlier>,
    /// What of each step ran last.
    pub flown: Vec<Flown>,
}

/// Looks through that folder; where nothing of a step ran live, through the rehearsals in it.
pub(super) fn find(transcripts: &Path, plan: &Plan) -> Before {
    let mut flown = vec![];
    let mut left = OLDER_BYTES_MAX;
    let earlier = latest(transcripts, plan, &mut flown, &mut left);
    latest(&rehearsals(transcripts), plan, &mut flown, &mut left);
    let number = |flown: &Flown| plan.number(&flown.step).unwrap_or(usize::MAX);
    flown.sort_by_key(number);
    Before { earlier, flown }
}

/// The latest one, and of those before it what of further steps ran.
fn latest(transcripts: &Path, plan: &Plan, flown: &mut Vec<Flown>, left: &mut u64) -> Option<Earlier> {
    let of_plan = format!("-{}-", slug(&plan.name));
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".jsonl") && name.contains(&of_plan)
    };
    let entries = std::fs::read_dir(transcripts).ok()?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(named).collect();
    paths.sort_by(|a, b| b.cmp(a)); // names begin with the time of opening
    let mut sessions = paths.iter().take(LOOKED_MAX).filter_map(|path| Some((opened(path, plan)?, path))).peekable();
    let mut latest = None;
    while let Some(newest) = sessions.next() {
        // Names know the second only, and first lines more.
        let mut same = vec![newest];
        while let Some(other) = sessions.next_if(|(_, path)| second(path) == second(same[0].1)) {
            same.push(other);
        }
        same.sort_by_key(|found| std::cmp::Reverse(found.0));
        for (_, path) in same {
            let wanted = |flown: &[Flown]| plan.steps.iter().any(|step| !flown.iter().any(|it| it.step == step.id));
            let size = std::fs::metadata(path).map_or(u64::MAX, |data| data.len());
            if latest.is_some() && (!wanted(flown) || size > *left) {
                return latest;
            }
            if latest.is_some() {
                *left -= size;
            }
            let Some((earlier, ran)) = read(path) else { continue };
            for it in ran {
                if plan.step(&it.step).is_some() && !flown.iter().any(|known| known.step == it.step) {
                    flown.push(it);
                }
            }
            latest.get_or_insert(earlier);
        }
    }
    latest
}

/// As much of it as so many bytes hold, the line of a session having room for that: whole where that fits, else without the
/// texts of files, else only that it ran.
pub(super) fn kept(flown: Vec<Flown>, room: usize) -> Vec<Flown> {
    let bytes = |flown: &Flown| serde_json::to_vec(flown).map_or(usize::MAX, |text| text.len() + 1);
    let mut left = room.min(FLOWN_BYTES_MAX);
    let mut keep = |it: Flown| {
        let fits =
            [it.clone(), it.clone().without_texts(), it.without_all()].into_iter().find(|it| bytes(it) <= left)?;
        left -= bytes(&fits);
        Some(fits)
    };
    flown.into_iter().filter_map(&mut keep).collect()
}

/// The time that the name begins with.
fn second(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.split('-').next()
}

/// When that transcript was opened, where it is one of that plan for that environment.
fn opened(path: &Path, plan: &Plan) -> Option<At> {
    let (first, ..) = Reader::open(path).ok()?.next()?.ok()?;
    let same = matches!(&first.event, Event::SessionOpened { plan_name, environment, .. }
        if *plan_name == plan.name && *environment == plan.environment);
    same.then_some(first.at)
}

fn read(path: &Path) -> Option<(Earlier, Vec<Flown>)> {
    let mut reader = Reader::open(path).ok()?;
    let (first, _, head) = reader.next()?.ok()?;
    let mut leftover = Leftover::open(&first, head.hash)?;
    if std::fs::metadata(path).map_or(0, |data| data.len()) > BYTES_MAX {
        return Some((leftover.ends(Some(format!("it is larger than {} MiB", BYTES_MAX >> 20))), vec![]));
    }
    for next in reader {
        match next {
            Ok((line, _, head)) => leftover.take(&line, head.hash),
            Err(error) => {
                let flown = leftover.flown();
                return Some((leftover.ends(Some(error.to_string())), flown));
            }
        }
    }
    let flown = leftover.flown();
    Some((leftover.ends(None), flown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;
    use crate::transcript::flight::{PLAN, fly};

    #[test]
    fn what_ran_last_is_found_by_plan_and_environment_and_a_rehearsal_only_where_nothing_ran_live() {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::parse("plan", PLAN).unwrap();
        let ran = |before: &Before| -> Vec<(String, u32, bool)> {
            let of = |it: &Flown| (it.step.to_string(), it.attempt, it.done);
            before.flown.iter().map(of).collect()
        };
        assert!(ran(&find(folder.path(), &plan)).is_empty());
        let bytes = fly(&Hash::of).bytes();
        let both = [("build".to_owned(), 1, true), ("drop".to_owned(), 3, true)];
        let rehearsed = rehearsals(folder.path());
        std::fs::create_dir(&rehearsed).unwrap();
        std::fs::write(rehearsed.join("20261121T090000Z-drop-the-old-index-7f3a.jsonl"), &bytes).unwrap();
        let before = find(folder.path(), &plan);
        assert_eq!((before.earlier.is_none(), ran(&before)), (true, both.to_vec()), "from the rehearsals");
        // The newest live one ran the first step alone: the other is of the one before it.
        let lines =
            |count: usize| bytes.split_inclusive(|byte| *byte == b'\n').take(count).collect::<Vec<_>>().concat();
        let built = 1 + bytes
            .split(|byte| *byte == b'\n')
            .position(|line| line.windows(10).any(|it| it == b"\"RunEnded\""))
            .unwrap();
        std::fs::write(folder.path().join("20261121T090000Z-drop-the-old-index-7f3a.jsonl"), &bytes).unwrap();
        std::fs::write(folder.path().join("20261122T090000Z-drop-the-old-index-8a4b.jsonl"), lines(built)).unwrap();
        let before = find(folder.path(), &plan);
        assert_eq!(ran(&before), both);
        let open = before.earlier.unwrap().open;
        assert!(open.iter().any(|said| said.contains("never closed")), "of the newest: {open:?}");
        let covers = before.flown[1].covers.as_ref().unwrap();
        assert_eq!((covers.command.argv[0].as_str(), before.flown[1].limits.len()), ("/srv/plans/drop", 1));
        let other = Plan::parse("plan", &PLAN.replace("test-eu1", "test-eu2")).unwrap();
        assert!(ran(&find(folder.path(), &other)).is_empty(), "another environment");
    }

    #[test]
    fn what_ran_takes_no_more_room_than_there_is() {
        let flown = fly(&Hash::of).session.has_flown();
        let bytes = |flown: &[Flown]| flown.iter().map(|it| serde_json::to_vec(it).unwrap().len() + 1).sum::<usize>();
        let (all, none) = (bytes(&flown), bytes(&flown.iter().cloned().map(Flown::without_all).collect::<Vec<_>>()));
        assert_eq!(kept(flown.clone(), all), flown);
        let mut shorter = std::collections::BTreeSet::new();
        for room in 0..=all {
            let kept = kept(flown.clone(), room);
            assert!(bytes(&kept) <= room, "{room}");
            assert!(room < none || !kept.is_empty(), "{room}");
            shorter.extend(kept.iter().map(|it| it.covers.as_ref().map(|covers| covers.command.exe.text.is_some())));
        }
        assert_eq!(shorter.len(), 3, "whole, without texts, and only that it ran: {shorter:?}");
    }
}

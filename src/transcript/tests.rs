//! The bytes of a transcript under every kind of harm, and what is made of it.

use super::expire::{Closed, ExpireError};
use super::file::{FileError, Transcript, unfinished};
use super::flight::{Flight, PLAN, fly};
use super::output::salted_hash;
use super::read::{ReadError, Reader, lines_after};
use super::record::{Encoded, Head, Line, LinkError};
use super::verify::{Integrity, verify, verify_output};
use crate::event::{Event, Outcome};
use crate::hash::Hash;
use crate::plan::Plan;
use crate::session::Session;
use nix::errno::Errno;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn flight() -> Flight {
    fly(&|bytes| salted_hash(&"0".repeat(64), bytes))
}

/// Writes a flight through a [`Transcript`], as a hub does.
pub(crate) fn write(folder: &Path, name: &str) -> (Transcript, Flight) {
    let mut transcript = Transcript::create(folder, name).unwrap();
    let flight = fly(&|bytes| transcript.salted_hash(bytes));
    for (lines, outputs) in &flight.batches {
        let lines: Vec<_> = lines.iter().map(|line| line.encoded.clone()).collect();
        transcript.append(&lines, outputs).unwrap();
    }
    (transcript, flight)
}

fn judge(bytes: &[u8]) -> Integrity {
    verify(Reader::new(bytes), None)
}

/// Puts bytes where a transcript would be, with the folder that belongs to it.
fn place(folder: &Path, bytes: &[u8]) -> PathBuf {
    let transcript = Transcript::create(folder, "t").unwrap();
    let path = transcript.path().to_owned();
    drop(transcript);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_appended_is_read_again_and_folds_to_the_same_session() {
    let folder = tempfile::tempdir().unwrap();
    let (transcript, flight) = write(&folder.path().join("new/folder"), "20261121T090000Z-drop-7f3a");
    let path = transcript.path().to_owned();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.with_extension("out")).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(path.with_extension("out").join("salt")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::metadata(&path).unwrap().len() > flight.bytes().len() as u64, "space ahead is filled with LF");

    let (head, lines) = (transcript.head(), flight.lines());
    assert!(lines.len() >= 60, "only {} lines", lines.len());
    assert!(matches!(verify(Reader::open(&path).unwrap(), Some(head)), Integrity::Intact { closed: Some(_), .. }));
    let index = transcript.index();
    for seq in [0, 1, 30, head.seq - 1] {
        let want: Vec<_> = lines[seq as usize..].iter().map(|line| line.bytes().clone()).collect();
        let got: Vec<_> = index.lines_after(seq, usize::MAX).unwrap().into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(got, want);
        assert_eq!(lines_after(&path, seq, usize::MAX).unwrap(), want);
        assert_eq!(lines_after(&path, seq, 1).unwrap(), want[..1]);
    }
    assert!(index.lines_after(head.seq, usize::MAX).unwrap().is_empty());
    assert!(verify_output(&path).unwrap().altered.is_empty());
    assert_eq!(verify_output(&path).unwrap().missing, 0);

    assert!(matches!(Transcript::resume(&path), Err(FileError::Locked { .. })), "one writer at a time");
    transcript.close().unwrap();
    assert_eq!(fs::read(&path).unwrap(), flight.bytes());
    let resumed = Transcript::resume(&path).unwrap();
    assert_eq!((resumed.session, resumed.head, resumed.torn_bytes), (flight.session, head, 0));

    fs::write(path.with_extension("out").join("build-1-step"), "reading v40").unwrap();
    fs::remove_file(path.with_extension("out").join("drop-3-step")).unwrap();
    let output = verify_output(&path).unwrap();
    assert_eq!((output.altered.len(), output.missing, output.expired), (2, 8, 0));
}

#[test]
fn output_that_was_expired_is_told_apart_from_output_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (transcript, _) = write(folder.path(), "t");
    let path = transcript.path().to_owned();
    let out = path.with_extension("out");
    let now = crate::clock::At::from_micros(1_800_000_000_000_000);
    assert!(matches!(Closed::open(&path), Err(ExpireError::File(FileError::Locked { .. }))), "a hub has it");
    super::output::secret_salt(&path).unwrap();
    transcript.close().unwrap();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    let lines = fs::read(&path).unwrap();

    let closed = Closed::open(&path).unwrap();
    let would: Vec<_> = closed.expire(now, true).unwrap().into_iter().map(|(path, _)| path).collect();
    assert!(would.len() >= 4 && would.iter().all(|path| path.exists()), "{would:?}");
    assert!(would[..2].iter().all(|path| path.ends_with("salt") || path.ends_with("secret-salt")), "{would:?}");
    // Stopped half-way, it goes on: the marker is there, and a salt is gone.
    fs::write(out.join("expired"), format!("{now}\n")).unwrap();
    fs::remove_file(out.join("salt")).unwrap();
    let half = verify_output(&path).unwrap();
    assert_eq!((half.expired, half.missing, half.altered.len()), (18, 0, 0));
    let later = now.after(std::time::Duration::from_secs(60));
    assert_eq!(closed.expire(later, false).unwrap().len(), would.len() - 1);
    assert_eq!(closed.expire(later, false).unwrap(), [], "once is enough");

    let mut left: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["expired", "notes.txt"], "what no hub made is left");
    let verdict = verify_output(&path).unwrap();
    assert_eq!((verdict.expired, verdict.missing, verdict.expired_at), (18, 0, Some(now)));
    assert!(verdict.to_string().starts_with("OUTPUT EXPIRED: 18 pieces were deleted on 2027-"), "{verdict}");
    assert_eq!(fs::read(&path).unwrap(), lines, "not a byte of the lines changed");
    assert!(matches!(verify(Reader::open(&path).unwrap(), None), Integrity::Intact { closed: Some(_), .. }));

    // A marker that says nothing is none.
    fs::write(out.join("expired"), "").unwrap();
    let missing = verify_output(&path).unwrap();
    assert_eq!((missing.expired, missing.missing), (0, 18));
    assert!(missing.to_string().starts_with("OUTPUT MISSING: 18 "), "{missing}");
}

#[test]
fn output_of_a_session_that_may_go_on_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut transcript = Transcript::create(folder.path(), "open").unwrap();
    transcript.append(&[flight().lines()[0].encoded.clone()], &[]).unwrap();
    let path = transcript.path().to_owned();
    drop(transcript);
    assert!(matches!(Closed::open(&path), Err(ExpireError::NotClosed { .. })));
    fs::write(&path, "no transcript\n").unwrap();
    assert!(matches!(Closed::open(&path), Err(ExpireError::Damaged { .. })));
}

#[test]
fn a_line_that_does_not_follow_never_reaches_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut transcript = Transcript::create(folder.path(), "t").unwrap();
    let lines = flight().lines();
    transcript.append(&[lines[0].encoded.clone()], &[]).unwrap();
    assert!(matches!(transcript.append(&[lines[2].encoded.clone()], &[]), Err(FileError::NotNext { seq: 2, .. })));
    assert!(matches!(transcript.append(&[lines[1].encoded.clone()], &[]), Err(FileError::Poisoned { .. })));
    assert!(matches!(Transcript::create(folder.path(), "../t"), Err(FileError::Name(_))));
    assert!(matches!(Transcript::create(folder.path(), "t"), Err(FileError::Io { doing: "create", .. })));
}

#[test]
fn after_a_failed_append_nothing_more_is_written_and_a_later_hub_goes_on() {
    for errno in [Errno::ENOSPC, Errno::EIO] {
        let folder = tempfile::tempdir().unwrap();
        let mut transcript = Transcript::create(folder.path(), "t").unwrap();
        let lines = flight().lines();
        transcript.fail_at(2, errno);
        transcript.append(&[lines[0].encoded.clone()], &[]).unwrap();
        let error = transcript.append(&[lines[1].encoded.clone()], &[]).unwrap_err();
        match errno {
            Errno::ENOSPC => {
                let text = error.to_string();
                assert!(text.contains("no space left for line 2") && text.contains("goes on after line 1"), "{text}");
            }
            _ => assert!(matches!(error, FileError::Io { doing: "sync", .. })),
        }
        assert!(matches!(transcript.append(&[lines[1].encoded.clone()], &[]), Err(FileError::Poisoned { .. })));
        assert_eq!(transcript.index().head().seq, 1, "nobody is shown what is not on disk");
        let path = transcript.path().to_owned();
        assert!(matches!(transcript.close(), Err(FileError::Poisoned { .. })));
        let mut resumed = Transcript::resume(&path).unwrap();
        // Half a line is set aside; a line that is whole after all counts, though nobody was shown it.
        let whole = if errno == Errno::EIO { 2 } else { 1 };
        assert_eq!((resumed.lines, resumed.torn_bytes > 0), (whole, whole == 1));
        resumed.transcript.append(&[lines[whole as usize].encoded.clone()], &[]).unwrap();
        assert_eq!(judge(&fs::read(&path).unwrap()).number(), whole + 1);
    }
}

/// Test set I, where the disk fails: at each write of a session. `tests/suite/crash.rs` has the rest, where the hub is killed.
#[test]
fn a_disk_that_fails_at_any_write_costs_nothing_that_was_shown() {
    let flight = flight();
    let mut cases = 0;
    for n in 1..=flight.batches.len() {
        for errno in [Errno::ENOSPC, Errno::EIO] {
            let what = format!("{errno} at write {n}");
            let folder = tempfile::tempdir().unwrap();
            let mut transcript = Transcript::create(folder.path(), "t").unwrap();
            let batch = |n: usize| flight.batches[n].0.iter().map(|line| line.encoded.clone()).collect::<Vec<_>>();
            transcript.fail_at(n as u64, errno);
            for before in 0..n - 1 {
                transcript.append(&batch(before), &flight.batches[before].1).expect(&what);
            }
            let shown = transcript.index().head();
            assert!(transcript.append(&batch(n - 1), &flight.batches[n - 1].1).is_err(), "{what}");
            for later in n - 1..flight.batches.len() {
                let refused = transcript.append(&batch(later), &flight.batches[later].1);
                assert!(matches!(refused, Err(FileError::Poisoned { .. })), "{what}: write {} was tried", later + 1);
            }
            assert_eq!(transcript.index().head(), shown, "{what}: shown although it may not be on disk");
            let path = transcript.path().to_owned();
            drop(transcript);

            let resumed = match Transcript::resume(&path) {
                Ok(resumed) => resumed,
                Err(error) => {
                    assert_eq!((shown.seq, error.to_string().contains("holds no line")), (0, true), "{what}: {error}");
                    cases += 1;
                    continue;
                }
            };
            // A batch whose lines are whole after all counts, though nobody was shown it.
            let lines = flight.lines();
            let after =
                |batches: usize| flight.batches[..batches].iter().map(|(lines, _)| lines.len() as u64).sum::<u64>();
            assert!((after(n - 1)..=after(n)).contains(&resumed.lines), "{what}: {} lines", resumed.lines);
            let mut transcript = resumed.transcript;
            let rest: Vec<_> = lines[resumed.lines as usize..].iter().map(|line| line.encoded.clone()).collect();
            transcript.append(&rest, &[]).expect(&what);
            let bytes = fs::read(&path).unwrap();
            assert_eq!(
                bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(),
                lines.len(),
                "{what}"
            );
            assert!(judge(&bytes).is_complete(), "{what}: {}", judge(&bytes));
            cases += 1;
        }
    }
    // Not by println: what a passing test prints is swallowed.
    let _ = writeln!(std::io::stderr(), "set I: {cases} cases of a disk that fails");
    assert!(cases >= 28, "{cases}");
}

#[test]
fn growing_in_steps_leaves_no_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut transcript = Transcript::create(folder.path(), "t").unwrap();
    let mut head = Head::START;
    let first = flight().lines()[0].clone();
    for seq in 1..=900 {
        let text = "x".repeat(3000);
        let event = if seq == 1 { first.line.event.clone() } else { Event::Noted { text } };
        let line = Line { seq, prev: head.hash, event, ..first.line.clone() };
        let encoded = line.encode().unwrap();
        head = encoded.head();
        transcript.append(&[encoded], &[]).unwrap();
    }
    let path = transcript.path().to_owned();
    assert_eq!(transcript.index().lines_after(700, usize::MAX).unwrap().len(), 200);
    assert_eq!(verify(Reader::open(&path).unwrap(), Some(head)).number(), 900);
    assert!(Transcript::resume(&path).map(|_| ()).unwrap_err().to_string().contains("another hub"));
    drop(transcript);
    assert_eq!(Transcript::resume(&path).unwrap().head, head);
}

/// The recovery table, walked: every kind of end times every kind of chain, with padding behind and without.
#[test]
fn the_recovery_table_holds() {
    let lines = flight().lines();
    let prefix: Vec<u8> = lines[..20].iter().flat_map(|line| line.bytes().to_vec()).collect();
    let ends = ["whole", "cut short", "other padding", "unknown kind"];
    for (end, broken, padded) in
        ends.iter().flat_map(|end| [(end, false), (end, true)]).flat_map(|(e, b)| [(*e, b, false), (*e, b, true)])
    {
        let mut bytes = prefix.clone();
        match end {
            "whole" => bytes.extend_from_slice(lines[20].bytes()),
            "cut short" => bytes.extend_from_slice(&lines[20].bytes()[..lines[20].bytes().len() - 20]),
            "other padding" => bytes.extend_from_slice(&[0; 600]),
            _ => {
                let text = String::from_utf8(lines[20].bytes().to_vec()).unwrap();
                bytes.extend_from_slice(text.replace(lines[20].line.event.kind(), "Levitated").as_bytes());
            }
        }
        if broken {
            let at = lines[..9].iter().map(|line| line.bytes().len()).sum::<usize>() + lines[9].bytes().len() - 6;
            bytes[at] ^= 1; // within the text of line 10, so that line 11 does not link to it
        }
        if padded {
            bytes.extend_from_slice(&[b'\n'; 5000]);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = place(folder.path(), &bytes);
        let resumed = Transcript::resume(&path);
        let verdict = judge(&bytes);
        let row = format!("{end}, broken {broken}, padded {padded}: {verdict:?} {:?}", resumed.as_ref().err());
        if broken {
            assert!(matches!(verdict, Integrity::Broken { at: 10 | 11, .. }), "{row}");
            assert!(matches!(resumed, Err(FileError::Refused { .. })), "{row}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "what is refused is left as it is");
            continue;
        }
        match end {
            "whole" => {
                assert!(matches!(verdict, Integrity::Intact { lines: 21, closed: None, .. }), "{row}");
                assert_eq!(resumed.unwrap().lines, 21);
            }
            "cut short" => {
                assert!(matches!(verdict, Integrity::Torn { upto: Head { seq: 20, .. }, .. }), "{row}");
                let resumed = resumed.unwrap();
                assert_eq!(resumed.lines, 20);
                let aside = fs::read(path.with_extension("torn-1")).unwrap();
                assert_eq!(aside, lines[20].bytes()[..lines[20].bytes().len() - 20]);
                assert_eq!(resumed.torn_bytes, aside.len() as u64);
                assert_eq!(fs::read(&path).unwrap(), prefix);
            }
            "other padding" => {
                assert!(matches!(verdict, Integrity::Broken { at: 21, .. }), "{row}");
                assert!(matches!(resumed, Err(FileError::Refused { .. })), "{row}");
            }
            _ => {
                assert!(
                    matches!(&verdict, Integrity::UnknownKind { at: 21, kind, .. } if kind == "Levitated"),
                    "{row}"
                );
                let error = resumed.map(|_| ()).unwrap_err().to_string();
                assert!(error.contains("Levitated") && error.contains("newer crosscheck"), "{error}");
            }
        }
    }
}

/// Each line's predecessor, and where the line begins; the last entry is the head and the end.
fn starts(bytes: &[u8]) -> Vec<(Head, usize)> {
    let (mut reader, mut starts) = (Reader::new(bytes), vec![]);
    loop {
        starts.push((reader.head(), reader.offset() as usize));
        if reader.next().is_none() {
            return starts;
        }
    }
}

/// Where to begin so that the line with that byte is the first one read: harm there cannot change what was read before
/// it, and reading everything each time would take minutes.
fn before(starts: &[(Head, usize)], at: usize) -> (Head, usize) {
    starts[starts.partition_point(|(_, start)| *start <= at) - 1]
}

#[test]
fn every_flipped_byte_is_noticed() {
    let mut bytes = flight().bytes();
    let starts = starts(&bytes);
    let (held, _) = starts[starts.len() - 1];
    let last = starts[starts.len() - 2].1;
    let mut only_by_head = 0;
    for at in 0..bytes.len() {
        let (head, start) = before(&starts, at);
        // All three at every byte take long; each bit pattern meets every kind of place many times over.
        let flip = [0x01, 0x20, 0x80][at % 3];
        bytes[at] ^= flip;
        let judge = |held| verify(Reader::after(&bytes[..], head, start as u64), held);
        if let Integrity::Intact { head, .. } = judge(None) {
            only_by_head += 1;
            assert!(at >= last && head != held, "byte {at} ^ {flip:#x} went unnoticed");
            assert!(matches!(judge(Some(held)), Integrity::Broken { .. }), "byte {at} with the head held");
        }
        bytes[at] ^= flip;
    }
    // The honest limit: words within the last line can be changed by whoever can write the file, and only a head from
    // elsewhere tells.
    assert!(only_by_head > 0);
}

#[test]
fn every_cut_is_refused_or_resumed_with_exactly_the_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = flight().bytes();
    let starts = starts(&bytes);
    let path = place(folder.path(), b"");
    for padded in [false, true] {
        // Every byte of the plain file; with padding behind, every byte near a line's end and a sample of the rest.
        let ends = |cut: usize| bytes[cut.saturating_sub(2)..(cut + 3).min(bytes.len())].contains(&b'\n');
        for cut in (0..bytes.len()).filter(|cut| !padded || cut % 7 == 0 || ends(*cut)) {
            let mut left = bytes[..cut].to_vec();
            let mut whole = starts.partition_point(|(_, start)| *start <= cut) as u64 - 1;
            if padded {
                left.extend_from_slice(&[b'\n'; 700]);
                // The line end itself is what the padding is made of.
                whole += u64::from(bytes[cut] == b'\n');
            }
            let (head, start) = before(&starts, cut.saturating_sub(1));
            match verify(Reader::after(&left[..], head, start as u64), None) {
                Integrity::Intact { lines, .. } => assert_eq!(lines, whole, "cut at {cut}"),
                Integrity::Torn { upto, .. } => assert_eq!(upto.seq, whole, "cut at {cut}"),
                Integrity::Broken { at: 1, .. } => assert_eq!(whole, 0, "cut at {cut}"),
                other => panic!("cut at {cut}: {other:?}"),
            }
            // The file itself is slower; the ends of lines and a sample between them stand for all.
            let near_end = bytes[cut..(cut + 2).min(bytes.len())].contains(&b'\n') || bytes[..cut].ends_with(b"\n");
            if !near_end && cut % 397 != 0 {
                continue;
            }
            fs::write(&path, &left).unwrap();
            match Transcript::resume(&path) {
                Ok(resumed) => assert_eq!(resumed.lines, whole, "cut at {cut}"),
                Err(FileError::Empty { .. }) => assert_eq!(whole, 0, "cut at {cut}"),
                Err(other) => panic!("cut at {cut}: {other}"),
            }
        }
    }
}

#[test]
fn sectors_of_an_unsynced_batch_that_never_reached_the_disk_are_a_torn_tail() {
    let lines = flight().lines();
    let bytes = flight().bytes();
    let synced: usize = lines[..20].iter().map(|line| line.bytes().len()).sum();
    for lost in (synced.next_multiple_of(512)..bytes.len() - 1024).step_by(512) {
        let mut left = bytes.clone();
        left[lost..lost + 512].fill(b'\n');
        let whole = bytes[..lost].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert!(
            matches!(judge(&left), Integrity::Torn { upto, .. } if upto.seq == whole),
            "sector at {lost}: {:?}",
            judge(&left)
        );
        left[bytes.len() - 9] = 0;
        assert!(matches!(judge(&left), Integrity::Broken { .. }), "a NUL is in no batch");
        // Half a sector is not what a disk loses.
        let mut left = bytes.clone();
        left[lost + 100..lost + 300].fill(b'\n');
        assert!(matches!(judge(&left), Integrity::Broken { .. }), "at {lost}");
    }
}

#[test]
fn a_reader_follows_a_file_that_is_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut transcript = Transcript::create(folder.path(), "t").unwrap();
    let lines = flight().lines();
    let mut reader = Reader::open(transcript.path()).unwrap();
    assert!(reader.next().is_none());
    for line in &lines[..5] {
        transcript.append(std::slice::from_ref(&line.encoded), &[]).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().1, line.bytes());
        assert!(reader.next().is_none());
    }
    let half = &lines[5].bytes()[..100];
    let end = fs::OpenOptions::new().write(true).open(transcript.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&end, half, reader.offset()).unwrap();
    assert!(matches!(reader.next(), Some(Err(ReadError::Torn { bytes: 100, .. }))));
    std::os::unix::fs::FileExt::write_all_at(&end, lines[5].bytes(), reader.offset()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().1, lines[5].bytes());
}

#[test]
fn unfinished_sessions_are_found_and_closed_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Plan::parse("plan", PLAN).unwrap().digest;
    assert_eq!(unfinished(&folder.path().join("none"), digest).unwrap(), []);
    drop(write(folder.path(), "closed-and-padded"));
    write(folder.path(), "closed").0.close().unwrap();
    let mut open = Transcript::create(folder.path(), "open").unwrap();
    let lines = flight().lines();
    let batch: Vec<_> = lines[..40].iter().map(|line| line.encoded.clone()).collect();
    open.append(&batch, &[]).unwrap();
    drop(Transcript::create(folder.path(), "empty").unwrap());
    let found = unfinished(folder.path(), digest).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, open.path());
    assert!(found[0].same_digest);
    let edited = unfinished(folder.path(), Hash::ZERO).unwrap();
    assert!(!edited[0].same_digest && edited[0].plan_name == "Drop the old index");
}

/// Written once, never again: what format 1 looked like when it was frozen. `CROSSCHECK_GOLDEN=new` makes one where none
/// is.
#[test]
fn the_golden_file_of_format_1_is_still_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1.jsonl");
    if !path.exists() && std::env::var_os("CROSSCHECK_GOLDEN").is_some() {
        let flight = flight();
        fs::create_dir_all(path.with_extension("out")).unwrap();
        fs::write(path.with_extension("out").join("salt"), "0".repeat(64)).unwrap();
        for piece in flight.batches.iter().flat_map(|(_, outputs)| outputs) {
            let mut file = fs::OpenOptions::new();
            let path = super::output::path(&path, &piece.step, piece.attempt, piece.part);
            let mut file = file.create(true).append(true).open(path).unwrap();
            std::io::Write::write_all(&mut file, &piece.bytes).unwrap();
        }
        fs::write(&path, flight.bytes()).unwrap();
    }
    let verdict = verify(Reader::open(&path).unwrap(), None);
    assert!(matches!(verdict, Integrity::Intact { closed: Some(Outcome::Complete), .. }), "{verdict}");
    let output = verify_output(&path).unwrap();
    assert_eq!((output.altered.len(), output.expired, output.missing, output.whole), (0, 0, 0, 18));
    let mut session: Option<Session> = None;
    for next in Reader::open(&path).unwrap() {
        let (line, bytes, head) = next.unwrap();
        assert_eq!(
            line.encode().unwrap(),
            Encoded::new(head.seq, bytes.clone()),
            "line {} is written as it was",
            line.seq
        );
        match &mut session {
            Some(session) => session.apply(&line, head.hash),
            None => session = Some(Session::open(&line, head.hash).unwrap()),
        }
    }
    let session = session.unwrap();
    assert!(session.steps.values().all(|step| step.phase.is_done()));
    assert_eq!((session.steps["drop"].attempt, session.people.len()), (3, 3));
}

#[test]
fn a_link_error_names_the_line_and_both_hashes() {
    let lines = flight().lines();
    let bytes: Vec<u8> = [0, 2].iter().flat_map(|n| lines[*n].bytes().to_vec()).collect();
    assert_eq!(judge(&bytes), Integrity::Broken { at: 2, expected: "line 2".into(), found: "line 3".into() });
    let error = LinkError::Link { seq: 2, expected: Hash::ZERO, found: Hash::of(b"x") };
    assert!(error.to_string().contains(&Hash::ZERO.to_string()));
}

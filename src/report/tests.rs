//! Reports on whole sessions, and on what is left of them.

use super::markdown::markdown;
use super::{Report, Tail, write_beside};
use crate::transcript::tests::write as fly_to;
use crate::transcript::verify::Integrity;
use std::fs;
use std::path::Path;

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1.jsonl")
}

#[test]
fn the_report_on_the_golden_session() {
    insta::assert_snapshot!(markdown(&Report::of_file(&golden()).unwrap()));
}

#[test]
fn a_report_is_written_beside_the_transcript_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (transcript, _) = fly_to(folder.path(), "t.1");
    let path = write_beside(transcript.path()).unwrap();
    assert_eq!(path, folder.path().join("t.1.md"), "while the hub still has the transcript");
    assert!(fs::read_to_string(&path).unwrap().contains("COMPLETE"));
    let names = fs::read_dir(folder.path()).unwrap().count();
    write_beside(transcript.path()).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), names, "nothing else is left");
}

#[test]
fn a_broken_or_torn_transcript_is_told_as_far_as_it_holds() {
    let bytes = fs::read(golden()).unwrap();
    let mut broken = bytes.clone();
    let at = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(29).unwrap().0 - 8;
    broken[at] ^= 1;
    let report = Report::of_source(&broken[..]).unwrap();
    let text = markdown(&report);
    assert!(matches!(report.verdict, Integrity::Broken { at: 30 | 31, .. }));
    assert!(report.timeline.iter().all(|told| told.seq <= 30) && report.closed.is_none());
    assert!(text.contains("> **BROKEN") && text.contains("**not closed**"), "{text}");
    let torn = Report::of_source(&bytes[..bytes.len() - 30]).unwrap();
    assert!(markdown(&torn).contains("> **TORN"));
    assert!(Report::of_source(&b"no transcript"[..]).is_err());
}

#[test]
fn output_that_is_gone_is_said_to_be_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let (transcript, _) = fly_to(folder.path(), "t");
    fs::remove_dir_all(transcript.path().with_extension("out")).unwrap();
    let report = Report::of_file(transcript.path()).unwrap();
    assert_eq!(report.steps[0].attempts[0].run.output_tail, Tail::Missing);
    assert!(markdown(&report).contains("OUTPUT MISSING") && !markdown(&report).contains("OUTPUT EXPIRED"));
    fs::create_dir(transcript.path().with_extension("out")).unwrap();
    fs::write(transcript.path().with_extension("out").join("expired"), "2026-11-21T10:00:00.000000Z\n").unwrap();
    let report = Report::of_file(transcript.path()).unwrap();
    assert_eq!(report.steps[0].attempts[0].run.output_tail, Tail::Expired);
    assert!(markdown(&report).contains("OUTPUT EXPIRED") && !markdown(&report).contains("OUTPUT MISSING"));
}

/// Nothing from outside may reach a line's start or leave its fence.
#[test]
fn no_text_from_outside_becomes_markup() {
    let text = markdown(&Report::of_file(&golden()).unwrap());
    let mut ticks: Option<String> = None;
    for line in text.lines() {
        assert!(!line.chars().any(crate::name::is_hidden), "{line:?}");
        let run: String = line.chars().take_while(|c| *c == '`').collect();
        match &ticks {
            None if run.len() >= 3 => ticks = Some(run),
            Some(open) if line == open => ticks = None,
            Some(_) => {}
            None => {
                for mark in ["<b>", "[x", "](http", "http://"] {
                    let bare = line.match_indices(mark).any(|(at, _)| !line[..at].ends_with('\\'));
                    assert!(!bare, "{line}");
                }
                assert!(!line.starts_with("# ") || line.starts_with("# Release report"), "{line}");
            }
        }
    }
    assert_eq!(ticks, None, "every fence is closed");
}

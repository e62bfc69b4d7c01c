//! A transcript of any bytes: as it is, and once more with the number and the link of every line put right, since no fuzzer
//! finds its way through a hash.

#![no_main]

use crosscheck::hash::Hash;
use crosscheck::protocol::{FromHub, snapshot};
use crosscheck::session::Session;
use crosscheck::transcript::audit::{Proof, audit};
use crosscheck::transcript::read::Reader;
use crosscheck::transcript::record::{Head, Line};
use crosscheck::transcript::verify::{Integrity, verify};
use crosscheck_fuzz::{assert_shown, assert_shown_lines, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    transcript(bytes);
    let linked = linked(bytes);
    if linked != bytes {
        transcript(&linked);
    }
});

fn transcript(bytes: &[u8]) {
    // A plan in the first line is parsed, and a session remembers what its lines say.
    let (verdict, audited) =
        within(bytes.len(), 64, 4 << 20, || (verify(Reader::new(bytes), None), audit(Reader::new(bytes), &[], None)));
    assert_shown(&verdict.to_string());
    assert_shown_lines(&audited.proof.to_string()); // of several lines where a plan is drawn
    match (&verdict, &audited.proof) {
        (Integrity::Intact { head, closed, .. }, proof) => match proof {
            Proof::Broken { .. } => {} // the links hold, what they link does not
            Proof::Complete | Proof::OutputExpired { .. } => {
                assert!(closed.is_some() && (audited.head, audited.lines) == (head.hash, head.seq));
            }
            _ => assert_eq!((audited.head, audited.lines), (head.hash, head.seq)),
        },
        (Integrity::Torn { upto, .. }, proof) => {
            assert!(!matches!(proof, Proof::Complete | Proof::OutputExpired { .. }), "{proof:?}");
            assert!(audited.lines <= upto.seq);
        }
        (Integrity::Broken { .. } | Integrity::UnknownKind { .. } | Integrity::Unreadable { .. }, proof) => {
            assert!(matches!(proof, Proof::Broken { .. }), "{verdict:?}, yet {proof:?}");
        }
    }
    for line in Reader::new(bytes).map_while(Result::ok).map(|(line, ..)| line) {
        own_form(&line);
    }
    // Who joins late holds what everybody else holds.
    let mut lines = Reader::new(bytes).map_while(Result::ok);
    let Some((mut session, mut head)) =
        lines.next().and_then(|(line, _, head)| Some((Session::open(&line, head.hash).ok()?, head)))
    else {
        return;
    };
    for (line, _, next) in lines.take_while(|(line, ..)| line.seq <= audited.lines) {
        session.apply(&line, next.hash);
        head = next;
    }
    let parts = snapshot(&session, head).expect("a session is plain data");
    let text: String = parts
        .into_iter()
        .map(|part| match part {
            FromHub::Snapshot { text, .. } => text,
            other => panic!("no part of a snapshot: {other:?}"),
        })
        .collect();
    let again: Session = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in a snapshot: {text}"));
    assert!(again == session, "another session comes out of the snapshot: {text}");
}

/// A line that was read is written in one form, which is read as the same line and harmless to a terminal.
fn own_form(line: &Line) {
    let encoded = line.encode().expect("a line is plain data");
    let text = std::str::from_utf8(encoded.bytes()).expect("JSON is UTF-8");
    let (inner, last) = text.split_at(text.len() - 1);
    assert!(last == "\n" && !inner.chars().any(char::is_control), "{inner:?}");
    let after = Head { seq: line.seq - 1, hash: line.prev };
    let (again, _) = Line::decode(encoded.bytes(), after).unwrap_or_else(|error| panic!("{error}: {inner}"));
    assert!(again == *line, "read as another line: {inner}");
    assert_eq!(again.encode().expect("as before"), encoded);
}

/// The same lines, each with the number and the link that it must have there.
fn linked(bytes: &[u8]) -> Vec<u8> {
    const HASH_DIGITS: usize = 64;
    let mut out: Vec<u8> = vec![];
    let (mut seq, mut hash) = (0, Hash::ZERO);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let begin = br#"{"v":1,"seq":"#;
        let link = br#","prev":""#;
        let rest = line.strip_prefix(begin).map(|rest| &rest[rest.iter().take_while(|b| b.is_ascii_digit()).count()..]);
        let rest = rest.and_then(|rest| rest.strip_prefix(link)).and_then(|rest| rest.get(HASH_DIGITS..));
        let at = out.len();
        match rest {
            Some(rest) => {
                seq += 1;
                out.extend(format!(r#"{{"v":1,"seq":{seq},"prev":"{hash}"#).as_bytes());
                out.extend(rest);
                hash = Hash::of(&out[at..]);
            }
            None => out.extend(line),
        }
    }
    out
}

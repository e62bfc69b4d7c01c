//! A transcript as something to walk about in: the session after any line, and the output as it stood there.
//!
//! Loading goes through the file once and keeps where each line ends, with a [`Session`] every few hundred lines; from there
//! any moment is at most so many lines away, and the next one is one line away. Start at [`Player::load`].

use super::ReportError;
use crate::clock::At;
use crate::event::{Event, Part};
use crate::hash::Hash;
use crate::name::StepId;
use crate::session::Session;
use crate::transcript::output;
use crate::transcript::read::{ReadError, Reader};
use crate::transcript::record::{Line, LinkError};
use crate::transcript::verify::{Integrity, verify};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Lines between two kept sessions: folding so many takes about a millisecond, which is less than a frame.
const EVERY: u64 = 500;
/// The most of a command's output that a moment shows; a screen holds far less.
pub const SCREEN_BYTES: u64 = 64 * 1024;

/// What [`Player::next`] and [`Player::previous`] jump to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// A step was armed, or its run ended.
    Step,
    /// Somebody (or the hub) stopped the line.
    Andon,
}

/// What the latest run had printed at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Printed {
    /// Nothing had run.
    Nothing,
    /// The file is gone, or shorter than what was printed.
    Gone {
        /// When `crosscheck expire` deleted it: OUTPUT EXPIRED. OUTPUT MISSING where it did not.
        expired: Option<At>,
        /// The step.
        step: StepId,
        /// Which try.
        attempt: u32,
        /// Which of its commands.
        part: Part,
        /// How much it had printed.
        bytes: u64,
    },
    /// The bytes as they were printed, the last [`SCREEN_BYTES`] of them. For a terminal's parser, never for a terminal.
    Bytes {
        /// The step.
        step: StepId,
        /// Which try.
        attempt: u32,
        /// Which of its commands.
        part: Part,
        /// Where in the output they begin.
        begins: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// Walks a transcript. Takes no lock: the session may be live, and [`Player::read_on`] takes in what came since.
#[derive(Debug)]
pub struct Player {
    path: PathBuf,
    reader: Reader<File>,
    lines: File,
    verdict: Integrity,
    /// Line n ends at `marks[n - 1].ends`.
    marks: Vec<Mark>,
    /// The session after lines 1, 1 + EVERY, 1 + 2 × EVERY, …
    kept: Vec<Session>,
    /// The session asked for last: the next question is mostly about the line after it.
    latest: Session,
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    ends: u64,
    at: At,
    jump: Option<Jump>,
}

/// From that line on, so much of that run's output was there.
#[derive(Debug)]
struct Run {
    seq: u64,
    step: StepId,
    attempt: u32,
    part: Part,
    /// Where its output begins: a batch prints behind the one before it.
    from: u64,
    upto: u64,
}

impl Player {
    /// Reads the transcript as far as it holds; [`Player::verdict`] says how far that is.
    pub fn load(path: &Path) -> Result<Player, ReportError> {
        let verdict = verify(Reader::open(path)?, None);
        let lines = File::open(path).map_err(|source| ReadError::Open { path: path.to_owned(), source })?;
        let mut reader = Reader::open(path)?;
        let Some(Ok((line, _, head))) = reader.next() else { return Err(ReportError::Empty(verdict)) };
        let session = Session::open(&line, head.hash)?;
        let mut player = Player {
            path: path.to_owned(),
            marks: vec![Mark { ends: reader.offset(), at: line.at, jump: None }],
            reader,
            lines,
            verdict,
            kept: vec![session.clone()],
            latest: session,
            runs: vec![],
        };
        player.read_on();
        Ok(player)
    }

    /// Takes in lines written since; says how many.
    pub fn read_on(&mut self) -> u64 {
        let before = self.len();
        // Folding goes on from the last line, wherever the caller looked meanwhile.
        let Ok(mut session) = self.at(before) else { return 0 };
        while let Some(Ok((line, _, head))) = self.reader.next() {
            session.apply(&line, head.hash);
            if line.seq % EVERY == 1 {
                self.kept.push(session.clone());
            }
            self.marks.push(Mark { ends: self.reader.offset(), at: line.at, jump: jump(&line.event) });
            let run = run(line, self.runs.last());
            self.runs.extend(run);
        }
        self.latest = session;
        self.len() - before
    }

    /// How many lines there are; never 0.
    pub fn len(&self) -> u64 {
        self.marks.len() as u64
    }

    /// Never: a transcript without a line does not load.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// What the chain check said when it was loaded.
    pub fn verdict(&self) -> &Integrity {
        &self.verdict
    }

    /// The session after line `n` (the nearest one there is).
    pub fn at(&mut self, n: u64) -> Result<Session, ReportError> {
        let n = self.within(n);
        let kept = usize::try_from((n - 1) / EVERY).unwrap_or(usize::MAX).min(self.kept.len() - 1);
        let kept = &self.kept[kept];
        let mut session = match self.latest.seq {
            latest if latest <= n && latest >= kept.seq => self.latest.clone(),
            _ => kept.clone(),
        };
        for seq in session.seq + 1..=n {
            let (line, hash) = self.line(seq)?;
            session.apply(&line, hash);
        }
        self.latest = session.clone();
        Ok(session)
    }

    /// Line `n` (the nearest one there is) and its hash. Its link was checked when it was loaded.
    pub fn line(&self, n: u64) -> Result<(Line, Hash), ReportError> {
        let n = self.within(n);
        let index = usize::try_from(n - 1).unwrap_or(usize::MAX);
        let begins = index.checked_sub(1).map_or(0, |before| self.marks[before].ends);
        let mut bytes = vec![0; usize::try_from(self.marks[index].ends - begins).unwrap_or(0)];
        let malformed = |why: String| ReadError::from(LinkError::Malformed { seq: n, why });
        self.lines.read_exact_at(&mut bytes, begins).map_err(|error| malformed(error.to_string()))?;
        let line = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        Ok((line, Hash::of(&bytes)))
    }

    /// When line `n` was written.
    pub fn time(&self, n: u64) -> At {
        self.marks[usize::try_from(self.within(n) - 1).unwrap_or(usize::MAX)].at
    }

    /// The last line that was written at that time.
    pub fn line_at(&self, time: At) -> u64 {
        (self.marks.partition_point(|mark| mark.at <= time) as u64).max(1)
    }

    /// The first such line behind line `n`.
    pub fn next(&self, n: u64, to: Jump) -> Option<u64> {
        (self.within(n) + 1..=self.len()).find(|seq| self.is(*seq, to))
    }

    /// The last such line before line `n`.
    pub fn previous(&self, n: u64, to: Jump) -> Option<u64> {
        (1..self.within(n)).rev().find(|seq| self.is(*seq, to))
    }

    /// What the latest run had printed after line `n`.
    pub fn screen(&self, n: u64) -> io::Result<Printed> {
        let n = self.within(n);
        let Some(run) = self.runs[..self.runs.partition_point(|run| run.seq <= n)].last() else {
            return Ok(Printed::Nothing);
        };
        let (step, attempt, part) = (run.step.clone(), run.attempt, run.part);
        let begins = run.upto.saturating_sub(SCREEN_BYTES).max(run.from);
        let mut bytes = vec![0; usize::try_from(run.upto - begins).unwrap_or(0)]; // at most SCREEN_BYTES
        if bytes.is_empty() {
            return Ok(Printed::Bytes { step, attempt, part, begins, bytes });
        }
        let file = File::open(output::path(&self.path, &step, attempt, run.part));
        match file.and_then(|file| file.read_exact_at(&mut bytes, begins)) {
            Ok(()) => Ok(Printed::Bytes { step, attempt, part, begins, bytes }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
                Ok(Printed::Gone { expired: output::expired(&self.path), step, attempt, part, bytes: run.upto })
            }
            Err(error) => Err(error),
        }
    }

    fn within(&self, n: u64) -> u64 {
        n.clamp(1, self.len())
    }

    fn is(&self, seq: u64, to: Jump) -> bool {
        let mark = usize::try_from(seq - 1).ok().and_then(|index| self.marks.get(index));
        mark.is_some_and(|mark| mark.jump == Some(to))
    }
}

fn jump(event: &Event) -> Option<Jump> {
    match event {
        Event::StepArmed { .. }
        | Event::RunEnded { .. }
        | Event::RollbackIntended { .. }
        | Event::RollbackEnded { .. }
        | Event::OutcomeUnknown { .. } => Some(Jump::Step),
        Event::AndonPulled { .. } | Event::LineHeld { .. } => Some(Jump::Andon),
        _ => None,
    }
}

fn run(line: Line, before: Option<&Run>) -> Option<Run> {
    let seq = line.seq;
    match line.event {
        // A new run begins with an empty screen, whatever the one before left on it.
        Event::RunIntended { step, attempt } => Some(Run { seq, step, attempt, part: Part::Step, from: 0, upto: 0 }),
        Event::BatchIntended { step, attempt, .. } => {
            let same = |run: &&Run| (&run.step, run.attempt, run.part) == (&step, attempt, Part::Step);
            let printed = before.filter(same).map_or(0, |run| run.upto);
            Some(Run { seq, step, attempt, part: Part::Step, from: printed, upto: printed })
        }
        Event::RollbackIntended { step, attempt, .. } => {
            Some(Run { seq, step, attempt, part: Part::Rollback, from: 0, upto: 0 })
        }
        Event::OutputWritten { step, attempt, part, offset, length, .. } => {
            let same = |run: &&Run| (&run.step, run.attempt, run.part) == (&step, attempt, part);
            let from = before.filter(same).map_or(0, |run| run.from);
            Some(Run { seq, step, attempt, part, from, upto: offset.saturating_add(u64::from(length)) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::file::Transcript;
    use crate::transcript::flight::{fly, step};
    use crate::transcript::record::Head;
    use crate::transcript::tests::write;

    #[test]
    fn every_moment_is_the_fold_of_the_lines_up_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (transcript, flight) = write(folder.path(), "t");
        let mut player = Player::load(transcript.path()).unwrap();
        let lines = flight.lines();
        assert_eq!(player.len(), lines.len() as u64);
        let mut session = Session::open(&lines[0].line, Hash::of(lines[0].bytes())).unwrap();
        let mut moments = vec![session.clone()];
        for line in &lines[1..] {
            session.apply(&line.line, Hash::of(line.bytes()));
            moments.push(session.clone());
        }
        for n in (1..=player.len()).chain((1..=player.len()).rev()).chain([40, 3, 41, 0, 99]) {
            let want = &moments[(n.clamp(1, player.len()) - 1) as usize];
            assert_eq!(player.at(n).unwrap(), *want, "line {n}");
            assert_eq!((player.line(n).unwrap().0.seq, player.time(n)), (want.seq, want.at));
        }
        assert_eq!(player.line_at(player.time(20)), 20.max(player.line_at(player.time(20))));
        assert_eq!(player.line_at(At::from_micros(0)), 1);
    }

    #[test]
    fn jumps_land_on_steps_and_stops() {
        let folder = tempfile::tempdir().unwrap();
        let (transcript, _) = write(folder.path(), "t");
        let player = Player::load(transcript.path()).unwrap();
        let kind = |n: Option<u64>| n.map(|n| player.line(n).unwrap().0.event.kind());
        let first = player.next(1, Jump::Step);
        assert_eq!(kind(first), Some("StepArmed"));
        let ended = player.next(first.unwrap(), Jump::Step);
        assert_eq!(kind(ended), Some("RunEnded"));
        assert_eq!(player.previous(ended.unwrap(), Jump::Step), first);
        assert_eq!(player.previous(first.unwrap(), Jump::Step), None);
        let andon = player.next(1, Jump::Andon);
        assert_eq!(kind(andon), Some("AndonPulled"));
        assert_eq!(player.next(andon.unwrap(), Jump::Andon), None);
    }

    #[test]
    fn the_output_is_as_it_stood_then_or_said_to_be_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (transcript, flight) = write(folder.path(), "t");
        let player = Player::load(transcript.path()).unwrap();
        assert_eq!(player.screen(5).unwrap(), Printed::Nothing);
        let printed: Vec<_> =
            flight.lines().iter().filter(|n| n.line.event.kind() == "OutputWritten").map(|n| n.line.seq).collect();
        let build = |bytes: &[u8]| Printed::Bytes {
            step: step("build"),
            attempt: 1,
            part: Part::Step,
            begins: 0,
            bytes: bytes.to_vec(),
        };
        assert_eq!(player.screen(printed[0] - 1).unwrap(), build(b""));
        assert_eq!(player.screen(printed[0]).unwrap(), build(b"reading v41\r\n```\n# not a heading\n"));
        assert!(
            matches!(player.screen(printed[1]).unwrap(), Printed::Bytes { bytes, .. } if bytes.ends_with(b"done\x1b[0m\n"))
        );
        std::fs::remove_file(transcript.path().with_extension("out").join("drop-3-step")).unwrap();
        let gone = Printed::Gone { expired: None, step: step("drop"), attempt: 3, part: Part::Step, bytes: 73 };
        assert_eq!(player.screen(player.len()).unwrap(), gone);
    }

    #[test]
    fn a_long_or_growing_session_is_walked_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let mut transcript = Transcript::create(folder.path(), "t").unwrap();
        let first = fly(&|_| crate::hash::Hash::ZERO).lines()[0].line.clone();
        let mut head = Head::START;
        let mut write = |transcript: &mut Transcript, count: u64| {
            let mut batch = vec![];
            for _ in 0..count {
                let event = match head.seq {
                    0 => first.event.clone(),
                    seq => Event::Noted { text: format!("line {}", seq + 1) },
                };
                let line = Line { seq: head.seq + 1, prev: head.hash, event, ..first.clone() };
                batch.push(line.encode().unwrap());
                head = batch[batch.len() - 1].head();
            }
            transcript.append(&batch, &[]).unwrap();
        };
        write(&mut transcript, 1203);
        let mut player = Player::load(transcript.path()).unwrap();
        for n in [1203, 1, 500, 501, 502, 1001, 1000, 1202] {
            let session = player.at(n).unwrap();
            assert_eq!(session.seq, n);
            assert!(n == 1 || session.notes.back().unwrap().text == format!("line {n}"));
        }
        assert_eq!(player.read_on(), 0);
        write(&mut transcript, 400);
        player.at(7).unwrap();
        assert_eq!(player.read_on(), 400);
        assert_eq!(player.at(1603).unwrap().notes.back().unwrap().text, "line 1603");
        assert_eq!(player.at(1502).unwrap().notes.len(), 200);
    }
}

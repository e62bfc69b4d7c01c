//! A whole session with fixed times, for tests: made by the real sequencer, so every line is one a hub would write.

use super::output::OutputPiece;
use crate::clock::At;
use crate::event::{CommandSeen, Covers, FileSeen, Part, Process, Role, Settled, Status};
use crate::fixture as a;
pub(crate) use crate::fixture::step;
use crate::hash::Hash;
use crate::hub::sequencer::{Numbered, Sequencer};
use crate::name::Principal;
use crate::session::{Author, Fact, Request, Session};
use bytes::Bytes;
use std::time::Duration;

pub(crate) const PLAN: &str = r#"crosscheck = 1
name = "Drop the old index"
environment = "test-eu1"

[crew]
lead = ["lena@example.org"]
shadow = ["sam@example.org", "ines@example.org"]

[[watch]]
id = "search-api"
kind = "http"
url = "https://search.example.org/health"
every = "5s"
stale_after = "10m"

[[step]]
id = "build"
title = "Build the new index"
run = ["./build", "--to", "v42"]

[[step]]
id = "drop"
title = "Drop the old index"
class = "critical"
run = ["./drop", "v41"]
gates = ["search-api"]
undo = "restore from backup"
"#;

/// Lines and what was printed, in the order in which a hub makes them durable.
pub(crate) struct Flight {
    pub(crate) batches: Vec<(Vec<Numbered>, Vec<OutputPiece>)>,
    pub(crate) session: Session,
}

impl Flight {
    pub(crate) fn lines(&self) -> Vec<Numbered> {
        self.batches.iter().flat_map(|(lines, _)| lines.clone()).collect()
    }
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lines().iter().flat_map(|line| line.bytes().to_vec()).collect()
    }
}

struct Pilot<'a> {
    sequencer: Sequencer,
    at: At,
    batches: Vec<(Vec<Numbered>, Vec<OutputPiece>)>,
    hash: &'a dyn Fn(&[u8]) -> Hash,
}

pub(crate) fn who(name: &str) -> Principal {
    Principal::new(&format!("{name}@example.org")).unwrap()
}

impl Pilot<'_> {
    fn wait(&mut self, ms: u64) {
        self.at = self.at.after(Duration::from_millis(ms));
    }
    fn fact(&mut self, fact: Fact) {
        let lines = self.sequencer.observe(self.at, &fact).unwrap();
        self.batches.push((lines, vec![]));
    }
    fn ask(&mut self, name: &str, request: Request) {
        let author = Author::new(who(name), key(name));
        let answer = self.sequencer.request(self.at, &author, &request).unwrap();
        self.batches.push((answer.lines, vec![]));
    }
    fn print(&mut self, id: &str, attempt: u32, offset: u64, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let fact = a::attempt(id, attempt).printed(offset, &bytes, (self.hash)(&bytes));
        let lines = self.sequencer.observe(self.at, &fact).unwrap();
        self.batches.push((lines, vec![OutputPiece { step: step(id), attempt, part: Part::Step, offset, bytes }]));
    }
    fn covers(&self, id: &str, attempt: u32) -> Box<Covers> {
        let session = self.sequencer.session();
        let exe = a::file(&format!("/srv/plans/{id}")).of(id.as_bytes());
        let exe = FileSeen { size: 120, ..exe.saying("#!/bin/sh\nexec curl -X DELETE \"$1\"\n") };
        let mut covers = a::covers(session, id, self.at);
        assert_eq!(covers.attempt, attempt);
        for gate in &mut covers.gates {
            gate.age_ms = session.age(&gate.watch, self.at).unwrap().as_millis() as u64;
        }
        covers.command = CommandSeen::bare([&format!("/srv/plans/{id}"), "--index", "old; rm -rf `x`\n"], exe)
            .at("ops-1", "release", "/srv/plans")
            .env(&[("PATH", "/usr/bin")]);
        covers.words = [("undo".to_owned(), "restore from backup".to_owned())].into();
        Box::new(covers)
    }
    fn arm(&mut self, id: &str, attempt: u32) -> Hash {
        let covers = self.covers(id, attempt);
        self.ask("lena", Request::Arm { step: step(id), covers: Some(covers) });
        self.sequencer.session().open_step().unwrap().2.digest()
    }
    fn read(&mut self, status: Status, why: &str, asked: bool) {
        let asked = asked.then(|| self.sequencer.session().open_step().unwrap().2.starting.as_ref().unwrap().seq);
        self.fact(a::read("search-api", a::reading(status).of(12.0, "ms").because(why), self.at, asked));
    }
    fn run(&mut self, id: &str, attempt: u32) {
        self.ask("lena", Request::Run { step: step(id), attempt });
        self.wait(300);
        if id == "drop" {
            self.read(Status::Ok, "answers 200", true);
        }
        let now = self.covers(id, attempt);
        self.fact(a::attempt(id, attempt).rechecked(*now));
        let process = Process { start_time: 99, boot_id: "b00t".into(), ..a::process(4711) };
        self.fact(a::attempt(id, attempt).started_as(process));
        self.wait(500);
    }
    fn end(&mut self, id: &str, attempt: u32, code: i32) {
        self.fact(a::attempt(id, attempt).exited(code));
    }
}

fn key(name: &str) -> String {
    format!("SHA256:{name}")
}

/// Flies it: a build, an objection, an andon, a failure that is settled, a drop, the end.
pub(crate) fn fly(hash: &dyn Fn(&[u8]) -> Hash) -> Flight {
    let at = At::try_from("2026-11-21T09:00:00Z".to_owned()).unwrap();
    let opened = a::opening(PLAN).id("7f3a").place("ops-1", "release", "/srv/plans").event();
    let (sequencer, first) = Sequencer::open(at, opened).unwrap();
    let mut pilot = Pilot { sequencer, at, batches: vec![(vec![first], vec![])], hash };
    for (connection, (name, role)) in
        [("lena", Role::Lead), ("sam", Role::Shadow), ("ines", Role::Shadow)].into_iter().enumerate()
    {
        pilot.wait(1500);
        pilot.fact(a::joined(&who(name), role, &key(name), connection as u64 + 1));
    }
    pilot.read(Status::Ok, "answers 200 in 12 ms", false);
    pilot.ask("sam", Request::Say { text: "hello <b>all</b> | ready [x](http://evil.example) \u{202e}abc".into() });
    pilot.arm("build", 1);
    pilot.run("build", 1);
    pilot.print("build", 1, 0, "reading v41\r\n```\n# not a heading\n");
    pilot.print("build", 1, 33, "\x1b[31mdone\x1b[0m\n");
    pilot.wait(2000);
    pilot.end("build", 1, 0);
    let digest = pilot.arm("drop", 1);
    pilot.ask("lena", Request::Check { step: step("drop"), attempt: 1, digest });
    pilot.ask("sam", Request::OpenCheck { step: step("drop"), attempt: 1 });
    pilot.wait(9000);
    pilot.ask("sam", Request::Object { step: step("drop"), attempt: 1, digest, why: "wrong index?".into() });
    pilot.ask("ines", Request::Andon { why: "let us talk".into() });
    pilot.wait(60_000);
    pilot.ask("ines", Request::Release);
    pilot.ask("lena", Request::Release);
    for (attempt, name, looked, code) in [(2, "sam", 12_000, 1), (3, "ines", 1_200, 0)] {
        let digest = pilot.arm("drop", attempt);
        pilot.wait(1000);
        pilot.ask(name, Request::OpenCheck { step: step("drop"), attempt });
        pilot.wait(looked);
        pilot.ask(name, Request::Check { step: step("drop"), attempt, digest });
        pilot.wait(1000);
        pilot.run("drop", attempt);
        pilot.print("drop", attempt, 0, "deleting v41 …\n");
        for line in 0..7 {
            let offset = pilot.sequencer.session().steps["drop"].run.as_ref().unwrap().output_bytes;
            pilot.print("drop", attempt, offset, &format!("shard {line}\n"));
        }
        pilot.wait(4000);
        pilot.end("drop", attempt, code);
        if code != 0 {
            let why = "the cluster refused; nothing was deleted".to_owned();
            pilot.ask("sam", Request::Settle { step: step("drop"), outcome: Settled::Failed, why });
        }
    }
    pilot.read(Status::Warn, "answers 200 in 700 ms", false);
    pilot.ask("ines", Request::Mark { text: "old index is gone".into() });
    pilot.ask("lena", Request::Close { note: "as planned".into() });
    Flight { batches: pilot.batches, session: pilot.sequencer.session().clone() }
}

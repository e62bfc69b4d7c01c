//! A session for tests of the screen: a plan with everything a pane shows, driven through the real sequencer.

use super::app::{App, Now};
use super::draw::{Glyphs, draw};
use super::theme::{Theme, dusk};
use super::update::{Action, Drawn, Event as Happened, update};
use crate::client::view::{Link, View};
use crate::clock::At;
use crate::event::{CommandSeen, Covers, FileSeen, Flown, Part, Role, Status};
use crate::fixture::{self as a, step, watch};
use crate::hash::Hash;
use crate::hub::sequencer::Sequencer;
use crate::name::{Principal, StepId, WatchId};
use crate::plan::Plan;
use crate::session::{Author, Fact, Request, Session};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

mod answers;
mod armed;
mod hostile;
mod palette;
mod preflight;
mod properties;
mod rehearsal;
mod screens;
mod seeded;

const PLAN: &str = r#"
crosscheck = 1
name = "Orders v42 cutover"
environment = "prod-eu1"
[crew]
lead = ["dana@example.org"]
shadow = ["sam@example.org", "ivo@example.org", "mei@example.org"]
observer = "link"
[params.index]
default = "orders_v41"
[params.backup_dir]
default = "/srv/backup"
[[watch]]
id = "orders.in"
kind = "kafka-lag"
brokers = "kafka-1:9092"
group = "ingest"
topics = ["orders.in"]
warn_above = 1000
fail_above = 100000
[[watch]]
id = "audit.log"
kind = "kafka-lag"
brokers = "kafka-1:9092"
group = "audit"
topics = ["audit.log"]
[[watch]]
id = "api-gw"
kind = "http"
url = "https://api.example.org/health"
[[watch]]
id = "pg-01"
kind = "tcp"
address = "eu1-pg-01:5432"
[[watch]]
id = "nightly"
kind = "file"
path = "{{ backup_dir }}/*.dump"
max_age = "26h"
[[step]]
id = "freeze"
title = "Freeze writes and drain the gateway"
run = ["./freeze", "--all"]
[[step]]
id = "swap"
title = "Point the readers at v42"
class = "critical"
run = ["./swap", "swap.json"]
gates = ["api-gw"]
files = ["swap.json"]
[[step]]
id = "drop"
title = "Drop the old index"
class = "irreversible"
point_of_no_return = true
run = ["psql", "-h", "eu1-pg-01", "-c", "DROP INDEX CONCURRENTLY {{ index }}"]
gates = ["api-gw", "nightly", { watch = "orders.in", allow = "warn" }]
touches = "1 index, 18.4 GB; reads may stall for a second"
undo = "not a rollback: create the index again, about 14 min"
half_way = "an INVALID index stays behind; drop it again"
remains_in = "the dump of the night"
[[step]]
id = "contract"
title = "Contract the schema"
class = "critical"
run = "echo contract"
gates = ["api-gw"]
[[step]]
id = "thaw"
title = "Take writes again"
run = ["./thaw"]
"#;

pub(super) struct Flight {
    pub sequencer: Sequencer,
    pub at: At,
}

fn who(name: &str) -> Principal {
    Principal::new(&format!("{name}@example.org")).unwrap()
}

impl Flight {
    /// 2026-07-12, 15:21 UTC: everyone is here, everything reads ok but one old topic.
    pub fn start() -> Flight {
        let mut flight = Flight::open(PLAN);
        for lag in [200.0, 180.0, 400.0, 900.0, 650.0, 418.0] {
            flight.pass(2);
            flight.read("orders.in", Status::Ok, Some((lag, "messages")), "418 behind, fine to 1 000");
        }
        flight.read("audit.log", Status::Ok, Some((12.0, "messages")), "12 behind");
        flight.pass(94);
        flight.fresh();
        flight
    }
    /// The crew is here; nothing else is known.
    pub fn open(plan: &str) -> Flight {
        Flight::open_with(plan, None, |name| format!("SHA256:{name}"))
    }
    /// The same with a file of signers, and those keys.
    pub fn open_with(plan: &str, signers: Option<&str>, key: impl Fn(&str) -> String) -> Flight {
        Flight::open_as(plan, None, signers, key)
    }
    /// The same as a rehearsal on those data.
    pub fn open_as(plan: &str, rehearsal: Option<&str>, signers: Option<&str>, key: impl Fn(&str) -> String) -> Flight {
        Flight::open_after(plan, vec![], rehearsal, signers, key)
    }
    /// The same after flights in which that ran.
    pub fn open_after(
        plan: &str,
        flown: Vec<Flown>,
        rehearsal: Option<&str>,
        signers: Option<&str>,
        key: impl Fn(&str) -> String,
    ) -> Flight {
        let at = At::try_from("2026-07-12T15:21:00.000000Z".to_owned()).unwrap();
        let mut params = Plan::parse("plan", plan).unwrap().params(&BTreeMap::new()).unwrap();
        params.insert("index".to_owned(), "orders_v40".to_owned());
        params.entry("backup_dir".to_owned()).or_insert_with(|| "/srv/backup".to_owned());
        let opened = a::opening(plan)
            .id(if rehearsal.is_some() { "rehearsal-s1" } else { "s1" })
            .called("Orders v42 cutover", "prod-eu1")
            .params(params)
            .place("bastion-1", "release", "/srv/plan")
            .rehearsal(rehearsal)
            .flown(flown)
            .signers(signers)
            .event();
        let (sequencer, _) = Sequencer::open(at, opened).unwrap();
        let mut flight = Flight { sequencer, at };
        for (connection, name) in ["dana", "sam", "ivo"].into_iter().enumerate() {
            let role = if name == "dana" { Role::Lead } else { Role::Shadow };
            let key = key(name);
            flight.saw(a::joined(&who(name), role, &key, connection as u64));
        }
        // Given otherwise than the plan has it, it needs a reason before anything that uses it is armed.
        if flight.session().plan.params.contains_key("index") {
            let set = Request::set("index=orders_v40 # v41 is read again").unwrap();
            assert_eq!(flight.ask("dana", set), None);
        }
        flight
    }
    /// Reads every watch but the old one.
    pub fn fresh(&mut self) {
        self.read("orders.in", Status::Ok, Some((418.0, "messages")), "418 behind, fine to 1 000");
        self.read("api-gw", Status::Ok, Some((32.0, "ms")), "200 after 32 ms");
        self.read("pg-01", Status::Ok, Some((4.0, "ms")), "connected after 4 ms");
        self.read("nightly", Status::Ok, Some((1860.0, "s")), "nightly-0712.dump, 31 min old, 18.4 GB");
    }
    pub fn pass(&mut self, seconds: u64) {
        self.at = self.at.after(Duration::from_secs(seconds));
    }
    pub fn saw(&mut self, fact: Fact) {
        self.sequencer.observe(self.at, &fact).unwrap();
    }
    pub fn read(&mut self, id: &str, status: Status, value: Option<(f64, &str)>, why: &str) {
        let reading = a::reading(status).because(why);
        let reading = value.map_or(reading.clone(), |(value, unit)| reading.of(value, unit));
        self.saw(a::read(id, reading, self.at, None));
    }
    pub fn ask(&mut self, name: &str, request: Request) -> Option<String> {
        let author = Author::new(who(name), format!("SHA256:{name}"));
        self.sequencer.request(self.at, &author, &request).unwrap().refusal.map(|refusal| refusal.to_string())
    }
    pub fn session(&self) -> &Session {
        self.sequencer.session()
    }
    pub fn arm(&mut self, id: &str) {
        self.arm_as(id, |_| {});
    }
    /// Armed by a hub that says something else of it.
    pub fn arm_as(&mut self, id: &str, change: impl FnOnce(&mut Covers)) {
        let session = self.session();
        let mut covers = a::covers(session, id, self.at);
        covers.gates.iter_mut().for_each(|gate| gate.waived = None);
        let step = covers.step.clone();
        let vars = [("PATH", "/usr/bin"), ("PGOPTIONS", "-c lock_timeout=2s")];
        let argv = std::mem::take(&mut covers.command.argv);
        covers.command = CommandSeen {
            timeout_ms: Some(60_000),
            files: match id {
                "swap" => vec![FileSeen {
                    size: 42,
                    ..a::file("/srv/plan/swap.json")
                        .saying("{\n  \"alias\": \"orders\",\n  \"to\": \"orders_v42\"\n}\n")
                }],
                _ => vec![],
            },
            ..CommandSeen::bare(argv, a::file("/usr/bin/psql")).at("bastion-1", "release", "/srv/plan").env(&vars)
        };
        change(&mut covers);
        let refusal = self.ask("dana", Request::Arm { step, covers: Some(Box::new(covers)) });
        assert_eq!(refusal, None, "{id}");
    }
    pub fn check(&mut self, name: &str) {
        let (id, attempt, digest) = {
            let (step, state, armed) = self.session().open_step().unwrap();
            (step.id.clone(), state.attempt, armed.digest())
        };
        self.ask(name, Request::OpenCheck { step: id.clone(), attempt });
        for _ in 0..5 {
            self.pass(8);
            self.fresh();
        }
        assert_eq!(self.ask(name, Request::Check { step: id, attempt, digest }), None);
    }
    /// From cleared to running.
    pub fn go(&mut self) {
        let (id, attempt, covers, gates) = {
            let (step, state, armed) = self.session().open_step().unwrap();
            (step.id.clone(), state.attempt, armed.covers.covers().clone(), step.gates.clone())
        };
        assert_eq!(self.ask("dana", Request::Run { step: id.clone(), attempt }), None);
        let asked = self.session().open_step().unwrap().2.starting.as_ref().unwrap().seq;
        for gate in gates {
            let reading = self.session().watches[&gate.watch].reading.clone().unwrap();
            self.saw(a::read(gate.watch.as_str(), reading, self.at, Some(asked)));
        }
        self.saw(a::attempt(id.as_str(), attempt).rechecked(covers));
        self.saw(a::attempt(id.as_str(), attempt).started());
    }
    pub fn end(&mut self, code: i32) {
        let (id, attempt) = {
            let (step, state) = self.session().live_step().unwrap();
            (step.id.clone(), state.attempt)
        };
        self.pass(4);
        self.fresh();
        self.saw(a::attempt(id.as_str(), attempt).exited(code));
    }
    /// Two steps done, the irreversible one armed, checked by one of two, the other one reading.
    pub fn armed() -> Flight {
        let mut flight = Flight::start();
        flight.arm("freeze");
        flight.go();
        flight.end(0);
        flight.arm("swap");
        flight.check("sam");
        flight.go();
        flight.end(0);
        flight.ask("ivo", Request::Say { text: "readers on v42 are flat, but is lock_timeout meant to be 2s?".into() });
        flight.ask("dana", Request::Mark { text: "dual-read start".into() });
        flight.arm("drop");
        flight.check("sam");
        flight.ask("ivo", Request::OpenCheck { step: step("drop"), attempt: 1 });
        flight.pass(2);
        flight
    }
    pub fn view(&self, me: &str) -> View {
        let session = Arc::new(self.session().clone());
        let role = session.role(&who(me));
        View {
            session,
            me: who(me),
            role,
            link: Link::Live { rtt: Duration::from_millis(38) },
            screen: Some(Arc::new(crate::protocol::Screen {
                step: step("swap"),
                attempt: 1,
                part: Part::Step,
                number: 1,
                cols: 80,
                rows: 24,
                bytes: "\x1b[1;1Hcompare batch 119/120  \x1b[32m0 diffs\x1b[m\r\ncompare batch 120/120  \x1b[32m0 diffs\x1b[m\r\nok: 1194182 rows"
                    .as_bytes()
                    .into(),
            })),
            dying: None,
            hub_ahead_micros: 0,
        }
    }
    pub fn now(&self) -> Now {
        Now { wall: self.at, mono: Duration::from_secs(60) }
    }
}

pub(super) fn rendered(
    app: &App,
    view: &View,
    theme: &Theme,
    glyphs: Glyphs,
    now: Now,
    size: (u16, u16),
) -> (Buffer, Drawn) {
    let mut buf = Buffer::empty(Rect::new(0, 0, size.0, size.1));
    let drawn = draw(&mut buf, app, view, theme, glyphs, now);
    (buf, drawn)
}

pub(super) fn text_of(buf: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buf.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buf.area.width {
            let symbol = buf[(x, y)].symbol();
            if skip > 0 {
                skip -= 1;
                continue;
            }
            skip = super::text::columns(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

pub(super) fn key(c: char) -> Happened {
    Happened::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))
}
pub(super) fn code(code: KeyCode) -> Happened {
    Happened::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

pub(super) fn asked(actions: &[Action]) -> Vec<&Request> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Ask(request) if !matches!(request, Request::Attend { .. }) => Some(request),
            _ => None,
        })
        .collect()
}

/// Draws at that size and tells the app so; the time is then so many milliseconds later.
pub(super) fn frame(app: &mut App, view: &View, now: Now, size: (u16, u16)) {
    let (_, drawn) = rendered(app, view, &dusk(), Glyphs::Unicode, now, size);
    update(app, Happened::Drawn(drawn), view, now);
}

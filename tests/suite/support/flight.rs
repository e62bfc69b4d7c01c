//! Flies a scenario file on the built program: one hub, and a process in plain mode for everybody. Start at [`fly`].

use super::messages::Messages;
use super::program::{Hub, Plain, Stage, run};
use super::scenario::{Act, Answer, Line, Part, Pattern, Scenario, Who, principal};
use super::wait::poll;
use crate::reconnect::Proxy;
use crosscheck::event::{Event, Verdict};
use crosscheck::link::Link;
use crosscheck::session::steps::{Move, Phase, TABLE};
use crosscheck::session::{Session, story};
use crosscheck::transcript::record::{Head, Line as Record};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;

/// A whole scenario takes seconds; one that takes so long has failed.
const FLIGHT: Duration = Duration::from_secs(240);
/// Lines of a transcript that a failure shows.
const SHOWN: usize = 25;

/// What a flight came to.
#[derive(Debug)]
pub struct Flown {
    /// Rows of the transition table that its steps took.
    pub rows: BTreeSet<usize>,
    /// Lines of its transcript.
    pub lines: usize,
}

/// Flies it; waits at most so long for each thing that is to be seen. Nothing where it needs a real part that is not here.
/// The error names file and line, what was expected and what was seen.
pub fn fly(scenario: &Scenario, patience: Duration) -> Result<Option<Flown>, String> {
    let messages = match scenario.needs {
        Some(Part::Kafka) => match Messages::new() {
            Some(messages) => Some(messages),
            None => return Ok(None),
        },
        None => None,
    };
    let mut flight = Flight::prepare(scenario, messages, patience)?;
    for (number, line) in &scenario.story {
        flight.act(line).map_err(|why| format!("{}:{number}: {}\n{why}", scenario.file, line.text))?;
    }
    flight.end(scenario).map(Some)
}

/// Somebody who joined.
struct Person {
    plain: Plain,
    /// Whether their process runs.
    here: bool,
    proxy: Option<Proxy>,
}

struct Flight {
    // Before the stage whose folder they use, and before the runtime that carries the networks.
    people: BTreeMap<String, Person>,
    /// The last one is the one that flies. Those before it are dead, and kept: letting go of one ends its commands too.
    hubs: Vec<Hub>,
    /// Held open: who waits reads until this is closed.
    pen: Option<File>,
    stage: Stage,
    network: Option<Runtime>,
    messages: Option<Messages>,
    /// Number of the last line that was waited for.
    seen: usize,
    patience: Duration,
    deadline: Instant,
}

impl Flight {
    fn prepare(scenario: &Scenario, messages: Option<Messages>, patience: Duration) -> Result<Flight, String> {
        let plan = messages.as_ref().map_or_else(|| scenario.plan.clone(), |messages| messages.named(&scenario.plan));
        let stage = Stage::new(&plan);
        for (name, text) in &scenario.files {
            write(&stage, name, text).map_err(|why| format!("{}: {name}: {why}", scenario.file))?;
        }
        let fifo = stage.path("waits-here");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).map_err(|error| error.to_string())?;
        Ok(Flight {
            people: BTreeMap::new(),
            hubs: vec![],
            pen: None,
            stage,
            network: None,
            messages,
            seen: 0,
            patience,
            deadline: Instant::now() + FLIGHT,
        })
    }

    /// How long the next thing may take.
    fn left(&self) -> Result<Duration, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(format!("the flight took more than {FLIGHT:?}")) } else { Ok(left.min(self.patience)) }
    }

    fn person(&mut self, who: &str) -> Result<&mut Person, String> {
        let known: Vec<_> = self.people.keys().cloned().collect();
        self.people
            .get_mut(&principal(who))
            .ok_or_else(|| format!("{who} did not join; these did: {}", known.join(", ")))
    }

    fn hub(&mut self) -> Result<&mut Hub, String> {
        self.hubs.last_mut().ok_or_else(|| "no hub was started".to_owned())
    }

    fn messages(&self) -> Result<&Messages, String> {
        self.messages.as_ref().ok_or_else(|| "there is no topic without `needs = \"kafka\"`".to_owned())
    }

    /// Who is meant: names as they were joined.
    fn meant(&self, who: &Who) -> Vec<String> {
        match who {
            Who::All => self.people.iter().filter(|(_, person)| person.here).map(|(name, _)| name.clone()).collect(),
            Who::These(names) => names.clone(),
        }
    }

    fn act(&mut self, line: &Line) -> Result<(), String> {
        let left = self.left()?;
        match &line.act {
            Act::Serve { set, args } => return self.serve(set.as_ref(), args),
            Act::HubWaits => {
                let fifo = self.stage.path("waits-here");
                let open = || {
                    // There is a reader once it waits.
                    let flags = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK;
                    nix::fcntl::open(&fifo, flags, nix::sys::stat::Mode::empty()).ok()
                };
                self.pen = Some(poll(left, open).ok_or_else(|| self.described("the hub to wait there"))?.into());
            }
            Act::HubGoesOn => drop(self.pen.take().ok_or("it does not wait")?),
            Act::HubKilled => {
                self.hub()?.kill();
                self.pen = None;
            }
            Act::HubDies => {
                let hub = self.hub()?;
                if poll(left, || hub.has_ended().then_some(())).is_none() {
                    return Err(self.described("the hub to die"));
                }
                let status = self.hub()?.wait();
                if status.signal() != Some(Signal::SIGKILL as i32) {
                    return Err(self.described(&format!("the hub to be killed, and it ended with {status}")));
                }
            }
            Act::HubEnds => {
                let hub = self.hub()?;
                if poll(left, || hub.has_ended().then_some(())).is_none() {
                    return Err(self.described("the hub to end"));
                }
                let status = self.hub()?.wait();
                if !status.success() {
                    return Err(self.described(&format!("the hub to end well, and it ended with {status}")));
                }
            }
            Act::Join { who, cut } => return who.iter().try_for_each(|who| self.join(who, *cut)),
            Act::Leave(who) => {
                let person = self.person(who)?;
                person.plain.hang_up();
                person.plain.wait();
                person.here = false;
            }
            Act::Killed(who) => {
                let person = self.person(who)?;
                person.plain.kill();
                person.here = false;
            }
            Act::Cut(who) | Act::Mended(who) => {
                let cut = matches!(line.act, Act::Cut(_));
                let person = self.person(who)?;
                let proxy = person.proxy.as_ref().ok_or("their link cannot be cut; let them join by one that can")?;
                if cut {
                    proxy.cut()
                } else {
                    proxy.mend()
                }
                sees(&person.plain, if cut { "link: LOST" } else { "link: connected again" }, left)?;
            }
            Act::Types { who, verb, answer } => {
                let plain = &self.person(who)?.plain;
                plain.say(verb);
                if !matches!(answer, Answer::None) {
                    let given = plain.answer_within(left);
                    let given = given.ok_or_else(|| format!("  expected an answer\n  seen:\n{}", plain.described()))?;
                    answered(answer, &given).map_err(|why| format!("{why}\n{}", plain.described()))?;
                }
            }
            Act::Sees { who, text } => {
                for name in self.meant(who) {
                    let left = self.left()?;
                    sees(&self.person(&name)?.plain, text, left)?;
                }
            }
            Act::NeverSaw { who, text } => {
                for name in self.meant(who) {
                    let printed = self.person(&name)?.plain.printed();
                    if let Some(line) = printed.lines().find(|line| line.contains(text)) {
                        return Err(format!(
                            "  expected nothing with {text:?} on the screen of {name}\n  seen: {line}"
                        ));
                    }
                }
            }
            Act::Produce(count) => self.messages()?.produce(*count),
            Act::Consume(count) => self.messages()?.consume(*count),
            Act::Write { file, text } => write(&self.stage, file, &format!("{}\n", text.replace("\\n", "\n")))?,
            Act::Remove(file) => {
                std::fs::remove_file(self.stage.path(file)).map_err(|error| format!("  {file}: {error}"))?;
            }
            Act::Move { from, to } => {
                let moved = std::fs::rename(self.stage.path(from), self.stage.path(to));
                moved.map_err(|error| format!("  {from}: {error}"))?;
            }
            Act::Age { file, by } => {
                let then = SystemTime::now() - *by;
                let opened = File::options().append(true).open(self.stage.path(file));
                let aged = opened.and_then(|file| file.set_modified(then));
                aged.map_err(|error| format!("  {file}: {error}"))?;
            }
            Act::Reads { file, text } => {
                let read = || std::fs::read_to_string(self.stage.path(file)).unwrap_or_default().trim().to_owned();
                if poll(left, || (read() == *text).then_some(())).is_none() {
                    return Err(self.described(&format!("{file} to read {text:?}, and it reads {:?}", read())));
                }
            }
            Act::Lines { file, count } => {
                let read = || std::fs::read_to_string(self.stage.path(file)).unwrap_or_default();
                let _ = poll(left, || (read().lines().count() >= *count).then_some(())); // more than that is told below too
                if read().lines().count() != *count {
                    return Err(self.described(&format!("{file} to have {count} lines, and it has\n{}", read())));
                }
            }
            Act::Absent(file) => {
                if self.stage.path(file).exists() {
                    let text = std::fs::read_to_string(self.stage.path(file)).unwrap_or_default();
                    return Err(self.described(&format!("{file} to be absent, and it reads {text:?}")));
                }
            }
            Act::Until(pattern) => {
                let next = || {
                    let lines = self.lines();
                    let at = lines.iter().skip(self.seen).position(|line| pattern.is(line))?;
                    Some(self.seen + at + 1)
                };
                let expected = format!("a line of the transcript, after line {}", self.seen);
                self.seen = poll(left, next).ok_or_else(|| self.described(&expected))?;
            }
        }
        Ok(())
    }

    fn serve(&mut self, set: Option<&(&'static str, String)>, args: &[String]) -> Result<(), String> {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let fifo = self.stage.path("waits-here").display().to_string();
        let set = set.map(|(variable, place)| match *variable {
            "CROSSCHECK_PAUSE" => (*variable, format!("{place}:{fifo}")),
            variable => (variable, place.clone()),
        });
        let env: Vec<(&str, &str)> = set.iter().map(|(variable, place)| (*variable, place.as_str())).collect();
        let left = self.left()?;
        let mut hub = self.stage.serve_with(&env, &args);
        let links = self.stage.path("links.json");
        let ready = poll(left, || (links.exists() || hub.has_ended()).then(|| links.exists()));
        let printed = hub.printed();
        self.hubs.push(hub);
        if ready != Some(true) {
            return Err(format!("  expected a hub\n  seen: {printed}"));
        }
        // What was asked of a hub that died was answered before the client came back, or never.
        for person in self.people.values().filter(|person| person.here) {
            sees(&person.plain, "link: connected again", left)?;
            person.plain.forget_answers();
        }
        Ok(())
    }

    fn join(&mut self, who: &str, cut: bool) -> Result<(), String> {
        let name = principal(who);
        let links = self.stage.links();
        let link = links.get(&name).ok_or_else(|| format!("  there is no link for {name} among {:?}", links.keys()))?;
        let (plain, proxy) = if cut {
            let link: Link = link.parse().map_err(|error| format!("  {error}"))?;
            let runtime = match self.network.take() {
                Some(runtime) => runtime,
                None => tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()
                    .map_err(|error| error.to_string())?,
            };
            let proxy = runtime.block_on(Proxy::start(&link));
            self.network = Some(runtime);
            (self.stage.join_by(&name, &proxy.link(&link).to_string()), Some(proxy))
        } else {
            (self.stage.join_unready(&name, &[]), None)
        };
        let left = self.left()?;
        sees(&plain, "joined session", left)?;
        self.people.insert(name, Person { plain, here: true, proxy });
        Ok(())
    }

    fn lines(&self) -> Vec<Value> {
        super::program::transcript_files(&self.stage.path("transcripts"))
            .first()
            .map_or_else(Vec::new, |file| super::program::transcript_lines(file))
    }

    /// What was expected, and how everything stands.
    fn described(&self, expected: &str) -> String {
        let lines = self.lines();
        let from = lines.len().saturating_sub(SHOWN);
        let short = |line: &Value| {
            let text = line["event"].to_string();
            format!("  #{} by {}: {}", line["seq"], line["by"], text.chars().take(200).collect::<String>())
        };
        let transcript: Vec<_> = lines[from..].iter().map(short).collect();
        let hub = self.hubs.last().map_or_else(String::new, Hub::printed);
        format!(
            "  expected {expected}\n  seen: the last lines of the transcript (of {}):\n{}\n--- the hub printed:\n{hub}",
            lines.len(),
            transcript.join("\n"),
        )
    }

    /// What the transcript says, and whether people were shown just that.
    fn end(&mut self, scenario: &Scenario) -> Result<Flown, String> {
        let lines = self.lines();
        let mut from = 0;
        for (number, pattern) in &scenario.transcript {
            match lines.iter().skip(from).position(|line| pattern.is(line)) {
                Some(at) => from += at + 1,
                None => return Err(self.missing(scenario, *number, pattern, &lines, from)),
            }
        }
        for (number, pattern) in &scenario.never {
            if let Some(line) = lines.iter().find(|line| pattern.is(line)) {
                let (file, text) = (&scenario.file, &pattern.text);
                return Err(format!(
                    "{file}:{number}: {text}\n  expected no such line in the transcript\n  seen: {line}"
                ));
            }
        }
        let file = self.stage.transcript_file();
        let home = self.stage.path("home-auditor");
        std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        let (status, out, err) = run(&home, &["verify", &file.display().to_string()]);
        let fine = out.starts_with(&scenario.verify) && (status == Some(0)) == (scenario.verify == "COMPLETE");
        if !fine {
            let (file, verify) = (&scenario.file, &scenario.verify);
            return Err(format!("{file}: expected `crosscheck verify` to say {verify}\n  seen: {status:?} {out}{err}"));
        }
        let (rows, told) = folded(&std::fs::read(&file).map_err(|error| error.to_string())?)
            .map_err(|why| format!("{}: the transcript: {why}", scenario.file))?;
        for (name, person) in &self.people {
            shown_as_told(&person.plain.printed(), &told).map_err(|why| format!("{}: {name}: {why}", scenario.file))?;
        }
        Ok(Flown { rows, lines: lines.len() })
    }

    fn missing(&self, scenario: &Scenario, number: usize, pattern: &Pattern, lines: &[Value], from: usize) -> String {
        let kind = pattern.text.split(' ').next().unwrap_or_default();
        let of_kind = lines.iter().filter(|line| line["event"].get(kind).is_some());
        let of_kind: Vec<_> =
            of_kind.map(|line| format!("  #{} by {}: {}", line["seq"], line["by"], line["event"])).collect();
        format!(
            "{}:{number}: {}\n  expected such a line in the transcript after its line {from}\n  seen, of this kind:\n{}",
            scenario.file,
            pattern.text,
            if of_kind.is_empty() { "  none".to_owned() } else { of_kind.join("\n") }
        )
    }
}

fn sees(plain: &Plain, text: &str, within: Duration) -> Result<(), String> {
    let seen = plain.sees(text, within);
    seen.map(drop).ok_or_else(|| {
        format!("  expected {text:?} after what was seen before, within {within:?}\n  seen:\n{}", plain.described())
    })
}

fn answered(wanted: &Answer, given: &str) -> Result<(), String> {
    let (start, words): (_, &[String]) = match wanted {
        Answer::Ok | Answer::None => ("ok ", &[]),
        Answer::Refused(words) => ("refused ", words),
        Answer::Error(words) => ("error:", words),
    };
    match words.iter().find(|words| !given.contains(words.as_str())) {
        _ if !given.starts_with(start) => {
            Err(format!("  expected an answer that starts with {start:?}\n  seen: {given}"))
        }
        Some(words) => Err(format!("  expected an answer with {words:?}\n  seen: {given}")),
        None => Ok(()),
    }
}

/// Puts a file in place in one move; what begins like a script can be run.
fn write(stage: &Stage, name: &str, text: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let (path, new) = (stage.path(name), stage.path(format!("{name}.new")));
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = made
        .and_then(|()| std::fs::write(&new, text))
        .and_then(|()| {
            let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode))
        })
        .and_then(|()| std::fs::rename(&new, &path));
    written.map_err(|error| format!("  {name}: {error}"))
}

type Told = BTreeMap<u64, String>;

/// Folds a transcript: the rows that its steps took, and what it tells by number.
fn folded(bytes: &[u8]) -> Result<(BTreeSet<usize>, Told), String> {
    let (mut session, mut head): (Option<Session>, _) = (None, Head::START);
    let (mut rows, mut told) = (BTreeSet::new(), Told::new());
    for bytes in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.len() > 1) {
        let (line, next) = Record::decode(bytes, head).map_err(|error| error.to_string())?;
        head = next;
        let Some(session) = &mut session else {
            session = Some(Session::open(&line, head.hash).map_err(|error| error.to_string())?);
            continue;
        };
        let text = story(session, &line);
        told.extend(text.map(|text| (line.seq, format!("{} #{} {text}", line.at.clock(), line.seq))));
        let phases = |session: &Session| -> BTreeMap<_, _> {
            session.steps.iter().map(|(id, state)| (id.clone(), state.phase)).collect()
        };
        let before = phases(session);
        session.apply(&line, head.hash);
        for (id, after) in phases(session) {
            let Some(before) = before.get(&id).filter(|before| **before != after) else { continue };
            let row = row(*before, &line.event, after);
            rows.insert(row.ok_or_else(|| format!("line {}: {before:?} to {after:?} is no row", line.seq))?);
        }
    }
    Ok((rows, told))
}

/// The row of the table. Two rows that lead from and to the same are told apart by what is said of a verification.
fn row(before: Phase, event: &Event, after: Phase) -> Option<usize> {
    let fits = |by: &Move| match event {
        Event::VerifyEnded { verdict, .. } => match verdict {
            Verdict::Better | Verdict::Same => matches!(by, Move::VerifyWell | Move::VerifyBatch),
            Verdict::Worse => *by == Move::VerifyWorse,
            Verdict::CannotTell => *by == Move::VerifyUnclear,
        },
        _ => true,
    };
    let mut found = (0..TABLE.len()).filter(|row| {
        let (from, by, to) = &TABLE[*row];
        *from == before && *to == after && fits(by)
    });
    let row = found.next()?;
    assert!(found.next().is_none(), "two rows lead from {before:?} to {after:?}: say here how they are told apart");
    Some(row)
}

/// Everything somebody was shown of the session stands in the transcript, word for word and in its order.
fn shown_as_told(printed: &str, told: &Told) -> Result<(), String> {
    let mut last = 0;
    for line in printed.lines() {
        let number = line.split_once(" #").filter(|(time, _)| time.len() == "00:00:00".len());
        let Some(seq) = number.and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok()) else { continue };
        let tells = told.get(&seq).map(String::as_str);
        if tells != Some(line) {
            return Err(format!("was shown {line:?}, and the transcript tells {tells:?}"));
        }
        if seq <= last {
            return Err(format!("was shown {line:?} after line {last}"));
        }
        last = seq;
    }
    Ok(())
}

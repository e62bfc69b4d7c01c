//! Drives the built program: a hub and its participants as processes of their own, in folders of their own.
//!
//! Their environment is empty but for `PATH`, `HOME` and `XDG_STATE_HOME`, and signals and umask are those of a login, so that
//! a test sees the program and not its author's settings. Everything that was started is ended when it goes out of scope.
//! Start at [`Stage`].

use super::inherited::fresh;
use super::wait::{PATIENCE, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long the last words of a child that ended may take.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Lines that a failure shows of each process.
const SHOWN: usize = 60;

/// The program under test, in an environment that holds nothing it was not given.
pub fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosscheck"));
    command.env_clear().env("HOME", home).env("XDG_STATE_HOME", home.join("state"));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
    fresh(&mut command);
    command
}

/// Runs the program to its end and returns status, standard output and standard error.
pub fn run(home: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = program(home).args(args).stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A folder with one plan, its transcripts, and a home for every participant. Outlives the hubs that fly it, so that a test
/// may kill one and start another.
pub struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    /// Writes the plan down.
    pub fn new(plan: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("crosscheck-test-").tempdir().expect("a folder");
        let stage = Stage { folder };
        std::fs::write(stage.plan(), plan).expect("the plan is written");
        stage
    }

    /// The folder that everything lies in; it is gone when the stage is.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The plan's file.
    pub fn plan(&self) -> PathBuf {
        self.path("plan.toml")
    }

    /// Writes DER as PEM.
    pub fn pem(&self, name: &str, kind: &str, der: &[u8]) -> PathBuf {
        use base64::Engine as _;
        let text = base64::prelude::BASE64_STANDARD.encode(der);
        std::fs::write(self.path(name), format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"))
            .expect("written");
        self.path(name)
    }

    /// Everyone's link, as the last hub wrote them.
    pub fn links(&self) -> BTreeMap<String, String> {
        let text = std::fs::read(self.path("links.json")).expect("the links file is there");
        serde_json::from_slice(&text).expect("the links file is JSON")
    }

    /// Starts a hub and waits until it wrote its links: from then on it takes connections. What an earlier hub left is
    /// taken away first, so that the links are this one's.
    pub fn serve(&self, args: &[&str]) -> Hub {
        let _ = std::fs::remove_file(self.path("links.json"));
        let mut hub = self.serve_unready(args);
        let ready = poll(PATIENCE, || {
            let ended = hub.process.child.try_wait().expect("a child can be asked").is_some();
            (ended || self.path("links.json").exists()).then_some(!ended)
        });
        assert!(ready == Some(true), "the hub did not come up\n{}", hub.process.describe());
        hub
    }

    /// Starts a hub with more in its environment, such as the wish to be killed somewhere, and does not wait for it.
    pub fn serve_with(&self, env: &[(&str, &str)], args: &[&str]) -> Hub {
        let _ = std::fs::remove_file(self.path("links.json"));
        let mut command = self.serve_command(args);
        command.envs(env.iter().copied());
        Hub { process: Process::start("hub", command), transcripts: self.path("transcripts") }
    }

    /// Starts a hub that may write no file larger than so many times 512 bytes, and does not wait for it.
    pub fn serve_limited(&self, blocks: u32) -> Hub {
        self.serve_after(&format!("ulimit -f {blocks}"))
    }

    /// Starts a hub from a shell that did this before, and does not wait for it.
    pub fn serve_after(&self, line: &str) -> Hub {
        let _ = std::fs::remove_file(self.path("links.json"));
        let plain = self.serve_command(&[]);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{line}; exec \"$@\"")).arg("sh").arg(plain.get_program());
        command.args(plain.get_args()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
        fresh(&mut command);
        Hub { process: Process::start("hub", command), transcripts: self.path("transcripts") }
    }

    /// Waits until a hub wrote its links.
    pub fn wait_for_links(&self) {
        poll(PATIENCE, || self.path("links.json").exists().then_some(())).expect("the hub comes up");
    }

    /// Starts a hub of which it is not known whether it comes up.
    pub fn serve_unready(&self, args: &[&str]) -> Hub {
        Hub { process: Process::start("hub", self.serve_command(args)), transcripts: self.path("transcripts") }
    }

    /// Starts a hub that flies no plan, in this stage's folder, and waits until it wrote its links.
    pub fn serve_without_plan(&self, args: &[&str]) -> Hub {
        let mut command = program(&self.home("hub"));
        command.arg("serve").args(args).current_dir(self.path(""));
        command.arg("--transcripts").arg(self.path("transcripts"));
        command.arg("--links-file").arg(self.path("links.json")).stdin(Stdio::null());
        let hub = Hub { process: Process::start("hub", command), transcripts: self.path("transcripts") };
        self.wait_for_links();
        hub
    }

    fn serve_command(&self, args: &[&str]) -> Command {
        let mut command = program(&self.home("hub"));
        command.arg("serve").arg(self.plan()).arg("--transcripts").arg(self.path("transcripts"));
        command.arg("--links-file").arg(self.path("links.json")).args(args).stdin(Stdio::null());
        command
    }

    /// Joins in plain mode, as this principal of the plan (or `observer`), and waits until the hub let them in. Every
    /// participant has a home of their own, so a key of their own.
    pub fn join(&self, who: &str) -> Plain {
        let plain = self.join_unready(who, &[]);
        plain.expect("joined session");
        plain
    }

    /// Joins without waiting, with more arguments.
    pub fn join_unready(&self, who: &str, args: &[&str]) -> Plain {
        let links = self.links();
        let link = links.get(who).unwrap_or_else(|| panic!("no link for {who} among {:?}", links.keys()));
        let mut command = program(&self.home(who));
        command.args(["join", link, "--plain"]).args(args);
        Plain::start(who, command)
    }

    /// Joins without waiting, with more in the environment too.
    pub fn join_with(&self, who: &str, env: &[(&str, &str)], args: &[&str]) -> Plain {
        let mut command = program(&self.home(who));
        command.args(["join", &self.links()[who], "--plain"]).args(args).envs(env.iter().copied());
        Plain::start(who, command)
    }

    /// Joins through another link: a changed one, or one that leads through a proxy.
    pub fn join_by(&self, who: &str, link: &str) -> Plain {
        let mut command = program(&self.home(who));
        command.args(["join", link, "--plain"]);
        Plain::start(who, command)
    }

    /// Starts `host` in plain mode: a hub in the background, and the lead.
    pub fn host(&self) -> Plain {
        let mut command = program(&self.home("host"));
        command.arg("host").arg(self.plan()).arg("--plain").arg("--transcripts").arg(self.path("transcripts"));
        command.arg("--links-file").arg(self.path("links.json"));
        Plain::start("host", command)
    }

    /// Joins as a service would: in a session of its own without any terminal, which is reason enough for plain mode.
    pub fn join_without_terminal(&self, who: &str) -> Plain {
        let environment = program(&self.home(who));
        let mut command = Command::new("setsid");
        command.args([env!("CARGO_BIN_EXE_crosscheck"), "join", &self.links()[who]]);
        command.env_clear().envs(environment.get_envs().filter_map(|(key, value)| Some((key, value?))));
        fresh(&mut command);
        let plain = Plain::start(who, command);
        plain.expect("joined session");
        plain
    }

    /// The home of a participant.
    pub fn home(&self, who: &str) -> PathBuf {
        let home = self.path(format!("home-{who}"));
        std::fs::create_dir_all(&home).expect("a home");
        home
    }

    /// The one transcript there is; of a stage that only rehearsed, that of the rehearsal.
    pub fn transcript_file(&self) -> PathBuf {
        let mut found = transcript_files(&self.path("transcripts"));
        if found.is_empty() {
            found = transcript_files(&self.path("transcripts/rehearsals"));
        }
        assert_eq!(found.len(), 1, "one transcript: {found:?}");
        found.into_iter().next().expect("it has one")
    }

    /// Its whole lines, in order.
    pub fn transcript(&self) -> Vec<Value> {
        transcript_lines(&self.transcript_file())
    }

    /// The events of a kind, in order: what stands under the kind's name.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        self.transcript().iter().filter_map(|line| line["event"].get(kind).cloned()).collect()
    }
}

/// The transcripts in a folder, oldest first.
pub fn transcript_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let mut found: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    found.sort();
    found
}

/// The whole lines of a transcript. What follows the last line feed is padding, or being written; and the last line may be in the
/// middle of being written with line feeds of the padding behind it.
pub fn transcript_lines(file: &Path) -> Vec<Value> {
    let bytes = std::fs::read(file).expect("the transcript can be read");
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).peekable();
    let mut read = vec![];
    while let Some(line) = lines.next() {
        match serde_json::from_slice(line) {
            Ok(line) => read.push(line),
            Err(error) => assert!(lines.peek().is_none() && error.is_eof(), "a line is JSON: {error}"),
        }
    }
    read
}

/// A running hub. Going out of scope kills it, and with it the commands it had not seen the end of.
pub struct Hub {
    process: Process,
    transcripts: PathBuf,
}

impl Hub {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }
    /// Kills it as a power cut would; its commands live on.
    pub fn kill(&mut self) {
        self.process.kill();
    }
    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }
    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait(PATIENCE)
    }
    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.child.try_wait().expect("a child can be asked").is_some()
    }
    /// What it printed so far.
    pub fn printed(&self) -> String {
        self.process.printed()
    }
    /// Waits until it printed this.
    pub fn expect(&self, text: &str) -> String {
        let mut from = Cursor::default();
        self.process.find(&mut from, PATIENCE, text, |line| line.contains(text))
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.process.kill();
        for file in transcript_files(&self.transcripts) {
            end_left_over(&file);
        }
    }
}

/// Ends the commands that a transcript saw start and not end. Each leads a process group of its own.
fn end_left_over(transcript: &Path) {
    let Ok(bytes) = std::fs::read(transcript) else { return };
    let mut running = BTreeMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
        let event = &line["event"];
        let run = |fields: &Value| (fields["step"].to_string(), fields["attempt"].to_string());
        if let Some(fields) = event.get("RunStarted") {
            running.insert(run(fields), fields["process"].clone());
        }
        for kind in ["RunEnded", "ProcessGone"] {
            event.get(kind).map(|fields| running.remove(&run(fields)));
        }
    }
    for process in running.values() {
        let Some(pid) = process["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()) else { continue };
        // The number may long be somebody else's: the moment of its start tells.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let started = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(19)?.parse::<u64>().ok());
        if started.is_some() && started == process["start_time"].as_u64() {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// A participant in plain mode.
///
/// Answers to verbs and everything else are two streams to its reader: an event may be printed before or after the answer to
/// the verb that caused it, and a test shall not depend on which.
pub struct Plain {
    process: Process,
    input: Mutex<Option<ChildStdin>>,
    events: Mutex<Cursor>,
    answers: Mutex<Cursor>,
}

impl Plain {
    /// Starts a participant by a command of one's own, which has to be in plain mode.
    pub fn start(who: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        let mut process = Process::start(who, command);
        let input = process.child.stdin.take();
        Plain { process, input: Mutex::new(input), events: Mutex::default(), answers: Mutex::default() }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Sends a verb. The answer is read by [`Plain::answer`].
    pub fn say(&self, verb: &str) {
        let mut input = lock(&self.input);
        let pipe = input.as_mut().expect("the input is open");
        if let Err(error) = writeln!(pipe, "{verb}").and_then(|()| pipe.flush()) {
            panic!("{verb:?} could not be sent: {error}\n{}", self.process.describe());
        }
    }

    /// The next answer: a line that begins with `ok`, `refused` or `error`.
    pub fn answer(&self) -> String {
        self.process.find(&mut lock(&self.answers), PATIENCE, "an answer", is_answer)
    }

    /// The same with a deadline of one's own; nothing where none came.
    pub fn answer_within(&self, within: Duration) -> Option<String> {
        self.process.look(&mut lock(&self.answers), within, is_answer)
    }

    /// Sends a verb and returns its answer.
    pub fn ask(&self, verb: &str) -> String {
        self.say(verb);
        self.answer()
    }

    /// Leaves the answers that came so far unread: after a crash nobody cares what they were.
    pub fn forget_answers(&self) {
        *lock(&self.answers) = [lock(&self.process.output.lines).len(); 2];
    }

    /// Sends a verb that must be accepted.
    pub fn ok(&self, verb: &str) {
        let answer = self.ask(verb);
        assert!(bare(&answer).starts_with("ok "), "{verb:?} was answered {answer:?}\n{}", self.process.describe());
    }

    /// Sends a verb that must be refused, and returns why.
    pub fn refused(&self, verb: &str) -> String {
        let answer = self.ask(verb);
        assert!(bare(&answer).starts_with("refused "), "{verb:?} was answered {answer:?}\n{}", self.process.describe());
        answer
    }

    /// Waits for a line, other than an answer, that contains this. Lines up to it count as read.
    pub fn expect(&self, text: &str) -> String {
        self.expect_within(text, PATIENCE)
    }

    /// Like [`Plain::expect`], with a deadline of one's own.
    pub fn expect_within(&self, text: &str, within: Duration) -> String {
        let wanted = |line: &str| !is_answer(line) && line.contains(text);
        self.process.find(&mut lock(&self.events), within, text, wanted)
    }

    /// Like [`Plain::expect_within`]; nothing where it was not printed in time.
    pub fn sees(&self, text: &str, within: Duration) -> Option<String> {
        let wanted = |line: &str| !is_answer(line) && line.contains(text);
        self.process.look(&mut lock(&self.events), within, wanted)
    }

    /// Everything it printed.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// The last of it, for a message.
    pub fn described(&self) -> String {
        self.process.describe()
    }

    /// Ends its input: the participant leaves.
    pub fn hang_up(&self) {
        lock(&self.input).take();
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait(PATIENCE)
    }

    /// Kills it: the connection breaks off.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

fn is_answer(line: &str) -> bool {
    ["ok ", "refused ", "error:"].iter().any(|start| bare(line).starts_with(start))
}

/// A line without what marks each of a rehearsal.
pub fn bare(line: &str) -> &str {
    line.strip_prefix("REHEARSAL ").unwrap_or(line)
}

/// A child whose output is collected line by line.
struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

/// How far each pipe was read: what a program prints to one has no order beside what it prints to the other.
type Cursor = [usize; 2];

#[derive(Default)]
struct Output {
    /// Each with the pipe that it came from.
    lines: Mutex<Vec<(usize, String)>>,
    more: Condvar,
}

/// A panic elsewhere while the lock was held leaves a list of lines all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Process {
    fn start(name: &str, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let output = Arc::new(Output::default());
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("it is piped")), Box::new(child.stderr.take().expect("it is piped"))];
        let mut number = 0..;
        let readers = pipes.map(|pipe| {
            let (output, number) = (output.clone(), number.next().expect("there are two"));
            // Ends with the pipe, which ends with the child and whoever it left it to.
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).split(b'\n') {
                    let Ok(line) = line else { return };
                    lock(&output.lines).push((number, String::from_utf8_lossy(&line).into_owned()));
                    output.more.notify_all();
                }
                output.more.notify_all();
            })
        });
        Process { name: name.to_owned(), child, output, readers: readers.into() }
    }

    /// The next line of either pipe from there on that is wanted, and `from` behind it. Panics with the last state at the
    /// deadline.
    fn find(&self, from: &mut Cursor, within: Duration, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.look(from, within, wanted);
        found.unwrap_or_else(|| panic!("{}: no {what:?} within {within:?}\n{}", self.name, self.describe()))
    }

    /// The same; nothing at the deadline.
    fn look(&self, from: &mut Cursor, within: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + within;
        let mut lines = lock(&self.output.lines);
        let mut next = from[0].min(from[1]);
        loop {
            let is = |index: &usize| {
                let (pipe, line) = &lines[*index];
                *index >= from[*pipe] && wanted(line)
            };
            if let Some(index) = (next..lines.len()).find(is) {
                let (pipe, line) = &lines[index];
                from[*pipe] = index + 1;
                return Some(line.clone());
            }
            next = lines.len();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.output.more.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    fn printed(&self) -> String {
        lock(&self.output.lines).iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    fn describe(&self) -> String {
        let lines = lock(&self.output.lines);
        let from = lines.len().saturating_sub(SHOWN);
        let mut text = format!("--- the last lines of {} (of {}):\n", self.name, lines.len());
        for (_, line) in &lines[from..] {
            let _ = writeln!(text, "  {line}"); // a String takes everything
        }
        text
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process number");
        let _ = kill(Pid::from_raw(pid), signal);
    }

    fn kill(&mut self) {
        // Either fails where it ended and was waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn wait(&mut self, within: Duration) -> ExitStatus {
        let status = poll(within, || self.child.try_wait().expect("a child can be asked"));
        let status =
            status.unwrap_or_else(|| panic!("{} did not end within {within:?}\n{}", self.name, self.describe()));
        // Its last words are still on their way; a command that it left behind may hold the pipes open for longer.
        let _ = poll(LAST_WORDS, || self.readers.iter().all(std::thread::JoinHandle::is_finished).then_some(()));
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.describe());
        }
    }
}

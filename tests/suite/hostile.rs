//! Test set G where text is printed: plain mode, replay, report, log, and the transcript itself. Hostile text comes in every
//! way it can (chat, reasons, output of a command, a file the plan names) and no byte of what comes out acts on a terminal.
//! The same set on the screen is among the screen's own tests.

use crate::support::hostile::{PAYLOADS, as_text, foreign, harm};
use crate::support::program::{Plain, Stage, program, run};
use crate::support::wait::{PATIENCE, poll};
use crosscheck::cli::out::Harmless;
use crosscheck::event::Covers;
use crosscheck::exec::{Opened, Report, Screen, Size};
use crosscheck::plan::{Io, Params, Plan};
use std::io::Write as _;
use std::sync::{Arc, Mutex};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

/// A step that prints every payload, beside a file that holds them all.
const PLAN: &str = r#"
crosscheck = 1
name = "Hostile"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org"]
[params.word]
default = "x"
[[step]]
id = "print"
class = "critical"
run = "cat payloads; printf '\\030\\033\\\\\\r\\nall %s\\r\\n' printed"
files = ["payloads"]
[[step]]
id = "word"
run = ["true", "{{ word }}"]
"#;

/// Text of a payload that fits into one line of input, beside its number.
fn chatted(index: usize, payload: &[u8]) -> String {
    format!("Q{index:02}Q{}", as_text(payload))
}

fn stage() -> Stage {
    let stage = Stage::new(PLAN);
    let all: Vec<u8> = PAYLOADS.iter().flat_map(|(_, payload)| [payload, &b"\x18\x1b\\\r\n"[..]].concat()).collect();
    std::fs::write(stage.path("payloads"), all).unwrap();
    stage
}

/// What stands under that number in printed text.
fn of_payload(text: &str, index: usize) -> Vec<&str> {
    text.lines().filter(|line| line.contains(&format!("Q{index:02}Q"))).collect()
}

/// Every payload was printed there, and nothing of it, or of anything else there, is harmful.
fn sink(name: &str, bytes: &[u8]) -> usize {
    assert_eq!(harm(bytes), None, "{name}");
    let text = std::str::from_utf8(bytes).unwrap();
    for (index, (payload, _)) in PAYLOADS.iter().enumerate() {
        assert!(!of_payload(text, index).is_empty(), "{name}: nothing of {payload:?}");
    }
    PAYLOADS.len()
}

fn fly(lead: &Plain, dba: &Plain) {
    for (index, (_, payload)) in PAYLOADS.iter().enumerate() {
        // The payloads of the set hold no line end, so each is one line of input.
        lead.ok(&format!("say {}", chatted(index, payload)));
    }
    dba.say(&format!("andon {}", as_text(PAYLOADS[0].1)));
    dba.answer();
    for who in [dba, lead] {
        who.say("release");
        who.answer();
    }
    lead.say(&format!("arm {}", as_text(PAYLOADS[8].1)));
    lead.answer();
    lead.say(&as_text(PAYLOADS[11].1));
    lead.answer();
    lead.ok("arm print");
    dba.expect("--- digest");
    dba.ok("check");
    lead.ok("run");
    lead.expect("print done");
}

#[test]
fn nothing_that_is_printed_acts_on_a_terminal() {
    let stage = stage();
    let mut hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    fly(&lead, &dba);
    lead.ok("close");
    assert!(hub.wait().success());
    let transcript = stage.transcript_file();
    let file = transcript.to_str().unwrap();
    let mut cases = sink("plain mode", lead.printed().as_bytes());
    sink("plain mode of another", dba.printed().as_bytes());
    assert_eq!(harm(hub.printed().as_bytes()), None, "what the hub prints");

    let (status, replayed, err) = run(&stage.home("reader"), &["replay", "--plain", file]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    cases += sink("replay", replayed.as_bytes());
    let (status, report, err) = run(&stage.home("reader"), &["report", file]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    cases += sink("report", report.as_bytes());
    assert_eq!(std::fs::read(transcript.with_extension("md")).unwrap(), report.as_bytes());

    // `cat` of the transcript: as it lies on disk, no control but line ends. What only cannot be seen stands there as it is,
    // because a line is what was said; it moves nothing on a terminal.
    let bytes = std::fs::read(&transcript).unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    let acts = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert_eq!(text.chars().find(|c| acts(*c)), None, "the transcript");
    for index in 0..PAYLOADS.len() {
        assert!(!of_payload(text, index).is_empty(), "the transcript: nothing of {index}");
        cases += 1;
    }

    // The log: entries with fields, as the hub writes them.
    let log = Log::default();
    let shared = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || Harmless::new(shared.clone(), true)).finish();
    tracing::subscriber::with_default(subscriber, || {
        for (index, (_, payload)) in PAYLOADS.iter().enumerate() {
            let text = format!("{}\nforged", chatted(index, payload));
            tracing::warn!(error = %text, "{text}");
        }
    });
    let logged = log.0.lock().unwrap().clone();
    cases += sink("log", &logged);
    let lines = String::from_utf8(logged).unwrap().lines().count();
    assert_eq!(lines, PAYLOADS.len(), "one line an entry");
    // Not by println: what a passing test prints is swallowed.
    let _ = writeln!(std::io::stderr(), "set G: {cases} cases in what is printed");
    assert_eq!(cases, 240);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);
impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn errors_that_quote_what_was_given_are_harmless() {
    let stage = stage();
    let home = stage.home("somebody");
    let mut quoted = 0;
    for (name, payload) in PAYLOADS {
        let text = as_text(payload);
        if text.contains('\0') {
            continue; // no argument of a program can hold it
        }
        let with_plan = |line: &str| {
            let plan = stage.path("hostile.toml");
            std::fs::write(&plan, format!("{PLAN}{line}\n")).unwrap();
            plan.to_str().unwrap().to_owned()
        };
        let as_plan = with_plan(&format!("title = \"{}\"", text.replace(['\\', '"'], "")));
        let no_such_file = stage.path("none").join(text.replace('/', "|"));
        for args in [
            vec!["join", &text],
            vec!["join", &format!("@{text}")],
            vec!["lint", &as_plan],
            vec!["lint", no_such_file.to_str().unwrap()],
            vec!["replay", "--plain", no_such_file.to_str().unwrap()],
            vec!["new", "reindex", &text],
            vec![&text],
            vec!["serve", stage.plan().to_str().unwrap(), "--param", &format!("word={text}")],
        ] {
            let mut command = program(&home);
            let output = command.args(&args).current_dir(&home).stdin(std::process::Stdio::null()).output().unwrap();
            let marks = name == "stacked marks";
            assert!(!output.status.success() || args[0] == "new" || marks, "{name}: {args:?} was accepted");
            assert_eq!(harm(&output.stdout), None, "{name}: {args:?}");
            assert_eq!(harm(&output.stderr), None, "{name}: {args:?}");
            quoted += 1;
            if marks {
                break; // visible, and so no reason to refuse a parameter: a hub would start
            }
        }
    }
    assert!(quoted > 300, "{quoted}");
}

/// The cockpit in a terminal of its own, as its bytes come out of the kernel.
struct InTerminal {
    bytes: Vec<u8>,
    screen: Screen,
    reports: tokio::sync::mpsc::Receiver<Report>,
    running: crosscheck::exec::Running,
}

const SIZE: Size = Size { cols: 140, rows: 45 };

impl InTerminal {
    /// Joins as that person on a screen.
    fn join(stage: &Stage, who: &str) -> InTerminal {
        let link = stage.links()[who].clone();
        let plan = format!(
            "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"a@b\"]\n[[step]]\nid = \"join\"\nrun = [\"{}\", \"join\", \"{link}\"]\ninput = \"lead\"\n",
            env!("CARGO_BIN_EXE_crosscheck")
        );
        let plan = Plan::parse("plan", &plan).unwrap();
        let step = &plan.steps[0];
        let command = step.command().unwrap();
        assert_eq!(command.io, Io::Pty);
        let mut covers: Covers =
            crosscheck::exec::freeze(&plan, step, &Params::new(), &stage.home(who), 1, vec![], &Default::default())
                .unwrap();
        covers.command.env.insert("HOME".into(), stage.home(who).to_str().unwrap().into());
        covers.command.env.insert("XDG_STATE_HOME".into(), stage.home(who).join("state").to_str().unwrap().into());
        let opened: Opened<'_> = crosscheck::exec::open(&covers.command, command, &Params::new()).unwrap();
        let (sender, reports) = tokio::sync::mpsc::channel(64);
        let running = crosscheck::exec::start(opened, SIZE, sender, None, &Default::default()).unwrap();
        InTerminal { bytes: vec![], screen: Screen::new(SIZE), reports, running }
    }

    /// Reads until that stands on the screen.
    fn expect(&mut self, text: &str) {
        let shown = |screen: &Screen| (0..SIZE.rows).any(|row| screen.row(row).contains(text));
        let found = poll(PATIENCE, || {
            while let Ok(report) = self.reports.try_recv() {
                if let Report::Output(bytes) = report {
                    self.screen.feed(&bytes);
                    self.bytes.extend(bytes);
                }
            }
            shown(&self.screen).then_some(())
        });
        let rows: Vec<_> = (0..SIZE.rows).map(|row| self.screen.row(row)).collect();
        assert!(found.is_some(), "{text:?} never came:\n{}", rows.join("\n"));
    }
}

impl Drop for InTerminal {
    fn drop(&mut self) {
        let _ = self.running.interrupt(true);
    }
}

#[test]
fn a_cockpit_s_terminal_gets_only_the_cockpit_s_sequences() {
    let stage = stage();
    let _hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    let mut screen = InTerminal::join(&stage, DBA);
    screen.expect("print");
    for (index, (_, payload)) in PAYLOADS.iter().enumerate() {
        lead.ok(&format!("say {}", chatted(index, payload)));
        screen.expect(&format!("Q{index:02}Q"));
    }
    lead.ok("arm print");
    screen.expect("ARMED");
    let dba = stage.join(DBA);
    dba.expect("--- digest");
    dba.ok("check");
    lead.ok("run");
    screen.expect("all printed");
    // Before there is a screen the key is told, a line of its own on the terminal.
    let begin = screen.bytes.windows(8).position(|bytes| bytes == b"\x1b[?1049h").expect("the cockpit's own screen");
    let (before, cockpit) = screen.bytes.split_at(begin);
    let told = String::from_utf8_lossy(before);
    assert!(
        told.starts_with("signing with a key made for this session, SHA256:") && told.ends_with("\r\n"),
        "{told:?}"
    );
    assert_eq!(harm(told.replace("\r\n", "\n").as_bytes()), None);
    assert_eq!(foreign(cockpit), None);
    assert!(screen.bytes.len() > 10_000, "{} bytes", screen.bytes.len());
}

//! What a started command sees, and what is reported of it.

use super::*;
use crate::event::{LeftSeen, RunEnd};
use crate::exec::{Opened, Report, Running, Size, StartError, is_alive, open, start};
use crate::secret::{Given, Needles, SecretEnv, Value, Values};
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

const SIZE: Size = Size { cols: 91, rows: 17 };
/// What no test comes near unless something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A run and what it has reported so far.
pub struct Watched {
    pub running: Running,
    reports: Receiver<Report>,
    output: Vec<u8>,
    chunks: Vec<Vec<u8>>,
    end: Option<RunEnd>,
    pub waits: Vec<(RunEnd, LeftSeen)>,
    pub left: Vec<LeftSeen>,
}
impl Watched {
    /// Of a command that names no files.
    pub fn start(covers: &CommandSeen) -> Result<Self, StartError> {
        Self::opened(open(covers, &command(Io::Pipe, &["true"]), &params())?)
    }
    pub fn opened(opened: Opened<'_>) -> Result<Self, StartError> {
        Self::given(opened, &Given::default())
    }
    fn start_given(covers: &CommandSeen, given: &Given) -> Result<Self, StartError> {
        Self::given(open(covers, &command(Io::Pipe, &["true"]), &params())?, given)
    }
    fn given(opened: Opened<'_>, given: &Given) -> Result<Self, StartError> {
        let (sender, reports) = tokio::sync::mpsc::channel(4);
        let running = start(opened, SIZE, sender, None, given)?;
        Ok(Self { running, reports, output: vec![], chunks: vec![], end: None, waits: vec![], left: vec![] })
    }
    fn command(command: &Command) -> Self {
        let covers = frozen(command, &std::env::temp_dir()).unwrap();
        Self::start(&covers).unwrap()
    }
    /// Whether there was another report.
    pub async fn next(&mut self) -> bool {
        let report = tokio::time::timeout(LIMIT, self.reports.recv()).await;
        match report.unwrap_or_else(|_| panic!("no report, so far: {:?}", self.text())) {
            Some(Report::Output(chunk)) => {
                assert_eq!(self.end, None, "output after the end");
                self.output.extend(&chunk);
                self.chunks.push(chunk);
            }
            Some(Report::Waits(end, of)) => self.waits.push((end, of)),
            Some(Report::Left(of)) => self.left.push(of),
            Some(Report::Ended(end)) => assert_eq!(self.end.replace(end), None, "a second end"),
            None => return false,
        }
        true
    }
    pub async fn until(&mut self, text: &str) {
        while !self.text().contains(text) {
            assert!(self.next().await, "{text:?} never came: {:?}", self.text());
        }
    }
    /// The rest of it.
    pub async fn end(&mut self) -> (String, RunEnd) {
        while self.next().await {}
        assert_eq!(self.running.waits(), 0);
        (self.text(), self.end.clone().expect("no end"))
    }
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).replace("\r\n", "\n")
    }
}

async fn run(command: Command) -> (String, RunEnd) {
    Watched::command(&command).end().await
}

const BOTH: [Io; 2] = [Io::Pty, Io::Pipe];

#[tokio::test]
async fn ends_are_told_apart() {
    for io in BOTH {
        assert_eq!(run(shell(io, "echo out; echo err >&2")).await, ("out\nerr\n".into(), RunEnd::Exited { code: 0 }));
        assert_eq!(run(shell(io, "exit 7")).await.1, RunEnd::Exited { code: 7 });
        assert_eq!(run(shell(io, "kill -SEGV $$")).await.1, RunEnd::Signalled { signal: 11, asked: false });
        assert_eq!(run(command(io, &["false"])).await, (String::new(), RunEnd::Exited { code: 1 }));
    }
}

#[tokio::test]
async fn a_pty_is_a_terminal_and_a_pipe_is_none() {
    let test =
        "test -t 0 && echo in; cat; test -t 1 && echo out; test -t 2 && echo err; (: </dev/tty) && echo tty; true";
    assert_eq!(run(shell(Io::Pty, &format!("{test}; stty size </dev/tty"))).await.0, "out\nerr\ntty\n17 91\n");
    let (text, end) = run(shell(Io::Pipe, &format!("({test}) 2>/dev/null; cat; echo $TERM"))).await;
    assert_eq!((text.as_str(), end), ("dumb\n", RunEnd::Exited { code: 0 }), "/dev/null is its input");
}

#[tokio::test]
async fn reading_ends_where_nobody_may_type_and_goes_on_where_the_lead_may() {
    let ask = |input| Command { input, ..shell(Io::Pty, "test -t 0 && echo in; timeout 0.2 cat || echo $?") };
    assert_eq!(run(ask(crate::plan::Input::None)).await.0, "");
    assert_eq!(run(ask(crate::plan::Input::Lead)).await.0, "in\n124\n");
    // Whoever reads the terminal itself waits, and that is seen.
    let folder = tempfile::tempdir().unwrap();
    for (asks, text) in
        [(true, "read x </dev/tty"), (true, "stty -echo </dev/tty; read x </dev/tty"), (false, "exec sleep 30")]
    {
        let watched = Watched::start(&frozen(&shell(Io::Pty, text), folder.path()).unwrap()).unwrap();
        let end = std::time::Instant::now() + Duration::from_secs(if asks { 20 } else { 1 });
        while !watched.running.waits_for_keys() && std::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(watched.running.waits_for_keys(), asks, "{text}");
        watched.running.interrupt(true).unwrap();
    }
}

#[tokio::test]
async fn environment_arguments_and_folder_are_the_frozen_ones() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    let mut command =
        shell(Io::Pipe, "pwd; env | cut -d= -f1 | grep -v -e PWD -e _ -e SHLVL | sort | tr '\\n' ' '; echo $A");
    command.env.insert("A".into(), template("b c"));
    let (text, _) = Watched::start(&frozen(&command, &dir).unwrap()).unwrap().end().await;
    assert_eq!(text, format!("{}\nA HOME LANG PATH TERM USER b c\n", dir.display()));
}

#[tokio::test]
async fn a_script_found_by_a_link_sees_the_link_s_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "real/wrapper", "#!/bin/sh\nbasename $0\n", 0o755);
    std::os::unix::fs::symlink("real/wrapper", folder.path().join("psql")).unwrap();
    let covers = frozen(&command(Io::Pipe, &["./psql"]), folder.path()).unwrap();
    assert!(covers.exe.path.ends_with("real/wrapper"));
    assert_eq!(Watched::start(&covers).unwrap().end().await.0, "psql\n");
    // Turned elsewhere between the check and the run it does not start.
    std::fs::remove_file(folder.path().join("psql")).unwrap();
    std::os::unix::fs::symlink("/bin/true", folder.path().join("psql")).unwrap();
    let error = Watched::start(&covers).map(|_| ()).unwrap_err();
    assert!(matches!(error, StartError::Changed { .. }), "{error}");
}

#[tokio::test]
async fn input_is_fed_and_ends() {
    for (text, echoed) in [("a\nb\n", "a\nb\n"), ("no line end", "no line end"), ("", "")] {
        for io in BOTH {
            let mut command = shell(io, "stty -echo 2>/dev/null || true; cat; echo '|'");
            command.stdin = Some(Stdin::Text(template(text)));
            let (out, end) = run(command).await;
            assert!(out.ends_with(&format!("{echoed}|\n")), "{io:?} {text:?}: {out:?}");
            assert_eq!(end, RunEnd::Exited { code: 0 });
        }
    }
    // More than any buffer holds, to one that reads it and to one that does not.
    for io in BOTH {
        let text = "x".repeat(999) + "\n";
        let mut command = shell(io, "wc -l");
        command.stdin = Some(Stdin::Text(template(&text.repeat(300))));
        let (out, end) = run(command.clone()).await;
        assert!(out.ends_with("300\n"), "{io:?} {:?}", &out[out.len().saturating_sub(80)..]);
        assert_eq!(end, RunEnd::Exited { code: 0 });
        command.run = Run::Shell(template("exit 3"));
        assert_eq!(run(command).await.1, RunEnd::Exited { code: 3 });
    }
}

#[tokio::test]
async fn a_closed_output_is_not_the_end() {
    for io in BOTH {
        let (text, end) = run(shell(io, "echo a; exec >/dev/null 2>&1 </dev/null; read x </dev/null || exit 4")).await;
        assert_eq!((text.as_str(), end), ("a\n", RunEnd::Exited { code: 4 }), "{io:?}");
    }
}

#[tokio::test]
async fn a_timeout_asks_and_then_kills() {
    for io in BOTH {
        let timeout = Some(Duration::from_millis(100));
        let polite = Command { timeout, ..shell(io, "trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done") };
        let (text, end) = run(polite).await;
        assert!(text.ends_with("bye\n"), "{io:?}: {text:?}"); // the shell may say that its sleep was ended, too
        assert_eq!(end, RunEnd::TimedOut { after_ms: 100 });
    }
    let deaf = Command { timeout: Some(Duration::from_millis(50)), ..shell(Io::Pipe, "trap '' TERM; sleep 30") };
    assert_eq!(run(deaf).await.1, RunEnd::TimedOut { after_ms: 50 });
    let quick = Command { timeout: Some(Duration::from_secs(3600)), ..command(Io::Pipe, &["true"]) };
    assert_eq!(run(quick).await.1, RunEnd::Exited { code: 0 });
}

#[tokio::test]
async fn an_interrupt_reaches_the_foreground_and_force_reaches_all() {
    for io in BOTH {
        let mut watched = Watched::command(&shell(io, "echo ready; exec sleep 30"));
        watched.until("ready").await;
        assert!(is_alive(&watched.running.process));
        watched.running.interrupt(false).unwrap();
        assert_eq!(watched.end().await.1, RunEnd::Signalled { signal: 2, asked: true });
        assert!(!is_alive(&watched.running.process));
        assert!(watched.running.interrupt(true).is_err());

        let mut watched = Watched::command(&shell(io, "trap '' INT; sh -c 'echo $$; exec sleep 30'"));
        watched.until("\n").await;
        watched.running.interrupt(false).unwrap();
        watched.running.interrupt(true).unwrap();
        assert_eq!(watched.end().await.1, RunEnd::Signalled { signal: 9, asked: true });

        let mut watched = Watched::command(&shell(io, "trap 'exit 130' INT; echo ready; while :; do sleep 0.05; done"));
        watched.until("ready").await;
        watched.running.interrupt(false).unwrap();
        assert_eq!(watched.end().await.1, RunEnd::Exited { code: 130 });
    }
}

#[tokio::test]
async fn eight_megabytes_arrive_whole_and_in_order() {
    for io in BOTH {
        let mut watched = Watched::command(&shell(io, "seq -f '%079.0f' 100000"));
        let (text, end) = watched.end().await;
        assert_eq!((text.len(), end), (8_000_000, RunEnd::Exited { code: 0 }));
        assert!(text.lines().zip(1..).all(|(line, number)| line.parse() == Ok(number)), "{io:?}: out of order");
        assert!(watched.chunks.iter().all(|chunk| chunk.len() <= 16 * 1024));
    }
}

#[tokio::test]
async fn chunks_are_cut_between_characters_and_other_bytes_pass_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let text = "ö漢😀x".repeat(30_000);
    write(folder.path(), "text", &text, 0o644);
    let raw: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    write(folder.path(), "raw", &raw, 0o644);
    for (io, shell_text) in [(Io::Pipe, "cat"), (Io::Pty, "stty raw </dev/tty; cat")] {
        let mut watched =
            Watched::start(&frozen(&shell(io, &format!("{shell_text} text")), folder.path()).unwrap()).unwrap();
        watched.end().await;
        assert!(watched.output == text.as_bytes());
        assert!(watched.chunks.len() > 10 && watched.chunks.iter().all(|chunk| std::str::from_utf8(chunk).is_ok()));
        let mut watched =
            Watched::start(&frozen(&shell(io, &format!("{shell_text} raw")), folder.path()).unwrap()).unwrap();
        watched.end().await;
        assert!(watched.output == raw, "{io:?}");
    }
    // A character of which the first half came alone is whole in the end, and half a one at the end is passed on.
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let halves = shell(Io::Pipe, "printf 'a\\303'; read go <fifo; printf '\\266b'; printf '\\303'");
    let mut watched = Watched::start(&frozen(&halves, folder.path()).unwrap()).unwrap();
    watched.until("a").await;
    tokio::task::spawn_blocking(move || std::fs::write(fifo, "go\n")).await.unwrap().unwrap();
    watched.end().await;
    assert_eq!(watched.output, b"a\xc3\xb6b\xc3");
    assert!(watched.chunks.iter().all(|chunk| !chunk.starts_with(b"\xb6")), "{:?}", watched.chunks);
}

/// Whoever asks its terminal for a name, a place or a setting asks a screen that does not talk back: what an answer says
/// could otherwise be typed in the name of nobody.
#[tokio::test]
async fn queries_are_answered_by_nobody() {
    let text = r"exec </dev/tty; stty -echo -icanon min 0 time 3; printf '\033[c\033[>c\033[5n\033[6n\033P$qm\033\\\033]52;c;?\007'; dd bs=99 count=1 2>/dev/null | wc -c";
    let mut watched = Watched::command(&shell(Io::Pty, text));
    let mut screen = crate::exec::Screen::new(SIZE);
    while watched.next().await {
        screen.feed(&watched.output); // as the hub does, while the command waits for its answer
    }
    assert!(watched.text().ends_with("0\n"), "{:?}", watched.text());
}

#[tokio::test]
async fn a_new_size_reaches_the_command() {
    let text = "trap 'stty size </dev/tty; exit 0' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut watched = Watched::command(&shell(Io::Pty, text));
    watched.until("ready").await;
    watched.running.resize(Size { cols: 132, rows: 43 }).unwrap();
    assert_eq!(watched.end().await.0, "ready\n43 132\n");
    watched.running.resize(SIZE).unwrap();
}

#[tokio::test]
async fn it_is_in_a_session_of_its_own_and_nothing_is_ignored() {
    for io in BOTH {
        let text = "cut -d' ' -f1,5,6 /proc/$$/stat; grep -e SigIgn -e SigBlk /proc/self/status";
        let mut watched = Watched::command(&shell(io, text));
        let (text, _) = watched.end().await;
        let pid = watched.running.process.pid;
        let session = watched.running.keeper.as_ref().unwrap().pid;
        assert!(text.starts_with(&format!("{pid} {pid} {session}\n")), "{text}");
        let masks = text.lines().filter_map(|line| u64::from_str_radix(line.split_once(":\t")?.1, 16).ok());
        // 32 and 33 belong to the C library, which lets nobody change them.
        let masks: Vec<u64> = masks.map(|mask| mask & !(0b11 << 31)).collect();
        assert_eq!(masks, [0, 0], "{text}");
        let open =
            run(shell(io, "ls -l /proc/self/fd | grep -c -v -e ' [012] ->' -e ' 3 ->' -e total || true")).await.0;
        assert_eq!(open, "0\n", "nothing of the hub's is inherited");
    }
}

#[tokio::test]
async fn what_cannot_start_says_so_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap();
    write(&dir, "work/tool", "#!/bin/sh\n", 0o755);
    write(&dir, "binary", b"\x7fELF and then nonsense", 0o755);
    let mut step_ = command(Io::Pty, &["./tool"]);
    step_.cwd = Some(template("work"));
    let covers = frozen(&step_, &dir).unwrap();
    let error = |covers: &CommandSeen| Watched::start(covers).map(|_| ()).unwrap_err();

    let nonsense = error(&frozen(&command(Io::Pipe, &["./binary"]), &dir).unwrap()).to_string();
    assert!(nonsense.contains("binary") && nonsense.contains("no binary for this machine"), "{nonsense}");
    assert!(matches!(error(&CommandSeen { io: "socket".into(), ..covers.clone() }), StartError::Io(_)));
    write(&dir, "work/tool", "#!/bin/sh\nexit 1\n", 0o755);
    let changed = error(&covers).to_string();
    assert!(changed.contains("tool changed") && changed.contains("arm the step again"), "{changed}");
    std::fs::remove_dir_all(dir.join("work")).unwrap();
    assert!(matches!(error(&covers), StartError::Cwd { .. }));
}

#[tokio::test]
async fn a_hub_that_stopped_listening_does_not_stop_the_command() {
    let folder = tempfile::tempdir().unwrap();
    for io in BOTH {
        let covers = frozen(&shell(io, "read go <fifo; seq 100000; echo done >witness"), folder.path()).unwrap();
        let fifo = folder.path().join("fifo");
        let witness = folder.path().join("witness");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        nix::unistd::mkfifo(&witness, nix::sys::stat::Mode::S_IRWXU).unwrap();
        drop(Watched::start(&covers).unwrap());
        let told = tokio::task::spawn_blocking(move || {
            std::fs::write(fifo, "go\n").unwrap();
            std::fs::read_to_string(witness).unwrap()
        });
        assert_eq!(tokio::time::timeout(LIMIT, told).await.unwrap().unwrap(), "done\n");
        std::fs::remove_file(folder.path().join("fifo")).unwrap();
        std::fs::remove_file(folder.path().join("witness")).unwrap();
    }
}

#[tokio::test]
async fn a_command_can_be_found_by_its_note_while_it_lives_and_not_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let note = dir.path().join("go-1.pid");
    let command = shell(Io::Pty, "read -r line </dev/tty; echo \"$line\"");
    let covers = frozen(&command, dir.path()).unwrap();
    let (sender, mut reports) = tokio::sync::mpsc::channel(16);
    let running =
        start(open(&covers, &command, &params()).unwrap(), SIZE, sender, Some(&note), &Given::default()).unwrap();
    assert_eq!(crate::exec::noted(&note), Some((running.process.clone(), running.keeper.clone())));
    running.interrupt(true).unwrap();
    while reports.recv().await.is_some() {}
    assert_eq!(crate::exec::noted(&note), None);
    // Another process that happens to have the number now is somebody else: it is no session of its own, or not as old.
    std::fs::write(&note, "1").unwrap();
    assert_eq!(crate::exec::noted(&note), None);
    std::fs::write(&note, "no number").unwrap();
    assert_eq!(crate::exec::noted(&note), None);
}

const SECRET: &str = "hunter2 \"hunter2\"";

/// A command with a secret, as the hub gives it one.
fn secretive(command: &Command) -> (CommandSeen, Given) {
    let value = Value::new(SECRET.as_bytes().to_vec().into()).unwrap();
    let covers = CommandSeen {
        secrets: [("KEY".to_owned(), Hash::of(b"salted"))].into(),
        ..frozen(command, Path::new("/")).unwrap()
    };
    let env = SecretEnv::fill(command, &Params::new(), &Values::from([("KEY".to_owned(), value.clone())])).unwrap();
    let needles = Needles::new([("KEY", value.expose())]).unwrap().map(Arc::new);
    (covers, Given { env, needles })
}

fn with_secret(io: Io, text: &str) -> Command {
    Command { env: [("TOKEN".to_owned(), template("t:{{ secret.KEY }}"))].into(), ..shell(io, text) }
}

#[tokio::test]
async fn a_secret_reaches_its_command_and_no_output_of_it() {
    for io in BOTH {
        let text = "test $(printf %s \"$TOKEN\" | wc -c) -eq 19; echo \"$TOKEN\"; printf '%s' \"$TOKEN\" | base64; env | grep TOKEN >&2; echo end";
        let (covers, given) = secretive(&with_secret(io, text));
        assert_eq!(covers.env["TOKEN"], "t:secret:KEY");
        assert!(!serde_json::to_string(&covers).unwrap().contains("hunter2"));
        let (out, end) = Watched::start_given(&covers, &given).unwrap().end().await;
        assert_eq!(end, RunEnd::Exited { code: 0 }, "{out}");
        let lines: Vec<_> = out.lines().collect();
        assert_eq!((lines[0], lines[2], lines[3]), ("t:[secret KEY]", "TOKEN=t:[secret KEY]", "end"));
        assert!(lines[1].contains("[secret KEY]") && lines[1].len() < 20, "{out}");
    }
    // What is frozen as secret does not start without its values, nor the other way round.
    let (covers, given) = secretive(&with_secret(Io::Pipe, "true"));
    let refused = |covers: &CommandSeen, given: &Given| Watched::start_given(covers, given).map(|_| ()).unwrap_err();
    assert!(matches!(refused(&covers, &Given::default()), StartError::Secrets));
    assert!(matches!(refused(&CommandSeen { secrets: BTreeMap::new(), ..covers }, &given), StartError::Secrets));
}

#[tokio::test]
async fn a_secret_in_two_writes_is_held_back_until_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let halves = format!("printf 'now hunter2 '; cat {0}; printf '\"hunter2\"'; printf 'hunter2 \"h'", gate.display());
    let (covers, given) = secretive(&with_secret(Io::Pipe, &halves));
    let mut watched = Watched::start_given(&covers, &given).unwrap();
    // A second of silence shows that something came, and no more of it.
    watched.until("now hu").await;
    assert_eq!(watched.text(), "now hu");
    std::fs::write(&gate, "").unwrap();
    // At the end no half of a secret comes to light, though nothing completes it.
    assert_eq!(watched.end().await.0, "now hu[secret KEY][secret KEY]");
}

#[tokio::test]
async fn much_output_with_secrets_comes_in_whole_chunks() {
    let text = "i=0; while [ $i -lt 4000 ]; do echo \"é$i $TOKEN.\"; i=$((i+1)); done";
    let (covers, given) = secretive(&with_secret(Io::Pty, text));
    let mut watched = Watched::start_given(&covers, &given).unwrap();
    let (out, _) = watched.end().await;
    let wanted: String = (0..4000).map(|i| format!("é{i} t:[secret KEY].\n")).collect();
    assert!(out == wanted, "{}", &out[..200.min(out.len())]);
    for chunk in &watched.chunks {
        assert!(chunk.len() <= 16 * 1024 && std::str::from_utf8(chunk).is_ok());
    }
}

//! A terminal per participant, held by a tmux server of the test's own: fixed size, no one's configuration.
//!
//! In each terminal runs a shell, and the program in it, so that a test sees what the terminal is like once the program has
//! left. Start at [`Terminals`].

use super::inherited::fresh;
use super::program::{Stage, program};
use super::wait::{PATIENCE, poll};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long a screen is given to answer a key before the key is pressed again.
const ANSWER: Duration = Duration::from_millis(400);
/// What the shell prompts with: nothing that a cockpit prints.
const PROMPT: &str = "sh-is-back>";

/// Of the terminal: whether it is on the alternate screen, shows a cursor, reports the mouse.
const FLAGS: &str = "#{alternate_on} #{cursor_flag} #{mouse_any_flag}";

/// The tmux server. It ends, and everything in it, when it goes out of scope.
pub struct Terminals {
    socket: PathBuf,
}

impl Terminals {
    /// Nothing runs before the first terminal is opened.
    pub fn new(stage: &Stage) -> Self {
        Terminals { socket: stage.path("tmux.socket") }
    }

    /// Opens a terminal of 120x40 with a shell in the participant's home.
    pub fn open<'a>(&'a self, stage: &'a Stage, who: &str) -> Terminal<'a> {
        self.open_as(stage, who, who.split('@').next().expect("a split has a first part"))
    }

    /// The same in a terminal of that name: a person may have several.
    pub fn open_as<'a>(&'a self, stage: &'a Stage, who: &str, name: &str) -> Terminal<'a> {
        let name = name.to_owned();
        let home = stage.home(who);
        let links = stage.links();
        std::fs::write(home.join("link"), &links[who]).expect("a link is written");
        let environment = program(&home);
        let mut shell =
            vec!["env".to_owned(), "-i".to_owned(), "TERM=screen-256color".to_owned(), "LC_ALL=C.UTF-8".to_owned()];
        for (key, value) in environment.get_envs() {
            let value = value.expect("it is set").to_str().expect("it is text");
            shell.push(format!("{}={value}", key.to_str().expect("it is text")));
        }
        shell.extend([format!("PS1={PROMPT} "), "sh".into()]);
        let mut args = vec!["new-session", "-d", "-s", &name, "-x", "120", "-y", "40"];
        args.extend(shell.iter().map(String::as_str));
        self.tmux(&args);
        // Otherwise the size follows clients, of which there are none.
        self.tmux(&["set-option", "-t", &name, "window-size", "manual"]);
        let terminal = Terminal { terminals: self, stage, home, name };
        terminal.shows(PROMPT);
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.arg("-u").args(["-f", "/dev/null", "-S"]).arg(&self.socket).args(args);
        // The server is started by the first of these, and in a terminal of another one it would be told of that.
        tmux.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
        tmux.env("HOME", self.socket.with_file_name("")).env("TERM", "screen-256color").env("LC_ALL", "C.UTF-8");
        let output = fresh(&mut tmux).output();
        let output = output.expect("tmux starts");
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        // Fails where no terminal was ever opened.
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

/// One terminal.
pub struct Terminal<'a> {
    terminals: &'a Terminals,
    stage: &'a Stage,
    home: PathBuf,
    name: String,
}

impl Terminal<'_> {
    /// Joins the session, and waits for the cockpit.
    pub fn join(&self) {
        let line = format!("'{}' join @'{}'", env!("CARGO_BIN_EXE_crosscheck"), self.home.join("link").display());
        self.enter(&line);
        self.until("the cockpit", |screen| screen.contains("LIVE") || screen.contains("REHEARSAL  nothing"));
    }

    /// What the screen shows.
    pub fn screen(&self) -> String {
        self.terminals.tmux(&["capture-pane", "-p", "-t", &self.name])
    }

    /// Presses keys, by tmux's names for them.
    pub fn press(&self, keys: &[&str]) {
        let mut args = vec!["send-keys", "-t", &self.name];
        args.extend(keys);
        self.terminals.tmux(&args);
    }

    /// Types a text and Enter.
    pub fn enter(&self, text: &str) {
        self.terminals.tmux(&["send-keys", "-t", &self.name, "-l", text]);
        self.press(&["Enter"]);
    }

    /// Gives the terminal another size.
    pub fn resize(&self, cols: u16, rows: u16) {
        self.terminals.tmux(&["resize-window", "-t", &self.name, "-x", &cols.to_string(), "-y", &rows.to_string()]);
    }

    /// Waits until the screen shows this, and returns the screen.
    pub fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is like that.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let found = poll(PATIENCE, || {
            last = self.screen();
            wanted(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("{}: no {what:?} on screen:\n{last}\n{}", self.name, self.record()))
    }

    /// Presses what `key` names for the present screen until the transcript is like that. A key may come to nothing, such as
    /// a yes that is pressed before it could be meant.
    pub fn press_until(&self, what: &str, key: impl Fn(&str) -> &'static str, done: impl Fn(&Stage) -> bool) {
        let mut last = String::new();
        let found = poll(PATIENCE, || {
            last = self.screen();
            self.press(&[key(&last)]);
            let _ = poll(ANSWER, || (done(self.stage) || self.screen() != last).then_some(())); // else the key is pressed again
            done(self.stage).then_some(())
        });
        assert!(found.is_some(), "{}: never {what}; the screen was:\n{last}\n{}", self.name, self.record());
    }

    /// The modes of the terminal line, as the shell sees them.
    pub fn modes(&self) -> String {
        let file = self.home.join("modes");
        let _ = std::fs::remove_file(&file);
        // Renamed when it is whole, so that nobody reads half of it.
        self.enter("stty -a > $HOME/modes.part && mv $HOME/modes.part $HOME/modes");
        poll(PATIENCE, || std::fs::read_to_string(&file).ok())
            .unwrap_or_else(|| panic!("{}: the shell is not back:\n{}", self.name, self.screen()))
    }

    /// Waits until the program is gone and the shell prompts; the screen must be the ordinary one, with a cursor.
    pub fn is_back(&self) {
        self.shows(PROMPT);
        let ordinary = poll(PATIENCE, || (self.ask(FLAGS) == "0 1 0").then_some(()));
        assert!(ordinary.is_some(), "alternate screen, cursor, mouse: {}", self.ask(FLAGS));
    }

    /// The process that runs in the shell.
    pub fn child(&self) -> i32 {
        let shell = self.ask("#{pane_pid}");
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("the shell runs");
        children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("the shell runs something")
    }

    fn ask(&self, format: &str) -> String {
        self.terminals.tmux(&["display-message", "-p", "-t", &self.name, format]).trim().to_owned()
    }

    /// The last lines of the transcript, for a failure.
    fn record(&self) -> String {
        let lines = self.stage.transcript();
        let last: Vec<String> = lines[lines.len().saturating_sub(15)..].iter().map(ToString::to_string).collect();
        let short = last.iter().map(|line| line.chars().take(300).collect::<String>());
        short.collect::<Vec<_>>().join("\n")
    }
}

//! The loop: everything that happens comes in one order, everything that waits is taken in, and one frame is drawn.

use super::app::{App, Now, Overlay};
use super::config::{self, Config};
use super::draw::{Glyphs, draw};
use super::terminal::Guard;
use super::theme::{BUILT_IN, DERIVED, Theme, dusk};
use super::update::{Action, Answered, Drawn, Event, ReplayCommand, update};
use crate::brief::keys::Keys;
use crate::client::view::View;
use crate::session::Request;
use crossterm::event::{Event as Terminal, EventStream};
use futures_util::{FutureExt, StreamExt};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// At most fifteen frames a second: more is flicker over SSH.
pub(super) const FRAME: Duration = Duration::from_millis(66);
/// How often ages and dwell are looked at.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// Terminal events taken in before a frame is drawn: more than a person types, and an end to a paste without brackets.
const BATCH: usize = 512;
/// The bell rings at most so often.
const BELL: Duration = Duration::from_secs(2);

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All.
    True,
    /// 256.
    Indexed,
    /// Its own sixteen.
    Ansi,
    /// None.
    Mono,
}

/// How the screen is to look, and where a replay listens.
#[derive(Debug)]
pub struct Options {
    /// The theme to begin with.
    pub theme: Theme,
    /// How many colours there are.
    pub depth: Depth,
    /// Which signs.
    pub glyphs: Glyphs,
    /// Whether the bell rings.
    pub bell: bool,
    /// What each key does.
    pub keys: Keys,
    /// What is wrong with the person's own settings: it is said, and the screen is as it would be without them.
    pub warning: Option<String>,
    /// Where the keys of a replay go.
    pub replay: Option<mpsc::Sender<ReplayCommand>>,
}

impl Options {
    /// From `--theme`, the person's own settings and the environment: `NO_COLOR`, `COLORTERM`, `TERM` and the locale. A theme
    /// that was asked for on the command line has to be there; settings that cannot be used are a warning.
    pub fn from_env(theme: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Options> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let folder = config::folder(&variable);
        let read =
            folder.as_deref().map_or_else(|| Ok(Config::default()), |folder| Config::read(&config::path(folder)));
        let (mut config, mut warning) = match read {
            Ok(config) => (config, None),
            Err(error) => (Config::default(), Some(format!("{error:#}"))),
        };
        let theme = match (theme, config.theme.take()) {
            (Some(asked), _) => Theme::find(asked, folder.as_deref())?,
            (None, Some(own)) => Theme::find(&own, folder.as_deref()).unwrap_or_else(|error| {
                warning = Some(format!("{error:#}"));
                dusk()
            }),
            (None, None) => dusk(),
        };
        let term = set("TERM").unwrap_or_default();
        let depth = match set("COLORTERM").as_deref() {
            _ if set("NO_COLOR").is_some() => Depth::Mono,
            Some("truecolor" | "24bit") => Depth::True,
            _ if term.contains("direct") => Depth::True,
            _ if term.contains("256color") => Depth::Indexed,
            _ => Depth::Ansi,
        };
        let locale =
            set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default().to_lowercase();
        let glyphs = config.glyphs.unwrap_or(match locale.contains("utf-8") || locale.contains("utf8") {
            true => Glyphs::Unicode,
            false => Glyphs::Ascii,
        });
        Ok(Options { theme, depth, glyphs, bell: config.bell, keys: config.keys, warning, replay: None })
    }

    pub(super) fn shown(&self, theme: &Theme) -> Theme {
        match self.depth {
            Depth::True => theme.clone(),
            Depth::Indexed => theme.indexed(),
            Depth::Ansi => theme.ansi(),
            Depth::Mono => Theme::mono(),
        }
    }
}

/// Why the screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The person left.
    Left,
    /// Nobody sends views any more.
    Ended,
    /// A signal asked for it.
    Signalled,
}

/// Draws `view` until the person leaves. Wishes go to `ask`, which must not wait; what came of each comes back by `answers`.
pub async fn run(
    mut view: watch::Receiver<View>,
    mut ask: impl FnMut(Request) + 'static,
    mut answers: mpsc::UnboundedReceiver<Answered>,
    options: Options,
) -> anyhow::Result<Exit> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut guard = Guard::take()?;
    let size = guard.terminal.size()?;
    let mut app = App::new(size.width, size.height);
    app.keys = options.keys.clone();
    if let Some(warning) = options.warning.as_deref().and_then(|text| text.lines().next()) {
        let text = format!("your own settings are not used: {warning}; `crosscheck config check` says where");
        app.toast(text, true, Duration::ZERO);
    }
    let mut themes = vec![options.theme.clone()];
    themes.extend(
        BUILT_IN
            .iter()
            .map(|(name, _)| *name)
            .chain(DERIVED)
            .filter_map(Theme::built_in)
            .filter(|t| *t != options.theme),
    );
    let mut chosen = 0;
    let mut theme = options.shown(&themes[chosen]);
    let mut keys = EventStream::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let started = Instant::now();
    let mut last_frame: Option<Instant> = None;
    let mut last_second = 0;
    let mut last_bell: Option<Instant> = None;
    let mut dirty = true;
    let mut listening = true;
    let mut sending = true;
    loop {
        let due = last_frame.map_or(started, |at| at + FRAME);
        let mut happened = vec![];
        tokio::select! {
            biased;
            _ = terminate.recv() => return Ok(Exit::Signalled),
            _ = hangup.recv() => return Ok(Exit::Signalled),
            () = tokio::time::sleep_until(due.into()), if dirty => {}
            key = keys.next() => match key {
                Some(key) => happened.extend(taken(key?)),
                None => return Ok(Exit::Ended),
            },
            answered = answers.recv(), if listening => match answered {
                Some(answered) => happened.push(Event::Answered(answered)),
                None => listening = false,
            },
            changed = view.changed(), if sending => match changed {
                Ok(()) => happened.push(Event::View),
                // The end is looked at for as long as the person likes, not until the hub is gone.
                Err(_) if view.borrow().session.closed.is_some() => sending = false,
                Err(_) => return Ok(Exit::Ended),
            },
            _ = tick.tick() => happened.push(Event::Tick),
        }
        while happened.len() < BATCH
            && let Some(Some(key)) = keys.next().now_or_never()
        {
            happened.extend(taken(key?));
        }
        while let Ok(answered) = answers.try_recv() {
            happened.push(Event::Answered(answered));
        }
        let seen = view.borrow_and_update().clone();
        let now = || Now { wall: crate::clock::wall(), mono: started.elapsed() };
        let mut actions = vec![];
        for event in happened {
            // An age changes with its second; a panel counts how long it was looked at; toasts go by themselves.
            let second = started.elapsed().as_secs();
            let waits = matches!(app.overlay, Overlay::Panel(_)) || !app.toasts.is_empty();
            dirty |= event != Event::Tick || second != last_second || waits;
            last_second = second;
            actions.extend(update(&mut app, event, &seen, now()));
        }
        if dirty && last_frame.is_none_or(|at| at.elapsed() >= FRAME) {
            let mut drawn = Drawn::default();
            let shown = now();
            guard.frame(|frame| drawn = draw(frame.buffer_mut(), &app, &seen, &theme, options.glyphs, shown))?;
            last_frame = Some(Instant::now());
            dirty = false;
            actions.extend(update(&mut app, Event::Drawn(drawn), &seen, now()));
        }
        for action in actions {
            match action {
                Action::Ask(request) => ask(request),
                Action::Bell if options.bell && last_bell.is_none_or(|at| at.elapsed() >= BELL) => {
                    guard.bell()?;
                    last_bell = Some(Instant::now());
                }
                Action::Bell => {}
                Action::Replay(command) => {
                    // A replay that is behind drops keys rather than queue them for later.
                    if let Some(replay) = &options.replay {
                        let _ = replay.try_send(command);
                    }
                }
                Action::NextTheme => {
                    chosen = (chosen + 1) % themes.len();
                    theme = options.shown(&themes[chosen]);
                    let name = themes[chosen].name.clone();
                    app.toast(format!("theme {name}"), false, started.elapsed());
                    dirty = true;
                }
                Action::Quit => return Ok(Exit::Left),
            }
        }
    }
}

fn taken(event: Terminal) -> Option<Event> {
    match event {
        Terminal::Key(key) => Some(Event::Key(key)),
        Terminal::Paste(text) => Some(Event::Paste(text)),
        Terminal::Resize(cols, rows) => Some(Event::Resize(cols, rows)),
        Terminal::FocusGained | Terminal::FocusLost | Terminal::Mouse(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_signs_follow_the_environment() {
        let options = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Options::from_env(None, move |name| pairs.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone())).unwrap()
        };
        let bare = options(&[]);
        assert_eq!((bare.depth, bare.glyphs), (Depth::Ansi, Glyphs::Ascii));
        let full = options(&[("COLORTERM", "truecolor"), ("LANG", "de_DE.UTF-8")]);
        assert_eq!((full.depth, full.glyphs), (Depth::True, Glyphs::Unicode));
        assert_eq!(options(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]).depth, Depth::Mono);
        assert_eq!(options(&[("TERM", "xterm-256color"), ("NO_COLOR", "")]).depth, Depth::Indexed);
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path().to_str().expect("a name");
        std::fs::create_dir_all(format!("{home}/crosscheck")).expect("a folder");
        let file = format!("{home}/crosscheck/config.toml");
        std::fs::write(&file, "theme = \"harbour\"\nglyphs = \"ascii\"\nbell = false\n").expect("a file");
        let own = options(&[("XDG_CONFIG_HOME", home), ("LANG", "de_DE.UTF-8")]);
        assert_eq!(
            (own.theme.name.as_str(), own.glyphs, own.bell, own.warning),
            ("harbour", Glyphs::Ascii, false, None)
        );
        for wrong in ["theme = \"nowhere\"\n", "tehme = \"dusk\"\n"] {
            std::fs::write(&file, wrong).expect("a file");
            let own = options(&[("XDG_CONFIG_HOME", home), ("LANG", "de_DE.UTF-8")]);
            assert_eq!((own.theme.name.as_str(), own.glyphs), ("dusk", Glyphs::Unicode));
            assert!(own.warning.is_some(), "{wrong}");
        }
        assert!(Options::from_env(Some("nowhere"), |_| None).unwrap_err().to_string().contains("harbour"));
    }
}

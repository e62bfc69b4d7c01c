//! The terminal as it has to be while a cockpit is on it, and as it was before once it is gone: whatever way that happens.

use anyhow::Context;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is ours now: the panic hook and the guard restore it once, and only then.
static OURS: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// A full frame of 200x60 with colours: one write per frame, not one per cell.
const FRAME_BYTES: usize = 128 * 1024;

/// Holds the terminal until it is dropped.
pub struct Guard {
    /// Where frames go.
    pub terminal: ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Guard {
    /// Takes the terminal: raw mode, alternate screen, bracketed paste.
    pub fn take() -> anyhow::Result<Guard> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            anyhow::bail!("this is not a terminal; --plain needs none");
        }
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore(); // first, so that the message is not drawn on the screen that is about to vanish
                before(info);
            }));
        });
        // crossterm would read NO_COLOR itself and then drop more than colours (a reset after every reversed cell);
        // the `mono` theme has no colours in the first place.
        crossterm::style::force_color_output(true);
        OURS.store(true, Ordering::SeqCst);
        let taken = (|| {
            enable_raw_mode()?;
            execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)?;
            let out = BufWriter::with_capacity(FRAME_BYTES, io::stdout());
            ratatui::Terminal::new(CrosstermBackend::new(out))
        })();
        match taken {
            Ok(terminal) => Ok(Guard { terminal }),
            Err(error) => {
                restore();
                Err(error).context("cannot set up the terminal")
            }
        }
    }

    /// Draws a frame.
    pub fn frame(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        frame(&mut self.terminal, draw)
    }

    /// Rings.
    pub fn bell(&mut self) -> io::Result<()> {
        let out = self.terminal.backend_mut();
        out.write_all(b"\x07")?;
        Write::flush(out)
    }
}

/// Draws a frame in one piece, for terminals that know how.
pub fn frame<W: Write>(
    terminal: &mut ratatui::Terminal<CrosstermBackend<W>>,
    draw: impl FnOnce(&mut ratatui::Frame<'_>),
) -> io::Result<()> {
    queue!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
    let drawn = terminal.draw(draw).map(|_| ());
    queue!(terminal.backend_mut(), EndSynchronizedUpdate)?;
    Write::flush(terminal.backend_mut())?;
    drawn
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back. Errors are of no use here: there is nobody left to show them to.
fn restore() {
    if OURS.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

//! What happens to a screen, and what its loop then has to do.

use super::app::Showing;
use crate::hash::Hash;
use crate::protocol::Refused;
use crate::session::Request;
use crossterm::event::KeyEvent;

/// Something that happened to this screen, in the order it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A key.
    Key(KeyEvent),
    /// Pasted text.
    Paste(String),
    /// Another size.
    Resize(u16, u16),
    /// A new view.
    View,
    /// Time went by.
    Tick,
    /// A frame is on screen.
    Drawn(Drawn),
    /// The hub answered a request of this screen, or nobody will.
    Answered(Answered),
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// What was asked.
    pub request: Request,
    /// Why not, unless it was yes.
    pub refusal: Option<Refused>,
}

/// What a frame showed, as far as rules depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drawn {
    /// The panel: which attempt and digest, and what of it.
    pub panel: Option<(u32, Hash, Showing)>,
    /// Size of the output pane.
    pub output: Option<(u16, u16)>,
    /// Whether the newest thing said is on screen.
    pub chat: bool,
}

/// What the loop has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send it to the hub.
    Ask(Request),
    /// Ring.
    Bell,
    /// Move the replay.
    Replay(ReplayCommand),
    /// Use the next theme.
    NextTheme,
    /// Leave.
    Quit,
}

/// What the person at a replay wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayCommand {
    /// Play or pause.
    PlayPause,
    /// So many seconds on, or back.
    Seconds(i64),
    /// So many events on, or back.
    Events(i64),
    /// So many steps on, or back.
    Steps(i64),
    /// Half the speed.
    Slower,
    /// Twice the speed.
    Faster,
    /// To that tenth of the session.
    Tenth(u8),
}

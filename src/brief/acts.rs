//! The table of acts: everything a person can do, one row each. Keys, footer, help, plain mode's verbs and the manual's pages
//! of keys and verbs come from it; what an act does stands with whoever does it.
//!
//! Rows stand in the order of the footer, the most wanted first.

use Place::{Before, Main, Panel, Replay};

/// Something a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the table's words say what each does
pub enum Act {
    Arm,
    Run,
    Open,
    Check,
    Object,
    ReadBack,
    Withdraw,
    Disarm,
    Settle,
    Ack,
    Rollback,
    Probe,
    Set,
    Edit,
    AdHoc,
    Release,
    Waive,
    Skip,
    BreakGlass,
    Interrupt,
    Kill,
    Type,
    Say,
    Mark,
    Handover,
    Readmit,
    Before,
    Go,
    NoGo,
    Seat,
    Answer,
    Fit,
    Unfit,
    Poll,
    Close,
    Away,
    Here,
    Status,
    Play,
    Rewind,
    Forward,
    PrevEvent,
    NextEvent,
    PrevStep,
    NextStep,
    Slower,
    Faster,
    Tenth(u8),
    NextUnseen,
    Zoom,
    Pane(u8),
    NextPane,
    PrevPane,
    Theme,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Back,
    Quit,
    Help,
    Palette,
    Andon,
}

/// Where a key was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The main screen of a live session.
    Main,
    /// The cross-check panel.
    Panel,
    /// The page on what has to be in order before the first critical step.
    Before,
    /// The main screen of a replay.
    Replay,
}

impl Place {
    /// All of them.
    pub const ALL: [Place; 4] = [Main, Panel, Before, Replay];
    /// Its name, for people.
    pub fn title(self) -> &'static str {
        match self {
            Main => "the main screen",
            Panel => "the cross-check",
            Before => "before the first critical step",
            Replay => "a replay",
        }
    }
}

/// Whom an act is for. The hub asks anew, and says more exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Who {
    Anyone,
    Crew,
    Lead,
    Shadow,
    LeadOrShadow,
    LeadAndShadow,
    ShadowOrSeat,
    Asked,
    Releasers,
}

impl Who {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Who::Anyone => "anyone",
            Who::Crew => "lead, shadow, seat",
            Who::Lead => "lead",
            Who::Shadow => "shadow",
            Who::LeadOrShadow => "lead, shadow",
            Who::LeadAndShadow => "lead and shadow together",
            Who::ShadowOrSeat => "shadow, seat",
            Who::Asked => "who is asked",
            Who::Releasers => "lead, puller, shadow",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What is done.
    pub act: Act,
    /// The keys that do it, by the names that [`super::keys::Keys::act`] takes, and where.
    pub keys: &'static [(&'static str, &'static [Place])],
    /// How plain mode writes it: the verb and what it takes; empty where it has none.
    pub plain: &'static str,
    /// In two words, for the footer; empty where it is not worth the room.
    pub short: &'static str,
    /// Whom it is for.
    pub who: Who,
    /// In a sentence.
    pub help: &'static str,
}

macro_rules! rows {
    ($($act:ident $(($n:literal))?: [$($key:expr),*], $plain:literal, $short:literal, $who:ident, $help:literal;)*) => {
        /// The table.
        pub const TABLE: &[Row] = &[$(Row {
            act: Act::$act $(($n))?,
            keys: &[$($key),*],
            plain: $plain,
            short: $short,
            who: Who::$who,
            help: $help,
        }),*];
    };
}

#[rustfmt::skip]
mod table {
    use super::{Act, Row, Who};
    use super::Place::{Before, Main, Panel, Replay};
rows! {
    Arm: [("a", &[Main])], "arm ID", "arm", Lead, "arm the step: freeze what would run, so that shadows can check exactly that";
    Run: [("r", &[Main])], "run [NOTE]", "run", Lead, "run what is cleared, or say that a manual step is done; the cockpit asks for the step's number";
    Open: [("x", &[Main, Replay])], "", "check", Anyone, "open the cross-check of what is armed";
    Check: [("y", &[Panel])], "check", "check", Shadow, "yes to exactly this digest";
    Object: [("n", &[Panel])], "object WHY", "object", Shadow, "no, and why";
    ReadBack: [("r", &[Panel])], "readback NAME VALUE", "read back", Shadow, "type a field from your own copy of the runbook, where the step asks for it";
    Withdraw: [("u", &[Main])], "withdraw", "withdraw", Shadow, "take your check back";
    Disarm: [("d", &[Main])], "disarm", "disarm", Lead, "let go of what is armed; every check on it ends";
    Settle: [("k", &[Main])], "settle ID done|failed WHY", "settle", Crew, "say how a step that ended badly counts: a shadow or a seat that it is not done, the lead and one of them that it is done all the same";
    Ack: [], "ack TEXT", "", ShadowOrSeat, "take note of a step that failed or was rolled back: it is not done";
    Rollback: [("R", &[Main])], "rollback ID", "roll back", Lead, "undo the step that ended badly, as it was checked with it; the cockpit asks for the step's number";
    Probe: [("P", &[Main])], "probe ID", "probe", Crew, "run the probe of what has to be settled";
    Set: [("p", &[Main])], "set NAME=VALUE [# WHY]", "set", Lead, "give a parameter a value; where the plan has another one it is a deviation and needs a reason";
    Edit: [("e", &[Main])], "edit ID COMMAND # WHY", "edit", Lead, "type another command for the step: a deviation, cross-checked, marked for ever";
    AdHoc: [("o", &[Main])], "adhoc COMMAND # WHY", "ad hoc", Lead, "type and arm a command that the plan does not have";
    Release: [("A", &[Main])], "release", "release", Releasers, "agree that the line goes on";
    Waive: [("w", &[Main])], "waive GATE WHY", "waive", Shadow, "a shadow's exception to one gate, for the next attempt, with a reason";
    Skip: [("S", &[Main])], "skip ID WHY", "skip", LeadAndShadow, "leave a step out: the lead and one shadow, each with a reason";
    BreakGlass: [("B", &[Main])], "break-glass ID WHY", "break glass", Lead, "the lead alone clears what is armed, where the plan allows it and nobody else is there";
    Interrupt: [("i", &[Main])], "interrupt ID", "interrupt", LeadOrShadow, "interrupt what runs, or give up a wait; the cockpit asks for the step's id";
    Kill: [], "kill ID", "", LeadOrShadow, "end by force what runs; in the cockpit: i, then kill and the step's id";
    Type: [("T", &[Main])], "type TEXT", "type", Lead, "type lines to the running command; Esc leaves";
    Say: [("c", &[Main, Panel, Before])], "say TEXT", "chat", Crew, "say something to everyone";
    Mark: [("m", &[Main])], "mark TEXT", "mark", LeadOrShadow, "put a mark on the timeline";
    Handover: [("H", &[Main])], "handover WHO", "hand over", Crew, "hand the lead to somebody, or agree to take it; where the lead is gone, one who may lead and one more take it over";
    Readmit: [("K", &[Main])], "readmit WHO", "", Crew, "let somebody in again who came with another key; two of the crew say so, and the old key is out";
    Before: [("b", &[Main, Replay, Before])], "", "before", Anyone, "seats, checklist, who is fit until when, and the go/no-go poll";
    Go: [("g", &[Before])], "go", "go", Asked, "go, for everything that stands there";
    NoGo: [("n", &[Before])], "no-go WHY", "no-go", Crew, "no-go, and why";
    Seat: [("s", &[Before])], "seat NAME", "seat", Crew, "take your seat";
    Answer: [("e", &[Before])], "answer ID TEXT", "answer", Crew, "answer an item of the checklist; in the cockpit the one that is picked with the arrows";
    Fit: [("f", &[Before])], "fit [until TIME|for TIME]", "fit", Crew, "say that you are fit to fly, and until when; in the cockpit also that you are not";
    Unfit: [], "unfit WHY", "", Crew, "say that you are not fit to fly, and why";
    Poll: [("p", &[Before])], "poll", "poll", Lead, "call the poll; what was answered before counts no more";
    Close: [("Q", &[Main])], "close [NOTE]", "close", Lead, "end the session; the cockpit asks for the word close";
    Away: [], "away", "", Anyone, "say that you are not looking";
    Here: [], "here", "", Anyone, "say that you are back";
    Status: [], "status", "", Anyone, "print where the session stands";
    Play: [("Space", &[Replay])], "", "play", Anyone, "play and pause";
    Rewind: [("Left", &[Replay])], "", "", Anyone, "five seconds back";
    Forward: [("Right", &[Replay])], "", "5 s on", Anyone, "five seconds on";
    PrevEvent: [(",", &[Replay])], "", "", Anyone, "one event back";
    NextEvent: [(".", &[Replay])], "", "event", Anyone, "one event on";
    PrevStep: [("[", &[Replay])], "", "", Anyone, "one step back";
    NextStep: [("]", &[Replay])], "", "step", Anyone, "one step on";
    Slower: [("-", &[Replay])], "", "", Anyone, "half the speed";
    Faster: [("+", &[Replay]), ("=", &[Replay])], "", "faster", Anyone, "twice the speed";
    Tenth(0): [("0-9", &[Replay])], "", "tenth", Anyone, "to that tenth of the session";
    NextUnseen: [("Space", &[Panel])], "", "next unseen", Anyone, "on to what was not on screen for long enough";
    Zoom: [("z", &[Main, Replay])], "", "zoom", Anyone, "let the panel fill the screen, and back";
    Pane(1): [("1-7", &[Main]), ("1-5", &[Panel])], "", "panel", Anyone, "go to a panel of the screen, or to a section of the cross-check";
    NextPane: [("Tab", &[Main, Panel, Replay])], "", "", Anyone, "the next panel or section";
    PrevPane: [("Shift-Tab", &[Main, Panel, Replay])], "", "", Anyone, "the panel or section before";
    Theme: [("t", &[Main, Panel, Before, Replay])], "", "theme", Anyone, "next theme";
    Up: [("Up", &[Main, Panel, Before, Replay]), ("k", &[Panel, Before, Replay])], "", "", Anyone, "one line up; in the plan: the step above";
    Down: [("Down", &[Main, Panel, Before, Replay]), ("j", &[Main, Panel, Before, Replay])], "", "", Anyone, "one line down; in the plan: the step below";
    PageUp: [("PgUp", &[Main, Panel, Before, Replay])], "", "", Anyone, "a page up";
    PageDown: [("PgDn", &[Main, Panel, Before, Replay])], "", "", Anyone, "a page down";
    Top: [("Home", &[Main, Panel, Before, Replay]), ("g", &[Main, Panel, Replay])], "", "", Anyone, "to the top";
    Bottom: [("End", &[Main, Panel, Before, Replay]), ("G", &[Main, Panel, Before, Replay])], "", "", Anyone, "to the bottom";
    Back: [("Esc", &[Main, Panel, Before, Replay])], "", "", Anyone, "close what is open, without an answer";
    Quit: [("q", &[Main, Replay]), ("Ctrl-C", &[Main, Replay]), ("Ctrl-C", &[Before])], "quit", "quit", Anyone, "leave; the session goes on";
    Help: [("?", &[Main, Replay])], "help", "help", Anyone, "the list of what can be done";
    Palette: [(":", &[Main, Panel, Before, Replay]), ("Ctrl-P", &[Main, Panel, Before, Replay])], "", "commands", Anyone, "find an act by its words, with the reason where it cannot be done now";
    Andon: [("!", &[Main, Panel, Before]), ("Ctrl-X", &[Main, Panel, Before])], "andon [WHY]", "ANDON", Anyone, "stop the line, at once and without a question; Ctrl-X also while typing";
}
}
pub use table::TABLE;

impl Row {
    /// Its verb in plain mode.
    pub fn verb(&self) -> &'static str {
        self.plain.split(' ').next().unwrap_or_default()
    }
}

/// A key's name as people read it.
pub(super) fn shown(key: &str) -> &str {
    match key {
        "Up" => "↑",
        "Down" => "↓",
        "Left" => "←",
        "Right" => "→",
        key => key,
    }
}

impl Act {
    /// Its row; every act has one, but for the digits of a range, which have that of the range.
    pub fn row(self) -> Option<&'static Row> {
        let ranged = match self {
            Act::Pane(_) => Act::Pane(1),
            Act::Tenth(_) => Act::Tenth(0),
            act => act,
        };
        TABLE.iter().find(|row| row.act == ranged)
    }
    /// Its name where a person gives it keys of their own: `arm`, `break-glass`, `next-unseen`.
    pub fn name(self) -> String {
        let word = format!("{self:?}");
        let word = word.split('(').next().unwrap_or_default(); // a range of digits is one act
        word.char_indices().fold(String::new(), |mut name, (at, c)| {
            if c.is_uppercase() && at > 0 {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
            name
        })
    }
    /// Whether it asks something of the hub; what does not only moves this screen about.
    pub fn asks(self) -> bool {
        use Act::*;
        !matches!(
            self,
            Open | Before | Status | Quit | Help | Palette | Zoom | Theme | Pane(_) | NextPane | PrevPane | NextUnseen
        ) && !matches!(self, Up | Down | PageUp | PageDown | Top | Bottom | Back)
            && !self.moves_replay()
    }
    /// Whether it walks about in a replay.
    pub fn moves_replay(self) -> bool {
        use Act::*;
        matches!(
            self,
            Play | Rewind | Forward | PrevEvent | NextEvent | PrevStep | NextStep | Slower | Faster | Tenth(_)
        )
    }
}

/// What a verb of plain mode means.
pub fn verb(word: &str) -> Option<Act> {
    TABLE.iter().find(|row| !row.plain.is_empty() && row.verb() == word).map(|row| row.act)
}

/// Plain mode's verbs, as its `help` prints them.
pub fn help() -> String {
    let rows = TABLE.iter().filter(|row| !row.plain.is_empty());
    let width = rows.clone().map(|row| row.plain.chars().count()).max().unwrap_or(0);
    let mut text: String =
        rows.map(|row| format!("{:width$}  {}: {}\n", row.plain, row.who.word(), row.help)).collect();
    text.push_str("check, object, readback, withdraw, run and disarm mean the one armed step");
    text
}

/// The manual's page of verbs.
pub fn verbs_page() -> String {
    let mut text = "| Verb | For | Does |\n|---|---|---|\n".to_owned();
    for row in TABLE.iter().filter(|row| !row.plain.is_empty()) {
        text.push_str(&format!("| `{}` | {} | {} |\n", row.plain.replace('|', "\\|"), row.who.word(), row.help));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_its_words_and_a_way_to_it() {
        let mut acts = BTreeSet::new();
        for row in TABLE {
            assert!(acts.insert(row.act), "{:?} has two rows", row.act);
            assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{:?}: {:?}", row.act, row.help);
            assert!(!row.keys.is_empty() || !row.plain.is_empty(), "{:?} can be done by nobody", row.act);
            assert!(row.keys.iter().all(|(key, places)| !key.is_empty() && !places.is_empty()), "{:?}", row.act);
            // What asks the hub for something can be done without a screen as well.
            assert!(!row.act.asks() || !row.plain.is_empty(), "{:?} has no verb", row.act);
            assert_eq!(row.act.row().map(|row| row.act), Some(row.act));
        }
    }

    #[test]
    fn no_verb_and_no_name_means_two_things() {
        let (mut verbs, mut names) = (BTreeSet::new(), BTreeSet::new());
        for row in TABLE {
            assert!(names.insert(row.act.name()), "{} means two things", row.act.name());
        }
        for row in TABLE.iter().filter(|row| !row.plain.is_empty()) {
            assert!(verbs.insert(row.verb()), "{} means two things", row.verb());
            assert_eq!(verb(row.verb()), Some(row.act));
        }
    }
}

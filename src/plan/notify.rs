//! `[[notify]]`: who outside the crew is told, of what, and how. Start at [`read`].

use super::table::{Table, Value};
use super::{Command, Template, command};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// More places to tell are a mailing list, and that belongs behind one of them.
pub(super) const TABLES_MAX: usize = 10;
const KEYS: &[&str] = &["name", "on", "webhook", "run", "timeout"];
/// A webhook that takes longer to take a kilobyte is as good as dead.
const TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Something that happens in a session and that people elsewhere may want to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// The session opened.
    Opened,
    /// A hub took it up again after another one stopped.
    Recovered,
    /// A step is armed and waits for cross-checks.
    Waiting,
    /// Somebody objected.
    Objected,
    /// A cross-checked step has its quorum and waits for the lead.
    Cleared,
    /// A step's command runs.
    Running,
    /// A step ended well.
    Done,
    /// A step ended badly.
    Failed,
    /// A step ended, and things are worse than before.
    Degraded,
    /// A step ended, and nobody can tell what it did.
    Undecided,
    /// The hub died while a step ran.
    Unknown,
    /// A rollback was begun.
    RollingBack,
    /// It ended well.
    RolledBack,
    /// It did not.
    RollbackFailed,
    /// Somebody took note of how a step ended.
    Acknowledged,
    /// The step after which nothing can be undone will run now.
    PointOfNoReturn,
    /// Somebody stopped the line.
    Andon,
    /// Everybody agreed to go on.
    Released,
    /// The hub stopped the line.
    Held,
    /// What made it do so is over.
    Freed,
    /// Somebody else leads.
    HandedOver,
    /// The session is closed.
    Closed,
}

impl Occasion {
    /// All of them, in the order in which they usually come.
    pub const ALL: [Occasion; 22] = [
        Occasion::Opened,
        Occasion::Recovered,
        Occasion::Waiting,
        Occasion::Objected,
        Occasion::Cleared,
        Occasion::Running,
        Occasion::Done,
        Occasion::Failed,
        Occasion::Degraded,
        Occasion::Undecided,
        Occasion::Unknown,
        Occasion::RollingBack,
        Occasion::RolledBack,
        Occasion::RollbackFailed,
        Occasion::Acknowledged,
        Occasion::PointOfNoReturn,
        Occasion::Andon,
        Occasion::Released,
        Occasion::Held,
        Occasion::Freed,
        Occasion::HandedOver,
        Occasion::Closed,
    ];

    /// The word in plans and in what is sent.
    pub fn word(self) -> &'static str {
        match self {
            Occasion::Opened => "opened",
            Occasion::Recovered => "recovered",
            Occasion::Waiting => "waiting",
            Occasion::Objected => "objected",
            Occasion::Cleared => "cleared",
            Occasion::Running => "running",
            Occasion::Done => "done",
            Occasion::Failed => "failed",
            Occasion::Degraded => "degraded",
            Occasion::Undecided => "undecided",
            Occasion::Unknown => "unknown",
            Occasion::RollingBack => "rolling-back",
            Occasion::RolledBack => "rolled-back",
            Occasion::RollbackFailed => "rollback-failed",
            Occasion::Acknowledged => "acknowledged",
            Occasion::PointOfNoReturn => "point-of-no-return",
            Occasion::Andon => "andon",
            Occasion::Released => "released",
            Occasion::Held => "held",
            Occasion::Freed => "freed",
            Occasion::HandedOver => "handed-over",
            Occasion::Closed => "closed",
        }
    }
}
impl std::fmt::Display for Occasion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Words that come to mind as well, with the one that is meant.
const ALIKE: &[(&str, Occasion)] = &[
    ("check", Occasion::Waiting),
    ("armed", Occasion::Waiting),
    ("started", Occasion::Running),
    ("ok", Occasion::Done),
    ("stopped", Occasion::Andon),
    ("handover", Occasion::HandedOver),
    ("settled", Occasion::Acknowledged),
    ("rollback", Occasion::RolledBack),
    ("ponr", Occasion::PointOfNoReturn),
    ("start", Occasion::Opened),
    ("end", Occasion::Closed),
];

/// One place that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// What people call it.
    pub name: String,
    /// Of what.
    pub on: BTreeSet<Occasion>,
    /// How.
    pub by: NotifyBy,
    /// How long one try may take.
    pub timeout: Duration,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyBy {
    /// A POST of JSON. The address may hold secrets.
    Webhook(Template),
    /// A command that reads the same JSON from its standard input.
    Command(Box<Command>),
}
impl NotifyBy {
    /// The word on screens: never the address, which may be a secret in itself.
    pub fn word(&self) -> &'static str {
        match self {
            NotifyBy::Webhook(_) => "webhook",
            NotifyBy::Command(_) => "command",
        }
    }
}

impl Notify {
    /// The keys of the secrets that its address names.
    pub fn secrets(&self) -> Vec<String> {
        match &self.by {
            NotifyBy::Webhook(url) => url.secrets(),
            NotifyBy::Command(_) => vec![],
        }
    }
}

/// Reads all of them.
pub(super) fn read(tables: &[Value<'_>]) -> Option<Vec<Notify>> {
    let mut seen = BTreeSet::new();
    let read: Vec<_> = tables.iter().enumerate().map(|(index, table)| read_one(table, index + 1, &mut seen)).collect();
    read.into_iter().collect()
}

fn read_one(value: &Value<'_>, number: usize, seen: &mut BTreeSet<String>) -> Option<Notify> {
    let table = value.table("a notification", KEYS, &[])?;
    let name = match table.get("name") {
        None => Some(format!("notify {number}")),
        Some(name) => name.words().and_then(|words| match seen.insert(words.clone()) {
            true => Some(words),
            false => name.wrong(format!("two [[notify]] tables have the name {words:?}"), "expected a name of its own"),
        }),
    };
    let on = table.require("on", "expected on = [\"waiting\", \"andon\", \"closed\"]").and_then(|on| read_on(&on));
    let by = match (table.get("webhook"), table.get("run")) {
        (Some(url), None) => read_url(&url).map(NotifyBy::Webhook),
        (None, Some(run)) => command::read_beside(&run).map(Box::new).map(NotifyBy::Command),
        (Some(_), Some(run)) => run.wrong("it is told in two ways", "expected `webhook` or `run`, one a table"),
        (None, None) => {
            let label = "expected webhook = \"https://…\" or run = [\"command\"]";
            table.cx.problem(table.span.clone(), "this notification says nobody whom to tell", label);
            None
        }
    };
    let timeout = read_timeout(&table);
    Some(Notify { name: name?, on: on?, by: by?, timeout: timeout? })
}

fn read_timeout(table: &Table<'_>) -> Option<Duration> {
    let Some(value) = table.get("timeout") else { return Some(TIMEOUT) };
    match value.duration()? {
        duration if duration > TIMEOUT_MAX => value.wrong("`timeout` is too long", "expected at most \"60s\""),
        duration => Some(duration),
    }
}

fn read_on(value: &Value<'_>) -> Option<BTreeSet<Occasion>> {
    let items = value.items("occasions")?;
    if items.is_empty() {
        return value.wrong("`on` is empty", "expected at least one occasion: nobody would be told of anything");
    }
    let mut on = BTreeSet::new();
    let mut whole = true;
    for item in items {
        let Some(word) = item.text() else {
            whole = false;
            continue;
        };
        match Occasion::ALL.into_iter().find(|occasion| occasion.word() == word) {
            Some(occasion) if on.insert(occasion) => {}
            Some(_) => {
                item.wrong::<()>(format!("{word:?} stands twice"), "expected each occasion once");
                whole = false;
            }
            None => {
                let alike = ALIKE.iter().find(|(other, _)| *other == word).map(|(_, occasion)| occasion.word());
                let near = alike.or_else(|| item.cx.nearest(word, Occasion::ALL.iter().map(|known| known.word())));
                let label = near.map_or("no such occasion".to_owned(), |near| format!("did you mean {near:?}?"));
                let known: Vec<_> = Occasion::ALL.iter().map(|known| known.word()).collect();
                let help = format!("an occasion is one of: {}", known.join(", "));
                item.cx.problem_with_help(item.span(), format!("there is no occasion {word:?}"), label, help);
                whole = false;
            }
        }
    }
    whole.then_some(on)
}

fn read_url(value: &Value<'_>) -> Option<Template> {
    let template = value.secret_template()?;
    let text = template.text().trim();
    if text.is_empty() {
        return value.wrong("`webhook` is empty", "expected an address");
    }
    // What begins with a parameter or a secret is only known when it is sent.
    let host = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    if !text.starts_with("{{") && host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        return value.wrong("`webhook` is no web address", "expected \"https://…\" or \"http://…\"");
    }
    Some(template)
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::super::tests::{HEAD, errors};
    use super::*;

    fn notify(lines: &str) -> String {
        let secrets = "[secrets]\nHOOK = { env = \"HOOK\" }\n[params.room]\ndefault = \"ops\"\n";
        format!("{HEAD}{secrets}[[notify]]\n{lines}\n")
    }

    #[test]
    fn what_is_told_and_how() {
        let text =
            notify("on = [\"andon\", \"closed\"]\nwebhook = \"https://x.example.org/{{ room }}/{{ secret.HOOK }}\"");
        let plan = Plan::parse("plan.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let [only] = &plan.notify[..] else { panic!("{:?}", plan.notify) };
        assert_eq!((only.name.as_str(), only.timeout, only.by.word()), ("notify 1", TIMEOUT, "webhook"));
        assert_eq!(only.on, BTreeSet::from([Occasion::Andon, Occasion::Closed]));
        assert_eq!(only.secrets(), ["HOOK"]);
        for occasion in Occasion::ALL {
            let text = notify(&format!("on = [\"{occasion}\"]\nrun = [\"./tell\"]\nname = \"x\"\ntimeout = \"20s\""));
            let plan = Plan::parse("plan.toml", &text).unwrap_or_else(|error| panic!("{error}"));
            assert!(plan.notify[0].on.contains(&occasion) && plan.notify[0].name == "x");
        }
    }

    #[test]
    fn what_would_tell_nobody_of_anything_is_an_error() {
        let hook = "webhook = \"https://x.example.org/\"";
        for (lines, at, says) in [
            (hook.to_owned(), "[[notify]]", "no `on`"),
            (format!("{hook}\non = []"), "[]", "`on` is empty"),
            (format!("{hook}\non = \"andon\""), "\"andon\"", "wrong type"),
            (format!("{hook}\non = [\"andon\", \"andon\"]"), "\"andon\"", "stands twice"),
            (format!("{hook}\non = [\"explosions\"]"), "\"explosions\"", "there is no occasion \"explosions\""),
            ("on = [\"andon\"]".into(), "[[notify]]", "whom to tell"),
            (format!("{hook}\non = [\"andon\"]\nrun = [\"x\"]"), "[\"x\"]", "two ways"),
            ("on = [\"andon\"]\nwebhook = \"ftp://x/\"".into(), "\"ftp://x/\"", "no web address"),
            ("on = [\"andon\"]\nwebhook = \"https:///x\"".into(), "\"https:///x\"", "no web address"),
            ("on = [\"andon\"]\nwebhook = \"{{ secret.NO }}\"".into(), "{{ secret.NO }}", "not declared"),
            ("on = [\"andon\"]\nrun = [\"x\", \"{{ secret.HOOK }}\"]".into(), "{{ secret.HOOK }}", "a secret in `run`"),
            (format!("{hook}\non = [\"andon\"]\ntimeout = \"2m\""), "\"2m\"", "too long"),
            (format!("{hook}\non = [\"andon\"]\nurl = \"x\""), "url", "unknown key"),
        ] {
            let text = notify(&lines);
            let problems = errors(&text).problems;
            assert!(problems.len() == 1 && problems[0].message.contains(says), "{lines}: {problems:?}");
            assert_eq!(&text[problems[0].span.clone()], at, "{lines}: {problems:?}");
        }
    }

    #[test]
    fn an_unknown_occasion_lists_the_known_ones() {
        let text = notify("on = [\"anden\", \"check\"]\nwebhook = \"https://x.example.org/\"");
        let problems = errors(&text).problems;
        assert_eq!(problems[0].label, "did you mean \"andon\"?");
        assert_eq!(problems[1].label, "did you mean \"waiting\"?");
        let help = problems[0].help.as_deref().unwrap_or_default();
        assert!(Occasion::ALL.iter().all(|known| help.contains(known.word())), "{help}");
    }
}

//! Scenario files: a flight written down for a reader, in data. `tests/scenarios/README.md` has the vocabulary; this reads
//! it, and takes nothing it does not know.

use crosscheck::event::Event;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

/// One file, read.
#[derive(Debug)]
pub struct Scenario {
    /// Its path, as messages name it.
    pub file: String,
    /// The plan that is flown.
    pub plan: String,
    /// What lies beside it.
    pub files: BTreeMap<String, String>,
    /// What happens, in order, each with the number of its line.
    pub story: Vec<(usize, Line)>,
    /// What the transcript holds in the end, in this order.
    pub transcript: Vec<(usize, Pattern)>,
    /// What it does not hold.
    pub never: Vec<(usize, Pattern)>,
    /// The word that `crosscheck verify` says first.
    pub verify: String,
    /// The real part it takes.
    pub needs: Option<Part>,
}

/// A real part, as `tests/run` brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// A topic on a broker, and a group that reads it.
    Kafka,
}

/// One line of the story.
#[derive(Debug, Clone)]
pub struct Line {
    /// As it is written.
    pub text: String,
    /// What it asks for.
    pub act: Act,
}

/// What somebody does, or what must be seen.
#[derive(Debug, Clone)]
pub enum Act {
    /// A hub starts, perhaps set to die or to wait at a place, with these arguments.
    Serve { set: Option<(&'static str, String)>, args: Vec<String> },
    /// It has come to the place where it waits.
    HubWaits,
    /// It is let go on.
    HubGoesOn,
    /// It is killed.
    HubKilled,
    /// It dies where it was set to.
    HubDies,
    /// It ends by itself, and well.
    HubEnds,
    /// They join, `cut`: through a network that can break.
    Join { who: Vec<String>, cut: bool },
    /// It leaves.
    Leave(String),
    /// Its process is killed.
    Killed(String),
    /// Its network breaks.
    Cut(String),
    /// Its network is there again.
    Mended(String),
    /// It types a verb.
    Types { who: String, verb: String, answer: Answer },
    /// Each of them is shown that, after what they were shown before.
    Sees { who: Who, text: String },
    /// None of them was shown that so far.
    NeverSaw { who: Who, text: String },
    /// So many messages are written to the topic.
    Produce(usize),
    /// So many are read by its group, and committed.
    Consume(usize),
    /// A file is put in place.
    Write { file: String, text: String },
    /// A file is taken away.
    Remove(String),
    /// A file gets another name.
    Move { from: String, to: String },
    /// A file was written so long ago.
    Age { file: String, by: Duration },
    /// A file comes to say that.
    Reads { file: String, text: String },
    /// A file comes to have so many lines, and has no more.
    Lines { file: String, count: usize },
    /// A file is not there.
    Absent(String),
    /// The transcript comes to hold that, after what was waited for before.
    Until(Pattern),
}

impl Act {
    /// Whether it can fail because the program does something else.
    fn expects(&self) -> bool {
        match self {
            Act::Sees { .. } | Act::Reads { .. } | Act::Lines { .. } | Act::Absent(_) => true,
            Act::Types { answer, .. } => matches!(answer, Answer::Refused(_) | Answer::Error(_)),
            _ => false,
        }
    }
}

/// Whom a line is about.
#[derive(Debug, Clone)]
pub enum Who {
    /// Everybody who is there.
    All,
    /// These.
    These(Vec<String>),
}

/// What comes of a verb.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It is taken.
    Ok,
    /// The hub refuses it, in words that hold these.
    Refused(Vec<String>),
    /// It is not even sent, for a reason that holds these words.
    Error(Vec<String>),
    /// Nobody is there to answer any more.
    None,
}

/// What an event must be: its kind, and some of its fields.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As it is written.
    pub text: String,
    kind: String,
    fields: Vec<(String, bool, String)>,
}

impl Pattern {
    /// Reads `Kind field=value field.below~"part of its text"`.
    fn parse(text: &str) -> Result<Pattern, String> {
        let mut words = words(text)?.into_iter();
        let kind = words.next().ok_or("expected the kind of an event")?;
        if !Event::KINDS.contains(&kind.as_str()) {
            return Err(format!("there is no event {kind:?}"));
        }
        let mut fields = vec![];
        for word in words {
            let at = word.find(['=', '~']).filter(|at| *at > 0);
            let at = at.ok_or_else(|| format!("expected field=value or field~\"part of it\", found {word:?}"))?;
            let (field, value) = (&word[..at], &word[at + 1..]);
            fields.push((field.to_owned(), word.as_bytes()[at] == b'=', value.to_owned()));
        }
        Ok(Pattern { text: text.to_owned(), kind, fields })
    }

    /// Whether that line of a transcript is such a one.
    pub fn is(&self, line: &Value) -> bool {
        let Some(event) = line["event"].get(&self.kind) else { return false };
        self.fields.iter().all(|(field, whole, wanted)| {
            let wanted = if field == "by" && *whole { principal(wanted) } else { wanted.clone() };
            let found = match field.as_str() {
                "by" if event.get("by").is_none() => line.get("by"),
                _ => event.pointer(&format!("/{}", field.replace('.', "/"))),
            };
            let found = match found {
                None | Some(Value::Null) => "absent".to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            if *whole { found == wanted } else { found.contains(&wanted) }
        })
    }
}

/// Who that is in plans and links.
pub fn principal(who: &str) -> String {
    match who {
        "hub" | "observer" => who.to_owned(),
        who if who.contains('@') => who.to_owned(),
        who => format!("{who}@example.org"),
    }
}

/// Words, of which quotes make one.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted, mut any) = (vec![], String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(any.then_some(word));
    Ok(words)
}

/// The keys of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(rename = "about")]
    _about: String,
    plan: Option<String>,
    #[serde(default)]
    change: Vec<[String; 2]>,
    #[serde(default)]
    add: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
    story: Spanned<String>,
    transcript: Spanned<String>,
    never: Option<Spanned<String>>,
    #[serde(default = "complete")]
    verify: String,
    needs: Option<Part>,
}

fn complete() -> String {
    "COMPLETE".to_owned()
}

impl Scenario {
    /// Reads a file; its plan lies in `plans` beside it. The error names file and line.
    pub fn read(path: &Path) -> Result<Scenario, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        Self::parse(&name, &text, &root.join("tests/scenarios/plans"))
    }

    /// The same, of a text.
    pub fn parse(file: &str, text: &str, plans: &Path) -> Result<Scenario, String> {
        let at = |line: usize, why: String| format!("{file}:{line}: {why}");
        let keys: Keys = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            at(line_of(text, start), error.message().to_owned())
        })?;
        let plan = match &keys.plan {
            Some(plan) => std::fs::read_to_string(plans.join(format!("{plan}.toml")))
                .map_err(|error| at(1, format!("the plan {plan:?}: {error}")))?,
            None => String::new(),
        };
        let mut plan = format!("{plan}{}", keys.add);
        for [from, to] in &keys.change {
            match plan.matches(from).count() {
                1 => plan = plan.replacen(from, to, 1),
                count => return Err(at(1, format!("change: {from:?} stands {count} times in the plan, not once"))),
            }
        }
        let lines = |block: &Spanned<String>| {
            // The text begins on the line after its quotes; one without a line feed would be numbered wrong.
            let first = line_of(text, block.span().start) + 1;
            let lines = block.get_ref().lines().enumerate().map(|(index, line)| (first + index, line.to_owned()));
            lines.filter(|(_, line)| !line.trim().is_empty() && !line.trim().starts_with('#')).collect::<Vec<_>>()
        };
        let patterns = |block: &Spanned<String>| {
            let parse = |(number, line): (usize, String)| match Pattern::parse(line.trim()) {
                Ok(pattern) => Ok((number, pattern)),
                Err(why) => Err(at(number, why)),
            };
            lines(block).into_iter().map(parse).collect::<Result<Vec<_>, _>>()
        };
        let mut story: Vec<(usize, Line)> = vec![];
        for (number, line) in lines(&keys.story) {
            let read = match (line.starts_with(char::is_whitespace), story.last_mut()) {
                (true, Some((_, last))) => answer(line.trim(), last),
                (true, None) => Err("the first line of a story is not indented".to_owned()),
                (false, _) => act(&line).map(|act| story.push((number, Line { text: line.clone(), act }))),
            };
            read.map_err(|why| at(number, format!("{why}\n  in: {line}")))?;
        }
        let transcript = patterns(&keys.transcript)?;
        let never = keys.never.as_ref().map(patterns).transpose()?.unwrap_or_default();
        if !story.iter().any(|(_, line)| line.act.expects()) {
            return Err(at(line_of(text, keys.story.span().start), "nobody sees anything in this story".to_owned()));
        }
        if transcript.is_empty() {
            return Err(at(
                line_of(text, keys.transcript.span().start),
                "it asks nothing of the transcript".to_owned(),
            ));
        }
        let Keys { files, verify, needs, .. } = keys;
        Ok(Scenario { file: file.to_owned(), plan, files, story, transcript, never, verify, needs })
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// An indented line says what comes of the verb above it.
fn answer(text: &str, last: &mut Line) -> Result<(), String> {
    let Act::Types { answer, .. } = &mut last.act else {
        return Err("an indented line says what comes of a verb, and above it stands none".to_owned());
    };
    let (word, rest) = text.split_once(": ").unwrap_or((text, ""));
    match (word, rest, &mut *answer) {
        ("unanswered", "", Answer::Ok) => *answer = Answer::None,
        ("refused" | "error", "", _) => return Err(format!("{word}: with which words?")),
        ("refused", words, Answer::Ok) => *answer = Answer::Refused(vec![words.to_owned()]),
        ("refused", words, Answer::Refused(all)) | ("error", words, Answer::Error(all)) => all.push(words.to_owned()),
        ("error", words, Answer::Ok) => *answer = Answer::Error(vec![words.to_owned()]),
        _ => return Err("expected `refused: WORDS`, `error: WORDS` or `unanswered`".to_owned()),
    }
    Ok(())
}

fn act(line: &str) -> Result<Act, String> {
    let unknown = || "no such line in a story; tests/scenarios/README.md has the vocabulary".to_owned();
    let line = line.trim_end();
    let (first, rest) = line.split_once(' ').ok_or_else(unknown)?;
    match first {
        "hub" => return hub(rest),
        "until" => return Pattern::parse(rest).map(Act::Until),
        "write" => {
            let (file, text) = rest.split_once(": ").ok_or("write is written: write FILE: TEXT")?;
            return Ok(Act::Write { file: file.to_owned(), text: text.to_owned() });
        }
        "topic" | "group" => {
            let verb = if first == "topic" { "gets " } else { "reads " };
            let count = rest.strip_prefix(verb).and_then(|rest| rest.strip_suffix(" messages")?.parse().ok());
            let count = count.ok_or("expected `topic gets N messages` or `group reads N messages`")?;
            return Ok(if first == "topic" { Act::Produce(count) } else { Act::Consume(count) });
        }
        "remove" => return Ok(Act::Remove(rest.to_owned())),
        "move" => {
            let (from, to) = rest.split_once(" to ").ok_or("move is written: move FILE to FILE")?;
            return Ok(Act::Move { from: from.to_owned(), to: to.to_owned() });
        }
        "age" => {
            let hours = rest.rsplit_once(' ').and_then(|(file, by)| Some((file, by.strip_suffix('h')?.parse().ok()?)));
            let (file, hours): (&str, u64) = hours.ok_or("age is written: age FILE 30h")?;
            return Ok(Act::Age { file: file.to_owned(), by: Duration::from_secs(hours * 3600) });
        }
        "file" => return file(rest),
        _ => {}
    }
    // `lead: verb`, before the rest: a verb may hold any words.
    if let Some(who) = first.strip_suffix(':') {
        return Ok(Act::Types { who: one(who)?, verb: rest.to_owned(), answer: Answer::Ok });
    }
    if let Some(who) = first.strip_suffix("'s") {
        return match rest {
            "link is cut" => Ok(Act::Cut(one(who)?)),
            "link is back" => Ok(Act::Mended(one(who)?)),
            _ => Err(unknown()),
        };
    }
    for (words, never) in [(" never saw ", true), (" sees ", false), (" see ", false)] {
        let Some((who, text)) = line.split_once(words) else { continue };
        let who = if who == "all" || who == "everybody" { Who::All } else { Who::These(many(who)?) };
        let text = text.to_owned();
        return Ok(if never { Act::NeverSaw { who, text } } else { Act::Sees { who, text } });
    }
    for (words, cut) in [(" joins by a link that can be cut", true), (" joins", false), (" join", false)] {
        if let Some(who) = line.strip_suffix(words) {
            return Ok(Act::Join { who: many(who)?, cut });
        }
    }
    match rest {
        "leaves" => Ok(Act::Leave(one(first)?)),
        "is killed" => Ok(Act::Killed(one(first)?)),
        _ => Err(unknown()),
    }
}

fn hub(rest: &str) -> Result<Act, String> {
    match rest {
        "starts" => return Ok(Act::Serve { set: None, args: vec![] }),
        "waits" => return Ok(Act::HubWaits),
        "goes on" => return Ok(Act::HubGoesOn),
        "is killed" => return Ok(Act::HubKilled),
        "dies" => return Ok(Act::HubDies),
        "ends" => return Ok(Act::HubEnds),
        _ => {}
    }
    if let Some(args) = rest.strip_prefix("starts with ") {
        return Ok(Act::Serve { set: None, args: words(args)? });
    }
    let set = [("starts and dies ", "CROSSCHECK_CRASH"), ("starts and waits ", "CROSSCHECK_PAUSE")];
    for (words, variable) in set {
        let Some(place) = rest.strip_prefix(words) else { continue };
        let known = |(moment, kind): (&str, &str)| {
            ["before", "after"].contains(&moment) && (kind == "exec" || Event::KINDS.contains(&kind))
        };
        if !place.split_once(' ').is_some_and(known) {
            return Err(format!("expected `before KIND`, `after KIND` or `before exec`, found {place:?}"));
        }
        return Ok(Act::Serve { set: Some((variable, place.replace(' ', ":"))), args: vec![] });
    }
    Err("a hub starts, waits, goes on, is killed, dies or ends".to_owned())
}

fn file(rest: &str) -> Result<Act, String> {
    if let Some(file) = rest.strip_suffix(" is absent") {
        return Ok(Act::Absent(file.to_owned()));
    }
    if let Some((file, text)) = rest.split_once(" reads ") {
        return Ok(Act::Reads { file: file.to_owned(), text: text.to_owned() });
    }
    let count = rest.strip_suffix(" lines").or(rest.strip_suffix(" line")).and_then(|rest| rest.split_once(" has "));
    if let Some((file, count)) = count
        && let Ok(count) = count.parse()
    {
        return Ok(Act::Lines { file: file.to_owned(), count });
    }
    Err("a file is absent, reads TEXT or has N lines".to_owned())
}

fn many(who: &str) -> Result<Vec<String>, String> {
    who.split(", ").flat_map(|part| part.split(" and ")).map(one).collect()
}

fn one(who: &str) -> Result<String, String> {
    let fine = !who.is_empty() && who.chars().all(|c| c.is_ascii_alphanumeric() || "@.-".contains(c));
    if fine { Ok(who.to_owned()) } else { Err(format!("{who:?} is nobody's name")) }
}

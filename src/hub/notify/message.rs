//! What is told to those outside: a text that chats understand, and the same for programs. Pure.

use crate::clock::{At, human};
use crate::plan::Occasion;
use crate::session::Due;
use serde::Serialize;
use std::time::Duration;

/// The version of what `crosscheck` holds.
const VERSION: u32 = 1;
/// The longest sentence: as long as what a person may say, and what stands around it.
const SENTENCE_CHARS_MAX: usize = 2500;
/// What is told later than that says so.
const LATE: Duration = Duration::from_secs(60);

/// The JSON that webhooks and commands get (`tests/schemas/notify.json`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// For people. Slack and those who follow it show this; `&`, `<` and `>` are escaped as they ask, so that no text of
    /// a session mentions a channel or hides a link.
    pub text: String,
    /// For programs.
    pub crosscheck: Content,
}

/// See [`Message::crosscheck`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Content {
    pub v: u32,
    /// The same whenever the same is told to the same place again.
    pub id: String,
    pub session: String,
    pub plan: String,
    pub environment: String,
    pub occasion: Occasion,
    /// The kind of the line.
    pub event: String,
    /// Its number in the transcript.
    pub seq: u64,
    pub at: At,
    pub by: String,
    pub step: Option<String>,
    pub attempt: Option<u32>,
    /// What happened, as every screen tells it.
    pub sentence: String,
    /// Who has to do something so that it goes on.
    pub waited_for: Vec<String>,
}

/// What every message of a session says.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The session's id.
    pub session: String,
    /// What the release is called.
    pub plan: String,
    /// Where it happens.
    pub environment: String,
}

/// The message about a line, for that place of the plan. `clean` takes secrets out of every text.
pub fn message(
    subject: &Subject,
    notify: u32,
    seq: u64,
    due: &Due,
    now: At,
    clean: impl Fn(String) -> String,
) -> Message {
    let clean = |text: &str| clean(without_links(&crate::name::shown(text)));
    let (plan, environment) = (clean(&subject.plan), clean(&subject.environment));
    let sentence = clean(&due.sentence).chars().take(SENTENCE_CHARS_MAX).collect::<String>();
    let waited_for: Vec<_> = due.waited_for.iter().map(ToString::to_string).collect();
    let waits = match waited_for.is_empty() {
        true => String::new(),
        false => format!(" · waiting for {}", waited_for.join(", ")),
    };
    let age = now.since(due.at);
    let late = if age >= LATE { format!(" · told {} late", human(age)) } else { String::new() };
    let text = format!("[{environment}] {plan} · {}: {sentence}{waits}{late}", due.occasion);
    Message {
        text: text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        crosscheck: Content {
            v: VERSION,
            id: format!("{}-{seq}-{notify}", subject.session),
            session: subject.session.clone(),
            plan,
            environment,
            occasion: due.occasion,
            event: due.event.clone(),
            seq,
            at: due.at,
            by: due.by.to_string(),
            step: due.step.as_ref().map(ToString::to_string),
            attempt: due.attempt,
            sentence,
            waited_for,
        },
    }
}

/// A text without any address that could be followed: personal links are secrets, and what people type is not vetted.
fn without_links(text: &str) -> String {
    let word = |word: &str| if word.contains("://") { "[link]".to_owned() } else { word.to_owned() };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Principal, StepId};
    use std::collections::BTreeSet;

    #[test]
    fn no_text_of_a_session_links_mentions_or_shows_a_secret() {
        let due = Due {
            occasion: Occasion::Andon,
            event: "AndonPulled".into(),
            at: At::from_micros(1_000_000),
            by: Principal::new("bo@example.org").unwrap(),
            step: Some(StepId::new("drop").unwrap()),
            attempt: Some(2),
            sentence: "ANDON: <!channel> see 'crosscheck://h:1/#t=abc' & hunter22\u{202e}".into(),
            waited_for: vec![Principal::new("ana@example.org").unwrap()],
            to: BTreeSet::from([1]),
        };
        let subject = Subject { session: "s".into(), plan: "Drop <b>".into(), environment: "prod".into() };
        let clean = |text: String| text.replace("hunter22", "[secret KEY]");
        let told = message(&subject, 3, 17, &due, At::from_micros(121_000_000), clean);
        assert_eq!(
            told.text,
            "[prod] Drop &lt;b&gt; · andon: ANDON: &lt;!channel&gt; see [link] &amp; [secret KEY]\\u{202e} · waiting for \
             ana@example.org · told 2:00 late"
        );
        assert_eq!(told.crosscheck.sentence, "ANDON: <!channel> see [link] & [secret KEY]\\u{202e}");
        assert_eq!(told.crosscheck.id, "s-17-3");
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["crosscheck"]["occasion"], "andon");
        assert_eq!(json["crosscheck"]["at"], "1970-01-01T00:00:01.000000Z");
    }
}

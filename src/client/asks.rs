//! What is asked of the hub, and that all of it is answered: by the hub, or by this client where the hub cannot.

use crate::protocol::Refused;
use crate::session::signing::{Act, SigningError, Standing, standing};
use crate::session::{Refusal, Request, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long a request waits until this client has folded what its author signs. They may have it from a colleague's screen.
pub(super) const WAITS: Duration = Duration::from_secs(2);

/// Asks on behalf of a client.
#[derive(Clone)]
pub struct Asker {
    asks: mpsc::Sender<(u64, Request)>,
    /// Of all who ask through this client; 0 is what the client asks by itself.
    numbers: Arc<AtomicU64>,
}

impl Asker {
    pub(super) fn new(asks: mpsc::Sender<(u64, Request)>) -> Asker {
        Asker { asks, numbers: Arc::new(AtomicU64::new(1)) }
    }

    /// Sends a request without waiting; its answer comes as a notice with this number. Gives the request back where there is
    /// no room for it, or the client is over: then no answer comes.
    pub fn ask(&self, request: Request) -> Result<u64, Request> {
        let id = self.number();
        match self.asks.try_send((id, request)) {
            Ok(()) => Ok(id),
            Err(mpsc::error::TrySendError::Full((_, request)) | mpsc::error::TrySendError::Closed((_, request))) => {
                Err(request)
            }
        }
    }

    /// The same, and waits for room.
    pub(super) async fn ask_in_turn(&self, request: Request) -> u64 {
        let id = self.number();
        let _ = self.asks.send((id, request)).await; // a client that is over says so by its last notice
        id
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// A request whose answer has not come.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) request: Request,
    /// Until when it waits for what it answers; none once it is on its way.
    until: Option<Instant>,
}

/// The requests of one connection whose answers have not come.
#[derive(Debug, Default)]
pub(super) struct Pending(Vec<Asked>);

impl Pending {
    /// Takes a request in; whether it has to wait.
    pub(super) fn add(&mut self, session: &Session, id: u64, request: &Request, now: Instant) -> bool {
        let waits =
            session.hub_key.is_some() && matches!(standing(session, request), Standing::Ahead | Standing::NotYet);
        let until = waits.then(|| now + WAITS);
        self.0.push(Asked { id, request: request.clone(), until });
        waits
    }

    /// Its answer is here.
    pub(super) fn take(&mut self, id: u64) -> Option<Asked> {
        self.0.iter().position(|asked| asked.id == id).map(|index| self.0.remove(index))
    }

    /// When somebody waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().filter_map(|asked| asked.until).min()
    }

    /// What need not wait any more, since what it answers is here, or is known to be gone.
    pub(super) fn ready(&mut self, session: &Session) -> Vec<(u64, Request)> {
        let ready = |asked: &Asked| matches!(standing(session, &asked.request), Standing::Here | Standing::Gone);
        self.go_on(ready)
    }

    /// What waited long enough and may be meant for something that never was: the hub says which.
    pub(super) fn late(&mut self, session: &Session, now: Instant) -> Vec<(u64, Request)> {
        let is_over = |asked: &Asked| asked.until.is_some_and(|until| until <= now);
        self.go_on(|asked| is_over(asked) && standing(session, &asked.request) != Standing::Ahead)
    }

    /// What waited long enough, and names what this client still does not have: nobody here can sign for that.
    pub(super) fn in_vain(&mut self, session: &Session, now: Instant) -> Vec<(Asked, Refused)> {
        let is_over = |asked: &mut Asked| {
            asked.until.is_some_and(|until| until <= now) && standing(session, &asked.request) == Standing::Ahead
        };
        let over = self.0.extract_if(.., is_over);
        over.map(|asked| {
            let refusal = Refused {
                request: asked.request.describe(),
                reason: format!(
                    "it is about an arming that has not come to this client within {} s, so it cannot be signed here",
                    WAITS.as_secs()
                ),
                hint: Some("nothing was sent; wait until your own screen shows it, and ask again".to_owned()),
            };
            (asked, refusal)
        })
        .collect()
    }

    /// What has to be answered once the connection is gone.
    pub(super) fn into_lost(self) -> impl Iterator<Item = Asked> {
        self.0.into_iter()
    }

    fn go_on(&mut self, which: impl Fn(&Asked) -> bool) -> Vec<(u64, Request)> {
        let waiting = self.0.iter_mut().filter(|asked| asked.until.is_some() && which(asked));
        waiting
            .map(|asked| {
                asked.until = None;
                (asked.id, asked.request.clone())
            })
            .collect()
    }
}

/// The hub's answer in words for who asked. That a signature is missing is nothing a person can do anything about: what is
/// to be signed had not come here.
pub(super) fn in_words(request: &Request, refusal: Refused) -> Refused {
    let missing = Refusal::Signature(SigningError::Missing.to_string()).to_string();
    if Act::of_request(request).is_none() || refusal.reason != missing {
        return refusal;
    }
    Refused {
        reason: "what it answers had not come to this client when it was sent, so it could not be signed".to_owned(),
        hint: Some("once your own screen shows it, ask again".to_owned()),
        ..refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Settled};
    use crate::fixture as a;
    use crate::hash::Hash;
    use crate::identity::Key;
    use crate::name::StepId;
    use crate::transcript::record::Line;

    const PLAN: &str = r#"
crosscheck = 1
name = "test"
environment = "test"
[crew]
lead = ["ana"]
shadow = ["bo", "cy"]
[[step]]
id = "go"
run = ["./go"]
"#;

    fn line(seq: u64, by: &str, event: Event) -> Line {
        a::line(seq, a::start(), &a::who(by), event)
    }

    /// A session whose acts are signed.
    fn session(signs: bool) -> Session {
        let mut session = a::opening(PLAN).session();
        session.hub_key = signs.then(|| Key::fresh().unwrap().public().clone());
        session
    }

    fn check() -> Request {
        Request::Check { step: StepId::new("go").unwrap(), attempt: 1, digest: Hash::ZERO }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_here_yet_is_waited_for_and_then_signed() {
        let (mut session, mut pending) = (session(true), Pending::default());
        assert!(pending.add(&session, 7, &Request::Release, Instant::now()));
        assert_eq!(pending.ready(&session), []);
        tokio::time::advance(WAITS / 2).await;
        assert!(pending.due().unwrap() > Instant::now());
        session.apply(&line(2, "bo", Event::AndonPulled { why: "stop".into() }), Hash::of(b"2"));
        assert_eq!(pending.ready(&session), [(7, Request::Release)]);
        assert_eq!((pending.due(), pending.ready(&session)), (None, vec![]), "it is on its way, and once");
        assert_eq!(pending.take(7).unwrap().request, Request::Release);
        assert!(pending.take(7).is_none() && pending.into_lost().next().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn after_two_seconds_it_is_said_what_did_not_come() {
        let (session, mut pending) = (session(true), Pending::default());
        let begun = Instant::now();
        let settle = Request::Settle { step: StepId::new("go").unwrap(), outcome: Settled::Done, why: "seen".into() };
        for (id, request) in [(1, check()), (2, Request::Release), (3, settle.clone())] {
            assert!(pending.add(&session, id, &request, begun));
        }
        assert!(pending.in_vain(&session, begun).is_empty() && pending.late(&session, begun).is_empty());
        tokio::time::sleep_until(pending.due().unwrap()).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
        let now = Instant::now();
        let [(asked, refusal)] = pending.in_vain(&session, now).try_into().unwrap();
        assert_eq!((asked.id, refusal.request.as_str()), (1, "check go"));
        assert!(refusal.reason.contains("has not come to this client within 2 s"), "{refusal:?}");
        assert!(refusal.hint.unwrap().contains("ask again"));
        // Whether those are mistakes only the hub knows.
        assert_eq!(pending.late(&session, now), [(2, Request::Release), (3, settle)]);
        assert!(pending.late(&session, now).is_empty() && pending.due().is_none());
        assert_eq!(
            pending.into_lost().map(|asked| asked.id).collect::<Vec<_>>(),
            [2, 3],
            "the hub has not answered yet"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_waits_that_is_not_signed() {
        let mut pending = Pending::default();
        assert!(!pending.add(&session(false), 1, &check(), Instant::now()), "without a key of the hub nobody signs");
        let say = Request::Say { text: "a word".into() };
        assert!(!pending.add(&session(true), 2, &say, Instant::now()));
        assert_eq!(pending.due(), None);
    }

    #[test]
    fn a_missing_signature_is_put_into_words_and_any_other_reason_stays_the_hubs() {
        let refusal = |reason: &str| Refused { request: "release".into(), reason: reason.into(), hint: None };
        let missing = refusal("its signature does not count: it is not signed");
        let told = in_words(&Request::Release, missing.clone());
        assert!(told.reason.contains("had not come to this client") && told.hint.is_some(), "{told:?}");
        assert_eq!(in_words(&Request::Say { text: "a word".into() }, missing.clone()), missing);
        let other = refusal("the andon is not pulled");
        assert_eq!(in_words(&Request::Release, other.clone()), other);
    }

    #[tokio::test]
    async fn every_request_of_every_asker_has_a_number_of_its_own_or_comes_back() {
        let (asks, mut asked) = mpsc::channel(2);
        let asker = Asker::new(asks);
        let say = |text: &str| Request::Say { text: text.into() };
        let first = asker.ask(say("a")).unwrap();
        let second = asker.clone().ask_in_turn(say("b")).await;
        assert!(first != 0 && second != 0 && first != second);
        assert_eq!(asker.ask(say("c")), Err(say("c")), "no room");
        assert_eq!(asked.recv().await, Some((first, say("a"))));
        drop(asked);
        assert_eq!(asker.ask(say("d")), Err(say("d")), "nobody is there");
    }
}

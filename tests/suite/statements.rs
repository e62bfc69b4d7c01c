//! Test set B: a cross-check counts only with a signature over exactly the statement that it must be, by exactly the key
//! that the connection proved.

use crate::support::raw::{Raw, hub};
use crosscheck::event::Event;
use crosscheck::identity::Key;
use crosscheck::name::Principal;
use crosscheck::name::StepId;
use crosscheck::session::signing::{self, Act, CrossCheck};
use crosscheck::session::steps::Phase;
use crosscheck::session::{Request, Session};
use crosscheck::transcript::record::Line;
use crosscheck::trust::statement::Signed;
use std::io::Write as _;
use std::time::Duration;

const PLAN: &str = r#"
crosscheck = 1
name = "Statements"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
[[step]]
id = "drop"
title = "Drop it"
class = "critical"
run = ["true", "a b"]
[[step]]
id = "touch"
title = "Drop more"
class = "critical"
require_touch = true
run = ["true"]
after = []
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_very_statement_counts() {
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(folder.path(), PLAN).await;
    let (key, other) = (Key::fresh().unwrap(), Key::fresh().unwrap());
    let mut lead = Raw::join(&hub.links["lead@example.org"], &Key::fresh().unwrap()).await.unwrap();
    let mut dba = Raw::join(&hub.links["dba@example.org"], &key).await.unwrap();
    let mut search = Raw::join(&hub.links["search@example.org"], &other).await.unwrap();
    let step = StepId::new("drop").unwrap();
    assert_eq!(lead.refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
    for raw in [&mut dba, &mut search] {
        raw.until("armed", |session| session.steps["drop"].phase == Phase::Armed).await;
        assert_eq!(raw.refusal(Request::OpenCheck { step: step.clone(), attempt: 1 }).await, None);
    }
    let digest = dba.session.steps["drop"].armed.as_ref().unwrap().digest();
    let check = Request::Check { step: step.clone(), attempt: 1, digest };
    let genuine = dba.signed(&check).unwrap();
    let text = genuine.statement.clone();
    let sign = |text: &str| key.sign_sshsig("crosscheck-approve", text.as_bytes());
    let signed = |text: String| Some(Signed { signature: sign(&text), statement: text });
    let lines: Vec<&str> = text.lines().collect();
    let joined = |lines: Vec<&str>| lines.iter().map(|line| format!("{line}\n")).collect::<String>();

    let mut forged: Vec<(String, Option<Signed>)> = vec![("no signature at all".into(), None)];
    for (index, line) in lines.iter().enumerate() {
        let name = line.split([':', ' ']).next().unwrap();
        let with = |new: &str| {
            let mut changed = lines.clone();
            changed[index] = new;
            joined(changed)
        };
        forged.push((format!("{name} changed"), signed(with(&format!("{line}x")))));
        forged.push((format!("{name} left out"), {
            let rest = lines.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, line)| *line);
            signed(joined(rest.collect()))
        }));
    }
    let mut turned = lines.clone();
    turned.swap(3, 4);
    forged.push(("two fields in another order".into(), signed(joined(turned))));
    let mut doubled = lines.clone();
    doubled.insert(5, lines[5]);
    forged.push(("a field twice".into(), signed(joined(doubled))));
    forged.push(("CRLF".into(), signed(text.replace('\n', "\r\n"))));
    forged.push(("no last LF".into(), signed(text.trim_end().to_owned())));
    forged.push(("one LF more".into(), signed(format!("{text}\n"))));
    forged.push(("bytes behind it".into(), signed(format!("{text}more: yes\n"))));
    forged.push(("a byte order mark".into(), signed(format!("\u{feff}{text}"))));
    forged.push(("raw UTF-8 in a value".into(), signed(text.replace("argv: true", "argv: trüe"))));
    forged.push(("over-long".into(), signed(format!("{text}{}", "x: y\n".repeat(5000)))));
    forged.push(("another verdict".into(), signed(text.replace("verdict: approve", "verdict: object"))));
    let at =
        |text: &str| lines.iter().find(|line| line.starts_with("signed-at: ")).unwrap().replace("signed-at: ", text);
    let time = at("");
    let later = "2036-01-01T00:00:00.000000Z";
    let earlier = "2016-01-01T00:00:00.000000Z";
    for (what, new) in [("signed in ten years", later), ("signed ten years ago", earlier)] {
        forged.push((what.into(), signed(text.replace(&format!("signed-at: {time}"), &format!("signed-at: {new}")))));
    }
    let short = format!("signed-at: {}Z", &time[..time.len() - 8]);
    forged.push(("its time in another form".into(), signed(text.replace(&format!("signed-at: {time}"), &short))));
    let signature = |signature: String| Some(Signed { statement: text.clone(), signature });
    for namespace in ["crosscheck-join", "crosscheck-close", "crosscheck-checkpoint", "git", "file", ""] {
        forged.push((format!("signed for {namespace:?}"), signature(key.sign_sshsig(namespace, text.as_bytes()))));
    }
    forged.push((
        "signed by another crew member".into(),
        signature(other.sign_sshsig("crosscheck-approve", text.as_bytes())),
    ));
    forged.push(("a signature of something else".into(), signature(sign("something else"))));
    forged.push(("an armor cut short".into(), signature(genuine.signature[..genuine.signature.len() / 2].to_owned())));
    forged.push(("text before the armor".into(), signature(format!("hello\n{}", genuine.signature))));
    forged.push(("text behind the armor".into(), signature(format!("{}hello\n", genuine.signature))));
    forged.push(("two armors".into(), signature(format!("{0}{0}", genuine.signature))));
    forged.push(("another's whole approval".into(), search.signed(&check)));
    assert!(forged.len() >= 60, "{}", forged.len());

    for (what, signed) in &forged {
        let refused = dba.refusal_of(check.clone(), signed.clone()).await;
        let refused = refused.unwrap_or_else(|| panic!("{what} was accepted"));
        assert!(refused.contains("its signature does not count"), "{what}: {refused}");
    }
    assert!(dba.session.steps["drop"].armed.as_ref().unwrap().checks.is_empty());
    assert_eq!(dba.refusal_of(check.clone(), Some(genuine.clone())).await, None, "the genuine one");
    // Spent: not again on the same attempt, nor on the next one.
    assert!(dba.refusal_of(check.clone(), Some(genuine.clone())).await.is_some());
    assert_eq!(lead.refusal(Request::Disarm { step: step.clone(), attempt: 1 }).await, None);
    assert_eq!(lead.refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
    dba.until("armed again", |session| session.steps["drop"].attempt == 2).await;
    assert_eq!(dba.refusal(Request::OpenCheck { step: step.clone(), attempt: 2 }).await, None);
    let digest = dba.session.steps["drop"].armed.as_ref().unwrap().digest();
    let again = Request::Check { step: step.clone(), attempt: 2, digest };
    let replayed = dba.refusal_of(again, Some(genuine)).await.expect("the old statement is spent");
    assert!(replayed.contains("its signature does not count"), "{replayed}");
    // A key that nobody touches.
    assert_eq!(lead.refusal(Request::Disarm { step, attempt: 2 }).await, None);
    let step = StepId::new("touch").unwrap();
    assert_eq!(lead.refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
    dba.until("armed", |session| session.steps["touch"].phase == Phase::Armed).await;
    assert_eq!(dba.refusal(Request::OpenCheck { step: step.clone(), attempt: 1 }).await, None);
    let digest = dba.session.steps["touch"].armed.as_ref().unwrap().digest();
    let refused = dba.refusal(Request::Check { step, attempt: 1, digest }).await.expect("no security key");
    assert!(refused.contains("touch"), "{refused}");
    // A hub that lies: it lets somebody sign who is nobody in the plan. Clients and `verify` do not count it.
    let line = |session: &Session, who: &Principal, key: &Key| {
        let (at, id) = (session.at, StepId::new("touch").unwrap());
        let act = Act::Check(&id, CrossCheck::Object("no"));
        let text = signing::statement(session, act, who, &key.public().fingerprint(), at).unwrap();
        let signature = key.sign_sshsig("crosscheck-approve", text.text().as_bytes());
        let signed = Some(Signed { statement: text.text().to_owned(), signature });
        let digest = session.steps["touch"].armed.as_ref().unwrap().digest();
        let event = Event::Objected { step: id, attempt: 1, digest, why: "no".into(), signed };
        Line { v: 1, seq: session.seq + 1, prev: session.hash, at, by: who.clone(), event }
    };
    let mut session = dba.session.clone();
    let eve = Principal::new("observer:eve").unwrap();
    let mut person = session.people["dba@example.org"].clone();
    person.key = other.public().fingerprint();
    session.people.insert(eve.clone(), person);
    let own = Principal::new("dba@example.org").unwrap();
    assert!(signing::verify_line(&session, &line(&session, &own, &key)).is_ok(), "a shadow's word counts");
    let error = signing::verify_line(&session, &line(&session, &eve, &other)).unwrap_err();
    assert!(error.to_string().contains("the plan does not let observer:eve say that"), "{error}");
    let _ = writeln!(std::io::stderr(), "set B: {} cases", forged.len() + 4);
    hub.stop().await;
    tokio::time::timeout(Duration::from_secs(20), hub.wait()).await.expect("it ends").unwrap();
}

//! What a client may sign: what it has folded, and of that only what the request names.

use super::super::signing::{Standing, standing};
use super::*;

fn of(desk: &Desk, request: &Request) -> Standing {
    standing(&desk.session, request)
}

#[test]
fn an_arming_is_signed_for_only_where_it_is_the_one_that_is_meant() {
    let mut desk = Desk::new();
    let at = |desk: &Desk, attempt, digest| of(desk, &Request::Check { step: drop_step(), attempt, digest });
    let withdraw = |attempt| Request::Withdraw { step: drop_step(), attempt };
    assert_eq!(at(&desk, 1, Hash::ZERO), Standing::Ahead, "somebody saw it armed before this client did");
    desk.arm("ana").unwrap();
    let first = desk.session.open_step().unwrap().2.digest();
    assert_eq!(at(&desk, 1, first), Standing::Here);
    assert_eq!(at(&desk, 1, Hash::ZERO), Standing::Gone, "the hub says that it is another digest");
    assert_eq!(of(&desk, &withdraw(1)), Standing::Here);
    assert_eq!([at(&desk, 2, first), of(&desk, &withdraw(2))], [Standing::Ahead; 2]);

    // Armed anew: the word on the first attempt is not made into one on the second.
    desk.ask("ana", Request::Disarm { step: drop_step(), attempt: 1 }).unwrap();
    assert_eq!(at(&desk, 1, first), Standing::Gone);
    desk.arm("ana").unwrap();
    assert_eq!([at(&desk, 1, first), of(&desk, &withdraw(1))], [Standing::Gone; 2]);
    let nowhere = Request::Withdraw { step: StepId::new("nowhere").unwrap(), attempt: 1 };
    assert_eq!(of(&desk, &nowhere), Standing::NotYet, "somebody may have typed a step that is new");
}

#[test]
fn an_end_is_signed_for_once_it_is_here_and_never_an_earlier_one() {
    let mut desk = Desk::new();
    let settle = Request::Settle { step: drop_step(), outcome: Settled::Failed, why: "seen".into() };
    assert_eq!(of(&desk, &settle), Standing::NotYet);
    for _ in 0..2 {
        desk.start();
        assert_eq!(of(&desk, &settle), Standing::NotYet, "it runs, and the end of the attempt before is not meant");
        desk.end(1);
        assert_eq!(of(&desk, &settle), Standing::Here);
        desk.settle("cy").unwrap();
        assert_eq!(of(&desk, &settle), Standing::Gone);
    }
}

#[test]
fn a_release_is_signed_while_the_line_is_stopped() {
    let mut desk = Desk::new();
    assert_eq!(of(&desk, &Request::Release), Standing::NotYet);
    desk.andon("cy");
    assert_eq!(of(&desk, &Request::Release), Standing::Here);
    desk.ask("cy", Request::Release).unwrap();
    desk.ask("ana", Request::Release).unwrap();
    assert_eq!(of(&desk, &Request::Release), Standing::NotYet, "the andon that is over is not the next one");
    assert_eq!(of(&desk, &Request::Say { text: "a word".into() }), Standing::Gone, "nobody signs that");
}

/// What a client sends unsigned, since there is nothing that it could sign, is told the real reason.
#[test]
fn the_signature_is_the_last_thing_that_is_asked_for() {
    let mut desk = Desk::new();
    desk.arm("ana").unwrap();
    let first = desk.session.open_step().unwrap().2.digest();
    desk.ask("cy", Request::OpenCheck { step: drop_step(), attempt: 1 }).unwrap();
    desk.session.hub_key = Some(crate::identity::Key::fresh().unwrap().public().clone());
    let check = |attempt, digest| Request::Check { step: drop_step(), attempt, digest };
    let settle = |outcome| Request::Settle { step: drop_step(), outcome, why: "seen".into() };
    for (who, request) in [
        ("cy", check(2, first)),
        ("cy", check(1, Hash::ZERO)),
        ("ana", check(1, first)),
        ("dan", check(1, first)),
        ("cy", Request::Object { step: drop_step(), attempt: 2, digest: first, why: "no".into() }),
        ("cy", Request::Withdraw { step: drop_step(), attempt: 1 }),
        ("ana", Request::Release),
        ("cy", settle(Settled::Done)),
        ("ana", settle(Settled::Failed)),
        ("cy", Request::Skip { step: StepId::new("nowhere").unwrap(), why: "no".into() }),
    ] {
        let refusal = desk.ask(who, request.clone()).unwrap_err();
        assert!(!matches!(refusal, Refusal::Signature(_)), "{who} {request:?}: {refusal}");
    }
    assert!(matches!(desk.ask("cy", check(1, first)), Err(Refusal::Signature(_))), "and is asked for");
}

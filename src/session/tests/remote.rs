//! A step on another machine: what ends the link does not end the command.

use super::*;

#[test]
fn a_lost_link_is_unknown_whatever_ended_it_and_an_exit_of_the_command_is_its_own() {
    let ended = |remote: bool, end: RunEnd| {
        let mut desk = Desk::new();
        desk.remote = remote;
        desk.start();
        let told = desk.see(a::attempt("drop", 1).ended(end));
        (told, desk.state().0)
    };
    for end in [
        RunEnd::Exited { code: 255 },
        RunEnd::Exited { code: -1 },
        RunEnd::Signalled { signal: 9, asked: true },
        RunEnd::TimedOut { after_ms: 5 },
    ] {
        assert_eq!(ended(true, end.clone()), (vec!["OutcomeUnknown"], Phase::Unknown), "{end}");
        assert_eq!(ended(false, end), (vec!["RunEnded"], Phase::Failed));
    }
    assert_eq!(ended(true, RunEnd::Exited { code: 0 }), (vec!["RunEnded"], Phase::Done));
    assert_eq!(ended(true, RunEnd::Exited { code: 254 }), (vec!["RunEnded"], Phase::Failed));
}

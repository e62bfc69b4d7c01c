//! What a command starts and does not wait for: it is waited for in its session, named where it left that, and in reach.

use super::run::Watched;
use super::*;
use crate::event::{LeftSeen, Process, RunEnd};
use crate::exec::{is_alive, left, signal_left, still_runs};
use std::time::Instant;

const BOTH: [Io; 2] = [Io::Pty, Io::Pipe];
/// A daemon as they are written: two forks, a session of its own, no variable and no descriptor kept.
const DAEMON: &str = "(env -i setsid sh -c 'echo $$ >PID; exec sleep 300 <&- >&- 2>&-' &) & wait";

/// Waits until that is so.
async fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "it never came to that");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn pid_in(folder: &Path) -> Option<u32> {
    std::fs::read_to_string(folder.join("PID")).ok()?.trim().parse().ok()
}

fn started(command: &Command, folder: &Path) -> Watched {
    Watched::start(&frozen(command, folder).unwrap()).unwrap()
}

fn only(left: &[LeftSeen]) -> &Process {
    assert_eq!((left.len(), left[0].named.len(), left[0].more), (1, 1, 0), "{left:?}");
    &left[0].named[0].process
}

#[tokio::test]
async fn a_run_ends_when_its_session_has_and_its_exit_is_the_command_s() {
    for io in BOTH {
        let folder = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&folder.path().join("go"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut watched = started(&shell(io, "{ read x <go; echo late; } & exit 3"), folder.path());
        while watched.waits.is_empty() {
            assert!(watched.next().await, "{io:?}: it ended with a job in its session");
        }
        let (end, of) = watched.waits[0].clone();
        assert_eq!((end, of.named.len()), (RunEnd::Exited { code: 3 }, 1), "{io:?}: {of}");
        assert!(of.to_string().contains("read x <go"), "the shell that was forked has its words: {of}");
        assert!(!is_alive(&watched.running.process), "the command itself has ended");
        assert!(still_runs(&watched.running.process, watched.running.keeper.as_ref()));
        std::fs::write(folder.path().join("go"), "go\n").unwrap();
        let (text, end) = watched.end().await;
        assert_eq!((text.as_str(), end), ("late\n", RunEnd::Exited { code: 3 }), "{io:?}");
        assert!(watched.left.is_empty(), "{:?}", watched.left);
        assert!(!still_runs(&watched.running.process, watched.running.keeper.as_ref()));
    }
}

#[tokio::test]
async fn a_job_that_ends_at_once_is_told_to_nobody() {
    for io in BOTH {
        let mut watched = started(&shell(io, "true & (setsid true &) ; exit 0"), &std::env::temp_dir());
        assert_eq!(watched.end().await.1, RunEnd::Exited { code: 0 });
        assert!(watched.waits.is_empty() && watched.left.is_empty(), "{:?} {:?}", watched.waits, watched.left);
    }
}

#[tokio::test]
async fn what_left_the_session_is_named_and_lives_on() {
    for io in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut watched = started(&shell(io, DAEMON), folder.path());
        let (_, end) = watched.end().await;
        assert_eq!(end, RunEnd::Exited { code: 0 }, "{io:?}");
        let who = only(&watched.left).clone();
        assert_eq!(Some(who.pid), pid_in(folder.path()), "{:?}", watched.left);
        assert!(watched.left[0].to_string().starts_with("sleep 300 (pid "), "{}", watched.left[0]);
        assert!(is_alive(&who), "{io:?}: naming it does it no harm");
        let (of, keeper) = (watched.running.process.clone(), watched.running.keeper.clone().unwrap());
        assert!(!still_runs(&of, Some(&keeper)), "its session is empty");
        assert_eq!(left(&of, &keeper).len(), 1, "the next hub finds it below the keeper");
        signal_left(&of, Some(&keeper), false);
        until(|| !is_alive(&who)).await;
        until(|| !is_alive(&keeper)).await;
        assert!(left(&of, &keeper).is_empty());
    }
}

#[tokio::test]
async fn what_was_left_may_print_and_does_not_die_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "setsid sh -c 'read x <go; echo more; echo more; echo still there >&2; read x <more' &";
    for io in BOTH {
        for name in ["go", "more"] {
            nix::unistd::mkfifo(&folder.path().join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let mut watched = started(&shell(io, text), folder.path());
        assert_eq!(watched.end().await.1, RunEnd::Exited { code: 0 });
        let who = only(&watched.left).clone();
        // It opens the second one only after it has printed.
        for name in ["go", "more"] {
            let fifo = folder.path().join(name);
            tokio::task::spawn_blocking(move || std::fs::write(fifo, "go\n")).await.unwrap().unwrap();
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        until(|| !is_alive(&who)).await;
    }
}

#[tokio::test]
async fn interrupt_kill_and_timeout_reach_all_of_it() {
    // A job of a shell does not hear Ctrl-C, a daemon is in no session of the command's.
    let text = format!("{DAEMON}; sleep 301 & while :; do sleep 0.05; done");
    for io in BOTH {
        for how in ["interrupt", "kill", "timeout"] {
            let folder = tempfile::tempdir().unwrap();
            let timeout = (how == "timeout").then(|| Duration::from_millis(1500));
            let mut watched = started(&Command { timeout, ..shell(io, &text) }, folder.path());
            until(|| pid_in(folder.path()).is_some()).await;
            let keeper = watched.running.keeper.clone().unwrap();
            match how {
                "interrupt" => watched.running.interrupt(false).unwrap(),
                "kill" => watched.running.interrupt(true).unwrap(),
                _ => {}
            }
            let (_, end) = watched.end().await;
            let wanted = match how {
                "interrupt" => RunEnd::Signalled { signal: 2, asked: true },
                "kill" => RunEnd::Signalled { signal: 9, asked: true },
                _ => RunEnd::TimedOut { after_ms: 1500 },
            };
            assert_eq!(end, wanted, "{io:?} {how}");
            assert!(watched.left.is_empty(), "{io:?} {how}: {:?}", watched.left);
            until(|| !is_alive(&keeper)).await;
        }
    }
}

#[tokio::test]
async fn an_interrupt_while_others_are_waited_for_ends_those() {
    for io in BOTH {
        let mut watched = started(&shell(io, "sleep 302 & exit 0"), &std::env::temp_dir());
        while watched.waits.is_empty() {
            assert!(watched.next().await);
        }
        watched.running.interrupt(false).unwrap();
        assert_eq!(watched.end().await.1, RunEnd::Exited { code: 0 }, "{io:?}: the command had ended by itself");
    }
}

#[tokio::test]
async fn a_timeout_ends_what_is_waited_for() {
    let timeout = Some(Duration::from_millis(700));
    let command = Command { timeout, ..shell(Io::Pty, "trap '' TERM HUP; sleep 303 & exit 0") };
    let mut watched = started(&command, &std::env::temp_dir());
    assert_eq!(watched.end().await.1, RunEnd::TimedOut { after_ms: 700 });
    assert!(watched.left.is_empty(), "what hears nothing is killed: {:?}", watched.left);
}

#[tokio::test]
async fn with_the_plan_s_word_it_ends_with_its_command_and_names_what_stays() {
    let folder = tempfile::tempdir().unwrap();
    let leaves = Some("the warmer stays until the next release".to_owned());
    let command = Command { leaves, ..shell(Io::Pipe, "sleep 304 & echo $! >PID") };
    let mut watched = started(&command, folder.path());
    assert_eq!(watched.end().await.1, RunEnd::Exited { code: 0 });
    assert!(watched.waits.is_empty(), "{:?}", watched.waits);
    let who = only(&watched.left).clone();
    assert_eq!(Some(who.pid), pid_in(folder.path()));
    assert!(is_alive(&who));
    signal_left(&watched.running.process, watched.running.keeper.as_ref(), true);
    until(|| !is_alive(&who)).await;
}

#[tokio::test]
async fn a_keeper_that_was_killed_is_told_and_the_session_is_waited_for_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let text = "{ until test -e gone; do sleep 0.02; done; echo late; } & read x <go; kill -9 $PPID; : >gone; exit 0";
    let mut watched = started(&shell(Io::Pipe, text), folder.path());
    tokio::task::spawn_blocking(move || std::fs::write(go, "go\n")).await.unwrap().unwrap();
    let (text, end) = watched.end().await;
    assert_eq!(text, "late\n");
    assert_eq!(end, RunEnd::Exited { code: -1 }, "nobody could ask how it ended");
    assert!(watched.left[0].unseen.as_ref().unwrap().contains("keeper was killed"), "{:?}", watched.left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_leaves_nothing_wherever_that_went() {
    let folder = tempfile::tempdir().unwrap();
    let covers =
        frozen(&shell(Io::Pipe, &format!("{DAEMON}; until test -s PID; do :; done; echo 7")), folder.path()).unwrap();
    let opened = crate::exec::open(&covers, &command(Io::Pipe, &["true"]), &params()).unwrap();
    let said = tokio::task::block_in_place(|| crate::exec::look(opened, &crate::secret::Given::default()));
    let pid = pid_in(folder.path()).unwrap();
    assert_eq!(said.unwrap(), "7\n");
    assert!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), None).is_err(), "{pid} lives");
}

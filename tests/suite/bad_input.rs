//! What no good client and no good plan does: each is answered clearly, and nothing is lost or left behind.

use crate::support::program::{Stage, program, run, transcript_files};
use crate::support::wait::{PATIENCE, poll};
use crosscheck::tls::Certificate;
use std::path::PathBuf;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

fn plan(steps: &str) -> String {
    format!(
        r#"
crosscheck = 1
name = "Bad input"
environment = "test"
[crew]
lead = ["{LEAD}"]
shadow = ["{DBA}"]
observer = "link"
{steps}
"#
    )
}

/// Runs `serve` on that stage's plan to its end.
fn serve(stage: &Stage, args: &[&str]) -> (Option<i32>, String) {
    let (plan, transcripts) = (stage.plan(), stage.path("transcripts"));
    let mut all = vec!["serve", plan.to_str().unwrap(), "--transcripts", transcripts.to_str().unwrap()];
    all.extend(args);
    let (code, out, err) = run(&stage.home("hub"), &all);
    (code, format!("{out}{err}"))
}

fn refuses_to_serve(stage: &Stage, args: &[&str], code: i32, words: &[&str]) {
    let (status, said) = serve(stage, args);
    assert_eq!(status, Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    let left = transcript_files(&stage.path("transcripts"));
    assert!(left.is_empty(), "nothing was opened: {left:?}");
}

#[test]
fn broken_plans_are_shown_where_they_are_broken() {
    let broken = Stage::new(&plan("").replace("environment = \"test\"", "environment = test"));
    refuses_to_serve(&broken, &[], 1, &["plan.toml:4:", "environment = test", "^"]);
    let unknown = Stage::new(&plan("[[step]]\nid = \"a\"\nrum = \"true\"\n"));
    refuses_to_serve(&unknown, &[], 1, &["rum = \"true\"", "^^^"]);
    let missing = Stage::new("");
    std::fs::remove_file(missing.plan()).unwrap();
    refuses_to_serve(&missing, &[], 3, &["the plan", "plan.toml cannot be read", "No such file"]);
    let binary = Stage::new("");
    std::fs::write(binary.plan(), b"crosscheck = 1\nname = \"\xff\"\n").unwrap();
    refuses_to_serve(&binary, &[], 1, &["is not UTF-8 text (byte 23)"]);
}

#[test]
fn addresses_parameters_and_links_that_cannot_be() {
    let params = "[params.index]\npattern = \"[a-z]+\"\ndefault = \"a\"\n[[step]]\nid = \"a\"\nrun = [\"echo\", \"{{ index }}\"]\n";
    let stage = Stage::new(&plan(params));
    refuses_to_serve(&stage, &["--tls-cert", "cert.pem"], 2, &["--tls-key"]);
    let files = ["--tls-cert", "no-cert.pem", "--tls-key", "no-key.pem"];
    refuses_to_serve(&stage, &files, 3, &["a certificate cannot be read from no-cert.pem", "hint: --tls-cert"]);
    let (one, other) = (Certificate::make().unwrap(), Certificate::make().unwrap());
    let pem = |name: &str, kind: &str, der: &[u8]| stage.pem(name, kind, der).display().to_string();
    let files = [pem("c.pem", "CERTIFICATE", one.to_der().0), pem("k.pem", "PRIVATE KEY", other.to_der().1)];
    refuses_to_serve(
        &stage,
        &["--tls-cert", &files[0], "--tls-key", &files[1]],
        3,
        &["the certificate cannot be used"],
    );
    refuses_to_serve(&stage, &["--advertise", "host:7000"], 2, &["without port"]);
    refuses_to_serve(&stage, &["--param", "index=A9"], 3, &["index", "A9"]);
    refuses_to_serve(&stage, &["--param", "other=a"], 3, &["other"]);
    refuses_to_serve(&stage, &["--param", "index"], 2, &["NAME=VALUE"]);
    refuses_to_serve(&stage, &["--max-participants", "0"], 2, &["between 1 and"]);

    let home = stage.home("stranger");
    let without_certificate = format!("crosscheck://127.0.0.1:1/#s={}&t={}", "a".repeat(32), "b".repeat(32));
    for (link, words) in [
        ("nonsense", "it does not start with crosscheck://"),
        ("crosscheck://127.0.0.1:1/", "it has no secret after /#"),
        ("crosscheck://127.0.0.1:1/#s=1&t=2", "is not 32 hexadecimal digits"),
        (&without_certificate, "ask the lead for a new link"),
        ("@nowhere", "the link's file nowhere cannot be read"),
    ] {
        let (code, _, said) = run(&home, &["join", link, "--plain"]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let nobody = without_certificate.replace("&t=", &format!("&fp=sha256:{}&t=", "c".repeat(64)));
    let (code, _, said) = run(&home, &["join", &nobody, "--plain"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("cannot reach the hub at 127.0.0.1:1") && said.contains("hint: is the hub running"),
        "{said}"
    );
}

#[test]
fn an_edited_plan_is_another_plan() {
    let stage = Stage::new(&plan("[[step]]\nid = \"a\"\nrun = \"true\"\n"));
    let mut hub = stage.serve(&[]);
    hub.kill();
    std::fs::write(stage.plan(), plan("[[step]]\nid = \"a\"\nrun = \"false\"\n")).unwrap();
    let (code, said) = serve(&stage, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("was opened with another plan text") && said.contains("hint: fly the plan as it was"),
        "{said}"
    );
    let mut hub = stage.serve(&["--new"]);
    hub.expect("opened session");
    hub.kill();
    assert_eq!(transcript_files(&stage.path("transcripts")).len(), 2);

    // Another plan in the same folder is not the same plan edited.
    let other = plan("[[step]]\nid = \"b\"\nrun = \"true\"\n").replace("Bad input", "Something else");
    std::fs::write(stage.plan(), other).unwrap();
    let mut hub = stage.serve(&[]);
    hub.expect("opened session");
    hub.kill();
}

#[test]
fn what_is_not_there_is_said() {
    let steps = "[[step]]\nid = \"gone\"\nclass = \"critical\"\nrun = [\"./no-such-program\"]\n\
                 [[step]]\nid = \"work\"\nclass = \"critical\"\nafter = []\ncwd = \"work\"\nrun = \"echo ran >> ../ran.txt\"\n";
    let stage = Stage::new(&plan(steps));
    std::fs::create_dir(stage.path("work")).unwrap();
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    let answer = lead.refused("arm gone");
    assert!(answer.contains("./no-such-program"), "{answer}");
    assert_eq!(stage.events("Refused")[0]["request"], "arm gone");

    lead.ok("arm work");
    dba.expect("--- digest");
    dba.ok("check");
    std::fs::remove_dir(stage.path("work")).unwrap();
    lead.ok("run");
    let told = lead.expect("work is not armed any more: what would run changed");
    assert!(told.contains("work"), "{told}");
    assert!(stage.events("RunIntended").is_empty() && !stage.path("ran.txt").exists());

    // The plan's folder, gone between looking at it and flying it.
    let other = Stage::new(&plan("[[step]]\nid = \"a\"\nrun = \"true\"\n"));
    let folder = other.path("moved");
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(other.plan(), folder.join("plan.toml")).unwrap();
    let (file, transcripts) = (folder.join("plan.toml"), other.path("transcripts"));
    let home = other.home("hub");
    let (code, _, said) = run(&home, &["lint", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    std::fs::remove_dir_all(&folder).unwrap();
    let words = ["serve", file.to_str().unwrap(), "--transcripts", transcripts.to_str().unwrap()];
    let (code, _, said) = run(&home, &words);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("moved/plan.toml cannot be read"), "{said}");
}

/// Bytes that would do something to a terminal, or are no text at all.
const HOSTILE: &[u8] = b"\x1b]0;owned\x07\x1b[31mred\x1b[0m\xff\xfe\x80\xc3(\x1b[2J\x1b]52;c;ZXZpbA==\x07\xc2\x9b31m\x7f\x08\x08bell\x07\x0b\x0c\x1bP+q\x1b\\ \xe2\x80\xae evil\r\nend\n";

#[test]
fn what_a_command_prints_draws_on_nobody_elses_terminal() {
    let step =
        |id: &str, io: &str| format!("[[step]]\nid = \"{id}\"\nio = \"{io}\"\nrun = [\"cat\", \"hostile.bin\"]\n");
    let stage = Stage::new(&plan(&format!("{}{}", step("pipe", "pipe"), step("pty", "pty"))));
    std::fs::write(stage.path("hostile.bin"), HOSTILE).unwrap();
    let _hub = stage.serve(&[]);
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    for id in ["pipe", "pty"] {
        lead.ok(&format!("arm {id}"));
        lead.ok("run");
        lead.expect(&format!("{id} done"));
        dba.expect(&format!("{id} done"));
    }
    dba.ok("say \u{1b}[2J\u{202e}and \u{9b}31m so do people");
    lead.expect("so do people");
    for client in [&lead, &dba] {
        let printed = client.printed();
        let bad: Vec<_> = printed.chars().filter(|c| *c != '\n' && crosscheck::name::is_hidden(*c)).collect();
        assert!(bad.is_empty(), "{bad:?} in {printed}");
    }
    let kept = std::fs::read(stage.transcript_file().with_extension("out").join("pipe-1-step")).unwrap();
    assert_eq!(kept, HOSTILE, "as it was printed");
    let raw = std::fs::read(stage.transcript_file()).unwrap();
    assert!(
        raw.iter().all(|byte| *byte == b'\n' || (*byte >= 0x20 && *byte != 0x7f)),
        "the transcript is safe to look at"
    );
}

#[test]
fn a_damaged_transcript_is_refused_by_line_or_taken_up_whole() {
    let stage = Stage::new(&plan("[[step]]\nid = \"a\"\nrun = \"echo hello\"\n"));
    let mut hub = stage.serve(&[]);
    let lead = stage.join(LEAD);
    lead.ok("say one");
    lead.ok("arm a");
    lead.ok("run");
    lead.expect("a done");
    lead.ok("say two");
    hub.kill();
    drop(lead);
    let file = stage.transcript_file();
    let whole = std::fs::read(&file).unwrap();
    let used = whole.iter().rposition(|byte| *byte != b'\n').unwrap() + 2;
    let ends: Vec<usize> = (0..used).filter(|at| whole[*at] == b'\n').map(|at| at + 1).collect();
    assert!(ends.len() > 8);

    let mut taken_up = 0;
    let mut tried = 0;
    let mut look = |bytes: Vec<u8>, what: &str, must_refuse: bool| {
        std::fs::write(&file, &bytes).unwrap();
        let mut hub = stage.serve_unready(&[]);
        let ready = poll(PATIENCE, || {
            let ended = hub.has_ended();
            (ended || hub.printed().contains("listening")).then_some(!ended)
        });
        let said = hub.printed();
        match ready.expect("it comes up or refuses") {
            true => {
                assert!(!must_refuse, "{what} was taken up: {said}");
                assert!(said.contains("took up the unfinished session"), "{what}: {said}");
                taken_up += 1;
            }
            false => {
                assert_eq!(hub.wait().code(), Some(3), "{what}: {said}");
                hub.expect("cannot be continued: line ");
                hub.expect("hint: keep the file, it is evidence");
            }
        }
        tried += 1;
        hub.kill();
        assert_eq!(transcript_files(&stage.path("transcripts")).len(), 1, "{what}: no other session was opened");
    };
    // Cut behind a line: what a power cut may leave. Cut inside the last line: torn, set aside.
    look(whole[..ends[4]].to_vec(), "cut after line 5", false);
    look(whole[..ends[4] + 20].to_vec(), "cut inside line 6", false);
    // Edited: one byte of a line, in its text, its number, its link. The line after it does not follow then.
    for line in [0, 2, ends.len() / 2, ends.len() - 2] {
        let begins = if line == 0 { 0 } else { ends[line - 1] };
        for at in [begins + 10, begins + 30, ends[line] - 5] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x01;
            look(bytes, &format!("byte {at} of line {} changed", line + 1), true);
        }
    }
    let without = [&whole[..ends[2]], &whole[ends[3]..]].concat();
    look(without, "line 4 taken out", true);
    let swapped = [&whole[..ends[2]], &whole[ends[3]..ends[4]], &whole[ends[2]..ends[3]], &whole[ends[4]..]].concat();
    look(swapped, "lines 4 and 5 swapped", true);
    let twice = [&whole[..ends[3]], &whole[ends[2]..]].concat();
    look(twice, "line 4 twice", true);
    look([&whole[..ends[2]], &[0; 64][..], &whole[ends[2]..]].concat(), "zeros after line 3", true);
    assert!(taken_up >= 2 && tried > 15);
}

#[test]
fn a_full_disk_lets_the_command_end_and_says_so_to_everyone() {
    // It goes on until it is told to stop, and prints, so that the hub writes.
    let run = "while test ! -e stop; do echo tick; sleep 0.05; done; echo whole > ended.txt";
    let stage = Stage::new(&plan(&format!("[[step]]\nid = \"a\"\nrun = \"{run}\"\n")));
    let mut hub = stage.serve_with(&[("CROSSCHECK_FAULT", "enospc:60")], &[]);
    stage.wait_for_links();
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    lead.ok("arm a");
    lead.ok("run");
    for client in [&lead, &dba] {
        let said = client.expect("HUB: nothing can start any more: ");
        assert!(said.contains("no space left for line") && said.contains("Free space there"), "{said}");
    }
    assert!(lead.refused("say anybody?").contains("no space left"));
    assert!(!hub.has_ended(), "it reads the command out");
    assert!(!stage.path("ended.txt").exists());
    std::fs::write(stage.path("stop"), "").unwrap();
    assert_eq!(hub.wait().code(), Some(3), "{}", hub.printed());
    assert_eq!(std::fs::read_to_string(stage.path("ended.txt")).unwrap(), "whole\n", "the command came to its end");
    hub.expect("step a: exit 0; ");
    hub.expect("the transcript can no longer be written, so nothing may run: no space left for line");

    // With room again everything that was shown is there, and nobody knows how it ended.
    let _hub = stage.serve(&[]);
    lead.expect("link: connected again");
    lead.forget_answers();
    lead.expect("a is unknown");
    let numbers = lead.printed();
    let shown = numbers.lines().filter_map(|line| line.split(" #").nth(1)?.split(' ').next()?.parse::<u64>().ok());
    let numbers: Vec<_> = shown.collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "no line again, none lost: {numbers:?}");
    let torn: Vec<PathBuf> = std::fs::read_dir(stage.path("transcripts")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(torn.iter().any(|path| path.to_string_lossy().contains(".torn-1")), "{torn:?}");
    assert!(lead.refused("arm a").contains("unknown"));
}

#[test]
fn a_limit_on_file_sizes_is_a_full_disk_and_no_sudden_death() {
    let run = "head -c 3000000 /dev/zero; while test ! -e stop; do sleep 0.05; done; echo whole > ended.txt";
    let stage = Stage::new(&plan(&format!("[[step]]\nid = \"a\"\nio = \"pipe\"\nrun = \"{run}\"\n")));
    // In units of 512 bytes: the transcript's first megabyte fits, so much output does not.
    let mut hub = stage.serve_limited(4096);
    stage.wait_for_links();
    let lead = stage.join(LEAD);
    lead.ok("arm a");
    lead.ok("run");
    lead.expect("HUB: nothing can start any more: no space left for line");
    assert!(!hub.has_ended(), "it reads the command out");
    std::fs::write(stage.path("stop"), "").unwrap();
    assert_eq!(hub.wait().code(), Some(3), "{}", hub.printed());
    assert_eq!(std::fs::read_to_string(stage.path("ended.txt")).unwrap(), "whole\n");
    let _hub = stage.serve(&[]);
    lead.expect("a is unknown");
}

/// From the first line on: a hub whose disk is full at once says so and leaves nothing that stands in the way.
#[test]
fn a_disk_that_is_full_from_the_start() {
    for kind in ["enospc", "eio"] {
        let stage = Stage::new(&plan("[[step]]\nid = \"a\"\nrun = \"true\"\n"));
        let mut hub = stage.serve_with(&[("CROSSCHECK_FAULT", &format!("{kind}:1"))], &[]);
        assert_eq!(hub.wait().code(), Some(3), "{}", hub.printed());
        hub.expect("error: the session could not be opened: ");
        let _hub = stage.serve(&[]);
        let lead = stage.join(LEAD);
        lead.ok("arm a");
        lead.ok("run");
        lead.expect("a done");
    }
}

#[test]
fn one_too_many() {
    let stage = Stage::new(&plan(""));
    let _hub = stage.serve(&["--max-participants", "6"]);
    // Three connections of one person, and not a fourth.
    let mut mine: Vec<_> = (0..3).map(|_| stage.join(DBA)).collect();
    let fourth = program(&stage.home(DBA)).args(["join", &stage.links()[DBA], "--plain"]).output().unwrap();
    let said = String::from_utf8_lossy(&fourth.stderr).into_owned();
    assert_eq!(fourth.status.code(), Some(3), "{said}");
    assert!(said.contains("dba@example.org has 3 connections already; leave one of them"), "{said}");
    mine[0].hang_up();
    mine[0].wait();
    mine[1].expect("one link of dba@example.org ended");
    mine.push(stage.join(DBA));

    // Six participants, and not a seventh.
    let _others: Vec<_> = (0..3).map(|_| stage.join(LEAD)).collect();
    let seventh = program(&stage.home("x")).args(["join", &stage.links()["observer"], "--plain"]).output().unwrap();
    let said = String::from_utf8_lossy(&seventh.stderr).into_owned();
    assert_eq!(seventh.status.code(), Some(3), "{said}");
    assert!(said.contains("takes no more connections at the moment") && said.contains("--max-participants"), "{said}");
}

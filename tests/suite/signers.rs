//! Set K: our reader of `allowed_signers` against the real `ssh-keygen`. Lines are put together from what such lines are
//! made of, damaged, and read by both. What we accept and `ssh-keygen -Y verify` does not is a hole, and fails the test;
//! the other way round we are stricter, and that is counted.

use super::support::real::installed;
use crosscheck::clock::At;
use crosscheck::name::Principal;
use crosscheck::trust::allowed::{APPROVE, Allowed, JOIN};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Files read where nothing else is asked for (`CROSSCHECK_LINES`).
const FILES: usize = 2000;
/// Of the files that we refuse, one in so many is shown to `ssh-keygen`: they cannot be holes, only tell how strict we are.
const REFUSED_SHARE: usize = 4;
/// Processes at a time.
const THREADS: usize = 2;

/// Whom `ssh-keygen` is asked about, and at what times: inside of what generated lines say, at its borders, outside.
const WHO: [&str; 2] = ["dana@example.org", "sam@example.org"];
const TIMES: [(&str, &str); 5] = [
    ("20261121120000Z", "2026-11-21T12:00:00Z"),
    ("20261121000000Z", "2026-11-21T00:00:00Z"),
    ("20261121020000Z", "2026-11-21T02:00:00Z"),
    ("20261120235959Z", "2026-11-20T23:59:59Z"),
    ("20261122000001Z", "2026-11-22T00:00:01Z"),
];
/// Local time where `ssh-keygen` runs: UTC, 12 hours behind it, 14 ahead, and one with half an hour.
const ZONES: [&str; 4] = ["UTC0", "WEST12", "EAST-14", "MID-5:30"];

/// Two keys and two signatures, made once.
struct Bench {
    folder: tempfile::TempDir,
    /// `ssh-ed25519 AAAA…` of the key that signed, and of another.
    keys: [String; 2],
    blob: Vec<u8>,
}

/// What both are asked about one file.
#[derive(Debug, Clone)]
struct Case {
    text: String,
    who: &'static str,
    namespace: &'static str,
    time: (&'static str, &'static str),
    zone: &'static str,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let keygen = |args: &[&str]| {
            let done = Command::new("ssh-keygen").args(args).current_dir(folder.path()).stdin(Stdio::null()).output();
            let done = done.unwrap();
            assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        for name in ["one", "two"] {
            keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", name]);
        }
        for namespace in [APPROVE, JOIN] {
            fs::write(file(namespace), "signed\n").unwrap();
            keygen(&["-q", "-Y", "sign", "-f", "one", "-n", namespace, namespace]);
        }
        let keys = ["one.pub", "two.pub"].map(|name| fs::read_to_string(file(name)).unwrap().trim().to_owned());
        let base64 = keys[0].split(' ').nth(1).unwrap();
        let blob = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, base64).unwrap();
        Bench { keys, blob, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn we_accept(&self, case: &Case) -> bool {
        let (who, at) = (Principal::new(case.who).unwrap(), At::try_from(case.time.1.to_owned()).unwrap());
        Allowed::parse(&case.text).is_ok_and(|allowed| allowed.is_signer(&who, &self.blob, case.namespace, at).is_ok())
    }

    /// `name`: a file that nobody else writes meanwhile.
    fn keygen_accepts(&self, case: &Case, name: &str) -> bool {
        let path = self.path(name);
        fs::write(&path, &case.text).unwrap();
        let mut command = Command::new("ssh-keygen");
        command.args(["-Y", "verify", "-I", case.who, "-n", case.namespace]).arg("-f").arg(&path);
        command.arg("-s").arg(self.path(&format!("{}.sig", case.namespace)));
        command.arg(format!("-Overify-time={}", case.time.0)).env("TZ", case.zone);
        command.stdin(File::open(self.path(case.namespace)).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }
}

/// A generator that gives the same files on every machine.
struct Dice(u64);
impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())]
    }
}

const NAMES: &[&str] = &[
    "dana@example.org",
    "sam@example.org",
    "dana@example.org,sam@example.org",
    "*@example.org",
    "*@example.org,!sam@example.org",
    "!dana@example.org,*",
    "da?a@example.org",
    "*,!d*",
    "!*,dana@example.org",
    "\"dana@example.org\"",
    "\"dana@example.org,sam@example.org\"",
    "\"dana@example.org, sam@example.org\"",
    "\"*\"",
    "*",
    "?*@*.org",
    "Dana@Example.org",
    "dana@example.org,,sam@example.org",
    "da\"na@example.org",
    "\"dana@example.org\",sam@example.org",
    "dana@example.org\"x y\"",
    "!!dana@example.org,*",
    "\"\"",
    "#dana@example.org",
];
const OPTIONS: &[&str] = &[
    "namespaces=\"crosscheck-approve\"",
    "namespaces=\"crosscheck-join\"",
    "namespaces=\"crosscheck-join,crosscheck-approve\"",
    "namespaces=\"crosscheck-*,!crosscheck-join\"",
    "namespaces=\"*\"",
    "namespaces=\"git\"",
    "namespaces=\"\"",
    "namespaces=crosscheck-approve",
    "namespaces=\"git, crosscheck-approve\"",
    "NAMESPACES=\"crosscheck-approve\"",
    "Namespaces=\"Crosscheck-Approve\"",
    "namespaces=\"a\\\"b,crosscheck-approve\"",
    "valid-after=\"20261121Z\"",
    "valid-after=\"20261121\"",
    "valid-after=\"202611210200\"",
    "valid-after=\"20261121120000Z\"",
    "valid-after=\"20261121120001Z\"",
    "valid-before=\"20261122Z\"",
    "valid-before=\"20261122\"",
    "valid-before=\"202611220200\"",
    "valid-before=\"20261121115959Z\"",
    "valid-before=\"20261121120000Z\"",
    "Valid-Before=\"20301231Z\"",
    "valid-before=\"20261121z\"",
    "valid-before=\"20300230Z\"",
    "valid-after=\"2026\"",
    "valid-before=\"\"",
    "cert-authority",
    "no-touch-required",
    "",
];
/// Options that nearly everything asked here passes.
const PASSING: &[&str] = &[
    "namespaces=\"crosscheck-join,crosscheck-approve\"",
    "namespaces=\"crosscheck-*\"",
    "NameSpaces=\"git,*\"",
    "valid-after=\"20200101\"",
    "valid-after=\"202001010000Z\"",
    "valid-before=\"20301231235959\"",
    "VALID-before=\"20301231Z\"",
];
/// What a damaged line gets somewhere.
const DAMAGE: &[&str] = &[
    "\"", "\"\"", " ", "\t", ",", "!", "*", "?", "#", "\\", "\\\"", "=", "\r", "\0", "\u{b}", "\u{c}", "\n", "\u{a0}",
    "A",
];

fn line(dice: &mut Dice, bench: &Bench) -> String {
    let blank = |dice: &mut Dice| dice.of(&[" ", " ", " ", " ", " ", " ", "\t", "  ", " \t ", "\u{b}"]);
    let mut line = dice.of(&["", "", "", "", "", "", "", "", " ", "\t", "#"]).to_owned();
    // Most parts of most lines are good ones: a line with two things wrong shows nothing of either.
    line += if dice.roll(5) < 3 { NAMES[0] } else { dice.of(NAMES) };
    line += blank(dice);
    let options = dice.of(&[0, 0, 0, 1, 1, 1, 2, 3]);
    for nth in 0..options {
        line += if nth == 0 { "" } else { dice.of(&[",", ",", ",", ",", ",", ",", ", ", ",,", " "]) };
        line += if dice.roll(2) == 0 { dice.of(PASSING) } else { dice.of(OPTIONS) };
    }
    line += if options > 0 { blank(dice) } else { "" };
    let key = if dice.roll(12) == 0 { &bench.keys[1] } else { &bench.keys[0] };
    line += &match dice.roll(50) {
        0 => key.replace("ssh-ed25519", "ssh-rsa"),
        1 => key.replace(' ', "\t \t"),
        2 => key.replace("ssh-ed25519", "SSH-ED25519"),
        3 => format!("{key}="),
        4 => key[..key.len() - 4].to_owned(),
        _ => key.clone(),
    };
    line += match dice.roll(20) {
        0 => " \u{202e}",
        1 => ",x",
        _ => dice.of(&["", "", " comment", "\tdana's key", " a \"comment", " # comment", " "]),
    };
    if dice.roll(40) == 0 {
        line += &" long".repeat(4000);
    }
    for _ in 0..dice.of(&[0, 0, 0, 0, 0, 1, 1, 2]) {
        // Base64 and type word are the longest part and the dullest: damage stands rather before them.
        let bound = if dice.roll(3) > 0 { line.find("ssh-").unwrap_or(line.len()) } else { line.len() };
        let mut at = dice.roll(bound + 1);
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        match dice.roll(3) {
            0 if at < line.len() => drop(line.remove(at)),
            _ => line.insert_str(at, dice.of(DAMAGE)),
        }
    }
    line
}

fn cases(bench: &Bench, count: usize) -> Vec<Case> {
    let mut dice = Dice(21);
    let asked = |dice: &mut Dice, text: String| Case {
        text,
        who: if dice.roll(6) == 0 { WHO[1] } else { WHO[0] },
        namespace: if dice.roll(6) == 0 { JOIN } else { APPROVE },
        time: if dice.roll(2) == 0 { TIMES[0] } else { dice.of(&TIMES) },
        zone: dice.of(&ZONES),
    };
    (0..count)
        .map(|_| {
            let mut text = String::new();
            for _ in 0..dice.of(&[0, 0, 0, 0, 0, 0, 0, 1, 2]) {
                text += &match dice.roll(3) {
                    0 => "# ours\n".to_owned(),
                    1 => "\n".to_owned(),
                    _ => line(&mut dice, bench) + "\n",
                };
            }
            text += &line(&mut dice, bench);
            text += dice.of(&["\n", "\n", "\n", "", "\r\n", " \r\n", "\r"]);
            asked(&mut dice, text)
        })
        .collect()
}

/// What was found in some of the cases.
#[derive(Default)]
struct Found {
    both: usize,
    neither: usize,
    stricter: usize,
    open: Vec<Case>,
}

fn compare(bench: &Bench, cases: &[Case], thread: usize) -> Found {
    let (mut found, mut refused) = (Found::default(), 0);
    for case in cases.iter().skip(thread).step_by(THREADS) {
        let ours = bench.we_accept(case);
        refused += usize::from(!ours);
        if !ours && refused % REFUSED_SHARE != 0 {
            continue;
        }
        match (ours, bench.keygen_accepts(case, &format!("signers-{thread}"))) {
            (true, true) => found.both += 1,
            (false, false) => found.neither += 1,
            (false, true) => found.stricter += 1,
            (true, false) => found.open.push(case.clone()),
        }
    }
    found
}

#[test]
fn what_we_accept_ssh_keygen_accepts() {
    if installed("ssh-keygen", "-?").is_none() {
        return;
    }
    let asked = std::env::var("CROSSCHECK_LINES").ok();
    let count = asked.map_or(FILES, |count| count.parse().expect("CROSSCHECK_LINES is a number"));
    let bench = Bench::new();
    let cases = cases(&bench, count);
    let found: Vec<Found> = std::thread::scope(|scope| {
        let (bench, cases) = (&bench, &cases);
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || compare(bench, cases, n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |part: fn(&Found) -> usize| found.iter().map(part).sum::<usize>();
    let (both, neither, stricter) = (sum(|f| f.both), sum(|f| f.neither), sum(|f| f.stricter));
    let open: Vec<&Case> = found.iter().flat_map(|found| &found.open).collect();
    let refused = neither + stricter;
    // Past the test runner, which keeps what a passing test prints.
    let _ = writeln!(
        std::io::stderr(),
        "set K: {count} lines, {} fail-open, {stricter} stricter (of {refused} that we refuse and showed to ssh-keygen), {both} accepted by both",
        open.len()
    );
    assert!(open.is_empty(), "accepted by us, refused by ssh-keygen: {:#?}", &open[..open.len().min(5)]);
    // Lines that both refuse show little, lines that only one ever sees show nothing.
    assert!(both * 10 >= count && neither * 20 >= count, "{both} accepted, {neither} refused by both, of {count}");
}

/// The comparison sees holes: what OpenSSH refuses and a laxer reader would take is refused by `ssh-keygen` here too, and
/// what it takes where people read something else is refused by us.
#[test]
fn known_traps_are_closed() {
    if installed("ssh-keygen", "-?").is_none() {
        return;
    }
    let bench = Bench::new();
    let key = &bench.keys[0];
    let ask = |text: &str| {
        let zone = ZONES[0];
        let case = Case { text: text.to_owned(), who: WHO[0], namespace: APPROVE, time: TIMES[0], zone };
        (bench.we_accept(&case), bench.keygen_accepts(&case, "trap"))
    };
    assert_eq!(ask(&format!("dana@example.org {key}\n")), (true, true));
    let (both, ours_only) = ((false, false), (false, true));
    for (text, expected) in [
        (format!("da\"na@example.org {key}\n"), both),
        (format!("x,dana@example.org\" y\" {key}\n"), both),
        (format!("dana@example.org namespaces=crosscheck-approve {key}\n"), both),
        (format!("dana@example.org namespaces=\"\" {key}\n"), both),
        (format!("dana@example.org namespaces=\"*\",namespaces=\"*\" {key}\n"), both),
        (format!("dana@example.org namespaces=\"Crosscheck-Approve\" {key}\n"), both),
        (format!("Dana@example.org {key}\n"), both),
        (format!("dana@example.org cert-authority {key}\n"), both),
        (format!("dana@example.org,!dana@* {key}\n"), both),
        (format!("dana@example.org {key}\0anything\n"), ours_only),
        (format!("sam@example.org nonsense\ndana@example.org {key}\n"), ours_only), // a line that it never reads
        (format!("dana@example.org {key} \u{202e}\n"), ours_only),
        (format!("dana@example.org valid-before=\"20300230Z\" {key}\n"), ours_only),
        (format!("dana@example.org,,sam@example.org {key}\n"), ours_only),
        (format!("dana@example.org {key}{}\n", " x".repeat(9000)), ours_only),
    ] {
        let shown: String = text.chars().take(120).collect();
        assert_eq!(ask(&text), expected, "{shown:?}");
    }
    // Local time: what would expire elsewhere is expired here.
    let line = format!("dana@example.org valid-before=\"20261121130000\" {key}\n");
    let case = |zone| Case { text: line.clone(), who: WHO[0], namespace: APPROVE, time: TIMES[0], zone };
    assert!(bench.keygen_accepts(&case(ZONES[0]), "trap") && !bench.keygen_accepts(&case(ZONES[2]), "trap"));
    assert!(!bench.we_accept(&case(ZONES[0])));
}

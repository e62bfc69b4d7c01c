//! A command that prints 81 MB while people watch: what a hundred viewers cost the command, whether they read or not, and
//! whether everyone sees the last line without a further event. A real hub, a real lead; the viewers are another process.

mod support;

use crosscheck::client::{Client, Keys, Options, view::View};
use crosscheck::hub::{Config, Hub};
use crosscheck::identity::Key;
use crosscheck::link::Link;
use crosscheck::name::StepId;
use crosscheck::plan::{Params, Plan};
use crosscheck::session::Request;
use crosscheck::session::steps::{Phase, StepState};
use crosscheck::trust::signer::Signer;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::raw::{BINARY, Raw, TEXT};
use support::{Goal, Other};

const LINES: usize = 1_000_000;
const BYTES: f64 = 81.0 * LINES as f64;
const RUNS: usize = 7;
const MANY: usize = 100;
/// No blank in it: a screen leaves blanks out.
const LAST: &str = "THE-LAST-LINE";
/// The whole run counts, and a disk that is busy with somebody else makes each sync take thirty times as long.
const PATIENCE: Duration = Duration::from_secs(180);

const PLAN: &str = r#"
crosscheck = 1
name = "Print"
environment = "bench"
[crew]
lead = ["lead@example.org"]
observer = "link"
[[step]]
id = "print"
title = "Print a lot"
run = ["/bin/sh", "job.sh"]
"#;
/// It takes its own time, so that nothing around it is measured.
const JOB: &str = "date +%s%N > begin\ncat text\ndate +%s%N > end\n";

fn main() {
    match support::role() {
        Some(role) => return viewers(&role),
        None => support::headline("stalled", "a command that prints 81 MB, time it takes by its own clock"),
    }
    let folder = support::folder();
    let mut text = String::with_capacity(LINES * 81);
    for n in 0..LINES - 1 {
        text += &format!("{n:08} {}\n", "abcdefghijklmnopqrstuvwxyz0123456789 ".repeat(2).get(..71).unwrap_or(""));
    }
    text += &format!("{LAST:.<80}\n");
    std::fs::write(folder.path().join("text"), text).expect("a disk");
    std::fs::write(folder.path().join("job.sh"), JOB).expect("a disk");

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut all: [Vec<Seen>; 3] = Default::default();
    let mut bare = vec![];
    let roles = ["fast 1".to_owned(), format!("stalled {MANY}"), format!("fast {MANY}")];
    for run in 0..RUNS {
        bare.push(bare_terminal(folder.path()));
        // Each comes first as often as last: what the one before leaves to the disk hits all alike.
        for which in (0..roles.len()).map(|n| (n + run) % roles.len()) {
            all[which].push(runtime.block_on(print(folder.path(), &roles[which])));
        }
    }
    let took = |seen: &[Seen]| seen.iter().map(|seen| seen.took).collect::<Vec<_>>();
    let [one, stalled, fast] = all;
    println!(
        "stalled: command took {:.0} ms bare, {:.0} with one viewer, {:.0} with {MANY} stalled, {:.0} with {MANY} fast",
        support::median(&bare),
        support::median(&took(&one)),
        support::median(&took(&stalled)),
        support::median(&took(&fast))
    );
    let cpu = |seen: &[Seen]| seen.iter().map(|seen| seen.cpu).collect::<Vec<_>>();
    let alone = cpu(&one);
    println!("stalled: the hub's processor time with one viewer {:.0} ms", support::median(&alone));
    for (what, seen) in [("stalled", &stalled), ("fast", &fast)] {
        let name = format!("the hub's processor time, {MANY} {what} viewers / one viewer");
        support::report(&name, &support::ratios(&cpu(seen), &alone), Goal::None);
    }
    let ratios = |seen: &[Seen], to: &[f64]| support::ratios(&took(seen), to);
    support::report(
        &format!("{MANY} stalled viewers / one viewer"),
        &ratios(&stalled, &took(&one)),
        Goal::AtMost(1.05),
    );
    support::report(&format!("{MANY} fast viewers / one viewer"), &ratios(&fast, &took(&one)), Goal::AtMost(1.25));
    support::report("one viewer / bare terminal", &ratios(&one, &bare), Goal::AtMost(1.25));
    // Neighbours only ever add time, so on a busy machine the fastest run of each says more than the middle one.
    let fastest = |seen: &[Seen]| support::spread(&took(seen)).0;
    println!(
        "stalled: fastest runs: one viewer {:.0} ms ({:.2} of the bare terminal's), {MANY} stalled {:.2} of that, {MANY} fast {:.2}",
        fastest(&one),
        fastest(&one) / support::spread(&bare).0,
        fastest(&stalled) / fastest(&one),
        fastest(&fast) / fastest(&one)
    );
    let last: Vec<f64> = fast.iter().map(|seen| seen.last_after).collect();
    support::report_as(&format!("last line at the last of {MANY} fast viewers"), "ms", &last, Goal::AtMost(150.0));
    let share: Vec<f64> = fast.iter().map(|seen| seen.bytes / MANY as f64 / BYTES).collect();
    support::report("bytes to a viewer / bytes printed", &share, Goal::AtMost(0.05));
    let waits: Vec<f64> = [one, stalled, fast].iter().flatten().map(|seen| seen.waits as f64).collect();
    support::report_as("waits of the reader for anything but the journal", "count", &waits, Goal::AtMost(0.0));
}

/// Milliseconds by the job's own clock.
fn own_clock(folder: &Path) -> f64 {
    let read = |name| -> f64 {
        let text = std::fs::read_to_string(folder.join(name)).expect("the job wrote it");
        text.trim().parse().expect("a number")
    };
    (read("end") - read("begin")) / 1e6
}

/// The floor: a terminal that one loop reads into the void.
fn bare_terminal(folder: &Path) -> f64 {
    let size = nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let ends = nix::pty::openpty(&size, None).expect("a terminal");
    let mut child =
        Command::new("/bin/sh").arg("job.sh").current_dir(folder).stdout(ends.slave).spawn().expect("a shell");
    let mut master = std::fs::File::from(ends.master);
    let mut buffer = vec![0; 64 * 1024];
    while master.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
    assert!(child.wait().expect("a child").success());
    own_clock(folder)
}

struct Seen {
    /// Milliseconds the command took.
    took: f64,
    /// Milliseconds from its end to the last viewer's last line.
    last_after: f64,
    /// Milliseconds of processor time that the hub (and the lead's client) took.
    cpu: f64,
    /// Bytes that all viewers got.
    bytes: f64,
    waits: u64,
}

async fn print(folder: &Path, role: &str) -> Seen {
    let hub = Hub::start(Config {
        plan: Plan::parse("bench", PLAN).expect("a plan"),
        folder: folder.to_owned(),
        params: Params::default(),
        rehearsal: None,
        transcripts: folder.join("transcripts"),
        listen: "127.0.0.1:0".parse().expect("an address"),
        advertise: None,
        certificate: None,
        max_participants: MANY + 10,
        new: true,
    });
    let hub = hub.await.expect("a hub");
    let mut viewers = Other::start(role);
    assert_eq!(viewers.ask(&hub.links["observer"]), "joined");
    let link: Link = hub.links["lead@example.org"].parse().expect("a link");
    let options = Options {
        link,
        name: None,
        keys: Keys::Given(Arc::new(Signer::Own(Key::fresh().expect("a key")))),
        via: None,
        heads: None,
    };
    let mut lead = Client::join(options).await.expect("the lead is let in");
    let mut notices = std::mem::replace(&mut lead.notices, tokio::sync::mpsc::channel(1).1);
    tokio::spawn(async move { while notices.recv().await.is_some() {} });
    let step = StepId::new("print").expect("an id");
    lead.ask(Request::Arm { step: step.clone(), covers: None }).await;
    until(&mut lead, |state| state.phase == Phase::Cleared).await;
    let before = support::cpu();
    lead.ask(Request::Run { step: step.clone(), attempt: 1 }).await;
    until(&mut lead, |state| state.run.as_ref().is_some_and(|run| run.end.is_some())).await;
    let cpu = support::cpu() - before;
    assert!(lead.view.borrow().session.steps[&step].phase.is_done(), "it went well");
    // Stalled viewers read from here on. Nothing happens in the session any more, so nothing wakes a sender by chance.
    let answer = tokio::task::block_in_place(|| viewers.ask("ended"));
    let mut words = answer.split(' ').map(|word| word.parse::<f64>().expect("a number"));
    let (bytes, seen_at) = (words.next().expect("bytes"), words.next().expect("a time"));
    let end: f64 = std::fs::read_to_string(folder.join("end")).expect("it").trim().parse().expect("a number");
    let seen = Seen {
        took: own_clock(folder),
        last_after: seen_at - end / 1e6,
        cpu: cpu.as_secs_f64() * 1000.0,
        bytes,
        waits: hub.shared.reader_waits.load(Ordering::Relaxed),
    };
    drop((lead, viewers));
    hub.stop().await;
    hub.wait().await.expect("it ends well");
    std::fs::remove_dir_all(folder.join("transcripts")).expect("a disk");
    seen
}

async fn until(lead: &mut Client, holds: impl Fn(&StepState) -> bool) {
    let step = StepId::new("print").expect("an id");
    let shown = |view: &View| view.session.steps.get(&step).is_some_and(&holds);
    let waited = tokio::time::timeout(PATIENCE, lead.view.wait_for(shown)).await;
    waited.expect("it takes too long").expect("the lead is still in");
}

/// The other process. `fast N`: read all the time; `stalled N`: not before the command has ended.
#[tokio::main(flavor = "current_thread")]
async fn viewers(role: &str) {
    let (kind, count) = role.split_once(' ').expect("two words");
    let (fast, count) = (kind == "fast", count.parse::<usize>().expect("a number"));
    let heard = || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("the bench speaks");
        line.trim_end().to_owned()
    };
    let link: Link = heard().parse().expect("a link");
    let mut joined = vec![];
    for number in 0..count {
        // A small buffer, so that who does not read is felt after some 100 KB, kernel included.
        let raw = Raw::join(&link, &format!("viewer{number}"), (!fast).then_some(16 * 1024)).await;
        joined.push(raw.expect("let in"));
    }
    let mut reading = vec![];
    let mut idle = vec![];
    for raw in joined {
        match fast {
            true => reading.push(tokio::spawn(to_the_end(raw))),
            false => idle.push(raw),
        }
    }
    println!("joined");
    std::io::stdout().flush().expect("the bench listens");
    // Waiting for the next word on a thread of its own: here, frames are read.
    tokio::task::spawn_blocking(move || assert_eq!(heard(), "ended")).await.expect("a word");
    reading.extend(idle.into_iter().map(|raw| tokio::spawn(to_the_end(raw))));
    let (mut bytes, mut last) = (0, 0.0_f64);
    for viewer in reading {
        let (got, at) = viewer.await.expect("a viewer");
        bytes += got;
        last = last.max(at);
    }
    println!("{bytes} {last}");
    support::until_alone().await;
}

/// Reads until the command's end and its last line on a screen were seen: bytes, and when (milliseconds).
async fn to_the_end(mut raw: Raw) -> (u64, f64) {
    let (mut ended, mut shown, mut bytes) = (false, false, 0);
    let all = async {
        while !(ended && shown) {
            let (kind, payload) = raw.frame().await.expect("the connection holds");
            bytes += payload.len() as u64;
            match kind {
                // The kind of an event stands near the start of its line.
                TEXT => ended |= contains(&payload[..payload.len().min(220)], "RunEnded"),
                // What stands before a screen's bytes holds numbers.
                BINARY => shown |= contains(&payload[payload.len().min(23)..], LAST),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("the last line comes");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    std::mem::forget(raw); // it stays, so that nobody's leaving is in what the others see
    (bytes, now.as_secs_f64() * 1000.0)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|bytes| bytes.contains(text))
}

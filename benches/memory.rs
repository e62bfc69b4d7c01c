//! What a participant who only looks costs the hub: resident memory of a real hub with real, proved, idle connections, over
//! TLS as all are. Of each, rustls 0.23 keeps 4 KiB to read into and 3 KiB of keys and state.
//! Hub and clients are two processes; each run is a new hub, because memory once taken is seldom given back.

mod support;

use crosscheck::hub::{Config, Hub};
use crosscheck::link::Link;
use crosscheck::plan::{Params, Plan};
use futures_util::{StreamExt as _, stream};
use std::time::Duration;
use support::raw::Raw;
use support::{Goal, Other};

const PARTICIPANTS: usize = 800;
const RUNS: usize = 5;
/// Connections that prove their keys at a time; the hub drops more than 32.
const AT_ONCE: usize = 16;

const PLAN: &str = r#"
crosscheck = 1
name = "Idle"
environment = "bench"
[crew]
lead = ["lead@example.org"]
observer = "link"
[[step]]
id = "nothing"
title = "Nothing"
run = ["true"]
"#;

fn main() {
    match support::role().as_deref() {
        Some("hub") => return hub(),
        Some("clients") => return clients(),
        Some(role) => panic!("no role {role}"),
        None => {}
    }
    support::headline("memory", &format!("a hub with {PARTICIPANTS} idle participants, resident KiB for each"));
    let each: Vec<f64> = (0..RUNS)
        .map(|_| {
            let mut hub = Other::start("hub");
            let answer = hub.hear();
            hub.say("end");
            answer.parse::<f64>().expect("a number")
        })
        .collect();
    support::report_as("memory per idle participant", "KiB", &each, Goal::AtMost(16.0));
}

fn hub() {
    assert!(support::open_files(4 * PARTICIPANTS as u64), "too few open files are allowed");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = support::folder();
    let hub = runtime.block_on(Hub::start(Config {
        plan: Plan::parse("bench", PLAN).expect("a plan"),
        folder: folder.path().to_owned(),
        params: Params::default(),
        rehearsal: None,
        transcripts: folder.path().join("transcripts"),
        listen: "127.0.0.1:0".parse().expect("an address"),
        advertise: None,
        certificate: None,
        max_participants: PARTICIPANTS + 10,
        new: true,
    }));
    let hub = hub.expect("a hub");
    std::thread::sleep(Duration::from_millis(200));
    let before = support::resident_kib();
    let mut clients = Other::start("clients");
    assert_eq!(clients.ask(&hub.links["observer"]), "joined");
    // Everybody has everybody's arrival by now, and nothing is under way.
    std::thread::sleep(Duration::from_millis(1000));
    let after = support::resident_kib();
    println!("{}", (after - before) as f64 / PARTICIPANTS as f64);
    drop(clients);
    let _ = std::io::stdin().read_line(&mut String::new());
    runtime.block_on(async {
        hub.stop().await;
        let _ = hub.wait().await;
    });
}

#[tokio::main(flavor = "current_thread")]
async fn clients() {
    support::open_files(4 * PARTICIPANTS as u64);
    let mut link = String::new();
    std::io::stdin().read_line(&mut link).expect("a link");
    let link: Link = link.parse().expect("a link");
    let link = &link;
    let joining = stream::iter(0..PARTICIPANTS).map(|number| async move {
        let mut raw = Raw::join(link, &format!("idle{number}"), None).await.expect("let in");
        drop(tokio::spawn(async move { while raw.frame().await.is_ok() {} })); // reads on by itself
    });
    joining.buffer_unordered(AT_ONCE).for_each(|()| std::future::ready(())).await;
    println!("joined");
    support::until_alone().await;
}

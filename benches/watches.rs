//! What watching costs the hub's machine: 50 watches of every kind that needs no broker, each read every 2 s, against services
//! in another process. Processor time of this process alone; that of the commands it starts is printed beside it.

mod support;

use crosscheck::clock::wall;
use crosscheck::monitor::{Monitor, Sample};
use crosscheck::plan::{Params, Plan};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Goal, Other};

const WINDOW: Duration = Duration::from_secs(20);
const WINDOWS: usize = 3;

fn main() {
    if support::role().is_some() {
        return services();
    }
    support::headline("watches", "50 watches read every 2 s, processor time as a share of one core");
    let mut services = Other::start("services");
    let port = services.hear();
    let folder = support::folder();
    (0..20).for_each(|n| std::fs::write(folder.path().join(format!("backup-{n}")), vec![b'x'; 4096]).expect("a disk"));
    std::fs::write(folder.path().join("pid"), std::process::id().to_string()).expect("a disk");
    let plan = Plan::parse("watches.toml", &plan(&port)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(plan.watches.len(), 50);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (mut shares, mut children, mut counts) = (vec![], vec![], vec![]);
    runtime.block_on(async {
        let (samples, mut seen) = tokio::sync::mpsc::channel(64);
        let _monitor = Monitor::start(&plan.watches, &Params::new(), folder.path(), Arc::new(wall), samples);
        // Until each was read: roots are loaded and threads started once, not every 2 s.
        let mut read = BTreeSet::new();
        while read.len() < plan.watches.len() {
            let Sample { watch, reading, .. } = seen.recv().await.expect("the monitor runs");
            assert!(reading.value.is_some(), "{watch} measures nothing: {reading:?}");
            read.insert(watch);
        }
        for _ in 0..WINDOWS {
            let (began, own, of_children) = (Instant::now(), support::cpu(), support::cpu_of_children());
            let mut count = 0;
            let end = tokio::time::sleep(WINDOW);
            tokio::pin!(end);
            loop {
                tokio::select! {
                    () = &mut end => break,
                    sample = seen.recv() => {
                        let Sample { watch, reading, .. } = sample.expect("the monitor runs");
                        assert!(reading.value.is_some(), "{watch} measures nothing: {reading:?}");
                        count += 1;
                    }
                }
            }
            let share = |time: Duration| 100.0 * time.as_secs_f64() / began.elapsed().as_secs_f64();
            shares.push(share(support::cpu() - own));
            children.push(share(support::cpu_of_children() - of_children));
            counts.push(f64::from(count));
        }
    });
    support::report_as("readings in 20 s (500 on time)", "count", &counts, Goal::AtLeast(475.0));
    support::report_as("processor time of watching", "% of a core", &shares, Goal::AtMost(5.0));
    support::report_as("beside it, of the commands that are watches", "% of a core", &children, Goal::None);
}

fn plan(port: &str) -> String {
    let mut plan =
        "crosscheck = 1\nname = \"Watch\"\nenvironment = \"bench\"\n[crew]\nlead = [\"lead@example.org\"]\n".to_owned();
    let mut add = |count: usize, kind: &str, keys: &str| {
        for n in 0..count {
            plan += &format!("[[watch]]\nid = \"{kind}-{n}\"\nkind = \"{kind}\"\nevery = \"2s\"\n{keys}\n");
        }
    };
    add(
        15,
        "http",
        &format!("url = \"http://127.0.0.1:{port}/\"\nexpect = {{ present = \"success\" }}\nslower_than_baseline = 5"),
    );
    add(3, "prometheus", &format!("url = \"http://127.0.0.1:{port}\"\nquery = \"up\"\nfail_above = 10"));
    add(10, "tcp", &format!("address = \"127.0.0.1:{port}\""));
    add(8, "file", "path = \"backup-*\"\nmax_age = \"1h\"");
    add(
        5,
        "host",
        "disk_free_below = 1\ndisk_full_within = \"1h\"\nload_per_core_above = 1000\nmemory_free_below = 0.001",
    );
    add(2, "process", "pid_file = \"pid\"");
    add(5, "command", "run = [\"echo\", \"1\"]");
    add(2, "compare", "assert = \"prometheus-0 == prometheus-1\"");
    plan
}

/// A web server that answers everything as Prometheus would; what connects and says nothing is let go.
fn services() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("{}", listener.local_addr().expect("it is bound").port());
    let serve = |mut stream: TcpStream| -> std::io::Result<()> {
        for line in BufReader::new(&stream).lines() {
            if line?.is_empty() {
                break; // the end of the request's head
            }
        }
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    for stream in listener.incoming().map_while(Result::ok) {
        std::thread::spawn(move || serve(stream));
    }
}

//! One watch of a plan, read as the hub reads it, without a session around it.

use super::program::{Stage, transcript_files, transcript_lines};
use super::wait::{PATIENCE, poll};
use crosscheck::clock::wall;
use crosscheck::event::{Reading, Status};
use crosscheck::monitor::{Monitor, Sample};
use crosscheck::name::WatchId;
use crosscheck::plan::{Params, Plan};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// A watch called `w` that is being read.
pub struct Watch {
    // Before the runtime it runs on.
    monitor: Monitor,
    samples: mpsc::Receiver<Sample>,
    asked: u64,
    runtime: Runtime,
}

impl Watch {
    /// From the lines of its table, all but `id`. Relative paths start at the folder.
    pub fn start(folder: &Path, lines: &str) -> Self {
        Self::start_in(folder, "", lines)
    }

    /// The same, in a plan with more at its head.
    pub fn start_in(folder: &Path, head: &str, lines: &str) -> Self {
        let text = plan(head, lines);
        let plan = Plan::parse("plan.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (sender, samples) = mpsc::channel(16);
        let entered = runtime.enter();
        let monitor = Monitor::start(&plan.watches, &Params::new(), folder, Arc::new(wall), sender);
        drop(entered);
        Watch { monitor, samples, asked: 0, runtime }
    }

    /// Reads it, by a reading that begins now.
    pub fn read(&mut self) -> Reading {
        self.asked += 1;
        self.monitor.read_now(&WatchId::new("w").expect("a name"), self.asked);
        let next = async {
            loop {
                let sample = self.samples.recv().await.expect("the watch is being read");
                if sample.asked == Some(self.asked) {
                    return sample.reading;
                }
            }
        };
        let next = async { tokio::time::timeout(PATIENCE, next).await };
        self.runtime.block_on(next).expect("every reading ends")
    }

    /// Reads it until it knows, or is unknown for another reason than work that is under way.
    pub fn settle(&mut self, under_way: &str) -> Reading {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let reading = self.read();
            if reading.status != Status::Unknown || !reading.why.contains(under_way) {
                return reading;
            }
            assert!(std::time::Instant::now() < end, "still under way: {}", reading.why);
        }
    }
}

/// A reading like that, as a hub takes it that has these variables, beside these files.
pub fn in_hub(env: &[(&str, &str)], lines: &str, files: &[(&str, &[u8])], wanted: impl Fn(&Value) -> bool) -> Value {
    let stage = Stage::new(&plan("", lines));
    for (name, bytes) in files {
        std::fs::write(stage.path(name), bytes).expect("written");
    }
    let _hub = stage.serve_with(env, &[]);
    let mut latest = Value::Null;
    let found = poll(PATIENCE, || {
        let file = transcript_files(&stage.path("transcripts")).into_iter().next()?;
        let taken = transcript_lines(&file);
        latest = taken.iter().rev().find_map(|line| line["event"].get("ReadingTaken"))?["reading"].clone();
        wanted(&latest).then(|| latest.clone())
    });
    found.unwrap_or_else(|| panic!("it never came to it; the last reading is {latest}"))
}

/// A plan with that watch.
pub fn plan(head: &str, lines: &str) -> String {
    format!(
        "crosscheck = 1\nname = \"Purge exports\"\nenvironment = \"production\"\n{head}\n[crew]\n\
         lead = [\"lead@example.org\"]\nshadow = [\"dba@example.org\"]\n[[watch]]\nid = \"w\"\n{lines}\n"
    )
}

/// Reads a watch once.
pub fn read(folder: &Path, lines: &str) -> Reading {
    Watch::start(folder, lines).read()
}

/// Asserts what a reading says.
#[track_caller]
pub fn says(reading: &Reading, status: Status, words: &str) {
    assert!(reading.status == status && reading.why.contains(words), "expected {status:?} {words:?}: {reading:?}");
}

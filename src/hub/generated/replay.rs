//! Runs as files: the first line says how the world was, each further one is an action. A failing run is written into
//! `tests/runs/`; every file there is flown again by a test, so that a bug that was found once stays found.

use super::actions::Action;
use super::world::World;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The world at the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// What the run shows.
    pub about: String,
    /// What it was drawn from.
    pub seed: u64,
    pub plan: usize,
    pub keys: u8,
}

/// A run, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub start: Start,
    pub actions: Vec<Action>,
}

impl Run {
    /// Flies it again; the first thing that breaks ends it.
    pub fn fly(&self) -> Result<World, (usize, Vec<(u8, String)>)> {
        let mut world = World::new(self.start.plan, self.start.keys);
        for (index, action) in self.actions.iter().enumerate() {
            let mut broken = world.act(action);
            broken.extend(world.clients.outside.drain(..).map(|what| (0, what)));
            if !broken.is_empty() {
                return Err((index, broken));
            }
        }
        Ok(world)
    }

    /// The shortest run still found to break the same invariant: actions are left out, later ones first, in smaller and
    /// smaller pieces.
    pub fn shrunk(&self, invariant: u8) -> Run {
        let breaks = |run: &Run| matches!(run.fly(), Err((_, broken)) if broken.iter().any(|(n, _)| *n == invariant));
        let mut run = self.clone();
        if let Err((last, _)) = run.fly() {
            run.actions.truncate(last + 1);
        }
        let mut piece = run.actions.len() / 2;
        while piece > 0 {
            let mut end = run.actions.len();
            while end >= piece {
                let mut shorter = run.clone();
                shorter.actions.drain(end - piece..end);
                if breaks(&shorter) {
                    run = shorter;
                }
                end = end.saturating_sub(piece).min(run.actions.len());
            }
            piece /= 2;
        }
        for index in 0..run.actions.len() {
            let mut input = 0;
            while matches!(&run.actions[index], Action::Batch { inputs, .. } if input < inputs.len() && inputs.len() > 1)
            {
                let mut shorter = run.clone();
                if let Action::Batch { inputs, .. } = &mut shorter.actions[index] {
                    inputs.remove(input);
                }
                if breaks(&shorter) { run = shorter } else { input += 1 }
            }
        }
        run
    }

    pub fn to_text(&self) -> String {
        let start = serde_json::to_string(&self.start).expect("plain data");
        let actions = self.actions.iter().map(|action| serde_json::to_string(action).expect("plain data"));
        let text: String = std::iter::once(start).chain(actions).map(|line| line + "\n").collect();
        // Hostile texts stand escaped, so that the file can be looked at.
        text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
            match c.is_ascii() && c != '\u{7f}' {
                true => out.push(c),
                false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}")),
            }
            out
        })
    }

    pub fn read(text: &str) -> Result<Run, String> {
        let mut lines = text.lines();
        let start = serde_json::from_str(lines.next().unwrap_or("")).map_err(|error| error.to_string())?;
        let actions: Result<_, _> = lines.map(serde_json::from_str).collect();
        Ok(Run { start, actions: actions.map_err(|error: serde_json::Error| error.to_string())? })
    }

    /// Keeps it beside the others.
    pub fn keep(&self, name: &str) -> PathBuf {
        let path = folder().join(format!("{name}.jsonl"));
        std::fs::write(&path, self.to_text()).expect("tests/runs can be written");
        path
    }
}

/// Where runs are kept.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs")
}

/// Every kept run by its file's name.
pub fn kept() -> Vec<(String, Run)> {
    let files = std::fs::read_dir(folder()).expect("tests/runs is part of the sources");
    let paths = files.map(|file| file.expect("a folder that can be read").path());
    let mut runs: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a kept run can be read");
            let run = Run::read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), run)
        })
        .collect();
    runs.sort_by(|a, b| a.0.cmp(&b.0));
    runs
}

//! The throw-away folder: the sample plan, and files that are really destroyed.

use anyhow::Context as _;
use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The plan as `sessions/demo.toml` has it.
const PLAN: &str = include_str!("../../../sessions/demo.toml");
/// The script of its critical step.
const DROP: &str = include_str!("../../../sessions/demo-drop.sh");
/// Exports that the old index was built from: enough of them that their deletion is seen as it happens.
const EXPORTS: u32 = 40;
/// Records in each.
const RECORDS: u32 = 50;

/// The plan that this build can fly: one without Kafka leaves out what it could only read as unknown.
fn text() -> String {
    if cfg!(feature = "kafka") { PLAN.to_owned() } else { without_kafka(PLAN) }
}

/// Leaves out the paragraphs on Kafka, and the gate.
fn without_kafka(text: &str) -> String {
    let kept: Vec<_> = text.split("\n\n").filter(|paragraph| !paragraph.contains("kafka")).collect();
    kept.join("\n\n").replace("\"ingest-lag\", ", "")
}

/// Makes a folder of its own with the plan and the files in it, and returns the plan's path. The folder is left behind:
/// whoever flew the demo may look at what is left and what is gone.
pub fn write() -> anyhow::Result<PathBuf> {
    let name = format!("crosscheck-demo-{}", crate::identity::random_hex(4)?);
    let folder = std::env::temp_dir().join(name);
    // Not recursive: where that folder exists already, it is somebody else's, and an error.
    std::fs::DirBuilder::new().mode(0o700).create(&folder).and_then(|()| fill(&folder)).with_context(|| {
        format!("the throw-away folder {} cannot be made; set TMPDIR to a place that can be written", folder.display())
    })?;
    Ok(folder.join("demo.toml"))
}

fn fill(folder: &Path) -> std::io::Result<()> {
    const CITIES: [&str; 7] = ["Riga", "Porto", "Lyon", "Graz", "Bergen", "Gdansk", "Malaga"];
    std::fs::write(folder.join("demo.toml"), text())?;
    std::fs::write(folder.join("demo-drop.sh"), DROP)?;
    std::fs::create_dir(folder.join("exports"))?;
    let mut index = String::new();
    for export in 1..=EXPORTS {
        let mut records = String::new();
        for record in 0..RECORDS {
            let id = export * 1000 + record;
            let city = CITIES[id as usize % CITIES.len()];
            // Writing to a string cannot fail.
            let _ = writeln!(records, "{id},Customer {id},{city}");
            let _ = writeln!(index, "customer {id} {city}: customers-{export:02}.csv, record {record}");
        }
        std::fs::write(folder.join(format!("exports/customers-{export:02}.csv")), records)?;
    }
    std::fs::write(folder.join("customers_v41.index"), &index)?;
    std::fs::write(folder.join("customers_v42.index"), index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, lint};

    #[test]
    fn the_plan_of_either_build_parses_and_lints_cleanly() {
        for (text, gates) in [(PLAN.to_owned(), 3), (without_kafka(PLAN), 2)] {
            let plan = Plan::parse("demo.toml", &text).unwrap_or_else(|error| panic!("{error}"));
            let warnings: Vec<_> = lint(&plan).iter().map(|w| w.render("demo.toml", &plan, false)).collect();
            assert!(warnings.is_empty(), "{}", warnings.join("\n"));
            let drop = plan.steps.iter().find(|step| step.id.as_str() == super::super::DROP).unwrap();
            assert_eq!((drop.gates.len(), drop.checks), (gates, 1));
        }
    }
}

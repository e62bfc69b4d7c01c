//! `evidence`: a step's signatures as files for an auditor without this program.

use super::args;
use crate::report::evidence::Evidence;

/// Writes the files.
pub fn run(args: &args::Evidence) -> anyhow::Result<()> {
    let evidence = Evidence::of_step(&args.file, &args.step)?;
    evidence.write(&args.out)?;
    println!("evidence of step {} is in {}; check it there with: sh check.sh", args.step, args.out.display());
    Ok(())
}

//! `verify`: what a transcript proves, in one word and then in detail. Never a bare yes.

use super::args::Verify;
use super::{No, rehearsal};
use crate::client::heads;
use crate::name::shown;
use crate::transcript::audit::{Audit, Proof, SignedAct, audit};
use crate::transcript::read::Reader;
use crate::transcript::record::Head;
use crate::transcript::verify::{OutputIntegrity, verify_output};
use anyhow::Context as _;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// What `--json` prints; kept from version to version.
#[derive(Serialize)]
struct Findings<'a> {
    verdict: &'static str,
    number: Option<u64>,
    why: String,
    audit: &'a Audit,
    output: &'a OutputIntegrity,
}

/// Prints the findings; anything but COMPLETE is a no.
pub fn run(args: &Verify) -> anyhow::Result<()> {
    let mut held = args.heads.clone();
    let first = of(&args.file, &held)?.0;
    // What this machine saw with its own eyes counts like a head that is given, and needs no asking for.
    held.extend(super::head_path(&first.session).ok().and_then(|path| heads::kept(&path)));
    if let Some(other) = &args.against {
        held.extend(every_head(other)?);
    }
    let (audit, output) = of(&args.file, &held)?;
    let text = audit.proof.to_string();
    let mut out = super::out::stdout();
    if args.json {
        let findings = Findings {
            verdict: audit.proof.word(),
            number: audit.proof.number(),
            why: text.clone(),
            audit: &audit,
            output: &output,
        };
        writeln!(out, "{}", serde_json::to_string_pretty(&findings)?)?;
    } else {
        print(&mut out, &args.file, &audit, &output)?;
    }
    match audit.proof {
        Proof::Complete => Ok(()),
        _ => Err(No(shown(&text)).into()),
    }
}

fn of(path: &Path, held: &[Head]) -> anyhow::Result<(Audit, OutputIntegrity)> {
    let reader = Reader::open(path)?;
    let output = verify_output(path).with_context(|| format!("the output beside {}", path.display()))?;
    Ok((audit(reader, held, Some(&output)), output))
}

/// Every head of another copy, as far as its own links hold.
fn every_head(path: &Path) -> anyhow::Result<Vec<Head>> {
    Ok(Reader::open(path)?.map_while(|next| next.ok().map(|(_, _, head)| head)).collect())
}

fn print(out: &mut impl Write, path: &Path, audit: &Audit, output: &OutputIntegrity) -> std::io::Result<()> {
    // Before the verdict: COMPLETE says nothing of a live system here.
    if let Some(data) = &audit.rehearsal {
        writeln!(out, "{}", rehearsal::told(data))?;
    }
    writeln!(out, "{}", shown(&audit.proof.to_string()))?;
    for glass in &audit.broken_glass {
        writeln!(out, "{}", shown(&glass.to_string()))?;
    }
    writeln!(out, "transcript  {}", shown(&path.display().to_string()))?;
    writeln!(out, "session     {}", shown(&audit.session))?;
    writeln!(out, "lines       {}, the last one hashes to {}", audit.lines, audit.head)?;
    writeln!(out, "signed      up to line {}, {} checkpoints by the hub", audit.signed_to, audit.checkpoints)?;
    writeln!(
        out,
        "hub's key   {}",
        audit.vouched.as_ref().map_or("vouched for by nobody".to_owned(), |lead| format!("vouched for by {lead}"))
    )?;
    writeln!(out, "output      {output}")?;
    for SignedAct { seq, at, by, key, kind, touched, act, step } in &audit.acts {
        let step = step.as_ref().map(|step| format!(" {step}")).unwrap_or_default();
        let touched = if *touched { ", touched" } else { "" };
        writeln!(out, "line {seq:<6} {at} {by} signed {act}{step} with {key} ({kind}{touched})")?;
    }
    writeln!(
        out,
        "A signature proves that a key's holder approved these bytes: not that somebody read them, nor what the machine did."
    )
}

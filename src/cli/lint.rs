//! `lint` and `new`.

use super::args::{Lint, New};
use super::{No, WrongPlan, out, plan_folder, read_plan};
use crate::exec;
use crate::hash::Hash;
use crate::hub::policy;
use crate::name::escaped;
use crate::plan::{Params, Plan};
use anyhow::Context as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Reads every plan; errors are a no, warnings are printed.
pub fn run(args: &Lint) -> anyhow::Result<()> {
    let mut wrong = vec![];
    for path in &args.plans {
        let read = read_plan(path).and_then(|plan| match policy::read(&plan, &plan_folder(path)) {
            Ok(allowed) => Ok((plan, allowed)),
            Err(error) => Err(No(format!("error: {error}")).into()),
        });
        match read {
            Ok((plan, allowed)) => {
                let warnings = crate::plan::lint(&plan);
                let color =
                    std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none();
                for warning in &warnings {
                    out::drawn(std::io::stdout(), &warning.render(&path.display().to_string(), &plan, color));
                }
                for line in ways_back(&plan, &plan_folder(path)) {
                    println!("{}: {line}", path.display());
                }
                if let Some(words) = plan.crew.alone_in_the_lead() {
                    println!("{}: {words}", path.display());
                }
                let critical = plan.steps.iter().filter(|step| step.checks > 0).count();
                println!(
                    "{}: {} on {}: {} steps ({critical} cross-checked), {} watches, {} warnings{}",
                    path.display(),
                    plan.name,
                    plan.environment,
                    plan.steps.len(),
                    plan.watches.len(),
                    warnings.len(),
                    allowed.map_or(String::new(), |allowed| format!(", allowed_signers {}", allowed.digest().short())),
                );
            }
            Err(error) if error.is::<No>() || error.is::<WrongPlan>() => {
                match error.downcast_ref() {
                    Some(WrongPlan(text)) => out::drawn(std::io::stderr(), text),
                    None => eprintln!("{error}"),
                }
                wrong.push(path.display().to_string());
            }
            Err(error) => return Err(error),
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(No(format!("not a plan that can be flown: {}", wrong.join(", "))).into())
    }
}

/// Of every rollback that could not run on this machine as things are, what stops it. No warning: a plan may be read elsewhere
/// than where it is flown; there arming and `doctor` say the same.
fn ways_back(plan: &Plan, folder: &Path) -> Vec<String> {
    let params = plan.params(&Params::new()).unwrap_or_default();
    let each = plan.steps.iter().filter_map(|step| {
        let secrets = step.secrets().into_iter().map(|key| (key, Hash::ZERO)).collect();
        let why = match exec::freeze_rollback(step, &params, folder, &secrets) {
            Ok(seen) if seen.as_ref().is_none_or(|seen| seen.absent.is_empty()) => return None,
            Ok(seen) => format!("{} is not there", seen.map(|seen| seen.absent.join(", ")).unwrap_or_default()),
            Err(exec::FreezeError::Rollback { source }) => source.to_string(),
            Err(error) => error.to_string(),
        };
        Some(format!("here the rollback of {} could not run: {}", step.id, escaped(&why)))
    });
    each.collect()
}

/// Writes a new plan; never over an existing file.
pub fn new(args: &New) -> anyhow::Result<()> {
    let Some(text) = crate::plan::sample(&args.template, &args.name) else {
        return Err(No(format!("there is no template {:?}", args.template)).into());
    };
    let file: String =
        args.name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    let file = format!("{}.toml", file.trim_start_matches('.'));
    let path = if Path::new("sessions").is_dir() { Path::new("sessions").join(file) } else { file.into() };
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(|| format!("{} cannot be written (an existing plan is never overwritten)", path.display()))?;
    out.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
    println!("wrote {}; fill in what it asks for, then: crosscheck lint {}", path.display(), path.display());
    Ok(())
}

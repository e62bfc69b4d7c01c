//! What one plan needs of this machine: every step is frozen as arming it would, every watch is read once.

use super::{Finding, Grade, ask};
use crate::cli::{WrongPlan, plan_folder, read_plan};
use crate::event::Status;
use crate::exec::{FreezeError, freeze, freeze_rollback};
use crate::hash::Hash;
use crate::hub::policy;
use crate::monitor;
use crate::plan::{Params, Plan, SecretSource, Step};
use crate::trust::signer::Signer;
use crate::trust::statement::Purpose;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// All watches are read by then.
const READ: Duration = Duration::from_secs(25);

/// The programs that kinds of watches call, and how they tell their version.
const TOOLS: &[(&str, &[&str])] = &[("restic", &["restic", "version"]), ("pg-dump", &["pg_restore", "--version"])];

pub(super) async fn look(path: &Path, given: Params) -> anyhow::Result<Vec<Finding>> {
    let plan = match read_plan(path) {
        Ok(plan) => plan,
        Err(error) if error.is::<WrongPlan>() => {
            let why = format!("{} is not a plan that can be flown", path.display());
            return Ok(vec![Finding::fail("plan", why, format!("crosscheck lint {}", path.display()))]);
        }
        Err(error) => return Err(error),
    };
    let folder = std::path::absolute(plan_folder(path))?;
    let mut findings = vec![];
    let warnings = crate::plan::lint(&plan).len();
    findings.push(match warnings {
        0 => Finding::fine("plan", format!("{} on {}: nothing to complain about", plan.name, plan.environment)),
        n => Finding::warn(
            "plan",
            format!("{} on {}: {n} warnings", plan.name, plan.environment),
            format!("crosscheck lint {}", path.display()),
        ),
    });
    let params = match plan.params(&given) {
        Ok(params) => params,
        Err(why) => {
            findings.push(Finding::fail("parameters", why, "give other values with --param"));
            return Ok(findings);
        }
    };
    findings.push(signers(&plan, &folder).await);
    findings.extend(plan.secrets.iter().map(|(name, source)| secret(name, source, &params, &folder)));
    for step in &plan.steps {
        findings.push(frozen(&plan, step, &params, &folder));
        findings.extend(rollback(step, &params, &folder));
        findings.extend(sudo(step, &params, &folder).await);
    }
    for (kind, words) in TOOLS {
        if plan.watches.iter().any(|watch| watch.kind.name() == *kind) {
            findings.push(match ask(words, None).await {
                Ok((_, said)) => Finding::fine(words[0], said),
                Err(why) => Finding::fail(words[0], why, format!("install it: {kind} watches are read with it")),
            });
        }
    }
    findings.extend(watches(&plan, &params, &folder).await);
    Ok(findings)
}

/// Whether the plan's keys are in order, and one of them is here.
async fn signers(plan: &Plan, folder: &Path) -> Finding {
    const WHAT: &str = "allowed_signers";
    let allowed = match policy::read(plan, folder) {
        Ok(Some(allowed)) => allowed,
        Ok(None) => {
            return Finding::warn(
                WHAT,
                "the plan names none: whoever holds a personal link signs, with a key that nobody vouches for",
                "collect everyone's `crosscheck whoami` line in a file, and name it in [crew]",
            );
        }
        Err(error) => return Finding::error(Grade::Fail, WHAT, error),
    };
    let now = crate::clock::wall();
    let namespace = Purpose::Join.namespace();
    let people = plan.crew();
    let whose = |key: &crate::trust::key::PublicKey| {
        let print = key.fingerprint();
        people.iter().find(|who| allowed.is_signer_with(who, &print, namespace, now).is_ok())
    };
    let mine = Signer::find(None, |key| whose(key).is_some()).await;
    match mine.as_ref().ok().and_then(|signer| whose(signer.public())) {
        Some(who) => Finding::fine(WHAT, format!("in order for {} people; your key makes you {who}", people.len())),
        None => Finding::warn(
            WHAT,
            format!("in order for {} people, and no key of yours is in it", people.len()),
            "fine where others fly; else ssh-add your key, or add your `crosscheck whoami` line",
        ),
    }
}

/// Whether a secret can be had, without having it.
fn secret(name: &str, source: &SecretSource, params: &Params, folder: &Path) -> Finding {
    let what = format!("secret {name}");
    match source {
        SecretSource::Env(variable) => match std::env::var_os(variable) {
            Some(value) if !value.is_empty() => Finding::fine(what, format!("${variable} is set here")),
            _ => Finding::fail(what, format!("${variable} is not set here"), "set it where the hub is started"),
        },
        SecretSource::File(path) => match path.render(params) {
            Err(error) => Finding::unknown(what, error.why, ""),
            Ok(path) => match std::fs::File::open(folder.join(&path)) {
                Ok(_) => Finding::fine(what, format!("{path} can be read")),
                Err(error) => Finding::fail(what, format!("{path} cannot be read: {error}"), "make it readable"),
            },
        },
        SecretSource::Command(command) => {
            let words = command.run.argv(params).unwrap_or_default();
            let (program, folder) = (words.first().map_or("", String::as_str), command.surroundings(params, folder));
            match folder.is_ok_and(|(folder, _)| on_path(program, &folder)) {
                true => Finding::fine(what, format!("{program} is here; it is not asked before a step needs it")),
                false => {
                    Finding::fail(what, format!("there is no {program} here"), "install it, or name it by its path")
                }
            }
        }
    }
}

fn on_path(program: &str, folder: &Path) -> bool {
    if program.contains('/') {
        return folder.join(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Freezes a step as arming it would; nothing is started.
fn frozen(plan: &Plan, step: &Step, params: &Params, folder: &Path) -> Finding {
    let what = format!("step {}", step.id);
    // Only that there is one counts: the values are not fetched.
    let secrets: BTreeMap<String, Hash> = step.secrets().into_iter().map(|key| (key, Hash::ZERO)).collect();
    match freeze(plan, step, params, folder, 1, vec![], &secrets) {
        Ok(covers) if covers.command.is_nothing() => Finding::fine(what, "runs no command".to_owned()),
        Ok(covers) => Finding::fine(what, format!("would run {} in {}", covers.command.exe.path, covers.command.cwd)),
        Err(FreezeError::Render { what: part, source }) => {
            Finding::unknown(what, format!("{part}: {}", source.why), "")
        }
        // That has a line of its own.
        Err(FreezeError::Rollback { .. }) => Finding::fine(what, "can be run; its rollback cannot".to_owned()),
        // What an earlier step makes is not there yet.
        Err(error @ (FreezeError::File { .. } | FreezeError::Cwd { .. } | FreezeError::NoSuchFile { .. })) => {
            let made = "fine where a step before it makes it; else correct the path";
            Finding::warn(what, error.to_string(), made)
        }
        Err(error) => Finding::fail(what, error.to_string(), ""),
    }
}

/// Whether what undoes a step could run, as things are now.
fn rollback(step: &Step, params: &Params, folder: &Path) -> Option<Finding> {
    let what = format!("rollback of {}", step.id);
    let secrets: BTreeMap<String, Hash> = step.secrets().into_iter().map(|key| (key, Hash::ZERO)).collect();
    Some(match freeze_rollback(step, params, folder, &secrets) {
        Ok(None) => return None,
        Ok(Some(seen)) if !seen.absent.is_empty() => Finding::warn(
            what,
            format!("runs {}, which is not there now", seen.absent.join(", ")),
            "fine where the step makes it: whoever checks the step is told that nobody saw it; else correct the path",
        ),
        Ok(Some(seen)) => Finding::fine(what, format!("would run {} in {}", seen.command.exe.path, seen.command.cwd)),
        Err(error) => {
            let error = match error {
                FreezeError::Rollback { source } => *source,
                error => error,
            };
            let help = match error {
                FreezeError::Render { .. } => return Some(Finding::unknown(what, error.to_string(), "")),
                _ => "the step cannot be armed like that; a step before it may make what is missing",
            };
            Finding::fail(what, format!("could not run: {error}"), help)
        }
    })
}

/// Whether sudo lets a step's command through without asking for a password.
async fn sudo(step: &Step, params: &Params, folder: &Path) -> Option<Finding> {
    let argv = step.command()?.run.argv(params).ok().filter(|argv| !argv.is_empty())?;
    if Path::new(argv.first()?).file_name()? != "sudo" {
        return None;
    }
    let command: Vec<&str> = argv.iter().skip(1).map(String::as_str).skip_while(|word| word.starts_with('-')).collect();
    let words = [&["sudo", "-n", "-l", "--"], &command[..]].concat();
    let what = format!("sudo for {}", step.id);
    Some(match ask(&words, Some(folder)).await {
        Ok((true, _)) => Finding::fine(what, "its rules allow it without a password"),
        Ok((false, said)) => Finding::fail(
            what,
            format!("it asks for a password, or says no: {said}"),
            "add a NOPASSWD rule for exactly this command: nobody can type a password into a step",
        ),
        Err(why) => Finding::fail(what, why, "install sudo"),
    })
}

/// Reads every watch once. A definite reading, whatever it says, is what is asked for here.
async fn watches(plan: &Plan, params: &Params, folder: &Path) -> Vec<Finding> {
    let clock = Arc::new(crate::clock::Clock::start(None));
    let now = Arc::new(move || clock.now());
    let samples = monitor::once(&plan.watches, params, folder, now, READ).await;
    let each = plan.watches.iter().map(|watch| {
        let what = format!("watch {}", watch.id);
        match samples.get(&watch.id).map(|sample| &sample.reading) {
            Some(reading) if reading.status == Status::Unknown => {
                Finding::fail(what, reading.why.clone(), "a gate on it would hold: make it readable from this machine")
            }
            Some(reading) => {
                Finding::fine(what, format!("can be read, says {}: {}", reading.status.word(), reading.why))
            }
            None => Finding::fail(what, "gave no reading in time", "a gate on it would hold: make it answer faster"),
        }
    });
    each.collect()
}

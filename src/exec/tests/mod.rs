//! Freezing and running with real little programs. Nothing here sleeps: a test waits for what it is about, with a limit.

mod freeze;
mod left;
mod opened;
mod run;
mod sealed;

use super::freeze::freeze;
use super::unfrozen::FreezeError;
use crate::event::{CommandSeen, Covers};
use crate::fixture as a;
use crate::hash::Hash;
use crate::plan::{Class, Command, Does, Io, Params, Plan, Run, Runs, Stdin, Step, Template};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

fn template(text: &str) -> Template {
    Template::new(text).unwrap()
}

/// A command of these words that asks for nothing else.
fn command(io: Io, argv: &[&str]) -> Command {
    Command { io, ..Command::of(Run::Argv(argv.iter().map(|word| template(word)).collect())) }
}

fn shell(io: Io, text: &str) -> Command {
    Command { run: Run::Shell(template(text)), ..command(io, &[]) }
}

/// A step around it.
fn step(command: &Command) -> Step {
    let does = Does::Runs(Box::new(Runs::once(command.clone())));
    let bare = Step::new("drop".parse().unwrap(), "Drop the old index".into(), does);
    Step { class: Class::Critical, checks: 1, touches: Some("index old".into()), ..bare }
}

fn params() -> Params {
    Params::from([("index".to_owned(), "old".to_owned())])
}

fn frozen(command: &Command, folder: &Path) -> Result<CommandSeen, FreezeError> {
    whole(command, folder).map(|covers| covers.command)
}

fn whole(command: &Command, folder: &Path) -> Result<Covers, FreezeError> {
    let plan = Plan { digest: Hash::of(b"plan"), ..a::plan().step("drop").parsed() };
    freeze(&plan, &step(command), &params(), folder, 1, vec![], &BTreeMap::new())
}

/// Writes a file with these permissions.
fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>, mode: u32) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, bytes).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
}

//! The last look before a run: everything that decides is opened, hashed from its descriptor and held against what was
//! frozen, and what can be run from the descriptor is.
//!
//! A binary, the interpreter of a sealed script, the working folder and a file on standard input are used through the
//! descriptors they were hashed from: whatever gets their names afterwards does not run. A script that is not sealed, and
//! a file that the command opens itself, are opened again by name; what is left between this look and that is the time of
//! a fork and an exec. Start at [`open`].

use super::files::{self, Stamp};
use super::freeze::{argument_file, interpreters, named_files};
use super::lookup::{self, Kind};
use super::spawn::{Image, Program};
use super::starting::StartError;
use super::{inherited, script, sealed};
use crate::event::{CommandSeen, FileSeen, ScriptSeen};
use crate::name::escaped;
use crate::plan::{Command, Params};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// So many bytes of the files that a command opens itself are hashed once more after the intent is on disk: the session
/// waits for that. What is past it was hashed when the step was armed and when run was pressed.
const HASHED_AGAIN_MAX: u64 = 256 << 20;

/// What [`start`](super::start) needs, open. Nothing was started yet, and dropping it starts nothing.
#[derive(Debug)]
pub struct Opened<'a> {
    pub(super) covers: &'a CommandSeen,
    pub(super) image: Image<'a>,
    /// What takes the place of the terminal or pipe on standard input.
    pub(super) stdin: Option<File>,
    /// What is opened by its name while the command runs, as it was.
    pub(super) by_name: Vec<ByName>,
    /// What the kernel opens by its name when it starts the command, and nobody afterwards: interpreters.
    pub(super) by_kernel: Vec<ByName>,
}

/// A file that a command, or its interpreter, opens itself.
#[derive(Debug)]
pub(super) struct ByName {
    seen: FileSeen,
    was: Stamp,
}

/// Opens what `covers` says, and refuses where anything is not what it says.
///
/// `command` and `params` are those it was frozen from: the names under which the command will look for its files are theirs.
/// Blocks while files are hashed.
pub fn open<'a>(covers: &'a CommandSeen, command: &Command, params: &Params) -> Result<Opened<'a>, StartError> {
    let cwd = Path::new(&covers.cwd);
    let gone = |_| StartError::Cwd { path: covers.cwd.clone() };
    let another = || changed(format!("working folder {} is another folder of that name now", escaped(&covers.cwd)));
    let (folder, seen) = files::open_folder(cwd).map_err(gone)?;
    if covers.folder.is_some_and(|folder| folder != seen) {
        return Err(another());
    }
    inherits_the_same(covers)?;
    let by_name = opened_by_name(covers, command, params, cwd)?;
    files_unchanged(covers, command, params, cwd)?;
    let stdin = covers.stdin_file.as_ref().map(copied).transpose()?;
    let mut by_kernel = vec![];
    let (program, argv, kept) = program(covers, cwd, &mut by_kernel)?;
    // All that was looked up by its path, and the command will look in the folder that is open: they must be one.
    if files::open_folder(cwd).map_err(gone)?.1 != seen {
        return Err(another());
    }
    let given = covers.inherited.as_ref().map(inherited::given).unwrap_or_default();
    Ok(Opened {
        covers,
        image: Image { program, argv, env: &covers.env, cwd: folder, kept, given },
        stdin,
        by_name,
        by_kernel,
    })
}

impl Opened<'_> {
    /// Leaves of what is fed to it only these lines, counted from 0.
    pub fn only_lines(&mut self, range: Range<u32>) -> Result<(), StartError> {
        let error = |error: std::io::Error| changed(format!("standard input: {error}"));
        let Some(whole) = self.stdin.take() else { return Err(changed("nothing is fed to it".to_owned())) };
        if range.is_empty() {
            self.stdin = Some(files::sealed_copy(std::io::empty()).map_err(error)?); // nothing was begun
            return Ok(());
        }
        let lines = files::lines(&whole).map_err(error)?;
        let lines = lines.get(range.start as usize..range.end as usize).filter(|lines| !lines.is_empty());
        let (Some(first), Some(last)) = (lines.and_then(|l| l.first()), lines.and_then(|l| l.last())) else {
            return Err(changed(format!("its input has no lines {} to {} any more", range.start + 1, range.end)));
        };
        let (mut read, length) = (&whole, last.end - first.start);
        read.seek(SeekFrom::Start(first.start)).map_err(error)?;
        self.stdin = Some(files::sealed_copy(read.take(length)).map_err(error)?);
        Ok(())
    }
}

/// What of the command is opened by its name while it runs: its script, where it does not run from a copy, and what the plan
/// lists.
fn opened_by_name(
    covers: &CommandSeen,
    command: &Command,
    params: &Params,
    cwd: &Path,
) -> Result<Vec<ByName>, StartError> {
    let path = covers.env.get("PATH").map_or("", String::as_str);
    let listed = named_files(command, params, cwd).map_err(|error| changed(error.to_string()))?;
    let script = script::of(&covers.argv, path, cwd).map_err(|error| changed(error.to_string()))?;
    let by_name = !covers.sealed && covers.script.as_ref().is_none_or(ScriptSeen::is_by_name);
    let own = covers.interpreter.as_ref().map(|_| PathBuf::from(&covers.exe.path));
    let names = listed.into_iter().chain(script.into_iter().chain(own).filter(|_| by_name));
    let seen = names.filter_map(|name| {
        let file = name.canonicalize().ok()?; // one that is gone is told by whoever looks next
        ByName::now(covers.files.iter().chain([&covers.exe]).find(|seen| Path::new(&seen.path) == file)?)
    });
    Ok(seen.collect())
}

impl ByName {
    /// That file as it is now. Before it is hashed for the last time: whatever is written to it afterwards leaves another stamp.
    fn now(seen: &FileSeen) -> Option<ByName> {
        let was = files::open(Path::new(&seen.path)).and_then(|(_, open)| Stamp::of(&open)).ok()?;
        Some(ByName { seen: FileSeen { text: None, ..seen.clone() }, was })
    }
    /// What became of it since; nothing where it is as it was.
    pub(super) fn changed(&self) -> Option<String> {
        let name = escaped(&self.seen.path);
        let (path, file) = match files::open(Path::new(&self.seen.path)) {
            Ok(open) => open,
            Err(error) => return Some(format!("{name} was taken away ({error})")),
        };
        let stamp = Stamp::of(&file).ok();
        if stamp.as_ref() == Some(&self.was) {
            return None;
        }
        let now = files::look_at(&path, &file, false).ok();
        match now.filter(|now| now.path == self.seen.path) {
            Some(now) if now.sha256 != self.seen.sha256 => {
                let (was, is) = (self.seen.sha256.short(), now.sha256.short());
                Some(format!("{name} changed: SHA-256 {was} is now {is}"))
            }
            // Who owns it, or may read it, is another thing than what is in it.
            Some(_) if stamp.is_some_and(|stamp| stamp.same_writing(&self.was)) => None,
            Some(_) => Some(format!("{name} was written anew, with the same bytes by now")),
            None => Some(format!("{name} is being written to, or another file")),
        }
    }
}

/// Whether a process that is started now has the umask and the limits that were checked.
fn inherits_the_same(covers: &CommandSeen) -> Result<(), StartError> {
    let differs = covers.inherited.as_ref().and_then(|was| was.difference(&inherited::inherited()));
    differs.map_or(Ok(()), |what| Err(changed(what)))
}

fn changed(what: String) -> StartError {
    StartError::Changed { what }
}

/// The file of that path, opened, if its bytes are those that were frozen.
fn unchanged(seen: &FileSeen) -> Result<File, StartError> {
    let error = |error: std::io::Error| changed(format!("{}: {error}", escaped(&seen.path)));
    let (path, file) = files::open(Path::new(&seen.path)).map_err(error)?;
    let now = files::look_at(&path, &file, false).map_err(error)?;
    same(seen, &now)?;
    Ok(file)
}

fn same(seen: &FileSeen, now: &FileSeen) -> Result<(), StartError> {
    let (was, is) = (escaped(&seen.path), escaped(&now.path));
    match (seen.path == now.path, seen.sha256 == now.sha256) {
        (true, true) => Ok(()),
        (true, false) => {
            Err(changed(format!("{was} changed: SHA-256 {} is now {}", seen.sha256.short(), now.sha256.short())))
        }
        (false, _) => Err(changed(format!("{was} is now {is}"))),
    }
}

/// A copy of the file that nobody can change, if its bytes are those that were frozen.
fn copied(seen: &FileSeen) -> Result<File, StartError> {
    let error = |error: std::io::Error| changed(format!("{}: {error}", escaped(&seen.path)));
    let (path, file) = files::open(Path::new(&seen.path)).map_err(error)?;
    let copy = files::sealed_copy(&file).map_err(error)?;
    // The copy's bytes, not the file's: what is hashed is what will be read. By another descriptor, because this one's
    // place in the file is what the command will read from.
    let now =
        File::open(files::inherited(&copy)).and_then(|read| files::look_at(&path, &read, false)).map_err(error)?;
    same(seen, &now)?;
    Ok(copy)
}

/// The files that the command will look for by name: the names still lead to the files, and those hold the same bytes.
fn files_unchanged(covers: &CommandSeen, command: &Command, params: &Params, cwd: &Path) -> Result<(), StartError> {
    let named = named_files(command, params, cwd).map_err(|error| changed(error.to_string()))?;
    let named = named.into_iter().map(|name| {
        let real = name.canonicalize();
        real.map_err(|error| changed(format!("{}: {error}", escaped(&name.to_string_lossy()))))
    });
    let held = covers.argv.iter().skip(1).filter(|_| covers.named.is_none());
    let arguments = held.filter_map(|word| argument_file(word, cwd)).map(Ok);
    let path = covers.env.get("PATH").map_or("", String::as_str);
    let script = script::of(&covers.argv, path, cwd).map_err(|error| changed(error.to_string()))?;
    for file in named.chain(arguments).chain(script.map(Ok)) {
        let file: PathBuf = file?;
        if covers.files.iter().all(|seen| Path::new(&seen.path) != file) {
            let file = escaped(&file.to_string_lossy());
            return Err(changed(format!("a name in the command now leads to {file}, which is not what was checked")));
        }
    }
    let mut left = HASHED_AGAIN_MAX;
    for seen in &covers.files {
        if let Some(less) = left.checked_sub(seen.size) {
            left = less;
            unchanged(seen)?;
        }
    }
    Ok(())
}

/// Whether the files that arguments name, and that are only recorded, are as they were: asked before the first of several runs.
pub fn named_unchanged(covers: &CommandSeen) -> Result<(), StartError> {
    covers.named.iter().flatten().try_for_each(|seen| unchanged(seen).map(drop))
}

/// What is executed, with which arguments, and the descriptor that goes with it.
fn program(
    covers: &CommandSeen,
    cwd: &Path,
    by_kernel: &mut Vec<ByName>,
) -> Result<(Program, Vec<String>, Option<File>), StartError> {
    let path = covers.env.get("PATH").map_or("", String::as_str);
    let word = covers.argv.first().map_or("", String::as_str);
    let found = lookup::find(word, path, cwd).map_err(|error| changed(error.to_string()))?;
    let real = found.canonicalize().map_err(|error| changed(format!("{}: {error}", escaped(word))))?;
    if real != Path::new(&covers.exe.path) {
        let real = escaped(&real.to_string_lossy());
        return Err(changed(format!("{} was {}, and is now {real}", escaped(word), escaped(&covers.exe.path))));
    }
    match &covers.script {
        Some(ScriptSeen::Copied { .. }) => return sealed::program(covers, &found, copied, unchanged),
        _ if covers.sealed && covers.interpreter.is_none() => {
            return sealed::under_its_copy_s_name(covers, copied, unchanged);
        }
        _ if covers.sealed => return from_copy(covers),
        _ => {}
    }
    let file = unchanged(&covers.exe)?;
    let Some(interpreter) = &covers.interpreter else {
        return Ok((Program::Open(file), covers.argv.clone(), None));
    };
    // The kernel will follow the names in the #! lines: they must still lead to what was frozen.
    let error = |error: std::io::Error| changed(format!("{}: {error}", escaped(&covers.exe.path)));
    let stamp = Stamp::of(&file).map_err(error)?;
    by_kernel.extend(std::iter::once(interpreter).chain(&covers.files).filter_map(ByName::now));
    let now = interpreters(&found, path, cwd).map_err(|error| changed(error.to_string()))?;
    let expected = std::iter::once(interpreter).chain(&covers.files);
    match now.first() {
        Some(first) => same(interpreter, first)?,
        None => return Err(changed(format!("{} is no script any more", escaped(&covers.exe.path)))),
    }
    for file in &now {
        if expected.clone().all(|seen| (&seen.path, seen.sha256) != (&file.path, file.sha256)) {
            return Err(changed(format!("interpreter {} was not there when it was checked", escaped(&file.path))));
        }
    }
    by_kernel.retain(|file| now.iter().any(|now| now.path == file.seen.path));
    // Looking at the interpreters took its time, and the script comes first in what runs.
    let (_, again) = files::open(&real).map_err(error)?;
    if Stamp::of(&again).map_err(error)? != stamp {
        return Err(changed(format!("{} was exchanged while it was read", escaped(&covers.exe.path))));
    }
    // Under the name it was found by: many scripts look at `$0`, and that is the path the kernel was given.
    Ok((Program::Named(found), covers.argv.clone(), None))
}

/// The interpreter, run from its descriptor on a copy of the script, as the kernel would have run it on the file.
fn from_copy(covers: &CommandSeen) -> Result<(Program, Vec<String>, Option<File>), StartError> {
    let script = copied(&covers.exe)?;
    let kind = lookup::kind_of(&script).map_err(|error| changed(format!("{}: {error}", escaped(&covers.exe.path))))?;
    let (Kind::Script(word, rest), Some(interpreter)) = (kind, &covers.interpreter) else {
        return Err(changed(format!("{} is no script any more", escaped(&covers.exe.path))));
    };
    let program = unchanged(interpreter)?;
    // What stands behind the interpreter in the #! line is one argument, however many words it has. `env` would only look
    // up its one word, which is done already.
    let mut argv = match word.ends_with("/env") {
        true => vec![rest],
        false if rest.is_empty() => vec![word],
        false => vec![word, rest],
    };
    argv.push(files::inherited(&script));
    argv.extend(covers.argv.iter().skip(1).cloned());
    Ok((Program::Open(program), argv, Some(script)))
}

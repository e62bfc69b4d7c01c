//! A step becomes the bytes that people check: argument vector, files and their hashes, environment, folder, input.
//!
//! Everything that decides what happens is read here and nowhere else, so freezing a step twice and comparing the two
//! tells whether anything changed in between. What cannot be shown to a person as it is (hidden characters, names that
//! are not UTF-8) is refused rather than shown differently. Start at [`freeze`].

use super::files::{SEALED_MAX, TEXT_MAX, look, open_folder};
use super::lookup::{self, Kind};
use super::unfrozen::{FreezeError, INTERPRETERS_MAX, TERMINAL_LINE_MAX};
use super::{files, inherited, remote, script, sealed};
use crate::clock::human;
use crate::event::{
    CommandSeen, Covers, EachSeen, FieldSeen, FileSeen, FolderSeen, GateSeen, Part, PreviewSeen, RehearsalSeen,
    RollbackSeen,
};
use crate::hash::Hash;
use crate::name::{escaped, is_hidden};
use crate::plan::{Command, Each, Host, Input, Io, Params, Plan, Preview, Run, Stdin, Step, Template};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An argument that happens to be a larger file than this is data, not instructions; hashing it would hold up arming.
/// A file the plan names is hashed whatever its size.
const ARGUMENT_FILE_MAX: u64 = 256 << 20;

/// Reads everything that decides what `step` would do right now.
///
/// `folder` is the plan's; `secrets` has what stands for the value of each secret that the step names. Nothing is started; files are read in full, so this may take as long as their hashing.
pub fn freeze(
    plan: &Plan,
    step: &Step,
    params: &Params,
    folder: &Path,
    attempt: u32,
    gates: Vec<GateSeen>,
    secrets: &BTreeMap<String, Hash>,
) -> Result<Covers, FreezeError> {
    if let Some(why) = plan.values_in_shell(step, params) {
        return Err(FreezeError::InShell(why));
    }
    let own = freeze_part(step, Part::Step, params, folder, secrets)?;
    let mut command = own.unwrap_or_else(CommandSeen::nothing);
    let mut rollback = freeze_rollback(step, params, folder, secrets)?;
    let mut preview = match &step.preview {
        Some(preview) => Some(freeze_preview(preview, params, folder, secrets)?),
        None => None,
    };
    let mut probe = freeze_part(step, Part::Probe, params, folder, secrets)?;
    let read_first = preview.iter_mut().map(|preview| &mut preview.command);
    let undone = rollback.iter_mut().map(|rollback| &mut rollback.command);
    let all = std::iter::once(&mut command).chain(read_first).chain(undone).chain(&mut probe);
    share_text(all.flat_map(|command| command.stdin_file.iter_mut().chain(&mut command.files)));
    let each = step.each().map(|each| batched(each, &command)).transpose()?;
    let (each, odd) = each.map_or((None, None), |(each, odd)| (Some(each), odd));
    let rehearsal = freeze_rehearsal(plan, step, params)?;
    let render = |what: &str, template: &Template| {
        template.render(params).map_err(|source| FreezeError::Render { what: what.to_owned(), source })
    };
    let manual = step.by_hand().map(|words| render("manual", words)).transpose()?;
    if let Some(words) = &manual {
        visible(|| "manual".into(), words)?;
    }
    Ok(Covers {
        rehearsal,
        rollback,
        step: step.id.clone(),
        attempt,
        title: step.title.clone(),
        class: step.class.word().to_owned(),
        checks: step.checks,
        command,
        preview,
        deviations: step.deviations.clone(),
        params: step.params().into_iter().filter_map(|name| Some((name.clone(), params.get(&name)?.clone()))).collect(),
        manual,
        probe,
        each,
        plan: plan.digest,
        gates,
        settled: vec![],
        left: vec![],
        words: words(step).into_iter().chain(odd.map(|odd| ("odd_lines".to_owned(), odd))).collect(),
        point_of_no_return: step.point_of_no_return,
        readback: FieldSeen::all(step.fields(params).map_err(FreezeError::ReadBack)?),
        require_touch: step.require_touch,
    })
}

/// Whether the files that a command's arguments name are held as those are that its plan lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arguments {
    /// A byte of them that changes keeps it from running.
    Held,
    /// People are told what they were. The step that runs before is often there to change them: a way back that took that for
    /// an exchange would never run.
    Recorded,
}

fn arguments(step: &Step, part: Part) -> Arguments {
    match part {
        Part::Step if step.each().is_none() => Arguments::Held,
        Part::Preview => Arguments::Held,
        Part::Step | Part::Rollback | Part::Probe => Arguments::Recorded,
    }
}

/// Reads everything that decides what one of a step's commands would do right now; nothing where it has none of the kind.
pub fn freeze_part(
    step: &Step,
    part: Part,
    params: &Params,
    folder: &Path,
    secrets: &BTreeMap<String, Hash>,
) -> Result<Option<CommandSeen>, FreezeError> {
    let command = step.command_of(part);
    command.map(|command| freeze_command(command, arguments(step, part), params, folder, secrets)).transpose()
}

/// What undoes a step, if it could run as things are now; what of it is not there yet is told.
pub fn freeze_rollback(
    step: &Step,
    params: &Params,
    folder: &Path,
    secrets: &BTreeMap<String, Hash>,
) -> Result<Option<RollbackSeen>, FreezeError> {
    let Some(rollback) = &step.rollback else { return Ok(None) };
    let of = |source| FreezeError::Rollback { source: Box::new(source) };
    let command = freeze_command(&rollback.command, Arguments::Recorded, params, folder, secrets).map_err(of)?;
    let absent = if command.remote { vec![] } else { script::absent(&command).map_err(of)? };
    Ok(Some(RollbackSeen { command, automatic: rollback.automatic, contain: rollback.contain.clone(), absent }))
}

/// How many lines there are to deal out, and which of them people should know of.
fn batched(each: &Each, command: &CommandSeen) -> Result<(EachSeen, Option<String>), FreezeError> {
    let Some(file) = &command.stdin_file else { return Err(FreezeError::NoCommand) };
    let path = Path::new(&file.path);
    let error = |source| FreezeError::File { what: "standard input", path: path.to_owned(), source };
    let (_, open) = files::open(path).map_err(error)?;
    let odd = files::odd_lines(&open).map_err(error)?;
    if let Some(lines) = files::numbered(&odd.empty).filter(|_| !each.empty) {
        return Err(FreezeError::EmptyLines { path: path.to_owned(), lines });
    }
    match u32::try_from(odd.lines) {
        Ok(lines) if lines > 0 => Ok((EachSeen { lines, first: each.first, then: each.then, done: 0 }, odd.words())),
        _ => Err(FreezeError::Lines { path: path.to_owned(), lines: odd.lines }),
    }
}

/// In a rehearsal: on which data, and what would be run live.
fn freeze_rehearsal(plan: &Plan, step: &Step, params: &Params) -> Result<Option<RehearsalSeen>, FreezeError> {
    let seen = step.rehearsal_seen(plan, params);
    let seen = seen.map_err(|source| FreezeError::Render { what: "run".into(), source })?;
    for (index, word) in seen.iter().flat_map(|seen| &seen.live).enumerate() {
        visible(|| format!("argument {index} of what would be run live"), word)?;
    }
    Ok(seen)
}

/// The preview's command; what it says is not known before it is run.
fn freeze_preview(
    preview: &Preview,
    params: &Params,
    folder: &Path,
    secrets: &BTreeMap<String, Hash>,
) -> Result<PreviewSeen, FreezeError> {
    let of = |source| FreezeError::Preview { source: Box::new(source) };
    let expect = preview.expect.words(params);
    let expect = expect.map_err(|source| of(FreezeError::Render { what: "expect".to_owned(), source }))?;
    visible(|| "what is expected of it".into(), &expect).map_err(of)?;
    let command = freeze_command(&preview.command, Arguments::Held, params, folder, secrets).map_err(of)?;
    Ok(PreviewSeen { command, expect, output: String::new(), sha256: Hash::of(b""), value: String::new() })
}

/// Reads everything that decides what one command would do right now.
fn freeze_command(
    command: &Command,
    arguments: Arguments,
    params: &Params,
    folder: &Path,
    secrets: &BTreeMap<String, Hash>,
) -> Result<CommandSeen, FreezeError> {
    let render = |what: &str, template: &crate::plan::Template| {
        template.render(params).map_err(|source| FreezeError::Render { what: what.to_owned(), source })
    };
    let argv = command.run.argv(params).map_err(|source| FreezeError::Render { what: "run".into(), source })?;
    if let Some(host) = &command.on {
        return freeze_remote(command, host, argv, params, folder);
    }
    if argv.first().is_none_or(String::is_empty) {
        return Err(FreezeError::NoCommand);
    }
    for (index, word) in argv.iter().enumerate() {
        visible(|| format!("argument {index}"), word)?;
    }
    let mut env = base_environment(command.io, |name| std::env::var(name).ok());
    for (name, value) in &command.env {
        if name.is_empty() || name.contains('=') {
            return Err(FreezeError::EnvName { name: name.clone() });
        }
        let filled = value.fill(params, crate::secret::placeholder);
        let filled = filled.map_err(|source| FreezeError::Render { what: format!("env.{name}"), source })?;
        env.insert(name.clone(), filled);
    }
    for (name, value) in &env {
        visible(|| "the name of an environment variable".into(), name)?;
        visible(|| format!("environment variable {name}"), value)?;
    }
    let stdin = match &command.stdin {
        Some(Stdin::Text(text)) => Some(render("stdin", text)?),
        _ => None,
    };
    if let Some(text) = &stdin {
        visible(|| "stdin".into(), text)?;
        if command.io == Io::Pty {
            fits_terminal(text)?;
        }
    }
    let cwd = match &command.cwd {
        Some(template) => folder.join(render("cwd", template)?),
        None => folder.to_owned(),
    };
    let (cwd, seen_folder) = working_folder(&cwd)?;
    let path = env.get("PATH").map_or("", String::as_str);

    let argv = match needs_pipefail(command, &argv) {
        true => by_pipefail(argv, path, &cwd)?,
        false => argv,
    };
    let file = lookup::find(argv.first().map_or("", String::as_str), path, &cwd)?;
    let exe = seen("program", &file, false)?;
    let stdin_file = match &command.stdin {
        Some(Stdin::File(name)) => Some(fed(&cwd.join(render("stdin", name)?))?),
        _ => None,
    };
    let mut files = vec![];
    for file in named_files(command, params, &cwd)? {
        add(&mut files, seen("file", &file, true)?);
    }
    let interpreters = interpreters(&file, path, &cwd)?;
    let given = script::of(&argv, path, &cwd)?;
    if command.sealed == Some(true) && given.is_none() {
        sealable(&file, &exe, interpreters.len())?;
    }
    let mut interpreters = interpreters.into_iter();
    let interpreter = interpreters.next();
    interpreters.for_each(|file| add(&mut files, file));
    if let Some(file) = given {
        add(&mut files, seen("script", &file, false)?);
    }
    let mut named = vec![];
    for word in &argv[1..] {
        if let Some(file) = argument_file(word, &cwd) {
            match arguments {
                Arguments::Held => add(&mut files, seen("argument", &file, false)?),
                Arguments::Recorded if files.iter().any(|held| Path::new(&held.path) == file) => {}
                Arguments::Recorded => add(&mut named, seen("argument", &file, false)?),
            }
        }
    }
    let secrets = command.secrets().into_iter().filter_map(|key| Some((key.clone(), *secrets.get(&key)?))).collect();
    let mut all = CommandSeen {
        exe,
        interpreter,
        argv,
        env,
        secrets,
        cwd: utf8("working folder", &cwd)?,
        folder: Some(seen_folder),
        stdin,
        stdin_file,
        sealed: command.sealed == Some(true),
        script: None,
        io: match command.io {
            Io::Pty => "pty".to_owned(),
            Io::Pipe => "pipe".to_owned(),
        },
        input: Some(command.input).filter(|input| *input != Input::None).map(|input| input.word().to_owned()),
        leaves: command.leaves.clone(),
        session_only: cfg!(not(target_os = "linux")),
        timeout_ms: command.timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        exits: command.exits.clone(),
        files,
        named: (arguments == Arguments::Recorded).then_some(named),
        host: host(),
        user: user(),
        inherited: Some(inherited::inherited()),
        remote: false,
    };
    let error = |source| FreezeError::File { what: "script", path: file.clone(), source };
    all.script = sealed::seen(&all, &file, command.sealed).map_err(error)?;
    Ok(all)
}

/// Whether its text needs a shell that fails where a part of a pipeline does.
fn needs_pipefail(command: &Command, argv: &[String]) -> bool {
    command.pipefail && command.run.has_pipeline(argv)
}

/// The same text for a shell that fails where a part of a pipeline does: `sh` where it can, else `bash`. Nothing is started to
/// find that out: a shell that knows the word has it in it.
fn by_pipefail(argv: Vec<String>, path: &str, cwd: &Path) -> Result<Vec<String>, FreezeError> {
    const WORD: &[u8] = b"pipefail";
    let knows = |file: PathBuf| {
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes.windows(WORD.len()).any(|window| window == WORD)
    };
    let shell = ["sh", "bash"].into_iter().find(|name| lookup::find(name, path, cwd).is_ok_and(knows));
    let Some(shell) = shell else { return Err(FreezeError::NoPipefail { path: path.to_owned() }) };
    let words = [shell, "-eu", "-o", "pipefail", "-c"].map(str::to_owned);
    Ok(words.into_iter().chain(argv.into_iter().last()).collect())
}

/// What runs on another machine is, here, ssh: with the script that it is fed.
fn freeze_remote(
    command: &Command,
    host: &Host,
    argv: Vec<String>,
    params: &Params,
    folder: &Path,
) -> Result<CommandSeen, FreezeError> {
    let render = |what: &str, template: &crate::plan::Template| {
        template.render(params).map_err(|source| FreezeError::Render { what: what.to_owned(), source })
    };
    if argv.first().is_none_or(String::is_empty) {
        return Err(FreezeError::NoCommand);
    }
    let mut env = BTreeMap::new();
    for (name, value) in &command.env {
        env.insert(name.clone(), render(&format!("env.{name}"), value)?);
    }
    let cwd = command.cwd.as_ref().map(|cwd| render("cwd", cwd)).transpose()?;
    let script = remote::script(&command.run, &argv, &env, cwd.as_deref());
    visible(|| "the script".into(), &script)?;
    let literal = |word: &String| Template::literal(word);
    let words = remote::argv(host, params, folder, needs_pipefail(command, &argv))?.iter().map(literal).collect();
    let local = Command { io: Io::Pipe, timeout: command.timeout, ..Command::of(Run::Argv(words)) };
    let seen = freeze_command(&local, Arguments::Held, params, folder, &BTreeMap::new())?;
    let (host, user) = (host.name.clone(), host.user.clone());
    // What ssh inherits here does not reach the command; what it has over there is between sshd and the account.
    Ok(CommandSeen { stdin: Some(script), host, user, inherited: None, remote: true, ..seen })
}

/// What every command gets, and nothing else: what the hub happens to carry in its own environment (agents, tokens,
/// `LD_PRELOAD`) reaches no command unless the plan says so.
pub(super) fn base_environment(io: Io, from: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    let take = |name: &str, default: &dyn Fn() -> String| {
        (name.to_owned(), from(name).filter(|value| !value.is_empty()).unwrap_or_else(default))
    };
    let home = || user.as_ref().and_then(|u| u.dir.to_str()).unwrap_or("/").to_owned();
    let name = || user.as_ref().map_or_else(|| nix::unistd::geteuid().to_string(), |u| u.name.clone());
    BTreeMap::from([
        take("PATH", &|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()),
        take("HOME", &home),
        take("USER", &name),
        take("LANG", &|| "C.UTF-8".into()),
        // Not the hub's own: what draws the output is our emulator, wherever the hub was started.
        ("TERM".into(), if io == Io::Pty { "xterm-256color" } else { "dumb" }.into()),
    ])
}

/// Refuses what a person who reads the command would not see as it is: hidden characters, and blanks of other kinds, which
/// split no words where an ordinary one would.
fn visible(what: impl Fn() -> String, text: &str) -> Result<(), FreezeError> {
    let blank = |c: char| (c.is_whitespace() && c != ' ') || c == '\u{2800}';
    let unseen = |c: char| (is_hidden(c) || blank(c)) && !matches!(c, '\n' | '\t');
    match text.chars().enumerate().find(|(_, c)| unseen(*c)) {
        Some((index, c)) => Err(FreezeError::Hidden {
            what: what(),
            character: c.escape_unicode().to_string(),
            sight: if is_hidden(c) { "a hidden character" } else { "which looks like a blank and is none" },
            at: index + 1,
            text: text
                .chars()
                .map(|c| if unseen(c) { c.escape_unicode().to_string() } else { escaped(c.encode_utf8(&mut [0; 4])) })
                .collect(),
        }),
        None => Ok(()),
    }
}

fn fits_terminal(text: &str) -> Result<(), FreezeError> {
    match text.split('\n').enumerate().find(|(_, line)| line.len() > TERMINAL_LINE_MAX) {
        Some((index, line)) => Err(FreezeError::LongLine { line: index + 1, length: line.len() }),
        None => Ok(()),
    }
}

fn working_folder(path: &Path) -> Result<(PathBuf, FolderSeen), FreezeError> {
    let error = |why: String| FreezeError::Cwd { path: path.to_owned(), why };
    let real = path.canonicalize().map_err(|e| error(e.to_string()))?;
    if !real.is_dir() {
        return Err(error("it is not a folder".into()));
    }
    let (_, seen) = open_folder(&real).map_err(|e| error(e.to_string()))?;
    Ok((real, seen))
}

/// The files that a command's plan names, as it names them.
pub(super) fn named_files(command: &Command, params: &Params, cwd: &Path) -> Result<Vec<PathBuf>, FreezeError> {
    let render = |template: &crate::plan::Template| {
        template.render(params).map_err(|source| FreezeError::Render { what: "files".into(), source })
    };
    command.files.iter().map(|template| Ok(cwd.join(render(template)?))).collect()
}

/// A file that is fed whole: its copy must fit into memory.
fn fed(path: &Path) -> Result<FileSeen, FreezeError> {
    let file = seen("standard input", path, true)?;
    if file.size > SEALED_MAX {
        let source = std::io::Error::other(format!(
            "it has {} bytes, at most {SEALED_MAX} can be fed; have the command read it by its name, and list it in files",
            file.size
        ));
        return Err(FreezeError::File { what: "standard input", path: path.to_owned(), source });
    }
    Ok(file)
}

/// A script of which a copy can be run: its interpreter is a program, and named so that nothing is looked up on the way.
fn sealable(found: &Path, exe: &FileSeen, interpreters: usize) -> Result<(), FreezeError> {
    let no = |why: &str| Err(FreezeError::Unsealable { path: found.to_owned(), why: why.to_owned() });
    let kind = |file: &Path| {
        lookup::kind(file).map_err(|source| FreezeError::File { what: "program", path: file.to_owned(), source })
    };
    let Kind::Script(word, rest) = kind(found)? else {
        return no("is no script; leave `sealed` out, a binary runs from the file that was hashed in any case");
    };
    if exe.size > SEALED_MAX {
        return no("is too large for a copy in memory");
    }
    let by_env = word.ends_with("/env");
    if by_env && (rest.is_empty() || rest.starts_with('-') || rest.contains(['=', ' ', '\t'])) {
        return no("has more or less than one name behind env in its #! line; name the interpreter itself there");
    }
    if interpreters > 1 + usize::from(by_env) {
        return no("is interpreted by a script; name a program in its #! line");
    }
    Ok(())
}

fn utf8(what: &'static str, path: &Path) -> Result<String, FreezeError> {
    let Some(text) = path.to_str() else {
        let source = std::io::Error::other("its path is not UTF-8; rename it");
        return Err(FreezeError::File { what, path: path.to_owned(), source });
    };
    visible(|| format!("the path of the {what}"), text)?;
    Ok(text.to_owned())
}

fn seen(what: &'static str, path: &Path, text: bool) -> Result<FileSeen, FreezeError> {
    let file = look(path, text).map_err(|source| FreezeError::File { what, path: path.to_owned(), source })?;
    visible(|| format!("the path of the {what}"), &file.path)?;
    Ok(file)
}

/// Each file once; the plan's come first and keep their text.
fn add(files: &mut Vec<FileSeen>, file: FileSeen) {
    if files.iter().all(|other| other.path != file.path) {
        files.push(file);
    }
}

/// All texts together must fit into one line of the transcript: the first files are shown whole, what is past the limit
/// by its head, or by its hash alone.
fn share_text<'a>(files: impl Iterator<Item = &'a mut FileSeen>) {
    let mut room = TEXT_MAX;
    for text in files.map(|file| &mut file.text) {
        let Some(shown) = text else { continue };
        let mut cut = shown.len().min(room);
        while !shown.is_char_boundary(cut) {
            cut -= 1;
        }
        let nothing_left = cut == 0 && !shown.is_empty();
        shown.truncate(cut);
        room -= cut;
        if nothing_left {
            *text = None;
        }
    }
}

/// The file an argument names: itself, what follows `@` (as curl has it), or what follows `=` in an option. A relative
/// path starts at the working folder and a file outside of it is none of the step's, unless the plan names it.
pub(super) fn argument_file(word: &str, cwd: &Path) -> Option<PathBuf> {
    let candidates = [Some(word), word.strip_prefix('@'), word.split_once('=').map(|(_, value)| value)];
    candidates.into_iter().flatten().filter(|word| !word.is_empty()).find_map(|word| {
        let file = cwd.join(word).canonicalize().ok()?;
        let meta = file.metadata().ok()?;
        (file.starts_with(cwd) && meta.is_file() && meta.len() <= ARGUMENT_FILE_MAX).then_some(file)
    })
}

/// What interprets a script, the one that matters first: for `#!/usr/bin/env X` that is X, then `env` itself, then
/// whatever interprets X.
pub(super) fn interpreters(file: &Path, path: &str, cwd: &Path) -> Result<Vec<FileSeen>, FreezeError> {
    let mut found = vec![];
    let mut file = file.to_owned();
    for _ in 0..INTERPRETERS_MAX {
        let kind = lookup::kind(&file);
        let kind = kind.map_err(|source| FreezeError::File { what: "program", path: file.clone(), source })?;
        let (word, rest) = match kind {
            Kind::Binary => return Ok(found),
            Kind::Neither => return Err(FreezeError::NotAProgram { path: file }),
            Kind::Script(word, rest) => (word, rest),
        };
        let inner = |source| FreezeError::Interpreter { script: file.clone(), source: Box::new(source) };
        // The kernel takes the word as a path, without looking at PATH; a bare word starts at the working folder.
        let direct = if word.contains('/') { word } else { format!("./{word}") };
        let direct = lookup::find(&direct, path, cwd).map_err(inner)?;
        let looked_up = match direct.file_name().is_some_and(|name| name == "env") {
            true => {
                lookup::word_after_env(&rest).map(|word| lookup::find(word, path, cwd)).transpose().map_err(inner)?
            }
            false => None,
        };
        if let Some(program) = &looked_up {
            found.push(seen("interpreter", program, false).map_err(inner)?);
        }
        found.push(seen("interpreter", &direct, false).map_err(inner)?);
        file = looked_up.unwrap_or(direct);
    }
    Err(FreezeError::TooManyInterpreters { path: file })
}

/// Host name and the start of the machine id, where it has one: two machines may bear one name.
pub fn host() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let name = name.unwrap_or_else(|| "unknown".into());
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    match id.trim().get(..8) {
        Some(short) => format!("{name}/{short}"),
        None => name,
    }
}

/// `uid:name` of who the hub, and so the command, runs as.
pub fn user() -> String {
    let uid = nix::unistd::geteuid();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    format!("{uid}:{}", name.as_deref().unwrap_or("?"))
}

fn words(step: &Step) -> BTreeMap<String, String> {
    let words = [
        ("touches", &step.touches),
        ("undo", &step.undo),
        ("half_way", &step.half_way),
        ("remains_in", &step.remains_in),
    ];
    let words = words.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?)));
    // Shown with the plan's words: whoever checks has to know when the step counts as done.
    let until = step.until().map(|until| {
        let within =
            until.within.map_or_else(|| ", without a limit".to_owned(), |it| format!(", for at most {}", human(it)));
        ("done_once".to_owned(), format!("{} reads ok{within}", until.watch))
    });
    words.chain(until).collect()
}
